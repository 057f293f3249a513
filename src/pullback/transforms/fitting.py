"""Transforms from pairs of points: the one of a family that takes points of the output nearest to those of the input.

Every function here finds, for sets of pairs (s, t) with weights w that add up to 1, the parameters of the map q that
minimises ``sum w |q(s) - t|^2``. It is done in float64, after the means are taken off. Points that are as near to a
common line, plane or point as the rounding of their coordinates are taken to lie on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from pullback._arrays import as_arrays, is_tensor, namespace, spread
from pullback._plan import MAX_NDIM
from pullback.transforms.points import check_batch

if TYPE_CHECKING:
    from typing import Self

Array: TypeAlias = npt.NDArray[np.float64]

# What is below this many roundings of the largest coordinate is zero.
_ROUNDINGS = 64
_FLAT = ("coincide", "lie on a line", "lie on a plane")
_GAUSS_NEWTON_STEPS = 100
_HALVINGS = 30


@dataclass(frozen=True)
class Pairs:
    """Sets of pairs of points.

    Attributes
    ----------
    function : str
        Name for errors.
    source, target : ndarray, shape (B, K, d)
        The points of the output, and those of the input.
    weight : ndarray, shape (B, K)
        Adds up to 1 in each set.
    precision : float
        The relative distance of neighbouring numbers in the dtype of the points.
    batched : bool
        Whether there are several sets, and not one.
    """

    function: str
    source: Array
    target: Array
    weight: Array
    precision: float
    batched: bool

    @property
    def ndim(self) -> int:
        """Number of axes, d."""
        return int(self.source.shape[-1])

    def mean(self, points: Array) -> Array:
        """Return the weighted mean of each set, ``(B, 1, d)``."""
        mean: Array = (self.weight[..., None] * points).sum(1, keepdims=True)
        return mean

    def refuse(self, which: int, reason: str) -> NoReturn:
        """Raise for a set that does not determine the transform."""
        place = f" in set {which} of the batch" if self.batched else ""
        raise ValueError(f"{self.function}: {reason}{place}")

    def check_count(self, fewest: int) -> None:
        """Refuse sets with fewer pairs than determine the transform."""
        counts = (self.weight > 0).sum(1)
        if (counts < fewest).any():
            which = int(np.argmax(counts < fewest))
            weighted = "" if counts[which] == self.source.shape[1] else " of positive weight"
            self.refuse(which, f"pairs of points{weighted}: {counts[which]}; give {fewest} or more")

    def check_span(self, name: str, rank: int) -> None:
        """Refuse sets whose points, ``getattr(self, name)``, span fewer than `rank` dimensions around their mean."""
        if rank == 0:
            return
        points = getattr(self, name)
        extent = np.linalg.svd(np.sqrt(self.weight)[..., None] * (points - self.mean(points)), compute_uv=False)
        flat = extent[:, rank - 1] <= _ROUNDINGS * self.precision * np.abs(points).max((1, 2))
        if flat.any():
            reason = f"the points of `{name}` {_FLAT[rank - 1]}, which leaves the transform open"
            self.refuse(int(np.argmax(flat)), reason)


class Fitted:
    """A family that can be fitted to pairs of points."""

    if TYPE_CHECKING:

        @classmethod
        def from_parameters(cls, parameters: Any) -> Self: ...  # noqa: D102
        def __call__(self, points: Any) -> Any: ...  # noqa: D102

    @classmethod
    def fit(cls, source: Any, target: Any, weights: Any = None) -> Self:
        r"""Return the transform of this family that takes `source` nearest to `target`, in least squares.

        Parameters
        ----------
        source : array_like or Tensor, shape (K, d) or (N, K, d)
            Points of the output, in the order of the array axes.
        target : array_like or Tensor, shape (K, d) or (N, K, d)
            The points of the input that they are to be read from. If only one of the two has a batch axis, the
            other's points go with each of its sets.
        weights : array_like or Tensor, shape (K,) or (N, K), optional
            What each pair counts, not negative. Default: all the same.

        Returns
        -------
        Transform
            One, or a batch of N, on arrays of the kind of the arguments. Tensors are computed with in float64 on the
            CPU, and the result carries gradients to them: those of the equation that it solves.

        Raises
        ------
        ValueError
            If a shape does not fit, a number is not finite or a weight negative; if there are too few pairs, or they
            leave the transform open: too many of them coincide or lie on one line or plane.

        Notes
        -----
        With weights w, what is minimised is :math:`\sum_k w_k |q(s_k) - t_k|^2`.

        ===========  ===============  ===========================================================================
        family       fewest pairs     how
                     in 1-, 2-, 3-D
        ===========  ===============  ===========================================================================
        Translation  1, 1, 1          the mean difference
        Euclidean    1, 2, 3          Umeyama 1991, "Least-squares estimation of transformation parameters between
                                      two point patterns"; never a reflection, whatever the points
        Similarity   2, 2, 3          the same, with the scale
        Affine       2, 3, 4          linear least squares
        Projective   3, 4, 5          the linear equations of Hartley 1997, "In defense of the eight-point
                                      algorithm", then Gauss-Newton on the distance in the input
        ===========  ===============  ===========================================================================

        Examples
        --------
        >>> import numpy as np
        >>> from pullback.transforms import Affine, Euclidean
        >>> corners = np.array([[0.0, 0.0], [0.0, 9.0], [9.0, 0.0], [9.0, 9.0]])
        >>> Affine.fit(corners, 2 * corners + [1, 0]).matrix.round(6) + 0
        array([[2., 0., 1.],
               [0., 2., 0.]])
        >>> Euclidean.fit(corners, [[9, 0], [0, 0], [9, 9], [0, 9]])
        Euclidean(rotation=-1.5708, translation=[9, 0])
        """
        name = f"{cls.__name__}.fit"
        source, target, weights, batched = _together(name, source, target, weights)
        precision = float(namespace(source).finfo(source.dtype).eps)

        def solve(source: Array, target: Array, weights: Array) -> Array:
            return cls._fitted(_pairs(name, source, target, weights, precision, batched))

        if is_tensor(source):
            import pullback.transforms.implicit as implicit

            parameters: Any = implicit.fitted(solve, cls._misfit, source, target, weights)
        else:
            parameters = solve(source, target, weights)
        return cls.from_parameters(parameters if batched else parameters[0])

    @classmethod
    def _misfit(cls, parameters: Any, source: Any, target: Any, weight: Any) -> Any:
        """Return what is least at the best parameters for a set of pairs."""
        mapped: Any = cls.from_parameters(parameters)(source)
        return (weight[:, None] * (mapped - target) ** 2).sum()

    @staticmethod
    def _fitted(pairs: Pairs) -> Array:
        """Return the parameters of the family, ``(B, ...)``, that fit best."""
        raise TypeError(f"{pairs.function}: this family has no fit")


def fitted_translation(pairs: Pairs) -> Array:
    """Return offsets, ``(B, d)``."""
    pairs.check_count(1)
    return pairs.mean(pairs.target - pairs.source)[:, 0]


def fitted_euclidean(pairs: Pairs) -> Array:
    """Return turns and offsets, ``(B, k)``."""
    pairs.check_count(pairs.ndim)
    rotation, _ = _rotations(pairs)
    return np.concatenate([_turns(rotation), _offsets(pairs, rotation)], 1)


def fitted_similarity(pairs: Pairs) -> Array:
    """Return scales, turns and offsets, ``(B, k)``."""
    pairs.check_count(max(pairs.ndim, 2))
    pairs.check_span("source", 1)
    rotation, covariance = _rotations(pairs)
    source = pairs.source - pairs.mean(pairs.source)
    scale = (rotation * covariance).sum((1, 2)) / (pairs.weight[..., None] * source**2).sum((1, 2))
    offset = _offsets(pairs, scale[:, None, None] * rotation)
    return np.concatenate([scale[:, None], _turns(rotation), offset], 1)


def fitted_affine(pairs: Pairs) -> Array:
    """Return matrices, ``(B, d, d + 1)``."""
    pairs.check_count(pairs.ndim + 1)
    pairs.check_span("source", pairs.ndim)
    root = np.sqrt(pairs.weight)[..., None]
    u, extent, v = np.linalg.svd(root * (pairs.source - pairs.mean(pairs.source)), full_matrices=False)
    along = np.swapaxes(u, 1, 2) @ (root * (pairs.target - pairs.mean(pairs.target)))
    linear = np.swapaxes(np.swapaxes(v, 1, 2) @ (along / extent[..., None]), 1, 2)
    return np.concatenate([linear, _offsets(pairs, linear)[..., None]], 2)


def fitted_projective(pairs: Pairs) -> Array:
    """Return matrices, ``(B, d + 1, d + 1)``, whose denominator is 1 at the mean of the source points."""
    pairs.check_count(pairs.ndim + 2)
    pairs.check_span("source", pairs.ndim)
    pairs.check_span("target", pairs.ndim)
    return np.array([_homography(pairs, which) for which in range(len(pairs.source))]).reshape(
        -1, pairs.ndim + 1, pairs.ndim + 1
    )


def _rotations(pairs: Pairs) -> tuple[Array, Array]:
    """Return the rotations that turn the source points nearest to the target points, and the covariances of both."""
    pairs.check_span("source", pairs.ndim - 1)
    pairs.check_span("target", pairs.ndim - 1)
    source, target = pairs.source - pairs.mean(pairs.source), pairs.target - pairs.mean(pairs.target)
    covariance = np.swapaxes(pairs.weight[..., None] * target, 1, 2) @ source
    u, extent, v = np.linalg.svd(covariance)
    sign = np.where(np.linalg.det(u) * np.linalg.det(v) < 0, -1.0, 1.0)
    # Where the last two cancel, as for the mirror image of a square, every turn in their plane is as good.
    if pairs.ndim > 1:
        open_turn = extent[:, -2] + sign * extent[:, -1] <= _ROUNDINGS * pairs.precision * extent[:, 0]
        if open_turn.any():
            pairs.refuse(int(np.argmax(open_turn)), "every turn brings `source` equally near to `target`")
    u = np.concatenate([u[..., :-1], u[..., -1:] * sign[:, None, None]], 2)
    return u @ v, covariance


def _offsets(pairs: Pairs, linear: Array) -> Array:
    """Return the offset, ``(B, d)``, that takes the mean of the source points to that of the target points."""
    offset: Array = (pairs.mean(pairs.target) - pairs.mean(pairs.source) @ np.swapaxes(linear, 1, 2))[:, 0]
    return offset


def _turns(rotation: Array) -> Array:
    """Return the turns, ``(B, 0, 1 or 3)``, of rotation matrices: see :mod:`pullback.transforms.rotation`."""
    if rotation.shape[-1] == 1:
        return np.zeros((len(rotation), 0))
    if rotation.shape[-1] == 2:
        angle: Array = np.arctan2(rotation[:, 0, 1] - rotation[:, 1, 0], rotation[:, 0, 0] + rotation[:, 1, 1])
        return angle[:, None]
    quaternion = _quaternions(np.swapaxes(rotation, 1, 2))
    quaternion = np.where(quaternion[:, :1] < 0, -quaternion, quaternion)
    sine = np.linalg.norm(quaternion[:, 1:], axis=1, keepdims=True)
    half = np.arctan2(sine, quaternion[:, :1])
    turn: Array = 2 * quaternion[:, 1:] * np.divide(half, sine, out=np.ones_like(sine), where=sine > 0)
    return turn


def _quaternions(rotation: Array) -> Array:
    """Return unit quaternions, ``(B, 4)``, cosine first, of right-handed rotation matrices.

    The eigenvector of the largest eigenvalue of a symmetric matrix (Bar-Itzhack 2000, "New method for extracting the
    quaternion from a rotation matrix"), which is as precise at every angle.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = np.moveaxis(rotation, 0, -1)
    symmetric = [
        [xx + yy + zz, zy - yz, xz - zx, yx - xy],
        [zy - yz, xx - yy - zz, yx + xy, xz + zx],
        [xz - zx, yx + xy, yy - xx - zz, zy + yz],
        [yx - xy, xz + zx, zy + yz, zz - xx - yy],
    ]
    _, vectors = np.linalg.eigh(np.moveaxis(np.array(symmetric), -1, 0))
    return vectors[..., -1]


def _homography(pairs: Pairs, which: int) -> Array:
    """Return the projective matrix of one set."""
    kept = pairs.weight[which] > 0
    to_source, source = _normalised(pairs.source[which][kept])
    to_target, target = _normalised(pairs.target[which][kept])
    farthest = max(
        to_source[0, 0] * np.abs(pairs.source[which]).max(), to_target[0, 0] * np.abs(pairs.target[which]).max()
    )
    root = np.sqrt(pairs.weight[which][kept] / pairs.weight[which][kept].max())
    matrix = _linear_homography(pairs, which, source, target, root, _ROUNDINGS * pairs.precision * farthest)
    matrix = _refined(matrix, source, target, root)
    matrix = np.linalg.inv(to_target) @ matrix @ to_source
    mean = np.append(pairs.mean(pairs.source)[which, 0], 1.0)
    result: Array = matrix / (matrix[-1] @ mean)
    return result


def _normalised(points: Array) -> tuple[Array, Array]:
    """Return a matrix that moves points to the origin and to unit size, and homogeneous points ``(K, d + 1)`` there."""
    ndim, mean = points.shape[1], points.mean(0)
    size = np.sqrt(((points - mean) ** 2).mean())
    matrix = np.eye(ndim + 1) / size
    matrix[:-1, -1] = -mean / size
    matrix[-1, -1] = 1.0
    return matrix, np.append((points - mean) / size, np.ones((len(points), 1)), axis=1)


def _linear_homography(pairs: Pairs, which: int, source: Array, target: Array, root: Array, limit: float) -> Array:
    """Return the matrix, of norm 1, that solves the equations ``numerator = target * denominator`` best."""
    ndim, size = pairs.ndim, source.shape[1] ** 2
    equations = np.zeros((ndim, len(source), ndim + 1, ndim + 1))
    for axis in range(ndim):
        equations[axis, :, axis] = root[:, None] * source
        equations[axis, :, -1] = -root[:, None] * target[:, axis, None] * source
    triangle = np.linalg.qr(equations.reshape(-1, size), mode="r")
    _, extent, v = np.linalg.svd(triangle)
    matrix: Array = v[-1].reshape(ndim + 1, ndim + 1)
    stretch = np.linalg.svd(matrix, compute_uv=False)
    if extent[size - 2] <= limit * extent[0] or stretch[-1] <= limit * stretch[0]:
        pairs.refuse(which, f"too many of the points {_FLAT[ndim - 1]}, which leaves the transform open")
    denominator = source @ matrix[-1]
    matrix = matrix if denominator @ root >= 0 else -matrix
    if (source @ matrix[-1] <= 0).any():
        pairs.refuse(
            which,
            "the projective map through these points has its horizon between them; is the order of `source` and "
            "`target` the same",
        )
    return matrix


def _refined(matrix: Array, source: Array, target: Array, root: Array) -> Array:
    """Return the matrix after Gauss-Newton steps on the distances in the target, while these lessen them."""
    error = _distances(matrix, source, target, root)
    for _ in range(_GAUSS_NEWTON_STEPS):
        step = np.linalg.lstsq(_slopes(matrix, source, root), -error.ravel(), rcond=1e-12)[0].reshape(matrix.shape)
        better, error_there = matrix, error
        for halving in range(_HALVINGS):
            trial = matrix + step / 2**halving
            error_there = _distances(trial, source, target, root)
            if (source @ trial[-1] > 0).all() and (error_there**2).sum() < (error**2).sum():
                better = trial / np.linalg.norm(trial)
                break
        if better is matrix:
            break
        matrix, error = better, error_there
    return matrix


def _distances(matrix: Array, source: Array, target: Array, root: Array) -> Array:
    """Return the weighted differences to the target points, ``(K, d)``."""
    numerator = source @ matrix[:-1].T
    difference: Array = root[:, None] * (numerator / (source @ matrix[-1])[:, None] - target[:, :-1])
    return difference


def _slopes(matrix: Array, source: Array, root: Array) -> Array:
    """Return the derivatives of the differences in the entries of the matrix, ``(K d, (d + 1)^2)``."""
    count, size = source.shape
    denominator = (source @ matrix[-1])[:, None]
    mapped = source @ matrix[:-1].T / denominator
    scaled = root[:, None] * source / denominator
    slopes = np.zeros((count, size - 1, size, size))
    for axis in range(size - 1):
        slopes[:, axis, axis] = scaled
        slopes[:, axis, -1] = -mapped[:, axis, None] * scaled
    return slopes.reshape(-1, size * size)


def _together(name: str, source: Any, target: Any, weights: Any) -> tuple[Any, Any, Any, bool]:
    """Return points, (B, K, d), and weights, (B, K), on arrays of one kind, and whether there are several sets."""
    given = {"source": source, "target": target} | ({} if weights is None else {"weights": weights})
    arrays = dict(zip(given, as_arrays(name, **given), strict=True))
    _check_shapes(name, arrays)
    source, target = arrays["source"], arrays["target"]
    if 0 in source.shape[-2:]:
        raise ValueError(f"{name}: `source` has shape {tuple(source.shape)}, so there are no points; give some")
    weights = arrays.get("weights", namespace(source).ones_like(source[..., 0]))
    batch = check_batch(name, 2, source=source, target=target, weights=weights[..., None])
    sets = batch or (1,)
    parts = (source, target, weights[..., None])
    source, target, weights = (spread(part, (*sets, *part.shape[-2:])) for part in parts)
    return source, target, weights[..., 0], bool(batch)


def _pairs(name: str, source: Array, target: Array, weights: Array, precision: float, batched: bool) -> Pairs:
    """Return pairs of points whose values have been checked."""
    for key, array in (("source", source), ("target", target), ("weights", weights)):
        if not np.isfinite(array).all():
            raise ValueError(f"{name}: `{key}` has numbers that are not finite; leave those pairs out")
    if (weights < 0).any() or (weights.sum(-1) == 0).any():
        raise ValueError(f"{name}: `weights` are negative, or all zero; give positive ones, and 0 to leave a pair out")
    return Pairs(name, source, target, weights / weights.sum(-1, keepdims=True), precision, batched)


def _check_shapes(name: str, points: dict[str, Any]) -> None:
    source, target = points["source"], points["target"]
    for key, array in (("source", source), ("target", target)):
        if array.ndim not in (2, 3) or not 1 <= array.shape[-1] <= MAX_NDIM:
            raise ValueError(
                f"{name}: `{key}` has shape {tuple(array.shape)}; give (K, d) or (N, K, d), K points with d of 1, 2 or "
                "3"
            )
    if source.shape[-2:] != target.shape[-2:]:
        raise ValueError(
            f"{name}: `source` has shape {tuple(source.shape)} and `target` {tuple(target.shape)}; give as many points "
            "of each"
        )
    weights = points.get("weights")
    if weights is not None and (weights.ndim not in (1, 2) or weights.shape[-1] != source.shape[-2]):
        raise ValueError(
            f"{name}: `weights` has shape {tuple(weights.shape)} but there are {source.shape[-2]} pairs; give "
            f"({source.shape[-2]},) or (N, {source.shape[-2]})"
        )
