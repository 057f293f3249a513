"""What is imported when it is first asked for, and what to install where that fails."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from types import ModuleType


def install(extra: str) -> str:
    """Return the command that installs pullback with one of its extras."""
    return f"pip install 'pullback[{extra}]'"


def imported(module: str, extra: str) -> ModuleType:
    """Import a module of this package whose packages come with an extra.

    Parameters
    ----------
    module : str
        Its full name.
    extra : str
        The extra of ``pyproject.toml`` that brings all that it imports.

    Raises
    ------
    ModuleNotFoundError
        If a package is not installed: which, and how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "pullback":
            raise
        raise ModuleNotFoundError(f"{module} needs {error.name}: {install(extra)}", name=error.name) from None


def there(names: Sequence[str], needing: str, package: str) -> list[str]:
    """Return the names of a module that can be had: all but `needing` where the package that this needs is missing.

    What asks for every name that :func:`dir` gives, such as :func:`help`, stops at one that cannot be imported.
    """
    is_installed = importlib.util.find_spec(package) is not None
    return [name for name in names if name != needing or is_installed]
