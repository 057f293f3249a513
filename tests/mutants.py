"""Small faults put into the code one by one, each of which the tests must find: ``make mutants``.

    python tests/mutants.py [--room ROOM] [--seconds 120] [NUMBER ...]

A fault is a piece of source that stands once below ``src/``, wherever that is, and what it is replaced by, so that
files may move; one whose piece is gone, or stands twice, ends the run. It is tried in a copy of the tree, on the tests
named with it, which stop at the first failure. What the tests miss is printed at the end, and by room.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent


class Mutant(NamedTuple):
    """A fault, and the tests that are to find it."""

    before: str
    after: str
    tests: str


MUTANTS = (
    # Floor 1: what is remembered, names, axes
    Mutant('return kind, struct.pack("d", value)', "return kind, value", "test_cache"),
    Mutant("        if size > MOST_BYTES // 4:\n            return\n", "", "test_cache"),
    Mutant("while self.bytes > MOST_BYTES:", "while False:", "test_cache"),
    Mutant("os.register_at_fork(after_in_child=_memory.begin_in_child)", "pass", "test_cache test_processes"),
    Mutant("return Frame(tuple(n / 2 for n in shape), middle)", "return Frame(middle, middle)", "test_frames"),
    Mutant("tuple(m or float(output) for m in middle)", "tuple(m or 1.0 for m in middle)", "test_frames"),
    Mutant("max(min(shape), 1) / 2,) * len(shape)", "max(max(shape), 1) / 2,) * len(shape)", "test_frames"),
    Mutant("return int(batch) + lattice_ndim - after", "return lattice_ndim - after", "test_layout"),
    Mutant("spatial.pop(len(shape) - 1 - self.after_channel)", "spatial.pop(0)", "test_layout"),
    Mutant("last - abs(k % max(2 * last, 1) - last)", "last - abs(k % max(2 * last + 1, 1) - last)", "conformance"),
    # Floor 2: checks and backends
    Mutant("short = shape[-1] <= 16 and", "short = shape[-1] <= 4 and", "test_layout"),
    Mutant("all(4 * shape[-1] <= side for side", "any(4 * shape[-1] <= side for side", "test_layout"),
    Mutant("not bool(((array >= 0) & (array <= 1)).all())", "not bool((array >= 0).all())", "test_masks test_errors"),
    Mutant("            bfloat16 = out.dtype != np.uint16\n", "            pass\n", "test_layout conformance"),
    Mutant("return array.view(np.uint16) if _is_bfloat16(array) else array", "return array", "test_layout conformance"),
    Mutant("        out.imag = 0\n", "        pass\n", "conformance"),
    Mutant("return dtype.to_real() if is_tensor(image)", "return dtype if is_tensor(image)", "test_masks test_splat"),
    # Floor 3: images at points
    Mutant(
        "is_covered = coverage > least_coverage(call.plan)\n    fill =",
        "is_covered = coverage >= 0\n    fill =",
        "test_masks",
    ),
    Mutant("graded = weight.dtype != (np.bool_ if xp is np else xp.bool)", "graded = False", "test_masks"),
    Mutant("known = each if known is None else known * each", "known = each", "test_masks"),
    Mutant("            call = call.apart_from(out)\n", "            pass\n", "test_layout"),
    Mutant("share = share if self.weight is None else share * self.weight", "share = share", "test_splat"),
    Mutant("highest = xp.where((shares > 0) & (highest == -np.inf), b, highest)", "pass", "test_splat"),
    Mutant("if importance.dtype not in (xp.float32, xp.float64):", "if False:", "test_splat"),
    Mutant("importance > -np.inf, importance,", "importance == importance, importance,", "test_splat"),
    Mutant("table /= table.sum(axis=1, keepdims=True)", "pass", "test_resize"),
    Mutant("stretch = max(n_in / n_out, 1.0) if antialias", "stretch = n_in / n_out if antialias", "test_resize"),
    # Floor 3: maps of points
    Mutant(
        "-turn, -scale[..., None] * apply_linear(rotation_matrix(-turn), offset)", "-turn, -offset", "test_matrices"
    ),
    Mutant("cosine = cosine_a * cosine_b - (a * b).sum(-1)", "cosine = cosine_a * cosine_b", "test_matrices"),
    Mutant(
        "return grad if tuple(grad.shape) == tuple(shape) else grad.sum(0, keepdims=True)",
        "return grad",
        "test_velocity test_displacement test_chain test_thin_plate_spline test_matrices",
    ),
    Mutant("            kept.setflags(write=False)\n", "            pass\n", "test_velocity"),
    # Floor 4: where images and maps meet
    Mutant("    if not np.isfinite(jacobian).all():\n        return point\n", "", "test_antialias"),
    Mutant(
        "u, s, _ = np.linalg.svd(jacobian)\n    if not np.isfinite(s).all():\n        return point\n",
        "u, s, _ = np.linalg.svd(jacobian)\n",
        "test_antialias",
    ),
    Mutant(
        "linear = matrix[..., ::-1, -2::-1] if call.lattice.reversed",
        "linear = matrix[..., :-1] if call.lattice.reversed",
        "test_antialias",
    ),
    Mutant("shift = shift[..., ::-1] if self.lattice.reversed else shift", "pass", "test_antialias"),
    Mutant(
        "np.maximum(np.ceil(np.minimum(s, _MOST_POSITIONS) - _PRECISION), 1)",
        "np.ceil(np.minimum(s, _MOST_POSITIONS))",
        "test_antialias",
    ),
    Mutant("is_tracing() or not (unsaid and transforms and channels == transforms[0] > 1)", "True", "test_layout"),
    Mutant(
        "turn = np.eye(d + 1)[[*range(d)[::-1], d]] if turned else np.eye(d + 1)", "turn = np.eye(d + 1)", "test_normal"
    ),
    # Floor 5: doors and networks
    Mutant("determinant.abs().clamp(min=smallest)", "determinant.abs()", "test_regularizers"),
    Mutant("(at.abs() - half).clamp(min=0)", "(at.abs() - half)", "test_regularizers"),
    Mutant("if 1 < len(scalar) < 4 < channels:", "if False:", "test_compat_cv2"),
    Mutant('values += 0.5 if dtype.kind == "u" else np.copysign(0.5, values)', "values += 0.5", "test_compat_scipy"),
    Mutant("too_large = values >= float(limits.max)", "too_large = values > float(limits.max)", "test_compat_scipy"),
    # Floor 6: training
    Mutant("return min(size, self.pictures - index * size)", "return size", "test_train test_distributed"),
    Mutant('if path.is_dir() and not path.name.startswith(".")', "if path.is_dir()", "test_data"),
)


def place_of(mutant: Mutant) -> Path:
    """Return the one file that holds the piece of source that a mutant replaces."""
    files = [path for path in (ROOT / "src").rglob("*.py") if mutant.before in path.read_text()]
    count = sum(path.read_text().count(mutant.before) for path in files)
    if count != 1:
        sys.exit(f"mutants: {mutant.before!r} stands {count} times below src; it must stand once")
    return files[0].relative_to(ROOT)


def tests_of(mutant: Mutant) -> list[str]:
    """Return the paths of a mutant's tests that there are."""
    paths = [
        f"tests/{name}" if (ROOT / "tests" / name).is_dir() else f"tests/{name}.py" for name in mutant.tests.split()
    ]
    found = [path for path in paths if (ROOT / path).exists()]
    if not found:
        sys.exit(f"mutants: none of the tests of {mutant.before!r} exists: {mutant.tests}")
    return found


