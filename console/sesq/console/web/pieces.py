"""Answers with a file of lines. It sends many lines in one piece: each piece costs a change of threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from starlette.responses import StreamingResponse

LINES = 1000
"""The most lines of one piece."""
SECONDS = 0.1
"""How long a line waits for others (s)."""


def file_of_lines(lines: Iterable[str], kind: str, name: str = "") -> StreamingResponse:
    """Answers with lines while they are made. With a name, a browser saves them as that file."""
    headers = {"content-disposition": f'attachment; filename="{name}"'} if name else {}
    return StreamingResponse(in_pieces(lines), 200, headers, kind)


def in_pieces(lines: Iterable[str], clock: Callable[[], float] = time.monotonic) -> Iterator[str]:
    """Joins lines. A piece ends at LINES lines, and when SECONDS have passed since the piece before it."""
    piece: list[str] = []
    last = clock()
    for line in lines:
        piece.append(line)
        if len(piece) >= LINES or clock() - last >= SECONDS:
            yield "".join(piece)
            piece, last = [], clock()
    if piece:
        yield "".join(piece)
