"""The command line in tests: calls of it, in this process and in another one, and what it trained."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

RUN = ("--distortion", "r", "--epochs", "2", "--seeds", "1", "--batch-size", "10")

# As `python -m pullback`, but that an interrupt is one whatever started the tests; behind `nohup`, or as a job in the
# background of a script, a process is born deaf to it.
PROGRAM = (
    "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\nfrom pullback.cli import main\nmain()"
)


@pytest.fixture(scope="session")
def shapes(made_once) -> Path:
    """A folder with two classes of pictures, bars and squares."""
    Image = pytest.importorskip("PIL.Image")

    def draw(folder: Path) -> None:
        random = np.random.default_rng(0)
        for name, height in (("bar", 16), ("square", 6)):
            (folder / name).mkdir(parents=True)
            for k in range(20):
                picture = np.zeros((28, 28), np.uint8)
                picture[14 - height // 2 : 14 + height // 2, 11:17] = random.integers(150, 256)
                Image.fromarray(picture).save(folder / name / f"{k}.png")

    return made_once("shapes", draw)


@pytest.fixture(scope="session")
def trained(shapes, made_once) -> Path:
    """A run that was trained through the command line."""

    def train(folder: Path) -> None:
        assert ended("train", "--data", shapes, *RUN, "--runs", folder, "--name", "shapes") == 0

    return made_once("runs", train) / "shapes"


@pytest.fixture
def photo(tmp_path) -> Path:
    Image = pytest.importorskip("PIL.Image")
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 31, 3), dtype=np.uint8)).save(path)
    return path


def ended(*arguments) -> int:
    """Call the command line; return its exit code."""
    torch = pytest.importorskip("torch")
    for package in ("typer", "lightning", "PIL"):
        pytest.importorskip(package)
    from pullback import cli

    # Networks as small as these are not worth a second thread, and a busy machine makes them wait for it.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with pytest.raises(SystemExit) as exit:
            cli.main([str(argument) for argument in arguments])
    finally:
        torch.set_num_threads(before)
    return exit.value.code


@pytest.fixture
def run(capsys):
    """Call the command line; return exit code, stdout and stderr."""

    def call(*arguments) -> tuple[int, str, str]:
        capsys.readouterr()
        return (ended(*arguments), *capsys.readouterr())

    return call


@pytest.fixture
def refused(run):
    """Call the command line, which must say why not in one line; return that."""

    def call(*arguments) -> str:
        code, output, errors = run(*arguments)
        assert code == 2
        assert output == ""
        assert errors.startswith("pullback: ")
        assert errors.count("\n") == 1
        assert errors.endswith("\n")
        return errors

    return call


def started(*arguments, **options) -> subprocess.Popen:
    """Start the command line in a process of its own."""
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options)


def interrupted(process: subprocess.Popen) -> str:
    """Interrupt a process, which must end by that; return what it says on stderr."""
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    return errors


def wait_for(path: Path, process: subprocess.Popen) -> None:
    """Go on as soon as a process has written a file."""
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def everything_in(folder: Path) -> set[str]:
    """What is there, but for TensorBoard's files, which have names of their own."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if "tensorboard" not in path.parts}
