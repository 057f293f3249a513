"""The networks of a run, as modules that are ready for use."""

from __future__ import annotations

import os
from pathlib import Path

from pullback.train.models import HEADS, Network
from pullback.train.runs import Run, RunError, Trained


def load(run: str | os.PathLike[str], model: str | None = None, seed: int | None = None) -> Network:
    """Return a network that a run has trained, ready for use.

    Parameters
    ----------
    run : path
        Folder of a run of ``pullback train``.
    model : {"fcn", "cnn", "st-fcn", "st-cnn", "2st-fcn", "2st-cnn"}, optional
        Default: the first of the run that has most spatial transformers, or else the first.
    seed : int, optional
        Default: the first that is trained and has not diverged, if there is one. Of a training that diverged, the
        weights are those before.

    Returns
    -------
    Network
        In evaluation mode, on the CPU: from images, ``(N, C, canvas, canvas)`` in [0, 1], to logits, ``(N, classes)``.
        Its `transformer` is the :class:`pullback.nn.SpatialTransformer`, None where there is none.

    Raises
    ------
    ValueError
        If there is no such run, or it has trained no such network.

    Examples
    --------
    >>> import pullback as pb
    >>> network = pb.train.load("runs/demo")  # doctest: +SKIP
    >>> upright, transform = network.rectify(images)  # doctest: +SKIP
    """
    return trained_network(Run.open(Path(run)), model, seed)


def trained_network(run: Run, model: str | None = None, seed: int | None = None) -> Network:
    """Return the first finished network of a run that is asked for, as :func:`chosen`."""
    return run.network(chosen(run, model, seed))


def chosen(run: Run, model: str | None = None, seed: int | None = None) -> Trained:
    """Return the first finished training of a run that is asked for; one that diverged, only if there is no other.

    Parameters
    ----------
    run : Run
    model : str, optional
        Default: the first with most transformers, or else the first.
    seed : int, optional
        Default: any.

    Raises
    ------
    RunError
        If there is none.
    """
    finished = [job for job in run.configuration.jobs if run.has(*job)]
    wanted = [job for job in finished if job[0] == (model or job[0]) and job[1] == (job[1] if seed is None else seed)]
    if not wanted:
        what = " ".join([model or "network", *([] if seed is None else [f"with seed {seed}"])])
        raise RunError(
            f"{run.path}: no {what} is trained; there is "
            + (", ".join(f"{name} with seed {number}" for name, number in finished) or "nothing yet")
        )
    best = max(wanted, key=lambda job: HEADS.get(job[0], 0))
    seeds = (run.load(*job) for job in wanted if job[0] == best[0])
    return next((trained for trained in seeds if trained.diverged is None), None) or run.load(*best)


def transformer_of(run: Run) -> Network:
    """Return the first finished network of a run that has a spatial transformer.

    Raises
    ------
    RunError
        If there is none.
    """
    network = trained_network(run)
    if network.transformer is None:
        raise RunError(f"{run.path}: no network with a transformer is trained yet; go on with --resume")
    return network
