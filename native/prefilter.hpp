// Spline coefficients: along each line of an axis a banded system is solved in place, by one recursion down the line
// and one back up.
#pragma once

#include "kernels.hpp"
#include "transpose.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

template <class Real>
inline void recur(const Recursion& step, const Real* one, const Real* two, int width, Real* row) {
    const Real scale = static_cast<Real>(step.scale), first = static_cast<Real>(step.first),
               second = static_cast<Real>(step.second);
    for (int k = 0; k < width; ++k) row[k] = scale * (row[k] - first * one[k] - second * two[k]);
}

// One recursion along `width` lines side by side (`fixed` of them, if not 0), samples of a line `stride` apart.
template <class Real, int fixed, bool up>
void recur_along(const LineFilter& filter, int64_t n, Real* data, int64_t stride, int width) {
    if (fixed) width = fixed;
    const Recursion* table = up ? filter.up : filter.down;
    const Recursion common = table[recursion_head - 1];
    const auto index_of = [&](int64_t step) { return up ? n - 1 - step : step; };
    alignas(64) Real before[3][strip_lines] = {};
    const Real *one = before[0], *two = before[1];
    if (filter.periodic) {
        // What lies farther before the start has died out, below any rounding.
        for (int64_t step = -recursion_head; step < 0; ++step) {
            const Real* same = data + index_of((step % n + n) % n) * stride;
            Real* next = before[(step + recursion_head + 2) % 3];
            for (int k = 0; k < width; ++k) next[k] = same[k];
            recur(common, one, two, width, next);
            two = one;
            one = next;
        }
    }
    const auto run = [&](int64_t begin, int64_t end, auto row_of) {
        for (int64_t step = begin; step < end; ++step) {
            Real* row = data + index_of(step) * stride;
            recur(row_of(index_of(step)), one, two, width, row);
            two = one;
            one = row;
        }
    };
    const auto own = [&](int64_t i) { return table[i < recursion_head ? i : recursion_rows - (n - i)]; };
    const auto shared = [&](int64_t) { return common; };
    if (filter.periodic) {
        run(0, n, shared);
    } else if (n <= recursion_rows) {
        run(0, n, [&](int64_t i) { return table[i]; });
    } else {
        const int64_t first = up ? recursion_tail : recursion_head, last = up ? recursion_head : recursion_tail;
        run(0, first, own);
        run(first, n - last, shared);
        run(n - last, n, own);
    }
}

// Solves `width` lines side by side, samples of a line `stride` apart.
template <class Real, int fixed>
void solve_lines(const LineFilter& filter, int64_t n, Real* data, int64_t stride, int width) {
    recur_along<Real, fixed, false>(filter, n, data, stride, width);
    recur_along<Real, fixed, true>(filter, n, data, stride, width);
}

// Lines along contiguous memory, as many as a vector has lanes, are turned over and back.
template <class Real>
void solve_contiguous_lines(const LineFilter& filter, int64_t n, Real* data, Real* scratch) {
    using S = Simd<Real>;
    constexpr int width = S::width;
    const int64_t whole = n / width * width;
    for (int64_t i = 0; i < whole; i += width) {
        typename S::Vector v[width];
        for (int k = 0; k < width; ++k) v[k] = S::load(data + k * n + i);
        side_by_side<Real, width>(v);
        for (int k = 0; k < width; ++k) S::store(scratch + (i + k) * width, v[k]);
    }
    for (int64_t i = whole; i < n; ++i)
        for (int k = 0; k < width; ++k) scratch[i * width + k] = data[k * n + i];
    solve_lines<Real, width>(filter, n, scratch, width, width);
    for (int64_t i = 0; i < whole; i += width) {
        typename S::Vector v[width];
        for (int k = 0; k < width; ++k) v[k] = S::load(scratch + (i + k) * width);
        side_by_side<Real, width>(v);
        for (int k = 0; k < width; ++k) S::store(data + k * n + i, v[k]);
    }
    for (int64_t i = whole; i < n; ++i)
        for (int k = 0; k < width; ++k) data[k * n + i] = scratch[i * width + k];
}

// One task of a pass over an axis of an array (outer, n, inner): a strip of neighbouring lines.
template <class Real>
void solve_strip(const LinePass& pass, int64_t task, void* scratch) {
    Real* data = static_cast<Real*>(pass.data);
    if (pass.inner > 1) {
        const int64_t strips = (pass.inner + strip_lines - 1) / strip_lines;
        const int64_t first = task % strips * strip_lines;
        Real* strip = data + task / strips * pass.n * pass.inner + first;
        if (first + strip_lines <= pass.inner)
            solve_lines<Real, strip_lines>(*pass.filter, pass.n, strip, pass.inner, strip_lines);
        else
            solve_lines<Real, 0>(*pass.filter, pass.n, strip, pass.inner, static_cast<int>(pass.inner - first));
        return;
    }
    const int64_t first = task * line_group, end = first + line_group < pass.outer ? first + line_group : pass.outer;
    constexpr int width = Simd<Real>::width;
    int64_t line = first;
    for (; line + width <= end; line += width)
        solve_contiguous_lines(*pass.filter, pass.n, data + line * pass.n, static_cast<Real*>(scratch));
    for (; line < end; ++line) solve_lines<Real, 1>(*pass.filter, pass.n, data + line * pass.n, 1, 1);
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
