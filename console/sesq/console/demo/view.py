"""Reads what the queue itself knows at one moment: its messages with their histories, and its gate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from redis import Redis

from sesq.queue.gate import Gate
from sesq.queue.messages import Messages
from sesq.queue.record import Record
from sesq.queue.states import SENT_STATES, State
from sesq.queue.usage import Usage

MOST = 1000
PACE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class View:
    """All messages, and the limits in force. Times are seconds since the epoch by Redis's clock."""

    records: dict[str, Record]
    usage: Usage

    @property
    def now(self) -> float:
        return self.usage.now

    @property
    def waiting_for_limits(self) -> int:
        """Messages that only the limits keep back."""
        return sum(lane["queued"] for lane in self.usage.lanes)

    @property
    def at_rest(self) -> bool:
        """Nothing is being sent, and nothing waits for a time: what is left waits for somebody."""
        return len(self.sent()) + len(self.held()) == len(self.records)

    def are_sent(self, ids: Sequence[str]) -> bool:
        return all(self.records[id].state in SENT_STATES for id in ids)

    def sent(self) -> list[Record]:
        return [record for record in self.records.values() if record.state in SENT_STATES]

    def held(self) -> list[Record]:
        return [record for record in self.records.values() if record.state is State.HELD]

    def to(self, recipient: str) -> Record:
        """Returns the message to a recipient."""
        return next(each for each in self.records.values() if recipient in each.envelope.recipients)

    def pace(self, since: float, until: float) -> float:
        """Returns the recipients a second that went out between two times."""
        went = (record for record in self.sent() if since <= sent_at(record) < until)
        return sum(record.envelope.rate_cost for record in went) / (until - since)

    def in_a_line(self) -> str:
        count = Counter(record.state for record in self.records.values())
        states = ", ".join(f"{count[state]} {state}" for state in (State.SENT, State.QUEUED, State.HELD))
        pace = self.pace(self.now - PACE_SECONDS, self.now)
        return f"{states}; {pace:.1f} recipients/s of {self.usage.rate:g}"


def look(redis: Redis, ids: Iterable[str]) -> View:
    """Reads the queue as it is now: these messages, at most a thousand, and the gate."""
    messages = Messages(redis)
    listed = {record.id: record for record in messages.list(limit=MOST)}
    # a list is read state by state, and misses messages that change their state meanwhile
    records = {id: listed.get(id) or messages.get(id) for id in ids}
    # the gate is read last: by then it has counted all that the records say was sent
    return View(records, Gate(redis).usage())


def sent_at(record: Record) -> float:
    """Returns when the queue wrote down that SES has it."""
    return next(event.at for event in record.history if event.state is State.SENT)


def claimed_at(record: Record) -> float:
    """Returns when the gate let it go, the last time."""
    return max(event.at for event in record.history if event.state is State.SENDING)
