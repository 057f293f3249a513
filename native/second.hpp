// The second order. Along a motion of the points, x_dot, and of the image, a value changes by
//   v_dot = sum over taps of (image_dot w + image sum_d x_dot_d w_d),
// with w_d the slope of the weights along axis d. Here is the reverse of that: given the cotangent c of v_dot,
//   image_bar += c sum_d x_dot_d w_d at every tap, and h_d = d v_dot / d x_d, a product with the Hessian of the image.
// All products of weights are carried as pairs, of the product itself and of its derivative along x_dot.
#pragma once

#include "jet.hpp"
#include "push.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// The Hessian of the image times x_dot, at points wholly inside: jet_linear, on pairs.
template <class Real, int D, class Load>
inline void hessian_linear(const Cells<Real, D>& cells, Load load, const Real (*x_dot)[block_points],
                           Real (*h)[block_points]) {
    using S = Simd<Real>;
    using V = typename S::Vector;
    constexpr int edges = 1 << (D - 1);
    for (int i = 0; i < cells.position.count; i += S::width) {
        V v[edges], v_dot[edges], s[D][edges], s_dot[D][edges];
        V f = S::load(cells.position.fraction[D - 1] + i), f_dot = S::load(x_dot[D - 1] + i);
        for (int r = 0; r < edges; ++r) {
            V left, right;
            load(r, i, left, right);
            s[D - 1][r] = right - left;
            s_dot[D - 1][r] = V{};
            v[r] = lerp(left, right, f);
            v_dot[r] = f_dot * s[D - 1][r];
        }
        for (int axis = D - 2, n = edges / 2; axis >= 0; --axis, n /= 2) {
            f = S::load(cells.position.fraction[axis] + i);
            f_dot = S::load(x_dot[axis] + i);
            for (int r = 0; r < n; ++r) {
                s[axis][r] = v[2 * r + 1] - v[2 * r];
                s_dot[axis][r] = v_dot[2 * r + 1] - v_dot[2 * r];
                v[r] = lerp(v[2 * r], v[2 * r + 1], f);
                v_dot[r] = lerp(v_dot[2 * r], v_dot[2 * r + 1], f) + f_dot * s[axis][r];
                for (int d = axis + 1; d < D; ++d) {
                    const V rise = s[d][2 * r + 1] - s[d][2 * r];
                    s_dot[d][r] = lerp(s_dot[d][2 * r], s_dot[d][2 * r + 1], f) + f_dot * rise;
                    s[d][r] = s[d][2 * r] + f * rise;
                }
            }
        }
        for (int d = 0; d < D; ++d) S::store(h[d] + i, s_dot[d][0]);
    }
}

// As find_shares, of the derivative of the weights along x_dot.
template <class Real, int D>
void find_moving_shares(const Cells<Real, D>& cells, const Real* value, const Real (*x_dot)[block_points],
                        Real (*share)[2 * block_points]) {
    using S = Simd<Real>;
    using V = typename S::Vector;
    constexpr int corners = 1 << D;
    for (int i = 0; i < cells.position.count; i += S::width) {
        V w[corners], w_dot[corners];
        w[0] = S::load(value + i);
        w_dot[0] = V{};
        for (int axis = 0, n = 1; axis < D; ++axis, n *= 2) {
            const V f = S::load(cells.position.fraction[axis] + i), f_dot = S::load(x_dot[axis] + i);
            for (int c = n - 1; c >= 0; --c) {
                w_dot[2 * c + 1] = w_dot[c] * f + w[c] * f_dot;
                w_dot[2 * c] = w_dot[c] - w_dot[2 * c + 1];
                w[2 * c + 1] = w[c] * f;
                w[2 * c] = w[c] - w[2 * c + 1];
            }
        }
        for (int r = 0; r < corners / 2; ++r) {
            V first, second;
            interleave<Real>(w_dot[2 * r], w_dot[2 * r + 1], first, second);
            S::store(share[r] + 2 * i, first);
            S::store(share[r] + 2 * i + S::width, second);
        }
    }
}

// Weights, slopes and curvatures of the taps of one point, axis by axis, taps beyond a constant border left out.
template <class Real, int D>
struct PointTaps {
    Real weight[D][max_taps], slope[D][max_taps], curvature[D][max_taps];
    int64_t offset[D][max_taps];
    int64_t row[max_taps];
    bool whole;  // no tap is left out
};

template <class Real, int D>
void find_point_taps(const View<D>& view, const Cells<Real, D>& cells, int i, PointTaps<Real, D>& taps) {
    taps.whole = true;
    for (int d = 0; d < D; ++d) {
        const Real f = cells.position.fraction[d][i];
        double curvature[max_taps];
        alignas(64) Real fraction[group_points] = {f};
        alignas(64) Real weights[max_taps][group_points], slopes[max_taps][group_points];
        basis<Real, group_points>(view.interpolation[d], view.parameter[d], fraction, group_points, weights, slopes);
        curvature_of(view.interpolation[d], view.parameter[d], static_cast<double>(f), curvature);
        const int32_t first = cells.position.floor[d][i] + first_tap(view.taps[d], f, static_cast<Real>(view.half[d]));
        int32_t k[max_taps], sample[max_taps], inside[max_taps];
        for (int t = 0; t < view.taps[d]; ++t) k[t] = first + t;
        map_taps(view.border[d], static_cast<int32_t>(view.size[d]), k, view.taps[d], sample, inside);
        for (int t = 0; t < view.taps[d]; ++t) {
            taps.weight[d][t] = inside[t] ? weights[t][0] : Real(0);
            taps.slope[d][t] = inside[t] ? slopes[t][0] : Real(0);
            taps.curvature[d][t] = inside[t] ? static_cast<Real>(curvature[t]) : Real(0);
            taps.offset[d][t] = inside[t] ? sample[t] * view.stride[d] : 0;
            if (d == 0) taps.row[t] = inside[t] ? sample[t] : 0;
            taps.whole = taps.whole && inside[t];
        }
    }
}

