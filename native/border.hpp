// Index maps: which sample a tap beyond the lattice reads.
#pragma once

#include "params.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// The sample that index k of an axis of n samples reads, or -1 where it reads the fill value.
inline int64_t border_index(int64_t k, int64_t n, Border border) {
    if (k >= 0 && k < n) return k;
    switch (border) {
        case Border::constant:
            return -1;
        case Border::edge:
            return k < 0 ? 0 : n - 1;
        case Border::reflect: {
            if (n == 1) return 0;
            const int64_t period = 2 * (n - 1);
            k %= period;
            if (k < 0) k += period;
            return k < n ? k : period - k;
        }
        case Border::symmetric: {
            const int64_t period = 2 * n;
            k %= period;
            if (k < 0) k += period;
            return k < n ? k : period - 1 - k;
        }
        case Border::wrap:
            k %= n;
            return k < 0 ? k + n : k;
    }
    return -1;
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
