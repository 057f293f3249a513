"""Samples or spline coefficients, and how they are read: through an affine map where that gives SciPy's numbers.

The samples stay in the memory and the dtype that they are in, and sums of them are formed in double precision, as in
SciPy. Where coordinates or values in double precision are needed on the way, they are of a block of the output at a
time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pullback._plan import BORDERS
from pullback.backends.numpy import filter_axes, sum_dtype
from pullback.compat.scipy.arguments import MODES, Array, fill_of, mode_of
from pullback.sampling import sample
from pullback.transforms import Affine
from pullback.warping.images import warp_exactly

# A part of the output: a slice of each axis.
Block = tuple[slice, ...]

# Samples added on each side before the filter, where a mode has no exact start for the recursion.
_PADDING = 12
# As many points of the output have coordinates and values in double precision in memory.
_BLOCK = 1 << 17
# Two ways to compute a coordinate differ by less than this, absolutely in float32, and per sample of a side in float64.
_ROUNDING_SINGLE = 4e-5
_ROUNDING_DOUBLE = 1e-10


@dataclass(frozen=True)
class Reader:
    """Samples or spline coefficients, and how they are read.

    Attributes
    ----------
    image : ndarray, (*spatial) or (channels, *spatial)
    sides : tuple of int
        The spatial shape of the samples, without padding.
    padding : int
        How many samples were added on each side.
    in_single : bool
        Whether single precision will do for the sums.
    """

    image: Array
    sides: tuple[int, ...]
    padding: int
    order: int
    mode: str
    fill: complex
    in_single: bool = False

    @property
    def _folds(self) -> bool:
        """Whether a point beyond the samples must be brought back among them before it is read.

        The period of "wrap" is shorter than the image by one sample. The nearest sample of a point half-way between
        two depends on the side it is seen from.
        """
        return self.mode == "wrap" or (self.order == 0 and self.mode in ("mirror", "reflect", "grid-mirror"))

    def _options(self) -> dict[str, Any]:
        rule = MODES[self.mode]
        return {
            "interpolation": ("nearest", "linear")[self.order] if self.order < 2 else f"bspline{self.order}",
            "border": rule.border if self.image.size else "constant",
            "extent": rule.extent,
            "fill": self.fill,
            "channel_axis": 0 if self.image.ndim > len(self.sides) else None,
        }

    def at(self, coords: Callable[[Block], Array], output: Array) -> None:
        """Read at the coordinates, (..., d), that `coords` returns for a block of the output."""

        def read(block: Block, **target: Any) -> Array:
            return sample(self.image, self._placed(coords(block)), **self._options(), **target)  # type: ignore[no-any-return]

        self._write(read, output, blocks_of(self._lattice(output)))

    def _placed(self, coords: Array) -> Array:
        """Return coordinates on the samples that are there."""
        if not self._folds:
            return coords + np.float64(self.padding) if self.padding else coords
        coords = np.array(coords, np.float64)
        with np.errstate(invalid="ignore"):
            for axis, side in enumerate(self.sides):
                coords[..., axis] = _fold(coords[..., axis], side, self.mode)
        return coords

    def through(self, matrix: Array, offset: Array, output: Array) -> None:
        """Read at ``matrix @ index + offset`` for each index of the output."""
        shape = self._lattice(output)
        square = matrix.shape[0] == matrix.shape[1]
        if square and self._allows(matrix, offset, shape) and not self._grazes(matrix, offset, shape):
            self._warp(matrix, offset, output)
        else:
            self.at(lambda block: _affine_coordinates(matrix, offset, block), output)

    def along(self, axes: Sequence[Array], scale: Array, offset: Array, output: Array) -> None:
        """Read on a grid: `axes` holds the coordinates on each axis, ``scale * index + offset`` but for rounding."""
        allowed = self._allows(np.diag(scale), offset, self._lattice(output))
        if allowed and self._is_smooth(axes, scale, offset):
            self._warp(np.diag(scale), offset, output)
        elif allowed and self.in_single:
            replace(self, in_single=False).along(axes, scale, offset, output)
        else:
            self.at(lambda block: _grid(axes, block), output)

    def _warp(self, matrix: Array, offset: Array, output: Array) -> None:
        def read(block: Block, **target: Any) -> Array:
            start, shape = [part.start for part in block], tuple(part.stop - part.start for part in block)
            affine = Affine(np.column_stack([matrix, matrix @ start + offset + self.padding]))
            return warp_exactly(self.image, affine, shape, **self._options(), **target)  # type: ignore[no-any-return]

        shape = self._lattice(output)
        whole = tuple(slice(0, side) for side in shape)
        self._write(read, output, [whole] if self._writes_to(output) else blocks_of(shape))

    def _lattice(self, output: Array) -> tuple[int, ...]:
        """Return the shape of an output, without channels."""
        return output.shape[self.image.ndim - len(self.sides) :]

    def _copies(self, output: Array) -> bool:
        """Whether integers are copied as they are."""
        return self.order == 0 and self.image.dtype.kind in "biu" and output.dtype.kind in "biu"

    def _writes_to(self, output: Array) -> bool:
        """Whether values can be read into an output, summed in the precision that is asked for and rounded right."""
        dtype = output.dtype
        if not (dtype.isnative and output.flags.aligned):
            return False
        in_double = sum_dtype(self.image.dtype) in (np.float64, np.complex128)
        if dtype.kind in "biu":
            return self._copies(output) and in_double and dtype.kind != "b"
        return in_double or self.in_single or dtype in (np.float64, np.complex128)

    def _write(self, read: Callable[..., Array], output: Array, blocks: Iterator[Block] | list[Block]) -> None:
        """Put what `read` returns for some blocks, given a dtype or an array for it, into `output` as SciPy does."""
        wide = np.complex128 if self.image.dtype.kind == "c" else np.float64
        for block in blocks:
            part: Array = output[(..., *block)]  # type: ignore[arg-type]
            if self._writes_to(output):
                read(block, out=part)
            elif output.dtype.kind in "fc":
                part[...] = read(block, dtype=np.float32 if self.in_single else wide)
            else:
                part[...] = _round(read(block, dtype=wide), output.dtype)

    def _allows(self, matrix: Array, offset: Array, shape: tuple[int, ...]) -> bool:
        """Whether no point needs folding, so that the coordinates are affine in the index."""
        return not self._folds or self._contains(matrix, offset, shape)

    def _contains(self, matrix: Array, offset: Array, shape: tuple[int, ...]) -> bool:
        """Whether every index of an output of `shape` falls among the samples."""
        ends = matrix * (np.array(shape) - 1)
        first, last = offset + np.minimum(ends, 0).sum(1), offset + np.maximum(ends, 0).sum(1)
        return bool((first >= 0).all() and (last <= np.array(self.sides) - 1).all())

    def _rounding(self, side: int) -> float:
        return _ROUNDING_SINGLE if self.in_single else _ROUNDING_DOUBLE * side

    def _is_smooth(self, axes: Sequence[Array], scale: Array, offset: Array) -> bool:
        """Whether the rounding of coordinates cannot tell: no point of a grid lies where values jump."""
        for axis, side, a, b in zip(axes, self.sides, scale, offset, strict=True):
            if not np.isfinite(axis).all():
                return False
            jumps = [axis - np.round(axis - 0.5) - 0.5] if self.order == 0 else []
            if self.mode in ("constant", "wrap"):
                jumps += [axis, axis - (side - 1)]
            exact = not self.in_single and np.array_equal(axis, a * np.arange(len(axis)) + b)
            if not exact and any((np.abs(jump) < self._rounding(side)).any() for jump in jumps):
                return False
        return True

    def _grazes(self, matrix: Array, offset: Array, shape: tuple[int, ...]) -> bool:
        """Whether points may lie on an edge beyond which the image ends, so that rounding can tell."""
        if self.mode != "constant" or (_is_dyadic(matrix) and _is_dyadic(offset)):
            return False
        starts = _affine_coordinates(matrix[:, :-1], offset, tuple(slice(0, side) for side in shape[:-1]))
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


def reader_of(image: Array, ndim: int, order: int, mode: str, cval: Any, prefilter: bool, output: Array) -> Reader:
    """Prepare the samples of an image of `ndim` spatial axes for the kernels."""
    rule = mode_of(mode)
    fill = fill_of(cval, image.dtype)
    sides = image.shape[image.ndim - ndim :]
    if order > 1 and prefilter and image.size:
        padding = _PADDING if rule.pad else 0
        return Reader(_coefficients(image, ndim, order, mode, cval), sides, padding, order, mode, fill)
    if not (image.dtype.isnative and image.flags.aligned) or np.may_share_memory(image, output):
        image = image.astype(image.dtype.newbyteorder("="))
    if order == 0 and image.dtype.kind in "biu" and output.dtype.kind in "iu":
        fill = int(_round(np.array([fill], dtype=np.float64), output.dtype)[0])
    in_single = order == 1 and image.dtype == output.dtype == np.float32
    return Reader(image, sides, 0, order, mode, fill, in_single)


def _coefficients(image: Array, ndim: int, order: int, mode: str, cval: Any) -> Array:
    """Return the spline coefficients of an image that goes on as a mode has it."""
    rule, before = MODES[mode], image.ndim - ndim
    if rule.pad:
        width = [(0, 0)] * before + [(_PADDING, _PADDING)] * ndim
        values = {"constant_values": cval} if rule.pad == "constant" else {}
        image = np.pad(image, width, mode=rule.pad, **values)  # type: ignore[call-overload]
    coefficients = np.array(image, np.complex128 if image.dtype.kind == "c" else np.float64, order="C")
    filter_axes(coefficients, (0,) * before + (order,) * ndim, (BORDERS[rule.filtered],) * image.ndim)
    return coefficients


def blocks_of(shape: tuple[int, ...]) -> Iterator[Block]:
    """Yield the parts of an output that are computed at a time, in order: rows, and rows of rows."""
    if 0 in shape:
        return
    axis = next(axis for axis in range(len(shape)) if math.prod(shape[axis + 1 :]) <= _BLOCK)
    step = max(_BLOCK // math.prod(shape[axis + 1 :]), 1)
    rest = tuple(slice(0, side) for side in shape[axis + 1 :])
    for index in np.ndindex(shape[:axis]):
        before = tuple(slice(i, i + 1) for i in index)
        for start in range(0, shape[axis], step):
            yield (*before, slice(start, min(start + step, shape[axis])), *rest)


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


def _affine_coordinates(matrix: Array, offset: Array, block: Block) -> Array:
    """Return ``matrix @ index + offset``, (*shape, d), for the indices of a block, summed in SciPy's order."""
    coords = np.empty((*(part.stop - part.start for part in block), len(matrix)))
    coords[...] = offset
    for e, index in enumerate(np.ogrid[block]):
        coords += index[..., None] * matrix[:, e]
    return coords


def _grid(axes: Sequence[Array], block: Block) -> Array:
    """Return the coordinates of a block of a grid, (*shape, d)."""
    parts = (axis[part] for axis, part in zip(axes, block, strict=True))
    return np.stack(np.meshgrid(*parts, indexing="ij"), axis=-1)


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
