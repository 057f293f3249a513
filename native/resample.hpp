// One axis of an image through a table of weights: out[i] = sum_t weight[i][t] in[first[i] + t].
#pragma once

#include <type_traits>

#include "kernels.hpp"
#include "rows.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// Rows of `width` samples side by side, one row of the output at a time.
template <class T, class O, class Real>
void resample_row(const AxisTable& table, int64_t i, const T* in, int64_t in_step, O* out, int64_t width) {
    constexpr int piece = 512;
    const double* weight = table.weight + i * table.taps;
    const T* start = in + table.first[i] * in_step;
    for (int64_t x = 0; x < width; x += piece) {
        const int n = static_cast<int>(width - x < piece ? width - x : piece);
        alignas(64) Real sum[piece];
        for (int k = 0; k < n; ++k) sum[k] = 0;
        for (int t = 0; t < table.taps; ++t) {
            const Real w = static_cast<Real>(weight[t]);
            if (w == 0) continue;
            const T* row = start + t * in_step + x;
            for (int k = 0; k < n; ++k) sum[k] += w * to_real<Real>(row[k]);
        }
        for (int k = 0; k < n; ++k) round_to(sum[k], out[x + k]);
    }
}

// A line of pixels of up to four channels side by side. Whole vectors are loaded as long as they stay within the line.
template <class T, class O, class Real>
void resample_pixels(const AxisTable& table, const T* in, int64_t in_step, O* out, int64_t out_step, int channels) {
    using V = Lanes<Real, 4>;
    const int64_t samples = (in_step > 0 ? (table.in_size - 1) * in_step : 0) + channels;
    for (int64_t i = 0; i < table.out_size; ++i) {
        const double* weight = table.weight + i * table.taps;
        const T* start = in + table.first[i] * in_step;
        Real sum[4] = {};
        const int64_t farthest = in_step > 0 ? table.first[i] + table.taps - 1 : table.first[i];
        const bool fits = farthest * in_step + 4 <= samples;
        if (fits) {
            typename V::Vector total{};
            for (int t = 0; t < table.taps; ++t) {
                const Real w = static_cast<Real>(weight[t]);
                if (w == 0) continue;
                total += w * load_samples<T, Real, 4>(start + t * in_step);
            }
            V::store(sum, total);
        } else {
            for (int t = 0; t < table.taps; ++t) {
                const Real w = static_cast<Real>(weight[t]);
                if (w == 0) continue;
                for (int c = 0; c < channels; ++c) sum[c] += w * to_real<Real>(start[t * in_step + c]);
            }
        }
        for (int c = 0; c < channels; ++c) round_to(sum[c], out[i * out_step + c]);
    }
}

template <class T, class O, class Real>
void resample_line(const ResamplePass& pass, const T* in, O* out, int64_t begin, int64_t end) {
    const AxisTable& table = pass.table;
    if (pass.inner > 4) {
        for (int64_t i = begin; i < end; ++i)
            resample_row<T, O, Real>(table, i, in, pass.in_step, out + i * pass.out_step, pass.inner);
    } else {
        AxisTable part = table;
        part.first += begin;
        part.weight += begin * table.taps;
        part.out_size = end - begin;
        resample_pixels<T, O, Real>(part, in, pass.in_step, out + begin * pass.out_step, pass.out_step,
                                    static_cast<int>(pass.inner));
    }
}

// Output rows [begin, end) of one line of the outer axes.
inline void resample_any(const ResamplePass& pass, int64_t outer, int64_t begin, int64_t end) {
    const bool wide = is_summed_in_double(pass.in_dtype, pass.out_dtype);
    with_type(pass.in_dtype, [&](auto sample) {
        using T = decltype(sample);
        const T* in = static_cast<const T*>(pass.in) + outer * pass.in_outer;
        const auto into = [&](auto value) {
            using O = decltype(value);
            O* out = static_cast<O*>(pass.out) + outer * pass.out_outer;
            if (wide)
                resample_line<T, O, double>(pass, in, out, begin, end);
            else
                resample_line<T, O, float>(pass, in, out, begin, end);
        };
        // Between passes images are real; at the end they are of their own dtype again.
        if (pass.out_dtype == DType::f64)
            into(double());
        else if (pass.out_dtype == DType::f32)
            into(float());
        else if constexpr (std::is_same<T, float>::value || std::is_same<T, double>::value)
            with_type(pass.out_dtype, into);
        else if (pass.out_dtype == pass.in_dtype)
            into(sample);
    });
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
