"""The documentation's site in a browser: fixtures, and hands for the figures that a reader can touch.

The tests that use them are skipped where Chromium, Playwright or the tools that build the site are not installed.
"""

import functools
import http.server
import importlib.util
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

DOCS = Path(__file__).parents[1] / "docs"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TOOLS = [
    "playwright",
    "sphinx",
    "myst_nb",
    "furo",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "skimage",
    "sklearn",
]
READY = (
    "[...document.querySelectorAll('figure.touch')].every(({ dataset }) => dataset.ready === 'yes' && dataset.state)"
)
# Folders without figures, which would only take time.
LEFT_OUT = ("gallery", "manual", "reference", "results", "_build", "_ext", "_static", "_templates")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, logs nothing, and has no icon for browsers that ask for one."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path == "/favicon.ico":
            self.send_response(204)
            self.end_headers()
        else:
            super().do_GET()


class Site:
    """The built site: its `folder`, its `address`, and the `pages` that have figures."""

    def __init__(self, folder, address):
        self.folder, self.address = folder, address
        self.html = sorted(page.relative_to(folder).as_posix() for page in folder.rglob("*.html"))
        self.pages = [page for page in self.html if '<figure class="touch"' in (folder / page).read_text()]

    def page_of(self, name):
        """Return the page that has the figure `name`."""
        found = [page for page in self.pages if f'id="figure-{name}"' in (self.folder / page).read_text()]
        assert found, f"no page has the figure {name!r}"
        return found[0]


@pytest.fixture(scope="session")
def site(made_once):
    """The site, built without executing its pages, and served."""
    missing = [tool for tool in TOOLS if importlib.util.find_spec(tool) is None]
    if missing:
        pytest.skip(f"the site needs {', '.join(missing)}, not installed")
    folder = made_once("site", build)
    handler = functools.partial(Quiet, directory=str(folder / "html"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Site(folder / "html", f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()


def build(folder):
    """Build the site."""
    settings = {"nb_execution_mode": "off", "autosummary_generate": "0", "exclude_patterns": ",".join(LEFT_OUT)}
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-q", "-d", str(folder / "doctrees")]
    command += [word for name, value in settings.items() for word in ("-D", f"{name}={value}")]
    built = subprocess.run([*command, str(DOCS), str(folder / "html")], capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stdout + built.stderr


# Playwright's event loop runs while the fixture lives: no longer than the module, for tests with loops of their own.
@pytest.fixture(scope="module")
def browser():
    """Chromium."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(site, browser):
    """A function from a path, and options of a browser context, to the page with its figures in place.

    After the test, nothing may have failed on any page, and nothing may have been asked of another host.
    """
    contexts, wrong = [], []

    def attend(page):
        page.on("console", lambda message: message.type == "error" and wrong.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url}"))
        page.on("response", lambda answer: answer.status >= 400 and wrong.append(f"{answer.status}: {answer.url}"))
        page.on("request", lambda asked: is_foreign(asked.url, site.address) and wrong.append(f"asked: {asked.url}"))

    def open_page(path, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        attend(page)
        page.goto(site.address + path)
        if options.get("java_script_enabled", True):
            page.wait_for_function(READY)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong, "\n".join(wrong)


def is_foreign(url, address):
    """Say whether a URL is fetched from a host other than that of the address."""
    return urlsplit(url).scheme in ("http", "https") and urlsplit(url).netloc != urlsplit(address).netloc


def figure(page, name):
    """Return the figure `name` of the page."""
    return page.locator(f"#figure-{name}")


def state(page, name):
    """Return what the figure `name` shows, as it publishes it."""
    return json.loads(figure(page, name).get_attribute("data-state"))


def control(page, name, label):
    """Return the handle or the slider that a screen reader calls `label`."""
    return figure(page, name).get_by_role("slider", name=label, exact=True)


def click(page, name, label):
    """Press the button that reads `label`."""
    figure(page, name).get_by_role("button", name=label, exact=True).click()


def place(page, name, label):
    """Return where the middle of a handle is in the window, x and y in pixels, once it is in sight."""
    grip = control(page, name, label)
    grip.scroll_into_view_if_needed()
    box = grip.locator(".touch-handle").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page, name, label, dx, dy):
    """Drag the handle `label` of the figure `name` by pixels with the mouse."""
    x, y = place(page, name, label)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx, y + dy, steps=3)
    page.mouse.up()


def swipe(page, name, label, dx, dy):
    """Drag the handle with a finger; the page's context must have been opened with ``has_touch=True``."""
    x, y = place(page, name, label)
    session = page.context.new_cdp_session(page)
    for kind, part in [("touchStart", 0), ("touchMove", 0.3), ("touchMove", 0.6), ("touchMove", 1), ("touchEnd", None)]:
        points = [] if part is None else [{"x": x + part * dx, "y": y + part * dy}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def press(page, name, label, *keys):
    """Press keys, one after another, on the handle or slider `label` of the figure `name`."""
    grip = control(page, name, label)
    grip.focus()
    for key in keys:
        grip.press(key)
