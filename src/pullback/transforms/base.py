"""What all transforms share: parameters that are NumPy arrays or tensors, a batch axis, composition, and the checks.

Families whose map is ``q = A p + t`` derive from :class:`MatrixTransform`; they form a chain from narrow to wide,
each of which is a special case of the next, and that is all that composition needs to know about them.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeAlias, overload

import numpy as np

from pullback._arrays import apply_linear, as_arrays, is_tensor, namespace
from pullback._plan import frame_of, is_reversed
from pullback.transforms.fitting import Fitted
from pullback.transforms.storage import Stored
from pullback.transforms.world import Exported

if TYPE_CHECKING:
    from typing import Self

# A float64 NumPy array or a torch tensor: the two share the operations used here, but no type that says so.
Array: TypeAlias = Any

MAX_NDIM = 3


class Transform(Stored, ABC):
    """A map of positions in the output to the positions in the input that they are read from.

    A transform is immutable and holds one array, `parameters`: float64 NumPy, or a tensor with its device, its dtype
    and its autograd graph. One leading axis of that array, if there is one, is a batch of transforms. The families are
    classes of their own; what is said here is true of them all.

    Attributes
    ----------
    parameters : ndarray or Tensor
        The numbers that make this transform one of its family. A NumPy array is a read-only copy.
    lattice : str
        How a kernel comes by the coordinates of an output lattice: ``"affine"``, ``"projective"``, ``"displacement"``
        or ``"free-form"``, made inside the kernel from `geometry` where that :meth:`fits` the output, or ``"given"``.

    See Also
    --------
    pullback.warp : Read an image through a transform.
    pullback.transforms.load : Read a transform of any family from a file.

    Examples
    --------
    >>> import pullback as pb
    >>> step = pb.Translation([0.0, 4.0])
    >>> both = pb.Affine.rotation(90) @ step  # the step first, then the turn
    >>> both([0.0, 1.0])
    array([5., 0.])
    >>> both.inverse()([5.0, 0.0]) + 0.0
    array([0., 1.])
    >>> isinstance(both, pb.Transform)
    True
    """

    parameters: Array
    lattice: ClassVar[str] = "given"

    # The number of trailing axes of `parameters` that belong to one transform.
    _parameter_axes: ClassVar[int] = 1
    # NumPy must leave `array @ transform` to this class, which refuses it, and not try it element by element.
    __array_ufunc__ = None

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable; make a new one from new parameters")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __reduce__(self) -> tuple[Any, tuple[Array]]:
        return type(self).from_parameters, (self.parameters,)

    @classmethod
    def _holding(cls, parameters: Array) -> Self:
        """Return a transform around `parameters` that are known to be of the right kind and shape."""
        transform = object.__new__(cls)
        transform._hold(parameters)
        return transform

    def _hold(self, parameters: Array) -> None:
        if not is_tensor(parameters):
            parameters = np.array(parameters, dtype=np.float64)
            parameters.setflags(write=False)
        object.__setattr__(self, "parameters", parameters)

    @classmethod
    @abstractmethod
    def from_parameters(cls, parameters: Array) -> Self:
        """Return the transform of this family that has the given parameters.

        Parameters
        ----------
        parameters : array_like or Tensor
            Laid out as in the attribute of that name, with a batch axis in front or without.

        Returns
        -------
        Transform
            Of this class: on float64 NumPy arrays, or around the tensor itself, with its autograd graph.

        Raises
        ------
        ValueError
            If the shape is none of this family's.
        TypeError
            If `parameters` holds anything but real numbers; for :class:`pullback.Chain` and
            :class:`pullback.ThinPlateSpline`, which are more than their parameters, always.

        Examples
        --------
        >>> import pullback as pb
        >>> pb.Similarity.from_parameters([2.0, 0.0, 3.0, 4.0])
        Similarity(scale=2, rotation=0, translation=[3, 4])
        """

    def with_parameters(self, parameters: Array) -> Self:
        """Return this transform with other parameters, and with whatever else it holds unchanged.

        Parameters
        ----------
        parameters : array_like or Tensor
            Laid out as in the attribute of that name; of a :class:`pullback.Chain`, a tuple with those of each
            transform.

        Returns
        -------
        Transform
            Of this class.

        Raises
        ------
        ValueError
            If the shape is none of this family's.
        TypeError
            If `parameters` holds anything but real numbers.

        Examples
        --------
        >>> import numpy as np
        >>> import pullback as pb
        >>> pb.Velocity(np.zeros((4, 5, 2)), steps=3).with_parameters(np.ones((4, 5, 2))).steps
        3
        """
        return self.from_parameters(parameters)

    @property
    @abstractmethod
    def ndim(self) -> int:
        """Number of spatial axes, d."""

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """``()`` for one transform, ``(M,)`` for a batch of M."""
        return tuple(self.parameters.shape[: -self._parameter_axes])

    @abstractmethod
    def __call__(self, points: Array, *, shape: Sequence[int] | None = None, frame: str = "index") -> Array:
        """Map points of the output to points of the input.

        Parameters
        ----------
        points : array_like or Tensor, shape (..., d)
            Points, written as the parameters are; for a transform that lives on a lattice, such as a displacement
            field, in `frame`. For a batch of M transforms, ``(M, ..., d)`` or ``(1, ..., d)``: the first axis goes with
            the batch; or ``(d,)``, one point for all of them.
        shape : sequence of int, optional
            The output whose extent the lattice of a transform spans. Default: an output with one pixel for each sample
            of the lattice; :class:`pullback.FreeForm` has no such output, and needs `shape`. Transforms without a
            lattice do not use it.
        frame : {"index", "centered", "normalized", "normalized-corners"}, optional
            What the points, and the vectors on a lattice, are written in, as in :func:`pullback.sample`. Transforms
            without a lattice, which mean the same everywhere, do not use it.

        Returns
        -------
        ndarray or Tensor, shape (..., d)
            The mapped points, in the shape of `points` with the batch axis broadcast. A tensor if the points or the
            parameters are one.

        Raises
        ------
        ValueError
            If the last axis of `points` is not d long, its first does not fit the batch, or `shape` or `frame` is
            wrong.
        TypeError
            If `points` holds anything but real numbers.

        Examples
        --------
        >>> import numpy as np
        >>> import pullback as pb
        >>> pb.Translation([1.0, 2.0])([[0.0, 0.0], [5.0, 5.0]])
        array([[1., 2.],
               [6., 7.]])
        >>> shift = pb.Displacement(np.full((4, 5, 2), [0.5, 0.0]))
        >>> shift([0.0, 0.0], shape=(8, 10), frame="centered")
        array([0.5, 0. ])
        """

    @abstractmethod
    def inverse(self) -> Transform:
        """Return the transform that undoes this one.

        Returns
        -------
        Transform
            For a batch, the batch of the inverses. What it is exact to, and whether there is one at all, each family
            says.

        Raises
        ------
        ValueError
            If there is no inverse, or none that can be computed.

        Examples
        --------
        >>> import pullback as pb
        >>> pb.Translation([1.0, 2.0]).inverse()
        Translation(offset=[-1, -2])
        """

    @abstractmethod
    def jacobian(self, points: Array, *, shape: Sequence[int] | None = None, frame: str = "index") -> Array:
        """Return the derivative of the mapped points in `points`.

        Parameters
        ----------
        points : array_like or Tensor, shape (..., d)
            Where to differentiate: points as in a call of the transform.
        shape : sequence of int, optional
            As in a call.
        frame : {"index", "centered", "normalized", "normalized-corners"}, optional
            As in a call.

        Returns
        -------
        ndarray or Tensor, shape (..., d, d)
            Row i is the derivative of component i. Where the slope of a field jumps from one sample to the next, it is
            that on the side of the larger index.

        Raises
        ------
        ValueError
            If the last axis of `points` is not d long, its first does not fit the batch, or `shape` or `frame` is
            wrong.
        TypeError
            If `points` holds anything but real numbers.

        Examples
        --------
        >>> import pullback as pb
        >>> pb.Affine.scaling((2.0, 3.0)).jacobian([10.0, 10.0])
        array([[2., 0.],
               [0., 3.]])
        """

    def fits(self, shape: Sequence[int], frame: str) -> bool:
        """Tell whether a kernel can generate the coordinates of an output from `geometry`.

        Parameters
        ----------
        shape : sequence of int
            Spatial shape of the output.
        frame : {"index", "centered", "normalized", "normalized-corners"}
            The frame of the call.

        Returns
        -------
        bool
            Whether it can. Where it cannot, :func:`pullback.warp` computes :meth:`coordinates` first, which takes
            memory for d numbers a pixel.

        Examples
        --------
        >>> import numpy as np
        >>> import pullback as pb
        >>> field = pb.Displacement(np.zeros((4, 5, 2)))
        >>> field.fits((4, 5), "index"), field.fits((8, 10), "index")
        (True, False)
        """
        return False

    @property
    def geometry(self) -> Array:
        """What a kernel generates coordinates from, a differentiable function of `parameters`; with their batch.

        Raises
        ------
        TypeError
            If the coordinates of this family are not generated inside the kernels.
        """
        raise TypeError(f"{type(self).__name__}: coordinates of this family are not generated inside the kernels")

    def geometry_vjp(self, grad_geometry: Array) -> Array:
        """Pull the gradient of a scalar in `geometry` back to its gradient in `parameters`.

        Parameters
        ----------
        grad_geometry : ndarray
            The gradient in `geometry`, of its shape.

        Returns
        -------
        ndarray
            The gradient in `parameters`, of their shape.

        Raises
        ------
        ValueError
            If `grad_geometry` has not the shape of `geometry`.
        TypeError
            If the coordinates of this family are not generated inside the kernels.

        Examples
        --------
        >>> import numpy as np
        >>> import pullback as pb
        >>> pb.Translation([1.0, 2.0]).geometry_vjp(np.arange(6.0).reshape(2, 3))
        array([2., 5.])
        """
        raise TypeError(f"{type(self).__name__}: coordinates of this family are not generated inside the kernels")

    def coordinates(self, shape: Sequence[int], frame: str = "index") -> Array:
        """Return where the points of an output lattice are read from.

        Differentiable in `parameters` where they are tensors; for NumPy see :meth:`coordinates_vjp`.

        Parameters
        ----------
        shape : sequence of int
            Spatial shape of the output.
        frame : {"index", "centered", "normalized", "normalized-corners"}, optional
            What coordinates are written in, those of the output's points and those that are returned, as in
            :func:`pullback.warp`.

        Returns
        -------
        ndarray or Tensor, ``(..., *shape, d)``
            Positions in the input, with an axis for the batch of transforms in front if there is one. float64; for
            tensors in the dtype of the parameters.

        Raises
        ------
        ValueError
            If `shape` has not one side for each axis; for transforms other than matrices, if `frame` is none of these.

        Examples
        --------
        >>> import pullback as pb
        >>> pb.Translation([0.0, 10.0]).coordinates((1, 3))
        array([[[ 0., 10.],
                [ 0., 11.],
                [ 0., 12.]]])
        """
        points = points_like(self.parameters, tuple(shape), frame)
        return self(points[None] if self.batch_shape else points, shape=shape, frame=frame)

    def coordinates_vjp(self, grad_coordinates: Array, shape: Sequence[int], frame: str = "index") -> Array:
        """Pull the gradient of a scalar in :meth:`coordinates` back to its gradient in `parameters`, for NumPy.

        Parameters
        ----------
        grad_coordinates : array_like, ``(..., *shape, d)``
            The gradient in what ``coordinates(shape, frame)`` returns, of its shape.
        shape : sequence of int
            Spatial shape of the output.
        frame : {"index", "centered", "normalized", "normalized-corners"}, optional
            As in :meth:`coordinates`.

        Returns
        -------
        ndarray
            The gradient in `parameters`, of their shape; of a :class:`pullback.Chain`, a tuple.

        Raises
        ------
        ValueError
            If a shape does not fit, or `frame` is none of these.
        TypeError
            If an array, or the transform, is on tensors, which have their derivatives by ``backward``; for matrices
            other than :class:`pullback.Projective`, always: see :meth:`geometry_vjp`.

        Examples
        --------
        >>> import numpy as np
        >>> import pullback as pb
        >>> field = pb.Displacement(np.zeros((1, 2, 2)))
        >>> field.coordinates_vjp(np.ones((1, 4, 2)), (1, 4))
        array([[[2., 2.],
                [2., 2.]]])
        """
        raise TypeError(f"{type(self).__name__}: coordinates of this family are generated inside the kernels")

    def __matmul__(self, other: Transform) -> Transform:
        """Return the transform that applies `other` first and then this one; no image is resampled in between.

        Parameters
        ----------
        other : Transform
            With as many axes. Batches broadcast: M with M, with 1, or with none.

        Returns
        -------
        Transform
            Of two matrices, a matrix, of the narrowest family that holds both; otherwise a :class:`pullback.Chain`.

        Raises
        ------
        ValueError
            If the axes or the batches of the two do not fit each other.
        TypeError
            If `other` is no transform.

        Examples
        --------
        >>> import pullback as pb
        >>> pb.Affine.scaling(2.0) @ pb.Translation([1.0, 0.0])
        Affine([[2, 0, 2], [0, 2, 0]])
        """
        if not isinstance(other, Transform):
            return NotImplemented
        from pullback.transforms.chain import Chain

        return Chain.of(self, other)

    def numpy(self) -> Self:
        """Return this transform on float64 NumPy arrays, cut off from any autograd graph.

        Returns
        -------
        Transform
            Of this class; this one itself, if it is on NumPy arrays already.

        Examples
        --------
        >>> import torch
        >>> import pullback as pb
        >>> pb.Translation(torch.tensor([1.0, 2.0], requires_grad=True)).numpy()
        Translation(offset=[1, 2])
        """
        if not is_tensor(self.parameters):
            return self
        return self.with_parameters(self.parameters.detach().cpu().double().numpy())

    def torch(self, device: Any = None, dtype: Any = None) -> Self:
        """Return this transform on torch tensors.

        Parameters
        ----------
        device : torch.device or str, optional
            Where to put the parameters. Default: where they are; the CPU for NumPy arrays.
        dtype : torch.dtype, optional
            A floating-point dtype. Default: the one they have; float64 for NumPy arrays.

        Returns
        -------
        Transform
            Of this class. Gradients pass through the conversion of tensors.

        Raises
        ------
        TypeError
            If `dtype` is not a floating-point dtype.

        Examples
        --------
        >>> from pullback.transforms import Translation
        >>> Translation([1.0, 2.0]).torch().parameters.dtype
        torch.float64
        """
        import torch

        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(
                f"{type(self).__name__}.torch: `dtype` is {dtype}; give a floating-point dtype such as torch.float32"
            )
        parameters = self.parameters
        if not is_tensor(parameters):
            parameters = torch.tensor(parameters)
        return self.with_parameters(parameters.to(device=device, dtype=dtype))

    def __repr__(self) -> str:
        name, parameters = type(self).__name__, self.parameters
        kind = f"{parameters.dtype}, {parameters.device}" if is_tensor(parameters) else ""
        if self.batch_shape or (kind and parameters.is_meta):
            count = f"batch of {self.batch_shape[0]}" if self.batch_shape else "one"
            return f"{name}({count}, {self.ndim}-D, {kind or 'numpy'})"
        return f"{name}({self.numpy()._describe()}{', ' if kind else ''}{kind})"

    @abstractmethod
    def _describe(self) -> str:
        """Return the arguments of the constructor as text, for a transform on NumPy arrays without a batch axis."""


class MatrixTransform(Exported, Fitted, Transform):
    """A transform ``q = A p + t``, given by its matrix ``[A | t]`` of shape ``(..., d, d + 1)``.

    :class:`pullback.Projective`, the widest family, has the last row as well: ``(..., d + 1, d + 1)``. The families
    form a chain from narrow to wide, :class:`pullback.Translation`, :class:`pullback.Euclidean`,
    :class:`pullback.Similarity`, :class:`pullback.Affine` and Projective; a product is of the narrowest that holds both
    factors.

    Examples
    --------
    >>> import pullback as pb
    >>> turn, step = pb.Euclidean.rotation(90), pb.Translation([1.0, 0.0])
    >>> type(turn @ step).__name__, type(pb.Affine.shear(0.5) @ step).__name__
    ('Euclidean', 'Affine')
    >>> step.matrix
    array([[1., 0., 1.],
           [0., 1., 0.]])
    """

    lattice: ClassVar[str] = "affine"

    # The place in the chain of families: each family is a special case of every family with a larger number.
    _generality: ClassVar[int]

    @property
    @abstractmethod
    def matrix(self) -> Array:
        """The matrix ``[A | t]``, ``(..., d, d + 1)``, a differentiable function of `parameters`."""

    @property
    def homogeneous(self) -> Array:
        """The matrix with the row (0, ..., 0, 1) below, ``(..., d + 1, d + 1)``.

        Examples
        --------
        >>> from pullback.transforms import Translation
        >>> Translation([1.0, 2.0]).homogeneous
        array([[1., 0., 1.],
               [0., 1., 2.],
               [0., 0., 1.]])
        """
        matrix = self.matrix
        xp = namespace(matrix)
        zero = xp.zeros_like(matrix[..., :1, :])
        last = xp.concatenate([zero[..., :-1], zero[..., -1:] + 1], -1)
        return xp.concatenate([matrix, last], -2)

    @abstractmethod
    def matrix_vjp(self, grad_matrix: Array) -> Array:
        """Pull the gradient of a scalar in `matrix` back to its gradient in `parameters`.

        Parameters
        ----------
        grad_matrix : array_like or Tensor, shape (..., d, d + 1)
            The gradient in the matrix, of the matrix's shape.

        Returns
        -------
        ndarray or Tensor
            The gradient in the parameters, of the shape of `parameters`.

        Raises
        ------
        ValueError
            If `grad_matrix` has another shape than the matrix.

        Examples
        --------
        The gradient in the angle of a turn, of the entry of its matrix that is the sine:

        >>> import pullback as pb
        >>> pb.Euclidean.rotation(60).matrix_vjp([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]).round(6)
        array([0.5, 0. , 0. ])
        """

    def fits(self, shape: Sequence[int], frame: str) -> bool:
        """Tell that a kernel can generate coordinates from the matrix; see :meth:`pullback.Transform.fits`."""
        return True

    @property
    def geometry(self) -> Array:
        """The matrix."""
        return self.matrix

    def geometry_vjp(self, grad_geometry: Array) -> Array:
        """Pull a gradient in the matrix back to the parameters; see :meth:`pullback.Transform.geometry_vjp`."""
        return self.matrix_vjp(grad_geometry)

    @classmethod
    @abstractmethod
    def identity(cls, ndim: int) -> Self:
        """Return the transform in `ndim` dimensions that leaves every point where it is.

        Parameters
        ----------
        ndim : {1, 2, 3}
            Number of spatial axes, d.

        Returns
        -------
        MatrixTransform
            Of this class, on NumPy arrays.

        Raises
        ------
        ValueError
            If `ndim` is another number.
        TypeError
            If `ndim` is no integer.

        Examples
        --------
        >>> import pullback as pb
        >>> pb.Affine.identity(2)
        Affine([[1, 0, 0], [0, 1, 0]])
        """

    @abstractmethod
    def _widened(self) -> MatrixTransform:
        """Return the same map as a member of the next wider family."""

    @abstractmethod
    def _after(self, other: Self) -> Self:
        """Return ``self @ other`` for a member of the same family, on the same arrays."""

    def __call__(self, points: Array, *, shape: Sequence[int] | None = None, frame: str = "index") -> Array:
        """Map points of the output to points of the input; see :meth:`pullback.Transform.__call__`.

        Points are written as the parameters are; `shape` and `frame` are not used: a matrix means the same everywhere.
        """
        matrix, points = as_arrays(type(self).__name__, matrix=self.matrix, points=points)
        check_points(self, points)
        matrix = facing(matrix, points, self.batch_shape)
        mapped = matrix[..., -1]
        for axis in range(self.ndim):
            mapped = mapped + matrix[..., axis] * points[..., axis, None]
        return mapped

    def jacobian(self, points: Array, *, shape: Sequence[int] | None = None, frame: str = "index") -> Array:
        """Return the matrix's linear part at each of `points`; see :meth:`pullback.Transform.jacobian`."""
        matrix, points = as_arrays(f"{type(self).__name__}.jacobian", matrix=self.matrix, points=points)
        check_points(self, points)
        linear = facing(matrix, points, self.batch_shape)[..., :-1]
        return linear + namespace(points).zeros_like(points)[..., None]

    @overload
    def __matmul__(self, other: MatrixTransform) -> MatrixTransform: ...
    @overload
    def __matmul__(self, other: Transform) -> Transform: ...
    def __matmul__(self, other: Transform) -> Transform:
        """Return the transform that applies `other` first, then this; see :meth:`pullback.Transform.__matmul__`."""
        if not isinstance(other, MatrixTransform):
            return super().__matmul__(other)
        first: MatrixTransform = self
        second: MatrixTransform = other
        _check_composable(first, second)
        first, second = _on_the_same_arrays(first, second)
        while type(first) is not type(second):
            if first._generality < second._generality:
                first = first._widened()
            else:
                second = second._widened()
        return first._after(second)

    def _check_gradient(self, grad_matrix: Array) -> Array:
        name = f"{type(self).__name__}.matrix_vjp"
        _, grad_matrix = as_arrays(name, parameters=self.parameters, grad_matrix=grad_matrix)
        expected = (*self.batch_shape, self.ndim + self._last_rows, self.ndim + 1)
        if tuple(grad_matrix.shape) != expected:
            raise ValueError(
                f"{name}: `grad_matrix` has shape {tuple(grad_matrix.shape)}; give the matrix's, {expected}"
            )
        return grad_matrix


