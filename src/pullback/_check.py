"""What a caller may say of an image, of points and of how to read: all else is refused here, before any work starts.

Each function takes the name of the public function first, for the message; messages name the argument, what was
got, and what to do. What only a transform, a family of them or a backend can know, those check themselves.
"""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Sequence
from numbers import Complex, Integral, Real
from typing import Any

import numpy as np

from pullback import _plan
from pullback._arrays import can_be_looked_at, has_values, is_constant, is_masked, is_tensor
from pullback._cache import is_tracing
from pullback._dtypes import kind_of, name_of
from pullback._layout import Layout

_MAX_SIDE = 2**30
# Threads that nobody could use; native/pool.cpp knows it too.
MOST_THREADS = 1024


# What SciPy, OpenCV, PyTorch, kornia, scikit-image and Pillow call it, and what it is called here. Nothing can be said
# of SciPy's and OpenCV's "reflect", which is "symmetric" here: it is a name here too.
_ELSEWHERE = {
    "border": {
        **dict.fromkeys(("zeros", "zero", "fill", "grid_constant"), "'constant'"),
        **dict.fromkeys(("border", "replicate", "replicated", "nearest", "clamp", "extend"), "'edge'"),
        **dict.fromkeys(("mirror", "reflect_101", "reflect101", "default"), "'reflect'"),
        **dict.fromkeys(("grid_mirror", "half_sample_symmetric"), "'symmetric'"),
        "reflection": "'symmetric' with align_corners=False and 'reflect' with align_corners=True",
        **dict.fromkeys(("grid_wrap", "circular", "periodic", "tile"), "'wrap'"),
    },
    "interpolation": {
        **dict.fromkeys(("nearest_exact", "nearestneighbor", "inter_nearest", "0"), "'nearest'"),
        **dict.fromkeys(("biquadratic", "2"), "'spline2'"),
        **dict.fromkeys(("inter_linear", "1"), "'linear'"),
        **dict.fromkeys(("inter_cubic",), "Cubic(-0.75)"),
        **dict.fromkeys(("3", "spline"), "'spline3'"),
        **dict.fromkeys(("biquartic", "4"), "'spline4'"),
        **dict.fromkeys(("biquintic", "quintic", "5"), "'spline5'"),
        **dict.fromkeys(("lanczos",), "'lanczos3', or 'lanczos4' as in OpenCV,"),
        **dict.fromkeys(("inter_lanczos4",), "'lanczos4'"),
        **dict.fromkeys(("inter_area", "box"), "interpolation='area' of resize"),
    },
}


class LayoutWarning(UserWarning):
    """An image's axes look different from what the call says they are.

    Given in a call without `channel_axis`, by shapes alone: for a NumPy array that is read channels first and has a
    last axis of at most 16 that is at most a quarter of each of the two before it, or one of at most 4 behind a longer
    first axis; and for an image without a batch axis that has as many channels as there are transforms in a batch.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> import pullback as pb
    >>> photo = np.zeros((300, 451, 3), np.uint8)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     _ = pb.warp(photo, pb.Affine.identity(2))
    >>> caught[0].category.__name__
    'LayoutWarning'
    """


def _names(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)


def choices(function: str, argument: str, value: Any, known: Sequence[str], ndim: int) -> tuple[Any, ...]:
    """Return one known name, or :class:`~pullback.Cubic`, an axis."""
    if not isinstance(value, str | _plan.Cubic | Sequence):
        got = f"{value!r}{_here(argument, value)}" if isinstance(value, Integral) else type(value).__name__
        raise TypeError(f"{function}: `{argument}` must be a name or one name an axis, got {got}")
    spread = _plan.per_axis(value, ndim)
    if len(spread) != ndim:
        raise ValueError(
            f"{function}: `{argument}` has {len(spread)} entries for {ndim} spatial axes; give one, or {ndim}"
        )
    for name in spread:
        if isinstance(name, _plan.Cubic) and argument == "interpolation":
            if not (isinstance(name.a, Real) and math.isfinite(name.a)):
                raise ValueError(f"{function}: `interpolation` is {name!r}; `a` must be a finite number")
        elif not isinstance(name, str) or name not in known:
            raise ValueError(
                f"{function}: `{argument}` is {name!r}{_here(argument, name)}; choose from {_names(known)}"
            )
    return spread


