"""What the families keep that are no matrices: their identities, their fits, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from families import DEFORMATIONS, LATTICE, OUTPUT, draw, each_case, each_frame, lattice_points, leaves, with_parameters

from pullback._plan import FRAMES, frame_of, is_reversed
from pullback.transforms import Chain, Displacement, FreeForm, ThinPlateSpline, Translation, Velocity

torch = pytest.importorskip("torch")


@each_frame
@each_case(tuple(kind for kind in DEFORMATIONS if kind is not Chain))
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


@each_case(DEFORMATIONS)
def test_gradients_are_finite_at_the_identity(family, ndim):
    transform = draw(family, ndim, np.random.default_rng(0))
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
