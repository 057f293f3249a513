"""The operators on tensors: native kernels on the CPU, plain torch operations on every other device.

They are ``torch.ops.pullback.pull``, ``vjp``, ``jvp``, ``second``, ``push``, ``gradient``, ``prefilter``, ``resize``
and ``winners``, on canonical tensors. Each has a kernel for the CPU, most of them the composite for other devices, and
a fake for tracing; their derivatives are in :mod:`.torch_calculus`. What is constant about a call travels as one
string, `reading`: a schema with a list for each part of it costs more than a small warp.

The kernels know real numbers alone: a complex image is read twice, once for each of its components.
"""

from __future__ import annotations

import ast
import math
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

import pullback._native as _native
import pullback.backends.numpy as arrays
from pullback._cache import cached
from pullback._plan import BORDERS, INTERPOLATIONS, Frame, Lattice, Plan, Sizing, frames_of
from pullback.backends import composite
from pullback.backends._request import component_plan, finite_fill, merges, requests_of
from pullback.backends.composite.operations import VERBS
from pullback.backends.sizes import Verbs, resized, transposed_resized

IMAGE_DTYPES = (
    *(torch.bool, torch.uint8, torch.uint16, torch.uint32, torch.uint64),
    *(torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128),
)
_WIDE_DTYPES = (torch.float64, torch.int32, torch.int64, torch.uint32, torch.uint64)

library = torch.library.Library("pullback", "DEF")  # type: ignore[no-untyped-call]
for _schema in (
    "pull(Tensor image, Tensor geometry, SymInt[] shape, str reading, ScalarType dtype) -> Tensor",
    "gradient(Tensor image, Tensor geometry, SymInt[] shape, str reading) -> Tensor",
    "push(Tensor values, Tensor geometry, SymInt[] shape, str reading, SymInt[] image_shape) -> Tensor",
    "vjp(Tensor image, Tensor geometry, Tensor grad, SymInt[] shape, str reading, bool need_image, bool need_geometry)"
    " -> (Tensor, Tensor)",
    "jvp(Tensor image, Tensor geometry, Tensor? image_dot, Tensor? geometry_dot, SymInt[] shape, str reading)"
    " -> Tensor",
    "second(Tensor image, Tensor geometry, Tensor? image_dot, Tensor? geometry_dot, Tensor grad, SymInt[] shape,"
    " str reading, bool need_image, bool need_geometry) -> (Tensor, Tensor)",
    "prefilter(Tensor image, str reading, bool adjoint) -> Tensor",
    "resize(Tensor image, SymInt[] shape, str sizing, ScalarType dtype, bool adjoint) -> Tensor",
    "winners(Tensor importance, Tensor geometry, SymInt[] shape, str reading, SymInt[] image_shape) -> Tensor",
    "normal(Tensor image, Tensor geometry, SymInt[] shape, str reading, Tensor target) -> Tensor",
):
    library.define(_schema)  # type: ignore[no-untyped-call]


@cached
def reading_of(lattice: Lattice, plan: Plan) -> str:
    """Write down all of a call but its tensors and its output shape.

    Frames stand there by their name where they have one: their numbers depend on shapes, which a compiled graph may
    leave open.
    """
    numbers = (lattice.frame_in.scale, lattice.frame_in.offset, lattice.frame_out.scale, lattice.frame_out.offset)
    frames = numbers if lattice.frame is None else lattice.frame
    fill = tuple(map(str, plan.fill))  # nan and inf are no literals
    reads = (plan.interpolation, plan.border, plan.crop, fill, plan.parameter, plan.prefilter)
    return repr((lattice.kind, lattice.reversed, frames, reads))


def _number(text: str) -> complex:
    value = complex(text)
    return value if "j" in text else value.real


@lru_cache(maxsize=1024)
def _parsed(reading: str) -> tuple[int, bool, Any, Plan]:
    kind, is_reversed, frames, (interpolation, border, crop, fill, parameter, prefilter) = ast.literal_eval(reading)
    return kind, is_reversed, frames, Plan(interpolation, border, crop, tuple(map(_number, fill)), parameter, prefilter)


def plan_of(reading: str) -> Plan:
    """Return the plan of a reading."""
    return _parsed(reading)[-1]


