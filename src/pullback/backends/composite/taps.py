"""What taps weigh and what they read, on one axis, in plain torch: the kernels and the border maps.

Slopes are written out, beside the derivatives that autograd finds, and are the right-hand ones at knots. A new
interpolation is one function and its row in :data:`KERNELS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from pullback._plan import BORDERS, INTERPOLATIONS

Taps: TypeAlias = tuple[Tensor, list[Tensor], list[Tensor]]  # the first tap; the weight and the slope of each tap
Kernel: TypeAlias = Callable[[Tensor, float], Taps]


def _split(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return floor(x), what is left, and zero.

    The zero depends on x, so that autograd finds derivatives of constant weights to be zero, not missing.
    """
    floor = x.detach().floor()
    f = x - floor
    return floor, f, 0 * f


def _nearest(x: Tensor, _: float) -> Taps:
    floor, f, zero = _split(x)
    return (floor + (f >= 0.5)).long(), [1 + zero], [zero]


def _linear(x: Tensor, _: float) -> Taps:
    floor, f, zero = _split(x)
    return floor.long(), [1 - f, f], [zero - 1, zero + 1]


def _label(x: Tensor, _: float) -> Taps:
    """Return the weights of the votes, which choose a sample: the value has no slope."""
    floor, f, zero = _split(x)
    return floor.long(), [1 - f, f], [zero, zero]


def _cubic(x: Tensor, a: float) -> Taps:
    """Cubic convolution, Keys 1981."""
    floor, f, _ = _split(x)
    g = 1 - f
    weights = [
        a * f * g * g,
        1 + f * f * ((a + 2) * f - (a + 3)),
        f * (-a + f * ((2 * a + 3) - (a + 2) * f)),
        a * f * f * g,
    ]
    slopes = [
        a * g * (1 - 3 * f),
        f * (3 * (a + 2) * f - 2 * (a + 3)),
        -a + f * (2 * (2 * a + 3) - 3 * (a + 2) * f),
        a * f * (2 - 3 * f),
    ]
    return floor.long() - 1, weights, slopes


def _mitchell(x: Tensor, _: float) -> Taps:
    """Mix B-spline and Keys, one third to two: Mitchell and Netravali 1988 with B = C = 1/3."""
    first, weights, slopes = _cubic(x, -0.5)
    spline_weights, spline_slopes = _bspline(3)(x, 0.0)[1:]
    weights = [(spline + 2 * keys) / 3 for spline, keys in zip(spline_weights, weights, strict=True)]
    slopes = [(spline + 2 * keys) / 3 for spline, keys in zip(spline_slopes, slopes, strict=True)]
    return first, weights, slopes


def _bspline(order: int) -> Kernel:
    """Return the B-spline of an order, by the recursion of Cox and de Boor on uniform knots."""

    def weigh(x: Tensor, _: float) -> Taps:
        # An even order is centered on a sample: its knots lie half-way between samples.
        floor, u, zero = _split(x if order % 2 else x + 0.5)
        parts, slopes = [1 + zero], []
        for n in range(1, order + 1):
            if n == order:
                padded = [zero, *parts, zero]
                slopes = [padded[t] - padded[t + 1] for t in range(order + 1)]
            shares = [part / n for part in parts]
            down = [(t + 1 - u) * share for t, share in enumerate(shares)]
            up = [(u + (n - 1 - t)) * share for t, share in enumerate(shares)]
            parts = [(down[t] if t < n else zero) + (up[t - 1] if t > 0 else zero) for t in range(n + 1)]
        return floor.long() - order // 2, parts, slopes

    return weigh


def _lanczos(lobes: int) -> Kernel:
    """Return sinc(s) sinc(s / lobes), normalised so that the weights of a point add up to one."""

    def weigh(x: Tensor, _: float) -> Taps:
        floor, f, _zero = _split(x)
        weights, slopes = [], []
        for k in range(lobes - 1, -lobes - 1, -1):
            near, near_slope = _sinc(f + k) if k in (0, -1) else _far_sinc(f, k)
            # Exactly one at the point itself and zero at all others, but with the derivative that they have there.
            is_sample = (f + k == (f + k).round()).detach()
            near = near - torch.where(is_sample, near - (f + k == 0).to(near.dtype), 0).detach()
            wide, wide_slope = _sinc((f + k) / lobes)
            weights.append(near * wide)
            slopes.append(near_slope * wide + near * wide_slope / lobes)
        total, total_slope = torch.stack(weights).sum(0), torch.stack(slopes).sum(0)
        weights = [weight / total for weight in weights]
        slopes = [(slope - weight * total_slope) / total for weight, slope in zip(weights, slopes, strict=True)]
        return floor.long() - (lobes - 1), weights, slopes

    return weigh


def _sinc(s: Tensor) -> tuple[Tensor, Tensor]:
    """Return sin(pi s) / (pi s) and its derivative for distances of up to 1, by their power series.

    Unlike the quotients, they keep their digits near 0, and so do all derivatives that autograd makes of them.
    """
    square, rate = (math.pi * s) ** 2, 2 * math.pi**2 * s
    value, slope = 1 + 0 * s, 0 * s
    for k in range(16, 0, -1):
        slope = -(rate * value + square * slope) / (2 * k * (2 * k + 1))
        value = 1 - square * value / (2 * k * (2 * k + 1))
    return value, slope


def _far_sinc(f: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return sin(pi s) / (pi s) and its derivative at a distance s = f + k of 1 or more."""
    s, sign = f + k, (-1) ** (k % 2)
    value = sign * torch.sin(math.pi * f) / (math.pi * s)
    return value, (sign * torch.cos(math.pi * f) - value) / s


KERNELS: dict[int, Kernel] = {
    INTERPOLATIONS["nearest"]: _nearest,
    INTERPOLATIONS["linear"]: _linear,
    INTERPOLATIONS["cubic"]: _cubic,
    INTERPOLATIONS["mitchell"]: _mitchell,
    INTERPOLATIONS["lanczos2"]: _lanczos(2),
    INTERPOLATIONS["lanczos3"]: _lanczos(3),
    INTERPOLATIONS["lanczos4"]: _lanczos(4),
    INTERPOLATIONS["bspline2"]: _bspline(2),
    INTERPOLATIONS["bspline3"]: _bspline(3),
    INTERPOLATIONS["bspline4"]: _bspline(4),
    INTERPOLATIONS["bspline5"]: _bspline(5),
    INTERPOLATIONS["label"]: _label,
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
INDEX_MAPS: dict[int, Callable[[Tensor, int], Tensor]] = {
    BORDERS["constant"]: lambda k, n: k.clamp(0, max(n - 1, 0)),
    BORDERS["edge"]: lambda k, n: k.clamp(0, n - 1),
    BORDERS["reflect"]: _reflect,
    BORDERS["symmetric"]: _symmetric,
    BORDERS["wrap"]: lambda k, n: k % n,
}


def is_inside(k: Tensor, n: int, border: int) -> Tensor:
    """Return whether taps read a sample, not the fill value."""
    return (k >= 0) & (k < n) if border == BORDERS["constant"] else torch.ones_like(k, dtype=torch.bool)
