"""Matrices as OpenCV, scikit-image and PyTorch write them.

A matrix here maps positions of the output to positions of the input, in the order of the array axes: (y, x) in 2-D.
Others differ in the order of the axes, in the direction, and in the units:

===========================  ==============  =================================  ===============================
library                      axes            direction                          units
===========================  ==============  =================================  ===============================
OpenCV                       (x, y)          input to output; output to input   pixels
                                             with ``WARP_INVERSE_MAP``
scikit-image                 (x, y);         output to input, in ``warp``       pixels
                             3-D (z, y, x)
PyTorch's ``affine_grid``    (x, y, z)       output to input                    -1 to 1, by `align_corners`
===========================  ==============  =================================  ===============================

Pixel k lies at coordinate k in OpenCV and scikit-image, as in the frame "index". Transforms that are converted, from
or to any of these, are those of a call in that frame, the default. PyTorch's `theta` can also be used as it is:
``warp(image, Affine(theta), frame="normalized")``, or "normalized-corners" where `align_corners` is True.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pullback._arrays import apply_linear, as_arrays, beside
from pullback._plan import MAX_NDIM, Frame, constant, frame_of

if TYPE_CHECKING:
    from typing import Self

    from pullback._arrays import Array


class Exported:
    """A transform by a matrix, which other libraries can take."""

    # How many rows the matrix has beyond d.
    _last_rows: ClassVar[int] = 0

    if TYPE_CHECKING:

        @property
        def ndim(self) -> int: ...  # noqa: D102
        @property
        def matrix(self) -> Array: ...  # noqa: D102
        @property
        def homogeneous(self) -> Array: ...  # noqa: D102
        def inverse(self) -> Any: ...  # noqa: D102

    def to_cv2(self, inverse_map: bool = False) -> Array:
        """Return the matrix with which OpenCV's ``warpAffine``, or ``warpPerspective``, warps as this transform does.

        Parameters
        ----------
        inverse_map : bool
            Whether the matrix is to be used with the flag ``WARP_INVERSE_MAP``. Without it, OpenCV takes the map from
            the input to the output, which is the inverse of this transform.

        Returns
        -------
        ndarray or Tensor, shape (..., 2, 3); of a projective map (..., 3, 3)
            In the order (x, y), for positions in pixels.

        Raises
        ------
        ValueError
            If the transform is not 2-D, or `inverse_map` is False and it has no inverse.

        Examples
        --------
        >>> from pullback.transforms import Translation
        >>> Translation([1.0, 2.0]).to_cv2()
        array([[ 1.,  0., -2.],
               [ 0.,  1., -1.]])
        >>> Translation([1.0, 2.0]).to_cv2(inverse_map=True)
        array([[1., 0., 2.],
               [0., 1., 1.]])
        """
        if self.ndim != 2:
            raise ValueError(f"{type(self).__name__}.to_cv2: the transform is {self.ndim}-D; OpenCV's matrices are 2-D")
        transform = self if inverse_map else self.inverse()
        return reversed_axes(transform.matrix)

    def to_skimage(self) -> Array:
        """Return the matrix with which scikit-image's ``warp`` warps as this transform does.

        Returns
        -------
        ndarray or Tensor, shape (..., d + 1, d + 1)
            The `params` of an ``AffineTransform`` or ``ProjectiveTransform``: in 2-D in the order (x, y). ``warp``
            takes no 3-D matrices; those that scikit-image's classes have there are applied to whatever coordinates
            they are given, and this one is in the order of the array axes, (z, y, x), as is
            ``warp(volume, tform(indices))``.

        Examples
        --------
        >>> from pullback.transforms import Translation
        >>> Translation([1.0, 2.0]).to_skimage()
        array([[1., 0., 2.],
               [0., 1., 1.],
               [0., 0., 1.]])
        """
        return reversed_axes(self.homogeneous) if self.ndim == 2 else self.homogeneous

    def to_torch_theta(self, shape_in: Sequence[int], shape_out: Sequence[int], align_corners: bool = False) -> Array:
        """Return the `theta` with which PyTorch's ``affine_grid`` and ``grid_sample`` warp as this transform does.

        Parameters
        ----------
        shape_in, shape_out : sequence of int
            The spatial shapes of the image and of the output, in the order of the array axes.
        align_corners : bool
            As in both of PyTorch's functions.

        Returns
        -------
        ndarray or Tensor, shape (..., d, d + 1)
            In the order (x, y) or (x, y, z). ``affine_grid`` wants a batch, ``theta[None]``, and a tensor.

        Raises
        ------
        ValueError
            If a shape does not fit the transform, or, with `align_corners`, a side of the image is one pixel: PyTorch
            then reads that pixel, whatever theta is.
        TypeError
            If the transform is projective.

        Examples
        --------
        >>> from pullback.transforms import Translation
        >>> Translation([0.0, 2.0]).to_torch_theta((4, 8), (4, 8))
        array([[1. , 0. , 0.5],
               [0. , 1. , 0. ]])
        """
        name = f"{type(self).__name__}.to_torch_theta"
        _refuse_projective(name, self._last_rows)
        frame_in, frame_out = _frames(name, self.ndim, shape_in, shape_out, align_corners)
        if 0.0 in frame_in.scale:
            raise ValueError(
                f"{name}: `shape_in` is {tuple(shape_in)} and `align_corners` is True; PyTorch reads a side of one "
                "pixel at that pixel, whatever theta is"
            )
        matrix, scale_in, offset_in, scale_out, offset_out = as_arrays(
            name,
            matrix=self.matrix,
            scale_in=frame_in.scale,
            offset_in=frame_in.offset,
            scale_out=frame_out.scale,
            offset_out=frame_out.offset,
        )
        linear = matrix[..., :-1] * scale_out / scale_in[:, None]
        offset = (apply_linear(matrix[..., :-1], offset_out) + matrix[..., -1] - offset_in) / scale_in
        return reversed_axes(beside(linear, offset[..., None]))


class Imported(Exported):
    """A family of matrices that is wide enough to hold those of other libraries."""

    if TYPE_CHECKING:

        @classmethod
        def from_parameters(cls, parameters: Array) -> Self: ...  # noqa: D102
        @classmethod
        def _from_homogeneous(cls, function: str, matrix: Array) -> Self: ...

    @classmethod
    def from_homogeneous(cls, matrix: Array) -> Self:
        """Return the transform of a square matrix ``[[A, t], [c, w]]`` in the order of the array axes.

        Parameters
        ----------
        matrix : array_like or Tensor, shape (d + 1, d + 1) or (N, d + 1, d + 1)
            A matrix, which means the same map as its multiples. For an affine map c is 0, and w is divided by.

        Returns
        -------
        Transform
            Of this class: one, or a batch of N.

        Raises
        ------
        ValueError
            If `matrix` has another shape; for an affine map, if c is not 0, or w is.

        Notes
        -----
        For an affine map the check looks at the values, so on an accelerator it waits for them.

        Examples
        --------
        >>> from pullback.transforms import Affine
        >>> Affine.from_homogeneous([[2.0, 0.0, 4.0], [0.0, 2.0, 6.0], [0.0, 0.0, 2.0]])
        Affine([[1, 0, 2], [0, 1, 3]])
        """
        name = f"{cls.__name__}.from_homogeneous"
        return cls._from_homogeneous(name, _square(name, "matrix", matrix))

    @classmethod
    def from_cv2(cls, matrix: Array, inverse_map: bool = False) -> Self:
        """Return the transform that warps as OpenCV's ``warpAffine``, or ``warpPerspective``, does with `matrix`.

        Parameters
        ----------
        matrix : array_like or Tensor
            For an affine map ``(2, 3)`` or ``(N, 2, 3)``, as of ``cv2.getRotationMatrix2D``; for a projective map
            ``(3, 3)`` or ``(N, 3, 3)``, as of ``cv2.getPerspectiveTransform``. In the order (x, y), for positions in
            pixels.
        inverse_map : bool
            Whether the matrix is used with the flag ``WARP_INVERSE_MAP``, that is, maps the output to the input.
            Otherwise it maps the input to the output, and is inverted.

        Returns
        -------
        Transform
            Of this class: one, or a batch of N.

        Raises
        ------
        ValueError
            If `matrix` has another shape, or `inverse_map` is False and it has no inverse.

        Examples
        --------
        >>> from pullback.transforms import Affine
        >>> Affine.from_cv2([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]])
        Affine([[1, 0, -1], [0, 1, -2]])
        >>> Affine.from_cv2([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]], inverse_map=True)
        Affine([[1, 0, 1], [0, 1, 2]])
        """
        name = f"{cls.__name__}.from_cv2"
        (matrix,) = as_arrays(name, matrix=matrix)
        shape, rows = tuple(matrix.shape), 2 + cls._last_rows
        if len(shape) not in (2, 3) or shape[-2:] != (rows, 3):
            others = {(2, 3): "; that is for Affine", (3, 3): "; that is for Projective"}
            raise ValueError(
                f"{name}: `matrix` has shape {shape}{others.get(shape[-2:], '')}; give ({rows}, 3) or (N, {rows}, 3)"
            )
        transform = cls.from_parameters(reversed_axes(matrix))
        return transform if inverse_map else transform.inverse()

    @classmethod
    def from_skimage(cls, transform: Any) -> Self:
        """Return the transform that warps as scikit-image's ``warp`` does.

        Parameters
        ----------
        transform : skimage transform, array_like or Tensor
            What ``warp(image, transform)`` is given: a transform with a matrix, ``EuclideanTransform`` to
            ``ProjectiveTransform``, or its `params`, ``(d + 1, d + 1)`` or ``(N, d + 1, d + 1)``: in 2-D in the order
            (x, y), in 3-D in that of the array axes, see :meth:`to_skimage`.

        Returns
        -------
        Transform
            Of this class: one, or a batch of N.

        Raises
        ------
        ValueError
            If there is no such matrix; for an affine map, if it is projective.

        Examples
        --------
        >>> from pullback.transforms import Affine
        >>> Affine.from_skimage([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
        Affine([[1, 0, 1], [0, 1, 2]])
        """
        name = f"{cls.__name__}.from_skimage"
        matrix = _square(name, "transform", getattr(transform, "params", transform))
        return cls._from_homogeneous(name, reversed_axes(matrix) if matrix.shape[-1] == 3 else matrix)

    @classmethod
    def from_torch_theta(
        cls, theta: Array, shape_in: Sequence[int], shape_out: Sequence[int], align_corners: bool = False
    ) -> Self:
        """Return the transform that warps as PyTorch's ``affine_grid`` and ``grid_sample`` do with `theta`.

        Parameters
        ----------
        theta : array_like or Tensor, shape (d, d + 1) or (N, d, d + 1)
            In the order (x, y) or (x, y, z), between positions from -1 to 1.
        shape_in, shape_out : sequence of int
            The spatial shapes of the image and of the output, in the order of the array axes.
        align_corners : bool
            As in both of PyTorch's functions.

        Returns
        -------
        Transform
            Of this class: one, or a batch of N.

        Raises
        ------
        ValueError
            If a shape does not fit.
        TypeError
            For a projective map, which has no theta.

        Examples
        --------
        >>> from pullback.transforms import Affine
        >>> Affine.from_torch_theta([[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]], (4, 8), (4, 8))
        Affine([[1, 0, 0], [0, 1, 2]])
        """
        name = f"{cls.__name__}.from_torch_theta"
        _refuse_projective(name, cls._last_rows)
        (theta,) = as_arrays(name, theta=theta)
        shape = tuple(theta.shape)
        if len(shape) not in (2, 3) or not 1 <= shape[-2] <= MAX_NDIM or shape[-1] != shape[-2] + 1:
            raise ValueError(f"{name}: `theta` has shape {shape}; give (d, d + 1) or (N, d, d + 1), d of 1, 2 or 3")
        frame_in, frame_out = _frames(name, constant(shape[-2]), shape_in, shape_out, align_corners)
        theta, scale_in, offset_in, scale_out, offset_out = as_arrays(
            name,
            theta=reversed_axes(theta),
            scale_in=frame_in.scale,
            offset_in=frame_in.offset,
            scale_out=frame_out.scale,
            offset_out=frame_out.offset,
        )
        linear = theta[..., :-1] * scale_in[:, None] / scale_out
        offset = theta[..., -1] * scale_in + offset_in - apply_linear(linear, offset_out)
        return cls.from_parameters(beside(linear, offset[..., None]))


def reversed_axes(matrix: Array) -> Array:
    """Return a matrix ``(..., d or d + 1, d + 1)`` with its axes in reverse order, on both sides."""
    ndim = constant(matrix.shape[-1] - 1)
    order = [*range(ndim)[::-1], ndim]
    return matrix[..., order[: matrix.shape[-2]], :][..., order]


def _square(function: str, argument: str, matrix: Array) -> Array:
    (matrix,) = as_arrays(function, **{argument: matrix})
    shape = tuple(matrix.shape)
    if len(shape) not in (2, 3) or shape[-1] != shape[-2] or not 2 <= shape[-1] <= MAX_NDIM + 1:
        raise ValueError(
            f"{function}: `{argument}` has shape {shape}; give a square matrix (d + 1, d + 1), or (N, d + 1, d + 1), "
            "d of 1, 2 or 3"
        )
    return matrix


def _refuse_projective(function: str, last_rows: int) -> None:
    if last_rows:
        raise TypeError(f"{function}: a theta is the matrix of an affine map, and a projective map has none")


def _frames(
    function: str, ndim: int, shape_in: Sequence[int], shape_out: Sequence[int], align_corners: bool
) -> tuple[Frame, Frame]:
    shapes = {"shape_in": shape_in, "shape_out": shape_out}
    checked = [_shape(function, name, shape, ndim) for name, shape in shapes.items()]
    frame = "normalized-corners" if align_corners else "normalized"
    return frame_of(frame, checked[0]), frame_of(frame, checked[1], output=True)


def _shape(function: str, name: str, shape: Sequence[int], ndim: int) -> tuple[int, ...]:
    try:
        sides = tuple(int(side) if isinstance(side, int | np.integer) else -1 for side in shape)
    except TypeError:
        raise TypeError(f"{function}: `{name}` is {shape!r}; give {ndim} lengths") from None
    if len(sides) != ndim or min(sides) < 1:
        raise ValueError(f"{function}: `{name}` is {tuple(shape)}; give {ndim} lengths of 1 or more, one an axis")
    return sides
