"""The functions of other libraries, with their signatures, on pullback's kernels.

Each submodule is named for the library whose functions it has, and is imported when it is first asked for:
``pullback.compat.scipy``, ``pullback.compat.torch``, ``pullback.compat.cv2``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pullback._extras import imported, there

if TYPE_CHECKING:
    from pullback.compat import cv2, scipy, torch

__all__ = ["cv2", "scipy", "torch"]

if not TYPE_CHECKING:  # which would take any name for one that is here

    def __getattr__(name: str) -> Any:
        """Import a submodule when it is first asked for."""
        if name in __all__:
            return imported(f"pullback.compat.{name}", "torch")
        raise AttributeError(f"module 'pullback.compat' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Name what is public."""
    return there(__all__, "torch", "torch")
