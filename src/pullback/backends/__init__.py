"""Where the work is done: one module a kind of array, all with the same functions on canonical arrays."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


def backend_of(image: Any) -> ModuleType:
    """Return the backend for `image`: the torch one for tensors, the NumPy one for all else."""
    torch = sys.modules.get("torch")
    is_tensor = torch is not None and isinstance(image, torch.Tensor)
    return importlib.import_module(f"pullback.backends.{'torch' if is_tensor else 'numpy'}")
