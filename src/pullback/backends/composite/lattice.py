"""Where the points of the output lattice are read from, and the way back, in plain torch; see :mod:`.composite`."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pullback._cache import cached
from pullback._plan import HORIZON_ROUNDINGS, LATTICES, PROJECTIVE_LATTICES, Lattice
from pullback.backends.composite.splines import control_support, control_weights


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
    infinite where nothing is seen, and where a parameter that is not finite is read.
    """
    x = _coordinates(geometry, lattice, dtype)
    if lattice.kind == LATTICES["given"]:
        return x
    return torch.where(is_unknown(geometry, lattice)[..., None], math.inf, x)


def is_unknown(geometry: Tensor, lattice: Lattice) -> Tensor:
    """Return which points depend on parameters that are not finite, ``(M, P)``, or for matrices ``(M, 1)``."""
    if lattice.kind == LATTICES["free-form"]:
        reads = (~geometry.isfinite()).any(-1).float()
        for axis, n in enumerate(lattice.shape, start=1):
            reads = _contracted(reads, axis, _control_support(reads.shape[axis], n, reads.dtype, reads.device).mT)
        return reads.flatten(1) > 0
    if lattice.kind in (LATTICES["given"], LATTICES["displacement"]):
        return (~geometry.isfinite()).any(-1).flatten(1)
    return (~geometry.isfinite()).flatten(1).any(1, keepdim=True)


def lost(geometry: Tensor, lattice: Lattice) -> Tensor:
    """Return NaN at the points that :func:`is_unknown` finds, with derivatives of NaN in their parameters; 0 elsewhere.

    ``(M, 1, P)``, or for matrices ``(M, 1, 1)``. In a spline the derivatives are those of the whole batch entry.
    """
    unknown = is_unknown(geometry, lattice)
    if lattice.kind in (LATTICES["given"], LATTICES["displacement"]):
        parameters = geometry.reshape(*unknown.shape, geometry.shape[-1])
        return (parameters * torch.where(unknown, math.nan, 0.0)[..., None].to(geometry.dtype)).sum(-1)[:, None]
    parameters = geometry.flatten(1)
    factor = torch.where(unknown.any(1, keepdim=True), math.nan, 0.0).to(geometry.dtype)
    return torch.where(unknown, (parameters * factor).sum(1, keepdim=True), 0)[:, None]


def _coordinates(geometry: Tensor, lattice: Lattice, dtype: torch.dtype) -> Tensor:
    geometry = geometry.to(_precise(dtype, geometry, lattice))
    if lattice.kind == LATTICES["affine"]:
        return _rows_at(_folded(geometry, lattice), lattice)
    if lattice.kind in PROJECTIVE_LATTICES:
        values = _rows_at(_folded(geometry, lattice), lattice)
        is_seen = _is_seen(values, geometry, lattice)
        return torch.where(is_seen, values[..., :-1] / torch.where(is_seen, values[..., -1:], 1), math.inf)
    if lattice.kind == LATTICES["free-form"]:  # whose other points do not read what is not finite
        geometry = torch.where(geometry.isfinite(), geometry, 0)
    offset = geometry.new_tensor(lattice.frame_in.offset)
    points = _vectors(geometry, lattice)
    if lattice.kind == LATTICES["given"]:
        return points + offset
    unit = geometry.new_tensor(lattice.frame_in.scale) / geometry.new_tensor(lattice.frame_out.scale)
    index = torch.stack(_lattice_indices(lattice, geometry), dim=-1)
    return unit * (index - geometry.new_tensor(lattice.frame_out.offset)) + offset + points


def geometry_jvp(geometry: Tensor, geometry_dot: Tensor, lattice: Lattice, dtype: torch.dtype) -> Tensor:
    """Return how :func:`coordinates` move with the geometry, ``(M, P, d)``."""
    dtype = _precise(dtype, geometry, lattice)
    geometry, geometry_dot = geometry.to(dtype), geometry_dot.to(dtype)
    if not _has_matrix(lattice):
        return _vectors(geometry_dot, lattice)
    moved = _rows_at(_folded(geometry_dot, lattice, is_motion=True), lattice)
    if lattice.kind == LATTICES["affine"]:
        return moved
    position, reciprocal = _position(geometry, lattice)
    return (moved[..., :-1] - position * moved[..., -1:]) * reciprocal


