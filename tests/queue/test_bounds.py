"""However hostile a pile is, each script does a bounded piece of work, and none searches a lane."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timezone

import pytest
from redis import Redis

from agreement import assert_agreement
from batch_stage import BatchStage
from piles import Work, pile_up
from sesq.producer.batch.batch_intake import ADD_CHUNK, OPEN_BATCH
from sesq.queue.keys import Keys
from sesq.queue.states import Lane, State
from sesq.queue.windows import times_of
from stage import START

PILE = 100_000
MANY = 3_000
MOST_COMMANDS = 5_000
"""Of one script, on average: some ten milliseconds. One that did the whole pile would run millions."""
FAR_TOO_LONG_MS = 2_000
"""Not a promise: that is 10 ms on a machine at rest. This is beyond all noise."""
QUEUE = Keys("default").queue(Lane.BULK)


@pytest.fixture
def stage(redis: Redis) -> Iterator[BatchStage]:
    redis.config_set("appendonly", "no")  # the disk is not what is measured
    yield BatchStage(redis)
    redis.flushall(asynchronous=True)


@pytest.fixture
def work(stage: BatchStage) -> Iterator[Callable[[], None]]:
    """Counts from when it is called; what was done until the end of the test is within the bounds."""
    begun: list[Work] = []
    yield lambda: begun.append(Work(stage.redis))
    for each in begun:
        assert each.searches() == {}, "something searches a whole list or set"
        assert each.commands_a_script() < MOST_COMMANDS
        assert each.longest_script_ms() < FAR_TOO_LONG_MS


def drain(stage: BatchStage) -> None:
    """Claims until nothing is in the way any more."""
    while stage.claim(want=16)[0].reason == "more":
        pass


def test_mail_that_expired_together(stage: BatchStage, work: Callable[[], None]) -> None:
    # Given a lane of mail with one time to expire, queued while no worker ran, and one mail behind it that may go
    late = datetime.fromtimestamp(START + 60, timezone.utc)
    id = stage.queue(lane="bulk", expires_at=late)
    pile_up(stage.redis, id, PILE, prefix="late")
    behind = stage.queue(lane="bulk")
    stage.pass_time(120)
    work()
    # When workers come, some of them looking at what is due
    while stage.gate.promote()[1] == 0 and stage.claim(want=16)[0].reason == "more":
        pass
    drain(stage)
    # Then what expired is expired, and what was behind it has gone
    assert stage.state(behind) is State.SENDING
    assert stage.messages.counts()[State.QUEUED] == 0
    assert stage.state(id) is State.EXPIRED


def test_mail_for_more_than_a_whole_day(stage: BatchStage, work: Callable[[], None]) -> None:
    id = stage.queue(to=["a@example.org", "b@example.org", "c@example.org"], lane="bulk")
    pile_up(stage.redis, id, PILE - 1, prefix="large")
    behind = stage.queue(lane="bulk")
    stage.policy.set({"daily": "2"}, by="a test")
    work()
    drain(stage)
    assert stage.state(behind) is State.SENDING
    assert stage.messages.waiting_for("day") == PILE


def test_strangers_and_what_rqs_tools_have_queued_again(stage: BatchStage, work: Callable[[], None]) -> None:
    # Given jobs that no record stands for, and as many of mail that was sent
    id = stage.queue(lane="bulk")
    stage.work(1)
    assert stage.state(id) is State.SENT
    strangers = [f"stranger-of-{i}" for i in range(PILE // 2)]
    for start in range(0, len(strangers), 10_000):
        stage.redis.rpush(f"rq:queue:{QUEUE}", *strangers[start : start + 10_000])
        stage.redis.rpush(f"rq:queue:{QUEUE}", *([id] * 10_000))
    behind = stage.queue(lane="bulk")
    stage.pass_time(1)
    work()
    found = 0
    while stage.state(behind) is State.QUEUED:
        claim, _ = stage.claim(want=100)
        found += len(claim.unknown_jobs)
    assert found == PILE // 2
    assert stage.state(id) is State.SENT


def test_what_leaves_the_middle_of_a_lane(stage: BatchStage, work: Callable[[], None]) -> None:
    first = stage.queue(lane="bulk")
    pile_up(stage.redis, first, PILE, prefix="m")
    middle = [f"m{PILE // 2 + i}" for i in range(3)]
    work()
    stage.messages.cancel(middle[0], "a test")
    stage.messages.reschedule(middle[1], START + 3600, "a test")
    stage.messages.cancel(middle[2], "a test")
    # Then they count no more, and stand in the lane only for whoever meets them
    assert stage.gate.usage().lanes[1]["queued"] == PILE + 1 - 3
    assert stage.redis.scard(stage.keys.stale(QUEUE)) == 3
    # When one is to go after all, it takes its place again
    stage.pass_time(3600)
    stage.gate.promote()
    assert stage.gate.usage().lanes[1]["queued"] == PILE + 1 - 2
    assert stage.redis.llen(f"rq:queue:{QUEUE}") == PILE + 1


def test_what_left_the_middle_is_dropped_where_it_is_met(stage: BatchStage) -> None:
    ids = [stage.queue(lane="bulk") for _ in range(5)]
    stage.messages.cancel(ids[1], "a test")
    stage.messages.reschedule(ids[2], START + 3600, "a test")
    stage.messages.reschedule(ids[3], START + 10, "a test")
    stage.pass_time(10)
    stage.gate.promote()
    assert_agreement(stage.redis)
    claim, _ = stage.claim()
    assert claim.ids == (ids[0], ids[3], ids[4])
    assert stage.redis.exists(stage.keys.stale(QUEUE)) == 0
    assert_agreement(stage.redis)


def test_many_are_cancelled_with_their_batch(stage: BatchStage, work: Callable[[], None]) -> None:
    # Given a batch many of whose recipients have a record of their own
    taken = stage.take(1)
    id = stage.queue(lane="bulk")
    stage.redis.hset(stage.keys.message(id), "batch", taken.id)
    pile_up(stage.redis, id, MANY, prefix=f"{taken.id}-0-")
    stage.redis.sadd(stage.keys.materialized(taken.id), *(f"{taken.id}-0-{i}" for i in range(1, MANY + 1)))
    stage.redis.hdel(stage.keys.message(id), "batch")
    behind = stage.queue(lane="bulk")
    stage.batches.pause(taken.id, "a test")
    work()
    # When it is paused, met by claims, and resumed, and cancelled
    drain(stage)
    assert stage.state(behind) is State.SENDING
    stage.batches.resume(taken.id)
    assert stage.messages.counts()[State.QUEUED] == MANY
    stage.batches.cancel(taken.id, "a test")
    assert stage.messages.counts()[State.CANCELLED] == MANY


CHUNKS = """
local A, bid, chunk = 'sesq:default:', ARGV[1], ARGV[1] .. '-0'
for k = tonumber(ARGV[2]), tonumber(ARGV[3]) do
  local copy = bid .. '-' .. k
  for _, kind in ipairs({A .. 'chunk:', A .. 'rows:', 'rq:job:'}) do redis.call('COPY', kind .. chunk, kind .. copy) end
  redis.call('RPUSH', 'rq:queue:sesq.default.bulk', copy)
