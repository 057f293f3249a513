"""pullback.compat.cv2 has the arguments of OpenCV, its numbers where it is exact, and the true ones where it is not."""

import inspect
import subprocess
import sys

import numpy as np
import pytest
from covering import covered
from opencv import DTYPES, flag, noise

from pullback import _reference
from pullback._plan import LATTICES, Cubic, Lattice, frame_of, make_plan
from pullback.compat import cv2 as compat

INTERPOLATIONS = {"NEAREST": "nearest", "LINEAR": "linear", "CUBIC": Cubic(-0.75), "LANCZOS4": "lanczos4"}
BORDERS = {
    "CONSTANT": "constant",
    "REPLICATE": "edge",
    "REFLECT": "symmetric",
    "REFLECT_101": "reflect",
    "WRAP": "wrap",
}
SHAPE = (37, 46)
OUTPUT = (29, 33)

in_every_interpolation = pytest.mark.parametrize("interpolation", INTERPOLATIONS)
in_every_border = pytest.mark.parametrize("border", BORDERS)
in_every_dtype = pytest.mark.parametrize("dtype", DTYPES)
CHANNELS = [0, 1, 2, 3, 4, 6]


@pytest.fixture
def opencv():
    return pytest.importorskip("cv2")


def image_of(dtype, channels=3, seed=0):
    return noise(dtype, SHAPE, channels, seed)


def border_mode(name):
    return getattr(compat, f"BORDER_{name}")


def random_map(step=None, seed=1):
    """x and y in and around the image, float32, at multiples of `step` if there is one."""
    random = np.random.default_rng(seed)
    x, y = (random.uniform(-0.7 * n, 1.7 * n, OUTPUT) for n in SHAPE[::-1])
    if step:
        x, y = np.rint(x / step) * step, np.rint(y / step) * step
    return x.astype(np.float32), y.astype(np.float32)


MATRIX = np.array([[0.8311, 0.4137, -7.317], [-0.3719, 0.9123, 9.713]])
PROJECTIVE = np.vstack([MATRIX, [0.0031, 0.0017, 0.9313]])


def points_through(matrix):
    """Return where the points of an output are read, x and y, through a matrix from the output to the image."""
    y, x = np.indices(OUTPUT, np.float64)
    position = np.einsum("ij,j...->i...", matrix, np.stack([x, y, np.ones(OUTPUT)]))
    return position[:2] / position[2] if len(matrix) == 3 else position


def reference(image, x, y, interpolation, border, fill=0.0):
    """Return the values in float64."""
    channels = np.moveaxis(np.atleast_3d(image).astype(np.float64), -1, 0)[None]
    fills = tuple(np.resize(np.asarray(fill, np.float64), channels.shape[1]).tolist())
    plan = make_plan((INTERPOLATIONS[interpolation],) * 2, (BORDERS[border],) * 2, "blend", fills)
    frame = frame_of("index", channels.shape[2:])
    coords = np.stack([y, x], -1).astype(np.float64)
    lattice = Lattice(LATTICES["given"], coords.shape[:-1], frame, frame)
    values = np.moveaxis(_reference.pull(channels, coords[None], lattice, plan)[0], 0, -1)
    return values if image.ndim == 3 else values[..., 0]


def assert_true(found, truth, source):
    """Compare with float64 values: integers are the nearest ones, but for the rounding of sums in float32."""
    assert found.dtype == source.dtype
    if source.dtype.kind in "iu":
        limits = np.iinfo(source.dtype)
        within = 0.5 + 2e-6 * (limits.max - limits.min)
        assert np.abs(found - np.clip(truth, limits.min, limits.max)).max() <= within
    else:
        # The slopes of this noise reach 255 a pixel, and positions have 1e-6 of a pixel in float32.
        tolerance = 5e-4 if source.dtype == np.float32 else 1e-9
        np.testing.assert_allclose(found, truth, rtol=0, atol=tolerance)


