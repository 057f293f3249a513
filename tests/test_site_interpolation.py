"""The figures about interpolation show the library's numbers, to the last digit of what is computed in doubles."""

import numpy as np
import pytest
from browser import click, control, drag, figure, press, state, swipe

import pullback as pb

TOLERANCE = 1e-9  # the same sums, in another order, of numbers below 10
NAMES = ("areas", "orders", "mapping", "kernels")
KERNELS = ("nearest", "linear", "cubic", "mitchell", "lanczos3", "bspline3", "spline3")
STEPS = 100  # pieces of a unit for the rule of midpoints
IMPULSE = np.eye(1, 81, 40)[0]  # long enough for the cardinal spline to fade


@pytest.fixture
def open_figure(site, open_page):
    """A function from the name of a figure, and options of a browser context, to its page."""
    return lambda name, **options: open_page(site.page_of(name), **options)


def set_slider(page, name, label, value):
    """Take a slider to a value, as a hand would, with an event."""
    slider = control(page, name, label)
    slider.evaluate("(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }", str(value))


def near(expected):
    return pytest.approx(np.asarray(expected, float), abs=TOLERANCE)


def check_areas(shown):
    """Hold the figure `areas` against the library: each area is what the library gives a sample of one among zeros."""
    samples, point = np.array(shown["samples"], float), [[shown["y"], shown["x"]]]
    cell = [(shown["top"] + i, shown["left"] + j) for i in (0, 1) for j in (0, 1)]
    assert shown["corners"] == [samples[corner] for corner in cell]
    weights = []
    for corner in cell:
        impulse = np.zeros_like(samples)
        impulse[corner] = 1
        weights.append(pb.sample(impulse, point)[0])
    assert shown["areas"] == near(weights)
    assert shown["products"] == near(np.multiply(weights, shown["corners"]))
    assert shown["sums"] == near(np.cumsum(shown["products"]))
    assert shown["value"] == near(pb.sample(samples, point)[0])
    assert shown["sums"][-1] == near(shown["value"])


def test_areas_are_the_librarys_weights(open_figure):
    page = open_figure("areas")
    check_areas(state(page, "areas"))
    for dx, dy in [(70, 30), (-150, 60), (2000, 2000), (-45, -31), (-3000, 0), (17, -3000)]:
        drag(page, "areas", "sample point", dx, dy)
        check_areas(state(page, "areas"))
    assert (state(page, "areas")["y"], state(page, "areas")["x"]) == (0, 0.2)


def test_areas_follow_keys_and_a_finger(open_figure):
    page = open_figure("areas", has_touch=True, viewport={"width": 360, "height": 740})
    y, x = state(page, "areas")["y"], state(page, "areas")["x"]
    press(page, "areas", "sample point", "ArrowRight", "ArrowDown", "ArrowDown", "Shift+ArrowRight")
    shown = state(page, "areas")
    assert (shown["y"], shown["x"]) == pytest.approx((y + 0.2, x + 1.1))
    assert f"{shown['value']:.2f}" in figure(page, "areas").inner_text()
    check_areas(shown)
    swipe(page, "areas", "sample point", -60, 50)
    assert state(page, "areas")["y"] > shown["y"] + 0.3
    check_areas(state(page, "areas"))


def check_orders(shown):
    """Hold the figure `orders` against the library: edges are lines, and both orders are bilinear interpolation."""
    corners, y, x = np.array(shown["corners"], float).reshape(2, 2), shown["y"], shown["x"]
    along = {"x": pb.sample(corners, [[0, x], [1, x]]), "y": pb.sample(corners, [[y, 0], [y, 1]])}
    then = "y" if shown["first"] == "x" else "x"
    assert shown["edges"] == near(along[shown["first"]])
    assert shown["otherEdges"] == near(along[then])
    value = pb.sample(corners, [[y, x]])[0]
    assert (shown["value"], shown["otherValue"]) == near([value, value])


def test_both_orders_give_the_librarys_value(open_figure):
    page = open_figure("orders")
    first = state(page, "orders")
    check_orders(first)
    click(page, "orders", "first along y, then x")
    second = state(page, "orders")
    assert second["first"] == "y"
    assert second["edges"] == first["otherEdges"]
    check_orders(second)
    for dx, dy in [(60, 40), (-20, 90), (1000, -1000)]:
        drag(page, "orders", "sample point", dx, dy)
        check_orders(state(page, "orders"))
    assert state(page, "orders")["value"] == first["corners"][1]
    press(page, "orders", "sample point", "ArrowLeft", "ArrowDown")
    click(page, "orders", "first along x, then y")
    check_orders(state(page, "orders"))
    assert (state(page, "orders")["y"], state(page, "orders")["x"]) == pytest.approx((0.1, 0.9))


def check_mapping(shown):
    """Hold the figure `mapping` against splat and warp."""
    picture, shape = np.array(shown["picture"]), (shown["side"],) * 2
    turn = pb.Affine.rotation(shown["angle"]) @ pb.Affine.scaling([shown["scale"]] * 2)
    assert shown["matrix"] == near(turn.matrix[:, :2])
    assert shown["inverse"] == near(np.linalg.inv(turn.matrix[:, :2]))
    middles = [[(n - 1) / 2] * 2 for n in (shape[0], len(picture))]
    transform = pb.Translation(middles[0]) @ turn @ pb.Translation(middles[1]).inverse()
    reverse = transform.inverse()

    # Half-way goes up in the figure; the library has to be told, where a cosine's last digit would decide.
    target = transform(np.stack(np.indices(picture.shape), -1).astype(float)) + 1e-9
    counts = pb.splat(np.ones_like(picture), target, shape, interpolation="nearest")
    source = reverse(np.stack(np.indices(shape), -1).astype(float))
    within = ((source > -1e-9) & (source < len(picture) - 1 + 1e-9)).all(-1)
    assert shown["holes"] == (within & (counts == 0)).sum()
    assert shown["overlaps"] == (counts > 1).sum()
    sent = np.array([[np.nan if value is None else value for value in row] for row in shown["forward"]])
    assert (np.isnan(sent) == (counts == 0)).all()
    alone = counts == 1
    assert sent[alone] == near(pb.splat(picture, target, shape, interpolation="nearest")[alone])
    order = np.arange(1.0, picture.size + 1).reshape(picture.shape)
    last = pb.splat(order, target, shape, interpolation="nearest", normalize="max", importance=order)
    assert sent[counts > 0] == near(picture.ravel()[last[counts > 0].astype(int) - 1])
    assert np.array(shown["reverse"]) == near(pb.warp(picture, reverse, shape))


