"""Tensors: the native kernels as registered operators on the CPU, plain torch operations on every other device.

The operators are ``torch.ops.pullback.pull``, ``push``, ``gradient``, ``vjp``, ``prefilter``, ``resample`` and
``winners``, on canonical tensors. Each has a kernel for the CPU, the composite for other devices, a fake for tracing,
and a derivative of the first order where it has one. What is constant about a call travels as one string, `reading`: a
schema with a list for each part of it costs more than a small warp.

The kernels know real numbers alone: a complex image is read twice, once for each of its components.
"""

from __future__ import annotations

import ast
import math
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pullback import _native
from pullback._plan import BORDERS, Frame, Lattice, Plan
from pullback.backends import composite
from pullback.backends._request import component_plan, prepare
from pullback.backends._table import transposed

name = "torch"

_IMAGE_DTYPES = (
    *(torch.bool, torch.uint8, torch.uint16, torch.uint32, torch.uint64),
    *(torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128),
)
_WIDE_DTYPES = (torch.float64, torch.int32, torch.int64, torch.uint32, torch.uint64)

_library = torch.library.Library("pullback", "DEF")  # type: ignore[no-untyped-call]
for _schema in (
    "pull(Tensor image, Tensor geometry, SymInt[] shape, str reading, ScalarType dtype) -> Tensor",
    "gradient(Tensor image, Tensor geometry, SymInt[] shape, str reading) -> Tensor",
    "push(Tensor values, Tensor geometry, SymInt[] shape, str reading, SymInt[] image_shape) -> Tensor",
    "vjp(Tensor image, Tensor geometry, Tensor grad, SymInt[] shape, str reading, bool need_image, bool need_geometry)"
    " -> (Tensor, Tensor)",
    "prefilter(Tensor image, str reading, bool adjoint) -> Tensor",
    "resample(Tensor image, int axis, Tensor first, Tensor weight, ScalarType dtype) -> Tensor",
    "winners(Tensor importance, Tensor geometry, SymInt[] shape, str reading, SymInt[] image_shape) -> Tensor",
):
    _library.define(_schema)  # type: ignore[no-untyped-call]


@lru_cache(maxsize=1024)
def _reading(lattice: Lattice, plan: Plan) -> str:
    """Write down all of a call but its tensors and its output shape."""
    frames = (lattice.frame_in.scale, lattice.frame_in.offset, lattice.frame_out.scale, lattice.frame_out.offset)
    fill = tuple(map(str, plan.fill))  # nan and inf are no literals
    reads = (plan.interpolation, plan.border, plan.crop, fill, plan.parameter, plan.prefilter)
    return repr((lattice.kind, lattice.reversed, frames, reads))


def _number(text: str) -> complex:
    value = complex(text)
    return value if "j" in text else value.real


@lru_cache(maxsize=1024)
def _parsed(reading: str) -> tuple[int, bool, Frame, Frame, Plan]:
    kind, is_reversed, frames, (interpolation, border, crop, fill, parameter, prefilter) = ast.literal_eval(reading)
    scale_in, offset_in, scale_out, offset_out = frames
    plan = Plan(interpolation, border, crop, tuple(map(_number, fill)), parameter, prefilter)
    return kind, is_reversed, Frame(scale_in, offset_in), Frame(scale_out, offset_out), plan


def _call(shape: Any, reading: str) -> tuple[Lattice, Plan]:
    """Read back what :func:`_reading` wrote."""
    kind, is_reversed, frame_in, frame_out, plan = _parsed(reading)
    return Lattice(kind, tuple(shape), frame_in, frame_out, is_reversed), plan


def _without_fill(reading: str) -> str:
    lattice, plan = _call((), reading)
    return _reading(lattice, replace(plan, fill=(0.0,)))


