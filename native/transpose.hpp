// Square blocks turned over in registers: rows become columns by rounds of interleaving.
#pragma once

#include "simd.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// Each round interleaves the vectors that are half of them apart; after log2(count) rounds, lane j of the vectors
// 0 .. count, one after the other, is followed by lane j + 1 of all of them.
template <class Real, int count>
inline void side_by_side(typename Simd<Real>::Vector* v) {
    typename Simd<Real>::Vector next[count] = {};
    for (int round = 1; round < count; round *= 2) {
        for (int t = 0; t < count / 2; ++t) interleave<Real>(v[t], v[t + count / 2], next[2 * t], next[2 * t + 1]);
        for (int t = 0; t < count; ++t) v[t] = next[t];
    }
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
