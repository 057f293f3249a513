"""The operators on tensors, ``torch.ops.pullback.*``: their schemas, and who does the work on which device.

Each has native kernels for the CPU, the composite for every other device, and a fake for tracing and tensors without
data; the dispatcher of PyTorch decides. Their derivatives are in :mod:`.calculus`. What is constant about a call
travels as one string (:mod:`.codes`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.autograd import forward_ad

from pullback.backends import composite
from pullback.backends.composite import sum_dtype
from pullback.backends.composite.operations import VERBS
from pullback.backends.sizes import resized, transposed_resized
from pullback.backends.torch import native
from pullback.backends.torch.codes import call_of, plan_of, sizing_of
from pullback.backends.torch.native import batch_size, empty_values
from pullback.backends.torch.onnx import exported_pull, is_exporting

Function: TypeAlias = Callable[..., Any]

library = torch.library.Library("pullback", "DEF")  # type: ignore[no-untyped-call]


class Rule(NamedTuple):
    """How an operator is differentiated and mapped.

    Attributes
    ----------
    save : callable
        What derivatives need is kept in the context.
    backward, jvp : callable
        Reverse and forward mode.
    batch : callable
        What `torch.func.vmap` makes of a call.
    """

    save: Function
    backward: Function
    jvp: Function
    batch: Function


class Operator:
    """An operator, called in the way that the moment asks for.

    `torch.compile` and all that dispatches by itself find the rule registered. Eager code finds it in a
    :class:`torch.autograd.Function`, which costs less and which `torch.func` and forward mode know, and without
    gradients goes straight to the kernel of the device.

    Attributes
    ----------
    overload : OpOverload
        What the dispatcher knows.
    composite : callable
        The implementation for devices without kernels of ours.
    function : type
        The rule as `torch.func` takes it; None for an operator without one.
    """

    def __init__(
        self,
        schema: str,
        kernel: Function,
        composite: Function,
        fake: Function,
        exported: Function | None = None,
        has_tables: bool = False,
    ) -> None:
        self.name = schema[: schema.index("(")]
        library.define(schema)  # type: ignore[no-untyped-call]
        library.impl(self.name, kernel, "CPU")  # type: ignore[no-untyped-call]
        library.impl(self.name, composite, "CompositeExplicitAutograd")  # type: ignore[no-untyped-call]
        torch.library.register_fake(f"pullback::{self.name}", fake, lib=library)
        self.overload: Any = getattr(torch.ops.pullback, self.name).default
        self.composite, self.exported = composite, exported or composite
        self._has_tables = has_tables  # of NumPy, in the composite
        self.function: Any = None
        self._apply: Any = None
        # Those that may have gradients come first.
        arguments = schema[len(self.name) + 1 :].split(",")
        self._differentiable = next(n for n, argument in enumerate(arguments) if "Tensor" not in argument)

    def learn(self, rule: Rule) -> None:
        """Make the operator differentiable."""
        torch.library.register_autograd(f"pullback::{self.name}", rule.backward, setup_context=rule.save, lib=library)
        self.map(rule.batch)
        parts = {"setup_context": rule.save, "backward": rule.backward, "jvp": rule.jvp, "vmap": rule.batch}
        members = {"forward": self._below_autograd, **parts}
        self.function = type(
            self.name, (torch.autograd.Function,), {name: staticmethod(part) for name, part in members.items()}
        )
        self._apply = super(torch.autograd.Function, self.function).apply  # type: ignore[misc]

    def map(self, batch: Function) -> None:
        """Say what `torch.func.vmap` makes of a call."""
        torch.library.register_vmap(f"pullback::{self.name}", batch, lib=library)

    def __call__(self, *inputs: Any) -> Any:
        """Return the result for the arguments of the schema, all of them by position."""
        if torch.compiler.is_compiling():
            if is_exporting():
                return self.exported(*inputs)
            return self._transformed_in_graph(*inputs) if _is_transformed() else self.overload(*inputs)
        if self.function is None:
            return self._below_autograd(*inputs)
        if _is_transformed():
            return self.function.apply(*inputs)
        if torch.is_grad_enabled():
            for tensor in inputs[: self._differentiable]:
                if tensor is not None and tensor.requires_grad:
                    return self._apply(*inputs)
        return self._below_autograd(*inputs)

    def _transformed_in_graph(self, *inputs: Any) -> Any:
        # Dynamo takes no Function that has a jvp, and `torch.func` no rule that is registered.
        if self._has_tables and torch.compiler.is_dynamo_compiling():
            torch._dynamo.graph_break(
                msg=f"torch.func over {self.name} cannot be traced; differentiate by torch.autograd.grad there, or "
                "leave fullgraph=True out"
            )
        return self.composite(*inputs)

    def _below_autograd(self, *inputs: Any) -> Any:
        with torch._C._AutoDispatchBelowAutograd():
            return self.overload(*inputs)


def _is_transformed() -> bool:
    """Whether `torch.func` or forward mode is at work."""
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def _pull_composite(image: Tensor, geometry: Tensor, shape: Any, code: str, dtype: torch.dtype) -> Tensor:
    return composite.pull(image, geometry, *call_of(shape, code, image.shape[2:]), dtype)


def _pull_exported(image: Tensor, geometry: Tensor, shape: Any, code: str, dtype: torch.dtype) -> Tensor:
    return exported_pull(image, geometry, *call_of(shape, code, image.shape[2:]), dtype)


def _pull_fake(image: Tensor, geometry: Tensor, shape: Any, code: str, dtype: torch.dtype) -> Tensor:
    return empty_values(image, batch_size(image, geometry), shape, dtype)


def _gradient_composite(image: Tensor, geometry: Tensor, shape: Any, code: str) -> Tensor:
    return composite.gradient(image, geometry, *call_of(shape, code, image.shape[2:]))


def _gradient_fake(image: Tensor, geometry: Tensor, shape: Any, code: str) -> Tensor:
    size = (batch_size(image, geometry), image.shape[1], *shape, plan_of(code).ndim)
    return image.new_empty(size, dtype=sum_dtype(image.dtype))


def _push_composite(values: Tensor, geometry: Tensor, shape: Any, code: str, image_shape: Any) -> Tensor:
    return composite.push(values, geometry, *call_of(shape, code, image_shape[2:]), tuple(image_shape))


def _push_fake(values: Tensor, geometry: Tensor, shape: Any, code: str, image_shape: Any) -> Tensor:
    return values.new_empty(image_shape, dtype=sum_dtype(values.dtype))


def _vjp_composite(
    image: Tensor, geometry: Tensor, grad: Tensor, shape: Any, code: str, need_image: bool, need_geometry: bool
) -> tuple[Tensor, Tensor]:
    call = call_of(shape, code, image.shape[2:])
    grads = composite.vjp(image, geometry, grad.to(sum_dtype(image.dtype)), *call, need_image, need_geometry)
    return _in_dtypes(image, geometry, *grads)


def _vjp_fake(
    image: Tensor, geometry: Tensor, grad: Tensor, shape: Any, code: str, need_image: bool, need_geometry: bool
) -> tuple[Tensor, Tensor]:
    return (
        image.new_empty(image.shape if need_image else (0,)),
        geometry.new_empty(geometry.shape if need_geometry else (0,)),
    )


def _in_dtypes(
    image: Tensor, geometry: Tensor, grad_image: Tensor | None, grad_geometry: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return gradients in the dtypes of what they are gradients in; empty where there are none."""
    return (
        image.new_empty(0) if grad_image is None else grad_image.to(image.dtype),
        geometry.new_empty(0) if grad_geometry is None else grad_geometry,
    )


