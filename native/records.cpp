#include "records.hpp"

#include <algorithm>
#include <vector>

namespace pullback {
namespace {

// The gradient in a matrix from the moments of its rows' cotangents, in the units of both frames. A projective matrix
// has a row more, for the denominator, which the frame of the image mixes with the others.
template <class C>
void finish_matrix(const Call& call, int64_t m, const double* record) {
    const Plan& plan = call.plan;
    const int D = plan.ndim, rows = row_count(plan);
    C* matrix = static_cast<C*>(call.grad_geometry.data) + m * call.grad_geometry.batch_stride;
    for (int r = 0; r < rows; ++r) {
        double moment[max_ndim + 1] = {};
        for (int e = 0; e <= D; ++e) {
            moment[e] = (r < D ? plan.scale_in[r] : 1) * record[r * (D + 1) + e];
            for (int d = 0; r == D && d < D; ++d) moment[e] += plan.offset_in[d] * record[d * (D + 1) + e];
        }
        C* row = matrix + (r < D ? r * call.grad_geometry.row_stride : call.grad_geometry.last_row);
        for (int e = 0; e < D; ++e)
            row[e * call.grad_geometry.component_stride] =
                static_cast<C>((moment[e] - plan.offset_out[e] * moment[D]) / plan.scale_out[e]);
        row[call.grad_geometry.last_column] = static_cast<C>(moment[D]);
    }
}

// The gradient in the coefficients of a spline.
template <class C>
void finish_coefficients(const Call& call, int64_t m, const double* record) {
    const Geometry& grad = call.grad_geometry;
    const int D = call.plan.ndim;
    C* data = static_cast<C*>(grad.data) + m * grad.batch_stride;
    for (int64_t i = 0; i < call.record_size / D; ++i) {
        int64_t at = 0, rest = i;
        for (int a = D - 1; a >= 0; --a) {
            at += rest % grad.size[a] * grad.stride[a];
            rest /= grad.size[a];
        }
        for (int d = 0; d < D; ++d)
            data[at + d * grad.component_stride] = static_cast<C>(call.plan.scale_in[d] * record[i * D + d]);
    }
}

}  // namespace

void plan_records(Call& call) {
    const int D = call.plan.ndim;
    const int64_t chunks = chunk_count(call.lattice);
    call.slabs = chunks;
    call.record_size = 0;
    if (is_matrix(call.plan.kind)) call.record_size = row_count(call.plan) * (D + 1);
    if (call.plan.kind == LatticeKind::free_form) {
        constexpr int64_t most_slabs = 16, most_numbers = 1 << 22;
        call.record_size = D;
        for (int d = 0; d < D; ++d) call.record_size *= call.geometry.size[d];
        call.slabs = std::max<int64_t>(1, std::min({chunks, most_slabs, most_numbers / call.record_size}));
    }
}

void finish_geometry(const Call& call) {
    const bool is_float = call.grad_geometry.dtype == DType::f32, matrix = is_matrix(call.plan.kind);
    std::vector<double> sum(static_cast<size_t>(call.record_size));
    for (int64_t m = 0; m < call.geometry.batch; ++m) {
        std::fill(sum.begin(), sum.end(), 0.0);
        for (int64_t slab = 0; slab < call.slabs; ++slab) {
            const double* record = call.partial_sums + (m * call.slabs + slab) * call.record_size;
            for (int64_t k = 0; k < call.record_size; ++k) sum[static_cast<size_t>(k)] += record[k];
        }
        if (matrix)
            is_float ? finish_matrix<float>(call, m, sum.data()) : finish_matrix<double>(call, m, sum.data());
        else
            is_float ? finish_coefficients<float>(call, m, sum.data())
                     : finish_coefficients<double>(call, m, sum.data());
    }
}

}  // namespace pullback
