"""OpenCV's `remap`, `warpAffine` and `warpPerspective` on pullback's kernels.

Names, arguments, defaults and flags are OpenCV's, and so are its conventions: points are (x, y), sizes are (width,
height), channels come last. OpenCV need not be installed: the constants have its values.
"""

# The names of functions and arguments are OpenCV's.
# ruff: noqa: N802, N803

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from pullback._plan import Cubic
from pullback.backends.numpy import cast
from pullback.sampling import sample
from pullback.transforms import Affine
from pullback.warping import warp

__all__ = [
    "ALGO_HINT_ACCURATE",
    "ALGO_HINT_APPROX",
    "ALGO_HINT_DEFAULT",
    "BORDER_CONSTANT",
    "BORDER_DEFAULT",
    "BORDER_ISOLATED",
    "BORDER_REFLECT",
    "BORDER_REFLECT101",
    "BORDER_REFLECT_101",
    "BORDER_REPLICATE",
    "BORDER_TRANSPARENT",
    "BORDER_WRAP",
    "INTER_AREA",
    "INTER_CUBIC",
    "INTER_LANCZOS4",
    "INTER_LINEAR",
    "INTER_LINEAR_EXACT",
    "INTER_MAX",
    "INTER_NEAREST",
    "INTER_NEAREST_EXACT",
    "WARP_FILL_OUTLIERS",
    "WARP_INVERSE_MAP",
    "WARP_RELATIVE_MAP",
    "remap",
    "warpAffine",
    "warpPerspective",
]

Array = npt.NDArray[Any]

INTER_NEAREST = 0
INTER_LINEAR = 1
INTER_CUBIC = 2
INTER_AREA = 3
INTER_LANCZOS4 = 4
INTER_LINEAR_EXACT = 5
INTER_NEAREST_EXACT = 6
INTER_MAX = 7
WARP_FILL_OUTLIERS = 8
WARP_INVERSE_MAP = 16
WARP_RELATIVE_MAP = 32

BORDER_CONSTANT = 0
BORDER_REPLICATE = 1
BORDER_REFLECT = 2
BORDER_WRAP = 3
BORDER_REFLECT_101 = BORDER_REFLECT101 = BORDER_DEFAULT = 4
BORDER_TRANSPARENT = 5
BORDER_ISOLATED = 16

ALGO_HINT_DEFAULT = 0
ALGO_HINT_ACCURATE = 1
ALGO_HINT_APPROX = 2

_INTERPOLATIONS: dict[int, str | Cubic] = {
    INTER_NEAREST: "nearest",
    INTER_LINEAR: "linear",
    INTER_CUBIC: Cubic(-0.75),
    INTER_AREA: "linear",
    INTER_LANCZOS4: "lanczos4",
    INTER_LINEAR_EXACT: "linear",
    INTER_NEAREST_EXACT: "nearest",
}
_BORDERS = {
    BORDER_CONSTANT: "constant",
    BORDER_REPLICATE: "edge",
    BORDER_REFLECT: "symmetric",
    BORDER_WRAP: "wrap",
    BORDER_REFLECT_101: "reflect",
    BORDER_TRANSPARENT: "transparent",
}
# In OpenCV's warpAffine; for all other dtypes, the nearest of two samples is the one on the right.
_HALVES_TO_EVEN = ("uint8", "uint16", "float32")
# So many points at a time have coordinates in memory, where these must be computed.
_BLOCK = 1 << 17


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
    borderValue : number or sequence of at most 4 numbers
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
    image = _image("remap", src)
    code, relative = interpolation & ~WARP_RELATIVE_MAP, bool(interpolation & WARP_RELATIVE_MAP)
    reading = _reading("remap", image, "interpolation", code, borderMode, borderValue)
    points = _map("remap", map1, map2, relative, rounded=reading.interpolation == "nearest")
    return _read(image, _at(points.rows, points.shape, points.is_view), points.shape, dst, reading)


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
    image = _image("warpAffine", src)
    reading = _reading("warpAffine", image, "flags", flags & INTER_MAX, borderMode, borderValue)
    matrix = _matrix("warpAffine", M, 2)
    if not flags & WARP_INVERSE_MAP:
        matrix = _inverse_affine(matrix)
    shape = _shape("warpAffine", dsize, image)
    if reading.interpolation == "nearest" and image.dtype.name in _HALVES_TO_EVEN and _meets_halves(matrix):
        rows = _projected(np.vstack([matrix, [0, 0, 1]]), shape[1], rounded=True)
        return _read(image, _at(rows, shape, False), shape, dst, reading)
    return _read(image, _through(matrix, shape), shape, dst, reading)


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
    image = _image("warpPerspective", src)
    reading = _reading("warpPerspective", image, "flags", flags & INTER_MAX, borderMode, borderValue)
    matrix = _matrix("warpPerspective", M, 3)
    if not flags & WARP_INVERSE_MAP:
        matrix = _inverse_projective(matrix)
    shape = _shape("warpPerspective", dsize, image)
    rounded = reading.interpolation == "nearest"
    if matrix[2, 0] == matrix[2, 1] == 0 != matrix[2, 2] and not rounded:
        return _read(image, _through(matrix[:2] / matrix[2, 2], shape), shape, dst, reading)
    return _read(image, _at(_projected(matrix, shape[1], rounded), shape, False), shape, dst, reading)


