"""The directive of figures that a reader can touch: ``{touch} NAME``, with a caption for body.

The page gets a still picture, which JavaScript replaces by the figure of ``_static/figures/NAME.mjs``. Readers without
JavaScript, and printers, keep the picture. Pictures are made by the library before each build, by :mod:`stills`.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import stills
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class touch(nodes.General, nodes.Element):  # noqa: N801 - nodes are named as their elements
    """A figure with a still picture, and a caption for child."""


class Touch(SphinxDirective):
    """Read the directive."""

    required_arguments = 1
    has_content = True
    option_spec = {"alt": directives.unchanged_required}  # noqa: RUF012 - as docutils declares it

    def run(self) -> list[nodes.Node]:
        """Return the figure's node."""
        name = self.arguments[0]
        if name not in stills.STILLS:
            raise self.error(f"there is no figure {name!r}; there are {', '.join(stills.STILLS)}")
        if "alt" not in self.options:
            raise self.error("tell in :alt: what the figure shows")
        figure = touch("", name=name, alt=self.options["alt"], ids=[f"figure-{name}"])
        figure += self.parse_content_to_nodes()
        return [figure]


def _visit(writer: Any, node: touch) -> None:
    page = writer.builder.get_relative_uri(writer.builder.current_docname, "index")
    static = page.rsplit("/", 1)[0] + "/_static" if "/" in page else "_static"
    name, alt = node["name"], escape(node["alt"], quote=True)
    writer.body.append(
        f'<figure class="touch" id="figure-{name}" data-figure="{name}">'
        f'<div class="touch-stage" role="group" aria-label="{alt}">'
        f'<img class="touch-still" src="{static}/stills/{name}.svg" alt="{alt}"></div><figcaption>'
    )


def _depart(writer: Any, node: touch) -> None:
    writer.body.append("</figcaption></figure>")


def _prepare(app: Sphinx) -> None:
    """Make the pictures and the data of the figures, which are copied into the site with the other static files."""
    made = Path(app.outdir).parent / "made"
    stills.make(made)
    app.config.html_static_path.append(str(made))


def _add_script(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    if doctree is not None and doctree.next_node(touch):
        app.add_js_file("figures/index.mjs", type="module")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the directive with Sphinx."""
    app.add_node(touch, html=(_visit, _depart))
    app.add_directive("touch", Touch)
    app.connect("builder-inited", _prepare)
    app.connect("html-page-context", _add_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
