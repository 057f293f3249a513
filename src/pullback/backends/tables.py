"""Tables of a resized axis: of which samples each new one is made, and with what weights.

    new[i] = sum_t weight[i, t] * old[samples[first[i] + t]] / total + beyond[i] * fill

Pixels are areas: old and new ones fill the same extent, so that new sample i lies at (i + 1/2) n_in / n_out - 1/2. What
is as large as a table is made a block of rows at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from pullback._borders import RULES
from pullback._cache import cached
from pullback._kernels import KERNELS, Kernel
from pullback._plan import AREA, BORDERS, INTERPOLATIONS, Sizing

Array: TypeAlias = npt.NDArray[np.float64]
IndexArray: TypeAlias = npt.NDArray[np.int64]

# So many entries of a table are in the making at a time.
_BLOCK = 1 << 16


class Table(NamedTuple):
    """How an axis is read at new samples. Arrays are read-only, for tables are shared.

    Attributes
    ----------
    first : ndarray of int64, (n_out,)
    weight : ndarray of float64, (n_out, taps), or None
        Entries of zero may lie beyond the axis. None where each new sample is a copy of the old one ``first[i]``.
    samples : ndarray of int64, or None
        What stands along the axis that `first` counts on, where that is not the old axis itself.
    beyond : ndarray of float64, (n_out,), or None
        The weight of what lies beyond a constant border, where any has.
    total : float
        What the weights of a new sample add to: above 1/2, and at most 1.
    """

    first: IndexArray
    weight: Array | None = None
    samples: IndexArray | None = None
    beyond: Array | None = None
    total: float = 1.0


@cached
def axis_table(
    n_in: int, n_out: int, interpolation: int, parameter: float, border: int | None, antialias: bool, exact: bool
) -> Table | None:
    """Return the table of an axis of `n_in` samples that gets `n_out`; None if it stays what it is.

    Parameters
    ----------
    interpolation : int
        A code from :data:`pullback._plan.INTERPOLATIONS`, or :data:`pullback._plan.AREA`.
    parameter : float
        What the kernel is still free in.
    border : int or None
        How taps beyond the axis are read, a code from :data:`pullback._plan.BORDERS`; with None they are left out.
    antialias : bool
        Whether the kernel is stretched by the scale if that exceeds 1.
    exact : bool
        Whether weights of means over areas are whole numbers over a power of two, with a total of their own.

    Examples
    --------
    >>> from pullback._plan import INTERPOLATIONS
    >>> axis_table(4, 2, INTERPOLATIONS["linear"], 0.0, None, False, False)[:2]
    (array([0, 2]), array([[0.5, 0.5],
           [0.5, 0.5]]))
    """
    if interpolation == INTERPOLATIONS["nearest"]:
        return None if n_in == n_out else _frozen(Table(nearest_samples(n_in, n_out)))
    if interpolation == AREA:
        return None if n_in == n_out else area_table(n_in, n_out, exact)
    kernel = KERNELS[interpolation]
    if n_in == n_out and _keeps_samples(kernel, parameter):
        return None
    stretch = max(n_in / n_out, 1.0) if antialias else 1.0
    divisor = math.gcd(n_in, n_out)
    row, apart = np.arange(n_out // divisor), n_in // divisor * np.arange(divisor)
    position = (2 * row + 1) * n_in / (2 * n_out) - 0.5
    return kernel_table(position, n_in, kernel, parameter, border, stretch, apart)


def tables_of(sides: Any, shape: Any, sizing: Sizing, exact: bool) -> list[Table | None]:
    """Return the table of each axis of an image with `sides` that gets those of `shape`."""
    axes = zip(sides, shape, sizing.interpolation, sizing.parameter, sizing.border, strict=True)
    return [axis_table(*axis, sizing.antialias, exact) for axis in axes]


def nearest_samples(n_in: int, n_out: int) -> IndexArray:
    """Return the sample that is nearest to each new one; of two that are equally near, the later one."""
    samples: IndexArray = (2 * np.arange(n_out, dtype=np.int64) + 1) * n_in // (2 * n_out)
    return samples


def area_table(n_in: int, n_out: int, exact: bool) -> Table:
    """Return the table of the means over the areas of new pixels.

    In a unit of which an old pixel has n_out and a new one n_in, without their common divisor, all lengths are whole
    numbers. Over a power of two, they are still exact, and sums of them with integers may be: then nothing is rounded
    before the division by the total.
    """
    divisor = math.gcd(n_in, n_out)
    unit, length = n_out // divisor, n_in // divisor
    begin = np.arange(n_out, dtype=np.int64) * length
    first, weight = overlaps(begin, begin + length, unit, n_in)
    scale = 1 << (length - 1).bit_length() if exact else length
    weight /= scale
    return _frozen(Table(first, weight, total=length / scale))


def overlaps(begin: npt.NDArray[Any], end: npt.NDArray[Any], unit: float, n_in: int) -> tuple[IndexArray, Array]:
    """Return which old pixels, `unit` long, some intervals meet, and how far: `first` and `weight` of a table."""
    first = (begin // unit).astype(np.int64)
    taps = min(int((-(-end // unit) - first).max()), n_in)
    first = np.minimum(first, n_in - taps)
    edge = (first[:, None] + np.arange(taps + 1)) * float(unit)
    np.clip(edge, begin[:, None], end[:, None], out=edge)
    return first, np.diff(edge, axis=1)


def kernel_table(
    position: Array,
    n_in: int,
    kernel: Kernel,
    parameter: float,
    border: int | None,
    stretch: float = 1.0,
    apart: IndexArray | None = None,
) -> Table:
    """Return the table of an axis that is read at some positions by a kernel.

    Parameters
    ----------
    position : ndarray of float64
        In ascending order.
    stretch : float
        How much wider the kernel is than its own.
    apart : ndarray of int64, optional
        How far the positions are moved, which are then read once for each of these: the weights stay the same.
    """
    radius = kernel.taps / 2 * stretch
    begin = np.floor(position - radius).astype(np.int64) + 1
    width = int((np.ceil(position + radius).astype(np.int64) - begin).max())
    start = begin if apart is None else np.add.outer(apart, begin).ravel()
    rule = None if border is None else RULES[border]
    samples = None
    if border == BORDERS["wrap"] and width < n_in and (start[0] < 0 or start[-1] + width > n_in):
        # The ends of the axis are neighbours, which no short row of weights holds: it is made longer by some samples.
        samples = RULES[border].sample(np.arange(start[0], start[-1] + width), n_in)
        start, n_in = start - start[0], len(samples)

    def read(rows: slice) -> tuple[npt.NDArray[np.bool_] | bool, IndexArray]:
        """Return which taps of some rows are on the axis, and the samples that they read."""
        tap = start[rows, None] + np.arange(width)
        if rule is None or rule.is_filled:
            return (tap >= 0) & (tap < n_in), tap
        return True, rule.sample(tap, n_in)

    first, last = np.empty_like(start), np.empty_like(start)
    for rows in _blocks(len(start), width):
        inside, sample = read(rows)
        first[rows], last[rows] = np.where(inside, sample, n_in).min(1), np.where(inside, sample, -1).max(1)
    taps = max(int((last - first).max()) + 1, 1)
    first = np.minimum(first, n_in - taps)
    kinds = np.empty((len(position), width))
    for rows in _blocks(*kinds.shape):
        distance = position[rows, None] - (begin[rows, None] + np.arange(width))
        kinds[rows] = _weights(kernel, distance / stretch, parameter)
    table, beyond = np.empty((len(start), taps)), np.zeros(len(start))
    for rows in _blocks(len(start), width):
        inside, sample = read(rows)
        weight = kinds[np.arange(rows.start, min(rows.stop, len(start))) % len(kinds)]
        weight /= (weight if rule else weight * inside).sum(1, keepdims=True)
        beyond[rows] = np.where(inside, 0, weight).sum(1)
        column = sample - first[rows, None] + taps * np.arange(len(sample))[:, None]
        entry = np.where(inside, column, 0).ravel()
        table[rows] = np.bincount(entry, np.where(inside, weight, 0).ravel(), taps * len(sample)).reshape(-1, taps)
    return _frozen(Table(first, table, samples, beyond if rule is not None and beyond.any() else None))


@cached
def ballots(n_in: int, n_out: int, border: int | None, antialias: bool) -> tuple[IndexArray, Array]:
    """Return which samples of an axis vote for the label of a new one, and with what weights.

    Those of a new pixel that is larger than the old ones, if that is what `antialias` asks for: then the weights are
    lengths in common. The two neighbours of its middle otherwise, with linear weights. In units that make whole numbers
    of them.

    Returns
    -------
    sample : ndarray of int64, (n_out, taps)
        -1 beyond a constant border.
    weight : ndarray of float64, (n_out, taps)
    """
    divisor = math.gcd(n_in, n_out)
    length, unit = n_in // divisor, n_out // divisor
    place = np.arange(n_out, dtype=np.int64)
    if n_in == n_out:
        sample, weight = place[:, None], np.ones((n_out, 1))
    elif antialias and n_in > n_out:
        first, weight = overlaps(place * length, (place + 1) * length, unit, n_in)
        sample = first[:, None] + np.arange(weight.shape[1])
    else:
        floor, rest = np.divmod((2 * place + 1) * length - unit, 2 * unit)
        sample, weight = floor[:, None] + np.arange(2), np.stack([2 * unit - rest, rest], -1).astype(np.float64)
        inside = (sample >= 0) & (sample < n_in)
        if border is None:
            sample, weight = np.clip(sample, 0, n_in - 1), weight * inside
        else:
            sample = np.where(inside, sample, -1) if RULES[border].is_filled else RULES[border].sample(sample, n_in)
    for array in (sample, weight):
        array.setflags(write=False)
    return sample, weight


def _blocks(rows: int, width: int) -> Iterator[slice]:
    step = max(_BLOCK // width, 1)
    return (slice(start, start + step) for start in range(0, rows, step))


def _frozen(table: Table) -> Table:
    for array in table[:4]:
        if array is not None:
            array.setflags(write=False)
    return table


def _weights(kernel: Kernel, x: Array, parameter: float) -> Array:
    """Return the weights of samples at the distances `x`."""
    first = np.floor(x - kernel.taps / 2) + 1
    taps = kernel.shape(x - kernel.taps / 2 - (first - 1), parameter, 0)
    weight: Array = np.select([first == -t for t in range(kernel.taps)], [tap[0] for tap in taps])
    return weight


def _keeps_samples(kernel: Kernel, parameter: float) -> bool:
    """Whether a kernel weighs the sample that it is on with 1 and all others with 0."""
    distance = np.arange(-(kernel.taps // 2), kernel.taps // 2 + 1)
    return bool((_weights(kernel, distance.astype(np.float64), parameter) == (distance == 0)).all())


@cached
def transposed(
    n_in: int, n_out: int, interpolation: int, parameter: float, border: int | None, antialias: bool
) -> Table | None:
    """Return the table of the transposed map, from the new samples to those of :attr:`Table.samples`, total 1."""
    table = axis_table(n_in, n_out, interpolation, parameter, border, antialias, False)
    if table is None:
        return None
    forward = np.ones((n_out, 1)) if table.weight is None else table.weight
    size = n_in if table.samples is None else len(table.samples)

    def entries(rows: slice) -> tuple[IndexArray, IndexArray]:
        """Return which new and which old samples belong to the weights of some rows that are not 0."""
        row, tap = np.nonzero(forward[rows])
        row += rows.start
        return row, table.first[row] + tap

    start, last = np.full(size, n_out, np.int64), np.full(size, -1, np.int64)
    for rows in _blocks(*forward.shape):
        row, column = entries(rows)
        np.minimum.at(start, column, row)
        np.maximum.at(last, column, row)
    start[last < 0] = 0
    weight = np.zeros((size, max(int((last - start).max()), 0) + 1))
    for rows in _blocks(*forward.shape):
        row, column = entries(rows)
        weight[column, row - start[column]] = forward[row, column - table.first[row]]
    return _frozen(Table(start, weight, table.samples))
