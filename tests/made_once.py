"""What is slow to make, made once for all processes that tests run in (a pytest plugin)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

MadeOnce = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> MadeOnce:
    """A function from a name, and from what fills a folder that is not there yet, to that folder.

    The first process that asks for it fills it while the others wait.
    """
    filelock = pytest.importorskip("filelock")
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root

    def made(name: str, fill: Callable[[Path], None]) -> Path:
        folder, whole = root / name, root / f"{name}.whole"
        with filelock.FileLock(root / f"{name}.lock"):
            if not whole.exists():
                shutil.rmtree(folder, ignore_errors=True)
                fill(folder)
                whole.touch()
        return folder

    return made
