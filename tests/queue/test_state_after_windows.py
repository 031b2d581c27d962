"""What the scripts leave in Redis where a send window is closed, or opens."""

from __future__ import annotations

from typing import Any

import pytest

from scene import Scene
from sesq.config.errors import WrongState
from sesq.queue.audit import audit, repair
from sesq.queue.gate import GATE
from sesq.queue.scripts import Script
from sesq.queue.states import Lane, State
from sesq.queue.windows import opens_at, refresh_windows, times_of

WINDOW = "Mon-Fri 09:00-17:00 Europe/Berlin"
OPENS, CLOSES = 1_700_035_200.0, 1_700_064_000.0  # Wednesday 15 November 2023, 09:00 and 17:00 in Berlin
NEXT_DAY = OPENS + 86_400
TOKYO = "Mon-Fri 09:00-17:00 Asia/Tokyo"


def move_to(scene: Scene, moment: float) -> None:
    scene.pass_time(moment - scene.now)


def rows(count: int, name: str = "p") -> list[dict[str, Any]]:
    return [{"email": f"{name}{number}@example.org", "name": name} for number in range(count)]


def addresses(scene: Scene, want: int = 1000) -> list[str]:
    """Who is granted now."""
    _, started = scene.claim(want)
    return [each.envelope.to[0].partition("@")[0] for each in started]


def lane(scene: Scene) -> list[str]:
    return [id.rpartition("-")[2] for id in scene.waiting()]


def findings(scene: Scene) -> list[str]:
    return [f"{each.key}: {each.what}" for each in audit(scene.redis, sleep=lambda _: None)]


def test_a_chunk_whose_window_is_closed_leaves_its_lane_until_it_opens(scene: Scene) -> None:
    # Given a batch of one chunk, by night, and a message behind it
    scene.take(3, window=WINDOW)
    behind = scene.queue(lane="bulk")
    scene.see()
    # When a worker claims
    claim, started = scene.claim(1)
    # Then the message goes; the chunk waits for its window, as RQ sees it and in the lane's order
    assert [each.id for each in started] == [behind]
    due = OPENS + (1e6 - 1) / 1e6
    batch = scene.batches.all()[0]
    assert scene.redis.zscore("rq:scheduled:sesq.default.bulk", f"{batch.id}-0") == due
    assert scene.redis.hget(f"rq:job:{batch.id}-0", "status") == b"scheduled"
    assert scene.redis.hget(scene.keys.chunk(f"{batch.id}-0"), "place") == b"scheduled"
    assert scene.redis.zrange(scene.keys.windowed, 0, -1, withscores=True) == [(f"{batch.id}-0".encode(), 1)]
    assert (lane(scene), batch.jobs, findings(scene)) == ([], 0, [])
    assert claim.reason == "full"
    # When it opens
    move_to(scene, OPENS)
    moved, wait = scene.gate.promote()
    assert (moved, 0 < (wait or 0) <= 1) == (0, True)
    move_to(scene, OPENS + 1)
    moved, _ = scene.gate.promote()
    # Then it is in its lane, and goes
    assert (moved, lane(scene)) == (1, ["0"])
    assert scene.redis.zcard(scene.keys.windowed) == 0
    assert addresses(scene) == ["p0", "p1", "p2"]


def test_chunks_come_back_in_the_order_of_their_lane(scene: Scene) -> None:
    # Given two batches of several chunks in windows, and one without, which were met by night
    scene.take(0, rows=rows(1200, "a"), key="a", window=WINDOW)
    scene.pass_time(1)
    scene.take(0, rows=rows(600, "b"), key="b", window=WINDOW)
    scene.pass_time(1)
    scene.take(0, rows=rows(2, "c"), key="c")
    assert addresses(scene, 1) == ["c0"]
    # When the window opens
    move_to(scene, OPENS + 1)
    while scene.gate.promote(most=2)[0]:
        pass
    # Then the first in the lane is the first again, and what had none goes last
    assert lane(scene) == ["0", "1", "2", "0", "1", "0"]
    order = []
    while some := addresses(scene, 100):
        order += some
        scene.pass_time(1)
    assert order == [each["email"].partition("@")[0] for each in (*rows(1200, "a"), *rows(600, "b"))] + ["c1"]


