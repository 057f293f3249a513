"""The normalized frames are PyTorch's, for given coordinates and for maps, in values and in gradients."""

import numpy as np
import pytest

import pullback as pb
from pullback._plan import frame_of

torch = pytest.importorskip("torch")
F = torch.nn.functional

FRAMES = {"normalized": False, "normalized-corners": True}
SHAPES = {2: (7, 11), 3: (5, 6, 8)}
OUTPUTS = {2: (9, 5), 3: (4, 7, 5)}
MODES = [("linear", "bilinear"), ("nearest", "nearest")]
BORDERS = [("constant", "zeros"), ("edge", "border")]

every_frame = pytest.mark.parametrize("frame", FRAMES)
every_ndim = pytest.mark.parametrize("ndim", SHAPES)
every_mode = pytest.mark.parametrize("mode", MODES, ids=["linear", "nearest"])
every_border = pytest.mark.parametrize("border", BORDERS, ids=["zeros", "border"])


def noise(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def compare(found, wanted, inputs):
    """Hold values and gradients in `inputs` against torch's, in double precision."""
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    grad = noise(*wanted.shape, seed=1)
    wanted_grads = torch.autograd.grad(wanted, inputs, grad)
    for ours, theirs in zip(torch.autograd.grad(found, inputs, grad), wanted_grads, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    return grad, wanted_grads


@every_frame
@every_ndim
@every_mode
@every_border
def test_sample_is_grid_sample(frame, ndim, mode, border):
    image = noise(2, 3, *SHAPES[ndim]).requires_grad_()
    grid = (1.2 * torch.rand(2, *OUTPUTS[ndim], ndim, dtype=torch.float64) * 2 - 1.2).requires_grad_()
    wanted = F.grid_sample(image, grid, mode[1], border[1], align_corners=FRAMES[frame])
    found = pb.sample(image, grid, interpolation=mode[0], border=border[0], frame=frame)
    grad, wanted_grads = compare(found, wanted, (image, grid))
    arrays = image.detach().numpy(), grid.detach().numpy()
    options = {"interpolation": mode[0], "border": border[0], "frame": frame}
    np.testing.assert_allclose(pb.sample(*arrays, **options), wanted.detach(), rtol=0, atol=1e-12)
    for ours, theirs in zip(pb.sample_vjp(*arrays, grad.numpy(), **options), wanted_grads, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)
    slopes = pb.gradient(*arrays, **options)  # (batch, channel, *lattice, d)
    np.testing.assert_allclose((slopes * grad.numpy()[..., None]).sum(1), wanted_grads[1], rtol=1e-10, atol=1e-10)


@every_frame
@every_ndim
@every_mode
@every_border
def test_warp_is_affine_grid_and_grid_sample(frame, ndim, mode, border):
    image = noise(2, 3, *SHAPES[ndim]).requires_grad_()
    theta = (torch.eye(ndim, ndim + 1, dtype=torch.float64) + 0.2 * noise(2, ndim, ndim + 1)).requires_grad_()
    grid = F.affine_grid(theta, (2, 3, *OUTPUTS[ndim]), align_corners=FRAMES[frame])
    wanted = F.grid_sample(image, grid, mode[1], border[1], align_corners=FRAMES[frame])
    options = {"interpolation": mode[0], "border": border[0], "frame": frame}
    found = pb.warp(image, pb.Affine(theta), OUTPUTS[ndim], **options)
    grad, wanted_grads = compare(found, wanted, (image, theta))
    arrays = image.detach().numpy(), pb.Affine(theta.detach().numpy())
    np.testing.assert_allclose(pb.warp(*arrays, OUTPUTS[ndim], **options), wanted.detach(), rtol=0, atol=1e-12)
    for ours, theirs in zip(pb.warp_vjp(*arrays, grad.numpy(), **options), wanted_grads, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)


@every_frame
def test_in_single_precision(frame):
    image, theta = noise(1, 2, 40, 50).float(), torch.eye(2, 3)[None] + 0.1 * noise(1, 2, 3).float()
    grid = F.affine_grid(theta, (1, 2, 30, 35), align_corners=FRAMES[frame])
    wanted = F.grid_sample(image, grid, align_corners=FRAMES[frame])
    # torch's coordinates are in single precision
    torch.testing.assert_close(pb.sample(image, grid, frame=frame), wanted, rtol=0, atol=1e-4)
    torch.testing.assert_close(pb.warp(image, pb.Affine(theta), (30, 35), frame=frame), wanted, rtol=0, atol=1e-4)


@every_frame
@every_ndim
def test_splat_is_the_adjoint(frame, ndim):
    image = noise(1, 2, *SHAPES[ndim])
    coords = 1.1 * (2 * torch.rand(1, 40, ndim, dtype=torch.float64) - 1)
    values = noise(1, 2, 40, seed=2)
    sampled = (pb.sample(image, coords, frame=frame) * values).sum()
    pushed = (image * pb.splat(values, coords, SHAPES[ndim], frame=frame)).sum()
    torch.testing.assert_close(sampled, pushed, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("frame", ["index", "centered", *FRAMES])
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_the_identity_is_exact(frame, ndim):
    image = np.random.default_rng(0).standard_normal((9, 8, 7)[:ndim])
    assert pb.warp(image, pb.Affine.identity(ndim), frame=frame).tobytes() == image.tobytes()


EVERY = ["index", "centered", *FRAMES]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_identity_loses_no_edge(dtype):
    """In the frame in which the outermost samples of the image are those of the output."""
    for n in range(1, 59):
        image = np.ones(n, dtype)
        for m in range(1, 59):
            found = pb.warp(image, pb.Affine.identity(1), (m,), frame="normalized-corners", extent="crop", fill=np.nan)
            assert (found == 1).all(), (n, m)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("frame", EVERY)
@pytest.mark.parametrize("interpolation", ["linear", "nearest", "cubic"])
def test_a_point_within_a_rounding_of_the_edge_is_on_it(dtype, ndim, frame, interpolation):
    """An output is laid from the first sample of the image to the last: no `fill` comes in, with whatever weight."""
    random = np.random.default_rng(ndim)
    for _ in range(40):
        shape, output = random.integers(2, 20, (2, ndim))
        image = random.random(shape).astype(dtype)
        onto, on_image = frame_of(frame, tuple(output), output=True), frame_of(frame, tuple(shape))
        first, last = ((p - np.array(on_image.offset)) / on_image.scale for p in (np.zeros(ndim), shape - 1.0))
        start, end = ((p - np.array(onto.offset)) / onto.scale for p in (np.zeros(ndim), output - 1.0))
        slope = (last - first) / (end - start)
        matrix = np.concatenate([np.diag(slope), (first - slope * start)[:, None]], 1)
        matrix = matrix[::-1][:, [*range(ndim)[::-1], ndim]] if frame in FRAMES else matrix
        options = dict(frame=frame, extent="crop", interpolation=interpolation, fill=np.nan, border="edge")
        found = pb.warp(image, pb.Affine(matrix), tuple(output), **options)
        assert np.isfinite(found).all()
        # As near as positions are known, and slopes of up to 1 carry that.
        for corner in ((0,) * ndim, (-1,) * ndim):
            assert abs(found[corner] - image[corner]) < (1e-4 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("by", [-1e-6, 1e-6])
def test_a_point_truly_outside_stays_outside(by):
    image = np.ones((40, 30))
    found = pb.warp(image, pb.Translation([0.0, by]), extent="crop", fill=7.0)
    assert (found[:, 0 if by < 0 else -1] == 7).all()
    assert (found[:, 1:-1] == 1).all()
    # And where coordinates are the caller's, by as little as there is.
    coords = np.array([[0.0, -1e-300], [0, 0], [39, 29], [39, np.nextafter(29, 30)]])
    assert pb.sample(image, coords, extent="crop", fill=7.0).tolist() == [7, 1, 1, 7]


@pytest.mark.parametrize("frame", EVERY)
@pytest.mark.parametrize("interpolation", ["nearest", "label"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, np.float64])
def test_ties_are_decided_alike_in_every_frame(frame, interpolation, dtype):
    """Index 2 i + 1/2 of the image for index i of the output is half-way between two samples, whatever the frame."""
    if interpolation == "label" and np.dtype(dtype).kind == "f":
        pytest.skip("labels are integers")
    for n in range(2, 60, 2):
        image = np.arange(n).astype(dtype)
        on_image, onto = frame_of(frame, (n,)), frame_of(frame, (n // 2,), output=True)
        slope = 2 * onto.scale[0] / on_image.scale[0]
        offset = (2 * onto.offset[0] + 0.5 - on_image.offset[0]) / on_image.scale[0]
        found = pb.warp(image, pb.Affine([[slope, offset]]), (n // 2,), frame=frame, interpolation=interpolation)
        np.testing.assert_array_equal(found, image[1::2] if interpolation == "nearest" else image[::2])


@every_frame
def test_the_corners_of_the_frame(frame):
    """(-1, -1) is the outer corner of the first pixel, or its middle; x comes first."""
    image = np.arange(12.0).reshape(3, 4)
    x, y = np.meshgrid(np.linspace(-1, 1, 4), np.linspace(-1, 1, 3))
    if frame == "normalized":
        x, y = x * 3 / 4, y * 2 / 3
    np.testing.assert_allclose(pb.sample(image, np.stack([x, y], -1), frame=frame), image, rtol=1e-12, atol=1e-12)


@every_frame
def test_in_one_dimension(frame):
    image = np.arange(5.0)
    last = 1.0 if frame == "normalized-corners" else 4 / 5
    np.testing.assert_allclose(pb.sample(image, [[-last], [0.0], [last]], frame=frame), [0, 2, 4], atol=1e-14)


@pytest.mark.parametrize("border", BORDERS, ids=["zeros", "border"])
@pytest.mark.filterwarnings("ignore:Since version 1.3.0, affine_grid")
def test_a_side_of_one_sample(border):
    """With aligned corners a single sample has no extent: it is at every coordinate, and an output's is at 0."""
    image = torch.tensor([[[[3.0, 4.0, 5.0]]]])
    options = {"padding_mode": border[1], "align_corners": True}
    grid = torch.tensor([[[[-1.0, 0.3], [0.0, 0.0], [1.0, -0.9]]]])
    found = pb.sample(image, grid, border=border[0], frame="normalized-corners")
    torch.testing.assert_close(found, F.grid_sample(image, grid, **options))
    for theta in (torch.eye(2, 3)[None], torch.tensor([[[0.5, 0.2, 0.1], [0.7, 1.0, 0.4]]])):
        for shape in ((1, 3), (1, 1), (2, 1)):
            wanted = F.grid_sample(image, F.affine_grid(theta, (1, 1, *shape), align_corners=True), **options)
            found = pb.warp(image, pb.Affine(theta), shape, border=border[0], frame="normalized-corners")
            torch.testing.assert_close(found, wanted)
