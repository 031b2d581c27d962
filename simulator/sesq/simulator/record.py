"""The record of one account: every sending call, what became of it, and the most recipients in any second and day.

It does not use the limiter's numbers. It counts what was accepted, so that an error of the limiter is seen.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sesq.simulator.addresses import simulated
from sesq.simulator.mail import Mail
from sesq.simulator.window import DAY, Peak

SESQ_ID = "sesq-id"
QUARTER = 900.0
STATISTICS_SPAN = 14 * DAY
_COLUMNS = ("DeliveryAttempts", "Bounces", "Complaints", "Rejects")


@dataclass(slots=True)
class Entry:
    """One sending call. `id`: the MessageId, if it was accepted. `content` is dropped if too much is kept."""

    number: int
    at: float
    mail: Mail
    id: str | None = None
    kind: str | None = None
    error: str | None = None
    reply_lost: bool = False
    content: bytes | None = None

    @property
    def accepted(self) -> bool:
        return self.id is not None

    def summary(self, region: str) -> dict[str, Any]:
        mail = self.mail
        return {
            "number": self.number,
            "id": self.id,
            "at": self.at,
            "region": region,
            "api": mail.api,
            "accepted": self.accepted,
            "kind": self.kind,
            "error": self.error,
            "reply_lost": self.reply_lost,
            "from": mail.sender,
            "to": list(mail.to),
            "cc": list(mail.cc),
            "bcc": list(mail.bcc),
            "recipients": len(mail.recipients),
            "subject": mail.subject,
            "tags": dict(mail.tags),
            "template": mail.template,
            "rendering_error": mail.rendering_error,
            "configuration_set": mail.configuration_set,
            "tenant": mail.tenant,
            "options": dict(mail.options),
        }


class Record:
    """Keeps `keep_content` bytes of content and the last `keep_entries` calls. It counts all calls."""

    def __init__(self, keep_content: int, keep_entries: int) -> None:
        self._keep_content = keep_content
        self._entries: deque[Entry] = deque(maxlen=keep_entries)
        self._with_content: deque[tuple[Entry, int]] = deque()
        self._content_bytes = 0
        self._calls = 0
        self._accepted = 0
        self._recipients = 0
        self._refused: Counter[str] = Counter()
        self._copies: Counter[str] = Counter()
        self._second = Peak(1.0)
        self._day = Peak(DAY)

    def accept(self, message_id: str, mail: Mail, day_recipients: int, at: float) -> Entry:
        """Records an accepted call. `day_recipients`: without those of the mailbox simulator."""
        entry = self._add(mail, at, id=message_id)
        self._accepted += 1
        self._recipients += len(mail.recipients)
        self._second.add(len(mail.recipients), at)
        self._day.add(day_recipients, at)
        copy_of = mail.tags.get(SESQ_ID)
        if copy_of is not None:
            self._copies[copy_of] += 1
        return entry

    def refuse(self, kind: str, error: str | None, mail: Mail, at: float) -> Entry:
        self._refused[kind] += 1
        return self._add(mail, at, kind=kind, error=error)

    def _add(self, mail: Mail, at: float, **outcome: str | None) -> Entry:
        self._calls += 1
        entry = Entry(self._calls, at, mail, content=mail.content, **outcome)  # type: ignore[arg-type]
        size = len(mail.content)
        mail.content = b""
        self._entries.append(entry)
        if size:
            self._with_content.append((entry, size))
            self._content_bytes += size
        while self._content_bytes > self._keep_content:
            oldest, freed = self._with_content.popleft()
            oldest.content = None
            self._content_bytes -= freed
        return entry

    def entries(self, since: float = 0.0) -> Iterator[Entry]:
        """Yields the calls at or after `since` (epoch seconds), oldest first."""
        return (entry for entry in self._entries if entry.at >= since)

    def find(self, number: int) -> Entry | None:
        return next((entry for entry in self._entries if entry.number == number), None)

    def named(self, name: str) -> Entry:
        """Returns the call with a number or a MessageId. Raises ValueError."""
        for entry in self._entries:
            if name in (entry.id, str(entry.number)):
                return entry
        raise ValueError(f"no message is {name[:100]!r}")

    def quarters(self, now: float) -> list[tuple[float, dict[str, int]]]:
        """Returns v1's statistics: recipients in each 15 minutes of the last two weeks, oldest first."""
        points: dict[float, dict[str, int]] = {}
        for entry in self.entries(now - STATISTICS_SPAN):
            if entry.accepted:
                point = points.setdefault(entry.at // QUARTER * QUARTER, dict.fromkeys(_COLUMNS, 0))
                fates = [simulated(address) for address in entry.mail.recipients]
                point["DeliveryAttempts"] += len(fates)
                point["Bounces"] += fates.count("bounce")
                point["Complaints"] += fates.count("complaint")
        return list(points.items())

    def report(self) -> dict[str, Any]:
        return {
            "accepted": self._accepted,
            "recipients": self._recipients,
            "refused": {kind: count for kind, count in sorted(self._refused.items()) if count},
            "throttles": self._refused["throttle"],
            "max_recipients_in_1s": self._second.highest,
            "max_recipients_in_24h": self._day.highest,
            "duplicates": sum(count - 1 for count in self._copies.values()),
        }
