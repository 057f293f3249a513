// The normal equations of a least-squares fit of a warped image to a target, in the entries of the map's matrix.
//
// With r = v - target at every point and channel, s the slopes of v, and phi = (index, 1), the derivative of v in entry
// (a, i) of an affine matrix is s_a phi_i. So J^T J is made of the moments sum s_a s_b phi_i phi_j, and J^T r of
// sum s_a r phi_i. A projective matrix has a row more, and slopes divided by the denominator. Points that read nothing
// of the image have no part in any sum; others have the weight that may stand behind the channels of the target.
#pragma once

#include "reduce.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// The sums of a block over channels: products of slopes, pair by pair of rows, slopes times residuals, and residuals
// squared.
template <class Real, int D>
struct ResidualSums {
    static constexpr int rows = D + 1, pairs = rows * (rows + 1) / 2;
    alignas(64) Real product[pairs][block_points];
    alignas(64) Real moment[rows][block_points];
    double square;
};

template <class Real, int D>
void clear(ResidualSums<Real, D>& sums, int count) {
    sums.square = 0;
    for (auto& row : sums.product)
        for (int i = 0; i < padded(count); ++i) row[i] = 0;
    for (auto& row : sums.moment)
        for (int i = 0; i < padded(count); ++i) row[i] = 0;
}

// Gives points their weights in all products of two of these; what has no weight may be anything.
template <class Real>
void weigh(Real (*slope)[block_points], int rows, const Real* weight, int count, Real* residual) {
    for (int i = 0; i < count; ++i) {
        const Real root = std::sqrt(weight[i]);
        residual[i] = root > 0 ? root * residual[i] : Real(0);
        for (int a = 0; a < rows; ++a) slope[a][i] = root > 0 ? root * slope[a][i] : Real(0);
    }
}

// Adds one channel: `slope` has `rows` rows.
template <class Real, int D>
void add_channel(const Real (*slope)[block_points], int rows, const Real* residual, int count,
                 ResidualSums<Real, D>& sums) {
    int pair = 0;
    for (int a = 0; a < rows; ++a) {
        for (int b = a; b < rows; ++b, ++pair)
            for (int i = 0; i < count; ++i) sums.product[pair][i] += slope[a][i] * slope[b][i];
        for (int i = 0; i < count; ++i) sums.moment[a][i] += slope[a][i] * residual[i];
    }
    for (int i = 0; i < count; ++i) sums.square += static_cast<double>(residual[i]) * residual[i];
}

// Adds the moments of a block to a record: for each pair of rows the D + 1 by D + 1 moments (the upper triangle), for
// each row the D + 1 moments with the residual, and the sum of squares.
template <class Real, int D>
void add_normal_moments(const LocalIndex<Real, D>& local, int count, int rows, const ResidualSums<Real, D>& sums,
                        double* record) {
    using S = Simd<Real>;
    using V = typename S::Vector;
    const auto one = V{} + 1;
    const auto feature = [&](int e, int i) { return e < D ? S::load(local.index[e] + i) : one; };
    const auto origin = [&](int e) { return e < D ? local.origin[e] : 0.0; };
    const int pairs = rows * (rows + 1) / 2;
    for (int p = 0; p < pairs; ++p) {
        LaneSums<Real> total[D + 1][D + 1]{};
        for (int begin = 0; begin < count; begin += strip_points) {
            V strip[D + 1][D + 1]{};
            for (int i = begin; i < end_of_strip(begin, count); i += S::width) {
                const V a = S::load(sums.product[p] + i);
                for (int e = 0; e <= D; ++e) {
                    const V left = a * feature(e, i);
                    for (int f = e; f <= D; ++f) strip[e][f] += left * feature(f, i);
                }
            }
            for (int e = 0; e <= D; ++e)
                for (int f = e; f <= D; ++f) total[e][f].add(strip[e][f]);
        }
        double moment[D + 1][D + 1];
        for (int e = 0; e <= D; ++e)
            for (int f = e; f <= D; ++f) moment[e][f] = moment[f][e] = total[e][f].total();
        for (int e = 0; e <= D; ++e)
            for (int f = e; f <= D; ++f)
                *record++ += moment[e][f] + origin(e) * moment[D][f] * (e < D) + origin(f) * moment[e][D] * (f < D) +
                             origin(e) * origin(f) * moment[D][D];
    }
    for (int a = 0; a < rows; ++a) {
        LaneSums<Real> total[D + 1]{};
        for (int begin = 0; begin < count; begin += strip_points) {
            V strip[D + 1]{};
            for (int i = begin; i < end_of_strip(begin, count); i += S::width)
                for (int e = 0; e <= D; ++e) strip[e] += S::load(sums.moment[a] + i) * feature(e, i);
            for (int e = 0; e <= D; ++e) total[e].add(strip[e]);
        }
        const double constant = total[D].total();
        for (int e = 0; e <= D; ++e) *record++ += total[e].total() + origin(e) * constant;
    }
    *record += sums.square;
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
