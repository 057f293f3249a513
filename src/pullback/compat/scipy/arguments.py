"""The arguments of `scipy.ndimage`, brought into one form, with SciPy's errors."""

from __future__ import annotations

import importlib
import math
import operator
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pullback._arrays import is_masked
from pullback._plan import MAX_NDIM

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Mode:
    """What lies beyond the samples.

    Attributes
    ----------
    border : str
        How taps beyond the image are read; a name of :func:`pullback.sample`.
    filtered : str
        The same for the samples while they are filtered.
    extent : str
        "crop" if points outside the outermost samples give `cval`.
    pad : str
        How `numpy.pad` continues the samples before they are filtered; "" if it is not asked to.
    """

    border: str
    filtered: str
    extent: str = "blend"
    pad: str = ""


MODES = {
    "constant": Mode("reflect", "reflect", extent="crop"),
    "grid-constant": Mode("constant", "reflect", pad="constant"),
    "nearest": Mode("edge", "symmetric", pad="edge"),
    "mirror": Mode("reflect", "reflect"),
    "reflect": Mode("symmetric", "symmetric"),
    "grid-mirror": Mode("symmetric", "symmetric"),
    "wrap": Mode("reflect", "reflect"),
    "grid-wrap": Mode("wrap", "wrap"),
}


def order_of(order: Any, lowest: int = 0) -> int:
    """Return the order of a spline, `lowest` to 5."""
    if order < lowest or order > 5:
        raise RuntimeError("spline order not supported")
    return operator.index(order)


def mode_of(mode: Any) -> Mode:
    """Return what a mode means."""
    if mode not in MODES:
        raise RuntimeError("boundary mode not supported")
    return MODES[mode]


def _real(value: Any) -> float:
    return math.ldexp(value, 0)  # unlike float(), refuses strings


def fill_of(cval: Any, dtype: np.dtype[Any]) -> complex:
    """Return `cval` as a number that samples of `dtype` can be mixed with: complex for complex ones alone."""
    if dtype.kind != "c":
        return _real(cval)
    real, imag = _real(np.real(cval)), _real(np.imag(cval))
    return complex(real, imag) if imag else real


def refuse_masks(function: str, **arguments: Any) -> None:
    """Refuse masked arrays, whose masks SciPy drops without a word."""
    for name, value in arguments.items():
        if is_masked(value):
            raise TypeError(
                f"{function}: `{name}` is a masked array, whose mask SciPy drops; give {name}.filled(value), or call "
                "pullback.sample or pullback.warp, which leave out what is masked"
            )


def finite(function: str, argument: str, value: Any) -> Any:
    """Return a number that says how large the output is, and so must be finite."""
    try:
        if math.isfinite(_real(value)):
            return value
    except TypeError:
        raise TypeError(f"{function}: `{argument}` is {value!r}; give a number") from None
    except OverflowError:
        pass
    raise ValueError(f"{function}: `{argument}` is {value!r}; give a finite number")


def array_of(input: Any) -> Array:
    """Return samples as an array of a dtype that SciPy takes."""
    array = np.asarray(input)
    if array.dtype.kind not in "biufc" or array.dtype.itemsize > (16 if array.dtype.kind == "c" else 8):
        raise RuntimeError(f"array type {array.dtype!r} not supported")
    return array


def image_of(input: Any) -> Array:
    """Return samples of one axis or more."""
    array = array_of(input)
    if array.ndim < 1:
        raise RuntimeError("input and output rank must be > 0")
    return array


def per_axis(value: Any, ndim: int) -> list[Any]:
    """Return one value an axis."""
    if not np.iterable(value) or isinstance(value, str):
        return [value] * ndim
    values = list(value)
    if len(values) != ndim:
        raise RuntimeError("sequence argument must have length equal to input rank")
    return values


def output_for(output: Any, image: Array, shape: Any) -> Array:
    """Return the array that a function writes to: new, of the dtype asked for, or the one given."""
    is_complex = image.dtype.kind == "c"
    if output is None:
        return np.zeros(shape, image.dtype.newbyteorder("="))
    if isinstance(output, type | np.dtype):
        if is_complex and np.dtype(output).kind != "c":
            warnings.warn("promoting specified output dtype to complex", stacklevel=3)
            output = np.promote_types(output, np.complex64)
        array = np.zeros(shape, output)
    elif isinstance(output, str):
        dtype = np.dtype(output)
        if not is_complex and not issubclass(dtype.type, np.number):
            raise RuntimeError("output must have numeric dtype")
        array = np.zeros(shape, dtype)
    else:
        array = np.asarray(output)
        if array.shape != shape:
            raise RuntimeError("output shape not correct")
    if is_complex and array.dtype.kind != "c":
        raise RuntimeError("output must have complex dtype")
    if array.dtype.kind not in ("c" if is_complex else "biuf") or array.dtype.itemsize > (16 if is_complex else 8):
        raise RuntimeError("data type not supported")
    return array


def affine_map(matrix: Array, offset: Any, ndim: int, output_ndim: int) -> tuple[Array, Array]:
    """Return the linear part, (d, e), or its diagonal, (d,), and the offset, (d,)."""
    if matrix.ndim not in (1, 2) or matrix.shape[0] < 1:
        raise RuntimeError("no proper affine matrix provided")
    if matrix.ndim == 2 and matrix.shape[1] == ndim + 1 and matrix.shape[0] in (ndim, ndim + 1):
        last = [0] * ndim + [1]
        if matrix.shape[0] == ndim + 1 and not np.array_equal(matrix[ndim], last):
            raise ValueError(
                f"Expected homogeneous transformation matrix with shape {matrix.shape} for an image of {ndim} axes, "
                f"but bottom row was not equal to {last}"
            )
        matrix, offset = matrix[:ndim, :ndim], matrix[:ndim, ndim]
    if matrix.shape[0] != ndim:
        raise RuntimeError("affine matrix has wrong number of rows")
    if (matrix.shape[1] if matrix.ndim == 2 else ndim) != output_ndim:
        raise RuntimeError("affine matrix has wrong number of columns")
    constant = np.asarray(per_axis(offset, ndim), dtype=np.float64)
    if constant.ndim != 1:
        raise RuntimeError("no proper offset provided")
    return matrix, constant


def plane_of(axes: Iterable[int], ndim: int) -> tuple[int, int]:
    """Return the two axes of a plane, the first one first."""
    if ndim < 2:
        raise ValueError("input array should be at least 2D")
    plane = list(axes)
    if len(plane) != 2:
        raise ValueError("axes should contain exactly two values")
    if not all(float(axis).is_integer() for axis in plane):
        raise ValueError("axes should contain only integer values")
    first, second = sorted(int(axis) + ndim if axis < 0 else int(axis) for axis in plane)
    if first < 0 or second >= ndim:
        raise ValueError("invalid rotation plane specified")
    return first, second


def original(name: str) -> Callable[..., Array]:
    """Return SciPy's own function, even if `scipy.ndimage` has been given the one that is here."""
    try:
        module = importlib.import_module("scipy.ndimage._interpolation")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{name}: more than {MAX_NDIM} axes and compiled callbacks need SciPy itself: pip install scipy",
            name=error.name,
        ) from None
    function: Callable[..., Array] = getattr(module, name)
    return function
