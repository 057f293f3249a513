"""The axes of images, coordinates and results."""

import numpy as np
import pytest

import pullback as pb

RANDOM = np.random.default_rng(0)
PLAIN = RANDOM.standard_normal((8, 9))
COORDS = RANDOM.uniform(-1, 9, (4, 5, 2))

# name: (image with its axes, channel_axis, where its channels are among the axes of a (4, 5) lattice)
CHANNELS = {
    "first": (lambda a: a, None, 0),
    "first, said": (lambda a: a, 0, 0),
    "last": (lambda a: np.moveaxis(a, 0, -1), -1, 2),
    "last, counted from the front": (lambda a: np.moveaxis(a, 0, -1), 2, 2),
    "between": (lambda a: np.moveaxis(a, 0, 1), 1, 1),
    "between, counted from the back": (lambda a: np.moveaxis(a, 0, 1), -2, 1),
}


def test_no_channels():
    assert pb.sample(PLAIN, COORDS).shape == (4, 5)
    assert pb.sample(PLAIN, COORDS[0, 0]).shape == ()
    assert pb.sample(PLAIN, COORDS[None, :, None]).shape == (1, 4, 1, 5)
    assert pb.sample(PLAIN[0], COORDS[..., :1]).shape == (4, 5)
    assert pb.gradient(PLAIN, COORDS).shape == (4, 5, 2)


@pytest.mark.parametrize("name", CHANNELS)
@pytest.mark.parametrize("batch", [False, True], ids=["one", "batch"])
def test_channels_keep_their_place(name, batch):
    place, axis, where = CHANNELS[name]
    images = RANDOM.standard_normal((2, 6, 8, 9))
    wanted = np.stack([[pb.sample(channel, COORDS) for channel in image] for image in images])
    slopes = np.stack([[pb.gradient(channel, COORDS) for channel in image] for image in images])
    if batch:
        image = np.stack([place(image) for image in images])
        axis = axis if axis is None or axis < 0 else axis + 1
        coords = COORDS[None]
        wanted, slopes = np.moveaxis(wanted, 1, where + 1), np.moveaxis(slopes, 1, where + 1)
    else:
        image, coords = place(images[0]), COORDS
        wanted, slopes = np.moveaxis(wanted[0], 0, where), np.moveaxis(slopes[0], 0, where)
    # a batch may take another path than one image, and round otherwise
    found = pb.sample(image, coords, channel_axis=axis)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-14)
    np.testing.assert_allclose(pb.gradient(image, coords, channel_axis=axis), slopes, rtol=0, atol=1e-14)
    out = np.full_like(wanted, np.nan)
    assert pb.sample(image, coords, channel_axis=axis, out=out) is out
    np.testing.assert_array_equal(out, found)
    warped = pb.warp(image, pb.Affine.rotation(10), channel_axis=axis)
    assert warped.shape == image.shape
    grads = pb.warp_vjp(image, pb.Affine.rotation(10), warped, channel_axis=axis)
    assert [part.shape for part in grads] == [image.shape, (2, 3)]
    grads = pb.sample_vjp(image, coords, found, channel_axis=axis)
    assert [part.shape for part in grads] == [image.shape, coords.shape]


def test_batches():
    images = RANDOM.standard_normal((3, 2, 8, 9))
    each = RANDOM.uniform(0, 8, (3, 7, 2))
    found = pb.sample(images, each)
    assert found.shape == (3, 2, 7)
    for image, coords, values in zip(images, each, found, strict=True):
        np.testing.assert_array_equal(pb.sample(image, coords), values)
    np.testing.assert_array_equal(pb.sample(images, each[:1])[2], pb.sample(images[2], each[0]))
    np.testing.assert_array_equal(pb.sample(images[:1], each)[2], pb.sample(images[0], each[2]))


def test_batches_of_transforms():
    turns = pb.Affine.rotation(np.array([0.0, 10.0, 20.0]))
    images = RANDOM.standard_normal((3, 2, 8, 9))
    assert pb.warp(PLAIN, turns, frame="centered").shape == (3, 8, 9)
    assert pb.warp(images[0], turns, frame="centered").shape == (3, 2, 8, 9)
    found = pb.warp(images, turns, (5, 6), frame="centered")
    assert found.shape == (3, 2, 5, 6)
    np.testing.assert_array_equal(found[1], pb.warp(images[1], pb.Affine.rotation(10.0), (5, 6), frame="centered"))


