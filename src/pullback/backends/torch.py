"""Tensors: the native kernels as registered operators on the CPU, plain torch operations on every other device.

The operators are ``torch.ops.pullback.pull``, ``push``, ``gradient`` and ``vjp``, on canonical tensors. Each has a
kernel for the CPU, the composite for other devices, a fake for tracing, and a derivative of the first order. What is
constant about a call travels as one string, `reading`: a schema with a list for each part of it costs more than a small
warp.
"""

from __future__ import annotations

import ast
from functools import lru_cache
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

_library = torch.library.Library("pullback", "DEF")  # type: ignore[no-untyped-call]
for _schema in (
    "pull(Tensor image, Tensor geometry, SymInt[] shape, str reading, ScalarType dtype) -> Tensor",
    "gradient(Tensor image, Tensor geometry, SymInt[] shape, str reading) -> Tensor",
    "push(Tensor values, Tensor geometry, SymInt[] shape, str reading, SymInt[] image_shape) -> Tensor",
    "vjp(Tensor image, Tensor geometry, Tensor grad, SymInt[] shape, str reading, bool need_image, bool need_geometry)"
    " -> (Tensor, Tensor)",
):
    _library.define(_schema)  # type: ignore[no-untyped-call]


@lru_cache(maxsize=1024)
def _reading(lattice: Lattice, plan: Plan) -> str:
    """Write down all of a call but its tensors and its output shape."""
    frames = (lattice.frame_in.scale, lattice.frame_in.offset, lattice.frame_out.scale, lattice.frame_out.offset)
    fill = tuple(map(str, plan.fill))  # nan and inf are no literals
    return repr((lattice.kind, plan.interpolation, plan.border, plan.crop, fill, frames))


@lru_cache(maxsize=1024)
def _parsed(reading: str) -> tuple[int, Frame, Frame, Plan]:
    kind, interpolation, border, crop, fill, frames = ast.literal_eval(reading)
    scale_in, offset_in, scale_out, offset_out = frames
    plan = Plan(interpolation, border, crop, tuple(map(float, fill)))
    return kind, Frame(scale_in, offset_in), Frame(scale_out, offset_out), plan


def _call(shape: Any, reading: str) -> tuple[Lattice, Plan]:
    """Read back what :func:`_reading` wrote."""
    kind, frame_in, frame_out, plan = _parsed(reading)
    return Lattice(kind, tuple(shape), frame_in, frame_out), plan


def _without_fill(reading: str) -> str:
    kind, frame_in, frame_out, plan = _parsed(reading)
    return _reading(Lattice(kind, (), frame_in, frame_out), Plan(plan.interpolation, plan.border, plan.crop, (0.0,)))


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


# Kernels for the CPU


def _pull_native(image: Tensor, geometry: Tensor, shape: Any, reading: str, dtype: torch.dtype) -> Tensor:
    lattice, plan = _call(shape, reading)
    native_dtype = dtype if dtype in _NATIVE_DTYPES else torch.float32
    values = _empty_values(image, _batch(image, geometry), shape, native_dtype)
    request, points, out = prepare(plan, lattice, geometry.detach(), values)
    _native.pull(request, _as_native(image), points, out)
    return values if dtype == native_dtype else values.to(dtype)


def _gradient_native(image: Tensor, geometry: Tensor, shape: Any, reading: str) -> Tensor:
    lattice, plan = _call(shape, reading)
    slopes = torch.empty((_batch(image, geometry), image.shape[1], *shape, plan.ndim), dtype=_real(image.dtype))
    request, points, out = prepare(plan, lattice, geometry.detach(), slopes)
    _native.gradient(request, _as_native(image), points, out)
    return slopes


def _push_native(values: Tensor, geometry: Tensor, shape: Any, reading: str, image_shape: Any) -> Tensor:
    lattice, plan = _call(shape, reading)
    image = torch.empty(tuple(image_shape), dtype=_real(values.dtype))
    request, points, flat = prepare(plan, lattice, geometry.detach(), _as_native(values))
    _native.push(request, flat, points, image)
    return image


