"""Forks, exits and interrupts at any moment, and machines that have no threads to give."""

import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="these are about POSIX")


def run(program, timeout=120, **options):
    """Run a program in a process of its own, and return what became of it."""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=timeout, **options)


FORKS = """
import os, sys, threading
import numpy as np
import pullback as pb
image = np.ones((300, 300), np.float32)
def work():
    for _ in range(8):
        pb.warp(image, pb.Affine.rotation(3), interpolation="lanczos4")
        pb.resize(image, (70, 80))
        pb.splat(image, np.zeros((300, 300, 2)), (4, 4))
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
child = os.fork()
if child == 0:
    work()
    os._exit(0)
for thread in threads:
    thread.join()
sys.exit(os.waitpid(child, 0)[1])
"""


def test_a_child_forked_during_the_first_calls_goes_on():
    for _ in range(5):
        ended = run(FORKS, timeout=60)
        assert ended.returncode == 0, ended.stderr


EXIT = """
import threading, time
import numpy as np
import pullback as pb
{setup}
def work():
    while True:
        pb.warp(image, pb.Affine.rotation(3), frame="centered")
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.3)
print("ends well")
"""
IMAGES = {
    "arrays": "image = np.ones((60, 60), np.float32)",
    "large arrays": "image = np.ones((900, 900), np.float32)",
}


@pytest.mark.parametrize("setup", IMAGES.values(), ids=IMAGES)
def test_an_exit_with_threads_inside_a_call_is_an_exit(setup):
    """With arrays: of a thread that adds two tensors, an exit makes an abort within PyTorch."""
    for _ in range(3):
        ended = run(EXIT.format(setup=setup))
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ends well\n", "")


LONG = {
    "warp": "pb.warp(np.ones((64, 3000, 3000), np.float32), turn, interpolation='lanczos4')",
    "splat": "pb.splat(np.ones(60_000_000, np.float32), np.zeros((60_000_000, 2), np.float32), (1000, 1000))",
    "vjp": "pb.warp_vjp(np.ones((64, 2000, 2000), np.float32), turn, np.ones((64, 2000, 2000), np.float32))",
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("call", LONG.values(), ids=LONG)
def test_a_long_call_can_be_interrupted(call, threads):
    program = f"""
import signal, sys, time
import numpy as np
import pullback as pb
signal.signal(signal.SIGINT, signal.default_int_handler)
pb.set_num_threads({threads})
turn = pb.Affine.rotation(30)
small = pb.warp(np.ones((9, 9)), turn)
begun = time.monotonic()
print("begins", flush=True)
try:
    {call}
except KeyboardInterrupt:
    print(np.array_equal(small, pb.warp(np.ones((9, 9)), turn)))
    sys.exit(3)
print(time.monotonic() - begun)
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begins\n"
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    if process.returncode == 0:
        assert float(rest) < 1.2, "the call was over before it could be interrupted"
        pytest.skip("this machine is too fast for the call to be interrupted")
    assert (process.returncode, rest) == (3, "True\n")


def test_without_threads_to_be_had_the_caller_goes_on_alone():
    resource = pytest.importorskip("resource")
    program = """
import numpy as np
import pullback as pb
image = np.random.default_rng(0).random((700, 700))
pb.set_num_threads(1)
wanted = pb.warp(image, pb.Affine.rotation(3))
pb.set_num_threads(64)
assert np.array_equal(pb.warp(image, pb.Affine.rotation(3)), wanted)
"""

    def no_threads():
        resource.setrlimit(resource.RLIMIT_STACK, (2**20, 2**20))
        resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29))

    ended = run(program, preexec_fn=no_threads, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"})
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("given", ["0", "-1", "many", "2.5", "100000", "1000000000", "99999999999999999999"])
def test_a_number_of_threads_that_is_none_is_warned_of(given):
    program = "import pullback as pb; print(pb.get_num_threads())"
    ended = run(program, env={**os.environ, "PULLBACK_NUM_THREADS": given})
    assert "RuntimeWarning: PULLBACK_NUM_THREADS is" in ended.stderr
    assert 1 <= int(ended.stdout) <= 1024


@pytest.mark.parametrize("given", ["1", "3", " 2 ", "1024", ""])
def test_a_number_of_threads(given):
    program = "import pullback as pb; print(pb.get_num_threads())"
    ended = run(program, env={**os.environ, "PULLBACK_NUM_THREADS": given})
    assert ended.stderr == ""
    assert int(ended.stdout) == (int(given) if given else len(os.sched_getaffinity(0)))
