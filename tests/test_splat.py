"""Splatting: the adjoint of sampling, and means of what arrives, that leave no hole where a point reaches."""

import numpy as np
import pytest
from covering import covered

import pullback as pb

torch = pytest.importorskip("torch")

RANDOM = np.random.default_rng(0)
SHAPES = {1: (9,), 2: (6, 7), 3: (3, 4, 5)}
POSITIVE = ["nearest", "linear", "bspline2", "bspline3", "bspline4", "bspline5"]
SIGNED = ["cubic", "mitchell", "lanczos2", "lanczos3", "lanczos4", "spline2", "spline3", "spline4", "spline5"]
BORDERS = ["constant", "edge", "reflect", "symmetric", "wrap"]
SPREADS = {"close": 1.0, "far apart": 300.0, "all bands": 1e4, "without bound": 1e30}


@pytest.fixture(autouse=True)
def _same_numbers_whatever_ran_before(seed):
    global RANDOM
    RANDOM = np.random.default_rng(seed)


def points_in(shape, count, margin=1.0):
    return RANDOM.uniform(-margin, np.array(shape) - 1 + margin, (count, len(shape)))


def weights_of(x, shape, **options):
    """Return the weight of each point at each sample, (samples, points): what sampling unit images gives."""
    units = np.eye(np.prod(shape)).reshape(-1, *shape)
    return pb.sample(units, x, channel_axis=0, **options)


def softmax_of(values, weights, z):
    """Return the definition, a sample at a time, in logarithms."""
    image = np.full(len(weights), np.nan)
    for k, row in enumerate(weights):
        reaching = np.flatnonzero(row > 0)
        if len(reaching):
            share = row[reaching] * np.exp(z[reaching] - z[reaching].max())
            image[k] = (share * values[reaching]).sum() / share.sum()
    return image


@covered(interpolation=POSITIVE + SIGNED, border=BORDERS, ndim=list(SHAPES), strength=2)
def test_the_sum_is_the_adjoint(interpolation, border, ndim):
    shape, options = SHAPES[ndim], {"interpolation": interpolation, "border": border}
    x, v, f = points_in(shape, 40), RANDOM.standard_normal(40), RANDOM.standard_normal(shape)
    left, right = (pb.sample(f, x, **options) * v).sum(), (f * pb.splat(v, x, shape, **options)).sum()
    # Both are sums of the same 40 times taps products, in another order.
    assert abs(left - right) < 1e-12 * np.abs(v).sum() * np.abs(f).max() * 10


@covered(interpolation=POSITIVE + SIGNED, border=BORDERS)
def test_means(interpolation, border):
    shape, options = SHAPES[2], {"interpolation": interpolation, "border": border}
    x, v = points_in(shape, 12), RANDOM.standard_normal((3, 12))
    weights = weights_of(x, shape, **options)
    total, coverage = v @ weights.T, weights.sum(1)
    reached = coverage > (0 if interpolation in POSITIVE else 0.1)
    wanted = np.where(reached, total / np.where(reached, coverage, 1), -7).reshape(3, *shape)
    found, weight = pb.splat(v, x, shape, normalize=True, fill=-7, return_weight=True, **options)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)
    np.testing.assert_allclose(weight, np.broadcast_to(coverage.reshape(shape), (3, *shape)), rtol=0, atol=1e-13)


@covered(interpolation=POSITIVE, border=BORDERS, spread=list(SPREADS), strength=2)
def test_softmax(interpolation, border, spread):
    shape, options = SHAPES[2], {"interpolation": interpolation, "border": border}
    x, v, z = points_in(shape, 12), RANDOM.standard_normal(12), SPREADS[spread] * RANDOM.standard_normal(12)
    wanted = softmax_of(v, weights_of(x, shape, **options), z).reshape(shape)
    found = pb.splat(v, x, shape, normalize="softmax", importance=z, **options)
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
    single = pb.splat(v.astype(np.float32), x, shape, normalize="softmax", importance=z, **options)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, wanted, rtol=0, atol=1e-4)


@covered(interpolation=POSITIVE + SIGNED, border=BORDERS, spread=list(SPREADS), strength=2)
def test_the_most_important_point_wins(interpolation, border, spread):
    shape, options = SHAPES[2], {"interpolation": interpolation, "border": border}
    x, v, z = points_in(shape, 12), RANDOM.standard_normal((2, 12)), SPREADS[spread] * RANDOM.standard_normal(12)
    kernel = interpolation if not interpolation.startswith("spline") else "b" + interpolation
    reaches = weights_of(x, shape, interpolation=kernel, border=border) != 0
    winner = np.where(reaches, z, -np.inf).argmax(1)
    wanted = np.where(reaches.any(1), v[:, winner], np.nan).reshape(2, *shape)
    np.testing.assert_array_equal(pb.splat(v, x, shape, normalize="max", importance=z, **options), wanted)


