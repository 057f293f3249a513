"""Plain torch operations: other devices, the second opinion of the tests, and what `torch.onnx.export` traces."""

from pullback.backends.composite.operations import (
    cast,
    execution,
    gradient,
    normal,
    prefilter,
    pull,
    push,
    resize,
    sum_dtype,
    vjp,
    winners,
)

__all__ = [
    "cast",
    "execution",
    "gradient",
    "normal",
    "prefilter",
    "pull",
    "push",
    "resize",
    "sum_dtype",
    "vjp",
    "winners",
]
