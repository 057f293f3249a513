// Projective maps, (A p + t) / (c p + w), and the way back from the cotangent of their coordinates.
#pragma once

#include <limits>

#include "lattice.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// From output indices to image indices, with both frames folded in: a numerator for each axis of the image, and the
// denominator in row D. Points whose denominator is 0 lie on the horizon and are read from nowhere; so are those beyond
// it, where the map has one side, which is that of the frame's origin.
template <int D>
struct ProjectiveMap {
    double row[D + 1][D + 1];
    double low, high;  // denominators between these two are not seen
    bool sees(double denominator) const { return denominator > high || denominator < low; }
};

// A denominator is 0 within a few roundings of its largest term.
constexpr double horizon_roundings = 8 * std::numeric_limits<double>::epsilon();

template <class C, int D>
ProjectiveMap<D> projective_map(const Call& call, const Geometry& geometry, int64_t batch) {
    const Plan& plan = call.plan;
    ProjectiveMap<D> map;
    const C* matrix = static_cast<const C*>(geometry.data) + (geometry.batch == 1 ? 0 : batch * geometry.batch_stride);
    const C at_origin = matrix[geometry.last_row + geometry.last_column];
    for (int r = 0; r <= D; ++r) {
        const C* row = matrix + (r < D ? r * geometry.row_stride : geometry.last_row);
        map.row[r][D] = static_cast<double>(row[geometry.last_column]);
        for (int e = 0; e < D; ++e) {
            map.row[r][e] = static_cast<double>(row[e * geometry.component_stride]) / plan.scale_out[e];
            map.row[r][D] -= map.row[r][e] * plan.offset_out[e];
        }
    }
    for (int r = 0; r < D; ++r)
        for (int e = 0; e <= D; ++e)
            map.row[r][e] = plan.scale_in[r] * map.row[r][e] + plan.offset_in[r] * map.row[D][e];
    double largest = std::fabs(map.row[D][D]);
    for (int e = 0; e < D; ++e) largest += std::fabs(map.row[D][e]) * static_cast<double>(call.lattice.size[3 - D + e]);
    constexpr double infinite = std::numeric_limits<double>::infinity();
    const double horizon = plan.near > 0 ? horizon_roundings * largest : 0;
    const bool both = plan.kind != LatticeKind::one_sided;
    map.high = both || at_origin > 0 ? horizon : infinite;
    map.low = both || at_origin < 0 ? -horizon : -infinite;
    return map;
}

template <int D>
ProjectiveMap<D> projective_map(const Call& call, const Geometry& geometry, int64_t batch) {
    return geometry.dtype == DType::f32 ? projective_map<float, D>(call, geometry, batch)
                                        : projective_map<double, D>(call, geometry, batch);
}

// The numerators and the denominator at a point.
template <int D>
inline void project(const ProjectiveMap<D>& map, const double* index, double* value) {
    for (int r = 0; r <= D; ++r) {
        value[r] = map.row[r][D];
        for (int e = 0; e < D; ++e) value[r] += map.row[r][e] * index[e];
    }
}

// A group of a row, in single precision, from its first point on: k steps further, x grows by k slope / (1 + k bend).
// Returns whether that is exact to 1e-5 of a sample, and done; it is not next to the horizon.
template <int D>
inline bool place_group(const ProjectiveMap<D>& map, const double* value, int32_t (*floor)[group_points],
                        float (*fraction)[group_points]) {
    using S = Simd<float>;
    if (!map.sees(value[D])) return false;
    const double inverse = 1 / value[D], bend = map.row[D][D - 1] * inverse;
    double below[D], rest[D], slope[D];
    bool small = std::fabs(bend) * group_points <= 0.5;
    for (int d = 0; d < D; ++d) {
        const double x = value[d] * inverse;
        slope[d] = (map.row[d][D - 1] - x * map.row[D][D - 1]) * inverse;
        small = small && std::fabs(slope[d]) <= 8 && std::fabs(x) < void_index / 2;
        below[d] = small ? floor_of(x) : 0;
        rest[d] = x - below[d];
    }
    if (!small) return false;
    for (int k = 0; k < group_points; k += S::width) {
        S::Vector step;
        for (int j = 0; j < S::width; ++j) step[j] = static_cast<float>(k + j);
        const S::Vector share = step / (1 + static_cast<float>(bend) * step);
        for (int d = 0; d < D; ++d) {
            const S::Vector x = static_cast<float>(rest[d]) + static_cast<float>(slope[d]) * share;
            const S::Vector x_below = floor_of(x);
            const IntVector index = static_cast<int32_t>(below[d]) + __builtin_convertvector(x_below, IntVector);
            std::memcpy(floor[d] + k, &index, sizeof index);
            S::store(fraction[d] + k, x - x_below);
        }
    }
    return true;
}

