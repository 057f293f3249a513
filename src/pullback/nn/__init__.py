"""Spatial transformers as PyTorch modules: networks that learn to warp their own input into a canonical pose.

Needs torch. After Jaderberg, Simonyan, Zisserman and Kavukcuoglu, "Spatial Transformer Networks", NIPS 2015,
arXiv 1506.02025.
"""

from pullback.nn.families import FAMILIES, Family, diffeomorphic, free_form, thin_plate_spline
from pullback.nn.heads import TransformHead
from pullback.nn.learnable import LearnableTransform
from pullback.nn.localization import (
    ConvLocalization,
    FullyConnectedLocalization,
    Localization,
    SpatialSoftmaxLocalization,
    TrunkLocalization,
)
from pullback.nn.parameter_groups import localization_parameter_groups
from pullback.nn.regularizers import (
    area_change,
    bending_energy,
    distance_from_identity,
    fold_penalty,
    overhang,
)
from pullback.nn.transformer import BackgroundWarning, SpatialTransformer

__all__ = [
    "FAMILIES",
    "BackgroundWarning",
    "ConvLocalization",
    "Family",
    "FullyConnectedLocalization",
    "LearnableTransform",
    "Localization",
    "SpatialSoftmaxLocalization",
    "SpatialTransformer",
    "TransformHead",
    "TrunkLocalization",
    "area_change",
    "bending_energy",
    "diffeomorphic",
    "distance_from_identity",
    "fold_penalty",
    "free_form",
    "localization_parameter_groups",
    "overhang",
    "thin_plate_spline",
]