def _here(argument: str, name: Any) -> str:
    """Say what a name that another library uses is called here."""
    known = _ELSEWHERE.get(argument, {}).get(str(name).lower().replace("-", "_").removeprefix("border_"))
    return "" if known is None else f", which is {known} here"


def interpolations(function: str, value: Any, ndim: int, dtype: Any) -> tuple[Any, ...]:
    """Return one interpolation an axis, for an image of `dtype`."""
    resizes, named = function == "resize", value if isinstance(value, list | tuple) else [value]
    if not resizes and any(isinstance(name, str) and name == "area" for name in named):
        raise ValueError(
            f"{function}: `interpolation` is 'area', the mean over a pixel of another size, which a point has not; "
            "use resize, or warp with antialias=True"
        )
    known = (*_plan.INTERPOLATION_NAMES, "area") if resizes else _plan.INTERPOLATION_NAMES
    spread = choices(function, "interpolation", value, known, ndim)
    if "label" not in spread:
        return spread
    if set(spread) != {"label"}:
        raise ValueError(f"{function}: `interpolation` is {spread}; 'label' is for all axes, or for none")
    if kind_of(dtype) not in ("boolean", "integer"):
        raise TypeError(
            f"{function}: `interpolation` is 'label' but the image is of dtype {name_of(dtype)}; labels are integers "
            "or booleans; convert the image, or use 'nearest'"
        )
    return spread


def without_gradient(function: str, reason: str, **values: Any) -> None:
    """Refuse tensors that ask for a gradient where there is none."""
    for name, value in values.items():
        if is_tensor(value) and has_values(value) and not is_constant(value):
            raise TypeError(f"{function}: `{name}` requires a gradient, but {reason}; give {name}.detach()")


def mixing(function: str, plan: _plan.Plan, argument: str) -> None:
    """Refuse labels, which are chosen and not mixed, where a function or an argument needs weights."""
    if _plan.INTERPOLATIONS["label"] in plan.interpolation:
        raise ValueError(
            f"{function}: {argument} mixes samples by their weights, but `interpolation` is 'label', which chooses "
            "one of them; use 'nearest'"
        )


def choice(function: str, argument: str, value: Any, known: Sequence[str]) -> str:
    """Return `value`, which must be one of the known names."""
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{function}: `{argument}` is {value!r}; choose from {_names(known)}")
    return value


def plan(
    function: str, ndim: int, channels: int, dtype: Any, interpolation: Any, border: Any, extent: Any, fill: Any
) -> _plan.Plan:
    """Return the plan that the arguments ask for, for an image of so many channels."""
    return _plan.make_plan(
        interpolations(function, interpolation, ndim, dtype),
        choices(function, "border", border, tuple(_plan.BORDERS), ndim),
        choice(function, "extent", extent, tuple(_plan.EXTENTS)),
        fill_values(function, fill, channels, dtype),
    )


def _plain(value: complex) -> complex:
    return value if value.imag != 0 else value.real


