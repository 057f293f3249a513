"""Images at given coordinates: values, slopes, spline coefficients, and the vector-Jacobian product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pullback._plan import Cubic
from pullback.sampling.call import call_at, reading_of
from pullback.sampling.run import gradient_of, values_of, vjp_of


def sample(
    image: Any,
    coords: Any,
    *,
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
    r"""Read an image at any coordinates.

    Parameters
    ----------
    image : array_like or Tensor
        Samples, ``([N,] [C,] *spatial)`` with as many spatial axes `d` as there are coordinates a point (1 to 3);
        bool, any integer of 8 to 64 bits, float16, bfloat16, float32, float64, complex64 or complex128. Sums are
        formed in float32; in float64 for float64, complex128 and integers of 32 bits and more, and where the result
        is to be of double precision.
    coords : array_like or Tensor, ``(..., d)``
        Positions in the order of the axes: (x), (y, x) or (z, y, x). For an image with a batch axis,
        ``(N or 1, ..., d)``. float32 or float64; other real dtypes are converted.
    interpolation : str, Cubic, or a sequence with one an axis
        - ``"nearest"``: copies the nearest sample as it is, half-way the one on the right; ``"label"``: copies the
          integer that has the largest weight among the linear ones, for all axes or none; of equals, the smallest;
        - ``"linear"`` (or ``"bilinear"``, ``"trilinear"``);
        - ``"cubic"`` (or ``"bicubic"``): Keys' cubic convolution, a = -1/2, where OpenCV's and PyTorch's bicubic have
          -3/4; :class:`pullback.Cubic` sets another `a`;
        - ``"mitchell"``: Mitchell and Netravali's cubic, B = C = 1/3, which smooths a little;
        - ``"lanczos2"``, ``"lanczos3"``, ``"lanczos4"``: windowed sinc, normalised to a sum of 1;
        - ``"spline2"`` ... ``"spline5"``: interpolating B-splines; the image is prefiltered first
          (:func:`pullback.prefilter`);
        - ``"bspline2"`` ... ``"bspline5"``: B-splines of the samples as they are, which smooth.
    border : str or sequence of str
        How a tap beyond the image is read, with the names of `numpy.pad`: ``"constant"`` (the value `fill`),
        ``"edge"``, ``"reflect"``, ``"symmetric"``, ``"wrap"``; one for all axes or one an axis.
    fill : number or sequence of numbers
        The value beyond the image for ``border="constant"``, and of every point that cannot be read; one, or one a
        channel; complex for complex images alone.
    extent : {"blend", "crop"}
        ``"blend"``: only taps matter, so a point just outside mixes samples with `fill`. ``"crop"``: a point outside
        the outermost samples gives `fill`, whatever `border` is.
    channel_axis : int, optional
        The axis of `image` that holds channels, where it is not the one before the spatial axes. The result has its
        channels there too.
    frame : {"index", "centered", "normalized", "normalized-corners"}
        What coordinates mean. ``"index"``: sample k is at k. ``"centered"``: the origin is the middle of the image, and
        one unit is half of its shortest side, on every axis. ``"normalized"`` and ``"normalized-corners"``: PyTorch's,
        with ``align_corners`` False and True: (x), (x, y) or (x, y, z), from -1 to 1 between the outer edges of the
        outermost samples, or between their centers.
    mask : array_like or Tensor of bool, or "nan", optional
        True where a sample is missing: of the image's shape, or of its spatial shape alone, axes of length 1 being
        shared. ``"nan"``: samples that are NaN are missing. A value is then the weighted mean of the samples that are
        there, and those beyond a constant border count as missing too; `fill` is what a point gets that is covered
        too little. A `numpy.ma.MaskedArray` in which something is masked brings that as a mask, beside one that is
        given; what comes out is a masked array, masked where it is covered too little.
    weight : array_like or Tensor of real numbers, optional
        How far each sample is known, from 0 (missing) to 1; of a shape as for `mask`. A value is the mean of the
        samples weighted with it: premultiplied alpha, confidence, a mask with soft edges.
    return_weight : bool
        Whether to return the coverage too.
    dtype : dtype, optional
        The dtype of the result: the image's unless given. Integers are rounded to nearest and saturated.
    out : ndarray, optional
        Where to write the result (NumPy only).

    Returns
    -------
    values : ndarray or Tensor, ``([N,] [C,] ...)``
        Values at the points, of the type of `image`; tensors carry gradients to `image` and `coords`.
    coverage : ndarray or Tensor, ``([N,] [C,] ...)``
        With `return_weight`: at each point the sum of the weights of the samples, each times how far it is known; 1
        where all are known, 0 beyond a constant border. A view that may not be written to
        where channels share it.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong; the message says which, what was got, and what to do.

    See Also
    --------
    warp : Read an image through a transform.
    gradient : The slopes at the same points.
    splat : The adjoint.

    Notes
    -----
    With the weights :math:`w` of the interpolation and the border's index map :math:`b`,

    .. math:: v_p = \sum_k f[b(k)] \prod_i w(x_{p,i} - k_i).

    The linear weights of the taps :math:`\lfloor x \rfloor` and :math:`\lfloor x \rfloor + 1` are :math:`1 - t` and
    :math:`t = x - \lfloor x \rfloor`. A coordinate that is NaN, infinite, or beyond :math:`\pm 2^{30}` gives `fill`,
    with a gradient of zero.

    With a mask, :math:`m = 0` where a sample is missing and 1 elsewhere; with weights, :math:`m` is the weight; and

    .. math:: v_p = \frac{\sum_k m[k] f[k] \prod_i w}{\sum_k m[k] \prod_i w}

    where the denominator, the coverage, exceeds 0.0001; for interpolations with negative weights (cubic, Mitchell,
    Lanczos, splines), which may cancel, where it exceeds 0.1.

    Examples
    --------
    >>> import numpy as np
    >>> import pullback as pb
    >>> image = np.array([[0.0, 1.0], [2.0, 3.0]])
    >>> pb.sample(image, [[0.5, 0.5], [1.0, 0.25]])
    array([1.5 , 2.25])

    The missing sample has no part in the mean of the other three:

    >>> pb.sample(image, [[0.5, 0.5]], mask=image == 3, return_weight=True)
    (array([1.]), array([0.75]))
    """
    reading = reading_of(interpolation, border, fill, extent, channel_axis, frame)
    call = call_at("sample", image, coords, reading)
    return values_of(call, image, mask, weight, return_weight, dtype, out)


def gradient(
    image: Any,
    coords: Any,
    *,
    interpolation: str | Cubic | Sequence[str | Cubic] = "linear",
    border: str | Sequence[str] = "constant",
    fill: complex | Sequence[complex] = 0,
    extent: str = "blend",
    channel_axis: int | None = None,
    frame: str = "index",
    mask: Any = None,
    weight: Any = None,
) -> Any:
    r"""Differentiate an image at any coordinates: d value / d coordinate.

    Parameters
    ----------
    image : array_like or Tensor, ``([N,] [C,] *spatial)``
        Samples, as in :func:`sample`.
    coords : array_like or Tensor, ``(..., d)``
        Positions, as in :func:`sample`.
    interpolation : str, Cubic, or a sequence with one an axis
        As in :func:`sample`, but not ``"label"``, which has no slope.
    border : str or sequence of str
        How taps beyond the image are read, as in :func:`sample`.
    fill : number or sequence of numbers
        The value beyond a constant border, one or one a channel, as in :func:`sample`.
    extent : {"blend", "crop"}
        What a point beyond the outermost samples gives, as in :func:`sample`.
    channel_axis : int, optional
        The axis of `image` that holds channels, as in :func:`sample`.
    frame : {"index", "centered", "normalized", "normalized-corners"}
        What coordinates mean, as in :func:`sample`.
    mask : array_like or Tensor of bool, or "nan", optional
        True where a sample is missing, as in :func:`sample`.
    weight : array_like or Tensor of real numbers, optional
        How far each sample is known, as in :func:`sample`.

    Returns
    -------
    ndarray or Tensor, ``([N,] [C,] ..., d)``
        The slope of the interpolated image in the direction of each coordinate, per unit of `frame`, in the order of
        the coordinates; in the dtype that sums are formed in.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

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
    reading = reading_of(interpolation, border, fill, extent, channel_axis, frame)
    call = call_at("gradient", image, coords, reading)
    return gradient_of(call, image, mask, weight)


