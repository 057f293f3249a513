"""The reference's prefilter, labels, complex images, reversed coordinates, resampling and winners, by other means."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import scipy.ndimage
from covering import covered
from test_reference import IN_SHAPES, SCIPY_MODES, given_lattice, make_call, off_knots, plan_of

from pullback import _reference as reference
from pullback._plan import BORDERS, LATTICES, Frame, Lattice, make_plan

ndims = pytest.mark.parametrize("d", [1, 2, 3], ids="{}d".format)
borders = pytest.mark.parametrize("border", list(BORDERS))
orders = pytest.mark.parametrize("order", [2, 3, 4, 5])


def at_samples(shape):
    return np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)[None].astype(float)


@covered(order=[2, 3, 4, 5], border=list(BORDERS), shape=[(1,), (2,), (3,), (9,), (4, 6), (1, 2, 5)], strength=2)
def test_coefficients_give_the_samples_back(order, border, shape):
    image = np.random.default_rng(0).normal(size=(2, 2, *shape))
    plan = plan_of(len(shape), f"spline{order}", border, fill=(0.5, -1.5))
    coefficients = reference.prefilter(image, plan)
    back = reference.pull(coefficients, at_samples(shape), given_lattice(shape, len(shape)), plan)
    # The systems are diagonally dominant: their condition is below 30 an axis.
    np.testing.assert_allclose(back, image, rtol=0, atol=1e-12)


def test_axes_may_differ_in_order_and_border():
    image = np.random.default_rng(0).normal(size=(1, 1, 4, 5, 3))
    plan = make_plan(("spline2", "linear", "spline5"), ("constant", "wrap", "reflect"), "blend", (7.0,))
    coefficients = reference.prefilter(image, plan)
    back = reference.pull(coefficients, at_samples((4, 5, 3)), given_lattice((4, 5, 3), 3), plan)
    np.testing.assert_allclose(back, image, rtol=0, atol=1e-12)


@orders
@pytest.mark.parametrize("border", ["reflect", "symmetric", "wrap"])
def test_splines_are_those_of_scipy(order, border):
    # On shorter lines SciPy's recursions start with errors.
    rng = np.random.default_rng(0)
    image, x = rng.normal(size=(60, 55)), off_knots(rng, (200,), (60, 55))
    plan = plan_of(2, f"spline{order}", border)
    value = reference.pull(reference.prefilter(image[None, None], plan), x[None], given_lattice((200,), 2), plan)
    expected = scipy.ndimage.map_coordinates(image, x.T, order=order, mode=SCIPY_MODES[border])
    np.testing.assert_allclose(value[0, 0], expected, rtol=0, atol=1e-10)


@orders
@borders
def test_the_adjoint_prefilter_is_the_transpose(order, border):
    rng = np.random.default_rng(0)
    image, cotangent = rng.normal(size=(2, 1, 2, 4, 5))
    plan = make_plan((f"spline{order}", "spline3"), (border, "edge"), "blend", (0.5,))
    linear = reference.prefilter(image, plan) - reference.prefilter(0 * image, plan)
    transposed = reference.prefilter(cotangent, plan, adjoint=True)
    np.testing.assert_allclose(np.vdot(linear, cotangent), np.vdot(image, transposed), rtol=1e-12)


def test_a_fill_that_is_not_finite_counts_as_zero_in_the_prefilter():
    image = np.random.default_rng(0).normal(size=(1, 2, 6))
    fills = [(0.0, 2.0), (np.nan, 2.0), (-np.inf, 2.0)]
    zero, *others = (reference.prefilter(image, plan_of(1, "spline3", fill=fill)) for fill in fills)
    for other in others:
        np.testing.assert_array_equal(other, zero)


@ndims
@borders
@pytest.mark.parametrize("extent", ["blend", "crop"])
def test_labels_are_elected_by_exact_weights(d, border, extent):
    """Eighths of a step make many ties; sums of fractions are exact."""
    rng = np.random.default_rng(d)
    shape = IN_SHAPES[d]
    image = rng.integers(-2, 2, (1, 2, *shape)).astype(np.int8)
    x = rng.integers(-16, 8 * np.array(shape) + 16, (60, d))
    plan = plan_of(d, "label", border, extent, (1.0,))
    found = reference.pull(image, x[None] / 8, given_lattice((60,), d), plan)
    assert found.dtype == image.dtype
    for p, channel in product(range(60), range(2)):
        votes = dict.fromkeys(range(-2, 2), Fraction(0))
        outside = np.any(x[p] < 0) or np.any(x[p] > 8 * (np.array(shape) - 1))
        for step in product((0, 1), repeat=d):
            axes = list(zip((int(eighths) for eighths in x[p]), step, shape, strict=True))
            weight = np.prod([Fraction(c % 8 if s else 8 - c % 8, 8) for c, s, _ in axes])
            reads = [reference.border_index(np.array(c // 8 + s), n, BORDERS[border]) for c, s, n in axes]
            inside = all(is_inside for _, is_inside in reads)
            votes[int(image[(0, channel, *(k for k, _ in reads))]) if inside else 1] += weight
        expected = min(votes, key=lambda label: (-votes[label], label))
        assert found[0, channel, p] == (1 if extent == "crop" and outside else expected)


@pytest.mark.parametrize("interpolation", ["nearest", "label"])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "uint64", "float32", "complex64"])
def test_chosen_samples_keep_every_bit(interpolation, dtype):
    last = np.iinfo(dtype).max if np.dtype(dtype).kind in "iu" else 1
    image = np.array([last, 0, last - 1], dtype)[None, None]
    x = np.array([[0.0], [0.75], [2.25], [-7.0]])[None]
    value = reference.pull(image, x, given_lattice((4,), 1), plan_of(1, interpolation, fill=(1e30,)))
    assert value.dtype == image.dtype
    expected = last if np.dtype(dtype).kind in "biu" else np.array(1e30).astype(np.float32).astype(dtype)
    np.testing.assert_array_equal(value[0, 0], np.array([last, 0, last - 1, expected], dtype))


def test_labels_have_no_gradients():
    coords, lattice = make_call("given", "index", 2)
    image = np.random.default_rng(0).integers(0, 3, (1, 2, *IN_SHAPES[2]))
    grad = np.ones((2, 2, *lattice.shape))
    for gradient in reference.pull_vjp(image, coords, grad, lattice, plan_of(2, "label")):
        np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("frame", ["index", "normalized"])
def test_reversed_coordinates_are_those_in_reverse_order(frame):
    coords, lattice = make_call("given", frame, 3)
    flipped = Lattice(lattice.kind, lattice.shape, lattice.frame_in, lattice.frame_out, reversed=True)
    plan = plan_of(3, "linear", "reflect")
    rng = np.random.default_rng(0)
    image, grad = rng.normal(size=(2, 1, *IN_SHAPES[3])), rng.normal(size=(2, 1, *lattice.shape))
    pairs = [
        (reference.pull(image, coords[..., ::-1], flipped, plan), reference.pull(image, coords, lattice, plan)),
        (
            reference.gradient(image, coords[..., ::-1], flipped, plan)[..., ::-1],
            reference.gradient(image, coords, lattice, plan),
        ),
        (
            reference.pull_vjp(image, coords[..., ::-1], grad, flipped, plan)[1][..., ::-1],
            reference.pull_vjp(image, coords, grad, lattice, plan)[1],
        ),
    ]
    for found, expected in pairs:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", list(LATTICES))
def test_a_complex_image_is_differentiated_as_two_real_ones(kind):
    geometry, lattice = make_call(kind, "centered", 2)
    plan = plan_of(2, "cubic", fill=(0.5 - 2j,))
    rng = np.random.default_rng(0)
    image, grad = (rng.normal(size=(2, 2, 1, *shape)) for shape in (IN_SHAPES[2], lattice.shape))
    image, grad = image[0] + 1j * image[1], grad[0] + 1j * grad[1]
    grad_image, grad_geometry = reference.pull_vjp(image, geometry, grad, lattice, plan)
    assert grad_image.dtype == np.complex128
    assert grad_geometry.dtype == np.float64
    h = 1e-5
    steps = rng.normal(size=image.shape) + 1j * rng.normal(size=image.shape), rng.normal(size=geometry.shape)
    for step, found in zip(steps, (grad_image, grad_geometry), strict=True):
        moved = [(image + s * step, geometry) if found is grad_image else (image, geometry + s * step) for s in (-h, h)]
        down, up = (reference.pull(*arguments, lattice, plan) for arguments in moved)
        # A loss with gradient `grad` changes by the real part of conj(grad) * change.
        expected = np.vdot(grad, up - down).real / (2 * h)
        np.testing.assert_allclose(np.vdot(found, step).real, expected, rtol=1e-7, atol=1e-7)


def test_operations_act_on_the_components_of_a_complex_image():
    coords, lattice = make_call("given", "index", 2)
    rng = np.random.default_rng(0)
    real, imaginary = rng.normal(size=(2, 1, 1, *IN_SHAPES[2]))
    real[0, 0, 1, 1] = np.inf
    plans = [plan_of(2, "spline3", fill=(fill,)) for fill in (1 + 2j, 1.0, 2.0)]
    image = np.empty(real.shape, complex)
    image.real, image.imag = real, imaginary
    for operation in (
        lambda image, plan: reference.pull(image, coords, lattice, plan),
        lambda image, plan: reference.gradient(image, coords, lattice, plan),
        lambda image, plan: reference.push(image[:, :, :3, :4], coords, lattice, plan, image.shape),
        lambda image, plan: reference.prefilter(np.nan_to_num(image, posinf=3), plan),
    ):
        joined, *parts = (operation(*call) for call in zip((image, real, imaginary), plans, strict=True))
        np.testing.assert_array_equal(joined.real, parts[0])
        np.testing.assert_array_equal(joined.imag, parts[1])


@ndims
@borders
@pytest.mark.parametrize("interpolation", ["nearest", "linear", "bspline3", "label"])
def test_winners_are_the_first_of_the_most_important_that_leave_a_trace(d, border, interpolation):
    coords, lattice = make_call("given", "index", d)
    coords.reshape(2, -1, d)[:, 1] = np.nan
    plan, shape = plan_of(d, interpolation, border), IN_SHAPES[d]
    points = int(np.prod(lattice.shape))
    importance = np.random.default_rng(0).integers(0, 3, (2, 1, *lattice.shape)) / 2
    importance.reshape(2, -1)[:, 0] = np.nan
    expected = np.full((2, *shape), -1)
    best = np.full((2, *shape), -np.inf)
    for p in range(2, points):
        alone = np.zeros((2, 1, points))
        alone[..., p] = 1
        trace = reference.push(alone.reshape(importance.shape), coords, lattice, plan, (2, 1, *shape))[:, 0]
        value = np.broadcast_to(importance.reshape(2, *(1,) * d, points)[..., p], trace.shape)
        wins = (trace > 0) & (value > best)
        expected, best = np.where(wins, p, expected), np.where(wins, value, best)
    found = reference.winners(importance, coords, lattice, plan, shape)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, expected)


def test_a_winner_may_be_of_the_least_importance():
    index = Frame((1.0,), (0.0,))
    lattice = Lattice(LATTICES["affine"], (3,), index, index)
    importance = np.array([-np.inf, np.nan, 2.0])[None, None]
    found = reference.winners(importance, np.array([[[1.0, 0.0]]]), lattice, plan_of(1), (5,))
    np.testing.assert_array_equal(found, [[0, -1, 2, -1, -1]])
