"""Which samples the points of a lattice read, and with what weights, in plain torch; see :mod:`.operations`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pullback._borders import RULES
from pullback._kernels import KERNELS, Jet, Kernel
from pullback._plan import INTERPOLATIONS, Plan

_VOID_INDEX = 2**30
# Interpolations whose values jump where the nearest sample, or the winner of a vote, is another one.
_CHOICES = (INTERPOLATIONS["nearest"], INTERPOLATIONS["label"])
# How often the weights on each axis are differentiated: (0, 1) is the slope along the second of two axes.
Orders = tuple[int, ...]


class Tap(NamedTuple):
    """One tap of every point, ``(M, 1, P)``: the sample in the flattened image that it falls on, or fill."""

    sample: Tensor
    inside: Tensor
    weights: tuple[Jet, ...]  # one an axis

    def weight(self, orders: Orders) -> Tensor:
        """Return the product of the weights on all axes, or a derivative of it."""
        return _product(self.weights, orders)


class Neighbourhoods(NamedTuple):
    """All taps of every point, ``(M, 1, P)``, and for each axis the sums over the taps that fall on samples."""

    readable: Tensor
    taps: list[Tap]
    kept: tuple[Jet, ...]

    def fill_share(self, orders: Orders) -> Tensor:
        """Return what the taps on samples leave to the fill value, or a derivative of it."""
        kept = _product(self.kept, orders)
        return -kept if any(orders) else 1 - kept


class _AxisTap(NamedTuple):
    """One tap of every point, on one axis."""

    sample: Tensor
    inside: Tensor
    weight: Jet


def neighbourhoods(
    x: Tensor, in_shape: Sequence[int], plan: Plan, dtype: torch.dtype, derivatives: int, near: float
) -> Neighbourhoods:
    """Return the taps of points at index coordinates `x`, ``(M, 1, P, d)``.

    Weights are in `dtype`, with as many derivatives along each axis as are wanted. Points that lie within `near` of the
    edge of a crop, or of a tie, lie on it.
    """
    x = _rounded(x, in_shape, plan, near) if near else x
    readable = is_readable(x.detach(), in_shape, plan.crop)
    axes, kept = [], []
    for axis, n in enumerate(in_shape):
        # The coordinate of an unreadable point takes part in nothing: not even zero times its derivative is zero.
        at = torch.where(readable, x[..., axis], 0)
        kernel, parameter = KERNELS[plan.interpolation[axis]], plan.parameter[axis]
        taps = _on_axis(at, n, kernel, parameter, plan.border[axis], derivatives, dtype)
        insides = torch.stack([tap.inside for tap in taps])
        terms = zip(*(tap.weight for tap in taps), strict=True)
        kept.append([_kept(torch.stack(each), insides, int(order == 0)) for order, each in enumerate(terms)])
        readable = readable & insides.any(0)
        axes.append(taps)
    joined = [_join(one_an_axis, in_shape) for one_an_axis in itertools.product(*axes)]
    return Neighbourhoods(readable, joined, tuple(kept))


def _rounded(x: Tensor, in_shape: Sequence[int], plan: Plan, near: float) -> Tensor:
    """Return coordinates with those near the edge of a crop, or near a tie, moved onto it."""
    if not plan.crop and not set(plan.interpolation) & set(_CHOICES):
        return x
    axes = []
    for along, n, interpolation in zip(x.unbind(-1), in_shape, plan.interpolation, strict=True):
        at = along.detach()
        if plan.crop:
            at = torch.where(at.abs() <= near, at.clamp(min=0), at)
            at = torch.where((at - (n - 1)).abs() <= near, at.clamp(max=n - 1), at)
        if interpolation in _CHOICES:
            tie = at.floor() + 0.5
            at = torch.where((at - tie).abs() <= near, tie, at)
        # Derivatives pass through, and infinities stay what they are.
        axes.append(along + torch.where(at == along.detach(), 0, at - along.detach()))
    return torch.stack(axes, -1)


def _on_axis(
    x: Tensor, n: int, kernel: Kernel, parameter: float, border: int, derivatives: int, dtype: torch.dtype
) -> list[_AxisTap]:
    rule, (right, fraction) = RULES[border], _located(x, kernel)
    taps = []
    for t, jet in enumerate(kernel.weights(fraction, parameter, derivatives)):
        k = right + (t - kernel.taps // 2)
        inside = (k >= 0) & (k < n) if rule.is_filled else torch.ones_like(k, dtype=torch.bool)
        taps.append(_AxisTap(rule.sample(k, n), inside, [term.to(dtype) for term in jet]))
    return taps


def _located(x: Tensor, kernel: Kernel) -> tuple[Tensor, Tensor]:
    """Return the first sample beyond the knot on the left of each point, and the distance from that knot."""
    floor = x.detach().floor()
    fraction = x - floor
    if kernel.taps % 2 == 0:
        return floor.long() + 1, fraction
    # The knots lie half-way between samples. x + 1/2 would be rounded.
    is_right = fraction >= 0.5
    return (floor + is_right).long(), torch.where(is_right, fraction - 0.5, fraction + 0.5)


def _product(weights: Sequence[Jet], orders: Orders) -> Tensor:
    result: Tensor = weights[0][orders[0]]
    for jet, order in zip(weights[1:], orders[1:], strict=True):
        result = result * jet[order]
    return result


def _kept(terms: Tensor, insides: Tensor, total: int) -> Tensor:
    """Add the terms of the taps that fall on samples: exactly `total` where all that are not zero do.

    Where some that are zero do not, the sum keeps its derivative.
    """
    kept = torch.where(insides, terms, 0).sum(0)
    is_whole = (insides | (terms == 0)).all(0)
    kept = kept + torch.where(is_whole, total - kept, 0).detach()
    return torch.where(insides.all(0), total, kept)


def is_readable(x: Tensor, in_shape: Sequence[int], crop: bool) -> Tensor:
    """Return whether index coordinates can be read: comparisons with NaN are false."""
    readable = (x.abs() < _VOID_INDEX).all(-1)
    if crop:
        readable = readable & ((x >= 0) & (x <= x.new_tensor([n - 1 for n in in_shape]))).all(-1)
    return readable


def _join(factors: Sequence[_AxisTap], in_shape: Sequence[int]) -> Tap:
    """Make one tap from one on each axis."""
    sample, inside, _ = factors[0]
    for n, factor in zip(in_shape[1:], factors[1:], strict=True):
        sample, inside = sample * n + factor.sample, inside & factor.inside
    return Tap(sample, inside, tuple(factor.weight for factor in factors))
