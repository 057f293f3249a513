"""Displacement fields, ``q = p + u(p)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

import pullback._check as _check
from pullback._arrays import Array, as_arrays, check_values, eye_like, is_constant, is_tensor, namespace
from pullback._cache import untraced
from pullback._plan import frame_of, is_reversed
from pullback.transforms.deformation import check_extent
from pullback.transforms.field import LatticeField
from pullback.transforms.thin_plate_spline import ThinPlateSpline

if TYPE_CHECKING:
    from typing import Self

# A Jacobian with a smaller determinant is taken for one that has no inverse.
_LEAST_DETERMINANT = 1e-3
# A share of Newton's step that is smaller is not tried.
_LEAST_SHARE = 2.0**-6


# What is said where the values of a field are not there.
_INSTEAD = "do this outside of what is traced, or take a Velocity and its inverse"


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

    with linear interpolation, and goes on beyond its outermost samples as there. The vectors are not rescaled: in the
    frame "index" they are in pixels of the output, so a field that was made at half its resolution must be doubled. In
    "centered" and the normalized frames a vector means the same at any resolution, and so does a
    :class:`pullback.Velocity`, which is in samples of its own lattice.

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
        name = f"{cls.__name__}.fit"
        shape = _check.resized(name, shape)
        spline = ThinPlateSpline.fit(source, target, smoothing)
        shape, frame = check_extent(name, spline.ndim, shape, frame)
        return cls.from_parameters(spline.displacements(shape, frame))

    def inverse(self, tolerance: float = 1e-6, max_iterations: int = 100, *, frame: str = "index") -> Displacement:
        r"""Return the field, on the same lattice, whose map undoes this one at the samples of that lattice.

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
            If the map folds, if the field does not come as near as that, or if an argument is out of its range.

        Notes
        -----
        The vectors solve :math:`v(p) = -u(p + v(p))`, by Newton's steps with the Jacobian of the map where v leads,
        each as short as it takes to come nearer. Where the Jacobian has no inverse, the step is that of the fixed
        point, :math:`v \leftarrow -u(p + v)` (Chen et al. 2008, "A simple fixed-point approach to invert a deformation
        field"). Beyond the lattice the field goes on as at its edge.

        It runs in double precision and outside of autograd. The gradient of a tensor's inverse is that of the
        equation which it solves, by the theorem of implicit functions, to first order.

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
        value = self._inverted(tolerance, max_iterations, frame)
        return Displacement._holding(self._attached(value, frame) if is_tensor(value) else value)

    @untraced(f"Displacement.inverse needs the values of the field; {_INSTEAD}")
    def _inverted(self, tolerance: float, max_iterations: int, frame: str) -> Array:
        check_values(self.parameters, "Displacement.inverse", _INSTEAD)
        field = self.parameters.detach().double() if is_tensor(self.parameters) else self.parameters
        exact, xp = self._holding(field), namespace(field)
        scale = frame_of(frame, self.shape, output=True).scale
        points, unit = as_arrays("inverse", points=exact._lattice_points(self.shape, frame), unit=scale)
        unit = xp.flip(unit, (0,)) if is_reversed(frame) else unit
        points = points + xp.zeros_like(field)

        def rest_at(value: Array) -> tuple[Array, Array]:
            rest = exact(points + value, frame=frame) - points
            return rest, abs(rest * unit).max(-1).values if is_tensor(rest) else abs(rest * unit).max(-1)

        value = xp.zeros_like(field)
        rest, size = rest_at(value)
        share, is_newton = xp.ones_like(size), xp.ones_like(size) > 0
        for _ in range(max_iterations):
            if float(size.max() if len(field) else 0.0) <= tolerance:
                break
            slope = exact.jacobian(points + value, frame=frame)
            with np.errstate(invalid="ignore"):
                is_safe = is_newton & (xp.linalg.det(slope) > _LEAST_DETERMINANT)
            step = xp.linalg.solve(xp.where(is_safe[..., None, None], slope, eye_like(points)), rest[..., None])[..., 0]
            ahead = value - share[..., None] * step
            rest_ahead, size_ahead = rest_at(ahead)
            # A step to where the way is longer is made again at half the length. At a kink, where no such step is
            # short enough, that of the fixed point leads on, longer or not.
            takes = (size_ahead < size) | ~is_newton
            value, rest = (xp.where(takes[..., None], *each) for each in ((ahead, value), (rest_ahead, rest)))
            size = xp.where(takes, size_ahead, size)
            share = xp.where(takes, 1.0, share / 2)
            is_newton = share > _LEAST_SHARE
            share = xp.where(is_newton, share, 1.0)
        folds, error = np.sum(self.folds(frame=frame)), float(size.max() if len(field) else 0.0)
        if not error <= tolerance:
            raise ValueError(
                f"Displacement.inverse: after {max_iterations} iterations the inverse is still off by up to "
                f"{error:.3g} samples, not {tolerance:g}; the map folds at {folds} of its samples"
            )
        if folds:
            raise ValueError(
                f"Displacement.inverse: the map folds at {folds} of its samples, so that more than one point is mapped "
                "to some; see `folds`"
            )
        return value

    def _attached(self, value: Array, frame: str) -> Array:
        """Return `value` as a function of the parameters: a Newton step of length 0 on the equation that it solves."""
        dtype = self.parameters.dtype
        field = self.parameters if dtype.itemsize >= 4 else self.parameters.float()
        if is_constant(field):
            return value.to(dtype)
        near, value = self._holding(field), value.to(field.dtype)
        points = near._lattice_points(self.shape, frame)
        slope = self._holding(field.detach()).jacobian(points + value, frame=frame)
        rest = near(points + value, frame=frame) - points
        rest = rest - rest.detach()
        return (value - namespace(value).linalg.solve(slope, rest[..., None])[..., 0]).to(dtype)

    def _describe(self) -> str:
        return f"lattice={self.shape}"
