"""What the composite has beyond other backends: derivatives of any order; and its peer, grid_sample."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from cases import make

from pullback._plan import LATTICES, Frame, Lattice, Plan, frame_of, make_plan
from pullback.backends import composite


def plan_of(
    d: int, interpolation: str = "linear", border: str = "constant", extent: str = "blend", fill: tuple = (0.0,)
) -> Plan:
    return make_plan((interpolation,) * d, (border,) * d, extent, fill)


def given_lattice(shape: tuple[int, ...], d: int) -> Lattice:
    """Return a lattice of given index coordinates."""
    index = Frame((1.0,) * d, (0.0,) * d)
    return Lattice(LATTICES["given"], shape, index, index)


def test_a_point_wholly_on_a_fill_of_nan_has_no_derivative():
    image = torch.ones((1, 1, 3, 3))
    coords = torch.tensor([[[1.0, -3.5], [7.0, 1.5], [-0.5, 7.0]]], requires_grad=True)
    value = composite.pull(image, coords, given_lattice((3,), 2), plan_of(2, fill=(np.nan,)))
    value.sum().backward()
    assert (coords.grad == 0).all()


@pytest.mark.parametrize(
    ("d", "interpolation", "border", "kind"),
    [
        (1, "linear", "reflect", "given"),
        (2, "linear", "constant", "given"),
        (2, "linear", "symmetric", "affine"),
        (2, "nearest", "wrap", "given"),
        (3, "linear", "edge", "affine"),
        (2, "linear", "constant", "projective"),
        (2, "linear", "edge", "displacement"),
        (2, "linear", "wrap", "free-form"),
    ],
)
@pytest.mark.parametrize("operation", ["gradient", "push"])
def test_autograd_checks_to_second_order(d, interpolation, border, kind, operation):
    mode, options = (interpolation, border, "blend"), dict(frame="centered", batch=(1, 1), points=12, seed=d)
    case = make(d, mode, kind=kind, dtype=np.float64, fill=(0.5, -1.5), **options)
    function, array = partial(getattr(composite, operation), lattice=case.lattice, plan=case.plan), case.image
    if operation == "push":
        function = partial(function, shape=case.image.shape)
        array = np.random.default_rng(0).normal(size=case.values_shape)
    arguments = [torch.tensor(a, requires_grad=True) for a in (array, case.geometry)]
    assert torch.autograd.gradcheck(function, arguments, eps=1e-7, atol=1e-4, rtol=1e-4, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, arguments, eps=1e-7, atol=1e-3, rtol=1e-3, fast_mode=True)


@pytest.mark.parametrize("d", [2, 3], ids="{}d".format)
@pytest.mark.parametrize("interpolation", ["nearest", "linear"])
@pytest.mark.parametrize(
    ("border", "padding_mode", "align_corners"),
    [
        ("constant", "zeros", True),
        ("constant", "zeros", False),
        ("edge", "border", True),
        ("edge", "border", False),
        ("reflect", "reflection", True),
        ("symmetric", "reflection", False),
    ],
)
def test_pull_is_grid_sample(d, interpolation, border, padding_mode, align_corners):
    case = make(
        d, (interpolation, border, "blend"), shape=(4, 5, 3)[:d], points=(3, 4, 2)[:d], dtype=np.float64, fill=0
    )
    image, coords = torch.tensor(case.image), torch.tensor(case.geometry)
    n = torch.tensor(image.shape[2:])
    grid = (2 * coords / (n - 1) - 1 if align_corners else (2 * coords + 1) / n - 1).flip(-1)
    expected = torch.nn.functional.grid_sample(
        image,
        grid,
        mode={"linear": "bilinear", "nearest": "nearest"}[interpolation],
        padding_mode=padding_mode,
        align_corners=align_corners,
    )
    torch.testing.assert_close(composite.pull(image, coords, case.lattice, case.plan), expected, rtol=0, atol=1e-12)


def test_coordinates_of_half_precision_are_computed_in_float32():
    image = torch.arange(5000.0)[None, None]
    lattice = Lattice(LATTICES["affine"], (5000,), frame_of("index", (5000,)), frame_of("index", (5000,)))
    identity = torch.eye(1, 2, dtype=torch.float16)[None]
    assert torch.equal(composite.pull(image, identity, lattice, plan_of(1)), image)


def test_coefficients_first_made_in_inference_mode_serve_autograd_later():
    image, plan = torch.randn(1, 1, 37), plan_of(1, "spline4", "wrap")
    with torch.inference_mode():
        composite.prefilter(image, plan)
    image.requires_grad_()
    composite.prefilter(image, plan).sum().backward()
    assert image.grad is not None


def test_labels_carry_no_gradients():
    case = make(2, ("label", "reflect", "blend"), dtype=np.float64)
    image, coords = (torch.tensor(a, requires_grad=True) for a in (case.image, case.geometry))
    assert not composite.pull(image, coords, case.lattice, case.plan).requires_grad
    grad = torch.ones(case.values_shape, dtype=torch.float64)
    assert (composite.vjp(image, coords, grad, case.lattice, case.plan)[1] == 0).all()
