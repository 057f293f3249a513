// Coordinates p + u(p): a displacement for each point of the output, or a cubic B-spline of a lattice of coefficients.
#pragma once

#include "lattice.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// Displacements of the points of a block, in steps of the image's index.
template <class Real, int D>
struct Displacements {
    alignas(64) Real value[D][block_points + group_points];
};

template <class C, class Real, int D>
void read_displacements(const Plan& plan, const Geometry& geometry, const Lattice& lattice, int64_t batch,
                        int64_t begin, int count, Displacements<Real, D>& u) {
    const C* data = static_cast<const C*>(geometry.data) + (geometry.batch == 1 ? 0 : batch * geometry.batch_stride);
    const int64_t stride = geometry.stride[2];
    for_each_row(lattice, begin, count, [&](int64_t z, int64_t y, int64_t x, int first, int n) {
        const C* row = data + z * geometry.stride[0] + y * geometry.stride[1] + x * stride;
        int done = 0;
        if constexpr (std::is_same<C, Real>::value) {
            using S = Simd<Real>;
            constexpr int lead = block_points * D;
            if (stride == D && (D == 1 || geometry.component_stride == 1))
                for (; done + S::width <= n; done += S::width) {
                    typename S::Vector component[D];
                    for (int k = 0; k < D; ++k) prefetch_for_read(row + done * D + k * S::width + lead);
                    part_components<Real, D>(row + done * D, component);
                    for (int d = 0; d < D; ++d)
                        S::store(u.value[d] + first + done, static_cast<Real>(plan.scale_in[d]) * component[d]);
                }
        }
        for (int d = 0; d < D; ++d) {
            const C* component = row + d * geometry.component_stride;
            for (int i = done; i < n; ++i)
                u.value[d][first + i] =
                    static_cast<Real>(plan.scale_in[d] * static_cast<double>(component[i * stride]));
        }
    });
}

// Where output index i lies among n coefficients: the inner n - 3 cells span the `size` pixels of the output.
struct ControlAxis {
    double ratio;
    int32_t last;  // cell
    ControlAxis(int64_t coefficients, int64_t size)
        : ratio(static_cast<double>(coefficients - 3) / static_cast<double>(size)),
          last(static_cast<int32_t>(coefficients - 3)) {}
    double position(double index) const { return (index + 0.5) * ratio + 1; }
    int32_t cell(double position) const {
        const int32_t floor = static_cast<int32_t>(position);
        return floor < last ? floor : last;
    }
};

// The weights of the four coefficients from cell - 1 on.
inline void control_weights(double t, double* weight) {
    const double s = 1 - t;
    weight[0] = s * s * s / 6;
    weight[1] = ((3 * t - 6) * t * t + 4) / 6;
    weight[2] = ((3 * s - 6) * s * s + 4) / 6;
    weight[3] = t * t * t / 6;
}

// The coefficients that a piece of a row depends on: over the axes before the last, offsets and weights of the rows of
// coefficients; on the last, which ones. `Visit` is called with (offset, weight) for each row of coefficients.
template <int D>
struct ControlRow {
    int rows = 1;
    int64_t offset[D == 3 ? 16 : 4];
    double weight[D == 3 ? 16 : 4];
    int32_t first, count;  // coefficients on the last axis

    // `stride` is that of the coefficients, axis by axis, and `at` the lattice index (z, y, x) of the piece's first
    // point.
    ControlRow(const int64_t* coefficients, const int64_t* stride, const Lattice& lattice, const int64_t* at, int n) {
        offset[0] = 0;
        weight[0] = 1;
        for (int a = 0; a + 1 < D; ++a) {
            const ControlAxis axis(coefficients[a], lattice.size[3 - D + a]);
            const double position = axis.position(static_cast<double>(at[3 - D + a]));
            const int32_t cell = axis.cell(position);
            double w[4];
            control_weights(position - cell, w);
            for (int r = rows - 1; r >= 0; --r)
                for (int t = 3; t >= 0; --t) {
                    offset[4 * r + t] = offset[r] + (cell - 1 + t) * stride[a];
                    weight[4 * r + t] = weight[r] * w[t];
                }
            rows *= 4;
        }
        const ControlAxis last(coefficients[D - 1], lattice.size[2]);
        first = last.cell(last.position(static_cast<double>(at[2]))) - 1;
        count = last.cell(last.position(static_cast<double>(at[2] + n - 1))) + 3 - first;
    }
};

