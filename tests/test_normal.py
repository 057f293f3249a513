"""Normal equations: the Jacobian of the residual, made of warps, multiplied out."""

import numpy as np
import pytest
import scipy.ndimage

import pullback as pb

RANDOM = np.random.default_rng(0)
SIDES = {1: (40,), 2: (17, 23), 3: (7, 8, 9)}
FRAMES = ("index", "centered", "normalized", "normalized-corners")


def near_identity(family, ndim, batch=(), frame="index", random=RANDOM):
    """A map within the image, by small changes of every parameter of the identity."""
    still = family.identity(ndim).parameters
    parameters = still + random.uniform(-0.02, 0.02, (*batch, *still.shape))
    if family is pb.Projective and frame == "index":
        parameters[..., -1, :-1] /= 40
    return family.from_parameters(parameters)


def jacobian(image, transform, shape, **options):
    """The derivative of a warp in the parameters, (pixels and channels, k), by one vector-Jacobian product an entry."""
    size = pb.warp(image, transform, shape, **options).shape
    rows = []
    for k in range(int(np.prod(size))):
        unit = np.zeros(size)
        unit.flat[k] = 1
        rows.append(pb.warp_vjp(image, transform, unit, **options)[1].ravel())
    return np.stack(rows)


@pytest.mark.parametrize("family", [pb.Translation, pb.Similarity, pb.Affine, pb.Projective])
@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("frame", FRAMES)
def test_against_the_jacobian(family, ndim, frame):
    shape = {1: (31,), 2: (9, 8), 3: (4, 5, 3)}[ndim]
    image = RANDOM.random((2, *SIDES[ndim]))
    target = RANDOM.random((2, *shape))
    transform = near_identity(family, ndim, frame=frame)
    options = dict(frame=frame, interpolation="cubic", border="reflect")
    inside = pb.warp(np.ones_like(image), transform, shape, extent="crop", **options).ravel() > 0
    residual = (pb.warp(image, transform, shape, **options) - target).ravel()[inside]
    derivative = jacobian(image, transform, shape, **options)[inside]
    found = pb.normal_equations(image, transform, target, **options)
    wanted = (derivative.T @ derivative, derivative.T @ residual, residual @ residual)
    for ours, theirs in zip(found, wanted, strict=True):
        scale = max(1, np.abs(theirs).max())
        np.testing.assert_allclose(ours / scale, theirs / scale, rtol=0, atol=1e-12)


@pytest.mark.parametrize("family", [pb.Affine, pb.Projective])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.complex128])
def test_batches_and_dtypes(family, dtype):
    random = np.random.default_rng(2)  # of which no point is next to an edge, on which single precision sees it
    image, target = (
        (200 * random.random((3, 2, *sides))).astype(dtype) * (1 - 0.5j if dtype == np.complex128 else dtype(1))
        for sides in ((17, 23), (60, 70))
    )
    transform = near_identity(family, 2, (3,), "centered", random)
    k = transform.parameters[0].size
    many = pb.normal_equations(image, transform, target, frame="centered")
    assert [part.shape for part in many] == [(3, k, k), (3, k), (3,)]
    wide = [array.astype(np.result_type(dtype, float)) for array in (image, target)]
    for b in range(3):
        one = family.from_parameters(transform.parameters[b])
        alone = pb.normal_equations(wide[0][b], one, wide[1][b], frame="centered")
        for ours, theirs in zip(many, alone, strict=True):
            np.testing.assert_allclose(ours[b], theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())


