"""Still pictures of the figures about transforms, ``grid`` and ``descent``, and the data that those figures read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import skimage.data
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

import pullback as pb

GREY, GRID, FRAME, CURVE, RESULT = "#7c8087", "#f4f1ea", "#2dd4bf", "#14958a", "#d8365f"
CORNERS = np.array([[-1.0, -1], [-1, 1], [1, -1], [1, 1]])
THIRDS = np.stack(np.meshgrid([-1, -1 / 3, 1 / 3, 1], [-1, -1 / 3, 1 / 3, 1], indexing="ij"), -1).reshape(-1, 2)
Array = np.ndarray[Any, Any]


def photo() -> Array:
    """Return the photo of the figure ``grid``, (160, 160, 3)."""
    return pb.resize(skimage.data.chelsea()[:, 90:390], (160, 160), channel_axis=-1)


def lesson() -> tuple[Array, Array]:
    """Return the input and the target of the figure ``descent``: a digit, turned and shifted, and upright."""
    digit = load_digits().images[4] / 16
    upright = np.zeros((20, 20))
    upright[3:17, 3:17] = pb.resize(digit, (14, 14), interpolation="cubic").clip(0, 1)
    soft = np.exp(-(np.arange(-2, 3) ** 2) / 0.9)
    upright = np.apply_along_axis(np.convolve, 0, upright, soft, "same")
    upright = np.apply_along_axis(np.convolve, 1, upright, soft, "same")
    target = (upright / upright.max()).round(3)
    pose = pb.Euclidean(0.5, [0.12, -0.2])
    return pb.warp(target, pose, frame="centered", interpolation="cubic").clip(0, 1).round(3), target


def write_data(folder: Path) -> None:
    """Write what the figures read."""
    folder.mkdir(parents=True, exist_ok=True)
    plt.imsave(folder / "photo.png", photo())
    picture, target = lesson()
    text = json.dumps({"input": picture.tolist(), "target": target.tolist()})
    (folder / "descent.json").write_text(text + "\n", encoding="utf-8")


def _draw_grid(axes: Axes, transform: pb.Transform, shape: tuple[int, ...]) -> None:
    """Draw the lattice of the output where `transform` takes it, in the samples of an input of `shape`."""
    unit, middle = min(shape) / 2, (np.array(shape) - 1) / 2
    along = np.linspace(-1, 1, 33)
    for place in np.linspace(-1, 1, 9):
        for points in (np.stack([along, 0 * along + place], -1), np.stack([0 * along + place, along], -1)):
            y, x = (middle + unit * transform(points)).T
            edge = abs(place) == 1
            axes.plot(x, y, color=FRAME if edge else GRID, linewidth=2 if edge else 0.8, clip_on=False)


def grid() -> Figure:
    """Show a photo through three transforms, with their sampling grids on it."""
    picture = photo()
    corners = np.array([[-0.55, -0.35], [-0.75, 0.6], [0.8, -0.75], [0.6, 0.8]])
    y, x = THIRDS.T
    bent = 0.72 * THIRDS + 0.16 * np.stack([np.cos(2.4 * x), np.sin(2.4 * y)], -1)
    transforms = {
        "affine": pb.Affine([[0.5, 0.15, 0.0], [-0.2, 0.6, -0.05]]),
        "projective": pb.Projective.fit(CORNERS, corners),
        "thin-plate spline": pb.ThinPlateSpline(THIRDS, bent),
    }
    figure, rows = plt.subplots(2, 3, figsize=(7, 5))
    for (name, transform), above, below in zip(transforms.items(), *rows, strict=True):
        above.imshow(picture)
        _draw_grid(above, transform, picture.shape[:2])
        above.set_title(name)
        below.imshow(pb.warp(picture, transform, shape=(96, 96), channel_axis=-1, frame="centered"))
        for axes in (above, below):
            axes.axis("off")
    return figure


def descent() -> Figure:
    """Show the pull of a loss on each point of a sampling grid, at the start, and what thirty steps come to."""
    picture, target = lesson()
    points = np.argwhere(np.ones(target.shape)).reshape(*target.shape, 2).astype(float)
    residual = pb.sample(picture, points) - target
    pull = -2 * residual[..., None] * pb.gradient(picture, points) / target.size

    parameters, losses = np.zeros(3), []
    for _ in range(31):
        transform = pb.Euclidean.from_parameters(parameters)
        output = pb.warp(picture, transform, frame="centered")
        losses.append(np.mean((output - target) ** 2))
        slopes = pb.warp_vjp(picture, transform, 2 * (output - target) / target.size, frame="centered")[1]
        parameters = parameters - 0.5 * slopes

    figure, axes = plt.subplots(1, 4, figsize=(9, 2.6), width_ratios=[1.4, 1, 1, 1.2])
    axes[0].imshow(picture)
    y, x = points.reshape(-1, 2).T
    dy, dx = pull.reshape(-1, 2).T
    scale = np.hypot(dy, dx).max() / 2
    axes[0].quiver(x, y, dx, dy, angles="xy", scale_units="xy", scale=scale, color=RESULT, width=0.008)
    axes[1].imshow(output)
    axes[2].imshow(target)
    for place, title in zip(axes, ["input, −∂L/∂x", "output, step 30", "target"], strict=False):
        place.set_title(title)
        place.axis("off")
    axes[3].plot(losses, color=CURVE)
    axes[3].set(xlabel="step", title="loss", ylim=(0, None))
    return figure


STILLS: dict[str, Callable[[], Figure]] = {"grid": grid, "descent": descent}
