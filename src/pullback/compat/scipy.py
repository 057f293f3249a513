"""The interpolation functions of `scipy.ndimage` (SciPy 1.17), on pullback's kernels.

A call is worked off in four steps: arguments are normalised, with SciPy's errors; the samples are filtered into spline
coefficients; they are read, through an affine map where the coordinates form one and at given coordinates otherwise;
the values, in float64, are cast into the output as SciPy casts them.

Names, defaults and conventions are SciPy's: coordinates are indices, ``(d, ...)``, and `mode` says what lies beyond the
samples. :mod:`scipy` itself is imported only for images of more than three axes and for compiled callbacks.
"""

from __future__ import annotations

import importlib
import math
import operator
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pullback._plan import MAX_NDIM
from pullback.sampling import prefilter as spline_coefficients
from pullback.sampling import sample
from pullback.transforms import Affine
from pullback.warping import warp

__all__ = [
    "affine_transform",
    "geometric_transform",
    "map_coordinates",
    "rotate",
    "shift",
    "spline_filter",
    "spline_filter1d",
    "zoom",
]

Array = npt.NDArray[Any]

# Samples added on each side before the filter, where a mode has no exact start for the recursion.
_PADDING = 12
# Two ways to compute a coordinate differ by less than this, absolutely in float32, and per sample of a side in float64.
_ROUNDING_SINGLE = 4e-5
_ROUNDING_DOUBLE = 1e-10


@dataclass(frozen=True)
class _Mode:
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


_MODES = {
    "constant": _Mode("reflect", "reflect", extent="crop"),
    "grid-constant": _Mode("constant", "reflect", pad="constant"),
    "nearest": _Mode("edge", "symmetric", pad="edge"),
    "mirror": _Mode("reflect", "reflect"),
    "reflect": _Mode("symmetric", "symmetric"),
    "grid-mirror": _Mode("symmetric", "symmetric"),
    "wrap": _Mode("reflect", "reflect"),
    "grid-wrap": _Mode("wrap", "wrap"),
}


def _order(order: Any, lowest: int = 0) -> int:
    if order < lowest or order > 5:
        raise RuntimeError("spline order not supported")
    return operator.index(order)


def _mode(mode: Any) -> _Mode:
    if mode not in _MODES:
        raise RuntimeError("boundary mode not supported")
    return _MODES[mode]


def _real(value: Any) -> float:
    return math.ldexp(value, 0)  # unlike float(), refuses strings


def _cval(cval: Any, dtype: np.dtype[Any]) -> complex:
    if dtype.kind != "c":
        return _real(cval)
    real, imag = _real(np.real(cval)), _real(np.imag(cval))
    return complex(real, imag) if imag else real


def _input(input: Any) -> Array:
    array = np.asarray(input)
    if array.dtype.kind not in "biufc" or array.dtype.itemsize > (16 if array.dtype.kind == "c" else 8):
        raise RuntimeError(f"array type {array.dtype!r} not supported")
    return array


def _image(input: Any) -> Array:
    array = _input(input)
    if array.ndim < 1:
        raise RuntimeError("input and output rank must be > 0")
    return array


def _per_axis(value: Any, ndim: int) -> list[Any]:
    if not np.iterable(value) or isinstance(value, str):
        return [value] * ndim
    values = list(value)
    if len(values) != ndim:
        raise RuntimeError("sequence argument must have length equal to input rank")
    return values


def _output(output: Any, image: Array, shape: Any) -> Array:
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


def _original(name: str) -> Callable[..., Any]:
    """Return SciPy's own function, even if `scipy.ndimage` has been given the one that is here."""
    function: Callable[..., Any] = getattr(importlib.import_module("scipy.ndimage._interpolation"), name)
    return function


