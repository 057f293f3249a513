"""Labels: the class with the largest linear weight, in any integer dtype, bit for bit."""

import numpy as np
import pytest

import pullback as pb


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


@pytest.mark.parametrize("kind", ["array", "tensor"])
def test_where_a_sample_wins_is_covered(kind):
    image, at = np.full(5, 3, np.int32), np.linspace(-1.2, 5.2, 33)[:, None]
    if kind == "tensor":
        torch = pytest.importorskip("torch")
        image, at = torch.tensor(image), torch.tensor(at)
    values, coverage = pb.sample(image, at, interpolation="label", fill=9, return_weight=True)
    np.testing.assert_array_equal(coverage, (np.asarray(values) == 3).astype(float))
