"""Projective maps: ``q = (A p + t) / (c·p + w)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

import pullback._check as _check
from pullback._arrays import (
    Array,
    as_arrays,
    beside,
    has_values,
    is_tensor,
    multiply,
    namespace,
    own,
    unspread,
    written,
)
from pullback._plan import MAX_NDIM, constant
from pullback.transforms.conventions import Imported
from pullback.transforms.fitting import fitted_projective
from pullback.transforms.matrix import MatrixTransform, find_singular
from pullback.transforms.points import check_ndim, facing, moments

if TYPE_CHECKING:
    from typing import Self


class Projective(Imported, MatrixTransform):
    """A projective map (homography), ``q = (A p + t) / (c·p + w)`` with the matrix ``[[A, t], [c, w]]``.

    Parameters
    ----------
    matrix : array_like or Tensor, shape (d + 1, d + 1) or (N, d + 1, d + 1)
        The homogeneous matrix; d of 1, 2 or 3, rows and columns in the order of the array axes, (y, x, 1) in 2-D. Also
        the attribute `parameters`. Values that are not finite are allowed; what is read through them is NaN.
    one_sided : bool
        Whether points whose denominator has not the sign of that of the origin are read from nowhere, as if a camera
        stood on the horizon and looked to that side.

    Attributes
    ----------
    one_sided : bool
        Whether only the side of the origin is seen.

    Raises
    ------
    ValueError
        If `matrix` has another shape.
    TypeError
        If it does not hold real numbers, or `one_sided` is no bool.

    See Also
    --------
    Affine : The case of the last row (0, ..., 0, 1).
    Projective.fit : The map through pairs of points, such as the corners of a page.
    Projective.from_cv2, Projective.from_skimage : The matrices of other libraries.

    Notes
    -----
    A matrix means the same map whatever number it is multiplied by, -1 included, as in OpenCV, kornia and scikit-image:
    every point is mapped whose denominator is not 0. Those on the horizon, where it is 0, are mapped to NaN, and what
    is read through them is ``fill``, with a gradient of zero.

    A map with one side maps only the points whose denominator has the sign of the last entry w, the denominator at the
    origin of the frame: in "centered", the middle of the output. Its inverse has the side of its own origin, and takes
    back what was seen where that origin is the image of a point that was. A product with such a map is a
    :class:`pullback.Chain`, since it has two horizons. The transformers of ``pullback.nn`` have one side.

    Examples
    --------
    >>> from pullback.transforms import Projective
    >>> tilt = Projective([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.1, 1.0]])
    >>> tilt([2.0, 10.0])
    array([1., 5.])
    >>> tilt.inverse()([1.0, 5.0])
    array([ 2., 10.])
    >>> tilt([0.0, -20.0])
    array([-0., 20.])
    >>> Projective(tilt.matrix, one_sided=True)([0.0, -20.0])
    array([nan, nan])
    """

    lattice: ClassVar[str] = "projective"
    _generality = 4
    _parameter_axes = 2
    _last_rows = 1
    _fitted = staticmethod(fitted_projective)

    def __init__(self, matrix: Array, one_sided: bool = False) -> None:
        self._hold(own(self._checked("Projective", matrix)))
        self._keep_sides("Projective", one_sided)

    @classmethod
    def from_parameters(cls, parameters: Array, one_sided: bool = False) -> Self:
        """Return the projective map that has the given matrix, which is its parameters.

        Parameters
        ----------
        parameters : array_like or Tensor, shape (d + 1, d + 1) or (N, d + 1, d + 1)
            The matrix.
        one_sided : bool
            Whether only the points on the side of the frame's origin are seen.

        Returns
        -------
        Projective
            One, or a batch of N.

        Raises
        ------
        ValueError
            If `parameters` has another shape.
        TypeError
            If it does not hold real numbers, or `one_sided` is no bool.

        Examples
        --------
        >>> from pullback.transforms import Projective
        >>> Projective.from_parameters([[1.0, 0.0], [0.5, 1.0]])([2.0])
        array([1.])
        """
        transform = cls._holding(own(cls._checked("Projective.from_parameters", parameters)))
        transform._keep_sides("Projective.from_parameters", one_sided)
        return transform

    def with_parameters(self, parameters: Array) -> Self:
        """Return the map of as many sides with another matrix; see :meth:`pullback.Transform.with_parameters`."""
        return self.from_parameters(parameters, self.one_sided)

    @classmethod
    def identity(cls, ndim: int) -> Self:
        """Return the projective map that moves nothing; see :meth:`pullback.transforms.MatrixTransform.identity`."""
        return cls._holding(np.eye(check_ndim("Projective.identity", ndim) + 1))

    @property
    def ndim(self) -> int:
        """Number of spatial axes, d."""
        return constant(self.parameters.shape[-2] - 1)

    @property
    def one_sided(self) -> bool:
        """Whether only the points on the side of the frame's origin are seen."""
        return self.lattice == "one-sided"

    @property
    def multiplies(self) -> bool:
        """Whether a product with another matrix is a matrix: not of maps with one side, which have a horizon each."""
        return not self.one_sided

    @property
    def matrix(self) -> Array:
        """The matrix ``[[A, t], [c, w]]``, ``(..., d + 1, d + 1)``; the parameters themselves."""
        return self.parameters

    @property
    def homogeneous(self) -> Array:
        """The matrix, ``(..., d + 1, d + 1)``."""
        return self.parameters

    def matrix_vjp(self, grad_matrix: Array) -> Array:
        """Return the gradient, the matrix's own; see :meth:`pullback.transforms.MatrixTransform.matrix_vjp`."""
        return self._check_gradient(grad_matrix)

    def __call__(self, points: Array, *, shape: Sequence[int] | None = None, frame: str = "index") -> Array:
        """Map points of the output to points of the input; see :meth:`pullback.Transform.__call__`.

        A point that is not seen becomes NaN. `shape` and `frame` are not used: a matrix means the same everywhere.
        """
        matrix, points = as_arrays("Projective", matrix=self.matrix, points=points)
        self._check_points(points)
        numerator, _, reciprocal, is_seen = self._fraction(matrix, points)
        return namespace(points).where(is_seen, numerator * reciprocal, float("nan"))

    def jacobian(self, points: Array, *, shape: Sequence[int] | None = None, frame: str = "index") -> Array:
        r"""Return the derivative of the mapped points in `points`; see :meth:`pullback.Transform.jacobian`.

        NaN at points that are not seen; elsewhere

        .. math:: \partial q / \partial p = (A - q c^T) / (c \cdot p + w)
        """
        matrix, points = as_arrays("Projective.jacobian", matrix=self.matrix, points=points)
        self._check_points(points)
        numerator, facing_matrix, reciprocal, is_seen = self._fraction(matrix, points)
        mapped = numerator * reciprocal
        linear, last = facing_matrix[..., :-1, :-1], facing_matrix[..., -1:, :-1]
        slopes = (linear - mapped[..., :, None] * last) * reciprocal[..., None]
        return namespace(points).where(is_seen[..., None], slopes, float("nan"))

    def points_vjp(
        self, points: Array, grad: Array, *, shape: Sequence[int] | None = None, frame: str = "index"
    ) -> tuple[Array, Array]:
        """Differentiate the mapped points backwards; see :meth:`pullback.Transform.points_vjp`.

        Points that are not seen have no gradients.
        """
        points, grad = self._check_vjp("Projective.points_vjp", points, grad)
        numerator, facing_matrix, reciprocal, is_seen = self._fraction(self.matrix, points)
        on_numerator = np.where(is_seen, grad * reciprocal, 0)
        on_last = -(on_numerator * numerator * reciprocal).sum(-1, keepdims=True)
        on_rows = beside(on_numerator, on_last)
        grad_points = (facing_matrix[..., :-1] * on_rows[..., None]).sum(-2)
        grad_matrix = moments(on_rows, points, self.batch_shape)
        if self.batch_shape and points.ndim == 1:
            return grad_points.sum(0), grad_matrix
        return unspread(grad_points, points.shape), unspread(grad_matrix, self.matrix.shape)

    def inverse(self) -> Self:
        """Return the map that undoes this one, with as many sides; see :meth:`pullback.Transform.inverse`.

        Raises
        ------
        ValueError
            If a matrix is singular, not finite, or so near to singular that its inverse would not have one correct
            digit in the dtype of the parameters.
        """
        _check_invertible(self)
        matrix = self.matrix
        if is_tensor(matrix) and matrix.dtype.itemsize < 4:
            matrix = matrix.float()
        inverse = self.with_parameters(namespace(matrix).linalg.inv(matrix))
        return inverse if matrix is self.matrix else inverse.torch(dtype=self.matrix.dtype)

    @classmethod
    def _from_homogeneous(cls, function: str, matrix: Array) -> Self:
        return cls(matrix)

    @classmethod
    def _checked(cls, function: str, matrix: Array) -> Array:
        (matrix,) = as_arrays(function, matrix=matrix)
        shape = tuple(matrix.shape)
        if matrix.ndim not in (2, 3) or not 2 <= shape[-2] <= MAX_NDIM + 1 or shape[-1] != shape[-2]:
            hint = "; a d x (d + 1) matrix is an Affine" if len(shape) > 1 and shape[-1] == shape[-2] + 1 else ""
            raise ValueError(
                f"{function}: `matrix` has shape {shape}; give (d + 1, d + 1) or (N, d + 1, d + 1) with d of 1, 2 or "
                f"3{hint}"
            )
        return matrix

    @classmethod
    def _misfit(cls, parameters: Array, source: Array, target: Array, weight: Array) -> Array:
        # Of all multiples of a matrix, which fit alike, the one whose denominator is 1 at the mean of the source.
        mean = (weight[:, None] * source).sum(0) / weight.sum()
        denominator = (parameters[-1, :-1] * mean).sum() + parameters[-1, -1]
        return super()._misfit(parameters, source, target, weight) + (denominator - 1) ** 2

    def _fraction(self, matrix: Array, points: Array) -> tuple[Array, Array, Array, Array]:
        """Return the numerators, the matrices as points face them, the reciprocals, and which points are seen.

        The reciprocal of the denominator is 1 at points that are not.
        """
        xp = namespace(points)
        matrix = facing(matrix, points, self.batch_shape)
        rows = matrix[..., -1]
        for axis in range(self.ndim):
            rows = rows + matrix[..., axis] * points[..., axis, None]
        denominator = rows[..., -1:]
        is_seen = denominator != 0
        if self.one_sided:
            origin = matrix[..., -1, -1:]
            is_seen = (denominator > 0) & (origin > 0) | (denominator < 0) & (origin < 0)
        return rows[..., :-1], matrix, 1 / xp.where(is_seen, denominator, 1), is_seen

    def _nowhere(self, mapped: Array) -> Array | None:
        xp = namespace(mapped)
        matrix, _ = as_arrays("Projective", matrix=self.matrix, mapped=mapped)
        finite = facing(xp.isfinite(matrix).all(-1).all(-1)[..., None], mapped, self.batch_shape)[..., 0]
        return xp.isnan(mapped).any(-1) & finite

    def _after(self, other: Self) -> Self:
        return self._holding(multiply(self.matrix, other.matrix))

    @classmethod
    def _from_narrower(cls, other: MatrixTransform) -> Self:
        return cls._holding(other.homogeneous)

    def _keep_sides(self, function: str, one_sided: bool) -> None:
        if _check.flag(function, "one_sided", one_sided):
            object.__setattr__(self, "lattice", "one-sided")

    @property
    def _arguments(self) -> tuple[Any, ...]:
        return (self.parameters, True) if self.one_sided else (self.parameters,)

    def _describe(self) -> str:
        return written(self.matrix) + (", one_sided=True" if self.one_sided else "")


def _check_invertible(transform: Projective) -> None:
    if not has_values(transform.parameters):
        return
    matrices = transform.numpy().matrix.reshape(-1, transform.ndim + 1, transform.ndim + 1)
    finite = np.isfinite(matrices).all((-2, -1))
    safe = np.where(finite[:, None, None], matrices, 0.0)
    # Rows and columns of very different units make no matrix singular.
    with np.errstate(divide="ignore", invalid="ignore"):
        safe = np.nan_to_num(safe / np.abs(safe).max(-1, keepdims=True))
        safe = np.nan_to_num(safe / np.abs(safe).max(-2, keepdims=True))
    found = find_singular(transform, matrices, safe)
    if found is not None:
        which, place, _ = found
        raise ValueError(
            f"Projective.inverse: the matrix{place} is singular to working precision (determinant "
            f"{np.linalg.det(matrices[which]):.3g}), so it has no inverse"
        )
