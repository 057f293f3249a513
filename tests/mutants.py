"""Small faults put into copies of the tree, one at a time: does a test notice? ``make mutants``

The faults are those of ``mutations.py``. Each is run against the tests that reach its lines, quick ones first, until
one fails. Which tests reach what is found out by one run of the whole suite, and kept in ``build/mutants`` for as long
as the tree stays as it is. Faults in the kernels stand in one binary, for one instruction set, and an environment
variable chooses among them; those run against the tests that hold kernels against something else.

This module is also the plugin of pytest that tells what each test covers, and how long it takes.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import hashlib
import importlib.util
import json
import math
import os
import queue
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
# What holds kernels against the reference, against peers or against themselves, where the suite has it.
KERNEL_TESTS = [
    *("conformance", "test_modes.py", "test_kinds.py", "test_adjoint.py", "test_isa.py", "test_exactness.py"),
    *("test_hostile.py", "test_layout.py", "test_labels.py", "test_prefilter.py", "test_resize.py", "test_normal.py"),
    *("test_threads.py", "test_calculus.py", "test_torch.py", "test_peers.py", "test_native_arguments.py"),
]
TIMED_OUT, NO_TESTS, NO_SUCH_TESTS = -1, 5, 4
# Without the finder of an editable install, which goes before PYTHONPATH.
SITE = """
import sys
sys.meta_path = [finder for finder in sys.meta_path if not type(finder).__name__.startswith("ScikitBuild")]
"""
CHOOSE = """
#pragma once
#include <cstdlib>
inline const int pullback_mutant = std::getenv("PULLBACK_MUTANT") ? std::atoi(std::getenv("PULLBACK_MUTANT")) : -1;
"""


class Fault(NamedTuple):
    """A mutation in its place."""

    number: int
    name: str
    file: str  # in the tree
    lines: range
    before: str
    after: str

    @property
    def is_native(self) -> bool:
        return self.file.startswith("native/")

    @property
    def room(self) -> str:
        parts = Path(self.file).parts
        return "native" if self.is_native else parts[2] if len(parts) > 3 else "ground"


class Verdict(NamedTuple):
    """Whether a fault was caught, and by which test."""

    fault: str
    room: str
    is_caught: bool
    by: str
    seconds: float


# Where the faults are


def sources(tree: Path) -> dict[str, str]:
    paths = [*tree.glob("src/**/*.py"), *tree.glob("native/*.[hc]pp")]
    return {path.relative_to(tree).as_posix(): path.read_text(encoding="utf-8") for path in sorted(paths)}


def find(tree: Path, partly: bool) -> list[Fault]:
    """Return the mutations in their places; each must have one, but for those that an older tree has not."""
    from mutations import MUTATIONS

    texts, faults, wrong = sources(tree), [], []
    for number, (name, before, after) in enumerate(MUTATIONS):
        places = [(file, text.index(before)) for file, text in texts.items() if before in text]
        if len(places) != 1 or texts[places[0][0]].count(before) != 1:
            wrong.append(f"{name}: its text is there {sum(text.count(before) for text in texts.values())} times")
            continue
        file, start = places[0]
        first = texts[file].count("\n", 0, start) + 1
        lines = range(first, first + before.rstrip("\n").count("\n") + 1)
        faults.append(Fault(number, name, file, lines, before, after))
    if wrong and not partly:
        raise SystemExit("\n".join(["mutations.py does not fit the tree:", *wrong]))
    for line in wrong:
        print(f"left out, {line}")
    return faults


def wanted(fault: Fault, only: str) -> bool:
    return only in fault.name or only == fault.room


# Copies of the tree


def copy(tree: Path, target: Path, module: Path) -> None:
    """Copy what git knows of a tree, and the native module."""
    shutil.rmtree(target, ignore_errors=True)
    listed = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=tree, text=True)
    for name in filter(None, listed.splitlines()):
        if (tree / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(tree / name, target / name)
    shutil.copy2(module, target / "src" / "pullback")
    (target / "build" / "site").mkdir(parents=True)
    (target / "build" / "site" / "sitecustomize.py").write_text(SITE)


def environment(copy: Path, **more: str) -> dict[str, str]:
    paths = [copy / "build" / "site", copy / "src", Path(__file__).parent]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "OMP_NUM_THREADS": "1", **more}


def run_tests(copy: Path, tests: list[str], seconds: float | None, *options: str, **more: str) -> tuple[int, str]:
    """Run tests in a copy; return the exit status, None for one that took too long, and what pytest says."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, *tests]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    # In a session of its own, so that what tests started ends with them.
    started = subprocess.Popen(command, cwd=copy, env=environment(copy, **more), start_new_session=True, **pipes)
    try:
        said, _ = started.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()
        return TIMED_OUT, "timed out"
    return started.returncode, said


