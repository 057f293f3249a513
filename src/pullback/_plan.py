"""What a call asks for, made explicit once: names, aliases, codes, frames, and the frozen plan.

The codes are the values of the enums in ``native/params.hpp``. This is the only place in Python that knows
the names; every backend receives a :class:`Plan`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

INTERPOLATIONS: dict[str, int] = {"nearest": 0, "linear": 1}
INTERPOLATION_ALIASES: dict[str, str] = {"bilinear": "linear", "trilinear": "linear"}
BORDERS: dict[str, int] = {"constant": 0, "edge": 1, "reflect": 2, "symmetric": 3, "wrap": 4}
EXTENTS: dict[str, int] = {"blend": 0, "crop": 1}
LATTICES: dict[str, int] = {"given": 0, "affine": 1}
FRAMES: tuple[str, ...] = ("index", "centered")

MAX_NDIM = 3


@dataclass(frozen=True)
class Plan:
    """How samples are read: one entry an axis, in the order of the axes.

    Attributes
    ----------
    interpolation, border : tuple of int
        Codes from :data:`INTERPOLATIONS` and :data:`BORDERS`, one a spatial axis.
    crop : bool
        Whether a coordinate outside the outermost samples gives `fill` (``extent="crop"``).
    fill : tuple of float
        One value, or one a channel.
    """

    interpolation: tuple[int, ...]
    border: tuple[int, ...]
    crop: bool
    fill: tuple[float, ...]

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return len(self.interpolation)


@dataclass(frozen=True)
class Frame:
    """A coordinate frame on a lattice: ``index = scale * coordinate + offset``, axis by axis."""

    scale: tuple[float, ...]
    offset: tuple[float, ...]


@dataclass(frozen=True)
class Lattice:
    """The output lattice of a call, and where the coordinates of its points come from.

    Attributes
    ----------
    kind : int
        A code from :data:`LATTICES`: coordinates that the caller gives, ``(M, *shape, d)``, or affine matrices,
        ``(M, d, d + 1)``, from which the kernel generates them.
    shape : tuple of int
        The output lattice.
    frame_in, frame_out : Frame
        The frames of what the geometry yields (on the image) and of what it acts on (on the output lattice).
    """

    kind: int
    shape: tuple[int, ...]
    frame_in: Frame
    frame_out: Frame


@lru_cache(maxsize=1024)
def frame_of(name: str, shape: tuple[int, ...]) -> Frame:
    """Return the frame `name` on a lattice of `shape`.

    ``"index"`` puts sample k at coordinate k. ``"centered"`` has its origin in the middle of the image and half
    of the image's shortest side as its unit, on every axis; a side of n pixels is n long.
    """
    if name == "centered":
        half = max(min(shape), 1) / 2
        return Frame((half,) * len(shape), tuple((n - 1) / 2 for n in shape))
    return Frame((1.0,) * len(shape), (0.0,) * len(shape))


def per_axis(value: str | Sequence[str], ndim: int) -> tuple[str, ...]:
    """Spread one name over `ndim` axes; leave one name an axis as it is."""
    return (value,) * ndim if isinstance(value, str) else tuple(value)


@lru_cache(maxsize=1024)
def make_plan(interpolation: tuple[str, ...], border: tuple[str, ...], extent: str, fill: tuple[float, ...]) -> Plan:
    """Turn names that :mod:`pullback._check` has accepted into the codes of a plan."""
    return Plan(
        interpolation=tuple(INTERPOLATIONS[INTERPOLATION_ALIASES.get(name, name)] for name in interpolation),
        border=tuple(BORDERS[name] for name in border),
        crop=EXTENTS[extent] == EXTENTS["crop"],
        fill=fill,
    )
