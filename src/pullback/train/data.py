"""Pictures and labels to train on: scikit-learn's digits, IDX files, or a folder with one sub-folder a class."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

import pullback._files as _files
from pullback.train import pictures

SIDE = 28
DIGITS = "digits"

# Where MNIST is fetched from, and the SHA-256 of its files, unpacked.
MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_MNIST = {
    "t10k-images-idx3-ubyte.gz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte.gz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    "train-images-idx3-ubyte.gz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte.gz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
}

_DIGITS_FOR_TEST = 360
_PART_FOR_TEST = 0.2
_IDX_NAME = re.compile(
    r"(?:.*[-_.])?(?P<split>train|t10k|test)[-_.](?P<kind>images|labels)[-_.]idx(?P<axes>[13])[-_.]ubyte(?:\.gz)?"
)
_IDX_UNSIGNED_BYTE = 0x08

# What folders with the parts of a data set are called; of several to test on, the first is taken.
_TRAIN = ("train", "training")
_TEST = ("test", "testing", "val", "valid", "validation")
_IDX_MOST_AXES = 8
_CHUNK = 1 << 20

Images = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


class DataError(_files.FileError):
    """Data that are missing, incomplete, or not what they say they are."""


@dataclass(frozen=True)
class Dataset:
    """Pictures in memory, split once and for all.

    Attributes
    ----------
    name : str
        What the data are called in tables and reports.
    classes : tuple of str
        Names of the classes; label k is ``classes[k]``.
    train_images, test_images : ndarray of float32, (N, 28, 28)
        Brightness, 0 for the background and 1 for full ink.
    train_labels, test_labels : ndarray of int64, (N,)
    """

    name: str
    classes: tuple[str, ...]
    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels


def load(source: str) -> Dataset:
    """Load the data that `source` names.

    Parameters
    ----------
    source : str
        ``"digits"`` for scikit-learn's digits, or a folder: with the four IDX files of an MNIST-style data set
        (gzipped or not), or with one sub-folder of pictures a class (or such folders in ``train`` and in ``test`` or
        ``val``).

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        If the data are missing, cut short, or contradict themselves.

    Examples
    --------
    >>> from pullback.train import data
    >>> digits = data.load("digits")
    >>> digits.train_images.shape, digits.test_images.shape
    ((1437, 28, 28), (360, 28, 28))
    """
    if source == DIGITS:
        return load_digits()
    folder = Path(source)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; `data` is {DIGITS!r} or a folder with IDX files or pictures")
    dataset = load_idx(folder) if _idx_files(folder) else load_folder(folder)
    _check(dataset, folder)
    return dataset


def load_digits() -> Dataset:
    """Load scikit-learn's 1,797 digits, enlarged from 8 x 8 to 28 x 28; 1,437 to train on and 360 to test."""
    from sklearn.datasets import load_digits as read_digits

    images, labels = read_digits(return_X_y=True)
    images = pictures.resized(images.reshape(-1, 8, 8) / 16, SIDE)
    return _split(DIGITS, tuple("0123456789"), images, labels.astype(np.int64), _DIGITS_FOR_TEST)


def load_idx(folder: Path) -> Dataset:
    """Load a folder of four IDX files, train and test (or t10k), images and labels."""
    files = _idx_files(folder)
    parts: dict[str, tuple[Images, Labels]] = {}
    for split in ("train", "test"):
        images, labels = (_read_part(folder, files, split, kind) for kind in ("images", "labels"))
        if len(images) != len(labels):
            raise DataError(
                f"{folder}: {len(images)} {split} images but {len(labels)} labels; one of the files is wrong"
            )
        if len(images) == 0:
            raise DataError(f"{folder}: its {split} files hold no images")
        parts[split] = (pictures.resized(images / np.float32(255), SIDE), labels.astype(np.int64))
    classes = tuple(str(k) for k in range(1 + max(int(labels.max()) for _, labels in parts.values())))
    return Dataset(folder.resolve().name, classes, *parts["train"], *parts["test"])


