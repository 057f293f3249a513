"""Values to given coordinates: the adjoint of sampling, and the means that are made of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pullback import _check
from pullback._arrays import detached, is_masked, is_tensor, like, namespace
from pullback._cache import plain, untraced
from pullback._layout import Layout
from pullback._plan import LATTICES, Cubic, Lattice, Plan, lattice_of
from pullback.backends import Backend, backend_of
from pullback.sampling.call import Reading, reading_of
from pullback.sampling.known import has_signed_weights, least_coverage, quotient, real_dtype

# exp() of importances is taken in bands of this width, a power of two so that what is left of an importance is exact.
# Within a band, weights from exp(-32) to exp(32) stay far from the limits of single precision.
_BAND = 64.0
# What is said where the values of an importance are not there.
_INSTEAD = "normalize=True with weight=importance.exp() is the same where no exponential overflows"


def splat(
    values: Any,
    coords: Any,
    shape: Sequence[int],
    *,
    interpolation: str | Cubic | Sequence[str | Cubic] = "linear",
    border: str | Sequence[str] = "constant",
    extent: str = "blend",
    frame: str = "index",
    normalize: bool | str = False,
    importance: Any = None,
    fill: complex | Sequence[complex] = np.nan,
    channel_axis: int | None = None,
    weight: Any = None,
    return_weight: bool = False,
) -> Any:
    r"""Scatter values to coordinates: the exact adjoint of :func:`sample` in the image, or a mean of what arrives.

    Parameters
    ----------
    values : array_like or Tensor, ``([N,] [C,] ...)``
        What each point brings, of any dtype that :func:`sample` takes. What is masked in a masked array is left out,
        and the image is masked where nothing arrives.
    coords : array_like or Tensor, ``(..., d)``, or ``(N or 1, ..., d)`` for values with a batch axis
        Where it goes, as in :func:`sample`.
    shape : sequence of int
        The `d` spatial sides of the image to make.
    interpolation : str, Cubic, or a sequence with one an axis
        As in :func:`sample`, but not ``"label"``, which has no weights.
    border : str or sequence of str
        Where what falls beyond the image goes, as in :func:`sample`. What falls on the fill value of a constant border
        is lost.
    extent : {"blend", "crop"}
        Whether a point beyond the outermost samples counts, as in :func:`sample`; with ``"crop"`` it is lost.
    frame : {"index", "centered", "normalized", "normalized-corners"}
        What coordinates mean, as in :func:`sample`.
    normalize : {False, True, "softmax", "max"}
        What a sample becomes of the values that reach it. ``False``: their weighted sum, the adjoint. ``True``: their
        weighted mean. ``"softmax"``: their mean with the weights times exp(`importance`), so that the most important
        ones prevail; for interpolations without negative weights. ``"max"``: the value of the most important one; of
        equals, the first.
    importance : array_like or Tensor, optional
        For ``"softmax"`` and ``"max"``: one real number a point, of the shape of the points, ``coords.shape[:-1]``.
        Only differences matter, and they may be of any size. A point whose importance is NaN or -inf is left out.
    fill : number or sequence of numbers
        The value of samples that no point reaches, unless `normalize` is False: one, or one a channel. NaN by default,
        so that a hole shows.
    channel_axis : int, optional
        The axis of `values` that holds channels, where it is not the one before the points: the last one, or the one
        that stands among the points where the image is to have it among its sides. The image has its channels there.
    weight : array_like or Tensor of real numbers, optional
        How far each value is known, from 0 (left out) to 1: of the shape of `values`, or one number a point. What
        arrives is multiplied by it, and a mean divides by the sum of the weights times it.
    return_weight : bool
        Whether to return the coverage too.

    Returns
    -------
    image : ndarray or Tensor, ``([N,] [C,] *shape)``
        The image, in the dtype that sums are formed in (float32 or float64, or complex); tensors of a floating dtype
        keep it. The order of the additions, and so every bit, is the same in every run and for any number of threads.
        Tensors carry gradients to `values`, `coords` and, for ``"softmax"``, `importance`; with ``"max"``, which is
        constant between jumps in the others, to `values`.
    coverage : ndarray or Tensor, ``([N,] [C,] *shape)``
        With `return_weight`: the sum of the weights of the points that reach each sample, each times how far it is
        known, whatever their importance.
        A view that may not be written to where there are channels.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    See Also
    --------
    sample : The adjoint.

    Notes
    -----
    :math:`f[b(k)] \mathrel{+}= v_p \prod_i w(x_{p,i} - k_i)`, so that ``(sample(f, x) * v).sum()`` equals
    ``(f * splat(v, x, f.shape)).sum()`` for a fill of 0. A mean divides by the same sum with 1, or exp(z_p), in the
    place of v_p. Where weights may be negative and cancel (cubic, Mitchell, Lanczos, splines), samples with a coverage
    of 0.1 or less count as not reached.

    Softmax splatting is that of Niklaus and Liu 2020 (arXiv 2003.05534). It takes two passes over the points for each
    64 units that importances spread over, and loses no sample, however unimportant the points that reach it.

    Examples
    --------
    >>> import numpy as np
    >>> import pullback as pb
    >>> pb.splat(np.array([4.0, 1.0]), [[0.25], [2.0]], (3,))
    array([3., 1., 1.])
    >>> pb.splat(np.array([4.0, 1.0]), [[0.25], [2.0]], (4,), normalize=True)
    array([ 4.,  4.,  1., nan])

    Two points meet, and the one that is nearer hides the other:

    >>> depth = np.array([2.0, 9.0])
    >>> pb.splat(np.array([4.0, 1.0]), [[1.0], [1.0]], (2,), normalize="max", importance=-depth, fill=0)
    array([0., 4.])
    """
    reading = reading_of(interpolation, border, fill, extent, channel_axis, frame)
    scatter = _scatter(values, coords, shape, weight, reading)
    reduction = _check.reduction("splat", normalize, signed=has_signed_weights(scatter.plan))
    importance = _importance(scatter, reduction, importance)
    return_weight = _check.flag("splat", "return_weight", return_weight)
    if reduction == "sum":
        image = scatter.sum()
    elif reduction == "max":
        image = scatter.winners(importance)
    else:
        image = scatter.mean() if reduction == "mean" else scatter.softmax(importance)
    image = scatter.restore(image)
    if is_masked(values):
        image = np.ma.MaskedArray(image, scatter.restore(scatter.coverage() <= scatter.least))
    return (image, scatter.restore(scatter.coverage())) if return_weight else image


@dataclass(frozen=True)
class Scatter:
    """Points that bring values to an image.

    Attributes
    ----------
    values : array or tensor, (1 or B, C, *lattice)
    coords : array or tensor, (1 or B, *lattice, d)
    shape : tuple of int
        The spatial sides of the image.
    layout : Layout
        Of the image.
    fill : tuple
        One value, or one a channel.
    weight : array or tensor, (1 or B, 1 or C, *lattice), or None
        How far each value is known.
    """

    backend: Backend
    values: Any
    coords: Any
    lattice: Lattice
    plan: Plan
    shape: tuple[int, ...]
    layout: Layout
    fill: tuple[complex, ...]
    weight: Any = None

    @property
    def batch(self) -> int:
        """The number of images."""
        return len(self.values) if len(self.coords) == 1 else len(self.coords)

    def push(self, values: Any) -> Any:
        """Return the sums of `values`, (1 or B, any channels, *lattice), that reach each sample."""
        batch = len(values) if len(self.coords) == 1 else len(self.coords)
        image = self.backend.push(values, self.coords, self.lattice, self.plan, (batch, values.shape[1], *self.shape))
        return self.backend.prefilter(image, self.plan, adjoint=True) if any(self.plan.prefilter) else image

    def sum(self) -> Any:
        """Return the sums of the values that reach each sample."""
        total, dtype = self.push(self.values if self.weight is None else self.summands()), self._dtype()
        return total if total.dtype == dtype else self.backend.cast(total, dtype)

    def mean(self) -> Any:
        """Return the means of the values that reach each sample."""
        return self._mean(self.push(self.summands()), self._weight())

    def softmax(self, importance: Any) -> Any:
        """Return the means of the values that reach each sample, weighted with exp(importance).

        exp(z) = exp(64 b) exp(z - 64 b), b being the band that z lies in. Each sample leaves out the factor of the
        highest band that reaches it.
        """
        xp, values, real = namespace(self.values), self.summands(), real_dtype(self.backend, self.values)
        band = xp.floor(importance / _BAND)
        total = weight = highest = None
        for b in _distinct(band) or [0.0]:
            within = band == b
            height = like(xp.where(within, importance - _BAND * b, 0), values, real)
            share = xp.where(within, xp.exp(height - _BAND / 2), like(0, values, real))
            summed = self.push(xp.where(within, values, like(0, values, values.dtype)) * share)
            share = share if self.weight is None else share * self.weight
            shares = self.push(share)
            if total is None:
                total, weight = summed, shares
                highest = xp.where(shares > 0, xp.full_like(shares, b, dtype=xp.float64), -np.inf)
                continue
            highest = xp.where((shares > 0) & (highest == -np.inf), b, highest)
            scale = like(xp.exp(xp.where(shares > 0, _BAND * (b - highest), 0)), values, real)
            total, weight = total + scale * summed, weight + scale * shares
        return self._mean(total, weight)

    def winners(self, importance: Any) -> Any:
        """Return the value of the most important point that reaches each sample."""
        xp, points = namespace(self.values), math.prod(self.lattice.shape)
        fill = self._fill()
        if points == 0:
            return self.backend.cast(
                xp.broadcast_to(fill, (self.batch, self.values.shape[1], *self.shape)), self._dtype()
            )
        if self.weight is not None:
            importance = xp.where(
                (self.weight > 0).any(1)[:, None], importance, like(np.nan, importance, importance.dtype)
            )
        winner = self.backend.winners(importance, self.coords, self.lattice, self.plan, self.shape)
        take = np.take_along_axis if xp is np else xp.take_along_dim
        flat = self.values_to_sum().reshape(*self.values.shape[:2], points)
        values = take(flat, winner.reshape(len(winner), 1, math.prod(self.shape)).clip(0), 2)
        values = values.reshape(*values.shape[:2], *self.shape)
        return self.backend.cast(xp.where(winner[:, None] < 0, fill, values), self._dtype())

    def coverage(self) -> Any:
        """Return the sums of the weights that reach each sample."""
        weight = self._weight()
        return namespace(weight).broadcast_to(weight, (self.batch, self.values.shape[1], *self.shape))

    def restore(self, image: Any) -> Any:
        """View a canonical image as the caller expects it."""
        return self.layout.restore(image, self.layout.ndim, self.layout.batch)

    def _mean(self, total: Any, weight: Any) -> Any:
        is_reached = weight > self.least
        mean = namespace(total).where(is_reached, quotient(total, weight, is_reached), self._fill())
        return self.backend.cast(mean, self._dtype())

    @property
    def least(self) -> float:
        """The coverage that a sample must exceed to count as reached."""
        return least_coverage(self.plan) if has_signed_weights(self.plan) else 0

    def values_to_sum(self) -> Any:
        """Return the values in the dtype of sums."""
        return like(self.values, self.values, self.backend.sum_dtype(self.values.dtype))

    def summands(self) -> Any:
        """Return what arrives from each point, times how far it is known, in the dtype of sums."""
        values = self.values_to_sum()
        if self.weight is None:
            return values
        return namespace(values).where(self.weight > 0, values * self.weight, like(0, values, values.dtype))

    def _weight(self) -> Any:
        if self.weight is not None:
            return self.push(self.weight)
        one = like(1, self.values, real_dtype(self.backend, self.values))
        return self.push(namespace(one).broadcast_to(one, (1, 1, *self.lattice.shape)))

    def _fill(self) -> Any:
        fill = like(self.fill, self.values, self.backend.sum_dtype(self.values.dtype))
        return fill.reshape(-1, *(1,) * len(self.shape))

    def _dtype(self) -> Any:
        """Return the dtype of the image: a tensor keeps its own, if it is a floating one."""
        dtype = self.values.dtype
        keeps = is_tensor(self.values) and dtype.is_floating_point
        return dtype if keeps else self.backend.sum_dtype(dtype)


def _scatter(values: Any, coords: Any, shape: Any, weight: Any, reading: Reading) -> Scatter:
    """Return what a call of :func:`splat` scatters, in canonical form."""
    function, backend, given = "splat", backend_of(values), values
    values = backend.as_image(function, "values", values)
    _check.unmasked(function, "coords", coords)
    coords = backend.as_coordinates(function, coords, values)
    ndim = _check.coordinates(function, tuple(coords.shape))
    batch, after = _check.splat_values(
        function, tuple(values.shape), tuple(coords.shape), ndim, plain(reading.channel_axis)
    )
    target = _check.output_shape(function, shape, (0,) * ndim)
    if not batch:
        coords = coords[None]
    points = tuple(coords.shape[1:-1])
    layout = Layout(ndim, batch, after)
    known = _known(function, backend, given, values, weight, layout, points)
    values = layout.canonical(values, len(points), batch)
    _check.batches(function, values.shape[0], coords.shape[0], "coords", image="values")
    plan = reading.plan(function, ndim, values.shape[1], values.dtype)
    _check.mixing(function, plan, "a sum")
    _check.spatial(function, target, plain(reading.border))
    name, kind = _check.frame(function, reading.frame), LATTICES["given"]
    lattice = lattice_of(kind, points, name, target)
    return Scatter(backend, values, coords, lattice, replace(plan, fill=(0.0,)), target, layout, plan.fill, known)


def _known(
    function: str, backend: Backend, given: Any, values: Any, weight: Any, layout: Layout, points: tuple[int, ...]
) -> Any:
    """Return how far each value is known, canonically; None where nothing is said of it."""
    real, known = real_dtype(backend, values), None
    if weight is not None:
        _check.unmasked(function, "weight", weight)
        known = like(weight, values)
        _check.weight(function, known)
        batch = tuple(values.shape[: int(layout.batch)])
        _check.beside(function, "weight", tuple(known.shape), tuple(values.shape), (*batch, *points), "values")
        if known.ndim == values.ndim:
            known = layout.canonical(known, len(points), layout.batch)
        else:
            known = known[:, None] if layout.batch else known[None, None]
        known = like(known, values, real)
        known = namespace(known).broadcast_to(known, (*known.shape[:2], *points))
    if is_masked(given) and np.ma.getmaskarray(given).any():
        there = like(layout.canonical(~np.ma.getmaskarray(given), len(points), layout.batch), values, real)
        known = there if known is None else known * there
    return known


def _importance(scatter: Scatter, reduction: str, importance: Any) -> Any:
    """Return importances, (1 or B, 1, *lattice), float32 or float64; NaN for points that are left out."""
    if not _check.has_importance("splat", reduction, importance):
        return None
    importance = like(importance, scatter.values)
    batch = (scatter.batch,) if scatter.layout.batch else ()
    _check.importance("splat", importance, (*batch, *scatter.lattice.shape), batch=bool(batch))
    if not batch:
        importance = importance[None]
    xp = namespace(importance)
    if importance.dtype not in (xp.float32, xp.float64):
        importance = like(importance, importance, xp.float64)
    return xp.where(importance > -np.inf, importance, like(np.nan, importance, importance.dtype))[:, None]


@untraced(f"splat: normalize='softmax' needs the values of `importance`; {_INSTEAD}")
def _distinct(numbers: Any) -> list[float]:
    """Return the numbers that occur, NaN aside, from the largest down."""
    array = detached(numbers, "splat: normalize='softmax'", _INSTEAD)
    return [float(number) for number in np.unique(array[~np.isnan(array)])[::-1]]
