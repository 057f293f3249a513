"""What people call every day, beside every library that does the same: a sample of all combinations of its factors.

    python benchmarks/everyday.py [WORD ...] [--rows 30] [--seed 0] [--rounds 3] [--write] [--check]

Each family of calls has factors, such as size, angle, dtype and threads. The rows are drawn so that every value of a
factor occurs as often as the others; another seed gives other combinations. With words, only rows whose title contains
one of them are measured. `--write` keeps the rows, a summary and a picture in benchmarks/. `--check` measures a few of
the rows that are kept, and ends with 1 where the ratio to the fastest peer has fallen by more than 30 % in three tries
on a processor of the same name.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import PIL.Image
import scipy.ndimage
import torch
import torch.nn.functional as F
from measuring import OURS, machine, measure, processor, set_threads, write_section, xy

import pullback as pb

Calls = dict[str, Callable[[], object]]
KEPT = Path(__file__).with_name("everyday.json")
PICTURE = Path(__file__).with_name("everyday.svg")
FALL, TRIES, CHECKED = 0.7, 3, 12

FLAGS = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "lanczos4": cv2.INTER_LANCZOS4,
    "area": cv2.INTER_AREA,
}
BORDERS = {
    "constant": (cv2.BORDER_CONSTANT, "grid-constant"),
    "edge": (cv2.BORDER_REPLICATE, "nearest"),
    "reflect": (cv2.BORDER_REFLECT_101, "mirror"),
    "symmetric": (cv2.BORDER_REFLECT, "reflect"),
    "wrap": (cv2.BORDER_WRAP, "grid-wrap"),
}
ORDERS = {"nearest": 0, "linear": 1, "spline3": 3}
PADDINGS = {"constant": "zeros", "edge": "border", "symmetric": "reflection"}
IN_OPENCV = ("uint8", "uint16", "int16", "float32", "float64")


class Row(NamedTuple):
    """A call in one combination of its factors."""

    family: str
    title: str
    threads: int


class Result(NamedTuple):
    """Milliseconds by library, ours among them."""

    row: Row
    milliseconds: dict[str, float]

    @property
    def ratio(self) -> float:
        """Of the fastest peer's time to ours."""
        return min(self.peers.values())

    @property
    def peers(self) -> dict[str, float]:
        """Ratios of times, by peer."""
        ours = self.milliseconds[OURS]
        return {name: value / ours for name, value in self.milliseconds.items() if name != OURS}


# What is read


def picture(shape: tuple[int, ...], dtype: str, layout: str = "plane") -> np.ndarray:
    """Return a smooth image, with three channels last unless it is a plane."""
    axes = np.meshgrid(*(np.linspace(0, 3, n, dtype=np.float32) for n in shape), indexing="ij", sparse=True)
    image = 0.5 + 0.25 * (np.sin(9 * sum(axes) ** 2) + np.cos(11 * (axes[0] - axes[-1])))
    if layout != "plane":
        image = np.stack([image, image[::-1], 1 - image], -1)
    if np.dtype(dtype).kind in "iu":
        image = np.rint(image * min(np.iinfo(dtype).max, 10000))
    return np.ascontiguousarray(image.astype(dtype))


def turned(shape: tuple[int, int], degrees: float, zoom: float) -> np.ndarray:
    """Return the 2 x 3 matrix, output to input, of a turn and a zoom about the middle."""
    cosine, sine = (round(f(math.radians(degrees)), 15) for f in (math.cos, math.sin))
    linear = zoom * np.array([[cosine, sine], [-sine, cosine]])
    middle = (np.array(shape) - 1) / 2
    shift = 0.0 if degrees % 90 == 0 and zoom == 1 else 0.3
    return np.concatenate([linear, (middle + shift - linear @ middle)[:, None]], 1)


# Families: each is a function of its factors that returns the calls


