"""Reads mail addresses, and writes them in a form that headers and API fields can carry.

A *spec* is the bare address, `ada@example.org`. A *wire form* is what goes into a header or an API field:
the spec, with its display name where it has one, and nothing but printable ASCII.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sesq.config.errors import InvalidMessage

MAX_LOCAL_LENGTH = 64
"""Characters before the @ (RFC 5321, 4.5.3.1.1)."""

MAX_SPEC_LENGTH = 254
"""Characters of a whole address: RFC 5321's path of 256, without its angle brackets."""

MAX_WIRE_LENGTH = 900
"""Characters of an address with its display name: it fits on one line of a mail (998, RFC 5322, 2.1.1)."""

MAX_TEXT_LENGTH = 4 * MAX_WIRE_LENGTH
"""Characters of an address as it was given, with folds and encoded words. A longer one would take long to read."""

SIMULATOR_DOMAIN = "simulator.amazonses.com"
SIMULATOR_NAMES = frozenset({"success", "bounce", "ooto", "complaint", "suppressionlist"})

_LOCAL_PART = re.compile(r"""(?:"[^"]*"|[^\s<>,;:"()\[\]]+)@""")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = rf"{_ATOM}(?:\.{_ATOM})*"
_DOMAIN = r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"

_plain = re.compile(rf"({_LOCAL})@({_DOMAIN})").fullmatch
_is_local = re.compile(rf"""{_LOCAL}|"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~. -]+\"""").fullmatch
_is_domain = re.compile(_DOMAIN).fullmatch
_named = re.compile(
    r"""(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<phrase>[^<>]*?))\s*<(?P<spec>[^<>]*)>"""
).fullmatch
_is_phrase = re.compile(rf"{_ATOM}(?: {_ATOM})*").fullmatch
_unsafe = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]").search


@dataclass(frozen=True, slots=True)
class Address:
    """Holds one address. `display` is readable text ("" for none), `domain` is ASCII (IDNA if it was not)."""

    display: str
    local: str
    domain: str

    @property
    def spec(self) -> str:
        """`local@domain`, in the case as given: for SES, addresses in different case are different identities."""
        return f"{self.local}@{self.domain}"

    @property
    def wire(self) -> str:
        """ASCII for headers and API fields: the display name is quoted or encoded (RFC 2047) where need be."""
        if not self.display:
            return self.spec
        return f"{_wire_display(self.display)} <{self.spec}>"


def parse_address(text: str, field: str) -> Address:
    """Reads `local@domain`, `Name <local@domain>` or `"Name" <local@domain>`. Raises InvalidMessage(field).

    SES takes no SMTPUTF8 address (its API reference, Destination): a local part must be ASCII, a domain is
    IDNA-encoded. RFC 5322's comments, groups and routes are not read.
    """
    plain = _plain(text) if isinstance(text, str) and len(text) <= MAX_LOCAL_LENGTH else None
    return Address("", plain[1], plain[2]) if plain else _parse(text, field)


def wire_form(text: str, field: str) -> str:
    """Returns `parse_address(text, field).wire`, and does so in about a microsecond for a plain address."""
    if isinstance(text, str) and len(text) <= MAX_LOCAL_LENGTH and _plain(text):
        return text
    return _parse(text, field).wire


def spec_of(wire: str) -> str:
    """Returns the bare address of a wire form: no address here has an angle bracket inside."""
    return wire[wire.rfind("<") + 1 : -1] if wire.endswith(">") else wire


def is_mailbox_simulator(spec: str) -> bool:
    """Whether SES's mailbox simulator has this address, perhaps with a +label (developer guide, "mailbox simulator").

    Whether SES ignores the case of the local part is not known: only the documented spelling counts.
    """
    local, _, domain = spec.rpartition("@")
    return domain.lower() == SIMULATOR_DOMAIN and local.partition("+")[0] in SIMULATOR_NAMES


def has_unsafe(text: str) -> bool:
    """Whether a text has control characters, line separators or lone surrogates, also inside RFC 2047 encoded words."""
    if text.isprintable() and "=?" not in text:
        return False
    return _unsafe(text) is not None or ("=?" in text and _unsafe(decode_words(text)) is not None)


