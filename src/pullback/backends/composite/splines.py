"""B-splines on an axis as matrices: coefficients from samples, and displacements from those of a free-form field."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pullback._borders import RULES
from pullback._kernels import KERNELS

Array = npt.NDArray[np.float64]


def spline_matrix(order: int, n: int, border: int) -> Array:
    """Return the values of a B-spline at `n` samples as sums over its coefficients, ``(n, n)``.

    Taps beyond the axis are mapped by the border; those that read the fill value are left out.
    """
    rule, matrix, row = RULES[border], np.zeros((n, n)), np.arange(n)
    # Samples are knots, or lie half-way between them.
    fraction = 0.0 if order % 2 else 0.5
    for k, weight in enumerate(_bspline(order, fraction), start=-(order // 2)):
        tap = row + k
        inside = (tap >= 0) & (tap < n) if rule.is_filled else np.ones(n, bool)
        np.add.at(matrix, (row[inside], rule.sample(tap, n)[inside]), weight)
    return matrix


def control_weights(controls: int, n: int) -> Array:
    """Return the cubic B-splines of `controls` coefficients on an axis of `n` pixels, ``(n, controls)``.

    The pixels span the inner cells: pixel i lies at (i + 1/2) (controls - 3) / n + 1 among the coefficients.
    """
    x, row, matrix = (np.arange(n) + 0.5) * (controls - 3) / n, np.arange(n), np.zeros((n, controls))
    cell = np.floor(x).astype(np.int64)
    for t, weight in enumerate(_bspline(3, x - cell)):
        matrix[row, cell + t] = weight
    return matrix


def control_support(controls: int, n: int) -> Array:
    """Return 1 for the coefficients that a pixel reads, ``(n, controls)``: those of the cell that it lies in."""
    cell = np.minimum(np.floor((np.arange(n) + 0.5) * (controls - 3) / n + 1), controls - 3)
    step = np.arange(controls) - cell[:, None]
    return ((step >= -1) & (step <= 2)).astype(np.float64)


def _bspline(order: int, fraction: float | Array) -> list[float | Array]:
    (kernel,) = (kernel for kernel in KERNELS.values() if kernel.spline == order)
    return [weight for (weight,) in kernel.weights(fraction, 0.0)]
