"""Affine maps: ``q = A p + t``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pullback._arrays import (
    Array,
    apply_linear,
    as_arrays,
    beside,
    detached,
    eye_like,
    has_values,
    is_tensor,
    multiply,
    namespace,
    own,
    written,
)
from pullback._plan import MAX_NDIM, constant
from pullback.transforms.conventions import Imported
from pullback.transforms.fitting import fitted_affine
from pullback.transforms.linear import offset_about, rotation_about, scaling_about, with_entries
from pullback.transforms.matrix import MatrixTransform, find_singular
from pullback.transforms.points import check_ndim, check_vectors

if TYPE_CHECKING:
    from typing import Self


class Affine(Imported, MatrixTransform):
    """An affine map, ``q = A p + t`` with the matrix ``[A | t]``.

    Parameters
    ----------
    matrix : array_like or Tensor, shape (d, d + 1) or (N, d, d + 1)
        The linear part and, in the last column, the translation; d of 1, 2 or 3, rows and columns in the order of the
        array axes, (y, x) in 2-D. Also the attribute `parameters`. Values that are not finite are allowed; what is
        read through them is NaN.

    Raises
    ------
    ValueError
        If `matrix` has another shape.
    TypeError
        If it does not hold real numbers.

    See Also
    --------
    Affine.rotation, Affine.scaling, Affine.shear, Affine.translation, Affine.identity : Maps by their names.
    Affine.fit : The map nearest to pairs of points.
    Affine.from_cv2, Affine.from_skimage, Affine.from_torch_theta : The matrices of other libraries.

    Examples
    --------
    >>> from pullback.transforms import Affine
    >>> flip = Affine([[1.0, 0.0, 0.0], [0.0, -1.0, 9.0]])
    >>> flip([2.0, 3.0])
    array([2., 6.])
    >>> flip @ flip
    Affine([[1, 0, 0], [0, 1, 0]])
    """

    _generality = 3
    _parameter_axes = 2
    _fitted = staticmethod(fitted_affine)

    def __init__(self, matrix: Array) -> None:
        (matrix,) = as_arrays("Affine", matrix=matrix)
        shape = tuple(matrix.shape)
        if matrix.ndim not in (2, 3) or not 1 <= shape[-2] <= MAX_NDIM or shape[-1] != shape[-2] + 1:
            square = matrix.ndim in (2, 3) and shape[-1] == shape[-2] > 1
            hint = "; leave out the last row of a homogeneous matrix, or use Affine.from_homogeneous" if square else ""
            raise ValueError(
                f"Affine: `matrix` has shape {shape}; give (d, d + 1) or (N, d, d + 1) with d of 1, 2 or 3{hint}"
            )
        self._hold(own(matrix))

    @classmethod
    def from_parameters(cls, parameters: Array) -> Self:
        """Return the affine map with the matrix `parameters`; see :meth:`pullback.Transform.from_parameters`."""
        return cls(parameters)

    @classmethod
    def identity(cls, ndim: int) -> Self:
        """Return the affine map that moves nothing; see :meth:`pullback.transforms.MatrixTransform.identity`."""
        ndim = check_ndim("Affine.identity", ndim)
        return cls._holding(np.eye(ndim, ndim + 1))

    @classmethod
    def rotation(cls, degrees: Array, center: Array = None, axis: int | None = None) -> Self:
        """Return a rotation; the picture turns counter-clockwise on the screen by `degrees`.

        This is the map of points from output to input, ``[[cos, sin], [-sin, cos]]`` in (y, x) with y down. Multiples
        of 90 degrees are exact: about the centre of a square image, ``rotation(90)`` is `numpy.rot90`.

        Parameters
        ----------
        degrees : float, array_like or Tensor, shape () or (N,)
            The angle; several give a batch.
        center : array_like or Tensor, shape (d,) or (N, d), optional
            The fixed point. Default: the origin of the frame, which is the middle of the image where the frame is
            "centered" and its first sample where the frame is "index".
        axis : {0, 1, 2}, optional
            In 3-D, the array axis to turn about; about axis 0 every slice turns like a 2-D picture, about the others
            axes 2 and 0, or 0 and 1, take the place of y and x. Default: the rotation is 2-D.

        Returns
        -------
        Transform
            Of this class: one, or a batch if `degrees` or `center` is one.

        Raises
        ------
        ValueError
            If a shape does not fit or `axis` is no axis.
        TypeError
            If an argument holds anything but real numbers.

        Examples
        --------
        >>> import numpy as np
        >>> from pullback.transforms import Affine
        >>> picture = np.arange(9).reshape(3, 3)
        >>> turn = Affine.rotation(90, center=(1, 1))
        >>> y, x = turn(np.argwhere(picture >= 0)).astype(int).T
        >>> np.array_equal(picture[y, x].reshape(3, 3), np.rot90(picture))
        True
        """
        return cls._assembled(*rotation_about("Affine.rotation", degrees, center, axis))

    @classmethod
    def scaling(cls, factors: Array, center: Array = None, *, ndim: int | None = None) -> Self:
        """Return a scaling along the axes.

        Parameters
        ----------
        factors : float, array_like or Tensor, shape (), (d,), (1,), (N, d) or (N, 1)
            Factor on the distance from `center` at which the input is read: ``scaling(0.5)`` reads from half as far,
            and the picture becomes twice as large. One factor for all axes, or one an axis in the order of the array
            axes; a batch of isotropic scalings is ``(N, 1)``.
        center : array_like or Tensor, shape (d,) or (N, d), optional
            The fixed point. Default: the origin of the frame.
        ndim : {1, 2, 3}, optional
            Number of axes. Default: that of `center` or of `factors`; 2 for one factor without a centre.

        Returns
        -------
        Affine
            One, or a batch if `factors` or `center` is one.

        Raises
        ------
        ValueError
            If the shapes do not fit each other, or `ndim` is another number.
        TypeError
            If `ndim` is no integer, or an argument holds anything but real numbers.

        Examples
        --------
        >>> from pullback.transforms import Affine
        >>> Affine.scaling(0.5, center=(10, 10))([10.0, 14.0])
        array([10., 12.])
        >>> Affine.scaling((1, 2))
        Affine([[1, 0, 0], [0, 2, 0]])
        """
        return cls._assembled(*scaling_about("Affine.scaling", factors, center, ndim))

    @classmethod
    def shear(cls, amount: Array, center: Array = None, *, axis: int = 1, along: int = 0, ndim: int = 2) -> Self:
        """Return a shear: coordinate `axis` grows by `amount` times coordinate `along`.

        Parameters
        ----------
        amount : float, array_like or Tensor, shape () or (N,)
            Displacement along `axis` for one unit along `along`.
        center : array_like or Tensor, shape (d,) or (N, d), optional
            A point that stays. Default: the origin of the frame.
        axis, along : int, optional
            Two different axes. Default: x moves in proportion to y.
        ndim : {1, 2, 3}, optional
            Number of axes. Default: 2.

        Returns
        -------
        Affine
            One, or a batch if `amount` or `center` is one.

        Raises
        ------
        ValueError
            If the axes are equal or not among `ndim`, or a shape does not fit.
        TypeError
            If `ndim` is no integer, or an argument holds anything but real numbers.

        Examples
        --------
        >>> from pullback.transforms import Affine
        >>> Affine.shear(0.5)
        Affine([[1, 0, 0], [0.5, 1, 0]])
        """
        name = "Affine.shear"
        ndim = check_ndim(name, ndim)
        if axis == along or not (0 <= axis < ndim and 0 <= along < ndim):
            raise ValueError(f"{name}: `axis` is {axis} and `along` is {along}; give two different axes below {ndim}")
        (amount,) = as_arrays(name, amount=amount)
        if amount.ndim > 1:
            raise ValueError(f"{name}: `amount` has shape {tuple(amount.shape)}; give a number or (N,)")
        return cls._assembled(*offset_about(name, with_entries({(axis, along): amount}, amount, ndim), center))

    @classmethod
    def translation(cls, offset: Array) -> Self:
        """Return the translation by `offset`: read `offset` further on.

        Parameters
        ----------
        offset : array_like or Tensor, shape (d,) or (N, d)
            Displacement in the order of the array axes, d of 1, 2 or 3.

        Returns
        -------
        Transform
            Of this class: one, or a batch of N.

        Raises
        ------
        ValueError
            If `offset` has another shape.
        TypeError
            If it holds anything but real numbers.

        Examples
        --------
        >>> from pullback.transforms import Affine
        >>> Affine.translation((1, 2))
        Affine([[1, 0, 1], [0, 1, 2]])
        """
        name = "Affine.translation"
        (offset,) = as_arrays(name, offset=offset)
        check_vectors(name, "offset", offset)
        return cls._assembled(eye_like(offset), offset)

    @property
    def ndim(self) -> int:
        """Number of spatial axes, d."""
        return constant(self.parameters.shape[-2])

    @property
    def matrix(self) -> Array:
        """The matrix ``[A | t]``, ``(..., d, d + 1)``; the parameters themselves."""
        return self.parameters

    def matrix_vjp(self, grad_matrix: Array) -> Array:
        """Return the gradient, the matrix's own; see :meth:`pullback.transforms.MatrixTransform.matrix_vjp`."""
        return self._check_gradient(grad_matrix)

    def inverse(self) -> Self:
        """Return the affine map that undoes this one; see :meth:`pullback.Transform.inverse`.

        Raises
        ------
        ValueError
            If a matrix is singular, not finite, or so near to singular that its inverse would not have one correct
            digit in the dtype of the parameters.

        Notes
        -----
        The check looks at the values, so on an accelerator it waits for them.
        """
        _check_invertible(self)
        xp = namespace(self.matrix)
        matrix = self.matrix
        if is_tensor(matrix) and matrix.dtype.itemsize < 4:
            matrix = matrix.float()
        linear = xp.linalg.inv(matrix[..., :-1])
        inverse = self._assembled(linear, -apply_linear(linear, matrix[..., -1]))
        return inverse if matrix is self.matrix else inverse.torch(dtype=self.matrix.dtype)

    @classmethod
    def _assembled(cls, linear: Array, offset: Array) -> Self:
        """Return the map of a linear part ``(..., d, d)`` and an offset ``(..., d)`` whose batches broadcast."""
        return cls._holding(beside(linear, offset[..., None]))

    def _after(self, other: Self) -> Self:
        linear = multiply(self.matrix[..., :-1], other.matrix[..., :-1])
        offset = apply_linear(self.matrix[..., :-1], other.matrix[..., -1]) + self.matrix[..., -1]
        return self._assembled(linear, offset)

    @classmethod
    def _from_homogeneous(cls, function: str, matrix: Array) -> Self:
        _check_last_row(function, matrix)
        return cls._holding(matrix[..., :-1, :] / matrix[..., -1:, -1:])

    @classmethod
    def _from_narrower(cls, other: MatrixTransform) -> Self | None:
        return None if other._last_rows else cls._holding(other.matrix)

    def _describe(self) -> str:
        return written(self.matrix)


