"""Missing samples: values are means of the samples that are there, with coverage, and both have gradients."""

import numpy as np
import pytest
from covering import covered

import pullback as pb

torch = pytest.importorskip("torch")

RANDOM = np.random.default_rng(0)
SHAPES = {1: (13,), 2: (9, 11), 3: (5, 6, 7)}
POSITIVE = ["nearest", "linear", "bspline2", "bspline3", "bspline4", "bspline5"]
SIGNED = ["cubic", "mitchell", "lanczos2", "lanczos3", "lanczos4", "spline2", "spline3", "spline4", "spline5"]
BORDERS = ["constant", "edge", "reflect", "symmetric", "wrap"]
DTYPES = ["bool", "uint8", "int16", "int64", "float16", "float32", "float64", "complex64", "complex128"]

every_interpolation = pytest.mark.parametrize("interpolation", POSITIVE + SIGNED)
every_border = pytest.mark.parametrize("border", BORDERS)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


@pytest.fixture(autouse=True)
def _same_numbers_whatever_ran_before(seed):
    global RANDOM
    RANDOM = np.random.default_rng(seed)


def scene(ndim=2, missing=0.3, points=300, margin=1.0):
    """Return an image, where it is missing, and points on it and up to `margin` beside it."""
    image = RANDOM.standard_normal(SHAPES[ndim])
    x = RANDOM.uniform(-margin, np.array(image.shape) - 1 + margin, (points, ndim))
    return image, RANDOM.random(image.shape) < missing, x


@covered(interpolation=POSITIVE + SIGNED, border=BORDERS, ndim=list(SHAPES), strength=2)
def test_a_value_is_the_mean_of_what_is_there(interpolation, border, ndim):
    image, missing, x = scene(ndim)
    options = {"interpolation": interpolation, "border": border}
    numerator = pb.sample(np.where(missing, 0, image), x, **options)
    coverage = pb.sample((~missing).astype(float), x, **options)
    covered = coverage > (1e-4 if interpolation in POSITIVE else 0.1)
    assert covered.mean() > 0.1
    values, weight = pb.sample(image, x, mask=missing, fill=-7, return_weight=True, **options)
    np.testing.assert_allclose(weight, coverage, rtol=0, atol=1e-13)
    np.testing.assert_allclose(values[covered], numerator[covered] / coverage[covered], rtol=1e-12, atol=1e-12)
    assert np.all(values[~covered] == -7)


@covered(
    dtype=DTYPES,
    interpolation=["nearest", "linear"],
    shape=[(40, 45), (3, 40, 45), (2, 3, 40, 45)],
    strength=2,
)
def test_nothing_missing_changes_no_bit_inside_the_image(dtype, interpolation, shape):
    image = (100 * RANDOM.standard_normal(shape)).astype(dtype)
    nothing = np.zeros((40, 45), bool)
    x = RANDOM.uniform(0, 1, (2,) * (len(shape) == 4) + (600, 2)) * (39, 44)
    values, weight = pb.sample(image, x, interpolation=interpolation, mask=nothing, return_weight=True)
    assert values.tobytes() == pb.sample(image, x, interpolation=interpolation).tobytes()
    assert np.all(weight == 1)
    turn = pb.Affine.rotation(10, center=(20, 20))
    values, weight = pb.warp(image, turn, interpolation=interpolation, mask=nothing, return_weight=True)
    whole = weight == 1
    assert whole.mean() > 0.7
    np.testing.assert_array_equal(values[whole], pb.warp(image, turn, interpolation=interpolation)[whole])


@every_dtype
def test_tensors_are_read_like_arrays(dtype):
    image = (100 * RANDOM.standard_normal((3, 9, 11))).astype(dtype)
    _, missing, x = scene()
    wanted, coverage = pb.sample(image, x, mask=missing, fill=1, return_weight=True)
    values, weight = pb.sample(torch.tensor(image), torch.tensor(x), mask=missing, fill=1, return_weight=True)
    assert values.dtype == torch.tensor(image).dtype
    np.testing.assert_array_equal(values, wanted)
    np.testing.assert_array_equal(weight, coverage)


