"""Localization networks: they look at an image and say, in features, how it is placed.

Where things are is all that a localization network is asked for, so none of them averages over the whole image: the
convolutional ones keep a grid of positions up to a linear layer, or give positions themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_MAX_POOLS = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
_AVERAGE_POOLS = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
_ADAPTIVE_POOLS = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}


class Localization(nn.Module):
    """A localization network that says how many features it gives.

    Parameters
    ----------
    layers : sequence of torch.nn.Module
        What an image goes through, from ``(N, C, *spatial)`` to ``(N, features)``.
    features : int
        The number of features.

    Attributes
    ----------
    layers : torch.nn.Sequential
        The network.
    features : int
        The number of features.

    Examples
    --------
    A network of one's own, whose head need not find out the number of features:

    >>> import torch
    >>> import pullback as pb
    >>> network = pb.nn.Localization([torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten()], features=16)
    >>> network(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 16])
    >>> pb.nn.SpatialTransformer(network).head.linear.in_features
    16
    """

    def __init__(self, layers: Sequence[nn.Module], features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.features = features

    def forward(self, image: Tensor) -> Tensor:
        """Return the features of a batch of images.

        Parameters
        ----------
        image : Tensor, shape (N, C, *spatial)
            The images.

        Returns
        -------
        Tensor, shape (N, features)
            What the layers give.
        """
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
    pool : int, optional
        The image is first averaged over cells of so many pixels a side: where a thing is can be seen on a small image.
    groups : int, optional
        Above 0, what each convolution gives is normalised in so many groups of channels (Wu & He 2018, "Group
        normalization"), which speeds up the training. No statistics are kept, so that a batch of one will do.

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
        pool: int = 1,
        groups: int = 0,
    ) -> None:
        _check_positive("ConvLocalization", features=features, grid=grid)
        layers = _convolutions("ConvLocalization", channels, widths, kernel_size, ndim, pool, groups)
        super().__init__([*layers, *_positions((channels, *widths)[-1], features, grid, ndim)], features)


class SpatialSoftmaxLocalization(Localization):
    """A convolutional localization network that gives positions: where each of its heat maps is warm, on the mean.

    Convolutions, each but the last followed by ReLU and 2 x 2 max-pooling. The last one gives heat maps; a softmax over
    all places makes each a distribution, whose mean is a feature for each axis (Levine et al. 2016, "End-to-end
    training of deep visuomotor policies"). A thing that moves takes the mean along, wherever it is, so that where there
    is something to find, this learns to from fewer images than :class:`ConvLocalization`.

    Parameters
    ----------
    channels : int
        Channels of the image.
    widths : sequence of int, optional
        Channels of each convolution before the last.
    maps : int, optional
        How many heat maps; there are so many features for each spatial axis.
    kernel_size : int, optional
        Side of the convolution kernels, odd; the borders are padded so that no position is lost.
    ndim : {1, 2, 3}, optional
        Number of spatial axes.
    pool : int, optional
        The image is first averaged over cells of so many pixels a side.
    groups : int, optional
        Above 0, what each convolution but the last gives is normalised in so many groups of channels.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Notes
    -----
    With p, the softmax of a heat map over its places x, a feature is ``sum_x p(x) x``. Places are in the frame
    "centered" of the image.

    Examples
    --------
    >>> import torch
    >>> from pullback.nn import SpatialSoftmaxLocalization
    >>> SpatialSoftmaxLocalization(1, maps=4)(torch.zeros(2, 1, 28, 40)).shape
    torch.Size([2, 8])
    """

    def __init__(
        self,
        channels: int,
        widths: Sequence[int] = (16, 32),
        maps: int = 8,
        *,
        kernel_size: int = 5,
        ndim: int = 2,
        pool: int = 1,
        groups: int = 0,
    ) -> None:
        _check_positive("SpatialSoftmaxLocalization", maps=maps)
        layers = _convolutions("SpatialSoftmaxLocalization", channels, widths, kernel_size, ndim, pool, groups)
        heat = _CONVOLUTIONS[ndim]((channels, *widths)[-1], maps, kernel_size, padding=kernel_size // 2)
        super().__init__([*layers, heat], maps * ndim)
        self.cell = pool * 2 ** len(widths)

    def forward(self, image: Tensor) -> Tensor:
        """Return the mean positions of the heat maps of a batch of images.

        Parameters
        ----------
        image : Tensor, shape (N, C, *spatial)
            The images.

        Returns
        -------
        Tensor, shape (N, maps * d)
            Positions in the frame "centered", map by map, in float32 at least.
        """
        heat: Tensor = self.layers(image)
        sides = image.shape[2:]
        # The middles of the cells that the image was pooled to, of which the last on an axis may be cut off.
        edges = [torch.arange(0, side + self.cell, self.cell, device=heat.device).clamp(max=side) for side in sides]
        axes = [(edge[:-1] + edge[1:] - side) / min(sides) for edge, side in zip(edges, sides, strict=True)]
        places = torch.cartesian_prod(*axes).reshape(-1, len(axes))
        weight = heat.flatten(2).to(torch.promote_types(heat.dtype, torch.float32)).softmax(2)
        # Not a product of matrices, which autocast would round to half precision.
        return (weight[..., None] * places).sum(2).flatten(1)


class TrunkLocalization(Localization):
    """A localization network that begins with layers of the classifier, its trunk.

    The classifier sees the image through the same first layers, so what these learn for the one serves the other
    (Finnveden, Jansson & Lindeberg 2020, "Understanding when spatial transformer networks do not support invariance").

    Parameters
    ----------
    trunk : torch.nn.Module
        The layers that are shared: from images to ``(N, width, *spatial)``.
    width : int
        Channels that the trunk gives.
    features : int, optional
        Width of the hidden linear layer, the number of features.
    grid : int, optional
        Side of the grid of positions that the linear layer sees.
    ndim : {1, 2, 3}, optional
        Number of spatial axes.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Notes
    -----
    The trunk's parameters are those of both networks; in :func:`localization_parameter_groups` they take the smaller
    step.

    Examples
    --------
    >>> import torch
    >>> import pullback as pb
    >>> trunk = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 5), torch.nn.MaxPool2d(2), torch.nn.ReLU())
    >>> transformer = pb.nn.SpatialTransformer(pb.nn.TrunkLocalization(trunk, 8))
    >>> model = torch.nn.Sequential(transformer, trunk, torch.nn.Flatten(), torch.nn.Linear(8 * 12 * 12, 10))
    >>> model(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """

    def __init__(self, trunk: nn.Module, width: int, features: int = 32, *, grid: int = 4, ndim: int = 2) -> None:
        if ndim not in _CONVOLUTIONS:
            raise ValueError(f"TrunkLocalization: `ndim` is {ndim!r}; give 1, 2 or 3")
        _check_positive("TrunkLocalization", width=width, features=features, grid=grid)
        super().__init__([trunk, *_positions(width, features, grid, ndim)], features)


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


def _convolutions(
    function: str, channels: int, widths: Sequence[int], kernel_size: int, ndim: int, pool: int, groups: int
) -> list[nn.Module]:
    """Return average pooling, and convolutions each followed by max-pooling, normalisation and ReLU."""
    if ndim not in _CONVOLUTIONS:
        raise ValueError(f"{function}: `ndim` is {ndim!r}; give 1, 2 or 3")
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f"{function}: `kernel_size` is {kernel_size}; give an odd number")
    _check_positive(function, channels=channels, widths=widths, pool=pool)
    if groups < 0 or (groups and any(width % groups for width in widths)):
        raise ValueError(f"{function}: `groups` is {groups}; give a number that divides each of {widths}")
    layers: list[nn.Module] = [_AVERAGE_POOLS[ndim](pool, ceil_mode=True)] if pool > 1 else []
    for before, after in zip((channels, *widths), widths, strict=False):
        # With ceil_mode, a side of one sample stays one: small images pass as well as large ones.
        layers += [
            _CONVOLUTIONS[ndim](before, after, kernel_size, padding=kernel_size // 2),
            # ReLU after the pooling gives what ReLU before it would, on fewer values.
            _MAX_POOLS[ndim](2, ceil_mode=True),
            *([nn.GroupNorm(groups, after)] if groups else []),
            nn.ReLU(),
        ]
    return layers


def _positions(width: int, features: int, grid: int, ndim: int) -> list[nn.Module]:
    """Return layers that give features of what is where, on a coarse grid."""
    return [_ADAPTIVE_POOLS[ndim](grid), nn.Flatten(), nn.Linear(width * grid**ndim, features), nn.ReLU()]


def _check_positive(function: str, **values: int | Sequence[int]) -> None:
    for name, value in values.items():
        if any(number < 1 for number in (value if isinstance(value, Sequence) else (value,))):
            raise ValueError(f"{function}: `{name}` is {value}; give positive numbers")
