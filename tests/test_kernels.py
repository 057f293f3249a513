"""The table of kernels and that of border rules, against the formulas of the reference, which were written apart."""

import numpy as np
import pytest

from pullback._borders import RULES
from pullback._kernels import KERNELS
from pullback._plan import INTERPOLATION_NAMES, make_plan
from pullback._reference import taps as reference

kernels = pytest.mark.parametrize("kernel", KERNELS.values(), ids=lambda kernel: kernel.name)
X = np.concatenate([np.linspace(-3, 3, 4001)[:-1], np.arange(-3.0, 3.0, 0.5)])


def located(x, kernel):
    """The first tap, and where a point lies between two knots."""
    knot = np.floor(x - kernel.taps / 2)
    return knot.astype(int) + 1, x - kernel.taps / 2 - knot


@kernels
@pytest.mark.parametrize("parameter", [-0.5, -0.75])
def test_weights_and_slopes(kernel, parameter):
    first, f = located(X, kernel)
    wanted = reference.weights(kernel.code, X, parameter)
    np.testing.assert_array_equal(first, wanted[0])
    jets = kernel.weights(f, parameter, 1)
    assert len(jets) == kernel.taps
    # A few roundings of numbers around 1, and of slopes that are up to four times as large.
    np.testing.assert_allclose([weight for weight, _ in jets], wanted[1], rtol=0, atol=2e-15)
    np.testing.assert_allclose([slope for _, slope in jets], wanted[2], rtol=0, atol=8e-15)


@kernels
def test_curvature_is_the_slope_of_the_slope(kernel):
    h, f = 1e-5, np.linspace(0.001, 0.999, 501)
    curvature = [jet[2] for jet in kernel.weights(f, -0.5, 2)]
    ahead, behind = ([jet[1] for jet in kernel.weights(f + s * h, -0.5, 1)] for s in (1, -1))
    wanted = np.subtract(ahead, behind) / (2 * h)
    # The third derivative of slopes is below 100, and rounding is divided by h.
    np.testing.assert_allclose(curvature, wanted, rtol=0, atol=1e-8)


@kernels
def test_sums_and_signs(kernel):
    f = np.linspace(0, 1, 1001)[:-1].astype(np.float32)
    weights = np.array([weight for (weight,) in kernel.weights(f, -0.5)])
    np.testing.assert_allclose(weights.sum(0), 1, rtol=0, atol=1e-6)
    assert kernel.is_positive == (weights >= 0).all() or kernel.name == "label"
    assert weights.dtype == np.float32


@kernels
def test_interpolating_kernels_copy_samples_to_the_last_bit(kernel):
    if kernel.spline or kernel.name == "mitchell":
        pytest.skip("smooths")
    weights = [float(weight) for (weight,) in kernel.weights(np.zeros(()), -0.3)]
    assert weights == [float(t == max(kernel.taps // 2 - 1, 0)) for t in range(kernel.taps)]


@kernels
def test_tensors_have_the_weights_of_arrays_and_their_derivatives_by_autograd(kernel):
    torch = pytest.importorskip("torch")
    f = torch.linspace(0, 1, 101, dtype=torch.float64)[:-1].requires_grad_()
    for tensors, arrays in zip(kernel.weights(f, -0.5, 2), kernel.weights(f.detach().numpy(), -0.5, 2), strict=True):
        np.testing.assert_allclose([term.detach() for term in tensors], arrays, rtol=1e-14, atol=1e-14)
        for term, wanted in zip(tensors if kernel.name != "label" else (), arrays[1:], strict=False):
            (slope,) = torch.autograd.grad(term.sum(), f, retain_graph=True)
            np.testing.assert_allclose(slope, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_rules(rule, n):
    k = np.arange(-40, 41)
    sample, inside = reference.border_index(k, n, rule.code)
    np.testing.assert_array_equal(rule.sample(k, n)[inside], sample[inside])
    assert rule.is_filled == (not inside.all())


@pytest.mark.parametrize("name", INTERPOLATION_NAMES)
def test_every_name_has_a_plan(name):
    plan = make_plan((name,), ("edge",), "blend", (0.0,))
    (kernel,) = (KERNELS[code] for code in plan.interpolation)
    assert name in (kernel.name, f"spline{kernel.spline}", *kernel.aliases)
    assert plan.prefilter == (kernel.spline if name.startswith("spline") else 0,)
    assert plan.parameter == (-0.5 if kernel.name == "cubic" else 0,)


@pytest.mark.parametrize("order", [2, 3, 4, 5])
@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
def test_the_composites_splines_are_the_references(order, rule):
    pytest.importorskip("torch")
    from pullback import _reference
    from pullback.backends.composite.splines import spline_matrix

    for n in (1, 2, 5, 9):
        wanted = _reference.spline_matrix(order, n, rule.code)
        np.testing.assert_allclose(spline_matrix(order, n, rule.code), wanted, rtol=0, atol=1e-15)


@pytest.mark.parametrize("controls", [4, 5, 9])
@pytest.mark.parametrize("n", [1, 7, 20])
def test_the_composites_free_forms_are_the_references(controls, n):
    pytest.importorskip("torch")
    from pullback._reference.lattice import control_weights as reference_weights
    from pullback.backends.composite.splines import control_weights

    if n < controls - 3:
        return
    np.testing.assert_allclose(control_weights(controls, n), reference_weights(controls, n), rtol=0, atol=1e-14)