@pytest.mark.parametrize("normalize", [True, "softmax", "max"])
def test_a_hole_shows_and_nothing_else_is_one(normalize):
    """However unimportant the points that reach a sample, it is no hole; where none does, it has the fill."""
    v, x = np.array([1.0, 2.0, 3.0]), np.array([[0.25], [3.0], [5.0]])
    z = None if normalize is True else np.array([-1e6, 50.0, 1e6])
    for dtype in (np.float32, np.float64):
        found = pb.splat(v.astype(dtype), x, (8,), normalize=normalize, importance=z)
        np.testing.assert_allclose(found, [1, 1, np.nan, 2, np.nan, 3, np.nan, np.nan], rtol=1e-6)
    found = pb.splat(v, x, (8,), normalize=normalize, importance=z, fill=-1)
    np.testing.assert_allclose(found, [1, 1, -1, 2, -1, 3, -1, -1], rtol=1e-12)
    two = pb.splat(np.stack([v, v]), x, (8,), normalize=normalize, importance=z, fill=[-1, -2])
    assert two[:, 2].tolist() == [-1, -2]


@pytest.mark.parametrize("normalize", ["softmax", "max"])
def test_points_that_are_left_out(normalize):
    v, x = np.array([1.0, np.nan, 3.0, 4.0]), np.array([[0.0], [0.0], [1.0], [0.0]])
    z = np.array([1.0, np.nan, -np.inf, -200.0])
    found = pb.splat(v, x, (2,), normalize=normalize, importance=z)
    np.testing.assert_array_equal(found, [1, np.nan])
    np.testing.assert_array_equal(
        pb.splat(v, x, (2,), normalize=normalize, importance=np.full(4, np.nan), fill=5), [5, 5]
    )


@pytest.mark.parametrize("normalize", [False, True, "softmax", "max"])
def test_no_points(normalize):
    z = None if isinstance(normalize, bool) else np.zeros(0)
    found = pb.splat(np.zeros((2, 0)), np.zeros((0, 2)), (3, 4), normalize=normalize, importance=z, fill=7)
    assert found.tolist() == np.full((2, 3, 4), 7.0 if normalize else 0.0).tolist()
    found = pb.splat(torch.zeros(2, 0), torch.zeros(0, 2), (3, 4), normalize=normalize, importance=z, fill=7)
    assert found.tolist() == np.full((2, 3, 4), 7.0 if normalize else 0.0).tolist()


