"""Call codes: all of a call but its tensors and its output shape, as one string, which an operator takes.

A schema with a list for each part of a call costs more than a small warp, and a string can stand in a graph that
another process runs. Where all numbers are known the code has them all, and what it stands for is looked up. Where a
graph leaves sizes open, it has the name of the frame in the place of the numbers that depend on them.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

from pullback._cache import cached, constant_in_graphs, is_tracing
from pullback._plan import Frame, Lattice, Plan, Sizing, frames_of
from pullback.backends._request import Requests, requests_of


@cached
def code_of(lattice: Lattice, plan: Plan) -> str:
    """Return the code of a call."""
    numbers = (lattice.frame_in.scale, lattice.frame_in.offset, lattice.frame_out.scale, lattice.frame_out.offset)
    is_open = lattice.frame is not None and not _is_known(lattice.shape + lattice.whole, numbers)
    shape, frames = (None, lattice.frame) if is_open else (lattice.shape, numbers)
    whole = None if is_open and lattice.whole else lattice.whole
    return _written((lattice.kind, lattice.reversed, lattice.is_computed), shape, frames, whole, plan)


def _is_known(shape: tuple[int, ...], numbers: tuple[tuple[float, ...], ...]) -> bool:
    """Whether sizes, and numbers that depend on them, are no symbols of a graph."""
    return not is_tracing() and all(type(n) is int for n in shape) and all(type(x) is float for x in sum(numbers, ()))


def _written(rules: tuple[int, bool, bool], shape: Any, frames: Any, whole: Any, plan: Plan) -> str:
    fill = tuple(map(str, plan.fill))  # nan and inf are no literals
    reads = (plan.interpolation, plan.border, plan.crop, fill, plan.parameter, plan.prefilter)
    return repr((rules, shape, frames, whole, reads))


@cached
def _parsed(code: str) -> tuple[tuple[int, bool, bool], Any, Any, Any, Plan]:
    rules, shape, frames, whole, (interpolation, border, crop, fill, parameter, prefilter) = _literals(code)
    plan = Plan(interpolation, border, crop, tuple([_number(text) for text in fill]), parameter, prefilter)
    return rules, shape, frames, whole, plan


# torch.compile can trace neither of these. It takes nothing but tuples, numbers and strings for constants.
@constant_in_graphs
def _literals(code: str) -> Any:
    return ast.literal_eval(code)


@constant_in_graphs
def _number(text: str) -> complex:
    value = complex(text)
    return value if "j" in text else value.real


def plan_of(code: str) -> Plan:
    """Return the plan of a call."""
    return _parsed(code)[-1]


def call_of(shape: Any, code: str, in_shape: Any) -> tuple[Lattice, Plan]:
    """Read back what :func:`code_of` wrote, for an output of `shape` and an image of `in_shape`."""
    (kind, is_reversed, is_computed), known_shape, frames, whole, plan = _parsed(code)
    whole = tuple(in_shape) if whole is None else whole
    if known_shape is None:
        shape = tuple(shape)
        both = frames_of(frames, kind, tuple(in_shape), shape)
        return Lattice(kind, shape, *both, is_reversed, frames, is_computed, whole), plan
    scale_in, offset_in, scale_out, offset_out = frames
    both = Frame(scale_in, offset_in), Frame(scale_out, offset_out)
    return Lattice(kind, known_shape, *both, is_reversed, None, is_computed, whole), plan


@cached
def without_fill(code: str) -> str:
    """Return the code with a fill of 0: that of the linear part of a call."""
    rules, shape, frames, whole, plan = _parsed(code)
    return _written(rules, shape, frames, whole, replace(plan, fill=(0.0,)))


@cached
def with_each_fill(code: str) -> tuple[str, ...]:
    """Return the codes of channels that have a fill each; the one code where all have the same."""
    rules, shape, frames, whole, plan = _parsed(code)
    return tuple(_written(rules, shape, frames, whole, replace(plan, fill=(fill,))) for fill in plan.fill)


def code_of_sizing(sizing: Sizing) -> str:
    """Return the code of how an image is read in another size, which does not have the sizes."""
    fill = tuple(map(str, sizing.fill))
    return repr((sizing.interpolation, sizing.parameter, sizing.border, fill, sizing.antialias))


@cached
def sizing_of(code: str) -> Sizing:
    """Read back what :func:`code_of_sizing` wrote."""
    interpolation, parameter, border, fill, antialias = _literals(code)
    return Sizing(interpolation, parameter, border, tuple([_number(text) for text in fill]), antialias)


@cached
def sizing_without_fill(code: str) -> str:
    """Return the code with a fill of 0: that of the linear part."""
    return code_of_sizing(replace(sizing_of(code), fill=(0.0,)))


def requests_for(shape: Any, code: str, image: Any) -> Requests:
    """Return what the native module is asked for."""
    known = _requests(code)
    return _requests_at(code, tuple(shape), tuple(image.shape[2:])) if known is None else known


@cached
def _requests(code: str) -> Requests | None:
    return None if _parsed(code)[1] is None else _requests_of(None, code, None)


@cached
def _requests_at(code: str, shape: tuple[int, ...], in_shape: tuple[int, ...]) -> Requests:
    return _requests_of(shape, code, in_shape)


def _requests_of(shape: Any, code: str, in_shape: Any) -> Requests:
    lattice, plan = call_of(shape, code, in_shape)
    return requests_of(plan, lattice)
