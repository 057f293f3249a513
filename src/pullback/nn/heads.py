"""From features to transforms: the linear layer that predicts their parameters."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from pullback.nn.families import Family, Limit, family_of
from pullback.transforms import Transform


class TransformHead(nn.Module):
    """A linear layer from features to batches of transforms; zeros of it are the identity.

    Weight and bias start at zero, so whatever the features are, every transform starts as the identity. All of it is
    computed in float32 at least, under autocast and in half-precision models too: in float16, a position near
    the edge of an image of 1000 pixels can be wrong by an eighth of a pixel, in bfloat16 by one pixel.

    Parameters
    ----------
    transform : str or Family
        A name in :data:`FAMILIES`, or a family such as :func:`thin_plate_spline` gives.
    ndim : int
        Number of spatial axes, d.
    features : int, optional
        Number of features. Default: found out in the first call, as in `torch.nn.LazyLinear`.
    heads : int, optional
        How many transforms are predicted from the same features.
    limit : mapping, optional
        The range of "scale" (a pair), "rotation" (degrees), "shear", "translation", "perspective" or "displacement";
        what of these a family has, see :data:`FAMILIES`. Numbers are bent smoothly into it. With any limit, an affine
        map is predicted as rotation, logarithms of scales, shears and translation, so that each can be limited.
    noise : float, optional
        Standard deviation of the weights at the start: above 0, the transforms start near the identity and not there.

    Raises
    ------
    ValueError
        If `transform` is no family, has not such axes or limits, or a number is out of its range.

    Examples
    --------
    >>> import torch
    >>> from pullback.nn import TransformHead
    >>> (transform,) = TransformHead("translation", 2, features=8)(torch.randn(4, 8), (28, 28))
    >>> transform
    Translation(batch of 4, 2-D, torch.float32, cpu)
    """

    def __init__(
        self,
        transform: str | Family,
        ndim: int,
        features: int | None = None,
        *,
        heads: int = 1,
        limit: Limit | None = None,
        noise: float = 0.0,
    ) -> None:
        super().__init__()
        self.limit = dict(limit or {})
        self.family = family_of(transform, ndim, self.limit)
        self.ndim, self.heads = ndim, heads
        if isinstance(heads, bool) or not isinstance(heads, int) or heads < 1:
            raise ValueError(f"TransformHead: `heads` is {heads!r}; give a whole number of at least 1")
        if not 0 <= noise < float("inf"):
            raise ValueError(f"TransformHead: `noise` is {noise!r}; give a number of at least 0")
        count = heads * self.family.count(ndim)
        self.linear = _LazyStillLinear(count) if features is None else _StillLinear(features, count)
        self.linear.noise = noise
        self.linear.reset_parameters()

    def forward(self, features: Tensor, shape: Sequence[int]) -> tuple[Transform, ...]:
        """Return a batch of N transforms a head.

        Parameters
        ----------
        features : Tensor, shape (N, ...)
            Flattened to ``(N, features)``.
        shape : sequence of int
            Spatial shape of the output that the transforms are for.

        Returns
        -------
        tuple of Transform
            One batch a head, in the frame "centered".
        """
        kind = features.device.type
        if not torch.amp.is_autocast_available(kind):
            return self._built(features, tuple(shape))
        with torch.autocast(kind, enabled=False):
            return self._built(features, tuple(shape))

    def _built(self, features: Tensor, shape: tuple[int, ...]) -> tuple[Transform, ...]:
        raw = self.linear(features.flatten(1))
        return tuple(self.family.build(part, shape, self.limit) for part in raw.chunk(self.heads, 1))

    def extra_repr(self) -> str:
        """Return what the module's repr says of it.

        Returns
        -------
        str
            Its settings, as arguments are written.
        """
        limit = f", limit={self.limit}" if self.limit else ""
        return f"transform={self.family.name!r}, ndim={self.ndim}, heads={self.heads}{limit}"


class _StillLinear(nn.Linear):
    """A linear layer that starts at zero, or near it, and computes in float32 at least."""

    noise = 0.0

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=self.noise) if self.noise else nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, features: Tensor) -> Tensor:
        dtype = torch.promote_types(self.weight.dtype, torch.float32)
        return functional.linear(features.to(dtype), self.weight.to(dtype), self.bias.to(dtype))


class _LazyStillLinear(nn.LazyLinear, _StillLinear):
    """The same with its number of features found out in the first call."""

    cls_to_become = _StillLinear
