"""How far a batch was at each time: constant memory, cells only where it changed, gone with its batch."""

from __future__ import annotations

import itertools
import struct

import pytest
from redis import Redis

from agreement import assert_agreement
from batch_stage import BatchStage
from sesq.queue.audit import Kind, audit
from sesq.queue.batch_progress import Progress, note_progress, read_progress

CELL = struct.Struct("<6I")


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    return BatchStage(redis)


def cells(stage: BatchStage, id: str) -> list[tuple[int, ...]]:
    """What stands in the key itself."""
    return [*CELL.iter_unpack(stage.redis.get(stage.keys.progress(id)) or b"")]


def seen(stage: BatchStage, id: str, now: float) -> list[Progress]:
    return read_progress(stage.redis, stage.batches.get(id), now)


def test_each_look_adds_a_cell_where_something_has_changed(stage: BatchStage) -> None:
    # Given a batch of three, looked at each minute
    id, begun = stage.take(3).id, stage.now
    note_progress(stage.redis, "default")
    for sends in (2, 0, 1):
        stage.pass_time(60)
        stage.send(sends)
        note_progress(stage.redis, "default")
    # Then it has been noted when something had changed
    start = int(begun)
    assert cells(stage, id) == [
        (start, 0, 0, 0, 0, 0),
        (start + 60, 2, 0, 0, 0, 0),
        (start + 180, 3, 0, 0, 0, 0),
    ]
    # and from its beginning until its end is told
    told = seen(stage, id, stage.now + 600)
    assert [(round(each.at - begun), each.sent) for each in told] == [
        (0, 0),
        (0, 0),
        (60, 2),
        (180, 3),
        (180, 3),
    ]


def test_it_stays_as_long_as_its_batch(stage: BatchStage) -> None:
    # Given a batch that was noted while it went on, and one that was noted first after its end
    before, after = stage.take(1).id, stage.take(1, key="after").id
    note_progress(stage.redis, "default")
    stage.redis.delete(stage.keys.progress(after))
    assert stage.redis.ttl(stage.keys.progress(before)) == -1
    stage.send(2)
    ttls = [stage.redis.ttl(stage.keys.progress(id)) for id in (before, after)]
    assert ttls == [stage.redis.ttl(stage.keys.batch(before)), -2]
    note_progress(stage.redis, "default")
    assert stage.redis.ttl(stage.keys.progress(after)) == stage.redis.ttl(stage.keys.batch(after)) > 0
    assert_agreement(stage.redis)


def test_bounces_complaints_and_what_is_cancelled_are_noted(stage: BatchStage) -> None:
    id = stage.take(9).id
    stage.redis.hset(
        stage.keys.batch(id), mapping={"n:waiting": 0, "n:taken": 1, "n:arrived": 2, "n:bounced": 3,
                                       "n:complained": 1, "n:failed": 1, "n:cancelled": 1},
    )  # fmt: skip
    note_progress(stage.redis, "default")
    assert [cell[1:] for cell in cells(stage, id)] == [(7, 2, 3, 1, 2)]


def test_however_long_it_lasts_no_more_cells_stay_and_they_are_spread_over_the_time(
    stage: BatchStage,
) -> None:
    # Given a batch of which something has changed at each of many looks
    id, begun, looks, apart = stage.take(1).id, int(stage.now), 600, 600
    for look in range(looks):
        stage.redis.hset(stage.keys.batch(id), "n:taken", look)
        note_progress(stage.redis, "default")
        stage.pass_time(apart)
    # Then cells are at most a sixtieth of that time apart
    found = [cell[0] for cell in cells(stage, id)]
    assert 120 <= len(found) <= 240
    gaps = [after - before for before, after in itertools.pairwise([*found, begun + looks * apart])]
    assert found[0] == begun
    assert 0 < min(gaps) <= max(gaps) <= looks * apart / 60


@pytest.mark.parametrize(("after", "noted"), [(120, False), (121, True)])
def test_between_the_newest_two_is_a_part_of_the_time_of_all(
    stage: BatchStage, after: int, noted: bool
) -> None:
    # Given a batch that was noted twice, 14,520 seconds apart
    id, seconds = stage.take(1).id, (0, 14_520, 14_520 + after)
    begun = int(stage.now)
    for look, second in enumerate(seconds):
        # When it changes once more, Then that is noted from a 120th of that time on
        stage.pass_time(begun + second - stage.now)
        stage.redis.hset(stage.keys.batch(id), "n:taken", look)
        note_progress(stage.redis, "default")
    assert [cell[0] - begun for cell in cells(stage, id)] == list(seconds if noted else seconds[:2])


@pytest.mark.parametrize(("before", "behind"), [(239, 240), (240, 121)])
def test_when_there_is_no_place_every_second_one_is_dropped(
    stage: BatchStage, before: int, behind: int
) -> None:
    # Given so many cells, one a minute
    id, now = stage.take(1).id, int(stage.now)
    given = [(now - 60 * (before - n), n, 0, 0, 0, 0) for n in range(before)]
    stage.redis.set(stage.keys.progress(id), b"".join(CELL.pack(*cell) for cell in given))
    # When one more is noted a while later, Then 240 at most stay, the first of them too
    stage.pass_time(600)
    note_progress(stage.redis, "default")
    found = cells(stage, id)
    assert found[:-1] == (given if behind == 240 else given[::2])
    assert (len(found), found[-1][0]) == (behind, int(stage.now))


def test_a_damaged_one_keeps_its_whole_cells_and_goes_on(stage: BatchStage) -> None:
    id = stage.take(2).id
    note_progress(stage.redis, "default")
    stage.redis.append(stage.keys.progress(id), b"half")
    stage.pass_time(60)
    stage.send(1)
    assert [each.sent for each in seen(stage, id, stage.now)] == [0, 0, 1]
    note_progress(stage.redis, "default")
    assert [cell[1] for cell in cells(stage, id)] == [0, 1]
    # and one of another type is set aside
    stage.redis.delete(stage.keys.progress(id))
    stage.redis.rpush(stage.keys.progress(id), "x")
    note_progress(stage.redis, "default")
    assert [cell[1] for cell in cells(stage, id)] == [1]


def test_the_auditor_finds_one_whose_batch_is_gone(stage: BatchStage) -> None:
    id = stage.take(1).id
    note_progress(stage.redis, "default")
    stage.redis.rename(stage.keys.progress(id), stage.keys.progress("gone"))
    (finding,) = audit(stage.redis, "default", sleep=lambda _: None)
    assert (finding.kind, finding.key, finding.repairable) == (Kind.ORPHAN, stage.keys.progress("gone"), True)


def test_a_sync_takes_no_longer_with_more_batches(stage: BatchStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sesq.queue.batch_progress.MOST_BATCHES", 2)
    ids = []
    for _ in range(3):
        ids.append(stage.take(1, key=f"news {len(ids)}").id)
        stage.pass_time(1)
    note_progress(stage.redis, "default")
    assert [len(cells(stage, id)) for id in ids] == [0, 1, 1]
