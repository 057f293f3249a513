"""The page that shows a run: one file that needs no other, to be opened, kept and sent.

What it says in words is here; how it looks is in ``report.css``.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import Path

import torch
from torch import Tensor

import pullback._files as _files
from pullback._version import __version__
from pullback.train import curves, data, models, pictures, view
from pullback.train.data import Dataset
from pullback.train.distortions import DISTORTIONS
from pullback.train.evaluation import Result, summarize
from pullback.train.loading import chosen
from pullback.train.loop import TestBatches
from pullback.train.runs import ADDITION, CLASSIFICATION, FAST, PRECISIONS, SCHEDULES, Configuration, Run, Trained
from pullback.train.view import View

_EXAMPLES_A_CLASS = 3
_MOST_CLASSES = 20
_COLUMNS = 10

_NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six")

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
{content}
</main>
</body>
</html>
"""


_NO_PICTURES = """<section>
<h2>What the transformer does</h2>
<p>That cannot be drawn: it looks at what is not finite, or very far away.</p>
</section>"""


def write(run: Run, dataset: Dataset, all_trained: Sequence[Trained]) -> Path:
    """Write ``report.html`` of a finished run.

    Parameters
    ----------
    run : Run
    dataset : Dataset
        The data that it was trained on.
    all_trained : sequence of Trained

    Returns
    -------
    Path
        The file.
    """
    path = run.path / "report.html"
    _files.write(path, page(run, dataset, all_trained))
    return path


def page(run: Run, dataset: Dataset, all_trained: Sequence[Trained]) -> str:
    """Return the page as HTML."""
    results = summarize(all_trained)
    diverged = [trained for trained in all_trained if trained.diverged is not None]
    sections = [_head(run, dataset, results), _table(run, results, diverged)]
    if any(result.model in models.WITH_TRANSFORMER for result in results):
        seen = view.look(run.network(chosen(run)), TestBatches.of(run, dataset))
        if not seen.can_be_drawn:
            sections.append(_NO_PICTURES)
        else:
            sections.append(_examples(seen, run.classes))
            if run.configuration.task == CLASSIFICATION:
                sections.append(_means(seen, run.classes))
    if any(trained.history for trained in all_trained):
        sections.append(_curves(all_trained))
    sections.append(_origin(run, dataset))
    return _PAGE.format(
        title=f"{escape(run.path.name)} · pullback",
        style=resources.files("pullback.train").joinpath("report.css").read_text(encoding="utf-8"),
        content="\n".join(sections),
    )


def _head(run: Run, dataset: Dataset, results: Sequence[Result]) -> str:
    name, distortion = escape(dataset.name), run.configuration.distortion
    figures = "\n".join(
        f'<div class="figure of-{result.model}"><span class="value">{_percent(result)}</span>'
        f"<span>{models.MODELS[result.model]}</span></div>"
        for result in results
    )
    straightens = any(result.model in models.WITH_TRANSFORMER for result in results)
    title = "A network that straightens what it reads" if straightens else "A network that reads what is not straight"
    one = "One of them begins" if len(results) > 1 else "It begins"
    several = (
        f"{_NUMBERS[len(results)]} networks with the same number of parameters learn"
        if len(results) > 1
        else "One network learns"
    )
    addition = run.configuration.task == ADDITION
    what = f"to add up two of {name}, a channel each" if addition else f"to read {name}"
    how = f"""{one} with a spatial transformer: before it reads, it may
warp the picture. Nobody tells it how; it learns that from the class labels alone."""
    return f"""<header>
<p class="eyebrow">pullback · {name} · {distortion}</p>
<h1>{title}</h1>
<p class="lead">{several} {what}, {DISTORTIONS[distortion].summary}. {how if straightens else ""}</p>
<div class="figures">
{figures}
<p>of {len(dataset.test_labels):,} test pictures that they had never seen are read wrong</p>
</div>
</header>"""


def _percent(result: Result) -> str:
    return f"{result.mean:.1f}<small>%</small>" if result.errors else "–"


