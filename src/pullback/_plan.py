"""What a call asks for, made explicit once: names, aliases, codes, frames, and the frozen plan.

The codes are the values of the enums in ``native/params.hpp``. Names are those of the tables of kernels and of border
rules (:mod:`pullback._kernels`, :mod:`pullback._borders`), and the others that stand here; every backend receives a
:class:`Plan`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pullback._borders import RULES
from pullback._cache import Hashed, cached, is_tracing
from pullback._kernels import KERNELS

# The codes of what the tables of kernels and of border rules name.
INTERPOLATIONS: dict[str, int] = {kernel.name: code for code, kernel in KERNELS.items()}
BORDERS: dict[str, int] = {rule.name: code for code, rule in RULES.items()}
# Interpolating splines, by their order: B-splines on prefiltered samples.
SPLINES: dict[str, int] = {f"spline{kernel.spline}": kernel.spline for kernel in KERNELS.values() if kernel.spline}
INTERPOLATION_ALIASES: dict[str, str] = {alias: kernel.name for kernel in KERNELS.values() for alias in kernel.aliases}
INTERPOLATION_NAMES: tuple[str, ...] = (*INTERPOLATIONS, *SPLINES, *INTERPOLATION_ALIASES)
# The code of "area", the mean over a new pixel. An image of another size has such; no kernel reads points by it.
AREA = -1
EXTENTS: dict[str, int] = {"blend": 0, "crop": 1}
LATTICES: dict[str, int] = {
    "given": 0,
    "affine": 1,
    "projective": 2,
    "displacement": 3,
    "free-form": 4,
    "one-sided": 5,
}
# Matrices with a row for the denominator.
PROJECTIVE_LATTICES: frozenset[int] = frozenset((LATTICES["projective"], LATTICES["one-sided"]))
FRAMES: tuple[str, ...] = ("index", "centered", "normalized", "normalized-corners")

MAX_NDIM = 3


def constant(n: int) -> int:
    """Return a small number as it is; a symbolic one becomes a constant of what `torch.compile` traces."""
    for k in range(2 * MAX_NDIM + 2):
        if n == k:
            return k
    return n


def constant_number(x: Any) -> Any:
    """Return a number as it is; a symbolic one becomes a constant of what `torch.compile` traces, as in all sets."""
    return sorted({x})[0] if is_tracing() else x


@dataclass(frozen=True)
class Cubic:
    """Cubic convolution (Keys 1981) with a chosen slope: an `interpolation` argument.

    Parameters
    ----------
    a : float
        Slope of the kernel at distance 1. -1/2 is exact for parabolas, and what ``"cubic"`` means; -3/4 is OpenCV's and
        PyTorch's.

    Notes
    -----
    With distance s from a sample: w = (a + 2) s^3 - (a + 3) s^2 + 1 for s <= 1, a s^3 - 5 a s^2 + 8 a s - 4 a for
    1 < s < 2, 0 beyond.

    Examples
    --------
    >>> import numpy as np
    >>> import pullback as pb
    >>> pb.sample(np.array([0.0, 1.0, 4.0, 9.0]), [[1.5]], interpolation=pb.Cubic(-0.75))
    array([2.125])
    """

    a: float = -0.5


@dataclass(frozen=True, eq=False)
class Plan(Hashed):
    """How samples are read: one entry an axis, in the order of the axes.

    Attributes
    ----------
    interpolation, border : tuple of int
        Codes from :data:`INTERPOLATIONS` and :data:`BORDERS`, one a spatial axis.
    crop : bool
        Whether a coordinate outside the outermost samples gives `fill` (``extent="crop"``).
    fill : tuple of float or complex
        One value, or one a channel.
    parameter : tuple of float
        What the kernel of an axis is still free in: the slope `a` of ``"cubic"``, 0 for all others.
    prefilter : tuple of int
        The order of the spline whose coefficients are to be sampled, one an axis; 0 for samples as they are. An image
        is prefiltered before a backend's `pull` sees it.
    """

    interpolation: tuple[int, ...]
    border: tuple[int, ...]
    crop: bool
    fill: tuple[complex, ...]
    parameter: tuple[float, ...]
    prefilter: tuple[int, ...]

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return len(self.interpolation)


@dataclass(frozen=True, eq=False)
class Sizing(Hashed):
    """How an image is read in another size: one entry an axis, in the order of the axes.

    Attributes
    ----------
    interpolation, fill, parameter
        As in a :class:`Plan`; an interpolation may be :data:`AREA` too.
    border : tuple of int or None
        Codes from :data:`BORDERS`; None where samples beyond the image have no part in a value.
    antialias : bool
        Whether kernels are stretched by the scale of an axis that shrinks.
    """

    interpolation: tuple[int, ...]
    parameter: tuple[float, ...]
    border: tuple[int | None, ...]
    fill: tuple[complex, ...]
    antialias: bool


@dataclass(frozen=True, eq=False)
class Frame(Hashed):
    """A coordinate frame on a lattice: ``index = scale * coordinate + offset``, axis by axis."""

    scale: tuple[float, ...]
    offset: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Lattice(Hashed):
    """The output lattice of a call, and where the coordinates of its points come from.

    Attributes
    ----------
    kind : int
        A code from :data:`LATTICES`, which says what the geometry is. ``"given"``: the coordinates themselves,
        ``(M, *shape, d)``. From all others the kernel generates them: matrices, ``"affine"`` (M, d, d + 1),
        ``"projective"`` (M, d + 1, d + 1) and, for the side of the frame's origin alone, ``"one-sided"``;
        ``"displacement"`` vectors, ``(M, *shape, d)``; and, ``"free-form"``, the coefficients of a cubic B-spline of
        displacements, ``(M, *controls, d)``, whose inner cells span the lattice.
    shape : tuple of int
        The output lattice.
    frame_in, frame_out : Frame
        The frames of what the geometry yields (on the image) and of what it acts on (on the output lattice).
    reversed : bool
        Whether coordinates name the last axis first, (x, y), in points, displacements and matrices.
    frame : str or None
        The name of the frame that both frames are of, where they are of one.
    is_computed : bool
        Whether coordinates are a transform's, generated or given. Where they are not finite, for its parameters are
        not, values are NaN and not `fill`.
    whole : tuple of int
        The sides of the image, on which depends how far positions that we compute are rounded; none for positions that
        are taken as they are.
    """

    kind: int
    shape: tuple[int, ...]
    frame_in: Frame
    frame_out: Frame
    reversed: bool = False
    frame: str | None = None
    is_computed: bool = False
    whole: tuple[int, ...] = ()

    @property
    def near(self) -> float:
        """How far, in samples, a point may lie from an edge or a tie that it is rounded to, in double precision."""
        return _ROUNDINGS * _EPSILON * (max(self.whole) + 1) if self.whole else 0.0

    @property
    def near_in_single(self) -> float:
        """The same where parameters, coordinates or sums are in single precision.

        The kernels' positions are then off by less than 1e-4 / 2, and matrices by a few roundings.
        """
        return 2.0**-14 + self.near * 2.0**25 if self.whole else 0.0


# Roundings of the largest term of a position that make no difference: of the matrix, of its product with others, and of
# the sum.
_ROUNDINGS, _EPSILON = 64, 2.0**-52
# And of the terms of a denominator, which make it 0.
HORIZON_ROUNDINGS = 8 * _EPSILON


def lattice_of(
    kind: int,
    shape: tuple[int, ...],
    frame: str,
    image: tuple[int, ...],
    *,
    is_computed: bool = False,
    is_exact: bool = False,
) -> Lattice:
    """Return the lattice of a call in the frame of a name.

    Parameters
    ----------
    image : tuple of int
        The sides of the image.
    is_computed : bool
        Whether points that are given come from a transform.
    is_exact : bool
        Whether all positions are taken as they are, as other libraries do, and not only those that are given in
        ``"index"``.
    """
    is_computed = (is_computed or kind != LATTICES["given"]) and not is_exact
    whole = image if (is_computed or frame != "index") and not is_exact else ()
    return Lattice(kind, shape, *frames_of(frame, kind, image, shape), is_reversed(frame), frame, is_computed, whole)


@cached
def frame_of(name: str, shape: tuple[int, ...], *, output: bool = False) -> Frame:
    """Return the frame `name` on a lattice of `shape`, axis by axis in the order of the axes.

    ``"index"`` puts sample k at coordinate k. ``"centered"`` has its origin in the middle of the image and half
    of the image's shortest side as its unit, on every axis; a side of n pixels is n long. ``"normalized"`` puts the
    outer edges of the outermost pixels at -1 and 1, ``"normalized-corners"`` their centers. There, an image that is
    one pixel wide is that pixel at every coordinate; as an output, it is at 0.
    """
    middle = tuple((n - 1) / 2 for n in shape)
    if name == "centered":
        return Frame((max(min(shape), 1) / 2,) * len(shape), middle)
    if name == "normalized":
        return Frame(tuple(n / 2 for n in shape), middle)
    if name == "normalized-corners":
        return Frame(tuple(m or float(output) for m in middle), middle)
    return Frame((1.0,) * len(shape), (0.0,) * len(shape))


def frames_of(name: str, kind: int, in_shape: tuple[int, ...], shape: tuple[int, ...]) -> tuple[Frame, Frame]:
    """Return the frames of an image and of the output lattice; points that are given have that of the image alone."""
    frame_in = frame_of(name, in_shape)
    return frame_in, frame_in if kind == LATTICES["given"] else frame_of(name, shape, output=True)


def is_reversed(frame: str) -> bool:
    """Whether coordinates in a frame name the last axis first: (x, y)."""
    return frame.startswith("normalized")


def per_axis(value: Any, ndim: int) -> tuple[Any, ...]:
    """Spread one name, or one interpolation, over `ndim` axes; leave one an axis as they are."""
    return (value,) * ndim if isinstance(value, str | Cubic) else tuple(value)


def _interpolation(value: str | Cubic) -> tuple[int, float, int]:
    """Return the code, the parameter, and the order of the prefilter."""
    if isinstance(value, Cubic):
        return INTERPOLATIONS["cubic"], float(value.a), 0
    name = INTERPOLATION_ALIASES.get(value, value)
    if name == "area":
        return AREA, 0.0, 0
    if name in SPLINES:
        return INTERPOLATIONS[f"b{name}"], 0.0, SPLINES[name]
    return INTERPOLATIONS[name], Cubic().a if name == "cubic" else 0.0, 0


def make_plan(
    interpolation: tuple[str | Cubic, ...], border: tuple[str, ...], extent: str, fill: tuple[complex, ...]
) -> Plan:
    """Turn names that :mod:`pullback._check` has accepted into the codes of a plan."""
    code, parameter, prefilter = zip(*map(_interpolation, interpolation), strict=True)
    return Plan(
        interpolation=code,
        border=tuple(BORDERS[name] for name in border),
        crop=EXTENTS[extent] == EXTENTS["crop"],
        fill=tuple([constant_number(value) for value in fill]),
        parameter=tuple([constant_number(value) for value in parameter]),
        prefilter=prefilter,
    )
