"""Forward mode and the second order are the differences of what the reference gives to the first."""

from dataclasses import replace

import numpy as np
import pytest
from cases import BATCHES, BORDERS, EXTENTS, KINDS, NDIMS, SUMS, make
from covering import covered
from engines import REFERENCE, TWICE
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback import _reference

STEP = 5e-6  # a unit of motion moves no point by more than a sample, so that this moves none over a knot (cases.NEAR)
# A central difference is off by STEP**2 times a third derivative of up to 1e3, by roundings of 1e-13 over STEP; sums of
# 600 points by some ten times as much.
TOLERANCE = 1e-6


def motions(case, seed):
    """Return how image and geometry move, and a cotangent of the values."""
    random = np.random.default_rng(seed + 1)
    image_dot, geometry_dot, grad = (
        random.uniform(-1, 1, shape) for shape in (case.image.shape, case.geometry.shape, case.values_shape)
    )
    x, near = (_reference.coordinates(case.geometry + h * geometry_dot, case.lattice) for h in (0, 1e-7))
    return image_dot, geometry_dot / max(1, 1e7 * np.nanmax(np.abs(near - x), initial=0)), grad


def hold(engine, case, seed):
    image_dot, geometry_dot, grad = motions(case, seed)
    on_image, on_geometry, on_values = REFERENCE.second(case, image_dot, geometry_dot, grad, STEP)
    found = engine.second(case, image_dot, geometry_dot, grad)
    for name, ours, theirs in zip(
        ("on image", "on geometry", "on grad", "jvp"),
        (*found, engine.jvp(case, image_dot, geometry_dot)),
        (on_image, on_geometry, on_values, on_values),
        strict=True,
    ):
        scale = max(1, np.abs(theirs).max(initial=0))
        np.testing.assert_allclose(ours / scale, theirs / scale, rtol=0, atol=TOLERANCE, err_msg=name)


@covered(
    engine=TWICE,
    interpolation=SUMS,
    border=BORDERS,
    extent=EXTENTS,
    ndim=NDIMS,
    kind=KINDS,
    batch=BATCHES,
    strength=2,
)
def test_every_mode(engine, interpolation, border, extent, ndim, kind, batch, seed):
    mode, options = (interpolation, border, extent), dict(batch=batch, dtype=np.float64, points=20, seed=seed)
    hold(engine, make(ndim, mode, kind=kind, frame="centered", fill=(0.5, -1.5), **options), seed)


@covered(engine=TWICE, kind=KINDS, ndim=NDIMS, border=["constant", "wrap"], batch=BATCHES, points=[20, 600])
def test_every_kind(engine, kind, ndim, border, batch, points, seed):
    interpolation = ("linear", "cubic", "bspline3")[seed % 3]
    options = dict(batch=batch, dtype=np.float64, points=points, seed=seed)
    hold(engine, make(ndim, (interpolation, border, "blend"), kind=kind, **options), seed)


@pytest.mark.parametrize("engine", TWICE)
@settings(max_examples=15, deadline=None)
@given(
    data=st.data(),
    ndim=st.sampled_from(NDIMS),
    kind=st.sampled_from(KINDS),
    extent=st.sampled_from(EXTENTS),
    seed=st.integers(0, 10**6),
)
def test_any_shape_and_any_mixture(engine, data, ndim, kind, extent, seed):
    mode = *(tuple(data.draw(st.sampled_from(names)) for _ in range(ndim)) for names in (SUMS, BORDERS)), extent
    shape, points = (tuple(data.draw(st.integers(1, 6)) for _ in range(ndim)) for _ in range(2))
    hold(TWICE[engine], make(ndim, mode, kind=kind, shape=shape, points=points, dtype=np.float64, seed=seed), seed)


@covered(engine=TWICE, interpolation=SUMS, border=BORDERS, extent=EXTENTS, ndim=NDIMS, kind=KINDS, strength=2)
def test_scatter(engine, interpolation, border, extent, ndim, kind, seed):
    """The derivative of a transpose: values are read from the cotangent, and its slopes are along them."""
    batch = list(BATCHES.values())[seed % 3]
    mode, options = (interpolation, border, extent), dict(kind=kind, batch=batch, points=20, fill=0, seed=seed)
    case = make(ndim, mode, dtype=np.float64, **options)
    random = np.random.default_rng(seed + 1)
    values, grad = random.uniform(-1, 1, case.values_shape), random.uniform(-1, 1, case.image.shape)
    turned = replace(case, image=grad)
    wanted = REFERENCE.pull(turned), REFERENCE.vjp(turned, values)[1]
    for ours, theirs in zip(engine.push_vjp(case, values, grad), wanted, strict=True):
        scale = max(1, np.abs(theirs).max(initial=0))
        np.testing.assert_allclose(ours / scale, theirs / scale, rtol=0, atol=1e-10)


