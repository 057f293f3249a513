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

A new interpolation is one function and its row in :data:`KERNELS`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pullback._plan import BORDERS, INTERPOLATIONS, LATTICES, Lattice, Plan

Array: TypeAlias = npt.NDArray[np.float64]
IndexArray: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Kernel: TypeAlias = Callable[[Array], tuple[IndexArray, list[Array], list[Array]]]

VOID_INDEX = 2**30


def _nearest(x: Array) -> tuple[IndexArray, list[Array], list[Array]]:
    floor = np.floor(x)
    first = floor + (x - floor >= 0.5)
    return first.astype(np.int64), [np.ones_like(x)], [np.zeros_like(x)]


def _linear(x: Array) -> tuple[IndexArray, list[Array], list[Array]]:
    floor = np.floor(x)
    f = x - floor
    one = np.ones_like(x)
    return floor.astype(np.int64), [1 - f, f], [-one, one]


KERNELS: dict[int, Kernel] = {
    INTERPOLATIONS["nearest"]: _nearest,
    INTERPOLATIONS["linear"]: _linear,
}

INDEX_MAPS: dict[int, Callable[[IndexArray, int], IndexArray]] = {
    BORDERS["constant"]: lambda k, n: np.where((k >= 0) & (k < n), k, 0),
    BORDERS["edge"]: lambda k, n: np.clip(k, 0, n - 1),
    BORDERS["reflect"]: lambda k, n: _fold(k, n, 2 * (n - 1)) if n > 1 else np.zeros_like(k),
    BORDERS["symmetric"]: lambda k, n: _fold(k, n, 2 * n),
    BORDERS["wrap"]: lambda k, n: np.mod(k, n),
}


def _fold(k: IndexArray, n: int, period: int) -> IndexArray:
    """Run to the end of n samples and back: the way back fills the rest of `period`."""
    k = np.mod(k, period)
    way_back = period - k if period == 2 * (n - 1) else period - 1 - k
    return np.where(k < n, k, way_back)


def border_index(k: IndexArray, n: int, border: int) -> tuple[IndexArray, Mask]:
    """Map tap indices to samples.

    Parameters
    ----------
    k : ndarray of int64
        Tap indices, any shape.
    n : int
        Number of samples on the axis; 0 is possible for a constant border alone.
    border : int
        A code from :data:`pullback._plan.BORDERS`.

    Returns
    -------
    index : ndarray of int64
        The sample that each tap reads, in [0, n); 0 where it reads the fill value.
    inside : ndarray of bool
        False where a tap reads the fill value.

    Examples
    --------
    >>> border_index(np.arange(-2, 5), 3, BORDERS["reflect"])[0]
    array([2, 1, 0, 1, 2, 1, 0])
    """
    constant = border == BORDERS["constant"]
    inside = (k >= 0) & (k < n) if constant else np.ones(k.shape, np.bool_)
    return INDEX_MAPS[border](k, n), inside


def weights(code: int, x: Array) -> tuple[IndexArray, list[Array], list[Array]]:
    """Return the taps of points on one axis.

    Parameters
    ----------
    code : int
        A code from :data:`pullback._plan.INTERPOLATIONS`.
    x : ndarray of float64
        Index coordinates, finite and below 2**30 in magnitude, any shape.

    Returns
    -------
    first : ndarray of int64
        The first tap k0; the others follow it.
    weight, slope : list of ndarray of float64
        For each tap k, w(x - k) and its derivative in x, the one on the right where x is a knot.

    Examples
    --------
    >>> weights(INTERPOLATIONS["linear"], np.array([2.25]))
    (array([2]), [array([0.75]), array([0.25])], [array([-1.]), array([1.])])
    """
    return KERNELS[code](x)


def lattice_positions(lattice: Lattice) -> Array:
    """Return the points of the output lattice in the frame that a transform acts on, ``(*shape, d)``."""
    index = np.moveaxis(np.indices(lattice.shape, np.float64), 0, -1)
    positions: Array = (index - lattice.frame_out.offset) / lattice.frame_out.scale
    return positions


def coordinates(geometry: npt.NDArray[Any], lattice: Lattice) -> Array:
    """Return the index coordinates of the points of the output lattice.

    Parameters
    ----------
    geometry : ndarray
        Coordinates ``(M, *shape, d)`` or matrices ``(M, d, d + 1)``, as `lattice` says.
    lattice : Lattice
        The output lattice and the frames.

    Returns
    -------
    ndarray of float64, ``(M, *shape, d)``
    """
    geometry = geometry.astype(np.float64)
    scale, offset = np.asarray(lattice.frame_in.scale), np.asarray(lattice.frame_in.offset)
    x: Array
    with np.errstate(invalid="ignore", over="ignore"):
        if lattice.kind == LATTICES["given"]:
            x = scale * geometry + offset
        else:
            # Both frames are folded into the matrix, so that an identity is exact in every frame.
            linear = scale[:, None] * geometry[..., :-1] / lattice.frame_out.scale
            constant = scale * geometry[..., -1] + offset - np.einsum("mij,j->mi", linear, lattice.frame_out.offset)
            x = np.einsum("mij,j...->m...i", linear, np.indices(lattice.shape, np.float64))
            x += constant.reshape(len(x), *(1,) * len(lattice.shape), -1)
    return x


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