def test_beyond_a_constant_border_is_missing_too():
    """The fill does not mix in: a point up to a sample outside has the value of the nearest samples."""
    ramp = np.array([5.0, 6.0, 7.0])
    values, weight = pb.sample(ramp, [[-0.75], [2.25], [3.5]], mask=np.zeros(3, bool), fill=99, return_weight=True)
    assert values.tolist() == [5, 7, 99]
    assert weight.tolist() == [0.25, 0.75, 0]
    cropped = pb.sample(ramp, [[-0.75], [1.5]], mask=np.zeros(3, bool), fill=99, extent="crop")
    assert cropped.tolist() == [99, 6.5]


def test_ways_to_say_what_is_missing():
    image, missing, x = scene()
    wanted = pb.sample(image, x, mask=missing)
    holes = np.where(missing, np.nan, image)
    np.testing.assert_array_equal(pb.sample(holes, x, mask="nan"), wanted)
    np.testing.assert_array_equal(pb.sample(np.ma.array(holes, mask=missing), x), wanted)
    np.testing.assert_array_equal(pb.sample(np.ma.array(image), x), pb.sample(image, x))
    other = ~missing
    np.testing.assert_array_equal(pb.sample(np.ma.array(image, mask=other), x, mask=missing), wanted)
    tensors = (torch.tensor(holes), torch.tensor(x))
    np.testing.assert_array_equal(pb.sample(*tensors, mask="nan"), wanted)
    np.testing.assert_array_equal(pb.sample(*tensors, mask=torch.tensor(missing)), wanted)
    np.testing.assert_array_equal(
        pb.sample(image.astype(np.int16), x, mask="nan"),
        pb.sample(image.astype(np.int16), x, mask=np.zeros((9, 11), bool)),
    )


MASK_SHAPES = {
    "spatial": (9, 11),
    "shared by all": (1, 1, 9, 11),
    "one an entry": (2, 1, 9, 11),
    "one a channel": (1, 3, 9, 11),
    "one a sample": (2, 3, 9, 11),
    "one a column": (1, 11),
}


@pytest.mark.parametrize("name", MASK_SHAPES)
@pytest.mark.parametrize("last", [False, True], ids=["channels-first", "channels-last"])
def test_masks_are_shared(name, last):
    images = RANDOM.standard_normal((2, 3, 9, 11))
    mask = RANDOM.random(MASK_SHAPES[name]) < 0.3
    x = RANDOM.uniform(0, 8, (2, 50, 2))
    wanted = np.empty((2, 3, 50))
    coverage = np.empty((2, 3, 50))
    each = np.broadcast_to(mask, (2, 3, 9, 11))
    for n in range(2):
        for c in range(3):
            wanted[n, c], coverage[n, c] = pb.sample(images[n, c], x[n], mask=each[n, c], return_weight=True, fill=9)
    if last:
        images, wanted, coverage = (np.moveaxis(a, 1, -1) for a in (images, wanted, coverage))
        mask = np.moveaxis(mask, 1, -1) if mask.ndim == 4 else mask
    options = {"channel_axis": -1 if last else None, "fill": 9, "mask": mask, "return_weight": True}
    values, weight = pb.sample(images, x, **options)
    np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-13)
    np.testing.assert_allclose(weight, coverage, rtol=0, atol=1e-13)
    out = np.full(wanted.shape, np.nan)
    assert pb.sample(images, x, out=out, **options)[0] is out
    np.testing.assert_array_equal(out, values)


