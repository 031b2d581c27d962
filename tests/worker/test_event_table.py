"""What each value that SES documents means, row by row: real Redis, and what it leaves there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from redis import Redis

from agreement import assert_agreement
from batch_stage import BatchStage
from event_rows import ADA, BOB, COMPLAINED, DELIVERED, PASSED_ON, ROWS, SENT, Told, bounce, complaint, event
from sesq.queue.messages import Messages
from sesq.queue.reputation import Reputation
from sesq.queue.results import SendResult
from sesq.queue.states import State
from sesq.queue.suppression import Suppressed, SuppressionList
from sesq.worker.events import Feedback, Handled
from sesq.worker.verdicts import Kind
from stage import Stage, says


def name_of(row: Any) -> str | None:
    if isinstance(row, dict):
        names = ("bounceType", "bounceSubType", "complaintSubType", "complaintFeedbackType", "delayType")
        return "/".join(str(row[name]) for name in names if row.get(name)) or "-"
    return row if isinstance(row, str) else ""


def left(redis: Redis) -> tuple[str, str]:
    """What was counted, and for what somebody was suppressed."""
    standing = Reputation(redis).read()
    counted = [name for name in ("sent", "bounced", "complained") if getattr(standing, name)]
    return " ".join(counted), " ".join(entry.reason for entry in SuppressionList(redis))


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(redis)


@pytest.fixture
def feedback(redis: Redis) -> Feedback:
    return Feedback(redis, "default")


def sent(stage: Stage, *to: str) -> str:
    id = stage.queue(list(to) or ADA)
    stage.work()
    return id


@pytest.mark.parametrize(("kind", "detail", "told"), ROWS, ids=name_of)
def test_a_row_of_the_table(
    kind: str, detail: dict[str, Any], told: Told, stage: Stage, feedback: Feedback
) -> None:
    # Given a message that was sent
    id = sent(stage)
    # When SES tells of it, twice
    handled = [feedback.handle(event(kind, id, detail)) for _ in range(2)]
    # Then it is where the table says, each value counts once, and nothing of it is set apart
    assert handled == [Handled.PASSED_ON if told is PASSED_ON and kind in PASSED else Handled.APPLIED] * 2
    assert Told(stage.state(id), *left(stage.redis)) == told
    assert feedback.poison() == []
    assert_agreement(stage.redis)


PASSED = ("Open", "Click", "Subscription")


@pytest.mark.parametrize(
    ("kind", "detail", "named"),
    [
        ("Bounce", bounce("Permanent", "OfAnotherYear"), "Bounce, Permanent/OfAnotherYear"),
        ("Bounce", bounce("OfAnotherYear", "New"), "Bounce, OfAnotherYear/New"),
        ("Complaint", complaint("of-another-year"), "Complaint, of-another-year"),
        ("Complaint", complaint(None, "OfAnotherYear"), "Complaint, OfAnotherYear"),
        ("DeliveryDelay", {"delayType": "OfAnotherYear"}, "DeliveryDelay, OfAnotherYear"),
        ("OfAnotherYear", {}, "OfAnotherYear"),
    ],
    ids=name_of,
)
def test_an_unknown_value_is_written_down_and_shown(
    kind: str, detail: dict[str, Any], named: str, stage: Stage, feedback: Feedback
) -> None:
    id = sent(stage)
    feedback.handle(event(kind, id, detail))
    # Then the history of the message names it, and so do the notices, once
    last = named.rpartition(", ")[2].rpartition("/")[2]
    assert last in stage.status(id).history[-1].reason
    feedback.handle(event(kind, sent(stage), detail))
    (notice,) = feedback.notices()
    assert notice["kind"] == "unknown event"
    assert str(notice["text"]).startswith(f"{named}: ")


@pytest.mark.parametrize(
    ("subtype", "why"),
    [
        ("OnTenantSuppressionList", "tenant's suppression list"),
        ("EmailValidationSuppressed", "validation"),
        ("UnsubscribedRecipient", "unsubscribed"),
        ("OnAccountSuppressionList", "account's suppression list"),
    ],
)
def test_the_reason_says_that_ses_did_not_send(
    subtype: str, why: str, stage: Stage, feedback: Feedback
) -> None:
    id = sent(stage)
    feedback.handle(event("Bounce", id, bounce("Permanent", subtype)))
    assert stage.status(id).reason.startswith(f"not sent to {ADA}: ")
    assert why in stage.status(id).reason


# complaints ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_setting", [False, True])
def test_of_several_who_may_have_complained_nobody_is_suppressed_but_by_setting(
    by_setting: bool, stage: Stage
) -> None:
    # Given a complaint of a mail to two, of whom one has complained
    feedback = Feedback(stage.redis, "default", suppress_possible=by_setting)
    id = sent(stage, ADA, BOB)
    feedback.handle(event("Complaint", id, complaint("abuse"), to=(ADA, BOB)))
    # Then it is said, it counts as one complaint, and both or none get no more mail
    assert stage.state(id) is COMPLAINED
    assert stage.status(id).reason == f"abuse by one of {ADA}, {BOB}: SES does not know which"
    assert Reputation(stage.redis).read().complained == 1
    listed = {entry.address for entry in SuppressionList(stage.redis)}
    assert listed == ({ADA, BOB} if by_setting else set())


def test_a_bounce_that_names_nobody_suppresses_nobody_of_several(stage: Stage, feedback: Feedback) -> None:
    told = json.loads(event("Bounce", sent(stage, ADA, BOB), bounce("Permanent", "General"), to=(ADA, BOB)))
    del told["bounce"]["bouncedRecipients"]
    feedback.handle(json.dumps(told))
    assert list(SuppressionList(stage.redis)) == []


@pytest.mark.parametrize(
    ("listed_for", "named", "stays"),
    [
        ("complaint", (ADA,), False),
        ("bounce", (ADA,), True),
        ("manual", (ADA,), True),
        ("complaint", (ADA, BOB), True),
    ],
)
def test_who_says_that_it_is_no_spam_leaves_the_list_where_a_complaint_put_it_there(
    listed_for: str, named: tuple[str, ...], stays: bool, stage: Stage, feedback: Feedback
) -> None:
    ours = SuppressionList(stage.redis)
    ours.add([Suppressed(ADA, listed_for, 5.0, "a test")])
    id = sent(stage, BOB)
    feedback.handle(event("Complaint", id, complaint("not-spam"), to=named))
    assert [entry.address for entry in ours] == ([ADA] if stays else [])
    assert (stage.state(id), Reputation(stage.redis).read().complained) == (SENT, 0)
    assert stage.status(id).history[-1].reason.startswith("not-spam report of ada@example.org")


# a delivery that is delayed -----------------------------------------------------------------------------------------

FULL = {
    "delayType": "MailboxFull",
    "timestamp": "2030-01-01T09:00:00.000Z",
    "expirationTime": "2030-01-01T19:00:00.000Z",
}
DELAYED_BECAUSE = (
    f"delayed to {ADA} (MailboxFull): the mailbox is full; SES tries until 2030-01-01T19:00:00.000Z"
)


def test_a_delay_shows_on_the_message_until_it_has_moved_on(stage: Stage, feedback: Feedback) -> None:
    id = sent(stage)
    assert stage.status(id).delayed_because == ""
    feedback.handle(event("DeliveryDelay", id, FULL))
    record = stage.status(id)
    assert (record.state, record.delayed_because) == (SENT, DELAYED_BECAUSE)
    assert record.as_json()["delayed_because"] == DELAYED_BECAUSE
    assert record.history[-1].reason == DELAYED_BECAUSE
    # And once it is delivered it shows no more, also where the delay comes late
    feedback.handle(event("Delivery", id, {"timestamp": "t", "recipients": [ADA]}))
    assert (stage.state(id), stage.status(id).delayed_because) == (DELIVERED, "")
    feedback.handle(event("DeliveryDelay", id, FULL | {"timestamp": "2030-01-01T09:30:00.000Z"}))
    assert (stage.state(id), stage.status(id).delayed_because) == (DELIVERED, "")


@pytest.mark.parametrize(
    ("kind", "detail"), [("DeliveryDelay", FULL), ("Open", {}), ("Complaint", complaint("auth-failure"))]
)
def test_each_event_proves_that_ses_has_the_message(
    kind: str, detail: dict[str, Any], stage: Stage, feedback: Feedback
) -> None:
    id = stage.queue()
    stage.transport.answer(says(Kind.UNKNOWN))
    stage.work()
    assert stage.state(id) is State.UNKNOWN
    feedback.handle(event(kind, id, detail))
    assert (stage.state(id), stage.status(id).message_id) == (SENT, "m-1")
    assert_agreement(stage.redis)


def test_a_delay_shows_on_a_row_of_a_batch_once(redis: Redis) -> None:
    # Given a row of which only the MessageId is kept
    stage, feedback = BatchStage(redis), Feedback(redis, "default")
    taken = stage.take(2)
    stage.send_all()
    id = f"{taken.id}-0-0"
    # When its delivery is delayed, and SQS brings that twice
    for _ in range(2):
        assert feedback.handle(event("DeliveryDelay", id, FULL)) is Handled.APPLIED
    # Then it has a record that says so, once
    record = Messages(redis).get(id)
    assert (record.state, record.delayed_because) == (SENT, DELAYED_BECAUSE)
    assert [each.reason for each in record.history].count(DELAYED_BECAUSE) == 1
    assert stage.counts(taken.id) == {"sent": 2}
    assert_agreement(redis)


def test_a_delay_that_comes_early_shows_once_the_row_has_a_record(redis: Redis) -> None:
    # Given a row on its way, of which SES tells before its worker has written anything down
    stage, feedback = BatchStage(redis), Feedback(redis, "default")
    taken = stage.take(1)
    _, (begun,) = stage.claim()
    delay = event("DeliveryDelay", begun.id, FULL)
    assert feedback.handle(delay) is Handled.EARLY
    # When the worker does not know whether SES has it, and the event comes again
    stage.gate.settle([SendResult(begun.grant, State.UNKNOWN, "no reply", attempts=1)])
    assert feedback.handle(delay) is Handled.APPLIED
    # Then it is sent, and delayed
    record = Messages(redis).get(f"{taken.id}-0-0")
    assert (record.state, record.delayed_because) == (SENT, DELAYED_BECAUSE)
    assert_agreement(redis)


# what is passed on --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "detail", "automated"),
    [
        ("Open", {"timestamp": "t", "userAgent": "A", "ipAddress": "192.0.2.1"}, None),
        ("Open", {"timestamp": "t", "automated": True}, True),
        ("Click", {"timestamp": "t", "link": "https://example.com/", "isAutomated": "true"}, True),
        ("Click", {"timestamp": "t", "link": "https://example.com/", "isAutomated": False}, False),
        ("Subscription", {"timestamp": "t", "contactList": "news", "source": "UnsubscribeHeader"}, None),
    ],
)
def test_opens_clicks_and_subscriptions_are_passed_on(
    kind: str, detail: dict[str, Any], automated: bool | None, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[Any] = []
    monkeypatch.setattr(Feedback, "pass_on", lambda _, each: passed.append(each))
    id = sent(stage)
    Feedback(stage.redis, "default").handle(event(kind, id, detail))
    (one,) = passed
    assert (one.type, one.id, one.message_id, one.recipients) == (kind, id, "m-1", (ADA,))
    assert (one.automated, one.detail) == (automated, detail)
    assert len(stage.status(id).history) == 3


def test_two_clicks_at_once_on_different_links_are_two(
    feedback: Feedback, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[Any] = []
    monkeypatch.setattr(Feedback, "pass_on", lambda _, each: passed.append(each))
    for link in ("https://example.com/1", "https://example.com/2", "https://example.com/2"):
        feedback.handle(event("Click", "", {"timestamp": "t", "link": link}))
    assert len({each.digest for each in passed}) == 2
