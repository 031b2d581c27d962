"""A small template and rows for it, as files and as objects."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

from sesq.producer.batch import Template


def template(**parts: str) -> Template:
    """Makes a template with `{{ name }}` in the subject and the text."""
    return Template(
        **{"name": "news", "subject": "News for {{ name }}", "text": "Hello {{ name }}.", **parts}
    )


def write_template(folder: Path, **files: str) -> Path:
    """Writes the template as a folder. `body__html="…"` is the file body.html."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {
        "subject__txt": "News for {{ name }}",
        "body__txt": "Hello {{ name }}.",
        **files,
    }.items():
        (folder / name.replace("__", ".")).write_text(content)
    return folder


def write_rows(path: Path, addresses: Iterable[str], note_length: int = 0) -> Path:
    """Writes a CSV of addresses with names, and with notes of `note_length` random characters."""
    dice = random.Random(1)
    notes = (f"{dice.getrandbits(4 * note_length + 1):x}"[:note_length] for _ in iter(int, 1))
    lines = [f"{to},Person {number},{next(notes)}" for number, to in enumerate(addresses)]
    path.write_text("\n".join(["email,name,note", *lines, ""]))
    return path
