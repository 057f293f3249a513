"""What is decided once and remembered: the one cache of the package, bounded by bytes.

A key must tell apart what compares equal and is not the same: 1 from True and 1.0, 0.0 from -0.0; and a NaN must find
itself again. What a caller chose is wrapped by :func:`exact` on its way into a key; all other arguments are names,
integers, dtypes, and tuples and frozen dataclasses of them. What cannot be hashed, such as a symbolic size, goes past
the cache, and so does all that `torch.compile` traces. What is remembered is shared by all callers: arrays among it are
read-only.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# All that is remembered, keys and values together, takes no more than this, and one entry no more than a quarter of it.
MOST_BYTES = 64 * 2**20
# What an entry, or an object in it, takes beside its parts.
_BYTES_AN_OBJECT = 128
_MISSING = object()


def is_tracing() -> bool:
    """Whether `torch.compile` or `torch.export` is tracing the caller."""
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.compiler.is_compiling())


def is_in_dynamo() -> bool:
    """Whether `torch.compile`, or a strict `torch.export`, reads the caller's Python: NumPy does not run then."""
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.compiler.is_dynamo_compiling())


F = TypeVar("F", bound=Callable[..., Any])


def constant_in_graphs(function: F) -> F:
    """Let `torch.compile` take the results of a function, of numbers, strings and tuples, for constants.

    The same as `torch.compiler.assume_constant_result`, which would import the compiler to say so.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def untraced(needs: str) -> Callable[[F], F]:
    """Let `torch.compile` call a function between two graphs, or say what it `needs` where only one is allowed."""

    def decorate(function: F) -> F:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            compiler = sys.modules.get("torch._dynamo")
            if compiler is None:
                return function(*args, **kwargs)
            if is_in_dynamo():
                compiler.graph_break(msg=needs)
            return compiler.disable(function)(*args, **kwargs)

        return call  # type: ignore[return-value]

    return decorate


class _Memory:
    """The tables of all functions that are :func:`cached`, and what they hold together."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.tables: list[dict[Any, Any]] = []
        self.sizes: dict[tuple[int, Any], int] = {}  # by the number of the table and the key, the oldest first
        self.bytes = 0

    def forget(self) -> None:
        for table in self.tables:
            table.clear()
        self.sizes.clear()
        self.bytes = 0

    def begin_in_child(self) -> None:
        """Begin anew after a fork, which may have caught another thread inside."""
        self.lock = threading.Lock()
        self.forget()

    def remember(self, number: int, key: Any, value: Any) -> None:
        size = 2 * _size_of(key) + _size_of(value)
        if size > MOST_BYTES // 4:
            return
        with self.lock:
            if (number, key) in self.sizes:
                return
            self.tables[number][key] = value
            self.sizes[number, key] = size
            self.bytes += size
            while self.bytes > MOST_BYTES:
                oldest = next(iter(self.sizes))
                self.bytes -= self.sizes.pop(oldest)
                del self.tables[oldest[0]][oldest[1]]


_memory = _Memory()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_memory.begin_in_child)


def cached(function: Callable[P, R]) -> Callable[P, R]:
    """Remember the results of a function, whose arguments are such as the head of this module says."""
    number, table = len(_memory.tables), {}  # type: int, dict[Any, Any]
    _memory.tables.append(table)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if is_tracing():
            return function(*args, **kwargs)
        key = (args, *kwargs.items()) if kwargs else args
        try:
            known = table.get(key, _MISSING)
        except TypeError:  # a part of the key has no hash
            return function(*args, **kwargs)
        if known is _MISSING:
            known = function(*args, **kwargs)
            _memory.remember(number, key, known)
        return known  # type: ignore[no-any-return]

    return call


def clear_caches() -> None:
    """Forget what is remembered from one call to the next: plans, tables of resized axes, bases of splines.

    Results stay the same; how a call is carried out is decided anew at the next call of its kind. What is remembered
    takes 64 MiB at most.

    Examples
    --------
    >>> import numpy as np
    >>> import pullback as pb
    >>> small = pb.resize(np.zeros(4000), (1000,))
    >>> pb.clear_caches()
    """
    with _memory.lock:
        _memory.forget()


def _size_of(value: Any) -> int:
    """Return about how many bytes a value takes."""
    size = getattr(value, "nbytes", None)
    if isinstance(size, int):
        return _BYTES_AN_OBJECT + size
    if isinstance(value, str | bytes):
        return _BYTES_AN_OBJECT + len(value)
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
    if not parts and hasattr(value, "__dict__"):
        parts = vars(value).values()
    return _BYTES_AN_OBJECT + sum(map(_size_of, parts))


class Exact:
    """A value as a part of a key: equal to another only if their types and bits are, those of their parts included."""

    __slots__ = ("_key", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self._key: Any = None

    def __hash__(self) -> int:
        if self._key is None:
            self._key = _bits(self.value)
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Exact) and _bits(self.value) == _bits(other.value)


def exact(value: Any) -> Any:
    """Return what stands for `value` in a key; itself, where nothing but the same can equal it."""
    return value if value is None or type(value) in (str, int) else Exact(value)


def plain(value: Any) -> Any:
    """Return what :func:`exact` was given."""
    return value.value if type(value) is Exact else value


class Hashed:
    """A frozen dataclass that is hashed once, and compared by the bits of its fields: declare it with ``eq=False``."""

    _hash: int

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            object.__setattr__(self, "_hash", hash(_bits(self)))
            return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (type(self) is type(other) and _bits(self) == _bits(other))


def _bits(value: Any) -> Any:
    """Return what is equal, and hashes alike, for the same value of the same type and for no other.

    Raises
    ------
    TypeError
        If the value is of a type that may change, or of which that is not known.
    """
    kind = type(value)
    if kind is float:
        return kind, struct.pack("d", value)
    if kind is complex:
        return kind, struct.pack("2d", value.real, value.imag)
    if value is None or kind in (str, bytes, int, bool):
        return kind, value
    if kind in (tuple, list):
        return kind, *map(_bits, value)
    if hasattr(value, "tobytes") and hasattr(value, "dtype"):  # NumPy's numbers and arrays
        return kind, value.dtype, value.shape, value.tobytes()
    if hasattr(value, "__dataclass_fields__"):
        return kind, *(_bits(getattr(value, name)) for name in value.__dataclass_fields__)
    raise TypeError(f"{kind.__name__} is no part of a key")
