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


HEAD = "From: shop@example.com\r\nTo: ada@example.org\r\n"
PART = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n{}\r\n\r\nx\r\n--b--\r\n"

# T: answers that people met with raw mail, as InvalidParameterValue or after `554 Transaction failed:`.
REFUSED_RAW = {
    # aws/aws-sdk-js#4121, galtzo-floss/sanitize_email#14
    HEAD + ":\r\nX-A: b\r\n\r\nHi": "Empty header names are illegal.",
    HEAD + ": b\r\n\r\nHi": "Empty header names are illegal.",
    # jmhobbs/Swiftmailer-Transport--AWS-SES#13: what stands before the colon is quoted
    HEAD + "<!DOCTYPE html http://x.org\r\n\r\nHi": "Illegal header '<!DOCTYPE html http'.",
    # mageplaza/magento-2-smtp#265
    'From: shop@example.com\r\nTo: "Ada <ada@example.org>\r\n\r\nHi': "Missing '\"'",
    "From: shop@example.com\r\nTo: \r\nCc: ada@example.org\r\n\r\nHi": "Empty required header 'To'.",
    HEAD + PART.format("Content-Disposition: attachment; filename=my report.txt"): (
        "Expected ';', got \"report.txt\""
    ),
    HEAD + "Content-Type: text/plain; charset=utf 8\r\n\r\nHi": "Expected ';', got \"8\"",
}


@pytest.mark.parametrize("raw", REFUSED_RAW)
def test_refused_raw_mail(clients: Clients, raw: str) -> None:
    with pytest.raises(ClientError) as refused:
        clients.v1.send_raw_email(RawMessage={"Data": raw.encode()})
    assert code_and_text(refused.value) == ("InvalidParameterValue", REFUSED_RAW[raw])


TAKEN_RAW = [
    # no To line at all is fine where somebody is addressed
    "From: shop@example.com\r\nCc: ada@example.org\r\n\r\nHi",
    HEAD + 'Content-Type: text/plain; charset="utf 8"\r\n\r\nHi',
    HEAD + "Content-Type: text/plain; charset=utf-8; (a comment)\r\n\r\nHi",
    HEAD + PART.format("Content-Disposition: attachment;\r\n filename*=utf-8''my%20report.txt"),
    HEAD + PART.format('Content-Disposition: attachment; filename="my; report.txt"'),
    HEAD + 'Subject: a \\"quote\r\n\r\nHi',
]


@pytest.mark.parametrize("raw", TAKEN_RAW)
def test_taken_raw_mail(clients: Clients, raw: str) -> None:
    clients.v1.send_raw_email(RawMessage={"Data": raw.encode()})


def attached(**attachment: Any) -> dict[str, Any]:
    content = {"Subject": {"Data": "Hi"}, "Body": {"Text": {"Data": "Hello"}}}
    return {
        "FromEmailAddress": "shop@example.com",
        "Destination": {"ToAddresses": ["ada@example.org"]},
        "Content": {"Simple": {**content, "Attachments": [{"RawContent": b"x", **attachment}]}},
    }


# govuk-forms/forms-runner#1594: BadRequestException; and the extensions of AWS's guide.
@pytest.mark.parametrize(
    "name", [f"a{sign}b.txt" for sign in '/\\:*?"<>|'] + ["a.exe", "a.JS", "a.tar.vbs", "a.msi ", ".bat"]
)
def test_refused_file_names(clients: Clients, name: str) -> None:
    with pytest.raises(clients.v2.exceptions.BadRequestException):
        clients.v2.send_email(**attached(FileName=name))


@pytest.mark.parametrize("name", ["a.exe", "A.VBS"])
def test_refused_file_names_of_raw_mail(clients: Clients, name: str) -> None:
    raw = HEAD + PART.format(f'Content-Disposition: attachment; filename="{name}"')
    with pytest.raises(ClientError, match="Illegal filename"):
        clients.v1.send_raw_email(RawMessage={"Data": raw.encode()})


@pytest.mark.parametrize("name", ["a.txt", "exe", "a.exe.txt", "Übersicht (1).pdf", "a b.pdf"])
def test_taken_file_names(clients: Clients, name: str) -> None:
    clients.v2.send_email(**attached(FileName=name, ContentType="text/plain"))


# L, 2023-08-26, SendRawEmail of v1: a source and destinations make up for what the data lacks.
@pytest.mark.parametrize("data", [b"", b"Subject: Hi\r\n\r\nHello"])
def test_raw_mail_without_from_goes_by_its_source(ses: Simulator, clients: Clients, data: bytes) -> None:
    clients.v1.send_raw_email(
        Source="shop@example.com", Destinations=["ada@example.org"], RawMessage={"Data": data}
    )
    assert ses.messages()[-1]["from"] == "shop@example.com"
    clients.v2.send_email(
        FromEmailAddress="shop@example.com",
        Destination={"ToAddresses": ["ada@example.org"]},
        Content={"Raw": {"Data": data}},
    )
    with pytest.raises(ClientError) as refused:
        clients.v1.send_raw_email(Destinations=["ada@example.org"], RawMessage={"Data": data})
    assert code_and_text(refused.value) == ("InvalidParameterValue", "Missing required header 'From'.")
    with pytest.raises(ClientError, match="not verified"):
        clients.v1.send_raw_email(
            Source="me@other.org", Destinations=["ada@example.org"], RawMessage={"Data": data}
        )
