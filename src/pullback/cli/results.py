"""The commands that use what was trained: `evaluate`, `export`, `reproduce`, `rectify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pullback.cli.options import RUNS, Download, Mirror, source_of
from pullback.cli.training import end_if_diverged


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
    import pullback._files as _files
    from pullback.train import exporting
    from pullback.train.runs import Run

    content = exporting.to_onnx(Run.open(run), model, seed, batch_size)
    _files.write(target, content)
    typer.echo(f"{target}: {len(content):,} bytes")


def reproduce(
    what: Annotated[str, typer.Argument(metavar="table1", help="Table 1 of the paper.", show_default=False)],
    data: Annotated[str | None, typer.Option(help="A folder with MNIST's IDX files.", show_default=False)] = None,
    download: Download = False,
    mirror: Mirror = None,
    schedule: Annotated[str, typer.Option(help="'fast', or 'paper' for 150,000 iterations.")] = "fast",
    seeds: Annotated[int, typer.Option(min=1, help="Train each cell so many times.")] = 3,
    jobs: Annotated[int, typer.Option(min=1, help="Train so many cells side by side.")] = 1,
    cells: Annotated[
        str | None, typer.Option(help="Only cells whose names begin so, separated by commas: rts-st-cnn.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder for the runs, one a cell.")] = RUNS / "table1",
    out: Annotated[Path, typer.Option(help="Folder for the page, the figure and the metrics.")] = Path("docs/results"),
) -> None:
    """Train the cells of a table of the paper that are not trained yet, and write the page that shows it."""
    from rich.console import Console

    from pullback.train import table1, table1_page

    if what != "table1":
        raise ValueError(f"reproduce: {what!r} is not known; give table1")
    source = source_of(data, download, mirror)
    if source is None:
        raise ValueError("reproduce: give --data FOLDER with MNIST's IDX files, or --download")
    chosen = table1.chosen(cells)
    console = Console(highlight=False)
    diverged = []
    for cell, trained in table1.train(runs, source, schedule, seeds, jobs, chosen):
        if trained.diverged is not None:
            diverged.append(trained)
            console.print(f"{cell.name:20} seed {trained.seed}  diverged at step {trained.diverged}")
            continue
        console.print(
            f"{cell.name:20} seed {trained.seed}  {trained.test_error:5.2f} %  (paper {cell.paper:g} %)  "
            f"in {trained.seconds:.0f} s"
        )
    console.print(f"page: {table1_page.write(runs, out)}", soft_wrap=True)
    end_if_diverged(diverged)


def rectify(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    images: Annotated[list[Path], typer.Argument(help="Pictures, or folders of pictures.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder to write to.", show_default=False)],
    size: Annotated[
        int | None, typer.Option(min=1, help="Side of the results.", show_default="keeps the scale")
    ] = None,
) -> None:
    """Bring pictures into the pose that a run's transformer has learned, and write them as PNG."""
    import pullback._files as _files
    from pullback.train import pictures
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
        picture = pictures.read(path)
        with pictures.naming(path):
            result = straighten(network, canvas, picture, size)
        contents[_free_name(path.stem, contents)] = pictures.encode(Path("picture.png"), result)
    out.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        _files.write(out / name, content)
    typer.echo(f"{len(contents)} pictures in {out}")


def _free_name(stem: str, taken: dict[str, bytes]) -> str:
    name, number = f"{stem}.png", 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}.png"
    return name
