"""The operations in plain torch: gathers, scatters and products, on any device, differentiable to any order.

The definitions are those of :mod:`pullback._reference`, and tensors are in its canonical form: images
``(N, C, *in_shape)``, values ``(B, C, *shape)``, geometry ``(M, *shape, d)`` or ``(M, d, d + 1)``. Autograd
differentiates whatever is computed here, in image and geometry alike.

Coordinates are computed in float64 where the image or the geometry is of double precision, in float32 otherwise. Sums
are formed in the precision of the image; in float32 for half precision and for integers of up to 16 bits, and in
float64 for wider ones.

With a fill that is not finite, :func:`gradient` is the reference's, but autograd's derivatives of :func:`pull` are not
at points that touch it: NaN where `fill` has a share of the value, and without the slope towards it where that share is
zero.

A new interpolation is one function and its row in ``_KERNELS``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from pullback._plan import BORDERS, INTERPOLATIONS, LATTICES, Lattice, Plan

_VOID_INDEX = 2**30

_Kernel: TypeAlias = Callable[[Tensor], tuple[Tensor, list[Tensor], list[Tensor]]]


def _split(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return floor(x), what is left, and zero.

    The zero depends on x, so that autograd finds derivatives of constant weights to be zero, not missing.
    """
    floor = x.detach().floor()
    f = x - floor
    return floor, f, 0 * f


