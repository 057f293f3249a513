"""Samples or spline coefficients, and how they are read: through an affine map where that gives SciPy's numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pullback.compat.scipy.arguments import MODES, Array, fill_of, mode_of
from pullback.sampling import prefilter as spline_coefficients
from pullback.sampling import sample
from pullback.transforms import Affine
from pullback.warping import warp

# Samples added on each side before the filter, where a mode has no exact start for the recursion.
_PADDING = 12
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
        rule = MODES[self.mode]
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
            replace(self, image=widened(self.image)).along(axes, scale, offset, output)
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


def reader_of(image: Array, ndim: int, order: int, mode: str, cval: Any, prefilter: bool, output: Array) -> Reader:
    """Prepare the samples of an image of `ndim` spatial axes for the kernels."""
    rule = mode_of(mode)
    fill = fill_of(cval, image.dtype)
    sides = image.shape[image.ndim - ndim :]
    if order == 0 and image.dtype.kind in "biu" and (output.dtype != bool or image.dtype == bool):
        # Copied as they are, at coordinates in float64, which they would not be for narrower integers.
        samples = image.astype(np.int32) if image.dtype.itemsize < 4 else image
        if output.dtype.kind in "biu":
            fill = int(_round(np.array([fill], dtype=np.float64), output.dtype)[0])
        return Reader(samples, sides, 0, order, mode, fill)
    if order == 1 and image.dtype == output.dtype == np.float32:
        return Reader(image, sides, 0, order, mode, fill)
    if order < 2 or not prefilter or not image.size:
        return Reader(widened(image), sides, 0, order, mode, fill)
    padding = 0
    if rule.pad:
        padding = _PADDING
        width = [(0, 0)] * (image.ndim - ndim) + [(padding, padding)] * ndim
        values = {"constant_values": cval} if rule.pad == "constant" else {}
        image = np.pad(image, width, mode=rule.pad, **values)  # type: ignore[call-overload]
    channels = 0 if image.ndim > ndim else None
    samples = spline_coefficients(widened(image), order, rule.filtered, ndim=ndim, channel_axis=channels)
    return Reader(samples, sides, padding, order, mode, fill)


def widened(image: Array) -> Array:
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
