"""Serves HTTP on ports that anybody can reach: limits each client's memory, time and connections.

uvicorn reads with h11, which refuses a head, a chunk's header or trailers of more than MAX_HEAD_BYTES. This module adds
the time limits: uvicorn itself limits only the pause between two requests.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from sesq.config.errors import InputError

MAX_HEAD_BYTES = 32 * 1024
STOP_SECONDS = 5
BACKLOG = 128

_turns = itertools.count()
"""Numbers for the order in which connections began to keep the server waiting. Two times of a clock may be equal."""


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Holds the limits of one port. A connection that exceeds a time limit is closed.

    `head_seconds`: until a TLS handshake is complete, and until each request's head is, with the pause before it.
    `body_seconds`: until a request's body is complete.
    `answer_seconds`: how long a client may read nothing while an answer waits for it.
    `connections`: how many at one time. If there are more, the one that kept the server waiting longest is closed.
    """

    head_seconds: float = 15
    body_seconds: float = 60
    answer_seconds: float = 60
    connections: int = 200


class Deadline:
    """Calls `then` when its seconds are over, unless it is stopped or started again before."""

    def __init__(self, loop: asyncio.AbstractEventLoop, then: Callable[[], None]) -> None:
        self._loop = loop
        self._then = then
        self._timer: asyncio.TimerHandle | None = None

    def start(self, seconds: float) -> None:
        self.stop()
        self._timer = self._loop.call_later(seconds, self._then)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class LimitedProtocol(H11Protocol):
    """Handles one connection. `awaited`: what the client has to send: h11.IDLE (a head), h11.SEND_BODY, or None."""

    def __init__(self, limits: HttpLimits, **options: Any) -> None:
        super().__init__(**options)
        self.limits = limits
        self.awaited: Any = None
        self.turn = 0
        self._request = Deadline(self.loop, self.abort)
        self._answer = Deadline(self.loop, self.abort)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > self.limits.connections:
            waiting = [
                each for each in self.connections if isinstance(each, LimitedProtocol) and each.awaited
            ]
            min(waiting, key=lambda each: each.turn).abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._request.stop()
        self._answer.stop()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._answer.start(self.limits.answer_seconds)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._answer.stop()

    def abort(self) -> None:
        """Ends the connection at once."""
        self.awaited = None
        self.transport.abort()

    def _watch(self) -> None:
        """Starts the time limit if the client now has to send something else than before."""
        state = self.conn.their_state
        awaited = state if state in (h11.IDLE, h11.SEND_BODY) else None
        if awaited is self.awaited:
            return
        self.awaited, self.turn = awaited, next(_turns)
        if awaited is None:
            self._request.stop()
        else:
            limits = self.limits
            self._request.start(limits.head_seconds if awaited is h11.IDLE else limits.body_seconds)


class HttpServer(uvicorn.Server):
    """Serves an ASGI application on one socket. Raises InputError for a port or a certificate that cannot be used."""

    def __init__(
        self,
        app: Any,
        host: str,
        port: int,
        certificate: Path | None = None,
        key: Path | None = None,
        limits: HttpLimits | None = None,
    ) -> None:
        self.limits = limits or HttpLimits()
        config = uvicorn.Config(
            app,
            http=H11Protocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            # the application itself judges a proxy's headers about the client
            proxy_headers=False,
            ssl_certfile=str(certificate) if certificate else None,
            ssl_keyfile=str(key) if key else None,
            timeout_keep_alive=int(self.limits.head_seconds) + 1,
            timeout_graceful_shutdown=STOP_SECONDS,
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        )
        try:
            config.load()
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self.listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as error:  # ssl's errors are of this kind, too
            raise InputError(f"{host}:{port}: cannot listen there: {error}") from error
        super().__init__(config)
        name = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if certificate else 'http'}://{name}:{self.listener.getsockname()[1]}"

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Opens the socket itself, because uvicorn takes no limits for a protocol or for TLS handshakes."""
        await super().startup(sockets=sockets or [])
        tls: dict[str, Any] = {"ssl": self.config.ssl, "ssl_handshake_timeout": self.limits.head_seconds}
        server = await asyncio.get_running_loop().create_server(
            self._protocol, sock=self.listener, backlog=BACKLOG, **(tls if self.config.ssl else {})
        )
        self.servers.append(server)

    def _protocol(self) -> LimitedProtocol:
        return LimitedProtocol(
            self.limits,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
