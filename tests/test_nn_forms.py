"""The forms of a spatial transformer: every family, several heads, several looks, limits, and what leaves Python."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from covering import covered

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import pullback as pb  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::pullback.nn.BackgroundWarning")

SPATIAL = {1: (11,), 2: (7, 12), 3: (4, 7, 5)}
each_family = pytest.mark.parametrize("family", pb.nn.FAMILIES)


@pytest.fixture(autouse=True)
def _repeatable():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def in_dimensions(family: str, ndim: int) -> None:
    if ndim not in pb.nn.FAMILIES[family].ndims:
        with pytest.raises(ValueError, match=f"is not there in {ndim}-D; give one of translation"):
            pb.nn.SpatialTransformer(nn.Flatten(), family, ndim=ndim)
        pytest.skip(f"{family} is not there in {ndim}-D, and says so")


def stirred(transformer: pb.nn.SpatialTransformer, image: torch.Tensor, size: float = 0.05):
    """Predict something else than the identity."""
    transformer(image)
    nn.init.normal_(transformer.head.linear.bias, std=size)
    return transformer


# ---- heads


class Watching(nn.Module):
    """Keeps what it was shown, and sees nothing in it."""

    def __init__(self):
        super().__init__()
        self.shown = []

    def forward(self, image):
        self.shown.append(image)
        return image.flatten(1)[:, :1]


@each_family
@pytest.mark.parametrize("size", [(10, 20), (16, 16), (20, 10)], ids=str)
def test_further_looks_see_what_the_output_would_show(family, size):
    """At the resolution of the image, whatever the form of the output."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 48), torch.linspace(-2, 2, 96), indexing="ij")
    image = torch.stack([torch.sin(2 * y + x), torch.cos(x - y)])[None]
    localization = Watching()
    transformer = pb.nn.SpatialTransformer(localization, family, size=size, features=1, steps=2, border="edge")
    nn.init.normal_(transformer.head.linear.bias, std=0.05)
    transformer(image)
    _, look = localization.shown
    transformer.steps = 1
    output = transformer(image)
    assert look.shape == image.shape
    # Read again at the places of the output's samples, in the frame that takes either for a square.
    again = pb.warp(look, pb.Affine.identity(2), size, frame="normalized", border="edge")
    # Two readings, off by an eighth of what the slope changes by from sample to sample: 0.2 where the image ends. A
    # look at other places is off by 0.5.
    torch.testing.assert_close(again[..., 2:-2, 2:-2], output[..., 2:-2, 2:-2], atol=3e-2, rtol=0)


@each_family
def test_a_batch_of_none(family):
    transformer = pb.nn.SpatialTransformer(nn.Flatten(), family, features=60, heads=2, steps=2).eval()
    assert transformer(torch.rand(0, 1, 6, 10)).shape == (0, 2, 1, 6, 10)


@pytest.mark.parametrize("family", [*pb.nn.FAMILIES.values(), pb.nn.thin_plate_spline(3), pb.nn.diffeomorphic(5, 4)])
def test_pickled_and_back(family):
    transformer = pb.nn.SpatialTransformer(pb.nn.ConvLocalization(1, (4,), 6), family, noise=0.05)
    back = pickle.loads(pickle.dumps(transformer))
    assert back.head.family.name == family.name
    image = torch.rand(2, 1, 9, 12)
    assert torch.equal(back(image), transformer(image))


@each_family
@pytest.mark.parametrize("ndim", [1, 2, 3], ids=lambda d: f"{d}d")
@pytest.mark.parametrize("steps", [1, 3])
def test_heads_are_transformers_of_their_own(family, ndim, steps):
    in_dimensions(family, ndim)
    image = torch.rand(2, 3, *SPATIAL[ndim])
    several = stirred(
        pb.nn.SpatialTransformer(nn.Flatten(), family, ndim=ndim, heads=2, steps=steps, border="edge"), image
    )
    warped, transforms = several(image, return_transform=True)
    assert warped.shape == (2, 2, 3, *SPATIAL[ndim])
    assert len(transforms) == len(several.predict(image)) == 2
    count = pb.nn.FAMILIES[family].count(ndim)
    for head in range(2):
        alone = stirred(pb.nn.SpatialTransformer(nn.Flatten(), family, ndim=ndim, steps=steps, border="edge"), image)
        with torch.no_grad():
            alone.head.linear.bias.copy_(several.head.linear.bias[head * count : (head + 1) * count])
        torch.testing.assert_close(warped[:, head], alone(image))


