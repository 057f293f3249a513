"""What a warp takes beside its input and its output: less than 1 MiB a thread."""

import subprocess
import sys

import pytest

import pullback as pb

STACK = """
import threading, numpy as np, pullback as pb
pb.set_num_threads(1)
rng = np.random.default_rng(0)
def run():
    for ndim, side in ((1, 5000), (2, 150), (3, 30)):
        for dtype in (np.uint8, np.float32, np.float64):
            image = (100 * rng.random((side,) * ndim)).astype(dtype)
            turn = pb.Affine(np.eye(ndim, ndim + 1) * 0.9)
            for interpolation in ("nearest", "linear", "lanczos4"):
                out = pb.warp(image, turn, interpolation=interpolation)
                pb.warp_vjp(image, turn, out, interpolation=interpolation)
threading.stack_size(1 << 20)
thread = threading.Thread(target=run)
thread.start()
thread.join()
print("done")
"""

PEAK = """
import numpy as np, pullback as pb
def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
image, out = np.ones((2048, 2048), np.float32), np.ones((2048, 2048), np.float32)
turn = pb.Affine.rotation(20)
pb.set_num_threads({threads})
pb.warp(image[:8, :8], turn, interpolation={interpolation!r}, out=out[:8, :8])
before = peak()
pb.warp(image, turn, interpolation={interpolation!r}, frame="centered", out=out)
print(peak() - before)
"""


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout.strip()


def test_everything_fits_a_stack_of_one_mebibyte():
    assert run(STACK) == "done"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_peak_hardly_rises(interpolation, threads):
    """In KiB, of the whole process: other allocations may add to it, so this is an upper bound."""
    kibibytes = int(run(PEAK.format(interpolation=interpolation, threads=threads)))
    assert kibibytes < 1024 * threads


@pytest.mark.parametrize("transform", ["affine", "projective", "free-form"])
def test_tensors_of_a_fused_warp(transform):
    """Forward and backward allocate the values and the gradients, and no tensor of the size of a grid beside them."""
    torch = pytest.importorskip("torch")
    shape = (4, 3, 200, 300)
    image = torch.rand(shape, requires_grad=True)
    build, parameters = {
        "affine": (pb.Affine, torch.eye(2, 3).repeat(4, 1, 1) + 0.05),
        "projective": (pb.Projective.from_parameters, torch.eye(3).repeat(4, 1, 1) + 0.05),
        "free-form": (pb.FreeForm, torch.rand(4, 6, 7, 2)),
    }[transform]
    parameters.requires_grad_()
    cotangent = torch.rand(shape)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        values = pb.warp(image, build(parameters), frame="centered")
        values.backward(cotangent)
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    sizes = sorted((event.nbytes() for event in events if event.nbytes() > 0), reverse=True)
    image_bytes = 4 * image.numel()
    assert sizes[:2] == [image_bytes] * 2
    assert sum(sizes[2:]) < 0.05 * image_bytes
    assert parameters.grad is not None
