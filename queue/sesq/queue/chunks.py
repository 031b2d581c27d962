"""Packs a chunk of a batch: up to 500 rows in one string, and SES's answers for them in another.

A row is known by its number in its chunk, from 0. Its id, and its SES tag, is `<batch>-<chunk>-<number>`.
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
"""Rows of the source in one chunk, also if some of them are left out."""
MOST_CHUNKS = 1_000_000
"""Chunks of one batch, for 500 million recipients. A hash with a higher number is damaged."""
RESULT_LEVEL = 9
"""The level of compression. MessageIds are mostly random, so only the hexadecimal notation can be packed."""

_recipient_id = re.compile(r"([0-9a-f]{20})-(\d{1,9})-(\d{1,9})").fullmatch


@dataclass(frozen=True, slots=True)
class Row:
    """Holds one row: the recipient's address in wire form, and the values of the template's variables."""

    to: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Taken:
    """Holds SES's answer for one row: the MessageId, and when it came (seconds since the epoch by Redis's clock)."""

    at: float
    message_id: str


@dataclass(frozen=True, slots=True)
class Place:
    """Holds the place of a row: its batch, the number of its chunk, and its number in the chunk."""

    batch: str
    chunk: int
    row: int

    @property
    def chunk_id(self) -> str:
        return f"{self.batch}-{self.chunk}"


def place_of(id: str) -> Place | None:
    """Reads the place of a row from its id; None for the id of any other message."""
    found = _recipient_id(id)
    return Place(found[1], int(found[2]), int(found[3])) if found else None


def pack_rows(rows: Sequence[Row], names: Sequence[str]) -> bytes:
    """Packs rows. `names`: the template's variables. A row with all of them becomes a list, any other an object."""
    packed = [[row.to, _values(row.values, names)] for row in rows]
    return zlib.compress(encode_json({"v": VERSIONS[-1], "names": list(names), "rows": packed}).encode())


def _values(values: Mapping[str, Any], names: Sequence[str]) -> list[Any] | dict[str, Any]:
    try:
        return [values[name] for name in names]
    except KeyError:
        return {name: values[name] for name in names if name in values}


def unpack_rows(packed: bytes) -> list[Row]:
    """Unpacks the rows that `pack_rows` packed. Raises UnknownVersion, and InvalidMessage if they are damaged."""
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
    """Reads the numbers of a chunk's rows that go back to wait: "<start>-<end> …"."""
    runs = re.findall(r"(\d{1,9})-(\d{1,9})", redo)
    return {row for start, end in runs for row in range(int(start), min(int(end), CHUNK_ROWS))}


def pack_results(log: bytes, before: bytes = b"") -> bytes:
    """Compresses the log of a finished chunk, and adds it to the part that was packed before."""
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
