"""The operations in plain torch: gathers, scatters and products, on any device, differentiable to any order.

The definitions are those of :mod:`pullback._reference`, and tensors are in its canonical form: images
``(N, C, *in_shape)``, values ``(B, C, *shape)``, and the geometry of the lattice's kind. Autograd differentiates
whatever is computed here, in image and geometry alike.

Coordinates are computed in float64 where the image or the geometry is of double precision or where integers are chosen
and not mixed, in float32 otherwise. Sums are formed in the precision of the image; in float32 for half precision and
for integers of up to 16 bits, and in float64 for wider ones. A complex image is two real ones.

With a fill that is not finite, :func:`gradient` is the reference's, but autograd's derivatives of :func:`pull` are not
at points that touch it: NaN where `fill` has a share of the value, and without the slope towards it where that share is
zero.

Taps are those of :mod:`pullback.backends.composite.taps`, coordinates those of
:mod:`pullback.backends.composite.lattice`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pullback._cache import cached
from pullback._dtypes import DTYPES
from pullback._plan import BORDERS, INTERPOLATIONS, Lattice, Plan, Sizing
from pullback.backends._protocol import Execution
from pullback.backends.composite.lattice import (
    coordinates,
    geometry_jvp,
    geometry_second,
    geometry_vjp,
    in_axis_order,
    is_unknown,
    lattice_features,
    lost,
    on_rows,
)
from pullback.backends.composite.splines import spline_matrix
from pullback.backends.composite.taps import Neighbourhoods, Orders, neighbourhoods
from pullback.backends.sizes import Verbs, resized

_SUMS = {getattr(torch, row.name): getattr(torch, row.sums) for row in DTYPES.values()}
_REALS = {dtype: dtype.to_real() for dtype in _SUMS.values()}


def sum_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype that samples of `dtype` are summed in, which is that of gradients in them."""
    sums: torch.dtype = _SUMS[dtype]
    return sums


