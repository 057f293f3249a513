// Slopes: the derivative of a value with respect to each coordinate, the sum over taps with w' in the place of w on one
// axis.
#pragma once

#include "cells.hpp"
#include "simd.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// As pull_linear, carrying along the slope on every axis already passed.
template <class T, class Real, int D, bool adjacent>
void jet_linear(const View<D>& view, const Cells<Real, D>& cells, const T* image, Real (*slope)[block_points]) {
    using S = Simd<Real>;
    constexpr int edges = 1 << (D - 1);
    int64_t edge_offset[edges];
    corner_offsets<D, D - 1>(view, edge_offset);
    const int64_t step = view.stride[D - 1];
    for (int i = 0; i < cells.position.count; i += S::width) {
        typename S::Vector v[edges], s[D][edges];
        typename S::Vector f = S::load(cells.position.fraction[D - 1] + i);
        for (int r = 0; r < edges; ++r) {
            typename S::Vector left, right;
            load_neighbours<T, Real, adjacent>(image + edge_offset[r], cells.offset + i, step, left, right);
            s[D - 1][r] = right - left;
            v[r] = lerp(left, right, f);
        }
        for (int axis = D - 2, n = edges / 2; axis >= 0; --axis, n /= 2) {
            f = S::load(cells.position.fraction[axis] + i);
            for (int r = 0; r < n; ++r) {
                s[axis][r] = v[2 * r + 1] - v[2 * r];
                v[r] = lerp(v[2 * r], v[2 * r + 1], f);
                for (int d = axis + 1; d < D; ++d) s[d][r] = lerp(s[d][2 * r], s[d][2 * r + 1], f);
            }
        }
        for (int d = 0; d < D; ++d) S::store(slope[d] + i, s[d][0]);
    }
}

// The slopes of one channel at a block of points, per step of the image's index.
template <class T, class Real, int D>
void jet_block(const View<D>& view, const Cells<Real, D>& cells, const T* image, Real fill,
               Real (*slope)[block_points]) {
    if (view.direct && view.interpolation[0] == Interpolation::nearest) {
        for (int d = 0; d < D; ++d)
            for (int i = 0; i < cells.position.count; ++i) slope[d][i] = 0;
        return;
    }
    if (cells.inside_count > 0) {
        if (view.stride[D - 1] == 1)
            jet_linear<T, Real, D, true>(view, cells, image, slope);
        else
            jet_linear<T, Real, D, false>(view, cells, image, slope);
    }
    for (int e = 0; e < cells.edge.count; ++e)
        for (int d = 0; d < D; ++d) slope[d][cells.edge.point[e]] = edge_sum(view, cells.edge, e, d, image, fill);
    for (int e = 0; e < cells.void_count; ++e)
        for (int d = 0; d < D; ++d) slope[d][cells.void_point[e]] = 0;
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
