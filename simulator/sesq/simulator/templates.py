"""Stores templates, and fills in their `{{variables}}`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sesq.simulator.arns import read_arn
from sesq.simulator.errors import SesError
from sesq.simulator.json_text import read_json
from sesq.simulator.members import mapping, text

MAX_TEMPLATES = 20_000
MAX_TEMPLATE_BYTES = 500 * 1024
MAX_DATA = 262_144
_STEP = r"[^\W\d][\w-]*"
_PATH = rf"\s*({_STEP}(?:\.{_STEP})*)\s*"
_VARIABLE = re.compile(rf"(?<![\\{{])(?:\{{\{{\{{{_PATH}\}}\}}\}}|\{{\{{{_PATH}\}}\}})")
# Handlebars' helpers and literals, and the variable that SES fills in for contact lists.
_OF_HANDLEBARS = frozenset(
    {
        "amazonSESUnsubscribeUrl",
        "each",
        "else",
        "false",
        "if",
        "log",
        "lookup",
        "null",
        "this",
        "true",
        "undefined",
        "unless",
        "with",
    }
)
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Template(NamedTuple):
    subject: str
    text: str = ""
    html: str = ""
    created_at: float = 0.0
    tags: Sequence[Mapping[str, str]] = ()


class RenderingError(Exception):
    """The data does not fit the template. The message is accepted, and fails later."""


def render(template: Template, data: Mapping[str, Any]) -> Template:
    """Fills in each `{{a}}` and `{{a.b}}`. SES escapes nothing, so `{{{a}}}` is the same as `{{a}}`.

    Raises RenderingError for a missing value, SesError(not_imitated) for one that is neither text nor a plain number.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        return _written(name, _found(name, data))

    subject, plain, html = (_VARIABLE.sub(value, part) for part in template[:3])
    return Template(subject, plain, html, template.created_at)


def _found(name: str, data: Any) -> Any:
    for step in name.split("."):
        if data is not None and not isinstance(data, dict):
            raise _not_imitated(f"{{{{{name}}}}}", "members of a value that is not an object in TemplateData")
        data = data.get(step) if data else None
    if data is None:
        raise RenderingError(f"Attribute '{name}' is not present in the rendering data.")
    return data


def _written(name: str, value: Any) -> str:
    """Writes a value. Handlebars for Java and for JavaScript write values that are neither text nor plain numbers in
    different ways, so these are refused.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int)):
        return json.dumps(value)
    if isinstance(value, float) and value % 1 and "e" not in repr(value):
        return repr(value)
    raise _not_imitated(f"{{{{{name}}}}}", f"how {json.dumps(value)[:100]} is written in a template")


def inline(content: Mapping[str, Any]) -> Template:
    """Reads the TemplateContent of a send. Raises SesError(bad_request, not_imitated)."""
    template = Template(text(content, "Subject"), text(content, "Text"), text(content, "Html"))
    if not any(template[:3]):
        raise SesError("bad_request", "Template name, ARN or content is missing.")
    if any("{{#" in part for part in template[:3]):
        raise SesError("bad_request", "Template contains unsupported operations.")
    check_imitated(template)
    return template


def check_imitated(template: Template) -> None:
    """Raises SesError(not_imitated) for a template that has more than plain variables."""
    for part in template[:3]:
        own = next((each[0] for each in _VARIABLE.finditer(part) if _is_own(each[1] or each[2])), None)
        rest = _VARIABLE.sub(" ", part)
        if own or "{{" in rest:
            shown = own or rest[rest.index("{{") :].partition("}}")[0]
            raise _not_imitated(
                shown[:100], "more than plain variables in templates, such as {{a}} and {{a.b}}"
            )


def _is_own(name: str) -> bool:
    """Whether Handlebars takes a name for itself before it looks into the data."""
    first, *rest = name.split(".")
    return first in _OF_HANDLEBARS or first.startswith("else-") or "this" in rest


def _not_imitated(shown: str, what: str) -> SesError:
    return SesError("not_imitated", f"{shown}: this simulator does not imitate {what}.")


def read_data(given: str) -> dict[str, Any]:
    """Reads TemplateData, a JSON object as a string. Raises SesError(bad_request)."""
    if len(given) > MAX_DATA:
        raise SesError("bad_request", f"TemplateData is longer than {MAX_DATA} characters.")
    try:
        data = read_json(given or "{}")
    except (ValueError, RecursionError) as error:
        raise SesError("bad_request", "TemplateData is not valid JSON, or gives a name twice.") from error
    if not isinstance(data, dict):
        raise SesError("bad_request", "TemplateData is not a JSON object.")
    return data


class Templates:
    """The templates of one account in one region, by name."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._by_name: dict[str, Template] = {}

    def name_in(self, content: Mapping[str, Any]) -> str | None:
        """Returns the name of the stored template that Template content names, by name, by ARN or by both.

        Raises SesError(bad_request, not_imitated).
        """
        name, arn = text(content, "TemplateName"), text(content, "TemplateArn")
        named = read_arn(arn, self._region, ("template",)).name if arn else name
        if name and name != named:
            raise SesError("bad_request", "TemplateName and TemplateArn name different templates.")
        if named and mapping(content, "TemplateContent"):
            raise _not_imitated("TemplateContent", "what it does beside the name of a stored template")
        return named or None

    def names(self) -> list[str]:
        return sorted(self._by_name)

    def get(self, name: str) -> Template:
        """Raises SesError(template) if there is none."""
        template = self._by_name.get(name)
        if template is None:
            raise SesError("template", f"Template {name} does not exist.")
        return template

    def create(self, name: str, template: Template) -> None:
        """Raises SesError(already_exists, limit, bad_request, not_imitated)."""
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
        if not template.subject:
            raise SesError("bad_request", "The subject must be specified.")
        check_imitated(template)
        if sum(len(part.encode("utf-8", "replace")) for part in template[:3]) > MAX_TEMPLATE_BYTES:
            raise SesError("bad_request", f"The template is larger than {MAX_TEMPLATE_BYTES} bytes.")
        self._by_name[name] = template
