"""What users trust today agrees: scipy.ndimage, torch's grid_sample, OpenCV."""

import numpy as np
import pytest
import scipy.ndimage

import pullback as pb

SCIPY_MODES = {
    "constant": "grid-constant",
    "edge": "nearest",
    "reflect": "mirror",
    "symmetric": "reflect",
    "wrap": "grid-wrap",
}
SHAPES = {1: (40,), 2: (17, 23), 3: (7, 9, 8)}


@pytest.mark.parametrize("border", SCIPY_MODES)
@pytest.mark.parametrize("ndim", SHAPES)
@pytest.mark.parametrize("order", [0, 1])
def test_map_coordinates(ndim, border, order):
    random = np.random.default_rng(0)
    image = random.standard_normal(SHAPES[ndim])
    x = random.uniform(-1.2, 2.2, (400, ndim)) * np.array(image.shape)
    wanted = scipy.ndimage.map_coordinates(image, x.T, order=order, mode=SCIPY_MODES[border], cval=0.7)
    found = pb.sample(image, x, interpolation=["nearest", "linear"][order], border=border, fill=0.7)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("ndim", SHAPES)
def test_crop_is_the_constant_mode_of_scipy(ndim):
    random = np.random.default_rng(0)
    image = random.standard_normal(SHAPES[ndim])
    x = random.uniform(-0.2, 1.2, (400, ndim)) * np.array(image.shape)
    wanted = scipy.ndimage.map_coordinates(image, x.T, order=1, mode="constant", cval=0.7)
    np.testing.assert_allclose(pb.sample(image, x, extent="crop", fill=0.7), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("border", SCIPY_MODES)
@pytest.mark.parametrize("ndim", SHAPES)
def test_affine_transform(ndim, border):
    random = np.random.default_rng(0)
    image = random.standard_normal(SHAPES[ndim])
    matrix = np.concatenate(
        [np.eye(ndim) + random.uniform(-0.3, 0.3, (ndim, ndim)), random.uniform(-2, 2, (ndim, 1))], 1
    )
    wanted = scipy.ndimage.affine_transform(image, matrix, order=1, mode=SCIPY_MODES[border], cval=0.7)
    np.testing.assert_allclose(pb.warp(image, pb.Affine(matrix), border=border, fill=0.7), wanted, rtol=0, atol=1e-12)


def test_rotation_turns_the_way_of_scipy():
    image = np.random.default_rng(0).standard_normal((31, 45))
    wanted = scipy.ndimage.rotate(image, 25, order=1, reshape=False, mode="grid-constant")
    np.testing.assert_allclose(pb.warp(image, pb.Affine.rotation(25), frame="centered"), wanted, rtol=0, atol=1e-12)


torch = pytest.importorskip("torch")
F = torch.nn.functional


def xy(matrix):
    """Turn a (y, x) matrix of the frame "centered" into torch's theta, on square images and align_corners=False."""
    linear = matrix[:, :, :-1].flip(1, 2)
    return torch.cat([linear, matrix[:, :, -1:].flip(1)], 2)


@pytest.mark.parametrize("mode", [("linear", "bilinear"), ("nearest", "nearest")], ids=["linear", "nearest"])
@pytest.mark.parametrize("border", [("constant", "zeros"), ("edge", "border")], ids=["zeros", "border"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("ndim", [2, 3])
def test_affine_grid_and_grid_sample(mode, border, dtype, ndim):
    """Values and both gradients; in float64 to 1e-11, in float32 to what torch itself is off by."""
    if mode[0] == "nearest" and dtype == torch.float32:
        dtype = torch.float64  # torch's own coordinates are off by enough to round to another sample
    generator = torch.Generator().manual_seed(0)
    side, out = 11, 14
    image = torch.randn(3, 2, *(side,) * ndim, dtype=torch.float64, generator=generator).to(dtype).requires_grad_()
    noise = 0.3 * torch.randn(3, ndim, ndim + 1, dtype=torch.float64, generator=generator)
    matrix = (torch.eye(ndim, ndim + 1, dtype=torch.float64) + noise).to(dtype).requires_grad_()
    grid = F.affine_grid(xy(matrix), (3, 2, *(out,) * ndim), align_corners=False)
    wanted = F.grid_sample(image, grid, mode[1], border[1], align_corners=False)
    found = pb.warp(image, pb.Affine(matrix), (out,) * ndim, interpolation=mode[0], border=border[0], frame="centered")
    tolerance = 1e-11 if dtype == torch.float64 else 1e-4
    torch.testing.assert_close(found, wanted, rtol=0, atol=tolerance)
    grad = torch.randn(wanted.shape, dtype=torch.float64, generator=generator).to(dtype)
    inputs = (image, matrix)
    for ours, theirs in zip(
        torch.autograd.grad(found, inputs, grad), torch.autograd.grad(wanted, inputs, grad), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=10 * tolerance, atol=100 * tolerance)


def test_grid_sample_with_given_coordinates():
    """align_corners=True is a scale: (x, y) in [-1, 1] between the outermost samples."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(2, 3, 9, 12, dtype=torch.float64, generator=generator).requires_grad_()
    grid = (2.6 * torch.rand(2, 30, 1, 2, dtype=torch.float64, generator=generator) - 1.3).requires_grad_()
    coords = (grid.flip(-1) + 1) / 2 * (torch.tensor([9, 12]) - 1)
    wanted = F.grid_sample(image, grid, align_corners=True)
    found = pb.sample(image, coords)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    grad = torch.randn(wanted.shape, dtype=torch.float64, generator=generator)
    for ours, theirs in zip(
        torch.autograd.grad(found, (image, grid), grad), torch.autograd.grad(wanted, (image, grid), grad), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-11)


def test_opencv_rounds_coordinates_and_this_does_not():
    """OpenCV agrees to what its coordinates, rounded to 1/32 of a pixel, allow."""
    cv2 = pytest.importorskip("cv2")
    y, x = np.mgrid[:90, :120].astype(np.float32)
    image = np.sin(x / 9) + np.cos(y / 7)
    matrix = np.array([[0.8, 0.3, 5.3], [-0.25, 0.9, 11.7]])  # (y, x)
    theirs = cv2.warpAffine(
        image, np.array([[0.9, -0.25, 11.7], [0.3, 0.8, 5.3]]), (120, 90), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    ours = pb.warp(image, pb.Affine(matrix))
    exact = scipy.ndimage.affine_transform(image.astype(np.float64), matrix, order=1, mode="grid-constant")
    np.testing.assert_allclose(ours, exact, rtol=0, atol=1e-5)
    # slopes are below 0.26 a pixel; half of 1/32 of a pixel off on either axis
    np.testing.assert_allclose(theirs[2:-2, 2:-2], exact[2:-2, 2:-2], rtol=0, atol=0.26 / 32 + 1e-5)
