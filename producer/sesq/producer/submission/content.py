"""Collects the content of a mail that comes in, in one buffer, and finds its end."""

from __future__ import annotations

import asyncio

LINE_END = b"\r\n"
END = b"\r\n.\r\n"


class Content:
    """What a client sends after DATA (RFC 5321, 4.1.1.4 and 4.5.2). If it has more than `max_bytes`, none is kept."""

    def __init__(self, max_bytes: int, loop: asyncio.AbstractEventLoop) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray(LINE_END)  # the first line then looks like all others
        self.too_large = False
        self.ended: asyncio.Future[None] = loop.create_future()

    def feed(self, data: bytes) -> bytes | None:
        """Takes what has come in. Returns what came behind the end of the mail; None while there is no end."""
        searched = max(len(self._buffer) - len(END) + 1, 0)
        self._buffer += data
        end = self._buffer.find(END, searched)
        size = end if end >= 0 else len(self._buffer) - len(END) + 1
        self.too_large = self.too_large or size > self._max_bytes
        behind = bytes(self._buffer[end + len(END) :]) if end >= 0 else None
        if self.too_large:
            del self._buffer[: 1 - len(END)]  # the end may have begun
        elif end >= 0:
            del self._buffer[end + len(LINE_END) :]
        if end >= 0 and not self.ended.done():
            self.ended.set_result(None)
        return behind

    def whole(self) -> bytes:
        """Returns the mail, without the dots that SMTP adds."""
        content = self._buffer.replace(LINE_END + b".", LINE_END)
        self._buffer = bytearray()
        return bytes(memoryview(content)[len(LINE_END) :])
