"""All that changes in Redis when a part is ended, lost or mended, and the other part is still there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scene import Scene
from sesq.queue.audit.repair import MEND_BATCH
from sesq.queue.ramp import start_ramp, stop_ramp
from sesq.queue.tenant_limits import TenantLimits
from sesq.queue.windows import refresh_windows

WINDOW = "Mon-Fri 09:00-17:00 Europe/Berlin"


@pytest.mark.parametrize("here", [(), (0,), (1,), (0, 2), (2, 1, 0)])
def test_chunks_that_should_be_parked_are_each_beside_those_that_are(
    scene: Scene, here: tuple[int, ...]
) -> None:
    batch = scene.take(3).id
    parked, count = scene.keys.parked(batch), json.dumps({"waiting": 3})
    for number in here:
        scene.redis.rpush(parked, f"{batch}-{number}")
    scene.see()
    wanted = json.dumps([f"{batch}-{number}" for number in range(3)])
    told = MEND_BATCH.run(scene.redis, "default", batch, count, count, 1, wanted, 3)
    missing = [number for number in range(3) if number not in here]
    assert told == [f"{batch}-{number} is parked".encode() for number in missing]
    found = [id.decode() for id in scene.redis.lrange(parked, 0, -1)]
    assert found == [f"{batch}-{number}" for number in (*here, *missing)]


@pytest.mark.parametrize(("kept", "ended"), [("rate", "daily"), ("daily", "rate"), ("ramp", "rate")])
def test_one_limit_of_a_tenant_ends_and_the_time_of_the_other_stays(
    scene: Scene, kept: str, ended: str
) -> None:
    # Given a tenant with two limits; what went before that is not in its books
    limits = TenantLimits(scene.redis)

    def since() -> Any:
        return scene.redis.hget(scene.keys.tenant_limits, "acme:since")

    if kept == "ramp":
        start_ramp(scene.redis, "default", 50, 500, 4 * 86_400, by="ada", tenant="acme")
    values = {"rate": "10", "daily": "500"}
    limits.set("acme", {name: values[name] for name in (kept, ended) if name in values}, by="ada")
    began = since()
    assert float(began) == scene.now
    scene.pass_time(60)
    # When one of them ends, Then it is still limited since then
    limits.reset("acme", [ended], by="ada")
    assert since() == began
    # and when both have ended, nothing of it is left
    if kept == "ramp":
        stop_ramp(scene.redis, "default", by="ada", tenant="acme")
    else:
        limits.reset("acme", [kept], by="ada")
    assert scene.redis.exists(scene.keys.tenant_limits) == 0


@pytest.mark.parametrize(
    ("lost", "stays"), [((), True), (("batch",), True), (("windows",), True), (("batch", "windows"), False)]
)
def test_a_batch_with_windows_is_remembered_while_a_part_of_it_is_there(
    scene: Scene, lost: tuple[str, ...], stays: bool
) -> None:
    batch = scene.take(1, window=WINDOW).id
    keys = {"batch": scene.keys.batch(batch), "windows": scene.keys.batch_windows(batch)}
    for name in lost:
        scene.redis.delete(keys[name])
    before = scene.redis.hget(scene.keys.windows, WINDOW)
    # When account sync writes the windows anew a week later
    scene.pass_time(7 * 86_400)
    refresh_windows(scene.redis, "default")
    # Then that of the batch is known for another week
    assert scene.redis.sismember(scene.keys.with_windows, batch) == stays
    if "windows" not in lost:
        assert scene.redis.hget(scene.keys.windows, WINDOW) != before