@covered(interpolation=list(INTERPOLATIONS), border=list(BORDERS), dtype=DTYPES, strength=2)
def test_remap_is_true(interpolation, border, dtype, seed):
    image, (x, y) = image_of(dtype, seed=seed), random_map(seed=seed)
    found = compat.remap(image, x, y, flag(interpolation), borderMode=border_mode(border))
    assert_true(found, reference(image, x, y, interpolation, border), image)


@covered(
    function=["warpAffine", "warpPerspective"],
    interpolation=list(INTERPOLATIONS),
    border=list(BORDERS),
    dtype=DTYPES,
    strength=2,
)
def test_warps_are_true(function, interpolation, border, dtype, seed):
    image, matrix = image_of(dtype, seed=seed), MATRIX if function == "warpAffine" else PROJECTIVE
    flags = flag(interpolation) | compat.WARP_INVERSE_MAP
    found = getattr(compat, function)(image, matrix, OUTPUT[::-1], flags=flags, borderMode=border_mode(border))
    assert_true(found, reference(image, *points_through(matrix), interpolation, border), image)


@in_every_interpolation
@in_every_border
def test_remap_agrees_where_opencv_is_exact(opencv, interpolation, border):
    """OpenCV rounds some positions to 1/32 of a pixel, so these are exact in it, and its tables are of float32."""
    image, maps = image_of("float32"), random_map(step=1 / 32)
    options = {"borderMode": border_mode(border), "borderValue": (10, 20, 30)}
    wanted = opencv.remap(image, *maps, flag(interpolation), **options)
    np.testing.assert_allclose(compat.remap(image, *maps, flag(interpolation), **options), wanted, rtol=0, atol=5e-4)


def opencv_has(interpolation, channels, dtype, **_):
    """Whether it interpolates so many channels, and keeps the fractions of samples."""
    return (channels <= 4 or interpolation not in ("CUBIC", "LANCZOS4")) and (dtype, interpolation) != (
        "float64",
        "CUBIC",
    )


