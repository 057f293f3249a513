"""The commands that train: `train`, `train addition`, `train colocalise`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pullback.cli.options import (
    DIVERGED,
    INTERRUPTED,
    RUNS,
    Data,
    Download,
    Mirror,
    Precision,
    Runs,
    Schedule,
    Seeds,
    source_of,
)

if TYPE_CHECKING:
    from rich.console import Console

    from pullback.train.runs import Configuration, Run, Trained


def train(
    context: typer.Context,
    data: Data = None,
    download: Download = False,
    mirror: Mirror = None,
    distortion: Annotated[
        str | None,
        typer.Option(
            help="'r' (rotation), 'rts' (rotation, scale and place), 'p' (projective), 'e' (elastic) or 'tc' "
            "(place, with clutter).",
            show_default="rts",
        ),
    ] = None,
    transform: Annotated[
        str | None,
        typer.Option(
            help="What the transformer may do: translation, attention, similarity, affine, projective, tps, free-form "
            "or diffeomorphic.",
            show_default="affine",
        ),
    ] = None,
    models: Annotated[
        str | None,
        typer.Option(help="Of fcn, cnn, st-fcn and st-cnn, separated by commas.", show_default="cnn,st-cnn"),
    ] = None,
    seeds: Seeds = None,
    schedule: Schedule = None,
    epochs: Annotated[int | None, typer.Option(show_default="by schedule and data")] = None,
    batch_size: Annotated[int | None, typer.Option(show_default="by schedule and data")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Highest rate of the schedule.", show_default="by schedule and data")
    ] = None,
    precision: Precision = None,
    name: Annotated[str | None, typer.Option(help="Name of the run.", show_default="from data and distortion")] = None,
    runs: Runs = RUNS,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was interrupted, or give it more seeds.")
    ] = False,
) -> None:
    """Train classifiers with and without a spatial transformer, and show what the transformer learned.

    Under torchrun, all processes train together: torchrun --nproc-per-node 2 -m pullback train ...

    Exit codes: 0; 2 for what cannot be done as asked, a damaged file among it; 3 where a training diverged (what it was
    before is kept, and the report is written); 130 for an interruption.
    """
    if context.invoked_subcommand is not None:
        ahead = [name for name, value in context.params.items() if value not in (None, False, RUNS)]
        if ahead:
            option = ahead[0].replace("_", "-")
            raise ValueError(f"train: --{option} stands before {context.invoked_subcommand}; give it behind that")
        return
    given = {
        "data": source_of(data, download, mirror),
        "distortion": distortion,
        "transform": transform,
        "models": _listed(models),
        "seeds": seeds,
        "schedule": schedule,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "precision": precision,
    }
    _train_run(given, name, runs, resume)


def addition(
    data: Data = None,
    download: Download = False,
    mirror: Mirror = None,
    distortion: Annotated[
        str | None, typer.Option(help="As in pullback train, of each digit on its own.", show_default="rts")
    ] = None,
    transform: Annotated[
        str | None, typer.Option(help="What the transformers may do, as in pullback train.", show_default="tps")
    ] = None,
    models: Annotated[
        str | None,
        typer.Option(
            help="Of fcn, cnn, st-fcn, st-cnn, 2st-fcn and 2st-cnn, separated by commas.",
            show_default="fcn,st-fcn,2st-fcn",
        ),
    ] = None,
    seeds: Seeds = None,
    schedule: Schedule = None,
    epochs: Annotated[int | None, typer.Option(show_default="by schedule and data")] = None,
    precision: Precision = None,
    name: Annotated[str | None, typer.Option(help="Name of the run.", show_default="from the data")] = None,
    runs: Runs = RUNS,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was interrupted.")] = False,
) -> None:
    """Learn to add up two digits, a channel each, with no, one and two spatial transformers."""
    given = {
        "task": "addition",
        "data": source_of(data, download, mirror),
        "distortion": distortion,
        "transform": transform,
        "models": _listed(models),
        "seeds": seeds,
        "schedule": schedule,
        "epochs": epochs,
        "precision": precision,
    }
    usual = {
        "distortion": "rts",
        "transform": "tps",
        "models": ("fcn", "st-fcn", "2st-fcn"),
        # With a smaller step the transformers find the digits much later, since a sum tells less about each.
        "localization_scale": 1.0,
    }
    _train_run(given, name, runs, resume, usual)


def colocalise(
    data: Data = None,
    download: Download = False,
    mirror: Mirror = None,
    classes: Annotated[
        str | None, typer.Option(help="Names of classes, separated by commas.", show_default="all")
    ] = None,
    clutter: Annotated[bool, typer.Option(help="Whether 16 pieces of other pictures lie about.")] = True,
    count: Annotated[int, typer.Option(min=2, help="Canvases of each class.")] = 100,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the training, for each class.")] = 300,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = RUNS / "colocalise",
) -> None:
    """Learn where pictures of a class are on large canvases, from nothing but that they are alike."""
    from rich.console import Console

    from pullback.train import colocalization
    from pullback.train import data as data_module

    dataset = data_module.load(source_of(data, download, mirror) or data_module.DIGITS)
    wanted = list(dataset.classes) if classes is None else [part.strip() for part in classes.split(",")]
    for name in wanted:
        if name not in dataset.classes:
            raise ValueError(f"colocalise: {name!r} is no class; there is {', '.join(dataset.classes)}")
        label = dataset.classes.index(name)
        if not ((dataset.train_labels == label).any() and (dataset.test_labels == label).any()):
            raise ValueError(f"colocalise: there are no pictures of {name!r} to train on, or none to test")
    out.mkdir(parents=True, exist_ok=True)
    scene = colocalization.SCENES["tc" if clutter else "t"]
    console = Console(highlight=False)
    console.print(
        f"{dataset.name}, {scene.summary}: found is what overlaps by more than a half, before > after (unseen)"
    )
    describe = colocalization.describer(dataset, seed)
    located = []
    for name in wanted:
        label = dataset.classes.index(name)
        one = colocalization.colocalise(dataset, label, scene, describe, count=count, steps=steps, seed=seed)
        located.append(one)
        before, after, unseen = (colocalization.found(found) for found in (one.before, one.overlap, one.unseen))
        console.print(
            f"{name:>8}  {before:5.1f} % > {after:5.1f} %  ({unseen:5.1f} %)  mean overlap {one.overlap.mean():.2f}"
        )
    console.print(f"picture: {colocalization.write(located, out)}", soft_wrap=True)


def _listed(names: str | None) -> tuple[str, ...] | None:
    from pullback.train import models

    if names is None:
        return None
    given = {part.strip() for part in names.split(",")}
    # In the order that they have everywhere; what is no model follows, to be refused.
    return (*(name for name in models.MODELS if name in given), *sorted(given - set(models.MODELS)))


def _train_run(
    given: dict[str, Any], name: str | None, runs: Path, resume: bool, usual: dict[str, Any] | None = None
) -> None:
    """Make a run with what of the configuration is given, or go on with one, train it and write its report.

    What is not given is as in `usual`, or as in :class:`~pullback.train.runs.Configuration`.
    """
    from rich.console import Console

    from pullback.train import data as data_module
    from pullback.train import loop, processes, report
    from pullback.train.evaluation import summarize
    from pullback.train.progress import TerminalProgress, table
    from pullback.train.runs import Configuration, Run, defaults

    given = {key: value for key, value in given.items() if value is not None}
    wanted = {**(usual or {}), **given}
    with processes.together():
        first = processes.rank() == 0
        console = Console(highlight=False, quiet=not first)
        if resume:
            run = _interrupted(runs, name, given, _base_name(wanted))
            dataset = data_module.load(run.configuration.data)
            run.check(dataset)
        else:
            asked = Configuration(**wanted)  # what is out of range is refused before anything is read
            path = _new(runs, name, asked) if first else None
            dataset = data_module.load(asked.data)
            others = defaults(asked.schedule, len(dataset.train_labels), asked.models)
            if first:
                assert path is not None
                Run.create(path, Configuration(**{**others, **wanted}), dataset)
            run = Run.open(processes.told_by_first(path))
        _announce(console, run)
        try:
            with TerminalProgress(console) as progress:
                all_trained = loop.train(run, dataset, progress)
        except KeyboardInterrupt:
            where = "" if runs == RUNS else f" --runs {runs}"
            again = f"pullback train --resume --name {run.path.name}{where}"
            print(f"pullback: interrupted; go on with: {again}", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None
    if not first:
        return
    page = report.write(run, dataset, all_trained)
    console.print(table(summarize(all_trained), f"{dataset.name} · {run.configuration.distortion}"))
    console.print(f"report: {page}", soft_wrap=True)
    end_if_diverged(all_trained)


def end_if_diverged(all_trained: Iterable[Trained]) -> None:
    """Say which trainings diverged, and end with an exit code of its own, if one did."""
    fates = [trained.fate for trained in all_trained if trained.diverged is not None]
    if fates:
        print(f"pullback: {'; '.join(fates)}; a smaller --learning-rate may help", file=sys.stderr)
        raise typer.Exit(DIVERGED)


def _announce(console: Console, run: Run) -> None:
    settings = run.configuration
    console.print(
        f"[bold]{run.path}[/bold]: {Path(settings.data).name} · {settings.distortion} · {settings.transform} · "
        f"{settings.epochs} epochs · {settings.seeds} seed{'s' if settings.seeds > 1 else ''}",
        soft_wrap=True,
    )


def _base_name(given: dict[str, Any]) -> str:
    """Return the name of runs with such settings that were not given one."""
    parts = [Path(given.get("data", "digits")).name, given.get("distortion", "rts")]
    if given.get("transform", "affine") != "affine":
        parts.append(given["transform"])
    if given.get("task", "classification") != "classification":
        parts.append(given["task"])
    return "-".join(parts)


def _numbered(runs: Path, name: str) -> list[Path]:
    """Return the runs called `name`, `name`-2, `name`-3, ..., as far as they exist, and the first that does not."""
    paths = [runs / name]
    while paths[-1].exists():
        paths.append(runs / f"{name}-{len(paths) + 1}")
    return paths


def _new(runs: Path, name: str | None, configuration: Configuration) -> Path:
    """Return the folder of a new run."""
    if name is None:
        import dataclasses

        return _numbered(runs, _base_name(dataclasses.asdict(configuration)))[-1]
    path = _named(runs, name)
    if path.exists():
        raise ValueError(f"{path}: exists already; go on with it with --resume, or give another --name")
    return path


def _interrupted(runs: Path, name: str | None, given: dict[str, Any], base_name: str) -> Run:
    """Return the run to go on with: the one of that name, or the newest unfinished one of such a base name."""
    import dataclasses

    from pullback.train.runs import Run, RunError

    if name is not None:
        run = Run.open(_named(runs, name))
    else:
        found = [Run.open(path) for path in _numbered(runs, base_name)[:-1]]
        if not found:
            raise RunError(f"{runs / base_name}: no such run; there is nothing to resume")
        run = next((run for run in reversed(found) if not run.finished), found[-1])
    kept = {field.name: getattr(run.configuration, field.name) for field in dataclasses.fields(run.configuration)}
    for key, value in given.items():
        if kept[key] != value and not (key == "seeds" and value > kept[key]):
            raise RunError(
                f"{run.path}: was started with {key} {kept[key]}, and goes on only so; it cannot become {value}"
            )
    more = given.get("seeds", 0) > run.configuration.seeds
    return run.with_seeds(given["seeds"]) if more else run


def _named(runs: Path, name: str) -> Path:
    if not name or Path(name).name != name:
        raise ValueError(f"--name is {name!r}; give the name of a folder, without any path")
    return runs / name
