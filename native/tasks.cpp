#include "tasks.hpp"

#include <algorithm>
#include <memory>
#include <vector>

#include "isa.hpp"
#include "pool.hpp"
#include "records.hpp"
#include "sums.hpp"

namespace pullback {
namespace {

// A measure of the work at a point: the taps of the most usual interpolation, or more.
int64_t samples_per_point(const Plan& plan) {
    int64_t samples = 1;
    for (int d = 0; d < plan.ndim; ++d) samples *= plan.interpolation[d] > Interpolation::linear ? 4 : 2;
    return samples;
}

int64_t work_of(const Call& call, int64_t channels) {
    return call.batch * point_count(call.lattice) * (channels + 1) * samples_per_point(call.plan) / 2;
}

// Calls task(begin, end) for groups of at most `most` of the batch entries, more groups than threads if possible.
template <class Task>
void for_each_group(int64_t batch, int64_t most, int64_t work, Task task) {
    const int64_t fair = batch / (4 * thread_count()) + 1;
    const int64_t size = most < fair ? most : fair;
    parallel_for((batch + size - 1) / size, work, [&](int64_t group) {
        const int64_t begin = group * size;
        task(begin, begin + size < batch ? begin + size : batch);
    });
}

using BackwardKernel = void (*)(const Call&, const BackwardTask&);

// Runs a task with what its sums, `count` of them, are formed in; with 0, these are where they are written.
void run_with_sums(const Call& call, BackwardTask task, int64_t count, BackwardKernel kernel) {
    const std::unique_ptr<double[]> sums(count > 0 ? new double[static_cast<size_t>(count)] : nullptr);
    task.sums = sums.get();
    kernel(call, task);
}

// Runs a task, and marks the rows to which many points come.
void run_and_count(const Call& call, BackwardTask task, char* marks) {
    const int64_t runs = (task.band_end - task.band_begin) * counts_in_row(call.grad_image.stride[0]);
    std::vector<uint8_t> counts(static_cast<size_t>(runs));
    task.crowds = {counts.data(), marks, rows_of_sums(call)};
    kernels().backward(call, task);
}

// The marks of all images, one after the other.
struct Marks {
    explicit Marks(const Call& call)
        : rows(rows_of_sums(call)),
          a_image((call.grad_image.size[0] + rows - 1) / rows),
          marks(static_cast<size_t>(call.grad_image.batch * a_image)) {}
    char* of(int64_t n) { return marks.data() + n * a_image; }
    int64_t rows, a_image;
    std::vector<char> marks;
};

void backward_geometry(const Call& call, const BackwardTask& whole, BackwardKernel kernel) {
    const int64_t chunks = chunk_count(call.lattice), pieces = call.slabs;
    parallel_for(call.geometry.batch * pieces, 2 * work_of(call, call.image.channels), [&](int64_t i) {
        BackwardTask task = whole;
        const int64_t slab = i % pieces;
        task.image = false;
        task.chunk_begin = (slab * chunks + pieces - 1) / pieces;
        task.chunk_end = ((slab + 1) * chunks + pieces - 1) / pieces;
        if (call.geometry.batch > 1) {
            task.batch_begin = i / pieces;
            task.batch_end = task.batch_begin + 1;
        }
        kernel(call, task);
    });
}

// Steps of a task, about a nanosecond each: a call is stopped between two tasks, within half a second.
constexpr int64_t most_steps = 200'000'000;

// The task of one part of an image's gradient.
BackwardTask part_of(const BackwardTask& whole, const Image& target, int64_t n) {
    BackwardTask task = whole;
    task.geometry = false;
    if (target.batch > 1) {
        task.batch_begin = n;
        task.batch_end = n + 1;
    }
    return task;
}

// How many parts the channels are cut into, so that the sums of each are no more than stay in the cache.
int64_t channel_parts_of(const Image& target, int64_t samples) {
    const int64_t most = std::max<int64_t>(most_sums / std::max<int64_t>(samples, 1), 1);
    return (target.channels + most - 1) / most;
}

// Tasks own disjoint parts of the gradient: an image each, then some of its channels, then a band of its rows. However
// it is cut, every sample receives its contributions in the same order.
void scatter(const Call& call, const BackwardTask& whole, BackwardKernel kernel, Summing summing, Marks& marks) {
    const Image& target = call.grad_image;
    const int64_t work = 2 * work_of(call, target.channels);
    const int64_t wanted = std::max<int64_t>(thread_count(), work / most_steps + 1);
    const bool margin = kernel == kernels().backward && uses_margin(call, target);
    const int64_t row = samples_in_row(call, target);
    int64_t channel_parts = target.batch >= wanted ? 1 : (target.channels < wanted ? target.channels : wanted);
    if (!margin && summing == Summing::apart)
        channel_parts = std::max(channel_parts, channel_parts_of(target, row * target.size[0]));
    int64_t bands = target.batch * channel_parts >= wanted || margin ? 1 : wanted;
    if (bands > target.size[0]) bands = target.size[0] > 0 ? target.size[0] : 1;
    const int64_t tasks = target.batch * channel_parts * bands;
    parallel_for(tasks, work, [&](int64_t i) {
        const int64_t band = i % bands, part = i / bands % channel_parts, n = i / (bands * channel_parts);
        BackwardTask task = part_of(whole, target, n);
        task.band_begin = target.size[0] * band / bands;
        task.band_end = target.size[0] * (band + 1) / bands;
        task.channel_begin = target.channels * part / channel_parts;
        task.channel_end = target.channels * (part + 1) / channel_parts;
        if (summing == Summing::counted && part == 0) {
            run_and_count(call, task, marks.of(n));
            return;
        }
        const int64_t sums = (task.band_end - task.band_begin) * row * (task.channel_end - task.channel_begin);
        run_with_sums(call, task, !margin && summing == Summing::apart ? sums : 0, kernel);
    });
}

// Scatters once more, apart, to the rows to which many points have come; all of it, if these are many.
void scatter_to_crowds(const Call& call, const BackwardTask& whole, Marks& marks) {
    constexpr int64_t many = 4;
    const Image& target = call.grad_image;
    std::vector<int64_t> marked;
    for (int64_t i = 0; i < target.batch * marks.a_image; ++i)
        if (marks.marks[static_cast<size_t>(i)]) marked.push_back(i);
    if (static_cast<int64_t>(marked.size()) > many * target.batch) {
        scatter(call, whole, kernels().backward, Summing::apart, marks);
        return;
    }
    const int64_t row = samples_in_row(call, target), parts = channel_parts_of(target, row * marks.rows);
    parallel_for(static_cast<int64_t>(marked.size()) * parts, 2 * work_of(call, target.channels), [&](int64_t i) {
        const int64_t mark = marked[static_cast<size_t>(i / parts)], part = i % parts;
        BackwardTask task = part_of(whole, target, mark / marks.a_image);
        task.band_begin = mark % marks.a_image * marks.rows;
        task.band_end = std::min(task.band_begin + marks.rows, target.size[0]);
        task.channel_begin = target.channels * part / parts;
        task.channel_end = target.channels * (part + 1) / parts;
        const int64_t sums = (task.band_end - task.band_begin) * row * (task.channel_end - task.channel_begin);
        run_with_sums(call, task, sums, kernels().backward);
    });
}

void backward_image(const Call& call, const BackwardTask& whole, BackwardKernel kernel) {
    Summing summing = summing_of(call);
    if (kernel != kernels().backward && summing == Summing::counted) summing = Summing::apart;
    Marks marks(call);
    scatter(call, whole, kernel, summing, marks);
    if (summing == Summing::counted) scatter_to_crowds(call, whole, marks);
}

// Everything of the backward pass of a batch entry at once: entries share neither image nor geometry.
void backward_by_entry(const Call& call, const BackwardTask& whole, Summing summing) {
    const bool margin = uses_margin(call, call.image);
    const int64_t sums = samples_in_row(call, call.image) * call.image.size[0] * call.image.channels;
    Marks marks(call);
    for_each_group(call.batch, entries_per_task(call, call.image), 4 * work_of(call, call.image.channels),
                   [&](int64_t begin, int64_t end) {
                       BackwardTask task = whole;
                       task.batch_begin = begin;
                       task.batch_end = end;
                       if (!margin && summing == Summing::counted)
                           run_and_count(call, task, marks.of(begin));
                       else
                           run_with_sums(call, task, !margin && summing == Summing::apart ? sums : 0,
                                         kernels().backward);
                   });
    if (!margin && summing == Summing::counted) scatter_to_crowds(call, whole, marks);
}

bool same_strides(const Call& call) {
    for (int d = 0; d < call.plan.ndim; ++d)
        if (call.image.stride[d] != call.grad_image.stride[d]) return false;
    return true;
}

// Whether samples of a channel lie as sums do that are formed apart.
bool is_compact(const Call& call, const Image& image) {
    int64_t stride = 1;
    for (int d = call.plan.ndim - 1; d >= 0; --d) {
        if (image.stride[d] != stride) return false;
        stride *= image.size[d];
    }
    return true;
}

// Whether the tasks of a backward pass may do both gradients.
bool goes_by_entry(const Call& call, Summing summing) {
    const bool own_entries = call.image.batch == call.batch && call.geometry.batch == call.batch;
    if (!own_entries || call.batch < thread_count() || !same_strides(call)) return false;
    if (uses_margin(call, call.image) || summing != Summing::apart) return true;
    const int64_t samples = samples_in_row(call, call.image) * call.image.size[0];
    return is_compact(call, call.grad_image) && channel_parts_of(call.image, samples) == 1;
}

void run_backward(const Call& given, BackwardKernel kernel) {
    Call call = given;
    const bool image = call.grad_image.data != nullptr, geometry = call.grad_geometry.data != nullptr;
    std::vector<double> partial_sums;
    if (geometry) {
        plan_records(call);
        partial_sums.assign(static_cast<size_t>(call.geometry.batch * call.slabs * call.record_size), 0.0);
        call.partial_sums = partial_sums.data();
    }
    const BackwardTask whole{0,       call.batch,
                             0,       chunk_count(call.lattice),
                             0,       call.image.channels,
                             0,       image ? call.grad_image.size[0] : 0,
                             image,   geometry,
                             nullptr, {}};
    const bool both = kernel == kernels().backward && image && geometry;
    const Summing summing = both ? summing_of(call) : Summing::direct;
    if (both && goes_by_entry(call, summing)) {
        backward_by_entry(call, whole, summing);
    } else {
        if (geometry) backward_geometry(call, whole, kernel);
        if (image) backward_image(call, whole, kernel);
    }
    if (geometry && !is_field(call.plan.kind)) finish_geometry(call);
}

}  // namespace

void pull(const Call& call) {
    const int64_t chunks = chunk_count(call.lattice), work = work_of(call, call.image.channels);
    if (chunks == 1)
        for_each_group(call.batch, entries_per_task(call, call.image), work,
                       [&](int64_t begin, int64_t end) { kernels().pull(call, begin, end, 0); });
    else
        parallel_for(call.batch * chunks, work,
                     [&](int64_t i) { kernels().pull(call, i / chunks, i / chunks + 1, i % chunks); });
}

void gradient(const Call& call) {
    const int64_t chunks = chunk_count(call.lattice);
    parallel_for(call.batch * chunks, 2 * work_of(call, call.image.channels),
                 [&](int64_t i) { kernels().gradient(call, i / chunks, i % chunks); });
}

void jvp(const Call& call) {
    const int64_t chunks = chunk_count(call.lattice);
    parallel_for(call.batch * chunks, 2 * work_of(call, call.image.channels),
                 [&](int64_t i) { kernels().jvp(call, i / chunks, i % chunks); });
}

void backward(const Call& call) { run_backward(call, kernels().backward); }

void second(const Call& call) { run_backward(call, kernels().second); }

int64_t normal_record_size(const Plan& plan) {
    const int features = plan.ndim + 1, rows = row_count(plan);
    return rows * (rows + 1) / 2 * (features * (features + 1) / 2) + rows * features + 1;
}

void normal(const Call& given, double* record) {
    Call call = given;
    const int64_t chunks = chunk_count(call.lattice);
    call.record_size = normal_record_size(call.plan);
    std::vector<double> partial_sums(static_cast<size_t>(call.batch * chunks * call.record_size), 0.0);
    call.partial_sums = partial_sums.data();
    parallel_for(call.batch * chunks, 3 * work_of(call, call.image.channels),
                 [&](int64_t i) { kernels().normal(call, i / chunks, i % chunks); });
    for (int64_t b = 0; b < call.batch; ++b)
        for (int64_t k = 0; k < call.record_size; ++k) {
            double sum = 0;
            for (int64_t chunk = 0; chunk < chunks; ++chunk)
                sum += partial_sums[static_cast<size_t>((b * chunks + chunk) * call.record_size + k)];
            record[b * call.record_size + k] = sum;
        }
}

void winners(const Call& call, int64_t* winner) {
    parallel_for(call.batch, work_of(call, 1), [&](int64_t batch) { kernels().winners(call, batch, winner); });
}

void solve(const LinePass& pass) {
    const int64_t work = pass.outer * pass.n * pass.inner;
    if (work == 0) return;
    if (pass.inner > 1) {
        parallel_for(pass.outer * ((pass.inner + strip_lines - 1) / strip_lines), work,
                     [&](int64_t task) { kernels().solve(pass, task, nullptr); });
        return;
    }
    const size_t scratch = static_cast<size_t>(pass.n * scratch_lanes * size_of(pass.dtype));
    parallel_for((pass.outer + line_group - 1) / line_group, work, [&](int64_t task) {
        std::unique_ptr<char[]> memory(pass.outer == 1 ? nullptr : new char[scratch]);
        kernels().solve(pass, task, memory.get());
    });
}

void resample(const ResamplePass& pass, int64_t outer) {
    constexpr int64_t rows = 16;
    const int64_t groups = (pass.table.out_size + rows - 1) / rows;
    parallel_for(outer * groups, outer * pass.table.out_size * pass.inner * pass.table.taps, [&](int64_t task) {
        const int64_t begin = task % groups * rows, end = begin + rows;
        kernels().resample(pass, task / groups, begin, end < pass.table.out_size ? end : pass.table.out_size);
    });
}

}  // namespace pullback
