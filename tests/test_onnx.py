"""torch.onnx.export of modules that warp: onnxruntime gives what we give."""

import numpy as np
import pytest
from covering import covered

import pullback as pb

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")


class Warp(torch.nn.Module):
    def __init__(self, build, shape=None, **options):
        super().__init__()
        self.build, self.shape, self.options = build, shape, options

    def forward(self, image, parameters):
        return pb.warp(image, self.build(parameters), self.shape, **self.options)


def hold(module, *inputs, operator=None, tolerance=1e-5, opset=20, written=20):
    """Export, run, compare; and look for an operator in the graph."""
    with torch.no_grad():
        wanted = module(*inputs)
    program = torch.onnx.export(module.eval(), inputs, dynamo=True, opset_version=opset, verbose=False)
    model = program.model_proto
    kinds = {node.op_type for node in model.graph.node}
    domains = {node.domain for node in model.graph.node}
    assert domains <= {"", "ai.onnx"}, domains
    assert [each.version for each in model.opset_import if each.domain in ("", "ai.onnx")] == [written]
    if operator is not None:
        assert ("GridSample" in kinds) == (operator == "GridSample")
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    (found,) = session.run(None, {name: value.numpy() for name, value in zip(names, inputs, strict=False)})
    np.testing.assert_allclose(found, wanted.numpy(), rtol=0, atol=tolerance)


IMAGE = torch.rand(2, 3, 11, 14, generator=torch.Generator().manual_seed(0))
MATRIX = torch.tensor([[0.913, 0.217, 1.031], [-0.107, 1.109, 0.713]])  # nothing lies half-way between samples
NEAR = torch.tensor([[0.9, 0.2, 0.1], [-0.1, 1.1, 0.07]])


# How an image is read, and the operator of the graph that does it. Of these graphs, some have many nodes.
MODES = {
    "linear": (dict(border="constant"), "GridSample"),
    "edge": (dict(border="edge"), "GridSample"),
    "reflect": (dict(border="reflect"), "GridSample"),
    "symmetric": (dict(border="symmetric"), "GridSample"),
    "cubic of PyTorch": (dict(interpolation=pb.Cubic(-0.75), border="edge"), "GridSample"),
    "nearest": (dict(interpolation="nearest"), "Gather"),
    "fill a channel, crop": (dict(fill=[0.1, 0.2, 0.3], extent="crop"), "Gather"),
}
FAMILIES = {
    "affine": (pb.Affine, NEAR),
    "batch": (pb.Affine, NEAR.repeat(2, 1, 1)),
    "translation": (pb.Translation, torch.tensor([0.2, -0.3])),
    "projective": (pb.Projective.from_parameters, torch.cat([NEAR, torch.tensor([[0.1, 0.2, 1.0]])])),
    "free-form": (pb.FreeForm, 0.3 * torch.rand(5, 6, 2)),
    "displacement": (pb.Displacement, 0.3 * torch.rand(9, 10, 2)),
}


# An export takes seconds, the more the larger its graph, so each of these occurs once; `make test-slow` has them all.
@covered(
    mode=MODES,
    family=FAMILIES,
    frame=["centered", "normalized", "normalized-corners"],
    strength=1,
    allowed=lambda mode, family, **_: mode[1] == "GridSample" or family is FAMILIES["affine"],
)
def test_modes_families_and_frames(mode, family, frame):
    (options, operator), (build, parameters) = mode, family
    hold(Warp(build, (9, 10), frame=frame, **options), IMAGE, parameters, operator=operator)


def test_the_index_frame_and_the_shape_of_the_image():
    hold(Warp(pb.Affine), IMAGE, MATRIX, operator="GridSample")


