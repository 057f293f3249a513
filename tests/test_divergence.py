"""A training that diverges says when, keeps what was before, and lets the others and the report go on."""

from __future__ import annotations

import math
import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("matplotlib")

from command_line import RUN  # noqa: E402

from pullback.train import curves, evaluation, loop, view  # noqa: E402
from pullback.train.loading import chosen  # noqa: E402
from pullback.train.runs import Run  # noqa: E402


@pytest.fixture
def losing(monkeypatch):
    """Make the classifier's weights NaN, and with them the loss, at a step of the networks with a transformer."""

    def at(step: int) -> None:
        plain = loop.Training.training_step

        def poisoned(self, batch, index):
            if self.trainer.global_step + 1 == step and self.network.transformer is not None:
                with torch.no_grad():
                    for parameter in self.network.classifier.parameters():
                        parameter.fill_(math.nan)
            return plain(self, batch, index)

        monkeypatch.setattr(loop.Training, "training_step", poisoned)

    return at


# 32 pictures in batches of 10: an epoch has four steps.
@pytest.mark.parametrize(("step", "epochs"), [(3, 0), (6, 1)], ids=["in the first epoch", "in the second"])
def test_what_was_before_is_kept_and_the_others_are_trained(run, trained, shapes, tmp_path, losing, step, epochs):
    losing(step)
    code, output, errors = run("train", "--data", shapes, *RUN, "--runs", tmp_path, "--name", "lost")
    assert code == 3
    assert errors.count("\n") == 1
    assert f"st-cnn with seed 0 diverged: at step {step} its loss was not finite any more" in errors
    assert f"after epoch {epochs}" in errors
    assert "report:" in output
    opened = Run.open(tmp_path / "lost")
    assert opened.finished
    assert not opened.last.exists()
    lost, well = opened.load("st-cnn", 0), opened.load("cnn", 0)
    assert (lost.diverged, len(lost.history)) == (step, epochs)
    assert all(value.isfinite().all() for value in lost.state.values())
    before = Run.open(trained)
    assert well.diverged is None
    assert all(torch.equal(well.state[name], value) for name, value in before.load("cnn", 0).state.items())
    if epochs:
        kept, whole = lost.history[0], before.load("st-cnn", 0).history[0]
        assert {**kept, "seconds": 0} == {**whole, "seconds": 0}
    page = (tmp_path / "lost" / "report.html").read_text(encoding="utf-8")
    assert f"diverged: at step {step}" in page
    assert "nan" not in page.partition("<main>")[2].lower().replace("nan,", "")

    code, output, errors = run("evaluate", tmp_path / "lost")
    assert (code, errors) == (0, "")
    assert "diverged" in output
    assert run("train", "--resume", "--runs", tmp_path, "--name", "lost")[0] == 3, "it stays so"


def test_a_rate_without_bounds_ends_in_a_report(run, shapes, tmp_path):
    options = ("--models", "st-cnn", "--learning-rate", "1e6", "--runs", tmp_path, "--name", "wild")
    code, _, errors = run("train", "--data", shapes, *RUN, *options)
    assert code == 3
    assert "st-cnn with seed 0 diverged" in errors
    assert (tmp_path / "wild" / "report.html").is_file()


def test_pictures_that_cannot_be_made_are_left_out(run, trained, shapes, tmp_path):
    """As of a network whose weights are finite, but what it looks at is not."""
    shutil.copytree(trained, tmp_path / "run")
    opened = Run.open(tmp_path / "run")
    one = opened.load("st-cnn", 0)
    opened.keep(
        type(one)(one.model, one.seed, {name: value * 1e30 for name, value in one.state.items()}, one.history, 5)
    )
    assert run("train", "--resume", "--runs", tmp_path, "--name", "run")[0] == 3
    assert "That cannot be drawn" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_a_seed_that_diverged_is_chosen_only_if_there_is_no_other(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    opened = Run.open(tmp_path / "run").with_seeds(2)
    one = opened.load("st-cnn", 0)
    opened.keep(type(one)(one.model, 0, one.state, one.history[:1], 7))
    assert chosen(opened).seed == 0
    opened.keep(type(one)(one.model, 1, one.state, [{**row, "seed": 1} for row in one.history]))
    assert chosen(opened).seed == 1
    (cnn, result) = evaluation.summarize(list(opened.trained()))
    assert result.error.endswith(", 1 diverged")
    assert result.errors == (one.test_error,)
    assert "diverged" not in cnn.error
    assert curves.draw(list(opened.trained()), "test_error", 0.01).startswith("<svg")


def test_a_view_far_away_cannot_be_drawn():
    near = view.View(torch.zeros(1), torch.zeros(1), np.zeros((1, 1, 1, 2)), torch.zeros(1), torch.zeros(1))
    assert near.can_be_drawn
    for value in (math.nan, math.inf, 1e9):
        far = np.full((1, 1, 1, 2), value)
        assert not view.View(near.inputs, near.outputs, far, near.labels, near.predicted).can_be_drawn