@dataclass(frozen=True)
class _Reader:
    """Samples or spline coefficients, and how they are read.

    Attributes
    ----------
    image : ndarray, (*spatial) or (channels, *spatial)
    sides : tuple of int
        The spatial shape of the samples, without padding.
    padding : int
        How many samples were added on each side.
    """

    image: Array
    sides: tuple[int, ...]
    padding: int
    order: int
    mode: str
    fill: complex

    @property
    def _folds(self) -> bool:
        """Whether a point beyond the samples must be brought back among them before it is read.

        The period of "wrap" is shorter than the image by one sample. The nearest sample of a point half-way between
        two depends on the side it is seen from.
        """
        return self.mode == "wrap" or (self.order == 0 and self.mode in ("mirror", "reflect", "grid-mirror"))

    def _options(self) -> dict[str, Any]:
        rule = _MODES[self.mode]
        return {
            "interpolation": ("nearest", "linear")[self.order] if self.order < 2 else f"bspline{self.order}",
            "border": rule.border if self.image.size else "constant",
            "extent": rule.extent,
            "fill": self.fill,
            "channel_axis": 0 if self.image.ndim > len(self.sides) else None,
        }

    def at(self, coords: Array, output: Array) -> None:
        """Read at coordinates (..., d)."""
        if self._folds:
            coords = coords.astype(np.float64)
            with np.errstate(invalid="ignore"):
                for axis, side in enumerate(self.sides):
                    coords[..., axis] = _fold(coords[..., axis], side, self.mode)
        elif self.padding:
            coords = coords + np.float64(self.padding)
        _write(output, self.image, lambda **target: sample(self.image, coords, **self._options(), **target))

    def through(self, matrix: Array, offset: Array, output: Array) -> None:
        """Read at ``matrix @ index + offset`` for each index of the output."""
        shape = output.shape[output.ndim - matrix.shape[1] :]
        square = matrix.shape[0] == matrix.shape[1]
        if square and self._allows(matrix, offset, shape) and not self._grazes(matrix, offset, shape):
            self._warp(matrix, offset, shape, output)
        else:
            self.at(_affine_coordinates(matrix, offset, shape), output)

    def along(self, axes: Sequence[Array], scale: Array, offset: Array, output: Array) -> None:
        """Read on a grid: `axes` holds the coordinates on each axis, ``scale * index + offset`` but for rounding."""
        matrix, shape = np.diag(scale), tuple(map(len, axes))
        allowed = self._allows(matrix, offset, shape)
        if allowed and self._is_smooth(axes, scale, offset):
            self._warp(matrix, offset, shape, output)
        elif allowed and self.image.dtype == np.float32:
            replace(self, image=_widened(self.image)).along(axes, scale, offset, output)
        else:
            self.at(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1), output)

    def _warp(self, matrix: Array, offset: Array, shape: tuple[int, ...], output: Array) -> None:
        affine = Affine(np.column_stack([matrix, offset + self.padding]))
        _write(output, self.image, lambda **target: warp(self.image, affine, shape, **self._options(), **target))

    def _allows(self, matrix: Array, offset: Array, shape: tuple[int, ...]) -> bool:
        """Whether no point needs folding, so that the coordinates are affine in the index."""
        return not self._folds or self._contains(matrix, offset, shape)

    def _contains(self, matrix: Array, offset: Array, shape: tuple[int, ...]) -> bool:
        """Whether every index of an output of `shape` falls among the samples."""
        ends = matrix * (np.array(shape) - 1)
        first, last = offset + np.minimum(ends, 0).sum(1), offset + np.maximum(ends, 0).sum(1)
        return bool((first >= 0).all() and (last <= np.array(self.sides) - 1).all())

    def _rounding(self, side: int) -> float:
        return _ROUNDING_SINGLE if self.image.dtype == np.float32 else _ROUNDING_DOUBLE * side

    def _is_smooth(self, axes: Sequence[Array], scale: Array, offset: Array) -> bool:
        """Whether the rounding of coordinates cannot tell: no point of a grid lies where values jump."""
        for axis, side, a, b in zip(axes, self.sides, scale, offset, strict=True):
            if not np.isfinite(axis).all():
                return False
            jumps = [axis - np.round(axis - 0.5) - 0.5] if self.order == 0 else []
            if self.mode in ("constant", "wrap"):
                jumps += [axis, axis - (side - 1)]
            exact = self.image.dtype != np.float32 and np.array_equal(axis, a * np.arange(len(axis)) + b)
            if not exact and any((np.abs(jump) < self._rounding(side)).any() for jump in jumps):
                return False
        return True

    def _grazes(self, matrix: Array, offset: Array, shape: tuple[int, ...]) -> bool:
        """Whether points may lie on an edge beyond which the image ends, so that rounding can tell."""
        if self.mode != "constant" or (_is_dyadic(matrix) and _is_dyadic(offset)):
            return False
        starts = _affine_coordinates(matrix[:, :-1], offset, shape[:-1])
        for axis, side in enumerate(self.sides):
            step = matrix[axis, -1]
            for edge in (0, side - 1):
                distance = edge - starts[..., axis]
                nearest = np.clip(np.round(distance / step), 0, shape[-1] - 1) if step else 0
                if (np.abs(distance - nearest * step) < self._rounding(side)).any():
                    return True
        return False


