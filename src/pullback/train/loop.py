"""Training, with Lightning: one model after the other, each with every seed, resumable epoch by epoch."""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torch.nn import functional
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

import pullback._files as _files
from pullback.nn import localization_parameter_groups
from pullback.train import distortions, models, processes
from pullback.train.data import Dataset
from pullback.train.distortions import DISTORTIONS, Distortion
from pullback.train.runs import (
    CLASSIFICATION,
    PAPER,
    Configuration,
    Row,
    Run,
    RunError,
    Trained,
    check_history,
    read_checkpoint,
)

Batch = tuple[Tensor, Tensor]

# More images than this at once only fill the memory.
_LARGEST_BATCH = 1000


class Progress(Protocol):
    """Whoever wants to know how far the training is."""

    def start(self, model: str, seed: int, epochs: int, batches: int, done: int) -> None:
        """Take note that a training starts, `done` of its epochs being there already."""

    def batch(self) -> None:
        """Take note of a batch."""

    def epoch(self, row: Row) -> None:
        """Take note of an epoch and of what it brought."""

    def finish(self, trained: Trained) -> None:
        """Take note that a training is finished."""


class DivergedError(Exception):
    """A loss, or weights, that are not finite any more.

    Parameters
    ----------
    step : int
        After how many steps of the training, that one included.
    """

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


class Silence:
    """Progress of which nobody takes note."""

    def start(self, model: str, seed: int, epochs: int, batches: int, done: int) -> None:
        """Say nothing."""

    def batch(self) -> None:
        """Say nothing."""

    def epoch(self, row: Row) -> None:
        """Say nothing."""

    def finish(self, trained: Trained) -> None:
        """Say nothing."""


