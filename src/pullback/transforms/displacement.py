"""Displacement fields, ``q = p + u(p)``, and what all transforms have in common that are no matrices."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pullback import _check
from pullback._arrays import Array, as_arrays, eye_like, is_tensor, namespace, unspread
from pullback._plan import constant, frame_of, is_reversed
from pullback.transforms.base import MAX_NDIM, Transform, check_points, lattice_index, points_like

if TYPE_CHECKING:
    from typing import Self


class Deformation(Transform):
    """A transform whose derivative differs from point to point, and which knows its vector-Jacobian product there.

    The base of :class:`pullback.ThinPlateSpline`, :class:`pullback.FreeForm`, :class:`pullback.Displacement`,
    :class:`pullback.Velocity` and :class:`pullback.Chain`.

    Examples
    --------
    >>> import numpy as np
    >>> import pullback as pb
    >>> field = pb.Displacement(np.zeros((1, 2, 2)))
    >>> isinstance(field, pb.transforms.Deformation)
    True
    >>> grad_points, grad_field = field.points_vjp([0.0, 0.25], [1.0, 0.0])
    >>> grad_points, grad_field[..., 0]
    (array([1., 0.]), array([[0.75, 0.25]]))
    """

    @abstractmethod
    def points_vjp(
        self, points: Array, grad: Array, *, shape: Sequence[int] | None = None, frame: str = "index"
    ) -> tuple[Array, Array]:
        """Differentiate a function of the mapped points backwards, for NumPy; tensors do it by autograd.

        Parameters
        ----------
        points : array_like, shape (..., d)
            Points as in a call of the transform.
        grad : array_like, shape (..., d)
            The gradient of some scalar in the mapped points, of their shape.
        shape : sequence of int, optional
            As in a call.
        frame : {"index", "centered", "normalized", "normalized-corners"}, optional
            As in a call.

        Returns
        -------
        grad_points : ndarray
            Of the shape of `points`.
        grad_parameters : ndarray
            Of the shape of `parameters`; of a :class:`pullback.Chain`, a tuple.

        Raises
        ------
        ValueError
            If a shape does not fit.
        TypeError
            If an array, or the transform, is on tensors.

        Examples
        --------
        >>> import numpy as np
        >>> import pullback as pb
        >>> field = pb.Displacement([[0.0], [3.0]])
        >>> field.points_vjp([0.25], [1.0])
        (array([4.]), array([[0.75],
               [0.25]]))
        """

    def coordinates(self, shape: Sequence[int], frame: str = "index") -> Array:
        """Return where the points of an output are read from; see :meth:`pullback.Transform.coordinates`."""
        shape, frame = check_extent(f"{type(self).__name__}.coordinates", self, shape, frame)
        return self(lattice_of(self, shape, frame), shape=shape, frame=frame)

    def coordinates_vjp(self, grad_coordinates: Array, shape: Sequence[int], frame: str = "index") -> Array:
        """Pull a gradient in the coordinates back, for NumPy; see :meth:`pullback.Transform.coordinates_vjp`."""
        shape, frame = check_extent(f"{type(self).__name__}.coordinates_vjp", self, shape, frame)
        return self.points_vjp(lattice_of(self, shape, frame), grad_coordinates, shape=shape, frame=frame)[1]


class OnLattice(Deformation):
    """A transform whose parameters are vectors on a lattice S, ``(*S, d)`` or ``(N, *S, d)``."""

    @classmethod
    def identity(cls, shape: Sequence[int]) -> Self:
        """Return the transform with a lattice of `shape` that leaves every point where it is.

        Parameters
        ----------
        shape : sequence of int
            The lattice S: one length an axis, 1 to 3 of them; for a free-form deformation each of 4 or more.

        Returns
        -------
        Transform
            Of this class, with vectors of zero on NumPy arrays.

        Raises
        ------
        ValueError
            If there are not 1 to 3 lengths, or one of them is too small.
        TypeError
            If `shape` does not hold integers.

        Examples
        --------
        >>> import pullback as pb
        >>> pb.Displacement.identity((4, 5))
        Displacement(lattice=(4, 5))
        """
        shape = _check.resized(f"{cls.__name__}.identity", shape)
        return cls.from_parameters(np.zeros((*shape, len(shape))))

    @property
    def ndim(self) -> int:
        """Number of spatial axes, d."""
        return constant(self.parameters.shape[-1])

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """``()`` for one transform, ``(M,)`` for a batch of M."""
        return tuple(self.parameters.shape[: -1 - self.ndim])

    @property
    def shape(self) -> tuple[int, ...]:
        """The lattice, S."""
        return tuple(self.parameters.shape[-1 - self.ndim : -1])

    def _extent(self, function: str, shape: Sequence[int] | None, frame: str) -> tuple[tuple[int, ...], str]:
        return check_extent(function, self, self.shape if shape is None else shape, frame)


class LatticeField(OnLattice):
    """A transform ``q = p + u(p)`` where u is read from vectors on a lattice that spans the extent of the output.

    The lattice is as many samples longer than the output's extent, on either side together, as `_margin` says.
    """

    _interpolation: ClassVar[str]
    _margin: ClassVar[int]
    _argument: ClassVar[str]

    def __init__(self, field: Array) -> None:
        self._hold(self._checked(field))

    @classmethod
    def from_parameters(cls, parameters: Array) -> Self:
        """Return the transform with the given vectors; see :meth:`pullback.Transform.from_parameters`."""
        return cls._holding(cls._checked(parameters))

    def fits(self, shape: Sequence[int], frame: str) -> bool:
        """Tell whether the lattice is that of an output of `shape`; see :meth:`pullback.Transform.fits`."""
        return self.shape == tuple(shape)

    @property
    def geometry(self) -> Array:
        """The vectors, ``(..., *S, d)``."""
        return self.parameters

    def geometry_vjp(self, grad_geometry: Array) -> Array:
        """Return the gradient, the parameters' own; see :meth:`pullback.Transform.geometry_vjp`."""
        return grad_geometry

    def __call__(self, points: Array, *, shape: Sequence[int] | None = None, frame: str = "index") -> Array:
        """Map points of the output to points of the input; see :meth:`pullback.Transform.__call__`."""
        from pullback.sampling import sample

        field, points = self._arrays(type(self).__name__, points)
        at, _ = self._reading(type(self).__name__, points, shape, frame)
        return points + sample(field, at, **self._options)

    def jacobian(self, points: Array, *, shape: Sequence[int] | None = None, frame: str = "index") -> Array:
        """Return the derivative of the mapped points in `points`; see :meth:`pullback.Transform.jacobian`."""
        from pullback.sampling import gradient

        name = f"{type(self).__name__}.jacobian"
        field, points = self._arrays(name, points)
        at, rate = self._reading(name, points, shape, frame)
        _, rate = as_arrays(name, points=points, rate=rate)
        slope = gradient(field, at, **self._options) * rate
        return eye_like(points) + (namespace(slope).flip(slope, (-1,)) if is_reversed(frame) else slope)

    def points_vjp(
        self, points: Array, grad: Array, *, shape: Sequence[int] | None = None, frame: str = "index"
    ) -> tuple[Array, Array]:
        """Differentiate the mapped points backwards; see :meth:`pullback.transforms.Deformation.points_vjp`."""
        from pullback.sampling import sample_vjp

        name = f"{type(self).__name__}.points_vjp"
        points, grad = check_vjp(name, self, points, grad)
        at, rate = self._reading(name, points, shape, frame)
        grad_field, grad_at = sample_vjp(self.parameters, at, grad, **self._options)
        grad_read = grad_at * rate
        grad_read = grad_read[..., ::-1] if is_reversed(frame) else grad_read
        return (unspread(grad, grad_read.shape) + grad_read).reshape(points.shape), grad_field

    def folds(self, shape: Sequence[int] | None = None, frame: str = "index", *, warn: bool = False) -> Any:
        """Count the pixels of an output at which the map turns its surroundings inside out.

        Parameters
        ----------
        shape : sequence of int, optional
            The output whose extent the lattice spans, as in a call.
        frame : {"index", "centered", "normalized", "normalized-corners"}, optional
            What the vectors are written in, as in a call.
        warn : bool, optional
            Whether to warn, with the count, where there are any.

        Returns
        -------
        int, or ndarray of int, shape (N,)
            The number of pixels at which the determinant of the Jacobian is not positive; one for each transform of a
            batch. Zero for a map that is one-to-one.

        Raises
        ------
        ValueError
            If `shape` or `frame` is wrong.

        Warns
        -----
        RuntimeWarning
            If `warn` is true and the map folds.

        Examples
        --------
        The sample at 1 is read from 3, and the one at 2 from 1: between them, the line runs backwards.

        >>> import pullback as pb
        >>> pb.Displacement([[0.0], [2.0], [-1.0], [0.0]]).folds()
        1
        """
        shape, frame = self._extent(f"{type(self).__name__}.folds", shape, frame)
        jacobian = self.numpy().jacobian(lattice_of(self, shape, frame), shape=shape, frame=frame)
        return count_folds(type(self).__name__, jacobian, self.ndim, warn)

    @classmethod
    def _checked(cls, field: Array) -> Array:
        (field,) = as_arrays(cls.__name__, **{cls._argument: field})
        check_field(cls.__name__, cls._argument, field, cls._margin + 1)
        return field

    @property
    def _options(self) -> dict[str, Any]:
        return {"channel_axis": -1, "border": "edge", "interpolation": self._interpolation}

    def _arrays(self, function: str, points: Array) -> tuple[Array, Array]:
        field, points = as_arrays(function, **{self._argument: self.parameters, "points": points})
        check_points(self, points)
        return field, points

    def _reading(
        self, function: str, points: Array, shape: Sequence[int] | None, frame: str
    ) -> tuple[Array, tuple[float, ...]]:
        """Return where on the lattice points are read, and how far that moves, axis by axis, for one unit of theirs."""
        shape, frame = self._extent(function, shape, frame)
        cells = tuple((count - self._margin) / max(n, 1) for count, n in zip(self.shape, shape, strict=True))
        index = lattice_index(points, shape, frame)
        _, factor = as_arrays(function, points=index, factor=cells)
        at = (index + 0.5) * factor + (self._margin - 1) / 2
        at = at[None] if self.batch_shape and at.ndim == 1 else at
        scale = frame_of(frame, shape, output=True).scale
        return at, tuple(cell * unit for cell, unit in zip(cells, scale, strict=True))


