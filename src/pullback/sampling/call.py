"""One call of a public function: what names, shapes and dtypes decide of it, decided once, and its arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from pullback import _check
from pullback._cache import Hashed, cached, exact, plain
from pullback._layout import Layout
from pullback._plan import INTERPOLATIONS, LATTICES, Lattice, Plan, lattice_of
from pullback.backends import Backend, backend_of


class Reading(NamedTuple):
    """How a caller wants an image read: six arguments of the public functions, as parts of a key of the cache."""

    interpolation: Any
    border: Any
    fill: Any
    extent: Any
    channel_axis: Any
    frame: Any
    is_exact: bool = False  # positions are not rounded, as other libraries do not

    def plan(self, function: str, ndim: int, channels: int, dtype: Any) -> Plan:
        """Return the plan for an image of `ndim` spatial axes, once the names and the fill are known to be right."""
        names = plain(self.interpolation), plain(self.border), self.extent
        return _check.plan(function, ndim, channels, dtype, *names, plain(self.fill))


def reading_of(interpolation: Any, border: Any, fill: Any, extent: Any, channel_axis: Any, frame: Any) -> Reading:
    """Return the arguments of a call, which nothing has checked yet, as parts of a key."""
    return Reading(
        interpolation if type(interpolation) is str else exact(interpolation),
        border if type(border) is str else exact(border),
        fill if type(fill) is int else exact(fill),
        extent,
        channel_axis if channel_axis is None else exact(channel_axis),
        frame,
    )


@dataclass(frozen=True, eq=False)
class Recipe(Hashed):
    """All of a call but its arrays.

    Attributes
    ----------
    layout : Layout
        Of the caller's image.
    batched : bool
        Whether the result has a batch axis.
    shape : tuple of int
        Of the canonical result, (batch, channel, *lattice).
    restored_shape : tuple of int
        Of the result in the caller's layout.
    copies : bool
        Whether values are copies of samples, whatever their dtype.
    prefilters : bool
        Whether what is read are spline coefficients.
    """

    layout: Layout
    plan: Plan
    lattice: Lattice
    batched: bool
    shape: tuple[int, ...]
    restored_shape: tuple[int, ...]
    copies: bool
    prefilters: bool


def recipe_of(layout: Layout, plan: Plan, lattice: Lattice, batched: bool, batch: int, channels: int) -> Recipe:
    """Return the recipe of a call that is known to be right."""
    shape = (batch, channels, *lattice.shape)
    copies = set(plan.interpolation) <= {INTERPOLATIONS["nearest"], INTERPOLATIONS["label"]}
    restored = layout.restored_shape(shape, batched)
    return Recipe(layout, plan, lattice, batched, shape, restored, copies, any(plan.prefilter))


@dataclass(eq=False)
class Call:
    """What a backend needs, and how its result goes back to the caller.

    Attributes
    ----------
    image : array or tensor, (N, C, *spatial)
        A view of the caller's image.
    geometry : array or tensor
        What the kind of ``recipe.lattice`` asks for.
    """

    function: str
    backend: Backend
    image: Any
    geometry: Any
    recipe: Recipe

    @property
    def plan(self) -> Plan:
        """How samples are read."""
        return self.recipe.plan

    @property
    def lattice(self) -> Lattice:
        """The output lattice."""
        return self.recipe.lattice

    @property
    def copies(self) -> bool:
        """Whether values are copies of samples, whatever their dtype."""
        return self.recipe.copies

    def apart_from(self, out: Any) -> Call:
        """Return this call with nothing that it reads in the memory of `out`, which it will write to."""
        read = {"image": self.image, "geometry": self.geometry}
        shared = {name: array.copy(order="K") for name, array in read.items() if np.may_share_memory(array, out)}
        return replace(self, **shared) if shared else self

    def samples(self) -> Any:
        """Return what the kernels read: the image, or its spline coefficients."""
        return self.backend.prefilter(self.image, self.recipe.plan) if self.recipe.prefilters else self.image

    def pull(self, image: Any, plan: Plan, dtype: Any, out: Any = None) -> Any:
        """Read a canonical image, (1 or N, any channels, *spatial), as the call reads its own."""
        if out is None:
            return self.backend.pull(image, self.geometry, self.recipe.lattice, plan, dtype)
        return self.backend.pull(image, self.geometry, self.recipe.lattice, plan, dtype, out=out)

    def vjp(self, image: Any, plan: Plan, grad: Any) -> tuple[Any, Any]:
        """Return the gradients of ``(grad * pull(image, plan)).sum()`` in the image and in the geometry."""
        grads: tuple[Any, Any] = self.backend.vjp(image, self.geometry, grad, self.recipe.lattice, plan)
        return grads

    def canonical(self, values: Any) -> Any:
        """View an array of the result's shape canonically."""
        recipe = self.recipe
        return recipe.layout.canonical(values, len(recipe.lattice.shape), recipe.batched)

    def restore(self, values: Any) -> Any:
        """View canonical values as the caller expects them."""
        recipe = self.recipe
        return recipe.layout.restore(values, len(recipe.lattice.shape), recipe.batched)

    def restore_image(self, image: Any) -> Any:
        """View a canonical image in the layout of the caller's image."""
        layout = self.recipe.layout
        return layout.restore(image, layout.ndim, layout.batch)


def canonical_image(function: str, image: Any, ndim: int, channel_axis: int | None) -> tuple[Backend, Any, Layout]:
    """Return the backend for an image of `ndim` spatial axes, the image in canonical form, and its layout."""
    backend = backend_of(image)
    _check.unmasked(function, "image", image)
    image = backend.as_image(function, "image", image)
    layout = _check.layout(function, tuple(image.shape), ndim, channel_axis)
    if layout.unlikely and backend.name == "numpy":
        _check.warn_of_layout(function, image.shape, layout)
    return backend, layout.canonical(image, ndim, layout.batch), layout


def call_at(function: str, image: Any, coords: Any, reading: Reading) -> Call:
    """Return the call that reads `image` at `coords`."""
    backend = backend_of(image)
    image = backend.as_image(function, "image", image)
    _check.unmasked(function, "coords", coords)
    coords = backend.as_coordinates(function, coords, image)
    shape = tuple(image.shape)
    recipe = _recipe_at(function, shape, image.dtype, tuple(coords.shape), reading)
    layout = recipe.layout
    if layout.unlikely and backend.name == "numpy":
        _check.warn_of_layout(function, shape, layout)
    coords = coords if layout.batch else coords[None]
    return Call(function, backend, layout.canonical(image, layout.ndim, layout.batch), coords, recipe)


@cached
def _recipe_at(function: str, shape: tuple[int, ...], dtype: Any, coords: tuple[int, ...], reading: Reading) -> Recipe:
    ndim = _check.coordinates(function, coords)
    layout = _check.layout(function, shape, ndim, plain(reading.channel_axis))
    images, channels, *spatial = layout.canonical_shape(shape)
    if layout.batch:
        _check.batched_coordinates(function, images, coords)
    else:
        coords = (1, *coords)
    batch = _check.batches(function, images, coords[0], "coords")
    plan = reading.plan(function, ndim, channels, dtype)
    _check.spatial(function, tuple(spatial), plain(reading.border))
    name, kind, output = _check.frame(function, reading.frame), LATTICES["given"], coords[1:-1]
    lattice = lattice_of(kind, output, name, tuple(spatial))
    return recipe_of(layout, plan, lattice, layout.batch, batch, channels)
