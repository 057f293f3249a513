"""The functions that read an image: at coordinates, or through a map."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from pullback._plan import MAX_NDIM
from pullback.compat.scipy.arguments import (
    Array,
    affine_map,
    array_of,
    finite,
    image_of,
    order_of,
    original,
    output_for,
    per_axis,
    plane_of,
    refuse_masks,
)
from pullback.compat.scipy.reader import Block, reader_of


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
        If an array is masked, coordinates are complex, or `cval` is and the image is not.

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
    refuse_masks("map_coordinates", input=input, coordinates=coordinates)
    if np.ndim(input) > MAX_NDIM:
        return original("map_coordinates")(input, coordinates, output, order, mode, cval, prefilter)
    order = order_of(order)
    image = np.asarray(input)
    coords = np.asarray(coordinates)
    if coords.dtype.kind == "c":
        raise TypeError("Complex type not supported")
    if image.ndim < 1 or coords.ndim < 2:
        raise RuntimeError("input and output rank must be > 0")
    if coords.shape[0] != image.ndim:
        raise RuntimeError("invalid shape for coordinate array")
    image = image_of(image)
    result = output_for(output, image, coords.shape[1:])
    if coords.dtype.kind not in "biuf":
        raise RuntimeError("coordinate array data type not supported")
    reader_of(image, image.ndim, order, mode, cval, prefilter, result).at(
        # Not in float32 even if they are: so are weights, and SciPy's are in float64.
        lambda block: np.ascontiguousarray(np.moveaxis(coords[(slice(None), *block)], 0, -1), dtype=np.float64),
        result,
    )
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
    output, order, mode, cval, prefilter : optional
        As in :func:`map_coordinates`.
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
        If an array is masked, `mapping` returns anything but a tuple of d coordinates, or `cval` is complex and the
        image is not.

    Examples
    --------
    >>> import numpy as np
    >>> from pullback.compat import scipy as ndimage
    >>> ndimage.geometric_transform(np.array([1, 2, 3, 4, 5]), lambda index: (index[0] - 3,), mode="nearest")
    array([1, 1, 1, 1, 2])
    """
    refuse_masks("geometric_transform", input=input)
    if np.ndim(input) > MAX_NDIM or not callable(mapping):
        return original("geometric_transform")(
            input, mapping, output_shape, output, order, mode, cval, prefilter, extra_arguments, extra_keywords
        )
    order = order_of(order)
    image = np.asarray(input)
    shape = image.shape if output_shape is None else output_shape
    if len(shape) < 1:
        raise RuntimeError("input and output rank must be > 0")
    image = image_of(image)
    result = output_for(output, image, shape)
    reader = reader_of(image, image.ndim, order, mode, cval, prefilter, result)
    keywords = extra_keywords or {}

    def mapped(block: Block) -> Array:
        indices = itertools.product(*(range(part.start, part.stop) for part in block))
        points = [mapping(index, *extra_arguments, **keywords) for index in indices]
        if not all(isinstance(point, tuple) and len(point) >= image.ndim for point in points):
            raise TypeError(f"geometric_transform: `mapping` must return a tuple of {image.ndim} coordinates")
        shape = (*(part.stop - part.start for part in block), image.ndim)
        return np.array([point[: image.ndim] for point in points], dtype=np.float64).reshape(shape)

    reader.at(mapped, result)
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
    output, order, mode, cval, prefilter : optional
        As in :func:`map_coordinates`.

    Returns
    -------
    ndarray
        The warped image.

    Raises
    ------
    RuntimeError, ValueError
        If an argument does not fit, as in SciPy.
    TypeError
        If an array is masked, `cval` is complex and the image is not.

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
    refuse_masks("affine_transform", input=input)
    if np.ndim(input) > MAX_NDIM:
        return original("affine_transform")(input, matrix, offset, output_shape, output, order, mode, cval, prefilter)
    order = order_of(order)
    image = np.asarray(input)
    if output_shape is None:
        output_shape = output.shape if isinstance(output, np.ndarray) else image.shape
    if len(output_shape) < 1:
        raise RuntimeError("input and output rank must be > 0")
    image = image_of(image)
    result = output_for(output, image, output_shape)
    linear, constant = affine_map(np.asarray(matrix, dtype=np.float64), offset, image.ndim, result.ndim)
    reader = reader_of(image, image.ndim, order, mode, cval, prefilter, result)
    if linear.ndim == 2:
        reader.through(linear, constant, result)
        return result
    with np.errstate(divide="ignore", invalid="ignore"):
        axes = [(np.arange(n) + b / a) * a for n, a, b in zip(result.shape, linear, constant, strict=True)]
    reader.along(axes, linear, constant, result)
    return result


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
    output, order, mode, cval, prefilter : optional
        As in :func:`map_coordinates`.

    Returns
    -------
    ndarray
        The shifted image, of the shape of `input`.

    Raises
    ------
    RuntimeError
        If an argument does not fit, as in SciPy.
    TypeError
        If an array is masked, `cval` is complex and the image is not.

    Examples
    --------
    >>> import numpy as np
    >>> from pullback.compat import scipy as ndimage
    >>> ndimage.shift(np.array([1, 2, 3, 4]), 1, mode="grid-wrap")
    array([4, 1, 2, 3])
    """
    refuse_masks("shift", input=input)
    if np.ndim(input) > MAX_NDIM:
        return original("shift")(input, shift, output, order, mode, cval, prefilter)
    order = order_of(order)
    image = image_of(input)
    result = output_for(output, image, image.shape)
    reader = reader_of(image, image.ndim, order, mode, cval, prefilter, result)
    offset = -np.asarray(per_axis(shift, image.ndim), dtype=np.float64)
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
    output, order, mode, cval, prefilter : optional
        As in :func:`map_coordinates`.
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
        If an array is masked, `cval` is complex and the image is not.

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
    refuse_masks("zoom", input=input)
    if np.ndim(input) > MAX_NDIM:
        return original("zoom")(input, zoom, output, order, mode, cval, prefilter, grid_mode=grid_mode)
    order = order_of(order)
    image = image_of(input)
    factors = [finite("zoom", "zoom", factor) for factor in per_axis(zoom, image.ndim)]
    shape = tuple(round(n * factor) for n, factor in zip(image.shape, factors, strict=True))
    result = output_for(output, image, shape)
    if prefilter and all(factor == 1 for factor in factors):
        result[...] = image
        return result
    if grid_mode and mode in ("constant", "wrap"):
        warnings.warn(
            f"It is recommended to use mode = grid-{mode} instead of {mode} when grid_mode is True.", stacklevel=2
        )
    reader = reader_of(image, image.ndim, order, mode, cval, prefilter, result)
    inner = 0 if grid_mode else 1
    scale = np.array([(n - inner) / max(m - inner, 1) for n, m in zip(image.shape, shape, strict=True)])
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
    output, order, mode, cval, prefilter : optional
        As in :func:`map_coordinates`.

    Returns
    -------
    ndarray
        The rotated image.

    Raises
    ------
    ValueError, RuntimeError
        If an argument does not fit, as in SciPy.
    TypeError
        If an array is masked, `cval` is complex and the image is not.

    Examples
    --------
    >>> import numpy as np
    >>> from pullback.compat import scipy as ndimage
    >>> ndimage.rotate(np.array([[1, 2, 3], [4, 5, 6]]), 90)
    array([[3, 6],
           [2, 5],
           [1, 4]])
    """
    refuse_masks("rotate", input=input)
    angle = finite("rotate", "angle", angle)
    image = np.asarray(input)
    plane = plane_of(axes, image.ndim)
    image, order = array_of(image), order_of(order)
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
    result = output_for(output, image, tuple(shape))
    if image.ndim == 2:
        reader_of(image, 2, order, mode, cval, prefilter, result).through(linear, offset, result)
        return result
    planes = np.moveaxis(image, plane, (-2, -1))
    values = np.moveaxis(result, plane, (-2, -1))
    if image.ndim > 3:
        planes = planes.reshape(-1, *planes.shape[-2:])
    target = values if image.ndim == 3 else np.empty((planes.shape[0], *values.shape[-2:]), result.dtype)
    reader_of(planes, 2, order, mode, cval, prefilter, result).through(linear, offset, target)
    if target is not values:
        values[...] = target.reshape(values.shape)
    return result


def _rotation(degrees: float) -> Array:
    """Return [[cos, sin], [-sin, cos]], exact for multiples of 90 degrees."""
    turn = math.fmod(abs(degrees), 360.0)
    quarters = math.floor(turn / 90.0 + 0.5)
    rest = math.radians(turn - 90.0 * quarters)
    sine, cosine = math.sin(rest), math.cos(rest)
    sine, cosine = ((sine, cosine), (cosine, -sine), (-sine, -cosine), (-cosine, sine))[quarters % 4]
    sine = -sine if degrees < 0 else sine
    return np.array([[cosine, sine], [-sine, cosine]])
