"""Images of another size, whatever the backend: sums and copies along one axis after the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pullback._arrays import is_tensor, like, namespace
from pullback._dtypes import kind_of
from pullback._plan import AREA, INTERPOLATIONS, Sizing
from pullback.backends.tables import Table, tables_of, transposed
from pullback.backends.votes import majorities

# Whole numbers up to this are exact in float32.
_EXACT = 1 << 24


class Verbs(NamedTuple):
    """What a backend does by itself.

    Attributes
    ----------
    resample : callable
        From an image, a spatial axis, the `first` and the `weight` of a table, and a dtype to sums along the axis. In
        float64, if the dtype is that; or as the dtype of the image has it.
    cast, sum_dtype : callable
        As in :class:`pullback.backends.Operations`.
    """

    resample: Callable[[Any, int, Any, Any, Any], Any]
    cast: Callable[[Any, Any], Any]
    sum_dtype: Callable[[Any], Any]


def resized(verbs: Verbs, image: Any, shape: tuple[int, ...], sizing: Sizing, dtype: Any) -> Any:
    """Return a canonical image with the sides `shape`, in `dtype`, in memory of its own."""
    if INTERPOLATIONS["label"] in sizing.interpolation:
        fill = verbs.cast(like(sizing.fill, image, namespace(image).float64), image.dtype)
        return majorities(image, shape, sizing, fill)
    is_mean, between = _is_mean_of_integers(image, sizing), verbs.sum_dtype(image.dtype)
    if is_mean and _largest_sum(image, shape) > _EXACT:
        between = namespace(image).float64
    return read_through(verbs, image, tables_of(image.shape[2:], shape, sizing, is_mean), sizing.fill, between, dtype)


def read_through(
    verbs: Verbs, image: Any, tables: Sequence[Table | None], fill: tuple[complex, ...], between: Any, dtype: Any
) -> Any:
    """Return a canonical image read through a table an axis, in `dtype`, in memory of its own; `between` axes another.

    An axis without a table stays as it is.
    """
    source, has = image, {axis: table for axis, table in enumerate(tables) if table is not None}
    # The axis that shrinks the most leaves the least to the others; of equals the first one, whose rows are contiguous.
    order = sorted(has, key=lambda axis: len(has[axis].first) / image.shape[2 + axis])
    sums = [axis for axis in order if has[axis].weight is not None]
    total = math.prod([has[axis].total for axis in sums])
    for axis in order:
        table = has[axis]
        if table.weight is None:
            image = _taken(image, axis, table.first)
            continue
        if table.samples is not None:
            image = _taken(image, axis, table.samples)
        is_filled = table.beyond is not None and any(fill)
        is_end = axis == sums[-1] and total == 1 and not is_filled
        image = verbs.resample(image, axis, table.first, table.weight, dtype if is_end else between)
        if is_filled:
            image = image + _share_of(fill, image, axis, table.beyond)
    if total != 1:
        image = image / total
    if image.dtype != dtype:
        return verbs.cast(image, dtype)
    return image if image is not source else image.clone() if is_tensor(image) else image.copy()


def _is_mean_of_integers(image: Any, sizing: Sizing) -> bool:
    """Whether values are means over areas of what is exact, and so can be exact themselves."""
    return set(sizing.interpolation) == {AREA} and kind_of(image.dtype) in ("boolean", "integer")


def _largest_sum(image: Any, shape: tuple[int, ...]) -> int:
    """Return what no sum of a mean over areas exceeds, before it is divided: see :func:`.tables.area_table`."""
    lengths = [n // math.gcd(n, m) for n, m in zip(image.shape[2:], shape, strict=True)]
    return int(math.prod(lengths) * 256**image.dtype.itemsize)


def _taken(image: Any, axis: int, samples: Any) -> Any:
    """Return the samples of an axis with the given indices."""
    if is_tensor(image):
        return image.index_select(2 + axis, like(samples.copy(), image))
    return image.take(samples, 2 + axis)


def _share_of(fill: tuple[complex, ...], image: Any, axis: int, beyond: Any) -> Any:
    """Return what `fill` adds to the sums along an axis: nothing, not even NaN, where no tap is beyond."""
    reached, each = np.flatnonzero(beyond), np.asarray(fill)
    share = np.zeros((len(fill), len(beyond)), each.dtype)
    for part, whole in ((share.real, each.real), (share.imag, each.imag))[: 2 if each.dtype.kind == "c" else 1]:
        part[:, reached] = np.multiply.outer(whole, beyond[reached])
    sides = [-1 if k == axis else 1 for k in range(len(image.shape) - 2)]
    return like(share.reshape(len(fill), *sides), image, image.dtype)


def transposed_resized(verbs: Verbs, grad: Any, shape: tuple[int, ...], sizing: Sizing, dtype: Any) -> Any:
    """Return the transpose of :func:`resized`, for a fill of 0, applied to a tensor: an image with the sides `shape`.

    Where an axis had grown, few sums of many terms are left: these are formed in double precision.
    """
    sides, source, xp = tuple(grad.shape[2:]), grad, namespace(grad)
    for axis in sorted(range(len(sides)), key=lambda axis: shape[axis] / sides[axis]):
        reading = sizing.interpolation[axis], sizing.parameter[axis], sizing.border[axis], sizing.antialias
        table, sums = transposed(shape[axis], sides[axis], *reading), verbs.sum_dtype(grad.dtype)
        if table is None:
            continue
        if sides[axis] > shape[axis]:
            sums = xp.complex128 if grad.is_complex() else xp.float64
        grad = verbs.resample(grad.to(sums) if grad.is_complex() else grad, axis, table.first, table.weight, sums)
        if table.samples is not None:
            target = grad.new_zeros([*grad.shape[: 2 + axis], shape[axis], *grad.shape[3 + axis :]])
            grad = target.index_add(2 + axis, like(table.samples.copy(), grad), grad)
    return verbs.cast(grad, dtype) if grad.dtype != dtype else grad.clone() if grad is source else grad