def geometry_vjp(geometry: Tensor, grad: Tensor, lattice: Lattice) -> Tensor:
    """Return the gradient of ``(grad * coordinates(geometry)).sum()`` in `geometry`, without autograd.

    Parameters
    ----------
    grad : Tensor, ``(M, P, d)``
        0 for points that are not read.
    """
    grad = grad.to(_precise(grad.dtype, geometry, lattice))
    geometry = geometry.to(grad.dtype)
    if _has_matrix(lattice):
        return _on_matrix(on_rows(geometry, grad, lattice), lattice)
    on_points = in_axis_order(grad.new_tensor(lattice.frame_in.scale) * grad, lattice)
    if lattice.kind != LATTICES["free-form"]:
        return on_points.reshape(geometry.shape)
    on_points = on_points.reshape(grad.shape[0], *lattice.shape, grad.shape[-1])
    unknown, on_points = on_points.isnan().to(grad.dtype), torch.where(on_points.isnan(), 0, on_points)
    for axis, (controls, n) in enumerate(zip(geometry.shape[1:-1], lattice.shape, strict=True), start=1):
        on_points = _contracted(on_points, axis, _control_weights(controls, n, grad.dtype, grad.device))
        unknown = _contracted(unknown, axis, _control_support(controls, n, grad.dtype, grad.device))
    return torch.where(unknown > 0, math.nan, on_points)


def geometry_second(
    geometry: Tensor, geometry_dot: Tensor | None, grad: Tensor, grad_dot: Tensor, lattice: Lattice
) -> Tensor:
    """Return the gradient of ``(grad * coordinates).sum() + (grad_dot * geometry_jvp).sum()`` in `geometry`.

    Parameters
    ----------
    grad, grad_dot : Tensor, ``(M, P, d)``
        0 for points that are not read.
    """
    if geometry_dot is None or lattice.kind not in PROJECTIVE_LATTICES:
        return geometry_vjp(geometry, grad, lattice)  # only a quotient moves otherwise where it lies elsewhere
    dtype = _precise(grad.dtype, geometry, lattice)
    geometry, geometry_dot, grad, grad_dot = (part.to(dtype) for part in (geometry, geometry_dot, grad, grad_dot))
    moved = _rows_at(_folded(geometry_dot, lattice, is_motion=True), lattice)
    position, reciprocal = _position(geometry, lattice)
    speed = moved[..., -1:] * reciprocal
    drift = (moved[..., :-1] - position * moved[..., -1:]) * reciprocal
    on_position = grad - grad_dot * speed
    last = -((on_position * position).sum(-1, keepdim=True) + (grad_dot * drift).sum(-1, keepdim=True))
    rows = torch.cat([on_position, last], dim=-1) * reciprocal
    is_read = ((grad != 0) | (grad_dot != 0)).any(-1, keepdim=True)
    return _on_matrix(torch.where(is_read, rows, 0), lattice)


def on_rows(matrix: Tensor, grad: Tensor, lattice: Lattice) -> Tensor:
    """Return gradients in coordinates, (..., P, d), in the rows of the matrix between indices, (..., P, rows)."""
    if lattice.kind == LATTICES["affine"]:
        return grad
    position, reciprocal = _position(matrix, lattice)
    numerators = grad * reciprocal
    last = -(numerators * position).sum(-1, keepdim=True)
    return torch.where((grad != 0).any(-1, keepdim=True), torch.cat([numerators, last], dim=-1), 0)


def _position(matrix: Tensor, lattice: Lattice) -> tuple[Tensor, Tensor]:
    """Return where a projective map takes the points, (..., P, d), and 1 / its denominator; 0 where nothing is seen."""
    values = _rows_at(_folded(matrix, lattice), lattice)
    is_seen = _is_seen(values, matrix, lattice)
    reciprocal = torch.where(is_seen, 1 / torch.where(is_seen, values[..., -1:], 1), 0)
    return values[..., :-1] * reciprocal, reciprocal


def _has_matrix(lattice: Lattice) -> bool:
    return lattice.kind == LATTICES["affine"] or lattice.kind in PROJECTIVE_LATTICES


