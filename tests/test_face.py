"""The names of `pullback`: public ones alone, the heavy ones imported when they are first asked for."""

import subprocess
import sys

import pytest

import pullback as pb

# What is imported when one of them is asked for, after those above it.
DOORS = {
    "pb.compat.scipy.zoom([0.0, 1.0], 2)": {"numpy"},
    "pb.compat.cv2.warpAffine([[1.0, 2.0]], [[1, 0, 0], [0, 1, 0]], None)": {"numpy"},
    "pb.train": {"numpy"},
    "pb.compat.torch.grid_sample": {"numpy", "torch"},
    "pb.nn.SpatialTransformer": {"numpy", "torch"},
    "pb.train.load": {"numpy", "safetensors", "torch"},
}
HEAVY = ("cv2", "lightning", "matplotlib", "numpy", "safetensors", "scipy", "torch")


def printed(code: str) -> str:
    """Return what Python prints that has imported pullback and nothing else."""
    command = [sys.executable, "-c", f"import sys\nimport pullback as pb\n{code}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("module", [pb, pb.compat, pb.train], ids=lambda module: module.__name__)
def test_public_names_are_there_and_no_other_is_listed(module):
    pytest.importorskip("safetensors")
    pytest.importorskip("torch")
    assert dir(module) == sorted(module.__all__)
    for name in dir(module):
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match=f"module '{module.__name__}' has no attribute 'nowhere'"):
        _ = module.nowhere


def test_import_takes_numpy_alone():
    code = (
        "import sys\n"
        "import pullback\n"
        "files = [getattr(module, '__file__', None) or '' for module in sys.modules.values()]\n"
        "print(*{file.partition('site-packages/')[2].partition('/')[0] for file in files})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # The rest is how the environment starts Python.
    assert set(run.stdout.split()) - {"_distutils_hack", "_editable_skbc_pullback.py"} <= {"numpy", "pullback"}


def test_doors_open_by_attribute_and_import_no_more_than_they_need():
    pytest.importorskip("safetensors")
    show = f"print(*sorted(set({HEAVY}) & set(sys.modules)))"
    lines = printed("\n".join(f"{door}\n{show}" for door in DOORS)).splitlines()
    assert dict(zip(DOORS, map(set, map(str.split, lines)), strict=True)) == DOORS


@pytest.mark.parametrize(
    ("door", "missing", "extra"),
    [
        ("pb.nn", "torch", "torch"),
        ("pb.compat.torch", "torch", "torch"),
        ("pb.train.load", "torch", "train"),
    ],
)
def test_a_missing_extra_is_named(door, missing, extra):
    package, _, name = door.replace("pb", "pullback").rpartition(".")
    code = f"sys.modules[{missing!r}] = None"
    for statement in (door, f"from {package} import {name}"):
        code += f"\ntry: {statement}\nexcept ModuleNotFoundError as error: print(error.name, error)"
    lines = printed(code).splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.startswith(f"{missing} ")
        assert line.endswith(f" needs {missing}: pip install 'pullback[{extra}]'")


def test_help_needs_no_extra():
    code = (
        "sys.modules.update(torch=None, safetensors=None)\nhelp(pb); help(pb.compat); help(pb.train); print(*dir(pb))"
    )
    shown = printed(code)
    assert all(f"Help on package {name}" in shown for name in ("pullback:", "pullback.compat", "pullback.train"))
    assert shown.splitlines()[-1].split() == [name for name in dir(pb) if name != "nn"]
