"""Anything may stand in coordinates and in `fill`: what cannot be read gives `fill` and no derivative of any order."""

from dataclasses import replace

import numpy as np
import pytest
from cases import BORDERS, EXTENTS, KINDS, SUMS, make
from covering import covered
from engines import ENGINES, REFERENCE, TWICE
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback._plan import LATTICES

STRANGE = [
    *(np.nan, np.inf, -np.inf, 1e300, -1e300, 2.0**30, -(2.0**30), 2.0**30 - 1, 1 - 2.0**30, 2.0**31, -(2.0**31)),
    *(2.0**63, 1e9, -1e9, 1e-310, -1e-310, -0.0),
]
NOT_FINITE = [np.nan, np.inf, -np.inf]


def hold(engine, case, tolerance=1e-12):
    """Values, slopes and gradients, of the size of one."""
    dtype = np.float32 if case.geometry.dtype == np.float32 else np.float64
    np.testing.assert_allclose(engine.pull(case), REFERENCE.pull(case), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(engine.gradient(case), REFERENCE.gradient(case), rtol=tolerance, atol=tolerance)
    grad = np.ones(case.values_shape)
    found, wanted = engine.vjp(case, grad), REFERENCE.vjp(case, grad)
    np.testing.assert_allclose(found[0], wanted[0], rtol=tolerance, atol=tolerance)
    # Gradients have the dtype of the coordinates.
    np.testing.assert_allclose(found[1], wanted[1], rtol=tolerance, atol=1e-6 if dtype == np.float32 else tolerance)


@covered(
    engine=ENGINES,
    interpolation=SUMS,
    border=BORDERS,
    extent=EXTENTS,
    ndim=[1, 2],
    dtype=[np.float32, np.float64],
    fill=[0.5, -2.0],
)
@np.errstate(over="ignore")
def test_strange_coordinates(engine, interpolation, border, extent, ndim, dtype, fill, seed):
    mode, sides = (interpolation, border, extent), (len(STRANGE),) * ndim
    case = make(ndim, mode, batch=(1, 1), channels=1, points=sides, dtype=np.float64, fill=fill, seed=seed)
    random = np.random.default_rng(seed)
    among = np.concatenate([STRANGE, random.uniform(-3, 15, len(STRANGE))])
    geometry = np.stack(np.meshgrid(*[random.permutation(among)[: len(STRANGE)]] * ndim, indexing="ij"), -1)[None]
    hold(engine, replace(case, geometry=geometry.astype(dtype)), 1e-11)


@covered(engine=ENGINES, interpolation=SUMS, border=BORDERS, extent=EXTENTS, fill=NOT_FINITE, kind=KINDS, strength=2)
def test_a_fill_that_is_not_finite_stays_where_it_has_a_share(engine, interpolation, border, extent, fill, kind, seed):
    case = make(2, (interpolation, border, extent), kind=kind, dtype=np.float64, fill=(fill, 0.5), seed=seed)
    np.testing.assert_allclose(engine.pull(case), REFERENCE.pull(case), rtol=0, atol=1e-12)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
@pytest.mark.parametrize("fill", NOT_FINITE)
@pytest.mark.parametrize("extent", EXTENTS)
def test_slopes_reach_a_fill_that_is_not_finite_where_its_share_changes(engine, fill, extent):
    case = make(2, ("linear", "constant", extent), batch=(1, 1), channels=1, points=(6,), dtype=np.float64, fill=fill)
    x = np.array([[[1.0, 2.0], [0.5, 2.0], [1.0, 0.5], [0.5, 2.5], [-3.0, 0.0], [1.5, 1.0]]])
    case = replace(case, image=np.arange(6.0).reshape(1, 1, 2, 3), geometry=x)
    np.testing.assert_array_equal(engine.pull(case), REFERENCE.pull(case))
    np.testing.assert_array_equal(engine.gradient(case), REFERENCE.gradient(case))


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_beyond_the_horizon_is_fill(engine):
    """Of a map that has one side; the other kind shows what is read there."""
    mode, sides = ("linear", "reflect", "blend"), (40, 50)
    case = make(2, mode, kind="one-sided", batch=(1, 1), channels=1, shape=sides, points=sides, dtype=np.float64)
    # From row 20 on, the denominator is not positive.
    case = replace(case, geometry=np.array([[[1.0, 0, 0], [0, 1, 0], [-0.05, 0, 1]]]))
    values = engine.pull(case)[0, 0]
    assert np.all(values[20:] == 0.5)
    assert np.all(values[:20] != 0.5)
    on_image, on_matrix = engine.vjp(case, np.ones((1, 1, 40, 50)))
    assert np.isfinite(on_image).all()
    assert np.isfinite(on_matrix).all()
    both = replace(case, lattice=replace(case.lattice, kind=LATTICES["projective"]))
    values = engine.pull(both)[0, 0]
    assert np.all(values[20] == 0.5)
    assert np.all(values[21:] != 0.5)
    np.testing.assert_allclose(values, REFERENCE.pull(both)[0, 0], rtol=0, atol=1e-9)


@covered(engine=ENGINES, kind=["affine", "displacement"], bad=[np.nan, np.inf, 1e300], extent=EXTENTS)
def test_strange_transforms(engine, kind, bad, extent, seed):
    """One batch entry is unreadable, in part or wholly, and the others know nothing of it."""
    case = make(2, ("linear", "reflect", extent), kind=kind, dtype=np.float64, batch=(1, 3), fill=5.0, seed=seed)
    geometry = case.geometry.copy()
    geometry[1].flat[seed % geometry[1].size] = bad
    case = replace(case, geometry=geometry)
    with np.errstate(all="ignore"):
        found, wanted = engine.pull(case), REFERENCE.pull(case)
        grad = np.ones(case.values_shape)
        on_image, on_geometry = engine.vjp(case, grad)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-11)
    assert np.isfinite(on_image).all()
    assert np.isfinite(on_geometry).all()
    for one in (0, 2):
        alone = replace(case, geometry=geometry[one : one + 1])
        np.testing.assert_allclose(on_geometry[one], REFERENCE.vjp(alone, grad[:1])[1][0], rtol=1e-10, atol=1e-10)


