"""The families that a network can predict: from plain numbers, zero for the identity, to transforms.

A network is free to predict any numbers; where that is too free, limits bend them smoothly into a range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pullback._cache import is_in_dynamo
from pullback._plan import constant
from pullback.transforms import (
    Affine,
    Euclidean,
    FreeForm,
    Projective,
    Similarity,
    ThinPlateSpline,
    Transform,
    Translation,
    Velocity,
)

Limit = Mapping[str, float | tuple[float, float]]
Shape = tuple[int, ...]

# What every family is limited in, in words for errors and docs.
QUANTITIES = {
    "scale": "a pair, such as (0.5, 2), with 1 between",
    "rotation": "degrees",
    "shear": "how far a point goes along one axis for one unit along another",
    "translation": "half sides of the shortest side",
    "perspective": "how much the denominator changes over half of the shortest side",
    "displacement": "half sides of the shortest side",
}


@dataclass(frozen=True)
class Family:
    """How a network predicts a transform of one family.

    Attributes
    ----------
    name : str
        What it is called in representations and errors.
    count : callable
        From the number of spatial axes to k, how many numbers are predicted.
    build : callable
        From the numbers, ``(N, k)``, the spatial shape of the output, and limits, to a batch of N transforms in the
        frame "centered". Zeros give the identity.
    limits : tuple of str
        The quantities that can be limited.
    ndims : tuple of int
        The numbers of spatial axes that the family has.
    maker : tuple, optional
        A function and its arguments that give this family, by which it is pickled.

    See Also
    --------
    thin_plate_spline, free_form, diffeomorphic : Families of a chosen fineness.

    Examples
    --------
    A shift along the last axis alone:

    >>> import torch
    >>> import pullback as pb
    >>> def slide(numbers, shape, limits):
    ...     return pb.Translation(torch.cat([numbers.new_zeros(len(numbers), len(shape) - 1), numbers], 1))
    >>> family = pb.nn.Family("slide", lambda d: 1, slide, limits=())
    >>> transformer = pb.nn.SpatialTransformer(pb.nn.ConvLocalization(1), family)
    >>> transformer.predict(torch.rand(4, 1, 28, 28))
    Translation(batch of 4, 2-D, torch.float32, cpu)
    """

    name: str
    count: Callable[[int], int]
    build: Callable[[Tensor, Shape, Limit], Transform]
    limits: tuple[str, ...]
    ndims: tuple[int, ...] = (1, 2, 3)
    maker: tuple[Callable[..., Family], tuple[int, ...]] | None = field(default=None, repr=False, compare=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the families of this module by what made them, and others by their functions."""
        if FAMILIES.get(self.name) is self:
            return _known, (self.name,)
        if self.maker is not None:
            return self.maker
        return Family, (self.name, self.count, self.build, self.limits, self.ndims)


def _known(name: str) -> Family:
    return FAMILIES[name]


def thin_plate_spline(control: int = 4) -> Family:
    """Return the family of thin-plate splines on a regular grid of control points.

    Parameters
    ----------
    control : int, optional
        Control points along each axis, at least 2; the outermost lie on the edges of the output.

    Returns
    -------
    Family
        Of ``control**d`` vectors: where each control point is read from, less the point. In 2-D and 3-D.

    Raises
    ------
    ValueError
        If `control` is less than 2.

    See Also
    --------
    pullback.ThinPlateSpline : The transform.

    Examples
    --------
    >>> import pullback as pb
    >>> pb.nn.thin_plate_spline(5).count(2)
    50
    """
    _check_length("thin_plate_spline", "control", control, 2)

    # The equations of a spline are solved once for a shape of the output; in a graph, each time that it runs.
    splines: dict[Shape, ThinPlateSpline] = {}

    def build(raw: Tensor, shape: Shape, limit: Limit) -> Transform:
        shape = tuple(constant(side) for side in shape)
        points = torch.as_tensor(_control_points(control, shape), dtype=raw.dtype, device=raw.device)
        displaced = _displaced(raw, limit).reshape(-1, control ** len(shape), len(shape))
        if shape not in splines:
            if is_in_dynamo():
                return ThinPlateSpline(points, points + displaced)
            splines[shape] = ThinPlateSpline.identity(_control_points(control, shape))
        return splines[shape].with_parameters(points + displaced)

    return Family(
        "tps" if control == 4 else f"tps of {control}",
        _vectors(control),
        build,
        ("displacement",),
        (2, 3),
        maker=(thin_plate_spline, (control,)),
    )