@covered(
    interpolation=list(INTERPOLATIONS),
    border=list(BORDERS),
    channels=CHANNELS,
    dtype=DTYPES,
    allowed=opencv_has,
    strength=2,
)
def test_warp_affine_agrees_where_opencv_is_exact(opencv, interpolation, border, channels, dtype, seed):
    image = image_of(dtype, channels, seed)
    # Every position of this map is a multiple of 1/32, and none is half-way between two samples.
    matrix = np.array([[0.75, 0.25, -6.03125], [-0.25, 0.75, 9.09375]])
    flags = flag(interpolation) | compat.WARP_INVERSE_MAP
    arguments = image, matrix, (25, 41), None, flags, border_mode(border), (10, 20, 30, 40)
    wanted, found = opencv.warpAffine(*arguments), compat.warpAffine(*arguments)
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    # Integers may be rounded to another side, and those of OpenCV's uint8 come of weights of 15 bits.
    tolerance = 1 if image.dtype.kind in "iu" else 5e-4
    np.testing.assert_allclose(found.astype(float), wanted.astype(float), rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("function", ["remap", "warpAffine", "warpPerspective"])
@pytest.mark.parametrize("border", ["CONSTANT", "REPLICATE"])
def test_linear_is_within_one_grey_level_of_opencv(opencv, function, border, dtype):
    """Of these dtypes, OpenCV does not round positions."""
    y, x = np.indices(SHAPE) / 40
    image = (127 + 100 * np.sin(3 * x) * np.cos(2 * y + x)).astype(dtype)
    arguments = {
        "remap": (*random_map(), compat.INTER_LINEAR),
        "warpAffine": (MATRIX, OUTPUT[::-1]),
        "warpPerspective": (PROJECTIVE, OUTPUT[::-1]),
    }[function]
    options = {"borderMode": border_mode(border), "borderValue": 127}
    wanted = getattr(opencv, function)(image, *arguments, **options).astype(float)
    np.testing.assert_allclose(getattr(compat, function)(image, *arguments, **options), wanted, rtol=0, atol=1)


@in_every_interpolation
@pytest.mark.parametrize("function", ["warpAffine", "warpPerspective"])
def test_matrices_map_the_image_to_the_output_unless_inverse(function, interpolation):
    warp, matrix = getattr(compat, function), MATRIX if function == "warpAffine" else PROJECTIVE
    square = np.vstack([matrix, [0, 0, 1]]) if function == "warpAffine" else matrix
    inverse = np.linalg.inv(square)[: len(matrix)]
    image = image_of("float64")
    forward = warp(image, inverse, OUTPUT[::-1], flags=flag(interpolation))
    backward = warp(image, matrix, OUTPUT[::-1], flags=flag(interpolation) | compat.WARP_INVERSE_MAP)
    np.testing.assert_allclose(forward, backward, rtol=0, atol=1e-8)


def test_a_projective_map_that_is_affine_is_read_like_one():
    image = image_of("float32")
    square = 3 * np.vstack([MATRIX, [0, 0, 1]])
    np.testing.assert_array_equal(
        compat.warpPerspective(image, square, OUTPUT[::-1], flags=compat.WARP_INVERSE_MAP | compat.INTER_CUBIC),
        compat.warpAffine(image, MATRIX, OUTPUT[::-1], flags=compat.WARP_INVERSE_MAP | compat.INTER_CUBIC),
    )


@pytest.mark.parametrize("matrix", [np.zeros((2, 3)), [[1.0, 1.0, 2.0], [1.0, 1.0, 3.0]]], ids=["zero", "rank-1"])
def test_singular_affine_matrices(opencv, matrix):
    image = image_of("float32")
    arguments = image, np.asarray(matrix), (4, 3)
    np.testing.assert_array_equal(compat.warpAffine(*arguments), opencv.warpAffine(*arguments))


def test_points_at_infinity_get_the_border_value(opencv):
    image = image_of("float32", channels=0)
    # On the column x = 1, the denominator is 0.
    matrix = np.array([[1, 0, 1.0], [0, 1, 1], [1, 0, -1]])
    arguments = image, matrix, (4, 3), None, compat.INTER_LINEAR | compat.WARP_INVERSE_MAP, 0, -7.0
    found = compat.warpPerspective(*arguments)
    np.testing.assert_array_equal(found[:, 1], [-7.0] * 3)
    np.testing.assert_allclose(found, opencv.warpPerspective(*arguments), rtol=0, atol=5e-4)


def test_a_singular_projective_matrix_gives_the_border_value(opencv):
    arguments = image_of("float32", channels=0), np.zeros((3, 3)), (4, 3)
    np.testing.assert_array_equal(compat.warpPerspective(*arguments), opencv.warpPerspective(*arguments))


# ---- Maps


@pytest.fixture
def small_blocks(monkeypatch):
    """Several blocks of rows, the last one shorter."""
    monkeypatch.setattr("pullback.compat.cv2.output._BLOCK", 5 * OUTPUT[1])


@in_every_interpolation
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.usefixtures("small_blocks")
def test_interleaved_maps_are_two_maps(interpolation, dtype):
    image, (x, y) = image_of("float32"), random_map()
    x, y = x.astype(dtype), y.astype(dtype)
    two = compat.remap(image, x, y, flag(interpolation))
    for second in (None, np.empty(0)):
        pairs = compat.remap(image, np.stack([x, y], -1), second, flag(interpolation))
        np.testing.assert_allclose(pairs, two, rtol=0, atol=1e-4)  # rows of another length, sums in another order


def test_interleaved_maps_are_not_copied(monkeypatch):
    pairs = np.stack(random_map(), -1)
    seen = []
    monkeypatch.setattr("pullback.compat.cv2.output.sample", lambda image, points, **_: seen.append(points))
    compat.remap(image_of("float32"), pairs, None, compat.INTER_LINEAR)
    assert len(seen) == 1
    assert np.shares_memory(seen[0], pairs)


@pytest.mark.parametrize("interpolation", ["LINEAR", "CUBIC", "LANCZOS4"])
@pytest.mark.parametrize("order", ["as made", "swapped"])
@pytest.mark.usefixtures("small_blocks")
def test_fixed_point_maps_have_fractions_of_1_32(opencv, interpolation, order):
    image, (x, y) = image_of("float32"), random_map(step=1 / 32)
    whole, fraction = opencv.convertMaps(x, y, opencv.CV_16SC2)
    found = compat.remap(image, *((whole, fraction) if order == "as made" else (fraction, whole)), flag(interpolation))
    np.testing.assert_array_equal(found, compat.remap(image, x, y, flag(interpolation)))
    wanted = opencv.remap(image, whole, fraction, flag(interpolation))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=5e-4)


