"""Reads the mail that has arrived at the simulated SES, as its recipients' mail programs would."""

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
    """A mail. `call` is SES's record of the call; `raw` is the mail, or the call's JSON if it has Simple content."""

    call: dict[str, Any]
    raw: bytes

    @property
    def mail(self) -> EmailMessage:
        return cast("EmailMessage", email.message_from_bytes(self.raw, policy=email.policy.default))

    @property
    def simple(self) -> dict[str, Any]:
        """The Simple content, from which SES makes the mail."""
        return cast("dict[str, Any]", json.loads(self.raw)["Content"]["Simple"])

    @property
    def recipients(self) -> list[str]:
        return [*self.call["to"], *self.call["cc"], *self.call["bcc"]]

    def part(self, name: str) -> EmailMessage:
        """Returns the part with this file name, this Content-ID, or else this type."""
        parts = cast("list[EmailMessage]", list(self.mail.walk()))
        return next(p for p in parts if name in (p.get_filename(), p["Content-ID"], p.get_content_type()))

    def bytes_of(self, name: str) -> bytes:
        """Returns the decoded content of that part."""
        return cast("bytes", self.part(name).get_payload(decode=True))


def arrived(ses: Simulator, region: str = "us-east-1") -> list[Arrived]:
    """Returns every mail that SES accepted, the oldest first."""
    entries = ses._do(lambda: list(ses.cloud.account(region).record.entries()))
    return [Arrived(entry.summary(region), entry.content) for entry in entries if entry.accepted]