def test_nearest_copies_samples_that_no_float_holds():
    image = np.array([2**63 - 1, 2**62 + 1, -(2**63) + 1])
    values = pb.sample(
        image, [[0.0], [1.2], [2.0]], interpolation="nearest", mask=np.array([False, False, True]), fill=5
    )
    assert values.tolist() == [2**63 - 1, 2**62 + 1, 5]


def test_integers_round_once_at_the_end():
    image = np.array([10, 11, 200], np.uint8)
    found = pb.sample(image, [[0.8], [1.7]], mask=np.array([False, False, True]))
    assert found.tolist() == [11, 11]
    assert pb.sample(image, [[9.0]], mask=np.zeros(3, bool), fill=np.nan).tolist() == [0]


def test_next_to_a_missing_sample_a_cubic_stays_in_proportion():
    """Where weights cancel, the mean would grow without bound; the coverage that is asked for stops it."""
    image, missing = np.sin(np.arange(20.0)), np.arange(20) == 10
    x = np.linspace(9, 11, 2001)[:, None]
    values, weight = pb.sample(image, x, interpolation="cubic", mask=missing, fill=np.nan, return_weight=True)
    assert np.all(np.isnan(values) == (weight <= 0.1))
    assert np.nanmax(np.abs(values)) < 3


@every_interpolation
@every_border
def test_gradients_are_those_of_the_quotient(interpolation, border):
    """Autograd through the two pulls, and the quotient rule for NumPy."""
    image, missing, x = scene()
    options = {"interpolation": interpolation, "border": border, "fill": 0.3}
    grad = RANDOM.standard_normal(len(x))
    found = pb.sample_vjp(image, x, grad, mask=missing, **options)
    assert np.all(found[0][missing] == 0)
    inputs = torch.tensor(np.where(missing, np.nan, image), requires_grad=True), torch.tensor(x, requires_grad=True)
    wanted = torch.autograd.grad(pb.sample(*inputs, mask="nan", **options), inputs, torch.tensor(grad))
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)
    slopes = pb.gradient(image, x, mask=missing, **options)
    np.testing.assert_allclose(slopes * grad[:, None], found[1], rtol=1e-9, atol=1e-9)


def test_where_weights_cancel_a_tenth_must_be_covered():
    """Of weights that are all positive, next to nothing is enough."""
    image, at = np.ones(20), np.linspace(0, 19, 500)[:, None]
    missing = np.arange(20) % 7 > 2
    for interpolation, least in (("cubic", 0.1), ("lanczos3", 0.1), ("spline3", 0.1), ("linear", 1e-4)):
        values, coverage = pb.sample(
            image, at, interpolation=interpolation, fill=np.nan, border="edge", mask=missing, return_weight=True
        )
        np.testing.assert_array_equal(np.isnan(values), coverage <= least)
        assert 0 < (coverage > least).sum() < 500
        assert ((coverage > 1e-4) & (coverage <= least)).any() == (least > 1e-4)


