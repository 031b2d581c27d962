"""Makes a message for SMTP: its sender, its recipients, and the mail itself.

The API's parameters become headers, which SES removes before it sends the mail (developer guide, "Amazon SES header
fields"). Recipients of a blind copy are only in the SMTP envelope.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import formatdate

from sesq.producer.mime import render
from sesq.queue.envelope import Envelope, SimpleContent
from sesq.queue.identities import BorrowedIdentities
from sesq.worker.transports.base import Outgoing
from sesq.worker.transports.request import ID_TAG

NOBODY = BorrowedIdentities()
LINE_LENGTH = 900
"""Bytes; a mail's line holds 998 (RFC 5322, 2.1.1)."""

_blank_line = re.compile(rb"\r?\n\r?\n")
_any_line_end = re.compile(rb"\r\n|\r|\n")
_leading_dot = re.compile(rb"^\.", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Parcel:
    """Holds a message for SMTP. `sender`: the address that gets bounces and complaints.

    `content` is ready for DATA: CRLF at the end of every line, leading dots doubled.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes

    @property
    def is_ascii(self) -> bool:
        """Whether it needs no 8BITMIME extension."""
        return self.content.isascii()


def parcel_for(outgoing: Outgoing, borrowed: BorrowedIdentities = NOBODY) -> Parcel:
    """Makes the mail, with its id and its options in SES's headers.

    Raises InvalidMessage if it cannot be written.
    """
    envelope, content = outgoing.envelope, outgoing.content
    mail = render(envelope, content) if isinstance(content, SimpleContent) else content
    lines = _any_line_end.sub(
        b"\r\n", _ses_headers(outgoing.id, envelope, borrowed) + _missing_headers(outgoing, mail) + mail
    )
    ended = lines if lines.endswith(b"\r\n") else lines + b"\r\n"
    return Parcel(
        envelope.feedback_to or envelope.sender_spec, envelope.recipients, _leading_dot.sub(b"..", ended)
    )


def _ses_headers(id: str, envelope: Envelope, borrowed: BorrowedIdentities) -> bytes:
    pairs = [f"{name}={value}" for name, value in ((ID_TAG, id), *envelope.tags.items())]
    headers = f"X-SES-MESSAGE-TAGS: {_folded(pairs)}\r\n"
    if envelope.configuration_set:
        headers += f"X-SES-CONFIGURATION-SET: {envelope.configuration_set}\r\n"
    if envelope.tenant:
        headers += f"X-SES-TENANT: {envelope.tenant}\r\n"
    if envelope.contact_list:
        topic = f"; topic={envelope.topic}" if envelope.topic else ""
        headers += f"X-SES-LIST-MANAGEMENT-OPTIONS: {envelope.contact_list}{topic}\r\n"
    if borrowed.arns:
        headers += _by_leave(envelope, borrowed)
    return headers.encode("ascii")


def _by_leave(envelope: Envelope, borrowed: BorrowedIdentities) -> str:
    """Writes the headers for borrowed identities: of the envelope's sender, and of the mail's From."""
    source, sender = (
        borrowed.arn_of(envelope.feedback_to or envelope.sender_spec),
        borrowed.arn_of(envelope.sender_spec),
    )
    arns = {"SOURCE": source, "FROM": sender, "RETURN-PATH": source}
    return "".join(f"X-SES-{name}-ARN: {arn}\r\n" for name, arn in arns.items() if arn)


def _missing_headers(outgoing: Outgoing, mail: bytes) -> bytes:
    """Writes Date and Message-ID if the mail lacks them. SES sets its own in any case; other servers may not."""
    head = b"\n" + _blank_line.split(mail, 1)[0].lower()
    domain = outgoing.envelope.sender_spec.rpartition("@")[2]
    headers = {"Date": formatdate(), "Message-ID": f"<{outgoing.id}@{domain}>"}
    missing = [
        f"{name}: {value}\r\n" for name, value in headers.items() if f"\n{name.lower()}:".encode() not in head
    ]
    return "".join(missing).encode("ascii")


def _folded(pairs: list[str]) -> str:
    """Joins pairs in as few lines as possible, because not every reader handles folded headers well."""
    lines = [pairs[0]]
    for pair in pairs[1:]:
        if len(lines[-1]) + len(pair) < LINE_LENGTH:
            lines[-1] += f", {pair}"
        else:
            lines.append(pair)
    return ",\r\n ".join(lines)