def test_outputs_may_follow_each_other_as_channels():
    image = torch.rand(2, 3, 7, 12)
    stacked = stirred(pb.nn.SpatialTransformer(nn.Flatten(), heads=3, size=(4, 5)), image)
    merged = pb.nn.SpatialTransformer(nn.Flatten(), heads=3, size=(4, 5), merge="channels")
    merged(image)
    merged.load_state_dict(stacked.state_dict())
    torch.testing.assert_close(merged(image), stacked(image).flatten(1, 2))


@pytest.mark.parametrize(
    ("heads", "spatial", "size", "tiles"),
    [
        (2, (8, 8), (8, 4), [(0, 8, 0, 4), (0, 8, 4, 8)]),
        (4, (8, 8), (4, 4), [(0, 4, 0, 4), (0, 4, 4, 8), (4, 8, 0, 4), (4, 8, 4, 8)]),
        (2, (12, 6), (6, 6), [(0, 6, 0, 6), (6, 12, 0, 6)]),
        (3, (8, 8), (4, 4), [(0, 4, 0, 4), (0, 4, 4, 8), (4, 8, 0, 4)]),
    ],
)
def test_tiles_are_what_slices_are(heads, spatial, size, tiles):
    """Of such a size that a tile keeps its pixels."""
    image = torch.rand(2, 1, *spatial)
    warped = pb.nn.SpatialTransformer(nn.Flatten(), size=size, heads=heads, pose="tiles")(image)
    for head, (top, bottom, left, right) in enumerate(tiles):
        torch.testing.assert_close(warped[:, head], image[:, :, top:bottom, left:right])


# ---- several looks


@each_family
def test_every_look_starts_as_the_identity(family):
    image = torch.rand(2, 1, 7, 12)
    warped = pb.nn.SpatialTransformer(nn.Flatten(), family, steps=3)(image)
    torch.testing.assert_close(warped, image, rtol=0, atol=1e-6)


def test_looks_compose_and_the_image_is_read_once():
    image = torch.rand(2, 1, 9, 9)
    transformer = stirred(pb.nn.SpatialTransformer(nn.Flatten(), "affine", steps=2, size=5), image)
    nn.init.normal_(transformer.head.linear.weight, std=0.02)
    warped, transform = transformer(image, return_transform=True)
    (first,) = transformer.head(image, (5, 5))
    (second,) = transformer.head(pb.warp(image, first, frame="centered"), (5, 5))
    torch.testing.assert_close(transform.matrix, (first @ second).matrix)
    torch.testing.assert_close(warped, pb.warp(image, first @ second, (5, 5), frame="centered"))


def test_each_look_corrects_what_the_last_has_left():
    """A localization that finds half of the way to a blob: what is left halves with every look."""
    axis = (torch.arange(32) - 15.5) / 16
    places = torch.tensor([[0.4, -0.2], [-0.5, 0.3]])
    distance = (axis[:, None] - places[:, 0, None, None]) ** 2 + (axis - places[:, 1, None, None]) ** 2
    image = torch.exp(-distance / 0.02)[:, None]

    class HalfWay(nn.Module):
        def forward(self, image):
            weights = image[:, 0] / image.sum((1, 2, 3), keepdim=True)[:, 0]
            return 0.5 * torch.stack([weights.sum(2) @ axis, weights.sum(1) @ axis], 1)

    for steps in (1, 2, 5):
        transformer = pb.nn.SpatialTransformer(HalfWay(), "translation", features=2, steps=steps)
        with torch.no_grad():
            transformer.head.linear.weight.copy_(torch.eye(2))
        left = places - transformer.predict(image).matrix[..., -1]
        torch.testing.assert_close(left, places * 0.5**steps, rtol=0, atol=2e-3)


# ---- limits


LIMITED = {
    "translation": {"translation": 0.3},
    "attention": {"scale": (0.5, 1.5), "translation": 0.3},
    "similarity": {"scale": (0.5, 1.5), "rotation": 30.0, "translation": 0.3},
    "affine": {"scale": (0.5, 1.5), "rotation": 30.0, "shear": 0.2, "translation": 0.3},
    "projective": {"perspective": 0.2, "translation": 0.3},
    "tps": {"displacement": 0.1},
    "free-form": {"displacement": 0.1},
    "diffeomorphic": {"displacement": 0.1},
}