def _is_dyadic(values: Array) -> bool:
    """Whether sums of products with indices are exact, in whatever order."""
    scaled = values * 1024
    return bool((np.abs(values) < 2**20).all() and (scaled == np.round(scaled)).all())


def _reader(image: Array, ndim: int, order: int, mode: str, cval: Any, prefilter: bool, output: Array) -> _Reader:
    """Prepare the samples of an image of `ndim` spatial axes for the kernels."""
    rule = _mode(mode)
    fill = _cval(cval, image.dtype)
    sides = image.shape[image.ndim - ndim :]
    if order == 0 and image.dtype.kind in "biu" and (output.dtype != bool or image.dtype == bool):
        # Copied as they are, at coordinates in float64, which they would not be for narrower integers.
        samples = image.astype(np.int32) if image.dtype.itemsize < 4 else image
        if output.dtype.kind in "biu":
            fill = int(_round(np.array([fill], dtype=np.float64), output.dtype)[0])
        return _Reader(samples, sides, 0, order, mode, fill)
    if order == 1 and image.dtype == output.dtype == np.float32:
        return _Reader(image, sides, 0, order, mode, fill)
    if order < 2 or not prefilter or not image.size:
        return _Reader(_widened(image), sides, 0, order, mode, fill)
    padding = 0
    if rule.pad:
        padding = _PADDING
        width = [(0, 0)] * (image.ndim - ndim) + [(padding, padding)] * ndim
        values = {"constant_values": cval} if rule.pad == "constant" else {}
        image = np.pad(image, width, mode=rule.pad, **values)  # type: ignore[call-overload]
    channels = 0 if image.ndim > ndim else None
    samples = spline_coefficients(_widened(image), order, rule.filtered, ndim=ndim, channel_axis=channels)
    return _Reader(samples, sides, padding, order, mode, fill)


def _widened(image: Array) -> Array:
    """Return the samples in double precision, which SciPy forms all sums in."""
    wide: Array = image.astype(np.complex128 if image.dtype.kind == "c" else np.float64, copy=False)
    return wide


def _fold(x: Array, side: int, mode: str) -> Array:
    """Bring coordinates beyond the samples 0 .. side - 1 back among them, or to where taps are mirrored."""
    below, above = x < 0, x > side - 1
    if side <= 1:
        return np.where(below | above, 0.0, x)
    period = {"wrap": side - 1, "mirror": 2 * side - 2}.get(mode, 2 * side)
    turns = np.trunc(np.abs(x) / period) * period
    if mode == "wrap":
        return np.where(below, x + turns + period, np.where(above, x - turns, x))
    early, late = x + turns, x - turns
    if mode == "mirror":
        early = np.where(early <= 1 - side, early + period, -early)
        late = np.where(late >= side, period - late, late)
    else:
        early = np.where(early < -side, early + period, -early - 1)
        late = np.where(late >= side, period - late - 1, late)
    return np.where(below, early, np.where(above, late, x))


def _affine_coordinates(matrix: Array, offset: Array, shape: tuple[int, ...]) -> Array:
    """Return ``matrix @ index + offset``, (*shape, d), summed in SciPy's order."""
    coords = np.empty((*shape, len(matrix)))
    coords[...] = offset
    for e, index in enumerate(np.ogrid[tuple(slice(n) for n in shape)]):
        coords += index[..., None] * matrix[:, e]
    return coords


def _write(output: Array, image: Array, read: Callable[..., Array]) -> None:
    """Put what `read` returns, given a dtype or an array for it, into `output` as SciPy does."""
    copies = output.dtype.kind in "biu" and image.dtype.kind in "biu"
    if (output.dtype.kind in "fc" or copies) and output.dtype.isnative and not np.may_share_memory(output, image):
        read(out=output)
    elif copies or output.dtype.kind in "fc":
        output[...] = read(dtype=output.dtype.newbyteorder("="))
    else:
        output[...] = _round(read(dtype=np.float64), output.dtype)


