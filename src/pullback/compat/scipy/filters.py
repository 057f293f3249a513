"""Samples into spline coefficients."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback._plan import BORDERS
from pullback.backends.numpy import filter_axes
from pullback.compat.scipy.arguments import Array, array_of, mode_of, order_of, output_for, refuse_masks


def spline_filter1d(
    input: Any, order: int = 3, axis: int = -1, output: Any = np.float64, mode: str = "mirror"
) -> Array:
    """Turn samples into spline coefficients along one axis.

    Parameters
    ----------
    input : array_like
        Samples, of any number of axes.
    order : int
        Of the spline, 0 to 5. Orders 0 and 1 change nothing.
    axis : int
        The axis to filter along.
    output : ndarray or dtype
        Where to put the coefficients, or their dtype.
    mode : str
        How the samples go on beyond the image; see :func:`map_coordinates`.

    Returns
    -------
    ndarray
        Coefficients, of the shape of `input`.

    Raises
    ------
    RuntimeError
        If `order` or `mode` is none that is known, or a dtype is not supported.
    TypeError
        If `input` is masked.
    numpy.exceptions.AxisError
        If there is no such axis.

    See Also
    --------
    spline_filter : The same along all axes.

    Examples
    --------
    >>> import numpy as np
    >>> from pullback.compat import scipy as ndimage
    >>> ndimage.spline_filter1d(np.array([0.0, 0.0, 6.0, 0.0, 0.0])).round(3)
    array([ 1.5, -3. , 10.5, -3. ,  1.5])
    """
    refuse_masks("spline_filter1d", input=input)
    order = order_of(order)
    image = array_of(input)
    result = output_for(output, image, image.shape)
    if order < 2:
        result[...] = image
        return result
    rule = mode_of(mode)
    if not -image.ndim <= axis < image.ndim:
        raise np.exceptions.AxisError(axis, image.ndim)
    axis %= image.ndim
    wide = np.dtype(np.complex128 if image.dtype.kind == "c" else np.float64)
    lines = result if result.dtype == wide and result.flags.c_contiguous else np.empty(image.shape, wide)
    lines[...] = image
    filter_axes(lines, [order if k == axis else 0 for k in range(image.ndim)], [BORDERS[rule.filtered]] * image.ndim)
    if lines is not result:
        _store(lines, result)
    return result


def spline_filter(input: Any, order: int = 3, output: Any = np.float64, mode: str = "mirror") -> Array:
    """Turn samples into spline coefficients along all axes.

    Parameters
    ----------
    input : array_like
        Samples, of any number of axes.
    order : int
        Of the spline, 2 to 5.
    output : ndarray or dtype
        Where to put the coefficients, or their dtype. Between two axes they are kept in it, as SciPy does.
    mode : str
        How the samples go on beyond the image; see :func:`map_coordinates`.

    Returns
    -------
    ndarray
        Coefficients, of the shape of `input`. To be read with ``prefilter=False``.

    Raises
    ------
    RuntimeError
        If `order` or `mode` is none that is known, or a dtype is not supported.
    TypeError
        If `input` is masked.

    See Also
    --------
    spline_filter1d : The same along one axis.

    Examples
    --------
    >>> import numpy as np
    >>> from pullback.compat import scipy as ndimage
    >>> image = np.eye(3)
    >>> coefficients = ndimage.spline_filter(image)
    >>> ndimage.map_coordinates(coefficients, [[0.0, 0.5], [0.0, 0.5]], prefilter=False).round(3)
    array([1.   , 0.611])
    """
    refuse_masks("spline_filter", input=input)
    order = order_of(order, lowest=2)
    image = array_of(input)
    result = output_for(output, image, image.shape)
    if image.ndim == 0:
        result[...] = image
    for axis in range(image.ndim):
        image = spline_filter1d(image, order, axis, result, mode)
    return result


def _store(values: Array, output: Array) -> None:
    """Cast coefficients as SciPy does: integers are cut off."""
    output[...] = np.trunc(values) if output.dtype.kind == "b" else values
