"""What users of other spatial transformers report, provoked: a naive one beside ours, on the same data."""

from __future__ import annotations

import warnings

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

import pullback as pb  # noqa: E402


@pytest.fixture(autouse=True)
def _repeatable():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


class Naive(nn.Module):
    """The transformer of many tutorials: a linear layer, six numbers, affine_grid and grid_sample with zero padding."""

    def __init__(self, features: int, start: str = "identity") -> None:
        super().__init__()
        self.linear = nn.Linear(features, 6)
        if start == "identity":
            nn.init.zeros_(self.linear.weight)
            with torch.no_grad():
                self.linear.bias.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]))

    def theta(self, image: torch.Tensor) -> torch.Tensor:
        return self.linear(image.flatten(1)).reshape(-1, 2, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        grid = functional.affine_grid(self.theta(image), image.shape, align_corners=False)
        return functional.grid_sample(image, grid, align_corners=False)


def ours(side: int, **options) -> pb.nn.SpatialTransformer:
    return pb.nn.SpatialTransformer(nn.Flatten(), features=side * side, **options)


def blobs(count: int, side: int = 16) -> torch.Tensor:
    """Bright blobs in random places on black."""
    places = torch.rand(count, 2) - 0.5
    axis = (torch.arange(side) + 0.5) * 2 / side - 1
    distance = (axis[:, None] - places[:, 0, None, None]) ** 2 + (axis - places[:, 1, None, None]) ** 2
    return torch.exp(-distance / 0.05)[:, None]


def minimise(model: nn.Module, loss, images: torch.Tensor, rate: float, steps: int) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model(images)).backward()
        optimizer.step()


def scales(matrix: torch.Tensor) -> torch.Tensor:
    """How far apart neighbouring pixels of the output are read: above one is zooming out."""
    return torch.linalg.det(matrix[..., :2]).abs().sqrt()


# ---- normalised data and zero padding