@pytest.mark.parametrize("interpolation", ["linear", "cubic", "spline3"])
def test_gradcheck(interpolation):
    image, missing, x = scene(points=12, margin=0)
    x = np.floor(x) + 0.1 + 0.8 * (x - np.floor(x))  # away from knots
    _, weight = pb.sample(image, x, interpolation=interpolation, mask=missing, return_weight=True)
    x = torch.tensor(x[weight > 0.2], requires_grad=True)  # away from the jump to the fill

    def values_and_coverage(image, x):
        return pb.sample(image, x, interpolation=interpolation, mask=missing, return_weight=True)

    assert torch.autograd.gradcheck(
        values_and_coverage, (torch.tensor(image, requires_grad=True), x), eps=1e-7, atol=1e-5, fast_mode=True
    )


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("mask", ["spatial", "one a channel"])
@pytest.mark.parametrize("batch", [(2, 3), (1, 3), (2, 1)], ids=["own", "one image", "one transform"])
def test_vjp_of_a_warp(dtype, mask, batch):
    images, transforms = batch
    images = 2 if images == transforms == 1 else images
    transforms = images if images > 1 and transforms > 1 else transforms
    image = RANDOM.standard_normal((images, 2, 9, 11)).astype(dtype)
    if dtype == np.complex128:
        image += 1j * RANDOM.standard_normal(image.shape)
    missing = RANDOM.random((9, 11) if mask == "spatial" else (1, 2, 9, 11)) < 0.3
    matrix = np.eye(2, 3) + RANDOM.uniform(-0.3, 0.3, (transforms, 2, 3))
    parameters = torch.tensor(matrix, requires_grad=True)
    leaf = torch.tensor(image, requires_grad=True)
    values = pb.warp(leaf, pb.Affine(parameters), mask=missing)
    grad = torch.randn(values.shape, dtype=values.dtype, generator=torch.Generator().manual_seed(0))
    wanted = torch.autograd.grad(values, (leaf, parameters), grad)
    found = pb.warp_vjp(image, pb.Affine(matrix), grad.numpy(), mask=missing)
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def test_missing_samples_do_not_leak_their_values():
    """Whatever stands in a missing sample, the result is the same, and so are the gradients."""
    image, missing, x = scene()
    results = []
    for stray in (0.0, 1e30, np.nan, np.inf):
        leaf = torch.tensor(np.where(missing, stray, image), requires_grad=True)
        points = torch.tensor(x, requires_grad=True)
        values = pb.sample(leaf, points, mask=missing)
        results.append([values.detach(), *torch.autograd.grad(values.sum(), (leaf, points))])
    for other in results[1:]:
        for ours, theirs in zip(results[0], other, strict=True):
            assert torch.equal(ours, theirs)


def test_a_footprint_is_averaged_over_what_is_there():
    """With antialias, the mean runs over the footprint: dead columns leave no trace in a constant image."""
    image = np.full((64, 64), 3.0)
    image[:, ::5] = 1000
    values, weight = pb.warp(
        image,
        pb.Affine.scaling(4.0),
        (16, 16),
        antialias=True,
        mask=image == 1000,
        return_weight=True,
        border="symmetric",
    )
    np.testing.assert_allclose(values, 3.0, rtol=1e-12)
    np.testing.assert_allclose(weight[:, 1:-1], 0.8, rtol=0, atol=0.1)  # the first column is missing, and twice
    assert np.all(pb.warp(image, pb.Affine.scaling(4.0), (16, 16), mask=image > 0, fill=5, antialias=True) == 5)


def test_a_complex_fill():
    image = RANDOM.standard_normal((2, 9, 11)) + 1j
    found = pb.sample(image, [[-5.0, 0.0]], mask=np.zeros((9, 11), bool), fill=[2 - 1j, 3])
    assert found.tolist() == [[2 - 1j], [3]]
    assert pb.sample(torch.tensor(image), torch.tensor([[-5.0, 0.0]]), mask="nan", fill=2j).tolist() == [[2j], [2j]]


# Masked arrays


def test_a_masked_array_comes_out_masked():
    diagonal = np.eye(4, dtype=bool)
    image = np.ma.masked_array(np.full((4, 4), 20.0), diagonal)
    same = pb.warp(image, pb.Translation([0.0, 0.0]))
    assert isinstance(same, np.ma.MaskedArray)
    np.testing.assert_array_equal(same.mask, diagonal)
    np.testing.assert_array_equal(same.compressed(), 20.0)


@pytest.mark.parametrize("mask", [np.ma.nomask, np.zeros((4, 4), bool)], ids=["nomask", "all False"])
def test_a_masked_array_with_nothing_masked_is_read_like_others(mask):
    plain = np.full((4, 4), 20.0)
    image = np.ma.masked_array(plain, mask)
    moved = pb.warp(image, pb.Translation([0, -0.5]))
    assert isinstance(moved, np.ma.MaskedArray)
    np.testing.assert_array_equal(moved.data, pb.warp(plain, pb.Translation([0, -0.5])))
    assert not np.ma.getmaskarray(moved).any()


