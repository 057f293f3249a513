"""The non-rigid families: against SciPy, against their own derivatives, and what they promise of inverses and folds."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from scipy import linalg
from scipy.interpolate import BSpline, RBFInterpolator

from pullback._plan import FRAMES, frame_of, is_reversed
from pullback.transforms import Affine, Transform, Translation, radial
from pullback.transforms import thin_plate_spline as spline_module
from pullback.transforms.chain import Chain
from pullback.transforms.displacement import Displacement
from pullback.transforms.free_form import FreeForm
from pullback.transforms.points import points_like
from pullback.transforms.thin_plate_spline import ThinPlateSpline
from pullback.transforms.velocity import Velocity

torch = pytest.importorskip("torch")

# The lattice of a field, and the output it is used on: no side is that of another axis, or of the other lattice.
LATTICE = {1: (7,), 2: (6, 9), 3: (5, 4, 6)}
OUTPUT = {1: (11,), 2: (8, 5), 3: (4, 6, 5)}
FAMILIES = (Displacement, FreeForm, Velocity, ThinPlateSpline, Chain)
CASES = [(family, ndim) for family in FAMILIES for ndim in (1, 2, 3) if family is not ThinPlateSpline or ndim > 1]
each_case = pytest.mark.parametrize(("family", "ndim"), CASES, ids=lambda v: getattr(v, "__name__", f"{v}d"))
each_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda v: v.__name__)
each_frame = pytest.mark.parametrize("frame", FRAMES)
BATCHES = [(), (3,)]
each_batch = pytest.mark.parametrize("batch", BATCHES, ids=["one", "batch"])


def lattice_points(shape, frame):
    """Return the points of an output lattice as an array."""
    return points_like(np.empty(0), tuple(shape), frame)


def random_transform(family: Any, ndim: int, rng: np.random.Generator, batch: tuple[int, ...] = ()) -> Any:
    """Vectors of about 0.3 in each component, of whatever unit."""
    if family is ThinPlateSpline:
        points = rng.uniform(-1, 1, (8, ndim)) + np.array(LATTICE[ndim]) / 2
        return ThinPlateSpline(points, points + 0.3 * rng.normal(size=(*batch, 8, ndim)), smoothing=0.1)
    if family is Chain:
        outer = Affine(np.eye(ndim, ndim + 1) + 0.1 * rng.normal(size=(*batch, ndim, ndim + 1)))
        middle = random_transform(Velocity if ndim == 1 else ThinPlateSpline, ndim, rng, batch)
        return Chain(outer, random_transform(Displacement, ndim, rng), middle, random_transform(FreeForm, ndim, rng))
    field = 0.3 * rng.normal(size=(*batch, *LATTICE[ndim], ndim))
    return Velocity(field, steps=3) if family is Velocity else family(field)


def smooth_field(shape: tuple[int, ...], amplitude: float, rng: np.random.Generator) -> Any:
    """One wave or less across the lattice, on every axis."""
    ndim = len(shape)
    phases = rng.uniform(0, 2 * math.pi, (ndim, ndim))
    places = lattice_points(shape, "normalized")[..., ::-1]
    return amplitude * np.prod(np.sin(0.5 * math.pi * places[..., None, :] + phases), -1)


def points_of(shape: tuple[int, ...], frame: str, rng: np.random.Generator, axes: tuple[int, ...] = (5,)) -> Any:
    """Random points inside an output of `shape`, written in `frame`."""
    reading = frame_of(frame, shape, output=True)
    index = rng.uniform(-0.4, np.array(shape) - 0.6, (*axes, len(shape)))
    points = (index - reading.offset) / reading.scale
    return points[..., ::-1].copy() if is_reversed(frame) else points


def parameters_of(transform: Any) -> tuple[Any, ...]:
    return transform.parameters if isinstance(transform, Chain) else (transform.parameters,)


def with_parameters(transform: Any, parameters: tuple[Any, ...]) -> Any:
    return transform.with_parameters(parameters if isinstance(transform, Chain) else parameters[0])


def leaves(transform: Any) -> tuple[Any, ...]:
    return tuple(torch.tensor(parameters, requires_grad=True) for parameters in parameters_of(transform))


def one_of(transform: Any, which: int) -> Any:
    """Return one transform of a batch."""
    if isinstance(transform, Chain):
        return Chain(*(one_of(part, which) for part in transform.transforms))
    return transform.with_parameters(transform.parameters[which]) if transform.batch_shape else transform


# ---- what every family keeps


IDENTITIES = {
    **{
        f"{family.__name__} {ndim}d": (family, ndim)
        for family in (Displacement, FreeForm, Velocity)
        for ndim in (1, 2, 3)
    },
    **{f"ThinPlateSpline {ndim}d": (ThinPlateSpline, ndim) for ndim in (2, 3)},
}


@each_frame
@pytest.mark.parametrize(("family", "ndim"), IDENTITIES.values(), ids=IDENTITIES.keys())
def test_identity_leaves_a_lattice_where_it_is(family, ndim, frame):
    points = lattice_points(OUTPUT[ndim], frame)
    lattice = LATTICE[ndim]
    if family is ThinPlateSpline:
        lattice = np.random.default_rng(0).uniform(-1, 1, (7, ndim))
    identity = family.identity(lattice)
    chain = Chain(Translation(np.ones(ndim)), identity, Translation(-np.ones(ndim)))
    assert identity.ndim == ndim
    # Nothing is added but zeros; a chain adds and subtracts 1.
    np.testing.assert_allclose(identity.coordinates(OUTPUT[ndim], frame), points, rtol=0, atol=1e-12)
    np.testing.assert_allclose(chain.coordinates(OUTPUT[ndim], frame), points, rtol=0, atol=1e-12)


@each_frame
@each_batch
@each_case
def test_coordinates_are_the_points_of_the_lattice_mapped(family, ndim, batch, frame):
    transform = random_transform(family, ndim, np.random.default_rng(0), batch)
    coordinates = transform.coordinates(OUTPUT[ndim], frame)
    points = lattice_points(OUTPUT[ndim], frame)
    assert coordinates.shape == (*batch, *OUTPUT[ndim], ndim)
    mapped = transform(points[None] if batch else points, shape=OUTPUT[ndim], frame=frame)
    np.testing.assert_allclose(coordinates, mapped, rtol=0, atol=1e-12)


@each_frame
@each_batch
@each_case
def test_jacobian_is_the_finite_difference(family, ndim, batch, frame):
    rng = np.random.default_rng(0)
    transform = random_transform(family, ndim, rng, batch)
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
@each_case
def test_autograd_reaches_points_and_parameters(family, ndim, frame):
    rng = np.random.default_rng(0)
    transform = random_transform(family, ndim, rng, (2,))
    points = torch.tensor(points_of(OUTPUT[ndim], frame, rng, (2, 3)), requires_grad=True)

    def mapped(points, *parameters):
        return with_parameters(transform, parameters)(points, shape=OUTPUT[ndim], frame=frame)

    # The weights of random directions stand for all entries of the Jacobian.
    assert torch.autograd.gradcheck(mapped, (points, *leaves(transform)), fast_mode=True)


@each_frame
@each_batch
@each_case
def test_points_vjp_is_what_autograd_gives(family, ndim, batch, frame):
    rng = np.random.default_rng(0)
    transform = random_transform(family, ndim, rng, batch)
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
@each_case
def test_points_vjp_adds_up_over_points_that_the_batch_shares(family, ndim, axes):
    rng = np.random.default_rng(0)
    transform = random_transform(family, ndim, rng, (3,))
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


@each_case
def test_a_batch_of_one_takes_many_points(family, ndim):
    rng = np.random.default_rng(0)
    transform = random_transform(family, ndim, rng, (1,))
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
@each_case
def test_coordinates_vjp_is_what_autograd_gives(family, ndim, batch, frame):
    rng = np.random.default_rng(0)
    transform = random_transform(family, ndim, rng, batch)
    grad = rng.normal(size=(*batch, *OUTPUT[ndim], ndim))
    gradients = transform.coordinates_vjp(grad, OUTPUT[ndim], frame)
    parameters = leaves(transform)
    with_parameters(transform, parameters).coordinates(OUTPUT[ndim], frame).backward(torch.tensor(grad))
    for own, leaf in zip(gradients if family is Chain else [gradients], parameters, strict=True):
        np.testing.assert_allclose(own, leaf.grad, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("family", [Displacement, FreeForm, Velocity], ids=lambda v: v.__name__)
def test_geometry_vjp_is_what_autograd_gives(family):
    rng = np.random.default_rng(0)
    transform = random_transform(family, 2, rng, (2,))
    grad = rng.normal(size=transform.geometry.shape)
    (parameters,) = leaves(transform)
    transform.with_parameters(parameters).geometry.backward(torch.tensor(grad))
    np.testing.assert_allclose(transform.geometry_vjp(grad), parameters.grad, rtol=1e-11, atol=1e-12)


@each_case
def test_gradients_are_finite_at_the_identity(family, ndim):
    transform = random_transform(family, ndim, np.random.default_rng(0))
    if family is ThinPlateSpline:
        transform = ThinPlateSpline.identity(transform.control_points)
    elif family is not Chain:
        transform = family.identity(LATTICE[ndim])
    parameters = leaves(transform)
    # Control points themselves: the kernel has no second derivative there.
    points = transform.control_points if family is ThinPlateSpline else lattice_points(OUTPUT[ndim], "index")
    points = torch.tensor(points, requires_grad=True)
    mapped = with_parameters(transform, parameters)(points, shape=OUTPUT[ndim])
    for gradient in torch.autograd.grad(mapped.square().sum(), (points, *parameters)):
        assert gradient.isfinite().all()


@each_case
def test_a_batch_is_its_transforms_one_by_one(family, ndim):
    rng = np.random.default_rng(0)
    batch = random_transform(family, ndim, rng, (3,))
    points = points_of(OUTPUT[ndim], "centered", rng, (3, 4))
    call = {"shape": OUTPUT[ndim], "frame": "centered"}
    assert batch.batch_shape == (3,)
    for k in range(3):
        np.testing.assert_allclose(batch(points, **call)[k], one_of(batch, k)(points[k], **call), atol=1e-13)
        np.testing.assert_allclose(
            batch.coordinates(**call)[k], one_of(batch, k).coordinates(**call), rtol=0, atol=1e-13
        )


@each_frame
@each_case
def test_tensors_give_the_same_numbers(family, ndim, frame):
    rng = np.random.default_rng(0)
    transform = random_transform(family, ndim, rng, (3,))
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
@each_family
def test_the_dtype_of_the_parameters_is_kept(family, dtype):
    transform = random_transform(family, 2, np.random.default_rng(0), (2,)).torch(dtype=dtype)
    coordinates = transform.coordinates(OUTPUT[2])
    assert coordinates.dtype == dtype
    exact = transform.numpy().coordinates(OUTPUT[2])
    # Positions of up to 8, and the roundings of a sum over 8 control points. In a chain of random fields, each
    # enlarges the errors of those before it.
    atol = (1000 if family is Chain else 64) * torch.finfo(dtype).eps
    np.testing.assert_allclose(coordinates.double(), exact, rtol=0, atol=atol)


@each_family
def test_autocast_leaves_transforms_in_full_precision(family):
    transform = random_transform(family, 2, np.random.default_rng(0), (2,)).torch(dtype=torch.float32)
    points = torch.rand(2, 5, 2)

    def calculate():
        return transform.coordinates(OUTPUT[2]), transform(points, shape=OUTPUT[2])

    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = calculate()
    torch.testing.assert_close(inside, calculate(), rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("family", [Displacement, ThinPlateSpline], ids=lambda v: v.__name__)
def test_compiled_coordinates_are_the_same(family):
    transform = random_transform(family, 2, np.random.default_rng(0))
    parameters = leaves(transform)

    def coordinates(*parameters):
        return with_parameters(transform.torch(), parameters).coordinates(OUTPUT[2], "normalized")

    torch.compiler.reset()
    compiled = torch.compile(coordinates, backend="eager")(*parameters)
    torch.testing.assert_close(compiled, coordinates(*parameters), rtol=0, atol=1e-12)


# ---- displacement fields


def test_a_field_is_read_between_its_samples_and_beyond_them():
    field = np.zeros((1, 3, 2))
    field[0, :, 1] = [0.0, 2.0, 6.0]
    displacement = Displacement(field)
    np.testing.assert_array_equal(
        displacement([[0.0, 0.5], [0.0, 1.25], [0.0, 9.0], [-4.0, -3.0]])[:, 1], [1.5, 4.25, 15.0, -3.0]
    )


def test_a_field_spans_the_extent_of_the_output():
    """Doubling the output puts two pixels into each sample: the first and the last are beyond the outermost samples."""
    field = np.array([[0.0], [4.0], [8.0]])
    read = Displacement(field).coordinates((6,)) - lattice_points((6,), "index")
    np.testing.assert_allclose(read[:, 0], [0.0, 1.0, 3.0, 5.0, 7.0, 8.0], atol=1e-14)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_a_field_on_its_own_lattice_is_added_as_it_is(ndim):
    transform = random_transform(Displacement, ndim, np.random.default_rng(0))
    expected = lattice_points(LATTICE[ndim], "index") + transform.parameters
    np.testing.assert_array_equal(transform.coordinates(LATTICE[ndim]), expected)
    for frame in FRAMES:
        expected = lattice_points(LATTICE[ndim], frame) + transform.parameters
        np.testing.assert_allclose(transform.coordinates(LATTICE[ndim], frame), expected, rtol=0, atol=1e-13)


@each_frame
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_inverse_of_a_field_undoes_it_at_the_samples(ndim, frame):
    shape = {1: (40,), 2: (20, 25), 3: (10, 12, 8)}[ndim]
    unit = np.array(frame_of(frame, shape).scale)
    fields = np.stack([smooth_field(shape, 0.8, np.random.default_rng(k)) for k in range(2)])
    fields = (fields / unit)[..., ::-1] if is_reversed(frame) else fields / unit
    transform = Displacement(fields)
    inverse = transform.inverse(tolerance=1e-9, frame=frame)
    points = lattice_points(shape, frame)[None]
    assert type(inverse) is Displacement
    unit = unit[::-1] if is_reversed(frame) else unit
    assert abs((transform(inverse(points, frame=frame), frame=frame) - points) * unit).max() <= 2e-9
    # The other way round, away from the edge, the inverse is read between its samples: a curvature of at most
    # 0.8 (pi / n)² leaves an eighth of that, times the slope's amplification.
    inner = np.s_[(slice(None), *(slice(3, -3),) * ndim)]
    error = abs((inverse(transform(points, frame=frame), frame=frame) - points) * unit)[inner]
    assert error.max() < 0.8 * (math.pi / min(shape)) ** 2


def test_inverse_of_an_affine_field_is_exact_between_samples():
    points = lattice_points((30, 30), "index")
    linear = np.array([[1.05, 0.1], [-0.1, 0.95]])
    field = Displacement((points - 14.5) @ (linear - np.eye(2)).T)
    inner = points[8:-8, 8:-8] + 0.3
    np.testing.assert_allclose(field.inverse(1e-12)(field(inner)), inner, rtol=0, atol=1e-10)


def test_inverse_of_a_fold_is_refused_with_what_is_left():
    field = np.zeros((9, 9, 2))
    field[4, 4] = [0.0, 3.0]
    with pytest.raises(ValueError, match=r"still off by up to 3 samples, not 1e-06.*folds at 1 of its samples"):
        Displacement(field).inverse()
    with pytest.raises(ValueError, match="still off by up to nan"):
        Displacement(np.full((4, 4, 2), np.nan)).inverse()


def test_inverse_of_a_tensor_has_the_gradient_of_its_equation():
    field = torch.tensor(smooth_field((5, 6), 0.6, np.random.default_rng(0)), requires_grad=True)
    # Finite differences with steps of 1e-6 need an inverse that is better than that.
    assert torch.autograd.gradcheck(lambda f: Displacement(f).inverse(1e-13, 500).parameters, field)
    low = Displacement(field.detach().float()).inverse()
    assert low.parameters.dtype == torch.float32
    assert not low.parameters.requires_grad
    leaf = field.detach().bfloat16().requires_grad_()
    half = Displacement(leaf).inverse().parameters
    half.sum().backward()
    assert half.dtype == leaf.grad.dtype == torch.bfloat16


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_folds_are_counted(ndim):
    shape = (8,) * ndim
    smooth = smooth_field(shape, 0.5, np.random.default_rng(0))
    fold = smooth.copy()
    fold[(4,) * ndim][0] += 30
    assert Displacement(smooth).folds() == 0
    assert isinstance(Displacement(fold).folds(), int)
    assert Displacement(fold).folds() >= 1
    counts = Displacement(np.stack([smooth, fold])).folds()
    np.testing.assert_array_equal(counts, [0, Displacement(fold).folds()])
    np.testing.assert_array_equal(Displacement(np.stack([smooth, fold])).torch().folds(), counts)
    # A mirrored axis is a fold everywhere but at the last sample, where the field goes on as a constant.
    mirrored = Displacement(-2 * lattice_points((8,), "index"))
    assert mirrored.folds() == 7


@pytest.mark.parametrize("frame", FRAMES)
def test_fits_take_source_to_target(frame):
    rng = np.random.default_rng(0)
    shape = (24, 30)
    grid = np.stack(np.meshgrid([4, 12, 20], [5, 14, 25], indexing="ij"), -1).reshape(-1, 2).astype(float)
    reading = frame_of(frame, shape)
    source, target = ((x - reading.offset) / reading.scale for x in (grid, grid + rng.uniform(-1.5, 1.5, (2, 9, 2))))
    if is_reversed(frame):
        source, target = source[..., ::-1], target[..., ::-1]
    call = {"shape": shape, "frame": frame}
    fits = {
        ThinPlateSpline: ThinPlateSpline.fit(source, target),
        Displacement: Displacement.fit(source, target, **call),
        FreeForm: FreeForm.fit(source, target, control=(9, 9), **call),
    }
    for family, fitted in fits.items():
        assert type(fitted) is family
        assert fitted.batch_shape == (2,)
        # The pairs lie at samples; the penalty of the free-form lattice weighs 1e-6.
        np.testing.assert_allclose(
            fitted(source[None], **call), target, rtol=0, atol=1e-4 if family is FreeForm else 1e-9
        )


# ---- free-form deformations


@pytest.mark.parametrize("ndim", [1, 2])
def test_free_form_is_scipys_spline(ndim):
    rng = np.random.default_rng(0)
    control, output = {1: ((7,), (20,)), 2: ((6, 9), (13, 31))}[ndim]
    transform = FreeForm(rng.normal(size=(*control, ndim)))
    values = transform.parameters
    for axis, (count, size) in enumerate(zip(control, output, strict=True)):
        # The inner cells, from 1 to count - 2, are the extent from -1/2 to size - 1/2.
        at = 1 + (np.arange(size) + 0.5) * (count - 3) / size
        knots = np.arange(-2, count + 2)
        values = BSpline(knots, values, 3, extrapolate=False, axis=axis)(at)
    np.testing.assert_allclose(transform.coordinates(output), lattice_points(output, "index") + values, atol=1e-12)


def test_free_form_meets_the_extent_of_the_output():
    """The value at the edges of the outermost pixels is that at the knots 1 and S - 2."""
    coefficients = np.array([[0.0], [6.0], [0.0], [0.0], [12.0], [0.0]])
    ends = FreeForm(coefficients)([[-0.5], [9.5]], shape=(10,))
    np.testing.assert_allclose(ends[:, 0], [-0.5 + 4.0, 9.5 + 8.0], atol=1e-12)


def test_free_form_goes_on_as_at_its_edge():
    coefficients = np.random.default_rng(0).normal(size=(4, 1))
    far = np.array([[-100.0], [100.0]])
    np.testing.assert_allclose(FreeForm(coefficients)(far, shape=(10,)) - far, coefficients[[0, -1]], atol=1e-12)


def test_free_form_becomes_a_displacement():
    transform = random_transform(FreeForm, 2, np.random.default_rng(0), (2,))
    for frame in FRAMES:
        field = transform.displacement((8, 9), frame)
        assert type(field) is Displacement
        np.testing.assert_allclose(
            field.coordinates((8, 9), frame), transform.coordinates((8, 9), frame), rtol=0, atol=1e-13
        )
    inverse = transform.displacement((8, 9)).inverse()
    points = lattice_points((8, 9), "index")[None]
    assert abs(transform.displacement((8, 9))(inverse(points)) - points).max() < 2e-6


def test_free_form_fit_continues_an_affine_map_and_needs_few_points():
    shape, control = (40, 30), (7, 8)
    rng = np.random.default_rng(0)
    source = rng.uniform(0, 30, (12, 2))
    affine = Affine([[1.1, 0.2, 1.0], [-0.1, 0.9, 2.0]])
    fitted = FreeForm.fit(source, affine(source), shape, control)
    points = lattice_points(shape, "index")
    # The normal equations have a condition number of some 1e10, and are refined.
    np.testing.assert_allclose(fitted(points, shape=shape), affine(points), atol=1e-8)
    one = FreeForm.fit(source[:1], source[:1] + 2.0, shape, control)
    np.testing.assert_allclose(one(source[:1], shape=shape), source[:1] + 2.0, atol=1e-8)
    line = np.linspace([3.0, 4.0], [30.0, 20.0], 5)
    along = FreeForm.fit(line, line + 0.1 * line, shape, control)
    np.testing.assert_allclose(along(line, shape=shape), 1.1 * line, atol=1e-8)
    assert abs(along.parameters).max() < 10


# ---- thin-plate splines


@pytest.mark.parametrize("smoothing", [0.0, 4.0])
@pytest.mark.parametrize("ndim", [2, 3])
def test_spline_is_scipys(ndim, smoothing):
    rng = np.random.default_rng(0)
    source = rng.uniform(0, 60, (20, ndim))
    target = source + rng.normal(size=(20, ndim)) * 5
    points = rng.uniform(-20, 80, (50, ndim))
    # SciPy's kernel in 2-D is r² log r, half of ours.
    kernel, weight = ("thin_plate_spline", smoothing / 2) if ndim == 2 else ("linear", smoothing)
    expected = RBFInterpolator(source, target, kernel=kernel, degree=1, smoothing=weight)(points)
    spline = ThinPlateSpline(source, target, smoothing)
    np.testing.assert_allclose(spline(points), expected, rtol=0, atol=1e-10)
    if smoothing == 0:
        np.testing.assert_allclose(spline(source), target, rtol=0, atol=1e-11)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_spline_is_exact_at_any_scale(scale):
    rng = np.random.default_rng(0)
    source = scale * (rng.uniform(-1, 1, (30, 2)) + 10)
    target = source + scale * rng.normal(size=(30, 2))
    np.testing.assert_allclose(ThinPlateSpline(source, target)(source), target, rtol=0, atol=1e-11 * scale)


@pytest.mark.parametrize("smoothing", [0.0, 100.0])
def test_spline_meets_an_affine_map_exactly(smoothing):
    rng = np.random.default_rng(0)
    source, points = rng.uniform(0, 60, (9, 2)), rng.uniform(-100, 100, (50, 2))
    affine = Affine(rng.normal(size=(2, 3)))
    spline = ThinPlateSpline(source, affine(source), smoothing)
    np.testing.assert_allclose(spline(points), affine(points), atol=1e-10)
    assert spline.bending_energy() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("ndim", [2, 3])
def test_bending_energy_is_the_integral(ndim):
    rng = np.random.default_rng(0)
    source = rng.uniform(-3, 3, (6, ndim))
    spline = ThinPlateSpline(source, source + rng.normal(size=(6, ndim)))
    count = {2: 400, 3: 70}[ndim]
    # Nodes that grow sparser outwards, to 60 times the spread of the control points.
    parameter = (np.arange(count) + 0.5) / count * 2 - 1
    nodes, weights = 2 * np.sinh(4.8 * parameter), 2 * 4.8 * np.cosh(4.8 * parameter) * 2 / count
    points = np.stack(np.meshgrid(*[nodes] * ndim, indexing="ij"), -1)
    weight = np.prod(np.stack(np.meshgrid(*[weights] * ndim, indexing="ij"), -1), -1)
    energy, step = 0.0, 1e-4
    for axis in range(ndim):
        above, below = (spline.jacobian(points + sign * step * np.eye(ndim)[axis]) for sign in (1, -1))
        energy += (weight[..., None, None] * ((above - below) / (2 * step)) ** 2).sum()
    # The rule meets singularities: of log² in 2-D, of 1/r² in 3-D.
    assert spline.bending_energy() == pytest.approx(energy, rel={2: 0.01, 3: 0.05}[ndim])


def test_bending_energy_has_a_gradient_and_a_batch():
    rng = np.random.default_rng(0)
    source = rng.uniform(-3, 3, (6, 2))
    targets = torch.tensor(source + rng.normal(size=(2, 6, 2)), requires_grad=True)
    spline = ThinPlateSpline(source, targets)
    assert spline.bending_energy().shape == (2,)
    assert torch.autograd.gradcheck(lambda t: spline.with_parameters(t).bending_energy(), targets)
    np.testing.assert_allclose(spline.numpy().bending_energy()[1], one_of(spline.numpy(), 1).bending_energy())


def test_the_basis_of_a_lattice_is_kept_unless_it_is_large(monkeypatch):
    rng = np.random.default_rng(0)
    spline = random_transform(ThinPlateSpline, 2, rng, (2,))
    grad = rng.normal(size=(2, 8, 5, 2))
    kept = spline.coordinates((8, 5), "centered"), spline.coordinates_vjp(grad, (8, 5), "centered")
    basis = [radial.lattice_basis(spline._system, (8, 5), "centered", spline.parameters) for _ in range(2)]
    assert basis[0] is basis[1]
    assert not basis[0].flags.writeable
    monkeypatch.setattr(spline_module, "_LARGEST_BASIS", 0)
    monkeypatch.setattr(spline_module, "lattice_basis", None)
    monkeypatch.setattr(radial, "_PIECE", 50)
    pieces = spline.coordinates((8, 5), "centered"), spline.coordinates_vjp(grad, (8, 5), "centered")
    for whole, piecewise in zip(kept, pieces, strict=True):
        np.testing.assert_allclose(piecewise, whole, rtol=0, atol=1e-13)
    np.testing.assert_allclose(spline.torch().coordinates((8, 5), "centered"), kept[0], rtol=0, atol=1e-13)
    points = points_of((8, 5), "index", rng, (2, 5, 7))
    in_pieces = spline(points), spline.jacobian(points)
    monkeypatch.undo()
    for whole, piecewise in zip((spline(points), spline.jacobian(points)), in_pieces, strict=True):
        np.testing.assert_allclose(piecewise, whole, rtol=0, atol=1e-13)


def test_a_basis_kept_in_inference_mode_serves_training():
    spline = random_transform(ThinPlateSpline, 2, np.random.default_rng(7))
    with torch.inference_mode():
        spline.torch().coordinates((5, 6))
    parameters = torch.tensor(spline.parameters, requires_grad=True)
    spline.with_parameters(parameters).coordinates((5, 6)).sum().backward()
    assert parameters.grad.isfinite().all()


# ---- velocities


@pytest.mark.parametrize("ndim", [2, 3])
def test_flow_of_a_linear_field_is_the_matrix_exponential(ndim):
    rng = np.random.default_rng(0)
    shape = {2: (31, 33), 3: (17, 15, 19)}[ndim]
    middle = (np.array(shape) - 1) / 2
    generator = 0.1 * rng.normal(size=(ndim, ndim))
    points = lattice_points(shape, "index")
    inner = points[(slice(5, -5),) * ndim].reshape(-1, ndim)
    inner = inner[np.linalg.norm(inner - middle, axis=-1) < 5]
    for steps, tolerance in ((4, 1e-12), (20, 1e-5)):
        flow = Velocity((points - middle) @ generator.T, steps)
        # Squaring multiplies the Euler step by itself; with more steps that is the exponential, off by 2**-steps.
        euler = np.linalg.matrix_power(np.eye(ndim) + generator / 2**steps, 2**steps)
        expected = (inner - middle) @ (euler if steps == 4 else linalg.expm(generator)).T + middle
        np.testing.assert_allclose(flow(inner), expected, rtol=0, atol=tolerance)


def test_flow_back_undoes_flow_to_second_order():
    errors = []
    for side in (24, 48):
        shape = (side, side)
        flow = Velocity(smooth_field(shape, side / 12, np.random.default_rng(0)), steps=12)
        edge = side // 4
        inner = lattice_points(shape, "index")[edge:-edge, edge:-edge]
        errors.append(
            max(abs(a(b(inner)) - inner).max() / side for a, b in [(flow, flow.inverse()), (flow.inverse(), flow)])
        )
        assert flow.folds() == 0
    # A twelfth of the side to and fro; a lattice of twice the side has a quarter of the error or little more.
    assert errors[0] < 0.002
    assert errors[1] < 0.4 * errors[0]


def test_flow_is_a_displacement_in_any_frame_on_any_output():
    """One flow on one extent: positions in one frame are those in another."""
    rng = np.random.default_rng(0)
    flow = Velocity(rng.normal(size=(6, 9, 2)))
    index = points_of((6, 9), "index", rng)
    for shape in ((6, 9), (12, 27)):
        factor = np.array(shape) / (6, 9)
        for frame in FRAMES:
            reading = frame_of(frame, shape)

            def written(x, shape=shape, frame=frame, factor=factor, reading=reading):
                points = ((x + 0.5) * factor - 0.5 - reading.offset) / reading.scale
                return points[..., ::-1] if is_reversed(frame) else points

            mapped = flow(written(index), shape=shape, frame=frame)
            np.testing.assert_allclose(mapped, written(flow(index)), rtol=0, atol=1e-12)
            field = flow.displacement(shape, frame)
            np.testing.assert_array_equal(mapped, field(written(index), shape=shape, frame=frame))
    np.testing.assert_array_equal(flow.geometry, flow.displacement().parameters)


def test_displacement_of_a_flow_is_differentiable():
    rng = np.random.default_rng(0)
    flow = random_transform(Velocity, 2, rng)
    grad = rng.normal(size=flow.parameters.shape)
    (parameters,) = leaves(flow)
    flow.with_parameters(parameters).displacement((8, 5), "normalized").parameters.backward(torch.tensor(grad))
    np.testing.assert_allclose(flow.displacement_vjp(grad, (8, 5), "normalized"), parameters.grad, atol=1e-12)


def test_no_steps_add_the_velocity():
    field = np.random.default_rng(0).normal(size=(5, 6, 2))
    np.testing.assert_array_equal(Velocity(field, steps=0).geometry, field)
    assert Velocity(field, steps=0).with_steps(3).steps == 3


def test_fitted_flow_passes_through_the_pairs_without_folds():
    rng = np.random.default_rng(0)
    source = np.stack(np.meshgrid([5, 15, 25], [5, 17, 30], indexing="ij"), -1).reshape(-1, 2).astype(float)
    target = source + rng.uniform(-3, 3, (2, 9, 2))
    flow = Velocity.fit(source, target, (32, 36), steps=6)
    assert (flow.batch_shape, flow.steps) == ((2,), 6)
    assert np.linalg.norm(flow(source[None]) - target, axis=-1).max() <= 1e-3
    np.testing.assert_array_equal(flow.folds(), [0, 0])


def test_a_fit_that_misses_says_by_how_much():
    source = np.array([[2.0, 2.0], [2.0, 17.0], [17.0, 2.0], [17.0, 17.0], [9.0, 9.0], [9.0, 10.0]])
    crossed = source[[0, 1, 2, 3, 5, 4]]
    with pytest.warns(RuntimeWarning, match=r"after 4 rounds a point is still .* samples from its target, not 0.001"):
        Velocity.fit(source, crossed, (20, 20), iterations=4)


# ---- chains


def test_a_chain_multiplies_matrices_and_takes_chains_apart():
    field = random_transform(Displacement, 2, np.random.default_rng(0))
    a, b, c = Translation([1.0, 2.0]), Affine.scaling((2.0, 3.0)), Translation([4.0, 5.0])
    chain = Chain(Chain(a, b), Chain(c, field), a, b)
    assert [type(part) for part in chain.transforms] == [Affine, Displacement, Affine]
    np.testing.assert_array_equal(chain.transforms[0].matrix, (a @ b @ c).matrix)
    assert type(Chain.of(a, c)) is Translation
    assert Chain.of(field) is field
    assert type(Chain.of(a, field)) is Chain
    assert [x is y for x, y in zip(chain.parameters, (part.parameters for part in chain.transforms), strict=True)]


def test_a_chain_applies_the_last_transform_first():
    rng = np.random.default_rng(0)
    parts = [random_transform(family, 2, rng) for family in (ThinPlateSpline, Displacement, FreeForm)]
    points = points_of(OUTPUT[2], "index", rng)
    expected = points
    for part in reversed(parts):
        expected = part(expected, shape=OUTPUT[2])
    np.testing.assert_array_equal(Chain(*parts)(points, shape=OUTPUT[2]), expected)


@pytest.mark.parametrize("counts", [((), (3,)), ((3,), ()), ((1,), (3,)), ((3,), (1,)), ((1,), ())], ids=str)
def test_batches_broadcast_in_chains(counts):
    rng = np.random.default_rng(0)
    chain = Chain(
        *(random_transform(f, 2, rng, n) for f, n in zip((Displacement, ThinPlateSpline), counts, strict=True))
    )
    (count,) = chain.batch_shape
    assert count == max(n for (n,) in filter(None, counts))
    points = points_of(OUTPUT[2], "index", rng, (count, 4))
    grad = rng.normal(size=points.shape)
    parameters, tensor = leaves(chain), torch.tensor(points, requires_grad=True)
    mapped = chain.with_parameters(parameters)(tensor, shape=OUTPUT[2])
    np.testing.assert_allclose(chain(points, shape=OUTPUT[2]), mapped.detach(), atol=1e-12)
    assert chain.coordinates(OUTPUT[2]).shape == (count, *OUTPUT[2], 2)
    mapped.backward(torch.tensor(grad))
    grad_points, gradients = chain.points_vjp(points, grad, shape=OUTPUT[2])
    np.testing.assert_allclose(grad_points, tensor.grad, atol=1e-12)
    for own, leaf in zip(gradients, parameters, strict=True):
        assert own.shape == leaf.shape
        np.testing.assert_allclose(own, leaf.grad, atol=1e-12)


def test_a_chain_has_the_inverse_of_its_parts():
    shape = (20, 22)
    field = Displacement(smooth_field(shape, 0.5, np.random.default_rng(0)))
    turn = Affine.rotation(20, center=(9.5, 10.5))
    chain = Chain(turn, field)
    inverse = chain.inverse()
    assert [type(part) for part in inverse.transforms] == [Displacement, Affine]
    inner = lattice_points(shape, "index")[5:-5, 5:-5]
    np.testing.assert_allclose(inverse(chain(inner)), inner, rtol=0, atol=0.01)
    assert type(Chain(turn, turn).inverse()) is Affine


def test_a_chain_of_arrays_and_tensors_is_on_tensors():
    rng = np.random.default_rng(0)
    field = random_transform(Displacement, 2, rng)
    chain = Chain(Translation(torch.tensor([1.0, 2.0])), field)
    assert isinstance(chain.coordinates(OUTPUT[2]), torch.Tensor)
    assert all(isinstance(parameters, torch.Tensor) for parameters in chain.torch().parameters)
    assert all(isinstance(parameters, np.ndarray) for parameters in chain.numpy().parameters)


# ---- as objects


def test_torch_is_not_imported_for_arrays():
    code = (
        "import sys, numpy as np\n"
        "from pullback.transforms.chain import Chain\n"
        "from pullback.transforms.displacement import Displacement\n"
        "from pullback.transforms.free_form import FreeForm\n"
        "from pullback.transforms.thin_plate_spline import ThinPlateSpline\n"
        "from pullback.transforms.velocity import Velocity\n"
        "c = np.random.default_rng(0).uniform(0, 5, (6, 2))\n"
        "t = Chain(ThinPlateSpline(c, c), Displacement.identity((5, 6)), FreeForm.identity((5, 6)),\n"
        "          Velocity.identity((5, 6)))\n"
        "t.coordinates_vjp(t.coordinates((5, 6)), (5, 6)), repr(t), t.transforms[1].inverse().folds()\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@each_batch
@each_case
def test_transforms_are_immutable_and_survive_pickling(family, ndim, batch):
    transform = random_transform(family, ndim, np.random.default_rng(0), batch)
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

    for spline in (random_transform(ThinPlateSpline, 2, rng), random_transform(ThinPlateSpline, 2, rng).torch()):
        assert changed(spline).smoothing == 0.1
        np.testing.assert_array_equal(changed(spline).control_points, spline.control_points)
    flow = random_transform(Velocity, 2, rng)
    assert changed(flow).steps == changed(flow.torch()).steps == 3


def test_a_batch_of_none_is_no_error():
    points = np.zeros((0, 4, 2))
    for family in FAMILIES:
        transform = random_transform(family, 2, np.random.default_rng(0), (0,))
        assert transform.batch_shape == (0,)
        assert transform(points, shape=OUTPUT[2]).shape == (0, 4, 2)
        assert transform.coordinates(OUTPUT[2]).shape == (0, *OUTPUT[2], 2)


@pytest.mark.parametrize(
    ("transform", "text"),
    [
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


def corners(count: int = 4) -> Any:
    return np.array([[0.0, 0.0], [0.0, 4.0], [3.0, 0.0], [3.0, 5.0]])[:count]


FIELD = Displacement(np.zeros((4, 5, 2)))
ERRORS = {
    "field shape": (
        lambda: Displacement(np.zeros((4, 5, 3))),
        r"Displacement: `field` has shape \(4, 5, 3\); give \(\*S, d\)",
    ),
    "field of 4 axes": (lambda: Displacement(np.zeros((2, 2, 2, 2, 4))), "S has d axes, 1, 2 or 3"),
    "two batch axes": (lambda: Displacement(np.zeros((2, 2, 4, 5, 2))), "`field` has shape"),
    "number": (lambda: Velocity(1.0), r"Velocity: `field` has shape \(\)"),
    "empty field": (lambda: Displacement(np.zeros((0, 5, 2))), "give 1 or more samples on each axis"),
    "short lattice": (lambda: FreeForm(np.zeros((4, 3, 2))), "a lattice of \\(4, 3\\); give 4 or more samples"),
    "ragged": (lambda: Displacement([[1, 2], [3]]), "`field` is not a regular array"),
    "identity shape": (lambda: Displacement.identity((4, 0)), "`shape` is \\(4, 0\\)"),
    "identity lattice": (lambda: FreeForm.identity((3, 4)), "give 4 or more samples"),
    "points": (lambda: FIELD(np.zeros((5, 3))), r"Displacement: `points` has shape \(5, 3\)"),
    "points of a flow": (lambda: Velocity(np.zeros((4, 1)))(np.zeros((5, 2))), "Velocity: `points` has shape"),
    "points of a spline": (lambda: ThinPlateSpline.identity(corners())(1.0), "ThinPlateSpline: `points` has shape"),
    "points of a chain": (lambda: Chain(FIELD)(np.zeros((5, 3))), "Chain: `points` has shape"),
    "batch": (lambda: Displacement(np.zeros((3, 4, 1)))(np.zeros((2, 1))), r"there are 3 transforms"),
    "output shape": (lambda: FIELD([0.0, 0.0], shape=(4,)), "Displacement: `shape` is \\(4,\\); give 2 lengths"),
    "frame": (lambda: FIELD([0.0, 0.0], frame="pixel"), "Displacement: `frame` is 'pixel'; choose from"),
    "frame of a spline": (
        lambda: ThinPlateSpline.identity(corners()).coordinates((4, 5), "pixel"),
        "`frame` is 'pixel'",
    ),
    "no shape": (
        lambda: FreeForm.identity((4, 4))([0.0, 0.0]),
        "FreeForm: `shape` is None; .* needs the shape of the output",
    ),
    "no shape, jacobian": (
        lambda: FreeForm.identity((4, 4)).jacobian([0.0, 0.0]),
        "FreeForm.jacobian: `shape` is None",
    ),
    "free-form inverse": (lambda: FreeForm.identity((4, 4)).inverse(), r"FreeForm.displacement\(shape\).inverse\(\)"),
    "tolerance": (lambda: FIELD.inverse(0.0), "`tolerance` is 0.0"),
    "iterations": (lambda: FIELD.inverse(max_iterations=0), "`max_iterations` is 0"),
    "spline in 1-D": (lambda: ThinPlateSpline(np.zeros((5, 1)), np.zeros((5, 1))), "d of 2 or 3"),
    "few points": (lambda: ThinPlateSpline(corners(2), corners(2)), "holds 2 points; give 3 or more in 2-D"),
    "coincident": (
        lambda: ThinPlateSpline(corners()[[0, 1, 2, 3, 1]], np.zeros((5, 2))),
        r"1 and 4 are both at \[0.0, 4.0\]; keep one",
    ),
    "all at one place": (lambda: ThinPlateSpline(np.ones((4, 2)), np.ones((4, 2))), "0 and 1 are both at"),
    "on a line": (lambda: ThinPlateSpline(np.outer(np.arange(5), [1, 2]), np.zeros((5, 2))), "lie on one line"),
    "on a plane": (lambda: ThinPlateSpline.identity(np.c_[corners(), np.ones(4)]), "lie on one plane"),
    "infinite": (lambda: ThinPlateSpline.identity(corners() + np.inf), "values that are not finite"),
    "targets": (
        lambda: ThinPlateSpline(corners(), corners(3)),
        r"`targets` has shape \(3, 2\) but `control_points` has",
    ),
    "smoothing": (lambda: ThinPlateSpline(corners(), corners(), -1.0), "`smoothing` is -1.0"),
    "spline inverse": (lambda: ThinPlateSpline.identity(corners()).inverse(), r"ThinPlateSpline.fit\(target, source\)"),
    "steps": (lambda: Velocity(np.zeros((4, 1)), steps=31), "`steps` is 31; give 0 to 30"),
    "fit source": (lambda: FreeForm.fit(np.zeros(3), np.zeros(3), (9,), (4,)), r"`source` has shape \(3,\)"),
    "fit target": (lambda: FreeForm.fit(corners(), corners(2), (9, 9), (4, 4)), r"`target` has shape \(2, 2\)"),
    "fit nan": (
        lambda: FreeForm.fit(corners(), corners() * np.nan, (9, 9), (4, 4)),
        "not finite; leave those points out",
    ),
    "fit control": (lambda: FreeForm.fit(corners(), corners(), (9, 9), (4, 3)), "`control` is \\(4, 3\\)"),
    "fit large control": (lambda: FreeForm.fit(corners(), corners(), (9, 9), (99, 99)), "at most 4096"),
    "fit smoothing": (lambda: FreeForm.fit(corners(), corners(), (9, 9), (4, 4), smoothing=0), "`smoothing` is 0"),
    "fit shape": (lambda: Displacement.fit(corners(), corners(), (9,)), "Displacement.fit: `shape` is \\(9,\\)"),
    "flow fit shape": (lambda: Velocity.fit(corners(), corners(), (9,)), "Velocity.fit: `shape` is \\(9,\\)"),
    "flow fit rounds": (lambda: Velocity.fit(corners(), corners(), (9, 9), iterations=0), "`iterations` is 0"),
    "flow fit tolerance": (lambda: Velocity.fit(corners(), corners(), (9, 9), tolerance=0), "`tolerance` is 0"),
    "no transforms": (lambda: Chain(), "there are no transforms"),
    "mixed ndim": (lambda: Chain(FIELD, Translation([1.0])), r"the transforms are \[2, 1\]-D"),
    "mixed batch": (
        lambda: Chain(Displacement(np.zeros((2, 4, 1))), Translation(np.zeros((3, 1)))),
        r"batches of \[2, 3\]; give equal batches",
    ),
    "chain parameters": (lambda: Chain(FIELD).with_parameters((1, 2)), "give a tuple of 1"),
    "vjp shape": (lambda: FIELD.points_vjp(np.zeros((5, 2)), np.zeros((4, 2))), r"`grad` has shape \(4, 2\)"),
    "coordinates vjp": (lambda: FIELD.coordinates_vjp(np.zeros((4, 2)), (4, 5)), r"`grad` has shape \(4, 2\)"),
    "spline vjp": (
        lambda: ThinPlateSpline.identity(corners()).coordinates_vjp(np.zeros((4, 2)), (4, 5)),
        r"`grad_coordinates` has shape \(4, 2\)",
    ),
    "geometry vjp": (lambda: Velocity.identity((4,)).geometry_vjp(np.zeros(4)), "`grad_geometry` has shape"),
}


@pytest.mark.parametrize(("call", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_wrong_values_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


TYPE_ERRORS = {
    "text": (lambda: Displacement("abc"), "give real numbers"),
    "complex": (lambda: FreeForm(np.zeros((4, 1), complex)), "complex128"),
    "complex tensor": (lambda: Velocity(torch.zeros(4, 1, dtype=torch.complex64)), "complex64"),
    "complex points": (lambda: ThinPlateSpline(corners() * 1j, corners()), "`control_points` has dtype complex128"),
    "steps": (lambda: Velocity(np.zeros((4, 1)), steps=2.0), "`steps` is 2.0; give an integer"),
    "no transform": (lambda: Chain(FIELD, np.eye(2, 3)), "Chain: got ndarray; give transforms"),
    "targets alone": (
        lambda: ThinPlateSpline.from_parameters(corners()),
        "ThinPlateSpline\\(control_points, targets\\)",
    ),
    "parameters alone": (lambda: Chain.from_parameters((corners(),)), "parameters alone are no chain"),
    "tensor vjp": (lambda: FIELD.torch().points_vjp(np.zeros((5, 2)), np.zeros((5, 2))), "call backward"),
    "tensor spline vjp": (
        lambda: ThinPlateSpline.identity(corners()).torch().coordinates_vjp(np.zeros((4, 5, 2)), (4, 5)),
        "call backward",
    ),
    "tensor flow vjp": (lambda: Velocity.identity((4,)).torch().geometry_vjp(np.zeros((4, 1))), "call backward"),
    "tensor chain vjp": (lambda: Chain(FIELD).torch().points_vjp(np.zeros((5, 2)), np.zeros((5, 2))), "call backward"),
}


@pytest.mark.parametrize(("call", "message"), TYPE_ERRORS.values(), ids=TYPE_ERRORS.keys())
def test_wrong_types_are_refused(call, message):
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize("family", [Displacement, Velocity])
def test_folds_are_warned_of_on_request(family):
    random = np.random.default_rng(0)
    rough = family(random.uniform(-9, 9, (12, 13, 2)))
    count = rough.folds()
    assert count > 0
    with pytest.warns(RuntimeWarning, match=f"{family.__name__}: the map folds at {count} pixels"):
        assert rough.folds(warn=True) == count
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert family.identity((12, 13)).folds(warn=True) == 0
