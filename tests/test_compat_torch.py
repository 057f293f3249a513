"""pullback.compat.torch is torch.nn.functional: values, gradients, warnings and errors."""

import itertools
import warnings

import pytest

torch = pytest.importorskip("torch")
F = torch.nn.functional

from torch.testing._internal.common_methods_invocations import op_db  # noqa: E402

from pullback.compat.torch import affine_grid, grid_sample  # noqa: E402

PADDINGS = ["zeros", "border", "reflection"]
MODES = [(2, "bilinear"), (2, "nearest"), (2, "bicubic"), (3, "bilinear"), (3, "nearest")]
SHAPES = {2: [(9, 12), (1, 5), (6, 1), (1, 1)], 3: [(5, 6, 7), (1, 4, 2)]}
CALLS = list(itertools.product(MODES, PADDINGS, [False, True]))
IDS = [f"{ndim}d-{mode}-{padding}-{corners}" for (ndim, mode), padding, corners in CALLS]

each_call = pytest.mark.parametrize(("mode", "padding", "corners"), CALLS, ids=IDS)
SMOOTH = [(call, name) for call, name in zip(CALLS, IDS, strict=True) if "nearest" not in name]
each_smooth_call = pytest.mark.parametrize(
    ("mode", "padding", "corners"), [call for call, _ in SMOOTH], ids=[name for _, name in SMOOTH]
)
each_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


def pairs(image, grid, *arguments, **options):
    """Return (ours, theirs) for the values and for both gradients."""
    ours, theirs = (f(image, grid, *arguments, **options) for f in (grid_sample, F.grid_sample))
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    grad = torch.randn(theirs.shape, generator=torch.Generator().manual_seed(1), dtype=theirs.dtype)
    grads = (torch.autograd.grad(values, (image, grid), grad) for values in (ours, theirs))
    return [(ours, theirs), *zip(*grads, strict=True)]


def close(ours, theirs):
    """Agree to 1e-12, or in float32 to 1e-5, of the largest number there is.

    PyTorch's coordinates are of the dtype of the grid: in float32, off by 1e-7 of the image's side, which is what
    values and gradients are off by.
    """
    scale = max(1.0, theirs.abs().max().item()) if theirs.numel() else 1.0
    limit = 1e-12 if theirs.dtype == torch.float64 else 1e-5
    torch.testing.assert_close(ours, theirs, rtol=0, atol=limit * scale)


def inputs(ndim, shape, dtype, seed=0, reach=2.5, points=7):
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(2, 3, *shape, dtype=dtype, generator=generator)
    grid = reach * (2 * torch.rand(2, *(points,) * ndim, ndim, dtype=dtype, generator=generator) - 1)
    return image.requires_grad_(), grid.requires_grad_()


@each_dtype
@each_call
def test_random_grids(mode, padding, corners, dtype):
    ndim, name = mode
    for seed, shape in enumerate(SHAPES[ndim]):
        image, grid = inputs(ndim, shape, dtype, seed)
        for ours, theirs in pairs(image, grid, name, padding, corners):
            close(ours, theirs)


@each_dtype
def test_samples_of_opinfo(dtype):
    (op,) = (op for op in op_db if op.name == "nn.functional.grid_sample")
    samples = list(op.sample_inputs("cpu", dtype, requires_grad=True))
    assert len(samples) >= 30
    for case in samples:
        for ours, theirs in pairs(case.input, *case.args, **case.kwargs):
            close(ours, theirs)


@each_smooth_call
def test_gradcheck_off_knots(mode, padding, corners):
    ndim, name = mode
    shape = (4, 5, 3)[:ndim]
    image, _ = inputs(ndim, shape, torch.float64)
    # Points 0.2 to 0.8 from the samples' left neighbours, and so no closer to a knot of either kind than 0.1.
    generator = torch.Generator().manual_seed(3)
    index = torch.randint(-4, 8, (2, *(3,) * ndim, ndim), generator=generator).double()
    index += torch.tensor([0.2, 0.4, 0.6, 0.8], dtype=torch.float64)[torch.randint(0, 4, index.shape)]
    sides = torch.tensor(shape[::-1], dtype=torch.float64)
    grid = 2 * index / (sides - 1) - 1 if corners else (2 * index + 1) / sides - 1
    arguments = (name, padding, corners)
    assert torch.autograd.gradcheck(
        lambda image, grid: grid_sample(image, grid, *arguments), (image, grid.requires_grad_())
    )


