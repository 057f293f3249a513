"""pullback: fast, exact, differentiable image sampling and spatial transformers.

An image is a function known on a lattice of points. To warp it, walk over the output lattice, ask a transform where
each point comes from, and interpolate the image there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pullback._cache import clear_caches
from pullback._check import LayoutWarning
from pullback._extras import imported, there
from pullback._plan import Cubic
from pullback._version import __version__
from pullback.sampling import gradient, prefilter, resize, sample, sample_vjp, splat
from pullback.threads import get_num_threads, set_num_threads
from pullback.transforms import (
    Affine,
    Chain,
    Displacement,
    Euclidean,
    FreeForm,
    Projective,
    Similarity,
    ThinPlateSpline,
    Transform,
    Translation,
    Velocity,
)
from pullback.warping import Explanation, NormalEquations, explain, normal_equations, warp, warp_vjp

if TYPE_CHECKING:
    from pullback import compat, nn, train, transforms

__all__ = [
    "Affine",
    "Chain",
    "Cubic",
    "Displacement",
    "Euclidean",
    "Explanation",
    "FreeForm",
    "LayoutWarning",
    "NormalEquations",
    "Projective",
    "Similarity",
    "ThinPlateSpline",
    "Transform",
    "Translation",
    "Velocity",
    "__version__",
    "clear_caches",
    "compat",
    "explain",
    "get_num_threads",
    "gradient",
    "nn",
    "normal_equations",
    "prefilter",
    "resize",
    "sample",
    "sample_vjp",
    "set_num_threads",
    "splat",
    "train",
    "transforms",
    "warp",
    "warp_vjp",
]


# Rooms that are imported when they are first asked for: they take time, or what may not be installed.
_LATER = ("compat", "nn", "train")

if not TYPE_CHECKING:  # which would take any name for one that is here

    def __getattr__(name: str) -> Any:
        """Import a room when it is first asked for."""
        if name in _LATER:
            return imported(f"pullback.{name}", "torch")
        raise AttributeError(f"module 'pullback' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Name what is public."""
    return there(__all__, "nn", "torch")
