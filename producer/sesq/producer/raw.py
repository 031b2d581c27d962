"""Reads a mail that is already written: splits its header fields, and mends what SES would not take."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice

from sesq.config.errors import InvalidMessage
from sesq.producer.header_rules import SINGLE_HEADERS
from sesq.producer.mail_domain import known_domain
from sesq.producer.mend import MAX_ADDRESSES, SENDERS, Domain, has_long_line, mended
from sesq.producer.rules import MAX_LINE_LENGTH, check_size
from sesq.queue.addresses import decode_words, has_unsafe, parse_address, shown, spec_of, wire_form

BLIND = ("bcc", "resent-bcc")
"""Header fields that are never sent."""

MAX_HEAD_BYTES = 256 * 1024
MAX_FIELDS = 1000
"""Size and number of all headers of a mail. They bound the work for one mail. SES's own limit ("Header section too
long.") is not known; Exchange has the same limit of bytes.
"""

MOST_BOUNDARIES = 10
"""So many multiparts of a mail are looked at. Few mails have more than three."""

REMEMBERED_LENGTH = 500
"""Characters. The addresses of a longer header are not remembered."""

MAX_PART_LENGTH = 2000
"""Characters of one address in a header, with its name and comments. The library's time grows with the square of the
length: 160,000 characters without a comma took 40 seconds.
"""

VERIFIED = ("from", "sender", "return-path")
"""Fields whose addresses SES wants verified (developer guide, "Verified identities")."""

_encoded_word = re.compile(r"=\?[^?\s]+\?[bq]\?[^?\"<>(),;:\\]*\?=", re.IGNORECASE)
_no_address = re.compile(r'"(?:\\.|[^"\\])*"(?!@)|\((?:\\.|[^()\\])*\)')
_marks = re.compile(r'\\.|["(),:;]', re.DOTALL).finditer
_usual = re.compile(r"""(?:"[ !#-Z^-~]*"\s?<|[A-Za-z ]*<)?[A-Za-z0-9.+_-]+@[A-Za-z0-9.-]+>?""").fullmatch
"""Matches most addresses in mail. All readers understand them alike, and it takes a hundredth of the library's time."""
_blank_line = re.compile(rb"(?:^|\r?\n)\r?\n").search
_bare_cr = re.compile(rb"\r(?!\n)").search
_bare_lf = re.compile(rb"(?<!\r)\n").search
_control = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]").search
_field_name = re.compile(rb"([!-9;-~]+):").match
_boundaries = re.compile(rb"""\bboundary="?([^\s";]{8,70})""", re.IGNORECASE).finditer
_drop_date_and_id = re.compile(rb"^(?:date|message-id):.*\n(?:[ \t].*\n)*", re.IGNORECASE | re.MULTILINE).sub


