"""Vectors on a lattice, read by the backend of their array; beyond the lattice they go on as at its edge."""

from __future__ import annotations

from dataclasses import dataclass

from pullback._arrays import Array
from pullback._cache import cached
from pullback._layout import Layout
from pullback._plan import LATTICES, Lattice, Plan, constant, lattice_of, make_plan
from pullback.backends import Backend, backend_of


@dataclass(frozen=True)
class VectorPull:
    """Vectors and where they are read, as a backend takes both.

    Attributes
    ----------
    image : array or tensor, (1 or N, c, *S)
        The components of the vectors as channels.
    geometry : array or tensor
        What the kind of `lattice` asks for.
    """

    backend: Backend
    image: Array
    geometry: Array
    lattice: Lattice
    plan: Plan
    layout: Layout

    def values(self) -> Array:
        """Return the vectors, ``(..., c)``."""
        return self._restored(self.backend.pull(self.image, self.geometry, self.lattice, self.plan, self.image.dtype))

    def slopes(self) -> Array:
        """Return how they change along each axis, ``(..., c, d)``."""
        return self._restored(self.backend.gradient(self.image, self.geometry, self.lattice, self.plan))

    def vjp(self, grad: Array) -> tuple[Array, Array]:
        """Return the gradients of ``(grad * values()).sum()`` in the vectors and in the geometry, for NumPy."""
        grad = self.layout.canonical(grad, len(self.lattice.shape), self.layout.batch)
        grad_image, grad_geometry = self.backend.vjp(self.image, self.geometry, grad, self.lattice, self.plan)
        grad_vectors = self.layout.restore(grad_image, self.layout.ndim, self.layout.batch)
        return grad_vectors, grad_geometry if self.layout.batch else grad_geometry[0]

    def _restored(self, values: Array) -> Array:
        return self.layout.restore(values, len(self.lattice.shape), self.layout.batch)


def pull_at(vectors: Array, places: Array, interpolation: str) -> VectorPull:
    """Return the pull of `vectors` at given places.

    Parameters
    ----------
    vectors : ndarray or Tensor, ``(*S, c)`` or ``(N, *S, c)``
    places : ndarray or Tensor, ``(..., d)``, or ``(1 or N, ..., d)`` for a batch of vectors
        Where on the lattice, in samples.
    interpolation : str
        One that takes no prefilter.
    """
    places = backend_of(vectors).as_coordinates("pull_at", places, vectors)
    return _pull(vectors, places, "given", interpolation)


def pull_along(vectors: Array) -> VectorPull:
    """Return the pull of `vectors`, ``(*S, d)`` or ``(N, *S, d)``, where they take the samples of their lattice.

    They are read with cubic interpolation: they are to be read again and again, and each linear read would blunt them.
    """
    return _pull(vectors, vectors, "displacement", "cubic")


def _pull(vectors: Array, geometry: Array, kind: str, interpolation: str) -> VectorPull:
    ndim = constant(geometry.shape[-1])
    layout = Layout(ndim, vectors.ndim == ndim + 2, 0)
    image = layout.canonical(vectors, ndim, layout.batch)
    geometry = geometry if layout.batch else geometry[None]
    lattice, plan = _lattice_and_plan(kind, interpolation, tuple(geometry.shape[1:]))
    return VectorPull(backend_of(vectors), image, geometry, lattice, plan, layout)


@cached
def _lattice_and_plan(kind: str, interpolation: str, shape: tuple[int, ...]) -> tuple[Lattice, Plan]:
    """Return how vectors are read at points of `shape`, ``(*lattice, d)``; in samples, which are the same anywhere."""
    *lattice, ndim = shape
    plan = make_plan((interpolation,) * ndim, ("edge",) * ndim, "blend", (0.0,))
    return lattice_of(LATTICES[kind], tuple(lattice), "index", (0,) * ndim), plan
