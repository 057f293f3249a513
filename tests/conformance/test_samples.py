"""Samples of any dtype, in any layout: rounded once and saturated, chosen to the last bit, and where there are none."""

from dataclasses import replace

import numpy as np
import pytest
from cases import BATCHES, BORDERS, EXTENTS, FRAMES, KINDS, NDIMS, make, samples
from covering import covered
from engines import ENGINES, REFERENCE
from memory import laid_out
from ml_dtypes import bfloat16

from pullback._plan import LATTICES, Cubic, Lattice, frame_of, make_plan

INTEGERS = [bool, *(np.dtype(f"{kind}{bits}").type for kind in ("int", "uint") for bits in (8, 16, 32, 64))]
HALVES = [np.float16, bfloat16]
COMPLEX = [np.complex64, np.complex128]
DTYPES = [*INTEGERS, *HALVES, np.float32, np.float64, *COMPLEX]
WIDE = [np.int32, np.int64, np.uint32, np.uint64, np.float64, np.complex128]  # summed in double precision

every_engine = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)


def accuracy(dtype, out):
    """Return by how much values may be off, against the largest: positions, sums, and the digits of the result."""
    digits = {np.float16: 1e-3, bfloat16: 8e-3, np.float32: 1e-6, np.complex64: 1e-6}
    return (1e-13 if dtype in WIDE else 1e-4) + digits.get(out, 0)


def hold(found, wanted, dtype, out):
    """Hold values against those of the reference in double precision."""
    assert found.dtype == out
    off = accuracy(dtype, out) * max(1, np.abs(wanted).max(initial=0))
    if np.dtype(out).kind in "biu":
        low, high = (0, 1) if out is bool else (np.iinfo(out).min, np.iinfo(out).max)
        wanted, off = np.clip(wanted, low, high), off + 0.5
    with np.errstate(over="ignore"):  # beyond the largest half-precision number lies infinity
        rounded = wanted.astype(out) if np.dtype(out).kind != "c" and out in HALVES else wanted
    np.testing.assert_allclose(found.astype(wanted.dtype), rounded.astype(wanted.dtype), rtol=0, atol=off)


@covered(
    engine=ENGINES,
    dtype=DTYPES,
    out=DTYPES,
    interpolation=["nearest", "linear", "cubic", "lanczos3"],
    border=["constant", "reflect"],
    ndim=NDIMS,
    strength=2,
    allowed=lambda dtype, out, **_: dtype not in COMPLEX or out in COMPLEX,
)
def test_values_are_rounded_once_and_saturated(engine, dtype, out, interpolation, border, ndim, seed):
    kind = ("given", "affine", "displacement")[seed % 3]
    case = make(ndim, (interpolation, border, "blend"), kind=kind, dtype=dtype, points=200, fill=7.5, seed=seed)
    wide = replace(case, image=case.image.astype(np.complex128 if dtype in COMPLEX else np.float64))
    wanted = REFERENCE.pull(wide)
    hold(engine.pull(case, out), wanted if out not in COMPLEX else wanted.astype(np.complex128), dtype, out)


@covered(
    engine=ENGINES,
    dtype=[*HALVES, *COMPLEX, np.uint8, np.int64],
    kind=KINDS,
    border=["constant", "wrap"],
    strength=2,
)
def test_slopes_and_gradients_are_in_the_dtype_of_sums(engine, dtype, kind, border, seed):
    case = make(2, ("cubic", border, "blend"), kind=kind, dtype=dtype, fill=(0.5, -1.5), seed=seed)
    if dtype in COMPLEX:
        case = replace(case, plan=make_plan(("cubic",) * 2, (border,) * 2, "blend", (0.5 - 2j, 1j)))
    sums = dtype if dtype in COMPLEX else np.float64 if dtype in WIDE else np.float32
    wide = replace(case, image=case.image.astype(np.complex128 if dtype in COMPLEX else np.float64))
    slopes, wanted = engine.gradient(case), REFERENCE.gradient(wide)
    assert slopes.dtype == sums
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(slopes / scale, wanted / scale, rtol=0, atol=10 * accuracy(dtype, sums))
    if np.dtype(dtype).kind in "biu":  # which autograd has no gradients in
        return
    grad = samples(np.random.default_rng(seed), case.values_shape, sums)
    grad = grad.astype(dtype) if hasattr(engine, "device") else grad
    for ours, theirs in zip(engine.vjp(case, grad), REFERENCE.vjp(wide, grad.astype(wide.image.dtype)), strict=True):
        scale = np.abs(theirs).max()
        np.testing.assert_allclose(
            ours.astype(theirs.dtype) / scale, theirs / scale, rtol=0, atol=10 * accuracy(dtype, dtype)
        )
    still = replace(case.plan, fill=(0.0,))
    values = engine.push(replace(case, plan=still), grad)
    wanted = REFERENCE.push(replace(wide, plan=still), grad.astype(wide.image.dtype))
    np.testing.assert_allclose(values.astype(wanted.dtype), wanted, rtol=0, atol=10 * accuracy(dtype, dtype))


