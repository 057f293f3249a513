"""Each backend has all that the Protocol asks for."""

import inspect

import pytest

from pullback.backends import Backend, Operations

torch = pytest.importorskip("torch")

from pullback.backends import composite, numpy  # noqa: E402
from pullback.backends import torch as tensors  # noqa: E402


@pytest.mark.parametrize(
    ("backend", "protocol"),
    [(numpy, Backend), (tensors, Backend), (composite, Operations)],
    ids=["numpy", "torch", "composite"],
)
def test_a_backend_has_the_functions_of_the_protocol_with_their_parameters(backend, protocol):
    functions = [(name, inspect.signature(f)) for name, f in inspect.getmembers(protocol, inspect.isfunction)]
    functions = [(name, signature) for name, signature in functions if not name.startswith("_")]
    assert len(functions) > 9
    for name, signature in functions:
        wanted = list(signature.parameters)[1:]
        assert list(inspect.signature(getattr(backend, name)).parameters) == wanted, name
    if protocol is Backend:
        assert isinstance(backend.name, str)
