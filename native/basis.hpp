// All that the native code knows of an interpolation: its code, its taps, their weights as functions of where a point
// lies between its two nearest samples, and the first and second derivatives of these.
#pragma once

#include <cmath>

#include "params.hpp"

namespace pullback {

enum class Interpolation : int {
    nearest = 0,
    linear = 1,
    cubic = 2,
    mitchell = 3,
    lanczos2 = 4,
    lanczos3 = 5,
    lanczos4 = 6,
    bspline2 = 7,
    bspline3 = 8,
    bspline4 = 9,
    bspline5 = 10,
    label = 11
};

// No interpolation has more taps.
constexpr int max_taps = 8;

// How many samples a value takes, 0 for a code that is none.
static inline int tap_count(Interpolation interpolation) {
    switch (interpolation) {
        case Interpolation::nearest: return 1;
        case Interpolation::linear:
        case Interpolation::label: return 2;
        case Interpolation::bspline2: return 3;
        case Interpolation::cubic:
        case Interpolation::mitchell:
        case Interpolation::lanczos2:
        case Interpolation::bspline3: return 4;
        case Interpolation::bspline4: return 5;
        case Interpolation::lanczos3:
        case Interpolation::bspline5: return 6;
        case Interpolation::lanczos4: return 8;
    }
    return 0;
}

// Interpolations that copy samples, and form no sums.
static inline bool is_selection(Interpolation interpolation) {
    return interpolation == Interpolation::nearest || interpolation == Interpolation::label;
}

}  // namespace pullback

// The rest is for the kernels of an instruction set.
#if defined(PULLBACK_ISA_NAMESPACE)

#include "simd.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// The first tap of a point at floor + fraction, relative to floor. An odd number of taps lies around the nearest
// sample, which is the next one from the fraction `half` on, an even number around the point.
template <class Real>
inline int32_t first_tap(int taps, Real fraction, Real half) {
    return (taps & 1) ? -(taps / 2) + (fraction >= half) : 1 - taps / 2;
}

// Where points lie, a multiple of the widest vector of them, and for tap t of point i its weight[t][i] and slope[t][i],
// the derivative of the weight in the coordinate (from the right).
template <class Real, int stride, bool slopes>
struct Weights {
    const Real* fraction;
    int count;
    Real (*weight)[stride];
    Real (*slope)[stride];
};

// Cubic convolution, Keys 1981, with slope `a` at distance 1.
template <class Real, int stride, bool slopes>
inline void cubic_basis(Weights<Real, stride, slopes> w, Real a) {
    for (int i = 0; i < w.count; ++i) {
        const Real f = w.fraction[i], g = 1 - f;
        w.weight[0][i] = a * f * g * g;
        w.weight[1][i] = 1 + f * f * ((a + 2) * f - (a + 3));
        w.weight[2][i] = f * (-a + f * ((2 * a + 3) - (a + 2) * f));
        w.weight[3][i] = a * f * f * g;
        if (!slopes) continue;
        w.slope[0][i] = a * g * (1 - 3 * f);
        w.slope[1][i] = f * (3 * (a + 2) * f - 2 * (a + 3));
        w.slope[2][i] = -a + f * (2 * (2 * a + 3) - 3 * (a + 2) * f);
        w.slope[3][i] = a * f * (2 - 3 * f);
    }
}

// B-splines by the recursion of Cox and de Boor on uniform knots, from one order to the next.
template <int order, class Real, int stride, bool slopes>
inline void bspline_basis(Weights<Real, stride, slopes> w) {
    using S = Simd<Real>;
    using V = typename S::Vector;
    const Real half = Real(0.5);
    for (int i = 0; i < w.count; i += S::width) {
        // An even order is centered on a sample: its knots lie half-way between samples.
        V u = S::load(w.fraction + i);
        if (order % 2 == 0) u = u >= half ? u - half : u + half;
        V part[order + 1];
        part[0] = V{} + 1;
        for (int n = 1; n <= order; ++n) {
            if (slopes && n == order) {
                S::store(w.slope[0] + i, -part[0]);
                for (int t = 1; t < order; ++t) S::store(w.slope[t] + i, part[t - 1] - part[t]);
                S::store(w.slope[order] + i, part[order - 1]);
            }
            V carried{};
            for (int t = 0; t < n; ++t) {
                const V share = part[t] * Real(1.0 / n);
                part[t] = multiply_add<Real>(Real(t + 1) - u, share, carried);
                carried = (u + Real(n - 1 - t)) * share;
            }
            part[n] = carried;
        }
        for (int t = 0; t <= order; ++t) S::store(w.weight[t] + i, part[t]);
    }
}