def cast(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Return `values` in `dtype`; integers are rounded to nearest, halves to even, and saturated, and NaN becomes 0."""
    if dtype.is_floating_point or dtype.is_complex or dtype == values.dtype:
        return values.to(dtype)
    if not values.is_floating_point():
        values = values.to(torch.float64)
    low, high = (False, True) if dtype == torch.bool else (torch.iinfo(dtype).min, torch.iinfo(dtype).max)
    rounded = values.nan_to_num(nan=0.0, posinf=math.inf, neginf=-math.inf).round()
    # float(high) may be high + 1, which must not reach the conversion.
    below = rounded < float(high)
    return torch.where(below, torch.where(below, rounded, 0).clamp(float(low)).to(dtype), high)


def _neighbourhoods(
    image_dtype: torch.dtype,
    geometry: Tensor,
    lattice: Lattice,
    plan: Plan,
    in_shape: Sequence[int],
    derivatives: int = 0,
) -> Neighbourhoods:
    real = _REALS[sum_dtype(image_dtype)]
    x = coordinates(geometry, lattice, torch.promote_types(real, geometry.dtype))[:, None]
    near = lattice.near if real == geometry.dtype == torch.float64 else lattice.near_in_single
    return neighbourhoods(x, in_shape, plan, real, derivatives, near)


def _with_lost(values: Tensor, geometry: Tensor, lattice: Lattice) -> Tensor:
    """Return values, ``(B, C, P)``, that are NaN where parameters are not finite, in their derivatives as well."""
    if not lattice.is_computed or not values.is_floating_point():
        return values
    mark = lost(geometry, lattice).to(values.dtype)
    return torch.where(mark.isnan(), mark, values)


def _with_unknown(on_points: Tensor, geometry: Tensor, lattice: Lattice) -> Tensor:
    """Return vectors at points, ``(..., P, d)``, that are NaN where parameters are not finite."""
    if not lattice.is_computed:
        return on_points
    unknown = is_unknown(geometry, lattice)
    unknown = unknown.reshape(len(unknown), *(1,) * (on_points.ndim - 3), unknown.shape[1], 1)
    return torch.where(unknown, math.nan, on_points)


def _orders(plan: Plan, *axes: int) -> Orders:
    """Return how often weights are differentiated along each axis, where it is once along each of `axes`."""
    return tuple(axes.count(axis) for axis in range(plan.ndim))


def _row_length(in_shape: Sequence[int]) -> int:
    """Return the number of samples; a side without any counts as one, which no readable point reads."""
    return math.prod([max(n, 1) for n in in_shape])  # torch.compile takes no generator here


def _samples(image: Tensor) -> Tensor:
    """Return the samples in one row, ``(N, C, _row_length)``, in the dtype of sums."""
    image = image.to(sum_dtype(image.dtype))
    shape = (*image.shape[:2], _row_length(image.shape[2:]))
    return image.reshape(shape) if 0 not in image.shape[2:] else image.new_zeros(shape)


def _batch_size(one: Tensor, other: Tensor) -> int:
    """Return the batch size that two tensors broadcast to."""
    return other.shape[0] if one.shape[0] == 1 else one.shape[0]  # len() would fix a size that a graph leaves open


def _weighted_sum(samples: Tensor, near: Neighbourhoods, fill: Tensor, orders: Orders) -> Tensor:
    """Return the sum over taps of weight * sample, and the share of `fill`, ``(B, C, P)``."""
    batch = _batch_size(samples, near.readable)
    samples = samples.expand(batch, -1, -1)
    share = near.fill_share(orders)
    # Times an infinite fill, a share of zero and the derivative of an unreadable point would not be zero.
    total = share * torch.where(fill.isfinite() | (near.readable & (share != 0)), fill, 0)
    for tap in near.taps:
        sample = samples.gather(2, tap.sample.expand(batch, samples.shape[1], -1))
        weight = tap.weight(orders)
        # A tap of weight zero contributes nothing, be the sample NaN or infinite, but the weight keeps its derivative.
        total = total + weight * torch.where(tap.inside & (sample.isfinite() | (weight != 0)), sample, 0)
    return total


def _fill_values(samples: Tensor, plan: Plan) -> Tensor:
    """Return the fill values, ``(1 or C, 1)``."""
    return samples.new_tensor(plan.fill)[:, None]


def _components(image: Tensor, plan: Plan) -> Iterator[tuple[Tensor, Plan]]:
    """Yield the real and the imaginary part of a complex image, each with its plan."""
    fill = [complex(value) for value in plan.fill]
    yield image.real, replace(plan, fill=tuple(value.real for value in fill))
    yield image.imag, replace(plan, fill=tuple(value.imag for value in fill))


def pull(
    image: Tensor,
    geometry: Tensor,
    lattice: Lattice,
    plan: Plan,
    dtype: torch.dtype | None = None,
    out: None = None,
) -> Tensor:
    """Return the values of `image` at the points of the lattice, ``(B, C, *lattice)``. Labels carry no gradients."""
    if dtype is not None and dtype != image.dtype:
        if not (dtype.is_floating_point or dtype.is_complex):  # integers have no NaN
            lattice = replace(lattice, is_computed=False)
        sums = sum_dtype(image.dtype)
        if dtype in (torch.float64, torch.complex128):
            sums = torch.promote_types(sums, torch.float64)
        return cast(pull(image.to(sums), geometry, lattice, plan), dtype)
    if image.is_complex():
        return torch.complex(*(pull(part, geometry, lattice, of_part) for part, of_part in _components(image, plan)))
    chooses = set(plan.interpolation) <= {INTERPOLATIONS["nearest"], INTERPOLATIONS["label"]}
    if INTERPOLATIONS["label"] in plan.interpolation or (chooses and not image.is_floating_point()):
        return _chosen(image, geometry, lattice, plan)
    samples = _samples(image)
    near = _neighbourhoods(image.dtype, geometry, lattice, plan, image.shape[2:])
    fill = _fill_values(samples, plan)
    values = torch.where(near.readable, _weighted_sum(samples, near, fill, _orders(plan)), fill)
    if image.is_floating_point():
        values = _with_lost(values, geometry, lattice)
    return cast(values.reshape(*values.shape[:2], *lattice.shape), image.dtype)


@torch.no_grad()
def _chosen(image: Tensor, geometry: Tensor, lattice: Lattice, plan: Plan) -> Tensor:
    """Return for each point the sample, or the fill value, with the largest total weight; of equals, the smallest."""
    near = _neighbourhoods(torch.float64, geometry, lattice, plan, image.shape[2:])
    row, fill = _comparable(image).flatten(2), _comparable_fill(image, plan)
    shape = (_batch_size(image, geometry), image.shape[1], math.prod(lattice.shape))
    row = row.expand(shape[0], -1, -1)
    fill = fill.expand(shape)
    orders = _orders(plan)
    ballots = [(fill, near.fill_share(orders))]
    for tap in near.taps if row.shape[2] else ():
        sample = row.gather(2, tap.sample.expand(shape))
        ballots.append((sample, torch.where(tap.inside, tap.weight(orders), 0)))
    winner, most = fill, torch.zeros(shape, dtype=torch.float64, device=image.device)
    for sample, vote in ballots:
        votes = torch.stack([torch.where(other == sample, weight, 0) for other, weight in ballots]).sum(0)
        # Sums that differ by rounding alone are equal.
        wins = (vote > 0) & ((votes > most + 1e-12) | ((votes > most - 1e-12) & (sample < winner)))
        winner, most = torch.where(wins, sample, winner), torch.where(wins, votes, most)
    values = _with_lost(torch.where(near.readable, winner, fill), geometry, lattice)
    values = values.reshape(*shape[:2], *lattice.shape)
    if image.dtype == torch.uint64:
        return (values ^ _TOP_BIT).view(torch.uint64)
    return values.to(image.dtype)


# The sign of an int64. Without it, those that stand for uint64 are in order.
_TOP_BIT = torch.iinfo(torch.int64).min


def _comparable(image: Tensor) -> Tensor:
    """Return floats as they are, integers and bool as int64 in the same order: not all dtypes have comparisons."""
    if image.is_floating_point():
        return image
    return image.view(torch.int64) ^ _TOP_BIT if image.dtype == torch.uint64 else image.to(torch.int64)


def _comparable_fill(image: Tensor, plan: Plan) -> Tensor:
    """Return the fill values, rounded and saturated as :func:`cast` does it, as :func:`_comparable` samples."""
    if image.is_floating_point():
        return image.new_tensor(plan.fill)[:, None]
    is_bool = image.dtype == torch.bool
    low, high = (0, 1) if is_bool else (torch.iinfo(image.dtype).min, torch.iinfo(image.dtype).max)
    fill = [0 if value != value else round(min(max(value.real, low), high)) for value in plan.fill]
    shift = _TOP_BIT if image.dtype == torch.uint64 else 0
    return torch.tensor([value + shift for value in fill], device=image.device)[:, None]


def gradient(image: Tensor, geometry: Tensor, lattice: Lattice, plan: Plan) -> Tensor:
    """Return d value / d coordinate, ``(B, C, *lattice, d)``."""
    if image.is_complex():
        parts = (gradient(part, geometry, lattice, of_part) for part, of_part in _components(image, plan))
        return torch.complex(*parts)
    readable, slopes = _slopes(image, geometry, lattice, plan)
    slopes = slopes * slopes.new_tensor(lattice.frame_in.scale)
    slopes = in_axis_order(torch.where(readable[..., None], slopes, 0), lattice)
    slopes = _with_unknown(slopes, geometry, lattice)
    return slopes.reshape(*slopes.shape[:2], *lattice.shape, plan.ndim)


def _slopes(image: Tensor, geometry: Tensor, lattice: Lattice, plan: Plan) -> tuple[Tensor, Tensor]:
    """Return which points are readable, ``(M, 1, P)``, and the slopes of all points in the index, ``(B, C, P, d)``."""
    samples = _samples(image)
    near = _neighbourhoods(image.dtype, geometry, lattice, plan, image.shape[2:], derivatives=1)
    fill = _fill_values(samples, plan)
    slopes = [_weighted_sum(samples, near, fill, _orders(plan, axis)) for axis in range(plan.ndim)]
    return near.readable, torch.stack(slopes, dim=-1)


def push(values: Tensor, geometry: Tensor, lattice: Lattice, plan: Plan, shape: tuple[int, ...]) -> Tensor:
    """Scatter values to the samples that :func:`pull` reads, of an image of `shape`."""
    if values.is_complex():
        parts = (push(part, geometry, lattice, plan, shape) for part in (values.real, values.imag))
        return torch.complex(*parts)
    near = _neighbourhoods(values.dtype, geometry, lattice, plan, shape[2:])
    row = values.to(sum_dtype(values.dtype)).reshape(*values.shape[:2], math.prod(lattice.shape))
    batch = shape[0] if shape[0] != 1 else _batch_size(row, geometry)
    return _scattered(near, [(row, _orders(plan))], batch, shape)


def _scattered(near: Neighbourhoods, rows: list[tuple[Tensor, Orders]], batch: int, shape: tuple[int, ...]) -> Tensor:
    """Return the sum over taps of values, ``(1 or B, C, P)``, times their weights, differentiated as `orders` say."""
    image = rows[0][0].new_zeros((batch, shape[1], _row_length(shape[2:])))
    for tap in near.taps:
        parts = [tap.weight(orders) * torch.where(near.readable & tap.inside, row, 0) for row, orders in rows]
        share = sum(parts[1:], parts[0]).expand(batch, -1, -1)
        image = image.scatter_add(2, tap.sample.expand_as(share), share)
    if shape[0] == 1:
        image = image.sum(0, keepdim=True)
    return image[..., : math.prod(shape[2:])].reshape(shape)


def vjp(
    image: Tensor,
    geometry: Tensor,
    grad: Tensor,
    lattice: Lattice,
    plan: Plan,
    need_image: bool = True,
    need_geometry: bool = True,
) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients of ``(grad * pull(image, geometry)).sum()`` in `image` and `geometry`, without autograd."""
    grad_image = grad_geometry = None
    if need_image:
        grad_image = push(grad, geometry, lattice, plan, tuple(image.shape))
    if need_geometry:
        grad_geometry = _geometry_vjp(image, geometry, grad, lattice, plan).to(geometry.dtype)
    return grad_image, grad_geometry


def _geometry_vjp(image: Tensor, geometry: Tensor, grad: Tensor, lattice: Lattice, plan: Plan) -> Tensor:
    if image.is_complex():
        parts = zip(_components(image, plan), (grad.real, grad.imag), strict=True)
        real, imaginary = (_geometry_vjp(part, geometry, g, lattice, of_part) for (part, of_part), g in parts)
        return real + imaginary
    readable, slopes = _slopes(image, geometry, lattice, plan)
    grad = grad.reshape(*grad.shape[:2], math.prod(lattice.shape))
    grad_point = torch.where(readable[..., None], grad[..., None] * slopes, 0).sum(1)
    return geometry_vjp(geometry, _with_unknown(_shared(grad_point, geometry), geometry, lattice), lattice)


def jvp(
    image: Tensor,
    geometry: Tensor,
    image_dot: Tensor | None,
    geometry_dot: Tensor | None,
    lattice: Lattice,
    plan: Plan,
) -> Tensor:
    """Return how values move with the image and the geometry; None stands for what does not move."""
    if image.is_complex():
        dots = _components_or_none(image_dot)
        parts = zip(_components(image, plan), dots, strict=True)
        return torch.complex(
            *(jvp(part, geometry, dot, geometry_dot, lattice, of_part) for (part, of_part), dot in parts)
        )
    samples = _samples(image)
    near = _neighbourhoods(image.dtype, geometry, lattice, plan, image.shape[2:], derivatives=1)
    moved = samples.new_zeros((_batch_size(image, geometry), image.shape[1], math.prod(lattice.shape)))
    if image_dot is not None:
        moved = moved + _weighted_sum(_samples(image_dot), near, samples.new_zeros(()), _orders(plan))
    if geometry_dot is not None:
        fill, motion = _fill_values(samples, plan), _motion(near, geometry, geometry_dot, lattice)
        for axis in range(plan.ndim):
            moved = moved + motion[..., axis] * _weighted_sum(samples, near, fill, _orders(plan, axis))
    moved = _with_lost(torch.where(near.readable, moved, 0), geometry, lattice)
    return moved.reshape(*moved.shape[:2], *lattice.shape)


def second(
    image: Tensor,
    geometry: Tensor,
    image_dot: Tensor | None,
    geometry_dot: Tensor | None,
    grad: Tensor,
    lattice: Lattice,
    plan: Plan,
    need_image: bool = True,
    need_geometry: bool = True,
) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients of ``(grad * jvp(...)).sum()`` in `image` and `geometry`, without autograd."""
    if image.is_complex():
        parts = zip(_components(image, plan), _components_or_none(image_dot), (grad.real, grad.imag), strict=True)
        (real, one), (imaginary, other) = (
            second(part, geometry, dot, geometry_dot, on_part, lattice, of_part, need_image, need_geometry)
            for (part, of_part), dot, on_part in parts
        )
        return _complex_or_none(real, imaginary), None if one is None or other is None else one + other
    near = _neighbourhoods(image.dtype, geometry, lattice, plan, image.shape[2:], derivatives=2)
    row = torch.where(near.readable, grad.to(sum_dtype(image.dtype)).flatten(2), 0)
    motion = None if geometry_dot is None else _motion(near, geometry, geometry_dot, lattice)
    grad_image = grad_geometry = None
    if need_image:
        rows = [] if motion is None else [(row * motion[..., i], _orders(plan, i)) for i in range(plan.ndim)]
        batch = image.shape[0] if image.shape[0] != 1 else row.shape[0]
        grad_image = _scattered(near, rows, batch, tuple(image.shape)) if rows else row.new_zeros(image.shape)
    if need_geometry:
        on_points, on_motion = _second_on_points(image, near, image_dot, motion, row, plan)
        on_points = _with_unknown(_shared(on_points, geometry), geometry, lattice)
        on_motion = _shared(on_motion, geometry)
        grad_geometry = geometry_second(geometry, geometry_dot, on_points, on_motion, lattice).to(geometry.dtype)
    return grad_image, grad_geometry


def _second_on_points(
    image: Tensor,
    near: Neighbourhoods,
    image_dot: Tensor | None,
    motion: Tensor | None,
    row: Tensor,
    plan: Plan,
) -> tuple[Tensor, Tensor]:
    """Return the gradients of the inner product of `row` and what moves, in coordinates and in their motion."""
    samples = _samples(image)
    dots, fill = None if image_dot is None else _samples(image_dot), _fill_values(samples, plan)
    nothing = samples.new_zeros(())
    on_points, on_motion = [], []
    for j in range(plan.ndim):
        slope = nothing if dots is None else _weighted_sum(dots, near, nothing, _orders(plan, j))
        along = nothing if motion is None else _weighted_sum(samples, near, fill, _orders(plan, j))
        for i, speed in enumerate(() if motion is None else motion.unbind(-1)):
            slope = slope + speed * _weighted_sum(samples, near, fill, _orders(plan, i, j))
        on_points.append(torch.where(near.readable, row * slope, 0).sum(1))
        on_motion.append(torch.where(near.readable, row * along, 0).sum(1))
    return torch.stack(on_points, dim=-1), torch.stack(on_motion, dim=-1)


def _motion(near: Neighbourhoods, geometry: Tensor, geometry_dot: Tensor, lattice: Lattice) -> Tensor:
    """Return how the coordinates of readable points move, ``(M, 1, P, d)``."""
    dtype = torch.promote_types(near.kept[0][0].dtype, geometry.dtype)
    moved = geometry_jvp(geometry, geometry_dot, lattice, dtype)[:, None]
    return torch.where(near.readable[..., None], moved, 0).to(near.kept[0][0].dtype)


def _shared(on_points: Tensor, geometry: Tensor) -> Tensor:
    """Return gradients on points, summed over the batch where it shares a geometry."""
    return on_points.sum(0, keepdim=True) if geometry.shape[0] == 1 else on_points


def _components_or_none(image: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    return (None, None) if image is None else (image.real, image.imag)


def _complex_or_none(real: Tensor | None, imaginary: Tensor | None) -> Tensor | None:
    return None if real is None or imaginary is None else torch.complex(real, imaginary)


@cached
@torch.inference_mode(False)
def _spline_inverse(order: int, n: int, border: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the matrix that makes n samples into coefficients, ``(n, n)``; which autograd may save."""
    return torch.from_numpy(np.linalg.inv(spline_matrix(order, n, border))).to(device, dtype)


def prefilter(image: Tensor, plan: Plan, adjoint: bool = False) -> Tensor:
    """Return the coefficients whose spline, under the same borders, takes the values of `image` at its samples."""
    if image.is_complex():
        return torch.complex(*(prefilter(part, of_part, adjoint) for part, of_part in _components(image, plan)))
    lines = image.to(sum_dtype(image.dtype))
    fill = lines.new_tensor(plan.fill).reshape(-1, *(1,) * plan.ndim)
    has_fill = BORDERS["constant"] in plan.border and not adjoint
    shift = torch.where(fill.isfinite(), fill, 0) if has_fill else torch.zeros_like(fill)
    lines = lines - shift
    for axis, (order, border) in enumerate(zip(plan.prefilter, plan.border, strict=True), start=2):
        if order > 0:
            inverse = _spline_inverse(order, lines.shape[axis], border, lines.dtype, lines.device)
            lines = torch.tensordot(lines, inverse if adjoint else inverse.mT, dims=([axis], [0])).movedim(-1, axis)
    coefficients: Tensor = lines + shift
    return coefficients


def resample(image: Tensor, axis: int, first: Any, weight: Any, dtype: torch.dtype) -> Tensor:
    """Return ``out[i] = sum_t weight[i, t] * image[first[i] + t]`` along one spatial axis, by a table of arrays."""
    if image.is_complex():
        parts = (image.real, image.imag)
        return torch.complex(*(resample(part, axis, first, weight, dtype.to_real()) for part in parts)).to(dtype)
    lines = image.to(dtype if dtype == torch.float64 else sum_dtype(image.dtype)).movedim(2 + axis, -1)
    first = torch.tensor(first, device=image.device)
    weight = torch.tensor(weight, dtype=lines.dtype, device=image.device)
    total = lines.new_zeros((*lines.shape[:-1], len(first)))
    for t, w in enumerate(weight.unbind(1)):
        samples = lines[..., (first + t).clamp(0, lines.shape[-1] - 1)]
        total = total + w * torch.where(w != 0, samples, 0)
    return cast(total.movedim(-1, 2 + axis), dtype)


VERBS = Verbs(resample, cast, sum_dtype)


def resize(image: Tensor, shape: tuple[int, ...], sizing: Sizing, dtype: torch.dtype) -> Tensor:
    """Return an image with the sides `shape`."""
    values: Tensor = resized(VERBS, image, shape, sizing, dtype)
    return values


def winners(importance: Tensor, geometry: Tensor, lattice: Lattice, plan: Plan, shape: tuple[int, ...]) -> Tensor:
    """Return for each sample the flat index of the point of the largest importance that reaches it."""
    near = _neighbourhoods(importance.dtype, geometry, lattice, plan, shape)
    batch, points, length = _batch_size(importance, geometry), math.prod(lattice.shape), _row_length(shape)
    row = importance.flatten(1).expand(batch, -1)
    # Every offer of a point to a sample: the sample among those of all images, the importance, and the point.
    entry = torch.arange(batch, device=row.device)[:, None] * length
    point = torch.arange(points, device=row.device).expand(batch, -1)
    offers = []
    for tap in near.taps:
        reaches = (near.readable & tap.inside & torch.stack([jet[0] != 0 for jet in tap.weights]).all(0))[:, 0]
        reaches = reaches & ~row.isnan()
        offers.append(((tap.sample[:, 0] + entry)[reaches], row[reaches], point[reaches]))
    sample, value, point = (torch.cat(parts) for parts in zip(*offers, strict=True))
    best = row.new_zeros(batch * length).scatter_reduce(0, sample, value, "amax", include_self=False)
    wins = value == best[sample]
    winner = torch.full_like(best, points, dtype=torch.int64)
    winner = winner.scatter_reduce(0, sample[wins], point[wins], "amin")
    winner = torch.where(winner == points, -1, winner).reshape(batch, length)
    return winner[:, : math.prod(shape)].reshape(batch, *shape)


def normal(image: Tensor, geometry: Tensor, lattice: Lattice, plan: Plan, target: Tensor) -> Tensor:
    """Return the moments of the residual between values and `target`, ``(B, record)``."""
    channels = image.shape[1]
    if image.is_complex():
        target = target.to(image.dtype)
        parts = zip(_components(image, plan), (target.real, target.imag), strict=True)
        real, imaginary = (normal(part, geometry, lattice, of_part, t) for (part, of_part), t in parts)
        return real + imaginary
    samples = image.to(torch.float64)
    near = _neighbourhoods(samples.dtype, geometry, lattice, plan, image.shape[2:])
    weight = (near.readable & torch.stack([tap.inside for tap in near.taps]).any(0)).to(torch.float64)
    if target.shape[1] > channels:
        weight = weight * target[:, channels:].to(torch.float64).flatten(2)
    root = weight.sqrt()
    residual = (pull(samples, geometry, lattice, plan) - target[:, :channels]).flatten(2)
    residual = torch.where(root > 0, root * residual, 0)
    readable, slopes = _slopes(samples, geometry, lattice, plan)
    slopes = on_rows(geometry.to(torch.float64)[:, None], torch.where(readable[..., None], slopes, 0), lattice)
    slopes = torch.where(root[..., None] > 0, root[..., None] * slopes, 0)
    slopes = _with_unknown(slopes, geometry, lattice)
    residual = _with_unknown(residual[..., None], geometry, lattice)[..., 0]
    features = lattice_features(lattice, slopes)
    upper_rows = torch.triu_indices(slopes.shape[-1], slopes.shape[-1], device=image.device)
    upper_features = torch.triu_indices(features.shape[-1], features.shape[-1], device=image.device)
    products = (slopes[..., upper_rows[0]] * slopes[..., upper_rows[1]]).sum(1)
    squares = features[..., upper_features[0]] * features[..., upper_features[1]]
    gradients = (slopes * residual[..., None]).sum(1)
    moments = ((products.mT @ squares).flatten(1), (gradients.mT @ features).flatten(1))
    return torch.cat([*moments, residual.square().sum((1, 2))[:, None]], dim=1)


def execution(image: Tensor, geometry: Tensor, lattice: Lattice, plan: Plan) -> Execution:
    """Return how :func:`pull` would be carried out: the taps of every value are in memory at once."""
    values = _batch_size(image, geometry) * image.shape[1] * math.prod(lattice.shape)
    return Execution("composite", "that of the device", 0, 8 * values * 2**plan.ndim)
