"""Files are whole or not there, whenever a writer is stopped, and are made as any new file is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import pullback._files as _files
from pullback.transforms import Translation, load


def interrupted_at(event: int, write, where: str = "") -> bool:
    """Interrupt a writer at one of the lines that run, in files whose paths hold `where`; return if it came so far."""
    count = 0

    def trace(frame, what, _):
        nonlocal count
        if what == "line" and where in frame.f_code.co_filename:
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
    while interrupted_at(event, lambda: _files.write(path, "after")):
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
        _files.write(tmp_path / "note.txt", b"whole")
    finally:
        os.umask(mask)
    assert (tmp_path / "note.txt").stat().st_mode & 0o777 == 0o640


def test_a_name_may_be_as_long_as_the_system_lets(tmp_path):
    path = tmp_path / ("n" * 255)
    _files.write(path, "whole")
    assert path.read_text() == "whole"


def test_a_file_that_is_replaced_keeps_its_permissions_and_the_links_to_it(tmp_path):
    path, link = tmp_path / "note.txt", tmp_path / "link.txt"
    path.write_text("before")
    path.chmod(0o600)
    link.symlink_to("note.txt")
    _files.write(link, "after")
    assert link.is_symlink()
    assert path.read_text() == "after"
    assert path.stat().st_mode & 0o777 == 0o600
    assert {found.name for found in tmp_path.iterdir()} == {"note.txt", "link.txt"}


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_a_transform_is_saved_whole_or_not_at_all(tmp_path, suffix):
    before, after = Translation([1.0, 2.0]), Translation([3.0, 4.0])
    path = tmp_path / f"step{suffix}"
    before.save(path)
    event, left = 1, set()
    while interrupted_at(event, lambda: after.save(path), f"{os.sep}pullback{os.sep}"):
        assert [found.name for found in tmp_path.iterdir()] == [path.name], event
        left.add(tuple(load(path).offset))
        before.save(path)
        event += 2
    assert left <= {(1.0, 2.0), (3.0, 4.0)}
    assert tuple(load(path).offset) == (3.0, 4.0)


def test_what_killed_writers_left_is_swept_away(tmp_path):
    (tmp_path / ".pullback-0123456789abcdef").write_text("half")
    (tmp_path / "note.txt").write_text("whole")
    _files.sweep(tmp_path)
    assert [found.name for found in tmp_path.iterdir()] == ["note.txt"]


@pytest.mark.parametrize("path", ["folder", "gone/note.txt"])
def test_what_cannot_be_written_is_named_and_nothing_is_left(tmp_path, path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=path):
        _files.write(tmp_path / path, "whole")
    assert [found.name for found in Path(tmp_path).iterdir()] == ["folder"]
