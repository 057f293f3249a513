// Arrays as Python hands them over: whatever nanobind can read (NumPy, DLPack), or a tuple (address, shape, strides,
// dtype), which libraries whose capsules are slow can make in a tenth of the time. Strides are in elements, the dtype
// is one of `DTYPES`, and who makes the tuple keeps the memory alive.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <optional>

#include "params.hpp"

namespace pullback {

namespace nb = nanobind;

// The names of the dtypes, in the order of their codes.
constexpr const char* dtype_names[] = {"bool",   "uint8", "int8",    "uint16",   "int16",   "uint32", "int32",
                                       "uint64", "int64", "float16", "bfloat16", "float32", "float64"};
constexpr int dtype_count = sizeof dtype_names / sizeof *dtype_names;
static_assert(dtype_count == static_cast<int>(DType::f64) + 1, "a name for each dtype");

// Values on three lattice axes with batch, channel and component have the most.
constexpr int max_axes = 6;

struct Array {
    void* data = nullptr;
    std::optional<DType> dtype;  // none: not one of ours
    int ndim = 0;
    int64_t shape[max_axes] = {}, stride[max_axes] = {};

    int64_t size() const {
        int64_t samples = 1;
        for (int i = 0; i < ndim; ++i) samples *= shape[i];
        return samples;
    }
};

struct Input : Array {
    nb::ndarray<nb::ro, nb::device::cpu> owner;
};

struct Output : Array {
    nb::ndarray<nb::device::cpu> owner;
};

inline std::optional<DType> dtype_of(const nb::dlpack::dtype& dtype) {
    if (dtype == nb::dtype<bool>()) return DType::boolean;
    if (dtype == nb::dtype<uint8_t>()) return DType::u8;
    if (dtype == nb::dtype<int8_t>()) return DType::i8;
    if (dtype == nb::dtype<uint16_t>()) return DType::u16;
    if (dtype == nb::dtype<int16_t>()) return DType::i16;
    if (dtype == nb::dtype<uint32_t>()) return DType::u32;
    if (dtype == nb::dtype<int32_t>()) return DType::i32;
    if (dtype == nb::dtype<uint64_t>()) return DType::u64;
    if (dtype == nb::dtype<int64_t>()) return DType::i64;
    if (dtype == nb::dtype<float>()) return DType::f32;
    if (dtype == nb::dtype<double>()) return DType::f64;
    if (dtype.bits == 16 && dtype.code == static_cast<uint8_t>(nb::dlpack::dtype_code::Float)) return DType::f16;
    if (dtype.bits == 16 && dtype.code == static_cast<uint8_t>(nb::dlpack::dtype_code::Bfloat)) return DType::bf16;
    return std::nullopt;
}

// The integers of a tuple, at most max_axes of them; false where it is none.
inline bool read_integers(PyObject* tuple, int64_t* out, int& count) {
    if (!PyTuple_Check(tuple) || PyTuple_GET_SIZE(tuple) > max_axes) return false;
    count = static_cast<int>(PyTuple_GET_SIZE(tuple));
    for (int i = 0; i < count; ++i) out[i] = PyLong_AsLongLong(PyTuple_GET_ITEM(tuple, i));
    return !PyErr_Occurred();
}

inline bool read_tuple(PyObject* tuple, Array& array) {
    if (PyTuple_GET_SIZE(tuple) != 4) return false;
    array.data = PyLong_AsVoidPtr(PyTuple_GET_ITEM(tuple, 0));
    const long code = PyLong_AsLong(PyTuple_GET_ITEM(tuple, 3));
    if (PyErr_Occurred() || code < 0 || code >= dtype_count) return false;
    array.dtype = static_cast<DType>(code);
    int strides = 0;
    return read_integers(PyTuple_GET_ITEM(tuple, 1), array.shape, array.ndim) &&
           read_integers(PyTuple_GET_ITEM(tuple, 2), array.stride, strides) && strides == array.ndim &&
           (array.data || array.size() == 0);
}

template <class Owner>
inline bool read_owner(const Owner& owner, Array& array) {
    if (owner.ndim() > max_axes) return false;
    array.data = const_cast<void*>(static_cast<const void*>(owner.data()));
    array.dtype = dtype_of(owner.dtype());
    array.ndim = static_cast<int>(owner.ndim());
    for (int i = 0; i < array.ndim; ++i) {
        array.shape[i] = static_cast<int64_t>(owner.shape(i));
        array.stride[i] = owner.stride(i);
    }
    return true;
}

}  // namespace pullback

namespace nanobind {
namespace detail {

template <class Argument>
struct pullback_array_caster {
    using Owner = make_caster<decltype(Argument::owner)>;
    NB_TYPE_CASTER(Argument, Owner::Name)

    bool from_python(handle source, uint32_t, cleanup_list* cleanup) noexcept {
        if (PyTuple_Check(source.ptr())) {
            const bool fits = pullback::read_tuple(source.ptr(), value);
            PyErr_Clear();
            return fits;
        }
        Owner owner;
        if (!owner.from_python(source, 0, cleanup)) return false;  // 0: no copies
        value.owner = std::move(owner.value);
        return pullback::read_owner(value.owner, value);
    }
};

template <>
struct type_caster<pullback::Input> : pullback_array_caster<pullback::Input> {};
template <>
struct type_caster<pullback::Output> : pullback_array_caster<pullback::Output> {};

}  // namespace detail
}  // namespace nanobind
