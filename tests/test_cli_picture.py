"""`pullback warp` does to a picture what it is told to."""

from __future__ import annotations

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")


@pytest.mark.parametrize("mode", ["gray", "colour", "gray and alpha", "colour and alpha", "16 bits"])
def test_warping_by_nothing_changes_nothing(run, tmp_path, mode):
    channels = {"gray": (), "colour": (3,), "gray and alpha": (2,), "colour and alpha": (4,), "16 bits": ()}[mode]
    dtype = np.uint16 if mode == "16 bits" else np.uint8
    picture = np.random.default_rng(0).integers(1, np.iinfo(dtype).max, (9, 14, *channels), dtype=dtype)
    Image.fromarray(picture).save(tmp_path / "in.png")
    assert run("warp", tmp_path / "in.png", tmp_path / "out.png") == (0, "", "")
    np.testing.assert_array_equal(
        np.asarray(Image.open(tmp_path / "out.png")), np.asarray(Image.open(tmp_path / "in.png"))
    )


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_rotation_is_counter_clockwise_about_the_middle(run, photo, tmp_path, degrees):
    picture = np.asarray(Image.open(photo))
    turned = np.rot90(picture, degrees // 90)
    height, width = turned.shape[:2]
    run("warp", photo, tmp_path / "out.png", "--rotate", degrees, "--shape", f"{height}x{width}")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.png")), turned)


def test_scale_and_translate(run, tmp_path):
    picture = np.zeros((41, 41), np.uint8)
    picture[10:31, 10:31] = 200
    Image.fromarray(picture).save(tmp_path / "in.png")
    run("warp", tmp_path / "in.png", tmp_path / "out.png", "--scale", "0.5", "--translate", "8", "-3")
    ink = np.argwhere(np.asarray(Image.open(tmp_path / "out.png")) > 100)
    np.testing.assert_allclose(ink.mean(0), [28, 17])
    assert len(ink) == pytest.approx(10.5**2, rel=0.15)


def test_a_smaller_picture_is_averaged(run, tmp_path):
    Image.fromarray(np.tile(np.uint8([0, 200]), (40, 20))).save(tmp_path / "in.png")
    run("warp", tmp_path / "in.png", tmp_path / "out.png", "--scale", "0.2", "--shape", "8x8")
    inside = np.asarray(Image.open(tmp_path / "out.png"))[1:-1, 1:-1]
    assert np.abs(inside.astype(int) - 100).max() < 30


@pytest.mark.parametrize(
    ("options", "corner"),
    [
        ((), 0),
        (("--fill", "77"), 77),
        (("--border", "edge"), 9),
        (("--border", "wrap", "--interpolation", "nearest"), 9),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_lies_beyond_the_picture(run, tmp_path, options, corner):
    Image.fromarray(np.full((8, 8), 9, np.uint8)).save(tmp_path / "in.png")
    run("warp", tmp_path / "in.png", tmp_path / "out.png", "--translate", "20", "20", *options)
    assert (np.asarray(Image.open(tmp_path / "out.png")) == corner).all()


def test_hidden_colours_do_not_bleed(run, tmp_path):
    picture = np.zeros((9, 9, 4), np.uint8)
    picture[...] = (255, 0, 0, 0)
    picture[3:6, 3:6] = (0, 0, 255, 255)
    Image.fromarray(picture).save(tmp_path / "in.png")
    run("warp", tmp_path / "in.png", tmp_path / "out.png", "--rotate", "30")
    seen = np.asarray(Image.open(tmp_path / "out.png"))
    assert (seen[seen[..., 3] > 0][:, :3] == (0, 0, 255)).all()
    assert ((seen[..., 3] > 0) & (seen[..., 3] < 255)).any()
