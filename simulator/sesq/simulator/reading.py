"""Reads a SendEmail request of SESv2. v1's SendEmail and SendRawEmail are first put into the same shape."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from sesq.simulator.addresses import bare_address
from sesq.simulator.attachments import check_attachments
from sesq.simulator.blocks import check_once
from sesq.simulator.errors import SesError
from sesq.simulator.mail import MAX_RECIPIENTS, Mail
from sesq.simulator.members import items, mapping, name_in, text, texts
from sesq.simulator.mime import fill_from_headers, header_recipients
from sesq.simulator.options import check_options, options_of_call
from sesq.simulator.tags import given_tags
from sesq.simulator.templates import RenderingError, Template, Templates, inline, read_data, render
from sesq.simulator.written import of_simple, of_template

V1_MAX_BYTES = 10 * 1024 * 1024
V2_MAX_BYTES = 40 * 1024 * 1024
MAX_HEADERS = 15
MAX_HEADER = 996  # name and value together
# AWS's guide: "the following headers are disallowed as custom headers", since SES writes them itself.
_WRITTEN_BY_SES = frozenset(
    [
        "bcc",
        "cc",
        "content-disposition",
        "content-type",
        "date",
        "from",
        "message-id",
        "mime-version",
        "reply-to",
        "return-path",
        "subject",
        "to",
    ]
)
_HEADER_NAME = re.compile(r"[!-9;-@A-~]{1,126}")
_HEADER_VALUE = re.compile(r"[ -~]{1,995}")


def read_send_email(
    body: Mapping[str, Any], source: bytes, templates: Templates, max_bytes: int = V2_MAX_BYTES
) -> Mail:
    """Reads a request. `source`: what is kept as the content.

    Raises SesError(bad_request, not_imitated, too_long, unreadable, template).
    """
    content = mapping(body, "Content")
    kinds = [kind for kind in ("Simple", "Raw", "Template") if content.get(kind) is not None]
    if len(kinds) != 1:
        raise SesError("bad_request", "Exactly one of Simple, Raw and Template is needed in Content.")
    mail = Mail(
        sender=text(body, "FromEmailAddress"),
        tags=given_tags(items(body, "EmailTags")),
        configuration_set=name_in(body, "ConfigurationSetName"),
        tenant=text(body, "TenantName") or None,
        options=options_of_call(body),
        content=source,
    )
    feedback = name_in(body, "FeedbackForwardingEmailAddress")
    if feedback:
        mail.other_senders = [feedback]
    for reply_to in texts(body, "ReplyToAddresses"):
        bare_address(reply_to)
    if kinds[0] == "Raw":
        _read_raw(mail, mapping(content, "Raw"), body, max_bytes)
        return mail
    if not mail.sender:
        raise SesError("bad_request", "Missing required header 'From'.")
    check_size(len(source), max_bytes)
    part = mapping(content, kinds[0])
    _check_headers(part, templated=kinds[0] == "Template")
    check_attachments(items(part, "Attachments"))
    if kinds[0] == "Simple":
        _read_simple(mail, part)
    else:
        read_template(mail, part, templates, read_data(text(part, "TemplateData")))
    read_destination(mail, mapping(body, "Destination"))
    return mail


def _read_simple(mail: Mail, simple: Mapping[str, Any]) -> None:
    mail.subject = text(mapping(simple, "Subject"), "Data")
    parts = mapping(simple, "Body")
    if not mapping(parts, "Text") and not mapping(parts, "Html"):
        raise SesError("bad_request", "Body is missing.")
    for kind in ("Text", "Html"):
        text(mapping(parts, kind), "Data")
    mail.body_headers = of_simple(simple)


def _read_raw(mail: Mail, raw: Mapping[str, Any], body: Mapping[str, Any], max_bytes: int) -> None:
    try:
        data = base64.b64decode(text(raw, "Data"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SesError("unreadable", "Data is not base64.") from error
    check_size(len(data), max_bytes)
    mail.content, mail.raw = data, True
    headers = fill_from_headers(mail, data)
    if mapping(body, "Destination"):
        read_destination(mail, mapping(body, "Destination"))
    else:
        header_recipients(mail, headers)
        address(mail)


def read_template(
    mail: Mail, part: Mapping[str, Any], templates: Templates, data: Mapping[str, Any]
) -> Template | None:
    """Renders Template content; None if the data does not fit. Such a mail is accepted, and fails later."""
    mail.templated = True
    name = mail.template = templates.name_in(part)
    template = templates.get(name) if name else inline(mapping(part, "TemplateContent"))
    try:
        rendered = render(template, data)
    except RenderingError as error:
        mail.rendering_error = str(error)
        return None
    mail.subject = rendered.subject
    mail.body_headers = of_template(rendered.text, rendered.html, bool(items(part, "Attachments")))
    return rendered


def read_destination(mail: Mail, destination: Mapping[str, Any]) -> None:
    mail.to = texts(destination, "ToAddresses")
    mail.cc = texts(destination, "CcAddresses")
    mail.bcc = texts(destination, "BccAddresses")
    address(mail)


def address(mail: Mail) -> None:
    """Checks every address of a message, and fills in its recipients. Raises SesError(bad_request)."""
    given = mail.given_recipients()
    if not given:
        raise SesError("bad_request", "Missing required header 'To'.")
    if len(given) > MAX_RECIPIENTS:
        raise SesError("bad_request", f"Recipient count exceeds {MAX_RECIPIENTS}.")
    for sender in (mail.sender, *mail.other_senders):
        bare_address(sender)
    mail.recipients = [bare_address(recipient) for recipient in given]
    check_options(mail)


def check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise SesError("too_long", f"Message length is more than {max_bytes} bytes long: '{size}'.")


def _check_headers(part: Mapping[str, Any], templated: bool) -> None:
    headers = items(part, "Headers")
    if len(headers) > MAX_HEADERS:
        raise SesError("bad_request", f"A message has at most {MAX_HEADERS} headers of its own.")
    for header in headers:
        _check_header(text(header, "Name"), text(header, "Value"))
    check_once(text(header, "Name") for header in headers)
    if templated and any("{{" in text(header, "Value") for header in headers):
        raise SesError(
            "not_imitated", "Headers: this simulator does not imitate variables in the headers of a template."
        )


def _check_header(name: str, value: str) -> None:
    fits = len(name) + len(value) <= MAX_HEADER
    if not (fits and _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
        raise SesError("bad_request", f"Invalid header {name[:126]!r}.")
    lower = name.lower()
    if lower in _WRITTEN_BY_SES:
        raise SesError("bad_request", f"Header '{name}' is not allowed as a custom header.")
    if lower == "sender" or lower.startswith("x-ses-"):
        raise SesError("not_imitated", f"Headers: this simulator does not imitate what {name} does there.")
