"""What is to be sent, as whom, and when to stop: a batch before it is begun."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from sesq.config.errors import InvalidMessage, InvalidPolicy
from sesq.config.send_windows import SendWindow, parse_window
from sesq.producer import rules
from sesq.producer.batch.csv_rows import RECIPIENT
from sesq.producer.batch.template import Template
from sesq.producer.moments import instant
from sesq.queue.addresses import wire_form
from sesq.queue.envelope import Envelope
from sesq.queue.job import KEEP_SECONDS

ID_LENGTH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """A batch to be sent. `key` identifies its rows, as the digest of their file does."""

    template: Template
    envelope: Envelope
    key: str
    account: str = "default"
    keep_seconds: int = KEEP_SECONDS
    stop_bounces: float | None = None
    stop_complaints: float | None = None
    starts_at: datetime | None = None
    """In UTC; None: at once."""
    window: SendWindow | None = None
    """The send window outside which nothing of the batch goes."""
    zone_column: str | None = None
    """The column that names a row's own time zone, which replaces the window's zone."""

    def id(self, generation: int = 0) -> str:
        """Returns the batch's id, the same for the same template, sender, options and rows.

        `generation`: how many times they were sent before.
        """
        parts = (self.account, self.envelope.to_json(), self.template.digest, self.key, str(generation))
        return sha256("\n".join(parts).encode()).hexdigest()[:ID_LENGTH]


def batch_request(
    template: Template | str | Path,
    sender: str,
    key: str,
    *,
    account: str = "default",
    tags: Mapping[str, str] | None = None,
    configuration_set: str | None = None,
    tenant: str | None = None,
    feedback_to: str | None = None,
    contact_list: str | None = None,
    topic: str | None = None,
    track: bool | None = None,
    stop_bounces: float | None = None,
    stop_complaints: float | None = None,
    starts_at: datetime | None = None,
    window: str | None = None,
    zone_column: str | None = None,
    keep_seconds: int = KEEP_SECONDS,
) -> BatchRequest:
    """Checks a request for a batch. Raises InvalidTemplate and InvalidMessage."""
    if not isinstance(template, Template):
        template = Template.read(template)
    rules.check_account(account)
    if configuration_set is not None:
        rules.check_configuration_set(configuration_set)
    if tenant is not None:
        rules.check_tenant(tenant)
    if contact_list is not None or topic is not None:
        rules.check_list(contact_list, topic, recipients=1)
    for name, share in (("stop_bounces", stop_bounces), ("stop_complaints", stop_complaints)):
        if share is not None and not 0 <= share <= 100:
            raise InvalidMessage(name, f"{share} is no share in %, from 0 to 100")
    envelope = Envelope(
        sender=wire_form(sender, "sender"),
        reply_to=template.reply_to,
        subject=template.subject,
        tags=rules.check_tags(tags) if tags else {},
        configuration_set=configuration_set,
        tenant=tenant,
        feedback_to=None if feedback_to is None else rules.feedback_address(feedback_to),
        contact_list=contact_list,
        topic=topic,
        track=None if track is None else rules.track_word(track),
        kind="row",
    )
    return BatchRequest(
        template=template,
        envelope=envelope,
        key=key,
        account=account,
        keep_seconds=keep_seconds,
        stop_bounces=stop_bounces,
        stop_complaints=stop_complaints,
        starts_at=instant(starts_at, "starts_at"),
        window=_read_window(window),
        zone_column=_checked_column(zone_column, window),
    )


def _read_window(text: str | None) -> SendWindow | None:
    try:
        return None if text is None else parse_window(text)
    except InvalidPolicy as error:
        raise InvalidMessage("window", str(error)) from error


def _checked_column(column: str | None, window: str | None) -> str | None:
    if column is None:
        return None
    if window is None:
        raise InvalidMessage("zone_column", "needs a window: its hours are then meant in those time zones")
    if not column.strip() or column.strip() == RECIPIENT:
        raise InvalidMessage("zone_column", f"{column!r} is no column of time zones")
    return column.strip()