def affine(size: int, angle: float, zoom: float, interpolation: str, dtype: str, layout: str, border: str) -> Calls:
    image, matrix = picture((size, size + size // 4), dtype, layout), turned((size, size + size // 4), angle, zoom)
    transform, on_xy, sides = pb.Affine(matrix), xy(matrix), image.shape[1::-1]
    axis = None if layout == "plane" else -1
    calls: Calls = {
        OURS: lambda: pb.warp(image, transform, interpolation=interpolation, border=border, channel_axis=axis)
    }
    if interpolation in FLAGS and dtype in IN_OPENCV:
        flags = FLAGS[interpolation] | cv2.WARP_INVERSE_MAP
        calls["OpenCV"] = lambda: cv2.warpAffine(image, on_xy, sides, flags=flags, borderMode=BORDERS[border][0])
    if interpolation in ORDERS and layout == "plane" and size <= 512:
        order, mode = ORDERS[interpolation], BORDERS[border][1]
        calls["SciPy"] = lambda: scipy.ndimage.affine_transform(
            image, matrix[:, :2], matrix[:, 2], order=order, mode=mode
        )
    return calls


def projective(size: int, tilt: float, interpolation: str, dtype: str, layout: str) -> Calls:
    image = picture((size, size), dtype, layout)
    matrix = np.vstack([turned((size, size), 10, 0.9), [tilt / size, 2 * tilt / size, 1]])
    on_xy, transform = np.ascontiguousarray(matrix[[1, 0, 2]][:, [1, 0, 2]]), pb.Projective(matrix)
    axis, flags = None if layout == "plane" else -1, FLAGS[interpolation] | cv2.WARP_INVERSE_MAP
    return {
        OURS: lambda: pb.warp(image, transform, interpolation=interpolation, channel_axis=axis),
        "OpenCV": lambda: cv2.warpPerspective(image, on_xy, (size, size), flags=flags),
    }


def coordinates(size: int, interpolation: str, dtype: str, layout: str, order: str) -> Calls:
    image, random_ = picture((size, size), dtype, layout), np.random.default_rng(0)
    points = np.stack(np.mgrid[:size, :size], -1) + random_.uniform(-2, 2, (size, size, 2))
    if order == "scattered":
        points = random_.permutation(points.reshape(-1, 2)).reshape(size, size, 2)
    points = points.astype(np.float32)
    x, y = np.ascontiguousarray(points[..., 1]), np.ascontiguousarray(points[..., 0])
    axis, flag = None if layout == "plane" else -1, FLAGS[interpolation]
    return {
        OURS: lambda: pb.sample(image, points, interpolation=interpolation, channel_axis=axis),
        "OpenCV": lambda: cv2.remap(image, x, y, flag),
    }


def resizing(size: int, zoom: float, interpolation: str, dtype: str, layout: str) -> Calls:
    image = picture((size, size + size // 2), dtype, layout)
    shape = tuple(max(1, round(zoom * n)) for n in image.shape[:2])
    chosen: dict[str, Any] = {"interpolation": interpolation, "channel_axis": None if layout == "plane" else -1}
    if interpolation != "area":  # which is a mean by itself
        chosen["antialias"] = False
    return {
        OURS: lambda: pb.resize(image, shape, **chosen),
        "OpenCV": lambda: cv2.resize(image, shape[::-1], interpolation=FLAGS[interpolation]),
    }


def shrinking(size: int, zoom: float, interpolation: str, layout: str) -> Calls:
    image = picture((size, size + size // 2), "uint8", layout)
    shape = tuple(max(1, round(zoom * n)) for n in image.shape[:2])
    pil, axis = PIL.Image.fromarray(image), None if layout == "plane" else -1
    tensor = torch.from_numpy(image if layout == "plane" else np.moveaxis(image, -1, 0).copy())
    tensor = tensor.reshape(1, -1, *image.shape[:2]).float()
    mode = {"linear": "bilinear", "cubic": "bicubic"}[interpolation]
    resample = {"linear": PIL.Image.Resampling.BILINEAR, "cubic": PIL.Image.Resampling.BICUBIC}[interpolation]
    return {
        OURS: lambda: pb.resize(image, shape, interpolation=interpolation, channel_axis=axis),
        "Pillow": lambda: pil.resize(shape[::-1], resample),
        "torch, float32": lambda: F.interpolate(tensor, shape, mode=mode, antialias=True),
    }


def tensors(batch: tuple[int, ...], way: str, interpolation: str, border: str, dtype: str, memory: str) -> Calls:
    images = torch.rand(batch).to(getattr(torch, dtype))
    if memory == "channels last":
        images = images.to(memory_format=torch.channels_last)
    theta = torch.eye(2, 3).repeat(batch[0], 1, 1) + 0.1 * torch.randn(batch[0], 2, 3)
    mode, padding = {"linear": "bilinear", "nearest": "nearest", "cubic": "bicubic"}[interpolation], PADDINGS[border]
    kernel = pb.Cubic(-0.75) if interpolation == "cubic" else interpolation

    def ours(images: Any, theta: Any) -> Any:
        transform = pb.Affine(theta)
        return pb.warp(images, transform, frame="normalized", interpolation=kernel, border=border)

    def theirs(images: Any, theta: Any) -> Any:
        grid = F.affine_grid(theta, list(images.shape), align_corners=False).to(images.dtype)
        return F.grid_sample(images, grid, mode=mode, padding_mode=padding, align_corners=False)

    def called(warp: Any) -> Callable[[], object]:
        if way == "forward":
            return lambda: warp(images, theta)

        def call() -> None:
            first, second = images.detach().requires_grad_(), theta.detach().requires_grad_()
            warp(first, second).float().sum().backward()

        return call

    return {OURS: called(ours), "torch": called(theirs)}


def volumes(side: int, interpolation: str, dtype: str, border: str) -> Calls:
    volume = picture((side, side, side + 8), dtype)
    linear = 0.95 * np.eye(3)
    linear[1:, 1:] = turned((side, side), 11, 0.95)[:, :2]
    offset = np.full(3, 0.03 * side)
    transform, mode = pb.Affine(np.concatenate([linear, offset[:, None]], 1)), BORDERS[border][1]
    return {
        OURS: lambda: pb.warp(volume, transform, interpolation=interpolation, border=border),
        "SciPy": lambda: scipy.ndimage.affine_transform(volume, linear, offset, order=ORDERS[interpolation], mode=mode),
    }


def scipy_door(function: str, size: int, order: int, dtype: str) -> Calls:
    image = picture((size, size), dtype)
    points = np.random.default_rng(0).uniform(0, size - 1, (2, 1000))
    arguments: tuple[Any, ...] = {
        "rotate": (image, 30),
        "zoom": (image, 1.7),
        "shift": (image, (2.4, -3.1)),
        "map_coordinates": (image, points),
    }[function]
    ours, theirs = (getattr(module, function) for module in (pb.compat.scipy, scipy.ndimage))
    return {OURS: lambda: ours(*arguments, order=order), "SciPy": lambda: theirs(*arguments, order=order)}


SIDES = [16, 64, 128, 256, 512, 1024, 2048]
FAMILIES: dict[str, tuple[Callable[..., Calls], dict[str, list[Any]]]] = {
    "affine": (
        affine,
        {
            "size": SIDES,
            "angle": [0, 1, 17, 45, 70, 90, 133],
            "zoom": [0.5, 0.9, 1, 1.8],
            "interpolation": ["nearest", "linear", "linear", "cubic", "lanczos4", "spline3"],
            "dtype": ["uint8", "uint8", "float32", "float32", "uint16", "float64"],
            "layout": ["plane", "channels last"],
            "border": list(BORDERS),
        },
    ),
    "projective": (
        projective,
        {
            "size": SIDES,
            "tilt": [0.01, 0.2],
            "interpolation": ["nearest", "linear", "cubic"],
            "dtype": ["uint8", "float32"],
            "layout": ["plane", "channels last"],
        },
    ),
    "coordinates": (
        coordinates,
        {
            "size": SIDES,
            "interpolation": ["nearest", "linear", "cubic", "lanczos4"],
            "dtype": ["uint8", "float32", "uint16"],
            "layout": ["plane", "channels last"],
            "order": ["along rows", "along rows", "scattered"],
        },
    ),
    "resize": (
        resizing,
        {
            "size": SIDES[1:6],
            "zoom": [0.3, 0.5, 0.77, 1.5, 2, 3.1],
            "interpolation": ["nearest", "linear", "cubic", "lanczos4", "area"],
            "dtype": ["uint8", "float32", "uint16"],
            "layout": ["plane", "channels last"],
        },
    ),
    "shrink": (
        shrinking,
        {
            "size": SIDES[2:],
            "zoom": [0.11, 0.25, 0.6],
            "interpolation": ["linear", "cubic"],
            "layout": ["plane", "channels last"],
        },
    ),
    "tensors": (
        tensors,
        {
            "batch": [(1, 3, 64, 64), (8, 3, 256, 256), (128, 1, 28, 28), (16, 32, 56, 56), (2, 64, 128, 128)],
            "way": ["forward", "backward"],
            "interpolation": ["linear", "linear", "nearest", "cubic"],
            "border": list(PADDINGS),
            "dtype": ["float32", "float32", "bfloat16"],
            "memory": ["contiguous", "channels last"],
        },
    ),
    "volumes": (
        volumes,
        {
            "side": [24, 64, 100],
            "interpolation": list(ORDERS),
            "dtype": ["uint8", "float32", "float64"],
            "border": list(BORDERS),
        },
    ),
    "SciPy's door": (
        scipy_door,
        {
            "function": ["rotate", "zoom", "shift", "map_coordinates"],
            "size": SIDES[1:6],
            "order": [0, 1, 3],
            "dtype": ["uint8", "float32", "float64"],
        },
    ),
}
# How much larger than the others a family is drawn.
SHARES = {"affine": 3}


def drawn(factors: dict[str, list[Any]], rows: int, randomness: random.Random) -> list[dict[str, Any]]:
    """Return combinations in which every value of a factor occurs as often as the others, within one."""
    columns = {}
    for name, values in factors.items():
        turns = itertools.chain.from_iterable(randomness.sample(values, len(values)) for _ in itertools.count())
        columns[name] = list(itertools.islice(turns, rows))
    return [{name: column[k] for name, column in columns.items()} for k in range(rows)]


def rows_of(count: int, seed: int) -> Iterator[tuple[Row, Callable[[], Calls]]]:
    """Yield what is measured: `count` rows of each family, of some a multiple."""
    for family, (make, factors) in FAMILIES.items():
        randomness = random.Random(f"{family} {seed}")
        for chosen in drawn({**factors, "threads": [1, 2]}, SHARES.get(family, 1) * count, randomness):
            threads = chosen.pop("threads")
            title = ", ".join(_told(name, value) for name, value in chosen.items())
            yield Row(family, title, threads), lambda make=make, chosen=chosen: make(**chosen)


def _told(name: str, value: Any) -> str:
    if isinstance(value, tuple):
        return " x ".join(map(str, value))
    return f"{name} {value}" if isinstance(value, int | float) else str(value)


def measured(row: Row, make: Callable[[], Calls], rounds: int) -> Result | None:
    """Measure a row; None where no peer does the same."""
    set_threads(row.threads)
    calls = make()
    for name in [name for name in calls if name != OURS]:
        try:
            calls[name]()
        except (cv2.error, RuntimeError):  # a combination that the peer has not
            del calls[name]
    return Result(row, measure(calls, rounds, burst=0.02)) if len(calls) > 1 else None


def line(result: Result) -> str:
    row, peers = result.row, ", ".join(f"{name} {ratio:.2f}" for name, ratio in result.peers.items())
    ours = f"{result.milliseconds[OURS]:.3g}"
    return f"| {row.family} | {row.title} | {row.threads} | {ours} | **{result.ratio:.2f}** | {peers} |"


HEADER = "| family | call | threads | ms | ratio to the fastest | to each |\n|---|---|---|---|---|---|"


def summary(results: list[Result]) -> str:
    """Return how many rows win, by family, and the ten that win least."""
    lines = ["| family | rows | faster than every peer | median | worst |", "|---|---|---|---|---|"]
    families = {name: [r.ratio for r in results if r.row.family == name] for name in FAMILIES}
    for name, ratios in [*families.items(), ("all", [r.ratio for r in results])]:
        if ratios:
            wins = sum(ratio >= 1 for ratio in ratios)
            lines.append(f"| {name} | {len(ratios)} | {wins} | {statistics.median(ratios):.2f} | {min(ratios):.2f} |")
    worst = sorted(results, key=lambda result: result.ratio)[:10]
    return "\n".join([*lines, "", "The ten that win least:", "", HEADER, *map(line, worst)])


def draw(results: list[Result], path: Path) -> None:
    """Draw one dot a row on a logarithmic axis of ratios, by family."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "everyday"
    from matplotlib import pyplot as plt

    families = [name for name in FAMILIES if any(result.row.family == name for result in results)]
    figure, axes = plt.subplots(figsize=(9, 0.55 * len(families) + 1.2), layout="constrained")
    randomness = random.Random(0)
    for k, name in enumerate(families):
        ratios = [result.ratio for result in results if result.row.family == name]
        heights = [k + randomness.uniform(-0.28, 0.28) for _ in ratios]
        axes.scatter(ratios, heights, s=16, alpha=0.75, linewidths=0, color=f"C{k}")
        axes.plot([statistics.median(ratios)] * 2, [k - 0.36, k + 0.36], color=f"C{k}", linewidth=2)
    axes.axvline(1, color="black", linewidth=1)
    axes.set(xscale="log", yticks=range(len(families)), yticklabels=families)
    axes.set_xlabel("time of the fastest other library / ours (bars: medians; right of the line we are faster)")
    ticks = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
    low, high = axes.get_xlim()
    axes.set_xticks([tick for tick in ticks if low <= tick <= high])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.minorticks_off()
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def write(results: list[Result], count: int, seed: int) -> None:
    """Keep the rows, their summary and their picture."""
    draw(results, PICTURE)
    how = "Made by `benchmarks/everyday.py --write`: medians, and the time of the fastest other library over ours."
    shown = "![One dot a row, by family, on an axis of ratios](everyday.svg)"
    parts = [machine(), how, shown, summary(results), "Every row:", "\n".join([HEADER, *map(line, results)])]
    write_section("Everyday calls", "\n\n".join(parts))
    kept = {
        "processor": processor(),
        "count": count,
        "seed": seed,
        "rows": [[*result.row, result.milliseconds] for result in results],
    }
    KEPT.write_text(json.dumps(kept, indent=1) + "\n")


def check(rounds: int) -> int:
    """Measure some of the rows that are kept again; return how many have fallen."""
    kept = json.loads(KEPT.read_text())
    before = {Row(*row): Result(Row(*row), times).ratio for *row, times in kept["rows"]}
    known = {row: make for row, make in rows_of(kept["count"], kept["seed"]) if row in before}
    fallen = 0
    for row in random.Random(0).sample(sorted(known), min(CHECKED, len(known))):
        best = 0.0
        for _ in range(TRIES):
            result = measured(row, known[row], rounds)
            best = max(best, result.ratio if result else 0.0)
            if best >= FALL * before[row]:
                break
        fell = best < FALL * before[row]
        fallen += fell
        print(f"{best:6.2f} (kept: {before[row]:.2f}){' FELL' if fell else ''}  {row.family}: {row.title}", flush=True)
    if kept["processor"] != processor():
        print(f"kept on {kept['processor']}, so nothing is held here")
        return 0
    return fallen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="parts of families and titles")
    parser.add_argument("--rows", type=int, default=24, help="of each family")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if arguments.check:
        return int(check(arguments.rounds) > 0)
    print(machine(), "", HEADER, sep="\n")
    results = []
    for row, make in rows_of(arguments.rows, arguments.seed):
        if arguments.words and not any(word in f"{row.family} {row.title}" for word in arguments.words):
            continue
        result = measured(row, make, arguments.rounds)
        if result is not None:
            results.append(result)
            print(line(result), flush=True)
    print("", summary(results), sep="\n")
    if arguments.write:
        write(results, arguments.rows, arguments.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
