"""Tensors: only what is asked for, in their dtypes and layouts, with the numbers of arrays."""

import numpy as np
import pytest

import pullback as pb

torch = pytest.importorskip("torch")


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
