"""Ratios against the peers, measured in one process: rounds of short bursts, each peer in turn, medians of all calls.

    python benchmarks/bench.py [NAME ...] [--threads 1 2] [--rounds 15] [--write]

A ratio is the peer's time over this library's, both as a user calls them, with the allocation of the result. With
names, only workloads whose title contains one of them are run. `--write` puts the table into benchmarks/results.md.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import scipy.ndimage
import torch
import torch.nn.functional as F

import pullback as pb

OURS = "pullback"
ANGLE, ZOOM = 0.4, 0.6  # of the maps, in radians and samples a pixel: turned, and everywhere inside the image


@dataclass(frozen=True)
class Workload:
    """What is measured: one callable for this library and one a peer, and the ratio that each peer must reach."""

    title: str
    calls: dict[str, Callable[[], object]]
    aims: dict[str, float]


def turned(shape: tuple[int, int]) -> np.ndarray:
    """Return a 2 x 3 matrix in (y, x) that turns and zooms about the middle of an image."""
    linear = ZOOM * np.array([[np.cos(ANGLE), np.sin(ANGLE)], [-np.sin(ANGLE), np.cos(ANGLE)]])
    middle = (np.array(shape) - 1) / 2
    return np.concatenate([linear, (middle - linear @ middle)[:, None]], axis=1)


def xy(matrix: np.ndarray) -> np.ndarray:
    """Return a matrix with its axes in the order (x, y)."""
    return np.concatenate([matrix[::-1, 1::-1], matrix[::-1, 2:]], axis=1)


def photograph(side: int) -> np.ndarray:
    """Return a smooth image of `side` x `side` in float32, between 0 and 1."""
    y, x = np.mgrid[:side, :side].astype(np.float32) / side
    return 0.5 + 0.25 * (np.sin(40 * x * y) + np.cos(90 * (x - y) ** 2))


def large_affine() -> Workload:
    side = 2048
    image = photograph(side)
    matrix = turned((side, side))
    theta = torch.tensor(
        ZOOM * np.array([[np.cos(ANGLE), -np.sin(ANGLE), 0], [np.sin(ANGLE), np.cos(ANGLE), 0]]), dtype=torch.float32
    )[None]
    tensor = torch.from_numpy(image)[None, None]
    transform = pb.Affine(matrix)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

    def in_torch() -> object:
        grid = F.affine_grid(theta, (1, 1, side, side), align_corners=False)
        return F.grid_sample(tensor, grid, align_corners=False)

    return Workload(
        "affine, bilinear, float32, 2048 x 2048",
        {
            OURS: lambda: pb.warp(image, transform),
            "OpenCV warpAffine": lambda: cv2.warpAffine(image, xy(matrix), (side, side), flags=flags),
            "torch affine_grid + grid_sample": in_torch,
            "SciPy affine_transform": lambda: scipy.ndimage.affine_transform(
                image, matrix[:, :2], matrix[:, 2], order=1, mode="grid-constant"
            ),
        },
        {"OpenCV warpAffine": 1.4, "torch affine_grid + grid_sample": 12},
    )


def small_batch(backward: bool) -> Workload:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(256, 1, 28, 28, generator=generator).requires_grad_()
    theta = (torch.eye(2, 3) + 0.1 * torch.randn(256, 2, 3, generator=generator)).requires_grad_()
    cotangent = torch.randn(256, 1, 28, 28, generator=generator)

    def ours() -> torch.Tensor:
        return pb.warp(images, pb.Affine(theta), frame="centered")  # type: ignore[no-any-return]

    def in_torch() -> torch.Tensor:
        return F.grid_sample(images, F.affine_grid(theta, (256, 1, 28, 28), align_corners=False), align_corners=False)

    def with_backward(forward: Callable[[], torch.Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(forward(), (images, theta), cotangent)

    peer = "torch affine_grid + grid_sample"
    title = "affine, bilinear, float32, 256 x 1 x 28 x 28, "
    if backward:
        calls = {OURS: with_backward(ours), peer: with_backward(in_torch)}
        return Workload(title + "forward + backward (image and theta)", calls, {peer: 4})
    return Workload(title + "forward", {OURS: ours, peer: in_torch}, {})


def workloads() -> Iterator[Callable[[], Workload]]:
    yield large_affine
    yield lambda: small_batch(backward=False)
    yield lambda: small_batch(backward=True)


def set_threads(count: int) -> None:
    """Let this library and every peer that has threads use `count`."""
    pb.set_num_threads(count)
    torch.set_num_threads(count)
    cv2.setNumThreads(count)


def measure(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median time of each call, in milliseconds.

    The threads of some libraries go on spinning for a while after a call, and those of others fall asleep, so each
    burst starts with a pause and calls that do not count; it lasts some 30 ms, as a loop in a program would.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            time.sleep(0.02)
            start = time.perf_counter()
            call()
            call()
            estimate = (time.perf_counter() - start) / 2
            for _ in range(min(max(int(0.03 / estimate), 3), 30)):
                start = time.perf_counter()
                call()
                times[name].append(time.perf_counter() - start)
    return {name: 1e3 * float(np.median(values)) for name, values in times.items()}


def table(workload: Workload, threads: int, rounds: int) -> str:
    """Measure a workload and return its rows."""
    set_threads(threads)
    milliseconds = measure(workload.calls, rounds)
    ours = milliseconds.pop(OURS)
    rows = [f"| {workload.title} | {threads} | {OURS} | {ours:.2f} | | |"]
    for peer, value in milliseconds.items():
        aim = f"{workload.aims[peer]:g}" if peer in workload.aims and threads == 1 else ""
        rows.append(f"| | {threads} | {peer} | {value:.2f} | **{value / ours:.2f}** | {aim} |")
    return "\n".join(rows)


def machine() -> str:
    """Return a line on the machine and the versions."""
    cpu = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    versions = {
        name: importlib.metadata.version(package)
        for name, package in {
            "pullback": "pullback",
            "NumPy": "numpy",
            "SciPy": "scipy",
            "OpenCV": "opencv-python-headless",
            "torch": "torch",
        }.items()
    }
    isa = pb.explain(np.zeros((2, 2), np.float32), pb.Affine.identity(2)).isa
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    date = datetime.date.today().isoformat()
    return (
        f"{cpu}, {os.cpu_count()} cores, instruction set {isa}, Python {platform.python_version()}; {listed}; {date}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="parts of the titles of the workloads to run")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--write", action="store_true", help="write benchmarks/results.md")
    arguments = parser.parse_args()
    header = "| workload | threads | library | ms | ratio | aim |\n|---|---|---|---|---|---|"
    print(machine(), "", header, sep="\n")
    rows = []
    for make in workloads():
        workload = make()
        if arguments.names and not any(name in workload.title for name in arguments.names):
            continue
        for threads in arguments.threads:
            rows.append(table(workload, threads, arguments.rounds))
            print(rows[-1], flush=True)
    if arguments.write:
        how = "Made by `benchmarks/bench.py --write`: the median time of a call, and the peer's time over ours."
        page = f"# Measured ratios\n\n{machine()}\n\n{how}\n\n"
        Path(__file__).with_name("results.md").write_text("\n".join([page + header, *rows]) + "\n")


if __name__ == "__main__":
    main()
