"""Random calls in canonical form, for tests that hold a backend against the reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pullback import _reference
from pullback._plan import BORDERS, INTERPOLATIONS, LATTICES, Lattice, frame_of, make_plan

MODES = [
    (interpolation, border, extent)
    for interpolation in INTERPOLATIONS
    if interpolation != "label"  # of integers alone: tests/test_labels.py
    for border in BORDERS
    for extent in ("blend", "crop")
]
# One kernel of each number of taps: for tests of what does not depend on the weights themselves.
KINDS_OF_KERNEL = ("nearest", "linear", "cubic", "lanczos3", "bspline4")
FEW_MODES = [mode for mode in MODES if mode[0] in KINDS_OF_KERNEL]
NDIMS = (1, 2, 3)
KINDS = tuple(LATTICES)
NEAR = 2e-5  # positions in single precision are off by less, on images of this size
SHAPES = {1: (13,), 2: (7, 9), 3: (4, 5, 6)}


@dataclass(frozen=True)
class Case:
    """A call: an image, a geometry, and how they are read."""

    image: np.ndarray
    geometry: np.ndarray
    lattice: Lattice
    plan: object

    def reference(self):
        return _reference.pull(self.image, self.geometry, self.lattice, self.plan)


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
        if kind == "projective":
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
        if np.nanmin(np.abs(x - np.rint(x)), initial=1) >= near and np.nanmax(np.abs(x), initial=0) < 10 * max(
            *size, *lattice.shape
        ):
            return geometry


def make(
    ndim,
    mode=("linear", "constant", "blend"),
    *,
    kind="given",
    frame="index",
    batch=(2, 2),
    channels=2,
    shape=None,
    points=None,
    dtype=np.float32,
    coordinate_dtype=np.float64,
    fill=0.5,
    reach=1.6,
    seed=0,
) -> Case:
    """Return a case with random numbers; about a third of its points lie outside the image, and none at a knot."""
    random = np.random.default_rng(seed)
    shape = SHAPES[ndim] if shape is None else shape
    interpolation, border, extent = mode
    spread = lambda value: (value,) * ndim if isinstance(value, str) else tuple(value)  # noqa: E731
    plan = make_plan(spread(interpolation), spread(border), extent, (float(fill),))
    images, geometries = batch
    image = random.uniform(0, 255, (images, channels, *shape))
    image = np.rint(image).astype(np.uint8) if dtype == np.uint8 else (image / 255).astype(dtype)
    size = np.array(shape)
    if kind == "given":
        points = (6, 11) if points is None else points
        x = off_knots((random.uniform(-0.5, 0.5, (geometries, *points, ndim)) * reach + 0.5) * (size - 1))
        frame_in = frame_of(frame, shape)
        geometry = (x - np.array(frame_in.offset)) / np.array(frame_in.scale)
        lattice = Lattice(LATTICES["given"], tuple(points), frame_in, frame_in)
    else:
        points = tuple(n + 3 for n in shape) if points is None else points
        lattice = Lattice(LATTICES[kind], tuple(points), frame_of(frame, shape), frame_of(frame, tuple(points)))
        geometry = generating(kind, random, lattice, shape, geometries, coordinate_dtype)
    return Case(image, geometry.astype(coordinate_dtype), lattice, plan)
