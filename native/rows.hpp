// Any number of taps an axis, where the samples of the last axis lie side by side: the taps of a point on that axis are
// one vector, loaded at once and never taken apart before the weighted sum over all rows is complete.
#pragma once

#include <type_traits>

#include "band.hpp"
#include "cells.hpp"
#include "simd.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

template <class Real, int lanes>
struct Lanes {
    typedef Real Vector __attribute__((vector_size(lanes * sizeof(Real))));
    static Vector load(const Real* p) {
        Vector v;
        std::memcpy(&v, p, sizeof v);
        return v;
    }
    static void store(Real* p, Vector v) { std::memcpy(p, &v, sizeof v); }
};

// Consecutive samples as reals.
template <class T, class Real, int lanes>
inline typename Lanes<Real, lanes>::Vector load_samples(const T* p) {
    if constexpr (std::is_same<T, Real>::value) {
        return Lanes<Real, lanes>::load(p);
#if defined(__SSE4_1__)
    } else if constexpr (std::is_same<T, uint8_t>::value && std::is_same<Real, float>::value && lanes == 4) {
        int32_t bytes;
        std::memcpy(&bytes, p, sizeof bytes);
        return _mm_cvtepi32_ps(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(bytes)));
#endif
    } else {
        typename Lanes<Real, lanes>::Vector v;
        for (int k = 0; k < lanes; ++k) v[k] = to_real<Real>(p[k]);
        return v;
    }
}

// The sums of the lanes of four vectors.
template <class Real>
inline typename Lanes<Real, 4>::Vector lane_sums(typename Lanes<Real, 4>::Vector a, typename Lanes<Real, 4>::Vector b,
                                                 typename Lanes<Real, 4>::Vector c, typename Lanes<Real, 4>::Vector d) {
    const auto ab = __builtin_shufflevector(a, b, 0, 4, 1, 5) + __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const auto cd = __builtin_shufflevector(c, d, 0, 4, 1, 5) + __builtin_shufflevector(c, d, 2, 6, 3, 7);
    return __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
}

template <class Real>
inline typename Lanes<Real, 4>::Vector lane_sums(typename Lanes<Real, 8>::Vector a, typename Lanes<Real, 8>::Vector b,
                                                 typename Lanes<Real, 8>::Vector c, typename Lanes<Real, 8>::Vector d) {
    const auto folded = [](typename Lanes<Real, 8>::Vector v) {
        return __builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7);
    };
    return lane_sums<Real>(folded(a), folded(b), folded(c), folded(d));
}

// The weighted sum of the rows of point i over all axes but the last, and its slopes along those axes if `jet`.
// `fixed` is the number of taps on each of them, or 0 where that is not known.
template <class T, class Real, int D, int lanes, int fixed, bool jet>
inline void sum_rows(const View<D>& view, const Cells<Real, D>& cells, const T* image, int i,
                     typename Lanes<Real, lanes>::Vector* sum) {
    using V = typename Lanes<Real, lanes>::Vector;
    const T* at = image + cells.offset[i];
    const auto load = [](const T* p) { return load_samples<T, Real, lanes>(p); };
    if constexpr (D == 1) {
        sum[0] = load(at);
    } else {
        for (int d = 0; d < (jet ? D : 1); ++d) sum[d] = V{};
        const int n0 = fixed ? fixed : view.taps[0], n1 = D == 2 ? 1 : (fixed ? fixed : view.taps[1]);
        for (int t = 0; t < n0; ++t) {
            const T* row = at + t * view.stride[0];
            const Real w0 = cells.weight[0][t][i];
            if constexpr (D == 2) {
                const V samples = load(row);
                sum[0] += w0 * samples;
                if constexpr (jet) sum[1] += cells.slope[0][t][i] * samples;
            } else {
                V plane{}, tilted{};
                for (int u = 0; u < n1; ++u) {
                    const V samples = load(row + u * view.stride[1]);
                    plane += cells.weight[1][u][i] * samples;
                    if constexpr (jet) tilted += cells.slope[1][u][i] * samples;
                }
                sum[0] += w0 * plane;
                if constexpr (jet) {
                    sum[1] += cells.slope[0][t][i] * plane;
                    sum[2] += w0 * tilted;
                }
            }
        }
    }
}

