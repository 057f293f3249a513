// Scatter: image += value * weight at every tap, the transpose of pull. Within a block the order of the additions is
// fixed, and a band only leaves some of them out, so the sums have the same bits however the image is cut into bands.
// `Sum` is what they are formed in: shares in single precision are added up in double, so that no digits are lost with
// their number (see sums.hpp).
#pragma once

#include "band.hpp"
#include "cells.hpp"
#include "rows.hpp"
#include "simd.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// Sets the rows of a band to zero.
template <class Real, int D>
void clear_band(const View<D>& view, Band band, Real* image) {
    const int64_t n = view.size[D - 1], stride = view.stride[D - 1];
    const auto clear_row = [&](Real* row, int64_t begin, int64_t end) {
        if (stride == 1)
            for (int64_t x = begin; x < end; ++x) row[x] = 0;
        else
            for (int64_t x = begin; x < end; ++x) row[x * stride] = 0;
    };
    if constexpr (D == 1) {
        clear_row(image, band.begin, band.end);
    } else {
        for (int64_t i = band.begin; i < band.end; ++i) {
            Real* slice = image + i * view.stride[0];
            for (int64_t y = 0; y < (D == 3 ? view.size[1] : 1); ++y) clear_row(slice + y * view.stride[1], 0, n);
        }
    }
}

// Rounds the sums of a band, which lie as `from` says, to the rows of an image.
template <class Real, int D>
void round_band(const View<D>& from, const View<D>& to, Band band, const double* sums, Real* image) {
    const int64_t n = to.size[D - 1], stride = to.stride[D - 1];
    if constexpr (D == 1) {
        for (int64_t x = band.begin; x < band.end; ++x) image[x * stride] = static_cast<Real>(sums[x]);
    } else {
        for (int64_t i = band.begin; i < band.end; ++i)
            for (int64_t y = 0; y < (D == 3 ? to.size[1] : 1); ++y) {
                const double* row = sums + i * from.stride[0] + (D == 3 ? y * from.stride[1] : 0);
                Real* place = image + i * to.stride[0] + (D == 3 ? y * to.stride[1] : 0);
                if (stride == 1)
                    for (int64_t x = 0; x < n; ++x) place[x] = static_cast<Real>(row[x]);
                else
                    for (int64_t x = 0; x < n; ++x) place[x * stride] = static_cast<Real>(row[x]);
            }
    }
}

// The shares of the corners of each cell, the two corners of an edge along the last axis side by side: share[r] holds
// (left, right) of edge r for one point after the other.
template <class Real, int D>
void find_shares(const Cells<Real, D>& cells, const Real* value, Real (*share)[2 * block_points]) {
    using S = Simd<Real>;
    constexpr int corners = 1 << D;
    for (int i = 0; i < cells.position.count; i += S::width) {
        typename S::Vector w[corners];
        w[0] = S::load(value + i);
        for (int axis = 0, n = 1; axis < D; ++axis, n *= 2) {
            const typename S::Vector f = S::load(cells.position.fraction[axis] + i);
            for (int c = n - 1; c >= 0; --c) {
                w[2 * c + 1] = f == 0 ? f : w[c] * f;  // a tap of weight zero receives nothing, not even a NaN
                w[2 * c] = w[c] - w[2 * c + 1];
            }
        }
        for (int r = 0; r < corners / 2; ++r) {
            typename S::Vector first, second;
            interleave<Real>(w[2 * r], w[2 * r + 1], first, second);
            S::store(share[r] + 2 * i, first);
            S::store(share[r] + 2 * i + S::width, second);
        }
    }
}

// Adds the shares of the corners of cells, as find_shares lays them out.
template <class Real, int D, bool banded, bool adjacent, class Sum>
void add_shares(const View<D>& view, const Cells<Real, D>& cells, const Real (*share)[2 * block_points], Sum* image,
                Band band) {
    typedef Real Pair __attribute__((vector_size(2 * sizeof(Real))));
    typedef Sum Sums __attribute__((vector_size(2 * sizeof(Sum))));
    constexpr int edges = 1 << (D - 1);
    int64_t edge_offset[edges];
    corner_offsets<D, D - 1>(view, edge_offset);
    [[maybe_unused]] const int64_t step = adjacent ? 1 : view.stride[D - 1];
    // In one dimension the last axis is the first: a band may part the two corners.
    constexpr bool parted = banded && D == 1;
    walk_apart(cells.position.count, [&](int i) {
        Sum* at = image + cells.offset[i];
        const int64_t row = cells.first_row[i];
        for (int r = 0; r < edges; ++r) {
            const int64_t edge_row = D == 1 ? row : row + (r >> (D - 2) & 1);
            Sum* left = at + edge_offset[r];
            const Real* pair = share[r] + 2 * i;
            if (banded && !parted && (edge_row < band.begin || edge_row >= band.end)) continue;
            if constexpr (adjacent && !parted) {
                Sums sum;
                Pair part;
                std::memcpy(&sum, left, sizeof sum);
                std::memcpy(&part, pair, sizeof part);
                sum += __builtin_convertvector(part, Sums);
                std::memcpy(left, &sum, sizeof sum);
            } else {
                if (!parted || (row >= band.begin && row < band.end)) left[0] += pair[0];
                if (!parted || (row + 1 >= band.begin && row + 1 < band.end)) left[step] += pair[1];
            }
        }
    });
}

