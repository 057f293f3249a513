"""Values, slopes, scatter and both gradients are the reference's: in every mode, for every kind of geometry."""

from dataclasses import replace

import numpy as np
import pytest
from cases import BATCHES, BORDERS, EXTENTS, FRAMES, KINDS, NDIMS, SUMS, make, samples
from covering import covered
from engines import ENGINES, REFERENCE
from hypothesis import given, settings
from hypothesis import strategies as st

# Positions carry an error of 1e-5 samples in single precision, slopes are below 2, sums of products below 10.
TOLERANCE = {np.float32: 1e-4, np.float64: 1e-11}
# Slopes are multiplied by scales of up to ten; both gradients are sums of some hundred terms, against the largest.
STEEPER = 10

every_mode = covered(
    engine=ENGINES,
    interpolation=SUMS,
    border=BORDERS,
    extent=EXTENTS,
    ndim=NDIMS,
    kind=KINDS,
    dtype=[np.float32, np.float64],
)
every_geometry = covered(
    engine=ENGINES,
    kind=KINDS,
    ndim=NDIMS,
    frame=FRAMES,
    batch=BATCHES,
    interpolation=["nearest", "linear", "cubic"],
    dtype=[np.float32, np.float64],
    coordinate_dtype=[np.float32, np.float64],
    points=[40, 900],  # less than a block of the native kernels, and one with a remainder
)


def close(found, wanted, tolerance, dtype=None):
    """Hold a result against the truth, relative to its largest number where that is above 1."""
    assert found.shape == wanted.shape
    assert dtype is None or found.dtype == dtype
    scale = max(1, np.abs(wanted).max(initial=0))
    np.testing.assert_allclose(found / scale, wanted / scale, rtol=0, atol=tolerance)


def hold(engine, case, tolerance, seed):
    """Values, slopes and both gradients."""
    dtype = case.image.dtype
    close(engine.pull(case), REFERENCE.pull(case), tolerance, dtype)
    close(engine.gradient(case), REFERENCE.gradient(case), STEEPER * tolerance, dtype)
    grad = np.random.default_rng(seed + 1).uniform(-1, 1, case.values_shape).astype(dtype)
    for found, wanted in zip(engine.vjp(case, grad), REFERENCE.vjp(case, grad), strict=True):
        close(found, wanted, STEEPER * tolerance)


@every_mode
def test_values_slopes_and_gradients(engine, interpolation, border, extent, ndim, kind, dtype, seed):
    mode, fill = (interpolation, border, extent), (0.5, -1.5) if seed % 2 else 0.5
    batch = list(BATCHES.values())[seed % 3]
    case = make(ndim, mode, kind=kind, frame="centered", batch=batch, dtype=dtype, fill=fill, seed=seed)
    hold(engine, case, TOLERANCE[dtype], seed)


@every_geometry
def test_geometries(engine, kind, ndim, frame, batch, interpolation, dtype, coordinate_dtype, points, seed):
    case = make(
        ndim,
        (interpolation, "reflect" if seed % 3 else "constant", "blend"),
        kind=kind,
        frame=frame,
        batch=batch,
        dtype=dtype,
        coordinate_dtype=coordinate_dtype,
        points=points,
        seed=seed,
    )
    # Gradients in single coordinates are rounded to them.
    hold(engine, case, max(TOLERANCE[dtype], 1e-8 if coordinate_dtype == np.float32 else 0), seed)


@every_mode
def test_scatter_is_the_transpose(engine, interpolation, border, extent, ndim, kind, dtype, seed):
    """Sums are the reference's, and <pull f, v> is <f, push v>."""
    batch = list(BATCHES.values())[seed % 3]
    case = make(ndim, (interpolation, border, extent), kind=kind, batch=batch, dtype=dtype, fill=0, seed=seed)
    random = np.random.default_rng(seed + 1)
    case = replace(case, image=random.standard_normal(case.image.shape).astype(dtype))
    v = random.standard_normal(case.values_shape).astype(dtype)
    scattered, values = engine.push(case, v), engine.pull(case)
    close(scattered, REFERENCE.push(case, v), TOLERANCE[dtype], dtype)
    ours, theirs = (np.sum(a * b, dtype=np.float64) for a, b in ((values, v), (case.image, scattered)))
    # Against the size of the terms, not of their sum, which may cancel: |pull f| |v| bounds both for weights up to 1.
    bound = np.linalg.norm(values) * np.linalg.norm(v)
    assert abs(ours - theirs) <= {np.float32: 2e-6, np.float64: 2e-14}[dtype] * bound + 1e-30


