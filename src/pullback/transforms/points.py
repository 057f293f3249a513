"""Points: those of an output lattice, where they lie in a frame, and how they face a batch of transforms."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pullback._arrays import Array, as_arrays, beside, is_tensor, namespace
from pullback._plan import MAX_NDIM, frame_of, is_reversed


def check_points(name: str, ndim: int, batch_shape: tuple[int, ...], points: Array) -> None:
    """Refuse points that do not have the axes, or the batch, of a transform."""
    if points.ndim == 0 or points.shape[-1] != ndim:
        raise ValueError(
            f"{name}: `points` has shape {tuple(points.shape)} but the transform is {ndim}-D; give (..., {ndim})"
        )
    if batch_shape and points.ndim > 1:
        (count,) = batch_shape
        if points.shape[0] != count and 1 not in (points.shape[0], count):
            raise ValueError(
                f"{name}: `points` has shape {tuple(points.shape)} but there are {count} transforms; "
                f"give ({count}, ..., {ndim}), or points[None] to map the same points by each"
            )


def facing(values: Array, points: Array, batch_shape: tuple[int, ...]) -> Array:
    """Return `values` of each transform of a batch, (M, ...), with axes of length 1 for those of `points`."""
    if not batch_shape or points.ndim < 2:
        return values
    return values.reshape(values.shape[0], *(1,) * (points.ndim - 2), *values.shape[1:])


def moments(rows: Array, points: Array, batch_shape: tuple[int, ...]) -> Array:
    """Return the sum of ``rows (points, 1)^T`` over all points, or over those of each transform of a batch, for NumPy.

    Parameters
    ----------
    rows : ndarray, ``(..., r)``
    points : ndarray, ``(..., d)``
        Of axes that broadcast with those of `rows`.

    Returns
    -------
    ndarray, ``(r, d + 1)`` or ``(N, r, d + 1)``
    """
    homogeneous = beside(points, np.ones_like(points[..., :1]))
    columns = np.broadcast_to(homogeneous, (*rows.shape[:-1], homogeneous.shape[-1]))
    batch = rows.shape[: len(batch_shape)]
    count = math.prod(rows.shape[len(batch) : -1])
    rows, columns = (array.reshape(*batch, count, array.shape[-1]) for array in (rows, columns))
    return np.swapaxes(rows, -1, -2) @ columns


def points_like(array: Array, shape: tuple[int, ...], frame: str) -> Array:
    """Return the points of an output lattice, ``(*shape, d)``: where `array` is a tensor, made beside it."""
    reading = frame_of(frame, shape, output=True)
    sides = [
        (_indices(n, array) - offset) / scale
        for n, offset, scale in zip(shape, reading.offset, reading.scale, strict=True)
    ]
    xp = namespace(array)
    grid = xp.meshgrid(*sides, indexing="ij")
    points = xp.stack(grid[::-1] if is_reversed(frame) else grid, -1)
    return points.to(array.dtype) if is_tensor(array) else points


def _indices(count: int, like: Array) -> Array:
    if not is_tensor(like):
        return np.arange(count, dtype=np.float64)
    # Half precision has no room for the indices of a large output; what is computed from them is rounded later.
    dtype = like.dtype if like.dtype.itemsize >= 4 else namespace(like).float32
    return namespace(like).arange(count, dtype=dtype, device=like.device)


def lattice_index(points: Array, shape: Sequence[int], frame: str) -> Array:
    """Return where `points`, written in a frame, lie on an output lattice of `shape`, ``(..., d)`` in index units."""
    reading = frame_of(frame, tuple(shape), output=True)
    if is_reversed(frame):
        points = namespace(points).flip(points, (-1,))
    _, scale, offset = as_arrays("lattice_index", points=points, scale=reading.scale, offset=reading.offset)
    return points * scale + offset


def check_ndim(function: str, ndim: int) -> int:
    """Return `ndim` if it is a number of spatial axes that the library knows."""
    if isinstance(ndim, bool) or not isinstance(ndim, int | np.integer):
        raise TypeError(f"{function}: `ndim` is {ndim!r}; give 1, 2 or 3")
    if not 1 <= ndim <= MAX_NDIM:
        raise ValueError(f"{function}: `ndim` is {ndim}; give 1, 2 or 3")
    return int(ndim)


def check_vectors(function: str, argument: str, vectors: Array) -> None:
    """Refuse what is not one vector, ``(d,)``, or a batch of them, ``(N, d)``."""
    if vectors.ndim not in (1, 2) or not 1 <= vectors.shape[-1] <= MAX_NDIM:
        raise ValueError(
            f"{function}: `{argument}` has shape {tuple(vectors.shape)}; give (d,) or (N, d) with d of 1, 2 or 3"
        )


def check_batch(function: str, axes: int, **values: Array) -> tuple[int, ...]:
    """Return the common batch shape of `values`, of which the last `axes` axes belong to one transform."""
    batch: tuple[int, ...] = ()
    for name, value in values.items():
        own = tuple(value.shape[: value.ndim - axes])
        if len(own) > 1:
            raise ValueError(f"{function}: `{name}` has shape {tuple(value.shape)}; give at most one batch axis")
        if own and batch and own != batch and 1 not in (own[0], batch[0]):
            raise ValueError(
                f"{function}: `{name}` has shape {tuple(value.shape)} but the batch is {batch[0]}; "
                "give batches of one length, or no batch axis"
            )
        batch = own if own and (not batch or batch == (1,)) else batch
    return batch
