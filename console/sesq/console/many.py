"""Acts on all messages that match a filter, in small steps; it can continue after an interruption."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import InputError, UnknownMessage, WrongState
from sesq.console.act import BECOMES, VERBS, Act, Acts, in_words
from sesq.console.audit import Change, change_in
from sesq.console.web.search import Query, search
from sesq.queue.keys import Keys
from sesq.queue.messages import Messages
from sesq.queue.snapshot import redis_now
from sesq.queue.states import State

STEP = 50
MOST_COUNTED = 30_000
"""The most messages that are looked at for one question, if the filter needs the messages' records."""


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


def do_to_one(messages: Messages, verb: str, id: str, by: str) -> str:
    """Changes one message. Returns why it could not be changed; empty if it was."""
    name, _, outcome = verb.partition(" as ")
    try:
        if name == "resolve":
            messages.resolve(id, outcome, by)
        elif getattr(messages, name)(id, by) is State.UNKNOWN:
            return "it became unknown: SES may have taken an earlier try"
    except (UnknownMessage, WrongState) as error:
        return str(error)
    return ""


def states_of(messages: Messages, ids: Sequence[str]) -> dict[str, str]:
    """Returns the state of each message, before it is changed; `sent` for a row without a record."""
    records = messages.get_many(ids)
    return {
        id: record.state.value if record else State.SENT.value
        for id, record in zip(ids, records, strict=True)
    }


def told(verb: str, ids: Sequence[str]) -> str:
    """Says what was done to these messages, for the audit trail."""
    return f"{verb}{f' {len(ids)}' if ids[1:] else ''}: {', '.join(ids)}"


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
    most: float = MOST_COUNTED,
) -> Act:
    """Returns the act with the number of messages; nothing is changed yet.

    `at`: only messages in their state since before then (s); without it, since before now. If the filter needs the
    messages' records, it counts among the newest `most`. Raises InputError.
    """
    wanted = narrowed(verb, query)
    at = redis_now(redis) if at is None else at
    return Act(verb, wanted, _count(redis, account, wanted, at, most), at, words=in_words(wanted))


def narrowed(verb: str, query: Query) -> Query:
    """Limits a query to the states in which this can be done. Raises InputError if none is left."""
    can = require_verb(verb)
    states = tuple(state for state in State if state in can and (not query.states or state in query.states))
    if not states:
        raise InputError(
            f"{verb}: is for messages that are {' or '.join(sorted(can))}, not {' or '.join(query.states)}"
        )
    return replace(query, states=states)


def _count(redis: Redis, account: str, query: Query, at: float, most: float) -> int:
    if query.looks_inside:
        return _count_inside(redis, account, query, at, most)
    keys = Keys(account)
    lists = [keys.hold(query.waiting)] if query.waiting else [keys.state(state) for state in query.states]
    with mapped():
        pipeline = redis.pipeline(transaction=False)
        for key in lists:
            pipeline.zcount(key, "-inf", f"({at!r}")
        return sum(pipeline.execute())


def _count_inside(redis: Redis, account: str, query: Query, at: float, most: float) -> int:
    number, looked, cursor = 0, 0, f"{at!r}:"
    while looked < most:
        page = search(redis, account, replace(query, after=cursor), 500)
        number, looked = number + len(page.records), looked + page.looked
        if page.next is None:
            break
        cursor = page.next
    return number


def begin(redis: Redis, account: str, act: Act, by: str) -> Act:
    """Writes down that an act begins, before `run` does it. Raises InputError."""
    if act.number < 1:
        raise InputError(f"{act.verb}: no message matches")
    return Acts(redis, account).open(replace(act, by=by, cursor=f"{act.at!r}:", moved=redis_now(redis)))


def run(
    redis: Redis,
    account: str,
    act: Act,
    progress: Callable[[int], object] = int,
    *,
    most: int | None = None,
) -> Act:
    """Does an act that has begun, to its end or until somebody stops it; with `most`, for about so many messages.

    After an interruption, finished steps stay finished: `run` continues with the act that
    `Acts.take_over` returns. It ends when another run has taken the act over.
    """
    acts, start = Acts(redis, account), act.done + act.refused
    while True:
        act, is_over = _step(redis, account, act)
        progress(act.done + act.refused)
        if is_over or not acts.save(act):
            acts.close(act, act.moved)
            return act
        if most is not None and act.done + act.refused - start >= most:
            return act


def _step(redis: Redis, account: str, act: Act) -> tuple[Act, bool]:
    messages, most = Messages(redis, account), min(STEP, act.left)
    if act.verb == "release" and act.query.waiting and not act.query.looks_inside:
        reason = f"released by {act.actor}"
        freed, passed, is_over = messages.free_some(act.query.waiting, reason, most, act.at, act.passed)
        act = replace(act, passed=passed).and_then([""] * freed, act.cursor, redis_now(redis))
        return act, is_over or not act.left
    page = search(redis, account, replace(act.query, after=act.cursor), most)
    answers = [do_to_one(messages, act.verb, record.id, act.actor) for record in page.records]
    act = act.and_then(answers, page.next or act.cursor, redis_now(redis))
    return act, page.next is None or not act.left
