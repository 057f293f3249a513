"""Derivatives of the operators: one table of rules, for reverse mode to the second order, forward mode and vmap.

With f the image, g the geometry, c a cotangent of the values, and a dot for a motion,

    pull    v = v(f, g)
    vjp     (f_bar, g_bar), the transpose of the derivative of v, applied to c
    jvp     v_dot, the derivative of v applied to (f_dot, g_dot)
    second  the gradients in f and g of <c, v_dot>.

The family is closed: the derivatives of vjp and of jvp are made of vjp, jvp and second. Those of second are not there:
a clear error says so.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pullback.backends.composite import sum_dtype
from pullback.backends.torch import batching
from pullback.backends.torch.codes import sizing_without_fill, with_each_fill, without_fill
from pullback.backends.torch.native import batch_size
from pullback.backends.torch.operators import (
    Operator,
    Rule,
    gradient,
    jvp,
    prefilter,
    pull,
    push,
    resize,
    second,
    vjp,
)


def _asked(tensor: Tensor | None) -> Tensor | None:
    """Return the cotangent of an output, or None for one that was not needed."""
    return None if tensor is None or tensor.numel() == 0 else tensor


def _only(needed: tuple[bool, ...], *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    return tuple(grad if need else None for need, grad in zip(needed, grads, strict=False))


def _save_pull(ctx: Any, inputs: Any, output: Any) -> None:
    image, geometry, ctx.shape, ctx.code, ctx.dtype = inputs
    ctx.save_for_backward(image, geometry)
    ctx.save_for_forward(image, geometry)


def _pull_backward(ctx: Any, grad: Tensor) -> Any:
    image, geometry = ctx.saved_tensors
    need_image, need_geometry = ctx.needs_input_grad[:2]
    grad_image, grad_geometry = vjp(image, geometry, grad, ctx.shape, ctx.code, need_image, need_geometry)
    return grad_image if need_image else None, grad_geometry if need_geometry else None, None, None, None


def _pull_jvp(ctx: Any, image_dot: Tensor | None, geometry_dot: Tensor | None, *_: Any) -> Any:
    image, geometry = ctx.saved_tensors
    return jvp(image, geometry, image_dot, geometry_dot, ctx.shape, ctx.code).to(ctx.dtype)


def _save_vjp(ctx: Any, inputs: Any, output: Any) -> None:
    image, geometry, grad, ctx.shape, ctx.code, ctx.need_image, ctx.need_geometry = inputs
    ctx.save_for_backward(image, geometry, grad)
    ctx.save_for_forward(image, geometry, grad)


def _vjp_backward(ctx: Any, image_dot: Tensor | None, geometry_dot: Tensor | None) -> Any:
    """Take the cotangents of gradients for motions of what they are gradients in."""
    image, geometry, grad = ctx.saved_tensors
    image_dot, geometry_dot = _asked(image_dot), _asked(geometry_dot)
    need_image, need_geometry, need_grad = ctx.needs_input_grad[:3]
    call = (image, geometry, image_dot, geometry_dot)
    on_image = on_geometry = on_grad = None
    if need_grad:
        on_grad = jvp(*call, ctx.shape, ctx.code).to(grad.dtype)
    if need_image or need_geometry:
        on_image, on_geometry = second(*call, grad, ctx.shape, ctx.code, need_image, need_geometry)
    return *_only((need_image, need_geometry), on_image, on_geometry), on_grad, None, None, None, None


def _vjp_jvp(ctx: Any, image_dot: Tensor | None, geometry_dot: Tensor | None, grad_dot: Tensor | None, *_: Any) -> Any:
    image, geometry, grad = ctx.saved_tensors
    call = (ctx.shape, ctx.code, ctx.need_image, ctx.need_geometry)
    parts = []
    if image_dot is not None or geometry_dot is not None:
        parts.append(second(image, geometry, image_dot, geometry_dot, grad, *call))
    if grad_dot is not None:
        parts.append(vjp(image, geometry, grad_dot, *call))
    first, *others = parts
    return tuple(sum(others_k, first_k) for first_k, *others_k in zip(first, *others, strict=True))


def _save_jvp(ctx: Any, inputs: Any, output: Any) -> None:
    image, geometry, image_dot, geometry_dot, ctx.shape, ctx.code = inputs
    ctx.has_dots = image_dot is not None, geometry_dot is not None
    ctx.save_for_backward(image, geometry, *(dot for dot in (image_dot, geometry_dot) if dot is not None))


def _jvp_backward(ctx: Any, grad: Tensor) -> Any:
    image, geometry, *dots = ctx.saved_tensors
    image_dot = dots.pop(0) if ctx.has_dots[0] else None
    geometry_dot = dots.pop(0) if ctx.has_dots[1] else None
    need = ctx.needs_input_grad[:4]
    on_image = on_geometry = on_image_dot = on_geometry_dot = None
    if need[0] or need[1]:
        call = (image, geometry, image_dot, geometry_dot, grad, ctx.shape, ctx.code)
        on_image, on_geometry = second(*call, need[0], need[1])
    if need[2] or need[3]:
        on_image_dot, on_geometry_dot = vjp(image, geometry, grad, ctx.shape, ctx.code, need[2], need[3])
    return *_only(need, on_image, on_geometry, on_image_dot, on_geometry_dot), None, None


def _no_jvp_of_jvp(ctx: Any, *_: Any) -> Any:
    raise RuntimeError(
        "pullback: forward mode inside forward mode is not implemented; take the outer derivative in reverse mode "
        "(torch.func.jacrev or grad)"
    )


def _save_nothing(ctx: Any, inputs: Any, output: Any) -> None:
    pass


def _third_order(ctx: Any, *grads: Tensor) -> Any:
    raise RuntimeError(
        "pullback: derivatives of the third order are not implemented; the operations of "
        "pullback.backends.composite are differentiated to any order"
    )


def _save_push(ctx: Any, inputs: Any, output: Any) -> None:
    values, geometry, ctx.shape, ctx.code, ctx.image_shape = inputs
    ctx.save_for_backward(values, geometry)
    ctx.save_for_forward(values, geometry)


def _push_backward(ctx: Any, grad: Tensor) -> Any:
    """Transpose a transpose: pull with a fill of zero, and its slopes along the values."""
    values, geometry = ctx.saved_tensors
    need_values, need_geometry = ctx.needs_input_grad[:2]
    code = without_fill(ctx.code)
    grad_values = grad_geometry = None
    if need_values:
        grad_values = pull(grad, geometry, ctx.shape, code, values.dtype)
    if need_geometry:
        _, grad_geometry = vjp(grad, geometry, values, ctx.shape, code, False, True)
    return grad_values, grad_geometry, None, None, None


def _push_jvp(ctx: Any, values_dot: Tensor | None, geometry_dot: Tensor | None, *_: Any) -> Any:
    values, geometry = ctx.saved_tensors
    code, parts = without_fill(ctx.code), []
    if values_dot is not None:
        parts.append(push(values_dot, geometry, ctx.shape, code, ctx.image_shape))
    if geometry_dot is not None:
        image = values.new_zeros((), dtype=sum_dtype(values.dtype)).expand(*ctx.image_shape)
        parts.append(second(image, geometry, None, geometry_dot, values, ctx.shape, code, True, False)[0])
    return sum(parts[1:], parts[0])


def _save_gradient(ctx: Any, inputs: Any, output: Any) -> None:
    image, geometry, ctx.shape, ctx.code = inputs
    ctx.save_for_backward(image, geometry)


def _gradient_backward(ctx: Any, grad: Tensor) -> Any:
    """Take the inner product with slopes for a derivative along a motion, one of its own for each channel."""
    image, geometry = ctx.saved_tensors
    codes = with_each_fill(ctx.code)
    pieces = zip(image.chunk(len(codes), 1), grad.chunk(len(codes), 1), codes, strict=True)
    parts = [_along_each_channel(part, geometry, motion, ctx.shape, code) for part, motion, code in pieces]
    on_images, on_geometries = zip(*parts, strict=True)
    return torch.cat(on_images, 1), sum(on_geometries).sum_to_size(geometry.shape), None, None


def _along_each_channel(
    image: Tensor, geometry: Tensor, geometry_dot: Tensor, shape: Any, code: str
) -> tuple[Tensor, Tensor]:
    """Return the gradients of the sum of all ``jvp``, in the image and in the coordinates of each batch entry.

    `geometry_dot` has a motion for each channel, (B, C, *shape, d).
    """
    batch, channels = batch_size(image, geometry), image.shape[1]
    points = geometry.expand(batch, *geometry.shape[1:])[:, None].expand(-1, channels, *geometry.shape[1:])
    ones = image.new_ones((batch * channels, 1, *shape), dtype=sum_dtype(image.dtype))
    # Channels become batch entries.
    apart = image.expand(batch, *image.shape[1:]).flatten(0, 1)[:, None]
    motion = geometry_dot.to(geometry.dtype).flatten(0, 1)
    on_image, on_points = second(apart, points.flatten(0, 1), None, motion, ones, shape, code, True, True)
    on_image, on_points = (each.unflatten(0, (batch, channels)) for each in (on_image, on_points))
    return on_image[:, :, 0].sum_to_size(image.shape), on_points.sum(1)


def _no_jvp_of_gradient(ctx: Any, *_: Any) -> Any:
    raise RuntimeError("pullback: `gradient` has no forward mode; differentiate `sample` twice")


def _save_prefilter(ctx: Any, inputs: Any, output: Any) -> None:
    image, ctx.code, ctx.adjoint = inputs
    ctx.dtype = image.dtype


def _prefilter_backward(ctx: Any, grad: Tensor) -> Any:
    return prefilter(grad, without_fill(ctx.code), not ctx.adjoint).to(ctx.dtype), None, None


def _prefilter_jvp(ctx: Any, image_dot: Tensor, *_: Any) -> Any:
    return prefilter(image_dot, without_fill(ctx.code), ctx.adjoint)


def _save_resize(ctx: Any, inputs: Any, output: Any) -> None:
    image, ctx.shape, sizing, ctx.result, ctx.adjoint = inputs
    ctx.own, ctx.dtype, ctx.linear = image.shape[2:], image.dtype, sizing_without_fill(sizing)


def _resize_backward(ctx: Any, grad: Tensor) -> Any:
    return resize(grad, ctx.own, ctx.linear, ctx.dtype, not ctx.adjoint), None, None, None, None


def _resize_jvp(ctx: Any, image_dot: Tensor, *_: Any) -> Any:
    return resize(image_dot, ctx.shape, ctx.linear, ctx.result, ctx.adjoint)


RULES: dict[Operator, Rule] = {
    pull: Rule(_save_pull, _pull_backward, _pull_jvp, batching.pull_batch),
    vjp: Rule(_save_vjp, _vjp_backward, _vjp_jvp, batching.vjp_batch),
    jvp: Rule(_save_jvp, _jvp_backward, _no_jvp_of_jvp, batching.jvp_batch),
    second: Rule(_save_nothing, _third_order, _third_order, batching.second_batch),
    push: Rule(_save_push, _push_backward, _push_jvp, batching.push_batch),
    gradient: Rule(_save_gradient, _gradient_backward, _no_jvp_of_gradient, batching.gradient_batch),
    prefilter: Rule(_save_prefilter, _prefilter_backward, _prefilter_jvp, batching.prefilter_batch),
    resize: Rule(_save_resize, _resize_backward, _resize_jvp, batching.resize_batch),
}
