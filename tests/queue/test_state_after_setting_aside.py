"""All that changes in Redis when a claim meets, at the head of a lane, a message that has to be set aside."""

from __future__ import annotations

from scene import Scene
from sesq.queue.fitting import FIT

URGENT, BULK = "rq:queue:sesq.default.transactional", "rq:queue:sesq.default.bulk"
TWO = ["ada@example.org", "bob@example.org"]


def cleared(scene: Scene) -> None:
    """A claim grants nothing, and is asked no more."""
    claim = scene.ask()
    assert (claim.reason, claim.wait, claim.ids) == ("empty", 0, ())


def test_a_whole_day_has_no_room_for_it(scene: Scene) -> None:
    scene.queue(TWO)
    scene.policy.set({"daily": "1"}, by="ada")
    scene.see()
    cleared(scene)
    scene.expect("""
        + counters held = 1
        + gate claims = 1
        + hold:day <1> = now
        + holds day = messages for more recipients than a whole day has room for
        + message:<1> history 1 = [now,"held","it is for 2 recipients, and a whole day has room for … (69)
        + message:<1> hold = day
        + message:<1> reason = it is for 2 recipients, and a whole day has room for 1
        ~ message:<1> state = queued -> held
        + rq:deferred:transactional <1> = now
        ~ rq:job:<1> status = queued -> deferred
        + rq:job:<1> worker_name = ''
        - rq:queue:transactional = <1>
        + state:held <1> = now
        - state:queued <1> = now
    """)


def test_the_reserve_leaves_a_day_no_room_for_it(scene: Scene) -> None:
    scene.queue(TWO, lane="bulk")
    scene.policy.set({"daily": "3", "reserve": "2"}, by="ada")
    scene.see()
    cleared(scene)
    scene.expect("""
        + counters held = 1
        + gate claims = 1
        + hold:day <1> = now
        + holds day = messages for more recipients than a whole day has room for
        + message:<1> history 1 = [now,"held","it is for 2 recipients, and a whole day has room for … (69)
        + message:<1> hold = day
        + message:<1> reason = it is for 2 recipients, and a whole day has room for 1
        ~ message:<1> state = queued -> held
        + rq:deferred:bulk <1> = now
        ~ rq:job:<1> status = queued -> deferred
        + rq:job:<1> worker_name = ''
        - rq:queue:bulk = <1>
        + state:held <1> = now
        - state:queued <1> = now
    """)


def test_the_second_of_those_for_which_a_day_had_no_room_is_looked_at(scene: Scene) -> None:
    scene.policy.set({"daily": "1"}, by="ada")
    for _ in range(3):
        scene.queue(TWO)
        scene.ask()
        scene.pass_time(1)
    scene.redis.hset(scene.keys.policy, "daily", "2")
    scene.see()
    assert FIT.run(scene.redis, "default", 1, 1, "it fits") == [1, 1]
    scene.expect("""
        + counters queued = 1
        - hold:day <2> = now-2
        + message:<2> history 2 = [now,"queued","it fits"]
        ~ message:<2> hold = day -> ''
        ~ message:<2> reason = it is for 2 recipients, and a whole day has room for 1 -> it fits
        ~ message:<2> since = now-2 -> now
        ~ message:<2> state = held -> queued
        - rq:deferred:transactional <2> = now-2
        ~ rq:job:<2> status = deferred -> queued
        + rq:queue:transactional = <2>
        - state:held <2> = now-2
        + state:queued <2> = now
        ! wake = urgent
    """)


def test_it_was_queued_before_a_backup_was_restored(scene: Scene) -> None:
    scene.queue()
    scene.pass_time(2)
    scene.redis.hset(scene.keys.restored, "before", scene.now - 1)
    scene.queue(lane="bulk")
    scene.see()
    scene.ask(want=1)
    scene.expect("""
        + counters held = 1
        + counters sending = 1
        ~ gate at = now-3 -> now
        + gate claims = 1
        ~ gate folds_at = now-3 -> now+0.5
        + gate left:bulk = now
        ~ gate level = 0 -> 49
        ~ gate on_way = 0 -> 1
        ~ gate total = 0 -> 1
        + hold:restore <1> = now-2
        + holds restore = messages of before a restored backup, which may have been sent sin… (82)
        + leases <2> = now+30
        + ledger minute now-24 = 1
        + message:<1> history 1 = [now,"held","it was queued before a backup of Redis was restored, … (110)
        + message:<1> hold = restore
        + message:<1> reason = it was queued before a backup of Redis was restored, and may have … (95)
        ~ message:<1> since = now-2 -> now
        ~ message:<1> state = queued -> held
        + message:<2> claim_id = x-1
        + message:<2> claimed = now
        + message:<2> history 1 = [now,"sending","w"]
        + message:<2> reason = w
        + message:<2> started_at = ''
        ~ message:<2> state = queued -> sending
        + message:<2> tokens_at = now
        + message:<2> worker = w
        + rq:deferred:transactional <1> = now
        ~ rq:job:<1> status = queued -> deferred
        + rq:job:<1> worker_name = ''
        ~ rq:job:<2> status = queued -> started
        + rq:job:<2> worker_name = w
        - rq:queue:bulk = <2>
        - rq:queue:transactional = <1>
        + rq:wip:bulk <2>:x-1 = inf
        + state:held <1> = now
        - state:queued <1> = now-2
        - state:queued <2> = now
        + state:sending <2> = now
    """)


def test_its_record_is_damaged(scene: Scene) -> None:
    scene.redis.hset(scene.keys.message(scene.queue()), "rate", "51")
    scene.see()
    cleared(scene)
    scene.expect("""
        + counters held = 1
        + damaged sesq:default:message:<1> = [now,"its record in Redis is damaged: rate is not between 1 and 50… (68)
        + gate claims = 1
        + hold:person <1> = now
        + holds person = a person, since they are damaged in Redis
        + message:<1> history 1 = [now,"held","its record in Redis is damaged: rate is not between 1… (75)
        + message:<1> hold = person
        + message:<1> reason = its record in Redis is damaged: rate is not between 1 and 50
        ~ message:<1> state = queued -> held
        + rq:deferred:transactional <1> = now
        ~ rq:job:<1> status = queued -> deferred
        + rq:job:<1> worker_name = ''
        - rq:queue:transactional = <1>
        + state:held <1> = now
        - state:queued <1> = now
    """)


def test_its_version_is_unknown(scene: Scene) -> None:
    scene.redis.hset(scene.keys.message(scene.queue()), "v", "9")
    scene.see()
    cleared(scene)
    scene.expect("""
        + counters held = 1
        + gate claims = 1
        + hold:version:9 <1> = now
        + holds version:9 = it is of version 9, which this sesq cannot read; it goes when a ne… (81)
        + message:<1> history 1 = [now,"held","it is of version 9, which this sesq cannot read"]
        + message:<1> hold = version:9
        + message:<1> reason = it is of version 9, which this sesq cannot read
        ~ message:<1> state = queued -> held
        + rq:deferred:transactional <1> = now
        ~ rq:job:<1> status = queued -> deferred
        + rq:job:<1> worker_name = ''
        - rq:queue:transactional = <1>
        + state:held <1> = now
        - state:queued <1> = now
    """)


def test_its_state_is_unknown(scene: Scene) -> None:
    scene.redis.hset(scene.keys.message(scene.queue()), "state", "dreaming")
    scene.see()
    cleared(scene)
    scene.expect("""
        + damaged sesq:default:message:<1> = [now,"its state is dreaming, which this version of sesq does not k… (71)
        + gate claims = 1
        - rq:queue:transactional = <1>
    """)
