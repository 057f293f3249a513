// Samples of every dtype: what they are in memory, as reals, and back again.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "params.hpp"

#if defined(__F16C__)
#include <immintrin.h>
#endif

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

struct Boolean {
    uint8_t byte;
    friend bool operator==(Boolean a, Boolean b) { return !a.byte == !b.byte; }
    friend bool operator<(Boolean a, Boolean b) { return !a.byte && b.byte; }
};
struct Half {
    uint16_t bits;
};
struct BFloat16 {
    uint16_t bits;
};

inline float float_of_bits(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline uint32_t bits_of_float(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

inline float to_float(Half half) {
#if defined(__F16C__)
    return _cvtsh_ss(half.bits);
#else
    const uint32_t sign = static_cast<uint32_t>(half.bits & 0x8000) << 16, magnitude = half.bits & 0x7fff;
    // Rebias the exponent by a multiplication, which also normalises subnormals; infinities and NaN keep theirs.
    if (magnitude >= 0x7c00) return float_of_bits(sign | 0x7f800000 | (magnitude & 0x3ff) << 13);
    return float_of_bits(sign | bits_of_float(float_of_bits(magnitude << 13) * 0x1p112f));
#endif
}

inline float to_float(BFloat16 value) { return float_of_bits(static_cast<uint32_t>(value.bits) << 16); }

inline Half to_half(float value) {
#if defined(__F16C__)
    return {static_cast<uint16_t>(_cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT))};
#else
    const uint32_t bits = bits_of_float(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return {static_cast<uint16_t>(sign | 0x7e00)};
    if (magnitude >= 0x477ff000) return {static_cast<uint16_t>(sign | 0x7c00)};
    if (magnitude < 0x38800000) {  // subnormal: adding 0.5 leaves the rounded value in the low bits
        const float shifted = float_of_bits(magnitude) + 0.5f;
        return {static_cast<uint16_t>(sign | (bits_of_float(shifted) - 0x3f000000))};
    }
    const uint32_t even = magnitude >> 13 & 1;
    return {static_cast<uint16_t>(sign | (magnitude + 0xc8000fff + even) >> 13)};
#endif
}

inline BFloat16 to_bfloat16(float value) {
    const uint32_t bits = bits_of_float(value);
    if ((bits & 0x7fffffff) > 0x7f800000) return {static_cast<uint16_t>(bits >> 16 | 0x40)};
    return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

template <class Real, class T>
inline Real to_real(T value) {
    return static_cast<Real>(value);
}
template <class Real>
inline Real to_real(Boolean value) {
    return static_cast<Real>(value.byte != 0);
}
template <class Real>
inline Real to_real(Half value) {
    return static_cast<Real>(to_float(value));
}
template <class Real>
inline Real to_real(BFloat16 value) {
    return static_cast<Real>(to_float(value));
}

// Integers are rounded to nearest (halves to even) and saturated; NaN becomes 0.
template <class Real, class T>
inline void round_to(Real value, T& out) {
    constexpr Real low = static_cast<Real>(std::numeric_limits<T>::min());
    // The largest integer may round up to a power of two, which is one too many: values below it are safe.
    constexpr Real beyond = static_cast<Real>(std::numeric_limits<T>::max() / 2 + 1) * 2;
    const Real rounded = std::nearbyint(value);
    const Real held = rounded > low ? (rounded < beyond ? rounded : Real(0)) : low;
    out = static_cast<T>(value == value ? held : Real(0));
    if (rounded >= beyond) out = std::numeric_limits<T>::max();
}
template <class Real>
inline void round_to(Real value, uint8_t& out) {
    const Real rounded = std::nearbyint(value);
    out = static_cast<uint8_t>(rounded > 0 ? (rounded < 255 ? rounded : Real(255)) : Real(0));
}
template <class Real>
inline void round_to(Real value, Boolean& out) {
    out.byte = value > Real(0.5);
}
template <class Real>
inline void round_to(Real value, Half& out) {
    out = to_half(static_cast<float>(value));
}
template <class Real>
inline void round_to(Real value, BFloat16& out) {
    out = to_bfloat16(static_cast<float>(value));
}
template <class Real>
inline void round_to(Real value, float& out) {
    out = static_cast<float>(value);
}
template <class Real>
inline void round_to(Real value, double& out) {
    out = static_cast<double>(value);
}

// Calls visit with a value of the type that a dtype has in memory.
template <class Visit>
inline auto with_type(DType dtype, Visit visit) {
    switch (dtype) {
        case DType::boolean: return visit(Boolean());
        case DType::u8: return visit(uint8_t());
        case DType::i8: return visit(int8_t());
        case DType::u16: return visit(uint16_t());
        case DType::i16: return visit(int16_t());
        case DType::u32: return visit(uint32_t());
        case DType::i32: return visit(int32_t());
        case DType::u64: return visit(uint64_t());
        case DType::i64: return visit(int64_t());
        case DType::f16: return visit(Half());
        case DType::bf16: return visit(BFloat16());
        case DType::f32: return visit(float());
        case DType::f64: break;
    }
    return visit(double());
}

// One channel of an image.
struct Source {
    const char* data;
    DType dtype;
    template <class T>
    const T* as() const {
        return reinterpret_cast<const T*>(data);
    }
};

template <class Real>
constexpr DType dtype_of_real = sizeof(Real) == sizeof(float) ? DType::f32 : DType::f64;

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
