"""What is true of the first lane, end and kind is true of the second: times told, places found, steps allowed."""

from __future__ import annotations

import pytest

from scene import Scene, at
from sesq.queue.job import job_fields
from sesq.queue.states import Lane, State
from sesq.worker.reconcile import RESTORE

URGENT = "sesq.default.transactional"


@pytest.mark.parametrize(("urgent", "bulk"), [(90, 20), (20, 90)])
def test_the_next_time_told_is_that_of_the_lane_that_is_due_first(
    scene: Scene, urgent: int, bulk: int
) -> None:
    scene.queue(send_at=at(scene.now + urgent))
    scene.queue(send_at=at(scene.now + bulk), lane="bulk")
    scene.see()
    assert scene.gate.promote() == (0, 20.0)
    scene.expect("")
    scene.pass_time(20)
    assert scene.gate.promote() == (1, 70.0)
    assert scene.gate.promote([Lane.BULK if urgent == 20 else Lane.TRANSACTIONAL]) == (0, 70.0)


@pytest.mark.parametrize(("before", "after"), [(1500, 0), (0, 1500), (999, 1500), (1500, 999)])
def test_a_job_near_either_end_of_a_long_lane_is_in_its_place(scene: Scene, before: int, after: int) -> None:
    id = scene.queue()
    if before:
        scene.redis.lpush(f"rq:queue:{URGENT}", *(f"b{n}" for n in range(before)))
    if after:
        scene.redis.rpush(f"rq:queue:{URGENT}", *(f"a{n}" for n in range(after)))
    scene.see()
    fields = job_fields(id, "any", f"sesq message {id}")
    assert RESTORE.run(scene.redis, "default", id, scene.now, 0, *fields) == 0
    scene.expect("")


@pytest.mark.parametrize(
    ("bad", "state", "stop", "sent", "step"),
    [("bounces", State.BOUNCED, 0.5, 1000, 10), ("complaints", State.COMPLAINED, 0.1, 10_000, 5)],
)
def test_a_resumed_batch_pauses_again_when_it_is_a_step_of_that_kind_worse(
    scene: Scene, bad: str, state: State, stop: float, sent: int, step: int
) -> None:
    # Given a batch of which SES has taken many, that paused itself, and that a person has resumed
    batch = scene.take(101, **{f"stop_{bad}": stop}).id
    for _ in range(2):
        scene.send(50)
        scene.pass_time(1)
    scene.redis.hincrby(scene.keys.batch(batch), "n:arrived", sent - 100)
    ids = iter([each.id for each in scene.batches.recipients(batch) if each.state is State.SENT])
    allowed = round(stop / 100 * sent)

    def more(count: int) -> str:
        for _ in range(count):
            scene.messages._change(next(ids), {State.SENT}, state, "SES said so")
        return scene.batches.get(batch).state

    assert [more(allowed), more(1)] == ["running", "paused"]
    scene.batches.resume(batch)
    # When more come, Then it goes on until the share is a step higher than the person has seen
    assert [more(step - 1), more(1)] == ["running", "paused"]
