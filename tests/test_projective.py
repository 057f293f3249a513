"""Projective maps: points, pictures, the group, the horizon and the calculus."""

import pickle
from functools import partial

import numpy as np
import pytest
from families import MATRICES, draw

import pullback as pb
from pullback.transforms import Affine, Projective, Similarity, Translation

torch = pytest.importorskip("torch")

FRAMES = ("index", "centered", "normalized", "normalized-corners")
same = partial(np.testing.assert_allclose, rtol=0)


def random_map(ndim, random, batch=()):
    """A map whose horizon lies outside the unit cube."""
    matrix = np.eye(ndim + 1) + random.uniform(-0.2, 0.2, (*batch, ndim + 1, ndim + 1))
    return Projective(matrix)


every_ndim = pytest.mark.parametrize("ndim", [1, 2, 3])


@every_ndim
@pytest.mark.parametrize("batch", [(), (3,)], ids=["one", "batch"])
def test_inverse_and_products(ndim, batch):
    random = np.random.default_rng(0)
    a, b = random_map(ndim, random, batch), random_map(ndim, random)
    points = random.uniform(-1, 1, (*(batch or ()), 50, ndim))
    same(a.inverse()(a(points)), points, atol=1e-12)
    same((a @ b)(points), a(b(points)), atol=1e-12)
    same((a @ a.inverse()).matrix, np.broadcast_to(np.eye(ndim + 1), a.matrix.shape), atol=1e-12)


@every_ndim
@pytest.mark.parametrize("family", [Translation, Similarity, Affine])
def test_products_with_narrower_families(ndim, family):
    random = np.random.default_rng(0)
    narrow, wide = family.identity(ndim), random_map(ndim, random)
    narrow = narrow @ Translation(random.uniform(-0.1, 0.1, ndim))
    points = random.uniform(-1, 1, (20, ndim))
    for product, wanted in ((narrow @ wide, narrow(wide(points))), (wide @ narrow, wide(narrow(points)))):
        assert type(product) is Projective
        same(product(points), wanted, atol=1e-12)