def decode_words(text: str) -> str:
    """Makes the encoded words (RFC 2047) of a header readable. Returns the text as it is if they cannot be decoded."""
    from email.errors import MessageError
    from email.header import decode_header, make_header

    try:
        return str(make_header(decode_header(text)))
    except (MessageError, LookupError, ValueError):
        return text


def encode_words(text: str) -> str:
    """Writes a header text as one line of RFC 2047 encoded words, each of at most 75 characters."""
    from email.header import Header

    return Header(text, "utf-8", maxlinelen=75).encode(linesep="")


def shown(text: object) -> str:
    """Returns a value as text that is safe and short enough for an error."""
    return repr(text) if len(repr(text)) <= 80 else f"{repr(text)[:77]}..."


def masked(text: str) -> str:
    """Hides the local part of each address in a text, for logs."""
    return _LOCAL_PART.sub("…@", text)


def _parse(text: object, field: str) -> Address:
    if not isinstance(text, str):
        raise InvalidMessage(field, f"an address is a string, not {shown(text)}")
    if len(text) > MAX_TEXT_LENGTH:
        raise InvalidMessage(field, f"{shown(text)} is longer than {MAX_TEXT_LENGTH} characters")
    if has_unsafe(text):
        raise InvalidMessage(field, f"{shown(text)} contains a line break or a control character: remove it")
    named = _named(text.strip())
    spec = named["spec"].strip() if named else text.strip()
    address = Address(_display(named, field) if named else "", *_split(spec, field))
    if len(address.wire) > MAX_WIRE_LENGTH:
        raise InvalidMessage(field, f"the name in {shown(text)} is too long: shorten it")
    return address


def _display(named: re.Match[str], field: str) -> str:
    quoted, phrase = named["quoted"], named["phrase"]
    if quoted is None and ("," in phrase or ";" in phrase):
        raise InvalidMessage(
            field,
            f"{shown(named[0])} looks like several addresses: give a list, or put the name in double quotes",
        )
    display = phrase if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
    return " ".join((decode_words(display) if "=?" in display else display).split())


def _wire_display(display: str) -> str:
    if not display.isascii() or "=?" in display:
        return encode_words(display)
    if _is_phrase(display):
        return display
    escaped = re.sub(r'(["\\])', r"\\\1", display)
    return f'"{escaped}"'


def _split(spec: str, field: str) -> tuple[str, str]:
    local, at, domain = spec.rpartition("@")
    if not spec:
        raise InvalidMessage(field, "an address is empty")
    if not at or not domain:
        raise InvalidMessage(field, f"{shown(spec)} has no domain: write name@domain")
    if not _is_local(local):
        raise InvalidMessage(field, _why_not_local(local, spec))
    if len(local) > MAX_LOCAL_LENGTH:
        raise InvalidMessage(field, f"{shown(spec)} has more than {MAX_LOCAL_LENGTH} characters before the @")
    domain = _ascii_domain(domain, spec, field)
    if len(local) + 1 + len(domain) > MAX_SPEC_LENGTH:
        raise InvalidMessage(field, f"{shown(spec)} is longer than {MAX_SPEC_LENGTH} characters")
    return local, domain


def _why_not_local(local: str, spec: str) -> str:
    if not local:
        return f"{shown(spec)} has nothing before the @: write name@domain"
    if any(separator in spec for separator in ",;<>") or "@" in local:
        return f"{shown(spec)} is not one address: write name@domain or Name <name@domain>, several as a list"
    if not local.isascii():
        return f"{shown(spec)} has non-ASCII characters before the @, which SES does not take (no SMTPUTF8)"
    if local.startswith(".") or local.endswith(".") or ".." in local:
        return (
            f'{shown(spec)} has a dot where none may be: put the part before the @ in double quotes, "a..b"@c'
        )
    return f"{shown(spec)} has characters before the @ that an address may not have"


def _ascii_domain(domain: str, spec: str, field: str) -> str:
    if not domain.isascii():
        domain = _idna(domain, spec, field)
    if "." not in domain:
        raise InvalidMessage(
            field, f"the domain of {shown(spec)} has no dot: SES cannot deliver to or from it"
        )
    if not _is_domain(domain):
        raise InvalidMessage(field, f"{shown(spec)} has an invalid domain: write name@domain")
    return domain


def _idna(domain: str, spec: str, field: str) -> str:
    import idna

    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise InvalidMessage(
            field, f"the domain of {shown(spec)} cannot be written in ASCII (IDNA): {error}"
        ) from error