def normalised(images: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Data with mean 0 and deviation 1, and what their background has become."""
    mean, deviation = images.mean(), images.std()
    return (images - mean) / deviation, float(-mean / deviation)


def test_zooming_out_of_normalised_data_adds_no_frame():
    plain = blobs(8)
    data, background = normalised(plain)
    zoom = torch.tensor([[2.0, 0, 0], [0, 2.0, 0]])

    naive = Naive(256)
    transformer = ours(16, fill=background)
    with torch.no_grad():
        naive.linear.bias.copy_(zoom.flatten())
        transformer.head.linear.bias.copy_((zoom - torch.eye(2, 3)).flatten())
    expected = normalised_as(plain, pb.warp(plain, pb.Affine(zoom), frame="centered"))
    assert (naive(data) - expected).abs().max() > 0.25, "zeros beyond the image are brighter than its background"
    torch.testing.assert_close(transformer(data), expected, atol=1e-5, rtol=0)


def normalised_as(plain: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return (other - plain.mean()) / plain.std()


def test_a_loss_that_likes_zeros_makes_a_free_transformer_collapse_and_a_limited_one_not():
    """Zero is the mean of normalised data, and all that lies beyond a zero-padded image: the farther, the better."""
    data, background = normalised(blobs(64))

    def energy(warped: torch.Tensor) -> torch.Tensor:
        return warped.square().mean()

    naive, transformer = Naive(256), ours(16, fill=background, limit={"scale": (0.5, 2.0)})
    minimise(naive, energy, data, rate=0.05, steps=200)
    minimise(transformer, energy, data, rate=0.05, steps=200)
    assert scales(naive.theta(data)).max() > 4
    assert scales(transformer.predict(data).matrix).max() <= 2 + 1e-5


def test_area_change_holds_what_a_limit_would():
    data, background = normalised(blobs(64))
    transformer = ours(16, fill=background)
    optimizer = torch.optim.SGD(transformer.parameters(), lr=0.01)
    for _ in range(200):
        optimizer.zero_grad()
        warped, transform = transformer(data, return_transform=True)
        (warped.square().mean() + pb.nn.area_change(transform, (16, 16)).mean()).backward()
        optimizer.step()
    assert scales(transformer.predict(data).matrix).max() < 1.5


@pytest.mark.parametrize(
    ("offset", "options", "warned"),
    [
        (0.0, {}, False),
        (-0.42, {}, True),
        (-0.42, {"fill": -0.42}, False),
        (-0.42, {"border": "edge"}, False),
        (0.3, {"border": "reflect"}, False),
    ],
)
def test_a_background_that_is_not_fill_is_warned_of_once(offset, options, warned):
    data = blobs(4) + offset
    transformer = ours(16, **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            transformer(data)
    assert sum(issubclass(one.category, pb.nn.BackgroundWarning) for one in caught) == int(warned)


def test_the_background_is_looked_at_channel_by_channel_and_not_in_evaluation():
    data = torch.cat([blobs(4), blobs(4) - 1], 1)
    transformer = pb.nn.SpatialTransformer(nn.Flatten(), fill=[0.0, -1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        transformer(data)
        pb.nn.SpatialTransformer(nn.Flatten()).eval()(data)
    with pytest.warns(pb.nn.BackgroundWarning, match="is 2"):
        pb.nn.SpatialTransformer(nn.Flatten(), fill=[0.0, 2.0])(data + torch.tensor([2.0, 3.0])[:, None, None])


# ---- the first steps


def test_the_first_steps_do_not_throw_the_view_off_the_image():
    """The step that suits a classifier, on data of the size that unnormalised pixels have."""
    images, target = 10 * blobs(64), 10 * blobs(1)

    def distance(warped: torch.Tensor) -> torch.Tensor:
        return functional.mse_loss(warped, target.expand_as(warped))

    naive = Naive(256, start="random")
    minimise(naive, distance, images, rate=0.1, steps=20)
    with torch.no_grad():
        assert naive.theta(images).abs().max() > 10
        # How far it is thrown in 20 steps depends on the last bits of the first: 0 to 0.6 % in 14 runs.
        seen = naive(images).square().mean() / images.square().mean()
        assert seen < 0.05, "next to nothing of the images is seen any more"

    transformer = ours(16, transform="translation", limit={"translation": 1.0})
    groups = pb.nn.localization_parameter_groups(transformer, lr=0.1, scale=0.01)
    optimizer = torch.optim.SGD(groups)
    losses = []
    for _ in range(200):
        optimizer.zero_grad()
        loss = distance(transformer(images))
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        assert transformer.predict(images).matrix[..., -1].abs().max() <= 1
    # Such steps overshoot, so that a single loss depends on the last bits of the first: 0.3 to 0.8 of it.
    assert sum(losses[100:]) / 100 < 0.7 * losses[0]


# ---- a view that lies outside of the image


def test_a_view_outside_of_the_image_finds_its_way_back():
    axis = (torch.arange(16) + 0.5) / 8 - 1
    image = torch.exp(-(axis[:, None] ** 2 + axis**2))[None, None]
    naive = Naive(256)
    with torch.no_grad():
        naive.linear.bias[2] = 4.0
    naive(image).sub(image).square().sum().backward()
    assert all(parameter.grad.abs().max() == 0 for parameter in naive.parameters()), "the gradient is dead"

    transformer = ours(16, transform="translation", border="constant")
    with torch.no_grad():
        transformer.head.linear.bias[1] = 4.0
    optimizer = torch.optim.SGD([transformer.head.linear.bias], lr=0.2)
    for _ in range(200):
        optimizer.zero_grad()
        warped, transform = transformer(image, return_transform=True)
        loss = (warped - image).square().mean() + pb.nn.overhang(transform, (16, 16)).mean()
        loss.backward()
        optimizer.step()
    assert (transformer(image) - image).abs().max() < 0.05


# ---- images that are not square


def test_a_turned_disc_stays_round_on_images_of_any_shape():
    height, width = 32, 96
    y, x = torch.meshgrid(torch.arange(height) - 15.5, torch.arange(width) - 47.5, indexing="ij")
    disc = torch.exp(-(y**2 + x**2) / 30)[None, None]
    degrees = torch.tensor(40.0).deg2rad()
    turn = torch.stack([degrees.cos(), -degrees.sin(), degrees.sin(), degrees.cos()]).reshape(2, 2)

    def elongation(picture: torch.Tensor) -> float:
        weights = picture[0, 0].detach() / picture.sum()
        points = torch.stack([y, x], -1)
        covariance = torch.einsum("yx,yxi,yxj->ij", weights, points, points)
        low, high = torch.linalg.eigvalsh(covariance)
        return float(high / low)

    grid = functional.affine_grid(torch.cat([turn, torch.zeros(2, 1)], 1)[None], disc.shape, align_corners=False)
    assert elongation(functional.grid_sample(disc, grid, align_corners=False)) > 3

    transformer = pb.nn.SpatialTransformer(nn.Flatten(), "similarity", features=height * width)
    with torch.no_grad():
        transformer.head.linear.bias[1] = degrees
    assert elongation(transformer(disc)) == pytest.approx(1, abs=0.02)


# ---- strong downsampling


def test_fine_detail_is_averaged_and_not_picked():
    stripes = (torch.arange(64) // 2 % 2).float().expand(64, 64)[None, None].contiguous()
    grid = functional.affine_grid(torch.eye(2, 3)[None], (1, 1, 8, 8), align_corners=False)
    shifted = functional.grid_sample(stripes.roll(1, -1), grid, align_corners=False)
    assert (functional.grid_sample(stripes, grid, align_corners=False) - shifted).abs().max() > 0.4

    transformer = pb.nn.SpatialTransformer(nn.AdaptiveAvgPool2d(4), features=16, size=8, antialias=True, border="edge")
    for picture in (stripes, stripes.roll(1, -1)):
        inner = transformer(picture)[..., 1:-1, 1:-1]
        torch.testing.assert_close(inner, torch.full_like(inner, 0.5), atol=0.02, rtol=0)


# ---- half precision


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_does_not_move_the_picture(dtype):
    image = torch.randn(1, 1, 4, 1000).to(dtype)
    theta = torch.eye(2, 3, dtype=dtype)[None]
    naive = functional.grid_sample(
        image.float(), functional.affine_grid(theta, image.shape, align_corners=False).float(), align_corners=False
    )
    assert (naive - image.float()).abs().max() > 0.2

    transformer = pb.nn.SpatialTransformer(nn.AdaptiveAvgPool2d(4), features=16).to(dtype)
    assert torch.equal(transformer(image), image)


# ---- one image alone


def test_a_batch_of_one_trains():
    naive = nn.Sequential(nn.Flatten(), nn.Linear(256, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 6))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        naive(blobs(1))

    transformer = pb.nn.SpatialTransformer(pb.nn.ConvLocalization(1, (4, 4), 6, groups=2), noise=0.1)
    image = blobs(1)
    transformer(image).square().sum().backward()
    alone = [parameter.grad.clone() for parameter in transformer.parameters()]
    assert all(gradient.abs().max() > 0 for gradient in alone)
    # The same image twice gives twice the gradient: a picture does not see its neighbours in the batch.
    transformer.zero_grad()
    transformer(image.repeat(2, 1, 1, 1)).square().sum().backward()
    for parameter, gradient in zip(transformer.parameters(), alone, strict=True):
        torch.testing.assert_close(parameter.grad, 2 * gradient, rtol=1e-4, atol=1e-5)


# ---- looking twice


def test_looking_twice_does_not_blur():
    """A naive second transformer resamples what the first has resampled."""
    image = torch.rand(1, 1, 24, 24)
    first, second = pb.Affine.rotation(20.0), pb.Affine.rotation(-20.0)
    twice = pb.warp(pb.warp(image, first, frame="centered"), second, frame="centered")
    middle = (..., slice(7, -7), slice(7, -7))
    assert (twice - image)[middle].abs().mean() > 0.05

    class Turns(nn.Module):
        """Says 1 at first, and then -1."""

        said = 0

        def forward(self, image):
            self.said += 1
            return torch.full((len(image), 1), float(3 - 2 * self.said))

    transformer = pb.nn.SpatialTransformer(Turns(), "similarity", features=1, steps=2)
    with torch.no_grad():
        transformer.head.linear.weight[1] = torch.tensor(20.0).deg2rad()
    torch.testing.assert_close(transformer(image)[middle], image[middle], rtol=0, atol=1e-5)
