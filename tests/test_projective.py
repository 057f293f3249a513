"""Projective maps: points, pictures, the group, the horizon and the calculus."""

import pickle
from functools import partial

import numpy as np
import pytest
from families import MATRICES, draw

import pullback as pb
from pullback import _reference
from pullback._plan import LATTICES, Frame, Lattice, make_plan
from pullback.transforms import Affine, Projective, Similarity, Translation

torch = pytest.importorskip("torch")

import pullback.backends.composite as composite  # noqa: E402
import pullback.backends.numpy as native  # noqa: E402

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


def test_one_side_of_the_horizon():
    transform = Projective([[1.0, 0, 0], [0, 1, 0], [-0.1, 0, 1]], one_sided=True)
    points = np.array([[5.0, 1], [10, 1], [20, 1]])
    mapped = transform(points)
    assert np.isfinite(mapped[0]).all()
    assert np.isnan(mapped[1:]).all()
    image = np.random.default_rng(0).random((30, 20))
    assert (pb.warp(image, transform, fill=7.0)[10:] == 7).all()
    matrix, image = torch.tensor(transform.matrix, requires_grad=True), torch.tensor(image)
    pb.warp(image, Projective(matrix, one_sided=True)).square().sum().backward()
    assert matrix.grad.isfinite().all()
    matrix.grad = None
    pb.sample(image, Projective(matrix, one_sided=True)(torch.tensor(points))).square().sum().backward()
    assert matrix.grad.isfinite().all()


# On (x, y), the middle of its horizon in an 8 x 8 image: the denominator is 1 at the corner and -2.5 in the last row.
FLOOR = np.array([[1.0, -4, 8], [0, -3, 8], [0, -0.5, 1]])


def test_a_point_below_the_horizon():
    image = np.ones((8, 8))
    image[4, 2] = 5
    same(pb.warp(image, Projective.from_cv2(FLOOR))[4, 6], 5, atol=1e-13)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_matrix_means_the_same_as_its_multiples(frame, dtype):
    matrix, image = Projective.from_cv2(FLOOR).matrix, np.random.default_rng(0).random((8, 8)).astype(dtype)
    wanted = pb.warp(image, Projective(matrix), frame=frame, border="reflect")
    for factor in (-1, 3, -0.25):
        same(pb.warp(image, Projective(factor * matrix), frame=frame, border="reflect"), wanted, atol=1e-5)
        once = Projective(matrix, one_sided=True)
        again = Projective(factor * matrix, one_sided=True)
        same(pb.warp(image, again, frame=frame), pb.warp(image, once, frame=frame), atol=1e-5)


