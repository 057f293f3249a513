// Points of the output lattice, block by block, and the cell of the image that each falls in: affine maps, and given
// coordinates.
#pragma once

#include <cmath>
#include <type_traits>

#include "params.hpp"
#include "simd.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// Kernels work on blocks of this many consecutive points of the output lattice.
constexpr int block_points = 512;

// Points of a row that share a base in double precision; from there on float increments are exact enough.
constexpr int group_points = 16;

// Loops over points run to a multiple of the widest vector: a compiler that knows it leaves out the remainder loop,
// which would cost more than the loop. What lies past the end of a block stands in for points, and is never stored.
inline int padded(int count) { return (count + group_points - 1) & -group_points; }

// floor(x) and x - floor(x), axis by axis. Rows are written in whole groups, the last of which may run over the end.
template <class Real, int D>
struct Position {
    int count;
    bool lost;  // all of them, by parameters that are not finite
    alignas(64) int32_t floor[D][block_points + group_points];
    alignas(64) Real fraction[D][block_points + group_points];
};

// Calls visit(z, y, x, first, n) for each piece of a row in `count` points from `begin` on, in order; the piece holds
// the points first .. first + n of the range, from (z, y, x) on.
template <class Visit>
inline void for_each_row(const Lattice& lattice, int64_t begin, int count, Visit visit) {
    const int64_t row_size = lattice.size[2], row = begin / row_size;
    int64_t x = begin - row * row_size, z = row / lattice.size[1], y = row - z * lattice.size[1];
    for (int first = 0; first < count;) {
        const int64_t left_in_row = row_size - x;
        const int n = left_in_row < count - first ? static_cast<int>(left_in_row) : count - first;
        visit(z, y, x, first, n);
        first += n;
        x = 0;
        if (++y == lattice.size[1]) {
            y = 0;
            ++z;
        }
    }
}

// The lattice index of each point of a block, along the axes of the image, from an origin near the block: small
// numbers, which single precision holds exactly.
template <class Real, int D>
struct LocalIndex {
    double origin[D];
    alignas(64) Real index[D][block_points + group_points];
};

template <class Real, int D>
void find_local_index(const Lattice& lattice, int64_t begin, int count, LocalIndex<Real, D>& local) {
    double origin[3] = {};
    for_each_row(lattice, begin, count, [&](int64_t z, int64_t y, int64_t x, int first, int n) {
        if (first == 0) {
            origin[0] = static_cast<double>(z);
            origin[1] = static_cast<double>(y);
            origin[2] = static_cast<double>(n == count ? x : 0);
        }
        const double at[3] = {z - origin[0], y - origin[1], x - origin[2]};
        for (int d = 0; d + 1 < D; ++d)
            for (int i = 0; i < n; ++i) local.index[d][first + i] = static_cast<Real>(at[3 - D + d]);
        for (int i = 0; i < n; ++i) local.index[D - 1][first + i] = static_cast<Real>(at[2]) + static_cast<Real>(i);
    });
    for (int d = 0; d < D; ++d) {
        local.origin[d] = origin[3 - D + d];
        for (int i = count; i < count + group_points; ++i) local.index[d][i] = 0;
    }
}

// An affine map from output indices to image indices, with both frames folded in.
template <int D>
struct IndexMap {
    double linear[D][D];
    double constant[D];
};

template <class C, int D>
IndexMap<D> index_map(const Plan& plan, const Geometry& geometry, int64_t batch) {
    IndexMap<D> map;
    const C* matrix = static_cast<const C*>(geometry.data) + (geometry.batch == 1 ? 0 : batch * geometry.batch_stride);
    for (int d = 0; d < D; ++d) {
        const C* row = matrix + d * geometry.row_stride;
        map.constant[d] = plan.scale_in[d] * static_cast<double>(row[geometry.last_column]) + plan.offset_in[d];
        for (int e = 0; e < D; ++e) {
            map.linear[d][e] =
                plan.scale_in[d] * static_cast<double>(row[e * geometry.component_stride]) / plan.scale_out[e];
            map.constant[d] -= map.linear[d][e] * plan.offset_out[e];
        }
    }
    return map;
}

