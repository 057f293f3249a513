"""From a call to what the native module takes: cached requests, and arrays on a lattice of three axes."""

from __future__ import annotations

import math
import threading
from dataclasses import replace

import numpy as np

import pullback._native as _native
from pullback._cache import cached
from pullback._plan import LATTICES, Lattice, Plan
from pullback.backends._protocol import Execution

# What a thread holds on its stack at most: the taps and values of a block, and copies of small images (kernels.cpp).
_BYTES_A_THREAD = 1024 * 1024


def native_execution() -> Execution:
    """Return how the native module carries out a call."""
    threads = _native.num_threads()
    return Execution("native", _native.isa(), threads, _BYTES_A_THREAD * threads)


class Requests:
    """What the native module is asked for, for one plan and one lattice.

    The kernels see a lattice of three axes. Points that are given need not be told apart by axes, so that rows too
    short for the kernels become one long row, where memory lets them. A complex image is two real ones, with requests
    of their own.

    Attributes
    ----------
    on_lattice : bool
        Whether the geometry has the axes of the lattice.
    may_merge : bool
        Whether all axes of the lattice may become one.
    must_reshape : bool
        Whether the lattice has more than three axes; the kernels take fewer as they are.
    sides : tuple of int
        The lattice as the kernels see it, unless its axes are merged.
    """

    def __init__(self, plan: Plan, lattice: Lattice) -> None:
        shape = lattice.shape
        k = len(shape)
        self.plan, self.lattice = plan, lattice
        self.on_lattice = lattice.kind in (LATTICES["given"], LATTICES["displacement"])
        self.may_merge = lattice.kind == LATTICES["given"] and k > 1 and (k > 3 or shape[-1] < 128)
        self.must_reshape = k > 3
        self.sides = (1,) * (3 - k) + shape if k <= 3 else (math.prod(shape[:-2]), *shape[-2:])
        self._known: dict[tuple[bool, bool], _native.Request] = {}

    def request(self, merged: bool = False, bfloat16: bool = False) -> _native.Request:
        """Return the request; `bfloat16` says that arrays of 16-bit unsigned integers hold bfloat16."""
        known = self._known.get((merged, bfloat16))
        if known is None:
            known = self._known[merged, bfloat16] = self._request(merged, bfloat16)
        return known

    def component(self, k: int) -> Requests:
        """Return the requests for the real (0) or the imaginary (1) component of a complex image."""
        return requests_of(component_plan(self.plan, k), self.lattice)

    def sides_of(self, merged: bool) -> tuple[int, ...]:
        """Return the lattice as the kernels see it."""
        return (1, 1, math.prod(self.lattice.shape)) if merged else self.sides

    def _request(self, merged: bool, bfloat16: bool) -> _native.Request:
        plan, lattice = self.plan, self.lattice
        return _native.Request(
            interpolation=plan.interpolation,
            parameter=plan.parameter,
            border=plan.border,
            crop=plan.crop,
            fill=plan.fill,
            kind=lattice.kind,
            computed=lattice.is_computed,
            near=lattice.near,
            near_in_single=lattice.near_in_single,
            reversed=lattice.reversed,
            lattice=self.sides_of(merged),
            scale_in=lattice.frame_in.scale,
            offset_in=lattice.frame_in.offset,
            scale_out=lattice.frame_out.scale,
            offset_out=lattice.frame_out.offset,
            bfloat16=bfloat16,
        )


@cached
def requests_of(plan: Plan, lattice: Lattice) -> Requests:
    """Return the requests of a call."""
    return Requests(plan, lattice)


@cached
def component_plan(plan: Plan, component: int) -> Plan:
    """Return the plan of the real (0) or the imaginary (1) component of a complex image."""
    return replace(plan, fill=tuple((complex(fill).real, complex(fill).imag)[component] for fill in plan.fill))


class _Seen(threading.local):
    lost = False


_seen = _Seen()


def saw(lost: bool) -> None:
    """Remember, for this thread, that a pull has met parameters that are not finite."""
    if lost:
        _seen.lost = True


def saw_lost() -> bool:
    """Tell whether a pull of this thread has met parameters that are not finite, since this was asked last."""
    lost, _seen.lost = _seen.lost, False
    return lost


def finite_fill(plan: Plan) -> tuple[complex, ...]:
    """Return the fill that spline coefficients have beyond constant borders: 0 for a component that is not finite."""
    fill: tuple[complex, ...] = tuple(np.nan_to_num(plan.fill, nan=0.0, posinf=0.0, neginf=0.0).tolist())
    return fill


def merges(shape: tuple[int, ...], strides: tuple[int, ...], first: int, last: int) -> bool:
    """Whether the axes first .. last - 1 of an array can be walked as one."""
    return all(shape[i] == 1 or strides[i] == shape[i + 1] * strides[i + 1] for i in range(first, last - 1))
