"""The families of transforms, each with what the tests must know of it: one table, in place of a list in each file."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from pullback._plan import FRAMES, frame_of, is_reversed
from pullback.transforms import (
    Affine,
    Chain,
    Displacement,
    Euclidean,
    FreeForm,
    Projective,
    Similarity,
    ThinPlateSpline,
    Translation,
    Velocity,
)
from pullback.transforms.points import points_like

# The lattice of a field, and the output it is used on: no side is that of another axis, or of the other lattice.
LATTICE = {1: (7,), 2: (6, 9), 3: (5, 4, 6)}
OUTPUT = {1: (11,), 2: (8, 5), 3: (4, 6, 5)}


@dataclass(frozen=True)
class Family:
    """A family and its tags.

    Attributes
    ----------
    draw : callable
        Makes a random member for a number of axes, a generator, a batch shape, and whether it is to be near to the
        identity.
    matrix : bool
        Whether its maps are given by matrices. In the table, each of these is a special case of those after it.
    turns : bool
        Whether its constructors are named for what they do: rotation, translation.
    field : bool
        Whether it is vectors on a lattice.
    fewest_pairs : callable
        How many pairs of points a fit needs at least, by the number of axes.
    """

    kind: Any
    draw: Callable[..., Any]
    ndims: tuple[int, ...] = (1, 2, 3)
    matrix: bool = False
    turns: bool = False
    field: bool = False
    fewest_pairs: Callable[[int], int] | None = None


def _offset(ndim, rng, batch, near):
    return rng.uniform(-4, 4, (*batch, ndim)) if near else rng.uniform(-10, 10, (*batch, ndim))


def _turn(ndim, rng, batch, near):
    """Up to 3, below half a revolution; near the identity up to 0.3."""
    if ndim == 1:
        return None
    angle = rng.uniform(-0.3, 0.3, batch) if near else rng.uniform(-3, 3, batch)
    if ndim == 2:
        return angle
    direction = rng.normal(size=(*batch, 3))
    return direction / np.linalg.norm(direction, axis=-1, keepdims=True) * np.expand_dims(angle, -1)


def _scale(rng, batch, near):
    return rng.uniform(0.8, 1.2, batch) if near else rng.uniform(0.5, 2, batch)


def _affine(ndim, rng, batch, near):
    """Scales of up to 2, and not below 0.5."""
    if near:
        linear = np.eye(ndim) + rng.uniform(-0.2, 0.2, (*batch, ndim, ndim))
    else:
        linear = np.linalg.qr(rng.normal(size=(*batch, ndim, ndim)))[0] * rng.uniform(0.5, 2, (*batch, 1, ndim))
    return Affine(np.concatenate([linear, _offset(ndim, rng, batch, near)[..., None]], -1))


def _projective(ndim, rng, batch, near):
    """The horizon is 300 away or more."""
    matrix = _affine(ndim, rng, batch, near).homogeneous.copy()
    matrix[..., -1, :-1] = rng.uniform(-1e-3, 1e-3, (*batch, ndim)) * (1 if near else 0.5)
    return Projective(matrix)


def _field(ndim, rng, batch):
    """Vectors of about 0.3 in each component, of whatever unit."""
    return 0.3 * rng.normal(size=(*batch, *LATTICE[ndim], ndim))


def _spline(ndim, rng, batch, near):
    points = rng.uniform(-1, 1, (8, ndim)) + np.array(LATTICE[ndim]) / 2
    return ThinPlateSpline(points, points + 0.3 * rng.normal(size=(*batch, 8, ndim)), smoothing=0.1)


def _chain(ndim, rng, batch, near):
    outer = Affine(np.eye(ndim, ndim + 1) + 0.1 * rng.normal(size=(*batch, ndim, ndim + 1)))
    middle = draw(Velocity if ndim == 1 else ThinPlateSpline, ndim, rng, batch)
    return Chain(outer, draw(Displacement, ndim, rng), middle, draw(FreeForm, ndim, rng))


TABLE = (
    Family(
        Translation,
        lambda ndim, rng, batch, near: Translation(_offset(ndim, rng, batch, near)),
        matrix=True,
        fewest_pairs=lambda ndim: 1,
    ),
    Family(
        Euclidean,
        lambda ndim, rng, batch, near: Euclidean(_turn(ndim, rng, batch, near), _offset(ndim, rng, batch, near)),
        matrix=True,
        turns=True,
        fewest_pairs=lambda ndim: ndim,
    ),
    Family(
        Similarity,
        lambda ndim, rng, batch, near: Similarity(
            _scale(rng, batch, near), _turn(ndim, rng, batch, near), _offset(ndim, rng, batch, near)
        ),
        matrix=True,
        turns=True,
        fewest_pairs=lambda ndim: max(ndim, 2),
    ),
    Family(Affine, _affine, matrix=True, turns=True, fewest_pairs=lambda ndim: ndim + 1),
    Family(Projective, _projective, matrix=True, fewest_pairs=lambda ndim: ndim + 2),
    Family(Displacement, lambda ndim, rng, batch, near: Displacement(_field(ndim, rng, batch)), field=True),
    Family(FreeForm, lambda ndim, rng, batch, near: FreeForm(_field(ndim, rng, batch)), field=True),
    Family(Velocity, lambda ndim, rng, batch, near: Velocity(_field(ndim, rng, batch), steps=3), field=True),
    Family(ThinPlateSpline, _spline, ndims=(2, 3)),
    Family(Chain, _chain),
)
OF = {family.kind: family for family in TABLE}
ALL = tuple(OF)
MATRICES = tuple(family.kind for family in TABLE if family.matrix)
DEFORMATIONS = tuple(family.kind for family in TABLE if not family.matrix)
TURNING = tuple(family.kind for family in TABLE if family.turns)
# Those whose coordinates the kernels generate.
GENERATED = tuple(family.kind for family in TABLE if family.matrix or family.field)


def draw(kind: Any, ndim: int, rng: np.random.Generator, batch: tuple[int, ...] = (), *, near: bool = False) -> Any:
    """Return a random transform of a family; well-conditioned, and its offsets up to 10, or 4 near the identity."""
    return OF[kind].draw(ndim, rng, batch, near)


def each(kinds: tuple[Any, ...] = ALL) -> Any:
    """Run a test for each of some families, its `family`."""
    return pytest.mark.parametrize("family", kinds, ids=lambda kind: kind.__name__)


def each_case(kinds: tuple[Any, ...] = ALL) -> Any:
    """Run a test for each of some families, its `family`, in each number of axes that it has, its `ndim`."""
    cases = [(kind, ndim) for kind in kinds for ndim in OF[kind].ndims]
    return pytest.mark.parametrize(("family", "ndim"), cases, ids=lambda v: getattr(v, "__name__", f"{v}d"))


each_frame = pytest.mark.parametrize("frame", FRAMES)
each_batch = pytest.mark.parametrize("batch", [(), (3,)], ids=["one", "batch"])


def lattice_points(shape, frame):
    """Return the points of an output lattice as an array."""
    return points_like(np.empty(0), tuple(shape), frame)


def points_of(shape: tuple[int, ...], frame: str, rng: np.random.Generator, axes: tuple[int, ...] = (5,)) -> Any:
    """Random points inside an output of `shape`, written in `frame`."""
    reading = frame_of(frame, shape, output=True)
    index = rng.uniform(-0.4, np.array(shape) - 0.6, (*axes, len(shape)))
    points = (index - reading.offset) / reading.scale
    return points[..., ::-1].copy() if is_reversed(frame) else points


def smooth_field(shape: tuple[int, ...], amplitude: float, rng: np.random.Generator) -> Any:
    """One wave or less across the lattice, on every axis."""
    ndim = len(shape)
    phases = rng.uniform(0, 2 * math.pi, (ndim, ndim))
    places = lattice_points(shape, "normalized")[..., ::-1]
    return amplitude * np.prod(np.sin(0.5 * math.pi * places[..., None, :] + phases), -1)


def parameters_of(transform: Any) -> tuple[Any, ...]:
    """Return the arrays that the parameters of a transform are in, of a chain several."""
    return transform.parameters if isinstance(transform, Chain) else (transform.parameters,)


def with_parameters(transform: Any, parameters: tuple[Any, ...]) -> Any:
    """Return a transform with other arrays, as many as it has."""
    return transform.with_parameters(parameters if isinstance(transform, Chain) else parameters[0])


def leaves(transform: Any) -> tuple[Any, ...]:
    """Return the parameters as tensors that gradients are wanted of."""
    torch = pytest.importorskip("torch")
    return tuple(torch.tensor(parameters, requires_grad=True) for parameters in parameters_of(transform))


def one_of(transform: Any, which: int) -> Any:
    """Return one transform of a batch."""
    if isinstance(transform, Chain):
        return Chain(*(one_of(part, which) for part in transform.transforms))
    return transform.with_parameters(transform.parameters[which]) if transform.batch_shape else transform
