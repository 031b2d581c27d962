"""Posts to a webhook over real HTTP: what is answered, by whom, within which time."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sesq.config.errors import SettingsError
from sesq.worker.webhooks.addresses import NotReached, RefusedAddress
from sesq.worker.webhooks.http_client import HttpClient
from stub_endpoint import StubEndpoint
from tls import make_certificate

NAME = "app.example.com"


Opened = Callable[..., HttpClient]


@pytest.fixture
def opened() -> Iterator[Opened]:
    """`opened(url, …)`: a client that is closed with the test."""
    with ExitStack() as stack:

        def open_client(url: str, **options: Any) -> HttpClient:
            client = HttpClient(url, **{"timeout_seconds": 20, **options})
            stack.callback(client.close)
            return client

        yield open_client


@pytest.fixture
def client_of(opened: Opened) -> Opened:
    """`client_of(stub, …)`."""
    return lambda stub, **options: opened(f"{stub.url}/hook?token=1", **options)


@pytest.fixture
def by_name(opened: Opened) -> Opened:
    """`by_name(stub, name, …)`: as if the name were resolved to this machine."""

    def open_client(stub: StubEndpoint, name: str = NAME, **options: Any) -> HttpClient:
        here = {"allow_private": True, "resolve": lambda *_: ["127.0.0.1"]}
        return opened(f"https://{name}:{stub.port}/hook", **{**here, **options})

    return open_client


def serve_tls(stub: StubEndpoint, folder: Path, *names: str) -> Path:
    certificate, key = make_certificate(folder, *names)
    stub.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    stub.tls.load_cert_chain(certificate, key)
    return certificate


def test_a_request_arrives_whole_and_the_connection_is_kept(client_of: Opened, stub: StubEndpoint) -> None:
    client = client_of(stub)
    for number in range(3):
        answer = client.post(f'{{"n": {number}}}'.encode(), {"webhook-id": str(number)})
        assert (answer.status, answer.retry_after) == (200, "")
    assert stub.connections == 1
    assert [(r.method, r.path, r.json["n"], r.headers["webhook-id"]) for r in stub.requests] == [
        ("POST", "/hook?token=1", number, str(number)) for number in range(3)
    ]
    assert {r.headers["host"] for r in stub.requests} == {f"127.0.0.1:{stub.port}"}


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirection_is_an_answer_and_not_followed(
    client_of: Opened, stub: StubEndpoint, status: int
) -> None:
    stub.plays.append(stub.reply(status, Location=f"{stub.url}/elsewhere"))
    assert client_of(stub).post(b"{}", {}).status == status
    assert len(stub.requests) == 1


def test_the_time_of_the_next_try_is_passed_on(client_of: Opened, stub: StubEndpoint) -> None:
    stub.plays.append(stub.reply(429, Retry_After="120"))
    answer = client_of(stub).post(b"{}", {})
    assert (answer.status, answer.retry_after) == (429, "120")


def test_a_huge_answer_is_not_read_to_its_end(client_of: Opened, stub: StubEndpoint) -> None:
    sent = []

    def endless(handler: Any) -> None:
        handler.read()
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        try:
            while not sent or len(sent) < 10_000:
                handler.wfile.write(piece)
                sent.append(len(piece))
        except OSError:
            handler.going = False

    stub.plays.append(endless)
    client = client_of(stub)
    assert client.post(b"{}", {}).status == 200
    assert stub.closed.wait(60)
    assert len(sent) < 1000
    # And the next request has a connection of its own
    assert client.post(b"{}", {}).status == 200
    assert stub.connections == 2


def test_silence_ends_at_the_time_limit(client_of: Opened, stub: StubEndpoint) -> None:
    stub.plays.append(stub.hang)
    with pytest.raises(NotReached, match="no answer within 1 s"):
        client_of(stub, timeout_seconds=1).post(b"{}", {})


def test_a_port_that_is_silent_in_the_handshake_ends_at_the_time_limit(
    by_name: Opened, stub: StubEndpoint
) -> None:
    stub.plays.append(lambda handler: handler.server.stub.released.wait(30) and handler.abort())
    with pytest.raises(NotReached, match="no connection in time"):
        by_name(stub, timeout_seconds=1).post(b"{}", {})


def test_an_answer_that_comes_byte_by_byte_ends_at_the_time_limit(
    client_of: Opened, stub: StubEndpoint
) -> None:
    def drip(handler: Any) -> None:
        handler.read()
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
        try:
            while not handler.server.stub.released.wait(0.05):
                handler.wfile.write(b"x")
        except OSError:
            pass
        handler.going = False

    stub.plays.append(drip)
    with pytest.raises(NotReached, match="no answer within 1 s"):
        client_of(stub, timeout_seconds=1).post(b"{}", {})


def test_an_endpoint_that_closes_between_two_requests_is_asked_again(
    client_of: Opened, stub: StubEndpoint
) -> None:
    client = client_of(stub)
    client.post(b"{}", {})
    stub.plays.append(stub.raw(b""))  # it reads the second one, and ends the connection
    assert client.post(b'{"n": 2}', {}).status == 200
    assert [r.body for r in stub.requests] == [b"{}", b'{"n": 2}', b'{"n": 2}']


@pytest.mark.parametrize(
    ("play", "said"),
    [
        (StubEndpoint.raw(b""), "closed without an answer"),
        (StubEndpoint.reset, "the connection was"),
        (StubEndpoint.raw(b"220 mail.example.com ESMTP secret\r\n"), "what answered is not HTTP"),
        (
            StubEndpoint.raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"),
            "what answered is not HTTP",
        ),
        (
            StubEndpoint.raw(b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 1000 + b"\r\n"),
            "what answered is not HTTP",
        ),
    ],
)
def test_what_is_no_answer(client_of: Opened, stub: StubEndpoint, play: Any, said: str) -> None:
    stub.plays.append(play)
    with pytest.raises(NotReached, match=said) as raised:
        client_of(stub).post(b"{}", {})
    assert "secret" not in str(raised.value)


def test_a_port_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(NotReached, match="refused"):
        HttpClient(f"http://127.0.0.1:{port}/", timeout_seconds=5).post(b"", {})


def test_tls_is_for_the_name_and_the_connection_to_the_checked_address(
    by_name: Opened, stub: StubEndpoint, tmp_path: Path
) -> None:
    # Given an endpoint with a certificate for its name, and a resolver that tells another address the second time
    certificate = serve_tls(stub, tmp_path, NAME)
    answers = [["127.0.0.1"], ["127.0.0.9"]]
    client = by_name(stub, ca_file=certificate, resolve=lambda *_: answers.pop(0))
    # When it is asked, Then it is the address that was checked
    assert client.post(b"{}", {}).status == 200
    assert client.post(b"{}", {}).status == 200
    assert (stub.connections, len(answers)) == (1, 1)
    assert stub.requests[0].headers["host"] == f"{NAME}:{stub.port}"


@pytest.mark.parametrize(("trusted", "name"), [(True, "other.example.com"), (False, NAME)])
def test_a_certificate_for_another_name_or_of_nobody_is_refused(
    by_name: Opened, stub: StubEndpoint, tmp_path: Path, trusted: bool, name: str
) -> None:
    certificate = serve_tls(stub, tmp_path, NAME)
    with pytest.raises(NotReached, match="its certificate is not trusted"):
        by_name(stub, name, ca_file=certificate if trusted else None).post(b"{}", {})
    assert stub.requests == []


def test_a_name_that_leads_to_this_machine_is_refused(
    by_name: Opened, stub: StubEndpoint, tmp_path: Path
) -> None:
    certificate = serve_tls(stub, tmp_path, NAME)
    with pytest.raises(RefusedAddress):
        by_name(stub, ca_file=certificate, allow_private=False).post(b"{}", {})
    assert stub.connections == 0


def test_a_proxy_of_the_environment_is_not_used(
    client_of: Opened, stub: StubEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert client_of(stub).post(b"{}", {}).status == 200


def test_certificates_that_cannot_be_read_are_said_with_their_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"ca_file: .*gone"):
        HttpClient(f"https://{NAME}/", timeout_seconds=5, ca_file=tmp_path / "gone")


def test_an_address_that_does_not_take_a_connection_leaves_the_others(
    by_name: Opened, stub: StubEndpoint, tmp_path: Path
) -> None:
    certificate = serve_tls(stub, tmp_path, NAME)
    client = by_name(stub, ca_file=certificate, resolve=lambda *_: ["127.0.0.9", "127.0.0.1"])
    assert client.post(b"{}", {}).status == 200


def test_a_name_that_takes_too_long_to_look_up_ends_the_attempt_in_time(stub: StubEndpoint) -> None:
    # Given a resolver that answers after the attempt's time
    looked_up = threading.Event()

    def slow(host: str, port: int) -> list[str]:
        looked_up.wait(20)
        return ["127.0.0.1"]

    client = HttpClient(stub.url.replace("127.0.0.1", "localhost"), timeout_seconds=0.1, resolve=slow)
    # When it posts, Then the attempt has ended before the resolver does
    with pytest.raises(NotReached, match="the name localhost was not resolved in time"):
        client.post(b"{}", {})
    looked_up.set()
    assert stub.requests == []
