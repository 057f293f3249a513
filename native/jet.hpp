// Slopes: the derivative of a value with respect to each coordinate, the sum over taps with w' in the place of w on one
// axis.
#pragma once

#include "pull.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// As pull_linear, carrying along the slope on every axis already passed.
template <class Real, int D, class Load>
inline void jet_linear(const Cells<Real, D>& cells, Load load, Real (*slope)[block_points]) {
    using S = Simd<Real>;
    constexpr int edges = 1 << (D - 1);
    for (int i = 0; i < cells.position.count; i += S::width) {
        typename S::Vector v[edges], s[D][edges];
        typename S::Vector f = S::load(cells.position.fraction[D - 1] + i);
        for (int r = 0; r < edges; ++r) {
            typename S::Vector left, right;
            load(r, i, left, right);
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

template <class Real, int D>
void jet_linear(const View<D>& view, const Cells<Real, D>& cells, Source source, Real (*slope)[block_points]) {
    using S = Simd<Real>;
    if (view.stride[D - 1] == 1 && source.dtype == dtype_of_real<Real>) {
        int64_t edge_offset[1 << (D - 1)];
        corner_offsets<D, D - 1>(view, edge_offset);
        const Real* image = source.as<Real>();
        jet_linear(
            cells,
            [&](int r, int i, typename S::Vector& left, typename S::Vector& right) {
                load_neighbours<Real, Real>(image + edge_offset[r], cells.offset + i, left, right);
            },
            slope);
        return;
    }
    alignas(64) Real corner[1 << D][block_points];
    gather_corners(view, cells, source, corner);
    jet_linear(
        cells,
        [&](int r, int i, typename S::Vector& left, typename S::Vector& right) {
            left = S::load(corner[2 * r] + i);
            right = S::load(corner[2 * r + 1] + i);
        },
        slope);
}

// The slopes of one channel at a block of points, per step of the image's index.
template <class Real, int D>
void jet_block(const View<D>& view, const Cells<Real, D>& cells, Source source, Real fill,
               Real (*slope)[block_points]) {
    if (view.way == Way::nearest || view.interpolation[0] == Interpolation::label) {
        for (int d = 0; d < D; ++d)
            for (int i = 0; i < cells.position.count; ++i) slope[d][i] = 0;
        return;
    }
    if (cells.inside_count > 0) {
        if (view.way == Way::linear)
            jet_linear(view, cells, source, slope);
        else if (view.rows && source.dtype == dtype_of_real<Real>)
            read_rows<Real, Real, D, true>(view, cells, source.as<Real>(), slope);
        else
            for (int d = 0; d < D; ++d) read_taps(view, cells, source, d, slope[d]);
    }
    with_type(source.dtype, [&](auto sample) {
        const auto* image = source.as<decltype(sample)>();
        for (int d = 0; d < D; ++d) {
            if (cells.inside_count > 0 && !all_finite(slope[d], cells.position.count))
                mend_inside(view, cells, image, d, slope[d]);
            read_edges(view, cells, image, fill, d, slope[d]);
        }
    });
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
