"""Maps that are given by a matrix, ``q = A p + t``: how points go through one, and how two are composed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, overload

import numpy as np

from pullback._arrays import Array, as_arrays, beside, is_tensor, namespace, unspread
from pullback.transforms.base import Transform
from pullback.transforms.conventions import Exported
from pullback.transforms.fitting import Fitted
from pullback.transforms.points import facing, moments

if TYPE_CHECKING:
    from typing import Self


class MatrixTransform(Exported, Fitted, Transform):
    """A transform ``q = A p + t``, given by its matrix ``[A | t]`` of shape ``(..., d, d + 1)``.

    :class:`pullback.Projective`, the widest family, has the last row as well: ``(..., d + 1, d + 1)``. The families
    form a chain from narrow to wide, :class:`pullback.Translation`, :class:`pullback.Euclidean`,
    :class:`pullback.Similarity`, :class:`pullback.Affine` and Projective; a product is of the narrowest that holds both
    factors.

    Examples
    --------
    >>> import pullback as pb
    >>> turn, step = pb.Euclidean.rotation(90), pb.Translation([1.0, 0.0])
    >>> type(turn @ step).__name__, type(pb.Affine.shear(0.5) @ step).__name__
    ('Euclidean', 'Affine')
    >>> step.matrix
    array([[1., 0., 1.],
           [0., 1., 0.]])
    """

    lattice: ClassVar[str] = "affine"

    # A family holds none with a larger number, and that is the order in which a product looks for one that holds both.
    _generality: ClassVar[int]

    @property
    def multiplies(self) -> bool:
        """Whether a product with another matrix is a matrix."""
        return True

    @property
    @abstractmethod
    def matrix(self) -> Array:
        """The matrix ``[A | t]``, ``(..., d, d + 1)``, a differentiable function of `parameters`."""

    @property
    def homogeneous(self) -> Array:
        """The matrix with the row (0, ..., 0, 1) below, ``(..., d + 1, d + 1)``.

        Examples
        --------
        >>> from pullback.transforms import Translation
        >>> Translation([1.0, 2.0]).homogeneous
        array([[1., 0., 1.],
               [0., 1., 2.],
               [0., 0., 1.]])
        """
        matrix = self.matrix
        xp = namespace(matrix)
        zero = xp.zeros_like(matrix[..., :1, :])
        last = beside(zero[..., :-1], zero[..., -1:] + 1)
        return xp.concatenate([matrix, last], -2)

    @abstractmethod
    def matrix_vjp(self, grad_matrix: Array) -> Array:
        """Pull the gradient of a scalar in `matrix` back to its gradient in `parameters`.

        Parameters
        ----------
        grad_matrix : array_like or Tensor, shape (..., d, d + 1)
            The gradient in the matrix, of the matrix's shape.

        Returns
        -------
        ndarray or Tensor
            The gradient in the parameters, of the shape of `parameters`.

        Raises
        ------
        ValueError
            If `grad_matrix` has another shape than the matrix.

        Examples
        --------
        The gradient in the angle of a turn, of the entry of its matrix that is the sine:

        >>> import pullback as pb
        >>> pb.Euclidean.rotation(60).matrix_vjp([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]).round(6)
        array([0.5, 0. , 0. ])
        """

    def fits(self, shape: Sequence[int], frame: str) -> bool:
        """Tell that a kernel can generate coordinates from the matrix; see :meth:`pullback.Transform.fits`."""
        return True

    @property
    def geometry(self) -> Array:
        """The matrix."""
        return self.matrix

    def geometry_vjp(self, grad_geometry: Array) -> Array:
        """Pull a gradient in the matrix back to the parameters; see :meth:`pullback.Transform.geometry_vjp`."""
        return self.matrix_vjp(grad_geometry)

    @classmethod
    @abstractmethod
    def identity(cls, ndim: int) -> Self:
        """Return the transform in `ndim` dimensions that leaves every point where it is.

        Parameters
        ----------
        ndim : {1, 2, 3}
            Number of spatial axes, d.

        Returns
        -------
        MatrixTransform
            Of this class, on NumPy arrays.

        Raises
        ------
        ValueError
            If `ndim` is another number.
        TypeError
            If `ndim` is no integer.

        Examples
        --------
        >>> import pullback as pb
        >>> pb.Affine.identity(2)
        Affine([[1, 0, 0], [0, 1, 0]])
        """

    @property
    def _motion(self) -> tuple[Array, Array] | None:
        """The turn and the offset of a map that is nothing but these, a rigid motion; None of others."""
        return None

    @classmethod
    def _from_narrower(cls, other: MatrixTransform) -> Self | None:
        """Return the same map as a member of this family; None if it may be none."""
        return None

    @abstractmethod
    def _after(self, other: Self) -> Self:
        """Return ``self @ other`` for a member of the same family, on the same arrays."""

    def __call__(self, points: Array, *, shape: Sequence[int] | None = None, frame: str = "index") -> Array:
        """Map points of the output to points of the input; see :meth:`pullback.Transform.__call__`.

        Points are written as the parameters are; `shape` and `frame` are not used: a matrix means the same everywhere.
        """
        matrix, points = as_arrays(type(self).__name__, matrix=self.matrix, points=points)
        self._check_points(points)
        matrix = facing(matrix, points, self.batch_shape)
        mapped = matrix[..., -1]
        for axis in range(self.ndim):
            mapped = mapped + matrix[..., axis] * points[..., axis, None]
        return mapped

    def jacobian(self, points: Array, *, shape: Sequence[int] | None = None, frame: str = "index") -> Array:
        """Return the matrix's linear part at each of `points`; see :meth:`pullback.Transform.jacobian`."""
        matrix, points = as_arrays(f"{type(self).__name__}.jacobian", matrix=self.matrix, points=points)
        self._check_points(points)
        linear = facing(matrix, points, self.batch_shape)[..., :-1]
        return linear + namespace(points).zeros_like(points)[..., None]

    @overload
    def __matmul__(self, other: MatrixTransform) -> MatrixTransform: ...
    @overload
    def __matmul__(self, other: Transform) -> Transform: ...
    def __matmul__(self, other: Transform) -> Transform:
        """Return the transform that applies `other` first, then this; see :meth:`pullback.Transform.__matmul__`."""
        if isinstance(other, MatrixTransform) and self.multiplies and other.multiplies:
            return self._times(other)
        return super().__matmul__(other)

    def _times(self, other: MatrixTransform) -> MatrixTransform:
        """Return ``self @ other`` where both are matrices; `torch.compile` does not know `@` of objects."""
        _check_composable(self, other)
        first, second = _in_one_family(*_on_the_same_arrays(self, other))
        return first._after(second)

    def points_vjp(
        self, points: Array, grad: Array, *, shape: Sequence[int] | None = None, frame: str = "index"
    ) -> tuple[Array, Array]:
        """Differentiate the mapped points backwards; see :meth:`pullback.Transform.points_vjp`."""
        points, grad = self._check_vjp(f"{type(self).__name__}.points_vjp", points, grad)
        linear = facing(self.matrix, points, self.batch_shape)[..., :-1]
        grad_points = (linear * grad[..., None]).sum(-2)
        grad_matrix = moments(grad, points, self.batch_shape)
        if self.batch_shape:
            grad_matrix = unspread(grad_matrix, self.matrix.shape)
            grad_points = unspread(grad_points, points.shape if points.ndim > 1 else (1, self.ndim))
        return grad_points.reshape(points.shape), self.matrix_vjp(grad_matrix)

    def _check_gradient(self, grad_matrix: Array) -> Array:
        name = f"{type(self).__name__}.matrix_vjp"
        _, grad_matrix = as_arrays(name, parameters=self.parameters, grad_matrix=grad_matrix)
        expected = (*self.batch_shape, self.ndim + self._last_rows, self.ndim + 1)
        if tuple(grad_matrix.shape) != expected:
            raise ValueError(
                f"{name}: `grad_matrix` has shape {tuple(grad_matrix.shape)}; give the matrix's, {expected}"
            )
        return grad_matrix


