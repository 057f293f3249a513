"""Maps by matrices: what each constructor does to points and pictures, the group, and the calculus of parameters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from families import MATRICES, TURNING, draw, each, each_case
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.transform import Rotation

import pullback as pb
from pullback.transforms import (
    Affine,
    Chain,
    Displacement,
    Euclidean,
    MatrixTransform,
    Projective,
    Similarity,
    Translation,
)

torch = pytest.importorskip("torch")


EPS = np.finfo(np.float64).eps


def seeds() -> Any:
    return st.integers(0, 2**32 - 1).map(np.random.default_rng)


@pytest.mark.parametrize("side", [4, 5])
@pytest.mark.parametrize("turns", [-1, 0, 1, 2, 3, 4])
def test_quarter_turns_about_the_middle_are_rot90_bit_for_bit(side, turns):
    image = np.random.default_rng(0).random((side, side))
    middle = ((side - 1) / 2,) * 2
    turned = pb.warp(image, Affine.rotation(90 * turns, center=middle), extent="crop", fill=np.nan)
    np.testing.assert_array_equal(turned, np.rot90(image, turns))


@each(TURNING)
def test_quarter_turn_of_a_non_square_image_in_the_centered_frame_is_rot90(family):
    image = np.random.default_rng(0).random((4, 7))
    turned = pb.warp(image, family.rotation(90), (7, 4), frame="centered", border="edge")
    # Similarity keeps the angle in radians: a coordinate is off by a few roundings of a side of 7.
    np.testing.assert_allclose(turned, np.rot90(image), atol=1e-13)


@pytest.mark.parametrize("degrees", [-60.0, 17.0, 135.0])
def test_rotation_turns_the_picture_as_scipy_does(degrees):
    image = np.random.default_rng(0).random((9, 14))
    turned = pb.warp(image, Affine.rotation(degrees, center=(4.0, 6.5)))
    expected = ndimage.rotate(image, degrees, reshape=False, order=1, mode="grid-constant")
    np.testing.assert_allclose(turned, expected, atol=1e-12)


def test_rotation_in_y_x_order_is_the_standard_one_in_x_y():
    angle = math.radians(30)
    standard = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    y, x = Affine.rotation(30)([2.0, 5.0])
    np.testing.assert_allclose([x, y], standard @ [5.0, 2.0], rtol=8 * EPS)


def test_scaling_by_a_half_doubles_the_picture():
    row = np.arange(9.0)
    np.testing.assert_array_equal(pb.warp(row, Affine.scaling(0.5, center=[4.0])), 2 + np.arange(9) / 2)


def test_scaling_takes_one_factor_an_axis():
    np.testing.assert_array_equal(Affine.scaling((2, 3), center=(1, 1))([2.0, 2.0]), [3.0, 4.0])
    np.testing.assert_array_equal(Affine.scaling(2.0, ndim=3).matrix, 2 * np.eye(3, 4))
    np.testing.assert_array_equal(Affine.scaling([2.0], ndim=1).matrix, [[2.0, 0.0]])


def test_shear_moves_one_axis_along_another():
    np.testing.assert_array_equal(Affine.shear(0.5, center=(2, 2))([4.0, 2.0]), [4.0, 3.0])
    np.testing.assert_array_equal(Affine.shear(2.0, axis=0, along=2, ndim=3)([1.0, 1.0, 1.0]), [3.0, 1.0, 1.0])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rotation_about_an_axis_of_a_volume_turns_its_slices(axis):
    volume = np.random.default_rng(0).random((5, 5, 5))
    turned = pb.warp(volume, Affine.rotation(90, center=(2, 2, 2), axis=axis))
    np.testing.assert_array_equal(turned, np.rot90(volume, axes=((axis + 1) % 3, (axis + 2) % 3)))
    matrices = (family.rotation(33, center=(1, 2, 3), axis=axis).matrix for family in (Affine, Similarity))
    np.testing.assert_allclose(*matrices, atol=8 * EPS)


@given(seeds())
@settings(max_examples=25, deadline=None)
def test_rotation_vector_is_right_handed_in_x_y_z(rng):
    vector = rng.normal(size=3) * rng.choice([1e-9, 1e-3, 1.0, 2.0])
    matrix = Similarity(1.0, vector, np.zeros(3)).matrix[:, :3]
    expected = Rotation.from_rotvec(vector[::-1]).as_matrix()[::-1, ::-1]
    np.testing.assert_allclose(matrix, expected, atol=16 * EPS)


@each(TURNING)
def test_constructors_take_batches(family):
    degrees, centers = np.array([10.0, 20.0, 90.0]), np.arange(6.0).reshape(3, 2)
    batch = family.rotation(degrees, centers)
    assert batch.batch_shape == (3,)
    for k in range(3):
        np.testing.assert_array_equal(batch.matrix[k], family.rotation(degrees[k], centers[k]).matrix)
    assert family.rotation(30.0, centers).batch_shape == (3,)
    assert family.translation(centers).batch_shape == (3,)
    assert Similarity(degrees, None, centers[:1]).batch_shape == Similarity([1.0], None, centers).batch_shape == (3,)
    assert family.rotation(degrees, centers[:1]).batch_shape == family.rotation([1.0], centers).batch_shape == (3,)
    if family is Euclidean:
        return
    factors = degrees[:, None] if family is Affine else degrees
    np.testing.assert_array_equal(family.scaling(factors).matrix[2], 90.0 * np.eye(2, 3))


@each_case(MATRICES)
def test_identity_leaves_points_bit_for_bit(family, ndim):
    points = np.random.default_rng(0).normal(size=(6, ndim)) * 1e5
    np.testing.assert_array_equal(family.identity(ndim)(points), points)
    np.testing.assert_array_equal(family.identity(ndim).matrix[:ndim], np.eye(ndim, ndim + 1))
    np.testing.assert_array_equal(family.identity(ndim).homogeneous, np.eye(ndim + 1))


@each_case(MATRICES)
@given(rng=seeds())
@settings(max_examples=15, deadline=None)
def test_inverse_undoes(family, ndim, rng):
    transform = draw(family, ndim, rng, batch=(3,))
    points = rng.uniform(-100, 100, (3, 5, ndim))
    inverse = transform.inverse()
    assert type(inverse) is family
    # Condition numbers reach 4 and points 200: some hundred roundings of 200.
    np.testing.assert_allclose(inverse(transform(points)), points, atol=1e-11)
    np.testing.assert_allclose(transform(inverse(points)), points, atol=1e-11)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("second", MATRICES)
@pytest.mark.parametrize("first", MATRICES)
@given(rng=seeds())
@settings(max_examples=6, deadline=None)
def test_product_applies_the_right_one_first_in_the_narrowest_family(first, second, ndim, rng):
    a, b = draw(first, ndim, rng), draw(second, ndim, rng)
    points = rng.uniform(-100, 100, (5, ndim))
    product = a @ b
    assert type(product) is max(first, second, key=MATRICES.index)
    np.testing.assert_allclose(product(points), a(b(points)), atol=1e-11)


@pytest.mark.parametrize(
    "counts", [((), (4,)), ((4,), ()), ((1,), (4,)), ((4,), (1,)), ((4,), (4,)), ((0,), ())], ids=str
)
@each_case(MATRICES)
def test_batches_broadcast_in_products(family, ndim, counts):
    rng = np.random.default_rng(0)
    a, b = (draw(family, ndim, rng, batch) for batch in counts)
    product = a @ b
    (count,) = max(counts, key=lambda c: (len(c), c))
    assert product.batch_shape == (count,)
    points = rng.normal(size=(count, 2, ndim))
    inner = b(points)
    np.testing.assert_allclose(product(points), a(inner), atol=1e-12)


class Stretch(MatrixTransform):
    """A family beside the others: a scale an axis and an offset. It holds translations, and affine maps hold it."""

    _generality = 1

    @classmethod
    def from_parameters(cls, parameters):
        return cls._holding(np.array(parameters))

    @classmethod
    def identity(cls, ndim):
        return cls.from_parameters([1.0] * ndim + [0.0] * ndim)

    @property
    def ndim(self):
        return self.parameters.shape[-1] // 2

    @property
    def matrix(self):
        scale, offset = np.split(self.parameters, 2, -1)
        return np.concatenate([scale[..., None] * np.eye(self.ndim), offset[..., None]], -1)

    def matrix_vjp(self, grad_matrix):
        grad_matrix = self._check_gradient(grad_matrix)
        return np.concatenate([np.diagonal(grad_matrix, axis1=-2, axis2=-1), grad_matrix[..., -1]], -1)

    def inverse(self):
        scale, offset = np.split(self.parameters, 2, -1)
        return self.from_parameters(np.concatenate([1 / scale, -offset / scale], -1))

    def _after(self, other):
        scale, offset = np.split(self.parameters, 2, -1)
        other_scale, other_offset = np.split(other.parameters, 2, -1)
        return self.from_parameters(np.concatenate([scale * other_scale, scale * other_offset + offset], -1))

    @classmethod
    def _from_narrower(cls, other):
        if not isinstance(other, Translation):
            return None
        return cls.from_parameters(np.concatenate([np.ones_like(other.offset), other.offset], -1))

    def _describe(self):
        return repr(self.parameters)


@pytest.mark.parametrize(
    ("other", "product"),
    [(Translation, Stretch), (Euclidean, Affine), (Similarity, Affine), (Affine, Affine), (Projective, Projective)],
)
def test_a_new_family_composes_with_those_that_do_not_know_it(other, product):
    rng = np.random.default_rng(0)
    stretch, other = Stretch.from_parameters([2.0, 0.5, 1.0, -3.0]), draw(other, 2, rng)
    points = rng.uniform(-10, 10, (5, 2))
    for first, second in ((stretch, other), (other, stretch)):
        assert type(first @ second) is product
        np.testing.assert_allclose((first @ second)(points), first(second(points)), atol=1e-12)
    np.testing.assert_allclose((stretch @ stretch.inverse())(points), points, atol=1e-12)
    field = Displacement.identity((4, 5))
    assert type(stretch @ field) is Chain
    grad = rng.normal(size=points.shape)
    (on_points, on_parameters), (expected, on_matrix) = (
        transform.points_vjp(points, grad) for transform in (stretch, Affine(stretch.matrix))
    )
    np.testing.assert_array_equal(on_points, expected)
    np.testing.assert_array_equal(on_parameters, [*np.diagonal(on_matrix), *on_matrix[:, -1]])


def test_products_of_small_and_of_opposite_turns_are_exact():
    tiny = Similarity(1.0, [1e-9, 2e-9, -1e-9], np.zeros(3))
    np.testing.assert_allclose((tiny @ tiny).angle, 2 * tiny.angle, rtol=8 * EPS)
    wide = Similarity(1.0, [2.5, 0.0, 0.0], np.zeros(3))
    np.testing.assert_allclose((wide @ wide).angle, [5.0 - 2 * math.pi, 0.0, 0.0], atol=8 * EPS)


@each_case(MATRICES)
@pytest.mark.parametrize("angle", [0.0, 1e-6, 0.49999, 0.50001, 2.0])
def test_matrix_vjp_is_the_derivative(family, ndim, angle):
    """Against central differences and torch's autograd, on both sides of the series' limit (an angle of 0.5)."""
    rng = np.random.default_rng(0)
    transform = draw(family, ndim, rng, batch=(2,))
    if family in (Euclidean, Similarity) and ndim > 1:
        turn = {2: np.full(2, angle), 3: np.full((2, 3), angle) / math.sqrt(3)}[ndim]
        motion = Euclidean(turn, transform.offset)
        transform = motion if family is Euclidean else Similarity(transform.scale, turn, transform.offset)
    grad = rng.normal(size=transform.matrix.shape)
    closed_form = transform.matrix_vjp(grad)

    parameters = torch.tensor(transform.parameters, requires_grad=True)
    family.from_parameters(parameters).matrix.backward(torch.tensor(grad))
    # The slopes of the trigonometric ratios cancel two digits at an angle of 0.5.
    np.testing.assert_allclose(closed_form, parameters.grad, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(transform.torch().matrix_vjp(torch.tensor(grad)), closed_form, rtol=1e-12, atol=1e-13)

    step = 1e-6
    for index in np.ndindex(transform.parameters.shape):
        shift = np.zeros(transform.parameters.shape)
        shift[index] = step
        above, below = (family.from_parameters(transform.parameters + sign * shift).matrix for sign in (1, -1))
        # Truncation is of the order of step², rounding of eps / step.
        assert ((above - below) * grad).sum() / (2 * step) == pytest.approx(closed_form[index], abs=1e-8)


@each_case(MATRICES)
def test_autograd_reaches_the_parameters_through_everything(family, ndim):
    rng = np.random.default_rng(0)
    points = torch.tensor(rng.normal(size=(2, 3, ndim)), requires_grad=True)
    parameters = torch.tensor(draw(family, ndim, rng, (2,)).parameters, requires_grad=True)
    other = draw(family, ndim, rng).torch()

    def mapped(parameters, points):
        transform = family.from_parameters(parameters)
        return (transform.inverse() @ other @ transform)(points)

    # The weights of random directions stand for all entries of the derivatives.
    assert torch.autograd.gradcheck(mapped, (parameters, points), fast_mode=True)
    assert torch.autograd.gradgradcheck(mapped, (parameters, points), fast_mode=True)


def test_gradients_of_products_are_finite_at_the_identity():
    parameters = torch.tensor(Similarity.identity(3).parameters, requires_grad=True)
    turn = Similarity.from_parameters(parameters)
    (turn @ turn).parameters.sum().backward()
    np.testing.assert_allclose(parameters.grad, [2.0] * 7, rtol=8 * EPS)


def test_constructors_carry_gradients():
    degrees = torch.tensor([100.0, -30.0], dtype=torch.float64, requires_grad=True)
    center = torch.tensor([3.0, 4.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda d, c: Affine.rotation(d, c).matrix, (degrees, center))
    assert torch.autograd.gradcheck(lambda d, c: Similarity.rotation(d, c, axis=None).matrix, (degrees, center))
    assert torch.autograd.gradcheck(lambda f, c: Affine.scaling(f[:, None], c).matrix, (degrees, center))
    assert torch.autograd.gradcheck(lambda f, c: Similarity.scaling(f, c).matrix, (degrees, center))
    assert torch.autograd.gradcheck(lambda a, c: Affine.shear(a, c).matrix, (degrees, center))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_low_precision_is_kept(dtype):
    turn = Affine.rotation(90).torch(dtype=dtype)
    assert turn.inverse().matrix.dtype == turn.matrix.dtype == dtype
    np.testing.assert_array_equal((turn @ turn.inverse()).numpy().matrix, np.eye(2, 3))


def test_matrices_that_are_not_finite_are_taken():
    matrix = np.full((2, 3), np.nan)
    np.testing.assert_array_equal(Affine(matrix).matrix, matrix)


def test_a_tiny_but_round_scale_has_an_inverse():
    """Near-singular is a matter of the condition number, not of the determinant."""
    np.testing.assert_allclose(Affine.scaling(1e-20).inverse().matrix, 1e20 * np.eye(2, 3))


ERRORS = {
    "affine shape": (
        lambda: Affine(np.zeros((3, 4, 5))),
        r"Affine: `matrix` has shape \(3, 4, 5\); give \(d, d \+ 1\)",
    ),
    "homogeneous": (lambda: Affine(np.eye(3)), "last row of a homogeneous matrix"),
    "four axes": (lambda: Affine(np.zeros((4, 5))), "d of 1, 2 or 3"),
    "ragged": (lambda: Affine([[1, 2, 3], [1, 2]]), "`matrix` is not a regular array"),
    "scalar offset": (lambda: Translation(1.0), r"`offset` has shape \(\)"),
    "scale shape": (lambda: Similarity(np.ones((2, 2)), None, [0, 0]), "`scale` has shape"),
    "angle of 3-D": (lambda: Similarity(1, 0.5, [0, 0, 0]), "give a rotation vector"),
    "angle of 1-D": (lambda: Similarity(1, 0.5, [0]), "pass rotation=None"),
    "unequal batches": (lambda: Similarity(np.ones(3), None, np.zeros((2, 2))), "batches of one length"),
    "rigid count": (lambda: Euclidean.from_parameters(np.zeros(4)), "k = 1 in 1-D, 3 in 2-D or 6 in 3-D"),
    "rigid angle": (lambda: Euclidean(0.5, [0, 0, 0]), "Euclidean: `rotation` has shape .* give a rotation vector"),
    "rigid offset": (lambda: Euclidean(None, 1.0), "Euclidean: `translation` has shape"),
    "rigid batches": (lambda: Euclidean(np.ones(3), np.zeros((2, 2))), "Euclidean: .*batches of one length"),
    "count": (lambda: Similarity.from_parameters(np.zeros(5)), "k = 2 in 1-D, 4 in 2-D or 7 in 3-D"),
    "ndim": (lambda: Affine.identity(4), "`ndim` is 4"),
    "axis": (lambda: Affine.rotation(30, axis=3), "`axis` is 3"),
    "no axis": (lambda: Affine.rotation(30, center=(1, 2, 3)), "pass axis=0, 1 or 2"),
    "center": (lambda: Affine.rotation(30, center=(1, 2), axis=0), "`center` has shape"),
    "center batch": (lambda: Affine.rotation([1.0, 2.0], center=np.zeros((3, 2))), "batches of one length"),
    "factors": (lambda: Affine.scaling((1, 2), ndim=3), "`factors` has shape"),
    "many factors": (lambda: Affine.scaling(np.ones(64)), r"a batch \(N, d\) or \(N, 1\)"),
    "shear axes": (lambda: Affine.shear(1.0, axis=0), "two different axes"),
    "points": (lambda: Affine.identity(2)(np.zeros((5, 3))), r"`points` has shape \(5, 3\)"),
    "mixed ndim": (lambda: Affine.identity(2) @ Affine.identity(3), "2-D and 3-D"),
    "mixed batch": (lambda: Translation(np.zeros((2, 2))) @ Translation(np.zeros((3, 2))), "batches of 2 and 3"),
    "vjp shape": (lambda: Affine.identity(2).matrix_vjp(np.zeros((3, 4))), "`grad_matrix` has shape"),
    "singular": (lambda: Affine.scaling((1, 0)).inverse(), "determinant 0, condition number inf"),
    "near-singular": (lambda: Affine([[1, 1, 0], [1, 1 + 1e-15, 0]]).inverse(), "singular to working precision"),
    "near in float32": (lambda: Affine.scaling((1.0, 1e-7)).torch(dtype=torch.float32).inverse(), "singular"),
    "one of a batch": (lambda: Affine.scaling([[1.0], [0.0]]).inverse(), "transform 1 of the batch"),
    "not finite": (lambda: Affine.scaling(np.nan).inverse(), "not finite"),
    "zero scale": (lambda: Similarity(0.0, None, [0, 0]).inverse(), r"the scale is 0 \(determinant 0\)"),
    "infinite scale": (lambda: Similarity([1, np.inf], None, [0, 0]).inverse(), "transform 1 of the batch is inf"),
}


@pytest.mark.parametrize(("call", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_wrong_values_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Affine("abc"), "give real numbers"),
        (lambda: Translation([1j, 0]), "complex128"),
        (lambda: Translation(torch.zeros(2, dtype=torch.complex64)), "complex64"),
        (lambda: Affine.identity(2.0), "`ndim` is 2.0"),
        (lambda: Translation([1.0]).torch(dtype=torch.int32), "floating-point dtype"),
        (lambda: np.zeros(2) @ Translation([1.0, 2.0]), "unsupported operand"),
        (lambda: Translation([1.0, 2.0]) @ np.zeros(2), "operand"),
    ],
    ids=["text", "complex", "complex tensor", "ndim", "torch dtype", "array @", "@ array"],
)
def test_wrong_types_are_refused(call, message):
    with pytest.raises(TypeError, match=message):
        call()
