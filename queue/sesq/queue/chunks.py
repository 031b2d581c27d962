"""A chunk of a batch, packed: some hundred recipients in one string, and what SES answered to them in another.

A recipient is known by its number in its chunk, from 0; `<batch>-<chunk>-<number>` is its id, and its SES tag.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sesq.config.errors import InvalidMessage
from sesq.queue.envelope import VERSIONS, encode_json, read_versioned

CHUNK_ROWS = 500
"""So many rows of the source make a chunk, even if some of them are left out."""
MOST_CHUNKS = 1_000_000
"""Of one batch, which would be 500 million recipients: a hash that says more is damaged."""
RESULT_LEVEL = 9
"""MessageIds are mostly random, so packing saves only what their hexadecimal digits waste."""

_recipient_id = re.compile(r"([0-9a-f]{20})-(\d{1,9})-(\d{1,9})").fullmatch


@dataclass(frozen=True, slots=True)
class Row:
    """One recipient: the address in wire form, and the variables of the template."""

    to: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Taken:
    """What SES answered to one recipient: its MessageId, and when (seconds since the epoch by Redis's clock)."""

    at: float
    message_id: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a recipient stands: its batch, the number of its chunk, and its number in there."""

    batch: str
    chunk: int
    row: int

    @property
    def chunk_id(self) -> str:
        return f"{self.batch}-{self.chunk}"


def place_of(id: str) -> Place | None:
    """Finds the place of a recipient from its id; None for the id of any other message."""
    found = _recipient_id(id)
    return Place(found[1], int(found[2]), int(found[3])) if found else None


def pack_rows(rows: Sequence[Row], names: Sequence[str]) -> bytes:
    """Packs rows; `names` are the variables. A row with all of them becomes a list, any other an object."""
    packed = [[row.to, _values(row.values, names)] for row in rows]
    return zlib.compress(encode_json({"v": VERSIONS[-1], "names": list(names), "rows": packed}).encode())


def _values(values: Mapping[str, Any], names: Sequence[str]) -> list[Any] | dict[str, Any]:
    try:
        return [values[name] for name in names]
    except KeyError:
        return {name: values[name] for name in names if name in values}


def unpack_rows(packed: bytes) -> list[Row]:
    """Unpacks what `pack_rows` made. Raises InvalidMessage if its version is unknown, or if it is damaged."""
    try:
        chunk = read_versioned(zlib.decompress(packed), "rows")
        names = chunk["names"]
        return [
            Row(to, values if isinstance(values, dict) else dict(zip(names, values, strict=True)))
            for to, values in chunk["rows"]
        ]
    except (zlib.error, KeyError, TypeError, ValueError) as error:
        raise InvalidMessage("rows", f"are damaged in Redis: {error}") from error


def given_back(redo: str) -> set[int]:
    """Returns the rows of a chunk that are to be sent again: "<start>-<end> …"."""
    runs = re.findall(r"(\d{1,9})-(\d{1,9})", redo)
    return {row for start, end in runs for row in range(int(start), min(int(end), CHUNK_ROWS))}


def pack_results(log: bytes, before: bytes = b"") -> bytes:
    """Compresses the log of a finished chunk, as small as possible, after what was packed of it before."""
    return zlib.compress(_plain(before) + log, RESULT_LEVEL)


def read_results(log: bytes) -> dict[int, Taken]:
    """Reads a chunk's log: lines of "<time> <row>:<MessageId> …", packed or not. Skips what is damaged."""
    lines = _plain(log).decode("ascii", "replace").splitlines()
    return {row: taken for line in lines for row, taken in _read_line(line)}


def has_text(packed: bytes, wanted: str) -> bool:
    """Whether the rows or the log of a chunk, packed or not, have a text in lower case."""
    return wanted in _plain(packed).decode("utf-8", "replace").lower()


def first_taken_at(head: bytes) -> float | None:
    """Reads when SES took the first mail of a chunk (s) from the first bytes of its log, packed or not."""
    with suppress(ValueError, zlib.error):
        start = zlib.decompressobj().decompress(head, 64) if head[:1] == b"x" else head
        return float(start.partition(b" ")[0])
    return None


def _plain(log: bytes) -> bytes:
    try:
        return zlib.decompress(log) if log[:1] == b"x" else log
    except zlib.error:
        return b""


def _read_line(line: str) -> Iterator[tuple[int, Taken]]:
    at, *entries = line.split() or [""]
    for entry in entries:
        row, _, message_id = entry.partition(":")
        with suppress(ValueError):
            yield int(row), Taken(float(at), message_id)
