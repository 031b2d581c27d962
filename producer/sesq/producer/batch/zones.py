"""Groups rows by their time zone, since each chunk of a batch has one send window.

Which chunk a row goes to depends only on the rows and their zones, and not on which rows are left out. So the same rows
always make the same chunks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sesq.config.errors import InvalidPolicy
from sesq.config.send_windows import SendWindow, is_zone_like
from sesq.producer.batch.csv_rows import SourceRow
from sesq.producer.batch.row_validator import LeftOut, Why
from sesq.queue.chunks import CHUNK_ROWS, Row

MOST_ROWS, MOST_CHARACTERS = 20_000, 30_000_000
"""The most that is kept in memory, for all zones together. When it is reached, smaller chunks are made."""

MOST_UNKNOWN = 1000
"""How many unknown names of zones are remembered."""


@dataclass(slots=True)
class _Gathering:
    """The rows of one zone that are not in a chunk yet. `count`: rows of the source; `rows`: rows to be queued."""

    count: int = 0
    characters: int = 0
    rows: list[Row] = field(default_factory=list)


class RowZones:
    """What the zones of rows mean for a batch. Without a column, every row goes in the batch's own window."""

    def __init__(self, window: SendWindow | None, column: str | None) -> None:
        self._window, self._column = window, column
        self._windows: dict[str, str] = {}
        self._unknown: dict[str, str] = {}
        """Names that are no zones -> the error. They are kept, since each look-up takes a while."""

    @property
    def differ(self) -> bool:
        """Whether rows may have zones of their own."""
        return self._column is not None

    def check(self, values: Mapping[str, Any]) -> None:
        """Raises LeftOut for a row whose zone is not known."""
        if self._column is None:
            return
        given = values.get(self._column)
        if given is not None and not isinstance(given, str):
            raise LeftOut(Why.INVALID, f"{self._column} is no time zone")
        zone = self.zone_of(values)
        if zone not in self._windows and zone not in self._unknown:
            self._look_up(zone)
        if zone in self._unknown:
            raise LeftOut(Why.INVALID, f"{self._column}: {self._unknown[zone]}")

    def _look_up(self, zone: str) -> None:
        try:
            self.window_of(zone)
        except InvalidPolicy as error:
            if len(self._unknown) >= MOST_UNKNOWN:
                self._unknown.clear()
            self._unknown[zone] = str(error)

    def zone_of(self, values: Mapping[str, Any]) -> str:
        """Returns the zone that a row names; empty if it names none."""
        given = values.get(self._column) if self._column else None
        return given.strip() if isinstance(given, str) else ""

    def window_of(self, zone: str) -> str:
        """Returns the window of rows that name a zone; empty if there is none. Raises InvalidPolicy."""
        if self._window is None:
            return ""
        if zone not in self._windows:
            self._windows[zone] = str(self._window.in_zone(zone) if zone else self._window)
        return self._windows[zone]


class Chunker:
    """Makes chunks of rows, each of one zone. It keeps at most some thousand rows in memory."""

    def __init__(self, zones: RowZones) -> None:
        self._zones = zones
        self._gathering: dict[str, _Gathering] = {}

    def add(self, rows: Iterable[tuple[SourceRow, Row | None]]) -> Iterator[tuple[str, list[Row]]]:
        """Takes as many rows as make a chunk (None for a row that is left out). Yields the window and the rows of each
        chunk that is full.
        """
        if not self._zones.differ:
            yield self._zones.window_of(""), [row for _, row in rows if row is not None]
            return
        for source, row in rows:
            zone = self._zones.zone_of(source.values)
            zone = (
                zone if is_zone_like(zone) else ""
            )  # rows with other names are left out, and there may be many such names
            gathering = self._gathering.setdefault(zone, _Gathering())
            gathering.count += 1
            gathering.characters += sum(len(str(value)) for value in source.values.values())
            if row is not None:
                gathering.rows.append(row)
            if gathering.count == CHUNK_ROWS:
                yield self._chunk(zone)
        if self._is_too_much(1):
            yield from self._make_room()

    def rest(self) -> Iterator[tuple[str, list[Row]]]:
        """Yields what is left at the end: chunks that are not full."""
        for zone in list(self._gathering):
            yield self._chunk(zone)

    def _is_too_much(self, share: float) -> bool:
        gathering = self._gathering.values()
        return (
            sum(each.count for each in gathering) > MOST_ROWS * share
            or sum(each.characters for each in gathering) > MOST_CHARACTERS * share
        )

    def _make_room(self) -> Iterator[tuple[str, list[Row]]]:
        """Makes chunks of the zones with most rows, until half of the room is free."""
        for zone in sorted(self._gathering, key=lambda zone: -self._gathering[zone].count):
            if not self._is_too_much(0.5):
                return
            yield self._chunk(zone)

    def _chunk(self, zone: str) -> tuple[str, list[Row]]:
        rows = self._gathering.pop(zone).rows
        return (self._zones.window_of(zone) if rows else "", rows)
