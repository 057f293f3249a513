"""Images through transforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import _check
from pullback._call import call_through
from pullback.sampling import values_of, vjp_of


def warp(
    image: Any,
    transform: Any,
    shape: Sequence[int] | None = None,
    *,
    interpolation: str | Sequence[str] = "linear",
    border: str | Sequence[str] = "constant",
    fill: float | Sequence[float] = 0,
    extent: str = "blend",
    channel_axis: int | None = None,
    frame: str = "index",
    dtype: Any = None,
    out: Any = None,
) -> Any:
    """Warp an image through a transform, which maps a position in the output to the one in the input it is read from.

    Parameters
    ----------
    image : array_like or Tensor, ``([N,] [C,] *spatial)``
        As in :func:`pullback.sample`; its number of spatial axes is ``transform.ndim``.
    transform : Transform
        One transform, or a batch of them (N, or any number for an image without a batch).
    shape : sequence of int, optional
        Spatial shape of the output; the input's unless given.
    interpolation, border, fill, extent, channel_axis, dtype, out
        As in :func:`pullback.sample`.
    frame : {"index", "centered"}
        The frame of the transform's coordinates, on the output and on the image alike. In ``"centered"`` each has its
        origin in its middle and half of its shortest side as unit, so that a rotation is a rotation about the middle
        on an image of any shape, and the identity fits the image into an output of another size.

    Returns
    -------
    ndarray or Tensor, ``([N,] [C,] *shape)``
        The warped image, with a batch axis if the image or the transform has one. Tensors carry gradients to `image`
        and to the transform's parameters.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    Notes
    -----
    Coordinates are generated inside the kernel, in double precision, and take no memory.

    Examples
    --------
    >>> import numpy as np
    >>> import pullback as pb
    >>> image = np.arange(12.0).reshape(3, 4)
    >>> pb.warp(image, pb.Translation([0, 1]))
    array([[ 1.,  2.,  3.,  0.],
           [ 5.,  6.,  7.,  0.],
           [ 9., 10., 11.,  0.]])
    """
    call = call_through(
        "warp",
        image,
        transform,
        shape,
        interpolation=interpolation,
        border=border,
        fill=fill,
        extent=extent,
        channel_axis=channel_axis,
        frame=frame,
    )
    return values_of(call, dtype, out)


def warp_vjp(
    image: Any,
    transform: Any,
    grad: Any,
    *,
    interpolation: str | Sequence[str] = "linear",
    border: str | Sequence[str] = "constant",
    fill: float | Sequence[float] = 0,
    extent: str = "blend",
    channel_axis: int | None = None,
    frame: str = "index",
) -> tuple[Any, Any]:
    """Differentiate a function of :func:`warp`'s result backwards, for NumPy; tensors do it by autograd.

    Parameters
    ----------
    image, transform, interpolation, border, fill, extent, channel_axis, frame
        As in :func:`warp`.
    grad : array_like
        The gradient of some scalar with respect to ``warp(image, transform, shape, ...)``; its spatial axes tell
        `shape`.

    Returns
    -------
    grad_image : ndarray
        Of the shape of `image`; float64 for float64 images, float32 for others.
    grad_parameters : ndarray
        Of the shape of ``transform.parameters``.

    Examples
    --------
    >>> import numpy as np
    >>> import pullback as pb
    >>> _, slope = pb.warp_vjp(np.array([0.0, 1.0, 4.0]), pb.Translation([0.5]), [1.0, 1.0, 0.0])
    >>> slope
    array([4.])
    """
    function = "warp_vjp"
    grad_shape = tuple(np.shape(grad))
    _check.transform(function, transform, tuple(np.shape(image)))
    shape = _check.cotangent_lattice(function, grad_shape, np.ndim(image), transform, channel_axis)
    call = call_through(
        function,
        image,
        transform,
        shape,
        interpolation=interpolation,
        border=border,
        fill=fill,
        extent=extent,
        channel_axis=channel_axis,
        frame=frame,
    )
    grad_image, grad_matrix = vjp_of(call, grad)
    transform = transform.numpy()
    return grad_image, transform.matrix_vjp(grad_matrix if transform.batch_shape else grad_matrix[0])
