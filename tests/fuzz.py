"""Random calls of the sampling functions, with anything in their arguments: ``python tests/fuzz.py --seconds 60``.

A case is made from two numbers, a seed and a count. Its call is made twice, with other bytes in fresh memory and
another number of threads, and must give the same bytes; once more on plain contiguous copies of its arrays, which must
give the same numbers; and these must be those of the definitions (:mod:`truth`), where they can be told. Every array
has an allocation of exactly its size, of which some end or start at a page that may not be touched, so that a read
beyond it ends the process. The search runs in a process of its own, so that it can say which case that was.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import traceback
from typing import Any

import numpy as np
from properties import hold
from random_calls import MAKERS, disguised

import pullback as pb
from pullback import _native


class Failure(AssertionError):
    """A property that does not hold."""


def check(seed: int, number: int) -> str:
    """Make a case and check it; return its function."""
    random = np.random.default_rng([seed, number])
    isas, before = _native.available_isas(), (_native.isa(), pb.get_num_threads())
    _native.set_isa(isas[min(int(2 * random.random() * len(isas)), len(isas) - 1)])
    try:
        try:
            call = disguised(random, MAKERS[int(random.integers(len(MAKERS)))](random))
        except (ValueError, TypeError) as error:
            if str(error).split(":")[0] not in ("sample", "warp", "resize"):
                raise
            return "refused"
        try:
            return hold(call, random)
        except Exception as error:
            raise Failure(f"{type(error).__name__}: {error}\n{_native.isa()}\n{call}") from error
    finally:
        _native.set_isa(before[0])
        pb.set_num_threads(before[1])


def search(
    seed: int, *, count: int | None, seconds: float | None, start: int = 0, progress: Any = None, keep_going=False
):
    """Check cases one after the other; return how many of each function there were."""
    counts: dict[str, int] = {}
    end, number, failures = None if seconds is None else time.monotonic() + seconds, start, 0
    while (count is None or number < start + count) and (end is None or time.monotonic() < end):
        if progress is not None:
            os.pwrite(progress, number.to_bytes(8, "little"), 0)
        try:
            function = check(seed, number)
            counts[function] = counts.get(function, 0) + 1
        except Failure as failure:
            if not keep_going:
                raise Failure(f"case {number} of seed {seed}: {failure}") from failure
            failures += 1
            print(f"==== case {number} of seed {seed}: {failure}\n", flush=True)
        number += 1
    counts["failures"] = failures
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--count", type=int)
    parser.add_argument("--start", type=int, default=0, help="the first case: where a search before this one ended")
    parser.add_argument("--case", type=int, help="check this case alone")
    parser.add_argument("--keep-going", action="store_true", help="go on after a case that fails")
    parser.add_argument("--progress", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case is not None:
        print(search(arguments.seed, count=1, seconds=None, start=arguments.case))
        return 0
    if arguments.seconds is None and arguments.count is None:
        arguments.seconds = 60.0
    if arguments.progress is not None:
        try:
            counts = search(
                arguments.seed,
                count=arguments.count,
                seconds=arguments.seconds,
                start=arguments.start,
                progress=arguments.progress,
                keep_going=arguments.keep_going,
            )
        except Failure:
            traceback.print_exc()
            return 1
        done = sum(counts.values())
        print(f"{done} cases of seed {arguments.seed}, the next one is {arguments.start + done}: {counts}")
        return min(1, counts["failures"])
    with tempfile.TemporaryFile() as file:
        command = [sys.executable, "-X", "faulthandler", *(["-S"] if sys.flags.no_site else [])]
        result = subprocess.run(
            [*command, __file__, *sys.argv[1:], "--progress", str(file.fileno())], pass_fds=[file.fileno()], check=False
        )
        if result.returncode:
            number = int.from_bytes(os.pread(file.fileno(), 8, 0), "little")
            print(
                f"{__file__} ended with {result.returncode}; python {__file__} --seed {arguments.seed} --case {number}"
            )
        return int(result.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
