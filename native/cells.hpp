// What the taps of a block of points are: inside the image, all but an address; near its border, a list; beyond it,
// nothing. Made once for a block, used by every channel and by values, slopes and scatters alike.
#pragma once

#include "basis.hpp"
#include "border.hpp"
#include "lattice.hpp"
#include "simd.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// Loops over points run to a multiple of the widest vector: a compiler that knows it leaves out the remainder loop,
// which would cost more than the loop. What lies past the end of a block stands in for points, and is never stored.
inline int padded(int count) { return (count + group_points - 1) & -group_points; }

// The one-dimensional taps of the points that are not wholly inside. Taps that read `fill` have lost their weight and
// slope to fill_weight and fill_slope.
template <class Real, int D>
struct EdgeTaps {
    int count;
    int point[block_points];
    int32_t row[max_taps][block_points];  // the sample on axis 0
    int64_t offset[D][max_taps][block_points];
    Real weight[D][max_taps][block_points];
    Real slope[D][max_taps][block_points];
    Real fill_weight[block_points];
    Real fill_slope[D][block_points];
};

template <class Real, int D>
struct Cells {
    Position<Real, D> position;
    alignas(64) int64_t offset[block_points];     // of the first tap, held onto the image where the point is not inside
    alignas(64) int32_t first_row[block_points];  // the first tap on axis 0, held likewise
    alignas(64) int32_t outside[block_points];    // nonzero where not every tap is inside
    int inside_count, void_count;
    int void_point[block_points];  // points that read nothing but `fill`
    EdgeTaps<Real, D> edge;
};

// How the axes of the image are read.
template <int D>
struct View {
    int64_t size[D];
    int64_t stride[D];
    int taps[D];
    Interpolation interpolation[D];
    Border border[D];
    bool crop;
    bool direct;        // nearest or linear on all axes: points inside need no weights
    bool small_offset;  // every offset fits an int32
    int32_t margin;     // samples of fill around the image: 1 in a copy that has them (margin.hpp), 0 elsewhere
};

template <int D>
View<D> view_of(const Plan& plan, const Image& image) {
    View<D> view;
    view.margin = 0;
    view.crop = plan.crop;
    view.direct = true;
    double reach = 0;
    for (int d = 0; d < D; ++d) {
        view.size[d] = image.size[d];
        view.stride[d] = image.stride[d];
        view.interpolation[d] = plan.interpolation[d];
        view.border[d] = plan.border[d];
        view.taps[d] = tap_count(plan.interpolation[d]);
        view.direct =
            view.direct && plan.interpolation[d] == plan.interpolation[0] &&
            (plan.interpolation[d] == Interpolation::nearest || plan.interpolation[d] == Interpolation::linear);
        reach += static_cast<double>(image.size[d]) * std::fabs(static_cast<double>(image.stride[d]));
    }
    view.small_offset = reach < 2147483647.0;
    return view;
}

// The offsets of the corners of a cell over its first `axes` axes; bit axes - 1 - a of a corner's number is its step
// on axis a.
template <int D, int axes>
void corner_offsets(const View<D>& view, int64_t* offset) {
    for (int c = 0; c < 1 << axes; ++c) {
        offset[c] = 0;
        for (int a = 0; a < axes; ++a)
            if (c >> (axes - 1 - a) & 1) offset[c] += view.stride[a];
    }
}