@every_engine
@pytest.mark.parametrize("dtype", HALVES)
def test_halves_are_those_of_single_precision_rounded_once(engine, dtype):
    case = make(2, ("cubic", "reflect", "blend"), dtype=dtype, coordinate_dtype=np.float32, points=100)
    single = replace(case, image=case.image.astype(np.float32))
    np.testing.assert_array_equal(engine.pull(case), engine.pull(single).astype(dtype))
    np.testing.assert_array_equal(engine.pull(single, dtype), engine.pull(case))


@every_engine
@pytest.mark.parametrize("dtype", INTEGERS[1:])
def test_halves_go_to_even_and_fill_is_saturated(engine, dtype):
    case = make(1, dtype=dtype, batch=(1, 1), channels=1, shape=(3,), points=(6,))
    x = np.array([0.25, 0.5, 0.75, 1.5, 1.75, -9])
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    for fill, last in [(-1e20, low), (1e20, high), (np.inf, high), (-np.inf, low), (np.nan, 0), (2.5, 2)]:
        plan = make_plan(("linear",), ("constant",), "blend", (fill,))
        case = replace(case, image=np.array([[[1, 2, 5]]], dtype), geometry=x[None, :, None], plan=plan)
        assert engine.pull(case)[0, 0].tolist() == [1, 2, 2, 4, 4, last]


@covered(
    engine=ENGINES,
    dtype=INTEGERS,
    interpolation=["nearest", "label"],
    border=BORDERS,
    extent=EXTENTS,
    ndim=NDIMS,
    strength=2,
)
def test_integers_are_chosen_to_the_last_bit(engine, dtype, interpolation, border, extent, ndim, seed):
    """The largest numbers differ by less than double precision can tell."""
    case = make(ndim, (interpolation, border, extent), dtype=dtype, fill=(-1e30, 1.0), frame="centered", seed=seed)
    low, high = (0, 1) if dtype is bool else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    classes = np.array([low, low + 1, high - 1, high], dtype)
    case = replace(case, image=classes[np.random.default_rng(seed).integers(0, 4, case.image.shape)])
    found, wanted = engine.pull(case), REFERENCE.pull(case)
    assert found.dtype == wanted.dtype == dtype
    np.testing.assert_array_equal(found, wanted)


@every_engine
def test_of_labels_of_equal_weight_the_smaller_wins(engine):
    case = make(1, ("label", "constant", "blend"), batch=(1, 1), channels=1, shape=(3,), points=(5,), fill=4.0)
    x = np.array([0.5, 1.5, 1.0, -0.5, 2.5])
    for dtype in (np.int32, np.uint64):
        case = replace(case, image=np.array([[[5, 3, 4]]], dtype), geometry=x[None, :, None])
        assert engine.pull(case)[0, 0].tolist() == [3, 3, 3, 4, 4]


@every_engine
def test_labels_have_no_gradients(engine):
    case = make(2, ("label", "reflect", "blend"), dtype=np.uint8)
    assert np.all(engine.gradient(case) == 0)


@covered(
    engine=ENGINES,
    dtype=DTYPES,
    frame=FRAMES,
    extent=EXTENTS,
    ndim=NDIMS,
    kind=KINDS[1:],
    strength=2,
    # In other frames, projective maps are rounded by their division.
    allowed=lambda kind, frame, **_: kind not in ("projective", "one-sided") or frame == "index",
)
def test_the_identity_is_exact(engine, dtype, frame, extent, ndim, kind, seed):
    random = np.random.default_rng(seed)
    shape = tuple(random.integers(2, 9, ndim).tolist())
    case = make(ndim, ("linear", "constant", extent), dtype=dtype, shape=shape, fill=7.0, seed=seed)
    on_image = frame_of(frame, shape)
    geometry = {
        "affine": np.eye(ndim, ndim + 1)[None],
        "projective": np.eye(ndim + 1)[None],
        "one-sided": np.eye(ndim + 1)[None],
        "displacement": np.zeros((1, *shape, ndim)),
        "free-form": np.zeros((1, *(5,) * ndim, ndim)),
    }[kind]
    lattice = Lattice(LATTICES[kind], shape, on_image, on_image)
    found = engine.pull(replace(case, geometry=geometry, lattice=lattice))
    assert found.tobytes() == case.image.tobytes()


