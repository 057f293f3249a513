"""Spatial transformers as PyTorch modules: networks that learn to warp their own input into a canonical pose.

Needs torch. After Jaderberg, Simonyan, Zisserman and Kavukcuoglu, "Spatial Transformer Networks", NIPS 2015,
arXiv 1506.02025.
"""

from pullback.nn.heads import FAMILIES, TransformHead
from pullback.nn.localization import ConvLocalization, FullyConnectedLocalization, Localization
from pullback.nn.parameter_groups import localization_parameter_groups
from pullback.nn.transformer import SpatialTransformer

__all__ = [
    "FAMILIES",
    "ConvLocalization",
    "FullyConnectedLocalization",
    "Localization",
    "SpatialTransformer",
    "TransformHead",
    "localization_parameter_groups",
]
