"""The simulator's HTTP port: a client that sends without an end, or no end, takes neither its memory nor its time."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from http_client import connect, read_to_the_end, taken
from sesq.simulator.protocol import HttpLimits, LimitedProtocol

ENDLESS_BYTES = 40_000_000
HEAD = b"GET /_sim/report HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /v2/email/outbound-emails HTTP/1.1\r\nHost: localhost\r\n"
WHOLE = HEAD + b"\r\n"


@pytest.fixture
def limits(monkeypatch):
    """`limits(head_seconds=0.1)`: for connections from now on; the limits that are not named are never met."""

    def limit(**seconds):
        patient = {"head_seconds": 600, "body_seconds": 600, "answer_seconds": 600}
        monkeypatch.setattr(LimitedProtocol, "limits", HttpLimits(**{**patient, **seconds}))

    limit()
    return limit


def answers(ses) -> bool:
    with connect(ses.port) as client:
        client.sendall(HEAD + b"Connection: close\r\n\r\n")
        return read_to_the_end(client).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("beginning", "piece"),
    [
        pytest.param(HEAD, b"X: yyyyyyyyyyyyy\r\n", id="headers"),
        pytest.param(HEAD + b"X: ", b"y" * 1000, id="one header"),
        pytest.param(b"GET /", b"y" * 1000, id="an address"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\n1;x=", b"y" * 1000, id="a chunk's extension"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n", id="trailers"),
    ],
)
def test_what_has_no_end_is_cut_off(ses, limits, beginning, piece):
    block = piece * (65_536 // len(piece))
    with connect(ses.port) as client:
        sent = taken(client, [beginning, *[block] * (ENDLESS_BYTES // len(block))])
    assert sent < ENDLESS_BYTES / 4
    assert answers(ses)


@pytest.mark.parametrize("sent", [b"", HEAD, WHOLE, WHOLE + HEAD], ids=len)
def test_a_head_has_its_time(ses, limits, sent):
    limits(head_seconds=0.2)
    with connect(ses.port) as client:
        client.sendall(sent)
        assert read_to_the_end(client).count(b"HTTP/1.1 200") <= sent.count(WHOLE)


@pytest.mark.parametrize(
    "sent",
    [
        POST + b"Content-Length: 5\r\n\r\nhell",
        POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        HEAD + b"Content-Length: 5\r\n\r\nhell",
    ],
    ids=["of known size", "in chunks", "that was answered before its end"],
)
def test_a_body_has_its_time(ses, limits, sent):
    limits(body_seconds=0.2)
    with connect(ses.port) as client:
        client.sendall(sent)
        read_to_the_end(client)
    assert answers(ses)
    assert ses.report()["accepted"] == 0


def test_an_answer_that_nobody_takes_is_dropped(ses, limits, sesv2, mail):
    # Given a long answer
    message = mail()
    message["Content"]["Simple"]["Body"]["Text"]["Data"] = "x" * 9_000_000
    sesv2.send_email(**message)
    limits(answer_seconds=0.2)
    with connect(ses.port) as client:
        client.sendall(b"GET /_sim/messages/1/raw HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2)
        client.recv(1, socket.MSG_PEEK)
        # When its reader reads nothing, but goes on asking, until the simulator has closed the connection
        taken(client, iter(lambda: b"GET", b""))
        # Then the rest does not come
        assert len(read_to_the_end(client)) < 9_000_000


def test_beyond_the_number_the_longest_silent_connection_is_closed(ses, limits):
    limits(connections=3)
    with ExitStack() as open_:
        silent = [open_.enter_context(connect(ses.port)) for _ in range(3)]
        silent[0].sendall(HEAD)
        # When there is one more, then it is answered
        assert answers(ses)
        # And the oldest has gone for it, alone
        assert read_to_the_end(silent[0]) == b""
        silent[1].sendall(HEAD + b"Connection: close\r\n\r\n")
        assert read_to_the_end(silent[1]).startswith(b"HTTP/1.1 200")
