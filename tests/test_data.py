"""Data come in as they are on disk, split the same way every time, and damaged ones are refused by name."""

from __future__ import annotations

import concurrent.futures
import gzip
import http.server
import struct
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")
Image = pytest.importorskip("PIL.Image")

from pullback.train import data, pictures  # noqa: E402
from pullback.train.data import DataError  # noqa: E402

MNIST = Path(__file__).parents[2] / "shared" / "data" / "mnist"
NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def write_idx_folder(folder: Path, side: int = 28, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    arrays = {
        NAMES[0]: random.integers(0, 256, (12, side, side)),
        NAMES[1]: np.arange(12) % 3,
        NAMES[2]: random.integers(0, 256, (6, side, side)),
        NAMES[3]: np.arange(6) % 3,
    }
    for name, array in arrays.items():
        (folder / name).write_bytes(idx_bytes(array))
    return arrays


def write_class_folders(folder: Path, classes: tuple[str, ...], count: int, side: int = 28) -> None:
    for level, name in enumerate(classes, start=1):
        (folder / name).mkdir(parents=True)
        for k in range(count):
            Image.fromarray(np.full((side, side), 20 * level + k, np.uint8)).save(folder / name / f"{k}.png")


@pytest.mark.parametrize("shape", [(0,), (5,), (3, 2), (4, 3, 2)], ids=str)
@pytest.mark.parametrize("gzipped", [False, True], ids=["plain", "gzipped"])
def test_idx_files_come_back_as_they_were_written(tmp_path, shape, gzipped):
    array = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    content = idx_bytes(array)
    path = tmp_path / "some"
    path.write_bytes(gzip.compress(content) if gzipped else content)
    read = data.read_idx(path)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("separator", ["-", "."])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_folders_are_found_under_the_names_in_use(tmp_path, separator, suffix):
    arrays = write_idx_folder(tmp_path)
    for name in NAMES:
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).unlink()
        renamed = name.replace("-idx", f"{separator}idx") + suffix
        (tmp_path / renamed).write_bytes(gzip.compress(content) if suffix else content)
    dataset = data.load(str(tmp_path))
    np.testing.assert_allclose(dataset.train_images, arrays[NAMES[0]] / 255, rtol=1e-6)
    np.testing.assert_array_equal(dataset.test_labels, arrays[NAMES[3]])
    assert dataset.classes == ("0", "1", "2")


def test_idx_images_of_another_size_are_brought_to_28(tmp_path):
    write_idx_folder(tmp_path, side=10)
    dataset = data.load(str(tmp_path))
    assert dataset.train_images.shape == (12, 28, 28)
    assert dataset.train_images.dtype == np.float32


def cut_short(folder: Path) -> None:
    path = folder / NAMES[0]
    path.write_bytes(path.read_bytes()[:-1])


def cut_within_the_header(folder: Path) -> None:
    path = folder / NAMES[0]
    path.write_bytes(path.read_bytes()[:9])


def too_long(folder: Path) -> None:
    path = folder / NAMES[2]
    path.write_bytes(path.read_bytes() + b"\0")


def empty_file(folder: Path) -> None:
    (folder / NAMES[1]).write_bytes(b"")


def wrong_magic(folder: Path) -> None:
    path = folder / NAMES[0]
    path.write_bytes(b"\x01" + path.read_bytes()[1:])


def floats(folder: Path) -> None:
    path = folder / NAMES[0]
    content = bytearray(path.read_bytes())
    content[2] = 0x0D
    path.write_bytes(content)


def cut_gzip(folder: Path) -> None:
    path = folder / NAMES[0]
    path.write_bytes(gzip.compress(path.read_bytes())[:-20])


def damaged_gzip(folder: Path) -> None:
    path = folder / NAMES[0]
    content = bytearray(gzip.compress(path.read_bytes()))
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def counts_disagree(folder: Path) -> None:
    (folder / NAMES[1]).write_bytes(idx_bytes(np.zeros(11)))


