"""What to add to a loss so that predicted transforms stay sensible: functions of the transforms alone.

Each gives one number a transform, differentiable in what the transform was predicted from, and zero for the identity.
Points beyond the horizon of a projective map, which are read from nowhere, count for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from pullback import _check
from pullback._plan import frame_of
from pullback.transforms import Transform
from pullback.transforms.points import points_like

_FRAME = "centered"


def distance_from_identity(transform: Transform, shape: Sequence[int]) -> Tensor:
    r"""Return the mean squared distance by which points of an output are moved.

    Parameters
    ----------
    transform : Transform
        On tensors, from output to input, in the frame "centered": what a
        :class:`~pullback.nn.SpatialTransformer` predicts.
    shape : sequence of int
        Spatial shape of the output.

    Returns
    -------
    Tensor, () or (N,)
        In the square of half of the shortest side.

    Raises
    ------
    ValueError
        If `shape` does not fit the transform.
    TypeError
        If the transform is on NumPy arrays, or `shape` does not hold integers.

    Notes
    -----
    :math:`\frac{1}{P} \sum_p |T(p) - p|^2` over the P points of the output. Small weights of it keep a transformer near
    the identity until the loss has a reason to leave it.

    Examples
    --------
    >>> import torch
    >>> import pullback as pb
    >>> shift = pb.Translation(torch.tensor([[0.0, 0.0], [0.3, 0.4]]))
    >>> pb.nn.distance_from_identity(shift, (8, 8))
    tensor([0.0000, 0.2500])
    """
    at, points, _ = _mapped("distance_from_identity", transform, shape)
    return _mean((at - points).square().sum(-1), transform)


def overhang(transform: Transform, shape: Sequence[int], input_shape: Sequence[int] | None = None) -> Tensor:
    r"""Return the mean squared distance by which an output is read from beyond the edges of the input.

    Where all of an output lies outside of the image, nothing of the image is seen, and no gradient of it tells the way
    back. This one does.

    Parameters
    ----------
    transform : Transform
        As in :func:`distance_from_identity`.
    shape : sequence of int
        Spatial shape of the output.
    input_shape : sequence of int, optional
        Spatial shape of the input. Default: that of the output.

    Returns
    -------
    Tensor, () or (N,)
        In the square of half of the shortest side; zero where no point is outside.

    Raises
    ------
    ValueError
        If `shape` does not fit the transform, or a side is not positive.
    TypeError
        If the transform is on NumPy arrays, or a shape does not hold integers.

    Notes
    -----
    :math:`\frac{1}{P} \sum_p |\max(|T(p)| - e, 0)|^2`, with e the half sides of the input.

    Examples
    --------
    >>> import torch
    >>> import pullback as pb
    >>> gone = torch.tensor([0.0, 3.0], requires_grad=True)
    >>> pb.nn.overhang(pb.Translation(gone), (8, 8)).backward()
    >>> gone.grad
    tensor([0., 4.])
    """
    at, _, _ = _mapped("overhang", transform, shape)
    extent = _check.resized("overhang", shape if input_shape is None else input_shape)
    half = torch.tensor([side / min(extent) for side in extent], dtype=at.dtype, device=at.device)
    return _mean((at.abs() - half).clamp(min=0).square().sum(-1), transform)


def bending_energy(transform: Transform, shape: Sequence[int]) -> Tensor:
    r"""Return how much a transform bends: the mean of its squared second derivatives; zero for an affine map.

    Parameters
    ----------
    transform : Transform
        On tensors, as in :func:`distance_from_identity`.
    shape : sequence of int
        Spatial shape of the output.

    Returns
    -------
    Tensor, () or (N,)
        In units of the frame "centered".

    Raises
    ------
    ValueError
        If `shape` does not fit the transform.
    TypeError
        If the transform is on NumPy arrays, or `shape` does not hold integers.

    Notes
    -----
    :math:`\frac{1}{P} \sum_p \sum_{i,a,b} (\partial_a \partial_b T_i)^2`, from second differences between the points
    of the output; those at its edge are left out. For thin-plate splines see also
    :meth:`pullback.ThinPlateSpline.bending_energy`, which is over all space and exact.

    Examples
    --------
    >>> import torch
    >>> import pullback as pb
    >>> bend = torch.zeros(5, 5, 2)
    >>> bend[2, 2] = torch.tensor([0.1, 0.0])
    >>> bool(pb.nn.bending_energy(pb.FreeForm(bend), (16, 16)) > 0)
    True
    """
    at, _, known = _mapped("bending_energy", transform, shape)
    axes = [at.ndim - 1 - transform.ndim + axis for axis in range(transform.ndim)]
    steps = [1 / scale for scale in frame_of(_FRAME, tuple(shape), output=True).scale]
    total = at.new_zeros(transform.batch_shape)
    for first in range(len(axes)):
        for second in range(len(axes)):
            slope = _difference(at, axes[first], steps[first])
            bend = _difference(slope, axes[second], steps[second])
            if bend.numel():
                whole = _of_both(_of_both(known, axes[first]), axes[second])
                bend = torch.where(whole[..., None], bend, 0.0)
                total = total + _mean(bend.square().sum(-1), transform)
    return total


def area_change(transform: Transform, shape: Sequence[int]) -> Tensor:
    r"""Return the mean squared logarithm of the factor by which a transform changes areas, or volumes.

    Parameters
    ----------
    transform : Transform
        On tensors, as in :func:`distance_from_identity`.
    shape : sequence of int
        Spatial shape of the output.

    Returns
    -------
    Tensor, () or (N,)
        Without a unit; zero where no area changes.

    Raises
    ------
    ValueError
        If `shape` does not fit the transform.
    TypeError
        If the transform is on NumPy arrays, or `shape` does not hold integers.

    Notes
    -----
    :math:`\frac{1}{P} \sum_p \log^2 |\det \partial T / \partial p|`: as large for a half as for a double, so that it
    resists zooming out as much as zooming in.

    Examples
    --------
    >>> import math, torch
    >>> import pullback as pb
    >>> out = pb.Affine(torch.tensor([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]))
    >>> math.isclose(pb.nn.area_change(out, (8, 8)), math.log(4) ** 2, rel_tol=1e-6)
    True
    """
    determinant = _determinants("area_change", transform, shape)
    smallest = torch.finfo(determinant.dtype).tiny
    return _mean(determinant.abs().clamp(min=smallest).log().square(), transform)


def fold_penalty(transform: Transform, shape: Sequence[int], least: float = 0.0) -> Tensor:
    r"""Return how much a transform folds: the mean of what its determinants lack of `least`.

    Parameters
    ----------
    transform : Transform
        On tensors, as in :func:`distance_from_identity`.
    shape : sequence of int
        Spatial shape of the output.
    least : float, optional
        Determinants below this are penalised; 0 for folds alone, a little more to keep away from them.

    Returns
    -------
    Tensor, () or (N,)
        Without a unit; zero where no determinant is below `least`.

    Raises
    ------
    ValueError
        If `shape` does not fit the transform.
    TypeError
        If the transform is on NumPy arrays, or `shape` does not hold integers.

    Notes
    -----
    :math:`\frac{1}{P} \sum_p \max(\mathrm{least} - \det \partial T / \partial p, 0)`.

    Examples
    --------
    >>> import torch
    >>> import pullback as pb
    >>> mirror = pb.Affine(torch.tensor([[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    >>> pb.nn.fold_penalty(mirror, (8, 8))
    tensor(1.)
    """
    return _mean(functional.relu(least - _determinants("fold_penalty", transform, shape)), transform)


def _mapped(function: str, transform: Transform, shape: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Return where the points of an output are read from, the points, both ``(..., *shape, d)``, and which are known.

    Those beyond the horizon of a projective map are not, and stay where they are.
    """
    if not isinstance(transform, Transform):
        several = "; give one of them" if isinstance(transform, tuple) else ""
        raise TypeError(f"{function}: `transform` is a {type(transform).__name__}, not a Transform{several}")
    shape = _check.resized(function, shape)
    if len(shape) != transform.ndim:
        raise ValueError(f"{function}: `shape` is {tuple(shape)} but the transform is {transform.ndim}-D")
    at, nowhere = transform._located(tuple(shape), _FRAME)
    if not isinstance(at, Tensor):
        raise TypeError(f"{function}: the transform is on NumPy arrays; give one on tensors")
    points = points_like(at, tuple(shape), _FRAME)
    known = torch.ones_like(at[..., 0], dtype=torch.bool) if nowhere is None else ~nowhere
    return torch.where(known[..., None], at, points), points, known


def _determinants(function: str, transform: Transform, shape: Sequence[int]) -> Tensor:
    """Return the Jacobian's determinant at each point of an output; 1 where nothing is known."""
    _, points, known = _mapped(function, transform, shape)
    points = points[None] if transform.batch_shape else points
    jacobian = transform.jacobian(points, shape=tuple(shape), frame=_FRAME)
    still = torch.eye(transform.ndim, dtype=jacobian.dtype, device=jacobian.device)
    determinants: Tensor = torch.linalg.det(torch.where(known[..., None, None], jacobian, still))
    return determinants


def _difference(values: Tensor, axis: int, step: float) -> Tensor:
    return torch.diff(values, dim=axis) / step


def _of_both(known: Tensor, axis: int) -> Tensor:
    """Return which differences along an axis are of two points that are known."""
    count = known.shape[axis] - 1
    return known.narrow(axis, 0, count) & known.narrow(axis, 1, count)


def _mean(values: Tensor, transform: Transform) -> Tensor:
    """Return the mean over all points of each transform."""
    return values.flatten(len(transform.batch_shape)).mean(-1)
