"""Tensors: the operators give what the reference gives, with gradients, in every mode, on every path."""

import numpy as np
import pytest
from cases import FEW_MODES, KINDS, MODES, NDIMS, make

import pullback as pb
from pullback import _reference

torch = pytest.importorskip("torch")
from pullback.backends import torch as backend  # noqa: E402
from pullback.backends.torch import operators  # noqa: E402
from pullback.backends.torch.operators import reading_of  # noqa: E402

every_mode = pytest.mark.parametrize("mode", MODES, ids="-".join)
every_ndim = pytest.mark.parametrize("ndim", NDIMS)
every_kind = pytest.mark.parametrize("kind", KINDS)


def tensors(case, grad=True):
    image = torch.from_numpy(case.image).requires_grad_(grad)
    geometry = torch.from_numpy(case.geometry).requires_grad_(grad)
    return image, geometry


@pytest.mark.parametrize("mode", FEW_MODES, ids="-".join)
@every_ndim
@every_kind
@pytest.mark.parametrize("batch", [(2, 2), (1, 2), (2, 1)], ids=["own", "shared-image", "shared-geometry"])
def test_values_and_gradients(mode, ndim, kind, batch):
    case = make(ndim, mode, kind=kind, batch=batch, dtype=np.float64)
    image, geometry = tensors(case)
    values = backend.pull(image, geometry, case.lattice, case.plan, torch.float64)
    np.testing.assert_allclose(values.detach(), case.reference(), rtol=0, atol=1e-11)
    grad = np.random.default_rng(1).uniform(-1, 1, values.shape)
    found = torch.autograd.grad(values, (image, geometry), torch.from_numpy(grad))
    wanted = _reference.pull_vjp(case.image, case.geometry, grad, case.lattice, case.plan)
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10 * max(1, np.abs(theirs).max()))


@pytest.mark.parametrize("mode", [m for m in FEW_MODES if m[1] in ("constant", "symmetric")], ids="-".join)
@every_ndim
@every_kind
def test_gradcheck(mode, ndim, kind):
    case = make(ndim, mode, kind=kind, dtype=np.float64, points=(4,) * ndim, channels=1)
    image, geometry = tensors(case)
    # Half a step of gradcheck is 5e-7 of a unit; no point is nearer to a knot than that (see cases.NEAR).
    pull = lambda image, geometry: backend.pull(image, geometry, case.lattice, case.plan, torch.float64)  # noqa: E731
    assert torch.autograd.gradcheck(pull, (image, geometry), eps=1e-7, atol=1e-5)


@pytest.mark.parametrize("mode", [m for m in FEW_MODES if m[1] in ("constant", "reflect")], ids="-".join)
@every_ndim
def test_gradcheck_of_splat(mode, ndim):
    case = make(ndim, mode, dtype=np.float64, points=(3, 4))
    values = torch.randn(2, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    geometry = torch.from_numpy(case.geometry).requires_grad_()
    push = lambda v, x: backend.push(v, x, case.lattice, case.plan, case.image.shape)  # noqa: E731
    assert torch.autograd.gradcheck(push, (values, geometry), eps=1e-7, atol=1e-5)


@every_mode
@every_kind
def test_the_composite_is_the_same_operator(mode, kind):
    """What other devices run, called directly."""
    case = make(2, mode, kind=kind, dtype=np.float64)
    image, geometry = tensors(case, grad=False)
    call = (case.lattice.shape, reading_of(case.lattice, case.plan))
    grad = torch.randn(2, 2, *case.lattice.shape, dtype=torch.float64)
    pairs = [
        (operators._pull_native, operators._pull_composite, (image, geometry, *call, torch.float64)),
        (operators._gradient_native, operators._gradient_composite, (image, geometry, *call)),
        (operators._push_native, operators._push_composite, (grad, geometry, *call, image.shape)),
        (operators._vjp_native, operators._vjp_composite, (image, geometry, grad, *call, True, True)),
    ]
    for native, composite, arguments in pairs:
        torch.testing.assert_close(native(*arguments), composite(*arguments), rtol=1e-11, atol=1e-11)


@every_kind
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_opcheck(kind, dtype):
    case = make(2, kind=kind, dtype=dtype)
    image, geometry = tensors(case)
    call = (case.lattice.shape, reading_of(case.lattice, case.plan))
    ops = torch.ops.pullback
    torch.library.opcheck(ops.pull.default, (image, geometry, *call, image.dtype))
    values = torch.randn(2, 2, *case.lattice.shape, dtype=image.dtype)
    torch.library.opcheck(ops.push.default, (values.requires_grad_(), geometry, *call, image.shape))
    tests = ("test_schema", "test_faketensor")  # they have no derivative yet
    torch.library.opcheck(ops.gradient.default, (image, geometry, *call), test_utils=tests)
    torch.library.opcheck(ops.vjp.default, (image, geometry, values, *call, True, True), test_utils=tests)


def test_compiles_without_a_graph_break():
    image = torch.randn(2, 3, 12, 14)
    coords = 12 * torch.rand(2, 30, 2)

    def function(image, coords):
        return 2 * torch.ops.pullback.pull(image, coords, *call, torch.float32)

    lattice = pb._plan.Lattice(0, (30,), pb._plan.frame_of("index", (12, 14)), pb._plan.frame_of("index", (12, 14)))
    call = (
        lattice.shape,
        reading_of(lattice, pb._plan.make_plan(("linear",) * 2, ("edge",) * 2, "blend", (0.0,))),
    )
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(image, coords), 2 * pb.sample(image, coords, border="edge"), rtol=0, atol=0)


