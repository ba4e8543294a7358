"""How Sphinx builds the site: `make docs`. Nothing is fetched while it builds."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER / "_ext"))
sys.path.insert(0, str(FOLDER.parent))

project = "midvision"
author = "the midvision authors"
copyright = "the midvision authors, MIT licence"
extensions = ["myst_parser", "sphinx.ext.autodoc", "generated_pages", "native_math"]
html_math_renderer = "mathml"
default_role = "code"
source_suffix = {".md": "markdown"}
exclude_patterns = ["_ext"]
nitpicky = False

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "none"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = "midvision"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
