#include "splines.hpp"

#include <algorithm>
#include <array>
#include <vector>

#define PULLBACK_ISA_NAMESPACE host
#include "border.hpp"

namespace pullback {
namespace {

// The values of the B-spline of an order at the integers -2 .. 2.
std::array<double, 5> spline_at_integers(int order) {
    switch (order) {
        case 2: return {0, 1.0 / 8, 6.0 / 8, 1.0 / 8, 0};
        case 3: return {0, 1.0 / 6, 4.0 / 6, 1.0 / 6, 0};
        case 4: return {1.0 / 384, 76.0 / 384, 230.0 / 384, 76.0 / 384, 1.0 / 384};
        default: return {1.0 / 120, 26.0 / 120, 66.0 / 120, 26.0 / 120, 1.0 / 120};
    }
}

constexpr int reach = 2;

// A band matrix of up to recursion_rows rows: row i holds the columns i - reach .. i + reach.
using Band = std::array<std::array<double, 2 * reach + 1>, recursion_rows>;

// The values at the integers as sums over the coefficients of a line of `rows`, taps mapped by the border.
Band interpolation_matrix(int order, Border border, int rows) {
    const std::array<double, 5> spline = spline_at_integers(order);
    Band matrix{};
    for (int32_t i = 0; i < rows; ++i)
        for (int32_t t = -reach; t <= reach; ++t) {
            const int32_t k = i + t;
            int32_t sample, inside;
            host::map_taps(border, rows, &k, 1, &sample, &inside);
            if (inside && spline[t + reach] != 0) matrix[i][sample - i + reach] += spline[t + reach];
        }
    return matrix;
}

// Factors in place: below the diagonal those of a unit lower triangle, on it and above it those of an upper one. The
// matrix is diagonally dominant, so no rows need be exchanged.
void factorize(Band& matrix, int rows) {
    for (int i = 0; i < rows; ++i)
        for (int j = std::max(0, i - reach); j < i; ++j) {
            const double factor = matrix[i][j - i + reach] /= matrix[j][reach];
            for (int k = j + 1; k <= std::min(j + reach, rows - 1); ++k)
                matrix[i][k - i + reach] -= factor * matrix[j][k - j + reach];
        }
}

}  // namespace

LineFilter line_filter(int order, Border border, int64_t n, bool adjoint) {
    LineFilter filter{};
    filter.periodic = border == Border::wrap;
    // The rows of a periodic line are those that any long one has in its middle.
    const int rows = filter.periodic ? recursion_rows : static_cast<int>(std::min<int64_t>(n, recursion_rows));
    Band band = interpolation_matrix(order, filter.periodic ? Border::symmetric : border, rows);
    factorize(band, rows);
    const auto at = [&](int i, int j) {
        return i < 0 || j < 0 || i >= rows || j >= rows ? 0.0 : band[i][j - i + reach];
    };
    for (int i = 0; i < rows; ++i) {
        if (adjoint) {
            // (L U)^T = U^T L^T: down by the columns of U, up by the columns of L
            filter.down[i] = {1 / at(i, i), at(i - 1, i), at(i - 2, i)};
            filter.up[i] = {1, at(i + 1, i), at(i + 2, i)};
        } else {
            filter.down[i] = {1, at(i, i - 1), at(i, i - 2)};
            filter.up[i] = {1 / at(i, i), at(i, i + 1), at(i, i + 2)};
        }
    }
    return filter;
}

}  // namespace pullback
