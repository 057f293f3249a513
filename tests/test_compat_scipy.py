"""pullback.compat.scipy returns SciPy's numbers, dtypes, errors and warnings."""

import subprocess
import sys
import tracemalloc
import zlib

import numpy as np
import pytest
import scipy.ndimage
from covering import covered

import pullback as pb
from pullback.compat import scipy as compat

MODES = ("constant", "grid-constant", "nearest", "mirror", "reflect", "grid-mirror", "wrap", "grid-wrap")
INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")
DTYPES = ("bool", *INTEGERS, "float32", "float64", "complex64", "complex128")
# Not too short: SciPy starts the recursion of "reflect" with an error of |z| ** (2 n - 1), for n samples and a pole z
# of at most 0.43.
SHAPES = {1: (37,), 2: (17, 19), 3: (18, 17, 19)}


def generator(*words):
    """Return a generator whose seed is the name of the case."""
    return np.random.default_rng(zlib.crc32(repr(words).encode()))


def image_of(shape, dtype="float64", scale=40):
    random = generator(shape, dtype)
    if dtype == "bool":
        return random.random(shape) < 0.5
    values = scale * random.normal(size=shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * scale * random.normal(size=shape)
    return (np.abs(values) if np.dtype(dtype).kind == "u" else values).astype(dtype)


def tolerance(image, values):
    """Return how far sums may differ: by the rounding of some hundred terms, and that of the output."""
    largest = max(np.abs(image.astype(np.complex128)).max(), np.abs(values).max())
    return 64 * max(np.finfo(values.dtype).eps, 1e-13) * largest


def check(name, image, *arguments, **options):
    expected = getattr(scipy.ndimage, name)(image, *arguments, **options)
    got = getattr(compat, name)(image, *arguments, **options)
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    if got.dtype.kind in "fc":
        np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance(image, expected))
        return
    # A sum that rounding puts on either side of a half, or of an integer for bool, may be cast either way.
    options["output"] = np.float64
    theirs, ours = (getattr(module, name)(image, *arguments, **options) for module in (scipy.ndimage, compat))
    threshold = np.round(theirs) if got.dtype == bool else np.floor(theirs) + 0.5
    undecided = (np.abs(theirs - threshold) < 1e-9) & (theirs != ours)
    assert np.array_equal(got[~undecided], expected[~undecided])
    assert image.dtype == bool or undecided.mean() < 0.1


def points(shape, random, count=60):
    """Return points within and around an image, whole and half indices among them."""
    places = [random.uniform(-1.5 * n, 2.5 * n, count) for n in shape]
    halves = [random.integers(-2 * n, 4 * n, count) / 2 for n in shape]
    return np.concatenate([places, halves], axis=1)


