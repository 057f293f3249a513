"""The page that shows a run: one file that needs no other, to be opened, kept and sent.

What it says in words is here; how it looks is in ``report.css``.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

import pullback as pb
from pullback.train import curves, models, pictures
from pullback.train.data import Dataset
from pullback.train.distortions import DISTORTIONS
from pullback.train.evaluation import Result, summarize, transformer_of
from pullback.train.loop import TestBatches
from pullback.train.runs import Run, Trained

_EXAMPLES_A_CLASS = 3
_MOST_CLASSES = 20
_COLUMNS = 10


@dataclass(frozen=True)
class View:
    """Test pictures beside what a network made of them.

    Attributes
    ----------
    inputs : Tensor, (N, 1, canvas, canvas)
    outputs : Tensor, (N, 1, side, side)
    matrices : ndarray, (N, 2, 3)
        From output to input, in the frame "centered".
    labels, predicted : Tensor, (N,)
    """

    inputs: Tensor
    outputs: Tensor
    matrices: npt.NDArray[np.float64]
    labels: Tensor
    predicted: Tensor


def write(run: Run, dataset: Dataset, all_trained: Sequence[Trained]) -> Path:
    """Write ``report.html`` of a finished run, and return where it is.

    Parameters
    ----------
    run : Run
    dataset : Dataset
        The data that it was trained on.
    all_trained : sequence of Trained
    """
    from pullback.train import atomic

    path = run.path / "report.html"
    atomic.write(path, page(run, dataset, all_trained))
    return path


def page(run: Run, dataset: Dataset, all_trained: Sequence[Trained]) -> str:
    """Return the page as HTML."""
    results = summarize(all_trained)
    batches = TestBatches(dataset, DISTORTIONS[run.configuration.distortion])
    view = look(transformer_of(run), batches)
    sections = [
        _head(run, dataset, results),
        _table(run, results),
        _examples(view, dataset.classes),
        _means(view, dataset.classes),
        _curves(all_trained),
        _origin(run, dataset, all_trained),
    ]
    style = resources.files("pullback.train").joinpath("report.css").read_text(encoding="utf-8")
    title = f"{escape(run.path.name)} · pullback"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(sections)
        + "\n</main>\n</body>\n</html>\n"
    )


@torch.inference_mode()
def look(network: models.Network, batches: TestBatches) -> View:
    """Pass all test pictures through a network with a transformer."""
    outputs, matrices, predicted = [], [], []
    for images, _ in batches:
        warped, transform = network.rectify(images)
        outputs.append(warped)
        matrices.append(pb.Affine(transform.numpy().matrix).matrix)
        predicted.append(network.classifier(warped).argmax(1))
    return View(batches.images, torch.cat(outputs), np.concatenate(matrices), batches.labels, torch.cat(predicted))


def mean_images(images: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Return the mean image of each class, (classes, side, side); black for a class without images."""
    return torch.stack([images[labels == k, 0].sum(0) / max(1, int((labels == k).sum())) for k in range(classes)])


def explained_by_class(images: Tensor, labels: Tensor, classes: int) -> float:
    """Return the part of the variance of the pixels that the mean images of the classes explain, between 0 and 1."""
    within = images[:, 0] - mean_images(images, labels, classes)[labels]
    total = images[:, 0] - images[:, 0].mean(0)
    return 1 - float(within.square().sum() / total.square().sum().clamp(min=1e-12))


def _head(run: Run, dataset: Dataset, results: Sequence[Result]) -> str:
    figures = "".join(
        f'<div class="figure {result.model}"><span class="value">{result.mean:.1f}<small>%</small></span>'
        f"<span>{models.MODELS[result.model]}</span></div>"
        for result in results
    )
    return f"""<header>
<p class="eyebrow">pullback · {escape(dataset.name)} · {escape(run.configuration.distortion)}</p>
<h1>A network that straightens what it reads</h1>
<p class="lead">Two classifiers with the same number of parameters learn to read
{escape(dataset.name)}, {DISTORTIONS[run.configuration.distortion].summary}. One of them begins with a spatial transformer:
before it reads, it may warp the picture. Nobody tells it how; it learns that from the class labels alone.</p>
<div class="figures">{figures}<p>of {len(dataset.test_labels):,} test pictures that it had never seen are read wrong</p></div>
</header>"""


