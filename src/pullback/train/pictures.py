"""Picture files in and out, and pictures as the library wants them: gray, in [0, 1], of one size."""

from __future__ import annotations

import io
import logging
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

import pullback._files as _files
from pullback.transforms import Affine, Transform
from pullback.warping import warp

Picture = npt.NDArray[Any]

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm"})

# How much red, green and blue add to the brightness that an eye sees (ITU-R BT.601).
_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)


# What Pillow logs of a file is either in its error or not worth a word.
logging.getLogger("PIL").addHandler(logging.NullHandler())


class PictureError(_files.FileError):
    """A file that cannot be read, or written, as a picture."""


def read(path: Path) -> Picture:
    """Read a picture file, turned upright if its metadata say that the camera was not.

    Parameters
    ----------
    path : Path
        A file in any format that Pillow reads; of several frames, the first is taken.

    Returns
    -------
    ndarray, (height, width) or (height, width, 2 to 4)
        Gray, gray and alpha, RGB or RGBA, of uint8: what is in other colours, or in a palette, is converted by Pillow.
        Gray of more than 8 bits stays so: uint16, int32 or float32.

    Raises
    ------
    PictureError
        If there is no such file, or it holds no picture.
    """
    if not path.is_file():
        raise PictureError(f"{path}: no such picture file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong with a file is either an error or not worth a word
            with Image.open(path) as image:
                image.verify()  # checksums of the parts of a PNG, which are not looked at where it is loaded
            with Image.open(path) as image, _unheard() if image.format == "TIFF" else nullcontext():
                picture = _values(ImageOps.exif_transpose(image), of_16_bits=image.format in ("PNG", "PPM"))
    except Exception as error:  # decoders raise whatever a broken file leads them into
        raise PictureError(f"{path}: not readable as a picture ({_first_line(error)})") from error
    if 0 in picture.shape:
        raise PictureError(f"{path}: not a picture, its shape is {picture.shape}")
    return picture


def _values(image: Image.Image, *, of_16_bits: bool) -> Picture:
    """Return the samples of a picture in one of the forms of :func:`read`.

    Formats `of_16_bits` are those whose samples of 16 bits some versions of Pillow hold in 32.
    """
    transparent = image.has_transparency_data
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.array(image)
        values = values.astype(np.uint16 if of_16_bits else values.dtype.newbyteorder("="), copy=False)
        if not transparent:
            return values
        opaque = np.where(values == image.info["transparency"], 0, np.iinfo(np.uint16).max)
        return np.stack([values, opaque.astype(values.dtype)], -1)
    gray = image.mode in ("1", "L", "LA", "La")
    mode = ("LA" if transparent else "L") if gray else ("RGBA" if transparent else "RGB")
    return np.array(image if image.mode == mode else image.convert(mode))


@contextmanager
def _unheard() -> Iterator[None]:
    """Keep what libtiff writes to the standard error of the process, beside the error that it reports, to itself."""
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the name of a file in front of what is wrong with the picture in it."""
    try:
        yield
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from None


def inside_of(folder: Path) -> list[Path]:
    """Return the picture files in a folder, but for the hidden ones."""
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )


def files(paths: Iterable[Path]) -> list[Path]:
    """Return picture files: those named, and those in the folders named.

    Raises
    ------
    PictureError
        If a folder holds none.
    """
    found = []
    for path in paths:
        inside = inside_of(path) if path.is_dir() else [path]
        if not inside:
            raise PictureError(f"{path}: holds no pictures")
        found += inside
    return found


def encode(path: Path, picture: Picture) -> bytes:
    """Return the content of the picture file `path`, in the format that its suffix names.

    Raises
    ------
    PictureError
        If the suffix names no format, or one that does not take such a picture.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise PictureError(f"{path}: the suffix names no picture format; use one of {', '.join(sorted(SUFFIXES))}")
    content = io.BytesIO()
    try:
        image_format = Image.registered_extensions()[suffix]
        if picture.dtype == np.int32 and image_format != "TIFF":
            raise OSError("it has 16 bits at most; use .tif")
        Image.fromarray(picture).save(content, image_format)
    except Exception as error:  # encoders too
        channels = "gray" if picture.ndim == 2 else f"{picture.shape[-1]}-channel"
        raise PictureError(
            f"{path}: a {channels} picture of {picture.dtype} cannot be written in this format ({_first_line(error)})"
        ) from error
    return content.getvalue()


def write(path: Path, picture: Picture) -> None:
    """Write a picture file, whole or not at all; as :func:`encode`."""
    _files.write(path, encode(path, picture))


def gray(picture: Picture) -> npt.NDArray[np.float32]:
    """Return a picture's brightness, (height, width), 0 for black or transparent and 1 for white.

    White is the largest value of uint8 and uint16, 65535 of int32 and 1 of floating-point numbers.

    Raises
    ------
    PictureError
        If values are not finite, or beyond black or white.
    """
    unsigned = picture.dtype.kind == "u"
    white = int(np.iinfo(picture.dtype).max) if unsigned else 65535 if picture.dtype.kind == "i" else 1
    if not unsigned and not ((picture >= 0) & (picture <= white)).all():
        raise PictureError(
            f"its values go from {picture.min():g} to {picture.max():g}; as {picture.dtype}, black is 0 and white is "
            f"{white}"
        )
    values: npt.NDArray[np.float32] = picture.astype(np.float32) / np.float32(white)
    if values.ndim == 2:
        return values
    channels = values.shape[-1]
    brightness: npt.NDArray[np.float32] = values[..., :3] @ _LUMINANCE if channels >= 3 else values[..., 0]
    return brightness * values[..., -1] if channels in (2, 4) else brightness


def warped(
    picture: Picture,
    transform: Transform,
    shape: tuple[int, int],
    fill: float | Sequence[float] = 0,
    **options: Any,
) -> Picture:
    """Warp a picture as it came from a file.

    Parameters
    ----------
    picture : ndarray, (height, width) or (height, width, 1 to 4)
    transform : Transform
    shape : tuple of int
        Height and width of the result.
    fill : float or sequence of float, optional
        Value beyond the picture, one or one a channel.
    **options
        As in :func:`pullback.warp`.

    Returns
    -------
    ndarray
        Of the dtype of `picture`. Colours are mixed in proportion to their opacity, so what is hidden under transparent
        pixels does not show at the edges.

    Raises
    ------
    PictureError
        If `fill` has another number of values.
    """
    axis = None if picture.ndim == 2 else -1
    channels = 1 if axis is None else picture.shape[-1]
    if np.size(fill) not in (1, channels):
        raise PictureError(f"`fill` has {np.size(fill)} values but the picture has {channels} channels")
    if picture.dtype == np.uint8 and channels not in (2, 4):
        return np.asarray(warp(picture, transform, shape, fill=fill, channel_axis=axis, **options))
    integer = picture.dtype.kind in "ui"
    brightest = np.iinfo(picture.dtype).max if integer else 1.0
    values = picture.astype(np.float64)
    if channels in (2, 4):
        fill = _weighted(np.broadcast_to(np.asarray(fill, dtype=np.float64), channels), brightest).tolist()
        values = _weighted(values, brightest)
    values = warp(values, transform, shape, fill=fill, channel_axis=axis, **options)
    if channels in (2, 4):
        values = _unweighted(values, brightest)
    if integer:
        values = np.clip(np.rint(values), np.iinfo(picture.dtype).min, brightest)
    result: Picture = values.astype(picture.dtype)
    return result


def _weighted(values: Picture, opaque: float) -> Picture:
    """Multiply colours, (..., colours and opacity), by their opacity."""
    return np.concatenate([values[..., :-1] * (values[..., -1:] / opaque), values[..., -1:]], -1)


def _unweighted(values: Picture, opaque: float) -> Picture:
    """Undo :func:`_weighted`; what is fully transparent becomes black."""
    alpha = values[..., -1:]
    colours = np.divide(values[..., :-1] * opaque, alpha, out=np.zeros_like(values[..., :-1]), where=alpha > 0)
    return np.concatenate([colours, alpha], -1)


def fitted(shape: tuple[int, ...]) -> Affine:
    """Return the map, in the frame "centered", that shows a whole image of `shape` in a square, in its proportions."""
    return Affine.scaling(max(shape) / min(shape), ndim=len(shape))


def resized(images: Picture, side: int) -> npt.NDArray[np.float32]:
    """Resize gray images to a square, in their proportions, with black where they do not reach.

    Parameters
    ----------
    images : ndarray, (N, height, width)
        Floating-point images.
    side : int
        Side of the square.

    Returns
    -------
    ndarray of float32, (N, side, side)
        Bilinear where images grow; where they shrink, each pixel is the mean of k x k such values, k large enough
        that no pixel of the image is skipped.
    """
    height, width = images.shape[-2:]
    if (height, width) == (side, side):
        return images.astype(np.float32)
    k = max(1, -(-max(height, width) // side))
    fine = warp(images[:, None].astype(np.float32), fitted((height, width)), (k * side, k * side), frame="centered")
    return np.asarray(fine.reshape(-1, side, k, side, k).mean((2, 4)), dtype=np.float32)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].strip() or type(error).__name__
