"""The backends as the suite sees them: cases or NumPy arrays in, NumPy arrays out, and new memory full of NaN.

A new backend is one more entry of :data:`ENGINES`, and of :data:`TWICE` if it has a second order.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import torch
from cases import Case
from memory import ONES, fresh_memory

from pullback import _native, _reference
from pullback._plan import Plan, Sizing
from pullback.backends import composite
from pullback.backends import numpy as numpy_backend
from pullback.backends import torch as torch_backend
from pullback.backends.torch import operators

Array = np.ndarray
Both = tuple[Array, Array]


class Engine:
    """A backend of NumPy arrays, on one of its instruction sets."""

    def __init__(self, backend: Any, isa: str | None = None) -> None:
        self.backend, self.isa = backend, isa

    def pull(self, case: Case, dtype: Any = None) -> Array:
        with self._ready():
            return self.backend.pull(case.image, *reads(case), np.dtype(dtype or case.image.dtype))

    def pull_into(self, case: Case, out: Array) -> Array:
        with self._ready():
            return self.backend.pull(case.image, *reads(case), out=out)

    def gradient(self, case: Case) -> Array:
        with self._ready():
            return self.backend.gradient(case.image, *reads(case))

    def push(self, case: Case, values: Array) -> Array:
        with self._ready():
            return self.backend.push(values, *reads(case), case.image.shape)

    def vjp(self, case: Case, grad: Array) -> Both:
        return self.asked_vjp(case, grad, True, True)

    def asked_vjp(self, case: Case, grad: Array, need_image: bool, need_geometry: bool) -> tuple[Any, Any]:
        with self._ready():
            rest = (case.lattice, case.plan, need_image, need_geometry)
            return self.backend.vjp(case.image, case.geometry, grad, *rest)

    def prefilter(self, image: Array, plan: Plan, adjoint: bool = False) -> Array:
        with self._ready():
            return self.backend.prefilter(image, plan, adjoint)

    def resize(self, image: Array, shape: tuple[int, ...], sizing: Sizing, dtype: Any) -> Array:
        with self._ready():
            return self.backend.resize(image, shape, sizing, np.dtype(dtype))

    def winners(self, case: Case, importance: Array) -> Array:
        with self._ready():
            return self.backend.winners(importance, *reads(case), case.image.shape[2:])

    def normal(self, case: Case, target: Array) -> Array:
        with self._ready():
            return self.backend.normal(case.image, *reads(case), target)

    @contextlib.contextmanager
    def _ready(self) -> Iterator[None]:
        """Choose the instruction set, and poison what the backend allocates."""
        before = _native.isa()
        _native.set_isa(self.isa or before)
        try:
            with self.poisoned():
                yield
        finally:
            _native.set_isa(before)

    def poisoned(self) -> Any:
        return fresh_memory(ONES)


class Differentiable(Engine):
    """A backend of tensors, whose derivatives are autograd's, to the second order."""

    def __init__(self, backend: Any, isa: str | None = None, device: str = "cpu") -> None:
        super().__init__(backend, isa)
        self.device = device

    def pull(self, case: Case, dtype: Any = None) -> Array:
        with self._ready():
            return to_numpy(self._pull(case, *self._tensors(case), dtype))

    def gradient(self, case: Case) -> Array:
        with self._ready():
            image, geometry = self._tensors(case)
            return to_numpy(self.backend.gradient(image, geometry, case.lattice, case.plan))

    def push(self, case: Case, values: Array) -> Array:
        with self._ready():
            _, geometry = self._tensors(case)
            return to_numpy(
                self.backend.push(self._tensor(values), geometry, case.lattice, case.plan, case.image.shape)
            )

    def vjp(self, case: Case, grad: Array) -> Both:
        return self._gradients(lambda f, x: self._pull(case, f, x), (case.image, case.geometry), grad)

    def asked_vjp(self, case: Case, grad: Array, need_image: bool, need_geometry: bool) -> tuple[Any, Any]:
        """Return the gradients of the backend's own function, not of autograd."""
        with self._ready():
            rest = (self._tensor(grad), case.lattice, case.plan, need_image, need_geometry)
            return tuple(g if g is None else to_numpy(g) for g in self.backend.vjp(*self._tensors(case), *rest))

    def jvp(self, case: Case, image_dot: Array, geometry_dot: Array) -> Array:
        """Return how values move with the image and the geometry, in forward mode."""
        with self._ready():
            dots = self._tensor(image_dot), self._tensor(geometry_dot)
            return to_numpy(torch.func.jvp(lambda f, g: self._pull(case, f, g), self._tensors(case), dots)[1])

    def second(self, case: Case, image_dot: Array, geometry_dot: Array, grad: Array) -> tuple[Array, Array, Array]:
        """Return the gradients of ``(grad * jvp).sum()`` in image, geometry and `grad`: of the inner product of vjp."""
        with self._ready():
            leaves = [tensor.requires_grad_() for tensor in (*self._tensors(case), self._tensor(grad))]
            image, geometry, cotangent = leaves
            values = self._pull(case, image, geometry)
            first = torch.autograd.grad(values, (image, geometry), cotangent, create_graph=True, materialize_grads=True)
            dots = self._tensor(image_dot), self._tensor(geometry_dot)
            along = sum((one * dot.conj()).real.sum() for one, dot in zip(first, dots, strict=True))
            on_image, on_geometry, on_grad = torch.autograd.grad(along, leaves, materialize_grads=True)
            return to_numpy(on_image), to_numpy(on_geometry), to_numpy(on_grad)

    def push_vjp(self, case: Case, values: Array, grad: Array) -> Both:
        """Return the gradients of ``(grad * push(values)).sum()`` in the values and in the geometry."""
        call = (case.lattice, case.plan, case.image.shape)
        return self._gradients(lambda v, x: self.backend.push(v, x, *call), (values, case.geometry), grad)

    def gradient_vjp(self, case: Case, grad: Array) -> Both:
        """Return the gradients of ``(grad * gradient(image)).sum()`` in the image and in the geometry."""
        call = (case.lattice, case.plan)
        return self._gradients(lambda f, x: self.backend.gradient(f, x, *call), (case.image, case.geometry), grad)

    def prefilter_vjp(self, image: Array, plan: Plan, adjoint: bool, grad: Array) -> Array:
        return self._gradients(lambda f: self.backend.prefilter(f, plan, adjoint), (image,), grad)[0]

    def resize_vjp(self, image: Array, shape: tuple[int, ...], sizing: Sizing, grad: Array) -> Array:
        dtype = torch_dtype(grad.dtype)
        return self._gradients(lambda f: self.backend.resize(f, shape, sizing, dtype), (image,), grad)[0]

    def _gradients(self, function: Any, arrays: tuple[Array, ...], grad: Array) -> tuple[Array, ...]:
        with self._ready():
            leaves = [self._tensor(array).requires_grad_() for array in arrays]
            grads = torch.autograd.grad(function(*leaves), leaves, self._tensor(grad), materialize_grads=True)
            return tuple(map(to_numpy, grads))

    def prefilter(self, image: Array, plan: Plan, adjoint: bool = False) -> Array:
        with self._ready():
            return to_numpy(self.backend.prefilter(self._tensor(image), plan, adjoint))

    def resize(self, image: Array, shape: tuple[int, ...], sizing: Sizing, dtype: Any) -> Array:
        with self._ready():
            return to_numpy(self.backend.resize(self._tensor(image), shape, sizing, torch_dtype(dtype)))

    def winners(self, case: Case, importance: Array) -> Array:
        with self._ready():
            _, geometry = self._tensors(case)
            shape = case.image.shape[2:]
            return to_numpy(self.backend.winners(self._tensor(importance), geometry, case.lattice, case.plan, shape))

    def normal(self, case: Case, target: Array) -> Array:
        with self._ready():
            image, geometry = self._tensors(case)
            return to_numpy(self.backend.normal(image, geometry, case.lattice, case.plan, self._tensor(target)))

    def _pull(self, case: Case, image: torch.Tensor, geometry: torch.Tensor, dtype: Any = None) -> torch.Tensor:
        dtype = torch_dtype(dtype or case.image.dtype)
        return self.backend.pull(image, geometry, case.lattice, case.plan, dtype)

    def _tensor(self, array: Array) -> torch.Tensor:
        return to_tensor(array).to(self.device)

    def _tensors(self, case: Case) -> tuple[torch.Tensor, torch.Tensor]:
        return self._tensor(case.image), self._tensor(case.geometry)

    @contextlib.contextmanager
    def poisoned(self) -> Iterator[None]:
        """Let PyTorch fill what it allocates with NaN, or the largest integer, as it does in deterministic mode."""
        assert torch.utils.deterministic.fill_uninitialized_memory
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(False)