def _round(values: Array, dtype: np.dtype[Any]) -> Array:
    """Cast to bool, whether the integer part is not zero, or to integers: halves away from zero, saturated.

    `values` is overwritten. NaN gives the lowest integer, and False.
    """
    if dtype.kind == "b":
        nonzero: Array = (np.abs(values) >= 1) & ~np.isnan(values)
        return nonzero
    limits = np.iinfo(dtype)
    values += 0.5 if dtype.kind == "u" else np.copysign(0.5, values)
    np.fmax(values, float(limits.min), out=values)
    if dtype.itemsize < 8:
        return np.fmin(values, float(limits.max), out=values).astype(dtype)
    too_large = values >= float(limits.max)  # which is one more than fits
    values[too_large] = 0
    result: Array = values.astype(dtype)
    result[too_large] = limits.max
    return result


def spline_filter1d(
    input: Any, order: int = 3, axis: int = -1, output: Any = np.float64, mode: str = "mirror"
) -> Array:
    """Turn samples into spline coefficients along one axis.

    Parameters
    ----------
    input : array_like
        Samples, of any number of axes.
    order : int
        Of the spline, 0 to 5. Orders 0 and 1 change nothing.
    axis : int
        The axis to filter along.
    output : ndarray or dtype
        Where to put the coefficients, or their dtype.
    mode : str
        How the samples go on beyond the image; see :func:`map_coordinates`.

    Returns
    -------
    ndarray
        Coefficients, of the shape of `input`.

    Raises
    ------
    RuntimeError
        If `order` or `mode` is none that is known, or a dtype is not supported.
    numpy.exceptions.AxisError
        If there is no such axis.

    See Also
    --------
    spline_filter : The same along all axes.

    Examples
    --------
    >>> import numpy as np
    >>> from pullback.compat import scipy as ndimage
    >>> ndimage.spline_filter1d(np.array([0.0, 0.0, 6.0, 0.0, 0.0])).round(3)
    array([ 1.5, -3. , 10.5, -3. ,  1.5])
    """
    order = _order(order)
    image = _input(input)
    result = _output(output, image, image.shape)
    if order < 2:
        result[...] = image
        return result
    rule = _mode(mode)
    if not -image.ndim <= axis < image.ndim:
        raise np.exceptions.AxisError(axis, image.ndim)
    axis %= image.ndim
    if image.size:
        lines = _widened(image).reshape(math.prod(image.shape[:axis]), image.shape[axis], -1)
        coefficients = spline_coefficients(lines, (0, order, 0), rule.filtered, ndim=3)
        _store(coefficients.reshape(image.shape), result)
    return result


def spline_filter(input: Any, order: int = 3, output: Any = np.float64, mode: str = "mirror") -> Array:
    """Turn samples into spline coefficients along all axes.

    Parameters
    ----------
    input : array_like
        Samples, of any number of axes.
    order : int
        Of the spline, 2 to 5.
    output : ndarray or dtype
        Where to put the coefficients, or their dtype. Between two axes they are kept in it, as SciPy does.
    mode : str
        How the samples go on beyond the image; see :func:`map_coordinates`.

    Returns
    -------
    ndarray
        Coefficients, of the shape of `input`. To be read with ``prefilter=False``.

    Raises
    ------
    RuntimeError
        If `order` or `mode` is none that is known, or a dtype is not supported.

    See Also
    --------
    spline_filter1d : The same along one axis.

    Examples
    --------
    >>> import numpy as np
    >>> from pullback.compat import scipy as ndimage
    >>> image = np.eye(3)
    >>> coefficients = ndimage.spline_filter(image)
    >>> ndimage.map_coordinates(coefficients, [[0.0, 0.5], [0.0, 0.5]], prefilter=False).round(3)
    array([1.   , 0.611])
    """
    order = _order(order, lowest=2)
    image = _input(input)
    result = _output(output, image, image.shape)
    if image.ndim == 0:
        result[...] = image
    for axis in range(image.ndim):
        image = spline_filter1d(image, order, axis, result, mode)
    return result


def _store(values: Array, output: Array) -> None:
    """Cast coefficients as SciPy does: integers are cut off."""
    output[...] = np.trunc(values) if output.dtype.kind == "b" else values


