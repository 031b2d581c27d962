"""Torn, huge and odd HTTP neither stops the simulator nor gets past a limit."""

from __future__ import annotations

import json
import socket

import pytest

PATH = "POST /v2/email/outbound-emails HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def body(mail):
    return json.dumps(mail()).encode()


@pytest.fixture
def talk(ses):
    """Send bytes, close our half, and return all that comes back."""

    def over_the_wire(*pieces: bytes, half_close: bool = True) -> bytes:
        with socket.create_connection(("127.0.0.1", ses.port), timeout=10) as raw:
            for piece in pieces:
                raw.sendall(piece)
            if half_close:
                raw.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: raw.recv(65536), b""))

    return over_the_wire


@pytest.fixture
def still_standing(ses, sesv2, mail):
    yield
    ses.advance(10)
    before = ses.report()["accepted"]
    sesv2.send_email(**mail())
    assert ses.report()["accepted"] == before + 1


@pytest.mark.usefixtures("still_standing")
@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x00\xff\x16\x03\x01",
        b"GET\r\n\r\n",
        b"POST /v2/email/outbound-emails HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v2/email/outbound-emails HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST /v2/email/outbound-emails HTTP/1.1\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v2/email/outbound-emails HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"POST /v2/email/outbound-emails HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5_000 + b"\r\n",
        b"GET /%ff%00%0d%0a HTTP/1.1\r\n\r\n",
        b"GET /_sim/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: [\r\n\r\n",
        b"PUT /_sim/account HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n{{{",
        b"POST / HTTP/1.1\r\nX-Amz-Target: AmazonSQS.ReceiveMessage\r\nContent-Length: 2\r\n\r\n[]",
        b"POST / HTTP/1.1\r\nX-Amz-Target: AmazonSQS.\xff\r\nContent-Length: 0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nAction=%ff\xff",
        b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nHost: localhost\r\n\r\n",
    ],
)
def test_junk(ses, talk, request_bytes):
    talk(request_bytes)
    assert ses.report()["accepted"] == 0


@pytest.mark.usefixtures("still_standing")
def test_torn_request_is_no_send(ses, talk, body):
    head = f"{PATH}Content-Length: {len(body)}\r\n\r\n"
    for cut in (10, len(PATH), len(PATH) + 20, len(head), len(head) + len(body) // 2):
        talk((head.encode() + body)[:cut])
    assert ses.report()["accepted"] == 0
    assert ses.messages() == []


def test_one_byte_chunks_are_one_send(ses, talk, body):
    chunks = b"".join(b"1;x=y\r\n%c\r\n" % byte for byte in body)
    reply = talk(
        f"{PATH}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n".encode(),
        chunks,
        b"0\r\nTrailer: x\r\n\r\n",
    )
    assert reply.startswith(b"HTTP/1.1 200")
    assert ses.report()["accepted"] == 1


def test_pipelined_requests_are_judged_one_by_one(ses, talk, body):
    one = f"{PATH}Content-Length: {len(body)}\r\n\r\n".encode() + body
    last = f"{PATH}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    replies = talk(one + one + last, half_close=False)
    assert replies.count(b"HTTP/1.1 200") == 1
    assert replies.count(b"HTTP/1.1 429") == 2
    assert ses.report()["accepted"] == 1


@pytest.mark.usefixtures("still_standing")
def test_announced_hundred_megabytes_are_refused_unread(talk):
    # the head alone: it is judged by what it announces, and a body would meet a closed connection
    reply = talk(f"{PATH}Content-Length: 104857600\r\n\r\n".encode(), half_close=False)
    assert reply.startswith(b"HTTP/1.1 413")
    assert b"RequestEntityTooLargeException" in reply


@pytest.mark.usefixtures("still_standing")
def test_chunked_hundred_megabytes_are_cut_off(ses):
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", ses.port), timeout=20) as raw:
        raw.sendall(f"{PATH}Transfer-Encoding: chunked\r\n\r\n".encode())
        try:
            for _ in range(100):
                raw.sendall(chunk)
            reply = raw.recv(1000)
        except (ConnectionResetError, BrokenPipeError):
            reply = b"HTTP/1.1 413"  # it closed before we were done, which is as good
    assert reply.startswith(b"HTTP/1.1 413")
    assert ses.report()["accepted"] == 0


def test_more_regions_than_there_are(ses, talk, body):
    def send(region: str) -> bytes:
        scope = f"Authorization: AWS4-HMAC-SHA256 Credential=A/20261124/{region}/ses/aws4_request, Signature=x\r\n"
        return talk(f"{PATH}{scope}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    replies = [send(f"r-{number}") for number in range(205)]
    assert replies[0].startswith(b"HTTP/1.1 200")
    assert replies[-1].startswith(b"HTTP/1.1 403")
    assert len(ses.cloud.regions()) == 200
