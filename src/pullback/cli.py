"""The command `pullback`.

Heavy packages are imported by the commands that need them, so that ``pullback --help`` is quick. Whatever a user can
cause ends in one line on stderr and the exit code 2.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

_EXTRA, _ONNX_EXTRA = "pip install 'pullback[train]'", "pip install 'pullback[onnx]'"

try:
    import typer
except ModuleNotFoundError:
    print(f"pullback: the command line needs packages that are not installed; {_EXTRA}", file=sys.stderr)
    raise SystemExit(2) from None

if TYPE_CHECKING:
    from rich.console import Console

    from pullback.train.runs import Configuration, Run

_BAD_INPUT, _INTERRUPTED = 2, 130
_RUNS = Path("runs")

app = typer.Typer(
    help="Image warping, and spatial transformers that train.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the name of the command. Default: that of the process.
    """
    sys.exit(_run(list(sys.argv[1:] if arguments is None else arguments)))


def _run(arguments: list[str]) -> int:
    try:
        code = app(arguments, prog_name="pullback", standalone_mode=False)
        sys.stdout.flush()
    except (typer.Abort, KeyboardInterrupt):
        return _refuse("interrupted", _INTERRUPTED)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "pullback":
            raise
        hint = _ONNX_EXTRA if error.name.startswith("onnx") else _EXTRA
        return _refuse(f"{error.name} is not installed; {hint}")
    except MemoryError:
        return _refuse("this needs more memory than there is")
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error))
    except (ValueError, TypeError) as error:
        return _refuse(str(error))
    except Exception as error:
        # Typer's own errors about arguments; their class has moved between its versions.
        if not hasattr(error, "format_message"):
            raise
        return _refuse(f"{error.format_message()} (see pullback --help)")
    return code if isinstance(code, int) else 0