def check_points(transform: Transform, points: Array) -> None:
    """Refuse points that do not have the axes, or the batch, of a transform."""
    name, ndim = type(transform).__name__, transform.ndim
    if points.ndim == 0 or points.shape[-1] != ndim:
        raise ValueError(
            f"{name}: `points` has shape {tuple(points.shape)} but the transform is {ndim}-D; give (..., {ndim})"
        )
    if transform.batch_shape and points.ndim > 1:
        (count,) = transform.batch_shape
        if points.shape[0] != count and 1 not in (points.shape[0], count):
            raise ValueError(
                f"{name}: `points` has shape {tuple(points.shape)} but there are {count} transforms; "
                f"give ({count}, ..., {ndim}), or points[None] to map the same points by each"
            )


def facing(values: Array, points: Array, batch_shape: tuple[int, ...]) -> Array:
    """Return `values` of each transform of a batch, (M, ...), with axes of length 1 for those of `points`."""
    if not batch_shape or points.ndim < 2:
        return values
    return values.reshape(values.shape[0], *(1,) * (points.ndim - 2), *values.shape[1:])


def moments(rows: Array, points: Array, batch_shape: tuple[int, ...]) -> Array:
    """Return the sum of ``rows (points, 1)^T`` over all points, or over those of each transform of a batch, for NumPy.

    Parameters
    ----------
    rows : ndarray, ``(..., r)``
    points : ndarray, ``(..., d)``
        Of axes that broadcast with those of `rows`.

    Returns
    -------
    ndarray, ``(r, d + 1)`` or ``(N, r, d + 1)``
    """
    homogeneous = np.concatenate([points, np.ones_like(points[..., :1])], -1)
    columns = np.broadcast_to(homogeneous, (*rows.shape[:-1], homogeneous.shape[-1]))
    batch = rows.shape[: len(batch_shape)]
    count = math.prod(rows.shape[len(batch) : -1])
    rows, columns = (array.reshape(*batch, count, array.shape[-1]) for array in (rows, columns))
    return np.swapaxes(rows, -1, -2) @ columns


