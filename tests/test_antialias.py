"""Footprints: what shrinks is averaged, what does not is untouched, along each direction by itself."""

from functools import partial

import numpy as np
import pytest
import scipy.ndimage
from covering import covered

import pullback as pb
from pullback.sampling.call import reading_of
from pullback.warping.footprint import antialiased, footprint_of
from pullback.warping.through import call_through

torch = pytest.importorskip("torch")

RANDOM = np.random.default_rng(0)
warp = partial(pb.warp, antialias=True)


@pytest.fixture(autouse=True)
def _same_numbers_whatever_ran_before(seed):
    global RANDOM
    RANDOM = np.random.default_rng(seed)


def about_pixel_areas(factor, ndim=2):
    """Return the map that `resize` samples: output pixels cover `factor` input pixels."""
    return pb.Affine(np.concatenate([factor * np.eye(ndim), np.full((ndim, 1), (factor - 1) / 2)], axis=1))


def smooth(shape, radius):
    image = scipy.ndimage.gaussian_filter(RANDOM.standard_normal(shape), radius, mode="mirror")
    return image / np.abs(image).max()


def energy(image):
    return np.square(image - image.mean()).mean()


def test_detail_finer_than_the_output_is_averaged_away():
    """A zone plate shrunk four times: where its waves are too short for the output, they are gone."""
    y, x = np.mgrid[:512, :512]
    plate = np.cos(np.pi / 1024 * (x**2 + y**2))  # frequency r / 1024 a sample
    shrunk, picked = (
        pb.warp(plate, about_pixel_areas(4.0), (128, 128), antialias=antialias, border="symmetric")
        for antialias in (True, False)
    )
    finer = np.hypot(*np.mgrid[:128, :128] * 4.0) > 1.7 * 128  # the output holds frequencies up to 1/8
    # The tent lets less than 4 % of an amplitude through at 1.7 times the highest frequency, and point sampling most.
    assert energy(shrunk[finer]) < 0.04**2 * energy(picked[finer])
    assert abs(shrunk.mean() - plate.mean()) < 0.01


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_checkerboard_becomes_grey(factor):
    board = np.indices((64, 64)).sum(0) % 2.0
    shrunk = warp(board, pb.Affine.scaling(float(factor)), (64 // factor,) * 2, border="wrap")
    # A tent that is a whole number of samples wide takes the highest frequency out altogether.
    np.testing.assert_allclose(shrunk, 0.5, rtol=0, atol=1e-12)
    assert np.ptp(pb.warp(board, pb.Affine.scaling(float(factor)), (64 // factor,) * 2)) == 0


@pytest.mark.parametrize("transform", [pb.Affine.scaling(3.3), pb.Affine.rotation(30) @ pb.Affine.scaling((2.2, 5.1))])
def test_means_are_preserved(transform):
    constant = np.full((60, 60), 0.7)
    np.testing.assert_allclose(warp(constant, transform, (20, 20), border="edge"), 0.7, rtol=1e-14)
    ramp = 1.0 * np.indices((300, 300))[1]  # a footprint is symmetric, so its mean over a ramp is that of its middle
    middle = pb.Affine(np.concatenate([transform.matrix[:, :2], [[150.0], [150.0]]], 1))
    np.testing.assert_allclose(warp(ramp, middle, (9, 9)), pb.warp(ramp, middle, (9, 9)), rtol=1e-12)


def test_each_direction_by_itself():
    """Only y shrinks: a pattern along x keeps its contrast, a pattern along y goes."""
    stripes = np.tile(np.sin(2 * np.pi * 20 / 64 * np.arange(64)), (64, 1))
    only_y = pb.Affine.scaling((4.0, 1.0))
    np.testing.assert_allclose(warp(stripes, only_y, (16, 64), border="wrap"), stripes[:16], rtol=0, atol=1e-6)
    assert np.abs(warp(stripes.T, only_y, (16, 64), border="wrap")).max() < 0.05
    y, x = np.mgrid[:200, :200] - 99.5
    along = (np.cos(0.5) * x + np.sin(0.5) * y, np.cos(0.5) * y - np.sin(0.5) * x)  # turned by 0.5 rad
    c, s = np.cos(0.5), np.sin(0.5)
    turned = pb.Affine(np.array([[4 * c, s, 99.5], [-4 * s, c, 99.5]]))  # steps of 4 across, of 1 along
    for position, frequency, is_kept in zip(along, (0.12, 0.22), (True, False), strict=True):
        image = np.sin(2 * np.pi * frequency * position)
        plain, shrunk = (pb.warp(image, turned, (20, 40), antialias=antialias) for antialias in (False, True))
        if is_kept:
            # The sub-samples are interpolated, each at another place between samples: (2 pi 0.12)^2 / 8 at most.
            np.testing.assert_allclose(shrunk, plain, rtol=0, atol=0.07)
            assert np.std(shrunk) > 0.9 * np.std(plain)
        else:
            assert np.std(shrunk) < 0.1 * np.std(plain)


def test_a_turn_that_shrinks():
    """Turned by 30 degrees and shrunk four times: the mean of the image under the turned, stretched kernel."""
    image = smooth((200, 200), 2)
    turn = pb.Affine.rotation(30) @ pb.Affine.scaling(4.0)
    transform = pb.Affine(np.concatenate([turn.matrix[:, :2], [[40.0], [90.0]]], 1))
    # A tent of half-width 4 has nearly the Gaussian's shape, with a variance of 16 / 6, of which 1 / 6 is the kernel's.
    wanted = pb.warp(scipy.ndimage.gaussian_filter(image, np.sqrt(15 / 6)), transform, (20, 20))
    np.testing.assert_allclose(warp(image, transform, (20, 20)), wanted, rtol=0, atol=0.03)
    assert np.abs(pb.warp(image, transform, (20, 20)) - wanted).max() > 0.15


@pytest.mark.parametrize("factor", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_resize_gives_for_a_whole_factor(factor, dtype):
    image = RANDOM.standard_normal((120, 120)).astype(dtype)
    shape = (120 // factor,) * 2
    found = warp(image, about_pixel_areas(float(factor)), shape, border="symmetric")
    inner = (slice(1, -1),) * 2  # taps beyond the border are left out by one and mirrored by the other
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(found[inner], pb.resize(image, shape)[inner], rtol=0, atol=tolerance)


@pytest.mark.parametrize("factor", [1.1, 1.5, 2.5, 3.7])
def test_close_to_resize_for_any_factor(factor):
    """`resize` stretches the linear kernel itself; the footprint has its variance, not quite its shape."""
    image = smooth((120, 120), 1.5)
    side = round(120 / factor)
    found = warp(image, about_pixel_areas(120 / side), (side,) * 2, border="symmetric")
    inner = (slice(2, -2),) * 2
    np.testing.assert_allclose(found[inner], pb.resize(image, (side,) * 2)[inner], rtol=0, atol=0.03)


def test_a_little_shrink_changes_a_little():
    """There is no jump where the antialiasing begins, or where the number of steps changes."""
    image = smooth((60, 60), 1)
    for factor in (1.0, 2.0, 3.0):
        below, above = (warp(image, pb.Affine.scaling(factor + delta), (18, 18)) for delta in (-1e-5, 1e-5))
        np.testing.assert_allclose(below, above, rtol=0, atol={1.0: 1e-3, 2.0: 0.05, 3.0: 0.03}[factor])


KEEP = {
    "identity": pb.Affine.identity(2),
    "turn": pb.Affine.rotation(33),
    "enlarge": pb.Affine.scaling(0.4),
    "flip": pb.Affine.scaling((-1.0, 1.0)),
    "translation": pb.Translation([0.3, -2.0]),
    "singular": pb.Affine(np.zeros((2, 3))),
    "not a number": pb.Affine(np.full((2, 3), np.nan)),
    "a row infinite": pb.Affine([[np.inf, 0, 0], [0, 1, 0]]),
}
LOST = ("not a number", "a row infinite")


@covered(
    name=list(KEEP),
    dtype=["bool", "uint8", "int64", "float16", "float32", "float64", "complex64"],
    interpolation=["nearest", "linear", "cubic", "spline3"],
    strength=2,
    # Of these nothing is known, and integers cannot say so.
    allowed=lambda name, dtype, **_: name not in LOST or dtype not in ("bool", "uint8", "int64"),
)
def test_nothing_changes_where_nothing_shrinks(name, dtype, interpolation):
    image = (100 * RANDOM.standard_normal((2, 30, 34))).astype(dtype)
    options = {"interpolation": interpolation, "fill": 3, "frame": "centered"}
    plain = pb.warp(image, KEEP[name], **options)
    assert warp(image, KEEP[name], **options).tobytes() == plain.tobytes()
    found = warp(torch.tensor(image), KEEP[name], **options)
    torch.testing.assert_close(found, torch.tensor(plain), rtol=0, atol=0, equal_nan=True)
    assert np.isnan(plain).all() == (name in LOST)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("images", [(1, 2), (3, 2)], ids=["one image", "one each"])
def test_entries_of_a_batch_are_by_themselves(dtype, images):
    """Those that do not shrink are the plain ones, bit for bit; those that do are what they are alone."""
    image = (100 * RANDOM.random((*images, 30, 34))).astype(dtype)
    maps = [pb.Affine.rotation(20), pb.Affine.scaling(3.0), pb.Affine.scaling((1.0, 6.5))]
    batch = pb.Affine(np.stack([transform.matrix for transform in maps]))
    found, plain = warp(image, batch), pb.warp(image, batch)
    assert found[0].tobytes() == plain[0].tobytes()
    for n in (1, 2):
        alone = warp(image[n % len(image)], maps[n])
        # One entry and a batch may take other paths, and round otherwise.
        np.testing.assert_allclose(
            found[n].astype(float), alone.astype(float), rtol=1e-6, atol=1 if dtype == "uint8" else 0
        )
        assert not np.array_equal(found[n], plain[n])
    np.testing.assert_allclose(
        warp(torch.tensor(image), batch), found, rtol=1e-5, atol=1 if dtype == "uint8" else 1e-12
    )
    out = np.zeros_like(found)
    assert warp(image, batch, out=out) is out
    np.testing.assert_array_equal(out, found)


def test_layouts_and_dtypes():
    image = (255 * RANDOM.random((3, 40, 44))).astype(np.uint8)
    shrink = pb.Affine.scaling(3.0)
    first = warp(image, shrink, (10, 12), dtype=np.float64)
    pixels = np.ascontiguousarray(np.moveaxis(image, 0, -1))
    last = warp(pixels, shrink, (10, 12), channel_axis=-1, dtype=np.float64)
    np.testing.assert_allclose(np.moveaxis(last, -1, 0), first, rtol=1e-6)
    assert last.flags.c_contiguous
    # Integers are rounded once, at the end.
    np.testing.assert_array_equal(warp(image, shrink, (10, 12)), np.rint(first))
    np.testing.assert_allclose(warp(image[0], shrink, (10, 12), dtype=np.float64), first[0], rtol=1e-6)


def test_many_small_passes_are_one():
    """How many sub-samples are read at once is no part of the result."""
    image = RANDOM.standard_normal((40, 44))
    whole = warp(image, pb.Affine.scaling(7.0), (5, 6))
    large = warp(np.stack([image] * 700), pb.Affine.scaling(7.0), (5, 6))  # fewer sub-samples a pass
    np.testing.assert_allclose(large, np.broadcast_to(whole, large.shape), rtol=1e-12, atol=1e-13)


FRAMES = ["index", "centered", "normalized", "normalized-corners"]


@pytest.mark.parametrize("frame", FRAMES)
def test_frames(frame):
    """The same map in every frame has the same footprint."""
    image = RANDOM.standard_normal((36, 60))
    shape = (9, 12)
    linear = np.array([[3.0, 0.7], [-0.4, 4.0]])
    offset = np.array([5.0, 3.0])
    wanted = warp(image, pb.Affine(np.c_[linear, offset]), shape)
    scale_in, middle_in = _frame(frame, image.shape)
    scale_out, middle_out = _frame(frame, shape)
    matrix = linear * scale_out / scale_in[:, None]
    constant = (linear @ middle_out + offset - middle_in) / scale_in
    if frame.startswith("normalized"):
        matrix, constant = matrix[::-1, ::-1], constant[::-1]
    np.testing.assert_allclose(warp(image, pb.Affine(np.c_[matrix, constant]), shape, frame=frame), wanted, atol=1e-12)


def _frame(frame, shape):
    sides = np.array(shape, float)
    middle = (sides - 1) / 2 if frame != "index" else np.zeros(2)
    scale = {
        "index": np.ones(2),
        "centered": np.full(2, sides.min() / 2),
        "normalized": sides / 2,
        "normalized-corners": (sides - 1) / 2,
    }[frame]
    return scale, middle


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_footprints(ndim):
    """Weights add up to one, shifts have mean zero, and with the kernel the variance is that of a stretched one."""
    for _ in range(20):
        jacobian = RANDOM.normal(0, 3, (ndim, ndim))
        u, s, _ = np.linalg.svd(jacobian)
        footprint = footprint_of(jacobian)
        assert footprint.weight.sum() == pytest.approx(1, abs=1e-12)
        assert np.all(footprint.weight > 0)
        np.testing.assert_allclose(footprint.weight @ footprint.shift, 0, atol=1e-12)
        along = footprint.shift @ u
        np.testing.assert_allclose(footprint.weight @ along**2, np.maximum(s**2 - 1, 0) / 6, rtol=1e-9, atol=1e-12)
        for axis in range(ndim):
            places = np.unique(along[:, axis].round(9))
            assert len(places) == 2 * max(np.ceil(s[axis]), 1) - 1
            assert np.all(np.diff(places) <= 1 + 1e-8)


@pytest.mark.parametrize("factor", [1e3, 1e8, 1e200, 1.7e308])
def test_absurd_shrinks_end(factor):
    """The number of sub-samples is bounded, whatever the matrix says."""
    for matrix in (np.diag([factor, factor]), np.diag([factor, 1.0]), np.full((2, 2), factor)):
        footprint = footprint_of(matrix)
        assert len(footprint.weight) <= 2**16
        assert np.isfinite(footprint.weight).all()
        assert np.isfinite(footprint.shift).all()
    values = warp(np.ones((8, 8)), pb.Affine.scaling((factor, 1.0)), (2, 2), fill=0.5)
    assert np.all((values >= 0.5) & (values <= 1))


@pytest.mark.parametrize("border", ["constant", "reflect"])
@pytest.mark.parametrize("interpolation", ["linear", "cubic", "spline3"])
@pytest.mark.parametrize("batch", [(1, 1), (1, 3), (3, 1), (3, 3)], ids=str)
def test_gradients(border, interpolation, batch):
    """Against the definition with a fixed footprint, differentiated by autograd; and NumPy's against the tensors'."""
    images, maps = batch
    image = RANDOM.standard_normal((images, 2, 14, 12))
    matrix = np.array([[2.3, 0.4, -1.2], [-0.3, 1.1, 0.7]]) + RANDOM.uniform(-0.2, 0.2, (maps, 2, 3))
    matrix[0, :, :2] = [[0.9, 0.1], [-0.1, 0.8]] if maps > 1 else matrix[0, :, :2]  # one that does not shrink
    options = {"interpolation": interpolation, "border": border, "fill": 0.4}
    inputs = [torch.tensor(array, requires_grad=True) for array in (image, matrix)]

    def definition(image, matrix):
        entries = []
        for n in range(max(images, maps)):
            one, frozen = matrix[n % maps], footprint_of(matrix[n % maps, :, :2].detach().numpy())
            shifts = [torch.cat([torch.zeros(2, 2), torch.tensor(shift)[:, None]], 1) for shift in frozen.shift]
            parts = [
                weight * pb.warp(image[n % images], pb.Affine(one + shift), (6, 7), **options)
                for shift, weight in zip(shifts, frozen.weight, strict=True)
            ]
            entries.append(sum(parts))
        return torch.stack(entries)

    values = warp(inputs[0], pb.Affine(inputs[1]), (6, 7), **options)
    wanted = definition(*inputs)
    np.testing.assert_allclose(values.detach(), wanted.detach(), rtol=0, atol=1e-12)
    grad = torch.tensor(RANDOM.standard_normal(values.shape))
    found = torch.autograd.grad(values, inputs, grad)
    for ours, theirs in zip(found, torch.autograd.grad(wanted, inputs, grad), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-10)
    by_numpy = pb.warp_vjp(image, pb.Affine(matrix), grad.numpy(), antialias=True, **options)
    for ours, theirs in zip(by_numpy, found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-10)


def test_gradients_against_finite_differences():
    """In the image and the translation, which leave the footprint as it is."""
    image = torch.tensor(RANDOM.standard_normal((1, 1, 9, 8)), requires_grad=True)
    shift = torch.tensor([0.313, -0.271], requires_grad=True, dtype=torch.float64)
    linear = torch.tensor([[2.37, 0.41], [-0.33, 1.71]], dtype=torch.float64)

    def shrunk(image, shift):
        return warp(image, pb.Affine(torch.cat([linear, shift[:, None]], 1)), (4, 4), border="reflect")

    assert torch.autograd.gradcheck(shrunk, (image, shift), eps=1e-7, atol=1e-5)


def test_three_dimensions():
    image = smooth((40, 44, 36), 1.5)
    shape = (13, 11, 12)
    transform = pb.Affine(np.concatenate([np.diag([3.0, 4.0, 3.0]), [[1.0], [1.5], [1.0]]], 1))
    found = warp(image, transform, shape, border="symmetric")
    inner = (slice(1, -1),) * 3
    np.testing.assert_allclose(found[inner], pb.resize(image[:39], shape)[inner], rtol=0, atol=1e-13)


def as_displacement(transform, shape):
    """Return an affine map as a displacement field."""
    points = np.moveaxis(np.indices(shape, np.float64), 0, -1)
    return pb.Displacement(transform(points) - points)


@pytest.mark.parametrize("dtype", [np.float64, np.uint8, np.complex64], ids=str)
@pytest.mark.parametrize("frame", ["index", "centered", "normalized"])
def test_a_field_that_is_an_affine_map_has_its_footprint(dtype, frame):
    image = (255 * np.random.default_rng(0).random((40, 50))).astype(dtype)
    matrix = pb.Affine.rotation(20) @ pb.Affine.scaling([2.6, 1.4])
    if frame == "normalized":
        given = pb.Affine([[2.2, 0.3, 0.1], [-0.2, 1.7, 0.0]])
        points = pb.transforms.points.points_like(np.empty(0), (12, 17), frame)
        field = pb.Displacement(given(points) - points)
        wanted = pb.warp(image, given, (12, 17), frame=frame, antialias=True, border="reflect")
    elif frame == "centered":
        points = pb.transforms.points.points_like(np.empty(0), (12, 17), frame)
        given, field = matrix, pb.Displacement(matrix(points) - points)
        wanted = pb.warp(image, given, (12, 17), frame=frame, antialias=True, border="reflect")
    else:
        given, field = matrix, as_displacement(matrix, (12, 17))
        wanted = pb.warp(image, given, (12, 17), antialias=True, border="reflect")
    found = pb.warp(image, field, (12, 17), frame=frame, antialias=True, border="reflect")
    tolerance = {np.float64: 1e-9, np.uint8: 1, np.complex64: 1e-3}[dtype]
    np.testing.assert_allclose(found.astype(np.complex128), wanted.astype(np.complex128), rtol=0, atol=tolerance)


def test_a_field_shrinks_where_it_does():
    """The left half is read as it is, bit for bit; the right half, 3 to 1, is averaged."""
    image = np.tile([0.0, 1.0], 200)
    step = np.where(np.arange(200) < 100, 1.0, 3.0)
    field = pb.Displacement((np.cumsum(step) - step[0] - np.arange(200))[:, None])
    plain = pb.warp(image, field, (200,), border="wrap")
    found = pb.warp(image, field, (200,), border="wrap", antialias=True)
    np.testing.assert_array_equal(found[:98], plain[:98])
    assert np.abs(found[104:-2] - 0.5).max() < 0.1 < np.abs(plain[104:-2] - 0.5).max()
    assert "sub-samples" in pb.explain(image, field, (200,), antialias=True).coordinates


def test_gradients_of_varying_footprints():
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    image, field = random.random((20, 24)), pb.FreeForm(random.uniform(-4, 4, (5, 5, 2)))
    grad = random.standard_normal((9, 10))
    options = dict(antialias=True, border="edge", frame="centered")
    f = torch.from_numpy(image).requires_grad_()
    p = torch.from_numpy(np.array(field.parameters)).requires_grad_()
    value = pb.warp(f, pb.FreeForm(p), (9, 10), **options)
    np.testing.assert_allclose(value.detach(), pb.warp(image, field, (9, 10), **options), rtol=0, atol=1e-12)
    wanted = torch.autograd.grad(value, (f, p), torch.from_numpy(grad))
    for ours, theirs in zip(pb.warp_vjp(image, field, grad, **options), wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)


HORIZONS = {
    "in the middle": [[1.0, 0, 0], [0, 1, 0], [-0.022, 0, 1]],
    "aslant": [[1.0, 0, 0], [0, 1, 0], [0.04, 0.02, -2.5]],
    "near the rim": [[1.1, 0.2, -10], [0.1, 1.3, 5], [0.008, 0.002, 0.05]],
}


@pytest.mark.parametrize("matrix", HORIZONS.values(), ids=HORIZONS)
def test_a_horizon(matrix):
    """Where the map shrinks up to 20 times: the mean over each pixel of the output, weighted with a tent."""
    image, transform = smooth((128, 128), 2), pb.Projective(matrix)
    points = np.moveaxis(np.indices((128, 128), np.float64), 0, -1)
    found = warp(image, transform)
    shrink = np.linalg.norm(np.nan_to_num(transform.jacobian(points), posinf=0, neginf=0), 2, (-2, -1))
    offsets = np.arange(-9, 10) / 10
    wanted = 0
    for offset in np.stack(np.meshgrid(offsets, offsets), -1).reshape(-1, 2):
        wanted = wanted + (1 - np.abs(offset)).prod() / 100 * pb.sample(image, transform(points + offset))
    inside = (shrink > 1.5) & (shrink < 20)
    wrong, before = np.abs(found - wanted)[inside], np.abs(pb.warp(image, transform) - wanted)[inside]
    assert inside.sum() > 400
    assert wrong.mean() < 0.01 * np.abs(image).max()
    assert wrong.mean() < 0.4 * before.mean()


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("matrix", HORIZONS.values(), ids=HORIZONS)
def test_what_is_not_read_is_fill(matrix, library):
    """An image with a margin of `fill` has more samples to read, and the same means."""
    image, margin = smooth((40, 52), 1), 120
    padded = np.pad(image, margin, constant_values=0.7)
    shift = np.eye(3)
    shift[:2, 2] = margin
    transform, moved = pb.Projective(matrix), pb.Projective(shift @ matrix)
    given = torch.tensor(image) if library == "torch" else image
    found = warp(given, transform, (60, 70), fill=0.7)
    few, many = (
        pb.explain(each, by, (60, 70), antialias=True).coordinates for each, by in ((image, transform), (padded, moved))
    )
    np.testing.assert_allclose(found, warp(padded, moved, (60, 70), border="edge", fill=0.7), rtol=0, atol=1e-12)
    assert int(few.split()[-2]) < int(many.split()[-2]) <= 1024


def test_what_is_not_read_of_a_cropped_image():
    """Against the mean over all positions, those of a border that repeats."""
    image, transform = smooth((40, 52), 1), pb.Projective(HORIZONS["aslant"])
    reading = reading_of("linear", "edge", 0, "blend", None, "index")
    call = antialiased(call_through("warp", image, transform, (60, 70), reading), transform, "index")
    (footprints,) = call.footprints
    wanted = pb.warp(image, transform, (60, 70), fill=0.7, extent="crop").ravel()
    wanted[footprints.pixel] = 0
    for part in footprints.passes(10**5):
        n = part.positions.sum()
        points = call.geometry[0].reshape(-1, 2)[part.point] + part.shift
        values = part.weight * pb.sample(image, points, fill=0.7, extent="crop")
        np.add.at(wanted, part.point[:n], values[:n])
    found = warp(image, transform, (60, 70), fill=0.7, extent="crop")
    np.testing.assert_allclose(found.ravel(), wanted, rtol=0, atol=1e-12)


def test_the_work_next_to_a_horizon():
    """A pixel reads its own footprint, where there is something to be read."""
    image, transform = np.zeros((256, 256)), pb.Projective([[1.0, 0, 0], [0, 1, 0], [-0.011, 0, 1]])
    for border, most in (("constant", 5), ("edge", 200)):
        reading = reading_of("linear", border, 0, "blend", None, "index")
        call = antialiased(call_through("warp", image, transform, None, reading), transform, "index")
        positions = call.footprints[0].positions
        assert positions.max() <= 1024
        assert positions.sum() < most * image.size


@pytest.mark.parametrize("frame", FRAMES)
def test_gradients_at_a_horizon(frame):
    """In the image, the adjoint; in the matrix, what tensors say; batches are their entries."""
    random = np.random.default_rng(0)
    image, grad = random.random((2, 18, 20)), random.standard_normal((2, 15, 12))
    last = [-0.11, 0.02, 1.0] if frame == "index" else [0.9, 0.3, 1.0]
    matrix = np.array([[[1.0, 0.1, 0], [0, 1.2, 0.1], last], [[2.0, 0, 0.1], [0.3, 1.5, 0], [0, 0, 1]]])
    options = dict(frame=frame, antialias=True, fill=0.3)
    single = [pb.warp(image[k], pb.Projective(matrix[k]), (15, 12), **options) for k in range(2)]
    both = pb.warp(image[:, None], pb.Projective(matrix), (15, 12), **options)[:, 0]
    np.testing.assert_allclose(both, single, rtol=0, atol=1e-12)
    inputs = [torch.tensor(array, requires_grad=True) for array in (image[:, None], matrix)]
    values = pb.warp(inputs[0], pb.Projective(inputs[1]), (15, 12), **options)
    np.testing.assert_allclose(values.detach()[:, 0], both, rtol=0, atol=1e-12)
    wanted = torch.autograd.grad(values, inputs, torch.tensor(grad[:, None]))
    found = pb.warp_vjp(image[:, None], pb.Projective(matrix), grad[:, None], **options)
    for ours, theirs in zip(found, (each.numpy() for each in wanted), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9 * np.abs(theirs).max())