def download(mirror: str = MIRROR) -> Path:
    """Fetch MNIST's four files, those that are not there yet, and return their folder.

    Parameters
    ----------
    mirror : str, optional
        Address of a folder that has them.

    Returns
    -------
    Path
        In the user's cache; the environment variable ``PULLBACK_DATA`` puts it elsewhere.

    Raises
    ------
    DataError
        If a file cannot be fetched, or is not the one that its checksum says.
    """
    import filelock
    import pooch

    folder = Path(os.environ.get("PULLBACK_DATA", pooch.os_cache("pullback"))) / "mnist"
    folder.mkdir(parents=True, exist_ok=True)
    # Processes that train together all come here at once.
    with filelock.FileLock(folder / ".lock"):
        for name, digest in _MNIST.items():
            path = folder / name
            if _digest(path) == digest:
                continue
            path.unlink(missing_ok=True)
            try:
                pooch.retrieve(f"{mirror.rstrip('/')}/{name}", None, name, folder)
            except (OSError, ValueError) as error:
                raise DataError(f"{mirror}: {name} cannot be fetched ({error})") from error
            if _digest(path) != digest:
                path.unlink()
                raise DataError(f"{mirror}: {name} is not MNIST's; its checksum is another")
    return folder


def _digest(path: Path) -> str | None:
    """Return the SHA-256 of what a file holds unpacked, as `read_idx` reads it; None if it is damaged or missing."""
    try:
        digest = hashlib.sha256()
        with gzip.open(path) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()
    except (OSError, EOFError, zlib.error):
        return None


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """Read one IDX file of unsigned bytes, gzipped or not.

    Parameters
    ----------
    path : Path
        The file; whether it is gzipped is read off its first bytes, not off its name.

    Returns
    -------
    ndarray of uint8
        With the shape that the header gives.

    Raises
    ------
    DataError
        If the file cannot be read, is no IDX file of unsigned bytes, or is longer or shorter than its header says.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            with gzip.GzipFile(fileobj=file) if packed else file as content:
                return _read_idx(path, content)
    except (OSError, EOFError, zlib.error, MemoryError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error


def _read_idx(path: Path, content: IO[bytes] | gzip.GzipFile) -> npt.NDArray[np.uint8]:
    magic = content.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] != _IDX_UNSIGNED_BYTE:
        raise DataError(f"{path}: not an IDX file of unsigned bytes (it starts with {magic.hex(' ') or 'nothing'})")
    axes = magic[3]
    sides = content.read(4 * axes)
    if len(sides) < 4 * axes:
        raise DataError(f"{path}: cut short within its header")
    if axes > _IDX_MOST_AXES:
        raise DataError(f"{path}: has {axes} axes; at most {_IDX_MOST_AXES} are read")
    shape = tuple(int.from_bytes(sides[at : at + 4], "big") for at in range(0, 4 * axes, 4))
    expected = math.prod(shape)
    # A chunk at a time: neither what a header says nor what a few packed bytes grow to is taken on trust.
    values = bytearray()
    while len(values) <= expected and (chunk := content.read(_CHUNK)):
        values += chunk
    if len(values) != expected:
        said = f"its header says {expected:,} bytes of shape {shape}, it holds"
        held = f"{said} {len(values):,}" if len(values) < expected else f"{said} more"
        raise DataError(f"{path}: {'cut short' if len(values) < expected else 'too long'}; {held}")
    return np.frombuffer(values, np.uint8).reshape(shape)


def load_folder(folder: Path) -> Dataset:
    """Load a folder with one sub-folder of pictures a class, or with such folders in ``train`` and ``test``.

    In the place of ``test``, ``val``, ``valid`` or ``validation`` will do; beside it, they are not read. A folder of
    such a name is a class like others if pictures lie in it.
    """
    splits = _splits(folder)
    if splits is not None:
        train, test = splits
        classes = _class_names(train)
        unknown = sorted(set(_class_names(test)) - set(classes))
        if unknown:
            raise DataError(f"{test}: has the class {unknown[0]!r}, which {train} has not")
        parts = (_read_classes(split, classes) for split in splits)
        return Dataset(folder.resolve().name, classes, *next(parts), *next(parts))
    classes = _class_names(folder)
    images, labels = _read_classes(folder, classes)
    return _split(
        folder.resolve().name, classes, images, labels, max(len(classes), round(_PART_FOR_TEST * len(labels)))
    )


def stratified_split(labels: Labels, for_test: int, seed: int = 0) -> tuple[Labels, Labels]:
    """Split indices in two so that every class has its share in both parts.

    Parameters
    ----------
    labels : ndarray of int64, (N,)
    for_test : int
        How many go to the test part.
    seed : int, optional
        What the choice within a class is drawn from; the same split for the same seed.

    Returns
    -------
    train, test : ndarray of int64
        Indices, in increasing order. Shares are rounded by largest remainders.

    Examples
    --------
    >>> import numpy as np
    >>> from pullback.train.data import stratified_split
    >>> train, test = stratified_split(np.array([0, 0, 0, 0, 1, 1, 1, 1]), 2)
    >>> len(train), len(test)
    (6, 2)
    """
    counts = np.bincount(labels)
    share = counts * (for_test / len(labels))
    quota = np.floor(share).astype(int)
    largest_remainders = np.argsort(quota - share, kind="stable")
    quota[largest_remainders[: for_test - quota.sum()]] += 1
    generator = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), dtype=bool)
    for label, count in enumerate(quota):
        chosen[generator.permutation(np.flatnonzero(labels == label))[:count]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def _split(name: str, classes: tuple[str, ...], images: Images, labels: Labels, for_test: int) -> Dataset:
    train, test = stratified_split(labels, for_test)
    return Dataset(name, classes, images[train], labels[train], images[test], labels[test])


def _idx_files(folder: Path) -> dict[tuple[str, str], Path]:
    """Return the IDX files of a folder by split and kind."""
    files = {}
    for path in sorted(folder.iterdir()):
        match = _IDX_NAME.fullmatch(path.name)
        if match:
            files["train" if match["split"] == "train" else "test", match["kind"]] = path
    return files


def _read_part(folder: Path, files: dict[tuple[str, str], Path], split: str, kind: str) -> npt.NDArray[np.uint8]:
    if (split, kind) not in files:
        raise DataError(f"{folder}: has no IDX file of {split} {kind}; four files are needed, train and test (or t10k)")
    path = files[split, kind]
    values = read_idx(path)
    axes = {"images": 3, "labels": 1}[kind]
    if values.ndim != axes or 0 in values.shape[1:]:
        raise DataError(f"{path}: holds an array of shape {values.shape}; {kind} have {axes} axes, none of them empty")
    return values


def _splits(folder: Path) -> tuple[Path, Path] | None:
    """Return the folders to train on and to test on, where there are such."""
    there = {path.name.casefold(): path for path in _folders(folder) if _holds_folders_alone(path)}
    train, test = (next((there[name] for name in names if name in there), None) for names in (_TRAIN, _TEST))
    if train is not None and test is not None:
        return train, test
    alone = train or test
    if alone is None:
        return None
    raise DataError(
        f"{alone}: holds folders, and no pictures, as a part of the data does, but there is no "
        f"{'test or val' if alone is train else 'train'} with such folders beside it; add that, or give {alone} itself"
    )


def _holds_folders_alone(folder: Path) -> bool:
    return bool(_folders(folder)) and not pictures.inside_of(folder)


def _folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, but for the hidden ones."""
    return [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]


