"""Resizing: pixel areas, stretched kernels, one axis at a time; as torch, Pillow and OpenCV do it."""

import tracemalloc

import numpy as np
import pytest
from covering import covered
from hypothesis import given, settings
from hypothesis import strategies as st

import pullback as pb
from pullback import _cache
from pullback._plan import AREA, BORDERS, INTERPOLATIONS
from pullback.backends.tables import axis_table

torch = pytest.importorskip("torch")
F = torch.nn.functional

RANDOM = np.random.default_rng(0)
SHAPES = {"down": (20, 25), "far down": (3, 2), "up": (80, 100), "mixed": (12, 90), "same": (37, 53), "one": (1, 1)}
MIXING = ["linear", "cubic", "mitchell", "lanczos2", "lanczos3", "lanczos4"]
SPLINES = [f"{kind}{order}" for kind in ("bspline", "spline") for order in (2, 3, 4, 5)]
DTYPES = ["bool", "uint8", "int16", "uint64", "int64", "float16", "float32", "float64", "complex64", "complex128"]

every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


@pytest.fixture(autouse=True)
def _same_numbers_whatever_ran_before(seed):
    global RANDOM
    RANDOM = np.random.default_rng(seed)


@every_shape
@pytest.mark.parametrize("names", [("linear", "bilinear"), ("cubic", "bicubic")], ids=["linear", "cubic"])
@pytest.mark.parametrize("as_tensor", [False, True], ids=["array", "tensor"])
def test_as_torch_does(shape, names, as_tensor):
    image = torch.tensor(RANDOM.random((2, 3, 37, 53)), dtype=torch.float32)
    wanted = F.interpolate(image, shape, mode=names[1], antialias=True, align_corners=False)
    found = pb.resize(image if as_tensor else image.numpy(), shape, interpolation=names[0])
    # torch's own weights are in single precision
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
    assert isinstance(found, torch.Tensor) == as_tensor


@covered(
    dtype=[name for name in DTYPES if not name.startswith("complex")],
    result=["bool", "uint8", "int16", "float32"],
    as_tensor={"array": False, "tensor": True},
    strength=2,
    allowed=lambda dtype, as_tensor, **_: not as_tensor or dtype != "uint64",  # PyTorch computes nothing in it
)
def test_nearest_into_another_dtype(dtype, result, as_tensor):
    image = np.array([7, 0, 7, 3, 7, 200]).astype(dtype)
    picked = image[[1, 3, 5]].astype(np.float64)
    limits = (0, 1) if result == "bool" else (0, 255) if result == "uint8" else (-32768, 32767)
    given = torch.from_numpy(image) if as_tensor else image
    found = pb.resize(given, (3,), interpolation="nearest", dtype=getattr(torch, result) if as_tensor else result)
    np.testing.assert_array_equal(np.asarray(found).astype(np.float64), np.clip(picked, *limits))


@settings(max_examples=60, deadline=None)
@given(
    sides=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    shape=st.tuples(st.integers(1, 60), st.integers(2, 60)),  # torch 2.13 repeats one row where the new width is 1
    mode=st.sampled_from([("linear", "bilinear"), ("cubic", "bicubic")]),
)
def test_as_torch_does_for_any_sides(sides, shape, mode):
    image = torch.tensor(np.random.default_rng(0).random(sides))
    wanted = F.interpolate(image[None, None], shape, mode=mode[1], antialias=True, align_corners=False)[0, 0]
    # torch's weights are in double precision here
    np.testing.assert_allclose(pb.resize(image, shape, interpolation=mode[0]), wanted, rtol=0, atol=1e-12)


@every_shape
@pytest.mark.parametrize("name", ["linear", "cubic", "lanczos3"])
def test_as_pillow_does(shape, name):
    """Within a level: Pillow rounds, and saturates, between the axes too; this image stays clear of 0 and 255."""
    pillow = pytest.importorskip("PIL.Image")
    image = np.rint(60 + 120 * RANDOM.random((37, 53))).astype(np.uint8)
    kernel = {"linear": pillow.BILINEAR, "cubic": pillow.BICUBIC, "lanczos3": pillow.LANCZOS}[name]
    wanted = np.asarray(pillow.fromarray(image).resize(shape[::-1], kernel)).astype(int)
    assert np.abs(pb.resize(image, shape, interpolation=name).astype(int) - wanted).max() <= 1


