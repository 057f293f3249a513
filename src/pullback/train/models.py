"""The networks that are trained: one classifier, alone and behind a spatial transformer, of equal size."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pullback import nn as pbnn
from pullback.transforms import MatrixTransform

CNN, ST_CNN = "cnn", "st-cnn"
MODELS: dict[str, str] = {CNN: "plain CNN", ST_CNN: "CNN behind a spatial transformer"}

# Channels of the classifier behind a transformer, and what its localization network is made of. Together they have
# about 55,000 parameters; the plain classifier gets as many by more channels.
_WIDTH = 20
_HIDDEN = 32
_LOCALIZATION_WIDTHS = (16, 16)
_LOCALIZATION_FEATURES = 32
_VIEW = 28
_WIDEST = 128


class Network(nn.Module):
    """A classifier, behind a spatial transformer or alone.

    Parameters
    ----------
    classifier : torch.nn.Module
        From images to logits.
    transformer : SpatialTransformer, optional
        What the images pass first.
    """

    def __init__(self, classifier: nn.Module, transformer: pbnn.SpatialTransformer | None = None) -> None:
        super().__init__()
        self.transformer = transformer
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, (N, classes), for images, (N, 1, canvas, canvas)."""
        if self.transformer is not None:
            images = self.transformer(images)
        logits: Tensor = self.classifier(images)
        return logits

    def rectify(self, images: Tensor) -> tuple[Tensor, MatrixTransform]:
        """Return what the transformer makes of images, and the transforms, in the frame "centered"."""
        if self.transformer is None:
            raise ValueError("Network.rectify: this network has no spatial transformer")
        warped, transform = self.transformer(images, return_transform=True)
        return warped, transform


def build(name: str, canvas: int, classes: int, transform: str = "affine") -> Network:
    """Build one of the networks in :data:`MODELS`.

    Parameters
    ----------
    name : {"cnn", "st-cnn"}
    canvas : int
        Side of the square images, in pixels.
    classes : int
        Number of classes.
    transform : str, optional
        Family of the transformer's transforms, a name in :data:`pullback.nn.FAMILIES`. The plain network, too, depends
        on it: it has as many parameters as the one with a transformer, to within 5 %.

    Returns
    -------
    Network

    Raises
    ------
    ValueError
        If `name` is no model or `transform` no family.

    Examples
    --------
    >>> from pullback.train import models
    >>> [models.count_parameters(models.build(name, canvas=42, classes=10)) for name in models.MODELS]
    [55348, 54816]
    """
    if name not in MODELS:
        raise ValueError(f"build: `name` is {name!r}; give one of {', '.join(MODELS)}")
    if name == ST_CNN:
        return _behind_transformer(canvas, classes, transform)
    return Network(_classifier(canvas, classes, _plain_width(canvas, classes, transform)))


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def _behind_transformer(canvas: int, classes: int, transform: str) -> Network:
    localization = pbnn.ConvLocalization(1, _LOCALIZATION_WIDTHS, _LOCALIZATION_FEATURES)
    transformer = pbnn.SpatialTransformer(localization, transform, size=(_VIEW, _VIEW))
    return Network(_classifier(_VIEW, classes, _WIDTH), transformer)


def _classifier(side: int, classes: int, width: int) -> nn.Sequential:
    """Three convolutions with max-pooling, and two linear layers."""
    layers: list[nn.Module] = []
    channels = 1
    for kernel, channels_after in ((5, width), (3, 2 * width), (3, 4 * width)):
        # ReLU after the pooling gives what ReLU before it would, on a quarter of the values.
        layers += [nn.Conv2d(channels, channels_after, kernel), nn.MaxPool2d(2), nn.ReLU()]
        side, channels = (side - kernel + 1) // 2, channels_after
    layers += [nn.Flatten(), nn.Linear(channels * side * side, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, classes)]
    return nn.Sequential(*layers)


def _plain_width(canvas: int, classes: int, transform: str) -> int:
    """Return the number of channels that brings the plain classifier nearest to the other's number of parameters."""
    target = count_parameters(_behind_transformer(canvas, classes, transform))
    with torch.device("meta"):
        sizes = {width: count_parameters(_classifier(canvas, classes, width)) for width in range(1, _WIDEST)}
    return min(sizes, key=lambda width: abs(sizes[width] - target))