class Displacement(LatticeField):
    r"""A displacement field, ``q = p + u(p)``: one vector for each sample of a lattice.

    Parameters
    ----------
    field : array_like or Tensor, shape (*S, d) or (N, *S, d)
        The vectors u on a lattice S of d axes, d of 1, 2 or 3. A vector is written as points are: in units of the frame
        of the call, so in samples where that is "index", and in the order of the array axes, or as (x, y) in the
        normalized frames. Also the attribute `parameters`.

    Attributes
    ----------
    shape : tuple of int
        The lattice, S.

    Raises
    ------
    ValueError
        If `field` has another shape.
    TypeError
        If it does not hold real numbers.

    See Also
    --------
    pullback.Velocity : A field that is integrated, so that its map does not fold.

    Notes
    -----
    The samples of the field are the pixels of an output of its own shape. On an output of another `shape` the field
    spans the same extent: with i the position on the output, in samples, it is read at

    .. math:: f = (i + \tfrac{1}{2}) \, S / \mathrm{shape} - \tfrac{1}{2}

    with linear interpolation, and goes on beyond its outermost samples as there.

    Examples
    --------
    >>> import numpy as np
    >>> from pullback.transforms import Displacement
    >>> shift = Displacement(np.full((4, 5, 2), [1.0, 2.0]))
    >>> shift([10.0, 10.0])
    array([11., 12.])
    >>> shift.inverse()([11.0, 12.0])
    array([10., 10.])
    """

    lattice: ClassVar[str] = "displacement"
    _interpolation = "linear"
    _margin = 0
    _argument = "field"

    @classmethod
    def fit(
        cls, source: Array, target: Array, shape: Sequence[int], *, smoothing: float = 0.0, frame: str = "index"
    ) -> Self:
        """Return the field of the thin-plate spline through pairs of points.

        Parameters
        ----------
        source : array_like, shape (K, d)
            Points of the output, d of 2 or 3, at least d + 1 of them.
        target : array_like or Tensor, shape (K, d) or (N, K, d)
            The points of the input that they are read from. Tensors keep their gradients.
        shape : sequence of int
            The lattice of the field, which spans the extent of the output.
        smoothing : float, optional
            As in :class:`pullback.ThinPlateSpline`.
        frame : {"index", "centered", "normalized", "normalized-corners"}, optional
            What the points, and the vectors of the field, are written in; "index" is that of an output of `shape`.

        Returns
        -------
        Displacement
            One, or a batch of N.

        Raises
        ------
        ValueError, TypeError
            If an argument is wrong, or the points do not determine a spline.

        Examples
        --------
        >>> import numpy as np
        >>> from pullback.transforms import Displacement
        >>> corners = np.array([[0.0, 0.0], [0.0, 4.0], [3.0, 0.0], [3.0, 4.0]])
        >>> field = Displacement.fit(corners, corners + [1.0, 0.0], shape=(4, 5))
        >>> field([1.5, 2.5]).round(6)
        array([2.5, 2.5])
        """
        from pullback.transforms.thin_plate_spline import ThinPlateSpline

        name = f"{cls.__name__}.fit"
        shape = _check.resized(name, shape)
        spline = ThinPlateSpline.fit(source, target, smoothing)
        shape, frame = check_extent(name, spline, shape, frame)
        return cls.from_parameters(spline.displacements(shape, frame))

    def inverse(self, tolerance: float = 1e-6, max_iterations: int = 100, *, frame: str = "index") -> Displacement:
        """Return the field, on the same lattice, whose map undoes this one at the samples of that lattice.

        Parameters
        ----------
        tolerance : float, optional
            How far from a sample, in samples, the two maps may lead that start there, the inverse first.
        max_iterations : int, optional
            How often to improve the field at most.
        frame : {"index", "centered", "normalized", "normalized-corners"}, optional
            What the vectors are written in.

        Returns
        -------
        Displacement
            The inverse, exact to `tolerance` at its samples. Between them it is interpolated, so there it is as near
            as the inverse is to being linear from one sample to the next.

        Raises
        ------
        ValueError
            If the field does not come as near as that, as where the map folds, or an argument is out of its range.

        Notes
        -----
        The fixed point of :math:`v(p) = -u(p + v(p))` (Chen et al. 2008, "A simple fixed-point approach to invert a
        deformation field"). The iteration contracts where neighbouring vectors of u differ by less than their
        distance; a map that stretches by more than 2 is not reached by it, although it has an inverse. Beyond the
        lattice the field goes on as at its edge.

        It runs in double precision and outside of autograd. The gradient of a tensor's inverse is that of the
        equation which the fixed point solves, to first order.

        Examples
        --------
        >>> import pullback as pb
        >>> field = pb.Displacement([[0.0], [0.5], [0.0]])
        >>> there = field.inverse()([1.0])
        >>> there.round(3), field(there).round(3)
        (array([0.667]), array([1.]))
        """
        name = "Displacement.inverse"
        if not tolerance > 0:
            raise ValueError(f"{name}: `tolerance` is {tolerance!r}; give a positive number of samples")
        if max_iterations < 1:
            raise ValueError(f"{name}: `max_iterations` is {max_iterations!r}; give 1 or more")
        _, frame = self._extent(name, None, frame)
        value = self._fixed_point(tolerance, max_iterations, frame)
        return Displacement(self._attached(value, frame) if is_tensor(value) else value)

    def _fixed_point(self, tolerance: float, max_iterations: int, frame: str) -> Array:
        field = self.parameters.detach().double() if is_tensor(self.parameters) else self.parameters
        exact = self._holding(field)
        unit = frame_of(frame, self.shape, output=True).scale
        points, unit = as_arrays("inverse", points=lattice_of(exact, self.shape, frame), unit=unit)
        unit = namespace(unit).flip(unit, (0,)) if is_reversed(frame) else unit
        value = -field
        for _ in range(max_iterations):
            rest = exact(points + value, frame=frame) - points
            error = float(abs(rest * unit).max()) if len(field) else 0.0
            if error <= tolerance:
                return value
            value = value - rest
        raise ValueError(
            f"Displacement.inverse: after {max_iterations} iterations the inverse is still off by up to {error:.3g} "
            f"samples, not {tolerance:g}; the iteration contracts only where neighbouring vectors differ by less than "
            f"their distance, and this field folds at {np.sum(self.folds(frame=frame))} of its samples"
        )

    def _attached(self, value: Array, frame: str) -> Array:
        """Return `value` as a function of the parameters: a Newton step of length 0 on the equation that it solves."""
        dtype = self.parameters.dtype
        field = self.parameters if dtype.itemsize >= 4 else self.parameters.float()
        if not field.requires_grad:
            return value.to(dtype)
        near, value = self._holding(field), value.to(field.dtype)
        points = lattice_of(near, self.shape, frame)
        slope = self._holding(field.detach()).jacobian(points + value, frame=frame)
        rest = near(points + value, frame=frame) - points
        rest = rest - rest.detach()
        return (value - namespace(value).linalg.solve(slope, rest[..., None])[..., 0]).to(dtype)

    def _describe(self) -> str:
        return f"lattice={self.shape}"


