"""Translations: ``q = p + offset``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pullback._arrays import Array, as_arrays, beside, eye_like, own, written
from pullback._plan import constant
from pullback.transforms.fitting import fitted_translation
from pullback.transforms.matrix import MatrixTransform
from pullback.transforms.points import check_ndim, check_vectors
from pullback.transforms.rotation import no_turn

if TYPE_CHECKING:
    from typing import Self


class Translation(MatrixTransform):
    """A translation, ``q = p + offset``.

    Position p of the output is read at ``p + offset`` of the input, so the picture moves by ``-offset``.

    Parameters
    ----------
    offset : array_like or Tensor, shape (d,) or (N, d)
        Displacement in the order of the array axes, d of 1, 2 or 3; in samples where the frame is "index". Also the
        attribute `parameters`.

    Raises
    ------
    ValueError
        If `offset` has another shape.
    TypeError
        If it does not hold real numbers.

    Examples
    --------
    >>> from pullback.transforms import Translation
    >>> step = Translation([1.0, 2.0])
    >>> step([10.0, 10.0])
    array([11., 12.])
    >>> step @ step
    Translation(offset=[2, 4])
    """

    _generality = 0
    _fitted = staticmethod(fitted_translation)

    def __init__(self, offset: Array) -> None:
        (offset,) = as_arrays("Translation", offset=offset)
        check_vectors("Translation", "offset", offset)
        self._hold(own(offset))

    @classmethod
    def from_parameters(cls, parameters: Array) -> Self:
        """Return the translation by `parameters`, ``(..., d)``; see :meth:`pullback.Transform.from_parameters`."""
        return cls(parameters)

    @classmethod
    def identity(cls, ndim: int) -> Self:
        """Return the translation by zero; see :meth:`pullback.transforms.MatrixTransform.identity`."""
        return cls._holding(np.zeros(check_ndim("Translation.identity", ndim)))

    @property
    def ndim(self) -> int:
        """Number of spatial axes, d."""
        return constant(self.parameters.shape[-1])

    @property
    def offset(self) -> Array:
        """The displacement, ``(..., d)``."""
        return self.parameters

    @property
    def matrix(self) -> Array:
        """The matrix ``[I | offset]``, ``(..., d, d + 1)``."""
        return beside(eye_like(self.offset), self.offset[..., None])

    def matrix_vjp(self, grad_matrix: Array) -> Array:
        """Pull a gradient back to the offset; see :meth:`pullback.transforms.MatrixTransform.matrix_vjp`."""
        return self._check_gradient(grad_matrix)[..., -1]

    def inverse(self) -> Self:
        """Return the translation by ``-offset``, which is exact; see :meth:`pullback.Transform.inverse`."""
        return self._holding(-self.offset)

    @property
    def _motion(self) -> tuple[Array, Array]:
        return no_turn(self.offset), self.offset

    def _after(self, other: Self) -> Self:
        return self._holding(self.offset + other.offset)

    def _describe(self) -> str:
        return f"offset={written(self.offset)}"