def map_coordinates(
    input: Any,
    coordinates: Any,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: complex = 0.0,
    prefilter: bool = True,
) -> Array:
    """Read an image at given coordinates by spline interpolation.

    Parameters
    ----------
    input : array_like
        Samples.
    coordinates : array_like, ``(d, ...)``
        Indices, one for each axis of `input`.
    output : ndarray or dtype, optional
        Where to put the values, or their dtype; that of `input` unless given.
    order : int
        Of the spline: 0 (the nearest sample) to 5.
    mode : str
        What lies beyond the samples ``a b c d``:

        - ``"constant"``: points outside the outermost samples are `cval`; taps are mirrored as by ``"mirror"``;
        - ``"grid-constant"``: samples of `cval`, which points between them and the image's mix;
        - ``"nearest"``: ``a a a | a b c d | d d d``;
        - ``"mirror"``: ``d c b | a b c d | c b a``;
        - ``"reflect"``, ``"grid-mirror"``: ``c b a | a b c d | d c b``;
        - ``"grid-wrap"``: ``b c d | a b c d | a b c``;
        - ``"wrap"``: ``a b c | a b c d | b c d``, the first and the last sample being one.
    cval : number
        The value beyond the samples for the modes that have one; complex for complex images alone.
    prefilter : bool
        Whether `input` holds samples, and not the coefficients of :func:`spline_filter` already.

    Returns
    -------
    ndarray
        Values, of the shape of `coordinates` without its first axis.

    Raises
    ------
    RuntimeError
        If an argument does not fit, as in SciPy.
    TypeError
        If coordinates are complex, or `cval` is and the image is not.

    See Also
    --------
    pullback.sample : The same with more interpolations, for batches and tensors, with gradients.

    Examples
    --------
    >>> import numpy as np
    >>> from pullback.compat import scipy as ndimage
    >>> image = np.arange(12.0).reshape(4, 3)
    >>> ndimage.map_coordinates(image, [[0.5, 2], [0.5, 1]], order=1)
    array([2., 7.])
    """
    if np.ndim(input) > MAX_NDIM:
        result: Array = _original("map_coordinates")(input, coordinates, output, order, mode, cval, prefilter)
        return result
    order = _order(order)
    image = np.asarray(input)
    coords = np.asarray(coordinates)
    if coords.dtype.kind == "c":
        raise TypeError("Complex type not supported")
    if image.ndim < 1 or coords.ndim < 2:
        raise RuntimeError("input and output rank must be > 0")
    if coords.shape[0] != image.ndim:
        raise RuntimeError("invalid shape for coordinate array")
    image = _image(image)
    result = _output(output, image, coords.shape[1:])
    if coords.dtype.kind not in "biuf":
        raise RuntimeError("coordinate array data type not supported")
    # Not in float32 even if they are: so are weights, and SciPy's are in float64.
    points = np.ascontiguousarray(np.moveaxis(coords, 0, -1), dtype=np.float64)
    _reader(image, image.ndim, order, mode, cval, prefilter, result).at(points, result)
    return result


