"""All that changes in Redis when people set limits, pause and resume; and what the workers ask before SES."""

from __future__ import annotations

import pytest

from scene import Scene
from sesq.config.errors import InvalidPolicy
from sesq.worker.account import CONTROL
from sesq.worker.sync import DUE


@pytest.fixture
def scene(scene: Scene) -> Scene:
    """Workers wait for tokens."""
    scene.redis.zadd(scene.keys.token_waiters, {"w": scene.now + 5})
    scene.redis.zadd(scene.keys.bulk_token_waiters, {"v": scene.now + 6})
    scene.see()
    return scene


def test_limits_are_set(scene: Scene) -> None:
    scene.policy.set({"rate": "14/second", "reserve": "10%"}, by="ada")
    scene.expect("""
        + policy force = ''
        + policy rate = 14.0
        + policy reserve = 10%
        + policy:history 0 at = now
        + policy:history 0 by = "ada"
        + policy:history 0 force = false
        + policy:history 0 new = {"rate": "14.0", "reserve": "10%"}
        + policy:history 0 old = {"rate": null, "reserve": null}
        + policy:history 0 old_forced = []
        + policy:history 0 until = null
        - token_waiters w = now+5
        - token_waiters:bulk v = now+6
        ! wake = policy
    """)
    scene.policy.set({"rate": "5"}, by="bob")
    scene.expect("""
        ~ policy rate = 14.0 -> 5.0
        + policy:history 1 at = now
        + policy:history 1 by = "bob"
        + policy:history 1 force = false
        + policy:history 1 new = {"rate": "5.0"}
        + policy:history 1 old = {"rate": "14.0"}
        + policy:history 1 old_forced = []
        + policy:history 1 until = null
        ! wake = policy
    """)


def test_a_limit_is_set_for_a_time_and_then_to_stay(scene: Scene) -> None:
    scene.policy.set({"burst": "3"}, by="ada", for_seconds=60)
    scene.expect("""
        + policy burst:for = 3.0
        + policy burst:until = now+60
        + policy force:for = ''
        + policy:history 0 at = now
        + policy:history 0 by = "ada"
        + policy:history 0 force = false
        + policy:history 0 new = {"burst": "3.0"}
        + policy:history 0 old = {"burst": null}
        + policy:history 0 old_forced = []
        + policy:history 0 until = now+60
        - token_waiters w = now+5
        - token_waiters:bulk v = now+6
        ! wake = policy
    """)
    scene.policy.set({"burst": "4"}, by="ada")
    scene.expect("""
        + policy burst = 4.0
        - policy burst:for = 3.0
        - policy burst:until = now+60
        + policy force = ''
        + policy:history 1 at = now
        + policy:history 1 by = "ada"
        + policy:history 1 force = false
        + policy:history 1 new = {"burst": "4.0"}
        + policy:history 1 old = {"burst": null}
        + policy:history 1 old_for = {"burst": {"value": "3.0", "until": now+60, "forced": false}}
        + policy:history 1 old_forced = []
        + policy:history 1 until = null
        ! wake = policy
    """)


def test_limits_above_those_of_ses_are_forced(scene: Scene) -> None:
    with pytest.raises(InvalidPolicy):
        scene.policy.set({"rate": "200"}, by="ada")
    scene.expect("")
    scene.policy.set({"rate": "200", "daily": "unlimited", "margin": "0.01"}, by="ada", force=True)
    scene.expect("""
        + policy daily = -1
        + policy force = daily,rate
        + policy margin = 0.01
        + policy rate = 200.0
        + policy:history 0 at = now
        + policy:history 0 by = "ada"
        + policy:history 0 force = true
        + policy:history 0 new = {"rate": "200.0", "daily": "-1", "margin": "0.01"}
        + policy:history 0 old = {"rate": null, "daily": null, "margin": null}
        + policy:history 0 old_forced = []
        + policy:history 0 until = null
        - token_waiters w = now+5
        - token_waiters:bulk v = now+6
        ! wake = policy
    """)
    scene.policy.set({"rate": "10"}, by="ada")
    scene.expect("""
        ~ policy force = daily,rate -> daily
        ~ policy rate = 200.0 -> 10.0
        + policy:history 1 at = now
        + policy:history 1 by = "ada"
        + policy:history 1 force = false
        + policy:history 1 new = {"rate": "10.0"}
        + policy:history 1 old = {"rate": "200.0"}
        + policy:history 1 old_forced = ["rate"]
        + policy:history 1 until = null
        ! wake = policy
    """)


def test_a_limit_above_that_of_ses_is_forced_for_a_time(scene: Scene) -> None:
    scene.policy.set({"rate": "200"}, by="ada", force=True, for_seconds=10)
    scene.expect("""
        + policy force:for = rate
        + policy rate:for = 200.0
        + policy rate:until = now+10
        + policy:history 0 at = now
        + policy:history 0 by = "ada"
        + policy:history 0 force = true
        + policy:history 0 new = {"rate": "200.0"}
        + policy:history 0 old = {"rate": null}
        + policy:history 0 old_forced = []
        + policy:history 0 until = now+10
        - token_waiters w = now+5
        - token_waiters:bulk v = now+6
        ! wake = policy
    """)


