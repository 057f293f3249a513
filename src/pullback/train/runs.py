"""What a run keeps on disk, and how it comes back.

=======================================  ==================================================================
``config.json``                          the configuration, the data and the versions that it was started with
``metrics.csv``                          one row an epoch, of every model and seed
``checkpoints/MODEL-seedK.safetensors``  what was trained: weights, and in the metadata, as JSON, the history
``checkpoints/last.ckpt``                the training under way, from which ``--resume`` goes on
``tensorboard/``                         the same measurements for TensorBoard
``report.html``                          the page that shows the run
=======================================  ==================================================================

Every file is written whole or not at all, TensorBoard's apart, and no file is needed to read another. A flipped byte is
seen in each that is read again: ``config.json`` has a CRC-32 of its entries under "checksum", the metadata of a
safetensors file the SHA-256 of that file (with zeros in the place of the digest), and ``last.ckpt``, a zip archive, the
SHA-256 of itself without it as its comment.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import importlib.metadata
import io
import json
import math
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import safetensors
import safetensors.torch
import torch
from torch import Tensor

import pullback._files as _files
from pullback._version import __version__
from pullback.nn import FAMILIES
from pullback.train import models
from pullback.train.data import Dataset
from pullback.train.distortions import DISTORTIONS

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

Row: TypeAlias = dict[str, Any]

COLUMNS = (
    "model",
    "seed",
    "epoch",
    "learning_rate",
    "train_loss",
    "train_error",
    "test_loss",
    "test_error",
    "seconds",
)


# Under this name the metadata of a safetensors file hold the rest of what was trained.
_METADATA = "training"
# Stands where the digest of a file will, while that is formed.
_NO_DIGEST = "0" * 64
# A zip archive ends in the length of its comment, of two bytes, and the comment.
_COMMENT = (64).to_bytes(2, "little")
_MOST = 1_000_000


class RunError(_files.FileError):
    """A run that is missing, damaged, or not what was asked for."""


# What is learned: to name a picture's class, or of two pictures, a channel each, the sum of what they show.
CLASSIFICATION, ADDITION = "classification", "addition"
CHANNELS = {CLASSIFICATION: 1, ADDITION: 2}

# How a training goes: what its options are where they are not given, and what a reader is told of it.
FAST, PAPER = "fast", "paper"
SCHEDULES: dict[str, str] = {
    FAST: "AdamW, one cycle",
    PAPER: "stochastic gradient descent, the rate divided by 10 after each third",
}
PRECISIONS = ("32-true", "bf16-mixed")

# The paper's 150,000 iterations.
_PAPER_ITERATIONS = 150_000
# With so few pictures an epoch is short, and the steps of small batches are many.
_FEW_PICTURES = 10_000


def defaults(schedule: str, pictures: int, wanted: Sequence[str]) -> dict[str, Any]:
    """Return the epochs, the batch size and the learning rates that a schedule has where they are not given.

    Parameters
    ----------
    schedule : {"fast", "paper"}
    pictures : int
        How many there are to train on.
    wanted : sequence of str
        The models.

    Returns
    -------
    dict
        As arguments of :class:`Configuration`. Fast: 30 epochs on few pictures; on many, 16 for convolutional networks
        and 40 for others.
        Paper: as many epochs as make 150,000 iterations.
    """
    if schedule == PAPER:
        batch = 256
        return {
            "epochs": -(-_PAPER_ITERATIONS // -(-pictures // batch)),
            "batch_size": batch,
            "learning_rate": 0.01,
            "localization_scale": 1.0,
            "weight_decay": 0.0,
        }
    if pictures <= _FEW_PICTURES:
        return {"epochs": 30, "batch_size": 64, "learning_rate": 6e-3}
    convolutional = any(model in models.CONVOLUTIONAL for model in wanted)
    return {"epochs": 16 if convolutional else 40, "batch_size": 128, "learning_rate": 3e-3}


@dataclass(frozen=True)
class Configuration:
    """All that a training depends on, beside the versions of the software.

    Attributes
    ----------
    data : str
        As in :func:`pullback.train.data.load`.
    distortion : str
        A row of :data:`pullback.train.distortions.DISTORTIONS`.
    transform : str
        Family of the transformer's transforms.
    task : {"classification", "addition"}
    models : tuple of str
        What is trained, names in :data:`pullback.train.models.MODELS`.
    seeds : int
        Each model is trained once with each of the seeds 0, 1, ..., seeds - 1.
    schedule : {"fast", "paper"}
        See :data:`SCHEDULES`.
    epochs, batch_size : int
        A batch is what one step is taken after, on however many processes it is computed.
    learning_rate : float
        Highest step of the schedule.
    localization_scale : float
        Step of localization networks, as a part of `learning_rate`.
    weight_decay : float
    precision : {"32-true", "bf16-mixed"}

    Raises
    ------
    RunError
        If a value is out of its range.
    """

    data: str = "digits"
    distortion: str = "rts"
    transform: str = "affine"
    models: tuple[str, ...] = (models.CNN, models.ST_CNN)
    seeds: int = 3
    schedule: str = FAST
    epochs: int = 30
    batch_size: int = 64
    learning_rate: float = 6e-3
    localization_scale: float = 0.3
    weight_decay: float = 0.01
    precision: str = PRECISIONS[0]
    task: str = CLASSIFICATION

    def __post_init__(self) -> None:
        if not isinstance(self.data, str):
            raise RunError(f"data is {self.data!r}; give 'digits' or the path of a folder")
        choices: dict[str, Iterable[str]] = {
            "distortion": DISTORTIONS,
            "transform": FAMILIES,
            "schedule": SCHEDULES,
            "precision": PRECISIONS,
            "task": CHANNELS,
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise RunError(f"{name} is {getattr(self, name)!r}; choose from {', '.join(known)}")
        if not isinstance(self.models, tuple | list) or not self.models or set(self.models) - set(models.MODELS):
            raise RunError(f"models is {self.models!r}; choose from {', '.join(models.MODELS)}")
        object.__setattr__(self, "models", tuple(name for name in models.MODELS if name in self.models))
        for name in ("seeds", "epochs", "batch_size"):
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= _MOST:
                raise RunError(f"{name} is {value!r}; give a whole number from 1 to {_MOST:,}")
        for name in ("learning_rate", "localization_scale", "weight_decay"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not 0 <= value <= _MOST:
                raise RunError(f"{name} is {value!r}; give a number from 0 to {_MOST:,}")

    @property
    def jobs(self) -> list[tuple[str, int]]:
        """The trainings, (model, seed), in their order."""
        return [(model, seed) for seed in range(self.seeds) for model in self.models]


@dataclass(frozen=True)
class Trained:
    """What one training gave.

    Attributes
    ----------
    model : str
    seed : int
    state : dict of Tensor
        The weights.
    history : list of Row
        One row an epoch, with the names in :data:`COLUMNS`.
    diverged : int, optional
        The step, from 1 on, at which the loss was not finite any more. Weights and history are those after the last
        whole epoch before it. None for a training that came to its end.
    """

    model: str
    seed: int
    state: Mapping[str, Tensor]
    history: list[Row]
    diverged: int | None = None

    @property
    def test_error(self) -> float:
        """Test error after the last epoch, in per cent; NaN before the first."""
        return float(self.history[-1]["test_error"]) if self.history else math.nan

    @property
    def seconds(self) -> float:
        """How long the training took."""
        return float(self.history[-1]["seconds"]) if self.history else 0.0

    @property
    def fate(self) -> str:
        """What a reader is told of a training that diverged."""
        return (
            f"{self.model} with seed {self.seed} diverged: at step {self.diverged} its loss was not finite any more; "
            f"what is kept is from after epoch {len(self.history)}"
        )


# What damaged metadata and tensors lead readers into.
_DAMAGES = (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError, safetensors.SafetensorError)


class Run:
    """A folder with one run in it.

    Parameters
    ----------
    path : Path
    configuration : Configuration
    shown : tuple of str
        Names of the classes of its data.

    Attributes
    ----------
    classes : tuple of str
        Names of what its networks tell apart: those classes, or the sums of two.
    """

    def __init__(self, path: Path, configuration: Configuration, shown: tuple[str, ...]) -> None:
        self.path = path
        self.configuration = configuration
        self.shown = shown
        self.classes = shown
        if configuration.task == ADDITION:
            if shown != tuple(str(k) for k in range(len(shown))):
                raise RunError(f"addition needs the digits 0, 1, 2, ... as classes; these are {', '.join(shown)}")
            self.classes = tuple(str(k) for k in range(2 * len(shown) - 1))

    @classmethod
    def create(cls, path: Path, configuration: Configuration, dataset: Dataset) -> Run:
        """Make the folder of a new run; nothing is left of it if that fails.

        Raises
        ------
        RunError
            If `path` exists.
        OSError
            If the folder cannot be written.
        """
        if path.exists():
            raise RunError(f"{path}: exists already")
        run = cls(path, configuration, dataset.classes)
        made = [folder for folder in (path, *path.parents) if not folder.exists()]
        try:
            (path / "checkpoints").mkdir(parents=True)
            _files.write(path / "config.json", _describe(configuration, dataset))
        except BaseException:
            for folder in (path / "checkpoints", *made):
                if folder.is_dir():
                    folder.rmdir()
            raise
        return run

    @classmethod
    def open(cls, path: Path) -> Run:
        """Find a run that was made before.

        Raises
        ------
        RunError
            If there is none at `path`, or its configuration cannot be read.
        """
        file = path / "config.json"
        if not file.is_file():
            raise RunError(f"{path}: no such run (it has no config.json)")
        content = _description(file)
        try:
            configuration = Configuration(**content["configuration"])
            classes = content["dataset"]["classes"]
            if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
                raise TypeError("its classes are no list of names")
            return cls(path, configuration, tuple(classes))
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{file}: not readable as the configuration of a run ({error})") from error

    def with_seeds(self, seeds: int) -> Run:
        """Return the run with more seeds to train, and write that down."""
        file = self.path / "config.json"
        content = _description(file)
        configuration = dataclasses.replace(self.configuration, seeds=seeds)
        content["configuration"] = dataclasses.asdict(configuration)
        _files.write(file, _files.json_text(content, 2))
        return Run(self.path, configuration, self.shown)

    @property
    def last(self) -> Path:
        """The checkpoint of the training under way."""
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def finished(self) -> bool:
        """Whether every training of this run is finished."""
        return all(self._checkpoint(*job).is_file() for job in self.configuration.jobs)

    def has(self, model: str, seed: int) -> bool:
        """Whether the training of `model` with `seed` is finished."""
        return self._checkpoint(model, seed).is_file()

    def check(self, dataset: Dataset) -> None:
        """Refuse data of other classes than those that the run was started with.

        Raises
        ------
        RunError
        """
        if dataset.classes != self.shown:
            raise RunError(
                f"{self.path}: was trained on the classes {', '.join(self.shown)}; {dataset.name} has "
                f"{', '.join(dataset.classes)}"
            )

    def keep(self, trained: Trained) -> None:
        """Write the checkpoint of a finished training."""
        told = {
            "sha256": _NO_DIGEST,
            "model": trained.model,
            "seed": trained.seed,
            "history": trained.history,
            "diverged": trained.diverged,
        }
        tensors = {name: value.contiguous() for name, value in trained.state.items()}
        content = safetensors.torch.save(tensors, {_METADATA: json.dumps(told, allow_nan=False)})
        content = content.replace(_NO_DIGEST.encode(), hashlib.sha256(content).hexdigest().encode(), 1)
        _files.write(self._checkpoint(trained.model, trained.seed), content)

    def keep_last(self, trainer: Trainer) -> None:
        """Write the checkpoint of the training under way; every process of a training takes part."""
        if not trainer.is_global_zero:
            trainer.save_checkpoint(self.last)  # of the processes only the first one writes
            return
        with _files.replacing(self.last) as temporary:
            trainer.save_checkpoint(temporary)
            content = temporary.read_bytes()
            temporary.write_bytes(content[:-2] + _COMMENT + hashlib.sha256(content).hexdigest().encode())

    def load(self, model: str, seed: int) -> Trained:
        """Read the checkpoint of a finished training.

        Raises
        ------
        RunError
            If it is missing, corrupted, or of another model or seed.
        """
        path = self._checkpoint(model, seed)
        if not path.is_file():
            raise RunError(f"{path}: no such checkpoint")
        try:
            content = path.read_bytes()
            header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
            told = json.loads(header["__metadata__"][_METADATA])
            digest = told.pop("sha256")
            if hashlib.sha256(content.replace(digest.encode(), _NO_DIGEST.encode(), 1)).hexdigest() != digest:
                raise ValueError("its digest is of something else")
            trained = Trained(state=safetensors.torch.load(content), **told)
            if trained.history or trained.diverged is None:
                check_history(trained.history, trained.model, trained.seed)
            if type(trained.diverged) not in (int, type(None)) or not isinstance(trained.history, list):
                raise TypeError("its metadata are of other types")
        except KeyError as error:
            raise RunError(f"{path}: not a checkpoint of this program") from error
        except _DAMAGES as error:
            raise RunError(f"{path}: corrupted, it cannot be read as a checkpoint") from error
        if (trained.model, trained.seed) != (model, seed):
            raise RunError(f"{path}: holds {trained.model} with seed {trained.seed}, not what its name says")
        return trained

    def trained(self) -> Iterator[Trained]:
        """Read the checkpoints of all finished trainings, in order."""
        return (self.load(*job) for job in self.configuration.jobs if self.has(*job))

    def build(self, model: str) -> models.Network:
        """Build a network for the data of this run, with random weights."""
        settings = self.configuration
        canvas = DISTORTIONS[settings.distortion].canvas
        return models.build(model, canvas, len(self.classes), settings.transform, CHANNELS[settings.task])

    def network(self, trained: Trained) -> models.Network:
        """Build a network and give it what was trained, ready for use.

        Raises
        ------
        RunError
            If the weights do not fit the network.
        """
        network = self.build(trained.model)
        try:
            network.load_state_dict(dict(trained.state))
        except (RuntimeError, TypeError, AttributeError) as error:
            path = self._checkpoint(trained.model, trained.seed)
            raise RunError(f"{path}: its weights do not fit the network that config.json describes") from error
        return network.eval()

    def write_metrics(self, rows: Iterable[Row]) -> None:
        """Write ``metrics.csv``."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        _files.write(self.path / "metrics.csv", text.getvalue())

    def _checkpoint(self, model: str, seed: int) -> Path:
        return self.path / "checkpoints" / f"{model}-seed{seed}.safetensors"


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint, of which nothing is executed.

    Raises
    ------
    RunError
        If it is missing or corrupted.
    """
    if not path.is_file():
        raise RunError(f"{path}: no such checkpoint")
    try:
        archive = path.read_bytes()
        if _COMMENT + hashlib.sha256(archive[:-66] + b"\0\0").hexdigest().encode() != archive[-66:]:
            raise ValueError("its digest is of something else")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what unpickling a damaged file raises is anyone's guess
        raise RunError(f"{path}: corrupted, it cannot be read as a checkpoint") from error
    if not isinstance(content, dict):
        raise RunError(f"{path}: not a checkpoint of this program")
    return content


def check_history(history: Any, model: str, seed: int) -> None:
    """Refuse what is no history of a training, one row an epoch.

    Raises
    ------
    ValueError, TypeError, KeyError, AttributeError
    """
    for epoch, row in enumerate(history, 1):
        if row.keys() != set(COLUMNS) or (row["model"], row["seed"], row["epoch"]) != (model, seed, epoch):
            raise ValueError(f"row {epoch} of the history is of something else")
        if not all(type(row[name]) in (int, float) and math.isfinite(row[name]) for name in COLUMNS[1:]):
            raise ValueError(f"row {epoch} of the history holds what is no number")
    if not history:
        raise ValueError("the history is empty")


def _description(file: Path) -> dict[str, Any]:
    """Read ``config.json``."""
    try:
        content = _files.parsed(file.read_bytes())
        if content.keys() - {"configuration", "dataset", "versions"}:
            raise ValueError("it has other entries")
    except (OSError, ValueError) as error:
        raise RunError(f"{file}: not readable as the configuration of a run ({error})") from error
    return content


def _describe(configuration: Configuration, dataset: Dataset) -> str:
    description = {
        "configuration": dataclasses.asdict(configuration),
        "dataset": {
            "name": dataset.name,
            "classes": dataset.classes,
            "train": len(dataset.train_labels),
            "test": len(dataset.test_labels),
        },
        "versions": {
            "pullback": __version__,
            "torch": torch.__version__,
            "lightning": importlib.metadata.version("lightning"),
            "python": platform.python_version(),
        },
    }
    return _files.json_text(description, 2)
