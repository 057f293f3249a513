"""Make the pictures of the README: `make demo`, then `.venv/bin/python docs/pictures.py runs/demo`."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import skimage.data
from matplotlib.patches import Polygon

import pullback as pb
from pullback.train import view
from pullback.train.data import load
from pullback.train.distortions import DISTORTIONS
from pullback.train.loading import transformer_of
from pullback.train.loop import TestBatches
from pullback.train.runs import Run

IMAGES = Path(__file__).parent / "images"
TEAL, INK, PAPER = "#0f766e", "#22211f", "#fbfaf6"


def photographs() -> list[tuple[str, np.ndarray]]:
    """Return a photograph and what transforms make of it, each with its title."""
    photo = skimage.data.chelsea()[:, 90:390]
    turn = pb.Affine.rotation(30)
    options = {"channel_axis": -1, "frame": "centered"}
    lean = pb.Affine([[1.0, 0.0, 0.0], [0.5, 1.0, 0.0]])
    return [
        ("a photograph", photo),
        ("rotation(30)", pb.warp(photo, turn, fill=(251, 250, 246), **options)),
        (
            "rotation(30) @ scaling(1.6), reflect",
            pb.warp(photo, turn @ pb.Affine.scaling(1.6), border="reflect", **options),
        ),
        ("shear, wrap", pb.warp(photo, lean, border="wrap", **options)),
    ]


def digits(run: Run) -> view.View:
    """Return test pictures beside what the run's transformer made of them, a few of every class in turn."""
    configuration = run.configuration
    batches = TestBatches(load(configuration.data), DISTORTIONS[configuration.distortion])
    return view.look(transformer_of(run), batches)


def main(path: str) -> None:
    """Make the picture from the run at `path`."""
    seen = digits(Run.open(Path(path)))
    first = [int(np.flatnonzero(seen.labels.numpy() == label)[1]) for label in range(10)]
    figure = plt.figure(figsize=(12, 6.4), facecolor=PAPER)
    rows = figure.add_gridspec(
        2, 1, height_ratios=[1.45, 1.25], hspace=0.12, left=0.015, right=0.985, top=0.95, bottom=0.02
    )
    top = rows[0].subgridspec(1, 4, wspace=0.04)
    for column, (title, picture) in enumerate(photographs()):
        axes = figure.add_subplot(top[column])
        axes.imshow(picture)
        axes.set_title(title, fontsize=10, color=INK, family="monospace")
        axes.axis("off")
    bottom = rows[1].subgridspec(2, 10, wspace=0.06, hspace=0.06)
    side = seen.inputs.shape[-1]
    for column, index in enumerate(first):
        above, below = (figure.add_subplot(bottom[row, column]) for row in (0, 1))
        above.imshow(seen.inputs[index, 0], cmap="gray", vmin=0, vmax=1)
        corners = view.outline(seen.frames[index, 0], side) - 0.5
        above.add_patch(Polygon(corners, closed=True, fill=False, edgecolor="#2dd4bf", linewidth=1.4))
        above.set(xlim=(-0.5, side - 0.5), ylim=(side - 0.5, -0.5))
        below.imshow(seen.outputs[index, 0], cmap="gray", vmin=0, vmax=1)
        for axes in (above, below):
            axes.axis("off")
    IMAGES.mkdir(exist_ok=True)
    figure.savefig(IMAGES / "pullback.png", dpi=100)


if __name__ == "__main__":
    main(sys.argv[1])
