// Linear interpolation of pixels whose channels lie side by side: four channels are one vector, whatever the strides of
// the axes.
#pragma once

#include "lost.hpp"
#include "pull.hpp"
#include "rows.hpp"
#include "values.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

constexpr int pixel_lanes = 4;

// Whether the pixels of an image are read as vectors. Where they have fewer channels than a vector has lanes, one more
// pixel must follow in memory, so points in the last column count as edge points (View::room).
template <class Real, int D>
bool reads_pixels(const View<D>& view, const Image& image) {
    return view.way == Way::linear && image.channels > 1 && image.channel_stride == 1 &&
           view.stride[D - 1] >= image.channels && view.stride[D - 1] >= pixel_lanes - image.channels &&
           is_loaded_in_vectors<Real>(image.dtype);
}

// `lanes` channels of all points inside, side by side in `pixel`.
template <class T, class Real, int D>
void pull_pixels(const View<D>& view, const Cells<Real, D>& cells, const T* image, int lanes, Real* pixel) {
    using L = Lanes<Real, pixel_lanes>;
    constexpr int corners = 1 << D;
    int64_t offset[corners];
    corner_offsets<D, D>(view, offset);
    for (int i = 0; i < cells.position.count; ++i) {
        const T* at = image + cells.offset[i];
        typename L::Vector v[corners];
        for (int c = 0; c < corners; ++c) v[c] = load_samples<T, Real, pixel_lanes>(at + offset[c]);
        for (int axis = D - 1, n = corners / 2; axis >= 0; --axis, n /= 2) {
            const Real f = cells.position.fraction[axis][i];
            for (int r = 0; r < n; ++r) v[r] = lerp(v[2 * r], v[2 * r + 1], f);
        }
        L::store(pixel + i * lanes, v[0]);
    }
}

// Writes `lanes` channels of a block, from channel `first_channel` on.
template <class Real>
void store_pixels(const Call& call, int64_t start, int64_t begin, int count, int lanes, const Real* pixel) {
    const Values& values = call.values;
    if (values.channel_stride == 1 && values.stride[2] == lanes) {
        for_each_value_row(call.lattice, values, start, begin, count, [&](auto* out, int64_t, int first, int n) {
            store_row(out, 1, pixel + first * lanes, n * lanes);
        });
        return;
    }
    Real channel[block_points];
    for (int c = 0; c < lanes; ++c) {
        for (int i = 0; i < count; ++i) channel[i] = pixel[i * lanes + c];
        store_values(call.lattice, values, start + c * values.channel_stride, begin, count, channel);
    }
}

// All channels of a block of points.
template <class Real, int D, class ChannelOf>
void pull_all_pixels(const Call& call, const View<D>& view, const Cells<Real, D>& cells, const Lost<Real>& lost,
                     int64_t start, int64_t begin, ChannelOf channel_of) {
    const int channels = static_cast<int>(call.image.channels);
    const int lanes = channels < pixel_lanes ? channels : pixel_lanes, count = cells.position.count;
    alignas(64) Real pixel[block_points * pixel_lanes + pixel_lanes];
    for (int group = 0; group < channels; group += lanes) {
        // the last group may overlap the one before
        const int first = group + lanes <= channels ? group : channels - lanes;
        with_vector_type<Real>(call.image.dtype, [&](auto sample) {
            using T = decltype(sample);
            if (cells.inside_count > 0) pull_pixels(view, cells, channel_of(first).template as<T>(), lanes, pixel);
            const bool strange = cells.inside_count > 0 && !all_finite(pixel, count * lanes);
            for (int c = 0; c < lanes; ++c) {
                const T* image = channel_of(first + c).template as<T>();
                if (strange) mend_inside(view, cells, image, -1, pixel + c, lanes);
                read_edges(view, cells, image, fill_of<Real>(call, first + c), -1, pixel + c, lanes);
                lost.mark(pixel + c, lanes);
            }
        });
        store_pixels(call, start + first * call.values.channel_stride, begin, count, lanes, pixel);
    }
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
