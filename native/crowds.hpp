// Counts of the points that come to each part of an image, beside a scatter in single precision (see sums.hpp). They do
// not depend on how the image is cut into bands.
#pragma once

#include "band.hpp"
#include "cells.hpp"
#include "kernels.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// One of four points inside is counted, for all of them, where its taps begin; and every point at the border.
template <class Real, int D>
void count_points(const View<D>& view, const Cells<Real, D>& cells, Band band, uint8_t* counts) {
    const int64_t row_counts = counts_in_row(view.stride[0]);
    const auto count = [&](int64_t row, int64_t offset, int points) {
        if (row < band.begin || row >= band.end) return;
        const uint64_t along = static_cast<uint64_t>(offset - row * view.stride[0]);
        uint8_t& number = counts[(row - band.begin) * row_counts + static_cast<int64_t>(along / counted_samples)];
        number = static_cast<uint8_t>(number + points < 255 ? number + points : 255);
    };
    if (cells.inside_count > 0)
        walk_apart(cells.position.count / 4, [&](int group) {
            const int i = 4 * group + ((group ^ (group >> 2)) & 3);  // not a column of the lattice
            if (!cells.outside[i]) count(cells.first_row[i], cells.offset[i], 4);
        });
    for (int e = 0; e < cells.edge.count; ++e) {
        int64_t rest = 0;
        for (int d = 1; d < D; ++d) rest += cells.edge.sample[d][0][e] * view.stride[d];
        for (int t = 0; t < view.taps[0]; ++t) {
            const int64_t row = cells.edge.sample[0][t][e];
            if (cells.edge.weight[0][t][e] != 0) count(row, row * view.stride[0] + rest, 1);
        }
    }
}

// Marks what many points come to.
template <int D>
void mark_crowds(const View<D>& view, Band band, const Crowds& crowds) {
    const int64_t row_counts = counts_in_row(view.stride[0]);
    for (int64_t row = band.begin; row < band.end; ++row) {
        uint8_t most = 0;
        for (int64_t i = 0; i < row_counts; ++i) {
            const uint8_t number = crowds.counts[(row - band.begin) * row_counts + i];
            most = number > most ? number : most;
        }
        if (most <= crowd) continue;
        const int64_t high = row + view.taps[0] < view.size[0] ? row + view.taps[0] - 1 : view.size[0] - 1;
        for (int64_t k = row / crowds.rows; k <= high / crowds.rows; ++k)
            __atomic_store_n(crowds.marks + k, 1, __ATOMIC_RELAXED);
    }
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