template <class Real, int D>
void locate_projective(const ProjectiveMap<D>& map, const Lattice& lattice, int64_t begin,
                       Position<Real, D>& position) {
    for_each_row(lattice, begin, position.count, [&](int64_t z, int64_t y, int64_t x, int first, int n) {
        const double at[3] = {static_cast<double>(z), static_cast<double>(y), static_cast<double>(x)};
        double start[D + 1];
        project(map, at + (3 - D), start);
        for (int i = 0; i < n; i += group_points) {
            double value[D + 1];
            for (int r = 0; r <= D; ++r) value[r] = start[r] + map.row[r][D - 1] * i;
            const int count = n - i < group_points ? n - i : group_points;
            if constexpr (sizeof(Real) == sizeof(float)) {
                alignas(64) int32_t floor[D][group_points];
                alignas(64) float fraction[D][group_points];
                if (place_group(map, value, floor, fraction)) {
                    for (int d = 0; d < D; ++d) {
                        std::memcpy(position.floor[d] + first + i, floor[d], sizeof floor[d]);
                        std::memcpy(position.fraction[d] + first + i, fraction[d], sizeof fraction[d]);
                    }
                    continue;
                }
            }
            for (int k = 0; k < count; ++k) {
                const double denominator = value[D] + map.row[D][D - 1] * k;
                const double inverse = map.sees(denominator) ? 1 / denominator : std::nan("");
                for (int d = 0; d < D; ++d)
                    place((value[d] + map.row[d][D - 1] * k) * inverse, position.floor[d][first + i + k],
                          position.fraction[d][first + i + k]);
            }
        }
    });
}

// The reciprocal of the denominator at each point of a block; 0 where nothing is seen.
template <class Real, int D>
void find_reciprocals(const ProjectiveMap<D>& map, const LocalIndex<Real, D>& local, int count, Real* reciprocal) {
    double base = map.row[D][D];
    for (int e = 0; e < D; ++e) base += map.row[D][e] * local.origin[e];
    for (int i = 0; i < count; ++i) {
        Real denominator = static_cast<Real>(base);
        for (int e = 0; e < D; ++e) denominator += static_cast<Real>(map.row[D][e]) * local.index[e][i];
        reciprocal[i] = map.sees(denominator) ? 1 / denominator : Real(0);
    }
}

// From the cotangent of the coordinates to that of the numerators and the denominator. What has no cotangent has none
// here: its reciprocal may be infinite.
template <class Real, int D>
void to_homogeneous(const Position<Real, D>& position, const Real* reciprocal, const Real (*x_bar)[block_points],
                    Real (*row_bar)[block_points]) {
    for (int i = 0; i < position.count; ++i) {
        Real sum = 0;
        for (int d = 0; d < D; ++d) {
            const Real x = static_cast<Real>(position.floor[d][i]) + position.fraction[d][i];
            row_bar[d][i] = x_bar[d][i] == 0 ? Real(0) : x_bar[d][i] * reciprocal[i];
            sum += row_bar[d][i] * x;
        }
        row_bar[D][i] = -sum;
    }
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
