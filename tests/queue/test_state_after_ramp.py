"""All that changes in Redis when a ramp starts, stands still, goes on, is replaced and stopped."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scene import Scene
from sesq.queue.ramp import mind_ramp, start_ramp, stop_ramp
from sesq.queue.reputation import Standing

DAY = 86_400
BAD, GOOD = Standing(1000, 90, 0), Standing(1000, 10, 0)
WAITERS = ["- token_waiters w", "- token_waiters:bulk v"]


def entry(number: int) -> list[str]:
    return [f"+ policy:history {number} {name}" for name in ("at", "by", "new", "old")]


@pytest.fixture
def scene(scene: Scene) -> Scene:
    """Workers wait for tokens."""
    wait_for_tokens(scene)
    return scene


def wait_for_tokens(scene: Scene) -> None:
    scene.redis.zadd(scene.keys.token_waiters, {"w": scene.now + 5})
    scene.redis.zadd(scene.keys.bulk_token_waiters, {"v": scene.now + 6})
    scene.gate.usage()  # which counts the minutes on
    scene.see()


def changed(scene: Scene) -> list[str]:
    """What has changed since the last look, without the values: those of a ramp stand in any order."""
    return [line.partition(" = ")[0] for line in scene.state_of_redis.changes()]


def stored(scene: Scene) -> Any:
    """The ramp as it stands in Redis."""
    return json.loads(scene.redis.hget(scene.keys.policy, "ramp") or "null")


def newest(scene: Scene) -> Any:
    """The newest entry of the history."""
    return json.loads(scene.redis.lindex(scene.keys.policy_history, 0) or "null")


def test_a_ramp_is_put_in_place_replaced_and_stopped(scene: Scene) -> None:
    start_ramp(scene.redis, "default", 200, 50_000, 14 * DAY, by="ada")
    assert changed(scene) == ["+ policy ramp", *entry(0), *WAITERS, "! wake"]
    first = {"from": 200, "to": 50_000, "days": 14, "began": scene.now, "grown": 0, "at": scene.now}
    assert stored(scene) == first
    assert newest(scene) == {"by": "ada", "at": scene.now, "old": {"ramp": None}, "new": {"ramp": first}}
    # Another takes its place; the history says how far the first one was
    scene.pass_time(DAY)
    wait_for_tokens(scene)
    start_ramp(scene.redis, "default", 500, 1000, DAY, by="bob")
    assert changed(scene) == ["~ policy ramp", *entry(1), *WAITERS, "! wake"]
    second = {"from": 500, "to": 1000, "days": 1, "began": scene.now, "grown": 0, "at": scene.now}
    was = first | {"grown": DAY, "at": scene.now}
    assert stored(scene) == second
    assert newest(scene) == {"by": "bob", "at": scene.now, "old": {"ramp": was}, "new": {"ramp": second}}
    # And it is taken away
    wait_for_tokens(scene)
    assert stop_ramp(scene.redis, "default", by="ada")
    assert changed(scene) == ["- policy", *entry(2), *WAITERS, "! wake"]
    assert newest(scene) == {"by": "ada", "at": scene.now, "old": {"ramp": second}, "new": {"ramp": None}}
    assert not stop_ramp(scene.redis, "default", by="ada")
    scene.expect("")


def test_a_ramp_stands_still_and_goes_on(scene: Scene) -> None:
    start_ramp(scene.redis, "default", 200, 50_000, 14 * DAY, by="ada")
    begun = stored(scene)
    scene.pass_time(100)
    wait_for_tokens(scene)
    mind_ramp(scene.redis, "default", BAD)
    assert changed(scene) == ["~ policy ramp", *entry(1), *WAITERS, "! wake"]
    still = begun | {"grown": 100, "since": scene.now, "why": BAD.words}
    del still["at"]
    assert stored(scene) == still
    was = begun | {"grown": 100, "at": scene.now}
    assert newest(scene) == {"by": "sesq", "at": scene.now, "old": {"ramp": was}, "new": {"ramp": still}}
    scene.pass_time(DAY)
    mind_ramp(scene.redis, "default", BAD)
    scene.expect("")
    mind_ramp(scene.redis, "default", GOOD)
    assert changed(scene) == ["~ policy ramp", *entry(2), "! wake"]
    assert stored(scene) == was | {"at": scene.now}
    mind_ramp(scene.redis, "default", GOOD)
    scene.expect("")


def test_without_a_ramp_there_is_nothing_to_stand_still(scene: Scene) -> None:
    mind_ramp(scene.redis, "default", BAD)
    scene.expect("")