def test_fixed_point_maps_of_whole_numbers(opencv):
    image, (x, y) = image_of("float32"), random_map()
    whole, _ = opencv.convertMaps(x, y, opencv.CV_16SC2, nninterpolation=True)
    wanted = opencv.remap(image, whole, None, opencv.INTER_NEAREST)
    np.testing.assert_array_equal(compat.remap(image, whole, None, compat.INTER_NEAREST), wanted)
    np.testing.assert_array_equal(compat.remap(image, whole, None, compat.INTER_LINEAR), wanted)


@pytest.mark.parametrize("interpolation", ["NEAREST", "LINEAR", "CUBIC"])
@pytest.mark.parametrize("form", ["two", "pairs", "fixed"])
@pytest.mark.usefixtures("small_blocks")
def test_relative_maps(opencv, interpolation, form):
    if (interpolation, form) == ("NEAREST", "fixed"):
        pytest.skip("OpenCV takes fractions of fixed-point maps to other samples than the nearest")
    random = np.random.default_rng(2)
    x, y = (np.rint(random.uniform(-9, 9, OUTPUT) * 32).astype(np.float32) / 32 for _ in range(2))
    maps = {
        "two": (x, y),
        "pairs": (np.stack([x, y], -1), None),
        "fixed": opencv.convertMaps(x, y, opencv.CV_16SC2),
    }[form]
    image, flags = image_of("float32"), flag(interpolation) | compat.WARP_RELATIVE_MAP
    np.testing.assert_allclose(compat.remap(image, *maps, flags), opencv.remap(image, *maps, flags), rtol=0, atol=5e-4)


def test_the_nearest_of_two_samples_is_the_even_one(opencv):
    image = image_of("uint8")
    x, y = np.meshgrid(np.arange(-1.5, 48, 0.5, np.float32), np.arange(-1.5, 40, 0.5, np.float32))
    wanted = opencv.remap(image, x, y, opencv.INTER_NEAREST, borderMode=opencv.BORDER_REPLICATE)
    for maps in ((x, y), (np.dstack([x, y]), None)):
        found = compat.remap(image, *maps, compat.INTER_NEAREST, borderMode=compat.BORDER_REPLICATE)
        np.testing.assert_array_equal(found, wanted)


@in_every_interpolation
@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30], ids=str)
def test_positions_that_are_no_numbers_get_the_border_value(interpolation, bad):
    x, y = random_map()
    x[3, 4] = bad
    found = compat.remap(image_of("uint8", 0), x, y, flag(interpolation), borderValue=9)
    assert found[3, 4] == 9


# ---- Borders


@covered(
    interpolation=list(INTERPOLATIONS),
    dtype=["uint8", "uint16", "float32"],
    channels=CHANNELS,
    strength=2,
    # OpenCV does not have these on more than four channels, and has another rule for two.
    allowed=lambda interpolation, channels, **_: (
        (channels not in (2, 6) or interpolation != "LINEAR") and (channels != 6 or interpolation == "NEAREST")
    ),
)
def test_transparent_borders_of_maps(opencv, interpolation, dtype, channels):
    image, maps = image_of(dtype, channels), random_map(step=1 / 32)
    below = image_of(dtype, channels, seed=5)[: OUTPUT[0], : OUTPUT[1]].copy()
    if interpolation == "CUBIC":
        below[...] = 77  # OpenCV 5.0 leaves behind a pixel of another place
    results = []
    for library in (opencv, compat):
        dst = below.copy()
        found = library.remap(image, *maps, flag(interpolation), dst, compat.BORDER_TRANSPARENT)
        assert np.shares_memory(found, dst)
        results.append(found.astype(float))
    tolerance = 1 if np.dtype(dtype).kind == "u" else 1e-3
    np.testing.assert_allclose(results[1].squeeze(), results[0].squeeze(), rtol=0, atol=tolerance)


