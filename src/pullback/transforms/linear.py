"""Rotations in degrees and scalings as matrices, and the offset with which a linear map leaves a point fixed."""

from __future__ import annotations

import math

import numpy as np

from pullback._arrays import Array, apply_linear, as_arrays, is_tensor, matrix_of, namespace
from pullback._plan import MAX_NDIM, constant
from pullback.transforms.points import check_batch, check_ndim


def rotation_about(function: str, degrees: Array, center: Array, axis: int | None) -> tuple[Array, Array]:
    """Return the linear part, ``(..., d, d)``, and the offset, ``(..., d)``, of a rotation about `center`.

    Parameters
    ----------
    function : str
        Name for errors.
    degrees : array_like or Tensor, shape () or (N,)
    center : array_like or Tensor, shape (d,) or (N, d), or None
    axis : {0, 1, 2} or None
        As in :meth:`pullback.Affine.rotation`.
    """
    (degrees,) = as_arrays(function, degrees=degrees)
    if degrees.ndim > 1:
        raise ValueError(f"{function}: `degrees` has shape {tuple(degrees.shape)}; give a number or (N,)")
    down, right = _plane(function, axis, center)
    cosine, sine = _cosine_and_sine(degrees)
    turned = {(down, down): cosine, (down, right): sine, (right, down): -sine, (right, right): cosine}
    return offset_about(function, with_entries(turned, cosine, 2 if axis is None else 3), center)


def scaling_about(function: str, factors: Array, center: Array, ndim: int | None) -> tuple[Array, Array]:
    """Return the linear part, ``(..., d, d)``, and the offset, ``(..., d)``, of a scaling about `center`.

    Parameters
    ----------
    function : str
        Name for errors.
    factors : array_like or Tensor, shape (), (d,), (1,), (N, d) or (N, 1)
    center : array_like or Tensor, shape (d,) or (N, d), or None
    ndim : {1, 2, 3} or None
        As in :meth:`pullback.Affine.scaling`.
    """
    (factors,) = as_arrays(function, factors=factors)
    ndim = _scaling_ndim(function, factors, center, ndim)
    factors = factors if factors.ndim else factors[None]
    own = [factors[..., axis % factors.shape[-1]] for axis in range(ndim)]
    linear = with_entries({(axis, axis): factor for axis, factor in enumerate(own)}, own[0], ndim)
    return offset_about(function, linear, center)


def with_entries(entries: dict[tuple[int, int], Array], like: Array, ndim: int) -> Array:
    """Return matrices ``(..., d, d)`` with the given entries, in the shape of `like`; others are the identity's."""
    if is_tensor(like):
        zero, one = namespace(like).zeros_like(like), namespace(like).ones_like(like)
        return matrix_of([[entries.get((i, j), one if i == j else zero) for j in range(ndim)] for i in range(ndim)])
    matrix = np.zeros((*like.shape, ndim, ndim)) + np.eye(ndim)
    for (i, j), entry in entries.items():
        matrix[..., i, j] = entry
    return matrix


def offset_about(function: str, linear: Array, center: Array) -> tuple[Array, Array]:
    """Return `linear` and the offset with which ``linear @ p + offset`` leaves `center` fixed.

    Parameters
    ----------
    function : str
        Name for errors.
    linear : array, shape (..., d, d)
        The linear part.
    center : array, shape (d,) or (N, d), or None
        The fixed point; None is the origin.
    """
    ndim = constant(linear.shape[-1])
    if center is None:
        return linear, namespace(linear).zeros_like(linear[..., 0])
    linear, center = as_arrays(function, linear=linear, center=center)
    if center.ndim not in (1, 2) or center.shape[-1] != ndim:
        raise ValueError(
            f"{function}: `center` has shape {tuple(center.shape)} but the transform is {ndim}-D; "
            f"give ({ndim},) or (N, {ndim})"
        )
    check_batch(function, 1, factors=linear[..., 0], center=center)
    return linear, center - apply_linear(linear, center)


def _plane(function: str, axis: int | None, center: Array) -> tuple[int, int]:
    """Return the two axes that a rotation mixes, the one in the role of y first."""
    if axis is None:
        if center is not None and np.shape(center)[-1:] == (3,):
            raise ValueError(f"{function}: `center` is 3-D but no `axis` is given; pass axis=0, 1 or 2 to turn about")
        return 0, 1
    if isinstance(axis, bool) or axis not in (0, 1, 2):
        raise ValueError(f"{function}: `axis` is {axis!r}; give 0, 1 or 2 (z, y or x), or None in 2-D")
    return (axis + 1) % 3, (axis + 2) % 3


def _cosine_and_sine(degrees: Array) -> tuple[Array, Array]:
    """Return the cosine and sine of an angle in degrees, exact at multiples of 90."""
    xp = namespace(degrees)
    quarters = (degrees / 90).round()
    rest = (degrees - 90 * quarters) * (math.pi / 180)
    cosine, sine = xp.cos(rest), xp.sin(rest)
    quadrant = quarters % 4
    odd, cosine_negative, sine_negative = quadrant % 2 == 1, (quadrant == 1) | (quadrant == 2), quadrant >= 2
    turned_cosine, turned_sine = xp.where(odd, sine, cosine), xp.where(odd, cosine, sine)
    return turned_cosine * (1 - 2 * cosine_negative), turned_sine * (1 - 2 * sine_negative)


def _scaling_ndim(function: str, factors: Array, center: Array, ndim: int | None) -> int:
    shape = tuple(factors.shape)
    if factors.ndim > 2 or not 1 <= (shape[-1] if shape else 1) <= MAX_NDIM:
        raise ValueError(
            f"{function}: `factors` has shape {shape}; give a number, one an axis (d,), or a batch (N, d) or (N, 1)"
        )
    count = constant(shape[-1]) if shape else 1
    if ndim is None:
        given = np.shape(center)[-1:] if center is not None else ()
        ndim = given[0] if given else (count if count > 1 else 2)
    ndim = check_ndim(function, ndim)
    if count not in (1, ndim):
        raise ValueError(f"{function}: `factors` has shape {shape} but there are {ndim} axes; give one, or one an axis")
    return ndim
