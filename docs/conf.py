"""Sphinx: `pip install -e '.[docs]' && sphinx-build -W -b html docs docs/_build`."""

from sim.version import __version__

project = "foretrain"
author = "the foretrain authors"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "examples/.ipynb_checkpoints"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
html_theme = "furo"
html_title = f"foretrain {release}"
suppress_warnings = ["misc.highlighting_failure"]
