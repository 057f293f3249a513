"""Derivatives on tensors beyond the first reverse one: second order, forward mode, vmap, and the rules of operators."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from cases import KINDS, NDIMS, make

import pullback as pb
from pullback._plan import AREA, INTERPOLATIONS, LATTICES, Lattice, Sizing, frame_of, make_plan

torch = pytest.importorskip("torch")

from pullback.backends import composite  # noqa: E402
from pullback.backends import torch as backend  # noqa: E402
from pullback.backends.torch import calculus  # noqa: E402
from pullback.backends.torch.codes import code_of, code_of_sizing  # noqa: E402

every_kind = pytest.mark.parametrize("kind", KINDS)
every_ndim = pytest.mark.parametrize("ndim", NDIMS)


def tensors(case):
    return torch.from_numpy(case.image).requires_grad_(), torch.from_numpy(case.geometry).requires_grad_()


def native(case):
    return lambda f, g: backend.pull(f, g, case.lattice, case.plan, f.dtype)


def plain(case):
    return lambda f, g: composite.pull(f, g, case.lattice, case.plan)


def second_derivatives(pull, case):
    """Return the gradients of a mixture of both gradients, in the image, the geometry and the cotangent."""
    f, g = tensors(case)
    random = torch.Generator().manual_seed(0)
    noise = partial(torch.randn, dtype=f.dtype, generator=random)
    v = pull(f, g)
    c = noise(v.shape).requires_grad_()
    on_image, on_geometry = torch.autograd.grad((v * c).sum(), (f, g), create_graph=True)
    mixture = (on_image * noise(f.shape)).sum() + (on_geometry * noise(g.shape)).sum()
    return torch.autograd.grad(mixture, (f, g, c), materialize_grads=True)


def hold_against_composite(case):
    for ours, theirs in zip(second_derivatives(native(case), case), second_derivatives(plain(case), case), strict=True):
        scale = max(1, theirs.abs().max())
        torch.testing.assert_close(ours / scale, theirs / scale, rtol=0, atol=1e-10)


def test_axes_of_one_entry_may_have_any_step():
    """NumPy gives a new axis a stride of zero."""
    case = make(2, batch=(1, 1), channels=1, dtype=np.float64, points=(3, 4))
    hold_against_composite(replace(case, image=case.image[0, 0][None, None]))


def test_second_order_of_whole_blocks_and_few_threads():
    case = make(2, kind="affine", batch=(1, 1), channels=1, dtype=np.float64, shape=(40, 50), points=(60, 70))
    hold_against_composite(case)
    before, found = pb.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            pb.set_num_threads(threads)
            found.append(second_derivatives(native(case), case))
    finally:
        pb.set_num_threads(before)
    for others in found[1:]:
        assert all(torch.equal(one, other) for one, other in zip(found[0], others, strict=True))


@every_kind
def test_forward_over_reverse_is_reverse_over_reverse(kind):
    case = make(2, ("cubic", "edge", "blend"), kind=kind, dtype=np.float64, points=(3, 4), batch=(1, 1), channels=2)
    pull, (f, g) = native(case), (t.detach() for t in tensors(case))
    loss = lambda g: pull(f, g).square().sum()  # noqa: E731
    forward = torch.func.jacfwd(torch.func.jacrev(loss))(g)
    reverse = torch.func.jacrev(torch.func.jacrev(loss))(g)
    plainly = torch.autograd.functional.hessian(lambda g: plain(case)(f, g).square().sum(), g)
    torch.testing.assert_close(forward, plainly, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(reverse, plainly, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("batch", [(1, 1), (2, 2), (1, 2), (2, 1)], ids=str)
@pytest.mark.parametrize("mapped", [(0, 0), (0, None), (None, 0)], ids=["both", "images", "geometries"])
def test_vmap_is_a_loop(batch, mapped):
    """The values, and the gradients inside the map, of calls side by side."""
    case = make(2, ("linear", "reflect", "blend"), kind="affine", dtype=np.float64, batch=batch)
    f, g = (t.detach() for t in tensors(case))
    many = [
        t + 0.1 * torch.randn(3, *t.shape, dtype=t.dtype) if m == 0 else t for t, m in zip((f, g), mapped, strict=True)
    ]
    pull = native(case)
    each = lambda k: tuple(t[k] if m == 0 else t for t, m in zip(many, mapped, strict=True))  # noqa: E731
    gradients = torch.func.grad(lambda f, g: pull(f, g).pow(3).sum(), argnums=(0, 1))
    values = torch.func.vmap(pull, in_dims=mapped)(*many)
    torch.testing.assert_close(values, torch.stack([pull(*each(k)) for k in range(3)]))
    found = torch.func.vmap(gradients, in_dims=mapped)(*many)
    wanted = [gradients(*each(k)) for k in range(3)]
    for ours, theirs in zip(found, zip(*wanted, strict=True), strict=True):
        torch.testing.assert_close(ours, torch.stack(theirs))


def test_vmap_over_transforms_of_one_image():
    image = torch.rand(20, 30, dtype=torch.float64)
    angles = torch.linspace(-40, 40, 5, dtype=torch.float64)
    turned = lambda angle: pb.warp(image, pb.Affine.rotation(angle), frame="centered")  # noqa: E731
    torch.testing.assert_close(torch.func.vmap(turned)(angles), torch.stack([turned(angle) for angle in angles]))


@pytest.mark.parametrize("operation", ["splat", "gradient", "resize", "prefilter", "masked"])
def test_public_functions_have_a_second_order_and_a_forward_mode(operation):
    image = torch.rand(2, 7, 9, dtype=torch.float64)
    coords = 0.3 + 5 * torch.rand(11, 2, dtype=torch.float64)
    call = {
        "splat": lambda f, x: pb.splat(f[:, 0, :1].expand(2, 11) * x[:, 0], x, (7, 9)),
        "gradient": lambda f, x: pb.gradient(f, x, interpolation="cubic"),
        "resize": lambda f, x: pb.resize(f, (5, 12)) * x.mean(),
        "prefilter": lambda f, x: pb.sample(f, x, interpolation="spline3", border="reflect"),
        "masked": lambda f, x: pb.sample(f, x, mask=torch.ones(7, 9, dtype=torch.bool).tril(3)),
    }[operation]
    inputs = (image.requires_grad_(), coords.requires_grad_())
    check = torch.autograd.gradcheck if operation == "gradient" else torch.autograd.gradgradcheck
    assert check(call, inputs, eps=1e-7, atol=1e-4, rtol=1e-4, fast_mode=True)
    if operation != "gradient":
        primal = tuple(t.detach() for t in inputs)
        dots = tuple(map(torch.randn_like, primal))
        _, moved = torch.func.jvp(call, primal, dots)
        h = 1e-6
        ahead, behind = (call(*(p + s * h * d for p, d in zip(primal, dots, strict=True))) for s in (1, -1))
        torch.testing.assert_close(moved, (ahead - behind) / (2 * h), rtol=1e-4, atol=1e-4)


def test_the_third_order_is_refused():
    case = make(1, ("bspline5", "reflect", "blend"), dtype=np.float64, points=(4,), batch=(1, 1))
    f, g = tensors(case)
    value = native(case)(f, g).sum()
    for _ in range(2):
        (value,) = (torch.autograd.grad(value, g, create_graph=True)[0].sum(),)
    with pytest.raises(RuntimeError, match="derivatives of the third order are not implemented"):
        value.backward()


@pytest.mark.parametrize("wanted", ["image", "geometry"])
def test_only_what_is_asked_for_is_computed(wanted, monkeypatch):
    calls, original = [], calculus.vjp
    monkeypatch.setattr(calculus, "vjp", lambda *inputs: calls.append(inputs[-2:]) or original(*inputs))
    case = make(2, dtype=np.float64)
    f, g = (t.detach() for t in tensors(case))
    (f if wanted == "image" else g).requires_grad_()
    native(case)(f, g).sum().backward()
    assert calls == [(wanted == "image", wanted == "geometry")]


@every_kind
def test_opcheck(kind):
    case = make(2, kind=kind, dtype=np.float64)
    f, g = tensors(case)
    call = (case.lattice.shape, code_of(case.lattice, case.plan))
    c = torch.randn(2, 2, *case.lattice.shape, dtype=f.dtype, requires_grad=True)
    f_dot, g_dot = torch.randn_like(f).requires_grad_(), torch.randn_like(g).requires_grad_()
    ops = torch.ops.pullback
    torch.library.opcheck(ops.pull.default, (f, g, *call, f.dtype))
    torch.library.opcheck(ops.vjp.default, (f, g, c, *call, True, True))
    torch.library.opcheck(ops.jvp.default, (f, g, f_dot, g_dot, *call))
    torch.library.opcheck(
        ops.second.default, (f, g, f_dot, g_dot, c, *call, True, True), test_utils=("test_schema", "test_faketensor")
    )
    if kind in ("given", "displacement"):
        torch.library.opcheck(ops.push.default, (c, g, *call, f.shape))
        torch.library.opcheck(ops.gradient.default, (f, g, *call))


@pytest.mark.parametrize("layout", ["channels last", "expanded", "strided"])
def test_inputs_of_any_layout(layout):
    image = {
        "channels last": torch.rand(2, 7, 9, 3, dtype=torch.float64).movedim(-1, 1),
        "expanded": torch.rand(2, 1, 7, 9, dtype=torch.float64).expand(2, 3, 7, 9),
        "strided": torch.rand(2, 3, 14, 9, dtype=torch.float64)[:, :, ::2],
    }[layout]
    matrix = (torch.eye(2, 3, dtype=torch.float64) + 0.1).expand(2, 2, 3)

    def derivatives(image, matrix):
        image, matrix = image.requires_grad_(), matrix.requires_grad_()
        value = pb.warp(image, pb.Affine(matrix), interpolation="cubic").pow(2).sum()
        first = torch.autograd.grad(value, (image, matrix), create_graph=True)
        return torch.autograd.grad(first[0].pow(2).sum() + first[1].pow(2).sum(), (image, matrix))

    for ours, theirs in zip(
        derivatives(image.detach(), matrix.detach()),
        derivatives(image.detach().clone(memory_format=torch.contiguous_format), matrix.contiguous()),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_opcheck_of_what_has_no_geometry_to_differentiate():
    plan = make_plan(("spline3", "spline2"), ("reflect", "constant"), "blend", (0.5,))
    frame = frame_of("index", (7, 9))
    code = code_of(Lattice(LATTICES["given"], (11,), frame, frame), plan)
    image = torch.rand(2, 3, 7, 9, dtype=torch.float64, requires_grad=True)
    importance, points = torch.rand(2, 1, 11, dtype=torch.float64), 6 * torch.rand(2, 11, 2, dtype=torch.float64)
    ops = torch.ops.pullback
    for adjoint in (False, True):
        torch.library.opcheck(ops.prefilter.default, (image, code, adjoint))
    for text in ("linear", "area", "nearest"):
        sizing = Sizing((INTERPOLATIONS.get(text, AREA),) * 2, (0.0, 0.0), (1, None), (0.5,), True)
        for adjoint in (False, True):
            torch.library.opcheck(ops.resize.default, (image, (4, 12), code_of_sizing(sizing), torch.float64, adjoint))
    torch.library.opcheck(ops.winners.default, (importance, points, (11,), code, (7, 9)))
