// The table of kernels that each instruction set provides. A kernel does one task of a call; tasks may run in any
// order.
#pragma once

#include "basis.hpp"

namespace pullback {

// Which parts of an image's gradient are reached by so many points that their sums need double precision: by more than
// `crowd` that begin in one run of `counted_samples` samples of a row.
constexpr int counted_samples = 16, crowd = 128;
struct Crowds {
    uint8_t* counts;  // of the runs in the task's rows, up to 255
    char* marks;      // set to 1, for each `rows` rows of the image
    int64_t rows;
};

static inline int64_t counts_in_row(int64_t stride) { return (stride + counted_samples - 1) / counted_samples; }

// What part of a backward pass a task does. Batch entries are those of the output.
struct BackwardTask {
    int64_t batch_begin, batch_end;
    int64_t chunk_begin, chunk_end;      // of points_per_task points
    int64_t channel_begin, channel_end;  // for the image's gradient; the geometry's sums over all
    int64_t band_begin, band_end;        // rows of the image's first axis
    bool image, geometry;
    double* sums;   // what the image's gradient is summed in, if not where it is written (see sums.hpp)
    Crowds crowds;  // null `counts` if nothing is to be counted
};

// One row of a recursion along a line: y[i] = scale (x[i] - first y[i-1] - second y[i-2]), or with i + 1 and i + 2.
struct Recursion {
    double scale, first, second;
};

// The first and the last rows of a line have coefficients of their own; the others have those of row recursion_head
// - 1.
constexpr int recursion_head = 64, recursion_tail = 4, recursion_rows = recursion_head + recursion_tail;

// The solution of a banded system by its triangular factors: down the line, and back up.
struct LineFilter {
    bool periodic;
    Recursion down[recursion_rows], up[recursion_rows];
};

// A pass of a filter over an axis of a contiguous array (outer, n, inner), float32 or float64, in place.
struct LinePass {
    const LineFilter* filter;
    void* data;
    DType dtype;
    int64_t outer, n, inner;
};
constexpr int strip_lines = 64;        // lines side by side in a task, where lines are not contiguous
constexpr int64_t line_group = 64;     // lines in a task, where they are
constexpr int64_t scratch_lanes = 16;  // a task with contiguous lines needs n times as many reals

// out[i] = sum_t weight[i][t] in[first[i] + t]
struct AxisTable {
    int64_t in_size, out_size;
    const int64_t* first;  // out_size
    const double* weight;  // (out_size, taps)
    int64_t taps;
};

// A pass of a table over an axis of an array (outer, axis, inner), the inner samples side by side; strides in elements.
struct ResamplePass {
    AxisTable table;
    const void* in;
    void* out;
    DType in_dtype, out_dtype;
    int64_t in_outer, out_outer, in_step, out_step, inner;
};

struct Kernels {
    void (*pull)(const Call&, int64_t batch_begin, int64_t batch_end, int64_t chunk);
    void (*gradient)(const Call&, int64_t batch, int64_t chunk);
    void (*backward)(const Call&, const BackwardTask&);
    // how values move with image_dot and geometry_dot, and the reverse of that; images are real, of one layout
    void (*jvp)(const Call&, int64_t batch, int64_t chunk);
    void (*second)(const Call&, const BackwardTask&);
    // the moments of the residual, the values being the target; into a record for each entry and chunk
    void (*normal)(const Call&, int64_t batch, int64_t chunk);
    // the flat index of the point with the largest importance (values of one channel) for each sample, -1 for none
    void (*winners)(const Call&, int64_t batch, int64_t* winner);
    void (*solve)(const LinePass&, int64_t task, void* scratch);
    void (*resample)(const ResamplePass&, int64_t outer, int64_t begin, int64_t end);
};

#define PULLBACK_DECLARE_KERNELS(isa) \
    namespace isa {                   \
    extern const Kernels kernels;     \
    }
PULLBACK_DECLARE_KERNELS(baseline)
PULLBACK_DECLARE_KERNELS(x86_64_v3)
PULLBACK_DECLARE_KERNELS(x86_64_v4)
#undef PULLBACK_DECLARE_KERNELS

static inline int64_t chunk_count(const Lattice& lattice) {
    return (point_count(lattice) + points_per_task - 1) / points_per_task;
}

// The slab that a chunk belongs to.
static inline int64_t slab_of(const Call& call, int64_t chunk) {
    return chunk * call.slabs / chunk_count(call.lattice);
}

// The most samples, margins included, of an image that kernels copy to their stack (see margin.hpp).
constexpr int64_t margin_samples = 8192;

static inline int64_t framed_samples(const Plan& plan, const Image& image) {
    int64_t samples = image.channels;
    for (int d = 0; d < plan.ndim; ++d) samples *= image.size[d] + 2;
    return samples;
}

// Whether the kernels of a call work on a copy with a margin. It depends on the call alone, not on how the call is cut.
static inline bool uses_margin(const Call& call, const Image& image) {
    int64_t own = 1;
    for (int d = 0; d < call.plan.ndim; ++d) {
        if (call.plan.interpolation[d] != Interpolation::linear || call.plan.border[d] != Border::constant ||
            image.size[d] > margin_samples)
            return false;
        own *= image.size[d];
    }
    for (int64_t i = 0; i < call.fill_count; ++i)
        if (call.fill[i] - call.fill[i] != 0) return false;  // differences of infinite samples are no slopes
    const bool batch_shares_geometry = call.geometry.batch == 1 && call.batch > 1;
    const int64_t samples = framed_samples(call.plan, image);
    return !call.plan.crop && samples > 0 && samples <= margin_samples && own <= 4 * point_count(call.lattice) &&
           !batch_shares_geometry;
}

// How many batch entries a task may take on. What they share is found once for all of them.
static inline int64_t entries_per_task(const Call& call, const Image& image) {
    const int64_t chunks = chunk_count(call.lattice);
    if (!uses_margin(call, image) || chunks > 1) return 1;
    return margin_samples / framed_samples(call.plan, image);
}

}  // namespace pullback
