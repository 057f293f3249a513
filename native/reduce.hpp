// From the cotangent of the coordinates to the gradient in the geometry: written out, or summed into a matrix.
#pragma once

#include "lattice.hpp"
#include "simd.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

template <class Real>
inline double lane_sum(typename Simd<Real>::Vector v) {
    double sum = 0;
    for (int k = 0; k < Simd<Real>::width; ++k) sum += v[k];
    return sum;
}

// Adds sum over the block of x_bar (index, 1)^T, with `index` that of the output lattice, to a D x (D + 1) record. The
// cotangents past the end of the block must be zero up to a whole vector.
template <class Real, int D>
void add_matrix_moments(const LocalIndex<Real, D>& local, int count, const Real (*x_bar)[block_points],
                        double* record) {
    using S = Simd<Real>;
    for (int d = 0; d < D; ++d) {
        typename S::Vector total{}, moment[D]{};
        for (int i = 0; i < count; i += S::width) {
            const typename S::Vector v = S::load(x_bar[d] + i);
            total += v;
            for (int e = 0; e < D; ++e) moment[e] += v * S::load(local.index[e] + i);
        }
        const double sum = lane_sum<Real>(total);
        for (int e = 0; e < D; ++e) record[d * (D + 1) + e] += local.origin[e] * sum + lane_sum<Real>(moment[e]);
        record[d * (D + 1) + D] += sum;
    }
}

// Writes the cotangent of given coordinates, in the units of their frame.
template <class C, class Real, int D>
void store_coordinates(const Plan& plan, const Lattice& lattice, const Geometry& geometry, int64_t batch, int64_t begin,
                       int count, const Real (*x_bar)[block_points]) {
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
