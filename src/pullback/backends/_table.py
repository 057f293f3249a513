"""Tables of a resampled axis: ``out[i] = sum_t weight[i, t] * in[first[i] + t]``."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


def transposed(first: Any, weight: Any, size: int) -> tuple[IntArray, FloatArray]:
    """Return the table of the transposed map, from the samples of `out` to the `size` samples of `in`."""
    first, weight = np.asarray(first), np.asarray(weight)
    rows, taps = np.nonzero(weight)
    columns = first[rows] + taps
    start = np.full(size, len(first), np.int64)
    np.minimum.at(start, columns, rows)
    start[start == len(first)] = 0
    reach = int((rows - start[columns]).max(initial=0)) + 1
    table = np.zeros((size, reach))
    table[columns, rows - start[columns]] = weight[rows, taps]
    return start, table