def find_singular(transform: MatrixTransform, matrices: Array, balanced: Array) -> tuple[int, str, float] | None:
    """Look for a matrix whose inverse would not have one correct digit in the dtype of the parameters.

    Parameters
    ----------
    matrices, balanced : ndarray, ``(N, n, n)``
        The matrices, and what of them is judged: those that are not finite as zeros.

    Returns
    -------
    None, or the first such matrix: its number, the words for its place in the batch, and its condition number

    Raises
    ------
    ValueError
        If that matrix is not finite.
    """
    precision = float(namespace(transform.parameters).finfo(transform.parameters.dtype).eps)
    condition = np.linalg.cond(balanced) if len(balanced) else np.ones(0)
    # Of the digits of the dtype, the inverse loses as many as the condition number has.
    singular = ~(condition * precision < 0.1)
    if not singular.any():
        return None
    which = int(np.argmax(singular))
    place = f" of transform {which} of the batch" if transform.batch_shape else ""
    if not np.isfinite(matrices[which]).all():
        raise ValueError(f"{type(transform).__name__}.inverse: the matrix{place} is not finite, so it has no inverse")
    return which, place, float(condition[which])


def points_like(array: Array, shape: tuple[int, ...], frame: str) -> Array:
    """Return the points of an output lattice, ``(*shape, d)``: where `array` is a tensor, made beside it."""
    reading = frame_of(frame, shape, output=True)
    sides = [
        (_indices(n, array) - offset) / scale
        for n, offset, scale in zip(shape, reading.offset, reading.scale, strict=True)
    ]
    xp = namespace(array)
    grid = xp.meshgrid(*sides, indexing="ij")
    points = xp.stack(grid[::-1] if is_reversed(frame) else grid, -1)
    return points.to(array.dtype) if is_tensor(array) else points


