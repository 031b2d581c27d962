"""A port that strangers can reach: no client takes more than its share of memory, of time or of connections."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from http_client import connect, read_to_the_end, serving, taken
from sesq.config.errors import InputError
from sesq.worker.http_server import MAX_HEAD_BYTES, HttpLimits, HttpServer, LimitedProtocol
from tls import make_certificate

PATIENT = 600.0
"""Seconds of a limit that a test shall not meet."""
READ_BYTES = 256 * 1024
"""What asyncio reads at once: so much comes to the parser before it can refuse it. The sockets hold some more."""
ENDLESS_BYTES = 40_000_000
HEAD = b"POST /read HTTP/1.1\r\nHost: localhost\r\n"

Port = Callable[..., int]


async def read(request: Request) -> Response:
    return Response(str(len(await request.body())))


async def ignore(_request: Request) -> Response:
    return Response("not read", 413)


async def pour(_request: Request) -> Response:
    return Response(b"x" * ENDLESS_BYTES)


APP = Starlette(
    routes=[
        Route("/read", read, methods=["POST"]),
        Route("/ignore", ignore, methods=["POST"]),
        Route("/pour", pour),
    ]
)


@pytest.fixture
def port() -> Iterator[Port]:
    """`port(head_seconds=0.1)`: the port of a server with these limits; the others are never met."""
    with ExitStack() as running:

        def start(*files: Path, **limits: Any) -> int:
            patient = {"head_seconds": PATIENT, "body_seconds": PATIENT, "answer_seconds": PATIENT}
            server = HttpServer(APP, "127.0.0.1", 0, *files, limits=HttpLimits(**{**patient, **limits}))
            running.enter_context(serving(server))
            return int(server.listener.getsockname()[1])

        yield start


def answers(port: int) -> bool:
    with connect(port) as client:
        client.sendall(HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi")
        return read_to_the_end(client).endswith(b"\r\n\r\n2")


@pytest.mark.parametrize(
    ("beginning", "piece"),
    [
        pytest.param(HEAD, b"X: yyyyyyyyyyyyy\r\n", id="headers"),
        pytest.param(HEAD + b"X: ", b"y" * 1000, id="one header"),
        pytest.param(b"GET /", b"y" * 1000, id="an address"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;x=", b"y" * 1000, id="a chunk's extension"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n", id="trailers"),
    ],
)
def test_what_has_no_end_is_cut_off(port: Port, beginning: bytes, piece: bytes) -> None:
    number = port()
    with connect(number) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, READ_BYTES)
        block = piece * (READ_BYTES // 4 // len(piece))
        sent = taken(client, [beginning, *[block] * (ENDLESS_BYTES // len(block))])
    assert sent < ENDLESS_BYTES / 4
    assert answers(number)


def test_a_head_of_sensible_size_is_read(port: Port) -> None:
    with connect(port()) as client:
        cookie = b"Cookie: " + b"c" * (MAX_HEAD_BYTES // 2) + b"\r\n"
        client.sendall(HEAD + cookie + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi")
        assert read_to_the_end(client).startswith(b"HTTP/1.1 200")


ONE_REQUEST = HEAD + b"Content-Length: 2\r\n\r\nhi"


@pytest.mark.parametrize("sent", [b"", HEAD, ONE_REQUEST, ONE_REQUEST + HEAD], ids=len)
def test_a_head_has_its_time(port: Port, sent: bytes) -> None:
    number = port(head_seconds=0.2)
    with connect(number) as client:
        client.sendall(sent)
        answered = read_to_the_end(client)
    assert answered.count(b"HTTP/1.1 200") <= sent.count(b"hi")


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + b"Content-Length: 5\r\n\r\nhell",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        HEAD.replace(b"/read", b"/ignore") + b"Content-Length: 500000\r\n\r\nx",
    ],
    ids=["of known size", "in chunks", "that was answered before its end"],
)
def test_a_body_has_its_time(port: Port, sent: bytes) -> None:
    number = port(body_seconds=0.2)
    with connect(number) as client:
        client.sendall(sent)
        assert b" 200 " not in read_to_the_end(client)
    assert answers(number)


def test_an_answer_that_nobody_takes_is_dropped(port: Port) -> None:
    with connect(port(answer_seconds=0.2)) as client:
        client.sendall(b"GET /pour HTTP/1.1\r\nHost: localhost\r\n\r\n")
        # When nothing of it is read until the server has lost patience, which its own end of the connection tells
        client.recv(1, socket.MSG_PEEK)
        sent_to_nobody = taken(client, iter(lambda: b"GET", b""))
        # Then what the sockets had not taken by then never comes
        assert sent_to_nobody > 0
        assert len(read_to_the_end(client)) < ENDLESS_BYTES


def test_who_takes_an_answer_slowly_gets_all_of_it(port: Port) -> None:
    with connect(port(answer_seconds=PATIENT)) as client:
        client.sendall(b"GET /pour HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert len(read_to_the_end(client)) > ENDLESS_BYTES


def test_the_time_of_an_answer_ends_when_some_of_it_is_taken() -> None:
    # Given a loop whose timers are looked at
    loop, server = Mock(), HttpServer(APP, "127.0.0.1", 0)
    with server.listener:
        made = {"config": server.config, "server_state": server.server_state, "app_state": {}}
        protocol = LimitedProtocol(HttpLimits(answer_seconds=7), **made, _loop=loop)
        # When nothing is taken, and then some of it
        protocol.flow = Mock()
        protocol.pause_writing()
        loop.call_later.assert_called_once_with(7, protocol.abort)
        loop.call_later.return_value.cancel.assert_not_called()
        protocol.resume_writing()
        # Then the connection goes on
        loop.call_later.return_value.cancel.assert_called_once_with()


def test_beyond_the_number_the_longest_silent_connection_is_closed(port: Port) -> None:
    # Given as many silent connections as there may be, one of them in the middle of a request
    number = port(connections=3)
    with ExitStack() as open_:
        silent = [open_.enter_context(connect(number)) for _ in range(3)]
        silent[0].sendall(HEAD)
        # When there is one more, then it is answered
        assert answers(number)
        # And the oldest has gone for it, alone
        assert read_to_the_end(silent[0]) == b""
        silent[1].sendall(HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi")
        assert read_to_the_end(silent[1]).startswith(b"HTTP/1.1 200")


def test_a_handshake_has_its_time(port: Port, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    with connect(port(certificate, key, head_seconds=0.2)) as client:
        assert read_to_the_end(client) == b""
    # And who shakes hands is answered
    trust = ssl.create_default_context(cafile=str(certificate))
    with (
        connect(port(certificate, key)) as raw,
        trust.wrap_socket(raw, server_hostname="127.0.0.1") as client,
    ):
        client.sendall(HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi")
        assert client.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_port_or_a_certificate_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    odd, missing = tmp_path / "odd.pem", tmp_path / "missing.pem"
    odd.write_text("no certificate")
    with HttpServer(APP, "127.0.0.1", 0).listener as taken_port:
        port = taken_port.getsockname()[1]
        for number, *files in ((port,), (0, odd, key), (0, certificate, odd), (0, missing, key)):
            with pytest.raises(InputError, match=f"^127.0.0.1:{number}: cannot listen there: "):
                HttpServer(APP, "127.0.0.1", number, *files)


@pytest.mark.parametrize(
    ("host", "named"), [("127.0.0.1", "127.0.0.1"), ("localhost", "localhost"), ("::1", "[::1]")]
)
@pytest.mark.parametrize("tls", [False, True])
def test_its_address_can_be_opened_in_a_browser(host: str, named: str, tls: bool, tmp_path: Path) -> None:
    files = make_certificate(tmp_path) if tls else ()
    server = HttpServer(APP, host, 0, *files)
    port = server.listener.getsockname()[1]
    assert server.url == f"{'https' if tls else 'http'}://{named}:{port}"
    server.listener.close()


def test_a_head_that_is_longer_than_is_taken_is_refused_before_it_ends(port: Port) -> None:
    with connect(port()) as client:
        client.sendall(HEAD + b"X: " + b"y" * 100_000)
        assert read_to_the_end(client).startswith(b"HTTP/1.1 400 ")
