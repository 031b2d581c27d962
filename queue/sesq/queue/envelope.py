"""Reads and writes the two parts of a message in Redis: the envelope (who, to whom, how) and the content.

Both have a version. An envelope is small and read often. Content is large, and only the worker that sends it reads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from json.encoder import encode_basestring
from typing import Any, Literal, get_args

from sesq.config.errors import InvalidMessage, UnknownVersion
from sesq.queue.addresses import is_mailbox_simulator, shown, spec_of

VERSIONS = (1,)
"""The versions of JSON that can be read; the last one is written."""

Kind = Literal["simple", "raw", "row"]
OnUnknown = Literal["hold", "resend"]
Track = Literal["on", "off"]

encode_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Holds all that a worker needs to send a message, except its content. Addresses are wire forms.

    `kind`: what the content is. "simple": `SimpleContent`; "raw": a whole mail in MIME with its own Reply-To; "row":
    the id of a row of a batch, whose content is made when it is sent.
    `other_senders`: other bare addresses in From, Sender and Return-Path of a raw mail, which SES wants verified too.
    `feedback_to`: the bare address to which SES sends bounces and complaints. `contact_list`, `topic`: SES's list and
    topic, which the recipient can leave. `track`: whether opens and clicks are tracked.
    `on_unknown`: what to do if it becomes unknown; None: as the account says.
    `subject`: for lists, and for logs at DEBUG.
    """

    sender: str
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    reply_to: tuple[str, ...] = ()
    subject: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    configuration_set: str | None = None
    tenant: str | None = None
    feedback_to: str | None = None
    contact_list: str | None = None
    topic: str | None = None
    track: Track | None = None
    on_unknown: OnUnknown | None = None
    kind: Kind = "simple"
    other_senders: tuple[str, ...] = ()

    @property
    def senders(self) -> tuple[str, ...]:
        """The bare addresses that SES wants verified: the sender, `other_senders`, and `feedback_to`."""
        told = (self.feedback_to,) if self.feedback_to else ()
        return (self.sender_spec, *self.other_senders, *told)

    @property
    def sender_spec(self) -> str:
        return spec_of(self.sender)

    @property
    def recipients(self) -> tuple[str, ...]:
        """Bare addresses of to, cc and bcc, in order. Duplicates stay: SES counts an address each time."""
        return tuple(spec_of(wire) for wires in (self.to, self.cc, self.bcc) for wire in wires)

    @property
    def rate_cost(self) -> int:
        """Recipients that count against the sending rate: all of them (SES developer guide, "quotas")."""
        return len(self.to) + len(self.cc) + len(self.bcc)

    @property
    def day_cost(self) -> int:
        """Recipients that count against the daily quota: all but the mailbox simulator's (same guide)."""
        return sum(not is_mailbox_simulator(spec) for spec in self.recipients)

    def to_json(self) -> str:
        filled = {name: value for name in _ENVELOPE_FIELDS if (value := getattr(self, name))}
        return encode_json({"v": VERSIONS[-1], "sender": self.sender, **filled})

    @classmethod
    def from_json(cls, text: str | bytes) -> Envelope:
        """Reads what `to_json` wrote. Raises UnknownVersion, and InvalidMessage for a text that is no envelope."""
        return cls._from_parts(read_versioned(text, "envelope"))

    def to_fields(self) -> list[str]:
        """Returns the fields of a message's record: name, value, name, value, …

        They are short, so that Redis packs the record. Empty values are left out, and so is the kind "simple".
        """
        fields = ["sender", self.sender]
        for name in _MORE_FIELDS:
            value = getattr(self, name)
            if value:
                fields += (name, value if name in _TEXTS else _encoded(name, value))
        if self.kind != "simple":
            fields += ("kind", self.kind)
        return fields

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> Envelope:
        """Reads what `to_fields` wrote, from all fields of a record.

        Raises UnknownVersion (by the field v), and InvalidMessage for what is no envelope.
        """
        if fields.get("v") not in _VERSION_FIELDS:
            require_version(fields["v"])
        try:
            parts = {
                name: value if name in _TEXTS else json.loads(value)
                for name, value in fields.items()
                if name in _ALL_FIELDS and value is not None
            }
        except (ValueError, RecursionError) as error:
            raise InvalidMessage("envelope", f"is not one that sesq has written: {error}") from error
        return cls._from_parts(parts)

    @classmethod
    def _from_parts(cls, parts: dict[str, Any]) -> Envelope:
        try:
            lists: dict[str, Any] = {name: _texts(parts.pop(name, ())) for name in _LISTS}
            tags = parts.pop("tags", {})
            _texts([*tags.keys(), *tags.values()])
            envelope = cls(**lists, tags=tags, **parts)
        except (AttributeError, TypeError) as error:
            raise InvalidMessage("envelope", f"is not one that sesq has written: {error}") from error
        if (
            envelope.kind not in _KINDS
            or envelope.on_unknown not in _ON_UNKNOWN
            or envelope.track not in _TRACKS
        ):
            raise InvalidMessage("envelope", "is of a kind that sesq does not write")
        return envelope


