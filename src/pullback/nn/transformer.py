"""The spatial transformer: a module that predicts transforms from its input, and warps the input with them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from itertools import product
from typing import Any, Literal, overload

import torch
from torch import Tensor, nn

from pullback._arrays import has_values
from pullback.nn.families import Family, Limit
from pullback.nn.heads import TransformHead
from pullback.nn.localization import Localization
from pullback.sampling import sample
from pullback.transforms import Affine, Chain, Transform
from pullback.transforms.points import points_like
from pullback.warping import warp

Transforms = Transform | tuple[Transform, ...]

# Where the pixels at the edge are off by more of the data's standard deviation than this, `fill` makes a frame.
_NOTICEABLE = 0.1

_MERGES = ("stack", "channels")
_POSES = ("identity", "tiles")


class BackgroundWarning(UserWarning):
    """What lies beyond the images differs from what lies at their edges, so that a network sees a frame.

    Given by :class:`SpatialTransformer`, in the first call in training mode alone; its `fill` or `border` mends it.

    Examples
    --------
    >>> import warnings
    >>> import torch
    >>> import pullback as pb
    >>> transformer = pb.nn.SpatialTransformer(pb.nn.ConvLocalization(1))
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     _ = transformer(torch.rand(2, 1, 28, 28) / 8 - 1)
    >>> [warning.category.__name__ for warning in caught]
    ['BackgroundWarning']
    """


class SpatialTransformer(nn.Module):
    """Warp images with transforms that a localization network predicts from them.

    Whatever the localization network is, every transform starts as the identity: the head adds a linear map of the
    features, zero at the start, to the identity's parameters. Transforms are in the frame "centered", so a rotation is
    a rotation on an image of any shape.

    Parameters
    ----------
    localization : torch.nn.Module
        Maps images ``(N, C, *spatial)`` to features ``(N, ...)``, which are flattened.
    transform : str or Family, optional
        The family: "translation"; "attention", an isotropic scale and a translation; "similarity", a rotation too;
        "affine", "projective"; "tps", thin-plate splines on 4 control points an axis; "free-form", cubic B-splines;
        "diffeomorphic", flows. Or what :func:`thin_plate_spline`, :func:`free_form` and :func:`diffeomorphic` give.
    size : int or sequence of int, optional
        Spatial shape of the output; one number stands for every axis. Default: that of the input.
    ndim : {1, 2, 3}, optional
        Number of spatial axes. Default: the length of `size`, or 2.
    features : int, optional
        Number of features, flattened. Default: what a localization network of this package says; for other modules it
        is found out in the first call, as in `torch.nn.LazyLinear`.
    heads : int, optional
        How many transforms are predicted, each for an output of its own.
    merge : {"stack", "channels"}, optional
        Where there are several heads, whether their outputs are stacked, ``(N, heads, C, *size)``, or follow each other
        as channels, ``(N, heads * C, *size)``.
    pose : {"identity", "tiles"}, optional
        Where the heads look at the start: all at the whole image, or each at its tile of the smallest regular grid that
        has one for each. What is predicted is applied first, and then the pose.
    steps : int, optional
        How often to look. Each further step looks at the image through the transform so far, and composes with it what
        it predicts there; the image itself is only ever read through the composed transform (Lin & Lucey 2017,
        "Inverse compositional spatial transformer networks").
    limit : mapping, optional
        The range of what is predicted in each step, such as ``{"scale": (0.5, 2), "rotation": 45}``; see
        :class:`TransformHead`.
    noise : float, optional
        Standard deviation of the head's weights at the start; see :class:`TransformHead`.
    antialias : bool, optional
        As in :func:`pullback.warp`; for the output, and for what further steps look at where the output has the form of
        the image.
    interpolation : str, Cubic, or a sequence with one an axis, optional
        As in :func:`pullback.warp`.
    border : str or sequence of str, optional
        As in :func:`pullback.warp`.
    fill : float or sequence of float, optional
        As in :func:`pullback.warp`, in the units of the data: where these are normalised, give the value of the
        background, or the network finds an edge around every image.
    extent : {"blend", "crop"}, optional
        As in :func:`pullback.warp`.

    Raises
    ------
    ValueError
        If `transform` is no family, `size` and `ndim` do not fit each other, or another argument is out of its range.

    Warns
    -----
    BackgroundWarning
        If, in the first call in training mode, the border is "constant" and the median pixel at the edges of the images
        differs from `fill`. Nothing else makes transformers collapse as often: where zooming out adds a frame,
        the network learns to look at the frame.

    See Also
    --------
    localization_parameter_groups : The smaller learning rate that localization networks need.
    distance_from_identity, bending_energy, area_change, fold_penalty, overhang : What to add to a loss.

    References
    ----------
    Jaderberg et al., "Spatial Transformer Networks", 2015, arXiv 1506.02025, section 3.

    Examples
    --------
    >>> import torch
    >>> import pullback as pb
    >>> transformer = pb.nn.SpatialTransformer(pb.nn.ConvLocalization(1), size=(28, 28))
    >>> images = torch.rand(4, 1, 42, 42)
    >>> _ = transformer.eval()
    >>> warped, transforms = transformer(images, return_transform=True)
    >>> warped.shape, transforms
    (torch.Size([4, 1, 28, 28]), Affine(batch of 4, 2-D, torch.float32, cpu))

    Two views, of the left and of the right half at the start, each looked at twice:

    >>> two = pb.nn.SpatialTransformer(pb.nn.ConvLocalization(1), "attention", 21, heads=2, steps=2, pose="tiles")
    >>> two.eval()(images).shape
    torch.Size([4, 2, 1, 21, 21])
    """

    def __init__(
        self,
        localization: nn.Module,
        transform: str | Family = "affine",
        size: int | Sequence[int] | None = None,
        *,
        ndim: int | None = None,
        features: int | None = None,
        heads: int = 1,
        merge: str = "stack",
        pose: str = "identity",
        steps: int = 1,
        limit: Limit | None = None,
        noise: float = 0.0,
        antialias: bool = False,
        interpolation: str | Sequence[str] = "linear",
        border: str | Sequence[str] = "constant",
        fill: float | Sequence[float] = 0.0,
        extent: str = "blend",
    ) -> None:
        super().__init__()
        self.size, self.ndim = _size_and_ndim(size, ndim)
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise ValueError(f"SpatialTransformer: `steps` is {steps!r}; give a whole number of at least 1")
        for name, value, known in (("merge", merge, _MERGES), ("pose", pose, _POSES)):
            if value not in known:
                raise ValueError(f"SpatialTransformer: `{name}` is {value!r}; give {' or '.join(map(repr, known))}")
        if features is None and isinstance(localization, Localization):
            features = localization.features
        self.localization = localization
        self.head = TransformHead(transform, self.ndim, features, heads=heads, limit=limit, noise=noise)
        self.heads, self.merge, self.pose, self.steps = heads, merge, pose, steps
        self.antialias, self.interpolation, self.border = antialias, interpolation, border
        self.fill, self.extent = fill, extent
        self._background_is_known = False

    @overload
    def forward(self, image: Tensor, return_transform: Literal[False] = False) -> Tensor: ...
    @overload
    def forward(self, image: Tensor, return_transform: Literal[True]) -> tuple[Tensor, Transforms]: ...
    @overload
    def forward(self, image: Tensor, return_transform: bool) -> Tensor | tuple[Tensor, Transforms]: ...

    def forward(self, image: Tensor, return_transform: bool = False) -> Tensor | tuple[Tensor, Transforms]:
        """Warp a batch of images, each with the transforms predicted from it.

        Parameters
        ----------
        image : Tensor, shape (N, C, *spatial)
            The images, or the feature maps of a deeper layer; all channels go through the same transform.
        return_transform : bool, optional
            Whether to return the transforms too.

        Returns
        -------
        warped : Tensor, shape (N, C, *size), (N, heads, C, *size) or (N, heads * C, *size)
            The warped images, of the dtype of `image`.
        transform : Transform, or tuple of Transform
            The batch of N transforms, only where `return_transform` is true; a tuple of them where there are several
            heads. From output to input, in the frame "centered", in float32 at least.

        Raises
        ------
        ValueError
            If `image` has another number of axes than ``ndim + 2``, or the localization loses the batch axis.
        """
        if self.training and not self._background_is_known and has_values(image):
            self._look_at_background(image)
        transforms = self._predict(image)
        views = [self._view(image, transform, self.size) for transform in transforms]
        if self.heads == 1:
            warped = views[0]
        else:
            warped = torch.stack(views, 1) if self.merge == "stack" else torch.cat(views, 1)
        return (warped, _alone(transforms)) if return_transform else warped

    def predict(self, image: Tensor) -> Transforms:
        """Return the transforms that a call would warp images with, without warping.

        Parameters
        ----------
        image : Tensor, shape (N, C, *spatial)
            The images, or feature maps, as in a call.

        Returns
        -------
        Transform, or tuple of Transform
            As those that a call returns with `return_transform`.

        Raises
        ------
        ValueError
            As in a call.

        Examples
        --------
        >>> import torch
        >>> import pullback as pb
        >>> transformer = pb.nn.SpatialTransformer(pb.nn.ConvLocalization(1), "similarity")
        >>> transformer.predict(torch.rand(4, 1, 28, 28))
        Similarity(batch of 4, 2-D, torch.float32, cpu)
        """
        return _alone(self._predict(image))

    def _predict(self, image: Tensor) -> tuple[Transform, ...]:
        if image.ndim != self.ndim + 2:
            raise ValueError(
                f"SpatialTransformer: `image` has shape {tuple(image.shape)}; give (N, C) and {self.ndim} spatial "
                "axes, or set ndim="
            )
        shape = self.size or image.shape[2:]
        transforms: tuple[Transform, ...] = self.head(self._features(image), shape)
        if self.pose == "tiles":
            poses = _tiles(self.heads, image.shape[2:], shape, image.device)
            transforms = tuple(Chain.of(pose, part) for pose, part in zip(poses, transforms, strict=True))
        for _ in range(1, self.steps):
            seen = torch.cat([self._look(image, transform, shape) for transform in transforms])
            # Each head looks through its own transform, and of what is predicted from that its own alone is taken.
            looks = self._features(seen).chunk(len(transforms))
            found = [self.head(look, shape)[own] for own, look in enumerate(looks)]
            transforms = tuple(Chain.of(so_far, more) for so_far, more in zip(transforms, found, strict=True))
        return transforms

    def _features(self, image: Tensor) -> Tensor:
        features: Tensor = self.localization(image)
        if features.ndim == 0 or features.shape[0] != image.shape[0]:
            raise ValueError(
                f"SpatialTransformer: `localization` gives shape {tuple(features.shape)} for a batch of "
                f"{image.shape[0]}; keep the batch as its first axis"
            )
        return features

    def _look(self, image: Tensor, transform: Transform, shape: Sequence[int]) -> Tensor:
        """Return what an output of `shape` would show, at the image's own resolution."""
        seen = image.shape[2:]
        if all(side * shape[0] == other * seen[0] for side, other in zip(shape, seen, strict=True)):
            return self._view(image, transform, seen)
        # Of another form than the image, the output spans other positions in the frame "centered".
        dtype = torch.promote_types(image.dtype, torch.float32)
        points = points_like(torch.empty((), dtype=dtype, device=image.device), tuple(seen), "centered")
        extent, own = (points.new_tensor(sides) / min(sides) for sides in (shape, seen))
        coords = transform((points * (extent / own))[None], shape=shape, frame="centered")
        look: Tensor = sample(image, coords, **self._reading)
        return look

    def _view(self, image: Tensor, transform: Transform, shape: Sequence[int] | None) -> Tensor:
        view: Tensor = warp(image, transform, shape, antialias=self.antialias, **self._reading)
        return view

    @property
    def _reading(self) -> dict[str, Any]:
        """How images are read, as arguments of `warp` and `sample`."""
        return {
            "interpolation": self.interpolation,
            "border": self.border,
            "fill": self.fill,
            "extent": self.extent,
            "frame": "centered",
        }

    def _look_at_background(self, image: Tensor) -> None:
        self._background_is_known = True
        borders = (self.border,) if isinstance(self.border, str) else self.border
        if "constant" not in borders or image.ndim != self.ndim + 2 or image.numel() == 0:
            return
        values = image.detach().float()
        edges = torch.ones(image.shape[2:], dtype=torch.bool, device=image.device)
        edges[(slice(1, -1),) * self.ndim] = False
        fill = torch.as_tensor(self.fill, dtype=torch.float32, device=image.device)
        if fill.ndim and len(fill) != image.shape[1]:
            return  # which `warp` refuses
        background = values[:, :, edges].transpose(0, 1).flatten(1).median(1).values
        spread = values.transpose(0, 1).flatten(1).std(1, correction=0)
        off = (background - fill).abs() > _NOTICEABLE * spread
        if off.any():
            found = ", ".join(f"{value:.4g}" for value in background.tolist())
            warnings.warn(
                f"SpatialTransformer: the median pixel at the edges of the images is {found}, but `fill` is "
                f"{self.fill}: whatever lies beyond the images will show as a frame. Give the background as `fill`, "
                "in the units of the data, or another `border`",
                BackgroundWarning,
                stacklevel=5,
            )

    def extra_repr(self) -> str:
        """Return what the module's repr says of it.

        Returns
        -------
        str
            Its settings, as arguments are written.
        """
        several = f", merge={self.merge!r}, pose={self.pose!r}" if self.heads > 1 else ""
        return (
            f"size={self.size}, steps={self.steps}{several}, antialias={self.antialias}, "
            f"interpolation={self.interpolation!r}, border={self.border!r}, fill={self.fill!r}, extent={self.extent!r}"
        )