def call_of(shape: Any, reading: str, in_shape: Any) -> tuple[Lattice, Plan]:
    """Read back what :func:`reading_of` wrote, for an output of `shape` and an image of `in_shape`."""
    kind, is_reversed, frames, plan = _parsed(reading)
    shape = tuple(shape)
    if isinstance(frames, str):
        return Lattice(kind, shape, *frames_of(frames, kind, tuple(in_shape), shape), is_reversed, frames), plan
    scale_in, offset_in, scale_out, offset_out = frames
    return Lattice(kind, shape, Frame(scale_in, offset_in), Frame(scale_out, offset_out), is_reversed), plan


@lru_cache(maxsize=1024)
def without_fill(reading: str) -> str:
    """Return the reading with a fill of 0: that of the linear part of a call."""
    kind, is_reversed, frames, (interpolation, border, crop, _, parameter, prefilter) = ast.literal_eval(reading)
    return repr((kind, is_reversed, frames, (interpolation, border, crop, ("0.0",), parameter, prefilter)))


def written_sizing(sizing: Sizing) -> str:
    """Write down how an image is read in another size, but for the sizes."""
    fill = tuple(map(str, sizing.fill))  # nan and inf are no literals
    return repr((sizing.interpolation, sizing.parameter, sizing.border, fill, sizing.antialias))


@lru_cache(maxsize=1024)
def sizing_of(text: str) -> Sizing:
    """Read back what :func:`written_sizing` wrote."""
    interpolation, parameter, border, fill, antialias = ast.literal_eval(text)
    return Sizing(interpolation, parameter, border, tuple(map(_number, fill)), antialias)


@lru_cache(maxsize=1024)
def sizing_without_fill(text: str) -> str:
    """Return what :func:`written_sizing` wrote with a fill of 0: the linear part."""
    return written_sizing(replace(sizing_of(text), fill=(0.0,)))


def real_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype that samples of `dtype` are summed in."""
    if dtype.is_complex:
        return dtype
    return torch.float64 if dtype in _WIDE_DTYPES else torch.float32


def batch_size(image: Tensor, geometry: Tensor) -> int:
    """Return the number of batch entries that an image and a geometry broadcast to."""
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


def prepare(plan: Plan, lattice: Lattice, geometry: Tensor, values: Tensor) -> tuple[_native.Request, Tensor, Tensor]:
    """Return the request of a call, and `geometry` and `values` on three lattice axes: views where there are any."""
    requests, k = requests_of(plan, lattice), len(lattice.shape)
    merged = (
        requests.may_merge
        and merges(tuple(geometry.shape), geometry.stride(), 1, 1 + k)
        and merges(tuple(values.shape), values.stride(), 2, 2 + k)
    )
    sides = requests.sides_of(merged)
    values = values.reshape((*values.shape[:2], *sides, *values.shape[2 + k :]))
    if requests.on_lattice:
        geometry = geometry.reshape((geometry.shape[0], *sides, geometry.shape[-1]))
    return requests.request(merged), geometry, values


def _pull_native(image: Tensor, geometry: Tensor, shape: Any, reading: str, dtype: torch.dtype) -> Tensor:
    lattice, plan = call_of(shape, reading, image.shape[2:])
    values = _empty_values(image, batch_size(image, geometry), shape, dtype)
    if dtype.is_complex and not image.is_complex():
        values.imag.zero_()
    for k, (part, target) in enumerate(zip(_components(image), _components(values), strict=False)):
        request, points, out = prepare(component_plan(plan, k), lattice, geometry.detach(), target)
        _native.pull(request, part, points, out)
        if out.data_ptr() != target.data_ptr():  # no view has three lattice axes
            target.copy_(out.reshape(target.shape))
    return values


def _gradient_native(image: Tensor, geometry: Tensor, shape: Any, reading: str) -> Tensor:
    lattice, plan = call_of(shape, reading, image.shape[2:])
    slopes = torch.empty(
        (batch_size(image, geometry), image.shape[1], *shape, plan.ndim), dtype=real_dtype(image.dtype)
    )
    for k, (part, target) in enumerate(zip(_components(image), _components(slopes), strict=True)):
        request, points, out = prepare(component_plan(plan, k), lattice, geometry.detach(), target)
        _native.gradient(request, part, points, out)
    return slopes


def _push_native(values: Tensor, geometry: Tensor, shape: Any, reading: str, image_shape: Any) -> Tensor:
    lattice, plan = call_of(shape, reading, image_shape[2:])
    image = torch.empty(tuple(image_shape), dtype=real_dtype(values.dtype))
    for part, target in zip(_components(values), _components(image), strict=True):
        request, points, flat = prepare(plan, lattice, geometry.detach(), part)
        _native.push(request, flat, points, target)
    return image


def _vjp_native(
    image: Tensor, geometry: Tensor, grad: Tensor, shape: Any, reading: str, need_image: bool, need_geometry: bool
) -> tuple[Tensor, Tensor]:
    lattice, plan = call_of(shape, reading, image.shape[2:])
    real = real_dtype(image.dtype)
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


def _moving(image: Tensor, image_dot: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return an image and its motion as contiguous real or complex numbers, of one dtype."""
    dtype = real_dtype(image.dtype)
    return image.detach().to(dtype).contiguous(), None if image_dot is None else image_dot.detach().to(
        dtype
    ).contiguous()


