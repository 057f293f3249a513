"""Thin-plate splines: the smoothest map that takes given points to given points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np

import pullback._check as _check
from pullback._arrays import (
    Array,
    alike,
    as_arrays,
    detached,
    eye_like,
    is_tensor,
    like,
    namespace,
    own,
    unspread,
)
from pullback._plan import constant
from pullback.transforms.deformation import Deformation, check_extent
from pullback.transforms.radial import (
    System,
    checked_control_points,
    feature_slopes,
    features,
    in_pieces,
    lattice_basis,
    product,
    system_of,
)

if TYPE_CHECKING:
    from typing import Self

# A basis with more numbers is evaluated in pieces: 128 MiB in double precision.
_LARGEST_BASIS = 2**24


class ThinPlateSpline(Deformation):
    r"""A thin-plate spline: the map of least bending energy that takes given points to given points.

    Parameters
    ----------
    control_points : array_like or Tensor, shape (K, d)
        Points of the output, d of 2 or 3; at least d + 1, no two of them the same, not all on one line or plane. They
        are written, like all points, in the frame of the call. Of a tensor that requires a gradient, there is one.
    targets : array_like or Tensor, shape (K, d) or (N, K, d)
        The points of the input that they are read from. Also the attribute `parameters`.
    smoothing : float
        0: the spline takes each control point exactly to its target. Above: a weight of bending against distance from
        the targets, added to the diagonal of the kernel matrix; in the square of the unit of the control points in
        2-D, in their unit in 3-D. An affine map is met exactly whatever the smoothing.

    Attributes
    ----------
    control_points : ndarray or Tensor, shape (K, d)
        The control points, read-only; a tensor where they are no constants.
    smoothing : float
        The smoothing.

    Raises
    ------
    ValueError
        If a shape does not fit, control points coincide or do not span the space, or `smoothing` is negative.
    TypeError
        If an argument does not hold real numbers.

    Notes
    -----
    With the control points c and their targets t, the spline minimises :math:`\sum_j |q(c_j) - t_j|^2 + \lambda
    \sum_{jk} w_j \phi_{jk} w_k`. It is

    .. math:: q(p) = A p + b + \sum_j w_j \, \phi(|p - c_j|), \qquad \sum_j w_j = 0, \quad \sum_j w_j c_j^T = 0

    with :math:`\phi(r) = r^2 \log r^2` in 2-D and :math:`-r` in 3-D (Bookstein 1989, "Principal warps: thin-plate
    splines and the decomposition of deformations"). It is linear in the targets, so the system is solved once for
    a set of control points, and its K basis functions on an output lattice are kept for as long as they are in use.
    They are evaluated on the displacements t - c, so that the identity is exact.

    Examples
    --------
    >>> import numpy as np
    >>> from pullback.transforms import ThinPlateSpline
    >>> corners = np.array([[0.0, 0.0], [0.0, 9.0], [9.0, 0.0], [9.0, 9.0], [4.0, 5.0]])
    >>> bend = ThinPlateSpline(corners, corners + [[0, 0], [0, 0], [0, 0], [0, 0], [1.0, 2.0]])
    >>> bend([[4.0, 5.0], [9.0, 9.0]]).round(6)
    array([[5., 7.],
           [9., 9.]])
    """

    lattice: ClassVar[str] = "given"
    _parameter_axes = 2

    _system: System

    def __init__(self, control_points: Array, targets: Array, smoothing: float = 0.0) -> None:
        control_points = checked_control_points(control_points)
        if not 0 <= smoothing < math.inf:
            raise ValueError(f"ThinPlateSpline: `smoothing` is {smoothing!r}; give 0 or a positive number")
        _check.without_gradient("ThinPlateSpline", "it is a constant", smoothing=smoothing)
        self._aim(targets, system_of(control_points, float(smoothing) + 0.0))

    def _aim(self, targets: Array, system: System) -> None:
        if is_tensor(system.nodes) and not is_tensor(targets):
            targets = like(targets, system.nodes)
        (targets,) = as_arrays("ThinPlateSpline", targets=targets)
        shape = tuple(system.nodes.shape)
        if targets.ndim not in (2, 3) or tuple(targets.shape[-2:]) != shape:
            raise ValueError(
                f"ThinPlateSpline: `targets` has shape {tuple(targets.shape)} but `control_points` has {shape}; "
                "give that, or (N, K, d)"
            )
        self._hold(own(targets))
        object.__setattr__(self, "_system", system)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return type(self), (self.control_points, self.parameters, self.smoothing)

    @classmethod
    def from_parameters(cls, parameters: Array) -> NoReturn:
        """Raise, for targets alone are no spline; see :meth:`pullback.Transform.from_parameters`.

        Raises
        ------
        TypeError
            Always; :meth:`with_parameters` gives a spline other targets.
        """
        raise TypeError(
            "ThinPlateSpline.from_parameters: targets alone are no spline; use `with_parameters` of a spline, or "
            "ThinPlateSpline(control_points, targets)"
        )

    def with_parameters(self, parameters: Array) -> Self:
        """Return the spline of the same points with other targets; see :meth:`pullback.Transform.with_parameters`.

        The equations of the spline are not solved again. `torch.compile` can trace this, and not the constructor.
        """
        spline = object.__new__(type(self))
        spline._aim(parameters, self._system)
        return spline

    def numpy(self) -> Self:
        """Return the spline on NumPy arrays, control points included; see :meth:`pullback.Transform.numpy`."""
        if not is_tensor(self._system.nodes):
            return super().numpy()
        return type(self)(detached(self.control_points), detached(self.parameters), self.smoothing)

    @classmethod
    def identity(cls, control_points: Array) -> Self:
        """Return the spline that leaves every point where it is.

        Parameters
        ----------
        control_points : array_like, shape (K, d)
            The control points, as for the constructor.

        Returns
        -------
        ThinPlateSpline
            On NumPy arrays, with no smoothing.

        Raises
        ------
        ValueError
            If the shape does not fit, or control points coincide or do not span the space.
        TypeError
            If `control_points` holds anything but real numbers.

        Examples
        --------
        >>> import pullback as pb
        >>> pb.ThinPlateSpline.identity([[0.0, 0.0], [0.0, 9.0], [9.0, 0.0]])([2.0, 3.0])
        array([2., 3.])
        """
        return cls(control_points, checked_control_points(control_points))

    @classmethod
    def fit(cls, source: Array, target: Array, smoothing: float = 0.0) -> Self:
        """Return the spline through pairs of points; the constructor, with the names that all families' fits have.

        Parameters
        ----------
        source : array_like or Tensor, shape (K, d)
            Points of the output: the control points.
        target : array_like or Tensor, shape (K, d) or (N, K, d)
            The points of the input that they are read from.
        smoothing : float, optional
            As in the constructor.

        Returns
        -------
        ThinPlateSpline
            One, or a batch of N.

        Raises
        ------
        ValueError, TypeError
            As in the constructor.

        Examples
        --------
        >>> import numpy as np
        >>> import pullback as pb
        >>> corners = np.array([[0.0, 0.0], [0.0, 9.0], [9.0, 0.0]])
        >>> pb.ThinPlateSpline.fit(corners, corners + 1)([2.0, 3.0]).round(6)
        array([3., 4.])
        """
        return cls(source, target, smoothing)

    @property
    def control_points(self) -> Array:
        """The control points, ``(K, d)``, read-only."""
        points = self._system.control_points
        if not is_tensor(points):
            points = points.view()
            points.setflags(write=False)
        return points

    @property
    def smoothing(self) -> float:
        """The smoothing."""
        return self._system.smoothing

    @property
    def ndim(self) -> int:
        """Number of spatial axes, d."""
        return constant(self._system.nodes.shape[-1])

    def __call__(self, points: Array, *, shape: Sequence[int] | None = None, frame: str = "index") -> Array:
        """Map points of the output to points of the input; see :meth:`pullback.Transform.__call__`.

        Points are written as the control points are; `shape` and `frame` are not used: a spline is given by points.
        """
        name = "ThinPlateSpline"
        targets, points = as_arrays(name, targets=self.parameters, points=points)
        self._check_points(points)
        weights = self._weights(targets)
        moved = in_pieces(
            lambda piece: product(features(piece, self._system), weights), self._flat(points), self._system.piece
        )
        return points + self._unflattened(moved, points)

    def jacobian(self, points: Array, *, shape: Sequence[int] | None = None, frame: str = "index") -> Array:
        """Return the derivative of the mapped points in `points`; see :meth:`pullback.Transform.jacobian`."""
        targets, points = as_arrays("ThinPlateSpline.jacobian", targets=self.parameters, points=points)
        self._check_points(points)
        weights = self._weights(targets)

        def slopes(piece: Array) -> Array:
            columns = [product(slope, weights) for slope in feature_slopes(piece, self._system)]
            return namespace(piece).stack(columns, -1)

        slope = in_pieces(slopes, self._flat(points), self._system.piece)
        return eye_like(points) + self._unflattened(slope, points)

    def points_vjp(
        self, points: Array, grad: Array, *, shape: Sequence[int] | None = None, frame: str = "index"
    ) -> tuple[Array, Array]:
        """Differentiate the mapped points backwards; see :meth:`pullback.Transform.points_vjp`."""
        points, grad = self._check_vjp("ThinPlateSpline.points_vjp", points, grad)
        jacobian = self.jacobian(points)
        grad_points = (np.swapaxes(jacobian, -1, -2) @ grad[..., None])[..., 0]
        if self.batch_shape:
            grad_points = unspread(grad_points, points.shape if points.ndim > 1 else (1, self.ndim))
        flat = self._flat(points)
        rows = grad.reshape(*(grad.shape[:1] if self.batch_shape else ()), *flat.shape[-2:])
        grad_targets = np.zeros((*rows.shape[:-2], *self.control_points.shape))
        for start in range(0, flat.shape[-2], self._system.piece):
            piece = slice(start, start + self._system.piece)
            basis = features(flat[..., piece, :], self._system) @ self._system.solve
            grad_targets += np.swapaxes(basis, -1, -2) @ rows[..., piece, :]
        return grad_points.reshape(points.shape), unspread(grad_targets, self.parameters.shape)

    def displacements(self, shape: Sequence[int], frame: str = "index") -> Array:
        """Return how far the points of an output lattice are moved.

        Parameters
        ----------
        shape : sequence of int
            Spatial shape of the output.
        frame : {"index", "centered", "normalized", "normalized-corners"}, optional
            What the points and the displacements are written in: that of the control points.

        Returns
        -------
        ndarray or Tensor, ``(..., *shape, d)``
            Coordinates less the points themselves. Differentiable in the targets where they are tensors.

        Raises
        ------
        ValueError
            If `shape` or `frame` is wrong.

        Examples
        --------
        >>> import numpy as np
        >>> import pullback as pb
        >>> corners = np.array([[0.0, 0.0], [0.0, 9.0], [9.0, 0.0]])
        >>> pb.ThinPlateSpline(corners, corners + [0.0, 2.0]).displacements((1, 2)).round(6) + 0.0
        array([[[0., 2.],
                [0., 2.]]])
        """
        shape, frame = check_extent("ThinPlateSpline.displacements", self.ndim, shape, frame)
        if math.prod(shape) * len(self._system.nodes) > _LARGEST_BASIS:
            points = self._lattice_points(shape, frame)
            coordinates = self(points)
            coordinates, points = as_arrays("displacements", coordinates=coordinates, points=points)
            return coordinates - points
        shifts = self._shifts(self.parameters)
        moved = product(lattice_basis(self._system, shape, frame, self.parameters), shifts)
        return moved.reshape(*self.batch_shape, *shape, self.ndim)

    def coordinates(self, shape: Sequence[int], frame: str = "index") -> Array:
        """Return where the points of an output are read from; see :meth:`pullback.Transform.coordinates`.

        The basis functions of a lattice are kept, so that a second call with the same control points is one matrix
        product.
        """
        shape, frame = check_extent("ThinPlateSpline.coordinates", self.ndim, shape, frame)
        moved = self.displacements(shape, frame)
        _, points = as_arrays("coordinates", moved=moved, points=self._lattice_points(shape, frame))
        return points + moved

    def coordinates_vjp(self, grad_coordinates: Array, shape: Sequence[int], frame: str = "index") -> Array:
        """Pull a gradient in the coordinates back to the targets; see :meth:`pullback.Transform.coordinates_vjp`.

        Raises
        ------
        ValueError
            If a shape or `frame` is wrong.
        TypeError
            If `grad_coordinates`, or the transform, is on tensors, which have their derivatives by ``backward``.
        """
        name = "ThinPlateSpline.coordinates_vjp"
        shape, frame = check_extent(name, self.ndim, shape, frame)
        if math.prod(shape) * len(self._system.nodes) > _LARGEST_BASIS:
            return super().coordinates_vjp(grad_coordinates, shape, frame)
        if is_tensor(self.parameters) or is_tensor(grad_coordinates):
            raise TypeError(f"{name}: takes NumPy arrays; for tensors, call backward() on a function of the points")
        (grad,) = as_arrays(name, grad_coordinates=grad_coordinates)
        expected = (*self.batch_shape, *shape, self.ndim)
        if grad.shape != expected:
            raise ValueError(f"{name}: `grad_coordinates` has shape {grad.shape}; give that of the points, {expected}")
        return lattice_basis(self._system, shape, frame, self.parameters).T @ grad.reshape(
            *self.batch_shape, math.prod(shape), self.ndim
        )

    def bending_energy(self) -> Array:
        r"""Return how much the map bends: zero for an affine map.

        Returns
        -------
        ndarray or Tensor, shape () or (N,)
            The energy, in the unit of points to the power of d - 2. Differentiable in the targets where they are
            tensors.

        Notes
        -----
        The integral over all space of the squared second derivatives,

        .. math:: E = \int \sum_{i, a, b} \left(\frac{\partial^2 q_i}{\partial p_a \partial p_b}\right)^2 dp
                    = c \sum_i \sum_{jk} w_{ji} \phi_{jk} w_{ki}

        where c is :math:`16 \pi` in 2-D and :math:`8 \pi` in 3-D.

        Examples
        --------
        >>> import numpy as np
        >>> from pullback.transforms import ThinPlateSpline
        >>> corners = np.array([[0.0, 0.0], [0.0, 9.0], [9.0, 0.0], [9.0, 9.0]])
        >>> bool(abs(ThinPlateSpline(corners, 2 * corners + 1).bending_energy()) < 1e-12)
        True
        """
        (targets,) = as_arrays("ThinPlateSpline.bending_energy", targets=self.parameters)
        energy = alike(self._system.energy, targets)
        shifts = self._shifts(targets)
        return (shifts * product(energy, shifts)).sum((-2, -1))

    def inverse(self) -> NoReturn:
        """Raise, for there is no closed form; see :meth:`pullback.Transform.inverse`.

        Raises
        ------
        ValueError
            Always. The spline fitted with source and target exchanged is near the inverse.
        """
        raise ValueError(
            "ThinPlateSpline.inverse: a thin-plate spline has no inverse in closed form; fit one with source and "
            "target exchanged, ThinPlateSpline.fit(target, source)"
        )

    def _shifts(self, targets: Array) -> Array:
        return targets - alike(self._system.control_points, targets)

    def _weights(self, targets: Array) -> Array:
        """Return the spline's weight on each feature, ``(..., K + d + 1, d)``."""
        return product(alike(self._system.solve, targets), self._shifts(targets))

    def _flat(self, points: Array) -> Array:
        """Return points as ``(P, d)``, or as ``(N or 1, P, d)`` for a batch of splines."""
        batch = (points.shape[:1] if points.ndim > 1 else (1,)) if self.batch_shape else ()
        return points.reshape(*batch, math.prod(points.shape[len(batch) : -1]), self.ndim)

    def _unflattened(self, values: Array, points: Array) -> Array:
        """Return values at flat points, ``([N,] P, ...)``, with the axes of `points` and the batch axis."""
        axes = 2 if self.batch_shape else 1
        return values.reshape(*values.shape[: axes - 1], *points.shape[axes - 1 : -1], *values.shape[axes:])

    def _describe(self) -> str:
        return f"{len(self.control_points)} control points, smoothing={self.smoothing:g}"
