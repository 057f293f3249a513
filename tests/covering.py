"""Covering arrays: few rows in which any three values that may meet do meet. A plugin of pytest.

Faults hang on a few circumstances at once, on a border and a dtype, and seldom on five. So a test that is marked
``@covered(border=BORDERS, dtype=DTYPES, ...)`` runs for some rows of the product of what it is given, in which each
combination of `strength` values occurs that the product holds. It gets one more argument if it has it, `seed`, a number
of the row's own, so that shapes and numbers differ from row to row too. With ``-m slow`` it runs for the whole product.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

covered = pytest.mark.covered


def covering(rows: np.ndarray, sizes: Sequence[int], strength: int = 3) -> np.ndarray:
    """Return few of `rows` in which all combinations of `strength` values occur that `rows` hold: their indices.

    Parameters
    ----------
    rows : ndarray of int, (n, factors)
        Those that may be taken; each of the factors has values from 0 on.
    sizes : sequence of int
        How many values each factor has.
    strength : int
        How many factors are combined.
    """
    combinations, starts = _combinations(rows, sizes, min(strength, len(sizes)))
    is_missing = np.zeros(starts[-1], bool)
    is_missing[combinations] = True
    random, taken = np.random.default_rng(0), []
    while is_missing.any():
        # Some row must hold the first combination that is missing: the one of those that brings the most.
        first = np.argmax(is_missing)
        holding = np.flatnonzero(combinations[:, np.searchsorted(starts, first, "right") - 1] == first)
        gains = is_missing[combinations[holding]].sum(axis=1)
        row = random.choice(holding[gains == gains.max()])
        is_missing[combinations[row]] = False
        taken.append(row)
    return np.array(taken, int)


def _combinations(rows: np.ndarray, sizes: Sequence[int], strength: int) -> tuple[np.ndarray, np.ndarray]:
    """Number the combinations of values: return those of each row, a column for each choice of factors, and starts."""
    numbers, starts = [], [0]
    for factors in map(list, itertools.combinations(range(len(sizes)), strength)):
        shape = [sizes[factor] for factor in factors]
        numbers.append(np.ravel_multi_index(tuple(rows[:, factors].T), shape) + starts[-1])
        starts.append(starts[-1] + int(np.prod(shape)))
    return np.stack(numbers, axis=1), np.array(starts)


def rows_of(
    factors: Mapping[str, Sequence[Any] | Mapping[str, Any]],
    *,
    strength: int = 3,
    allowed: Callable[..., bool] | None = None,
    whole: bool = False,
) -> Iterator[tuple[str, tuple[Any, ...], int]]:
    """Yield the name, the values and the seed of each row of a covering array, or of the `whole` product.

    Parameters
    ----------
    factors : mapping
        The values of each argument: a sequence, or a mapping from their names.
    allowed : callable, optional
        Takes the values of a row by name, and says whether they may stand together; all may by default.
    """
    names = [_names(values) for values in factors.values()]
    values = [list(v.values()) if isinstance(v, Mapping) else list(v) for v in factors.values()]
    sizes = [len(each) for each in values]
    rows = np.stack(np.unravel_index(np.arange(np.prod(sizes)), sizes), axis=1)
    if allowed is not None:
        may = [allowed(**{f: v[k] for f, v, k in zip(factors, values, row, strict=True)}) for row in rows]
        rows = rows[np.array(may, bool)]
    for row in rows if whole else rows[covering(rows, sizes, strength)]:
        name = "-".join(each[k] for each, k in zip(names, row, strict=True))
        yield name, tuple(each[k] for each, k in zip(values, row, strict=True)), zlib.crc32(name.encode())


def _names(values: Sequence[Any] | Mapping[str, Any]) -> list[str]:
    if isinstance(values, Mapping):
        return list(values)
    return ["-".join(v) if isinstance(v, tuple) and v and isinstance(v[0], str) else _name(v) for v in values]


def _name(value: Any) -> str:
    return value.__name__ if hasattr(value, "__name__") else str(value)


@pytest.fixture
def seed() -> int:
    """Return the seed of a test that no array gives one: an array's rows come in its place."""
    return 0


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", "covered(strength=3, allowed=None, **factors): see tests/covering.py")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Spread a test that is marked over the rows of its array."""
    for mark in metafunc.definition.iter_markers("covered"):
        factors = dict(mark.kwargs)
        options = {name: factors.pop(name) for name in ("strength", "allowed") if name in factors}
        expression = metafunc.config.getoption("markexpr")
        whole = "slow" in expression and "not slow" not in expression
        names = [*factors, "seed"] if "seed" in metafunc.fixturenames else list(factors)
        marks = [pytest.mark.slow] if whole else []
        metafunc.parametrize(
            names,
            [
                pytest.param(*values, *((seed,) if "seed" in names else ()), id=name, marks=marks)
                for name, values, seed in rows_of(factors, **options, whole=whole)
            ],
        )
