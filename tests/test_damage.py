"""What is damaged is refused: one class of error, one line, the name of the file; and no flipped bit goes unseen."""

from __future__ import annotations

import gzip
import json
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pullback._files import FileError
from pullback.transforms import Affine, Chain, Displacement, Velocity, load

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from pullback.train import data, pictures, table1_page  # noqa: E402
from pullback.train.runs import Configuration, Run, Trained, read_checkpoint  # noqa: E402

ROW = {
    "model": "cnn",
    "seed": 0,
    "epoch": 1,
    "learning_rate": 0.1,
    "train_loss": 2.5,
    "train_error": 90.0,
    "test_loss": 2.25,
    "test_error": 87.5,
    "seconds": 1.25,
}


class StandIn:
    """What writes a checkpoint as a trainer does."""

    is_global_zero = True

    def save_checkpoint(self, path):
        with path.open("wb") as file:
            torch.save({"state_dict": {"weight": torch.arange(6.0)}, "callbacks": {"history": [ROW]}}, file)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One file of each kind that the package writes and reads again, and how it is read."""
    folder = tmp_path_factory.mktemp("whole")
    few = data.Dataset("few", ("a", "b"), *(np.zeros((2, 28, 28), np.float32), np.arange(2)) * 2)
    run = Run.create(folder / "run", Configuration(models=("cnn",), seeds=1, epochs=1), few)
    run.keep(Trained("cnn", 0, {"weight": torch.arange(6.0), "bias": torch.ones(2)}, [ROW]))
    run.keep_last(StandIn())
    Chain(Affine([[0.1, np.nan, 3], [4, 5, 6]]), Velocity(np.ones((3, 3, 2)), steps=4)).save(folder / "chain.json")
    Chain(Affine.rotation(30), Displacement(np.ones((3, 4, 2)))).save(folder / "chain.npz")
    pictures.write(folder / "a.png", np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    return folder


def configuration(path):
    run = Run.open(path.parent)
    return run.configuration, run.classes


def weights(path):
    one = Run.open(path.parent.parent).load("cnn", 0)
    return sorted((name, value.tolist()) for name, value in one.state.items()), one.history


def checkpoint(path):
    return read_checkpoint(path)["state_dict"]["weight"].tolist()


KINDS = {
    "run/config.json": configuration,
    "run/checkpoints/cnn-seed0.safetensors": weights,
    "run/checkpoints/last.ckpt": checkpoint,
    "chain.json": lambda path: repr([part.__reduce__()[1] for part in load(path).transforms]),
    "chain.npz": lambda path: repr([part.__reduce__()[1] for part in load(path).transforms]),
    "a.png": lambda path: pictures.read(path).tolist(),
}


def refused(read, path):
    with pytest.raises(FileError) as caught:
        read(path)
    assert path.name in str(caught.value)


@pytest.fixture
def damaged(whole, tmp_path):
    """The files of `whole`, to be damaged."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_no_flipped_bit_goes_unseen(damaged, kind):
    """A file reads as before, where nothing is read of the byte, or it is refused."""
    path, read = damaged / kind, KINDS[kind]
    content, before = path.read_bytes(), read(path)
    random = np.random.default_rng(0)
    seen = harmless = 0
    for place in random.choice(len(content), min(60, len(content)), replace=False).tolist():
        flipped = bytes([content[place] ^ (1 << int(random.integers(8)))])
        path.write_bytes(content[:place] + flipped + content[place + 1 :])
        try:
            again = read(path)
        except FileError as error:
            seen += path.name in str(error)
        else:
            assert again == before, place
            harmless += 1
    assert seen + harmless == min(60, len(content))
    assert seen > 30


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 10**5,
        b'{"a":' * 10**5,
        b"null",
        b'{"format": NaN}',
        b"9" * 5000,
        b"\xff\xfe\x00",
        b"PK\x03\x04 and more",
        b"\x93NUMPY\x01\x00\xff\xff{",
        b"\xff" * 8 + b"{",
        (17).to_bytes(8, "little") + b'{"__metadata__":9',
    ],
    ids=["empty", "brackets", "braces", "null", "NaN", "digits", "no UTF-8", "zip", "npy", "long header", "metadata"],
)
def test_what_is_something_else_is_refused(damaged, kind, content):
    path = damaged / kind
    path.write_bytes(content)
    refused(KINDS[kind], path)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_cut_off_is_refused(damaged, kind):
    path = damaged / kind
    content = path.read_bytes()
    for part in (0.01, 0.3, 0.9):
        path.write_bytes(content[: int(part * len(content))])
        refused(KINDS[kind], path)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("configuration",), []),
        (("configuration", "seeds"), 10**400),
        (("configuration", "seeds"), 1e300),
        (("configuration", "learning_rate"), 10**400),
        (("configuration", "learning_rate"), "nan"),
        (("configuration", "models"), [["cnn"]]),
        (("configuration", "distortion"), {}),
        (("dataset",), None),
        (("dataset", "classes"), "ab"),
        (("dataset", "classes"), {"a": 1}),
        (("more",), 1),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_configuration_of_other_types_is_refused(damaged, place, value):
    path = damaged / "run" / "config.json"
    content = json.loads(path.read_text())
    del content["checksum"]  # as who changes it by hand
    *parents, last = place
    node = content
    for name in parents:
        node = node[name]
    node[last] = value
    path.write_text(json.dumps(content))
    refused(configuration, path)


