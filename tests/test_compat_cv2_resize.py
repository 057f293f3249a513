"""pullback.compat.cv2.resize has the numbers of OpenCV's, within what OpenCV rounds by itself."""

import inspect
from fractions import Fraction

import numpy as np
import pytest
from covering import covered
from hypothesis import given, settings
from hypothesis import strategies as st
from opencv import DTYPES, flag, noise

import pullback as pb
from pullback.compat import cv2 as compat

NAMES = ["NEAREST", "NEAREST_EXACT", "LINEAR", "LINEAR_EXACT", "CUBIC", "AREA", "LANCZOS4"]
SIDES = [(37, 46), (8, 28), (1, 47), (48, 42)]
SHAPES = [(19, 36), (74, 92), (12, 23), (60, 20), (5, 90), (37, 46), (1, 1)]
FACTORS = [(0.5, 0.5), (0.4, 0.55), (1.3, 2.7), (2.0, 0.3), (1 / 3, 0.25)]


@pytest.fixture(scope="module")
def opencv():
    return pytest.importorskip("cv2")


def assert_close(found, wanted):
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    # OpenCV has positions and weights in single precision, and rounds integers, of 8 bits with weights of 11
    tolerance = 1 if wanted.dtype.kind in "iu" else 1e-3
    np.testing.assert_allclose(found.astype(float), wanted.astype(float), rtol=0, atol=tolerance)


def without_ties(found, wanted, sides, shape):
    """Leave out the rows and columns whose middles are half-way between two samples, where rounding decides."""
    for axis, (n, m) in enumerate(zip(sides, shape, strict=True)):
        is_tie = np.array([Fraction((2 * i + 1) * n, 2 * m).denominator == 1 for i in range(m)])
        found, wanted = (np.compress(~is_tie, values, axis) for values in (found, wanted))
    return found, wanted


@covered(name=NAMES, dtype=DTYPES, sides=SIDES, shape=SHAPES, channels=[0, 1, 3, 4])
def test_a_size(opencv, name, dtype, sides, shape, channels, seed):
    image = noise(dtype, sides, channels, seed)
    wanted = opencv.resize(image, shape[::-1], interpolation=flag(name))
    found = compat.resize(image, shape[::-1], interpolation=flag(name))
    if name == "NEAREST_EXACT":
        found, wanted = without_ties(found, wanted, sides, shape)
    assert_close(found, wanted)
    if name.startswith("NEAREST"):
        np.testing.assert_array_equal(found, wanted)


@covered(name=NAMES, dtype=DTYPES, sides=SIDES, factors=FACTORS, channels=[0, 1, 3, 4])
def test_factors(opencv, name, dtype, sides, factors, channels, seed):
    """Positions come of the factors themselves, and not of the sides that they are rounded to."""
    image, (fx, fy) = noise(dtype, sides, channels, seed), factors
    try:
        wanted = opencv.resize(image, None, fx=fx, fy=fy, interpolation=flag(name))
    except opencv.error:
        with pytest.raises(ValueError, match="resize: `fx` and `fy` are"):
            compat.resize(image, None, fx=fx, fy=fy, interpolation=flag(name))
        return
    found = compat.resize(image, None, fx=fx, fy=fy, interpolation=flag(name))
    if name == "NEAREST_EXACT":
        found, wanted = without_ties(found, wanted, sides, found.shape[:2])
    assert_close(found, wanted)


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(["NEAREST", "AREA"]),
    sides=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    shape=st.tuples(st.integers(1, 80), st.integers(1, 80)),
)
def test_where_rounding_decides_between_two_samples(opencv, name, sides, shape):
    """OpenCV's own steps are taken."""
    image = noise("float32", sides, 0)
    wanted = opencv.resize(image, shape[::-1], interpolation=flag(name))
    np.testing.assert_allclose(compat.resize(image, shape[::-1], interpolation=flag(name)), wanted, rtol=0, atol=1e-3)


