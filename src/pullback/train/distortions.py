"""The distortions that pictures are trained and tested under: one table, drawn in batches, by seed.

A distortion is a random map in the frame "centered", from the canvas to the picture, so the library distorts a whole
batch in one call of :func:`pullback.warp`, on whatever device the pictures are. The random numbers are drawn on the
CPU, so that they are the same for every device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pullback.sampling import sample, splat
from pullback.transforms import Affine, Projective, ThinPlateSpline, Transform, Translation
from pullback.warping import warp

# From what is random to maps from the canvas to the picture: boxes of the ink (N, 2, 2), and the generator.
Draw = Callable[[Tensor, torch.Generator], Transform]

SIDE = 28


@dataclass(frozen=True)
class Distortion:
    """One row of the table.

    Attributes
    ----------
    summary : str
        What it does, for tables and reports.
    canvas : int
        Side of the square that the distorted picture, of 28 x 28, is drawn on.
    draw : callable
        From the boxes of :func:`ink_boxes` and a random generator to a batch of maps from the canvas to the picture, in
        the frame "centered".
    clutter : int
        How many pieces of other pictures lie about on the canvas.
    """

    summary: str
    canvas: int
    draw: Draw
    clutter: int = 0


# The first number of every seed: what the random numbers are for. Two uses never share a stream.
TRAINING, TESTING = 1, 2

# Paler than this is background, when it is asked where a picture's ink ends.
_INK = 0.05

# Side of a piece of clutter.
_PIECE = 6


def generator(*seeds: int) -> torch.Generator:
    """Return a random generator whose state is a function of all of `seeds`, and of nothing else."""
    (state,) = np.random.SeedSequence(seeds).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


def ink_boxes(images: Tensor) -> Tensor:
    """Return where the ink of each picture begins and ends.

    Parameters
    ----------
    images : Tensor, (N, 1, side, side)

    Returns
    -------
    Tensor, (N, 2, 2)
        First and last coordinate (second axis) along y and x (third axis), in the frame "centered", pixels taken as
        squares. A picture without ink counts as one full of it.
    """
    side = images.shape[-1]
    ink = images[:, 0] > _INK
    ink |= ~ink.flatten(1).any(1)[:, None, None]
    position = torch.arange(side)
    along = torch.stack([ink.any(2), ink.any(1)], -1)
    first = torch.where(along, position[:, None], side).amin(1)
    last = torch.where(along, position[:, None], -1).amax(1) + 1
    return torch.stack([first, last], 1) * (2 / side) - 1


def apply(distortion: Distortion, images: Tensor, boxes: Tensor, chosen: Tensor, random: torch.Generator) -> Tensor:
    """Distort some of the pictures.

    Parameters
    ----------
    distortion : Distortion
    images : Tensor, (N, 1, 28, 28)
        All pictures; clutter is cut from any of them.
    boxes : Tensor, (N, 2, 2)
        Their :func:`ink_boxes`, on the CPU.
    chosen : Tensor of int64, (M,)
        Which are distorted, on the CPU.
    random : torch.Generator

    Returns
    -------
    Tensor, (M, 1, canvas, canvas)
    """
    transform = distortion.draw(boxes[chosen], random)
    distorted = place(images[chosen.to(images.device)], transform, distortion.canvas)
    if not distortion.clutter:
        return distorted
    return littered(distorted, images, boxes, distortion.clutter, random)


def place(images: Tensor, transform: Transform, canvas: int) -> Tensor:
    """Return `images`, (N, 1, side, side), through `transform` on a canvas, (N, 1, canvas, canvas)."""
    placed: Tensor = warp(images, transform.torch(images.device), (canvas, canvas), frame="centered")
    return placed


def turned_and_placed(canvas: int, degrees: float, scales: tuple[float, float], anywhere: bool) -> Draw:
    """Return the drawing of rotations, scales and places.

    Parameters
    ----------
    canvas : int
    degrees : float
        Rotations are uniform in [-degrees, degrees].
    scales : tuple of float
        Scales are uniform between these two.
    anywhere : bool
        Whether the picture is put anywhere on the canvas where its ink fits, or in the middle.

    Notes
    -----
    With rotation R, scale s and place c, point q of the picture comes to ``p = s R q + c`` on the canvas, so the canvas
    is read at ``q = R⁻¹ (p - c) / s``. The place is uniform over all that keep the box of the ink on the canvas; along
    an axis where it fits nowhere, it is in the middle.
    """
    low, high = scales

    def draw(boxes: Tensor, random: torch.Generator) -> Transform:
        uniform = torch.rand(len(boxes), 4, generator=random)
        angle = (2 * uniform[:, 0] - 1) * degrees
        scale = (low + (high - low) * uniform[:, 1]) * (SIDE / canvas)
        turned = Affine.scaling(1 / scale[:, None]) @ Affine.rotation(angle)
        if not anywhere:
            return turned
        corners = torch.stack([boxes[:, [i, j], [0, 1]] for i in (0, 1) for j in (0, 1)], 1)
        reached = (Affine.scaling(scale[:, None]) @ Affine.rotation(-angle))(corners)
        lowest, highest = -1 - reached.amin(1), 1 - reached.amax(1)
        middle = (lowest + highest) / 2
        offset = middle + (uniform[:, 2:] - 0.5) * (highest - lowest).clamp(min=0)
        return turned @ Translation(-offset)

    return draw


def seen_aslant(canvas: int, scales: tuple[float, float], deviation: float) -> Draw:
    """Return the drawing of projective maps that move the corners of the canvas, with the picture in its middle.

    Parameters
    ----------
    canvas : int
    scales : tuple of float
        All of it is first scaled by a number uniform between these two.
    deviation : float
        Each corner is then moved by normal numbers of this standard deviation, in pixels. Corners that are no longer
        those of a convex quadrangle, which no projective map shows, are drawn again.
    """
    low, high = scales
    square = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)

    def draw(boxes: Tensor, random: torch.Generator) -> Transform:
        scale = low + (high - low) * torch.rand(len(boxes), 1, 1, generator=random, dtype=torch.float64)
        corners = torch.zeros(len(boxes), 4, 2, dtype=torch.float64)
        again = torch.ones(len(boxes), dtype=torch.bool)
        while again.any():
            moved = torch.randn(int(again.sum()), 4, 2, generator=random, dtype=torch.float64)
            corners[again] = scale[again] * square + moved * (deviation * 2 / canvas)
            again = ~_is_convex(corners)
        return Projective(_homography(corners, square * (canvas / SIDE)).float())

    return draw


def bent(scales: tuple[float, float], deviation: float) -> Draw:
    """Return the drawing of thin-plate splines on 4 x 4 control points.

    Parameters
    ----------
    scales : tuple of float
        The picture is scaled by a number uniform between these two.
    deviation : float
        Each control point is read from a place that is off by normal numbers of this standard deviation, in pixels.
    """
    low, high = scales
    sides = torch.linspace(-1, 1, 4)
    points = torch.cartesian_prod(sides, sides)

    def draw(boxes: Tensor, random: torch.Generator) -> Transform:
        scale = low + (high - low) * torch.rand(len(boxes), 1, 1, generator=random)
        moved = torch.randn(len(boxes), len(points), 2, generator=random) * (deviation * 2 / SIDE)
        return ThinPlateSpline.identity(points.numpy()).with_parameters((points + moved) / scale)

    return draw


DISTORTIONS: dict[str, Distortion] = {
    "r": Distortion(
        "turned by up to 90° either way",
        canvas=28,
        draw=turned_and_placed(28, degrees=90, scales=(1.0, 1.0), anywhere=False),
    ),
    "rts": Distortion(
        "turned by up to 45° either way, scaled by 0.7 to 1.2 and placed at random on a canvas of 42 × 42",
        canvas=42,
        draw=turned_and_placed(42, degrees=45, scales=(0.7, 1.2), anywhere=True),
    ),
    "p": Distortion(
        "scaled by 0.75 to 1 and seen aslant: each corner of a canvas of 42 × 42 moved by 5 pixels or so",
        canvas=42,
        draw=seen_aslant(42, scales=(0.75, 1.0), deviation=5.0),
    ),
    "e": Distortion(
        "scaled by 0.75 to 1 and bent, each of 4 × 4 points off by 1.5 pixels or so",
        canvas=28,
        draw=bent(scales=(0.75, 1.0), deviation=1.5),
    ),
    "tc": Distortion(
        "placed at random on a canvas of 60 × 60, among six pieces of other pictures",
        canvas=60,
        draw=turned_and_placed(60, degrees=0, scales=(1.0, 1.0), anywhere=True),
        clutter=6,
    ),
}


def _is_convex(corners: Tensor) -> Tensor:
    """Say of quadrangles, (N, 4, 2), which are convex and run the same way as the square's corners."""
    edge = corners.roll(-1, 1) - corners
    following = edge.roll(-1, 1)
    return (edge[..., 1] * following[..., 0] - edge[..., 0] * following[..., 1] > 0).all(1)