// Gives every point the offset of its first tap, held onto the image, and marks the points whose taps are not all
// inside. Returns whether there are any. `Offset` holds every offset.
template <bool nearest, class Offset, class Real, int D>
bool find_offsets(const View<D>& view, Cells<Real, D>& cells) {
    const int count = padded(cells.position.count);
    int32_t last[D], any = 0;
    Offset stride[D];
    bool fits = true;
    for (int d = 0; d < D; ++d) {
        last[d] = static_cast<int32_t>(view.size[d] - view.taps[d]);
        stride[d] = static_cast<Offset>(view.stride[d]);
        fits = fits && last[d] >= 0;
    }
    if (!fits || !view.direct) {
        for (int i = 0; i < count; ++i) {
            cells.outside[i] = 1;
            cells.offset[i] = 0;
            cells.first_row[i] = 0;
        }
        return true;
    }
    const int32_t margin = view.margin;
    for (int i = 0; i < count; ++i) {
        int32_t outside = 0, row = 0;
        Offset offset = 0;
        for (int d = 0; d < D; ++d) {
            int32_t k = cells.position.floor[d][i] + margin;
            if (nearest) k += first_tap(Interpolation::nearest, cells.position.fraction[d][i]);
            outside |= static_cast<uint32_t>(k) > static_cast<uint32_t>(last[d]);
            k = k > 0 ? k : 0;
            k = k < last[d] ? k : last[d];
            offset += k * stride[d];
            if (d == 0) row = k;
        }
        cells.outside[i] = outside;
        cells.offset[i] = offset;
        cells.first_row[i] = row;
        any |= outside;
    }
    // A crop may end between a point and the sample nearest to it.
    if (nearest && view.crop)
        for (int d = 0; d < D; ++d)
            for (int i = 0; i < count; ++i) {
                cells.outside[i] |=
                    static_cast<uint32_t>(cells.position.floor[d][i]) >= static_cast<uint32_t>(view.size[d] - 1);
                any |= cells.outside[i];
            }
    return any != 0;
}

template <class Real, int D>
bool find_offsets(const View<D>& view, Cells<Real, D>& cells) {
    const bool nearest = view.interpolation[0] == Interpolation::nearest;
    if (view.small_offset)
        return nearest ? find_offsets<true, int32_t>(view, cells) : find_offsets<false, int32_t>(view, cells);
    return nearest ? find_offsets<true, int64_t>(view, cells) : find_offsets<false, int64_t>(view, cells);
}

// Lists where flag, which is 0 or 1, is 1.
inline int list_nonzero(const int32_t* flag, int count, int* index) {
    int n = 0;
    for (int i = 0; i < count; i += Simd<int32_t>::width)
        for (uint32_t lanes = nonzero_lanes(flag + i); lanes; lanes &= lanes - 1) index[n++] = i + __builtin_ctz(lanes);
    return n;
}

// Sorts the points that are not wholly inside into those with taps on the image and those without.
template <class Real, int D>
void find_edges(const View<D>& view, Cells<Real, D>& cells) {
    const int count = padded(cells.position.count);
    alignas(64) int32_t beyond[block_points];
    for (int i = 0; i < count; ++i) beyond[i] = 0;
    for (int d = 0; d < D; ++d) {
        const int32_t* floor = cells.position.floor[d];
        const Real* fraction = cells.position.fraction[d];
        const int32_t size = static_cast<int32_t>(view.size[d]);
        for (int i = 0; i < count; ++i) beyond[i] |= (floor[i] <= -void_index) | (floor[i] >= void_index);
        if (view.border[d] == Border::constant) {
            const int32_t low = -view.taps[d];
            for (int i = 0; i < count; ++i) {
                const int32_t first = floor[i] + first_tap(view.interpolation[d], fraction[i]);
                beyond[i] |= (first <= low) | (first >= size);
            }
        }
        if (view.crop)
            for (int i = 0; i < count; ++i)
                beyond[i] |= (floor[i] < 0) | (floor[i] > size - 1) | ((floor[i] == size - 1) & (fraction[i] > 0));
    }
    for (int i = 0; i < count; ++i) {
        beyond[i] &= cells.outside[i];
        cells.outside[i] &= ~beyond[i];
    }
    cells.edge.count = list_nonzero(cells.outside, count, cells.edge.point);
    cells.void_count = list_nonzero(beyond, count, cells.void_point);
}