@in_every_interpolation
@in_every_dtype
@pytest.mark.parametrize("function", ["warpAffine", "warpPerspective"])
def test_transparent_borders_of_warps(function, interpolation, dtype):
    """Inside, the values of any border; outside, what was there; between them, both, or a mirror image."""
    image, matrix = image_of(dtype), MATRIX if function == "warpAffine" else PROJECTIVE
    below = image_of(dtype, seed=5)[: OUTPUT[0], : OUTPUT[1]].copy()
    dst, flags = below.copy(), flag(interpolation) | compat.WARP_INVERSE_MAP
    found = getattr(compat, function)(image, matrix, OUTPUT[::-1], dst, flags, compat.BORDER_TRANSPARENT)
    assert found is dst
    x, y = points_through(matrix)
    ones = np.ones(SHAPE)
    share = reference(ones, x, y, interpolation, "CONSTANT")[..., None]
    truth = reference(image, x, y, interpolation, "CONSTANT") + (1 - share) * below
    if interpolation == "LANCZOS4":
        is_inside = (np.floor(x) >= 0) & (np.floor(x) < SHAPE[1]) & (np.floor(y) >= 0) & (np.floor(y) < SHAPE[0])
        truth = np.where(is_inside[..., None], reference(image, x, y, interpolation, "REFLECT_101"), below)
    assert_true(found, truth, image)


def test_transparent_borders_keep_no_trace_of_what_was_there():
    dst = np.full((*SHAPE, 3), np.nan)
    shift = np.array([[1, 0, 0.25], [0, 1, 0.25]])
    found = compat.warpAffine(
        image_of("float64"), shift, SHAPE[::-1], dst, compat.INTER_CUBIC, compat.BORDER_TRANSPARENT
    )
    assert np.isfinite(found[3:-3, 3:-3]).all()


@covered(
    value=[5, 7.5, (5,), (5, 6), (5, 6, 7, 8), [300, -4, 2.5, 3.5], np.array([1, 2, 3, 4.0]), None],
    channels=CHANNELS,
    dtype=DTYPES,
    strength=2,
)
def test_border_values(opencv, value, channels, dtype):
    image = image_of(dtype, channels)
    arguments = image, np.array([[1.0, 0, 20], [0, 1, 0]]), (20, 4)
    wanted = opencv.warpAffine(*arguments, borderValue=value)
    np.testing.assert_array_equal(compat.warpAffine(*arguments, borderValue=value), wanted)


# ---- Arguments


@pytest.mark.parametrize("function", ["remap", "warpAffine", "warpPerspective"])
def test_arguments_have_the_names_and_the_order_of_opencv(opencv, function):
    written = getattr(opencv, function).__doc__.split("(", 1)[1].split(")", 1)[0]
    names = written.replace("[", "").replace("]", "").split(", ")
    assert list(inspect.signature(getattr(compat, function)).parameters) == names


@pytest.mark.parametrize("name", [name for name in compat.__all__ if name.isupper() or "101" in name])
def test_constants_are_those_of_opencv(opencv, name):
    assert getattr(compat, name) == getattr(opencv, name)


def test_opencv_is_not_imported():
    code = "import sys, pullback.compat.cv2; sys.exit('cv2' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize("interpolation", ["AREA", "LINEAR_EXACT", "NEAREST_EXACT"])
def test_other_names_of_interpolations(interpolation):
    image, maps = image_of("uint8"), random_map()
    same = compat.INTER_NEAREST if interpolation == "NEAREST_EXACT" else compat.INTER_LINEAR
    np.testing.assert_array_equal(compat.remap(image, *maps, flag(interpolation)), compat.remap(image, *maps, same))


@pytest.mark.parametrize("dsize", [None, (0, 0), (5, 0), (-3, 4)], ids=str)
def test_the_size_of_the_output_is_that_of_the_image_if_it_is_left_out(opencv, dsize):
    arguments = image_of("uint8"), MATRIX, dsize
    assert compat.warpAffine(*arguments).shape == opencv.warpAffine(*arguments).shape == (*SHAPE, 3)


