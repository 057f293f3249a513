// The second derivative of interpolation weights: for derivatives of gradients, one point at a time and in double
// precision.
#pragma once

#include <cmath>

#include "basis.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

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
