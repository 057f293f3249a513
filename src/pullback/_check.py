"""Every error that a caller of the sampling functions can cause, raised before any work starts.

Each function takes the name of the public function first, for the message; messages name the argument, what was
got, and what to do.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Real
from typing import Any

from pullback import _plan
from pullback._layout import Layout

_MAX_SIDE = 2**30


class LayoutWarning(UserWarning):
    """An image's axes look different from what the call says they are."""


def _names(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)


def choices(function: str, argument: str, value: Any, known: Sequence[str], ndim: int) -> tuple[str, ...]:
    """Return one known name an axis."""
    if not isinstance(value, str) and not isinstance(value, Sequence):
        raise TypeError(f"{function}: `{argument}` must be a name or one name an axis, got {type(value).__name__}")
    spread = _plan.per_axis(value, ndim)
    if len(spread) != ndim:
        raise ValueError(
            f"{function}: `{argument}` has {len(spread)} entries for {ndim} spatial axes; give one, or {ndim}"
        )
    for name in spread:
        if name not in known:
            raise ValueError(f"{function}: `{argument}` is {name!r}; choose from {_names(list(known))}")
    return spread


def choice(function: str, argument: str, value: Any, known: Sequence[str]) -> str:
    """Return `value`, which must be one of the known names."""
    if value not in known:
        raise ValueError(f"{function}: `{argument}` is {value!r}; choose from {_names(list(known))}")
    return str(value)


def plan(
    function: str, ndim: int, channels: int, interpolation: Any, border: Any, extent: Any, fill: Any
) -> _plan.Plan:
    """Return the plan that the arguments ask for."""
    known = (*_plan.INTERPOLATIONS, *_plan.INTERPOLATION_ALIASES)
    return _plan.make_plan(
        choices(function, "interpolation", interpolation, known, ndim),
        choices(function, "border", border, tuple(_plan.BORDERS), ndim),
        choice(function, "extent", extent, tuple(_plan.EXTENTS)),
        fill_values(function, fill, channels),
    )


def fill_values(function: str, fill: Any, channels: int) -> tuple[float, ...]:
    """Return one fill value, or one a channel."""
    if isinstance(fill, Real):
        return (float(fill),)
    try:
        values = tuple(float(value) for value in fill)
    except (TypeError, ValueError):
        raise TypeError(f"{function}: `fill` must be a number or one number a channel, got {fill!r}") from None
    if len(values) not in (1, channels):
        raise ValueError(
            f"{function}: `fill` has {len(values)} entries but the image has {channels} channels; "
            "give one value, or one a channel"
        )
    return values


def layout(function: str, shape: tuple[int, ...], ndim: int, channel_axis: int | None, *, numpy: bool) -> Layout:
    """Return what the axes of an image of `shape` are, given its number of spatial axes."""
    if not 1 <= ndim <= _plan.MAX_NDIM:
        raise ValueError(f"{function}: 1 to {_plan.MAX_NDIM} spatial axes are supported, got {ndim}")
    extra = len(shape) - ndim
    if channel_axis is not None:
        if not isinstance(channel_axis, int):
            raise TypeError(f"{function}: `channel_axis` must be an integer or None, got {channel_axis!r}")
        if not -len(shape) <= channel_axis < len(shape):
            raise ValueError(f"{function}: `channel_axis` is {channel_axis} but `image` has {len(shape)} axes")
        after = len(shape) - 1 - channel_axis % len(shape)
        if extra not in (1, 2) or after > ndim:
            raise ValueError(
                f"{function}: `image` has shape {shape}, with channels on axis {channel_axis}; "
                f"beside them it must have {ndim} spatial axes, and at most a batch axis in front"
            )
        return Layout(ndim, extra == 2, after)
    if extra not in (0, 1, 2):
        raise ValueError(
            f"{function}: `image` has shape {shape} but there are {ndim} coordinates a point; its axes must be "
            f"([batch,] [channel,] and {ndim} spatial axes)"
        )
    if numpy and extra == 1 and shape[-1] <= 4 < shape[0]:
        warnings.warn(
            f"{function}: `image` of shape {shape} looks channels-last but is read as {shape[0]} channels; pass "
            "channel_axis=-1 if its last axis holds channels, channel_axis=0 if it does not",
            LayoutWarning,
            stacklevel=4,
        )
    return Layout(ndim, extra == 2, ndim if extra else None)


def spatial(function: str, shape: tuple[int, ...], border: Any) -> None:
    """Refuse images with a side that no kernel can read."""
    if max(shape) >= _MAX_SIDE:
        raise ValueError(f"{function}: `image` has a side of {max(shape)} samples; sides must be below 2**30")
    if min(shape) == 0 and set(_plan.per_axis(border, len(shape))) != {"constant"}:
        raise ValueError(
            f"{function}: `image` has no samples (spatial shape {shape}); only border='constant' can read it"
        )


