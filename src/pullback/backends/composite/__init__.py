"""Plain torch operations: other devices, the second opinion of the tests, and what `torch.onnx.export` traces."""

from pullback.backends.composite.operations import (
    cast,
    geometry_vjp,
    gradient,
    prefilter,
    pull,
    push,
    resample,
    winners,
)

__all__ = ["cast", "geometry_vjp", "gradient", "prefilter", "pull", "push", "resample", "winners"]