def free_form(control: int = 7) -> Family:
    """Return the family of free-form deformations, cubic B-splines on a control lattice.

    Parameters
    ----------
    control : int, optional
        Vectors along each axis, at least 4. The output spans ``control - 3`` cells between them.

    Returns
    -------
    Family
        Of ``control**d`` vectors.

    Raises
    ------
    ValueError
        If `control` is less than 4.

    See Also
    --------
    pullback.FreeForm : The transform.

    Examples
    --------
    >>> import pullback as pb
    >>> pb.nn.free_form().count(2)
    98
    """
    _check_length("free_form", "control", control, 4)

    def build(raw: Tensor, shape: Shape, limit: Limit) -> Transform:
        return FreeForm.from_parameters(_on_lattice(_displaced(raw, limit), control, len(shape)))

    return Family(
        "free-form" if control == 7 else f"free-form of {control}",
        _vectors(control),
        build,
        ("displacement",),
        maker=(free_form, (control,)),
    )


def diffeomorphic(lattice: int = 8, steps: int = 7) -> Family:
    """Return the family of diffeomorphisms: flows along a stationary velocity on a lattice.

    Parameters
    ----------
    lattice : int, optional
        Velocities along each axis, at least 2, over the extent of the output, linear between them.
    steps : int, optional
        Number of squarings by which the flow is computed.

    Returns
    -------
    Family
        Of ``lattice**d`` vectors: for one unit of time, in half sides of the output along each axis.

    Raises
    ------
    ValueError
        If `lattice` is less than 2. What is wrong with `steps` shows in the first transform that is made.

    See Also
    --------
    pullback.Velocity : The transform.
    fold_penalty : For velocities that change by much from one point of the lattice to the next, whose flow may fold.

    Examples
    --------
    >>> import pullback as pb
    >>> pb.nn.diffeomorphic(4).count(2)
    32
    """
    _check_length("diffeomorphic", "lattice", lattice, 2)

    def build(raw: Tensor, shape: Shape, limit: Limit) -> Transform:
        velocity = _on_lattice(_displaced(raw, limit), lattice, len(shape)) * (lattice / 2)
        return Velocity(velocity, steps)

    name = "diffeomorphic" if (lattice, steps) == (8, 7) else f"diffeomorphic of {lattice}"
    return Family(name, _vectors(lattice), build, ("displacement",), maker=(diffeomorphic, (lattice, steps)))


def _translation(raw: Tensor, shape: Shape, limit: Limit) -> Transform:
    return Translation(_within(raw, limit.get("translation")))


def _attention(raw: Tensor, shape: Shape, limit: Limit) -> Transform:
    scale = _scale(raw[:, :1], limit)[:, 0] if limit else 1 + raw[:, 0]
    return Similarity(scale, None, _within(raw[:, 1:], limit.get("translation")))


def _similarity(raw: Tensor, shape: Shape, limit: Limit) -> Transform:
    scale = _scale(raw[:, :1], limit) if limit else 1 + raw[:, :1]
    turn, offset = raw[:, 1 : -len(shape)], raw[:, -len(shape) :]
    parts = (scale, _within(turn, _radians(limit)), _within(offset, limit.get("translation")))
    return Similarity.from_parameters(torch.cat(parts, 1))


def _affine(raw: Tensor, shape: Shape, limit: Limit) -> Transform:
    return Affine(_affine_matrix(raw, len(shape), limit))


def _projective(raw: Tensor, shape: Shape, limit: Limit) -> Transform:
    d = len(shape)
    above = _affine_matrix(raw[:, : d * (d + 1)], d, limit)
    below = _within(raw[:, d * (d + 1) :], limit.get("perspective"))
    last = torch.cat([below, torch.ones_like(raw[:, :1])], 1)
    return Projective.from_parameters(torch.cat([above, last[:, None]], 1), one_sided=True)


def _affine_matrix(raw: Tensor, d: int, limit: Limit) -> Tensor:
    """Return ``identity + raw``, or where there are limits the product of a rotation, scales and shears, (N, d, d + 1).

    With limits, the numbers are the rotation, the logarithms of the scales, the shears, and the translation; a rotation
    times scales times a unit triangular matrix is every matrix of positive determinant.
    """
    if not limit:
        return torch.eye(d, d + 1, dtype=raw.dtype, device=raw.device) + raw.reshape(-1, d, d + 1)
    turns = d * (d - 1) // 2
    turn, scale, shear, offset = torch.split(raw, [turns, d, turns, d], 1)
    turn = _within(turn, _radians(limit))
    scale = _scale(scale, limit)
    shear = _within(shear, limit.get("shear"))
    turned = Euclidean.from_parameters(torch.cat([turn, torch.zeros_like(offset)], 1)).matrix[..., :-1]
    linear = turned * scale[:, None, :]
    linear = linear + linear @ _upper(shear, d)
    return torch.cat([linear, _within(offset, limit.get("translation"))[..., None]], -1)


