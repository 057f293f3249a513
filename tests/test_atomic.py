"""Files are whole or not there, whenever a writer is stopped, and are made as any new file is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pullback.train import atomic


def interrupted_at(event: int, write) -> bool:
    """Interrupt a writer at one of the lines that run, in whatever file; return whether it came so far."""
    count = 0

    def trace(frame, what, _):
        nonlocal count
        if what == "line":
            count += 1
            if count == event:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        write()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
    return count >= event


def test_an_interrupt_at_any_line_leaves_one_whole_file(tmp_path):
    path, event, left = tmp_path / "note.txt", 1, set()
    path.write_text("before")
    while interrupted_at(event, lambda: atomic.write(path, "after")):
        assert [found.name for found in tmp_path.iterdir()] == ["note.txt"], event
        left.add(path.read_text())
        path.write_text("before")
        event += 1
    assert path.read_text() == "after"
    assert left == {"before", "after"}
    assert event > 10


def test_a_new_file_may_be_read_by_whom_the_umask_lets(tmp_path):
    mask = os.umask(0o027)
    try:
        atomic.write(tmp_path / "note.txt", b"whole")
    finally:
        os.umask(mask)
    assert (tmp_path / "note.txt").stat().st_mode & 0o777 == 0o640


def test_a_name_may_be_as_long_as_the_system_lets(tmp_path):
    path = tmp_path / ("n" * 255)
    atomic.write(path, "whole")
    assert path.read_text() == "whole"


@pytest.mark.parametrize("path", ["folder", "gone/note.txt"])
def test_what_cannot_be_written_is_named_and_nothing_is_left(tmp_path, path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=path):
        atomic.write(tmp_path / path, "whole")
    assert [found.name for found in Path(tmp_path).iterdir()] == ["folder"]