def test_a_chunk_goes_on_where_it_was_when_its_window_closed(scene: Scene) -> None:
    scene.take(5, window=WINDOW)
    move_to(scene, CLOSES - 1)
    scene.gate.promote()
    _, started = scene.claim(2)
    # When the window closes while two are on their way
    move_to(scene, CLOSES)
    scene.gate.settle([scene.sender.send_message(each) for each in started])
    # Then those went, and the others wait for the next day
    assert scene.counts(scene.batches.all()[0].id) == {"queued": 3, "sent": 2}
    assert lane(scene) == []
    move_to(scene, NEXT_DAY - 1)
    scene.gate.promote()
    assert addresses(scene) == []
    move_to(scene, NEXT_DAY + 1)
    scene.gate.promote()
    assert addresses(scene) == ["p2", "p3", "p4"]
    assert findings(scene) == []


def test_bulk_mail_waits_for_the_accounts_window_and_transactional_mail_does_not(scene: Scene) -> None:
    # Given an account whose bulk mail goes by day, by night
    scene.policy.configure({}, WINDOW)
    scene.queue(lane="bulk")
    scene.take(2)
    urgent = scene.queue()
    # When a worker claims
    claim, started = scene.claim(10)
    # Then transactional mail goes alone, and the worker is told to ask again soon
    assert [each.id for each in started] == [urgent]
    assert (claim.reason, claim.wait) == ("paused", 60.0)
    # When it is about to open, Then the worker is told when
    move_to(scene, OPENS - 7.5)
    assert scene.claim(10)[0].wait == 7.5
    # When it is open
    move_to(scene, OPENS)
    assert len(scene.claim(10)[1]) == 3
    # When it closes
    scene.queue(lane="bulk")
    move_to(scene, CLOSES)
    assert scene.claim(10)[1] == []


def test_a_worker_that_starts_without_a_window_ends_the_last_one(scene: Scene) -> None:
    scene.policy.configure({"rate": "50"}, WINDOW)
    assert scene.redis.hget(scene.keys.configured, "window") == WINDOW.encode()
    scene.queue(lane="bulk")
    assert scene.claim()[1] == []
    scene.policy.configure({"rate": "50"})
    assert len(scene.claim()[1]) == 1


@pytest.mark.parametrize("times", [None, "", "no numbers", "1 2", f"{OPENS - 5e8:.0f} {OPENS - 4e8:.0f} 9"])
def test_what_is_not_known_of_a_window_counts_as_closed(scene: Scene, times: str | None) -> None:
    # Given a window of which Redis has lost, or damaged, when it is open
    scene.take(1, window=WINDOW)
    move_to(scene, OPENS + 60)
    if times is None:
        scene.redis.delete(scene.keys.windows)
    else:
        scene.redis.hset(scene.keys.windows, WINDOW, times)
    # When a worker claims, Then nothing goes, and it is looked at again in a minute
    assert addresses(scene) == []
    moved, wait = scene.gate.promote()
    assert (moved, 59 < (wait or 0) < 62) == (0, True)
    # When account sync has written it anew
    refresh_windows(scene.redis, "default")
    scene.pass_time(62)
    scene.gate.promote()
    assert addresses(scene) == ["p0"]


def test_times_of_another_type_are_set_aside_and_written_anew(scene: Scene) -> None:
    scene.take(1, window=WINDOW)
    scene.redis.delete(scene.keys.windows)
    scene.redis.set(scene.keys.windows, "no hash")
    move_to(scene, OPENS + 60)
    assert addresses(scene) == []
    refresh_windows(scene.redis, "default")
    scene.pass_time(62)
    scene.gate.promote()
    assert addresses(scene) == ["p0"]


def test_a_clock_that_was_set_back_by_hours_finds_the_window_it_needs(scene: Scene) -> None:
    move_to(scene, CLOSES + 60)
    scene.take(1, window=WINDOW)
    assert addresses(scene) == []
    # When the clock is set back into the window, Then the chunk goes once its job is looked at
    move_to(scene, CLOSES - 60)
    refresh_windows(scene.redis, "default")
    assert opens_at(scene.redis.hget(scene.keys.windows, WINDOW).decode(), scene.now) is None
    scene.queue(lane="bulk")
    assert addresses(scene) == ["ada"]


