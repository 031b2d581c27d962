"""SendEmail as sesq calls it, beside boto3's own: the same request leaves, and the same error comes back."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from email.message import EmailMessage
from http.client import HTTPConnection
from typing import Any

import boto3
import botocore.auth
import pytest
from botocore.compat import HAS_CRT
from botocore.config import Config
from botocore.httpsession import URLLib3Session

from answers import API_CASES
from sesq.queue.envelope import Envelope, SimpleContent
from sesq.worker.transports.base import Outgoing
from sesq.worker.transports.client import AwsClient, ClientSettings
from sesq.worker.transports.one_write import LARGEST_BYTES
from sesq.worker.transports.request import request_for
from sesq.worker.transports.send_email import http_session
from stub_endpoint import StubEndpoint

REGION = "eu-west-1"

pytestmark = pytest.mark.usefixtures("aws_environment")


def mail(content: SimpleContent | bytes, **envelope: Any) -> Any:
    """The parameters of SendEmail."""
    kind = "raw" if isinstance(content, bytes) else "simple"
    given = {"sender": "Shop <shop@shop.example>", "to": ("bob@x.org",), "kind": kind, **envelope}
    return request_for(Outgoing("0123abcd", Envelope(**given), content))


def with_attachment(size: int) -> bytes:
    written = EmailMessage()
    written["From"], written["To"], written["Subject"] = "shop@shop.example", "bob@x.org", "Grüße"
    written.set_content("Schönen Tag")
    written.add_attachment(b"\xff" * size, maintype="application", subtype="pdf", filename="Größe.pdf")
    return written.as_bytes()


PLAIN = mail(SimpleContent("Hi", text="Good day"))
MAILS = {
    "plain": PLAIN,
    "everything": mail(
        SimpleContent(
            "Grüße \U0001f600", "Text\r\n\u2028\x7f", "<p>&</p>", headers=(("X-A", "ü"), ("X-B", '"\\/'))
        ),
        cc=("Ann <ann@y.org>",),
        bcc=("eve@z.org", "abe@z.org"),
        reply_to=("help@shop.example",),
        tags={"campaign": "spring", "a": "b"},
        configuration_set="news",
        tenant="acme",
        feedback_to="bounces@shop.example",
        contact_list="news",
        topic="weekly",
        track="on",
    ),
    "empty text": mail(SimpleContent("", text="")),
    "raw": mail(with_attachment(100), bcc=("eve@z.org",), configuration_set="news"),
    "bytes of all kinds": mail(bytes(range(256)) * 3),
    "large": mail(with_attachment(2 * LARGEST_BYTES)),
}


@pytest.fixture
def client(stub: StubEndpoint) -> Any:
    client = AwsClient(ClientSettings(region=REGION, endpoint_url=stub.url))
    yield client
    client.close()


def send(client: AwsClient, parameters: Any = PLAIN) -> str | None:
    return client.send_email(parameters, lambda: None)


# The request


def lines_of(head: bytes) -> list[bytes]:
    """Without what the SDK draws or counts, and without the name that it gives itself."""
    return [line for line in head.splitlines() if not re.match(rb"(?i)amz-sdk-|user-agent:", line)]


@pytest.mark.parametrize("token", [None, "a-session-token"])
@pytest.mark.parametrize("name", MAILS)
def test_the_request_is_boto3s_own_byte_for_byte(
    name: str, token: str | None, client: AwsClient, stub: StubEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given that both sign in the same second
    now = datetime(2026, 11, 30, tzinfo=timezone.utc)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: now)
    # and by botocore's own signer, since that of crt writes the headers in another order
    monkeypatch.setitem(botocore.auth.AUTH_TYPE_MAPS, "v4", botocore.auth.SigV4Auth)
    if token:
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    boto = boto3.Session().client("sesv2", region_name=REGION, endpoint_url=stub.url)
    # When boto3 sends a mail, and sesq does
    boto.send_email(**MAILS[name])
    send(client, MAILS[name])
    boto.close()
    # Then the same has left, down to the signature
    theirs, ours = stub.sends
    assert ours.body == theirs.body
    assert lines_of(ours.head) == lines_of(theirs.head)
    assert b"Accept-Encoding: identity" in lines_of(ours.head)
    assert ours.headers["user-agent"].startswith("sesq/")


def test_it_goes_to_the_endpoint_with_ipv6_where_the_account_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    client = AwsClient(ClientSettings(region="eu-west-1", dual_stack=True))
    assert client.api.meta.endpoint_url == "https://email.eu-west-1.api.aws"
    urls: list[str] = []

    def nowhere(_session: Any, request: Any) -> Any:
        urls.append(request.url)
        raise ConnectionAbortedError

    monkeypatch.setattr(URLLib3Session, "send", nowhere)
    with pytest.raises(ConnectionAbortedError):
        send(client)
    assert urls == ["https://email.eu-west-1.api.aws/v2/email/outbound-emails"]


@pytest.mark.parametrize(
    "settings",
    [{}, {"use_fips_endpoint": True}, {"use_dualstack_endpoint": True}, {"parameter_validation": False}],
)
def test_it_goes_to_the_endpoint_that_boto3_finds(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given settings of this machine, and connections that lead nowhere
    for name, value in settings.items():
        monkeypatch.setenv(f"AWS_{name.upper()}", str(value).lower())
    urls: list[str] = []

    def nowhere(_session: Any, request: Any) -> Any:
        urls.append(request.url)
        raise ConnectionAbortedError

    monkeypatch.setattr(URLLib3Session, "send", nowhere)
    config = Config(retries={"total_max_attempts": 1})
    boto = boto3.Session().client("sesv2", region_name="us-east-1", config=config)
    # When both send, Then they send to the same
    for call in (
        lambda: boto.send_email(**PLAIN),
        lambda: send(AwsClient(ClientSettings(region="us-east-1"))),
    ):
        with pytest.raises(ConnectionAbortedError):
            call()
    assert urls[0] == urls[1]
    assert ("fips" in urls[0]) == ("use_fips_endpoint" in settings)
    assert urls[0].endswith("/v2/email/outbound-emails")


def test_boto3_writes_no_mail_after_the_first(client: AwsClient, stub: StubEndpoint) -> None:
    send(client)
    written: list[int] = []
    client.api.meta.events.register("before-call.sesv2.SendEmail", lambda **_: written.append(1))
    for _ in range(3):
        assert send(client) == "stub-id"
    assert (written, len(stub.sends)) == ([], 4)


@pytest.mark.parametrize(("name", "writes"), [("plain", 1), ("raw", 1), ("large", 2)])
def test_head_and_body_leave_in_one_write(
    name: str, writes: int, client: AwsClient, stub: StubEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails where botocore keeps its connections elsewhere, or writes in another way: see `http_session`."""
    written: list[int] = []
    write = HTTPConnection.send
    monkeypatch.setattr(HTTPConnection, "send", lambda c, data: written.append(len(data)) or write(c, data))
    assert isinstance(http_session(client.api), URLLib3Session)
    send(client, MAILS[name])
    assert len(written) == writes
    assert sum(written) == len(stub.sends[0].head) + len(stub.sends[0].body)


