"""Several processes that train together, as `torchrun` starts them; one process alone is the case of one.

Each computes its share of every batch, and Lightning averages the gradients. What is written, and what is said, comes
from the first process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import distributed

T = TypeVar("T")


@contextmanager
def together() -> Iterator[None]:
    """Join the processes that torchrun started, if it did, for as long as the block lasts.

    Raises
    ------
    ValueError
        If there are GPUs, and more processes than those.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or distributed.is_initialized():
        yield
        return
    if torch.cuda.is_available():
        own, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if own >= there:
            raise ValueError(
                f"torchrun: started more processes than there are GPUs, {there}; give --nproc-per-node {there}"
            )
        # What is told from one process to the others goes through its own GPU.
        torch.cuda.set_device(own)
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def count() -> int:
    """Return how many processes train together."""
    return distributed.get_world_size() if _joined() else 1


def rank() -> int:
    """Return the number of this process, 0 for the first."""
    return distributed.get_rank() if _joined() else 0


def told_by_first(value: T | None) -> T:
    """Return what the first process has for `value`, on all of them."""
    values = [value]
    if _joined():
        distributed.broadcast_object_list(values)
    (told,) = values
    assert told is not None
    return told


def wait_for_all() -> None:
    """Go on when all processes have come here."""
    if _joined():
        distributed.barrier()


def so_for_any(value: bool) -> bool:
    """Return whether something is so on any of the processes; all of them ask."""
    if not _joined():
        return value
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    flag = torch.tensor(int(value), device=device)
    distributed.all_reduce(flag, distributed.ReduceOp.MAX)
    return bool(flag)


def _joined() -> bool:
    return distributed.is_available() and distributed.is_initialized()