def _indices(count: int, like: Array) -> Array:
    if not is_tensor(like):
        return np.arange(count, dtype=np.float64)
    # Half precision has no room for the indices of a large output; what is computed from them is rounded later.
    dtype = like.dtype if like.dtype.itemsize >= 4 else namespace(like).float32
    return namespace(like).arange(count, dtype=dtype, device=like.device)


def lattice_index(points: Array, shape: Sequence[int], frame: str) -> Array:
    """Return where `points`, written in a frame, lie on an output lattice of `shape`, ``(..., d)`` in index units."""
    reading = frame_of(frame, tuple(shape), output=True)
    if is_reversed(frame):
        points = namespace(points).flip(points, (-1,))
    _, scale, offset = as_arrays("lattice_index", points=points, scale=reading.scale, offset=reading.offset)
    return points * scale + offset


def offset_about(function: str, linear: Array, center: Array) -> tuple[Array, Array]:
    """Return `linear` and the offset with which ``linear @ p + offset`` leaves `center` fixed.

    Parameters
    ----------
    function : str
        Name for errors.
    linear : array, shape (..., d, d)
        The linear part.
    center : array, shape (d,) or (N, d), or None
        The fixed point; None is the origin.
    """
    ndim = linear.shape[-1]
    if center is None:
        return linear, namespace(linear).zeros_like(linear[..., 0])
    linear, center = as_arrays(function, linear=linear, center=center)
    if center.ndim not in (1, 2) or center.shape[-1] != ndim:
        raise ValueError(
            f"{function}: `center` has shape {tuple(center.shape)} but the transform is {ndim}-D; "
            f"give ({ndim},) or (N, {ndim})"
        )
    check_batch(function, 1, factors=linear[..., 0], center=center)
    return linear, center - apply_linear(linear, center)


