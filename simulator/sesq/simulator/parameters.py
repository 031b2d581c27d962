"""Reads Content-Type and Content-Disposition of a header block, and checks the syntax of their parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import Message
from typing import NamedTuple
from urllib.parse import unquote

from sesq.simulator.encoded_words import readable
from sesq.simulator.errors import SesError
from sesq.simulator.file_names import check_extension

# A value in quotes, or without. Only a comment may stand between a value without quotes and the next `;`.
_PARAMETER = re.compile(
    r'\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))\s*(?:\([^()]*\)\s*)?', re.DOTALL
)
_ATOM = re.compile(r"[^\s;]+")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_COMMENT_OR_SPACE = re.compile(r"\([^()]*\)|\s+")
_FILE_NAMES = {"Content-Disposition": "filename", "Content-Type": "name"}

Parameter = tuple[str, str]


class ContentType(NamedTuple):
    """`kind`: in lower case; "" if there is none. `boundary`: of its parts; "" if it has none."""

    kind: str = ""
    boundary: str = ""


def read_content_type(headers: Message) -> ContentType:
    """Returns what a header block says of its body. Raises SesError(bad_request, not_imitated)."""
    found = ContentType()
    for header, name_of_file in _FILE_NAMES.items():
        if header not in headers:
            continue
        value = str(headers[header])
        parameters = list(_parameters(value))
        for name in _values(parameters, name_of_file):
            check_extension(readable(name))
        if header == "Content-Type":
            kind = _COMMENT_OR_SPACE.sub("", value.partition(";")[0]).lower()
            found = ContentType(kind, next(iter(_values(parameters, "boundary")), ""))
    return found


def _parameters(value: str) -> Iterator[Parameter]:
    """Yields names in lower case with their values, in order. Raises SesError(bad_request)."""
    position = value.find(";")
    while position >= 0:
        parameter = _PARAMETER.match(value, position + 1)
        position = parameter.end() if parameter else position + 1
        if parameter:
            yield parameter[1].lower(), _checked_value(parameter, value)
        position = value.find(";", position)


def _checked_value(parameter: re.Match[str], value: str) -> str:
    if parameter[2] is not None:
        return _ESCAPE.sub(r"\1", parameter[2])
    stray = _ATOM.match(value, parameter.end())
    if stray is not None and parameter[3]:
        raise SesError("bad_request", f"Expected ';', got \"{stray[0][:100]}\"")
    if stray is not None and stray[0].startswith('"'):
        raise SesError("bad_request", "Missing '\"'")
    return parameter[3]


def _values(parameters: list[Parameter], wanted: str) -> Iterator[str]:
    """Yields each value of a parameter: as it stands, and in RFC 2231's forms (`name*=`, `name*0=`, `name*1*=`)."""
    pieces: dict[int, str] = {}
    encoded = False
    for name, value in parameters:
        base, star, form = name.partition("*")
        if base != wanted:
            continue
        if not star:
            yield value
        elif not form:
            yield _in_its_charset(unquote(value, "latin-1"))
        else:
            pieces[_number(form)] = unquote(value, "latin-1") if form.endswith("*") else value
            encoded |= form.endswith("*")
    if pieces:
        whole = "".join(pieces[number] for number in sorted(pieces))
        yield _in_its_charset(whole) if encoded else whole


def _number(form: str) -> int:
    number = form.rstrip("*")
    if not re.fullmatch("[0-9]{1,4}", number):
        raise SesError(
            "not_imitated", f"A parameter that is called '*{form[:50]}': this simulator does not imitate it."
        )
    return int(number)


def _in_its_charset(value: str) -> str:
    """Decodes `charset'language'text`."""
    if value.count("'") < 2:
        return value
    charset, _, text = value.split("'", 2)
    try:
        return text.encode("latin-1", "replace").decode(charset or "latin-1", "replace")
    except (LookupError, ValueError):
        return value
