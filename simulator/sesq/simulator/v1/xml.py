"""Writes answers of the query protocol."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from sesq.simulator.errors import WIRE, SesError
from sesq.simulator.http import Reply

_NAMESPACE = "http://ses.amazonaws.com/doc/2010-12-01/"
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def result_reply(action: str, result: Mapping[str, Any], request_id: str) -> Reply:
    """Writes a result: lists become `member` elements, mappings become elements with their names."""
    content = f"<{action}Result>{_element(result)}</{action}Result>"
    metadata = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
    xml = f'<{action}Response xmlns="{_NAMESPACE}">{content}{metadata}</{action}Response>'
    return Reply(200, xml.encode(), "text/xml")


def error_reply(error: SesError, request_id: str) -> Reply:
    wire = WIRE[error.kind]
    blame = "Sender" if wire.v1_status < 500 else "Receiver"
    message = f"<Message>{_text(error.message)}</Message>" if error.message is not None else ""
    xml = (
        f'<ErrorResponse xmlns="{_NAMESPACE}"><Error><Type>{blame}</Type><Code>{wire.v1_code}</Code>{message}</Error>'
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return Reply(wire.v1_status, xml.encode(), "text/xml")


def entries(values: Mapping[str, Any]) -> dict[str, Any]:
    """Makes a map as the query protocol writes it: entry, key, value."""
    return {"entry": _Repeated({"key": key, "value": value} for key, value in values.items())}


class _Repeated(list[Any]):
    """A list whose elements have its own name instead of `member`."""


def _element(value: Any) -> str:
    if isinstance(value, Mapping):
        return "".join(_named(name, inner) for name, inner in value.items())
    if isinstance(value, list):
        return "".join(f"<member>{_element(inner)}</member>" for inner in value)
    return _text(value)


def _named(name: str, value: Any) -> str:
    if isinstance(value, _Repeated):
        return "".join(f"<{name}>{_element(inner)}</{name}>" for inner in value)
    return f"<{name}>{_element(value)}</{name}>"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(_NOT_IN_XML.sub("\ufffd", str(value)))
