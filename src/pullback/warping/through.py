"""Images through transforms: the call of a warp, and the checks that know what a transform is."""

from __future__ import annotations

from typing import Any

from pullback import _check
from pullback._plan import LATTICES, Lattice, frames_of, is_reversed
from pullback.backends import backend_of
from pullback.sampling.call import Call
from pullback.transforms import MatrixTransform, Transform


def call_through(
    function: str,
    image: Any,
    transform: Any,
    shape: Any,
    *,
    interpolation: Any,
    border: Any,
    fill: Any,
    extent: Any,
    channel_axis: int | None,
    frame: str,
) -> Call:
    """Return the call that reads `image` through `transform` on an output of `shape`."""
    backend = backend_of(image)
    image = backend.as_image(function, "image", image)
    check_transform(function, transform, tuple(image.shape))
    ndim = transform.ndim
    layout = _check.layout(function, tuple(image.shape), ndim, channel_axis, numpy=backend.name == "numpy")
    image = layout.canonical(image, ndim, layout.batch)
    spatial = tuple(image.shape[2:])
    plan = _check.plan(function, ndim, image, interpolation, border, extent, fill)
    _check.spatial(function, spatial, border)
    output = _check.output_shape(function, shape, spatial)
    name = _check.frame(function, frame)
    transform = backend.own_transform(transform, image)
    kind = LATTICES[transform.lattice if transform.fits(output, name) else "given"]
    geometry = transform.coordinates(output, name) if kind == LATTICES["given"] else transform.geometry
    geometry = backend.as_geometry(geometry if transform.batch_shape else geometry[None])
    _check.batches(function, image.shape[0], geometry.shape[0], "transform")
    turned = is_reversed(name) and kind in (LATTICES["affine"], LATTICES["projective"])
    geometry = backend.reverse_matrix(geometry) if turned else geometry
    frames = frames_of(name, kind, spatial, output)
    lattice = Lattice(kind, output, *frames, is_reversed(name) and not turned, name)
    return Call(function, backend, image, geometry, lattice, plan, layout, layout.batch or bool(transform.batch_shape))


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