def _refuse(message: str, code: int = _BAD_INPUT) -> int:
    """Say in one line why, and leave stdout alone if it is what cannot be written."""
    print(f"pullback: {' '.join(message.split())}", file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return code


_train = typer.Typer(invoke_without_command=True)
app.add_typer(_train, name="train")

_Data = Annotated[
    str | None,
    typer.Option(
        help="'digits', or a folder: MNIST-style IDX files, or one sub-folder of pictures a class.",
        show_default="digits",
    ),
]
_Download = Annotated[bool, typer.Option("--download", help="Fetch MNIST first, and train on that.")]
_Mirror = Annotated[
    str | None, typer.Option(help="Address of a folder with MNIST's four files.", show_default="a public one")
]
_Seeds = Annotated[int | None, typer.Option(help="Train each model so many times.", show_default="3")]
_Schedule = Annotated[
    str | None,
    typer.Option(help="'fast', or 'paper' for 150,000 iterations of gradient descent.", show_default="fast"),
]
_Precision = Annotated[str | None, typer.Option(help="'32-true' or 'bf16-mixed'.", show_default="32-true")]
_Runs = Annotated[Path, typer.Option(help="Folder that runs are kept in.")]


@_train.callback()
def train(
    context: typer.Context,
    data: _Data = None,
    download: _Download = False,
    mirror: _Mirror = None,
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
    seeds: _Seeds = None,
    schedule: _Schedule = None,
    epochs: Annotated[int | None, typer.Option(show_default="by schedule and data")] = None,
    batch_size: Annotated[int | None, typer.Option(show_default="by schedule and data")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Highest rate of the schedule.", show_default="by schedule and data")
    ] = None,
    precision: _Precision = None,
    name: Annotated[str | None, typer.Option(help="Name of the run.", show_default="from data and distortion")] = None,
    runs: _Runs = _RUNS,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was interrupted, or give it more seeds.")
    ] = False,
) -> None:
    """Train classifiers with and without a spatial transformer, and show what the transformer learned.

    Under torchrun, all processes train together: torchrun --nproc-per-node 2 -m pullback train ...
    """
    if context.invoked_subcommand is not None:
        ahead = [name for name, value in context.params.items() if value not in (None, False, _RUNS)]
        if ahead:
            option = ahead[0].replace("_", "-")
            raise ValueError(f"train: --{option} stands before {context.invoked_subcommand}; give it behind that")
        return
    given = {
        "data": _source(data, download, mirror),
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


@_train.command()
def addition(
    data: _Data = None,
    download: _Download = False,
    mirror: _Mirror = None,
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
    seeds: _Seeds = None,
    schedule: _Schedule = None,
    epochs: Annotated[int | None, typer.Option(show_default="by schedule and data")] = None,
    precision: _Precision = None,
    name: Annotated[str | None, typer.Option(help="Name of the run.", show_default="from the data")] = None,
    runs: _Runs = _RUNS,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was interrupted.")] = False,
) -> None:
    """Learn to add up two digits, a channel each, with no, one and two spatial transformers."""
    given = {
        "task": "addition",
        "data": _source(data, download, mirror),
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


@_train.command()
def colocalise(
    data: _Data = None,
    download: _Download = False,
    mirror: _Mirror = None,
    classes: Annotated[
        str | None, typer.Option(help="Names of classes, separated by commas.", show_default="all")
    ] = None,
    clutter: Annotated[bool, typer.Option(help="Whether 16 pieces of other pictures lie about.")] = True,
    count: Annotated[int, typer.Option(min=2, help="Canvases of each class.")] = 100,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the training, for each class.")] = 300,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = _RUNS / "colocalise",
) -> None:
    """Learn where pictures of a class are on large canvases, from nothing but that they are alike."""
    from rich.console import Console

    from pullback.train import colocalization
    from pullback.train import data as data_module

    dataset = data_module.load(_source(data, download, mirror) or data_module.DIGITS)
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
            where = "" if runs == _RUNS else f" --runs {runs}"
            again = f"pullback train --resume --name {run.path.name}{where}"
            print(f"pullback: interrupted; go on with: {again}", file=sys.stderr)
            raise typer.Exit(_INTERRUPTED) from None
    if not first:
        return
    page = report.write(run, dataset, all_trained)
    console.print(table(summarize(all_trained), f"{dataset.name} · {run.configuration.distortion}"))
    console.print(f"report: {page}", soft_wrap=True)


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    data: Annotated[str | None, typer.Option(help="Other data, of the same classes.", show_default="the run's")] = None,
    confusion: Annotated[bool, typer.Option("--confusion", help="Show which class is read as which.")] = False,
) -> None:
    """Measure the test error of what a run has trained."""
    from rich.console import Console

    from pullback.train import data as data_module
    from pullback.train import evaluation
    from pullback.train.loop import TestBatches
    from pullback.train.progress import confusion_table, table
    from pullback.train.runs import Run

    opened = Run.open(run)
    dataset = data_module.load(data or opened.configuration.data)
    opened.check(dataset)
    batches = TestBatches.of(opened, dataset)
    console = Console(highlight=False)
    title = f"{run.name}: {len(dataset.test_labels):,} test pictures"
    console.print(table(evaluation.summarize(evaluation.evaluate(opened, batches)), title))
    if confusion:
        for model, counts in evaluation.confusion(opened, batches).items():
            console.print(confusion_table(model, counts.tolist(), opened.classes))


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    target: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="The file to write.", show_default=False)],
    model: Annotated[
        str | None, typer.Option(help="fcn, cnn, st-fcn or st-cnn.", show_default="the first with a transformer")
    ] = None,
    seed: Annotated[int | None, typer.Option(show_default="the first")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures that the graph takes at once.")] = 1,
) -> None:
    """Write a trained network as an ONNX graph: from `images`, 0 to 1, to `logits`, `warped` after a transformer."""
    from pullback.train import atomic, exporting
    from pullback.train.runs import Run

    content = exporting.to_onnx(Run.open(run), model, seed, batch_size)
    atomic.write(target, content)
    typer.echo(f"{target}: {len(content):,} bytes")


@app.command()
def reproduce(
    what: Annotated[str, typer.Argument(metavar="table1", help="Table 1 of the paper.", show_default=False)],
    data: Annotated[str | None, typer.Option(help="A folder with MNIST's IDX files.", show_default=False)] = None,
    download: _Download = False,
    mirror: _Mirror = None,
    schedule: Annotated[str, typer.Option(help="'fast', or 'paper' for 150,000 iterations.")] = "fast",
    seeds: Annotated[int, typer.Option(min=1, help="Train each cell so many times.")] = 3,
    jobs: Annotated[int, typer.Option(min=1, help="Train so many cells side by side.")] = 1,
    cells: Annotated[
        str | None, typer.Option(help="Only cells whose names begin so, separated by commas: rts-st-cnn.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder for the runs, one a cell.")] = _RUNS / "table1",
    out: Annotated[Path, typer.Option(help="Folder for the page, the figure and the metrics.")] = Path("docs/results"),
) -> None:
    """Train the cells of a table of the paper that are not trained yet, and write the page that shows it."""
    from rich.console import Console

    from pullback.train import data as data_module
    from pullback.train import table1, table1_page

    if what != "table1":
        raise ValueError(f"reproduce: {what!r} is not known; give table1")
    source = _source(data, download, mirror)
    if source is None:
        raise ValueError("reproduce: give --data FOLDER with MNIST's IDX files, or --download")
    chosen = table1.chosen(cells)
    console = Console(highlight=False)
    data_module.load(source)  # what cannot be read is refused before anything is begun
    runs.mkdir(parents=True, exist_ok=True)
    for cell, trained in table1.train(runs, source, schedule, seeds, jobs, chosen):
        console.print(
            f"{cell.name:20} seed {trained.seed}  {trained.test_error:5.2f} %  (paper {cell.paper:g} %)  "
            f"in {trained.seconds:.0f} s"
        )
    console.print(f"page: {table1_page.write(runs, out)}", soft_wrap=True)


