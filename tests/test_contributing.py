"""CONTRIBUTING.md and the architecture page name files and rooms that are there, and leave out none."""

import re
from pathlib import Path

import pytest
import rooms

ROOT = Path(__file__).parents[1]
TEXTS = {name: (ROOT / name).read_text() for name in ("CONTRIBUTING.md", "docs/manual/architecture.md")}
# Where a path in a text may begin: in a row of a table, it does so in the room or the folder of the row.
ROOTS = (ROOT, ROOT / "src" / "pullback", ROOT / "native", *(ROOT / "src" / "pullback").glob("*/"))


def paths(text):
    """Return what a text has in backticks that is written as a path of a file or a folder."""
    return {name for name in re.findall(r"`([\w./-]+)`", text) if re.search(r"\.(py|md|hpp|cpp|txt)$|/$", name)}


@pytest.mark.parametrize("name", TEXTS)
def test_every_path_that_is_named_is_there(name):
    found = paths(TEXTS[name])
    assert found
    assert not {path for path in found if not any((root / path).exists() for root in ROOTS)}


@pytest.mark.parametrize("name", TEXTS)
def test_every_room_is_named(name):
    named = set(re.findall(r"`(\w+)(?:/|\.py)?`", TEXTS[name]))
    present = {"pullback" if room == "__init__" else room for room in map(rooms.room_of, rooms.modules())}
    assert not present - named


def test_every_file_of_the_kernels_is_named():
    """A header that declares what a source file of its name holds goes without saying."""
    named = {Path(path).stem for path in paths(TEXTS["CONTRIBUTING.md"])}
    assert not {file.name for file in (ROOT / "native").iterdir() if file.stem not in named}


def test_every_room_stands_on_the_floor_that_is_told():
    rows = re.findall(r"^\| (\d) \| (.+?) \|", TEXTS["CONTRIBUTING.md"], re.MULTILINE)
    told = {room: int(floor) for floor, cell in rows for room in re.findall(r"`(\w+)(?:/|\.py)?`", cell)}
    assert told == {room: rooms.floor_of(room) for room in set(map(rooms.room_of, rooms.modules()))}