def fill_values(function: str, fill: Any, channels: int, dtype: Any) -> tuple[complex, ...]:
    """Return one fill value, or one a channel, for an image of `dtype`."""
    if isinstance(fill, Real):
        return (float(fill),)
    try:
        each = (fill,) if isinstance(fill, Complex) or getattr(fill, "ndim", 1) == 0 else tuple(fill)
        # Equal numbers of different types would share a cached plan.
        values = tuple(_plain(complex(value)) for value in each)
    except (TypeError, ValueError):
        raise TypeError(f"{function}: `fill` must be a number or one number a channel, got {fill!r}") from None
    for value in each:
        without_gradient(
            function,
            "values carry none to it: use fill=0 and return_weight=True, and add fill * (1 - weight)",
            fill=value,
        )
    if len(values) not in (1, channels) or not values:
        raise ValueError(
            f"{function}: `fill` has {len(values)} entries but the image has {channels} channels; "
            "give one value, or one a channel"
        )
    if kind_of(dtype) != "complex" and any(isinstance(value, complex) for value in values):
        raise TypeError(f"{function}: `fill` is {fill!r} but the image is of dtype {name_of(dtype)}; give real numbers")
    return values


def result_dtype(function: str, argument: str, dtype: Any, image: Any, plan: _plan.Plan) -> None:
    """Refuse a dtype of the result that cannot hold what is read from an image of dtype `image`."""
    if dtype == image:
        return
    if kind_of(image) == "complex" and kind_of(dtype) != "complex":
        raise TypeError(
            f"{function}: `{argument}` is of dtype {name_of(dtype)} but the image is complex; give a complex dtype, or "
            "the image's real or imaginary part"
        )
    if _plan.INTERPOLATIONS["label"] in plan.interpolation:
        raise TypeError(
            f"{function}: `{argument}` is of dtype {name_of(dtype)} but the labels are of dtype {name_of(image)}; "
            "labels are copied as they are, so convert the result"
        )


def layout(function: str, shape: tuple[int, ...], ndim: int, channel_axis: int | None) -> Layout:
    """Return what the axes of an image of `shape` are, given its number of spatial axes."""
    extra = len(shape) - ndim
    if channel_axis is not None:
        after = len(shape) - 1 - axis_of(function, "image", channel_axis, len(shape))
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
    return Layout(ndim, extra == 2, ndim if extra else None, _is_unlikely(shape, extra))


def _is_unlikely(shape: tuple[int, ...], extra: int) -> bool:
    """Whether an image with `extra` axes in front of the spatial ones looks channels last."""
    if is_tracing() or extra == 0:  # a look at symbolic sizes would bind a graph to them
        return False
    short = shape[-1] <= 16 and all(4 * shape[-1] <= side for side in shape[-3:-1])
    return short or (extra == 1 and shape[-1] <= 4 < shape[0])


def axis_of(function: str, argument: str, channel_axis: Any, axes: int) -> int:
    """Return the channel axis of an array, counted from the front."""
    if isinstance(channel_axis, bool) or not isinstance(channel_axis, Integral):
        raise TypeError(f"{function}: `channel_axis` must be an integer or None, got {channel_axis!r}")
    axis = int(channel_axis)
    if not -axes <= axis < axes:
        raise ValueError(f"{function}: `channel_axis` is {channel_axis} but `{argument}` has {axes} axes")
    return axis % axes


def warn_of_layout(function: str, shape: tuple[int, ...], layout: Layout) -> None:
    """Warn of an array of NumPy that is read channels first but looks channels last."""
    first = int(layout.batch)
    warnings.warn(
        f"{function}: `image` of shape {shape} looks channels-last but is read as {shape[first]} channels; pass "
        f"channel_axis=-1 if its last axis holds channels, channel_axis={first} if it does not",
        LayoutWarning,
        stacklevel=4,
    )


def warn_of_batch(function: str, shape: tuple[int, ...]) -> None:
    """Warn of an image that has as many channels as there are transforms, and no batch axis."""
    warnings.warn(
        f"{function}: `image` of shape {shape} is read as one image of {shape[0]} channels, which each of the "
        f"{shape[0]} transforms warps as a whole; give image[:, None] if it holds {shape[0]} images, channel_axis=0 if "
        "it does not",
        LayoutWarning,
        stacklevel=4,
    )


def unmasked(function: str, argument: str, image: Any) -> None:
    """Refuse masked arrays where missing samples would be read like others."""
    if is_masked(image):
        raise TypeError(
            f"{function}: `{argument}` is a masked array, whose missing samples would be mixed with the others; "
            f"give {argument}.filled(value)"
        )


