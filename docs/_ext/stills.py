"""Still pictures of the figures that can be touched, and the data that the figures read: made by the library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import stills_interpolation
import stills_transform
from matplotlib.figure import Figure

import pullback as pb

GREY = "#7c8087"
A, B, C, D, RESULT = "#14958a", "#d0713f", "#5b7fd6", "#a067c4", "#d8365f"


def line() -> Figure:
    """A point between two samples of a sequence."""
    values = np.array([3.0, 5, 4, 1, 2, 6, 5, 2])
    x = 1.3
    value = pb.sample(values, [[x]])[0]
    figure, axes = plt.subplots(figsize=(7, 3))
    axes.plot(values, color=GREY, alpha=0.4)
    axes.stem(values, linefmt=GREY, markerfmt="o", basefmt="none")
    axes.plot([1, 2], values[1:3], color=A, linewidth=2.5)
    axes.plot([x, x], [0, value], "--", color=RESULT)
    axes.plot([x], [value], "o", color=RESULT, markersize=9)
    axes.set(xlabel="x", ylim=(0, 6.6), title=f"f({x}) = 0.7 × 5 + 0.3 × 4 = {value:.2f}")
    return figure


STILLS: dict[str, Callable[[], Figure]] = {"line": line, **stills_interpolation.STILLS, **stills_transform.STILLS}


def make(folder: Path) -> None:
    """Write the pictures to ``folder/stills``, and the data to ``folder/data``."""
    stills_transform.write_data(folder / "data")
    pictures = folder / "stills"
    pictures.mkdir(parents=True, exist_ok=True)
    with plt.rc_context(fname=Path(__file__).parents[1] / "matplotlibrc"):
        for name, picture in STILLS.items():
            figure = picture()
            figure.savefig(pictures / f"{name}.svg", metadata={"Date": None})
            plt.close(figure)
