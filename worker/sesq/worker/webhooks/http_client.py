"""Posts to one endpoint: to a checked address, and within a time limit, whatever the endpoint answers.

It uses `http.client` on a socket of its own: so nothing resolves the name a second time, takes a proxy from the
environment, follows a redirection, or writes a URL into a log.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, RemoteDisconnected
from pathlib import Path

from sesq.config.errors import SettingsError
from sesq.config.places import expand
from sesq.worker.webhooks.addresses import NotReached, Place, Resolve, checked_addresses, resolve

CONNECT_SECONDS = 5.0
MOST_BYTES = 64 * 1024
"""How much of an answer's body is read, so that the connection can be used again. The body is not used."""

Socket = socket.socket


@dataclass(frozen=True, slots=True)
class Answer:
    """Holds an endpoint's answer. `retry_after`: the value of that header, "" if there is none."""

    status: int
    retry_after: str


class HttpClient:
    """Posts to one endpoint, and keeps the connection while the endpoint does. For one thread at a time."""

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float,
        allow_private: bool = False,
        ca_file: Path | None = None,
        resolve: Resolve = resolve,
    ) -> None:
        self._place = Place.of(url)
        self._timeout_seconds = timeout_seconds
        self._allow_private = allow_private
        self._resolve = resolve
        self._tls = _trusting(ca_file) if self._place.is_tls else None
        self._kept: Socket | None = None

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Posts a body, and returns the answer with any status. Raises NotReached."""
        deadline = time.monotonic() + self._timeout_seconds
        kept, self._kept = self._kept, None
        if kept is not None and _is_idle(kept):
            try:
                return self._ask(kept, body, headers, deadline)
            except _Closed:  # the endpoint closed it between two requests
                pass
        elif kept is not None:
            kept.close()
        return self._ask(self._connect(deadline), body, headers, deadline)

    def close(self) -> None:
        """Closes the kept connection."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _connect(self, deadline: float) -> Socket:
        """Connects to the first address that takes a connection. Raises NotReached."""
        problem = NotReached("no time was left to connect")
        seconds = max(0.0, deadline - time.monotonic())
        for address in checked_addresses(
            self._place, allow_private=self._allow_private, resolve=self._resolve, seconds=seconds
        ):
            left = deadline - time.monotonic()
            if left > 0:
                try:
                    return self._connect_to(address, min(CONNECT_SECONDS, left))
                except OSError as error:
                    problem = NotReached(_meaning(error))
        raise problem

    def _connect_to(self, address: str, seconds: float) -> Socket:
        """Connects to an address, and checks the certificate for the endpoint's name. Raises OSError."""
        plain = socket.create_connection((address, self._place.port), timeout=seconds)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is None:
                return plain
            return self._tls.wrap_socket(plain, server_hostname=self._place.host)
        except BaseException:
            plain.close()
            raise

    def _ask(self, sock: Socket, body: bytes, headers: Mapping[str, str], deadline: float) -> Answer:
        """Sends one request and reads its answer. Raises NotReached, and _Closed if the connection had ended before."""
        connection = HTTPConnection(self._place.host)
        connection.auto_open = 0  # to this socket, and to no other
        connection.sock = sock
        with _closed_at(sock, deadline) as is_late:
            try:
                connection.request(
                    "POST", self._place.target, body, {"Host": self._place.authority, **headers}
                )
                response = connection.getresponse()
            except (HTTPException, OSError, ValueError) as error:
                sock.close()
                if is_late():
                    raise NotReached(f"no answer within {self._timeout_seconds:g} s") from error
                if isinstance(error, RemoteDisconnected | ConnectionResetError | BrokenPipeError):
                    raise _Closed(_meaning(error)) from error
                raise NotReached(_meaning(error)) from error
            in_time = not is_late()
            if in_time and _is_read(response) and connection.sock is not None and not is_late():
                self._kept = sock
            else:
                response.close()
                sock.close()
        if not in_time:  # the end of the connection looks like the end of the headers
            raise NotReached(f"no answer within {self._timeout_seconds:g} s")
        return Answer(response.status, response.getheader("Retry-After", ""))


class _Closed(NotReached):
    """The endpoint closed the connection and answered nothing."""


def _trusting(ca_file: Path | None) -> ssl.SSLContext:
    """Makes a context that trusts the system's certificates, or those of a file. Raises SettingsError."""
    try:
        return ssl.create_default_context(cafile=str(expand(ca_file)) if ca_file else None)
    except (OSError, ValueError) as error:
        raise SettingsError(f"ca_file: {ca_file} cannot be used: {error}") from error


def _is_idle(sock: Socket) -> bool:
    """Whether a kept connection can be used: anything to read on it is its end, or an answer to no request."""
    readable, _, _ = select.select([sock], [], [], 0)
    return not readable


def _is_read(response: HTTPResponse) -> bool:
    """Whether the whole body could be read, up to MOST_BYTES."""
    try:
        response.read(MOST_BYTES)
    except (HTTPException, OSError, ValueError):
        return False
    return response.isclosed()


@contextlib.contextmanager
def _closed_at(sock: Socket, deadline: float) -> Iterator[Callable[[], bool]]:
    """Ends the connection at the deadline. A socket's timeout would not, if bytes come one by one.

    Yields a function that tells whether it has done so.
    """
    late = threading.Event()

    def end() -> None:
        late.set()
        with contextlib.suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    left = max(0.0, deadline - time.monotonic())
    sock.settimeout(left + 1)
    timer = threading.Timer(left, end)
    timer.daemon = True
    timer.start()
    try:
        yield late.is_set
    finally:
        timer.cancel()


MEANINGS: tuple[tuple[type[Exception], str], ...] = (
    (TimeoutError, "no connection in time"),
    (ConnectionRefusedError, "the connection was refused"),
    (RemoteDisconnected, "the connection was closed without an answer"),
    (ConnectionError, "the connection was lost"),
    (ssl.SSLError, "TLS failed"),
    (OSError, "the network cannot be used"),
)
"""What an error means. The first class that fits counts. Any other error means that the answer was no HTTP."""


def _meaning(error: Exception) -> str:
    """Describes an error in sesq's own words, because an endpoint's text may contain anything."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    return next((text for kind, text in MEANINGS if isinstance(error, kind)), "what answered is not HTTP")