def a_file_is_missing(folder: Path) -> None:
    (folder / NAMES[3]).unlink()


def labels_in_the_place_of_images(folder: Path) -> None:
    (folder / NAMES[0]).write_bytes((folder / NAMES[1]).read_bytes())


def no_images(folder: Path) -> None:
    (folder / NAMES[2]).write_bytes(idx_bytes(np.zeros((0, 28, 28))))
    (folder / NAMES[3]).write_bytes(idx_bytes(np.zeros(0)))


def one_class(folder: Path) -> None:
    (folder / NAMES[1]).write_bytes(idx_bytes(np.zeros(12)))
    (folder / NAMES[3]).write_bytes(idx_bytes(np.zeros(6)))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut_short, "cut short; its header says 9,408 bytes .* holds 9,407"),
        (cut_within_the_header, "within its header"),
        (too_long, "too long"),
        (empty_file, "it starts with nothing"),
        (wrong_magic, "not an IDX file of unsigned bytes"),
        (floats, "not an IDX file of unsigned bytes"),
        (cut_gzip, "cannot be read"),
        (damaged_gzip, "cannot be read"),
        (counts_disagree, "12 train images but 11 labels"),
        (a_file_is_missing, "no IDX file of test labels"),
        (labels_in_the_place_of_images, "images have 3 axes"),
        (no_images, "hold no images"),
        (one_class, "one class only"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_damaged_idx_folders_are_refused(tmp_path, damage, words):
    write_idx_folder(tmp_path)
    damage(tmp_path)
    with pytest.raises(DataError, match=words) as caught:
        data.load(str(tmp_path))
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_of_classes_is_split_the_same_way_every_time(tmp_path):
    write_class_folders(tmp_path, ("2", "10", "cat"), count=10)
    first, second = data.load(str(tmp_path)), data.load(str(tmp_path))
    assert first.classes == ("2", "10", "cat"), "numbers in the order of their values, then names"
    np.testing.assert_array_equal(np.bincount(first.train_labels), [8, 8, 8])
    np.testing.assert_array_equal(np.bincount(first.test_labels), [2, 2, 2])
    np.testing.assert_array_equal(first.train_images, second.train_images)
    values = [np.unique(np.rint(part * 255)) for part in (first.train_images, first.test_images)]
    assert not np.intersect1d(*values).size, "no picture is in both parts"
    assert sum(map(len, values)) == 30, "and every picture is in one"


def test_what_is_hidden_is_neither_a_class_nor_a_picture(tmp_path):
    write_class_folders(tmp_path, ("a", "b", ".thumbnails"), count=3)
    (tmp_path / "a" / "._0.png").write_bytes(b"what a file system keeps beside a picture")
    dataset = data.load(str(tmp_path))
    assert dataset.classes == ("a", "b")
    assert len(dataset.train_labels) + len(dataset.test_labels) == 6


def test_folders_called_train_and_test_are_the_split(tmp_path):
    write_class_folders(tmp_path / "train", ("a", "b"), count=3)
    write_class_folders(tmp_path / "test", ("a", "b"), count=2)
    dataset = data.load(str(tmp_path))
    assert (len(dataset.train_labels), len(dataset.test_labels)) == (6, 4)
    assert dataset.classes == ("a", "b")


@pytest.mark.parametrize("name", ["val", "valid", "validation", "testing", "Val"])
def test_other_names_of_the_split(tmp_path, name):
    write_class_folders(tmp_path / "Train", ("a", "b"), count=3)
    write_class_folders(tmp_path / name, ("a", "b"), count=2)
    dataset = data.load(str(tmp_path))
    assert (len(dataset.train_labels), len(dataset.test_labels), dataset.classes) == (6, 4, ("a", "b"))


def test_beside_test_val_is_not_read(tmp_path):
    for name, count in (("train", 3), ("val", 1), ("test", 2)):
        write_class_folders(tmp_path / name, ("a", "b"), count=count)
    dataset = data.load(str(tmp_path))
    assert (len(dataset.train_labels), len(dataset.test_labels)) == (6, 4)


def test_pictures_of_trains_are_a_class(tmp_path):
    write_class_folders(tmp_path, ("car", "train"), count=5)
    assert data.load(str(tmp_path)).classes == ("car", "train")


def a_train_alone(folder: Path) -> None:
    write_class_folders(folder / "train", ("a", "b"), count=5)


def a_val_without_train(folder: Path) -> None:
    write_class_folders(folder / "val", ("a", "b"), count=5)
    write_class_folders(folder, ("a", "b"), count=5)


def no_such_folder(folder: Path) -> None:
    folder.rmdir()


def nothing_in_it(folder: Path) -> None:
    pass


def a_class_without_pictures(folder: Path) -> None:
    write_class_folders(folder, ("a", "b"), count=2)
    (folder / "c").mkdir()


def a_broken_picture(folder: Path) -> None:
    write_class_folders(folder, ("a", "b"), count=2)
    path = folder / "a" / "1.png"
    path.write_bytes(path.read_bytes()[:40])


def a_text_named_png(folder: Path) -> None:
    write_class_folders(folder, ("a", "b"), count=2)
    (folder / "b" / "note.png").write_text("not a picture")


def too_few(folder: Path) -> None:
    write_class_folders(folder, ("a", "b"), count=1)


def a_class_only_in_test(folder: Path) -> None:
    write_class_folders(folder / "train", ("a", "b"), count=2)
    write_class_folders(folder / "test", ("a", "z"), count=2)


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (no_such_folder, "no such folder"),
        (nothing_in_it, "holds neither IDX files nor"),
        (a_class_without_pictures, "c: holds no pictures"),
        (a_broken_picture, "1.png: not readable as a picture"),
        (a_text_named_png, "note.png: not readable as a picture"),
        (too_few, "too few pictures"),
        (a_class_only_in_test, "has the class 'z'"),
        (a_train_alone, r"there is no test or val .* beside it; add that, or give .*train itself"),
        (a_val_without_train, "there is no train with such folders beside it"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_bad_folders_are_refused(tmp_path, prepare, words):
    folder = tmp_path / "pictures"
    folder.mkdir()
    prepare(folder)
    with pytest.raises(ValueError, match=words) as caught:
        data.load(str(folder))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("for_test", [7, 20, 50])
def test_the_split_is_exact_disjoint_and_stratified(for_test):
    labels = np.random.default_rng(3).integers(0, 4, 100)
    train, test = data.stratified_split(labels, for_test)
    assert len(test) == for_test
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(100))
    share = np.bincount(labels) * for_test / 100
    assert np.abs(np.bincount(labels[test], minlength=4) - share).max() < 1


def test_digits_are_all_there_and_enlarged_by_the_library():
    from sklearn.datasets import load_digits

    digits = data.load("digits")
    assert digits.train_images.shape == (1437, 28, 28)
    assert digits.test_images.shape == (360, 28, 28)
    originals = load_digits().images / 16
    # Bilinear enlargement by 3.5 with black around: the sum of the weights of a sample inside is 3.5 squared.
    total = sum(part.astype(np.float64).sum() for part in (digits.train_images, digits.test_images))
    assert total == pytest.approx(3.5**2 * originals.sum(), rel=0.03)


@pytest.mark.parametrize("factor", [2, 3])
def test_shrinking_averages_over_all_of_the_picture(factor):
    images = np.random.default_rng(0).random((2, 28 * factor, 28 * factor)).astype(np.float32)
    blocks = images.reshape(2, 28, factor, 28, factor).mean((2, 4))
    np.testing.assert_allclose(pictures.resized(images, 28), blocks, atol=1e-6)


@pytest.mark.parametrize("side", [30, 55, 57])
def test_no_pixel_is_skipped(side):
    rows = np.eye(side, dtype=np.float32)[:, :, None] * np.ones(side, np.float32)  # a picture for each row of pixels
    weight = pictures.resized(rows, 28)[:, :, 14].sum(1)
    np.testing.assert_allclose(weight[2:-2], 28 / side, rtol=0.45)


def test_a_picture_keeps_its_proportions():
    wide = np.ones((1, 20, 40), np.float32)
    square = pictures.resized(wide, 28)[0]
    assert square[14, 14] == pytest.approx(1)
    np.testing.assert_allclose(square.sum() / 28**2, 0.5, atol=0.05)
    assert square[:6].max() < 0.1, "black above, where the picture does not reach"


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (np.full((2, 2), 255, np.uint8), 1.0),
        (np.full((2, 2), 65535, np.uint16), 1.0),
        (np.full((2, 2, 3), 255, np.uint8), 1.0),
        (np.array([[[255, 255, 255, 0]]], np.uint8), 0.0),
        (np.array([[[255, 51]]], np.uint8), 0.2),
        (np.array([[[0, 255, 0]]], np.uint8), 0.587),
    ],
    ids=["gray", "16 bits", "white", "transparent", "gray and alpha", "green"],
)
def test_brightness(picture, expected):
    np.testing.assert_allclose(pictures.gray(picture), expected, rtol=1e-5)