@pytest.mark.parametrize("scale", [0.5, 0.25, 2.0, 1.0])
@pytest.mark.parametrize("padding", ["zeros", "border"])
@each_dtype
def test_nearest_rounds_halves_as_torch_does(scale, padding, dtype):
    """The identity at half the size puts every point half-way between samples."""
    image = torch.arange(16.0 * 24, dtype=dtype).reshape(1, 1, 16, 24)
    grid = F.affine_grid(torch.eye(2, 3, dtype=dtype)[None], (1, 1, int(16 * scale), int(24 * scale)), False)
    ours, theirs = (f(image, grid, "nearest", padding, False) for f in (grid_sample, F.grid_sample))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("corners", [False, True])
def test_large_images_in_float32_are_closer_to_the_truth(mode, corners):
    image = torch.rand(1, 1, 300, 300, generator=torch.Generator().manual_seed(4))
    grid = F.affine_grid(torch.tensor([[[0.9, 0.1, 0.05], [-0.1, 0.9, 0.0]]]), (1, 1, 300, 300), corners)
    truth = F.grid_sample(image.double(), grid.double(), mode, align_corners=corners)
    ours, theirs = (
        (f(image, grid, mode, align_corners=corners) - truth).abs().max() for f in (grid_sample, F.grid_sample)
    )
    assert ours < 1e-6 < theirs