def check_field(function: str, argument: str, field: Array, shortest: int) -> None:
    """Refuse vectors that are not ``(*S, d)`` or ``(N, *S, d)`` with axes of S of at least `shortest`."""
    shape = tuple(field.shape)
    ndim = shape[-1] if shape else 0
    if not 1 <= ndim <= MAX_NDIM or field.ndim not in (ndim + 1, ndim + 2):
        raise ValueError(
            f"{function}: `{argument}` has shape {shape}; give (*S, d) or (N, *S, d), where S has d axes, 1, 2 or 3"
        )
    if min(shape[-1 - ndim : -1]) < shortest:
        raise ValueError(
            f"{function}: `{argument}` has shape {shape}, a lattice of {shape[-1 - ndim : -1]}; "
            f"give {shortest} or more samples on each axis"
        )


def check_extent(function: str, transform: Transform, shape: Sequence[int], frame: str) -> tuple[tuple[int, ...], str]:
    """Return the shape of an output, and the frame, that a transform is called with."""
    return _check.output_shape(function, shape, (0,) * transform.ndim), _check.frame(function, frame)


def lattice_of(transform: Transform, shape: tuple[int, ...], frame: str) -> Array:
    """Return the points of an output lattice as a transform takes them: ``(*shape, d)``, with an axis for its batch."""
    parameters = _all_parameters(transform)
    points = points_like(next(filter(is_tensor, parameters), parameters[0]), shape, frame)
    return points[None] if transform.batch_shape else points


