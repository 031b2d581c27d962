"""All that changes in Redis when the gate is asked, and grants nothing, or not all."""

from __future__ import annotations

import pytest

from scene import Scene
from sesq.queue.states import Lane


def claimed(scene: Scene, reason: str, wait: float, **options: object) -> None:
    """Asks once; looks at the answer alone."""
    claim = scene.ask(**options)  # type: ignore[arg-type]
    assert (claim.reason, round(claim.wait, 3), claim.ids) == (reason, wait, ())


def test_each_that_waits_is_told_of_a_token_of_its_own(scene: Scene) -> None:
    scene.sync(rate=1.0)
    scene.pass_time(2)
    scene.queue()
    scene.queue()
    scene.ask(want=1)
    scene.see()
    claimed(scene, "rate", 1.002, worker="a")
    scene.expect("""
        ~ gate claims = 1 -> 2
        + token_waiters a = now+1.002004
    """)
    claimed(scene, "rate", 2.004, worker="b")
    scene.expect("""
        ~ gate claims = 2 -> 3
        + token_waiters b = now+2.004008
    """)


def test_mail_to_two_waits_for_the_day(scene: Scene) -> None:
    scene.policy.set({"daily": "2"}, by="ada")
    scene.queue()
    scene.ask()
    scene.pass_time(100)
    scene.queue(["ada@example.org", "bob@example.org"])
    scene.see()
    claimed(scene, "day", 86_398)
    scene.expect("""
        ~ gate claims = 1 -> 2
        ~ gate folded = 0 -> now-99.5
        ~ gate minute = now-122 -> now-2
        ~ gate on_way = 1 -> 0
        ~ gate ses_at = now-101 -> now-99.5
        ~ gate ses_level = 0 -> 99
    """)


def test_others_fill_the_day(scene: Scene) -> None:
    scene.sync(daily=200.0, sent=200.0)
    scene.queue()
    scene.see()
    claimed(scene, "day", 60)
    scene.expect("""
        + gate claims = 1
    """)


def test_bulk_mail_leaves_the_reserve(scene: Scene) -> None:
    scene.policy.set({"daily": "4", "reserve": "50%"}, by="ada")
    scene.queue(["ada@example.org", "bob@example.org"])
    scene.ask()
    scene.queue(lane="bulk")
    scene.see()
    claimed(scene, "day", 86_498)
    scene.expect("""
        ~ gate claims = 1 -> 2
    """)


def test_rows_of_a_batch_wait_for_the_rate(scene: Scene) -> None:
    scene.sync(rate=1.0)
    scene.pass_time(2)
    scene.queue()
    scene.take(2)
    scene.ask(want=1)
    scene.see()
    claimed(scene, "rate", 1.002)
    scene.expect("""
        ~ gate claims = 1 -> 2
        + token_waiters w = now+1.002004
    """)


def test_a_person_has_paused_the_account(scene: Scene) -> None:
    scene.queue()
    scene.policy.pause("a look", by="ada")
    scene.see()
    claimed(scene, "paused", 1)
    scene.expect("")


def test_bulk_mail_is_paused(scene: Scene) -> None:
    scene.queue(lane="bulk")
    scene.policy.pause("a look", by="ada", bulk_only=True)
    scene.see()
    claimed(scene, "paused", 1)
    scene.expect("""
        + gate claims = 1
    """)


@pytest.mark.parametrize(
    ("told", "reason"), [({"sending": 0, "paused_because": "A review."}, "ses_paused"), ({}, "unsynced")]
)
def test_ses_sends_nothing_or_was_never_asked(scene: Scene, told: dict[str, object], reason: str) -> None:
    scene.sync(**told)
    if not told:
        scene.redis.delete(scene.keys.snapshot)
    scene.queue()
    scene.see()
    claimed(scene, reason, 1)
    scene.expect("")


def test_a_worker_for_bulk_mail_yields_to_one_that_waits_for_urgent_mail(scene: Scene) -> None:
    scene.sync(rate=1.0)
    scene.pass_time(2)
    scene.queue()
    scene.queue()
    scene.queue(lane="bulk")
    scene.ask(want=1)
    claimed(scene, "rate", 1.002, worker="urgent", lanes=(Lane.TRANSACTIONAL,))
    scene.see()
    claimed(scene, "rate", 2.004, worker="bulk", lanes=(Lane.BULK,))
    scene.expect("""
        ~ gate claims = 2 -> 3
        + token_waiters:bulk bulk = now+2.004008
    """)


def test_a_minute_that_is_over_a_day_old_counts_no_more(scene: Scene) -> None:
    scene.queue()
    scene.work()
    scene.pass_time(1442 * 60)
    scene.see()
    claimed(scene, "empty", 0)
    scene.expect("""
        ~ gate claims = 1 -> 2
        ~ gate minute = now-86542 -> now-22
        ~ gate total = 1 -> 0
        - ledger minute now-86542 = 1
    """)


def test_a_worker_takes_a_token_between_those_that_others_were_told_of(scene: Scene) -> None:
    scene.sync(rate=1.0)
    scene.pass_time(2)
    scene.queue()
    scene.queue()
    scene.ask(want=1)
    first = scene.now + 1.002004
    scene.redis.zadd(scene.keys.token_waiters, {"a": first, "c": first + 3, "dead": scene.now - 2})
    scene.see()
    claimed(scene, "rate", 2.004, worker="b")
    scene.expect("""
        ~ gate claims = 1 -> 2
        + token_waiters b = now+2.004008
        - token_waiters dead = now-2
    """)


def urgent_mail_to_three_waits(scene: Scene, daily: str) -> None:
    """For a day of so many; a worker serves it; bulk mail waits too."""
    scene.queue(["ada@example.org", "bob@example.org", "cleo@example.org"])
    scene.queue(lane="bulk")
    scene.redis.sadd("rq:workers:sesq.default.transactional", "rq:worker:urgent")
    scene.policy.set({"daily": daily}, by="ada")
    scene.see()


def test_bulk_mail_leaves_a_day_to_urgent_mail_that_fills_it(scene: Scene) -> None:
    urgent_mail_to_three_waits(scene, "3")
    claimed(scene, "day", 60, lanes=(Lane.BULK,))
    scene.expect("""
        + gate claims = 1
    """)


def test_urgent_mail_for_more_than_a_day_stops_no_bulk_mail(scene: Scene) -> None:
    urgent_mail_to_three_waits(scene, "2")
    assert len(scene.ask(lanes=(Lane.BULK,)).ids) == 1


def test_a_limit_that_was_set_for_a_time_ends_before_its_token_comes(scene: Scene) -> None:
    scene.policy.set({"rate": "0.01"}, by="ada", for_seconds=30)
    scene.queue()
    scene.queue()
    scene.ask(want=1)
    scene.see()
    claimed(scene, "rate", 30)
    scene.expect("""
        ~ gate claims = 1 -> 2
    """)