@pytest.mark.parametrize("shape", [(74, 92), (12, 23)], ids=str)
def test_what_pullback_has_under_other_names(shape):
    image = noise("float64", (37, 46), 3)
    options = {"antialias": False, "border": "edge", "channel_axis": -1}
    for name, ours in (("LINEAR", "linear"), ("CUBIC", pb.Cubic(-0.75)), ("LANCZOS4", "lanczos4")):
        found = compat.resize(image, shape[::-1], interpolation=flag(name))
        np.testing.assert_allclose(found, pb.resize(image, shape, interpolation=ours, **options), rtol=0, atol=1e-11)
    exact = compat.resize(image, shape[::-1], interpolation=flag("NEAREST_EXACT"))
    np.testing.assert_array_equal(exact, pb.resize(image, shape, interpolation="nearest", channel_axis=-1))
    if shape < (37, 46):
        area = compat.resize(image, shape[::-1], interpolation=flag("AREA"))
        np.testing.assert_array_equal(area, pb.resize(image, shape, interpolation="area", channel_axis=-1))


def test_means_of_integers_are_rounded_once():
    image = np.array([[0, 1], [1, 0], [2, 3], [3, 2]], np.uint8)
    assert compat.resize(image, (1, 2), interpolation=compat.INTER_AREA).tolist() == [[0], [2]]  # 1/2 and 5/2


def test_arguments_have_the_names_and_the_order_of_opencv(opencv):
    written = opencv.resize.__doc__.split("(", 1)[1].split(")", 1)[0]
    names = written.replace("[", "").replace("]", "").split(", ")
    assert list(inspect.signature(compat.resize).parameters) == names


@pytest.mark.parametrize("channels", [0, 1, 3])
@pytest.mark.parametrize("fits", [True, False])
def test_dst_is_written_to_where_it_fits(channels, fits):
    image = noise("uint8", (20, 30), channels)
    plain = compat.resize(image, (15, 10))
    dst = np.full(plain.shape, 77, np.uint8 if fits else np.int16)
    found = compat.resize(image, (15, 10), dst)
    assert (found is dst) == fits
    np.testing.assert_array_equal(found, plain)
    overlapping = image[5:15, 5:20]
    assert compat.resize(image, (15, 10), overlapping) is overlapping
    np.testing.assert_array_equal(overlapping.reshape(plain.shape), plain)


def test_sizes_come_first():
    image = noise("uint8", (20, 30), 3)
    np.testing.assert_array_equal(compat.resize(image, (15, 10), None, 9, 9), compat.resize(image, (15, 10)))
    assert compat.resize(image, (0, 10), fx=0.5, fy=0.5).shape == (10, 15, 3)
    same = compat.resize(image, None, fx=1.01, fy=1.01)
    np.testing.assert_array_equal(same, image)
    assert not np.shares_memory(same, image)


@pytest.mark.parametrize("dtype", ["bool", "int64", "float16", "complex64"])
def test_more_dtypes_than_opencv(dtype):
    image = (100 * np.random.default_rng(0).random((8, 9))).astype(dtype)
    assert compat.resize(image, (5, 4), interpolation=compat.INTER_AREA).dtype == dtype


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.ones((4, 5)), None), ValueError, "resize: `fx` and `fy` are 0.0 and 0.0; without a `dsize`, give factors"),
        ((np.ones((4, 5)), (0, 0), None, 0.5, -1), ValueError, "resize: `fx` and `fy` are 0.5 and -1.0"),
        ((np.ones((4, 5)), None, None, 0.01, 0.01), ValueError, r"which makes an image of shape \(0, 0\)"),
        ((np.ones((4, 5)), None, None, "a", 1), TypeError, "resize: `fx` is 'a'; give a number"),
        ((np.ones((4, 5)), (2.5, 3)), TypeError, r"resize: `dsize` is \(2.5, 3\); give two integers"),
        ((np.ones((4, 5)), 3), TypeError, "resize: `dsize` is 3"),
        ((np.ones((4, 5)), (3, 3), None, 0, 0, 7), ValueError, "resize: `interpolation` is 7; INTER_"),
        ((np.ones((4, 5)), (3, 3), compat.INTER_AREA), TypeError, "resize: `dst` is 3; .* name, interpolation="),
        ((np.ones((0, 5)), (3, 3)), ValueError, r"resize: `src` has shape \(0, 5\)"),
        ((np.ones(5), (3, 3)), ValueError, r"resize: `src` has shape \(5,\)"),
        ((np.ones((4, 5), object), (3, 3)), TypeError, "resize: `src` is of dtype object"),
        ((np.ma.array(np.ones((4, 5))), (3, 3)), TypeError, "resize: `src` is a masked array"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        compat.resize(*arguments)