@pytest.mark.parametrize("name", [*MIXING, *SPLINES])
def test_enlarging_needs_no_antialiasing(name):
    image = RANDOM.standard_normal((3, 37, 53)).astype(np.float32)
    for shape in (SHAPES["up"], SHAPES["same"]):
        antialiased = pb.resize(image, shape, interpolation=name)
        assert antialiased.tobytes() == pb.resize(image, shape, antialias=False, interpolation=name).tobytes()
    assert not np.array_equal(
        pb.resize(image, (20, 53), interpolation=name), pb.resize(image, (20, 53), antialias=False, interpolation=name)
    )


@pytest.mark.parametrize("name", ["nearest", *MIXING, *SPLINES])
@every_shape
def test_without_antialiasing_it_samples(name, shape):
    """At the new pixels' middles; inside the image, where no tap is beyond it."""
    image = RANDOM.standard_normal((37, 53))
    axes = [(np.arange(n) + 0.5) * side / n - 0.5 for n, side in zip(shape, image.shape, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    wanted = pb.sample(image, points, interpolation=name, border="symmetric")
    found = pb.resize(image, shape, antialias=False, interpolation=name)
    inside = np.all((points >= 4) & (points <= np.array(image.shape) - 5), axis=-1)
    if name == "linear" or name in SPLINES[4:]:
        inside[:] = True  # linear weights left out are those of an edge, and splines go on as their mirror image
    np.testing.assert_allclose(found[inside], wanted[inside], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["nearest", *MIXING, *SPLINES])
@every_shape
def test_a_constant_stays_constant(name, shape):
    np.testing.assert_allclose(pb.resize(np.full((37, 53), 0.7), shape, interpolation=name), 0.7, rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["nearest", "linear", "cubic", "lanczos3", ("nearest", "linear")], ids=str)
def test_the_same_size_is_a_copy(dtype, name):
    image = (100 * RANDOM.standard_normal((3, 9, 11))).astype(dtype)
    for source in (image, torch.tensor(image)):
        found = pb.resize(source, (9, 11), interpolation=name)
        assert found.dtype == source.dtype
        np.testing.assert_array_equal(found, source)
        found[...] = 0
        assert source.any()


@pytest.mark.parametrize("dtype", DTYPES)
@every_shape
def test_dtypes(dtype, shape):
    """Integers are rounded to nearest and saturated once, at the end; between the axes they are real."""
    image = (100 * RANDOM.standard_normal((2, 37, 53))).astype(dtype)
    wanted = pb.resize(image.astype(complex), shape, interpolation="cubic")
    found = pb.resize(image, shape, interpolation="cubic")
    assert found.dtype == dtype
    if image.dtype.kind in "iu":
        limits = np.iinfo(dtype)
        wanted = np.clip(np.rint(wanted.real), float(limits.min), float(limits.max))
    elif dtype == "bool":
        wanted = wanted.real >= 0.5
    tolerance = {"float16": 0.13, "float32": 1e-4, "complex64": 1e-4, "uint64": 1e5}.get(dtype, 1e-9)
    off = np.abs(found.astype(complex) - wanted) > tolerance
    assert off.mean() < (0.002 if image.dtype.kind in "iub" else 1e-9)  # halves may round either way
    np.testing.assert_array_equal(pb.resize(torch.tensor(image), shape, interpolation="cubic"), found)
    if dtype != "complex64" and dtype != "complex128":
        as_real = pb.resize(image, shape, dtype=np.float64)
        np.testing.assert_allclose(as_real, pb.resize(image.astype(float), shape), rtol=1e-5, atol=1e-4)


def test_nearest_copies_what_no_float_holds():
    image = np.array([2**63 - 1, 2**62 + 1, 5, 7])
    assert pb.resize(image, (2,), interpolation="nearest").tolist() == [2**62 + 1, 7]
    assert pb.resize(image, (8,), interpolation="nearest").tolist() == np.repeat(image, 2).tolist()
    tensor = pb.resize(torch.tensor(image), (8,), interpolation="nearest")
    assert tensor.tolist() == np.repeat(image, 2).tolist()


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("batch", [False, True], ids=["one", "batch"])
def test_axes(ndim, batch):
    """Channels and entries are by themselves, wherever they are, and in memory stay where they were."""
    image = RANDOM.standard_normal((2,) * batch + (3,) + (9, 10, 11)[:ndim])
    shape = (5, 14, 4)[:ndim]
    found = pb.resize(image, shape)
    assert found.shape == image.shape[:-ndim] + shape
    flat = image.reshape(-1, *image.shape[-ndim:])
    alone = np.stack([pb.resize(entry, shape) for entry in flat]).reshape(found.shape)
    np.testing.assert_allclose(found, alone, rtol=1e-13, atol=1e-13)
    pixels = np.ascontiguousarray(np.moveaxis(image, int(batch), -1))
    last = pb.resize(pixels, shape, channel_axis=-1)
    np.testing.assert_allclose(np.moveaxis(last, -1, int(batch)), found, rtol=1e-13, atol=1e-13)
    assert last.flags.c_contiguous


def test_an_axis_at_a_time():
    image = RANDOM.standard_normal((20, 30))
    names = ("lanczos3", "nearest")
    found = pb.resize(image, (9, 45), interpolation=names)
    wanted = np.stack([pb.resize(column, (9,), interpolation="lanczos3") for column in image.T], 1)
    wanted = np.stack([pb.resize(row, (45,), interpolation="nearest") for row in wanted])
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["nearest", *MIXING, "bspline3", "spline2", "spline3"])
@pytest.mark.parametrize("shape", [(4, 9), (6, 3)], ids=str)
def test_gradcheck(name, shape):
    image = torch.tensor(RANDOM.standard_normal((2, 6, 7)), requires_grad=True)
    assert torch.autograd.gradcheck(lambda image: pb.resize(image, shape, interpolation=name), image, fast_mode=True)


@pytest.mark.parametrize("name", [*MIXING, *SPLINES[:4]])
def test_tables_have_the_weights_of_the_kernels(name):
    """An axis that grows is read with the weights that sampling reads unit images with."""
    n_in, n_out = 17, 53
    code, slope = INTERPOLATIONS[name], -0.5 if name == "cubic" else 0.0
    first, weight, *_ = axis_table(n_in, n_out, code, slope, None, True, False)
    table = np.zeros((n_out, n_in + weight.shape[1]))
    for i, start in enumerate(first):
        table[i, start : start + weight.shape[1]] = weight[i]
    assert np.all(table[:, n_in:] == 0)
    x = (np.arange(n_out) + 0.5) * n_in / n_out - 0.5
    wanted = pb.sample(np.eye(n_in), x[:, None], interpolation=name, channel_axis=0).T
    wanted /= wanted.sum(1, keepdims=True)
    np.testing.assert_allclose(table[:, :n_in], wanted, rtol=0, atol=1e-14)


@pytest.mark.parametrize("sides", [(1, 9), (9, 1), (2, 1000), (1000, 2), (5, 4), (1, 1)], ids=str)
@pytest.mark.parametrize("name", [*MIXING, *SPLINES])
@pytest.mark.parametrize("antialias", [False, True])
def test_tables_stay_within_the_image(sides, name, antialias):
    n_in, n_out = sides
    is_spline = name.startswith("spline")
    code = INTERPOLATIONS["b" + name if is_spline else name]
    table = axis_table(n_in, n_out, code, -0.5, BORDERS["symmetric"] if is_spline else None, antialias, False)
    if table is None:
        assert n_in == n_out
        return
    first, weight, *_ = table
    assert first.shape == (n_out,)
    assert weight.shape[0] == n_out
    assert first.min() >= 0
    assert first.max() + weight.shape[1] <= n_in
    np.testing.assert_allclose(weight.sum(1), 1, rtol=1e-12)


def test_a_cubic_of_ones_own():
    image = RANDOM.standard_normal((12, 13))
    found = pb.resize(torch.tensor(image), (30, 31), interpolation=pb.Cubic(-0.75))
    wanted = F.interpolate(torch.tensor(image)[None, None], (30, 31), mode="bicubic", align_corners=False)[0, 0]
    # torch repeats the edge where this leaves taps out
    np.testing.assert_allclose(found[6:-6, 6:-6], wanted[6:-6, 6:-6], rtol=0, atol=1e-12)
    assert not np.allclose(pb.resize(image, (30, 31), interpolation="cubic"), found, atol=1e-3)


# Factors


@pytest.mark.parametrize(
    ("sides", "scale", "shape"),
    [
        ((37, 53), (0.5, 2), (18, 106)),
        ((37, 53), 0.5, (18, 26)),
        ((5,), 0.5, (2,)),
        ((7,), np.float32(0.5), (4,)),
        ((3, 4), 0.01, (1, 1)),
        ((3, 4, 5), np.array([2, 1, 0.2]), (6, 4, 1)),
    ],
    ids=str,
)
def test_a_factor_makes_the_sides_and_no_more(sides, scale, shape):
    """Sides are rounded to nearest, halves to even, as OpenCV does; the map is that of the sides."""
    image = RANDOM.standard_normal(sides)
    np.testing.assert_array_equal(pb.resize(image, scale=scale), pb.resize(image, shape))
    assert pb.resize(torch.tensor(image), scale=scale).shape == shape


def test_factors_leave_channels_alone():
    image = RANDOM.standard_normal((20, 30, 3))
    found = pb.resize(image, scale=0.5, channel_axis=-1)
    np.testing.assert_array_equal(found, pb.resize(image, (10, 15), channel_axis=-1))
    assert pb.resize(torch.rand(2, 3, 8, 9), scale=(2, 1)).shape == (2, 3, 16, 9)


# Means over areas


def overlaps(n_in, n_out):
    """Return n_out times the lengths that old and new pixels have in common, in whole numbers."""
    i, k = np.arange(n_out)[:, None], np.arange(n_in)
    return np.maximum(np.minimum((k + 1) * n_out, (i + 1) * n_in) - np.maximum(k * n_out, i * n_in), 0)


@pytest.mark.parametrize("as_tensor", [False, True], ids=["array", "tensor"])
def test_area_is_the_mean_of_a_block(as_tensor):
    image = np.arange(16.0).reshape(4, 4)
    found = pb.resize(torch.tensor(image) if as_tensor else image, (2, 2), interpolation="area")
    np.testing.assert_array_equal(found, [[2.5, 4.5], [10.5, 12.5]])


@settings(max_examples=150, deadline=None)
@given(
    sides=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    dtype=st.sampled_from(["bool", "uint8", "int8", "uint16", "int16", "float64"]),
    seed=st.integers(0, 99),
)
def test_area_is_exact_for_any_ratio(sides, shape, dtype, seed):
    """Up and down; means of small integers are rounded once, halves to even."""
    random = np.random.default_rng(seed)
    image = random.integers(0, 2, sides) if dtype == "bool" else 100 * random.standard_normal(sides)
    image = image.astype(dtype)
    wide = image.astype(np.int64) if image.dtype.kind in "biu" else image
    (rows, columns), total = map(overlaps, sides, shape), sides[0] * sides[1]
    wanted = rows @ wide @ columns.T / total  # whole numbers below 2^53, divided once
    found = pb.resize(image, shape, interpolation="area")
    if dtype == "float64":
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-11)
    else:
        np.testing.assert_array_equal(found, np.rint(wanted).astype(dtype))
    if image.dtype.kind != "u" or image.itemsize == 1:
        np.testing.assert_array_equal(pb.resize(torch.tensor(image), shape, interpolation="area"), found)


