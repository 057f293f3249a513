"""The slow NumPy truth that every backend is tested against: float64, one tap at a time, one function an idea.

With samples f on the image's lattice, points p with index coordinates x_p, kernel weights w and border map b,

- pull:      v_p = sum over taps k of f[b(k)] * prod_i w(x_p,i - k_i)
- gradient:  the same sum with w' in the place of w on one axis
- push:      f[b(k)] += v_p * prod_i w(x_p,i - k_i), the transpose of pull in f

Arrays are in canonical form: images ``(N, C, *in_shape)``, values ``(B, C, *shape)``, and the geometry of the lattice's
kind, ``(M, *shape, d)`` or ``(M, d, d + 1)``. N and M are each 1 or B.

A tap that falls on the fill value loses its weight to it: `fill` has the share 1 - prod_i K_i of a value, K_i being the
sum of the weights on axis i whose taps fall on samples, and a derivative has the derivative of that. A share of exactly
zero contributes nothing, so that a `fill` of NaN or infinity stays where it belongs.

A point is *unreadable*, gives `fill` and has zero gradients, whatever the border, if one of its index coordinates is
NaN, infinite or at least 2**30 in magnitude, or if the plan crops and it lies outside the outermost samples.

Coordinates that a transform has computed are not finite where its parameters are not: values and gradients in the
parameters are NaN there, though not of integers, which are `fill`. Positions that we compute are rounded to the edge of
a crop, and to half-way between two samples for the nearest one and for votes, where they are near.

A complex image is two real ones. Kernels and borders are those of :mod:`pullback._reference.taps`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pullback._plan import BORDERS, INTERPOLATIONS, Lattice, Plan
from pullback._reference.lattice import coordinates, geometry_vjp, in_axis_order, is_unknown
from pullback._reference.taps import Array, IndexArray, Mask, border_index, weights

AnyArray: TypeAlias = npt.NDArray[Any]

VOID_INDEX = 2**30
# Interpolations whose values jump where the nearest sample, or the winner of a vote, is another one.
CHOICES = (INTERPOLATIONS["nearest"], INTERPOLATIONS["label"])


@dataclass(frozen=True)
class Tap:
    """One tap of every point, as it falls on samples: arrays of shape ``(M, *shape)``, one an axis.

    Attributes
    ----------
    index : tuple of ndarray of int64
        The sample that is read.
    inside : ndarray of bool
        False where the tap falls on the fill value.
    weights, slopes : tuple of ndarray of float64
        Weights and their derivatives, of which the tap's own are products.
    """

    index: tuple[IndexArray, ...]
    inside: Mask
    weights: tuple[Array, ...]
    slopes: tuple[Array, ...]


@dataclass(frozen=True)
class Neighbourhoods:
    """All taps of every point.

    Attributes
    ----------
    readable : ndarray of bool, ``(M, *shape)``
        The taps of unreadable points are arbitrary but valid.
    taps : list of Tap
        Every combination of a tap on each axis.
    kept_weights, kept_slopes : list of ndarray of float64, ``(M, *shape)``
        For each axis, the sums over the taps on that axis that fall on samples.
    """

    readable: Mask
    taps: list[Tap]
    kept_weights: list[Array]
    kept_slopes: list[Array]

    def fill_share(self, along: int | None) -> Array:
        """Return what the taps on samples leave to the fill value, or its derivative along an axis."""
        kept = product(self.kept_weights, self.kept_slopes, along)
        return 1 - kept if along is None else -kept


def product(weights: Sequence[Array], slopes: Sequence[Array], along: int | None) -> Array:
    """Multiply the weights on all axes, with the slope in the place of the weight on the axis `along`."""
    result = np.ones_like(weights[0])
    for axis, weight in enumerate(weights):
        result = result * (slopes[axis] if axis == along else weight)
    return result


def neighbourhoods(x: Array, in_shape: tuple[int, ...], plan: Plan, near: float = 0.0) -> Neighbourhoods:
    """Return the taps of points at index coordinates `x`, ``(M, *shape, d)``, of any value.

    Those that lie within `near` of an edge or a tie lie on it.
    """
    readable: Mask = np.all(np.abs(x) < VOID_INDEX, axis=-1)
    x = _rounded(x, in_shape, plan, near) if near else x
    if plan.crop:
        readable &= np.all((x >= 0) & (x <= np.asarray(in_shape) - 1), axis=-1)
    axes, kept_weights, kept_slopes = [], [], []
    for axis, n in enumerate(in_shape):
        at = np.where(readable, x[..., axis], 0.0)
        first, weight, slope = weights(plan.interpolation[axis], at, plan.parameter[axis])
        reads = [border_index(first + t, n, plan.border[axis]) for t in range(len(weight))]
        insides = [inside for _, inside in reads]
        kept_weights.append(_kept(weight, insides, 1.0))
        kept_slopes.append(_kept(slope, insides, 0.0))
        axes.append([(index, inside, w, s) for (index, inside), w, s in zip(reads, weight, slope, strict=True)])
    taps = []
    for one_an_axis in itertools.product(*axes) if 0 not in in_shape else ():
        index, inside, weight_factors, slope_factors = zip(*one_an_axis, strict=True)
        taps.append(Tap(index, np.all(inside, axis=0), weight_factors, slope_factors))
    return Neighbourhoods(readable, taps, kept_weights, kept_slopes)


def _rounded(x: Array, in_shape: tuple[int, ...], plan: Plan, near: float) -> Array:
    """Return coordinates with those near the edge of a crop, or near a tie, moved onto it."""
    x = x.copy()
    for axis, n in enumerate(in_shape):
        along = x[..., axis]
        with np.errstate(invalid="ignore"):
            if plan.crop:
                along = np.where(np.abs(along) <= near, np.maximum(along, 0), along)
                along = np.where(np.abs(along - (n - 1)) <= near, np.minimum(along, n - 1), along)
            if plan.interpolation[axis] in CHOICES:
                tie = np.floor(along) + 0.5
                along = np.where(np.abs(along - tie) <= near, tie, along)
        x[..., axis] = along
    return x


def _kept(terms: list[Array], insides: list[Mask], total: float) -> Array:
    """Add the terms of the taps that fall on samples.

    Where all that are not zero do, the sum is known: rounding must not leave a trace of `fill`.
    """
    kept = np.sum([np.where(inside, term, 0.0) for term, inside in zip(terms, insides, strict=True)], axis=0)
    is_whole = np.all([inside | (term == 0) for term, inside in zip(terms, insides, strict=True)], axis=0)
    return np.where(is_whole, total, kept)


def _fill_values(plan: Plan, ndim: int) -> Array:
    """Return the fill values, ``(1 or C, *ones)`` with `ndim` ones."""
    return np.array(plan.fill, np.float64).reshape(-1, *(1,) * ndim)


def _components(image: AnyArray, plan: Plan) -> Iterator[tuple[AnyArray, Plan]]:
    """Yield the real and the imaginary part of a complex image, each with its plan."""
    fill = np.array(plan.fill, np.complex128)
    yield image.real, replace(plan, fill=tuple(fill.real.tolist()))
    yield image.imag, replace(plan, fill=tuple(fill.imag.tolist()))


def _joined(real: AnyArray, imaginary: AnyArray) -> AnyArray:
    """Make complex numbers of their components, of which one may be infinite."""
    joined = np.empty(real.shape, np.result_type(real, np.complex64))
    joined.real, joined.imag = real, imaginary
    return joined


def _batch_size(*sizes: int) -> int:
    """Return the size that batches broadcast to."""
    return int(np.broadcast_shapes(*((size,) for size in sizes))[0])


def _where(tap: Tap, batch: int, images: int) -> Any:
    """Return what indexes `images` images at a tap, for a result of `batch`: the indexed image is (B, *shape, C)."""
    entry = np.arange(batch) if images == batch else np.zeros(batch, np.int64)
    return (entry.reshape(-1, *(1,) * (tap.inside.ndim - 1)), slice(None), *tap.index)


def _weighted_sum(image: Array, near: Neighbourhoods, fill: Array, along: int | None) -> Array:
    """Return the sum over taps of weight * sample, and the share of `fill`, ``(B, C, *shape)``.

    With an axis `along`, slopes take the place of the weights on it.
    """
    batch = _batch_size(len(image), len(near.readable))
    share = near.fill_share(along)[:, None]
    total: Array = np.zeros((batch, image.shape[1], *near.readable.shape[1:]))
    with np.errstate(invalid="ignore"):  # samples and fill may be infinite
        total += share * np.where(share == 0, 0.0, fill)
        for tap in near.taps:
            weight = product(tap.weights, tap.slopes, along)[:, None]
            samples = np.moveaxis(image[_where(tap, batch, len(image))], -1, 1)
            total += np.where(tap.inside[:, None] & (weight != 0), weight * samples, 0.0)
    return total


def pull(image: AnyArray, geometry: AnyArray, lattice: Lattice, plan: Plan) -> AnyArray:
    """Return the values of `image` at the points of a lattice.

    Parameters
    ----------
    image : ndarray, ``(N, C, *in_shape)``
        Samples, prefiltered where the plan asks for it.
    geometry : ndarray
        ``(M, *shape, d)`` or ``(M, d, d + 1)``.
    lattice, plan : Lattice, Plan
        The call.

    Returns
    -------
    ndarray of float64 or complex128, ``(B, C, *shape)``
        Of the image's dtype where samples are chosen and not mixed, by ``"nearest"`` on all axes or by ``"label"``.
    """
    if np.iscomplexobj(image):
        return _joined(*(pull(part, geometry, lattice, of_part) for part, of_part in _components(image, plan)))
    near = neighbourhoods(coordinates(geometry, lattice), image.shape[2:], plan, lattice.near)
    readable = near.readable[:, None]
    if set(plan.interpolation) <= {INTERPOLATIONS["nearest"], INTERPOLATIONS["label"]}:
        fill = _fill_samples(plan, image.dtype).reshape(-1, *(1,) * len(lattice.shape))
        values = np.where(readable, _chosen(image, near, fill), fill)
        return values if image.dtype.kind in "biu" else _with_unknown(values, geometry, lattice)
    fill = _fill_values(plan, len(lattice.shape))
    values = np.where(readable, _weighted_sum(image.astype(np.float64), near, fill, None), fill)
    return _with_unknown(values, geometry, lattice)


def _with_unknown(values: AnyArray, geometry: AnyArray, lattice: Lattice, components: int = 0) -> AnyArray:
    """Return values, ``(B, C, *shape)`` and maybe one a component, that are NaN where parameters are not finite."""
    if not lattice.is_computed:
        return values
    unknown = is_unknown(geometry, lattice)[:, None]
    return np.where(unknown[..., None] if components else unknown, np.nan, values)


def _fill_samples(plan: Plan, dtype: np.dtype[Any]) -> AnyArray:
    """Return the fill values as samples: integers are rounded to nearest and saturated, and NaN becomes 0."""
    if dtype.kind not in "biu":
        return np.array(plan.fill).astype(dtype)
    low, high = (0, 1) if dtype.kind == "b" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    return np.array([0 if value != value else round(min(max(value.real, low), high)) for value in plan.fill], dtype)


def _chosen(image: AnyArray, near: Neighbourhoods, fill: AnyArray) -> AnyArray:
    """Return for each point the sample, or the fill value, with the largest total weight; of equals, the smallest."""
    batch = _batch_size(len(image), len(near.readable))
    shape = (batch, image.shape[1], *near.readable.shape[1:])
    ballots = [(np.broadcast_to(fill, shape), near.fill_share(None)[:, None])]
    for tap in near.taps:
        samples = np.moveaxis(image[_where(tap, batch, len(image))], -1, 1)
        ballots.append((samples, np.where(tap.inside, product(tap.weights, tap.slopes, None), 0.0)[:, None]))
    winner, most = ballots[0][0], np.zeros(shape)
    for k, (sample, vote) in enumerate(ballots):
        votes = vote + sum(np.where(other == sample, more, 0.0) for other, more in ballots[:k] + ballots[k + 1 :])
        # Sums that differ by rounding alone are equal.
        wins = (vote > 0) & ((votes > most + 1e-12) | ((votes > most - 1e-12) & (sample < winner)))
        winner, most = np.where(wins, sample, winner), np.where(wins, votes, most)
    return winner


def gradient(image: AnyArray, geometry: AnyArray, lattice: Lattice, plan: Plan) -> AnyArray:
    """Return d value / d coordinate, ``(B, C, *shape, d)``, per unit of the image's frame.

    For matrices, the coordinate is what they yield: the position in the image's frame. Parameters are those of
    :func:`pull`.
    """
    if np.iscomplexobj(image):
        return _joined(*(gradient(part, geometry, lattice, of_part) for part, of_part in _components(image, plan)))
    return in_axis_order(_slopes(image, geometry, lattice, plan) * lattice.frame_in.scale, lattice)


def _slopes(image: AnyArray, geometry: AnyArray, lattice: Lattice, plan: Plan) -> Array:
    """Return d value / d index coordinate of a real image, ``(B, C, *shape, d)``."""
    image = image.astype(np.float64)
    near = neighbourhoods(coordinates(geometry, lattice), image.shape[2:], plan, lattice.near)
    fill = _fill_values(plan, len(lattice.shape))
    slopes = np.stack([_weighted_sum(image, near, fill, axis) for axis in range(plan.ndim)], axis=-1)
    slopes = np.where(near.readable[:, None, ..., None], slopes, 0.0)
    return _with_unknown(slopes, geometry, lattice, plan.ndim)


def push(values: AnyArray, geometry: AnyArray, lattice: Lattice, plan: Plan, image_shape: tuple[int, ...]) -> AnyArray:
    """Scatter values to the samples that :func:`pull` reads: its transpose in the image, for a fill of 0.

    Parameters
    ----------
    values : ndarray, ``(B or 1, C, *shape)``
        What each point adds.
    geometry, lattice, plan
        As in :func:`pull`.
    image_shape : tuple of int
        ``(N, C, *in_shape)``. Where N is 1, the whole batch adds to one image.

    Returns
    -------
    ndarray of float64 or complex128, `image_shape`
    """
    if np.iscomplexobj(values):
        return _joined(*(push(part, geometry, lattice, plan, image_shape) for part in (values.real, values.imag)))
    near = neighbourhoods(coordinates(geometry, lattice), image_shape[2:], plan, lattice.near)
    batch = _batch_size(image_shape[0], len(values), len(geometry))
    image = np.zeros(image_shape)
    for tap in near.taps:
        weight = product(tap.weights, tap.slopes, None)[:, None]
        used = (near.readable & tap.inside)[:, None] & (weight != 0)
        share = np.where(used, weight * values, 0.0)
        share = np.broadcast_to(share, (batch, *share.shape[1:]))
        np.add.at(image, _where(tap, batch, len(image)), np.moveaxis(share, 1, -1))
    return image


def pull_vjp(
    image: AnyArray, geometry: AnyArray, grad: AnyArray, lattice: Lattice, plan: Plan
) -> tuple[AnyArray, Array]:
    """Return the gradients of ``(grad * pull(image, geometry)).sum()`` in `image` and in `geometry`.

    Parameters
    ----------
    grad : ndarray, ``(B, C, *shape)``
        The cotangent of the values, of which a complex one is that of each component, as in PyTorch. Other parameters
        are those of :func:`pull`.

    Returns
    -------
    grad_image, grad_geometry : ndarray of float64, the first of complex128 for a complex image
        Of the shapes of `image` and of `geometry`. Labels have no gradients: all are zero.
    """
    if np.iscomplexobj(image):
        parts = zip(_components(image, plan), (grad.real, grad.imag), strict=True)
        (real, one), (imaginary, other) = (pull_vjp(part, geometry, g, lattice, p) for (part, p), g in parts)
        return _joined(real, imaginary), one + other
    near = neighbourhoods(coordinates(geometry, lattice), image.shape[2:], plan, lattice.near)
    grad = np.where(near.readable[:, None], grad, 0.0)
    is_label = INTERPOLATIONS["label"] in plan.interpolation
    grad_image = np.zeros(image.shape) if is_label else push(grad, geometry, lattice, plan, image.shape)
    grad_point = np.sum(grad[..., None] * _slopes(image, geometry, lattice, plan), axis=1)
    if len(geometry) == 1:
        grad_point = np.sum(grad_point, axis=0, keepdims=True)
    return grad_image, geometry_vjp(geometry, grad_point, lattice)


def spline_matrix(order: int, n: int, border: int) -> Array:
    """Return the values of a B-spline at `n` samples as sums over its coefficients, ``(n, n)``.

    Taps are mapped by the border; those that read the fill value are left out.
    """
    matrix = np.zeros((n, n))
    row = np.arange(n)
    first, weight, _ = weights(INTERPOLATIONS[f"bspline{order}"], row.astype(np.float64))
    for t, w in enumerate(weight):
        index, inside = border_index(first + t, n, border)
        np.add.at(matrix, (row[inside], index[inside]), w[inside])
    return matrix


def prefilter(image: AnyArray, plan: Plan, adjoint: bool = False) -> AnyArray:
    """Return the coefficients whose spline, under the same borders, takes the values of `image` at its samples.

    Parameters
    ----------
    image : ndarray, ``(N, C, *in_shape)``
        Samples.
    plan : Plan
        `prefilter` has the order of the spline on each axis. Beyond constant borders every coefficient is `fill`, or 0
        where that is not finite.
    adjoint : bool
        Whether to apply the transpose of the linear part in the place of the map itself.

    Returns
    -------
    ndarray of float64 or complex128, ``(N, C, *in_shape)``
    """
    if np.iscomplexobj(image):
        return _joined(*(prefilter(part, of_part, adjoint) for part, of_part in _components(image, plan)))
    fill = _fill_values(plan, plan.ndim)
    has_fill = BORDERS["constant"] in plan.border and not adjoint
    shift = np.where(np.isfinite(fill) & has_fill, fill, 0.0)
    lines = image - shift
    for axis, (order, border) in enumerate(zip(plan.prefilter, plan.border, strict=True), start=2):
        if order > 0:
            matrix = spline_matrix(order, image.shape[axis], border)
            inverse = np.linalg.inv(matrix.T if adjoint else matrix)
            lines = np.moveaxis(np.tensordot(inverse, lines, axes=(1, axis)), 0, axis)
    return lines + shift


def winners(
    importance: AnyArray, geometry: AnyArray, lattice: Lattice, plan: Plan, shape: tuple[int, ...]
) -> IndexArray:
    """Return for each sample the flat index of the point of the largest importance that reaches it.

    A point reaches the samples to which its taps give a weight other than zero.

    Parameters
    ----------
    importance : ndarray, ``(B or 1, 1, *lattice.shape)``
        NaN never wins; of equals, the first point does.
    geometry, lattice, plan
        As in :func:`pull`.
    shape : tuple of int
        The spatial sides of the image.

    Returns
    -------
    ndarray of int64, ``(B, *shape)``
        -1 where no point reaches.
    """
    near = neighbourhoods(coordinates(geometry, lattice), shape, plan, lattice.near)
    batch = _batch_size(len(importance), len(geometry))
    winner = np.full((batch, *shape), -1, np.int64)
    best = np.full(winner.shape, -np.inf)
    for (entry, *at), value in np.ndenumerate(np.broadcast_to(importance[:, 0], (batch, *lattice.shape))):
        point = (entry if len(geometry) == batch else 0, *at)
        if np.isnan(value) or not near.readable[point]:
            continue
        for tap in near.taps:
            sample = (entry, *(index[point] for index in tap.index))
            reaches = tap.inside[point] and all(weight[point] != 0 for weight in tap.weights)
            if reaches and (winner[sample] < 0 or value > best[sample]):
                winner[sample], best[sample] = np.ravel_multi_index(at, lattice.shape), value
    return winner