@covered(engine=ENGINES, kind=KINDS, batch=BATCHES, dtype=[np.float32, np.complex128, np.uint8], strength=2)
def test_only_the_gradients_that_are_asked_for(engine, kind, batch, dtype, seed):
    """By the backend's own function, the image's in the dtype of sums, None for what is not needed."""
    case = make(2, ("cubic", "reflect", "blend"), kind=kind, batch=batch, dtype=dtype, seed=seed)
    sums = np.float32 if dtype == np.uint8 else dtype
    grad = samples(np.random.default_rng(seed), case.values_shape, sums)
    wide = replace(case, image=case.image.astype(np.complex128 if dtype == np.complex128 else np.float64))
    on_image, on_geometry = REFERENCE.vjp(wide, grad)
    for need_image, need_geometry in ((True, False), (False, True), (True, True)):
        found = engine.asked_vjp(case, grad, need_image, need_geometry)
        assert [part is not None for part in found] == [need_image, need_geometry]
        if need_image:
            close(found[0], on_image, 1e-3, sums)
        if need_geometry:
            close(found[1], on_geometry, 1e-3, np.float64)


@covered(
    engine=ENGINES,
    kind=["affine", "projective", "one-sided"],
    ndim=NDIMS,
    frame=FRAMES,
    batch=BATCHES,
    dtype=[np.uint8, np.float32, np.float64, np.complex128],
    weights=["none", "one for all channels", "one a channel"],
    strength=2,
)
def test_normal_equations(engine, kind, ndim, frame, batch, dtype, weights, seed):
    """Sums of products of slopes, features and residuals: see :meth:`pullback.backends.Operations.normal`."""
    case = make(ndim, ("cubic", "reflect", "blend"), kind=kind, frame=frame, batch=batch, dtype=dtype, seed=seed)
    random = np.random.default_rng(seed)
    target = samples(random, case.values_shape, dtype)
    if weights != "none":
        count = 1 if weights == "one for all channels" else target.shape[1]
        weight = random.choice([0.0, 0.25, 1.0], (len(target), count, *target.shape[2:]))
        target = np.concatenate([target, weight * (1 + 1j) if dtype == np.complex128 else weight], axis=1)
    found, wanted = engine.normal(case, target), REFERENCE.normal(case, target)
    scale = np.abs(wanted).max(axis=1, keepdims=True)
    np.testing.assert_allclose(found / scale, wanted / scale, rtol=0, atol=1e-4 if dtype == np.float32 else 1e-5)


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=50, deadline=None)
@given(
    data=st.data(),
    ndim=st.sampled_from(NDIMS),
    kind=st.sampled_from(KINDS),
    frame=st.sampled_from(FRAMES),
    extent=st.sampled_from(EXTENTS),
    batch=st.sampled_from([(1, 1), (2, 2), (1, 2), (2, 1)]),
    reach=st.sampled_from([0.5, 2.0, 40.0]),
    seed=st.integers(0, 10**6),
)
def test_any_shape_and_any_mixture(engine, data, ndim, kind, frame, extent, batch, reach, seed):
    """One interpolation and one border an axis, sides of 1, coordinates far away; in double precision."""
    mode = *(tuple(data.draw(st.sampled_from(names)) for _ in range(ndim)) for names in (SUMS, BORDERS)), extent
    shape, points = (tuple(data.draw(st.integers(1, 9)) for _ in range(ndim)) for _ in range(2))
    options = dict(kind=kind, frame=frame, batch=batch, shape=shape, points=points, reach=reach, seed=seed)
    # Coordinates of up to 200 samples are exact to 1e-13 of them.
    hold(ENGINES[engine], make(ndim, mode, dtype=np.float64, **options), 1e-10, seed)