@pytest.mark.parametrize(
    "history",
    [[], [{}], {}, None, 3, [None], [ROW, ROW], [{**ROW, "model": "fcn"}], [{**ROW, "test_error": "1"}], [{"a": 1}]],
    ids=lambda value: str(value)[:40],
)
def test_a_history_that_is_none_is_refused(damaged, history):
    run = Run.open(damaged / "run")
    run.keep(Trained("cnn", 0, {"weight": torch.ones(2)}, history))
    refused(weights, damaged / "run" / "checkpoints" / "cnn-seed0.safetensors")


@pytest.mark.parametrize(
    ("arguments", "family"),
    [
        ({"parameters": {"shape": [2], "values": [10**400, 1.0]}}, "Translation"),
        ({"parameters": {"shape": [-1], "values": [1.0, 2.0]}}, "Translation"),
        ({"parameters": {"shape": [2], "values": [True, 2.0]}}, "Translation"),
        ({"parameters": {"shape": [2**62, 4], "values": []}}, "Translation"),
        ({"parameters": {"shape": [2], "values": ["1e3", 2.0]}}, "Translation"),
        ({"field": {"shape": [2, 2, 2], "values": [0.0] * 8}, "steps": 10**400}, "Velocity"),
        ({"transforms": [{"family": "Chain", "arguments": None}]}, "Chain"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_transform_of_other_types_is_refused(tmp_path, arguments, family):
    path = tmp_path / "t.json"
    path.write_text(
        json.dumps({"format": "pullback transform", "version": 1, "family": family, "arguments": arguments})
    )
    refused(load, path)


def test_transforms_in_transforms_without_end_are_refused(tmp_path):
    path = tmp_path / "t.json"
    begin, end = '"family": "Chain", "arguments": {"transforms": [{', "}]}"
    path.write_text('{"format": "pullback transform", "version": 1, ' + begin * 400 + end * 400 + "}")
    refused(load, path)


@pytest.mark.parametrize("how", ["packed", "float32", "objects", "larger than it is", "text"])
def test_an_archive_of_other_arrays_is_refused(tmp_path, how):
    path = tmp_path / "t.npz"
    Displacement(np.ones((3, 4, 2))).save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    array = np.ones((3, 4, 2))
    if how in ("float32", "objects", "text"):
        with (tmp_path / "a.npy").open("wb") as file:
            np.save(file, array.astype({"float32": np.float32, "objects": object, "text": str}[how]), allow_pickle=True)
        members["array_0.npy"] = (tmp_path / "a.npy").read_bytes()
    elif how == "larger than it is":
        members["array_0.npy"] = members["array_0.npy"].replace(b"(3, 4, 2)", b"(3, 4, 2000000000)")
    kept = zipfile.ZIP_DEFLATED if how == "packed" else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kept) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    refused(load, path)


def idx(*shape):
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)


@pytest.mark.parametrize(
    "content",
    [idx(*[2**32 - 1] * 3), idx(*[0] * 255), gzip.compress(idx(2, 2) + bytes(10**7)), gzip.compress(idx(2**31)) * 2],
    ids=["huge", "255 axes", "bomb", "huge and packed"],
)
def test_an_idx_file_that_claims_what_it_has_not_is_refused(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    refused(data.read_idx, tmp_path / "a")


@pytest.mark.parametrize("name", ["table1.json", "table1-metrics.csv"])
def test_a_table_of_results_that_is_damaged_is_refused(tmp_path, name):
    results = Path(__file__).parents[1] / "docs" / "results"
    for file in ("table1.json", "table1-metrics.csv"):
        shutil.copy(results / file, tmp_path / file)
    assert table1_page.write(tmp_path / "no runs", tmp_path) == tmp_path / "table1.md"
    content = (tmp_path / name).read_bytes()
    place = content.index(b"0.0")
    (tmp_path / name).write_bytes(content[:place] + b"1" + content[place + 1 :])
    refused(lambda path: table1_page.write(tmp_path / "no runs", path.parent), tmp_path / "table1.json")


def test_the_command_line_says_it_in_one_line(damaged, capsys):
    from command_line import ended

    for name, content, arguments in (
        ("run/config.json", b"[" * 10**5, ("evaluate", damaged / "run")),
        ("a.png", b"nothing", ("warp", damaged / "a.png", damaged / "b.png")),
    ):
        (damaged / name).write_bytes(content)
        capsys.readouterr()
        assert ended(*arguments) == 2
        assert capsys.readouterr().err.count("\n") == 1
