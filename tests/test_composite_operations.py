"""The composite's other operations, dtypes and orders of coordinates against the reference; autograd through them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from test_composite import FILL, IN_SHAPES, given_lattice, make_call, plan_of, same, tensors

from pullback import _reference as reference
from pullback._plan import BORDERS, INTERPOLATIONS, LATTICES, Cubic, make_plan
from pullback.backends import composite

ndims = pytest.mark.parametrize("d", [1, 2, 3], ids="{}d".format)
borders = pytest.mark.parametrize("border", list(BORDERS))
orders = pytest.mark.parametrize("order", [2, 3, 4, 5])
SMOOTH = [name for name in INTERPOLATIONS if name not in ("nearest", "linear", "label")]


def test_the_slope_of_the_cubic_kernel_is_the_plans():
    image, geometry, lattice = make_call("given", "index", 2)
    plan = make_plan((Cubic(-0.75), Cubic(-0.3)), ("reflect", "constant"), "blend", FILL)
    for operation in ("pull", "gradient"):
        result = getattr(composite, operation)(*tensors(image, geometry), lattice, plan)
        same(result.numpy(), getattr(reference, operation)(image, geometry, lattice, plan))


@pytest.mark.parametrize("kind", list(LATTICES))
def test_reversed_coordinates_are_read_as_the_reference_reads_them(kind):
    image, geometry, lattice = make_call(kind, "normalized", 3)
    lattice, plan = replace(lattice, reversed=True), plan_of(3, "linear", "constant", fill=FILL)
    grad = np.random.default_rng(0).normal(size=(2, 2, *lattice.shape))
    f, x = tensors(image, geometry, requires_grad=True)
    value = composite.pull(f, x, lattice, plan)
    value.backward(torch.tensor(grad))
    same(value.detach().numpy(), reference.pull(image, geometry, lattice, plan))
    grad_image, grad_geometry = reference.pull_vjp(image, geometry, grad, lattice, plan)
    same(f.grad.numpy(), grad_image)
    same(x.grad.numpy(), grad_geometry)
    same(composite.vjp(*tensors(image, geometry, grad), lattice, plan)[1].numpy(), grad_geometry)
    same(composite.gradient(f, x, lattice, plan).detach().numpy(), reference.gradient(image, geometry, lattice, plan))


@ndims
@borders
@pytest.mark.parametrize("extent", ["blend", "crop"])
@pytest.mark.parametrize("interpolation", ["nearest", "label"])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "uint32", "uint64", "int8", "int64"])
def test_samples_are_chosen_as_the_reference_chooses_them(d, border, extent, interpolation, dtype):
    coords, lattice = make_call("given", "centered", d)[1:]
    rng = np.random.default_rng(0)
    kind = np.dtype(dtype)
    # The largest numbers differ by less than double precision can tell.
    low, high = (0, 1) if kind.kind == "b" else (np.iinfo(kind).min, np.iinfo(kind).max)
    image = np.array([low, low + 1, high - 1, high], kind)[rng.integers(0, 4, (2, 2, *IN_SHAPES[d]))]
    plan = plan_of(d, interpolation, border, extent, (-1e30, 0.5))
    value = composite.pull(torch.from_numpy(image), torch.tensor(coords), lattice, plan)
    expected = reference.pull(image, coords, lattice, plan)
    assert value.numpy().dtype == expected.dtype == kind
    np.testing.assert_array_equal(value.numpy(), expected)


def test_of_labels_of_equal_weight_the_smaller_wins():
    coords = torch.tensor([0.5, 1.5, 1.0, -0.5, 2.5]).reshape(1, 5, 1)
    for dtype in (torch.int32, torch.uint64, torch.float32):
        image = torch.tensor([5, 3, 4]).to(dtype)[None, None]
        value = composite.pull(image, coords, given_lattice((5,), 1), plan_of(1, "label", fill=(4.0,)))
        assert value.dtype == dtype
        assert value[0, 0].tolist() == [3, 3, 3, 4, 4]


def test_labels_have_no_gradients():
    image, geometry, lattice = make_call("given", "index", 2)
    grad = np.ones((2, 2, *lattice.shape))
    plan = plan_of(2, "label", "reflect")
    f, x = tensors(image, geometry, requires_grad=True)
    assert not composite.pull(f, x, lattice, plan).requires_grad
    assert (composite.vjp(f, x, torch.tensor(grad), lattice, plan)[1] == 0).all()
    assert (composite.gradient(f, x, lattice, plan) == 0).all()


@pytest.mark.parametrize("kind", list(LATTICES))
@pytest.mark.parametrize("interpolation", ["nearest", "cubic"])
def test_complex_images_are_the_references(kind, interpolation):
    geometry, lattice = make_call(kind, "centered", 2)[1:]
    plan = plan_of(2, interpolation, "constant", fill=(0.5 - 2j, 1j))
    rng = np.random.default_rng(0)
    image = rng.normal(size=(1, 2, *IN_SHAPES[2])) + 1j * rng.normal(size=(1, 2, *IN_SHAPES[2]))
    grad = rng.normal(size=(2, 2, *lattice.shape)) + 1j * rng.normal(size=(2, 2, *lattice.shape))
    f, x = tensors(image, geometry, requires_grad=True)
    value = composite.pull(f, x, lattice, plan)
    value.backward(torch.tensor(grad))
    grad_image, grad_geometry = reference.pull_vjp(image, geometry, grad, lattice, plan)
    same(value.detach().numpy(), reference.pull(image, geometry, lattice, plan))
    same(f.grad.numpy(), grad_image)
    same(x.grad.numpy(), grad_geometry)
    f, x, g = tensors(image, geometry, grad)
    same(composite.vjp(f, x, g, lattice, plan)[1].numpy(), grad_geometry)
    same(composite.gradient(f, x, lattice, plan).numpy(), reference.gradient(image, geometry, lattice, plan))
    same(composite.push(g, x, lattice, plan, image.shape).numpy(), grad_image)


@pytest.mark.parametrize("interpolation", SMOOTH)
def test_smooth_kernels_are_differentiated_to_second_order(interpolation):
    image, geometry, lattice = make_call("given", "centered", 1, 1, 1)
    plan = plan_of(1, interpolation, "constant", fill=FILL)
    for operation in ("pull", "gradient"):
        function = partial(getattr(composite, operation), lattice=lattice, plan=plan)
        arguments = tensors(image, geometry, requires_grad=True)
        assert torch.autograd.gradcheck(function, arguments, fast_mode=True)
        assert torch.autograd.gradgradcheck(function, arguments, fast_mode=True)


@pytest.mark.parametrize("interpolation", [name for name in SMOOTH if name not in ("cubic", "mitchell", "bspline2")])
def test_second_derivatives_are_continuous_from_the_right_at_samples(interpolation):
    """Where a quotient of sines has lost all digits, and beside it."""
    image = torch.tensor(np.random.default_rng(0).normal(size=(1, 1, 12)))
    near = [0.0, 1e-12, 1e-9, 1e-6]
    x = torch.tensor([5 + step for step in near] + [6 - 1e-9], dtype=torch.float64)[None, :, None].requires_grad_()
    value = composite.pull(image, x, given_lattice((5,), 1), plan_of(1, interpolation))
    (slope,) = torch.autograd.grad(value.sum(), x, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), x)
    same(
        slope[0, :, 0].detach().numpy(),
        composite.gradient(image, x, given_lattice((5,), 1), plan_of(1, interpolation))[0, 0, :, 0].detach().numpy(),
    )
    # Third derivatives of up to 100, times 1e-6.
    np.testing.assert_allclose(curvature[0, 1:4, 0], curvature[0, 0, 0].expand(3), rtol=0, atol=1e-4)


@orders
@borders
@pytest.mark.parametrize("shape", [(1,), (2,), (3, 7), (1, 2, 6)], ids=str)
def test_prefilter_is_that_of_the_reference(order, border, shape):
    image = np.random.default_rng(0).normal(size=(2, 2, *shape))
    plan = plan_of(len(shape), f"spline{order}", border, fill=(0.5, -1.5))
    for adjoint in (False, True):
        result = composite.prefilter(torch.tensor(image), plan, adjoint)
        same(result.numpy(), reference.prefilter(image, plan, adjoint))
        cotangent, f = torch.randn(image.shape, dtype=torch.float64), torch.tensor(image, requires_grad=True)
        composite.prefilter(f, plan, adjoint).backward(cotangent)
        linear = replace(plan, fill=(0.0,))
        same(f.grad.numpy(), reference.prefilter(cotangent.numpy(), linear, not adjoint))


def test_prefilter_of_mixed_axes_complex_numbers_and_strange_fills():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(1, 2, 4, 5, 3)) + 1j * rng.normal(size=(1, 2, 4, 5, 3))
    for fill in ((2 - 1j,), (0.5, 3j), (np.nan, 2.0), (complex(np.inf, 2), 1.0)):
        plan = make_plan(("spline2", "linear", "spline5"), ("constant", "wrap", "reflect"), "blend", fill)
        same(composite.prefilter(torch.tensor(image), plan).numpy(), reference.prefilter(image, plan))


def test_coefficients_first_made_in_inference_mode_serve_autograd_later():
    image, plan = torch.randn(1, 1, 37), plan_of(1, "spline4", "wrap")
    with torch.inference_mode():
        composite.prefilter(image, plan)
    image.requires_grad_()
    composite.prefilter(image, plan).sum().backward()
    assert image.grad is not None


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.float32, torch.int64, torch.complex64], ids=str)
def test_dtypes_of_sums(dtype):
    image = torch.arange(12).reshape(1, 1, 12).to(dtype)
    wide = image.numpy().astype(complex if dtype.is_complex else float)
    plan = plan_of(1, "spline3", "reflect")
    table = np.arange(11), np.full((11, 2), 0.5)
    for result, expected in [
        (composite.prefilter(image, plan), reference.prefilter(wide, plan)),
        (composite.resample(image, 0, *table, composite.sum_dtype(dtype)), reference.resample(wide, 0, *table)),
    ]:
        assert result.dtype == {torch.int64: torch.float64, torch.complex64: dtype}.get(dtype, torch.float32)
        np.testing.assert_allclose(result.numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_resample_is_that_of_the_reference(axis):
    rng = np.random.default_rng(0)
    image = rng.normal(size=(2, 3, 4, 5, 6))
    n = image.shape[2 + axis]
    first, weight = np.array([0, 1, n - 1, 2]), rng.normal(size=(4, 2))
    weight[2, 1] = 0  # beyond the axis
    image[:, 0, 0, 0, 0] = np.nan
    weight[0, 0] = 0
    result = composite.resample(*tensors(image), axis, first, weight, torch.float64)
    same(result.numpy(), reference.resample(image, axis, first, weight))
    assert result.isfinite().all()
    function = partial(composite.resample, axis=axis, first=first, weight=weight, dtype=torch.float64)
    assert torch.autograd.gradcheck(function, tensors(np.nan_to_num(image), requires_grad=True), fast_mode=True)


@ndims
@borders
@pytest.mark.parametrize("interpolation", ["nearest", "linear", "cubic", "label"])
@pytest.mark.parametrize(("importances", "geometries"), [(1, 2), (2, 1), (2, 2)])
def test_winners_are_those_of_the_reference(d, border, interpolation, importances, geometries):
    coords, lattice = make_call("given", "index", d, geometries=geometries)[1:]
    plan = plan_of(d, interpolation, border)
    importance = np.array([-np.inf, 0.0, 0.5, 1.0, np.nan])
    importance = importance[np.random.default_rng(0).integers(0, 5, (importances, 1, *lattice.shape))]
    result = composite.winners(*tensors(importance, coords), lattice, plan, IN_SHAPES[d])
    assert result.dtype == torch.int64
    np.testing.assert_array_equal(result.numpy(), reference.winners(importance, coords, lattice, plan, IN_SHAPES[d]))


def test_no_one_wins_where_there_is_nothing():
    coords = torch.zeros((1, 3, 2))
    importance, lattice = torch.zeros((2, 1, 3)), given_lattice((3,), 2)
    assert composite.winners(importance, coords, lattice, plan_of(2), (0, 4)).shape == (2, 0, 4)
    assert (composite.winners(importance + torch.nan, coords, lattice, plan_of(2), (2, 2)) == -1).all()
    none = composite.winners(importance[..., :0], coords[:, :0], given_lattice((0,), 2), plan_of(2), (2, 2))
    assert (none == -1).all()
