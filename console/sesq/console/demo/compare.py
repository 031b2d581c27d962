"""Compares what the queue knows with SES's own record. Both must agree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sesq.console.demo.view import View, claimed_at, sent_at
from sesq.queue.record import Record
from sesq.queue.states import State

SECOND = 1.0
SESQ_ID = "sesq-id"


@dataclass(frozen=True, slots=True)
class Row:
    """One fact from both sides. `queue` is a range (least, most) if the queue cannot know it to the millisecond."""

    fact: str
    queue: int | tuple[int, int]
    ses: int
    allowed: int | None = None
    """The most that both may be; None: any number."""

    @property
    def agrees(self) -> bool:
        least, most = self.queue if isinstance(self.queue, tuple) else (self.queue, self.queue)
        return least <= self.ses <= most and (self.allowed is None or max(least, self.ses) <= self.allowed)


@dataclass(frozen=True, slots=True)
class SesRecord:
    """The simulator's record. `raised_at`: when it raised the quota, in seconds since the epoch by its clock."""

    report: dict[str, Any]
    calls: Sequence[dict[str, Any]]
    raised_at: float

    def accepted(self) -> dict[str, str]:
        """Returns MessageId -> the queue's id, for each mail that SES took."""
        return {call["id"]: call["tags"].get(SESQ_ID, "") for call in self.calls if call["accepted"]}

    def fastest_second(self, until: float) -> int:
        """Counts the most recipients in any second, of those accepted before a time."""
        taken = [
            (call["at"], call["recipients"]) for call in self.calls if call["accepted"] and call["at"] < until
        ]
        return _most(sum(n for at, n in taken if start <= at < start + SECOND) for start, _ in taken)


def compare(view: View, ses: SesRecord) -> list[Row]:
    """Makes the rows. One side has only numbers of the queue's records and its gate, the other only SES's."""
    sent, records, report = view.sent(), view.records.values(), ses.report
    taken = ses.accepted()
    offered = {call["tags"].get(SESQ_ID) for call in ses.calls}
    return [
        Row("messages accepted", len(sent), report["accepted"]),
        Row("recipients accepted", sum(r.envelope.rate_cost for r in sent), report["recipients"]),
        Row(
            "accepted under the same MessageId",
            len(sent),
            sum(taken.get(r.message_id or "") == r.id for r in sent),
        ),
        Row(
            "held, and never offered to SES", len(view.held()), sum(id not in offered for id in view.records)
        ),
        Row(
            "calls that SES refused",
            sum(map(_refused, records)),
            sum(report["refused"].values()) - report["throttles"],
        ),
        Row("recipients in the fullest day", view.usage.last_24h, report["max_recipients_in_24h"]),
        Row("… in the fastest second at 1/s", _range(sent, ses.raised_at), ses.fastest_second(ses.raised_at)),
        Row("… in the fastest second of all", _range(sent), report["max_recipients_in_1s"]),
        Row("calls that SES throttled", view.usage.throttles, report["throttles"], allowed=0),
        Row("mails sent twice", sum(map(_repeats, records)), report["duplicates"], allowed=0),
    ]


def _refused(record: Record) -> int:
    """Counts calls that ended without a MessageId. A throttled call costs no attempt, and has a row of its own."""
    return record.attempts - (record.message_id is not None)


def _repeats(record: Record) -> int:
    return max(0, sum(event.state is State.SENT for event in record.history) - 1)


def _range(sent: Iterable[Record], until: float = float("inf")) -> tuple[int, int]:
    """Counts the fastest second as the queue can know it: SES took each mail between its claim and its answer.

    Returns how many surely were in one second, and how many may have been.
    """
    spans = [(claimed_at(record), sent_at(record), record.envelope.rate_cost) for record in sent]
    surely = [span for span in spans if span[1] < until]
    maybe = [span for span in spans if span[0] < until]
    least = (sum(n for a, b, n in surely if start <= a and b < start + SECOND) for start, _, _ in surely)
    most = (sum(n for a, b, n in maybe if a < start + SECOND and start <= b) for _, start, _ in maybe)
    return _most(least), _most(most)


def _most(counts: Iterable[int]) -> int:
    return max(counts, default=0)
