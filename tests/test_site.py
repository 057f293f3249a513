"""The site in a browser: figures show the library's numbers, and nothing spills, fails or comes from another host."""

import re

import numpy as np
import pytest
from browser import drag, figure, press, state, swipe

import pullback as pb

LINE = "tutorial/2-interpolation.html"
WIDTHS = {"phone": 360, "desktop": 1280}
SOURCE = re.compile(
    r"""<(?:script|img|source|iframe|video|audio)\b[^>]*?\ssrc\s*=\s*["']?(?P<src>[^"'\s>]+)"""
    r"""|<link\b(?=[^>]*?\srel\s*=\s*["'][^"']*(?:stylesheet|icon|preload))[^>]*?\shref\s*=\s*["']?(?P<href>[^"'\s>]+)""",
    re.IGNORECASE,
)


def check_line(shown):
    """Hold the figure `line` against the library."""
    values = np.array(shown["values"], float)
    assert shown["value"] == pytest.approx(pb.sample(values, [[shown["x"]]])[0], abs=1e-12)
    ones = np.eye(len(values))[shown["left"]], np.eye(len(values) + 1)[shown["left"] + 1]
    assert shown["weights"] == pytest.approx([pb.sample(one, [[shown["x"]]])[0] for one in ones], abs=1e-12)


def test_the_line_is_the_librarys(open_page):
    page = open_page(LINE)
    start = state(page, "line")
    check_line(start)
    for dx in (170, -60, -1000, 2000):
        drag(page, "line", "sample point", dx, 0)
        check_line(state(page, "line"))
    assert state(page, "line")["x"] == len(start["values"]) - 1


def test_the_line_follows_a_finger(open_page):
    page = open_page(LINE, has_touch=True, viewport={"width": 360, "height": 740})
    start = state(page, "line")["x"]
    swipe(page, "line", "sample point", 90, 0)
    assert state(page, "line")["x"] > start + 0.5
    check_line(state(page, "line"))


def test_the_line_follows_the_keys(open_page):
    page = open_page(LINE)
    x = state(page, "line")["x"]
    press(page, "line", "sample point", "ArrowRight", "ArrowRight", "Shift+ArrowRight", "ArrowLeft")
    assert state(page, "line")["x"] == pytest.approx(x + 11 * 0.05)
    assert "f(1.85)" in figure(page, "line").inner_text()
    check_line(state(page, "line"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_pages_fit_the_window(site, open_page, width, scheme):
    """At most a part of a page scrolls sideways, such as a table; the page never does. Its console stays silent."""
    assert site.pages
    for path in site.pages:
        page = open_page(path, viewport={"width": width, "height": 900}, color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        for box in page.locator("figure.touch").all():
            assert box.evaluate("f => f.scrollWidth <= f.clientWidth"), f"{path}: {box.get_attribute('id')}"


def test_without_javascript_the_pictures_stay(site, open_page):
    for path in site.pages:
        page = open_page(path, java_script_enabled=False)
        stills = page.locator("img.touch-still")
        assert stills.count() == page.locator("figure.touch").count() > 0
        for still in stills.all():
            assert still.is_visible()
            # Without scripts in the page, the picture's own size tells that it was found and could be read.
            box = still.bounding_box()
            assert box["width"] > 200, still.get_attribute("src")
            assert box["height"] > 100, still.get_attribute("src")
            assert still.get_attribute("alt")


def test_nothing_comes_from_another_host(site):
    foreign = []
    for path in site.html:
        for found in SOURCE.finditer((site.folder / path).read_text()):
            source = found["src"] or found["href"]
            if re.match(r"(?:https?:)?//", source):
                foreign.append(f"{path}: {source}")
    assert len(site.html) > 2
    assert not foreign
