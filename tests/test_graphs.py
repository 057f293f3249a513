"""No gradient is lost in silence: where one is well defined it is there, and where not, an error says so."""

from __future__ import annotations

import pytest
from families import MATRICES, OF, each_case

import pullback as pb
from pullback.transforms import Projective

torch = pytest.importorskip("torch")


def pairs(ndim, count=9, noise=0.1):
    """Source, target and weights; a fit ends where its last digits no longer lessen the misfit."""
    generator = torch.Generator().manual_seed(ndim)
    source = 5 * torch.rand(count, ndim, generator=generator, dtype=torch.float64)
    target = 1.1 * source + noise * torch.randn(count, ndim, generator=generator, dtype=torch.float64)
    weights = 0.5 + torch.rand(count, generator=generator, dtype=torch.float64)
    return [each.requires_grad_() for each in (source, target, weights)]


# Where a misfit is not quadratic, a fit is known to the square root of a rounding.
STEP = {"eps": 1e-3, "atol": 1e-4}


@each_case(MATRICES)
def test_fits_are_differentiable_in_points_and_weights(family, ndim):
    there = torch.full((2, ndim), 2.0, dtype=torch.float64) + torch.arange(2.0)[:, None]

    def function(*given):
        return family.fit(*given)(there)

    assert torch.autograd.gradcheck(function, pairs(ndim), check_forward_ad=True, fast_mode=True, **STEP)
    if ndim == 2:
        assert torch.autograd.gradgradcheck(function, pairs(ndim), fast_mode=True, eps=1e-3, atol=1e-3)


@pytest.mark.parametrize("family", [OF[kind].kind for kind in MATRICES], ids=lambda kind: kind.__name__)
def test_fits_under_torch_func(family):
    source, target, _ = (each.detach() for each in pairs(2))

    def function(target):
        return family.fit(source, target).parameters

    targets = torch.stack([target, target + 1])
    mapped = torch.func.vmap(function)(targets)
    torch.testing.assert_close(mapped, torch.stack([function(each) for each in targets]))
    torch.testing.assert_close(torch.func.jacrev(function)(target), torch.func.jacfwd(function)(target))


def test_the_gradient_of_a_projective_fit_keeps_the_denominator_at_the_mean():
    source, target, _ = pairs(2)

    def denominator(source, target):
        fitted = Projective.fit(source, target).matrix
        return fitted[-1, :2] @ source.mean(0) + fitted[-1, 2]

    for slope in torch.func.grad(denominator, argnums=(0, 1))(source.detach(), target.detach()):
        assert slope.abs().max() < 1e-8


def test_a_fit_of_no_sets_has_gradients_of_none():
    source = torch.rand(0, 5, 2, requires_grad=True)
    pb.Affine.fit(source, torch.rand(5, 2)).parameters.sum().backward()
    assert source.grad.shape == source.shape


@pytest.mark.parametrize("ndim", [2, 3])
def test_control_points_of_a_spline_have_a_gradient(ndim):
    source, target, _ = pairs(ndim)
    points = torch.rand(4, ndim, dtype=torch.float64)

    def function(source, target):
        spline = pb.ThinPlateSpline(source, target, 0.1)
        lattice = spline.coordinates((3,) * ndim, "centered")
        return spline(points), spline.jacobian(points), spline.bending_energy(), lattice

    assert torch.autograd.gradcheck(function, (source, target), fast_mode=True)
    constant = pb.ThinPlateSpline(source.detach(), target.detach(), 0.1)
    ours = function(source, target)
    theirs = constant(points), constant.jacobian(points), constant.bending_energy()
    for one, other in zip(ours, (*theirs, constant.coordinates((3,) * ndim, "centered")), strict=True):
        torch.testing.assert_close(one.detach(), other)
    again = pb.ThinPlateSpline(source, target, 0.1).numpy()
    assert type(again.control_points).__module__ == "numpy"


def test_a_spline_keeps_the_dtype_of_its_targets():
    source, target, _ = pairs(2)
    spline = pb.ThinPlateSpline(source, target.float().detach())
    assert spline(target.float().detach()).dtype == spline.coordinates((4, 4)).dtype == torch.float32


@pytest.mark.parametrize(
    "fit",
    [
        lambda source, target: pb.Displacement.fit(source, target, (5, 6)),
        lambda source, target: pb.FreeForm.fit(source, target, (5, 6), (5, 4), smoothing=0.01),
    ],
    ids=["displacement", "free-form"],
)
def test_fits_of_fields_are_differentiable(fit):
    source, target, _ = pairs(2)
    assert torch.autograd.gradcheck(lambda *given: fit(*given).parameters, (source, target), fast_mode=True)
    expected = fit(source.detach().numpy(), target.detach().numpy()).parameters
    torch.testing.assert_close(fit(source, target).parameters.detach(), torch.tensor(expected))


def test_what_has_no_gradient_says_so():
    source, target, _ = pairs(2)
    with pytest.raises(TypeError, match=r"Velocity.fit: `source` requires a gradient.*source\.detach\(\)"):
        pb.Velocity.fit(source, target, (8, 8))
    with pytest.raises(TypeError, match="ThinPlateSpline: `smoothing` requires a gradient"):
        pb.ThinPlateSpline(source, target, torch.tensor(0.1, requires_grad=True))
    for fill in (torch.tensor(0.5, requires_grad=True), [torch.tensor(0.5, requires_grad=True)]):
        with pytest.raises(TypeError, match=r"warp: `fill` requires a gradient.*return_weight=True"):
            pb.warp(torch.rand(4, 4), pb.Translation([1.0, 0]), fill=fill)
        with torch.no_grad():
            pb.warp(torch.rand(4, 4), pb.Translation([1.0, 0]), fill=fill)


@pytest.mark.parametrize("options", [{}, {"extent": "crop"}, {"interpolation": "spline3"}], ids=str)
def test_the_way_round_for_a_fill_that_is_learned(options):
    image, move = torch.rand(6, 7, dtype=torch.float64), pb.Affine.rotation(20, (2, 3))
    fill = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    values, weight = pb.warp(image, move, fill=0, return_weight=True, **options)
    torch.testing.assert_close(values + fill * (1 - weight), pb.warp(image, move, fill=0.7, **options))


@pytest.mark.parametrize(
    "transform",
    [
        pb.Translation([0.5, 0.0]),
        pb.ThinPlateSpline.identity([[0.0, 0.0], [0.0, 4.0], [4.0, 0.0]]),
        pb.Projective.from_parameters(torch.eye(3), one_sided=True),
        pb.Chain(pb.Affine.rotation(10), pb.Displacement(torch.zeros(4, 4, 2)), pb.Translation([0.0, 1.0])),
    ],
    ids=lambda transform: type(transform).__name__,
)
def test_a_module_registers_what_a_transform_holds(transform):
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.motion = pb.nn.LearnableTransform(transform)

        def forward(self, image):
            return pb.warp(image, self.motion())

    model, image = Model(), torch.rand(1, 1, 4, 4)
    torch.testing.assert_close(model(image), pb.warp(image, transform), atol=1e-6, rtol=0)
    model(image).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert len(list(model.parameters())) == len(transform._held)
    other = Model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other(image), model(image))