template <class C>
bool is_finite_matrix(const Plan& plan, const Geometry& geometry, int64_t batch) {
    const C* matrix = static_cast<const C*>(geometry.data) + (geometry.batch == 1 ? 0 : batch * geometry.batch_stride);
    C strange = 0;
    for (int r = 0; r < row_count(plan); ++r) {
        const C* row = matrix + (r < plan.ndim ? r * geometry.row_stride : geometry.last_row);
        for (int e = 0; e <= plan.ndim; ++e) {
            const C value = row[e < plan.ndim ? e * geometry.component_stride : geometry.last_column];
            strange += value - value;
        }
    }
    return strange == 0;
}

inline bool is_finite_matrix(const Plan& plan, const Geometry& geometry, int64_t batch) {
    return geometry.dtype == DType::f32 ? is_finite_matrix<float>(plan, geometry, batch)
                                        : is_finite_matrix<double>(plan, geometry, batch);
}

template <int D>
IndexMap<D> index_map(const Plan& plan, const Geometry& geometry, int64_t batch) {
    return geometry.dtype == DType::f32 ? index_map<float, D>(plan, geometry, batch)
                                        : index_map<double, D>(plan, geometry, batch);
}

// The integer at or below x, which fits an int32. The baseline of x86-64 has no instruction for it.
template <class Work>
inline Work floor_of(Work x) {
#if defined(__SSE2__) && !defined(__SSE4_1__)
    const Work truncated = static_cast<Work>(static_cast<int32_t>(x));
    return truncated - static_cast<Work>(x < truncated);
#else
    return std::floor(x);
#endif
}

// The cell of coordinate x, held within +-void_index: its floor and the fraction in it. The comparisons send NaN to
// -void_index.
template <class Work, class Real>
inline void place(Work x, int32_t& floor, Real& fraction) {
    constexpr Work limit = static_cast<Work>(void_index);
    x = x > -limit ? x : -limit;
    x = x < limit ? x : limit;
    const Work below = floor_of(x);
    floor = static_cast<int32_t>(below);
    fraction = static_cast<Real>(x - below);
}

// Positions start + step * i for i in [0, n), n <= block_points, in single precision, given step * k for the points k
// of a group: the error stays below 1e-4 / 4 of a sample for steps of up to 16 samples. Writes whole groups.
inline void place_row(double start, double step, const float* increment, int n, int32_t* __restrict floor,
                      float* __restrict fraction) {
    using S = Simd<float>;
    constexpr int groups = block_points / group_points;
    float rest[groups];
    int32_t whole[groups];
    const int used = (n + group_points - 1) / group_points;
    for (int g = 0; g < used; ++g) {
        const double base = start + step * (g * group_points), below = floor_of(base);
        whole[g] = static_cast<int32_t>(below);
        rest[g] = static_cast<float>(base - below);
    }
    for (int g = 0; g < used; ++g)
        for (int k = 0; k < group_points; k += S::width) {
            const S::Vector x = rest[g] + S::load(increment + k), x_below = floor_of(x);
            const IntVector index = whole[g] + __builtin_convertvector(x_below, IntVector);
            std::memcpy(floor + g * group_points + k, &index, sizeof index);
            S::store(fraction + g * group_points + k, x - x_below);
        }
}

template <class Real, int D>
void locate_affine(const IndexMap<D>& map, const Lattice& lattice, int64_t begin, Position<Real, D>& position) {
    float increment[D][group_points];
    for (int d = 0; d < D; ++d)
        for (int k = 0; k < group_points; ++k) increment[d][k] = static_cast<float>(map.linear[d][D - 1] * k);
    for_each_row(lattice, begin, position.count, [&](int64_t z, int64_t y, int64_t x, int first, int n) {
        const double index[3] = {static_cast<double>(z), static_cast<double>(y), static_cast<double>(x)};
        for (int d = 0; d < D; ++d) {
            double base = map.constant[d];
            for (int e = 0; e + 1 < D; ++e) base += map.linear[d][e] * index[3 - D + e];
            const double step = map.linear[d][D - 1], start = index[2];
            int32_t* floor = position.floor[d] + first;
            Real* fraction = position.fraction[d] + first;
            if constexpr (sizeof(Real) == sizeof(float)) {
                constexpr double far = void_index / 2;
                const double row_start = base + step * start;
                if (std::fabs(step) <= 16 && std::fabs(row_start) < far && std::fabs(row_start + step * n) < far) {
                    place_row(row_start, step, increment[d], n, floor, fraction);
                    continue;
                }
            }
            for (int i = 0; i < n; ++i) place(base + step * (start + i), floor[i], fraction[i]);
        }
    });
}

