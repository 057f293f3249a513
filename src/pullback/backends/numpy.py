"""NumPy arrays on the native kernels. Images, geometries and values come and go in canonical form."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pullback import _native
from pullback._plan import Lattice, Plan
from pullback.backends._request import prepare

Array = npt.NDArray[Any]

IMAGE_DTYPES = ("uint8", "float32", "float64")
name = "numpy"


def as_image(function: str, argument: str, image: Any) -> Array:
    """Return `image` as an array that the kernels read as it is."""
    array = np.asarray(image)
    if array.dtype.name not in IMAGE_DTYPES:
        raise TypeError(f"{function}: `{argument}` is of dtype {array.dtype}; supported are {', '.join(IMAGE_DTYPES)}")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def as_coordinates(function: str, coords: Any, image: Array) -> Array:
    """Return coordinates as float32 where they are, as float64 otherwise."""
    array = np.asarray(coords)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{function}: `coords` must hold real numbers, got dtype {array.dtype}")
    wanted = np.float32 if array.dtype.kind == "f" and array.dtype.itemsize <= 4 else np.float64
    return array.astype(wanted, copy=False)


def matrix_of(transform: Any, image: Array) -> Array:
    """Return the matrices of a transform, (batch, d, d + 1)."""
    matrix = np.asarray(transform.numpy().matrix, dtype=np.float64)
    return matrix if matrix.ndim == 3 else matrix[None]


def as_dtype(function: str, dtype: Any, image: Array) -> np.dtype[Any]:
    """Return the dtype of the result."""
    try:
        result: np.dtype[Any] = image.dtype if dtype is None else np.dtype(dtype)
    except TypeError:
        raise TypeError(f"{function}: `dtype` is {dtype!r}, which is no NumPy dtype") from None
    if result.name not in IMAGE_DTYPES:
        raise TypeError(f"{function}: `dtype` is {result}; supported are {', '.join(IMAGE_DTYPES)}")
    return result


def real_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype that samples of `dtype` are summed in, which is that of gradients in them."""
    return np.dtype(np.float64 if dtype == np.float64 else np.float32)


def as_cotangent(function: str, grad: Any, image: Array) -> Array:
    """Return the gradient of a result read from `image` in the dtype of gradients."""
    return np.asarray(grad, dtype=real_dtype(image.dtype))


def check_out(function: str, out: Any) -> None:
    """Refuse what results cannot be written to."""
    if not isinstance(out, np.ndarray) or not out.flags.writeable or out.dtype.name not in IMAGE_DTYPES:
        raise TypeError(f"{function}: `out` must be a writeable array of dtype {', '.join(IMAGE_DTYPES)}")


def _empty(image: Array, batch: int, lattice: tuple[int, ...], dtype: Any) -> Array:
    """Return uninitialised values, with the channels innermost in memory where the image has them there."""
    channels = image.shape[1]
    if channels > 1 and image.strides[1] < image.strides[-1]:
        return np.moveaxis(np.empty((batch, *lattice, channels), dtype), -1, 1)
    return np.empty((batch, channels, *lattice), dtype)


def pull(
    image: Array, geometry: Array, lattice: Lattice, plan: Plan, dtype: Any = None, out: Array | None = None
) -> Array:
    """Return the values of `image`, (batch, channel, *spatial), on the lattice, (batch, channel, *lattice)."""
    if out is None:
        batch = image.shape[0] if geometry.shape[0] == 1 else geometry.shape[0]
        out = _empty(image, batch, lattice.shape, dtype)
    request, points, values = prepare(plan, lattice, geometry, out)
    _native.pull(request, image, points, values)
    if not np.may_share_memory(values, out):  # no view of `out` has three lattice axes
        out[...] = values.reshape(out.shape)
    return out


def gradient(image: Array, geometry: Array, lattice: Lattice, plan: Plan) -> Array:
    """Return d value / d coordinate, (batch, channel, *lattice, d)."""
    batch = image.shape[0] if geometry.shape[0] == 1 else geometry.shape[0]
    out = np.empty((batch, image.shape[1], *lattice.shape, plan.ndim), real_dtype(image.dtype))
    request, points, values = prepare(plan, lattice, geometry, out)
    _native.gradient(request, image, points, values)
    return out


def push(values: Array, geometry: Array, lattice: Lattice, plan: Plan, shape: tuple[int, ...]) -> Array:
    """Return the transpose of `pull` applied to `values`, an image of `shape`, (batch, channel, *spatial)."""
    image = np.empty(shape, real_dtype(values.dtype))
    batch = values.shape[0] if geometry.shape[0] == 1 else geometry.shape[0]
    values = np.broadcast_to(values, (batch, *values.shape[1:]))
    request, points, values = prepare(plan, lattice, geometry, values)
    _native.push(request, values, points, image)
    return image


def vjp(image: Array, geometry: Array, grad: Array, lattice: Lattice, plan: Plan) -> tuple[Array, Array]:
    """Return the gradients in `image` and in `geometry` of the inner product of `grad` and the values."""
    grad_image = np.empty(image.shape, real_dtype(image.dtype))
    request, points, cotangent = prepare(plan, lattice, geometry, grad)
    grad_geometry = np.empty(points.shape, points.dtype)
    _native.vjp(request, image, points, cotangent, grad_image, grad_geometry)
    return grad_image, grad_geometry.reshape(geometry.shape)