def neighbourhoods(x: Array, in_shape: tuple[int, ...], plan: Plan) -> Neighbourhoods:
    """Return the taps of points at index coordinates `x`, ``(M, *shape, d)``, of any value."""
    readable: Mask = np.all(np.abs(x) < VOID_INDEX, axis=-1)
    if plan.crop:
        readable &= np.all((x >= 0) & (x <= np.asarray(in_shape) - 1), axis=-1)
    axes, kept_weights, kept_slopes = [], [], []
    for axis, n in enumerate(in_shape):
        first, weight, slope = weights(plan.interpolation[axis], np.where(readable, x[..., axis], 0.0))
        reads = [border_index(first + t, n, plan.border[axis]) for t in range(len(weight))]
        insides = [inside for _, inside in reads]
        # The totals are known: rounding must not leave a trace of `fill` where every tap falls on a sample.
        kept_weights.append(np.where(np.all(insides, axis=0), 1.0, sum_inside(weight, insides)))
        kept_slopes.append(np.where(np.all(insides, axis=0), 0.0, sum_inside(slope, insides)))
        axes.append([(index, inside, w, s) for (index, inside), w, s in zip(reads, weight, slope, strict=True)])
    taps = []
    for one_an_axis in itertools.product(*axes) if 0 not in in_shape else ():
        index, inside, weight_factors, slope_factors = zip(*one_an_axis, strict=True)
        taps.append(Tap(index, np.all(inside, axis=0), weight_factors, slope_factors))
    return Neighbourhoods(readable, taps, kept_weights, kept_slopes)


def sum_inside(terms: list[Array], insides: list[Mask]) -> Array:
    """Add the terms of the taps that fall on samples."""
    total = np.zeros_like(terms[0])
    for term, inside in zip(terms, insides, strict=True):
        total += np.where(inside, term, 0.0)
    return total


def _fill_values(plan: Plan, lattice: Lattice) -> Array:
    """Return the fill values, ``(1 or C, *ones)``."""
    return np.array(plan.fill, np.float64).reshape(-1, *(1,) * len(lattice.shape))


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


def pull(image: npt.NDArray[Any], geometry: npt.NDArray[Any], lattice: Lattice, plan: Plan) -> Array:
    """Return the values of `image` at the points of a lattice.

    Parameters
    ----------
    image : ndarray, ``(N, C, *in_shape)``
        Samples.
    geometry : ndarray
        ``(M, *shape, d)`` or ``(M, d, d + 1)``.
    lattice, plan : Lattice, Plan
        The call.

    Returns
    -------
    ndarray of float64, ``(B, C, *shape)``
    """
    image = image.astype(np.float64)
    near = neighbourhoods(coordinates(geometry, lattice), image.shape[2:], plan)
    fill = _fill_values(plan, lattice)
    return np.where(near.readable[:, None], _weighted_sum(image, near, fill, None), fill)


def gradient(image: npt.NDArray[Any], geometry: npt.NDArray[Any], lattice: Lattice, plan: Plan) -> Array:
    """Return d value / d coordinate, ``(B, C, *shape, d)``, per unit of the image's frame.

    For matrices, the coordinate is what they yield: the position in the image's frame. Parameters are those of
    :func:`pull`.
    """
    image = image.astype(np.float64)
    near = neighbourhoods(coordinates(geometry, lattice), image.shape[2:], plan)
    fill = _fill_values(plan, lattice)
    slopes = [scale * _weighted_sum(image, near, fill, axis) for axis, scale in enumerate(lattice.frame_in.scale)]
    return np.where(near.readable[:, None, ..., None], np.stack(slopes, axis=-1), 0.0)


def push(
    values: npt.NDArray[Any],
    geometry: npt.NDArray[Any],
    lattice: Lattice,
    plan: Plan,
    image_shape: tuple[int, ...],
) -> Array:
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
    ndarray of float64, `image_shape`
    """
    near = neighbourhoods(coordinates(geometry, lattice), image_shape[2:], plan)
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
    image: npt.NDArray[Any], geometry: npt.NDArray[Any], grad: npt.NDArray[Any], lattice: Lattice, plan: Plan
) -> tuple[Array, Array]:
    """Return the gradients of ``(grad * pull(image, geometry)).sum()`` in `image` and in `geometry`.

    Parameters
    ----------
    grad : ndarray, ``(B, C, *shape)``
        The cotangent of the values. Other parameters are those of :func:`pull`.

    Returns
    -------
    grad_image, grad_geometry : ndarray of float64
        Of the shapes of `image` and of `geometry`. With q = A p + t, the matrix gets
        A_bar = sum over p of q_bar p^T and t_bar = sum over p of q_bar.
    """
    near = neighbourhoods(coordinates(geometry, lattice), image.shape[2:], plan)
    grad = np.where(near.readable[:, None], grad, 0.0)
    grad_image = push(grad, geometry, lattice, plan, image.shape)
    grad_point = np.sum(grad[..., None] * gradient(image, geometry, lattice, plan), axis=1)
    if len(geometry) == 1:
        grad_point = np.sum(grad_point, axis=0, keepdims=True)
    if lattice.kind == LATTICES["given"]:
        return grad_image, grad_point
    points = tuple(range(1, 1 + len(lattice.shape)))
    linear = np.sum(grad_point[..., :, None] * lattice_positions(lattice)[..., None, :], axis=points)
    translation = np.sum(grad_point, axis=points)[..., None]
    return grad_image, np.concatenate([linear, translation], axis=-1)
