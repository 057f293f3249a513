"""NumPy arrays on the native kernels. Images, geometries and values come and go in canonical form.

The kernels know real numbers alone: a complex image is read twice, once for each of its components.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import pullback._native as _native
from pullback._dtypes import BFLOAT16, DTYPES, row_of
from pullback._plan import BORDERS, PROJECTIVE_LATTICES, Lattice, Plan, Sizing
from pullback.backends._protocol import Execution
from pullback.backends._request import component_plan, finite_fill, merges, native_execution, requests_of, saw, saw_lost
from pullback.backends.sizes import Verbs, resized

Array = npt.NDArray[Any]

name = "numpy"
# What most images are of; looked up faster than anything can be asked of a dtype.
_READY = frozenset(np.dtype(name) for name, row in DTYPES.items() if row is not BFLOAT16)


def as_image(function: str, argument: str, image: Any) -> Array:
    """Return `image` as an array that the kernels read as it is."""
    array = image if type(image) is np.ndarray else np.asarray(image)
    if array.dtype in _READY and array.flags.aligned:
        return array
    if row_of(array.dtype) is None:
        raise TypeError(f"{function}: `{argument}` is of dtype {array.dtype}; supported are {', '.join(DTYPES)}")
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
    if row_of(result) is None:
        raise TypeError(f"{function}: `dtype` is {result}; supported are {', '.join(DTYPES)}")
    return result.newbyteorder("=")


_sums: dict[np.dtype[Any], np.dtype[Any]] = {}


def sum_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype that samples of `dtype` are summed in, which is that of gradients in them."""
    known = _sums.get(dtype)
    if known is None:
        row = row_of(dtype)
        known = _sums[dtype] = np.dtype("float64" if row is None else row.sums)
    return known


def cast(values: Array, dtype: Any) -> Array:
    """Return `values` in `dtype`; integers are rounded and saturated."""
    dtype = np.dtype(dtype)
    if dtype.kind not in "biu" or values.dtype == dtype:
        return values.astype(dtype)
    values = values.astype(sum_dtype(values.dtype), copy=False)
    out = np.empty_like(values, dtype)
    rounded = out if out.flags.c_contiguous else np.empty(out.shape, dtype)
    lines, same = np.ascontiguousarray(values.reshape(1, 1, -1)), np.zeros(1, np.int64)
    _native.resample(lines, same, np.ones((1, 1)), rounded.reshape(1, 1, -1))
    if rounded is not out:
        out[...] = rounded
    return out


def as_cotangent(function: str, grad: Any, image: Array) -> Array:
    """Return the gradient of a result read from `image` in the dtype of gradients."""
    return _native_layout(np.asarray(grad, dtype=sum_dtype(image.dtype)))


def check_out(function: str, out: Any) -> None:
    """Refuse what results cannot be written to."""
    fits = isinstance(out, np.ndarray) and out.flags.writeable and out.dtype.isnative and out.flags.aligned
    if not fits or row_of(out.dtype) is None:
        raise TypeError(
            f"{function}: `out` must be a writeable array, aligned and in native byte order, of dtype "
            f"{', '.join(DTYPES)}"
        )


def _empty(image: Array, batch: int, lattice: tuple[int, ...], dtype: Any) -> Array:
    """Return uninitialised values, with the channels innermost in memory where the image has them there."""
    channels = image.shape[1]
    if channels > 1 and abs(image.strides[1]) < abs(image.strides[-1]):
        return np.moveaxis(np.empty((batch, *lattice, channels), dtype), -1, 1)
    return np.empty((batch, channels, *lattice), dtype)


def _batch(image: Array, geometry: Array) -> int:
    batch: int = image.shape[0] if geometry.shape[0] == 1 else geometry.shape[0]
    return batch


def _components(array: Array) -> tuple[Array, ...]:
    """Return views of the real and the imaginary part, or a real array itself."""
    return (array.real, array.imag) if array.dtype.kind == "c" else (array,)


def _by_component(plan: Plan, *arrays: Array | None) -> Iterator[tuple[Any, ...]]:
    """Yield the plan and the arrays of each component, of which real arrays have one."""
    first = arrays[0]
    if first is None or first.dtype.kind != "c":
        yield plan, *arrays
        return
    for k, name in enumerate(("real", "imag")):
        yield component_plan(plan, k), *(None if array is None else getattr(array, name) for array in arrays)


