"""Thin-plate splines: against SciPy, at any scale, and their bending energy."""

from __future__ import annotations

import numpy as np
import pytest
from families import draw, one_of, points_of
from scipy.interpolate import RBFInterpolator

from pullback.transforms import Affine, ThinPlateSpline, radial
from pullback.transforms import thin_plate_spline as spline_module

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("smoothing", [0.0, 4.0])
@pytest.mark.parametrize("ndim", [2, 3])
def test_spline_is_scipys(ndim, smoothing):
    rng = np.random.default_rng(0)
    source = rng.uniform(0, 60, (20, ndim))
    target = source + rng.normal(size=(20, ndim)) * 5
    points = rng.uniform(-20, 80, (50, ndim))
    # SciPy's kernel in 2-D is r² log r, half of ours.
    kernel, weight = ("thin_plate_spline", smoothing / 2) if ndim == 2 else ("linear", smoothing)
    expected = RBFInterpolator(source, target, kernel=kernel, degree=1, smoothing=weight)(points)
    spline = ThinPlateSpline(source, target, smoothing)
    np.testing.assert_allclose(spline(points), expected, rtol=0, atol=1e-10)
    if smoothing == 0:
        np.testing.assert_allclose(spline(source), target, rtol=0, atol=1e-11)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_spline_is_exact_at_any_scale(scale):
    rng = np.random.default_rng(0)
    source = scale * (rng.uniform(-1, 1, (30, 2)) + 10)
    target = source + scale * rng.normal(size=(30, 2))
    np.testing.assert_allclose(ThinPlateSpline(source, target)(source), target, rtol=0, atol=1e-11 * scale)


@pytest.mark.parametrize("smoothing", [0.0, 100.0])
def test_spline_meets_an_affine_map_exactly(smoothing):
    rng = np.random.default_rng(0)
    source, points = rng.uniform(0, 60, (9, 2)), rng.uniform(-100, 100, (50, 2))
    affine = Affine(rng.normal(size=(2, 3)))
    spline = ThinPlateSpline(source, affine(source), smoothing)
    np.testing.assert_allclose(spline(points), affine(points), atol=1e-10)
    assert spline.bending_energy() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("ndim", [2, 3])
def test_bending_energy_is_the_integral(ndim):
    rng = np.random.default_rng(0)
    source = rng.uniform(-3, 3, (6, ndim))
    spline = ThinPlateSpline(source, source + rng.normal(size=(6, ndim)))
    count = {2: 200, 3: 40}[ndim]
    # Nodes that grow sparser outwards, to 60 times the spread of the control points.
    parameter = (np.arange(count) + 0.5) / count * 2 - 1
    nodes, weights = 2 * np.sinh(4.8 * parameter), 2 * 4.8 * np.cosh(4.8 * parameter) * 2 / count
    points = np.stack(np.meshgrid(*[nodes] * ndim, indexing="ij"), -1)
    weight = np.prod(np.stack(np.meshgrid(*[weights] * ndim, indexing="ij"), -1), -1)
    energy, step = 0.0, 1e-4
    for axis in range(ndim):
        above, below = (spline.jacobian(points + sign * step * np.eye(ndim)[axis]) for sign in (1, -1))
        energy += (weight[..., None, None] * ((above - below) / (2 * step)) ** 2).sum()
    # The rule meets singularities: of log² in 2-D, of 1/r² in 3-D.
    assert spline.bending_energy() == pytest.approx(energy, rel={2: 0.01, 3: 0.05}[ndim])


def test_bending_energy_has_a_gradient_and_a_batch():
    rng = np.random.default_rng(0)
    source = rng.uniform(-3, 3, (6, 2))
    targets = torch.tensor(source + rng.normal(size=(2, 6, 2)), requires_grad=True)
    spline = ThinPlateSpline(source, targets)
    assert spline.bending_energy().shape == (2,)
    assert torch.autograd.gradcheck(lambda t: spline.with_parameters(t).bending_energy(), targets)
    np.testing.assert_allclose(spline.numpy().bending_energy()[1], one_of(spline.numpy(), 1).bending_energy())


def test_the_basis_of_a_lattice_is_kept_unless_it_is_large(monkeypatch):
    rng = np.random.default_rng(0)
    spline = draw(ThinPlateSpline, 2, rng, (2,))
    grad = rng.normal(size=(2, 8, 5, 2))
    kept = spline.coordinates((8, 5), "centered"), spline.coordinates_vjp(grad, (8, 5), "centered")
    basis = [radial.lattice_basis(spline._system, (8, 5), "centered", spline.parameters) for _ in range(2)]
    assert basis[0] is basis[1]
    assert not basis[0].flags.writeable
    monkeypatch.setattr(spline_module, "_LARGEST_BASIS", 0)
    monkeypatch.setattr(spline_module, "lattice_basis", None)
    monkeypatch.setattr(radial, "_PIECE", 50)
    pieces = spline.coordinates((8, 5), "centered"), spline.coordinates_vjp(grad, (8, 5), "centered")
    for whole, piecewise in zip(kept, pieces, strict=True):
        np.testing.assert_allclose(piecewise, whole, rtol=0, atol=1e-13)
    np.testing.assert_allclose(spline.torch().coordinates((8, 5), "centered"), kept[0], rtol=0, atol=1e-13)
    points = points_of((8, 5), "index", rng, (2, 5, 7))
    in_pieces = spline(points), spline.jacobian(points)
    monkeypatch.undo()
    for whole, piecewise in zip((spline(points), spline.jacobian(points)), in_pieces, strict=True):
        np.testing.assert_allclose(piecewise, whole, rtol=0, atol=1e-13)


def test_a_basis_kept_in_inference_mode_serves_training():
    spline = draw(ThinPlateSpline, 2, np.random.default_rng(7))
    with torch.inference_mode():
        spline.torch().coordinates((5, 6))
    parameters = torch.tensor(spline.parameters, requires_grad=True)
    spline.with_parameters(parameters).coordinates((5, 6)).sum().backward()
    assert parameters.grad.isfinite().all()