def test_birds_eye_views_are_those_of_opencv():
    cv2 = pytest.importorskip("cv2")
    random = np.random.default_rng(0)
    image = cv2.GaussianBlur(random.random((60, 80)), (0, 0), 2)
    road = np.float32([[30, 25], [50, 25], [5, 55], [75, 55]])
    matrix = cv2.getPerspectiveTransform(road, np.float32([[0, 0], [79, 0], [0, 59], [79, 59]]))
    transform = Projective.from_cv2(matrix)
    assert np.sign(matrix[2, 1]) < 0, "the horizon lies in the picture"
    same(
        pb.warp(image, transform, border="edge"), cv2.warpPerspective(image, matrix, (80, 60), borderMode=1), atol=4e-3
    )
    back = transform.inverse()
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    theirs = cv2.warpPerspective(image, matrix, (80, 60), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    found = pb.warp(image, back, border="edge")
    far = np.abs(np.indices((60, 80))[0] * matrix[2, 1] + np.indices((60, 80))[1] * matrix[2, 0] + 1) > 0.05
    same(found[far], theirs[far], atol=4e-3)  # OpenCV rounds positions to 1/32
    same(transform.to_cv2() / transform.to_cv2()[2, 2], matrix, atol=1e-10)


def test_both_sides_follow_scikit_image():
    skimage = pytest.importorskip("skimage.transform")
    image, transform = np.random.default_rng(0).random((8, 8)), Projective.from_cv2(FLOOR)
    theirs = skimage.warp(image, transform.to_skimage(), order=1, mode="edge")
    seen = np.abs(transform.matrix[-1] @ np.stack([*np.indices((8, 8)), np.ones((8, 8))]).reshape(3, -1)) > 1e-3
    same(pb.warp(image, transform, border="edge").ravel()[seen], theirs.ravel()[seen], atol=1e-9)
    same(Projective.from_skimage(transform.to_skimage()).matrix, transform.matrix, atol=0)


def random_horizon(random, ndim, shape, nearest=2e-3):
    """A map whose horizon runs through an output of a shape, no nearer to a point than this share of the way."""
    while True:
        matrix = np.eye(ndim + 1) + random.uniform(-0.2, 0.2, (ndim + 1, ndim + 1))
        matrix[-1, :-1] = random.uniform(-2, 2, ndim) / shape
        indices = np.stack([*np.indices(shape), np.ones(shape)], -1)
        w = indices @ matrix[-1]
        if (w > 0).any() and (w < 0).any() and np.abs(w).min() > nearest * np.abs(w).max():
            return matrix


@every_ndim
@pytest.mark.parametrize("one_sided", [False, True], ids=["both", "one"])
@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_backends_agree_beyond_the_horizon(ndim, one_sided, interpolation, dtype):
    random, shape = np.random.default_rng(ndim), {1: (23,), 2: (9, 11), 3: (5, 6, 7)}[ndim]
    matrix = random_horizon(random, ndim, shape)
    image = random.random((1, 1, *shape)).astype(dtype)
    frame = Frame((1.0,) * ndim, (0.0,) * ndim)
    lattice = Lattice(LATTICES["one-sided" if one_sided else "projective"], shape, frame, frame)
    plan = make_plan((interpolation,) * ndim, ("reflect",) * ndim, "blend", (0.5,))
    grad = random.standard_normal(image.shape).astype(dtype)
    wanted = _reference.pull(image, matrix[None], lattice, plan)
    wanted_grads = _reference.pull_vjp(image, matrix[None], grad, lattice, plan)
    seen = np.isfinite(_reference.coordinates(matrix[None], lattice)).all(-1)
    assert seen.all() != one_sided
    assert ((wanted == 0.5).sum() > 0) == one_sided
    # next to the horizon, quotients have lost three digits, and their slopes as many again
    tolerance = 1e-5 if dtype == np.float32 else 1e-10
    tensors = [torch.tensor(array) for array in (image, matrix[None])]
    for values, grads in (
        (native.pull(image, matrix[None], lattice, plan), native.vjp(image, matrix[None], grad, lattice, plan)),
        (
            composite.pull(*tensors, lattice, plan),
            composite.vjp(*tensors, torch.tensor(grad), lattice, plan),
        ),
    ):
        same(np.asarray(values), wanted, atol=tolerance)
        for found, truth in zip(grads, wanted_grads, strict=True):
            scale = np.abs(truth).max()
            same(np.asarray(found) / scale, truth / scale, atol=1e-3 if dtype == np.float32 else 1e-9)


@pytest.mark.parametrize("one_sided", [False, True], ids=["both", "one"])
def test_derivatives_beyond_the_horizon(one_sided):
    random = np.random.default_rng(0)
    image = torch.tensor(random.random((4, 5)), requires_grad=True)
    matrix = torch.tensor(random_horizon(random, 2, (4, 5), 0.1), requires_grad=True)

    def call(image, matrix):
        return pb.warp(image, Projective(matrix, one_sided=one_sided), interpolation="bspline5", border="reflect")

    assert torch.autograd.gradcheck(call, (image, matrix), atol=1e-4, rtol=1e-4)
    assert torch.autograd.gradgradcheck(call, (image, matrix), atol=1e-3, rtol=1e-3)
    dots = torch.randn(4, 5, dtype=torch.float64), torch.randn(3, 3, dtype=torch.float64)
    moved = torch.func.jvp(call, (image.detach(), matrix.detach()), dots)[1]
    again = torch.autograd.functional.jvp(call, (image.detach(), matrix.detach()), dots)[1]
    torch.testing.assert_close(moved, again, rtol=1e-9, atol=1e-9)


def test_normal_equations_beyond_the_horizon():
    random = np.random.default_rng(0)
    image, matrix = random.random((6, 7)), random_horizon(random, 2, (6, 7))
    options = dict(interpolation="cubic", border="reflect")
    for one_sided in (False, True):
        transform, target = Projective(matrix, one_sided), random.random((6, 7))
        equations = pb.normal_equations(image, transform, target, **options)
        inside = pb.warp(np.ones_like(image), transform, extent="crop", **options) > 0
        residual = inside * (pb.warp(image, transform, **options) - target)
        grad = pb.warp_vjp(image, transform, residual, **options)[1]
        same(equations.jtr / np.abs(grad).max(), grad.ravel() / np.abs(grad).max(), atol=1e-10)
        same(equations.cost, (residual**2).sum(), atol=1e-10)


def test_what_has_one_side_keeps_it(tmp_path):
    transform = Projective([[1.0, 0, 0], [0, 1, 0], [-0.1, 0, 1]], one_sided=True)
    transform.save(tmp_path / "a.json")
    transform.save(tmp_path / "a.npz")
    copies = [
        pickle.loads(pickle.dumps(transform)),
        pb.transforms.load(tmp_path / "a.json"),
        pb.transforms.load(tmp_path / "a.npz"),
        transform.with_parameters(transform.matrix),
        transform.torch(),
        transform.torch().numpy(),
        transform.inverse().inverse(),
        Projective.from_parameters(transform.matrix, one_sided=True),
    ]
    for copy in copies:
        assert copy.one_sided
        assert "one_sided=True" in repr(copy)
        same(copy.matrix, transform.matrix, atol=1e-12)
    assert not Projective(transform.matrix).one_sided
    assert not pickle.loads(pickle.dumps(Projective(transform.matrix))).one_sided
    with pytest.raises(TypeError, match="Projective: `one_sided` must be True or False"):
        Projective(transform.matrix, one_sided=1)


def test_products_with_one_side_are_chains():
    """Each part keeps its own horizon, and points beyond one have no part in the gradients."""
    tilt = Projective([[1.0, 0, 0], [0, 1, 0], [-0.1, 0, 1]], one_sided=True)
    flat, image = Affine.scaling(0.5), np.random.default_rng(0).random((20, 20))
    points = np.array([[4.0, 3], [15, 3]])
    for product in (flat @ tilt, tilt @ flat, tilt @ tilt.inverse(), flat @ tilt @ Projective.identity(2)):
        assert isinstance(product, pb.Chain)
        assert product.numpy().torch().transforms[-1].lattice == product.transforms[-1].lattice
    same((flat @ tilt)(points), [[2 / 0.6, 1.5 / 0.6], [np.nan, np.nan]], atol=1e-12)
    same((tilt.inverse() @ tilt)(points), [[4.0, 3], [np.nan, np.nan]], atol=1e-12)
    chain = flat @ tilt
    _, grads = pb.warp_vjp(image, chain, np.ones((20, 20)))
    parts = [torch.tensor(np.array(part.parameters), requires_grad=True) for part in chain.transforms]
    pb.warp(torch.tensor(image), chain.with_parameters(tuple(parts))).sum().backward()
    for ours, part in zip(grads, parts, strict=True):
        assert np.isfinite(ours).all()
        same(ours, part.grad, atol=1e-9)
    assert (pb.warp(image, chain, fill=7.0)[10:] == 7).all()


def test_footprints_beyond_the_horizon():
    random = np.random.default_rng(0)
    image, matrix = random.random((30, 30)), np.array([[1.0, 0, 0], [0, 1, 0], [-0.11, 0, 1.0]])
    options = dict(antialias=True, border="wrap", fill=np.nan)
    both, one = (pb.warp(image, Projective(matrix, side), **options) for side in (False, True))
    assert np.isfinite(both).all()
    assert np.isfinite(one[:9]).all()
    assert np.isnan(one[10:]).all()


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
