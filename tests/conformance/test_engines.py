"""What the other tests of this folder rest on: new memory is full of NaN, and instruction sets are what they say."""

import numpy as np
import pytest
import torch
from engines import ENGINES, ISAS, to_numpy, to_tensor
from ml_dtypes import bfloat16

from pullback import _native


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_new_memory_is_poisoned(engine):
    with engine.poisoned():
        fresh = np.empty(3) if not hasattr(engine, "device") else torch.empty(3, device=engine.device)
    assert np.isnan(np.asarray(fresh)).all()


@pytest.mark.parametrize("isa", ISAS)
def test_an_engine_runs_on_its_instruction_set_and_leaves_the_other(isa):
    before = _native.isa()
    with ENGINES[f"numpy-{isa}"]._ready():
        assert _native.isa() == isa
    assert _native.isa() == before


@pytest.mark.parametrize("dtype", [np.bool_, np.uint16, np.float16, bfloat16, np.float64, np.complex64])
def test_tensors_are_the_arrays(dtype):
    array = np.arange(6).astype(dtype).reshape(2, 3)
    for view in (array, array[:, ::-1], array.T, array[::2]):
        back = to_numpy(to_tensor(view))
        assert back.dtype == dtype
        np.testing.assert_array_equal(back, view)
