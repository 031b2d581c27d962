"""An act on many messages: what is done to which of them, and how far it is. Redis keeps it until it has ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from redis import Redis
from redis.client import Pipeline

from sesq.config.connection import mapped
from sesq.config.errors import InputError, SesqError
from sesq.console.audit import Audit, change_in
from sesq.console.web.search import Query, parameters
from sesq.queue.ids import new_id
from sesq.queue.keys import Keys
from sesq.queue.messages import RESOLUTIONS, RETRYABLE
from sesq.queue.replies import read_hash, text
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
"""What a person may do -> the state that the messages come to."""
MOST_UNFINISHED = 20
MOST_EXAMPLES = 3
SILENT_SECONDS = 10.0
"""An act is worked on as long as it moves: its steps take far less than that."""


class UnknownAct(SesqError):
    """No act has that id, or it is so old that the audit trail has dropped it."""


@dataclass(frozen=True, slots=True)
class Act:
    """`number`: at most so many messages. `at`: only those that have been where they are since before that (s).

    `cursor`: where the search goes on. `moved`: when the last step ended (s). `stopped`: somebody has
    asked for its end. `page`: the page of messages where it was asked for.
    """

    verb: str
    query: Query
    number: int
    at: float
    by: str = ""
    words: str = ""
    id: str = ""
    done: int = 0
    refused: int = 0
    reasons: tuple[str, ...] = ()
    cursor: str = ""
    moved: float = 0.0
    stopped: bool = False
    page: str = "messages"

    @property
    def left(self) -> int:
        """So many more it may be done to."""
        return self.number - self.done - self.refused

    @property
    def told(self) -> str:
        """What it has done, as the audit trail has it."""
        others = f", {self.refused} not" if self.refused else ""
        return f"{self.verb}: {self.done} of {self.number} {self.words}{others}"

    def and_then(self, answers: list[str], cursor: str, now: float) -> Act:
        """The act a step later: of each message why nothing could be done, empty where it was."""
        problems = [answer for answer in answers if answer]
        return replace(
            self,
            done=self.done + len(answers) - len(problems),
            refused=self.refused + len(problems),
            reasons=tuple(dict.fromkeys([*self.reasons, *problems]))[:MOST_EXAMPLES],
            cursor=cursor,
            moved=now,
        )

    def packed(self) -> str:
        """As Redis keeps it."""
        return json.dumps(asdict(self))


def unpacked(packed: str) -> Act:
    """What `Act.packed` has written."""
    told = json.loads(packed)
    return Act(**{**told, "query": read_filter(json.dumps(told["query"])), "reasons": tuple(told["reasons"])})


def write_filter(query: Query) -> str:
    """A query without its page, as a form carries it."""
    told = asdict(replace(query, after=""))
    return json.dumps({name: value for name, value in told.items() if value})


def read_filter(text: str) -> Query:
    """What `write_filter` has written. Raises InputError."""
    known = {each.name: each.default for each in fields(Query) if each.name != "states"}
    try:
        told = dict(json.loads(text).items())
        states = tuple(map(State, told.pop("states", ())))
        is_good = all(
            type(value) is type(known[name]) or (known[name] is None and isinstance(value, (int, float)))
            for name, value in told.items()
        )
    except (ValueError, TypeError, AttributeError, KeyError):
        is_good = False
    if not is_good or not all(state.is_known for state in states):
        raise InputError("which: that is no filter; choose one on the page of messages")
    return Query(states=states, **told)


def in_words(query: Query) -> str:
    """Which messages a query means: `that are held, to ada`."""
    told = {"that are": " or ".join(query.states), **parameters(query)}
    return ", ".join(
        f"{name.replace('waiting', 'waiting for').replace('_', ' ')} {value}"
        for name, value in told.items()
        if value and name != "state"
    )


class Acts:
    """The acts of one account that have not ended. Raises QueueUnavailable when Redis cannot be reached."""

    def __init__(self, redis: Redis, account: str) -> None:
        self.redis = redis
        self.key = Keys(account).acts
        self.audit = Audit(redis, account)

    def all(self) -> list[Act]:
        """Those that have not ended, the oldest first."""
        with mapped():
            found = read_hash(self.redis, self.key)
        return [unpacked(found[id]) for id in sorted(found)]

    def get(self, id: str) -> Act | None:
        """None for one that has ended."""
        with mapped():
            packed = self.redis.hget(self.key, id)
        return None if packed is None else unpacked(text(packed))

    def open(self, act: Act) -> Act:
        """Writes down that it begins. Raises InputError where too many have begun and not ended."""
        made = replace(act, id=new_id(), moved=act.moved)
        with mapped():
            if self.redis.hlen(self.key) >= MOST_UNFINISHED:
                raise InputError(
                    f"{MOST_UNFINISHED} acts have begun and not ended: continue or stop them on the page Activity"
                )
            self.redis.hset(self.key, made.id, made.packed())
        return made

    def save(self, act: Act) -> bool:
        """Writes down how far it is. False where it is to stop, or has ended."""
        return self._while_open(
            act.id,
            lambda stored, pipeline: (
                None if stored.stopped else pipeline.hset(self.key, act.id, act.packed())
            ),
        )

    def stop(self, id: str, now: float) -> None:
        """Ends it: whoever works on it ends it after this step, else it ends now."""
        act = self.get(id)
        if act and act.moved > now - SILENT_SECONDS:
            self.save(replace(act, stopped=True))
        elif act:
            self.close(act, now)

    def close(self, act: Act, now: float) -> bool:
        """Ends it, with one entry in the audit trail. False where somebody else has."""

        def end(_stored: Act, pipeline: Pipeline) -> bool:
            pipeline.hdel(self.key, act.id)
            facts: dict[str, Any] = {
                "act": act.id,
                "done": act.done,
                "number": act.number,
                "page": act.page,
                "reasons": list(act.reasons),
                **change_in("state", " or ".join(act.query.states), BECOMES[act.verb]),
            }
            self.audit.add_to(pipeline, now, act.by, act.told, **facts)
            return True

        return self._while_open(act.id, end)

    def ended(self, id: str) -> dict[str, Any]:
        """The entry of one that has ended. Raises UnknownAct."""
        for entry in self.audit.entries(limit=1000):
            if entry.get("act") == id:
                return entry
        raise UnknownAct(f"no act {id}; the audit trail keeps the newest 1000 entries")

    def _while_open(self, id: str, change: Callable[[Act, Pipeline], Any]) -> bool:
        """Whether it is open and was changed: nobody else changes it meanwhile."""

        def attempt(pipeline: Pipeline) -> bool:
            packed = pipeline.hget(self.key, id)
            pipeline.multi()
            return packed is not None and change(unpacked(text(packed)), pipeline) is not None

        with mapped():
            return bool(self.redis.transaction(attempt, self.key, value_from_callable=True))  # type: ignore[arg-type]
