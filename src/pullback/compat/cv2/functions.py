"""The functions that read an image: at the points of a map, or through a matrix."""

# The names of functions and arguments are OpenCV's.
# ruff: noqa: N802, N803

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.compat.cv2.arguments import Array, image_of, matrix_of, shape_of, taps_of
from pullback.compat.cv2.constants import (
    ALGO_HINT_DEFAULT,
    BORDER_CONSTANT,
    INTER_LINEAR,
    INTER_MAX,
    WARP_INVERSE_MAP,
    WARP_RELATIVE_MAP,
)
from pullback.compat.cv2.output import at, through, write
from pullback.compat.cv2.positions import inverse_affine, inverse_projective, map_of, meets_halves, projected

# In OpenCV's warpAffine; for all other dtypes, the nearest of two samples is the one on the right.
_HALVES_TO_EVEN = (np.uint8, np.uint16, np.float32)


def remap(
    src: Any,
    map1: Any,
    map2: Any,
    interpolation: int,
    dst: Array | None = None,
    borderMode: int = BORDER_CONSTANT,
    borderValue: Any = 0,
    hint: int = ALGO_HINT_DEFAULT,
) -> Array:
    """Read an image at the points of a map, as `cv2.remap` does.

    Parameters
    ----------
    src : array_like, ``(H, W)`` or ``(H, W, C)``
        The image: uint8, uint16, int16, float32, float64, or any other dtype that :func:`pullback.sample` takes.
    map1, map2 : array_like
        The positions in `src` of the points of the output, ``(height, width)``:

        - two floating-point arrays ``(height, width)``, x and y;
        - one floating-point array ``(height, width, 2)`` of pairs (x, y), and None;
        - the fixed-point form of `cv2.convertMaps`: int16 ``(height, width, 2)``, and the fractions as uint16
          ``(height, width)`` or None.
    interpolation : int
        ``INTER_NEAREST``, ``INTER_LINEAR``, ``INTER_CUBIC`` (a = -3/4) or ``INTER_LANCZOS4``; ``INTER_AREA`` and
        ``INTER_LINEAR_EXACT`` are the linear one, ``INTER_NEAREST_EXACT`` the nearest. With ``WARP_RELATIVE_MAP``,
        maps hold displacements from the point of the output.
    dst : ndarray, optional
        Where to write the result, if it has its shape and dtype.
    borderMode : int
        ``BORDER_CONSTANT``, ``BORDER_REPLICATE``, ``BORDER_REFLECT``, ``BORDER_REFLECT_101``, ``BORDER_WRAP`` or
        ``BORDER_TRANSPARENT``, which leaves pixels of `dst` as they are where `src` has none.
    borderValue : number or sequence of at most 4 numbers, or of one a channel
        The value beyond a constant border, one a channel, zeros being added; a number is that of the first channel
        alone.
    hint : int
        Has no effect: results are always accurate.

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
    pullback.sample : With other interpolations, any number of axes, and gradients.

    Notes
    -----
    Positions are used as they are, where OpenCV rounds some of them to 1/32 of a pixel. The nearest sample of a
    position half-way between two is the even one.

    Examples
    --------
    >>> import numpy as np
    >>> from pullback.compat import cv2
    >>> image = np.array([[0, 10], [20, 30]], np.uint8)
    >>> x, y = np.meshgrid(np.float32([0, 0.5, 1]), np.float32([0, 1]))
    >>> cv2.remap(image, x, y, cv2.INTER_LINEAR)
    array([[ 0,  5, 10],
           [20, 25, 30]], dtype=uint8)
    """
    image = image_of("remap", src)
    code, relative = interpolation & ~WARP_RELATIVE_MAP, bool(interpolation & WARP_RELATIVE_MAP)
    taps = taps_of("remap", image, "interpolation", code, borderMode, borderValue)
    points = map_of("remap", map1, map2, relative, rounded=taps.interpolation == "nearest")
    return write("remap", image, at(points.rows, points.shape, points.is_view), points.shape, dst, taps)


