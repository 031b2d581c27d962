"""Turns a page into text as a person sees it: one line for each block and each row, with targets of links and forms."""

from __future__ import annotations

import re
from html.parser import HTMLParser

BLOCKS = frozenset(
    [
        "p",
        "h1",
        "h2",
        "h3",
        "li",
        "tr",
        "dt",
        "form",
        "section",
        "table",
        "ul",
        "dl",
        "figure",
        "fieldset",
        "summary",
        "pre",
        "label",
        "div",
        "iframe",
        "br",
    ]
)
PARTS = frozenset({"header", "nav", "main"})
CELLS = frozenset({"td", "th", "dd"})


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.lines, self.line, self.inside, self.drawn = list[str](), "", 0, 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in BLOCKS or tag in PARTS:
            self._end()
        elif tag in CELLS:
            self.line += " | "
        self.inside += tag in PARTS
        self.drawn += tag == "svg"
        if tag == "form":
            self.line += f"({given.get('method', 'get')} {given.get('action', '')})"
        elif tag == "a":
            self.line += f" [{given.get('href')}] "
        elif tag in ("input", "button", "textarea", "select") and given.get("name") != "csrf":
            told = " ".join(str(given[name]) for name in ("name", "value") if given.get(name))
            self.line += f" <{told}{' checked' if 'checked' in given else ''}> "
        elif tag == "option":
            self.line += " *" if "selected" in given else " "
        elif tag == "iframe":
            self.line += f"iframe {given.get('src')}"

    def handle_endtag(self, tag: str) -> None:
        if tag in BLOCKS or tag in PARTS:
            self._end()
        self.inside -= tag in PARTS
        self.drawn -= tag == "svg"

    def handle_data(self, data: str) -> None:
        self.line += "" if self.drawn else data

    def _end(self) -> None:
        shown = re.sub(r"\s+", " ", self.line).strip(" |")
        if shown and self.inside:
            self.lines.append(shown)
        self.line = ""


def visible(page: str) -> list[str]:
    """Returns the lines of the page's header, navigation and main part."""
    reader = _Reader()
    reader.feed(page)
    return reader.lines
