// Rows of values on the output lattice, to and from reals, whatever their dtype.
#pragma once

#include <cmath>

#include "lattice.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// Integers are rounded to nearest (halves to even) and saturated; NaN becomes 0.
template <class Real>
inline void round_to(Real value, uint8_t& out) {
    const Real rounded = std::nearbyint(value);
    out = static_cast<uint8_t>(rounded > 0 ? (rounded < 255 ? rounded : Real(255)) : Real(0));
}
template <class Real>
inline void round_to(Real value, float& out) {
    out = static_cast<float>(value);
}
template <class Real>
inline void round_to(Real value, double& out) {
    out = static_cast<double>(value);
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
        for (int i = 0; i < n; ++i) value[i] = static_cast<Real>(in[i]);
    else
        for (int i = 0; i < n; ++i) value[i] = static_cast<Real>(in[i * stride]);
}

// Calls move(pointer, stride, first, n) for each row piece of a block of one channel (and component) of `values`,
// with a pointer of the right type.
template <class Move>
inline void for_each_value_row(const Lattice& lattice, const Values& values, int64_t start, int64_t begin, int count,
                               Move move) {
    for_each_row(lattice, begin, count, [&](int64_t z, int64_t y, int64_t x, int first, int n) {
        const int64_t at = start + z * values.stride[0] + y * values.stride[1] + x * values.stride[2];
        switch (values.dtype) {
            case DType::u8: move(static_cast<uint8_t*>(values.data) + at, values.stride[2], first, n); break;
            case DType::f32: move(static_cast<float*>(values.data) + at, values.stride[2], first, n); break;
            case DType::f64: move(static_cast<double*>(values.data) + at, values.stride[2], first, n); break;
        }
    });
}

template <class Real>
void store_values(const Lattice& lattice, const Values& values, int64_t start, int64_t begin, int count,
                  const Real* block) {
    for_each_value_row(lattice, values, start, begin, count,
                       [&](auto* out, int64_t stride, int first, int n) { store_row(out, stride, block + first, n); });
}

template <class Real>
void load_values(const Lattice& lattice, const Values& values, int64_t start, int64_t begin, int count, Real* block) {
    for_each_value_row(lattice, values, start, begin, count, [&](const auto* in, int64_t stride, int first, int n) {
        load_row(in, stride, block + first, n);
    });
}

// Asks for the memory of a block that is about to be written, while its values are computed.
inline void prefetch_values(const Lattice& lattice, const Values& values, int64_t start, int64_t begin, int count) {
    constexpr int line_bytes = 64;
    for_each_value_row(lattice, values, start, begin, count, [&](auto* out, int64_t stride, int, int n) {
        constexpr int line = line_bytes / static_cast<int>(sizeof *out);
        if (stride == 1)
            for (int i = 0; i < n; i += line) prefetch_for_write(out + i);
    });
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
