"""The distortions that pictures are trained and tested under: one table, drawn in batches, by seed.

A distortion is a random affine map in the frame "centered", from the canvas to the picture, so the library distorts a
whole batch in one call of :func:`pullback.warp`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

import pullback as pb
from pullback.transforms import MatrixTransform


@dataclass(frozen=True)
class Distortion:
    """One row of the table.

    Attributes
    ----------
    summary : str
        What it does, for tables and reports.
    canvas : int
        Side of the square that the distorted picture is drawn on.
    degrees : float
        Rotations are uniform in [-degrees, degrees].
    scales : tuple of float
        Scales are uniform between these two.
    placed : bool
        Whether the picture is put anywhere on the canvas where its ink fits, or in the middle.
    """

    summary: str
    canvas: int
    degrees: float
    scales: tuple[float, float] = (1.0, 1.0)
    placed: bool = False


DISTORTIONS: dict[str, Distortion] = {
    "r": Distortion("turned by up to 90° either way", canvas=28, degrees=90),
    "rts": Distortion(
        "turned by up to 45° either way, scaled by 0.7 to 1.2 and placed at random on a canvas of 42 × 42",
        canvas=42,
        degrees=45,
        scales=(0.7, 1.2),
        placed=True,
    ),
}

# The first number of every seed: what the random numbers are for. Two uses never share a stream.
TRAINING, TESTING = 1, 2

# Paler than this is background, when it is asked where a picture's ink ends.
_INK = 0.05


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


def draw(distortion: Distortion, boxes: Tensor, side: int, random: torch.Generator) -> MatrixTransform:
    """Draw one random map a picture.

    Parameters
    ----------
    distortion : Distortion
    boxes : Tensor, (N, 2, 2)
        From :func:`ink_boxes`.
    side : int
        Side of the pictures, in pixels.
    random : torch.Generator

    Returns
    -------
    MatrixTransform
        A batch of N maps from the canvas to the picture, in the frame "centered".

    Notes
    -----
    With rotation R, scale s and place c, point q of the picture comes to ``p = s R q + c`` on the canvas, so the canvas
    is read at ``q = R⁻¹ (p - c) / s``. The place is uniform over all that keep the box of the ink on the canvas; along
    an axis where it fits nowhere, it is in the middle.
    """
    count = len(boxes)
    uniform = torch.rand(count, 4, generator=random)
    degrees = (2 * uniform[:, 0] - 1) * distortion.degrees
    low, high = distortion.scales
    scale = (low + (high - low) * uniform[:, 1]) * (side / distortion.canvas)
    turned = pb.Affine.scaling(1 / scale[:, None]) @ pb.Affine.rotation(degrees)
    if not distortion.placed:
        return turned
    corners = torch.stack([boxes[:, [i, j], [0, 1]] for i in (0, 1) for j in (0, 1)], 1)
    reached = (pb.Affine.scaling(scale[:, None]) @ pb.Affine.rotation(-degrees))(corners)
    lowest, highest = -1 - reached.amin(1), 1 - reached.amax(1)
    middle = (lowest + highest) / 2
    place = middle + (uniform[:, 2:] - 0.5) * (highest - lowest).clamp(min=0)
    return turned @ pb.Translation(-place)


def distort(images: Tensor, transform: MatrixTransform, distortion: Distortion) -> Tensor:
    """Return `images`, (N, 1, side, side), on the canvas, (N, 1, canvas, canvas)."""
    canvas = (distortion.canvas, distortion.canvas)
    distorted: Tensor = pb.warp(images, transform, canvas, frame="centered")
    return distorted
