"""The one cache: what its keys tell apart, what goes past it, what it holds at most, and what a fork leaves of it."""

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

import pullback as pb
from pullback import _cache
from pullback._cache import cached, exact, plain


def counting():
    """Return a cached function of one argument, and the list of the arguments that it was really called with."""
    calls = []

    @cached
    def function(value):
        calls.append(plain(value))
        return plain(value)

    return function, calls


SAME = {
    "a name": ("edge", "edge"),
    "zero": (0, 0),
    "one float": (0.5, 0.5),
    "NaNs": (float("nan"), np.float64("nan").item()),
    "tuples": ((1.0, 2.0), (1.0, 2.0)),
    "lists": ([1, [2.0]], [1, [2.0]]),
    "cubics": (pb.Cubic(-0.75), pb.Cubic(-0.75)),
    "arrays": (np.array([1.0, 2.0]), np.array([1.0, 2.0])),
    "numbers of NumPy": (np.float32(1), np.float32(1)),
}
OTHERS = {
    "signs of zero": (0.0, -0.0),
    "signs of zero in a tuple": ((1.0, 0.0), (1.0, -0.0)),
    "signs of zero of complex numbers": (complex(1, 0.0), complex(1, -0.0)),
    "integer and float": (0, 0.0),
    "integer and boolean": (1, True),
    "integer and boolean in a tuple": ((1, 1), (1, True)),
    "integer and boolean in a list of tuples": ([(1,)], [(True,)]),
    "list and tuple": ([1], (1,)),
    "name and list of it": ("edge", ["edge"]),
    "slopes of cubics": (pb.Cubic(0), pb.Cubic(0.0)),
    "dtypes of arrays": (np.zeros(2, "f4"), np.zeros(1, "f8")),
    "byte orders": (np.zeros(1, "<i2"), np.zeros(1, ">i2")),
    "shapes of arrays": (np.zeros((1, 2)), np.zeros((2, 1))),
    "numbers of NumPy": (np.float32(0), np.float64(0)),
}


@pytest.mark.parametrize("pair", SAME.values(), ids=SAME)
def test_the_same_is_found_again(pair):
    function, calls = counting()
    assert [type(function(exact(value))) for value in pair] == [type(pair[0])] * 2
    assert len(calls) == 1


@pytest.mark.parametrize("pair", OTHERS.values(), ids=OTHERS)
def test_what_only_compares_equal_is_told_apart(pair):
    function, calls = counting()
    for value in (*pair, *pair):
        result = function(exact(value))
        assert type(result) is type(value)
        assert repr(result) == repr(value)
    assert len(calls) == 2


@pytest.mark.parametrize(
    "value", [object(), {1: 2}, {1}, Fraction(1, 2), bytearray(b"a")], ids=lambda v: type(v).__name__
)
def test_what_may_change_goes_past_the_cache(value):
    function, calls = counting()
    assert function(exact(value)) is function(exact(value)) is value
    assert len(calls) == 2


def test_a_list_that_changes_is_another_key():
    function, calls = counting()
    fill = [1, 2]
    function(exact(fill))
    fill.append(3)
    function(exact(fill))
    function(exact([1, 2]))
    assert len(calls) == 3 or calls[-1] == [1, 2]


def test_fills_of_a_call_are_told_apart_by_their_sign():
    nowhere = [[-5.0, -5.0]]
    for fill in (0.0, -0.0, 0, (0.0,), (-0.0,), np.float32(-0.0)):
        value = pb.sample(np.ones((4, 4)), nowhere, fill=fill, interpolation="nearest")[0]
        assert np.signbit(value) == np.signbit(np.float64(fill if np.isscalar(fill) else fill[0])), fill


def test_memory_is_bounded_by_bytes():
    pb.clear_caches()

    @cached
    def table(n):
        return np.zeros(n, np.uint8)

    for n in range(2**22, 2**22 + 40):
        table(n)
    assert 2**24 < _cache._memory.bytes <= _cache.MOST_BYTES
    assert table(2**22 + 39) is table(2**22 + 39)
    assert table(2**25) is not table(2**25), "larger than a quarter of what is kept"
    pb.clear_caches()
    assert _cache._memory.bytes == 0


def test_clearing_forgets_and_changes_nothing():
    image = np.random.default_rng(0).random((30, 40))
    before = pb.resize(image, (11, 13), interpolation="lanczos3")
    pb.clear_caches()
    assert _cache._memory.bytes == 0
    assert np.array_equal(before, pb.resize(image, (11, 13), interpolation="lanczos3"))
    assert _cache._memory.bytes > 0


def test_a_child_forked_while_a_thread_remembers_is_not_caught_in_the_lock():
    program = """
import os, threading
import numpy as np, pullback as pb
stop = threading.Event()
def fill():
    n = 0
    while not stop.is_set():
        n += 1
        pb.resize(np.zeros(50 + n % 900), (7 + n % 11,))
threads = [threading.Thread(target=fill) for _ in range(3)]
for thread in threads: thread.start()
for _ in range(30):
    child = os.fork()
    if child == 0:
        pb.resize(np.zeros(5001), (33,))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
for thread in threads: thread.join()
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
