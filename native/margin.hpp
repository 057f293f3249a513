// Small images with a constant border are copied once, with a margin of one fill sample all around: then a point either
// has all its taps in the copy, or reads nothing but fill, and no point needs the slower treatment of an edge.
#pragma once

#include "cells.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// How the copy of one channel is read. Channels follow one another without a gap.
template <int D>
View<D> with_margin(const View<D>& view) {
    View<D> framed = view;
    int64_t stride = 1;
    for (int d = D - 1; d >= 0; --d) {
        framed.size[d] = view.size[d] + 2;
        framed.stride[d] = stride;
        stride *= framed.size[d];
    }
    framed.margin = 1;
    framed.small_offset = true;
    return framed;
}

template <int D>
int64_t samples_of(const View<D>& view) {
    int64_t samples = 1;
    for (int d = 0; d < D; ++d) samples *= view.size[d];
    return samples;
}

// Calls visit(sample, copy) with the offsets of the first of each row of an image, and of its place in the copy.
template <int D, class Visit>
void for_each_framed_row(const View<D>& view, const View<D>& framed, Visit visit) {
    int64_t copy = 0;
    for (int d = 0; d < D; ++d) copy += framed.stride[d];
    if constexpr (D == 1) {
        visit(0, copy);
    } else if constexpr (D == 2) {
        for (int64_t y = 0; y < view.size[0]; ++y) visit(y * view.stride[0], copy + y * framed.stride[0]);
    } else {
        for (int64_t z = 0; z < view.size[0]; ++z)
            for (int64_t y = 0; y < view.size[1]; ++y)
                visit(z * view.stride[0] + y * view.stride[1], copy + z * framed.stride[0] + y * framed.stride[1]);
    }
}

template <class T, class Real, int D>
void copy_with_margin(const View<D>& view, const View<D>& framed, const T* image, Real fill, Real* copy) {
    const int64_t samples = samples_of(framed), stride = view.stride[D - 1];
    const int64_t n = view.size[D - 1];
    for (int64_t i = 0; i < samples; ++i) copy[i] = fill;
    for_each_framed_row(view, framed, [&](int64_t from, int64_t to) {
        const T* __restrict row = image + from;
        Real* __restrict place = copy + to;
        if (stride == 1)
            for (int64_t x = 0; x < n; ++x) place[x] = to_real<Real>(row[x]);
        else
            for (int64_t x = 0; x < n; ++x) place[x] = to_real<Real>(row[x * stride]);
    });
}

// What was scattered to the margin fell on fill, and is lost.
template <class Real, int D>
void copy_without_margin(const View<D>& view, const View<D>& framed, const double* copy, Real* image) {
    const int64_t stride = view.stride[D - 1];
    for_each_framed_row(view, framed, [&](int64_t to, int64_t from) {
        for (int64_t x = 0; x < view.size[D - 1]; ++x) image[to + x * stride] = static_cast<Real>(copy[from + x]);
    });
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
