"""Transforms and what lies outside: the matrices of other libraries, pairs of points, and files."""

from __future__ import annotations

import contextlib
import json
import math
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, optimize

import pullback as pb
from pullback.transforms import (
    Affine,
    Chain,
    Displacement,
    Euclidean,
    FreeForm,
    Projective,
    Similarity,
    ThinPlateSpline,
    Transform,
    Translation,
    Velocity,
    load,
)

torch = pytest.importorskip("torch")

FAMILIES = (Translation, Euclidean, Similarity, Affine, Projective)
each_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda v: v.__name__)
CASES = [(family, ndim) for family in FAMILIES for ndim in (1, 2, 3)]
each_case = pytest.mark.parametrize(("family", "ndim"), CASES, ids=lambda v: getattr(v, "__name__", f"{v}d"))
each_batch = pytest.mark.parametrize("batch", [(), (3,)], ids=["one", "batch"])

SHAPE, OUTPUT = (48, 61), (52, 45)


def random_transform(family: Any, ndim: int, rng: np.random.Generator, batch: tuple[int, ...] = ()) -> Any:
    """Near enough to the identity that an image of some 50 pixels stays in sight, and the horizon 300 pixels away."""
    offset = rng.uniform(-4, 4, (*batch, ndim))
    if family is Translation:
        return Translation(offset)
    turn = {1: None, 2: rng.uniform(-0.3, 0.3, batch), 3: rng.uniform(-0.3, 0.3, (*batch, 3))}[ndim]
    if family is Euclidean:
        return Euclidean(turn, offset)
    if family is Similarity:
        return Similarity(rng.uniform(0.8, 1.2, batch), turn, offset)
    linear = np.eye(ndim) + rng.uniform(-0.2, 0.2, (*batch, ndim, ndim))
    affine = Affine(np.concatenate([linear, offset[..., None]], -1))
    if family is Affine:
        return affine
    matrix = affine.homogeneous.copy()
    matrix[..., -1, :-1] = rng.uniform(-1e-3, 1e-3, (*batch, ndim))
    return Projective(matrix)


def smooth_image(shape: tuple[int, ...] = SHAPE) -> Any:
    return ndimage.gaussian_filter(np.random.default_rng(0).random(shape), 2, mode="wrap")


def seeds() -> Any:
    return st.integers(0, 2**32 - 1).map(np.random.default_rng)


def warped(image: Any, transform: Any, shape: tuple[int, ...]) -> Any:
    """Warp as points, with NaN for what lies outside."""
    points = np.moveaxis(np.indices(shape, float), 0, -1)
    return pb.sample(image, transform(points), extent="crop", fill=np.nan)


def agree(ours: Any, theirs: Any, atol: float, inside: int = 2) -> None:
    """Compare where our result is inside the image, `inside` pixels from its edges: they differ in what is beyond."""
    seen = ndimage.binary_erosion(np.isfinite(ours), iterations=inside)
    assert seen.mean() > 0.1
    np.testing.assert_allclose(ours[seen], np.asarray(theirs)[seen], atol=atol)


# ---- OpenCV


@each_family
@pytest.mark.parametrize("inverse_map", [False, True], ids=["forward", "inverse"])
def test_opencv_warps_the_same_picture(family, inverse_map):
    cv2 = pytest.importorskip("cv2")
    image, transform = smooth_image(), random_transform(family, 2, np.random.default_rng(1))
    flags = cv2.INTER_LINEAR | (cv2.WARP_INVERSE_MAP if inverse_map else 0)
    matrix, warp = transform.to_cv2(inverse_map), cv2.warpPerspective if family is Projective else cv2.warpAffine
    theirs = warp(image, matrix, OUTPUT[::-1], flags=flags)
    # OpenCV rounds positions to 1/32 of a pixel; neighbouring pixels differ by up to 0.1.
    agree(warped(image, transform, OUTPUT), theirs, atol=0.1 / 32)
    wide = Projective if family is Projective else Affine
    again = wide.from_cv2(matrix, inverse_map)
    np.testing.assert_allclose(again.matrix, transform.matrix, atol=1e-13)