template <class Real, int D, bool banded, bool adjacent, class Sum>
void push_linear(const View<D>& view, const Cells<Real, D>& cells, const Real* value, Sum* image, Band band) {
    alignas(64) Real share[1 << (D - 1)][2 * block_points];
    find_shares<Real, D>(cells, value, share);
    add_shares<Real, D, banded, adjacent>(view, cells, share, image, band);
}

template <class Real, int D, bool banded, class Sum>
void push_nearest(const Cells<Real, D>& cells, const Real* value, Sum* image, Band band) {
    walk_apart(cells.position.count, [&](int i) {
        if (banded && (cells.first_row[i] < band.begin || cells.first_row[i] >= band.end)) return;
        image[cells.offset[i]] += value[i];
    });
}

// Scatters one point's value a tap at a time. `Taps` gives row(t), the sample on axis 0.
template <class Real, int D, class Taps, class Sum>
void push_point(const View<D>& view, const Taps& taps, Band band, Real value, int64_t offset, Sum* image) {
    auto add = [&](int64_t there, Sum weight) { image[there] = multiply_add(weight, Sum(value), image[there]); };
    if (band.whole) {
        for_each_tap<Real, D>(view, taps, -1, offset, Real(1), add);
        return;
    }
    for (int t = 0; t < view.taps[0]; ++t) {
        const int64_t row = taps.row(t);
        if (row < band.begin || row >= band.end) continue;
        const Real weight = taps.weight(0, t);
        if (weight == 0) continue;
        if constexpr (D == 1)
            add(offset + taps.offset(0, t), weight);
        else
            for_each_tap<Real, D, 1>(view, taps, -1, offset + taps.offset(0, t), weight, add);
    }
}

// Any number of taps. Values that are not finite must not spread to taps of weight zero: they do not go in rows.
template <class Real, int D, bool banded, class Sum>
void push_taps(const View<D>& view, const Cells<Real, D>& cells, Real* value, Sum* image, Band band) {
    const Band part{band.begin, band.end, !banded};
    for (int i = 0; i < cells.position.count; ++i) {
        if (view.rows ? value[i] - value[i] == 0 : value[i] == 0) continue;
        push_point(view, TapsInside<Real, D>{view, cells, i}, part, value[i], cells.offset[i], image);
        value[i] = 0;
    }
    if (view.rows && lane_count(view.taps[D - 1]) == 4)
        push_rows<Real, D, 4, banded>(view, cells, value, image, band);
    else if (view.rows)
        push_rows<Real, D, 8, banded>(view, cells, value, image, band);
}

template <class Real, int D, bool banded, class Sum>
void push_inside(const View<D>& view, const Cells<Real, D>& cells, Real* value, Sum* image, Band band) {
    if (view.way == Way::taps)
        push_taps<Real, D, banded>(view, cells, value, image, band);
    else if (view.way == Way::nearest)
        push_nearest<Real, D, banded>(cells, value, image, band);
    else if (view.stride[D - 1] == 1)
        push_linear<Real, D, banded, true>(view, cells, value, image, band);
    else
        push_linear<Real, D, banded, false>(view, cells, value, image, band);
}

// How a block stands to a band.
enum class Overlap { none, part, all };

template <class Real, int D>
Overlap overlap(const View<D>& view, const Cells<Real, D>& cells, Band band) {
    if (band.whole) return Overlap::all;
    int32_t low = void_index, high = -1;
    for (int i = 0; i < cells.position.count; ++i) {
        low = cells.first_row[i] < low ? cells.first_row[i] : low;
        high = cells.first_row[i] > high ? cells.first_row[i] : high;
    }
    const bool vectors_along = D == 1 && view.rows;  // which may write more than the taps
    high += (vectors_along ? lane_count(view.taps[0]) : view.taps[0]) - 1;
    if (high < band.begin || low >= band.end) return Overlap::none;
    return low >= band.begin && high < band.end ? Overlap::all : Overlap::part;
}

// The corners of edge points, where no band leaves any of them out.
template <class Real, int D, class Sum>
void push_edge_corners(const EdgeTaps<Real, D>& edge, const Real* value, Sum* image) {
    for (int e = 0; e < edge.count; ++e)
        for (int c = 0; c < 1 << D; ++c) {
            Sum& sample = image[edge.corner_offset[c][e]];
            if (edge.corner_weight[c][e] != 0)
                sample = multiply_add(Sum(edge.corner_weight[c][e]), Sum(value[e]), sample);
        }
}

// Scatters the values of one channel at a block of points; `value` is set to zero where a point is not wholly inside.
template <class Real, int D, class Sum>
void push_block(const View<D>& view, const Cells<Real, D>& cells, Overlap part, Band band, Real* value, Sum* image) {
    Real edge_value[block_points];
    for (int e = 0; e < cells.edge.count; ++e) {
        edge_value[e] = value[cells.edge.point[e]];
        value[cells.edge.point[e]] = 0;
    }
    for (int e = 0; e < cells.void_count; ++e) value[cells.void_point[e]] = 0;
    if (cells.inside_count > 0 && part != Overlap::none) {
        if (part == Overlap::all)
            push_inside<Real, D, false>(view, cells, value, image, band);
        else
            push_inside<Real, D, true>(view, cells, value, image, band);
    }
    if (view.way == Way::linear && band.whole) {
        push_edge_corners(cells.edge, edge_value, image);
        return;
    }
    for (int e = 0; e < cells.edge.count; ++e)
        push_point(view, TapsAtEdge<Real, D>{view, cells.edge, e}, band, edge_value[e], 0, image);
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
