"""Spatial transformers: the identity at the start, gradients, precision, parameter groups, and that they learn."""

from __future__ import annotations

import copy
import io

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

import pullback as pb  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::pullback.nn.BackgroundWarning")

FAMILIES = {"translation": pb.Translation, "attention": pb.Similarity, "similarity": pb.Similarity, "affine": pb.Affine}
COUNTS = {"translation": (1, 2, 3), "attention": (2, 3, 4), "similarity": (2, 4, 7), "affine": (2, 6, 12)}
SPATIAL = {1: (11,), 2: (7, 12), 3: (4, 7, 5)}
each_family = pytest.mark.parametrize("family", FAMILIES)
each_ndim = pytest.mark.parametrize("ndim", [1, 2, 3], ids=lambda d: f"{d}d")


@pytest.fixture(autouse=True)
def _repeatable():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def small(channels: int = 1, ndim: int = 2) -> pb.nn.ConvLocalization:
    return pb.nn.ConvLocalization(channels, (4,), 6, kernel_size=3, grid=3, ndim=ndim)


# ---- the start


@each_ndim
@each_family
@pytest.mark.parametrize("batch", [1, 3])
def test_starts_as_the_identity(family, ndim, batch):
    image = torch.randn(batch, 2, *SPATIAL[ndim])
    warped, transform = pb.nn.SpatialTransformer(small(2, ndim), family, ndim=ndim)(image, return_transform=True)
    assert type(transform) is FAMILIES[family]
    assert transform.batch_shape == (batch,)
    torch.testing.assert_close(transform.matrix, torch.eye(ndim, ndim + 1).expand(batch, -1, -1), rtol=0, atol=0)
    torch.testing.assert_close(warped, image, rtol=0, atol=0)


@each_family
def test_any_module_may_localize(family):
    """Features of any shape, from a module that knows nothing of ours, with values of any size."""
    image = torch.randn(2, 1, 7, 12)
    localization = nn.Conv2d(1, 5, 3)
    nn.init.constant_(localization.weight, 100.0)
    warped = pb.nn.SpatialTransformer(localization, family)(image)
    torch.testing.assert_close(warped, image, rtol=0, atol=0)


@each_family
@each_ndim
def test_the_head_has_the_parameters_of_its_family(family, ndim):
    assert pb.nn.TransformHead(family, ndim, 5).linear.weight.shape == (COUNTS[family][ndim - 1], 5)


@pytest.mark.parametrize(("size", "shape"), [((5, 9), (5, 9)), (6, (6, 6)), (None, (7, 12))], ids=str)
def test_size_of_the_output(size, shape):
    image = torch.randn(2, 3, 7, 12)
    transformer = pb.nn.SpatialTransformer(small(3), size=size)
    warped = transformer(image)
    assert warped.shape == (2, 3, *shape)
    expected = pb.warp(image, pb.Affine.identity(2), shape, frame="centered")
    torch.testing.assert_close(warped, expected)


def test_the_transform_returned_is_the_one_applied():
    transformer = pb.nn.SpatialTransformer(small(), "similarity", border="edge", interpolation="nearest")
    nn.init.normal_(transformer.head.linear.weight)
    image = torch.randn(3, 1, 7, 12)
    warped, transform = transformer(image, return_transform=True)
    expected = pb.warp(image, transform, frame="centered", border="edge", interpolation="nearest")
    torch.testing.assert_close(warped, expected, rtol=0, atol=0)
    torch.testing.assert_close(transformer.predict(image).parameters, transform.parameters)
    assert (warped - image).abs().max() > 0.1


def test_rotation_of_a_non_square_image_is_rigid():
    transformer = pb.nn.SpatialTransformer(small(), "similarity", size=(12, 7), border="edge")
    with torch.no_grad():
        transformer.head.linear.bias[1] = torch.pi / 2
    image = torch.rand(1, 1, 7, 12)
    # The parameters are float32: positions are off by some roundings of a side of 12.
    torch.testing.assert_close(transformer(image), torch.rot90(image, 1, (2, 3)), rtol=0, atol=1e-5)


# ---- gradients and learning