@pytest.mark.parametrize(
    ("values", "coords", "result"),
    [
        ((7,), (7, 2), (8, 9)),
        ((4, 7), (4, 7, 2), (8, 9)),
        ((3, 7), (7, 2), (3, 8, 9)),
        ((2, 3, 7), (2, 7, 2), (2, 3, 8, 9)),
        ((2, 3, 7), (1, 7, 2), (2, 3, 8, 9)),
        ((1, 3, 7), (2, 7, 2), (2, 3, 8, 9)),
        ((3, 3, 4, 7), (3, 4, 7, 2), (3, 3, 8, 9)),
    ],
    ids=str,
)
def test_splat(values, coords, result):
    assert pb.splat(np.ones(values), RANDOM.uniform(1, 7, coords), (8, 9)).shape == result


@pytest.mark.parametrize(
    ("values", "coords", "channel_axis", "result"),
    [
        ((7, 3), (7, 2), -1, (8, 9, 3)),
        ((3, 7), (7, 2), 0, (3, 8, 9)),
        ((4, 7, 3), (4, 7, 2), -1, (8, 9, 3)),
        ((4, 3, 7), (4, 7, 2), 1, (8, 3, 9)),
        ((2, 7, 3), (2, 7, 2), -1, (8, 9, 3)),
        ((2, 7, 3), (1, 7, 2), 2, (2, 8, 9, 3)),
        ((2, 4, 3, 7), (2, 4, 7, 2), 2, (2, 8, 3, 9)),
    ],
    ids=str,
)
def test_splat_with_channels_anywhere(values, coords, channel_axis, result):
    values, coords = RANDOM.standard_normal(values), RANDOM.uniform(1, 7, coords)
    image = pb.splat(values, coords, (8, 9), channel_axis=channel_axis)
    assert image.shape == result
    first, channel = len(result) - 3, result.index(3)
    moved = pb.splat(np.moveaxis(values, channel_axis, first), coords, (8, 9))
    np.testing.assert_array_equal(np.moveaxis(image, channel, first), moved)
    read = pb.sample(image, coords, channel_axis=channel)
    np.testing.assert_allclose(np.sum(read * values), np.sum(image**2), rtol=1e-12)


def test_more_axes_than_kernels_have():
    coords = RANDOM.uniform(0, 8, (2, 3, 2, 3, 2, 2))
    wanted = pb.sample(PLAIN, coords.reshape(-1, 2)).reshape(coords.shape[:-1])
    np.testing.assert_array_equal(pb.sample(PLAIN, coords), wanted)
    strided = np.empty((4, 6, 4, 6, 4))[::2, ::2, ::2, ::2, ::2]
    np.testing.assert_array_equal(pb.sample(PLAIN, coords, out=strided), wanted)
    np.testing.assert_array_equal(pb.sample(PLAIN, coords[::-1, :, ::-1]), wanted[::-1, :, ::-1])


LIKELY = {
    "a small photograph": ((8, 9, 3), 2),
    "a photograph": ((64, 64, 4), 2),
    "ten bands": ((64, 64, 10), 2),
    "a batch of photographs": ((8, 64, 64, 3), 2),
    "a volume of colours": ((20, 20, 20, 3), 3),
    "a batch of volumes": ((2, 8, 16, 64, 4), 3),
    "two signals": ((300, 2), 1),
}
UNLIKELY = {
    "one image": ((64, 10), 2),
    "channels first": ((3, 64, 64), 2),
    "a batch, channels first": ((8, 3, 64, 64), 2),
    "a volume": ((64, 64, 10), 3),
    "a thin image": ((3, 64, 8), 2),
    "many bands": ((64, 64, 17), 2),
    "a batch of short rows": ((8, 12, 64, 8), 2),
}


@pytest.mark.parametrize(("shape", "ndim"), LIKELY.values(), ids=LIKELY)
def test_an_image_that_looks_channels_last_is_warned_of(shape, ndim):
    image, first = np.ones(shape), len(shape) - ndim - 1
    calls = {
        "sample": lambda **axis: pb.sample(image, np.ones((*(1,) * first, 1, ndim)), **axis),
        "warp": lambda **axis: pb.warp(image, pb.Affine.identity(ndim), **axis),
        "resize": lambda **axis: pb.resize(image, (2,) * ndim, **axis),
    }
    for name, call in calls.items():
        for _ in range(2):  # remembered or not
            with pytest.warns(
                pb.LayoutWarning, match=rf"{name}: `image` of shape .* read as {shape[first]} channels"
            ) as seen:
                call()
            assert seen[0].filename == __file__
        call(channel_axis=-1)
        call(channel_axis=first)


