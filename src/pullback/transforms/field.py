"""Vectors on a lattice that spans the extent of the output, and maps ``q = p + u(p)`` that read u from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

import pullback._check as _check
from pullback._arrays import Array, as_arrays, check_values, eye_like, namespace, own, unspread
from pullback._cache import untraced
from pullback._plan import MAX_NDIM, constant, frame_of, is_reversed
from pullback.transforms.deformation import IN_A_GRAPH, Deformation, check_extent, count_folds
from pullback.transforms.points import lattice_index
from pullback.transforms.vectors import pull_at

if TYPE_CHECKING:
    from typing import Self


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
        return check_extent(function, self.ndim, self.shape if shape is None else shape, frame)


class LatticeField(OnLattice):
    """A transform ``q = p + u(p)`` where u is read from vectors on a lattice that spans the extent of the output.

    The lattice is as many samples longer than the output's extent, on either side together, as `_margin` says.
    """

    _interpolation: ClassVar[str]
    _margin: ClassVar[int]
    _argument: ClassVar[str]

    def __init__(self, field: Array) -> None:
        self._hold(own(self._checked(field)))

    @classmethod
    def from_parameters(cls, parameters: Array) -> Self:
        """Return the transform with the given vectors; see :meth:`pullback.Transform.from_parameters`."""
        return cls._holding(own(cls._checked(parameters)))

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
        field, points = self._arrays(type(self).__name__, points)
        places, _ = self._places(type(self).__name__, points, shape, frame)
        return points + pull_at(field, places, self._interpolation).values()

    def jacobian(self, points: Array, *, shape: Sequence[int] | None = None, frame: str = "index") -> Array:
        """Return the derivative of the mapped points in `points`; see :meth:`pullback.Transform.jacobian`."""
        name = f"{type(self).__name__}.jacobian"
        field, points = self._arrays(name, points)
        places, rate = self._places(name, points, shape, frame)
        _, rate = as_arrays(name, points=points, rate=rate)
        slope = pull_at(field, places, self._interpolation).slopes() * rate
        return eye_like(points) + (namespace(slope).flip(slope, (-1,)) if is_reversed(frame) else slope)

    def points_vjp(
        self, points: Array, grad: Array, *, shape: Sequence[int] | None = None, frame: str = "index"
    ) -> tuple[Array, Array]:
        """Differentiate the mapped points backwards; see :meth:`pullback.Transform.points_vjp`."""
        name = f"{type(self).__name__}.points_vjp"
        points, grad = self._check_vjp(name, points, grad)
        places, rate = self._places(name, points, shape, frame)
        grad_field, grad_places = pull_at(self.parameters, places, self._interpolation).vjp(grad)
        grad_read = grad_places * rate
        grad_read = grad_read[..., ::-1] if is_reversed(frame) else grad_read
        return (unspread(grad, grad_read.shape) + grad_read).reshape(points.shape), grad_field

    @untraced(f"folds needs the values of the field; {IN_A_GRAPH}")
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
        TypeError
            If the values are not known, as inside a graph.

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
        check_values(self.parameters, f"{type(self).__name__}.folds", IN_A_GRAPH)
        values = self.numpy()
        jacobian = values.jacobian(values._lattice_points(shape, frame), shape=shape, frame=frame)
        return count_folds(type(self).__name__, jacobian, self.ndim, warn)

    @classmethod
    def _checked(cls, field: Array) -> Array:
        (field,) = as_arrays(cls.__name__, **{cls._argument: field})
        check_field(cls.__name__, cls._argument, field, cls._margin + 1)
        return field

    def _arrays(self, function: str, points: Array) -> tuple[Array, Array]:
        field, points = as_arrays(function, **{self._argument: self.parameters, "points": points})
        self._check_points(points)
        return field, points

    def _places(
        self, function: str, points: Array, shape: Sequence[int] | None, frame: str
    ) -> tuple[Array, tuple[float, ...]]:
        """Return where on the lattice points are read, and how far that moves, axis by axis, for one unit of theirs."""
        shape, frame = self._extent(function, shape, frame)
        cells = tuple((count - self._margin) / max(n, 1) for count, n in zip(self.shape, shape, strict=True))
        index = lattice_index(points, shape, frame)
        _, factor = as_arrays(function, points=index, factor=cells)
        places = (index + 0.5) * factor + (self._margin - 1) / 2
        places = places[None] if self.batch_shape and places.ndim == 1 else places
        scale = frame_of(frame, shape, output=True).scale
        return places, tuple(cell * unit for cell, unit in zip(cells, scale, strict=True))


def check_field(function: str, argument: str, field: Array, shortest: int) -> None:
    """Refuse vectors that are not ``(*S, d)`` or ``(N, *S, d)`` with axes of S of at least `shortest`."""
    shape = tuple(field.shape)
    ndim = constant(shape[-1]) if shape else 0
    if not 1 <= ndim <= MAX_NDIM or field.ndim not in (ndim + 1, ndim + 2):
        raise ValueError(
            f"{function}: `{argument}` has shape {shape}; give (*S, d) or (N, *S, d), where S has d axes, 1, 2 or 3"
        )
    if min(shape[-1 - ndim : -1]) < shortest:
        raise ValueError(
            f"{function}: `{argument}` has shape {shape}, a lattice of {shape[-1 - ndim : -1]}; "
            f"give {shortest} or more samples on each axis"
        )
