"""The spatial transformer: a module that predicts a transform from its input, and warps the input with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, overload

from torch import Tensor, nn

from pullback.nn.heads import TransformHead
from pullback.nn.localization import Localization
from pullback.transforms import MatrixTransform
from pullback.warping import warp


class SpatialTransformer(nn.Module):
    """Warp images with transforms that a localization network predicts from them.

    Whatever the localization network is, the transform starts as the identity: the head adds a linear map of the
    features, zero at the start, to the identity's parameters. Transforms are in the frame "centered", so a rotation is
    a rotation on an image of any shape.

    Parameters
    ----------
    localization : torch.nn.Module
        Maps images ``(N, C, *spatial)`` to features ``(N, ...)``, which are flattened.
    transform : {"affine", "similarity", "attention", "translation"}, optional
        The family. "attention" is an isotropic scale and a translation; "similarity" a rotation too.
    size : int or sequence of int, optional
        Spatial shape of the output; one number stands for every axis. Default: that of the input.
    ndim : {1, 2, 3}, optional
        Number of spatial axes. Default: the length of `size`, or 2.
    features : int, optional
        Number of features, flattened. Default: what a localization network of this package says; for other modules it
        is found out in the first call, as in `torch.nn.LazyLinear`.
    interpolation, border, fill, extent
        As in :func:`pullback.warp`. `fill` is in the units of the data: where these are normalised, give the value of
        the background, or the network finds an edge around every image.

    Raises
    ------
    ValueError
        If `transform` is no family, or `size` and `ndim` do not fit each other.

    References
    ----------
    Jaderberg et al., "Spatial Transformer Networks", 2015, arXiv 1506.02025, section 3.

    Examples
    --------
    >>> import torch
    >>> import pullback as pb
    >>> transformer = pb.nn.SpatialTransformer(pb.nn.ConvLocalization(1), size=(28, 28))
    >>> images = torch.rand(4, 1, 42, 42)
    >>> warped, transforms = transformer(images, return_transform=True)
    >>> warped.shape, transforms
    (torch.Size([4, 1, 28, 28]), Affine(batch of 4, 2-D, torch.float32, cpu))
    """

    def __init__(
        self,
        localization: nn.Module,
        transform: str = "affine",
        size: int | Sequence[int] | None = None,
        *,
        ndim: int | None = None,
        features: int | None = None,
        interpolation: str | Sequence[str] = "linear",
        border: str | Sequence[str] = "constant",
        fill: float | Sequence[float] = 0.0,
        extent: str = "blend",
    ) -> None:
        super().__init__()
        self.size, self.ndim = _size_and_ndim(size, ndim)
        if features is None and isinstance(localization, Localization):
            features = localization.features
        self.localization = localization
        self.head = TransformHead(transform, self.ndim, features)
        self.interpolation, self.border, self.fill, self.extent = interpolation, border, fill, extent

    @overload
    def forward(self, image: Tensor, return_transform: Literal[False] = False) -> Tensor: ...
    @overload
    def forward(self, image: Tensor, return_transform: Literal[True]) -> tuple[Tensor, MatrixTransform]: ...
    @overload
    def forward(self, image: Tensor, return_transform: bool) -> Tensor | tuple[Tensor, MatrixTransform]: ...

    def forward(self, image: Tensor, return_transform: bool = False) -> Tensor | tuple[Tensor, MatrixTransform]:
        """Warp a batch of images, each with the transform predicted from it.

        Parameters
        ----------
        image : Tensor, shape (N, C, *spatial)
            The images, or the feature maps of a deeper layer.
        return_transform : bool, optional
            Whether to return the transforms too.

        Returns
        -------
        warped : Tensor, shape (N, C, *size)
            The warped images, of the dtype of `image`.
        transform : Transform
            The batch of N transforms, only where `return_transform` is true; from output to input, in the frame
            "centered", in float32 at least.

        Raises
        ------
        ValueError
            If `image` has another number of axes than ``ndim + 2``, or the localization loses the batch axis.
        """
        transform = self.predict(image)
        warped: Tensor = warp(
            image,
            transform,
            self.size,
            interpolation=self.interpolation,
            border=self.border,
            fill=self.fill,
            extent=self.extent,
            frame="centered",
        )
        return (warped, transform) if return_transform else warped

    def predict(self, image: Tensor) -> MatrixTransform:
        """Return the batch of transforms for `image`, ``(N, C, *spatial)``, without warping."""
        if image.ndim != self.ndim + 2:
            raise ValueError(
                f"SpatialTransformer: `image` has shape {tuple(image.shape)}; give (N, C) and {self.ndim} spatial "
                "axes, or set ndim="
            )
        features = self.localization(image)
        if features.ndim == 0 or features.shape[0] != image.shape[0]:
            raise ValueError(
                f"SpatialTransformer: `localization` gives shape {tuple(features.shape)} for a batch of "
                f"{image.shape[0]}; keep the batch as its first axis"
            )
        transform: MatrixTransform = self.head(features)
        return transform

    def extra_repr(self) -> str:
        """Return what the module's repr says of it."""
        return (
            f"size={self.size}, interpolation={self.interpolation!r}, border={self.border!r}, fill={self.fill!r}, "
            f"extent={self.extent!r}"
        )


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
