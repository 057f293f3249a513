"""Localization networks: they look at an image and say, in features, how it is placed.

Where things are is all that a localization network is asked for, so neither of them averages over the whole image:
the convolutional one keeps a grid of positions up to its linear layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_MAX_POOLS = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
_ADAPTIVE_POOLS = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}


class Localization(nn.Module):
    """A localization network that says how many features it gives.

    Attributes
    ----------
    layers : torch.nn.Sequential
        The network, from ``(N, C, *spatial)`` to ``(N, features)``.
    features : int
        The number of features.
    """

    def __init__(self, layers: Sequence[nn.Module], features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.features = features

    def forward(self, image: Tensor) -> Tensor:
        """Return the features, ``(N, features)``, of a batch of images, ``(N, C, *spatial)``."""
        features: Tensor = self.layers(image)
        return features


class ConvLocalization(Localization):
    """A small convolutional localization network, for images of any size.

    Convolutions, each followed by ReLU and 2 x 2 max-pooling, then average pooling to a grid of fixed size, and one
    hidden linear layer; after Jaderberg et al. 2015.

    Parameters
    ----------
    channels : int
        Channels of the image.
    widths : sequence of int, optional
        Channels of each convolution.
    features : int, optional
        Width of the hidden linear layer, the number of features.
    kernel_size : int, optional
        Side of the convolution kernels, odd; the borders are padded so that no position is lost.
    grid : int, optional
        Side of the grid of positions that the linear layer sees.
    ndim : {1, 2, 3}, optional
        Number of spatial axes.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> import torch
    >>> from pullback.nn import ConvLocalization
    >>> ConvLocalization(1)(torch.zeros(2, 1, 28, 40)).shape
    torch.Size([2, 20])
    """

    def __init__(
        self,
        channels: int,
        widths: Sequence[int] = (20, 20),
        features: int = 20,
        *,
        kernel_size: int = 5,
        grid: int = 4,
        ndim: int = 2,
    ) -> None:
        if ndim not in _CONVOLUTIONS:
            raise ValueError(f"ConvLocalization: `ndim` is {ndim!r}; give 1, 2 or 3")
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"ConvLocalization: `kernel_size` is {kernel_size}; give an odd number")
        _check_positive("ConvLocalization", channels=channels, widths=widths, features=features, grid=grid)
        layers: list[nn.Module] = []
        for before, after in zip((channels, *widths), widths, strict=False):
            # With ceil_mode, a side of one sample stays one: small images pass as well as large ones.
            layers += [
                _CONVOLUTIONS[ndim](before, after, kernel_size, padding=kernel_size // 2),
                nn.ReLU(),
                _MAX_POOLS[ndim](2, ceil_mode=True),
            ]
        positions = grid**ndim
        last = (channels, *widths)[-1]
        layers += [_ADAPTIVE_POOLS[ndim](grid), nn.Flatten(), nn.Linear(last * positions, features), nn.ReLU()]
        super().__init__(layers, features)


class FullyConnectedLocalization(Localization):
    """A localization network of linear layers and ReLUs, for images of one size.

    Parameters
    ----------
    shape : sequence of int
        Shape of one image, ``(C, *spatial)``.
    widths : sequence of int, optional
        Widths of the layers; the last is the number of features. The default is after
        Jaderberg et al. 2015.

    Raises
    ------
    ValueError
        If a number is not positive, or there are no widths.

    Examples
    --------
    >>> import torch
    >>> from pullback.nn import FullyConnectedLocalization
    >>> FullyConnectedLocalization((1, 28, 28))(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 32])
    """

    def __init__(self, shape: Sequence[int], widths: Sequence[int] = (32, 32, 32)) -> None:
        if not widths:
            raise ValueError("FullyConnectedLocalization: `widths` is empty; give at least one width")
        _check_positive("FullyConnectedLocalization", shape=shape, widths=widths)
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in zip((math.prod(shape), *widths), widths, strict=False):
            layers += [nn.Linear(before, after), nn.ReLU()]
        super().__init__(layers, widths[-1])


def _check_positive(function: str, **values: int | Sequence[int]) -> None:
    for name, value in values.items():
        if any(number < 1 for number in torch.as_tensor(value).flatten().tolist()):
            raise ValueError(f"{function}: `{name}` is {value}; give positive numbers")
