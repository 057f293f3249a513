"""Derivatives of the operators: reverse mode to the second order, forward mode, and vmap.

With f the image, g the geometry, c a cotangent of the values, and a dot for a motion,

    pull    v = v(f, g)
    vjp     (f_bar, g_bar), the transpose of the derivative of v, applied to c
    jvp     v_dot, the derivative of v applied to (f_dot, g_dot)
    second  the gradients in f and g of <c, v_dot>.

The family is closed: the derivatives of vjp and of jvp are made of vjp, jvp and second. Those of second are not there:
a clear error says so.

Autograd and `torch.compile` use the operators with the rules registered for them. `torch.func` and forward mode know no
such rules; while they are at work, the same operators run inside a :class:`torch.autograd.Function`. On devices without
kernels of ours everything is :mod:`.composite`, which autograd differentiates to any order.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from pullback._plan import Sizing
from pullback.backends import composite
from pullback.backends.torch.onnx import exported_pull, is_exporting
from pullback.backends.torch.operators import (
    batch_size,
    call_of,
    library,
    plan_of,
    real_dtype,
    sizing_without_fill,
    without_fill,
    written_sizing,
)

_operators = torch.ops.pullback


def _is_transformed() -> bool:
    """Whether `torch.func` or forward mode is at work."""
    if torch.compiler.is_compiling():
        return False
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def _is_native(tensor: Tensor) -> bool:
    """Whether the operators have kernels for a tensor, and not a graph for ONNX is being traced."""
    return tensor.device.type in ("cpu", "meta") and not is_exporting()


# The operators, by the way that the moment asks for


def pull(image: Tensor, geometry: Tensor, shape: Any, reading: str, dtype: torch.dtype) -> Tensor:
    """Return values, (batch, channel, *shape)."""
    if is_exporting():
        return exported_pull(image, geometry, *call_of(shape, reading, image.shape[2:]), dtype)
    if not _is_native(image):
        wide = image if dtype == image.dtype else image.to(real_dtype(image.dtype))
        return composite.cast(composite.pull(wide, geometry, *call_of(shape, reading, image.shape[2:])), dtype)
    call: Any = _Pull.apply if _is_transformed() else _operators.pull
    values: Tensor = call(image, geometry, shape, reading, dtype)
    return values


def vjp(
    image: Tensor, geometry: Tensor, grad: Tensor, shape: Any, reading: str, need_image: bool, need_geometry: bool
) -> tuple[Tensor, Tensor]:
    """Return the gradients of ``(grad * pull(image, geometry)).sum()``; empty where not needed."""
    call: Any = _Vjp.apply if _is_transformed() else _operators.vjp
    grads: tuple[Tensor, Tensor] = call(image, geometry, grad, shape, reading, need_image, need_geometry)
    return grads


def jvp(
    image: Tensor, geometry: Tensor, image_dot: Tensor | None, geometry_dot: Tensor | None, shape: Any, reading: str
) -> Tensor:
    """Return how values move with the image and the geometry; None stands for what does not move."""
    call: Any = _Jvp.apply if _is_transformed() else _operators.jvp
    moved: Tensor = call(image, geometry, image_dot, geometry_dot, shape, reading)
    return moved


def second(
    image: Tensor,
    geometry: Tensor,
    image_dot: Tensor | None,
    geometry_dot: Tensor | None,
    grad: Tensor,
    shape: Any,
    reading: str,
    need_image: bool,
    need_geometry: bool,
) -> tuple[Tensor, Tensor]:
    """Return the gradients in image and geometry of ``(grad * jvp(...)).sum()``; empty where not needed."""
    call: Any = _Second.apply if _is_transformed() else _operators.second
    grads: tuple[Tensor, Tensor] = call(
        image, geometry, image_dot, geometry_dot, grad, shape, reading, need_image, need_geometry
    )
    return grads


def push(values: Tensor, geometry: Tensor, shape: Any, reading: str, image_shape: Any) -> Tensor:
    """Return the transpose of pull, applied to values."""
    if not _is_native(values):
        return composite.push(
            values.to(real_dtype(values.dtype)), geometry, *call_of(shape, reading, image_shape[2:]), tuple(image_shape)
        )
    call: Any = _Push.apply if _is_transformed() else _operators.push
    image: Tensor = call(values, geometry, shape, reading, image_shape)
    return image


def gradient(image: Tensor, geometry: Tensor, shape: Any, reading: str) -> Tensor:
    """Return d value / d coordinate, (batch, channel, *shape, d)."""
    if not _is_native(image):
        return composite.gradient(
            image.to(real_dtype(image.dtype)), geometry, *call_of(shape, reading, image.shape[2:])
        )
    call: Any = _Gradient.apply if _is_transformed() else _operators.gradient
    slopes: Tensor = call(image, geometry, shape, reading)
    return slopes


def prefilter(image: Tensor, reading: str, adjoint: bool) -> Tensor:
    """Return spline coefficients, or the transpose of that map applied to an image."""
    if not _is_native(image):
        return composite.prefilter(image.to(real_dtype(image.dtype)), plan_of(reading), adjoint)
    call: Any = _Prefilter.apply if _is_transformed() else _operators.prefilter
    coefficients: Tensor = call(image, reading, adjoint)
    return coefficients


def resize(image: Tensor, shape: Any, sizing: Sizing, dtype: torch.dtype) -> Tensor:
    """Return an image with the sides `shape`: always by the operator where the making of tables would be traced."""
    if _is_native(image) or torch.compiler.is_dynamo_compiling():
        return _resize(image, shape, written_sizing(sizing), dtype, False)
    return composite.resize(image, shape, sizing, dtype)


def _resize(image: Tensor, shape: Any, sizing: str, dtype: torch.dtype, adjoint: bool) -> Tensor:
    call: Any = _Resize.apply if _is_transformed() else _operators.resize
    values: Tensor = call(image, shape, sizing, dtype, adjoint)
    return values


def winners(importance: Tensor, geometry: Tensor, shape: Any, reading: str, image_shape: Any) -> Tensor:
    """Return which point reaches each sample with the largest importance."""
    won: Tensor = _operators.winners(importance, geometry, shape, reading, image_shape)
    return won


def normal(image: Tensor, geometry: Tensor, shape: Any, reading: str, target: Tensor) -> Tensor:
    """Return the moments of the residual between values and a target."""
    record: Tensor = _operators.normal(image, geometry, shape, reading, target)
    return record


# The rules


def _split(tensor: Tensor, count: int) -> Tensor:
    """Return a tensor with its first axis split into `count` and the rest."""
    return tensor.reshape(count, tensor.shape[0] // count, *tensor.shape[1:])


def _asked(tensor: Tensor | None) -> Tensor | None:
    """Return the cotangent of an output, or None for one that was not needed."""
    return None if tensor is None or tensor.numel() == 0 else tensor


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    source, geometry, ctx.shape, ctx.reading = inputs[:4]
    ctx.save_for_backward(source, geometry)
    ctx.save_for_forward(source, geometry)


def _pull_backward(ctx: Any, grad: Tensor) -> Any:
    image, geometry = ctx.saved_tensors
    need_image, need_geometry = ctx.needs_input_grad[:2]
    grad_image, grad_geometry = vjp(image, geometry, grad, ctx.shape, ctx.reading, need_image, need_geometry)
    return grad_image if need_image else None, grad_geometry if need_geometry else None, None, None, None


def _save_vjp(ctx: Any, inputs: Any, output: Any) -> None:
    image, geometry, grad, ctx.shape, ctx.reading, ctx.need_image, ctx.need_geometry = inputs
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
        on_grad = jvp(*call, ctx.shape, ctx.reading).to(grad.dtype)
    if need_image or need_geometry:
        on_image, on_geometry = second(*call, grad, ctx.shape, ctx.reading, need_image, need_geometry)
    rest = (None,) * 4
    return on_image if need_image else None, on_geometry if need_geometry else None, on_grad, *rest


def _save_jvp(ctx: Any, inputs: Any, output: Any) -> None:
    image, geometry, image_dot, geometry_dot, ctx.shape, ctx.reading = inputs[:6]
    ctx.has_dots = image_dot is not None, geometry_dot is not None
    ctx.save_for_backward(image, geometry, *(dot for dot in (image_dot, geometry_dot) if dot is not None))


def _jvp_backward(ctx: Any, grad: Tensor) -> Any:
    image, geometry, *dots = ctx.saved_tensors
    image_dot = dots.pop(0) if ctx.has_dots[0] else None
    geometry_dot = dots.pop(0) if ctx.has_dots[1] else None
    need = ctx.needs_input_grad
    on_image = on_geometry = on_image_dot = on_geometry_dot = None
    if need[0] or need[1]:
        call = (image, geometry, image_dot, geometry_dot, grad, ctx.shape, ctx.reading)
        on_image, on_geometry = second(*call, need[0], need[1])
    if need[2] or need[3]:
        on_image_dot, on_geometry_dot = vjp(image, geometry, grad, ctx.shape, ctx.reading, need[2], need[3])
    grads = (on_image, on_geometry, on_image_dot, on_geometry_dot)
    return *(grad if needed else None for grad, needed in zip(grads, need, strict=False)), None, None


def _push_backward(ctx: Any, grad: Tensor) -> Any:
    """Transpose a transpose: pull with a fill of zero, and its slopes along the values."""
    values, geometry = ctx.saved_tensors
    need_values, need_geometry = ctx.needs_input_grad[:2]
    reading = without_fill(ctx.reading)
    grad_values = grad_geometry = None
    if need_values:
        grad_values = pull(grad, geometry, ctx.shape, reading, values.dtype)
    if need_geometry:
        _, grad_geometry = vjp(grad, geometry, values, ctx.shape, reading, False, True)
    return grad_values, grad_geometry, None, None, None


def _gradient_backward(ctx: Any, grad: Tensor) -> Any:
    """Take the inner product with slopes for a derivative along a motion, one of its own for each channel."""
    image, geometry = ctx.saved_tensors
    on_image, on_geometry = _along_each_channel(image, geometry, None, grad, ctx.shape, ctx.reading)
    return on_image, on_geometry.sum_to_size(geometry.shape), None, None


def _along_each_channel(
    image: Tensor, geometry: Tensor, image_dot: Tensor | None, geometry_dot: Tensor, shape: Any, reading: str
) -> tuple[Tensor, Tensor]:
    """Return the gradients of the sum of all ``jvp``, in the image and in the coordinates of each batch entry.

    `geometry_dot` has a motion for each channel, (B, C, *shape, d).
    """
    batch, channels = batch_size(image, geometry), image.shape[1]
    points = geometry.expand(batch, *geometry.shape[1:])[:, None].expand(-1, channels, *geometry.shape[1:])
    points = points.flatten(0, 1)
    real = real_dtype(image.dtype)
    ones = image.new_ones((batch * channels, 1, *shape), dtype=real)
    on_image, on_points = second(
        _channels_apart(image, batch),
        points,
        None if image_dot is None else _channels_apart(image_dot, batch),
        geometry_dot.to(geometry.dtype).flatten(0, 1),
        ones,
        shape,
        reading,
        True,
        True,
    )
    on_image = _split(on_image, batch)[:, :, 0].sum_to_size(image.shape)
    return on_image, _split(on_points, batch).sum(1)


def _channels_apart(image: Tensor, batch: int) -> Tensor:
    """Return an image with its channels as batch entries, ``(batch * C, 1, *spatial)``."""
    return image.expand(batch, *image.shape[1:]).flatten(0, 1)[:, None]


def _save_prefilter(ctx: Any, inputs: Any, output: Any) -> None:
    image, ctx.reading, ctx.adjoint = inputs
    ctx.dtype = image.dtype


def _prefilter_backward(ctx: Any, grad: Tensor) -> Any:
    return prefilter(grad, without_fill(ctx.reading), not ctx.adjoint).to(ctx.dtype), None, None


def _save_resize(ctx: Any, inputs: Any, output: Any) -> None:
    image, ctx.shape, sizing, ctx.result, ctx.adjoint = inputs
    ctx.own, ctx.dtype, ctx.linear = image.shape[2:], image.dtype, sizing_without_fill(sizing)


def _resize_backward(ctx: Any, grad: Tensor) -> Any:
    return _resize(grad, ctx.own, ctx.linear, ctx.dtype, not ctx.adjoint), None, None, None, None


def _third_order(ctx: Any, *grads: Tensor) -> Any:
    raise RuntimeError(
        "pullback: derivatives of the third order are not implemented; the operations of "
        "pullback.backends.composite are differentiated to any order"
    )


for _name, _backward, _setup in (
    ("pull", _pull_backward, _save),
    ("vjp", _vjp_backward, _save_vjp),
    ("jvp", _jvp_backward, _save_jvp),
    ("second", _third_order, None),
    ("push", _push_backward, _save),
    ("gradient", _gradient_backward, _save),
    ("prefilter", _prefilter_backward, _save_prefilter),
    ("resize", _resize_backward, _save_resize),
):
    torch.library.register_autograd(f"pullback::{_name}", _backward, setup_context=_setup, lib=library)


# The same for torch.func and forward mode


class _Folded:
    """The batch axes of a call under vmap, and what they were.

    Images (N, ...) and geometries (M, ...) become (size * B, ...) with B the larger of both; or stay what they are,
    where all of the mapped calls share one, and no gradient in it is wanted.
    """

    def __init__(
        self,
        size: int,
        image: Tensor,
        image_dims: Any,
        geometry: Tensor,
        geometry_dims: Any,
        image_wanted: bool,
        geometry_wanted: bool,
    ) -> None:
        self.size = size
        self.images = image.shape[1 if image_dims[0] == 0 else 0]
        self.geometries = geometry.shape[1 if geometry_dims[0] == 0 else 0]
        self.batch = max(self.images, self.geometries)
        self.image_shared = all(d is None for d in image_dims) and self.images == 1 and not image_wanted
        self.geometry_shared = all(d is None for d in geometry_dims) and self.geometries == 1 and not geometry_wanted
        if self.image_shared and self.geometry_shared:
            self.image_shared = False

    def values(self, tensor: Tensor, dim: int | None) -> Tensor:
        tensor = tensor.expand(self.size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
        return tensor.expand(-1, self.batch, *tensor.shape[2:]).flatten(0, 1)

    def image(self, tensor: Any, dim: int | None) -> Any:
        return tensor if tensor is None or self.image_shared else self.values(tensor, dim)

    def geometry(self, tensor: Any, dim: int | None) -> Any:
        return tensor if tensor is None or self.geometry_shared else self.values(tensor, dim)

    def unfold(self, tensor: Tensor, entries: int) -> Tensor:
        """Return results of `entries` to a call, summed over those that were spread."""
        if tensor.numel() == 0:
            return tensor.expand(self.size, *tensor.shape)
        tensor = _split(tensor, self.size)
        return tensor if entries == self.batch else tensor.sum(1, keepdim=True)

    def unfold_gradients(self, on_image: Tensor, on_geometry: Tensor) -> Any:
        """Return both gradients, and the axes that are mapped, as a rule for vmap does."""
        return (self.unfold(on_image, self.images), self.unfold(on_geometry, self.geometries)), (0, 0)


class _Pull(torch.autograd.Function):
    @staticmethod
    def forward(*inputs: Any) -> Any:
        return _operators.pull(*inputs)

    setup_context = staticmethod(lambda ctx, inputs, output: _save_pull(ctx, inputs))
    backward = staticmethod(_pull_backward)

    @staticmethod
    def jvp(ctx: Any, image_dot: Tensor | None, geometry_dot: Tensor | None, *_: Any) -> Any:
        image, geometry = ctx.saved_tensors
        return jvp(image, geometry, image_dot, geometry_dot, ctx.shape, ctx.reading).to(ctx.dtype)

    @staticmethod
    def vmap(info: Any, dims: Any, image: Any, geometry: Any, *rest: Any) -> Any:
        folded = _Folded(info.batch_size, image, dims[:1], geometry, dims[1:2], False, False)
        values = pull(folded.image(image, dims[0]), folded.geometry(geometry, dims[1]), *rest)
        return folded.unfold(values, folded.batch), 0


def _save_pull(ctx: Any, inputs: Any) -> None:
    _save(ctx, inputs, None)
    ctx.dtype = inputs[4]


class _Vjp(torch.autograd.Function):
    @staticmethod
    def forward(*inputs: Any) -> Any:
        return _operators.vjp(*inputs)

    setup_context = staticmethod(_save_vjp)
    backward = staticmethod(_vjp_backward)

    @staticmethod
    def jvp(ctx: Any, image_dot: Tensor | None, geometry_dot: Tensor | None, grad_dot: Tensor | None, *_: Any) -> Any:
        image, geometry, grad = ctx.saved_tensors
        call = (ctx.shape, ctx.reading, ctx.need_image, ctx.need_geometry)
        parts = []
        if image_dot is not None or geometry_dot is not None:
            parts.append(second(image, geometry, image_dot, geometry_dot, grad, *call))
        if grad_dot is not None:
            parts.append(vjp(image, geometry, grad_dot, *call))
        first, *others = parts
        return tuple(sum(others_k, first_k) for first_k, *others_k in zip(first, *others, strict=True))

    @staticmethod
    def vmap(info: Any, dims: Any, image: Any, geometry: Any, grad: Tensor, *rest: Any) -> Any:
        need_image, need_geometry = rest[2:4]
        folded = _Folded(info.batch_size, image, dims[:1], geometry, dims[1:2], need_image, need_geometry)
        on_image, on_geometry = vjp(
            folded.image(image, dims[0]),
            folded.geometry(geometry, dims[1]),
            folded.values(grad, dims[2]),
            *rest,
        )
        return folded.unfold_gradients(on_image, on_geometry)


class _Jvp(torch.autograd.Function):
    @staticmethod
    def forward(*inputs: Any) -> Any:
        return _operators.jvp(*inputs)

    setup_context = staticmethod(_save_jvp)
    backward = staticmethod(_jvp_backward)

    @staticmethod
    def jvp(ctx: Any, *_: Any) -> Any:
        raise RuntimeError(
            "pullback: forward mode inside forward mode is not implemented; take the outer derivative in reverse mode "
            "(torch.func.jacrev or grad)"
        )

    @staticmethod
    def vmap(info: Any, dims: Any, image: Any, geometry: Any, image_dot: Any, geometry_dot: Any, *rest: Any) -> Any:
        folded = _Folded(info.batch_size, image, dims[0:3:2], geometry, dims[1:4:2], False, False)
        values = jvp(
            folded.image(image, dims[0]),
            folded.geometry(geometry, dims[1]),
            folded.image(image_dot, dims[2]),
            folded.geometry(geometry_dot, dims[3]),
            *rest,
        )
        return folded.unfold(values, folded.batch), 0


class _Second(torch.autograd.Function):
    @staticmethod
    def forward(*inputs: Any) -> Any:
        return _operators.second(*inputs)

    setup_context = staticmethod(lambda ctx, inputs, output: None)
    backward = staticmethod(_third_order)
    jvp = staticmethod(_third_order)

    @staticmethod
    def vmap(
        info: Any,
        dims: Any,
        image: Tensor,
        geometry: Tensor,
        image_dot: Any,
        geometry_dot: Any,
        grad: Tensor,
        *rest: Any,
    ) -> Any:
        need_image, need_geometry = rest[2:4]
        folded = _Folded(info.batch_size, image, dims[0:3:2], geometry, dims[1:4:2], need_image, need_geometry)
        on_image, on_geometry = second(
            folded.image(image, dims[0]),
            folded.geometry(geometry, dims[1]),
            folded.image(image_dot, dims[2]),
            folded.geometry(geometry_dot, dims[3]),
            folded.values(grad, dims[4]),
            *rest,
        )
        return folded.unfold_gradients(on_image, on_geometry)


class _Push(torch.autograd.Function):
    @staticmethod
    def forward(*inputs: Any) -> Any:
        return _operators.push(*inputs)

    setup_context = staticmethod(lambda ctx, inputs, output: _save_push(ctx, inputs))
    backward = staticmethod(_push_backward)

    @staticmethod
    def jvp(ctx: Any, values_dot: Tensor | None, geometry_dot: Tensor | None, *_: Any) -> Any:
        values, geometry = ctx.saved_tensors
        reading, parts = without_fill(ctx.reading), []
        if values_dot is not None:
            parts.append(push(values_dot, geometry, ctx.shape, reading, ctx.image_shape))
        if geometry_dot is not None:
            image = values.new_zeros((), dtype=real_dtype(values.dtype)).expand(*ctx.image_shape)
            parts.append(second(image, geometry, None, geometry_dot, values, ctx.shape, reading, True, False)[0])
        return sum(parts[1:], parts[0])

    @staticmethod
    def vmap(info: Any, dims: Any, values: Tensor, geometry: Any, shape: Any, reading: str, image_shape: Any) -> Any:
        images = image_shape[0]
        target = values.new_empty(1).expand(images, 1)
        folded = _Folded(info.batch_size, target, (None,), geometry, dims[1:2], True, False)
        whole = [folded.size * folded.batch, *image_shape[1:]]
        scattered = push(
            folded.values(values, dims[0]),
            folded.geometry(geometry, dims[1]),
            shape,
            reading,
            whole,
        )
        return folded.unfold(scattered, images), 0


def _save_push(ctx: Any, inputs: Any) -> None:
    _save(ctx, inputs, None)
    ctx.image_shape = inputs[4]


class _Gradient(torch.autograd.Function):
    @staticmethod
    def forward(*inputs: Any) -> Any:
        return _operators.gradient(*inputs)

    setup_context = staticmethod(_save)
    backward = staticmethod(_gradient_backward)

    @staticmethod
    def jvp(ctx: Any, *_: Any) -> Any:
        raise RuntimeError("pullback: `gradient` has no forward mode; differentiate `sample` twice")

    @staticmethod
    def vmap(info: Any, dims: Any, image: Any, geometry: Any, *rest: Any) -> Any:
        folded = _Folded(info.batch_size, image, dims[:1], geometry, dims[1:2], False, False)
        slopes = gradient(folded.image(image, dims[0]), folded.geometry(geometry, dims[1]), *rest)
        return folded.unfold(slopes, folded.batch), 0


class _Prefilter(torch.autograd.Function):
    @staticmethod
    def forward(*inputs: Any) -> Any:
        return _operators.prefilter(*inputs)

    setup_context = staticmethod(_save_prefilter)
    backward = staticmethod(_prefilter_backward)

    @staticmethod
    def jvp(ctx: Any, image_dot: Tensor, *_: Any) -> Any:
        return prefilter(image_dot, without_fill(ctx.reading), ctx.adjoint)

    @staticmethod
    def vmap(info: Any, dims: Any, image: Tensor, *rest: Any) -> Any:
        image = image.movedim(dims[0], 0)
        return _split(prefilter(image.flatten(0, 1), *rest), len(image)), 0


class _Resize(torch.autograd.Function):
    @staticmethod
    def forward(*inputs: Any) -> Any:
        return _operators.resize(*inputs)

    setup_context = staticmethod(_save_resize)
    backward = staticmethod(_resize_backward)

    @staticmethod
    def jvp(ctx: Any, image_dot: Tensor, *_: Any) -> Any:
        return _resize(image_dot, ctx.shape, ctx.linear, ctx.result, ctx.adjoint)

    @staticmethod
    def vmap(info: Any, dims: Any, image: Tensor, *rest: Any) -> Any:
        image = image.movedim(dims[0], 0)
        return _split(_resize(image.flatten(0, 1), *rest), len(image)), 0