// Points side by side in memory, their components apart: component[d] of as many points as a vector has lanes. `packed`
// holds D vectors.
template <class Real, int D>
inline void part_components(const Real* packed, typename Simd<Real>::Vector* component) {
    using S = Simd<Real>;
    constexpr int width = S::width;
    if constexpr (vector_bytes == 16 || D == 1) {
        for (int d = 0; d < D; ++d) {
            typename S::Vector v{};
            for (int k = 0; k < width; ++k) v[k] = packed[k * D + d];
            component[d] = v;
        }
    } else {
        typedef typename std::conditional<sizeof(Real) == 4, int32_t, int64_t>::type Index;
        typedef Index Choice __attribute__((vector_size(vector_bytes)));
        for (int d = 0; d < D; ++d) {
            // The first two vectors give the components that they hold, the third those that lie beyond.
            Choice early{}, late{};
            for (int k = 0; k < width; ++k) {
                const int at = k * D + d;
                early[k] = at < 2 * width ? at : 0;
                late[k] = at < 2 * width ? k : at - width;
            }
            component[d] = __builtin_shuffle(S::load(packed), S::load(packed + width), early);
            if (D == 3) component[d] = __builtin_shuffle(component[d], S::load(packed + 2 * width), late);
        }
    }
}

// `place`, a vector at a time, for coordinates that are indices already.
inline void place_vector(Simd<float>::Vector x, int32_t* floor, float* fraction) {
    constexpr float limit = static_cast<float>(void_index);
    const Simd<float>::Vector most = Simd<float>::Vector{} + limit;
    x = x > -most ? x : -most;
    x = x < most ? x : most;
    const Simd<float>::Vector below = floor_of(x);
    const IntVector index = __builtin_convertvector(below, IntVector);
    std::memcpy(floor, &index, sizeof index);
    Simd<float>::store(fraction, x - below);
}

// The same for coordinates of another frame, in double precision: half a vector at a time.
inline void place_vector(Simd<float>::Vector x, double scale, double offset, int32_t* floor, float* fraction) {
    typedef Simd<double>::Vector Wide;
    typedef float Half __attribute__((vector_size(vector_bytes / 2)));
    typedef int32_t HalfInt __attribute__((vector_size(vector_bytes / 2)));
    constexpr int width = Simd<double>::width;
    constexpr double limit = void_index;
    const Wide most = Wide{} + limit;
    Half halves[2];
    std::memcpy(halves, &x, sizeof x);
    for (int h = 0; h < 2; ++h) {
        Wide index = scale * __builtin_convertvector(halves[h], Wide) + offset;
        index = index > -most ? index : -most;
        index = index < most ? index : most;
        const Wide cut = __builtin_convertvector(__builtin_convertvector(index, HalfInt), Wide);  // towards zero
        const Wide below = cut > index ? cut - 1 : cut;
        const HalfInt whole = __builtin_convertvector(below, HalfInt);
        const Half rest = __builtin_convertvector(index - below, Half);
        std::memcpy(floor + h * width, &whole, sizeof whole);
        std::memcpy(fraction + h * width, &rest, sizeof rest);
    }
}

