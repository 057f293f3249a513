"""The figures about transforms, `grid` and `descent`, show the library's numbers."""

import json

import numpy as np
import pytest
from browser import click, control, drag, figure, press, state, swipe

import pullback as pb

FAMILIES = {"affine": "affine", "projective": "projective", "spline": "thin-plate spline"}
THIRDS = np.stack(np.meshgrid(*2 * [[-1, -1 / 3, 1 / 3, 1]], indexing="ij"), -1).reshape(-1, 2)
SOURCES = {
    "affine": np.array([[0.0, 0], [1, 0], [0, 1]]),
    "projective": np.array([[-1.0, -1], [-1, 1], [1, -1], [1, 1]]),
    "spline": THIRDS,
}
HANDLES = {
    "affine": ["origin", "end of the y axis", "end of the x axis"],
    "projective": ["top left corner", "top right corner", "bottom left corner", "bottom right corner"],
    "spline": [f"point {row}, {column}" for row in range(1, 5) for column in range(1, 5)],
}
FITS = {"affine": pb.Affine.fit, "projective": pb.Projective.fit, "spline": pb.ThinPlateSpline.fit}
# Sums in another order, in double precision, of numbers up to 255.
CLOSE = {"rtol": 1e-9, "atol": 1e-8}

every_family = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture(scope="module")
def photo(site):
    image = pytest.importorskip("matplotlib.image")
    pixels = image.imread(site.folder / "_static/data/photo.png")[..., :3]
    return (pixels.astype(float) * 255).round()


@pytest.fixture(scope="module")
def lesson(site):
    torch = pytest.importorskip("torch")
    data = json.loads((site.folder / "_static/data/descent.json").read_text())
    return torch.tensor(data["input"], dtype=torch.float64), torch.tensor(data["target"], dtype=torch.float64)


def check_grid(page, photo):
    """Hold what `grid` shows against the library; return it."""
    shown = state(page, "grid")
    transform = FITS[shown["family"]](SOURCES[shown["family"]], shown["handles"])
    if shown["family"] == "spline":
        assert shown["energy"] == pytest.approx(float(transform.bending_energy()), rel=1e-9, abs=1e-9)
    else:
        matrix = transform.matrix if shown["family"] == "affine" else transform.matrix / transform.matrix[-1, -1]
        np.testing.assert_allclose(shown["parameters"], matrix, rtol=1e-6, atol=1e-9)
    probes = shown["probes"]
    samples, positions, values = (np.array([probe[key] for probe in probes]) for key in ("sample", "position", "value"))
    lattice = np.argwhere(np.ones((96, 96))).reshape(96, 96, 2)
    points = (lattice - 47.5) / 48
    np.testing.assert_allclose(positions, transform(points[tuple(samples.T)]), rtol=0, atol=1e-9)
    np.testing.assert_allclose(values, pb.sample(photo, positions, channel_axis=-1, frame="centered"), **CLOSE)
    warped = pb.warp(photo, transform, (96, 96), channel_axis=-1, frame="centered")
    # Maps with a matrix are fused into the kernel, which places a point within 1e-4 of a sample.
    np.testing.assert_allclose(values, warped[tuple(samples.T)], rtol=0, atol=0.03)
    # What is painted is rounded to integers.
    np.testing.assert_allclose(painted(page, "grid"), warped, rtol=0, atol=0.53)
    return shown


def painted(page, name):
    """Return red, green and blue on the canvas of the figure's output."""
    script = "c => [c.width, ...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
    width, *numbers = figure(page, name).locator("canvas[data-name=output]").evaluate(script)
    return np.array(numbers).reshape(-1, width, 4)[..., :3]


@every_family
def test_the_grid_is_the_librarys(site, open_page, photo, family):
    page = open_page(site.page_of("grid"))
    click(page, "grid", FAMILIES[family])
    start = check_grid(page, photo)
    assert start["family"] == family
    rng = np.random.default_rng(0)
    names = HANDLES[family] if family != "spline" else ["point 1, 1", "point 2, 3", "point 4, 2"]
    for name in names:
        before = state(page, "grid")["handles"]
        drag(page, "grid", name, *rng.integers(12, 40, 2).tolist())
        shown = check_grid(page, photo)
        changed = [k for k, (old, new) in enumerate(zip(before, shown["handles"], strict=True)) if old != new]
        # The origin takes the ends of the axes along.
        assert changed == ([0, 1, 2] if name == "origin" else [HANDLES[family].index(name)])
    click(page, "grid", "reset")
    shown = check_grid(page, photo)
    np.testing.assert_array_equal(shown["handles"], SOURCES[family])


@every_family
def test_a_handle_of_the_grid_follows_the_keys(site, open_page, photo, family):
    page = open_page(site.page_of("grid"))
    click(page, "grid", FAMILIES[family])
    before = np.array(state(page, "grid")["handles"])
    press(page, "grid", HANDLES[family][-1], "ArrowLeft", "ArrowLeft", "Shift+ArrowDown")
    after = np.array(check_grid(page, photo)["handles"])
    np.testing.assert_allclose(after[-1] - before[-1], [0.1, -0.02], atol=0.006)
    np.testing.assert_array_equal(after[:-1], before[:-1])


def test_handles_of_the_grid_stay_in_reach(site, open_page, photo):
    """However far they are dragged: the frame stays convex, and an affine grid is moved as a whole."""
    page = open_page(site.page_of("grid"))
    drag(page, "grid", "origin", -900, 700)
    assert np.abs(check_grid(page, photo)["handles"]).max() <= 1.2 + 1e-12
    click(page, "grid", "projective")
    drag(page, "grid", "top left corner", 500, 500)
    corners = np.array(check_grid(page, photo)["handles"])
    assert np.linalg.det(state(page, "grid")["parameters"]) > 0
    assert corners[0, 0] < corners[3, 0]


