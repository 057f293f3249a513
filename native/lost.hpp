// Points whose place depends on a parameter of the transform that is not finite. They are NaN, in values and in the
// gradients of the parameters: were they read from nowhere, nobody would see that the parameters are lost.
#pragma once

#include <limits>

#include "cells.hpp"
#include "locate.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

template <class Real>
struct Lost {
    int count;
    int point[block_points];
    void mark(Real* value, int step = 1) const {
        for (int e = 0; e < count; ++e) value[point[e] * step] = std::numeric_limits<Real>::quiet_NaN();
    }
};

template <class C, int D>
bool is_finite_point(const Geometry& geometry, const Lattice& lattice, int64_t batch, int64_t point) {
    const int64_t x = point % lattice.size[2], row = point / lattice.size[2];
    const int64_t y = row % lattice.size[1], z = row / lattice.size[1];
    const C* at = static_cast<const C*>(geometry.data) + (geometry.batch == 1 ? 0 : batch * geometry.batch_stride) +
                  z * geometry.stride[0] + y * geometry.stride[1] + x * geometry.stride[2];
    C strange = 0;
    for (int d = 0; d < D; ++d) strange += at[d * geometry.component_stride] - at[d * geometry.component_stride];
    return strange == 0;
}

// The points of a block with positions in `cells` that are lost; none for results that have no NaN.
template <class Real, int D>
void find_lost(const Call& call, int64_t batch, int64_t begin, const Cells<Real, D>& cells, Lost<Real>& lost) {
    const Geometry& geometry = call.geometry;
    const int count = cells.position.count;
    lost.count = 0;
    if (cells.void_count == 0 || !call.plan.computed) return;
    if (cells.position.lost) {
        for (int i = 0; i < count; ++i) lost.point[lost.count++] = i;
    } else if (!is_matrix(call.plan.kind)) {
        int candidates = 0;
        for (int e = 0; e < cells.void_count; ++e) {
            const int i = cells.void_point[e];
            bool beyond = false;
            for (int d = 0; d < D; ++d)
                beyond |= cells.position.floor[d][i] <= -void_index || cells.position.floor[d][i] >= void_index;
            if (beyond && i < count) lost.point[candidates++] = i;
        }
        if (candidates == 0) return;
        Displacements<double, D> u;
        if (call.plan.kind == LatticeKind::free_form)
            find_displacements(call.plan, geometry, call.lattice, batch, begin, count, u);
        for (int e = 0; e < candidates; ++e) {
            const int i = lost.point[e];
            bool finite = true;
            if (call.plan.kind == LatticeKind::free_form)
                for (int d = 0; d < D; ++d) finite = finite && u.value[d][i] - u.value[d][i] == 0;
            else if (geometry.dtype == DType::f32)
                finite = is_finite_point<float, D>(geometry, call.lattice, batch, begin + i);
            else
                finite = is_finite_point<double, D>(geometry, call.lattice, batch, begin + i);
            if (!finite) lost.point[lost.count++] = i;
        }
    }
    if (lost.count == 0) return;
    if (call.lost) __atomic_store_n(call.lost, 1, __ATOMIC_RELAXED);
    if (!is_floating(call.values.dtype)) lost.count = 0;
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