// Calls visit(cell, begin, end, t, step) for each run of points of a piece of a row within one cell of the last axis:
// point i of [begin, end) lies at t + step (i - begin) in it.
template <class Visit>
inline void for_each_cell(int64_t coefficients, int64_t size, int64_t x, int n, Visit visit) {
    const ControlAxis axis(coefficients, size);
    for (int begin = 0; begin < n;) {
        const double position = axis.position(static_cast<double>(x + begin));
        const int32_t cell = axis.cell(position);
        const double points = cell < axis.last ? std::ceil((cell + 1 - position) / axis.ratio) : n;
        const int end = points < n - begin ? begin + (points > 1 ? static_cast<int>(points) : 1) : n;
        visit(cell, begin, end, position - cell, axis.ratio);
        begin = end;
    }
}

// More coefficients than pixels make no smoother field: Python sees to it that there are not many more.
constexpr int most_controls = block_points + 8;

template <class C, class Real, int D>
void bend(const Plan& plan, const Geometry& geometry, const Lattice& lattice, int64_t batch, int64_t begin, int count,
          Displacements<Real, D>& u) {
    const C* data = static_cast<const C*>(geometry.data) + (geometry.batch == 1 ? 0 : batch * geometry.batch_stride);
    for_each_row(lattice, begin, count, [&](int64_t z, int64_t y, int64_t x, int first, int n) {
        const int64_t at[3] = {z, y, x};
        const ControlRow<D> controls(geometry.size, geometry.stride, lattice, at, n);
        for (int d = 0; d < D; ++d) {
            Real line[most_controls];
            for (int i = 0; i < controls.count; ++i) line[i] = 0;
            for (int r = 0; r < controls.rows; ++r) {
                const C* row =
                    data + controls.offset[r] + controls.first * geometry.stride[D - 1] + d * geometry.component_stride;
                const Real weight = static_cast<Real>(plan.scale_in[d] * controls.weight[r]);
                for (int i = 0; i < controls.count; ++i)
                    line[i] += weight * static_cast<Real>(row[i * geometry.stride[D - 1]]);
            }
            Real* value = u.value[d] + first;
            for_each_cell(geometry.size[D - 1], lattice.size[2], x, n,
                          [&](int32_t cell, int start, int end, double t, double step) {
                              const Real* l = line + (cell - 1 - controls.first);
                              const Real c0 = (l[0] + 4 * l[1] + l[2]) / 6, c1 = (l[2] - l[0]) / 2;
                              const Real c2 = (l[0] - 2 * l[1] + l[2]) / 2, c3 = (l[3] - l[0] + 3 * (l[1] - l[2])) / 6;
                              for (int i = start; i < end; ++i) {
                                  const Real s = static_cast<Real>(t) + static_cast<Real>(step) * (i - start);
                                  value[i] = ((c3 * s + c2) * s + c1) * s + c0;
                              }
                          });
        }
    });
}

// The transpose of bend, up to the unit: adds to a record (*coefficients, D).
template <class Real, int D>
void add_to_controls(const Geometry& geometry, const Lattice& lattice, int64_t begin, int count,
                     const Real (*x_bar)[block_points], double* record) {
    int64_t stride[D];
    stride[D - 1] = D;
    for (int a = D - 2; a >= 0; --a) stride[a] = stride[a + 1] * geometry.size[a + 1];
    for_each_row(lattice, begin, count, [&](int64_t z, int64_t y, int64_t x, int first, int n) {
        const int64_t at[3] = {z, y, x};
        const ControlRow<D> controls(geometry.size, stride, lattice, at, n);
        for (int d = 0; d < D; ++d) {
            double line[most_controls];
            for (int i = 0; i < controls.count; ++i) line[i] = 0;
            for_each_cell(geometry.size[D - 1], lattice.size[2], x, n,
                          [&](int32_t cell, int start, int end, double t, double step) {
                              Real m0 = 0, m1 = 0, m2 = 0, m3 = 0;
                              for (int i = start; i < end; ++i) {
                                  const Real s = static_cast<Real>(t) + static_cast<Real>(step) * (i - start);
                                  const Real v = x_bar[d][first + i];
                                  m0 += v;
                                  m1 += v * s;
                                  m2 += v * s * s;
                                  m3 += v * s * s * s;
                              }
                              double* l = line + (cell - 1 - controls.first);
                              l[0] += m0 / 6 - m1 / 2 + m2 / 2 - m3 / 6;
                              l[1] += m0 * 2 / 3 - m2 + m3 / 2;
                              l[2] += m0 / 6 + m1 / 2 + m2 / 2 - m3 / 2;
                              l[3] += m3 / 6;
                          });
            for (int r = 0; r < controls.rows; ++r) {
                double* row = record + controls.offset[r] + controls.first * D + d;
                for (int i = 0; i < controls.count; ++i) row[i * D] += controls.weight[r] * line[i];
            }
        }
    });
}

