"""A SendEmail request of SESv2 as a message. v1's SendEmail and SendRawEmail are put into the same shape first."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from sesq.simulator.addresses import bare_address
from sesq.simulator.attachments import check_attachments
from sesq.simulator.errors import SesError
from sesq.simulator.mail import MAX_RECIPIENTS, Mail
from sesq.simulator.members import items, mapping, name_in, text, texts
from sesq.simulator.mime import fill_from_headers, header_recipients
from sesq.simulator.tags import checked_tags
from sesq.simulator.templates import RenderingError, Template, Templates, inline, read_data, render

V1_MAX_BYTES = 10 * 1024 * 1024
V2_MAX_BYTES = 40 * 1024 * 1024
MAX_HEADERS = 15
MAX_HEADER = 996  # name and value together
# Headers that members of the request stand for. What SES does with them as headers of one's own is not known.
_OF_THE_REQUEST = ("from", "sender", "return-path", "to", "cc", "bcc", "reply-to", "subject")
_HEADER_NAME = re.compile(r"[!-9;-@A-~]{1,126}")
_HEADER_VALUE = re.compile(r"[ -~]{1,995}")


def read_send_email(
    body: Mapping[str, Any], source: bytes, templates: Templates, max_bytes: int = V2_MAX_BYTES
) -> Mail:
    """SesError(bad_request, too_long, unreadable, template). `source` is what is kept as the content."""
    content = mapping(body, "Content")
    kinds = [kind for kind in ("Simple", "Raw", "Template") if content.get(kind) is not None]
    if len(kinds) != 1:
        raise SesError("bad_request", "Exactly one of Simple, Raw and Template is needed in Content.")
    mail = Mail(
        sender=text(body, "FromEmailAddress"),
        tags=checked_tags((text(tag, "Name"), text(tag, "Value")) for tag in items(body, "EmailTags")),
        configuration_set=name_in(body, "ConfigurationSetName"),
        tenant=text(body, "TenantName") or None,
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
    _check_headers(part)
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
    """The rendered template of a Template content, or None where the data does not fit: accepted all the same."""
    mail.templated = True
    name = mail.template = templates.name_in(part)
    template = templates.get(name) if name else inline(mapping(part, "TemplateContent"))
    try:
        rendered = render(template, data)
    except RenderingError as error:
        mail.rendering_error = str(error)
        return None
    mail.subject = rendered.subject
    return rendered


def read_destination(mail: Mail, destination: Mapping[str, Any]) -> None:
    mail.to = texts(destination, "ToAddresses")
    mail.cc = texts(destination, "CcAddresses")
    mail.bcc = texts(destination, "BccAddresses")
    address(mail)


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


def check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise SesError("too_long", f"Message length is more than {max_bytes} bytes long: '{size}'.")


def _check_headers(part: Mapping[str, Any]) -> None:
    headers = items(part, "Headers")
    if len(headers) > MAX_HEADERS:
        raise SesError("bad_request", f"A message has at most {MAX_HEADERS} headers of its own.")
    for header in headers:
        name, value = text(header, "Name"), text(header, "Value")
        fits = len(name) + len(value) <= MAX_HEADER
        if not (fits and _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
            raise SesError("bad_request", f"Invalid header {name[:126]!r}.")
        if name.lower() in _OF_THE_REQUEST or name.lower().startswith("x-ses-"):
            raise SesError(
                "not_imitated", f"Headers: this simulator does not imitate what {name} does there."
            )
