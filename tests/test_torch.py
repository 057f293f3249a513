"""Tensors: only what is asked for, in their dtypes and layouts, with the numbers of arrays."""

import numpy as np
import pytest

import pullback as pb
from pullback._plan import LATTICES, Lattice, frames_of, make_plan

torch = pytest.importorskip("torch")

from pullback.backends.torch.codes import call_of, code_of, without_fill  # noqa: E402


def test_only_what_is_asked_for():
    image = torch.randn(1, 1, 8, 9)
    coords = (8 * torch.rand(1, 20, 2)).requires_grad_()
    pb.sample(image, coords).sum().backward()
    assert coords.grad.abs().sum() > 0
    assert image.grad is None
    with torch.no_grad():
        assert not pb.sample(image, coords).requires_grad


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.uint8])
def test_other_dtypes(dtype):
    image = (200 * torch.rand(2, 8, 9)).to(dtype)
    coords = 7 * torch.rand(30, 2)
    values = pb.sample(image, coords)
    assert values.dtype == dtype
    wanted = pb.sample(image.float(), coords)
    # half a unit in the last place of each dtype at 200
    torch.testing.assert_close(
        values.float(), wanted, rtol=0, atol={torch.float16: 0.07, torch.bfloat16: 0.51, torch.uint8: 0.51}[dtype]
    )
    if dtype.is_floating_point:
        image.requires_grad_()
        pb.sample(image, coords).float().sum().backward()
        assert image.grad.dtype == dtype


def test_strided_and_expanded_tensors():
    image = torch.randn(9, 8, 3, 2).permute(3, 2, 1, 0)
    coords = (7 * torch.rand(2, 20)).T.expand(2, 20, 2)
    torch.testing.assert_close(
        pb.sample(image, coords), pb.sample(image.contiguous(), coords.contiguous()), rtol=1e-6, atol=1e-6
    )
    leaf = image.clone(memory_format=torch.channels_last).requires_grad_()
    values = pb.sample(leaf, coords)
    (found,) = torch.autograd.grad(values.sum(), leaf)  # an expanded cotangent
    wanted = pb.splat(torch.ones(2, 3, 20), coords, (8, 9))
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)


def test_numpy_agrees():
    image = np.random.default_rng(0).standard_normal((2, 3, 20, 24)).astype(np.float32)
    turns = pb.Affine.rotation(np.array([10.0, 20.0]))
    found = pb.warp(torch.from_numpy(image), turns, frame="centered")  # parameters of NumPy follow the image
    np.testing.assert_array_equal(found.numpy(), pb.warp(image, turns, frame="centered"))


def test_what_is_for_numpy_alone():
    image = torch.randn(8, 9)
    with pytest.raises(TypeError, match="sample: `out` is for NumPy arrays"):
        pb.sample(image, torch.rand(3, 2), out=torch.empty(3))
    with pytest.raises(TypeError, match="sample_vjp: takes NumPy arrays"):
        pb.sample_vjp(image, torch.rand(3, 2), torch.ones(3))
    with pytest.raises(TypeError, match=r"sample: `image` is of dtype torch\.complex32"):
        pb.sample(torch.zeros(8, 9, dtype=torch.complex32), torch.rand(3, 2))


FILLS = [(0.0,), (np.nan, -np.inf), (1 + 2j, complex(np.nan, -0.0))]


@pytest.mark.parametrize("fill", FILLS, ids=str)
@pytest.mark.parametrize("frame", [None, "index", "centered", "normalized"])
def test_a_code_is_read_back_as_it_was_written(frame, fill):
    frames = frames_of(frame or "centered", LATTICES["affine"], (7, 9), (5, 6))
    lattice = Lattice(LATTICES["affine"], (5, 6), *frames, frame == "normalized", frame)
    plan = make_plan((pb.Cubic(-0.7), "spline3"), ("edge", "constant"), "crop", fill)
    found, read = call_of((5, 6), code_of(lattice, plan), (7, 9))
    assert read == plan  # to the bits of every number
    assert (found.kind, found.shape, found.reversed) == (lattice.kind, lattice.shape, lattice.reversed)
    assert (found.frame_in, found.frame_out) == frames
    assert call_of((5, 6), without_fill(code_of(lattice, plan)), (7, 9))[1].fill == (0.0,)


def test_a_code_leaves_open_what_a_graph_does(monkeypatch):
    monkeypatch.setattr("pullback.backends.torch.codes.is_tracing", lambda: True)
    lattice = Lattice(LATTICES["affine"], (5, 6), *frames_of("centered", 1, (7, 9), (5, 6)), False, "centered")
    plan = make_plan(("linear", "linear"), ("edge", "edge"), "blend", (0.0,))
    code = code_of.__wrapped__(lattice, plan)
    found, read = call_of((50, 60), code, (17, 19))
    assert read == plan
    assert found.shape == (50, 60)
    assert (found.frame_in, found.frame_out) == frames_of("centered", 1, (17, 19), (50, 60))


def test_a_tensor_without_data_has_shapes_and_dtypes():
    image = torch.empty(2, 3, 8, 9, dtype=torch.float16, device="meta", requires_grad=True)
    coords = torch.empty(2, 5, 2, device="meta", requires_grad=True)
    values = pb.sample(image, coords)
    assert values.device.type == "meta"
    assert (values.shape, values.dtype) == ((2, 3, 5), torch.float16)
    for leaf, grad in zip((image, coords), torch.autograd.grad(values.sum(), (image, coords)), strict=True):
        assert (grad.shape, grad.dtype, grad.device) == (leaf.shape, leaf.dtype, leaf.device)


def test_conjugates_and_negatives_are_read_as_what_they_are():
    image = torch.randn(7, 9, dtype=torch.complex64)
    coords = 6 * torch.rand(20, 2)
    for lazy in (image.conj(), image.conj().imag, image.mH):
        torch.testing.assert_close(pb.sample(lazy, coords), pb.sample(lazy.clone().resolve_neg(), coords))


def test_modes_of_dispatch_see_the_operators():
    from torch.utils._python_dispatch import TorchDispatchMode

    seen = []

    class Spy(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            seen.append(str(function))
            return function(*args, **(kwargs or {}))

    image, coords = torch.randn(7, 9, requires_grad=True), 6 * torch.rand(20, 2)
    with Spy():
        pb.sample(image, coords).sum().backward()
    assert [name for name in seen if name.startswith("pullback")] == ["pullback.pull.default", "pullback.vjp.default"]
