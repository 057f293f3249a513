"""Images through transforms: the call of a warp, and the checks that know what a transform is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pullback import _check
from pullback._cache import Hashed, cached, plain
from pullback._layout import Layout
from pullback._plan import LATTICES, Lattice, frames_of, is_reversed
from pullback.backends import backend_of
from pullback.sampling.call import Call, Reading, Recipe, recipe_of
from pullback.transforms import MatrixTransform, Transform


def call_through(function: str, image: Any, transform: Any, shape: Any, reading: Reading) -> Call:
    """Return the call that reads `image` through `transform` on an output of `shape`."""
    backend = backend_of(image)
    image = backend.as_image(function, "image", image)
    sides = tuple(image.shape)
    check_transform(function, transform, sides)
    output = None if shape is None else _check.sides(function, shape)
    place = _place_of(function, sides, transform.ndim, output, reading)
    layout = place.layout
    if layout.unlikely and backend.name == "numpy":
        _check.warn_of_layout(function, sides, layout)
    transform = backend.own_transform(transform, image)
    fits, transforms = transform.fits(place.output, place.frame), transform.batch_shape
    if transforms and place.may_be_batch and sides[0] == transforms[0] > 1:
        _check.warn_of_batch(function, sides)
    geometry = transform.geometry if fits else transform.coordinates(place.output, place.frame)
    geometry = backend.as_geometry(geometry if transforms else geometry[None])
    kind = LATTICES[transform.lattice if fits else "given"]
    recipe = _recipe_through(function, place, kind, transforms, image.dtype, reading)
    return Call(function, backend, layout.canonical(image, layout.ndim, layout.batch), geometry, recipe)


@dataclass(frozen=True, eq=False)
class _Place(Hashed):
    """Where a warp takes place: what does not depend on the transform.

    Attributes
    ----------
    output : tuple of int
        Spatial shape of the output.
    may_be_batch : bool
        Whether the image's channels might be meant as a batch.
    """

    layout: Layout
    image: tuple[int, ...]
    output: tuple[int, ...]
    frame: str
    may_be_batch: bool


@cached
def _place_of(
    function: str, shape: tuple[int, ...], ndim: int, output: tuple[int, ...] | None, reading: Reading
) -> _Place:
    layout = _check.layout(function, shape, ndim, plain(reading.channel_axis))
    image = layout.canonical_shape(shape)
    output = _check.output_shape(function, output, image[2:])
    frame = _check.frame(function, reading.frame)
    may_be_batch = reading.channel_axis is None and layout.after_channel is not None and not layout.batch
    return _Place(layout, image, output, frame, may_be_batch)


@cached
def _recipe_through(
    function: str, place: _Place, kind: int, transforms: tuple[int, ...], dtype: Any, reading: Reading
) -> Recipe:
    layout, output, frame = place.layout, place.output, place.frame
    images, channels, *spatial = place.image
    plan = reading.plan(function, layout.ndim, channels, dtype)
    _check.spatial(function, tuple(spatial), plain(reading.border))
    batch = _check.batches(function, images, transforms[0] if transforms else 1, "transform")
    lattice = Lattice(kind, output, *frames_of(frame, kind, tuple(spatial), output), is_reversed(frame), frame)
    return recipe_of(layout, plan, lattice, layout.batch or bool(transforms), batch, channels)


def check_transform(function: str, value: Any, image_shape: tuple[int, ...]) -> None:
    """Refuse what is no transform, and one of more axes than the image."""
    if not isinstance(value, Transform):
        raise TypeError(
            f"{function}: `transform` must be a pullback transform, got {type(value).__name__}; "
            "wrap a matrix as pullback.Affine(matrix)"
        )
    if value.ndim > len(image_shape):
        raise ValueError(f"{function}: `transform` is {value.ndim}-D but `image` has shape {image_shape}")


def check_matrix(function: str, transform: Any) -> None:
    """Refuse a transform that has no matrix."""
    if not isinstance(transform, MatrixTransform):
        raise TypeError(
            f"{function}: `transform` is a {type(transform).__name__}; give one with a matrix, such as Affine"
        )


def cotangent_lattice(
    function: str,
    shape: tuple[int, ...],
    image_ndim: int,
    transform: Any,
    channel_axis: int | None,
    argument: str = "grad",
) -> tuple[int, ...]:
    """Return the spatial shape of a cotangent of a warp; its other axes are checked by :func:`cotangent`."""
    ndim: int = transform.ndim
    after = 0 if channel_axis is None else image_ndim - 1 - channel_axis % image_ndim
    lattice = list(shape)
    if channel_axis is not None and after < ndim:
        if len(shape) <= ndim:
            raise ValueError(
                f"{function}: `{argument}` has shape {shape}; it must have that of the output, with a channel axis"
            )
        del lattice[len(shape) - 1 - after]
    if len(lattice) < ndim:
        raise ValueError(f"{function}: `{argument}` has shape {shape}; the output has {ndim} spatial axes")
    return tuple(lattice[len(lattice) - ndim :])
