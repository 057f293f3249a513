"""A few random calls with anything in their arguments; ``python tests/fuzz.py --seconds 600`` makes many more."""

import fuzz


def test_random_calls():
    counts = fuzz.search(0, count=200, seconds=None)
    assert counts.pop("failures") == 0
    assert sum(counts.values()) == 200
    assert counts["refused"] < 30