def test_opencv_points():
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(0)
    source, target = rng.uniform(0, 40, (2, 4, 2)).astype(np.float32)
    points = rng.uniform(0, 40, (20, 2))
    matrix = cv2.getAffineTransform(source[:3], target[:3])
    expected = cv2.transform(points[None], matrix)[0]
    np.testing.assert_allclose(Affine.from_cv2(matrix, inverse_map=True)(points[:, ::-1])[:, ::-1], expected)
    np.testing.assert_allclose(Affine.from_cv2(matrix)(expected[:, ::-1])[:, ::-1], points)
    corners = np.array([[0, 0], [40, 3], [38, 41], [-2, 40]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, corners + rng.uniform(-5, 5, (4, 2)).astype(np.float32))
    expected = cv2.perspectiveTransform(points[None], matrix)[0]
    np.testing.assert_allclose(Projective.from_cv2(matrix, inverse_map=True)(points[:, ::-1])[:, ::-1], expected)
    np.testing.assert_allclose(Projective.from_cv2(matrix)(expected[:, ::-1])[:, ::-1], points, atol=1e-9)


def test_the_front_of_an_opencv_image_is_seen_wherever_the_output_begins():
    """The origin of the output is beyond the horizon of the map back, and the sign of its last entry says nothing."""
    forward = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.02, 0.0, 1.0]])
    shifted = np.array([[1.0, 0.0, -60.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]) @ forward
    transform = Projective.from_cv2(-shifted)
    assert transform.matrix[-1, -1] < 0
    points = np.array([[3.0, 5.0], [40.0, 30.0]])
    there = points / (1 + 0.02 * points[:, 1:]) - [0, 60]
    np.testing.assert_allclose(transform(there), points, atol=1e-12)


# ---- scikit-image


@each_family
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scikit_image_warps_the_same_picture(family, dtype):
    skimage = pytest.importorskip("skimage.transform")
    image, transform = smooth_image().astype(dtype), random_transform(family, 2, np.random.default_rng(2))
    params = transform.to_skimage()
    theirs = skimage.ProjectiveTransform(params)
    # In float32, scikit-image rounds the matrix as well: positions of 60 to 1e-5.
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    for inverse_map in (params, theirs):
        expected = skimage.warp(image, inverse_map, output_shape=OUTPUT, order=1)
        agree(warped(image, transform, OUTPUT), expected, tolerance)
    wide = Projective if family is Projective else Affine
    for given_ in (params, theirs):
        np.testing.assert_allclose(wide.from_skimage(given_).matrix, transform.matrix, rtol=1e-15)
    points = np.random.default_rng(0).uniform(0, 40, (20, 2))
    np.testing.assert_allclose(theirs(points[:, ::-1])[:, ::-1], transform(points), rtol=1e-13)


def test_scikit_image_matrices_of_volumes_are_in_the_order_of_the_axes():
    skimage = pytest.importorskip("skimage.transform")
    shape = (14, 17, 19)
    volume, transform = smooth_image(shape), random_transform(Affine, 3, np.random.default_rng(3))
    theirs = skimage.AffineTransform(transform.to_skimage())
    places = theirs(np.indices(shape, float).reshape(3, -1).T).T.reshape(3, *shape)
    expected = skimage.warp(volume, places, order=1, mode="constant")
    agree(warped(volume, transform, shape), expected, 1e-12, inside=1)
    np.testing.assert_array_equal(Affine.from_skimage(theirs).matrix, transform.matrix)


def test_rigid_maps_of_scikit_image_are_rigid():
    skimage = pytest.importorskip("skimage.transform")
    theirs = skimage.EuclideanTransform(rotation=0.3, translation=(4, 7))
    np.testing.assert_allclose(Euclidean(0.3, [7.0, 4.0]).to_skimage(), theirs.params, atol=1e-15)


# ---- PyTorch's theta


@pytest.mark.parametrize("align_corners", [False, True], ids=["edges", "corners"])
@pytest.mark.parametrize("family", [Translation, Euclidean, Similarity, Affine], ids=lambda v: v.__name__)
@pytest.mark.parametrize(("shape", "output"), [(SHAPE, OUTPUT), ((13, 17, 19), (15, 11, 18))], ids=["2d", "3d"])
def test_torch_warps_the_same_picture(family, shape, output, align_corners):
    image, transform = smooth_image(shape), random_transform(family, len(shape), np.random.default_rng(4))
    theta = torch.tensor(transform.to_torch_theta(shape, output, align_corners))[None]
    functional = torch.nn.functional
    grid = functional.affine_grid(theta, (1, 1, *output), align_corners=align_corners)
    theirs = functional.grid_sample(torch.tensor(image)[None, None], grid, align_corners=align_corners)[0, 0]
    agree(warped(image, transform, output), theirs, 1e-12, inside=1)
    again = Affine.from_torch_theta(theta[0], shape, output, align_corners)
    np.testing.assert_allclose(again.matrix, transform.matrix, atol=1e-12)


@pytest.mark.parametrize("frame", ["normalized", "normalized-corners"])
def test_theta_is_what_the_normalized_frames_take(frame):
    image = smooth_image()
    theta = np.array([[0.9, 0.1, 0.05], [-0.2, 1.1, -0.1]])  # (x, y)
    transform = Affine.from_torch_theta(theta, SHAPE, OUTPUT, frame == "normalized-corners")
    np.testing.assert_allclose(pb.warp(image, transform, OUTPUT), pb.warp(image, Affine(theta), OUTPUT, frame=frame))


def test_the_identity_on_one_lattice_is_exact():
    for corners in (False, True):
        theta = Affine.identity(3).to_torch_theta((4, 5, 7), (4, 5, 7), corners)
        np.testing.assert_array_equal(theta, np.eye(3, 4))
        np.testing.assert_array_equal(Affine.from_torch_theta(theta, (4, 5, 7), (4, 5, 7), corners).matrix, theta)


# ---- all of them: arrays, tensors, batches, gradients

CONVERSIONS = {
    "to_cv2": lambda t: t.to_cv2(),
    "to_cv2 inverse": lambda t: t.to_cv2(inverse_map=True),
    "to_skimage": lambda t: t.to_skimage(),
    "homogeneous": lambda t: t.homogeneous,
    "to_theta": lambda t: t.to_torch_theta(SHAPE, OUTPUT),
    "to_theta corners": lambda t: t.to_torch_theta(SHAPE, OUTPUT, True),
}
READINGS = {
    "from_cv2": lambda f, m: f.from_cv2(m if f is Projective else m[..., :-1, :]),
    "from_cv2 inverse": lambda f, m: f.from_cv2(m if f is Projective else m[..., :-1, :], inverse_map=True),
    "from_skimage": lambda f, m: f.from_skimage(m),
    "from_homogeneous": lambda f, m: f.from_homogeneous(m),
    "from_theta": lambda f, m: f.from_torch_theta(m[..., :-1, :], SHAPE, OUTPUT),
}
WRITING = [(f, name) for f in FAMILIES for name in CONVERSIONS if f is not Projective or "theta" not in name]
READING = [(f, name) for f in (Affine, Projective) for name in READINGS if f is not Projective or "theta" not in name]


@pytest.mark.parametrize(("family", "name"), WRITING, ids=str)
def test_writing_takes_batches_and_tensors_and_carries_gradients(family, name):
    write, transform = CONVERSIONS[name], random_transform(family, 2, np.random.default_rng(5), (3,))
    written = write(transform)
    for k in range(3):
        single = family.from_parameters(transform.parameters[k])
        np.testing.assert_allclose(written[k], write(single), rtol=1e-14, atol=1e-14)
    tensor = write(transform.torch())
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_allclose(tensor, written, rtol=1e-13, atol=1e-13)
    assert write(transform.torch(dtype=torch.float32)).dtype == torch.float32
    parameters = torch.tensor(transform.parameters[:1], requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: write(family.from_parameters(p)), (parameters,))


@pytest.mark.parametrize(("family", "name"), READING, ids=str)
def test_reading_takes_batches_and_tensors_and_carries_gradients(family, name):
    read, rng = READINGS[name], np.random.default_rng(6)
    matrices = random_transform(family, 2, rng, (3,)).homogeneous
    transform = read(family, matrices)
    assert type(transform) is family
    assert transform.batch_shape == (3,)
    for k in range(3):
        np.testing.assert_allclose(transform.matrix[k], read(family, matrices[k]).matrix, rtol=1e-14, atol=1e-14)
    tensors = torch.tensor(matrices, requires_grad=True)
    np.testing.assert_allclose(read(family, tensors).matrix.detach(), transform.matrix, rtol=1e-12, atol=1e-12)

    def entries(values):
        last = torch.tensor(matrices[:1, -1:]) if family is Affine else values[:, -1:]
        return read(family, torch.cat([values[:, :-1], last], 1)).matrix

    assert torch.autograd.gradcheck(entries, (tensors[:1].detach().requires_grad_(),))


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_homogeneous_matrices_mean_the_same_up_to_scale(ndim):
    rng = np.random.default_rng(7)
    for family in (Affine, Projective):
        transform = random_transform(family, ndim, rng, (2,))
        points = rng.uniform(0, 40, (2, 5, ndim))
        for scale in (1.0, 3.0, -0.5):
            again = family.from_homogeneous(scale * transform.homogeneous)
            np.testing.assert_allclose(again(points), transform(points), rtol=1e-12)
        np.testing.assert_array_equal(family.from_homogeneous(transform.homogeneous).matrix, transform.matrix)


def test_products_with_projective_maps_multiply_and_keep_their_sign():
    rng = np.random.default_rng(8)
    wide = Projective.from_parameters(-random_transform(Projective, 2, rng, (2,)).matrix)
    for family in FAMILIES:
        narrow = random_transform(family, 2, rng)
        for product, matrices in ((wide @ narrow, (wide, narrow)), (narrow @ wide, (narrow, wide))):
            assert type(product) is Projective
            np.testing.assert_allclose(product.matrix, matrices[0].homogeneous @ matrices[1].homogeneous, rtol=1e-13)


@pytest.mark.parametrize(
    ("batch", "shape"), [((), (2,)), ((3,), (2,)), ((3,), (1, 4, 2)), ((1,), (3, 2)), ((), (0, 2))]
)
def test_projective_points_vjp_has_the_shapes_of_points_and_matrix(batch, shape):
    rng = np.random.default_rng(9)
    transform, points = random_transform(Projective, 2, rng, batch), rng.uniform(0, 40, shape)
    matrix, p = (torch.tensor(array, requires_grad=True) for array in (transform.matrix, points))
    mapped = Projective.from_parameters(matrix)(p)
    grad = rng.normal(size=tuple(mapped.shape))
    expected = torch.autograd.grad(mapped, (p, matrix), torch.tensor(grad))
    for ours, theirs in zip(transform.points_vjp(points, grad), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-11)


# ---- pairs of points


def cost(transform: Any, source: Any, target: Any, weights: Any = None) -> Any:
    """The sum of squares that a fit minimises."""
    weights = np.ones(len(source)) if weights is None else weights
    return (weights[:, None] * (transform(source) - target) ** 2).sum()


def fewest(family: Any, ndim: int) -> int:
    return {Translation: 1, Euclidean: ndim, Similarity: max(ndim, 2), Affine: ndim + 1, Projective: ndim + 2}[family]


def same_map(found: Any, expected: Any, atol: float) -> None:
    """Parameters of a turn and homogeneous matrices are not unique; what they do to points is."""
    ndim = expected.ndim
    points = np.random.default_rng(0).uniform(0, 40, (1 if expected.batch_shape else 6, ndim))
    points = points[None] if expected.batch_shape else points
    np.testing.assert_allclose(found(points), expected(points), atol=atol)


@each_case
@each_batch
@given(rng=seeds(), more=st.integers(0, 20))
@settings(max_examples=15, deadline=None)
def test_a_fit_to_exact_pairs_is_exact(family, ndim, batch, rng, more):
    transform = random_transform(family, ndim, rng, batch)
    # Points spread well: the corners of a simplex, the centre of it, and others.
    corners = 40 * np.concatenate([np.zeros((1, ndim)), np.eye(ndim), np.full((1, ndim), 0.8)])
    source = corners + rng.uniform(-3, 3, (*batch, *corners.shape))
    source = np.concatenate([source, rng.uniform(0, 40, (*batch, more, ndim))], -2)
    source = source[..., : max(fewest(family, ndim), source.shape[-2] - 2), :]
    found = family.fit(source, transform(source))
    assert type(found) is family
    assert found.batch_shape == batch
    # Rounding of coordinates of 40, times what four points leave of digits.
    same_map(found, transform, atol=1e-9)


@each_case
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weights"])
def test_a_fit_to_noisy_pairs_is_the_least_squares_solution(family, ndim, weighted):
    rng = np.random.default_rng(10)
    source = rng.uniform(0, 40, (12, ndim))
    target = random_transform(family, ndim, rng)(source) + rng.normal(size=(12, ndim))
    weights = rng.uniform(0, 2, 12) if weighted else None
    found = family.fit(source, target, weights)
    best = cost(found, source, target, weights)

    def residuals(parameters):
        transform = found.with_parameters(parameters.reshape(found.parameters.shape))
        root = np.ones(12) if weights is None else np.sqrt(weights)
        return (root[:, None] * (transform(source) - target)).ravel()

    # No neighbour is better, to first order, and SciPy's optimiser finds nothing to gain from there.
    start = np.array(found.parameters).ravel()
    slope = optimize.approx_fprime(start, lambda p: (residuals(p) ** 2).sum() / best, 1e-7)
    scale = np.abs(slope * np.maximum(np.abs(start), 1e-3)).max()
    assert scale < 1e-3
    method = "lm" if 12 * ndim >= start.size else "trf"
    assert 2 * optimize.least_squares(residuals, start, x_scale=np.maximum(np.abs(start), 1e-3), method=method).cost > (
        best * (1 - 1e-9)
    )


@pytest.mark.parametrize("family", [Euclidean, Similarity], ids=lambda v: v.__name__)
@pytest.mark.parametrize("ndim", [2, 3])
def test_reflected_points_get_a_proper_rotation(family, ndim):
    rng = np.random.default_rng(11)
    source = rng.normal(size=(20, ndim)) * [1.0, 3.0, 5.0][:ndim]
    found = family.fit(source, source * ([-1.0] + [1.0] * (ndim - 1)))
    linear = found.matrix[:, :-1] / np.cbrt(np.linalg.det(found.matrix[:, :-1])) ** (3 / ndim)
    np.testing.assert_allclose(linear, np.eye(ndim), atol=0.2)
    assert np.linalg.det(linear) > 0


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-3, 3.0, math.pi - 1e-9, math.pi])
def test_fitted_turns_of_every_angle_are_exact(angle):
    rng = np.random.default_rng(12)
    axis = np.array([2.0, -1.0, 2.0]) / 3
    points = rng.normal(size=(9, 3))
    turn = Euclidean(angle * axis, np.zeros(3))
    found = Euclidean.fit(points, turn(points))
    np.testing.assert_allclose(found.matrix, turn.matrix, atol=1e-14)
    flat = Euclidean(angle, np.zeros(2))
    np.testing.assert_allclose(Euclidean.fit(points[:, :2], flat(points[:, :2])).angle, angle, atol=1e-14)


