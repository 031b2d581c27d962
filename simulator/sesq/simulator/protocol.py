"""HTTP on one connection: uvicorn's fast protocol, with limits that it lacks for time and for the length of heads."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

_turns = itertools.count()  # in which connections began to keep the server waiting


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Limits of the port. `head_bytes`: of a request's head, of trailers, and of a chunk's header.

    `head_seconds`: until a request's head is complete, with the pause before it. `body_seconds`: until its body is
    complete. `answer_seconds`: how long a client may read nothing of an answer. `connections`: at one time. If there
    are more, the one that has kept the server waiting for longest is closed.
    """

    head_bytes: int = 64 * 1024
    head_seconds: float = 60
    body_seconds: float = 60
    answer_seconds: float = 60
    connections: int = 800


class LimitedProtocol(HttpToolsProtocol):
    """Closes the connection if a limit is exceeded. `awaited`: "head" or "body" of a request, or "".

    It gives the application its transport, so that a fault can cut the connection.
    """

    limits = HttpLimits()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.awaited = ""
        self.turn = 0
        self._reading = ""
        self._bytes = 0  # since the last end of a head, of a trailer or of a chunk's header
        self._request: asyncio.TimerHandle | None = None
        self._answer: asyncio.TimerHandle | None = None

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
        for timer in (self._request, self._answer):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._bytes += len(data)
        super().data_received(data)
        if self._bytes > self.limits.head_bytes and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._answer = self.loop.call_later(self.limits.answer_seconds, self.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._answer is not None:
            self._answer.cancel()

    @property
    def answering(self) -> bool:
        """Whether the application has a request, and has not answered it in full."""
        return self.cycle is not None and not self.cycle.response_complete

    def abort(self) -> None:
        """Ends the connection at once, whatever is still to be read or written."""
        self.awaited = ""
        self.transport.abort()

    # what the parser tells

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["transport"] = self.transport  # type: ignore[typeddict-unknown-key]
        self._bytes, self._reading = 0, "head"

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._bytes, self._reading = 0, "body"

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._bytes = 0

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._bytes, self._reading, self.awaited = 0, "", ""

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def _watch(self) -> None:
        """Starts the time limit of what is awaited now, if something else was awaited before."""
        awaited = self._reading or ("" if self.answering else "head")
        if awaited == self.awaited:
            return
        self.awaited, self.turn = awaited, next(_turns)
        if self._request is not None:
            self._request.cancel()
        if awaited:
            seconds = self.limits.head_seconds if awaited == "head" else self.limits.body_seconds
            self._request = self.loop.call_later(seconds, self.abort)