@each_ndim
@each_family
def test_gradients_reach_image_head_and_localization(family, ndim):
    transformer = pb.nn.SpatialTransformer(small(1, ndim), family, ndim=ndim, border="edge")
    image = torch.randn(2, 1, *SPATIAL[ndim], requires_grad=True)

    transformer(image).square().sum().backward()
    linear = transformer.head.linear
    assert linear.bias.grad.abs().min() > 0
    assert image.grad.abs().max() > 0
    # A head of zeros passes no gradient on; its own first step is what opens the way.
    assert all(p.grad.abs().max() == 0 for p in transformer.localization.parameters())

    nn.init.normal_(linear.weight, std=0.1)
    transformer(image).square().sum().backward()
    assert all(p.grad.abs().max() > 0 for p in transformer.localization.parameters())


@each_family
def test_gradients_are_right(family):
    transformer = pb.nn.SpatialTransformer(nn.Flatten(), family, features=20, border="reflect").double()
    image = torch.rand(2, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    weight = (0.05 * torch.randn_like(transformer.head.linear.weight)).requires_grad_()

    def forward(image, weight):
        return torch.func.functional_call(transformer, {"head.linear.weight": weight}, (image,))

    assert torch.autograd.gradcheck(forward, (image, weight))


def blobs(count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Blobs at random places, and the places, in units of half a side."""
    places = torch.rand(count, 2, generator=generator) - 0.5
    axis = (torch.arange(16) - 7.5) / 8
    distance = (axis[:, None] - places[:, 0, None, None]) ** 2 + (axis - places[:, 1, None, None]) ** 2
    return torch.exp(-distance / 0.05)[:, None], places


@pytest.mark.parametrize("family", ["translation", "affine"])
def test_learns_to_undo_a_translation(family):
    generator = torch.Generator().manual_seed(0)
    transformer = pb.nn.SpatialTransformer(small(), family)
    target = torch.exp(-(((torch.arange(16) - 7.5) / 8) ** 2) / 0.05)
    target = target[:, None] * target
    optimizer = torch.optim.Adam(transformer.parameters(), lr=0.01)
    losses = []
    for _ in range(150):
        images, _ = blobs(32, generator)
        loss = functional.mse_loss(transformer(images), target.expand_as(images))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
    images, places = blobs(64, generator)
    found = transformer.predict(images).matrix[..., -1]
    # A tenth of the image's half side is 0.8 of a pixel.
    assert (found - places).abs().mean() < 0.1


# ---- precision


@each_family
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_leaves_the_transform_in_float32(family, dtype):
    transformer = pb.nn.SpatialTransformer(small(), family)
    nn.init.normal_(transformer.head.linear.weight, std=0.1)
    image = torch.rand(2, 1, 7, 12)
    with torch.autocast("cpu", dtype=dtype):
        features = transformer.localization(image)
        transform = transformer.predict(image)
        warped = transformer(image.to(dtype))
    assert features.dtype == dtype
    assert transform.parameters.dtype == transform.matrix.dtype == torch.float32
    assert warped.dtype == dtype
    # The same linear map of the same features by hand, without a rounding to half precision in it.
    linear = transformer.head.linear
    expected = functional.linear(features.float(), linear.weight, linear.bias)
    built = pb.nn.FAMILIES[family].build(expected, (7, 12), {})
    torch.testing.assert_close(transform.matrix, built.matrix, rtol=1e-6, atol=1e-6)


def test_a_half_precision_model_predicts_in_float32():
    transformer = pb.nn.SpatialTransformer(small()).to(torch.bfloat16)
    warped, transform = transformer(torch.rand(2, 1, 7, 12, dtype=torch.bfloat16), return_transform=True)
    assert warped.dtype == torch.bfloat16
    assert transform.matrix.dtype == torch.float32


def test_a_double_precision_model_predicts_in_float64():
    transformer = pb.nn.SpatialTransformer(small()).double()
    warped, transform = transformer(torch.rand(2, 1, 7, 12, dtype=torch.float64), return_transform=True)
    assert warped.dtype == transform.matrix.dtype == torch.float64


# ---- as a module


@pytest.mark.parametrize("localization", [small, lambda: nn.Conv2d(1, 2, 3)], ids=["known features", "lazy"])
def test_state_dict_round_trip(localization):
    image = torch.randn(2, 1, 7, 12)
    trained = pb.nn.SpatialTransformer(localization())
    trained(image)
    nn.init.normal_(trained.head.linear.weight)
    file = io.BytesIO()
    torch.save(trained.state_dict(), file)
    file.seek(0)
    fresh = pb.nn.SpatialTransformer(localization())
    fresh.load_state_dict(torch.load(file, weights_only=True))
    torch.testing.assert_close(fresh(image), trained(image), rtol=0, atol=0)
    torch.testing.assert_close(copy.deepcopy(trained)(image), trained(image), rtol=0, atol=0)


@pytest.mark.parametrize("spatial", [(1, 1), (2, 9), (28, 28), (33, 50)], ids=str)
def test_conv_localization_takes_any_size(spatial):
    assert pb.nn.ConvLocalization(3)(torch.zeros(2, 3, *spatial)).shape == (2, 20)


def test_conv_localization_tells_where_a_thing_is():
    """What averages over the image, or sees no more than a channel's maximum, gives equal features."""
    localization = small()
    image = torch.zeros(2, 1, 16, 16)
    image[0, 0, 3, 3] = image[1, 0, 12, 12] = 1
    here, there = localization(image)
    assert (here - there).abs().max() > 1e-3


# ---- parameter groups


class Classifier(nn.Module):
    def __init__(self, transformer: nn.Module) -> None:
        super().__init__()
        self.transformer = transformer
        self.linear = nn.Linear(84, 10)

    def forward(self, image):
        return self.linear(self.transformer(image).flatten(1))


def grouped(model: nn.Module, **arguments) -> dict[str, dict]:
    groups = pb.nn.localization_parameter_groups(model, 0.5, **arguments)
    everything = [id(p) for group in groups for p in group["params"]]
    assert sorted(everything) == sorted({id(p) for p in model.parameters()})
    return {group["name"]: group for group in groups}


def test_localization_and_head_take_the_smaller_step():
    model = Classifier(pb.nn.SpatialTransformer(small()))
    groups = grouped(model, scale=0.25)
    assert (groups["model"]["lr"], groups["localization"]["lr"]) == (0.5, 0.125)
    assert {id(p) for p in groups["localization"]["params"]} == {id(p) for p in model.transformer.parameters()}
    assert {id(p) for p in groups["model"]["params"]} == {id(p) for p in model.linear.parameters()}


def test_every_transformer_is_found_and_shared_parameters_come_once():
    trunk = small()
    model = nn.ModuleList([trunk, pb.nn.SpatialTransformer(trunk), nn.Sequential(pb.nn.SpatialTransformer(trunk))])
    groups = grouped(model)
    assert list(groups) == ["localization"]
    assert len(groups["localization"]["params"]) == 4 + 2 + 2


def test_groups_without_a_transformer_and_of_one_itself():
    assert list(grouped(nn.Linear(2, 2))) == ["model"]
    assert list(grouped(pb.nn.SpatialTransformer(small()))) == ["localization"]


def test_lazy_parameters_can_be_grouped_before_they_exist():
    model = Classifier(pb.nn.SpatialTransformer(nn.Conv2d(1, 2, 3)))
    optimizer = torch.optim.AdamW(grouped(model).values())
    model(torch.randn(2, 1, 7, 12)).square().sum().backward()
    optimizer.step()
    assert model.transformer.head.linear.weight.abs().max() > 0


# ---- wrong input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pb.nn.SpatialTransformer(small(), "projectiv"), "`transform` is 'projectiv'; give one of translation"),
        (lambda: pb.nn.SpatialTransformer(small(), size=(3, 0)), r"`size` is \(3, 0\)"),
        (lambda: pb.nn.SpatialTransformer(small(), size=(3, 4), ndim=3), "3 spatial axes"),
        (lambda: pb.nn.SpatialTransformer(small(), ndim=4), "`ndim` of 1, 2 or 3"),
        (lambda: pb.nn.SpatialTransformer(small())(torch.zeros(1, 8, 8)), r"`image` has shape \(1, 8, 8\)"),
        (lambda: pb.nn.SpatialTransformer(nn.Flatten(0))(torch.zeros(2, 1, 8, 8)), "keep the batch"),
        (lambda: pb.nn.ConvLocalization(1, kernel_size=4), "`kernel_size` is 4"),
        (lambda: pb.nn.ConvLocalization(1, (8, 0)), "`widths` is"),
        (lambda: pb.nn.ConvLocalization(1, ndim=4), "`ndim` is 4"),
        (lambda: pb.nn.FullyConnectedLocalization((1, 8, 8), ()), "`widths` is empty"),
        (lambda: pb.nn.localization_parameter_groups(nn.Linear(1, 1), -1.0), "`lr` is -1.0"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_wrong_values_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
