"""Where the points of the output lattice are read from, kind by kind, and the way back: the slow truth.

Coordinates are those of :mod:`pullback._reference`: the index of the image, axis by axis.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pullback._plan import HORIZON_ROUNDINGS, LATTICES, PROJECTIVE_LATTICES, Lattice

AnyArray = npt.NDArray[Any]
Array = npt.NDArray[np.float64]


def lattice_positions(lattice: Lattice) -> Array:
    """Return the points of the output lattice in the frame that a transform acts on, ``(*shape, d)``."""
    index = np.moveaxis(np.indices(lattice.shape, np.float64), 0, -1)
    positions: Array = (index - lattice.frame_out.offset) / lattice.frame_out.scale
    return positions


def in_axis_order(points: AnyArray, lattice: Lattice) -> AnyArray:
    """Turn coordinates, or gradients in them, from the caller's order to that of the axes, or back."""
    return points[..., ::-1] if lattice.reversed else points


def matrix_in_axis_order(matrix: AnyArray, lattice: Lattice) -> AnyArray:
    """Turn matrices, (M, d or d + 1, d + 1), or gradients in them, to the order of the axes on both sides, or back."""
    if not lattice.reversed:
        return matrix
    d = matrix.shape[-1] - 1
    rows = [*range(d)[::-1], *range(d, matrix.shape[-2])]
    return matrix[:, rows][..., [*range(d)[::-1], d]]


def coordinates(geometry: AnyArray, lattice: Lattice) -> Array:
    """Return the index coordinates of the points of the output lattice.

    Parameters
    ----------
    geometry : ndarray
        What the kind of `lattice` asks for: see :class:`pullback._plan.Lattice`.
    lattice : Lattice
        The output lattice and the frames.

    Returns
    -------
    ndarray of float64, ``(M, *shape, d)``
        NaN where a projective map sees nothing, and where a parameter that is not finite is read.
    """
    unknown = is_unknown(geometry, lattice)
    geometry = geometry.astype(np.float64)
    scale, offset = np.asarray(lattice.frame_in.scale), np.asarray(lattice.frame_in.offset)
    x: Array
    with np.errstate(invalid="ignore", over="ignore"):
        if lattice.kind == LATTICES["given"]:
            x = scale * in_axis_order(geometry, lattice) + offset
        elif lattice.kind == LATTICES["affine"] or lattice.kind in PROJECTIVE_LATTICES:
            homogeneous = _homogeneous(geometry, lattice)
            x = homogeneous[..., :-1] / np.where(
                _is_seen(homogeneous, geometry, lattice), homogeneous[..., -1:], np.nan
            )
        else:
            x = scale / lattice.frame_out.scale * (_indices(lattice) - lattice.frame_out.offset) + offset
            x = x + scale * in_axis_order(_displacements(geometry, lattice), lattice)
    return np.where(unknown[..., None], np.nan, x)


def is_unknown(geometry: AnyArray, lattice: Lattice) -> npt.NDArray[np.bool_]:
    """Return which points of the lattice depend on parameters that are not finite, ``(M, *shape)``."""
    unknown: Any
    if lattice.kind == LATTICES["free-form"]:
        reads = (~np.isfinite(geometry)).any(-1).astype(np.float64)
        for axis, n in enumerate(lattice.shape, start=1):
            support = _support(reads.shape[axis], n).astype(np.float64)
            reads = np.moveaxis(np.tensordot(reads, support, ([axis], [1])), -1, axis)
        unknown = reads > 0
    elif lattice.kind in (LATTICES["given"], LATTICES["displacement"]):
        unknown = (~np.isfinite(geometry)).any(-1)
    else:
        of_matrix = (~np.isfinite(geometry)).any((-2, -1))
        unknown = np.broadcast_to(of_matrix.reshape(-1, *(1,) * len(lattice.shape)), (len(geometry), *lattice.shape))
    result: npt.NDArray[np.bool_] = unknown
    return result


def geometry_vjp(geometry: AnyArray, grad: Array, lattice: Lattice) -> Array:
    """Return the gradient of ``(grad * coordinates(geometry)).sum()`` in `geometry`; points with grad 0 have none."""
    scale, offset = np.asarray(lattice.frame_in.scale), np.asarray(lattice.frame_in.offset)
    if lattice.kind in (LATTICES["given"], LATTICES["displacement"]):
        return in_axis_order(scale * grad, lattice)
    points = tuple(range(1, 1 + len(lattice.shape)))
    if lattice.kind == LATTICES["free-form"]:
        on_points = in_axis_order(scale * grad, lattice)
        unknown = np.isnan(on_points)
        on_points = np.where(unknown, 0, on_points)
        unknown = unknown.astype(np.float64)
        for axis, (controls, n) in enumerate(zip(geometry.shape[1:-1], lattice.shape, strict=True), start=1):
            on_points = np.moveaxis(np.tensordot(on_points, control_weights(controls, n), ([axis], [0])), -1, axis)
            support = _support(controls, n).astype(np.float64)
            unknown = np.moveaxis(np.tensordot(unknown, support, ([axis], [0])), -1, axis)
        return np.where(unknown > 0, np.nan, on_points)
    with np.errstate(invalid="ignore", over="ignore"):
        homogeneous = _homogeneous(geometry.astype(np.float64), lattice)
        denominator = np.where(_is_seen(homogeneous, geometry, lattice), homogeneous[..., -1:], np.inf)
        last = -np.sum(grad * homogeneous[..., :-1], axis=-1, keepdims=True) / denominator
        on_rows = np.concatenate([grad, last], axis=-1) / denominator
    on_rows = np.where(np.any(grad != 0, axis=-1, keepdims=True), on_rows, 0)
    moments = np.stack(
        [
            np.sum(on_rows * column[..., None], axis=points)
            for column in (*np.moveaxis(lattice_positions(lattice), -1, 0), np.ones(lattice.shape))
        ],
        axis=-1,
    )
    result: Array = moments[:, :-1] * scale[:, None]
    if lattice.kind in PROJECTIVE_LATTICES:
        last = moments[:, -1:] + np.einsum("i,mij->mj", offset, moments[:, :-1])[:, None]
        result = np.concatenate([result, last], axis=1)
    return matrix_in_axis_order(result, lattice)