def _class_names(folder: Path) -> tuple[str, ...]:
    names = sorted(path.name for path in _folders(folder))
    if not names:
        raise DataError(f"{folder}: holds neither IDX files nor one sub-folder of pictures a class")
    return tuple(sorted(names, key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)))


def _read_classes(folder: Path, classes: Sequence[str]) -> tuple[Images, Labels]:
    images, labels = [], []
    for label, name in enumerate(classes):
        files = pictures.inside_of(folder / name)
        if not files:
            raise DataError(f"{folder / name}: holds no pictures")
        images += [_brightness(path) for path in files]
        labels += [label] * len(files)
    return np.stack(images), np.array(labels, dtype=np.int64)


def _brightness(path: Path) -> Images:
    picture = pictures.read(path)
    with pictures.naming(path):
        brightness = pictures.gray(picture)
    resized: Images = pictures.resized(brightness[None], SIDE)[0]
    return resized


def _check(dataset: Dataset, folder: Path) -> None:
    counts = np.bincount(dataset.train_labels, minlength=len(dataset.classes))
    if len(dataset.classes) < 2:
        raise DataError(f"{folder}: has one class only; a classifier needs two at least")
    if not counts.any() or len(dataset.test_labels) == 0:
        raise DataError(f"{folder}: too few pictures to train on some and test on others")
