"""The test error of what was trained, and the canonical pose of any picture."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from pullback.train import models, pictures
from pullback.train.loop import TestBatches
from pullback.train.runs import Run, RunError, Trained


@dataclass(frozen=True)
class Result:
    """One line of the table: a model over its seeds.

    Attributes
    ----------
    model : str
    parameters : int
        Number of trainable parameters.
    errors : tuple of float
        Test error in per cent, one a seed that came to its end.
    seconds : float
        Training time, all seeds together.
    diverged : int, optional
        How many seeds diverged.
    """

    model: str
    parameters: int
    errors: tuple[float, ...]
    seconds: float
    diverged: int = 0

    @property
    def mean(self) -> float:
        """Mean test error in per cent; NaN if all seeds diverged."""
        return statistics.fmean(self.errors) if self.errors else math.nan

    @property
    def deviation(self) -> float | None:
        """Standard deviation over the seeds (of the sample, n - 1); None for one seed."""
        return statistics.stdev(self.errors) if len(self.errors) > 1 else None

    @property
    def error(self) -> str:
        """The mean and, if there is one, the deviation, as text without unit."""
        if not self.errors:
            return "diverged"
        deviation = "" if self.deviation is None else f" ± {self.deviation:.2f}"
        return f"{self.mean:.2f}{deviation}" + (f", {self.diverged} diverged" if self.diverged else "")


def summarize(all_trained: Sequence[Trained]) -> list[Result]:
    """Return one result a model, in the order of :data:`pullback.train.models.MODELS`."""
    results = []
    for name in models.MODELS:
        of_model = [trained for trained in all_trained if trained.model == name]
        if of_model:
            # Beside the parameters, a state holds the buffers; these networks have none that is kept.
            parameters = sum(value.numel() for value in of_model[0].state.values())
            errors = tuple(trained.test_error for trained in of_model if trained.diverged is None)
            seconds = sum(trained.seconds for trained in of_model)
            results.append(Result(name, parameters, errors, seconds, len(of_model) - len(errors)))
    return results


@torch.inference_mode()
def predict(network: models.Network, batches: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the predicted label of each picture, (N,)."""
    return torch.cat([network(images).argmax(1) for images, _ in batches])


def evaluate(run: Run, batches: TestBatches) -> list[Trained]:
    """Measure the test error of every finished training of a run anew.

    Returns
    -------
    list of Trained
        With the measured test error in the last row of their history; those that diverged are as they were.

    Raises
    ------
    RunError
        If nothing is finished, or a checkpoint does not fit.
    """
    measured = []
    for trained in run.trained():
        if trained.diverged is not None:
            measured.append(trained)
            continue
        network = run.network(trained)
        wrong = predict(network, batches) != batches.labels
        last = {**trained.history[-1], "test_error": 100 * float(wrong.double().mean())}
        measured.append(Trained(trained.model, trained.seed, trained.state, [*trained.history[:-1], last]))
    if not measured:
        raise RunError(f"{run.path}: nothing is trained yet; go on with --resume")
    return measured


def confusion(run: Run, batches: TestBatches) -> dict[str, Tensor]:
    """Count which class is read as which, for every model of a run, over all seeds together.

    Returns
    -------
    dict of Tensor, (classes, classes)
        By model; rows are the classes, columns what they are read as.
    """
    classes = len(run.classes)
    counts: dict[str, Tensor] = {}
    for trained in run.trained():
        if trained.diverged is not None:
            continue
        predicted = predict(run.network(trained), batches)
        pairs = torch.bincount(batches.labels * classes + predicted, minlength=classes**2)
        counts[trained.model] = counts.get(trained.model, 0) + pairs.reshape(classes, classes)
    return counts


@torch.inference_mode()
def rectify(
    network: models.Network, canvas: int, picture: npt.NDArray[Any], size: int | None = None
) -> npt.NDArray[Any]:
    """Bring a picture of any size and any number of channels into the pose that a network has learned.

    Parameters
    ----------
    network : Network
        One with a transformer.
    canvas : int
        Side of the images that it was trained on.
    picture : ndarray, (height, width) or (height, width, channels)
        The whole of it is taken for the canvas, in its proportions.
    size : int, optional
        Side of the result. Default: as large as keeps the scale of the identity.

    Returns
    -------
    ndarray, (size, size) or (size, size, channels)
        Of the dtype of `picture`. The picture itself is read, at its own resolution, not the small copy that the
        network looked at.
    """
    shape = picture.shape[:2]
    looked_at = torch.from_numpy(pictures.resized(pictures.gray(picture)[None], canvas))[None]
    view, transform = network.rectify(looked_at)
    if size is None:
        size = max(1, round(max(shape) * view.shape[-1] / canvas))
    first = transform[0] if isinstance(transform, tuple) else transform
    own = first.numpy()
    whole = pictures.fitted(shape) @ own.with_parameters(own.parameters[0])
    return pictures.warped(picture, whole, (size, size), frame="centered", antialias=True)
