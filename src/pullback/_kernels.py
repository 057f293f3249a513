"""The interpolation kernels as array operations, and the table of what is known of each in Python.

A kernel with n taps weighs the n samples nearest to a point. Its weights are functions of where the point lies between
two knots: f, from 0 on and below 1, is its distance from the one on the left. The knots are the samples where n is
even, and lie half-way between them where n is odd. So the taps of a point x are

    k_t = floor(x - n / 2) + 1 + t,  t = 0 ... n - 1,

and f is the fraction of x - n / 2. At a knot, derivatives are the right-hand ones.

All that stands here are operators, which arrays of NumPy and of torch have alike. Autograd finds the derivatives of
weights that are given, and derivatives of those: constants depend on f too, so that theirs are zero and not missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

Array: TypeAlias = Any
# A function and its derivatives, as many of the first two as there are entries beyond the first.
Jet: TypeAlias = list[Array]
# From the fraction of points, the number that the kernel is still free in, and how many derivatives are wanted (0 to
# 2), to the jet of each tap.
Shape: TypeAlias = Callable[[Array, float, int], list[Jet]]


@dataclass(frozen=True)
class Kernel:
    """A row of the table.

    Attributes
    ----------
    name : str
        What callers ask for.
    code : int
        The value in the enum of ``native/basis.hpp``.
    taps : int
        How many samples an axis a point reads; half of it is the radius of the support.
    shape : callable
        The kernel, piece by piece between its knots: see :data:`Shape`.
    is_positive : bool
        Whether no weight is negative.
    is_normalized : bool
        Whether the weights of a point are divided by their sum, which is not quite 1.
    spline : int
        The order of the B-spline that the kernel is, if an image can be prefiltered for it: then a caller asks for both
        together as ``"spline"`` with the order. 0 for all others.
    aliases : tuple of str
        Other names.
    """

    name: str
    code: int
    taps: int
    shape: Shape
    is_positive: bool = False
    is_normalized: bool = False
    spline: int = 0
    aliases: tuple[str, ...] = ()

    def weights(self, f: Array, parameter: float, derivatives: int = 0) -> list[Jet]:
        """Return the weights of the taps of points, each followed by as many of its derivatives as are wanted.

        Parameters
        ----------
        f : array
            Where points lie between knots.
        parameter : float
            What the kernel is still free in: the slope `a` of ``"cubic"``, 0 for all others.
        derivatives : int
            0 to 2.
        """
        taps = self.shape(f, parameter, derivatives)
        if not self.is_normalized:
            return taps
        total = [sum(terms[1:], terms[0]) for terms in zip(*taps, strict=True)]
        return [_quotient(tap, total) for tap in taps]


def _product(a: Jet, b: Jet) -> Jet:
    terms = [a[0] * b[0]]
    if len(a) > 1:
        terms.append(a[1] * b[0] + a[0] * b[1])
    if len(a) > 2:
        terms.append(a[2] * b[0] + 2 * a[1] * b[1] + a[0] * b[2])
    return terms


def _quotient(a: Jet, b: Jet) -> Jet:
    terms = [a[0] / b[0]]
    if len(a) > 1:
        terms.append((a[1] - terms[0] * b[1]) / b[0])
    if len(a) > 2:
        terms.append((a[2] - 2 * terms[1] * b[1] - terms[0] * b[2]) / b[0])
    return terms


def _nearest(f: Array, _: float, derivatives: int) -> list[Jet]:
    zero = 0 * f
    return [[1 + zero, zero, zero][: derivatives + 1]]


def _linear(f: Array, _: float, derivatives: int) -> list[Jet]:
    zero = 0 * f
    return [jet[: derivatives + 1] for jet in ([1 - f, zero - 1, zero], [f, zero + 1, zero])]


def _votes(f: Array, _: float, derivatives: int) -> list[Jet]:
    """Return the weights by which a sample is chosen: the value has no slope."""
    zero = 0 * f
    return [[weight, zero, zero][: derivatives + 1] for weight in (1 - f, f)]


def _cubic(f: Array, a: float, derivatives: int) -> list[Jet]:
    """Cubic convolution, Keys 1981."""
    g = 1 - f
    taps = [
        [a * f * g * g, a * g * (1 - 3 * f), a * (6 * f - 4)],
        [1 + f * f * ((a + 2) * f - (a + 3)), f * (3 * (a + 2) * f - 2 * (a + 3)), 6 * (a + 2) * f - 2 * (a + 3)],
        [
            f * (-a + f * ((2 * a + 3) - (a + 2) * f)),
            -a + f * (2 * (2 * a + 3) - 3 * (a + 2) * f),
            6 * (a + 2) * g - 2 * (a + 3),
        ],
        [a * f * f * g, a * f * (2 - 3 * f), a * (6 * g - 4)],
    ]
    return [jet[: derivatives + 1] for jet in taps]


def _mitchell(f: Array, _: float, derivatives: int) -> list[Jet]:
    """Mix B-spline and Keys, one third to two: Mitchell and Netravali 1988 with B = C = 1/3."""
    smooth, sharp = _bspline(3)(f, 0.0, derivatives), _cubic(f, -0.5, derivatives)
    return [[(p + 2 * q) / 3 for p, q in zip(*jets, strict=True)] for jets in zip(smooth, sharp, strict=True)]


def _bspline(order: int) -> Shape:
    """Make the B-spline of an order; its derivatives are differences of those of lower orders."""

    def shape(f: Array, _: float, derivatives: int) -> list[Jet]:
        rows = [_basis(f, order)]
        if derivatives > 0:
            rows.append(_differences(_basis(f, order - 1)))
        if derivatives > 1:
            rows.append(_differences(_differences(_basis(f, order - 2))))
        return [list(jet) for jet in zip(*rows, strict=True)]

    return shape


def _basis(f: Array, order: int) -> list[Array]:
    """Return the B-splines of an order that are not zero, by the recursion of Cox and de Boor on uniform knots."""
    zero = 0 * f
    parts = [1 + zero]
    for n in range(1, order + 1):
        shares = [part / n for part in parts]
        down = [(t + 1 - f) * share for t, share in enumerate(shares)]
        up = [(f + (n - 1 - t)) * share for t, share in enumerate(shares)]
        parts = [down[0], *(d + u for d, u in zip(down[1:], up, strict=False)), up[-1]]
    return parts


def _differences(parts: list[Array]) -> list[Array]:
    """Return what becomes of each tap: the spline before it less its own."""
    zero = 0 * parts[0]
    return [before - own for before, own in zip([zero, *parts], [*parts, zero], strict=True)]


def _lanczos(lobes: int) -> Shape:
    """Make sinc(s) sinc(s / lobes)."""

    def shape(f: Array, _: float, derivatives: int) -> list[Jet]:
        g, zero, length = 1 - f, 0 * f, derivatives + 1
        left, right = _sinc(f, g, 1, length), _sinc(g, f, -1, length)
        sine = _product([f, 1 + zero, zero][:length], left)  # sin(pi f) / pi
        taps = []
        for k in range(lobes - 1, -lobes - 1, -1):
            s, sign = f + k, (-1) ** (k % 2)
            far = [[sign * term for term in sine], [s, 1 + zero, zero][:length]]
            near = left if k == 0 else right if k == -1 else _quotient(*far)
            taps.append(_product(near, _sinc(s / lobes, 1 - s / lobes, 1 / lobes, length)))
        return taps

    return shape


def _sinc(u: Array, rest: Array, rate: float, length: int) -> Jet:
    """Return sin(pi u) / (pi u) for |u| <= 1, and its derivatives along a motion of `u` by `rate`.

    It is (1 - u) (1 + u) Q(u^2) with a power series Q: exactly 1 at 0, and at 1, where `rest`, which is 1 - u, is 0,
    exactly 0.
    """
    square = u * u
    value, slope, curvature = 0 * u + _SERIES[-1], 0 * u, 0 * u  # of Q in u^2, the last one halved
    for coefficient in _SERIES[-2::-1]:
        curvature = curvature * square + slope if length > 2 else curvature
        slope = slope * square + value if length > 1 else slope
        value = value * square + coefficient
    series = [value, 2 * u * slope * rate, (2 * slope + 8 * square * curvature) * rate**2]
    roots = [rest * (1 + u), -2 * u * rate, 0 * u - 2 * rate**2]
    return _product(roots[:length], series[:length])


def _series_of_sinc(terms: int) -> list[float]:
    """Return the coefficients of sin(pi u) / (pi u (1 - u^2)) in powers of u^2.

    They are sums of those of sin(pi u) / (pi u), all of which add up to 0: so each is what the later ones leave.
    """
    sinc = [(-1) ** m * math.pi ** (2 * m) / math.factorial(2 * m + 1) for m in range(terms + 12)]
    return [1.0, *(-math.fsum(sinc[n + 1 :]) for n in range(1, terms))]


_SERIES = _series_of_sinc(16)

KERNELS: dict[int, Kernel] = {
    kernel.code: kernel
    for kernel in (
        Kernel("nearest", 0, 1, _nearest, is_positive=True),
        Kernel("linear", 1, 2, _linear, is_positive=True, aliases=("bilinear", "trilinear")),
        Kernel("cubic", 2, 4, _cubic, aliases=("bicubic",)),
        Kernel("mitchell", 3, 4, _mitchell),
        Kernel("lanczos2", 4, 4, _lanczos(2), is_normalized=True),
        Kernel("lanczos3", 5, 6, _lanczos(3), is_normalized=True),
        Kernel("lanczos4", 6, 8, _lanczos(4), is_normalized=True),
        Kernel("bspline2", 7, 3, _bspline(2), is_positive=True, spline=2),
        Kernel("bspline3", 8, 4, _bspline(3), is_positive=True, spline=3),
        Kernel("bspline4", 9, 5, _bspline(4), is_positive=True, spline=4),
        Kernel("bspline5", 10, 6, _bspline(5), is_positive=True, spline=5),
        Kernel("label", 11, 2, _votes),
    )
}
