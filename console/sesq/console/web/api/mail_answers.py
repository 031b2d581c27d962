"""Models of the API's answers about messages, batches and webhooks, for its description, as in `answers`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sesq.console.web.api.answers import Answer, Time
from sesq.queue.states import State


class HistoryEntry(Answer):
    """A change of a message's state."""

    at: Time
    state: State
    reason: str


class ListedMessage(Answer):
    """A message as a list shows it."""

    id: str
    account: str
    state: State
    reason: str
    lane: str
    from_: str = Field(alias="from")
    to: list[str]
    cc: list[str]
    bcc: list[str]
    subject: str
    tags: dict[str, str]
    tenant: str | None
    feedback_to: str | None
    contact_list: str | None
    topic: str | None
    track: bool | None
    attempts: int
    created: Time
    since: Time
    send_at: Time | None
    expires_at: Time | None
    message_id: str | None
    hold: str | None
    delayed_because: str
    history: list[HistoryEntry]


class OneMessage(ListedMessage):
    """A message, why it waits, and when it goes."""

    waits_because: str
    goes_at: Time | None


class MessagePage(Answer):
    """Messages, and where the next page begins."""

    messages: list[ListedMessage]
    next: str | None
    looked_at: int


class NewMessage(Answer):
    """The message that was queued."""

    id: str


class Done(Answer):
    """The ids of the changed messages, and for each other message why it was not changed."""

    done: list[str]
    problems: dict[str, str]


class WaitedFor(Answer):
    """What held messages wait for."""

    waiting: str
    reason: str
    messages: int


class Counted(Answer):
    """How many messages an act would change now, and what is said of them. If the count is not `complete`, at least so
    many match."""

    act: str
    words: str
    number: int
    at: Time
    complete: bool


class ActNow(Answer):
    """An act on all messages that match, and its progress; `at`: when its last step ended."""

    id: str
    state: Literal["running", "interrupted", "stopping", "ended"]
    what: str
    by: str
    at: Time
    number: int
    complete: bool
    done: int
    refused: int
    reasons: list[str]


class BatchNow(Answer):
    """A batch and its progress."""

    id: str
    name: str
    state: str
    reason: str
    window: str
    zone_column: str
    total: int
    sent: int
    waiting: int
    counts: dict[State, int]
    created: Time
    ended: Time | None


class LeftOutRow(Answer):
    """A row that is left out, and why."""

    line: int
    why: str
    reason: str


class FileNow(Answer):
    """A file that is attached to every mail, and its size in bytes."""

    name: str
    size: int


class DayOfBatch(Answer):
    """How many recipients get their mail on one day."""

    date: str
    recipients: int


class PreviewOfMail(Answer):
    """One mail as its recipient will see it; `size` in bytes."""

    to: str
    subject: str
    text: str | None
    html: str | None
    size: int


class BatchCheck(Answer):
    """What would happen to a batch, as in `sesq batch check --json`."""

    rows: int
    ready: int
    held: int
    invalid: int
    duplicates: int
    suppressed: int
    problems: list[LeftOutRow]
    attachments: list[FileNow]
    unused: list[str]
    sender_problem: str | None
    account_known: bool
    ahead: int
    ends_at: Time | None
    outside: str
    days: list[DayOfBatch]
    previews: list[PreviewOfMail]


class NewBatchAnswer(BatchCheck):
    """The new batch, and what its check found."""

    id: str
    queued: int


class RecipientNow(Answer):
    """A recipient of a batch."""

    id: str
    to: str
    state: State
    message_id: str | None
    at: Time | None
    reason: str


class WebhookNow(Answer):
    """A webhook and its state."""

    name: str
    url: str | None
    events: list[str] | None
    recipients: bool
    configured: bool
    running: bool
    state: str
    why: str
    delivered: int
    waiting: int
    given_up: int
    dropped: int
    last_ok: Time | None
    failing_since: Time | None
    disabled_at: Time | None


class Webhooks(Answer):
    """Every webhook of the account."""

    webhooks: list[WebhookNow]


class DeadEvent(Answer):
    """An event that was given up."""

    event: str
    webhook_id: str
    type: str
    message: str | None
    state: str | None
    told_at: Time
    given_up_at: Time
    attempts: int
    why: str


class DeadEvents(Answer):
    """The events that were given up."""

    events: list[DeadEvent]


class Retried(Answer):
    """The ids of the events that are delivered again."""

    events: list[str]


class Enabled(Answer):
    """Whether it was disabled before."""

    enabled: bool


class Disabled(Answer):
    """That the webhook is disabled."""

    disabled: bool
