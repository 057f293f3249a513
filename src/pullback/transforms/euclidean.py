"""Rigid motions: a turn and a translation, ``q = R p + offset``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pullback._arrays import Array, apply_linear, as_arrays, beside, own, written
from pullback._plan import constant
from pullback.transforms.fitting import fitted_euclidean
from pullback.transforms.matrix import MatrixTransform
from pullback.transforms.points import check_batch, check_ndim, check_vectors
from pullback.transforms.rotation import TURN_SIZES, composed_turn, rotation_matrix, rotation_vjp, turn_about, turn_of

if TYPE_CHECKING:
    from typing import Self

# Number of axes by number of parameters: rotation (0, 1 or 3), translation (1, 2 or 3).
_NDIM_OF_COUNT = {1: 1, 3: 2, 6: 3}


class Euclidean(MatrixTransform):
    """A rigid motion, ``q = R p + offset``: rotation and translation, which keep all distances.

    Parameters
    ----------
    rotation : array_like or Tensor, or None for no turn
        1-D: None. 2-D: the angle in radians, ``()`` or ``(N,)``; positive angles turn the *picture*
        counter-clockwise on the screen (y down, x right). 3-D: the rotation vector, ``(3,)`` or ``(N, 3)``, axis times
        angle in radians, its components in the order of the array axes (z, y, x); as in
        :class:`~pullback.Similarity`.
    translation : array_like or Tensor, shape (d,) or (N, d)
        The offset in the order of the array axes.

    Attributes
    ----------
    parameters : ndarray or Tensor, shape (..., k)
        ``[rotation..., translation...]``, k = 1 in 1-D, 3 in 2-D, 6 in 3-D.
    angle, offset : ndarray or Tensor
        The two parts of it, ``(...)`` (``(..., 3)`` in 3-D, ``(..., 0)`` in 1-D) and ``(..., d)``.

    Raises
    ------
    ValueError
        If a shape does not fit.
    TypeError
        If an argument does not hold real numbers.

    Examples
    --------
    >>> import math
    >>> from pullback.transforms import Euclidean
    >>> turn = Euclidean(math.pi / 2, [0.0, 1.0])
    >>> turn([3.0, 4.0]).round(6)
    array([ 4., -2.])
    >>> turn @ turn
    Euclidean(rotation=3.14159, translation=[1, 1])
    """

    _generality = 1
    _fitted = staticmethod(fitted_euclidean)

    def __init__(self, rotation: Array, translation: Array) -> None:
        given = {"rotation": rotation, "translation": translation}
        arrays = as_arrays("Euclidean", **{name: value for name, value in given.items() if value is not None})
        rotation, offset = arrays if rotation is not None else (None, arrays[0])
        check_vectors("Euclidean", "translation", offset)
        rotation = turn_of("Euclidean", rotation, offset)
        check_batch("Euclidean", 1, rotation=rotation, translation=offset)
        self._hold(beside(rotation, offset))

    @classmethod
    def from_parameters(cls, parameters: Array) -> Self:
        """Return the rigid motion with the given parameters; see :meth:`pullback.Transform.from_parameters`."""
        (parameters,) = as_arrays("Euclidean.from_parameters", parameters=parameters)
        if parameters.ndim not in (1, 2) or parameters.shape[-1] not in _NDIM_OF_COUNT:
            raise ValueError(
                f"Euclidean.from_parameters: `parameters` has shape {tuple(parameters.shape)}; "
                "give (k,) or (N, k) with k = 1 in 1-D, 3 in 2-D or 6 in 3-D"
            )
        return cls._holding(own(parameters))

    @classmethod
    def identity(cls, ndim: int) -> Self:
        """Return the rigid motion that moves nothing; see :meth:`pullback.transforms.MatrixTransform.identity`."""
        return cls(None, np.zeros(check_ndim("Euclidean.identity", ndim)))

    @classmethod
    def rotation(cls, degrees: Array, center: Array = None, axis: int | None = None) -> Self:
        """Return a rotation; see :meth:`pullback.Affine.rotation`.

        The angle is kept in radians, so that a quarter turn is exact to rounding only; `Affine.rotation` is exact.

        Examples
        --------
        >>> from pullback.transforms import Euclidean
        >>> Euclidean.rotation(90, center=(4.0, 4.0))
        Euclidean(rotation=1.5708, translation=[0, 8])
        """
        return cls(*turn_about("Euclidean.rotation", degrees, center, axis))

    @classmethod
    def translation(cls, offset: Array) -> Self:
        """Return a translation; see :meth:`pullback.Affine.translation`.

        Examples
        --------
        >>> from pullback.transforms import Euclidean
        >>> Euclidean.translation([1.0, 2.0])
        Euclidean(rotation=0, translation=[1, 2])
        """
        return cls(None, offset)

    @property
    def ndim(self) -> int:
        """Number of spatial axes, d."""
        return _NDIM_OF_COUNT[constant(self.parameters.shape[-1])]

    @property
    def angle(self) -> Array:
        """2-D: the angle in radians, ``(...)``; 3-D: the rotation vector, ``(..., 3)``; 1-D: empty, ``(..., 0)``."""
        turn, _ = self._motion
        return turn[..., 0] if self.ndim == 2 else turn

    @property
    def offset(self) -> Array:
        """The translation, ``(..., d)``."""
        return self._motion[1]

    @property
    def matrix(self) -> Array:
        """The matrix ``[R | offset]``, ``(..., d, d + 1)``."""
        turn, offset = self._motion
        return beside(rotation_matrix(turn), offset[..., None])

    def matrix_vjp(self, grad_matrix: Array) -> Array:
        """Pull a gradient back to the parameters; see :meth:`pullback.transforms.MatrixTransform.matrix_vjp`."""
        grad_matrix = self._check_gradient(grad_matrix)
        grad_turn = rotation_vjp(self._motion[0], grad_matrix[..., :-1])
        return beside(grad_turn, grad_matrix[..., -1])

    def inverse(self) -> Self:
        """Return the rigid motion that undoes this one, in closed form; see :meth:`pullback.Transform.inverse`."""
        turn, offset = self._motion
        return self._packed(-turn, -apply_linear(rotation_matrix(-turn), offset))

    @property
    def _motion(self) -> tuple[Array, Array]:
        count = TURN_SIZES[self.ndim]
        return self.parameters[..., :count], self.parameters[..., count:]

    def _after(self, other: Self) -> Self:
        (turn, offset), (other_turn, other_offset) = self._motion, other._motion
        offset = apply_linear(rotation_matrix(turn), other_offset) + offset
        return self._packed(composed_turn(turn, other_turn), offset)

    @classmethod
    def _packed(cls, turn: Array, offset: Array) -> Self:
        return cls._holding(beside(turn, offset))

    @classmethod
    def _from_narrower(cls, other: MatrixTransform) -> Self | None:
        motion = other._motion
        return None if motion is None else cls._packed(*motion)

    def _describe(self) -> str:
        turn = f"rotation={written(self.angle)}, " if self.ndim > 1 else ""
        return f"{turn}translation={written(self.offset)}"
