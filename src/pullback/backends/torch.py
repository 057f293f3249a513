"""Tensors: the native kernels as registered operators on the CPU, plain torch operations on every other device.

The operators are ``torch.ops.pullback.pull``, ``push``, ``gradient`` and ``vjp``, on canonical tensors. Each has a
kernel for the CPU, the composite for other devices, a fake for tracing, and a derivative of the first order.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pullback import _native
from pullback._plan import Frame, Lattice, Plan
from pullback.backends import composite
from pullback.backends._request import prepare

name = "torch"

_IMAGE_DTYPES = (torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64)
_NATIVE_DTYPES = (torch.uint8, torch.float32, torch.float64)

# The plan and the lattice in the terms of an operator's schema.
_READING = "int kind, SymInt[] shape, int[] interpolation, int[] border, bool crop, float[] fill, float[] frames"
_Reading = tuple[int, list[int], list[int], list[int], bool, list[float], list[float]]

_library = torch.library.Library("pullback", "DEF")
_library.define(f"pull(Tensor image, Tensor geometry, {_READING}, ScalarType dtype) -> Tensor")
_library.define(f"gradient(Tensor image, Tensor geometry, {_READING}) -> Tensor")
_library.define(f"push(Tensor values, Tensor geometry, {_READING}, SymInt[] image_shape) -> Tensor")
_library.define(
    f"vjp(Tensor image, Tensor geometry, Tensor grad, {_READING}, bool need_image, bool need_geometry)"
    " -> (Tensor, Tensor)"
)


def _flatten(lattice: Lattice, plan: Plan) -> _Reading:
    frames = [*lattice.frame_in.scale, *lattice.frame_in.offset, *lattice.frame_out.scale, *lattice.frame_out.offset]
    return (
        lattice.kind,
        list(lattice.shape),
        list(plan.interpolation),
        list(plan.border),
        plan.crop,
        list(plan.fill),
        frames,
    )


def _unflatten(reading: Any) -> tuple[Lattice, Plan]:
    kind, shape, interpolation, border, crop, fill, frames = reading
    d = len(interpolation)
    frame_in = Frame(tuple(frames[:d]), tuple(frames[d : 2 * d]))
    frame_out = Frame(tuple(frames[2 * d : 3 * d]), tuple(frames[3 * d :]))
    plan = Plan(tuple(interpolation), tuple(border), crop, tuple(fill))
    return Lattice(kind, tuple(shape), frame_in, frame_out), plan


def _real(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype that samples of `dtype` are summed in."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _batch(image: Tensor, geometry: Tensor) -> int:
    return image.shape[0] if geometry.shape[0] == 1 else geometry.shape[0]


def _as_native(tensor: Tensor) -> Tensor:
    """Return a tensor that the kernels take: of one of their dtypes, without a graph."""
    tensor = tensor.detach()
    return tensor if tensor.dtype in _NATIVE_DTYPES else tensor.to(torch.float32)


def _empty_values(image: Tensor, batch: int, lattice: Any, dtype: torch.dtype) -> Tensor:
    """Return uninitialised values, with the channels innermost in memory where the image has them there."""
    channels = image.shape[1]
    if channels > 1 and image.stride(1) < image.stride(-1):
        return image.new_empty((batch, *lattice, channels), dtype=dtype).movedim(-1, 1)
    return image.new_empty((batch, channels, *lattice), dtype=dtype)


# --- pull


@torch.library.impl(_library, "pull", "CPU")
def _pull_native(image: Tensor, geometry: Tensor, *reading: Any) -> Tensor:
    *reading, dtype = reading  # type: ignore[assignment]
    lattice, plan = _unflatten(reading)
    native_dtype = dtype if dtype in _NATIVE_DTYPES else torch.float32
    values = _empty_values(image, _batch(image, geometry), lattice.shape, native_dtype)
    request, points, out = prepare(plan, lattice, geometry.detach(), values)
    _native.pull(request, _as_native(image), points, out)
    return values if values.dtype == dtype else values.to(dtype)


@torch.library.impl(_library, "pull", "CompositeExplicitAutograd")
def _pull_composite(image: Tensor, geometry: Tensor, *reading: Any) -> Tensor:
    *reading, dtype = reading  # type: ignore[assignment]
    real = _real(image.dtype)
    values = composite.pull(image.to(real), geometry, *_unflatten(reading))
    return composite.cast(values, dtype)


@torch.library.register_fake("pullback::pull", lib=_library)
def _pull_fake(image: Tensor, geometry: Tensor, *reading: Any) -> Tensor:
    return _empty_values(image, _batch(image, geometry), reading[1], reading[-1])


def _save_pull(ctx: Any, inputs: Any, output: Any) -> None:
    image, geometry, *reading = inputs
    ctx.save_for_backward(image, geometry)
    ctx.reading = reading[:7]


def _pull_backward(ctx: Any, grad: Tensor) -> Any:
    image, geometry = ctx.saved_tensors
    need_image, need_geometry = ctx.needs_input_grad[:2]
    grad_image, grad_geometry = torch.ops.pullback.vjp(
        image, geometry, grad, *ctx.reading, need_image, need_geometry
    )
    return (
        grad_image if need_image else None,
        grad_geometry if need_geometry else None,
        *(None,) * 8,
    )


torch.library.register_autograd("pullback::pull", _pull_backward, setup_context=_save_pull, lib=_library)

# --- vjp


@torch.library.impl(_library, "vjp", "CPU")
def _vjp_native(image: Tensor, geometry: Tensor, grad: Tensor, *reading: Any) -> tuple[Tensor, Tensor]:
    *reading, need_image, need_geometry = reading  # type: ignore[assignment]
    lattice, plan = _unflatten(reading)
    native_image = _as_native(image)
    real = _real(image.dtype)
    request, points, cotangent = prepare(plan, lattice, geometry.detach(), grad.detach().to(real))
    grad_image = torch.zeros(image.shape if need_image else (0,), dtype=real)
    grad_points = torch.empty(points.shape if need_geometry else (0,), dtype=geometry.dtype)
    _native.vjp(
        request,
        native_image,
        points,
        cotangent,
        grad_image if need_image else None,
        grad_points if need_geometry else None,
    )
    if need_geometry:
        grad_points = grad_points.reshape(geometry.shape)
    return grad_image.to(image.dtype), grad_points


@torch.library.impl(_library, "vjp", "CompositeExplicitAutograd")
def _vjp_composite(image: Tensor, geometry: Tensor, grad: Tensor, *reading: Any) -> tuple[Tensor, Tensor]:
    *reading, need_image, need_geometry = reading  # type: ignore[assignment]
    lattice, plan = _unflatten(reading)
    real = _real(image.dtype)
    grad = grad.to(real)
    grad_image = grad_geometry = image.new_empty((0,))
    if need_image:
        grad_image = composite.push(grad, geometry, lattice, plan, tuple(image.shape))
    if need_geometry:
        grad_geometry = composite.geometry_vjp(image.to(real), geometry, grad, lattice, plan).to(geometry.dtype)
    return grad_image.to(image.dtype), grad_geometry


@torch.library.register_fake("pullback::vjp", lib=_library)
def _vjp_fake(image: Tensor, geometry: Tensor, grad: Tensor, *reading: Any) -> tuple[Tensor, Tensor]:
    *_, need_image, need_geometry = reading
    return (
        image.new_empty(image.shape if need_image else (0,)),
        geometry.new_empty(geometry.shape if need_geometry else (0,)),
    )


# --- gradient


@torch.library.impl(_library, "gradient", "CPU")
def _gradient_native(image: Tensor, geometry: Tensor, *reading: Any) -> Tensor:
    lattice, plan = _unflatten(reading)
    shape = (_batch(image, geometry), image.shape[1], *lattice.shape, plan.ndim)
    slopes = torch.empty(shape, dtype=_real(image.dtype))
    request, points, out = prepare(plan, lattice, geometry.detach(), slopes)
    _native.gradient(request, _as_native(image), points, out)
    return slopes


@torch.library.impl(_library, "gradient", "CompositeExplicitAutograd")
def _gradient_composite(image: Tensor, geometry: Tensor, *reading: Any) -> Tensor:
    return composite.gradient(image.to(_real(image.dtype)), geometry, *_unflatten(reading))


@torch.library.register_fake("pullback::gradient", lib=_library)
def _gradient_fake(image: Tensor, geometry: Tensor, *reading: Any) -> Tensor:
    shape = (_batch(image, geometry), image.shape[1], *reading[1], len(reading[2]))
    return image.new_empty(shape, dtype=_real(image.dtype))


# --- push


@torch.library.impl(_library, "push", "CPU")
def _push_native(values: Tensor, geometry: Tensor, *reading: Any) -> Tensor:
    *reading, image_shape = reading  # type: ignore[assignment]
    lattice, plan = _unflatten(reading)
    image = torch.zeros(tuple(image_shape), dtype=_real(values.dtype))
    request, points, flat = prepare(plan, lattice, geometry.detach(), _as_native(values))
    _native.push(request, flat, points, image)
    return image


@torch.library.impl(_library, "push", "CompositeExplicitAutograd")
def _push_composite(values: Tensor, geometry: Tensor, *reading: Any) -> Tensor:
    *reading, image_shape = reading  # type: ignore[assignment]
    return composite.push(values.to(_real(values.dtype)), geometry, *_unflatten(reading), tuple(image_shape))


@torch.library.register_fake("pullback::push", lib=_library)
def _push_fake(values: Tensor, geometry: Tensor, *reading: Any) -> Tensor:
    return values.new_empty(reading[-1], dtype=_real(values.dtype))


def _save_push(ctx: Any, inputs: Any, output: Any) -> None:
    values, geometry, *reading = inputs
    ctx.save_for_backward(values, geometry)
    ctx.reading = reading[:7]


def _push_backward(ctx: Any, grad: Tensor) -> Any:
    """The transpose of a transpose: pull with a fill of zero, and its slopes along the values."""
    values, geometry = ctx.saved_tensors
    kind, shape, interpolation, border, crop, _, frames = ctx.reading
    reading = (kind, shape, interpolation, border, crop, [0.0], frames)
    need_values, need_geometry = ctx.needs_input_grad[:2]
    grad_values = torch.ops.pullback.pull(grad, geometry, *reading, grad.dtype) if need_values else None
    grad_geometry = None
    if need_geometry:
        _, grad_geometry = torch.ops.pullback.vjp(grad, geometry, values, *reading, False, True)
    return grad_values if grad_values is None else grad_values.to(values.dtype), grad_geometry, *(None,) * 8


torch.library.register_autograd("pullback::push", _push_backward, setup_context=_save_push, lib=_library)


def _no_second_order(ctx: Any, *grads: Tensor) -> Any:
    raise RuntimeError(
        "pullback: derivatives of the second order are not implemented on these operators; call "
        "torch.autograd.grad without create_graph=True"
    )


for _operator in ("vjp", "gradient"):
    torch.library.register_autograd(f"pullback::{_operator}", _no_second_order, lib=_library)


# --- what the public functions call


def as_image(function: str, argument: str, image: Any) -> Tensor:
    """Return `image`, which must be of a dtype that is supported."""
    if image.dtype not in _IMAGE_DTYPES:
        known = ", ".join(str(dtype).removeprefix("torch.") for dtype in _IMAGE_DTYPES)
        raise TypeError(f"{function}: `{argument}` is of dtype {image.dtype}; supported are {known}")
    return image  # type: ignore[no-any-return]


def as_coordinates(function: str, coords: Any, image: Tensor) -> Tensor:
    """Return coordinates on the image's device, as float32 or float64."""
    tensor = torch.as_tensor(coords, device=image.device)
    if tensor.is_complex():
        raise TypeError(f"{function}: `coords` must hold real numbers, got dtype {tensor.dtype}")
    if tensor.dtype in (torch.float32, torch.float64):
        return tensor
    return tensor.to(torch.float32 if tensor.is_floating_point() else torch.float64)


