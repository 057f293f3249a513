"""What is imported when it is first asked for, and what to install where that fails; what follows others' imports."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
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


def when_imported(module: str, action: Callable[[], None]) -> None:
    """Do something as soon as a package is imported, by whomever, or now if it is; never import it for that.

    Parameters
    ----------
    module : str
        A package that is not of this one, by its first name.
    action : callable
        Is called once, when the package is there as a whole.
    """
    there = sys.modules.get(module)
    if there is None:
        sys.meta_path.insert(0, _Watch(module, action))
    elif not getattr(getattr(there, "__spec__", None), "_initializing", False):
        action()


class _Watch(MetaPathFinder):
    """Finds nothing itself, but has what others find followed by an action."""

    def __init__(self, module: str, action: Callable[[], None]) -> None:
        self.module, self.action = module, action

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name != self.module or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            sys.meta_path.insert(0, self)
            return spec
        execute = spec.loader.exec_module

        def followed(module: ModuleType) -> None:
            execute(module)
            self.action()

        spec.loader.exec_module = followed  # type: ignore[method-assign]
        return spec


def there(names: Sequence[str], needing: str, package: str) -> list[str]:
    """Return the names of a module that can be had: all but `needing` where the package that this needs is missing.

    What asks for every name that :func:`dir` gives, such as :func:`help`, stops at one that cannot be imported.
    """
    is_installed = importlib.util.find_spec(package) is not None
    return [name for name in names if name != needing or is_installed]