def _table(run: Run, results: Sequence[Result], diverged: Sequence[Trained]) -> str:
    settings = run.configuration
    over = f"mean ± standard deviation over {settings.seeds} seeds" if settings.seeds > 1 else "one seed"
    rows = "\n".join(
        f'<tr><th scope="row"><span class="key of-{result.model}"></span>{models.MODELS[result.model]}</th>'
        f'<td>{result.parameters:,}</td><td class="strong">{result.error}</td>'
        f"<td>{' · '.join(f'{error:.2f}' for error in result.errors)}</td><td>{result.seconds:.0f} s</td></tr>"
        for result in results
    )
    headings = "".join(
        f'<th scope="col">{name}</th>' for name in ("parameters", "test error, %", "each seed", "training")
    )
    shared = " All models saw the same pictures in the same order; the test pictures are the same."
    shared = shared if len(results) > 1 else ""
    lost = "".join(f'<p class="note">{escape(trained.fate)}.</p>\n' for trained in diverged)
    return f"""<section>
<h2>Result</h2>
<div class="scroll"><table>
<thead><tr><th scope="col">model</th>{headings}</tr></thead>
<tbody>
{rows}
</tbody></table></div>
<p class="note">Test error after the last of {settings.epochs} epochs, {over}.{shared}{_ratio(results)}</p>
{lost}</section>"""


def _ratio(results: Sequence[Result]) -> str:
    errors = {result.model: result.mean for result in results if result.errors}
    return "".join(
        f" With the transformer the {plain.upper()} has {errors[model] / errors[plain]:.2f} times the error of without."
        for plain, model in ((models.FCN, models.ST_FCN), (models.CNN, models.ST_CNN))
        if errors.get(plain) and model in errors
    )


def _examples(seen: View, classes: Sequence[str]) -> str:
    of_class = [
        torch.nonzero(seen.labels == k).flatten()[:_EXAMPLES_A_CLASS].tolist()
        for k in range(min(len(classes), _MOST_CLASSES))
    ]
    rows = ([members[place] for members in of_class if place < len(members)] for place in range(_EXAMPLES_A_CLASS))
    cards = "\n".join(_card(seen, index, classes) for row in rows for index in row)
    return f"""<section class="examples">
<h2>What the transformer does</h2>
<p>Above, what the network is shown; below, what its transformer passes on. The frame is where it looks: the
output is read from inside it, and its heavy side becomes the top. These are the first {_EXAMPLES_A_CLASS} test
pictures of every class, not the best ones.</p>
<label class="switch"><input type="checkbox"><span>straighten the pictures</span></label>
<div class="grid" style="--columns: {min(_COLUMNS, len(of_class))}">
{cards}
</div>
</section>"""


