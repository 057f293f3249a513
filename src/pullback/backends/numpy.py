"""NumPy arrays on the native kernels. Images, geometries and values come and go in canonical form.

The kernels know real numbers alone: a complex image is read twice, once for each of its components.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

import pullback._native as _native
from pullback._plan import BORDERS, LATTICES, Lattice, Plan
from pullback.backends._protocol import Execution
from pullback.backends._request import component_plan, finite_fill, native_execution, prepare

Array = npt.NDArray[Any]

IMAGE_DTYPES = (
    *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
)
name = "numpy"


def as_image(function: str, argument: str, image: Any) -> Array:
    """Return `image` as an array that the kernels read as it is."""
    array = np.asarray(image)
    if array.dtype.name not in IMAGE_DTYPES:
        raise TypeError(f"{function}: `{argument}` is of dtype {array.dtype}; supported are {', '.join(IMAGE_DTYPES)}")
    return _native_layout(array)


def _native_layout(array: Array) -> Array:
    """Return an array whose elements the kernels can load: aligned, and in the machine's byte order."""
    if array.dtype.isnative and array.flags.aligned:
        return array
    return array.astype(array.dtype.newbyteorder("="))


def as_coordinates(function: str, coords: Any, image: Array) -> Array:
    """Return coordinates as float32 where they are, as float64 otherwise."""
    array = np.asarray(coords)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{function}: `coords` must hold real numbers, got dtype {array.dtype}")
    wanted = np.float32 if array.dtype.kind == "f" and array.dtype.itemsize <= 4 else np.float64
    return _native_layout(array.astype(wanted, copy=False))


def own_transform(transform: Any, image: Array) -> Any:
    """Return a transform on NumPy arrays."""
    return transform.numpy()


def as_geometry(geometry: Array) -> Array:
    """Return what coordinates are generated from, in a dtype that the kernels know."""
    return geometry


def as_dtype(function: str, dtype: Any, image: Array) -> np.dtype[Any]:
    """Return the dtype of the result."""
    try:
        result: np.dtype[Any] = image.dtype if dtype is None else np.dtype(dtype)
    except TypeError:
        raise TypeError(f"{function}: `dtype` is {dtype!r}, which is no NumPy dtype") from None
    if result.name not in IMAGE_DTYPES:
        raise TypeError(f"{function}: `dtype` is {result}; supported are {', '.join(IMAGE_DTYPES)}")
    return result