def find_singular(transform: MatrixTransform, matrices: Array, balanced: Array) -> tuple[int, str, float] | None:
    """Look for a matrix whose inverse would not have one correct digit in the dtype of the parameters.

    Parameters
    ----------
    matrices, balanced : ndarray, ``(N, n, n)``
        The matrices, and what of them is judged: those that are not finite as zeros.

    Returns
    -------
    None, or the first such matrix: its number, the words for its place in the batch, and its condition number

    Raises
    ------
    ValueError
        If that matrix is not finite.
    """
    precision = float(namespace(transform.parameters).finfo(transform.parameters.dtype).eps)
    condition = np.linalg.cond(balanced) if len(balanced) else np.ones(0)
    # Of the digits of the dtype, the inverse loses as many as the condition number has.
    singular = ~(condition * precision < 0.1)
    if not singular.any():
        return None
    which = int(np.argmax(singular))
    place = f" of transform {which} of the batch" if transform.batch_shape else ""
    if not np.isfinite(matrices[which]).all():
        raise ValueError(f"{type(transform).__name__}.inverse: the matrix{place} is not finite, so it has no inverse")
    return which, place, float(condition[which])


def _check_composable(first: MatrixTransform, second: MatrixTransform) -> None:
    if first.ndim != second.ndim:
        raise ValueError(
            f"@: the transforms are {first.ndim}-D and {second.ndim}-D ({first!r} and {second!r}); compose equal ones"
        )
    counts = {shape[0] for shape in (first.batch_shape, second.batch_shape) if shape} - {1}
    if len(counts) > 1:
        raise ValueError(
            f"@: the transforms are batches of {first.batch_shape[0]} and {second.batch_shape[0]}; "
            "compose equal batches, or one with a single transform"
        )


def _in_one_family(first: MatrixTransform, second: MatrixTransform) -> tuple[MatrixTransform, MatrixTransform]:
    """Return two transforms as members of the narrowest family that holds both."""
    if type(first) is type(second):
        return first, second
    widest = type(first) if first._generality > second._generality else type(second)
    for family in _from_narrow_to_wide(widest):
        one, other = (each if type(each) is family else family._from_narrower(each) for each in (first, second))
        if one is not None and other is not None:
            return one, other
    raise TypeError(f"@: no family holds {first!r} and {second!r}")


def _from_narrow_to_wide(family: type[MatrixTransform]) -> Iterator[type[MatrixTransform]]:
    """Yield a family and all wider ones."""
    yield family
    known = (each for each in MatrixTransform._families() if each._generality > family._generality)
    yield from sorted(known, key=lambda each: each._generality)


def _on_the_same_arrays(first: MatrixTransform, second: MatrixTransform) -> tuple[MatrixTransform, MatrixTransform]:
    if not (is_tensor(first.parameters) or is_tensor(second.parameters)):
        return first, second
    one, other = as_arrays("@", first=first.parameters, second=second.parameters)
    return first._holding(one), second._holding(other)
