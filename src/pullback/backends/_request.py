"""From a call to what the native module takes: a cached request, and arrays on a lattice of three axes."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

import pullback._native as _native
from pullback._plan import LATTICES, Lattice, Plan
from pullback.backends._protocol import Execution

# What a thread holds on its stack at most: the taps and values of a block, and copies of small images (kernels.cpp).
_BYTES_A_THREAD = 1024 * 1024


def native_execution() -> Execution:
    """Return how the native module carries out a call."""
    threads = _native.num_threads()
    return Execution("native", _native.isa(), threads, _BYTES_A_THREAD * threads)


@lru_cache(maxsize=1024)
def component_plan(plan: Plan, component: int) -> Plan:
    """Return the plan of the real (0) or the imaginary (1) component of a complex image."""
    return replace(plan, fill=tuple((complex(fill).real, complex(fill).imag)[component] for fill in plan.fill))


def finite_fill(plan: Plan) -> tuple[complex, ...]:
    """Return the fill that spline coefficients have beyond constant borders: 0 for a component that is not finite."""
    fill: tuple[complex, ...] = tuple(np.nan_to_num(plan.fill, nan=0.0, posinf=0.0, neginf=0.0).tolist())
    return fill


@lru_cache(maxsize=1024)
def make_request(
    plan: Plan, lattice: Lattice, kernel_shape: tuple[int, int, int], bfloat16: bool = False
) -> _native.Request:
    """Return the request of a call whose output lattice the kernels see as `kernel_shape`."""
    return _native.Request(
        interpolation=plan.interpolation,
        parameter=plan.parameter,
        border=plan.border,
        crop=plan.crop,
        fill=plan.fill,
        kind=lattice.kind,
        reversed=lattice.reversed,
        lattice=kernel_shape,
        scale_in=lattice.frame_in.scale,
        offset_in=lattice.frame_in.offset,
        scale_out=lattice.frame_out.scale,
        offset_out=lattice.frame_out.offset,
        bfloat16=bfloat16,
    )


def _merges(array: Any, first: int, last: int) -> bool:
    """Whether the axes first .. last - 1 can be walked as one."""
    shape = array.shape
    strides = array.stride() if hasattr(array, "stride") else array.strides
    return all(shape[i] == 1 or strides[i] == shape[i + 1] * strides[i + 1] for i in range(first, last - 1))


def _kernel_shape(lattice: Lattice, geometry: Any, values: Any) -> tuple[int, int, int]:
    shape = lattice.shape
    k = len(shape)
    short_rows = k > 3 or k == 0 or shape[-1] < 128
    if lattice.kind == LATTICES["given"] and short_rows and _merges(geometry, 1, 1 + k) and _merges(values, 2, 2 + k):
        return (1, 1, math.prod(shape))
    if k <= 3:
        one, two, three = (1,) * (3 - k) + shape
        return (one, two, three)
    return (math.prod(shape[:-2]), shape[-2], shape[-1])


def prepare(
    plan: Plan, lattice: Lattice, geometry: Any, values: Any, bfloat16: bool = False
) -> tuple[_native.Request, Any, Any]:
    """Return the request, and `geometry` and `values` on three lattice axes: views, or copies where no view exists.

    Parameters
    ----------
    geometry : array or tensor
        What the kind of `lattice` asks for.
    values : array or tensor
        Canonical, (batch, channel, *lattice) or (batch, channel, *lattice, d).
    bfloat16 : bool
        Whether arrays of 16-bit unsigned integers hold bfloat16.
    """
    shape = _kernel_shape(lattice, geometry, values)
    tail = tuple(values.shape[2 + len(lattice.shape) :])
    values = values.reshape(tuple(values.shape[:2]) + shape + tail)
    if lattice.kind in (LATTICES["given"], LATTICES["displacement"]):
        geometry = geometry.reshape((geometry.shape[0], *shape, geometry.shape[-1]))
    return make_request(plan, lattice, shape, bfloat16), geometry, values
