"""Every public name has a complete docstring, and every example in one runs and prints what it says."""

import ast
import dataclasses
import doctest
import importlib
import inspect
import pkgutil
import re
import textwrap
from pathlib import Path

import pytest
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import ERROR_MSGS, Validator, validate

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


PUBLIC_MODULES = (
    "pullback",
    "pullback.nn",
    "pullback.train",
    "pullback.transforms",
    "pullback.compat.scipy",
    "pullback.compat.cv2",
    "pullback.compat.torch",
)
OPERATORS = ("__call__", "__matmul__")

# All checks of numpydoc but these: the sections in order; a summary in one line; every parameter, and none that is
# unknown, in the signature's order, with type and description; what is returned; examples; whole sentences.
EXCLUDED = {
    "ES01",  # an extended summary: most things are said by one line and the parameters
    "SA01",  # a See Also section: only where there is something to see
}
CHECKS = set(ERROR_MSGS) - EXCLUDED
# What PyTorch calls by itself; like properties, these are seen in the example of their class.
MODULE_METHODS = ("forward", "extra_repr")
# What the docstring of a method need not say that refers to another one for it.
SAID_ELSEWHERE = {"PR01", "RT01", "EX01"}


def is_ours(value):
    return getattr(value, "__module__", "").startswith("pullback")


def described(module):
    """Return the names of a module that have docstrings of their own, which constants have not."""
    values = ((name, getattr(module, name)) for name in module.__all__)
    return {name: value for name, value in values if (inspect.isclass(value) or inspect.isroutine(value))}


def members(owner):
    """Return the public methods and properties that a class has from pullback, by the full name of where they are."""
    found = {}
    for base in filter(is_ours, inspect.getmro(owner)):
        for name, value in vars(base).items():
            if name in OPERATORS or not name.startswith("_"):
                function = getattr(value, "__func__", value)
                if inspect.isfunction(function) or isinstance(function, property):
                    found[f"{base.__module__}.{base.__qualname__}.{name}"] = getattr(base, name)
    return found


def public_objects():
    found = {}
    for name in PUBLIC_MODULES:
        for value in filter(is_ours, described(importlib.import_module(name)).values()):
            found[f"{value.__module__}.{value.__qualname__}"] = value
            if inspect.isclass(value):
                found |= members(value)
    return found


PUBLIC = public_objects()


class Docstring(Validator):
    """numpydoc's view of a public name, which it has from source code where this one has it from annotations."""

    def __init__(self, obj_name):
        super().__init__(get_doc_object(PUBLIC[obj_name]))

    @property
    def is_function_or_method(self):
        return inspect.isroutine(self.obj)  # numpydoc leaves class methods out

    @property
    def method_returns_something(self):
        return self.code_obj.__annotations__["return"] not in ("None", "NoReturn")

    @property
    def doc_all_parameters(self):
        """The fields of a record that is returned are attributes, and its constructor's parameters."""
        is_record = dataclasses.is_dataclass(self.obj) or hasattr(self.obj, "_fields")
        return self._doc_parameters(["Parameters", "Attributes"] if is_record else ["Parameters"])

    @property
    def raises(self):
        names = ", ".join(entry.type for entry in self.doc["Raises"])
        return {name.rpartition(".")[2] for name in names.split(", ") if name}


def referred(name):
    """Return the full name of the method in which the docstring of another has its parameters, or None."""
    summary = (inspect.getdoc(PUBLIC[name]) or "").partition("\n")[0]
    found = re.search(r"see :meth:`(pullback[\w.]*\.(\w+))`", summary)
    return found[1] if found and found[2] == name.rpartition(".")[2] else None


def own_function(value):
    """Return the function of a method, which is the same for all classes that inherit it; a property itself."""
    return getattr(value, "__func__", value)


def resolved(path):
    """Return the name in PUBLIC of what a docstring refers to."""
    module = max((module for module in PUBLIC_MODULES if path.startswith(module + ".")), key=len)
    owner_name, _, attribute = path.removeprefix(module + ".").rpartition(".")
    owner = getattr(importlib.import_module(module), owner_name)
    value = own_function(getattr(owner, attribute))
    return next(name for name in members(owner) if own_function(PUBLIC[name]) is value)


def parameters(value):
    return [name for name in inspect.signature(value).parameters if name != "self"]


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_is_complete(name):
    value, attribute = PUBLIC[name], name.rpartition(".")[2]
    checks = CHECKS - (SAID_ELSEWHERE if referred(name) else set())
    if isinstance(value, property) or attribute in MODULE_METHODS:
        checks = checks - {"EX01"}
    errors = validate(name, validator_cls=Docstring)["errors"]
    assert not [f"{code}: {message}" for code, message in errors if code in checks]


@pytest.mark.parametrize("name", [name for name in PUBLIC if referred(name)])
def test_docstring_refers_to_a_complete_one(name):
    target = resolved(referred(name))
    assert not referred(target)
    assert parameters(PUBLIC[target]) == parameters(PUBLIC[name])


def errors_of(name):
    """Return what the code of a public name raises itself, and whether it has its arguments checked elsewhere."""
    value = PUBLIC[name]
    if inspect.isclass(value):
        value = value.__init__ if is_ours(value.__init__) and not dataclasses.is_dataclass(value) else None
    function = value.fget if isinstance(value, property) else inspect.unwrap(value) if value else None
    if function is None:
        return set(), False
    nodes = list(ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))))
    raised = (node.exc for node in nodes if isinstance(node, ast.Raise) and node.exc is not None)
    called = [ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)]
    return (
        {ast.unparse(error).partition("(")[0].rpartition(".")[2] for error in raised},
        any(re.search(r"(^|\.)_?check(ed)?(_\w+)?(\.|$)", call) for call in called),
    )


@pytest.mark.parametrize("name", PUBLIC)
def test_errors_are_documented(name):
    raised, checked = errors_of(name)
    documented = Docstring(name).raises
    target = referred(name)
    if target:
        documented = documented | Docstring(resolved(target)).raises
    assert raised <= documented
    assert documented or not checked


REFERENCE = Path(__file__).parents[1] / "docs" / "reference"


def test_reference_lists_every_name():
    listed = []
    for page in REFERENCE.glob("*.md"):
        module = None
        for line in page.read_text().splitlines():
            if line.startswith(".. currentmodule:: "):
                module = importlib.import_module(line.split()[-1])
            elif module and re.fullmatch(r" {3}[\w.]+", line):
                value = module
                for attribute in line.strip().split("."):
                    value = getattr(value, attribute)
                listed.append(value)
    public = [value for name in PUBLIC_MODULES for value in described(importlib.import_module(name)).values()]
    assert not [value for value in public if is_ours(value) and value not in listed]