@lru_cache(maxsize=64)
def sum_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype that samples of `dtype` are summed in, which is that of gradients in them."""
    if dtype.kind == "c":
        return dtype
    is_wide = dtype == np.float64 or (dtype.kind in "iu" and dtype.itemsize >= 4)
    return np.dtype(np.float64 if is_wide else np.float32)


def cast(values: Array, dtype: Any) -> Array:
    """Return `values` in `dtype`; integers are rounded and saturated."""
    dtype = np.dtype(dtype)
    if dtype.kind not in "biu" or values.dtype == dtype:
        return values.astype(dtype)
    values = values.astype(sum_dtype(values.dtype), copy=False)
    out = np.empty_like(values, dtype)
    lines, same = np.ascontiguousarray(values.reshape(1, 1, -1)), np.zeros(1, np.int64)
    rounded = out.reshape(-1) if out.flags.c_contiguous else np.empty(out.size, dtype)
    _native.resample(lines, same, np.ones((1, 1)), rounded.reshape(1, 1, -1))
    if not np.may_share_memory(rounded, out):
        out[...] = rounded.reshape(out.shape)
    return out


def as_cotangent(function: str, grad: Any, image: Array) -> Array:
    """Return the gradient of a result read from `image` in the dtype of gradients."""
    return _native_layout(np.asarray(grad, dtype=sum_dtype(image.dtype)))


def check_out(function: str, out: Any) -> None:
    """Refuse what results cannot be written to."""
    fits = isinstance(out, np.ndarray) and out.flags.writeable and out.dtype.isnative and out.flags.aligned
    if not fits or out.dtype.name not in IMAGE_DTYPES:
        raise TypeError(
            f"{function}: `out` must be a writeable array, aligned and in native byte order, of dtype "
            f"{', '.join(IMAGE_DTYPES)}"
        )


def _empty(image: Array, batch: int, lattice: tuple[int, ...], dtype: Any) -> Array:
    """Return uninitialised values, with the channels innermost in memory where the image has them there."""
    channels = image.shape[1]
    if channels > 1 and abs(image.strides[1]) < abs(image.strides[-1]):
        return np.moveaxis(np.empty((batch, *lattice, channels), dtype), -1, 1)
    return np.empty((batch, channels, *lattice), dtype)


def _components(array: Array) -> tuple[Array, ...]:
    """Return views of the real and the imaginary part, or a real array itself."""
    return (array.real, array.imag) if array.dtype.kind == "c" else (array,)


def _as_bits(array: Array) -> Array:
    """Return bfloat16, which NumPy does not know by itself, as the integers that the kernels take for it."""
    return array.view(np.uint16) if array.dtype.name == "bfloat16" else array


def _batch(image: Array, geometry: Array) -> int:
    return int(image.shape[0] if geometry.shape[0] == 1 else geometry.shape[0])


def pull(
    image: Array, geometry: Array, lattice: Lattice, plan: Plan, dtype: Any = None, out: Array | None = None
) -> Array:
    """Return the values of `image`, (batch, channel, *spatial), on the lattice, (batch, channel, *lattice)."""
    if out is None:
        out = _empty(image, _batch(image, geometry), lattice.shape, image.dtype if dtype is None else dtype)
    if out.dtype.kind == "c":
        for k, (part, values) in enumerate(zip(_components(image), _components(out), strict=False)):
            _pull(part, geometry, lattice, component_plan(plan, k), values)
        if image.dtype.kind != "c":
            out.imag = 0
    else:
        _pull(image, geometry, lattice, plan, out)
    return out


def _pull(image: Array, geometry: Array, lattice: Lattice, plan: Plan, out: Array) -> None:
    bfloat16 = "bfloat16" in (image.dtype.name, out.dtype.name)
    if bfloat16 and np.uint16 in (image.dtype, out.dtype):
        image = image.astype(np.float32)
        bfloat16 = out.dtype != np.uint16
    request, points, values = prepare(plan, lattice, geometry, out, bfloat16)
    _native.pull(request, _as_bits(image), points, _as_bits(values))
    if not np.may_share_memory(values, out):  # no view of `out` has three lattice axes
        out[...] = values.reshape(out.shape)


def gradient(image: Array, geometry: Array, lattice: Lattice, plan: Plan) -> Array:
    """Return d value / d coordinate, (batch, channel, *lattice, d)."""
    shape = (_batch(image, geometry), image.shape[1], *lattice.shape, plan.ndim)
    out = np.empty(shape, sum_dtype(image.dtype))
    for k, (part, slopes) in enumerate(zip(_components(image), _components(out), strict=True)):
        request, points, values = prepare(
            component_plan(plan, k), lattice, geometry, slopes, part.dtype.name == "bfloat16"
        )
        _native.gradient(request, _as_bits(part), points, values)
    return out


def push(values: Array, geometry: Array, lattice: Lattice, plan: Plan, shape: tuple[int, ...]) -> Array:
    """Return the transpose of `pull` applied to `values`, an image of `shape`, (batch, channel, *spatial)."""
    image = np.empty(shape, sum_dtype(values.dtype))
    values = np.broadcast_to(values, (_batch(values, geometry), *values.shape[1:]))
    for part, target in zip(_components(values), _components(image), strict=True):
        request, points, flat = prepare(plan, lattice, geometry, part, part.dtype.name == "bfloat16")
        _native.push(request, _as_bits(flat), points, target)
    return image


def vjp(
    image: Array,
    geometry: Array,
    grad: Array,
    lattice: Lattice,
    plan: Plan,
    need_image: bool = True,
    need_geometry: bool = True,
) -> tuple[Any, Any]:
    """Return the gradients in `image` and in `geometry` of the inner product of `grad` and the values."""
    grad_image = np.empty(image.shape, sum_dtype(image.dtype)) if need_image else None
    targets = (None, None) if grad_image is None else _components(grad_image)
    grad_geometry: Any = None
    for k, (part, grad_part) in enumerate(zip(_components(image), _components(grad), strict=True)):
        request, points, cotangent = prepare(
            component_plan(plan, k), lattice, geometry, grad_part, part.dtype.name == "bfloat16"
        )
        grad_points = np.empty(points.shape, points.dtype) if need_geometry else None
        _native.vjp(request, _as_bits(part), points, cotangent, targets[k], grad_points)
        if grad_points is not None:
            grad_geometry = grad_points if k == 0 else grad_geometry + grad_points
    return grad_image, grad_geometry.reshape(geometry.shape) if need_geometry else None


def prefilter(image: Array, plan: Plan, adjoint: bool = False) -> Array:
    """Return spline coefficients of `image`, (batch, channel, *spatial), or the transpose of that map applied to it.

    Where borders are constant, samples beyond them are coefficients too, of the value `fill`.
    """
    dtype = sum_dtype(image.dtype)
    shift = np.zeros(())
    if not adjoint and BORDERS["constant"] in plan.border:
        shift = np.asarray(finite_fill(plan), dtype).reshape(-1, *(1,) * plan.ndim)
    coefficients = np.subtract(image, shift, dtype=dtype, order="C", casting="unsafe") if np.any(shift) else image
    coefficients = np.array(coefficients, dtype, order="C", copy=coefficients is image)
    for part in _components(coefficients):
        lines = np.ascontiguousarray(part)
        for axis, (order, border) in enumerate(zip(plan.prefilter, plan.border, strict=True), start=2):
            if order and lines.size:
                outer, inner = math.prod(lines.shape[:axis]), math.prod(lines.shape[axis + 1 :])
                _native.solve(lines.reshape(outer, lines.shape[axis], inner), order, border, adjoint)
        if lines is not part:
            part[...] = lines
    if np.any(shift):
        coefficients += shift
    return coefficients


def _resample(image: Array, axis: int, first: Array, weight: Array, dtype: Any) -> Array:
    """Resample an array of contiguous inner axes, without a change of layout."""
    outer, inner = math.prod(image.shape[:axis]), math.prod(image.shape[axis + 1 :])
    lines = image.reshape(outer, image.shape[axis], inner)
    if inner > 1 and lines.strides[2] != lines.itemsize:
        lines = np.ascontiguousarray(lines)
    out = np.empty((outer, len(first), inner), dtype)
    if out.size == 0:
        pass
    elif image.dtype.kind == "c":
        lines = np.ascontiguousarray(lines)
        real = lines.real.dtype
        _native.resample(lines.view(real), first, weight, out.view(real))
    else:
        _native.resample(lines, first, weight, out)
    return out.reshape(*image.shape[:axis], len(first), *image.shape[axis + 1 :])


def resample(image: Array, axis: int, first: Array, weight: Array, dtype: Any) -> Array:
    """Return ``out[i] = sum_t weight[i, t] * image[first[i] + t]`` along a spatial axis of (batch, channel, *spatial).

    Parameters
    ----------
    axis : int
        The spatial axis, from 0 on.
    first : ndarray of int64, (n,)
    weight : ndarray of float64, (n, taps)
    dtype : dtype
        Of the result.
    """
    dtype, between = np.dtype(dtype), sum_dtype(image.dtype)
    if image.dtype.name == "bfloat16":
        image = image.astype(np.float32)
    last = image.shape[1] > 1 and abs(image.strides[1]) < abs(image.strides[-1])
    arranged = np.moveaxis(image, 1, -1) if last else image
    position = axis + (1 if last else 2)
    direct = dtype == between or (dtype == image.dtype and dtype.kind != "c")
    out = _resample(arranged, position, first, weight, dtype if direct else between)
    if dtype.kind == "c" or dtype.name == "bfloat16":
        out = out.astype(dtype, copy=False)
    elif not direct:  # once more, through a table that changes nothing but the dtype
        same = np.arange(out.shape[position], dtype=np.int64)
        out = _resample(out, position, same, np.ones((len(same), 1)), dtype)
    return np.moveaxis(out, -1, 1) if last else out


def normal(image: Array, geometry: Array, lattice: Lattice, plan: Plan, target: Array) -> Array:
    """Return the moments of the residual between values and `target`, (batch, record): see native/normal.hpp."""
    features = plan.ndim + 1
    rows = features if lattice.kind == LATTICES["projective"] else plan.ndim
    size = rows * (rows + 1) // 2 * (features * (features + 1) // 2) + rows * features + 1
    total: Array = np.zeros((_batch(image, geometry), size))
    if image.dtype.kind == "c":
        target = target.astype(image.dtype, copy=False)
    for k, (part, wanted) in enumerate(zip(_components(image), _components(target), strict=True)):
        bfloat16 = "bfloat16" in (part.dtype.name, wanted.dtype.name)
        if bfloat16 and np.uint16 in (part.dtype, wanted.dtype):
            part, wanted, bfloat16 = part.astype(np.float32), wanted.astype(np.float32), False
        request, points, flat = prepare(component_plan(plan, k), lattice, geometry, wanted, bfloat16)
        record = np.empty_like(total)
        _native.normal(request, _as_bits(part), points, _as_bits(flat), record)
        total += record
    return total


def winners(importance: Array, geometry: Array, lattice: Lattice, plan: Plan, shape: tuple[int, ...]) -> Array:
    """Return which point of the lattice reaches each sample with the largest importance, int64 (batch, *shape).

    Parameters
    ----------
    importance : ndarray, (batch or 1, 1, *lattice)
    shape : tuple of int
        The spatial sides of the image.

    Returns
    -------
    ndarray
        Flat indices in the lattice; -1 where no point reaches.
    """
    batch = _batch(importance, geometry)
    best = np.empty((batch, 1, *shape), sum_dtype(importance.dtype))
    winner = np.empty(best.shape, np.int64)
    importance = np.broadcast_to(importance, (batch, *importance.shape[1:]))
    request, points, values = prepare(plan, lattice, geometry, importance, importance.dtype.name == "bfloat16")
    _native.winners(request, _as_bits(values), points, best, winner)
    return winner[:, 0]


def execution(image: Array, geometry: Array, lattice: Lattice, plan: Plan) -> Execution:
    """Return how :func:`pull` would be carried out."""
    return native_execution()