@pytest.mark.parametrize("interpolation", ["nearest", "linear", "cubic", "spline3"])
@pytest.mark.parametrize("channel_axis", [0, -1])
def test_what_is_covered_too_little_is_masked(interpolation, channel_axis):
    image, missing, x = scene()
    image = np.moveaxis(np.stack([image, 2 * image]), 0, channel_axis)
    holes = np.broadcast_to(np.expand_dims(missing, channel_axis), image.shape)
    options = {"interpolation": interpolation, "channel_axis": channel_axis}
    values, coverage = pb.sample(np.ma.array(image, mask=holes), x, return_weight=True, **options)
    least = 1e-4 if interpolation in ("nearest", "linear") else 0.1
    np.testing.assert_array_equal(values.mask, coverage <= least)
    np.testing.assert_array_equal(values.data, pb.sample(image, x, mask=holes, **options))
    slopes = pb.gradient(np.ma.array(image, mask=holes), x, **options)
    np.testing.assert_array_equal(slopes.mask, np.broadcast_to((coverage <= least)[..., None], slopes.shape))


@pytest.mark.parametrize("argument", ["coords", "mask", "weight"])
def test_a_mask_where_it_has_no_meaning_is_refused(argument):
    image, missing, x = scene()
    arguments = {"coords": x, "mask": missing, "weight": image * 0 + 1}
    arguments[argument] = np.ma.array(arguments[argument])
    with pytest.raises(TypeError, match=f"sample: `{argument}` is a masked array"):
        pb.sample(image, arguments.pop("coords"), **arguments)


# Weights


def test_weights_of_0_and_1_are_a_mask():
    image, missing, x = scene()
    for interpolation in ("nearest", "linear", "cubic", "spline3"):
        options = {"interpolation": interpolation, "return_weight": True}
        for one, other in zip(
            pb.sample(image, x, weight=np.where(missing, 0.0, 1.0), **options),
            pb.sample(image, x, mask=missing, **options),
            strict=True,
        ):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("interpolation", ["linear", "bspline3", "cubic"])
def test_weights_are_those_of_the_mean(interpolation):
    image, missing, x = scene()
    weight = RANDOM.random(image.shape)
    values, coverage = pb.sample(image, x, weight=weight, mask=missing, return_weight=True, interpolation=interpolation)
    weight = np.where(missing, 0, weight)
    total = pb.sample(image * weight, x, interpolation=interpolation)
    share = pb.sample(weight, x, interpolation=interpolation)
    np.testing.assert_allclose(coverage, share, rtol=1e-12, atol=1e-14)
    enough = share > (1e-4 if interpolation != "cubic" else 0.1)
    np.testing.assert_allclose(values[enough], total[enough] / share[enough], rtol=1e-10)
    np.testing.assert_array_equal(values[~enough], 0)


def test_premultiplied_alpha_has_no_coloured_fringes():
    """Beside a transparent green there is red: what is seen between them is red, at half the coverage."""
    colours = np.array([[255, 0, 0], [0, 255, 0]], np.uint8)
    between, alpha = pb.sample(
        colours, [[0.5]], weight=np.array([1.0, 0.0]), channel_axis=-1, return_weight=True, border="edge"
    )
    assert between.tolist() == [[255, 0, 0]]
    assert alpha.tolist() == [[0.5, 0.5, 0.5]]


def test_coverage_without_a_mask_is_that_of_the_image_itself():
    values, coverage = pb.sample(
        np.full((2, 3), 8.0), [[0.0, 0.0], [-0.25, 1.0], [-0.5, -0.5], [9, 9]], return_weight=True
    )
    assert coverage.tolist() == [1, 0.75, 0.25, 0]
    assert values.tolist() == [8, 6, 2, 0]
    _, coverage = pb.sample(np.zeros((2, 3)), [[-5.0, 0.0]], border="edge", return_weight=True)
    assert coverage.tolist() == [1]