def test_only_what_is_asked_for():
    image = torch.randn(1, 1, 8, 9)
    coords = (8 * torch.rand(1, 20, 2)).requires_grad_()
    pb.sample(image, coords).sum().backward()
    assert coords.grad.abs().sum() > 0
    assert image.grad is None
    with torch.no_grad():
        assert not pb.sample(image, coords).requires_grad


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.uint8])
def test_other_dtypes(dtype):
    image = (200 * torch.rand(2, 8, 9)).to(dtype)
    coords = 7 * torch.rand(30, 2)
    values = pb.sample(image, coords)
    assert values.dtype == dtype
    wanted = pb.sample(image.float(), coords)
    # half a unit in the last place of each dtype at 200
    torch.testing.assert_close(
        values.float(), wanted, rtol=0, atol={torch.float16: 0.07, torch.bfloat16: 0.51, torch.uint8: 0.51}[dtype]
    )
    if dtype.is_floating_point:
        image.requires_grad_()
        pb.sample(image, coords).float().sum().backward()
        assert image.grad.dtype == dtype


def test_strided_and_expanded_tensors():
    image = torch.randn(9, 8, 3, 2).permute(3, 2, 1, 0)
    coords = (7 * torch.rand(2, 20)).T.expand(2, 20, 2)
    torch.testing.assert_close(
        pb.sample(image, coords), pb.sample(image.contiguous(), coords.contiguous()), rtol=1e-6, atol=1e-6
    )
    leaf = image.clone(memory_format=torch.channels_last).requires_grad_()
    values = pb.sample(leaf, coords)
    (found,) = torch.autograd.grad(values.sum(), leaf)  # an expanded cotangent
    wanted = pb.splat(torch.ones(2, 3, 20), coords, (8, 9))
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)


def test_numpy_agrees():
    image = np.random.default_rng(0).standard_normal((2, 3, 20, 24)).astype(np.float32)
    turns = pb.Affine.rotation(np.array([10.0, 20.0]))
    found = pb.warp(torch.from_numpy(image), turns, frame="centered")  # parameters of NumPy follow the image
    np.testing.assert_array_equal(found.numpy(), pb.warp(image, turns, frame="centered"))


def test_what_is_for_numpy_alone():
    image = torch.randn(8, 9)
    with pytest.raises(TypeError, match="sample: `out` is for NumPy arrays"):
        pb.sample(image, torch.rand(3, 2), out=torch.empty(3))
    with pytest.raises(TypeError, match="sample_vjp: takes NumPy arrays"):
        pb.sample_vjp(image, torch.rand(3, 2), torch.ones(3))
    with pytest.raises(TypeError, match=r"sample: `image` is of dtype torch\.complex32"):
        pb.sample(torch.zeros(8, 9, dtype=torch.complex32), torch.rand(3, 2))
