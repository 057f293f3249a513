"""Spline coefficients: what an interpolating spline is sampled from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import _check
from pullback._arrays import is_tensor
from pullback.sampling.call import canonical_image


def prefilter(
    image: Any,
    order: int | Sequence[int],
    border: str | Sequence[str] = "constant",
    *,
    fill: complex | Sequence[complex] = 0,
    ndim: int | None = None,
    channel_axis: int | None = None,
) -> Any:
    r"""Turn samples into the coefficients of an interpolating B-spline.

    An image that is read more than once needs this only once: ``sample(prefilter(image, 3), x,
    interpolation="bspline3")`` is ``sample(image, x, interpolation="spline3")``.

    Parameters
    ----------
    image : array_like or Tensor, ``([N,] [C,] *spatial)``
        Samples, of any dtype that :func:`sample` takes.
    order : int or sequence of int
        The degree of the spline's pieces, 2 to 5; for all spatial axes or one an axis. 0 and 1 leave an axis as it is.
    border : str or sequence of str
        How the samples go on beyond the image, as in :func:`sample`; the coefficients are to be sampled with the same.
    fill : number or sequence of numbers
        The samples, and the coefficients, beyond a constant border.
    ndim : int, optional
        The number of spatial axes. Needed where neither `order` nor the axes tell: one or two axes beside
        `channel_axis` are spatial.
    channel_axis : int, optional
        As in :func:`sample`.

    Returns
    -------
    ndarray or Tensor
        Coefficients, of the shape and in the layout of `image`, in the dtype that sums are formed in. Tensors carry
        gradients to `image`.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    Notes
    -----
    The coefficients c solve, along each axis and with the border's index map b,

    .. math:: \sum_k c[b(k)] \, \beta^n(i - k) = f[i],

    a banded system, solved by a recursion down each line and one back up (Unser, Aldroubi and Eden 1993, "B-spline
    signal processing").

    Examples
    --------
    >>> import numpy as np
    >>> import pullback as pb
    >>> image = np.array([0.0, 0.0, 6.0, 0.0, 0.0])
    >>> coefficients = pb.prefilter(image, 3)
    >>> pb.sample(coefficients, [[2.0], [2.5]], interpolation="bspline3").round(6)
    array([6.      , 3.605769])
    """
    axes = image.ndim if is_tensor(image) else np.ndim(image)
    orders = _check.orders("prefilter", order, ndim, axes - (channel_axis is not None))
    ndim = len(orders)
    backend, image, layout = canonical_image("prefilter", image, ndim, channel_axis)
    names = tuple(f"spline{n}" if n > 1 else "linear" for n in orders)
    plan = _check.plan("prefilter", ndim, image.shape[1], image.dtype, names, border, "blend", fill)
    _check.spatial("prefilter", tuple(image.shape[2:]), border)
    return layout.restore(backend.prefilter(image, plan), ndim, layout.batch)
