"""Turns: an angle in 2-D, a rotation vector in 3-D, nothing in 1-D; as matrices, under differentiation, and multiplied.

A turn is ``(..., k)`` with k = 0, 1 or 3 in 1, 2 or 3 dimensions: nothing, the angle in radians, or the axis times the
angle in the order of the array axes. In 3-D the matrix follows Rodrigues' formula, ``R = I + a K + b K²`` with
``a = sin(angle) / angle`` and ``b = (1 - cos(angle)) / angle²``, both of which are smooth functions of the squared
angle; written so, R and its derivatives are finite at the identity. Products go through unit quaternions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pullback._arrays import Array, apply_linear, as_arrays, eye_like, matrix_of, multiply, namespace
from pullback._plan import constant
from pullback.transforms.linear import rotation_about

# Number of components of a turn in d dimensions.
TURN_SIZES = {1: 0, 2: 1, 3: 3}

# Taylor coefficients of a, b and atan(x) / x in angle², angle² and x². Below the limits beside them, the first term
# left out is smaller than a rounding error of float64.
_SINE_SERIES = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(8))
_COSINE_SERIES = tuple((-1) ** k / math.factorial(2 * k + 2) for k in range(8))
_SERIES_LIMIT = 0.25
_ARCTANGENT_SERIES = tuple((-1) ** k / (2 * k + 1) for k in range(9))
_ARCTANGENT_LIMIT = 0.01


def rotation_matrix(turn: Array) -> Array:
    """Return the rotation matrix, ``(..., d, d)``, of a turn, ``(..., k)``."""
    xp = namespace(turn)
    if turn.shape[-1] == 0:
        return xp.ones_like(turn.sum(-1))[..., None, None]
    if turn.shape[-1] == 1:
        cosine, sine = xp.cos(turn[..., 0]), xp.sin(turn[..., 0])
        return matrix_of([[cosine, sine], [-sine, cosine]])
    sine, cosine = _angle_ratios((turn * turn).sum(-1))
    k = _generator(turn)
    return eye_like(turn) + sine[..., None, None] * k + cosine[..., None, None] * multiply(k, k)


def rotation_vjp(turn: Array, grad: Array) -> Array:
    """Pull a gradient in the rotation matrix, ``(..., d, d)``, back to the turn, ``(..., k)``."""
    xp = namespace(turn)
    if turn.shape[-1] == 0:
        return turn
    if turn.shape[-1] == 1:
        cosine, sine = xp.cos(turn[..., 0]), xp.sin(turn[..., 0])
        return (grad * matrix_of([[-sine, cosine], [-cosine, -sine]])).sum((-2, -1))[..., None]
    square = (turn * turn).sum(-1)
    sine, cosine = _angle_ratios(square)
    sine_slope, cosine_slope = _angle_ratio_slopes(square)
    k = _generator(turn)
    grad_square = sine_slope * (grad * k).sum((-2, -1)) + cosine_slope * (grad * multiply(k, k)).sum((-2, -1))
    k_transposed = xp.swapaxes(k, -1, -2)
    grad_k = sine[..., None, None] * grad
    grad_k = grad_k + cosine[..., None, None] * (multiply(grad, k_transposed) + multiply(k_transposed, grad))
    turned = grad_k - xp.swapaxes(grad_k, -1, -2)
    return xp.stack([turned[..., 1, 2], turned[..., 2, 0], turned[..., 0, 1]], -1) + 2 * grad_square[..., None] * turn


def composed_turn(first: Array, second: Array) -> Array:
    """Return the turn of ``R(first) @ R(second)``; in 3-D the one of at most half a revolution."""
    if first.shape[-1] < 3:
        return first + second
    cosine_a, a = _quaternion(first)
    cosine_b, b = _quaternion(second)
    cosine = cosine_a * cosine_b - (a * b).sum(-1)
    vector = cosine_a[..., None] * b + cosine_b[..., None] * a + apply_linear(_generator(a), b)
    return _rotation_vector(cosine, vector)


def _quaternion(turn: Array) -> tuple[Array, Array]:
    """Return the cosine of half the angle, and the axis times its sine."""
    square = (turn * turn).sum(-1) / 4
    sine, cosine = _angle_ratios(square)
    return 1 - square * cosine, turn * (sine / 2)[..., None]


def _rotation_vector(cosine: Array, vector: Array) -> Array:
    """Return the rotation vector of a unit quaternion."""
    xp = namespace(vector)
    sign = xp.where(cosine < 0, -1.0, xp.ones_like(cosine))
    cosine, vector = cosine * sign, vector * sign[..., None]
    square = (vector * vector).sum(-1)
    near, safe = _away_from_zero(square, _ARCTANGENT_LIMIT)
    sine = xp.sqrt(safe)
    safe_cosine = xp.where(near, cosine, xp.ones_like(cosine))
    half = _polynomial(_ARCTANGENT_SERIES, square / safe_cosine**2) / safe_cosine
    ratio = xp.where(near, half, xp.arctan2(sine, cosine) / sine)
    return 2 * ratio[..., None] * vector


def _generator(vector: Array) -> Array:
    """Return K with ``K p = -(vector x p)``, ``(..., 3, 3)``.

    The sign is that of the cross product in (z, y, x), whose axes are left-handed when (x, y, z) is right-handed.
    """
    z, y, x = vector[..., 0], vector[..., 1], vector[..., 2]
    zero = x * 0
    return matrix_of([[zero, x, -y], [-x, zero, z], [y, -z, zero]])


def _angle_ratios(square: Array) -> tuple[Array, Array]:
    """Return ``a = sin(angle) / angle`` and ``b = (1 - cos(angle)) / angle²`` from the squared angle."""
    xp = namespace(square)
    near, safe = _away_from_zero(square, _SERIES_LIMIT)
    angle = xp.sqrt(safe)
    sine = xp.where(near, _polynomial(_SINE_SERIES, square), xp.sin(angle) / angle)
    cosine = xp.where(near, _polynomial(_COSINE_SERIES, square), (1 - xp.cos(angle)) / safe)
    return sine, cosine


def _angle_ratio_slopes(square: Array) -> tuple[Array, Array]:
    """Return the derivatives of a and b of :func:`_angle_ratios` in the squared angle."""
    xp = namespace(square)
    near, safe = _away_from_zero(square, _SERIES_LIMIT)
    sine, cosine = _angle_ratios(safe)
    sine_slope = (xp.cos(xp.sqrt(safe)) - sine) / (2 * safe)
    cosine_slope = (sine / 2 - cosine) / safe
    return (
        xp.where(near, _polynomial(_slope(_SINE_SERIES), square), sine_slope),
        xp.where(near, _polynomial(_slope(_COSINE_SERIES), square), cosine_slope),
    )


def _away_from_zero(square: Array, limit: float) -> tuple[Array, Array]:
    """Return where `square` is small, and `square` with 1 in those places.

    Both branches of a ``where`` are differentiated, so the one that is not taken must be finite as well.
    """
    near = square < limit
    return near, namespace(square).where(near, 1.0, square)


def _polynomial(coefficients: Sequence[float], variable: Array) -> Array:
    total = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        total = total * variable + coefficient
    return total


def _slope(coefficients: Sequence[float]) -> list[float]:
    return [power * coefficient for power, coefficient in enumerate(coefficients)][1:]


def turn_about(function: str, degrees: Array, center: Array, axis: int | None) -> tuple[Array, Array]:
    """Return the turn in radians, ``(...)`` or ``(..., 3)``, and the offset of a rotation about a centre."""
    _, offset = rotation_about(function, degrees, center, axis)
    (degrees,) = as_arrays(function, degrees=degrees)
    angle = degrees * (math.pi / 180)
    if axis is not None:
        angle = namespace(angle).stack(
            [angle if k == axis else namespace(angle).zeros_like(angle) for k in range(3)], -1
        )
    return angle, offset


def turn_of(function: str, rotation: Array, offset: Array) -> Array:
    """Return `rotation` as ``(..., 0)``, ``(..., 1)`` or ``(..., 3)``, whichever the dimension of `offset` asks for."""
    ndim = constant(offset.shape[-1])
    if rotation is None:
        return no_turn(offset)
    if ndim == 1:
        raise ValueError(f"{function}: `rotation` is given but `translation` is 1-D; pass rotation=None")
    rotation = rotation[..., None] if ndim == 2 else rotation
    if rotation.ndim not in (1, 2) or rotation.shape[-1] != TURN_SIZES[ndim]:
        shape = tuple(rotation.shape[:-1] if ndim == 2 else rotation.shape)
        wanted = "an angle, () or (N,)" if ndim == 2 else "a rotation vector, (3,) or (N, 3)"
        raise ValueError(f"{function}: `rotation` has shape {shape} but `translation` is {ndim}-D; give {wanted}")
    return rotation


def no_turn(offset: Array) -> Array:
    """Return the turn that turns nothing, for an offset, ``(..., d)``."""
    return namespace(offset).zeros_like(offset[..., : TURN_SIZES[constant(offset.shape[-1])]])
