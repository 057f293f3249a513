"""The reference's kernels against the formulas of the literature, and the polynomials that they reproduce."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.interpolate

from pullback import _reference as reference
from pullback._plan import BORDERS, LATTICES, Cubic, Frame, Lattice, make_plan

# Every kind of place: anywhere, at and half-way between samples, and close to them, where quotients lose digits.
PLACES = np.concatenate(
    [
        np.random.default_rng(0).uniform(-5, 5, 200),
        np.arange(-8, 9) / 2,
        *(np.arange(-3, 4) + sign * near for near in (1e-3, 1e-9) for sign in (-1, 1)),
    ]
)


def tent(s):
    return np.maximum(1 - np.abs(s), 0)


def cubic_pieces(s, near, far):
    """Return polynomials in the distance, highest power first, below 1 and from 1 to 2."""
    s = np.abs(s)
    return np.where(s < 1, np.polyval(near, s), np.where(s < 2, np.polyval(far, s), 0.0))


def keys(a):
    return lambda s: cubic_pieces(s, [a + 2, -(a + 3), 0, 1], [a, -5 * a, 8 * a, -4 * a])


def mitchell(s):
    b = c = 1 / 3
    near = [12 - 9 * b - 6 * c, -18 + 12 * b + 6 * c, 0, 6 - 2 * b]
    far = [-b - 6 * c, 6 * b + 30 * c, -12 * b - 48 * c, 8 * b + 24 * c]
    return cubic_pieces(s, near, far) / 6


def bspline(order):
    basis = scipy.interpolate.BSpline.basis_element(np.arange(order + 2) - (order + 1) / 2, extrapolate=False)
    return lambda s: np.nan_to_num(basis(s))


def lanczos(lobes):
    def windowed(s):
        return np.where(np.abs(s) < lobes, np.sinc(s) * np.sinc(s / lobes), 0.0)

    def normalised(s):
        neighbours = s + np.arange(-2 * lobes, 2 * lobes + 1)[:, None] - np.floor(s)
        return windowed(s) / windowed(neighbours).sum(0)

    return normalised


KERNELS = {
    "linear": tent,
    Cubic(): keys(-0.5),
    Cubic(-0.75): keys(-0.75),
    "mitchell": mitchell,
    "lanczos2": lanczos(2),
    "lanczos3": lanczos(3),
    "lanczos4": lanczos(4),
    "bspline2": bspline(2),
    "bspline3": bspline(3),
    "bspline4": bspline(4),
    "bspline5": bspline(5),
    "label": tent,
}
TAPS = {"linear": 2, "mitchell": 4, "lanczos2": 4, "lanczos3": 6, "lanczos4": 8, "label": 2} | {
    f"bspline{order}": order + 1 for order in (2, 3, 4, 5)
}
kernels = pytest.mark.parametrize("interpolation", list(KERNELS), ids=str)


def plan_of(interpolation, border="constant", fill=(0.0,)):
    return make_plan((interpolation,), (border,), "blend", fill)


def read(operation, samples, x, plan):
    """Apply pull or gradient to a line of samples."""
    index = Frame((1.0,), (0.0,))
    lattice = Lattice(LATTICES["given"], x.shape, index, index)
    return getattr(reference, operation)(samples[None, None], x[None, :, None], lattice, plan)[0, 0].reshape(x.shape)


@kernels
def test_weights_are_those_of_the_formula(interpolation):
    plan = plan_of(interpolation)
    first, weight, _ = reference.weights(plan.interpolation[0], PLACES, plan.parameter[0])
    assert len(weight) == TAPS.get(interpolation, 4)
    kernel = KERNELS[interpolation]
    for t, w in enumerate(weight):
        np.testing.assert_allclose(w, kernel(PLACES - (first + t)), rtol=0, atol=1e-14)
    # No other tap has any weight. Lanczos' formula leaves rounding where the sine should vanish.
    for t in (-1, len(weight)):
        np.testing.assert_allclose(kernel(PLACES - (first + t)), 0, rtol=0, atol=1e-16)


@pytest.mark.parametrize("interpolation", ["nearest", *KERNELS], ids=str)
def test_slopes_are_the_derivatives_on_the_right(interpolation):
    samples = np.random.default_rng(1).normal(size=24)
    plan, x, h = plan_of(interpolation), PLACES + 12, 1e-4
    if interpolation == "label":
        return np.testing.assert_array_equal(read("gradient", samples, x, plan), 0)
    # The three points to the right must lie in one piece.
    x = x[np.floor(2 * x) == np.floor(2 * (x + 2 * h))]
    at, near, far = (read("pull", samples, x + step, plan) for step in (0, h, 2 * h))
    expected = (4 * near - 3 * at - far) / (2 * h)
    # Third derivatives of up to 100, times h**2 / 3.
    np.testing.assert_allclose(read("gradient", samples, x, plan), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("interpolation", ["linear", Cubic(), Cubic(-0.7), "lanczos2", "lanczos3", "lanczos4"], ids=str)
def test_weights_at_samples_are_exactly_one_and_zero(interpolation):
    plan, x = plan_of(interpolation), np.arange(-3.0, 4)
    first, weight, _ = reference.weights(plan.interpolation[0], x, plan.parameter[0])
    for t, w in enumerate(weight):
        np.testing.assert_array_equal(w, first + t == x)


@pytest.mark.parametrize(
    ("interpolation", "degree"),
    [("linear", 1), ("cubic", 2), ("mitchell", 1), *((f"bspline{order}", 1) for order in (2, 3, 4, 5))],
)
def test_polynomials_are_reproduced_up_to_a_degree(interpolation, degree):
    x = 10 + PLACES
    for power in range(degree + 1):
        value, slope = (
            read(name, np.arange(21.0) ** power, x, plan_of(interpolation)) for name in ("pull", "gradient")
        )
        np.testing.assert_allclose(value, x**power, rtol=1e-13)
        np.testing.assert_allclose(slope, power * x ** max(power - 1, 0), rtol=1e-12, atol=1e-14)
    beyond = degree + 1
    assert not np.allclose(read("pull", np.arange(21.0) ** beyond, x, plan_of(interpolation)), x**beyond, rtol=1e-5)


@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_splines_interpolate_polynomials_of_their_degree(order):
    n = 121
    k = (np.arange(n) - 60) / 60
    plan = plan_of(f"spline{order}", "symmetric")
    coefficients = reference.prefilter(k[None, None] ** order, plan)[0, 0]
    x = 60 + PLACES
    # The border's influence falls by 0.43 or more a sample.
    np.testing.assert_allclose(read("pull", coefficients, x, plan), ((x - 60) / 60) ** order, rtol=0, atol=1e-14)


@pytest.mark.parametrize("border", list(BORDERS))
def test_a_fill_of_nan_does_not_reach_a_weight_of_zero(border):
    # The fourth tap of a cubic B-spline has no weight at a sample, and the others add up to one but for rounding.
    samples = np.random.default_rng(0).normal(size=9)
    x = np.array([1.0, 7.0, 7.25])
    value, slope = (read(name, samples, x, plan_of("bspline3", border, (np.nan,))) for name in ("pull", "gradient"))
    for result in (value, slope):
        np.testing.assert_array_equal(np.isnan(result), [False, False, border == "constant"])
    np.testing.assert_allclose(value[:2], [samples[k - 1 : k + 2] @ [1 / 6, 4 / 6, 1 / 6] for k in (1, 7)], rtol=1e-14)
