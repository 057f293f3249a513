"""Transforms in files: bit for bit, and nothing that is damaged or foreign."""

from __future__ import annotations

import contextlib
import json
import math
import subprocess
import sys
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.transforms import (
    Affine,
    Chain,
    Displacement,
    Euclidean,
    FreeForm,
    Projective,
    Similarity,
    ThinPlateSpline,
    Transform,
    Translation,
    Velocity,
    load,
)

torch = pytest.importorskip("torch")


def seeds() -> Any:
    return st.integers(0, 2**32 - 1).map(np.random.default_rng)


STORED = {
    "translation": Translation([1.0, -0.0]),
    "euclidean": Euclidean([0.1, 0.2, 1 / 3], [1.0, 2.0, 3.0]),
    "similarity": Similarity([1.0, 2.0], 0.3, [1e-300, 5e-324]),
    "affine": Affine([[math.nan, math.inf, 1.0], [-math.inf, 0.1, 1e308]]),
    "no affine": Affine(np.zeros((0, 2, 3))),
    "projective": Projective.from_parameters([[1.0, 2.0], [3.0, -4.0]]),
    "spline": ThinPlateSpline(np.array([[0.0, 0], [0, 5], [5, 0], [5, 5]]), np.eye(4, 2), smoothing=0.25),
    "displacement": Displacement(np.random.default_rng(0).normal(size=(2, 4, 5, 2))),
    "free-form": FreeForm(np.random.default_rng(0).normal(size=(5, 6, 2))),
    "velocity": Velocity(np.random.default_rng(0).normal(size=(4, 5, 2)), steps=3),
    "chain": Chain(Affine.rotation(30), Velocity(np.ones((4, 5, 2)), steps=4), Displacement(np.ones((3, 4, 2)))),
}


each_stored = pytest.mark.parametrize("transform", STORED.values(), ids=STORED.keys())


each_suffix = pytest.mark.parametrize("suffix", [".json", ".npz"])


def numbers(transform: Any) -> list[Any]:
    """All arrays and numbers of a transform."""
    if isinstance(transform, Chain):
        return [number for part in transform.transforms for number in numbers(part)]
    maker, values = transform.__reduce__()
    return [maker, *values]


@each_stored
@each_suffix
def test_round_trips_are_bit_exact(transform, suffix, tmp_path):
    path = tmp_path / f"transform{suffix}"
    transform.save(path)
    for read in (Transform.load, type(transform).load, load):
        again = read(str(path))
        assert type(again) is type(transform)
        for ours, theirs in zip(numbers(again), numbers(transform), strict=True):
            np.testing.assert_array_equal(ours, theirs)
            if isinstance(theirs, np.ndarray):
                np.testing.assert_array_equal(np.signbit(ours), np.signbit(theirs))
                assert ours.shape == theirs.shape
    transform.save(path)
    assert type(load(path)) is type(transform)


@each_suffix
@given(rng=seeds())
@settings(max_examples=20, deadline=None)
def test_every_float_survives(suffix, rng, tmp_path_factory):
    path = tmp_path_factory.mktemp("floats") / f"any{suffix}"
    values = rng.integers(0, 2**64, 6, dtype=np.uint64).view(np.float64).reshape(2, 3)
    Affine(values).save(path)
    np.testing.assert_array_equal(load(path).matrix, values)


@each_suffix
def test_tensors_are_stored_as_arrays(suffix, tmp_path):
    values = torch.tensor([0.1, 0.2], requires_grad=True)
    Translation(values).save(tmp_path / f"t{suffix}")
    again = load(tmp_path / f"t{suffix}")
    assert isinstance(again.offset, np.ndarray)
    np.testing.assert_array_equal(again.offset, values.detach().double())


def test_json_is_json_that_people_can_read(tmp_path):
    path = tmp_path / "t.json"
    Affine([[0.1, math.nan]]).save(path)

    def refuse(token):
        raise AssertionError(token)

    assert json.loads(path.read_text(), parse_constant=refuse) == {
        "format": "pullback transform",
        "version": 1,
        "family": "Affine",
        "arguments": {"parameters": {"shape": [1, 2], "values": [0.1, "nan"]}},
        "checksum": "76a40186",
    }


def test_what_a_file_holds_and_not_its_name_says_how_to_read_it(tmp_path):
    Translation([1.0]).save(tmp_path / "a.npz")
    (tmp_path / "a.npz").rename(tmp_path / "a.json")
    assert load(tmp_path / "a.json").offset == 1.0


def written(tmp_path: Any, **changes: Any) -> Any:
    """Write a file of a translation with changes in its description."""
    path = tmp_path / "t.json"
    Translation([1.0, 2.0]).save(path)
    content = json.loads(path.read_text())
    del content["checksum"]  # as who changes it by hand
    path.write_text(json.dumps(content | changes))
    return path


