"""The radial basis of a thin-plate spline: its equations, and its functions at points and on lattices."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pullback._arrays import Array, alike, as_arrays, detached, eye_like, has_values, is_constant, is_tensor, namespace
from pullback._cache import cached
from pullback._plan import constant
from pullback.transforms.points import points_like

# Of a pixel's basis functions, how many numbers to evaluate at once where they are not kept.
_PIECE = 2**21
# What the bilaplacian of the kernel is, as a multiple of Dirac's delta: the energy of a spline is that times w K w.
_BILAPLACIAN = {2: 16 * math.pi, 3: 8 * math.pi}


@dataclass(frozen=True, eq=False)
class System:
    """What the control points and the smoothing alone determine; of constants, equal ones are one object.

    Arrays in float64; tensors, with their graph, where the control points are no constants.

    Points are taken relative to `center`, in units of `unit`, which keeps the system well-conditioned. Features of a
    point are the K kernels about the `nodes`, 1, and its coordinates.

    Attributes
    ----------
    control_points : ndarray or Tensor, shape (K, d)
        The control points. Like all arrays here it is not to be written to, but may be: torch.compile takes no other.
    smoothing : float
        The smoothing.
    center : ndarray or Tensor, shape (d,)
        Their mean.
    unit : float or Tensor, shape ()
        Their root mean square distance from it.
    nodes : ndarray or Tensor, shape (K, d)
        The control points in those units.
    solve : ndarray or Tensor, shape (K + d + 1, K)
        From values at the control points to weights of the features.
    energy : ndarray or Tensor, shape (K, K)
        The bending energy as a quadratic form in those values.
    """

    control_points: Array
    smoothing: float
    center: Array
    unit: Array
    nodes: Array
    solve: Array
    energy: Array

    @property
    def piece(self) -> int:
        """How many points to evaluate at once."""
        return max(1, _PIECE // len(self.nodes))


def system_of(control_points: Array, smoothing: float) -> System:
    """Return the system of checked control points; tensors in it if they are no constants."""
    if is_tensor(control_points):
        return solved(control_points.double(), smoothing)
    return _kept_system(control_points.tobytes(), control_points.shape, smoothing)


@cached
def _kept_system(control_bytes: bytes, shape: tuple[int, int], smoothing: float) -> System:
    control_points = np.frombuffer(control_bytes).reshape(shape).copy()
    _check_spread(control_points)
    return solved(control_points, smoothing)


def solved(control_points: Array, smoothing: float) -> System:
    """Return the system of control points in float64."""
    xp = namespace(control_points)
    count, ndim = len(control_points), constant(control_points.shape[-1])
    center = control_points.mean(0)
    unit = xp.sqrt(((control_points - center) ** 2).sum(-1).mean())
    unit = unit if is_tensor(unit) else float(unit)
    nodes = (control_points - center) / unit
    kernel = _kernel(_squared_distances(nodes, nodes), ndim)
    affine = xp.concatenate([xp.ones_like(nodes[:, :1]), nodes], -1)
    # Distances in units of `unit` scale the kernel, up to a parabola that the side conditions annul.
    bent = kernel + smoothing * unit ** (ndim - 4) * alike(np.eye(count), nodes)
    free = xp.zeros_like(affine[: ndim + 1])
    matrix = xp.concatenate([xp.concatenate([bent, affine], 1), xp.concatenate([affine.T, free], 1)], 0)
    solve = xp.linalg.solve(matrix, alike(np.eye(count + ndim + 1, count), nodes))
    energy = solve[:count].T @ kernel @ solve[:count] * (_BILAPLACIAN[ndim] * unit ** (ndim - 4))
    return System(control_points, smoothing, center, unit, nodes, solve, energy)


def _kernel(squared: Array, ndim: int) -> Array:
    """Return the radial function of a squared distance; its derivative at 0 is taken as 0."""
    xp = namespace(squared)
    apart = squared > 0
    safe = xp.where(apart, squared, xp.ones_like(squared))
    return squared * xp.log(safe) if ndim == 2 else xp.where(apart, -xp.sqrt(safe), xp.zeros_like(squared))


def _kernel_slope(squared: Array, ndim: int) -> Array:
    """Return the derivative of the radial function by a coordinate, divided by the difference in it."""
    xp = namespace(squared)
    apart = squared > 0
    safe = xp.where(apart, squared, xp.ones_like(squared))
    return 2 * xp.log(safe) + 2 if ndim == 2 else xp.where(apart, -1 / xp.sqrt(safe), xp.zeros_like(squared))


def _squared_distances(points: Array, nodes: Array) -> Array:
    """Return the squared distance of each point, ``(..., d)``, from each node, ``(..., K)``."""
    total = (points[..., 0, None] - nodes[:, 0]) ** 2
    for axis in range(1, constant(nodes.shape[-1])):
        total = total + (points[..., axis, None] - nodes[:, axis]) ** 2
    return total


def features(points: Array, system: System) -> Array:
    """Return the features at points ``(..., d)``, ``(..., K + d + 1)``."""
    near, nodes, _ = _near(points, system)
    xp = namespace(near)
    kernels = _kernel(_squared_distances(near, nodes), constant(nodes.shape[-1]))
    return xp.concatenate([kernels, xp.ones_like(near[..., :1]), near], -1)


def feature_slopes(points: Array, system: System) -> list[Array]:
    """Return the derivative of the features by each coordinate, d times ``(..., K + d + 1)``."""
    near, nodes, unit = _near(points, system)
    xp = namespace(near)
    rate = _kernel_slope(_squared_distances(near, nodes), constant(nodes.shape[-1]))
    zero, axes = xp.zeros_like(near), eye_like(near)
    return [
        xp.concatenate([rate * (near[..., axis, None] - nodes[:, axis]), zero[..., :1], zero + axes[axis]], -1) / unit
        for axis in range(constant(nodes.shape[-1]))
    ]


def _near(points: Array, system: System) -> tuple[Array, Array, Array]:
    """Return points in the units of the nodes, the nodes, and the unit, on arrays of the kind of `points`."""
    (points,) = as_arrays("features", points=points)
    center, nodes = (alike(part, points) for part in (system.center, system.nodes))
    unit = alike(system.unit, points) if is_tensor(system.unit) else system.unit
    return (points - center) / unit, nodes, unit


def in_pieces(function: Callable[[Array], Array], points: Array, piece: int) -> Array:
    """Return what `function` gives on points ``(..., P, d)``, computed for `piece` of the P at a time."""
    count = points.shape[-2]
    if count <= piece:
        return function(points)
    parts = [function(points[..., start : start + piece, :]) for start in range(0, count, piece)]
    return namespace(points).concatenate(parts, points.ndim - 2)


def product(first: Array, second: Array) -> Array:
    """Return ``first @ second`` in the dtype of the two: autocast would run it in half precision."""
    if not is_tensor(first):
        return first @ second
    torch, kind = namespace(first), first.device.type
    if not torch.amp.is_autocast_available(kind):
        return first @ second
    with torch.autocast(kind, enabled=False):
        return first @ second


def lattice_basis(system: System, shape: tuple[int, ...], frame: str, beside: Array) -> Array:
    """Return what each target adds at each point of an output lattice, (points, K), of the kind of `beside`."""
    if is_tensor(system.nodes):
        return _basis(system, shape, frame).to(beside)
    if not is_tensor(beside):
        return _kept_basis(system, shape, frame)
    tensor_basis = _kept_tensor_basis if _is_kept(beside) else _tensor_basis
    return tensor_basis(system, shape, frame, beside.dtype, beside.device)


@cached
def _kept_basis(system: System, shape: tuple[int, ...], frame: str) -> Array:
    basis = _basis(system, shape, frame)
    basis.setflags(write=False)
    return basis


def _tensor_basis(system: System, shape: tuple[int, ...], frame: str, dtype: Any, device: Any) -> Array:
    torch = sys.modules["torch"]
    # A tensor made in inference mode could not be kept for calls that record gradients.
    with torch.inference_mode(False):
        return torch.as_tensor(_basis(system, shape, frame), dtype=dtype, device=device)


_kept_tensor_basis = cached(_tensor_basis)


def _basis(system: System, shape: tuple[int, ...], frame: str) -> Array:
    points = points_like(system.nodes, shape, frame).reshape(-1, len(shape))
    solve = alike(system.solve, features(points[:0], system))
    return in_pieces(lambda part: product(features(part, system), solve), points, system.piece)


def _is_kept(tensor: Array) -> bool:
    """Say whether what is made for `tensor` can be kept: it cannot while tracing, nor for stand-ins of tensors."""
    torch = sys.modules["torch"]
    return type(tensor) in (torch.Tensor, torch.nn.Parameter) and not torch.compiler.is_compiling()


def checked_control_points(control_points: Array) -> Array:
    """Return control points, ``(K, d)``, of enough of them; as float64 arrays if they are constants."""
    points = detached(control_points) if is_constant(control_points) else control_points
    (points,) = as_arrays("ThinPlateSpline", control_points=points)
    shape = tuple(points.shape)
    if points.ndim != 2 or shape[-1] not in (2, 3):
        raise ValueError(f"ThinPlateSpline: `control_points` has shape {shape}; give (K, d) with d of 2 or 3")
    if shape[0] < shape[1] + 1:
        raise ValueError(
            f"ThinPlateSpline: `control_points` holds {shape[0]} points; give {shape[1] + 1} or more in {shape[1]}-D"
        )
    if is_tensor(points) and has_values(points):
        _check_spread(detached(points))
    return points


def _check_spread(points: np.ndarray[Any, Any]) -> None:
    """Refuse control points for which the system has no solution."""
    if not np.isfinite(points).all():
        raise ValueError("ThinPlateSpline: `control_points` holds values that are not finite; give finite points")
    squared = _squared_distances(points, points)
    squared[np.tril_indices(len(points))] = np.inf
    first, second = np.unravel_index(np.argmin(squared), squared.shape)
    if squared[first, second] <= 1e-20 * np.max(np.var(points, 0)):
        place = points[first].tolist()
        raise ValueError(f"ThinPlateSpline: `control_points` {first} and {second} are both at {place}; keep one")
    # The smallest extent in any direction, as a part of the largest.
    extent = np.linalg.svd(points - points.mean(0), compute_uv=False)
    if extent[-1] <= 1e-9 * extent[0]:
        flat = "line" if points.shape[1] == 2 else "plane"
        raise ValueError(f"ThinPlateSpline: all `control_points` lie on one {flat}; add one that does not")
