"""Velocity fields: the exponential of a linear one, the way back, and displacements in any frame."""

from __future__ import annotations

import numpy as np
import pytest
from families import draw, lattice_points, leaves, points_of, smooth_field
from scipy import linalg, ndimage

import pullback as pb
from pullback._plan import FRAMES, frame_of, is_reversed
from pullback.transforms import Velocity

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("ndim", [2, 3])
def test_flow_of_a_linear_field_is_the_matrix_exponential(ndim):
    rng = np.random.default_rng(0)
    shape = {2: (31, 33), 3: (17, 15, 19)}[ndim]
    middle = (np.array(shape) - 1) / 2
    generator = 0.1 * rng.normal(size=(ndim, ndim))
    points = lattice_points(shape, "index")
    inner = points[(slice(5, -5),) * ndim].reshape(-1, ndim)
    inner = inner[np.linalg.norm(inner - middle, axis=-1) < 5]
    for steps, tolerance in ((4, 1e-9), (20, 1e-5)):
        flow = Velocity((points - middle) @ generator.T, steps)
        # Squaring multiplies the Euler step by itself; with more steps that is the exponential, off by 2**-steps.
        euler = np.linalg.matrix_power(np.eye(ndim) + generator / 2**steps, 2**steps)
        expected = (inner - middle) @ (euler if steps == 4 else linalg.expm(generator)).T + middle
        np.testing.assert_allclose(flow(inner), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("sigma", "path", "accuracy"), [(4, 10, 0.08), (6, 10, 0.04), (2, 4, 0.08)])
def test_flow_beside_a_runge_kutta_solution(sigma, path, accuracy):
    """Of the same smooth field, paths up to 4 and 10 samples long; linear reads are at least three times as far off."""
    random = np.random.default_rng(0)
    field = np.stack([ndimage.gaussian_filter(random.standard_normal((64, 64)), sigma) for _ in range(2)], -1)
    field *= path / np.abs(field).max()
    ahead = points = lattice_points((64, 64), "index")

    def velocity(x):
        return np.moveaxis(pb.sample(np.moveaxis(field, -1, 0), x, interpolation="spline5", border="edge"), 0, -1)

    for _ in range(50):
        first = velocity(ahead)
        second = velocity(ahead + first / 100)
        third = velocity(ahead + second / 100)
        ahead = ahead + (first + 2 * second + 2 * third + velocity(ahead + third / 50)) / 300
    off = np.abs(Velocity(field)(points) - ahead)[14:-14, 14:-14].max()
    assert off < accuracy
    assert Velocity(field).folds() == 0


def test_flow_back_undoes_flow_to_second_order():
    errors = []
    for side in (24, 48):
        shape = (side, side)
        flow = Velocity(smooth_field(shape, side / 12, np.random.default_rng(0)), steps=12)
        edge = side // 4
        inner = lattice_points(shape, "index")[edge:-edge, edge:-edge]
        errors.append(
            max(abs(a(b(inner)) - inner).max() / side for a, b in [(flow, flow.inverse()), (flow.inverse(), flow)])
        )
        assert flow.folds() == 0
    # A twelfth of the side to and fro; a lattice of twice the side has a quarter of the error or little more.
    assert errors[0] < 0.002
    assert errors[1] < 0.4 * errors[0]


def test_flow_is_a_displacement_in_any_frame_on_any_output():
    """One flow on one extent: positions in one frame are those in another."""
    rng = np.random.default_rng(0)
    flow = Velocity(rng.normal(size=(6, 9, 2)))
    index = points_of((6, 9), "index", rng)
    for shape in ((6, 9), (12, 27)):
        factor = np.array(shape) / (6, 9)
        for frame in FRAMES:
            reading = frame_of(frame, shape)

            def written(x, shape=shape, frame=frame, factor=factor, reading=reading):
                points = ((x + 0.5) * factor - 0.5 - reading.offset) / reading.scale
                return points[..., ::-1] if is_reversed(frame) else points

            mapped = flow(written(index), shape=shape, frame=frame)
            np.testing.assert_allclose(mapped, written(flow(index)), rtol=0, atol=1e-12)
            field = flow.displacement(shape, frame)
            np.testing.assert_array_equal(mapped, field(written(index), shape=shape, frame=frame))
    np.testing.assert_array_equal(flow.geometry, flow.displacement().parameters)


def test_what_a_flow_keeps_cannot_be_changed_from_outside():
    """The displacements are kept from the first call on: whoever is given them cannot write to them."""
    field = np.random.default_rng(0).normal(size=(6, 9, 2))
    flow, points = Velocity(field), np.array([[2.3, 4.1]])
    expected, kept = flow(points), flow.geometry
    assert flow.geometry is kept
    field[...] = 0
    for handed_out in (kept, kept[1:], flow.parameters, flow.displacement().parameters):
        with pytest.raises(ValueError, match="read-only"):
            handed_out[...] = 0
    with pytest.raises(ValueError, match="WRITEABLE"):
        kept.setflags(write=True)
    np.testing.assert_array_equal(flow(points), expected)


def test_displacement_of_a_flow_is_differentiable():
    rng = np.random.default_rng(0)
    flow = draw(Velocity, 2, rng)
    grad = rng.normal(size=flow.parameters.shape)
    (parameters,) = leaves(flow)
    flow.with_parameters(parameters).displacement((8, 5), "normalized").parameters.backward(torch.tensor(grad))
    np.testing.assert_allclose(flow.displacement_vjp(grad, (8, 5), "normalized"), parameters.grad, atol=1e-12)


def test_no_steps_add_the_velocity():
    field = np.random.default_rng(0).normal(size=(5, 6, 2))
    np.testing.assert_array_equal(Velocity(field, steps=0).geometry, field)
    assert Velocity(field, steps=0).with_steps(3).steps == 3


def test_fitted_flow_passes_through_the_pairs_without_folds():
    rng = np.random.default_rng(0)
    source = np.stack(np.meshgrid([5, 15, 25], [5, 17, 30], indexing="ij"), -1).reshape(-1, 2).astype(float)
    target = source + rng.uniform(-3, 3, (2, 9, 2))
    flow = Velocity.fit(source, target, (32, 36), steps=6)
    assert (flow.batch_shape, flow.steps) == ((2,), 6)
    assert np.linalg.norm(flow(source[None]) - target, axis=-1).max() <= 1e-3
    np.testing.assert_array_equal(flow.folds(), [0, 0])


def test_a_fit_that_misses_says_by_how_much():
    source = np.array([[2.0, 2.0], [2.0, 17.0], [17.0, 2.0], [17.0, 17.0], [9.0, 9.0], [9.0, 10.0]])
    crossed = source[[0, 1, 2, 3, 5, 4]]
    with pytest.warns(RuntimeWarning, match=r"after 4 rounds a point is still .* samples from its target, not 0.001"):
        Velocity.fit(source, crossed, (20, 20), iterations=4)
