"""Tensors: what the public functions ask of the operators, whatever the device."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pullback._dtypes import DTYPES, row_of
from pullback._plan import Frame, Lattice, Plan, Sizing
from pullback.backends import composite
from pullback.backends._protocol import Execution
from pullback.backends._request import native_execution, saw_lost
from pullback.backends.composite import cast as cast
from pullback.backends.composite import sum_dtype as sum_dtype
from pullback.backends.torch import batching, calculus, operators
from pullback.backends.torch.codes import code_of, code_of_sizing
from pullback.backends.torch.native import batch_size

name = "torch"
for _operator, _rule in calculus.RULES.items():
    _operator.learn(_rule)
operators.winners.map(batching.winners_batch)


def as_image(function: str, argument: str, image: Any) -> Tensor:
    """Return `image`, which must be of a dtype that is supported."""
    tensor: Tensor = image
    if row_of(tensor.dtype) is None:
        raise TypeError(f"{function}: `{argument}` is of dtype {tensor.dtype}; supported are {', '.join(DTYPES)}")
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


def as_dtype(function: str, dtype: Any, image: Tensor) -> torch.dtype:
    """Return the dtype of the result."""
    if dtype is None:
        return image.dtype
    if not isinstance(dtype, torch.dtype) or row_of(dtype) is None:
        raise TypeError(f"{function}: `dtype` is {dtype!r}; give a torch dtype that images may have")
    return dtype


def check_out(function: str, out: Any) -> None:
    """Refuse `out`: a result that carries gradients cannot be written in place."""
    raise TypeError(f"{function}: `out` is for NumPy arrays; tensors come as new tensors, with gradients")


def as_cotangent(function: str, grad: Any, image: Tensor) -> Tensor:
    """Refuse tensors: autograd differentiates them."""
    raise TypeError(f"{function}: takes NumPy arrays; for tensors, call backward() on a function of the result")


def pull(
    image: Tensor,
    geometry: Tensor,
    lattice: Lattice,
    plan: Plan,
    dtype: torch.dtype | None = None,
    out: None = None,
) -> Tensor:
    """Return the values of `image`, (batch, channel, *spatial), on the lattice, (batch, channel, *lattice)."""
    dtype = image.dtype if dtype is None else dtype
    values: Tensor = operators.pull(image, geometry, lattice.shape, code_of(lattice, plan), dtype)
    return values


def gradient(image: Tensor, geometry: Tensor, lattice: Lattice, plan: Plan) -> Tensor:
    """Return d value / d coordinate, (batch, channel, *lattice, d)."""
    slopes: Tensor = operators.gradient(image, geometry, lattice.shape, code_of(lattice, plan))
    return slopes


def push(values: Tensor, geometry: Tensor, lattice: Lattice, plan: Plan, shape: tuple[int, ...]) -> Tensor:
    """Return the transpose of `pull` applied to `values`, an image of `shape`."""
    values = values.expand(batch_size(values, geometry), *values.shape[1:])
    image: Tensor = operators.push(values, geometry, lattice.shape, code_of(lattice, plan), shape)
    return image


def vjp(
    image: Tensor,
    geometry: Tensor,
    grad: Tensor,
    lattice: Lattice,
    plan: Plan,
    need_image: bool = True,
    need_geometry: bool = True,
) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients in `image` and in `geometry` of the inner product of `grad` and the values."""
    image = image.to(sum_dtype(image.dtype))
    call = (lattice.shape, code_of(lattice, plan), need_image, need_geometry)
    grads = operators.vjp(image, geometry, grad, *call)
    return grads[0] if need_image else None, grads[1] if need_geometry else None


def prefilter(image: Tensor, plan: Plan, adjoint: bool = False) -> Tensor:
    """Return spline coefficients of `image`, (batch, channel, *spatial), or the transpose of that map applied to it."""
    frame = Frame((1.0,) * plan.ndim, (0.0,) * plan.ndim)
    code = code_of(Lattice(0, (), frame, frame), plan)
    coefficients: Tensor = operators.prefilter(image, code, adjoint)
    return coefficients


def resize(image: Tensor, shape: tuple[int, ...], sizing: Sizing, dtype: torch.dtype) -> Tensor:
    """Return an image, (batch, channel, *spatial), with the sides `shape`."""
    values: Tensor = operators.resize(image, shape, code_of_sizing(sizing), dtype, False)
    return values


def winners(importance: Tensor, geometry: Tensor, lattice: Lattice, plan: Plan, shape: tuple[int, ...]) -> Tensor:
    """Return which point of the lattice reaches each sample with the largest importance, int64 (batch, *shape)."""
    importance = importance.expand(batch_size(importance, geometry), *importance.shape[1:])
    won: Tensor = operators.winners(importance, geometry, lattice.shape, code_of(lattice, plan), shape)
    return won


def normal(image: Tensor, geometry: Tensor, lattice: Lattice, plan: Plan, target: Tensor) -> Tensor:
    """Return the moments of the residual between values and `target`, (batch, record), without a graph."""
    record: Tensor = operators.normal(image, geometry, lattice.shape, code_of(lattice, plan), target)
    return record


def saw_unknown() -> bool:
    """Tell whether a pull of this thread has met parameters that are not finite, since this was asked last."""
    return saw_lost()


def execution(image: Tensor, geometry: Tensor, lattice: Lattice, plan: Plan) -> Execution:
    """Return how :func:`pull` would be carried out."""
    if image.device.type == "cpu":
        return native_execution()
    return composite.execution(image, geometry, lattice, plan)
