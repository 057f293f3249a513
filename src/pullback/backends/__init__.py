"""Where the work is done: one module a kind of array, all with the same functions on canonical arrays."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


def backend_of(image: Any) -> ModuleType:
    """Return the backend for `image`: the torch one for tensors, the NumPy one for all else."""
    torch = sys.modules.get("torch")
    # Import statements, which torch.compile can trace.
    if torch is not None and isinstance(image, torch.Tensor):
        import pullback.backends.torch as backend
    else:
        import pullback.backends.numpy as backend  # type: ignore[no-redef]
    return backend
