"""What the program tells of itself: `info`, `--version`."""

from __future__ import annotations

import importlib.util
import platform
from typing import Annotated

import numpy as np
import typer

import pullback._native as _native
from pullback._extras import install
from pullback._version import __version__
from pullback.threads import get_num_threads


def info() -> None:
    """Tell the version, the instruction set, the threads and the backends."""
    others = [name for name in _native.available_isas() if name != _native.isa()]
    facts = {
        "pullback": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "instruction set": f"{_native.isa()} (also here: {', '.join(others) or 'none'}; PULLBACK_ISA chooses)",
        "threads": get_num_threads(),
        "torch": _torch() if importlib.util.find_spec("torch") else f"not installed; {install('train')}",
    }
    for key, value in facts.items():
        typer.echo(f"{key:18} {value}")


def _torch() -> str:
    import torch

    devices = ["cpu", *(f"cuda:{k} ({torch.cuda.get_device_name(k)})" for k in range(torch.cuda.device_count()))]
    return f"{torch.__version__} on {', '.join(devices)}"


def program(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Take the options that stand before any command."""
    if version:
        typer.echo(__version__)
        raise typer.Exit
