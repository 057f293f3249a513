"""Free-form deformations: SciPy's splines, on the extent of the output."""

from __future__ import annotations

import numpy as np
import pytest
from families import draw, lattice_points
from scipy.interpolate import BSpline

from pullback._plan import FRAMES
from pullback.transforms import Affine, Displacement, FreeForm


@pytest.mark.parametrize("ndim", [1, 2])
def test_free_form_is_scipys_spline(ndim):
    rng = np.random.default_rng(0)
    control, output = {1: ((7,), (20,)), 2: ((6, 9), (13, 31))}[ndim]
    transform = FreeForm(rng.normal(size=(*control, ndim)))
    values = transform.parameters
    for axis, (count, size) in enumerate(zip(control, output, strict=True)):
        # The inner cells, from 1 to count - 2, are the extent from -1/2 to size - 1/2.
        at = 1 + (np.arange(size) + 0.5) * (count - 3) / size
        knots = np.arange(-2, count + 2)
        values = BSpline(knots, values, 3, extrapolate=False, axis=axis)(at)
    np.testing.assert_allclose(transform.coordinates(output), lattice_points(output, "index") + values, atol=1e-12)


def test_free_form_meets_the_extent_of_the_output():
    """The value at the edges of the outermost pixels is that at the knots 1 and S - 2."""
    coefficients = np.array([[0.0], [6.0], [0.0], [0.0], [12.0], [0.0]])
    ends = FreeForm(coefficients)([[-0.5], [9.5]], shape=(10,))
    np.testing.assert_allclose(ends[:, 0], [-0.5 + 4.0, 9.5 + 8.0], atol=1e-12)


def test_free_form_goes_on_as_at_its_edge():
    coefficients = np.random.default_rng(0).normal(size=(4, 1))
    far = np.array([[-100.0], [100.0]])
    np.testing.assert_allclose(FreeForm(coefficients)(far, shape=(10,)) - far, coefficients[[0, -1]], atol=1e-12)


def test_free_form_becomes_a_displacement():
    transform = draw(FreeForm, 2, np.random.default_rng(0), (2,))
    for frame in FRAMES:
        field = transform.displacement((8, 9), frame)
        assert type(field) is Displacement
        np.testing.assert_allclose(
            field.coordinates((8, 9), frame), transform.coordinates((8, 9), frame), rtol=0, atol=1e-13
        )
    inverse = transform.displacement((8, 9)).inverse()
    points = lattice_points((8, 9), "index")[None]
    assert abs(transform.displacement((8, 9))(inverse(points)) - points).max() < 2e-6


def test_free_form_fit_continues_an_affine_map_and_needs_few_points():
    shape, control = (40, 30), (7, 8)
    rng = np.random.default_rng(0)
    source = rng.uniform(0, 30, (12, 2))
    affine = Affine([[1.1, 0.2, 1.0], [-0.1, 0.9, 2.0]])
    fitted = FreeForm.fit(source, affine(source), shape, control)
    points = lattice_points(shape, "index")
    # The normal equations have a condition number of some 1e10, and are refined.
    np.testing.assert_allclose(fitted(points, shape=shape), affine(points), atol=1e-8)
    one = FreeForm.fit(source[:1], source[:1] + 2.0, shape, control)
    np.testing.assert_allclose(one(source[:1], shape=shape), source[:1] + 2.0, atol=1e-8)
    line = np.linspace([3.0, 4.0], [30.0, 20.0], 5)
    along = FreeForm.fit(line, line + 0.1 * line, shape, control)
    np.testing.assert_allclose(along(line, shape=shape), 1.1 * line, atol=1e-8)
    assert abs(along.parameters).max() < 10
