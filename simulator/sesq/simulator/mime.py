"""Reads raw messages: what SES takes from their headers, and what it refuses. Parsing raises SesError only."""

from __future__ import annotations

import re
from email.message import Message

from sesq.simulator.addresses import header_addresses
from sesq.simulator.blocks import read_block
from sesq.simulator.encoded_words import readable
from sesq.simulator.errors import SesError
from sesq.simulator.mail import Mail
from sesq.simulator.options import options_of_headers
from sesq.simulator.ses_headers import CONFIGURATION_SET, MESSAGE_TAGS, TENANT, asked_for
from sesq.simulator.tags import header_tags
from sesq.simulator.walk import check_parts

MAX_LINE = 1000
_TOO_LONG_LINE = re.compile(rb"(?:\A|[\r\n])[^\r\n]{%d}" % (MAX_LINE + 1))


def check_form(raw: bytes) -> Message:
    """Checks the lines, headers and parts of a message. Returns its headers.

    Raises SesError(bad_request, not_imitated).
    """
    if _TOO_LONG_LINE.search(raw):
        raise SesError("bad_request", f"Line length exceeds {MAX_LINE}.")
    top = read_block(raw)
    check_parts(raw, top)
    return top.headers


def values(message: Message, name: str) -> list[str]:
    return [str(value) for value in message.get_all(name, [])]


def addresses(message: Message, name: str) -> list[str]:
    """Raises SesError(bad_request)."""
    found = values(message, name)
    if any(_open_quote(value) for value in found):
        raise SesError("bad_request", "Missing '\"'")
    return header_addresses(found)


def _open_quote(value: str) -> bool:
    return value.replace("\\\\", "").replace('\\"', "").count('"') % 2 == 1


def fill_from_headers(mail: Mail, raw: bytes) -> Message:
    """Takes from the headers of a raw message what the call has not given: sender, tags, configuration set and so on.

    Returns the headers. Raises SesError(bad_request, not_imitated).
    """
    message = check_form(raw)
    asked = asked_for(message)
    senders = addresses(message, "From")
    if not senders and mail.sender and mail.api != "smtp":
        senders = [mail.sender]
    if not senders:
        raise SesError("bad_request", "Missing required header 'From'.")
    if "To" in message and not "".join(values(message, "To")).strip():
        raise SesError("bad_request", "Empty required header 'To'.")
    others = [mail.sender] if mail.sender else []
    for name in ("Sender", "Return-Path"):
        others += addresses(message, name)
    mail.source, mail.sender = mail.sender, senders[0]
    mail.other_senders = [*senders[1:], *others, *mail.other_senders]
    mail.subject = readable(str(message.get("Subject", "")))
    mail.configuration_set = mail.configuration_set or asked.get(CONFIGURATION_SET)
    mail.tenant = mail.tenant or asked.get(TENANT)
    mail.options = {**options_of_headers(asked), **mail.options}
    # The call's tags replace the header's, which must be valid too. SES does not merge them.
    of_header = header_tags(asked.get(MESSAGE_TAGS, ""))
    mail.tags = mail.tags or of_header
    return message


def header_recipients(mail: Mail, message: Message) -> None:
    """Addresses a raw message by its own headers, as SES does without a Destination."""
    mail.to, mail.cc, mail.bcc = (addresses(message, name) for name in ("To", "Cc", "Bcc"))