def geometric_transform(
    input: Any,
    mapping: Any,
    output_shape: Any = None,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: complex = 0.0,
    prefilter: bool = True,
    extra_arguments: tuple[Any, ...] = (),
    extra_keywords: dict[str, Any] | None = None,
) -> Array:
    """Warp an image through a function that maps an index of the output to coordinates in the input.

    Parameters
    ----------
    input : array_like
        Samples.
    mapping : callable
        Is called with a tuple of indices for each point of the output, and returns a tuple of coordinates. A
        `scipy.LowLevelCallable` is handed on to SciPy.
    output_shape : tuple of int, optional
        That of `input` unless given.
    output : ndarray or dtype, optional
        Where to put the values, or their dtype; see :func:`map_coordinates`.
    order : int
        Of the spline, 0 to 5; see :func:`map_coordinates`.
    mode : str
        What lies beyond the samples; see :func:`map_coordinates`.
    cval : number
        The value beyond the samples for the modes that have one; see :func:`map_coordinates`.
    prefilter : bool
        Whether `input` holds samples, and not coefficients; see :func:`map_coordinates`.
    extra_arguments : tuple
        Further arguments for `mapping`.
    extra_keywords : dict, optional
        Further keyword arguments for `mapping`.

    Returns
    -------
    ndarray
        The warped image.

    Raises
    ------
    RuntimeError
        If an argument does not fit, as in SciPy.
    TypeError
        If `mapping` returns anything but a tuple of d coordinates, or `cval` is complex and the image is not.

    Examples
    --------
    >>> import numpy as np
    >>> from pullback.compat import scipy as ndimage
    >>> ndimage.geometric_transform(np.array([1, 2, 3, 4, 5]), lambda index: (index[0] - 3,), mode="nearest")
    array([1, 1, 1, 1, 2])
    """
    if np.ndim(input) > MAX_NDIM or not callable(mapping):
        result: Array = _original("geometric_transform")(
            input, mapping, output_shape, output, order, mode, cval, prefilter, extra_arguments, extra_keywords
        )
        return result
    order = _order(order)
    image = np.asarray(input)
    shape = image.shape if output_shape is None else output_shape
    if len(shape) < 1:
        raise RuntimeError("input and output rank must be > 0")
    image = _image(image)
    result = _output(output, image, shape)
    reader = _reader(image, image.ndim, order, mode, cval, prefilter, result)
    keywords = extra_keywords or {}
    points = [mapping(index, *extra_arguments, **keywords) for index in np.ndindex(*result.shape)]
    if not all(isinstance(point, tuple) and len(point) >= image.ndim for point in points):
        raise TypeError(f"geometric_transform: `mapping` must return a tuple of {image.ndim} coordinates")
    points = [point[: image.ndim] for point in points]
    reader.at(np.array(points, dtype=np.float64).reshape(*result.shape, image.ndim), result)
    return result


def affine_transform(
    input: Any,
    matrix: Any,
    offset: Any = 0.0,
    output_shape: Any = None,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: complex = 0.0,
    prefilter: bool = True,
) -> Array:
    """Warp an image through ``matrix @ index + offset``, which maps an index of the output to the input.

    Parameters
    ----------
    input : array_like
        Samples, of d axes.
    matrix : array_like, ``(d, d)``, ``(d,)``, ``(d, d + 1)`` or ``(d + 1, d + 1)``
        The linear part; its diagonal; or the whole map, whose last column takes the place of `offset`.
    offset : float or sequence
        The coordinates that index 0 is read from.
    output_shape : tuple of int, optional
        That of `output` or `input` unless given.
    output : ndarray or dtype, optional
        Where to put the values, or their dtype; see :func:`map_coordinates`.
    order : int
        Of the spline, 0 to 5; see :func:`map_coordinates`.
    mode : str
        What lies beyond the samples; see :func:`map_coordinates`.
    cval : number
        The value beyond the samples for the modes that have one; see :func:`map_coordinates`.
    prefilter : bool
        Whether `input` holds samples, and not coefficients; see :func:`map_coordinates`.

    Returns
    -------
    ndarray
        The warped image.

    Raises
    ------
    RuntimeError, ValueError
        If an argument does not fit, as in SciPy.
    TypeError
        If `cval` is complex and the image is not.

    See Also
    --------
    pullback.warp : The same with more interpolations, for batches and tensors, with gradients.

    Examples
    --------
    >>> import numpy as np
    >>> from pullback.compat import scipy as ndimage
    >>> ndimage.affine_transform(np.arange(6.0), [0.5], offset=1.0, order=1)
    array([1. , 1.5, 2. , 2.5, 3. , 3.5])
    """
    if np.ndim(input) > MAX_NDIM:
        result: Array = _original("affine_transform")(
            input, matrix, offset, output_shape, output, order, mode, cval, prefilter
        )
        return result
    order = _order(order)
    image = np.asarray(input)
    if output_shape is None:
        output_shape = output.shape if isinstance(output, np.ndarray) else image.shape
    if len(output_shape) < 1:
        raise RuntimeError("input and output rank must be > 0")
    image = _image(image)
    result = _output(output, image, output_shape)
    linear, constant = _affine_map(np.asarray(matrix, dtype=np.float64), offset, image.ndim, result.ndim)
    reader = _reader(image, image.ndim, order, mode, cval, prefilter, result)
    if linear.ndim == 2:
        reader.through(linear, constant, result)
        return result
    with np.errstate(divide="ignore", invalid="ignore"):
        axes = [(np.arange(n) + b / a) * a for n, a, b in zip(result.shape, linear, constant, strict=True)]
    reader.along(axes, linear, constant, result)
    return result


