"""Displacement fields: how they are read, their inverse, and their folds."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from families import LATTICE, draw, each_frame, lattice_points, smooth_field

from pullback._plan import FRAMES, frame_of, is_reversed
from pullback.transforms import Displacement, Velocity

torch = pytest.importorskip("torch")


def test_a_field_is_read_between_its_samples_and_beyond_them():
    field = np.zeros((1, 3, 2))
    field[0, :, 1] = [0.0, 2.0, 6.0]
    displacement = Displacement(field)
    np.testing.assert_array_equal(
        displacement([[0.0, 0.5], [0.0, 1.25], [0.0, 9.0], [-4.0, -3.0]])[:, 1], [1.5, 4.25, 15.0, -3.0]
    )


def test_a_field_spans_the_extent_of_the_output():
    """Doubling the output puts two pixels into each sample: the first and the last are beyond the outermost samples."""
    field = np.array([[0.0], [4.0], [8.0]])
    read = Displacement(field).coordinates((6,)) - lattice_points((6,), "index")
    np.testing.assert_allclose(read[:, 0], [0.0, 1.0, 3.0, 5.0, 7.0, 8.0], atol=1e-14)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_a_field_on_its_own_lattice_is_added_as_it_is(ndim):
    transform = draw(Displacement, ndim, np.random.default_rng(0))
    expected = lattice_points(LATTICE[ndim], "index") + transform.parameters
    np.testing.assert_array_equal(transform.coordinates(LATTICE[ndim]), expected)
    for frame in FRAMES:
        expected = lattice_points(LATTICE[ndim], frame) + transform.parameters
        np.testing.assert_allclose(transform.coordinates(LATTICE[ndim], frame), expected, rtol=0, atol=1e-13)


@each_frame
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_inverse_of_a_field_undoes_it_at_the_samples(ndim, frame):
    shape = {1: (40,), 2: (20, 25), 3: (10, 12, 8)}[ndim]
    unit = np.array(frame_of(frame, shape).scale)
    fields = np.stack([smooth_field(shape, 0.8, np.random.default_rng(k)) for k in range(2)])
    fields = (fields / unit)[..., ::-1] if is_reversed(frame) else fields / unit
    transform = Displacement(fields)
    inverse = transform.inverse(tolerance=1e-9, frame=frame)
    points = lattice_points(shape, frame)[None]
    assert type(inverse) is Displacement
    unit = unit[::-1] if is_reversed(frame) else unit
    assert abs((transform(inverse(points, frame=frame), frame=frame) - points) * unit).max() <= 2e-9
    # The other way round, away from the edge, the inverse is read between its samples: a curvature of at most
    # 0.8 (pi / n)² leaves an eighth of that, times the slope's amplification.
    inner = np.s_[(slice(None), *(slice(3, -3),) * ndim)]
    error = abs((inverse(transform(points, frame=frame), frame=frame) - points) * unit)[inner]
    assert error.max() < 0.8 * (math.pi / min(shape)) ** 2


def test_inverse_of_an_affine_field_is_exact_between_samples():
    points = lattice_points((30, 30), "index")
    linear = np.array([[1.05, 0.1], [-0.1, 0.95]])
    field = Displacement((points - 14.5) @ (linear - np.eye(2)).T)
    inner = points[8:-8, 8:-8] + 0.3
    np.testing.assert_allclose(field.inverse(1e-12)(field(inner)), inner, rtol=0, atol=1e-10)


def stretching(ndim, strength):
    """A bump that stretches by 1 + strength in its middle, and folds nowhere up to a strength of about 2."""
    shape = (64, 40, 24)[:ndim]
    points = lattice_points(shape, "index") - (np.array(shape) - 1) // 2
    bump = np.exp(-(points**2).sum(-1) / (2 * (min(shape) / 8) ** 2))
    return strength * points * bump[..., None]


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("strength", [1.0, 1.8])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_inverse_of_a_field_that_stretches(ndim, strength, library):
    """By 2 and nearly 3, where the iteration of a fixed point goes astray."""
    field = stretching(ndim, strength)
    points = lattice_points(field.shape[:-1], "index")
    transform = Displacement(field)
    assert transform.folds() == 0
    inverse = (transform.torch() if library == "torch" else transform).inverse(1e-9).numpy()
    assert abs(transform(inverse(points)) - points).max() <= 1e-9


def test_inverse_of_steps():
    """A line in pieces, of slopes from 0.05 to 3: a Jacobian tells of one side of a kink alone."""
    random = np.random.default_rng(0)
    there = np.cumsum(random.choice([0.05, 0.3, 3.0], (20, 90)), axis=1)
    field = Displacement((there - np.arange(90.0))[..., None])
    points = lattice_points((90,), "index")[None]
    assert (field.folds() == 0).all()
    assert abs(field(field.inverse()(points)) - points).max() <= 1e-6


def test_inverse_of_a_stretch_has_a_gradient():
    field = torch.tensor(stretching(1, 1.7)[20:44], requires_grad=True)
    assert torch.autograd.gradcheck(lambda f: Displacement(f).inverse(1e-13).parameters, field, fast_mode=True)


def test_inverse_of_a_fold_is_refused_with_what_is_left():
    field = np.zeros((9, 9, 2))
    field[4, 4] = [0.0, 3.0]
    with pytest.raises(ValueError, match="the map folds at 1 of its samples"):
        Displacement(field).inverse()
    with pytest.raises(ValueError, match=r"after 1 iterations the inverse is still off by up to .* folds at 1 of"):
        Displacement(field).inverse(max_iterations=1)
    with pytest.raises(ValueError, match="still off by up to nan"):
        Displacement(np.full((4, 4, 2), np.nan)).inverse()


def test_inverse_of_a_tensor_has_the_gradient_of_its_equation():
    field = torch.tensor(smooth_field((5, 6), 0.6, np.random.default_rng(0)), requires_grad=True)
    # Finite differences with steps of 1e-6 need an inverse that is better than that.
    assert torch.autograd.gradcheck(lambda f: Displacement(f).inverse(1e-13, 500).parameters, field, fast_mode=True)
    low = Displacement(field.detach().float()).inverse()
    assert low.parameters.dtype == torch.float32
    assert not low.parameters.requires_grad
    leaf = field.detach().bfloat16().requires_grad_()
    half = Displacement(leaf).inverse().parameters
    half.sum().backward()
    assert half.dtype == leaf.grad.dtype == torch.bfloat16


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_folds_are_counted(ndim):
    shape = (8,) * ndim
    smooth = smooth_field(shape, 0.5, np.random.default_rng(0))
    fold = smooth.copy()
    fold[(4,) * ndim][0] += 30
    assert Displacement(smooth).folds() == 0
    assert isinstance(Displacement(fold).folds(), int)
    assert Displacement(fold).folds() >= 1
    counts = Displacement(np.stack([smooth, fold])).folds()
    np.testing.assert_array_equal(counts, [0, Displacement(fold).folds()])
    np.testing.assert_array_equal(Displacement(np.stack([smooth, fold])).torch().folds(), counts)
    # A mirrored axis is a fold everywhere but at the last sample, where the field goes on as a constant.
    mirrored = Displacement(-2 * lattice_points((8,), "index"))
    assert mirrored.folds() == 7


@pytest.mark.parametrize("family", [Displacement, Velocity])
def test_folds_are_warned_of_on_request(family):
    random = np.random.default_rng(0)
    rough = family(random.uniform(-9, 9, (12, 13, 2)))
    count = rough.folds()
    assert count > 0
    with pytest.warns(RuntimeWarning, match=f"{family.__name__}: the map folds at {count} pixels"):
        assert rough.folds(warn=True) == count
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert family.identity((12, 13)).folds(warn=True) == 0
