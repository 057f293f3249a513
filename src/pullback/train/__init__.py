"""`pullback train`: the same classifier with and without a spatial transformer, and what the transformer learned.

===============  ===========================================================================================
`data`           pictures and labels: scikit-learn's digits, IDX files, folders of pictures
`distortions`    the table of distortions, and how they are drawn
`models`         the networks, with equal numbers of parameters
`loop`           training, with Lightning; `processes`: several together
`runs`           what a run keeps on disk, and how it comes back
`loading`        networks of a run, ready for use: :func:`load`
`evaluation`     the test error of what was trained, and the canonical pose of any picture; `exporting`: ONNX
`table1`         the cells of the paper's Table 1; `table1_page`: what came of them
`pictures`       picture files in and out
`report`         the page that shows a run; `view` and `curves` are its pictures
`progress`       what a terminal shows of a training
===============  ===========================================================================================

Needs ``pip install 'pullback[train]'``. Nothing is imported before it is asked for, so that `pullback --help` stays
quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pullback._extras import imported, there

if TYPE_CHECKING:
    from pullback.train.loading import load

__all__ = ["load"]


if not TYPE_CHECKING:  # which would take any name for one that is here

    def __getattr__(name: str) -> Any:
        """Import :func:`load`, and PyTorch with it, when it is first asked for."""
        if name == "load":
            return imported("pullback.train.loading", "train").load
        raise AttributeError(f"module 'pullback.train' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Name what is public."""
    return there(__all__, "load", "safetensors")