def warpAffine(
    src: Any,
    M: Any,
    dsize: Any,
    dst: Array | None = None,
    flags: int = INTER_LINEAR,
    borderMode: int = BORDER_CONSTANT,
    borderValue: Any = 0,
    hint: int = ALGO_HINT_DEFAULT,
) -> Array:
    """Read an image through an affine map, as `cv2.warpAffine` does.

    Parameters
    ----------
    src : array_like, ``(H, W)`` or ``(H, W, C)``
        As in :func:`remap`.
    M : array_like, ``(2, 3)``
        The matrix, on (x, y), from the image to the output; with ``WARP_INVERSE_MAP`` from the output to the image.
    dsize : (int, int)
        Width and height of the output; those of the image if it is None or one of them is not positive.
    dst : ndarray, optional
        As in :func:`remap`.
    flags : int
        The interpolation, as in :func:`remap`, with or without ``WARP_INVERSE_MAP``.
    borderMode : int
        What lies beyond the image: ``BORDER_CONSTANT`` and so on, as in :func:`remap`.
    borderValue : number or sequence of at most 4 numbers
        The value beyond a constant border, as in :func:`remap`.
    hint : int
        Has no effect.

    Returns
    -------
    ndarray, ``(height, width)`` or ``(height, width, C)``
        `dst` itself, or a new array, in the dtype of `src`.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    See Also
    --------
    pullback.warp : With other interpolations, frames, any number of axes, and gradients.

    Notes
    -----
    The same as ``pullback.warp(src, pullback.Affine(A), (height, width), channel_axis=-1)``, `A` being the inverse of
    `M`, in double precision, on (y, x). A singular matrix reads the sample at (0, 0) everywhere, as in OpenCV.

    Examples
    --------
    >>> import numpy as np
    >>> from pullback.compat import cv2
    >>> image = np.array([[0, 10], [20, 30]], np.uint8)
    >>> right = np.float64([[1, 0, 0.5], [0, 1, 0]])
    >>> cv2.warpAffine(image, right, (3, 2), borderMode=cv2.BORDER_REPLICATE)
    array([[ 0,  5, 10],
           [20, 25, 30]], dtype=uint8)
    """
    image = image_of("warpAffine", src)
    taps = taps_of("warpAffine", image, "flags", flags & INTER_MAX, borderMode, borderValue)
    matrix = matrix_of("warpAffine", M, 2)
    if not flags & WARP_INVERSE_MAP:
        matrix = inverse_affine(matrix)
    shape = shape_of("warpAffine", dsize, image)
    if taps.interpolation == "nearest" and image.dtype in _HALVES_TO_EVEN and meets_halves(matrix):
        rows = projected(np.vstack([matrix, [0, 0, 1]]), shape[1], rounded=True)
        return write("warpAffine", image, at(rows, shape, False), shape, dst, taps)
    return write("warpAffine", image, through(matrix, shape), shape, dst, taps)


def warpPerspective(
    src: Any,
    M: Any,
    dsize: Any,
    dst: Array | None = None,
    flags: int = INTER_LINEAR,
    borderMode: int = BORDER_CONSTANT,
    borderValue: Any = 0,
    hint: int = ALGO_HINT_DEFAULT,
) -> Array:
    """Read an image through a projective map, as `cv2.warpPerspective` does.

    Parameters
    ----------
    src : array_like, ``(H, W)`` or ``(H, W, C)``
        As in :func:`remap`.
    M : array_like, ``(3, 3)``
        The matrix, on (x, y, 1), from the image to the output; with ``WARP_INVERSE_MAP`` from the output to the image.
    dsize : (int, int)
        Width and height of the output; those of the image if it is None or one of them is not positive.
    dst : ndarray, optional
        As in :func:`remap`.
    flags : int
        The interpolation, as in :func:`remap`, with or without ``WARP_INVERSE_MAP``.
    borderMode : int
        What lies beyond the image: ``BORDER_CONSTANT`` and so on, as in :func:`remap`.
    borderValue : number or sequence of at most 4 numbers
        The value beyond a constant border, as in :func:`remap`.
    hint : int
        Has no effect.

    Returns
    -------
    ndarray, ``(height, width)`` or ``(height, width, C)``
        `dst` itself, or a new array, in the dtype of `src`.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    Notes
    -----
    A point that the map sends to infinity, and every point of a singular matrix, gets `borderValue`, or stays as it is
    with ``BORDER_TRANSPARENT``.

    Examples
    --------
    >>> import numpy as np
    >>> from pullback.compat import cv2
    >>> image = np.array([[0, 10], [20, 30]], np.uint8)
    >>> twice = np.diag([2.0, 2.0, 1.0])
    >>> cv2.warpPerspective(image, twice, (3, 3))
    array([[ 0,  5, 10],
           [10, 15, 20],
           [20, 25, 30]], dtype=uint8)
    """
    image = image_of("warpPerspective", src)
    taps = taps_of("warpPerspective", image, "flags", flags & INTER_MAX, borderMode, borderValue)
    matrix = matrix_of("warpPerspective", M, 3)
    if not flags & WARP_INVERSE_MAP:
        matrix = inverse_projective(matrix)
    shape = shape_of("warpPerspective", dsize, image)
    rounded = taps.interpolation == "nearest"
    if matrix[2, 0] == matrix[2, 1] == 0 != matrix[2, 2] and not rounded:
        return write("warpPerspective", image, through(matrix[:2] / matrix[2, 2], shape), shape, dst, taps)
    return write("warpPerspective", image, at(projected(matrix, shape[1], rounded), shape, False), shape, dst, taps)