// sin(x) / x and its derivative, for |x| <= pi, by their power series.
template <class Real, class V>
inline void sinc_series(V x, V& value, V& slope) {
    constexpr int terms = sizeof(Real) == sizeof(float) ? 11 : 16;
    const V square = x * x;
    // From the smallest term on: 1 - x^2 / (2 3) (1 - x^2 / (4 5) (...)).
    V sum = V{} + 1, derivative{};
    for (int k = terms; k > 0; --k) {
        const Real factor = Real(-1.0 / ((2 * k) * (2 * k + 1)));
        derivative = factor * (2 * x * sum + square * derivative);
        sum = 1 + factor * square * sum;
    }
    value = sum;
    slope = derivative;
}

// sinc(s) sinc(s / lobes), normalised so that the weights of a point add up to one. sin and cos of pi s at all taps
// follow from those at the fraction by the addition theorem; the two taps next to the point, where a quotient would
// lose digits, take the power series.
template <int lobes, class Real, int stride, bool slopes>
inline void lanczos_basis(Weights<Real, stride, slopes> w) {
    using S = Simd<Real>;
    using V = typename S::Vector;
    constexpr double pi = 3.14159265358979323846;
    constexpr int taps = 2 * lobes;
    // sin and cos of pi k / lobes for k = 0 .. 2 lobes - 1
    Real sines[taps], cosines[taps];
    for (int k = 0; k < taps; ++k) {
        sines[k] = static_cast<Real>(std::sin(pi * k / lobes));
        cosines[k] = static_cast<Real>(std::cos(pi * k / lobes));
    }
    for (int i = 0; i < w.count; i += S::width) {
        const V f = S::load(w.fraction + i);
        V near_sinc, near_slope, wide_sinc, wide_slope;
        sinc_series<Real>(Real(pi) * f, near_sinc, near_slope);
        sinc_series<Real>(Real(pi / lobes) * f, wide_sinc, wide_slope);
        const V sine = Real(pi) * f * near_sinc, cosine = near_sinc + Real(pi) * f * near_slope;
        const V wide_sine = Real(pi / lobes) * f * wide_sinc;
        const V wide_cosine = wide_sinc + Real(pi / lobes) * f * wide_slope;
        V weight[taps], slope[taps], sum{}, slope_sum{};
        for (int t = 0; t < taps; ++t) {
            const int k = lobes - 1 - t;  // the tap lies at a distance of s = f + k
            const V s = f + Real(k);
            V a, da, b, db;  // sinc(s), sinc(s / lobes), and their derivatives in s
            if (k == 0 || k == -1) {
                sinc_series<Real>(Real(pi) * s, a, da);
                sinc_series<Real>(Real(pi / lobes) * s, b, db);
                da *= Real(pi);
                db *= Real(pi / lobes);
            } else {
                const Real sign = k % 2 == 0 ? 1 : -1;
                const int turn = (k + taps) % taps;
                const V x = Real(pi) * s, y = Real(pi / lobes) * s;
                a = sign * sine / x;
                da = (sign * cosine - a) / s;
                b = (wide_sine * cosines[turn] + wide_cosine * sines[turn]) / y;
                db = ((wide_cosine * cosines[turn] - wide_sine * sines[turn]) - b) / s;
            }
            // On a sample; a fraction just below 1 may round to it.
            const V here = s == 0 ? V{} + 1 : V{};
            a = f == 0 ? here : (f == 1 ? here : a);
            weight[t] = a * b;
            sum += weight[t];
            slope[t] = da * b + a * db;
            slope_sum += slope[t];
        }
        const V scale = 1 / sum;
        for (int t = 0; t < taps; ++t) {
            weight[t] *= scale;
            S::store(w.weight[t] + i, weight[t]);
            if (slopes) S::store(w.slope[t] + i, (slope[t] - weight[t] * slope_sum) * scale);
        }
    }
}

