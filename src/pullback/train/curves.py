"""Learning curves as SVG whose colours are CSS variables, so that a page can show them in light and in dark."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from pullback.train import models
from pullback.train.runs import Trained

# Stand-ins that matplotlib draws with, and the variables of the page that take their place.
_INK, _FAINT = "#010101", "#020202"
_COLOURS = {model: f"#0303{place:02x}" for place, model in enumerate(models.MODELS)}
_VARIABLES = {
    _INK: "var(--muted)",
    _FAINT: "var(--line)",
    **{stand_in: f"var(--of-{model})" for model, stand_in in _COLOURS.items()},
}


def draw(all_trained: Sequence[Trained], column: str, floor: float) -> str:
    """Draw one column of the metrics against the epochs, on a logarithmic scale.

    Parameters
    ----------
    all_trained : sequence of Trained
        One thin line each; the mean of each model is a thick one.
    column : str
        Name of the column.
    floor : float
        What smaller values, zero among them, are drawn as.

    Returns
    -------
    str
        An ``<svg>`` element as wide as its parent, its texts in the font of the page.
    """
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": column, "font.size": 11}):
        figure = Figure(figsize=(5, 3.1), layout="constrained")
        axes = figure.add_subplot()
        for model in models.MODELS:
            lines = [[max(row[column], floor) for row in one.history] for one in all_trained if one.model == model]
            longest = max(map(len, lines), default=0)
            if longest:
                # Those that diverged end before the others.
                whole = [line + [np.nan] * (longest - len(line)) for line in lines if line]
                _draw_model(axes, model, np.array(whole))
        _dress(axes)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return _for_page(text.getvalue())


def _draw_model(axes: matplotlib.axes.Axes, model: str, lines: np.ndarray) -> None:
    epochs = np.arange(1, lines.shape[1] + 1)
    colour = _COLOURS[model]
    marker = "o" if len(epochs) == 1 else ""
    if len(lines) > 1:
        axes.plot(epochs, lines.T, color=colour, linewidth=0.7, alpha=0.35)
    axes.plot(epochs, np.nanmean(lines, 0), color=colour, linewidth=2.2, marker=marker, solid_capstyle="round")


def _dress(axes: matplotlib.axes.Axes) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch", color=_INK)
    axes.tick_params(which="both", colors=_INK, length=0)
    axes.grid(axis="y", color=_FAINT, linewidth=0.8)
    axes.spines[:].set_visible(False)
    axes.margins(x=0.02)


def _for_page(svg: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font(-family)?: *([\d.]+px )?'[^;\"]*", _font, svg)
    for stand_in, variable in _VARIABLES.items():
        svg = svg.replace(stand_in, variable)
    return svg


def _font(match: re.Match[str]) -> str:
    return f"font-size: {match[2].strip()}" if match[2] else "font-family: inherit"
