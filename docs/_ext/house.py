"""The directive ``{house}``: a picture of the rooms of the package and of the imports between them.

It is drawn from the source whenever the site is built, as :mod:`rooms` reads it for the tests. Colours are those of the
theme, so that it is light or dark as the page is.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import layered
import rooms
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

NATIVE = "native/"
PITCH, HEIGHT = 44, 26
# Around the rooms of a floor, between two floors, and beside them.
MARGIN, FLOOR_GAP, LEFT, RIGHT = 9, 22, 28, 10
# Of the names: what a character and both ends of a box take.
_CHARACTER, _ENDS = 6.4, 14


def shown(room: str) -> str:
    """Return the name of a room as people write it."""
    return rooms.FACE if room == "__init__" else room


def arrows() -> set[tuple[str, str]]:
    """Return which room imports which other one, the native module among them."""
    module = f"{rooms.FACE}._native"
    users = {name for name in rooms.modules() if any(target == module for target, _ in rooms.imports_of(name))}
    return rooms.between_rooms() | {(rooms.room_of(name), NATIVE) for name in users}


def rows() -> list[tuple[int, list[str]]]:
    """Return the floor and the rooms of each row, from the top; a room stands above what it imports on its floor."""
    pairs = rooms.between_rooms()
    present = {rooms.room_of(module) for module in rooms.modules()}
    found: list[tuple[int, list[str]]] = [(0, [NATIVE])]
    for number, floor in enumerate(rooms.FLOORS, 1):
        heights: dict[str, int] = {}
        for room in floor:  # which knows those to its left alone
            heights[room] = 1 + max((heights[other] for other in heights if (room, other) in pairs), default=0)
        for height in range(1, max(heights.values()) + 1):
            found.append((number, [room for room in floor if heights[room] == height and room in present]))
    return [(number, row) for number, row in reversed(found) if row]


@dataclass(frozen=True)
class Plan:
    """Where everything is drawn.

    Attributes
    ----------
    floors : list of (floor, top, height)
    boxes : dict
        By room, (left, top, width).
    lines : dict
        By arrow, points: where it leaves its room, where it enters and leaves each row that it passes, where it ends.
    width, height : float
    """

    floors: list[tuple[int, float, float]]
    boxes: dict[str, tuple[float, float, float]]
    lines: dict[tuple[str, str], list[tuple[float, float]]]
    width: float
    height: float


def plan() -> Plan:
    """Return where everything is drawn."""
    stacked = rows()
    widths = {room: _CHARACTER * len(shown(room)) + _ENDS for _, row in stacked for room in row}
    places, ways = layered.placed([row for _, row in stacked], layered.reduced(arrows()), widths, gap=10, lane=9)
    left = min(places[room] - widths[room] / 2 for room in widths) - LEFT
    right = max(places[room] + widths[room] / 2 for room in widths) + RIGHT
    tops = [MARGIN + 1.0]
    for (above, _), (floor, _) in itertools.pairwise(stacked):
        tops.append(tops[-1] + PITCH + FLOOR_GAP * (floor != above))
    row_of = {room: number for number, (_, row) in enumerate(stacked) for room in row}
    boxes = {
        room: (places[room] - widths[room] / 2 - left, tops[number], widths[room]) for room, number in row_of.items()
    }
    lines = {}
    for arrow, (tail, *passages, head) in ways.items():
        points = [(places[tail] - left, tops[row_of[tail]] + HEIGHT)]
        for passage in passages:
            x, y = places[passage] - left, tops[passage[2]]
            points += [(x, y), (x, y + HEIGHT)]
        lines[arrow] = [*points, (places[head] - left, tops[row_of[head]])]
    floors = []
    for floor in dict.fromkeys(floor for floor, _ in stacked):
        inside = [top for top, (number, _) in zip(tops, stacked, strict=True) if number == floor]
        floors.append((floor, inside[0] - MARGIN, inside[-1] - inside[0] + HEIGHT + 2 * MARGIN))
    return Plan(floors, boxes, lines, right - left, tops[-1] + HEIGHT + MARGIN + 1)


def drawing() -> str:
    """Return the picture, as SVG."""
    drawn = plan()
    pairs = arrows()
    parts = []
    for floor, top, height in drawn.floors:
        parts.append(
            f'<rect class="floor" x="1" y="{top:g}" width="{drawn.width - 2:.1f}" height="{height:g}" rx="6"/>'
        )
        parts.append(f'<text class="number" x="14" y="{top + height / 2 + 4:g}">{floor or ""}</text>')
    parts += [f'<path d="{_curve(points)}"/>' for points in drawn.lines.values()]
    for room, (x, y, width) in drawn.boxes.items():
        files = sum(rooms.room_of(module) == room for module in rooms.modules())
        used = ", ".join(sorted(shown(head) for tail, head in pairs if tail == room)) or "nothing"
        told = f"{shown(room)}: {files} file{'s' * (files != 1)}; imports {used}" if files else "the kernels, in C++"
        parts.append(
            f'<g class="{"oracle" if room == rooms.ORACLE else "room"}"><title>{told}</title>'
            f'<rect x="{x:.1f}" y="{y:g}" width="{width:.1f}" height="{HEIGHT}" rx="5"/>'
            f'<text x="{x + width / 2:.1f}" y="{y + 17:g}">{shown(room)}</text></g>'
        )
    label = "Rooms on floors, with an arrow from each room to those that it imports; every arrow runs down."
    box = f'viewBox="0 0 {drawn.width:.1f} {drawn.height:g}"'
    return f'<svg class="drawing" role="img" aria-label="{label}" {box}>{"".join(parts)}</svg>'


def _curve(points: list[tuple[float, float]]) -> str:
    """Return a line that is straight within rows and bends between them, with a tip at its end."""
    told = f"M{points[0][0]:.1f} {points[0][1]:g}"
    for k, ((x0, y0), (x1, y1)) in enumerate(itertools.pairwise(points)):
        middle = (y0 + y1) / 2
        told += f"L{x1:.1f} {y1:g}" if k % 2 else f"C{x0:.1f} {middle:g} {x1:.1f} {middle:g} {x1:.1f} {y1:g}"
    return f"{told}m-3 -5 3 5 3 -5"


class House(SphinxDirective):
    """Put the picture into the page, with a caption that counts."""

    def run(self) -> list[nodes.Node]:
        """Return the figure."""
        for module in rooms.modules():
            self.env.note_dependency(str(rooms.path_of(module)))
        count = len({rooms.room_of(module) for module in rooms.modules()})
        caption = (
            f"{count} rooms on {len(rooms.FLOORS)} floors, {len(rooms.modules())} files, as this page was built. "
            "Every import runs down; those that others imply are not drawn."
        )
        return [
            nodes.raw(
                "", f'<figure class="drawing">{drawing()}<figcaption>{caption}</figcaption></figure>', format="html"
            )
        ]


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the directive with Sphinx."""
    app.add_directive("house", House)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
