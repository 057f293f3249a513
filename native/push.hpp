// Scatter: image += value * weight at every tap, the transpose of pull. Within a block the order of the additions is
// fixed, and a band only leaves some of them out, so the sums have the same bits however the image is cut into bands.
#pragma once

#include "cells.hpp"
#include "simd.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// The rows of the image's first axis that a task may write to.
struct Band {
    int64_t begin, end;
    bool whole;  // all of them
};

// The four quarters of a block are walked in turn: neighbouring points write to the same samples, and a store that the
// next load waits for would cost more than the addition.
template <class Visit>
inline void walk_quarters(int count, Visit visit) {
    const int quarter = (count + 3) / 4;
    const int full = count - 3 * quarter;
    for (int j = 0; j < full; ++j) {
        visit(j);
        visit(quarter + j);
        visit(2 * quarter + j);
        visit(3 * quarter + j);
    }
    for (int j = full > 0 ? full : 0; j < quarter; ++j)
        for (int k = 0; k < 3; ++k)
            if (k * quarter + j < count) visit(k * quarter + j);
}

template <class Real, int D, bool banded>
void push_linear(const View<D>& view, const Cells<Real, D>& cells, const Real* value, Real* image, Band band) {
    using S = Simd<Real>;
    constexpr int corners = 1 << D;
    const int count = cells.position.count;
    alignas(64) Real share[block_points][corners];
    int64_t corner_offset[corners];
    corner_offsets<D, D>(view, corner_offset);
    for (int i = 0; i < count; i += S::width) {
        typename S::Vector w[corners];
        w[0] = S::load(value + i);
        for (int axis = 0, n = 1; axis < D; ++axis, n *= 2) {
            const typename S::Vector f = S::load(cells.position.fraction[axis] + i);
            for (int c = n - 1; c >= 0; --c) {
                w[2 * c + 1] = f == 0 ? f : w[c] * f;  // a tap of weight zero receives nothing, not even a NaN
                w[2 * c] = w[c] - w[2 * c + 1];
            }
        }
        for (int c = 0; c < corners; ++c)
            for (int k = 0; k < S::width; ++k) share[i + k][c] = w[c][k];
    }
    walk_quarters(count, [&](int i) {
        Real* at = image + cells.offset[i];
        if constexpr (banded) {
            const int64_t row = cells.first_row[i];
            for (int c = 0; c < corners; ++c) {
                const int64_t r = row + (c >> (D - 1));
                if (r >= band.begin && r < band.end) at[corner_offset[c]] += share[i][c];
            }
        } else {
            for (int c = 0; c < corners; ++c) at[corner_offset[c]] += share[i][c];
        }
    });
}

template <class Real, int D, bool banded>
void push_nearest(const Cells<Real, D>& cells, const Real* value, Real* image, Band band) {
    walk_quarters(cells.position.count, [&](int i) {
        if (banded && (cells.first_row[i] < band.begin || cells.first_row[i] >= band.end)) return;
        image[cells.offset[i]] += value[i];
    });
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
    high += view.taps[0] - 1;
    if (high < band.begin || low >= band.end) return Overlap::none;
    return low >= band.begin && high < band.end ? Overlap::all : Overlap::part;
}

template <class Real, int D>
void push_edge(const View<D>& view, const EdgeTaps<Real, D>& edge, int e, Band band, Real value, Real* image) {
    auto add = [&](int64_t offset, Real weight) { image[offset] += weight * value; };
    if (band.whole) {
        for_each_tap<Real, D>(view, edge, e, -1, 0, Real(1), add);
        return;
    }
    for (int t = 0; t < view.taps[0]; ++t) {
        if (edge.row[t][e] < band.begin || edge.row[t][e] >= band.end) continue;
        const Real weight = edge.weight[0][t][e];
        if (weight == 0) continue;
        if constexpr (D == 1)
            add(edge.offset[0][t][e], weight);
        else
            for_each_tap<Real, D, 1>(view, edge, e, -1, edge.offset[0][t][e], weight, add);
    }
}

// Scatters the values of one channel at a block of points; `value` is set to zero where a point is not wholly inside.
template <class Real, int D>
void push_block(const View<D>& view, const Cells<Real, D>& cells, Overlap part, Band band, Real* value, Real* image) {
    Real edge_value[block_points];
    for (int e = 0; e < cells.edge.count; ++e) {
        edge_value[e] = value[cells.edge.point[e]];
        value[cells.edge.point[e]] = 0;
    }
    for (int e = 0; e < cells.void_count; ++e) value[cells.void_point[e]] = 0;
    if (cells.inside_count > 0 && part != Overlap::none) {
        const bool nearest = view.interpolation[0] == Interpolation::nearest;
        if (part == Overlap::all)
            nearest ? push_nearest<Real, D, false>(cells, value, image, band)
                    : push_linear<Real, D, false>(view, cells, value, image, band);
        else
            nearest ? push_nearest<Real, D, true>(cells, value, image, band)
                    : push_linear<Real, D, true>(view, cells, value, image, band);
    }
    for (int e = 0; e < cells.edge.count; ++e) push_edge(view, cells.edge, e, band, edge_value[e], image);
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