def _encoded(name: str, value: Any) -> str:
    if name in _LISTS:  # the same JSON at a fourth of the cost
        return f"[{','.join(map(encode_basestring, value))}]"
    return encode_json(value)


def _texts(given: object) -> tuple[str, ...]:
    if not isinstance(given, list | tuple) or not all(isinstance(each, str) for each in given):
        raise TypeError(f"{given!r:.50} is no list of texts")
    return tuple(given)


_KINDS = get_args(Kind)
_ON_UNKNOWN = (None, *get_args(OnUnknown))
_TRACKS = (None, *get_args(Track))
_ENVELOPE_FIELDS = tuple(Envelope.__dataclass_fields__)
_LISTS = ("to", "cc", "bcc", "reply_to", "other_senders")
_ALL_FIELDS = frozenset(_ENVELOPE_FIELDS)
_VERSION_FIELDS = frozenset((None, *map(str, VERSIONS)))
_TEXTS = frozenset(_ENVELOPE_FIELDS) - {*_LISTS, "tags"}
_MORE_FIELDS = tuple(name for name in _ENVELOPE_FIELDS if name not in ("sender", "kind"))


@dataclass(frozen=True, slots=True)
class SimpleContent:
    """Holds content that SES puts together itself (its Simple form). Header names and values are ASCII."""

    subject: str
    text: str | None = None
    html: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def size(self) -> int:
        """Characters of text and HTML together."""
        return len(self.text or "") + len(self.html or "")

    def to_bytes(self) -> bytes:
        content: dict[str, Any] = {"v": VERSIONS[-1], "subject": self.subject}
        if self.text is not None:
            content["text"] = self.text
        if self.html is not None:
            content["html"] = self.html
        if self.headers:
            content["headers"] = self.headers
        return encode_json(content).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> SimpleContent:
        """Reads what `to_bytes` wrote. Raises UnknownVersion, and InvalidMessage for what is no content."""
        content = read_versioned(data, "content")
        try:
            headers = tuple((name, value) for name, value in content.pop("headers", ()))
            return cls(headers=headers, **content)
        except (TypeError, ValueError) as error:
            raise InvalidMessage("content", f"is not what sesq has written: {error}") from error


def read_versioned(text: str | bytes, what: str) -> dict[str, Any]:
    """Reads a JSON object, and returns it without its "v". Raises InvalidMessage, and UnknownVersion."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidMessage(what, f"is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise InvalidMessage(what, "is not a JSON object")
    require_version(data.pop("v", None))
    return data


def require_version(version: object) -> None:
    """Raises UnknownVersion unless it is one of VERSIONS."""
    if version not in VERSIONS or isinstance(version, bool):
        known = ", ".join(map(str, VERSIONS))
        raise UnknownVersion(
            str(version), f"{shown(version)} is a version this sesq cannot read; it knows {known}"
        )
