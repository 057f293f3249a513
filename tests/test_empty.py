"""Batches of none: every operation on tensors, its gradients and its second derivatives."""

from __future__ import annotations

import numpy as np
import pytest

import pullback as pb

torch = pytest.importorskip("torch")

from tracing import CORNERS, OPERATIONS  # noqa: E402

IMAGE = torch.rand(0, 3, 4, 5)
POINTS = torch.rand(0, 6, 2)
FAMILIES = {
    "Translation": lambda: pb.Translation(torch.zeros(0, 2)),
    "Euclidean": lambda: pb.Euclidean(torch.zeros(0), torch.zeros(0, 2)),
    "Similarity": lambda: pb.Similarity(torch.ones(0), torch.zeros(0), torch.zeros(0, 2)),
    "Affine": lambda: pb.Affine(torch.zeros(0, 2, 3)),
    "Projective": lambda: pb.Projective(torch.zeros(0, 3, 3)),
    "ThinPlateSpline": lambda: pb.ThinPlateSpline(CORNERS, torch.zeros(0, 5, 2)),
    "FreeForm": lambda: pb.FreeForm(torch.zeros(0, 4, 4, 2)),
    "Displacement": lambda: pb.Displacement(torch.zeros(0, 4, 5, 2)),
    "Velocity": lambda: pb.Velocity(torch.zeros(0, 4, 5, 2)),
}
# The first entries of these are looked at, or they are PyTorch's own of another size.
TAKEN = ("warp, a @ b", "affine_grid")


def hold(function, *inputs, is_slope=False):
    """Differentiate twice, a slope once; all gradients have the shapes of what they are gradients in."""
    leaves = [each.clone().requires_grad_() if each.is_floating_point() else each for each in inputs]
    result = function(*leaves)
    assert result.numel() == 0
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    if not result.requires_grad:
        return
    first = torch.autograd.grad(result.square().sum(), wanted, create_graph=True, allow_unused=True)
    assert all(grad is None or grad.shape == leaf.shape for grad, leaf in zip(first, wanted, strict=True))
    followed = [grad.square().sum() for grad in first if grad is not None and grad.requires_grad]
    if followed and not is_slope:
        torch.autograd.grad(sum(followed), wanted, allow_unused=True)


@pytest.mark.parametrize(
    "name", [n for n, each in OPERATIONS.items() if n not in TAKEN and any(len(x) == 2 < x.ndim for x in each.inputs)]
)
def test_an_operation_on_no_images(name):
    inputs = (each[:0] if len(each) == 2 < each.ndim else each for each in OPERATIONS[name].inputs)
    hold(OPERATIONS[name].function, *inputs, is_slope=name == "gradient")


@pytest.mark.parametrize("family", FAMILIES)
def test_no_transforms(family):
    transform = FAMILIES[family]()
    hold(lambda p: pb.warp(IMAGE, transform.with_parameters(p)), transform.parameters)
    hold(lambda p: pb.warp(IMAGE, transform.with_parameters(p), (2, 2), antialias=True), transform.parameters)
    hold(lambda p: transform.with_parameters(p)(POINTS, shape=(4, 5)), transform.parameters)
    hold(lambda p: transform.with_parameters(p).jacobian(POINTS, shape=(4, 5)), transform.parameters, is_slope=True)
    if family not in ("ThinPlateSpline", "FreeForm"):
        hold(lambda p: transform.with_parameters(p).inverse().parameters, transform.parameters)


@pytest.mark.parametrize("normalize", ["softmax", "max"])
def test_arrays_of_no_points_of_any_importance(normalize):
    image = pb.splat(np.zeros((0, 1, 3)), np.zeros((0, 3, 2)), (4, 5), normalize=normalize, importance=np.zeros((0, 3)))
    assert image.shape == (0, 1, 4, 5)