def test_area_is_exact_where_float32_is_not():
    """4001 and 2999 have no common divisor: the sums of a mean reach 255 * 4001^2."""
    image = np.full((4001, 4001), 1, np.uint8)
    image[::2] = 2
    rows = overlaps(4001, 2999)
    wanted = np.rint(rows @ image[:, 0].astype(np.int64) / 4001)
    assert np.array_equal(pb.resize(image, (2999, 2999), interpolation="area"), np.tile(wanted[:, None], 2999))


@pytest.mark.parametrize("shape", [(240, 320), (160, 128), (101, 77), (479, 640)], ids=str)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("channels", [1, 3])
def test_area_is_that_of_opencv(shape, dtype, channels):
    cv2 = pytest.importorskip("cv2")
    image = (255 * RANDOM.random((480, 640, channels))).astype(dtype)
    wanted = cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA).reshape(*shape, channels)
    found = pb.resize(image, shape, interpolation="area", channel_axis=-1)
    # OpenCV's weights are of single precision; of 2 x 2 integers it rounds halves up
    tolerance = 1 if image.dtype.kind == "u" else 1e-4
    np.testing.assert_allclose(found.astype(float), wanted.astype(float), rtol=0, atol=tolerance)


@pytest.mark.parametrize("shape", [(240, 320), (160, 128), (48, 640)], ids=str)
def test_area_is_the_box_of_pillow_for_whole_factors(shape):
    """For others, Pillow's box takes whole pixels."""
    pillow = pytest.importorskip("PIL.Image")
    image = (255 * RANDOM.random((480, 640))).astype(np.float32)
    wanted = np.asarray(pillow.fromarray(image).resize(shape[::-1], pillow.BOX))
    np.testing.assert_allclose(pb.resize(image, shape, interpolation="area"), wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("other", ["area", "linear", "lanczos3", "nearest", "spline3"])
@pytest.mark.parametrize("shape", [(9, 45), (45, 9)], ids=str)
def test_area_for_one_axis_among_several(other, shape):
    image = RANDOM.standard_normal((20, 30))
    found = pb.resize(image, shape, interpolation=("area", other), border="constant", fill=3)
    columns = pb.resize(image, (20, shape[1]), interpolation=("nearest", other), border="constant", fill=3)
    np.testing.assert_allclose(found, overlaps(20, shape[0]) @ columns / 20, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(4, 9), (6, 3)], ids=str)
