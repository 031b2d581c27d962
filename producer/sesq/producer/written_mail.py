"""Makes messages of mail that another program has written, for Django, sendmail and SMTP submission.

Options that a program cannot give otherwise stand in headers of the mail, which are taken out of it:

    X-Sesq-Lane: bulk
    X-Sesq-Tags: campaign=autumn, list=news
    X-Sesq-Tenant: acme
    X-Sesq-Feedback-To: bounces@example.com
    X-Sesq-Contact-List: news
    X-Sesq-Topic: weekly
    X-Sesq-Track: no
    X-Sesq-Key: order-1042-receipt
    X-Sesq-Send-At: 2030-01-31T09:30:00+00:00
    X-Sesq-Expires: 2030-01-31T12:00:00+00:00
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from sesq.config.errors import InvalidMessage
from sesq.producer.message import Message
from sesq.producer.moments import read_moment
from sesq.producer.raw import RawMail
from sesq.producer.rules import MAX_KEY_LENGTH, MAX_RECIPIENTS, address_list, check_key, once
from sesq.producer.ses_headers import HeaderRule, read_tags, take_ruled_options
from sesq.queue.addresses import shown, spec_of
from sesq.queue.ids import following, is_id

PREFIX = "x-sesq-"

Readers = Mapping[str, tuple[str, Callable[[str, str], Any]]]
Recipients = Mapping[str, Sequence[str]]
"""Addresses by the field of a message they belong to: to, cc and bcc."""


def messages_of(
    mail: RawMail,
    recipients: Recipients | None = None,
    *,
    rule: HeaderRule | None = None,
    key_owner: str = "",
    names_id: bool = False,
    **options: Any,
) -> list[Message]:
    """Makes the messages of one mail: one, or one for each 50 recipients, since SES takes no more at once.

    Without `recipients` the mail's own headers name them. `options` are those of `Message`; the mail's X-Sesq headers
    replace them (tags are added). `rule`: what the mail's headers may choose, if somebody other than the application
    wrote them. `key_owner`: idempotency keys of one owner never equal those of another. `names_id`: the mail may name
    the id of its message itself, by X-Sesq-Id. Raises InvalidMessage.
    """
    mail, own = take_options(mail, names_id=names_id)
    if rule is not None:
        mail, ruled = take_ruled_options(mail)
        own = {**ruled, **own}
        rule.check(own)
    if recipients is None:
        recipients = {field: mail.addresses(field) for field in ("to", "cc", "bcc")}
    options = closer(options, own)
    key = key_of_owner(options.pop("idempotency_key", None), key_owner)
    id = options.pop("id", None)
    parts = list(_parts(recipients))
    for number, part in enumerate(parts):
        part["idempotency_key"] = _key_of_part(key, number + 1, len(parts))
        part["id"] = id and following(id, number)
    first = Message.from_bytes(mail.content, **parts[0], **options)
    return [first, *(first.readdressed(**part) for part in parts[1:])]


def take_options(mail: RawMail, *, names_id: bool = False) -> tuple[RawMail, dict[str, Any]]:
    """Takes the X-Sesq headers out of the mail, and returns the options that they stand for."""
    named = [(name, mail.values(name)[0]) for name, _ in mail.fields if name.startswith(PREFIX)]
    options = options_of(named, names_id=names_id)
    return (mail.without(*(name for name, _ in named)), options) if named else (mail, options)


def options_of(named: Iterable[tuple[str, str]], *, names_id: bool = False) -> dict[str, Any]:
    """Reads the options from X-Sesq headers, given as names in lower case with their values.

    Raises InvalidMessage.
    """
    readers = {**_READERS, **_ID_READER} if names_id else _READERS
    options: dict[str, Any] = {}
    for name, value in named:
        if name not in readers:
            raise InvalidMessage(name, f"is no header of sesq's; there are {', '.join(readers)}")
        field, read = readers[name]
        if field in options:
            raise InvalidMessage(name, "is given twice: keep one")
        options[field] = read(value, name)
    return options


def closer(options: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Replaces options by those that are given closer to the mail. None replaces nothing; tags are added."""
    both = {**options, **{name: value for name, value in given.items() if value is not None}}
    outer, inner = options.get("tags"), both.get("tags")
    if isinstance(outer, Mapping) and isinstance(inner, Mapping):
        both["tags"] = {**outer, **inner}
    return both


def sorted_recipients(mail: RawMail, envelope: Iterable[str]) -> dict[str, list[str]]:
    """Sorts the envelope's recipients by the header that shows them. One that is in none gets a blind copy."""
    to, cc = mail.readable("to"), mail.readable("cc")
    fields: dict[str, list[str]] = {"to": [], "cc": [], "bcc": []}
    for address in address_list(envelope, "recipient"):
        spec = spec_of(address).lower()
        fields["to" if spec in to else "cc" if spec in cc else "bcc"].append(address)
    return fields


def _parts(recipients: Recipients) -> Iterable[dict[str, Any]]:
    lists = once(*(address_list(addresses, field) for field, addresses in recipients.items()))
    everybody = [
        (field, address) for field, wires in zip(recipients, lists, strict=True) for address in wires
    ]
    for start in range(0, max(len(everybody), 1), MAX_RECIPIENTS):
        part: dict[str, Any] = {"to": [], "cc": [], "bcc": []}
        for field, address in everybody[start : start + MAX_RECIPIENTS]:
            part[field].append(address)
        yield part


def key_of_owner(key: str | None, owner: str) -> str | None:
    """Makes the key of an owner: it never equals the key of another owner, or a key that was given without one."""
    if key is None or not owner:
        return key
    check_key(key)
    return f"{sha256(owner.encode()).hexdigest()} {sha256(key.encode()).hexdigest()}"


def _key_of_part(key: str | None, number: int, count: int) -> str | None:
    """Makes an idempotency key for each part of a mail."""
    if not key or count == 1:
        return key
    numbered = f"{key} ({number}/{count})"
    if len(numbered) > MAX_KEY_LENGTH:
        raise InvalidMessage(
            "idempotency_key", f"is too long for a mail to more than {MAX_RECIPIENTS} recipients"
        )
    return numbered


def _text(value: str, _name: str) -> str:
    return value


def _yes_or_no(value: str, _name: str) -> bool:
    if value.lower() not in ("yes", "no"):
        raise InvalidMessage("track", f"{shown(value)}: write yes or no")
    return value.lower() == "yes"


def _id(value: str, name: str) -> str:
    if not is_id(value):
        raise InvalidMessage(name, f"{shown(value)} is no id of a message")
    return value


_READERS: Readers = {
    "x-sesq-lane": ("lane", _text),
    "x-sesq-tags": ("tags", read_tags),
    "x-sesq-tenant": ("tenant", _text),
    "x-sesq-feedback-to": ("feedback_to", _text),
    "x-sesq-contact-list": ("contact_list", _text),
    "x-sesq-topic": ("topic", _text),
    "x-sesq-track": ("track", _yes_or_no),
    "x-sesq-key": ("idempotency_key", _text),
    "x-sesq-send-at": ("send_at", read_moment),
    "x-sesq-expires": ("expires_at", read_moment),
}
"""Header -> the option it stands for, and how its value is read."""
_ID_READER: Readers = {"x-sesq-id": ("id", _id)}
"""For programs that sesq is a part of. Any other program could name a message that is not its own."""
