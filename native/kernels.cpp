// The kernels of one instruction set: the build compiles this file once for each, with PULLBACK_ISA_NAMESPACE as its
// name. Nothing here may be shared between instruction sets, so there are no standard containers and no inline
// functions of the standard library but mathematics.
#include "kernels.hpp"

#include "crowds.hpp"
#include "jet.hpp"
#include "locate.hpp"
#include "lost.hpp"
#include "margin.hpp"
#include "normal.hpp"
#include "pixels.hpp"
#include "prefilter.hpp"
#include "pull.hpp"
#include "push.hpp"
#include "reduce.hpp"
#include "resample.hpp"
#include "second.hpp"
#include "select.hpp"
#include "tangent.hpp"
#include "values.hpp"
#include "winners.hpp"

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

namespace {

// Calls visit(begin, count) for each block of the chunk.
template <class Visit>
void for_each_block(const Lattice& lattice, int64_t chunk, Visit visit) {
    const int64_t points = point_count(lattice);
    const int64_t end = (chunk + 1) * points_per_task < points ? (chunk + 1) * points_per_task : points;
    for (int64_t begin = chunk * points_per_task; begin < end; begin += block_points)
        visit(begin, static_cast<int>(end - begin < block_points ? end - begin : block_points));
}

Source channel_of(const Image& image, int64_t batch, int64_t channel) {
    const int64_t at = (image.batch == 1 ? 0 : batch * image.batch_stride) + channel * image.channel_stride;
    return {static_cast<const char*>(image.data) + at * size_of(image.dtype), image.dtype};
}

// Copies with a margin, all channels of some batch entries, one after the other; or of one image that all entries
// share.
template <class Real, int D>
struct Copies {
    int64_t first_entry, entries, channels, samples;
    Real* data;
    Real* channel(int64_t batch, int64_t c) const {
        return data + ((entries == 1 ? 0 : batch - first_entry) * channels + c) * samples;
    }
    Source source(int64_t batch, int64_t c) const {
        return {reinterpret_cast<const char*>(channel(batch, c)), dtype_of_real<Real>};
    }
};

template <class Real, int D>
void copy_entries(const Call& call, const View<D>& view, const View<D>& framed, const Copies<Real, D>& copies) {
    with_type(call.image.dtype, [&](auto sample) {
        for (int64_t b = copies.first_entry; b < copies.first_entry + copies.entries; ++b)
            for (int64_t c = 0; c < call.image.channels; ++c)
                copy_with_margin(view, framed, channel_of(call.image, b, c).template as<decltype(sample)>(),
                                 fill_of<Real>(call, c), copies.channel(b, c));
    });
}

// How many images the entries [begin, end) of the batch have.
int64_t images_of(const Image& image, int64_t begin, int64_t end) { return image.batch == 1 ? 1 : end - begin; }

// Writes the values of a chunk for some batch entries, reading channel c of entry b at source(b, c).
template <class Real, int D, class SourceOf>
void pull_chunk(const Call& call, int64_t batch_begin, int64_t batch_end, int64_t chunk, const View<D>& view,
                SourceOf source) {
    const bool pixels = view.pixels;
    Cells<Real, D> cells;
    LocalIndex<Real, D> local;
    Lost<Real> lost;
    alignas(64) Real value[block_points];
    for_each_block(call.lattice, chunk, [&](int64_t begin, int count) {
        cells.position.count = count;
        if (has_short_rows(call)) find_local_index(call.lattice, begin, count, local);
        for (int64_t b = batch_begin; b < batch_end; ++b) {
            const int64_t start = b * call.values.batch_stride;
            locate(call, b, begin, local, cells.position);
            find_cells(view, cells);
            find_lost(call, b, begin, cells, lost);
            const int64_t shift = view.margin ? 0 : shift_of_rows<D>(call, b, begin, view.stride);
            if (pixels) {
                prefetch_values(call.lattice, call.values, start, begin, count, call.image.channels);
                prefetch_samples(cells, source(b, 0), shift, 4);
                pull_all_pixels(call, view, cells, lost, start, begin, [&](int64_t c) { return source(b, c); });
                continue;
            }
            for (int64_t c = 0; c < call.image.channels; ++c) {
                prefetch_values(call.lattice, call.values, start + c * call.values.channel_stride, begin, count);
                if (view.margin == 0) prefetch_samples(cells, source(b, c), shift);
                pull_block(view, cells, source(b, c), fill_of<Real>(call, c), value);
                lost.mark(value);
                store_values(call.lattice, call.values, start + c * call.values.channel_stride, begin, count, value);
            }
        }
    });
}

// Copies of samples, for interpolations that select them and results of the image's dtype.
template <class Real, int D>
void select_chunk(const Call& call, int64_t batch_begin, int64_t batch_end, int64_t chunk, const View<D>& view) {
    Cells<Real, D> cells;
    LocalIndex<Real, D> local;
    Lost<Real> lost;
    for_each_block(call.lattice, chunk, [&](int64_t begin, int count) {
        cells.position.count = count;
        if (has_short_rows(call)) find_local_index(call.lattice, begin, count, local);
        for (int64_t b = batch_begin; b < batch_end; ++b) {
            locate(call, b, begin, local, cells.position);
            find_cells(view, cells);
            find_lost(call, b, begin, cells, lost);
            for (int64_t c = 0; c < call.image.channels; ++c)
                with_type(call.image.dtype, [&](auto sample) {
                    using T = decltype(sample);
                    T fill, none, out[block_points];
                    round_to(fill_of<double>(call, c), fill);
                    round_to(std::numeric_limits<double>::quiet_NaN(), none);
                    const T* image = channel_of(call.image, b, c).template as<T>();
                    if constexpr (std::numeric_limits<T>::is_integer || std::is_same<T, Boolean>::value) {
                        if (call.plan.interpolation[0] == Interpolation::label)
                            select_label<T, Real>(view, cells, image, fill, out);
                        else
                            select_nearest<T, Real>(view, cells, image, fill, out);
                    } else {
                        select_nearest<T, Real>(view, cells, image, fill, out);
                    }
                    for (int e = 0; e < lost.count; ++e) out[lost.point[e]] = none;
                    copy_values(call.lattice, call.values,
                                b * call.values.batch_stride + c * call.values.channel_stride, begin, count, out);
                });
        }
    });
}

bool selects(const Call& call) {
    for (int d = 0; d < call.plan.ndim; ++d)
        if (!is_selection(call.plan.interpolation[d]) || call.plan.interpolation[d] != call.plan.interpolation[0])
            return false;
    return call.values.dtype == call.image.dtype;
}

template <class Real, int D>
void pull(const Call& call, int64_t batch_begin, int64_t batch_end, int64_t chunk) {
    View<D> view = view_of<Real, D>(call, call.image, false);
    if (selects(call)) {
        select_chunk<Real>(call, batch_begin, batch_end, chunk, view);
        return;
    }
    if (!uses_margin(call, call.image)) {
        view.pixels = reads_pixels<Real>(view, call.image);
        if (view.pixels && call.image.channels < pixel_lanes) ++view.room;
        pull_chunk<Real>(call, batch_begin, batch_end, chunk, view,
                         [&](int64_t b, int64_t c) { return channel_of(call.image, b, c); });
        return;
    }
    const View<D> framed = with_margin(view);
    alignas(64) Real memory[margin_samples];
    const Copies<Real, D> copies{batch_begin, images_of(call.image, batch_begin, batch_end), call.image.channels,
                                 samples_of(framed), memory};
    copy_entries(call, view, framed, copies);
    pull_chunk<Real>(call, batch_begin, batch_end, chunk, framed,
                     [&](int64_t b, int64_t c) { return copies.source(b, c); });
}

template <class Real, int D>
void gradient(const Call& call, int64_t batch, int64_t chunk) {
    const View<D> view = view_of<Real, D>(call, call.image, true);
    Cells<Real, D> cells;
    LocalIndex<Real, D> local;
    Lost<Real> lost;
    alignas(64) Real slope[D][block_points];
    for_each_block(call.lattice, chunk, [&](int64_t begin, int count) {
        cells.position.count = count;
        if (has_short_rows(call)) find_local_index(call.lattice, begin, count, local);
        locate(call, batch, begin, local, cells.position);
        find_cells(view, cells);
        find_lost(call, batch, begin, cells, lost);
        for (int64_t c = 0; c < call.image.channels; ++c) {
            jet_block(view, cells, channel_of(call.image, batch, c), fill_of<Real>(call, c), slope);
            for (int d = 0; d < D; ++d) {
                const Real scale = static_cast<Real>(call.plan.scale_in[d]);
                for (int i = 0; i < count; ++i) slope[d][i] *= scale;
                lost.mark(slope[d]);
                store_values(call.lattice, call.values,
                             batch * call.values.batch_stride + c * call.values.channel_stride +
                                 d * call.values.component_stride,
                             begin, count, slope[d]);
            }
        }
    });
}

// The sums of a task apart from the gradient that they are rounded to: the rows of its band, channel after channel.
template <class Real, int D>
class Sums {
public:
    Sums(const Call& call, const BackwardTask& task, const View<D>& view)
        : call_(call), task_(task), view_(view), images_(images_of(call.grad_image, task.batch_begin, task.batch_end)) {
        samples_ = view.stride[0] * (task.band_end - task.band_begin);
        const int64_t count = images_ * (task.channel_end - task.channel_begin) * samples_;
        for (int64_t i = 0; i < count; ++i) task.sums[i] = 0;
    }
    double* channel(int64_t batch, int64_t c) const {
        const int64_t image = images_ == 1 ? 0 : batch - task_.batch_begin;
        const int64_t before = image * (task_.channel_end - task_.channel_begin) + c - task_.channel_begin;
        return task_.sums + (before * samples_ - task_.band_begin * view_.stride[0]);
    }
    void round() const {
        const View<D> to = view_of<Real, D>(call_, call_.grad_image, false);
        const Band band{task_.band_begin, task_.band_end, false};
        for (int64_t b = task_.batch_begin; b < task_.batch_begin + images_; ++b)
            for (int64_t c = task_.channel_begin; c < task_.channel_end; ++c)
                round_band(view_, to, band, channel(b, c),
                           const_cast<Real*>(channel_of(call_.grad_image, b, c).template as<Real>()));
    }

private:
    const Call& call_;
    const BackwardTask& task_;
    const View<D>& view_;
    int64_t images_, samples_;
};

// An image whose samples lie as those of `Sums`.
Image compact(Image image, int ndim) {
    int64_t stride = 1;
    for (int d = ndim - 1; d >= 0; --d) {
        image.stride[d] = stride;
        stride *= image.size[d];
    }
    return image;
}

// One task of a backward pass, reading channel c of batch entry b at source(b, c) and scattering to target(b, c). The
// geometry's gradient sums over the batch where all entries share one geometry: batch entries are the inner loop.
template <class Real, int D, class Source, class Target>
void backward_task(const Call& call, const BackwardTask& task, const View<D>& view, Source source, Target target) {
    const Band band{task.band_begin, task.band_end, task.band_begin == 0 && task.band_end == call.grad_image.size[0]};
    const bool matrix = is_matrix(call.plan.kind);
    const bool shared_geometry = call.geometry.batch == 1;
    Cells<Real, D> cells;
    LocalIndex<Real, D> local;
    alignas(64) Real value[block_points], slope[D][block_points], x_bar[D][block_points];

    // Vector loops over x_bar run past the end of a block, and a sum over several batch entries starts from zero.
    const bool sums_entries = shared_geometry || task.channel_begin == task.channel_end;
    const auto start_geometry = [&](int64_t b, int64_t begin) {
        locate(call, b, begin, local, cells.position);
        find_cells(view, cells);
        if (task.crowds.counts) count_points(view, cells, band, task.crowds.counts);
        if (task.geometry)
            for (int d = 0; d < D; ++d)
                for (int i = sums_entries ? 0 : cells.position.count; i < padded(cells.position.count); ++i)
                    x_bar[d][i] = 0;
    };
    const auto store_geometry = [&](int64_t m, int64_t chunk, int64_t begin) {
        reduce_block<Real, D>(call, m, chunk, begin, local, cells, x_bar);
    };
    const auto backward_block = [&](int64_t b, int64_t begin, int count) {
        const Overlap part = task.image ? overlap(view, cells, band) : Overlap::none;
        const int64_t shift = view.margin ? 0 : shift_of_rows<D>(call, b, begin, view.stride);
        for (int64_t c = task.channel_begin; c < task.channel_end; ++c) {
            if (task.geometry && !view.margin) prefetch_samples(cells, source(b, c), shift);
            if (task.image && !view.margin && part != Overlap::none) prefetch_targets(cells, target(b, c), shift);
            load_values(call.lattice, call.values, b * call.values.batch_stride + c * call.values.channel_stride, begin,
                        count, value);
            if (task.geometry) {
                jet_block(view, cells, source(b, c), fill_of<Real>(call, c), slope);
                if (c == task.channel_begin && !sums_entries)
                    for (int d = 0; d < D; ++d)
                        for (int i = 0; i < count; ++i) x_bar[d][i] = value[i] * slope[d][i];
                else
                    for (int d = 0; d < D; ++d)
                        for (int i = 0; i < count; ++i) x_bar[d][i] += value[i] * slope[d][i];
            }
            if (task.image) push_block(view, cells, part, band, value, target(b, c));
        }
    };

    for (int64_t chunk = task.chunk_begin; chunk < task.chunk_end; ++chunk) {
        for_each_block(call.lattice, chunk, [&](int64_t begin, int count) {
            cells.position.count = count;
            if ((task.geometry && matrix) || has_short_rows(call)) find_local_index(call.lattice, begin, count, local);
            if (shared_geometry) start_geometry(0, begin);
            for (int64_t b = task.batch_begin; b < task.batch_end; ++b) {
                if (!shared_geometry) start_geometry(b, begin);
                backward_block(b, begin, count);
                if (task.geometry && !shared_geometry) store_geometry(b, chunk, begin);
            }
            if (task.geometry && shared_geometry) store_geometry(0, chunk, begin);
        });
    }
}

// A task that asks for both gradients relies on the image and its gradient having the same strides. On copies with a
// margin, a task has at most entries_per_task batch entries, or scatters all of the batch to one image.
template <class Real, int D>
void backward(const Call& call, const BackwardTask& task) {
    const Image image = task.geometry ? call.image : task.sums ? compact(call.grad_image, D) : call.grad_image;
    const View<D> view = view_of<Real, D>(call, image, task.geometry);
    const auto target = [&](int64_t b, int64_t c) {
        return const_cast<Real*>(channel_of(call.grad_image, b, c).template as<Real>());
    };
    const int64_t images = images_of(call.grad_image, task.batch_begin, task.batch_end);
    const auto samples_at = [&](int64_t b, int64_t c) { return channel_of(call.image, b, c); };
    if (!uses_margin(call, image) && task.sums) {
        const Sums<Real, D> sums(call, task, view);
        backward_task<Real>(call, task, view, samples_at, [&](int64_t b, int64_t c) { return sums.channel(b, c); });
        sums.round();
        return;
    }
    if (!uses_margin(call, image)) {
        if (task.image)
            for (int64_t b = task.batch_begin; b < task.batch_begin + images; ++b)
                for (int64_t c = task.channel_begin; c < task.channel_end; ++c)
                    clear_band(view, {task.band_begin, task.band_end, false}, target(b, c));
        backward_task<Real>(call, task, view, samples_at, target);
        if (task.crowds.counts) mark_crowds(view, {task.band_begin, task.band_end, false}, task.crowds);
        return;
    }
    const View<D> framed = with_margin(view);
    const int64_t samples = samples_of(framed);
    alignas(64) Real memory[margin_samples];
    alignas(64) double scattered[margin_samples];
    const Copies<Real, D> copies{task.batch_begin, images_of(call.image, task.batch_begin, task.batch_end),
                                 image.channels, samples, memory};
    const Copies<double, D> targets{task.batch_begin, images, image.channels, samples, scattered};
    if (task.geometry) copy_entries(call, view, framed, copies);
    if (task.image)
        for (int64_t i = 0; i < images * targets.channels * samples; ++i) scattered[i] = 0;
    backward_task<Real>(
        call, task, framed, [&](int64_t b, int64_t c) { return copies.source(b, c); },
        [&](int64_t b, int64_t c) { return targets.channel(b, c); });
    if (task.image)
        for (int64_t b = task.batch_begin; b < task.batch_begin + images; ++b)
            for (int64_t c = task.channel_begin; c < task.channel_end; ++c)
                copy_without_margin(view, framed, targets.channel(b, c), target(b, c));
}

// How the values of a chunk move.
template <class Real, int D>
void jvp(const Call& call, int64_t batch, int64_t chunk) {
    const View<D> view = view_of<Real, D>(call, call.image, true);
    Cells<Real, D> cells;
    LocalIndex<Real, D> local;
    alignas(64) Real x_dot[D][block_points], slope[D][block_points], value[block_points];
    alignas(64) Real reciprocal[block_points], bend[block_points];
    Lost<Real> lost;
    for_each_block(call.lattice, chunk, [&](int64_t begin, int count) {
        cells.position.count = count;
        find_local_index(call.lattice, begin, count, local);
        locate(call, batch, begin, local, cells.position);
        find_cells(view, cells);
        find_lost(call, batch, begin, cells, lost);
        find_tangent(call, batch, begin, local, cells.position, x_dot, reciprocal, bend);
        for (int64_t c = 0; c < call.image.channels; ++c) {
            if (call.image_dot.data)
                pull_block(view, cells, channel_of(call.image_dot, batch, c), Real(0), value);
            else
                for (int i = 0; i < count; ++i) value[i] = 0;
            if (call.geometry_dot.data) {
                jet_block(view, cells, channel_of(call.image, batch, c), fill_of<Real>(call, c), slope);
                for (int d = 0; d < D; ++d)
                    for (int i = 0; i < count; ++i)
                        if (slope[d][i] != 0) value[i] += slope[d][i] * x_dot[d][i];
            }
            lost.mark(value);
            store_values(call.lattice, call.values, batch * call.values.batch_stride + c * call.values.channel_stride,
                         begin, count, value);
        }
    });
}

// The reverse of jvp in the image and in the geometry: like backward_task, with batch entries as the inner loop.
template <class Real, int D, class Target>
void second_task(const Call& call, const BackwardTask& task, const View<D>& view, Target target) {
    const Band band{task.band_begin, task.band_end, task.band_begin == 0 && task.band_end == call.image.size[0]};
    const bool shared_geometry = call.geometry.batch == 1, projective = is_projective(call.plan.kind);
    Cells<Real, D> cells;
    LocalIndex<Real, D> local;
    alignas(64) Real x_dot[D][block_points], slope[D][block_points], h[D][block_points], value[block_points];
    alignas(64) Real x_bar[D][block_points], w_bar[block_points], reciprocal[block_points], bend[block_points];
    const auto samples = [&](const Image& image, int64_t b, int64_t c) {
        return const_cast<Real*>(channel_of(image, b, c).template as<Real>());
    };
    const auto start = [&](int64_t b, int64_t begin) {
        locate(call, b, begin, local, cells.position);
        find_cells(view, cells);
        find_tangent(call, b, begin, local, cells.position, x_dot, reciprocal, bend);
        for (int i = 0; i < padded(cells.position.count); ++i) {
            for (int d = 0; d < D; ++d) x_bar[d][i] = 0;
            w_bar[i] = 0;
        }
    };
    const auto block = [&](int64_t b, int64_t begin, int count) {
        for (int64_t c = task.channel_begin; c < task.channel_end; ++c) {
            load_values(call.lattice, call.values, b * call.values.batch_stride + c * call.values.channel_stride, begin,
                        count, value);
            const Real fill = fill_of<Real>(call, c);
            second_block(view, cells, samples(call.image, b, c), fill, x_dot, value,
                         task.image ? target(b, c) : nullptr, band, task.geometry ? h : nullptr);
            if (!task.geometry) continue;
            for (int d = 0; d < D; ++d)
                for (int i = 0; i < count; ++i) x_bar[d][i] += value[i] * h[d][i];
            if (call.image_dot.data) {
                jet_block(view, cells, channel_of(call.image_dot, b, c), Real(0), slope);
                for (int d = 0; d < D; ++d)
                    for (int i = 0; i < count; ++i) x_bar[d][i] += value[i] * slope[d][i];
            }
            if (projective && call.geometry_dot.data) {
                // The motion of a projective map depends on the map itself.
                jet_block(view, cells, channel_of(call.image, b, c), fill, slope);
                for (int d = 0; d < D; ++d)
                    for (int i = 0; i < count; ++i) {
                        const Real share = value[i] * slope[d][i];
                        x_bar[d][i] -= share * bend[i];
                        w_bar[i] -= share * x_dot[d][i] * reciprocal[i];
                    }
            }
        }
    };
    for (int64_t chunk = task.chunk_begin; chunk < task.chunk_end; ++chunk)
        for_each_block(call.lattice, chunk, [&](int64_t begin, int count) {
            cells.position.count = count;
            find_local_index(call.lattice, begin, count, local);
            if (shared_geometry) start(0, begin);
            for (int64_t b = task.batch_begin; b < task.batch_end; ++b) {
                if (!shared_geometry) start(b, begin);
                block(b, begin, count);
                if (task.geometry && !shared_geometry)
                    reduce_block<Real, D>(call, b, chunk, begin, local, cells, x_bar, w_bar);
            }
            if (task.geometry && shared_geometry)
                reduce_block<Real, D>(call, 0, chunk, begin, local, cells, x_bar, w_bar);
        });
}

// A task does one of the two gradients.
template <class Real, int D>
void second(const Call& call, const BackwardTask& task) {
    const Image image = task.sums ? compact(call.image, D) : call.image;
    const View<D> view = view_of<Real, D>(call, image, true);
    if (task.sums) {
        const Sums<Real, D> sums(call, task, view);
        second_task<Real>(call, task, view, [&](int64_t b, int64_t c) { return sums.channel(b, c); });
        sums.round();
        return;
    }
    const auto target = [&](int64_t b, int64_t c) {
        return const_cast<Real*>(channel_of(call.grad_image, b, c).template as<Real>());
    };
    if (task.image)
        for (int64_t b = task.batch_begin;
             b < task.batch_begin + images_of(call.image, task.batch_begin, task.batch_end); ++b)
            for (int64_t c = task.channel_begin; c < task.channel_end; ++c)
                clear_band(view, {task.band_begin, task.band_end, false}, target(b, c));
    second_task<Real>(call, task, view, target);
}

// The moments of the residual of a chunk, where the values hold the target.
template <class Real, int D>
void normal(const Call& call, int64_t batch, int64_t chunk) {
    const View<D> view = view_of<Real, D>(call, call.image, true);
    const bool projective = is_projective(call.plan.kind);
    const int rows = row_count(call.plan);
    double* record = call.partial_sums + (batch * chunk_count(call.lattice) + chunk) * call.record_size;
    Cells<Real, D> cells;
    LocalIndex<Real, D> local;
    ResidualSums<Real, D> sums;
    alignas(64) Real value[block_points], target[block_points], reciprocal[block_points];
    alignas(64) Real slope[D][block_points], row_slope[D + 1][block_points], weight[block_points];
    const int64_t channels = call.image.channels, start = batch * call.values.batch_stride;
    for_each_block(call.lattice, chunk, [&](int64_t begin, int count) {
        cells.position.count = count;
        find_local_index(call.lattice, begin, count, local);
        locate(call, batch, begin, local, cells.position);
        find_cells(view, cells);
        clear(sums, count);
        if (projective) find_reciprocals(projective_map<D>(call, call.geometry, batch), local, count, reciprocal);
        for (int64_t c = 0; c < channels; ++c) {
            const Source source = channel_of(call.image, batch, c);
            pull_block(view, cells, source, fill_of<Real>(call, c), value);
            jet_block(view, cells, source, fill_of<Real>(call, c), slope);
            load_values(call.lattice, call.values, start + c * call.values.channel_stride, begin, count, target);
            for (int i = 0; i < count; ++i) value[i] -= target[i];
            for (int e = 0; e < cells.void_count; ++e) value[cells.void_point[e]] = 0;
            if (projective) to_homogeneous(cells.position, reciprocal, slope, row_slope);
            if (call.weight_channels) {
                const int64_t behind = channels + (call.weight_channels == 1 ? 0 : c);
                load_values(call.lattice, call.values, start + behind * call.values.channel_stride, begin, count,
                            weight);
                weigh(projective ? row_slope : slope, rows, weight, count, value);
            }
            if (cells.position.lost)
                for (int i = 0; i < count; ++i) {
                    value[i] = std::numeric_limits<Real>::quiet_NaN();
                    for (int r = 0; r < rows; ++r) (projective ? row_slope : slope)[r][i] = value[i];
                }
            add_channel<Real, D>(projective ? row_slope : slope, rows, value, count, sums);
        }
        add_normal_moments(local, count, rows, sums, record);
    });
}

// grad_image holds the importance of the winners found so far.
template <class Real, int D>
void winners(const Call& call, int64_t batch, int64_t* winner) {
    const View<D> view = view_of<Real, D>(call, call.grad_image, false);
    Cells<Real, D> cells;
    LocalIndex<Real, D> local;
    alignas(64) Real importance[block_points];
    Real* best = const_cast<Real*>(channel_of(call.grad_image, batch, 0).template as<Real>());
    int64_t* won = winner + batch * call.grad_image.batch_stride;
    for (int64_t i = 0; i < samples_of(view); ++i) won[i] = -1;
    for (int64_t chunk = 0; chunk < chunk_count(call.lattice); ++chunk)
        for_each_block(call.lattice, chunk, [&](int64_t begin, int count) {
            cells.position.count = count;
            if (has_short_rows(call)) find_local_index(call.lattice, begin, count, local);
            locate(call, batch, begin, local, cells.position);
            find_cells(view, cells);
            load_values(call.lattice, call.values, batch * call.values.batch_stride, begin, count, importance);
            offer_block(view, cells, importance, begin, best, won);
        });
}

// Calls visit(real, ndim) with a value of the type that sums are formed in, and the number of axes as a type.
template <int value>
struct Number {
    static constexpr int ndim = value;
};

template <class Visit>
void with_kind(const Call& call, DType dtype, Visit visit) {
    const auto with_ndim = [&](auto real) {
        switch (call.plan.ndim) {
            case 1: return visit(real, Number<1>());
            case 2: return visit(real, Number<2>());
            default: return visit(real, Number<3>());
        }
    };
    if (is_summed_in_double(dtype))
        with_ndim(double());
    else
        with_ndim(float());
}

void pull_any(const Call& call, int64_t batch_begin, int64_t batch_end, int64_t chunk) {
    // A label is chosen by sums of weights, of which equals must come out equal.
    const bool label = call.plan.interpolation[0] == Interpolation::label;
    const bool wide = label || is_summed_in_double(call.image.dtype, call.values.dtype);
    with_kind(call, wide ? DType::f64 : DType::f32, [&](auto real, auto number) {
        pull<decltype(real), decltype(number)::ndim>(call, batch_begin, batch_end, chunk);
    });
}

void gradient_any(const Call& call, int64_t batch, int64_t chunk) {
    with_kind(call, call.image.dtype,
              [&](auto real, auto number) { gradient<decltype(real), decltype(number)::ndim>(call, batch, chunk); });
}

void backward_any(const Call& call, const BackwardTask& task) {
    with_kind(call, task.geometry ? call.image.dtype : call.grad_image.dtype,
              [&](auto real, auto number) { backward<decltype(real), decltype(number)::ndim>(call, task); });
}

void jvp_any(const Call& call, int64_t batch, int64_t chunk) {
    with_kind(call, call.image.dtype,
              [&](auto real, auto number) { jvp<decltype(real), decltype(number)::ndim>(call, batch, chunk); });
}

void second_any(const Call& call, const BackwardTask& task) {
    with_kind(call, call.image.dtype,
              [&](auto real, auto number) { second<decltype(real), decltype(number)::ndim>(call, task); });
}

void normal_any(const Call& call, int64_t batch, int64_t chunk) {
    with_kind(call, call.image.dtype,
              [&](auto real, auto number) { normal<decltype(real), decltype(number)::ndim>(call, batch, chunk); });
}

void winners_any(const Call& call, int64_t batch, int64_t* winner) {
    with_kind(call, call.grad_image.dtype,
              [&](auto real, auto number) { winners<decltype(real), decltype(number)::ndim>(call, batch, winner); });
}

void solve_any(const LinePass& pass, int64_t task, void* scratch) {
    if (pass.dtype == DType::f64)
        solve_strip<double>(pass, task, scratch);
    else
        solve_strip<float>(pass, task, scratch);
}

}  // namespace

const Kernels kernels{pull_any,   gradient_any, backward_any, jvp_any,     second_any,
                      normal_any, winners_any,  solve_any,    resample_any};

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
