"""The command line as a program: what it tells, and how it refuses: in one line, with the exit code 2."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("typer")

from command_line import everything_in


def test_info(run):
    import pullback

    code, output, errors = run("info")
    assert (code, errors) == (0, "")
    facts = dict(line.split(maxsplit=1) for line in output.splitlines())
    assert facts["pullback"] == pullback.__version__
    assert facts["threads"] == str(pullback.get_num_threads())


def test_version(run):
    import pullback

    assert run("--version") == (0, pullback.__version__ + "\n", "")


def test_help_comes_without_heavy_imports():
    code = (
        "import sys; from pullback import cli\n"
        "try: cli.main(['train', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'lightning', 'sklearn', 'matplotlib', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "--resume" in done.stdout


@pytest.mark.parametrize(
    ("missing", "arguments"), [("typer", ["info"]), ("PIL", ["warp", "a.png", "b.png"]), ("lightning", ["train"])]
)
def test_a_missing_extra_is_named(missing, arguments):
    code = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {missing!r}: raise ModuleNotFoundError(name, name={missing!r})\n"
        "sys.meta_path.insert(0, Missing())\n"
        f"from pullback import cli; cli.main({arguments!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install 'pullback[train]'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fly",), "No such command"),
        (("train", "--speed", "3"), "--speed"),
        (("train", "--epochs", "many"), "--epochs"),
        (("train", "--epochs", "0"), "epochs is 0"),
        (("train", "--distortion", "shake"), "distortion is 'shake'; choose from r, rts"),
        (("train", "--transform", "magic"), "transform is 'magic'"),
        (("train", "--data", "nowhere"), "no such folder"),
        (("train", "--data", "."), "folder.png: holds no pictures"),
        (("train", "--name", "../up"), "without any path"),
        (("train", "--resume"), "nothing to resume"),
        (("train", "--resume", "--name", "gone"), "no such run"),
        (("evaluate", "gone"), "gone: no such run"),
        (("evaluate",), "Missing argument"),
        (("rectify", "gone", "photo.png", "--out", "out"), "gone: no such run"),
        (("warp", "gone.png", "out.png"), "gone.png: no such picture"),
        (("warp", "notes.txt", "out.png"), "notes.txt: not readable"),
        (("warp", "photo.png", "out.xyz"), "names no picture format"),
        (("warp", "photo.png", "gone/out.png"), "gone/out.png: No such file"),
        (("warp", "photo.png", "folder.png"), "not a regular file"),
        (("warp", "photo.png", "out.png", "--shape", "12"), "--shape is '12'"),
        (("warp", "photo.png", "out.png", "--shape", "0x4"), "--shape is '0x4'"),
        (("warp", "photo.png", "out.png", "--shape", "90000000x90000000"), "more memory"),
        (("warp", "photo.png", "out.png", "--scale", "0"), "--scale is 0.0"),
        (("warp", "photo.png", "out.png", "--border", "glue"), "`border` is 'glue'"),
        (("warp", "photo.png", "out.png", "--interpolation", "magic"), "`interpolation` is 'magic'"),
        (("warp", "photo.png", "out.png", "--fill", "1,2"), "`fill` has 2"),
        (("warp", "photo.png", "out.png", "--fill", "red"), "--fill is 'red'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_input_is_refused_and_leaves_nothing_behind(refused, photo, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("no picture")
    Path("folder.png").mkdir()
    before = everything_in(tmp_path)
    assert words in refused(*arguments)
    assert everything_in(tmp_path) == before


def test_options_ahead_of_a_subcommand_are_not_lost(refused, tmp_path):
    assert "--epochs stands before addition" in refused("train", "--epochs", "3", "addition", "--runs", tmp_path)
    assert "--data stands before colocalise" in refused("train", "--data", "x", "colocalise", "--out", tmp_path / "out")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_stdout_is_one_line_too():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "pullback", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "pullback: No space left on device\n"
