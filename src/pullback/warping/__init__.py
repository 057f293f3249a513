"""Images through transforms: where images at points and maps of points meet."""

from pullback.warping.explanation import Explanation, explain
from pullback.warping.images import warp, warp_vjp
from pullback.warping.normal import NormalEquations, normal_equations

__all__ = ["Explanation", "NormalEquations", "explain", "normal_equations", "warp", "warp_vjp"]