def orders(function: str, value: Any, ndim: Any, axes: int) -> tuple[int, ...]:
    """Return the order of a spline on each spatial axis of an image with `axes` axes beside that of its channels."""
    one = isinstance(value, Integral)
    if not one and not isinstance(value, Sequence):
        raise TypeError(f"{function}: `order` must be an integer or one an axis, got {value!r}")
    if ndim is None:
        ndim = axes if one else len(value)
        if one and axes not in (1, 2):
            raise ValueError(
                f"{function}: `image` has {axes} axes beside its channels; pass ndim, the number of them that are "
                "spatial"
            )
    if not isinstance(ndim, Integral) or not 1 <= int(ndim) <= _plan.MAX_NDIM:
        raise ValueError(f"{function}: `ndim` is {ndim!r}; give the number of spatial axes, 1 to {_plan.MAX_NDIM}")
    ndim = int(ndim)
    spread = (value,) * ndim if one else tuple(value)
    if len(spread) != ndim:
        raise ValueError(f"{function}: `order` has {len(spread)} entries for {ndim} spatial axes; give one, or {ndim}")
    if any(not isinstance(each, Integral) or int(each) not in range(6) for each in spread):
        raise ValueError(f"{function}: `order` is {value!r}; splines have an order of 0 to 5")
    return spread


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
    return _plan.constant(shape[-1])


def batches(function: str, images: int, geometry: int, argument: str, image: str = "image") -> int:
    """Return the batch size of the output."""
    if images != geometry and images != 1 and geometry != 1:
        raise ValueError(
            f"{function}: `{image}` has a batch of {images} but `{argument}` has one of {geometry}; "
            "they must be equal, or one of them 1"
        )
    return geometry if images == 1 else images


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
    result = sides(function, shape)
    if len(result) != len(default) or any(n < 0 for n in result):
        raise ValueError(f"{function}: `shape` is {result}; give {len(default)} lengths, none of them negative")
    return result


def sides(function: str, shape: Any) -> tuple[int, ...]:
    """Return a spatial shape."""
    try:
        return tuple(operator.index(n) for n in shape)
    except TypeError:
        raise TypeError(f"{function}: `shape` must hold one integer a spatial axis, got {shape!r}") from None


def resized(function: str, shape: Any) -> tuple[int, ...]:
    """Return the spatial shape to resize to."""
    result = sides(function, shape)
    if not 1 <= len(result) <= _plan.MAX_NDIM or not all(0 < n < _MAX_SIDE for n in result):
        raise ValueError(f"{function}: `shape` is {result}; give 1 to {_plan.MAX_NDIM} lengths, of 1 or more")
    return result


def factors(function: str, scale: Any, axes: int) -> tuple[float, ...]:
    """Return one factor a spatial axis, for an image with `axes` axes beside that of its channels."""
    try:
        each = (float(scale),) if isinstance(scale, Real) else tuple(map(float, scale))
    except (TypeError, ValueError):
        raise TypeError(f"{function}: `scale` must be a number or one number a spatial axis, got {scale!r}") from None
    if not 1 <= len(each) <= _plan.MAX_NDIM or not all(0 < factor < math.inf for factor in each):
        raise ValueError(f"{function}: `scale` is {scale!r}; give 1 to {_plan.MAX_NDIM} numbers above 0")
    if not isinstance(scale, Real):
        return each
    if axes not in (1, 2):
        raise ValueError(
            f"{function}: `image` has {axes} axes beside its channels, and `scale` is one number; give one for each "
            "axis that is spatial"
        )
    return each * axes


def scaled(function: str, factors: Sequence[float], shape: Sequence[int]) -> tuple[int, ...]:
    """Return the spatial shape to resize to, of the one that is there."""
    result = tuple(max(round(n * factor), 1) for n, factor in zip(shape, factors, strict=True))
    if max(result) >= _MAX_SIDE:
        raise ValueError(f"{function}: `scale` makes a side of {max(result)} samples; sides must be below 2**30")
    return result


