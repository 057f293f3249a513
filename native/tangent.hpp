// How the coordinates of a block move when their geometry does: the directional derivative along `geometry_dot`.
#pragma once

#include "locate.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// Sums row (index, 1) of a matrix between indices at the points of a block.
template <class Real, int D>
void apply_row(const double* row, const LocalIndex<Real, D>& local, int count, Real* value) {
    double base = row[D];
    for (int e = 0; e < D; ++e) base += row[e] * local.origin[e];
    for (int i = 0; i < count; ++i) {
        Real sum = static_cast<Real>(base);
        for (int e = 0; e < D; ++e) sum += static_cast<Real>(row[e]) * local.index[e][i];
        value[i] = sum;
    }
}

// The motion of a projective map: of each coordinate, and of the denominator, times the reciprocal of the denominator.
template <class Real, int D>
void find_projective_tangent(const Call& call, int64_t batch, const LocalIndex<Real, D>& local,
                             const Position<Real, D>& position, const Real* reciprocal, Real (*x_dot)[block_points],
                             Real* bend) {
    const ProjectiveMap<D> map = projective_map<D>(call, call.geometry_dot, batch);
    apply_row<Real, D>(map.row[D], local, position.count, bend);
    for (int i = 0; i < position.count; ++i) bend[i] *= reciprocal[i];
    for (int d = 0; d < D; ++d) {
        apply_row<Real, D>(map.row[d], local, position.count, x_dot[d]);
        for (int i = 0; i < position.count; ++i) {
            const Real x = static_cast<Real>(position.floor[d][i]) + position.fraction[d][i];
            x_dot[d][i] = x_dot[d][i] * reciprocal[i] - x * bend[i];
        }
    }
}

// In steps of the image's index. `bend` is written for projective maps alone, and so is `reciprocal`.
template <class Real, int D>
void find_tangent(const Call& call, int64_t batch, int64_t begin, const LocalIndex<Real, D>& local,
                  const Position<Real, D>& position, Real (*x_dot)[block_points], Real* reciprocal, Real* bend) {
    const int count = position.count;
    const LatticeKind kind = call.plan.kind;
    if (!call.geometry_dot.data) {
        for (int d = 0; d < D; ++d)
            for (int i = 0; i < count; ++i) x_dot[d][i] = 0;
        for (int i = 0; i < count; ++i) bend[i] = 0;
        if (is_projective(kind))
            find_reciprocals(projective_map<D>(call, call.geometry, batch), local, count, reciprocal);
    } else if (kind == LatticeKind::affine) {
        // Frames shift coordinates, but not their motion.
        IndexMap<D> map = index_map<D>(call.plan, call.geometry_dot, batch);
        for (int d = 0; d < D; ++d) {
            double row[D + 1];
            for (int e = 0; e < D; ++e) row[e] = map.linear[d][e];
            row[D] = map.constant[d] - call.plan.offset_in[d];
            apply_row<Real, D>(row, local, count, x_dot[d]);
        }
    } else if (is_projective(kind)) {
        find_reciprocals(projective_map<D>(call, call.geometry, batch), local, count, reciprocal);
        find_projective_tangent(call, batch, local, position, reciprocal, x_dot, bend);
    } else {
        Displacements<Real, D> u;
        find_displacements(call.plan, call.geometry_dot, call.lattice, batch, begin, count, u);
        for (int d = 0; d < D; ++d)
            for (int i = 0; i < count; ++i) x_dot[d][i] = u.value[d][i];
    }
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
