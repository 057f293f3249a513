// Interpolation weights and their derivatives, as functions of where a point lies between its two nearest samples.
#pragma once

#include "params.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

constexpr int max_taps = 2;

inline int tap_count(Interpolation interpolation) {
    switch (interpolation) {
        case Interpolation::nearest: return 1;
        case Interpolation::linear: return 2;
    }
    return 0;
}

// The first tap of a point at floor + fraction, relative to floor.
template <class Real>
inline int32_t first_tap(Interpolation interpolation, Real fraction) {
    return interpolation == Interpolation::nearest ? (fraction >= Real(0.5)) : 0;
}

// weight[t][i] of tap first_tap + t of point i, and slope[t][i], its derivative in the coordinate (from the right). The
// weights of a point add up to one, its slopes to zero.
template <class Real, int stride>
inline void basis(Interpolation interpolation, const Real* fraction, int count, Real (*weight)[stride],
                  Real (*slope)[stride]) {
    switch (interpolation) {
        case Interpolation::nearest:
            for (int i = 0; i < count; ++i) {
                weight[0][i] = 1;
                slope[0][i] = 0;
            }
            break;
        case Interpolation::linear:
            for (int i = 0; i < count; ++i) {
                weight[0][i] = 1 - fraction[i];
                weight[1][i] = fraction[i];
                slope[0][i] = -1;
                slope[1][i] = 1;
            }
            break;
    }
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