def test_gradcheck_of_area(shape):
    image = torch.tensor(RANDOM.standard_normal((2, 6, 7)), requires_grad=True)
    function = lambda image: pb.resize(image, shape, interpolation="area")  # noqa: E731
    assert torch.autograd.gradcheck(function, image)
    assert torch.autograd.gradgradcheck(function, image)


@pytest.mark.parametrize("interpolation", ["nearest", "linear", "area"])
def test_gradients_of_what_grows_much_lose_no_digits(interpolation):
    image = torch.full((3,), 0.1, requires_grad=True)
    (grad,) = torch.autograd.grad(pb.resize(image, (300_000,), interpolation=interpolation).sum(), image)
    np.testing.assert_allclose(grad, 100_000, rtol=2e-7)


# Labels


def one_hot(labels, classes):
    return (labels[..., None, :, :] == np.array(classes)[:, None, None]).astype(np.uint8)


@settings(max_examples=60, deadline=None)
@given(
    sides=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    parts=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    dtype=st.sampled_from(["uint8", "int16", "int64"]),
    seed=st.integers(0, 99),
)
def test_a_label_is_that_of_most_of_the_area(sides, parts, dtype, seed):
    """As the first of the largest of one-hot channels, whose means are exact; ties are many."""
    shape = tuple(min(pair) for pair in zip(sides, parts, strict=True))
    labels = np.random.default_rng(seed).choice([-7, 0, 2, 100], (2, *sides)).astype(dtype)
    classes = np.unique(labels)
    shares = pb.resize(one_hot(labels, classes), shape, interpolation="area", channel_axis=1, dtype=np.float64)
    wanted = classes[shares.argmax(1)]
    for image in (labels, torch.tensor(labels)):
        found = pb.resize(image, shape, interpolation="label", channel_axis=0)
        assert found.dtype == image.dtype
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("border", [None, "edge", "reflect", "wrap", "constant"])
def test_labels_that_grow_are_those_that_sampling_gives(border):
    """At places where no two sums are equal."""
    labels = RANDOM.integers(0, 5, (11, 13))
    shape = (37, 41)
    axes = [(np.arange(n) + 0.5) * side / n - 0.5 for n, side in zip(shape, labels.shape, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    wanted = pb.sample(labels, points, interpolation="label", border=border or "edge", fill=9)
    found = pb.resize(labels, shape, interpolation="label", border=border, fill=9)
    assert (found == wanted).mean() > 0.995
    plain = pb.resize(labels, (3, 4), interpolation="label", antialias=False)
    assert plain.shape == (3, 4)


def test_any_number_of_labels():
    """As many as there are pixels, of 64 bits, in a picture that is looked at in parts."""
    labels = RANDOM.permutation(np.arange(2**62, 2**62 + 600 * 700)).reshape(600, 700)
    found = pb.resize(np.repeat(labels, 3, 0), (600, 700), interpolation="label")
    np.testing.assert_array_equal(found, labels)
    assert pb.resize(labels, (1, 1), interpolation="label") == labels.min()


def test_labels_have_no_gradient_and_keep_their_dtype():
    found = pb.resize(torch.tensor([[True, False, True]]), (1, 1), interpolation="label")
    assert found.tolist() == [[True]]
    assert not found.requires_grad
    half = pb.resize(np.array([[3, 3, 1], [1, 1, 3]], np.uint16), (1, 1), interpolation="label")
    assert half.tolist() == [[1]]
    assert half.dtype == np.uint16


# Borders


@pytest.mark.parametrize("border", ["constant", "edge", "reflect", "symmetric", "wrap", ("edge", "wrap")], ids=str)
@pytest.mark.parametrize("name", ["nearest", *MIXING, *SPLINES])
@every_shape
def test_beyond_the_image_the_border_rule_holds(name, shape, border):
    """Without antialiasing, as sampling has it, everywhere."""
    image = RANDOM.standard_normal((2, 37, 53))
    axes = [(np.arange(n) + 0.5) * side / n - 0.5 for n, side in zip(shape, image.shape[1:], strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    options = {"interpolation": name, "border": border, "fill": (5, -3)}
    wanted = pb.sample(image, points, **options)
    np.testing.assert_allclose(pb.resize(image, shape, antialias=False, **options), wanted, rtol=0, atol=1e-11)


@pytest.mark.parametrize("border", ["edge", "reflect", "symmetric", "wrap", "constant"])
@pytest.mark.parametrize("name", ["linear", "lanczos3", "bspline3", "area"])
@pytest.mark.parametrize("shape", [(3, 2), (20, 60), (1, 1)], ids=str)
def test_a_border_is_the_image_made_larger(name, shape, border):
    """What shrinks reads far beyond its sides."""
    image = RANDOM.standard_normal((37, 53))
    pads = tuple(4 * side for side in image.shape)
    how = {"constant_values": 2.0} if border == "constant" else {}
    padded = np.pad(image, [(pad, pad) for pad in pads], mode=border, **how)
    wanted = pb.resize(padded, tuple(9 * n for n in shape), interpolation=name)
    inner = tuple(slice(4 * n, 5 * n) for n in shape)
    found = pb.resize(image, shape, interpolation=name, border=border, fill=2)
    np.testing.assert_allclose(found, wanted[inner], rtol=0, atol=1e-11)


def test_a_fill_of_ones_own_for_each_channel():
    image = np.zeros((2, 4))
    found = pb.resize(image, (8,), border="constant", fill=(1, -1))
    assert found[:, 0].tolist() == [0.25, -0.25]
    assert found[:, 1:-1].any() == False  # noqa: E712
    assert np.isnan(pb.resize(image, (8,), border="constant", fill=np.nan)).sum() == 4
    turned = pb.resize(image.astype(np.complex64), (8,), border="constant", fill=1j)
    assert turned[0, 0] == 0.25j
    whole = pb.resize(image.astype(np.uint8), (8,), border="constant", fill=-1000, dtype=np.int16)
    assert whole[0, 0] == -250


# Where results go


@pytest.mark.parametrize("interpolation", ["nearest", "linear", "lanczos3", "area", "spline3"])
@pytest.mark.parametrize("shape", [(8, 9), (5, 12)], ids=str)
def test_results_are_written_where_they_are_wanted(interpolation, shape):
    image = RANDOM.standard_normal((3, 8, 9))
    wanted = pb.resize(image, shape, interpolation=interpolation)
    out = np.full((*shape, 3), np.nan)
    view = np.moveaxis(out, -1, 0)
    assert pb.resize(image, shape, interpolation=interpolation, out=view) is view
    np.testing.assert_array_equal(view, wanted)
    memory = np.zeros(2000)
    source, target = memory[: image.size].reshape(image.shape), memory[10 : 10 + wanted.size].reshape(wanted.shape)
    source[...] = image
    pb.resize(source, shape, interpolation=interpolation, out=target)
    np.testing.assert_array_equal(target, wanted)
    whole = np.empty(wanted.shape, np.uint8)
    pb.resize(100 * abs(image), shape, interpolation=interpolation, out=whole)
    np.testing.assert_array_equal(
        whole, pb.resize(100 * abs(image), shape, interpolation=interpolation, dtype=np.uint8)
    )


def test_a_result_has_memory_of_its_own():
    image = RANDOM.standard_normal((8, 9))
    for interpolation in ("nearest", "linear", "area", "cubic"):
        assert not np.shares_memory(pb.resize(image, (8, 9), interpolation=interpolation), image)
    labels = np.arange(72).reshape(8, 9)
    assert not np.shares_memory(pb.resize(labels, (8, 9), interpolation="label"), labels)


# Memory


def peak_of(function):
    tracemalloc.start()
    try:
        result = function()
        return tracemalloc.get_traced_memory()[1], result
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("n_out", [333_000, 333_001], ids=["few phases", "no phase twice"])
@pytest.mark.parametrize("name", ["lanczos3", "area"])
def test_a_long_axis_takes_little_more_than_its_table(name, n_out):
    n_out = n_out if name == "lanczos3" else 2 * n_out + 1
    code = {"area": AREA}.get(name) or INTERPOLATIONS[name]
    pb.clear_caches()
    peak, table = peak_of(lambda: axis_table(1_000_000, n_out, code, 0.0, None, True, False))
    assert peak < 3 * (table.weight.nbytes + table.first.nbytes) + 2**24
    assert _cache._memory.bytes < 2**24


@pytest.mark.parametrize("border", [None, *BORDERS.values()])
def test_tables_that_calls_share_cannot_be_changed(border):
    for code in (AREA, INTERPOLATIONS["nearest"], INTERPOLATIONS["cubic"]):
        table = axis_table(9, 4, code, -0.5, border, True, False)
        assert not any(array.flags.writeable for array in table if isinstance(array, np.ndarray))


def test_many_sizes_leave_little_behind():
    pb.clear_caches()
    tracemalloc.start()
    try:
        for k in range(12):
            pb.resize(np.zeros((1, 20_000 + k), np.float32), (1, 300_000 + k))
        left, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert left <= _cache.MOST_BYTES + 2**20
    assert peak <= _cache.MOST_BYTES + 2**26


def test_votes_are_counted_in_parts():
    labels = RANDOM.integers(0, 200, (1500, 1500)).astype(np.uint8)
    pb.clear_caches()
    peak, _ = peak_of(lambda: pb.resize(labels, (500, 500), interpolation="label"))
    assert peak < 100 * 2**20  # some arrays of 2^20 numbers of 64 bits, whatever the size of the image
