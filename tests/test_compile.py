"""torch.compile: one graph, the numbers of eager mode, and no new graph for another size."""

import pytest
from covering import covered

import pullback as pb

torch = pytest.importorskip("torch")

from torch._dynamo.testing import CompileCounterWithBackend  # noqa: E402

GRID = torch.stack(torch.meshgrid(torch.linspace(2, 15, 3), torch.linspace(2, 20, 4), indexing="ij"), -1).reshape(-1, 2)
SPLINE = pb.ThinPlateSpline.identity(GRID)
FAMILIES = {
    "translation": (lambda p, shape: pb.Translation(p), torch.tensor([1.3, -2.2])),
    "similarity": (lambda p, shape: pb.Similarity(1.1 + p[0], p[1], p[2:]), torch.tensor([0.1, 0.3, 1.0, 2.0])),
    "affine": (lambda p, shape: pb.Affine(p), torch.tensor([[0.9, 0.2, 1.0], [-0.1, 1.1, 2.0]])),
    "batch": (lambda p, shape: pb.Affine(p), torch.eye(2, 3).repeat(2, 1, 1) + 0.1),
    "free-form": (lambda p, shape: pb.FreeForm(p), torch.randn(5, 6, 2, generator=torch.Generator().manual_seed(0))),
    "euclidean": (lambda p, shape: pb.Euclidean(p[0], p[1:]), torch.tensor([0.1, 1.0, 2.0])),
    "projective": (lambda p, shape: pb.Projective(p), torch.eye(3) + 0.001),
    # made outside of the graph, where its system of equations is solved
    "spline": (lambda p, shape: SPLINE.with_parameters(p), GRID + torch.linspace(-1, 1, 24).reshape(12, 2)),
    "displacement": (lambda p, shape: pb.Displacement(p), torch.rand(18, 23, 2)),
    "coarse displacement": (lambda p, shape: pb.Displacement(p), torch.rand(6, 7, 2)),
    "velocity": (lambda p, shape: pb.Velocity(p, steps=3), torch.rand(18, 23, 2)),
    # torch.compile does not know `@` of objects
    "matrices": (lambda p, shape: pb.Chain.of(pb.Similarity(p[0], p[1], p[2:]), pb.Translation(p[2:])), torch.ones(4)),
    "chain": (lambda p, shape: pb.Chain.of(pb.Affine(p), pb.FreeForm(torch.ones(4, 4, 2))), torch.eye(2, 3) + 0.1),
}


def compiled(function, **options):
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    return torch.compile(function, fullgraph=True, backend=counter, **options), counter


# Compiling takes a second: each family, frame and reading once.
@covered(
    family=FAMILIES,
    frame=["index", "centered", "normalized", "normalized-corners"],
    interpolation=["linear", "nearest", "cubic", "spline3"],
    border=["reflect", "constant", "edge"],
    strength=1,
)
def test_warp(family, frame, interpolation, border):
    build, parameters = family
    image = torch.rand(2, 3, 18, 23)

    def function(image, parameters):
        transform = build(parameters, image.shape[2:])
        return pb.warp(image, transform, frame=frame, interpolation=interpolation, border=border)

    both = []
    fast, counter = compiled(function)
    for call in (fast, function):
        leaves = image.clone().requires_grad_(), parameters.clone().requires_grad_()
        value = call(*leaves)
        both.append((value, *torch.autograd.grad(value.square().sum(), leaves)))
    for ours, theirs in zip(*both, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    assert counter.frame_count == 1


@pytest.mark.parametrize("frame", ["index", "centered", "normalized-corners"])
def test_dynamic_shapes(frame):
    def function(image, matrix):
        return pb.warp(image, pb.Affine(matrix), frame=frame, interpolation="cubic")

    fast, counter = compiled(function, dynamic=True)
    matrix = (torch.eye(2, 3) + 0.1).requires_grad_()
    # All sides differ, from those of the matrix too: what is equal in the first call is taken to stay so.
    for shape in ((5, 4, 18, 23), (6, 7, 31, 19), (8, 5, 40, 41)):
        image = torch.rand(shape)
        torch.testing.assert_close(fast(image, matrix), function(image, matrix))
    assert counter.frame_count == 1


@pytest.mark.parametrize("interpolation", ["nearest", "linear", "spline3"])
def test_sample_with_its_gradients(interpolation):
    def function(image, coords):
        value = pb.sample(image, coords, interpolation=interpolation, border="edge")
        return value.sin().sum() + pb.gradient(image, coords, border="edge").sum()

    fast, counter = compiled(function, dynamic=True)
    for n in (11, 17):
        leaves = torch.rand(3, 9, n, requires_grad=True), (8 * torch.rand(n + 1, 2)).requires_grad_()
        ours, theirs = (torch.autograd.grad(call(*leaves), leaves) for call in (fast, function))
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert counter.frame_count == 1


def test_a_module():
    transformer = pb.nn.SpatialTransformer(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(320, 8)))
    image = torch.rand(4, 1, 16, 20)
    fast, counter = compiled(transformer)
    torch.testing.assert_close(fast(image), transformer(image))
    assert counter.frame_count == 1


SIZES = {
    "linear": {},
    "area": {"interpolation": "area"},
    "spline": {"interpolation": "spline3"},
    "constant": {"interpolation": "cubic", "border": "constant"},
    "wrapped": {"interpolation": "lanczos3", "border": "wrap"},
    "masked": {"mask": "nan", "return_weight": True},
    "weighted": {"weight": torch.linspace(0, 1, 12)[:, None]},
}


@pytest.mark.parametrize(("name", "dynamic"), [*((name, True) for name in SIZES), ("linear", False), ("masked", False)])
def test_resize(name, dynamic):
    """Tables are made inside of the operator: one graph serves all sizes."""

    def function(image):
        values = pb.resize(image, (image.shape[2] // 2, 7), **SIZES[name])
        return values[0] if isinstance(values, tuple) else values

    fast, counter = compiled(function, dynamic=dynamic)
    for batch, width in ((5, 23), (6, 31)) if dynamic else ((5, 23),):
        image = torch.rand(batch, 3, 12, width, requires_grad=True)
        ours, theirs = (call(image) for call in (fast, function))
        torch.testing.assert_close(ours, theirs)
        for one, other in zip(*(torch.autograd.grad(v.square().sum(), image) for v in (ours, theirs)), strict=True):
            torch.testing.assert_close(one, other)
    assert counter.frame_count == 1


def test_resize_by_factors_and_of_labels():
    def function(image, labels):
        return pb.resize(image, scale=(0.5, 1.3)), pb.resize(labels, scale=(0.5, 1.3), interpolation="label")

    fast, counter = compiled(function, dynamic=True)
    for height in (12, 17):
        leaves = torch.rand(2, 3, height, 23), torch.randint(0, 3, (2, 1, height, 23))
        for one, other in zip(fast(*leaves), function(*leaves), strict=True):
            torch.testing.assert_close(one, other)
    assert counter.frame_count == 1


@pytest.mark.parametrize("strict", [False, True])
def test_resize_exported(strict):
    class Half(torch.nn.Module):
        def forward(self, image):
            return pb.resize(image, scale=(0.5, 0.5), interpolation="area")

    image = torch.rand(2, 3, 12, 9)
    program = torch.export.export(Half(), (image,), strict=strict)
    torch.testing.assert_close(program.module()(image), Half()(image))
