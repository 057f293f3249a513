"""What was trained is evaluated, exported and used; the table of the paper is trained and shown."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
Image = pytest.importorskip("PIL.Image")

from command_line import everything_in, interrupted, started, wait_for  # noqa: E402

import pullback as pb  # noqa: E402
from pullback.train import runs, table1, table1_page  # noqa: E402


def test_evaluate_prints_what_training_measured(trained, run):
    code, output, errors = run("evaluate", trained)
    assert (code, errors) == (0, "")
    for job in (("cnn", 0), ("st-cnn", 0)):
        assert f"{runs.Run.open(trained).load(*job).test_error:.2f}" in output


def test_confusion_counts_every_test_picture(trained, run):
    code, output, errors = run("evaluate", trained, "--confusion")
    assert (code, errors) == (0, "")
    opened = runs.Run.open(trained)
    for model, title in (("cnn", "\nCNN, read as"), ("st-cnn", "ST-CNN, read as")):
        lines = [line.split() for line in output.partition(title)[2].splitlines()]
        rows = [line[1:] for line in lines if len(line) == 3 and line[0] in ("bar", "square")][:2]
        counts = np.array([[0 if count == "·" else int(count) for count in row] for row in rows])
        assert counts.sum() == 8
        assert 100 * (1 - np.trace(counts) / 8) == pytest.approx(opened.load(model, 0).test_error)


def test_evaluate_takes_other_data(trained, shapes, refused, run, tmp_path):
    assert run("evaluate", trained, "--data", shapes)[0] == 0
    assert "was trained on the classes bar, square" in refused("evaluate", trained, "--data", "digits")


def test_export_writes_a_graph_that_gives_the_same(trained, run, refused, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    images = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    for model, outputs in (("st-cnn", ["logits", "warped"]), ("cnn", ["logits"])):
        target = tmp_path / f"{model}.onnx"
        code, output, errors = run("export", trained, target, "--model", model, "--batch-size", "3")
        assert (code, errors) == (0, ""), errors
        assert str(target) in output
        session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
        assert [found.name for found in session.get_outputs()] == outputs
        network = pb.train.load(trained, model)
        with torch.no_grad():
            warped = network.rectify(images)[0] if model == "st-cnn" else images
            wanted = [network(images), warped][: len(outputs)]
        for one, other in zip(session.run(None, {"images": images.numpy()}), wanted, strict=True):
            np.testing.assert_allclose(one, other.numpy(), rtol=0, atol=1e-5)
    assert "no fcn is trained; there is cnn with seed 0, st-cnn with seed 0" in refused(
        "export", trained, tmp_path / "no.onnx", "--model", "fcn"
    )


def test_load_gives_the_module(trained):
    network = pb.train.load(trained)
    assert isinstance(network.transformer, pb.nn.SpatialTransformer)
    assert not network.training
    assert pb.train.load(trained, "cnn").transformer is None
    with pytest.raises(ValueError, match="no cnn with seed 3 is trained"):
        pb.train.load(trained, "cnn", 3)
    with pytest.raises(ValueError, match="no such run"):
        pb.train.load(trained / "nowhere")


@pytest.mark.parametrize(("options", "side"), [((), 62), (("--size", "50"), 50)], ids=["own size", "--size"])
def test_rectify_writes_one_picture_each(trained, run, photo, shapes, tmp_path, options, side):
    out = tmp_path / "new" / "out"
    gray = tmp_path / "gray.png"
    Image.fromarray(np.full((62, 40), 9, np.uint8)).save(gray)
    clash = tmp_path / "other" / "gray.png"
    clash.parent.mkdir()
    shutil.copy(gray, clash)
    code, _, errors = run("rectify", trained, gray, clash, "--out", out, *options)
    assert (code, errors) == (0, "")
    assert everything_in(out) == {"gray.png", "gray-2.png"}
    assert np.asarray(Image.open(out / "gray.png")).shape == (side, side)
    run("rectify", trained, photo, shapes / "bar", "--out", out)
    assert len(everything_in(out)) == 2 + 1 + 20
    assert np.asarray(Image.open(out / "photo.png")).shape == (31, 31, 3)


def test_rectify_averages_what_it_makes_smaller(trained, run, tmp_path):
    """A grating, finer than the samples of the result, becomes grey: without that, black or white."""
    picture = np.zeros((280, 280), np.uint8)
    picture[:, ::2] = 200
    Image.fromarray(picture).save(tmp_path / "grating.png")
    assert run("rectify", trained, tmp_path / "grating.png", "--out", tmp_path / "out", "--size", "28")[0] == 0
    middle = np.asarray(Image.open(tmp_path / "out" / "grating.png"))[8:20, 8:20].astype(float)
    np.testing.assert_allclose(middle, 100, atol=20)


def test_rectify_writes_nothing_if_one_picture_is_bad(trained, refused, photo, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(photo.read_bytes()[:100])
    assert "bad.png: not readable" in refused("rectify", trained, photo, bad, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_reproduce_refuses_what_it_cannot_read(refused, tmp_path):
    options = ("--runs", tmp_path / "runs", "--out", tmp_path / "results")
    assert "nowhere" in refused("reproduce", "table1", "--data", tmp_path / "nowhere", *options)
    assert not (tmp_path / "runs").exists()


def test_an_interrupted_table_begins_no_other_cell(shapes, tmp_path):
    options = ("--data", shapes, "--seeds", "1", "--cells", "r-")
    process = started("reproduce", "table1", *options, "--runs", tmp_path / "runs", "--out", tmp_path / "out")
    wait_for(tmp_path / "runs" / "r-fcn" / "checkpoints" / "last.ckpt", process)
    assert "Traceback" not in interrupted(process)
    there = everything_in(tmp_path / "runs")
    assert len({Path(name).parts[0] for name in there}) < 8
    time.sleep(1)
    assert everything_in(tmp_path / "runs") == there, "nobody trains on"


def test_reproduce_trains_what_is_not_there_and_writes_the_page(run, refused, shapes, tmp_path, monkeypatch):
    defaults = table1.defaults
    monkeypatch.setattr(table1, "defaults", lambda *arguments: {**defaults(*arguments), "epochs": 2})
    where = ("--runs", tmp_path / "runs", "--out", tmp_path / "results")
    options = ("reproduce", "table1", "--data", shapes, "--cells", "r-fcn,r-st-fcn-affine", *where)
    code, output, errors = run(*options, "--seeds", "1")
    assert (code, errors) == (0, "")
    assert [line.split()[0] for line in output.splitlines()[:2]] == ["r-fcn", "r-st-fcn-affine"]
    first = runs.Run.open(tmp_path / "runs" / "r-fcn").load("fcn", 0)
    code, output, _ = run(*options, "--seeds", "2", "--jobs", "2")
    assert code == 0
    assert output.count("seed 1") == 2
    assert "seed 0" not in output
    opened = runs.Run.open(tmp_path / "runs" / "r-fcn")
    assert opened.load("fcn", 0).history == first.history
    errors_of = [one.test_error for one in opened.trained()]
    page = (tmp_path / "results" / "table1.md").read_text(encoding="utf-8")
    assert f"{np.mean(errors_of):.2f} ± {np.std(errors_of, ddof=1):.2f}" in page
    assert "| CNN | – (1.2) |" in page
    assert "2 × " in page
    rows = (tmp_path / "results" / "table1-metrics.csv").read_text().splitlines()
    assert len(rows) == 1 + 4 * opened.configuration.epochs
    record = (tmp_path / "results" / "table1.json").read_text(encoding="utf-8")
    assert f'"data": "{shapes.name}"' in record
    assert str(shapes.parent) not in record
    assert (tmp_path / "results" / "table1.svg").read_text().startswith("<?xml")
    assert "was started with other settings" in refused(*options, "--seeds", "2", "--schedule", "paper")
    assert "give table1" in refused("reproduce", "table2", "--data", shapes, *where)
    assert "is the beginning of none" in refused(*options[:4], "--cells", "q", *where)
    # Runs that are not here leave what the page has of them.
    shutil.rmtree(tmp_path / "runs" / "r-fcn")
    table1_page.write(tmp_path / "runs", tmp_path / "results")
    assert (tmp_path / "results" / "table1.md").read_text(encoding="utf-8") == page
    assert (tmp_path / "results" / "table1-metrics.csv").read_text().splitlines() == rows
