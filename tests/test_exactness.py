"""The accuracy contract: identity and shifts to the bit, positions to 1e-4 of a pixel, constants stay constant."""

import numpy as np
import pytest
from cases import make

import pullback as pb
from pullback.backends import numpy as backend

SHAPES = {1: (37,), 2: (19, 70), 3: (5, 11, 13)}
every_ndim = pytest.mark.parametrize("ndim", [1, 2, 3])
every_dtype = pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
every_interpolation = pytest.mark.parametrize("interpolation", ["nearest", "linear"])


def noise(shape, dtype):
    random = np.random.default_rng(0)
    return (
        random.integers(0, 256, shape).astype(dtype)
        if dtype == np.uint8
        else random.standard_normal(shape).astype(dtype)
    )


@every_ndim
@every_dtype
@every_interpolation
@pytest.mark.parametrize("frame", ["index", "centered"])
@pytest.mark.parametrize("border", ["constant", "wrap"])
def test_identity(ndim, dtype, interpolation, frame, border):
    image = noise(SHAPES[ndim], dtype)
    options = {
        "interpolation": interpolation,
        "frame": frame,
        "border": border,
        "fill": np.nan if dtype != np.uint8 else 7,
    }
    assert pb.warp(image, pb.Affine.identity(ndim), **options).tobytes() == image.tobytes()


@every_ndim
@every_dtype
@every_interpolation
@pytest.mark.parametrize("shift", [-3, 1, 4])
def test_integer_shifts(ndim, dtype, interpolation, shift):
    image = noise(SHAPES[ndim], dtype)
    shifted = pb.warp(image, pb.Translation([shift] * ndim), interpolation=interpolation, border="wrap")
    assert shifted.tobytes() == np.roll(image, [-shift] * ndim, axis=range(ndim)).tobytes()
    points = np.stack(np.meshgrid(*map(np.arange, image.shape), indexing="ij"), -1) + shift
    assert pb.sample(image, points, interpolation=interpolation, border="wrap").tobytes() == shifted.tobytes()


def test_quarter_turn():
    image = noise((31, 31), np.float32)
    assert pb.warp(image, pb.Affine.rotation(90), frame="centered").tobytes() == np.rot90(image).tobytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_sample_stays_where_it_is(bad):
    """A tap of weight zero contributes nothing, whatever the sample is."""
    image = noise((9, 40), np.float32)
    image[4, 20] = bad
    image[0, 0] = bad
    assert pb.warp(image, pb.Affine.identity(2)).tobytes() == image.tobytes()
    slopes = pb.gradient(image, np.argwhere(np.isfinite(image)).astype(float), interpolation="nearest")
    assert np.all(slopes == 0)


@every_ndim
def test_a_constant_stays_constant(ndim):
    image = np.full(SHAPES[ndim], 0.1, np.float32)
    points = np.random.default_rng(0).uniform(0, 1, (500, ndim)) * (np.array(image.shape) - 1)
    assert set(pb.sample(image, points).tolist()) == {float(np.float32(0.1))}