@pytest.mark.skipif(not MNIST.is_dir(), reason="shared/data/mnist is not here")
def test_mnist_is_read_to_the_byte():
    import hashlib

    images = data.read_idx(MNIST / "t10k-images-idx3-ubyte.gz")
    assert hashlib.md5(idx_bytes(images)).hexdigest() == "2646ac647ad5339dbf082846283269ea"


# ---- download


@pytest.fixture
def served(tmp_path):
    """A folder, and its address on this machine."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def kept(cache):
    return [path for path in cache.rglob("*") if path.is_file() and path.name != ".lock"]


@pytest.mark.parametrize(
    "content",
    [gzip.compress(b"something else"), gzip.compress(b"cut off" * 1000)[:-20], b"<html>no such file</html>", b""],
    ids=["other", "cut off", "a page", "empty"],
)
def test_files_with_another_checksum_are_not_taken(served, tmp_path, monkeypatch, content):
    folder, address = served
    monkeypatch.setenv("PULLBACK_DATA", str(tmp_path / "cache"))
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\.gz is not MNIST's"):
        data.download(address)
    assert not kept(tmp_path / "cache")


def test_a_mirror_that_does_not_answer_is_named(served, tmp_path, monkeypatch):
    _, address = served
    monkeypatch.setenv("PULLBACK_DATA", str(tmp_path / "cache"))
    with pytest.raises(DataError, match=f"{address}: t10k-images.* cannot be fetched"):
        data.download(address)


@pytest.mark.skipif(not MNIST.is_dir(), reason="needs MNIST beside the project")
def test_a_download_is_mnist_and_is_made_once(served, tmp_path, monkeypatch):
    folder, address = served
    monkeypatch.setenv("PULLBACK_DATA", str(tmp_path / "cache"))
    for path in MNIST.iterdir():
        # Packed otherwise than it was: what counts is what is inside.
        (folder / path.name).write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 1))
    damaged = tmp_path / "cache" / "mnist" / "train-labels-idx1-ubyte.gz"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"of an interrupted download")
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        # As processes that train together do.
        (found,) = set(pool.map(data.download, [address + "/"] * 3))
    for path in folder.iterdir():
        path.unlink()
    assert data.download(address) == found, "nothing is fetched again"
    dataset = data.load(str(found))
    assert (dataset.train_images.shape, dataset.test_images.shape) == ((60_000, 28, 28), (10_000, 28, 28))