def _real(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype that samples of `dtype` are summed in."""
    if dtype.is_complex:
        return dtype
    return torch.float64 if dtype in _WIDE_DTYPES else torch.float32


def _batch(image: Tensor, geometry: Tensor) -> int:
    return image.shape[0] if geometry.shape[0] == 1 else geometry.shape[0]


def _components(tensor: Tensor) -> tuple[Tensor, ...]:
    """Return views of the real and the imaginary part, or a real tensor itself; without a graph."""
    tensor = tensor.detach().resolve_conj()
    return tuple(torch.view_as_real(tensor).unbind(-1)) if tensor.is_complex() else (tensor,)


def _empty_values(image: Tensor, batch: int, lattice: Any, dtype: torch.dtype) -> Tensor:
    """Return uninitialised values, with the channels innermost in memory where the image has them there."""
    channels = image.shape[1]
    if channels > 1 and image.stride(1) < image.stride(-1):
        return image.new_empty((batch, *lattice, channels), dtype=dtype).movedim(-1, 1)
    return image.new_empty((batch, channels, *lattice), dtype=dtype)


# Kernels for the CPU


def _pull_native(image: Tensor, geometry: Tensor, shape: Any, reading: str, dtype: torch.dtype) -> Tensor:
    lattice, plan = _call(shape, reading)
    values = _empty_values(image, _batch(image, geometry), shape, dtype)
    if dtype.is_complex and not image.is_complex():
        values.imag.zero_()
    for k, (part, target) in enumerate(zip(_components(image), _components(values), strict=False)):
        request, points, out = prepare(component_plan(plan, k), lattice, geometry.detach(), target)
        _native.pull(request, part, points, out)
        if out.data_ptr() != target.data_ptr():  # no view has three lattice axes
            target.copy_(out.reshape(target.shape))
    return values


def _gradient_native(image: Tensor, geometry: Tensor, shape: Any, reading: str) -> Tensor:
    lattice, plan = _call(shape, reading)
    slopes = torch.empty((_batch(image, geometry), image.shape[1], *shape, plan.ndim), dtype=_real(image.dtype))
    for k, (part, target) in enumerate(zip(_components(image), _components(slopes), strict=True)):
        request, points, out = prepare(component_plan(plan, k), lattice, geometry.detach(), target)
        _native.gradient(request, part, points, out)
    return slopes


def _push_native(values: Tensor, geometry: Tensor, shape: Any, reading: str, image_shape: Any) -> Tensor:
    lattice, plan = _call(shape, reading)
    image = torch.empty(tuple(image_shape), dtype=_real(values.dtype))
    for part, target in zip(_components(values), _components(image), strict=True):
        request, points, flat = prepare(plan, lattice, geometry.detach(), part)
        _native.push(request, flat, points, target)
    return image


def _vjp_native(
    image: Tensor, geometry: Tensor, grad: Tensor, shape: Any, reading: str, need_image: bool, need_geometry: bool
) -> tuple[Tensor, Tensor]:
    lattice, plan = _call(shape, reading)
    real = _real(image.dtype)
    grad_image = torch.empty(image.shape, dtype=real) if need_image else image.new_empty(0)
    targets = _components(grad_image) if need_image else (None, None)
    grad_geometry = geometry.new_empty(0)
    for k, (part, grad_part) in enumerate(zip(_components(image), _components(grad.to(real)), strict=True)):
        request, points, cotangent = prepare(component_plan(plan, k), lattice, geometry.detach(), grad_part)
        grad_points = torch.empty(points.shape, dtype=geometry.dtype) if need_geometry else None
        _native.vjp(request, part, points, cotangent, targets[k], grad_points)
        if grad_points is not None:
            grad_geometry = grad_points if k == 0 else grad_geometry + grad_points
    return grad_image.to(image.dtype), grad_geometry.reshape(geometry.shape) if need_geometry else grad_geometry


def _prefilter_native(image: Tensor, reading: str, adjoint: bool) -> Tensor:
    _, plan = _call((), reading)
    dtype = _real(image.dtype)
    shift = torch.zeros((), dtype=dtype)
    if not adjoint and BORDERS["constant"] in plan.border:
        fill = torch.tensor(plan.fill, dtype=dtype).reshape(-1, *(1,) * plan.ndim)
        shift = torch.where(fill.isfinite(), fill, 0)
    coefficients = (image.detach().to(dtype) - shift).contiguous()
    for part in _components(coefficients):
        lines = part.contiguous()
        for axis, (order, border) in enumerate(zip(plan.prefilter, plan.border, strict=True), start=2):
            if order and lines.numel():
                outer, inner = math.prod(lines.shape[:axis]), math.prod(lines.shape[axis + 1 :])
                _native.solve(lines.view(outer, lines.shape[axis], inner), order, border, adjoint)
        if lines is not part:
            part.copy_(lines)
    return coefficients.add_(shift) if shift.any() else coefficients


def _resample_native(image: Tensor, axis: int, first: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
    between = _real(image.dtype)
    last = image.shape[1] > 1 and image.stride(1) < image.stride(-1)
    arranged = image.detach().movedim(1, -1) if last else image.detach()
    position = axis + (1 if last else 2)
    before, after = tuple(arranged.shape[:position]), tuple(arranged.shape[position + 1 :])
    size, inner = math.prod(before), math.prod(after)
    direct = dtype == between or (dtype == image.dtype and not dtype.is_complex)
    out = torch.empty((size, len(first), inner), dtype=dtype if direct else between)
    lines = arranged.reshape(size, arranged.shape[position], inner)
    if inner > 1 and lines.stride(2) != 1:
        lines = lines.contiguous()
    for part, target in zip(_components(lines), _components(out), strict=True):
        if out.numel() == 0:
            continue
        if image.is_complex():
            piece = torch.empty(target.shape, dtype=target.dtype)
            _native.resample(part.contiguous(), first, weight, piece)
            target.copy_(piece)
        else:
            _native.resample(part, first, weight, target)
    out = out.reshape(*before, len(first), *after)
    out = out.movedim(-1, 1) if last else out
    return out if out.dtype == dtype else composite.cast(out, dtype)


def _winners_native(importance: Tensor, geometry: Tensor, shape: Any, reading: str, image_shape: Any) -> Tensor:
    lattice, plan = _call(shape, reading)
    best = torch.empty((_batch(importance, geometry), 1, *image_shape), dtype=_real(importance.dtype))
    winner = torch.empty(best.shape, dtype=torch.int64)
    request, points, flat = prepare(plan, lattice, geometry.detach(), importance.detach())
    _native.winners(request, flat, points, best, winner)
    return winner[:, 0].clone()


# The composite, for every other device


def _pull_composite(image: Tensor, geometry: Tensor, shape: Any, reading: str, dtype: torch.dtype) -> Tensor:
    if dtype != image.dtype:  # integers stay what they are, to the last bit, where nothing else is asked for
        image = image.to(_real(image.dtype))
    return composite.cast(composite.pull(image, geometry, *_call(shape, reading)), dtype)


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


def _prefilter_composite(image: Tensor, reading: str, adjoint: bool) -> Tensor:
    return composite.prefilter(image.to(_real(image.dtype)), _call((), reading)[1], adjoint)


def _resample_composite(image: Tensor, axis: int, first: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
    return composite.cast(composite.resample(image.to(_real(image.dtype)), axis, first, weight), dtype)


def _winners_composite(importance: Tensor, geometry: Tensor, shape: Any, reading: str, image_shape: Any) -> Tensor:
    return composite.winners(importance, geometry, *_call(shape, reading), tuple(image_shape))


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


def _prefilter_fake(image: Tensor, reading: str, adjoint: bool) -> Tensor:
    return image.new_empty(image.shape, dtype=_real(image.dtype))


def _resample_fake(image: Tensor, axis: int, first: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
    shape = (*image.shape[: 2 + axis], first.shape[0], *image.shape[3 + axis :])
    return _empty_values(image, shape[0], shape[2:], dtype)


def _winners_fake(importance: Tensor, geometry: Tensor, shape: Any, reading: str, image_shape: Any) -> Tensor:
    return importance.new_empty((_batch(importance, geometry), *image_shape), dtype=torch.int64)


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


def _save_prefilter(ctx: Any, inputs: Any, output: Any) -> None:
    image, ctx.reading, ctx.adjoint = inputs
    ctx.dtype = image.dtype


def _prefilter_backward(ctx: Any, grad: Tensor) -> Any:
    grad_image = torch.ops.pullback.prefilter(grad, _without_fill(ctx.reading), not ctx.adjoint)
    return grad_image.to(ctx.dtype), None, None


def _save_resample(ctx: Any, inputs: Any, output: Any) -> None:
    image, ctx.axis, first, weight, _ = inputs
    ctx.dtype, ctx.size = image.dtype, image.shape[2 + ctx.axis]
    ctx.save_for_backward(first, weight)


def _resample_backward(ctx: Any, grad: Tensor) -> Any:
    first, weight = ctx.saved_tensors
    first, weight = map(torch.from_numpy, transposed(first, weight, ctx.size))
    return torch.ops.pullback.resample(grad, ctx.axis, first, weight, ctx.dtype), None, None, None, None


def _no_second_order(ctx: Any, *grads: Tensor) -> Any:
    raise RuntimeError(
        "pullback: derivatives of the second order are not implemented on these operators yet; call "
        "torch.autograd.grad without create_graph=True"
    )


for _name, _native_kernel, _composite_kernel, _fake, _setup, _backward in (
    ("pull", _pull_native, _pull_composite, _pull_fake, _save, _pull_backward),
    ("push", _push_native, _push_composite, _push_fake, _save, _push_backward),
    ("gradient", _gradient_native, _gradient_composite, _gradient_fake, None, _no_second_order),
    ("vjp", _vjp_native, _vjp_composite, _vjp_fake, None, _no_second_order),
    ("prefilter", _prefilter_native, _prefilter_composite, _prefilter_fake, _save_prefilter, _prefilter_backward),
    ("resample", _resample_native, _resample_composite, _resample_fake, _save_resample, _resample_backward),
    ("winners", _winners_native, _winners_composite, _winners_fake, None, None),
):
    _library.impl(_name, _native_kernel, "CPU")  # type: ignore[no-untyped-call]
    _library.impl(_name, _composite_kernel, "CompositeExplicitAutograd")  # type: ignore[no-untyped-call]
    torch.library.register_fake(f"pullback::{_name}", _fake, lib=_library)
    if _backward is not None:
        torch.library.register_autograd(f"pullback::{_name}", _backward, setup_context=_setup, lib=_library)


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


def own_transform(transform: Any, image: Tensor) -> Any:
    """Return a transform on tensors, on the image's device and with their graph."""
    parameters = transform.parameters
    on_device = isinstance(parameters, Tensor) and parameters.device == image.device
    return transform if on_device else transform.torch(device=image.device)


def as_geometry(geometry: Tensor) -> Tensor:
    """Return what coordinates are generated from, in a dtype that the kernels know."""
    return geometry if geometry.dtype in (torch.float32, torch.float64) else geometry.to(torch.float32)


def reverse_matrix(matrix: Tensor) -> Tensor:
    """Return affine or projective matrices with their axes in reverse order, on both sides."""
    d = matrix.shape[-1] - 1
    rows = torch.cat([matrix[:, :d].flip(1), matrix[:, d:]], dim=1)
    return torch.cat([rows[..., :d].flip(2), rows[..., d:]], dim=2)


def as_dtype(function: str, dtype: Any, image: Tensor) -> torch.dtype:
    """Return the dtype of the result."""
    if dtype is None:
        return image.dtype
    if not isinstance(dtype, torch.dtype) or dtype not in _IMAGE_DTYPES:
        raise TypeError(f"{function}: `dtype` is {dtype!r}; give a torch dtype that images may have")
    return dtype


def sum_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype that samples of `dtype` are summed in."""
    return _real(dtype)


def cast(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Return `values` in `dtype`; integers are rounded to nearest and saturated."""
    return composite.cast(values, dtype)


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


def prefilter(image: Tensor, plan: Plan, adjoint: bool = False) -> Tensor:
    """Return spline coefficients of `image`, (batch, channel, *spatial), or the transpose of that map applied to it."""
    frame = Frame((1.0,) * plan.ndim, (0.0,) * plan.ndim)
    reading = _reading(Lattice(0, (), frame, frame), plan)
    coefficients: Tensor = torch.ops.pullback.prefilter(image, reading, adjoint)
    return coefficients


def resample(image: Tensor, axis: int, first: Any, weight: Any, dtype: torch.dtype) -> Tensor:
    """Return ``out[i] = sum_t weight[i, t] * image[first[i] + t]`` along a spatial axis of (batch, channel, *spatial).

    `first` and `weight` are NumPy arrays, int64 (n,) and float64 (n, taps).
    """
    table = torch.from_numpy(np.ascontiguousarray(first)), torch.from_numpy(np.ascontiguousarray(weight))
    values: Tensor = torch.ops.pullback.resample(image, axis, *table, dtype)
    return values


def winners(importance: Tensor, geometry: Tensor, lattice: Lattice, plan: Plan, shape: tuple[int, ...]) -> Tensor:
    """Return which point of the lattice reaches each sample with the largest importance, int64 (batch, *shape)."""
    importance = importance.expand(_batch(importance, geometry), *importance.shape[1:])
    won: Tensor = torch.ops.pullback.winners(importance, geometry, lattice.shape, _reading(lattice, plan), shape)
    return won
