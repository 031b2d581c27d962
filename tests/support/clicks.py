"""Clicks through the console's pages, as a browser without scripts would, and counts the clicks."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import urljoin, urlsplit

FORM = re.compile(r"<form\b([^>]*)>(.*?)</form>", re.DOTALL)
BUTTON = re.compile(r"<button\b([^>]*)>(.*?)</button>", re.DOTALL)
INPUT = re.compile(r"<input\b([^>]*)>")
LINK = re.compile(r"<a\b([^>]*)>(.*?)</a>", re.DOTALL)
ATTRIBUTE = re.compile(r'([a-z-]+)="([^"]*)"')
TAG = re.compile(r"<[^>]+>")


class Clicker:
    """A visitor. `visit`: a browser on a running console. `text`: the text of the current page."""

    def __init__(self, visit: Any) -> None:
        self.visit = visit
        self.clicks = 0
        self.answer: Any = None

    def open(self, path: str) -> Clicker:
        """Opens a page by its address, which is no click."""
        return self._at(self.visit.get(path))

    def follow(self, label: str) -> Clicker:
        """Follows the link with this label."""
        (target,) = {
            _attributes(head)["href"] for head, inside in LINK.findall(self.page) if _said(inside) == label
        }
        self.clicks += 1
        return self._at(self.visit.session.get(self._path(target), timeout=20))

    def press(self, label: str, **chosen: Any) -> Clicker:
        """Presses the button with this label, in a form with these values too."""
        found = [
            (_attributes(head), inside, _attributes(button))
            for head, inside in FORM.findall(self.page)
            for button, said in BUTTON.findall(inside)
            if _said(said) == label
        ]
        assert found, f"no button {label!r}; there are {self.buttons}"
        form, inside, button = found[0]
        given = {
            each["name"]: each.get("value", "")
            for each in map(_attributes, INPUT.findall(inside))
            if each.get("type") == "hidden"
        }
        if "name" in button:
            given[button["name"]] = button.get("value", "")
        self.clicks += 1
        path = self._path(form["action"])
        if form.get("method") == "post":
            return self._at(self.visit.session.post(path, {**given, **chosen}, timeout=20))
        return self._at(self.visit.session.get(path, params={**given, **chosen}, timeout=20))

    @property
    def page(self) -> str:
        return str(self.answer.text)

    @property
    def text(self) -> str:
        return " ".join(html.unescape(TAG.sub(" ", self.page)).split())

    @property
    def where(self) -> str:
        """The path and query of the current page."""
        parts = urlsplit(self.answer.url)
        return parts.path.removeprefix("/accounts/default/") + (f"?{parts.query}" if parts.query else "")

    @property
    def buttons(self) -> list[str]:
        return [_said(said) for _, said in BUTTON.findall(self.page)]

    def _path(self, target: str) -> str:
        return urljoin(self.answer.url, target)

    def _at(self, answer: Any) -> Clicker:
        assert answer.status_code == 200, answer.text
        self.answer = answer
        return self


def _attributes(head: str) -> dict[str, str]:
    return {name: html.unescape(value) for name, value in ATTRIBUTE.findall(head)}


def _said(inside: str) -> str:
    return " ".join(html.unescape(TAG.sub(" ", inside)).split())