def _check_last_row(function: str, matrix: Array) -> None:
    if not has_values(matrix):
        return
    rows = matrix[..., -1, :].reshape(-1, matrix.shape[-1])
    rows = detached(rows)
    other = (rows[:, :-1] != 0).any(1) | (rows[:, -1] == 0) | ~np.isfinite(rows).all(1)
    if other.any():
        which = int(np.argmax(other))
        place = f" of matrix {which} of the batch" if matrix.ndim == 3 else ""
        wanted = ", ".join(["0"] * (rows.shape[1] - 1) + ["1"])
        raise ValueError(
            f"{function}: the last row{place} is {written(rows[which])}, and that of an affine map [{wanted}] or a "
            "multiple of it; use Projective"
        )


def _check_invertible(transform: Affine) -> None:
    if not has_values(transform.parameters):
        return
    linear = transform.numpy().matrix[..., :-1].reshape(-1, transform.ndim, transform.ndim)
    finite = np.isfinite(linear).all((-2, -1))
    found = find_singular(transform, linear, np.where(finite[:, None, None], linear, 0.0))
    if found is not None:
        which, place, condition = found
        raise ValueError(
            f"Affine.inverse: the matrix{place} is singular to working precision (determinant "
            f"{np.linalg.det(linear[which]):.3g}, condition number {condition:.3g}), so it has no inverse"
        )
