"""Table 1 of Jaderberg et al. 2015: its cells, their training, one run a cell, and the page that shows them."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from pullback.threads import set_num_threads
from pullback.train import data as data_module
from pullback.train import loop, models
from pullback.train.data import Dataset
from pullback.train.runs import Configuration, Run, RunError, Trained, defaults


@dataclass(frozen=True)
class Cell:
    """One cell of the table.

    Attributes
    ----------
    distortion, model : str
    transform : str or None
        None for a model without a transformer.
    paper : float
        Error that the paper gives, in per cent.
    """

    distortion: str
    model: str
    transform: str | None
    paper: float

    @property
    def name(self) -> str:
        """Name of its run."""
        return "-".join(part for part in (self.distortion, self.model, self.transform) if part)

    def configuration(self, data: str, schedule: str, pictures: int) -> Configuration:
        """Return how its first seed is trained."""
        return Configuration(
            data=data,
            distortion=self.distortion,
            transform=self.transform or "affine",
            models=(self.model,),
            seeds=1,
            schedule=schedule,
            **defaults(schedule, pictures, (self.model,)),
        )


_DISTORTIONS = ("r", "rts", "p", "e")
_PAPER: dict[tuple[str, str | None], tuple[float, ...]] = {
    (models.FCN, None): (2.1, 5.2, 3.1, 3.2),
    (models.CNN, None): (1.2, 0.8, 1.5, 1.4),
    (models.ST_FCN, "affine"): (1.2, 0.8, 1.5, 2.7),
    (models.ST_FCN, "projective"): (1.3, 0.9, 1.4, 2.6),
    (models.ST_FCN, "tps"): (1.1, 0.8, 1.4, 2.4),
    (models.ST_CNN, "affine"): (0.7, 0.5, 0.8, 1.2),
    (models.ST_CNN, "projective"): (0.8, 0.6, 0.8, 1.3),
    (models.ST_CNN, "tps"): (0.7, 0.5, 0.8, 1.1),
}
_PAPER_CLUTTER = {models.FCN: 13.2, models.CNN: 3.5, models.ST_FCN: 2.0, models.ST_CNN: 1.7}

CELLS: tuple[Cell, ...] = tuple(
    Cell(distortion, model, transform, error)
    for (model, transform), errors in _PAPER.items()
    for distortion, error in zip(_DISTORTIONS, errors, strict=True)
) + tuple(
    Cell("tc", model, "affine" if model in models.WITH_TRANSFORMER else None, error)
    for model, error in _PAPER_CLUTTER.items()
)


def train(
    folder: Path, data: str, schedule: str, seeds: int, workers: int, cells: Sequence[Cell] = CELLS
) -> Iterator[tuple[Cell, Trained]]:
    """Train what of the table is not trained yet: every cell with the first seed, then with the next.

    Parameters
    ----------
    folder : Path
        Where the runs are, one a cell.
    data, schedule : str
    seeds : int
        How many each cell is to have; cells that have more keep them.
    workers : int
        How many processes train side by side.
    cells : sequence of Cell, optional

    Returns
    -------
    iterator of (Cell, Trained)
        As they are finished. An interrupted one goes on, the next time, after its last whole epoch.

    Raises
    ------
    RunError
        Before anything is begun, if a run was started with other settings.
    """
    pictures = len(data_module.load(data).train_labels)
    wanted = {cell: cell.configuration(data, schedule, pictures) for cell in cells}
    for cell, configuration in wanted.items():
        path = folder / cell.name
        if path.exists() and replace(Run.open(path).configuration, seeds=1) != configuration:
            raise RunError(f"{path}: was started with other settings, and goes on only so; give another folder")
    folder.mkdir(parents=True, exist_ok=True)
    return _side_by_side(folder, data, seeds, workers, wanted)


def _side_by_side(
    folder: Path, data: str, seeds: int, workers: int, wanted: dict[Cell, Configuration]
) -> Iterator[tuple[Cell, Trained]]:
    """Train in processes of their own; yield what is finished."""
    threads = max(1, (os.cpu_count() or 1) // workers)
    # Processes with threads, such as torch's, are not forked.
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(workers, context, _start, (threads, data)) as pool:
        try:
            for count in range(1, seeds + 1):
                tasks = {
                    pool.submit(_train, folder / cell.name, replace(configuration, seeds=count)): cell
                    for cell, configuration in wanted.items()
                }
                for task in as_completed(tasks):
                    yield from ((tasks[task], trained) for trained in task.result())
        except BaseException:
            # What waits is not begun, and what is under way goes on after its last whole epoch the next time.
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in set(multiprocessing.active_children()) - others:
                worker.kill()  # at any moment: its files are whole
            raise


_dataset: Dataset


def _start(threads: int, data: str) -> None:
    global _dataset
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    set_num_threads(threads)
    _dataset = data_module.load(data)


def _end_with_parent() -> None:
    """End this process when the one that started it is gone: nothing that a training has written is half done."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _train(path: Path, wanted: Configuration) -> list[Trained]:
    """Bring the run of a cell to so many seeds; return what was trained now, without the weights."""
    run = Run.open(path) if path.exists() else Run.create(path, wanted, _dataset)
    if run.configuration.seeds < wanted.seeds:
        run = run.with_seeds(wanted.seeds)
    had = {job for job in run.configuration.jobs if run.has(*job)}
    return [
        replace(trained, state={})
        for trained in loop.train(run, _dataset, loop.Silence())
        if (trained.model, trained.seed) not in had
    ]


def chosen(prefixes: str | None) -> tuple[Cell, ...]:
    """Return the cells whose names begin with one of `prefixes`, separated by commas; all for None.

    Raises
    ------
    ValueError
        If one of them is the beginning of no name.
    """
    if prefixes is None:
        return CELLS
    wanted = [prefix.strip() for prefix in prefixes.split(",")]
    for prefix in wanted:
        if not any(cell.name.startswith(prefix) for cell in CELLS):
            raise ValueError(f"cells: {prefix!r} is the beginning of none of {', '.join(cell.name for cell in CELLS)}")
    return tuple(cell for cell in CELLS if cell.name.startswith(tuple(wanted)))