# ---- Arguments


@dataclass(frozen=True)
class _Reading:
    """How samples are read: names of :func:`pullback.sample`, beside a border that is "transparent"."""

    interpolation: str | Cubic
    border: str
    fill: tuple[float, ...] = (0.0,)


def _image(function: str, src: Any) -> Array:
    image = np.asarray(src)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.ndim not in (2, 3) or image.size == 0:
        raise ValueError(f"{function}: `src` has shape {image.shape}; give an image, (height, width) or with channels")
    return image


def _reading(
    function: str, image: Array, argument: str, interpolation: int, border_mode: int, border_value: Any
) -> _Reading:
    if interpolation not in _INTERPOLATIONS:
        raise ValueError(f"{function}: `{argument}` asks for interpolation {interpolation}; INTER_* are 0 to 6")
    border_mode = operator.index(border_mode) & ~BORDER_ISOLATED
    if border_mode not in _BORDERS:
        raise ValueError(f"{function}: `borderMode` is {border_mode}; BORDER_* are 0 to 5")
    channels = image.shape[2] if image.ndim == 3 else 1
    fill = _fill(function, border_value, channels, image.dtype)
    return _Reading(_INTERPOLATIONS[interpolation], _BORDERS[border_mode], fill)


def _fill(function: str, value: Any, channels: int, dtype: np.dtype[Any]) -> tuple[float, ...]:
    """Return one value a channel: those of OpenCV's `Scalar`, over and over, as samples of `dtype`."""
    if value is None or isinstance(value, Real):
        value = (value or 0,)
    scalar = np.asarray(value, np.float64).ravel()
    if len(scalar) > 4:
        raise ValueError(f"{function}: `borderValue` has {len(scalar)} entries; give a number or at most 4")
    scalar = np.resize(np.concatenate([scalar, np.zeros(4 - len(scalar))]), channels)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        scalar = np.rint(np.clip(np.nan_to_num(scalar), float(limits.min), float(limits.max)))
    return tuple(scalar.tolist())


def _matrix(function: str, value: Any, rows: int) -> Array:
    matrix = np.asarray(value)
    if matrix.shape != (rows, 3) or matrix.dtype.kind not in "fiu":
        raise ValueError(
            f"{function}: `M` has shape {matrix.shape} and dtype {matrix.dtype}; give {rows} x 3 real numbers"
        )
    return matrix.astype(np.float64)


def _shape(function: str, dsize: Any, image: Array) -> tuple[int, int]:
    """Return the height and the width of the output."""
    if dsize is None:
        dsize = (0, 0)
    try:
        width, height = map(operator.index, dsize)
    except (TypeError, ValueError):
        raise TypeError(f"{function}: `dsize` is {dsize!r}; give two integers, (width, height)") from None
    return (height, width) if min(width, height) > 0 else (image.shape[0], image.shape[1])


# ---- Where points come from: given maps, and matrices


