"""Settings of the documentation's site: Sphinx reads the same Markdown, and warns of each link that leads nowhere.

The folder of the sources is the project's root, since pages link to files outside docs. `make docs` builds the site.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))

from reference_pages import write_reference

from sesq.config import __version__

project = "sesq"
author = "The sesq project"
release = __version__
extensions = ["myst_parser", "sphinx_external_toc", "sphinx.ext.autodoc"]
include_patterns = ["docs/**", "build/reference/**", "*.md"]
exclude_patterns = ["docs/examples/**", "docs/monitoring/**"]
external_toc_path = "docs/_toc.yml"
myst_heading_anchors = 4
suppress_warnings = ["misc.highlighting_failure"]  # settings of mail servers have no colours
autodoc_member_order = "bysource"
html_theme = "furo"
html_title = f"sesq {release}"


def setup(_app: Sphinx) -> None:
    """Writes the pages that come from the code before Sphinx looks for pages."""
    write_reference(Path(__file__).parents[1] / "build" / "reference")
