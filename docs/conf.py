"""How the site is built: `make docs`."""

from __future__ import annotations

import logging
import os
import re
import sys
from pathlib import Path

from jupyter_client import KernelManager

HERE = Path(__file__).parent
# The tests' reader of imports draws the rooms.
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent / "tests")]

import pullback  # noqa: E402

project = "pullback"
author = "the pullback developers"
copyright = author
version = release = pullback.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx-mathjax-offline",
    "sphinx_copybutton",
    "sphinx_design",
    "house",
    "thumbnails",
    "touch",
]
exclude_patterns = ["_build", "_ext", "_static", "_templates", "**/.ipynb_checkpoints"]
templates_path = ["_templates"]
nitpicky = True

# Pages are notebooks in Markdown. What they compute is kept between builds; an error fails the build.
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_execution_show_tb = True
nb_merge_streams = True
# A warning in a page would show a reader paths of the machine that built it.
nb_output_stderr = "remove-warn"
# Kernels are talked to in cipher: every other one warns that it can be overheard.
KernelManager.transport_encryption.default_value = "auto"
logging.getLogger("traitlets").setLevel(logging.WARNING)
nb_render_markdown_format = "gfm"
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath", "attrs_inline", "attrs_block"]
myst_heading_anchors = 3
mathjax3_config = {"options": {"enableMenu": False}}

autodoc_typehints = "none"
autodoc_member_order = "groupwise"
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False

html_theme = "furo"
html_title = "pullback"
html_static_path = ["_static"]
html_favicon = "_static/icon.svg"
html_css_files = ["site.css", "figures/figures.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0f766e", "color-brand-content": "#0f766e"},
    "dark_css_variables": {"color-brand-primary": "#2dd4bf", "color-brand-content": "#2dd4bf"},
}
copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True

# Plots of the pages and of the still pictures look alike.
os.environ["MATPLOTLIBRC"] = str(HERE / "matplotlibrc")
# Warnings name paths; this one is about a widget that no page has.
os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"


def escape_stars(app, what, name, obj, options, lines):
    """Keep the star of ``(N, *S, d)`` in a numpydoc type from being read as the start of an emphasis."""
    for at, line in enumerate(lines):
        subject, colon, kind = line.partition("** : ")
        if colon:
            lines[at] = subject + colon + re.sub(r"(?<![*`\\])\*(?=[A-Za-z])", r"\\*", kind)


def setup(app):
    """Take part in the build."""
    app.connect("autodoc-process-docstring", escape_stars, priority=900)