def test_the_grid_follows_a_finger(site, open_page, photo):
    page = open_page(site.page_of("grid"), has_touch=True, viewport={"width": 360, "height": 740})
    before = state(page, "grid")["handles"]
    swipe(page, "grid", "end of the x axis", 20, 30)
    after = check_grid(page, photo)["handles"]
    assert after[:2] == before[:2]
    assert after[2] != before[2]


def test_families_keep_their_handles(site, open_page):
    page = open_page(site.page_of("grid"))
    drag(page, "grid", "origin", 30, 20)
    before = state(page, "grid")
    click(page, "grid", "projective")
    assert control(page, "grid", "origin").count() == 0
    click(page, "grid", "affine")
    assert state(page, "grid") == before


def step(lesson, theta):
    """Return the library's loss at theta, and its gradient."""
    torch = pytest.importorskip("torch")
    picture, target = lesson
    theta = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
    loss = (pb.warp(picture, pb.Euclidean(theta[0], theta[1:]), frame="centered") - target).square().mean()
    (gradient,) = torch.autograd.grad(loss, theta)
    return loss.item(), gradient.numpy()


def check_descent(page, lesson):
    """Hold what `descent` shows against the library; return it."""
    torch = pytest.importorskip("torch")
    picture, target = lesson
    shown = state(page, "descent")
    loss, gradient = step(lesson, shown["theta"])
    np.testing.assert_allclose(shown["loss"], loss, rtol=1e-9)
    np.testing.assert_allclose(shown["gradient"], gradient, rtol=1e-7, atol=1e-10)
    assert shown["losses"][-1] == shown["loss"]
    assert len(shown["losses"]) == shown["step"] + 1

    # The arrows: slopes of the loss by the positions, in samples of the input.
    coordinates = centered_to_index(pb.Euclidean.from_parameters(np.array(shown["theta"])), len(picture))
    coordinates = torch.tensor(coordinates, requires_grad=True)
    output = pb.sample(picture, coordinates)
    (pull,) = torch.autograd.grad((output - target).square().mean(), coordinates)
    assert shown["longest"] == pytest.approx(pull.norm(dim=-1).max().item(), rel=1e-7)
    for probe in shown["probes"]:
        place = tuple(probe["sample"])
        np.testing.assert_allclose(probe["at"], coordinates[place].tolist(), atol=1e-12)
        np.testing.assert_allclose(probe["value"], output[place].item(), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(probe["pull"], pull[place].tolist(), rtol=1e-7, atol=1e-10)
    assert np.abs(painted(page, "descent")[..., 0] - 255 * output.detach().numpy()).max() <= 0.5 + 1e-6
    return shown


def centered_to_index(transform, side):
    """Return where `transform`, in the frame "centered", reads a square lattice, in samples."""
    middle, unit = (side - 1) / 2, side / 2
    points = np.argwhere(np.ones((side, side))).reshape(side, side, 2) - middle
    if not transform.parameters.any():
        return points + middle  # at the identity exactly on the samples, where slopes jump
    return middle + unit * transform(points / unit)


def test_descent_is_the_librarys(site, open_page, lesson):
    page = open_page(site.page_of("descent"))
    shown = check_descent(page, lesson)
    theta, losses = np.array(shown["theta"]), []
    for presses, label in [(3, "one step"), (2, "ten steps")]:
        for _ in range(presses):
            click(page, "descent", label)
            for _ in range(1 if label == "one step" else 10):
                loss, gradient = step(lesson, theta)
                losses.append(loss)
                theta = theta - shown["rate"] * gradient
            after = check_descent(page, lesson)
            # Rounding grows with each step, unless a point of the grid comes to lie on a sample.
            np.testing.assert_allclose(after["theta"], theta, rtol=0, atol=1e-9)
            np.testing.assert_allclose(after["losses"][:-1], losses, rtol=1e-7)
    assert after["step"] == 23
    assert after["loss"] < shown["loss"] / 10
    assert f"step 23: loss L = {after['loss']:.4f}" in figure(page, "descent").inner_text()
    click(page, "descent", "start again")
    assert check_descent(page, lesson) == shown


def test_descent_takes_the_step_size(site, open_page, lesson):
    page = open_page(site.page_of("descent"))
    press(page, "descent", "step size", "ArrowRight", "ArrowRight")
    start = check_descent(page, lesson)
    assert start["rate"] == pytest.approx(0.7)
    click(page, "descent", "one step")
    after = check_descent(page, lesson)
    np.testing.assert_allclose(after["theta"], np.array(start["theta"]) - 0.7 * np.array(start["gradient"]), atol=1e-15)


def test_descent_begins_where_the_grid_is_put(site, open_page, lesson):
    page = open_page(site.page_of("descent"), has_touch=True)
    click(page, "descent", "one step")
    drag(page, "descent", "middle of the grid", 25, -15)
    moved = check_descent(page, lesson)
    assert moved["step"] == 0
    assert moved["theta"][1] < 0 < moved["theta"][2]
    press(page, "descent", "turn of the grid", "ArrowDown", "ArrowDown")
    turned = check_descent(page, lesson)
    assert turned["theta"][0] > moved["theta"][0]
    assert turned["theta"][1:] == moved["theta"][1:]
    swipe(page, "descent", "turn of the grid", -20, -70)
    assert check_descent(page, lesson)["theta"][0] < 0
    click(page, "descent", "one step")
    assert check_descent(page, lesson)["step"] == 1
