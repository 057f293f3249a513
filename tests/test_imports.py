"""Imports run from a higher floor to a lower one, never up and never in a circle, those inside functions included."""

import subprocess
import sys

import pytest
import rooms


def test_every_room_has_a_floor():
    assert {rooms.room_of(module) for module in rooms.modules()} <= {room for floor in rooms.FLOORS for room in floor}


@pytest.mark.parametrize("module", rooms.modules())
def test_no_import_runs_up(module):
    room = rooms.room_of(module)
    for target, line in rooms.imports_of(module):
        other = rooms.room_of(target) if target != "pullback._native" else "_version"
        assert room == other or not rooms.goes_up(room, other), f"{module}:{line} imports {target}, which is above it"
        assert (room, other) not in rooms.STRANGERS, f"{module}:{line} imports {target}, a stranger"
        assert other != rooms.ORACLE or room == rooms.ORACLE, f"{module}:{line} imports the tests' oracle"


def test_nothing_inside_imports_the_face():
    importing = {module for module, target, _ in rooms.arrows() if target == rooms.FACE} - {rooms.FACE}
    assert not importing


def test_no_circle():
    assert not rooms.circles()


def test_modules_can_be_imported_alone():
    """In any order, each first: a circle that `ast` does not see would show here."""
    program = "import sys, importlib; [importlib.import_module(name) for name in sys.argv[1:]]"
    names = [name for name in rooms.modules() if rooms.floor_of(rooms.room_of(name)) <= 5]
    subprocess.run([sys.executable, "-c", program, *reversed(names)], check=True)


def test_the_reader_sees_imports_wherever_they_stand(tmp_path, monkeypatch):
    package = tmp_path / "pullback"
    (package / "low").mkdir(parents=True)
    (package / "__init__.py").write_text("from pullback.high import f\n")
    (package / "low" / "__init__.py").write_text("")
    (package / "low" / "part.py").write_text("def g():\n    from pullback import high\n    from . import other\n")
    (package / "low" / "other.py").write_text("import pullback\n")
    (package / "high.py").write_text("def f():\n    import pullback.low.part\n    from .low import part, name\n")
    monkeypatch.setattr(rooms, "SOURCE", tmp_path)
    for function in (rooms.modules, rooms.arrows):
        function.cache_clear()
    try:
        assert set(rooms.arrows()) == {
            ("pullback", "pullback.high", 1),
            ("pullback.low.part", "pullback.high", 2),
            ("pullback.low.part", "pullback.low.other", 3),
            ("pullback.low.other", "pullback", 1),
            ("pullback.high", "pullback.low.part", 2),
            ("pullback.high", "pullback.low.part", 3),
            ("pullback.high", "pullback.low", 3),
        }
        assert rooms.circles() == [{"pullback", "pullback.high", "pullback.low.part", "pullback.low.other"}]
    finally:
        for function in (rooms.modules, rooms.arrows):
            function.cache_clear()
