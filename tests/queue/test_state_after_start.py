"""All that changes in Redis when what was granted is started, and kept."""

from __future__ import annotations

import pytest

from scene import Scene, at
from sesq.queue.grants import Grant, Started
from sesq.queue.states import Lane


@pytest.fixture
def slow(scene: Scene) -> Scene:
    """An account of one a second."""
    scene.sync(rate=1.0)
    scene.pass_time(2)
    return scene


def test_a_message(scene: Scene) -> None:
    scene.queue()
    claim = scene.ask()
    scene.pass_time(1)
    scene.see()
    (started,) = scene.gate.start(claim.grants)
    assert started.content == b'{"v":1,"subject":"Hi","text":"Hello."}'
    scene.expect("""
        ~ message:<1> started_at = '' -> now
    """)


def test_a_row_of_a_batch(scene: Scene) -> None:
    scene.take(2)
    claim = scene.ask(want=1)
    scene.see()
    (started,) = scene.gate.start(claim.grants)
    assert (started.content, started.envelope.to) == (b"", ("p0@example.org",))
    scene.expect("""
        + message:<b>-0-0 started_at = now
    """)


def test_its_time_ran_out_since_it_was_granted(scene: Scene) -> None:
    scene.queue(expires_at=at(scene.now + 1))
    claim = scene.ask()
    scene.pass_time(1)
    scene.see()
    assert scene.gate.start(claim.grants) == []
    scene.expect("""
        + content:<1> TTL = 14d
        + counters expired = 1
        - expiring <1> = now
        ~ gate folded = 0 -> now-0.5
        ~ gate level = 49 -> 50
        ~ gate on_way = 1 -> 0
        ~ gate ses_at = now-2 -> now-0.5
        ~ gate ses_level = 0 -> 100
        ~ gate total = 1 -> 0
        - leases <1> = now+29
        - ledger minute now-23 = 1
        + message:<1> TTL = 14d
        + message:<1> history 2 = [now,"expired","its time ran out before it could go"]
        ~ message:<1> reason = w -> its time ran out before it could go
        ~ message:<1> since = now-1 -> now
        ~ message:<1> state = sending -> expired
        ~ message:<1> tokens_at = now-1 -> ''
        + rq:failed:transactional <1> = real+14d
        + rq:job:<1> TTL = 14d
        ~ rq:job:<1> status = started -> failed
        ~ rq:job:<1> worker_name = w -> ''
        - rq:wip:transactional <1>:x-1 = inf
        + state:expired <1> = now
        - state:sending <1> = now-1
    """)


def test_it_is_another_claims_by_now(scene: Scene) -> None:
    grant = scene.granted()
    assert scene.gate.start([Grant(grant.id, "another")]) == []
    scene.expect("")


def test_its_lease_is_renewed_unless_it_has_none(scene: Scene) -> None:
    grant = scene.granted()
    scene.gate.renew([grant, Grant("gone", "x")], scene.now + 45)
    scene.expect("""
        ~ leases <1> = now+30 -> now+45
    """)


def started(scene: Scene, **options: object) -> Started:
    scene.queue(**options)  # type: ignore[arg-type]
    (it,) = scene.claim(1)[1]
    scene.see()
    return it


def test_new_tokens_in_place_of_unused_ones(scene: Scene) -> None:
    it = started(scene)
    scene.pass_time(0.2)
    assert scene.gate.renew_tokens(it, unused=True, lease=30) == ("granted", 0)
    scene.expect("""
        ~ gate at = now-0.2 -> now
        ~ gate folds_at = now+0.3 -> now+0.5
        ~ leases <1> = now+29.8 -> now+30
        ~ message:<1> tokens_at = now-0.2 -> now
    """)


def test_new_tokens_for_another_try(scene: Scene) -> None:
    it = started(scene)
    scene.pass_time(0.2)
    assert scene.gate.renew_tokens(it, unused=False, lease=30) == ("granted", 0)
    scene.expect("""
        ~ gate at = now-0.2 -> now
        ~ gate folds_at = now+0.3 -> now+0.5
        ~ gate ses_at = now-1.2 -> now
        ~ gate ses_level = 0 -> 99
        ~ leases <1> = now+29.8 -> now+30
        ~ message:<1> tokens_at = now-0.2 -> now
    """)


def test_no_token_is_there_for_another_try(slow: Scene) -> None:
    it = started(slow)
    answer, wait = slow.gate.renew_tokens(it, unused=False, lease=30)
    assert (answer, round(wait, 3)) == ("rate", 1.002)
    slow.expect("""
        ~ gate on_way = 1 -> 0
        ~ gate ses_at = now-2 -> now
        ~ gate ses_level = 100 -> 0
        ~ message:<1> tokens_at = now -> ''
    """)


def test_others_took_tokens_since_and_it_keeps_its_own(scene: Scene) -> None:
    scene.sync(rate=4.0)
    scene.pass_time(2)
    it = started(scene)
    scene.pass_time(0.3)
    scene.queue(["ada@example.org", "bob@example.org"])
    scene.ask()
    scene.see()
    answer, wait = scene.gate.renew_tokens(it, unused=True, lease=30)
    assert (answer, round(wait, 3)) == ("rate", 0.251)
    scene.expect("")


def test_tokens_of_a_row(scene: Scene) -> None:
    scene.take(2)
    (it, _) = scene.claim(2)[1]
    scene.pass_time(0.2)
    scene.see()
    assert scene.gate.renew_tokens(it, unused=True, lease=30) == ("granted", 0)
    scene.expect("""
        ~ gate at = now-0.2 -> now
        ~ gate folds_at = now+0.3 -> now+0.5
        ~ gate level = 48 -> 49
        ~ leases <b>-0-0 = now+29.8 -> now+30
        + message:<b>-0-0 tokens_at = now
    """)


def test_no_tokens_where_it_is_to_stop(scene: Scene) -> None:
    it = started(scene, lane=Lane.BULK, expires_at=at(scene.now + 10))
    scene.policy.pause("a look", by="ada", bulk_only=True)
    scene.see()
    assert scene.gate.renew_tokens(it, unused=True, lease=30) == ("paused", 5)
    scene.pass_time(10)
    assert scene.gate.renew_tokens(it, unused=True, lease=30) == ("expired", 0)
    scene.expect("""
        ~ gate folded = 0 -> now-9.5
        ~ gate on_way = 1 -> 0
        ~ gate ses_at = now-11 -> now-9.5
        ~ gate ses_level = 0 -> 99
    """)


def test_no_tokens_for_a_cancelled_batch(scene: Scene) -> None:
    batch = scene.take(2).id
    (it,) = scene.claim(1)[1]
    scene.batches.cancel(batch, "a wrong link")
    scene.see()
    assert scene.gate.renew_tokens(it, unused=True, lease=30) == ("cancelled", 0)
    scene.expect("")