def test_similarities_agree_with_scikit_image():
    skimage = pytest.importorskip("skimage.transform")
    source, target = np.random.default_rng(13).normal(size=(2, 15, 3))
    family = skimage.SimilarityTransform
    if hasattr(family, "from_estimate"):
        theirs = family.from_estimate(source, target)
    else:
        theirs = family(dimensionality=3)
        assert theirs.estimate(source, target)
    np.testing.assert_allclose(Similarity.fit(source, target).homogeneous, theirs.params, atol=1e-12)


def test_the_fit_of_a_page_has_the_corners_exactly():
    corners = np.array([[0.0, 0.0], [0.0, 99.0], [99.0, 0.0], [99.0, 99.0]])
    page = np.array([[12.0, 20.0], [8.0, 88.0], [70.0, 5.0], [91.0, 97.0]])
    np.testing.assert_allclose(Projective.fit(corners, page)(corners), page, atol=1e-12)


def test_a_projective_fit_keeps_its_points_before_the_horizon_when_the_origin_is_not():
    tilt = Projective.from_parameters([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.1, 0.0, -1.0]])
    points = np.array([[20.0, 0.0], [20.0, 9.0], [30.0, 0.0], [30.0, 9.0], [25.0, 4.0]])
    found = Projective.fit(points, tilt(points))
    assert found.matrix[-1, -1] < 0
    np.testing.assert_allclose(found(points), tilt(points), atol=1e-11)


