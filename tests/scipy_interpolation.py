"""Run SciPy's own tests of its interpolation functions on those of pullback.compat.scipy.

``python tests/scipy_interpolation.py`` runs them on pullback; with ``--original`` on SciPy, to compare. Other
arguments are pytest's.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import scipy.ndimage
from scipy._lib._array_api import xp_capabilities_table

from pullback.compat import scipy as compat


def replace_functions():
    """Put our functions into `scipy.ndimage`, before the test module looks for them there."""
    for name in compat.__all__:
        ours = getattr(compat, name)
        xp_capabilities_table[ours] = xp_capabilities_table[getattr(scipy.ndimage, name)]
        setattr(scipy.ndimage, name, ours)


def main(arguments):
    if "--original" in arguments:
        arguments.remove("--original")
    else:
        replace_functions()
    tests = Path(scipy.ndimage.__file__).parent / "tests" / "test_interpolation.py"
    site = Path(scipy.__file__).parents[1]
    options = ["-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestUnknownMarkWarning"]
    return pytest.main([*options, "-c", "/dev/null", f"--rootdir={site}", str(tests), *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
