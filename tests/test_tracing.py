"""Every public operation in every kind of tracing: it works, or refuses by a sentence, as the manual's table says."""

from __future__ import annotations

import warnings

import pytest

torch = pytest.importorskip("torch")

import tracing  # noqa: E402
from tracing import KINDS, OPERATIONS, SENTENCES, cells_of_page, compiled, outcome  # noqa: E402

CELLS = cells_of_page()
PAIRS = [
    pytest.param(
        name,
        kind,
        id=f"{kind}: {name}",
        marks=[] if KINDS[kind].quick or operation.quick else pytest.mark.slow,
    )
    for kind in KINDS
    for name, operation in OPERATIONS.items()
]


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_the_table_of_the_manual_holds(name, kind):
    assert outcome(OPERATIONS[name], KINDS[kind]) == CELLS[name, kind]


def test_the_table_has_each_pair_once_and_each_letter_its_legend():
    assert set(CELLS) == {(name, kind) for name in OPERATIONS for kind in KINDS}
    text = tracing.PAGE.read_text()
    assert set(CELLS.values()) <= {tracing.WORKS, tracing.NOTHING, *SENTENCES}
    assert all(f"- **{letter}** " in text for letter in SENTENCES)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "sample",
        "sample, splines",
        "gradient",
        "resize",
        "splat",
        "warp, Affine",
        "warp, Projective",
        "warp, FreeForm",
        "warp, Velocity",
        "SpatialTransformer",
    ],
)
def test_inductor(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled(OPERATIONS[name], backend="inductor", fullgraph=True)
