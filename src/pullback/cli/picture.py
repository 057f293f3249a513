"""The command that warps a picture: `warp`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def warp(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A picture.", show_default=False)],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The picture to write.", show_default=False)],
    rotate: Annotated[float, typer.Option(help="Turn the content counter-clockwise, in degrees.")] = 0.0,
    scale: Annotated[float, typer.Option(help="Make the content so many times as large.")] = 1.0,
    translate: Annotated[
        tuple[float, float], typer.Option(metavar="DOWN RIGHT", help="Move the content, in pixels.")
    ] = (0.0, 0.0),
    shape: Annotated[
        str | None, typer.Option(metavar="HEIGHTxWIDTH", help="Size of the result.", show_default="as the input")
    ] = None,
    interpolation: Annotated[str, typer.Option(help="nearest or linear.")] = "linear",
    border: Annotated[
        str, typer.Option(help="What lies beyond the picture: constant, edge, reflect, symmetric or wrap.")
    ] = "constant",
    fill: Annotated[
        str, typer.Option(help="Value beyond the picture for border constant; one, or one a channel: 255,128,0.")
    ] = "0",
) -> None:
    """Turn, scale and move a picture about its middle."""
    from pullback.train import pictures
    from pullback.transforms import Affine, Translation

    if not 0 < scale < float("inf"):
        raise ValueError(f"warp: --scale is {scale}; give a positive number")
    picture = pictures.read(source)
    size = picture.shape[:2]
    result = _shape(shape) if shape else size
    pictures.encode(target, picture[:1, :1])
    middle, new_middle = (tuple((n - 1) / 2 for n in sides) for sides in (size, result))
    # Read from right to left, as maps of points: from the output back to the input.
    transform = (
        Translation(middle)
        @ Affine.scaling(1 / scale, ndim=2)
        @ Affine.rotation(rotate)
        @ Translation([-m - t for m, t in zip(new_middle, translate, strict=True)])
    )
    values = _numbers("fill", fill)
    warped = pictures.warped(
        picture,
        transform,
        result,
        interpolation=interpolation,
        border=border,
        fill=values[0] if len(values) == 1 else values,
        antialias=scale < 1 and interpolation != "nearest",
    )
    pictures.write(target, warped)


def _shape(text: str) -> tuple[int, int]:
    sides = text.lower().replace("×", "x").split("x")
    if len(sides) != 2 or not all(side.strip().isdecimal() and int(side) > 0 for side in sides):
        raise ValueError(f"warp: --shape is {text!r}; give height and width as in 480x640")
    return int(sides[0]), int(sides[1])


def _numbers(option: str, text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"warp: --{option} is {text!r}; give numbers, separated by commas") from None
