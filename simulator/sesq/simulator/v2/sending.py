"""SendEmail of SESv2."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from sesq.simulator.addresses import bare_address
from sesq.simulator.errors import SesError
from sesq.simulator.mail import MAX_RECIPIENTS, Mail
from sesq.simulator.mime import fill_from_headers, header_recipients
from sesq.simulator.v2.router import Operation, Request

MAX_BYTES = 40 * 1024 * 1024
_TAG = re.compile(r"[A-Za-z0-9_.@-]{1,256}")


def send_email(request: Request) -> dict[str, Any]:
    return {
        "MessageId": request.account.send(
            lambda: read_send_email(request.body, request.source), len(request.source)
        )
    }


def read_send_email(body: Mapping[str, Any], source: bytes) -> Mail:
    """A SendEmail request as a message; SesError(bad_request, too_long, unreadable)."""
    content = _mapping(body, "Content")
    kinds = [kind for kind in ("Simple", "Raw") if content.get(kind) is not None]
    if len(kinds) != 1:
        raise SesError("bad_request", "Exactly one of Simple, Raw and Template is needed in Content.")
    mail = Mail(
        sender=text(body, "FromEmailAddress"),
        tags=read_tags(body.get("EmailTags")),
        configuration_set=text(body, "ConfigurationSetName") or None,
        content=source,
    )
    if kinds[0] == "Raw":
        _read_raw(mail, _mapping(content, "Raw"), body)
    else:
        _read_simple(mail, _mapping(content, "Simple"), body)
    address(mail)
    return mail


def _read_simple(mail: Mail, simple: Mapping[str, Any], body: Mapping[str, Any]) -> None:
    if not mail.sender:
        raise SesError("bad_request", "Missing required header 'From'.")
    mail.subject = text(_mapping(simple, "Subject"), "Data")
    parts = _mapping(simple, "Body")
    if not any(_mapping(parts, kind) for kind in ("Text", "Html") if kind in parts):
        raise SesError("bad_request", "Body is missing.")
    read_destination(mail, _mapping(body, "Destination"))


def _read_raw(mail: Mail, raw: Mapping[str, Any], body: Mapping[str, Any]) -> None:
    try:
        data = base64.b64decode(text(raw, "Data"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SesError("unreadable", "Data is not base64.") from error
    if len(data) > MAX_BYTES:
        raise SesError("too_long", f"Message length is more than {MAX_BYTES} bytes long: '{len(data)}'.")
    mail.content, mail.raw = data, True
    fill_from_headers(mail, data)
    if body.get("Destination"):
        read_destination(mail, _mapping(body, "Destination"))
    else:
        header_recipients(mail, data)


def read_destination(mail: Mail, destination: Mapping[str, Any]) -> None:
    mail.to = texts(destination, "ToAddresses")
    mail.cc = texts(destination, "CcAddresses")
    mail.bcc = texts(destination, "BccAddresses")


def address(mail: Mail) -> None:
    """Check every address of a message and fill in its recipients; SesError(bad_request)."""
    given = mail.given_recipients()
    if not given:
        raise SesError("bad_request", "Missing required header 'To'.")
    if len(given) > MAX_RECIPIENTS:
        raise SesError("bad_request", f"Recipient count exceeds {MAX_RECIPIENTS}.")
    for sender in (mail.sender, *mail.other_senders):
        bare_address(sender)
    mail.recipients = [bare_address(recipient) for recipient in given]


def read_tags(value: Any) -> dict[str, str]:
    """[{Name, Value}] as a mapping; SesError(bad_request)."""
    tags: dict[str, str] = {}
    for tag in value or ():
        name, content = text(tag, "Name"), text(tag, "Value")
        if not _TAG.fullmatch(name) or not _TAG.fullmatch(content):
            raise SesError("bad_request", f"Invalid tag {name!r}: {content!r}.")
        tags[name] = content
    return tags


def text(holder: Any, name: str) -> str:
    """A string member, or "" where it is missing; SesError(unreadable)."""
    if not isinstance(holder, Mapping):
        raise SesError("unreadable", f"The holder of {name} is not an object.")
    value = holder.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise SesError("unreadable", f"{name} is not a string.")
    return value


def texts(holder: Mapping[str, Any], name: str) -> list[str]:
    value = holder.get(name) or []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise SesError("unreadable", f"{name} is not a list of strings.")
    return value


def _mapping(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = holder.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise SesError("unreadable", f"{name} is not an object.")
    return value


OPERATIONS = (Operation("POST", "/v2/email/outbound-emails", "SendEmail", send_email, throttled=False),)
