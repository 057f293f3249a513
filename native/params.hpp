// What crosses into a kernel: plain structs, pointers, and the codes that src/pullback/_plan.py knows by name.
#pragma once

#include <cstdint>

namespace pullback {

constexpr int max_ndim = 3;

// Sides of an image are shorter than this; a coordinate that reaches it in magnitude, or is NaN, reads `fill`.
constexpr int32_t void_index = 1 << 30;

enum class Interpolation : int;  // basis.hpp
enum class Border : int { constant = 0, edge = 1, reflect = 2, symmetric = 3, wrap = 4 };
enum class LatticeKind : int { given = 0, affine = 1, projective = 2, displacement = 3, free_form = 4, one_sided = 5 };
enum class DType : int { boolean, u8, i8, u16, i16, u32, i32, u64, i64, f16, bf16, f32, f64 };

// How samples are read, and in which frames coordinates are written: everything about a call but its arrays.
struct Plan {
    int ndim;
    Interpolation interpolation[max_ndim];
    double parameter[max_ndim];  // of a cubic: the slope of its kernel at distance 1
    Border border[max_ndim];
    bool crop;
    LatticeKind kind;
    bool computed;  // coordinates are a transform's, which are not finite where its parameters are not
    // Inside or outside is decided on positions rounded by this much, in samples: of positions in double precision, and
    // where the geometry or the sums are in single. Twice 0 for positions that are taken as they are given.
    double near, near_in_single;
    // index = scale * coordinate + offset, on the image and on the output lattice
    double scale_in[max_ndim], offset_in[max_ndim];
    double scale_out[max_ndim], offset_out[max_ndim];
};

// An image or a cotangent of one, (batch, channel, *spatial); strides in elements, spatial axes `ndim` of the plan.
struct Image {
    void* data;
    DType dtype;
    int64_t batch, channels;
    int64_t batch_stride, channel_stride;
    int64_t size[max_ndim];
    int64_t stride[max_ndim];
};

// Values on the output lattice, (batch, channel, z, y, x); a lattice of fewer axes has leading ones.
// `component_stride` is used by gradients alone, whose last axis holds one entry a coordinate.
struct Values {
    void* data;
    DType dtype;
    int64_t batch_stride, channel_stride, component_stride;
    int64_t stride[3];
};

// What coordinates are generated from, float32 or float64: the coordinates themselves or displacements, (batch, z, y,
// x, d); matrices, (batch, d, d + 1) or, projective and one-sided, (batch, d + 1, d + 1); coefficients of a spline,
// (batch, *size, d).
struct Geometry {
    void* data;
    DType dtype;
    int64_t batch;
    int64_t batch_stride;
    int64_t size[max_ndim];    // free-form: how many coefficients on each axis
    int64_t stride[3];         // over the output lattice; free-form: over the coefficients
    int64_t component_stride;  // over the components of a point, or a row of the matrix
    int64_t row_stride;        // of a matrix
    int64_t last_row;          // of a matrix: where row D begins, which is not among the reversed ones
    int64_t last_column;       // and column D
};

struct Lattice {
    int64_t size[3];
};

// Functions in headers that every instruction set includes have internal linkage: the linker must not merge them.
static inline int64_t size_of(DType dtype) {
    switch (dtype) {
        case DType::boolean:
        case DType::u8:
        case DType::i8: return 1;
        case DType::u16:
        case DType::i16:
        case DType::f16:
        case DType::bf16: return 2;
        case DType::u32:
        case DType::i32:
        case DType::f32: return 4;
        case DType::u64:
        case DType::i64:
        case DType::f64: return 8;
    }
    return 0;
}

// Whether sums over samples are formed in double precision.
static inline bool is_summed_in_double(DType dtype) {
    return dtype == DType::f64 || dtype == DType::u32 || dtype == DType::i32 || dtype == DType::u64 ||
           dtype == DType::i64;
}

// The same for values that are written in a dtype of their own: those in double precision are summed in it.
static inline bool is_summed_in_double(DType samples, DType values) {
    return is_summed_in_double(samples) || values == DType::f64;
}

// Matrices with a row for the denominator; of one-sided maps, the side of the frame's origin alone is seen.
static inline bool is_projective(LatticeKind kind) {
    return kind == LatticeKind::projective || kind == LatticeKind::one_sided;
}

static inline bool is_matrix(LatticeKind kind) { return kind == LatticeKind::affine || is_projective(kind); }

// How many rows a matrix has.
static inline int row_count(const Plan& plan) { return is_projective(plan.kind) ? plan.ndim + 1 : plan.ndim; }

// Kinds whose geometry has an entry for each point of the output.
static inline bool is_field(LatticeKind kind) {
    return kind == LatticeKind::given || kind == LatticeKind::displacement;
}

static inline bool is_floating(DType dtype) { return dtype >= DType::f16; }

static inline int64_t point_count(const Lattice& lattice) {
    return lattice.size[0] * lattice.size[1] * lattice.size[2];
}

// One call of one operation. Null `data` marks what is not asked for.
struct Call {
    Plan plan;
    Lattice lattice;
    int64_t batch;  // of the output: the larger of the image's and the geometry's
    Image image;
    Geometry geometry;
    Values values;            // pull: written; push and vjp: the cotangent, read; gradient: written
    int64_t weight_channels;  // normal: how many follow those of the target
    Image image_dot;          // jvp, second order: how the image moves, with the strides of the image
    Geometry geometry_dot;    // and the geometry
    Image grad_image;         // push, vjp: written
    Geometry grad_geometry;   // vjp: written
    // Gradients in a matrix or in coefficients are sums over the lattice, formed in a record for each of `slabs` ranges
    // of chunks of the lattice, which the caller adds up in order.
    double* partial_sums;
    int64_t record_size, slabs;
    const double* fill;
    int64_t fill_count;
    int* lost;  // set to 1 where parameters that are not finite are met
};

// Work is cut into ranges of this many points of the output lattice, whatever the number of threads: partial sums
// are formed over the same ranges in every run.
constexpr int64_t points_per_task = 8192;

}  // namespace pullback
