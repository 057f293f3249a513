"""OpenCV's `remap`, `resize`, `warpAffine` and `warpPerspective` on pullback's kernels.

Names, arguments, defaults and flags are OpenCV's, and so are its conventions: points are (x, y), sizes are (width,
height), channels come last. OpenCV need not be installed: the constants have its values.
"""

from pullback.compat.cv2.constants import (
    ALGO_HINT_ACCURATE,
    ALGO_HINT_APPROX,
    ALGO_HINT_DEFAULT,
    BORDER_CONSTANT,
    BORDER_DEFAULT,
    BORDER_ISOLATED,
    BORDER_REFLECT,
    BORDER_REFLECT101,
    BORDER_REFLECT_101,
    BORDER_REPLICATE,
    BORDER_TRANSPARENT,
    BORDER_WRAP,
    INTER_AREA,
    INTER_CUBIC,
    INTER_LANCZOS4,
    INTER_LINEAR,
    INTER_LINEAR_EXACT,
    INTER_MAX,
    INTER_NEAREST,
    INTER_NEAREST_EXACT,
    WARP_FILL_OUTLIERS,
    WARP_INVERSE_MAP,
    WARP_RELATIVE_MAP,
)
from pullback.compat.cv2.functions import remap, warpAffine, warpPerspective
from pullback.compat.cv2.resizing import resize

__all__ = [
    "ALGO_HINT_ACCURATE",
    "ALGO_HINT_APPROX",
    "ALGO_HINT_DEFAULT",
    "BORDER_CONSTANT",
    "BORDER_DEFAULT",
    "BORDER_ISOLATED",
    "BORDER_REFLECT",
    "BORDER_REFLECT101",
    "BORDER_REFLECT_101",
    "BORDER_REPLICATE",
    "BORDER_TRANSPARENT",
    "BORDER_WRAP",
    "INTER_AREA",
    "INTER_CUBIC",
    "INTER_LANCZOS4",
    "INTER_LINEAR",
    "INTER_LINEAR_EXACT",
    "INTER_MAX",
    "INTER_NEAREST",
    "INTER_NEAREST_EXACT",
    "WARP_FILL_OUTLIERS",
    "WARP_INVERSE_MAP",
    "WARP_RELATIVE_MAP",
    "remap",
    "resize",
    "warpAffine",
    "warpPerspective",
]