@dataclass(frozen=True, slots=True)
class RawMail:
    """`fields` are (lower-case name, its bytes with folds and line ends); `rest` begins with the blank line."""

    fields: tuple[tuple[str, bytes], ...]
    rest: bytes

    @classmethod
    def read(cls, raw: bytes, domain: Domain = known_domain) -> RawMail:
        """Reads a mail, and mends what SES would not take. `domain` returns the domain for names without one.

        Raises InvalidMessage if it is not a mail, or if two readers could read it in two ways.
        """
        if not isinstance(raw, bytes):
            raise InvalidMessage("raw", f"must be bytes, not {type(raw).__name__}")
        check_size(len(raw), "raw")
        blank = _blank_line(raw)
        if blank is None:
            raise InvalidMessage(
                "raw", "has no blank line after its headers: add one, even if there is no body"
            )
        start = blank.end() - (2 if blank[0].endswith(b"\r\n") else 1)
        if start > MAX_HEAD_BYTES:
            raise InvalidMessage("raw", f"has more than {MAX_HEAD_BYTES:,} bytes of headers: shorten them")
        head = raw[:start]
        _check_head(raw[: blank.end()])
        if b"\0" in raw:
            raise InvalidMessage("raw", "contains a NUL byte, which no mail may: encode that part as base64")
        fields = _fields(head)
        if len(fields) > MAX_FIELDS:
            raise InvalidMessage("raw", f"has more than {MAX_FIELDS:,} headers: remove some")
        mail = cls(*mended(fields, raw[start:], domain))
        mail._check()
        return mail

    @property
    def content(self) -> bytes:
        return b"".join([field for _, field in self.fields]) + self.rest

    def without(self, *names: str) -> RawMail:
        """Returns the same mail without the fields of these names (in lower case)."""
        return replace(self, fields=tuple(field for field in self.fields if field[0] not in names))

    def values(self, name: str) -> list[str]:
        """Returns the values of the fields of a name (in lower case), unfolded; encoded words stay as they are."""
        return [
            re.sub(r"\r?\n", "", field.partition(b":")[2].decode(errors="replace")).strip()
            for field_name, field in self.fields
            if field_name == name
        ]

    def text(self, name: str) -> str:
        """Returns the first value, decoded, without characters that cannot be printed; "" if there is none."""
        text = decode_words(next(iter(self.values(name)), ""))
        return "".join(character for character in text if character.isprintable() or character == " ")

    def addresses(self, name: str) -> tuple[str, ...]:
        """Returns the wire forms of all addresses in the fields of a name. Raises InvalidMessage(name)."""
        wires: list[str] = []
        for value in self.values(name):
            wires += (_remembered if len(value) <= REMEMBERED_LENGTH else addresses_in)(name, value)
            if len(wires) > MAX_ADDRESSES:
                raise _too_many_addresses(name)
        return tuple(wires)

    def senders(self) -> tuple[str, ...]:
        """Returns the bare addresses that SES wants verified, each once. One that cannot be read is left to SES."""
        found: list[str] = []
        for name in VERIFIED:
            with suppress(InvalidMessage):
                found += map(spec_of, self.addresses(name))
        return tuple(dict.fromkeys(found))

    def readable(self, *names: str) -> set[str]:
        """Returns the bare addresses, in lower case, that can be read in the fields of these names."""
        return {
            spec_of(wire).lower()
            for name in names
            for value in self.values(name)
            for wire in _readable(name, value)
        }

    def _check(self) -> None:
        if has_long_line(self.rest):
            raise InvalidMessage(
                "raw",
                f"has a line of more than {MAX_LINE_LENGTH} bytes: encode that part as quoted-printable or base64, "
                "in short lines",
            )
        counts = Counter(name for name, _ in self.fields)
        twice = next((name for name, count in counts.items() if count > 1 and name in SINGLE_HEADERS), None)
        if twice:
            raise InvalidMessage("raw", f"has the header {twice} twice, which SES refuses: keep one")
        if len(self.addresses("from")) != 1:
            raise InvalidMessage("raw", "needs a From header with one address")


def digested(raw: bytes) -> bytes:
    """Returns what identifies a mail that `RawMail.read` took: all but its Date, Message-ID and boundaries.

    Mail libraries make these three anew each time they write the same mail.
    """
    blank = _blank_line(raw)
    assert blank is not None, "RawMail.read has checked"
    same = _drop_date_and_id(b"", raw[: blank.end()]) + raw[blank.end() :]
    boundaries = dict.fromkeys(found[1] for found in islice(_boundaries(raw), MOST_BOUNDARIES))
    for number, boundary in enumerate(boundaries):
        same = same.replace(boundary, b"=_%d" % number)
    return same


def _check_head(head: bytes) -> None:
    if _bare_cr(head) or (b"\r\n" in head and _bare_lf(head)):
        raise InvalidMessage(
            "raw", r"mixes line ends in its headers: end every line with \r\n, or every one with \n"
        )
    if _control(head):
        raise InvalidMessage("raw", "has a control character in its headers: remove it")


def _fields(head: bytes) -> tuple[tuple[str, bytes], ...]:
    fields: list[tuple[str, bytes]] = []
    for line in head.splitlines(keepends=True):
        named = _field_name(line)
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1] = (fields[-1][0], fields[-1][1] + line)
        elif named:
            fields.append((named[1].decode().lower(), line))
        else:
            raise InvalidMessage("raw", f"has {shown(line)} among its headers: write Name: value")
    return tuple(fields)