@each_case
def test_fits_of_tensors_are_tensors_without_a_graph(family, ndim):
    rng = np.random.default_rng(14)
    source = rng.uniform(0, 40, (10, ndim))
    target = random_transform(family, ndim, rng, (3,))(source[None])
    expected = family.fit(source, target)
    assert expected.batch_shape == (3,)
    found = family.fit(source, torch.tensor(target, requires_grad=True))
    assert isinstance(found.parameters, torch.Tensor)
    assert not found.parameters.requires_grad
    np.testing.assert_allclose(found.parameters, expected.parameters, atol=1e-12)
    assert family.fit(torch.tensor(source).float(), target).parameters.dtype == torch.float32
    single = family.fit(source, target[1], np.ones(10))
    same_map(single, family.from_parameters(expected.parameters[1]), atol=1e-10)


def test_pairs_of_no_weight_do_not_count():
    rng = np.random.default_rng(15)
    source = rng.uniform(0, 40, (9, 2))
    target = source + rng.normal(size=(9, 2))
    weights = np.array([1.0, 2, 1, 1, 3, 1, 1, 0, 0])
    for family in FAMILIES:
        same_map(family.fit(source, target, weights), family.fit(source[:7], target[:7], weights[:7]), 1e-9)


# ---- files

STORED = {
    "translation": Translation([1.0, -0.0]),
    "euclidean": Euclidean([0.1, 0.2, 1 / 3], [1.0, 2.0, 3.0]),
    "similarity": Similarity([1.0, 2.0], 0.3, [1e-300, 5e-324]),
    "affine": Affine([[math.nan, math.inf, 1.0], [-math.inf, 0.1, 1e308]]),
    "no affine": Affine(np.zeros((0, 2, 3))),
    "projective": Projective.from_parameters([[1.0, 2.0], [3.0, -4.0]]),
    "spline": ThinPlateSpline(np.array([[0.0, 0], [0, 5], [5, 0], [5, 5]]), np.eye(4, 2), smoothing=0.25),
    "displacement": Displacement(np.random.default_rng(0).normal(size=(2, 4, 5, 2))),
    "free-form": FreeForm(np.random.default_rng(0).normal(size=(5, 6, 2))),
    "velocity": Velocity(np.random.default_rng(0).normal(size=(4, 5, 2)), steps=3),
    "chain": Chain(Affine.rotation(30), Velocity(np.ones((4, 5, 2)), steps=4), Displacement(np.ones((3, 4, 2)))),
}
each_stored = pytest.mark.parametrize("transform", STORED.values(), ids=STORED.keys())
each_suffix = pytest.mark.parametrize("suffix", [".json", ".npz"])


