"""Regularisers: what they are for maps whose value is known, and that their gradients are right."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

import pullback as pb  # noqa: E402

SHAPE = (12, 18)
REGULARIZERS = [
    pb.nn.distance_from_identity,
    pb.nn.overhang,
    pb.nn.bending_energy,
    pb.nn.area_change,
    pb.nn.fold_penalty,
]
each = pytest.mark.parametrize("function", REGULARIZERS, ids=lambda f: f.__name__)
each_family = pytest.mark.parametrize("family", pb.nn.FAMILIES)


def predicted(family: str, raw: torch.Tensor, shape=SHAPE) -> pb.Transform:
    return pb.nn.FAMILIES[family].build(raw, shape, {})


def drawn(family: str, size: float, count: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return size * torch.randn(count, pb.nn.FAMILIES[family].count(2), generator=generator, dtype=torch.float64)


@each
@each_family
def test_zero_for_the_identity(function, family):
    value = function(predicted(family, 0 * drawn(family, 1.0)), SHAPE)
    torch.testing.assert_close(value, torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-12)


@each
@each_family
def test_gradients_are_right(function, family):
    raw = drawn(family, 0.15, count=2).requires_grad_()
    options = {"least": 1.1} if function is pb.nn.fold_penalty else {}
    assert torch.autograd.gradcheck(
        lambda raw: function(predicted(family, raw, (6, 7)), (6, 7), **options), (raw,), atol=1e-4, fast_mode=True
    )


def test_distance_and_overhang_of_a_shift():
    shift = pb.Translation(torch.tensor([3.0, -4.0], dtype=torch.float64))
    assert pb.nn.distance_from_identity(shift, SHAPE).item() == pytest.approx(25)
    inner = pb.Affine(torch.tensor([[0.5, 0, 0], [0, 0.5, 0]]))
    assert pb.nn.overhang(inner, SHAPE).item() == 0
    # On a longer image the same view lies inside.
    aside = pb.Translation(torch.tensor([0.0, 1.0]))
    assert pb.nn.overhang(aside, (8, 8)).item() > 0
    assert pb.nn.overhang(aside, (8, 8), (8, 24)).item() == 0


def test_area_change_of_a_zoom_is_the_same_in_and_out():
    for factor in (0.5, 2.0):
        zoom = pb.Affine.scaling(torch.full((1, 2), factor, dtype=torch.float64))
        assert pb.nn.area_change(zoom, SHAPE).item() == pytest.approx(math.log(4) ** 2)


def test_what_has_no_area_is_far_from_any_and_no_further():
    matrix = torch.zeros(1, 2, 3, dtype=torch.float64).requires_grad_()
    value = pb.nn.area_change(pb.Affine(matrix), SHAPE)
    (slope,) = torch.autograd.grad(value.sum(), matrix)
    assert 1e5 < value.item() < math.inf
    assert slope.isfinite().all()


def test_bending_of_a_parabola_and_of_an_affine_map():
    """A field whose second derivative along y is 2 a everywhere, and all others are zero."""
    a, side = 0.3, 20
    y = (torch.arange(side, dtype=torch.float64) + 0.5) * 2 / side - 1
    field = torch.zeros(side, side, 2, dtype=torch.float64)
    field[..., 1] = a * y[:, None] ** 2
    assert pb.nn.bending_energy(pb.Displacement(field), (side, side)).item() == pytest.approx((2 * a) ** 2)
    affine = pb.Affine(torch.randn(4, 2, 3, dtype=torch.float64))
    torch.testing.assert_close(
        pb.nn.bending_energy(affine, SHAPE), torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-20
    )


def test_bending_comes_near_the_exact_energy_of_a_spline():
    points = torch.cartesian_prod(*[torch.linspace(-1, 1, 4, dtype=torch.float64)] * 2)
    moved = points.clone()
    moved[5] += torch.tensor([0.2, 0.1])
    spline = pb.ThinPlateSpline(points.numpy(), moved)
    # The mean over the square of side 2, times its area; outside of it little is bent.
    inside = 4 * pb.nn.bending_energy(spline, (200, 200)).item()
    assert inside == pytest.approx(spline.bending_energy().item(), rel=0.15)


def test_folds_are_penalised_in_proportion():
    mirror = pb.Affine(torch.tensor([[[1.0, 0, 0], [0, -2.0, 0]], [[1.0, 0, 0], [0, 1.0, 0]]]))
    torch.testing.assert_close(pb.nn.fold_penalty(mirror, SHAPE), torch.tensor([2.0, 0.0]))
    torch.testing.assert_close(pb.nn.fold_penalty(mirror, SHAPE, least=1.5), torch.tensor([3.5, 0.5]))


@each
def test_one_transform_gives_a_number_and_numpy_is_refused(function):
    assert function(pb.Affine(torch.eye(2, 3)), SHAPE).shape == ()
    with pytest.raises(TypeError, match="give one on tensors"):
        function(pb.Affine.identity(2), SHAPE)
    with pytest.raises(ValueError, match="is 2-D"):
        function(pb.Affine(torch.eye(2, 3)), (4, 5, 6))


@each
def test_beyond_a_horizon_there_is_nothing_to_regularize(function):
    """A part of the output is read from nowhere: the number and its gradient are of the rest."""
    matrix = torch.eye(3).repeat(2, 1, 1)
    matrix[1, 2, :2] = torch.tensor([1.3, 0.2])
    matrix.requires_grad_()
    transform = pb.Projective(matrix, one_sided=True)
    assert transform.coordinates((12, 9), "centered").isnan().any()
    value = function(transform, (12, 9))
    assert value.isfinite().all()
    value.sum().backward()
    assert matrix.grad.isfinite().all()


def test_bending_next_to_a_horizon_is_that_of_points_that_are_known():
    matrix = torch.tensor([[1.0, 0.1, 0.2], [-0.1, 1.2, 0.0], [1.3, 0.4, 1.0]], dtype=torch.float64)
    transform, shape = pb.Projective(matrix, one_sided=True), (10, 13)
    at, step = transform.coordinates(shape, "centered"), 1 / 5
    wanted = sum(
        torch.diff(torch.diff(at, dim=a), dim=b).div(step**2).square().sum(-1).nan_to_num(0).mean()
        for a in (0, 1)
        for b in (0, 1)
    )
    assert 0.1 < at.isnan().double().mean() < 0.9
    torch.testing.assert_close(pb.nn.bending_energy(transform, shape), wanted)


@each
def test_the_transforms_of_several_heads_are_given_one_by_one(function):
    with pytest.raises(TypeError, match="`transform` is a tuple, not a Transform; give one of them"):
        function((pb.Translation(torch.zeros(2)),) * 2, (8, 8))
