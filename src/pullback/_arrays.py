"""Arrays of NumPy and of torch alike: which of the two a value is, and the operations that both have."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from pullback._cache import is_in_dynamo
from pullback._plan import MAX_NDIM

# A NumPy array or a torch tensor: the two share the operations used here, but no type that says so.
Array: TypeAlias = Any

_FLOAT64 = np.dtype(np.float64)
# Identity matrices by their size, not to be written to.
_IDENTITIES = tuple(np.eye(n) for n in range(MAX_NDIM + 1))
for _identity in _IDENTITIES:
    _identity.setflags(write=False)


def is_tensor(value: object) -> bool:
    """Say whether `value` is a torch tensor, without importing torch: where nothing has, there are no tensors."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def is_masked(value: object) -> bool:
    """Say whether `value` is a masked array, without importing `numpy.ma`: a fork may catch an import half-way."""
    masked = getattr(sys.modules.get("numpy.ma"), "MaskedArray", None)
    return masked is not None and isinstance(value, masked)


def has_values(array: Array) -> bool:
    """Say whether there is something to read in an array now: not in tensors that are traced or mapped."""
    if is_in_dynamo() or not is_tensor(array):
        return not is_in_dynamo()
    torch, plain = sys.modules["torch"], _innermost(array)
    is_plain = type(plain) in (torch.Tensor, torch.nn.Parameter) and not plain.is_meta
    wraps = torch._C._functorch.is_functorch_wrapped_tensor
    return is_plain and not (wraps(plain) or _is_proxied(plain))


def _innermost(tensor: Array) -> Array:
    """Return the tensor that `torch.func` differentiates, below its wrappers."""
    functorch = sys.modules["torch"]._C._functorch
    while functorch.is_gradtrackingtensor(tensor):
        tensor = functorch.get_unwrapped(tensor)
    return tensor


def _is_proxied(tensor: Array) -> bool:
    """Say whether `make_fx` follows a tensor."""
    torch = sys.modules["torch"]
    mode = torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.PROXY)
    if mode is None:
        return False
    from torch.fx.experimental.proxy_tensor import has_proxy_slot

    return bool(has_proxy_slot(tensor, mode.tracer))


def can_be_looked_at(array: Array) -> bool:
    """Say whether a check may read the values of an array: where nothing watches, and no device is waited for."""
    if not has_values(array) or not is_tensor(array):
        return has_values(array)
    is_seen = sys.modules["torch"]._C._len_torch_dispatch_stack() > 0  # by make_fx, fake tensors and their like
    return array.device.type == "cpu" and not is_seen


def is_constant(array: Array) -> bool:
    """Say whether an array is no more than its values, to which no derivative leads back."""
    if not has_values(array) or not is_tensor(array):
        return has_values(array)
    torch = sys.modules["torch"]
    forward = torch.autograd.forward_ad
    moves = forward._current_level >= 0
    if torch._C._functorch.is_functorch_wrapped_tensor(array):
        return not (moves or array.requires_grad) and is_constant(torch._C._functorch.get_unwrapped(array))
    has_graph = array.requires_grad and torch.is_grad_enabled()
    return not (has_graph or (moves and forward.unpack_dual(array).tangent is not None))


def namespace(array: Array) -> Any:
    """Return the module whose functions take `array`: torch for a tensor, otherwise NumPy."""
    return sys.modules["torch"] if is_tensor(array) else np


def as_arrays(function: str, **values: Array) -> tuple[Array, ...]:
    """Return the arguments `values` of `function` as arrays of one kind.

    If one of them is a tensor, all become tensors on its device, in the widest floating dtype among the tensors;
    otherwise all become float64 arrays.
    """
    if not any([is_tensor(value) for value in values.values()]):
        return tuple([_as_real_array(function, name, value) for name, value in values.items()])
    tensors = {name: value for name, value in values.items() if is_tensor(value)}
    dtype, device = _common_dtype_and_device(function, tensors)
    return tuple(_as_tensor(function, name, value, dtype, device) for name, value in values.items())


def apply_linear(linear: Array, vector: Array) -> Array:
    """Return ``linear @ vector`` for ``(..., d, d)`` and ``(..., d)``.

    As products and a sum, here and in :func:`multiply`, because autocast would run a matrix product in half precision.
    """
    return (linear * vector[..., None, :]).sum(-1)


def multiply(first: Array, second: Array) -> Array:
    """Return ``first @ second`` for stacks of small matrices, ``(..., d, d)``."""
    return (first[..., :, :, None] * second[..., None, :, :]).sum(-2)


def eye_like(vectors: Array) -> Array:
    """Return the identity matrix for `vectors`, ``(..., d)``, as an array of their kind that is only read."""
    if is_tensor(vectors):
        return sys.modules["torch"].eye(vectors.shape[-1], dtype=vectors.dtype, device=vectors.device)
    return _IDENTITIES[vectors.shape[-1]]


def beside(*parts: Array) -> Array:
    """Return float64 arrays, or tensors of one dtype, ``(..., k)`` side by side; their leading axes broadcast."""
    shapes = [part.shape[:-1] for part in parts]
    shape = shapes[0] if shapes[1:] == shapes[:-1] else np.broadcast_shapes(*shapes)
    if is_tensor(parts[0]):
        return sys.modules["torch"].cat([part.expand(*shape, part.shape[-1]) for part in parts], -1)
    # For a few numbers, several times as fast as NumPy's concatenate and stack, here and in `matrix_of`.
    out = np.empty((*shape, sum([part.shape[-1] for part in parts])))
    start = 0
    for part in parts:
        stop = start + part.shape[-1]
        out[..., start:stop] = part
        start = stop
    return out


