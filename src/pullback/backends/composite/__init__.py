"""Plain torch operations: other devices, the second opinion of the tests, and what `torch.onnx.export` traces."""

from pullback.backends.composite.operations import (
    cast,
    execution,
    gradient,
    jvp,
    normal,
    prefilter,
    pull,
    push,
    resize,
    second,
    sum_dtype,
    vjp,
    winners,
)

__all__ = [
    "cast",
    "execution",
    "gradient",
    "jvp",
    "normal",
    "prefilter",
    "pull",
    "push",
    "resize",
    "second",
    "sum_dtype",
    "vjp",
    "winners",
]
