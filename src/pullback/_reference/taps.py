"""What taps weigh and what they read, on one axis: the kernels and the border maps of :mod:`pullback._reference`.

A kernel is a function of index coordinates x, finite and below 2**30 in magnitude, and of the one number that it may be
free in. It returns the first tap k0 of each point, the others following it, and for each tap k its weight w(x - k) and
the derivative of that in x, the one on the right where x is a knot.

A new interpolation is one function and its row in :data:`KERNELS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pullback._plan import BORDERS, INTERPOLATIONS

Array: TypeAlias = npt.NDArray[np.float64]
IndexArray: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Taps: TypeAlias = tuple[IndexArray, list[Array], list[Array]]
Kernel: TypeAlias = Callable[[Array, float], Taps]


def _split(x: Array) -> tuple[IndexArray, Array]:
    """Return floor(x) and the fraction."""
    floor = np.floor(x)
    return floor.astype(np.int64), x - floor


def _nearest(x: Array, _: float) -> Taps:
    floor, f = _split(x)
    return floor + (f >= 0.5), [np.ones_like(x)], [np.zeros_like(x)]


def _linear(x: Array, _: float) -> Taps:
    floor, f = _split(x)
    one = np.ones_like(x)
    return floor, [1 - f, f], [-one, one]


def _label(x: Array, _: float) -> Taps:
    """Return the weights of the votes, which choose a sample: the value has no slope."""
    first, weight, slope = _linear(x, 0.0)
    return first, weight, [0 * s for s in slope]


def _cubic(x: Array, a: float) -> Taps:
    """Keys 1981: the cubic Hermite interpolant whose slope at sample k is -a (f[k + 1] - f[k - 1])."""
    floor, f = _split(x)
    g = 1 - f
    start, end, rise, fall = (1 + 2 * f) * g**2, (1 + 2 * g) * f**2, f * g**2, -(f**2) * g
    weight = [a * rise, start + a * fall, end - a * rise, -a * fall]
    start, end, rise, fall = -6 * f * g, 6 * f * g, g * (1 - 3 * f), f * (3 * f - 2)
    slope = [a * rise, start + a * fall, end - a * rise, -a * fall]
    return floor - 1, weight, slope


def _mitchell(x: Array, _: float) -> Taps:
    """Mitchell and Netravali 1988 with B = C = 1/3: a third of the cubic B-spline, two thirds of Keys' kernel."""
    first, smooth, smooth_slope = _bspline(3)(x, 0.0)
    sharp, sharp_slope = _cubic(x, -0.5)[1:]
    weight = [(p + 2 * q) / 3 for p, q in zip(smooth, sharp, strict=True)]
    slope = [(p + 2 * q) / 3 for p, q in zip(smooth_slope, sharp_slope, strict=True)]
    return first, weight, slope


def _bspline(order: int) -> Kernel:
    """Make the kernel of an order by the recursion of Cox and de Boor."""

    def kernel(x: Array, _: float) -> Taps:
        # An even order is centered on a sample, its knots half-way between them; u is the distance from the last knot.
        floor, u = _split(x + 0.5 if order % 2 == 0 else x)
        lower, none = [np.ones_like(u)], np.zeros_like(u)
        weight, slope = lower, [none]
        for m in range(1, order + 1):
            left, right = [none, *lower], [*lower, none]
            weight = [((t + 1 - u) * right[t] + (u + m - t) * left[t]) / m for t in range(m + 1)]
            slope = [left[t] - right[t] for t in range(m + 1)]
            lower = weight
        return floor - order // 2, weight, slope

    return kernel


def _lanczos(lobes: int) -> Kernel:
    """Make sinc(s) sinc(s / lobes), with the weights of a point divided by their sum."""

    def kernel(x: Array, _: float) -> Taps:
        floor, f = _split(x)
        # sin(pi (f + k)) is (-1)^k sin(pi f): exactly 0 at integers, and exact near both ends of the cell.
        sine, cosine = np.sin(np.pi * np.minimum(f, 1 - f)), np.cos(np.pi * f)
        weight, slope = [], []
        for k in range(lobes - 1, -lobes - 1, -1):
            s, sign = f + k, (-1) ** (k % 2)
            near = _sinc(s, sign * sine, sign * cosine)
            wide = _sinc(s / lobes, np.sin(np.pi * s / lobes), np.cos(np.pi * s / lobes))
            weight.append(near[0] * wide[0])
            slope.append(near[1] * wide[0] + near[0] * wide[1] / lobes)
        total, total_slope = np.sum(weight, axis=0), np.sum(slope, axis=0)
        weight = [w / total for w in weight]
        slope = [(s - w * total_slope) / total for w, s in zip(weight, slope, strict=True)]
        return floor + 1 - lobes, weight, slope

    return kernel


def _sinc(s: Array, sine: Array, cosine: Array) -> tuple[Array, Array]:
    """Return sin(pi s) / (pi s) and its derivative in s, given sin(pi s) and cos(pi s)."""
    is_small = np.abs(s) < 0.01  # where the quotients lose digits, and the series need no more terms than these
    square = (np.pi * s) ** 2
    series = 1 - square / 6 * (1 - square / 20 * (1 - square / 42))
    series_slope = -(np.pi**2) * s / 3 * (1 - square / 10 * (1 - square / 28 * (1 - square / 54)))
    divisor = np.where(is_small, 1.0, s)
    value = np.where(is_small, series, sine / (np.pi * divisor))
    return value, np.where(is_small, series_slope, (cosine - value) / divisor)


KERNELS: dict[int, Kernel] = {
    INTERPOLATIONS["nearest"]: _nearest,
    INTERPOLATIONS["linear"]: _linear,
    INTERPOLATIONS["cubic"]: _cubic,
    INTERPOLATIONS["mitchell"]: _mitchell,
    **{INTERPOLATIONS[f"lanczos{lobes}"]: _lanczos(lobes) for lobes in (2, 3, 4)},
    **{INTERPOLATIONS[f"bspline{order}"]: _bspline(order) for order in (2, 3, 4, 5)},
    INTERPOLATIONS["label"]: _label,
}


def weights(code: int, x: Array, parameter: float = 0.0) -> Taps:
    """Return the taps of points on one axis.

    Parameters
    ----------
    code : int
        A code from :data:`pullback._plan.INTERPOLATIONS`.
    x : ndarray of float64
        Index coordinates, finite and below 2**30 in magnitude, any shape.
    parameter : float
        The slope `a` of the cubic kernel; the others have none.

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
    return KERNELS[code](x, parameter)


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
