"""A small batch: the rows of a CSV, rendered with a template folder (subject.txt, body.txt, body.html)."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined, select_autoescape
from jinja2.sandbox import SandboxedEnvironment

from sesq.producer import Message
from sesq.queue.states import Lane


def newsletter(folder: Path, rows: Path, sender: str) -> Iterator[Message]:
    """One bulk message a row. A variable that the row does not have is an error (jinja2's UndefinedError)."""
    templates = SandboxedEnvironment(
        loader=FileSystemLoader(folder),
        autoescape=select_autoescape(["html"], default=False),
        undefined=StrictUndefined,
    )
    subject, text, html = (templates.get_template(name) for name in ("subject.txt", "body.txt", "body.html"))
    with rows.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield Message(
                sender=sender,
                to=row["email"],
                subject=subject.render(row),
                text=text.render(row),
                html=html.render(row),
                lane=Lane.BULK,
            )