def _nearest(x: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    floor, f, zero = _split(x)
    return (floor + (f >= 0.5)).long(), [1 + zero], [zero]


def _linear(x: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    floor, f, zero = _split(x)
    return floor.long(), [1 - f, f], [zero - 1, zero + 1]


# From index coordinates on one axis: the first tap, and for each tap its weight and the derivative of the weight.
_KERNELS: dict[int, _Kernel] = {
    INTERPOLATIONS["nearest"]: _nearest,
    INTERPOLATIONS["linear"]: _linear,
}


def _reflect(k: Tensor, n: int) -> Tensor:
    if n == 1:
        return torch.zeros_like(k)
    k = k % (2 * (n - 1))
    return torch.where(k < n, k, 2 * (n - 1) - k)


def _symmetric(k: Tensor, n: int) -> Tensor:
    k = k % (2 * n)
    return torch.where(k < n, k, 2 * n - 1 - k)


# From tap indices to the samples of an axis of n that they read.
_INDEX_MAPS: dict[int, Callable[[Tensor, int], Tensor]] = {
    BORDERS["constant"]: lambda k, n: k.clamp(0, max(n - 1, 0)),
    BORDERS["edge"]: lambda k, n: k.clamp(0, n - 1),
    BORDERS["reflect"]: _reflect,
    BORDERS["symmetric"]: _symmetric,
    BORDERS["wrap"]: lambda k, n: k % n,
}


def _accumulator(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype that sums over samples of `dtype` are formed in."""
    if dtype in (torch.float32, torch.float64, torch.complex64, torch.complex128):
        return dtype
    return torch.float64 if not dtype.is_floating_point and dtype.itemsize >= 4 else torch.float32


def cast(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Return `values` in `dtype`; integers are rounded to nearest, halves to even, and saturated, and NaN becomes 0."""
    if dtype.is_floating_point or dtype.is_complex:
        return values.to(dtype)
    low, high = (False, True) if dtype == torch.bool else (torch.iinfo(dtype).min, torch.iinfo(dtype).max)
    rounded = values.nan_to_num(nan=0.0, posinf=math.inf, neginf=-math.inf).round()
    # float(high) may be high + 1, which must not reach the conversion.
    below = rounded < float(high)
    return torch.where(below, torch.where(below, rounded, 0).clamp(float(low)).to(dtype), high)


def _coordinates(geometry: Tensor, lattice: Lattice, dtype: torch.dtype) -> Tensor:
    """Return the index coordinates of the points of the lattice in one row, ``(M, P, d)``."""
    geometry = geometry.to(dtype)
    scale = geometry.new_tensor(lattice.frame_in.scale)
    offset = geometry.new_tensor(lattice.frame_in.offset)
    if lattice.kind == LATTICES["given"]:
        return scale * geometry.reshape(len(geometry), math.prod(lattice.shape), len(scale)) + offset
    # Both frames are folded into the matrix, so that an identity is exact in every frame. No matrix product forms the
    # coordinates: accelerators may round its factors.
    linear = scale[:, None] * geometry[..., :-1] / geometry.new_tensor(lattice.frame_out.scale)
    origin = (linear * geometry.new_tensor(lattice.frame_out.offset)).sum(-1)
    x = (scale * geometry[..., -1] + offset - origin)[:, None]
    for axis, index in enumerate(_lattice_indices(lattice, geometry)):
        x = x + linear[:, None, :, axis] * index[:, None]
    return x


def _lattice_indices(lattice: Lattice, like: Tensor) -> list[Tensor]:
    """Return the indices of the points of the lattice in one row, one tensor ``(P,)`` an axis."""
    axes = [torch.arange(n, dtype=like.dtype, device=like.device) for n in lattice.shape]
    return [index.flatten() for index in torch.meshgrid(*axes, indexing="ij")]


class _Tap(NamedTuple):
    """One tap of every point, ``(M, 1, P)``: the sample in the flattened image that it falls on, or fill."""

    sample: Tensor
    inside: Tensor
    weights: tuple[Tensor, ...]  # one an axis
    slopes: tuple[Tensor, ...]


class _Neighbourhoods(NamedTuple):
    """All taps of every point, ``(M, 1, P)``, and for each axis the sums over the taps that fall on samples."""

    readable: Tensor
    taps: list[_Tap]
    kept_weights: list[Tensor]
    kept_slopes: list[Tensor]

    def fill_share(self, along: int | None) -> Tensor:
        """Return what the taps on samples leave to the fill value, or its derivative along an axis."""
        kept = _product(self.kept_weights, self.kept_slopes, along)
        return 1 - kept if along is None else -kept


def _product(weights: Sequence[Tensor], slopes: Sequence[Tensor], along: int | None) -> Tensor:
    """Multiply the weights on all axes, with the slope in the place of the weight on the axis `along`."""
    factors = [slopes[axis] if axis == along else weight for axis, weight in enumerate(weights)]
    result = factors[0]
    for factor in factors[1:]:
        result = result * factor
    return result


def _neighbourhoods(
    image_dtype: torch.dtype, geometry: Tensor, lattice: Lattice, plan: Plan, in_shape: Sequence[int]
) -> _Neighbourhoods:
    real = _accumulator(image_dtype).to_real()
    x = _coordinates(geometry, lattice, torch.promote_types(real, geometry.dtype))[:, None]
    readable = _within(x.detach(), in_shape, plan.crop)
    axes, kept_weights, kept_slopes = [], [], []
    for axis, n in enumerate(in_shape):
        # The coordinate of an unreadable point takes part in nothing: not even zero times its derivative is zero.
        first, weights, slopes = _KERNELS[plan.interpolation[axis]](torch.where(readable, x[..., axis], 0))
        weights, slopes = [w.to(real) for w in weights], [s.to(real) for s in slopes]
        ks = [first + t for t in range(len(weights))]
        insides = [_inside(k, n, plan.border[axis]) for k in ks]
        indices = [_INDEX_MAPS[plan.border[axis]](k, n) for k in ks]
        axes.append(list(zip(indices, insides, weights, slopes, strict=True)))
        kept_weights.append(_kept(weights, insides, 1))
        kept_slopes.append(_kept(slopes, insides, 0))
        readable = readable & torch.stack(insides).any(0)
    taps = [_join(one_an_axis, in_shape) for one_an_axis in itertools.product(*axes)]
    return _Neighbourhoods(readable, taps, kept_weights, kept_slopes)


def _kept(terms: Sequence[Tensor], insides: Sequence[Tensor], total: int) -> Tensor:
    """Add the terms of the taps that fall on samples: exactly `total` where all do."""
    inside = torch.stack(list(insides))
    kept = torch.where(inside, torch.stack(list(terms)), 0).sum(0)
    return torch.where(inside.all(0), total, kept)


def _within(x: Tensor, in_shape: Sequence[int], crop: bool) -> Tensor:
    """Return whether index coordinates can be read: comparisons with NaN are false."""
    within = (x.abs() < _VOID_INDEX).all(-1)
    if crop:
        within = within & ((x >= 0) & (x <= x.new_tensor([n - 1 for n in in_shape]))).all(-1)
    return within


def _inside(k: Tensor, n: int, border: int) -> Tensor:
    """Return whether taps read a sample, not the fill value."""
    return (k >= 0) & (k < n) if border == BORDERS["constant"] else torch.ones_like(k, dtype=torch.bool)


def _join(factors: Sequence[tuple[Tensor, Tensor, Tensor, Tensor]], in_shape: Sequence[int]) -> _Tap:
    """Make one tap from one on each axis."""
    indices, insides, weights, slopes = zip(*factors, strict=True)
    sample, inside = indices[0], insides[0]
    for n, k, is_inside in zip(in_shape[1:], indices[1:], insides[1:], strict=True):
        sample, inside = sample * n + k, inside & is_inside
    return _Tap(sample, inside, weights, slopes)


def _row_length(in_shape: Sequence[int]) -> int:
    """Return the number of samples; a side without any counts as one, which no readable point reads."""
    return math.prod(max(n, 1) for n in in_shape)


def _samples(image: Tensor) -> Tensor:
    """Return the samples in one row, ``(N, C, _row_length)``, in the dtype of sums."""
    image = image.to(_accumulator(image.dtype))
    shape = (*image.shape[:2], _row_length(image.shape[2:]))
    return image.reshape(shape) if 0 not in image.shape[2:] else image.new_zeros(shape)


def _batch_size(one: Tensor, other: Tensor) -> int:
    """Return the batch size that two tensors broadcast to."""
    return len(other) if len(one) == 1 else len(one)


def _weighted_sum(samples: Tensor, near: _Neighbourhoods, fill: Tensor, along: int | None) -> Tensor:
    """Return the sum over taps of weight * sample, and the share of `fill`, ``(B, C, P)``.

    With an axis `along`, slopes take the place of the weights on it.
    """
    batch = _batch_size(samples, near.readable)
    samples = samples.expand(batch, -1, -1)
    share = near.fill_share(along)
    # Times an infinite fill, a share of zero and the derivative of an unreadable point would not be zero.
    total = share * torch.where(fill.isfinite() | (near.readable & (share != 0)), fill, 0)
    for tap in near.taps:
        sample = samples.gather(2, tap.sample.expand(batch, samples.shape[1], -1))
        weight = _product(tap.weights, tap.slopes, along)
        # A tap of weight zero contributes nothing, be the sample NaN or infinite, but the weight keeps its derivative.
        total = total + weight * torch.where(tap.inside & (sample.isfinite() | (weight != 0)), sample, 0)
    return total


def _fill_values(samples: Tensor, plan: Plan) -> Tensor:
    """Return the fill values, ``(1 or C, 1)``."""
    return samples.new_tensor(plan.fill)[:, None]


def pull(image: Tensor, geometry: Tensor, lattice: Lattice, plan: Plan) -> Tensor:
    """Return the values of `image` at the points of a lattice.

    Parameters
    ----------
    image : Tensor, ``(N, C, *in_shape)``
        Samples: real or complex numbers, integers or bool.
    geometry : Tensor
        ``(M, *shape, d)`` or ``(M, d, d + 1)``.
    lattice, plan : Lattice, Plan
        The call.

    Returns
    -------
    Tensor, ``(B, C, *shape)``
        Of the dtype of `image`; integers as :func:`cast` makes them.
    """
    samples = _samples(image)
    near = _neighbourhoods(image.dtype, geometry, lattice, plan, image.shape[2:])
    fill = _fill_values(samples, plan)
    values = torch.where(near.readable, _weighted_sum(samples, near, fill, None), fill)
    return cast(values.reshape(*values.shape[:2], *lattice.shape), image.dtype)


def gradient(image: Tensor, geometry: Tensor, lattice: Lattice, plan: Plan) -> Tensor:
    """Return d value / d coordinate, ``(B, C, *shape, d)``, per unit of the image's frame.

    For matrices, the coordinate is what they yield: the position in the image's frame. The dtype is the one that sums
    are formed in. Parameters are those of :func:`pull`.
    """
    readable, slopes = _slopes(image, geometry, lattice, plan)
    slopes = torch.where(readable[..., None], slopes, 0)
    return slopes.reshape(*slopes.shape[:2], *lattice.shape, plan.ndim)


def _slopes(image: Tensor, geometry: Tensor, lattice: Lattice, plan: Plan) -> tuple[Tensor, Tensor]:
    """Return which points are readable, ``(M, 1, P)``, and the slopes of all points, ``(B, C, P, d)``."""
    samples = _samples(image)
    near = _neighbourhoods(image.dtype, geometry, lattice, plan, image.shape[2:])
    fill = _fill_values(samples, plan)
    slopes = [scale * _weighted_sum(samples, near, fill, axis) for axis, scale in enumerate(lattice.frame_in.scale)]
    return near.readable, torch.stack(slopes, dim=-1)


def push(values: Tensor, geometry: Tensor, lattice: Lattice, plan: Plan, image_shape: tuple[int, ...]) -> Tensor:
    """Scatter values to the samples that :func:`pull` reads: its transpose in the image, for a fill of 0.

    Parameters
    ----------
    values : Tensor, ``(B or 1, C, *shape)``
        What each point adds.
    geometry, lattice, plan
        As in :func:`pull`.
    image_shape : tuple of int
        ``(N, C, *in_shape)``. Where N is 1, the whole batch adds to one image.

    Returns
    -------
    Tensor, `image_shape`
        Of the dtype of `values`, or of the one that sums are formed in where that holds integers.
    """
    row = values.to(_accumulator(values.dtype)).reshape(*values.shape[:2], math.prod(lattice.shape))
    near = _neighbourhoods(values.dtype, geometry, lattice, plan, image_shape[2:])
    batch = image_shape[0] if image_shape[0] != 1 else _batch_size(row, geometry)
    image = row.new_zeros((batch, image_shape[1], _row_length(image_shape[2:])))
    for tap in near.taps:
        used = torch.where(near.readable & tap.inside, row, 0)
        share = (_product(tap.weights, tap.slopes, None) * used).expand(batch, -1, -1)
        image = image.scatter_add(2, tap.sample.expand_as(share), share)
    if image_shape[0] == 1:
        image = image.sum(0, keepdim=True)
    image = image[..., : math.prod(image_shape[2:])].reshape(image_shape)
    return image.to(values.dtype) if values.is_floating_point() or values.is_complex() else image


def geometry_vjp(image: Tensor, geometry: Tensor, grad: Tensor, lattice: Lattice, plan: Plan) -> Tensor:
    """Return the gradient of ``(grad * pull(image, geometry)).sum()`` in `geometry`, without autograd.

    Parameters
    ----------
    grad : Tensor, ``(B, C, *shape)``
        The cotangent of the values. Other parameters are those of :func:`pull`.

    Returns
    -------
    Tensor
        Of the shape of `geometry`, and of the dtype that sums are formed in.
    """
    readable, slopes = _slopes(image, geometry, lattice, plan)
    grad = grad.reshape(*grad.shape[:2], math.prod(lattice.shape))
    along = torch.where(readable[..., None], torch.real(grad[..., None] * slopes.conj()), 0)
    grad_point = along.sum(1)
    if len(geometry) == 1:
        grad_point = grad_point.sum(0, keepdim=True)
    if lattice.kind == LATTICES["given"]:
        return grad_point.reshape(geometry.shape)
    index = torch.stack(_lattice_indices(lattice, grad_point), dim=-1)
    position = (index - index.new_tensor(lattice.frame_out.offset)) / index.new_tensor(lattice.frame_out.scale)
    return torch.cat([grad_point.mT @ position, grad_point.sum(1)[..., None]], dim=-1)
