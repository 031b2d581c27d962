"""A record that has lost its field `queue`: whatever comes to it, it ends as it should, and stops no other mail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

import pytest
from redis import Redis

from sesq.queue.batches import CANCEL_ALL
from sesq.queue.states import Lane, State
from stage import Stage, sent
from told_by_ses import tell


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(redis)


def lose_queue(stage: Stage, id: str) -> None:
    assert stage.redis.hdel(stage.keys.message(id), "queue") == 1


def tell_of_delivery(stage: Stage, id: str) -> None:
    tell(stage.redis, id, "delivered", reason="r")


def cancel(stage: Stage, id: str) -> None:
    CANCEL_ALL.run(stage.redis, "default", "a wrong link", "held,queued", id)


def let_it_expire(stage: Stage, id: str) -> None:
    stage.pass_time(100)
    stage.gate.promote()


ENDS: dict[str, tuple[Callable[[Stage, str], object], State]] = {
    "expired": (let_it_expire, State.EXPIRED),
    "delivered by an event": (tell_of_delivery, State.DELIVERED),
    "cancelled": (cancel, State.CANCELLED),
}


@pytest.mark.parametrize("lane", list(Lane))
@pytest.mark.parametrize("end", ENDS)
def test_a_queued_message_without_queue_ends(stage: Stage, end: str, lane: Lane) -> None:
    # Given a message in the middle of its lane, whose record has lost the name of that
    expires_at = datetime.fromtimestamp(stage.now + 100, timezone.utc)
    first = stage.queue(lane=lane)
    id = stage.queue(lane=lane, expires_at=expires_at)
    last = stage.queue(lane=lane)
    lose_queue(stage, id)
    # When it ends
    act, state = ENDS[end]
    act(stage, id)
    # Then it has come to its state, in one set of its state, and is not sent; the others are
    assert stage.redis.hget(stage.keys.message(id), "state") == state.value.encode()
    assert stage.redis.zscore(stage.keys.state(state), id) is not None
    assert stage.redis.zscore(stage.keys.state(State.QUEUED), id) is None
    assert stage.redis.zscore(stage.keys.expiring, id) is None
    for _ in range(2):
        stage.work()
        stage.pass_time(1)
    assert [out.id for out in stage.transport.sent] == [first, last]


def test_a_late_answer_of_a_message_without_queue_counts(stage: Stage) -> None:
    # Given a message that was judged and queued again
    id = stage.queue()
    stage.queue()
    claim, _ = stage.claim(1)
    stage.pass_time(31)
    assert stage.reap("resend") == {id: State.QUEUED}
    stage.queue(lane=Lane.TRANSACTIONAL)
    lose_queue(stage, id)
    # When its worker was not dead after all
    assert stage.gate.settle([sent(claim.grants[0])]) == [State.SENT]
    # Then it is sent, and not once more
    assert stage.redis.hget(stage.keys.message(id), "state") == b"sent"
    stage.work()
    assert id not in [out.id for out in stage.transport.sent]
