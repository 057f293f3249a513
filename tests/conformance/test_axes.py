"""What is done along axes: spline coefficients, and resampling by a table."""

from dataclasses import replace

import numpy as np
import pytest
from cases import BORDERS, NDIMS, samples
from covering import covered
from engines import ENGINES
from memory import laid_out

from pullback import _reference
from pullback._plan import make_plan

# Sums are formed in float32 for all but wide integers and double precision.
SUMS = {np.uint8: np.float32, np.int64: np.float64, np.float16: np.float32, np.float32: np.float32}
SIDES = {1: [(1,), (2,), (23,)], 2: [(3, 7), (1, 6), (12, 2)], 3: [(1, 2, 6), (4, 3, 5), (7, 1, 1)]}

every_engine = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)


def widened(image):
    return image.astype(np.complex128 if image.dtype.kind == "c" else np.float64)


def hold(found, wanted, dtype):
    assert found.dtype == SUMS.get(dtype, dtype)
    scale = max(1, np.abs(wanted).max(initial=0))
    tolerance = 1e-12 if found.real.dtype == np.float64 else 1e-5  # products of up to three inverses of norms below 30
    np.testing.assert_allclose(found / scale, wanted / scale, rtol=0, atol=tolerance)


@covered(
    engine=ENGINES,
    order=[2, 3, 4, 5],
    border=BORDERS,
    ndim=NDIMS,
    adjoint=[False, True],
    dtype=[np.uint8, np.int64, np.float16, np.float32, np.float64, np.complex64, np.complex128],
)
def test_coefficients(engine, order, border, ndim, adjoint, dtype, seed):
    """Those of the reference, and those of the transposed map; with one order and one border an axis."""
    random = np.random.default_rng(seed)
    shape = SIDES[ndim][seed % 3]
    image = laid_out(random, samples(random, (2, 2, *shape), dtype), writes=True)
    others = random.choice([f"spline{order}", "spline3", "linear"], ndim - 1)
    borders = random.choice(BORDERS, ndim - 1)
    plan = make_plan((f"spline{order}", *others), (border, *borders), "blend", (0.5, -1.5))
    hold(engine.prefilter(image, plan, adjoint), _reference.prefilter(widened(image), plan, adjoint), dtype)
    if hasattr(engine, "prefilter_vjp") and dtype in (np.float64, np.complex128):
        grad = samples(random, image.shape, dtype)
        back = _reference.prefilter(grad, replace(plan, fill=(0.0,)), not adjoint)
        hold(engine.prefilter_vjp(image, plan, adjoint, grad), back, dtype)


@every_engine
@pytest.mark.parametrize(
    ("dtype", "fill"),
    [(np.complex128, (2 - 1j, 3j)), (np.complex128, (complex(np.inf, 2), 1.0)), (np.float64, (np.nan, 2.0))],
)
def test_coefficients_beyond_a_constant_border_are_its_fill(engine, dtype, fill):
    image = samples(np.random.default_rng(0), (1, 2, 4, 5, 3), dtype)
    plan = make_plan(("spline2", "linear", "spline5"), ("constant", "wrap", "reflect"), "blend", fill)
    hold(engine.prefilter(image, plan), _reference.prefilter(image, plan), dtype)
    linear = replace(plan, fill=(0.0,))
    hold(engine.prefilter(image, plan, True), _reference.prefilter(image, linear, True), dtype)


@covered(
    engine=ENGINES,
    dtype=[np.uint8, np.int64, np.float16, np.float32, np.float64, np.complex64, np.complex128],
    axis=[0, 1, 2],
    taps=[1, 2, 5],
    shape=[(2, 3, 4, 5, 6), (1, 1, 7, 2, 9), (1, 4, 1, 1, 30)],
    last=[False, True],
)
def test_tables(engine, dtype, axis, taps, shape, last, seed):
    """With taps of weight zero beyond the axis, and at a sample that is no number."""
    random = np.random.default_rng(seed)
    image = samples(random, shape, dtype)
    image = np.moveaxis(np.moveaxis(image, 1, -1).copy(), -1, 1) if last else image
    n = shape[2 + axis]
    first, weight = random.integers(0, n, 11), random.normal(size=(11, taps))
    weight[first[:, None] + np.arange(taps) >= n] = 0
    if np.dtype(dtype).kind in "fc":
        np.moveaxis(image, 2 + axis, 0)[0] = np.nan
        weight[first == 0, 0] = 0
    wanted = _reference.resample(widened(image), axis, first, weight)
    sums = SUMS.get(dtype, dtype)
    hold(engine.resample(image, axis, first, weight, sums), wanted, dtype)
    assert np.isfinite(wanted).all()
    if hasattr(engine, "resample_vjp") and dtype in (np.float64, np.complex128):
        grad = samples(random, wanted.shape, dtype)
        back = np.zeros((n + taps, *np.delete(shape, 2 + axis)), dtype)  # the table transposed, a tap at a time
        for i, t in np.ndindex(weight.shape):
            back[first[i] + t] += weight[i, t] * np.moveaxis(grad, 2 + axis, 0)[i]
        found = engine.resample_vjp(np.nan_to_num(image), axis, first, weight, grad)
        hold(found, np.moveaxis(back[:n], 0, 2 + axis), dtype)
    # In the image's own dtype, halves and integers are rounded once, and saturated.
    same = engine.resample(image, axis, first, weight, dtype)
    assert same.dtype == dtype
    if np.dtype(dtype).kind in "iu":
        wanted = np.clip(wanted, np.iinfo(dtype).min, np.iinfo(dtype).max)
        assert np.abs(same.astype(np.float64) - wanted).max() <= 0.5 + 1e-12 * np.abs(wanted).max()
    else:
        digits = {np.float16: 1e-3, np.float32: 1e-5, np.complex64: 1e-5}
        np.testing.assert_allclose(same.astype(wanted.dtype), wanted, rtol=0, atol=10 * digits.get(dtype, 1e-12))