def _alone(transforms: tuple[Transform, ...]) -> Transforms:
    return transforms if len(transforms) > 1 else transforms[0]


def _tiles(count: int, shape: Sequence[int], output: Sequence[int], device: torch.device) -> list[Affine]:
    """Return maps, in the frame "centered", from an output to each of `count` tiles of an image of `shape`.

    The grid of tiles is the smallest with equal numbers along all axes, but for those that are not needed: two tiles
    are halves, side by side along the last axis.
    """
    counts = [1] * len(shape)
    while math.prod(counts) < count:
        # The axis along which tiles are longest; of equal ones the last.
        sides = [side / tiles for side, tiles in zip(shape, counts, strict=True)]
        counts[len(sides) - 1 - sides[::-1].index(max(sides))] += 1
    half, seen = ([side / min(sides) for side in sides] for sides in (shape, output))
    tiles = []
    for place in list(product(*map(range, counts)))[:count]:
        matrix = torch.zeros(len(shape), len(shape) + 1)
        for axis, (at, along) in enumerate(zip(place, counts, strict=True)):
            matrix[axis, axis] = half[axis] / along / seen[axis]
            matrix[axis, -1] = half[axis] * ((2 * at + 1) / along - 1)
        tiles.append(Affine(matrix.to(device)))
    return tiles


def _size_and_ndim(size: int | Sequence[int] | None, ndim: int | None) -> tuple[tuple[int, ...] | None, int]:
    if ndim is None:
        ndim = len(size) if isinstance(size, Sequence) else 2
    if ndim not in (1, 2, 3):
        raise ValueError(f"SpatialTransformer: the number of spatial axes is {ndim}; give `ndim` of 1, 2 or 3")
    if size is None:
        return None, ndim
    shape = tuple(size) if isinstance(size, Sequence) else (size,) * ndim
    if len(shape) != ndim or min(shape) < 1:
        raise ValueError(
            f"SpatialTransformer: `size` is {size} but there are {ndim} spatial axes; give one length each"
        )
    return shape, ndim