def check_vjp(function: str, transform: Transform, points: Array, grad: Array) -> tuple[Array, Array]:
    """Return the points and the gradient that a vector-Jacobian product is given, as NumPy arrays that fit."""
    if any(map(is_tensor, (*_all_parameters(transform), points, grad))):
        raise TypeError(f"{function}: takes NumPy arrays; for tensors, call backward() on a function of the points")
    points, grad = as_arrays(function, points=points, grad=grad)
    check_points(transform, points)
    batch = transform.batch_shape
    axes = max(points.ndim, 1 + len(batch))
    expected = np.broadcast_shapes(points.shape, batch + (1,) * (axes - 1) if batch else ())
    if grad.shape != expected:
        raise ValueError(f"{function}: `grad` has shape {grad.shape}; give that of the mapped points, {expected}")
    return points, grad


def _all_parameters(transform: Transform) -> tuple[Array, ...]:
    parameters = transform.parameters
    return parameters if isinstance(parameters, tuple) else (parameters,)


def count_folds(name: str, jacobian: Array, ndim: int, warn: bool) -> Any:
    """Return at how many points each transform's Jacobian, ``(..., *lattice, d, d)``, has no positive determinant."""
    with np.errstate(invalid="ignore"):
        count = (~(np.linalg.det(jacobian) > 0)).sum(tuple(range(-ndim, 0)))
    result = count if count.ndim else int(count)
    if warn and np.any(count):
        warnings.warn(f"{name}: the map folds at {result} pixels", RuntimeWarning, stacklevel=3)
    return result
