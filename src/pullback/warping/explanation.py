"""Which way a call takes: backend, instruction set, fused or not, threads, extra memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pullback import _check
from pullback._plan import BORDERS, INTERPOLATIONS, LATTICES
from pullback.sampling.call import Call, call_at, reading_of
from pullback.transforms import Transform
from pullback.warping.footprint import Antialiased, antialiased
from pullback.warping.through import call_through
from pullback.warping.varying import VaryinglyAntialiased


@dataclass(frozen=True)
class Explanation:
    """What :func:`explain` found out; printing it gives a short table.

    Attributes
    ----------
    backend : str
        ``"native"``, or ``"composite"`` for tensors that are not on the CPU.
    isa : str
        Instruction set of the kernels.
    coordinates : str
        ``"given"``, or the kind of transform whose coordinates are generated in the kernel, such as
        ``"affine, fused"``. With ``antialias``, the number of sub-samples too, of the pixel that takes the most.
    interpolation : tuple of str
        The kernel, one an axis; of a spline, the B-spline that reads its coefficients.
    border : tuple of str
        One an axis.
    output_shape : tuple of int
        Shape of the result.
    threads : int
        The most threads that the call may use.
    extra_bytes : int
        Memory beyond input and output that the kernels take, at most. Coefficients of splines, and coordinates that are
        "given" because no kernel generates them, are not counted.

    Examples
    --------
    >>> import numpy as np
    >>> import pullback as pb
    >>> plan = pb.explain(np.zeros((3, 64, 64)), pb.Affine.identity(2), interpolation="spline3")
    >>> plan.interpolation, plan.output_shape
    (('bspline3', 'bspline3'), (3, 64, 64))
    """

    backend: str
    isa: str
    coordinates: str
    interpolation: tuple[str, ...]
    border: tuple[str, ...]
    output_shape: tuple[int, ...]
    threads: int
    extra_bytes: int

    def __str__(self) -> str:
        rows = {
            "backend": self.backend,
            "instruction set": self.isa,
            "coordinates": self.coordinates,
            "interpolation": ", ".join(self.interpolation),
            "border": ", ".join(self.border),
            "output": " x ".join(map(str, self.output_shape)),
            "threads": f"up to {self.threads}",
            "extra memory": f"{self.extra_bytes / 1024:.0f} KiB",
        }
        return "\n".join(f"{key:16}{value}" for key, value in rows.items())


# Of the arguments of a warp that say how samples are read.
_DEFAULTS = {"interpolation": "linear", "border": "constant", "fill": 0, "extent": "blend", "frame": "index"}


def _names(table: dict[str, int], codes: tuple[int, ...]) -> tuple[str, ...]:
    name_of = {code: name for name, code in table.items()}
    return tuple(name_of[code] for code in codes)


def _coordinates(call: Call) -> str:
    if isinstance(call, VaryinglyAntialiased):
        return f"given, up to {call.most_positions} sub-samples"
    if call.lattice.kind == LATTICES["given"]:
        return "given"
    (name,) = _names(LATTICES, (call.lattice.kind,))
    if not isinstance(call, Antialiased):
        return f"{name}, fused"
    return f"{name}, fused, {max(len(footprint.weight) for footprint in call.footprints)} sub-samples"


def explain(image: Any, transform: Any, shape: Any = None, **options: Any) -> Explanation:
    """Tell which way :func:`warp` (or :func:`sample`) would take with the same arguments, without doing the work.

    Parameters
    ----------
    image : array_like or Tensor
        As in :func:`warp`.
    transform : Transform or array_like
        A transform, or the coordinates of a call of :func:`sample`.
    shape : sequence of int, optional
        As in :func:`warp`.
    **options
        Any further argument of :func:`warp`.

    Returns
    -------
    Explanation
        What was found out; printed, it is a short table.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    See Also
    --------
    warp : What does the work.

    Examples
    --------
    >>> import numpy as np
    >>> import pullback as pb
    >>> pb.explain(np.zeros((64, 64), np.float32), pb.Affine.identity(2)).coordinates
    'affine, fused'
    """
    antialias, channel_axis = options.pop("antialias", False), options.pop("channel_axis", None)
    names = (options.pop(name, default) for name, default in _DEFAULTS.items())
    interpolation, border, fill, extent, frame = names
    for ignored in ("dtype", "out", "mask", "weight", "return_weight"):
        options.pop(ignored, None)
    if options:
        raise TypeError(f"explain: unknown argument `{options.popitem()[0]}`; it takes the arguments of warp")
    reading = reading_of(interpolation, border, fill, extent, channel_axis, frame)
    if isinstance(transform, Transform):
        call = call_through("explain", image, transform, shape, reading)
        if _check.flag("explain", "antialias", antialias):
            call = antialiased(call, transform, frame)
    else:
        call = call_at("explain", image, transform, reading)
    execution = call.backend.execution(call.image, call.geometry, call.lattice, call.plan)
    return Explanation(
        backend=execution.implementation,
        isa=execution.isa,
        coordinates=_coordinates(call),
        interpolation=_names(INTERPOLATIONS, call.plan.interpolation),
        border=_names(BORDERS, call.plan.border),
        output_shape=call.recipe.restored_shape,
        threads=execution.threads,
        extra_bytes=execution.extra_bytes,
    )