def _precise(dtype: torch.dtype, geometry: Tensor, lattice: Lattice) -> torch.dtype:
    """Return the dtype to compute coordinates in, for which `dtype` does but near a horizon; Metal has no other."""
    return torch.float64 if lattice.kind in PROJECTIVE_LATTICES and geometry.device.type != "mps" else dtype


def _is_seen(values: Tensor, matrix: Tensor, lattice: Lattice) -> Tensor:
    """Return at which points a projective map sees something, ``(..., P, 1)``, from the rows of the matrix there."""
    denominator = values[..., -1:]
    if lattice.whole:
        last = _folded(matrix, lattice)[..., -1, :]
        most = (last[..., :-1].abs() * last.new_tensor(lattice.shape)).sum(-1) + last[..., -1].abs()
        near = HORIZON_ROUNDINGS * most[..., None, None]
        denominator = torch.where(denominator.abs() <= near, 0, denominator)
    if lattice.kind != LATTICES["one-sided"]:
        return (denominator > 0) | (denominator < 0)
    origin = matrix[..., None, -1:, -1]
    return (denominator > 0) & (origin > 0) | (denominator < 0) & (origin < 0)


def _on_matrix(rows: Tensor, lattice: Lattice) -> Tensor:
    """Return gradients in the rows of the matrix between indices, (M, P, rows), in the caller's matrix."""
    scale, offset = rows.new_tensor(lattice.frame_in.scale), rows.new_tensor(lattice.frame_in.offset)
    moments = _moments(rows, lattice)
    on_matrix = scale[:, None] * moments[:, : len(scale)]
    if lattice.kind in PROJECTIVE_LATTICES:
        last = moments[:, -1:] + (offset[:, None] * moments[:, :-1]).sum(1, keepdim=True)
        on_matrix = torch.cat([on_matrix, last], dim=1)
    return _matrix_in_axis_order(on_matrix, lattice)


def _vectors(geometry: Tensor, lattice: Lattice) -> Tensor:
    """Return given points, or displacements, in the index of the image, in the order of the axes, ``(M, P, d)``."""
    if lattice.kind == LATTICES["free-form"]:
        for axis, n in enumerate(lattice.shape, start=1):
            weights = _control_weights(geometry.shape[axis], n, geometry.dtype, geometry.device)
            geometry = _contracted(geometry, axis, weights.mT)
    scale = geometry.new_tensor(lattice.frame_in.scale)
    return scale * in_axis_order(geometry.reshape(geometry.shape[0], math.prod(lattice.shape), len(scale)), lattice)


def lattice_features(lattice: Lattice, like: Tensor) -> Tensor:
    """Return the indices of each point, and 1, ``(P, d + 1)``."""
    indices = _lattice_indices(lattice, like)
    return torch.stack([*indices, torch.ones_like(indices[0])], dim=-1)


def _moments(on_points: Tensor, lattice: Lattice) -> Tensor:
    """Return the sums over points of ``on_points`` times the position in the frame of the output, and times 1."""
    index = torch.stack(_lattice_indices(lattice, on_points), dim=-1)
    position = (index - on_points.new_tensor(lattice.frame_out.offset)) / on_points.new_tensor(lattice.frame_out.scale)
    return torch.cat([on_points.mT @ position, on_points.sum(1)[..., None]], dim=-1)


def _folded(matrix: Tensor, lattice: Lattice, is_motion: bool = False) -> Tensor:
    """Return matrices between indices: both frames are folded in, so that an identity is exact in every frame.

    Of a motion of matrices, its own.
    """
    matrix = _matrix_in_axis_order(matrix, lattice)
    scale, offset = matrix.new_tensor(lattice.frame_in.scale), matrix.new_tensor(lattice.frame_in.offset)
    d = len(scale)
    linear = matrix[..., :d] / matrix.new_tensor(lattice.frame_out.scale)
    constant = matrix[..., d] - (linear * matrix.new_tensor(lattice.frame_out.offset)).sum(-1)
    rows = torch.cat([linear, constant[..., None]], dim=-1)
    if lattice.kind == LATTICES["affine"]:
        moved = scale[:, None] * rows
        return moved if is_motion else torch.cat([moved[..., :d], (moved[..., d] + offset)[..., None]], dim=-1)
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


@cached
@torch.inference_mode(False)
def _control_support(controls: int, n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.from_numpy(control_support(controls, n)).to(device, dtype)
