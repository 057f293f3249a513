"""A picture is what its mode says: Pillow converts it, and its brightness is what a person sees."""

from __future__ import annotations

import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")

from pullback.train import pictures  # noqa: E402
from pullback.train.pictures import PictureError  # noqa: E402


def plain(mode, colour):
    return Image.new(mode, (6, 4), colour)


def in_a_palette():
    """Index 1 of a palette, which is white."""
    picture = plain("P", 1)
    picture.putpalette([0, 0, 0, 255, 255, 255])
    return picture


# The file, the picture, how it is saved, the shape and the dtype that are read, the brightness.
MODES = {
    "CMYK JPEG": ("a.jpg", plain("CMYK", (0, 0, 0, 0)), {}, (3,), np.uint8, 1.0),
    "CMYK TIFF": ("a.tif", plain("CMYK", (0, 0, 0, 204)), {}, (3,), np.uint8, 0.2),
    "YCbCr": ("a.tif", plain("YCbCr", (51, 128, 128)), {}, (3,), np.uint8, 0.2),
    # What LittleCMS rounds.
    "LAB": ("a.tif", plain("LAB", (255, 128, 128)), {}, (3,), np.uint8, 254.6 / 255),
    "palette": ("a.png", in_a_palette(), {}, (3,), np.uint8, 1.0),
    "palette, GIF": ("a.gif", in_a_palette(), {}, (3,), np.uint8, 1.0),
    "palette, transparent": ("a.gif", in_a_palette(), {"transparency": 1}, (4,), np.uint8, 0.0),
    "palette, half transparent": ("a.png", in_a_palette(), {"transparency": bytes([255, 51])}, (4,), np.uint8, 0.2),
    "1 bit": ("a.png", plain("1", 1), {}, (), np.uint8, 1.0),
    "1 bit, transparent": ("a.png", plain("1", 1), {"transparency": 1}, (2,), np.uint8, 0.0),
    "gray": ("a.png", plain("L", 51), {}, (), np.uint8, 0.2),
    "gray, transparent": ("a.png", plain("L", 51), {"transparency": 51}, (2,), np.uint8, 0.0),
    "gray and alpha": ("a.png", plain("LA", (255, 51)), {}, (2,), np.uint8, 0.2),
    "RGB": ("a.bmp", plain("RGB", (0, 255, 0)), {}, (3,), np.uint8, 0.587),
    "RGB, transparent": ("a.png", plain("RGB", (1, 2, 3)), {"transparency": (1, 2, 3)}, (4,), np.uint8, 0.0),
    "RGBA": ("a.png", plain("RGBA", (255, 255, 255, 51)), {}, (4,), np.uint8, 0.2),
    "16 bits PNG": ("a.png", plain("I;16", 13107), {}, (), np.uint16, 0.2),
    "16 bits PNG, transparent": ("a.png", plain("I;16", 300), {"transparency": 300}, (2,), np.uint16, 0.0),
    "16 bits PGM": ("a.pgm", plain("I", 13107), {}, (), np.uint16, 0.2),
    "16 bits TIFF": ("a.tif", plain("I;16", 13107), {}, (), np.uint16, 0.2),
    "16 bits TIFF, big endian": ("a.tif", plain("I;16B", 13107), {}, (), np.uint16, 0.2),
    "16 bits in 32": ("a.tif", plain("I", 13107), {}, (), np.int32, 0.2),
    "float": ("a.tif", plain("F", 0.2), {}, (), np.float32, 0.2),
}


@pytest.mark.parametrize(("name", "picture", "options", "channels", "dtype", "brightness"), MODES.values(), ids=MODES)
def test_every_mode_is_read_as_what_it_shows(tmp_path, name, picture, options, channels, dtype, brightness):
    picture.save(tmp_path / name, **options)
    read = pictures.read(tmp_path / name)
    assert read.shape == (4, 6, *channels)
    assert read.dtype == dtype
    assert read.dtype.isnative
    np.testing.assert_allclose(pictures.gray(read), brightness, atol=2e-3)


