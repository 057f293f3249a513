"""How many threads a call may use."""

from __future__ import annotations

import os
import warnings

import pullback._native as _native
from pullback import _check


def warn_of_environment() -> None:
    """Warn of a PULLBACK_NUM_THREADS that is no number of threads, or too large a one."""
    given = os.environ.get("PULLBACK_NUM_THREADS", "").strip()
    if not given or (given.isascii() and given.isdigit() and 1 <= int(given) <= _check.MOST_THREADS):
        return
    warnings.warn(
        f"PULLBACK_NUM_THREADS is {given!r}; give a whole number from 1 to {_check.MOST_THREADS}. "
        f"Calls use up to {_native.num_threads()} threads",
        RuntimeWarning,
        stacklevel=2,
    )


warn_of_environment()


def get_num_threads() -> int:
    """Return how many threads a call may use.

    Returns
    -------
    int
        The CPUs that this process may run on, unless the environment variable ``PULLBACK_NUM_THREADS`` or
        :func:`set_num_threads` says otherwise.

    Examples
    --------
    >>> import pullback as pb
    >>> pb.get_num_threads() >= 1
    True
    """
    return _native.num_threads()


def set_num_threads(count: int) -> None:
    """Set how many threads a call may use, in the whole process.

    Parameters
    ----------
    count : int
        1 to 1024. Results do not depend on it.

    Raises
    ------
    ValueError
        If `count` is out of range.
    TypeError
        If `count` is no integer.

    Examples
    --------
    >>> import pullback as pb
    >>> before = pb.get_num_threads()
    >>> pb.set_num_threads(1)
    >>> pb.get_num_threads()
    1
    >>> pb.set_num_threads(before)
    """
    _native.set_num_threads(_check.thread_count(count))