# What covers what: the plugin


class Watch:
    """Tells `coverage` which test runs, or which fixture that tests share; keeps how long tests take."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.failed: set[str] = set()
        self.seconds: dict[str, float] = collections.defaultdict(float)
        self.users: dict[str, set[str]] = collections.defaultdict(set)

    def switch(self, name: str) -> None:
        os.environ["PULLBACK_CONTEXT"] = name
        coverage = sys.modules.get("coverage")
        current = coverage and coverage.Coverage.current()
        if current:
            current.switch_context(name)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        name = item.nodeid.partition("[")[0]
        for fixture in getattr(item, "fixturenames", ()):
            self.users[fixture].add(name)
        self.switch(name)
        start = time.perf_counter()
        try:
            return (yield)
        finally:
            self.seconds[name] += time.perf_counter() - start
            self.switch("")

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Any:
        if fixturedef.scope == "function":
            return (yield)
        self.switch(f"fixture {fixturedef.argname}")
        try:
            return (yield)
        finally:
            item = getattr(request, "_pyfuncitem", None)
            self.switch(item.nodeid.partition("[")[0] if item is not None else "")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.add(report.nodeid.partition("[")[0])

    def pytest_sessionfinish(self) -> None:
        users = {fixture: sorted(names) for fixture, names in self.users.items()}
        found = {"seconds": self.seconds, "users": users, "failed": sorted(self.failed)}
        Path(self.path).write_text(json.dumps(found))


def pytest_configure(config: pytest.Config) -> None:
    path = os.environ.get("PULLBACK_WATCH")
    if path:
        config.pluginmanager.register(Watch(path))
        os.environ["COVERAGE_PROCESS_START"] = os.environ["PULLBACK_COVERAGE"]


def watch(copy: Path, files: list[str], out: Path) -> None:
    """Run the whole suite in a copy, and keep which tests, and their processes, reach which lines of some files."""
    for old in out.glob("coverage*"):
        old.unlink()
    settings, log = out / "coveragerc", out / "watch.log"
    include = "".join(f"\n    {copy / file}" for file in files)
    settings.write_text(
        f"[run]\ndata_file = {out / 'coverage'}\nparallel = true\ncore = ctrace\ncontext = ${{PULLBACK_CONTEXT-}}\n"
        f"include ={include}\n"
    )
    tool = [sys.executable, "-m", "coverage"]
    command = [*tool, "run", f"--rcfile={settings}", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "mutants"]
    own = environment(
        copy, PULLBACK_WATCH=str(out / "watch.json"), PULLBACK_COVERAGE=str(settings), PULLBACK_CONTEXT=""
    )
    with log.open("w") as said:
        done = subprocess.run([*command, "tests"], cwd=copy, env=own, stdout=said, stderr=said, check=False)
    if done.returncode:
        print(f"some tests fail before anything is changed: {log}")
    subprocess.run([*tool, "combine", "--quiet", f"--rcfile={settings}"], cwd=copy, env=own, check=True)


def reaching(out: Path, copy: Path, faults: list[Fault], longest: float) -> dict[int, list[str]]:
    """Return for each fault the tests that reach its lines and take no longer than that, the quick ones first."""
    import coverage

    watched = json.loads((out / "watch.json").read_text())
    seconds, users, failed = watched["seconds"], watched["users"], set(watched["failed"])
    data = coverage.CoverageData(str(out / "coverage"))
    data.read()
    found = {}
    for fault in faults:
        contexts = data.contexts_by_lineno(str(copy / fault.file))
        names = {name for line in fault.lines for name in contexts.get(line, ())} - {""}
        if not names:  # at the head of a module, or in none of its functions: whatever reaches any of them
            names = {name for reached in contexts.values() for name in reached} - {""}
        tests: set[str] = set()
        for name in {name.partition("|")[0] for name in names}:
            fixture = name.removeprefix("fixture ")
            tests |= set(users.get(fixture, ())) if fixture != name else {name}
        quick = [test for test in tests - failed if seconds.get(test, 0) <= longest]
        found[fault.number] = sorted(quick, key=lambda test: (seconds.get(test, 0), test))
    return found


# One fault after the other


def judge(copy: Path, fault: Fault, tests: list[str], seconds: float) -> Verdict:
    start, path = time.monotonic(), copy / fault.file
    text = path.read_text(encoding="utf-8")
    more = {"PULLBACK_MUTANT": str(fault.number)} if fault.is_native else {}
    if not fault.is_native:
        path.write_text(text.replace(fault.before, fault.after), encoding="utf-8")
    status, said = NO_TESTS, "nothing reaches it"
    try:
        for some in (tests[:40], tests[40:]):  # few files are quickly collected
            if not some:
                break
            status, said = run_tests(copy, some, seconds - (time.monotonic() - start), "-x", "--tb=no", **more)
            if status:
                break
    finally:
        path.write_text(text, encoding="utf-8")
    by = next((line for line in said.splitlines() if line.startswith(("FAILED", "ERROR"))), said[-200:].strip())
    is_caught = status not in (0, TIMED_OUT, NO_TESTS) and (status != NO_SUCH_TESTS or "ImportError while" in said)
    return Verdict(fault.name, fault.room, is_caught, by if status else "", time.monotonic() - start)


def failing(copy: Path, tests: list[str]) -> list[str]:
    """Return the options that leave out tests that fail before anything is changed."""
    _, said = run_tests(copy, tests, None, "--tb=no")
    failed = sorted({line.split()[1] for line in said.splitlines() if line.startswith(("FAILED", "ERROR"))})
    if failed:
        print("these tests fail before anything is changed:", *failed)
    return [f"--deselect={name}" for name in failed]


def build_native(tree: Path, target: Path, faults: list[Fault]) -> Path:
    """Build the native module with all faults in it, and return it."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(tree / "native", target / "native")
    shutil.copy2(tree / "CMakeLists.txt", target)
    for fault in faults:
        path = target / fault.file
        text = path.read_text(encoding="utf-8")
        choice = f"(pullback_mutant == {fault.number} ? ({fault.after}) : ({fault.before}))"
        assert fault.before in text, f"{fault.name}: stands within another fault"
        path.write_text(text.replace(fault.before, choice), encoding="utf-8")
    lists = target / "CMakeLists.txt"
    lists.write_text(lists.read_text().replace("-O$<IF:$<BOOL:${PULLBACK_SANITIZE}>,1,3>", "-O1"))
    (target / "choose.hpp").write_text(CHOOSE)
    tools = Path(sys.executable).parent
    settings = {
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_CXX_FLAGS": f"-include {target / 'choose.hpp'}",
        "CMAKE_CXX_FLAGS_RELEASE": "-O1",
        "CMAKE_MAKE_PROGRAM": tools / "ninja",
        "Python_EXECUTABLE": sys.executable,
        "PULLBACK_NATIVE": "ON",
    }
    build = target / "build"
    options = [f"-D{name}={value}" for name, value in settings.items()]
    subprocess.run([tools / "cmake", "-S", target, "-B", build, "-G", "Ninja", *options], check=True)
    subprocess.run([tools / "cmake", "--build", build], check=True)
    (module,) = build.glob("_native*.so")
    return module