def test_a_paused_batch_is_parked_when_its_window_opens(scene: Scene) -> None:
    intake = scene.take(2, window=WINDOW)
    assert addresses(scene) == []
    scene.batches.pause(intake.id, "a wrong link")
    move_to(scene, OPENS + 1)
    scene.gate.promote()
    assert (lane(scene), scene.redis.lrange(scene.keys.parked(intake.id), 0, -1)) == (
        [],
        [f"{intake.id}-0".encode()],
    )
    # When it is resumed by night, it waits for its window; by day it goes
    move_to(scene, CLOSES + 60)
    scene.batches.resume(intake.id)
    assert (lane(scene), scene.redis.zcard(scene.keys.windowed)) == ([], 1)
    assert findings(scene) == []
    move_to(scene, NEXT_DAY + 1)
    scene.gate.promote()
    assert addresses(scene) == ["p0", "p1"]


def test_a_cancelled_batch_leaves_nothing_that_waits_for_a_window(scene: Scene) -> None:
    intake = scene.take(2, window=WINDOW)
    assert addresses(scene) == []
    scene.batches.cancel(intake.id, "a wrong link")
    assert scene.redis.zcard(scene.keys.windowed) == 0
    assert scene.redis.zcard("rq:scheduled:sesq.default.bulk") == 0
    assert scene.counts(intake.id) == {"cancelled": 2}
    assert findings(scene) == []


def test_a_recipient_with_a_record_of_its_own_waits_for_the_window_of_its_batch(scene: Scene) -> None:
    # Given a row that has to be tried again, when its window has closed
    scene.take(1, window=WINDOW)
    move_to(scene, CLOSES - 1)
    grant = scene.started()
    scene.settle(grant, State.RETRYING, "SES was too busy", delay=5.0)
    move_to(scene, CLOSES + 10)
    scene.gate.promote()
    # When a worker meets it, Then it is put off
    assert addresses(scene) == []
    record = scene.status(grant.id)
    assert (record.state, record.reason, record.send_at) == (
        State.SCHEDULED,
        f"outside the send window {WINDOW}",
        NEXT_DAY,
    )
    move_to(scene, NEXT_DAY)
    scene.gate.promote()
    assert addresses(scene) == ["p0"]
    assert findings(scene) == []


def test_rows_wait_for_the_window_of_their_own_zone(scene: Scene) -> None:
    # Given rows in three zones, of which one names none, by night in Berlin and by day in Tokyo
    zones = ["Asia/Tokyo", "", "Europe/Berlin", "Asia/Tokyo", None]
    made = [each | {"tz": zone} for each, zone in zip(rows(5), zones, strict=True)]
    intake = scene.take(0, rows=made, window=WINDOW, zone_column="tz")
    move_to(scene, OPENS - 3 * 3600)
    # When workers claim, Then those go where it is day
    assert addresses(scene) == ["p0", "p3"]
    # and each chunk has one window
    windows = [scene.redis.hget(scene.keys.chunk(f"{intake.id}-{k}"), "window") for k in range(3)]
    assert windows == [TOKYO.encode(), WINDOW.encode(), WINDOW.encode()]
    assert scene.redis.smembers(scene.keys.batch_windows(intake.id)) == {TOKYO.encode(), WINDOW.encode()}
    move_to(scene, OPENS + 1)
    scene.gate.promote()
    assert addresses(scene) == ["p1", "p4", "p2"]


def test_a_batch_is_not_continued_with_another_window(scene: Scene) -> None:
    # Given a batch that is half taken in
    def broken() -> Any:
        yield from rows(600)
        raise OSError("the file is gone")

    with pytest.raises(OSError, match="gone"):
        scene.take(0, rows=broken(), window=WINDOW)
    # When it is given again with other windows, Then nothing changes
    with pytest.raises(WrongState, match=f"was begun with the window {WINDOW}: give the same again"):
        scene.take(0, rows=rows(700))
    with pytest.raises(WrongState, match="was begun with no zone column"):
        scene.take(0, rows=rows(700), window=WINDOW, zone_column="tz")
    assert scene.batches.all()[0].total == 500
    # and with the same it goes on
    assert scene.take(0, rows=rows(700), window=WINDOW).queued == 700
    assert scene.batches.all()[0].total == 700


