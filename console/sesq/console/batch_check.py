"""Checks every row of a batch as it will be when it is queued, and queues nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis import Redis

from sesq.config.errors import InvalidMessage, InvalidTemplate
from sesq.console.batch_plan import Plan, plan
from sesq.console.times import utc
from sesq.producer.attachment import Attachment
from sesq.producer.batch.batch_intake import BatchIntake, parts, sift
from sesq.producer.batch.csv_rows import RECIPIENT, SourceRow
from sesq.producer.batch.request import BatchRequest
from sesq.producer.batch.row_validator import RowValidator, Why
from sesq.producer.batch.zones import RowZones
from sesq.queue.addresses import spec_of
from sesq.queue.chunks import Row
from sesq.queue.identities import Identities, unverified
from sesq.queue.snapshot import Snapshot, read_identities, read_snapshot
from sesq.queue.suppression import SuppressionList

PREVIEWS = 3


@dataclass(frozen=True, slots=True)
class Preview:
    """One mail as its recipient will see it; `size` in bytes."""

    to: str
    subject: str
    text: str | None
    html: str | None
    size: int


@dataclass(slots=True)
class Check:
    """`held`: recipients that would wait, since SES would refuse them now. `sender_problem`: why all would wait.

    `attachments`: what goes with every mail; `unused`: files of the template's folder that do not.
    """

    intake: BatchIntake
    attachments: tuple[Attachment, ...] = ()
    unused: tuple[str, ...] = ()
    previews: list[Preview] = field(default_factory=list)
    held: int = 0
    sender_problem: str | None = None
    plan: Plan | None = None

    @property
    def ready(self) -> int:
        """Recipients that will go."""
        return self.intake.queued - self.held

    def as_json(self) -> dict[str, Any]:
        left_out = self.intake.left_out
        days = self.plan.days if self.plan else {}
        return {
            "rows": self.intake.rows,
            "ready": self.ready,
            "held": self.held,
            "invalid": left_out[Why.INVALID],
            "duplicates": left_out[Why.DUPLICATE],
            "suppressed": left_out[Why.SUPPRESSED],
            "problems": [
                {"line": each.line, "why": each.why.value, "reason": each.reason}
                for each in self.intake.problems
            ],
            "attachments": [{"name": each.name, "size": len(each.content)} for each in self.attachments],
            "unused": list(self.unused),
            "sender_problem": self.sender_problem,
            "account_known": self.plan is not None and self.plan.known,
            "ahead": self.plan.ahead if self.plan else 0,
            "ends_at": utc(self.plan.ends_at) if self.plan else None,
            "outside": self.plan.outside if self.plan else "",
            "days": [{"date": day, "recipients": count} for day, count in days.items()],
            "previews": [
                {
                    "to": each.to,
                    "subject": each.subject,
                    "text": each.text,
                    "html": each.html,
                    "size": each.size,
                }
                for each in self.previews
            ],
        }


def check(
    redis: Redis, request: BatchRequest, rows: Iterable[SourceRow], progress: Callable[[int], object] = int
) -> Check:
    """Checks all rows, and renders the mail of each.

    Raises InvalidRows for the file, and InvalidTemplate if it can render none of the first rows.
    """
    zones = RowZones(request.window, request.zone_column)
    validator = RowValidator(request.template.renderer, check=zones.check)
    windows: Counter[str] = Counter()
    found = Check(BatchIntake(""), request.template.attachments, request.template.unused)
    snapshot, identities = read_snapshot(redis, request.account), read_identities(redis, request.account)
    senders = request.envelope.senders
    if snapshot.listed and (
        wrong_senders := [each for each in senders if not identities.covers_sender(each)]
    ):
        found.sender_problem = f"sender {wrong_senders[0]} is not verified"
    listed = SuppressionList(redis, request.account)
    for part in parts(rows):
        for source, row in sift(part, validator, found.intake, listed):
            if row is None:
                continue
            held = _is_held(snapshot, identities, senders, row)
            found.held += held
            windows[zones.window_of(zones.zone_of(source.values))] += not held
            if len(found.previews) < PREVIEWS:
                found.previews.append(_preview(request, row, source.line))
        wrong = found.intake.unprintable
        if wrong is not None and not found.previews:
            raise InvalidTemplate(f"{wrong.reason} (the row of line {wrong.line})")
        progress(found.intake.rows)
    found.plan = plan(
        redis,
        request.account,
        found.ready,
        stuck=found.held,
        starts_at=request.starts_at.timestamp() if request.starts_at else None,
        windows=windows,
        tenant=request.envelope.tenant or "",
    )
    return found


def _is_held(snapshot: Snapshot, identities: Identities, senders: Sequence[str], row: Row) -> bool:
    return snapshot.listed and bool(unverified(identities, snapshot.production, senders, (spec_of(row.to),)))


def _preview(request: BatchRequest, row: Row, line: int) -> Preview:
    values = {**row.values, RECIPIENT: spec_of(row.to)}
    try:
        content = request.template.renderer.content(values)
        mail = request.template.renderer.mail(request.envelope, content)
    except InvalidMessage as error:
        raise InvalidMessage(error.field, f"{error.problem} (the row of line {line})") from error
    size = len(mail if isinstance(mail, bytes) else mail.to_bytes())
    return Preview(row.to, content.subject, content.text, content.html, size)