def addresses_in(name: str, value: str) -> tuple[str, ...]:
    """Returns the wire forms of the addresses in one header's value. Raises InvalidMessage(name)."""
    if len(value) <= REMEMBERED_LENGTH:
        return _read(name, value)
    parts = [value] if name in SENDERS else _parts(value)
    if len(parts) > MAX_ADDRESSES:
        raise _too_many_addresses(name)
    too_long = next((part for part in parts if len(part) > MAX_PART_LENGTH), None)
    if too_long is not None:
        raise InvalidMessage(name, f"{shown(too_long)} is too long for one address")
    return tuple(wire for part in parts for wire in _read(name, part))


def _too_many_addresses(name: str) -> InvalidMessage:
    return InvalidMessage(name, f"has more than {MAX_ADDRESSES:,} addresses: use Bcc for so many")


def _readable(name: str, value: str) -> Iterator[str]:
    """Yields the wire forms of the addresses that can be read."""
    for part in _parts(value)[:MAX_ADDRESSES]:
        if len(part) <= MAX_PART_LENGTH:
            with suppress(InvalidMessage):
                yield from _read(name, part)


def _parts(value: str) -> list[str]:
    """Splits a list of addresses at its commas, except those in quotes, in comments and in groups."""
    parts: list[str] = []
    start, depth, quoted, grouped = 0, 0, False, False
    for mark in _marks(value):
        sign = mark[0]
        if sign == '"' and not depth:
            quoted = not quoted
        elif sign in "()" and not quoted:
            depth = max(0, depth + (1 if sign == "(" else -1))
        elif sign in ":;" and not quoted and not depth:
            grouped = sign == ":"
        elif sign == "," and not quoted and not depth and not grouped:
            parts.append(value[start : mark.start()])
            start = mark.end()
    return [part for part in [*parts, value[start:]] if part.strip()]


def _read(name: str, value: str) -> tuple[str, ...]:
    if name not in SENDERS and "=?" not in value and _usual(value.strip()):
        with suppress(InvalidMessage):
            return (wire_form(value.strip(), name),)
    found, defects = _parsed(name, value)
    if name in SENDERS:
        # encoded words are often written against the rules, and hold no address
        plain = _encoded_word.sub("word", value)
        same, defects = _parsed(name, plain) if plain != value else (found, defects)
        seen = _no_address.sub(" ", plain).count("@")
        if defects or seen != len(found) or [spec for _, spec in same] != [spec for _, spec in found]:
            raise InvalidMessage(
                name,
                f"{shown(value)} can be read in two ways: write Name <user@example.com>, with a comma between two",
            )
    return tuple(_wire(name, display, spec) for display, spec in found)


def _parsed(name: str, value: str) -> tuple[list[tuple[str, str]], bool]:
    """Parses names and addresses. Also returns whether the value breaks a rule.

    Obsolete forms do not count, since all readers understand them alike.
    """
    from email.errors import MessageError, ObsoleteHeaderDefect
    from email.policy import default

    kind = name
    if name == "return-path":  # the library does not read it, and it may be <>
        kind, value = "to", value.replace("<>", "")
    try:
        header = default.header_factory(kind, value)
        found = [(address.display_name, address.addr_spec) for address in header.addresses]
    except (MessageError, LookupError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise InvalidMessage(name, f"{shown(value)} cannot be read as addresses") from error
    return found, any(not isinstance(defect, ObsoleteHeaderDefect) for defect in header.defects)


_remembered = lru_cache(maxsize=1024)(addresses_in)
"""Parsing addresses is the slowest part of reading a mail, and the same senders come again and again."""


def _wire(name: str, display: str, spec: str) -> str:
    if has_unsafe(display):
        raise InvalidMessage(name, f"the name of {shown(spec)} contains a line break or a control character")
    return replace(parse_address(spec, name), display=" ".join(display.split())).wire
