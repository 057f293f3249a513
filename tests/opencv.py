"""What the tests of the cv2 door share: the dtypes that OpenCV takes, noise in them, and flags by name."""

import numpy as np

from pullback.compat import cv2 as compat

DTYPES = ["uint8", "uint16", "int16", "float32", "float64"]


def noise(dtype, sides, channels, seed=0):
    """Noise, of the size of an image: the worst case for positions that are rounded."""
    random = np.random.default_rng(seed)
    shape = (*sides, channels) if channels else sides
    if np.dtype(dtype).kind == "f":
        return random.uniform(0, 255, shape).astype(dtype)
    limits = np.iinfo(dtype)
    return random.integers(limits.min, limits.max, shape, endpoint=True).astype(dtype)


def flag(name):
    return getattr(compat, f"INTER_{name}")
