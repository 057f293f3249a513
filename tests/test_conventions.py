"""Matrices from and to other libraries: OpenCV, scikit-image and PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from families import MATRICES, draw, each
from scipy import ndimage

import pullback as pb
from pullback.transforms import Affine, Euclidean, Projective, Translation

torch = pytest.importorskip("torch")


SHAPE, OUTPUT = (48, 61), (52, 45)


def smooth_image(shape: tuple[int, ...] = SHAPE) -> Any:
    return ndimage.gaussian_filter(np.random.default_rng(0).random(shape), 2, mode="wrap")


def warped(image: Any, transform: Any, shape: tuple[int, ...]) -> Any:
    """Warp as points, with NaN for what lies outside."""
    points = np.moveaxis(np.indices(shape, float), 0, -1)
    return pb.sample(image, transform(points), extent="crop", fill=np.nan)


def agree(ours: Any, theirs: Any, atol: float, inside: int = 2) -> None:
    """Compare where our result is inside the image, `inside` pixels from its edges: they differ in what is beyond."""
    seen = ndimage.binary_erosion(np.isfinite(ours), iterations=inside)
    assert seen.mean() > 0.1
    np.testing.assert_allclose(ours[seen], np.asarray(theirs)[seen], atol=atol)


@each(MATRICES)
@pytest.mark.parametrize("inverse_map", [False, True], ids=["forward", "inverse"])
def test_opencv_warps_the_same_picture(family, inverse_map):
    cv2 = pytest.importorskip("cv2")
    image, transform = smooth_image(), draw(family, 2, np.random.default_rng(1), near=True)
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
    """The origin of the output is beyond the horizon of the map back, and the sign of a matrix says nothing."""
    forward = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.02, 0.0, 1.0]])
    shifted = np.array([[1.0, 0.0, -60.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]) @ forward
    transform = Projective.from_cv2(-shifted)
    points = np.array([[3.0, 5.0], [40.0, 30.0]])
    there = points / (1 + 0.02 * points[:, 1:]) - [0, 60]
    np.testing.assert_allclose(transform(there), points, atol=1e-12)


@each(MATRICES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scikit_image_warps_the_same_picture(family, dtype):
    skimage = pytest.importorskip("skimage.transform")
    image, transform = smooth_image().astype(dtype), draw(family, 2, np.random.default_rng(2), near=True)
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
    volume, transform = smooth_image(shape), draw(Affine, 3, np.random.default_rng(3), near=True)
    theirs = skimage.AffineTransform(transform.to_skimage())
    places = theirs(np.indices(shape, float).reshape(3, -1).T).T.reshape(3, *shape)
    expected = skimage.warp(volume, places, order=1, mode="constant")
    agree(warped(volume, transform, shape), expected, 1e-12, inside=1)
    np.testing.assert_array_equal(Affine.from_skimage(theirs).matrix, transform.matrix)


def test_rigid_maps_of_scikit_image_are_rigid():
    skimage = pytest.importorskip("skimage.transform")
    theirs = skimage.EuclideanTransform(rotation=0.3, translation=(4, 7))
    np.testing.assert_allclose(Euclidean(0.3, [7.0, 4.0]).to_skimage(), theirs.params, atol=1e-15)


@pytest.mark.parametrize("align_corners", [False, True], ids=["edges", "corners"])
@each(tuple(kind for kind in MATRICES if kind is not Projective))
@pytest.mark.parametrize(("shape", "output"), [(SHAPE, OUTPUT), ((13, 17, 19), (15, 11, 18))], ids=["2d", "3d"])
def test_torch_warps_the_same_picture(family, shape, output, align_corners):
    image, transform = smooth_image(shape), draw(family, len(shape), np.random.default_rng(4), near=True)
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


WRITING = [(f, name) for f in MATRICES for name in CONVERSIONS if f is not Projective or "theta" not in name]


READING = [(f, name) for f in (Affine, Projective) for name in READINGS if f is not Projective or "theta" not in name]


@pytest.mark.parametrize(("family", "name"), WRITING, ids=str)
def test_writing_takes_batches_and_tensors_and_carries_gradients(family, name):
    write, transform = CONVERSIONS[name], draw(family, 2, np.random.default_rng(5), (3,), near=True)
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
    matrices = draw(family, 2, rng, (3,), near=True).homogeneous
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
        transform = draw(family, ndim, rng, (2,), near=True)
        points = rng.uniform(0, 40, (2, 5, ndim))
        for scale in (1.0, 3.0, -0.5):
            again = family.from_homogeneous(scale * transform.homogeneous)
            np.testing.assert_allclose(again(points), transform(points), rtol=1e-12)
        np.testing.assert_array_equal(family.from_homogeneous(transform.homogeneous).matrix, transform.matrix)


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
}


@pytest.mark.parametrize(("call", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_wrong_values_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Projective.identity(2).to_torch_theta(SHAPE, SHAPE), "Projective.to_torch_theta: a theta is"),
        (lambda: Projective.from_torch_theta(np.eye(2, 3), SHAPE, SHAPE), "Projective.from_torch_theta: a theta is"),
        (lambda: Affine.identity(2).to_torch_theta(4, SHAPE), "`shape_in` is 4; give 2 lengths"),
        (lambda: Affine.from_skimage("a matrix"), "give real numbers"),
    ],
    ids=["to theta", "from theta", "shape", "text"],
)
def test_wrong_types_are_refused(call, message):
    with pytest.raises(TypeError, match=message):
        call()
