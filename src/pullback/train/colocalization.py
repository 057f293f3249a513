"""Finding what pictures have in common, without ever being told where it is: a transformer trained by a triplet loss.

Given pictures of one class, each somewhere on a large canvas among pieces of others, a spatial transformer learns
where to crop. A fixed network, which names single pictures and tells them from nothing in particular, describes the
crops. Two crops of different canvases are to be more alike than a crop and other patches of its own canvas (Jaderberg
et al. 2015, section A.2).

Four things are not the paper's. Of several random patches the one counts that is most like the crop, and patches that
overlap with the crop do not count: with one patch, anywhere, crops flee from what they look for, since that is what
patches show that are unlike a blank. Being alike counts for nothing at the start, and in the end half as much as being
unlike: as long as most crops are blank, being alike draws the others away from what they have found. Crops are shaken,
by less and less, so that they come upon things that they would not have felt from where they began. And the transformer
localizes by a spatial softmax.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor, nn
from torch.nn import functional

import pullback._files as _files
import pullback.nn as pbnn
from pullback.train import distortions, models
from pullback.train.data import Dataset
from pullback.train.distortions import SIDE, Distortion, turned_and_placed
from pullback.train.loop import Interruption, interruptible, quiet
from pullback.transforms import Similarity, Translation
from pullback.warping import warp

CANVAS = 84
SCENES: dict[str, Distortion] = {
    clutter: Distortion(
        f"placed at random on a canvas of {CANVAS} × {CANVAS}{words}",
        CANVAS,
        turned_and_placed(CANVAS, degrees=0, scales=(1.0, 1.0), anywhere=True),
        pieces,
    )
    for clutter, words, pieces in (("t", "", 0), ("tc", ", among 16 pieces of other pictures", 16))
}

# Found, as in the paper, is what overlaps with the true box by more than this.
FOUND = 0.5

# How many glimpses of pictures the describing network is trained on.
DESCRIBED = 120_000

_MARGIN = 1.0
_PATCHES_A_CROP = 8
_SHOWN = 10
_ALIKE = 0.5
# Standard deviation of the first steps' shaking, in half sides of the canvas. It has ended, and being alike counts in
# full, after this part of the training.
_SHAKEN = 0.3
_SETTLED = 0.7
_BATCH = 64
_RATE = 3e-3
# The streams of random numbers, beside those of the classifiers.
_SCENES, _PATCHES, _HELD_OUT, _DESCRIBER = 3, 4, 5, 6


@dataclass(frozen=True)
class Scenes:
    """Canvases, and where on them the picture of the class is.

    Attributes
    ----------
    images : Tensor, (N, 1, 84, 84)
    middles : Tensor, (N, 2)
        The middle of each true box of 28 x 28 pixels, (y, x) in the frame "centered".
    """

    images: Tensor
    middles: Tensor


@dataclass(frozen=True)
class Located:
    """What was found of one class.

    Attributes
    ----------
    name : str
        Of the class.
    scenes : Scenes
        Those that were trained on.
    middles : Tensor, (N, 2)
        Where each is cropped, in the frame "centered".
    overlap, before, unseen : ndarray, (N,)
        Intersection over union with the true box: after the training, before it, and on canvases not trained on.
    """

    name: str
    scenes: Scenes
    middles: Tensor
    overlap: npt.NDArray[np.float64]
    before: npt.NDArray[np.float64]
    unseen: npt.NDArray[np.float64]


def found(overlap: npt.NDArray[np.float64]) -> float:
    """Return the share of overlaps that count as found, in per cent."""
    return 100 * float((overlap > FOUND).mean())


def scenes(dataset: Dataset, label: int, count: int, scene: Distortion, *, unseen: bool, seed: int) -> Scenes:
    """Place pictures of a class, the first `count` of the training or of the test part."""
    images, labels = (
        (dataset.test_images, dataset.test_labels) if unseen else (dataset.train_images, dataset.train_labels)
    )
    pictures = torch.from_numpy(images)[:, None]
    chosen = torch.from_numpy(np.flatnonzero(labels == label)[:count])
    boxes = distortions.ink_boxes(pictures)
    stream = (_HELD_OUT if unseen else _SCENES, seed, label)
    placed = scene.draw(boxes[chosen], distortions.generator(*stream))
    canvases = distortions.apply(scene, pictures, boxes, chosen, distortions.generator(*stream))
    return Scenes(canvases, placed.inverse()(torch.zeros(len(chosen), 1, 2))[:, 0])


def overlaps(found: Tensor, middles: Tensor) -> npt.NDArray[np.float64]:
    """Return the intersection over union of boxes of 28 x 28 pixels with middles, (N, 2), in the frame "centered"."""
    shared = (2 * SIDE / CANVAS - (found - middles).abs()).clamp(min=0).prod(-1)
    return (shared / (2 * (2 * SIDE / CANVAS) ** 2 - shared)).double().numpy()


class Describer(nn.Module):
    """A network that names digits, up to its last hidden layer: features of length one.

    Parameters
    ----------
    network : Network
        A trained plain CNN for pictures of 28 x 28.
    """

    def __init__(self, network: models.Network) -> None:
        super().__init__()
        self.layers = network.classifier[:-1]  # type: ignore[index]
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Return features, (N, k)."""
        return functional.normalize(self.layers(images), dim=1)


