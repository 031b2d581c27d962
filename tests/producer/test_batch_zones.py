"""Rows with time zones become chunks of one zone each, in bounded memory, and the same ones each time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from batch_stage import BatchStage
from sesq.config.send_windows import parse_window
from sesq.producer.batch.csv_rows import SourceRow
from sesq.producer.batch.row_validator import LeftOut
from sesq.producer.batch.zones import MOST_CHARACTERS, MOST_ROWS, Chunker, RowZones
from sesq.queue.chunks import CHUNK_ROWS, Row

WINDOW = "Mon-Fri 09:00-17:00 Europe/Berlin"
ZONES = ["", "Europe/Berlin", "Asia/Tokyo", "America/New_York", "Nowhere/Land", "no zone at all", "x@y"]
PART = 500


def zones() -> RowZones:
    return RowZones(parse_window(WINDOW), "tz")


def source(number: int, zone: Any, filling: str = "") -> SourceRow:
    return SourceRow(number, {"email": f"p{number}@example.org", "tz": zone, "filling": filling})


def chunks_of(given_zones: list[str], left_out: set[int]) -> list[tuple[str, list[int]]]:
    """Window and rows of each chunk, where rows of unknown zones and others are left out."""
    chunker, known = Chunker(zones()), zones()
    found: list[tuple[str, list[Row]]] = []

    def looked_at() -> Iterator[tuple[SourceRow, Row | None]]:
        for number, zone in enumerate(given_zones):
            row = source(number, zone)
            try:
                known.check(row.values)
            except LeftOut:
                yield row, None
            else:
                yield row, None if number in left_out else Row(f"p{number}@example.org", {})

    rows = list(looked_at())
    for start in range(0, len(rows), PART):
        found += chunker.add(rows[start : start + PART])
    found += chunker.rest()
    return [(window, [int(row.to[1:].partition("@")[0]) for row in some]) for window, some in found]


@given(st.lists(st.sampled_from(ZONES), max_size=2500), st.sets(st.integers(0, 2500)))
def test_each_row_is_in_one_chunk_of_its_zone_whoever_is_left_out(
    given_zones: list[str], left_out: set[int]
) -> None:
    found = chunks_of(given_zones, left_out)
    # Then each row that can go is in one chunk, in the order of its zone, and none is too large
    own = zones()
    expected: dict[str, list[int]] = {}
    for number, zone in enumerate(given_zones):
        if number not in left_out and zone in ZONES[:4]:
            expected.setdefault(own.window_of(zone), []).append(number)
    got: dict[str, list[int]] = {}
    for window, some in found:
        assert len(some) <= CHUNK_ROWS
        got.setdefault(window, []).extend(some)
    got.pop("", None)
    # a row without a zone, and one in the window's own, are told apart by their chunks alone
    assert {window: sorted(some) for window, some in got.items()} == {
        window: sorted(some) for window, some in expected.items()
    }
    # and the chunks are those of the same rows of which nobody is left out
    whole = chunks_of(given_zones, set())
    assert [[row for row in some if row not in left_out] for _, some in whole] == [some for _, some in found]


def test_four_hundred_zones_are_kept_in_bounded_memory_and_chunks_are_not_tiny() -> None:
    chunker, kept, sizes = Chunker(RowZones(None, "tz")), 0, []
    names = [f"Zone/Number_{n}" for n in range(400)]
    count = 100_000
    for start in range(0, count, PART):
        rows = [(source(n, names[n % 400]), Row(f"p{n}@example.org", {})) for n in range(start, start + PART)]
        kept += len(rows)
        for _, some in chunker.add(rows):
            kept -= len(some)
            sizes.append(len(some))
        assert kept <= MOST_ROWS
    sizes += [len(some) for _, some in chunker.rest()]
    assert sum(sizes) == count
    assert count / len(sizes) >= 45


def test_a_few_zones_make_full_chunks_whatever_their_order() -> None:
    chunker = Chunker(RowZones(None, "tz"))
    sizes: Counter[int] = Counter()
    for start in range(0, 50_000, PART):
        rows = [(source(n, ZONES[n % 4]), Row(f"p{n}@example.org", {})) for n in range(start, start + PART)]
        sizes.update(len(some) for _, some in chunker.add(rows))
    sizes.update(len(some) for _, some in chunker.rest())
    assert sizes == {500: 100}


def test_large_rows_are_kept_in_bounded_memory_too() -> None:
    chunker, kept = Chunker(RowZones(None, "tz")), 0
    for start in range(0, 10_000, PART):
        rows = [
            (source(n, f"Zone/Number_{n % 100}", "x" * 20_000), Row(f"p{n}@example.org", {}))
            for n in range(start, start + PART)
        ]
        kept += len(rows)
        for _, some in chunker.add(rows):
            kept -= len(some)
        assert kept * 20_000 <= MOST_CHARACTERS


@pytest.mark.parametrize("zone", ["Nowhere/Land", "Europe", "x" * 100, 7, ["UTC"], "../../etc/passwd"])
def test_a_row_whose_zone_is_none_is_left_out(zone: object) -> None:
    with pytest.raises(LeftOut, match="tz"):
        zones().check({"email": "a@example.org", "tz": zone})


@pytest.mark.parametrize("zone", ["Europe/Berlin", " UTC ", "", None])
def test_a_row_may_name_a_zone_or_none(zone: object) -> None:
    zones().check({"email": "a@example.org", "tz": zone})


def test_a_batch_with_zones_that_died_goes_on_and_nobody_is_there_twice(redis: Redis) -> None:
    # Given rows in several zones, some of them left out, and a producer that dies on the way
    stage = BatchStage(redis)
    rows = [{"email": f"p{n}@example.org", "name": "P", "tz": ZONES[n * n % 7]} for n in range(3000)] + [
        {"email": "p1@example.org", "name": "again", "tz": "UTC"}
    ]

    def broken() -> Iterator[dict[str, str]]:
        yield from rows[:2600]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="gone"):
        stage.take(0, rows=broken(), window=WINDOW, zone_column="tz")
    here = stage.batches.all()[0]
    assert here.chunks > 0
    assert not here.filled
    # When the same rows come again
    intake = stage.take(0, rows=iter(rows), window=WINDOW, zone_column="tz")
    # Then each of those who can go is there once, in the window of the zone
    assert intake.id == here.id
    batch = stage.batch(intake)
    goes = {f"p{n}@example.org" for n in range(3000) if ZONES[n * n % 7] in ZONES[:4]}
    found = Counter(each.to for each in stage.batches.recipients(batch.id))
    assert found == Counter(goes)
    assert (batch.total, batch.filled, batch.duplicates) == (len(goes), True, 1)
