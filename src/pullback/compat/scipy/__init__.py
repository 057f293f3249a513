"""The interpolation functions of `scipy.ndimage` (SciPy 1.17), on pullback's kernels.

A call is worked off in four steps: arguments are normalised, with SciPy's errors; the samples are filtered into spline
coefficients; they are read, through an affine map where the coordinates form one and at given coordinates otherwise;
the values, in float64, are cast into the output as SciPy casts them.

Names, defaults and conventions are SciPy's: coordinates are indices, ``(d, ...)``, and `mode` says what lies beyond the
samples. :mod:`scipy` itself is imported only for images of more than three axes and for compiled callbacks.
"""

from pullback.compat.scipy.filters import spline_filter, spline_filter1d
from pullback.compat.scipy.functions import (
    affine_transform,
    geometric_transform,
    map_coordinates,
    rotate,
    shift,
    zoom,
)

__all__ = [
    "affine_transform",
    "geometric_transform",
    "map_coordinates",
    "rotate",
    "shift",
    "spline_filter",
    "spline_filter1d",
    "zoom",
]