@pytest.mark.parametrize("channels", [0, 1, 3])
@pytest.mark.parametrize("layout", ["fits", "one channel", "every other column", "wrong shape", "wrong dtype"])
def test_dst_is_written_to_where_it_fits(channels, layout):
    image = image_of("uint8", channels)
    plain = compat.warpAffine(image, MATRIX, OUTPUT[::-1])
    fits = layout in ("fits", "every other column") or (layout == "one channel" and channels < 2)
    dst = {
        "fits": np.empty_like(plain),
        "one channel": np.empty((*OUTPUT, 1), np.uint8),
        "every other column": np.repeat(plain, 2, axis=1)[:, ::2],
        "wrong shape": np.empty((3, *plain.shape[1:]), np.uint8),
        "wrong dtype": np.empty(plain.shape, np.int16),
    }[layout]
    dst[...] = 77
    found = compat.warpAffine(image, MATRIX, OUTPUT[::-1], dst)
    assert (found is dst) == fits
    assert fits or (dst == 77).all()
    np.testing.assert_array_equal(found.reshape(plain.shape), plain)


@in_every_interpolation
def test_an_image_may_be_its_own_output(interpolation):
    image, maps = image_of("uint8"), [part[:20, :20] for part in random_map()]
    wanted = compat.remap(image, *maps, flag(interpolation))
    found = compat.remap(image, *maps, flag(interpolation), dst=image[:20, :20])
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(image[:20, :20], wanted)


IMAGE, MAPS = image_of("uint8"), random_map()
WRONG = {
    "image of one axis": (compat.remap, (IMAGE[0, :, 0], *MAPS, 1), "src"),
    "image without samples": (compat.warpAffine, (IMAGE[:0], MATRIX, (3, 3)), "src"),
    "interpolation of 7": (compat.remap, (IMAGE, *MAPS, compat.INTER_MAX), "interpolation"),
    "inverse map": (compat.remap, (IMAGE, *MAPS, 1 | compat.WARP_INVERSE_MAP), "interpolation"),
    "flags of 7": (compat.warpAffine, (IMAGE, MATRIX, (3, 3), None, 7), "flags"),
    "border of 6": (compat.remap, (IMAGE, *MAPS, 1, None, 6), "borderMode"),
    "five border values": (compat.remap, (IMAGE, *MAPS, 1, None, 0, (1, 2, 3, 4, 5)), "borderValue"),
    "maps of two shapes": (compat.remap, (IMAGE, MAPS[0], MAPS[1][1:], 1), "map2"),
    "maps of one axis": (compat.remap, (IMAGE, MAPS[0][0], MAPS[1][0], 1), "map1"),
    "one map": (compat.remap, (IMAGE, MAPS[0], None, 1), "map2"),
    "integers": (compat.remap, (IMAGE, MAPS[0].astype(int), MAPS[1].astype(int), 1), "map1"),
    "pairs and more": (compat.remap, (IMAGE, np.dstack(MAPS), MAPS[0], 1), "map2"),
    "affine matrix of 3 rows": (compat.warpAffine, (IMAGE, PROJECTIVE, (3, 3)), "M"),
    "projective matrix of 2 rows": (compat.warpPerspective, (IMAGE, MATRIX, (3, 3)), "M"),
    "complex matrix": (compat.warpAffine, (IMAGE, MATRIX * 1j, (3, 3)), "M"),
    "size of floats": (compat.warpAffine, (IMAGE, MATRIX, (3.0, 3)), "dsize"),
    "size of three": (compat.warpAffine, (IMAGE, MATRIX, (3, 3, 3)), "dsize"),
}


@pytest.mark.parametrize(("function", "arguments", "argument"), WRONG.values(), ids=WRONG.keys())
def test_errors_name_the_function_and_the_argument(function, arguments, argument):
    with pytest.raises((ValueError, TypeError), match=f"^{function.__name__}: .*`{argument}`"):
        function(*arguments)


