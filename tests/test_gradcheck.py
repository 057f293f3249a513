"""Finite differences of the first and the second order: every family, interpolation and border."""

import numpy as np
import pytest
from covering import covered
from families import ALL, LATTICE, OUTPUT, draw, leaves, with_parameters

import pullback as pb
from pullback._plan import BORDERS, INTERPOLATIONS, SPLINES

torch = pytest.importorskip("torch")

IMAGE = (7, 8)
KERNELS = [name for name in (*INTERPOLATIONS, *SPLINES) if name not in ("label", "nearest")]
# On an output of its own lattice the coordinates of a field are made inside the kernels, on another they are given.
CASES = {kind.__name__: (kind, LATTICE[2]) for kind in ALL} | {"coarse Displacement": (pb.Displacement, OUTPUT[2])}


@covered(family=CASES, interpolation=KERNELS, border=tuple(BORDERS), strength=2)
def test_families_interpolations_and_borders(family, interpolation, border, seed):
    kind, shape = family
    transform = draw(kind, 2, np.random.default_rng(seed), near=True)
    build = lambda *parameters: with_parameters(transform, parameters)  # noqa: E731
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(2, *IMAGE, dtype=torch.float64, generator=generator).requires_grad_()
    call = lambda f, *p: pb.warp(f, build(*p), shape, interpolation=interpolation, border=border, fill=0.5)  # noqa: E731
    inputs = (image, *leaves(transform))
    assert torch.autograd.gradcheck(call, inputs, eps=1e-7, atol=1e-4, rtol=1e-4, fast_mode=True)
    assert torch.autograd.gradgradcheck(call, inputs, eps=1e-7, atol=1e-3, rtol=1e-3, fast_mode=True)


def test_deterministic_algorithms_change_nothing():
    image, matrix = torch.rand(2, 3, 20, 30, requires_grad=True), (torch.eye(2, 3) + 0.1).requires_grad_()

    def gradients():
        return torch.autograd.grad(pb.warp(image, pb.Affine(matrix)).square().sum(), (image, matrix))

    plainly = gradients()
    torch.use_deterministic_algorithms(True)
    try:
        strictly = gradients()
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(one, other) for one, other in zip(plainly, strictly, strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_autocast_leaves_coordinates_in_single_precision(dtype):
    image, angle = torch.rand(1, 40, 50), torch.tensor(10.0, requires_grad=True)
    turned = lambda: pb.warp(image, pb.Affine.rotation(angle), frame="centered")  # noqa: E731
    plain = turned()
    with torch.autocast("cpu", dtype=dtype):
        cast = turned()
    assert torch.equal(cast, plain)
    cast.sum().backward()
    assert angle.grad.isfinite()