def _card(seen: View, index: int, classes: Sequence[str]) -> str:
    side = seen.inputs.shape[-1]
    margin = side // 7
    whole = side + 2 * margin
    frames = ""
    for frame in seen.frames[index]:
        corners = [f"{x:.2f},{y:.2f}" for x, y in view.outline(frame, side)]
        top = corners[: len(corners) // 4 + 1]
        frames += f'<polygon points="{" ".join(corners)}"/><polyline points="{" ".join(top)}"/>'
    numbers = ", ".join(f"{number:.5f}" for number in view.straightening(seen.frames[index, 0], side))
    label, predicted = int(seen.labels[index]), int(seen.predicted[index])
    name = escape(classes[label])
    verdict = "" if label == predicted else f"<figcaption>read as {escape(classes[predicted])}</figcaption>"
    passed = "\n".join(f'<img src="{_embedded(output)}" alt="{name} as passed on">' for output in seen.outputs[index])
    return f"""<figure>
<svg viewBox="{-margin} {-margin} {whole} {whole}" role="img" aria-label="{name} as shown, with the frame">
<g style="--straight: translate({-margin}px, {-margin}px) scale({whole / side:.5f}) matrix({numbers})">
<image width="{side}" height="{side}" href="{_embedded(seen.inputs[index, 0])}"/>
{frames}
</g></svg>
{passed}{verdict}
</figure>"""


def _means(seen: View, classes: Sequence[str]) -> str:
    before, after = (
        f"{100 * view.explained_by_class(images, seen.labels, len(classes)):.0f} %"
        for images in (seen.inputs, seen.outputs)
    )
    thing = "digit" if all(name.isdecimal() for name in classes) else "picture"
    return f"""<section>
<h2>From a blur to a {thing}</h2>
<p>The mean of all test pictures of a class, each mean scaled to full brightness. Where pictures lie every which
way, it is a blur; where a transformer has found one pose for all of a class, it is a picture again. Which class a
picture belongs to explains <b class="of-cnn">{before}</b> of the variance of its pixels before the transformer, and
<b class="of-st-cnn">{after}</b> after it.</p>
<p class="over">as shown</p>
{_strip(seen.inputs, seen.labels, classes)}
<p class="over">as passed on</p>
{_strip(seen.outputs, seen.labels, classes)}
</section>"""


def _strip(images: Tensor, labels: Tensor, classes: Sequence[str]) -> str:
    means = view.mean_images(images, labels, min(len(classes), _MOST_CLASSES))
    means = means / means.amax((1, 2), keepdim=True).clamp(min=1e-6)
    shown = "\n".join(
        f'<img src="{_embedded(mean)}" alt="mean of {escape(name)}">'
        for mean, name in zip(means, classes, strict=False)
    )
    return f'<div class="strip" style="--columns: {min(_COLUMNS, len(means))}">\n{shown}\n</div>'


def _curves(all_trained: Sequence[Trained]) -> str:
    present = {trained.model for trained in all_trained}
    keys = "".join(
        f'<span><span class="key of-{name}"></span>{text}</span>'
        for name, text in models.MODELS.items()
        if name in present
    )
    several = len({trained.seed for trained in all_trained}) > 1
    lines = "Thick lines are means over the seeds, thin lines the seeds. " if several else ""
    return f"""<section>
<h2>Learning curves</h2>
<p>{lines}The training pictures are distorted afresh in every epoch, so no model sees the same picture twice. The
vertical axes are logarithmic.</p>
<p class="keys">{keys}</p>
<div class="curves">
<figure><figcaption>test error, %</figcaption>{curves.draw(all_trained, "test_error", 0.01)}</figure>
<figure><figcaption>training loss</figcaption>{curves.draw(all_trained, "train_loss", 1e-4)}</figure>
</div>
</section>"""


def _origin(run: Run, dataset: Dataset) -> str:
    settings = run.configuration
    facts = {
        "data": f"{dataset.name}: {len(dataset.train_labels):,} pictures of 28 × 28 to train on, "
        f"{len(dataset.test_labels):,} to test, {len(dataset.classes)} classes",
        "distortion": f"{settings.distortion}: {DISTORTIONS[settings.distortion].summary}",
        "transformer": f"{settings.transform}, predicted by a small network; it starts as the identity",
        "training": f"{settings.epochs} epochs in batches of {settings.batch_size}; {SCHEDULES[settings.schedule]}, "
        f"rate up to {settings.learning_rate:g}, localization × {settings.localization_scale:g}, "
        f"weight decay {settings.weight_decay:g}",
        "pictures above": f"from the first model with the most transformers, seed {chosen(run).seed}",
        "made with": f"pullback {__version__}, PyTorch {torch.__version__}",
    }
    entries = "\n".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    return f"""<section>
<h2>How it was made</h2>
<dl>
{entries}
</dl>
<pre><code>{escape(_command(run))}</code></pre>
<p class="note">After Jaderberg, Simonyan, Zisserman and Kavukcuoglu, “Spatial Transformer Networks”, 2015.</p>
</section>"""


def _command(run: Run) -> str:
    """Return the command that trains such a run."""
    settings = run.configuration
    adds = settings.task == ADDITION
    options = {
        "data": settings.data if settings.data != data.DIGITS else None,
        "distortion": settings.distortion,
        "transform": settings.transform,
        "models": ",".join(settings.models) if adds or settings.models != Configuration.models else None,
        "schedule": settings.schedule if settings.schedule != FAST else None,
        "precision": settings.precision if settings.precision != PRECISIONS[0] else None,
        "seeds": settings.seeds,
        "epochs": settings.epochs,
        "batch-size": settings.batch_size if not adds else None,
        "learning-rate": settings.learning_rate if not adds else None,
    }
    given = (f"--{name} {shlex.quote(str(value))}" for name, value in options.items() if value is not None)
    return " ".join(("pullback train addition" if adds else "pullback train", *given))


def _embedded(image: Tensor) -> str:
    """Return an image, (side, side) in [0, 1], as the address of a PNG within the page."""
    levels = (image.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return "data:image/png;base64," + base64.b64encode(pictures.encode(Path("image.png"), levels)).decode()