def coordinates(function: str, shape: tuple[int, ...]) -> int:
    """Return the number of coordinates a point."""
    if len(shape) == 0 or not 1 <= shape[-1] <= _plan.MAX_NDIM:
        raise ValueError(
            f"{function}: `coords` has shape {shape}; "
            f"its last axis must hold the 1 to {_plan.MAX_NDIM} coordinates of a point"
        )
    return shape[-1]


def batches(function: str, image: int, geometry: int, argument: str) -> int:
    """Return the batch size of the output."""
    if image != geometry and 1 not in (image, geometry):
        raise ValueError(
            f"{function}: `image` has a batch of {image} but `{argument}` has one of {geometry}; "
            "they must be equal, or one of them 1"
        )
    return geometry if image == 1 else image


def batched_coordinates(function: str, batch: int, shape: tuple[int, ...]) -> None:
    """Refuse coordinates without a batch axis for an image that has one."""
    if len(shape) < 2 or (shape[0] not in (1, batch) and batch != 1):
        raise ValueError(
            f"{function}: `image` has a batch of {batch}, so `coords` must have the axes (batch or 1, ..., d); "
            f"it has shape {shape}. Use coords[None] for one set of coordinates for all"
        )


def frame(function: str, name: Any) -> str:
    """Return the name of a frame."""
    return choice(function, "frame", name, _plan.FRAMES)


def output_shape(function: str, shape: Any, default: tuple[int, ...]) -> tuple[int, ...]:
    """Return the spatial shape of the output."""
    if shape is None:
        return default
    try:
        result = tuple(int(n) for n in shape)
    except TypeError:
        raise TypeError(f"{function}: `shape` must hold one integer a spatial axis, got {shape!r}") from None
    if len(result) != len(default) or any(n < 0 for n in result):
        raise ValueError(f"{function}: `shape` is {result}; give {len(default)} lengths, none of them negative")
    return result


def transform(function: str, value: Any, image_shape: tuple[int, ...]) -> None:
    """Refuse what is no transform, and one of more axes than the image."""
    from pullback.transforms import Transform

    if not isinstance(value, Transform):
        raise TypeError(
            f"{function}: `transform` must be a pullback transform, got {type(value).__name__}; "
            "wrap a matrix as pullback.Affine(matrix)"
        )
    if value.ndim > len(image_shape):
        raise ValueError(f"{function}: `transform` is {value.ndim}-D but `image` has shape {image_shape}")


def cotangent(function: str, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """Refuse a cotangent that does not have the shape of the output."""
    if shape != expected:
        raise ValueError(f"{function}: `grad` has shape {shape} but the output has shape {expected}")


def cotangent_lattice(
    function: str, shape: tuple[int, ...], image_ndim: int, transform: Any, channel_axis: int | None
) -> tuple[int, ...]:
    """Return the spatial shape of a cotangent of a warp; its other axes are checked by :func:`cotangent`."""
    ndim: int = transform.ndim
    after = 0 if channel_axis is None else image_ndim - 1 - channel_axis % image_ndim
    lattice = list(shape)
    if channel_axis is not None and after < ndim:
        if len(shape) <= ndim:
            raise ValueError(
                f"{function}: `grad` has shape {shape}; it must have that of the output, with a channel axis"
            )
        del lattice[len(shape) - 1 - after]
    if len(lattice) < ndim:
        raise ValueError(f"{function}: `grad` has shape {shape}; the output has {ndim} spatial axes")
    return tuple(lattice[len(lattice) - ndim :])


def out(function: str, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """Refuse an output array of another shape than the result's."""
    if shape != expected:
        raise ValueError(f"{function}: `out` has shape {shape} but the result has shape {expected}")


def splat_values(function: str, values: tuple[int, ...], coords: tuple[int, ...], ndim: int) -> tuple[bool, bool]:
    """Return whether `values` have a batch and a channel axis, from where their lattice stands in `coords`."""
    points = coords[:-1]
    readings = {
        (False, False): values == points,
        (False, True): len(values) == len(points) + 1 and values[1:] == points,
        (True, True): len(values) == len(points) + 1
        and values[2:] == points[1:]
        and (points[:1] in ((1,), values[:1]) or values[:1] == (1,)),
    }
    fitting = [reading for reading, fits in readings.items() if fits]
    if not fitting:
        raise ValueError(
            f"{function}: `values` of shape {values} do not fit `coords` of shape {coords}; "
            "for coords (*points, d) give (*points) or (channel, *points), "
            "for coords (batch or 1, *points, d) give (batch, channel, *points)"
        )
    if len(fitting) == 2 and len(points) == ndim + 1:
        return (True, True)
    return fitting[0]


def thread_count(count: Any) -> int:
    """Return a number of threads."""
    if not isinstance(count, int) or isinstance(count, bool):
        raise TypeError(f"set_num_threads: `count` must be an integer, got {count!r}")
    if not 1 <= count <= 1024:
        raise ValueError(f"set_num_threads: `count` is {count}; give 1 to 1024")
    return count
