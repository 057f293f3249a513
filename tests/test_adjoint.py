"""Scatter is the transpose of sampling: <pull f, v> = <f, push v>, in every mode."""

import numpy as np
import pytest
from cases import MODES, NDIMS, make

from pullback.backends import numpy as backend


@pytest.mark.parametrize("mode", MODES, ids="-".join)
@pytest.mark.parametrize("ndim", NDIMS)
@pytest.mark.parametrize("kind", ["given", "affine"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)], ids=["float32", "float64"])
def test_inner_products(mode, ndim, kind, dtype, tolerance):
    case = make(ndim, mode, kind=kind, fill=0, dtype=dtype)
    random = np.random.default_rng(1)
    image = random.standard_normal(case.image.shape).astype(dtype)
    values = backend.pull(image, case.geometry, case.lattice, case.plan, dtype)
    v = random.standard_normal(values.shape).astype(dtype)
    scattered = backend.push(v, case.geometry, case.lattice, case.plan, case.image.shape)
    ours, theirs = (np.sum(a * b, dtype=np.float64) for a, b in ((values, v), (image, scattered)))
    # Against the size of the terms, not of their sum, which may cancel: |f| |v| bounds both for weights up to 1.
    assert abs(ours - theirs) <= tolerance * np.linalg.norm(values) * np.linalg.norm(v)
    assert np.linalg.norm(values) * np.linalg.norm(v) > 1
