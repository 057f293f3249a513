"""Training leaves whole runs, whatever happens meanwhile, and they go on."""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
Image = pytest.importorskip("PIL.Image")

from command_line import RUN, everything_in, interrupted, started, wait_for  # noqa: E402

import pullback._files as _files  # noqa: E402
from pullback.train import runs  # noqa: E402


def test_training_leaves_a_whole_run(trained):
    assert everything_in(trained) == {
        "config.json",
        "metrics.csv",
        "report.html",
        "checkpoints",
        "checkpoints/cnn-seed0.safetensors",
        "checkpoints/st-cnn-seed0.safetensors",
    }
    rows = (trained / "metrics.csv").read_text().splitlines()
    assert rows[0] == ",".join(runs.COLUMNS)
    assert [row.split(",")[:3] for row in rows[1:]] == [
        [model, "0", epoch] for model in ("cnn", "st-cnn") for epoch in "12"
    ]


def test_training_leaves_curves_for_tensorboard(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for model in ("cnn", "st-cnn"):
        events = EventAccumulator(str(trained / "tensorboard" / f"{model}-seed0")).Reload()
        history = runs.Run.open(trained).load(model, 0).history
        for name in ("train_loss", "test_error", "learning_rate"):
            scalars = events.Scalars(name)
            assert [scalar.step for scalar in scalars] == [1, 2]
            np.testing.assert_allclose([scalar.value for scalar in scalars], [row[name] for row in history], rtol=1e-6)


def test_a_run_may_have_more_seeds_later(shapes, run, tmp_path):
    where = ("--runs", tmp_path, "--name", "more")
    options = ("--data", shapes, *RUN[:-2], "--batch-size", "10", "--epochs", "1", "--models", "fcn,st-fcn")
    assert run("train", *options, *where)[0] == 0
    first = runs.Run.open(tmp_path / "more").load("st-fcn", 0)
    assert run("train", "--resume", *where, "--seeds", "2")[0] == 0
    opened = runs.Run.open(tmp_path / "more")
    assert opened.configuration.seeds == 2
    assert [(one.model, one.seed) for one in opened.trained()] == [("fcn", 0), ("st-fcn", 0), ("fcn", 1), ("st-fcn", 1)]
    assert opened.load("st-fcn", 0).history == first.history


def test_a_run_is_not_overwritten(trained, shapes, refused):
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    arguments = ("train", "--data", shapes, *RUN, "--runs", trained.parent, "--name", trained.name)
    assert "exists already; go on with it with --resume" in refused(*arguments)
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*")} == before


def test_a_run_goes_on_only_as_it_was_started(trained, refused):
    arguments = ("train", "--resume", "--runs", trained.parent, "--name", trained.name, "--epochs", "9")
    assert "was started with epochs 2" in refused(*arguments)


@pytest.mark.parametrize("command", ["evaluate", "rectify", "resume"])
def test_a_corrupted_checkpoint_is_refused(trained, run, refused, photo, tmp_path, command):
    path = tmp_path / "runs" / "broken"
    shutil.copytree(trained, path)
    checkpoint = path / "checkpoints" / "st-cnn-seed0.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    before = everything_in(tmp_path)
    if command == "resume":
        code, _, errors = run("train", "--resume", "--runs", path.parent, "--name", path.name)
        assert code == 2
    else:
        more = [photo, "--out", tmp_path / "out"] if command == "rectify" else []
        errors = refused(command, path, *more)
    assert "st-cnn-seed0.safetensors: corrupted" in errors
    assert everything_in(tmp_path) == before


# In the order of writing: config.json; last.ckpt and metrics.csv after each of two epochs, and the model's own
# checkpoint; the same for the second model; metrics.csv; report.html.
@pytest.mark.parametrize("nth", [1, 2, 3, 5, 6, 7, 11, 12, 13])
def test_a_full_disk_leaves_whole_files_and_a_run_that_goes_on(run, trained, shapes, tmp_path, monkeypatch, nth):
    written = 0
    replace = os.replace

    def on_a_small_disk(source, target):
        nonlocal written
        written += 1
        if written == nth:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    where = ("--runs", tmp_path / "runs", "--name", "full")
    monkeypatch.setattr(_files.os, "replace", on_a_small_disk)
    code, _, errors = run("train", "--data", shapes, *RUN, *where)
    monkeypatch.undo()
    assert code == 2
    assert errors.count("\n") == 1
    assert "No space left on device" in errors
    left = everything_in(tmp_path)
    assert not [name for name in left if Path(name).name.startswith(".")]
    if nth == 1:
        assert not left
        return
    for checkpoint in (tmp_path / "runs").rglob("*.ckpt"):
        runs.read_checkpoint(checkpoint)
    assert run("train", "--resume", *where)[0] == 0
    assert everything_in(tmp_path / "runs" / "full") == everything_in(trained)
    errors_of = [
        [line.split(",")[7] for line in (path / "metrics.csv").open()] for path in (trained, tmp_path / "runs/full")
    ]
    assert errors_of[0] == errors_of[1]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("command", ["warp", "rectify", "train"])
def test_what_the_system_says_of_a_full_disk(refused, run, trained, shapes, photo, tmp_path, monkeypatch, command):
    out = tmp_path / "out"
    arguments = {
        "warp": ("warp", photo, tmp_path / "warped.png"),
        "rectify": ("rectify", trained, photo, "--out", out),
        "train": ("train", "--data", shapes, *RUN, "--runs", out),
    }[command]
    monkeypatch.setattr(_files, "_create", lambda path: path.symlink_to("/dev/full"))
    assert "No space left on device" in refused(*arguments)
    assert [path for path in tmp_path.rglob("*") if path.is_file() or path.is_symlink()] == [photo]


def test_an_interrupted_training_says_how_to_go_on(shapes, tmp_path):
    options = ("--data", shapes, "--distortion", "r", "--epochs", "5000", "--runs", tmp_path)
    process = started("train", *options, "--name", "long", env={**os.environ, "OMP_NUM_THREADS": "1"})
    checkpoint = tmp_path / "long" / "checkpoints" / "last.ckpt"
    wait_for(checkpoint, process)
    assert (
        interrupted(process)
        == f"pullback: interrupted; go on with: pullback train --resume --name long --runs {tmp_path}\n"
    )
    runs.read_checkpoint(checkpoint)
    assert not [name for name in everything_in(tmp_path) if Path(name).name.startswith(".")]


def test_a_killed_training_goes_on_to_the_same_weights(shapes, run, tmp_path):
    """Killed at some moment after its first epoch, with no chance to say anything."""
    options = ["--data", shapes, "--distortion", "r", "--epochs", "20", "--batch-size", "10", "--seeds", "1"]
    options += ["--models", "st-fcn", "--runs", tmp_path]
    assert run("train", *options, "--name", "unbroken")[0] == 0
    process = started("train", *options, "--name", "killed", env={**os.environ, "OMP_NUM_THREADS": "1"})
    wait_for(tmp_path / "killed" / "checkpoints" / "last.ckpt", process)
    process.kill()
    process.communicate(timeout=30)
    assert not runs.Run.open(tmp_path / "killed").finished
    assert run("train", "--resume", "--runs", tmp_path, "--name", "killed")[0] == 0
    one, other = (runs.Run.open(tmp_path / name).load("st-fcn", 0) for name in ("unbroken", "killed"))
    assert all(torch.equal(one.state[name], other.state[name]) for name in one.state)
    assert [row["test_loss"] for row in one.history] == [row["test_loss"] for row in other.history]


def test_runs_without_a_name_do_not_get_in_each_others_way(tmp_path, shapes, run):
    arguments = ("train", "--data", shapes, *RUN, "--epochs", "1", "--models", "fcn", "--runs", tmp_path)
    assert run(*arguments)[0] == run(*arguments)[0] == 0
    name = f"{shapes.name}-r"
    assert {path.name for path in tmp_path.iterdir()} == {name, f"{name}-2"}


def test_resume_without_a_name_finds_the_newest_unfinished_run(trained, tmp_path, shapes, run):
    for number in ("", "-2", "-3"):
        shutil.copytree(trained, tmp_path / f"{shapes.name}-r{number}")
    newest_but_one = tmp_path / f"{shapes.name}-r-2"
    (newest_but_one / "checkpoints" / "st-cnn-seed0.safetensors").unlink()
    (newest_but_one / "report.html").unlink()
    code, output, errors = run("train", "--resume", "--data", shapes, "--distortion", "r", "--runs", tmp_path)
    assert (code, errors) == (0, "")
    assert str(newest_but_one / "report.html") in output
    assert (newest_but_one / "report.html").is_file()


def test_addition_learns_sums(run, refused, shapes, photo, tmp_path):
    digits = tmp_path / "digits"
    for digit, name in enumerate(("bar", "square")):
        shutil.copytree(shapes / name, digits / str(digit))
    where = ("--runs", tmp_path, "--name", "sums")
    options = ("--data", digits, "--epochs", "1", "--seeds", "1", "--transform", "affine")
    code, output, errors = run("train", "addition", *options, *where)
    assert (code, errors) == (0, "")
    assert [name in output for name in ("FCN", "ST-FCN", "2ST-FCN")] == [True] * 3
    opened = runs.Run.open(tmp_path / "sums")
    assert opened.classes == ("0", "1", "2")
    assert "add up two of digits" in (tmp_path / "sums" / "report.html").read_text(encoding="utf-8")
    assert run("evaluate", tmp_path / "sums", "--confusion")[0] == 0
    assert "no pose of one" in refused("rectify", tmp_path / "sums", photo, "--out", tmp_path / "out")
    assert "addition needs the digits" in refused("train", "addition", "--data", shapes, "--runs", tmp_path / "x")

    # The report has the command that trains such a run, and what is not said when a run goes on is as it was.
    page = (tmp_path / "sums" / "report.html").read_text(encoding="utf-8")
    command = re.search(r"<code>pullback (train addition .*?)</code>", page)[1]
    assert run(*command.split(), "--runs", tmp_path, "--name", "again")[0] == 0
    assert runs.Run.open(tmp_path / "again").configuration == opened.configuration
    assert run("train", "addition", "--resume", *where, "--seeds", "2")[0] == 0
    assert runs.Run.open(tmp_path / "sums").configuration.seeds == 2
    assert "transform affine" in refused("train", "addition", "--resume", *where, "--transform", "tps")
