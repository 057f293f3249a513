"""Anything may stand in coordinates, fill and strides: nothing crashes, and the results are the reference's."""

import numpy as np
import pytest
from families import MATRICES, draw

import pullback as pb


@pytest.mark.parametrize("value", [1e300, 1e200, -1e30, 3e9])
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


NOT_FINITE = [np.nan, np.inf, -np.inf]


def lost_in_entry_1(transform, image, shape, **options):
    """Hold that nothing is known of one entry of a batch of three, in values and gradients, and all of the others."""
    values = pb.warp(image, transform, shape, **options)
    lost = np.isnan(values)
    assert lost[1].all()
    assert not lost[[0, 2]].any()
    grad_image, grad_parameters = pb.warp_vjp(image, transform, np.ones_like(values), **options)
    assert np.isfinite(grad_image).all()
    assert np.isnan(grad_parameters[1]).all()
    assert np.isfinite(grad_parameters[[0, 2]]).all()
    return values


@pytest.mark.parametrize("bad", NOT_FINITE)
@pytest.mark.parametrize("side", [6, 120], ids=["small", "large"])
@pytest.mark.parametrize("family", MATRICES, ids=lambda family: family.__name__)
@pytest.mark.parametrize("options", [{}, {"border": "edge"}, {"extent": "crop"}, {"interpolation": "nearest"}], ids=str)
@np.errstate(invalid="ignore")
def test_a_matrix_that_is_not_finite_gives_nan(family, side, bad, options):
    random = np.random.default_rng(side)
    parameters = draw(family, 2, random, (3,)).parameters.copy()
    image = random.random((side, side - 1)).astype(np.float32)
    for k in range(parameters[0].size):
        spoiled = parameters.copy()
        spoiled[1].flat[k] = bad
        lost_in_entry_1(family.from_parameters(spoiled), image, (7, 9), **options)
        image = image[:, :5]


@pytest.mark.parametrize("bad", NOT_FINITE)
def test_a_spline_that_is_not_finite_gives_nan(bad):
    random = np.random.default_rng(0)
    points = random.uniform(0, 8, (7, 2))
    targets = points + random.normal(size=(3, 7, 2))
    targets[1, 4, 0] = bad
    with np.errstate(invalid="ignore"):
        lost_in_entry_1(pb.ThinPlateSpline(points, targets), random.random((9, 9)), (9, 9), border="reflect")


@pytest.mark.parametrize("bad", NOT_FINITE)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_field_is_lost_where_its_sample_is_read(bad, dtype):
    random = np.random.default_rng(0)
    image, field = random.random((20, 30)).astype(dtype), random.uniform(-2, 2, (20, 30, 2))
    field[4, 7, 1] = bad
    for border in ("constant", "edge"):
        values = pb.warp(image, pb.Displacement(field), border=border, fill=7.0)
        assert np.argwhere(np.isnan(values)).tolist() == [[4, 7]]
        grad_image, grad_field = pb.warp_vjp(image, pb.Displacement(field), np.ones_like(values), border=border)
        assert np.isfinite(grad_image).all()
        assert np.argwhere(np.isnan(grad_field)).tolist() == [[4, 7, 0], [4, 7, 1]]
    # On another lattice, by the points between the sample and its neighbours, in the NumPy path that computes them.
    coarse = pb.warp(image, pb.Displacement(field), (40, 60), border="edge")
    found = np.argwhere(np.isnan(coarse))
    assert len(found) == 16
    assert np.abs(found - [8.5, 14.5]).max() == 1.5


@pytest.mark.parametrize("bad", NOT_FINITE)
def test_a_free_form_field_is_lost_where_its_coefficient_is_read(bad):
    random = np.random.default_rng(0)
    image, control = random.random((24, 40)), random.uniform(-1, 1, (6, 11, 2))
    control[2, 5, 0] = bad
    for dtype in (np.float32, np.float64):
        values = pb.warp(image.astype(dtype), pb.FreeForm(control), border="edge")
        # Pixel i lies at (i + 1/2) (n - 3) / N + 1 among n coefficients, each of which reaches over four cells.
        reached = [(np.arange(n) + 0.5) * (c - 3) / n + 1 for n, c in zip(image.shape, control.shape, strict=False)]
        rows, columns = ((k > at - 2) & (k < at + 2) for k, at in zip(reached, (2, 5), strict=True))
        np.testing.assert_array_equal(np.isnan(values), rows[:, None] & columns)
    grad_image, grad_control = pb.warp_vjp(image, pb.FreeForm(control), np.ones(image.shape), border="edge")
    assert np.isfinite(grad_image).all()
    assert np.isnan(grad_control[2, 5]).all()
    assert np.isfinite(grad_control[:, 10]).all()


def test_a_velocity_is_lost_where_its_sample_is_met():
    field = np.zeros((12, 12, 2))
    field[5, 5] = np.nan
    values = pb.warp(np.ones((12, 12)), pb.Velocity(field, steps=3))
    assert np.isnan(values[5, 5])
    assert np.isfinite(values[:3]).all()


def test_a_chain_is_lost_as_its_parts_are_and_nowhere_where_they_are():
    random = np.random.default_rng(0)
    image, field = random.random((20, 20)), random.uniform(-0.2, 0.2, (20, 20, 2))
    tilt = pb.Projective([[1.0, 0, 0], [0, 1, 0], [-0.1, 0, 1]], one_sided=True)
    options = dict(border="wrap", fill=7.0)
    values = pb.warp(image, pb.Affine.scaling(0.9) @ pb.Displacement(field) @ tilt, **options)
    assert np.isfinite(values).all()
    assert (values[10:] == 7).all()
    assert (values[:10] != 7).all()
    smooth = pb.warp(image, pb.Affine.scaling(0.9) @ pb.Displacement(field) @ tilt, antialias=True, **options)
    assert (smooth[10:] == 7).all()
    field[3, 3] = np.nan
    values = pb.warp(image, pb.Displacement(field) @ tilt, **options)
    assert np.isnan(values).any()
    assert (values[10:] == 7).all()
    lost = pb.warp(image, pb.Displacement(field) @ pb.Affine([[1.0, 0, np.nan], [0, 1, 0]]), **options)
    assert np.isnan(lost).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.bool_])
def test_integers_cannot_be_nan(dtype):
    image, lost = np.ones((8, 8), dtype), pb.Affine(np.full((2, 3), np.nan))
    for options in ({}, {"interpolation": "nearest"}, {"mask": np.eye(8, dtype=bool)}, {"antialias": True}):
        with pytest.raises(ValueError, match=r"^warp: `transform` has parameters that are not finite"):
            pb.warp(image, lost, **options)
        assert np.isnan(pb.warp(image, lost, dtype=np.float32, **options)).all() or "mask" in options
    pb.warp(image, pb.Affine.identity(2))  # and no call remembers another's
    assert (pb.sample(image, [[np.nan, 0.0]], fill=0) == 0).all()
    out = np.zeros((8, 8), dtype)
    with pytest.raises(ValueError, match="not finite"):
        pb.warp(np.ones((8, 8)), lost, out=out)


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