def is_found(mutant: Mutant, tree: Path, seconds: float) -> bool:
    """Say whether the tests of a mutant fail, or do not end, on a copy of the tree that has it."""
    path = tree / place_of(mutant)
    whole = path.read_text()
    path.write_text(whole.replace(mutant.before, mutant.after))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests_of(mutant)]
    try:
        run = subprocess.run(
            command,
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return True
    finally:
        path.write_text(whole)
    if run.returncode not in (0, 1, 2):
        sys.exit(f"mutants: pytest ended with {run.returncode}\n{run.stdout.decode()[-2000:]}")
    return run.returncode != 0


def main() -> int:
    """Try the mutants that are asked for, and say which are missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("numbers", nargs="*", type=int, help="which mutants; all without any")
    parser.add_argument("--room", help="those of one room, such as sampling")
    parser.add_argument("--seconds", type=float, default=240, help="how long the tests of one may take")
    options = parser.parse_args()
    chosen = {
        number: mutant for number, mutant in enumerate(MUTANTS) if number in options.numbers or not options.numbers
    }
    rooms = {number: place_of(mutant).parts[2].removesuffix(".py") for number, mutant in chosen.items()}
    found, missed = Counter(), []
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        for part in ("src", "tests", "docs", "README.md", "CONTRIBUTING.md", "pyproject.toml"):
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            (tree / part).parent.mkdir(parents=True, exist_ok=True)
            copy(ROOT / part, tree / part)
        native = Path(__import__("pullback._native", fromlist=["_native"]).__file__)
        shutil.copy(native, tree / "src" / "pullback" / native.name)
        for number, mutant in chosen.items():
            if options.room and rooms[number] != options.room:
                continue
            begun = time.monotonic()
            caught = is_found(mutant, tree, options.seconds)
            found[rooms[number], caught] += 1
            if not caught:
                missed.append(number)
            words = "found " if caught else "MISSED"
            piece = " ".join(mutant.before.split())[:80]
            print(f"{number:3} {words} {time.monotonic() - begun:5.0f} s  {rooms[number]}: {piece}", flush=True)
    for room in sorted({room for room, _ in found}):
        print(f"{room}: {found[room, True]} of {found[room, True] + found[room, False]} found")
    caught = sum(count for (_, is_caught), count in found.items() if is_caught)
    print(f"{caught} of {sum(found.values())} found; missed: {missed or 'none'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
