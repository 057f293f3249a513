"""Finite differences of the first and the second order: every family, interpolation and border."""

import numpy as np
import pytest

import pullback as pb
from pullback._plan import BORDERS, INTERPOLATIONS, SPLINES

torch = pytest.importorskip("torch")

IMAGE, OUTPUT = (7, 8), (4, 5)
GRID = np.stack(np.meshgrid([0.0, 3.5], [0.0, 2.0, 4.0], indexing="ij"), -1).reshape(-1, 2)
KERNELS = [name for name in (*INTERPOLATIONS, *SPLINES) if name not in ("label", "nearest")]


def near(still):
    """Parameters not far from those of the identity, and of no simple ratios: no point is at a knot."""
    return torch.tensor(still + np.random.default_rng(0).uniform(0.03, 0.17, still.shape))


FAMILIES = {
    "Translation": (pb.Translation, near(np.full(2, 1.2))),
    "Euclidean": (pb.Euclidean.from_parameters, near(np.array([0.1, 1.2, 1.1]))),
    "Similarity": (pb.Similarity.from_parameters, near(np.array([1.0, 0.1, 1.2, 1.1]))),
    "Affine": (pb.Affine, near(np.array([[1.0, 0, 1], [0, 1, 1]]))),
    "Projective": (pb.Projective.from_parameters, near(np.array([[1.0, 0, 1], [0, 1, 1], [-0.09, -0.08, 0.9]]))),
    "ThinPlateSpline": (lambda p: pb.ThinPlateSpline(GRID, p), near(GRID + 1)),
    "FreeForm": (pb.FreeForm, near(np.full((4, 5, 2), 1.0))),
    "Displacement": (pb.Displacement, near(np.full((*OUTPUT, 2), 1.0))),
    "coarse Displacement": (pb.Displacement, near(np.full((3, 3, 2), 1.0))),
    "Velocity": (lambda p: pb.Velocity(p, steps=2), near(np.full((*OUTPUT, 2), 1.0))),
    "Chain": (lambda p: pb.Affine([[0.9, 0.1, 0.4], [0, 1.1, 0.3]]) @ pb.FreeForm(p), near(np.full((4, 4, 2), 0.5))),
}
every_family = pytest.mark.parametrize("family", FAMILIES)
every_border = pytest.mark.parametrize("border", BORDERS)


@every_family
@every_border
@pytest.mark.parametrize("interpolation", KERNELS)
def test_families_interpolations_and_borders(family, interpolation, border):
    build, parameters = FAMILIES[family]
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(2, *IMAGE, dtype=torch.float64, generator=generator).requires_grad_()
    call = lambda f, p: pb.warp(f, build(p), OUTPUT, interpolation=interpolation, border=border, fill=0.5)  # noqa: E731
    inputs = (image, parameters.clone().requires_grad_())
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