def test_points_and_pictures_of_opencv():
    cv2 = pytest.importorskip("cv2")
    random = np.random.default_rng(0)
    image = cv2.GaussianBlur(random.random((60, 80)), (0, 0), 2)
    matrix = np.array([[1.1, 0.1, 3], [-0.05, 0.9, 2], [1e-3, 2e-3, 1]])  # (x, y), from the output to the input
    transform = Projective(matrix[[1, 0, 2]][:, [1, 0, 2]])
    points = random.uniform(0, 60, (40, 2))
    same(transform(points)[:, ::-1], cv2.perspectiveTransform(points[None, :, ::-1], matrix)[0], atol=1e-10)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    theirs = cv2.warpPerspective(image, matrix, (80, 60), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    same(pb.warp(image, transform, border="edge"), theirs, atol=2e-3)  # OpenCV rounds positions to 1/32


@every_ndim
@pytest.mark.parametrize("frame", FRAMES)
def test_the_identity_and_the_fused_path(ndim, frame):
    random = np.random.default_rng(0)
    image = random.random({1: (40,), 2: (17, 23), 3: (7, 8, 9)}[ndim])
    same(pb.warp(image, Projective.identity(ndim), frame=frame), image, atol=1e-12)
    transform = random_map(ndim, random)
    found = pb.warp(image, transform, frame=frame, border="reflect")
    coordinates = transform.coordinates(image.shape, frame)
    same(found, pb.sample(image, coordinates, frame=frame, border="reflect"), atol=1e-9)
    assert pb.explain(image, transform).coordinates == "projective, fused"


def test_beyond_the_horizon():
    transform = Projective([[1.0, 0, 0], [0, 1, 0], [-0.1, 0, 1]])
    points = np.array([[5.0, 1], [10, 1], [20, 1]])
    mapped = transform(points)
    assert np.isfinite(mapped[0]).all()
    assert np.isnan(mapped[1:]).all()
    image = np.random.default_rng(0).random((30, 20))
    assert (pb.warp(image, transform, fill=7.0)[10:] == 7).all()
    matrix, image = torch.tensor(transform.matrix, requires_grad=True), torch.tensor(image)
    pb.warp(image, Projective(matrix)).square().sum().backward()
    assert matrix.grad.isfinite().all()
    matrix.grad = None
    pb.sample(image, Projective(matrix)(torch.tensor(points))).square().sum().backward()
    assert matrix.grad.isfinite().all()


def test_the_sign_of_a_matrix():
    matrix = np.array([[1.1, 0.1, 3], [-0.05, 0.9, 2], [1e-3, 2e-3, 1]])
    same(Projective(-matrix).matrix, matrix, atol=0)
    same(Projective(torch.tensor(-matrix)).matrix, matrix, atol=0)
    backwards = Projective.from_parameters(-matrix)
    same(backwards.matrix, -matrix, atol=0)
    same(pickle.loads(pickle.dumps(backwards)).matrix, -matrix, atol=0)


@every_ndim
@pytest.mark.parametrize("batch", [(), (2,)], ids=["one", "batch"])
def test_derivatives(ndim, batch):
    random = np.random.default_rng(0)
    transform = random_map(ndim, random, batch)
    points = random.uniform(-0.5, 0.5, (*batch, 7, ndim))
    h = 1e-6
    difference = [(transform(points + step) - transform(points - step)) / (2 * h) for step in h * np.eye(ndim)]
    same(transform.jacobian(points), np.stack(difference, -1), atol=1e-8)
    matrix, p = (torch.tensor(a, requires_grad=True) for a in (transform.matrix, points))
    call = lambda m, p: Projective.from_parameters(m)(p)  # noqa: E731
    assert torch.autograd.gradcheck(call, (matrix, p))
    assert torch.autograd.gradgradcheck(call, (matrix, p))
    grad = random.standard_normal(points.shape)
    wanted = torch.autograd.grad(call(matrix, p), (p, matrix), torch.tensor(grad))
    for ours, theirs in zip(transform.points_vjp(points, grad), wanted, strict=True):
        same(ours, theirs, atol=1e-12)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("antialias", [False, True], ids=["", "antialias"])
def test_gradients_of_a_warp(frame, antialias):
    random = np.random.default_rng(0)
    image, shape = random.random((22, 26)), (9, 10)
    transform = random_map(2, random, (2,))
    grad = random.standard_normal((2, *shape))
    options = dict(frame=frame, border="edge", antialias=antialias)
    f, m = torch.tensor(image, requires_grad=True), torch.tensor(transform.matrix, requires_grad=True)
    value = pb.warp(f, Projective(m), shape, **options)
    wanted = torch.autograd.grad(value, (f, m), torch.tensor(grad))
    for ours, theirs in zip(pb.warp_vjp(image, transform, grad, **options), wanted, strict=True):
        same(ours, theirs, atol=1e-9 * max(1, float(theirs.abs().max())))


def test_in_a_chain():
    random = np.random.default_rng(0)
    image, transform = random.random((12, 15)), random_map(2, random)
    field = pb.Displacement(random.uniform(-1, 1, (12, 15, 2)))
    for chain in (field @ transform, transform @ field):
        coordinates = chain.transforms[0](chain.transforms[1].coordinates((12, 15)))
        same(pb.warp(image, chain), pb.sample(image, coordinates), atol=1e-12)
        grad_image, grad_parameters = pb.warp_vjp(image, chain, np.ones((12, 15)))
        assert [grad.shape for grad in grad_parameters] == [part.parameters.shape for part in chain.transforms]
        f = torch.tensor(image, requires_grad=True)
        parts = [torch.tensor(np.array(p.parameters), requires_grad=True) for p in chain.transforms]
        pb.warp(f, chain.with_parameters(tuple(parts))).sum().backward()
        for ours, part in zip(grad_parameters, parts, strict=True):
            same(ours, part.grad, atol=1e-9)
        same(grad_image, f.grad, atol=1e-10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Projective(np.eye(3)[:2]), r"shape \(2, 3\); give \(d \+ 1, d \+ 1\).*is an Affine"),
        (lambda: Projective(np.eye(5)), r"shape \(5, 5\)"),
        (lambda: Projective(np.ones((3, 3))).inverse(), "singular to working precision"),
        (lambda: Projective(np.stack([np.eye(3), np.full((3, 3), np.nan)])).inverse(), "transform 1 .* not finite"),
        (lambda: Projective.identity(2)(np.zeros((4, 3))), r"`points` has shape \(4, 3\)"),
        (lambda: Projective.identity(2) @ Projective.identity(3), "2-D and 3-D"),
        (lambda: Projective.identity(2).matrix_vjp(np.zeros((2, 3))), "`grad_matrix` has shape"),
    ],
)
def test_wrong_values_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_products_with_projective_maps_multiply_and_keep_their_sign():
    rng = np.random.default_rng(8)
    wide = Projective.from_parameters(-draw(Projective, 2, rng, (2,), near=True).matrix)
    for family in MATRICES:
        narrow = draw(family, 2, rng, near=True)
        for product, matrices in ((wide @ narrow, (wide, narrow)), (narrow @ wide, (narrow, wide))):
            assert type(product) is Projective
            np.testing.assert_allclose(product.matrix, matrices[0].homogeneous @ matrices[1].homogeneous, rtol=1e-13)


@pytest.mark.parametrize(
    ("batch", "shape"), [((), (2,)), ((3,), (2,)), ((3,), (1, 4, 2)), ((1,), (3, 2)), ((), (0, 2))]
)
def test_projective_points_vjp_has_the_shapes_of_points_and_matrix(batch, shape):
    rng = np.random.default_rng(9)
    transform, points = draw(Projective, 2, rng, batch, near=True), rng.uniform(0, 40, shape)
    matrix, p = (torch.tensor(array, requires_grad=True) for array in (transform.matrix, points))
    mapped = Projective.from_parameters(matrix)(p)
    grad = rng.normal(size=tuple(mapped.shape))
    expected = torch.autograd.grad(mapped, (p, matrix), torch.tensor(grad))
    for ours, theirs in zip(transform.points_vjp(points, grad), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-11)