def _indices(lattice: Lattice) -> Array:
    return np.moveaxis(np.indices(lattice.shape, np.float64), 0, -1)


def _homogeneous(matrix: Array, lattice: Lattice) -> Array:
    """Return the numerators of the index coordinates, and the denominator, ``(M, *shape, d + 1)``."""
    matrix = _folded(matrix, lattice)
    d = matrix.shape[-1] - 1
    values: Array = np.einsum("mij,j...->m...i", matrix[..., :d], np.indices(lattice.shape, np.float64))
    return values + matrix[..., d].reshape(len(matrix), *(1,) * len(lattice.shape), d + 1)


def _folded(matrix: AnyArray, lattice: Lattice) -> Array:
    """Return matrices between indices: both frames are folded in, so that an identity is exact in every frame."""
    d = matrix.shape[-1] - 1
    matrix = matrix_in_axis_order(matrix, lattice)
    if matrix.shape[-2] == d:
        last = np.broadcast_to(np.eye(d + 1)[-1:], (len(matrix), 1, d + 1))
        matrix = np.concatenate([matrix, last], axis=1)
    matrix = matrix.copy()
    matrix[..., :d] /= lattice.frame_out.scale
    matrix[..., d] -= np.einsum("mij,j->mi", matrix[..., :d], lattice.frame_out.offset)
    scale, offset = np.asarray(lattice.frame_in.scale), np.asarray(lattice.frame_in.offset)
    matrix[:, :d] = scale[:, None] * matrix[:, :d] + offset[:, None] * matrix[:, d:]
    return matrix


def _is_seen(homogeneous: Array, matrix: AnyArray, lattice: Lattice) -> npt.NDArray[np.bool_]:
    """Return at which points the denominator is not 0 and, of one-sided maps, that of the frame's origin in sign."""
    denominator = homogeneous[..., -1:]
    if lattice.whole:
        last = _folded(matrix, lattice)[:, -1]
        most = np.abs(last[:, :-1]) @ np.array(lattice.shape) + np.abs(last[:, -1])
        near = HORIZON_ROUNDINGS * most.reshape(-1, *(1,) * (denominator.ndim - 1))
        denominator = np.where(np.abs(denominator) <= near, 0, denominator)
    above, below = denominator > 0, denominator < 0
    if lattice.kind == LATTICES["one-sided"]:
        origin = matrix[:, -1, -1].reshape(-1, *(1,) * (denominator.ndim - 1))
        above, below = above & (origin > 0), below & (origin < 0)
    seen: npt.NDArray[np.bool_] = above | below
    return seen


def _displacements(field: Array, lattice: Lattice) -> Array:
    """Return the displacement of each point in the units of the frame, ``(M, *shape, d)``, in the caller's order."""
    if lattice.kind == LATTICES["displacement"]:
        return field
    field = np.where(np.isfinite(field), field, 0)
    for axis, n in enumerate(lattice.shape, start=1):
        field = np.moveaxis(np.tensordot(field, control_weights(field.shape[axis], n), ([axis], [1])), -1, axis)
    return field


def _support(controls: int, n: int) -> npt.NDArray[np.bool_]:
    """Return which coefficients the pixels of an axis read, ``(n, controls)``: those of the cell that they lie in."""
    cell = np.minimum(np.floor((np.arange(n) + 0.5) * (controls - 3) / n + 1), controls - 3)
    step = np.arange(controls) - cell[:, None]
    support: npt.NDArray[np.bool_] = (step >= -1) & (step <= 2)
    return support


def control_weights(controls: int, n: int) -> Array:
    """Return the cubic B-splines of `controls` coefficients on an axis of `n` pixels, ``(n, controls)``.

    The pixels span the inner cells: pixel i lies at (i + 1/2) (controls - 3) / n + 1 among the coefficients.
    """
    x = (np.arange(n) + 0.5) * (controls - 3) / n + 1
    s = np.abs(x[:, None] - np.arange(controls))
    weights: Array = np.where(s < 1, (4 - 6 * s**2 + 3 * s**3) / 6, np.where(s < 2, (2 - s) ** 3 / 6, 0))
    return weights
