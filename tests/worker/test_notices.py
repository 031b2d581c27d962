"""What comes with the events and is none, and is known for what it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from redis import Redis

from sesq.worker.events import Feedback, Handled
from stage import Stage

TOPIC = "arn:aws:sns:us-east-1:123456789012:mail"
IDENTITY = "arn:aws:ses:us-east-1:123456789012:identity/example.com"
GREETING = "Successfully validated SNS topic for Amazon SES event publishing."


def by_sns(message: str | dict[str, Any], id: str = "sns-1") -> dict[str, Any]:
    text = message if isinstance(message, str) else json.dumps(message)
    return {"Type": "Notification", "MessageId": id, "TopicArn": TOPIC, "Message": text}


def by_eventbridge(kind: str, detail: dict[str, Any], *resources: str) -> dict[str, Any]:
    return {
        "version": "0",
        "id": f"of {kind}",
        "detail-type": kind,
        "source": "aws.ses",
        "account": "123456789012",
        "region": "us-east-1",
        "resources": list(resources),
        "detail": detail,
    }


def status(word: str) -> dict[str, Any]:
    record = {"status": word, "cause": "MANUAL"}
    return {"version": "1.0.0", "data": {"origin": "AWS_SES", "record": record}}


SUBSCRIBED = {
    "notificationType": "AmazonSnsSubscriptionSucceeded",
    "message": "You have successfully subscribed your Amazon SNS topic to receive 'Bounce' notifications.",
}
RECEIVED = {
    "notificationType": "Received",
    "mail": {"messageId": "abc", "source": "ada@example.org", "destination": ["shop@example.com"]},
    "receipt": {},
}
CONFIRMATION = {"MessageId": "sns-2", "Token": "secret-token", "TopicArn": TOPIC, "Message": "You have …"}
PAUSE, ADVICE = "Sending Status Disabled", "Advisor Recommendation Status Open"
NOTICES: list[tuple[str | dict[str, Any], str, str, bool]] = [
    (GREETING, "greeting", "publishes its events there", False),
    (by_sns(GREETING), "greeting", "publishes its events there", False),
    (by_sns(SUBSCRIBED), "identity notice", "'Bounce' notifications", False),
    (SUBSCRIBED, "identity notice", "'Bounce' notifications", False),
    ({"Type": "SubscriptionConfirmation", **CONFIRMATION}, "subscription to be confirmed", TOPIC, True),
    ({"Type": "UnsubscribeConfirmation", **CONFIRMATION}, "subscription ended", TOPIC, True),
    (by_sns(RECEIVED), "received mail", "ada@example.org", False),
    (
        by_eventbridge(PAUSE, status("DISABLED")),
        "sending paused",
        "account 123456789012 in us-east-1; the cause: MANUAL",
        True,
    ),
    (by_sns(by_eventbridge(PAUSE, status("DISABLED"), IDENTITY)), "sending paused", IDENTITY, True),
    (
        by_eventbridge("Sending Status Enabled", status("ENABLED"), IDENTITY),
        "sending resumed",
        IDENTITY,
        False,
    ),
    (by_eventbridge(ADVICE, {"data": {"status": "OPEN"}}, IDENTITY), "advice", IDENTITY, True),
    (
        by_eventbridge("Advisor Recommendation Status Resolved", {}, IDENTITY),
        "account notice",
        "Advisor Recommendation Status Resolved",
        False,
    ),
    (by_eventbridge("Something New", {"a": 1}), "account notice", "Something New", False),
    (by_eventbridge("", {}), "account notice", "123456789012", False),
]


@pytest.fixture
def feedback(redis: Redis) -> Feedback:
    return Feedback(redis, "default")


@pytest.mark.parametrize(("told", "kind", "words", "urgent"), NOTICES)
def test_a_known_kind_is_shown_for_what_it_is_once(
    told: str | dict[str, Any], kind: str, words: str, urgent: bool, feedback: Feedback, caplog: Any
) -> None:
    # When it comes, twice
    body = told if isinstance(told, str) else json.dumps(told)
    assert [feedback.handle(body) for _ in range(2)] == [Handled.NOTICE] * 2
    # Then people see it once, and it is no poison; what asks for somebody is a warning
    (notice,) = feedback.notices()
    assert (notice["kind"], words in str(notice["text"])) == (kind, True)
    assert feedback.poison() == []
    assert [record.levelname for record in caplog.records if record.levelname == "WARNING"] == [
        "WARNING"
    ] * urgent
    assert "secret-token" not in caplog.text + json.dumps(notice)


def test_the_newest_come_first_and_only_so_many_are_kept(
    redis: Redis, feedback: Feedback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sesq.worker.events.feedback.NOTICES_KEPT", 2)
    stage = Stage(redis)
    for number in range(3):
        feedback.handle(json.dumps(by_eventbridge(f"Number {number}", {})))
        stage.pass_time(1)
    told = [str(notice["text"]) for notice in feedback.notices()]
    assert [text.partition(",")[0] for text in told] == ["Number 2", "Number 1"]


def test_an_entry_that_is_damaged_hides_no_other(redis: Redis, feedback: Feedback) -> None:
    feedback.handle(GREETING)
    for damaged in ("{", "[]", "{}", b"\xff"):
        redis.zadd(feedback.keys.notices, {damaged: 1})
    assert {notice["kind"] for notice in feedback.notices()} == {"greeting", ""}
