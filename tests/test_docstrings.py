"""Every example in a docstring runs and prints what it says."""

import doctest
import importlib
import pkgutil

import pytest

import pullback

MODULES = [
    info.name
    for info in pkgutil.walk_packages(pullback.__path__, "pullback.")
    if not info.name.startswith("pullback._native")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0