def matrix_of(transform: Any, image: Tensor) -> Tensor:
    """Return the matrices of a transform, (batch, d, d + 1), on the image's device and with their graph."""
    matrix = torch.as_tensor(transform.matrix, device=image.device)
    if matrix.dtype not in (torch.float32, torch.float64):
        matrix = matrix.to(torch.float32)
    return matrix if matrix.ndim == 3 else matrix[None]


def as_dtype(function: str, dtype: Any, image: Tensor) -> torch.dtype:
    """Return the dtype of the result."""
    if dtype is None:
        return image.dtype
    if dtype not in _IMAGE_DTYPES:
        raise TypeError(f"{function}: `dtype` is {dtype!r}; give a torch dtype that images may have")
    return dtype  # type: ignore[no-any-return]


def check_out(function: str, out: Any) -> None:
    """Refuse `out`: a result that carries gradients cannot be written in place."""
    raise TypeError(f"{function}: `out` is for NumPy arrays; tensors come as new tensors, with gradients")


def as_cotangent(function: str, grad: Any, image: Tensor) -> Tensor:
    """Refuse tensors: autograd differentiates them."""
    raise TypeError(f"{function}: takes NumPy arrays; for tensors, call backward() on a function of the result")


def pull(image: Tensor, geometry: Tensor, lattice: Lattice, plan: Plan, dtype: torch.dtype) -> Tensor:
    """Return the values of `image`, (batch, channel, *spatial), on the lattice, (batch, channel, *lattice)."""
    return torch.ops.pullback.pull(image, geometry, *_flatten(lattice, plan), dtype)  # type: ignore[no-any-return]


def gradient(image: Tensor, geometry: Tensor, lattice: Lattice, plan: Plan) -> Tensor:
    """Return d value / d coordinate, (batch, channel, *lattice, d)."""
    return torch.ops.pullback.gradient(image, geometry, *_flatten(lattice, plan))  # type: ignore[no-any-return]


def push(values: Tensor, geometry: Tensor, lattice: Lattice, plan: Plan, shape: tuple[int, ...]) -> Tensor:
    """Return the transpose of `pull` applied to `values`, an image of `shape`."""
    image = torch.ops.pullback.push(values, geometry, *_flatten(lattice, plan), list(shape))
    return image.to(values.dtype) if values.is_floating_point() else image  # type: ignore[no-any-return]
