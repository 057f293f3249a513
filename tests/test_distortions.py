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
RIGID = ["r", "rts", "tc"]


def boxes_of_small_digits(count: int = COUNT) -> torch.Tensor:
    box = torch.tensor([[-0.7, -0.4], [0.6, 0.5]])
    return box.expand(count, 2, 2)


def drawn(name: str, *seeds: int, count: int = COUNT) -> np.ndarray:
    transform = DISTORTIONS[name].draw(boxes_of_small_digits(count), distortions.generator(*seeds))
    return np.asarray(transform.numpy().parameters if name == "e" else transform.numpy().matrix)


def pictures(count: int) -> torch.Tensor:
    """Squares of different brightness, in different places."""
    images = torch.zeros(count, 1, 28, 28)
    for index in range(count):
        top, left = 4 + index % 7, 4 + index % 5
        images[index, 0, top : top + 12, left : left + 9] = 1 - 0.5 * index / count
    return images


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seeds_draw_the_same(name):
    np.testing.assert_array_equal(drawn(name, TRAINING, 3, 5), drawn(name, TRAINING, 3, 5))


@pytest.mark.parametrize("other", [(TRAINING, 3, 6), (TRAINING, 4, 5), (TESTING, 3, 5)], ids=["epoch", "seed", "use"])
def test_other_seeds_draw_something_else(other):
    assert not np.isclose(drawn("rts", TRAINING, 3, 5), drawn("rts", *other)).all(axis=(1, 2)).any()


@pytest.mark.parametrize("name", RIGID)
def test_rotation_and_scale_are_uniform_in_their_ranges(name):
    linear = drawn(name, 0)[:, :, :2]
    degrees = np.degrees(np.arctan2(linear[:, 0, 1], linear[:, 0, 0]))
    scale = DISTORTIONS[name].canvas / 28 / np.sqrt(np.linalg.det(linear))
    np.testing.assert_allclose(linear[:, 0, 0], linear[:, 1, 1], atol=1e-5)
    np.testing.assert_allclose(linear[:, 0, 1], -linear[:, 1, 0], atol=1e-5)
    turn, (low, high) = {"r": (90, (1, 1)), "rts": (45, (0.7, 1.2)), "tc": (0, (1, 1))}[name]
    tolerance = 1e-4
    assert degrees.min() >= -turn - tolerance
    assert degrees.max() <= turn + tolerance
    assert scale.min() >= low - tolerance
    assert scale.max() <= high + tolerance
    # The mean of n uniform numbers is off by 4 of its standard deviations once in 16,000 times; the seed is fixed.
    for values, width, middle in ((degrees, 2 * turn, 0), (scale, high - low, (low + high) / 2)):
        assert abs(values.mean() - middle) <= 4 * width / np.sqrt(12 * COUNT) + 1e-6
        assert values.std() == pytest.approx(width / np.sqrt(12), rel=0.05, abs=1e-6)


def test_a_positive_angle_turns_the_picture_counter_clockwise():
    image = torch.zeros(1, 1, 28, 28)
    image[..., 13:15, 20:26] = 1
    matrix = drawn("r", 0)
    degrees = np.degrees(np.arctan2(matrix[:, 0, 1], matrix[:, 0, 0]))
    turned = torch.tensor(matrix[np.argmax(degrees)], dtype=torch.float32)
    canvas = distortions.place(image, pb.Affine(turned[None]), 28)[0, 0]
    assert canvas[:10].sum() > 0.9 * canvas.sum(), "what was on the right is above after almost 90 degrees"


@pytest.mark.parametrize("name", RIGID)
def test_pictures_turn_about_the_middle_unless_they_are_placed(name):
    matrix = drawn(name, 0)
    forward = pb.Affine(matrix).inverse()
    middle = forward(np.zeros(2))
    if name != "r":
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
    transform = DISTORTIONS["rts"].draw(full, distortions.generator(0))
    middle = pb.Affine(transform.numpy().matrix).inverse()(np.zeros(2))
    extent = 1.5 * 28 / 42 * 0.7 * np.sqrt(2)
    assert np.abs(middle).max() <= max(0, 1 - extent) + 0.31


def test_distorted_pictures_keep_their_brightness_where_they_fit():
    image = torch.zeros(100, 1, 28, 28)
    image[..., 10:18, 11:17] = 1
    boxes = distortions.ink_boxes(image)
    transform = DISTORTIONS["rts"].draw(boxes, distortions.generator(7))
    canvas = distortions.place(image, transform, 42)
    assert canvas.shape == (100, 1, 42, 42)
    area = 1 / np.linalg.det(transform.numpy().matrix[:, :, :2]) * (42 / 28) ** 2
    # Bilinear reading keeps the sum on average; a pixel lattice adds a few per cent on so small a patch.
    np.testing.assert_allclose(canvas.sum((1, 2, 3)).numpy() / 48, area, rtol=0.08)