@each_family
@pytest.mark.parametrize("ndim", [1, 2, 3], ids=lambda d: f"{d}d")
def test_limited_families_start_as_the_identity_with_slopes_of_one(family, ndim):
    in_dimensions(family, ndim)
    limit = LIMITED[family]
    shape = SPATIAL[ndim]
    image = torch.rand(2, 1, *shape)
    transformer = pb.nn.SpatialTransformer(nn.Flatten(), family, ndim=ndim, limit=limit)
    torch.testing.assert_close(transformer(image), image, rtol=0, atol=1e-6)

    build = pb.nn.FAMILIES[family].build
    count = pb.nn.FAMILIES[family].count(ndim)
    nothing = torch.zeros(1, count, dtype=torch.float64)

    def points(raw: torch.Tensor, limit: dict) -> torch.Tensor:
        return build(raw, shape, limit).coordinates(shape, "centered")

    loose = {quantity: (1e-3, 1e3) if quantity == "scale" else 1e3 for quantity in limit}
    slopes = [torch.func.jacfwd(lambda raw, b=b: points(raw, b))(nothing) for b in (limit, loose)]
    assert slopes[0].abs().amax() > 0
    torch.testing.assert_close(*slopes, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("ndim", [2, 3])
def test_no_number_leads_out_of_the_limits(sign, ndim):
    raw = sign * 50 * torch.rand(64, ndim * (ndim + 1), dtype=torch.float64)
    matrix = pb.nn.FAMILIES["affine"].build(raw, SPATIAL[ndim], LIMITED["affine"]).matrix
    linear, offset = matrix[..., :-1], matrix[..., -1]
    assert offset.abs().max() <= 0.3
    # A rotation times scales times shears: QR takes them apart.
    turn, rest = torch.linalg.qr(linear)
    signs = torch.diagonal(rest, dim1=-2, dim2=-1).sign()
    turn, rest = turn * signs[:, None, :], rest * signs[:, :, None]
    scale = torch.diagonal(rest, dim1=-2, dim2=-1)
    assert scale.min() >= 0.5 - 1e-9
    assert scale.max() <= 1.5 + 1e-9
    shear = rest / scale[..., None] - torch.eye(ndim, dtype=torch.float64)
    assert shear.abs().max() <= 0.2 + 1e-9
    cosine = torch.diagonal(turn, dim1=-2, dim2=-1).sum(-1)
    largest = math.radians(30) * (1 if ndim == 2 else math.sqrt(3))
    angle = torch.acos(((cosine - (ndim - 2)) / 2).clamp(-1, 1))
    assert angle.max() <= largest + 1e-6


def test_a_scale_may_be_limited_on_one_side_more_than_on_the_other():
    raw = torch.tensor([[-9.0, 0, 0], [9.0, 0, 0]])
    scale = pb.nn.FAMILIES["attention"].build(raw, (8, 8), {"scale": (0.9, 4.0)}).scale
    torch.testing.assert_close(scale, torch.tensor([0.9, 4.0]), rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("family", "limit", "message"),
    [
        ("translation", {"rotation": 3.0}, "translation has not; it can be limited in translation"),
        ("affine", {"scale": 2.0}, "'scale' of 2.0; give a pair"),
        ("affine", {"scale": (1.5, 2.0)}, "with 1 between"),
        ("affine", {"translation": 0.0}, "give a positive number, half sides"),
        ("affine", {"translation": (0.1, 0.2)}, "give a positive number, half sides"),
        ("tps", {"scale": (0.5, 2)}, "can be limited in displacement"),
    ],
)
def test_wrong_limits_are_refused(family, limit, message):
    with pytest.raises(ValueError, match=message):
        pb.nn.SpatialTransformer(nn.Flatten(), family, limit=limit)


# ---- families


def test_families_of_other_sizes():
    image = torch.rand(2, 1, 9, 9)
    for family, count in (
        (pb.nn.thin_plate_spline(3), 18),
        (pb.nn.free_form(5), 50),
        (pb.nn.diffeomorphic(6, steps=5), 72),
    ):
        transformer = pb.nn.SpatialTransformer(nn.Flatten(), family)
        torch.testing.assert_close(transformer(image), image, rtol=0, atol=1e-6)
        assert transformer.head.linear.out_features == count
    for make in (pb.nn.thin_plate_spline, pb.nn.free_form, pb.nn.diffeomorphic):
        with pytest.raises(ValueError, match=f"{make.__name__}: .* is 1; give a whole number"):
            make(1)


def test_control_points_of_splines_lie_on_the_edges_of_any_output():
    (spline,) = pb.nn.TransformHead("tps", 2, 3)(torch.zeros(1, 3), (10, 30))
    np.testing.assert_allclose(spline.control_points.min(0), [-1, -3])
    np.testing.assert_allclose(spline.control_points.max(0), [1, 3])


def test_diffeomorphisms_do_not_fold_where_free_forms_do():
    raw = 0.5 * torch.randn(4, 2 * 64, generator=torch.Generator().manual_seed(0))
    flow = pb.nn.diffeomorphic(8).build(raw, (32, 32), {})
    bend = pb.nn.free_form(8).build(2 * raw, (32, 32), {})
    assert (bend.folds((32, 32), "centered") > 0).all()
    assert (pb.nn.fold_penalty(bend, (32, 32)) > 0).all()
    penalty = pb.nn.fold_penalty(flow, (32, 32))
    assert penalty.max() < 0.2 * pb.nn.fold_penalty(bend, (32, 32)).min()
    assert (flow.folds() < 0.06 * bend.folds((32, 32), "centered")).all()


# ---- noise, trunks


def test_noise_starts_near_the_identity():
    image = torch.rand(2, 1, 9, 9)
    transform = pb.nn.SpatialTransformer(pb.nn.ConvLocalization(1), noise=0.05).predict(image)
    off = (transform.matrix - torch.eye(2, 3)).abs()
    assert 0 < off.max() < 0.3
    lazy = pb.nn.SpatialTransformer(nn.Flatten(), noise=0.05)
    lazy.predict(image)
    assert 0.03 < lazy.head.linear.weight.std() < 0.07
    with pytest.raises(ValueError, match="`noise` is -1"):
        pb.nn.SpatialTransformer(nn.Flatten(), noise=-1)


def test_a_shared_trunk_learns_from_both():
    trunk = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    transformer = pb.nn.SpatialTransformer(pb.nn.TrunkLocalization(trunk, 4, 8), noise=0.1)
    image = torch.rand(2, 1, 9, 9)
    (transformer(image).square().sum()).backward()
    of_localization = trunk[0].weight.grad.clone()
    assert of_localization.abs().max() > 0
    trunk.zero_grad()
    (trunk(transformer(image)).square().sum()).backward()
    assert not torch.allclose(trunk[0].weight.grad, of_localization)
    (group,) = pb.nn.localization_parameter_groups(nn.Sequential(transformer, trunk), lr=0.1)
    assert group["name"] == "localization"


# ---- out of Python


# Exporting takes seconds: each form once, and those families whose transforms are not exported in test_onnx.py.
@covered(
    family=["similarity", "tps", "free-form"],
    form={"plain": {}, "tiles": {"heads": 2, "merge": "channels", "pose": "tiles"}, "steps": {"steps": 2}},
    strength=1,
)
def test_export_to_onnx(family, form):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    transformer = pb.nn.SpatialTransformer(
        pb.nn.ConvLocalization(1, (4,), 6), family, size=(8, 9), noise=0.02, **form
    ).eval()
    image = torch.rand(2, 1, 10, 12)
    program = torch.onnx.export(transformer, (image,), dynamo=True, opset_version=20, verbose=False)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    np.testing.assert_allclose(found, transformer(image).detach().numpy(), rtol=0, atol=1e-5)


@each_family
def test_compiles_in_one_graph(family):
    transformer = pb.nn.SpatialTransformer(pb.nn.ConvLocalization(1, (4,), 6), family, noise=0.02)
    image = torch.rand(2, 1, 10, 12)
    expected = transformer(image)
    torch._dynamo.reset()  # graphs of other tests count towards its limit
    compiled = torch.compile(transformer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(image), expected)


@each_family
def test_state_dict_round_trip(family):
    image = torch.rand(2, 1, 7, 12)
    options = {"heads": 2, "steps": 2, "limit": LIMITED[family]}
    trained = stirred(pb.nn.SpatialTransformer(nn.Flatten(), family, **options), image)
    fresh = pb.nn.SpatialTransformer(nn.Flatten(), family, **options)
    fresh.load_state_dict(trained.state_dict())
    torch.testing.assert_close(fresh(image), trained(image), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 0}, "`heads` is 0"),
        ({"steps": 0}, "`steps` is 0"),
        ({"merge": "sum"}, "`merge` is 'sum'; give 'stack' or 'channels'"),
        ({"pose": "corners"}, "`pose` is 'corners'"),
    ],
)
def test_wrong_forms_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        pb.nn.SpatialTransformer(nn.Flatten(), **options)


@pytest.mark.parametrize("shape", [(12, 12), (12, 24)])
def test_a_constant_velocity_moves_by_so_many_half_sides(shape):
    """Of each axis, where a free-form deformation counts in half sides of the shortest."""
    vectors = torch.tensor([0.2, -0.1], dtype=torch.float64).repeat(64)[None]
    flow = pb.nn.diffeomorphic(8).build(vectors, shape, {})
    moved = flow.coordinates(shape, "centered") - torch.from_numpy(pb.Affine.identity(2).coordinates(shape, "centered"))
    wanted = torch.tensor([0.2, -0.1 * shape[1] / shape[0]], dtype=torch.float64)
    torch.testing.assert_close(moved[0, 3:9, 3:9], wanted.expand(6, 6, 2))