def numbers(transform: Any) -> list[Any]:
    """All arrays and numbers of a transform."""
    if isinstance(transform, Chain):
        return [number for part in transform.transforms for number in numbers(part)]
    maker, values = transform.__reduce__()
    return [maker, *values]


@each_stored
@each_suffix
def test_round_trips_are_bit_exact(transform, suffix, tmp_path):
    path = tmp_path / f"transform{suffix}"
    transform.save(path)
    for read in (Transform.load, type(transform).load, load):
        again = read(str(path))
        assert type(again) is type(transform)
        for ours, theirs in zip(numbers(again), numbers(transform), strict=True):
            np.testing.assert_array_equal(ours, theirs)
            if isinstance(theirs, np.ndarray):
                np.testing.assert_array_equal(np.signbit(ours), np.signbit(theirs))
                assert ours.shape == theirs.shape
    transform.save(path)
    assert type(load(path)) is type(transform)


@each_suffix
@given(rng=seeds())
@settings(max_examples=20, deadline=None)
def test_every_float_survives(suffix, rng, tmp_path_factory):
    path = tmp_path_factory.mktemp("floats") / f"any{suffix}"
    values = rng.integers(0, 2**64, 6, dtype=np.uint64).view(np.float64).reshape(2, 3)
    Affine(values).save(path)
    np.testing.assert_array_equal(load(path).matrix, values)