@covered(engine=ENGINES, kind=KINDS, bad=NOT_FINITE, extent=EXTENTS, dtype=[np.float32, np.float64], strength=2)
def test_parameters_that_are_not_finite_are_seen(engine, kind, bad, extent, dtype, seed):
    """Of a transform: values and the parameters' gradient are NaN, in the whole entry or where the sample is read."""
    case = make(2, ("linear", "reflect", extent), kind=kind, dtype=dtype, batch=(1, 3), fill=5.0, seed=seed)
    geometry = case.geometry.copy()
    geometry[1].flat[seed % geometry[1].size] = bad
    case = replace(case, geometry=geometry, lattice=replace(case.lattice, is_computed=True))
    grad, tolerance = np.ones(case.values_shape, dtype), 1e-3 if dtype == np.float32 else 1e-10
    with np.errstate(all="ignore"):
        found, wanted = engine.pull(case), REFERENCE.pull(case)
        slopes, wanted_slopes = engine.gradient(case), REFERENCE.gradient(case)
        (on_image, on_geometry), wanted_grads = engine.vjp(case, grad), REFERENCE.vjp(case, grad)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)
    np.testing.assert_array_equal(np.isnan(slopes), np.isnan(wanted_slopes))
    assert np.isnan(found[1]).any()
    assert np.isfinite(on_image).all()
    assert np.isnan(on_geometry[1]).any()
    np.testing.assert_array_equal(np.isnan(on_geometry), np.isnan(wanted_grads[1]))


