"""The border rules as array operations, and the table of what is known of each in Python.

A rule says which sample of an axis is read by a tap that may lie beyond it. All that stands here are operators and
methods that arrays of NumPy and of torch have alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

Array: TypeAlias = Any


@dataclass(frozen=True)
class Rule:
    """A row of the table.

    Attributes
    ----------
    name : str
        What callers ask for: the name that `numpy.pad` has for it.
    code : int
        The value in the enum of ``native/params.hpp``.
    sample : callable
        From taps, integers, and the number of samples to the samples that they read.
    is_filled : bool
        Whether taps beyond the axis read `fill`, and not the sample that `sample` names.
    """

    name: str
    code: int
    sample: Callable[[Array, int], Array]
    is_filled: bool = False


def _nearest(k: Array, n: int) -> Array:
    return k.clip(0, max(n - 1, 0))


def _reflect(k: Array, n: int) -> Array:
    last = n - 1
    return last - abs(k % max(2 * last, 1) - last)


def _symmetric(k: Array, n: int) -> Array:
    return (2 * n - 1 - abs(2 * (k % (2 * n)) - (2 * n - 1))) // 2


def _wrap(k: Array, n: int) -> Array:
    return k % n


RULES: dict[int, Rule] = {
    rule.code: rule
    for rule in (
        Rule("constant", 0, _nearest, is_filled=True),
        Rule("edge", 1, _nearest),
        Rule("reflect", 2, _reflect),
        Rule("symmetric", 3, _symmetric),
        Rule("wrap", 4, _wrap),
    )
}
