"""What a person sees while a training goes on and when it is over."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from pullback.train.evaluation import Result
from pullback.train.runs import Row, Trained


class TerminalProgress:
    """A bar for the training under way, and a line for each that is finished.

    Parameters
    ----------
    console : Console
        Where it is not a terminal, only the lines are printed.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bars = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=32),
            TextColumn("epoch"),
            MofNCompleteColumn(),
            TextColumn("{task.fields[error]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task: TaskID | None = None
        self.batches = 1

    def __enter__(self) -> TerminalProgress:
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.bars.stop()

    def start(self, model: str, seed: int, epochs: int, batches: int, done: int) -> None:
        """Show a new bar."""
        self.batches = batches
        self.task = self.bars.add_task(_name(model, seed), total=epochs, completed=done, error="")

    def batch(self) -> None:
        """Move the bar on by one batch."""
        if self.task is not None:
            self.bars.advance(self.task, 1 / self.batches)

    def epoch(self, row: Row) -> None:
        """Show what the epoch brought."""
        if self.task is not None:
            self.bars.update(self.task, completed=row["epoch"], error=f"test error {row['test_error']:5.2f} %")

    def finish(self, trained: Trained) -> None:
        """Put a line in the place of the bar."""
        if self.task is not None:
            self.bars.remove_task(self.task)
        if trained.diverged is not None:
            self.console.print(
                f"{_name(trained.model, trained.seed)}  diverged at step {trained.diverged}", highlight=False
            )
            return
        self.console.print(
            f"{_name(trained.model, trained.seed)}  test error {trained.test_error:5.2f} %  in {trained.seconds:.0f} s",
            highlight=False,
        )


def table(results: Sequence[Result], title: str) -> Table:
    """Return the table of results for a terminal."""
    shown = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    shown.add_column("model")
    for heading in ("parameters", "test error, %", "each seed", "training"):
        shown.add_column(heading, justify="right")
    best = min((result.mean for result in results if result.errors), default=None)
    for result in results:
        shown.add_row(
            result.model.upper(),
            f"{result.parameters:,}",
            result.error,
            " · ".join(f"{error:.2f}" for error in result.errors),
            f"{result.seconds:.0f} s",
            style="bold" if result.mean == best else "",
        )
    return shown


def confusion_table(model: str, counts: Sequence[Sequence[int]], classes: Sequence[str]) -> Table:
    """Return for a terminal how often each class, a row, is read as each, a column."""
    shown = Table(title=f"{model.upper()}, read as", box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    shown.add_column("")
    for name in classes:
        shown.add_column(name, justify="right")
    for row, (name, line) in enumerate(zip(classes, counts, strict=True)):
        entries = [f"[bold]{count}[/bold]" if column == row else str(count or "·") for column, count in enumerate(line)]
        shown.add_row(f"[bold]{name}[/bold]", *entries)
    return shown


def _name(model: str, seed: int) -> str:
    return f"{model:6}  seed {seed}"