def _affine_map(matrix: Array, offset: Any, ndim: int, output_ndim: int) -> tuple[Array, Array]:
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
    constant = np.asarray(_per_axis(offset, ndim), dtype=np.float64)
    if constant.ndim != 1:
        raise RuntimeError("no proper offset provided")
    return matrix, constant


def shift(
    input: Any,
    shift: Any,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: complex = 0.0,
    prefilter: bool = True,
) -> Array:
    """Shift an image.

    Parameters
    ----------
    input : array_like
        Samples.
    shift : float or sequence
        How far, in samples; one for all axes, or one an axis.
    output : ndarray or dtype, optional
        Where to put the values, or their dtype; see :func:`map_coordinates`.
    order : int
        Of the spline, 0 to 5; see :func:`map_coordinates`.
    mode : str
        What lies beyond the samples; see :func:`map_coordinates`.
    cval : number
        The value beyond the samples for the modes that have one; see :func:`map_coordinates`.
    prefilter : bool
        Whether `input` holds samples, and not coefficients; see :func:`map_coordinates`.

    Returns
    -------
    ndarray
        The shifted image, of the shape of `input`.

    Raises
    ------
    RuntimeError
        If an argument does not fit, as in SciPy.
    TypeError
        If `cval` is complex and the image is not.

    Examples
    --------
    >>> import numpy as np
    >>> from pullback.compat import scipy as ndimage
    >>> ndimage.shift(np.array([1, 2, 3, 4]), 1, mode="grid-wrap")
    array([4, 1, 2, 3])
    """
    if np.ndim(input) > MAX_NDIM:
        result: Array = _original("shift")(input, shift, output, order, mode, cval, prefilter)
        return result
    order = _order(order)
    image = _image(input)
    result = _output(output, image, image.shape)
    reader = _reader(image, image.ndim, order, mode, cval, prefilter, result)
    offset = -np.asarray(_per_axis(shift, image.ndim), dtype=np.float64)
    axes = [np.arange(n) + b for n, b in zip(image.shape, offset, strict=True)]
    reader.along(axes, np.ones(image.ndim), offset, result)
    return result


def zoom(
    input: Any,
    zoom: Any,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: complex = 0.0,
    prefilter: bool = True,
    *,
    grid_mode: bool = False,
) -> Array:
    """Change the sides of an image.

    Parameters
    ----------
    input : array_like
        Samples.
    zoom : float or sequence
        The factor on the sides, which are rounded; one for all axes, or one an axis.
    output : ndarray or dtype, optional
        Where to put the values, or their dtype; see :func:`map_coordinates`.
    order : int
        Of the spline, 0 to 5; see :func:`map_coordinates`.
    mode : str
        What lies beyond the samples; see :func:`map_coordinates`.
    cval : number
        The value beyond the samples for the modes that have one; see :func:`map_coordinates`.
    prefilter : bool
        Whether `input` holds samples, and not coefficients; see :func:`map_coordinates`.
    grid_mode : bool
        Whether a side reaches from the outer edge of its first sample to that of its last, and not from centre to
        centre.

    Returns
    -------
    ndarray
        The zoomed image.

    Raises
    ------
    RuntimeError
        If an argument does not fit, as in SciPy.
    TypeError
        If `cval` is complex and the image is not.

    Warns
    -----
    UserWarning
        If `mode` ends or repeats an image at the centres of its outermost samples but `grid_mode` does not.

    See Also
    --------
    pullback.resize : The same, with a filter against aliasing.

    Examples
    --------
    >>> import numpy as np
    >>> from pullback.compat import scipy as ndimage
    >>> ndimage.zoom(np.array([0.0, 1.0, 2.0]), 5 / 3, order=1)
    array([0. , 0.5, 1. , 1.5, 2. ])
    """
    if np.ndim(input) > MAX_NDIM:
        result: Array = _original("zoom")(input, zoom, output, order, mode, cval, prefilter, grid_mode=grid_mode)
        return result
    order = _order(order)
    image = _image(input)
    factors = _per_axis(zoom, image.ndim)
    shape = tuple(round(n * factor) for n, factor in zip(image.shape, factors, strict=True))
    result = _output(output, image, shape)
    if prefilter and all(factor == 1 for factor in factors):
        result[...] = image
        return result
    if grid_mode and mode in ("constant", "wrap"):
        warnings.warn(
            f"It is recommended to use mode = grid-{mode} instead of {mode} when grid_mode is True.", stacklevel=2
        )
    reader = _reader(image, image.ndim, order, mode, cval, prefilter, result)
    inner = 0 if grid_mode else 1
    scale = np.array(
        [(n - inner) / (m - inner) if m != inner else 1.0 for n, m in zip(image.shape, shape, strict=True)]
    )
    offset = (scale - 1) / 2 if grid_mode else np.zeros(image.ndim)
    middle = 0.5 if grid_mode else 0.0
    axes = [(np.arange(m) + middle) * a - middle for m, a in zip(shape, scale, strict=True)]
    reader.along(axes, scale, offset, result)
    return result


