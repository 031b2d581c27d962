"""An act on many messages: what it does, to which messages, and its progress."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from sesq.config.errors import InputError, WrongState
from sesq.console.web.filters import read_filter, write_filter
from sesq.console.web.search import Query
from sesq.queue.messages import RESOLUTIONS, RETRYABLE
from sesq.queue.states import WAITING_STATES, State

VERBS: Mapping[str, frozenset[State]] = {
    "cancel": WAITING_STATES,
    "retry": RETRYABLE,
    "release": frozenset({State.HELD}),
    **{f"resolve as {outcome}": frozenset({State.UNKNOWN}) for outcome in RESOLUTIONS},
}
"""What a person may do -> the states in which it can be done."""
BECOMES = {"cancel": "cancelled", "retry": "queued", "release": "queued"} | {
    f"resolve as {outcome}": outcome for outcome in RESOLUTIONS
}
"""What a person may do -> the new state of the messages."""
MOST_EXAMPLES = 3
MOST_NUMBER = 10**9
"""No Redis holds so many messages."""
SILENT_SECONDS = 10.0
"""If no step has begun or ended for this time, no process works on the act: it asks more often whether it may go on."""


class DamagedAct(WrongState):
    """The record of an act in Redis is damaged, or of another version."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a step has done. `answers`: why each message was not changed; empty: it was changed.

    `cursor`: where the search continues. `passed`: see `Act`.
    """

    answers: Sequence[str] = ()
    cursor: str = ""
    passed: int = 0


@dataclass(frozen=True, slots=True)
class Act:
    """`number`: how many messages it changes, at most; if it is not `complete`, at least so many match, and the act
    changes all. `at`: it changes only messages in their state since before then (s).

    `cursor`: where the search continues. `passed`: how many that wait for one thing are passed over, since they have
    been released and wait again. `moved`: when a step last began or ended (s). `page`: the page from which it was
    started. `by`: who began it. `continued_by`: who continued it after an interruption, the last one last.
    `stopped_by`: who has asked to end it. `run`: a new id each time; only the run that has it may go on.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    verb: str
    query: Annotated[Query, BeforeValidator(read_filter)]
    number: Annotated[int, Field(le=MOST_NUMBER)]
    at: float
    complete: bool = True
    by: str = ""
    words: str = ""
    id: str = ""
    done: int = 0
    refused: int = 0
    reasons: tuple[str, ...] = ()
    cursor: str = ""
    passed: int = 0
    moved: float = 0.0
    stopped_by: str = ""
    page: str = "messages"
    continued_by: tuple[str, ...] = ()
    run: str = ""

    @property
    def actor(self) -> str:
        """Who does it now."""
        return self.continued_by[-1] if self.continued_by else self.by

    @property
    def people(self) -> str:
        """Who began it, who continued it, and who stopped it if that was somebody else."""
        people = ", continued by ".join((self.by, *self.continued_by))
        return people if self.stopped_by in ("", self.actor) else f"{people}, stopped by {self.stopped_by}"

    @property
    def tried(self) -> int:
        """How many messages it has changed, or could not change."""
        return self.done + self.refused

    @property
    def left(self) -> float:
        """How many more messages it may change."""
        return self.number - self.tried if self.complete else math.inf

    @property
    def frees(self) -> bool:
        """Whether it ends one reason to wait, with all that waits for it."""
        return self.verb == "release" and bool(self.query.waiting) and not self.query.looks_inside

    @property
    def counted(self) -> str:
        """How many messages match, in words."""
        return f"{self.number}" if self.complete else f"at least {self.number}"

    @property
    def told(self) -> str:
        """What it has done, as the audit trail says it."""
        others = f", {self.refused} not" if self.refused else ""
        return f"{self.verb}: {self.done} of {self.counted} {self.words}{others}"

    def is_silent(self, now: float) -> bool:
        """Whether no process works on it."""
        return not now - SILENT_SECONDS < self.moved < now + SILENT_SECONDS

    def and_then(self, step: Step, now: float) -> Act:
        """Returns the act after a step of its own run."""
        problems = [answer for answer in step.answers if answer]
        act = replace(
            self,
            done=self.done + len(step.answers) - len(problems),
            refused=self.refused + len(problems),
            reasons=tuple(dict.fromkeys([*self.reasons, *problems]))[:MOST_EXAMPLES],
            cursor=step.cursor or self.cursor,
            passed=max(step.passed, self.passed),
            moved=now,
        )
        return act if act.complete else replace(act, number=max(act.number, act.tried))

    def and_late(self, step: Step) -> Act:
        """Returns the act after a step of a run from which it was taken over: what that has changed counts too."""
        return replace(self, done=self.done + sum(not answer for answer in step.answers))

    def at_end(self) -> Act:
        """Returns the act after its last message: now the number is known."""
        return self if self.complete else replace(self, complete=True, number=self.tried)

    def packed(self) -> str:
        """Returns the text that Redis keeps."""
        return json.dumps({**asdict(self), "query": write_filter(self.query)})


_STORED = TypeAdapter(Act)


def read_act(id: str, packed: str) -> Act:
    """Reads what `Act.packed` has written. Raises DamagedAct."""
    try:
        act = _STORED.validate_json(packed)
    except (ValidationError, InputError) as error:
        raise DamagedAct(_damage(id)) from error
    if act.verb not in VERBS or act.id != id:
        raise DamagedAct(_damage(id))
    return act


def _damage(id: str) -> str:
    return (
        f"the record of act {id} is damaged in Redis, or of another version: remove it on the page Activity"
    )
