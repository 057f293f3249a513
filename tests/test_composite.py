"""The composite against the reference, against autograd's own checks, and against torch.nn.functional.grid_sample."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from cases import KINDS_OF_KERNEL, generating
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback import _reference as reference
from pullback._plan import BORDERS, INTERPOLATIONS, LATTICES, Frame, Lattice, Plan, frame_of, make_plan
from pullback.backends import composite

IN_SHAPES = {1: (5,), 2: (4, 5), 3: (3, 4, 2)}
OUT_SHAPES = {1: (7,), 2: (3, 4), 3: (2, 3, 2)}
FILL = (0.5, -1.5)

ndims = pytest.mark.parametrize("d", [1, 2, 3], ids="{}d".format)
SUMS = [name for name in INTERPOLATIONS if name != "label"]  # labels: tests/test_labels.py
interpolations = pytest.mark.parametrize("interpolation", SUMS)
kinds_of_kernel = pytest.mark.parametrize("interpolation", KINDS_OF_KERNEL)
borders = pytest.mark.parametrize("border", list(BORDERS))
extents = pytest.mark.parametrize("extent", ["blend", "crop"])
frames = pytest.mark.parametrize("frame", ["index", "centered"])
kinds = pytest.mark.parametrize("kind", list(LATTICES))
batches = pytest.mark.parametrize(("images", "geometries"), [(1, 2), (2, 1)], ids=["one-image", "one-geometry"])

# Reference and composite form the same products in float64, in another order.
same = partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12)


def plan_of(
    d: int, interpolation: str = "linear", border: str = "constant", extent: str = "blend", fill: tuple = (0.0,)
) -> Plan:
    return make_plan((interpolation,) * d, (border,) * d, extent, fill)


def given_lattice(shape: tuple[int, ...], d: int) -> Lattice:
    """Return a lattice of given index coordinates."""
    index = Frame((1.0,) * d, (0.0,) * d)
    return Lattice(LATTICES["given"], shape, index, index)


def make_call(kind: str, frame: str, d: int, images: int = 2, geometries: int = 2):
    """Return an image of two channels, a geometry whose points lie on and around it, and the lattice; in float64."""
    rng = np.random.default_rng(d)
    in_shape, shape = IN_SHAPES[d], OUT_SHAPES[d]
    lattice = Lattice(LATTICES[kind], shape, frame_of(frame, in_shape), frame_of(frame, shape))
    image = rng.normal(size=(images, 2, *in_shape))
    if kind != "given":
        return image, generating(kind, rng, lattice, in_shape, geometries), lattice
    n = np.array(in_shape)
    on_image = rng.uniform(0, n - 1, (geometries, *shape, d))
    index = np.where(rng.random((geometries, *shape, 1)) < 0.5, on_image, rng.uniform(-2 * n, 3 * n, on_image.shape))
    return image, (index - lattice.frame_in.offset) / lattice.frame_in.scale, lattice


def tensors(*arrays: np.ndarray, requires_grad: bool = False) -> list[torch.Tensor]:
    return [torch.tensor(array, requires_grad=requires_grad) for array in arrays]


@ndims
@interpolations
@borders
@extents
@frames
@pytest.mark.parametrize("kind", ["given", "affine"])
def test_pull_and_gradient_are_those_of_the_reference(d, interpolation, border, extent, frame, kind):
    image, geometry, lattice = make_call(kind, frame, d)
    plan = plan_of(d, interpolation, border, extent, FILL)
    for operation in ("pull", "gradient"):
        result = getattr(composite, operation)(*tensors(image, geometry), lattice, plan)
        same(result.numpy(), getattr(reference, operation)(image, geometry, lattice, plan))


@ndims
@kinds_of_kernel
@borders
@extents
@kinds
@batches
def test_push_is_that_of_the_reference(d, interpolation, border, extent, kind, images, geometries):
    image, geometry, lattice = make_call(kind, "centered", d, images, geometries)
    plan = plan_of(d, interpolation, border, extent)
    values = np.random.default_rng(0).normal(size=(2, 2, *lattice.shape))
    result = composite.push(*tensors(values, geometry), lattice, plan, image.shape)
    same(result.numpy(), reference.push(values, geometry, lattice, plan, image.shape))


@ndims
@kinds_of_kernel
@borders
@extents
@kinds
@batches
def test_derivatives_of_pull_are_those_of_the_reference(d, interpolation, border, extent, kind, images, geometries):
    image, geometry, lattice = make_call(kind, "centered", d, images, geometries)
    plan = plan_of(d, interpolation, border, extent, FILL)
    grad = np.random.default_rng(0).normal(size=(2, 2, *lattice.shape))
    grad_image, grad_geometry = reference.pull_vjp(image, geometry, grad, lattice, plan)
    f, x = tensors(image, geometry, requires_grad=True)
    composite.pull(f, x, lattice, plan).backward(torch.tensor(grad))
    same(f.grad.numpy(), grad_image)
    same(x.grad.numpy(), grad_geometry)
    same(composite.vjp(*tensors(image, geometry, grad), lattice, plan)[1].numpy(), grad_geometry)


AWKWARD = st.one_of(
    st.integers(-9, 12).map(lambda k: k / 2),
    st.floats(-9, 12),
    st.sampled_from([np.nan, np.inf, -np.inf, 1e300, 2.0**30, -(2.0**30), 2.0**30 - 1, 1 - 2.0**30]),
)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_awkward_coordinates_are_read_as_the_reference_reads_them(data):
    in_shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple), label="in_shape")
    d = len(in_shape)
    names = [data.draw(st.tuples(*[st.sampled_from(list(known))] * d)) for known in (SUMS, BORDERS)]
    plan = make_plan(*names, data.draw(st.sampled_from(["blend", "crop"])), (0.5,))
    points = data.draw(st.lists(st.tuples(*[AWKWARD] * d), min_size=1, max_size=4), label="points")
    image = np.random.default_rng(0).normal(size=(1, 1, *in_shape))
    coords, lattice = np.array([points]), given_lattice((len(points),), d)
    grad = np.ones((1, 1, len(points)))
    f, x = tensors(image, coords, requires_grad=True)
    value = composite.pull(f, x, lattice, plan)
    value.backward(torch.tensor(grad))
    same(value.detach().numpy(), reference.pull(image, coords, lattice, plan))
    grad_image, grad_coords = reference.pull_vjp(image, coords, grad, lattice, plan)
    same(f.grad.numpy(), grad_image)
    same(x.grad.numpy(), grad_coords)


@kinds_of_kernel
@borders
@extents
@pytest.mark.parametrize("fill", [2.0, np.nan])
@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
def test_no_derivative_of_any_order_passes_an_unreadable_point(interpolation, border, extent, fill, bad):
    image = torch.full((1, 1, 3, 3), np.nan, requires_grad=True)
    coords = torch.tensor([[[1.0, bad], [bad, bad], [bad, 1.5]]], requires_grad=True)
    value = composite.pull(image, coords, given_lattice((3,), 2), plan_of(2, interpolation, border, extent, (fill,)))
    np.testing.assert_array_equal(value.detach().numpy(), np.full((1, 1, 3), fill, np.float32))
    first = torch.autograd.grad(value.sum(), [image, coords], create_graph=True)
    second = torch.autograd.grad(sum(g.sum() for g in first), [image, coords], allow_unused=True)
    for derivative in (*first, *second):
        assert derivative is None or (derivative == 0).all()


def test_values_that_a_push_drops_reach_nothing():
    values = torch.full((1, 1, 2), np.nan, requires_grad=True)
    coords = torch.tensor([[[1.0, np.nan], [7.0, 1.5]]], requires_grad=True)
    image = composite.push(values, coords, given_lattice((2,), 2), plan_of(2), (1, 1, 3, 3))
    image.sum().backward()
    for zero in (image, values.grad, coords.grad):
        assert (zero == 0).all()


def test_a_point_wholly_on_a_fill_of_nan_has_no_derivative():
    image = torch.ones((1, 1, 3, 3))
    coords = torch.tensor([[[1.0, -3.5], [7.0, 1.5], [-0.5, 7.0]]], requires_grad=True)
    value = composite.pull(image, coords, given_lattice((3,), 2), plan_of(2, fill=(np.nan,)))
    value.sum().backward()
    assert (coords.grad == 0).all()


@extents
@pytest.mark.parametrize("fill", [np.nan, np.inf])
def test_a_fill_that_is_not_finite_stays_outside(fill, extent):
    image = np.arange(6.0).reshape(1, 1, 2, 3)
    coords = np.array([[[1.0, 2.0], [0.5, 2.0], [1.0, 0.5], [0.5, 2.5], [-3.0, 0.0]]])
    lattice, plan = given_lattice((5,), 2), plan_of(2, "linear", "constant", extent, (fill,))
    for operation in ("pull", "gradient"):
        result = getattr(composite, operation)(*tensors(image, coords), lattice, plan)
        same(result.numpy(), getattr(reference, operation)(image, coords, lattice, plan))


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
@pytest.mark.parametrize("operation", ["pull", "gradient", "push"])
def test_autograd_checks_to_second_order(d, interpolation, border, kind, operation):
    image, geometry, lattice = make_call(kind, "centered", d, 1, 1)
    plan = plan_of(d, interpolation, border, fill=FILL)
    function, array = partial(getattr(composite, operation), lattice=lattice, plan=plan), image
    if operation == "push":
        function = partial(function, shape=image.shape)
        array = np.random.default_rng(0).normal(size=(1, 2, *lattice.shape))
    x = reference.coordinates(geometry, lattice)
    assert np.abs(2 * x - np.round(2 * x)).min() > 1e-4, "finite differences must not cross a knot"
    arguments = tensors(array, geometry, requires_grad=True)
    assert torch.autograd.gradcheck(function, arguments, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, arguments, fast_mode=True)


@pytest.mark.parametrize("kind", ["given", "affine"])
def test_mixed_second_derivative_is_that_of_the_bilinear_cell(kind):
    image = torch.tensor([[1.0, 2.0], [4.0, 9.0]], dtype=torch.float64)[None, None]
    geometry = torch.tensor([[[0.25, 0.5]]] if kind == "given" else [[[0.0, 0, 0.25], [0, 0, 0.5]]]).double()
    lattice = given_lattice((1,) if kind == "given" else (1, 1), 2)
    lattice = Lattice(LATTICES[kind], lattice.shape, lattice.frame_in, lattice.frame_out)

    def value(geometry):
        return composite.pull(image, geometry, lattice, plan_of(2)).sum()

    hessian = torch.autograd.functional.hessian(value, geometry).reshape(geometry.numel(), -1)
    y, x = (0, 1) if kind == "given" else (2, 5)
    assert hessian[y, x] == hessian[x, y] == 9 + 1 - 2 - 4
    assert hessian.abs().sum() == 2 * hessian[y, x]


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
    image, coords, lattice = make_call("given", "index", d)
    image, coords = tensors(image, coords)
    n = torch.tensor(IN_SHAPES[d])
    grid = (2 * coords / (n - 1) - 1 if align_corners else (2 * coords + 1) / n - 1).flip(-1)
    expected = torch.nn.functional.grid_sample(
        image,
        grid,
        mode={"linear": "bilinear", "nearest": "nearest"}[interpolation],
        padding_mode=padding_mode,
        align_corners=align_corners,
    )
    same(composite.pull(image, coords, lattice, plan_of(d, interpolation, border)).numpy(), expected.numpy())


@frames
@extents
@pytest.mark.parametrize("shape", [(6,), (4, 7), (3, 5, 4)], ids=str)
@pytest.mark.parametrize(
    "dtype", [torch.bool, torch.uint8, torch.int64, torch.bfloat16, torch.float32, torch.complex64], ids=str
)
def test_identity_is_exact(frame, extent, shape, dtype):
    image = (100 * torch.randn((1, 2, *shape), generator=torch.Generator().manual_seed(0))).to(dtype)
    on_image = frame_of(frame, shape)
    lattice = Lattice(LATTICES["affine"], shape, on_image, on_image)
    identity = torch.eye(len(shape), len(shape) + 1)[None]
    value = composite.pull(image, identity, lattice, plan_of(len(shape), "linear", "constant", extent, (7.0,)))
    assert value.dtype == dtype
    assert torch.equal(value, image)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_computed_in_float32(dtype):
    image, coords, lattice = make_call("given", "centered", 2)
    image, coords = (tensor.float() for tensor in tensors(image, coords))
    image, plan = image.to(dtype), plan_of(2, "linear", "reflect")
    value = composite.pull(image, coords, lattice, plan)
    assert value.dtype == dtype
    assert torch.equal(value, composite.pull(image.float(), coords, lattice, plan).to(dtype))
    assert composite.gradient(image, coords, lattice, plan).dtype == torch.float32
    values = torch.ones((2, 2, *lattice.shape), dtype=dtype)
    assert composite.push(values, coords, lattice, plan, image.shape).dtype == torch.float32


def test_coordinates_of_half_precision_are_computed_in_float32():
    image = torch.arange(5000.0)[None, None]
    lattice = Lattice(LATTICES["affine"], (5000,), frame_of("index", (5000,)), frame_of("index", (5000,)))
    identity = torch.eye(1, 2, dtype=torch.float16)[None]
    assert torch.equal(composite.pull(image, identity, lattice, plan_of(1)), image)


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        (torch.uint8, 0, 255),
        (torch.int8, -128, 127),
        (torch.uint16, 0, 2**16 - 1),
        (torch.int32, -(2**31), 2**31 - 1),
        (torch.int64, -(2**63), 2**63 - 1),
    ],
    ids=str,
)
def test_integers_are_rounded_to_nearest_and_saturated(dtype, low, high):
    image = torch.tensor([1, 2, 5]).to(dtype)[None, None]
    coords = torch.tensor([0.25, 0.5, 0.75, 1.5, 1.75]).reshape(1, -1, 1)
    value = composite.pull(image, coords, given_lattice((5,), 1), plan_of(1))
    assert value.dtype == dtype
    assert value[0, 0].tolist() == [1, 2, 2, 4, 4]
    outside = torch.full((1, 1, 1), -9.0)
    for fill, expected in [(-1e20, low), (1e20, high), (np.inf, high), (-np.inf, low), (np.nan, 0)]:
        assert composite.pull(image, outside, given_lattice((1,), 1), plan_of(1, fill=(fill,))).item() == expected


def test_wide_integers_are_summed_in_float64():
    image = torch.tensor([[[2**40 + 1, 2**40 + 3]]])
    value = composite.pull(image, torch.tensor([[[0.5]]]), given_lattice((1,), 1), plan_of(1))
    assert value.item() == 2**40 + 2


def test_a_complex_image_is_two_real_ones():
    (real, coords, lattice), imaginary = make_call("given", "index", 2), make_call("given", "index", 2, 2)[0][::-1]
    image, x, grad = torch.tensor(real + 1j * imaginary), torch.tensor(coords, requires_grad=True), 1.5 - 0.5j
    plan = plan_of(2, "linear", "wrap")
    value = composite.pull(image, x, lattice, plan)
    expected = [reference.pull(part, coords, lattice, plan) for part in (real, imaginary)]
    same(value.detach().numpy(), expected[0] + 1j * expected[1])
    cotangent = torch.full_like(value, grad)
    value.backward(cotangent)
    same(composite.vjp(image, x.detach(), cotangent, lattice, plan)[1].numpy(), x.grad.numpy())


def test_an_image_of_any_strides_is_read_as_it_is():
    image, geometry, lattice = make_call("affine", "centered", 3)
    f, x = tensors(image, geometry)
    plan = plan_of(3)
    strided = f.movedim(1, -1).contiguous().movedim(-1, 1).flip(2)
    assert not strided.is_contiguous()
    same(composite.pull(strided, x, lattice, plan).numpy(), reference.pull(image[:, :, ::-1], geometry, lattice, plan))


@extents
def test_empty_images_and_lattices(extent):
    plan, points = plan_of(2, "linear", "constant", extent, (5.0, 6.0)), torch.zeros((1, 3, 2))
    assert (composite.pull(torch.ones((1, 2, 0, 3)), points, given_lattice((3,), 2), plan)[0, 1] == 6).all()
    assert composite.push(torch.ones((1, 2, 3)), points, given_lattice((3,), 2), plan, (1, 2, 0, 3)).numel() == 0
    image, nowhere = torch.ones((1, 2, 4, 3)), torch.zeros((1, 0, 2))
    assert composite.pull(image, nowhere, given_lattice((0,), 2), plan).shape == (1, 2, 0)
    assert composite.gradient(image, nowhere, given_lattice((0,), 2), plan).shape == (1, 2, 0, 2)
    assert (composite.push(nowhere.mT, nowhere, given_lattice((0,), 2), plan, image.shape) == 0).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@kinds
@borders
def test_cuda_gives_what_the_cpu_gives(kind, border):
    image, geometry, lattice = make_call(kind, "centered", 2)
    plan = plan_of(2, "linear", border, fill=FILL)
    on_cpu = tensors(image, geometry, requires_grad=True)
    on_cuda = [tensor.detach().cuda().requires_grad_() for tensor in on_cpu]
    for f, x in (on_cpu, on_cuda):
        composite.pull(f, x, lattice, plan).square().sum().backward()
    for cpu, cuda in zip(on_cpu, on_cuda, strict=True):
        same(cuda.grad.cpu().numpy(), cpu.grad.numpy())