def test_damaged_and_foreign_files_are_refused(tmp_path):
    def refused(message, path):
        with pytest.raises(ValueError, match=message):
            load(path)

    refused("version 7 of the format", written(tmp_path, version=7))
    refused("'Warp', which is not known here; known are Affine, Chain", written(tmp_path, family="Warp"))
    refused("'os.system', which is not known", written(tmp_path, family="os.system"))
    refused("'Transform', which is not known", written(tmp_path, family="Transform"))
    refused("is no file of a transform", written(tmp_path, format="other"))
    refused("damaged", written(tmp_path, family=["Affine"]))
    for arguments in (
        {},
        [],
        {"parameters": {"shape": [3], "values": [1.0, 2.0]}},
        {"parameters": {"shape": [2]}},
        {"parameters": {"shape": [2, 1, 1], "values": [1.0, 2.0]}},
        {"parameters": {"member": "array_0"}},
        {"parameters": {"shape": [1], "values": ["x"]}},
        {"offset": {"shape": [2], "values": [1.0, 2.0]}},
        {"parameters": {"shape": [1], "values": [1.0]}, "more": 1},
    ):
        refused("damaged", written(tmp_path, arguments=arguments))
    refused("damaged", written(tmp_path, family="Chain", arguments={"transforms": 3}))
    path = tmp_path / "t"
    for content in (b"", b"{", b"\x93NUMPY", b"\xff\xfe", b"PK\x03\x04 and more", b"[1, 2]", b"3", b"[" * 100000):
        path.write_bytes(content)
        refused("damaged|no file of a transform", path)


def test_damaged_archives_are_refused(tmp_path):
    path = tmp_path / "t.npz"
    Displacement(np.ones((4, 5, 2))).save(path)
    content = path.read_bytes()
    for cut in (10, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:cut])
        with pytest.raises(ValueError, match="damaged"):
            load(path)
    for place in range(len(content) // 2, len(content), 97):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        # A byte that no checksum covers may be read over; all else is refused.
        with contextlib.suppress(ValueError):
            load(path)
    np.savez(path, a=np.ones(3))
    with pytest.raises(ValueError, match="damaged, or no file of a transform"):
        load(path)


def test_no_pickle_is_read(tmp_path):
    path = tmp_path / "t.npz"
    np.savez(path, description=np.array({"format": "pullback transform"}, dtype=object))
    with pytest.raises(ValueError, match="damaged, or no file"):
        load(path)
    with zipfile.ZipFile(tmp_path / "u.npz", "w") as archive:
        archive.writestr("description", "{}")
    with pytest.raises(ValueError, match="no file of a transform"):
        load(tmp_path / "u.npz")


def test_a_class_that_would_not_be_found_is_not_saved(tmp_path):
    impostor = type("Affine", (Affine,), {})
    with pytest.raises(TypeError, match="its name must be its own"):
        impostor(np.eye(2, 3)).save(tmp_path / "t.json")
    Affine(np.eye(2, 3)).save(tmp_path / "t.json")
    assert type(load(tmp_path / "t.json")) is Affine

    class Shift(Translation):
        pass

    Shift([1.0]).save(tmp_path / "t.json")
    assert type(load(tmp_path / "t.json")) is Shift


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.json")


def test_a_file_of_another_family_is_refused(tmp_path):
    Translation([1.0]).save(tmp_path / "t.json")
    with pytest.raises(ValueError, match=r"Affine.load: .* holds a transform of the family Translation"):
        Affine.load(tmp_path / "t.json")


ERRORS = {
    "suffix": (lambda: Translation([1.0]).save("t.pkl"), r"Translation.save: `path` ends in '.pkl'"),
    "large JSON": (lambda: Displacement(np.ones((30, 30, 2))).save("t.json"), "has 1800 numbers"),
}


@pytest.mark.parametrize(("call", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_wrong_values_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_checkpoint_of_torch_takes_transforms(tmp_path):
    """Even if it is imported later, and by a reader that runs nothing else."""
    path = tmp_path / "checkpoint.pt"
    frames = [Translation(torch.tensor([0.1, 0.2])), Projective(np.eye(3), one_sided=True)]
    nested = Chain(Affine.rotation(30), Chain(*frames[:1], Velocity(torch.ones(4, 5, 2), steps=4)))
    torch.save({"weight": torch.ones(2), **STORED, "frames": frames, "nested": nested}, path)
    code = (
        "import pullback; import torch\n"
        f"content = torch.load({str(path)!r}, weights_only=True)\n"
        "print([type(value).__name__ for value in content.values()])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    families = [type(transform).__name__ for transform in STORED.values()]
    assert done.stdout.strip() == str(["Tensor", *families, "list", "Chain"])
    again = torch.load(path, weights_only=True)
    for name, transform in STORED.items():
        for ours, theirs in zip(numbers(again[name]), numbers(transform), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert isinstance(again["frames"][0].offset, torch.Tensor)
    assert again["frames"][1].one_sided
    assert isinstance(again["nested"].transforms[-1].parameters, torch.Tensor)


def test_what_is_no_family_is_not_made_again(tmp_path):
    from pullback.transforms.storage import made_again

    with pytest.raises(TypeError, match="is no family of transforms"):
        made_again(dict, [1.0])


def test_an_import_is_followed_once_and_is_not_made():
    code = (
        "import sys; from pullback._extras import when_imported\n"
        "seen = []\n"
        "for name in ('colorsys', 'json', 'no_such_module'): when_imported(name, lambda: seen.append(name))\n"
        "import json; assert seen == ['json'], seen\n"
        "assert 'colorsys' not in sys.modules\n"
        "import colorsys; import importlib; importlib.reload(colorsys)\n"
        "assert len(seen) == 2 and colorsys.rgb_to_hsv(0, 0, 0) == (0, 0, 0)\n"
        "try: import no_such_module\n"
        "except ModuleNotFoundError as error: assert error.name == 'no_such_module'\n"
        "import pullback; assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
