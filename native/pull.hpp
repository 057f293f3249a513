// Values: v = sum over taps of image * weight.
#pragma once

#include "cells.hpp"
#include "simd.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// Linear interpolation of whole cells. A cell has 2^(D-1) edges along the last axis, each a pair of samples; halving
// over the axes, last to first, leaves one value.
template <class T, class Real, int D, bool adjacent>
void pull_linear(const View<D>& view, const Cells<Real, D>& cells, const T* image, Real* value) {
    using S = Simd<Real>;
    constexpr int edges = 1 << (D - 1);
    int64_t edge_offset[edges];
    corner_offsets<D, D - 1>(view, edge_offset);
    const int64_t step = view.stride[D - 1];
    for (int i = 0; i < cells.position.count; i += S::width) {
        typename S::Vector v[edges];
        typename S::Vector f = S::load(cells.position.fraction[D - 1] + i);
        for (int r = 0; r < edges; ++r) {
            typename S::Vector left, right;
            load_neighbours<T, Real, adjacent>(image + edge_offset[r], cells.offset + i, step, left, right);
            v[r] = lerp(left, right, f);
        }
        for (int axis = D - 2, n = edges / 2; axis >= 0; --axis, n /= 2) {
            f = S::load(cells.position.fraction[axis] + i);
            for (int r = 0; r < n; ++r) v[r] = lerp(v[2 * r], v[2 * r + 1], f);
        }
        S::store(value + i, v[0]);
    }
}

// The values of one channel at a block of points.
template <class T, class Real, int D>
void pull_block(const View<D>& view, const Cells<Real, D>& cells, const T* image, Real fill, Real* value) {
    if (cells.inside_count > 0) {
        if (view.interpolation[0] == Interpolation::nearest) {
            for (int i = 0; i < cells.position.count; ++i) value[i] = static_cast<Real>(image[cells.offset[i]]);
        } else if (view.stride[D - 1] == 1) {
            pull_linear<T, Real, D, true>(view, cells, image, value);
        } else {
            pull_linear<T, Real, D, false>(view, cells, image, value);
        }
    }
    for (int e = 0; e < cells.edge.count; ++e)
        value[cells.edge.point[e]] = edge_sum(view, cells.edge, e, -1, image, fill);
    for (int e = 0; e < cells.void_count; ++e) value[cells.void_point[e]] = fill;
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
