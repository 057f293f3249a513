"""Labels: the class with the largest linear weight, in any integer dtype, bit for bit."""

import numpy as np
import pytest
import torch
from cases import NDIMS, make

import pullback as pb
from pullback import _reference
from pullback._plan import BORDERS
from pullback.backends import composite
from pullback.backends import numpy as backend

INTEGERS = [np.uint8, np.uint16, np.uint32, np.uint64, np.int8, np.int16, np.int32, np.int64, bool]


def labelled(ndim, border, extent, dtype, seed=0):
    case = make(ndim, ("label", border, extent), dtype=np.float64, fill=1.0, seed=seed)
    classes = np.random.default_rng(seed).integers(0, 2 if dtype is bool else 4, case.image.shape).astype(dtype)
    return case, classes


@pytest.mark.parametrize("dtype", INTEGERS, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("ndim", NDIMS)
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("extent", ["blend", "crop"])
def test_labels_are_the_references(dtype, ndim, border, extent):
    case, classes = labelled(ndim, border, extent, dtype)
    wanted = _reference.pull(classes, case.geometry, case.lattice, case.plan)
    found = backend.pull(classes, case.geometry, case.lattice, case.plan, dtype)
    np.testing.assert_array_equal(found, wanted)
    if dtype in (np.uint8, np.int32, np.int64):
        tensors = torch.from_numpy(classes), torch.from_numpy(case.geometry)
        np.testing.assert_array_equal(composite.pull(*tensors, case.lattice, case.plan).numpy(), wanted)


def test_the_largest_class_wins_not_the_nearest_sample():
    image = np.array([[1, 2], [2, 9]], np.uint8)
    # weights 0.36, 0.24, 0.24, 0.16: class 2 has 0.48 in all
    assert pb.sample(image, [[0.4, 0.4]], interpolation="label").tolist() == [2]
    assert pb.sample(image, [[0.4, 0.4]], interpolation="nearest").tolist() == [1]


def test_of_equals_the_smaller_class_wins():
    for pair in ([5, 3], [3, 5]):
        assert pb.sample(np.array(pair), [[0.5]], interpolation="label").tolist() == [3]


@pytest.mark.parametrize("interpolation", ["nearest", "label"])
def test_no_bit_of_64_is_lost(interpolation):
    image = np.array([[2**63 - 1, 2**62 + 1], [-(2**63) + 1, 7]], np.int64)
    np.testing.assert_array_equal(pb.warp(image, pb.Affine.identity(2), interpolation=interpolation), image)
