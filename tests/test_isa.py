"""Every instruction set that this machine has gives what the reference gives."""

import os
import subprocess
import sys

import numpy as np
import pytest
from cases import NDIMS, make

from pullback import _native, _reference
from pullback.backends import numpy as backend

MODES = [
    ("linear", "constant", "blend"),
    ("linear", "reflect", "blend"),
    ("linear", "wrap", "crop"),
    ("nearest", "edge", "blend"),
    ("nearest", "constant", "crop"),
]


@pytest.fixture(params=_native.available_isas())
def isa(request):
    before = _native.isa()
    _native.set_isa(request.param)
    yield request.param
    _native.set_isa(before)


@pytest.mark.parametrize("mode", MODES, ids="-".join)
@pytest.mark.parametrize("ndim", NDIMS)
@pytest.mark.parametrize("kind", ["given", "affine"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_values_and_gradients(isa, mode, ndim, kind, dtype):
    # Enough points for whole blocks and a remainder.
    case = make(ndim, mode, kind=kind, dtype=dtype, points={1: (700,), 2: (23, 31), 3: (9, 8, 11)}[ndim])
    tolerance = 1e-3 if dtype == np.float32 else 1e-10  # as in test_modes, sums of hundreds of terms
    out = backend.pull(case.image, case.geometry, case.lattice, case.plan, dtype)
    np.testing.assert_allclose(out, case.reference(), rtol=0, atol=tolerance)
    grad = np.random.default_rng(1).uniform(-1, 1, out.shape).astype(dtype)
    found = backend.vjp(case.image, case.geometry, grad, case.lattice, case.plan)
    wanted = _reference.pull_vjp(case.image, case.geometry, grad, case.lattice, case.plan)
    for ours, theirs in zip(found, wanted, strict=True):
        scale = max(1, np.abs(theirs).max())
        np.testing.assert_allclose(ours / scale, theirs / scale, rtol=0, atol=tolerance)


def info(**environment):
    code = "from pullback import _native; print(_native.isa(), _native.num_threads())"
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", _native.available_isas())
def test_environment_chooses_the_isa(name):
    assert info(PULLBACK_ISA=name).stdout.split()[0] == name


def test_an_isa_that_is_not_here_is_refused():
    result = info(PULLBACK_ISA="sse9")
    assert result.returncode != 0
    assert "'sse9' is not available on this machine; choose one of baseline" in result.stderr


def test_environment_chooses_the_threads():
    assert info(PULLBACK_NUM_THREADS="3").stdout.split()[1] == "3"
