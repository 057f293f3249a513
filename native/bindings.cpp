// The Python module: unpack arrays, check what only the arrays know, release the GIL, call.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#if defined(__GLIBCXX__)
#include <cxxabi.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

#include "arrays.hpp"
#include "isa.hpp"
#include "memory.hpp"
#include "pool.hpp"
#include "splines.hpp"
#include "tasks.hpp"

using namespace pullback;
using namespace nb::literals;

namespace {

using PerAxis = std::vector<double>;

void expect(bool condition, const char* message) {
    if (!condition) throw std::invalid_argument(message);
}

// What a call asks for, made once by Python and kept.
struct Request {
    Plan plan{};
    Lattice lattice{};
    std::vector<double> fill;
    bool reversed = false;  // coordinates name the last axis first, in points, displacements and matrices
    bool bfloat16 = false;  // 16-bit unsigned integers stand for bfloat16, which NumPy does not know
};

Border border_of(int code) {
    expect(code >= 0 && code <= static_cast<int>(Border::wrap), "there is no such border");
    return static_cast<Border>(code);
}

Request make_request(const std::vector<int>& interpolation, const PerAxis& parameter, const std::vector<int>& border,
                     bool crop, std::vector<double> fill, int kind, bool computed, double near, double near_in_single,
                     bool reversed, const std::vector<int64_t>& lattice, const PerAxis& scale_in,
                     const PerAxis& offset_in, const PerAxis& scale_out, const PerAxis& offset_out, bool bfloat16) {
    Request request;
    Plan& plan = request.plan;
    plan.ndim = static_cast<int>(interpolation.size());
    const size_t d = interpolation.size();
    expect(d >= 1 && d <= max_ndim && border.size() == d && parameter.size() == d && scale_in.size() == d &&
               offset_in.size() == d && scale_out.size() == d && offset_out.size() == d && lattice.size() == 3 &&
               !fill.empty(),
           "Request: entries do not fit the number of axes");
    for (size_t i = 0; i < d; ++i) {
        plan.interpolation[i] = static_cast<Interpolation>(interpolation[i]);
        const int taps = tap_count(plan.interpolation[i]);
        expect(taps > 0 && taps <= max_taps, "Request: there is no such interpolation");
        plan.parameter[i] = parameter[i];
        plan.border[i] = border_of(border[i]);
        plan.scale_in[i] = scale_in[i];
        plan.offset_in[i] = offset_in[i];
        plan.scale_out[i] = scale_out[i];
        plan.offset_out[i] = offset_out[i];
    }
    plan.crop = crop;
    expect(kind >= 0 && kind <= static_cast<int>(LatticeKind::one_sided), "Request: there is no such kind of lattice");
    plan.kind = static_cast<LatticeKind>(kind);
    plan.computed = computed;
    plan.near = near;
    plan.near_in_single = near_in_single;
    for (const int64_t size : lattice) expect(size >= 0, "Request: a side of the lattice is negative");
    std::copy(lattice.begin(), lattice.end(), request.lattice.size);
    request.fill = std::move(fill);
    request.reversed = reversed;
    request.bfloat16 = bfloat16;
    return request;
}

DType dtype_of(const Array& array) {
    if (!array.dtype) throw nb::type_error("the kernels take no arrays of this dtype");
    return *array.dtype;
}

DType dtype_of(const Request& request, const Array& array) {
    const DType dtype = dtype_of(array);
    return dtype == DType::u16 && request.bfloat16 ? DType::bf16 : dtype;
}

// Whether the samples lie one after the other in memory, the last axis innermost.
bool is_contiguous(const Array& array) {
    int64_t step = 1;
    for (int i = array.ndim - 1; i >= 0; --i) {
        if (array.shape[i] != 1 && array.stride[i] != step) return array.size() == 0;
        step *= array.shape[i];
    }
    return true;
}

void expect_plain(const Array& array, DType dtype, int ndim, const char* message) {
    expect(array.ndim == ndim && dtype_of(array) == dtype && is_contiguous(array), message);
}

bool is_real(DType dtype) { return dtype == DType::f32 || dtype == DType::f64; }

// (batch, channel, *spatial)
Image image_of(const Request& request, const Array& array) {
    const int d = request.plan.ndim;
    expect(array.ndim == 2 + d, "an image must have the axes (batch, channel, *spatial)");
    Image image{};
    image.data = array.data;
    image.dtype = dtype_of(request, array);
    image.batch = array.shape[0];
    image.channels = array.shape[1];
    image.batch_stride = array.stride[0];
    image.channel_stride = array.stride[1];
    for (int i = 0; i < d; ++i) {
        image.size[i] = array.shape[2 + i];
        image.stride[i] = array.stride[2 + i];
        expect(image.size[i] < void_index, "a side of the image is too long");
        expect(image.size[i] > 0 || request.plan.border[i] == Border::constant,
               "an image without samples has none for its border to repeat");
    }
    return image;
}

// The axes of an output lattice among those of an array, `before` of which stand in front of them and `behind` behind:
// the last ones of (z, y, x), of which leading ones of one point may be left out.
template <class Strided>
void read_lattice_axes(const Request& request, const Array& array, int before, int behind, Strided& strided,
                       const char* message) {
    const int given = array.ndim - before - behind;
    expect(given >= 0 && given <= 3, message);
    for (int i = 0; i < 3; ++i) {
        const int axis = before + i - (3 - given);
        expect((axis < before ? 1 : array.shape[axis]) == request.lattice.size[i], message);
        strided.stride[i] = axis < before ? 0 : array.stride[axis];
    }
}

// (batch, channel, *lattice) or (batch, channel, *lattice, component)
Values values_of(const Request& request, const Array& array, int64_t batch, int64_t channels, bool components) {
    constexpr const char* message = "values must have the axes (batch, channel, *lattice) of the call";
    Values values{};
    read_lattice_axes(request, array, 2, components, values, message);
    expect(array.shape[0] == batch && array.shape[1] == channels,
           "values do not fit the batch and the channels of the call");
    values.data = array.data;
    values.dtype = dtype_of(request, array);
    values.batch_stride = array.stride[0];
    values.channel_stride = array.stride[1];
    if (components) {
        expect(array.shape[array.ndim - 1] == request.plan.ndim, "a gradient has one component a coordinate");
        values.component_stride = array.stride[array.ndim - 1];
    }
    return values;
}

// Components of points, last one first.
template <class Strided>
void reverse(Strided& array, int components) {
    array.data = static_cast<char*>(array.data) + (components - 1) * array.component_stride * size_of(array.dtype);
    array.component_stride = -array.component_stride;
}

// The linear part of a matrix, last row and last column first.
void reverse_matrix(Geometry& matrix, int d) {
    const int64_t rows = (d - 1) * matrix.row_stride, columns = (d - 1) * matrix.component_stride;
    matrix.data = static_cast<char*>(matrix.data) + (rows + columns) * size_of(matrix.dtype);
    matrix.last_row -= rows;
    matrix.last_column -= columns;
    matrix.row_stride = -matrix.row_stride;
    matrix.component_stride = -matrix.component_stride;
}

// given, displacement: (batch, z, y, x, d); affine: (batch, d, d + 1); projective: (batch, d + 1, d + 1); free-form:
// (batch, *coefficients, d)
Geometry geometry_of(const Request& request, const Array& array) {
    const int d = request.plan.ndim;
    const LatticeKind kind = request.plan.kind;
    const bool matrix = is_matrix(kind);
    const int axes = matrix ? 1 : is_field(kind) ? array.ndim - 2 : d;  // between the first and the last
    expect(array.ndim >= 2 && array.ndim == axes + 2 && array.shape[axes + 1] == (matrix ? d + 1 : d),
           matrix ? "matrices must have the axes (batch, d, d + 1), or (batch, d + 1, d + 1) where they are projective"
                  : "points must have the axes (batch, *lattice, d), coefficients (batch, *size, d)");
    Geometry geometry{};
    geometry.data = array.data;
    geometry.dtype = dtype_of(request, array);
    expect(is_real(geometry.dtype), "a geometry must be float32 or float64");
    geometry.batch = array.shape[0];
    geometry.batch_stride = array.stride[0];
    geometry.component_stride = array.stride[axes + 1];
    if (matrix) {
        expect(array.shape[1] == row_count(request.plan),
               "a matrix has a row for each axis, and one more where it is projective");
        geometry.row_stride = array.stride[1];
        geometry.last_row = d * geometry.row_stride;
        geometry.last_column = d * geometry.component_stride;
        if (request.reversed) reverse_matrix(geometry, d);
        return geometry;
    }
    if (is_field(kind)) read_lattice_axes(request, array, 1, 1, geometry, "points do not fit the lattice of the call");
    for (int i = 0; i < axes && !is_field(kind); ++i) {
        geometry.size[i] = array.shape[1 + i];
        geometry.stride[i] = array.stride[1 + i];
        expect(geometry.size[i] >= 4 && geometry.size[i] - 3 <= request.lattice.size[3 - d + i],
               "an axis must have 4 coefficients or more, and at most 3 more than pixels");
    }
    if (request.reversed) reverse(geometry, d);
    return geometry;
}

// What has an entry for each of those of the call's geometry: its gradient, or its motion.
Geometry alongside(const Request& request, const Array& array, const Geometry& geometry) {
    const Geometry other = geometry_of(request, array);
    expect(other.batch == geometry.batch && std::equal(other.size, other.size + max_ndim, geometry.size),
           "a geometry's gradient or motion does not fit the geometry");
    return other;
}

// Axes of one entry have no step, whatever is written of it.
bool same_layout(const Image& one, const Image& other, int ndim) {
    bool same = one.dtype == other.dtype && one.batch == other.batch && one.channels == other.channels &&
                (one.batch == 1 || one.batch_stride == other.batch_stride) &&
                (one.channels == 1 || one.channel_stride == other.channel_stride);
    for (int axis = 0; axis < ndim; ++axis) {
        same = same && one.size[axis] == other.size[axis] &&
               (one.size[axis] == 1 || one.stride[axis] == other.stride[axis]);
    }
    return same;
}

Call make_call(const Request& request, const Image& image, const Geometry& geometry) {
    Call call{};
    call.plan = request.plan;
    call.lattice = request.lattice;
    call.image = image;
    call.geometry = geometry;
    call.batch = image.batch == 1 ? geometry.batch : image.batch;
    expect((image.batch == 1 || image.batch == call.batch) && (geometry.batch == 1 || geometry.batch == call.batch),
           "the batches of image and geometry do not broadcast");
    expect(request.fill.size() == 1 || static_cast<int64_t>(request.fill.size()) == image.channels,
           "fill must hold one value or one a channel");
    call.fill = request.fill.data();
    call.fill_count = static_cast<int64_t>(request.fill.size());
    return call;
}

// An array that a call is about to fill.
void expect_writes(const Array& array) {
    int64_t reach = 1;
    for (int i = 0; i < array.ndim; ++i) {
        reach += (array.shape[i] - 1) * array.stride[i];
        if (array.stride[i] < 0) return;
    }
    const int64_t samples = array.size();
    if (reach == samples) prefer_large_pages(array.data, samples * size_of(dtype_of(array)));
}

// Calls run() without the GIL. A signal whose handler raises stops it: what it raised goes on from here.
thread_local PyThreadState* computing = nullptr;

// Takes the GIL back. Where the interpreter is about to end, that ends this thread by unwinding its stack, which no
// frame of ours may survive: such a thread waits for the end of the process.
void take_gil() {
    PyThreadState* const state = computing;
    computing = nullptr;
#if defined(__GLIBCXX__)
    try {
        PyEval_RestoreThread(state);
    } catch (const abi::__forced_unwind&) {
        for (;;) pause();
    }
#else
    PyEval_RestoreThread(state);
#endif
}

bool has_interrupt() {
#if defined(__linux__)
    if (syscall(SYS_gettid) != getpid()) return false;  // handlers run in the main thread alone
#endif
    if (!computing) return false;
    take_gil();
    const bool raised = PyErr_CheckSignals() != 0;
    computing = PyEval_SaveThread();
    return raised;
}

template <class Run>
void without_gil(Run run) {
    computing = PyEval_SaveThread();
    try {
        run();
    } catch (const Interrupted&) {
        take_gil();
        throw nb::python_error();
    } catch (...) {
        take_gil();
        throw;
    }
    take_gil();
}

bool py_pull(const Request& request, const Input& image, const Input& geometry, const Output& out) {
    Call call = make_call(request, image_of(request, image), geometry_of(request, geometry));
    call.values = values_of(request, out, call.batch, call.image.channels, false);
    int lost = 0;
    call.lost = &lost;
    expect_writes(out);
    without_gil([&] { pull(call); });
    return lost != 0;
}

void py_gradient(const Request& request, const Input& image, const Input& geometry, const Output& out) {
    Call call = make_call(request, image_of(request, image), geometry_of(request, geometry));
    call.values = values_of(request, out, call.batch, call.image.channels, true);
    if (request.reversed) reverse(call.values, request.plan.ndim);
    without_gil([&] { gradient(call); });
}

void py_push(const Request& request, const Input& values, const Input& geometry, const Output& grad_image) {
    const Image target = image_of(request, grad_image);
    expect(is_real(target.dtype), "values are scattered into float32 or float64");
    Call call = make_call(request, target, geometry_of(request, geometry));
    call.grad_image = target;
    call.values = values_of(request, values, call.batch, target.channels, false);
    expect_writes(grad_image);
    without_gil([&] { backward(call); });
}

void py_vjp(const Request& request, const Input& image, const Input& geometry, const Input& cotangent,
            const std::optional<Output>& grad_image, const std::optional<Output>& grad_geometry) {
    Call call = make_call(request, image_of(request, image), geometry_of(request, geometry));
    call.values = values_of(request, cotangent, call.batch, call.image.channels, false);
    // what the image's samples are summed in
    const DType real = is_summed_in_double(call.image.dtype) ? DType::f64 : DType::f32;
    if (grad_image) {
        expect_writes(*grad_image);
        call.grad_image = image_of(request, *grad_image);
        expect(call.grad_image.dtype == real && call.grad_image.batch == call.image.batch &&
                   call.grad_image.channels == call.image.channels &&
                   std::equal(call.image.size, call.image.size + request.plan.ndim, call.grad_image.size),
               "the image's gradient does not fit the image");
    }
    if (grad_geometry) {
        expect_writes(*grad_geometry);
        call.grad_geometry = alongside(request, *grad_geometry, call.geometry);
    }
    without_gil([&] { backward(call); });
}

// The call of jvp and of the second order: real images of one layout, and geometries of one shape.
Call make_moving_call(const Request& request, const Input& image, const Input& geometry,
                      const std::optional<Input>& image_dot, const std::optional<Input>& geometry_dot) {
    Call call = make_call(request, image_of(request, image), geometry_of(request, geometry));
    expect(is_real(call.image.dtype), "images that move must be float32 or float64");
    if (image_dot) {
        call.image_dot = image_of(request, *image_dot);
        expect(same_layout(call.image_dot, call.image, request.plan.ndim), "an image must move in its own layout");
    }
    if (geometry_dot) call.geometry_dot = alongside(request, *geometry_dot, call.geometry);
    return call;
}

void py_jvp(const Request& request, const Input& image, const Input& geometry, const std::optional<Input>& image_dot,
            const std::optional<Input>& geometry_dot, const Output& out) {
    Call call = make_moving_call(request, image, geometry, image_dot, geometry_dot);
    call.values = values_of(request, out, call.batch, call.image.channels, false);
    without_gil([&] { jvp(call); });
}

void py_second(const Request& request, const Input& image, const Input& geometry, const std::optional<Input>& image_dot,
               const std::optional<Input>& geometry_dot, const Input& cotangent,
               const std::optional<Output>& grad_image, const std::optional<Output>& grad_geometry) {
    Call call = make_moving_call(request, image, geometry, image_dot, geometry_dot);
    call.values = values_of(request, cotangent, call.batch, call.image.channels, false);
    if (grad_image) {
        call.grad_image = image_of(request, *grad_image);
        expect(same_layout(call.grad_image, call.image, request.plan.ndim), "the image's gradient has another layout");
    }
    if (grad_geometry) {
        call.grad_geometry = alongside(request, *grad_geometry, call.geometry);
    }
    without_gil([&] { second(call); });
}

void py_normal(const Request& request, const Input& image, const Input& geometry, const Input& target,
               const Output& record) {
    Call call = make_call(request, image_of(request, image), geometry_of(request, geometry));
    expect(is_matrix(request.plan.kind), "normal equations are those of matrices");
    const int64_t channels = call.image.channels;
    call.weight_channels = target.ndim > 1 ? target.shape[1] - channels : 0;
    expect(call.weight_channels == 0 || call.weight_channels == 1 || call.weight_channels == channels,
           "behind the channels of a target, there are weights for all of them or for each");
    call.values = values_of(request, target, call.batch, channels + call.weight_channels, false);
    expect_plain(record, DType::f64, 2, "a record must be of float64, (batch, moments), in C order");
    expect(record.shape[0] == call.batch && record.shape[1] == normal_record_size(request.plan),
           "the record does not fit the call");
    without_gil([&] { normal(call, static_cast<double*>(record.data)); });
}

void py_winners(const Request& request, const Input& importance, const Input& geometry, const Output& best,
                const Output& winner) {
    const Image target = image_of(request, best);
    const Image index = image_of(request, winner);
    expect(is_real(target.dtype) && target.channels == 1, "scratch must be float32 or float64, of one channel");
    expect(index.dtype == DType::i64 && index.batch == target.batch && index.channels == 1 &&
               std::equal(target.size, target.size + request.plan.ndim, index.size) &&
               index.batch_stride == target.batch_stride &&
               std::equal(target.stride, target.stride + request.plan.ndim, index.stride),
           "winners and scratch must have the same shape and strides");
    Call call = make_call(request, target, geometry_of(request, geometry));
    expect(call.batch == target.batch, "every batch entry has winners of its own");
    call.grad_image = target;
    call.values = values_of(request, importance, call.batch, 1, false);
    without_gil([&] { winners(call, static_cast<int64_t*>(index.data)); });
}

// A contiguous array (outer, n, inner).
void py_solve(const Output& data, int order, int border, bool adjoint) {
    expect(is_real(dtype_of(data)), "coefficients are float32 or float64");
    expect_plain(data, dtype_of(data), 3, "coefficients must have the axes (outer, n, inner), in C order");
    expect(order >= 2 && order <= 5, "splines have an order of 2 to 5");
    const Border rule = border_of(border);
    LinePass pass{};
    pass.data = data.data;
    pass.dtype = dtype_of(data);
    pass.outer = data.shape[0];
    pass.n = data.shape[1];
    pass.inner = data.shape[2];
    without_gil([&] {
        if (pass.n == 0) return;
        const LineFilter filter = line_filter(order, rule, pass.n, adjoint);
        pass.filter = &filter;
        solve(pass);
    });
}

// A table of weights for an axis, whose taps with a weight lie on it.
AxisTable table_of(const Array& first, const Array& weight, int64_t in_size, int64_t out_size) {
    expect_plain(first, DType::i64, 1, "a table's first samples must be int64, (n), in C order");
    expect_plain(weight, DType::f64, 2, "a table's weights must be float64, (n, taps), in C order");
    expect(first.shape[0] == out_size && weight.shape[0] == out_size,
           "the table must have a row for each sample of the output");
    const AxisTable table{in_size, out_size, static_cast<const int64_t*>(first.data),
                          static_cast<const double*>(weight.data), weight.shape[1]};
    for (int64_t i = 0; i < out_size; ++i)
        for (int64_t t = 0; t < table.taps; ++t)
            expect(table.weight[i * table.taps + t] == 0 || (table.first[i] >= -t && table.first[i] < in_size - t),
                   "the table reaches beyond the image");
    return table;
}

// Arrays (outer, axis, inner) whose inner samples lie side by side.
void py_resample(const Input& image, const Input& first, const Input& weight, const Output& out) {
    expect(image.ndim == 3 && out.ndim == 3, "arrays must have the axes (outer, axis, inner)");
    ResamplePass pass{};
    pass.table = table_of(first, weight, image.shape[1], out.shape[1]);
    pass.in = image.data;
    pass.out = out.data;
    pass.in_dtype = dtype_of(image);
    pass.out_dtype = dtype_of(out);
    expect(is_real(pass.in_dtype) || is_real(pass.out_dtype) || pass.in_dtype == pass.out_dtype,
           "one of image and out must be float32 or float64, or both of one dtype");
    pass.inner = image.shape[2];
    pass.in_outer = image.stride[0];
    pass.out_outer = out.stride[0];
    pass.in_step = image.stride[1];
    pass.out_step = out.stride[1];
    const bool side_by_side = pass.inner <= 1 || (image.stride[2] == 1 && out.stride[2] == 1);
    expect(side_by_side && image.shape[0] == out.shape[0] && image.shape[2] == out.shape[2],
           "the outer and inner axes of image and out must be alike, the inner one contiguous");
    without_gil([&] {
        if (out.size() > 0) resample(pass, image.shape[0]);
    });
}

std::vector<std::string> py_available_isas() {
    std::vector<std::string> names;
    for (const char* const* name = available_isas(); *name; ++name) names.emplace_back(*name);
    return names;
}

void py_set_isa(const std::string& name) {
    if (set_isa(name.c_str())) return;
    std::string known;
    for (const std::string& isa : py_available_isas()) known += (known.empty() ? "" : ", ") + isa;
    throw nb::value_error(
        ("PULLBACK_ISA: '" + name + "' is not available on this machine; choose one of " + known).c_str());
}

void py_set_num_threads(int count) {
    expect(count > 0, "a call needs a thread");
    set_thread_count(count);
}

}  // namespace