def _jvp_composite(
    image: Tensor, geometry: Tensor, image_dot: Tensor | None, geometry_dot: Tensor | None, shape: Any, code: str
) -> Tensor:
    return composite.jvp(image, geometry, image_dot, geometry_dot, *call_of(shape, code, image.shape[2:]))


def _jvp_fake(
    image: Tensor, geometry: Tensor, image_dot: Tensor | None, geometry_dot: Tensor | None, shape: Any, code: str
) -> Tensor:
    return image.new_empty((batch_size(image, geometry), image.shape[1], *shape), dtype=sum_dtype(image.dtype))


def _second_composite(
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
    call = (*call_of(shape, code, image.shape[2:]), need_image, need_geometry)
    grads = composite.second(image, geometry, image_dot, geometry_dot, grad.to(sum_dtype(image.dtype)), *call)
    return _in_dtypes(image, geometry, *grads)


def _second_fake(
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
    return _vjp_fake(image, geometry, grad, shape, code, need_image, need_geometry)


def _prefilter_composite(image: Tensor, code: str, adjoint: bool) -> Tensor:
    return composite.prefilter(image, plan_of(code), adjoint)


def _prefilter_fake(image: Tensor, code: str, adjoint: bool) -> Tensor:
    return image.new_empty(image.shape, dtype=sum_dtype(image.dtype))


def _resize_composite(image: Tensor, shape: Any, sizing: str, dtype: torch.dtype, adjoint: bool) -> Tensor:
    values: Tensor = (transposed_resized if adjoint else resized)(VERBS, image, tuple(shape), sizing_of(sizing), dtype)
    return values


def _resize_exported(image: Tensor, *rest: Any) -> Any:
    # Dynamo would trace the making of tables.
    return resize.overload(image, *rest) if torch.compiler.is_dynamo_compiling() else _resize_composite(image, *rest)


def _resize_fake(image: Tensor, shape: Any, sizing: str, dtype: torch.dtype, adjoint: bool) -> Tensor:
    return empty_values(image, image.shape[0], shape, dtype)


def _winners_composite(importance: Tensor, geometry: Tensor, shape: Any, code: str, image_shape: Any) -> Tensor:
    return composite.winners(importance, geometry, *call_of(shape, code, image_shape), tuple(image_shape))


def _winners_fake(importance: Tensor, geometry: Tensor, shape: Any, code: str, image_shape: Any) -> Tensor:
    return importance.new_empty((batch_size(importance, geometry), *image_shape), dtype=torch.int64)


def _normal_composite(image: Tensor, geometry: Tensor, shape: Any, code: str, target: Tensor) -> Tensor:
    return composite.normal(image, geometry, *call_of(shape, code, image.shape[2:]), target)


def _normal_fake(image: Tensor, geometry: Tensor, shape: Any, code: str, target: Tensor) -> Tensor:
    return native.empty_record(image, geometry)


# With f the image, g the geometry, c a cotangent of the values, and a dot for a motion:
# the values v(f, g), (batch, channel, *shape);
pull = Operator(
    "pull(Tensor image, Tensor geometry, SymInt[] shape, str code, ScalarType dtype) -> Tensor",
    native.pull,
    _pull_composite,
    _pull_fake,
    exported=_pull_exported,
)
# the transpose of the derivative of v, applied to c: gradients in f and g, empty where not needed;
vjp = Operator(
    "vjp(Tensor image, Tensor geometry, Tensor grad, SymInt[] shape, str code, bool need_image, bool need_geometry)"
    " -> (Tensor, Tensor)",
    native.vjp,
    _vjp_composite,
    _vjp_fake,
)
# the derivative of v applied to (f_dot, g_dot), where None stands for what does not move;
jvp = Operator(
    "jvp(Tensor image, Tensor geometry, Tensor? image_dot, Tensor? geometry_dot, SymInt[] shape, str code) -> Tensor",
    native.jvp,
    _jvp_composite,
    _jvp_fake,
)
# the gradients in f and g of <c, v_dot>;
second = Operator(
    "second(Tensor image, Tensor geometry, Tensor? image_dot, Tensor? geometry_dot, Tensor grad, SymInt[] shape,"
    " str code, bool need_image, bool need_geometry) -> (Tensor, Tensor)",
    native.second,
    _second_composite,
    _second_fake,
)
# the transpose of v in f, applied to values;
push = Operator(
    "push(Tensor values, Tensor geometry, SymInt[] shape, str code, SymInt[] image_shape) -> Tensor",
    native.push,
    _push_composite,
    _push_fake,
)
# d v / d coordinate, (batch, channel, *shape, d);
gradient = Operator(
    "gradient(Tensor image, Tensor geometry, SymInt[] shape, str code) -> Tensor",
    native.gradient,
    _gradient_composite,
    _gradient_fake,
)
# spline coefficients, or the transpose of that map;
prefilter = Operator(
    "prefilter(Tensor image, str code, bool adjoint) -> Tensor",
    native.prefilter,
    _prefilter_composite,
    _prefilter_fake,
    has_tables=True,
)
# an image in another size, or the transpose of that map for a fill of 0;
resize = Operator(
    "resize(Tensor image, SymInt[] shape, str sizing, ScalarType dtype, bool adjoint) -> Tensor",
    native.resize,
    _resize_composite,
    _resize_fake,
    exported=_resize_exported,
    has_tables=True,
)
# which point reaches each sample with the largest importance; and the moments of the residual between v and a target.
winners = Operator(
    "winners(Tensor importance, Tensor geometry, SymInt[] shape, str code, SymInt[] image_shape) -> Tensor",
    native.winners,
    _winners_composite,
    _winners_fake,
)
normal = Operator(
    "normal(Tensor image, Tensor geometry, SymInt[] shape, str code, Tensor target) -> Tensor",
    native.normal,
    _normal_composite,
    _normal_fake,
)