end
redis.call('HINCRBY', A .. 'batch:' .. bid, 'n:waiting', ARGV[3] - ARGV[2] + 1)
redis.call('HINCRBY', A .. 'batch:' .. bid, 'jobs', ARGV[3] - ARGV[2] + 1)
redis.call('HSET', A .. 'batch:' .. bid, 'chunks', ARGV[3] + 1)
"""


def test_a_batch_of_very_many_chunks(stage: BatchStage, work: Callable[[], None]) -> None:
    # Given a batch of 3,000 chunks, which is a million and a half rows when they are full
    taken = stage.take(1)
    for first in range(1, MANY, 1_000):
        stage.redis.eval(CHUNKS, 0, taken.id, first, first + 999)
    work()
    # When it is paused, so that claims park its chunks, and resumed
    stage.batches.pause(taken.id, "a test")
    drain(stage)
    assert stage.redis.llen(stage.keys.parked(taken.id)) == MANY + 1
    stage.batches.resume(taken.id)
    # Then all are back in their order
    ends = [stage.redis.lindex(f"rq:queue:{QUEUE}", at) for at in (0, MANY, MANY + 1)]
    assert ends == [f"{taken.id}-0".encode(), f"{taken.id}-{MANY}".encode(), None]
    # When it is cancelled, then its keys stay as long as its records: the last ones are told so by the upkeep
    stage.batches.pause(taken.id, "a test")
    drain(stage)
    stage.batches.cancel(taken.id, "a test")
    last = stage.keys.rows(f"{taken.id}-{MANY}")
    assert (stage.redis.ttl(stage.keys.rows(f"{taken.id}-0")) > 0, stage.redis.ttl(last)) == (True, -1)
    while stage.redis.exists(stage.keys.keeping):
        stage.pack()
    assert stage.redis.ttl(last) > 0
    assert stage.redis.ttl(stage.keys.batch(taken.id)) > 0


def test_chunks_whose_window_is_closed(stage: BatchStage, work: Callable[[], None]) -> None:
    # Given a batch of thousands of chunks outside its window, and one message behind it
    window, opens = "Mon-Fri 09:00-17:00 Europe/Berlin", 1_700_035_200.0
    times = times_of(window, stage.now)
    described = ("name", "news", "envelope", "{}", "queue", QUEUE, "keep", 3600)
    OPEN_BATCH.run(stage.redis, "default", "b", "template", "", "", "", window, "", *described)
    for number in range(MANY):
        ADD_CHUNK.run(stage.redis, "default", "b", number, "rows", 1, 1, window, times, "origin", QUEUE)
    behind = stage.queue(lane="bulk")
    work()
    # When workers come
    drain(stage)
    # Then what was behind it has gone, and all chunks come back in their order when it opens
    assert stage.state(behind) is State.SENDING
    assert stage.redis.zcard(stage.keys.windowed) == MANY
    stage.pass_time(opens + 1 - stage.now)
    while stage.gate.promote()[0]:
        pass
    places = [0, 1, 2, 99, 100, 101, MANY - 2, MANY - 1]
    assert [stage.redis.lindex(f"rq:queue:{QUEUE}", k) for k in places] == [f"b-{k}".encode() for k in places]
