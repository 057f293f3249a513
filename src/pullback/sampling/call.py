"""One call of a public function: its arguments checked once, its arrays in canonical form, its plan made."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

from pullback import _check
from pullback._layout import Layout
from pullback._plan import INTERPOLATIONS, LATTICES, Lattice, Plan, frames_of, is_reversed
from pullback.backends import backend_of


@dataclass(frozen=True)
class Call:
    """What a backend needs, and how its result goes back to the caller.

    Attributes
    ----------
    image : array or tensor, (N, C, *spatial)
        A view of the caller's image.
    geometry : array or tensor
        What the kind of `lattice` asks for.
    batched : bool
        Whether the result has a batch axis.
    """

    function: str
    backend: ModuleType
    image: Any
    geometry: Any
    lattice: Lattice
    plan: Plan
    layout: Layout
    batched: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the canonical result."""
        batch = _check.batches(self.function, self.image.shape[0], self.geometry.shape[0], "geometry")
        return (batch, self.image.shape[1], *self.lattice.shape)

    @property
    def restored_shape(self) -> tuple[int, ...]:
        """Shape of the result in the caller's layout."""
        return self.layout.restored_shape(self.shape, self.batched)

    @property
    def copies(self) -> bool:
        """Whether values are copies of samples, whatever their dtype."""
        return set(self.plan.interpolation) <= {INTERPOLATIONS["nearest"], INTERPOLATIONS["label"]}

    def samples(self) -> Any:
        """Return what the kernels read: the image, or its spline coefficients."""
        return self.backend.prefilter(self.image, self.plan) if any(self.plan.prefilter) else self.image

    def pull(self, image: Any, plan: Plan, dtype: Any, out: Any = None) -> Any:
        """Read a canonical image, (1 or N, any channels, *spatial), as the call reads its own."""
        if out is None:
            return self.backend.pull(image, self.geometry, self.lattice, plan, dtype)
        return self.backend.pull(image, self.geometry, self.lattice, plan, dtype, out=out)

    def vjp(self, image: Any, plan: Plan, grad: Any) -> tuple[Any, Any]:
        """Return the gradients of ``(grad * pull(image, plan)).sum()`` in the image and in the geometry."""
        grads: tuple[Any, Any] = self.backend.vjp(image, self.geometry, grad, self.lattice, plan)
        return grads

    def canonical(self, values: Any) -> Any:
        """View an array of the result's shape canonically."""
        return self.layout.canonical(values, len(self.lattice.shape), self.batched)

    def restore(self, values: Any) -> Any:
        """View canonical values as the caller expects them."""
        return self.layout.restore(values, len(self.lattice.shape), self.batched)

    def restore_image(self, image: Any) -> Any:
        """View a canonical image in the layout of the caller's image."""
        return self.layout.restore(image, self.layout.ndim, self.layout.batch)


def canonical_image(function: str, image: Any, ndim: int, channel_axis: int | None) -> tuple[ModuleType, Any, Layout]:
    """Return the backend for an image of `ndim` spatial axes, the image in canonical form, and its layout."""
    backend = backend_of(image)
    _check.unmasked(function, "image", image)
    image = backend.as_image(function, "image", image)
    layout = _check.layout(function, tuple(image.shape), ndim, channel_axis, numpy=backend.name == "numpy")
    return backend, layout.canonical(image, ndim, layout.batch), layout


def call_at(
    function: str,
    image: Any,
    coords: Any,
    *,
    interpolation: Any,
    border: Any,
    fill: Any,
    extent: Any,
    channel_axis: int | None,
    frame: str,
) -> Call:
    """Return the call that reads `image` at `coords`."""
    backend = backend_of(image)
    image = backend.as_image(function, "image", image)
    coords = backend.as_coordinates(function, coords, image)
    ndim = _check.coordinates(function, tuple(coords.shape))
    layout = _check.layout(function, tuple(image.shape), ndim, channel_axis, numpy=backend.name == "numpy")
    if layout.batch:
        _check.batched_coordinates(function, image.shape[0], tuple(coords.shape))
    else:
        coords = coords[None]
    image = layout.canonical(image, ndim, layout.batch)
    _check.batches(function, image.shape[0], coords.shape[0], "coords")
    spatial = tuple(image.shape[2:])
    plan = _check.plan(function, ndim, image, interpolation, border, extent, fill)
    _check.spatial(function, spatial, border)
    name, kind, output = _check.frame(function, frame), LATTICES["given"], tuple(coords.shape[1:-1])
    lattice = Lattice(kind, output, *frames_of(name, kind, spatial, output), is_reversed(name), name)
    return Call(function, backend, image, coords, lattice, plan, layout, layout.batch)
