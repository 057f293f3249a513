"""The native kernels equal the reference in every mode: values, slopes, scatter, and both gradients."""

import numpy as np
import pytest
from cases import KINDS, MODES, NDIMS, make
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback import _reference
from pullback._plan import INTERPOLATIONS
from pullback.backends import numpy as backend

# Positions carry an error of 1e-5 samples in single precision, slopes are below 2, sums of products below 10.
TOLERANCE = {np.float32: 1e-4, np.float64: 1e-11, np.uint8: 1.0}

every_mode = pytest.mark.parametrize("mode", MODES, ids="-".join)
every_ndim = pytest.mark.parametrize("ndim", NDIMS)
every_kind = pytest.mark.parametrize("kind", ["given", "affine"])


def values_of(case):
    """Run pull into an array of NaN (or 201), so that what is not written shows."""
    wanted = _reference.pull(case.image, case.geometry, case.lattice, case.plan)
    dtype = case.image.dtype
    out = np.full(wanted.shape, 201 if dtype == np.uint8 else np.nan, dtype)
    backend.pull(case.image, case.geometry, case.lattice, case.plan, out=out)
    return out, np.clip(wanted, 0, 255) if dtype == np.uint8 else wanted


@every_mode
@every_ndim
@every_kind
@pytest.mark.parametrize("frame", ["index", "centered"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8], ids=["float32", "float64", "uint8"])
def test_values(mode, ndim, kind, frame, dtype):
    case = make(ndim, mode, kind=kind, frame=frame, dtype=dtype)
    out, wanted = values_of(case)
    np.testing.assert_allclose(out, wanted, rtol=0, atol=TOLERANCE[dtype])


@every_mode
@every_ndim
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_slopes(mode, ndim, dtype):
    case = make(ndim, mode, frame="centered", dtype=dtype)
    slopes = backend.gradient(case.image, case.geometry, case.lattice, case.plan)
    wanted = _reference.gradient(case.image, case.geometry, case.lattice, case.plan)
    np.testing.assert_allclose(slopes, wanted, rtol=0, atol=10 * TOLERANCE[dtype])


@every_mode
@every_ndim
@every_kind
@pytest.mark.parametrize("batch", [(2, 2), (1, 3), (3, 1)], ids=["own", "shared-image", "shared-geometry"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_gradients(mode, ndim, kind, batch, dtype):
    case = make(ndim, mode, kind=kind, batch=batch, dtype=dtype)
    random = np.random.default_rng(1)
    shape = (max(batch), case.image.shape[1], *case.lattice.shape)
    grad = random.uniform(-1, 1, shape).astype(dtype)
    found = backend.vjp(case.image, case.geometry, grad, case.lattice, case.plan)
    wanted = _reference.pull_vjp(case.image, case.geometry, grad, case.lattice, case.plan)
    for ours, theirs in zip(found, wanted, strict=True):
        scale = max(1, np.abs(theirs).max())
        np.testing.assert_allclose(ours / scale, theirs / scale, rtol=0, atol=10 * TOLERANCE[dtype])


@every_mode
@every_ndim
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_scatter(mode, ndim, dtype):
    case = make(ndim, mode, batch=(1, 3), dtype=dtype)
    values = np.random.default_rng(1).uniform(-1, 1, (3, 2, *case.lattice.shape)).astype(dtype)
    found = backend.push(values, case.geometry, case.lattice, case.plan, case.image.shape)
    wanted = _reference.push(values, case.geometry, case.lattice, case.plan, case.image.shape)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE[dtype])


@settings(max_examples=150, deadline=None)
@given(
    data=st.data(),
    ndim=st.sampled_from(NDIMS),
    kind=st.sampled_from(KINDS),
    frame=st.sampled_from(["index", "centered"]),
    extent=st.sampled_from(["blend", "crop"]),
    batch=st.sampled_from([(1, 1), (2, 2), (1, 2), (2, 1)]),
    reach=st.sampled_from([0.5, 2.0, 40.0]),
    seed=st.integers(0, 10**6),
)
def test_any_shape_and_any_mixture(data, ndim, kind, frame, extent, batch, reach, seed):
    """Sides of 1 and 2, one interpolation and one border an axis, coordinates far away; in double precision."""
    pick = lambda names: tuple(data.draw(st.sampled_from(names)) for _ in range(ndim))  # noqa: E731
    mode = (
        pick([name for name in INTERPOLATIONS if name != "label"]),
        pick(["constant", "edge", "reflect", "symmetric", "wrap"]),
        extent,
    )
    side = st.integers(1, 9)
    shape = tuple(data.draw(side) for _ in range(ndim))
    points = tuple(data.draw(side) for _ in range(ndim))
    case = make(
        ndim,
        mode,
        kind=kind,
        frame=frame,
        batch=batch,
        shape=shape,
        points=points,
        dtype=np.float64,
        reach=reach,
        seed=seed,
    )
    out, wanted = values_of(case)
    # coordinates of up to 200 samples are exact to 1e-13 of them
    np.testing.assert_allclose(out, wanted, rtol=0, atol=1e-10)
    grad = np.random.default_rng(seed).uniform(-1, 1, out.shape)
    found = backend.vjp(case.image, case.geometry, grad, case.lattice, case.plan)
    wanted = _reference.pull_vjp(case.image, case.geometry, grad, case.lattice, case.plan)
    np.testing.assert_allclose(found[0], wanted[0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(found[1], wanted[1], rtol=0, atol=1e-9)
