"""Events through real clients: the simulator's queue, and moto for what AWS has besides SES."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import HTTPClientError
from moto import mock_aws
from redis import Redis

from sesq.config.errors import QueueUnavailable
from sesq.queue.policy import Policy
from sesq.queue.reputation import LEAST_SENT
from sesq.queue.states import State
from sesq.simulator import Simulator
from sesq.worker.account import ControlCalls
from sesq.worker.control import ControlRefused, SesControl
from sesq.worker.events import Feedback, Handled
from sesq.worker.events.queue import AGAIN_SECONDS, QueueReader
from sesq.worker.events.setup import EVENT_TYPES, create, planned
from sesq.worker.transports import SesTransport
from sesq.worker.transports.client import AwsClient, ClientSettings
from stage import Stage


@pytest.fixture
def ses(aws_environment: None) -> Iterator[Simulator]:
    with Simulator(production=True, control_rate=None, max_send_rate=1000, verified=["example.com"]) as ses:
        yield ses


@pytest.fixture
def stage(redis: Redis, ses: Simulator) -> Iterator[Stage]:
    """A worker's side whose mail goes to the simulator."""
    stage = Stage(redis)
    transport = SesTransport(AwsClient(ClientSettings(region="us-east-1", endpoint_url=ses.endpoint_url)))
    stage.sender.transport = transport
    yield stage
    transport.close()


@pytest.fixture
def reader(stage: Stage, ses: Simulator) -> QueueReader:
    ses.set_events(queue="events")
    sqs = boto3.client("sqs", region_name="us-east-1", endpoint_url=ses.endpoint_url)
    return QueueReader(sqs, f"{ses.endpoint_url}/000000000000/events", Feedback(stage.redis, "default"))


def waiting(ses: Simulator) -> int:
    return int(ses.set_events(queue="events")["waiting"]["events"])


def test_a_reader_notes_when_it_asked_although_nothing_came(stage: Stage, reader: QueueReader) -> None:
    assert reader.read(0) == 0
    assert stage.redis.hgetall(stage.keys.reputation) == {b"read_at": str(stage.now).encode()}


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_message_is_sent_delivered_or_bounced(
    wrapped: bool, stage: Stage, ses: Simulator, reader: QueueReader
) -> None:
    # Given events bare and as SNS wraps them
    ses.set_events(
        queue="events", wrapped=wrapped, fates={"bob@example.org": "bounce", "eve@example.org": "complaint"}
    )
    ids = [stage.queue(to) for to in ("ada@example.org", "bob@example.org", "eve@example.org")]
    stage.work()
    # When they are read
    reader.run(until_empty=True)
    # Then each message is where SES says, and the queue is empty
    assert [stage.state(id) for id in ids] == [State.DELIVERED, State.BOUNCED, State.COMPLAINED]
    assert reader.counts == {Handled.APPLIED: 7}
    assert waiting(ses) == 0