def _vjp_native(
    image: Tensor, geometry: Tensor, grad: Tensor, shape: Any, reading: str, need_image: bool, need_geometry: bool
) -> tuple[Tensor, Tensor]:
    lattice, plan = _call(shape, reading)
    real = _real(image.dtype)
    request, points, cotangent = prepare(plan, lattice, geometry.detach(), grad.detach().to(real))
    grad_image = torch.empty(image.shape, dtype=real) if need_image else None
    grad_points = torch.empty(points.shape, dtype=geometry.dtype) if need_geometry else None
    _native.vjp(request, _as_native(image), points, cotangent, grad_image, grad_points)
    return (
        image.new_empty(0) if grad_image is None else grad_image.to(image.dtype),
        geometry.new_empty(0) if grad_points is None else grad_points.reshape(geometry.shape),
    )


# The composite, for every other device


def _pull_composite(image: Tensor, geometry: Tensor, shape: Any, reading: str, dtype: torch.dtype) -> Tensor:
    return composite.cast(composite.pull(image.to(_real(image.dtype)), geometry, *_call(shape, reading)), dtype)


def _gradient_composite(image: Tensor, geometry: Tensor, shape: Any, reading: str) -> Tensor:
    return composite.gradient(image.to(_real(image.dtype)), geometry, *_call(shape, reading))


def _push_composite(values: Tensor, geometry: Tensor, shape: Any, reading: str, image_shape: Any) -> Tensor:
    return composite.push(values.to(_real(values.dtype)), geometry, *_call(shape, reading), tuple(image_shape))


def _vjp_composite(
    image: Tensor, geometry: Tensor, grad: Tensor, shape: Any, reading: str, need_image: bool, need_geometry: bool
) -> tuple[Tensor, Tensor]:
    call = _call(shape, reading)
    real = _real(image.dtype)
    grad_image, grad_geometry = image.new_empty(0), geometry.new_empty(0)
    if need_image:
        grad_image = composite.push(grad.to(real), geometry, *call, tuple(image.shape)).to(image.dtype)
    if need_geometry:
        grad_geometry = composite.geometry_vjp(image.to(real), geometry, grad.to(real), *call).to(geometry.dtype)
    return grad_image, grad_geometry


# Fakes: shapes and dtypes alone


def _pull_fake(image: Tensor, geometry: Tensor, shape: Any, reading: str, dtype: torch.dtype) -> Tensor:
    return _empty_values(image, _batch(image, geometry), shape, dtype)


def _gradient_fake(image: Tensor, geometry: Tensor, shape: Any, reading: str) -> Tensor:
    size = (_batch(image, geometry), image.shape[1], *shape, _parsed(reading)[-1].ndim)
    return image.new_empty(size, dtype=_real(image.dtype))


def _push_fake(values: Tensor, geometry: Tensor, shape: Any, reading: str, image_shape: Any) -> Tensor:
    return values.new_empty(image_shape, dtype=_real(values.dtype))


def _vjp_fake(
    image: Tensor, geometry: Tensor, grad: Tensor, shape: Any, reading: str, need_image: bool, need_geometry: bool
) -> tuple[Tensor, Tensor]:
    return (
        image.new_empty(image.shape if need_image else (0,)),
        geometry.new_empty(geometry.shape if need_geometry else (0,)),
    )


# Derivatives


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    source, geometry, ctx.shape, ctx.reading, _ = inputs
    ctx.save_for_backward(source, geometry)


def _pull_backward(ctx: Any, grad: Tensor) -> Any:
    image, geometry = ctx.saved_tensors
    need_image, need_geometry = ctx.needs_input_grad[:2]
    grad_image, grad_geometry = torch.ops.pullback.vjp(
        image, geometry, grad, ctx.shape, ctx.reading, need_image, need_geometry
    )
    return grad_image if need_image else None, grad_geometry if need_geometry else None, None, None, None


def _push_backward(ctx: Any, grad: Tensor) -> Any:
    """Transpose a transpose: pull with a fill of zero, and its slopes along the values."""
    values, geometry = ctx.saved_tensors
    need_values, need_geometry = ctx.needs_input_grad[:2]
    reading = _without_fill(ctx.reading)
    grad_values = grad_geometry = None
    if need_values:
        grad_values = torch.ops.pullback.pull(grad, geometry, ctx.shape, reading, values.dtype)
    if need_geometry:
        _, grad_geometry = torch.ops.pullback.vjp(grad, geometry, values, ctx.shape, reading, False, True)
    return grad_values, grad_geometry, None, None, None