@each_suffix
def test_tensors_are_stored_as_arrays(suffix, tmp_path):
    values = torch.tensor([0.1, 0.2], requires_grad=True)
    Translation(values).save(tmp_path / f"t{suffix}")
    again = load(tmp_path / f"t{suffix}")
    assert isinstance(again.offset, np.ndarray)
    np.testing.assert_array_equal(again.offset, values.detach().double())


def test_json_is_json_that_people_can_read(tmp_path):
    path = tmp_path / "t.json"
    Affine([[0.1, math.nan]]).save(path)

    def refuse(token):
        raise AssertionError(token)

    assert json.loads(path.read_text(), parse_constant=refuse) == {
        "format": "pullback transform",
        "version": 1,
        "family": "Affine",
        "arguments": {"parameters": {"shape": [1, 2], "values": [0.1, "nan"]}},
    }


def test_what_a_file_holds_and_not_its_name_says_how_to_read_it(tmp_path):
    Translation([1.0]).save(tmp_path / "a.npz")
    (tmp_path / "a.npz").rename(tmp_path / "a.json")
    assert load(tmp_path / "a.json").offset == 1.0


def written(tmp_path: Any, **changes: Any) -> Any:
    """Write a file of a translation with changes in its description."""
    path = tmp_path / "t.json"
    Translation([1.0, 2.0]).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return path


def test_damaged_and_foreign_files_are_refused(tmp_path):
    def refused(message, path):
        with pytest.raises(ValueError, match=message):
            load(path)

    refused("version 7 of the format", written(tmp_path, version=7))
    refused("'Warp', which is not known here; known are Affine, Chain", written(tmp_path, family="Warp"))
    refused("'os.system', which is not known", written(tmp_path, family="os.system"))
    refused("'Transform', which is not known", written(tmp_path, family="Transform"))
    refused("is no file of a transform", written(tmp_path, format="other"))
    refused("damaged", written(tmp_path, family=["Affine"]))
    for arguments in (
        {},
        [],
        {"parameters": {"shape": [3], "values": [1.0, 2.0]}},
        {"parameters": {"shape": [2]}},
        {"parameters": {"shape": [2, 1, 1], "values": [1.0, 2.0]}},
        {"parameters": {"member": "array_0"}},
        {"parameters": {"shape": [1], "values": ["x"]}},
        {"offset": {"shape": [2], "values": [1.0, 2.0]}},
        {"parameters": {"shape": [1], "values": [1.0]}, "more": 1},
    ):
        refused("damaged", written(tmp_path, arguments=arguments))
    refused("damaged", written(tmp_path, family="Chain", arguments={"transforms": 3}))
    path = tmp_path / "t"
    for content in (b"", b"{", b"\x93NUMPY", b"\xff\xfe", b"PK\x03\x04 and more", b"[1, 2]", b"3", b"[" * 100000):
        path.write_bytes(content)
        refused("damaged|no file of a transform", path)