@pytest.mark.parametrize(("angle", "scale"), [(0, 1), (0, 2), (25, 1.1), (-71, 0.8), (45, 1.6), (90, 1), (133, 0.5)])
def test_mapping_is_the_librarys(open_figure, angle, scale):
    page = open_figure("mapping")
    check_mapping(state(page, "mapping"))
    set_slider(page, "mapping", "angle", angle)
    set_slider(page, "mapping", "scale", scale)
    shown = state(page, "mapping")
    assert (shown["angle"], shown["scale"]) == (angle, scale)
    check_mapping(shown)
    if (angle, scale) == (0, 1):
        assert (shown["holes"], shown["overlaps"]) == (0, 0)
    if scale > 1.5:
        assert shown["holes"] > 50
    if scale == 0.5:
        assert shown["overlaps"] > 20


def test_mapping_follows_keys(open_figure):
    page = open_figure("mapping")
    before = state(page, "mapping")
    press(page, "mapping", "angle", "ArrowRight", "ArrowRight")
    press(page, "mapping", "scale", "ArrowLeft")
    after = state(page, "mapping")
    assert (after["angle"], after["scale"]) == pytest.approx((before["angle"] + 2, before["scale"] - 0.05))
    check_mapping(after)


def check_kernel(shown):
    """Hold the weights of the figure `kernels` against what the library makes of an impulse."""
    distances = shown["t"] - np.array(shown["taps"])
    expected = pb.sample(IMPULSE, (40 + distances)[:, None], interpolation=shown["kernel"])
    assert shown["weights"] == near(expected)
    assert shown["sum"] == near(expected.sum())


def gains(name):
    """Return the magnitude of the Fourier transform of the library's kernel, at the frequencies of the figure."""
    s = np.arange(-38, 38, 1 / STEPS) + 0.5 / STEPS
    kernel = pb.sample(IMPULSE, (40 + s)[:, None], interpolation=name)
    frequencies = np.arange(161) / 80
    return np.abs(np.cos(2 * np.pi * frequencies[:, None] * s) @ kernel) / STEPS


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_are_the_librarys(open_figure, kernel):
    page = open_figure("kernels")
    click(page, "kernels", kernel)
    shown = state(page, "kernels")
    assert shown["kernel"] == kernel
    check_kernel(shown)
    for dx in (37, -2000, 14, 2000):
        drag(page, "kernels", "offset", dx, 0)
        check_kernel(state(page, "kernels"))
    assert state(page, "kernels")["t"] == 0.99
    press(page, "kernels", "offset", *["Shift+ArrowLeft"] * 4, *["ArrowLeft"] * 9)  # half-way
    assert state(page, "kernels")["t"] == 0.5
    check_kernel(state(page, "kernels"))
    # The rule of midpoints is off by (pi f / STEPS)^2 / 6 of the gain for the box, the least smooth kernel: by 1.6e-4
    # up to a cycle a sample, and by 6.6e-4 of at most 0.22 above it.
    assert shown["response"] == pytest.approx(gains(kernel), abs=3e-4)
    assert shown["nyquist"] == shown["response"][40]


SPILL = """(figure) => {
  const boxed = (text) => [text.textContent, text.getBoundingClientRect()];
  const texts = [...figure.querySelectorAll("svg.touch-drawing text")].map(boxed);
  const room = figure.getBoundingClientRect();
  const wrong = [];
  texts.forEach(([text, a], k) => {
    const isInside = a.left >= room.left && a.right <= room.right && a.top >= room.top && a.bottom <= room.bottom;
    if (!isInside) wrong.push(`${text} spills`);
    for (const [other, b] of texts.slice(k + 1)) {
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      // Boxes of text are taller than digits: some of them may touch.
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (across > 0 && down > 3) wrong.push(`${text} on ${other}`);
    }
  });
  return wrong;
}"""
WAYS = {
    "areas": [("sample point", key) for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp")],
    "orders": [("sample point", key) for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp")],
    "mapping": [("angle", "End"), ("scale", "End"), ("scale", "Home"), ("angle", "Home")],
    "kernels": [("offset", "ArrowRight"), ("offset", "ArrowLeft")],
}
CHOICES = {"orders": ["first along y, then x", "first along x, then y"], "kernels": KERNELS}


@pytest.mark.parametrize("width", [340, 800, 1280])
@pytest.mark.parametrize("name", NAMES)
def test_text_never_lies_on_text(open_figure, name, width):
    page = open_figure(name, viewport={"width": width, "height": 900})
    for choice in CHOICES.get(name, [None]):
        if choice:
            click(page, name, choice)
        for label, key in WAYS[name]:
            for _ in range(6):
                press(page, name, label, f"Shift+{key}" if key.startswith("Arrow") and name != "orders" else key)
                assert figure(page, name).evaluate(SPILL) == [], state(page, name)
