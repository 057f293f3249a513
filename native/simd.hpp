// A few lines over the compiler's vector extensions: a vector as wide as the instruction set has, and loads of pairs.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

#if defined(__AVX512F__) && defined(__AVX512DQ__)
constexpr int vector_bytes = 64;
// Intrinsics that take no mask start from an undefined vector, of which GCC warns. With this mask they are the same
// instructions, without.
constexpr uint16_t all_lanes = 0xffff;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif

template <class Real>
struct Simd {
    static constexpr int width = vector_bytes / sizeof(Real);
    typedef Real Vector __attribute__((vector_size(vector_bytes)));

    static Vector load(const Real* p) {
        Vector v;
        std::memcpy(&v, p, sizeof v);
        return v;
    }
    static void store(Real* p, Vector v) { std::memcpy(p, &v, sizeof v); }
};

// From a to b by the fraction f: exactly a where f is 0, unless b - a is not finite.
template <class V, class F>
inline V lerp(V a, V b, F f) {
    return a + f * (b - a);
}

// a * b + c, rounded once where the machine has an instruction for it: the same bits wherever it stands, while a
// compiler joins a product and a sum that are written out in one place and not in another.
inline float multiply_add(float a, float b, float c) {
#if defined(__FP_FAST_FMAF)
    return __builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

inline double multiply_add(double a, double b, double c) {
#if defined(__FP_FAST_FMA)
    return __builtin_fma(a, b, c);
#else
    return a * b + c;
#endif
}

template <class Real>
inline typename Simd<Real>::Vector multiply_add(typename Simd<Real>::Vector a, typename Simd<Real>::Vector b,
                                                typename Simd<Real>::Vector c) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
    if constexpr (sizeof(Real) == 4)
        return _mm512_fmadd_ps(a, b, c);
    else
        return _mm512_fmadd_pd(a, b, c);
#elif defined(__AVX2__) && defined(__FMA__)
    if constexpr (sizeof(Real) == 4)
        return _mm256_fmadd_ps(a, b, c);
    else
        return _mm256_fmadd_pd(a, b, c);
#else
    typename Simd<Real>::Vector sum;
    for (int k = 0; k < Simd<Real>::width; ++k) sum[k] = multiply_add(a[k], b[k], c[k]);
    return sum;
#endif
}

// (a0, b0, a1, b1, ...), in two vectors.
template <class Real>
inline void interleave(typename Simd<Real>::Vector a, typename Simd<Real>::Vector b, typename Simd<Real>::Vector& first,
                       typename Simd<Real>::Vector& second) {
    constexpr int width = Simd<Real>::width;
    typename Simd<Real>::Vector low{}, high{};
    for (int k = 0; k < width / 2; ++k) {
        low[2 * k] = a[k];
        low[2 * k + 1] = b[k];
        high[2 * k] = a[width / 2 + k];
        high[2 * k + 1] = b[width / 2 + k];
    }
    first = low;
    second = high;
}

#if defined(__SSE2__)
template <>
inline void interleave<float>(Simd<float>::Vector a, Simd<float>::Vector b, Simd<float>::Vector& first,
                              Simd<float>::Vector& second) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
    const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    first = _mm512_permutex2var_ps(a, low, b);
    second = _mm512_permutex2var_ps(a, _mm512_add_epi32(low, _mm512_set1_epi32(8)), b);
#elif defined(__AVX2__)
    const __m256 low = _mm256_unpacklo_ps(a, b), high = _mm256_unpackhi_ps(a, b);
    first = _mm256_permute2f128_ps(low, high, 0x20);
    second = _mm256_permute2f128_ps(low, high, 0x31);
#else
    first = _mm_unpacklo_ps(a, b);
    second = _mm_unpackhi_ps(a, b);
#endif
}
#endif

// Asks for a cache line that is about to be written. The compiler drops calls of functions that do nothing else than
// __builtin_prefetch, so x86 spells the instruction.
inline void prefetch_for_write(const void* p) {
#if defined(__x86_64__)
    asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(p)));
#else
    __builtin_prefetch(p, 1);
#endif
}

// Asks for a cache line that is about to be read.
inline void prefetch_for_read(const void* p) {
#if defined(__x86_64__)
    asm volatile("prefetcht0 %0" : : "m"(*static_cast<const char*>(p)));
#else
    __builtin_prefetch(p, 0);
#endif
}

typedef int32_t IntVector __attribute__((vector_size(vector_bytes)));

// The integers at or below, which must fit an int32.
inline Simd<float>::Vector floor_of(Simd<float>::Vector x) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
    return _mm512_maskz_roundscale_ps(all_lanes, x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
#elif defined(__AVX2__)
    return _mm256_floor_ps(x);
#else
    const Simd<float>::Vector truncated =
        __builtin_convertvector(__builtin_convertvector(x, IntVector), Simd<float>::Vector);
    return truncated + __builtin_convertvector(x < truncated, Simd<float>::Vector);
#endif
}

// One bit for each of the lanes of flag[0 .. width) that is not zero.
inline uint32_t nonzero_lanes(const int32_t* flag) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
    const __m512i v = _mm512_loadu_si512(flag);
    return _mm512_test_epi32_mask(v, v);
#elif defined(__AVX2__)
    const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(flag));
    const __m256i zero = _mm256_cmpeq_epi32(v, _mm256_setzero_si256());
    return ~static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(zero))) & 0xff;
#elif defined(__SSE2__)
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(flag));
    const __m128i zero = _mm_cmpeq_epi32(v, _mm_setzero_si128());
    return ~static_cast<uint32_t>(_mm_movemask_ps(_mm_castsi128_ps(zero))) & 0xf;