def one_of(function: str, **arguments: Any) -> None:
    """Refuse a call that gives both of two arguments, or none."""
    given = [name for name, value in arguments.items() if value is not None]
    if len(given) != 1:
        names = " or ".join(f"`{name}`" for name in arguments)
        raise TypeError(f"{function}: give either {names}, {'not both' if given else 'for one is needed'}")


def resizable(function: str, shape: tuple[int, ...]) -> None:
    """Refuse images without samples."""
    if 0 in shape:
        raise ValueError(f"{function}: `image` has no samples (spatial shape {shape}), so it cannot be resized")


def cotangent(function: str, shape: tuple[int, ...], expected: tuple[int, ...], argument: str = "grad") -> None:
    """Refuse a cotangent, or a target, that does not have the shape of the output."""
    if shape != expected:
        raise ValueError(f"{function}: `{argument}` has shape {shape} but the output has shape {expected}")


def on_the_cpu(function: str, image: Any) -> None:
    """Refuse a tensor on another device."""
    if image.device.type != "cpu":
        raise TypeError(f"{function}: `image` is on {image.device}; give a tensor on the CPU")


def out(function: str, array: Any, expected: tuple[int, ...], dtype: Any) -> None:
    """Refuse an output array of another shape than the result's, or of another dtype than `dtype`, if one is asked."""
    if tuple(array.shape) != expected:
        raise ValueError(f"{function}: `out` has shape {tuple(array.shape)} but the result has shape {expected}")
    if dtype is not None and dtype != array.dtype:
        raise ValueError(
            f"{function}: `out` is of dtype {name_of(array.dtype)} but `dtype` is {name_of(dtype)}; leave `dtype` out"
        )


