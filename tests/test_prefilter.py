"""Spline coefficients: sampled where the samples are they give them back, and SciPy has the same ones."""

import numpy as np
import pytest
import scipy.ndimage

import pullback as pb

torch = pytest.importorskip("torch")

RANDOM = np.random.default_rng(0)
SHAPES = {1: (23,), 2: (12, 15), 3: (7, 8, 9)}
BORDERS = ["constant", "edge", "reflect", "symmetric", "wrap"]

every_order = pytest.mark.parametrize("order", [2, 3, 4, 5])
every_border = pytest.mark.parametrize("border", BORDERS)
every_ndim = pytest.mark.parametrize("ndim", SHAPES)


@pytest.fixture(autouse=True)
def _same_numbers_whatever_ran_before(seed):
    global RANDOM
    RANDOM = np.random.default_rng(seed)


def positions(shape):
    return np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).astype(float)


@every_order
@every_border
@every_ndim
def test_coefficients_give_the_samples_back(order, border, ndim):
    image = RANDOM.standard_normal((2, *SHAPES[ndim]))
    coefficients = pb.prefilter(image, order, border, fill=0.7, ndim=ndim)
    options = {"border": border, "fill": 0.7}
    back = pb.sample(coefficients, positions(SHAPES[ndim]), interpolation=f"bspline{order}", **options)
    np.testing.assert_allclose(back, image, rtol=0, atol=1e-12)
    x = RANDOM.uniform(-2, 15, (50, ndim))
    np.testing.assert_allclose(
        pb.sample(coefficients, x, interpolation=f"bspline{order}", **options),
        pb.sample(image, x, interpolation=f"spline{order}", **options),
        rtol=0,
        atol=1e-12,
    )


@every_order
@pytest.mark.parametrize(("border", "mode"), [("reflect", "mirror"), ("symmetric", "reflect"), ("wrap", "grid-wrap")])
@every_ndim
def test_as_scipy_does(order, border, mode, ndim):
    image = RANDOM.standard_normal((40, 35, 38)[:ndim])
    wanted = scipy.ndimage.spline_filter(image, order, mode=mode)
    # on shorter lines SciPy's own recursions start with errors: 2e-4 for 9 samples, order 5, "reflect"
    np.testing.assert_allclose(pb.prefilter(image, order, border, ndim=ndim), wanted, rtol=0, atol=1e-10)


@every_order
@every_border
def test_sides_of_one_and_two(order, border):
    for shape in [(1,), (2,), (1, 5), (2, 1)]:
        image = RANDOM.standard_normal(shape)
        coefficients = pb.prefilter(image, order, border)
        back = pb.sample(coefficients, positions(shape), interpolation=f"bspline{order}", border=border)
        np.testing.assert_allclose(back, image, rtol=0, atol=1e-12)


def test_an_order_an_axis():
    image = RANDOM.standard_normal((12, 15))
    found = pb.prefilter(image, (3, 0), "reflect")
    np.testing.assert_allclose(found, scipy.ndimage.spline_filter1d(image, 3, 0, mode="mirror"), rtol=0, atol=1e-10)
    np.testing.assert_array_equal(pb.prefilter(image, 1), image)
    np.testing.assert_array_equal(pb.prefilter(image, np.int64(3)), pb.prefilter(image, (3, 3)))


def test_layouts():
    image = RANDOM.standard_normal((2, 3, 12, 15))
    each = np.stack([[pb.prefilter(channel, 3, "edge") for channel in entry] for entry in image])
    np.testing.assert_allclose(pb.prefilter(image, 3, "edge", ndim=2), each, rtol=0, atol=1e-14)
    np.testing.assert_allclose(pb.prefilter(image, (3, 3), "edge"), each, rtol=0, atol=1e-14)
    last = np.moveaxis(image, 1, -1)
    np.testing.assert_allclose(
        pb.prefilter(last, 3, "edge", ndim=2, channel_axis=-1), np.moveaxis(each, 1, -1), rtol=0, atol=1e-14
    )
    np.testing.assert_allclose(
        pb.prefilter(last[0], 3, "edge", channel_axis=-1), np.moveaxis(each[0], 0, -1), rtol=0, atol=1e-14
    )
    filled = pb.prefilter(image, 3, fill=[1, 2, 3], ndim=2)
    np.testing.assert_allclose(filled[:, 1], pb.prefilter(image[:, 1], 3, fill=2, ndim=2), rtol=0, atol=1e-13)


SUMS = {"bool": "float32", "uint8": "float32", "float16": "float32", "int32": "float64", "int64": "float64"}


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int32", "float16", "float32", "float64", "complex64", "complex128"]
)
def test_dtypes(dtype):
    image = (10 * RANDOM.standard_normal((12, 15))).astype(dtype)
    found = pb.prefilter(image, 3, "symmetric")
    assert found.dtype == SUMS.get(dtype, dtype)
    wanted = pb.prefilter(image.astype(complex), 3, "symmetric")
    np.testing.assert_allclose(
        found,
        wanted,
        rtol=1e-12 if found.dtype.itemsize == 16 else 1e-6,
        atol=1e-12 if found.dtype.itemsize == 16 else 1e-4,
    )
    tensor = pb.prefilter(torch.tensor(image), 3, "symmetric")
    assert tensor.dtype == torch.tensor(found).dtype
    np.testing.assert_array_equal(tensor, found)


def test_the_image_stays_as_it_is():
    image = RANDOM.standard_normal((12, 15))
    before = image.copy()
    pb.prefilter(image, 3)
    pb.prefilter(image, 0)[...] = 7
    np.testing.assert_array_equal(image, before)


@every_order
@every_border
def test_gradcheck(order, border):
    image = torch.tensor(RANDOM.standard_normal((2, 5, 4)), requires_grad=True)
    assert torch.autograd.gradcheck(lambda image: pb.prefilter(image, order, border, fill=0.3, ndim=2), image)
