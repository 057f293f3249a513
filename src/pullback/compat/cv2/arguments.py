"""The arguments of OpenCV's functions, checked and brought into one form."""

from __future__ import annotations

import operator
import warnings
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from pullback._arrays import is_masked
from pullback._plan import Cubic
from pullback.compat.cv2 import constants as cv

Array = npt.NDArray[Any]

_INTERPOLATIONS: dict[int, str | Cubic] = {
    cv.INTER_NEAREST: "nearest",
    cv.INTER_LINEAR: "linear",
    cv.INTER_CUBIC: Cubic(-0.75),
    cv.INTER_AREA: "linear",
    cv.INTER_LANCZOS4: "lanczos4",
    cv.INTER_LINEAR_EXACT: "linear",
    cv.INTER_NEAREST_EXACT: "nearest",
}
_BORDERS = {
    cv.BORDER_CONSTANT: "constant",
    cv.BORDER_REPLICATE: "edge",
    cv.BORDER_REFLECT: "symmetric",
    cv.BORDER_WRAP: "wrap",
    cv.BORDER_REFLECT_101: "reflect",
    cv.BORDER_TRANSPARENT: "transparent",
}


@dataclass(frozen=True)
class Taps:
    """What a point reads: names of :func:`pullback.sample`, beside a border that is "transparent"."""

    interpolation: str | Cubic
    border: str
    fill: tuple[float, ...] = (0.0,)

    def of(self, image: Array) -> dict[str, Any]:
        """Return how an image is read, as arguments of :func:`pullback.sample`."""
        return {
            "interpolation": self.interpolation,
            "border": self.border,
            "fill": self.fill,
            "channel_axis": -1 if image.ndim == 3 else None,
        }


def image_of(function: str, src: Any) -> Array:
    """Return an image, (height, width) or (height, width, channels), one channel being no axis."""
    if is_masked(src):
        raise TypeError(f"{function}: `src` is a masked array, whose mask OpenCV does not know; give src.filled(value)")
    image = np.asarray(src)
    image = image.astype(image.dtype.newbyteorder("="), copy=False)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.ndim not in (2, 3) or image.size == 0:
        raise ValueError(f"{function}: `src` has shape {image.shape}; give an image, (height, width) or with channels")
    return image


def taps_of(
    function: str, image: Array, argument: str, interpolation: int, border_mode: int, border_value: Any
) -> Taps:
    """Return what points read, of the codes for it and the value beyond a constant border."""
    if interpolation not in _INTERPOLATIONS:
        raise ValueError(f"{function}: `{argument}` asks for interpolation {interpolation}; INTER_* are 0 to 6")
    border_mode = operator.index(border_mode) & ~cv.BORDER_ISOLATED
    if border_mode not in _BORDERS:
        raise ValueError(f"{function}: `borderMode` is {border_mode}; BORDER_* are 0 to 5")
    channels = image.shape[2] if image.ndim == 3 else 1
    fill = _fill(function, border_value, channels, image.dtype)
    return Taps(_INTERPOLATIONS[interpolation], _BORDERS[border_mode], fill)


def _fill(function: str, value: Any, channels: int, dtype: np.dtype[Any]) -> tuple[float, ...]:
    """Return one value a channel: those of OpenCV's `Scalar`, over and over, as samples of `dtype`."""
    if value is None or isinstance(value, Real):
        value = (value or 0,)
    scalar = np.asarray(value, np.float64).ravel()
    if len(scalar) > 4 and len(scalar) != channels:
        raise ValueError(
            f"{function}: `borderValue` has {len(scalar)} entries for {channels} channels; give a number, at most "
            "4, or one a channel"
        )
    if len(scalar) != channels:
        if 1 < len(scalar) < 4 < channels:
            warnings.warn(
                f"{function}: `borderValue` has {len(scalar)} entries for {channels} channels, and OpenCV fills up "
                "each four of them with zeros; give one value a channel",
                stacklevel=4,
            )
        scalar = np.resize(np.concatenate([scalar, np.zeros(max(4 - len(scalar), 0))]), channels)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        scalar = np.rint(np.clip(np.nan_to_num(scalar), float(limits.min), float(limits.max)))
    return tuple(scalar.tolist())


def matrix_of(function: str, value: Any, rows: int) -> Array:
    """Return `rows` rows of 3 numbers, in double precision."""
    matrix = np.asarray(value)
    if matrix.shape != (rows, 3) or matrix.dtype.kind not in "fiu":
        raise ValueError(
            f"{function}: `M` has shape {matrix.shape} and dtype {matrix.dtype}; give {rows} x 3 real numbers"
        )
    return matrix.astype(np.float64)


def shape_of(function: str, dsize: Any, image: Array) -> tuple[int, int]:
    """Return the height and the width of the output."""
    if dsize is None:
        dsize = (0, 0)
    try:
        width, height = map(operator.index, dsize)
    except (TypeError, ValueError):
        raise TypeError(f"{function}: `dsize` is {dsize!r}; give two integers, (width, height)") from None
    return (height, width) if min(width, height) > 0 else (image.shape[0], image.shape[1])


def real_of(function: str, argument: str, value: Any) -> float:
    """Return a real number."""
    if not isinstance(value, Real):
        raise TypeError(f"{function}: `{argument}` is {value!r}; give a number")
    return float(value)