@covered(engine=TWICE, interpolation=SUMS, border=BORDERS, extent=EXTENTS, ndim=NDIMS, batch=BATCHES, strength=2)
def test_slopes(engine, interpolation, border, extent, ndim, batch, seed):
    """They move with image and coordinates as the reference's do."""
    mode, options = (interpolation, border, extent), dict(batch=batch, dtype=np.float64, points=20, seed=seed)
    case = make(ndim, mode, fill=(0.5, -1.5), **options)
    image_dot, coords_dot, _ = motions(case, seed)
    ahead, behind = (
        REFERENCE.gradient(replace(case, image=case.image + s * image_dot, geometry=case.geometry + s * coords_dot))
        for s in (STEP, -STEP)
    )
    grad = np.random.default_rng(seed + 2).uniform(-1, 1, ahead.shape)
    on_image, on_coords = engine.gradient_vjp(case, grad)
    found, wanted = np.vdot(on_image, image_dot) + np.vdot(on_coords, coords_dot), np.vdot(grad, ahead - behind)
    # a sum of some hundred terms, in which no single error can hide but by chance
    np.testing.assert_allclose(found, wanted / (2 * STEP), rtol=1e-6, atol=1e-5)


@covered(engine=TWICE, still=["image", "geometry"], kind=KINDS, dtype=[np.float64, np.complex128])
def test_what_does_not_move(engine, still, kind, dtype, seed):
    """A motion of zero is no motion, and complex images are two real ones."""
    case = make(2, ("cubic", "reflect", "blend"), kind=kind, dtype=dtype, points=20, seed=seed)
    image_dot, geometry_dot, grad = motions(case, seed)
    if dtype == np.complex128:
        image_dot, grad = image_dot * (1 - 2j), grad * (0.5 + 1j)
    image_dot, geometry_dot = image_dot * (still != "image"), geometry_dot * (still != "geometry")
    wanted = REFERENCE.second(case, image_dot, geometry_dot, grad, STEP)
    for ours, theirs in zip(engine.second(case, image_dot, geometry_dot, grad), wanted, strict=True):
        scale = max(1, np.abs(theirs).max(initial=0))
        np.testing.assert_allclose(ours / scale, theirs / scale, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("engine", TWICE)
@pytest.mark.parametrize("interpolation", ["lanczos2", "lanczos3", "lanczos4", "bspline3", "bspline4", "bspline5"])
def test_second_derivatives_are_continuous_from_the_right_at_samples(engine, interpolation):
    """Where a quotient of sines has lost all digits, and beside it."""
    case = make(
        1, (interpolation, "constant", "blend"), batch=(1, 1), channels=1, shape=(12,), points=(5,), dtype=np.float64
    )
    x = 5 + np.array([0.0, 1e-12, 1e-9, 1e-6, 1 - 1e-9])
    case = replace(case, geometry=x[None, :, None])
    still, unit = np.zeros_like(case.image), np.ones_like(case.geometry)
    _, curvature, slope = TWICE[engine].second(case, still, unit, np.ones(case.values_shape))
    np.testing.assert_allclose(slope[0, 0], REFERENCE.gradient(case)[0, 0, :, 0], rtol=1e-12, atol=1e-12)
    # Third derivatives of up to 100, times 1e-6.
    np.testing.assert_allclose(curvature[0, 1:4, 0], np.full(3, curvature[0, 0, 0]), rtol=0, atol=1e-4)


@pytest.mark.parametrize("engine", TWICE.values(), ids=TWICE)
@pytest.mark.parametrize("kind", ["given", "affine"])
def test_the_mixed_second_derivative_is_that_of_the_bilinear_cell(engine, kind):
    case = make(2, kind=kind, batch=(1, 1), channels=1, shape=(2, 2), points=(1, 1), dtype=np.float64)
    cell = np.array([[[[1.0, 2.0], [4.0, 9.0]]]])
    at = np.array([0.25, 0.5]).reshape(1, 1, 1, 2) if kind == "given" else np.array([[[0.0, 0, 0.25], [0, 0, 0.5]]])
    case, rows = replace(case, image=cell, geometry=at), []
    y, x = (0, 1) if kind == "given" else (2, 5)
    for along in (y, x):
        unit = np.zeros(at.size)
        unit[along] = 1
        rows.append(engine.second(case, 0 * cell, unit.reshape(at.shape), np.ones(case.values_shape))[1].ravel())
    assert rows[0][x] == rows[1][y] == 9 + 1 - 2 - 4
    assert np.abs(rows).sum() == 2 * rows[0][x]
