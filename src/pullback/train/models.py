"""The networks that are trained: fully connected or convolutional, alone or behind a transformer, of equal size."""

from __future__ import annotations

import bisect
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

import pullback.nn as pbnn
from pullback.nn.transformer import Transforms

FCN, CNN, ST_FCN, ST_CNN, TWO_ST_FCN, TWO_ST_CNN = "fcn", "cnn", "st-fcn", "st-cnn", "2st-fcn", "2st-cnn"
MODELS: dict[str, str] = {
    FCN: "plain FCN",
    CNN: "plain CNN",
    ST_FCN: "FCN behind a spatial transformer",
    ST_CNN: "CNN behind a spatial transformer",
    TWO_ST_FCN: "FCN behind two transformers side by side",
    TWO_ST_CNN: "CNN behind two transformers side by side",
}
CONVOLUTIONAL = (CNN, ST_CNN, TWO_ST_CNN)
# How many views of the image the classifier gets, where it gets it through transformers.
HEADS = {ST_FCN: 1, ST_CNN: 1, TWO_ST_FCN: 2, TWO_ST_CNN: 2}
WITH_TRANSFORMER = tuple(HEADS)

# Every network has about so many parameters, and more of them for two pictures, a channel each; its width is chosen for
# it.
PARAMETERS = 200_000
PARAMETERS_FOR_TWO = 800_000

_WIDEST = 1000

# Beyond this side, what the transformer passes on is averaged over squares of 2 x 2.
_LARGEST_WHOLE = 32

_FEATURES = 32
_HIDDEN = 128
_GROUPS = 4


class Network(nn.Module):
    """A classifier, behind a spatial transformer or alone.

    Parameters
    ----------
    classifier : torch.nn.Module
        From images to logits.
    transformer : SpatialTransformer, optional
        What the images pass first.
    pooling : int, optional
        What comes out of the transformer is averaged over squares of this side.
    """

    def __init__(
        self, classifier: nn.Module, transformer: pbnn.SpatialTransformer | None = None, pooling: int = 1
    ) -> None:
        super().__init__()
        self.transformer = transformer
        self.classifier = classifier
        self.pooling = pooling

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, (N, classes), for images, (N, channels, canvas, canvas)."""
        if self.transformer is not None:
            images = self.transformer(images)
        return self.classify(images)

    def classify(self, images: Tensor) -> Tensor:
        """Return logits for images as a transformer passes them on."""
        if self.pooling > 1:
            images = functional.avg_pool2d(images, self.pooling, ceil_mode=True)
        logits: Tensor = self.classifier(images)
        return logits

    def rectify(self, images: Tensor) -> tuple[Tensor, Transforms]:
        """Return what the transformer makes of images, and the transforms, in the frame "centered"."""
        if self.transformer is None:
            raise ValueError("Network.rectify: this network has no spatial transformer")
        warped, transform = self.transformer(images, return_transform=True)
        return warped, transform


def build(name: str, canvas: int, classes: int, transform: str = "affine", channels: int = 1) -> Network:
    """Build one of the networks in :data:`MODELS`.

    Parameters
    ----------
    name : {"fcn", "cnn", "st-fcn", "st-cnn", "2st-fcn", "2st-cnn"}
    canvas : int
        Side of the square images, in pixels.
    classes : int
        Number of classes.
    transform : str, optional
        Family of the transformer's transforms, a name in :data:`pullback.nn.FAMILIES`.
    channels : int, optional
        Channels of the images.

    Returns
    -------
    Network
        Of about 200,000 parameters, or 800,000 where there are several channels: any two of the same channels differ by
        less than 5 %.

    Raises
    ------
    ValueError
        If `name` is no model or `transform` no family.

    Examples
    --------
    >>> from pullback.train import models
    >>> for name in ("fcn", "cnn", "st-fcn", "st-cnn"):
    ...     print(models.count_parameters(models.build(name, canvas=42, classes=10)))
    199926
    200981
    199748
    200592
    """
    if name not in MODELS:
        raise ValueError(f"build: `name` is {name!r}; give one of {', '.join(MODELS)}")
    width = _width(name, canvas, classes, transform, channels)
    network = _built(name, canvas, classes, transform, channels, width)
    # Convolutions on a CPU take half of the time so.
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def _built(name: str, canvas: int, classes: int, transform: str, channels: int, width: int) -> Network:
    classifier = _convolutional if name in CONVOLUTIONAL else _fully_connected
    if name not in WITH_TRANSFORMER:
        return Network(classifier(channels, canvas, classes, width))
    pool = 1 if canvas <= _LARGEST_WHOLE else 2
    localization: pbnn.Localization
    if channels > 1:
        # Of two pictures at once, other localization networks hardly find either.
        localization = pbnn.SpatialSoftmaxLocalization(channels, (16, 32), 16, pool=pool, groups=_GROUPS)
    elif name in CONVOLUTIONAL:
        localization = pbnn.ConvLocalization(channels, (16, 32), _FEATURES, pool=2 * pool, groups=_GROUPS)
    else:
        localization = pbnn.FullyConnectedLocalization((channels, canvas, canvas), (_FEATURES,) * 3)
    heads = HEADS[name]
    transformer = pbnn.SpatialTransformer(localization, transform, heads=heads, merge="channels")
    return Network(classifier(heads * channels, -(-canvas // pool), classes, width), transformer, pool)


def _fully_connected(channels: int, side: int, classes: int, width: int) -> nn.Sequential:
    """Two hidden layers with normalisation."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(channels * side * side, width),
        nn.LayerNorm(width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.LayerNorm(width),
        nn.ReLU(),
        nn.Linear(width, classes),
    )


def _convolutional(channels: int, side: int, classes: int, width: int) -> nn.Sequential:
    """Two convolutions with max-pooling, a third where there is still room for it, and two linear layers."""
    layers: list[nn.Module] = []
    # The first layer sees the most pixels, and has the fewest channels.
    for kernel, after in ((5, max(1, width // 4)), (5, width), (3, width)):
        if (side - kernel + 1) // 2 < 2:
            break
        # ReLU after the pooling gives what ReLU before it would, on a quarter of the values.
        layers += [nn.Conv2d(channels, after, kernel), nn.MaxPool2d(2), nn.GroupNorm(1, after), nn.ReLU()]
        side, channels = (side - kernel + 1) // 2, after
    layers += [nn.Flatten(), nn.Linear(channels * side * side, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, classes)]
    return nn.Sequential(*layers)


@lru_cache(maxsize=256)
def _width(name: str, canvas: int, classes: int, transform: str, channels: int) -> int:
    """Return the width that brings a network nearest to the number of parameters that all have."""
    wanted = PARAMETERS if channels == 1 else PARAMETERS_FOR_TWO

    def excess(width: int) -> int:
        with torch.device("meta"):
            return count_parameters(_built(name, canvas, classes, transform, channels, width)) - wanted

    widest = bisect.bisect_left(range(1, _WIDEST), 0, key=lambda width: excess(width)) + 1
    return min((max(1, widest - 1), widest), key=lambda width: abs(excess(width)))
