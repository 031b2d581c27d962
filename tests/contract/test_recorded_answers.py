"""What real SES is on record to have answered: the simulator says the same.

Each fact has the operation, what was given, and the answer. Where it was recorded stands with it: `L` are the recorded
runs in LocalStack's public test-suite (2023 to 2025, v1), `F` what floci's developers say that they tried on SES
(2026), `T` answers quoted in public threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sesq.simulator import Simulator

ONE_TRY = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20)
RAW = b"From: shop@example.com\r\nTo: ada@example.org\r\n%s\r\n\r\nHello"


@pytest.fixture(scope="module")
def ses() -> Iterator[Simulator]:
    verified = ["example.com", "ada@example.org"]
    with Simulator(
        max_send_rate=1000, max_24_hour_send=-1, control_rate=None, verified=verified
    ) as simulator:
        yield simulator


@dataclass
class Clients:
    v1: Any
    v2: Any


@pytest.fixture(scope="module")
def clients(ses: Simulator) -> Iterator[Clients]:
    made = [
        boto3.client(
            service,
            endpoint_url=ses.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id="AKIATEST",
            aws_secret_access_key="secret",
            config=ONE_TRY,
        )
        for service in ("ses", "sesv2")
    ]
    yield Clients(*made)
    for client in made:
        client.close()


def code_and_text(refused: ClientError) -> tuple[str, str]:
    return refused.response["Error"]["Code"], refused.response["Error"]["Message"]


def send_v1(clients: Clients, *tags: tuple[str, str]) -> None:
    clients.v1.send_email(
        Source="shop@example.com",
        Destination={"ToAddresses": ["ada@example.org"]},
        Message={"Subject": {"Data": "Hi"}, "Body": {"Text": {"Data": "Hello"}}},
        Tags=[{"Name": name, "Value": value} for name, value in tags],
    )


def send_v2(clients: Clients, *tags: tuple[str, str]) -> None:
    clients.v2.send_email(
        FromEmailAddress="shop@example.com",
        Destination={"ToAddresses": ["ada@example.org"]},
        Content={"Simple": {"Subject": {"Data": "Hi"}, "Body": {"Text": {"Data": "Hello"}}}},
        EmailTags=[{"Name": name, "Value": value} for name, value in tags],
    )


def send_header(clients: Clients, *tags: tuple[str, str]) -> None:
    header = "X-SES-MESSAGE-TAGS: " + ", ".join(f"{name}={value}" for name, value in tags)
    clients.v1.send_raw_email(RawMessage={"Data": RAW % header.encode()})


_NAME = "Invalid tag name <{}>: only alphanumeric ASCII characters, '_',  '-' are allowed."
_VALUE = "Invalid tag value <{}>: only alphanumeric ASCII characters, '_',  '-' , '.', '@' are allowed."

# L, 2024-07-30, SendEmail of v1: a tag, and the text of InvalidParameterValue.
REFUSED_TAGS = {
    ("", ""): "The tag name must be specified.",
    ("", "test"): "The tag name must be specified.",
    ("test", ""): "The tag value must be specified.",
    ("name:123", "test"): _NAME.format("name:123"),
    ("name@123", "value:123"): _NAME.format("name@123"),
    ("test", "value:123"): _VALUE.format("value:123"),
    ("n" * 256, "test"): "Tag name cannot exceed 255 characters.",
    ("test", "v" * 256): "Tag value cannot exceed 255 characters.",
}
TAKEN_TAGS = (
    ("n" * 255, "v" * 255),
    ("a_-9", "a.b@c"),
    ("ses:feedback-id-a", "x"),
    ("ses:feedback-id-b", "x"),
)


@pytest.mark.parametrize("tag", REFUSED_TAGS)
def test_refused_tags(clients: Clients, tag: tuple[str, str]) -> None:
    with pytest.raises(ClientError) as in_v1:
        send_v1(clients, tag)
    assert code_and_text(in_v1.value) == ("InvalidParameterValue", REFUSED_TAGS[tag])
    with pytest.raises(ClientError) as in_v2:
        send_v2(clients, tag)
    assert code_and_text(in_v2.value) == ("BadRequestException", REFUSED_TAGS[tag])
    with pytest.raises(ClientError) as in_header:
        send_header(clients, tag)
    assert code_and_text(in_header.value) == ("InvalidParameterValue", REFUSED_TAGS[tag])


@pytest.mark.parametrize("tag", TAKEN_TAGS)
@pytest.mark.parametrize("send", [send_v1, send_v2, send_header])
def test_taken_tags(ses: Simulator, clients: Clients, send: Any, tag: tuple[str, str]) -> None:
    send(clients, tag)
    assert ses.messages()[-1]["tags"] == dict([tag])