def test_the_same_bits_for_any_number_of_threads():
    image, target = RANDOM.random((150, 160)), RANDOM.random((150, 160))
    before, found = pb.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            pb.set_num_threads(threads)
            found.append(pb.normal_equations(image, pb.Affine.rotation(3), target))
    finally:
        pb.set_num_threads(before)
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("family", [pb.Translation, pb.Similarity, pb.Affine, pb.Projective])
def test_gauss_and_newton_find_a_map(family):
    y, x = np.meshgrid(np.linspace(0, 1, 60), np.linspace(0, 1, 80), indexing="ij")
    image = np.sin(9 * x + 2 * y) * np.cos(7 * y - 3 * x * x)
    wanted = near_identity(family, 2, frame="centered")
    options = dict(interpolation="spline3", border="reflect", frame="centered")
    target = pb.warp(image, wanted, **options)
    found = family.identity(2)
    for _ in range(8):
        equations = pb.normal_equations(image, found, target, **options)
        step = np.linalg.lstsq(equations.jtj, equations.jtr, rcond=1e-10)[0]
        found = family.from_parameters(found.parameters - step.reshape(found.parameters.shape))
    points = RANDOM.uniform(-0.5, 0.5, (20, 2))
    np.testing.assert_allclose(found(points), wanted(points), rtol=0, atol=1e-8)


def test_tensors():
    torch = pytest.importorskip("torch")
    image, target = RANDOM.random((17, 23)), RANDOM.random((17, 23))
    transform = pb.Affine.rotation(5)
    found = pb.normal_equations(torch.tensor(image), transform.torch(), torch.tensor(target))
    for ours, theirs in zip(found, pb.normal_equations(image, transform, target), strict=True):
        assert isinstance(ours, torch.Tensor)
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("family", [pb.Affine, pb.Projective])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128, np.int32])
def test_every_backend_finds_the_same_moments(family, dtype):
    torch = pytest.importorskip("torch")
    from pullback.backends import composite, numpy
    from pullback.backends import torch as tensors
    from pullback.sampling.call import reading_of
    from pullback.warping.through import call_through

    image, target = ((9 * RANDOM.random((3, 2, *sides))).astype(dtype) for sides in ((17, 23), (9, 8)))
    reading = reading_of("cubic", "constant", 1, "blend", None, "centered")
    call = call_through("warp", image, near_identity(family, 2, (3,)), (9, 8), reading)
    arguments = (call.geometry, call.lattice, call.plan)
    found = numpy.normal(call.image, *arguments, target)
    arguments = (torch.tensor(call.geometry), call.lattice, call.plan)
    for backend in (tensors, composite):
        other = backend.normal(torch.tensor(image), *arguments, torch.tensor(target))
        np.testing.assert_allclose(other, found, rtol=1e-10, atol=1e-10 * np.abs(found).max())


