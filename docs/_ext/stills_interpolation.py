"""Still pictures of the figures about interpolation: ``areas``, ``orders``, ``mapping`` and ``kernels``."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import pullback as pb

GREY = "#7c8087"
COLOURS = ("#14958a", "#d0713f", "#5b7fd6", "#a067c4")
RESULT = "#d8365f"
FIGURES = Path(__file__).parents[1] / "_static" / "figures"
SAMPLES = np.array([[1, 4, 3, 6, 2], [3, 7, 2, 5, 8], [6, 5, 9, 1, 4], [2, 8, 4, 7, 3]], float)
Array = np.ndarray[Any, Any]


def _samples(axes: Axes, samples: Array, colours: dict[tuple[int, int], str]) -> None:
    """Draw samples as discs with their numbers, some with a coloured rim."""
    for (i, j), value in np.ndenumerate(samples):
        grey = str(1 - 0.05 * value)
        rim = colours.get((i, j), GREY)
        axes.plot(j, i, "o", color=grey, markeredgecolor=rim, markeredgewidth=2.5, markersize=22)
        axes.text(j, i, f"{value:.0f}", color="black", ha="center", va="center")
    axes.set_aspect("equal")
    axes.axis("off")
    axes.margins(0.14)
    axes.invert_yaxis()


def areas() -> Figure:
    """A point in a cell of samples, and the four rectangles that it cuts the cell into."""
    y, x = 1.4, 1.3
    corners = [(1, 1), (1, 2), (2, 1), (2, 2)]
    value = pb.sample(SAMPLES, [[y, x]])[0]
    figure, axes = plt.subplots(figsize=(7, 4.6))
    for i in range(4):
        axes.plot([0, 4], [i, i], color=GREY, alpha=0.3, zorder=0)
    for j in range(5):
        axes.plot([j, j], [0, 3], color=GREY, alpha=0.3, zorder=0)
    for (i, j), colour in zip(corners, reversed(COLOURS), strict=True):
        corner = min(j, x), min(i, y)
        axes.add_patch(Rectangle(corner, abs(j - x), abs(i - y), facecolor=colour, alpha=0.55, zorder=1))
    _samples(axes, SAMPLES, dict(zip(corners, COLOURS, strict=True)))
    axes.plot(x, y, "o", color=RESULT, markersize=10)
    weights = [(2 - y) * (2 - x), (2 - y) * (x - 1), (y - 1) * (2 - x), (y - 1) * (x - 1)]
    terms = " + ".join(f"{w:.2f} × {SAMPLES[corner]:.0f}" for w, corner in zip(weights, corners, strict=True))
    axes.set_title(f"f({y}, {x}) = {terms} = {value:.2f}")
    return figure


def orders() -> Figure:
    """The same point of a cell, reached along x and then y, and along y and then x."""
    y, x = 0.4, 0.3
    corners = np.array([[7.0, 2], [5, 9]])
    value = pb.sample(corners, [[y, x]])[0]
    figure, both = plt.subplots(1, 2, figsize=(7, 3.4))
    for axes, first, ends in zip(both, "xy", [[(0, x), (1, x)], [(y, 0), (y, 1)]], strict=True):
        axes.add_patch(Rectangle((0, 0), 1, 1, fill=False, edgecolor=GREY, alpha=0.5))
        _samples(axes, corners, {(k // 2, k % 2): colour for k, colour in enumerate(COLOURS)})
        axes.plot(*np.array(ends).T[::-1], "--", color=RESULT)
        for i, j in ends:
            axes.plot(j, i, "o", color=GREY, markersize=7)
            right, down = (0, 0.16 if i else -0.16) if first == "x" else (0.16 if j else -0.16, 0)
            text = f"{pb.sample(corners, [[i, j]])[0]:.1f}"
            axes.text(j + right, i + down, text, ha="center", va="center")
        axes.plot(x, y, "o", color=RESULT, markersize=10)
        axes.text(x + 0.1, y + 0.14, f"{value:.2f}", color=RESULT, va="center")
        axes.set(xlim=(-0.3, 1.3), ylim=(1.25, -0.3), title=f"first along {first}, then {'y' if first == 'x' else 'x'}")
    return figure


def picture() -> Array:
    """Return the picture of the figure ``mapping``, (12, 12), from the figure itself."""
    rows = re.findall(r'^  "([0-9]+)",$', (FIGURES / "mapping.mjs").read_text(encoding="utf-8"), re.MULTILINE)
    return np.array([list(map(int, row)) for row in rows]) / 9


def mapping() -> Figure:
    """A picture under a matrix: samples sent forward by rounding, and fetched by reverse mapping."""
    face, shape = picture(), (18, 18)
    into_middle = pb.Translation([8.5, 8.5])
    matrix = into_middle @ pb.Affine.rotation(25) @ pb.Translation([-5.5, -5.5])
    target = matrix(np.stack(np.indices(face.shape), -1).astype(float))
    counts = pb.splat(np.ones_like(face), target, shape, interpolation="nearest")
    order = np.arange(float(face.size)).reshape(face.shape)  # of samples that come to one place the last one stays
    sent = pb.splat(face, target, shape, interpolation="nearest", normalize="max", importance=order)
    source = matrix.inverse()(np.stack(np.indices(shape), -1).astype(float))
    holes = (counts == 0) & ((source >= 0) & (source <= 11)).all(-1)
    fetched = pb.warp(face, matrix.inverse(), shape, fill=np.nan)
    figure, both = plt.subplots(1, 2, figsize=(7, 3.8))
    titles = [f"forward: {holes.sum()} holes", "reverse: no holes"]
    for axes, image, title in zip(both, [sent, fetched], titles, strict=True):
        axes.imshow(image, vmin=0, vmax=1)
        axes.add_patch(Rectangle((-0.5, -0.5), 18, 18, fill=False, edgecolor=GREY, alpha=0.5))
        axes.axis("off")
        axes.set_title(title)
    for i, j in np.argwhere(holes):
        both[0].add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, color=RESULT))
    return figure


def kernels() -> Figure:
    """The kernels, and the magnitudes of their frequency responses."""
    names = ["nearest", "linear", "cubic", "mitchell", "lanczos3", "bspline3", "spline3"]
    impulse = np.zeros(65)
    impulse[32] = 1
    step = 1 / 64
    s = np.arange(-24, 24, step) + step / 2
    frequencies = np.linspace(0, 2, 161)
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.4))
    for k, name in enumerate(names):
        kernel = pb.sample(impulse, (32 + s)[:, None], interpolation=name)
        gain = np.abs(np.cos(2 * np.pi * frequencies[:, None] * s) @ kernel) * step
        style = {"linewidth": 1.6, "linestyle": "--" if k >= 5 else "-"}
        left.plot(s, kernel, **style)
        right.plot(frequencies, gain, label=name, **style)
    right.axvline(0.5, color=GREY, linestyle=":")
    left.set(xlabel="x − k", xlim=(-3.2, 3.2), title="weight of a sample")
    right.set(xlabel="cycles a sample", title="gain")
    right.legend(fontsize=9, labelcolor=GREY)
    return figure


STILLS: dict[str, Callable[[], Figure]] = {"areas": areas, "orders": orders, "mapping": mapping, "kernels": kernels}