def test_limits_are_reset(scene: Scene) -> None:
    scene.policy.set({"rate": "200", "daily": "500"}, by="ada", force=True)
    scene.policy.set({"rate": "300"}, by="ada", force=True, for_seconds=10)
    scene.see()
    scene.policy.reset(["rate"], by="bob")
    scene.expect("""
        ~ policy force = daily,rate -> daily
        - policy rate = 200.0
        - policy rate:for = 300.0
        - policy rate:until = now+10
        + policy:history 2 at = now
        + policy:history 2 by = "bob"
        + policy:history 2 new = null
        + policy:history 2 old = {"rate": "200.0"}
        + policy:history 2 old_for = {"rate": {"value": "300.0", "until": now+10, "forced": true}}
        + policy:history 2 old_forced = ["rate"]
        ! wake = policy
    """)
    scene.policy.reset(by="bob")
    scene.expect("""
        - policy daily = 500.0
        ~ policy force = daily -> ''
        + policy:history 3 at = now
        + policy:history 3 by = "bob"
        + policy:history 3 new = null
        + policy:history 3 old = {"rate": null, "daily": "500.0", "burst": null, "margin": null, "r… (80)
        + policy:history 3 old_forced = ["daily"]
        ! wake = policy
    """)


def test_the_account_is_paused_and_goes_on(scene: Scene) -> None:
    scene.policy.pause("a look", by="ada")
    scene.expect("""
        + policy paused = a look
        + policy:history 0 at = now
        + policy:history 0 by = "ada"
        + policy:history 0 new = {"paused": "a look"}
        + policy:history 0 old = {"paused": ""}
        - token_waiters w = now+5
        - token_waiters:bulk v = now+6
        ! wake = policy
    """)
    scene.policy.resume(by="bob")
    scene.expect("""
        ~ policy paused = a look -> ''
        + policy:history 1 at = now
        + policy:history 1 by = "bob"
        + policy:history 1 new = {"paused": ""}
        + policy:history 1 old = {"paused": "a look"}
        ! wake = policy
    """)


def test_bulk_mail_is_paused(scene: Scene) -> None:
    scene.policy.pause("", by="ada", bulk_only=True)
    scene.expect("""
        + policy paused:bulk = paused by ada
        + policy:history 0 at = now
        + policy:history 0 by = "ada"
        + policy:history 0 new = {"paused:bulk": "paused by ada"}
        + policy:history 0 old = {"paused:bulk": ""}
        - token_waiters w = now+5
        - token_waiters:bulk v = now+6
        ! wake = policy
    """)


def test_the_starting_limits_are_written_down(scene: Scene) -> None:
    scene.policy.configure({"rate": "5/second", "daily": "1000"})
    scene.expect("""
        + configured daily = 1000.0
        + configured rate = 5.0
        + configured window = ''
    """)
    scene.policy.configure({"margin": "0"})
    scene.expect("""
        - configured daily = 1000.0
        + configured margin = 0.0
        - configured rate = 5.0
    """)
    scene.policy.configure({})
    scene.expect("""
        - configured margin = 0.0
    """)


def test_a_day_has_room_again_for_mail_to_many(scene: Scene) -> None:
    scene.policy.set({"daily": "1"}, by="ada")
    scene.queue(["ada@example.org", "bob@example.org"])
    scene.queue(["ada@example.org", "bob@example.org", "cleo@example.org"])
    scene.queue(["ada@example.org", "bob@example.org"], lane="bulk")
    scene.ask()
    scene.policy.set({"reserve": "1"}, by="ada")
    scene.see()
    scene.policy.set({"daily": "2"}, by="ada")
    scene.expect("""
        + counters queued = 1
        - hold:day <1> = now
        + message:<1> history 2 = [now,"queued","a whole day has room for it now"]
        ~ message:<1> hold = day -> ''
        ~ message:<1> reason = it is for 2 recipients, and a whole day has room for 1 -> a whole … (89)
        ~ message:<1> state = held -> queued
        ~ policy daily = 1.0 -> 2.0
        + policy:history 2 at = now
        + policy:history 2 by = "ada"
        + policy:history 2 force = false
        + policy:history 2 new = {"daily": "2.0"}
        + policy:history 2 old = {"daily": "1.0"}
        + policy:history 2 old_forced = []
        + policy:history 2 until = null
        - rq:deferred:transactional <1> = now
        ~ rq:job:<1> status = deferred -> queued
        + rq:queue:transactional = <1>
        - state:held <1> = now
        + state:queued <1> = now
        ! wake = policy
        ! wake = urgent
    """)


def test_the_account_is_read_by_one_at_a_time(scene: Scene) -> None:
    assert DUE.run(scene.redis, "default", 20, 60, 0) == 1
    scene.expect("""
        + sync server = <run>
        + sync until = now+20
    """)
    # nobody else until then
    assert DUE.run(scene.redis, "default", 20, 60, 0) == 0
    scene.expect("")
    # but whoever must
    assert DUE.run(scene.redis, "default", 60, 60, 1) == 1
    scene.expect("""
        ~ sync until = now+20 -> now+60
    """)
    # and all once the time is over, or the clock was set back
    scene.pass_time(60)
    assert DUE.run(scene.redis, "default", 20, 60, 0) == 1
    scene.pass_time(-41)
    assert DUE.run(scene.redis, "default", 20, 60, 0) == 1
    scene.expect("""
        ~ sync until = now+41 -> now+20
    """)


def test_ses_gets_one_control_call_an_hour(scene: Scene) -> None:
    hour = 3_600_000  # ms
    assert CONTROL.run(scene.redis, "default", hour) == 0
    assert 0 < CONTROL.run(scene.redis, "default", hour) <= hour
    assert 0 < scene.redis.ttl(scene.keys.control) <= 60
    # but a time in the future is from before the clock was set back
    scene.redis.incrby(scene.keys.control, 2 * hour)
    assert CONTROL.run(scene.redis, "default", hour) == 0
    assert abs(float(scene.redis.get(scene.keys.control) or 0) / 1000 - scene.redis.time()[0]) < 60
