"""Stationary velocity fields, integrated to maps that do not fold."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

import pullback._check as _check
from pullback._arrays import Array, as_arrays, check_values, is_tensor, namespace, own
from pullback._cache import untraced
from pullback._plan import frame_of, is_reversed
from pullback.transforms.deformation import IN_A_GRAPH, check_extent, count_folds
from pullback.transforms.displacement import Displacement
from pullback.transforms.field import OnLattice, check_field
from pullback.transforms.thin_plate_spline import ThinPlateSpline
from pullback.transforms.vectors import pull_along

if TYPE_CHECKING:
    from typing import Self

_MOST_STEPS = 30


class Velocity(OnLattice):
    r"""A stationary velocity field v: the map that carries each point along it for one unit of time, ``exp(v)``.

    The map of a smooth field is one-to-one, and its inverse is that of ``-v``.

    Parameters
    ----------
    field : array_like or Tensor, shape (*S, d) or (N, *S, d)
        The velocity on a lattice S of d axes, d of 1, 2 or 3: in samples of that lattice per unit of time, and in the
        order of its axes, whatever the frame of the call. Also the attribute `parameters`.
    steps : int
        The number of squarings. A point must not travel much more than half a sample in ``2**-steps`` units of time.

    Attributes
    ----------
    steps : int
        The number of squarings.
    shape : tuple of int
        The lattice, S.

    Raises
    ------
    ValueError
        If `field` has another shape, or `steps` is out of range.
    TypeError
        If `field` does not hold real numbers, or `steps` is no integer.

    See Also
    --------
    pullback.Displacement : A field that is added and not integrated.

    Notes
    -----
    Scaling and squaring (Arsigny et al. 2006, "A log-Euclidean framework for statistics on diffeomorphisms"): from
    :math:`u_0 = v / 2^{steps}`,

    .. math:: u_{k+1}(p) = u_k(p) + u_k(p + u_k(p))

    read with cubic interpolation (Keys); beyond the lattice the field goes on as at its edge. On smooth fields with
    paths of 10 samples the map is within 0.1 samples of a Runge-Kutta solution; linear reads would be three to five
    times as far off.

    The lattice spans the extent of the output, of whatever shape and in whatever frame: the flow is that on the
    lattice, and only its displacements are rewritten. So a velocity means the same motion of a picture at any
    resolution. The vectors of a :class:`pullback.Displacement` do not: they are in units of the output's frame.

    Examples
    --------
    >>> import numpy as np
    >>> from pullback.transforms import Velocity
    >>> flow = Velocity(np.full((4, 5, 2), [1.0, -0.5]))
    >>> flow([1.0, 2.0])
    array([2. , 1.5])
    >>> flow.inverse()([2.0, 1.5])
    array([1., 2.])

    On an output of twice the size, a sample of the lattice is two pixels:

    >>> flow([1.0, 2.0], shape=(8, 10))
    array([3., 1.])
    """

    lattice: ClassVar[str] = "displacement"

    steps: int

    def __init__(self, field: Array, steps: int = 7) -> None:
        (field,) = as_arrays("Velocity", field=field)
        check_field("Velocity", "field", field, 1)
        if isinstance(steps, bool) or not isinstance(steps, int | np.integer):
            raise TypeError(f"Velocity: `steps` is {steps!r}; give an integer")
        if not 0 <= steps <= _MOST_STEPS:
            raise ValueError(f"Velocity: `steps` is {steps}; give 0 to {_MOST_STEPS}")
        self._hold(own(field))
        object.__setattr__(self, "steps", int(steps))

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return type(self), (self.parameters, self.steps)

    @classmethod
    def from_parameters(cls, parameters: Array) -> Self:
        """Return the flow of the given velocity, in 7 squarings; see :meth:`pullback.Transform.from_parameters`."""
        return cls(parameters)

    def with_parameters(self, parameters: Array) -> Self:
        """Return the flow of another velocity, as many squarings; see :meth:`pullback.Transform.with_parameters`."""
        return type(self)(parameters, self.steps)

    @classmethod
    def fit(
        cls,
        source: Array,
        target: Array,
        shape: Sequence[int],
        *,
        steps: int = 7,
        iterations: int = 50,
        tolerance: float = 1e-3,
    ) -> Self:
        """Return a velocity whose flow takes points near to others.

        An approximation: in each round, the thin-plate spline through what is left of the way, or a part of it where
        that leads farther off, is added to the velocity, until no point is farther than `tolerance` from its target.
        It is a flow through the pairs, and not the shortest or the smoothest one. Targets outside the lattice, or
        that no one-to-one map of its resolution reaches, are missed.

        Parameters
        ----------
        source : array_like, shape (K, d)
            Points of the output, d of 2 or 3, at least d + 1 of them, in samples of the lattice.
        target : array_like, shape (K, d) or (N, K, d)
            The points of the input that they are read from, in samples too.
        shape : sequence of int
            The lattice.
        steps : int, optional
            The number of squarings.
        iterations : int, optional
            The largest number of rounds.
        tolerance : float, optional
            The distance, in samples, at which to stop.

        Returns
        -------
        Velocity
            The best of all rounds, on NumPy arrays; a batch of N for N sets of targets.

        Raises
        ------
        ValueError, TypeError
            If an argument is wrong, or the points do not determine a spline.

        Warns
        -----
        RuntimeWarning
            If a point is left farther than `tolerance` from its target; the message says how far.

        Examples
        --------
        >>> import numpy as np
        >>> from pullback.transforms import Velocity
        >>> source = np.array([[2.0, 2.0], [2.0, 17.0], [17.0, 2.0], [17.0, 17.0], [9.0, 10.0]])
        >>> target = source + [[0, 0], [0, 0], [0, 0], [0, 0], [3.0, -2.0]]
        >>> flow = Velocity.fit(source, target, shape=(20, 20))
        >>> bool(abs(flow(source) - target).max() < 1e-3)
        True
        """
        name = "Velocity.fit"
        shape = _check.resized(name, shape)
        if iterations < 1:
            raise ValueError(f"{name}: `iterations` is {iterations!r}; give 1 or more")
        if not tolerance > 0:
            raise ValueError(f"{name}: `tolerance` is {tolerance!r}; give a positive number of samples")
        _check.without_gradient(name, "an approximation has none", source=source, target=target)
        spline = ThinPlateSpline.fit(source, target).numpy()
        check_extent(name, spline.ndim, shape, "index")
        targets = spline.parameters
        flows: list[Self] = [
            _fitted(cls.identity(shape).with_steps(steps), spline.control_points, ends, iterations, tolerance)
            for ends in (targets if spline.batch_shape else targets[None])
        ]
        if not spline.batch_shape:
            return flows[0]
        return cls(np.array([flow.parameters for flow in flows]).reshape(-1 if flows else 0, *shape, len(shape)), steps)

    def with_steps(self, steps: int) -> Self:
        """Return the flow of the same velocity with another number of squarings.

        Parameters
        ----------
        steps : int
            As for the constructor, 0 to 30.

        Returns
        -------
        Velocity
            Around the same parameters.

        Raises
        ------
        ValueError
            If `steps` is out of range.
        TypeError
            If `steps` is no integer.

        Examples
        --------
        >>> import pullback as pb
        >>> pb.Velocity.identity((4, 5)).with_steps(3)
        Velocity(lattice=(4, 5), steps=3)
        """
        return type(self)(self.parameters, steps)

    def fits(self, shape: Sequence[int], frame: str) -> bool:
        """Tell whether an output has the lattice and its frame, "index"; see :meth:`pullback.Transform.fits`."""
        return self.shape == tuple(shape) and frame == "index"

    @property
    def geometry(self) -> Array:
        """The displacements of the flow, ``(..., *S, d)``, in samples of the lattice."""
        if is_tensor(self.parameters):
            return self._flow()[-1]
        kept: Array = self.__dict__.get("_integrated")
        if kept is None:
            kept = self._flow()[-1]
            kept.setflags(write=False)
            kept = kept[...]  # a view, which no one can make writeable again
            object.__setattr__(self, "_integrated", kept)
        return kept

    def geometry_vjp(self, grad_geometry: Array) -> Array:
        """Pull a gradient in the displacements back, for NumPy; see :meth:`pullback.Transform.geometry_vjp`.

        Raises
        ------
        ValueError
            If `grad_geometry` has another shape than the velocity.
        TypeError
            If it, or the transform, is on tensors, which have their derivatives by ``backward``.
        """
        name = "Velocity.geometry_vjp"
        if is_tensor(self.parameters) or is_tensor(grad_geometry):
            raise TypeError(f"{name}: takes NumPy arrays; for tensors, call backward() on a function of the geometry")
        (grad,) = as_arrays(name, grad_geometry=grad_geometry)
        if grad.shape != self.parameters.shape:
            raise ValueError(
                f"{name}: `grad_geometry` has shape {grad.shape}; give the field's, {self.parameters.shape}"
            )
        for field in self._flow()[-2::-1]:
            grad = _squared_vjp(field, grad)
        return grad / 2**self.steps

    def displacement(self, shape: Sequence[int] | None = None, frame: str = "index") -> Displacement:
        """Return the displacement field of the flow.

        Parameters
        ----------
        shape : sequence of int, optional
            The output that the lattice spans. Default: one pixel for each sample.
        frame : {"index", "centered", "normalized", "normalized-corners"}, optional
            What its vectors are written in.

        Returns
        -------
        Displacement
            On the lattice of the velocity. Differentiable in it where it is a tensor.

        Raises
        ------
        ValueError
            If `shape` or `frame` is wrong.

        Examples
        --------
        >>> import numpy as np
        >>> import pullback as pb
        >>> flow = pb.Velocity(np.full((4, 5, 2), [1.0, 0.0]))
        >>> flow.displacement((8, 10)).parameters[0, 0]
        array([2., 0.])
        """
        shape, frame = self._extent("Velocity.displacement", shape, frame)
        field, unit = as_arrays("displacement", field=self.geometry, unit=self._unit(shape, frame))
        return Displacement(_reversed(field * unit, frame))

    def displacement_vjp(self, grad_field: Array, shape: Sequence[int] | None = None, frame: str = "index") -> Array:
        """Pull a gradient in the vectors of :meth:`displacement` back to the velocity, for NumPy.

        Parameters
        ----------
        grad_field : ndarray, ``(..., *S, d)``
            The gradient in the vectors, of their shape.
        shape : sequence of int, optional
            As in :meth:`displacement`.
        frame : {"index", "centered", "normalized", "normalized-corners"}, optional
            As in :meth:`displacement`.

        Returns
        -------
        ndarray, ``(..., *S, d)``
            The gradient in the velocity.

        Raises
        ------
        ValueError
            If a shape or `frame` is wrong.
        TypeError
            If `grad_field`, or the transform, is on tensors, which have their derivatives by ``backward``.

        Examples
        --------
        >>> import numpy as np
        >>> import pullback as pb
        >>> pb.Velocity([[0.0], [0.0]]).displacement_vjp(np.array([[1.0], [0.0]]), (4,))
        array([[2.],
               [0.]])
        """
        shape, frame = self._extent("Velocity.displacement_vjp", shape, frame)
        return self.geometry_vjp(_reversed(grad_field, frame) * np.array(self._unit(shape, frame)))

    def __call__(self, points: Array, *, shape: Sequence[int] | None = None, frame: str = "index") -> Array:
        """Map points of the output to points of the input; see :meth:`pullback.Transform.__call__`.

        The lattice spans the extent of the output, whose displacements are written in `frame`.
        """
        _, points = as_arrays("Velocity", field=self.parameters, points=points)
        self._check_points(points)
        shape, frame = self._extent("Velocity", shape, frame)
        return self.displacement(shape, frame)(points, shape=shape, frame=frame)

    def jacobian(self, points: Array, *, shape: Sequence[int] | None = None, frame: str = "index") -> Array:
        """Return the derivative of the mapped points in `points`; see :meth:`pullback.Transform.jacobian`.

        It is that of the interpolated displacements.
        """
        _, points = as_arrays("Velocity.jacobian", field=self.parameters, points=points)
        self._check_points(points)
        shape, frame = self._extent("Velocity.jacobian", shape, frame)
        return self.displacement(shape, frame).jacobian(points, shape=shape, frame=frame)

    def points_vjp(
        self, points: Array, grad: Array, *, shape: Sequence[int] | None = None, frame: str = "index"
    ) -> tuple[Array, Array]:
        """Differentiate the mapped points backwards; see :meth:`pullback.Transform.points_vjp`."""
        points, grad = self._check_vjp("Velocity.points_vjp", points, grad)
        shape, frame = self._extent("Velocity.points_vjp", shape, frame)
        displacement = self.displacement(shape, frame)
        grad_points, grad_field = displacement.points_vjp(points, grad, shape=shape, frame=frame)
        return grad_points, self.displacement_vjp(grad_field, shape, frame)

    def inverse(self) -> Self:
        """Return the flow of the opposite velocity; see :meth:`pullback.Transform.inverse`.

        It undoes this one up to the interpolation of the fields.
        """
        return self.with_parameters(-self.parameters)

    @untraced(f"folds needs the values of the field; {IN_A_GRAPH}")
    def folds(self, *, warn: bool = False) -> Any:
        """Count the samples of the lattice at which the map turns its surroundings inside out.

        Parameters
        ----------
        warn : bool, optional
            Whether to warn, with the count, where there are any.

        Returns
        -------
        int, or ndarray of int, shape (N,)
            As of :meth:`pullback.Displacement.folds`. Above zero only where the velocity changes by so much from one
            sample to the next that `steps` squarings do not follow it.

        Raises
        ------
        TypeError
            If the values are not known, as inside a graph.

        Warns
        -----
        RuntimeWarning
            If `warn` is true and the map folds.

        Examples
        --------
        >>> import numpy as np
        >>> import pullback as pb
        >>> flow = pb.Velocity(3 * np.sin(np.arange(16.0) / 2)[:, None])
        >>> flow.folds(), flow.with_steps(0).folds()  # the latter adds the velocity itself
        (0, 3)
        """
        check_values(self.parameters, "Velocity.folds", IN_A_GRAPH)
        displacement = self.numpy().displacement()
        jacobian = displacement.jacobian(displacement._lattice_points(self.shape, "index"))
        return count_folds("Velocity", jacobian, self.ndim, warn)

    def _unit(self, shape: tuple[int, ...], frame: str) -> tuple[float, ...]:
        """Return, axis by axis of the array, how long a sample of the lattice is in a frame of an output of `shape`."""
        scale = frame_of(frame, shape, output=True).scale
        return tuple(n / count / unit for n, count, unit in zip(shape, self.shape, scale, strict=True))

    def _flow(self) -> list[Array]:
        """Return the displacements after ``2**-steps`` units of time, after twice that, and so on to 1."""
        field = self.parameters
        low = is_tensor(field) and field.dtype.itemsize < 4
        fields = [(field.float() if low else field) / 2**self.steps]
        for _ in range(self.steps):
            fields.append(_squared(fields[-1]))
        return [field.to(self.parameters.dtype) for field in fields] if low else fields

    def _describe(self) -> str:
        return f"lattice={self.shape}, steps={self.steps}"


def _squared(field: Array) -> Array:
    """Return the displacements of the map ``p + u(p)`` applied twice."""
    return field + pull_along(field).values()


def _squared_vjp(field: Array, grad: Array) -> Array:
    """Pull a gradient in :func:`_squared` back to the field, for NumPy."""
    on_read, on_moved = pull_along(field).vjp(grad)
    return grad + on_read + on_moved


def _reversed(vectors: Array, frame: str) -> Array:
    """Return vectors in the order of the array axes as a frame writes them, or the other way round."""
    return namespace(vectors).flip(vectors, (-1,)) if is_reversed(frame) else vectors


def _fitted(
    flow: Velocity, source: np.ndarray[Any, Any], target: np.ndarray[Any, Any], iterations: int, tolerance: float
) -> Any:
    best, least, step, change = flow, np.inf, 1.0, flow.parameters
    for _ in range(iterations):
        rest = target - flow(source)
        distance = np.sqrt((rest**2).sum(-1)).max()
        if distance < least:
            best, least, step = flow, distance, 1.0
            if least <= tolerance:
                return best
            # What is added acts all along the way of a point, so its middle stands for the way.
            middle = flow.with_parameters(flow.parameters / 2)(source)
            change = ThinPlateSpline(middle, middle + rest).displacements(flow.shape)
        else:
            step /= 2
        flow = best.with_parameters(best.parameters + step * change)
    warnings.warn(
        f"Velocity.fit: after {iterations} rounds a point is still {least:.3g} samples from its target, not "
        f"{tolerance:g}",
        RuntimeWarning,
        stacklevel=3,
    )
    return best
