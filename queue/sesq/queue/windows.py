"""Writes and reads when send windows are open. Bulk mail of an account, or of a batch, goes only in its window.

Python computes the times, and the scripts read them (see `lua/windows.lua`). Account sync writes them anew.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, cast

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import InvalidPolicy
from sesq.config.send_windows import Opening, both, parse_window
from sesq.queue.keys import Keys
from sesq.queue.replies import read_hash, text, texts
from sesq.queue.snapshot import redis_now

log = logging.getLogger("sesq.windows")

DAY_SECONDS = 86_400
YEAR_SECONDS = 366 * DAY_SECONDS
DAYS_BEFORE, DAYS_AHEAD = 1, 8
"""The days for which times are written: before now, if a clock is set back, and after now, if a sync is late."""
MOST_OPENINGS = 150
"""The most openings of one window. The scripts read no more."""
LOOK_AGAIN_SECONDS = 60
"""How long scripts wait before they look again for a window that is not known."""
OUTSIDE = "outside the send window "
"""The beginning of the reason while mail waits for its window."""
WINDOW = "window"
"""The field of the account's send window, beside the limits of `sesq.toml`."""

Openings = Callable[[float, float], Iterator[Opening]]
"""Yields when mail may go between two times (seconds since the epoch)."""


@dataclass(frozen=True, slots=True)
class WindowView:
    """Describes a send window now. `opens_at`: None while it is open. `known`: the scripts know when it is open."""

    window: str
    opens_at: float | None
    known: bool = True

    @property
    def why(self) -> str:
        """The reason while it is closed, with the time at which it opens."""
        if not self.known:
            return f"{OUTSIDE}{self.window}; Redis does not know when it opens: `sesq doctor` says why"
        return OUTSIDE + self.window + opens(self.window, self.opens_at)


def opens(window: str, at: float | None) -> str:
    """Writes `, which opens at 2027-03-29 09:00+02:00`, in the window's zone; empty if the time is not known."""
    try:
        zone = parse_window(window).zone
    except InvalidPolicy:
        return ""
    if at is None or not math.isfinite(at):
        return ""
    return f", which opens at {datetime.fromtimestamp(at, zone).isoformat(' ', 'minutes')}"


def outside_several(views: Iterable[WindowView]) -> str:
    """Writes `outside their send windows, of which the first opens at …`."""
    first = min(views, key=lambda view: view.opens_at or 0.0)
    told = opens(first.window, first.opens_at)
    return "outside their send windows" + told.replace("which opens", "of which the first opens")


def times_of(window: str, now: float) -> str:
    """Writes when a window is open, as the scripts read it. Raises InvalidPolicy."""
    since, until = now - DAYS_BEFORE * DAY_SECONDS, now + DAYS_AHEAD * DAY_SECONDS
    # whole seconds: it opens no sooner, and closes no later
    found = parse_window(window).openings(math.floor(since), math.ceil(until))
    return " ".join(f"{math.ceil(start)} {math.floor(end)}" for start, end in islice(found, MOST_OPENINGS))


def openings_of(windows: Sequence[str]) -> Openings | None:
    """Returns when all of these windows are open; None if there are no windows. A damaged window is never open."""
    given = [window for window in windows if window]
    if not given:
        return None
    return lambda since, until: _all_open(given, since, until)


def _all_open(windows: Sequence[str], since: float, until: float) -> Iterator[Opening]:
    try:
        first, *others = [parse_window(window).openings(since, until) for window in windows]
    except InvalidPolicy:
        return iter(())
    for other in others:
        first = both(first, other)
    return first


def opens_at(times: str, now: float) -> float | None:
    """Computes as windows.lua does when a window opens (s); None while it is open."""
    numbers = [int(number) for number in times.split() if number.isdecimal()]
    for start, end in zip(numbers[::2], numbers[1::2], strict=False):
        if now < end:
            return start if now < start else None
    return math.inf


def last_opening(redis: Redis, account: str, now: float) -> float:
    """Returns when a send window of the account or of a batch last opened (s); 0 if none has."""
    with mapped():
        known = read_hash(redis, Keys(account).windows)
    starts = (int(start) for times in known.values() for start in times.split()[::2] if start.isdecimal())
    return float(max((start for start in starts if start <= now), default=0))