def flag(function: str, argument: str, value: Any) -> bool:
    """Return `value`, which must be a boolean."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{function}: `{argument}` must be True or False, got {value!r}")
    return bool(value)


def mask(function: str, array: Any, argument: str = "mask") -> None:
    """Refuse masks that are not boolean."""
    if kind_of(array.dtype) == "real":
        raise TypeError(
            f"{function}: `{argument}` is of dtype {name_of(array.dtype)}; give booleans, True where a sample is "
            "missing, or 'nan'; numbers that say how far a sample is known are a `weight`"
        )
    if kind_of(array.dtype) != "boolean":
        raise TypeError(
            f"{function}: `{argument}` is of dtype {name_of(array.dtype)}; give booleans, True where a sample is "
            "missing, or 'nan'"
        )


def weight(function: str, array: Any, argument: str = "weight") -> None:
    """Refuse weights that are not real numbers from 0 to 1; the numbers themselves where they can be looked at."""
    if kind_of(array.dtype) == "complex":
        raise TypeError(f"{function}: `{argument}` is of dtype {name_of(array.dtype)}; give real numbers from 0 to 1")
    if can_be_looked_at(array) and not bool(((array >= 0) & (array <= 1)).all()):
        raise ValueError(
            f"{function}: `{argument}` has values beyond 0 to 1, or NaN; 0 says that a sample is missing, 1 that it is "
            "known"
        )


def beside(
    function: str,
    argument: str,
    shape: tuple[int, ...],
    image: tuple[int, ...],
    spatial: tuple[int, ...],
    what: str = "the image",
) -> None:
    """Refuse what does not broadcast to an image of shape `image` or to its spatial shape."""
    for wanted in (image, spatial):
        # torch.compile has no `in` for sizes that are open
        if len(shape) == len(wanted) and all([n == 1 or n == side for n, side in zip(shape, wanted, strict=True)]):
            return
    raise ValueError(
        f"{function}: `{argument}` has shape {shape} but {what} has shape {image}; give that shape, or, without "
        f"channels, {spatial}, with 1 for axes that share it"
    )


def splat_values(
    function: str, values: tuple[int, ...], coords: tuple[int, ...], ndim: int, channel_axis: int | None
) -> tuple[bool, int | None]:
    """Return whether `values` have a batch axis, and how many sides of an image follow its channels, if there are any.

    Where the lattice of points stands in `coords` tells which axes those of `values` are.
    """
    points = coords[:-1]
    if channel_axis is None:
        alone, behind_first = values[1:], (*values[:1], *values[2:])
    else:
        axis = axis_of(function, "values", channel_axis, len(values))
        alone = behind_first = values[:axis] + values[axis + 1 :]
    readings = {
        (False, False): channel_axis is None and values == points,
        (False, True): len(values) == len(points) + 1 and alone == points,
        (True, True): len(values) == len(points) + 1
        and behind_first[1:] == points[1:]
        and (points[:1] in ((1,), behind_first[:1]) or behind_first[:1] == (1,)),
    }
    fitting = [reading for reading, fits in readings.items() if fits]
    if not fitting:
        raise ValueError(
            f"{function}: `values` of shape {values} do not fit `coords` of shape {coords}; "
            "for coords (*points, d) give (*points) or (channel, *points), "
            "for coords (batch or 1, *points, d) give (batch, channel, *points)"
        )
    batch, channels = (True, True) if len(fitting) == 2 and len(points) == ndim + 1 else fitting[0]
    if channel_axis is None:
        return batch, ndim if channels else None
    behind, lattice = len(values) - 1 - axis, len(points) - batch
    if behind not in (0, lattice) and lattice != ndim:
        raise ValueError(
            f"{function}: `channel_axis` is {channel_axis}, among the points, where an image of {ndim} sides has no "
            "place for channels; give the axis before the points, or the last"
        )
    return batch, ndim if behind == lattice else behind


def reduction(function: str, normalize: Any, *, signed: bool) -> str:
    """Return what becomes of the values that reach a sample: "sum", "mean", "softmax" or "max"."""
    if isinstance(normalize, bool | np.bool_):
        return "mean" if normalize else "sum"
    if not isinstance(normalize, str) or normalize not in ("softmax", "max"):
        raise ValueError(f"{function}: `normalize` is {normalize!r}; choose from False, True, 'softmax', 'max'")
    if normalize == "softmax" and signed:
        raise ValueError(
            f"{function}: `normalize` is 'softmax', which takes no interpolation with negative weights; use 'linear', "
            "'nearest' or 'bspline2' to 'bspline5'"
        )
    return normalize


def has_importance(function: str, reduction: str, importance: Any) -> bool:
    """Return whether a reduction has an importance, which must then be there."""
    needed = reduction in ("softmax", "max")
    if needed and importance is None:
        raise ValueError(f"{function}: `normalize` is {reduction!r}, which needs an `importance`, one number a point")
    if not needed and importance is not None:
        raise ValueError(f"{function}: `importance` is for normalize='softmax' and 'max'")
    return needed


def importance(function: str, array: Any, points: tuple[int, ...], *, batch: bool) -> None:
    """Refuse importances that are not real numbers, one a point."""
    if not name_of(array.dtype).startswith(("bool", "int", "uint", "float", "bfloat")):
        raise TypeError(f"{function}: `importance` must hold real numbers, got dtype {name_of(array.dtype)}")
    shape = tuple(array.shape)
    if shape != points and not (batch and shape == (1, *points[1:])):
        raise ValueError(f"{function}: `importance` has shape {shape}; give one number a point, {points}")


def thread_count(count: Any) -> int:
    """Return a number of threads."""
    if not isinstance(count, Integral) or isinstance(count, bool):
        raise TypeError(f"set_num_threads: `count` must be an integer, got {count!r}")
    if not 1 <= int(count) <= MOST_THREADS:
        raise ValueError(f"set_num_threads: `count` is {count}; give 1 to {MOST_THREADS}")
    return int(count)
