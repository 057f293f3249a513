"""The environment chooses the instruction set and the threads."""

import os
import subprocess
import sys

import pytest

from pullback import _native


def info(**environment):
    code = "from pullback import _native; print(_native.isa(), _native.num_threads())"
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", _native.available_isas())
def test_environment_chooses_the_isa(name):
    assert info(PULLBACK_ISA=name).stdout.split()[0] == name


def test_an_isa_that_is_not_here_is_refused():
    result = info(PULLBACK_ISA="sse9")
    assert result.returncode != 0
    assert "'sse9' is not available on this machine; choose one of baseline" in result.stderr


def test_environment_chooses_the_threads():
    assert info(PULLBACK_NUM_THREADS="3").stdout.split()[1] == "3"