def _no_second_order(ctx: Any, *grads: Tensor) -> Any:
    raise RuntimeError(
        "pullback: derivatives of the second order are not implemented on these operators yet; call "
        "torch.autograd.grad without create_graph=True"
    )


for _name, _native_kernel, _composite_kernel, _fake, _backward in (
    ("pull", _pull_native, _pull_composite, _pull_fake, _pull_backward),
    ("push", _push_native, _push_composite, _push_fake, _push_backward),
    ("gradient", _gradient_native, _gradient_composite, _gradient_fake, _no_second_order),
    ("vjp", _vjp_native, _vjp_composite, _vjp_fake, _no_second_order),
):
    _library.impl(_name, _native_kernel, "CPU")  # type: ignore[no-untyped-call]
    _library.impl(_name, _composite_kernel, "CompositeExplicitAutograd")  # type: ignore[no-untyped-call]
    torch.library.register_fake(f"pullback::{_name}", _fake, lib=_library)
    torch.library.register_autograd(
        f"pullback::{_name}",
        _backward,
        setup_context=_save if _name in ("pull", "push") else None,
        lib=_library,
    )


# What the public functions call


def as_image(function: str, argument: str, image: Any) -> Tensor:
    """Return `image`, which must be of a dtype that is supported."""
    tensor: Tensor = image
    if tensor.dtype not in _IMAGE_DTYPES:
        known = ", ".join(str(dtype).removeprefix("torch.") for dtype in _IMAGE_DTYPES)
        raise TypeError(f"{function}: `{argument}` is of dtype {tensor.dtype}; supported are {known}")
    return tensor


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
    parameters = transform.parameters
    on_device = isinstance(parameters, Tensor) and parameters.device == image.device
    matrix: Tensor = (transform if on_device else transform.torch(device=image.device)).matrix
    if matrix.dtype not in (torch.float32, torch.float64):
        matrix = matrix.to(torch.float32)
    return matrix if matrix.ndim == 3 else matrix[None]


def as_dtype(function: str, dtype: Any, image: Tensor) -> torch.dtype:
    """Return the dtype of the result."""
    if dtype is None:
        return image.dtype
    if not isinstance(dtype, torch.dtype) or dtype not in _IMAGE_DTYPES:
        raise TypeError(f"{function}: `dtype` is {dtype!r}; give a torch dtype that images may have")
    return dtype


def check_out(function: str, out: Any) -> None:
    """Refuse `out`: a result that carries gradients cannot be written in place."""
    raise TypeError(f"{function}: `out` is for NumPy arrays; tensors come as new tensors, with gradients")


def as_cotangent(function: str, grad: Any, image: Tensor) -> Tensor:
    """Refuse tensors: autograd differentiates them."""
    raise TypeError(f"{function}: takes NumPy arrays; for tensors, call backward() on a function of the result")


def pull(image: Tensor, geometry: Tensor, lattice: Lattice, plan: Plan, dtype: torch.dtype) -> Tensor:
    """Return the values of `image`, (batch, channel, *spatial), on the lattice, (batch, channel, *lattice)."""
    values: Tensor = torch.ops.pullback.pull(image, geometry, lattice.shape, _reading(lattice, plan), dtype)
    return values


def gradient(image: Tensor, geometry: Tensor, lattice: Lattice, plan: Plan) -> Tensor:
    """Return d value / d coordinate, (batch, channel, *lattice, d)."""
    slopes: Tensor = torch.ops.pullback.gradient(image, geometry, lattice.shape, _reading(lattice, plan))
    return slopes


def push(values: Tensor, geometry: Tensor, lattice: Lattice, plan: Plan, shape: tuple[int, ...]) -> Tensor:
    """Return the transpose of `pull` applied to `values`, an image of `shape`."""
    values = values.expand(_batch(values, geometry), *values.shape[1:])
    image: Tensor = torch.ops.pullback.push(values, geometry, lattice.shape, _reading(lattice, plan), shape)
    return image.to(values.dtype) if values.is_floating_point() else image
