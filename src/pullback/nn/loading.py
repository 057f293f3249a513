"""Networks that `pullback train` has trained, as modules."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pullback.train.models import Network


def load(run: str | os.PathLike[str], model: str | None = None, seed: int | None = None) -> Network:
    """Return a network that a run has trained, ready for use.

    Parameters
    ----------
    run : path
        Folder of a run of ``pullback train``.
    model : {"fcn", "cnn", "st-fcn", "st-cnn", "2st-fcn", "2st-cnn"}, optional
        Default: the first of the run that has most spatial transformers, or else the first.
    seed : int, optional
        Default: the first that is trained.

    Returns
    -------
    Network
        In evaluation mode, on the CPU: from images, ``(N, C, canvas, canvas)`` in [0, 1], to logits, ``(N, classes)``.
        Its `transformer` is the :class:`SpatialTransformer`, None where there is none.

    Raises
    ------
    ValueError
        If there is no such run, or it has trained no such network.

    Examples
    --------
    >>> import pullback as pb
    >>> network = pb.nn.load("runs/demo")  # doctest: +SKIP
    >>> upright, transform = network.rectify(images)  # doctest: +SKIP
    """
    from pullback.train.evaluation import trained_network
    from pullback.train.runs import Run

    return trained_network(Run.open(Path(run)), model, seed)
