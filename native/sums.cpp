#include "sums.hpp"

#include <algorithm>
#include <cmath>

namespace pullback {
namespace {

// So many contributions to a sample, of roughly equal size, are off by less than 1e-6 in single precision.
constexpr double few_contributions = 64;

template <class C>
double linear_part(const Call& call, int64_t m, int r, int e) {
    const Geometry& geometry = call.geometry;
    const C* row = static_cast<const C*>(geometry.data) + m * geometry.batch_stride + r * geometry.row_stride;
    return call.plan.scale_in[r] * static_cast<double>(row[e * geometry.component_stride]) / call.plan.scale_out[e];
}

// How many points of the lattice an affine map brings near a sample, at most: of each column of its matrix, what is
// perpendicular to those before says how far apart points lie on the lattice's axis.
double most_near_a_sample(const Call& call, int64_t m) {
    const int D = call.plan.ndim;
    double column[max_ndim][max_ndim], most = 1;
    for (int e = 0; e < D; ++e) {
        const double count = static_cast<double>(call.lattice.size[3 - D + e]);
        for (int r = 0; r < D; ++r)
            column[e][r] = call.geometry.dtype == DType::f32 ? linear_part<float>(call, m, r, e)
                                                             : linear_part<double>(call, m, r, e);
        for (int r = 0; r < D; ++r) {
            // Beyond its border an image is read again, and again.
            const double length = std::fabs(column[e][r]) * count, size = static_cast<double>(call.grad_image.size[r]);
            if (call.plan.border[r] != Border::constant) most *= 1 + length / size;
        }
        double taps = 1, squares = 0;
        for (int before = 0; before < e; ++before) {
            double product = 0, square = 0;
            for (int r = 0; r < D; ++r) {
                product += column[e][r] * column[before][r];
                square += column[before][r] * column[before][r];
            }
            for (int r = 0; r < D && square > 0; ++r) column[e][r] -= product / square * column[before][r];
        }
        for (int r = 0; r < D; ++r) {
            taps = std::max(taps, static_cast<double>(tap_count(call.plan.interpolation[r])));
            squares += column[e][r] * column[e][r];
        }
        most *= std::min(count, taps / std::sqrt(squares) + 1);
    }
    return most;
}

// Whether the samples of a row of the first axis lie in one range of memory, apart from those of the others.
bool is_ordered(const Call& call, const Image& image) {
    int64_t least = 1;
    for (int d = call.plan.ndim - 1; d >= 0; --d) {
        if (image.stride[d] < least) return false;
        least = image.stride[d] * image.size[d];
    }
    return true;
}

bool brings_few(const Call& call) {
    if (call.plan.kind != LatticeKind::affine) return false;
    for (int d = 0; d < call.plan.ndim; ++d)
        if (call.plan.border[d] == Border::edge) return false;
    const double entries = static_cast<double>(call.batch / std::max<int64_t>(call.grad_image.batch, 1));
    for (int64_t m = 0; m < call.geometry.batch; ++m)
        if (!(entries * most_near_a_sample(call, m) <= few_contributions)) return false;
    return true;
}

}  // namespace

int64_t samples_in_row(const Call& call, const Image& image) {
    int64_t samples = 1;
    for (int d = 1; d < call.plan.ndim; ++d) samples *= image.size[d];
    return samples;
}

int64_t rows_of_sums(const Call& call) {
    return std::max<int64_t>(most_sums / std::max<int64_t>(samples_in_row(call, call.grad_image), 1), 1);
}

Summing summing_of(const Call& call) {
    const Image& image = call.grad_image;
    if (image.dtype != DType::f32) return Summing::direct;
    const int64_t samples = samples_in_row(call, image) * image.size[0];
    if (samples <= most_sums) return Summing::apart;
    if (brings_few(call)) return Summing::direct;
    const int64_t points = call.batch / std::max<int64_t>(image.batch, 1) * point_count(call.lattice);
    return points <= 2 * samples && is_ordered(call, image) ? Summing::counted : Summing::apart;
}

}  // namespace pullback
