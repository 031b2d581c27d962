"""Writes the page that a package index shows: README.md with links to the files of the released version."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

RELATIVE = re.compile(r"(!\[[^\]]*)?\]\((?!\w+:|#)")
"""The start of a Markdown link to a file of the project. The first group is there if the link is a picture."""


class PackagePage(MetadataHookInterface):
    """Sets `readme`. In a checkout, the links of README.md stay relative, so that they lead to the files there."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Adds the text of README.md with absolute links to the metadata."""
        source, tag = metadata["urls"]["Source"], f"v{metadata['version']}"

        def absolute(link: re.Match[str]) -> str:
            picture = link[1] or ""
            return f"{picture}]({source}/{'raw' if picture else 'blob'}/{tag}/"

        text = (Path(self.root) / "README.md").read_text("utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": RELATIVE.sub(absolute, text)}
