"""Derivatives of a fit to pairs of points, which are those of the equation that its parameters solve.

At the parameters theta that fit best, the slope g(theta; s, t, w) of a misfit in theta vanishes. When the pairs move,
theta moves by ``-H^-1 dg``, with the second derivatives H of the misfit in theta.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor

from pullback._arrays import check_values, detached
from pullback._cache import untraced

# From source, target and weight as NumPy arrays to the parameters that fit them.
Solve: TypeAlias = Callable[[Any, Any, Any], Any]
# From the parameters of one set, its source, target and weight to a number that is least at the best parameters.
Misfit: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


class Fit(torch.autograd.Function):
    """From pairs of points, (B, K, d), (B, K, d) and (B, K) in float64, to the parameters that fit, (B, ...).

    Differentiable to any order: what is saved of the forward pass are its inputs and its output.
    """

    @staticmethod
    def forward(solve: Solve, misfit: Misfit, source: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Solve for the parameters."""
        pairs = [detached(each, "fit", "fit outside of them") for each in (source, target, weight)]
        return torch.from_numpy(solve(*pairs)).to(source.device)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        """Keep the pairs and the parameters."""
        _, ctx.misfit, *pairs = inputs
        ctx.save_for_backward(output, *pairs)
        ctx.save_for_forward(output, *pairs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        """Return the gradients in the pairs."""
        parameters, *pairs = ctx.saved_tensors
        motion = _against_curvature(ctx.misfit, parameters, pairs, grad)
        return None, None, *_slope_along(ctx.misfit, parameters, motion, pairs)

    @staticmethod
    def jvp(ctx: Any, _: Any, __: Any, *motions: Tensor | None) -> Tensor:
        """Return how the parameters move with the pairs."""
        parameters, *pairs = ctx.saved_tensors

        # Linear in its argument, so that its slope is the change of g.
        def along(direction: Tensor) -> Tensor:
            slopes = _slope_along(ctx.misfit, parameters, direction, pairs)
            moving = zip(slopes, motions, strict=True)
            return torch.stack([(slope * motion).sum() for slope, motion in moving if motion is not None]).sum()

        change = torch.func.grad(along)(torch.zeros_like(parameters))
        return _against_curvature(ctx.misfit, parameters, pairs, change)

    @staticmethod
    def vmap(info: Any, dims: Any, solve: Solve, misfit: Misfit, *pairs: Tensor) -> Any:
        """Fit more sets."""
        size = info.batch_size
        spread = [
            each.expand(size, *each.shape) if dim is None else each.movedim(dim, 0)
            for each, dim in zip(pairs, dims[2:], strict=True)
        ]
        parameters = _apply(solve, misfit, *(each.flatten(0, 1) for each in spread))
        return parameters.unflatten(0, (size, -1)), 0


_apply: Any = Fit.apply


def _against_curvature(misfit: Misfit, parameters: Tensor, pairs: list[Tensor], vector: Tensor) -> Tensor:
    """Return ``H^-1 vector``, for each set."""
    count, size = len(parameters), parameters[:1].numel()
    if count == 0:
        return vector
    curvature = torch.func.vmap(torch.func.jacrev(torch.func.grad(misfit)))(parameters, *pairs).reshape(
        count, size, size
    )
    # The parameters have units of their own, which would cost digits.
    scale = curvature.diagonal(dim1=-2, dim2=-1).rsqrt()
    equations = scale[:, :, None] * curvature * scale[:, None, :]
    solution = torch.linalg.solve(equations, scale * vector.reshape(count, size))
    result: Tensor = (scale * solution).reshape(parameters.shape)
    return result


def _slope_along(misfit: Misfit, parameters: Tensor, direction: Tensor, pairs: list[Tensor]) -> tuple[Tensor, ...]:
    """Return the gradients of ``-(direction * g).sum()`` in the pairs."""
    if len(parameters) == 0:
        return tuple(torch.zeros_like(each) for each in pairs)

    def along(*pairs: Tensor) -> Tensor:
        slope = torch.func.vmap(torch.func.grad(misfit))(parameters, *pairs)
        total: Tensor = -(direction * slope).sum()
        return total

    slopes: tuple[Tensor, ...] = torch.func.grad(along, argnums=(0, 1, 2))(*pairs)
    return slopes


@untraced("a fit needs the values of points; fit outside of what torch.compile traces")
def fitted(solve: Solve, misfit: Misfit, source: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return parameters, (B, ...), with their derivatives, on the device and in the dtype of `source`."""
    for each in (source, target, weight):
        if each.is_meta:
            check_values(each, "fit", "fit outside of them")
    pairs = (each.cpu().double() for each in (source, target, weight))
    parameters: Tensor = _apply(solve, misfit, *pairs).to(source)
    return parameters
