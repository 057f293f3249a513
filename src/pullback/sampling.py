"""Images at given coordinates: values, slopes, scatter, and the vector-Jacobian product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pullback import _check
from pullback._call import Call, call_at
from pullback._layout import Layout
from pullback._plan import LATTICES, Lattice, frame_of
from pullback.backends import backend_of


def sample(
    image: Any,
    coords: Any,
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
    r"""Read an image at any coordinates.

    Parameters
    ----------
    image : array_like or Tensor
        Samples, ``([N,] [C,] *spatial)`` with as many spatial axes `d` as there are coordinates a point (1 to 3);
        uint8, float32 or float64 (tensors: float16 and bfloat16 too).
    coords : array_like or Tensor, ``(..., d)``
        Positions in the order of the axes: (x), (y, x) or (z, y, x). For an image with a batch axis,
        ``(N or 1, ..., d)``. float32 or float64; other real dtypes are converted.
    interpolation : str or sequence of str
        ``"nearest"`` or ``"linear"`` (``"bilinear"`` and ``"trilinear"`` are other names), one for all axes or one an
        axis.
    border : str or sequence of str
        How a tap beyond the image is read, with the names of `numpy.pad`: ``"constant"`` (the value `fill`),
        ``"edge"``, ``"reflect"``, ``"symmetric"``, ``"wrap"``; one for all axes or one an axis.
    fill : float or sequence of float
        The value beyond the image for ``border="constant"``, and of every point that cannot be read; one, or one a
        channel.
    extent : {"blend", "crop"}
        ``"blend"``: only taps matter, so a point just outside mixes samples with `fill`. ``"crop"``: a point outside
        the outermost samples gives `fill`, whatever `border` is.
    channel_axis : int, optional
        The axis of `image` that holds channels, where it is not the one before the spatial axes. The result has its
        channels there too.
    frame : {"index", "centered"}
        What coordinates mean. ``"index"``: sample k is at k. ``"centered"``: the origin is the middle of the image, and
        one unit is half of its shortest side, on every axis.
    dtype : dtype, optional
        dtype of the result: the image's unless given. Integers are rounded to nearest and saturated.
    out : ndarray, optional
        Where to write the result (NumPy only).

    Returns
    -------
    ndarray or Tensor, ``([N,] [C,] ...)``
        Values at the points, of the type of `image`; tensors carry gradients to `image` and `coords`.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong; the message says which, what was got, and what to do.

    Notes
    -----
    With the weights :math:`w` of the interpolation and the border's index map :math:`b`,

    .. math:: v_p = \sum_k f[b(k)] \prod_i w(x_{p,i} - k_i).

    The linear weights of the taps :math:`\lfloor x \rfloor` and :math:`\lfloor x \rfloor + 1` are :math:`1 - t` and
    :math:`t = x - \lfloor x \rfloor`. A coordinate that is NaN, infinite, or beyond :math:`\pm 2^{30}` gives `fill`,
    with a gradient of zero.

    Examples
    --------
    >>> import numpy as np
    >>> import pullback as pb
    >>> image = np.array([[0.0, 1.0], [2.0, 3.0]])
    >>> pb.sample(image, [[0.5, 0.5], [1.0, 0.25]])
    array([1.5 , 2.25])
    """
    call = call_at(
        "sample",
        image,
        coords,
        interpolation=interpolation,
        border=border,
        fill=fill,
        extent=extent,
        channel_axis=channel_axis,
        frame=frame,
    )
    return values_of(call, dtype, out)


def values_of(call: Call, dtype: Any, out: Any) -> Any:
    """Run a call of :func:`sample` or :func:`pullback.warp`."""
    backend = call.backend
    dtype = backend.as_dtype(call.function, dtype, call.image)
    if out is None:
        return call.restore(backend.pull(call.image, call.geometry, call.lattice, call.plan, dtype))
    backend.check_out(call.function, out)
    _check.out(call.function, tuple(out.shape), call.restored_shape)
    backend.pull(call.image, call.geometry, call.lattice, call.plan, out.dtype, out=call.canonical(out))
    return out


def gradient(
    image: Any,
    coords: Any,
    *,
    interpolation: str | Sequence[str] = "linear",
    border: str | Sequence[str] = "constant",
    fill: float | Sequence[float] = 0,
    extent: str = "blend",
    channel_axis: int | None = None,
    frame: str = "index",
) -> Any:
    r"""Differentiate an image at any coordinates: d value / d coordinate.

    Parameters
    ----------
    image, coords, interpolation, border, fill, extent, channel_axis, frame
        As in :func:`sample`.

    Returns
    -------
    ndarray or Tensor, ``([N,] [C,] ..., d)``
        The slope of the interpolated image in the direction of each coordinate, per unit of `frame`. float64 for
        float64 images, float32 for others.

    Notes
    -----
    The sum of :func:`sample` with :math:`w'` in the place of :math:`w` on one axis. At a knot, where the slope jumps,
    it is the one on the right; for ``"nearest"`` it is zero everywhere.

    Examples
    --------
    >>> import numpy as np
    >>> import pullback as pb
    >>> pb.gradient(np.array([0.0, 1.0, 4.0]), [[0.5], [1.0]], border="edge")
    array([[1.],
           [3.]])
    """
    call = call_at(
        "gradient",
        image,
        coords,
        interpolation=interpolation,
        border=border,
        fill=fill,
        extent=extent,
        channel_axis=channel_axis,
        frame=frame,
    )
    return call.restore(call.backend.gradient(call.image, call.geometry, call.lattice, call.plan))


def splat(
    values: Any,
    coords: Any,
    shape: Sequence[int],
    *,
    interpolation: str | Sequence[str] = "linear",
    border: str | Sequence[str] = "constant",
    extent: str = "blend",
    frame: str = "index",
) -> Any:
    r"""Scatter values to coordinates: the exact adjoint of :func:`sample` in the image.

    Parameters
    ----------
    values : array_like or Tensor, ``([N,] [C,] ...)``
        What each point adds; float32 or float64 (uint8 is summed in float32).
    coords : array_like or Tensor, ``(..., d)``, or ``(N or 1, ..., d)`` for values with a batch axis
        Where it is added, as in :func:`sample`.
    shape : sequence of int
        The `d` spatial sides of the image to make.
    interpolation, border, extent, frame
        As in :func:`sample`. What falls on the fill value of a constant border is lost.

    Returns
    -------
    ndarray or Tensor, ``([N,] [C,] *shape)``
        The image. The order of the additions, and so every bit of it, is the same in every run and for any number of
        threads.

    Notes
    -----
    :math:`f[b(k)] \mathrel{+}= v_p \prod_i w(x_{p,i} - k_i)`, so that ``(sample(f, x) * v).sum()`` equals
    ``(f * splat(v, x, f.shape)).sum()`` for a fill of 0.

    Examples
    --------
    >>> import numpy as np
    >>> import pullback as pb
    >>> pb.splat(np.array([4.0, 1.0]), [[0.25], [2.0]], (3,))
    array([3., 1., 1.])
    """
    function = "splat"
    backend = backend_of(values)
    values = backend.as_image(function, "values", values)
    coords = backend.as_coordinates(function, coords, values)
    ndim = _check.coordinates(function, tuple(coords.shape))
    batch, channels = _check.splat_values(function, tuple(values.shape), tuple(coords.shape), ndim)
    target = _check.output_shape(function, shape, (0,) * ndim)
    if not batch:
        coords = coords[None]
    lattice_ndim = coords.ndim - 2
    layout = Layout(lattice_ndim, batch, lattice_ndim if channels else None)
    values = layout.canonical(values, lattice_ndim, batch)
    size = _check.batches(function, values.shape[0], coords.shape[0], "coords")
    plan = _check.plan(function, ndim, values.shape[1], interpolation, border, extent, 0)
    _check.spatial(function, target, border)
    frame_in = frame_of(_check.frame(function, frame), target)
    lattice = Lattice(LATTICES["given"], tuple(coords.shape[1:-1]), frame_in, frame_in)
    image = backend.push(values, coords, lattice, plan, (size, values.shape[1], *target))
    return Layout(ndim, batch, ndim if channels else None).restore(image, ndim, batch)


def sample_vjp(
    image: Any,
    coords: Any,
    grad: Any,
    *,
    interpolation: str | Sequence[str] = "linear",
    border: str | Sequence[str] = "constant",
    fill: float | Sequence[float] = 0,
    extent: str = "blend",
    channel_axis: int | None = None,
    frame: str = "index",
) -> tuple[Any, Any]:
    """Differentiate a function of :func:`sample`'s result backwards, for NumPy; tensors do it by autograd.

    Parameters
    ----------
    image, coords, interpolation, border, fill, extent, channel_axis, frame
        As in :func:`sample`.
    grad : array_like
        The gradient of some scalar with respect to ``sample(image, coords, ...)``, of that shape.

    Returns
    -------
    grad_image : ndarray
        Of the shape of `image`; float64 for float64 images, float32 for others.
    grad_coords : ndarray
        Of the shape of `coords`.

    Examples
    --------
    >>> import numpy as np
    >>> import pullback as pb
    >>> pb.sample_vjp(np.array([0.0, 1.0, 4.0]), [[1.25]], [1.0])
    (array([0.  , 0.75, 0.25]), array([[3.]]))
    """
    call = call_at(
        "sample_vjp",
        image,
        coords,
        interpolation=interpolation,
        border=border,
        fill=fill,
        extent=extent,
        channel_axis=channel_axis,
        frame=frame,
    )
    grad_image, grad_coords = vjp_of(call, grad)
    return grad_image, grad_coords if call.layout.batch else grad_coords[0]


def vjp_of(call: Call, grad: Any) -> tuple[Any, Any]:
    """Run a call of :func:`sample_vjp` or :func:`pullback.warp_vjp`; the geometry's gradient stays canonical."""
    grad = call.backend.as_cotangent(call.function, grad, call.image)
    _check.cotangent(call.function, tuple(grad.shape), call.restored_shape)
    grad_image, grad_geometry = call.backend.vjp(
        call.image, call.geometry, call.canonical(grad), call.lattice, call.plan
    )
    return call.restore_image(grad_image), grad_geometry
