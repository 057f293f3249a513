// Interpolations that choose a sample in place of mixing some: the nearest one, or the label with the largest weight.
// Samples are copied bit for bit, whatever their dtype.
#pragma once

#include "cells.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

template <class T, class Real, int D>
void select_nearest(const View<D>& view, const Cells<Real, D>& cells, const T* image, T fill, T* out) {
    if (cells.inside_count > 0)
        for (int i = 0; i < cells.position.count; ++i) out[i] = image[cells.offset[i]];
    for (int e = 0; e < cells.edge.count; ++e) {
        const TapsAtEdge<Real, D> taps{view, cells.edge, e};
        int64_t offset = 0;
        for (int d = 0; d < D; ++d) offset += taps.offset(d, 0);
        out[cells.edge.point[e]] = cells.edge.fill_weight[e] == 0 ? image[offset] : fill;
    }
    for (int e = 0; e < cells.void_count; ++e) out[cells.void_point[e]] = fill;
}

// The labels that a point meets, with the sum of the weights of each.
template <class T, class Real>
struct Ballot {
    T label[9];
    Real votes[9];
    int count = 0;
    void cast(T choice, Real weight) {
        int k = 0;
        while (k < count && !(label[k] == choice)) ++k;
        if (k == count) {
            label[k] = choice;
            votes[k] = 0;
            ++count;
        }
        votes[k] += weight;
    }
    // Of equals, the smaller label. Sums that differ by rounding alone are equal.
    T winner() const {
        constexpr Real rounding = sizeof(Real) == sizeof(float) ? Real(1e-6) : Real(1e-12);
        Real most = votes[0];
        for (int k = 1; k < count; ++k) most = votes[k] > most ? votes[k] : most;
        int best = -1;
        for (int k = 0; k < count; ++k)
            if (votes[k] >= most - rounding && (best < 0 || label[k] < label[best])) best = k;
        return label[best];
    }
};

template <class T, class Real, int D>
void select_label(const View<D>& view, const Cells<Real, D>& cells, const T* image, T fill, T* out) {
    for (int e = 0; e < cells.edge.count; ++e) {
        Ballot<T, Real> ballot;
        auto cast = [&](int64_t offset, Real weight) { ballot.cast(image[offset], weight); };
        for_each_tap<Real, D>(view, TapsAtEdge<Real, D>{view, cells.edge, e}, -1, 0, Real(1), cast);
        if (cells.edge.fill_weight[e] != 0) ballot.cast(fill, cells.edge.fill_weight[e]);
        out[cells.edge.point[e]] = ballot.winner();
    }
    for (int e = 0; e < cells.void_count; ++e) out[cells.void_point[e]] = fill;
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
