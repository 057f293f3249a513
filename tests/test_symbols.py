"""No function is compiled for two instruction sets and merged by the linker: an older machine would stop at it."""

import filecmp
import os
import subprocess
from pathlib import Path

import pytest

import pullback._native as _native

BUILD = Path(__file__).parents[1] / "build"


def build_folder():
    """Return where the module under test was linked, with the objects that it was made of."""
    module = Path(_native.__file__)
    folders = [built.parent for built in BUILD.glob(f"*/{module.name}") if filecmp.cmp(built, module, shallow=False)]
    if not folders and not os.environ.get("CI"):
        pytest.skip(f"the native module was not built in {BUILD}, or not lately")
    return folders[0]


def symbols_of(object_file):
    """Return the names that an object file defines for others to link against, those of inline functions included."""
    command = ["nm", "--defined-only", "--extern-only", "--format=posix", str(object_file)]
    return {line.split()[0] for line in subprocess.check_output(command, text=True).splitlines()}


def test_what_an_instruction_set_compiles_is_its_own():
    objects = build_folder() / "CMakeFiles"
    symbols = {path: symbols_of(path) for path in objects.rglob("*.cpp.o")}
    kernels = [path for path in symbols if path.relative_to(objects).parts[0].startswith("kernels_")]
    assert {f"kernels_{isa.replace('-', '_')}.dir" for isa in _native.available_isas()} <= {
        path.relative_to(objects).parts[0] for path in kernels
    }
    for path in kernels:
        assert symbols[path]
        for other in symbols.keys() - {path}:
            shared = symbols[path] & symbols[other]
            assert not shared, f"also in {other}"