def _upper(values: Tensor, d: int) -> Tensor:
    """Return matrices, (N, d, d), with `values`, (N, d (d - 1) / 2), above the diagonal and zeros elsewhere."""
    nothing = torch.zeros_like(values[:, :1]) if values.shape[1] else values.new_zeros(values.shape[0], 1)
    entries, taken = [], 0
    for row in range(d):
        for column in range(d):
            above = column > row
            entries.append(values[:, taken : taken + 1] if above else nothing)
            taken += above
    return torch.cat(entries, 1).reshape(-1, d, d)


def family_of(transform: str | Family, ndim: int, limit: Limit) -> Family:
    """Return the family that `transform` names, or is, if it has `ndim` spatial axes and such limits.

    Raises
    ------
    ValueError
        If it has not.
    """
    if not isinstance(transform, Family):
        if transform not in FAMILIES:
            raise ValueError(
                f"TransformHead: `transform` is {transform!r}; give one of {', '.join(FAMILIES)}, or a Family"
            )
        transform = FAMILIES[transform]
    if ndim not in transform.ndims:
        raise ValueError(
            f"TransformHead: {transform.name} is not there in {ndim}-D; give one of "
            f"{', '.join(name for name, family in FAMILIES.items() if ndim in family.ndims)}"
        )
    for quantity, bound in limit.items():
        if quantity not in transform.limits:
            raise ValueError(
                f"TransformHead: `limit` has {quantity!r}, which {transform.name} has not; it can be limited in "
                f"{', '.join(transform.limits)}"
            )
        _check_bound(quantity, bound)
    return transform


def _check_bound(quantity: str, bound: float | tuple[float, float]) -> None:
    pair = isinstance(bound, Sequence)
    if quantity == "scale":
        right = pair and len(bound) == 2 and 0 < bound[0] < 1 < bound[1] < math.inf  # type: ignore[arg-type, index]
    else:
        right = not pair and 0 < bound < math.inf  # type: ignore[operator]
    if not right:
        wanted = QUANTITIES[quantity] if quantity == "scale" else f"a positive number, {QUANTITIES[quantity]}"
        raise ValueError(f"TransformHead: `limit` has {quantity!r} of {bound!r}; give {wanted}")


def _within(raw: Tensor, bound: float | tuple[float, float] | None) -> Tensor:
    """Bend numbers smoothly into (-bound, bound), with a slope of one at zero."""
    if bound is None:
        return raw
    assert not isinstance(bound, tuple)
    return bound * torch.tanh(raw / bound)


def _scale(raw: Tensor, limit: Limit) -> Tensor:
    """Return positive scales from their logarithms, bent smoothly into the range of the limit."""
    bounds = limit.get("scale")
    if bounds is None:
        return raw.exp()
    low, high = (math.log(bound) for bound in bounds)  # type: ignore[union-attr]
    return torch.where(raw > 0, high * torch.tanh(raw / high), low * torch.tanh(raw / low)).exp()


def _radians(limit: Limit) -> float | None:
    degrees = limit.get("rotation")
    return None if degrees is None else math.radians(degrees)  # type: ignore[arg-type]


def _displaced(raw: Tensor, limit: Limit) -> Tensor:
    return _within(raw, limit.get("displacement"))


def _vectors(length: int) -> Callable[[int], int]:
    return lambda d: d * length**d


def _on_lattice(raw: Tensor, length: int, d: int) -> Tensor:
    return raw.reshape(-1, *(length,) * d, d)


def _control_points(control: int, shape: Shape) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return a regular grid of points from edge to edge of an output, in the frame "centered", (K, d)."""
    sides = [np.linspace(-1, 1, control) * (side / min(shape)) for side in shape]
    return np.stack(np.meshgrid(*sides, indexing="ij"), -1).reshape(-1, len(shape))


def _check_length(function: str, name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{function}: `{name}` is {value!r}; give a whole number of at least {least}")


#: The families that a network can predict, by name.
FAMILIES: dict[str, Family] = {
    "translation": Family("translation", lambda d: d, _translation, ("translation",)),
    "attention": Family("attention", lambda d: 1 + d, _attention, ("scale", "translation")),
    "similarity": Family(
        "similarity", lambda d: 1 + d * (d - 1) // 2 + d, _similarity, ("scale", "rotation", "translation")
    ),
    "affine": Family("affine", lambda d: d * (d + 1), _affine, ("scale", "rotation", "shear", "translation")),
    "projective": Family(
        "projective",
        lambda d: d * (d + 2),
        _projective,
        ("scale", "rotation", "shear", "translation", "perspective"),
    ),
    "tps": thin_plate_spline(),
    "free-form": free_form(),
    "diffeomorphic": diffeomorphic(),
}
