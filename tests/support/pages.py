"""Reads the code on a page of the documentation, for tests that run it as a reader would."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def code_on(page: str, language: str = "python") -> list[str]:
    """Returns the blocks of that language, in their order. `page` is a path below docs."""
    text = (DOCS / page).read_text("utf-8")
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert blocks, f"{page} has no {language}"
    return blocks


def write_files(page: str, folder: Path) -> list[str]:
    """Writes each block that begins with `# name.py` to that file; joins blocks of one name. Returns the names."""
    files: dict[str, str] = {}
    for block in code_on(page):
        named = re.match(r"# (\S+\.py)\n", block)
        if named:
            files[named[1]] = files.get(named[1], "") + block + "\n\n"
    for name, code in files.items():
        (folder / name).write_text(code, "utf-8")
    return list(files)