@covered(order=range(6), mode=MODES, ndim=list(SHAPES), strength=2)
def test_map_coordinates(order, mode, ndim):
    image = image_of(SHAPES[ndim])
    coords = points(image.shape, generator(order, mode, ndim))
    check("map_coordinates", image, coords, order=order, mode=mode, cval=2.5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", range(6))
def test_affine_transform(order, mode):
    image = image_of(SHAPES[2])
    random = generator(order, mode)
    matrix = random.normal(size=(2, 2))
    check("affine_transform", image, matrix, (3.0, 5.5), (21, 13), order=order, mode=mode, cval=-1.0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", range(6))
def test_diagonal(order, mode):
    check("affine_transform", image_of(SHAPES[2]), (0.7, 1 / 3), (-1.4, 0.25), order=order, mode=mode, cval=-1.0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", range(6))
def test_shift(order, mode):
    check("shift", image_of(SHAPES[2]), (2.5, -3.2), order=order, mode=mode, cval=3.0)


@covered(order=range(6), mode=MODES, grid_mode=[False, True], strength=2)
@pytest.mark.filterwarnings("ignore:It is recommended")
def test_zoom(order, mode, grid_mode):
    check("zoom", image_of(SHAPES[2]), (1.7, 0.6), order=order, mode=mode, cval=3.0, grid_mode=grid_mode)


@covered(angle=[30, -90, 180, 17.3], order=[0, 1, 3], mode=MODES, strength=2)
def test_rotate(angle, order, mode):
    check("rotate", image_of(SHAPES[2]), angle, order=order, mode=mode, cval=3.0, reshape=angle != 30)


@pytest.mark.parametrize("shape", [(6, 17, 18), (17, 3, 18), (17, 18, 3), (2, 17, 3, 18)])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "complex64"])
def test_rotate_turns_planes(shape, dtype):
    axes = tuple(axis for axis, side in enumerate(shape) if side > 10)
    check("rotate", image_of(shape, dtype), 25.0, axes, order=3, mode="reflect")


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("mode", ["constant", "wrap"])
def test_geometric_transform(order, mode):
    def mapping(index, factor, bend):
        return factor * index[0] - 2.5, index[1] + bend * index[0] * index[1]

    options = {"order": order, "mode": mode, "extra_arguments": (1.5,), "extra_keywords": {"bend": 0.05}}
    check("geometric_transform", image_of(SHAPES[2]), mapping, (12, 11), **options)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", range(2, 6))
def test_spline_filter(order, mode):
    for ndim, shape in SHAPES.items():
        check("spline_filter", image_of(shape), order=order, mode=mode)
        check("spline_filter1d", image_of(shape), order=order, axis=ndim // 2, mode=mode)


@covered(dtype=DTYPES, mode=["constant", "grid-constant", "reflect"], order=[0, 1, 3], strength=2)
def test_dtypes(dtype, mode, order):
    image = image_of(SHAPES[2], dtype)
    cval = 2.5 if np.dtype(dtype).kind in "ub" else -2.5
    check("affine_transform", image, [[0.9, 0.2], [-0.3, 1.1]], (1.2, 0.7), order=order, mode=mode, cval=cval)
    check("shift", image, (0.5, 1.0), order=order, mode=mode, cval=cval)


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("output", [*DTYPES[:-2], int, np.dtype(">f8")], ids=str)
def test_output_dtype(output, order):
    if output == "bool":
        output = bool
    check("shift", image_of(SHAPES[2], "float32"), (0.37, -1.21), output=output, order=order, mode="mirror")


@pytest.mark.parametrize("dtype", ["float64", "uint8", ">f4", "complex64"])
def test_output_array(dtype):
    image = image_of(SHAPES[2], "complex128" if dtype == "complex64" else "float64")
    strided = np.full((17, 2, 19), 7, dtype)
    for name, arguments in (("shift", (1.5,)), ("rotate", (20.0,)), ("spline_filter", ())):
        expected, out = np.zeros((17, 19), dtype), strided[:, 1]
        options = {"reshape": False} if name == "rotate" else {}
        if dtype == "uint8" and name == "spline_filter":
            continue  # negative coefficients have no place in it
        getattr(scipy.ndimage, name)(image, *arguments, output=expected, **options)
        assert getattr(compat, name)(image, *arguments, output=out, **options) is out
        np.testing.assert_allclose(out, expected, rtol=0, atol=1e-4)
        assert (strided[:, 0] == 7).all()


def test_output_may_be_the_input():
    image = image_of(SHAPES[2])
    expected = compat.shift(image, 1.5, order=1)
    assert np.array_equal(compat.shift(image, 1.5, image, order=1), expected)


def test_halves_are_rounded_away_from_zero_and_integers_saturate():
    image = np.array([-300, -1.5, -0.5, 0.5, 1.5, 2.5, 254.5, 300])
    for dtype in ("uint8", "int8", "int16"):
        check("shift", image, 0, output=dtype, order=0, mode="nearest")
        check("shift", image, 0, output=dtype, order=1, mode="nearest")


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("mode", MODES)
def test_coefficients_are_read_without_the_filter(mode, order):
    check("zoom", image_of(SHAPES[2]), 1.4, order=order, mode=mode, prefilter=False)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", [0, 1, 3, 5])
def test_axes_of_one_sample(mode, order):
    check("map_coordinates", image_of((1, 17)), points((1, 17), generator(mode, order)), order=order, mode=mode)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float32", "float64", ">f8"])
def test_coordinates_of_any_dtype(dtype):
    coords = points((17, 19), generator(dtype)).clip(0, 16).astype(dtype)
    check("map_coordinates", image_of(SHAPES[2]), coords, order=3)


@pytest.mark.parametrize(("ndim", "shape"), [(1, (3, 4, 3)), (2, (9,)), (3, (4, 7))])
def test_matrix_that_is_not_square(ndim, shape):
    image = image_of(SHAPES[ndim])
    matrix = generator(shape).normal(size=(ndim, len(shape)))
    check("affine_transform", image, matrix, 5.0, shape, mode="mirror")


@pytest.mark.parametrize("rows", [2, 3])
def test_homogeneous_matrix(rows):
    matrix = np.array([[0.9, 0.1, 1.3], [-0.2, 1.1, 2.7], [0, 0, 1]])[:rows]
    check("affine_transform", image_of(SHAPES[2]), matrix)


@pytest.mark.parametrize("matrix", [np.eye(2), np.array([[0.6, 0.8], [-0.8, 0.6]])], ids=["identity", "turn"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_points_on_the_edge_of_the_image(matrix, dtype):
    """Rounding must not decide otherwise than in SciPy whether they are outside."""
    image = image_of((21, 21), dtype) + np.dtype(dtype).type(500)
    centre = np.array([10.0, 10.0])
    for offset in (centre - matrix @ centre, centre - matrix @ centre + 0.1 * matrix[0]):
        check("affine_transform", image, matrix, offset, (41, 41), order=1, cval=-1e6)
    for factor in (1.1, 3.3, 7):
        check("zoom", image, factor, order=1, cval=-1e6)


@pytest.mark.parametrize("name", ["shift", "zoom", "affine_transform", "map_coordinates"])
def test_four_axes(name):
    image = image_of((5, 4, 3, 6))
    argument = {"affine_transform": np.eye(4), "map_coordinates": points(image.shape, generator(name))}.get(name, 1.5)
    check(name, image, argument)


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("layout", ["big-endian", "unaligned", "reversed", "strided", "read-only"])
def test_samples_wherever_they_lie(layout, order):
    image = image_of(SHAPES[2], "float32")
    if layout == "big-endian":
        image = image.astype(">f4")
    elif layout == "unaligned":
        place = np.zeros(image.nbytes + 1, np.uint8)[1:].view(np.float32).reshape(image.shape)
        place[...] = image
        image = place
    elif layout == "read-only":
        image.flags.writeable = False
    else:
        image = image[::-1].T if layout == "reversed" else image[::2, 1::3]
    check("rotate", image, 17.0, order=order, mode="reflect")
    check("map_coordinates", image, points(image.shape, generator(layout)), order=order, output=np.float64)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_large_integers(dtype):
    """Mixed, they have the digits of float64, as in SciPy; copied, all of them."""
    top = np.iinfo(dtype).max
    image = np.array([top, top - 1, top // 2 + 1, 3, 2**53 + 1, 2**53 + 2], dtype)
    for output in (dtype, "float64"):
        options = {"order": 1, "mode": "nearest", "output": output}
        expected = scipy.ndimage.shift(image, 0.25, **options)
        if output == "float64":  # in C, what is too large for an integer may become any
            np.testing.assert_array_equal(compat.shift(image, 0.25, **options), expected)
        else:
            np.testing.assert_array_equal(compat.shift(image, 0.25, **options)[3:], expected[3:])
    np.testing.assert_array_equal(compat.shift(image, 1, order=0)[1:], image[:-1])


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_integers_of_64_bits_stop_at_the_largest(dtype):
    """C leaves open what a number too large for an integer becomes; here it is the largest there is."""
    top = np.iinfo(dtype).max
    image = np.array([0, 0, top, top, top, top, 0, 0], dtype)
    for order in (1, 3):
        found = compat.zoom(image, 3, order=order)
        assert found.max() == top
        assert (found[9:15] > top // 2).all()


@pytest.mark.parametrize("name", ["shift", "zoom", "affine_transform", "map_coordinates"])
@pytest.mark.parametrize("order", [0, 1])
def test_an_output_may_be_the_image_itself(name, order):
    n = 700  # some blocks of the output
    image = generator(name).random((n, n))
    arguments = {
        "shift": ((1.3, -2.1),),
        "zoom": (1.0,),
        "affine_transform": (np.array([[0.0, 1.0], [1.0, 0.1]]),),
        "map_coordinates": (np.indices((n, n))[::-1] * 0.9,),
    }[name]
    expected = getattr(compat, name)(image, *arguments, order=order)
    getattr(compat, name)(image, *arguments, order=order, output=image)
    np.testing.assert_array_equal(image, expected)


MEBIBYTE = 2**20


def peak_of(function, *arguments, **options):
    """Return the result, and the most memory that arrays took beside it, in bytes."""
    tracemalloc.start()
    try:
        result = function(*arguments, **options)
        return result, tracemalloc.get_traced_memory()[1] - result.nbytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("mode", ["constant", "wrap"])
@pytest.mark.parametrize("order", [0, 1])
def test_a_look_up_touches_what_it_reads(order, mode):
    _, peak = peak_of(compat.map_coordinates, np.zeros((8000, 8000), np.uint8), [[1.5], [2.5]], order=order, mode=mode)
    assert peak < MEBIBYTE


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", ">f4"])
@pytest.mark.parametrize("order", [0, 1, 3])
def test_no_wider_copy_of_the_image(dtype, order):
    """Above `order=1` there is one array of coefficients. What else there is does not grow with the image."""
    image = np.zeros((1500, 1500), dtype)
    allowed = 8 * MEBIBYTE + (8 * image.size if order > 1 else 0) + (image.nbytes if dtype == ">f4" else 0)
    calls = {
        "rotate": (20.0,),
        "zoom": (0.7,),
        "shift": (1.5,),
        "affine_transform": ([[0.9, 0.1], [-0.2, 1.1]],),
        "map_coordinates": (np.zeros((2, 900, 900), np.float32),),
    }
    for name, arguments in calls.items():
        _, peak = peak_of(getattr(compat, name), image, *arguments, order=order)
        assert peak < allowed, name
    _, peak = peak_of(compat.rotate, image, 20.0, order=order, mode="grid-wrap", output=np.uint8)
    assert peak < allowed


CALLS = {
    "order": ("shift", ([1.0], 1), {"order": 6}),
    "order below": ("spline_filter", ([1.0],), {"order": 1}),
    "order float": ("shift", ([1.0], 1), {"order": 2.5}),
    "mode": ("shift", ([1.0], 1), {"mode": "edge"}),
    "rank": ("shift", (1.0, 1), {}),
    "shifts": ("shift", ([1.0], (1, 2)), {}),
    "coordinates": ("map_coordinates", ([1.0], [[1.0], [2.0]]), {}),
    "complex coordinates": ("map_coordinates", ([1.0], [[1j]]), {}),
    "matrix": ("affine_transform", ([1.0], np.eye(3)), {}),
    "matrix 0-D": ("affine_transform", ([1.0], 1.0), {}),
    "columns": ("affine_transform", (np.ones((2, 2)), np.ones((2, 1))), {}),
    "offset": ("affine_transform", ([1.0], [1.0], (1, 2)), {}),
    "output shape": ("shift", ([1.0], 1, np.zeros(2)), {}),
    "output real": ("shift", ([1j], 1, np.zeros(1)), {}),
    "output name": ("shift", ([1.0], 1), {"output": "bool"}),
    "output complex": ("shift", ([1.0], 1), {"output": complex}),
    "output object": ("shift", ([1.0], 1), {"output": object}),
    "cval complex": ("shift", ([1.0], 1), {"cval": 1j}),
    "cval str": ("shift", ([1.0], 1), {"cval": "1"}),
    "plane": ("rotate", (np.eye(2), 1.0), {"axes": (0, 2)}),
    "plane of one": ("rotate", (np.eye(2), 1.0), {"axes": (0,)}),
    "plane of halves": ("rotate", (np.eye(2), 1.0), {"axes": (0, 0.5)}),
    "line": ("rotate", ([1.0], 1.0), {}),
    "axis": ("spline_filter1d", ([1.0],), {"axis": 1}),
    "mapping": ("geometric_transform", ([1.0], 3), {}),
}


@pytest.mark.parametrize("name", CALLS)
def test_errors(name):
    function, arguments, options = CALLS[name]
    with pytest.raises(Exception) as expected:
        getattr(scipy.ndimage, function)(*arguments, **options)
    with pytest.raises(expected.type) as got:
        getattr(compat, function)(*arguments, **options)
    assert type(got.value) is expected.type
    assert str(got.value) == str(expected.value)


def test_bottom_row():
    with pytest.raises(ValueError, match="bottom row was not equal to"):
        compat.affine_transform([1.0], np.ones((2, 2)))


@pytest.mark.parametrize("mode", ["constant", "wrap"])
def test_zoom_warns_of_modes_that_do_not_fit_the_grid(mode):
    with pytest.warns(UserWarning, match=f"mode = grid-{mode} instead of {mode}") as record:
        compat.zoom(np.eye(3), 2, mode=mode, grid_mode=True)
    assert record[0].filename == __file__


def test_complex_images_promote_the_output():
    with pytest.warns(UserWarning, match="promoting specified output dtype to complex") as record:
        assert compat.shift([1j], 0, output=float).dtype == complex
    assert record[0].filename == __file__


@pytest.mark.parametrize("mode", MODES)
def test_points_that_are_nowhere(mode):
    """SciPy returns what is in memory, or NaN, for most modes."""
    assert compat.map_coordinates(np.ones(5), [[np.nan, np.inf]], mode=mode, cval=-1.0).tolist() == [-1, -1]


def test_empty():
    assert compat.shift(np.zeros((0, 3)), 1).shape == (0, 3)
    assert compat.zoom(np.zeros((0, 3)), 2).shape == (0, 6)
    assert compat.spline_filter(np.zeros((0, 3))).shape == (0, 3)
    assert compat.map_coordinates(np.zeros((2, 3)), np.zeros((2, 0))).shape == (0,)


def test_a_complex_fill_leaves_no_trace_in_later_calls():
    compat.shift(np.ones(5) + 0j, 0.5, cval=0j)
    assert compat.shift(np.ones(6), 0.5, cval=0.0)[0] == 0


def test_scipy_is_imported_for_what_needs_it_alone():
    program = (
        "import sys, numpy as np, pullback.compat\n"
        "pullback.compat.scipy.rotate(np.eye(9), 30)\n"
        "assert not any(name.split('.')[0] == 'scipy' for name in sys.modules)\n"
        "pullback.compat.scipy.shift(np.ones((2, 2, 2, 2)), 1)\n"
        "assert 'scipy' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_missing_scipy_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "scipy"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match=r"shift: more than 3 axes .* need SciPy itself: pip install scipy"):
        compat.shift(np.ones((2, 2, 2, 2)), 1)


def test_unknown_submodule():
    with pytest.raises(AttributeError, match="no attribute 'skimage'"):
        _ = pb.compat.skimage


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda a: compat.rotate(a, np.nan), ValueError, "rotate: `angle` is nan; give a finite number"),
        (lambda a: compat.rotate(a, np.inf, reshape=False), ValueError, "`angle` is inf"),
        (lambda a: compat.rotate(a, "30"), TypeError, "`angle` is '30'; give a number"),
        (lambda a: compat.rotate(a, 10**400), ValueError, "give a finite number"),
        (lambda a: compat.zoom(a, [2, np.nan]), ValueError, "zoom: `zoom` is nan"),
        (lambda a: compat.zoom(a, -np.inf), ValueError, "`zoom` is -inf"),
        (lambda a: compat.zoom(a, None), TypeError, "`zoom` is None"),
    ],
    ids=["nan", "inf", "text", "huge", "zoom nan", "zoom inf", "zoom None"],
)
def test_numbers_that_give_no_size_are_refused(call, error, words):
    with pytest.raises(error, match=words):
        call(np.ones((4, 5)))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize(
    "call",
    [
        lambda a: compat.shift(a, [np.nan, 0], order=1, cval=7),
        lambda a: compat.shift(a, np.inf, order=1, cval=7),
        lambda a: compat.affine_transform(a, [[np.nan, 0], [0, 1]], order=1, cval=7),
        lambda a: compat.affine_transform(a, [np.nan, 1], order=1, cval=7),
        lambda a: compat.affine_transform(a, np.eye(2), [np.nan, 0], order=1, cval=7),
    ],
    ids=["shift nan", "shift inf", "matrix", "diagonal", "offset"],
)
def test_points_that_are_nowhere_give_cval(call, dtype):
    np.testing.assert_array_equal(call(np.ones((4, 5), dtype)), np.full((4, 5), 7, dtype))


def test_sizes_may_be_scalars_of_any_kind():
    image = np.arange(20.0).reshape(4, 5)
    np.testing.assert_array_equal(compat.rotate(image, np.array(30.0)), compat.rotate(image, 30))
    np.testing.assert_array_equal(compat.zoom(image, np.float32(2)), compat.zoom(image, 2))


MASKED = {
    "map_coordinates": lambda a: compat.map_coordinates(a, [[0.5], [0.5]]),
    "coordinates": lambda a: compat.map_coordinates(np.ones((2, 2)), a),
    "affine_transform": lambda a: compat.affine_transform(a, np.eye(2)),
    "geometric_transform": lambda a: compat.geometric_transform(a, lambda index: index),
    "shift": lambda a: compat.shift(a, 1),
    "zoom": lambda a: compat.zoom(a, 2),
    "rotate": lambda a: compat.rotate(a, 30),
    "spline_filter": lambda a: compat.spline_filter(a),
    "spline_filter1d": lambda a: compat.spline_filter1d(a),
}


@pytest.mark.parametrize("call", MASKED.values(), ids=MASKED)
def test_masks_that_scipy_would_drop_are_refused(call):
    with pytest.raises(TypeError, match="is a masked array, whose mask SciPy drops"):
        call(np.ma.masked_array(np.ones((2, 2)), np.eye(2, dtype=bool)))