@pytest.mark.parametrize(("shape", "ndim"), UNLIKELY.values(), ids=UNLIKELY)
def test_other_images_are_not_warned_of(shape, ndim):
    pb.warp(np.ones(shape), pb.Affine.identity(ndim))
    pb.resize(np.ones(shape), (2,) * ndim)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_images_that_may_be_a_batch_are_warned_of(kind):
    images, offsets = np.ones((4, 8, 8)), np.zeros((4, 2))
    if kind == "torch":
        torch = pytest.importorskip("torch")
        images, offsets = torch.tensor(images), torch.tensor(offsets)
    shift = pb.Translation(offsets)
    with pytest.warns(pb.LayoutWarning, match=r"image\[:, None\] if it holds 4 images"):
        assert pb.warp(images, shift).shape == (4, 4, 8, 8)
    assert pb.warp(images[:, None], shift).shape == (4, 1, 8, 8)
    assert pb.warp(images, shift, channel_axis=0).shape == (4, 4, 8, 8)
    assert pb.warp(images[:3], shift).shape == (4, 3, 8, 8)
    assert pb.warp(images, pb.Translation(offsets[0])).shape == (4, 8, 8)


@pytest.mark.parametrize("interpolation", ["nearest", "linear", "cubic", "spline3"])
@pytest.mark.parametrize("antialias", [False, True])
def test_a_result_may_overlap_the_image(interpolation, antialias):
    """One so large that it is not read whole before anything is written."""
    options = {"frame": "centered", "interpolation": interpolation, "antialias": antialias}
    plain = RANDOM.random((300, 280))
    for turn in (pb.Affine.rotation(30), pb.Affine.scaling(2.0), pb.Displacement(np.full((300, 280, 2), 0.2))):
        wanted = pb.warp(plain, turn, **options)
        image = plain.copy()
        assert pb.warp(image, turn, out=image, **options) is image
        np.testing.assert_array_equal(image, wanted)
    whole = np.zeros((302, 280))
    whole[:300] = plain
    pb.warp(whole[:300], pb.Affine.rotation(30), out=whole[2:], **options)
    np.testing.assert_array_equal(whole[2:], pb.warp(plain, pb.Affine.rotation(30), **options))


def test_a_result_may_overlap_the_coordinates():
    coords = RANDOM.uniform(0, 7, (300, 280, 2))
    wanted = pb.sample(PLAIN, coords)
    out = coords.reshape(-1)[-300 * 280 :].reshape(300, 280)
    np.testing.assert_array_equal(pb.sample(PLAIN, coords, out=out), wanted)


def test_dtypes_of_results():
    image = RANDOM.uniform(0, 255, (8, 9)).astype(np.uint8)
    assert pb.sample(image, COORDS).dtype == np.uint8
    assert pb.sample(image, COORDS, dtype=np.float32).dtype == np.float32
    assert pb.gradient(image, COORDS).dtype == np.float32
    assert pb.sample(image.astype(np.float64), COORDS.astype(np.float32)).dtype == np.float64
    assert pb.sample_vjp(image, COORDS.astype(np.float32), np.ones((4, 5)))[1].dtype == np.float32
    out = np.empty((4, 5))
    np.testing.assert_array_equal(pb.sample(image, COORDS, out=out), pb.sample(image, COORDS, dtype=np.float64))
    assert not np.array_equal(out, np.rint(out))


@pytest.mark.parametrize("interpolation", ["nearest", "linear", "cubic", "lanczos3", "bspline2", "spline5"])
@pytest.mark.parametrize("shape", [(0,), (0, 5), (5, 0), (3, 0, 42)], ids=str)
def test_an_image_without_samples_is_all_fill(interpolation, shape):
    image, coords = np.zeros(shape, np.float32), RANDOM.uniform(-3, 3, (50, len(shape)))
    options = dict(interpolation=interpolation, border="constant", fill=2.0)
    np.testing.assert_array_equal(pb.sample(image, coords, **options), 2)
    np.testing.assert_array_equal(pb.gradient(image, coords, **options), 0)
    grad_image, grad_coords = pb.sample_vjp(image, coords, np.ones(50), **options)
    assert grad_image.shape == shape
    np.testing.assert_array_equal(grad_coords, 0)
    assert pb.splat(np.ones(50), coords, shape, interpolation=interpolation, border="constant").shape == shape


