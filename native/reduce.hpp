// From the cotangent of the coordinates to the gradient in the geometry: written out, or summed into a matrix.
#pragma once

#include "kernels.hpp"
#include "locate.hpp"
#include "lost.hpp"
#include "simd.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// Lanes of sums in double precision. Vectors of reals are added to them a few at a time, so that no digits are lost
// with their number.
template <class Real, class Sum = double>
struct LaneSums {
    typedef Sum Lanes __attribute__((vector_size(Simd<Real>::width * sizeof(Sum))));
    Lanes lanes;
    void add(typename Simd<Real>::Vector v) { lanes += __builtin_convertvector(v, Lanes); }
    Sum total() const {
        Sum sum = 0;
        for (int k = 0; k < Simd<Real>::width; ++k) sum += lanes[k];
        return sum;
    }
};

// The points of a block whose sums are formed in the precision of the block.
constexpr int strip_points = 128;

inline int end_of_strip(int begin, int count) { return begin + strip_points < count ? begin + strip_points : count; }

// Adds sum over the block of x_bar (index, 1)^T, with `index` that of the output lattice, to a rows x (D + 1) record.
// The cotangents past the end of the block must be zero up to a whole vector.
template <class Real, int D>
void add_matrix_moments(const LocalIndex<Real, D>& local, int count, int rows, const Real (*x_bar)[block_points],
                        double* record) {
    using S = Simd<Real>;
    for (int d = 0; d < rows; ++d) {
        LaneSums<Real> total{}, moment[D]{};
        for (int begin = 0; begin < count; begin += strip_points) {
            typename S::Vector strip{}, strip_moment[D]{};
            for (int i = begin; i < end_of_strip(begin, count); i += S::width) {
                const typename S::Vector v = S::load(x_bar[d] + i);
                strip += v;
                for (int e = 0; e < D; ++e) strip_moment[e] += v * S::load(local.index[e] + i);
            }
            total.add(strip);
            for (int e = 0; e < D; ++e) moment[e].add(strip_moment[e]);
        }
        const double sum = total.total();
        for (int e = 0; e < D; ++e) record[d * (D + 1) + e] += local.origin[e] * sum + moment[e].total();
        record[d * (D + 1) + D] += sum;
    }
}

// Writes the cotangent of given coordinates or displacements, in the units of their frame.
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

// The cotangent of the coordinates of a block, `x_bar`, to the gradient in what they come from; NaN where that is not
// finite. Vectors of `x_bar` past the end of the block must be zero.
//
// `w_bar`, if not null, is added to the cotangent of a projective map's denominator.
template <class Real, int D>
void reduce_block(const Call& call, int64_t m, int64_t chunk, int64_t begin, const LocalIndex<Real, D>& local,
                  const Cells<Real, D>& cells, Real (*x_bar)[block_points], const Real* w_bar = nullptr) {
    const Position<Real, D>& position = cells.position;
    const int count = position.count;
    Lost<Real> lost;
    find_lost(call, m, begin, cells, lost);
    for (int d = 0; d < D; ++d) lost.mark(x_bar[d]);
    if (is_field(call.plan.kind)) {
        if (call.grad_geometry.dtype == DType::f32)
            store_coordinates<float, Real, D>(call.plan, call.lattice, call.grad_geometry, m, begin, count, x_bar);
        else
            store_coordinates<double, Real, D>(call.plan, call.lattice, call.grad_geometry, m, begin, count, x_bar);
        return;
    }
    double* record = call.partial_sums + (m * call.slabs + slab_of(call, chunk)) * call.record_size;
    if (call.plan.kind == LatticeKind::free_form) {
        add_to_controls<Real, D>(call.geometry, call.lattice, begin, count, x_bar, record);
    } else if (call.plan.kind == LatticeKind::affine) {
        add_matrix_moments<Real, D>(local, count, D, x_bar, record);
    } else {
        alignas(64) Real reciprocal[block_points], row_bar[D + 1][block_points];
        find_reciprocals(projective_map<D>(call, call.geometry, m), local, count, reciprocal);
        to_homogeneous(position, reciprocal, x_bar, row_bar);
        for (int i = 0; w_bar && i < count; ++i) row_bar[D][i] += w_bar[i];
        for (int r = 0; r <= D; ++r)
            for (int i = count; i < padded(count); ++i) row_bar[r][i] = 0;
        add_matrix_moments<Real, D>(local, count, D + 1, row_bar, record);
    }
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