def check_ndim(function: str, ndim: int) -> int:
    """Return `ndim` if it is a number of spatial axes that the library knows."""
    if isinstance(ndim, bool) or not isinstance(ndim, int | np.integer):
        raise TypeError(f"{function}: `ndim` is {ndim!r}; give 1, 2 or 3")
    if not 1 <= ndim <= MAX_NDIM:
        raise ValueError(f"{function}: `ndim` is {ndim}; give 1, 2 or 3")
    return int(ndim)


def check_batch(function: str, axes: int, **values: Array) -> tuple[int, ...]:
    """Return the common batch shape of `values`, of which the last `axes` axes belong to one transform."""
    batch: tuple[int, ...] = ()
    for name, value in values.items():
        own = tuple(value.shape[: value.ndim - axes])
        if len(own) > 1:
            raise ValueError(f"{function}: `{name}` has shape {tuple(value.shape)}; give at most one batch axis")
        if own and batch and own != batch and 1 not in (own[0], batch[0]):
            raise ValueError(
                f"{function}: `{name}` has shape {tuple(value.shape)} but the batch is {batch[0]}; "
                "give batches of one length, or no batch axis"
            )
        batch = own if own and (not batch or batch == (1,)) else batch
    return batch


def _check_composable(first: MatrixTransform, second: MatrixTransform) -> None:
    if first.ndim != second.ndim:
        raise ValueError(
            f"@: the transforms are {first.ndim}-D and {second.ndim}-D ({first!r} and {second!r}); compose equal ones"
        )
    counts = {shape[0] for shape in (first.batch_shape, second.batch_shape) if shape} - {1}
    if len(counts) > 1:
        raise ValueError(
            f"@: the transforms are batches of {first.batch_shape[0]} and {second.batch_shape[0]}; "
            "compose equal batches, or one with a single transform"
        )


def _on_the_same_arrays(first: MatrixTransform, second: MatrixTransform) -> tuple[MatrixTransform, MatrixTransform]:
    one, other = as_arrays("@", first=first.parameters, second=second.parameters)
    return first._holding(one), second._holding(other)
