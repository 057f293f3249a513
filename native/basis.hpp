// Interpolation weights and their derivatives, as functions of where a point lies between its two nearest samples.
#pragma once

#include "params.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

constexpr int max_taps = 2;

inline int tap_count(Interpolation interpolation) {
    switch (interpolation) {
        case Interpolation::nearest:
            return 1;
        case Interpolation::linear:
            return 2;
    }
    return 0;
}

// The first tap of a point at floor + fraction, relative to floor.
template <class Real>
inline int first_tap(Interpolation interpolation, Real fraction) {
    return interpolation == Interpolation::nearest ? (fraction >= Real(0.5)) : 0;
}

// weight[t] of tap first_tap + t, and slope[t], its derivative with respect to the coordinate (from the right).
template <class Real>
inline void basis(Interpolation interpolation, Real fraction, Real* weight, Real* slope) {
    switch (interpolation) {
        case Interpolation::nearest:
            weight[0] = 1;
            slope[0] = 0;
            break;
        case Interpolation::linear:
            weight[0] = 1 - fraction;
            weight[1] = fraction;
            slope[0] = -1;
            slope[1] = 1;
            break;
    }
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