def test_an_endpoint_that_needs_another_signature_is_boto3s(client: AwsClient, stub: StubEndpoint) -> None:
    """A Global endpoint is signed for all regions (SigV4a), which takes a library that need not be there."""
    parameters = PLAIN | {"EndpointId": "abc.def"}
    if HAS_CRT:
        assert send(client, parameters) == "stub-id"
        (request,) = stub.sends
        assert request.headers["authorization"].startswith("AWS4-ECDSA-P256-SHA256 ")
        assert (request.headers["x-amz-region-set"], request.json["EndpointId"]) == ("*", "abc.def")
        return
    ours, theirs = errors_of(client, parameters)
    assert (type(ours), str(ours)) == (type(theirs), str(theirs))
    assert stub.sends == []


# The answer


def errors_of(client: AwsClient, parameters: Any = PLAIN) -> tuple[Exception, Exception]:
    """What sesq's call raises, and what boto3's does."""
    with pytest.raises(Exception) as ours:
        send(client, parameters)
    with pytest.raises(Exception) as theirs:
        client.api.send_email(**parameters)
    return ours.value, theirs.value


@pytest.fixture
def shared(aws_client: AwsClient, stub: StubEndpoint) -> AwsClient:
    """A client of the stub's that many tests use."""
    assert stub
    return aws_client


@pytest.mark.parametrize("case", API_CASES, ids=lambda case: f"{case.status}-{case.code}-{case.text}"[:70])
def test_every_answer_of_the_table_is_read_as_boto3_reads_it(
    case: Any, shared: AwsClient, stub: StubEndpoint
) -> None:
    stub.plays.extend([stub.error(case.status, case.code, case.text)] * 2)

    ours, theirs = errors_of(shared)

    assert type(ours) is type(theirs)
    assert ours.response == theirs.response  # type: ignore[attr-defined]  # code, text and status among it
    assert str(ours) == str(theirs)
    assert len(stub.sends) == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"not HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\ncut",
        b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"Mess',
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\xff",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull",
        b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"MessageId":7}',
        b'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 17\r\n\r\n{"MessageId":"a"}',
        b'HTTP/1.1 202 OK\r\nContent-Length: 17\r\n\r\n{"MessageId":"a"}',
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
        b'HTTP/1.1 302 Found\r\nContent-Length: 17\r\n\r\n{"MessageId":"a"}',
        b"HTTP/1.1 500 Oh\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
    ],
)
def test_an_odd_answer_is_what_it_is_to_boto3(answer: bytes, shared: AwsClient, stub: StubEndpoint) -> None:
    stub.plays.extend([stub.raw(answer)] * 2)

    def outcome(call: Any) -> Any:
        try:
            return call()
        except Exception as error:  # noqa: BLE001  # any of them
            return type(error), getattr(error, "response", None), re.sub(r"0x\w+|\('.*'\)", "", str(error))

    ours = outcome(lambda: send(shared))
    shared.close()  # the stub has closed the connection too
    theirs = outcome(lambda: shared.api.send_email(**PLAIN).get("MessageId"))
    assert ours == theirs
    assert len(stub.sends) == 2