template <bool slopes, class Real, int stride>
inline void basis_or_both(Interpolation interpolation, double parameter, const Real* fraction, int count,
                          Real (*weight)[stride], Real (*slope)[stride]) {
    const Weights<Real, stride, slopes> w{fraction, count, weight, slope};
    switch (interpolation) {
        case Interpolation::nearest:
            for (int i = 0; i < count; ++i) {
                weight[0][i] = 1;
                if (slopes) slope[0][i] = 0;
            }
            break;
        case Interpolation::linear:
        case Interpolation::label:
            for (int i = 0; i < count; ++i) {
                weight[0][i] = 1 - fraction[i];
                weight[1][i] = fraction[i];
                if (slopes) slope[0][i] = -1;
                if (slopes) slope[1][i] = 1;
            }
            break;
        case Interpolation::cubic: cubic_basis(w, static_cast<Real>(parameter)); break;
        case Interpolation::mitchell: {
            // a third of the cubic B-spline and two thirds of Keys' kernel with a = -1/2: B = C = 1/3
            Real keys[4][stride], keys_slope[4][stride];
            cubic_basis(Weights<Real, stride, slopes>{fraction, count, keys, keys_slope}, Real(-0.5));
            bspline_basis<3>(w);
            for (int t = 0; t < 4; ++t)
                for (int i = 0; i < count; ++i) {
                    weight[t][i] = (weight[t][i] + 2 * keys[t][i]) * Real(1.0 / 3);
                    if (slopes) slope[t][i] = (slope[t][i] + 2 * keys_slope[t][i]) * Real(1.0 / 3);
                }
            break;
        }
        case Interpolation::lanczos2: lanczos_basis<2>(w); break;
        case Interpolation::lanczos3: lanczos_basis<3>(w); break;
        case Interpolation::lanczos4: lanczos_basis<4>(w); break;
        case Interpolation::bspline2: bspline_basis<2>(w); break;
        case Interpolation::bspline3: bspline_basis<3>(w); break;
        case Interpolation::bspline4: bspline_basis<4>(w); break;
        case Interpolation::bspline5: bspline_basis<5>(w); break;
    }
}

// The weights of `count` points, which add up to one for each, and unless `slope` is null their slopes, which add up to
// zero.
template <class Real, int stride>
inline void basis(Interpolation interpolation, double parameter, const Real* fraction, int count,
                  Real (*weight)[stride], Real (*slope)[stride]) {
    if (slope)
        basis_or_both<true>(interpolation, parameter, fraction, count, weight, slope);
    else
        basis_or_both<false>(interpolation, parameter, fraction, count, weight, slope);
}

// Second derivatives are for derivatives of gradients: one point at a time, in double precision.

// sinc(s) = sin(pi s) / (pi s) and its first two derivatives.
inline void sinc_jet(double s, double* jet) {
    constexpr double pi = 3.14159265358979323846;
    const double q = pi * pi * s * s;
    if (q < 0.25) {  // the power series, where quotients would lose digits
        jet[0] = jet[1] = jet[2] = 0;
        double term = 1;  // (-1)^k (pi s)^(2k) / (2k + 1)!
        for (int k = 0; k < 10; ++k) {
            const double next = -term * q / ((2 * k + 2) * (2 * k + 3));
            jet[0] += term;
            // the derivatives of s^(2k + 2) have the factors 2k + 2 and (2k + 2) (2k + 1)
            const double coefficient = -term * pi * pi / ((2 * k + 2) * (2 * k + 3));
            jet[1] += (2 * k + 2) * coefficient * s;
            jet[2] += (2 * k + 2) * (2 * k + 1) * coefficient;
            term = next;
        }
        return;
    }
    jet[0] = std::sin(pi * s) / (pi * s);
    jet[1] = (std::cos(pi * s) - jet[0]) / s;
    jet[2] = -pi * pi * jet[0] - 2 * jet[1] / s;
}

