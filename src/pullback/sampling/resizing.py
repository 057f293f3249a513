"""Images of another size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pullback import _check
from pullback._cache import cached, exact, plain
from pullback._plan import LATTICES, Cubic, Lattice, Plan, Sizing, frame_of
from pullback.backends import backend_of
from pullback.sampling.call import Call, Reading, Recipe, reading_of, recipe_of
from pullback.sampling.run import values_of


def resize(
    image: Any,
    shape: Sequence[int] | None = None,
    *,
    scale: float | Sequence[float] | None = None,
    antialias: bool = True,
    interpolation: str | Cubic | Sequence[str | Cubic] = "linear",
    border: str | Sequence[str] | None = None,
    fill: complex | Sequence[complex] = 0,
    channel_axis: int | None = None,
    mask: Any = None,
    weight: Any = None,
    return_weight: bool = False,
    dtype: Any = None,
    out: Any = None,
) -> Any:
    r"""Change the sides of an image.

    Parameters
    ----------
    image : array_like or Tensor, ``([N,] [C,] *spatial)``
        Samples, of any dtype that :func:`sample` takes; at least one along each axis.
    shape : sequence of int, optional
        The new sides, one a spatial axis (1 to 3 of them).
    scale : float or sequence of float, optional
        In the place of `shape`: by what each side is multiplied, one a spatial axis; or one for all, of an image with
        one or two axes beside that of its channels. New sides are rounded to nearest, and 1 at least.
    antialias : bool
        Whether the interpolation's kernel is stretched by the scale along an axis that shrinks, so that detail finer
        than the new pixels is averaged away. Changes nothing along other axes, and for ``"nearest"`` and ``"area"``.
    interpolation : str, Cubic, or a sequence with one an axis
        As in :func:`sample`, and one more: ``"area"``, the mean over the area of each new pixel, whether it is larger
        than the old ones or smaller. ``"label"`` copies the label that covers most of a new pixel's area; along axes
        that grow, or without antialiasing, the one with the largest linear weight; of equals, the smallest.
    border : str or sequence of str, optional
        How a tap beyond the image is read, as in :func:`sample`; one for all axes or one an axis. Unless given, what
        lies beyond has no part in a value, but for interpolating splines, which go on as their mirror image,
        ``"symmetric"``.
    fill : number or sequence of numbers
        The value beyond the image for ``border="constant"``, and of new pixels that are covered too little, where
        there is a mask or a weight; one, or one a channel.
    channel_axis : int, optional
        The axis of `image` that holds channels, where it is not the one before the spatial axes.
    mask : array_like or Tensor of bool, or "nan", optional
        True where a sample is missing, as in :func:`sample`: a value is the mean of the samples that are there.
    weight : array_like or Tensor of real numbers, optional
        How far each sample is known, from 0 to 1, as in :func:`sample`. Tensors carry gradients to it.
    return_weight : bool
        Whether to return the coverage too.
    dtype : dtype, optional
        The dtype of the result: the image's unless given. Integers are rounded to nearest, halves to even, and
        saturated, once, at the end.
    out : ndarray, optional
        Where to write the result, which may be memory that `image` lies in (NumPy only).

    Returns
    -------
    values : ndarray or Tensor, ``([N,] [C,] *shape)``
        The image in its new size; tensors carry gradients to `image`.
    coverage : ndarray or Tensor, ``([N,] [C,] *shape)``
        With `return_weight`: of each new pixel the weight of what is known, 1 where all is; as in :func:`sample`.

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
    :math:`\sum_k w_{ik} f_k / \sum_k w_{ik}` over the samples k of the image, or over all of what the border rule makes
    of it, with :math:`w_{ik} = w((x_i - k) / s)` and a stretch s of :math:`n_\text{in} / n_\text{out}` where that
    exceeds 1 and there is antialiasing, 1 elsewhere.

    For ``"area"``, :math:`w_{ik}` is the length that the old pixel k and the new pixel i have in common, as in OpenCV's
    ``INTER_AREA`` and Pillow's ``BOX``. Means of integers of 8 and 16 bits are the true ones, rounded once.

    Examples
    --------
    >>> import numpy as np
    >>> import pullback as pb
    >>> pb.resize(np.array([0.0, 2.0, 4.0, 6.0]), (2,))
    array([1.42857143, 4.57142857])
    >>> pb.resize(np.array([0.0, 2.0, 4.0, 6.0]), scale=0.5, antialias=False)
    array([1., 5.])

    Means of blocks, and of all but a missing sample:

    >>> image = np.arange(16.0).reshape(4, 4)
    >>> pb.resize(image, (2, 2), interpolation="area")
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    >>> pb.resize(image, (2, 2), interpolation="area", mask=image == 0)[0]
    array([3.33333333, 4.5       ])

    The label of most of the area:

    >>> pb.resize(np.array([3, 3, 1, 1, 1, 2]), (2,), interpolation="label")
    array([3, 1])
    """
    reading = reading_of(interpolation, "symmetric" if border is None else border, fill, "blend", channel_axis, "index")
    call = call_to("resize", image, shape, scale, reading, border is not None, antialias)
    return values_of(call, image, mask, weight, return_weight, dtype, out)


@dataclass(eq=False)
class Resizing(Call):
    """A call whose values are those of an image of another size. It has no geometry.

    Attributes
    ----------
    goes_on : bool
        Whether the image goes on beyond its sides, by the border rule. What splines are made of always does.
    antialias : bool
        Whether kernels are stretched where the image shrinks.
    """

    goes_on: bool
    antialias: bool

    def apart_from(self, out: Any) -> Call:
        """Return this call: it writes to `out` when all has been read."""
        return self

    def sizing(self, plan: Plan) -> Sizing:
        """Return how images are read by a plan."""
        beyond = zip(plan.border, plan.prefilter, strict=True)
        border = tuple(code if self.goes_on or order else None for code, order in beyond)
        return Sizing(plan.interpolation, plan.parameter, border, plan.fill, self.antialias)

    def pull(self, image: Any, plan: Plan, dtype: Any, out: Any = None) -> Any:
        """Read a canonical image, (1 or N, any channels, *spatial), as the call reads its own."""
        values = self.backend.resize(image, self.lattice.shape, self.sizing(plan), dtype)
        if out is not None:
            out[...] = values
        return values


def call_to(
    function: str, image: Any, shape: Any, scale: Any, reading: Reading, goes_on: bool, antialias: Any
) -> Resizing:
    """Return the call that reads `image` in another size."""
    _check.one_of(function, shape=shape, scale=scale)
    antialias = _check.flag(function, "antialias", antialias)
    backend = backend_of(image)
    image = backend.as_image(function, "image", image)
    target = None if shape is None else _check.resized(function, shape)
    recipe = _recipe_to(function, tuple(image.shape), image.dtype, target, exact(scale), reading)
    layout = recipe.layout
    if layout.unlikely and backend.name == "numpy":
        _check.warn_of_layout(function, image.shape, layout)
    image = layout.canonical(image, layout.ndim, layout.batch)
    return Resizing(function, backend, image, None, recipe, goes_on, antialias)


@cached
def _recipe_to(
    function: str, shape: tuple[int, ...], dtype: Any, target: tuple[int, ...] | None, scale: Any, reading: Reading
) -> Recipe:
    channel_axis, factors = plain(reading.channel_axis), ()  # type: Any, tuple[float, ...]
    if target is None:
        factors = _check.factors(function, plain(scale), len(shape) - (channel_axis is not None))
    ndim = len(target or factors)
    layout = _check.layout(function, shape, ndim, channel_axis)
    batch, channels, *sides = layout.canonical_shape(shape)
    _check.resizable(function, tuple(sides))
    _check.spatial(function, tuple(sides), "constant")
    plan = reading.plan(function, ndim, channels, dtype)
    target = _check.scaled(function, factors, sides) if target is None else target
    frame = frame_of("index", target)
    lattice = Lattice(LATTICES["given"], target, frame, frame)
    return recipe_of(layout, plan, lattice, layout.batch, batch, channels)
