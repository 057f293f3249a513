"""What every family of transforms keeps: its derivatives, its batches, its arrays and tensors, and as an object."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
from families import (
    ALL,
    GENERATED,
    OUTPUT,
    draw,
    each,
    each_batch,
    each_case,
    each_frame,
    lattice_points,
    leaves,
    one_of,
    parameters_of,
    points_of,
    with_parameters,
)

from pullback.transforms import (
    Affine,
    Chain,
    Displacement,
    Euclidean,
    FreeForm,
    Projective,
    Similarity,
    ThinPlateSpline,
    Transform,
    Translation,
    Velocity,
)

torch = pytest.importorskip("torch")


@each_frame
@each_batch
@each_case()
def test_coordinates_are_the_points_of_the_lattice_mapped(family, ndim, batch, frame):
    transform = draw(family, ndim, np.random.default_rng(0), batch)
    coordinates = transform.coordinates(OUTPUT[ndim], frame)
    points = lattice_points(OUTPUT[ndim], frame)
    assert coordinates.shape == (*batch, *OUTPUT[ndim], ndim)
    mapped = transform(points[None] if batch else points, shape=OUTPUT[ndim], frame=frame)
    np.testing.assert_allclose(coordinates, mapped, rtol=0, atol=1e-12)


@each_frame
@each_batch
@each_case()
def test_jacobian_is_the_finite_difference(family, ndim, batch, frame):
    rng = np.random.default_rng(0)
    transform = draw(family, ndim, rng, batch)
    points = points_of(OUTPUT[ndim], frame, rng, (*batch, 2, 3))
    jacobian = transform.jacobian(points, shape=OUTPUT[ndim], frame=frame)
    assert jacobian.shape == (*batch, 2, 3, ndim, ndim)
    step = 1e-5
    for axis in range(ndim):
        above, below = (
            transform(points + sign * step * np.eye(ndim)[axis], shape=OUTPUT[ndim], frame=frame) for sign in (1, -1)
        )
        # Truncation is of the order of step², rounding of eps / step, and of a thousand times that where a spline goes
        # on far beyond its control points.
        np.testing.assert_allclose((above - below) / (2 * step), jacobian[..., axis], rtol=1e-7, atol=1e-6)


@pytest.mark.parametrize("frame", ["index", "normalized"])
@each_case()
def test_autograd_reaches_points_and_parameters(family, ndim, frame):
    rng = np.random.default_rng(0)
    transform = draw(family, ndim, rng, (2,))
    points = torch.tensor(points_of(OUTPUT[ndim], frame, rng, (2, 3)), requires_grad=True)

    def mapped(points, *parameters):
        return with_parameters(transform, parameters)(points, shape=OUTPUT[ndim], frame=frame)

    # The weights of random directions stand for all entries of the Jacobian.
    assert torch.autograd.gradcheck(mapped, (points, *leaves(transform)), fast_mode=True)


@each_frame
@each_batch
@each_case()
def test_points_vjp_is_what_autograd_gives(family, ndim, batch, frame):
    rng = np.random.default_rng(0)
    transform = draw(family, ndim, rng, batch)
    points = points_of(OUTPUT[ndim], frame, rng, (*batch, 2, 3))
    grad = rng.normal(size=points.shape)
    grad_points, grad_parameters = transform.points_vjp(points, grad, shape=OUTPUT[ndim], frame=frame)

    parameters, tensor = leaves(transform), torch.tensor(points, requires_grad=True)
    with_parameters(transform, parameters)(tensor, shape=OUTPUT[ndim], frame=frame).backward(torch.tensor(grad))
    # Sums of a few hundred products of numbers of about 1.
    np.testing.assert_allclose(grad_points, tensor.grad, rtol=1e-10, atol=1e-11)
    for own, leaf in zip(grad_parameters if family is Chain else [grad_parameters], parameters, strict=True):
        np.testing.assert_allclose(own, leaf.grad, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("axes", [(), (1,), (1, 4)], ids=str)
@each_case()
def test_points_vjp_adds_up_over_points_that_the_batch_shares(family, ndim, axes):
    rng = np.random.default_rng(0)
    transform = draw(family, ndim, rng, (3,))
    points = points_of(OUTPUT[ndim], "index", rng, axes)
    mapped = transform(points, shape=OUTPUT[ndim])
    assert mapped.shape == (3, *axes[1:], ndim)
    grad = rng.normal(size=mapped.shape)
    grad_points, grad_parameters = transform.points_vjp(points, grad, shape=OUTPUT[ndim])

    parameters, tensor = leaves(transform), torch.tensor(points, requires_grad=True)
    with_parameters(transform, parameters)(tensor, shape=OUTPUT[ndim]).backward(torch.tensor(grad))
    np.testing.assert_allclose(grad_points, tensor.grad, rtol=1e-10, atol=1e-11)
    for own, leaf in zip(grad_parameters if family is Chain else [grad_parameters], parameters, strict=True):
        np.testing.assert_allclose(own, leaf.grad, rtol=1e-10, atol=1e-11)


@each_case()
def test_a_batch_of_one_takes_many_points(family, ndim):
    rng = np.random.default_rng(0)
    transform = draw(family, ndim, rng, (1,))
    points = points_of(OUTPUT[ndim], "index", rng, (4, 2))
    grad = rng.normal(size=points.shape)
    single = one_of(transform, 0)
    np.testing.assert_allclose(transform(points, shape=OUTPUT[ndim]), single(points, shape=OUTPUT[ndim]), atol=1e-13)
    ours, theirs = (t.points_vjp(points, grad, shape=OUTPUT[ndim]) for t in (transform, single))
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-12)
    for own, their, shape in zip(
        *(pair[1] if family is Chain else [pair[1]] for pair in (ours, theirs)),
        [parameters.shape for parameters in parameters_of(transform)],
        strict=True,
    ):
        assert own.shape == shape
        np.testing.assert_allclose(own.reshape(their.shape), their, atol=1e-12)


@each_frame
@each_batch
@each_case()
def test_coordinates_vjp_is_what_autograd_gives(family, ndim, batch, frame):
    rng = np.random.default_rng(0)
    transform = draw(family, ndim, rng, batch)
    grad = rng.normal(size=(*batch, *OUTPUT[ndim], ndim))
    gradients = transform.coordinates_vjp(grad, OUTPUT[ndim], frame)
    parameters = leaves(transform)
    with_parameters(transform, parameters).coordinates(OUTPUT[ndim], frame).backward(torch.tensor(grad))
    for own, leaf in zip(gradients if family is Chain else [gradients], parameters, strict=True):
        np.testing.assert_allclose(own, leaf.grad, rtol=1e-10, atol=1e-11)


@each(GENERATED)
def test_geometry_vjp_is_what_autograd_gives(family):
    rng = np.random.default_rng(0)
    transform = draw(family, 2, rng, (2,))
    grad = rng.normal(size=transform.geometry.shape)
    (parameters,) = leaves(transform)
    transform.with_parameters(parameters).geometry.backward(torch.tensor(grad))
    np.testing.assert_allclose(transform.geometry_vjp(grad), parameters.grad, rtol=1e-11, atol=1e-12)


@each_case()
def test_a_batch_is_its_transforms_one_by_one(family, ndim):
    rng = np.random.default_rng(0)
    batch = draw(family, ndim, rng, (3,))
    points = points_of(OUTPUT[ndim], "centered", rng, (3, 4))
    call = {"shape": OUTPUT[ndim], "frame": "centered"}
    assert batch.batch_shape == (3,)
    for k in range(3):
        np.testing.assert_allclose(batch(points, **call)[k], one_of(batch, k)(points[k], **call), atol=1e-13)
        np.testing.assert_allclose(
            batch.coordinates(**call)[k], one_of(batch, k).coordinates(**call), rtol=0, atol=1e-13
        )


def test_a_batch_of_none_is_no_error():
    points = np.zeros((0, 4, 2))
    for family in ALL:
        transform = draw(family, 2, np.random.default_rng(0), (0,))
        assert transform.batch_shape == (0,)
        assert transform(points, shape=OUTPUT[2]).shape == (0, 4, 2)
        assert transform.coordinates(OUTPUT[2]).shape == (0, *OUTPUT[2], 2)


def test_points_of_a_batch_go_with_their_transform():
    batch = Translation(np.arange(6.0).reshape(3, 2))
    np.testing.assert_array_equal(batch([1.0, 1.0]), batch.offset + 1)
    np.testing.assert_array_equal(batch(np.zeros((1, 4, 2))), np.repeat(batch.offset[:, None], 4, 1))
    with pytest.raises(ValueError, match=r"points\[None\]"):
        batch(np.zeros((4, 2)))


@each_frame
@each_case()
def test_tensors_give_the_same_numbers(family, ndim, frame):
    rng = np.random.default_rng(0)
    transform = draw(family, ndim, rng, (3,))
    points = points_of(OUTPUT[ndim], frame, rng, (3, 4))
    call = {"shape": OUTPUT[ndim], "frame": frame}
    tensors = transform.torch()
    close = {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(tensors(torch.tensor(points), **call), transform(points, **call), **close)
    np.testing.assert_allclose(tensors.coordinates(**call), transform.coordinates(**call), **close)
    np.testing.assert_allclose(tensors.jacobian(points, **call), transform.jacobian(points, **call), **close)
    assert isinstance(transform(torch.tensor(points), **call), torch.Tensor)
    for ours, theirs in zip(parameters_of(tensors.numpy()), parameters_of(transform), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@each()
def test_the_dtype_of_the_parameters_is_kept(family, dtype):
    transform = draw(family, 2, np.random.default_rng(0), (2,)).torch(dtype=dtype)
    coordinates = transform.coordinates(OUTPUT[2])
    assert coordinates.dtype == dtype
    exact = transform.numpy().coordinates(OUTPUT[2])
    # Positions of up to 8, and the roundings of a sum over 8 control points. In a chain of random fields, each
    # enlarges the errors of those before it.
    atol = (1000 if family is Chain else 64) * torch.finfo(dtype).eps
    np.testing.assert_allclose(coordinates.double(), exact, rtol=0, atol=atol)


@each()
def test_autocast_leaves_transforms_in_full_precision(family):
    transform = draw(family, 2, np.random.default_rng(0), (2,)).torch(dtype=torch.float32)
    points = torch.rand(2, 5, 2)

    def calculate():
        return transform.coordinates(OUTPUT[2]), transform(points, shape=OUTPUT[2])

    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = calculate()
    torch.testing.assert_close(inside, calculate(), rtol=0, atol=0)


def test_a_tensor_anywhere_makes_a_tensor():
    shift = Translation(torch.tensor([1.0, 2.0]))
    assert (Affine.rotation(30) @ shift).matrix.dtype == torch.float32
    assert isinstance(Affine.rotation(30)(torch.zeros(5, 2)), torch.Tensor)
    assert isinstance(shift(np.zeros((5, 2))), torch.Tensor)
    assert Similarity(1.0, torch.tensor([0.1, 0.2]), [0, 0]).parameters.shape == (2, 4)
    assert Affine(torch.eye(2, 3, dtype=torch.int64)).matrix.dtype == torch.get_default_dtype()


def test_a_tensor_is_kept_and_an_array_is_copied():
    parameters = torch.ones(2, requires_grad=True)
    assert Translation(parameters).parameters is parameters
    array = np.ones(2)
    shift = Translation(array)
    array[:] = 5
    np.testing.assert_array_equal(shift.offset, [1.0, 1.0])
    with pytest.raises(ValueError, match="read-only"):
        shift.offset[0] = 3


def test_torch_is_not_imported_for_arrays():
    code = (
        "import sys, numpy as np\n"
        "from pullback.transforms import *\n"
        "c = np.random.default_rng(0).uniform(0, 5, (6, 2))\n"
        "t = Chain(ThinPlateSpline(c, c), Displacement.identity((5, 6)), FreeForm.identity((5, 6)),\n"
        "          Velocity.identity((5, 6)))\n"
        "t.coordinates_vjp(t.coordinates((5, 6)), (5, 6)), repr(t), t.transforms[1].inverse().folds()\n"
        "m = Affine.rotation(np.ones(3), center=(1, 2)) @ Similarity.identity(2) @ Translation([1, 2])\n"
        "m.inverse()(np.zeros((3, 2))), repr(m), m.numpy().matrix_vjp(m.matrix)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@each_batch
@each_case()
def test_transforms_are_immutable_and_survive_pickling(family, ndim, batch):
    transform = draw(family, ndim, np.random.default_rng(0), batch)
    with pytest.raises(AttributeError, match="immutable"):
        transform.parameters = 0
    with pytest.raises(ValueError, match="read-only"):
        parameters_of(transform)[0][...] = 0
    copy = pickle.loads(pickle.dumps(transform))
    assert type(copy) is family
    assert isinstance(copy, Transform)
    for ours, theirs in zip(parameters_of(copy), parameters_of(transform), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(copy.coordinates(OUTPUT[ndim]), transform.coordinates(OUTPUT[ndim]))


@pytest.mark.parametrize("change", ["numpy", "torch", "with_parameters", "pickle"])
def test_what_is_no_parameter_is_kept(change):
    rng = np.random.default_rng(0)

    def changed(transform):
        if change == "with_parameters":
            return transform.with_parameters(transform.parameters)
        return pickle.loads(pickle.dumps(transform)) if change == "pickle" else getattr(transform, change)()

    for spline in (draw(ThinPlateSpline, 2, rng), draw(ThinPlateSpline, 2, rng).torch()):
        assert changed(spline).smoothing == 0.1
        np.testing.assert_array_equal(changed(spline).control_points, spline.control_points)
    flow = draw(Velocity, 2, rng)
    assert changed(flow).steps == changed(flow.torch()).steps == 3


@pytest.mark.parametrize(
    ("transform", "text"),
    [
        (Translation([1, -0.0]), "Translation(offset=[1, 0])"),
        (Similarity(2, None, [3]), "Similarity(scale=2, translation=[3])"),
        (Euclidean(None, [3]), "Euclidean(translation=[3])"),
        (Euclidean(0.5, [3, 4]), "Euclidean(rotation=0.5, translation=[3, 4])"),
        (Projective([[2, 0], [1, 4]]), "Projective([[2, 0], [1, 4]])"),
        (Similarity(2, 0.5, [3, 4]), "Similarity(scale=2, rotation=0.5, translation=[3, 4])"),
        (Affine.rotation(90), "Affine([[0, 1, 0], [-1, 0, 0]])"),
        (Affine.rotation([1.0, 2.0]), "Affine(batch of 2, 2-D, numpy)"),
        (Translation(torch.ones(1)), "Translation(offset=[1], torch.float32, cpu)"),
        (Translation(torch.ones(1, device="meta")), "Translation(one, 1-D, torch.float32, meta)"),
        (Displacement(np.zeros((4, 5, 2))), "Displacement(lattice=(4, 5))"),
        (Displacement(np.zeros((3, 4, 5, 2))), "Displacement(batch of 3, 2-D, numpy)"),
        (FreeForm(np.zeros((4, 1))), "FreeForm(lattice=(4,))"),
        (Velocity(np.zeros((4, 5, 2)), 5), "Velocity(lattice=(4, 5), steps=5)"),
        (ThinPlateSpline(np.eye(3, 2), np.eye(3, 2), 2), "ThinPlateSpline(3 control points, smoothing=2)"),
        (Displacement(torch.zeros(4, 1)), "Displacement(lattice=(4,), torch.float32, cpu)"),
        (
            Chain(Translation([1.0]), Displacement(np.zeros((4, 1)))),
            "Chain(Translation(offset=[1]), Displacement(lattice=(4,)))",
        ),
    ],
    ids=lambda v: type(v).__name__,
)
def test_repr_is_readable(transform, text):
    assert repr(transform) == text
