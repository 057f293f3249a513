"""What a transform is: a map of points with its derivatives, of which there may be a batch, and which composes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pullback._arrays import Array, as_arrays, is_tensor, namespace
from pullback.transforms.parameters import Parametrised
from pullback.transforms.points import check_points, points_like
from pullback.transforms.storage import Stored, StrPath

if TYPE_CHECKING:
    pass


class Transform(Stored, Parametrised):
    """A map of positions in the output to the positions in the input that they are read from.

    A transform is immutable and holds one array, `parameters`: float64 NumPy, or a tensor with its device, its dtype
    and its autograd graph. One leading axis of that array, if there is one, is a batch of transforms. The families are
    classes of their own; what is said here is true of them all.

    A transform is no `torch.nn.Module`: one that is set as an attribute of a module brings no parameters with it.
    :class:`pullback.nn.LearnableTransform` does.

    Attributes
    ----------
    parameters : ndarray or Tensor
        The numbers that make this transform one of its family. A NumPy array is a read-only copy.
    lattice : str
        How a kernel comes by the coordinates of an output lattice: ``"affine"``, ``"projective"``, ``"one-sided"``,
        ``"displacement"`` or ``"free-form"``, made inside the kernel from `geometry` where that :meth:`fits` the
        output, or ``"given"``.

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

    lattice: ClassVar[str] = "given"

    # The number of trailing axes of `parameters` that belong to one transform.
    _parameter_axes: ClassVar[int] = 1
    # How two transforms are chained; the class of chains says so.
    _compose: ClassVar[Callable[..., Transform]]
    # NumPy must leave `array @ transform` to this class, which refuses it, and not try it element by element.
    __array_ufunc__ = None

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

    @abstractmethod
    def points_vjp(
        self, points: Array, grad: Array, *, shape: Sequence[int] | None = None, frame: str = "index"
    ) -> tuple[Array, Array]:
        """Differentiate a function of the mapped points backwards, for NumPy; tensors do it by autograd.

        Parameters
        ----------
        points : array_like, shape (..., d)
            Points as in a call of the transform.
        grad : array_like, shape (..., d)
            The gradient of some scalar in the mapped points, of their shape.
        shape : sequence of int, optional
            As in a call.
        frame : {"index", "centered", "normalized", "normalized-corners"}, optional
            As in a call.

        Returns
        -------
        grad_points : ndarray
            Of the shape of `points`.
        grad_parameters : ndarray
            Of the shape of `parameters`; of a :class:`pullback.Chain`, a tuple.

        Raises
        ------
        ValueError
            If a shape does not fit.
        TypeError
            If an array, or the transform, is on tensors.

        Examples
        --------
        >>> import numpy as np
        >>> import pullback as pb
        >>> field = pb.Displacement([[0.0], [3.0]])
        >>> field.points_vjp([0.25], [1.0])
        (array([4.]), array([[0.75],
               [0.25]]))
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
        return self(self._lattice_points(tuple(shape), frame), shape=shape, frame=frame)

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
            If an array, or the transform, is on tensors, which have their derivatives by ``backward``.

        Examples
        --------
        >>> import numpy as np
        >>> import pullback as pb
        >>> field = pb.Displacement(np.zeros((1, 2, 2)))
        >>> field.coordinates_vjp(np.ones((1, 4, 2)), (1, 4))
        array([[[2., 2.],
                [2., 2.]]])
        """
        return self.points_vjp(self._lattice_points(tuple(shape), frame), grad_coordinates, shape=shape, frame=frame)[1]

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
        return self._compose(self, other)

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

    @property
    def _held(self) -> tuple[Array, ...]:
        """The arrays that the parameters are in: one, but of a chain several."""
        return (self.parameters,)

    def _lattice_points(self, shape: tuple[int, ...], frame: str) -> Array:
        """Return the points of an output lattice as a call takes them: ``(*shape, d)``, with an axis for a batch."""
        points = points_like(next(filter(is_tensor, self._held), self._held[0]), shape, frame)
        return points[None] if self.batch_shape else points

    def _located(self, shape: tuple[int, ...], frame: str) -> tuple[Array, Array | None]:
        """Return :meth:`coordinates`, of any value at the points that are read from nowhere, and which those are.

        ``None`` where every point is read from somewhere.
        """
        mapped = self.coordinates(shape, frame)
        nowhere = self._nowhere(mapped)
        return (
            (mapped, None) if nowhere is None else (namespace(mapped).where(nowhere[..., None], 0.0, mapped), nowhere)
        )

    def _nowhere(self, mapped: Array) -> Array | None:
        """Return which finite points have no image, by what they are mapped to; None for maps that leave none out."""
        return None

    def _check_points(self, points: Array) -> None:
        check_points(type(self).__name__, self.ndim, self.batch_shape, points)

    def _check_vjp(self, function: str, points: Array, grad: Array) -> tuple[Array, Array]:
        """Return the points and the gradient that a vector-Jacobian product is given, as NumPy arrays that fit."""
        if any(map(is_tensor, (*self._held, points, grad))):
            raise TypeError(f"{function}: takes NumPy arrays; for tensors, call backward() on a function of the points")
        points, grad = as_arrays(function, points=points, grad=grad)
        self._check_points(points)
        batch = self.batch_shape
        axes = max(points.ndim, 1 + len(batch))
        expected = np.broadcast_shapes(points.shape, batch + (1,) * (axes - 1) if batch else ())
        if grad.shape != expected:
            raise ValueError(f"{function}: `grad` has shape {grad.shape}; give that of the mapped points, {expected}")
        return points, grad


def load(path: StrPath) -> Transform:
    """Read a transform of any family from a file that :meth:`pullback.Transform.save` wrote.

    Parameters
    ----------
    path : str or path
        The file. What it holds says whether it is JSON or npz, not its name.

    Returns
    -------
    Transform
        On float64 NumPy arrays, of the family that was saved.

    Raises
    ------
    ValueError
        If the file is damaged, was written by something else or by a later version, or holds a family that is not known
        here.
    OSError
        If there is no such file.

    See Also
    --------
    pullback.Transform.load : The same, for one family if it is called on its class.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from pullback.transforms import Affine, load
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "turn.json")
    ...     Affine.rotation(90).save(path)
    ...     load(path)
    Affine([[0, 1, 0], [-1, 0, 0]])
    """
    return Transform._read("load", path)
