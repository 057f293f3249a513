// Rows of values on the output lattice, to and from reals, whatever their dtype.
#pragma once

#include "dtypes.hpp"
#include "lattice.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

template <class Real>
Real fill_of(const Call& call, int64_t channel) {
    return static_cast<Real>(call.fill[call.fill_count == 1 ? 0 : channel]);
}

template <class O, class Real>
inline void store_row(O* __restrict out, int64_t stride, const Real* __restrict value, int n) {
    if (stride == 1)
        for (int i = 0; i < n; ++i) round_to(value[i], out[i]);
    else
        for (int i = 0; i < n; ++i) round_to(value[i], out[i * stride]);
}

template <class O, class Real>
inline void load_row(const O* __restrict in, int64_t stride, Real* __restrict value, int n) {
    if (stride == 1)
        for (int i = 0; i < n; ++i) value[i] = to_real<Real>(in[i]);
    else
        for (int i = 0; i < n; ++i) value[i] = to_real<Real>(in[i * stride]);
}

// Calls move(pointer, stride, first, n) for each row piece of a block of one channel (and component) of `values`,
// with a pointer of the right type.
template <class Move>
inline void for_each_value_row(const Lattice& lattice, const Values& values, int64_t start, int64_t begin, int count,
                               Move move) {
    for_each_row(lattice, begin, count, [&](int64_t z, int64_t y, int64_t x, int first, int n) {
        const int64_t at = start + z * values.stride[0] + y * values.stride[1] + x * values.stride[2];
        with_type(values.dtype, [&](auto value) {
            move(static_cast<decltype(value)*>(values.data) + at, values.stride[2], first, n);
        });
    });
}

template <class Real>
void store_values(const Lattice& lattice, const Values& values, int64_t start, int64_t begin, int count,
                  const Real* block) {
    for_each_value_row(lattice, values, start, begin, count,
                       [&](auto* out, int64_t stride, int first, int n) { store_row(out, stride, block + first, n); });
}

// The same for values that are of the output's dtype already.
template <class T>
void copy_values(const Lattice& lattice, const Values& values, int64_t start, int64_t begin, int count,
                 const T* block) {
    for_each_row(lattice, begin, count, [&](int64_t z, int64_t y, int64_t x, int first, int n) {
        T* out = static_cast<T*>(values.data) + start + z * values.stride[0] + y * values.stride[1];
        for (int i = 0; i < n; ++i) out[(x + i) * values.stride[2]] = block[first + i];
    });
}

template <class Real>
void load_values(const Lattice& lattice, const Values& values, int64_t start, int64_t begin, int count, Real* block) {
    for_each_value_row(lattice, values, start, begin, count, [&](const auto* in, int64_t stride, int first, int n) {
        load_row(in, stride, block + first, n);
    });
}

// Asks for the memory of a block that is about to be written, `width` values side by side a point, while they are
// computed.
inline void prefetch_values(const Lattice& lattice, const Values& values, int64_t start, int64_t begin, int count,
                            int64_t width = 1) {
    constexpr int line_bytes = 64;
    if (values.stride[2] != width) return;
    const int64_t size = size_of(values.dtype);
    for_each_row(lattice, begin, count, [&](int64_t z, int64_t y, int64_t x, int, int n) {
        const int64_t at = start + z * values.stride[0] + y * values.stride[1] + x * width;
        const char* row = static_cast<const char*>(values.data) + at * size;
        for (int64_t i = 0; i < n * width * size; i += line_bytes) prefetch_for_write(row + i);
    });
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