@pytest.mark.parametrize("interpolation", ["linear", "bspline2", "spline3"])
def test_gradients_of_a_weighted_mean(interpolation):
    torch = pytest.importorskip("torch")
    image, _, x = scene()
    image, x = torch.tensor(image, requires_grad=True), torch.tensor(x[:20], requires_grad=True)
    weight = torch.tensor(RANDOM.random(image.shape) * 0.5 + 0.25, requires_grad=True)

    def mean(image, x, weight):
        return pb.sample(image, x, weight=weight, return_weight=True, interpolation=interpolation)

    torch.autograd.gradcheck(mean, (image, x, weight), atol=1e-6, fast_mode=True)
    grad = RANDOM.standard_normal(20)
    values, _ = mean(image, x, weight)
    values.backward(torch.tensor(grad))
    arrays = [tensor.detach().numpy() for tensor in (image, x, weight)]
    on_image, on_x = pb.sample_vjp(arrays[0], arrays[1], grad, weight=arrays[2], interpolation=interpolation)
    np.testing.assert_allclose(on_image, image.grad, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(on_x, x.grad, rtol=1e-10, atol=1e-12)
    slopes = pb.gradient(arrays[0], arrays[1], weight=arrays[2], interpolation=interpolation)
    np.testing.assert_allclose(slopes * grad[:, None], x.grad, rtol=1e-10, atol=1e-12)


def test_weights_are_not_looked_at_while_a_graph_is_made():
    from torch._subclasses import FakeTensorMode
    from torch.fx.experimental.proxy_tensor import make_fx

    image, weight = torch.rand(6, 7), torch.rand(6, 7)
    for function in (
        lambda image: pb.resize(image, (3, 4), weight=weight),
        lambda image: pb.warp(image, pb.Affine.identity(2), weight=weight),
    ):
        torch.testing.assert_close(make_fx(function)(image)(image), function(image))
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:
            assert function(mode.from_tensor(image)).shape == function(image).shape


def test_weights_that_are_none_are_refused():
    image, missing, x = scene()
    for weight, error, words in (
        (image * 0 + 1.5, ValueError, "beyond 0 to 1"),
        (image * np.nan, ValueError, "beyond 0 to 1"),
        (image + 0j, TypeError, "complex"),
        (np.ones((3, 3)), ValueError, "`weight` has shape"),
    ):
        with pytest.raises(error, match=words):
            pb.sample(image, x, weight=weight)
    with pytest.raises(TypeError, match="are a `weight`"):
        pb.sample(image, x, mask=missing.astype(float))


# Other sizes

RESIZED = ["nearest", "linear", "area", "lanczos3", "bspline3", "spline3"]
NEW_SHAPES = [(4, 15), (20, 5), (9, 11)]


@pytest.mark.parametrize("interpolation", RESIZED)
@pytest.mark.parametrize("border", [None, "constant", "edge", "wrap"])
@pytest.mark.parametrize("shape", NEW_SHAPES, ids=str)
def test_a_new_pixel_is_the_mean_of_what_is_there(interpolation, border, shape):
    image, missing, _ = scene()
    weight = np.where(missing, 0, RANDOM.random(image.shape))
    options = {"interpolation": interpolation, "border": border}
    for known, how in ((1.0 - missing, {"mask": missing}), (weight, {"weight": weight})):
        numerator = pb.resize(known * image, shape, **options)
        coverage = pb.resize(known, shape, **options)
        if interpolation == "nearest":  # copies, whatever the weight
            numerator = np.where(coverage > 0, pb.resize(image, shape, **options) * coverage, 0)
        covered = coverage > (1e-4 if interpolation in (*POSITIVE, "area") else 0.1)
        values, found = pb.resize(image, shape, fill=-7, return_weight=True, **options, **how)
        np.testing.assert_allclose(found, coverage, rtol=0, atol=1e-13)
        np.testing.assert_allclose(values[covered], numerator[covered] / coverage[covered], rtol=1e-11, atol=1e-11)
        assert np.all(values[~covered] == -7)
        tensors = pb.resize(torch.tensor(image), shape, fill=-7, return_weight=True, **options, **how)
        for one, other in zip(tensors, (values, found), strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


def test_what_is_missing_has_no_part_in_the_mean_of_a_block():
    image = np.array([[1, 3, 250, 250], [5, 255, 250, 250]], np.uint8)
    mask = image == 255
    found, coverage = pb.resize(image, (1, 2), interpolation="area", mask=mask, return_weight=True)
    assert found.tolist() == [[3, 250]]
    assert coverage.tolist() == [[0.75, 1]]
    masked = pb.resize(np.ma.array(image, mask=image > 5), (1, 2), interpolation="area")
    assert isinstance(masked, np.ma.MaskedArray)
    assert masked.tolist() == [[3, None]]
    holes = np.where(mask, np.nan, image.astype(np.float32))
    assert pb.resize(holes, (1, 2), interpolation="area", mask="nan").tolist() == [[3, 250]]


@pytest.mark.parametrize("interpolation", ["nearest", "linear", "area"])
def test_masked_arrays_with_nothing_masked_are_resized_like_others(interpolation):
    image = RANDOM.standard_normal((9, 11))
    found = pb.resize(np.ma.array(image), (5, 20), interpolation=interpolation, border="constant")
    assert isinstance(found, np.ma.MaskedArray)
    np.testing.assert_array_equal(found.data, pb.resize(image, (5, 20), interpolation=interpolation, border="constant"))
    assert not np.ma.getmaskarray(found).any()


def test_the_coverage_of_a_new_size():
    image = np.full((2, 3, 4), 8.0)
    values, coverage = pb.resize(image, (3, 8), border="constant", return_weight=True)
    assert coverage.shape == values.shape
    assert coverage[0, 1].tolist() == [0.75, 1, 1, 1, 1, 1, 1, 0.75]
    assert np.all(pb.resize(image, (3, 8), return_weight=True)[1] == 1)
    out = np.empty((2, 3, 8))
    assert pb.resize(image, (3, 8), mask=image < 0, return_weight=True, out=out)[0] is out
    assert np.all(out == 8)


@pytest.mark.parametrize("interpolation", ["linear", "area", "spline3"])
@pytest.mark.parametrize("shape", NEW_SHAPES[:2], ids=str)
def test_gradients_of_a_weighted_new_size(interpolation, shape):
    image = torch.tensor(RANDOM.standard_normal((2, 6, 7)), requires_grad=True)
    weight = torch.tensor(RANDOM.random((6, 7)) * 0.5 + 0.25, requires_grad=True)

    def mean(image, weight):
        return pb.resize(image, shape, weight=weight, return_weight=True, interpolation=interpolation)

    torch.autograd.gradcheck(mean, (image, weight), atol=1e-6)


@pytest.mark.parametrize("name", MASK_SHAPES)
def test_masks_are_shared_in_another_size(name):
    images = RANDOM.standard_normal((2, 3, 9, 11))
    mask = RANDOM.random(MASK_SHAPES[name]) < 0.3
    each = np.broadcast_to(mask, images.shape)
    values, weight = pb.resize(images, (5, 6), mask=mask, return_weight=True)
    for n in range(2):
        for c in range(3):
            alone, coverage = pb.resize(images[n, c], (5, 6), mask=each[n, c], return_weight=True)
            np.testing.assert_allclose(values[n, c], alone, rtol=0, atol=1e-13)
            np.testing.assert_allclose(weight[n, c], coverage, rtol=0, atol=1e-13)
