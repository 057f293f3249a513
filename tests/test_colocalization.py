"""Co-localisation: true boxes are where pictures are, overlaps are areas, and a class is found."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from pullback import cli  # noqa: E402
from pullback.train import colocalization, data  # noqa: E402

MNIST = Path(__file__).parents[2] / "shared" / "data" / "mnist"


@pytest.mark.parametrize("scene", ["t", "tc"])
@pytest.mark.parametrize("unseen", [False, True])
def test_true_boxes_are_where_the_pictures_are(scene, unseen):
    digits = data.load("digits")
    found = colocalization.scenes(digits, 3, 20, colocalization.SCENES[scene], unseen=unseen, seed=1)
    images, labels = (digits.test_images, digits.test_labels) if unseen else (digits.train_images, digits.train_labels)
    pictures = torch.from_numpy(images[labels == 3][:20])[:, None]
    crops = colocalization.cropped(found.images, found.middles)
    # A crop at the true place is the picture, read between pixels twice, with clutter here and there.
    assert (crops - pictures).abs().mean() < (0.05 if scene == "t" else 0.12)
    elsewhere = colocalization.cropped(found.images, -found.middles)
    assert (elsewhere - pictures).abs().mean() > 0.15


def test_overlap_is_intersection_over_union():
    third = 2 / 3  # the side of a box
    middles = torch.zeros(4, 2)
    found = torch.tensor([[0.0, 0.0], [0.0, third / 2], [third / 2, third / 2], [third, 0.0]])
    np.testing.assert_allclose(colocalization.overlaps(found, middles), [1, 1 / 3, 1 / 7, 0], atol=1e-6)
    assert colocalization.found(np.array([0.4, 0.5, 0.6, 0.9])) == 50


def test_the_command_writes_what_was_found(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(colocalization, "DESCRIBED", 1000)
    options = ["--classes", "3, 7", "--count", "8", "--steps", "2", "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "colocalise", *options])
    assert ended.value.code == 0, capsys.readouterr().err
    record = json.loads((tmp_path / "out" / "colocalise.json").read_text())
    assert list(record) == ["3", "7"]
    assert all(0 <= record["3"][when]["overlap"] <= 1 for when in ("before", "after", "unseen"))
    assert (tmp_path / "out" / "colocalise.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "colocalise", "--classes", "ten"])
    assert ended.value.code == 2
    assert "'ten' is no class" in capsys.readouterr().err


def test_a_class_without_pictures_is_refused_before_anything_is_trained(tmp_path, monkeypatch, capsys):
    digits = data.load("digits")
    some = digits.train_labels != 4
    monkeypatch.setattr(
        data,
        "load",
        lambda _: dataclasses.replace(
            digits, train_images=digits.train_images[some], train_labels=digits.train_labels[some]
        ),
    )
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "colocalise", "--classes", "4", "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert "no pictures of '4'" in capsys.readouterr().err


def test_an_interruption_stays_one(monkeypatch):
    """Lightning makes an exit of it."""
    digits = data.load("digits")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(colocalization._Naming, "training_step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        colocalization.describer(digits, seed=0, epochs=1)


@pytest.mark.slow
@pytest.mark.skipif(not MNIST.is_dir(), reason="needs MNIST beside the project")
def test_threes_are_found():
    mnist = data.load(str(MNIST))
    describe = colocalization.describer(mnist, seed=0)
    for scene in ("t", "tc"):
        located = colocalization.colocalise(
            mnist, 3, colocalization.SCENES[scene], describe, count=100, steps=300, seed=0
        )
        assert colocalization.found(located.before) < 10
        # 99 % of both where this was written.
        assert colocalization.found(located.overlap) > 85
