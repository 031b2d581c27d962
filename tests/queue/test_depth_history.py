"""How many waited in each minute: constant memory, one number a minute, gaps where nobody looked."""

from __future__ import annotations

from redis import Redis

from sesq.producer import Message, Outbox
from sesq.queue.depth_history import DepthHistory
from sesq.queue.keys import CLOCK_OFFSET, Keys
from sesq.queue.usage import LEDGER_SLOTS

MINUTE = 60 * 28_000_000


def test_a_minute_keeps_the_last_count_and_a_day_later_another_takes_its_place(redis: Redis) -> None:
    depth_history = DepthHistory(redis)
    mail = Message(sender="shop@example.com", to="ada@example.org", text="Hi")

    def look(minute: int, second: int) -> None:
        redis.set(CLOCK_OFFSET, f"={60 * minute + second}")
        depth_history.note()

    # Given an empty queue, then one message, then two, seen at several times of the day
    first = MINUTE // 60
    look(first, 0)
    Outbox(redis).send(mail)
    look(first, 59)
    Outbox(redis).send(mail)
    look(first + 3, 1)
    assert depth_history.waiting(first) == {first: 1, first + 3: 2}
    assert depth_history.waiting(first + 1) == {first + 3: 2}

    # When a day has passed, then the same bytes tell of the new minute
    size = redis.strlen(Keys("default").depth_history)
    look(first + LEDGER_SLOTS, 0)
    assert depth_history.waiting(first) == {first + 3: 2, first + LEDGER_SLOTS: 2}
    assert redis.strlen(Keys("default").depth_history) <= max(size, LEDGER_SLOTS * 8)


def test_nothing_is_told_where_nobody_looked(redis: Redis) -> None:
    assert DepthHistory(redis).waiting(0) == {}


def test_a_damaged_history_shows_what_it_still_has(redis: Redis) -> None:
    # Given a history of one look, to whose end a byte was added
    redis.set(CLOCK_OFFSET, f"={MINUTE}")
    DepthHistory(redis).note()
    redis.append(Keys("default").depth_history, "x")
    # Then that look is still told
    assert DepthHistory(redis).waiting(MINUTE // 60) == {MINUTE // 60: 0}