def rotate(
    input: Any,
    angle: float,
    axes: Iterable[int] = (1, 0),
    reshape: bool = True,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: complex = 0.0,
    prefilter: bool = True,
) -> Array:
    """Rotate an image in a plane.

    Parameters
    ----------
    input : array_like
        Samples, of two axes or more.
    angle : float
        In degrees; the picture turns counter-clockwise on the screen for the first two axes.
    axes : tuple of 2 int
        The axes of the plane. The other axes hold images that turn alike.
    reshape : bool
        Whether the output is as large as the rotated image, and not as the image.
    output : ndarray or dtype, optional
        Where to put the values, or their dtype; see :func:`map_coordinates`.
    order : int
        Of the spline, 0 to 5; see :func:`map_coordinates`.
    mode : str
        What lies beyond the samples; see :func:`map_coordinates`.
    cval : number
        The value beyond the samples for the modes that have one; see :func:`map_coordinates`.
    prefilter : bool
        Whether `input` holds samples, and not coefficients; see :func:`map_coordinates`.

    Returns
    -------
    ndarray
        The rotated image.

    Raises
    ------
    ValueError, RuntimeError
        If an argument does not fit, as in SciPy.
    TypeError
        If `cval` is complex and the image is not.

    Examples
    --------
    >>> import numpy as np
    >>> from pullback.compat import scipy as ndimage
    >>> ndimage.rotate(np.array([[1, 2, 3], [4, 5, 6]]), 90)
    array([[3, 6],
           [2, 5],
           [1, 4]])
    """
    image = np.asarray(input)
    plane = _plane(axes, image.ndim)
    image, order = _input(image), _order(order)
    linear = _rotation(angle)
    sides = np.array([image.shape[axis] for axis in plane])
    turned = sides
    if reshape:
        y, x = sides
        turned = (np.ptp(linear @ [[0, 0, y, y], [0, x, 0, x]], axis=1) + 0.5).astype(int)
    offset = (sides - 1) / 2 - linear @ ((turned - 1) / 2)
    shape = list(image.shape)
    for axis, side in zip(plane, turned, strict=True):
        shape[axis] = int(side)
    result = _output(output, image, tuple(shape))
    if image.ndim == 2:
        _reader(image, 2, order, mode, cval, prefilter, result).through(linear, offset, result)
        return result
    planes = np.moveaxis(image, plane, (-2, -1))
    values = np.moveaxis(result, plane, (-2, -1))
    if image.ndim > 3:
        planes = planes.reshape(-1, *planes.shape[-2:])
    target = values if image.ndim == 3 else np.empty((planes.shape[0], *values.shape[-2:]), result.dtype)
    _reader(planes, 2, order, mode, cval, prefilter, result).through(linear, offset, target)
    if target is not values:
        values[...] = target.reshape(values.shape)
    return result


def _plane(axes: Iterable[int], ndim: int) -> tuple[int, int]:
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


def _rotation(degrees: float) -> Array:
    """Return [[cos, sin], [-sin, cos]], exact for multiples of 90 degrees."""
    turn = math.fmod(abs(degrees), 360.0)
    quarters = math.floor(turn / 90.0 + 0.5)
    rest = math.radians(turn - 90.0 * quarters)
    sine, cosine = math.sin(rest), math.cos(rest)
    sine, cosine = ((sine, cosine), (cosine, -sine), (-sine, -cosine), (-cosine, sine))[quarters % 4]
    sine = -sine if degrees < 0 else sine
    return np.array([[cosine, sine], [-sine, cosine]])
