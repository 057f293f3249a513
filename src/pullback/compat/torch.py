"""PyTorch's `grid_sample` on pullback's kernels, and its `affine_grid` beside it.

Arguments, defaults, warnings and errors are those of :mod:`torch.nn.functional`. `affine_grid` is PyTorch's own
function, so that one import replaces both; :func:`pullback.warp` with ``frame="normalized"`` needs no grid at all.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import affine_grid

from pullback._plan import Cubic
from pullback.sampling import sample

__all__ = ["affine_grid", "grid_sample"]

# "nearest" is not among them: half-way between two samples PyTorch takes the even one, and its own float arithmetic
# decides what is half-way. Downsampling by 2 meets nothing but such points.
_INTERPOLATIONS: dict[str, str | Cubic] = {"bilinear": "linear", "bicubic": Cubic(-0.75)}
_BORDERS = {"zeros": "constant", "border": "edge"}
_FULL_DTYPES = (torch.float32, torch.float64)
_HALF_DTYPES = (torch.float16, torch.bfloat16)


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """Read a batch of images at the points of a grid, as `torch.nn.functional.grid_sample` does.

    Parameters
    ----------
    input : Tensor, ``(N, C, H, W)`` or ``(N, C, D, H, W)``
        Images: float16, bfloat16, float32 or float64.
    grid : Tensor, ``(N, ..., 2)`` or ``(N, ..., 3)``
        Positions (x, y) or (x, y, z), with as many axes as `input` and in its dtype.
    mode : {"bilinear", "nearest", "bicubic"}
        ``"bilinear"`` is trilinear for volumes. ``"bicubic"`` is cubic convolution with a = -3/4, for images alone.
        ``"nearest"`` is PyTorch's own function.
    padding_mode : {"zeros", "border", "reflection"}
        What lies beyond the image: 0, its edge, or its mirror image; the mirror is the outer edge of the outermost
        samples, or their centers if `align_corners` is True.
    align_corners : bool, optional
        Whether -1 and 1 are the centers of the outermost samples (True) or their outer edges (False). None means
        False, with PyTorch's warning.

    Returns
    -------
    Tensor, ``(N, C, ...)``
        In the dtype of `input`. Carries gradients to `input` and `grid`.

    Raises
    ------
    ValueError, TypeError, RuntimeError, NotImplementedError
        If an argument is wrong: PyTorch's own errors.

    See Also
    --------
    pullback.sample : With other interpolations, borders, dtypes and frames.
    pullback.warp : The same through a matrix, without a grid.

    Notes
    -----
    The same as ``pullback.sample(input, grid, frame=..., interpolation=..., border=...)``, with ``"normalized"`` or
    ``"normalized-corners"`` for the frame. Coordinates that are NaN, infinite, or :math:`2^{30}` samples away and
    more give 0 with a gradient of zero, where PyTorch gives NaN or some sample, or reads memory that it should not.
    Where the slope jumps, at the centers of samples, gradients are those of the right side, where PyTorch's rounding
    chooses the side.

    Examples
    --------
    >>> import torch
    >>> from pullback.compat.torch import affine_grid, grid_sample
    >>> image = torch.arange(4.0).reshape(1, 1, 2, 2)
    >>> mirror = torch.tensor([[[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> grid_sample(image, affine_grid(mirror, (1, 1, 2, 2), align_corners=False), align_corners=False)
    tensor([[[[1., 0.],
              [3., 2.]]]])
    """
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please "
            "specify align_corners=True if the old behavior is desired. See the documentation of grid_sample for "
            "details.",
            stacklevel=2,
        )
        align_corners = False
    if not _is_ours(input, grid, mode, padding_mode, align_corners):
        return functional.grid_sample(input, grid, mode, padding_mode, align_corners)
    mirror = "reflect" if align_corners else "symmetric"
    values: Tensor = sample(
        input,
        grid,
        interpolation=_INTERPOLATIONS[mode],
        border=_BORDERS.get(padding_mode, mirror),
        frame="normalized-corners" if align_corners else "normalized",
    )
    return values


def _is_ours(input: Any, grid: Any, mode: Any, padding_mode: Any, align_corners: Any) -> bool:
    """Whether a call is for pullback; any other one, every wrong one among them, is left to PyTorch."""
    return (
        isinstance(input, Tensor)
        and isinstance(grid, Tensor)
        and isinstance(align_corners, bool)
        and padding_mode in ("zeros", "border", "reflection")
        and (mode == "bilinear" or (mode == "bicubic" and input.ndim == 4))
        and _fits(input, grid)
        and _keeps_dtype(input, grid)
    )


def _fits(input: Tensor, grid: Tensor) -> bool:
    return (
        input.ndim in (4, 5)
        and grid.ndim == input.ndim
        and grid.shape[-1] == input.ndim - 2
        and grid.shape[0] == input.shape[0]
        and 0 not in input.shape[2:]
        and input.layout == grid.layout == torch.strided
        and input.device == grid.device
    )


def _keeps_dtype(input: Tensor, grid: Tensor) -> bool:
    """Whether the result is of the dtype of both; under autocast, PyTorch's table says what becomes of half ones."""
    if input.dtype != grid.dtype:
        return False
    return input.dtype in _FULL_DTYPES or (
        input.dtype in _HALF_DTYPES and not torch.is_autocast_enabled(input.device.type)
    )
