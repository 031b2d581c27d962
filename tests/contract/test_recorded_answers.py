"""What real SES is on record to have answered: the simulator says the same. `recorded` holds the facts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

import recorded
from sesq.simulator import Simulator

NO_CHECKS = Config(
    retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20, parameter_validation=False
)
TOPIC = {"TopicArn": "arn:aws:sns:us-east-1:123456789012:news-events"}
Clients = dict[str, Any]


@pytest.fixture(scope="module")
def ses() -> Iterator[Simulator]:
    options = {"production": True, "max_send_rate": 1000, "max_24_hour_send": -1, "control_rate": None}
    with Simulator(verified=["example.com"], **options) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def clients(ses: Simulator) -> Iterator[Clients]:
    """By service; the account has the set `news`, the template `hello`, and the tenant `shop`, which owns nothing."""
    keys = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    made = {
        service: boto3.client(service, endpoint_url=ses.endpoint_url, config=NO_CHECKS, **keys)
        for service in ("ses", "sesv2", "sqs")
    }
    made["sesv2"].create_configuration_set(ConfigurationSetName="news")
    made["sesv2"].create_email_template(TemplateName="hello", TemplateContent={"Subject": "s", "Text": "t"})
    made["sesv2"].create_tenant(TenantName="shop")
    yield made
    for client in made.values():
        client.close()


def call(clients: Clients, operation: str, given: dict[str, Any]) -> Any:
    service, _, name = operation.partition(".")
    return getattr(clients[service], name)(**given)


@pytest.mark.parametrize("fact", recorded.REFUSALS, ids=str)
def test_refusals(clients: Clients, fact: recorded.Refusal) -> None:
    with pytest.raises(ClientError) as refused:
        call(clients, fact.operation, fact.given)
    error = refused.value.response["Error"]
    assert (error["Code"], error["Message"]) == (fact.code, fact.text), fact.where


def tagged(name: str, value: str) -> dict[str, dict[str, Any]]:
    """The three ways of giving a tag."""
    header = f"X-SES-MESSAGE-TAGS: {name}={value}"
    raw = f"{recorded.HEAD}{header}\r\n\r\nHi".encode()
    tags = [{"Name": name, "Value": value}]
    return {
        "ses.send_email": recorded.SIMPLE_V1 | {"Tags": tags},
        "sesv2.send_email": recorded.SIMPLE | {"EmailTags": tags},
        "ses.send_raw_email": {"RawMessage": {"Data": raw}},
    }


WAYS = ["ses.send_email", "sesv2.send_email", "ses.send_raw_email"]


@pytest.mark.parametrize("tag", recorded.TAGS)
@pytest.mark.parametrize("way", WAYS)
def test_tags_are_refused_in_the_same_words_everywhere(
    clients: Clients, way: str, tag: tuple[str, str]
) -> None:
    with pytest.raises(ClientError) as refused:
        call(clients, way, tagged(*tag)[way])
    assert refused.value.response["Error"]["Message"] == recorded.TAGS[tag]


@pytest.mark.parametrize("tag", recorded.TAKEN_TAGS)
@pytest.mark.parametrize("way", WAYS)
def test_taken_tags(ses: Simulator, clients: Clients, way: str, tag: tuple[str, str]) -> None:
    call(clients, way, tagged(*tag)[way])
    assert ses.messages()[-1]["tags"] == dict([tag])


@pytest.mark.parametrize("pairs", recorded.TAKEN_RESOURCE_TAGS, ids=len)
def test_taken_tags_of_resources(clients: Clients, pairs: list[tuple[str, str]]) -> None:
    ses, tags = clients["sesv2"], recorded.resource_tags(pairs)
    ses.create_configuration_set(ConfigurationSetName="tagged", Tags=tags)
    assert ses.get_configuration_set(ConfigurationSetName="tagged")["Tags"] == tags
    ses.delete_configuration_set(ConfigurationSetName="tagged")


@pytest.mark.parametrize(
    ("operation", "given"),
    [
        ("sesv2.create_email_identity", {"EmailIdentity": "tagged.org"}),
        (
            "sesv2.create_email_template",
            {"TemplateName": "tagged", "TemplateContent": {"Subject": "s", "Text": "t"}},
        ),
        ("sesv2.create_tenant", {"TenantName": "tagged"}),
    ],
)
def test_tags_of_every_resource_are_checked(clients: Clients, operation: str, given: dict[str, Any]) -> None:
    tags = recorded.resource_tags([("a", "1"), ("a", "2")])
    with pytest.raises(ClientError, match="Cannot provide multiple tags with the same key"):
        call(clients, operation, given | {"Tags": tags})
    # nothing was made
    call(clients, operation, given)


TAKEN_RAW = [
    # no To line at all is fine where somebody is addressed
    "From: shop@example.com\r\nCc: ada@example.org\r\n\r\nHi",
    recorded.HEAD + 'Content-Type: text/plain; charset="utf 8"\r\n\r\nHi',
    recorded.HEAD + "Content-Type: text/plain; charset=utf-8; (a comment)\r\n\r\nHi",
    recorded.HEAD
    + recorded.PART.format("Content-Disposition: attachment;\r\n filename*=utf-8''my%20report.txt"),
    recorded.HEAD + recorded.PART.format('Content-Disposition: attachment; filename="my; report.txt"'),
    recorded.HEAD + 'Subject: a "quote\r\n\r\nHi',
]


@pytest.mark.parametrize("raw", TAKEN_RAW)
def test_taken_raw_mail(clients: Clients, raw: str) -> None:
    clients["ses"].send_raw_email(RawMessage={"Data": raw.encode()})


@pytest.mark.parametrize("name", recorded.REFUSED_FILES)
def test_refused_file_names(clients: Clients, name: str) -> None:
    with pytest.raises(clients["sesv2"].exceptions.BadRequestException):
        clients["sesv2"].send_email(**recorded.ATTACHED[name])


@pytest.mark.parametrize("name", ["a.exe", "A.VBS"])
def test_refused_file_names_of_raw_mail(clients: Clients, name: str) -> None:
    raw = recorded.HEAD + recorded.PART.format(f'Content-Disposition: attachment; filename="{name}"')
    with pytest.raises(ClientError, match="Illegal filename"):
        clients["ses"].send_raw_email(RawMessage={"Data": raw.encode()})


@pytest.mark.parametrize("name", recorded.TAKEN_FILES)
def test_taken_file_names(clients: Clients, name: str) -> None:
    clients["sesv2"].send_email(**recorded.ATTACHED[name])


# LocalStack, 2023-08-26: a source and destinations make up for what the data lacks.
@pytest.mark.parametrize("data", [b"", b"Subject: Hi\r\n\r\nHello"])
def test_raw_mail_without_from_goes_by_its_source(ses: Simulator, clients: Clients, data: bytes) -> None:
    v1, v2 = clients["ses"], clients["sesv2"]
    given = {"Destinations": ["ada@example.org"], "RawMessage": {"Data": data}}
    v1.send_raw_email(Source="shop@example.com", **given)
    assert ses.messages()[-1]["from"] == "shop@example.com"
    v2.send_email(**recorded.SIMPLE | {"Content": {"Raw": {"Data": data}}})
    with pytest.raises(ClientError, match="Missing required header 'From'"):
        v1.send_raw_email(**given)
    with pytest.raises(ClientError, match="not verified"):
        v1.send_raw_email(Source="me@other.org", **given)


@pytest.fixture(scope="module")
def told(clients: Clients) -> dict[tuple[str, str], Any]:
    """Every event of the mails of the facts, by operation and type; the greeting stands under ("", "")."""
    destination = {"Enabled": True, "MatchingEventTypes": ["SEND", "DELIVERY"], "SnsDestination": TOPIC}
    clients["sesv2"].create_configuration_set_event_destination(
        ConfigurationSetName="news", EventDestinationName="topic", EventDestination=destination
    )
    operations = {
        call(clients, operation, {**given, "ConfigurationSetName": "news"})["MessageId"]: operation
        for operation, given in recorded.EVENT_MAILS.items()
    }
    url = clients["sqs"].get_queue_url(QueueName="news-events")["QueueUrl"]
    bodies = clients["sqs"].receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    greeting, *events = (json.loads(each["Body"]) for each in bodies)
    found: dict[tuple[str, str], Any] = {("", ""): greeting}
    for event in (json.loads(each["Message"]) for each in events):
        found[operations[event["mail"]["messageId"]], event["eventType"]] = event
    return found


@pytest.mark.parametrize(
    "fact", recorded.EVENTS, ids=lambda fact: f"{fact.operation} {fact.event} {fact.field}"
)
def test_fields_of_events(told: dict[tuple[str, str], Any], fact: recorded.EventFact) -> None:
    found = told[fact.operation, fact.event]
    for step in fact.field.split("."):
        found = found.get(step) if found is not None else None
    assert found == fact.value, fact.where


def test_the_greeting_of_a_topic(told: dict[tuple[str, str], Any]) -> None:
    greeting = told["", ""]
    assert greeting["Message"] == recorded.GREETING
    assert greeting.keys() == {
        "Type",
        "MessageId",
        "TopicArn",
        "Message",
        "Timestamp",
        "SignatureVersion",
        "Signature",
        "SigningCertURL",
        "UnsubscribeURL",
    }
