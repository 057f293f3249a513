"""The reference against SciPy and NumPy, as an adjoint, against finite differences, and on awkward coordinates."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
from cases import EXTENTS, KINDS, SUMS, generating
from covering import covered
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback import _reference as reference
from pullback._plan import BORDERS, INTERPOLATIONS, LATTICES, Frame, Lattice, Plan, frame_of, make_plan
from pullback._reference.lattice import lattice_positions

SCIPY_MODES = {
    "constant": "grid-constant",
    "edge": "nearest",
    "reflect": "mirror",
    "symmetric": "reflect",
    "wrap": "grid-wrap",
}
IN_SHAPES = {1: (5,), 2: (4, 5), 3: (3, 4, 2)}
OUT_SHAPES = {1: (7,), 2: (3, 4), 3: (2, 3, 2)}

ndims = pytest.mark.parametrize("d", [1, 2, 3], ids="{}d".format)
DS, FRAMES = [1, 2, 3], ["index", "centered"]
interpolations = pytest.mark.parametrize("interpolation", SUMS)
borders = pytest.mark.parametrize("border", list(BORDERS))
extents = pytest.mark.parametrize("extent", ["blend", "crop"])
frames = pytest.mark.parametrize("frame", ["index", "centered"])


def plan_of(
    d: int, interpolation: str = "linear", border: str = "constant", extent: str = "blend", fill: tuple = (0.0,)
) -> Plan:
    return make_plan((interpolation,) * d, (border,) * d, extent, fill)


def given_lattice(shape: tuple[int, ...], d: int) -> Lattice:
    """Return a lattice of given index coordinates."""
    index = Frame((1.0,) * d, (0.0,) * d)
    return Lattice(LATTICES["given"], shape, index, index)


def off_knots(rng: np.random.Generator, shape: tuple[int, ...], in_shape: tuple[int, ...]) -> np.ndarray:
    """Return index coordinates, half of them on the image, at least 0.05 from every multiple of 1/2."""
    n = np.array(in_shape)
    around = rng.integers(-2 * n - 1, 3 * n + 1, (*shape, len(n)))
    on_image = rng.integers(0, np.maximum(n - 1, 1), around.shape)
    cell = np.where(rng.random((*shape, 1)) < 0.5, on_image, around)
    return cell + rng.choice([0.0, 0.5], cell.shape) + rng.uniform(0.05, 0.45, cell.shape)


def make_call(kind: str, frame: str, d: int, batch: int = 2, seed: int = 0) -> tuple[np.ndarray, Lattice]:
    """Return a geometry whose points lie off the knots of every kernel, some on the image and some beyond."""
    rng = np.random.default_rng(seed)
    in_shape, shape = IN_SHAPES[d], OUT_SHAPES[d]
    lattice = Lattice(LATTICES[kind], shape, frame_of(frame, in_shape), frame_of(frame, shape))
    if kind == "given":
        index = off_knots(rng, (batch, *shape), in_shape)
        return (index - lattice.frame_in.offset) / lattice.frame_in.scale, lattice
    return generating(kind, rng, lattice, in_shape, batch), lattice


@borders
@pytest.mark.parametrize("n", [1, 2, 3, 5], ids="n={}".format)
def test_border_index_is_that_of_numpy_pad(border, n):
    reach = 13
    k = np.arange(-reach, n + reach)
    index, inside = reference.border_index(k, n, BORDERS[border])
    samples = np.arange(n)
    expected = np.pad(samples, reach, mode=border, **({"constant_values": -1} if border == "constant" else {}))
    np.testing.assert_array_equal(np.where(inside, samples[index], -1), expected)


@interpolations
def test_weights_sum_to_one_and_slopes_to_zero(interpolation):
    x = np.random.default_rng(0).uniform(-5, 5, 100)
    _, weight, slope = reference.weights(INTERPOLATIONS[interpolation], x)
    # eight terms below three, each rounded
    np.testing.assert_allclose(sum(weight), 1, rtol=0, atol=1e-14)
    np.testing.assert_allclose(sum(slope), 0, rtol=0, atol=1e-14)


@pytest.mark.parametrize("interpolation", ["nearest", "linear"])
@borders
@settings(max_examples=15, deadline=None)
@given(in_shape=st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple), seed=st.integers(0, 2**16))
def test_pull_is_scipy_map_coordinates(interpolation, border, in_shape, seed):
    rng = np.random.default_rng(seed)
    image = rng.normal(size=in_shape)
    x = off_knots(rng, (11,), in_shape)
    plan = plan_of(len(in_shape), interpolation, border, fill=(-2.0,))
    value = reference.pull(image[None, None], x[None], given_lattice((11,), len(in_shape)), plan)
    order = {"nearest": 0, "linear": 1}[interpolation]
    expected = scipy.ndimage.map_coordinates(image, x.T, order=order, mode=SCIPY_MODES[border], cval=-2.0)
    # A dozen products of numbers near one, in another order.
    np.testing.assert_allclose(value[0, 0], expected, rtol=0, atol=1e-13)


@ndims
def test_cropped_pull_is_scipy_constant(d):
    rng = np.random.default_rng(d)
    image = rng.normal(size=IN_SHAPES[d])
    last = np.array(IN_SHAPES[d]) - 1
    x = np.concatenate([off_knots(rng, (200,), IN_SHAPES[d]), rng.uniform(0, last, (50, d)), [last, 0 * last]])
    plan = plan_of(d, "linear", "constant", "crop", (-2.0,))
    value = reference.pull(image[None, None], x[None], given_lattice((len(x),), d), plan)
    expected = scipy.ndimage.map_coordinates(image, x.T, order=1, mode="constant", cval=-2.0)
    assert (expected == -2.0).any()
    np.testing.assert_allclose(value[0, 0], expected, rtol=0, atol=1e-13)


@frames
@pytest.mark.parametrize("shape", [(5,), (4, 7), (3, 4, 6)], ids=str)
@borders
def test_identity_and_integer_shifts_are_exact(frame, shape, border):
    d = len(shape)
    image = np.random.default_rng(0).normal(size=(1, 1, *shape))
    on_image = frame_of(frame, shape)
    lattice = Lattice(LATTICES["affine"], shape, on_image, on_image)
    identity = np.eye(d, d + 1)[None]
    np.testing.assert_array_equal(reference.pull(image, identity, lattice, plan_of(d, border=border)), image)
    if frame == "index":
        shifted = identity.copy()
        shifted[0, 0, -1] = 1
        value = reference.pull(image, shifted, lattice, plan_of(d, border=border))
        np.testing.assert_array_equal(value[:, :, :-1], image[:, :, 1:])


def test_centered_frame_has_its_origin_in_the_middle_and_half_the_shortest_side_as_unit():
    lattice = Lattice(LATTICES["given"], (3,), frame_of("centered", (4, 6)), frame_of("index", (3,)))
    x = reference.coordinates(np.array([[[0.0, 0.0], [1.0, 1.0], [-1.0, -0.5]]]), lattice)
    np.testing.assert_array_equal(x, [[[1.5, 2.5], [3.5, 4.5], [-0.5, 1.5]]])


def test_affine_coordinates_are_the_map_between_the_frames():
    matrix, lattice = make_call("affine", "centered", 2)
    position = lattice_positions(lattice)
    q = np.einsum("mij,yxj->myxi", matrix[..., :-1], position) + matrix[:, None, None, :, -1]
    x = np.asarray(lattice.frame_in.scale) * q + lattice.frame_in.offset
    np.testing.assert_allclose(reference.coordinates(matrix, lattice), x, rtol=0, atol=1e-13)


@covered(
    d=DS,
    interpolation=SUMS,
    border=list(BORDERS),
    extent=EXTENTS,
    frame=FRAMES,
    kind=KINDS,
    batch=[(2, 2), (1, 2), (2, 1)],
)
def test_push_is_the_transpose_of_pull(d, interpolation, border, extent, frame, kind, batch, seed):
    images, geometries = batch
    geometry, lattice = make_call(kind, frame, d, geometries, seed)
    plan = plan_of(d, interpolation, border, extent)
    rng = np.random.default_rng(seed + 1)
    image = rng.normal(size=(images, 2, *IN_SHAPES[d]))
    values = rng.normal(size=(2, 2, *lattice.shape))
    pulled = reference.pull(image, geometry, lattice, plan)
    pushed = reference.push(values, geometry, lattice, plan, image.shape)
    # The two sums hold the same products: rounding is relative to the sum of their magnitudes.
    scale = np.sum(np.abs(image) * reference.push(np.abs(values), geometry, lattice, plan, image.shape))
    assert scale > 0 or extent == "crop"
    assert abs(np.vdot(pulled, values) - np.vdot(image, pushed)) <= 1e-12 * scale


@covered(d=DS, interpolation=SUMS, border=list(BORDERS), extent=EXTENTS, frame=FRAMES, strength=2)
def test_gradient_is_the_finite_difference_of_pull(d, interpolation, border, extent, frame, seed):
    coords, lattice = make_call("given", frame, d, seed=seed)
    plan = plan_of(d, interpolation, border, extent, (0.5, -1.5))
    image = np.random.default_rng(2).normal(size=(1, 2, *IN_SHAPES[d]))
    slopes = reference.gradient(image, coords, lattice, plan)
    assert slopes.shape == (2, 2, *lattice.shape, d)
    h = 1e-4
    for axis, step in enumerate(h * np.eye(d)):
        up, down = (reference.pull(image, coords + sign * step, lattice, plan) for sign in (1, -1))
        # Along one axis values are linear between knots, and rounding over h the only error; or smooth, up to h^2.
        atol = 1e-10 if interpolation in ("nearest", "linear") else 1e-5
        np.testing.assert_allclose(slopes[..., axis], (up - down) / (2 * h), rtol=0, atol=atol)


@covered(
    d=DS,
    interpolation=SUMS,
    border=list(BORDERS),
    extent=EXTENTS,
    frame=FRAMES,
    kind=KINDS,
    batch=[(1, 2), (2, 1)],
    strength=2,
)
def test_pull_vjp_is_the_finite_difference_of_pull(d, interpolation, border, extent, frame, kind, batch, seed):
    images, geometries = batch
    geometry, lattice = make_call(kind, frame, d, geometries, seed)
    plan = plan_of(d, interpolation, border, extent, (0.5, -1.5))
    rng = np.random.default_rng(seed + 1)
    image = rng.normal(size=(images, 2, *IN_SHAPES[d]))
    grad = rng.normal(size=(2, 2, *lattice.shape))
    grad_image, grad_geometry = reference.pull_vjp(image, geometry, grad, lattice, plan)
    assert grad_image.shape == image.shape
    assert grad_geometry.shape == geometry.shape

    direction = rng.normal(size=image.shape)
    up, down = (reference.pull(image + sign * direction, geometry, lattice, plan) for sign in (1, -1))
    # Values are affine in the image: the difference is exact but for rounding.
    np.testing.assert_allclose(np.vdot(grad_image, direction), np.vdot(grad, up - down) / 2, rtol=1e-11, atol=1e-11)

    h = 1e-5
    direction = rng.normal(size=geometry.shape)
    up, down = (reference.pull(image, geometry + sign * h * direction, lattice, plan) for sign in (1, -1))
    # A polynomial of degree d between knots: an error of h**2, more near a horizon, and rounding over h.
    expected = np.vdot(grad, up - down) / (2 * h)
    np.testing.assert_allclose(np.vdot(grad_geometry, direction), expected, rtol=1e-5, atol=1e-6)


@borders
def test_at_a_knot_the_value_is_exact_and_the_slope_that_on_the_right(border):
    image = np.array([1.0, 4.0, -2.0, 7.0])
    k = np.arange(-6, 11)
    extended = np.pad(image, 8, mode=border, **({"constant_values": 0.5} if border == "constant" else {}))
    plan = plan_of(1, "linear", border, fill=(0.5,))
    coords, lattice = k[None, :, None].astype(float), given_lattice(k.shape, 1)
    value = reference.pull(image[None, None], coords, lattice, plan)[0, 0]
    slope = reference.gradient(image[None, None], coords, lattice, plan)[0, 0, :, 0]
    np.testing.assert_array_equal(value, extended[k + 8])
    np.testing.assert_array_equal(slope, extended[k + 9] - extended[k + 8])


def test_nearest_rounds_halves_up():
    coords = np.array([[-0.5], [0.49], [0.5], [1.5], [2.5]])[None]
    value = reference.pull(
        np.arange(3.0)[None, None], coords, given_lattice((5,), 1), plan_of(1, "nearest", fill=(9.0,))
    )
    np.testing.assert_array_equal(value[0, 0], [0, 0, 1, 2, 9])


def test_crop_gives_fill_outside_the_outermost_samples_and_keeps_them():
    coords = np.array([[-1e-9], [0.0], [1.5], [2.0], [2.0 + 1e-9]])[None]
    plan = plan_of(1, "linear", "edge", "crop", (9.0,))
    value = reference.pull(np.arange(3.0)[None, None], coords, given_lattice((5,), 1), plan)
    np.testing.assert_array_equal(value[0, 0], [9, 0, 1.5, 2, 9])


@pytest.mark.filterwarnings("error")
@covered(
    bad=[np.nan, np.inf, -np.inf, 1e300, -1e300, 2.0**30, -(2.0**30)],
    axis=[0, 1],
    interpolation=SUMS,
    border=list(BORDERS),
    extent=EXTENTS,
    strength=2,
)
def test_unreadable_coordinates_give_fill_and_no_gradient(bad, axis, interpolation, border, extent, seed):
    image = np.random.default_rng(seed).normal(size=(1, 2, 3, 4))
    coords = np.full((1, 2, 2), 1.25)
    coords[0, 0, axis] = bad
    lattice, plan = given_lattice((2,), 2), plan_of(2, interpolation, border, extent, (5.0, 6.0))
    np.testing.assert_array_equal(reference.pull(image, coords, lattice, plan)[0, :, 0], [5.0, 6.0])
    np.testing.assert_array_equal(reference.gradient(image, coords, lattice, plan)[0, :, 0], 0)
    grad = np.array([[[np.nan, 1.0], [np.nan, 1.0]]])
    grad_image, grad_coords = reference.pull_vjp(image, coords, grad, lattice, plan)
    only_readable = reference.push(grad[..., 1:], coords[:, 1:], given_lattice((1,), 2), plan, image.shape)
    np.testing.assert_array_equal(grad_image, only_readable)
    np.testing.assert_array_equal(grad_coords[0, 0], 0)
    assert np.isfinite(grad_coords).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_an_unreadable_matrix_gives_fill_and_no_gradient(bad):
    matrix, lattice = make_call("affine", "centered", 2)
    matrix[0, 1, 2] = bad
    image = np.ones((1, 1, *IN_SHAPES[2]))
    plan = plan_of(2, fill=(5.0,))
    assert (reference.pull(image, matrix, lattice, plan)[0] == 5.0).all()
    _, grad_matrix = reference.pull_vjp(image, matrix, np.ones((2, 1, *lattice.shape)), lattice, plan)
    assert (grad_matrix[0] == 0).all()


@pytest.mark.parametrize("border", ["reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("k", [2**30 - 1, -(2**30) + 1, 123_456_789])
def test_periodic_borders_hold_to_the_last_readable_coordinate(border, k):
    image = np.arange(5.0)
    plan = plan_of(1, "nearest", border, fill=(-1.0,))
    value = reference.pull(image[None, None], np.full((1, 1, 1), float(k)), given_lattice((1,), 1), plan)
    period = {"reflect": 8, "symmetric": 10, "wrap": 5}[border]
    extended = np.pad(image, (0, period), mode=border)
    assert value.item() == extended[k % period]


@extents
@pytest.mark.parametrize("fill", [np.nan, np.inf])
def test_a_fill_that_is_not_finite_stays_outside(fill, extent):
    image = np.arange(6.0).reshape(1, 1, 2, 3)
    coords = np.array([[[1.0, 2.0], [0.5, 2.0], [1.0, 0.5], [0.5, 2.5], [-3.0, 0.0]]])
    value = reference.pull(image, coords, given_lattice((5,), 2), plan_of(2, "linear", "constant", extent, (fill,)))
    np.testing.assert_array_equal(value[0, 0], [5, 3.5, 3.5, fill, fill])


def test_slopes_reach_a_fill_of_nan_only_along_the_axis_on_which_its_share_changes():
    image = np.arange(6.0).reshape(1, 1, 2, 3)
    coords = np.array([[[1.5, 1.0], [0.5, 2.0], [1.5, 7.0]]])
    plan = plan_of(2, "linear", "constant", fill=(np.nan,))
    slopes = reference.gradient(image, coords, given_lattice((3,), 2), plan)
    np.testing.assert_array_equal(slopes[0, 0], [[np.nan, 0.5], [3, np.nan], [0, 0]])


@extents
@interpolations
def test_an_image_without_samples_is_all_fill(extent, interpolation):
    image = np.zeros((1, 2, 0, 3))
    coords = np.array([[[0.0, 0.0], [-1.0, 1.5]]])
    lattice, plan = given_lattice((2,), 2), plan_of(2, interpolation, "constant", extent, (5.0, 6.0))
    np.testing.assert_array_equal(reference.pull(image, coords, lattice, plan), [[[5, 5], [6, 6]]])
    assert (reference.gradient(image, coords, lattice, plan) == 0).all()
    assert reference.push(np.ones((1, 2, 2)), coords, lattice, plan, image.shape).shape == image.shape


def test_axes_may_differ_in_interpolation_and_border():
    image = np.arange(6.0).reshape(1, 1, 2, 3)
    plan = make_plan(("nearest", "linear"), ("wrap", "edge"), "blend", (0.0,))
    value = reference.pull(image, np.array([[[1.6, 0.5], [0.4, 7.0]]]), given_lattice((2,), 2), plan)
    np.testing.assert_array_equal(value[0, 0], [0.5, 2.0])
