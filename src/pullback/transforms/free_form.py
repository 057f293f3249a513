"""Free-form deformations: a displacement that is a cubic B-spline of a coarse control lattice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np

import pullback._check as _check
from pullback._arrays import Array, alike, as_arrays, detached, has_values, is_tensor, namespace, wide
from pullback._plan import constant
from pullback.transforms.deformation import check_extent
from pullback.transforms.displacement import Displacement
from pullback.transforms.field import LatticeField
from pullback.transforms.points import lattice_index, points_like
from pullback.transforms.vectors import pull_at

if TYPE_CHECKING:
    from typing import Self

# The normal matrix of `fit` is dense: at most 128 MiB.
_MOST_CONTROL_POINTS = 4096


class FreeForm(LatticeField):
    r"""A free-form deformation: a displacement that is a cubic B-spline of the vectors of a control lattice.

    Parameters
    ----------
    coefficients : array_like or Tensor, shape (*S, d) or (N, *S, d)
        The vectors c of a control lattice S of d axes, d of 1, 2 or 3, with at least 4 on each axis. A vector is
        written as points are: in units of the frame of the call, so in samples where that is "index", and in the order
        of the array axes, or as (x, y) in the normalized frames. Also the attribute `parameters`.

    Attributes
    ----------
    shape : tuple of int
        The control lattice, S.

    Raises
    ------
    ValueError
        If `coefficients` has another shape.
    TypeError
        If it does not hold real numbers.

    Notes
    -----
    With the cubic B-spline :math:`\beta`,

    .. math:: q = p + \sum_k c_k \prod_a \beta(f_a - k_a), \qquad
              f = (i + \tfrac{1}{2}) \, (S - 3) / \mathrm{shape} + 1

    where i is the position on an output of `shape`, in samples (Rueckert et al. 1999, "Nonrigid registration using
    free-form deformations"). The extent of the output is exactly the S - 3 inner cells of the lattice, as in ITK; the
    outermost vectors lie one cell beyond it. Farther out the coefficients go on as at the edge.

    Examples
    --------
    >>> import numpy as np
    >>> from pullback.transforms import FreeForm
    >>> bend = np.zeros((5, 5, 2))
    >>> bend[2, 2] = [9.0, 0.0]
    >>> FreeForm(bend)([31.5, 31.5], shape=(64, 64))
    array([35.5, 31.5])
    """

    lattice: ClassVar[str] = "free-form"
    _interpolation = "bspline3"
    _margin = 3
    _argument = "coefficients"

    def __init__(self, coefficients: Array) -> None:
        super().__init__(coefficients)

    @classmethod
    def fit(
        cls,
        source: Array,
        target: Array,
        shape: Sequence[int],
        control: Sequence[int],
        *,
        smoothing: float = 1e-6,
        frame: str = "index",
    ) -> Self:
        r"""Return the free-form deformation that comes nearest to pairs of points.

        Parameters
        ----------
        source : array_like or Tensor, shape (K, d)
            Points of the output.
        target : array_like or Tensor, shape (K, d) or (N, K, d)
            The points of the input that they are read from.
        shape : sequence of int
            The output that the deformation spans.
        control : sequence of int
            The control lattice, at least 4 on each axis and at most 4096 in all.
        smoothing : float, optional
            The weight, above 0, of the squared second differences; see below.
        frame : {"index", "centered", "normalized", "normalized-corners"}, optional
            What the points, and the coefficients, are written in.

        Returns
        -------
        FreeForm
            One, or a batch of N, on arrays of the kind of the points. Tensors carry gradients to them.

        Raises
        ------
        ValueError
            If a shape does not fit or `smoothing` is not positive.
        TypeError
            If an argument is of another type.

        Notes
        -----
        The least squares, with the differences taken between neighbours on the control lattice,

        .. math:: \min_c \sum_j |u(p_j) - (q_j - p_j)|^2
                  + \lambda \sum_{a, b} |\Delta_a \Delta_b c|^2.

        The second term alone decides far from all points, and costs nothing where the displacement is affine. Where
        the points leave even an affine map open, the coefficients are the smallest ones, and gradients leave that part
        as it is. With a small weight, the pairs are met as nearly as the lattice is fine enough to meet them.

        Examples
        --------
        >>> import numpy as np
        >>> from pullback.transforms import FreeForm
        >>> points = np.array([[5.0, 5.0], [5.0, 50.0], [50.0, 5.0], [30.0, 40.0]])
        >>> moved = points + [[0.0, 2.0], [0.0, 2.0], [1.0, 2.0], [3.0, 0.0]]
        >>> spline = FreeForm.fit(points, moved, shape=(64, 64), control=(7, 7))
        >>> bool(abs(spline(points, shape=(64, 64)) - moved).max() < 1e-3)
        True
        """
        name = f"{cls.__name__}.fit"
        source, target = _pairs(name, source, target)
        control = _control(name, control, constant(source.shape[-1]))
        if not 0 < smoothing < math.inf:
            raise ValueError(f"{name}: `smoothing` is {smoothing!r}; give a positive number")
        shape, frame = check_extent(name, len(control), shape, frame)
        # Least squares lose half of all digits.
        places, moves = (wide(each) for each in (source, target - source))
        index = lattice_index(places, shape, frame)
        cells = alike(np.array([(count - 3) / max(n, 1) for count, n in zip(control, shape, strict=True)]), index)
        coefficients = _least_squares(_weights((index + 0.5) * cells + 1, control), moves, control, smoothing)
        coefficients = coefficients.reshape(*target.shape[:-2], *control, len(control))
        return cls(alike(coefficients, target))

    def inverse(self) -> NoReturn:
        """Raise, for there is no closed form; see :meth:`pullback.Transform.inverse`.

        Raises
        ------
        ValueError
            Always. ``displacement(shape).inverse()`` approximates the inverse.
        """
        raise ValueError(
            "FreeForm.inverse: a free-form deformation has no inverse in closed form; "
            "FreeForm.displacement(shape).inverse() approximates it on a lattice"
        )

    def fits(self, shape: Sequence[int], frame: str) -> bool:
        """Tell whether an output has a pixel for each cell of the lattice; see :meth:`pullback.Transform.fits`."""
        return all(count - 3 <= n for count, n in zip(self.shape, shape, strict=True))

    def displacement(self, shape: Sequence[int], frame: str = "index") -> Displacement:
        """Return the displacements at the pixels of an output.

        Parameters
        ----------
        shape : sequence of int
            Spatial shape of the output.
        frame : {"index", "centered", "normalized", "normalized-corners"}, optional
            What the vectors are written in.

        Returns
        -------
        Displacement
            With one vector a pixel. Differentiable in the coefficients where they are tensors.

        Raises
        ------
        ValueError
            If `shape` or `frame` is wrong.

        Examples
        --------
        >>> import pullback as pb
        >>> pb.FreeForm.identity((5, 5)).displacement((64, 48))
        Displacement(lattice=(64, 48))
        """
        shape, frame = self._extent("FreeForm.displacement", shape, frame)
        points = self._lattice_points(shape, frame)
        coordinates, points = as_arrays("displacement", coordinates=self.coordinates(shape, frame), points=points)
        return Displacement._holding(coordinates - points)

    def _extent(self, function: str, shape: Sequence[int] | None, frame: str) -> tuple[tuple[int, ...], str]:
        if shape is None:
            raise ValueError(
                f"{function}: `shape` is None; a free-form transform needs the shape of the output it spans"
            )
        return check_extent(function, self.ndim, shape, frame)

    def _describe(self) -> str:
        return f"lattice={self.shape}"


def _pairs(function: str, source: Array, target: Array) -> tuple[Array, Array]:
    source, target = as_arrays(function, source=source, target=target)
    if source.ndim != 2 or not 1 <= source.shape[-1] <= 3 or not len(source):
        raise ValueError(f"{function}: `source` has shape {tuple(source.shape)}; give (K, d) with d of 1, 2 or 3")
    if target.ndim not in (2, 3) or target.shape[-2:] != source.shape:
        raise ValueError(
            f"{function}: `target` has shape {tuple(target.shape)} but `source` has {tuple(source.shape)}; give that, "
            "or (N, K, d)"
        )
    for argument, value in (("source", source), ("target", target)):
        if has_values(value) and not np.isfinite(detached(value)).all():
            raise ValueError(f"{function}: `{argument}` holds values that are not finite; leave those points out")
    return source, target


def _control(function: str, control: Sequence[int], ndim: int) -> tuple[int, ...]:
    control = _check.sides(function, control)
    if len(control) != ndim or min(control) < 4 or math.prod(control) > _MOST_CONTROL_POINTS:
        raise ValueError(
            f"{function}: `control` is {control}; give {ndim} lengths of 4 or more, "
            f"at most {_MOST_CONTROL_POINTS} control points in all"
        )
    return control


def _weights(at: Array, control: tuple[int, ...]) -> Array:
    """Return the weight of each control point in the vector at each place on the control lattice, (K, points)."""
    weights = namespace(at).ones_like(at[:, :1])
    for axis, count in enumerate(control):
        own = pull_at(alike(np.eye(count), at), at[:, axis, None], FreeForm._interpolation).values()
        weights = (weights[:, :, None] * own[:, None, :]).reshape(len(at), -1)
    return weights


def _roughness(control: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Return the matrix of the sum of all squared second differences on a lattice."""
    steps = [np.diff(np.eye(n), axis=0) for n in control]
    bends = [np.diff(np.eye(n), n=2, axis=0) for n in control]
    total = np.zeros((math.prod(control),) * 2)
    for first in range(len(control)):
        for second in range(len(control)):
            product: Array = np.ones((1, 1))
            for axis, n in enumerate(control):
                change = bends[axis] if axis == first == second else steps[axis] if axis in (first, second) else None
                product = np.kron(product, np.eye(n) if change is None else change.T @ change)
            total += product
    return total


def _least_squares(weights: Array, values: Array, control: tuple[int, ...], smoothing: float) -> Array:
    """Return the coefficients of `values`, ``(..., K, d)``, refined because the weights lose half of all digits."""
    roughness = alike(_roughness(control), weights)
    normal = weights.T @ weights + smoothing * roughness + _undetermined(weights, control)
    solve = namespace(weights).linalg.inv(normal)
    coefficients = solve @ (weights.T @ values)
    for _ in range(3):
        rest = weights.T @ (values - weights @ coefficients) - smoothing * (roughness @ coefficients)
        coefficients = coefficients + solve @ rest
    return coefficients


def _undetermined(weights: Array, control: tuple[int, ...]) -> Array:
    """Return the projection onto the affine maps that neither the points nor their roughness determine."""
    xp = namespace(weights)
    places = points_like(np.empty(0), tuple(control), "index").reshape(-1, len(control))
    affine, _ = np.linalg.qr(np.concatenate([np.ones((len(places), 1)), places], -1))
    affine = alike(affine, weights)
    seen_maps = (weights.detach() if is_tensor(weights) else weights) @ affine
    # Rows of zeros, so that there are as many singular values as maps.
    seen_maps = xp.concatenate([seen_maps, xp.zeros_like(affine[: affine.shape[1]])], 0)
    _, seen, directions = xp.linalg.svd(seen_maps, full_matrices=False)
    open_maps = affine @ directions.T * (seen <= 1e-6 * seen[0])
    return open_maps @ open_maps.T
