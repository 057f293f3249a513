"""What all transforms have in common that are no matrices."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

import pullback._check as _check
from pullback._arrays import Array
from pullback.transforms.base import Transform

# What is said where folds cannot be counted.
IN_A_GRAPH = "the determinants of `jacobian` show them there, and `nn.fold_penalty` holds them down"


class Deformation(Transform):
    """A transform that is no matrix: its derivative differs from point to point.

    The base of :class:`pullback.ThinPlateSpline`, :class:`pullback.FreeForm`, :class:`pullback.Displacement`,
    :class:`pullback.Velocity` and :class:`pullback.Chain`.

    Examples
    --------
    >>> import numpy as np
    >>> import pullback as pb
    >>> field = pb.Displacement(np.zeros((1, 2, 2)))
    >>> isinstance(field, pb.transforms.Deformation)
    True
    """

    def coordinates(self, shape: Sequence[int], frame: str = "index") -> Array:
        """Return where the points of an output are read from; see :meth:`pullback.Transform.coordinates`."""
        return super().coordinates(*check_extent(f"{type(self).__name__}.coordinates", self.ndim, shape, frame))

    def coordinates_vjp(self, grad_coordinates: Array, shape: Sequence[int], frame: str = "index") -> Array:
        """Pull a gradient in the coordinates back, for NumPy; see :meth:`pullback.Transform.coordinates_vjp`."""
        extent = check_extent(f"{type(self).__name__}.coordinates_vjp", self.ndim, shape, frame)
        return super().coordinates_vjp(grad_coordinates, *extent)


def check_extent(function: str, ndim: int, shape: Sequence[int], frame: str) -> tuple[tuple[int, ...], str]:
    """Return the shape of an output, and the frame, that a transform of `ndim` axes is called with."""
    return _check.output_shape(function, shape, (0,) * ndim), _check.frame(function, frame)


def count_folds(name: str, jacobian: Array, ndim: int, warn: bool) -> Any:
    """Return at how many points each transform's Jacobian, ``(..., *lattice, d, d)``, has no positive determinant."""
    with np.errstate(invalid="ignore"):
        count = (~(np.linalg.det(jacobian) > 0)).sum(tuple(range(-ndim, 0)))
    result = count if count.ndim else int(count)
    if warn and np.any(count):
        warnings.warn(f"{name}: the map folds at {result} pixels", RuntimeWarning, stacklevel=3)
    return result
