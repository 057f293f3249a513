"""Transforms: where each position of the output is read from in the input, one family a file.

A transform is a map of *points*, from the output to the input (reverse mapping, as in SciPy and OpenCV's inverse
maps). Points and parameters are in the order of the array axes: (x) in 1-D, (y, x) in 2-D, (z, y, x) in 3-D. A
transform has no frame of its own; its numbers are read in the ``frame`` of the call that it is given to.
"""

from pullback._extras import when_imported
from pullback.transforms.affine import Affine
from pullback.transforms.base import Transform, load
from pullback.transforms.chain import Chain
from pullback.transforms.deformation import Deformation
from pullback.transforms.displacement import Displacement
from pullback.transforms.euclidean import Euclidean
from pullback.transforms.free_form import FreeForm
from pullback.transforms.matrix import MatrixTransform
from pullback.transforms.projective import Projective
from pullback.transforms.similarity import Similarity
from pullback.transforms.storage import trust
from pullback.transforms.thin_plate_spline import ThinPlateSpline
from pullback.transforms.translation import Translation
from pullback.transforms.velocity import Velocity

__all__ = [
    "Affine",
    "Chain",
    "Deformation",
    "Displacement",
    "Euclidean",
    "FreeForm",
    "MatrixTransform",
    "Projective",
    "Similarity",
    "ThinPlateSpline",
    "Transform",
    "Translation",
    "Velocity",
    "load",
]

when_imported("torch", trust)
