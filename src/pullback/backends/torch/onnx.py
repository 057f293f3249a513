"""What stands in a graph that `torch.onnx.export` traces: no operators of ours, which no runtime knows.

A warp becomes ``GridSample`` where that means the same, and the gathers and products of :mod:`.composite` elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from pullback._cache import constant_in_graphs
from pullback._plan import BORDERS, INTERPOLATIONS, Lattice, Plan
from pullback.backends import composite
from pullback.backends.composite.lattice import coordinates, is_unknown
from pullback.backends.composite.taps import is_readable

# Of grid_sample, by border: the padding mode, and whether the outermost samples or the edges of their pixels are at -1
# and 1, which decides about what samples a reflection goes.
_PADDINGS = {
    BORDERS["constant"]: ("zeros", False),
    BORDERS["edge"]: ("border", False),
    BORDERS["symmetric"]: ("reflection", False),
    BORDERS["reflect"]: ("reflection", True),
}


def is_exporting() -> bool:
    """Whether `torch.onnx.export` is tracing the caller."""
    return torch.compiler.is_exporting() and _is_in_onnx()


@constant_in_graphs
def _is_in_onnx() -> bool:
    return torch.onnx.is_in_onnx_export()


def exported_pull(image: Tensor, geometry: Tensor, lattice: Lattice, plan: Plan, dtype: torch.dtype) -> Tensor:
    """Return the values of `image` on a lattice, in operations that ONNX has.

    Raises
    ------
    TypeError
        If the image is complex, or its samples are chosen as labels.
    """
    if image.is_complex():
        raise TypeError("onnx: images of complex numbers cannot be exported; give the real and the imaginary part")
    if INTERPOLATIONS["label"] in plan.interpolation:
        raise TypeError("onnx: interpolation='label' cannot be exported; choose 'nearest'")
    if _is_grid_sample(image, lattice, plan, dtype):
        return _grid_sample(image, geometry, lattice, plan)
    if not image.is_floating_point():
        wide = replace(lattice, is_computed=lattice.is_computed and dtype.is_floating_point)
        return composite.cast(composite.pull(image.to(torch.float32), geometry, wide, plan), dtype)
    return composite.pull(image, geometry, lattice, plan, dtype)


def _is_grid_sample(image: Tensor, lattice: Lattice, plan: Plan, dtype: torch.dtype) -> bool:
    """Whether `grid_sample` on two axes gives the same values."""
    kinds = set(zip(plan.interpolation, plan.parameter, strict=True))
    return (
        len(lattice.shape) == plan.ndim == 2
        and kinds in ({(INTERPOLATIONS["linear"], 0.0)}, {(INTERPOLATIONS["cubic"], -0.75)})
        and len(set(plan.border)) == 1
        and plan.border[0] in _PADDINGS
        and not plan.crop
        and (plan.border[0] != BORDERS["constant"] or set(plan.fill) == {0})
        and image.dtype == dtype == torch.float32
    )


def _grid_sample(image: Tensor, geometry: Tensor, lattice: Lattice, plan: Plan) -> Tensor:
    padding, at_centers = _PADDINGS[plan.border[0]]
    index = coordinates(geometry, lattice, torch.float32).float().reshape(-1, *lattice.shape, 2)
    readable = is_readable(index, image.shape[2:], plan.crop)
    size = index.new_tensor(image.shape[2:])
    index = torch.where(readable[..., None], index, 0)
    grid = (2 * index / (size - 1) - 1 if at_centers else (2 * index + 1) / size - 1).flip(-1)
    batch = grid.shape[0] if image.shape[0] == 1 else image.shape[0]
    mode = "bilinear" if plan.interpolation[0] == INTERPOLATIONS["linear"] else "bicubic"
    image, grid = image.expand(batch, -1, -1, -1), grid.expand(batch, -1, -1, -1)
    values = F.grid_sample(image, grid, mode=mode, padding_mode=padding, align_corners=at_centers)
    values = torch.where(readable[:, None], values, image.new_tensor(plan.fill)[:, None, None])
    if not lattice.is_computed:
        return values
    unknown = is_unknown(geometry, lattice).reshape(-1, 1, *((1, 1) if geometry.ndim == 3 else lattice.shape))
    return torch.where(unknown, math.nan, values)