// A product over the axes up to one, and its derivative along x_dot.
template <class Real>
struct Moving {
    Real value, dot;
    Moving times(Real factor, Real factor_dot) const { return {value * factor, dot * factor + value * factor_dot}; }
};

// Calls visit(offset, row, w_dot, slope_dot) for each tap of a point, slope_dot being the derivative along x_dot of the
// weight's slopes, one an axis.
template <class Real, int D, int axis, class Visit>
void for_each_moving_tap(const View<D>& view, const PointTaps<Real, D>& taps, const Real* x_dot, int64_t offset,
                         int64_t row, Moving<Real> weight, const Moving<Real>* slope, Visit& visit) {
    for (int t = 0; t < view.taps[axis]; ++t) {
        const Real w = taps.weight[axis][t], s = taps.slope[axis][t], c = taps.curvature[axis][t];
        if (w == 0 && s == 0 && c == 0) continue;
        Moving<Real> next[D];
        for (int d = 0; d < axis; ++d) next[d] = slope[d].times(w, s * x_dot[axis]);
        next[axis] = weight.times(s, c * x_dot[axis]);
        const Moving<Real> product = weight.times(w, s * x_dot[axis]);
        const int64_t there = offset + taps.offset[axis][t];
        const int64_t first = axis == 0 ? taps.row[t] : row;
        if constexpr (axis + 1 < D)
            for_each_moving_tap<Real, D, axis + 1>(view, taps, x_dot, there, first, product, next, visit);
        else
            visit(there, first, product.dot, next);
    }
}

// One point of the second order, a tap at a time. `image_bar` and `h` may be null.
template <class Real, int D, class Sum>
void second_at_point(const View<D>& view, const Cells<Real, D>& cells, int i, const Real* image, Real fill,
                     const Real (*x_dot)[block_points], Real value, Sum* image_bar, Band band,
                     Real (*h)[block_points]) {
    PointTaps<Real, D> taps;
    find_point_taps(view, cells, i, taps);
    Real motion[D], sum[D] = {};
    for (int d = 0; d < D; ++d) motion[d] = x_dot[d][i];
    const Real base = taps.whole ? Real(0) : fill;  // what taps beyond the border read
    auto visit = [&](int64_t offset, int64_t row, Real w_dot, const Moving<Real>* slope) {
        if (image_bar && (band.whole || (row >= band.begin && row < band.end)))
            image_bar[offset] = multiply_add(Sum(value), Sum(w_dot), image_bar[offset]);
        if (h)
            for (int d = 0; d < D; ++d)
                if (slope[d].dot != 0) sum[d] += slope[d].dot * (image[offset] - base);
    };
    for_each_moving_tap<Real, D, 0>(view, taps, motion, 0, 0, Moving<Real>{1, 0}, nullptr, visit);
    if (h)
        for (int d = 0; d < D; ++d) h[d][i] = sum[d];
}

// The second order of one channel at a block of points whose samples are reals: h, and the scatter into `image_bar`.
// Either may be null.
template <class Real, int D, class Sum>
void second_block(const View<D>& view, const Cells<Real, D>& cells, const Real* image, Real fill,
                  const Real (*x_dot)[block_points], const Real* value, Sum* image_bar, Band band,
                  Real (*h)[block_points]) {
    using S = Simd<Real>;
    const int count = cells.position.count;
    if (view.way == Way::nearest || view.interpolation[0] == Interpolation::label) {
        for (int d = 0; h && d < D; ++d)
            for (int i = 0; i < count; ++i) h[d][i] = 0;
        return;
    }
    const bool at_once = view.way == Way::linear && view.stride[D - 1] == 1 && cells.inside_count > 0;
    if (at_once) {
        alignas(64) Real motion[D][block_points], inside_value[block_points];
        for (int i = 0; i < padded(count); ++i) {
            const bool inside = i < count && !cells.outside[i];
            inside_value[i] = inside && value ? value[i] : Real(0);
            for (int d = 0; d < D; ++d) motion[d][i] = inside ? x_dot[d][i] : Real(0);
        }
        int64_t edge_offset[1 << (D - 1)];
        corner_offsets<D, D - 1>(view, edge_offset);
        if (h)
            hessian_linear(
                cells,
                [&](int r, int i, typename S::Vector& left, typename S::Vector& right) {
                    load_neighbours<Real, Real>(image + edge_offset[r], cells.offset + i, left, right);
                },
                motion, h);
        if (image_bar) {
            alignas(64) Real share[1 << (D - 1)][2 * block_points];
            find_moving_shares(cells, inside_value, motion, share);
            if (band.whole)
                add_shares<Real, D, false, true>(view, cells, share, image_bar, band);
            else
                add_shares<Real, D, true, true>(view, cells, share, image_bar, band);
        }
    }
    alignas(64) int32_t skipped[block_points];
    for (int i = 0; i < count; ++i) skipped[i] = at_once && !cells.outside[i];
    for (int e = 0; e < cells.void_count; ++e) skipped[cells.void_point[e]] = 1;
    for (int i = 0; i < count; ++i) {
        if (skipped[i]) continue;
        second_at_point(view, cells, i, image, fill, x_dot, value ? value[i] : Real(0), image_bar, band, h);
    }
    for (int e = 0; h && e < cells.void_count; ++e)
        for (int d = 0; d < D; ++d) h[d][cells.void_point[e]] = 0;
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
