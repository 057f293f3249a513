// From the cotangent of the coordinates to the gradient in the geometry: written out, or summed into a matrix.
#pragma once

#include "lattice.hpp"
#include "simd.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// Sums of v[i] and of i * v[i], in a fixed order.
template <class Real>
void moments(const Real* v, int n, double& sum, double& first_moment) {
    using S = Simd<Real>;
    typename S::Vector index, total{}, weighted{};
    for (int k = 0; k < S::width; ++k) index[k] = static_cast<Real>(k);
    int i = 0;
    for (; i + S::width <= n; i += S::width) {
        const typename S::Vector value = S::load(v + i);
        total += value;
        weighted += value * index;
        index += static_cast<Real>(S::width);
    }
    sum = first_moment = 0;
    for (int k = 0; k < S::width; ++k) {
        sum += total[k];
        first_moment += weighted[k];
    }
    for (; i < n; ++i) {
        sum += v[i];
        first_moment += static_cast<double>(v[i]) * i;
    }
}

// Adds sum over the block of x_bar (index, 1)^T, with `index` that of the output lattice, to a D x (D + 1) record.
template <class Real, int D>
void add_matrix_moments(const Lattice& lattice, int64_t begin, int count, const Real (*x_bar)[block_points],
                        double* record) {
    for_each_row(lattice, begin, count, [&](int64_t z, int64_t y, int64_t x, int first, int n) {
        const double index[3] = {static_cast<double>(z), static_cast<double>(y), static_cast<double>(x)};
        for (int d = 0; d < D; ++d) {
            double sum, first_moment;
            moments(x_bar[d] + first, n, sum, first_moment);
            double* row = record + d * (D + 1);
            for (int e = 0; e + 1 < D; ++e) row[e] += index[3 - D + e] * sum;
            row[D - 1] += index[2] * sum + first_moment;
            row[D] += sum;
        }
    });
}

// Writes the cotangent of given coordinates, in the units of their frame.
template <class C, class Real, int D>
void store_coordinates(const Plan& plan, const Lattice& lattice, const Geometry& geometry, int64_t batch,
                       int64_t begin, int count, const Real (*x_bar)[block_points]) {
    C* data = static_cast<C*>(geometry.data) + batch * geometry.batch_stride;
    for_each_row(lattice, begin, count, [&](int64_t z, int64_t y, int64_t x, int first, int n) {
        C* row = data + z * geometry.stride[0] + y * geometry.stride[1] + x * geometry.stride[2];
        for (int d = 0; d < D; ++d) {
            const Real scale = static_cast<Real>(plan.scale_in[d]);
            C* component = row + d * geometry.component_stride;
            for (int i = 0; i < n; ++i) component[i * geometry.stride[2]] = static_cast<C>(scale * x_bar[d][first + i]);
        }
    });
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