def test_ink_boxes():
    images = torch.zeros(2, 1, 28, 28)
    images[0, 0, 7:21, 14:28] = 1
    expected = torch.tensor([[[-0.5, 0.0], [0.5, 1.0]], [[-1.0, -1.0], [1.0, 1.0]]])
    torch.testing.assert_close(distortions.ink_boxes(images), expected)


# ---- projective, elastic, cluttered


def test_corners_are_moved_by_five_pixels():
    """The maps lead from the canvas to the picture; back from its corners to where on the canvas these were moved."""
    seen = pb.Projective(drawn("p", 0))
    square = np.array([(-1.0, -1.0), (-1.0, 1.0), (1.0, 1.0), (1.0, -1.0)])
    moved = seen.inverse()(np.broadcast_to(square * 42 / 28, (COUNT, 4, 2))) * 21
    assert np.isfinite(moved).all(), "no corner lies beyond the horizon"
    middle = moved.mean(0) / 21
    # On average a corner is where the mean scale, 0.875, has it; folded ones, which are drawn again, are few.
    np.testing.assert_allclose(middle, 0.875 * square, atol=0.02)
    scale = 21 * 0.25 / np.sqrt(12)
    assert moved.std(0).mean() == pytest.approx(np.hypot(5, scale), rel=0.04)
    # Neighbouring corners share the scale and nothing else.
    across = (moved - 21 * 0.875 * square)[:, :, 0]
    correlation = np.corrcoef(across[:, 0], across[:, 1])[0, 1]
    assert correlation == pytest.approx(scale**2 / (25 + scale**2), abs=0.06)


def test_the_quadrangles_are_convex():
    seen = pb.Projective(drawn("p", 3))
    square = np.array([(-1.0, -1.0), (-1.0, 1.0), (1.0, 1.0), (1.0, -1.0)]) * 42 / 28
    corners = seen.inverse()(np.broadcast_to(square, (COUNT, 4, 2)))
    edge = np.roll(corners, -1, 1) - corners
    after = np.roll(edge, -1, 1)
    assert (edge[..., 1] * after[..., 0] - edge[..., 0] * after[..., 1] > 0).all()


def test_control_points_are_moved_by_one_and_a_half_pixels():
    targets = drawn("e", 0) * 14
    assert targets.shape == (COUNT, 16, 2)
    side = np.linspace(-14, 14, 4)
    points = np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(16, 2)
    # Scaled by 1 / s, with s uniform in [0.75, 1]: the mean of 1 / s is 4 log(4 / 3).
    np.testing.assert_allclose(targets.mean(0), points * 4 * np.log(4 / 3), atol=0.15)
    spread = targets[:, [5, 6, 9, 10]] - points[[5, 6, 9, 10]] * 4 * np.log(4 / 3)
    assert spread.std() == pytest.approx(1.5 * np.sqrt(4 / 3), rel=0.05), "E[1 / s²] is 4 / 3"


def test_clutter_is_cut_from_other_pictures_and_laid_about():
    images = pictures(300)
    boxes = distortions.ink_boxes(images)
    chosen = torch.arange(300)
    plain = DISTORTIONS["tc"]
    canvas = distortions.apply(plain, images, boxes, chosen, distortions.generator(1))
    bare = distortions.place(images, plain.draw(boxes, distortions.generator(1)), 60)
    clutter = canvas - bare
    assert clutter.min() >= 0
    assert canvas.max() <= 1
    # Six pieces of 6 x 6 at most, and they meet each other and the picture seldom.
    area = (clutter > 0).sum((1, 2, 3)).float()
    assert area.max() <= 6 * 36
    assert 80 < area.mean() < 6 * 36
    where = (clutter > 0).float().mean((0, 1))
    assert where[:54:18, :54:18].min() > 0, "all over the canvas"
    assert abs(float(where[:30].mean() / where[30:].mean()) - 1) < 0.2


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_distorted_as_its_seed_says(name):
    images = pictures(40)
    boxes = distortions.ink_boxes(images)
    chosen = torch.arange(0, 40, 3)
    first, again = (
        distortions.apply(DISTORTIONS[name], images, boxes, chosen, distortions.generator(5)) for _ in range(2)
    )
    canvas = DISTORTIONS[name].canvas
    assert first.shape == (14, 1, canvas, canvas)
    assert torch.equal(first, again)
    assert not torch.equal(first[0], first[1])
