"""Coordinates that kernels generate beyond affine ones, against the reference: values and gradients, in blocks."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from cases import NDIMS, Case, make

import pullback as pb
from pullback import _native, _reference
from pullback.backends import numpy as backend

KINDS = ("projective", "displacement", "free-form")
MODES = list(itertools.product(("nearest", "linear", "cubic"), ("constant", "reflect"), ("blend", "crop")))
POINTS = {1: (1700,), 2: (23, 61), 3: (9, 8, 21)}  # whole blocks and a remainder
TOLERANCE = {np.float32: 1e-4, np.float64: 1e-11}

every_kind = pytest.mark.parametrize("kind", KINDS)
every_ndim = pytest.mark.parametrize("ndim", NDIMS)
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


def hold_against_reference(case: Case) -> None:
    """Values, and both gradients, on the native kernels."""
    dtype = case.image.dtype.type
    values = backend.pull(case.image, case.geometry, case.lattice, case.plan, dtype)
    np.testing.assert_allclose(values, case.reference(), rtol=0, atol=TOLERANCE[dtype])
    tolerance = 10 * max(TOLERANCE[dtype], 1e-8 if case.geometry.dtype == np.float32 else 0)
    grad = np.random.default_rng(1).uniform(-1, 1, values.shape).astype(dtype)
    found = backend.vjp(case.image, case.geometry, grad, case.lattice, case.plan)
    wanted = _reference.pull_vjp(case.image, case.geometry, grad, case.lattice, case.plan)
    for ours, theirs in zip(found, wanted, strict=True):
        scale = max(1, np.abs(theirs).max(initial=0))
        np.testing.assert_allclose(ours / scale, theirs / scale, rtol=0, atol=tolerance)


@every_kind
@every_ndim
@every_dtype
@pytest.mark.parametrize("mode", MODES, ids="-".join)
def test_values_and_gradients(mode, ndim, dtype, kind):
    hold_against_reference(make(ndim, mode, kind=kind, dtype=dtype, points=POINTS[ndim]))


@every_kind
@every_ndim
@pytest.mark.parametrize("frame", ["centered", "normalized", "normalized-corners"])
@pytest.mark.parametrize("is_reversed", [False, True], ids=["", "reversed"])
def test_frames(frame, ndim, is_reversed, kind):
    case = make(ndim, kind=kind, frame=frame, dtype=np.float64)
    hold_against_reference(replace(case, lattice=replace(case.lattice, reversed=is_reversed and kind != "projective")))


@every_kind
@every_ndim
@every_dtype
@pytest.mark.parametrize("batch", [(1, 3), (3, 1), (1, 1)], ids=["shared-image", "shared-geometry", "one"])
@pytest.mark.parametrize("coordinate_dtype", [np.float32, np.float64], ids=["of-float32", "of-float64"])
def test_batches(batch, ndim, dtype, coordinate_dtype, kind):
    hold_against_reference(
        make(ndim, kind=kind, batch=batch, dtype=dtype, coordinate_dtype=coordinate_dtype, points=POINTS[ndim])
    )


@every_kind
@every_ndim
@every_dtype
@pytest.mark.parametrize("isa", _native.available_isas())
def test_instruction_sets(isa, ndim, dtype, kind):
    before = _native.isa()
    _native.set_isa(isa)
    try:
        hold_against_reference(make(ndim, kind=kind, dtype=dtype, points=POINTS[ndim]))
    finally:
        _native.set_isa(before)


@every_kind
@pytest.mark.parametrize("batch", [(1, 1), (5, 5), (1, 3), (3, 1)], ids=str)
def test_the_same_bits_for_any_number_of_threads(batch, kind):
    case = make(2, kind=kind, batch=batch, shape=(120, 90), points=(190, 210))
    before, results = pb.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            pb.set_num_threads(threads)
            values = backend.pull(case.image, case.geometry, case.lattice, case.plan, np.float32)
            both = backend.vjp(case.image, case.geometry, values - 0.5, case.lattice, case.plan)
            results.append(tuple(part.tobytes() for part in (values, *both)))
    finally:
        pb.set_num_threads(before)
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("side", [1000, 100_000])
@pytest.mark.parametrize("kind", ["projective", "displacement"])
def test_positions_far_out(side, kind):
    """Off by less than 1e-4 of a pixel, on a ramp whose steps single precision tells apart."""
    image = np.broadcast_to((np.arange(side) % 97).astype(np.float32), (2, side))[None, None]
    n = 5000
    case = make(2, kind=kind, batch=(1, 1), channels=1, shape=(2, side), points=(1, n))
    x = np.arange(n)
    if kind == "projective":
        start = max(side - 0.9 * n, 0) + 0.3
        geometry = np.array([[[1.0, 0, 0], [0, 0.83, start], [0, 1e-6, 1]]])
        wanted = (0.83 * x + start) / (1 + 1e-6 * x)
    else:
        u = np.random.default_rng(0).uniform(-300, 300, n).astype(np.float32).astype(np.float64)
        geometry = np.stack([np.zeros(n), u], axis=-1)[None, None]
        wanted = x + u
    values = backend.pull(image, geometry, case.lattice, case.plan, np.float32)[0, 0, 0]
    inside = (wanted > 0) & (wanted < side - 1) & (np.floor(wanted - 0.01) % 97 < 95)
    assert inside.sum() > 0.1 * n
    np.testing.assert_allclose(values[inside], (wanted % 97)[inside], rtol=0, atol=1e-4)


def test_beyond_the_horizon_is_fill():
    image = np.random.default_rng(0).random((1, 1, 40, 50))
    case = make(2, kind="projective", batch=(1, 1), channels=1, shape=(40, 50), points=(40, 50), dtype=np.float64)
    matrix = np.array([[[1.0, 0, 0], [0, 1, 0], [-0.05, 0, 1]]])  # from row 20 on, the denominator is not positive
    values = backend.pull(image, matrix, case.lattice, case.plan, np.float64)[0, 0]
    assert (values[20:] == 0.5).all()
    assert (values[:10, :20] != 0.5).all()
    grad_image, grad_matrix = backend.vjp(image, matrix, np.ones((1, 1, 40, 50)), case.lattice, case.plan)
    assert np.isfinite(grad_image).all()
    assert np.isfinite(grad_matrix).all()