#else
    uint32_t lanes = 0;
    for (int k = 0; k < Simd<int32_t>::width; ++k) lanes |= static_cast<uint32_t>(flag[k] != 0) << k;
    return lanes;
#endif
}

#if defined(__SSE2__)

// The pairs (p[o[k]], p[o[k] + 1]). Each 128-bit lane j of `a` holds pairs 4 j and
// 4 j + 1, of `b` pairs 4 j + 2 and 4 j + 3: one shuffle within lanes then puts all left members, in order, into one
// register and all right ones into another.
inline void load_adjacent(const float* p, const int64_t* o, Simd<float>::Vector& left, Simd<float>::Vector& right) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
    // A broadcast under a mask puts a pair in its place without a shuffle.
    const auto octet = [&](int k) {
        const auto pair = [&](int i) {
            return _mm_castsi128_pd(_mm_loadl_epi64(reinterpret_cast<const __m128i_u*>(p + o[k + i])));
        };
        __m512d low = _mm512_maskz_broadcastsd_pd(0xff, pair(0)), high = _mm512_maskz_broadcastsd_pd(0xff, pair(8));
        low = _mm512_mask_broadcastsd_pd(low, 0x02, pair(1));
        high = _mm512_mask_broadcastsd_pd(high, 0x20, pair(9));
        low = _mm512_mask_broadcastsd_pd(low, 0x04, pair(4));
        high = _mm512_mask_broadcastsd_pd(high, 0x40, pair(12));
        low = _mm512_mask_broadcastsd_pd(low, 0x08, pair(5));
        high = _mm512_mask_broadcastsd_pd(high, 0x80, pair(13));
        return _mm512_castpd_ps(_mm512_mask_blend_pd(0xf0, low, high));
    };
    const __m512 a = octet(0), b = octet(2);
    left = _mm512_shuffle_ps(a, b, 0x88);
    right = _mm512_shuffle_ps(a, b, 0xdd);
#else
    const auto two_pairs = [&](int first, int second) {
        const __m128 low = _mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i_u*>(p + o[first])));
        return _mm_loadh_pi(low, reinterpret_cast<const __m64*>(p + o[second]));
    };
#if defined(__AVX2__)
    const auto quad = [&](int k) {
        return _mm256_insertf128_ps(_mm256_castps128_ps256(two_pairs(k, k + 1)), two_pairs(k + 4, k + 5), 1);
    };
    const __m256 a = quad(0), b = quad(2);
    left = _mm256_shuffle_ps(a, b, 0x88);
    right = _mm256_shuffle_ps(a, b, 0xdd);
#else
    const __m128 a = two_pairs(0, 1), b = two_pairs(2, 3);
    left = _mm_shuffle_ps(a, b, 0x88);
    right = _mm_shuffle_ps(a, b, 0xdd);
#endif
#endif
}

#endif

#if defined(__AVX512F__) && defined(__AVX512DQ__)
// Pairs of bytes: sixteen loads of two bytes, four to a register, then each pair in a lane of 32 bits.
inline void load_adjacent(const uint8_t* p, const int64_t* o, Simd<float>::Vector& left, Simd<float>::Vector& right) {
    const auto pair = [&](int k) {
        uint16_t both;
        std::memcpy(&both, p + o[k], sizeof both);
        return static_cast<uint64_t>(both);
    };
    const auto quad = [&](int k) {
        return static_cast<long long>(pair(k) | pair(k + 1) << 16 | pair(k + 2) << 32 | pair(k + 3) << 48);
    };
    const __m256i pairs = _mm256_setr_epi64x(quad(0), quad(4), quad(8), quad(12));
    const __m512i wide = _mm512_maskz_cvtepu16_epi32(all_lanes, pairs);
    left = _mm512_maskz_cvtepi32_ps(all_lanes, _mm512_and_si512(wide, _mm512_set1_epi32(0xff)));
    right = _mm512_maskz_cvtepi32_ps(all_lanes, _mm512_maskz_srli_epi32(all_lanes, wide, 8));
}
#elif defined(__AVX2__)
inline void load_adjacent(const uint8_t* p, const int64_t* o, Simd<float>::Vector& left, Simd<float>::Vector& right) {
    const auto pair = [&](int k) {
        uint16_t both;
        std::memcpy(&both, p + o[k], sizeof both);
        return static_cast<uint64_t>(both);
    };
    const auto quad = [&](int k) {
        return static_cast<long long>(pair(k) | pair(k + 1) << 16 | pair(k + 2) << 32 | pair(k + 3) << 48);
    };
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_set_epi64x(quad(4), quad(0)));
    left = _mm256_cvtepi32_ps(_mm256_and_si256(wide, _mm256_set1_epi32(0xff)));
    right = _mm256_cvtepi32_ps(_mm256_srli_epi32(wide, 8));
}
#endif

// Neighbours side by side: left[k] = p[offset[k]], right[k] = p[offset[k] + 1], as reals.
template <class T, class Real>
inline void load_neighbours(const T* p, const int64_t* offset, typename Simd<Real>::Vector& left,
                            typename Simd<Real>::Vector& right) {
#if defined(__SSE2__)
    if constexpr (std::is_same<T, float>::value && std::is_same<Real, float>::value) {
        load_adjacent(p, offset, left, right);
        return;
    }
#endif
#if defined(__AVX2__)
    if constexpr (std::is_same<T, uint8_t>::value && std::is_same<Real, float>::value) {
        load_adjacent(p, offset, left, right);
        return;
    }
#endif
    for (int k = 0; k < Simd<Real>::width; ++k) {
        left[k] = static_cast<Real>(p[offset[k]]);
        right[k] = static_cast<Real>(p[offset[k] + 1]);
    }
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
