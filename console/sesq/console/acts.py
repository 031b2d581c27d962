"""The acts on many messages that have not ended. Redis keeps each until it ends; then the audit trail has it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError
from redis import Redis
from redis.client import Pipeline

from sesq.config.connection import mapped
from sesq.config.errors import InputError, SesqError, WrongState
from sesq.console.act import BECOMES, Act, DamagedAct, Step, read_act
from sesq.console.audit import MOST_ENTRIES, Audit, change_in
from sesq.queue.ids import new_id
from sesq.queue.keys import Keys
from sesq.queue.replies import read_hash, text

MOST_UNFINISHED = 20


class UnknownAct(SesqError):
    """No act has that id, or it is so old that the audit trail has dropped it."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The acts that have not ended, the oldest first, and the ids of those whose record is damaged."""

    acts: list[Act]
    damaged: list[str]


@dataclass(frozen=True, slots=True)
class EndedAct:
    """The entry of an act in the audit trail."""

    act: str
    at: float
    by: str
    what: str
    number: int
    complete: bool
    done: int
    refused: int
    reasons: list[str]
    page: str


_ENDED = TypeAdapter(EndedAct)


class Acts:
    """The acts of one account that have not ended. Raises QueueUnavailable when Redis cannot be reached, and
    DamagedAct for an act whose record is damaged.
    """

    def __init__(self, redis: Redis, account: str) -> None:
        self.redis = redis
        self.key = Keys(account).acts
        self.audit = Audit(redis, account)

    def all(self, now: float) -> Unfinished:
        """Lists the acts. One that somebody has stopped, and whose process is gone, ends."""
        with mapped():
            found = read_hash(self.redis, self.key)
        read = {id: _readable(id, found[id]) for id in sorted(found)}
        seen = (self._seen(act, now) for act in read.values() if act)
        return Unfinished([act for act in seen if act], [id for id, act in read.items() if act is None])

    def get(self, id: str, now: float) -> Act | None:
        """Returns an act; None if it has ended. If somebody has stopped it, and its process is gone, it ends."""
        with mapped():
            packed = self.redis.hget(self.key, id)
        return None if packed is None else self._seen(read_act(id, text(packed)), now)

    def _seen(self, act: Act, now: float) -> Act | None:
        if not act.stopped_by or not act.is_silent(now):
            return act
        self.stop(act.id, act.stopped_by, now)
        return None

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

    def book(self, act: Act, step: Step, now: float, *, is_last: bool = False) -> tuple[Act, bool]:
        """Counts what a step has done, and begins the next one. Returns the act, and whether its run may go on: not if
        it was stopped, has ended, or was taken over. In the last two cases the act that is returned has another `run`.
        """
        booked, goes_on = replace(act.and_then(step, now), run=""), False

        def count(stored: Act, pipeline: Pipeline) -> Any:
            nonlocal booked, goes_on
            if stored.run != act.run:
                booked = stored.and_late(step)
                return pipeline.hset(self.key, act.id, booked.packed())
            booked = stored.and_then(step, now)
            if is_last:
                booked = booked.at_end()
            goes_on = not (is_last or booked.stopped_by or booked.left <= 0)
            return (
                pipeline.hset(self.key, act.id, booked.packed())
                if goes_on
                else self._end(booked, now, pipeline)
            )

        self._while_open(act.id, count)
        return booked, goes_on

    def take_over(self, id: str, by: str, now: float) -> Act:
        """Gives an act that was interrupted to one person, in one step. Raises WrongState if somebody works on it."""
        taken: list[Act] = []

        def take(stored: Act, pipeline: Pipeline) -> Any:
            if not stored.is_silent(now):
                raise WrongState(f"{stored.actor} works on it")
            people = tuple(name for name in stored.continued_by if name != by)
            taken[:] = [replace(stored, moved=now, continued_by=(*people, by), run=new_id())]
            return pipeline.hset(self.key, id, taken[0].packed())

        if self.get(id, now) is None or not self._while_open(id, take):
            raise WrongState("it has ended")
        return taken[0]

    def stop(self, id: str, by: str, now: float) -> bool:
        """Ends an act: after the current step if a process works on it, otherwise now. Returns False if its record was
        damaged: then it is removed. Raises WrongState if there is no such act any more.
        """

        def end(stored: Act, pipeline: Pipeline) -> Any:
            stopped = replace(stored, stopped_by=by)
            if stored.is_silent(now):
                return self._end(stopped, now, pipeline)
            return pipeline.hset(self.key, id, stopped.packed())

        try:
            if not self._while_open(id, end):
                raise WrongState("it has ended")
        except DamagedAct:
            self._remove(id, by, now)
            return False
        return True

    def _remove(self, id: str, by: str, now: float) -> None:
        with mapped(), self.redis.pipeline() as pipeline:
            pipeline.hdel(self.key, id)
            self.audit.add_to(pipeline, now, by, f"remove act {id}, whose record was damaged")
            pipeline.execute()

    def _end(self, act: Act, now: float, pipeline: Pipeline) -> bool:
        pipeline.hdel(self.key, act.id)
        facts: dict[str, Any] = {
            "act": act.id,
            "done": act.done,
            "refused": act.refused,
            "number": act.number,
            "complete": act.complete,
            "page": act.page,
            "reasons": list(act.reasons),
            **change_in("state", " or ".join(act.query.states), BECOMES[act.verb]),
        }
        self.audit.add_to(pipeline, now, act.people, act.told, **facts)
        return True

    def ended(self, id: str) -> EndedAct:
        """Returns the entry of an act that has ended. Raises UnknownAct."""
        for entry in self.audit.entries(MOST_ENTRIES):
            with suppress(ValidationError):
                if entry.get("act") == id:
                    return _ENDED.validate_python(entry)
        raise UnknownAct(f"no act {id}; the audit trail keeps the newest {MOST_ENTRIES} entries")

    def _while_open(self, id: str, change: Callable[[Act, Pipeline], Any]) -> bool:
        """Changes an act that is open, in a transaction. Returns whether it was changed."""

        def attempt(pipeline: Pipeline) -> bool:
            packed = pipeline.hget(self.key, id)
            pipeline.multi()
            return packed is not None and change(read_act(id, text(packed)), pipeline) is not None

        with mapped():
            return bool(self.redis.transaction(attempt, self.key, value_from_callable=True))  # type: ignore[arg-type]


def _readable(id: str, packed: str) -> Act | None:
    try:
        return read_act(id, packed)
    except DamagedAct:
        return None
