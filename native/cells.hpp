// What the taps of a block of points are: inside the image, all but an address; near its border, a list; beyond it,
// nothing. Made once for a block, used by every channel and by values, slopes and scatters alike.
#pragma once

#include "basis.hpp"
#include "border.hpp"
#include "lattice.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// The one-dimensional taps of a point that is not wholly inside: an offset of -1 reads `fill`.
template <class Real, int D>
struct EdgeTaps {
    int point;
    int64_t offset[D][max_taps];
    Real weight[D][max_taps];
    Real slope[D][max_taps];
};

template <class Real, int D>
struct Cells {
    Position<Real, D> position;
    alignas(64) int64_t offset[block_points];  // of the first tap, held onto the image where the point is not inside
    alignas(64) int32_t first_row[block_points];  // the first tap on axis 0, held likewise
    alignas(64) int32_t outside[block_points];    // nonzero where not every tap is inside
    int inside_count, edge_count, void_count;
    int void_point[block_points];  // every tap reads `fill`
    EdgeTaps<Real, D> edge[block_points];
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
    bool uniform;       // one interpolation on all axes
    bool small_offset;  // every offset fits an int32
};

template <int D>
View<D> view_of(const Plan& plan, const Image& image) {
    View<D> view;
    view.crop = plan.crop;
    view.uniform = true;
    double reach = 0;
    for (int d = 0; d < D; ++d) {
        view.size[d] = image.size[d];
        view.stride[d] = image.stride[d];
        view.interpolation[d] = plan.interpolation[d];
        view.border[d] = plan.border[d];
        view.taps[d] = tap_count(plan.interpolation[d]);
        view.uniform = view.uniform && plan.interpolation[d] == plan.interpolation[0];
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

// Marks the points whose taps are not all inside, and gives every point the offset of its first tap.
template <class Real, int D>
void find_offsets(const View<D>& view, Cells<Real, D>& cells) {
    const int count = cells.position.count;
    alignas(64) int32_t narrow[block_points];
    for (int i = 0; i < count; ++i) cells.outside[i] = !view.uniform;
    for (int d = 0; d < D; ++d) {
        const int32_t* __restrict floor = cells.position.floor[d];
        const Real* __restrict fraction = cells.position.fraction[d];
        int32_t* __restrict outside = cells.outside;
        const int32_t last = static_cast<int32_t>(view.size[d] - view.taps[d]);
        const int32_t crop_end = view.crop ? static_cast<int32_t>(view.size[d] - 1) : void_index + 1;
        const bool nearest = view.interpolation[d] == Interpolation::nearest;
        int32_t* __restrict tap = d == 0 ? cells.first_row : narrow;
        if (last < 0) {
            for (int i = 0; i < count; ++i) {
                outside[i] = 1;
                tap[i] = 0;
            }
        } else if (nearest) {
            for (int i = 0; i < count; ++i) {
                const int32_t k = floor[i] + (fraction[i] >= Real(0.5));
                outside[i] |= (k < 0) | (k > last) | (view.crop & ((floor[i] < 0) | (floor[i] >= crop_end)));
                const int32_t up = k > 0 ? k : 0;
                tap[i] = up < last ? up : last;
            }
        } else {
            for (int i = 0; i < count; ++i) {
                const int32_t k = floor[i];
                outside[i] |= (k < 0) | (k > last);
                const int32_t up = k > 0 ? k : 0;
                tap[i] = up < last ? up : last;
            }
        }
        int64_t* __restrict offset = cells.offset;
        const int64_t stride = view.stride[d];
        if (view.small_offset) {
            const int32_t narrow_stride = static_cast<int32_t>(stride);
            if (d == 0)
                for (int i = 0; i < count; ++i) offset[i] = tap[i] * narrow_stride;
            else
                for (int i = 0; i < count; ++i) offset[i] += tap[i] * narrow_stride;
        } else {
            if (d == 0)
                for (int i = 0; i < count; ++i) offset[i] = tap[i] * stride;
            else
                for (int i = 0; i < count; ++i) offset[i] += tap[i] * stride;
        }
    }
}

// The taps of one point that is not wholly inside; false where all of them read `fill`.
template <class Real, int D>
bool find_edge_taps(const View<D>& view, const Position<Real, D>& position, int i, EdgeTaps<Real, D>& edge) {
    edge.point = i;
    for (int d = 0; d < D; ++d) {
        const int32_t floor = position.floor[d][i];
        const Real fraction = position.fraction[d][i];
        if (floor <= -void_index || floor >= void_index) return false;
        if (view.crop && (floor < 0 || floor > view.size[d] - 1 || (floor == view.size[d] - 1 && fraction > 0)))
            return false;
        const int64_t first = int64_t(floor) + first_tap(view.interpolation[d], fraction);
        basis(view.interpolation[d], fraction, edge.weight[d], edge.slope[d]);
        bool any = false;
        for (int t = 0; t < view.taps[d]; ++t) {
            const int64_t k = border_index(first + t, view.size[d], view.border[d]);
            edge.offset[d][t] = k < 0 ? -1 : k;
            any = any || k >= 0;
        }
        if (!any) return false;
    }
    return true;
}

// Everything about the taps of a block whose positions are known.
template <class Real, int D>
void find_cells(const View<D>& view, Cells<Real, D>& cells) {
    find_offsets(view, cells);
    const int count = cells.position.count;
    cells.edge_count = cells.void_count = 0;
    int32_t any = 0;
    for (int i = 0; i < count; ++i) any |= cells.outside[i];
    if (any) {
        for (int i = 0; i < count; ++i) {
            if (!cells.outside[i]) continue;
            if (find_edge_taps(view, cells.position, i, cells.edge[cells.edge_count]))
                ++cells.edge_count;
            else
                cells.void_point[cells.void_count++] = i;
        }
    }
    cells.inside_count = count - cells.edge_count - cells.void_count;
    // Vector loops run over whole vectors: what lies past the end reads the first sample, which exists if any point is inside.
    for (int i = count; i < block_points && i % 16; ++i) {
        cells.offset[i] = 0;
        cells.first_row[i] = 0;
        for (int d = 0; d < D; ++d) cells.position.fraction[d][i] = 0;
    }
}

// Sums visit(outside, offset, weight) over the taps of an edge point; on axis `along` (-1: none) slopes replace weights.
// Taps of weight zero are passed over, so that a NaN there, in the image or as fill, does not spread.
template <class Real, int D, int axis = 0, class Visit>
inline void for_each_tap(const View<D>& view, const EdgeTaps<Real, D>& edge, int along, bool outside, int64_t offset,
                         Real weight, Visit& visit) {
    const Real* w = along == axis ? edge.slope[axis] : edge.weight[axis];
    for (int t = 0; t < view.taps[axis]; ++t) {
        const Real product = weight * w[t];
        if (product == 0) continue;
        const int64_t k = edge.offset[axis][t];
        if constexpr (axis + 1 == D)
            visit(outside || k < 0, offset + k * view.stride[axis], product);
        else
            for_each_tap<Real, D, axis + 1>(view, edge, along, outside || k < 0, offset + k * view.stride[axis],
                                            product, visit);
    }
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
