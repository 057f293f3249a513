// What the taps of a block of points are: inside the image, all but an address; near its border, a list; beyond it,
// nothing. Made once for a block, used by every channel and by values, slopes and scatters alike.
#pragma once

#include "basis.hpp"
#include "border.hpp"
#include "dtypes.hpp"
#include "lattice.hpp"
#include "simd.hpp"
#include "transpose.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// The one-dimensional taps of the points that are not wholly inside. Taps that read `fill` have lost their weight and
// slope to fill_weight and fill_slope.
template <class Real, int D>
struct EdgeTaps {
    int count;
    int point[block_points];
    int32_t sample[D][max_taps][block_points];
    Real weight[D][max_taps][block_points];
    Real slope[D][max_taps][block_points];
    Real fill_weight[block_points];
    Real fill_slope[D][block_points];
    // Of two taps an axis, all the products: the corners of the cell.
    int64_t corner_offset[1 << D][block_points];
    Real corner_weight[1 << D][block_points];
    Real corner_slope[D][1 << D][block_points];
};

template <class Real, int D>
struct Cells {
    Position<Real, D> position;
    alignas(64) int64_t offset[block_points];     // of the first tap; that of a point inside for those that are not
    alignas(64) int32_t first_row[block_points];  // the first tap on axis 0, likewise
    alignas(64) int32_t outside[block_points];    // nonzero where not every tap is inside
    int inside_count, void_count;
    int void_point[block_points];  // points that read nothing but `fill`
    // The weights of all points, where the points inside are not interpolated from their fractions alone.
    alignas(64) Real weight[D][max_taps][block_points];
    alignas(64) Real slope[D][max_taps][block_points];
    // Those on the last axis once more, the taps of a point side by side, `lane_count` of them (see rows.hpp).
    alignas(64) Real row_weight[block_points * max_taps];
    alignas(64) Real row_slope[block_points * max_taps];
    EdgeTaps<Real, D> edge;
};

// How the points inside are read.
enum class Way {
    nearest,  // one sample
    linear,   // two samples an axis, from the fractions
    taps      // weights of any number of samples
};

// How the axes of the image are read.
template <int D>
struct View {
    int64_t size[D];
    int64_t stride[D];
    int taps[D];
    Interpolation interpolation[D];
    double parameter[D];
    Border border[D];
    bool crop;
    double near;     // how far a point may be rounded onto the edge of a crop, or half-way between two samples
    double half[D];  // the fraction from which on the next sample is the nearest one
    Way way;
    bool slopes;        // wanted beside the weights
    bool rows;          // taps, whose samples lie side by side on the last axis
    bool pixels;        // linear, all channels of a pixel at once (pixels.hpp)
    int32_t room;       // samples of the last axis that must follow a point's first tap: its taps, or a vector's lanes
    bool small_offset;  // every offset fits an int32
    int32_t margin;     // samples of fill around the image: 1 in a copy that has them (margin.hpp), 0 elsewhere
};

// As many samples as a vector of the taps on an axis has.
inline int lane_count(int taps) { return taps <= 4 ? 4 : 8; }