WEIGHTS = {
    "mask": lambda random, image, target: {"mask": random.random(image.shape) < 0.1},
    "spatial mask": lambda random, image, target: {"mask": random.random(image.shape[-2:]) < 0.1},
    "weight": lambda random, image, target: {
        "weight": random.random(image.shape) + 0.1 * (random.random(image.shape) < 0.9)
    },
    "target mask": lambda random, image, target: {"target_mask": random.random(target.shape) < 0.3},
    "target weight": lambda random, image, target: {"target_weight": random.random(target.shape[-2:])},
    "all": lambda random, image, target: {
        "mask": random.random(image.shape[-2:]) < 0.1,
        "weight": random.random(image.shape),
        "target_mask": random.random(target.shape) < 0.3,
        "target_weight": random.random(target.shape[-2:]),
    },
}


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_and_masks(name, interpolation):
    """Against the derivative of a warp, of what reads no missing sample, with weights that are interpolated."""
    random = np.random.default_rng(0)
    image, target = random.random((2, 17, 23)), random.random((2, 9, 8))
    transform = pb.Affine([[1.7, 0.1, -1.0], [-0.1, 2.9, 0.317]])
    given = {
        key: np.clip(value, 0, 1) if value.dtype == float else value
        for key, value in WEIGHTS[name](random, image, target).items()
    }
    reading = dict(interpolation=interpolation, border="edge")
    known = np.broadcast_to(1.0 - given.get("mask", 0), image.shape) * given.get("weight", 1)
    points = transform(np.moveaxis(np.indices((9, 8), np.float64), 0, -1))
    counts = pb.sample(np.ones((17, 23)), points, extent="crop", **reading) > 0
    for _ in range(5):  # whatever is in the holes
        holes = np.where(known > 0, 0, random.standard_normal(image.shape))
        counts = counts & (np.abs(pb.sample(holes, points, **reading)) < 1e-6)
        counts &= np.abs(pb.gradient(holes, points, **reading)).max(-1) < 1e-6
    weight = np.maximum(pb.warp(known, transform, (9, 8), **reading), 0) * counts
    weight = (weight * (1.0 - given.get("target_mask", 0)) * given.get("target_weight", 1)).ravel()
    residual = (pb.warp(image, transform, (9, 8), **reading) - target).ravel()
    derivative = jacobian(image, transform, (9, 8), **reading)
    wanted = ((weight * derivative.T) @ derivative, derivative.T @ (weight * residual), weight @ residual**2)
    holes, gaps = (
        np.where(known > 0, image, np.nan),
        np.where(given.get("target_mask", np.zeros(1, bool)), np.nan, target),
    )
    found = pb.normal_equations(holes, transform, gaps, interpolation=interpolation, **given)
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12 * max(1, np.abs(theirs).max()))
    torch = pytest.importorskip("torch")
    tensors = {key: torch.tensor(value) for key, value in given.items()}
    again = pb.normal_equations(
        torch.tensor(holes), transform.torch(), torch.tensor(gaps), interpolation=interpolation, **tensors
    )
    for ours, theirs in zip(again, found, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_masked_arrays():
    image, target = RANDOM.random((17, 23)), RANDOM.random((17, 23))
    missing, hidden = (RANDOM.random((17, 23)) < 0.1 for _ in range(2))
    found = pb.normal_equations(
        np.ma.array(image, mask=missing), pb.Affine.rotation(5), np.ma.array(target, mask=hidden)
    )
    wanted = pb.normal_equations(image, pb.Affine.rotation(5), target, mask=missing, target_mask=hidden)
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_errors_name_the_side():
    image = np.zeros((5, 6))
    for name, value in {"target_mask": np.zeros((5, 6)), "target_weight": np.full((5, 6), 2.0)}.items():
        with pytest.raises((TypeError, ValueError), match=f"normal_equations: `{name}`"):
            pb.normal_equations(image, pb.Translation([0.0, 0.0]), image, **{name: value})
    with pytest.raises(ValueError, match=r"`target_mask` has shape .* but the target has shape"):
        pb.normal_equations(image, pb.Translation([0.0, 0.0]), image, target_mask=np.zeros((4, 6), bool))


def test_what_maps_outside_does_not_bias_an_alignment():
    """Two views of one scene, a tenth of which only one of them shows: what is seen in one alone must not pull."""
    random = np.random.default_rng(0)
    scene = scipy.ndimage.gaussian_filter(random.random((160, 160)), 2.5)
    scene = 100 * (scene - scene.min()) / np.ptp(scene)
    wanted = pb.Translation([6.3, -7.6])
    image, target = (
        scene[20:120, 20:120],
        pb.sample(scene, wanted(np.moveaxis(np.indices((100, 100)), 0, -1) + 20.0), interpolation="spline3"),
    )
    found = pb.Translation([5.0, -6.0])
    for _ in range(20):
        equations = pb.normal_equations(image, found, target, interpolation="spline3")
        found = pb.Translation(found.offset - np.linalg.solve(equations.jtj, equations.jtr))
    np.testing.assert_allclose(found.offset, wanted.offset, rtol=0, atol=1e-3)
    cv2 = pytest.importorskip("cv2")
    start = np.float32([[1, 0, -6], [0, 1, 5]])
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 1e-9)
    _, theirs = cv2.findTransformECC(
        np.float32(target), np.float32(image), start, cv2.MOTION_TRANSLATION, criteria, None, 1
    )
    off = np.abs(theirs[::-1, 2] - wanted.offset).max()
    assert np.abs(found.offset - wanted.offset).max() <= off


def test_an_image_without_an_outside():
    """A translation of a pattern that repeats."""
    image = np.sin(np.arange(64.0) * 2 * np.pi / 64)
    target = np.roll(image, -10)
    found = pb.normal_equations(image, pb.Translation([10.0]), target, border="wrap")
    assert float(found.cost) < 1e-20
    np.testing.assert_allclose(found.jtj, [[32 * (2 * np.pi / 64) ** 2]], rtol=1e-2)
