// A few lines over the compiler's vector extensions: a vector as wide as the instruction set has, and loads of pairs.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

#if defined(__AVX512F__) && defined(__AVX512DQ__)
constexpr int vector_bytes = 64;
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

// Neighbours along the contiguous axis: left[k] = p[offset[k]], right[k] = p[offset[k] + step], as reals.
template <class T, class Real>
inline void load_pairs(const T* p, const int64_t* offset, int64_t step, typename Simd<Real>::Vector& left,
                       typename Simd<Real>::Vector& right) {
    for (int k = 0; k < Simd<Real>::width; ++k) {
        left[k] = static_cast<Real>(p[offset[k]]);
        right[k] = static_cast<Real>(p[offset[k] + step]);
    }
}

#if defined(__SSE2__)

// Both members of two pairs with two 64-bit loads: (l0, r0, l1, r1).
inline __m128 load_two_pairs(const float* p, int64_t first, int64_t second) {
    const __m128 low = _mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i_u*>(p + first)));
    return _mm_loadh_pi(low, reinterpret_cast<const __m64*>(p + second));
}

// The same as load_pairs for samples that lie side by side (step 1).
inline void load_adjacent(const float* p, const int64_t* o, Simd<float>::Vector& left, Simd<float>::Vector& right) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
    // 128-bit lane j of `a` takes pairs 4 j and 4 j + 1, of `b` pairs 4 j + 2 and 4 j + 3: then one shuffle within
    // lanes puts all left members, in order, in one register and all right ones in another.
    const auto quads = [&](int k) {
        const __m256 low =
            _mm256_insertf128_ps(_mm256_castps128_ps256(load_two_pairs(p, o[k], o[k + 1])),
                                 load_two_pairs(p, o[k + 4], o[k + 5]), 1);
        const __m256 high =
            _mm256_insertf128_ps(_mm256_castps128_ps256(load_two_pairs(p, o[k + 8], o[k + 9])),
                                 load_two_pairs(p, o[k + 12], o[k + 13]), 1);
        return _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
    };
    const __m512 a = quads(0), b = quads(2);
    left = _mm512_shuffle_ps(a, b, 0x88);
    right = _mm512_shuffle_ps(a, b, 0xdd);
#elif defined(__AVX2__)
    const auto quads = [&](int k) {
        return _mm256_insertf128_ps(_mm256_castps128_ps256(load_two_pairs(p, o[k], o[k + 1])),
                                    load_two_pairs(p, o[k + 4], o[k + 5]), 1);
    };
    const __m256 a = quads(0), b = quads(2);
    left = _mm256_shuffle_ps(a, b, 0x88);
    right = _mm256_shuffle_ps(a, b, 0xdd);
#else
    const __m128 a = load_two_pairs(p, o[0], o[1]), b = load_two_pairs(p, o[2], o[3]);
    left = _mm_shuffle_ps(a, b, 0x88);
    right = _mm_shuffle_ps(a, b, 0xdd);
#endif
}

#endif

template <class T, class Real, bool adjacent>
inline void load_neighbours(const T* p, const int64_t* offset, int64_t step, typename Simd<Real>::Vector& left,
                            typename Simd<Real>::Vector& right) {
#if defined(__SSE2__)
    if constexpr (adjacent && sizeof(T) == 4 && sizeof(Real) == 4) {
        load_adjacent(p, offset, left, right);
        return;
    }
#endif
    load_pairs<T, Real>(p, offset, adjacent ? 1 : step, left, right);
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
