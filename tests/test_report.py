"""The report: one file that needs no other, whose figures are those of the run and whose frames are where it looked."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")

import pullback as pb  # noqa: E402
from pullback.train import data, loop, models, report, view  # noqa: E402
from pullback.train.distortions import DISTORTIONS  # noqa: E402
from pullback.train.runs import Configuration, Run  # noqa: E402

VOID = {"meta", "img", "br", "input", "link", "image", "polygon", "polyline", "path", "use"}


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def reported(made_once):
    """The page of a run, and what the run trained."""
    run = Run.open(made_once("reported", train_and_report) / "small")
    return (run.path / "report.html").read_text(encoding="utf-8"), list(run.trained())


def train_and_report(folder):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    digits = data.load("digits")
    few = dataclasses.replace(
        digits,
        classes=("<zero>", *digits.classes[1:]),
        train_images=digits.train_images[:60],
        train_labels=digits.train_labels[:60],
        test_images=digits.test_images[:80],
        test_labels=digits.test_labels[:80],
    )
    run = Run.create(folder / "small", Configuration(seeds=2, epochs=2, batch_size=30), few)
    report.write(run, few, loop.train(run, few, loop.Silence()))
    torch.set_num_threads(threads)


def test_the_page_needs_no_other_file(reported):
    text, _ = reported
    elements = Elements(text)
    assert not elements.open, "every element is closed"
    sources = [a.get("src", "") for a in elements.all("img")] + [a.get("href", "") for a in elements.all("image")]
    assert len(sources) > 50
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not elements.all("link")
    assert not elements.all("script")
    assert not re.search(r"@import|url\((?!#)", text)
    assert not re.search(r"""(src|href)=["']https?:""", text)


def test_the_pictures_are_whole(reported):
    elements = Elements(reported[0])
    shapes = {
        np.shape(Image.open(io.BytesIO(base64.b64decode(attributes[name].partition(",")[2]))))
        for tag, name in (("img", "src"), ("image", "href"))
        for attributes in elements.all(tag)
    }
    assert shapes == {(42, 42)}
    assert all(attributes.get("alt") for attributes in elements.all("img"))


def test_the_figures_are_those_of_the_run(reported):
    text, trained = reported
    for one in trained:
        assert f"{one.test_error:.2f}" in text
    for model in ("cnn", "st-cnn"):
        errors = [one.test_error for one in trained if one.model == model]
        assert f"{np.mean(errors):.2f} ± {np.std(errors, ddof=1):.2f}" in text


def test_names_of_classes_are_text(reported):
    assert "<zero>" not in reported[0]
    assert "&lt;zero&gt;" in reported[0]


def test_both_colour_schemes_and_small_screens_are_served(reported):
    text, _ = reported
    for words in ("prefers-color-scheme: dark", "max-width", 'name="viewport"', "prefers-reduced-motion"):
        assert words in text
    assert not re.search(r"#0[1-4]0[1-4]0[1-4]", text), "no stand-in of a colour is left in the curves"


def mapped(matrix: np.ndarray) -> np.ndarray:
    return pb.Affine(matrix)(view.EDGE)


@pytest.mark.parametrize("seed", range(4))
def test_the_frame_is_where_the_output_is_read(seed):
    random = np.random.default_rng(seed)
    matrix = 0.6 * np.eye(2, 3) + random.normal(0, 0.1, (2, 3))
    corners = view.outline(mapped(matrix), 42)
    top_left, top_right, _, bottom_left = corners[:: len(corners) // 4]
    # The middle of the output's first pixel is half a pixel, of 28, from its corner along either side.
    expected = top_left + (top_right - top_left) / 56 + (bottom_left - top_left) / 56
    positions = np.stack(np.meshgrid(np.arange(42.0), np.arange(42.0), indexing="ij"))
    y, x = pb.warp(positions, pb.Affine(matrix), (28, 28), frame="centered", fill=np.nan)[:, 0, 0]
    # Sample k is the middle of pixel k, half a pixel from its corner.
    np.testing.assert_allclose((x + 0.5, y + 0.5), expected, atol=1e-9)


def test_straightening_brings_the_frame_to_the_square():
    frame = mapped(np.array([[0.6, 0.3, 0.1], [-0.2, 0.7, -0.4]]))
    a, b, c, d, e, f = view.straightening(frame, 42)
    x, y = view.outline(frame, 42)[:: len(frame) // 4].T
    np.testing.assert_allclose(a * x + c * y + e, [0, 42, 42, 0], atol=1e-9)
    np.testing.assert_allclose(b * x + d * y + f, [0, 0, 42, 42], atol=1e-9)


def test_a_degenerate_frame_is_shown_too():
    assert np.isfinite(view.straightening(mapped(np.zeros((2, 3))), 42)).all()


@pytest.mark.parametrize("transform", ["projective", "tps", "diffeomorphic"])
def test_bent_frames_are_followed(reported, transform):
    network = models.build(models.ST_CNN, 42, 10, transform)
    torch.nn.init.normal_(network.transformer.head.linear.weight, std=0.1)
    digits = data.load("digits")
    few = dataclasses.replace(digits, test_images=digits.test_images[:5], test_labels=digits.test_labels[:5])
    seen = view.look(network.eval(), loop.TestBatches(few, DISTORTIONS["rts"]))
    with torch.no_grad():
        _, predicted = network.rectify(seen.inputs)
    expected = predicted.numpy()(view.EDGE[None], shape=(42, 42), frame="centered")
    np.testing.assert_allclose(seen.frames[:, 0], expected)


def test_a_run_without_a_transformer_is_reported_too(tmp_path):
    digits = data.load("digits")
    few = dataclasses.replace(
        digits,
        train_images=digits.train_images[:40],
        train_labels=digits.train_labels[:40],
        test_images=digits.test_images[:20],
        test_labels=digits.test_labels[:20],
    )
    run = Run.create(tmp_path / "run", Configuration(models=("fcn",), seeds=1, epochs=1), few)
    text = report.write(run, few, loop.train(run, few, loop.Silence())).read_text(encoding="utf-8")
    assert "What the transformer does" not in text
    assert not Elements(text).open


def test_variance_explained_by_class():
    labels = torch.tensor([0, 0, 1, 1])
    images = labels.float().reshape(4, 1, 1, 1).expand(4, 1, 3, 3)
    assert view.explained_by_class(images, labels, 2) == pytest.approx(1)
    assert view.explained_by_class(images, torch.tensor([0, 1, 0, 1]), 2) == pytest.approx(0)
    np.testing.assert_allclose(view.mean_images(images, labels, 3)[:, 0, 0], [0, 1, 0])
