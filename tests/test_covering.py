"""Covering arrays hold every combination that is allowed, none that is not, and little else."""

import itertools

import pytest
from covering import rows_of
from hypothesis import given
from hypothesis import strategies as st

FACTORS = {"kernel": "abcdefg", "border": range(5), "dtype": ["u", "f"], "ndim": [1, 2, 3], "shared": [False, True]}


def combinations(rows, strength):
    """Return all combinations of values, with the places that they stand at."""
    return {
        tuple((k, row[k]) for k in places)
        for row in rows
        for places in itertools.combinations(range(len(row)), min(strength, len(row)))
    }


def values_of(factors, **options):
    return [values for _, values, _ in rows_of(factors, **options)]


def not_both(kernel, border, dtype, ndim, shared):
    return not (dtype == "u" and kernel in "cdef") and not (ndim == 3 and shared and border != 2)


@pytest.mark.parametrize("strength", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("allowed", [None, not_both])
def test_every_allowed_combination_occurs_and_no_other(strength, allowed):
    product = list(itertools.product(*FACTORS.values()))
    wanted = [row for row in product if allowed is None or allowed(*row)]
    rows = values_of(FACTORS, strength=strength, allowed=allowed)
    assert set(rows) <= set(wanted)
    assert combinations(rows, strength) == combinations(wanted, strength)
    assert len(set(rows)) == len(rows)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.integers(1, 3), st.integers(2, 7), st.integers(0, 6))
def test_so_for_any_factors_and_any_constraint(sizes, strength, modulus, remainder):
    factors = {f"f{k}": range(n) for k, n in enumerate(sizes)}
    allowed = lambda **row: sum((k + 2) * v for k, v in enumerate(row.values())) % modulus != remainder  # noqa: E731
    wanted = [row for row in itertools.product(*factors.values()) if allowed(**dict(zip(factors, row, strict=True)))]
    if wanted:
        rows = values_of(factors, strength=strength, allowed=allowed)
        assert set(rows) <= set(wanted)
        assert combinations(rows, strength) == combinations(wanted, strength)


def test_rows_are_few():
    # No array is smaller than the product of its three longest factors; a greedy one is a little longer.
    assert len(values_of(FACTORS)) <= 1.2 * 7 * 5 * 3
    assert len(values_of({f"f{k}": range(3) for k in range(8)})) < 70  # of 6,561


def test_each_row_has_a_seed_of_its_own_and_keeps_it():
    rows = list(rows_of(FACTORS))
    assert rows == list(rows_of(FACTORS))
    seeds = {values: seed for _, values, seed in rows}
    assert len(set(seeds.values())) == len(rows)
    whole = {values: seed for _, values, seed in rows_of(FACTORS, whole=True)}
    assert len(whole) == 7 * 5 * 2 * 3 * 2
    assert seeds.items() <= whole.items()


def test_names_are_those_of_mappings_and_of_types():
    factors = {"dtype": [int, float], "batch": {"own": (2, 2)}, "mode": [("linear", "wrap")], "n": [3]}
    names = {name: values for name, values, _ in rows_of(factors)}
    assert names["float-own-linear-wrap-3"] == (float, (2, 2), ("linear", "wrap"), 3)


def test_a_marked_test_runs_for_its_rows_and_for_the_product_where_slow_ones_are_asked_for(pytester):
    pytester.makeini("[pytest]\nmarkers = slow\naddopts = -m 'not slow' --strict-markers")
    pytester.makepyfile(
        """
        from covering import covered

        @covered(a="xyz", b="uvw", c="pq", allowed=lambda a, b, c: a != "x" or b != "u", strength=2)
        def test_some(a, b, c, seed):
            assert a + b != "xu"
            assert isinstance(seed, int)

        @covered(a="xyz")
        def test_without_a_seed(a):
            assert a in "xyz"
        """
    )
    pytester.runpytest_inprocess("-p", "covering").assert_outcomes(passed=8 + 3)
    pytester.runpytest_inprocess("-p", "covering", "-m", "slow").assert_outcomes(passed=16 + 3)
