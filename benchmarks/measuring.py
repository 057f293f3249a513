"""How calls are measured beside each other, and where what was measured is kept."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

import pullback as pb

OURS = "pullback"
# In a burst.
_MOST_CALLS = 30
RESULTS = Path(__file__).with_name("results.md")


def xy(matrix: np.ndarray) -> np.ndarray:
    """Return a 2 x 3 matrix with its axes in the order (x, y)."""
    return np.ascontiguousarray(np.concatenate([matrix[::-1, 1::-1], matrix[::-1, 2:]], axis=1))


def set_threads(count: int) -> None:
    """Let this library and every peer that has threads use `count`."""
    pb.set_num_threads(count)
    torch.set_num_threads(count)
    cv2.setNumThreads(count)


def measure(calls: dict[str, Callable[[], object]], rounds: int, burst: float = 0.03) -> dict[str, float]:
    """Return the median time of each call, in milliseconds.

    The threads of some libraries go on spinning for a while after a call, and those of others fall asleep, so each
    burst starts with a pause and calls that do not count; it lasts for `burst` seconds or so, as a loop in a program
    would.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            time.sleep(0.02)
            start = time.perf_counter()
            call()
            estimate = time.perf_counter() - start
            if estimate < 0.1:
                call()
            for _ in range(min(max(int(burst / max(estimate, 1e-6)), 1), _MOST_CALLS)):
                start = time.perf_counter()
                call()
                times[name].append(time.perf_counter() - start)
    return {name: 1e3 * float(np.median(values)) for name, values in times.items()}


def processor() -> str:
    """Return the name of the processor."""
    if os.path.exists("/proc/cpuinfo"):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor() or platform.machine()


def machine() -> str:
    """Return a line on the machine and the versions."""
    versions = {
        name: importlib.metadata.version(package)
        for name, package in {
            "pullback": "pullback",
            "NumPy": "numpy",
            "SciPy": "scipy",
            "OpenCV": "opencv-python-headless",
            "Pillow": "pillow",
            "torch": "torch",
        }.items()
    }
    isa = pb.explain(np.zeros((2, 2), np.float32), pb.Affine.identity(2)).isa
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    date = datetime.date.today().isoformat()
    python = platform.python_version()
    return f"{processor()}, {os.cpu_count()} cores, instruction set {isa}, Python {python}; {listed}; {date}."


def write_section(title: str, text: str) -> None:
    """Put `text` under a title of benchmarks/results.md, in the place of what stood there."""
    page = RESULTS.read_text(encoding="utf-8")
    section = f"## {title}\n\n{text.strip()}\n\n"
    found = re.search(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    page = page[: found.start()] + section + page[found.end() :] if found else f"{page.rstrip()}\n\n{section}"
    RESULTS.write_text(page.rstrip() + "\n", encoding="utf-8")