def test_damaged_archives_are_refused(tmp_path):
    path = tmp_path / "t.npz"
    Displacement(np.ones((4, 5, 2))).save(path)
    content = path.read_bytes()
    for cut in (10, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:cut])
        with pytest.raises(ValueError, match="damaged"):
            load(path)
    for place in range(len(content) // 2, len(content), 97):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        # A byte that no checksum covers may be read over; all else is refused.
        with contextlib.suppress(ValueError):
            load(path)
    np.savez(path, a=np.ones(3))
    with pytest.raises(ValueError, match="damaged, or no file of a transform"):
        load(path)


def test_no_pickle_is_read(tmp_path):
    path = tmp_path / "t.npz"
    np.savez(path, description=np.array({"format": "pullback transform"}, dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        load(path)
    with zipfile.ZipFile(tmp_path / "u.npz", "w") as archive:
        archive.writestr("description", "{}")
    with pytest.raises(ValueError, match="no file of a transform"):
        load(tmp_path / "u.npz")


def test_a_class_that_would_not_be_found_is_not_saved(tmp_path):
    impostor = type("Affine", (Affine,), {})
    with pytest.raises(TypeError, match="its name must be its own"):
        impostor(np.eye(2, 3)).save(tmp_path / "t.json")
    Affine(np.eye(2, 3)).save(tmp_path / "t.json")
    assert type(load(tmp_path / "t.json")) is Affine

    class Shift(Translation):
        pass

    Shift([1.0]).save(tmp_path / "t.json")
    assert type(load(tmp_path / "t.json")) is Shift


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.json")


# ---- errors

SQUARE = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
LINE = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [5.0, 5.0]]) / 3
LINE_3D = np.outer(np.arange(5.0), [1.0, 2.0, 3.0])
TILT = Projective([[1.0, 0, 0], [0, 1, 0], [0.1, 0, 1]])

ERRORS = {
    "affine from 3 x 3": (
        lambda: Affine.from_cv2(np.eye(3)),
        r"from_cv2: .*\(3, 3\); that is for Projective; give \(2, 3",
    ),
    "projective from 2 x 3": (lambda: Projective.from_cv2(np.eye(2, 3)), r"\(2, 3\); that is for Affine; give \(3, 3"),
    "cv2 shape": (lambda: Affine.from_cv2(np.eye(3, 4)), r"shape \(3, 4\); give \(2, 3\)"),
    "cv2 singular": (lambda: Affine.from_cv2(np.zeros((2, 3))), "singular"),
    "cv2 in 3-D": (lambda: Translation([1, 2, 3]).to_cv2(), "Translation.to_cv2: the transform is 3-D"),
    "last row": (
        lambda: Affine.from_homogeneous(TILT.matrix),
        r"last row is \[0.1, 0, 1\].*\[0, 0, 1\].*use Projective",
    ),
    "last rows": (
        lambda: Affine.from_homogeneous(np.stack([np.eye(3), np.zeros((3, 3))])),
        "of matrix 1 of the batch",
    ),
    "last row of a tensor": (lambda: Affine.from_skimage(TILT.torch().matrix), "from_skimage: the last row"),
    "homogeneous shape": (lambda: Affine.from_homogeneous(np.eye(2, 3)), r"`matrix` has shape \(2, 3\)"),
    "skimage shape": (lambda: Projective.from_skimage(np.zeros((2, 10))), r"`transform` has shape \(2, 10\)"),
    "theta shape": (lambda: Affine.from_torch_theta(np.eye(3), SHAPE, SHAPE), r"`theta` has shape \(3, 3\)"),
    "theta sides": (
        lambda: Affine.from_torch_theta(np.eye(2, 3), (4,), SHAPE),
        r"`shape_in` is \(4,\); give 2 lengths",
    ),
    "theta side of 0": (lambda: Affine.identity(2).to_torch_theta((4, 5), (0, 5)), r"`shape_out` is \(0, 5\)"),
    "theta side of 1": (lambda: Affine.identity(2).to_torch_theta((1, 5), (4, 5), True), "a side of one pixel"),
    "fit shape": (lambda: Affine.fit(np.zeros(3), np.zeros(3)), r"`source` has shape \(3,\)"),
    "fit of 4-D": (lambda: Affine.fit(np.zeros((9, 4)), np.zeros((9, 4))), "d of 1, 2 or 3"),
    "fit of unequal": (lambda: Affine.fit(SQUARE, SQUARE[:3]), "as many points of each"),
    "fit of batches": (
        lambda: Affine.fit(np.zeros((2, 4, 2)), np.zeros((3, 4, 2))),
        "Affine.fit: `target` .* batches of one length",
    ),
    "fit of nothing": (lambda: Translation.fit(np.zeros((0, 2)), np.zeros((0, 2))), "no points"),
    "fit of NaN": (lambda: Affine.fit(SQUARE, SQUARE * np.nan), "`target` has numbers that are not finite"),
    "negative weights": (lambda: Affine.fit(SQUARE, SQUARE, [1, 1, 1, -1]), "`weights` are negative"),
    "zero weights": (lambda: Affine.fit(SQUARE, SQUARE, np.zeros(4)), "all zero"),
    "weights shape": (lambda: Affine.fit(SQUARE, SQUARE, np.ones(3)), r"`weights` has shape \(3,\) but there are 4"),
    "few pairs": (lambda: Projective.fit(SQUARE[:3], SQUARE[:3]), "pairs of points: 3; give 4 or more"),
    "few weighted": (
        lambda: Affine.fit(SQUARE, SQUARE, [1, 1, 0, 0]),
        "pairs of points of positive weight: 2; give 3 or more",
    ),
    "one of a batch": (
        lambda: Affine.fit(np.stack([SQUARE, SQUARE * 0]), SQUARE),
        "lie on a line, .* in set 1 of the batch",
    ),
    "affine line": (lambda: Affine.fit(LINE, LINE), "points of `source` lie on a line"),
    "affine line far away": (lambda: Affine.fit(LINE + 1e6 / 3, LINE), "points of `source` lie on a line"),
    "affine line in float32": (
        lambda: Affine.fit(torch.tensor(LINE).float() + 100, torch.tensor(LINE).float()),
        "points of `source` lie on a line",
    ),
    "affine plane": (lambda: Affine.fit(np.eye(5, 3) * [1, 1, 0], np.eye(5, 3)), "lie on a plane"),
    "point": (lambda: Similarity.fit(np.ones((3, 2)) / 3, SQUARE[:3]), "points of `source` coincide"),
    "rigid point": (lambda: Euclidean.fit(SQUARE, np.ones((4, 2))), "points of `target` coincide"),
    "rigid line": (lambda: Euclidean.fit(LINE_3D, LINE_3D), "lie on a line"),
    "mirror": (lambda: Euclidean.fit(SQUARE, SQUARE * [1, -1]), "every turn brings"),
    "projective line": (
        lambda: Projective.fit(np.append(LINE[:3], [[0, 1]], 0), np.append(LINE[:3], [[0, 1]], 0)),
        "too many of the points lie on a line",
    ),
    "projective onto a line": (
        lambda: Projective.fit(SQUARE, np.append(LINE[:3], [[0, 1]], 0)),
        "too many of the points lie on a line",
    ),
    "crossed corners": (lambda: Projective.fit(SQUARE, SQUARE[[0, 1, 3, 2]]), "horizon between them"),
    "suffix": (lambda: Translation([1.0]).save("t.pkl"), r"Translation.save: `path` ends in '.pkl'"),
    "large JSON": (lambda: Displacement(np.ones((30, 30, 2))).save("t.json"), "has 1800 numbers"),
}


@pytest.mark.parametrize(("call", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_wrong_values_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_file_of_another_family_is_refused(tmp_path):
    Translation([1.0]).save(tmp_path / "t.json")
    with pytest.raises(ValueError, match=r"Affine.load: .* holds a transform of the family Translation"):
        Affine.load(tmp_path / "t.json")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Projective.identity(2).to_torch_theta(SHAPE, SHAPE), "Projective.to_torch_theta: a theta is"),
        (lambda: Projective.from_torch_theta(np.eye(2, 3), SHAPE, SHAPE), "Projective.from_torch_theta: a theta is"),
        (lambda: Affine.identity(2).to_torch_theta(4, SHAPE), "`shape_in` is 4; give 2 lengths"),
        (lambda: Affine.from_skimage("a matrix"), "give real numbers"),
        (lambda: Affine.fit("ab", "cd"), "`source` has dtype"),
    ],
    ids=["to theta", "from theta", "shape", "text", "points"],
)
def test_wrong_types_are_refused(call, message):
    with pytest.raises(TypeError, match=message):
        call()