def _is_bfloat16(array: Array) -> bool:
    """Whether an image is bfloat16: the one dtype of the table that is not NumPy's own, which have numbers up to 23."""
    return not 0 <= array.dtype.num <= 23


def _as_bits(array: Array) -> Array:
    """Return bfloat16, which NumPy does not know by itself, as the integers that the kernels take for it."""
    return array.view(np.uint16) if _is_bfloat16(array) else array


def _prepared(
    plan: Plan, lattice: Lattice, geometry: Array, values: Array, bfloat16: bool
) -> tuple[_native.Request, Array, Array]:
    """Return the request of a call, and `geometry` and `values` on at most three axes of the lattice.

    They are views wherever there are any; copies may be made of arrays on more than three.
    """
    requests, k = requests_of(plan, lattice), len(lattice.shape)
    merged = (
        requests.may_merge
        and merges(geometry.shape, geometry.strides, 1, 1 + k)
        and merges(values.shape, values.strides, 2, 2 + k)
    )
    if merged or requests.must_reshape:
        sides = requests.sides_of(merged)
        values = values.reshape(values.shape[:2] + sides + values.shape[2 + k :])
        if requests.on_lattice:
            geometry = geometry.reshape((geometry.shape[0], *sides, geometry.shape[-1]))
    return requests.request(merged, bfloat16), geometry, values


def pull(
    image: Array, geometry: Array, lattice: Lattice, plan: Plan, dtype: Any = None, out: Array | None = None
) -> Array:
    """Return the values of `image`, (batch, channel, *spatial), on the lattice, (batch, channel, *lattice)."""
    if out is None:
        out = _empty(image, _batch(image, geometry), lattice.shape, image.dtype if dtype is None else dtype)
    if out.dtype.kind != "c":
        _pull(image, geometry, lattice, plan, out)
        return out
    for k, (part, values) in enumerate(zip(_components(image), _components(out), strict=False)):
        _pull(part, geometry, lattice, component_plan(plan, k), values)
    if image.dtype.kind != "c":
        out.imag = 0
    return out


def _pull(image: Array, geometry: Array, lattice: Lattice, plan: Plan, out: Array) -> None:
    bfloat16 = _is_bfloat16(image) or _is_bfloat16(out)
    if bfloat16:
        if np.uint16 in (image.dtype, out.dtype):
            image = image.astype(np.float32)
            bfloat16 = out.dtype != np.uint16
        image, target = _as_bits(image), _as_bits(out)
    else:
        target = out
    request, points, values = _prepared(plan, lattice, geometry, target, bfloat16)
    saw(_native.pull(request, image, points, values))
    if len(lattice.shape) > 3 and not np.may_share_memory(values, out):  # no view of `out` has three lattice axes
        target[...] = values.reshape(out.shape)


def gradient(image: Array, geometry: Array, lattice: Lattice, plan: Plan) -> Array:
    """Return d value / d coordinate, (batch, channel, *lattice, d)."""
    shape = (_batch(image, geometry), image.shape[1], *lattice.shape, plan.ndim)
    out = np.empty(shape, sum_dtype(image.dtype))
    for of_part, part, slopes in _by_component(plan, image, out):
        request, points, target = _prepared(of_part, lattice, geometry, slopes, _is_bfloat16(part))
        _native.gradient(request, _as_bits(part), points, target)
    return out


def push(values: Array, geometry: Array, lattice: Lattice, plan: Plan, shape: tuple[int, ...]) -> Array:
    """Return the transpose of `pull` applied to `values`, an image of `shape`, (batch, channel, *spatial)."""
    image = np.empty(shape, sum_dtype(values.dtype))
    values = np.broadcast_to(values, (_batch(values, geometry), *values.shape[1:]))
    for of_part, part, target in _by_component(plan, values, image):
        request, points, flat = _prepared(of_part, lattice, geometry, _as_bits(part), _is_bfloat16(part))
        _native.push(request, flat, points, target)
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
    grad_geometry: Any = None
    for of_part, part, grad_part, target in _by_component(plan, image, grad, grad_image):
        request, points, cotangent = _prepared(of_part, lattice, geometry, grad_part, _is_bfloat16(part))
        grad_points = np.empty(points.shape, points.dtype) if need_geometry else None
        _native.vjp(request, _as_bits(part), points, cotangent, target, grad_points)
        if need_geometry:
            grad_geometry = grad_points if grad_geometry is None else grad_geometry + grad_points
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
    filter_axes(coefficients, (0, 0, *plan.prefilter), (0, 0, *plan.border), adjoint)
    if np.any(shift):
        coefficients += shift
    return coefficients