class Elsewhere(Differentiable):
    """The backend of tensors as on a device without kernels of ours: its composites, registered for the CPU."""

    @contextlib.contextmanager
    def _ready(self) -> Iterator[None]:
        with super()._ready():
            library = torch.library.Library("pullback", "IMPL")
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # that a kernel is overridden
                    for name, operator in vars(operators).items():
                        if isinstance(operator, operators.Operator):
                            library.impl(name, operator.composite, "CPU", allow_override=True)
                yield
            finally:
                library._destroy()


def reads(case: Case) -> tuple[Any, ...]:
    return case.geometry, case.lattice, case.plan


def torch_dtype(dtype: Any) -> torch.dtype:
    return getattr(torch, np.dtype(dtype).name)


def to_tensor(array: Array) -> torch.Tensor:
    """Return a tensor on the memory of an array, or of a copy where a tensor cannot have its layout."""
    if any(stride < 0 for stride in array.strides) or not array.flags.writeable:
        array = array.copy()
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def to_numpy(tensor: torch.Tensor) -> Array:
    tensor = tensor.detach().resolve_conj().cpu()
    if tensor.dtype == torch.bfloat16:
        return tensor.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


ISAS = _native.available_isas()
TWICE: dict[str, Differentiable] = {
    **{f"torch-{isa}": Differentiable(torch_backend, isa) for isa in ISAS},
    "composite": Differentiable(composite),
    "torch-elsewhere": Elsewhere(torch_backend),
}
if torch.cuda.is_available():
    TWICE["torch-cuda"] = Differentiable(torch_backend, device="cuda")
