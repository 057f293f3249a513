"""Images of another size, one axis at a time."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pullback import _check
from pullback._arrays import is_tensor
from pullback._borders import RULES
from pullback._cache import cached
from pullback._kernels import KERNELS, Kernel
from pullback._plan import BORDERS, INTERPOLATIONS, Cubic, Plan
from pullback.backends import Backend
from pullback.sampling.call import canonical_image

Array: TypeAlias = npt.NDArray[np.float64]
IndexArray: TypeAlias = npt.NDArray[np.int64]


def resize(
    image: Any,
    shape: Sequence[int],
    *,
    antialias: bool = True,
    interpolation: str | Cubic | Sequence[str | Cubic] = "linear",
    channel_axis: int | None = None,
    dtype: Any = None,
) -> Any:
    r"""Change the sides of an image.

    Parameters
    ----------
    image : array_like or Tensor, ``([N,] [C,] *spatial)``
        Samples, of any dtype that :func:`sample` takes; at least one along each axis.
    shape : sequence of int
        The new sides, one a spatial axis (1 to 3 of them).
    antialias : bool
        Whether the interpolation's kernel is stretched by the scale along an axis that shrinks, so that detail finer
        than the new pixels is averaged away. Changes nothing along other axes, and for ``"nearest"``.
    interpolation : str, Cubic, or a sequence with one an axis
        As in :func:`sample`, but for ``"label"``.
    channel_axis : int, optional
        The axis of `image` that holds channels, where it is not the one before the spatial axes.
    dtype : dtype, optional
        The dtype of the result: the image's unless given. Integers are rounded to nearest and saturated, once, at the
        end.

    Returns
    -------
    ndarray or Tensor, ``([N,] [C,] *shape)``
        The image in its new size; tensors carry gradients to `image`.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    See Also
    --------
    warp : Any affine map, with ``antialias=True`` for those that shrink.

    Notes
    -----
    Pixels are areas: old and new ones fill the same extent, and the new sample i lies at

    .. math:: x_i = \left(i + \tfrac12\right) \frac{n_\text{in}}{n_\text{out}} - \tfrac12

    among the old ones, as in Pillow and in PyTorch's `interpolate` with ``align_corners=False``. Its value is
    :math:`\sum_k w_{ik} f_k / \sum_k w_{ik}` over the samples k of the image, with :math:`w_{ik} = w((x_i - k) / s)`
    and a stretch s of :math:`n_\text{in} / n_\text{out}` where that exceeds 1 and there is antialiasing, 1 elsewhere.
    Interpolating splines go on beyond the image as its mirror image, the border ``"symmetric"``.

    Examples
    --------
    >>> import numpy as np
    >>> import pullback as pb
    >>> pb.resize(np.array([0.0, 2.0, 4.0, 6.0]), (2,))
    array([1.42857143, 4.57142857])
    >>> pb.resize(np.array([0.0, 2.0, 4.0, 6.0]), (2,), antialias=False)
    array([1., 5.])
    """
    function = "resize"
    target = _check.resized(function, shape)
    ndim = len(target)
    backend, image, layout = canonical_image(function, image, ndim, channel_axis)
    plan = _check.plan(function, ndim, image.shape[1], image.dtype, interpolation, "symmetric", "blend", 0)
    _check.mixing(function, plan, "a new size")
    antialias = _check.flag(function, "antialias", antialias)
    dtype = backend.as_dtype(function, dtype, image)
    _check.result_dtype(function, "dtype", dtype, image.dtype, plan)
    _check.resizable(function, tuple(image.shape[2:]))
    if any(plan.prefilter):
        image = backend.prefilter(image, plan)
    image = _resized(backend, image, target, plan, antialias, dtype)
    return layout.restore(image, ndim, layout.batch)


def _resized(backend: Backend, image: Any, target: tuple[int, ...], plan: Plan, antialias: bool, dtype: Any) -> Any:
    """Return a canonical image with the sides `target`, in `dtype`."""
    sides, tables = tuple(image.shape[2:]), {}
    for axis, (n_in, n_out) in enumerate(zip(sides, target, strict=True)):
        if plan.interpolation[axis] == INTERPOLATIONS["nearest"]:
            if n_in != n_out:
                image = _picked(image, 2 + axis, nearest_samples(n_in, n_out))
            continue
        reading = plan.interpolation[axis], plan.parameter[axis]
        first, weight = axis_table(n_in, n_out, *reading, antialias=antialias, mirrored=plan.prefilter[axis] > 0)
        if n_in != n_out or weight.shape[1] > 1:
            tables[axis] = first, weight
    if not tables:
        return backend.cast(image, dtype) if image.dtype != dtype else _copied(image)
    # The axis that shrinks the most leaves the least to the others; of equals the first one, whose rows are contiguous.
    order = sorted(tables, key=lambda axis: target[axis] / sides[axis])
    for axis in order:
        end = dtype if axis == order[-1] else backend.sum_dtype(image.dtype)
        image = backend.resample(image, axis, *tables[axis], end)
    return image


def _picked(image: Any, axis: int, samples: IndexArray) -> Any:
    """Return the samples of an axis with the given indices."""
    if is_tensor(image):
        return image.index_select(axis, image.new_tensor(samples, dtype=sys.modules["torch"].int64))
    return image.take(samples, axis)


def _copied(image: Any) -> Any:
    return image.clone() if is_tensor(image) else image.copy()


def nearest_samples(n_in: int, n_out: int) -> IndexArray:
    """Return the sample that is nearest to each new one; of two that are equally near, the later one."""
    samples: IndexArray = (2 * np.arange(n_out, dtype=np.int64) + 1) * n_in // (2 * n_out)
    return samples


@cached
def axis_table(
    n_in: int, n_out: int, interpolation: int, parameter: float, *, antialias: bool, mirrored: bool
) -> tuple[IndexArray, Array]:
    """Return how an axis of `n_in` samples is read at `n_out` new ones.

    Parameters
    ----------
    interpolation : int
        A code from :data:`pullback._plan.INTERPOLATIONS`.
    parameter : float
        What the kernel is still free in.
    antialias : bool
        Whether the kernel is stretched by the scale if that exceeds 1.
    mirrored : bool
        Whether samples beyond the axis are those of its mirror image; if not, they are left out.

    Returns
    -------
    first : ndarray of int64, (n_out,)
    weight : ndarray of float64, (n_out, taps)
        New sample i is the sum over t of ``weight[i, t] * old[first[i] + t]``; weights that fill a row up are 0.

    Examples
    --------
    >>> from pullback._plan import INTERPOLATIONS
    >>> axis_table(4, 2, INTERPOLATIONS["linear"], 0.0, antialias=False, mirrored=False)
    (array([0, 2]), array([[0.5, 0.5],
           [0.5, 0.5]]))
    """
    kernel = KERNELS[interpolation]
    radius = kernel.taps / 2
    stretch = max(n_in / n_out, 1.0) if antialias else 1.0
    center = (2 * np.arange(n_out) + 1) * n_in / (2 * n_out) - 0.5
    start = np.ceil(center - radius * stretch).astype(np.int64)
    tap = start[:, None] + np.arange(int(2 * radius * stretch) + 1)
    weight = _weights(kernel, (center[:, None] - tap) / stretch, parameter)
    if mirrored:
        tap = RULES[BORDERS["symmetric"]].sample(tap, n_in)
    used = (weight != 0) & (tap >= 0) & (tap < n_in)
    first = np.where(used, tap, n_in).min(axis=1)
    taps = int((np.where(used, tap, -1).max(axis=1) - first).max()) + 1
    first = np.minimum(first, n_in - taps)
    table = np.zeros((n_out, taps))
    row = np.nonzero(used)[0]
    np.add.at(table, (row, tap[used] - first[row]), weight[used])
    table /= table.sum(axis=1, keepdims=True)
    for array in (first, table):  # shared by all callers
        array.setflags(write=False)
    return first, table


def _weights(kernel: Kernel, x: Array, parameter: float) -> Array:
    """Return the weights of samples at the distances `x`."""
    first = np.floor(x - kernel.taps / 2) + 1
    taps = kernel.shape(x - kernel.taps / 2 - (first - 1), parameter, 0)
    weight: Array = np.select([first == -t for t in range(kernel.taps)], [tap[0] for tap in taps])
    return weight
