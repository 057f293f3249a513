"""Images through transforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import _check
from pullback._cache import untraced
from pullback._plan import LATTICES, Cubic
from pullback.sampling.call import Reading, reading_of
from pullback.sampling.run import values_of, vjp_of
from pullback.warping.footprint import antialiased
from pullback.warping.through import call_through, check_axes, check_transform, cotangent_lattice
from pullback.warping.varying import INSTEAD


def warp(
    image: Any,
    transform: Any,
    shape: Sequence[int] | None = None,
    *,
    antialias: bool = False,
    interpolation: str | Cubic | Sequence[str | Cubic] = "linear",
    border: str | Sequence[str] = "constant",
    fill: complex | Sequence[complex] = 0,
    extent: str = "blend",
    channel_axis: int | None = None,
    frame: str = "index",
    mask: Any = None,
    weight: Any = None,
    return_weight: bool = False,
    dtype: Any = None,
    out: Any = None,
) -> Any:
    r"""Warp an image through a transform, which maps a position in the output to the one in the input it is read from.

    Parameters
    ----------
    image : array_like or Tensor, ``([N,] [C,] *spatial)``
        As in :func:`pullback.sample`; its number of spatial axes is ``transform.ndim``.
    transform : Transform
        One transform, or a batch of them (N, or any number for an image without a batch).
    shape : sequence of int, optional
        Spatial shape of the output; the input's unless given.
    antialias : bool
        Whether to average over a pixel's footprint where the transform shrinks the image, so that detail finer than
        the output's pixels is averaged and not picked at random. Changes nothing, bit for bit, where nothing shrinks.
        The work grows with the shrink: along a direction that shrinks by s, each pixel reads ``2 ceil(s) - 1``
        positions; where the map is not affine, up to 1024, of which those beyond a constant border are left out.
    interpolation : str, Cubic, or a sequence with one an axis
        As in :func:`pullback.sample`.
    border : str or sequence of str
        How taps beyond the image are read, as in :func:`pullback.sample`. With the default, ``"constant"``, an image
        fades to `fill` over its outermost half pixel where it is enlarged: see the notes.
    fill : number or sequence of numbers
        The value beyond a constant border, one or one a channel, as in :func:`pullback.sample`.
    extent : {"blend", "crop"}
        What a point beyond the outermost samples gives, as in :func:`pullback.sample`.
    channel_axis : int, optional
        The axis of `image` that holds channels, as in :func:`pullback.sample`.
    frame : {"index", "centered", "normalized", "normalized-corners"}
        The frame of the transform's coordinates, on the output and on the image alike, as in :func:`pullback.sample`.
        In ``"centered"`` each has its origin in its middle and half of its shortest side as unit, so that a rotation is
        a rotation about the middle on an image of any shape, and the identity fits the image into an output of
        another size. In the normalized frames, a matrix is the `theta` of PyTorch's `affine_grid`.
    mask : array_like or Tensor of bool, or "nan", optional
        True where a sample is missing, as in :func:`pullback.sample`.
    weight : array_like or Tensor of real numbers, optional
        How far each sample is known, as in :func:`pullback.sample`.
    return_weight : bool
        Whether to return the coverage too.
    dtype : dtype, optional
        The dtype of the result: the image's unless given. Integers are rounded to nearest and saturated.
    out : ndarray, optional
        Where to write the result (NumPy only).

    Returns
    -------
    values : ndarray or Tensor, ``([N,] [C,] *shape)``
        The warped image, with a batch axis if the image or the transform has one. Tensors carry gradients to `image`
        and to the transform's parameters.
    coverage : ndarray or Tensor, ``([N,] [C,] *shape)``
        With `return_weight`: as in :func:`pullback.sample`, over the footprint if there is one.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    See Also
    --------
    sample : Read an image at given coordinates.
    resize : Change the sides of an image.
    explain : Tell which way a call takes.

    Notes
    -----
    Coordinates are generated inside the kernel, in double precision, and take no memory.

    Beyond the image, ``border="constant"`` reads `fill`, so that an edge is smooth wherever it comes to lie. An
    identity in ``"centered"`` to a larger output puts points between the edge of the outermost pixels and their middle,
    which mix them with `fill`: a white picture gets a grey rim. To enlarge or shrink an image, take :func:`resize`, or
    ``border="edge"``.

    With `antialias`, let J = U S V^T be the linear part of the map from output to input indices. Where a singular value
    s exceeds 1, the image is averaged along its u, over the :math:`2 m - 1` positions :math:`h k u` with the weights
    :math:`(m - |k|) / m^2`, :math:`m = \lceil s \rceil` and :math:`h^2 = (s^2 - 1) / (m^2 - 1)`. Together with the
    linear kernel this has the variance of that kernel stretched by s, and where s is whole, its shape: away from the
    border the result is that of :func:`resize`. Beyond 65,536 positions a pixel there are no more, and they lie
    farther apart. The elliptical footprint is that of Heckbert 1989 ("Fundamentals of texture mapping and image
    warping"). Gradients hold it fixed.

    Examples
    --------
    >>> import numpy as np
    >>> import pullback as pb
    >>> image = np.arange(12.0).reshape(3, 4)
    >>> pb.warp(image, pb.Translation([0, 1]))
    array([[ 1.,  2.,  3.,  0.],
           [ 5.,  6.,  7.,  0.],
           [ 9., 10., 11.,  0.]])

    Stripes of one pixel, four to a pixel of the output, are grey, and not the stripe that is met:

    >>> stripes = np.tile([0.0, 1.0], 8)
    >>> quarter = pb.Affine.scaling(4.0, ndim=1)
    >>> pb.warp(stripes, quarter, (4,), antialias=True, border="wrap")
    array([0.5, 0.5, 0.5, 0.5])
    >>> pb.warp(stripes, quarter, (4,))
    array([0., 0., 0., 0.])
    """
    reading = reading_of(interpolation, border, fill, extent, channel_axis, frame)
    if antialias is not False and _check.flag("warp", "antialias", antialias):
        return _antialiased_warp(image, transform, shape, reading, frame, mask, weight, return_weight, dtype, out)
    call = call_through("warp", image, transform, shape, reading)
    return values_of(call, image, mask, weight, return_weight, dtype, out)


@untraced(f"antialias=True needs the values of a transform; {INSTEAD}")
def _antialiased_warp(image: Any, transform: Any, shape: Any, reading: Reading, frame: str, *asked: Any) -> Any:
    call = call_through("warp", image, transform, shape, reading)
    return values_of(antialiased(call, transform, frame), image, *asked)


def warp_exactly(
    image: Any, transform: Any, shape: Sequence[int], *, dtype: Any = None, out: Any = None, **reading: Any
) -> Any:
    """Warp as other libraries do, for the doors: positions are not rounded, and those that are not finite are `fill`.

    Parameters
    ----------
    image, transform, shape, dtype, out
        As in :func:`warp`.
    **reading
        Its arguments `interpolation`, `border`, `fill`, `extent` and `channel_axis`.
    """
    given = {"extent": "blend", "frame": "index", **reading}
    call = call_through("warp", image, transform, shape, reading_of(**given)._replace(is_exact=True))
    return values_of(call, image, None, None, False, dtype, out)


def warp_vjp(
    image: Any,
    transform: Any,
    grad: Any,
    *,
    antialias: bool = False,
    interpolation: str | Cubic | Sequence[str | Cubic] = "linear",
    border: str | Sequence[str] = "constant",
    fill: complex | Sequence[complex] = 0,
    extent: str = "blend",
    channel_axis: int | None = None,
    frame: str = "index",
    mask: Any = None,
    weight: Any = None,
) -> tuple[Any, Any]:
    """Differentiate a function of :func:`warp`'s result backwards, for NumPy; tensors do it by autograd.

    Parameters
    ----------
    image : array_like, ``([N,] [C,] *spatial)``
        Samples, as in :func:`warp`.
    transform : Transform
        One transform or a batch of them, as in :func:`warp`; tensors in it are read as arrays.
    grad : array_like, ``([N,] [C,] *shape)``
        The gradient of some scalar with respect to ``warp(image, transform, shape, ...)``; its spatial axes tell
        `shape`.
    antialias : bool
        Whether the image was averaged over a pixel's footprint, as in :func:`warp`.
    interpolation : str, Cubic, or a sequence with one an axis
        As in :func:`warp`, but not ``"label"``, which has no slope.
    border : str or sequence of str
        How taps beyond the image are read, as in :func:`warp`.
    fill : number or sequence of numbers
        The value beyond a constant border, one or one a channel, as in :func:`warp`.
    extent : {"blend", "crop"}
        What a point beyond the outermost samples gives, as in :func:`warp`.
    channel_axis : int, optional
        The axis of `image` that holds channels, as in :func:`warp`.
    frame : {"index", "centered", "normalized", "normalized-corners"}
        The frame of the transform's coordinates, as in :func:`warp`.
    mask : array_like of bool, or "nan", optional
        True where a sample is missing, as in :func:`warp`.
    weight : array_like of real numbers, optional
        How far each sample is known, as in :func:`warp`.

    Returns
    -------
    grad_image : ndarray
        Of the shape of `image`, in the dtype that sums are formed in. 0 where a sample is missing.
    grad_parameters : ndarray
        Of the shape of ``transform.parameters``; of a :class:`pullback.Chain`, a tuple.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

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
    check_transform(function, transform)
    check_axes(function, transform.ndim, np.shape(image))
    shape = cotangent_lattice(function, grad_shape, np.ndim(image), transform, channel_axis)
    reading = reading_of(interpolation, border, fill, extent, channel_axis, frame)
    call = call_through(function, image, transform, shape, reading)
    if _check.flag(function, "antialias", antialias):
        call = antialiased(call, transform, frame)
    grad_image, grad_geometry = vjp_of(call, image, mask, weight, grad)
    transform = transform.numpy()
    grad_geometry = grad_geometry if transform.batch_shape else grad_geometry[0]
    if call.lattice.kind == LATTICES["given"]:
        return grad_image, transform.coordinates_vjp(grad_geometry, call.lattice.shape, frame)
    return grad_image, transform.geometry_vjp(grad_geometry)
