"""Random calls in canonical form, for tests that hold a backend against the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pullback import _plan, _reference
from pullback._plan import LATTICES, Lattice, Plan, frame_of, is_reversed, make_plan, per_axis

BORDERS = list(_plan.BORDERS)
SUMS = [name for name in _plan.INTERPOLATIONS if name != "label"]  # labels choose: conformance/test_choices.py
EXTENTS = ["blend", "crop"]
NDIMS = [1, 2, 3]
KINDS = list(LATTICES)
FRAMES = ["index", "centered", "normalized", "normalized-corners"]
# Batch entries of image and geometry.
BATCHES = {"own": (2, 2), "shared-image": (1, 3), "shared-geometry": (3, 1), "one": (1, 1)}
NEAR = 2e-5  # positions in single precision are off by less, on images of this size
MOST_SIDES = {1: 40, 2: 13, 3: 7}


@dataclass(frozen=True)
class Case:
    """A call: an image, a geometry, and how they are read."""

    image: np.ndarray
    geometry: np.ndarray
    lattice: Lattice
    plan: Plan

    @property
    def values_shape(self) -> tuple[int, ...]:
        """Shape of the values, (B, C, *lattice)."""
        return (max(len(self.image), len(self.geometry)), self.image.shape[1], *self.lattice.shape)


def off_knots(x: np.ndarray) -> np.ndarray:
    """Move coordinates away from the half-integers and integers, where values jump or slopes do."""
    return np.floor(2 * x) / 2 + 0.05 + 0.4 * (2 * x - np.floor(2 * x))


def generating(kind, random, lattice, in_shape, count, dtype=np.float64):
    """Return a geometry of a kind that coordinates are generated from, with no point at the horizon.

    Nor at a knot, where there are not too many for that.
    """
    near = NEAR if count * np.prod(lattice.shape) < 20_000 else 0
    d, size = len(in_shape), np.array(in_shape)
    scale = np.array(lattice.frame_in.scale)
    # the sides of the image, and of the output, in the unit of the frame
    extent, out_extent = size / np.where(scale > 0, scale, 1), np.array(lattice.shape) / lattice.frame_out.scale
    while True:
        linear = np.eye(d) + random.uniform(-0.4, 0.4, (count, d, d))
        geometry = np.concatenate([linear, random.uniform(-0.3, 0.3, (count, d, 1)) * extent[:, None]], axis=2)
        if kind in ("projective", "one-sided"):
            tilt = random.uniform(-0.8, 0.8, (count, 1, d)) / (d * out_extent)
            last = np.concatenate([tilt, random.uniform(0.7, 1.3, (count, 1, 1))], axis=2)
            geometry = np.concatenate([geometry, last], axis=1)
        elif kind == "displacement":
            geometry = random.uniform(-0.3, 0.3, (count, *lattice.shape, d)) * extent
        elif kind == "free-form":
            controls = tuple(min(4 + axis, n + 3) for axis, n in enumerate(lattice.shape))
            geometry = random.uniform(-0.5, 0.5, (count, *controls, d)) * extent
        geometry = geometry.astype(dtype)
        x = 2 * _reference.coordinates(geometry, lattice)
        off = np.abs(x - np.rint(x))[..., scale > 0]  # all points lie on the sample of an axis without extent
        if np.nanmin(off, initial=1) >= near and np.nanmax(np.abs(x), initial=0) < 10 * max(*size, *lattice.shape):
            return geometry


def samples(random, shape, dtype) -> np.ndarray:
    """Return numbers of a dtype: in [0, 1), or integers of all that it has, but for the last digits of double ones."""
    dtype = np.dtype(dtype)
    if dtype.kind == "c":
        return (random.uniform(0, 1, shape) + 1j * random.uniform(0, 1, shape)).astype(dtype)
    if dtype.kind == "b":
        return random.random(shape) < 0.5
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return random.integers(max(info.min, -(2**40)), min(info.max, 2**40), shape, dtype, endpoint=True)
    return random.uniform(0, 1, shape).astype(dtype)


def sides(random, ndim) -> tuple[int, ...]:
    """Return the sides of an image: short ones more often than by chance."""
    return tuple(int(n) for n in random.choice([1, 2, *range(3, MOST_SIDES[ndim])], ndim))


def lattice_sides(random, axes, count) -> tuple[int, ...]:
    """Return sides of about `count` points in all."""
    return tuple(max(1, int(n)) for n in random.uniform(0.7, 1.5, axes) * count ** (1 / axes))


def make(
    ndim,
    mode=("linear", "constant", "blend"),
    *,
    kind="given",
    frame="index",
    batch=(2, 2),
    channels=2,
    shape=None,
    points: Any = 40,
    dtype=np.float32,
    coordinate_dtype=np.float64,
    fill: Any = 0.5,
    reach=1.6,
    seed=0,
) -> Case:
    """Return a case with random numbers; about a third of its points lie outside the image, and none at a knot.

    Sides are random where `shape` is None, and where `points` is no tuple, but a number of points.
    """
    random = np.random.default_rng(seed)
    shape = sides(random, ndim) if shape is None else tuple(shape)
    interpolation, border, extent = mode
    fills = tuple(fill) if isinstance(fill, tuple | list) else (fill,)
    plan = make_plan(per_axis(interpolation, ndim), per_axis(border, ndim), extent, fills)
    if not isinstance(points, tuple):
        axes = int(random.integers(1, 4)) if kind == "given" else ndim
        points = lattice_sides(random, axes, points)
    images, geometries = batch
    image = samples(random, (images, channels, *shape), dtype)
    frame_in = frame_of(frame, shape)
    frame_out = frame_in if kind == "given" else frame_of(frame, points, output=True)
    lattice = Lattice(LATTICES[kind], points, frame_in, frame_out, is_reversed(frame))
    if kind != "given":
        return Case(image, generating(kind, random, lattice, shape, geometries, coordinate_dtype), lattice, plan)
    x = off_knots(
        (random.uniform(-0.5, 0.5, (geometries, *points, ndim)) * reach + 0.5) * np.maximum(np.array(shape) - 1, 1)
    )
    scale, offset = np.array(frame_in.scale), np.array(frame_in.offset)
    geometry = (x - offset) / np.where(scale > 0, scale, 1)
    geometry = geometry[..., ::-1] if lattice.reversed else geometry
    return Case(image, geometry.astype(coordinate_dtype), lattice, plan)