// Cells of start + step * i + u[i] for i in [0, n), n <= block_points. Writes whole groups in single precision.
template <class Real>
void place_displaced(double start, double step, const Real* u, int n, int32_t* __restrict floor,
                     Real* __restrict fraction) {
    if constexpr (sizeof(Real) == sizeof(float)) {
        using S = Simd<float>;
        constexpr float far = void_index / 2;
        if (std::fabs(start) < far && std::fabs(start + step * n) < far && std::fabs(step) <= 16) {
            for (int i = 0; i < n; i += group_points) {
                const double base = start + step * i, below = floor_of(base);
                const float rest = static_cast<float>(base - below), growth = static_cast<float>(step);
                const int32_t whole = static_cast<int32_t>(below);
                for (int k = 0; k < group_points; k += S::width) {
                    S::Vector index;
                    for (int j = 0; j < S::width; ++j) index[j] = static_cast<float>(k + j);
                    S::Vector x = (rest + growth * index) + S::load(u + i + k);
                    const IntVector near = (x > -far) & (x < far);  // false for NaN
                    x = near ? x : S::Vector{};
                    const S::Vector x_below = floor_of(x);
                    IntVector cell = whole + __builtin_convertvector(x_below, IntVector);
                    cell = near ? cell : IntVector{} - void_index;
                    std::memcpy(floor + i + k, &cell, sizeof cell);
                    S::store(fraction + i + k, x - x_below);
                }
            }
            return;
        }
    }
    for (int i = 0; i < n; ++i) place(start + step * i + static_cast<double>(u[i]), floor[i], fraction[i]);
}

// The displacements of a block, from a field on the output's lattice or from coefficients.
template <class Real, int D>
void find_displacements(const Plan& plan, const Geometry& geometry, const Lattice& lattice, int64_t batch,
                        int64_t begin, int count, Displacements<Real, D>& u) {
    const bool is_float = geometry.dtype == DType::f32;
    if (plan.kind == LatticeKind::free_form && is_float)
        bend<float>(plan, geometry, lattice, batch, begin, count, u);
    else if (plan.kind == LatticeKind::free_form)
        bend<double>(plan, geometry, lattice, batch, begin, count, u);
    else if (is_float)
        read_displacements<float>(plan, geometry, lattice, batch, begin, count, u);
    else
        read_displacements<double>(plan, geometry, lattice, batch, begin, count, u);
}

template <class Real, int D>
void locate_displaced(const Plan& plan, const Geometry& geometry, const Lattice& lattice, int64_t batch, int64_t begin,
                      Position<Real, D>& position) {
    Displacements<Real, D> u;
    find_displacements(plan, geometry, lattice, batch, begin, position.count, u);
    for (int d = 0; d < D; ++d)
        for (int i = position.count; i < position.count + group_points; ++i) u.value[d][i] = 0;
    for_each_row(lattice, begin, position.count, [&](int64_t z, int64_t y, int64_t x, int first, int n) {
        const double at[3] = {static_cast<double>(z), static_cast<double>(y), static_cast<double>(x)};
        for (int d = 0; d < D; ++d) {
            const double growth = plan.scale_in[d] / plan.scale_out[d];
            const double start = growth * (at[3 - D + d] - plan.offset_out[d]) + plan.offset_in[d];
            place_displaced(start, d == D - 1 ? growth : 0.0, u.value[d] + first, n, position.floor[d] + first,
                            position.fraction[d] + first);
        }
    });
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