def test_the_times_of_windows_are_kept_up_to_date_and_forgotten_with_their_batches(scene: Scene) -> None:
    scene.policy.configure({}, TOKYO)
    intake = scene.take(1, window=WINDOW)
    known = scene.redis.hgetall(scene.keys.windows)
    assert known.keys() == {WINDOW.encode(), TOKYO.encode()}
    # When two weeks have passed
    scene.pass_time(14 * 86_400)
    refresh_windows(scene.redis, "default")
    times = scene.redis.hget(scene.keys.windows, WINDOW).decode()
    assert times == times_of(WINDOW, scene.now)
    # and when the batch is gone, too
    scene.batches.cancel(intake.id, "")
    scene.redis.delete(scene.keys.batch(intake.id), scene.keys.batch_windows(intake.id))
    refresh_windows(scene.redis, "default")
    assert scene.redis.exists(scene.keys.with_windows) == 0
    assert scene.redis.hexists(scene.keys.windows, WINDOW)  # its times are not over: a new batch may have it
    scene.pass_time(14 * 86_400)
    refresh_windows(scene.redis, "default")
    assert scene.redis.hkeys(scene.keys.windows) == [TOKYO.encode()]


LOOK = Script.of(GATE + "\nreturn run(function () return tostring(Window.opens_at(ARGV[3])) end)\n")


def test_the_script_and_the_pages_agree(scene: Scene) -> None:
    start = 1_700_000_000
    for times in ("", "10 20 30 40", "10 20 20 40", "5", "10 20 x y", "30 40"):
        told = " ".join(str(start + int(each)) if each.isdigit() else each for each in times.split())
        scene.redis.hset(scene.keys.windows, "w", told)
        for now in (0, 10, 15, 20, 25, 30, 39, 40, 50):
            scene.now = float(start + now)
            scene.set_clock()
            answer = LOOK.run(scene.redis, "default", "w").decode()
            expected = opens_at(told, scene.now)
            if expected is None:
                assert answer == "nil", (times, now)
            elif expected == float("inf"):
                assert float(answer) == scene.now + 60, (times, now)
            else:
                assert float(answer) == expected, (times, now)


def test_what_is_damaged_of_waiting_chunks_is_found_and_mended(scene: Scene) -> None:
    intake = scene.take(1, window=WINDOW)
    assert addresses(scene) == []
    assert findings(scene) == []
    # Given a chunk that is not noted as waiting, one that is and is gone, and a job that nobody knows is due
    scene.redis.zrem(scene.keys.windowed, f"{intake.id}-0")
    scene.redis.zadd(scene.keys.windowed, {f"{'0' * 20}-7": 3})
    assert len(findings(scene)) == 2
    assert len(repair(scene.redis, sleep=lambda _: None).done) == 2
    assert findings(scene) == []
    assert scene.redis.zrange(scene.keys.windowed, 0, -1) == [f"{intake.id}-0".encode()]


def test_a_scheduled_job_that_a_tool_put_into_its_lane_goes_back(scene: Scene) -> None:
    intake = scene.take(1, window=WINDOW)
    assert addresses(scene) == []
    chunk = f"{intake.id}-0"
    # Given RQ's own scheduler, or a person, has queued the job too soon
    scene.redis.zrem("rq:scheduled:sesq.default.bulk", chunk)
    scene.redis.rpush("rq:queue:sesq.default.bulk", chunk)
    assert addresses(scene) == []
    assert lane(scene) == []
    move_to(scene, OPENS + 1)
    scene.gate.promote()
    assert addresses(scene) == ["p0"]


def test_lanes_of_a_worker_for_transactional_mail_ignore_windows(scene: Scene) -> None:
    scene.policy.configure({}, WINDOW)
    scene.queue(lane="bulk")
    assert scene.ask(lanes=[Lane.TRANSACTIONAL]).reason == "empty"


def test_a_tenants_chunk_comes_back_to_the_tenants_own_queue(scene: Scene) -> None:
    # Given batches of two tenants, one of them in a window
    intake = scene.take(2, key="a", window=WINDOW, tenant="acme")
    scene.take(2, key="z", tenant="zeta")
    assert len(addresses(scene)) == 2
    assert findings(scene) == []
    for lane in Lane:
        scene.redis.sadd(f"rq:workers:{scene.keys.queue(lane)}", "w")
    record = scene.outbox.status(f"{intake.id}-0-1")
    assert record.waits_because.startswith(f"outside the send window {WINDOW}")
    assert record.goes_at is not None
    assert 0 <= record.goes_at - OPENS < 1
    # When the window opens, Then RQ has it in the tenant's queue, and it goes
    move_to(scene, OPENS + 1)
    scene.gate.promote()
    assert scene.redis.llen("rq:queue:sesq.default.bulk.acme") == 1
    assert findings(scene) == []
    assert len(addresses(scene)) == 2