def native_module() -> Path:
    spec = importlib.util.find_spec("pullback._native")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin)


def fingerprint(tree: Path) -> str:
    """Return a number that changes with the sources and the tests."""
    digest = hashlib.sha256()
    for path in sorted([*tree.glob("src/**/*.py"), *tree.glob("tests/**/*.py")]):
        digest.update(path.relative_to(tree).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def run(arguments: argparse.Namespace) -> list[Verdict]:
    tree, out = arguments.tree.resolve(), arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    everything = find(tree, arguments.partly)
    faults = [fault for fault in everything if wanted(fault, arguments.only)]
    python = [fault for fault in faults if not fault.is_native]
    native = [fault for fault in faults if fault.is_native]
    module = arguments.module or native_module()
    copies: queue.Queue[Path] = queue.Queue()
    for k in range(arguments.processes):
        copy(tree, out / f"copy{k}", module)
        copies.put(out / f"copy{k}")
    tests: dict[int, list[str]] = {}
    if python:
        stamp, known = out / "watched", fingerprint(tree)
        if not stamp.exists() or (stamp.read_text() != known and not arguments.reuse):
            watch(out / "copy0", sorted({fault.file for fault in everything if not fault.is_native}), out)
            stamp.write_text(known)
        tests = reaching(out, out / "copy0", python, arguments.longest)
    kernel_tests = [f"tests/{name}" for name in KERNEL_TESTS if (tree / "tests" / name).exists()]
    kept = out / "verdicts.json"
    known = [Verdict(*row) for row in json.loads(kept.read_text())] if arguments.reuse and kept.exists() else []
    verdicts = {verdict.fault: verdict for verdict in known if verdict.is_caught}

    def one(fault: Fault) -> Verdict:
        own = copies.get()
        try:
            return judge(own, fault, kernel_tests if fault.is_native else tests[fault.number], arguments.seconds)
        finally:
            copies.put(own)

    for group in (spread(python), native):
        left = [fault for fault in group if fault.name not in verdicts]
        if left and left[0].is_native:
            binary = build_native(tree, out / "native", native)
            for k in range(arguments.processes):
                shutil.copy2(binary, out / f"copy{k}" / "src" / "pullback" / module.name)
            kernel_tests += failing(out / "copy0", kernel_tests)
        with concurrent.futures.ThreadPoolExecutor(arguments.processes) as pool:
            for verdict in pool.map(one, left):
                word = "caught  " if verdict.is_caught else "SURVIVED"
                print(f"{word} {verdict.room:10} {verdict.fault} ({verdict.seconds:.0f} s) {verdict.by}", flush=True)
                verdicts[verdict.fault] = verdict
                kept.write_text(json.dumps(list(verdicts.values()), indent=1))
    return [verdicts[fault.name] for fault in faults]


def spread(faults: list[Fault]) -> list[Fault]:
    """Return faults in turns by room, so that a run that is cut off has seen all of them."""
    turn: dict[str, int] = collections.defaultdict(int)
    order = []
    for fault in faults:
        order.append((turn[fault.room], fault))
        turn[fault.room] += 1
    return [fault for _, fault in sorted(order, key=lambda pair: pair[0])]


def report(verdicts: list[Verdict]) -> None:
    rooms: dict[str, list[bool]] = collections.defaultdict(list)
    for verdict in verdicts:
        rooms[verdict.room].append(verdict.is_caught)
    print(f"\n{'room':10} caught of")
    for room, caught in sorted(rooms.items()):
        print(f"{room:10} {sum(caught):6} {len(caught)}")
    print(f"{'all':10} {sum(v.is_caught for v in verdicts):6} {len(verdicts)}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="a room, or a part of the names of faults")
    parser.add_argument("--seconds", type=float, default=300, help="at most, for each fault")
    parser.add_argument("--longest", type=float, default=math.inf, help="seconds that a test may take, once, to be run")
    parser.add_argument("--processes", type=int, default=2, help="how many faults at once")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "mutants")
    parser.add_argument("--tree", type=Path, default=ROOT, help="another tree, such as an older one")
    parser.add_argument("--module", type=Path, help="its native module")
    parser.add_argument("--partly", action="store_true", help="leave out what the tree does not have")
    parser.add_argument(
        "--reuse",
        action="store_true",
        help="take what the last run found, however old it is",
    )
    arguments = parser.parse_args()
    verdicts = run(arguments)
    report(verdicts)
    return int(not all(verdict.is_caught for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
