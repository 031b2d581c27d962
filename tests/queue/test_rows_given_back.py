"""Rows of a chunk that come back unused go again, each once and in their order, whatever gaps are between them."""

from __future__ import annotations

import pytest
from redis import Redis

from batch_stage import BatchStage
from sesq.queue.results import put_back

COUNTED, OTHERS = 4, 6
"""Rows that count towards the day, which stand first in a chunk, and rows to the mailbox simulator."""


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    stage = BatchStage(redis)
    stage.pass_time(10)
    return stage


def taken(stage: BatchStage) -> str:
    """A batch of one chunk."""
    rows = [{"email": f"p{n}@example.org", "name": "P"} for n in range(COUNTED)]
    rows += [{"email": f"success+{n}@simulator.amazonses.com", "name": "S"} for n in range(OTHERS)]
    return stage.take(len(rows), rows=rows).id


@pytest.mark.parametrize("want", [1, 2, 50])
@pytest.mark.parametrize(
    "back",
    [
        (2, 3, 4, 5, 8),
        (0, 1, 2, 3, 4, 6, 8, 9),
        (0, 2, 4, 6, 8),
        (3, 4),
        (0, 9),
        tuple(range(COUNTED + OTHERS)),
    ],
)
def test_each_goes_again_in_its_order(stage: BatchStage, back: tuple[int, ...], want: int) -> None:
    # Given rows of a chunk that a worker gives back, the last of them first
    batch = taken(stage)
    grants = stage.ask(want=50).grants
    assert [grant.id for grant in grants] == [f"{batch}-0-{row}" for row in range(COUNTED + OTHERS)]
    stage.gate.settle([put_back(grants[row], "not in turn") for row in reversed(back)])
    # When workers ask again, Then they are granted those rows, in their order
    again: list[str] = []
    while granted := stage.ask(want=want).grants:
        again += [grant.id for grant in granted]
        stage.pass_time(1)
    assert again == [f"{batch}-0-{row}" for row in back]
    # And those of the day that count are counted once
    assert stage.gate.usage().total == COUNTED
    assert stage.counts(batch) == {"sending": COUNTED + OTHERS}
