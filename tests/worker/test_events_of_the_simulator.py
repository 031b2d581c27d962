"""The table of events, row by row, with events of the simulator: real boto3, its queue, real Redis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from redis import Redis

from event_rows import ADA, DELAYED, PASSED_ON, ROWS, Told
from sesq.queue.reputation import Reputation
from sesq.queue.states import State
from sesq.queue.suppression import SuppressionList
from sesq.simulator import Simulator
from sesq.simulator.events.fate import REASONS
from sesq.worker.events import Feedback, Handled
from sesq.worker.events.queue import QueueReader
from sesq.worker.transports import SesTransport
from sesq.worker.transports.client import AwsClient, ClientSettings
from stage import Stage

EICAR = r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
UNKNOWN = "AnotherYear"


def fate_of(kind: str, detail: dict[str, Any]) -> str:
    """What the simulator is asked for to send such an event; '' where it follows from the mail, or cannot be had."""
    if kind == "Bounce":
        name, subtype = detail["bounceType"], detail["bounceSubType"]
        return "bounce:Transient" if (name, subtype) == ("Transient", "General") else f"bounce:{subtype}"
    if kind == "Complaint":
        reason = detail["complaintSubType"] or detail.get("complaintFeedbackType")
        return f"complaint:{reason}" if reason else ""
    if kind == "DeliveryDelay":
        return f"delay:{detail['delayType']}"
    return kind.lower() if kind in ("Delivery", "Open", "Click", "Subscription") else ""


FATES = [
    (fate, told)
    for fate, told in ((fate_of(kind, detail), told) for kind, detail, told in ROWS)
    if fate and UNKNOWN.lower() not in fate.replace("-", "").lower()
]


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
def reader(stage: Stage, ses: Simulator) -> Iterator[QueueReader]:
    sqs = boto3.client("sqs", region_name="us-east-1", endpoint_url=ses.endpoint_url)
    yield QueueReader(sqs, f"{ses.endpoint_url}/000000000000/events", Feedback(stage.redis, "default"))
    sqs.close()


def left(stage: Stage, id: str) -> Told:
    standing = Reputation(stage.redis).read()
    counted = " ".join(name for name in ("sent", "bounced", "complained") if getattr(standing, name))
    return Told(stage.state(id), counted, " ".join(each.reason for each in SuppressionList(stage.redis)))


@pytest.mark.parametrize(("fate", "told"), FATES)
def test_a_row_of_the_table(fate: str, told: Told, stage: Stage, ses: Simulator, reader: QueueReader) -> None:
    # Given a message that the simulator has taken
    id = stage.queue(ADA)
    stage.work()
    ses.set_events(queue="events")
    # When it tells that of it
    ses.tell(str(stage.status(id).message_id), fate)
    reader.run(until_empty=True)
    # Then the message is where the table says
    assert left(stage, id) == told
    passed_on = told is PASSED_ON and fate.isalpha()
    assert reader.counts == {Handled.PASSED_ON if passed_on else Handled.APPLIED: 1}
    assert bool(stage.status(id).delayed_because) is (told is DELAYED and fate.startswith("delay:"))


def test_each_fate_of_the_simulator_is_in_the_table() -> None:
    of_simulator = {f"{fate}:{reason}" for fate, reasons in REASONS.items() for reason in reasons}
    assert of_simulator == {fate for fate, _ in FATES if ":" in fate}


def test_what_follows_from_the_mail_itself(stage: Stage, ses: Simulator, reader: QueueReader) -> None:
    ses.set_events(queue="events", fates={ADA: "delivery"})
    delivered = stage.queue(ADA)
    rejected = stage.queue(ADA, text=EICAR)
    stage.work()
    reader.run(until_empty=True)
    assert (stage.state(delivered), stage.state(rejected)) == (State.DELIVERED, State.BOUNCED)
    assert "did not send it on: Bad content" in stage.status(rejected).reason
    assert left(stage, delivered) == Told(State.DELIVERED, "sent")
    assert reader.counts == {Handled.APPLIED: 3}


def test_a_delay_is_over_when_the_mail_is_delivered(
    stage: Stage, ses: Simulator, reader: QueueReader
) -> None:
    ses.set_events(queue="events", fates={ADA: "delay:MailboxFull"})
    id = stage.queue(ADA)
    stage.work()
    reader.run(until_empty=True)
    record = stage.status(id)
    assert (record.state, record.delayed_because) == (State.DELIVERED, "")
    assert any(each.reason.startswith(f"delayed to {ADA} (MailboxFull)") for each in record.history)


def test_the_greeting_of_a_topic_is_a_notice(stage: Stage, ses: Simulator) -> None:
    # Given a configuration set that tells a topic
    client = AwsClient(ClientSettings(region="us-east-1", endpoint_url=ses.endpoint_url))
    client.api.create_configuration_set(ConfigurationSetName="news")
    client.api.create_configuration_set_event_destination(
        ConfigurationSetName="news",
        EventDestinationName="events",
        EventDestination={
            "Enabled": True,
            "MatchingEventTypes": ["SEND"],
            "SnsDestination": {"TopicArn": "arn:aws:sns:us-east-1:000000000000:events"},
        },
    )
    client.close()
    # When its queue is read
    feedback = Feedback(stage.redis, "default")
    sqs = boto3.client("sqs", region_name="us-east-1", endpoint_url=ses.endpoint_url)
    QueueReader(sqs, f"{ses.endpoint_url}/000000000000/events", feedback).run(until_empty=True)
    sqs.close()
    # Then the greeting is known for what it is
    assert [notice["kind"] for notice in feedback.notices()] == ["greeting"]
    assert feedback.poison() == []