class TrainingBatches:
    """The batches of an epoch: the pictures in a new order, distorted anew, as a function of seed and epoch alone.

    Parameters
    ----------
    dataset : Dataset
    distortion : Distortion
    batch_size : int
    seed : int
    task : {"classification", "addition"}, optional

    Attributes
    ----------
    epoch : int
        The epoch that the next iteration gives.

    Notes
    -----
    Of several processes, each distorts the whole batch and gives its share, every n-th picture: that is little work,
    and the random numbers are those of one process.
    """

    def __init__(
        self, dataset: Dataset, distortion: Distortion, batch_size: int, seed: int, task: str = CLASSIFICATION
    ) -> None:
        self.images = torch.from_numpy(dataset.train_images)[:, None]
        self.labels = torch.from_numpy(dataset.train_labels)
        self.boxes = distortions.ink_boxes(self.images)
        self.distortion, self.batch_size, self.seed, self.task = distortion, batch_size, seed, task
        self.epoch = 0

    def __len__(self) -> int:
        return -(-len(self.labels) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        random = distortions.generator(distortions.TRAINING, self.seed, self.epoch)
        for chosen in torch.split(torch.randperm(len(self.labels), generator=random), self.batch_size):
            images, labels = shown(self.task, self.distortion, self.images, self.labels, self.boxes, chosen, random)
            share = slice(processes.rank(), None, processes.count())
            yield images[share], labels[share]

    def to(self, device: torch.device) -> None:
        """Keep the pictures on a device, so that they are distorted there."""
        self.images, self.labels = self.images.to(device), self.labels.to(device)


def shown(
    task: str,
    distortion: Distortion,
    images: Tensor,
    labels: Tensor,
    boxes: Tensor,
    chosen: Tensor,
    random: torch.Generator,
) -> Batch:
    """Return what a network is shown for some of the pictures, and what it is to say.

    For addition, each picture is joined by another one, drawn at random and distorted on its own, as a second channel,
    and the label is the sum of both.
    """
    seen = distortions.apply(distortion, images, boxes, chosen, random)
    if task == CLASSIFICATION:
        return seen, labels[chosen.to(labels.device)]
    others = torch.randint(len(images), chosen.shape, generator=random)
    also = distortions.apply(distortion, images, boxes, others, random)
    return torch.cat([seen, also], 1), (labels[chosen.to(labels.device)] + labels[others.to(labels.device)])


class TestBatches:
    """The test pictures, distorted once and for all: the same for every model, seed and epoch.

    Parameters
    ----------
    dataset : Dataset
    distortion : Distortion
    task : {"classification", "addition"}, optional

    Attributes
    ----------
    images : Tensor, (N, channels, canvas, canvas)
    labels : Tensor, (N,)
    """

    def __init__(self, dataset: Dataset, distortion: Distortion, task: str = CLASSIFICATION) -> None:
        pictures = torch.from_numpy(dataset.test_images)[:, None]
        labels = torch.from_numpy(dataset.test_labels)
        random = distortions.generator(distortions.TESTING)
        everything = torch.arange(len(pictures))
        boxes = distortions.ink_boxes(pictures)
        self.images, self.labels = shown(task, distortion, pictures, labels, boxes, everything, random)

    @classmethod
    def of(cls, run: Run, dataset: Dataset) -> TestBatches:
        """Return the test pictures as the networks of a run are shown them."""
        return cls(dataset, DISTORTIONS[run.configuration.distortion], run.configuration.task)

    def __len__(self) -> int:
        return -(-len(self.labels) // _LARGEST_BATCH)

    def __iter__(self) -> Iterator[Batch]:
        return zip(torch.split(self.images, _LARGEST_BATCH), torch.split(self.labels, _LARGEST_BATCH), strict=True)


class Training(pl.LightningModule):
    """Cross-entropy by the optimizer of a schedule, with a step of their own for localization networks.

    Parameters
    ----------
    network : Network
    configuration : Configuration
    classes, pictures : int
        How many there are of each, of the pictures to train on.
    """

    def __init__(self, network: models.Network, configuration: Configuration, classes: int, pictures: int) -> None:
        super().__init__()
        self.network = network
        self.configuration, self.pictures = configuration, pictures
        # Of the mean of what is not a number, NaN would be left out.
        self.train_loss, self.test_loss = MeanMetric(math.inf), MeanMetric(math.inf)
        self.train_accuracy = MulticlassAccuracy(classes, average="micro")
        self.test_accuracy = MulticlassAccuracy(classes, average="micro")

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Return the loss of a batch."""
        images, labels = batch
        logits = self.network(images).float()
        losses = functional.cross_entropy(logits, labels, reduction="none")
        # The gradients of all processes are averaged. Their shares of a batch may differ by a picture, and so each is
        # divided by what is its part of the whole: the average is the gradient of the mean over the batch.
        loss = losses.sum() * (processes.count() / self._pictures_in(index))
        if processes.so_for_any(not bool(loss.isfinite())):
            raise DivergedError(self.trainer.global_step + 1)
        if len(labels):  # of a last batch with fewer pictures than processes, some have none
            self.train_loss.update(losses.detach())
            self.train_accuracy.update(logits.detach(), labels)
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        """Take note of loss and accuracy on a batch of test pictures."""
        images, labels = batch
        logits = self.network(images).float()
        self.test_loss.update(functional.cross_entropy(logits, labels, reduction="none"))
        self.test_accuracy.update(logits, labels)

    def configure_optimizers(self) -> Any:
        """Return optimizer and schedule, as Lightning wants them."""
        settings = self.configuration
        groups = localization_parameter_groups(self.network, settings.learning_rate, settings.localization_scale)
        steps = int(self.trainer.estimated_stepping_batches)
        optimizer: torch.optim.Optimizer
        schedule: torch.optim.lr_scheduler.LRScheduler
        if settings.schedule == PAPER:
            optimizer = torch.optim.SGD(groups, weight_decay=settings.weight_decay)
            thirds = [steps // 3, 2 * steps // 3]
            schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, thirds, gamma=0.1)
        else:
            optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
            highest = [group["lr"] for group in groups]
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, highest, total_steps=steps, div_factor=10)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _pictures_in(self, index: int) -> int:
        """Return how many pictures the batch of that number in an epoch has, on all processes together."""
        size = self.configuration.batch_size
        return min(size, self.pictures - index * size)

    def measurements(self) -> Row:
        """Return what was measured since the last call: mean losses, and errors in per cent."""
        row = {
            "train_loss": float(self.train_loss.compute()),
            "train_error": round(100 * (1 - float(self.train_accuracy.compute())), 4),
            "test_loss": float(self.test_loss.compute()),
            "test_error": round(100 * (1 - float(self.test_accuracy.compute())), 4),
        }
        for metric in (self.train_loss, self.train_accuracy, self.test_loss, self.test_accuracy):
            metric.reset()
        return row


class Interruption(pl.Callback):
    """Remembers an interruption by the user, of which Lightning makes an exit."""

    interrupted = False

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Remember it."""
        self.interrupted = isinstance(exception, KeyboardInterrupt)


class Recorder(Interruption):
    """After each epoch: a row of measurements, the checkpoint to resume from, ``metrics.csv``.

    Parameters
    ----------
    run : Run
    model : str
    seed : int
    batches : TrainingBatches
        Told which epoch it is.
    before : list of Row
        The rows of the trainings before this one, for ``metrics.csv``.
    progress : Progress

    Attributes
    ----------
    good : dict of Tensor
        The weights after the last whole epoch, all of them finite.
    """

    def __init__(
        self, run: Run, model: str, seed: int, batches: TrainingBatches, before: list[Row], progress: Progress
    ) -> None:
        self.run, self.model, self.seed = run, model, seed
        self.batches, self.before, self.progress = batches, before, progress
        self.history: list[Row] = []
        self.random_state = torch.get_rng_state()
        self.is_under_way = False
        self.good: dict[str, Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        """Return what the checkpoint keeps of this."""
        return {
            "model": self.model,
            "seed": self.seed,
            "history": self.history,
            "random_state": torch.get_rng_state(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it back."""
        self.history = list(state_dict["history"])
        self.random_state = state_dict["random_state"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Go on where the clock and the random numbers were, with the pictures where the network is."""
        assert isinstance(pl_module, Training)
        self.good = _copied(pl_module.network)
        self.batches.to(pl_module.device)
        torch.set_rng_state(self.random_state)
        self.is_under_way = True
        self.started = time.perf_counter() - (self.history[-1]["seconds"] if self.history else 0)
        epochs = self.run.configuration.epochs
        self.progress.start(self.model, self.seed, epochs, len(self.batches), len(self.history))

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say which epoch's pictures are wanted."""
        self.batches.epoch = trainer.current_epoch

    def on_train_batch_end(self, *_: Any) -> None:
        """Pass the word on."""
        self.progress.batch()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write down what the epoch brought."""
        assert isinstance(pl_module, Training)
        row = {
            "model": self.model,
            "seed": self.seed,
            "epoch": trainer.current_epoch + 1,
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            **pl_module.measurements(),
            "seconds": round(time.perf_counter() - self.started, 3),
        }
        state = _copied(pl_module.network)
        finite = all(math.isfinite(row[name]) for name in ("train_loss", "test_loss"))
        if not finite or not all(bool(value.isfinite().all()) for value in state.values()):
            raise DivergedError(trainer.global_step)
        self.good = state
        self.history.append(row)
        self.run.keep_last(trainer)
        if trainer.is_global_zero:
            self.run.write_metrics([*self.before, *self.history])
        if trainer.logger is not None:
            measured = ("learning_rate", "train_loss", "train_error", "test_loss", "test_error")
            trainer.logger.log_metrics({name: row[name] for name in measured}, step=row["epoch"])
        self.progress.epoch(row)


def train(run: Run, dataset: Dataset, progress: Progress) -> list[Trained]:
    """Do all trainings of a run that are not finished.

    Parameters
    ----------
    run : Run
        A new one, or one that was interrupted: finished trainings are left alone, and the one under way goes on after
        its last whole epoch, to the same bits as if it had never been interrupted.
    dataset : Dataset
    progress : Progress

    Returns
    -------
    list of Trained
        All of the run, in the order of ``run.configuration.jobs``. One that diverges ends there, and the next begins.

    Raises
    ------
    RunError
        If a checkpoint is corrupted.
    OSError
        If a file cannot be written. All files of the run are whole nevertheless, and it can be resumed.
    KeyboardInterrupt
        If the user interrupts.
    """
    if processes.rank() == 0:
        _files.sweep(run.path)
        _files.sweep(run.last.parent)
    all_trained: list[Trained] = []
    test = TestBatches.of(run, dataset)
    for model, seed in run.configuration.jobs:
        if run.has(model, seed):
            trained = run.load(model, seed)
        else:
            before = [row for earlier in all_trained for row in earlier.history]
            trained = _train_one(run, dataset, test, model, seed, before, progress)
            processes.wait_for_all()
            if processes.rank() == 0:
                run.keep(trained)
                run.last.unlink(missing_ok=True)
            processes.wait_for_all()
            progress.finish(trained)
        all_trained.append(trained)
    if processes.rank() == 0:
        run.write_metrics(row for trained in all_trained for row in trained.history)
    return all_trained


def _train_one(
    run: Run, dataset: Dataset, test: TestBatches, model: str, seed: int, before: list[Row], progress: Progress
) -> Trained:
    settings = run.configuration
    distortion = DISTORTIONS[settings.distortion]
    classes = len(run.classes)
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(seed)
        network = run.build(model)
        batches = TrainingBatches(dataset, distortion, settings.batch_size, seed, settings.task)
        recorder = Recorder(run, model, seed, batches, before, progress)
        trainer = pl.Trainer(
            max_epochs=settings.epochs,
            callbacks=[recorder],
            precision=settings.precision,  # type: ignore[arg-type]
            devices=processes.count(),
            strategy="ddp" if processes.count() > 1 else "auto",
            use_distributed_sampler=False,
            default_root_dir=run.path,
            logger=TensorBoardLogger(run.path, "tensorboard", f"{model}-seed{seed}"),
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        resumed = _resumable(run, model, seed)
        diverged = None
        try:
            with interruptible(recorder):
                trainer.fit(
                    Training(network, settings, classes, len(dataset.train_labels)),
                    train_dataloaders=batches,
                    val_dataloaders=test,
                    ckpt_path=run.last if resumed else None,
                    weights_only=True,
                )
        except DivergedError as error:
            diverged = error.step
        except Exception as error:
            # What parts of a checkpoint that do not fit lead Lightning and PyTorch into, before anything is trained.
            if not resumed or recorder.is_under_way or isinstance(error, OSError):
                raise
            raise _corrupted(run, model, seed) from error
    # Nothing was trained where the checkpoint was that of the last epoch.
    return Trained(model, seed, recorder.good or _copied(network), recorder.history, diverged)


def _copied(network: models.Network) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}


def _resumable(run: Run, model: str, seed: int) -> bool:
    """Whether there is a checkpoint to go on from; one of a training that is finished since is of no use."""
    if not run.last.exists():
        return False
    try:
        content = read_checkpoint(run.last)
        kept = content["callbacks"][Recorder.__qualname__]
        if not content.keys() >= {"state_dict", "optimizer_states", "lr_schedulers", "loops"}:
            raise KeyError
        if not kept.keys() >= {"model", "seed", "history", "random_state"}:
            raise KeyError
        check_history(kept["history"], kept["model"], kept["seed"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _corrupted(run, model, seed) from error
    return (kept["model"], kept["seed"]) == (model, seed)


def _corrupted(run: Run, model: str, seed: int) -> RunError:
    return RunError(
        f"{run.last}: corrupted; remove it, and --resume trains {model} with seed {seed} from its beginning"
    )


@contextmanager
def interruptible(interruption: Interruption) -> Iterator[None]:
    """Raise KeyboardInterrupt where Lightning exits for it, and take its signal handler away again."""
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        if interruption.interrupted:
            raise KeyboardInterrupt from None
        raise
    finally:
        if main:
            signal.signal(signal.SIGINT, handler)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep to itself what Lightning says about devices, loaders and itself."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\..*")
        warnings.filterwarnings("ignore", message=r".*(num_workers|LeafSpec|checkpoint).*")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
