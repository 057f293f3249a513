"""The slow truth in NumPy that every backend is tested against; nothing in the product imports it."""

from pullback._reference.lattice import control_weights, coordinates
from pullback._reference.operations import gradient, prefilter, pull, pull_vjp, push, spline_matrix, winners
from pullback._reference.sizes import resize
from pullback._reference.taps import border_index, weights

__all__ = [
    "border_index",
    "control_weights",
    "coordinates",
    "gradient",
    "prefilter",
    "pull",
    "pull_vjp",
    "push",
    "resize",
    "spline_matrix",
    "weights",
    "winners",
]