def _table(run: Run, results: Sequence[Result]) -> str:
    rows = "".join(
        f'<tr><th scope="row"><span class="key {result.model}"></span>{models.MODELS[result.model]}</th>'
        f'<td>{result.parameters:,}</td><td class="strong">{result.error}</td>'
        f"<td>{' · '.join(f'{error:.2f}' for error in result.errors)}</td><td>{result.seconds:.0f} s</td></tr>"
        for result in results
    )
    seeds = run.configuration.seeds
    over = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    return f"""<section>
<h2>Result</h2>
<div class="scroll"><table>
<thead><tr><th scope="col">model</th><th scope="col">parameters</th><th scope="col">test error, %</th>
<th scope="col">each seed</th><th scope="col">training</th></tr></thead>
<tbody>{rows}</tbody></table></div>
<p class="note">Test error after the last of {run.configuration.epochs} epochs, {over}. Both models saw the same pictures in the
same order; the test pictures are the same for all.{_ratio(results)}</p>
</section>"""


def _ratio(results: Sequence[Result]) -> str:
    errors = {result.model: result.mean for result in results}
    if len(errors) < 2 or errors[models.CNN] == 0:
        return ""
    return f" With the transformer the error is {errors[models.ST_CNN] / errors[models.CNN]:.2f} times that without."


def _examples(view: View, classes: Sequence[str]) -> str:
    shown = range(min(len(classes), _MOST_CLASSES))
    of_class = [torch.nonzero(view.labels == k).flatten()[:_EXAMPLES_A_CLASS].tolist() for k in shown]
    cards = "".join(
        _card(view, members[place], classes)
        for place in range(_EXAMPLES_A_CLASS)
        for members in of_class
        if place < len(members)
    )
    return f"""<section class="examples">
<h2>What the transformer does</h2>
<p>Above, what the network is shown; below, what its transformer passes on. The frame is where it looks: the output is read
from inside it, and its heavy side becomes the top. These are the first {_EXAMPLES_A_CLASS} test pictures of every class, not the
best ones.</p>
<label class="switch"><input type="checkbox"><span>straighten the pictures</span></label>
<div class="grid" style="--columns: {min(_COLUMNS, len(shown))}">{cards}</div>
</section>"""


def _card(view: View, index: int, classes: Sequence[str]) -> str:
    side = view.inputs.shape[-1]
    matrix = view.matrices[index]
    corners = _corners(matrix, side)
    outline = " ".join(f"{x:.2f},{y:.2f}" for x, y in corners)
    (x0, y0), (x1, y1) = corners[:2]
    label, predicted = int(view.labels[index]), int(view.predicted[index])
    verdict = "" if label == predicted else f'<figcaption>read as {escape(classes[predicted])}</figcaption>'
    name = escape(classes[label])
    return f"""<figure><svg viewBox="0 0 {side} {side}" role="img" aria-label="{name}, as shown, with the sampling frame">
<g style="--straight: {_straightening(matrix, side)}"><image width="{side}" height="{side}" href="{_embedded(view.inputs[index, 0])}"/>
<polygon points="{outline}"/><line x1="{x0:.2f}" y1="{y0:.2f}" x2="{x1:.2f}" y2="{y1:.2f}"/></g></svg>
<img src="{_embedded(view.outputs[index, 0])}" alt="{name}, as the transformer passes it on">{verdict}</figure>"""


def _corners(matrix: npt.NDArray[np.float64], side: int) -> list[tuple[float, float]]:
    """Return where the corners of the output are on the input, (x, y) in pixels from its corner, the top ones first."""
    output = np.array([(-1.0, -1.0), (-1.0, 1.0), (1.0, 1.0), (1.0, -1.0)])
    return [(float(x), float(y)) for y, x in (pb.Affine(matrix)(output) + 1) * (side / 2)]


def _straightening(matrix: npt.NDArray[np.float64], side: int) -> str:
    """Return the CSS transform that brings the frame on the input, in pixels, to the whole of a square of that side."""
    linear = np.linalg.pinv(matrix[:, :2])
    offset = side / 2 * (1 - linear @ (matrix[:, 2] + 1))
    (yy, yx), (xy, xx) = linear
    numbers = (xx, yx, xy, yy, offset[1], offset[0])
    return f"matrix({', '.join(f'{number:.5f}' for number in numbers)})"