LAYOUTS = {
    "points": ((12,), (12, 2), (12,)),
    "channels": ((3, 12), (12, 2), (12,)),
    "lattice": ((3, 4), (3, 4, 2), (3, 4)),
    "batch": ((2, 3, 12), (2, 12, 2), (2, 12)),
    "shared coords": ((2, 3, 12), (1, 12, 2), (2, 12)),
    "shared coords and importance": ((2, 3, 12), (1, 12, 2), (1, 12)),
    "shared values": ((1, 3, 12), (2, 12, 2), (2, 12)),
    "shared values and importance": ((1, 3, 12), (2, 12, 2), (1, 12)),
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("normalize", [True, "softmax", "max"])
def test_layouts(name, normalize):
    """Every entry and channel is what it is alone, for arrays and for tensors."""
    values, coords, importance = LAYOUTS[name]
    v, x = RANDOM.standard_normal(values), RANDOM.uniform(-1, 6, coords)
    z = None if normalize is True else 100 * RANDOM.standard_normal(importance)
    options = {"normalize": normalize, "importance": z, "return_weight": True}
    found, weight = pb.splat(v, x, (6, 7), **options)
    assert weight.shape == found.shape
    tensors = pb.splat(torch.tensor(v), torch.tensor(x), (6, 7), **options)
    for ours, theirs in zip(tensors, (found, weight), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    batch = max(values[0], coords[0]) if len(values) == 3 else 1
    entry = lambda array, n: array[n % len(array)] if batch > 1 else array  # noqa: E731
    for n in range(batch):
        v_n, x_n = entry(v, n), entry(x, n)
        z_n = None if z is None else entry(z, n)
        for c, channel in enumerate(v_n if v_n.ndim == x_n.ndim else v_n[None]):
            image, coverage = pb.splat(channel, x_n, (6, 7), **options | {"importance": z_n})
            place = (n,) * (batch > 1) + (c,) * (v_n.ndim == x_n.ndim)
            np.testing.assert_allclose(found[place], image, rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(weight[place], coverage, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float32", "float64", "complex64"])
@pytest.mark.parametrize("normalize", [False, True, "softmax", "max"])
def test_dtypes(dtype, normalize):
    v, x = (50 * RANDOM.random((2, 30))).astype(dtype), points_in((6, 7), 30)
    z = None if isinstance(normalize, bool) else RANDOM.standard_normal(30).astype(np.float32)
    found = pb.splat(v, x, (6, 7), normalize=normalize, importance=z)
    sums = {"uint8": "float32", "int64": "float64", "float16": "float32"}
    assert found.dtype == sums.get(dtype, dtype)
    wanted = pb.splat(v.astype(complex), x, (6, 7), normalize=normalize, importance=z)
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=1e-4)
    tensor = pb.splat(torch.tensor(v), torch.tensor(x), (6, 7), normalize=normalize, importance=z)
    assert tensor.dtype == (torch.float16 if dtype == "float16" else torch.tensor(found).dtype)
    # exp() is rounded otherwise by NumPy and by torch
    np.testing.assert_allclose(tensor, found, rtol=1e-3 if dtype == "float16" else 1e-6, atol=0)


@pytest.mark.parametrize("interpolation", ["linear", "bspline3"])
@pytest.mark.parametrize("spread", [1.0, 100.0])
def test_gradcheck(interpolation, spread):
    # Two points a sample on average, so that many samples are reached by several; away from knots.
    x = np.floor(points_in((4, 5), 30, margin=0)) + RANDOM.uniform(0.1, 0.4, (30, 2))
    inputs = [torch.tensor(array, requires_grad=True) for array in (RANDOM.standard_normal((2, 30)), x)]
    z = torch.tensor(spread * RANDOM.standard_normal(30), requires_grad=True)
    options = {"interpolation": interpolation, "fill": 0, "return_weight": True}

    def mean(v, x):
        return pb.splat(v, x, (4, 5), normalize=True, **options)

    def softmax(v, x, z):
        return pb.splat(v, x, (4, 5), normalize="softmax", importance=z, **options)

    assert torch.autograd.gradcheck(mean, inputs, eps=1e-7, atol=1e-5, fast_mode=True)
    assert torch.autograd.gradcheck(softmax, (*inputs, z), eps=1e-7, atol=1e-5, fast_mode=True)
    values = inputs[0]
    winners = lambda v: pb.splat(v, x, (4, 5), normalize="max", importance=z.detach(), **options)[0]  # noqa: E731
    assert torch.autograd.gradcheck(winners, (values,))


def test_frames():
    v, x = RANDOM.standard_normal(20), points_in((6, 9), 20)
    xy = (2 * x + 1) / np.array([6, 9]) - 1
    for options in ({}, {"normalize": True}, {"normalize": "max", "importance": v}):
        wanted = pb.splat(v, x, (6, 9), **options)
        np.testing.assert_allclose(pb.splat(v, xy[:, ::-1], (6, 9), frame="normalized", **options), wanted, atol=1e-12)


def test_forward_mapping_is_undone_by_sampling():
    """A smooth image, pushed to where a turn takes its pixels, is that image where it is read back."""
    y, x = np.mgrid[:40, :40].astype(float)
    image = np.sin(x / 6) * np.cos(y / 7)
    turn = pb.Affine.rotation(20, center=(19.5, 19.5))
    points = turn(np.stack([y, x], -1))
    pushed = pb.splat(image, points, (40, 40), normalize=True, fill=0)
    back = pb.sample(pushed, points)
    inner = np.hypot(y - 19.5, x - 19.5) < 17
    # Twice a linear interpolation of something with second derivatives of 1/36 + 1/49.
    assert np.abs(back - image)[inner].max() < 2 * (1 / 36 + 1 / 49)


# Weights


@pytest.mark.parametrize("normalize", [False, True, "softmax", "max"])
def test_weights_of_values(normalize):
    values, coords = RANDOM.standard_normal((3, 40)), RANDOM.uniform(0, 7, (40, 2))
    weight, importance = RANDOM.random(40), RANDOM.standard_normal(40)
    weight[::4] = 0
    values[:, ::4] = np.nan  # what has no weight is left out, whatever it is
    options = {"normalize": normalize, "fill": 0, "return_weight": True}
    options |= {"importance": importance} if normalize in ("softmax", "max") else {}
    image, coverage = pb.splat(values, coords, (8, 8), weight=weight, **options)
    known = np.where(weight > 0, values, 0)
    np.testing.assert_allclose(coverage[0], pb.splat(weight, coords, (8, 8)), rtol=1e-12, atol=1e-15)
    if normalize == "max":
        kept = weight > 0
        options["importance"] = importance[kept]
        np.testing.assert_array_equal(image, pb.splat(values[:, kept], coords[kept], (8, 8), **options)[0])
        return
    share = weight * (np.exp(importance) if normalize == "softmax" else 1)
    wanted = pb.splat(known * share, coords, (8, 8))
    if normalize:
        total = pb.splat(share, coords, (8, 8))
        wanted = np.where(total > 0, wanted / np.where(total > 0, total, 1), 0)
    np.testing.assert_allclose(image, wanted, rtol=1e-10, atol=1e-12)


def test_weights_of_each_value_of_each_channel():
    values, coords = RANDOM.standard_normal((2, 3, 40)), RANDOM.uniform(0, 7, (2, 40, 2))
    weight = RANDOM.random((2, 3, 40))
    image = pb.splat(values, coords, (8, 8), weight=weight, normalize=True)
    for b in range(2):
        for c in range(3):
            alone = pb.splat(values[b, c], coords[b], (8, 8), weight=weight[b, c], normalize=True)
            np.testing.assert_allclose(image[b, c], alone, rtol=1e-12)


def test_masked_values_are_left_out():
    values, coords = RANDOM.standard_normal(40), RANDOM.uniform(0, 7, (40, 2))
    hidden = RANDOM.random(40) < 0.5
    image = pb.splat(np.ma.array(values, mask=hidden), coords, (8, 8), normalize=True)
    wanted = pb.splat(values[~hidden], coords[~hidden], (8, 8), normalize=True)
    np.testing.assert_array_equal(image.mask, np.isnan(wanted))
    np.testing.assert_allclose(image.compressed(), wanted[~np.isnan(wanted)], rtol=1e-12)


@pytest.mark.parametrize("normalize", [False, True, "softmax"])
def test_gradients_in_weights_of_values(normalize):
    torch = pytest.importorskip("torch")
    values, coords = torch.tensor(RANDOM.standard_normal(9)), torch.tensor(RANDOM.uniform(0.1, 3.9, (9, 2)))
    weight, importance = torch.tensor(RANDOM.uniform(0.2, 0.8, 9)), torch.tensor(RANDOM.standard_normal(9))

    def splat(values, weight, importance=None):
        options = {"importance": importance} if normalize == "softmax" else {}
        return pb.splat(values, coords, (5, 5), weight=weight, normalize=normalize, fill=0, **options)

    inputs = [each.requires_grad_() for each in (values, weight, importance)]
    torch.autograd.gradcheck(
        splat, inputs[: 3 if normalize == "softmax" else 2] + ([None] if normalize != "softmax" else [])
    )


@pytest.mark.parametrize("dtype", [np.float16, np.int16, np.uint8, np.bool_])
def test_importance_of_any_dtype_is_weighed_in_double_precision(dtype):
    """The exponential of a difference of 20 is nothing in half precision, and unsigned numbers have no differences."""
    importance = np.array([0, 1, 3, 20]).astype(dtype)
    values, coords = np.array([1.0, 10.0, 100.0, 1000.0]), np.zeros((4, 1))
    found = pb.splat(values, coords, (1,), normalize="softmax", importance=importance)
    wide = importance.astype(float)
    weight = np.exp(wide - wide.max())
    np.testing.assert_allclose(found, [weight @ values / weight.sum()], rtol=1e-12)


@pytest.mark.parametrize("normalize", [False, True, "softmax", "max"])
def test_weights_that_axes_share(normalize):
    """As if they were written out."""
    random = np.random.default_rng(0)
    values, coords, weight = random.random((2, 3, 5, 6)), 4 * random.random((2, 5, 6, 2)), random.random((2, 5, 1))
    options = dict(shape=(5, 5), normalize=normalize, return_weight=True)
    if isinstance(normalize, str):
        options["importance"] = random.random((2, 5, 6))
    found = pb.splat(values, coords, weight=weight, **options)
    wanted = pb.splat(values, coords, weight=np.broadcast_to(weight, (2, 5, 6)), **options)
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(ours, theirs)
