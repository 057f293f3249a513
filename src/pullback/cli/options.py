"""What several commands have in common: options, the data that they name, exit codes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# What the command line ends with, beside 0.
BAD_INPUT, DIVERGED, INTERRUPTED = 2, 3, 130
RUNS = Path("runs")

Data = Annotated[
    str | None,
    typer.Option(
        help="'digits', or a folder: MNIST-style IDX files, or one sub-folder of pictures a class, or such in train "
        "and test (or val).",
        show_default="digits",
    ),
]
Download = Annotated[bool, typer.Option("--download", help="Fetch MNIST first, and train on that.")]
Mirror = Annotated[
    str | None, typer.Option(help="Address of a folder with MNIST's four files.", show_default="a public one")
]
Seeds = Annotated[int | None, typer.Option(help="Train each model so many times.", show_default="3")]
Schedule = Annotated[
    str | None,
    typer.Option(help="'fast', or 'paper' for 150,000 iterations of gradient descent.", show_default="fast"),
]
Precision = Annotated[str | None, typer.Option(help="'32-true' or 'bf16-mixed'.", show_default="32-true")]
Runs = Annotated[Path, typer.Option(help="Folder that runs are kept in.")]


def source_of(data: str | None, download: bool, mirror: str | None) -> str | None:
    """Return the data to train on as a configuration names it; None for the default."""
    from pullback.train import data as data_module

    if mirror is not None and not download:
        raise ValueError("--mirror is given without --download")
    if download:
        if data is not None:
            raise ValueError("--data and --download are given; give one of them")
        return str(data_module.download(*(() if mirror is None else (mirror,))))
    return data if data in (None, data_module.DIGITS) else str(Path(str(data)).resolve())
