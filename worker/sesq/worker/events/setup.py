"""Creates what SES's events need at AWS: a configuration set, a topic, a queue, and two policies.

SES publishes to an SNS topic, and the topic delivers to an SQS queue. All of them have one name. Objects that exist are
left as they are, or brought up to date.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sesq.worker.control.calls import ControlRefused, SesControl, asked

EVENT_TYPES = (
    "SEND",
    "DELIVERY",
    "DELIVERY_DELAY",
    "BOUNCE",
    "COMPLAINT",
    "REJECT",
    "RENDERING_FAILURE",
    "SUBSCRIPTION",
)
"""Without OPEN and CLICK: with them, SES adds a picture to the mail and changes its links."""
DESTINATION = "sesq"
RETENTION_SECONDS = 14 * 86_400
"""As long as SQS keeps anything: a reader may be away for two weeks."""


@dataclass(frozen=True, slots=True)
class Plumbing:
    """Names the objects that were created, or would be."""

    configuration_set: str
    topic_arn: str
    queue_url: str
    queue_arn: str

    @property
    def settings(self) -> dict[str, str]:
        """The keys for `[accounts.….events]` in sesq.toml."""
        return {
            "configuration_set": self.configuration_set,
            "queue_url": self.queue_url,
            "topic_arn": self.topic_arn,
        }


def planned(name: str, region: str, account_id: str = "<account>") -> Plumbing:
    """Returns the names that everything will have."""
    return Plumbing(
        name,
        f"arn:aws:sns:{region}:{account_id}:{name}",
        f"https://sqs.{region}.amazonaws.com/{account_id}/{name}",
        f"arn:aws:sqs:{region}:{account_id}:{name}",
    )


def topic_policy(made: Plumbing) -> dict[str, Any]:
    """Returns the policy that lets SES publish, only for this account and this configuration set."""
    _, _, _, region, account_id, _ = made.topic_arn.split(":")
    source = f"arn:aws:ses:{region}:{account_id}:configuration-set/{made.configuration_set}"
    condition = {"StringEquals": {"AWS:SourceAccount": account_id, "AWS:SourceArn": source}}
    return _allow("ses.amazonaws.com", "sns:Publish", made.topic_arn, condition)


def queue_policy(made: Plumbing) -> dict[str, Any]:
    """Returns the policy that lets SNS send, only from this topic."""
    return _allow(
        "sns.amazonaws.com",
        "sqs:SendMessage",
        made.queue_arn,
        {"ArnEquals": {"aws:SourceArn": made.topic_arn}},
    )


def event_destination(made: Plumbing) -> dict[str, Any]:
    """Returns the parameter EventDestination of CreateConfigurationSetEventDestination."""
    return {
        "Enabled": True,
        "MatchingEventTypes": list(EVENT_TYPES),
        "SnsDestination": {"TopicArn": made.topic_arn},
    }


def create(name: str, control: SesControl, sns: Any, sqs: Any) -> Plumbing:
    """Creates all objects; may be run again. After ControlRefused or ControlUnavailable, the finished objects stay."""
    topic_arn = asked("create_topic", lambda: sns.create_topic(Name=name))["TopicArn"]
    attributes = {"MessageRetentionPeriod": str(RETENTION_SECONDS)}
    queue_url = asked("create_queue", lambda: sqs.create_queue(QueueName=name, Attributes=attributes))[
        "QueueUrl"
    ]
    found = asked(
        "get_queue_attributes",
        lambda: sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"]),
    )
    made = Plumbing(name, topic_arn, queue_url, found["Attributes"]["QueueArn"])
    _connect(made, sns, sqs)
    _make_ses_tell(made, control)
    return made


def _connect(made: Plumbing, sns: Any, sqs: Any) -> None:
    policy = {"Policy": json.dumps(queue_policy(made))}
    asked(
        "set_queue_attributes", lambda: sqs.set_queue_attributes(QueueUrl=made.queue_url, Attributes=policy)
    )
    asked(
        "set_topic_attributes",
        lambda: sns.set_topic_attributes(
            TopicArn=made.topic_arn, AttributeName="Policy", AttributeValue=json.dumps(topic_policy(made))
        ),
    )
    asked(
        "subscribe",
        lambda: sns.subscribe(
            TopicArn=made.topic_arn,
            Protocol="sqs",
            Endpoint=made.queue_arn,
            Attributes={"RawMessageDelivery": "true"},
        ),
    )


def _make_ses_tell(made: Plumbing, control: SesControl) -> None:
    named = {"ConfigurationSetName": made.configuration_set}
    wanted = {**named, "EventDestinationName": DESTINATION, "EventDestination": event_destination(made)}
    _unless_there(control, "create_configuration_set", named)
    if not _unless_there(control, "create_configuration_set_event_destination", wanted):
        control.call("update_configuration_set_event_destination", **wanted)


def _unless_there(control: SesControl, operation: str, parameters: dict[str, Any]) -> bool:
    """Creates an object. Returns False if it exists already."""
    try:
        control.call(operation, **parameters)
    except ControlRefused as error:
        if error.code != "AlreadyExistsException":
            raise
        return False
    return True


def _allow(service: str, action: str, resource: str, condition: dict[str, Any]) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": action,
        "Resource": resource,
        "Condition": condition,
    }
    return {"Version": "2012-10-17", "Statement": [statement]}
