"""The rules of SES and of mail for the parts of a message. Each check raises InvalidMessage with field and cure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from sesq.config.account_names import ACCOUNT_NAME, LONGEST_ACCOUNT_NAME
from sesq.config.errors import InvalidMessage
from sesq.queue.addresses import has_unsafe, shown, spec_of, wire_form
from sesq.queue.ids import is_id
from sesq.queue.states import Lane

MAX_RECIPIENTS = 50
"""To, Cc and Bcc of one message together (SES developer guide, "Service quotas")."""

MAX_MESSAGE_BYTES = 40 * 1024 * 1024
"""A whole mail with its parts in base64, by the v2 API or SMTP (same page; SES's error counts 1 MB as 1024 * 1024)."""

MAX_PARTS = 500
"""MIME parts of one mail (same page)."""

MAX_ATTACHMENTS = MAX_PARTS - 5
"""What is left beside text, HTML and the parts that contain them."""

MAX_LINE_LENGTH = 998
"""Bytes of a line in a raw mail, without its end (API reference, RawMessage: 1,000 with it)."""

MAX_KEY_LENGTH = 256
RESERVED_TAG = "sesq-id"
"""The tag by which feedback finds the message; sesq sets it."""

_is_tag = re.compile(r"[A-Za-z0-9_-]{1,255}").fullmatch
_is_ses_name = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch
_is_account = re.compile(ACCOUNT_NAME).fullmatch


def address_list(addresses: str | Iterable[str], field: str) -> tuple[str, ...]:
    """Returns the wire forms of one address or several."""
    if isinstance(addresses, str):
        return (wire_form(addresses, field),)
    try:
        return tuple([wire_form(address, field) for address in addresses])
    except TypeError as error:
        raise InvalidMessage(
            field, f"must be an address or a list of addresses, not {shown(addresses)}"
        ) from error


def once(*lists: Iterable[str]) -> list[tuple[str, ...]]:
    """Returns the lists with each address where it stands first only: a recipient gets a mail once, and counts once.

    Case counts before the @, as at SES, and not in a domain. The addresses are wire forms.
    """
    seen: set[str] = set()
    return [tuple([wire for wire in wires if _is_new(wire, seen)]) for wires in lists]


def check_id(id: object) -> None:
    """Raises InvalidMessage if it is not an id of a message."""
    if not (isinstance(id, str) and is_id(id)):
        raise InvalidMessage("id", f"{shown(id)} is no id: `sesq.queue.ids.new_id` makes one")


def read_lane(lane: object) -> Lane:
    """Reads the name of a lane. Raises InvalidMessage."""
    try:
        return Lane(lane)
    except ValueError as error:
        raise InvalidMessage("lane", f"{shown(lane)}: allowed are {', '.join(Lane)}") from error


def _is_new(wire: str, seen: set[str]) -> bool:
    local, _, domain = spec_of(wire).rpartition("@")
    before = len(seen)
    seen.add(f"{local}@{domain.lower()}")
    return len(seen) > before


def check_recipients(count: int) -> None:
    if not count:
        raise InvalidMessage("to", "nobody would receive this: give to=, cc= or bcc=")
    if count > MAX_RECIPIENTS:
        raise InvalidMessage(
            "to",
            f"{count} recipients, and SES takes {MAX_RECIPIENTS} a message: "
            "split them, or send each their own (a refused address then stops nobody else)",
        )


def text_size(text: object, field: str) -> int:
    """Counts the bytes of a body in UTF-8; 0 for None. Raises InvalidMessage if it cannot be encoded."""
    if text is None:
        return 0
    if not isinstance(text, str):
        raise InvalidMessage(field, f"must be text, not {type(text).__name__}")
    if "\0" in text:
        raise InvalidMessage(field, "contains a NUL character: remove it")
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidMessage(field, f"contains half a character at {error.start}: decode it anew") from error


def check_tags(tags: object) -> dict[str, str]:
    """Checks and copies message tags (API reference, MessageTag)."""
    if not isinstance(tags, Mapping):
        raise InvalidMessage("tags", f"must be a mapping of names to values, not {shown(tags)}")
    for name, value in tags.items():
        if name == RESERVED_TAG or (isinstance(name, str) and name.startswith("ses:")):
            raise InvalidMessage("tags", f"{shown(name)} is set by sesq or SES: choose another name")
        for part in (name, value):
            if not isinstance(part, str) or not _is_tag(part):
                raise InvalidMessage(
                    "tags", f"{shown(part)}: SES allows 1 to 255 of A-Z a-z 0-9 _ and - here"
                )
    return dict(tags)


def check_configuration_set(name: object) -> None:
    _check_ses_name("configuration_set", name)


def check_tenant(name: object) -> None:
    """Raises InvalidMessage if it is not a name of a tenant (API reference, CreateTenant)."""
    _check_ses_name("tenant", name)


def check_list(contact_list: object, topic: object, recipients: int) -> None:
    """Checks a contact list and a topic of it (developer guide, "Using subscription management"; CloudFormation has the
    names). Raises InvalidMessage.
    """
    if contact_list is None:
        raise InvalidMessage("topic", "belongs to a contact list: give contact_list= too")
    _check_ses_name("contact_list", contact_list)
    if topic is not None:
        _check_ses_name("topic", topic)
    if recipients != 1:
        raise InvalidMessage(
            "contact_list",
            f"SES takes it only for mail to one recipient, not to {recipients}: send one mail to each",
        )


def feedback_address(address: str) -> str:
    """Returns the bare address for bounces and complaints. Raises InvalidMessage."""
    return spec_of(wire_form(address, "feedback_to"))


def track_word(track: object) -> Literal["on", "off"]:
    """Returns the word by which an envelope turns tracking on or off. Raises InvalidMessage if it is not a bool."""
    if not isinstance(track, bool):
        raise InvalidMessage("track", f"{shown(track)}: allowed are True and False")
    return "on" if track else "off"


def _check_ses_name(field: str, name: object) -> None:
    if not isinstance(name, str) or not _is_ses_name(name):
        raise InvalidMessage(field, f"{shown(name)}: SES allows 1 to 64 of A-Z a-z 0-9 _ and - here")


def check_account(name: object) -> None:
    if not isinstance(name, str) or len(name) > LONGEST_ACCOUNT_NAME or not _is_account(name):
        raise InvalidMessage(
            "account",
            f"{shown(name)} is no account name: words of a-z 0-9 with _ or - between, 1 to 32 characters",
        )


def check_key(key: object) -> None:
    if not isinstance(key, str) or not 0 < len(key) <= MAX_KEY_LENGTH or has_unsafe(key):
        raise InvalidMessage(
            "idempotency_key", f"{shown(key)}: 1 to {MAX_KEY_LENGTH} printable characters are allowed"
        )


def base64_size(byte_count: int) -> int:
    """Counts what bytes become in base64 with MIME's line ends: each 57 bytes are a line of 78."""
    return -(-byte_count // 57) * 78


def check_size(byte_count: int, field: str) -> None:
    if byte_count > MAX_MESSAGE_BYTES:
        raise InvalidMessage(
            field,
            f"the mail has {byte_count:,} bytes as it would be sent, and SES takes {MAX_MESSAGE_BYTES:,}: "
            "send less, or link to it",
        )
