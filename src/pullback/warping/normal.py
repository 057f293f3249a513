"""The normal equations of fitting a warped image to a target: what a Gauss-Newton step of a registration needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pullback import _check
from pullback._arrays import array_of, is_tensor, like
from pullback._cache import untraced
from pullback._plan import BORDERS, PROJECTIVE_LATTICES, Cubic, is_reversed
from pullback.backends import numpy as backend
from pullback.sampling.call import Call, reading_of
from pullback.sampling.known import known_of, real_dtype
from pullback.warping.through import call_through, check_axes, check_matrix, check_transform, cotangent_lattice

Array = npt.NDArray[np.float64]

# The share of a missing sample in a value or a slope that counts for none.
_ROUNDING = 1e-4


class NormalEquations(NamedTuple):
    """The normal equations of a residual r with the derivative J in k parameters.

    Attributes
    ----------
    jtj : ndarray or Tensor, ``([N,] k, k)``
        J^T J.
    jtr : ndarray or Tensor, ``([N,] k)``
        J^T r, the gradient of half the sum of squares.
    cost : ndarray or Tensor, ``([N,])``
        The sum of squares itself, r^T r.

    See Also
    --------
    pullback.normal_equations : What returns them.

    Examples
    --------
    >>> import numpy as np
    >>> import pullback as pb
    >>> line = np.arange(5.0)
    >>> equations = pb.normal_equations(line, pb.Translation([0.0]), line + 0.5, border="edge")
    >>> equations.jtj, equations.jtr, float(equations.cost)
    (array([[4.]]), array([-2.]), 1.25)
    """

    #: J^T J.
    jtj: Any
    #: J^T r.
    jtr: Any
    #: r^T r.
    cost: Any


@untraced("normal_equations needs the values of images; call it outside of what is traced")
def normal_equations(
    image: Any,
    transform: Any,
    target: Any,
    *,
    interpolation: str | Cubic | Sequence[str | Cubic] = "linear",
    border: str | Sequence[str] = "constant",
    fill: complex | Sequence[complex] = 0,
    extent: str = "blend",
    channel_axis: int | None = None,
    frame: str = "index",
    mask: Any = None,
    weight: Any = None,
    target_mask: Any = None,
    target_weight: Any = None,
) -> NormalEquations:
    r"""Return the normal equations of ``warp(image, transform) - target``, in one pass, with no Jacobian in memory.

    Only what both show counts: a pixel that maps outside the image, beyond its outermost samples, has no part.

    Parameters
    ----------
    image : array_like or Tensor, ``([N,] [C,] *spatial)``
        Samples, as in :func:`pullback.warp`.
    transform : MatrixTransform
        A translation, similarity, affine or projective map, or a batch of them.
    target : array_like or Tensor
        Of the shape of the warped image, whose spatial sides it tells.
    interpolation : str, Cubic, or a sequence with one an axis
        As in :func:`pullback.warp`, but not ``"label"``, which has no slope.
    border : str or sequence of str
        How taps beyond the image are read, as in :func:`pullback.warp`; but with ``"constant"`` they repeat the
        outermost sample, so that nothing that is made up has a part. An image has no outside if a border is ``"wrap"``,
        unless `extent` is ``"crop"``.
    fill : number or sequence of numbers
        Has no effect: no pixel that counts reads it.
    extent : {"blend", "crop"}
        What a point beyond the outermost samples gives, as in :func:`pullback.warp`; such a point counts with a border
        of ``"wrap"`` alone.
    channel_axis : int, optional
        The axis of `image` that holds channels, as in :func:`pullback.warp`.
    frame : {"index", "centered", "normalized", "normalized-corners"}
        The frame of the transform's coordinates, as in :func:`pullback.warp`.
    mask : array_like or Tensor of bool, or "nan", optional
        True where a sample of the image is missing, as in :func:`pullback.warp`. A pixel that reads one does not count.
    weight : array_like or Tensor of real numbers, optional
        How far each sample of the image is known, as in :func:`pullback.warp`. A pixel has the weight that it reads.
    target_mask, target_weight : optional
        The same of the target: pixels that are masked do not count, others have this weight. Masked arrays bring their
        masks, on both sides.

    Returns
    -------
    NormalEquations
        ``jtj``, ``jtr`` and ``cost``; with a batch axis if the warped image has one. The k parameters are those of
        ``transform.parameters``, flattened. In float64; tensors if `image` is one, without gradients of their own.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong; if `transform` is none of a matrix; or if a tensor is not on the CPU.

    See Also
    --------
    warp_vjp : The gradient alone, of any function of the warped image.

    Notes
    -----
    With the residual :math:`r_p = v(x_p(\theta)) - t_p` over all pixels p and channels that count, and their weights
    :math:`\omega_p`, 1 unless there are any,

    .. math:: J_p = \nabla v(x_p)^T \, \partial x_p / \partial \theta, \quad
              J^T J = \sum_p \omega_p J_p^T J_p, \quad J^T r = \sum_p \omega_p J_p^T r_p, \quad
              r^T r = \sum_p \omega_p r_p^2,

    and the step of Gauss and Newton solves :math:`J^T J \, \delta = -J^T r`. A projective matrix has one parameter more
    than it has freedom, so its J^T J is singular along the matrix itself: solve by least squares, or hold one entry.

    Examples
    --------
    Three steps find a shift of a third of a sample:

    >>> import numpy as np
    >>> import pullback as pb
    >>> image, options = np.sin(np.arange(64.0) / 5), dict(interpolation="spline3", border="reflect")
    >>> target = pb.warp(image, pb.Translation([1 / 3]), **options)
    >>> shift = pb.Translation([0.0])
    >>> for _ in range(3):
    ...     equations = pb.normal_equations(image, shift, target, **options)
    ...     shift = pb.Translation(shift.offset - np.linalg.solve(equations.jtj, equations.jtr))
    >>> bool(abs(shift.offset[0] - 1 / 3) < 1e-6)
    True
    """
    function = "normal_equations"
    as_tensors, plain, given = is_tensor(image), image, target
    if as_tensors:
        _check.on_the_cpu(function, image)
        image = array_of(image, function)
    target = backend.as_image(function, "target", np.asarray(_as_array(target)))
    check_transform(function, transform)
    check_axes(function, transform.ndim, np.shape(image))
    check_matrix(function, transform)
    transform = transform.numpy()
    shape = cotangent_lattice(function, target.shape, np.ndim(image), transform, channel_axis, "target")
    reading = reading_of(interpolation, border, fill, extent, channel_axis, frame)
    call = call_through(function, image, transform, shape, reading)
    _check.mixing(function, call.plan, "normal equations")
    _check.cotangent(function, target.shape, call.recipe.restored_shape, "target")
    call = _within(call)
    known = known_of(call, image, _as_array(mask), _as_array(weight))
    samples, weights = (call.samples(), None) if known is None else _seen(call, known)
    target = _weighted(call, call.canonical(target), given, _as_array(target_mask), _as_array(target_weight), weights)
    record = backend.normal(samples, call.geometry, call.lattice, call.plan, target)
    jtj, jtr, cost = _in_parameters(*_in_matrix(record, call, is_reversed(frame)), transform)
    parts = (part if call.recipe.batched else part[0] for part in (jtj, jtr, cost))
    return NormalEquations(*(like(part, plain) if as_tensors else part for part in parts))


def _as_array(value: Any) -> Any:
    return array_of(value, "normal_equations") if is_tensor(value) else value


def _within(call: Call) -> Call:
    """Return a call that reads nothing of points outside the image, and nothing but samples inside."""
    plan = call.plan
    constant, edge = BORDERS["constant"], BORDERS["edge"]
    border = tuple(edge if code == constant else code for code in plan.border)
    crop = plan.crop or BORDERS["wrap"] not in plan.border
    return replace(call, recipe=replace(call.recipe, plan=replace(plan, border=border, crop=crop, fill=(0.0,))))


def _seen(call: Call, known: Any) -> tuple[Any, Array]:
    """Return samples without what is missing, and the weight of each point: 0 where a missing sample has a part.

    Parameters
    ----------
    known : ndarray, (1 or N, 1 or C, *spatial)
        How far samples are known.
    """
    dtype, present = real_dtype(backend, call.image), known > 0

    def coefficients(image: Any) -> Any:
        return backend.prefilter(image, call.plan) if call.recipe.prefilters else image

    # Holes of numbers whose sums do not cancel show in values and slopes where a missing sample has a part in either.
    holes = np.where(present, 0, 1 + np.random.default_rng(0).random(present.shape)).astype(dtype)
    holes = coefficients(holes)
    slopes = backend.gradient(holes, call.geometry, call.lattice, call.plan)
    misses = (np.abs(call.pull(holes, call.plan, dtype)) > _ROUNDING) | (np.abs(slopes) > _ROUNDING).any(-1)
    weights: Any = 1
    if known.dtype != np.bool_:
        weights = np.maximum(call.pull(coefficients(known.astype(dtype)), call.plan, dtype), 0)
    return coefficients(np.where(present, call.image, call.image.dtype.type(0))), np.where(misses, 0, weights)


def _weighted(call: Call, target: Any, given: Any, mask: Any, weight: Any, weights: Any) -> Any:
    """Return a canonical target, and behind its channels the weights of its pixels, if there are any.

    Parameters
    ----------
    given : array_like
        The caller's target.
    weights : ndarray, (1 or B, 1 or C, *lattice), or None
        The weights of the points of the image.
    """
    layout = replace(call.recipe.layout, batch=call.recipe.batched)
    known = known_of(
        replace(call, image=target, recipe=replace(call.recipe, layout=layout)), given, mask, weight, "target_"
    )
    parts = [part for part in (weights, known) if part is not None]
    if not parts:
        return target
    dtype = np.result_type(target.dtype, np.float32)
    total = (1 + 1j if dtype.kind == "c" else 1) * math.prod(parts[1:], start=parts[0].astype(dtype))
    total = np.broadcast_to(total, (len(target), *total.shape[1:]))
    return np.concatenate([target.astype(dtype), total.astype(dtype)], axis=1)


def _in_matrix(record: Array, call: Call, turned: bool) -> tuple[Array, Array, Array]:
    """Return the equations in the entries of the matrix, row by row, from the moments in the index of both lattices."""
    features = call.plan.ndim + 1
    rows = features if call.lattice.kind in PROJECTIVE_LATTICES else features - 1
    count, entries = len(record), rows * features
    pairs = [(a, b) for a in range(rows) for b in range(a, rows)]
    triangle = [(e, f) for e in range(features) for f in range(e, features)]
    jtj = np.zeros((count, rows, features, rows, features))
    for k, ((a, b), (e, f)) in enumerate((pair, corner) for pair in pairs for corner in triangle):
        for p, q in ((a, b), (b, a)):
            jtj[:, p, e, q, f] = jtj[:, p, f, q, e] = record[:, k]
    jtr = record[:, -1 - entries : -1].reshape(count, entries)
    # The matrix between indices is a product of the caller's and those of both frames, linear in it.
    to_image, to_output = _frame_matrices(call, rows, turned)
    chain = np.einsum("ra,bc->rcab", to_image, to_output).reshape(entries, entries)
    return chain.T @ jtj.reshape(count, entries, entries) @ chain, jtr @ chain, record[:, -1]


def _frame_matrices(call: Call, rows: int, turned: bool) -> tuple[Array, Array]:
    """Return P and Q with which P M Q maps indices to indices, up to a constant, for the caller's matrix M."""
    d, lattice = call.plan.ndim, call.lattice
    frame_in, frame_out = np.eye(d + 1), np.eye(d + 1)
    frame_in[:d, :d], frame_in[:d, d] = np.diag(lattice.frame_in.scale), lattice.frame_in.offset
    frame_out[:d, :d], frame_out[:d, d] = np.diag(lattice.frame_out.scale), lattice.frame_out.offset
    turn = np.eye(d + 1)[[*range(d)[::-1], d]] if turned else np.eye(d + 1)
    return (frame_in @ turn)[:rows, :rows], turn @ np.linalg.inv(frame_out)


def _in_parameters(jtj: Array, jtr: Array, cost: Array, transform: Any) -> tuple[Array, Array, Array]:
    """Return the equations in the parameters, of which the matrix is a function."""
    shape = transform.matrix.shape[-2:]
    units = np.eye(shape[0] * shape[1]).reshape(-1, *shape)
    count = transform.batch_shape[0] if transform.batch_shape else 1
    slopes = [transform.matrix_vjp(np.broadcast_to(unit, transform.matrix.shape)) for unit in units]
    derivative = np.stack([slope.reshape(count, -1) for slope in slopes], axis=1)
    transposed = np.swapaxes(derivative, 1, 2)
    return transposed @ jtj @ derivative, (transposed @ jtr[..., None])[..., 0], cost
