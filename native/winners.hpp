// Which point reaches each sample with the largest importance: forward mapping where the nearest one hides the others.
#pragma once

#include "push.hpp"
#include "values.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// Offers a point to the samples of its taps. Of equals the first one keeps its place; NaN never takes one.
template <class Real, int D, class Taps>
inline void offer(const View<D>& view, const Taps& taps, Real importance, int64_t offset, int64_t point, Real* best,
                  int64_t* winner) {
    auto take = [&](int64_t there, Real) {
        if (winner[there] >= 0 ? importance > best[there] : importance == importance) {
            best[there] = importance;
            winner[there] = point;
        }
    };
    for_each_tap<Real, D>(view, taps, -1, offset, Real(1), take);
}

template <class Real, int D>
void offer_block(const View<D>& view, const Cells<Real, D>& cells, const Real* importance, int64_t begin, Real* best,
                 int64_t* winner) {
    int edge = 0, beyond = 0;
    for (int i = 0; i < cells.position.count; ++i) {
        if (edge < cells.edge.count && cells.edge.point[edge] == i) {
            offer(view, TapsAtEdge<Real, D>{view, cells.edge, edge++}, importance[i], 0, begin + i, best, winner);
        } else if (beyond < cells.void_count && cells.void_point[beyond] == i) {
            ++beyond;
        } else {
            offer(view, TapsInside<Real, D>{view, cells, i}, importance[i], cells.offset[i], begin + i, best, winner);
        }
    }
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
