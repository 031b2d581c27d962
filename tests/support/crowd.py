"""Many messages in one state, the acts on them, and what is told of these."""

from __future__ import annotations

from typing import Any

from sesq.console.act import Act
from sesq.console.acts import Acts
from sesq.console.audit import Audit
from sesq.queue.results import SendResult
from sesq.queue.states import State
from stage import Stage

BOB = "recipient:bob@example.org"
HELD: dict[str, Any] = {"hold": BOB, "held_because": "recipient bob@example.org is not verified"}


def settle(stage: Stage, count: int, state: State, **result: Any) -> list[str]:
    """So many more messages that ended so; a second later."""
    ids = [stage.queue("bob@example.org") for _ in range(count)]
    for _ in ids[::10]:
        stage.pass_time(1)
        _, started = stage.claim(10)
        stage.gate.settle([SendResult(each.grant, state, **result) for each in started])
    stage.pass_time(1)
    return ids


def counts(stage: Stage) -> dict[State, int]:
    """How many are in each state that has some."""
    return {state: n for state, n in stage.messages.counts().items() if n}


def unfinished(stage: Stage) -> list[Act]:
    """The acts that have not ended."""
    return Acts(stage.redis, "default").all(stage.now).acts


def trail(stage: Stage) -> list[str]:
    """What the audit trail tells, the newest first."""
    return [entry["what"] for entry in Audit(stage.redis, "default").entries()]