def sample_vjp(
    image: Any,
    coords: Any,
    grad: Any,
    *,
    interpolation: str | Cubic | Sequence[str | Cubic] = "linear",
    border: str | Sequence[str] = "constant",
    fill: complex | Sequence[complex] = 0,
    extent: str = "blend",
    channel_axis: int | None = None,
    frame: str = "index",
    mask: Any = None,
    weight: Any = None,
) -> tuple[Any, Any]:
    """Differentiate a function of :func:`sample`'s result backwards, for NumPy; tensors do it by autograd.

    Parameters
    ----------
    image : array_like, ``([N,] [C,] *spatial)``
        Samples, as in :func:`sample`.
    coords : array_like, ``(..., d)``
        Positions, as in :func:`sample`.
    grad : array_like, ``([N,] [C,] ...)``
        The gradient of some scalar with respect to ``sample(image, coords, ...)``, of that shape.
    interpolation : str, Cubic, or a sequence with one an axis
        As in :func:`sample`, but not ``"label"``, which has no slope.
    border : str or sequence of str
        How taps beyond the image are read, as in :func:`sample`.
    fill : number or sequence of numbers
        The value beyond a constant border, one or one a channel, as in :func:`sample`.
    extent : {"blend", "crop"}
        What a point beyond the outermost samples gives, as in :func:`sample`.
    channel_axis : int, optional
        The axis of `image` that holds channels, as in :func:`sample`.
    frame : {"index", "centered", "normalized", "normalized-corners"}
        What coordinates mean, as in :func:`sample`.
    mask : array_like of bool, or "nan", optional
        True where a sample is missing, as in :func:`sample`.
    weight : array_like of real numbers, optional
        How far each sample is known, as in :func:`sample`.

    Returns
    -------
    grad_image : ndarray
        Of the shape of `image`, in the dtype that sums are formed in. 0 where a sample is missing.
    grad_coords : ndarray
        Of the shape of `coords`.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    Examples
    --------
    >>> import numpy as np
    >>> import pullback as pb
    >>> pb.sample_vjp(np.array([0.0, 1.0, 4.0]), [[1.25]], [1.0])
    (array([0.  , 0.75, 0.25]), array([[3.]]))
    """
    reading = reading_of(interpolation, border, fill, extent, channel_axis, frame)
    call = call_at("sample_vjp", image, coords, reading)
    grad_image, grad_coords = vjp_of(call, image, mask, weight, grad)
    return grad_image, grad_coords if call.recipe.layout.batch else grad_coords[0]