// A row of `n` points in single precision, the components of a point side by side in memory, the last one first if
// `reversed`. Returns how many are done.
template <class Work, int D>
int locate_packed(const Plan& plan, const float* row, bool reversed, int first, int n, Position<float, D>& position) {
    using S = Simd<float>;
    constexpr int lead = block_points * D;  // the next block's coordinates are on their way while this one is at work
    int i = 0;
    for (; i + S::width <= n; i += S::width) {
        for (int k = 0; k < D; ++k) prefetch_for_read(row + i * D + k * S::width + lead);
        S::Vector component[D];
        part_components<float, D>(row + i * D, component);
        for (int d = 0; d < D; ++d) {
            const S::Vector x = component[reversed ? D - 1 - d : d];
            int32_t* floor = position.floor[d] + first + i;
            float* fraction = position.fraction[d] + first + i;
            if constexpr (std::is_same<Work, float>::value)
                place_vector(x, floor, fraction);
            else
                place_vector(x, plan.scale_in[d], plan.offset_in[d], floor, fraction);
        }
    }
    return i;
}

template <class C, class Work, class Real, int D>
void locate_given(const Plan& plan, const Geometry& geometry, const Lattice& lattice, int64_t batch, int64_t begin,
                  Position<Real, D>& position) {
    const C* data = static_cast<const C*>(geometry.data) + (geometry.batch == 1 ? 0 : batch * geometry.batch_stride);
    const int64_t stride = geometry.stride[2];
    for_each_row(lattice, begin, position.count, [&](int64_t z, int64_t y, int64_t x, int first, int n) {
        const C* row = data + z * geometry.stride[0] + y * geometry.stride[1] + x * stride;
        int done = 0;
        if constexpr (std::is_same<C, float>::value && std::is_same<Real, float>::value) {
            const bool reversed = geometry.component_stride < 0;
            if (stride == D && (D == 1 || geometry.component_stride == (reversed ? -1 : 1)))
                done = locate_packed<Work>(plan, reversed ? row - (D - 1) : row, reversed, first, n, position);
        }
        for (int d = 0; d < D; ++d) {
            const C* __restrict component = row + d * geometry.component_stride;
            const Work scale = static_cast<Work>(plan.scale_in[d]), offset = static_cast<Work>(plan.offset_in[d]);
            int32_t* __restrict floor = position.floor[d] + first;
            Real* __restrict fraction = position.fraction[d] + first;
            for (int i = done; i < n; ++i)
                place(scale * static_cast<Work>(component[i * stride]) + offset, floor[i], fraction[i]);
        }
    });
}

inline bool is_index_frame(const Plan& plan) {
    for (int d = 0; d < plan.ndim; ++d)
        if (plan.scale_in[d] != 1 || plan.offset_in[d] != 0) return false;
    return true;
}

// How far a coordinate of given points changes from `at` to `next`, elements of the geometry.
inline double coordinate_step(const Geometry& geometry, int64_t at, int64_t next) {
    const auto step = [&](const auto* data) { return static_cast<double>(data[next]) - static_cast<double>(data[at]); };
    return geometry.dtype == DType::f32 ? step(static_cast<const float*>(geometry.data))
                                        : step(static_cast<const double*>(geometry.data));
}

// Positions of a block of short rows, all at once: one base in double precision, and increments that are small.
template <int D>
bool locate_short_rows(const IndexMap<D>& map, const LocalIndex<float, D>& local, Position<float, D>& position) {
    using S = Simd<float>;
    double base[D];
    for (int d = 0; d < D; ++d) {
        base[d] = map.constant[d];
        for (int e = 0; e < D; ++e) {
            base[d] += map.linear[d][e] * local.origin[e];
            if (!(std::fabs(map.linear[d][e]) <= 2)) return false;
        }
        if (!(std::fabs(base[d]) < void_index / 2)) return false;
    }
    for (int d = 0; d < D; ++d) {
        const double below = floor_of(base[d]);
        const float rest = static_cast<float>(base[d] - below);
        const int32_t whole = static_cast<int32_t>(below);
        for (int i = 0; i < position.count; i += S::width) {
            S::Vector x = rest + static_cast<float>(map.linear[d][0]) * S::load(local.index[0] + i);
            for (int e = 1; e < D; ++e) x += static_cast<float>(map.linear[d][e]) * S::load(local.index[e] + i);
            const S::Vector x_below = floor_of(x);
            const IntVector index = whole + __builtin_convertvector(x_below, IntVector);
            std::memcpy(position.floor[d] + i, &index, sizeof index);
            S::store(position.fraction[d] + i, x - x_below);
        }
    }
    return true;
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
