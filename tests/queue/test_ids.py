"""The ids of messages: short, in the order of time, and never taken for a recipient's of a batch."""

from __future__ import annotations

import re

import pytest

from sesq.queue import ids
from sesq.queue.chunks import place_of
from sesq.queue.ids import new_id


def test_it_is_a_ulid_that_names_no_row_of_a_batch() -> None:
    some = {new_id() for _ in range(1000)}
    assert len(some) == 1000
    assert all(re.fullmatch("[0-7][0-9A-HJKMNP-TV-Z]{25}", id) for id in some)
    assert not any(place_of(id) for id in some)


def test_ids_sort_by_the_time_at_which_they_were_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for milliseconds in (0, 1, 1_469_918_176_385, 1_700_000_000_000, 1_700_000_000_001, 2**48 - 1):
        monkeypatch.setattr(ids.time, "time_ns", lambda at=milliseconds: at * 1_000_000)
        made.append(new_id())
    assert made == sorted(made)
    # and the time is written as the specification's own example has it
    assert made[2][:10] == "01ARYZ6S41"
