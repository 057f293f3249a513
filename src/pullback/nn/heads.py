"""From features to a transform: the table of families, and the linear layer that predicts their parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from pullback.transforms import Affine, MatrixTransform, Similarity, Translation


@dataclass(frozen=True)
class Family:
    """How a network predicts a transform of one family.

    Attributes
    ----------
    identity : callable
        From the number of spatial axes to the parameters of the identity, a flat tensor of float32.
    build : callable
        From predicted parameters, ``(N, k)``, and the number of spatial axes to a batch of N transforms.
    """

    identity: Callable[[int], Tensor]
    build: Callable[[Tensor, int], MatrixTransform]

    def count(self, ndim: int) -> int:
        """Return k, the number of parameters in `ndim` dimensions."""
        return self.identity(ndim).numel()


def _identity_of(family: type[MatrixTransform]) -> Callable[[int], Tensor]:
    return lambda ndim: torch.tensor(family.identity(ndim).parameters, dtype=torch.float32).flatten()


FAMILIES: dict[str, Family] = {
    "translation": Family(_identity_of(Translation), lambda p, ndim: Translation(p)),
    "attention": Family(
        lambda ndim: torch.tensor([1.0] + [0.0] * ndim), lambda p, ndim: Similarity(p[:, 0], None, p[:, 1:])
    ),
    "similarity": Family(_identity_of(Similarity), lambda p, ndim: Similarity.from_parameters(p)),
    "affine": Family(_identity_of(Affine), lambda p, ndim: Affine(p.reshape(-1, ndim, ndim + 1))),
}


class TransformHead(nn.Module):
    """A linear layer from features to a batch of transforms: identity + weight · features + bias.

    Weight and bias start at zero, so whatever the features are, the transform starts as the identity. All of it is
    computed in float32 at least, under autocast and in half-precision models too: in float16, a position near
    the edge of an image of 1000 pixels can be wrong by an eighth of a pixel, in bfloat16 by one pixel.

    Parameters
    ----------
    transform : str
        A name in :data:`FAMILIES`.
    ndim : int
        Number of spatial axes, d.
    features : int, optional
        Number of features. Default: found out in the first call, as in `torch.nn.LazyLinear`.

    Raises
    ------
    ValueError
        If `transform` is no family.

    Examples
    --------
    >>> import torch
    >>> from pullback.nn import TransformHead
    >>> TransformHead("translation", 2, features=8)(torch.randn(4, 8))
    Translation(batch of 4, 2-D, torch.float32, cpu)
    """

    identity: Tensor

    def __init__(self, transform: str, ndim: int, features: int | None = None) -> None:
        super().__init__()
        if transform not in FAMILIES:
            raise ValueError(f"TransformHead: `transform` is {transform!r}; give one of {', '.join(FAMILIES)}")
        self.transform, self.ndim = transform, ndim
        identity = FAMILIES[transform].identity(ndim)
        self.register_buffer("identity", identity, persistent=False)
        count = identity.numel()
        self.linear = _LazyZeroLinear(count) if features is None else _ZeroLinear(features, count)

    def forward(self, features: Tensor) -> MatrixTransform:
        """Return a batch of N transforms for `features`, ``(N, ...)``, flattened to ``(N, features)``."""
        with torch.autocast(features.device.type, enabled=False):
            predicted = self.linear(features.flatten(1))
            return FAMILIES[self.transform].build(predicted + self.identity, self.ndim)

    def extra_repr(self) -> str:
        """Return what the module's repr says of it."""
        return f"transform={self.transform!r}, ndim={self.ndim}"


class _ZeroLinear(nn.Linear):
    """A linear layer that starts at zero and computes in float32 at least."""

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, features: Tensor) -> Tensor:
        dtype = torch.promote_types(self.weight.dtype, torch.float32)
        return functional.linear(features.to(dtype), self.weight.to(dtype), self.bias.to(dtype))


class _LazyZeroLinear(nn.LazyLinear, _ZeroLinear):
    """The same with its number of features found out in the first call."""

    cls_to_become = _ZeroLinear