def matrix_of(rows: Sequence[Sequence[Array]]) -> Array:
    """Return matrices, ``(..., n, m)``, of rows of entries: float64 arrays or numbers, or tensors, of one shape."""
    first = rows[0][0]
    if is_tensor(first):
        torch = sys.modules["torch"]
        return torch.stack([torch.stack(tuple(row), -1) for row in rows], -2)
    out = np.empty((*first.shape, len(rows), len(rows[0])))
    for i, row in enumerate(rows):
        for j, entry in enumerate(row):
            out[..., i, j] = entry
    return out


def spread(array: Array, shape: Sequence[int]) -> Array:
    """Return `array` broadcast to `shape`."""
    return namespace(array).broadcast_to(array, tuple(shape))


def unspread(grad: Array, shape: Sequence[int]) -> Array:
    """Return a gradient in an array of `shape` of which the first axis, if it is 1 long, was repeated."""
    return grad if tuple(grad.shape) == tuple(shape) else grad.sum(0, keepdims=True)


def written(values: Array) -> str:
    """Return an array of numbers as short text."""
    if isinstance(values, list):
        return "[" + ", ".join(written(value) for value in values) + "]"
    if isinstance(values, float):
        # Adding zero turns -0 into 0.
        return f"{values + 0.0:.6g}"
    return written(np.asarray(values).tolist())


def _as_real_array(function: str, name: str, value: Array) -> Array:
    if is_in_dynamo():  # which knows little of NumPy
        torch = sys.modules["torch"]
        return torch.as_tensor(value, dtype=torch.float64)
    if type(value) is np.ndarray and value.dtype is _FLOAT64:
        return value
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{function}: `{name}` is not a regular array of numbers ({error})") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{function}: `{name}` has dtype {array.dtype}; give real numbers")
    return array.astype(np.float64, copy=False)


def _as_tensor(function: str, name: str, value: Array, dtype: Any, device: Any) -> Array:
    if is_tensor(value):
        return value.to(dtype)
    torch = sys.modules["torch"]
    # Plain numbers need no NumPy, which torch.compile could not trace.
    is_plain = isinstance(value, float | int) or (
        isinstance(value, tuple) and all(isinstance(part, float | int) for part in value)
    )
    number = value if is_plain else _as_real_array(function, name, value)
    if is_in_dynamo() and not is_plain:
        return number.to(device, dtype)
    return torch.tensor(number, dtype=dtype, device=device)


def _common_dtype_and_device(function: str, tensors: dict[str, Array]) -> tuple[Any, Any]:
    torch = sys.modules["torch"]
    dtype, device = None, next(iter(tensors.values())).device
    for name, tensor in tensors.items():
        if tensor.is_complex():
            raise TypeError(f"{function}: `{name}` has dtype {tensor.dtype}; give real numbers")
        if tensor.device != device:
            raise ValueError(f"{function}: `{name}` is on {tensor.device}, other arguments on {device}; use one device")
        if tensor.is_floating_point():
            dtype = tensor.dtype if dtype is None else torch.promote_types(dtype, tensor.dtype)
    return dtype or torch.get_default_dtype(), device


def own(array: Array) -> Array:
    """Return a copy of an array, which no one else can write to; a tensor itself."""
    return array if is_tensor(array) else array.copy("K")


def array_of(tensor: Array, function: str, instead: str = "do this outside of them") -> Array:
    """Return the values of a tensor as a NumPy array of its dtype, without its graph.

    Raises
    ------
    TypeError
        If the tensor stands for values that are not known now; `instead` says what to do.
    """
    return _read(tensor, function, instead)


def detached(value: Array, function: str = "numpy", instead: str = "do this outside of them") -> Array:
    """Return a tensor as a float64 array without its graph, and what is no tensor as it is; as :func:`array_of`."""
    return _read(value, function, instead, real=True) if is_tensor(value) else value


def check_values(tensor: Array, function: str, instead: str) -> None:
    """Refuse a tensor that stands for values that are not known now."""
    if not has_values(tensor):
        raise TypeError(
            f"{function}: needs the values of a tensor, and torch.compile, torch.export, torch.func.vmap, make_fx, "
            f"fake tensors and the meta device have none; {instead}"
        )


def _read(tensor: Array, function: str, instead: str, real: bool = False) -> Array:
    check_values(tensor, function, instead)
    torch = sys.modules["torch"]
    from torch.utils._python_dispatch import _disable_current_modes

    # Inside torch.func, and under modes, even what is constant would come back wrapped.
    with _disable_current_modes(), torch._C._DisableFuncTorch():
        plain = _innermost(tensor).detach().cpu().resolve_conj()
        return (plain.double() if real else plain).numpy()


def like(array: Any, image: Any, dtype: Any = None) -> Any:
    """Return `array` as what `image` is: a NumPy array, or a tensor on its device."""
    if namespace(image) is np:
        return np.asarray(array, dtype)
    return namespace(image).as_tensor(array, dtype=dtype, device=image.device)


def alike(array: Array, other: Array) -> Array:
    """Return an array as a tensor of the dtype and on the device of `other`, if that is one."""
    return like(array, other, other.dtype) if is_tensor(other) else array


def wide(array: Array) -> Array:
    """Return real numbers in float64."""
    return array.double() if is_tensor(array) else array.astype(np.float64, copy=False)