def filter_axes(samples: Array, orders: Sequence[int], borders: Sequence[int], adjoint: bool = False) -> None:
    """Turn samples, contiguous and real or complex, into spline coefficients where they lie.

    Parameters
    ----------
    orders : sequence of int
        The order of the spline, one an axis; 0 for those that stay as they are.
    borders : sequence of int
        Codes from :data:`BORDERS`, one an axis.
    """
    for part in _components(samples):
        lines = np.ascontiguousarray(part)
        for axis, (order, border) in enumerate(zip(orders, borders, strict=True)):
            if order and lines.size:
                outer, inner = math.prod(lines.shape[:axis]), math.prod(lines.shape[axis + 1 :])
                _native.solve(lines.reshape(outer, lines.shape[axis], inner), order, border, adjoint)
        if lines is not part:
            part[...] = lines


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
        Entries of zero may lie beyond the axis.
    dtype : dtype
        Of the result. Sums are formed in float64 if it is that, or as the dtype of `image` has it.
    """
    dtype = np.dtype(dtype)
    if _is_bfloat16(image):
        image = image.astype(np.float32)
    last = image.shape[1] > 1 and abs(image.strides[1]) < abs(image.strides[-1])
    arranged = np.moveaxis(image, 1, -1) if last else image
    position = axis + (1 if last else 2)
    out = _resample(arranged, position, first, weight, _dtype_of_sums(image.dtype, dtype))
    out = cast(out, dtype) if out.dtype != dtype else out
    return np.moveaxis(out, -1, 1) if last else out


def _dtype_of_sums(image: Any, dtype: Any) -> Any:
    """Return what the kernel writes of sums of samples of `image` that are to be of `dtype`: that itself if it can."""
    is_plain = "c" not in (image.kind, dtype.kind) and row_of(dtype) is not BFLOAT16
    if is_plain and (dtype == image or dtype == np.float64 or image in (np.float32, np.float64)):
        return dtype
    return sum_dtype(image)


def resize(image: Array, shape: tuple[int, ...], sizing: Sizing, dtype: Any) -> Array:
    """Return an image, (batch, channel, *spatial), with the sides `shape`."""
    values: Array = resized(VERBS, image, shape, sizing, np.dtype(dtype))
    return values


VERBS = Verbs(resample, cast, sum_dtype)


def normal(image: Array, geometry: Array, lattice: Lattice, plan: Plan, target: Array) -> Array:
    """Return the moments of the residual between values and `target`, (batch, record): see native/normal.hpp."""
    features = plan.ndim + 1
    rows = features if lattice.kind in PROJECTIVE_LATTICES else plan.ndim
    size = rows * (rows + 1) // 2 * (features * (features + 1) // 2) + rows * features + 1
    total: Array = np.zeros((_batch(image, geometry), size))
    if image.dtype.kind == "c":
        target = target.astype(image.dtype, copy=False)
    for of_part, part, wanted in _by_component(plan, image, target):
        bfloat16 = _is_bfloat16(part) or _is_bfloat16(wanted)
        if bfloat16 and np.uint16 in (part.dtype, wanted.dtype):
            part, wanted, bfloat16 = part.astype(np.float32), wanted.astype(np.float32), False
        request, points, flat = _prepared(of_part, lattice, geometry, _as_bits(wanted), bfloat16)
        record = np.empty_like(total)
        _native.normal(request, _as_bits(part), points, flat, record)
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
    bfloat16 = _is_bfloat16(importance)
    request, points, values = _prepared(plan, lattice, geometry, _as_bits(importance), bfloat16)
    _native.winners(request, values, points, best, winner)
    return winner[:, 0]


def saw_unknown() -> bool:
    """Tell whether a pull of this thread has met parameters that are not finite, since this was asked last."""
    return saw_lost()


def execution(image: Array, geometry: Array, lattice: Lattice, plan: Plan) -> Execution:
    """Return how :func:`pull` would be carried out."""
    return native_execution()
