"""All that changes in Redis when the gate grants rows of a batch."""

from __future__ import annotations

from scene import Scene


def test_rows_of_a_batch(scene: Scene) -> None:
    batch = scene.take(3).id
    scene.see()
    claim = scene.ask(want=2)
    assert claim.reason == "full"
    assert scene.fates(batch) == {"sending": 2, "queued": 1}
    scene.expect("""
        + batch:<b> n:leaving = 2
        ~ batch:<b> n:waiting = 3 -> 1
        ~ chunk:<b>-0 cursor = 0 -> 2
        ~ chunk:<b>-0 out = 0 -> 2
        ~ gate at = now-1 -> now
        + gate claims = 1
        ~ gate folds_at = now-1 -> now+0.5
        + gate left:bulk = now
        ~ gate level = 0 -> 48
        ~ gate on_way = 0 -> 2
        ~ gate total = 0 -> 2
        + leases <b>-0-0 = now+30
        + leases <b>-0-1 = now+30.000001
        + ledger minute now-22 = 2
        + message:<b>-0-0 claim_id = x-1
        + message:<b>-0-0 claimed = now
        + message:<b>-0-0 day = 1
        + message:<b>-0-0 packed = 1
        + message:<b>-0-0 state = sending
        + message:<b>-0-0 worker = w
        + message:<b>-0-1 claim_id = x-1
        + message:<b>-0-1 claimed = now
        + message:<b>-0-1 day = 1
        + message:<b>-0-1 packed = 1
        + message:<b>-0-1 state = sending
        + message:<b>-0-1 worker = w
    """)
    # and the last one
    scene.ask(want=2)
    scene.expect("""
        ~ batch:<b> jobs = 1 -> 0
        ~ batch:<b> n:leaving = 2 -> 3
        ~ batch:<b> n:waiting = 1 -> 0
        ~ chunk:<b>-0 cursor = 2 -> 3
        ~ chunk:<b>-0 out = 2 -> 3
        ~ chunk:<b>-0 place = queued -> sending
        ~ gate claims = 1 -> 2
        ~ gate level = 48 -> 47
        ~ gate on_way = 2 -> 3
        ~ gate total = 2 -> 3
        + leases <b>-0-2 = now+30
        ~ ledger minute now-22 = 2 -> 3
        + message:<b>-0-2 claim_id = x-2
        + message:<b>-0-2 claimed = now
        + message:<b>-0-2 day = 1
        + message:<b>-0-2 packed = 1
        + message:<b>-0-2 state = sending
        + message:<b>-0-2 worker = w
        ~ rq:job:<b>-0 status = queued -> started
        + rq:job:<b>-0 worker_name = w
        - rq:queue:bulk = <b>-0
        + rq:wip:bulk <b>-0:rows = inf
    """)


def test_rows_of_a_batch_as_far_as_the_day_has_room(scene: Scene) -> None:
    scene.policy.set({"daily": "2"}, by="ada")
    scene.take(3)
    scene.see()
    claim = scene.ask()
    assert claim.reason == "day"
    scene.expect("""
        + batch:<b> n:leaving = 2
        ~ batch:<b> n:waiting = 3 -> 1
        ~ chunk:<b>-0 cursor = 0 -> 2
        ~ chunk:<b>-0 out = 0 -> 2
        ~ gate at = now-1 -> now
        + gate claims = 1
        ~ gate folds_at = now-1 -> now+0.5
        + gate left:bulk = now
        ~ gate level = 0 -> 48
        ~ gate on_way = 0 -> 2
        ~ gate total = 0 -> 2
        + leases <b>-0-0 = now+30
        + leases <b>-0-1 = now+30.000001
        + ledger minute now-22 = 2
        + message:<b>-0-0 claim_id = x-1
        + message:<b>-0-0 claimed = now
        + message:<b>-0-0 day = 1
        + message:<b>-0-0 packed = 1
        + message:<b>-0-0 state = sending
        + message:<b>-0-0 worker = w
        + message:<b>-0-1 claim_id = x-1
        + message:<b>-0-1 claimed = now
        + message:<b>-0-1 day = 1
        + message:<b>-0-1 packed = 1
        + message:<b>-0-1 state = sending
        + message:<b>-0-1 worker = w
    """)
