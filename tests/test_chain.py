"""Chains: what they simplify, their order, their batches, and their inverse."""

from __future__ import annotations

import numpy as np
import pytest
from families import OUTPUT, draw, lattice_points, leaves, points_of, smooth_field

from pullback.transforms import Affine, Chain, Displacement, FreeForm, ThinPlateSpline, Translation

torch = pytest.importorskip("torch")


def test_a_chain_multiplies_matrices_and_takes_chains_apart():
    field = draw(Displacement, 2, np.random.default_rng(0))
    a, b, c = Translation([1.0, 2.0]), Affine.scaling((2.0, 3.0)), Translation([4.0, 5.0])
    chain = Chain(Chain(a, b), Chain(c, field), a, b)
    assert [type(part) for part in chain.transforms] == [Affine, Displacement, Affine]
    np.testing.assert_array_equal(chain.transforms[0].matrix, (a @ b @ c).matrix)
    assert type(Chain.of(a, c)) is Translation
    assert Chain.of(field) is field
    assert type(Chain.of(a, field)) is Chain
    assert [x is y for x, y in zip(chain.parameters, (part.parameters for part in chain.transforms), strict=True)]


def test_a_chain_applies_the_last_transform_first():
    rng = np.random.default_rng(0)
    parts = [draw(family, 2, rng) for family in (ThinPlateSpline, Displacement, FreeForm)]
    points = points_of(OUTPUT[2], "index", rng)
    expected = points
    for part in reversed(parts):
        expected = part(expected, shape=OUTPUT[2])
    np.testing.assert_array_equal(Chain(*parts)(points, shape=OUTPUT[2]), expected)


@pytest.mark.parametrize("counts", [((), (3,)), ((3,), ()), ((1,), (3,)), ((3,), (1,)), ((1,), ())], ids=str)
def test_batches_broadcast_in_chains(counts):
    rng = np.random.default_rng(0)
    chain = Chain(*(draw(f, 2, rng, n) for f, n in zip((Displacement, ThinPlateSpline), counts, strict=True)))
    (count,) = chain.batch_shape
    assert count == max(n for (n,) in filter(None, counts))
    points = points_of(OUTPUT[2], "index", rng, (count, 4))
    grad = rng.normal(size=points.shape)
    parameters, tensor = leaves(chain), torch.tensor(points, requires_grad=True)
    mapped = chain.with_parameters(parameters)(tensor, shape=OUTPUT[2])
    np.testing.assert_allclose(chain(points, shape=OUTPUT[2]), mapped.detach(), atol=1e-12)
    assert chain.coordinates(OUTPUT[2]).shape == (count, *OUTPUT[2], 2)
    mapped.backward(torch.tensor(grad))
    grad_points, gradients = chain.points_vjp(points, grad, shape=OUTPUT[2])
    np.testing.assert_allclose(grad_points, tensor.grad, atol=1e-12)
    for own, leaf in zip(gradients, parameters, strict=True):
        assert own.shape == leaf.shape
        np.testing.assert_allclose(own, leaf.grad, atol=1e-12)


def test_a_chain_has_the_inverse_of_its_parts():
    shape = (20, 22)
    field = Displacement(smooth_field(shape, 0.5, np.random.default_rng(0)))
    turn = Affine.rotation(20, center=(9.5, 10.5))
    chain = Chain(turn, field)
    inverse = chain.inverse()
    assert [type(part) for part in inverse.transforms] == [Displacement, Affine]
    inner = lattice_points(shape, "index")[5:-5, 5:-5]
    np.testing.assert_allclose(inverse(chain(inner)), inner, rtol=0, atol=0.01)
    assert type(Chain(turn, turn).inverse()) is Affine


def test_a_chain_of_arrays_and_tensors_is_on_tensors():
    rng = np.random.default_rng(0)
    field = draw(Displacement, 2, rng)
    chain = Chain(Translation(torch.tensor([1.0, 2.0])), field)
    assert isinstance(chain.coordinates(OUTPUT[2]), torch.Tensor)
    assert all(isinstance(parameters, torch.Tensor) for parameters in chain.torch().parameters)
    assert all(isinstance(parameters, np.ndarray) for parameters in chain.numpy().parameters)
