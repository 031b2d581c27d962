"""How fast our simulator accepts, beside moto_server in the same run.

Each server is a process of its own and gets the same requests over the same number of kept-open connections. The client
is one process that writes ready-made requests, so that it is not what is measured; on a machine with one core it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from benchmarks.measure import show

CONTENT = {"Simple": {"Subject": {"Data": "Hello"}, "Body": {"Text": {"Data": "x" * 1000}}}}
SENDER = "shop@example.com"
CONNECTIONS = (1, 8, 32)
SENDS, MOTO_SENDS = 20_000, 1000
PORT = 9897


def request(host: str, port: int) -> bytes:
    message = {
        "FromEmailAddress": SENDER,
        "Destination": {"ToAddresses": ["ada@example.org"]},
        "Content": CONTENT,
    }
    body = json.dumps(message).encode()
    head = (
        f"POST /v2/email/outbound-emails HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
        "Authorization: AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/us-east-1/ses/aws4_request, "
        "SignedHeaders=host;x-amz-date, Signature=0000\r\nX-Amz-Date: 20260101T000000Z\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def load(port: int, sends: int, connections: int) -> tuple[float, float, float]:
    """`sends` requests over `connections`: sends a second, p50 and p99 in ms. RuntimeError for any answer but 200."""
    ready = request("127.0.0.1", port)
    left = iter(range(sends))
    seconds: list[float] = []

    async def connection() -> None:
        streams = None
        for _ in left:
            start = time.perf_counter()
            streams = streams or await asyncio.open_connection("127.0.0.1", port)
            kept = await exchange(*streams, ready)
            seconds.append(time.perf_counter() - start)
            if not kept:
                streams[1].close()
                streams = None
        if streams:
            streams[1].close()

    start = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(connections)))
    elapsed = time.perf_counter() - start
    percentiles = statistics.quantiles(seconds, n=100)
    return sends / elapsed, percentiles[49] * 1000, percentiles[98] * 1000


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ready: bytes) -> bool:
    """One request; whether the server keeps the connection (moto's does not)."""
    writer.write(ready)
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)).lower()
    if not head.startswith(b"http/1.1 200"):
        raise RuntimeError(f"refused: {head[:200]!r}")
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    await reader.readexactly(length)
    return b"connection: close" not in head


@contextmanager
def simulator(port: int) -> Iterator[None]:
    limits = ["--production", "--rate", "1000000", "--daily", "-1"]
    with process([sys.executable, "-m", "sesq.simulator", "--port", str(port), *limits], port):
        post(f"http://127.0.0.1:{port}/_sim/identities/{SENDER}/verify", b"")
        yield


@contextmanager
def moto(port: int) -> Iterator[None]:
    with process([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port):
        scope = "AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/us-east-1/ses/aws4_request, Signature=0"
        action = f"Action=VerifyEmailIdentity&EmailAddress={SENDER}".encode()
        post(f"http://127.0.0.1:{port}/", action, Authorization=scope)
        yield


@contextmanager
def process(command: list[str], port: int) -> Iterator[None]:
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield
    finally:
        server.terminate()
        server.wait(timeout=20)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


def post(url: str, body: bytes, **headers: str) -> None:
    urllib.request.urlopen(
        urllib.request.Request(url, data=body, headers=headers, method="POST"), timeout=10
    ).close()


def main(scale: float = 1.0) -> list[dict[str, Any]]:
    """Returns one table."""
    rows = run("sesq simulator", simulator, round(SENDS * scale))
    rows += run("moto_server", moto, round(MOTO_SENDS * scale))
    columns = ("server", "connections", "sends", "sends a second", "p50 ms", "p99 ms")
    return [show("How fast the simulator accepts", columns, rows)]


def run(
    name: str, server: Callable[[int], AbstractContextManager[None]], sends: int
) -> list[tuple[Any, ...]]:
    with server(PORT):
        return [(name, each, sends, *asyncio.run(load(PORT, sends, each))) for each in CONNECTIONS]


if __name__ == "__main__":
    main()