def describer(dataset: Dataset, seed: int, epochs: int | None = None) -> Describer:
    """Train a network to name what crops show, or to say that it is nothing in particular; return it as a describer."""
    epochs = epochs or max(1, -(-DESCRIBED // len(dataset.train_labels)))
    torch.manual_seed(seed)
    naming = _Naming(models.build(models.CNN, SIDE, len(dataset.classes) + 1))
    batches = [_Glimpses(dataset, seed, epoch) for epoch in range(epochs)]
    _fit(naming, _Chained(batches), sum(map(len, batches)))
    return Describer(naming.network).eval()


def colocalise(
    dataset: Dataset, label: int, scene: Distortion, describe: Describer, *, count: int, steps: int, seed: int
) -> Located:
    """Train a transformer to crop what canvases of one class have in common.

    Parameters
    ----------
    dataset : Dataset
    label : int
        The class.
    scene : Distortion
    describe : Describer
    count : int
        How many canvases.
    steps : int
    seed : int

    Returns
    -------
    Located
    """
    seen = scenes(dataset, label, count, scene, unseen=False, seed=seed)
    others = scenes(dataset, label, count, scene, unseen=True, seed=seed)
    torch.manual_seed(seed)
    learner = _Cropping(describe, steps)
    with torch.no_grad():
        before = overlaps(learner.crops(seen.images), seen.middles)
    _fit(learner, _Batches(seen.images, steps, seed, label), steps)
    learner.eval()
    with torch.no_grad():
        middles = learner.crops(seen.images)
        unseen = overlaps(learner.crops(others.images), others.middles)
    return Located(dataset.classes[label], seen, middles, overlaps(middles, seen.middles), before, unseen)


def write(located: Sequence[Located], out: Path) -> Path:
    """Write ``colocalise.json``, what was found of each class, and ``colocalise.png``, canvases with both boxes."""
    record = {
        one.name: {
            name: {"found": round(found(values), 2), "overlap": round(float(values.mean()), 4)}
            for name, values in (("before", one.before), ("after", one.overlap), ("unseen", one.unseen))
        }
        for one in located
    }
    _files.write(out / "colocalise.json", json.dumps(record, indent=1) + "\n")
    figure = Figure(figsize=(_SHOWN, len(located)), dpi=160, facecolor="white")
    panels = figure.subplots(len(located), _SHOWN, squeeze=False)
    figure.subplots_adjust(0, 0, 1, 1, 0.04, 0.04)
    for row, one in zip(panels, located, strict=True):
        for index, panel in enumerate(row):
            panel.set_axis_off()
            if index < len(one.middles):
                panel.imshow(one.scenes.images[index, 0].numpy(), cmap="gray", vmin=0, vmax=1)
                for middles, colour, style in ((one.scenes.middles, "#b8b4aa", ":"), (one.middles, "#2dd4bf", "-")):
                    y, x = ((middles[index] + 1) * (CANVAS / 2) - SIDE / 2 - 0.5).tolist()
                    panel.add_patch(Rectangle((x, y), SIDE, SIDE, fill=False, edgecolor=colour, linestyle=style))
    content = io.BytesIO()
    figure.savefig(content, format="png")
    path = out / "colocalise.png"
    _files.write(path, content.getvalue())
    return path


def cropped(images: Tensor, middles: Tensor) -> Tensor:
    """Return crops of 28 x 28 pixels, (N, 1, 28, 28), about `middles`, (N, 2), in the frame "centered"."""
    zoom = torch.full_like(middles[:, 0], SIDE / CANVAS)
    crops: Tensor = warp(images, Similarity(zoom, None, middles), (SIDE, SIDE), frame="centered")
    return crops


class _Cropping(pl.LightningModule):
    def __init__(self, describe: Describer, steps: int) -> None:
        super().__init__()
        self.steps = steps
        localization = pbnn.SpatialSoftmaxLocalization(1, (16, 32), 1, pool=2, groups=4)
        self.transformer = pbnn.SpatialTransformer(localization, "translation")
        # Where the heat map is warm, there to look: nothing else than the map is to be learned.
        with torch.no_grad():
            self.transformer.head.linear.weight.copy_(torch.eye(2))
        self.describe = describe

    def crops(self, images: Tensor, shaken: float = 0.0) -> Tensor:
        """Return the middle of each crop, (N, 2), in the frame "centered"; no crop reaches beyond the canvas."""
        transform = self.transformer.predict(images)
        assert isinstance(transform, Translation)
        middles: Tensor = transform.parameters
        if shaken:
            middles = middles + shaken * torch.randn_like(middles)
        room = 1 - SIDE / CANVAS
        return middles.clamp(-room, room)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        images, places = batch
        settled = min(1.0, index / (_SETTLED * self.steps))
        middles = self.crops(images, _SHAKEN * (1 - settled))
        crops = self.describe(cropped(images, middles))
        alike = torch.cdist(crops, crops).square()
        # Patches that show nothing of the crop; of several, the one that is most like it.
        apart = (places - middles.detach()).abs().amax(2) > 1.2 * SIDE / CANVAS
        patches = torch.stack([self.describe(cropped(images, place)) for place in places])
        unlike = (crops - patches).square().sum(2)
        nearest = torch.where(apart, unlike, 4.0).amin(0)
        loss = functional.relu(_ALIKE * settled * alike - nearest[:, None] + _MARGIN)
        pairs = ~torch.eye(len(images), dtype=torch.bool)
        return loss[pairs].mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.transformer.parameters(), lr=_RATE)


class _Naming(pl.LightningModule):
    def __init__(self, network: models.Network) -> None:
        super().__init__()
        self.network = network

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        images, labels = batch
        return functional.cross_entropy(self.network(images), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=_RATE)


class _Batches:
    """Canvases in random order, and where on each a random patch is."""

    def __init__(self, images: Tensor, steps: int, seed: int, label: int) -> None:
        self.images, self.steps = images, steps
        self.random = distortions.generator(_PATCHES, seed, label)

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(self.steps):
            chosen = torch.randperm(len(self.images), generator=self.random)[:_BATCH]
            places = 2 * torch.rand(_PATCHES_A_CROP, len(chosen), 2, generator=self.random) - 1
            yield self.images[chosen], places * (1 - SIDE / CANVAS)


class _Glimpses:
    """One epoch of what crops may show: pictures nearly in the middle, and, every other time, next to nothing of one.

    The latter have a label of their own, one more than the classes.
    """

    def __init__(self, dataset: Dataset, seed: int, epoch: int) -> None:
        self.images = torch.from_numpy(dataset.train_images)[:, None]
        self.labels = torch.from_numpy(dataset.train_labels)
        self.nothing = len(dataset.classes)
        self.boxes = distortions.ink_boxes(self.images)
        self.random = distortions.generator(_DESCRIBER, seed, epoch)

    def __len__(self) -> int:
        return -(-len(self.labels) // 128)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for chosen in torch.split(torch.randperm(len(self.labels), generator=self.random), 128):
            count = len(chosen)
            uniform = 2 * torch.rand(count, 2, generator=self.random) - 1
            # Away by half a picture or more along one of the axes, and by anything along the other.
            axis = torch.randint(2, (count, 1), generator=self.random)
            along = uniform.gather(1, axis)
            away = (uniform * 28).scatter(1, axis, along.sign() * (14 + 10 * along.abs()))
            is_away = torch.rand(count, generator=self.random) < 0.5
            shown = warp(self.images[chosen], Translation(torch.where(is_away[:, None], away, uniform * 6)))
            shown = distortions.littered(shown, self.images, self.boxes, 5, self.random)
            yield shown, torch.where(is_away, self.nothing, self.labels[chosen])


class _Chained:
    def __init__(self, parts: list[_Glimpses]) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for part in self.parts:
            yield from part


def _fit(module: pl.LightningModule, batches: object, steps: int) -> None:
    interruption = Interruption()
    with quiet(), interruptible(interruption):
        pl.Trainer(
            max_steps=steps,
            max_epochs=1,
            callbacks=[interruption],
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        ).fit(module, batches)
