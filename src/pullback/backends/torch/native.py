"""The operators on CPU tensors: the native kernels.

The kernels know real numbers alone: a complex image is read twice, once for each of its components. They take a tensor
as the tuple of its address, shape, strides and dtype, which costs a tenth of its DLPack capsule; whoever makes the
tuple holds on to the tensor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

import pullback._native as _native
import pullback.backends.numpy as arrays
from pullback._plan import BORDERS, INTERPOLATIONS
from pullback.backends import composite
from pullback.backends._request import Requests, finite_fill, merges, saw
from pullback.backends.composite import sum_dtype
from pullback.backends.sizes import Verbs, resized, transposed_resized
from pullback.backends.torch.codes import plan_of, requests_for, sizing_of

# A tensor as the native module takes it.
Described: TypeAlias = tuple[int, tuple[int, ...], tuple[int, ...], int]

_CODES: dict[torch.dtype, int] = {getattr(torch, name): code for name, code in _native.DTYPES.items()}


def batch_size(image: Tensor, geometry: Tensor) -> int:
    """Return the number of batch entries that an image and a geometry broadcast to."""
    return image.shape[0] if geometry.shape[0] == 1 else geometry.shape[0]


def empty_values(image: Tensor, batch: int, lattice: Any, dtype: torch.dtype) -> Tensor:
    """Return uninitialised values, with the channels innermost in memory where the image has them there."""
    channels = image.shape[1]
    if channels > 1 and image.stride(1) < image.stride(-1):
        return image.new_empty((batch, *lattice, channels), dtype=dtype).movedim(-1, 1)
    return image.new_empty((batch, channels, *lattice), dtype=dtype)


def described(tensor: Tensor) -> Described:
    """Return a real tensor as the native module takes it."""
    return tensor.data_ptr(), tensor.shape, tensor.stride(), _CODES[tensor.dtype]


def _or_none(tensor: Tensor | None) -> Described | None:
    return None if tensor is None else described(tensor)


def _components(tensor: Tensor) -> tuple[Tensor, ...]:
    """Return views of the real and the imaginary part, or a real tensor itself."""
    return torch.view_as_real(tensor).unbind(-1) if tensor.is_complex() else (tensor,)


def _parts(tensor: Tensor | None, count: int) -> tuple[Any, ...]:
    """Return the components of a tensor, contiguous each; None for each where there is no tensor."""
    return (None,) * count if tensor is None else tuple(part.contiguous() for part in _components(tensor))


def _arranged(requests: Requests, geometry: Tensor, values: Tensor) -> tuple[_native.Request, Tensor, Tensor]:
    """Return the request of a call, and `geometry` and `values` on at most three axes of the lattice.

    They are views wherever there are any; copies may be made of tensors on more than three.
    """
    if not (requests.may_merge or requests.must_reshape):
        return requests.request(), geometry, values
    k = len(requests.lattice.shape)
    merged = (
        requests.may_merge
        and merges(geometry.shape, geometry.stride(), 1, 1 + k)
        and merges(values.shape, values.stride(), 2, 2 + k)
    )
    if merged or requests.must_reshape:
        sides = requests.sides_of(merged)
        values = values.reshape((*values.shape[:2], *sides, *values.shape[2 + k :]))
        if requests.on_lattice:
            geometry = geometry.reshape((geometry.shape[0], *sides, geometry.shape[-1]))
    return requests.request(merged), geometry, values


def _by_component(requests: Requests, first: Tensor, *others: Tensor | None) -> Sequence[tuple[Any, ...]]:
    """Return the requests and the tensors of each component, of which real tensors have one."""
    if not first.is_complex():
        return ((requests, first, *others),)
    parts = [(None, None) if tensor is None else _components(tensor) for tensor in (first, *others)]
    return [(requests.component(k), *tensors) for k, tensors in enumerate(zip(*parts, strict=True))]


def pull(image: Tensor, geometry: Tensor, shape: Any, code: str, dtype: torch.dtype) -> Tensor:
    """Write values."""
    requests = requests_for(shape, code, image)
    values = empty_values(image, batch_size(image, geometry), shape, dtype)
    if not dtype.is_complex:
        _pull(requests, image, geometry, values)
        return values
    if not image.is_complex():
        values.imag.zero_()
    for k, (part, target) in enumerate(zip(_components(image), _components(values), strict=False)):
        _pull(requests.component(k), part, geometry, target)
    return values


def _pull(requests: Requests, image: Tensor, geometry: Tensor, values: Tensor) -> None:
    request, points, target = _arranged(requests, geometry, values)
    saw(_native.pull(request, described(image), described(points), described(target)))
    if requests.must_reshape and target.data_ptr() != values.data_ptr():  # no view has three axes of the lattice
        values.copy_(target.reshape(values.shape))


def gradient(image: Tensor, geometry: Tensor, shape: Any, code: str) -> Tensor:
    """Write slopes."""
    requests = requests_for(shape, code, image)
    size = (batch_size(image, geometry), image.shape[1], *shape, requests.plan.ndim)
    slopes = torch.empty(size, dtype=sum_dtype(image.dtype))
    for each, part, part_slopes in _by_component(requests, image, slopes):
        request, points, target = _arranged(each, geometry, part_slopes)
        _native.gradient(request, described(part), described(points), described(target))
    return slopes


def push(values: Tensor, geometry: Tensor, shape: Any, code: str, image_shape: Any) -> Tensor:
    """Scatter values."""
    image = torch.empty(tuple(image_shape), dtype=sum_dtype(values.dtype))
    for each, part, target in _by_component(requests_for(shape, code, image), values, image):
        request, points, flat = _arranged(each, geometry, part)
        _native.push(request, described(flat), described(points), described(target))
    return image


def vjp(
    image: Tensor, geometry: Tensor, grad: Tensor, shape: Any, code: str, need_image: bool, need_geometry: bool
) -> tuple[Tensor, Tensor]:
    """Write both gradients, or one."""
    requests, dtype = requests_for(shape, code, image), sum_dtype(image.dtype)
    grad_image = torch.empty(tuple(image.shape), dtype=dtype) if need_image else None
    total: Tensor | None = None
    grad = grad if grad.dtype == dtype else grad.to(dtype)
    for each, part, grad_part, target in _by_component(requests, image, grad, grad_image):
        request, points, cotangent = _arranged(each, geometry, grad_part)
        grad_points = torch.empty(tuple(points.shape), dtype=points.dtype) if need_geometry else None
        _native.vjp(
            request, described(part), described(points), described(cotangent), _or_none(target), _or_none(grad_points)
        )
        total = grad_points if total is None or grad_points is None else total + grad_points
    return _image_gradient(image, grad_image), _geometry_gradient(geometry, total)


def _image_gradient(image: Tensor, grad: Tensor | None) -> Tensor:
    """Return a gradient in the dtype of the image; an empty one where there is none."""
    if grad is None:
        return image.new_empty(0)
    return grad if grad.dtype == image.dtype else grad.to(image.dtype)


def _geometry_gradient(geometry: Tensor, grad: Tensor | None) -> Tensor:
    """Return a gradient in the shape of the geometry; an empty one where there is none."""
    if grad is None:
        return geometry.new_empty(0)
    return grad if grad.shape == geometry.shape else grad.reshape(geometry.shape)


def jvp(
    image: Tensor, geometry: Tensor, image_dot: Tensor | None, geometry_dot: Tensor | None, shape: Any, code: str
) -> Tensor:
    """Write how values move."""
    requests, dtype = requests_for(shape, code, image), sum_dtype(image.dtype)
    values = torch.empty((batch_size(image, geometry), image.shape[1], *shape), dtype=dtype)
    moving = _Moving(image, image_dot, geometry, geometry_dot, dtype)
    for k, target in enumerate(_components(values)):
        each = requests.component(k) if dtype.is_complex else requests
        request, points, out = _arranged(each, geometry, target)
        dots = moving.dots(k, each, target)
        _native.jvp(request, described(moving.images[k]), described(points), *dots, described(out))
        if requests.must_reshape and out.data_ptr() != target.data_ptr():
            target.copy_(out.reshape(target.shape))
    return values


def second(
    image: Tensor,
    geometry: Tensor,
    image_dot: Tensor | None,
    geometry_dot: Tensor | None,
    grad: Tensor,
    shape: Any,
    code: str,
    need_image: bool,
    need_geometry: bool,
) -> tuple[Tensor, Tensor]:
    """Write both gradients of how values move, or one."""
    requests, dtype = requests_for(shape, code, image), sum_dtype(image.dtype)
    moving = _Moving(image, image_dot, geometry, geometry_dot, dtype)
    total, parts = None, []  # type: Tensor | None, list[Tensor]
    for k, grad_part in enumerate(_components(grad.to(dtype))):
        each = requests.component(k) if dtype.is_complex else requests
        request, points, cotangent = _arranged(each, geometry, grad_part)
        target = torch.empty_like(moving.images[k]) if need_image else None
        grad_points = torch.empty(tuple(points.shape), dtype=points.dtype) if need_geometry else None
        image_dot_part, moved = moving.dots(k, each, grad_part)
        _native.second(
            request,
            described(moving.images[k]),
            described(points),
            image_dot_part,
            moved,
            described(cotangent),
            _or_none(target),
            _or_none(grad_points),
        )
        if target is not None:
            parts.append(target)
        total = grad_points if total is None or grad_points is None else total + grad_points
    grad_image = None if not parts else parts[0] if len(parts) == 1 else torch.complex(*parts)
    return _image_gradient(image, grad_image), _geometry_gradient(geometry, total)


class _Moving:
    """An image and a geometry with their motions: components of one layout, contiguous real numbers."""

    def __init__(
        self,
        image: Tensor,
        image_dot: Tensor | None,
        geometry: Tensor,
        geometry_dot: Tensor | None,
        dtype: torch.dtype,
    ) -> None:
        count = 2 if dtype.is_complex else 1
        self.images = _parts(image.to(dtype), count)
        self.image_dots = _parts(None if image_dot is None else image_dot.to(dtype), count)
        self.geometry_dot = None if geometry_dot is None else geometry_dot.to(geometry.dtype)
        self._kept: Any = None

    def dots(self, k: int, requests: Requests, values: Tensor) -> tuple[Described | None, Described | None]:
        """Return the motion of a component of the image and that of the geometry as the native module takes them."""
        moved = None if self.geometry_dot is None else _arranged(requests, self.geometry_dot, values)[1]
        self._kept = moved  # for as long as its description is used
        return _or_none(self.image_dots[k]), _or_none(moved)


def prefilter(image: Tensor, code: str, adjoint: bool) -> Tensor:
    """Solve for spline coefficients."""
    plan, dtype = plan_of(code), sum_dtype(image.dtype)
    shift = torch.zeros((), dtype=dtype)
    if not adjoint and BORDERS["constant"] in plan.border:
        shift = torch.tensor(finite_fill(plan), dtype=dtype).reshape(-1, *(1,) * plan.ndim)
    coefficients = (image.to(dtype) - shift).contiguous()
    for part in _components(coefficients):
        lines = part.contiguous()
        for axis, (order, border) in enumerate(zip(plan.prefilter, plan.border, strict=True), start=2):
            if order and lines.numel():
                outer, inner = math.prod(lines.shape[:axis]), math.prod(lines.shape[axis + 1 :])
                _native.solve(described(lines.view(outer, lines.shape[axis], inner)), order, border, adjoint)
        if lines is not part:
            part.copy_(lines)
    return coefficients.add_(shift) if shift.any() else coefficients


def _resample(image: Tensor, axis: int, first: Any, weight: Any, dtype: torch.dtype) -> Tensor:
    """Write weighted sums along an axis, by a table of arrays."""
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
        rows = part.contiguous() if image.is_complex() else part
        piece = torch.empty(target.shape, dtype=target.dtype) if image.is_complex() else target
        _native.resample(described(rows), first, weight, described(piece))
        if piece is not target:
            target.copy_(piece)
    out = out.reshape(*before, len(first), *after)
    out = out.movedim(-1, 1) if last else out
    return out if out.dtype == dtype else composite.cast(out, dtype)


def _dtype_of_sums(image: torch.dtype, dtype: torch.dtype) -> torch.dtype:
    """Return what the kernel writes of sums of samples of `image` that are to be of `dtype`: that itself if it can."""
    is_plain = not (image.is_complex or dtype.is_complex)
    if is_plain and (dtype in (image, torch.float64) or image in (torch.float32, torch.float64)):
        return dtype
    return sum_dtype(image)


_VERBS = Verbs(_resample, composite.cast, sum_dtype)


def resize(image: Tensor, shape: Any, sizing: str, dtype: torch.dtype, adjoint: bool) -> Tensor:
    """Write an image in another size."""
    asked = sizing_of(sizing)
    if INTERPOLATIONS["label"] in asked.interpolation:  # PyTorch does not sort all integers
        labels = image.numpy()
        values = torch.from_numpy(arrays.resize(labels, tuple(shape), asked, labels.dtype))
    else:
        values = (transposed_resized if adjoint else resized)(_VERBS, image, tuple(shape), asked, dtype)
    out = empty_values(image, image.shape[0], shape, dtype)
    return values if values.stride() == out.stride() else out.copy_(values)


def winners(importance: Tensor, geometry: Tensor, shape: Any, code: str, image_shape: Any) -> Tensor:
    """Write which point reaches each sample."""
    best = torch.empty((batch_size(importance, geometry), 1, *image_shape), dtype=sum_dtype(importance.dtype))
    winner = torch.empty(tuple(best.shape), dtype=torch.int64)
    request, points, flat = _arranged(requests_for(shape, code, best), geometry, importance)
    _native.winners(request, described(flat), described(points), described(best), described(winner))
    return winner[:, 0].clone()


def normal(image: Tensor, geometry: Tensor, shape: Any, code: str, target: Tensor) -> Tensor:
    """Write the moments of the residual."""
    requests, total = requests_for(shape, code, image), empty_record(image, geometry).zero_()
    target = target.to(image.dtype) if image.is_complex() else target
    for each, part, wanted in _by_component(requests, image, target):
        request, points, flat = _arranged(each, geometry, wanted)
        record = torch.empty_like(total)
        _native.normal(request, described(part), described(points), described(flat), described(record))
        total += record
    return total


def empty_record(image: Tensor, geometry: Tensor) -> Tensor:
    """Return uninitialised moments of the residual of matrices."""
    rows, features = geometry.shape[-2:]
    size = rows * (rows + 1) // 2 * (features * (features + 1) // 2) + rows * features + 1
    return image.new_empty((batch_size(image, geometry), size), dtype=torch.float64)
