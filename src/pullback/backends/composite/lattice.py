"""Where the points of the output lattice are read from, and the way back, in plain torch; see :mod:`.composite`."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pullback._cache import cached
from pullback._plan import LATTICES, PROJECTIVE_LATTICES, Lattice
from pullback.backends.composite.splines import control_weights


def in_axis_order(points: Tensor, lattice: Lattice) -> Tensor:
    """Turn coordinates, or gradients in them, from the caller's order to that of the axes, or back."""
    return points.flip(-1) if lattice.reversed else points


def _matrix_in_axis_order(matrix: Tensor, lattice: Lattice) -> Tensor:
    """Turn matrices, or gradients in them, from the caller's order to that of the axes on both sides, or back."""
    if not lattice.reversed:
        return matrix
    d = matrix.shape[-1] - 1
    rows = torch.cat([matrix[..., :d, :].flip(-2), matrix[..., d:, :]], dim=-2)
    return torch.cat([rows[..., :d].flip(-1), rows[..., d:]], dim=-1)


def coordinates(geometry: Tensor, lattice: Lattice, dtype: torch.dtype) -> Tensor:
    """Return the index coordinates of the points of the lattice in one row, ``(M, P, d)``.

    Those of projective maps are in double precision, where there is any, for quotients lose digits near the horizon;
    infinite where nothing is seen.
    """
    geometry = geometry.to(_precise(dtype, geometry, lattice))
    scale = geometry.new_tensor(lattice.frame_in.scale)
    offset = geometry.new_tensor(lattice.frame_in.offset)
    if lattice.kind == LATTICES["given"]:
        points = geometry.reshape(len(geometry), math.prod(lattice.shape), len(scale))
        return scale * in_axis_order(points, lattice) + offset
    if lattice.kind == LATTICES["affine"]:
        return _rows_at(_folded(geometry, lattice), lattice)
    if lattice.kind in PROJECTIVE_LATTICES:
        values = _rows_at(_folded(geometry, lattice), lattice)
        is_seen = _is_seen(values, geometry, lattice)
        return torch.where(is_seen, values[..., :-1] / torch.where(is_seen, values[..., -1:], 1), math.inf)
    unit = scale / geometry.new_tensor(lattice.frame_out.scale)
    index = torch.stack(_lattice_indices(lattice, geometry), dim=-1)
    base = unit * (index - geometry.new_tensor(lattice.frame_out.offset)) + offset
    field = geometry
    if lattice.kind == LATTICES["free-form"]:
        for axis, n in enumerate(lattice.shape, start=1):
            field = _contracted(field, axis, _control_weights(field.shape[axis], n, dtype, field.device).mT)
    return base + scale * in_axis_order(field.reshape(len(field), math.prod(lattice.shape), len(scale)), lattice)


def geometry_vjp(geometry: Tensor, grad: Tensor, lattice: Lattice) -> Tensor:
    """Return the gradient of ``(grad * coordinates(geometry)).sum()`` in `geometry`, without autograd.

    Parameters
    ----------
    grad : Tensor, ``(M, P, d)``
        0 for points that are not read.
    """
    grad = grad.to(_precise(grad.dtype, geometry, lattice))
    geometry = geometry.to(grad.dtype)
    scale, offset = grad.new_tensor(lattice.frame_in.scale), grad.new_tensor(lattice.frame_in.offset)
    if lattice.kind in (LATTICES["given"], LATTICES["displacement"]):
        return in_axis_order(scale * grad, lattice).reshape(geometry.shape)
    if lattice.kind == LATTICES["free-form"]:
        on_points = in_axis_order(scale * grad, lattice).reshape(len(grad), *lattice.shape, len(scale))
        for axis, (controls, n) in enumerate(zip(geometry.shape[1:-1], lattice.shape, strict=True), start=1):
            on_points = _contracted(on_points, axis, _control_weights(controls, n, grad.dtype, grad.device))
        return on_points
    moments = _moments(on_rows(geometry, grad, lattice), lattice)
    rows = scale[:, None] * moments[:, : len(scale)]
    if lattice.kind in PROJECTIVE_LATTICES:
        last = moments[:, -1:] + (offset[:, None] * moments[:, :-1]).sum(1, keepdim=True)
        rows = torch.cat([rows, last], dim=1)
    return _matrix_in_axis_order(rows, lattice)


