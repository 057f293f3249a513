"""Pictures of the cards of the gallery: ``:img-top: thumbnail:PAGE`` shows what that page has glued as "thumbnail".

A page makes its picture in a cell of its own, tagged ``remove-cell``: ``glue("thumbnail", picture, display=False)``.
It is an output like any other, so it lies in the cache with the others, and comes out of it with them.
"""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path
from typing import Any

from docutils import nodes
from myst_nb.ext.glue.crossref import read_glue_cache
from PIL import Image, ImageOps
from sphinx.application import Sphinx
from sphinx.util import logging

SCHEME = "thumbnail:"
SIZE = 480, 320


class thumbnail(nodes.Element):  # noqa: N801 - nodes are named as their elements
    """The place of a picture that another page makes."""


def reserve_places(app: Sphinx, doctree: nodes.document) -> None:
    """Take the pictures of other pages away before Sphinx looks for their files."""
    folder = app.env.docname.rpartition("/")[0]
    for image in list(doctree.findall(nodes.image)):
        if image["uri"].startswith(SCHEME):
            page = f"{folder}/{image['uri'].removeprefix(SCHEME)}".lstrip("/")
            image.replace_self(thumbnail("", page=page, alt=image.get("alt", ""), classes=image["classes"]))


def fill_places(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the pictures in, when all pages have been executed."""
    for place in list(doctree.findall(thumbnail)):
        glued = read_glue_cache(app.env.mystnb_config.output_folder, place["page"]).get("thumbnail")
        if glued is None:
            logging.getLogger(__name__).warning("page %r glues no 'thumbnail'", place["page"], location=docname)
        if glued is None or app.builder.format != "html":
            place.parent.remove(place)
            continue
        path = Path(app.outdir, app.builder.imagedir, f"thumbnail-{place['page'].replace('/', '-')}.webp")
        write(base64.b64decode(glued["data"]["image/png"]), path)
        uri = os.path.relpath(path, Path(app.outdir, docname).parent)
        place.replace_self(nodes.image("", uri=uri, candidates={"*": uri}, alt=place["alt"], classes=place["classes"]))


def write(png: bytes, path: Path) -> None:
    """Write a picture at the size of a thumbnail: without its empty margins, and cut to shape."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.open(io.BytesIO(png)).convert("RGBA")
    ImageOps.fit(picture.crop(picture.getbbox()), SIZE).save(path, quality=85)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the steps with Sphinx; the first one before it collects images."""
    app.connect("doctree-read", reserve_places, priority=400)
    app.connect("doctree-resolved", fill_places)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
