"""The dtypes that images may have: one table for NumPy and for torch, which name them alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pullback._cache import is_tracing


@dataclass(frozen=True)
class DType:
    """A row of the table.

    Attributes
    ----------
    name : str
        In NumPy (for ``"bfloat16"`` in ml_dtypes) and in torch.
    kind : str
        What numbers it holds: ``"boolean"``, ``"integer"``, ``"real"`` or ``"complex"``.
    sums : str
        The name of the dtype that samples are summed in, which is that of gradients in them.
    """

    name: str
    kind: str
    sums: str


DTYPES: dict[str, DType] = {
    row.name: row
    for row in (
        DType("bool", "boolean", "float32"),
        *(DType(name, "integer", "float32") for name in ("uint8", "uint16")),
        *(DType(name, "integer", "float64") for name in ("uint32", "uint64")),
        *(DType(name, "integer", "float32") for name in ("int8", "int16")),
        *(DType(name, "integer", "float64") for name in ("int32", "int64")),
        *(DType(name, "real", "float32") for name in ("float16", "bfloat16", "float32")),
        DType("float64", "real", "float64"),
        *(DType(name, "complex", name) for name in ("complex64", "complex128")),
    )
}
BFLOAT16 = DTYPES["bfloat16"]

# By the dtypes of the libraries: NumPy computes the name of one anew each time that it is asked.
_rows: dict[Any, DType] = {np.dtype(name): row for name, row in DTYPES.items() if row is not BFLOAT16}


def holds_nan(dtype: Any) -> bool:
    """Say whether numbers of a dtype can be NaN."""
    row = row_of(dtype)
    return row is None or row.kind in ("real", "complex")


def row_of(dtype: Any) -> DType | None:
    """Return the row of a dtype of NumPy or of torch, of any byte order; None for one that no image may have."""
    if is_tracing():  # torch.compile takes no dtype of NumPy for a key
        return DTYPES.get(name_of(dtype))
    row = _rows.get(dtype)
    if row is None:
        row = DTYPES.get(name_of(dtype))
        if row is not None:
            _rows[dtype] = row
    return row


def name_of(dtype: Any) -> str:
    """Return the name of any dtype of NumPy or of torch."""
    return str(getattr(dtype, "name", dtype)).removeprefix("torch.")


def kind_of(dtype: Any) -> str | None:
    """Say what numbers a dtype holds; None for one that no image may have."""
    row = row_of(dtype)
    return None if row is None else row.kind
