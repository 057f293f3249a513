"""What is done along axes: spline coefficients, and images of another size."""

from dataclasses import replace

import numpy as np
import pytest
from cases import BORDERS, NDIMS, samples
from covering import covered
from engines import ENGINES
from memory import laid_out

from pullback import _reference
from pullback._plan import BORDERS as BORDER_CODES
from pullback._plan import INTERPOLATIONS, Sizing, make_plan

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


NEW_SIDES = {1: [(2,), (5,), (9,)], 2: [(5, 3), (4, 6), (9, 5)], 3: [(2, 2, 4), (5, 1, 5), (3, 4, 2)]}
KERNELS = [name for name in INTERPOLATIONS if name != "label"]


def sizing_of(names, borders, antialias, fill):
    plan = make_plan(names, tuple(border or "edge" for border in borders), "blend", fill)
    codes = tuple(border and BORDER_CODES[border] for border in borders)
    return Sizing(plan.interpolation, plan.parameter, codes, fill, antialias)


def moved(image, last):
    """Return an image with its channels innermost in memory."""
    return np.moveaxis(np.moveaxis(image, 1, -1).copy(), -1, 1) if last else image


@covered(
    engine=ENGINES,
    interpolation=[*KERNELS, "area"],
    border=[None, *BORDERS],
    antialias=[False, True],
    ndim=NDIMS,
    dtype=[np.uint8, np.int64, np.float16, np.float32, np.float64, np.complex64, np.complex128],
    last=[False, True],
)
def test_sizes(engine, interpolation, border, antialias, ndim, dtype, last, seed):
    """The reference's values, in the dtype of sums and in the image's own, and the transposed map in its gradient."""
    random = np.random.default_rng(seed)
    image = moved(samples(random, (2, 3, *SIDES[ndim][seed % 3]), dtype), last)
    names = (interpolation, *random.choice([interpolation, "linear", "nearest", "area"], ndim - 1))
    borders = (border, *random.choice(BORDERS, ndim - 1))
    fill = (0.5, -1.5, 1j if image.dtype.kind == "c" else 2.0)
    sizing, shape = sizing_of(names, borders, antialias, fill), NEW_SIDES[ndim][seed // 3 % 3]
    wanted = _reference.resize(widened(image), shape, sizing)
    hold(engine.resize(image, shape, sizing, SUMS.get(dtype, dtype)), wanted, dtype)
    if hasattr(engine, "resize_vjp") and dtype in (np.float64, np.complex128):
        grad, linear = samples(random, wanted.shape, dtype), replace(sizing, fill=(0.0,))
        found, dot = engine.resize_vjp(image, shape, sizing, grad), samples(random, image.shape, dtype)
        product = np.vdot(grad, _reference.resize(dot, shape, linear)).real
        np.testing.assert_allclose(np.vdot(found, dot).real, product, rtol=1e-11, atol=1e-11)
    same = engine.resize(image, shape, sizing, dtype)
    assert same.dtype == dtype
    if np.dtype(dtype).kind in "iu":
        wanted = np.clip(wanted, np.iinfo(dtype).min, np.iinfo(dtype).max)
        within = 0.5 + (1e-4 if dtype == np.uint8 else 1e-12 * np.abs(wanted).max())
        assert np.abs(same.astype(np.float64) - wanted).max() <= within
    else:
        digits = {np.float16: 1e-3, np.float32: 1e-5, np.complex64: 1e-5}
        np.testing.assert_allclose(same.astype(wanted.dtype), wanted, rtol=0, atol=10 * digits.get(dtype, 1e-12))


@every_engine
@pytest.mark.parametrize("interpolation", ["linear", "lanczos3", "area", "nearest", "bspline3"])
def test_what_has_no_weight_in_a_new_size_leaves_no_trace(engine, interpolation):
    image = np.ones((1, 1, 9, 9), np.float32)
    image[0, 0, 0] = np.nan
    sizing = sizing_of((interpolation,) * 2, ("constant", None), True, (np.inf,))
    found = engine.resize(image, (7, 20), sizing, np.float32)
    with np.errstate(invalid="ignore"):  # infinity may meet its like
        wanted = _reference.resize(image, (7, 20), sizing)
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(wanted))
    assert np.isfinite(found).any()


@covered(
    engine=ENGINES,
    border=[None, *BORDERS],
    antialias=[False, True],
    ndim=NDIMS,
    dtype=[np.bool_, np.uint8, np.int16, np.int64],
    last=[False, True],
    block=[1, 7, 1 << 20],
)
def test_labels_in_another_size(engine, border, antialias, ndim, dtype, last, block, seed, monkeypatch):
    """Ties are many, and decided in whole numbers."""
    monkeypatch.setattr("pullback.backends.votes._BLOCK", block)
    random = np.random.default_rng(seed)
    image = moved(random.integers(0, 3, (2, 3, *SIDES[ndim][seed % 3])).astype(dtype), last)
    sizing = sizing_of(("label",) * ndim, (border, *random.choice(BORDERS, ndim - 1)), antialias, (0.0, 1.0, 5.0))
    if dtype == np.bool_:
        sizing = replace(sizing, fill=(1.0,))
    shape = NEW_SIDES[ndim][seed // 3 % 3]
    found = engine.resize(image, shape, sizing, dtype)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, _reference.resize(image, shape, sizing))