@dataclass(frozen=True)
class _Map:
    """Positions in the image, one a point of the output.

    Attributes
    ----------
    parts : tuple of ndarray
        x and y, (height, width) each, or one array of pairs, (height, width, 2).
    fraction : ndarray of int, (height, width), or None
        What is to be added to pairs of integers: 32 times the fractions of y and x, two digits of base 32.
    relative : bool
        Whether the point itself is to be added.
    rounded : bool
        Whether positions are to be rounded to whole ones, halves to even.
    """

    parts: tuple[Array, ...]
    fraction: Array | None
    relative: bool
    rounded: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the output."""
        return self.parts[0].shape[0], self.parts[0].shape[1]

    @property
    def is_view(self) -> bool:
        """Whether positions need no room of their own."""
        return len(self.parts) == 1 and self.parts[0].dtype.kind == "f" and not (self.relative or self.rounded)

    def rows(self, rows: slice) -> Array:
        """Return index coordinates (y, x), (rows, width, 2)."""
        parts = [part[rows] for part in self.parts]
        if self.is_view:
            return parts[0][..., ::-1]
        x, y = parts if len(parts) == 2 else (parts[0][..., 0], parts[0][..., 1])
        # A plane for each of them: NumPy is slow where the innermost axis has two entries.
        planes = np.empty((2, *x.shape), np.result_type(x, y, np.float64 if self.relative else np.float32))
        planes[0], planes[1] = y, x
        if self.fraction is not None:
            digits = self.fraction[rows]
            planes[0] += (digits >> 5 & 31).astype(np.float32) / 32
            planes[1] += (digits & 31).astype(np.float32) / 32
        if self.relative:
            planes[0] += np.arange(self.shape[0])[rows, None]
            planes[1] += np.arange(self.shape[1])
        return np.moveaxis(np.rint(planes, out=planes) if self.rounded else planes, 0, -1)


def _map(function: str, map1: Any, map2: Any, relative: bool, rounded: bool) -> _Map:
    first = np.asarray(map1)
    second = None if map2 is None or np.size(map2) == 0 else np.asarray(map2)
    if second is not None and second.ndim == 3:
        first, second = second, first
    kinds = first.dtype.kind, None if second is None else second.dtype.kind
    if first.ndim == 2 and kinds == ("f", "f") and second is not None and first.shape == second.shape:
        return _Map((first, second), None, relative, rounded)
    is_pairs = first.ndim == 3 and first.shape[2] == 2
    is_fixed = kinds[0] == "i" and (second is None or (kinds[1] in ("u", "i") and second.shape == first.shape[:2]))
    if is_pairs and (is_fixed or kinds == ("f", None)):
        return _Map((first,), second, relative, rounded)
    got = f"{np.shape(map1)} of {first.dtype}" + ("" if second is None else f" and {np.shape(map2)} of {second.dtype}")
    raise ValueError(
        f"{function}: `map1` and `map2` are {got}; give x and y as two floating-point arrays of one shape, or pairs "
        "(x, y) and None, or the int16 pairs and uint16 fractions of convertMaps"
    )


def _inverse_affine(matrix: Array) -> Array:
    """Return the inverse of a 2 x 3 matrix, or zeros if it has none."""
    (a, b, c), (d, e, f) = matrix.tolist()
    determinant = a * e - b * d
    if determinant == 0:
        return np.zeros((2, 3))
    inverse = np.array([[e, -b], [-d, a]]) / determinant
    return np.column_stack([inverse, -inverse @ [c, f]])


def _inverse_projective(matrix: Array) -> Array:
    """Return the inverse of a 3 x 3 matrix, or zeros if it has none."""
    try:
        inverse: Array = np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        return np.zeros((3, 3))
    return inverse


def _meets_halves(matrix: Array) -> bool:
    """Whether a matrix may put rows of pixels exactly half-way between two samples, as halving an image does."""
    steps = 64 * matrix
    return bool((steps == np.rint(steps)).all() and (matrix != np.rint(matrix)).any())


def _projected(matrix: Array, width: int, rounded: bool) -> Callable[[slice], Array]:
    """Return what computes the positions (y, x) of some rows of an output through a 3 x 3 matrix on (x, y, 1)."""
    along = matrix[:, 0, None] * np.arange(width)

    def rows(rows: slice) -> Array:
        y = np.arange(rows.start, rows.stop)[:, None]
        x_part, y_part, scale = (along[i] + (matrix[i, 1] * y + matrix[i, 2]) for i in range(3))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            planes = np.stack([y_part / scale, x_part / scale])
        return np.moveaxis(np.rint(planes, out=planes) if rounded else planes, 0, -1)

    return rows


# ---- Reading

# Reads an image of the size of `src` into an array, at every point, after adding a number to all positions.
_Read = Callable[[Array, Array, _Reading, float], None]


def _options(image: Array, reading: _Reading) -> dict[str, Any]:
    channel_axis = -1 if image.ndim == 3 else None
    return {
        "interpolation": reading.interpolation,
        "border": reading.border,
        "fill": reading.fill,
        "channel_axis": channel_axis,
    }


def _through(matrix: Array, shape: tuple[int, int]) -> _Read:
    """Return what reads through a 2 x 3 matrix on (x, y, 1)."""

    def read(image: Array, out: Array, reading: _Reading, added: float) -> None:
        in_axis_order = matrix[::-1, [1, 0, 2]] + [0, 0, added]
        warp(image, Affine(in_axis_order), shape, out=out, **_options(image, reading))

    return read


def _at(rows: Callable[[slice], Array], shape: tuple[int, int], at_once: bool) -> _Read:
    """Return what reads at the positions that `rows` gives for some rows of the output, or at once for all."""
    height, width = shape
    step = height if at_once else max(_BLOCK // max(width, 1), 1)

    def read(image: Array, out: Array, reading: _Reading, added: float) -> None:
        options = _options(image, reading)
        for start in range(0, height, max(step, 1)):
            block = slice(start, min(start + step, height))
            points = rows(block)
            sample(image, points + added if added else points, out=out[block], **options)

    return read


def _read(image: Array, read: _Read, shape: tuple[int, int], dst: Array | None, reading: _Reading) -> Array:
    """Return the output, which is `dst` if that has its shape and dtype."""
    full_shape = (*shape, *image.shape[2:])
    if not isinstance(dst, np.ndarray) or dst.dtype != image.dtype or dst.shape not in (full_shape, (*full_shape, 1)):
        dst = np.zeros(full_shape, image.dtype)
    out = dst.reshape(full_shape) if dst.flags.c_contiguous else dst[..., 0] if dst.shape != full_shape else dst
    if np.may_share_memory(image, out):
        image = image.copy()
    if reading.border != "transparent":
        read(image, out, reading, 0.0)
    elif reading.interpolation in ("nearest", "lanczos4"):
        _overlay(image, read, out, reading)
    else:
        _blend(image, read, out, reading)
    return dst


def _overlay(image: Array, read: _Read, out: Array, reading: _Reading) -> None:
    """Write where the tap that a position belongs to, the nearest or the one to its left, is a sample."""
    is_inside = np.empty(out.shape[:2], np.bool_)
    nearest = _Reading("nearest", "constant")
    read(np.ones(image.shape[:2], np.bool_), is_inside, nearest, 0.0 if reading.interpolation == "nearest" else -0.5)
    values = np.empty_like(out)
    read(image, values, replace(reading, border="reflect"), 0.0)
    np.copyto(out, values, where=is_inside.reshape(is_inside.shape + (1,) * (out.ndim - 2)))


def _blend(image: Array, read: _Read, out: Array, reading: _Reading) -> None:
    """Write as if the taps beyond the image read what is in `out`."""
    dtype = np.result_type(image.dtype, np.float32)
    beyond = _Reading(reading.interpolation, "constant")
    share = np.empty(out.shape[:2], dtype)
    read(np.ones(image.shape[:2], dtype), share, beyond, 0.0)
    share = share.reshape(share.shape + (1,) * (out.ndim - 2))
    values = np.empty(out.shape, dtype)
    read(image, values, beyond, 0.0)
    # The weights of a point inside add to 1 but for rounding, which must not leave a trace of `out`.
    is_partial = np.broadcast_to(np.abs(1 - share) > 16 * np.finfo(dtype).eps, out.shape)
    np.add(values, (1 - share) * out, out=values, where=is_partial)
    out[...] = cast(values, out.dtype)