template <class Real, int D>
View<D> view_of(const Call& call, const Image& image, bool slopes) {
    const Plan& plan = call.plan;
    const bool precise = sizeof(Real) == sizeof(double) && call.geometry.dtype == DType::f64;
    View<D> view;
    view.near = precise ? plan.near : plan.near_in_single;
    view.slopes = slopes;
    view.margin = 0;
    view.pixels = false;
    view.crop = plan.crop;
    bool uniform = true;
    double reach = 0;
    for (int d = 0; d < D; ++d) {
        view.size[d] = image.size[d];
        view.stride[d] = image.stride[d];
        view.interpolation[d] = plan.interpolation[d];
        view.parameter[d] = plan.parameter[d];
        view.border[d] = plan.border[d];
        view.taps[d] = tap_count(plan.interpolation[d]);
        // Values of more taps than one do not jump half-way.
        view.half[d] = view.taps[d] == 1 ? 0.5 - view.near : 0.5;
        uniform = uniform && plan.interpolation[d] == plan.interpolation[0];
        reach += static_cast<double>(image.size[d]) * std::fabs(static_cast<double>(image.stride[d]));
    }
    view.way = Way::taps;
    if (uniform && plan.interpolation[0] == Interpolation::nearest) view.way = Way::nearest;
    if (uniform && plan.interpolation[0] == Interpolation::linear) view.way = Way::linear;
    view.rows = view.way == Way::taps && view.stride[D - 1] == 1;
    view.room = view.rows ? lane_count(view.taps[D - 1]) : view.taps[D - 1];
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
template <Way way, class Offset, class Real, int D>
bool find_offsets(const View<D>& view, Cells<Real, D>& cells) {
    const int count = padded(cells.position.count);
    int32_t last[D], any = 0;
    Offset stride[D];
    Real half[D];
    bool fits = view.interpolation[0] != Interpolation::label;
    for (int d = 0; d < D; ++d) {
        last[d] = static_cast<int32_t>(view.size[d] - (d == D - 1 ? view.room : view.taps[d]));
        stride[d] = static_cast<Offset>(view.stride[d]);
        half[d] = static_cast<Real>(view.half[d]);
        fits = fits && last[d] >= 0;
    }
    if (!fits) {
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
            if (way == Way::nearest) k += first_tap(1, cells.position.fraction[d][i], half[d]);
            if (way == Way::taps) k += first_tap(view.taps[d], cells.position.fraction[d][i], half[d]);
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
    if (way != Way::linear && view.crop)
        for (int d = 0; d < D; ++d)
            for (int i = 0; i < count; ++i) {
                cells.outside[i] |=
                    static_cast<uint32_t>(cells.position.floor[d][i]) >= static_cast<uint32_t>(view.size[d] - 1);
                any |= cells.outside[i];
            }
    return any != 0;
}

template <class Offset, class Real, int D>
bool find_offsets(const View<D>& view, Cells<Real, D>& cells) {
    switch (view.way) {
        case Way::nearest: return find_offsets<Way::nearest, Offset>(view, cells);
        case Way::linear: return find_offsets<Way::linear, Offset>(view, cells);
        case Way::taps: break;
    }
    return find_offsets<Way::taps, Offset>(view, cells);
}

// Lists where flag, which is 0 or 1, is 1.
inline int list_nonzero(const int32_t* flag, int count, int* index) {
    int n = 0;
    for (int i = 0; i < count; i += Simd<int32_t>::width)
        for (uint32_t lanes = nonzero_lanes(flag + i); lanes; lanes &= lanes - 1) index[n++] = i + __builtin_ctz(lanes);
    return n;
}

// Moves the edge points that lie a rounding beyond a crop onto its edge, before `fill` gets a share of them.
template <class Real, int D>
void round_to_edge(const View<D>& view, Cells<Real, D>& cells) {
    for (int d = 0; d < D; ++d)
        for (int e = 0; e < cells.edge.count; ++e) {
            int32_t& floor = cells.position.floor[d][cells.edge.point[e]];
            Real& fraction = cells.position.fraction[d][cells.edge.point[e]];
            if (floor >= 0 && floor < view.size[d] - 1) continue;
            floor = floor < 0 ? 0 : floor;
            fraction = 0;
        }
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
        const Real half = static_cast<Real>(view.half[d]);
        for (int i = 0; i < count; ++i) beyond[i] |= (floor[i] <= -void_index) | (floor[i] >= void_index);
        if (view.border[d] == Border::constant) {
            const int32_t low = size > 0 ? -view.taps[d] : void_index;  // an image without samples has none to read
            for (int i = 0; i < count; ++i) {
                const int32_t first = floor[i] + first_tap(view.taps[d], fraction[i], half);
                beyond[i] |= (first <= low) | (first >= size);
            }
        }
        if (view.crop) {
            // The outermost samples belong to the image.
            const bool exact = view.near == 0;
            const Real near = static_cast<Real>(view.near);
            for (int i = 0; i < count; ++i)
                beyond[i] |= (floor[i] < -1) | ((floor[i] == -1) & (exact | (fraction[i] < 1 - near))) |
                             (floor[i] > size - 1) | ((floor[i] == size - 1) & (fraction[i] > near));
        }
    }
    alignas(64) int32_t on_edge[block_points];
    for (int i = 0; i < count; ++i) {
        beyond[i] &= cells.outside[i];
        on_edge[i] = cells.outside[i] & ~beyond[i];
    }
    cells.edge.count = list_nonzero(on_edge, count, cells.edge.point);
    cells.void_count = list_nonzero(beyond, count, cells.void_point);
    if (view.crop) round_to_edge(view, cells);
}

// The corners of the cells of edge points, for linear interpolation.
template <class Real, int D>
void find_edge_corners(const View<D>& view, EdgeTaps<Real, D>& edge) {
    const int count = padded(edge.count);
    for (int c = 0; c < 1 << D; ++c) {
        const auto product = [&](Real* out, int along) {
            for (int e = 0; e < count; ++e) out[e] = 1;
            for (int d = 0; d < D; ++d) {
                const int t = c >> (D - 1 - d) & 1;
                const Real* factor = d == along ? edge.slope[d][t] : edge.weight[d][t];
                for (int e = 0; e < count; ++e) out[e] *= factor[e];
            }
        };
        product(edge.corner_weight[c], -1);
        for (int d = 0; d < D && view.slopes; ++d) product(edge.corner_slope[d][c], d);
        for (int e = 0; e < count; ++e) edge.corner_offset[c][e] = 0;
        for (int d = 0; d < D; ++d)
            for (int e = 0; e < count; ++e)
                edge.corner_offset[c][e] += edge.sample[d][c >> (D - 1 - d) & 1][e] * view.stride[d];
    }
}

// Points that are not inside stand in for one that is: they are read and written along with the others, to no effect,
// and must not touch memory that no other point needs.
template <class Real, int D>
void hide_outside(Cells<Real, D>& cells) {
    const int count = padded(cells.position.count);
    int inside = 0;
    while (cells.outside[inside]) ++inside;
    const int64_t offset = cells.offset[inside];
    const int32_t row = cells.first_row[inside];
    for (int i = 0; i < count; ++i) {
        cells.offset[i] = cells.outside[i] ? offset : cells.offset[i];
        cells.first_row[i] = cells.outside[i] ? row : cells.first_row[i];
    }
}

// The taps of the edge points.
template <class Real, int D>
void find_edge_taps(const View<D>& view, Cells<Real, D>& cells) {
    EdgeTaps<Real, D>& edge = cells.edge;
    if (edge.count <= 0) return;
    const int count = padded(edge.count);
    for (int e = edge.count; e < count; ++e) edge.point[e] = edge.point[0];
    alignas(64) int32_t first[block_points], k[block_points], sample[block_points], inside[block_points];
    alignas(64) int32_t all_inside[block_points];
    alignas(64) Real fraction[block_points], kept[D][block_points], kept_slope[D][block_points];
    for (int d = 0; d < D; ++d) {
        const Real half = static_cast<Real>(view.half[d]), near = static_cast<Real>(view.near);
        const bool votes = view.interpolation[d] == Interpolation::label;
        for (int e = 0; e < count; ++e) {
            fraction[e] = cells.position.fraction[d][edge.point[e]];
            if (votes && std::fabs(fraction[e] - Real(0.5)) <= near) fraction[e] = Real(0.5);
            first[e] = cells.position.floor[d][edge.point[e]] + first_tap(view.taps[d], fraction[e], half);
            kept[d][e] = kept_slope[d][e] = 0;
            all_inside[e] = 1;
        }
        basis<Real, block_points>(view.interpolation[d], view.parameter[d], fraction, count, edge.weight[d],
                                  edge.slope[d]);
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
            for (int e = 0; e < count; ++e) edge.sample[d][t][e] = sample[e];
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

// The tables of the taps, one after the other in memory for each point; zeros fill up its lanes.
template <class Real, int lanes>
void store_side_by_side(const Real (*table)[block_points], int taps, int count, Real* row) {
    using S = Simd<Real>;
    for (int i = 0; i < count; i += S::width) {
        typename S::Vector v[lanes];
        for (int t = 0; t < lanes; ++t) v[t] = t < taps ? S::load(table[t] + i) : typename S::Vector{};
        side_by_side<Real, lanes>(v);
        for (int t = 0; t < lanes; ++t) S::store(row + i * lanes + t * S::width, v[t]);
    }
}

// The weights of all points.
template <class Real, int D>
void find_weights(const View<D>& view, Cells<Real, D>& cells) {
    const int end = padded(cells.position.count);
    for (int d = 0; d < D; ++d)
        basis<Real, block_points>(view.interpolation[d], view.parameter[d], cells.position.fraction[d], end,
                                  cells.weight[d], view.slopes ? cells.slope[d] : nullptr);
    const auto in_lanes = [&](const Real(*table)[block_points], Real* row) {
        if (lane_count(view.taps[D - 1]) == 4)
            store_side_by_side<Real, 4>(table, view.taps[D - 1], end, row);
        else
            store_side_by_side<Real, 8>(table, view.taps[D - 1], end, row);
    };
    if (view.rows) in_lanes(cells.weight[D - 1], cells.row_weight);
    if (view.rows && view.slopes) in_lanes(cells.slope[D - 1], cells.row_slope);
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
    const bool any = view.small_offset ? find_offsets<int32_t>(view, cells) : find_offsets<int64_t>(view, cells);
    for (int i = count; i < end; ++i) cells.outside[i] = 0;
    cells.edge.count = cells.void_count = 0;
    if (any && view.margin)
        cells.void_count = list_nonzero(cells.outside, end, cells.void_point);
    else if (any)
        find_edges(view, cells);
    find_edge_taps(view, cells);
    if (cells.edge.count && view.way == Way::linear) find_edge_corners(view, cells.edge);
    cells.inside_count = count - cells.edge.count - cells.void_count;
    if (any && cells.inside_count > 0 && cells.inside_count < count) hide_outside(cells);
    if (cells.inside_count > 0 && view.way == Way::taps) find_weights(view, cells);
}

// Calls visit(offset, weight) for the taps of a point; on axis `along` (-1: none) slopes take the place of weights.
// Taps of weight zero are passed over, so that a NaN there does not spread. `Taps` gives weight(axis, t), slope(axis,
// t) and offset(axis, t).
template <class Real, int D, int axis = 0, class Taps, class Visit>
inline void for_each_tap(const View<D>& view, const Taps& taps, int along, int64_t offset, Real weight, Visit& visit) {
    for (int t = 0; t < view.taps[axis]; ++t) {
        const Real product = weight * (along == axis ? taps.slope(axis, t) : taps.weight(axis, t));
        if (product == 0) continue;
        const int64_t there = offset + taps.offset(axis, t);
        if constexpr (axis + 1 == D)
            visit(there, product);
        else
            for_each_tap<Real, D, axis + 1>(view, taps, along, there, product, visit);
    }
}

// The taps of edge point e.
template <class Real, int D>
struct TapsAtEdge {
    const View<D>& view;
    const EdgeTaps<Real, D>& edge;
    int e;
    Real weight(int d, int t) const { return edge.weight[d][t][e]; }
    Real slope(int d, int t) const { return edge.slope[d][t][e]; }
    int64_t offset(int d, int t) const { return edge.sample[d][t][e] * view.stride[d]; }
    int64_t row(int t) const { return edge.sample[0][t][e]; }
};

// The taps of point i, which lies inside, from the first one on.
template <class Real, int D>
struct TapsInside {
    const View<D>& view;
    const Cells<Real, D>& cells;
    int i;
    Real weight(int d, int t) const {
        if (view.way == Way::taps) return cells.weight[d][t][i];
        if (view.way == Way::nearest) return 1;
        return t ? cells.position.fraction[d][i] : 1 - cells.position.fraction[d][i];
    }
    Real slope(int d, int t) const {
        if (view.way == Way::taps) return cells.slope[d][t][i];
        if (view.way == Way::nearest) return 0;
        return static_cast<Real>(2 * t - 1);
    }
    int64_t offset(int d, int t) const { return t * view.stride[d]; }
    int64_t row(int t) const { return cells.first_row[i] + t; }
};

// The value at one point, or its slope along an axis, a tap at a time.
template <class T, class Real, int D, class Taps>
inline Real tap_sum(const View<D>& view, const Taps& taps, int along, const T* image) {
    Real sum = 0;
    auto add = [&](int64_t offset, Real weight) { sum += weight * to_real<Real>(image[offset]); };
    for_each_tap<Real, D>(view, taps, along, 0, Real(1), add);
    return sum;
}

// The values at the edge points and beyond, or their slopes along an axis; those of two points are `step` apart.
template <class T, class Real, int D>
void read_edges(const View<D>& view, const Cells<Real, D>& cells, const T* image, Real fill, int along, Real* out,
                int step = 1) {
    const EdgeTaps<Real, D>& edge = cells.edge;
    const Real(*corner)[block_points] = along < 0 ? edge.corner_weight : edge.corner_slope[along];
    for (int e = 0; e < edge.count; ++e) {
        const Real fill_share = along < 0 ? edge.fill_weight[e] : edge.fill_slope[along][e];
        Real sum = 0;
        if (view.way == Way::linear)
            for (int c = 0; c < 1 << D; ++c) sum += corner[c][e] * to_real<Real>(image[edge.corner_offset[c][e]]);
        if (view.way != Way::linear || !(sum - sum == 0))
            sum = tap_sum<T, Real>(view, TapsAtEdge<Real, D>{view, edge, e}, along, image);
        out[edge.point[e] * step] = fill_share == 0 ? sum : sum + fill_share * fill;
    }
    for (int e = 0; e < cells.void_count; ++e) out[cells.void_point[e] * step] = along < 0 ? fill : Real(0);
}

// Whether all of `n` values are finite.
template <class Real>
inline bool all_finite(const Real* value, int n) {
    int strange = 0;
    for (int i = 0; i < n; ++i) strange |= !(value[i] - value[i] == 0);
    return !strange;
}

// Sums over whole vectors of taps, and differences of neighbours, let a sample spread that is NaN or infinite, though
// its weight be zero: points inside whose sum is not finite are summed again, a tap at a time.
template <class T, class Real, int D>
void mend_inside(const View<D>& view, const Cells<Real, D>& cells, const T* image, int along, Real* out, int step = 1) {
    const auto is_strange = [&](int i) { return !(out[i * step] - out[i * step] == 0); };
    for (int i = 0; i < cells.position.count; ++i)
        if (is_strange(i) && !cells.outside[i])
            out[i * step] = tap_sum<T, Real>(view, TapsInside<Real, D>{view, cells, i}, along, image + cells.offset[i]);
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
