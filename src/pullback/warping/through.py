"""Images through transforms: the call of a warp, and the checks that know what a transform is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pullback import _check
from pullback._arrays import namespace
from pullback._cache import Hashed, cached, is_tracing, plain
from pullback._layout import Layout
from pullback._plan import LATTICES, lattice_of
from pullback.backends import Backend, backend_of
from pullback.sampling.call import Call, Reading, Recipe, recipe_of
from pullback.transforms import MatrixTransform, Transform

# A coordinate beyond any image, in any frame and precision.
_FAR = 1e30
# Lattices of transforms that fit every output.
_MATRICES = ("affine", "projective", "one-sided")


def call_through(function: str, image: Any, transform: Any, shape: Any, reading: Reading) -> Call:
    """Return the call that reads `image` through `transform` on an output of `shape`."""
    backend = backend_of(image)
    image = backend.as_image(function, "image", image)
    sides = tuple(image.shape)
    output = None if shape is None else _check.sides(function, shape)
    check_transform(function, transform)
    transform = backend.own_transform(transform, image)
    ndim, name, transforms = transform.ndim, transform.lattice, transform.batch_shape
    if name not in _MATRICES:
        place = _place_of(function, sides, ndim, output, reading)
        name = name if transform.fits(place.output, place.frame) else "given"
    recipe, is_likely = _recipe_through(function, sides, ndim, output, name, transforms, image.dtype, reading)
    layout = recipe.layout
    if layout.unlikely and backend.name == "numpy":
        _check.warn_of_layout(function, sides, layout)
    if not is_likely:
        _check.warn_of_batch(function, sides)
    if name == "given":
        geometry = coordinates_through(backend, transform, recipe.lattice.shape, reading.frame)
    else:
        geometry = backend.as_geometry(transform.geometry if transforms else transform.geometry[None])
    return Call(function, backend, layout.canonical(image, layout.ndim, layout.batch), geometry, recipe)


def coordinates_through(backend: Backend, transform: Any, shape: tuple[int, ...], frame: str) -> Any:
    """Return where a transform says that points are read from, as a geometry; far away for those from nowhere.

    That tells them from points of which it does not know, which are NaN.
    """
    mapped, nowhere = transform._located(shape, frame)
    geometry = backend.as_geometry(mapped if transform.batch_shape else mapped[None])
    return geometry if nowhere is None else namespace(geometry).where(nowhere[..., None], _FAR, geometry)


@dataclass(frozen=True, eq=False)
class _Place(Hashed):
    """Where a warp takes place: what does not depend on the transform.

    Attributes
    ----------
    output : tuple of int
        Spatial shape of the output.
    """

    layout: Layout
    image: tuple[int, ...]
    output: tuple[int, ...]
    frame: str


@cached
def _place_of(
    function: str, shape: tuple[int, ...], ndim: int, output: tuple[int, ...] | None, reading: Reading
) -> _Place:
    check_axes(function, ndim, shape)
    layout = _check.layout(function, shape, ndim, plain(reading.channel_axis))
    image = layout.canonical_shape(shape)
    output = _check.output_shape(function, output, image[2:])
    frame = _check.frame(function, reading.frame)
    return _Place(layout, image, output, frame)


@cached
def _recipe_through(
    function: str,
    shape: tuple[int, ...],
    ndim: int,
    output: tuple[int, ...] | None,
    name: str,
    transforms: tuple[int, ...],
    dtype: Any,
    reading: Reading,
) -> tuple[Recipe, bool]:
    """Return the recipe of a warp, and whether nothing speaks for it that the channels are meant as a batch."""
    place = _place_of(function, shape, ndim, output, reading)
    layout, frame, kind = place.layout, place.frame, LATTICES[name]
    images, channels, *spatial = place.image
    plan = reading.plan(function, ndim, channels, dtype)
    _check.spatial(function, tuple(spatial), plain(reading.border))
    batch = _check.batches(function, images, transforms[0] if transforms else 1, "transform")
    lattice = lattice_of(kind, place.output, frame, tuple(spatial), is_computed=True, is_exact=reading.is_exact)
    unsaid = reading.channel_axis is None and layout.after_channel is not None and not layout.batch
    is_likely = is_tracing() or not (unsaid and transforms and channels == transforms[0] > 1)
    return recipe_of(layout, plan, lattice, layout.batch or bool(transforms), batch, channels), is_likely


def check_transform(function: str, value: Any) -> None:
    """Refuse what is no transform."""
    if not isinstance(value, Transform):
        raise TypeError(
            f"{function}: `transform` must be a pullback transform, got {type(value).__name__}; "
            "wrap a matrix as pullback.Affine(matrix)"
        )


def check_axes(function: str, ndim: int, image_shape: tuple[int, ...]) -> None:
    """Refuse a transform of more axes than the image."""
    if ndim > len(image_shape):
        raise ValueError(f"{function}: `transform` is {ndim}-D but `image` has shape {image_shape}")


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
