"""The picture of the rooms has every room and every import: no box on another, no arrow upward or through a box."""

import sys
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import rooms

sys.path.append(str(Path(__file__).parents[1] / "docs" / "_ext"))
house = pytest.importorskip("house", reason="needs the tools that build the site")
import layered  # noqa: E402

DRAWN = house.plan()


def test_every_room_stands_on_its_floor():
    assert set(DRAWN.boxes) == {rooms.room_of(module) for module in rooms.modules()} | {house.NATIVE}
    floors = {floor: (top, top + height) for floor, top, height in DRAWN.floors}
    for room, (_, top, _) in DRAWN.boxes.items():
        first, last = floors[0 if room == house.NATIVE else rooms.floor_of(room)]
        assert first < top < top + house.HEIGHT < last
    assert [floor for floor, *_ in DRAWN.floors] == sorted(floors, reverse=True)


def test_boxes_stand_apart_and_within_the_picture():
    for (x, y, width), (other_x, other_y, other_width) in combinations(DRAWN.boxes.values(), 2):
        assert y != other_y or x + width <= other_x or other_x + other_width <= x
    for x, y, width in DRAWN.boxes.values():
        assert 0 < x < x + width < DRAWN.width
        assert 0 < y < y + house.HEIGHT < DRAWN.height


def test_arrows_run_down_and_through_no_box():
    for (tail, head), points in DRAWN.lines.items():
        assert all(above < below for (_, above), (_, below) in pairwise(points))
        for number, ((x, y), (end, _)) in enumerate(pairwise(points)):
            if number % 2:  # within a row
                assert x == end
                beside = [(left, width) for left, top, width in DRAWN.boxes.values() if top == y]
                assert beside
                assert not any(left <= x <= left + width for left, width in beside), (tail, head)


def test_what_is_drawn_implies_every_import_and_nothing_else():
    reached = {room: {room} for room in DRAWN.boxes}
    for room in sorted(DRAWN.boxes, key=lambda room: -DRAWN.boxes[room][1]):  # from the ground up
        for tail, head in DRAWN.lines:
            if tail == room:
                reached[room] |= reached[head]
    pairs = house.arrows()
    assert set(DRAWN.lines) <= pairs
    assert all(head in reached[tail] for tail, head in pairs)


def test_arrows_that_others_imply_are_left_out():
    arrows = {("a", "b"), ("b", "c"), ("a", "c"), ("c", "d"), ("a", "d"), ("e", "d")}
    assert layered.reduced(arrows) == {("a", "b"), ("b", "c"), ("c", "d"), ("e", "d")}


def test_places_are_as_near_as_the_order_allows():
    """Two boxes that would stand where the other does are moved by as much each."""
    found = layered._apart(["a", "b", "c"], {"a": 10.0, "b": 0.0, "c": 100.0}, dict.fromkeys("abc", 5.0), 2.0, 1.0)
    np.testing.assert_allclose([found[name] for name in "abc"], [-1.0, 11.0, 100.0])


def test_the_picture_is_svg():
    picture = ElementTree.fromstring(house.drawing())
    assert {text.text for text in picture.iter("text")} >= {"pullback", "warping", "native/"}