def test_bfloat16_arrays():
    """They are read as they are, summed in single precision, and rounded to the nearest even."""
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    image = PLAIN.astype(bfloat16)
    wide = image.astype(np.float32)
    for options in (dict(), dict(interpolation="nearest"), dict(interpolation="cubic"), dict(interpolation="spline3")):
        found = pb.sample(image, COORDS, **options)
        assert found.dtype == bfloat16
        np.testing.assert_array_equal(found, pb.sample(wide, COORDS, **options).astype(bfloat16))
        np.testing.assert_array_equal(
            pb.sample(image, COORDS, dtype=np.float64, **options).astype(bfloat16), found.astype(bfloat16)
        )
        slopes = pb.gradient(wide, COORDS, **options)
        np.testing.assert_allclose(pb.gradient(image, COORDS, **options), slopes, rtol=0, atol=3e-6)
        np.testing.assert_array_equal(
            pb.sample(wide, COORDS, dtype=bfloat16, **options), pb.sample(image, COORDS, **options)
        )
    turn = pb.Affine([[0.8, 0.3, 1.0], [-0.3, 0.8, 2.0]])
    np.testing.assert_array_equal(pb.warp(image, turn), pb.warp(wide, turn).astype(bfloat16))
    np.testing.assert_array_equal(pb.resize(image, (4, 20)), pb.resize(wide, (4, 20)).astype(bfloat16))
    values = np.ones((4, 5), bfloat16)
    np.testing.assert_array_equal(pb.splat(values, COORDS, (8, 9)), pb.splat(values.astype(np.float32), COORDS, (8, 9)))


def test_byte_orders_and_numbers_of_numpy():
    swapped = PLAIN.astype(">f8")
    wanted = pb.sample(PLAIN, COORDS)
    np.testing.assert_array_equal(pb.sample(swapped, COORDS.astype(">f8")), wanted)
    np.testing.assert_array_equal(pb.sample(PLAIN, COORDS, dtype=">f8"), wanted)
    np.testing.assert_array_equal(pb.warp(swapped, pb.Affine(np.eye(2, 3, dtype=">f4"))), PLAIN)
    np.testing.assert_array_equal(pb.resize(swapped, np.array([4, 5])), pb.resize(PLAIN, (4, 5)))
    np.testing.assert_array_equal(pb.prefilter(swapped, np.int8(3), ndim=np.int64(2)), pb.prefilter(PLAIN, 3))
    colours = np.stack([PLAIN, PLAIN], -1)
    moved = pb.sample(colours, COORDS, channel_axis=np.int64(-1), fill=np.float32(2), return_weight=np.True_)
    np.testing.assert_array_equal(moved[0][..., 0], pb.sample(PLAIN, COORDS, fill=2))
    half = pb.Affine.scaling(np.float32(2))
    np.testing.assert_array_equal(pb.warp(PLAIN, half, antialias=np.True_), pb.warp(PLAIN, half, antialias=True))
    np.testing.assert_array_equal(
        pb.splat(wanted, COORDS, (8, 9), normalize=np.True_), pb.splat(wanted, COORDS, (8, 9), normalize=True)
    )


def test_a_subclass_of_array_is_read_as_an_array():
    class Tagged(np.ndarray):
        pass

    np.testing.assert_array_equal(pb.sample(PLAIN.view(Tagged), COORDS.view(Tagged)), pb.sample(PLAIN, COORDS))
    memory = np.memmap.__new__(np.memmap, __file__, mode="r", shape=(8, 9), dtype=np.uint8)
    np.testing.assert_array_equal(pb.warp(memory, pb.Affine.identity(2)), memory)


def test_channels_in_front_of_a_batch_are_refused():
    with pytest.raises(ValueError, match="at most a batch axis in front"):
        pb.resize(np.zeros((3, 2, 8, 8)), (4, 4), channel_axis=0)