ENGINES: dict[str, Engine] = {
    **{f"numpy-{isa}": Engine(numpy_backend, isa) for isa in ISAS},
    **{name: engine for name, engine in TWICE.items() if name not in [f"torch-{isa}" for isa in ISAS[:-1]]},
}


class Reference:
    """The truth, asked in the same way."""

    def pull(self, case: Case) -> Array:
        return _reference.pull(case.image, *reads(case))

    def gradient(self, case: Case) -> Array:
        return _reference.gradient(case.image, *reads(case))

    def push(self, case: Case, values: Array) -> Array:
        return _reference.push(values, *reads(case), case.image.shape)

    def vjp(self, case: Case, grad: Array) -> Both:
        return _reference.pull_vjp(case.image, case.geometry, grad, case.lattice, case.plan)

    def winners(self, case: Case, importance: Array) -> Array:
        return _reference.winners(importance, *reads(case), case.image.shape[2:])

    def normal(self, case: Case, target: Array) -> Array:
        """Return the moments of the residual: slopes in the rows of the matrix between indices, by features."""
        if np.iscomplexobj(case.image):
            parts = [(case.image.real, target.real, "real"), (case.image.imag, target.imag, "imag")]
            fills = {name: tuple(getattr(complex(f), name) for f in case.plan.fill) for _, _, name in parts}
            return sum(
                self.normal(replace(case, image=image, plan=replace(case.plan, fill=fills[name])), wanted)
                for image, wanted, name in parts
            )
        case = replace(case, image=case.image.astype(np.float64))
        lattice = case.lattice
        slopes = _reference.operations._slopes(case.image, *reads(case))
        homogeneous = _reference.lattice._homogeneous(case.geometry.astype(np.float64), lattice)[:, None]
        if case.geometry.shape[-2] == case.geometry.shape[-1]:
            along = np.sum(slopes * homogeneous[..., :-1], axis=-1, keepdims=True) / homogeneous[..., -1:]
            slopes = np.concatenate([slopes, -along], axis=-1) / homogeneous[..., -1:]
        channels = case.image.shape[1]
        ones = replace(case, image=np.ones((1, 1, *case.image.shape[2:])), plan=replace(case.plan, fill=(np.nan,)))
        weight = 1.0 * np.isfinite(self.pull(ones))  # of borders that are not constant
        if target.shape[1] > channels:
            weight = weight * target[:, channels:]
        residual = weight * (self.pull(case) - target[:, :channels])
        slopes, residual = (
            slopes.reshape(*slopes.shape[:2], -1, slopes.shape[-1]),
            residual.reshape(*residual.shape[:2], -1),
        )
        weight = np.broadcast_to(weight.reshape(*weight.shape[:2], -1), residual.shape)
        features = np.concatenate(
            [np.indices(lattice.shape).reshape(len(lattice.shape), -1), np.ones((1, residual.shape[-1]))]
        )
        rows, columns = np.triu_indices(slopes.shape[-1]), np.triu_indices(len(features))
        products = np.einsum(
            "bcp,bcpi,bcpi,jp,jp->bij",
            weight,
            slopes[..., rows[0]],
            slopes[..., rows[1]],
            features[columns[0]],
            features[columns[1]],
        )
        moments = np.einsum("bcpi,jp,bcp->bij", slopes, features, residual)
        batch = len(residual)
        squares = np.sum(np.divide(residual**2, weight, out=np.zeros_like(residual), where=weight > 0), axis=(1, 2))
        return np.concatenate([products.reshape(batch, -1), moments.reshape(batch, -1), squares[:, None]], axis=1)

    def second(self, case: Case, image_dot: Array, geometry_dot: Array, grad: Array, h: float) -> tuple[Array, ...]:
        """Return how :meth:`vjp` and the values move with image and geometry: central differences of step `h`."""
        ahead, behind = (
            replace(case, image=case.image + s * image_dot, geometry=case.geometry + s * geometry_dot) for s in (h, -h)
        )
        pairs = zip(
            (*self.vjp(ahead, grad), self.pull(ahead)), (*self.vjp(behind, grad), self.pull(behind)), strict=True
        )
        return tuple((one - other) / (2 * h) for one, other in pairs)


REFERENCE = Reference()
