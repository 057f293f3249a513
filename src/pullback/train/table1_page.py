"""The page, the figure and the figures' sources of Table 1, from the runs of its cells."""

from __future__ import annotations

import csv
import dataclasses
import io
import statistics
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import pullback._files as _files
from pullback.train import models
from pullback.train.distortions import DISTORTIONS
from pullback.train.runs import COLUMNS, SCHEDULES, Configuration, Row, Run, RunError, Trained, check_history
from pullback.train.table1 import CELLS, Cell

# Model, transform and distortion.
Place = tuple[str, str | None, str]

_ROWS: tuple[tuple[str, str | None], ...] = tuple(dict.fromkeys((cell.model, cell.transform) for cell in CELLS))
_TICKS = (0.5, 1, 2, 5, 10)
_PAPER_COLOUR, _PLAIN_COLOUR, _ST_COLOUR = "#9a978f", "#b4572a", "#0f766e"


@dataclass(frozen=True)
class Measured:
    """A cell and what was trained for it.

    Attributes
    ----------
    cell : Cell
    configuration : Configuration
    trained : tuple of Trained
        One a seed.
    """

    cell: Cell
    configuration: Configuration
    trained: tuple[Trained, ...]

    @property
    def mean(self) -> float:
        """Mean test error in per cent."""
        return statistics.fmean(one.test_error for one in self.trained)

    @property
    def deviation(self) -> float | None:
        """Standard deviation over the seeds (of the sample); None for one seed."""
        return statistics.stdev(one.test_error for one in self.trained) if len(self.trained) > 1 else None

    @property
    def seconds(self) -> float:
        """Mean training time of a seed."""
        return statistics.fmean(one.seconds for one in self.trained)

    @property
    def excess(self) -> float:
        """By how much the mean, to a tenth of a per cent as in the paper, is above the paper's."""
        return round(round(self.mean, 1) - self.cell.paper, 1)


def write(runs: Path, out: Path) -> Path:
    """Write ``table1.md``, ``table1.svg``, ``table1.json`` and ``table1-metrics.csv``.

    Parameters
    ----------
    runs : Path
        Where the runs are, one a cell.
    out : Path
        Where to write. Of a cell that has more seeds there already than in `runs`, trained in the same way, what is
        there is kept: cells may be trained on several machines.

    Returns
    -------
    Path
        The page.
    """
    kept = _kept(out)
    measured = [one for cell in CELLS if (one := _chosen(_of_run(runs, cell), kept.get(cell.name)))]
    out.mkdir(parents=True, exist_ok=True)
    metrics = _metrics(measured)
    record = {"cells": [_record(one) for one in measured], "metrics": _crc32(metrics)}
    _files.write(out / "table1-metrics.csv", metrics)
    _files.write(out / "table1.json", _files.json_text(record, 1))
    _files.write(out / "table1.svg", _figure(measured))
    page = out / "table1.md"
    _files.write(page, _page(measured))
    return page


def _chosen(measured: Measured | None, kept: Measured | None) -> Measured | None:
    """Return what was measured now, or, if that was measured in the same way with more seeds, what was kept before."""
    if measured is None or kept is None:
        return measured or kept
    same = dataclasses.replace(kept.configuration, seeds=measured.configuration.seeds, data=measured.configuration.data)
    more = len(kept.trained) > len(measured.trained)
    return kept if more and same == measured.configuration else measured


def _of_run(runs: Path, cell: Cell) -> Measured | None:
    if not (runs / cell.name).is_dir():
        return None
    run = Run.open(runs / cell.name)
    trained = tuple(dataclasses.replace(one, state={}) for one in run.trained() if one.diverged is None)
    return Measured(cell, run.configuration, trained) if trained else None


def _kept(out: Path) -> dict[str, Measured]:
    """Read what was written before, by the names of the cells."""
    if not (out / "table1.json").is_file():
        return {}
    try:
        return _read(out)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, csv.Error) as error:
        raise RunError(
            f"{out / 'table1.json'}: damaged, or not of the table1-metrics.csv beside it ({error})"
        ) from error


