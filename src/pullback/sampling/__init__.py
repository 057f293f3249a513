"""Images at points: reading, splatting, resizing, and spline coefficients."""

from pullback.sampling.coefficients import prefilter
from pullback.sampling.points import gradient, sample, sample_vjp
from pullback.sampling.resizing import resize
from pullback.sampling.splatting import splat

__all__ = ["gradient", "prefilter", "resize", "sample", "sample_vjp", "splat"]
