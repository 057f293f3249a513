"""Where points come from: given maps, and matrices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pullback.compat.cv2.arguments import Array


@dataclass(frozen=True)
class Map:
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


def map_of(function: str, map1: Any, map2: Any, relative: bool, rounded: bool) -> Map:
    """Return the positions that two maps hold, in any of the forms that OpenCV takes."""
    first = np.asarray(map1)
    second = None if map2 is None or np.size(map2) == 0 else np.asarray(map2)
    if second is not None and second.ndim == 3:
        first, second = second, first
    kinds = first.dtype.kind, None if second is None else second.dtype.kind
    if first.ndim == 2 and kinds == ("f", "f") and second is not None and first.shape == second.shape:
        return Map((first, second), None, relative, rounded)
    is_pairs = first.ndim == 3 and first.shape[2] == 2
    is_fixed = kinds[0] == "i" and (second is None or (kinds[1] in ("u", "i") and second.shape == first.shape[:2]))
    if is_pairs and (is_fixed or kinds == ("f", None)):
        return Map((first,), second, relative, rounded)
    got = f"{np.shape(map1)} of {first.dtype}" + ("" if second is None else f" and {np.shape(map2)} of {second.dtype}")
    raise ValueError(
        f"{function}: `map1` and `map2` are {got}; give x and y as two floating-point arrays of one shape, or pairs "
        "(x, y) and None, or the int16 pairs and uint16 fractions of convertMaps"
    )


def inverse_affine(matrix: Array) -> Array:
    """Return the inverse of a 2 x 3 matrix, or zeros if it has none."""
    (a, b, c), (d, e, f) = matrix.tolist()
    determinant = a * e - b * d
    if determinant == 0:
        return np.zeros((2, 3))
    with np.errstate(invalid="ignore"):
        inverse = np.array([[e, -b], [-d, a]]) / determinant
        return np.column_stack([inverse, -inverse @ [c, f]])


def inverse_projective(matrix: Array) -> Array:
    """Return the inverse of a 3 x 3 matrix, or zeros if it has none."""
    try:
        inverse: Array = np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        return np.zeros((3, 3))
    return inverse


def meets_halves(matrix: Array) -> bool:
    """Whether a matrix may put rows of pixels exactly half-way between two samples, as halving an image does."""
    steps = 64 * matrix
    return bool((steps == np.rint(steps)).all() and (matrix != np.rint(matrix)).any())


def projected(matrix: Array, width: int, rounded: bool) -> Callable[[slice], Array]:
    """Return what computes the positions (y, x) of some rows of an output through a 3 x 3 matrix on (x, y, 1)."""
    along = matrix[:, 0, None] * np.arange(width)

    def rows(rows: slice) -> Array:
        y = np.arange(rows.start, rows.stop)[:, None]
        x_part, y_part, scale = (along[i] + (matrix[i, 1] * y + matrix[i, 2]) for i in range(3))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            planes = np.stack([y_part / scale, x_part / scale])
        return np.moveaxis(np.rint(planes, out=planes) if rounded else planes, 0, -1)

    return rows