def _read(out: Path) -> dict[str, Measured]:
    content = _files.parsed((out / "table1.json").read_bytes())
    metrics = (out / "table1-metrics.csv").read_text(encoding="utf-8")
    if content["metrics"] != _crc32(metrics):
        raise ValueError("its checksum of the metrics is another")
    histories: dict[tuple[str, int], list[Row]] = {}
    for row in csv.DictReader(io.StringIO(metrics)):
        place = (row.pop("cell"), int(row["seed"]))
        histories.setdefault(place, []).append({name: _value(name, text) for name, text in row.items()})
    cells = {cell.name: cell for cell in CELLS}
    kept = {}
    for record in content["cells"]:
        cell = cells[record["cell"]]
        configuration = Configuration(**record["configuration"])
        seeds = [one["seed"] for one in record["seeds"]]
        for seed in seeds:
            check_history(histories[cell.name, seed], cell.model, seed)
        trained = tuple(Trained(cell.model, seed, {}, histories[cell.name, seed]) for seed in seeds)
        kept[cell.name] = Measured(cell, configuration, trained)
    return kept


def _crc32(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


def _value(column: str, text: str) -> Any:
    return text if column == "model" else int(text) if column in ("seed", "epoch") else float(text)


def _page(measured: Sequence[Measured]) -> str:
    by_place = {(one.cell.model, one.cell.transform, one.cell.distortion): one for one in measured}

    def table(entry: Callable[[Place], str]) -> str:
        lines = [["", *(name.upper() for name in DISTORTIONS)], ["---", *["---:"] * len(DISTORTIONS)]]
        for model, transform in _ROWS:
            lines.append([_name(model, transform), *(entry((model, transform, name)) for name in DISTORTIONS)])
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    papers = {(cell.model, cell.transform, cell.distortion): cell.paper for cell in CELLS}

    def errors(place: Place) -> str:
        if place not in papers:
            return ""
        paper = f"({papers[place]:g})"
        if place not in by_place:
            return f"– {paper}"
        one = by_place[place]
        ours = f"{one.mean:.2f}" + ("" if one.deviation is None else f" ± {one.deviation:.2f}")
        return f"**{ours}** {paper}" if one.excess <= 0 else f"{ours} {paper}"

    def effort(place: Place) -> str:
        one = by_place.get(place)
        return "" if one is None else f"{len(one.trained)} × {one.seconds:.0f} s"

    with_transformer = [one for one in measured if one.cell.model in models.WITH_TRANSFORMER]
    met = sum(one.excess <= 0 for one in with_transformer)
    above = "\n".join(
        f"- {one.cell.distortion.upper()}, {_name(one.cell.model, one.cell.transform)}: {one.mean:.2f} against "
        f"{one.cell.paper:g}, {one.excess:g} above."
        for one in with_transformer
        if one.excess > 0
    )
    above = f" Above it are:\n\n{above}" if above else ""
    distortions = "\n".join(f"- {name.upper()}: {row.summary}." for name, row in DISTORTIONS.items())
    return f"""# Table 1 of the paper, measured

Test error in per cent on distorted MNIST (60,000 digits to train on, 10,000 to test): ours, with the standard
deviation over the seeds, and in brackets that of Jaderberg et al. 2015. Bold: at or below the paper's, at its precision
of a tenth. This page is written by `pullback reproduce table1`; the configuration of every cell is in
[table1.json](table1.json), every epoch in [table1-metrics.csv](table1-metrics.csv), and [tried.md](tried.md) tells what
was tried.

{table(errors)}

![Error of every cell, ours and the paper's](table1.svg)

{distortions}

All networks have about {models.PARAMETERS:,} parameters, to within 5 %, where the paper's have 400,000.
{_schedules(measured)}

## Against the paper

{met} of the {len(with_transformer)} cells with a transformer are at or below the paper's error.{above}

## Seeds and training time

How many seeds, and the mean time of one, on one core of a CPU that others shared.

{table(effort)}
"""


def _schedules(measured: Sequence[Measured]) -> str:
    """Return in a sentence each how the networks were trained."""
    epochs: dict[str, dict[str, None]] = {}
    for one in measured:
        settings = one.configuration
        how = (
            f"Schedule {settings.schedule} ({SCHEDULES[settings.schedule]}), batches of {settings.batch_size}, rate up "
            f"to {settings.learning_rate:g}"
        )
        kind = "CNN" if one.cell.model in models.CONVOLUTIONAL else "FCN"
        epochs.setdefault(how, {})[f"{settings.epochs} epochs for {kind}s"] = None
    return " ".join(f"{how}: {', '.join(counts)}." for how, counts in epochs.items())


def _name(model: str, transform: str | None) -> str:
    return model.upper() + (f" {transform}" if transform else "")


def _record(one: Measured) -> dict[str, Any]:
    """Return what is kept of a cell; of the data only the name, for where they were is of no use to anyone else."""
    configuration = dataclasses.asdict(one.configuration)
    return {
        "cell": one.cell.name,
        "paper": one.cell.paper,
        "configuration": {**configuration, "data": Path(one.configuration.data).name},
        "seeds": [
            {"seed": trained.seed, "test_error": _short(trained.test_error), "seconds": _short(trained.seconds)}
            for trained in one.trained
        ],
    }


def _metrics(measured: Sequence[Measured]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, ("cell", *COLUMNS), lineterminator="\n")
    writer.writeheader()
    for one in measured:
        for trained in one.trained:
            for row in trained.history:
                short = {
                    key: float(f"{value:.5g}") if isinstance(value, float) else value for key, value in row.items()
                }
                writer.writerow({"cell": one.cell.name, **short})
    return text.getvalue()


def _short(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _figure(measured: Sequence[Measured]) -> str:
    """Return the figure as SVG: one panel a distortion, one line a model, the paper's error beside ours."""
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "table1", "font.size": 10}):
        figure = Figure(figsize=(11, 3.4), layout="constrained")
        panels = figure.subplots(1, len(DISTORTIONS), sharey=True)
        names = [_name(*row) for row in _ROWS]
        for panel, distortion in zip(panels, DISTORTIONS, strict=True):
            for cell in CELLS:
                if cell.distortion == distortion:
                    at = names.index(_name(cell.model, cell.transform))
                    panel.plot(cell.paper, at, "o", color="none", markeredgecolor=_PAPER_COLOUR, markersize=8)
            for one in measured:
                if one.cell.distortion == distortion:
                    at = names.index(_name(one.cell.model, one.cell.transform))
                    colour = _ST_COLOUR if one.cell.transform else _PLAIN_COLOUR
                    errors = [trained.test_error for trained in one.trained]
                    panel.plot(errors, np.full(len(errors), at), "o", color=colour, markersize=2.5, alpha=0.6)
                    panel.plot(one.mean, at, "o", color=colour, markersize=5)
            panel.set_title(distortion.upper(), fontsize=11)
            panel.set_xscale("log")
            panel.set_xlim(0.4, 16)
            panel.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
            panel.set_xticks([], minor=True)
            panel.set_yticks(range(len(names)), names)
            panel.set_ylim(len(names) - 0.5, -0.5)
            panel.grid(axis="both", color="#e5e1d8", linewidth=0.8)
            panel.spines[:].set_visible(False)
            panel.tick_params(length=0)
            panel.set_axisbelow(True)
        figure.supxlabel("test error, % (filled: ours, with each seed; ring: the paper's)", fontsize=10)
        text = io.StringIO()
        figure.savefig(text, format="svg", facecolor="white", metadata={"Date": None})
    return text.getvalue()