// Values, out[0], of points whose taps are all inside; or slopes, out[0 .. D).
template <class T, class Real, int D, int lanes, int fixed, bool jet>
void read_rows(const View<D>& view, const Cells<Real, D>& cells, const T* image, Real (*out)[block_points]) {
    using L = Lanes<Real, lanes>;
    constexpr int sums = jet ? D : 1;
    for (int i = 0; i < cells.position.count; i += 4) {
        typename L::Vector part[sums][4];
        for (int k = 0; k < 4; ++k) {
            typename L::Vector sum[D];
            sum_rows<T, Real, D, lanes, fixed, jet>(view, cells, image, i + k, sum);
            const auto weight = L::load(cells.row_weight + (i + k) * lanes);
            if constexpr (jet) {
                part[D - 1][k] = sum[0] * L::load(cells.row_slope + (i + k) * lanes);
                for (int d = 1; d < D; ++d) part[d - 1][k] = sum[d] * weight;
            } else {
                part[0][k] = sum[0] * weight;
            }
        }
        for (int s = 0; s < sums; ++s)
            Lanes<Real, 4>::store(out[s] + i, lane_sums<Real>(part[s][0], part[s][1], part[s][2], part[s][3]));
    }
}

template <class T, class Real, int D, bool jet>
void read_rows(const View<D>& view, const Cells<Real, D>& cells, const T* image, Real (*out)[block_points]) {
    bool cubic = true;
    for (int d = 0; d < D; ++d) cubic = cubic && view.taps[d] == 4;
    if (cubic)
        read_rows<T, Real, D, 4, 4, jet>(view, cells, image, out);
    else if (lane_count(view.taps[D - 1]) == 4)
        read_rows<T, Real, D, 4, 0, jet>(view, cells, image, out);
    else
        read_rows<T, Real, D, 8, 0, jet>(view, cells, image, out);
}

// The same numbers, in what sums are formed in.
template <class Sum, int lanes, class Vector>
inline typename Lanes<Sum, lanes>::Vector widened(Vector v) {
    return __builtin_convertvector(v, typename Lanes<Sum, lanes>::Vector);
}

// Adds the shares of a point to a row along the first axis. It is compiled once, for the reason that multiply_add
// gives: sums must have the same bits where a band parts the row.
template <class Real, int lanes, class Sum>
__attribute__((noinline, noclone)) void add_to_line(Sum* row, Real value, const Real* weight) {
    using L = Lanes<Sum, lanes>;
    L::store(row, L::load(row) + widened<Sum, lanes>(value * Lanes<Real, lanes>::load(weight)));
}

// Scatters to whole rows; the value of points that are not inside must be zero.
template <class Real, int D, int lanes, bool banded, class Sum>
void push_rows(const View<D>& view, const Cells<Real, D>& cells, const Real* value, Sum* image, Band band) {
    using L = Lanes<Real, lanes>;
    using Sums = Lanes<Sum, lanes>;
    walk_apart(cells.position.count, [&](int i) {
        Sum* at = image + cells.offset[i];
        const Real* along = cells.row_weight + i * lanes;
        if constexpr (D == 1 && banded) {  // the band may part the row
            const int64_t first = cells.first_row[i];
            const int begin = static_cast<int>(first < band.begin ? band.begin - first : 0);
            const int end = static_cast<int>(first + lanes > band.end ? band.end - first : lanes);
            Sum part[lanes] = {};
            for (int t = begin; t < end; ++t) part[t] = at[t];
            add_to_line<Real, lanes>(part, value[i], along);
            for (int t = begin; t < end; ++t) at[t] = part[t];
        } else if constexpr (D == 1) {
            add_to_line<Real, lanes>(at, value[i], along);
        } else {
            const typename L::Vector shares = value[i] * L::load(along);
            const auto add = [&](Sum* row, Real weight) {
                Sums::store(row, Sums::load(row) + widened<Sum, lanes>(weight * shares));
            };
            for (int t = 0; t < view.taps[0]; ++t) {
                const int64_t first = cells.first_row[i] + t;
                if (banded && (first < band.begin || first >= band.end)) continue;
                Sum* row = at + t * view.stride[0];
                const Real weight = cells.weight[0][t][i];
                if constexpr (D == 2)
                    add(row, weight);
                else
                    for (int u = 0; u < view.taps[1]; ++u)
                        add(row + u * view.stride[1], weight * cells.weight[1][u][i]);
            }
        }
    });
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
