// Values: the weighted sum over the taps of each point.
#pragma once

#include "cells.hpp"
#include "rows.hpp"
#include "simd.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// Linear interpolation of whole cells. A cell has 2^(D-1) edges along the last axis, each a pair of samples; halving
// over the axes, last to first, leaves one value. `load(r, i, left, right)` gives edge r of the points from i on.
template <class Real, int D, class Load>
inline void pull_linear(const Cells<Real, D>& cells, Load load, Real* value) {
    using S = Simd<Real>;
    constexpr int edges = 1 << (D - 1);
    for (int i = 0; i < cells.position.count; i += S::width) {
        typename S::Vector v[edges];
        typename S::Vector f = S::load(cells.position.fraction[D - 1] + i);
        for (int r = 0; r < edges; ++r) {
            typename S::Vector left, right;
            load(r, i, left, right);
            v[r] = lerp(left, right, f);
        }
        for (int axis = D - 2, n = edges / 2; axis >= 0; --axis, n /= 2) {
            f = S::load(cells.position.fraction[axis] + i);
            for (int r = 0; r < n; ++r) v[r] = lerp(v[2 * r], v[2 * r + 1], f);
        }
        S::store(value + i, v[0]);
    }
}

// The samples at `offset`, one a point, as reals.
template <class T, class Real>
inline void gather(const T* image, const int64_t* offset, int count, Real* out) {
    for (int i = 0; i < count; ++i) out[i] = to_real<Real>(image[offset[i]]);
}

template <class Real>
inline void gather(Source source, int64_t shift, const int64_t* offset, int count, Real* out) {
    with_type(source.dtype, [&](auto sample) { gather(source.as<decltype(sample)>() + shift, offset, count, out); });
}

// The corners of the cells, sorted out: corner[c] holds corner c of every point. For samples of any kind and stride.
template <class Real, int D>
void gather_corners(const View<D>& view, const Cells<Real, D>& cells, Source source, Real (*corner)[block_points]) {
    int64_t shift[1 << D];
    corner_offsets<D, D>(view, shift);
    for (int c = 0; c < 1 << D; ++c) gather(source, shift[c], cells.offset, padded(cells.position.count), corner[c]);
}

// Whether the kernels for pairs and rows of samples side by side exist for a dtype.
template <class Real>
inline bool is_loaded_in_vectors(DType dtype) {
    return sizeof(Real) == sizeof(double)
               ? dtype == DType::f64
               : dtype == DType::f32 || dtype == DType::u8 || dtype == DType::u16 || dtype == DType::i16;
}

// Calls visit with a sample of a dtype for which is_loaded_in_vectors holds.
template <class Real, class Visit>
inline void with_vector_type(DType dtype, Visit visit) {
    if constexpr (sizeof(Real) == sizeof(double)) {
        visit(double());
    } else {
        switch (dtype) {
            case DType::u8: return visit(uint8_t());
            case DType::u16: return visit(uint16_t());
            case DType::i16: return visit(int16_t());
            default: return visit(float());
        }
    }
}

template <class Real, int D>
void pull_linear(const View<D>& view, const Cells<Real, D>& cells, Source source, Real* value) {
    using S = Simd<Real>;
    if (view.stride[D - 1] == 1 && is_loaded_in_vectors<Real>(source.dtype)) {
        int64_t edge_offset[1 << (D - 1)];
        corner_offsets<D, D - 1>(view, edge_offset);
        with_vector_type<Real>(source.dtype, [&](auto sample) {
            using T = decltype(sample);
            const T* image = source.as<T>();
            pull_linear(
                cells,
                [&](int r, int i, typename S::Vector& left, typename S::Vector& right) {
                    load_neighbours<T, Real>(image + edge_offset[r], cells.offset + i, left, right);
                },
                value);
        });
        return;
    }
    alignas(64) Real corner[1 << D][block_points];
    gather_corners(view, cells, source, corner);
    pull_linear(
        cells,
        [&](int r, int i, typename S::Vector& left, typename S::Vector& right) {
            left = S::load(corner[2 * r] + i);
            right = S::load(corner[2 * r + 1] + i);
        },
        value);
}

// Weighted sums over taps of any number, kind and stride: one tap of all points after the other.
template <class Real, int D, int axis = 0>
void add_taps(const View<D>& view, const Cells<Real, D>& cells, Source source, int along, int64_t shift,
              const Real* product, Real* sum) {
    const int count = padded(cells.position.count);
    alignas(64) Real weight[block_points], sample[block_points];
    for (int t = 0; t < view.taps[axis]; ++t) {
        const Real* factor = along == axis ? cells.slope[axis][t] : cells.weight[axis][t];
        for (int i = 0; i < count; ++i) weight[i] = axis == 0 ? factor[i] : product[i] * factor[i];
        if constexpr (axis + 1 < D) {
            add_taps<Real, D, axis + 1>(view, cells, source, along, shift + t * view.stride[axis], weight, sum);
        } else {
            gather(source, shift + t * view.stride[axis], cells.offset, count, sample);
            for (int i = 0; i < count; ++i) sum[i] += weight[i] * sample[i];
        }
    }
}

template <class Real, int D>
void read_taps(const View<D>& view, const Cells<Real, D>& cells, Source source, int along, Real* out) {
    for (int i = 0; i < padded(cells.position.count); ++i) out[i] = 0;
    add_taps<Real, D>(view, cells, source, along, 0, nullptr, out);
}

// Asks for the samples of a block ahead of their use: along a row of a turned image hardly two neighbouring points lie
// in the same cache line, and no prefetcher sees the pattern.
template <class Real, int D>
void prefetch_samples(const Cells<Real, D>& cells, Source source, int64_t shift, int every = 8) {
    if (cells.inside_count == 0) return;
    const int64_t size = size_of(source.dtype);
    const char* data = source.data + shift * size;
    for (int i = 0; i < cells.position.count; i += every) prefetch_for_read(data + cells.offset[i] * size);
}

// The same for samples that are about to be written.
template <class Real, int D, class Sum>
void prefetch_targets(const Cells<Real, D>& cells, const Sum* image, int64_t shift, int every = 8) {
    if (cells.inside_count == 0) return;
    for (int i = 0; i < cells.position.count; i += every) prefetch_for_write(image + (cells.offset[i] + shift));
}

// The values of one channel at a block of points.
template <class Real, int D>
void pull_block(const View<D>& view, const Cells<Real, D>& cells, Source source, Real fill, Real* value) {
    if (cells.inside_count > 0) {
        if (view.way == Way::nearest)
            gather(source, 0, cells.offset, cells.position.count, value);
        else if (view.way == Way::linear)
            pull_linear(view, cells, source, value);
        else if (view.rows && is_loaded_in_vectors<Real>(source.dtype))
            with_vector_type<Real>(source.dtype, [&](auto sample) {
                read_rows<decltype(sample), Real, D, false>(view, cells, source.as<decltype(sample)>(),
                                                            reinterpret_cast<Real(*)[block_points]>(value));
            });
        else
            read_taps(view, cells, source, -1, value);
    }
    with_type(source.dtype, [&](auto sample) {
        const auto* image = source.as<decltype(sample)>();
        if (cells.inside_count > 0 && view.way != Way::nearest && !all_finite(value, cells.position.count))
            mend_inside(view, cells, image, -1, value);
        read_edges(view, cells, image, fill, -1, value);
    });
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
