"""Transforms from pairs of points: exact pairs, least squares, and pairs that leave the transform open."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from families import MATRICES, OF, draw, each_batch, each_case
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from pullback.transforms import Affine, Euclidean, Projective, Similarity, Translation

torch = pytest.importorskip("torch")


def seeds() -> Any:
    return st.integers(0, 2**32 - 1).map(np.random.default_rng)


def cost(transform: Any, source: Any, target: Any, weights: Any = None) -> Any:
    """The sum of squares that a fit minimises."""
    weights = np.ones(len(source)) if weights is None else weights
    return (weights[:, None] * (transform(source) - target) ** 2).sum()


def same_map(found: Any, expected: Any, atol: float) -> None:
    """Parameters of a turn and homogeneous matrices are not unique; what they do to points is."""
    ndim = expected.ndim
    points = np.random.default_rng(0).uniform(0, 40, (1 if expected.batch_shape else 6, ndim))
    points = points[None] if expected.batch_shape else points
    np.testing.assert_allclose(found(points), expected(points), atol=atol)


@each_case(MATRICES)
@each_batch
@given(rng=seeds(), more=st.integers(0, 20))
@settings(max_examples=15, deadline=None)
def test_a_fit_to_exact_pairs_is_exact(family, ndim, batch, rng, more):
    transform = draw(family, ndim, rng, batch, near=True)
    # Points spread well: the corners of a simplex, the centre of it, and others.
    corners = 40 * np.concatenate([np.zeros((1, ndim)), np.eye(ndim), np.full((1, ndim), 0.8)])
    source = corners + rng.uniform(-3, 3, (*batch, *corners.shape))
    source = np.concatenate([source, rng.uniform(0, 40, (*batch, more, ndim))], -2)
    source = source[..., : max(OF[family].fewest_pairs(ndim), source.shape[-2] - 2), :]
    found = family.fit(source, transform(source))
    assert type(found) is family
    assert found.batch_shape == batch
    # Rounding of coordinates of 40, times what four points leave of digits.
    same_map(found, transform, atol=1e-9)


@each_case(MATRICES)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weights"])
def test_a_fit_to_noisy_pairs_is_the_least_squares_solution(family, ndim, weighted):
    rng = np.random.default_rng(10)
    source = rng.uniform(0, 40, (12, ndim))
    target = draw(family, ndim, rng, near=True)(source) + rng.normal(size=(12, ndim))
    weights = rng.uniform(0, 2, 12) if weighted else None
    found = family.fit(source, target, weights)
    best = cost(found, source, target, weights)

    def residuals(parameters):
        transform = found.with_parameters(parameters.reshape(found.parameters.shape))
        root = np.ones(12) if weights is None else np.sqrt(weights)
        return (root[:, None] * (transform(source) - target)).ravel()

    # No neighbour is better, to first order, and SciPy's optimiser finds nothing to gain from there.
    start = np.array(found.parameters).ravel()
    slope = optimize.approx_fprime(start, lambda p: (residuals(p) ** 2).sum() / best, 1e-7)
    scale = np.abs(slope * np.maximum(np.abs(start), 1e-3)).max()
    assert scale < 1e-3
    method = "lm" if 12 * ndim >= start.size else "trf"
    assert 2 * optimize.least_squares(residuals, start, x_scale=np.maximum(np.abs(start), 1e-3), method=method).cost > (
        best * (1 - 1e-9)
    )


@pytest.mark.parametrize("family", [Euclidean, Similarity], ids=lambda v: v.__name__)
@pytest.mark.parametrize("ndim", [2, 3])
def test_reflected_points_get_a_proper_rotation(family, ndim):
    rng = np.random.default_rng(11)
    source = rng.normal(size=(20, ndim)) * [1.0, 3.0, 5.0][:ndim]
    found = family.fit(source, source * ([-1.0] + [1.0] * (ndim - 1)))
    linear = found.matrix[:, :-1] / np.cbrt(np.linalg.det(found.matrix[:, :-1])) ** (3 / ndim)
    np.testing.assert_allclose(linear, np.eye(ndim), atol=0.2)
    assert np.linalg.det(linear) > 0


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-3, 3.0, math.pi - 1e-9, math.pi])
def test_fitted_turns_of_every_angle_are_exact(angle):
    rng = np.random.default_rng(12)
    axis = np.array([2.0, -1.0, 2.0]) / 3
    points = rng.normal(size=(9, 3))
    turn = Euclidean(angle * axis, np.zeros(3))
    found = Euclidean.fit(points, turn(points))
    np.testing.assert_allclose(found.matrix, turn.matrix, atol=1e-14)
    flat = Euclidean(angle, np.zeros(2))
    np.testing.assert_allclose(Euclidean.fit(points[:, :2], flat(points[:, :2])).angle, angle, atol=1e-14)


def test_similarities_agree_with_scikit_image():
    skimage = pytest.importorskip("skimage.transform")
    source, target = np.random.default_rng(13).normal(size=(2, 15, 3))
    family = skimage.SimilarityTransform
    if hasattr(family, "from_estimate"):
        theirs = family.from_estimate(source, target)
    else:
        theirs = family(dimensionality=3)
        assert theirs.estimate(source, target)
    np.testing.assert_allclose(Similarity.fit(source, target).homogeneous, theirs.params, atol=1e-12)


def test_the_fit_of_a_page_has_the_corners_exactly():
    corners = np.array([[0.0, 0.0], [0.0, 99.0], [99.0, 0.0], [99.0, 99.0]])
    page = np.array([[12.0, 20.0], [8.0, 88.0], [70.0, 5.0], [91.0, 97.0]])
    np.testing.assert_allclose(Projective.fit(corners, page)(corners), page, atol=1e-12)


def test_a_projective_fit_keeps_its_points_before_the_horizon_when_the_origin_is_not():
    tilt = Projective.from_parameters([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.1, 0.0, -1.0]])
    points = np.array([[20.0, 0.0], [20.0, 9.0], [30.0, 0.0], [30.0, 9.0], [25.0, 4.0]])
    found = Projective.fit(points, tilt(points))
    assert found.matrix[-1, -1] < 0
    np.testing.assert_allclose(found(points), tilt(points), atol=1e-11)


@each_case(MATRICES)
def test_fits_of_tensors_are_tensors_with_their_graph(family, ndim):
    rng = np.random.default_rng(14)
    source = rng.uniform(0, 40, (10, ndim))
    target = draw(family, ndim, rng, (3,), near=True)(source[None])
    expected = family.fit(source, target)
    assert expected.batch_shape == (3,)
    found = family.fit(source, torch.tensor(target, requires_grad=True))
    assert isinstance(found.parameters, torch.Tensor)
    assert found.parameters.requires_grad
    np.testing.assert_allclose(found.parameters.detach(), expected.parameters, atol=1e-12)
    assert family.fit(torch.tensor(source).float(), target).parameters.dtype == torch.float32
    single = family.fit(source, target[1], np.ones(10))
    same_map(single, family.from_parameters(expected.parameters[1]), atol=1e-10)


def test_pairs_of_no_weight_do_not_count():
    rng = np.random.default_rng(15)
    source = rng.uniform(0, 40, (9, 2))
    target = source + rng.normal(size=(9, 2))
    weights = np.array([1.0, 2, 1, 1, 3, 1, 1, 0, 0])
    for family in MATRICES:
        same_map(family.fit(source, target, weights), family.fit(source[:7], target[:7], weights[:7]), 1e-9)


SQUARE = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


LINE = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [5.0, 5.0]]) / 3


LINE_3D = np.outer(np.arange(5.0), [1.0, 2.0, 3.0])


ERRORS = {
    "fit shape": (lambda: Affine.fit(np.zeros(3), np.zeros(3)), r"`source` has shape \(3,\)"),
    "fit of 4-D": (lambda: Affine.fit(np.zeros((9, 4)), np.zeros((9, 4))), "d of 1, 2 or 3"),
    "fit of unequal": (lambda: Affine.fit(SQUARE, SQUARE[:3]), "as many points of each"),
    "fit of batches": (
        lambda: Affine.fit(np.zeros((2, 4, 2)), np.zeros((3, 4, 2))),
        "Affine.fit: `target` .* batches of one length",
    ),
    "fit of nothing": (lambda: Translation.fit(np.zeros((0, 2)), np.zeros((0, 2))), "no points"),
    "fit of NaN": (lambda: Affine.fit(SQUARE, SQUARE * np.nan), "`target` has numbers that are not finite"),
    "negative weights": (lambda: Affine.fit(SQUARE, SQUARE, [1, 1, 1, -1]), "`weights` are negative"),
    "zero weights": (lambda: Affine.fit(SQUARE, SQUARE, np.zeros(4)), "all zero"),
    "weights shape": (lambda: Affine.fit(SQUARE, SQUARE, np.ones(3)), r"`weights` has shape \(3,\) but there are 4"),
    "few pairs": (lambda: Projective.fit(SQUARE[:3], SQUARE[:3]), "pairs of points: 3; give 4 or more"),
    "few weighted": (
        lambda: Affine.fit(SQUARE, SQUARE, [1, 1, 0, 0]),
        "pairs of points of positive weight: 2; give 3 or more",
    ),
    "one of a batch": (
        lambda: Affine.fit(np.stack([SQUARE, SQUARE * 0]), SQUARE),
        "lie on a line, .* in set 1 of the batch",
    ),
    "affine line": (lambda: Affine.fit(LINE, LINE), "points of `source` lie on a line"),
    "affine line far away": (lambda: Affine.fit(LINE + 1e6 / 3, LINE), "points of `source` lie on a line"),
    "affine line in float32": (
        lambda: Affine.fit(torch.tensor(LINE).float() + 100, torch.tensor(LINE).float()),
        "points of `source` lie on a line",
    ),
    "affine plane": (lambda: Affine.fit(np.eye(5, 3) * [1, 1, 0], np.eye(5, 3)), "lie on a plane"),
    "point": (lambda: Similarity.fit(np.ones((3, 2)) / 3, SQUARE[:3]), "points of `source` coincide"),
    "rigid point": (lambda: Euclidean.fit(SQUARE, np.ones((4, 2))), "points of `target` coincide"),
    "rigid line": (lambda: Euclidean.fit(LINE_3D, LINE_3D), "lie on a line"),
    "mirror": (lambda: Euclidean.fit(SQUARE, SQUARE * [1, -1]), "every turn brings"),
    "projective line": (
        lambda: Projective.fit(np.append(LINE[:3], [[0, 1]], 0), np.append(LINE[:3], [[0, 1]], 0)),
        "too many of the points lie on a line",
    ),
    "projective onto a line": (
        lambda: Projective.fit(SQUARE, np.append(LINE[:3], [[0, 1]], 0)),
        "too many of the points lie on a line",
    ),
    "crossed corners": (lambda: Projective.fit(SQUARE, SQUARE[[0, 1, 3, 2]]), "horizon between them"),
}


@pytest.mark.parametrize(("call", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_wrong_values_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_text_is_refused():
    with pytest.raises(TypeError, match="`source` has dtype"):
        Affine.fit("ab", "cd")
