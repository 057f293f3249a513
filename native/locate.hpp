// The positions of a block of output points, however the call describes them.
#pragma once

#include "displaced.hpp"
#include "projective.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// How far, about, the points two rows of the output further on lie from those of the block at `begin`, in strides of
// the image; 0 where that is not known. Given points are taken to go on as they did since the row before.
template <int D>
int64_t shift_of_rows(const Call& call, int64_t batch, int64_t begin, const int64_t* stride) {
    constexpr int ahead = 2;
    const Geometry& geometry = call.geometry;
    const int64_t* size = call.lattice.size;
    const int64_t x = begin % size[2], y = begin / size[2] % size[1], z = begin / size[2] / size[1];
    double step[D] = {};
    if (D > 1 && call.plan.kind == LatticeKind::affine) {
        const IndexMap<D> map = index_map<D>(call.plan, call.geometry, batch);
        for (int d = 0; d < D; ++d) step[d] = map.linear[d][D > 1 ? D - 2 : 0];
    } else if (D > 1 && is_projective(call.plan.kind)) {
        const ProjectiveMap<D> map = projective_map<D>(call, geometry, batch);
        const double at[3] = {static_cast<double>(z), static_cast<double>(y), static_cast<double>(x)};
        double here[D + 1];
        project(map, at + (3 - D), here);
        for (int d = 0; d < D; ++d) {
            const double there = here[D] + map.row[D][D > 1 ? D - 2 : 0];
            step[d] = (here[d] + map.row[d][D > 1 ? D - 2 : 0]) / there - here[d] / here[D];
        }
    } else if (D > 1 && call.plan.kind != LatticeKind::given) {
        step[D > 1 ? D - 2 : 0] = call.plan.scale_in[D > 1 ? D - 2 : 0] / call.plan.scale_out[D > 1 ? D - 2 : 0];
    } else if (D > 1) {
        const int64_t at = (geometry.batch == 1 ? 0 : batch * geometry.batch_stride) + z * geometry.stride[0] +
                           y * geometry.stride[1] + x * geometry.stride[2];
        for (int d = 0; d < D && y > 0; ++d) {
            const int64_t component = at + d * geometry.component_stride;
            step[d] = call.plan.scale_in[d] * coordinate_step(geometry, component - geometry.stride[1], component);
        }
    }
    int64_t shift = 0;
    for (int d = 0; d < D; ++d)
        if (std::fabs(step[d]) < void_index / ahead) shift += std::lrint(ahead * step[d]) * stride[d];
    return shift;
}

// Whether the rows of an affine lattice are better located all at once. Local indices are below 64 then, and increments
// of single precision exact to 1e-4 / 2 of a sample.
inline bool has_short_rows(const Call& call) {
    const int64_t* size = call.lattice.size;
    return call.plan.kind == LatticeKind::affine && size[2] >= 8 && size[2] <= 64 && (size[0] == 1 || size[1] <= 64);
}

// The positions of `position.count` points from `begin` on, for one batch entry. `local` is that of the block if the
// lattice has short rows.
template <class Real, int D>
void locate(const Call& call, int64_t batch, int64_t begin, const LocalIndex<Real, D>& local,
            Position<Real, D>& position) {
    const bool is_float = call.geometry.dtype == DType::f32;
    position.lost = is_matrix(call.plan.kind) && !is_finite_matrix(call.plan, call.geometry, batch);
    if (position.lost) {
        for (int d = 0; d < D; ++d)
            for (int i = 0; i < position.count; ++i) {
                position.floor[d][i] = -void_index;
                position.fraction[d][i] = 0;
            }
    } else if (call.plan.kind == LatticeKind::affine) {
        const IndexMap<D> map = index_map<D>(call.plan, call.geometry, batch);
        if constexpr (sizeof(Real) == sizeof(float))
            if (has_short_rows(call) && locate_short_rows(map, local, position)) return;
        locate_affine<Real, D>(map, call.lattice, begin, position);
    } else if (is_projective(call.plan.kind)) {
        locate_projective(projective_map<D>(call, call.geometry, batch), call.lattice, begin, position);
    } else if (call.plan.kind != LatticeKind::given) {
        locate_displaced(call.plan, call.geometry, call.lattice, batch, begin, position);
    } else if (!is_float) {
        locate_given<double, double>(call.plan, call.geometry, call.lattice, batch, begin, position);
    } else if (sizeof(Real) == sizeof(float) && is_index_frame(call.plan)) {
        locate_given<float, float>(call.plan, call.geometry, call.lattice, batch, begin, position);
    } else {
        locate_given<float, double>(call.plan, call.geometry, call.lattice, batch, begin, position);
    }
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
