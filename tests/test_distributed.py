"""Two processes that train together, as torchrun starts them, give what one process gives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
iio = pytest.importorskip("imageio.v3")

from pullback.train.runs import Run  # noqa: E402

# 41 pictures in batches of 12: the last batch has 5, which two processes share unequally.
PICTURES = (26, 25)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("shapes")
    random = np.random.default_rng(0)
    for name, count, height in zip(("bar", "square"), PICTURES, (16, 6), strict=True):
        (folder / name).mkdir()
        for k in range(count):
            picture = np.zeros((28, 28), np.uint8)
            left = random.integers(4, 18)
            picture[14 - height // 2 : 14 + height // 2, left : left + 6] = random.integers(100, 256)
            iio.imwrite(folder / name / f"{k}.png", picture)
    return folder


def train(processes: int, shapes: Path, runs: Path, name: str, *more: str) -> subprocess.CompletedProcess[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    options = ["--runs", str(runs), "--name", name, *more]
    if "--resume" not in more:
        options += ["--data", str(shapes), "--distortion", "rts", "--epochs", "3", "--seeds", "1"]
        options += ["--batch-size", "10"]  # of the last batch, one picture, a second process has none
    return subprocess.run(
        [sys.executable, *(launcher if processes > 1 else []), "-m", "pullback", "train", *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_two_processes_train_as_one_does(shapes, tmp_path):
    for processes in (1, 2):
        done = train(processes, shapes, tmp_path, f"of-{processes}")
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("report: ") == 1, "one of them speaks"
    one, two = (Run.open(tmp_path / f"of-{processes}") for processes in (1, 2))
    assert len(one.configuration.jobs) == 2
    for job in one.configuration.jobs:
        alone, together = one.load(*job), two.load(*job)
        for name, weights in alone.state.items():
            # AdamW divides by what gradients are on average: where they are next to nothing, so are their digits.
            torch.testing.assert_close(together.state[name], weights, rtol=1e-2, atol=2e-4)
            assert (together.state[name] - weights).abs().mean() < 1e-6
        for row, other in zip(alone.history, together.history, strict=True):
            for column in ("learning_rate", "train_loss", "train_error", "test_loss", "test_error"):
                assert other[column] == pytest.approx(row[column], rel=1e-4, abs=1e-5), (job, column)
    # What one process does not reach: weights that were trained at all.
    fresh = train(1, shapes, tmp_path, "other", "--learning-rate", "0.0")
    assert fresh.returncode == 0, fresh.stderr
    still = Run.open(tmp_path / "other").load("st-cnn", 0)
    moved = one.load("st-cnn", 0)
    assert max(float((moved.state[k] - still.state[k]).abs().max()) for k in moved.state) > 1e-2


def test_two_processes_go_on_where_one_stopped(shapes, tmp_path):
    first = train(2, shapes, tmp_path, "run", "--models", "st-fcn")
    assert first.returncode == 0, first.stderr
    more = train(2, shapes, tmp_path, "run", "--resume", "--seeds", "2")
    assert more.returncode == 0, more.stderr
    assert [job for job in Run.open(tmp_path / "run").configuration.jobs] == [("st-fcn", 0), ("st-fcn", 1)]
    assert Run.open(tmp_path / "run").finished
