"""What SES tells of mail comes to the consumers of the stream: changes of a message, and what changes none."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis

from batch_stage import BatchStage
from django_project import MODERN  # noqa: F401  (it configures Django, once for the process)
from event_rows import ADA, bounce, event
from sesq.producer.django.signals import ChangedMessage
from sesq.queue.events import EventReader, MessageEvent, listen
from sesq.worker.events import Feedback


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    stage = BatchStage(redis)
    stage.sync(rate=1000, daily=50_000)
    return stage


def told(redis: Redis, *, recipients: bool = True) -> list[MessageEvent]:
    """The new events."""
    reader = EventReader(redis, "default", "crm", recipients=recipients)
    events = reader.read(block=0.001)
    reader.acknowledge(*(each.id for each in events))
    reader.close()
    return events


def sent(stage: BatchStage) -> str:
    listen(stage.redis, "default", "crm")
    id = stage.queue(ADA)
    stage.work()
    told(stage.redis)
    return id


def test_a_bounce_is_told_once_though_ses_tells_it_twice(stage: BatchStage) -> None:
    id, feedback = sent(stage), Feedback(stage.redis, "default")
    for _ in range(2):
        feedback.handle(event("Bounce", id, bounce("Permanent", "General")))
    (one,) = told(stage.redis)
    assert (one.type, one.message, one.was, one.state) == ("message", id, "sent", "bounced")
    assert one.recipients == (ADA,)
    assert (one.kind, ADA in one.reason) == ("hard", True)


@pytest.mark.parametrize(
    ("kind", "detail", "told_as"),
    [
        ("Bounce", bounce("Transient", "MailboxFull"), "soft"),
        ("Bounce", bounce("Permanent", "OnTenantSuppressionList"), "prevented"),
        ("Reject", {"reason": "Bad content"}, "rejected"),
    ],
)
def test_a_bounce_says_of_what_kind_it_is(
    kind: str, detail: dict[str, Any], told_as: str, stage: BatchStage
) -> None:
    id = sent(stage)
    Feedback(stage.redis, "default").handle(event(kind, id, detail))
    (one,) = told(stage.redis)
    assert (one.state, one.kind) == ("bounced", told_as)


@pytest.mark.parametrize(
    ("kind", "detail", "type_", "event_type"),
    [
        ("Open", {"timestamp": "t", "automated": True}, "opened", "opened"),
        ("Click", {"timestamp": "t", "link": "https://example.com/?a=1"}, "clicked", "clicked"),
        ("Subscription", {"timestamp": "t", "contactList": "news"}, "subscription", "subscription"),
    ],
)
def test_what_changes_no_state_is_told_with_what_ses_says(
    kind: str, detail: dict[str, Any], type_: str, event_type: str, stage: BatchStage
) -> None:
    id, feedback = sent(stage), Feedback(stage.redis, "default")
    for _ in range(2):
        feedback.handle(event(kind, id, detail))
    (one,) = told(stage.redis)
    assert (one.type, one.message, one.was, one.state, one.message_id) == (type_, id, "sent", "sent", "m-1")
    assert one.detail == {**detail, "automated": detail.get("automated"), "recipients": [ADA]}
    assert MessageEvent.from_json(one.to_json()) == one
    changed = ChangedMessage.of(one)
    assert (changed.event_type, changed.reject_reason, changed.detail) == (event_type, None, one.detail)


def test_addresses_come_only_to_those_who_asked_for_them(stage: BatchStage) -> None:
    id = sent(stage)
    Feedback(stage.redis, "default").handle(event("Open", id, {"timestamp": "t"}))
    (one,) = told(stage.redis, recipients=False)
    assert (one.recipients, one.detail) == ((), {"timestamp": "t", "automated": None})
    Feedback(stage.redis, "default").handle(event("Bounce", id, bounce("Permanent", "General")))
    (one,) = told(stage.redis, recipients=False)
    assert "@" not in one.reason
    assert "(address)" in one.reason


def test_an_endless_link_is_left_out(stage: BatchStage) -> None:
    id = sent(stage)
    Feedback(stage.redis, "default").handle(event("Click", id, {"timestamp": "t", "link": "x" * 9000}))
    (one,) = told(stage.redis)
    assert (one.type, one.detail) == ("clicked", {})


def test_a_click_in_a_mail_of_a_batch_names_the_batch_and_its_recipient(stage: BatchStage) -> None:
    listen(stage.redis, "default", "crm")
    batch = stage.take(1).id
    stage.send(1)
    told(stage.redis)
    Feedback(stage.redis, "default").handle(event("Click", f"{batch}-0-0", {"timestamp": "t", "link": "l"}))
    (one,) = told(stage.redis)
    assert (one.type, one.batch, one.lane, one.recipients) == ("clicked", batch, "bulk", ("p0@example.org",))


def test_a_delay_is_told_and_where_nobody_listens_nothing_is(stage: BatchStage) -> None:
    delay = {
        "delayType": "MailboxFull",
        "delayedRecipients": [{"emailAddress": ADA, "diagnosticCode": "452 4.2.2 full"}],
    }
    id, feedback = sent(stage), Feedback(stage.redis, "default")
    feedback.handle(event("DeliveryDelay", id, delay))
    (one,) = told(stage.redis)
    assert (one.type, one.state) == ("delayed", "sent")
    assert one.reason == stage.status(id).delayed_because
    assert ChangedMessage.of(one).event_type == "deferred"
    stage.redis.delete("sesq:default:listening", "sesq:default:events")
    feedback.handle(event("Open", id, {"timestamp": "t"}))
    assert not stage.redis.exists("sesq:default:events")
