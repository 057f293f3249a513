"""Labels in another size: for each new pixel the one that covers most of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback._arrays import can_be_looked_at, is_tensor, like
from pullback._plan import Sizing
from pullback.backends.tables import ballots

# So many samples are looked at at a time, or as many as a row of new pixels has; and vote, or as many as one has.
_BLOCK = 1 << 20


def majorities(image: Any, shape: tuple[int, ...], sizing: Sizing, fill: Any) -> Any:
    """Return the labels of new pixels, (batch, channel, *shape): those of the largest weights, of equals the smallest.

    Weights are products of whole numbers, one an axis: they are exact as long as sums are below 2^53.

    Parameters
    ----------
    fill : array or tensor, (1 or channel,)
        The label beyond a constant border.
    """
    axes = [ballots(*axis, sizing.antialias) for axis in zip(image.shape[2:], shape, sizing.border, strict=True)]
    size = (*image.shape[:2], *shape)
    winners = image.new_empty(size) if is_tensor(image) else np.empty(size, image.dtype)
    step = max(_BLOCK * shape[0] // max(math.prod(sample.size for sample, _ in axes), 1), 1)
    for start in range(0, shape[0], step):
        rows = slice(start, start + step)
        part = [(sample[rows], weight[rows]) if k == 0 else axes[k] for k, (sample, weight) in enumerate(axes)]
        weights = [like(weight.copy(), image) for _, weight in part]
        for n, c in np.ndindex(*size[:2]):
            labels = _voters(image[n, c], [sample for sample, _ in part], fill[c % len(fill)])
            winners[n, c, rows] = _winners(labels, weights)
    return winners


def _voters(plane: Any, samples: list[Any], fill: Any) -> Any:
    """Return the labels that vote for new pixels, (*new sides, *taps)."""
    for axis, sample in enumerate(samples):
        index = np.maximum(sample.ravel(), 0)
        plane = plane.index_select(axis, like(index, plane)) if is_tensor(plane) else plane.take(index, axis)
        beyond = np.flatnonzero(sample.ravel() < 0)
        if beyond.size:
            plane[(slice(None),) * axis + (like(beyond, plane),)] = fill
    plane = plane.reshape([n for sample in samples for n in sample.shape])
    order = [*range(0, 2 * len(samples), 2), *range(1, 2 * len(samples), 2)]
    return plane.permute(order) if is_tensor(plane) else plane.transpose(order)


def _winners(labels: Any, weights: list[Any]) -> Any:
    """Return the labels that win the votes for new pixels: few need a count where labels fill regions."""
    taps = tuple(range(-len(weights), 0))
    first = labels[(..., *(slice(0, 1) for _ in taps))]
    winners = first.reshape(labels.shape[: len(weights)])
    winners = winners.clone() if is_tensor(winners) else winners.copy()
    is_open = (labels != first).any(taps) if can_be_looked_at(labels) else winners == winners
    spots = is_open.nonzero(as_tuple=True) if is_tensor(labels) else is_open.nonzero()
    step = max(_BLOCK // math.prod(labels.shape[len(weights) :]), 1)
    for start in range(0, len(spots[0]), step):
        some = tuple(spot[start : start + step] for spot in spots)
        count = len(some[0])
        weight = weights[0][some[0]]
        for factor, spot in zip(weights[1:], some[1:], strict=True):
            weight = (weight[:, :, None] * factor[spot][:, None, :]).reshape(count, -1)
        winners[some] = _counted(labels[some].reshape(count, -1), weight)
    return winners


def _counted(labels: Any, weight: Any) -> Any:
    """Return which of its labels has the largest weight in each row: sorted, runs of equal ones are added up."""
    order = labels.argsort(-1)
    labels, weight = _reordered(labels, order), _reordered(weight, order)
    total, begins = weight.cumsum(-1), labels == labels
    begins[:, 1:] = labels[:, 1:] != labels[:, :-1]
    before = (total - weight) * begins
    before = before.cummax(-1).values if is_tensor(before) else np.maximum.accumulate(before, -1)
    return _reordered(labels, (total - before).argmax(-1)[:, None])[:, 0]


def _reordered(array: Any, order: Any) -> Any:
    return array.take_along_dim(order, -1) if is_tensor(array) else np.take_along_axis(array, order, -1)
