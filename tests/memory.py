"""Where the arrays of a test lie: in allocations of exactly their size, anywhere in memory, in any layout."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import sys
from typing import Any

import numpy as np

ONES = 0xFF  # the bytes of NaN, and of -1


def _page_guards() -> Any:
    """Return the system's mprotect, or None."""
    try:
        return ctypes.CDLL(None).mprotect if sys.platform.startswith("linux") else None
    except (OSError, AttributeError):
        return None


_MPROTECT = _page_guards()


def guarded(size: int, at_end: bool) -> np.ndarray:
    """Return `size` bytes that end, or start, at a page that may not be touched."""
    page = mmap.PAGESIZE
    inner = -(-size // page) * page
    pages = mmap.mmap(-1, inner + 2 * page, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    address = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    for guard in (address, address + page + inner):
        if _MPROTECT(ctypes.c_void_p(guard), ctypes.c_size_t(page), mmap.ACCESS_DEFAULT) != 0:  # 0: no access
            raise OSError("mprotect failed")
    return np.frombuffer(pages, np.uint8, size, page + (inner - size if at_end else 0))


def allocate(random: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an array with an allocation of its own, of exactly its size, filled with ones (NaN, -1)."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    where = random.integers(4)
    if size == 0 or _MPROTECT is None or where < 2:
        array = np.empty(shape, dtype)
        array.reshape(-1).view(np.uint8)[...] = ONES if np.dtype(dtype).kind != "b" else 1
        return array
    raw = guarded(size, at_end=bool(where == 2))
    raw[...] = ONES if np.dtype(dtype).kind != "b" else 1
    return raw.view(dtype).reshape(shape)


def laid_out(random: np.random.Generator, values: np.ndarray, *, writes: bool = False) -> np.ndarray:
    """Return an array of the values of `values`, or of some of them if axes are shared, anywhere in memory."""
    ndim, dtype = values.ndim, values.dtype
    if ndim == 0:
        return values.copy()
    if random.random() < 0.3:
        array = allocate(random, values.shape, dtype)
        array[...] = values
        return array
    axes = random.permutation(ndim) if random.random() < 0.5 else np.arange(ndim)
    if random.random() < 0.2:
        axes = axes[::-1]
    sizes, slices = [], []
    for n in values.shape:
        shared = not writes and n > 1 and random.random() < 0.08
        step = 0 if shared else int(random.choice([1, 1, 1, 1, 2, 3, -1, -1, -2]))
        before, after = (int(random.integers(3)) if random.random() < 0.25 else 0 for _ in range(2))
        length = 0 if n == 0 else 1 if shared else (n - 1) * abs(step) + 1
        sizes.append(before + length + after)
        start, stop = before, before + length
        slices.append(slice(start, stop, 1) if step >= 0 and abs(step) <= 1 else slice(start, stop, abs(step)))
        if step < 0 and n:
            last = start + (n - 1) * abs(step)
            slices[-1] = slice(last, last - n * abs(step) if last - n * abs(step) >= 0 else None, step)
    base = allocate(random, tuple(sizes[axis] for axis in axes), dtype)
    view = base.transpose(np.argsort(axes))[tuple(slices)]
    view[...] = values[tuple(slice(None, 1) if a == 1 else slice(None) for a in view.shape)]
    view = np.broadcast_to(view, values.shape) if view.shape != values.shape else view
    if not writes:
        kind = random.random()
        if kind < 0.04:
            view = view.astype(view.dtype.newbyteorder(">"))
        elif kind < 0.08 and view.size:
            odd = np.empty(view.nbytes + 1, np.uint8)[1:].view(dtype).reshape(view.shape)
            odd[...] = view
            view = odd
        elif kind < 0.3:
            view = view.view()
            view.flags.writeable = False
    return view


def repeated(byte: int, dtype: np.dtype) -> Any:
    """Return the number whose bytes are all `byte`."""
    byte = byte & 1 if dtype.kind == "b" else byte
    return np.frombuffer(bytes([byte]) * dtype.itemsize, dtype)[0]


@contextlib.contextmanager
def fresh_memory(byte: int):
    """Fill what ``np.empty`` returns with a byte, so that an element that nobody writes shows."""
    empty, empty_like = np.empty, np.empty_like

    def fill(array):
        if array.dtype.kind in "iufcb":
            array[...] = repeated(byte, array.dtype)
        return array

    np.empty = lambda *args, **options: fill(empty(*args, **options))
    np.empty_like = lambda *args, **options: fill(empty_like(*args, **options))
    try:
        yield
    finally:
        np.empty, np.empty_like = empty, empty_like
