"""The functions of other libraries, with their signatures, on pullback's kernels.

Each submodule is named for the library whose functions it has, and is imported when it is first asked for:
``pullback.compat.scipy``, ``pullback.compat.torch``, ``pullback.compat.cv2``.
"""

from __future__ import annotations

import importlib
from typing import Any

_SUBMODULES = ("cv2", "scipy", "torch")


def __getattr__(name: str) -> Any:
    """Import a submodule when it is first asked for."""
    if name in _SUBMODULES:
        return importlib.import_module(f"pullback.compat.{name}")
    raise AttributeError(f"module 'pullback.compat' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Name the submodules beside what is here already."""
    return sorted({*globals(), *_SUBMODULES})
