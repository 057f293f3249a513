"""The results have the same bits for any number of threads, in every run; threads survive forks and each other."""

import multiprocessing
import threading

import numpy as np
import pytest
from cases import BORDERS, EXTENTS, make
from covering import covered

import pullback as pb
from pullback.backends import numpy as backend

# Each splits in its own way: over chunks of points, channels, batch entries, bands of the scattered image.
SPLITS = {
    "one-large-image": dict(kind="affine", batch=(1, 1), channels=1, shape=(211, 190), points=(230, 260)),
    "one-large-image-given": dict(kind="given", batch=(1, 1), channels=1, shape=(211, 190), points=(230, 260)),
    "one-small-image": dict(kind="affine", batch=(1, 1), channels=1, shape=(20, 30), points=(230, 260)),
    "channels": dict(kind="affine", batch=(1, 1), channels=7, shape=(90, 80), points=(120, 130)),
    "batch": dict(kind="affine", batch=(9, 9), channels=1, shape=(28, 28), points=(28, 28)),
    "large-batch": dict(kind="affine", batch=(3, 3), channels=2, shape=(150, 120), points=(150, 120)),
    "shared-image": dict(kind="affine", batch=(1, 6), channels=1, shape=(40, 50), points=(90, 110)),
    "shared-large-image": dict(kind="given", batch=(1, 6), channels=1, shape=(140, 150), points=(90, 110)),
    "shared-geometry": dict(kind="affine", batch=(6, 1), channels=2, shape=(40, 50), points=(90, 110)),
    "short-line": dict(kind="given", batch=(1, 1), channels=1, shape=(9,), points=(900,)),
    "long-line": dict(kind="affine", batch=(1, 1), channels=1, shape=(30000,), points=(40000,)),
    "projective": dict(kind="projective", batch=(1, 3), shape=(120, 90), points=(190, 210)),
    "displacement": dict(kind="displacement", batch=(3, 1), shape=(120, 90), points=(190, 210)),
    "free-form": dict(kind="free-form", batch=(5, 5), shape=(120, 90), points=(190, 210)),
    "volume": dict(kind="given", batch=(1, 1), channels=1, shape=(21, 20, 22), points=(30, 31, 32)),
}


@pytest.fixture
def threads():
    before = pb.get_num_threads()
    yield pb.set_num_threads
    pb.set_num_threads(before)


def everything(case):
    """Return the results of every operation of the backend, as bytes."""
    values = backend.pull(case.image, case.geometry, case.lattice, case.plan, np.float32)
    grad = np.random.default_rng(1).uniform(-1, 1, values.shape).astype(np.float32)
    return {
        "pull": values.tobytes(),
        "gradient": backend.gradient(case.image, case.geometry, case.lattice, case.plan).tobytes(),
        "push": backend.push(grad, case.geometry, case.lattice, case.plan, case.image.shape).tobytes(),
        "vjp": b"".join(
            part.tobytes() for part in backend.vjp(case.image, case.geometry, grad, case.lattice, case.plan)
        ),
    }


@covered(
    split=list(SPLITS),
    interpolation=["nearest", "linear", "cubic", "lanczos3", "bspline5"],
    border=BORDERS,
    extent=EXTENTS,
    strength=2,
)
def test_same_bits(threads, split, interpolation, border, extent, seed):
    case = make(len(SPLITS[split]["shape"]), (interpolation, border, extent), **SPLITS[split], seed=seed)
    threads(1)
    wanted = everything(case)
    for count in (2, 5, 2):
        threads(count)
        found = everything(case)
        assert [name for name in wanted if found[name] != wanted[name]] == []


def work():
    case = make(2, **SPLITS["one-large-image"])
    return everything(case)["pull"]


def child(queue):
    queue.put(work())


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_fork_has_threads_of_its_own(threads):
    threads(3)
    wanted = work()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    assert queue.get(timeout=60) == wanted
    process.join(60)
    assert process.exitcode == 0
    assert work() == wanted


def test_calls_from_many_threads_at_once(threads):
    threads(2)
    wanted = work()
    found = [None] * 6
    callers = [threading.Thread(target=lambda i=i: found.__setitem__(i, work())) for i in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == [wanted] * 6


@pytest.mark.parametrize(("count", "error"), [(0, ValueError), (-1, ValueError), (2.0, TypeError), (True, TypeError)])
def test_counts_that_make_no_sense(count, error):
    with pytest.raises(error, match="set_num_threads: `count`"):
        pb.set_num_threads(count)
