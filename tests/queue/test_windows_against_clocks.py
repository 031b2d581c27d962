"""Whatever happens, bulk mail goes while a clock on the wall says so, in its order, and in the end all of it went."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from batch_stage import BatchStage
from sesq.config.errors import WrongState
from sesq.queue.audit import audit
from sesq.queue.chunks import place_of
from sesq.queue.windows import refresh_windows
from wall_clock import shown_by_clock

# in the night to 31 March 2024 Berlin skips the hour from 02:00 to 03:00
BEGINS = datetime(2024, 3, 30, 21, tzinfo=timezone.utc).timestamp()
WINDOWS = (
    "02:30-04:00 Europe/Berlin",
    "01:00-02:30 Europe/Berlin; 22:00-23:00 America/New_York",
    "23:30-00:30 Asia/Tokyo; Sat,Sun 00:00-24:00 UTC",
    "",
)
ACCOUNT_WINDOWS = ("", "00:00-06:00 UTC; 12:00-18:00 UTC", "01:30-05:00 Europe/Berlin")
ROWS = 5

steps = st.one_of(
    st.tuples(st.just("time"), st.integers(1, 240)),
    st.tuples(st.just("claim"), st.integers(1, 4)),
    st.tuples(st.just("pause"), st.integers(0, 3)),
    st.tuples(st.just("resume"), st.integers(0, 3)),
    st.tuples(st.just("sync"), st.just(0)),
)


class Night:
    """Four batches, each in a window of its own; every grant is judged by the clocks on the wall."""

    def __init__(self, redis: Redis, account_window: str) -> None:
        redis.flushall()
        self.stage = BatchStage(redis)
        self.stage.pass_time(BEGINS - self.stage.now)
        self.stage.sync()
        self.account_window = account_window
        self.stage.policy.configure({}, account_window)
        self.windows: dict[str, str] = {}
        for number, window in enumerate(WINDOWS):
            rows = [{"email": f"p{row}@example.org", "name": "P"} for row in range(ROWS)]
            intake = self.stage.take(0, rows=rows, key=f"{number}", window=window or None)
            self.windows[intake.id] = window
        self.ids = list(self.windows)
        self.went: dict[str, list[int]] = {id: [] for id in self.ids}

    def time(self, minutes: int) -> None:
        self.stage.pass_time(60 * minutes)
        while self.stage.gate.promote(most=2)[0]:
            pass

    def claim(self, want: int) -> None:
        for result in self.stage.send(want):
            place = place_of(result.grant.id)
            assert place is not None
            for window in filter(None, (self.account_window, self.windows[place.batch])):
                assert shown_by_clock(window, self.stage.now), (window, self.stage.now)
            self.went[place.batch].append(place.row)

    def pause(self, number: int) -> None:
        with suppress(WrongState):
            self.stage.batches.pause(self.ids[number], "a look")

    def resume(self, number: int) -> None:
        with suppress(WrongState):
            self.stage.batches.resume(self.ids[number])

    def sync(self, _: int) -> None:
        refresh_windows(self.stage.redis, "default")

    def end(self) -> None:
        """Time goes on by minutes that no window is shorter than, until all has gone."""
        for number in range(len(self.ids)):
            self.resume(number)
        for _ in range(4 * 24 * 4):
            self.sync(0)
            self.time(15)
            self.claim(100)
            if all(len(rows) == ROWS for rows in self.went.values()):
                break


@pytest.fixture
def quick(redis: Redis) -> Iterator[Redis]:
    redis.config_set("appendonly", "no")
    yield redis
    redis.flushall()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(ACCOUNT_WINDOWS), st.lists(steps, max_size=25))
def test_each_goes_while_its_window_is_open_in_its_order_and_all_of_them_go(
    quick: Redis, account_window: str, given_steps: list[tuple[str, int]]
) -> None:
    night = Night(quick, account_window)
    for name, value in given_steps:
        getattr(night, name)(value)
    night.end()
    assert night.went == {id: list(range(ROWS)) for id in night.ids}
    assert audit(quick, sleep=lambda _: None) == []
