// The Python module: unpack arrays, check what only the arrays know, release the GIL, call.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "isa.hpp"
#include "memory.hpp"
#include "pool.hpp"
#include "splines.hpp"
#include "tasks.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace pullback;

namespace {

using Input = nb::ndarray<nb::ro, nb::device::cpu>;
using Output = nb::ndarray<nb::device::cpu>;
using PerAxis = std::vector<double>;

// What a call asks for, made once by Python and kept.
struct Request {
    Plan plan{};
    Lattice lattice{};
    std::vector<double> fill;
    bool reversed = false;  // coordinates name the last axis first, in points, displacements and matrices
    bool bfloat16 = false;  // 16-bit unsigned integers stand for bfloat16, which NumPy does not know
};

Request make_request(const std::vector<int>& interpolation, const PerAxis& parameter, const std::vector<int>& border,
                     bool crop, std::vector<double> fill, int kind, bool reversed, const std::vector<int64_t>& lattice,
                     const PerAxis& scale_in, const PerAxis& offset_in, const PerAxis& scale_out,
                     const PerAxis& offset_out, bool bfloat16) {
    Request request;
    Plan& plan = request.plan;
    plan.ndim = static_cast<int>(interpolation.size());
    const size_t d = interpolation.size();
    if (d < 1 || d > max_ndim || border.size() != d || parameter.size() != d || scale_in.size() != d ||
        offset_in.size() != d || scale_out.size() != d || offset_out.size() != d || lattice.size() != 3 || fill.empty())
        throw std::invalid_argument("Request: entries do not fit the number of axes");
    for (size_t i = 0; i < d; ++i) {
        plan.interpolation[i] = static_cast<Interpolation>(interpolation[i]);
        plan.parameter[i] = parameter[i];
        plan.border[i] = static_cast<Border>(border[i]);
        plan.scale_in[i] = scale_in[i];
        plan.offset_in[i] = offset_in[i];
        plan.scale_out[i] = scale_out[i];
        plan.offset_out[i] = offset_out[i];
    }
    plan.crop = crop;
    plan.kind = static_cast<LatticeKind>(kind);
    std::copy(lattice.begin(), lattice.end(), request.lattice.size);
    request.fill = std::move(fill);
    request.reversed = reversed;
    request.bfloat16 = bfloat16;
    return request;
}

DType dtype_of(const Request& request, const nb::dlpack::dtype& dtype) {
    if (dtype == nb::dtype<bool>()) return DType::boolean;
    if (dtype == nb::dtype<uint8_t>()) return DType::u8;
    if (dtype == nb::dtype<int8_t>()) return DType::i8;
    if (dtype == nb::dtype<uint16_t>()) return request.bfloat16 ? DType::bf16 : DType::u16;
    if (dtype == nb::dtype<int16_t>()) return DType::i16;
    if (dtype == nb::dtype<uint32_t>()) return DType::u32;
    if (dtype == nb::dtype<int32_t>()) return DType::i32;
    if (dtype == nb::dtype<uint64_t>()) return DType::u64;
    if (dtype == nb::dtype<int64_t>()) return DType::i64;
    if (dtype == nb::dtype<float>()) return DType::f32;
    if (dtype == nb::dtype<double>()) return DType::f64;
    if (dtype.bits == 16 && dtype.code == static_cast<uint8_t>(nb::dlpack::dtype_code::Float)) return DType::f16;
    if (dtype.bits == 16 && dtype.code == static_cast<uint8_t>(nb::dlpack::dtype_code::Bfloat)) return DType::bf16;
    throw nb::type_error("the kernels take no arrays of this dtype");
}

void expect(bool condition, const char* message) {
    if (!condition) throw std::invalid_argument(message);
}

bool is_real(DType dtype) { return dtype == DType::f32 || dtype == DType::f64; }

// (batch, channel, *spatial)
template <class Array>
Image image_of(const Request& request, const Array& array) {
    const int d = request.plan.ndim;
    expect(static_cast<int>(array.ndim()) == 2 + d, "an image must have the axes (batch, channel, *spatial)");
    Image image{};
    image.data = const_cast<void*>(static_cast<const void*>(array.data()));
    image.dtype = dtype_of(request, array.dtype());
    image.batch = static_cast<int64_t>(array.shape(0));
    image.channels = static_cast<int64_t>(array.shape(1));
    image.batch_stride = array.stride(0);
    image.channel_stride = array.stride(1);
    for (int i = 0; i < d; ++i) {
        image.size[i] = static_cast<int64_t>(array.shape(2 + i));
        image.stride[i] = array.stride(2 + i);
        expect(image.size[i] < void_index, "a side of the image is too long");
    }
    return image;
}

// (batch, channel, z, y, x) or (batch, channel, z, y, x, component)
template <class Array>
Values values_of(const Request& request, const Array& array, int64_t batch, int64_t channels, bool components) {
    expect(static_cast<int>(array.ndim()) == 5 + components, "values must have the axes (batch, channel, z, y, x)");
    expect(static_cast<int64_t>(array.shape(0)) == batch && static_cast<int64_t>(array.shape(1)) == channels,
           "values do not fit the batch and the channels of the call");
    Values values{};
    values.data = const_cast<void*>(static_cast<const void*>(array.data()));
    values.dtype = dtype_of(request, array.dtype());
    values.batch_stride = array.stride(0);
    values.channel_stride = array.stride(1);
    for (int i = 0; i < 3; ++i) {
        expect(static_cast<int64_t>(array.shape(2 + i)) == request.lattice.size[i],
               "values do not fit the lattice of the call");
        values.stride[i] = array.stride(2 + i);
    }
    if (components) {
        expect(static_cast<int>(array.shape(5)) == request.plan.ndim, "a gradient has one component a coordinate");
        values.component_stride = array.stride(5);
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
template <class Array>
Geometry geometry_of(const Request& request, const Array& array) {
    const int d = request.plan.ndim;
    const LatticeKind kind = request.plan.kind;
    Geometry geometry{};
    geometry.data = const_cast<void*>(static_cast<const void*>(array.data()));
    geometry.dtype = dtype_of(request, array.dtype());
    expect(is_real(geometry.dtype), "a geometry must be float32 or float64");
    geometry.batch = static_cast<int64_t>(array.shape(0));
    geometry.batch_stride = array.stride(0);
    geometry.component_stride = array.stride(array.ndim() - 1);
    if (is_matrix(kind)) {
        const int rows = kind == LatticeKind::affine ? d : d + 1;
        expect(
            array.ndim() == 3 && static_cast<int>(array.shape(1)) == rows && static_cast<int>(array.shape(2)) == d + 1,
            "matrices must have the axes (batch, d, d + 1), or (batch, d + 1, d + 1) where they are projective");
        geometry.row_stride = array.stride(1);
        geometry.last_row = d * geometry.row_stride;
        geometry.last_column = d * geometry.component_stride;
        if (request.reversed) reverse_matrix(geometry, d);
        return geometry;
    }
    const int axes = is_field(kind) ? 3 : d;
    expect(static_cast<int>(array.ndim()) == axes + 2 && static_cast<int>(array.shape(1 + axes)) == d,
           "points must have the axes (batch, z, y, x, d), coefficients (batch, *size, d)");
    for (int i = 0; i < axes; ++i) {
        const int64_t size = static_cast<int64_t>(array.shape(1 + i));
        geometry.stride[i] = array.stride(1 + i);
        if (is_field(kind)) {
            expect(size == request.lattice.size[i], "points do not fit the lattice of the call");
        } else {
            geometry.size[i] = size;
            expect(size >= 4 && size - 3 <= request.lattice.size[3 - d + i],
                   "an axis must have 4 coefficients or more, and at most 3 more than pixels");
        }
    }
    if (request.reversed) reverse(geometry, d);
    return geometry;
}

bool same_layout(const Image& one, const Image& other, int ndim) {
    return one.dtype == other.dtype && one.batch == other.batch && one.channels == other.channels &&
           one.batch_stride == other.batch_stride && one.channel_stride == other.channel_stride &&
           std::equal(one.size, one.size + ndim, other.size) && std::equal(one.stride, one.stride + ndim, other.stride);
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
void expect_writes(const Output& array) {
    int64_t samples = 1, reach = 1;
    for (size_t i = 0; i < array.ndim(); ++i) {
        samples *= static_cast<int64_t>(array.shape(i));
        reach += (static_cast<int64_t>(array.shape(i)) - 1) * array.stride(i);
        if (array.stride(i) < 0) return;
    }
    if (reach == samples) prefer_large_pages(array.data(), samples * static_cast<int64_t>(array.itemsize()));
}

void py_pull(const Request& request, const Input& image, const Input& geometry, const Output& out) {
    Call call = make_call(request, image_of(request, image), geometry_of(request, geometry));
    call.values = values_of(request, out, call.batch, call.image.channels, false);
    expect_writes(out);
    nb::gil_scoped_release release;
    pull(call);
}

void py_gradient(const Request& request, const Input& image, const Input& geometry, const Output& out) {
    Call call = make_call(request, image_of(request, image), geometry_of(request, geometry));
    call.values = values_of(request, out, call.batch, call.image.channels, true);
    if (request.reversed) reverse(call.values, request.plan.ndim);
    nb::gil_scoped_release release;
    gradient(call);
}

void py_push(const Request& request, const Input& values, const Input& geometry, const Output& grad_image) {
    const Image target = image_of(request, grad_image);
    expect(is_real(target.dtype), "values are scattered into float32 or float64");
    Call call = make_call(request, target, geometry_of(request, geometry));
    call.grad_image = target;
    call.values = values_of(request, values, call.batch, target.channels, false);
    expect_writes(grad_image);
    nb::gil_scoped_release release;
    backward(call);
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
        call.grad_geometry = geometry_of(request, *grad_geometry);
        expect(call.grad_geometry.batch == call.geometry.batch, "the geometry's gradient does not fit the geometry");
    }
    nb::gil_scoped_release release;
    backward(call);
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
    if (geometry_dot) {
        call.geometry_dot = geometry_of(request, *geometry_dot);
        expect(call.geometry_dot.batch == call.geometry.batch, "a geometry's motion does not fit the geometry");
    }
    return call;
}

void py_jvp(const Request& request, const Input& image, const Input& geometry, const std::optional<Input>& image_dot,
            const std::optional<Input>& geometry_dot, const Output& out) {
    Call call = make_moving_call(request, image, geometry, image_dot, geometry_dot);
    call.values = values_of(request, out, call.batch, call.image.channels, false);
    nb::gil_scoped_release release;
    jvp(call);
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
        call.grad_geometry = geometry_of(request, *grad_geometry);
        expect(call.grad_geometry.batch == call.geometry.batch, "the geometry's gradient does not fit the geometry");
    }
    nb::gil_scoped_release release;
    second(call);
}

void py_normal(const Request& request, const Input& image, const Input& geometry, const Input& target,
               const nb::ndarray<double, nb::device::cpu, nb::c_contig, nb::ndim<2>>& record) {
    Call call = make_call(request, image_of(request, image), geometry_of(request, geometry));
    expect(is_matrix(request.plan.kind), "normal equations are those of matrices");
    call.values = values_of(request, target, call.batch, call.image.channels, false);
    expect(static_cast<int64_t>(record.shape(0)) == call.batch &&
               static_cast<int64_t>(record.shape(1)) == normal_record_size(request.plan),
           "the record does not fit the call");
    nb::gil_scoped_release release;
    normal(call, record.data());
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
    nb::gil_scoped_release release;
    winners(call, static_cast<int64_t*>(index.data));
}

// A contiguous array (outer, n, inner).
void py_solve(const nb::ndarray<nb::device::cpu, nb::c_contig, nb::ndim<3>>& data, int order, int border,
              bool adjoint) {
    const bool is_double = data.dtype() == nb::dtype<double>();
    expect(is_double || data.dtype() == nb::dtype<float>(), "coefficients are float32 or float64");
    expect(order >= 2 && order <= 5, "splines have an order of 2 to 5");
    LinePass pass{};
    pass.data = data.data();
    pass.dtype = is_double ? DType::f64 : DType::f32;
    pass.outer = static_cast<int64_t>(data.shape(0));
    pass.n = static_cast<int64_t>(data.shape(1));
    pass.inner = static_cast<int64_t>(data.shape(2));
    nb::gil_scoped_release release;
    if (pass.n == 0) return;
    const LineFilter filter = line_filter(order, static_cast<Border>(border), pass.n, adjoint);
    pass.filter = &filter;
    solve(pass);
}

// Arrays (outer, axis, inner) whose inner samples lie side by side.
void py_resample(const Input& image, const nb::ndarray<nb::ro, const int64_t, nb::c_contig, nb::ndim<1>>& first,
                 const nb::ndarray<nb::ro, const double, nb::c_contig, nb::ndim<2>>& weight, const Output& out) {
    expect(image.ndim() == 3 && out.ndim() == 3, "arrays must have the axes (outer, axis, inner)");
    const Request any{};
    ResamplePass pass{};
    pass.table.in_size = static_cast<int64_t>(image.shape(1));
    pass.table.out_size = static_cast<int64_t>(out.shape(1));
    pass.table.taps = static_cast<int64_t>(weight.shape(1));
    pass.table.first = first.data();
    pass.table.weight = weight.data();
    pass.in = image.data();
    pass.out = out.data();
    pass.in_dtype = dtype_of(any, image.dtype());
    pass.out_dtype = dtype_of(any, out.dtype());
    const bool is_real = pass.in_dtype == DType::f32 || pass.in_dtype == DType::f64;
    const bool to_real = pass.out_dtype == DType::f32 || pass.out_dtype == DType::f64;
    expect(is_real || to_real || pass.in_dtype == pass.out_dtype,
           "one of image and out must be float32 or float64, or both of one dtype");
    pass.inner = static_cast<int64_t>(image.shape(2));
    pass.in_outer = image.stride(0);
    pass.out_outer = out.stride(0);
    pass.in_step = image.stride(1);
    pass.out_step = out.stride(1);
    const bool side_by_side = pass.inner <= 1 || (image.stride(2) == 1 && out.stride(2) == 1);
    expect(side_by_side && image.shape(0) == out.shape(0) && image.shape(2) == out.shape(2),
           "the outer and inner axes of image and out must be alike, the inner one contiguous");
    expect(static_cast<int64_t>(first.shape(0)) == pass.table.out_size &&
               static_cast<int64_t>(weight.shape(0)) == pass.table.out_size,
           "the table must have a row for each sample of the output");
    for (int64_t i = 0; i < pass.table.out_size; ++i)
        for (int64_t t = 0; t < pass.table.taps; ++t)
            expect(pass.table.weight[i * pass.table.taps + t] == 0 ||
                       (pass.table.first[i] + t >= 0 && pass.table.first[i] + t < pass.table.in_size),
                   "the table reaches beyond the image");
    nb::gil_scoped_release release;
    if (out.size() > 0) resample(pass, static_cast<int64_t>(image.shape(0)));
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

}  // namespace

NB_MODULE(_native, m) {
    nb::set_leak_warnings(false);  // requests are cached for the life of the process
    m.doc() = "The compiled kernels. Arrays come in canonical form, as pullback.backends lays them out.";
    nb::class_<Request>(m, "Request", "The frozen plan of a call, in the kernels' terms.")
        .def(
            "__init__",
            [](Request* self, const std::vector<int>& interpolation, const PerAxis& parameter,
               const std::vector<int>& border, bool crop, const std::vector<double>& fill, int kind, bool reversed,
               const std::vector<int64_t>& lattice, const PerAxis& scale_in, const PerAxis& offset_in,
               const PerAxis& scale_out, const PerAxis& offset_out, bool bfloat16) {
                new (self) Request(make_request(interpolation, parameter, border, crop, fill, kind, reversed, lattice,
                                                scale_in, offset_in, scale_out, offset_out, bfloat16));
            },
            "interpolation"_a, "parameter"_a, "border"_a, "crop"_a, "fill"_a, "kind"_a, "reversed"_a, "lattice"_a,
            "scale_in"_a, "offset_in"_a, "scale_out"_a, "offset_out"_a, "bfloat16"_a);
    m.def("pull", &py_pull, "request"_a, "image"_a.noconvert(), "geometry"_a.noconvert(), "out"_a.noconvert(),
          "Write the values of `image` at the points of `geometry` to `out`.");
    m.def("gradient", &py_gradient, "request"_a, "image"_a.noconvert(), "geometry"_a.noconvert(), "out"_a.noconvert(),
          "Write the derivative of the values with respect to the coordinates to `out`.");
    m.def("push", &py_push, "request"_a, "values"_a.noconvert(), "geometry"_a.noconvert(), "grad_image"_a.noconvert(),
          "Write the transpose of `pull`, applied to `values`, to `grad_image`.");
    m.def("vjp", &py_vjp, "request"_a, "image"_a.noconvert(), "geometry"_a.noconvert(), "cotangent"_a.noconvert(),
          "grad_image"_a.none(), "grad_geometry"_a.none(),
          "Write the gradients in the image and in the geometry to `grad_image` and `grad_geometry`.");
    m.def("jvp", &py_jvp, "request"_a, "image"_a.noconvert(), "geometry"_a.noconvert(), "image_dot"_a.none(),
          "geometry_dot"_a.none(), "out"_a.noconvert(), "Write how the values move with the image and the geometry.");
    m.def("second", &py_second, "request"_a, "image"_a.noconvert(), "geometry"_a.noconvert(), "image_dot"_a.none(),
          "geometry_dot"_a.none(), "cotangent"_a.noconvert(), "grad_image"_a.none(), "grad_geometry"_a.none(),
          "Write the gradients of the inner product of `cotangent` and the result of jvp.");
    m.def("normal", &py_normal, "request"_a, "image"_a.noconvert(), "geometry"_a.noconvert(), "target"_a.noconvert(),
          "record"_a.noconvert(), "Write the moments of the residual of each batch entry, see normal.hpp.");
    m.def("winners", &py_winners, "request"_a, "importance"_a.noconvert(), "geometry"_a.noconvert(),
          "best"_a.noconvert(), "winner"_a.noconvert(),
          "Write to `winner` which point reaches each sample with the largest importance, or -1; `best` is scratch.");
    m.def("solve", &py_solve, "data"_a.noconvert(), "order"_a, "border"_a, "adjoint"_a,
          "Make samples along the middle axis into spline coefficients, in place; or the transpose of that.");
    m.def("resample", &py_resample, "image"_a.noconvert(), "first"_a.noconvert(), "weight"_a.noconvert(),
          "out"_a.noconvert(), "Write weighted sums over the samples first[i] + t of the middle axis to `out`.");
    m.def("available_isas", &py_available_isas, "Instruction sets compiled in and supported here, best last.");
    m.def("isa", &active_isa, "The instruction set in use.");
    m.def("set_isa", &py_set_isa, "name"_a, "Choose the instruction set for all further calls.");
    m.def("num_threads", &thread_count, "How many threads a call may use.");
    m.def("set_num_threads", &set_thread_count, "count"_a, "Set how many threads a call may use.");

    if (const char* name = std::getenv("PULLBACK_ISA"))
        if (*name) py_set_isa(name);
}
