"""A drawing of a graph without circles in rows: who stands where, so that few arrows cross and none runs through a box.

An arrow over several rows passes each of those between at a place of its own, as a box without width would; rows are
put in order by the mean place of what they are joined to, again and again; then everything is drawn towards what it is
joined to, as far as its neighbours leave room.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

# How often rows are put in order, down and up in turn, and drawn together.
_SWEEPS = 30
# What passes a row: the tail and the head of the arrow, and the row.
Passage = tuple[str, str, int]
Node = str | Passage


def reduced(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the arrows that are not implied by others, by which the same is reached."""
    heads: dict[str, set[str]] = {}
    for tail, head in arrows:
        heads.setdefault(tail, set()).add(head)

    def reached(tail: str) -> set[str]:
        return {head for first in heads.get(tail, ()) for head in {first, *reached(first)}}

    return {(tail, head) for tail, head in arrows if not any(head in reached(other) for other in heads[tail] - {head})}


def placed(
    rows: Sequence[Sequence[str]], arrows: set[tuple[str, str]], widths: Mapping[str, float], gap: float, lane: float
) -> tuple[dict[Node, float], dict[tuple[str, str], list[Node]]]:
    """Place boxes in rows, which arrows run down from.

    Parameters
    ----------
    rows : sequence of sequence of str
        From the top.
    arrows : set of (tail, head)
    widths : mapping
        Of the boxes.
    gap, lane : float
        Room between two boxes, and for an arrow that passes a row.

    Returns
    -------
    places : dict
        The middle of each box, and of each passage.
    ways : dict
        For each arrow, all that it touches, from its tail to its head.
    """
    row_of: dict[Node, int] = {name: number for number, row in enumerate(rows) for name in row}
    order: list[list[Node]] = [list(row) for row in rows]
    ways: dict[tuple[str, str], list[Node]] = {}
    for tail, head in sorted(arrows):
        passages = [(tail, head, number) for number in range(row_of[tail] + 1, row_of[head])]
        for passage in passages:
            order[passage[2]].append(passage)
        ways[tail, head] = [tail, *passages, head]
    above: dict[Node, list[Node]] = {node: [] for row in order for node in row}
    below: dict[Node, list[Node]] = {node: [] for row in order for node in row}
    for way in ways.values():
        for upper, lower in itertools.pairwise(way):
            below[upper].append(lower)
            above[lower].append(upper)

    def crossings(order: list[list[Node]]) -> int:
        count = 0
        at = {node: k for row in order for k, node in enumerate(row)}
        for row in order:
            ends = [(at[node], at[head]) for node in row for head in below[node]]
            count += sum((a - c) * (b - d) < 0 for k, (a, b) in enumerate(ends) for c, d in ends[:k])
        return count

    best = [list(row) for row in order]
    for sweep in range(_SWEEPS):
        at = {node: k - len(row) / 2 for row in order for k, node in enumerate(row)}
        joined = below if sweep % 2 else above
        for row in order[::-1] if sweep % 2 else order:
            means = {node: _mean([at[other] for other in joined[node]], at[node]) for node in row}
            row.sort(key=lambda node: means[node])
            at |= {node: k - len(row) / 2 for k, node in enumerate(row)}
        if crossings(order) < crossings(best):
            best = [list(row) for row in order]
    places: dict[Node, float] = {}
    halves = {node: widths[node] / 2 if isinstance(node, str) else 0.0 for row in best for node in row}
    for row in best:
        places |= _apart(row, dict.fromkeys(row, 0.0), halves, gap, lane)
    for sweep in range(_SWEEPS):
        for row in best[::-1] if sweep % 2 else best:
            wanted = {
                node: _mean([places[other] for other in (*above[node], *below[node])], places[node]) for node in row
            }
            places |= _apart(row, wanted, halves, gap, lane)
    return places, ways


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _apart(
    row: Sequence[Node], wanted: Mapping[Node, float], halves: Mapping[Node, float], gap: float, lane: float
) -> dict[Node, float]:
    """Return places as near to the wanted ones, in squares, as the order and the distances of a row allow."""
    offsets = [0.0]
    for left, right in itertools.pairwise(row):
        between = gap if isinstance(left, str) and isinstance(right, str) else lane
        offsets.append(offsets[-1] + halves[left] + between + halves[right])
    # Without the distances, places must not fall: neighbours that would are pooled at their mean.
    pools: list[list[float]] = []
    for node, offset in zip(row, offsets, strict=True):
        pools.append([wanted[node] - offset])
        while len(pools) > 1 and _mean(pools[-2], 0) >= _mean(pools[-1], 0):
            pools[-2:] = [pools[-2] + pools[-1]]
    levels = [_mean(pool, 0) for pool in pools for _ in pool]
    return {node: level + offset for node, level, offset in zip(row, levels, offsets, strict=True)}