@pytest.mark.parametrize(
    ("interpolation", "border"),
    [
        ("linear", "wrap"),
        ("cubic", "edge"),
        ("spline3", "reflect"),
        ("lanczos3", "symmetric"),
        ("mitchell", "constant"),
    ],
)
@pytest.mark.parametrize("ndim", [1, pytest.param(2, marks=pytest.mark.slow)])  # graphs of many nodes
def test_what_is_read_tap_by_tap(interpolation, border, ndim):
    image, matrix = (IMAGE[:, :, 0], MATRIX[1:, 1:]) if ndim == 1 else (IMAGE, MATRIX)
    hold(Warp(pb.Affine, interpolation=interpolation, border=border), image, matrix, operator="Gather")


@covered(one_sided=[False, True], options=[dict(border="edge"), dict(), dict(border="edge", fill=0.5)], strength=1)
def test_a_horizon(one_sided, options):
    """Points beyond it are as where torch runs, and what is read from nowhere is `fill`, GridSample or not."""

    def build(matrix):
        return pb.Projective(matrix, one_sided)

    matrix = torch.tensor([[1.0, 0.1, 0.3], [0, 1, 0.2], [-0.3, -0.0117, 1]])  # no point is next to the horizon
    hold(Warp(build, **options), IMAGE, matrix, operator=None if options.get("fill") else "GridSample")
    horizon = torch.tensor([[1.0, 0, 0], [0, 1, 0], [-0.5, 0, 1]])
    hold(Warp(build, border="edge", fill=0.5), torch.ones(1, 1, 6, 3), horizon, operator="GridSample")


def test_a_volume():
    matrix = torch.eye(3, 4) + 0.1
    hold(Warp(pb.Affine), torch.rand(1, 2, 5, 6, 7), matrix, operator="Gather")


def test_a_spatial_transformer():
    localization = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(320, 8))
    hold(pb.nn.SpatialTransformer(localization), torch.rand(4, 1, 16, 20), operator="GridSample")


DYNAMIC = {
    "transformer": pb.nn.SpatialTransformer(pb.nn.ConvLocalization(1), size=(8, 9)),
    "warp": Warp(lambda _: pb.Affine.rotation(20), frame="centered"),
    "gathers": Warp(lambda _: pb.Affine.rotation(20), frame="centered", interpolation="cubic", fill=0.5),
}


@pytest.mark.parametrize("name", ["transformer", "warp", pytest.param("gathers", marks=pytest.mark.slow)])
def test_a_batch_of_another_size(name):
    images, others = (torch.rand(n, 1, 16, 20, generator=torch.Generator().manual_seed(n)) for n in (4, 7))
    module, given = DYNAMIC[name].eval(), (torch.zeros(1),) if name != "transformer" else ()
    batch = {0: torch.export.Dim("n", min=2, max=64)}
    program = torch.onnx.export(
        module, (images, *given), dynamo=True, dynamic_shapes=(batch, *({} for _ in given)), verbose=False
    )
    model = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    (found,) = session.run(None, {name: value.numpy() for name, value in zip(names, (others, *given), strict=True)})
    with torch.no_grad():
        np.testing.assert_allclose(found, module(others, *given).numpy(), rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("opset", [16, 17, 18, 19, 20, 21])
def test_every_opset(opset):
    """What is asked for, or, below the 18 that PyTorch's exporter begins with, 18."""
    hold(Warp(pb.Affine), IMAGE, MATRIX, operator="GridSample", opset=opset, written=max(opset, 18))


@pytest.mark.parametrize(
    "image", [torch.zeros(1, 8, 9, dtype=torch.complex64), torch.zeros(1, 8, 9, dtype=torch.uint8)]
)
def test_what_cannot_be_exported_is_named(image):
    module = Warp(pb.Affine, interpolation="linear" if image.is_complex() else "label")
    with pytest.raises(Exception) as caught:
        torch.onnx.export(module, (image, MATRIX), dynamo=True, verbose=False)
    said, error = "", caught.value
    while error is not None:
        said, error = said + str(error), error.__cause__ or error.__context__
    assert "cannot be exported" in said
