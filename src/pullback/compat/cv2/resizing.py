"""OpenCV's `resize`: its tables of weights, read by pullback's kernels."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

import pullback.backends.numpy as backend
from pullback._kernels import KERNELS
from pullback._plan import AREA, BORDERS, INTERPOLATIONS, Sizing
from pullback.backends.sizes import read_through
from pullback.backends.tables import Table, kernel_table, nearest_samples, overlaps
from pullback.compat.cv2 import constants as cv
from pullback.compat.cv2.arguments import Array, image_of, real_of
from pullback.compat.cv2.output import output_of

_KERNELS = {
    cv.INTER_LINEAR: ("linear", 0.0),
    cv.INTER_CUBIC: ("cubic", -0.75),
    cv.INTER_LANCZOS4: ("lanczos4", 0.0),
    cv.INTER_LINEAR_EXACT: ("linear", 0.0),
}
_OTHERS = (cv.INTER_NEAREST, cv.INTER_AREA, cv.INTER_NEAREST_EXACT)


def resize(
    src: Any,
    dsize: Any,
    dst: Array | None = None,
    fx: float = 0,
    fy: float = 0,
    interpolation: int = cv.INTER_LINEAR,
) -> Array:
    """Change the sides of an image, as `cv2.resize` does.

    Parameters
    ----------
    src : array_like, ``(H, W)`` or ``(H, W, C)``
        The image: uint8, uint16, int16, float32, float64, or any other dtype that :func:`pullback.resize` takes.
    dsize : (int, int) or None
        The new width and height. If it is None or one of them is not positive, they are those of `src` times `fx` and
        `fy`, rounded.
    dst : ndarray, optional
        Where to write the result, if it has its shape and dtype.
    fx, fy : float
        The factors along the width and the height, where there is no `dsize`. They are then what positions are
        computed from too, whatever the sides are rounded to.
    interpolation : int
        - ``INTER_NEAREST``: the sample at floor(x / fx), which lies half a new pixel to the left;
        - ``INTER_NEAREST_EXACT``: the sample that is nearest to the middle of the new pixel, of two the later one;
        - ``INTER_LINEAR``, ``INTER_LINEAR_EXACT``, ``INTER_CUBIC`` (a = -3/4), ``INTER_LANCZOS4``: of the samples
          about the middle, without antialiasing, the edge being repeated;
        - ``INTER_AREA``: the mean over the area of the new pixel, or, unless both sides shrink, OpenCV's linear
          interpolation that stands for it.

    Returns
    -------
    ndarray, ``(height, width)`` or ``(height, width, C)``
        `dst` itself, or a new array, in the dtype of `src`. One channel is no axis.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    See Also
    --------
    pullback.resize : With antialiasing for every interpolation, masks, any number of axes, and gradients.

    Notes
    -----
    Weights are exact, and sums rounded once; OpenCV has weights of 11 bits for uint8, and of single precision for
    others.

    Examples
    --------
    >>> import numpy as np
    >>> from pullback.compat import cv2
    >>> image = np.arange(16, dtype=np.float32).reshape(4, 4)
    >>> cv2.resize(image, (2, 2), interpolation=cv2.INTER_AREA)
    array([[ 2.5,  4.5],
           [10.5, 12.5]], dtype=float32)
    >>> cv2.resize(image, None, fx=0.5, fy=0.25, interpolation=cv2.INTER_NEAREST)
    array([[0., 2.]], dtype=float32)
    """
    image = backend.as_image("resize", "src", image_of("resize", src))
    shape, factors = _sizes(dsize, real_of("resize", "fx", fx), real_of("resize", "fy", fy), image)
    if interpolation not in (*_KERNELS, *_OTHERS):
        raise ValueError(f"resize: `interpolation` is {interpolation!r}; INTER_* are 0 to 6")
    dst, out = output_of("resize", image, shape, dst)
    if shape == image.shape[:2]:
        out[...] = image
        return dst
    planes = image[None, None] if image.ndim == 2 else np.moveaxis(image, -1, 0)[None]
    values = _resized(planes, shape, factors, interpolation)[0]
    out[...] = values[0] if image.ndim == 2 else np.moveaxis(values, 0, -1)
    return dst


def _sizes(dsize: Any, fx: float, fy: float, image: Array) -> tuple[tuple[int, int], tuple[float, float]]:
    """Return the height and the width of the output, and the factors along both that positions are computed from."""
    try:
        width, height = map(operator.index, (0, 0) if dsize is None else dsize)
    except (TypeError, ValueError):
        raise TypeError(f"resize: `dsize` is {dsize!r}; give two integers, (width, height)") from None
    if min(width, height) > 0:
        return (height, width), (height / image.shape[0], width / image.shape[1])
    if not 0 < min(fx, fy) <= max(fx, fy) < np.inf:
        raise ValueError(f"resize: `fx` and `fy` are {fx} and {fy}; without a `dsize`, give factors above 0")
    shape = round(image.shape[0] * fy), round(image.shape[1] * fx)
    if not 0 < min(shape) <= max(shape) < 2**30:
        raise ValueError(f"resize: `fx` and `fy` are {fx} and {fy}, which makes an image of shape {shape}")
    return shape, (fy, fx)


def _resized(planes: Array, shape: tuple[int, int], factors: tuple[float, float], interpolation: int) -> Array:
    """Return canonical planes with the sides `shape`."""
    sides, shrinks = planes.shape[2:], max(factors) <= 1
    if (
        interpolation == cv.INTER_AREA
        and shrinks
        and factors == tuple(m / n for m, n in zip(shape, sides, strict=True))
    ):
        sizing = Sizing((AREA, AREA), (0.0, 0.0), (None, None), (0.0,), True)
        return backend.resize(planes, shape, sizing, planes.dtype)
    tables = [_table(*axis, interpolation, shrinks) for axis in zip(sides, shape, factors, strict=True)]
    between = backend.sum_dtype(planes.dtype)
    values: Array = read_through(backend.VERBS, planes, tables, (0.0,), between, planes.dtype)
    return values


def _table(n_in: int, n_out: int, factor: float, interpolation: int, shrinks: bool) -> Table:
    """Return how an axis is read, in the steps in which OpenCV computes it where these decide between two samples."""
    place, step = np.arange(n_out), 1 / factor
    if interpolation == cv.INTER_NEAREST:
        return Table(np.minimum(np.floor(place * step).astype(np.int64), n_in - 1))
    if interpolation == cv.INTER_NEAREST_EXACT:
        return Table(nearest_samples(n_in, n_out))
    if interpolation == cv.INTER_AREA:
        return _shares(n_in, place, factor, shrinks)
    name, parameter = _KERNELS[interpolation]
    position = np.asarray((place + 0.5) * step - 0.5, np.float64)
    return kernel_table(position, n_in, KERNELS[INTERPOLATIONS[name]], parameter, BORDERS["edge"])


def _shares(n_in: int, place: Any, factor: float, shrinks: bool) -> Table:
    """Return the table of means over areas, or of the two neighbours that stand for them unless both sides shrink."""
    step = 1 / factor
    if shrinks:
        begin = np.minimum(place * step, n_in - 1)
        first, weight = overlaps(begin, np.minimum((place + 1) * step, n_in), 1.0, n_in)
        return Table(first, weight / weight.sum(1, keepdims=True))
    first = np.floor(place * step).astype(np.int64)
    share = ((place + 1) - (first + 1) * factor).astype(np.float32)
    share = np.where(share <= 0, 0, share - np.floor(share))
    is_last = first >= n_in - 1
    share[is_last], first[is_last] = 0, n_in - 1
    return Table(first, np.stack([1 - share, share], -1).astype(np.float64))