def _parts(tensor: Tensor | None, count: int) -> tuple[Any, ...]:
    """Return the components of a tensor, contiguous each; None for each where there is no tensor."""
    return (None,) * count if tensor is None else tuple(part.contiguous() for part in _components(tensor))


def _jvp_native(
    image: Tensor, geometry: Tensor, image_dot: Tensor | None, geometry_dot: Tensor | None, shape: Any, reading: str
) -> Tensor:
    lattice, plan = call_of(shape, reading, image.shape[2:])
    image, image_dot = _moving(image, image_dot)
    values = torch.empty((batch_size(image, geometry), image.shape[1], *shape), dtype=image.dtype)
    targets = _components(values)
    geometry_dot = None if geometry_dot is None else geometry_dot.detach().to(geometry.dtype)
    for k, (part, part_dot) in enumerate(
        zip(_parts(image, len(targets)), _parts(image_dot, len(targets)), strict=True)
    ):
        request, points, out = prepare(component_plan(plan, k), lattice, geometry.detach(), targets[k])
        moving = None if geometry_dot is None else prepare(plan, lattice, geometry_dot, targets[k])[1]
        _native.jvp(request, part, points, part_dot, moving, out)
        if out.data_ptr() != targets[k].data_ptr():
            targets[k].copy_(out.reshape(targets[k].shape))
    return values


