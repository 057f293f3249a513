"""Similarities: a turn, one scale for all axes, and a translation, ``q = scale R p + offset``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pullback._arrays import Array, apply_linear, as_arrays, beside, has_values, namespace, own, written
from pullback._plan import constant
from pullback.transforms.fitting import fitted_similarity
from pullback.transforms.linear import scaling_about
from pullback.transforms.matrix import MatrixTransform
from pullback.transforms.points import check_batch, check_ndim, check_vectors
from pullback.transforms.rotation import TURN_SIZES, composed_turn, rotation_matrix, rotation_vjp, turn_about, turn_of

if TYPE_CHECKING:
    from typing import Self

# Number of axes by number of parameters: scale, rotation (0, 1 or 3), translation (1, 2 or 3).
_NDIM_OF_COUNT = {2: 1, 4: 2, 7: 3}


class Similarity(MatrixTransform):
    """A similarity, ``q = scale R p + offset``: rotation, isotropic scale and translation.

    Parameters
    ----------
    scale : float, array_like or Tensor, shape () or (N,)
        Factor on distances. A factor of 0.5 reads from half as far from the origin, so the picture doubles in size.
    rotation : array_like or Tensor, or None for no turn
        1-D: None. 2-D: the angle in radians, ``()`` or ``(N,)``; positive angles turn the *picture*
        counter-clockwise on the screen (y down, x right). 3-D: the rotation vector, ``(3,)`` or ``(N, 3)``, axis times
        angle in radians, its components in the order of the array axes (z, y, x). The turn about z alone is the 2-D
        one in every slice; in general it is the right-handed rotation in (x, y, z).
    translation : array_like or Tensor, shape (d,) or (N, d)
        The offset in the order of the array axes.

    Attributes
    ----------
    parameters : ndarray or Tensor, shape (..., k)
        ``[scale, rotation..., translation...]``, k = 2 in 1-D, 4 in 2-D, 7 in 3-D.
    scale, angle, offset : ndarray or Tensor
        The three parts of it, ``(...)``, ``(...)`` (``(..., 3)`` in 3-D, ``(..., 0)`` in 1-D) and ``(..., d)``.

    Raises
    ------
    ValueError
        If a shape does not fit.
    TypeError
        If an argument does not hold real numbers.

    Examples
    --------
    >>> import math
    >>> from pullback.transforms import Similarity
    >>> turn = Similarity(2.0, math.pi / 2, [0.0, 1.0])
    >>> turn([3.0, 4.0]).round(6)
    array([ 8., -5.])
    >>> turn @ turn
    Similarity(scale=4, rotation=3.14159, translation=[2, 1])
    """

    _generality = 2
    _fitted = staticmethod(fitted_similarity)

    def __init__(self, scale: Array, rotation: Array, translation: Array) -> None:
        given = {"scale": scale, "rotation": rotation, "translation": translation}
        arrays = as_arrays("Similarity", **{name: value for name, value in given.items() if value is not None})
        scale, rotation, offset = arrays if rotation is not None else (arrays[0], None, arrays[1])
        check_vectors("Similarity", "translation", offset)
        rotation = turn_of("Similarity", rotation, offset)
        if scale.ndim > 1:
            raise ValueError(f"Similarity: `scale` has shape {tuple(scale.shape)}; give a number or (N,)")
        check_batch("Similarity", 1, scale=scale[..., None], rotation=rotation, translation=offset)
        self._hold(beside(scale[..., None], rotation, offset))

    @classmethod
    def from_parameters(cls, parameters: Array) -> Self:
        """Return the similarity with the given parameters; see :meth:`pullback.Transform.from_parameters`."""
        (parameters,) = as_arrays("Similarity.from_parameters", parameters=parameters)
        if parameters.ndim not in (1, 2) or parameters.shape[-1] not in _NDIM_OF_COUNT:
            raise ValueError(
                f"Similarity.from_parameters: `parameters` has shape {tuple(parameters.shape)}; "
                "give (k,) or (N, k) with k = 2 in 1-D, 4 in 2-D or 7 in 3-D"
            )
        return cls._holding(own(parameters))

    @classmethod
    def identity(cls, ndim: int) -> Self:
        """Return the similarity that moves nothing; see :meth:`pullback.transforms.MatrixTransform.identity`."""
        return cls(1.0, None, np.zeros(check_ndim("Similarity.identity", ndim)))

    @classmethod
    def rotation(cls, degrees: Array, center: Array = None, axis: int | None = None) -> Self:
        """Return a rotation; see :meth:`pullback.Affine.rotation`.

        The angle is kept in radians, so that a quarter turn is exact to rounding only; `Affine.rotation` is exact.

        Examples
        --------
        >>> from pullback.transforms import Similarity
        >>> Similarity.rotation(90)
        Similarity(scale=1, rotation=1.5708, translation=[0, 0])
        """
        return cls(1.0, *turn_about("Similarity.rotation", degrees, center, axis))

    @classmethod
    def scaling(cls, factor: Array, center: Array = None, *, ndim: int | None = None) -> Self:
        """Return a scaling by one factor on every axis.

        Parameters
        ----------
        factor : float, array_like or Tensor, shape () or (N,)
            Factor on the distance from `center` at which the input is read: ``scaling(0.5)`` reads from half as far,
            and the picture becomes twice as large.
        center : array_like or Tensor, shape (d,) or (N, d), optional
            The fixed point. Default: the origin of the frame.
        ndim : {1, 2, 3}, optional
            Number of axes. Default: that of `center`, or 2.

        Returns
        -------
        Similarity
            One, or a batch if `factor` or `center` is one.

        Raises
        ------
        ValueError
            If the shapes do not fit each other, or `ndim` is another number.
        TypeError
            If `ndim` is no integer, or an argument holds anything but real numbers.

        Examples
        --------
        >>> from pullback.transforms import Similarity
        >>> Similarity.scaling(0.5, center=[8.0, 8.0])
        Similarity(scale=0.5, rotation=0, translation=[4, 4])
        """
        name = "Similarity.scaling"
        (factor,) = as_arrays(name, factor=factor)
        if factor.ndim > 1:
            raise ValueError(f"{name}: `factor` has shape {tuple(factor.shape)}; give a number or (N,)")
        _, offset = scaling_about(name, factor[..., None], center, ndim)
        return cls(factor, None, offset)

    @classmethod
    def translation(cls, offset: Array) -> Self:
        """Return a translation; see :meth:`pullback.Affine.translation`."""
        return cls(1.0, None, offset)

    @property
    def ndim(self) -> int:
        """Number of spatial axes, d."""
        return _NDIM_OF_COUNT[constant(self.parameters.shape[-1])]

    @property
    def scale(self) -> Array:
        """The factor on distances, ``(...)``."""
        return self.parameters[..., 0]

    @property
    def angle(self) -> Array:
        """2-D: the angle in radians, ``(...)``; 3-D: the rotation vector, ``(..., 3)``; 1-D: empty, ``(..., 0)``."""
        _, turn, _ = self._parts
        return turn[..., 0] if self.ndim == 2 else turn

    @property
    def offset(self) -> Array:
        """The translation, ``(..., d)``."""
        return self._parts[2]

    @property
    def _parts(self) -> tuple[Array, Array, Array]:
        """The scale, the turn and the offset."""
        parameters, end = self.parameters, 1 + TURN_SIZES[self.ndim]
        return parameters[..., 0], parameters[..., 1:end], parameters[..., end:]

    @property
    def matrix(self) -> Array:
        """The matrix ``[scale R | offset]``, ``(..., d, d + 1)``."""
        scale, turn, offset = self._parts
        return beside(scale[..., None, None] * rotation_matrix(turn), offset[..., None])

    def matrix_vjp(self, grad_matrix: Array) -> Array:
        """Pull a gradient back to the parameters; see :meth:`pullback.transforms.MatrixTransform.matrix_vjp`."""
        grad_matrix = self._check_gradient(grad_matrix)
        grad_linear, grad_offset = grad_matrix[..., :-1], grad_matrix[..., -1]
        scale, turn, _ = self._parts
        grad_scale = (grad_linear * rotation_matrix(turn)).sum((-2, -1))
        grad_turn = rotation_vjp(turn, scale[..., None, None] * grad_linear)
        return beside(grad_scale[..., None], grad_turn, grad_offset)

    def inverse(self) -> Self:
        """Return the similarity that undoes this one, in closed form; see :meth:`pullback.Transform.inverse`.

        Raises
        ------
        ValueError
            If a scale is zero, too small to be inverted, or not finite.
        """
        _check_scale(self)
        scale, turn, offset = self._parts
        scale = 1 / scale
        return self._packed(scale, -turn, -scale[..., None] * apply_linear(rotation_matrix(-turn), offset))

    def _after(self, other: Self) -> Self:
        (scale, turn, offset), (other_scale, other_turn, other_offset) = self._parts, other._parts
        offset = apply_linear(scale[..., None, None] * rotation_matrix(turn), other_offset) + offset
        return self._packed(scale * other_scale, composed_turn(turn, other_turn), offset)

    @classmethod
    def _packed(cls, scale: Array, turn: Array, offset: Array) -> Self:
        return cls._holding(beside(scale[..., None], turn, offset))

    @classmethod
    def _from_narrower(cls, other: MatrixTransform) -> Self | None:
        motion = other._motion
        return None if motion is None else cls._packed(namespace(motion[1]).ones_like(motion[1][..., 0]), *motion)

    def _describe(self) -> str:
        turn = f"rotation={written(self.angle)}, " if self.ndim > 1 else ""
        return f"scale={written(self.scale)}, {turn}translation={written(self.offset)}"


def _check_scale(similarity: Similarity) -> None:
    if not has_values(similarity.parameters):
        return
    scale = np.atleast_1d(similarity.numpy().scale)
    smallest = float(namespace(similarity.parameters).finfo(similarity.parameters.dtype).tiny)
    bad = ~(np.isfinite(scale) & (np.abs(scale) >= smallest))
    if bad.any():
        which = int(np.argmax(bad))
        place = f" of transform {which} of the batch" if similarity.batch_shape else ""
        value = scale[which]
        raise ValueError(
            f"Similarity.inverse: the scale{place} is {value:g} (determinant {value**similarity.ndim:g}); "
            "only a finite scale other than zero has an inverse"
        )
