"""Chains: several transforms, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NoReturn, TypeGuard

import numpy as np

from pullback._arrays import Array, as_arrays, multiply, namespace
from pullback.transforms.base import Transform
from pullback.transforms.deformation import Deformation, check_extent
from pullback.transforms.matrix import MatrixTransform


class Chain(Deformation):
    """Several transforms, one after the other, as matrices multiply: ``Chain(a, b, c)(p) = a(b(c(p)))``.

    Parameters
    ----------
    *transforms : Transform
        One or more, of one number of axes; batches broadcast: M with M, with 1, or with none. Chains among them are
        taken apart, and neighbours that are matrices are multiplied, but for projective maps with one side.

    Attributes
    ----------
    transforms : tuple of Transform
        What is left; the last one acts first.
    parameters : tuple of ndarray or Tensor
        Their parameters.

    Raises
    ------
    ValueError
        If there is no transform, or their axes or batches do not fit each other.
    TypeError
        If an argument is no transform.

    Notes
    -----
    All transforms of a chain are called with the `shape` and the `frame` of the call: a field in a chain spans the
    extent of the output, wherever it stands.

    Examples
    --------
    >>> import numpy as np
    >>> from pullback.transforms import Affine, Chain, Displacement
    >>> shift = Displacement(np.full((4, 5, 2), [1.0, 2.0]))
    >>> both = Chain(Affine.scaling((2.0, 3.0)), shift)
    >>> both([1.0, 1.0])
    array([4., 9.])
    >>> both.inverse()([4.0, 9.0])
    array([1., 1.])
    """

    lattice: ClassVar[str] = "given"

    transforms: tuple[Transform, ...]

    def __init__(self, *transforms: Transform) -> None:
        parts = _simplified(transforms)
        _check_parts(parts)
        object.__setattr__(self, "transforms", parts)
        object.__setattr__(self, "parameters", tuple(part.parameters for part in parts))

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return type(self), self.transforms

    @staticmethod
    def of(*transforms: Transform) -> Transform:
        """Return the chain of `transforms`, or where it is only one transform, as of matrices alone, that one.

        ``a @ b`` is ``Chain.of(a, b)``; `torch.compile` can trace the latter alone.

        Parameters
        ----------
        *transforms : Transform
            One or more, as for the constructor.

        Returns
        -------
        Transform
            A chain of at least two, or the only one.

        Raises
        ------
        ValueError
            If there is no transform, or their axes or batches do not fit each other.
        TypeError
            If an argument is no transform.

        Examples
        --------
        >>> from pullback.transforms import Affine, Chain, Translation
        >>> Chain.of(Affine.scaling((2.0, 3.0)), Translation([1.0, 1.0]))
        Affine([[2, 0, 2], [0, 3, 3]])
        """
        chain = Chain(*transforms)
        return chain.transforms[0] if len(chain.transforms) == 1 else chain

    @classmethod
    def from_parameters(cls, parameters: Array) -> NoReturn:
        """Raise, for parameters alone are no chain; see :meth:`pullback.Transform.from_parameters`.

        Raises
        ------
        TypeError
            Always; :meth:`with_parameters` gives a chain other parameters.
        """
        raise TypeError(
            "Chain.from_parameters: parameters alone are no chain; use `with_parameters` of a chain, or Chain(...)"
        )

    def with_parameters(self, parameters: Array) -> Chain:
        """Return the chain of the same families with other ones; see :meth:`pullback.Transform.with_parameters`.

        Raises
        ------
        ValueError
            If `parameters` is no tuple with the parameters of each transform.
        """
        if not isinstance(parameters, tuple | list) or len(parameters) != len(self.transforms):
            count = len(parameters) if isinstance(parameters, tuple | list) else type(parameters).__name__
            raise ValueError(
                f"Chain.with_parameters: `parameters` is {count}; give a tuple of {len(self.transforms)}, the "
                "parameters of each transform"
            )
        return Chain(*(part.with_parameters(own) for part, own in zip(self.transforms, parameters, strict=True)))

    @property
    def ndim(self) -> int:
        """Number of spatial axes, d."""
        return self.transforms[0].ndim

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """``()`` for one chain, ``(M,)`` for a batch of M."""
        return np.broadcast_shapes(*(part.batch_shape for part in self.transforms))

    def __call__(self, points: Array, *, shape: Sequence[int] | None = None, frame: str = "index") -> Array:
        """Map points of the output to points of the input; see :meth:`pullback.Transform.__call__`.

        The last transform acts first; `shape` and `frame` are passed to each.
        """
        (*_, mapped), nowhere = self._path(points, shape, frame)
        return _marked(mapped, nowhere, float("nan"))

    def jacobian(self, points: Array, *, shape: Sequence[int] | None = None, frame: str = "index") -> Array:
        """Return the product of the derivatives of all transforms; see :meth:`pullback.Transform.jacobian`."""
        (*places, _), _ = self._path(points, shape, frame)
        product = None
        for part, place in zip(reversed(self.transforms), places, strict=True):
            own = part.jacobian(place, shape=shape, frame=frame)
            product = own if product is None else multiply(*as_arrays("Chain.jacobian", first=own, second=product))
        return product

    def points_vjp(
        self, points: Array, grad: Array, *, shape: Sequence[int] | None = None, frame: str = "index"
    ) -> tuple[Array, tuple[Array, ...]]:
        """Differentiate the mapped points backwards; see :meth:`pullback.Transform.points_vjp`.

        The gradients in the parameters are a tuple, one for each transform.
        """
        points, grad = self._check_vjp("Chain.points_vjp", points, grad)
        (*places, _), nowhere = self._path(points, shape, frame)
        grad = _marked(grad, nowhere, 0.0)
        gradients = []
        for part, place in zip(self.transforms, reversed(places), strict=True):
            grad, own = part.points_vjp(place, grad, shape=shape, frame=frame)
            gradients.append(own)
        return grad.reshape(points.shape), tuple(gradients)

    def coordinates(self, shape: Sequence[int], frame: str = "index") -> Array:
        """Return where the points of an output are read from; see :meth:`pullback.Transform.coordinates`.

        The innermost transform's coordinates of the lattice, mapped as points by the others.
        """
        mapped, nowhere = self._located(*check_extent("Chain.coordinates", self.ndim, shape, frame))
        return _marked(mapped, nowhere, float("nan"))

    def coordinates_vjp(self, grad_coordinates: Array, shape: Sequence[int], frame: str = "index") -> tuple[Array, ...]:
        """Pull a gradient in the coordinates back, for NumPy; see :meth:`pullback.Transform.coordinates_vjp`."""
        gradients: tuple[Array, ...] = super().coordinates_vjp(grad_coordinates, shape, frame)
        return gradients

    def inverse(self) -> Transform:
        """Return the chain of the inverses in reverse order; see :meth:`pullback.Transform.inverse`.

        Raises
        ------
        ValueError
            If one of the transforms has no inverse.
        """
        return Chain.of(*(part.inverse() for part in reversed(self.transforms)))

    def numpy(self) -> Chain:
        """Return this chain on float64 NumPy arrays; see :meth:`pullback.Transform.numpy`."""
        return Chain(*(part.numpy() for part in self.transforms))

    def torch(self, device: Any = None, dtype: Any = None) -> Chain:
        """Return this chain on torch tensors; see :meth:`pullback.Transform.torch`."""
        return Chain(*(part.torch(device, dtype) for part in self.transforms))

    def _located(self, shape: tuple[int, ...], frame: str) -> tuple[Array, Array | None]:
        *others, innermost = self.transforms
        points, nowhere = innermost._located(shape, frame)
        points = points[None] if self.batch_shape and not innermost.batch_shape else points
        for part in reversed(others):
            points, nowhere = _further(part, points, nowhere, shape, frame)
        return points, nowhere

    def _path(self, points: Array, shape: Sequence[int] | None, frame: str) -> tuple[list[Array], Array | None]:
        """Return `points` and where they are after each transform, the innermost first, and which end nowhere."""
        (points,) = as_arrays("Chain", points=points)
        self._check_points(points)
        path, nowhere = [points[None] if self.batch_shape and points.ndim == 1 else points], None
        for part in reversed(self.transforms):
            mapped, nowhere = _further(part, path[-1], nowhere, shape, frame)
            path.append(mapped)
        return path, nowhere

    @property
    def _held(self) -> tuple[Array, ...]:
        held: tuple[Array, ...] = self.parameters
        return held

    def __repr__(self) -> str:
        return f"Chain({', '.join(map(repr, self.transforms))})"

    def _describe(self) -> str:
        return ", ".join(map(repr, self.transforms))


def _further(
    part: Transform, points: Array, nowhere: Array | None, shape: Sequence[int] | None, frame: str
) -> tuple[Array, Array | None]:
    """Return where `part` takes points, and which of them are nowhere by now."""
    mapped = part(points, shape=shape, frame=frame)
    lost = part._nowhere(mapped)
    if lost is None:
        return mapped, nowhere
    lost = lost & namespace(mapped).isfinite(as_arrays("Chain", mapped=mapped, points=points)[1]).all(-1)
    # The others map them from any place: from none, no gradient would come back.
    return _marked(mapped, lost, 0.0), lost if nowhere is None else nowhere | lost


def _marked(points: Array, nowhere: Array | None, mark: float) -> Array:
    """Return points, or gradients in them, with `mark` at those that are nowhere."""
    return points if nowhere is None else namespace(points).where(nowhere[..., None], mark, points)


def _simplified(transforms: Sequence[Transform]) -> tuple[Transform, ...]:
    """Return transforms with chains taken apart and neighbouring matrices multiplied."""
    parts: list[Transform] = []
    for transform in transforms:
        if not isinstance(transform, Transform):
            raise TypeError(f"Chain: got {type(transform).__name__}; give transforms")
        for part in transform.transforms if isinstance(transform, Chain) else (transform,):
            before = parts[-1] if parts else None
            if before is not None and _is_factor(before) and _is_factor(part):
                parts[-1] = before._times(part)
            else:
                parts.append(part)
    return tuple(parts)


def _is_factor(part: Transform) -> TypeGuard[MatrixTransform]:
    return isinstance(part, MatrixTransform) and part.multiplies


def _check_parts(parts: tuple[Transform, ...]) -> None:
    if not parts:
        raise ValueError("Chain: there are no transforms; give one or more")
    dimensions = [part.ndim for part in parts]
    if len(set(dimensions)) > 1:
        raise ValueError(f"Chain: the transforms are {dimensions}-D; give transforms of one number of axes")
    counts = [part.batch_shape[0] for part in parts if part.batch_shape]
    if len(set(counts) - {1}) > 1:
        raise ValueError(
            f"Chain: the transforms are batches of {counts}; give equal batches, or ones with single transforms"
        )


Transform._compose = staticmethod(Chain.of)
