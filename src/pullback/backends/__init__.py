"""Where the work is done: one backend a kind of array, all with the same functions on canonical arrays."""

from __future__ import annotations

import sys
from typing import Any

import pullback.backends.numpy as _numpy
from pullback.backends._protocol import Backend, Execution, Operations

__all__ = ["Backend", "Execution", "Operations", "backend_of"]


def backend_of(image: Any) -> Backend:
    """Return the backend for `image`: the torch one for tensors, the NumPy one for all else."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(image, torch.Tensor):
        return _numpy
    import pullback.backends.torch as _torch  # a statement, which torch.compile can trace

    return _torch