def test_mail_that_is_told_of_after_its_bounces_is_judged_too(stage: Stage, reader: QueueReader) -> None:
    # Given bounces that came before the events of the mail that they are a share of
    hour = int(stage.now // 3600)
    counts = {f"{hour}:sent": LEAST_SENT - 1, f"{hour}:bounced": 60}
    stage.redis.hset(stage.keys.reputation, mapping=counts)
    # When that comes, and bounces no more
    stage.queue()
    stage.work()
    reader.run(until_empty=True)
    # Then bulk mail is paused
    assert "12.00% bounces" in Policy(stage.redis).bulk_paused


def test_what_cannot_be_done_now_stays_in_the_queue(
    stage: Stage, ses: Simulator, reader: QueueReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given Redis away after the first of two events
    id = stage.queue()
    stage.work()
    handle, calls = Feedback.handle, iter((True, False))

    def away(self: Feedback, body: str) -> Handled:
        if next(calls):
            return handle(self, body)
        raise QueueUnavailable("Redis is away")

    monkeypatch.setattr(Feedback, "handle", away)
    with pytest.raises(QueueUnavailable):
        reader.run(until_empty=True)
    monkeypatch.setattr(Feedback, "handle", handle)
    # When it is back, then the other one comes again
    ses.advance(AGAIN_SECONDS + 1)
    reader.run(until_empty=True)
    assert stage.state(id) is State.DELIVERED
    assert reader.counts == {Handled.APPLIED: 2}


def test_what_comes_too_early_comes_again(
    stage: Stage, ses: Simulator, reader: QueueReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = stage.queue()
    stage.work()
    handle = Feedback.handle
    monkeypatch.setattr(Feedback, "handle", lambda self, body: Handled.EARLY)
    reader.run(until_empty=True)
    monkeypatch.setattr(Feedback, "handle", handle)
    ses.advance(AGAIN_SECONDS + 1)
    reader.run(until_empty=True)
    assert stage.state(id) is State.DELIVERED


def test_a_reader_goes_on_where_aws_is_away_and_stops_when_told(stage: Stage, ses: Simulator) -> None:
    sqs = boto3.client("sqs", region_name="us-east-1", endpoint_url=ses.endpoint_url)
    reader = QueueReader(sqs, f"{ses.endpoint_url}/000000000000/gone", Feedback(stage.redis, "default"))
    with pytest.raises(ControlRefused, match="does not exist"):
        reader.run(until_empty=True)
    running = threading.Thread(target=reader.run)
    running.start()
    reader.stop()
    running.join(30)
    assert not running.is_alive()


def test_the_pauses_grow_and_begin_anew_once_sqs_has_answered(
    stage: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Sqs:
        """It answers a poll now and then, and ends the reader after the last one."""

        answers = iter([False, False, False, False, True, False, True, False, False])

        def receive_message(self, **_: Any) -> dict[str, Any]:
            answers = next(self.answers, None)
            if answers is None:
                reader.stop()
            elif not answers:
                raise HTTPClientError(error=OSError())
            return {}

    monkeypatch.setattr("sesq.worker.events.queue.BACKOFF_SECONDS", (0.001, 0.002, 0.003))
    reader = QueueReader(Sqs(), "http://127.0.0.1/queue", Feedback(stage.redis, "default"))
    reader.run()
    pauses = re.findall(r"trying again in ([\d.]+) s", caplog.text)
    assert pauses == ["0.001", "0.002", "0.003", "0.003", "0.001", "0.001", "0.002"]


def test_a_poll_that_is_cut_short_to_stop_is_no_trouble(stage: Stage, caplog: Any) -> None:
    class Cut:
        """SQS whose poll ends, as boto3 tells it, when the reader is stopped."""

        def receive_message(self, **_: Any) -> None:
            reader.stop()
            raise HTTPClientError(error=SystemExit())

    reader = QueueReader(Cut(), "http://127.0.0.1/queue", Feedback(stage.redis, "default"))
    reader.run()
    assert caplog.text == ""


# what `sesq events setup` makes -------------------------------------------------------------------------------------


@pytest.fixture
def aws(ses: Simulator) -> Iterator[dict[str, Any]]:
    """moto for SNS and SQS, the simulator for SES."""
    with mock_aws():
        client = AwsClient(ClientSettings(region="us-east-1", endpoint_url=ses.endpoint_url))
        yield {"ses": client, "sns": client.service("sns"), "sqs": client.service("sqs")}
        client.close()


def make(redis: Redis, aws: dict[str, Any]) -> Any:
    calls = ControlCalls(redis, "default", sleep=lambda _: redis.delete("sesq:default:control"))
    return create("sesq-events", SesControl(aws["ses"], calls), aws["sns"], aws["sqs"])


def test_everything_is_made_and_may_be_made_again(redis: Redis, aws: dict[str, Any]) -> None:
    made = [make(redis, aws) for _ in range(2)]
    assert made[0] == made[1]
    account_id = made[0].topic_arn.split(":")[4]
    assert made[0].topic_arn == planned("sesq-events", "us-east-1", account_id).topic_arn
    assert made[0].queue_arn == planned("sesq-events", "us-east-1", account_id).queue_arn
    (destination,) = aws["ses"].api.get_configuration_set_event_destinations(
        ConfigurationSetName="sesq-events"
    )["EventDestinations"]
    assert destination["SnsDestination"] == {"TopicArn": made[0].topic_arn}
    assert set(destination["MatchingEventTypes"]) == set(EVENT_TYPES)
    assert destination["Enabled"]
    policies = [
        aws["sns"].get_topic_attributes(TopicArn=made[0].topic_arn)["Attributes"]["Policy"],
        aws["sqs"].get_queue_attributes(QueueUrl=made[0].queue_url, AttributeNames=["Policy"])["Attributes"][
            "Policy"
        ],
    ]
    (of_topic,), (of_queue,) = (json.loads(policy)["Statement"] for policy in policies)
    assert of_topic["Condition"]["StringEquals"]["AWS:SourceArn"].endswith(":configuration-set/sesq-events")
    assert of_queue["Condition"] == {"ArnEquals": {"aws:SourceArn": made[0].topic_arn}}
    (subscription,) = aws["sns"].list_subscriptions_by_topic(TopicArn=made[0].topic_arn)["Subscriptions"]
    attributes = aws["sns"].get_subscription_attributes(SubscriptionArn=subscription["SubscriptionArn"])
    assert attributes["Attributes"]["RawMessageDelivery"] == "true"


def test_what_ses_publishes_arrives_through_what_was_made(redis: Redis, aws: dict[str, Any]) -> None:
    # Given a sent message, and the topic and queue that setup makes
    stage = Stage(redis)
    id = stage.queue()
    stage.work()
    made = make(redis, aws)
    mail = {"messageId": "recorded-1", "destination": ["ada@example.org"], "tags": {"sesq-id": [id]}}
    aws["sns"].publish(
        TopicArn=made.topic_arn, Message="Successfully validated SNS topic for Amazon SES event publishing."
    )
    aws["sns"].publish(
        TopicArn=made.topic_arn, Message=json.dumps({"eventType": "Delivery", "mail": mail, "delivery": {}})
    )
    # When the queue is read
    reader = QueueReader(aws["sqs"], made.queue_url, Feedback(redis, "default"))
    reader.run(until_empty=True)
    # Then the message is delivered
    assert stage.state(id) is State.DELIVERED
    assert reader.counts == {Handled.NOTICE: 1, Handled.APPLIED: 1}
