"""What is read is written into `dst`, which a transparent border leaves where the image has nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pullback.backends.numpy import cast
from pullback.compat.cv2.arguments import Array, Taps
from pullback.sampling import sample
from pullback.transforms import Affine
from pullback.warping.images import warp_exactly

# So many points at a time have coordinates in memory, where these must be computed.
_BLOCK = 1 << 17

# Reads an image of the size of `src` into an array, at every point, after adding a number to all positions.
Reader = Callable[[Array, Array, Taps, float], None]


def through(matrix: Array, shape: tuple[int, int]) -> Reader:
    """Return what reads through a 2 x 3 matrix on (x, y, 1)."""

    def read(image: Array, out: Array, taps: Taps, added: float) -> None:
        in_axis_order = matrix[::-1, [1, 0, 2]] + [0, 0, added]
        warp_exactly(image, Affine(in_axis_order), shape, out=out, **taps.of(image))

    return read


def at(rows: Callable[[slice], Array], shape: tuple[int, int], at_once: bool) -> Reader:
    """Return what reads at the positions that `rows` gives for some rows of the output, or at once for all."""
    height, width = shape
    step = height if at_once else max(_BLOCK // max(width, 1), 1)

    def read(image: Array, out: Array, taps: Taps, added: float) -> None:
        for start in range(0, height, max(step, 1)):
            block = slice(start, min(start + step, height))
            points = rows(block)
            sample(image, points + added if added else points, out=out[block], **taps.of(image))

    return read


def output_of(
    function: str, image: Array, shape: tuple[int, int], dst: Array | None, argument: str = "interpolation"
) -> tuple[Array, Array]:
    """Return the output, which is `dst` if that has its shape and dtype, and a view of it with the axes of the image.

    `argument` names what is taken for `dst` where it is not given by its name.
    """
    if dst is not None and not isinstance(dst, np.ndarray):
        raise TypeError(
            f"{function}: `dst` is {dst!r}; give an array or None, and the interpolation by its name, {argument}=..."
        )
    full_shape = (*shape, *image.shape[2:])
    if dst is None or dst.dtype != image.dtype or dst.shape not in (full_shape, (*full_shape, 1)):
        dst = np.zeros(full_shape, image.dtype)
    return dst, dst.reshape(full_shape) if dst.flags.c_contiguous else dst[..., 0] if dst.shape != full_shape else dst


def write(function: str, image: Array, read: Reader, shape: tuple[int, int], dst: Array | None, taps: Taps) -> Array:
    """Return the output, with what a reader reads in it."""
    dst, out = output_of(function, image, shape, dst, "interpolation" if function == "remap" else "flags")
    if np.may_share_memory(image, out):
        image = image.copy()
    if taps.border != "transparent":
        read(image, out, taps, 0.0)
    elif taps.interpolation in ("nearest", "lanczos4"):
        _overlay(image, read, out, taps)
    else:
        _blend(image, read, out, taps)
    return dst


def _overlay(image: Array, read: Reader, out: Array, taps: Taps) -> None:
    """Write where the tap that a position belongs to, the nearest or the one to its left, is a sample."""
    is_inside = np.empty(out.shape[:2], np.bool_)
    nearest = Taps("nearest", "constant")
    read(_ones(image, np.bool_), is_inside, nearest, 0.0 if taps.interpolation == "nearest" else -0.5)
    values = np.empty_like(out)
    read(image, values, replace(taps, border="reflect"), 0.0)
    np.copyto(out, values, where=is_inside.reshape(is_inside.shape + (1,) * (out.ndim - 2)))


def _blend(image: Array, read: Reader, out: Array, taps: Taps) -> None:
    """Write as if the taps beyond the image read what is in `out`."""
    dtype = np.result_type(image.dtype, np.float32)
    beyond = Taps(taps.interpolation, "constant")
    share = np.empty(out.shape[:2], dtype)
    read(_ones(image, dtype), share, beyond, 0.0)
    share = share.reshape(share.shape + (1,) * (out.ndim - 2))
    values = np.empty(out.shape, dtype)
    read(image, values, beyond, 0.0)
    # The weights of a point inside add to 1 but for rounding, which must not leave a trace of `out`.
    is_partial = np.broadcast_to(np.abs(1 - share) > 16 * np.finfo(dtype).eps, out.shape)
    np.add(values, (1 - share) * out, out=values, where=is_partial)
    out[...] = cast(values, out.dtype)


def _ones(image: Array, dtype: np.typing.DTypeLike) -> Array:
    """Return an image of ones of the size of another, which takes no memory."""
    return np.broadcast_to(np.ones((), dtype), image.shape[:2])
