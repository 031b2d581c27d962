"""An act on many messages: what it does, to which messages, and its progress. Redis keeps it until it has ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from redis import Redis
from redis.client import Pipeline

from sesq.config.connection import mapped
from sesq.config.errors import InputError, SesqError, WrongState
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
"""What a person may do -> the new state of the messages."""
MOST_UNFINISHED = 20
MOST_EXAMPLES = 3
SILENT_SECONDS = 10.0
"""If no step has ended for this time, no process works on the act: a step takes far less."""


class UnknownAct(SesqError):
    """No act has that id, or it is so old that the audit trail has dropped it."""


@dataclass(frozen=True, slots=True)
class Act:
    """`number`: the most messages that it changes. `at`: it changes only messages in their state since before then (s).

    `cursor`: where the search continues. `passed`: how many that wait for one thing are passed over, since they have
    been released and wait again. `moved`: when the last step ended (s). `page`: the page of messages from which it was
    started. `by`: who began it. `continued_by`: who continued it after an interruption, the last one last.
    `stopped_by`: who has asked to end it. `run`: a new id each time; only the run that has it may go on.
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
    def left(self) -> int:
        """How many more messages it may change."""
        return self.number - self.done - self.refused

    @property
    def told(self) -> str:
        """What it has done, as the audit trail says it."""
        others = f", {self.refused} not" if self.refused else ""
        return f"{self.verb}: {self.done} of {self.number} {self.words}{others}"

    def and_then(self, answers: list[str], cursor: str, now: float) -> Act:
        """Returns the act after a step. Each answer says why a message was not changed; empty: it was changed."""
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
        """Returns the text that Redis keeps."""
        return json.dumps(asdict(self))


def unpacked(packed: str) -> Act:
    """Reads what `Act.packed` has written."""
    told = json.loads(packed)
    lists = {name: tuple(told.get(name, ())) for name in ("reasons", "continued_by")}
    return Act(**{**told, **lists, "query": read_filter(json.dumps(told["query"]))})


def write_filter(query: Query) -> str:
    """Returns a query without its cursor, as text for a form."""
    told = asdict(replace(query, after=""))
    return json.dumps({name: value for name, value in told.items() if value})


def read_filter(text: str) -> Query:
    """Reads what `write_filter` has written. Raises InputError."""
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
    """Says which messages a query means, such as `that are held, to ada`."""
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
        """Lists the acts that have not ended, the oldest first."""
        with mapped():
            found = read_hash(self.redis, self.key)
        return [unpacked(found[id]) for id in sorted(found)]

    def get(self, id: str) -> Act | None:
        """Returns an act; None if it has ended."""
        with mapped():
            packed = self.redis.hget(self.key, id)
        return None if packed is None else unpacked(text(packed))

    def open(self, act: Act) -> Act:
        """Writes down that an act begins. Raises InputError if too many acts have begun and not ended."""
        made = replace(act, id=new_id(), run=new_id())
        with mapped():
            if self.redis.hlen(self.key) >= MOST_UNFINISHED:
                raise InputError(
                    f"{MOST_UNFINISHED} acts have begun and not ended: continue or stop them on the page Activity"
                )
            self.redis.hset(self.key, made.id, made.packed())
        return made

    def save(self, act: Act) -> bool:
        """Writes the progress down. Returns False if the act has to stop, has ended, or was taken over."""

        def write(stored: Act, pipeline: Pipeline) -> Any:
            if stored.stopped_by or stored.run != act.run:
                return None
            return pipeline.hset(self.key, act.id, act.packed())

        return self._while_open(act.id, write)

    def take_over(self, id: str, by: str, now: float) -> Act:
        """Gives an act that was interrupted to one person, in one step. Raises WrongState if somebody works on it."""
        taken: list[Act] = []

        def take(stored: Act, pipeline: Pipeline) -> Any:
            if stored.moved > now - SILENT_SECONDS:
                raise WrongState(f"{stored.actor} works on it")
            people = tuple(name for name in stored.continued_by if name != by)
            taken[:] = [replace(stored, moved=now, continued_by=(*people, by), run=new_id())]
            return pipeline.hset(self.key, id, taken[0].packed())

        if not self._while_open(id, take):
            raise WrongState("it has ended")
        return taken[0]

    def stop(self, id: str, by: str, now: float) -> None:
        """Ends an act: after the current step if a process works on it, otherwise now."""

        def end(stored: Act, pipeline: Pipeline) -> Any:
            stopped = replace(stored, stopped_by=by)
            if stored.moved > now - SILENT_SECONDS:
                return pipeline.hset(self.key, id, stopped.packed())
            return self._end(stopped, now, pipeline)

        self._while_open(id, end)

    def close(self, act: Act, now: float) -> bool:
        """Ends an act, with one entry in the audit trail. Returns False if it has ended, or was taken over."""

        def end(stored: Act, pipeline: Pipeline) -> Any:
            if stored.run != act.run:
                return None
            return self._end(replace(act, stopped_by=stored.stopped_by), now, pipeline)

        return self._while_open(act.id, end)

    def _end(self, act: Act, now: float, pipeline: Pipeline) -> bool:
        pipeline.hdel(self.key, act.id)
        facts: dict[str, Any] = {
            "act": act.id,
            "done": act.done,
            "refused": act.refused,
            "number": act.number,
            "page": act.page,
            "reasons": list(act.reasons),
            **change_in("state", " or ".join(act.query.states), BECOMES[act.verb]),
        }
        self.audit.add_to(pipeline, now, act.people, act.told, **facts)
        return True

    def ended(self, id: str) -> dict[str, Any]:
        """Returns the entry of an act that has ended. Raises UnknownAct."""
        for entry in self.audit.entries(limit=1000):
            if entry.get("act") == id:
                return entry
        raise UnknownAct(f"no act {id}; the audit trail keeps the newest 1000 entries")

    def _while_open(self, id: str, change: Callable[[Act, Pipeline], Any]) -> bool:
        """Changes an act that is open, in a transaction. Returns whether it was changed."""

        def attempt(pipeline: Pipeline) -> bool:
            packed = pipeline.hget(self.key, id)
            pipeline.multi()
            return packed is not None and change(unpacked(text(packed)), pipeline) is not None

        with mapped():
            return bool(self.redis.transaction(attempt, self.key, value_from_callable=True))  # type: ignore[arg-type]
