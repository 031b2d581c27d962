"""Fixtures: an HTTP endpoint whose answers a test chooses to the byte, and an AWS client for it."""

from __future__ import annotations

import json
import socket
import socketserver
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sesq.worker.transports.client import AwsClient, ClientSettings


@dataclass
class StubRequest:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    head: bytes
    """The bytes of the head, to the empty line."""

    @property
    def json(self) -> dict:
        return json.loads(self.body)


Play = Callable[["StubHandler"], None]


@dataclass
class StubEndpoint:
    """The endpoint. `stub.plays.append(stub.reply(400, …))`: each request takes one play; without one it accepts."""

    port: int
    plays: deque[Play] = field(default_factory=deque)
    requests: list[StubRequest] = field(default_factory=list)
    connections: int = 0
    released: threading.Event = field(default_factory=threading.Event)
    closed: threading.Event = field(default_factory=threading.Event)
    """It is set when a connection has ended."""
    tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    @property
    def sends(self) -> list[StubRequest]:
        return [request for request in self.requests if request.path == "/v2/email/outbound-emails"]

    @staticmethod
    def reply(status: int, body: bytes | dict = b"", **headers: str) -> Play:
        content = json.dumps(body).encode() if isinstance(body, dict) else body
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(content)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return lambda handler: handler.answer("\r\n".join(lines).encode() + b"\r\n\r\n" + content)

    @classmethod
    def error(cls, status: int, code: str, message: str | None) -> Play:
        """Makes an error as SESv2 sends it: the code in a header, the text in the body."""
        return cls.reply(status, {"message": message}, x_amzn_ErrorType=code)

    @staticmethod
    def raw(data: bytes) -> Play:
        """Sends these bytes, then closes the connection."""
        return lambda handler: handler.answer(data, close=True)

    @staticmethod
    def reset(handler: StubHandler) -> None:
        """Reads the request, then ends the connection with RST in place of a reply."""
        handler.read()
        handler.abort()

    @staticmethod
    def hang(handler: StubHandler) -> None:
        """Reads the request, and sends nothing until the test is over."""
        handler.read()
        handler.server.stub.released.wait(30)
        handler.going = False


class StubHandler(socketserver.StreamRequestHandler):
    server: StubServer

    def setup(self) -> None:
        self.going = True
        if self.server.stub.tls:
            self.request = self.server.stub.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def handle(self) -> None:
        self.server.stub.connections += 1
        while self.going and self.rfile.peek(1):
            plays = self.server.stub.plays
            play = plays.popleft() if plays else StubEndpoint.reply(200, {"MessageId": "stub-id"})
            play(self)

    def read(self) -> None:
        lines = [self.rfile.readline()]
        while lines[-1].strip():
            lines.append(self.rfile.readline())
        method, path, _ = lines[0].decode().split()
        named = (line.decode().partition(":") for line in lines[1:-1])
        headers = {name.lower(): value.strip() for name, _, value in named}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        self.server.stub.requests.append(StubRequest(method, path, headers, body, b"".join(lines)))

    def answer(self, data: bytes, close: bool = False) -> None:
        self.read()
        self.wfile.write(data)
        self.going = not close

    def abort(self) -> None:
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.going = False

    def finish(self) -> None:
        super().finish()
        self.request.close()
        self.server.stub.closed.set()


class StubServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    stub: StubEndpoint

    def shutdown_request(self, request: socket.socket) -> None:
        self.close_request(request)  # without a shutdown before, which would send FIN in place of a reset

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: these tests break connections on purpose."""


@pytest.fixture(scope="module")
def stub_server() -> Iterator[StubServer]:
    with StubServer(("127.0.0.1", 0), StubHandler) as server:
        server.stub = StubEndpoint(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def stub(stub_server: StubServer) -> Iterator[StubEndpoint]:
    """Gives an endpoint that accepts every message, unless a test gives it a play."""
    stub_server.stub = StubEndpoint(stub_server.stub.port)
    yield stub_server.stub
    stub_server.stub.released.set()


def nobodys_aws(patch: pytest.MonkeyPatch, directory: Path) -> None:
    """Sets credentials that nobody has, and hides this machine's AWS settings."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ROLE_ARN"):
        patch.delenv(name, raising=False)
    patch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    patch.setenv("AWS_CONFIG_FILE", str(directory / "config"))
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(directory / "credentials"))
    patch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nobodys_aws(monkeypatch, tmp_path)


@pytest.fixture(scope="module")
def aws_client(stub_server: StubServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsClient]:
    """Makes a client of the stub, once for many tests: making it takes longer than a test."""
    with pytest.MonkeyPatch.context() as patch:
        nobodys_aws(patch, tmp_path_factory.mktemp("aws"))
        client = AwsClient(ClientSettings(region="eu-west-1", endpoint_url=stub_server.stub.url))
        assert client.api
        assert client.credentials()
    yield client
    client.close()