@covered(engine=TWICE, kind=KINDS, bad=NOT_FINITE, strength=2)
def test_parameters_that_are_not_finite_are_seen_in_the_second_order(engine, kind, bad, seed):
    case = make(2, ("linear", "reflect", "blend"), kind=kind, dtype=np.float64, batch=(1, 3), channels=1, seed=seed)
    geometry = case.geometry.copy()
    geometry[1].flat[seed % geometry[1].size] = bad
    case = replace(case, geometry=geometry, lattice=replace(case.lattice, is_computed=True))
    ones = np.ones_like(case.image), np.ones_like(geometry), np.ones(case.values_shape)
    lost = np.isnan(REFERENCE.pull(case))
    np.testing.assert_array_equal(np.isnan(engine.jvp(case, *ones[:2])), lost)
    on_image, on_geometry = engine.second(case, *ones)[:2]
    assert np.isfinite(on_image).all()
    assert np.isfinite(on_geometry[[0, 2]]).all()


AWKWARD = st.one_of(st.integers(-9, 12).map(lambda k: k / 2), st.floats(-9, 12), st.sampled_from(STRANGE))


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=50, deadline=None)
@given(data=st.data(), shape=st.lists(st.integers(1, 4), min_size=1, max_size=3), extent=st.sampled_from(EXTENTS))
def test_coordinates_at_knots_and_beyond(engine, data, shape, extent):
    """Where values jump and slopes do, the reference's side of the jump is taken: the right-hand one."""
    d = len(shape)
    names = (tuple(data.draw(st.sampled_from(known)) for _ in shape) for known in (SUMS, BORDERS))
    points = data.draw(st.lists(st.tuples(*[AWKWARD] * d), min_size=1, max_size=4), label="points")
    options = dict(batch=(1, 1), channels=1, shape=shape, points=(len(points),), dtype=np.float64)
    hold(ENGINES[engine], replace(make(d, (*names, extent), **options), geometry=np.array([points])))


@covered(
    engine=TWICE,
    interpolation=SUMS,
    border=BORDERS,
    extent=EXTENTS,
    fill=[2.0, np.nan],
    bad=[np.nan, np.inf, 1e30],
    strength=2,
)
def test_no_derivative_of_any_order_passes_an_unreadable_point(engine, interpolation, border, extent, fill, bad, seed):
    mode = (interpolation, border, extent)
    case = make(2, mode, batch=(1, 1), channels=1, shape=(3, 3), points=(3,), dtype=np.float64, fill=fill)
    geometry = np.array([[[1.0, bad], [bad, bad], [bad, 1.5]]])
    case = replace(case, image=np.full((1, 1, 3, 3), np.nan), geometry=geometry)
    np.testing.assert_array_equal(engine.pull(case), np.full((1, 1, 3), fill))
    ones = np.ones_like(case.image), np.ones_like(geometry), np.ones(case.values_shape)
    for derivative in (*engine.vjp(case, ones[2]), engine.jvp(case, *ones[:2]), *engine.second(case, *ones)):
        assert np.all(derivative == 0)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_values_that_a_push_drops_reach_nothing(engine):
    case = make(2, batch=(1, 1), channels=1, shape=(3, 3), points=(2,), dtype=np.float64, fill=0)
    case = replace(case, geometry=np.array([[[1.0, np.nan], [7.0, 1.5]]]))
    assert np.all(engine.push(case, np.full((1, 1, 2), np.nan)) == 0)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
@pytest.mark.parametrize("bad", NOT_FINITE)
@pytest.mark.parametrize("interpolation", SUMS)
def test_a_tap_of_weight_zero_contributes_nothing(engine, bad, interpolation):
    """At a sample, where kernels that interpolate have one weight alone, be its neighbours what they may."""
    case = make(
        1, (interpolation, "edge", "blend"), batch=(1, 1), channels=1, shape=(40,), points=(3,), dtype=np.float32
    )
    image = np.arange(40, dtype=np.float32)[None, None]
    image[..., [18, 22]] = bad
    case = replace(case, image=image, geometry=np.array([[[20.0], [10.0], [30.0]]]))
    np.testing.assert_allclose(engine.pull(case), REFERENCE.pull(case), rtol=1e-6)
    assert not interpolation.startswith(("nearest", "linear", "cubic")) or np.isfinite(engine.pull(case)).all()