def _second_native(
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
    lattice, plan = call_of(shape, reading, image.shape[2:])
    dtype = image.dtype
    image, image_dot = _moving(image, image_dot)
    geometry_dot = None if geometry_dot is None else geometry_dot.detach().to(geometry.dtype)
    grads = _components(grad.to(image.dtype))
    grad_geometry, parts = geometry.new_empty(0), []  # type: Tensor, list[Tensor]
    for k, (part, part_dot) in enumerate(zip(_parts(image, len(grads)), _parts(image_dot, len(grads)), strict=True)):
        request, points, cotangent = prepare(component_plan(plan, k), lattice, geometry.detach(), grads[k])
        moving = None if geometry_dot is None else prepare(plan, lattice, geometry_dot, grads[k])[1]
        target = torch.empty_like(part) if need_image else None
        grad_points = torch.empty(points.shape, dtype=geometry.dtype) if need_geometry else None
        _native.second(request, part, points, part_dot, moving, cotangent, target, grad_points)
        if target is not None:
            parts.append(target)
        if grad_points is not None:
            grad_geometry = grad_points if k == 0 else grad_geometry + grad_points
    grad_image = image.new_empty(0) if not parts else parts[0] if len(parts) == 1 else torch.complex(*parts)
    return grad_image.to(dtype), grad_geometry.reshape(geometry.shape) if need_geometry else grad_geometry


def _prefilter_native(image: Tensor, reading: str, adjoint: bool) -> Tensor:
    plan = plan_of(reading)
    dtype = real_dtype(image.dtype)
    shift = torch.zeros((), dtype=dtype)
    if not adjoint and BORDERS["constant"] in plan.border:
        shift = torch.tensor(finite_fill(plan), dtype=dtype).reshape(-1, *(1,) * plan.ndim)
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


def _resample_native(image: Tensor, axis: int, first: Any, weight: Any, dtype: torch.dtype) -> Tensor:
    last = image.shape[1] > 1 and image.stride(1) < image.stride(-1)
    arranged = image.movedim(1, -1) if last else image
    position = axis + (1 if last else 2)
    before, after = tuple(arranged.shape[:position]), tuple(arranged.shape[position + 1 :])
    outer, inner = math.prod(before), math.prod(after)
    out = torch.empty((outer, len(first), inner), dtype=_dtype_of_sums(image.dtype, dtype))
    lines = arranged.reshape(outer, arranged.shape[position], inner)
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


def _dtype_of_sums(image: torch.dtype, dtype: torch.dtype) -> torch.dtype:
    """Return what the kernel writes of sums of samples of `image` that are to be of `dtype`: that itself if it can."""
    is_plain = not (image.is_complex or dtype.is_complex)
    if is_plain and (dtype in (image, torch.float64) or image in (torch.float32, torch.float64)):
        return dtype
    return real_dtype(image)


_VERBS = Verbs(_resample_native, composite.cast, real_dtype)


def _resize_native(image: Tensor, shape: Any, sizing: str, dtype: torch.dtype, adjoint: bool) -> Tensor:
    image, asked = image.detach(), sizing_of(sizing)
    if INTERPOLATIONS["label"] in asked.interpolation:  # PyTorch does not sort all integers
        labels = image.numpy()
        values = torch.from_numpy(arrays.resize(labels, tuple(shape), asked, labels.dtype))
    else:
        values = (transposed_resized if adjoint else resized)(_VERBS, image, tuple(shape), asked, dtype)
    out = _empty_values(image, image.shape[0], shape, dtype)
    return values if values.stride() == out.stride() else out.copy_(values)


def _winners_native(importance: Tensor, geometry: Tensor, shape: Any, reading: str, image_shape: Any) -> Tensor:
    lattice, plan = call_of(shape, reading, image_shape)
    best = torch.empty((batch_size(importance, geometry), 1, *image_shape), dtype=real_dtype(importance.dtype))
    winner = torch.empty(best.shape, dtype=torch.int64)
    request, points, flat = prepare(plan, lattice, geometry.detach(), importance.detach())
    _native.winners(request, flat, points, best, winner)
    return winner[:, 0].clone()


def _normal_native(image: Tensor, geometry: Tensor, shape: Any, reading: str, target: Tensor) -> Tensor:
    lattice, plan = call_of(shape, reading, image.shape[2:])
    total = _normal_fake(image, geometry, shape, reading, target).zero_()
    target = target.to(image.dtype) if image.is_complex() else target
    for k, (part, wanted) in enumerate(zip(_components(image), _components(target), strict=True)):
        request, points, flat = prepare(component_plan(plan, k), lattice, geometry.detach(), wanted)
        record = torch.empty_like(total)
        _native.normal(request, part, points, flat, record)
        total += record
    return total


# The composite, for every other device


def _pull_composite(image: Tensor, geometry: Tensor, shape: Any, reading: str, dtype: torch.dtype) -> Tensor:
    return composite.pull(image, geometry, *call_of(shape, reading, image.shape[2:]), dtype)


def _gradient_composite(image: Tensor, geometry: Tensor, shape: Any, reading: str) -> Tensor:
    return composite.gradient(image, geometry, *call_of(shape, reading, image.shape[2:]))


def _push_composite(values: Tensor, geometry: Tensor, shape: Any, reading: str, image_shape: Any) -> Tensor:
    return composite.push(values, geometry, *call_of(shape, reading, image_shape[2:]), tuple(image_shape))


def _vjp_composite(
    image: Tensor, geometry: Tensor, grad: Tensor, shape: Any, reading: str, need_image: bool, need_geometry: bool
) -> tuple[Tensor, Tensor]:
    call = call_of(shape, reading, image.shape[2:])
    grads = composite.vjp(image, geometry, grad.to(real_dtype(image.dtype)), *call, need_image, need_geometry)
    grad_image, grad_geometry = grads
    return (
        image.new_empty(0) if grad_image is None else grad_image.to(image.dtype),
        geometry.new_empty(0) if grad_geometry is None else grad_geometry,
    )


def _prefilter_composite(image: Tensor, reading: str, adjoint: bool) -> Tensor:
    return composite.prefilter(image, plan_of(reading), adjoint)


def _resize_composite(image: Tensor, shape: Any, sizing: str, dtype: torch.dtype, adjoint: bool) -> Tensor:
    values: Tensor = (transposed_resized if adjoint else resized)(VERBS, image, tuple(shape), sizing_of(sizing), dtype)
    return values


def _winners_composite(importance: Tensor, geometry: Tensor, shape: Any, reading: str, image_shape: Any) -> Tensor:
    return composite.winners(importance, geometry, *call_of(shape, reading, image_shape), tuple(image_shape))


def _normal_composite(image: Tensor, geometry: Tensor, shape: Any, reading: str, target: Tensor) -> Tensor:
    return composite.normal(image, geometry, *call_of(shape, reading, image.shape[2:]), target)


# Fakes: shapes and dtypes alone


def _pull_fake(image: Tensor, geometry: Tensor, shape: Any, reading: str, dtype: torch.dtype) -> Tensor:
    return _empty_values(image, batch_size(image, geometry), shape, dtype)


def _gradient_fake(image: Tensor, geometry: Tensor, shape: Any, reading: str) -> Tensor:
    size = (batch_size(image, geometry), image.shape[1], *shape, plan_of(reading).ndim)
    return image.new_empty(size, dtype=real_dtype(image.dtype))


def _push_fake(values: Tensor, geometry: Tensor, shape: Any, reading: str, image_shape: Any) -> Tensor:
    return values.new_empty(image_shape, dtype=real_dtype(values.dtype))


def _vjp_fake(
    image: Tensor, geometry: Tensor, grad: Tensor, shape: Any, reading: str, need_image: bool, need_geometry: bool
) -> tuple[Tensor, Tensor]:
    return (
        image.new_empty(image.shape if need_image else (0,)),
        geometry.new_empty(geometry.shape if need_geometry else (0,)),
    )


def _jvp_fake(
    image: Tensor, geometry: Tensor, image_dot: Tensor | None, geometry_dot: Tensor | None, shape: Any, reading: str
) -> Tensor:
    return image.new_empty((batch_size(image, geometry), image.shape[1], *shape), dtype=real_dtype(image.dtype))


def _second_fake(
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
    return _vjp_fake(image, geometry, grad, shape, reading, need_image, need_geometry)


def _prefilter_fake(image: Tensor, reading: str, adjoint: bool) -> Tensor:
    return image.new_empty(image.shape, dtype=real_dtype(image.dtype))


def _resize_fake(image: Tensor, shape: Any, sizing: str, dtype: torch.dtype, adjoint: bool) -> Tensor:
    return _empty_values(image, image.shape[0], shape, dtype)


def _winners_fake(importance: Tensor, geometry: Tensor, shape: Any, reading: str, image_shape: Any) -> Tensor:
    return importance.new_empty((batch_size(importance, geometry), *image_shape), dtype=torch.int64)


def _normal_fake(image: Tensor, geometry: Tensor, shape: Any, reading: str, target: Tensor) -> Tensor:
    rows, features = geometry.shape[-2:]
    size = rows * (rows + 1) // 2 * (features * (features + 1) // 2) + rows * features + 1
    return image.new_empty((batch_size(image, geometry), size), dtype=torch.float64)


for _name, _native_kernel, _composite_kernel, _fake in (
    ("pull", _pull_native, _pull_composite, _pull_fake),
    ("push", _push_native, _push_composite, _push_fake),
    ("gradient", _gradient_native, _gradient_composite, _gradient_fake),
    ("vjp", _vjp_native, _vjp_composite, _vjp_fake),
    ("jvp", _jvp_native, None, _jvp_fake),
    ("second", _second_native, None, _second_fake),
    ("prefilter", _prefilter_native, _prefilter_composite, _prefilter_fake),
    ("resize", _resize_native, _resize_composite, _resize_fake),
    ("winners", _winners_native, _winners_composite, _winners_fake),
    ("normal", _normal_native, _normal_composite, _normal_fake),
):
    library.impl(_name, _native_kernel, "CPU")  # type: ignore[no-untyped-call]
    if _composite_kernel is not None:
        library.impl(_name, _composite_kernel, "CompositeExplicitAutograd")  # type: ignore[no-untyped-call]
    torch.library.register_fake(f"pullback::{_name}", _fake, lib=library)
