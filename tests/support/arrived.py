"""The mail that has arrived at the simulated SES, as its recipients' mail programs would read it."""

from __future__ import annotations

import email
import email.policy
import json
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, cast

from sesq.simulator import Simulator


@dataclass(frozen=True)
class Arrived:
    """`call` is SES's record of the call, `raw` the mail itself; or, of Simple content, what the call said."""

    call: dict[str, Any]
    raw: bytes

    @property
    def mail(self) -> EmailMessage:
        return cast("EmailMessage", email.message_from_bytes(self.raw, policy=email.policy.default))

    @property
    def simple(self) -> dict[str, Any]:
        """Simple content: what SES was to put the mail together from."""
        return cast("dict[str, Any]", json.loads(self.raw)["Content"]["Simple"])

    @property
    def recipients(self) -> list[str]:
        return [*self.call["to"], *self.call["cc"], *self.call["bcc"]]

    def part(self, name: str) -> EmailMessage:
        """The part with this file name, Content-ID, or else this type."""
        parts = cast("list[EmailMessage]", list(self.mail.walk()))
        return next(p for p in parts if name in (p.get_filename(), p["Content-ID"], p.get_content_type()))

    def bytes_of(self, name: str) -> bytes:
        """What that part holds, decoded."""
        return cast("bytes", self.part(name).get_payload(decode=True))


def arrived(ses: Simulator, region: str = "us-east-1") -> list[Arrived]:
    """Every mail that SES accepted, oldest first."""
    entries = ses._do(lambda: list(ses.cloud.account(region).record.entries()))
    return [Arrived(entry.summary(region), entry.content) for entry in entries if entry.accepted]