@in_every_dtype
@pytest.mark.parametrize(
    "matrix", [[[1, 0, 0.5], [0, 1, -1.5]], [[2, 0, 0.5], [0, 2, 0.5]], [[0, 1, 0.5], [-1, 0, 18.5]]]
)
@pytest.mark.parametrize("function", ["warpAffine", "warpPerspective"])
def test_halves_through_matrices(opencv, function, matrix, dtype):
    """Halving an image puts every point half-way between samples; the one that is read is OpenCV's, bit for bit."""
    image, matrix = image_of(dtype), np.array([*matrix, [0, 0, 1]], np.float64)
    given = matrix if function == "warpPerspective" else matrix[:2]
    arguments = (
        image,
        given,
        OUTPUT[::-1],
        None,
        compat.INTER_NEAREST | compat.WARP_INVERSE_MAP,
        compat.BORDER_REFLECT_101,
    )
    ours, theirs = (getattr(library, function)(*arguments) for library in (compat, opencv))
    np.testing.assert_array_equal(ours, theirs)


def test_a_flag_in_the_place_of_dst_is_refused():
    with pytest.raises(TypeError, match=r"warpAffine: `dst` is 0; give an array or None, .* flags=\.\.\."):
        compat.warpAffine(np.ones((4, 5)), np.eye(2, 3), (5, 4), compat.INTER_NEAREST)
    with pytest.raises(TypeError, match=r"remap: `dst` is 1; .* interpolation=\.\.\."):
        compat.remap(np.ones((4, 5)), np.zeros((2, 2), "f4"), np.zeros((2, 2), "f4"), 0, 1)


def test_border_values_of_many_channels():
    image = np.zeros((4, 5, 10), np.float32)
    away = np.float64([[1, 0, 50], [0, 1, 0]])
    each = np.arange(10.0)
    np.testing.assert_array_equal(compat.warpAffine(image, away, (5, 4), borderValue=each)[0, 0], each)
    assert np.isnan(compat.warpAffine(image[..., :5], away, (5, 4), borderValue=(np.nan,) * 5)).all()
    with pytest.warns(UserWarning, match="3 entries for 10 channels") as seen:
        filled = compat.warpAffine(image, away, (5, 4), borderValue=(114, 114, 114))
    assert seen[0].filename == __file__
    assert filled[0, 0].tolist() == [114, 114, 114, 0, 114, 114, 114, 0, 114, 114]
    with pytest.raises(ValueError, match="5 entries for 10 channels"):
        compat.warpAffine(image, away, (5, 4), borderValue=(0,) * 5)


@pytest.mark.parametrize("dtype", [">f4", ">u2", ">f8", "<f4"])
def test_byte_orders(dtype):
    image = np.arange(12).reshape(3, 4).astype(dtype)
    plain = image.astype(image.dtype.newbyteorder("="))
    shift = np.float64([[1, 0, 0.5], [0, 1, 0]])
    np.testing.assert_array_equal(compat.warpAffine(image, shift, (4, 3)), compat.warpAffine(plain, shift, (4, 3)))
    swapped = compat.warpAffine(plain, shift, (4, 3), np.zeros((3, 4), dtype))
    np.testing.assert_array_equal(swapped, compat.warpAffine(plain, shift, (4, 3)))


def test_masked_arrays_are_refused():
    with pytest.raises(TypeError, match="`src` is a masked array"):
        compat.warpAffine(np.ma.ones((3, 4)), np.eye(2, 3), (4, 3))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_matrices_that_are_not_finite_give_the_border_value(dtype, value):
    image = np.ones((3, 4), dtype)
    for place in ((0, 0), (0, 2), (1, 1)):
        matrix = np.eye(3)
        matrix[place] = value
        for flags in (compat.INTER_LINEAR, compat.INTER_NEAREST | compat.WARP_INVERSE_MAP):
            assert (compat.warpAffine(image, matrix[:2], (4, 3), flags=flags, borderValue=7) == 7).all()
    assert (compat.warpPerspective(image, np.full((3, 3), value), (4, 3), borderValue=7) == 7).all()