def _homography(source: Tensor, target: Tensor) -> Tensor:
    """Return the matrices, (N, 3, 3), that take four points, (N, 4, 2), to four others, (4, 2)."""
    target = target.expand_as(source)
    homogeneous = torch.cat([source, torch.ones_like(source[..., :1])], -1)
    nothing = torch.zeros_like(homogeneous)
    # a . (p, 1) - q_y (c . p) = q_y, and the same for x, of every pair p, q.
    rows = [
        torch.cat([homogeneous, nothing, -target[..., :1] * source], -1),
        torch.cat([nothing, homogeneous, -target[..., 1:] * source], -1),
    ]
    solved = torch.linalg.solve(torch.cat(rows, 1), torch.cat([target[..., 0], target[..., 1]], 1))
    return torch.cat([solved, torch.ones_like(solved[:, :1])], 1).reshape(-1, 3, 3)


def littered(canvases: Tensor, images: Tensor, boxes: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Lay `count` pieces of the ink of other pictures on each canvas."""
    side, device = canvases.shape[-1], images.device
    drawn = [_piece(boxes, len(canvases), side, random) for _ in range(count)]
    sources, corners, spots = (torch.stack(parts, 1).to(device) for parts in zip(*drawn, strict=True))
    within = torch.cartesian_prod(*[torch.arange(float(_PIECE), device=device)] * 2)
    pieces: Tensor = sample(images[sources.flatten()], corners.flatten(0, 1)[:, None] + within)
    places = (spots[:, :, None] + within).flatten(1, 2)
    laid: Tensor = splat(pieces.reshape(len(canvases), 1, -1), places, (side, side))
    return (canvases + laid).clamp(max=1)


def _piece(boxes: Tensor, canvases: int, side: int, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw, for each canvas: which picture, (N,), from where in its ink, (N, 2), and to where on the canvas, (N, 2)."""
    sources = torch.randint(len(boxes), (canvases,), generator=random)
    uniform = torch.rand(canvases, 2, 2, generator=random)
    box = (boxes[sources] + 1) * (SIDE / 2)
    room = (box[:, 1] - box[:, 0] - _PIECE).clamp(min=0)
    corners = (box[:, 0] + (uniform[:, 0] * (room + 1)).floor().minimum(room)).clamp(max=SIDE - _PIECE)
    return sources, corners, (uniform[:, 1] * (side - _PIECE + 1)).floor()