// The taps of the edge points.
template <class Real, int D>
void find_edge_taps(const View<D>& view, Cells<Real, D>& cells) {
    EdgeTaps<Real, D>& edge = cells.edge;
    const int count = padded(edge.count);
    for (int e = edge.count; e < count; ++e) edge.point[e] = edge.point[0];
    alignas(64) int32_t first[block_points], k[block_points], sample[block_points], inside[block_points];
    alignas(64) int32_t all_inside[block_points];
    alignas(64) Real fraction[block_points], kept[D][block_points], kept_slope[D][block_points];
    for (int d = 0; d < D; ++d) {
        for (int e = 0; e < count; ++e) {
            fraction[e] = cells.position.fraction[d][edge.point[e]];
            first[e] = cells.position.floor[d][edge.point[e]] + first_tap(view.interpolation[d], fraction[e]);
            kept[d][e] = kept_slope[d][e] = 0;
            all_inside[e] = 1;
        }
        basis<Real, block_points>(view.interpolation[d], fraction, count, edge.weight[d], edge.slope[d]);
        for (int t = 0; t < view.taps[d]; ++t) {
            for (int e = 0; e < count; ++e) k[e] = first[e] + t;
            map_taps(view.border[d], static_cast<int32_t>(view.size[d]), k, count, sample, inside);
            Real* weight = edge.weight[d][t];
            Real* slope = edge.slope[d][t];
            for (int e = 0; e < count; ++e) {
                weight[e] = inside[e] ? weight[e] : Real(0);
                slope[e] = inside[e] ? slope[e] : Real(0);
                kept[d][e] += weight[e];
                kept_slope[d][e] += slope[e];
                all_inside[e] &= inside[e];
            }
            for (int e = 0; e < count; ++e) edge.offset[d][t][e] = sample[e] * view.stride[d];
            if (d == 0)
                for (int e = 0; e < count; ++e) edge.row[t][e] = sample[e];
        }
        // The sums are known where no tap is lost: rounding must not leave a trace of `fill` there.
        for (int e = 0; e < count; ++e) {
            kept[d][e] = all_inside[e] ? Real(1) : kept[d][e];
            kept_slope[d][e] = all_inside[e] ? Real(0) : kept_slope[d][e];
        }
    }
    for (int e = 0; e < count; ++e) {
        Real all = 1;
        for (int d = 0; d < D; ++d) {
            all *= kept[d][e];
            Real slope = -kept_slope[d][e];
            for (int other = 0; other < D; ++other)
                if (other != d) slope *= kept[other][e];
            edge.fill_slope[d][e] = slope;
        }
        edge.fill_weight[e] = 1 - all;
    }
}

// Everything about the taps of a block whose positions are known.
template <class Real, int D>
void find_cells(const View<D>& view, Cells<Real, D>& cells) {
    const int count = cells.position.count, end = padded(count);
    for (int d = 0; d < D; ++d)
        for (int i = count; i < end; ++i) {
            cells.position.floor[d][i] = 0;
            cells.position.fraction[d][i] = 0;
        }
    const bool any = find_offsets(view, cells);
    for (int i = count; i < end; ++i) cells.outside[i] = 0;
    cells.edge.count = cells.void_count = 0;
    if (any && view.margin)
        cells.void_count = list_nonzero(cells.outside, end, cells.void_point);
    else if (any)
        find_edges(view, cells);
    if (cells.edge.count) find_edge_taps(view, cells);
    cells.inside_count = count - cells.edge.count - cells.void_count;
}

// Calls visit(offset, weight) for the taps of edge point e; on axis `along` (-1: none) slopes take the place of
// weights. Taps of weight zero are passed over, so that a NaN there does not spread.
template <class Real, int D, int axis = 0, class Visit>
inline void for_each_tap(const View<D>& view, const EdgeTaps<Real, D>& edge, int e, int along, int64_t offset,
                         Real weight, Visit& visit) {
    for (int t = 0; t < view.taps[axis]; ++t) {
        const Real product = weight * (along == axis ? edge.slope[axis][t][e] : edge.weight[axis][t][e]);
        if (product == 0) continue;
        if constexpr (axis + 1 == D)
            visit(offset + edge.offset[axis][t][e], product);
        else
            for_each_tap<Real, D, axis + 1>(view, edge, e, along, offset + edge.offset[axis][t][e], product, visit);
    }
}

// The value at edge point e, or its slope along an axis.
template <class T, class Real, int D>
inline Real edge_sum(const View<D>& view, const EdgeTaps<Real, D>& edge, int e, int along, const T* image, Real fill) {
    const Real fill_share = along < 0 ? edge.fill_weight[e] : edge.fill_slope[along][e];
    Real sum = fill_share == 0 ? Real(0) : fill_share * fill;
    auto add = [&](int64_t offset, Real weight) { sum += weight * static_cast<Real>(image[offset]); };
    for_each_tap<Real, D>(view, edge, e, along, 0, Real(1), add);
    return sum;
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