NB_MODULE(_native, m) {
    make_pool();
    set_stop_question(has_interrupt);
    nb::set_leak_warnings(false);  // requests are cached for the life of the process
    m.doc() = "The compiled kernels. Arrays come in canonical form, as pullback.backends lays them out.";
    nb::class_<Request>(m, "Request", "The frozen plan of a call, in the kernels' terms.")
        .def(
            "__init__",
            [](Request* self, const std::vector<int>& interpolation, const PerAxis& parameter,
               const std::vector<int>& border, bool crop, const std::vector<double>& fill, int kind, bool computed,
               double near, double near_in_single, bool reversed, const std::vector<int64_t>& lattice,
               const PerAxis& scale_in, const PerAxis& offset_in, const PerAxis& scale_out, const PerAxis& offset_out,
               bool bfloat16) {
                new (self) Request(make_request(interpolation, parameter, border, crop, fill, kind, computed, near,
                                                near_in_single, reversed, lattice, scale_in, offset_in, scale_out,
                                                offset_out, bfloat16));
            },
            "interpolation"_a, "parameter"_a, "border"_a, "crop"_a, "fill"_a, "kind"_a, "computed"_a, "near"_a,
            "near_in_single"_a, "reversed"_a, "lattice"_a, "scale_in"_a, "offset_in"_a, "scale_out"_a, "offset_out"_a,
            "bfloat16"_a);
    m.def("pull", &py_pull, "request"_a, "image"_a, "geometry"_a, "out"_a,
          "Write the values of `image` at the points of `geometry` to `out`; return whether parameters are lost.");
    m.def("gradient", &py_gradient, "request"_a, "image"_a, "geometry"_a, "out"_a,
          "Write the derivative of the values with respect to the coordinates to `out`.");
    m.def("push", &py_push, "request"_a, "values"_a, "geometry"_a, "grad_image"_a,
          "Write the transpose of `pull`, applied to `values`, to `grad_image`.");
    m.def("vjp", &py_vjp, "request"_a, "image"_a, "geometry"_a, "cotangent"_a, "grad_image"_a.none(),
          "grad_geometry"_a.none(),
          "Write the gradients in the image and in the geometry to `grad_image` and `grad_geometry`.");
    m.def("jvp", &py_jvp, "request"_a, "image"_a, "geometry"_a, "image_dot"_a.none(), "geometry_dot"_a.none(), "out"_a,
          "Write how the values move with the image and the geometry.");
    m.def("second", &py_second, "request"_a, "image"_a, "geometry"_a, "image_dot"_a.none(), "geometry_dot"_a.none(),
          "cotangent"_a, "grad_image"_a.none(), "grad_geometry"_a.none(),
          "Write the gradients of the inner product of `cotangent` and the result of jvp.");
    m.def("normal", &py_normal, "request"_a, "image"_a, "geometry"_a, "target"_a, "record"_a,
          "Write the moments of the residual of each batch entry, see normal.hpp.");
    m.def("winners", &py_winners, "request"_a, "importance"_a, "geometry"_a, "best"_a, "winner"_a,
          "Write to `winner` which point reaches each sample with the largest importance, or -1; `best` is scratch.");
    m.def("solve", &py_solve, "data"_a, "order"_a, "border"_a, "adjoint"_a,
          "Make samples along the middle axis into spline coefficients, in place; or the transpose of that.");
    m.def("resample", &py_resample, "image"_a, "first"_a, "weight"_a, "out"_a,
          "Write weighted sums over the samples first[i] + t of the middle axis to `out`.");
    m.def("available_isas", &py_available_isas, "Instruction sets compiled in and supported here, best last.");
    m.def("isa", &active_isa, "The instruction set in use.");
    m.def("set_isa", &py_set_isa, "name"_a, "Choose the instruction set for all further calls.");
    m.def("num_threads", &thread_count, "How many threads a call may use.");
    m.def("set_num_threads", &py_set_num_threads, "count"_a, "Set how many threads a call may use.");
    nb::dict dtypes;
    for (int code = 0; code < dtype_count; ++code) dtypes[dtype_names[code]] = code;
    m.attr("DTYPES") = dtypes;  // the codes of dtypes in arrays that are given as tuples

    if (const char* name = std::getenv("PULLBACK_ISA"))
        if (*name) py_set_isa(name);
}
