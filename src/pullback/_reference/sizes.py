"""Images of another size, as products with one dense matrix an axis."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pullback._plan import AREA, BORDERS, INTERPOLATIONS, Sizing
from pullback._reference.taps import Array, border_index, weights

AnyArray: TypeAlias = npt.NDArray[Any]

_LOBES = {INTERPOLATIONS[f"lanczos{lobes}"]: lobes for lobes in (2, 3, 4)}
_LARGEST_RADIUS = 4


def resize(image: AnyArray, shape: tuple[int, ...], sizing: Sizing) -> AnyArray:
    """Return an image with the sides `shape`.

    Parameters
    ----------
    image : ndarray, ``(N, C, *in_shape)``
        Samples, or coefficients.
    shape : tuple of int
    sizing : Sizing

    Returns
    -------
    ndarray of float64 or complex128, ``(N, C, *shape)``; of the dtype of `image` for labels
    """
    if INTERPOLATIONS["label"] in sizing.interpolation:
        return _majorities(image, shape, sizing)
    if np.iscomplexobj(image):
        fills = [[complex(each).real for each in sizing.fill], [complex(each).imag for each in sizing.fill]]
        values = np.empty((*image.shape[:2], *shape), np.complex128)
        values.real, values.imag = (
            resize(part, shape, replace(sizing, fill=tuple(fill)))
            for part, fill in zip((image.real, image.imag), fills, strict=True)
        )
        return values
    for axis, (n_in, n_out) in enumerate(zip(image.shape[2:], shape, strict=True)):
        lines = np.moveaxis(image, 2 + axis, -1)
        fill = np.broadcast_to(np.reshape(sizing.fill, (-1, *(1,) * (lines.ndim - 2))), (*lines.shape[:-1], 1))
        lines = np.concatenate([lines, fill], -1)
        total = np.zeros((*lines.shape[:-1], n_out))
        for i, row in enumerate(_matrix(n_in, n_out, sizing, axis)):
            for k in np.flatnonzero(row):
                total[..., i] += row[k] * lines[..., k]
        image = np.moveaxis(total, -1, 2 + axis)
    return image


def _matrix(n_in: int, n_out: int, sizing: Sizing, axis: int) -> Array:
    """Return the weights of old samples and, in the last column, of the fill: each row adds to 1."""
    code, parameter, border = sizing.interpolation[axis], sizing.parameter[axis], sizing.border[axis]
    matrix = np.zeros((n_out, n_in + 1))
    stretch = max(n_in / n_out, 1.0) if sizing.antialias else 1.0
    reach = int(_LARGEST_RADIUS * stretch) + 2
    for i in range(n_out):
        if code == INTERPOLATIONS["nearest"]:
            matrix[i, (2 * i + 1) * n_in // (2 * n_out)] = 1
            continue
        if code == AREA:
            for k in range(n_in):
                matrix[i, k] = max(min((k + 1) * n_out, (i + 1) * n_in) - max(k * n_out, i * n_in), 0)
        else:
            x = (2 * i + 1) * n_in / (2 * n_out) - 0.5
            for k in range(int(x) - reach, int(x) + reach + 1):
                column = _column(k, n_in, border)
                if column is not None:
                    matrix[i, column] += _weight(code, (x - k) / stretch, parameter)
        matrix[i] /= matrix[i].sum()
    return matrix


def _column(k: int, n_in: int, border: int | None) -> int | None:
    """Return what a tap reads: a sample, the fill (`n_in`), or nothing."""
    if 0 <= k < n_in:
        return k
    if border is None:
        return None
    return n_in if border == BORDERS["constant"] else int(border_index(np.array([k]), n_in, border)[0][0])


def _weight(code: int, distance: float, parameter: float) -> float:
    """Return the weight of a sample: of what has its weights divided by their sum, before that."""
    if code in _LOBES:
        lobes = _LOBES[code]
        if distance == np.rint(distance):
            return float(distance == 0)
        return float(np.sinc(distance) * np.sinc(distance / lobes)) if abs(distance) < lobes else 0.0
    first, taps, _ = weights(code, np.array([distance]), parameter)
    return float(taps[-first[0]][0]) if 0 <= -first[0] < len(taps) else 0.0


def _majorities(image: AnyArray, shape: tuple[int, ...], sizing: Sizing) -> AnyArray:
    """Return the labels of the largest sums of weights, in whole numbers; of equals the smallest."""
    sides = image.shape[2:]
    axes = [
        _ballots(n_in, n_out, border, sizing.antialias)
        for n_in, n_out, border in zip(sides, shape, sizing.border, strict=True)
    ]
    values = np.empty((*image.shape[:2], *shape), image.dtype)
    least, most = (0, 1) if image.dtype == np.bool_ else (np.iinfo(image.dtype).min, np.iinfo(image.dtype).max)
    fills = [min(max(round(complex(fill).real), least), most) for fill in sizing.fill]
    for n, c, *point in np.ndindex(*values.shape):
        votes: dict[int, int] = {}
        for taps in itertools.product(*(axis[i] for axis, i in zip(axes, point, strict=True))):
            index = tuple(k for k, _ in taps)
            is_beyond = any(k == side for k, side in zip(index, sides, strict=True))
            label = fills[c % len(fills)] if is_beyond else int(image[n, c][index])
            weight = 1
            for _, factor in taps:
                weight *= factor
            votes[label] = votes.get(label, 0) + weight
        values[(n, c, *point)] = min(votes, key=lambda label: (-votes[label], label))
    return values


def _ballots(n_in: int, n_out: int, border: int | None, antialias: bool) -> list[list[tuple[int, int]]]:
    """Return for each new sample the old ones that vote, `n_in` being the fill, and their weights."""
    ballots = []
    for i in range(n_out):
        if antialias and n_out < n_in:
            votes = [(k, min((k + 1) * n_out, (i + 1) * n_in) - max(k * n_out, i * n_in)) for k in range(n_in)]
        else:
            floor, rest = divmod((2 * i + 1) * n_in - n_out, 2 * n_out)
            both = [(floor, 2 * n_out - rest), (floor + 1, rest)]
            read = [(_column(k, n_in, border), weight) for k, weight in both]
            votes = [(column, weight) for column, weight in read if column is not None]
        ballots.append([(k, weight) for k, weight in votes if weight > 0])
    return ballots