@covered(engine=ENGINES, dtype=[np.uint8, np.float32, np.float64, np.complex64], kind=KINDS, ndim=NDIMS, batch=BATCHES)
def test_arrays_of_any_layout(engine, dtype, kind, ndim, batch, seed):
    """Strides of any order, size and sign."""
    case = make(ndim, ("linear", "reflect", "blend"), kind=kind, batch=batch, dtype=dtype, points=60, seed=seed)
    random = np.random.default_rng(seed)
    anywhere = lambda array: laid_out(random, array, writes=True)  # noqa: E731
    moved = replace(case, image=anywhere(case.image), geometry=anywhere(case.geometry))
    hold(engine.pull(moved), REFERENCE.pull(replace(case, image=widened(case.image))), dtype, dtype)
    if dtype != np.uint8:
        grad = samples(random, case.values_shape, dtype)
        for ours, theirs in zip(engine.vjp(moved, anywhere(grad)), REFERENCE.vjp(case, grad), strict=True):
            scale = max(1, np.abs(theirs).max())
            np.testing.assert_allclose(ours / scale, theirs / scale, rtol=0, atol=10 * accuracy(dtype, dtype))
        pushed = REFERENCE.push(case, grad)
        np.testing.assert_allclose(
            engine.push(moved, anywhere(grad)), pushed, rtol=0, atol=10 * accuracy(dtype, dtype) * np.abs(pushed).max()
        )


def widened(image):
    return image.astype(np.complex128 if image.dtype.kind == "c" else np.float64)


@covered(
    engine={name: engine for name, engine in ENGINES.items() if name.startswith("numpy")},
    dtype=[np.uint8, np.float32, np.complex64, bfloat16],
    out=[np.uint16, np.float64, np.complex128, bfloat16],
    ndim=NDIMS,
    kind=["given", "affine"],
    allowed=lambda dtype, out, **_: dtype != np.complex64 or out == np.complex128,
)
def test_results_are_written_to_any_layout(engine, dtype, out, ndim, kind, seed):
    case = make(ndim, kind=kind, dtype=dtype, points=60, seed=seed)
    target = laid_out(np.random.default_rng(seed), np.full(case.values_shape, 99, out), writes=True)
    assert engine.pull_into(case, target) is target
    hold(target, REFERENCE.pull(replace(case, image=widened(case.image))), dtype, out)


@every_engine
def test_the_slope_of_the_cubic_kernel_is_the_plans(engine):
    case = make(2, ((Cubic(-0.75), Cubic(-0.3)), ("reflect", "constant"), "blend"), dtype=np.float64)
    np.testing.assert_allclose(engine.pull(case), REFERENCE.pull(case), rtol=0, atol=1e-12)
    np.testing.assert_allclose(engine.gradient(case), REFERENCE.gradient(case), rtol=0, atol=1e-11)


@every_engine
@pytest.mark.parametrize("extent", EXTENTS)
@pytest.mark.parametrize("shape", [(1, 2, 0, 3), (1, 0, 4, 3), (0, 2, 4, 3)], ids=str)
def test_where_there_is_nothing(engine, extent, shape):
    case = make(2, ("linear", "constant", extent), batch=(1, 1), points=(3,), fill=5.0, dtype=np.float64)
    case = replace(case, image=np.ones(shape))
    values = engine.pull(case)
    assert values.shape == (*shape[:2], 3)
    assert np.all(values == 5) or 0 not in shape[2:]
    assert engine.push(case, np.ones((*shape[:2], 3))).shape == shape
    assert engine.gradient(case).shape == (*shape[:2], 3, 2)
    nowhere = make(2, batch=(1, 1), points=(0,), dtype=np.float64)
    assert engine.pull(nowhere).shape == (1, 2, 0)
    assert np.all(engine.push(nowhere, np.ones((1, 2, 0))) == 0)
    on_image, on_geometry = engine.vjp(nowhere, np.ones((1, 2, 0)))
    assert np.all(on_image == 0)
    assert on_geometry.shape == (1, 0, 2)
