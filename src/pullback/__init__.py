"""pullback: fast, exact, differentiable image sampling and spatial transformers.

An image is a function known on a lattice of points. To warp it, walk over the output lattice, ask a transform where
each point comes from, and interpolate the image there.
"""

from __future__ import annotations

import importlib
from typing import Any

from pullback._check import LayoutWarning
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
    "warp",
    "warp_vjp",
]


def __getattr__(name: str) -> Any:
    """Import `pullback.nn`, which needs torch, when it is first asked for."""
    if name == "nn":
        try:
            return importlib.import_module("pullback.nn")
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise ModuleNotFoundError(
                "pullback.nn needs PyTorch: pip install 'pullback[torch]'", name="torch"
            ) from None
    raise AttributeError(f"module 'pullback' has no attribute {name!r}")