def on_rows(matrix: Tensor, grad: Tensor, lattice: Lattice) -> Tensor:
    """Return gradients in coordinates, (..., P, d), in the rows of the matrix between indices, (..., P, rows)."""
    if lattice.kind == LATTICES["affine"]:
        return grad
    values = _rows_at(_folded(matrix, lattice), lattice)
    is_seen = _is_seen(values, matrix, lattice)
    reciprocal = torch.where(is_seen, 1 / torch.where(is_seen, values[..., -1:], 1), 0)
    numerators = grad * reciprocal
    last = -(numerators * values[..., :-1]).sum(-1, keepdim=True) * reciprocal
    return torch.where((grad != 0).any(-1, keepdim=True), torch.cat([numerators, last], dim=-1), 0)


def _precise(dtype: torch.dtype, geometry: Tensor, lattice: Lattice) -> torch.dtype:
    """Return the dtype to compute coordinates in, for which `dtype` does but near a horizon; Metal has no other."""
    return torch.float64 if lattice.kind in PROJECTIVE_LATTICES and geometry.device.type != "mps" else dtype


def _is_seen(values: Tensor, matrix: Tensor, lattice: Lattice) -> Tensor:
    """Return at which points a projective map sees something, ``(..., P, 1)``, from the rows of the matrix there."""
    denominator = values[..., -1:]
    if lattice.kind != LATTICES["one-sided"]:
        return denominator != 0
    origin = matrix[..., None, -1:, -1]
    return (denominator > 0) & (origin > 0) | (denominator < 0) & (origin < 0)


def lattice_features(lattice: Lattice, like: Tensor) -> Tensor:
    """Return the indices of each point, and 1, ``(P, d + 1)``."""
    indices = _lattice_indices(lattice, like)
    return torch.stack([*indices, torch.ones_like(indices[0])], dim=-1)


def _moments(on_points: Tensor, lattice: Lattice) -> Tensor:
    """Return the sums over points of ``on_points`` times the position in the frame of the output, and times 1."""
    index = torch.stack(_lattice_indices(lattice, on_points), dim=-1)
    position = (index - on_points.new_tensor(lattice.frame_out.offset)) / on_points.new_tensor(lattice.frame_out.scale)
    return torch.cat([on_points.mT @ position, on_points.sum(1)[..., None]], dim=-1)


def _folded(matrix: Tensor, lattice: Lattice) -> Tensor:
    """Return matrices between indices: both frames are folded in, so that an identity is exact in every frame."""
    matrix = _matrix_in_axis_order(matrix, lattice)
    scale, offset = matrix.new_tensor(lattice.frame_in.scale), matrix.new_tensor(lattice.frame_in.offset)
    d = len(scale)
    linear = matrix[..., :d] / matrix.new_tensor(lattice.frame_out.scale)
    constant = matrix[..., d] - (linear * matrix.new_tensor(lattice.frame_out.offset)).sum(-1)
    rows = torch.cat([linear, constant[..., None]], dim=-1)
    if lattice.kind == LATTICES["affine"]:
        moved = scale[:, None] * rows
        return torch.cat([moved[..., :d], (moved[..., d] + offset)[..., None]], dim=-1)
    return torch.cat([scale[:, None] * rows[..., :d, :] + offset[:, None] * rows[..., d:, :], rows[..., d:, :]], dim=-2)


def _rows_at(matrix: Tensor, lattice: Lattice) -> Tensor:
    """Return matrix (index, 1) at every point, ``(..., P, rows)``.

    No matrix product forms it: accelerators may round its factors.
    """
    values = matrix[..., None, :, -1]
    for axis, index in enumerate(_lattice_indices(lattice, matrix)):
        values = values + matrix[..., None, :, axis] * index[:, None]
    return values


def _lattice_indices(lattice: Lattice, like: Tensor) -> list[Tensor]:
    """Return the indices of the points of the lattice in one row, one tensor ``(P,)`` an axis."""
    axes = [torch.arange(n, dtype=like.dtype, device=like.device) for n in lattice.shape]
    return [index.flatten() for index in torch.meshgrid(*axes, indexing="ij")]


def _contracted(values: Tensor, axis: int, matrix: Tensor) -> Tensor:
    """Return ``sum_i values[..., i, ...] * matrix[i, j]`` on an axis, j in its place."""
    result: Tensor = torch.tensordot(values, matrix, dims=([axis], [0])).movedim(-1, axis)
    return result


@cached
@torch.inference_mode(False)
def _control_weights(controls: int, n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.from_numpy(control_weights(controls, n)).to(device, dtype)
