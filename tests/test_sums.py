"""Sums over points lose no digits with the number of points, and have the same bits for any number of threads."""

import numpy as np
import pytest

import pullback as pb

RANDOM = np.random.default_rng(0)
MANY = 100_000
# Each value is rounded a few times, and so is the sum, once.
CLOSE = {"rtol": 5e-7, "atol": 0}


@pytest.mark.parametrize(
    ("value", "dtype"), [(1, np.float32), (0.1, np.float32), (200, np.uint8), (0.1, np.float16)], ids=str
)
@pytest.mark.parametrize("interpolation", ["nearest", "linear", "cubic", "bspline3"])
@pytest.mark.parametrize("shape", [(1,), (3, 2), (2, 2, 2)], ids=str)
def test_many_points_on_few_samples(shape, interpolation, value, dtype):
    coords = RANDOM.random((MANY, len(shape))) * (np.array(shape) - 1)
    values = np.full(MANY, value, dtype)
    options = dict(interpolation=interpolation, border="edge")
    mean = pb.splat(values, coords, shape, normalize=True, **options)
    np.testing.assert_allclose(mean, float(values[0]), rtol=3e-7)
    sums = pb.splat(values.astype(np.float32), coords, shape, **options)
    np.testing.assert_allclose(sums, pb.splat(values.astype(np.float64), coords, shape, **options), **CLOSE)


# The sides of an image of which no copy is made to form sums in.
LARGE = (300, 301)
PLACES = {
    "one sample": lambda n: np.full((n, 2), 200.0),
    "one sample among others": lambda n: np.where(np.arange(n)[:, None] % 5, RANDOM.random((n, 2)) * 299, 77.5),
    "the end of a row, and others": lambda n: np.where(
        np.arange(n)[:, None] % 3, RANDOM.random((n, 2)) * 299, [217.9, 300]
    ),
    "beyond the edge": lambda n: RANDOM.random((n, 2)) * 299 + [0, 2000],
    "more than there are samples": lambda n: RANDOM.random((3 * n, 2)) * 299,
}


@pytest.mark.parametrize("border", ["edge", "wrap"])
@pytest.mark.parametrize("places", PLACES)
def test_points_that_crowd_in_a_large_image(places, border):
    coords = PLACES[places](MANY)
    values = np.full(len(coords), 0.1, np.float32)
    for interpolation in ("linear", "cubic"):
        options = dict(border=border, interpolation=interpolation)
        found = pb.splat(values, coords, LARGE, **options)
        wanted = pb.splat(values.astype(np.float64), coords, LARGE, **options)
        # The weights of single points depend on their positions, which are known to 1e-4.
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-4)


ZOOM = pb.Affine([[0.02, 0.003, 1], [-0.002, 0.02, 2]])
MAPS = {
    "affine": ZOOM,
    "projective": pb.Projective(np.vstack([ZOOM.parameters, [1e-5, 0, 1]])),
    "turned": pb.Affine.rotation(20, center=(150, 150)),
}


@pytest.mark.parametrize("border", ["constant", "edge", "reflect"])
@pytest.mark.parametrize("sides", [(16, 16), LARGE], ids=str)
@pytest.mark.parametrize("name", MAPS)
def test_gradients(name, sides, border):
    """In an image whose slopes are the same everywhere, so that they do not depend on the last digit of a position."""
    y, x = np.indices(sides)
    image, grad = 3.0 * y - 2.0 * x, RANDOM.random((400, 500)) + 0.5
    on_image, on_map = pb.warp_vjp(image, MAPS[name], grad, border=border)
    found = pb.warp_vjp(image.astype(np.float32), MAPS[name], grad.astype(np.float32), border=border)
    if on_image.max() > 500:
        np.testing.assert_allclose(found[0][on_image > 500], on_image[on_image > 500], rtol=1e-5)
        np.testing.assert_allclose(found[0].sum(dtype=np.float64), on_image.sum(), rtol=1e-6)
    if border == "constant":
        return  # where an image jumps to `fill`, slopes depend on positions
    np.testing.assert_allclose(found[1], on_map, rtol=0, atol=2e-6 * np.abs(on_map).max())


def test_normal_equations():
    y, x = np.indices((600, 700))
    image, target = 3.0 * y - 2.0 * x, np.zeros((500, 500))
    wide = pb.normal_equations(image, pb.Affine.identity(2), target)
    found = pb.normal_equations(image.astype(np.float32), pb.Affine.identity(2), target.astype(np.float32))
    for ours, theirs in zip(found, wide, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("border", ["constant", "edge", "wrap"])
def test_the_same_bits_for_any_number_of_threads(border):
    before = pb.get_num_threads()
    image = RANDOM.random(LARGE).astype(np.float32)
    fields = [
        at(90_000)[:90_000].reshape(300, 300, 2) - np.moveaxis(np.indices((300, 300)), 0, -1) for at in PLACES.values()
    ]
    calls = [(image, transform) for transform in (*MAPS.values(), *map(pb.Displacement, fields))]
    calls += [(image[:100, :90], ZOOM), (RANDOM.random((2, 3, 100, 150)).astype(np.float32), ZOOM)]

    def everything():
        for image, transform in calls:
            shape = (300, 300) if isinstance(transform, pb.Displacement) else (350, 360)
            grad = np.full((*image.shape[:-2], *shape), 0.1, np.float32)
            yield [part.tobytes() for part in pb.warp_vjp(image, transform, grad, border=border)]

    try:
        pb.set_num_threads(1)
        wanted = list(everything())
        for count in (2, 3, 8):
            pb.set_num_threads(count)
            assert list(everything()) == wanted
    finally:
        pb.set_num_threads(before)
