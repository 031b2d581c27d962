"""All that changes in Redis when SES has described the account."""

from __future__ import annotations

import json
from typing import Any

import pytest
from redis.exceptions import ResponseError

from scene import Scene
from sesq.queue.gate import SYNC


def synced(scene: Scene, **told: Any) -> None:
    scene.see()
    scene.sync(**told)


def test_the_first_time(scene: Scene) -> None:
    scene.redis.delete(scene.keys.snapshot, scene.keys.gate)
    synced(scene, sent=40.0)
    scene.expect("""
        + gate at = now
        + gate born = now
        + gate folded = 0
        + gate folded_before = 0
        + gate folds_at = now
        + gate gathers = ''
        + gate level = 0
        + gate minute = now-23
        + gate on_way = 0
        + gate ses_at = now
        + gate ses_level = 0
        + gate total = 0
        + snapshot beyond = 40
        + snapshot beyond_at = now
        + snapshot daily = 50000
        + snapshot enforcement = ''
        + snapshot listed = 0
        + snapshot others = 40
        + snapshot paused_because = ''
        + snapshot production = 1
        + snapshot rate = 100
        + snapshot readable = 1
        + snapshot sending = 1
        + snapshot sent = 40
        + snapshot server = <run>
        + snapshot synced_at = now
        ! wake = policy
    """)


def test_again_and_nothing_is_new(scene: Scene) -> None:
    synced(scene)
    scene.expect("""
        ~ gate at = now-2 -> now
        ~ gate level = 0 -> 50
        ~ gate ses_at = now-2 -> now
        ~ gate ses_level = 0 -> 100
        ~ snapshot beyond_at = now-2 -> now
        ~ snapshot synced_at = now-2 -> now
    """)


def test_a_higher_rate_wakes_those_that_wait(scene: Scene) -> None:
    scene.sync(rate=1.0)
    scene.redis.zadd(scene.keys.token_waiters, {"w": scene.now + 5})
    scene.redis.zadd(scene.keys.bulk_token_waiters, {"v": scene.now + 6})
    synced(scene, rate=2.0, daily=1000.0)
    scene.expect("""
        ~ gate at = now-1 -> now
        ~ gate level = 50 -> 1
        ~ gate ses_at = now-1 -> now
        ~ gate ses_level = 100 -> 1
        ~ snapshot beyond_at = now-1 -> now
        ~ snapshot daily = 50000 -> 1000
        ~ snapshot rate = 1 -> 2
        ~ snapshot synced_at = now-1 -> now
        - token_waiters w = now+4
        - token_waiters:bulk v = now+5
        ! wake = policy
    """)


def test_others_send_on_the_account(scene: Scene) -> None:
    for _ in range(3):
        scene.queue()
    scene.ask()
    synced(scene, sent=10.0, booked=1)
    scene.expect("""
        ~ gate at = now-1 -> now
        ~ gate folded = 0 -> now-0.5
        ~ gate level = 47 -> 50
        ~ gate on_way = 3 -> 0
        ~ gate ses_at = now-2 -> now
        ~ gate ses_level = 0 -> 100
        ~ snapshot beyond = 0 -> 7
        ~ snapshot beyond_at = now-2 -> now
        ~ snapshot others = 0 -> 9
        ~ snapshot sent = 0 -> 10
        ~ snapshot synced_at = now-2 -> now
    """)
    # and later fewer
    synced(scene, sent=5.0)
    scene.expect("""
        ~ gate at = now-1 -> now
        ~ gate ses_at = now-1 -> now
        ~ snapshot others = 9 -> 2
        ~ snapshot sent = 10 -> 5
        ~ snapshot synced_at = now-1 -> now
        ! wake = policy
    """)


def test_the_account_may_not_be_read(scene: Scene) -> None:
    synced(scene, readable=0)
    scene.expect("""
        ~ gate at = now-2 -> now
        ~ gate level = 0 -> 50
        ~ gate ses_at = now-2 -> now
        ~ gate ses_level = 0 -> 100
        - snapshot beyond = 0
        - snapshot beyond_at = now-2
        - snapshot daily = 50000
        - snapshot enforcement = ''
        - snapshot others = 0
        - snapshot paused_because = ''
        - snapshot production = 1
        - snapshot rate = 100
        ~ snapshot readable = 1 -> 0
        - snapshot sending = 1
        - snapshot sent = 0
        ~ snapshot synced_at = now-2 -> now
        ! wake = policy
    """)


def test_identities_are_listed(scene: Scene) -> None:
    synced(scene, identities={"example.com": True, "bob@example.org": False})
    scene.expect("""
        ~ gate at = now-2 -> now
        ~ gate level = 0 -> 50
        ~ gate ses_at = now-2 -> now
        ~ gate ses_level = 0 -> 100
        + identities bob@example.org = 0
        + identities example.com = 1
        ~ snapshot beyond_at = now-2 -> now
        ~ snapshot listed = 0 -> 1
        ~ snapshot synced_at = now-2 -> now
    """)
    # and others later
    synced(scene, identities={"example.com": True})
    scene.expect("""
        ~ gate at = now-1 -> now
        ~ gate ses_at = now-1 -> now
        - identities bob@example.org = 0
        ~ snapshot beyond_at = now-1 -> now
        ~ snapshot synced_at = now-1 -> now
    """)


def test_ses_refused_all_mail_after_it_was_asked(scene: Scene) -> None:
    asked = scene.now
    scene.pass_time(1)
    scene.redis.hset(
        scene.keys.snapshot, mapping={"sending": 0, "paused_because": "A review.", "paused_at": scene.now}
    )
    synced(scene, asked=asked)
    scene.expect("""
        ~ gate at = now-3 -> now
        ~ gate level = 0 -> 50
        ~ gate ses_at = now-3 -> now
        ~ gate ses_level = 0 -> 100
        ~ snapshot beyond_at = now-3 -> now
        ~ snapshot synced_at = now-3 -> now
    """)
    # and sends again by the next time
    synced(scene, asked=scene.now)
    scene.expect("""
        ~ gate at = now-1 -> now
        ~ gate ses_at = now-1 -> now
        ~ snapshot beyond_at = now-1 -> now
        ~ snapshot paused_because = A review. -> ''
        ~ snapshot sending = 0 -> 1
        ~ snapshot synced_at = now-1 -> now
        ! wake = policy
    """)


def test_the_books_were_lost_while_ses_was_asked(scene: Scene) -> None:
    synced(scene, books="others", rate=1.0)
    scene.expect("")


def test_an_error_is_told_and_the_books_are_written(scene: Scene) -> None:
    scene.pass_time(60)
    scene.see()
    told = {"readable": 1, "rate": 100, "daily": 50_000, "sent": 0, "production": 1, "sending": 1}
    told |= {"paused_because": "", "enforcement": "", "identities": 7}
    with pytest.raises(ResponseError):
        SYNC.run(scene.redis, "default", json.dumps(told))
    scene.expect("""
        ~ gate at = now-61 -> now
        ~ gate level = 0 -> 50
        ~ gate minute = now-82 -> now-22
        ~ gate ses_at = now-61 -> now
        ~ gate ses_level = 0 -> 100
        ~ snapshot beyond_at = now-61 -> now
        ~ snapshot listed = 0 -> 1
        ~ snapshot synced_at = now-61 -> now
    """)
