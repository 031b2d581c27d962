"""Stored templates, and the filling in of `{{variables}}`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sesq.simulator.errors import SesError

MAX_TEMPLATES = 20_000
MAX_TEMPLATE_BYTES = 500 * 1024
MAX_DATA = 262_144
_VARIABLE = re.compile(r"\{\{\{?([^{}]*)\}?\}\}")
# Blocks, partials, comments, conditions: Handlebars knows more than variables.
_MORE_THAN_VARIABLES = re.compile(r"\{\{~?\s*(?:[#/^>!&]|else\b)")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Template(NamedTuple):
    subject: str
    text: str = ""
    html: str = ""
    created_at: float = 0.0
    tags: Sequence[Mapping[str, str]] = ()


class RenderingError(Exception):
    """The data does not fit the template: the message is accepted all the same, and fails later."""


def render(template: Template, data: Mapping[str, Any]) -> Template:
    """Fill in each `{{a}}` and `{{a.b}}`; RenderingError names what is missing."""

    def value(match: re.Match[str]) -> str:
        found: Any = data
        name = match[1].strip()
        for step in name.split("."):
            if not isinstance(found, Mapping) or step not in found:
                raise RenderingError(f"Attribute '{name}' is not present in the rendering data.")
            found = found[step]
        return found if isinstance(found, str) else json.dumps(found)

    subject, text, html = (_VARIABLE.sub(value, part) for part in template[:3])
    return Template(subject, text, html, template.created_at)


def check_imitated(template: Template) -> None:
    """SesError(not_imitated) for a template of which more than variables would have to be rendered."""
    for part in template[:3]:
        found = _MORE_THAN_VARIABLES.search(part)
        if found is not None:
            raise SesError(
                "not_imitated", f"{found[0]}: this simulator does not imitate blocks in templates."
            )


def read_data(text: str) -> dict[str, Any]:
    """TemplateData, a JSON object as a string; SesError(bad_request)."""
    if len(text) > MAX_DATA:
        raise SesError("bad_request", f"TemplateData is longer than {MAX_DATA} characters.")
    try:
        data = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise SesError("bad_request", "TemplateData is not valid JSON.") from error
    if not isinstance(data, dict):
        raise SesError("bad_request", "TemplateData is not a JSON object.")
    return data


class Templates:
    """Those of one account in one region, by name."""

    def __init__(self) -> None:
        self._by_name: dict[str, Template] = {}

    def names(self) -> list[str]:
        return sorted(self._by_name)

    def get(self, name: str) -> Template:
        """SesError(template)."""
        template = self._by_name.get(name)
        if template is None:
            raise SesError("template", f"Template {name} does not exist.")
        return template

    def create(self, name: str, template: Template) -> None:
        """SesError(already_exists, limit, bad_request)."""
        if not _NAME.fullmatch(name):
            raise SesError("bad_request", f"Invalid template name {name!r}.")
        if name in self._by_name:
            raise SesError("already_exists", f"Template {name} already exists.")
        if len(self._by_name) >= MAX_TEMPLATES:
            raise SesError("limit", f"Maximum number of templates ({MAX_TEMPLATES}) reached.")
        self._store(name, template)

    def update(self, name: str, template: Template) -> None:
        known = self.get(name)
        self._store(name, template._replace(created_at=known.created_at, tags=known.tags))

    def delete(self, name: str) -> None:
        self.get(name)
        del self._by_name[name]

    def _store(self, name: str, template: Template) -> None:
        check_imitated(template)
        if sum(len(part.encode("utf-8", "replace")) for part in template[:3]) > MAX_TEMPLATE_BYTES:
            raise SesError("bad_request", f"The template is larger than {MAX_TEMPLATE_BYTES} bytes.")
        self._by_name[name] = template
