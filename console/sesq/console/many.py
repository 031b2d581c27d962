"""Acts on all messages that match a filter, in small steps; it can continue after an interruption."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from redis import Redis

from sesq.config.errors import InputError, UnknownMessage, WrongState
from sesq.console.act import BECOMES, SILENT_SECONDS, VERBS, Act, Step
from sesq.console.acts import Acts
from sesq.console.audit import Change, change_in, listed
from sesq.console.web.filters import in_words
from sesq.console.web.search import Found, Query, count, search
from sesq.queue.messages import Messages
from sesq.queue.snapshot import redis_now
from sesq.queue.states import State

STEP = 50
COUNTED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Counted:
    """How many messages were counted so far. `after`: where the count continues; empty if it is complete."""

    number: int = 0
    after: str = ""


NOTHING = Counted()


def require_verb(verb: str) -> frozenset[State]:
    """Returns the states in which a person may do it. Raises InputError."""
    if verb not in VERBS:
        raise InputError(f"there is no {verb!r}; there are {', '.join(VERBS)}")
    return VERBS[verb]


def verbs_for(states: Iterable[State]) -> list[str]:
    """Lists what can be done to messages in some of these states; without states, in any state."""
    asked = frozenset(states)
    resolving = [verb for verb in VERBS if verb.startswith("resolve")]
    return [verb for verb in VERBS if (VERBS[verb] & asked if asked else verb not in resolving)]


def do_to_one(messages: Messages, verb: str, id: str, by: str, only: Iterable[State] = State) -> str:
    """Changes one message if it is in one of these states. Returns why it could not be changed; empty if it was."""
    name, _, outcome = verb.partition(" as ")
    try:
        if name == "resolve":
            messages.resolve(id, outcome, by)
        elif name == "release":
            messages.release(id, by)
        elif getattr(messages, name)(id, by, only) is State.UNKNOWN:
            return "it became unknown: SES may have taken an earlier try"
    except (UnknownMessage, WrongState) as error:
        return str(error)
    return ""


def states_of(messages: Messages, ids: Sequence[str]) -> dict[str, str]:
    """Returns the state of each message, before it is changed, the oldest first; `sent` for a row without a record."""
    records = dict(zip(ids, messages.get_many(ids), strict=True))
    oldest = sorted(records.items(), key=lambda item: item[1].created if item[1] else 0.0)
    return {id: record.state.value if record else State.SENT.value for id, record in oldest}


def told(verb: str, ids: Sequence[str]) -> str:
    """Says what was done to these messages, for the audit trail."""
    return listed(f"{verb}{f' {len(ids)}' if ids[1:] else ''}: ", ids)


def change_of(verb: str, states: Iterable[str]) -> Change:
    """Returns the change of state, for the audit trail."""
    return change_in("state", " or ".join(dict.fromkeys(states)), BECOMES[verb])


def ask(
    redis: Redis,
    account: str,
    verb: str,
    query: Query,
    *,
    at: float | None = None,
    seconds: float = math.inf,
    so_far: Counted = NOTHING,
    clock: Callable[[], float] = time.monotonic,
) -> Act:
    """Returns the act with the number of messages; nothing is changed yet.

    `at`: only messages in their state since before then (s); without it, since before now. If the filter needs the
    messages' records, it counts for about so many seconds, from where an earlier count ended. If it has not counted
    all then, the act is not `complete`, and its cursor is where the count continues. Raises InputError.
    """
    act = asked(verb, query, redis_now(redis) if at is None else at, so_far.number)
    if not act.query.looks_inside:
        return replace(act, number=count(redis, account, act.query, act.at))
    counted = _count(redis, account, act, so_far, clock() + seconds, clock)
    return replace(act, number=counted.number, complete=not counted.after, cursor=counted.after)


def asked(verb: str, query: Query, at: float, number: int, *, complete: bool = True) -> Act:
    """Returns the act that somebody was asked about. Raises InputError."""
    wanted = narrowed(verb, query)
    return Act(verb, wanted, number, at, complete, words=in_words(wanted))


def narrowed(verb: str, query: Query) -> Query:
    """Limits a query to the states in which this can be done. Raises InputError if none is left."""
    can = require_verb(verb)
    if not query.is_filtered:
        raise InputError("give at least one condition: an act is for messages that match a filter")
    states = tuple(state for state in State if state in can and (not query.states or state in query.states))
    if not states:
        raise InputError(
            f"{verb}: is for messages that are {' or '.join(sorted(can))}, not {' or '.join(query.states)}"
        )
    return replace(query, states=states)


def _count(
    redis: Redis, account: str, act: Act, so_far: Counted, until: float, clock: Callable[[], float]
) -> Counted:
    while True:
        query = replace(act.query, after=so_far.after)
        page = search(redis, account, query, COUNTED_AT_ONCE, before=act.at)
        so_far = Counted(so_far.number + len(_of_before(page, act.at)), page.next or "")
        if page.next is None or clock() >= until:
            return so_far


def _of_before(page: Found, at: float) -> list[str]:
    """Returns the ids of those that came into their state before then. A hold has only the time of their queueing."""
    return [record.id for record in page.records if record.since < at]


def require_waited_for(messages: Messages, what: str) -> None:
    """Raises WrongState if nothing waits for it."""
    known = messages.holds()
    if what not in known and what != "restore":  # of that some may still stand in their lanes
        raise WrongState(f"nothing waits for {what!r}; waited for: {', '.join(sorted(known)) or 'nothing'}")


def begin(redis: Redis, account: str, act: Act, by: str) -> Act:
    """Writes down that an act begins, before `run` does it. Raises InputError."""
    if act.complete and act.number < 1 and not act.frees:
        raise InputError(f"{act.verb}: no message matches")
    now = redis_now(redis)
    complete = act.complete and act.number > 0  # the last word about a reason to wait needs no messages
    return Acts(redis, account).open(
        replace(act, complete=complete, by=by, cursor="", at=min(act.at, now), moved=now)
    )


def run(
    redis: Redis,
    account: str,
    act: Act,
    progress: Callable[[int], object] = int,
    *,
    steps: float = math.inf,
) -> Act:
    """Does an act that has begun, to its end or until somebody stops it; with `steps`, at most so many of them.

    After an interruption, finished steps stay finished: `run` continues with the act that
    `Acts.take_over` returns. It ends when another run has taken the act over.
    """
    own = Run(redis, account, act)
    while own.goes_on and steps > 0:
        own.step(progress)
        steps -= 1
    return own.act


class Run:
    """One run of an act. Before it changes a message, it is sure that the act is still its own: an answer of Redis
    counts for half of the time after which another run may take the act over.
    """

    def __init__(
        self, redis: Redis, account: str, act: Act, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.act, self.goes_on = act, True
        self._redis, self._account, self._clock = redis, account, clock
        self._messages = Messages(redis, account)
        self._book(Step())

    def step(self, progress: Callable[[int], object]) -> None:
        """Changes some messages, and counts them."""
        most = int(min(STEP, self.act.left))
        step, is_last = self._free(most) if self.act.frees else self._change(most)
        progress(self.act.tried + len(step.answers))
        self._book(step, is_last=is_last)

    def _change(self, most: int) -> tuple[Step, bool]:
        act = self.act
        page = search(self._redis, self._account, replace(act.query, after=act.cursor), most, before=act.at)
        answers: list[str] = []
        for id in _of_before(page, act.at):
            if not self._is_sure():
                if not self._book(Step(answers)):
                    return Step(), False
                answers = []
            answers.append(do_to_one(self._messages, act.verb, id, act.actor, act.query.states))
        return Step(answers, page.next or ""), page.next is None

    def _free(self, most: int) -> tuple[Step, bool]:
        act = self.act
        if not self._is_sure() and not self._book(Step()):
            return Step(), False
        reason = f"released by {act.actor}"
        freed, passed, is_last = self._messages.free_some(act.query.waiting, reason, most, act.at, act.passed)
        return Step([""] * freed, passed=passed), is_last

    def _is_sure(self) -> bool:
        return self._clock() < self._sure_until

    def _book(self, step: Step, *, is_last: bool = False) -> bool:
        if not self.goes_on:
            return False
        self._sure_until = self._clock() + SILENT_SECONDS / 2
        acts, now = Acts(self._redis, self._account), redis_now(self._redis)
        self.act, self.goes_on = acts.book(self.act, step, now, is_last=is_last)
        return self.goes_on
