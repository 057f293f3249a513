// Index maps: which sample a tap beyond the lattice reads.
#pragma once

#include "params.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// k modulo the period, from 0 on.
inline int32_t wrapped(int32_t k, int32_t period) {
    k %= period;
    return k < 0 ? k + period : k;
}

// The sample that each tap k[i] of an axis of n samples reads, n > 0. Where it reads the fill value, inside[i] is 0 and
// the sample is the nearest one; elsewhere inside[i] is 1.
inline void map_taps(Border border, int32_t n, const int32_t* k, int count, int32_t* sample, int32_t* inside) {
    for (int i = 0; i < count; ++i) {
        const int32_t up = k[i] > 0 ? k[i] : 0;
        sample[i] = up < n ? up : n - 1;
        inside[i] = border != Border::constant || sample[i] == k[i];
    }
    if (border == Border::constant || border == Border::edge) return;
    for (int i = 0; i < count; ++i) {
        if (k[i] >= 0 && k[i] < n) continue;
        if (border == Border::wrap) {
            sample[i] = wrapped(k[i], n);
        } else if (border == Border::symmetric) {
            const int32_t there = wrapped(k[i], 2 * n);
            sample[i] = there < n ? there : 2 * n - 1 - there;
        } else if (n > 1) {
            const int32_t there = wrapped(k[i], 2 * (n - 1));
            sample[i] = there < n ? there : 2 * (n - 1) - there;
        }
    }
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
