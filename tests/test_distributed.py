"""Two processes that train together, as torchrun starts them, give what one process gives."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
Image = pytest.importorskip("PIL.Image")

from command_line import ended  # noqa: E402

from pullback.train.runs import Run  # noqa: E402

PICTURES = (26, 25)


@pytest.fixture(scope="module")
def some_shapes(made_once) -> Path:
    return made_once("some-shapes", draw)


def draw(folder: Path) -> None:
    random = np.random.default_rng(0)
    for name, count, height in zip(("bar", "square"), PICTURES, (16, 6), strict=True):
        (folder / name).mkdir(parents=True)
        for k in range(count):
            picture = np.zeros((28, 28), np.uint8)
            left = random.integers(4, 18)
            picture[14 - height // 2 : 14 + height // 2, left : left + 6] = random.integers(100, 256)
            Image.fromarray(picture).save(folder / name / f"{k}.png")


# 41 pictures are trained on, in batches of 10: of the last one, one picture, a second process has none.
OPTIONS = ("--distortion", "rts", "--epochs", "3", "--seeds", "1", "--batch-size", "10")


def by_two(*arguments) -> str:
    """Call the command line in two processes; return what they say."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, *launcher, "-m", "pullback", "train", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def together(some_shapes, made_once) -> Path:
    """A run of two processes."""

    def train(folder: Path) -> None:
        said = by_two("--data", some_shapes, *OPTIONS, "--runs", folder, "--name", "run")
        assert said.count("report: ") == 1, "one of them speaks"

    return made_once("together", train) / "run"


def test_two_processes_train_as_one_does(together, some_shapes, tmp_path):
    def alone(name: str, *more: str) -> Run:
        assert ended("train", "--data", some_shapes, *OPTIONS, "--runs", tmp_path, "--name", name, *more) == 0
        return Run.open(tmp_path / name)

    one, two = alone("run"), Run.open(together)
    assert len(one.configuration.jobs) == 2
    for job in one.configuration.jobs:
        own, shared = one.load(*job), two.load(*job)
        for name, weights in own.state.items():
            # AdamW divides by what gradients are on average: where they are next to nothing, so are their digits.
            torch.testing.assert_close(shared.state[name], weights, rtol=1e-2, atol=2e-4)
            assert (shared.state[name] - weights).abs().mean() < 1e-6
        for row, other in zip(own.history, shared.history, strict=True):
            for column in ("learning_rate", "train_loss", "train_error", "test_loss", "test_error"):
                assert other[column] == pytest.approx(row[column], rel=1e-4, abs=1e-5), (job, column)
    # What one process does not reach: weights that were trained at all.
    still, moved = alone("still", "--learning-rate", "0.0").load("st-cnn", 0), one.load("st-cnn", 0)
    assert max(float((moved.state[k] - still.state[k]).abs().max()) for k in moved.state) > 1e-2


def test_two_processes_go_on_where_two_stopped(together, tmp_path):
    shutil.copytree(together, tmp_path / "run")
    before = Run.open(together)
    by_two("--resume", "--seeds", "2", "--runs", tmp_path, "--name", "run")
    run = Run.open(tmp_path / "run")
    assert run.configuration.jobs == [("cnn", 0), ("st-cnn", 0), ("cnn", 1), ("st-cnn", 1)]
    assert run.finished
    assert run.load("cnn", 0).history == before.load("cnn", 0).history
