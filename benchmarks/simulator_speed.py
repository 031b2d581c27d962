"""How fast our simulator accepts, beside moto_server in the same run: a table, and JSON with --json.

Each server is a process of its own and gets the same requests over the same number of kept-open connections. The client
is one process that writes ready-made requests, so that it is not what is measured; on a machine with one core it is.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import platform
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CONTENT = {"Simple": {"Subject": {"Data": "Hello"}, "Body": {"Text": {"Data": "x" * 1000}}}}
SENDER = "shop@example.com"


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


async def load(port: int, sends: int, connections: int) -> dict[str, Any]:
    """`sends` requests over `connections`; RuntimeError for any answer but 200."""
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
    return {
        "connections": connections,
        "sends": sends,
        "sends_per_second": round(sends / elapsed),
        "p50_ms": round(percentiles[49] * 1000, 2),
        "p99_ms": round(percentiles[98] * 1000, 2),
    }


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sends", type=int, default=20_000, help="to the simulator, each time")
    parser.add_argument("--moto-sends", type=int, default=1_000, help="to moto, each time; 0 leaves it out")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--port", type=int, default=9897, help="moto gets the next one")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    rows = run("sesq simulator", simulator, given.port, given.sends, given.connections)
    if given.moto_sends:
        rows += run("moto_server", moto, given.port + 1, given.moto_sends, given.connections)
    print(f"{'server':16}{'connections':>12}{'sends/s':>10}{'p50 ms':>9}{'p99 ms':>9}")
    for row in rows:
        print(
            f"{row['server']:16}{row['connections']:>12}{row['sends_per_second']:>10}{row['p50_ms']:>9}{row['p99_ms']:>9}"
        )
    if given.json:
        host = {"python": platform.python_version(), "machine": platform.machine()}
        given.json.write_text(json.dumps({"host": host, "runs": rows}, indent=2) + "\n")


def run(name: str, server: Any, port: int, sends: int, connections: list[int]) -> list[dict[str, Any]]:
    with server(port):
        return [{"server": name, **asyncio.run(load(port, sends, each))} for each in connections]


if __name__ == "__main__":
    main()
