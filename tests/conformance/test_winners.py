"""Which point wins a sample: the first of the most important that leave a trace in it."""

from dataclasses import replace

import numpy as np
import pytest
from cases import BATCHES, BORDERS, EXTENTS, KINDS, NDIMS, make
from covering import covered
from engines import ENGINES, REFERENCE

every_engine = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)


@covered(
    engine=ENGINES,
    interpolation=["nearest", "linear", "cubic", "bspline3", "label"],
    border=BORDERS,
    extent=EXTENTS,
    ndim=NDIMS,
    kind=KINDS,
    batch=BATCHES,
    dtype=[np.float32, np.float64],
    strength=2,
)
def test_winners(engine, interpolation, border, extent, ndim, kind, batch, dtype, seed):
    """Of importances of which many are equal, some are NaN, and some the least that there is."""
    importances, geometries = batch
    mode = (interpolation, border, extent)
    case = make(ndim, mode, kind=kind, batch=(1, geometries), channels=1, fill=0, dtype=np.float64, seed=seed)
    among = np.array([-np.inf, 0.0, 0.5, 1.0, np.nan], dtype)
    importance = among[np.random.default_rng(seed).integers(0, 5, (importances, 1, *case.lattice.shape))]
    found = engine.winners(case, importance)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, REFERENCE.winners(case, importance))


@every_engine
def test_no_one_wins_where_there_is_nothing(engine):
    case = make(2, batch=(1, 1), channels=1, shape=(2, 2), points=(3,))
    case = replace(case, geometry=np.zeros((1, 3, 2)))
    assert np.all(engine.winners(case, np.full((2, 1, 3), np.nan)) == -1)
    nowhere = make(2, batch=(1, 1), channels=1, shape=(2, 2), points=(0,))
    assert np.all(engine.winners(nowhere, np.zeros((2, 1, 0))) == -1)
    empty = replace(case, image=np.zeros((1, 1, 0, 4)))
    assert engine.winners(empty, np.zeros((2, 1, 3))).shape == (2, 0, 4)