@app.command()
def rectify(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    images: Annotated[list[Path], typer.Argument(help="Pictures, or folders of pictures.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder to write to.", show_default=False)],
    size: Annotated[
        int | None, typer.Option(min=1, help="Side of the results.", show_default="keeps the scale")
    ] = None,
) -> None:
    """Bring pictures into the pose that a run's transformer has learned, and write them as PNG."""
    from pullback.train import atomic, pictures
    from pullback.train.distortions import DISTORTIONS
    from pullback.train.evaluation import rectify as straighten
    from pullback.train.loading import transformer_of
    from pullback.train.runs import ADDITION, Run

    opened = Run.open(run)
    if opened.configuration.task == ADDITION:
        raise ValueError(f"{run}: its networks look at two pictures at once; there is no pose of one")
    network = transformer_of(opened)
    canvas = DISTORTIONS[opened.configuration.distortion].canvas
    contents: dict[str, bytes] = {}
    for path in pictures.files(images):
        result = straighten(network, canvas, pictures.read(path), size)
        contents[_free_name(path.stem, contents)] = pictures.encode(Path("picture.png"), result)
    out.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        atomic.write(out / name, content)
    typer.echo(f"{len(contents)} pictures in {out}")


@app.command()
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
    import pullback as pb
    from pullback.train import pictures

    if not 0 < scale < float("inf"):
        raise ValueError(f"warp: --scale is {scale}; give a positive number")
    picture = pictures.read(source)
    size = picture.shape[:2]
    result = _shape(shape) if shape else size
    pictures.encode(target, picture[:1, :1])
    middle, new_middle = (tuple((n - 1) / 2 for n in sides) for sides in (size, result))
    # Read from right to left, as maps of points: from the output back to the input.
    transform = (
        pb.Translation(middle)
        @ pb.Affine.scaling(1 / scale, ndim=2)
        @ pb.Affine.rotation(rotate)
        @ pb.Translation([-m - t for m, t in zip(new_middle, translate, strict=True)])
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


@app.command()
def info() -> None:
    """Tell the version, the instruction set, the threads and the backends."""
    import importlib.util
    import platform

    import numpy as np

    import pullback as pb

    facts: dict[str, Any] = {"pullback": pb.__version__, "python": platform.python_version(), "numpy": np.__version__}
    facts |= _native_facts()
    facts["threads"] = pb.get_num_threads()
    if importlib.util.find_spec("torch"):
        import torch

        devices = ["cpu", *(f"cuda:{k} ({torch.cuda.get_device_name(k)})" for k in range(torch.cuda.device_count()))]
        facts["torch"] = f"{torch.__version__} on {', '.join(devices)}"
    else:
        facts["torch"] = f"not installed; {_EXTRA}"
    for key, value in facts.items():
        typer.echo(f"{key:18} {value}")


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        from pullback._version import __version__

        typer.echo(__version__)
        raise typer.Exit


def _native_facts() -> dict[str, Any]:
    from pullback import _native

    others = [name for name in _native.available_isas() if name != _native.isa()]
    return {"instruction set": f"{_native.isa()} (also here: {', '.join(others) or 'none'}; PULLBACK_ISA chooses)"}


def _source(data: str | None, download: bool, mirror: str | None) -> str | None:
    """Return the data to train on as a configuration names it; None for the default."""
    from pullback.train import data as data_module

    if mirror is not None and not download:
        raise ValueError("--mirror is given without --download")
    if download:
        if data is not None:
            raise ValueError("--data and --download are given; give one of them")
        return str(data_module.download(*(() if mirror is None else (mirror,))))
    return data if data in (None, data_module.DIGITS) else str(Path(str(data)).resolve())


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


def _free_name(stem: str, taken: dict[str, bytes]) -> str:
    name, number = f"{stem}.png", 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}.png"
    return name


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


if __name__ == "__main__":
    main()
