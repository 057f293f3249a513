"""Resizing: pixel areas, stretched kernels, one axis at a time; as torch and Pillow do it."""

import numpy as np
import pytest
from covering import covered
from hypothesis import given, settings
from hypothesis import strategies as st

import pullback as pb
from pullback._plan import INTERPOLATIONS
from pullback.sampling.resizing import axis_table

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
    first, weight = axis_table(
        n_in, n_out, INTERPOLATIONS[name], -0.5 if name == "cubic" else 0.0, antialias=True, mirrored=False
    )
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
    first, weight = axis_table(n_in, n_out, code, -0.5, antialias=antialias, mirrored=is_spline)
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