@pytest.mark.parametrize("step", [1.0, 0.731, -0.37, 3.01, 15.7, 40.3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_positions_on_a_long_axis(step, dtype):
    """A ramp read through an affine map gives the positions themselves, to 1e-4 of a sample at 100,000."""
    side = 100_000
    n = 3001
    start = side - 2 - abs(step) * n if step > 0 else side - 2
    start += 0.123456789
    ramp = np.arange(side) % 97  # small values keep the rounding of the values out of it
    image = ramp.astype(dtype)
    values = pb.warp(image, pb.Affine([[step, start]]), (n,), border="edge")
    x = start + step * np.arange(n)
    inside = (x >= 0) & (x <= side - 1) & (np.floor(x) % 97 != 96)
    assert inside.sum() > 0.9 * min(n, side / abs(step))
    np.testing.assert_allclose(values[inside], (x % 97)[inside], rtol=0, atol=1e-4)


@pytest.mark.parametrize("side", [1000, 100_000])
@pytest.mark.parametrize("kind", ["projective", "displacement"])
def test_positions_far_out(side, kind):
    """Off by less than 1e-4 of a pixel, on a ramp whose steps single precision tells apart."""
    image = np.broadcast_to((np.arange(side) % 97).astype(np.float32), (2, side))[None, None]
    n = 5000
    case = make(2, kind=kind, batch=(1, 1), channels=1, shape=(2, side), points=(1, n))
    x = np.arange(n)
    if kind == "projective":
        start = max(side - 0.9 * n, 0) + 0.3
        geometry = np.array([[[1.0, 0, 0], [0, 0.83, start], [0, 1e-6, 1]]])
        wanted = (0.83 * x + start) / (1 + 1e-6 * x)
    else:
        u = np.random.default_rng(0).uniform(-300, 300, n).astype(np.float32).astype(np.float64)
        geometry = np.stack([np.zeros(n), u], axis=-1)[None, None]
        wanted = x + u
    values = backend.pull(image, geometry, case.lattice, case.plan, np.float32)[0, 0, 0]
    inside = (wanted > 0) & (wanted < side - 1) & (np.floor(wanted - 0.01) % 97 < 95)
    assert inside.sum() > 0.1 * n
    np.testing.assert_allclose(values[inside], (wanted % 97)[inside], rtol=0, atol=1e-4)


def test_positions_on_many_short_rows():
    """The same where rows are short and a block holds many of them, far from the origin."""
    image = np.broadcast_to((np.arange(90_000) % 97).astype(np.float32)[:, None], (90_000, 4))
    transform = pb.Affine([[1.37, 0.21, 80_000.3], [0, 0, 1.0]])
    values = pb.warp(image, transform, (5000, 16))
    y = 80_000.3 + 1.37 * np.arange(5000)[:, None] + 0.21 * np.arange(16)
    inside = np.floor(y - 0.01) % 97 < 95
    np.testing.assert_allclose(values[inside], (y % 97)[inside], rtol=0, atol=1e-4)


def test_integers_round_to_nearest_and_saturate():
    image = np.array([0, 255], np.uint8)
    assert pb.sample(image, [[0.1], [0.5], [0.51]]).tolist() == [26, 128, 130]  # 25.5, 127.5, 130.05; halves to even
    assert pb.sample(image, [[-5.0]], fill=300).tolist() == [255]
    assert pb.sample(image, [[-5.0]], fill=-3).tolist() == [0]
    assert pb.sample(image, [[-5.0]], fill=np.nan).tolist() == [0]
    assert pb.sample(image, [[0.1]], dtype=np.float32).tolist() == [25.5]


@pytest.mark.slow
def test_more_elements_than_an_int32_counts():
    """2.1 GiB, of which the system only has to find the pages that are touched."""
    image = np.zeros((46_341, 46_342), np.uint8)
    image[-1, -1], image[-2, -2], image[40_000, 7] = 200, 100, 50
    points = [[46_340, 46_341], [46_339.5, 46_340.5], [40_000, 7], [39_999.5, 7]]
    assert pb.sample(image, points).tolist() == [200, 75, 50, 25]
    corner = pb.warp(image, pb.Translation([46_339, 46_340]), (2, 2))
    assert corner.tolist() == [[100, 0], [0, 200]]


@pytest.mark.parametrize("interpolation", ["nearest", "linear", "cubic", "lanczos4"])
@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "complex64"])
@pytest.mark.parametrize("channel_axis", [None, -1])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_results_of_double_precision_are_summed_in_it(interpolation, dtype, channel_axis, library):
    random = np.random.default_rng(0)
    image = (200 * random.random((30, 31, 4) if channel_axis else (30, 31))).astype(dtype)
    wide = np.complex128 if dtype == "complex64" else np.float64
    coords = random.uniform(-2, 32, (400, 2))
    options = {"interpolation": interpolation, "channel_axis": channel_axis}
    wanted = pb.sample(image.astype(wide), coords, **options)
    if library == "torch":
        torch = pytest.importorskip("torch")
        wide = getattr(torch, np.dtype(wide).name)
        found = pb.sample(torch.tensor(image), torch.tensor(coords), dtype=wide, **options).numpy()
    else:
        found = pb.sample(image, coords, dtype=wide, **options)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int64])
def test_integers_of_32_bits_keep_their_digits(dtype):
    """Which single precision could not hold."""
    image = np.array([2**24 + 1, 2**24 + 3, 2**30 + 1, 5], dtype)
    at = np.array([[0.0], [0.5], [1.0], [2.0], [2.5]])
    for interpolation in ("linear", "cubic"):
        found = pb.sample(image, at, interpolation=interpolation, border="edge")
        np.testing.assert_array_equal(found[[0, 2, 3]], image[:3])
    np.testing.assert_array_equal(pb.sample(image, at, border="edge")[[1, 4]], [2**24 + 2, 2**29 + 3])
    known = pb.sample(image, at, border="edge", mask=np.array([False, False, False, True]))
    np.testing.assert_array_equal(known[[0, 2, 3]], image[:3])
    assert pb.gradient(image, at, border="edge").dtype == np.float64