@pytest.mark.parametrize("name", ["a.gif", "a.tif", "a.webp", "a.png"])
def test_of_several_frames_the_first_is_read(tmp_path, name):
    first, second = plain("L", 51), plain("L", 255)
    first.save(tmp_path / name, save_all=True, append_images=[second], lossless=True)
    np.testing.assert_allclose(pictures.gray(pictures.read(tmp_path / name)), 0.2, atol=1e-6)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "I;16", "P"])
def test_a_picture_is_turned_as_the_camera_says(tmp_path, orientation, mode):
    upright = np.arange(24).reshape(4, 6).astype(np.uint16 if mode == "I;16" else np.uint8)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    picture = Image.fromarray(np.ascontiguousarray(stored))
    exif = Image.Exif()
    exif[0x0112] = orientation
    (picture if mode == "I;16" else picture.convert(mode)).save(tmp_path / "a.png", exif=exif)
    read = pictures.read(tmp_path / "a.png")
    np.testing.assert_array_equal(read if read.ndim == 2 else read[..., 0], upright)


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (plain("F", 255.0), "go from 255 to 255; as float32, black is 0 and white is 1"),
        (plain("F", float("nan")), "white is 1"),
        (plain("I", 65536), "white is 65535"),
        (plain("I", -1), "white is 65535"),
    ],
    ids=["float", "NaN", "more than 16 bits", "negative"],
)
def test_what_has_no_known_white_has_no_brightness(tmp_path, picture, words):
    picture.save(tmp_path / "a.tif")
    read = pictures.read(tmp_path / "a.tif")
    with pytest.raises(PictureError, match=rf"a\.tif: .*{words}"), pictures.naming(tmp_path / "a.tif"):
        pictures.gray(read)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.tif", "a.bmp", "a.webp", "a.ppm"])
@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9])
def test_what_is_cut_off_is_refused_by_name(tmp_path, name, part, recwarn):
    path = tmp_path / name
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(PictureError, match=f"{name}: not readable as a picture") as caught:
        pictures.read(path)
    assert "\n" not in str(caught.value)
    assert not recwarn.list


def test_what_decoders_say_by_themselves_is_not_heard(tmp_path, capfd):
    path = tmp_path / "a.tif"
    noise = np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8)
    Image.fromarray(noise).save(path, compression="tiff_lzw")
    content = bytearray(path.read_bytes())
    content[300:400] = b"\xff" * 100
    path.write_bytes(content)
    with pytest.raises(PictureError, match=r"a\.tif: not readable"):
        pictures.read(path)
    assert capfd.readouterr() == ("", "")
    print("still heard", file=sys.stderr)
    assert capfd.readouterr().err == "still heard\n"


def test_what_claims_to_be_huge_is_refused(tmp_path):
    plain("L", 1).save(tmp_path / "a.png")
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[16:24] = b"\x00\x10\x00\x00" * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(PictureError, match=r"a\.png: not readable"):
        pictures.read(tmp_path / "a.png")


@pytest.mark.parametrize(
    "picture",
    [
        np.full((4, 5), 7, np.uint8),
        np.full((4, 5, 2), 7, np.uint8),
        np.full((4, 5, 3), 7, np.uint8),
        np.full((4, 5, 4), 7, np.uint8),
        np.full((4, 5), 700, np.uint16),
        np.full((4, 5), 70000, np.int32),
        np.full((4, 5), 0.7, np.float32),
    ],
    ids=lambda picture: f"{picture.dtype} {picture.shape}",
)
def test_what_is_written_is_read_back(tmp_path, picture):
    pictures.write(tmp_path / "a.tif", picture)
    read = pictures.read(tmp_path / "a.tif")
    assert read.dtype == picture.dtype
    np.testing.assert_array_equal(read, picture)


def test_what_a_format_cannot_hold_is_refused():
    with pytest.raises(PictureError, match="4-channel picture of uint8 cannot be written"):
        pictures.encode(Path("a.jpg"), np.zeros((2, 2, 4), np.uint8))
    with pytest.raises(PictureError, match="gray picture of int32"):
        pictures.encode(Path("a.png"), np.zeros((2, 2), np.int32))