def _means(view: View, classes: Sequence[str]) -> str:
    shown = min(len(classes), _MOST_CLASSES)
    strips = "".join(
        f"<p>{name}</p><div class='strip' style='--columns: {min(_COLUMNS, shown)}'>{_strip(images, view.labels, classes[:shown])}</div>"
        for name, images in (("as shown", view.inputs), ("as passed on", view.outputs))
    )
    before, after = (explained_by_class(images, view.labels, len(classes)) for images in (view.inputs, view.outputs))
    return f"""<section>
<h2>From a blur to a {"digit" if set(classes) <= set("0123456789") else "picture"}</h2>
<p>The mean of all test pictures of a class, each mean scaled to full brightness. Where pictures lie every which way it is a
blur; if the transformer has found one pose for all of a class, it is a picture again. Which class a picture belongs to explains
<b class="cnn">{100 * before:.0f} %</b> of the variance of its pixels before the transformer, and <b class="st-cnn">{100 * after:.0f} %</b> after it.</p>
{strips}
</section>"""


def _strip(images: Tensor, labels: Tensor, classes: Sequence[str]) -> str:
    means = mean_images(images, labels, len(classes))
    means = means / means.amax((1, 2), keepdim=True).clamp(min=1e-6)
    return "".join(
        f'<img src="{_embedded(mean)}" alt="mean of class {escape(name)}">' for mean, name in zip(means, classes, strict=True)
    )


def _curves(all_trained: Sequence[Trained]) -> str:
    keys = "".join(f'<span><span class="key {name}"></span>{text}</span>' for name, text in models.MODELS.items())
    return f"""<section>
<h2>Learning curves</h2>
<p>Thick lines are means over the seeds, thin lines the seeds. The training pictures are distorted afresh in every epoch, so no
model sees the same picture twice. Both axes of height are logarithmic.</p>
<p class="keys">{keys}</p>
<div class="curves"><figure><figcaption>test error, %</figcaption>{curves.draw(all_trained, "test_error", 0.01)}</figure>
<figure><figcaption>training loss</figcaption>{curves.draw(all_trained, "train_loss", 1e-4)}</figure></div>
</section>"""


def _origin(run: Run, dataset: Dataset, all_trained: Sequence[Trained]) -> str:
    settings = run.configuration
    facts = {
        "data": f"{escape(dataset.name)}: {len(dataset.train_labels):,} pictures to train on, {len(dataset.test_labels):,} to test, "
        f"{len(dataset.classes)} classes, 28 × 28",
        "distortion": f"{escape(settings.distortion)}: {DISTORTIONS[settings.distortion].summary}",
        "transformer": f"{escape(settings.transform)}, predicted by a small convolutional network, starting from the identity",
        "training": f"{settings.epochs} epochs in batches of {settings.batch_size}, AdamW, one cycle up to {settings.learning_rate:g} "
        f"(localization × {settings.localization_scale:g}), weight decay {settings.weight_decay:g}",
        "pictures above": f"from the model with seed {all_trained[0].seed}",
        "made with": f"pullback {escape(pb.__version__)}, PyTorch {escape(torch.__version__)}",
    }
    entries = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items())
    source = "" if settings.data == "digits" else f" --data {escape(settings.data)}"
    command = (
        f"pullback train{source} --distortion {settings.distortion} --transform {settings.transform} --seeds {settings.seeds} "
        f"--epochs {settings.epochs} --batch-size {settings.batch_size}"
    )
    return f"""<section class="origin">
<h2>How it was made</h2>
<dl>{entries}</dl>
<pre><code>{command}</code></pre>
<p class="note">After Jaderberg, Simonyan, Zisserman and Kavukcuoglu, “Spatial Transformer Networks”, 2015.</p>
</section>"""


def _embedded(image: Tensor) -> str:
    """Return an image, (side, side) in [0, 1], as the address of a PNG within the page."""
    levels = (image.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return "data:image/png;base64," + base64.b64encode(pictures.encode(Path("image.png"), levels)).decode()
