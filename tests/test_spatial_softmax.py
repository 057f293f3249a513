"""A spatial softmax gives the place where its heat map is warm, in the frame "centered", whatever the image's shape."""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import pullback as pb  # noqa: E402

SHAPES = [(9,), (12, 7), (7, 12), (5, 6, 9)]


def bright_spot(shape, place):
    image = torch.zeros(1, 1, *shape)
    image[(0, 0, *place)] = 1
    return image


def looking_for_brightness(ndim, heat=100.0):
    """One heat map that is the image, times a number."""
    localization = pb.nn.SpatialSoftmaxLocalization(1, (), 1, ndim=ndim)
    (convolution,) = localization.layers
    with torch.no_grad():
        convolution.weight.zero_()
        convolution.bias.zero_()
        convolution.weight[(0, 0, *[2] * ndim)] = heat
    return localization


def centered(shape, place):
    """Where a sample is, in half sides of the shortest axis from the middle."""
    return [(2 * at + 1 - side) / min(shape) for at, side in zip(place, shape, strict=True)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_feature_is_the_place_of_the_bright_spot(shape):
    localization = looking_for_brightness(len(shape))
    for place in itertools.product(*[(0, side // 2, side - 1) for side in shape]):
        # exp(-100) of a weight is left elsewhere.
        np.testing.assert_allclose(
            localization(bright_spot(shape, place)).detach()[0], centered(shape, place), atol=1e-6
        )


@pytest.mark.parametrize("shape", [(9,), (7, 11), (5, 9, 7)], ids=str)
def test_a_transformer_that_trusts_it_brings_the_spot_to_the_middle(shape):
    """The features are in the frame of the transforms."""
    ndim = len(shape)
    transformer = pb.nn.SpatialTransformer(looking_for_brightness(ndim), "translation", ndim=ndim)
    with torch.no_grad():
        transformer.head.linear.weight.copy_(torch.eye(ndim))
        read = transformer(bright_spot(shape, (0,) * ndim))
    assert read[(0, 0, *[side // 2 for side in shape])].item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("pool", [1, 2])
@pytest.mark.parametrize("side", [9, 16, 42, 45])
def test_with_pooling_it_is_the_middle_of_the_cell(side, pool):
    """Cells are of the image's samples, and the last one has what is left."""
    localization = pb.nn.SpatialSoftmaxLocalization(1, (1, 1), 1, ndim=1, pool=pool)
    with torch.no_grad():
        for convolution in (layer for layer in localization.layers if isinstance(layer, torch.nn.Conv1d)):
            convolution.weight.zero_()
            convolution.bias.zero_()
            convolution.weight[0, 0, 2] = 100.0
    cell = 4 * pool
    for spot in range(side):
        begin = spot // cell * cell
        end = min(begin + cell, side)
        found = localization(bright_spot((side,), (spot,))).item()
        assert found == pytest.approx((begin + end - side) / side, abs=1e-5)


def test_between_two_spots_it_is_their_mean():
    image = bright_spot((8, 8), (1, 2)) + bright_spot((8, 8), (5, 4))
    feature = looking_for_brightness(2)(image).detach()[0]
    np.testing.assert_allclose(feature, centered((8, 8), (3, 3)), atol=1e-6)


def test_maps_follow_each_other_and_each_has_every_axis():
    localization = pb.nn.SpatialSoftmaxLocalization(3, (8, 8), 5, pool=2, groups=4)
    features = localization(torch.randn(4, 3, 21, 34))
    assert features.shape == (4, 10)
    assert localization.features == 10
    # Means of places lie within the image.
    limit = torch.tensor([1.0, 34 / 21])
    assert (features.reshape(4, 5, 2).abs() <= limit).all()


def test_gradients_reach_every_layer():
    localization = pb.nn.SpatialSoftmaxLocalization(1, (4,), 2)
    localization(torch.randn(2, 1, 12, 12)).square().sum().backward()
    for name, parameter in localization.named_parameters():
        # A bias of the heat maps is the same for all places, and so is lost in the softmax.
        if name != "layers.3.bias":
            assert parameter.grad.abs().max() > 0, name


def test_positions_are_not_rounded_to_half_precision():
    localization = looking_for_brightness(2)
    with torch.autocast("cpu", torch.bfloat16):
        feature = localization(bright_spot((1, 301), (0, 299))).detach()[0]
    assert feature.dtype == torch.float32
    np.testing.assert_allclose(feature, centered((1, 301), (0, 299)), rtol=1e-6)


@pytest.mark.parametrize(
    ("argument", "value"),
    [("maps", 0), ("widths", (8, 0)), ("kernel_size", 4), ("ndim", 4), ("groups", 3), ("pool", 0)],
)
def test_what_is_out_of_range_is_refused(argument, value):
    with pytest.raises(ValueError, match=rf"SpatialSoftmaxLocalization: `{argument}` is"):
        pb.nn.SpatialSoftmaxLocalization(1, **{argument: value})
