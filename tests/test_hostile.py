"""Anything may stand in coordinates, fill and strides: nothing crashes, and the results are the reference's."""

import numpy as np
import pytest

import pullback as pb


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300, 1e200, -1e30, 3e9])
@pytest.mark.parametrize("side", [8, 300], ids=["small", "large"])
def test_strange_matrices(value, side):
    image = np.ones((side, side), np.float32)
    for row in range(2):
        for column in range(3):
            matrix = np.eye(2, 3)
            matrix[row, column] = value
            out = pb.warp(image, pb.Affine(matrix), fill=7.0)
            assert np.isin(out, [1.0, 7.0]).all() or np.isfinite(out).all()
            gradients = pb.warp_vjp(image, pb.Affine(matrix), np.ones_like(out), fill=7.0)
            assert all(np.isfinite(part).all() for part in gradients)


def test_nan_matrix_gives_fill():
    assert np.all(pb.warp(np.ones((40, 40)), pb.Affine(np.full((2, 3), np.nan)), fill=7.0) == 7.0)


def test_fill_of_nan_stays_where_it_has_weight():
    image = np.array([1.0, 2.0])
    assert pb.sample(image, [[0.0], [1.0]], fill=np.nan).tolist() == [1.0, 2.0]
    assert np.isnan(pb.sample(image, [[1.25], [-0.5], [3.0]], fill=np.nan)).all()


@pytest.mark.parametrize("points", [(0, 2), (3, 0, 2)], ids=str)
def test_no_points(points):
    assert pb.sample(np.ones((4, 5)), np.zeros(points)).shape == points[:-1]
    assert pb.splat(np.ones(points[:-1]), np.zeros(points), (4, 5)).tolist() == np.zeros((4, 5)).tolist()


def test_no_channels_and_no_batch():
    assert pb.sample(np.ones((0, 4, 5)), np.zeros((3, 2))).shape == (0, 3)
    assert pb.sample(np.ones((0, 2, 4, 5)), np.zeros((1, 3, 2))).shape == (0, 2, 3)
    assert pb.warp(np.ones((2, 3, 4)), pb.Affine.identity(2), (0, 4)).shape == (2, 0, 4)
    for shape in [(0, 4, 5), (2, 0, 4, 5), (0, 2, 4, 5)]:
        image = np.ones(shape)
        assert pb.warp(image, pb.Affine.identity(2)).shape == shape
        grads = pb.warp_vjp(image, pb.Affine.identity(2), image)
        assert grads[0].shape == shape
        assert np.all(grads[1] == 0)


def test_no_samples():
    assert pb.sample(np.ones((0, 5)), np.zeros((3, 2)), fill=7).tolist() == [7, 7, 7]
    with pytest.raises(ValueError, match="`image` has no samples"):
        pb.sample(np.ones((0, 5)), np.zeros((3, 2)), border="edge")


@pytest.mark.parametrize("border", ["constant", "edge", "reflect", "symmetric", "wrap"])
def test_sides_of_one(border):
    image = np.full((1, 1, 1), 3.0)
    points = np.random.default_rng(0).uniform(-3, 3, (200, 3))
    values = pb.sample(image, points, border=border, fill=3.0)
    np.testing.assert_allclose(values, 3.0, rtol=1e-15)


VIEWS = {
    "negative": lambda a: a[::-1, ::-1],
    "transposed": lambda a: a.T,
    "every second": lambda a: a[::2, 1::3],
    "zero strides": lambda a: np.broadcast_to(a[:1], a.shape),
    "big endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "read only": lambda a: np.broadcast_to(a, a.shape),
    "unaligned offset": lambda a: a[1:, 1:],
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("side", [(20, 24), (150, 180)], ids=["small", "large"])
def test_any_view_is_read_like_its_copy(view, dtype, side):
    random = np.random.default_rng(0)
    image = VIEWS[view](random.integers(0, 255, side).astype(dtype))
    copy = np.ascontiguousarray(image, dtype=dtype)
    points = random.uniform(-0.1, 1.1, (300, 2)) * side
    np.testing.assert_array_equal(pb.sample(image, points), pb.sample(copy, points))
    strided = np.asfortranarray(points)[::-1]
    np.testing.assert_array_equal(pb.sample(image, strided), pb.sample(copy, np.ascontiguousarray(strided)))
    turn = pb.Affine.rotation(20)
    np.testing.assert_array_equal(pb.warp(image, turn, frame="centered"), pb.warp(copy, turn, frame="centered"))
    if dtype != np.uint8:
        grad = random.standard_normal(image.shape).astype(dtype)
        for ours, theirs in zip(
            pb.warp_vjp(image, turn, grad, frame="centered"),
            pb.warp_vjp(copy, turn, grad, frame="centered"),
            strict=True,
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