def read_window(redis: Redis, account: str) -> str:
    """Returns the account's send window for bulk mail; empty if it has none."""
    with mapped():
        return text(redis.hget(Keys(account).configured, WINDOW))


def look_at(redis: Redis, account: str, windows: Sequence[str]) -> dict[str, WindowView]:
    """Reads which of these windows are open, by the times that the scripts use."""
    asked = sorted({window for window in windows if window})
    if not asked:
        return {}
    now = redis_now(redis)
    with mapped():
        found = cast("list[bytes | None]", redis.hmget(Keys(account).windows, asked))
    views = {}
    for window, times in zip(asked, found, strict=True):
        at = opens_at(text(times), now)
        views[window] = WindowView(window, at, known=at is None or math.isfinite(at))
    return views


def reckon(windows: Iterable[str], now: float) -> dict[str, WindowView]:
    """Computes the same for windows of mail that is not queued yet. Raises InvalidPolicy."""
    asked = {window for window in windows if window}
    return {window: WindowView(window, opens_at(times_of(window, now), now)) for window in asked}


def batch_windows(redis: Redis, account: str, batch: str) -> list[str]:
    """Returns the windows of a batch's chunks, each once."""
    with mapped():
        return sorted(texts(cast("set[bytes]", redis.smembers(Keys(account).batch_windows(batch)))))


def problem_of(windows: Sequence[str], view: WindowView, now: float) -> str:
    """Says why mail that needs all of these windows never goes; empty if it goes. `view`: one of the windows."""
    try:
        for window in filter(None, windows):
            parse_window(window)
    except InvalidPolicy as error:
        return f"nothing goes, since its send window cannot be read: {error}"
    if not view.known:
        return f"nothing goes, since Redis does not know when {view.window} is open"
    return never_open(windows, now)


def never_open(windows: Sequence[str], now: float) -> str:
    """Says that these windows are never open at the same time within a year; empty if they are."""
    openings = openings_of(windows)
    if openings is None or next(openings(now, now + YEAR_SECONDS), None) is not None:
        return ""
    return f"the send windows {' and '.join(filter(None, windows))} are never open at the same time"


def write_windows(redis: Redis, account: str, windows: Sequence[str], now: float) -> None:
    """Writes when these windows are open. Leaves the times of windows that this host cannot read as they are."""
    fields = {window: _times_or_none(account, window, now) for window in windows}
    known: dict[Any, Any] = {window: times for window, times in fields.items() if times is not None}
    if known:
        with mapped():
            redis.hset(Keys(account).windows, mapping=known)


def _times_or_none(account: str, window: str, now: float) -> str | None:
    try:
        return times_of(window, now)
    except InvalidPolicy as error:
        log.error("account %s: nothing goes in the send window %s: %s", account, window, error)
        return None


def keep_window(redis: Redis, account: str, window: str) -> None:
    """Writes the account's window again if Redis has lost it, so that bulk mail does not go outside it."""
    keys = Keys(account)
    with mapped():
        if window and redis.hget(keys.configured, WINDOW) is None:
            redis.hset(keys.configured, WINDOW, window)


def refresh_windows(redis: Redis, account: str) -> None:
    """Writes anew when the windows of the account and of its batches are open. Account sync calls it.

    Forgets the windows of batches that are gone, once their times are over.
    """
    keys, now = Keys(account), redis_now(redis)
    with mapped():
        known = read_hash(redis, keys.windows)
        used = {read_window(redis, account), *_of_batches(redis, keys)} - {""}
        over = [
            window
            for window, times in known.items()
            if window not in used and opens_at(times, now) == math.inf
        ]
        if over:
            redis.hdel(keys.windows, *over)
    write_windows(redis, account, sorted(used), now)


def _of_batches(redis: Redis, keys: Keys) -> set[str]:
    """Returns the windows of all batches that Redis still has."""
    batches = texts(cast("set[bytes]", redis.smembers(keys.with_windows)))
    pipeline = redis.pipeline(transaction=False)
    for batch in batches:
        pipeline.exists(keys.batch(batch), keys.batch_windows(batch))
        pipeline.smembers(keys.batch_windows(batch))
    answers = pipeline.execute()
    gone = [batch for batch, there in zip(batches, answers[::2], strict=True) if not there]
    if gone:
        redis.srem(keys.with_windows, *gone)
    return {window for found in answers[1::2] for window in texts(found)}