inline void lanczos_curvature(int lobes, double f, double* curvature) {
    double weight[8], slope[8], sum[3] = {};
    for (int t = 0; t < 2 * lobes; ++t) {
        const double s = f + (lobes - 1 - t);
        double near[3], wide[3];
        sinc_jet(s, near);
        sinc_jet(s / lobes, wide);
        wide[1] /= lobes;
        wide[2] /= lobes * lobes;
        weight[t] = near[0] * wide[0];
        slope[t] = near[1] * wide[0] + near[0] * wide[1];
        curvature[t] = near[2] * wide[0] + 2 * near[1] * wide[1] + near[0] * wide[2];
        sum[0] += weight[t];
        sum[1] += slope[t];
        sum[2] += curvature[t];
    }
    for (int t = 0; t < 2 * lobes; ++t) {
        const double w = weight[t] / sum[0], w1 = (slope[t] - w * sum[1]) / sum[0];
        curvature[t] = (curvature[t] - 2 * w1 * sum[1] - w * sum[2]) / sum[0];
    }
}

inline void cubic_curvature(double f, double a, double* curvature) {
    const double g = 1 - f;
    curvature[0] = a * (6 * f - 4);
    curvature[1] = 6 * (a + 2) * f - 2 * (a + 3);
    curvature[2] = 6 * (a + 2) * g - 2 * (a + 3);
    curvature[3] = a * (6 * g - 4);
}

// The second differences of the B-spline two orders below.
inline void bspline_curvature(int order, double f, double* curvature) {
    const double u = order % 2 ? f : (f >= 0.5 ? f - 0.5 : f + 0.5);
    double part[6] = {1};
    for (int n = 1; n <= order - 2; ++n) {
        double carried = 0;
        for (int t = 0; t < n; ++t) {
            const double share = part[t] / n;
            part[t] = carried + (t + 1 - u) * share;
            carried = (u + n - 1 - t) * share;
        }
        part[n] = carried;
    }
    for (int t = 0; t <= order; ++t) {
        const double here = t <= order - 2 ? part[t] : 0;
        const double before = t >= 1 && t - 1 <= order - 2 ? part[t - 1] : 0;
        curvature[t] = here - 2 * before + (t >= 2 ? part[t - 2] : 0);
    }
}

// The second derivatives of the weights of the taps of a point, which add up to zero.
inline void curvature_of(Interpolation interpolation, double parameter, double f, double* curvature) {
    switch (interpolation) {
        case Interpolation::nearest:
        case Interpolation::linear:
        case Interpolation::label: curvature[0] = curvature[1] = 0; break;
        case Interpolation::cubic: cubic_curvature(f, parameter, curvature); break;
        case Interpolation::mitchell: {
            double keys[4];
            cubic_curvature(f, -0.5, keys);
            bspline_curvature(3, f, curvature);
            for (int t = 0; t < 4; ++t) curvature[t] = (curvature[t] + 2 * keys[t]) / 3;
            break;
        }
        case Interpolation::lanczos2: lanczos_curvature(2, f, curvature); break;
        case Interpolation::lanczos3: lanczos_curvature(3, f, curvature); break;
        case Interpolation::lanczos4: lanczos_curvature(4, f, curvature); break;
        case Interpolation::bspline2: bspline_curvature(2, f, curvature); break;
        case Interpolation::bspline3: bspline_curvature(3, f, curvature); break;
        case Interpolation::bspline4: bspline_curvature(4, f, curvature); break;
        case Interpolation::bspline5: bspline_curvature(5, f, curvature); break;
    }
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback

#endif
