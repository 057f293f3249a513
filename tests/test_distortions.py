"""Distortions are what their table says, come out of seeds alone, and keep the ink on the canvas."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import pullback as pb  # noqa: E402
from pullback.train import distortions  # noqa: E402
from pullback.train.distortions import DISTORTIONS, TESTING, TRAINING  # noqa: E402

COUNT = 4000
NAMES = list(DISTORTIONS)


def boxes_of_small_digits(count: int = COUNT) -> torch.Tensor:
    box = torch.tensor([[-0.7, -0.4], [0.6, 0.5]])
    return box.expand(count, 2, 2)


def drawn(name: str, *seeds: int, count: int = COUNT) -> np.ndarray:
    transform = distortions.draw(DISTORTIONS[name], boxes_of_small_digits(count), 28, distortions.generator(*seeds))
    return transform.numpy().matrix


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seeds_draw_the_same(name):
    np.testing.assert_array_equal(drawn(name, TRAINING, 3, 5), drawn(name, TRAINING, 3, 5))


@pytest.mark.parametrize("other", [(TRAINING, 3, 6), (TRAINING, 4, 5), (TESTING, 3, 5)], ids=["epoch", "seed", "use"])
def test_other_seeds_draw_something_else(other):
    assert not np.isclose(drawn("rts", TRAINING, 3, 5), drawn("rts", *other)).all(axis=(1, 2)).any()


@pytest.mark.parametrize("name", NAMES)
def test_rotation_and_scale_are_uniform_in_their_ranges(name):
    distortion = DISTORTIONS[name]
    linear = drawn(name, 0)[:, :, :2]
    degrees = np.degrees(np.arctan2(linear[:, 0, 1], linear[:, 0, 0]))
    scale = distortion.canvas / 28 / np.sqrt(np.linalg.det(linear))
    np.testing.assert_allclose(linear[:, 0, 0], linear[:, 1, 1], atol=1e-5)
    np.testing.assert_allclose(linear[:, 0, 1], -linear[:, 1, 0], atol=1e-5)
    low, high = distortion.scales
    tolerance = 1e-4
    assert degrees.min() >= -distortion.degrees - tolerance
    assert degrees.max() <= distortion.degrees + tolerance
    assert scale.min() >= low - tolerance
    assert scale.max() <= high + tolerance
    # The mean of n uniform numbers is off by 4 of its standard deviations once in 16,000 times; the seed is fixed.
    for values, width, middle in ((degrees, 2 * distortion.degrees, 0), (scale, high - low, (low + high) / 2)):
        assert abs(values.mean() - middle) <= 4 * width / np.sqrt(12 * COUNT) + 1e-6
        assert values.std() == pytest.approx(width / np.sqrt(12), rel=0.05, abs=1e-6)


def test_a_positive_angle_turns_the_picture_counter_clockwise():
    image = torch.zeros(1, 1, 28, 28)
    image[..., 13:15, 20:26] = 1
    matrix = drawn("r", 0)
    degrees = np.degrees(np.arctan2(matrix[:, 0, 1], matrix[:, 0, 0]))
    turned = torch.tensor(matrix[np.argmax(degrees)], dtype=torch.float32)
    canvas = distortions.distort(image, pb.Affine(turned[None]), DISTORTIONS["r"])[0, 0]
    assert canvas[:10].sum() > 0.9 * canvas.sum(), "what was on the right is above after almost 90 degrees"


@pytest.mark.parametrize("name", NAMES)
def test_pictures_turn_about_the_middle_unless_they_are_placed(name):
    matrix = drawn(name, 0)
    forward = pb.Affine(matrix).inverse()
    middle = forward(np.zeros(2))
    if DISTORTIONS[name].placed:
        assert np.abs(middle).max() > 0.3
        assert np.abs(middle.mean(0)).max() < 0.05
    else:
        np.testing.assert_allclose(middle, 0, atol=1e-6)


def test_the_ink_stays_on_the_canvas_and_reaches_its_edges():
    forward = pb.Affine(drawn("rts", 0)).inverse()
    corners = np.array([(y, x) for y in (-0.7, 0.6) for x in (-0.4, 0.5)])
    reached = np.stack([forward(corner) for corner in corners], 1)
    assert np.abs(reached).max() <= 1 + 1e-5
    assert reached.max() > 0.99
    assert reached.min() < -0.99


def test_ink_that_fits_nowhere_is_put_in_the_middle():
    full = torch.tensor([[-1.5, -1.5], [1.5, 1.5]]).expand(200, 2, 2)
    transform = distortions.draw(DISTORTIONS["rts"], full, 28, distortions.generator(0))
    middle = pb.Affine(transform.numpy().matrix).inverse()(np.zeros(2))
    extent = 1.5 * 28 / 42 * 0.7 * np.sqrt(2)
    assert np.abs(middle).max() <= max(0, 1 - extent) + 0.31


def test_distorted_pictures_keep_their_brightness_where_they_fit():
    image = torch.zeros(100, 1, 28, 28)
    image[..., 10:18, 11:17] = 1
    boxes = distortions.ink_boxes(image)
    transform = distortions.draw(DISTORTIONS["rts"], boxes, 28, distortions.generator(7))
    canvas = distortions.distort(image, transform, DISTORTIONS["rts"])
    assert canvas.shape == (100, 1, 42, 42)
    area = 1 / np.linalg.det(transform.numpy().matrix[:, :, :2]) * (42 / 28) ** 2
    # Bilinear reading keeps the sum on average; a pixel lattice adds a few per cent on so small a patch.
    np.testing.assert_allclose(canvas.sum((1, 2, 3)).numpy() / 48, area, rtol=0.08)


def test_ink_boxes():
    images = torch.zeros(2, 1, 28, 28)
    images[0, 0, 7:21, 14:28] = 1
    expected = torch.tensor([[[-0.5, 0.0], [0.5, 1.0]], [[-1.0, -1.0], [1.0, 1.0]]])
    torch.testing.assert_close(distortions.ink_boxes(images), expected)
