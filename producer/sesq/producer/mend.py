"""Mends what programs often write wrongly, as mail servers do. All ways in read mail through this module.

A mail that SES takes as it is does not change. Mending a mended mail changes nothing.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from sesq.config.errors import InvalidMessage
from sesq.producer.rules import MAX_LINE_LENGTH
from sesq.queue.addresses import decode_words, encode_words, has_unsafe, shown, wire_form

ADDRESS_FIELDS = frozenset({"from", "sender", "reply-to", "to", "cc", "bcc"})
SENDERS = frozenset({"from", "sender"})
"""Fields that name senders. Each of their addresses must be readable."""
OTHER_ADDRESS_FIELDS = re.compile(
    "resent-(?:from|sender|to|cc)|disposition-notification-to|return-receipt-to"
)
"""Fields with addresses that sesq does not read. They are mended only if they are not ASCII."""

WITH_PARAMETERS = frozenset({"content-type", "content-disposition"})
PLAIN_ENCODINGS = frozenset({"", "7bit", "8bit", "binary"})
MAX_ADDRESSES = 2000
"""Addresses in all fields of one name."""
DECODED_LENGTH = 2000
"""Characters. In a longer header, encoded words are not looked for."""
FOLD_AT = 78
"""Bytes of a line that is folded (RFC 5322, 2.1.1)."""

Fields = tuple[tuple[str, bytes], ...]
"""(name in lower case, bytes of the field with folds and line ends)."""

Domain = Callable[[], str]
"""Returns the domain for names without one; "" if there is none. It is called only if it is needed."""

_line_end = re.compile(r"\r?\n")
_quoted = re.compile(r'"(?:[^"\\]|\\.)*"')
_word = re.compile(rb"[ \t]*[^ \t]+").findall
_encoded_words = re.compile(
    r"=\?[^?\s]+\?[bq]\?[^?\s]*\?=(?:\s+=\?[^?\s]+\?[bq]\?[^?\s]*\?=)*", re.IGNORECASE
)
_parameter = re.compile(r"""(;\s*[^\s;="]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))""")


def mended(fields: Fields, rest: bytes, domain: Domain) -> tuple[Fields, bytes]:
    """Returns header fields and what follows them, as SES takes them; `rest` begins with the blank line.

    An empty list of addresses is removed, names get a domain, headers become ASCII, long lines of headers are folded,
    and a text in long lines becomes quoted-printable. Raises InvalidMessage if it cannot mend the mail.
    """
    heads = ((name, _mended_field(name, field, domain)) for name, field in fields)
    return _described(tuple(pair for pair in heads if pair[1]), rest)


def has_long_line(raw: bytes) -> bool:
    """Whether a line has more than MAX_LINE_LENGTH bytes, without its end. It makes no object for each line."""
    start, end = 0, len(raw)
    while end - start > MAX_LINE_LENGTH:
        line_end = raw.rfind(b"\n", start, start + MAX_LINE_LENGTH + 1)
        if line_end < 0 and raw.startswith(b"\r\n", start + MAX_LINE_LENGTH):
            line_end = start + MAX_LINE_LENGTH + 1
        if line_end < 0:
            return True
        start = line_end + 1
    return False


def addresses(text: str, domain: Domain) -> list[str]:
    """Reads each address of a list as people write it, `root, Ada <ada@example.org>`, and gives each a domain."""
    return [full_address(name, spec, domain) for name, spec in _pairs(text) if spec]


def full_address(name: str, spec: str, domain: Domain) -> str:
    """Writes a name and an address in wire form, with a domain: `Cron Daemon <root@example.com>`."""
    if spec.startswith("=?"):
        raise InvalidMessage(
            "address", f"{shown(spec)} is a name without an address: write Name <user@example.com>"
        )
    spec = spec.rstrip(".") if "@" in spec else f"{spec}@{domain()}"
    return wire_form(_written(name, spec), "address")


def _mended_field(name: str, field: bytes, domain: Domain) -> bytes:
    """Mends one field. Returns it; empty if it is to be removed."""
    if name in ADDRESS_FIELDS or (not field.isascii() and OTHER_ADDRESS_FIELDS.fullmatch(name)):
        field = _mended_addresses(name, field, domain)
    elif not field.isascii():
        field = _ascii_text(field)
    if not has_long_line(field):
        return field
    field = b"".join(map(_folded, field.splitlines(keepends=True)))
    if has_long_line(field) and name in ADDRESS_FIELDS:
        field = _mended_addresses(name, field, domain, anew=True)
    if has_long_line(field):
        raise InvalidMessage(
            name,
            f"has more than {MAX_LINE_LENGTH} bytes without a space, and no line of a mail may be longer: "
            "shorten it, or put a space where it may be folded",
        )
    return field


def _mended_addresses(name: str, field: bytes, domain: Domain, *, anew: bool = False) -> bytes:
    """Mends a list of addresses. If each is complete and in ASCII, it returns the field unchanged, unless `anew`."""
    written_name, _, value = _decoded(field).partition(":")
    value = _line_end.sub("", value).strip()
    if not value:
        return b""
    if value.count(",") >= MAX_ADDRESSES and not field.isascii():
        raise InvalidMessage(name, f"has more than {MAX_ADDRESSES:,} addresses: use Bcc for so many")
    if value.count(",") >= MAX_ADDRESSES or (not anew and field.isascii() and _whole(value)):
        return field
    try:
        pairs = [(display, spec) for display, spec in _pairs(value) if spec]
        if not anew and field.isascii() and "<>" not in value and all(map(_is_whole, pairs)):
            return field
        wires = [_readable(name, display, spec, domain) for display, spec in pairs]
    except InvalidMessage as error:
        raise InvalidMessage(name, error.problem) from error
    end = "\r\n" if field.endswith(b"\r\n") else "\n"
    return f"{written_name}: {f',{end} '.join(wires)}{end}".encode("ascii") if wires else b""


def _whole(value: str) -> bool:
    """Whether a list is surely in order, by a cheap look without parsing. It is so in most mails."""
    parts = _quoted.sub("", value).split(",") if '"' in value else value.split(",")
    return all("@" in part and "<>" not in part and part.rstrip("> ")[-1:] != "." for part in parts)


def _is_whole(pair: tuple[str, str]) -> bool:
    return "@" in pair[1] and not pair[1].endswith(".")


def _readable(name: str, display: str, spec: str, domain: Domain) -> str:
    """Writes the address in wire form. One that cannot be read stays as it is: the code that needs it refuses it."""
    try:
        return full_address(display, spec, domain)
    except InvalidMessage:
        if name in SENDERS:
            raise
    left = _written(display, spec)
    return left if left.isascii() and left.isprintable() else encode_words(" ".join(left.split()))


def _written(name: str, spec: str) -> str:
    if not name:
        return spec
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" <{spec}>'


def _pairs(text: str) -> list[tuple[str, str]]:
    from email import utils

    # Strictly, newer Pythons find nobody in "a@x.org (Ada, the one)"; each address is checked later anyway.
    loosely: dict[str, Any] = {"strict": False} if hasattr(utils, "supports_strict_parsing") else {}
    try:
        return utils.getaddresses([text], **loosely)
    except RecursionError as error:  # comments within comments
        raise InvalidMessage("address", f"{shown(text)} cannot be read as addresses") from error


def _decoded(field: bytes) -> str:
    """Decodes a field as UTF-8, else as Windows-1252 (Latin-1 with quotes and dashes), else as Latin-1."""
    for encoding in ("utf-8", "cp1252"):
        with suppress(UnicodeDecodeError):
            return field.decode(encoding)
    return field.decode("latin-1")


def _ascii_text(field: bytes) -> bytes:
    """Writes the field in encoded words (RFC 2047; parameters by RFC 2231), since SES takes ASCII headers only."""
    from sesq.producer.mime import folded  # plain mail never loads the email package

    name, _, value = _decoded(field).partition(":")
    value = " ".join(value.split())
    if name.lower() in WITH_PARAMETERS:
        value = _parameter.sub(_ascii_parameter, value)
    elif (
        "=?" in value and len(value) <= DECODED_LENGTH
    ):  # a word that is encoded already would be encoded twice
        decoded = _encoded_words.sub(lambda words: decode_words(words[0]), value)
        value = value if has_unsafe(decoded) else decoded
    end = "\r\n" if field.endswith(b"\r\n") else "\n"
    return f"{name}: {folded(name, value, end)}{end}".encode("ascii")


def _ascii_parameter(found: re.Match[str]) -> str:
    value = found[3] if found[2] is None else re.sub(r"\\(.)", r"\1", found[2])
    return found[0] if value.isascii() else f"{found[1]}*=utf-8''{quote(value, safe='')}"


def _folded(line: bytes) -> bytes:
    """Splits a line that is too long at its spaces. Unfolded, it is the same line."""
    text = line.rstrip(b"\r\n")
    if len(text) <= MAX_LINE_LENGTH:
        return line
    if not text.strip():
        return b""  # an empty line would end the headers
    lines = [b""]
    for word in _word(text.rstrip()):
        piece = word if len(word) <= MAX_LINE_LENGTH else b" " * (word[:1] in b" \t") + word.lstrip()
        most = MAX_LINE_LENGTH if lines[-1].endswith(b":") and len(lines) == 1 else FOLD_AT
        fits = (
            len(lines[-1]) + len(piece) <= most
        )  # the first word stays on the line of the name, which all readers understand
        if fits or not lines[-1] or piece[:1] not in b" \t":
            lines[-1] += piece
        else:
            lines.append(piece)
    end = line[len(text) :]
    return end.join(lines) + end


def _described(fields: Fields, rest: bytes) -> tuple[Fields, bytes]:
    """Adds a Content-Type to a body without one, and encodes a text whose lines are too long for mail."""
    kind, long = _value(fields, "content-type"), has_long_line(rest)
    if not long and (kind or rest.isascii()):
        return fields, rest
    described: dict[str, str] = {}
    if not kind:
        charset = "utf-8" if _is_utf8(rest) else "windows-1252"
        described = {
            "MIME-Version": "1.0",
            "Content-Type": f"text/plain; charset={charset}",
            "Content-Transfer-Encoding": "8bit",
        }
    plain = _value(fields, "content-transfer-encoding") in PLAIN_ENCODINGS
    if long and plain and (not kind or kind.startswith("text/")):
        described |= {"MIME-Version": "1.0", "Content-Transfer-Encoding": "quoted-printable"}
        start = 2 if rest.startswith(b"\r\n") else 1
        rest = rest[:start] + binascii.b2a_qp(rest[start:], istext=True)
    return _with_fields(fields, described, b"\r\n" if rest.startswith(b"\r\n") else b"\n"), rest


def _with_fields(fields: Fields, described: dict[str, str], end: bytes) -> Fields:
    """Returns the fields, with `described` in place of those of the same names."""
    names = {name.lower() for name in described}
    kept = tuple(pair for pair in fields if pair[0] not in names)
    return kept + tuple(
        (name.lower(), f"{name}: {value}".encode() + end) for name, value in described.items()
    )


def _value(fields: Fields, name: str) -> str:
    """Returns the value of the first field of a name, in lower case; "" if there is none."""
    first = next((field for field_name, field in fields if field_name == name), b"")
    return first.partition(b":")[2].decode("ascii", "replace").strip().lower()


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