def test_slopes_on_a_sample_are_those_of_its_right_side():
    image = torch.tensor([0.0, 1.0, 4.0, 9.0]).expand(1, 1, 4, 4)
    centers = torch.tensor([-0.75, -0.25, 0.25, 0.75])
    grid = torch.stack(torch.meshgrid(centers, centers, indexing="xy"), -1)[None].requires_grad_()
    grid_sample(image, grid, padding_mode="border", align_corners=False).sum().backward()
    # The unit of the grid is half of the side, 2 samples.
    torch.testing.assert_close(grid.grad[0, 1, :, 0], 2 * torch.tensor([1.0, 3.0, 5.0, 0.0]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
@each_call
def test_halves_are_rounded_once(mode, padding, corners, dtype):
    ndim, name = mode
    image, grid = (tensor.detach().to(dtype) for tensor in inputs(ndim, SHAPES[ndim][0], torch.float64))
    found = grid_sample(image, grid, name, padding, corners)
    assert found.dtype == dtype
    if name == "nearest":
        assert (found == F.grid_sample(image, grid, name, padding, corners)).all()
    else:
        wanted = F.grid_sample(image.double(), grid.double(), name, padding, corners)
        half = torch.finfo(dtype).eps / 2
        torch.testing.assert_close(found.double(), wanted, rtol=1.01 * half, atol=1e-5)


def test_gradients_of_halves():
    image, grid = (tensor.detach().bfloat16().requires_grad_() for tensor in inputs(2, (9, 12), torch.float64))
    grid_sample(image, grid, align_corners=False).sum().backward()
    assert image.grad.dtype == grid.grad.dtype == torch.bfloat16


@each_smooth_call  # for the nearest sample, PyTorch's own function reads one
def test_coordinates_that_are_no_numbers_read_nothing(mode, padding, corners):
    ndim, name = mode
    image, grid = inputs(ndim, SHAPES[ndim][0], torch.float32)
    broken = grid.detach().clone()
    broken.view(-1, ndim)[:3, 0] = torch.tensor([float("nan"), float("inf"), float("-inf")])
    broken.requires_grad_()
    values = grid_sample(image, broken, name, padding, corners)
    assert (values[0].flatten(1)[:, :3] == 0).all()
    gradients = torch.autograd.grad(values.sum(), (image, broken))
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert (gradients[1].view(-1, ndim)[:3] == 0).all()


def warned(function, *arguments):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*arguments)
    return [(each.category, str(each.message), each.filename) for each in caught]


def test_warns_where_align_corners_is_left_out():
    image, grid = inputs(2, (9, 12), torch.float32)
    ours = warned(grid_sample, image, grid)
    assert ours == warned(F.grid_sample, image, grid)
    assert len(ours) == 1


def call(**changes):
    options = {
        "input": torch.zeros(2, 3, 4, 5),
        "grid": torch.zeros(2, 6, 7, 2),
        "mode": "bilinear",
        "padding_mode": "zeros",
        "align_corners": False,
    }
    return options | changes


WRONG = {
    "mode": call(mode="cubic"),
    "padding": call(padding_mode="wrap"),
    "align_corners": call(align_corners=0),
    "batch": call(grid=torch.zeros(1, 6, 7, 2)),
    "coordinates": call(grid=torch.zeros(2, 6, 7, 3)),
    "axes of grid": call(grid=torch.zeros(2, 6, 2)),
    "axes of input": call(input=torch.zeros(2, 4, 5), grid=torch.zeros(2, 4, 2)),
    "empty": call(input=torch.zeros(2, 3, 4, 0)),
    "dtypes": call(input=torch.zeros(2, 3, 4, 5, dtype=torch.float64)),
    "integers": call(input=torch.zeros(2, 3, 4, 5, dtype=torch.int32), grid=torch.zeros(2, 6, 7, 2, dtype=torch.int32)),
    "bicubic volume": call(input=torch.zeros(2, 3, 4, 5, 6), grid=torch.zeros(2, 1, 6, 7, 3), mode="bicubic"),
    "array": call(input=torch.zeros(2, 3, 4, 5).numpy()),
}


@pytest.mark.parametrize("options", WRONG.values(), ids=WRONG.keys())
def test_errors_are_those_of_torch(options):
    with pytest.raises((ValueError, RuntimeError, TypeError)) as theirs:
        F.grid_sample(**options)
    with pytest.raises(theirs.type) as ours:
        grid_sample(**options)
    assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize(
    ("image_shape", "grid_shape"),
    [((0, 3, 4, 5), (0, 6, 7, 2)), ((2, 0, 4, 5), (2, 6, 7, 2)), ((2, 3, 4, 5), (2, 0, 7, 2))],
)
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_empty_batches_channels_and_grids(image_shape, grid_shape, mode):
    image, grid = torch.zeros(image_shape, requires_grad=True), torch.zeros(grid_shape, requires_grad=True)
    for ours, theirs in pairs(image, grid, mode, align_corners=False):
        assert ours.shape == theirs.shape


@pytest.mark.parametrize("strides", ["channels last", "expanded", "transposed"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_any_strides(strides, mode):
    image, grid = (tensor.detach() for tensor in inputs(2, (9, 12), torch.float64))
    if strides == "channels last":
        image = image.contiguous(memory_format=torch.channels_last)
    elif strides == "expanded":
        image, grid = image[:1].expand(2, -1, -1, -1), grid[:1].expand(2, -1, -1, -1)
    else:
        image, grid = image.transpose(2, 3), grid.transpose(1, 2)
    for ours, theirs in pairs(image.requires_grad_(), grid.requires_grad_(), mode, align_corners=False):
        close(ours, theirs)


@pytest.mark.parametrize("dtypes", [(torch.bfloat16, torch.float32), (torch.bfloat16,) * 2, (torch.float32,) * 2])
def test_autocast(dtypes):
    image, grid = (tensor.detach() for tensor in inputs(2, (9, 12), torch.float32))
    image, grid = image.to(dtypes[0]), grid.to(dtypes[1])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours, theirs = (f(image, grid, align_corners=False) for f in (grid_sample, F.grid_sample))
    assert ours.dtype == theirs.dtype
    close(ours, theirs)


def test_affine_grid_is_that_of_torch():
    assert affine_grid is F.affine_grid
