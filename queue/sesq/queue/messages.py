"""Reads, lists and counts the messages of one account, and does what a person asks for with one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, cast

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import InvalidMessage, UnknownMessage, WrongState
from sesq.queue.batches import FREE, FREE_AT_ONCE, Batches
from sesq.queue.keys import ACCOUNTS, Keys
from sesq.queue.record import Record, read_record, record_of_recipient
from sesq.queue.replies import read_hash, read_hashes, text, texts
from sesq.queue.scripts import MESSAGES, compose
from sesq.queue.snapshot import redis_now
from sesq.queue.states import SENT_STATES, WAITING_STATES, Lane, State

CHANGE = compose("change.lua", MESSAGES)
PRUNE = compose("prune.lua", MESSAGES)

RETRYABLE = frozenset(
    {State.FAILED, State.REFUSED, State.EXPIRED, State.CANCELLED, State.RETRYING, State.SUPPRESSED}
)
PRUNE_AT_ONCE = 100
PRUNE_ROUNDS = 100
LISTED_AT_ONCE, MOST_PASSED_OVER = 200, 20_000
"""How many ids of a list are read in one round trip, and how many expired records it skips."""
RESOLUTIONS = {"sent": State.SENT, "queued": State.QUEUED, "failed": State.FAILED}


def accounts(redis: Redis) -> list[str]:
    """Returns the names of all accounts that this Redis knows."""
    with mapped():
        return sorted(texts(redis.smembers(ACCOUNTS)))


class Messages:
    """Reads and changes the messages of one account. Every method raises QueueUnavailable."""

    def __init__(self, redis: Redis, account: str = "default") -> None:
        self.redis = redis
        self.keys = Keys(account)
        self._batches = Batches(redis, account)

    def get(self, id: str) -> Record:
        """Returns the record of one message. Raises UnknownMessage."""
        with mapped():
            fields = read_hash(self.redis, self.keys.message(id))
        if "packed" in fields:  # a row on its way: its batch knows it
            fields = {}
        recipient = None if fields else self._batches.find(id)
        if recipient is not None:
            return record_of_recipient(recipient, self._batches.get(id.partition("-")[0]))
        if not fields:
            raise UnknownMessage(
                f"no message {id} in account {self.keys.account}; records are kept for `keep_days`"
            )
        return read_record(id, self.keys.account, fields)

    def get_many(self, ids: Iterable[str]) -> Sequence[Record | None]:
        """Returns the records of these messages in one round trip; None for one that is gone.

        If one cannot be read, its reason says so: it does not hide the others.
        """
        wanted = list(ids)
        with mapped():
            rows = read_hashes(self.redis, map(self.keys.message, wanted))
        return [
            read_record(id, self.keys.account, fields) if fields else None
            for id, fields in zip(wanted, rows, strict=True)
        ]

    def counts(self) -> dict[State, int]:
        """Counts the messages in each state. Every state is a key."""
        with mapped():
            pipeline = self.redis.pipeline(transaction=False)
            for state in State:
                pipeline.zcard(self.keys.state(state))
            return dict(zip(State, pipeline.execute(), strict=True))

    def list(self, states: Iterable[State] = tuple(State), *, limit: int = 50) -> list[Record]:
        """Lists the newest messages in any of the states, newest first; at most `limit`."""
        with mapped():
            found = [place for state in states for place in self._newest(state, limit)]
        records = self.get_many(id for _, id in sorted(found, reverse=True)[:limit])
        return [record for record in records if record is not None]

    def _newest(self, state: State, limit: int) -> Sequence[tuple[float, str]]:
        """Returns the newest messages with a record, with the times of their states. Skips expired ones."""
        found: list[tuple[float, str]] = []
        size = max(limit, LISTED_AT_ONCE)
        for start in range(0, size + MOST_PASSED_OVER, size):
            newest = self.redis.zrevrange(self.keys.state(state), start, start + size - 1, withscores=True)
            page = [(float(score), text(id)) for id, score in cast("list[tuple[bytes, float]]", newest)]
            pipeline = self.redis.pipeline(transaction=False)
            for _, id in page:
                pipeline.exists(self.keys.message(id))
            found += [place for place, there in zip(page, pipeline.execute(), strict=True) if there]
            if len(found) >= limit or len(page) < size:
                break
        return found[:limit]

    def cancel(self, id: str, by: str, only: Iterable[State] = State) -> State:
        """Cancels a message that is not being sent yet. Raises WrongState for one that is being sent, or was sent.

        `only`: the states of which it must be in one. Returns its new state. That is `unknown` if SES may have taken it
        at an earlier attempt.
        """
        return self._change(
            id,
            (WAITING_STATES | {State.UNKNOWN}).intersection(only),
            State.CANCELLED,
            f"cancelled by {by}",
            drop_content=True,
        )

    def release(self, id: str, by: str) -> State:
        """Queues a held message again, whatever it waited for. Ends a block of its sender or configuration set."""
        checked = {"checked": redis_now(self.redis)}
        return self._change(id, {State.HELD}, State.QUEUED, f"released by {by}", fields=checked, unblock=True)

    def retry(self, id: str, by: str, only: Iterable[State] = State) -> State:
        """Queues a failed, refused, suppressed, expired, cancelled or retrying message again, with no attempts counted.

        `only`: the states of which it must be in one. Unless it is retrying, an `expires_at` that has passed is
        removed.
        """
        self._needs_content(id)
        was = self.get(id)
        now = redis_now(self.redis)
        fields: dict[str, Any] = {"attempts": 0, "checked": now}
        late = was.expires_at is not None and was.expires_at <= now
        if late and was.state is not State.RETRYING:
            fields["expires_at"] = ""
        allowed = RETRYABLE.intersection(only)
        state = self._change(id, allowed, State.QUEUED, f"queued again by {by}", fields=fields)
        if was.expires_at is not None and not late:
            with mapped():
                self.redis.zadd(self.keys.expiring, {id: was.expires_at})
        return state

    def resolve(self, id: str, to: str, by: str) -> None:
        """Settles an unknown message: it was `sent`, is to be `queued` again, or counts as `failed`."""
        state = RESOLUTIONS[to]
        self._change(
            id,
            {State.UNKNOWN},
            state,
            f"resolved as {to} by {by}",
            fields={"unsure": "", "checked": redis_now(self.redis)},
            drop_content=state in SENT_STATES,
        )

    def reschedule(self, id: str, due: float, by: str) -> None:
        """Moves a waiting message to a later time `due` (seconds since the epoch).

        Raises InvalidMessage if it would expire first.
        """
        was = self.get(id)
        if was.state in WAITING_STATES and was.expires_at is not None and due >= was.expires_at:
            raise InvalidMessage(
                "send_at", f"is not before expires_at of message {id}: it would expire first"
            )
        fields = {"send_at": due}
        self._change(id, WAITING_STATES, State.SCHEDULED, f"rescheduled by {by}", due=due, fields=fields)

    def holds(self) -> dict[str, str]:
        """Returns the holds, and why messages wait for each, in words: `{"recipient:bob@x.org": "…"}`."""
        with mapped():
            return read_hash(self.redis, self.keys.holds)

    def waiting_for(self, what: str) -> int:
        """Returns how many messages wait for it."""
        with mapped():
            return int(self.redis.zcard(self.keys.hold(what)))

    def free(self, what: str, reason: str) -> int:
        """Puts the messages that waited for `what` back into their lanes, oldest first. Returns how many."""
        freed, count = 0, FREE_AT_ONCE
        while count == FREE_AT_ONCE:
            count, _, _ = self._free(what, reason, FREE_AT_ONCE)
            freed += count
        return freed

    def free_some(
        self, what: str, reason: str, most: int, before: float, passed: int = 0
    ) -> tuple[int, int, bool]:
        """Frees the oldest messages that wait since before a time (s), at most FREE_AT_ONCE.

        Returns how many it freed, `passed` for the next step, and whether this was the last step. `passed`: how many of
        the oldest messages wait since a later time. Such a message was freed and has to wait again.
        """
        most = min(most, FREE_AT_ONCE)
        freed, later, looked = self._free(what, reason, most, 0, repr(before), passed)
        return freed, passed + later, looked < most

    def _free(self, what: str, reason: str, most: int, *options: float | str) -> tuple[int, int, int]:
        with mapped():
            freed, later, looked = FREE.run(self.redis, self.keys.account, what, most, reason, *options)
        return int(freed), int(later), int(looked)

    def try_one(self, what: str, reason: str) -> None:
        """Puts one waiting message back into its lane, to see whether it still has to wait: another one each time."""
        self._free(what, reason, 1, 1)

    def prune(self) -> int:
        """Removes messages whose record has expired from the lists and from RQ's registries: at most some thousands.

        Returns how many it removed from the lists.
        """
        queues = [self.keys.queue(lane) for lane in Lane]
        pruned = 0
        with mapped():
            for number in range(PRUNE_ROUNDS):
                searches = int(number == 0)
                count, more = PRUNE.run(self.redis, self.keys.account, PRUNE_AT_ONCE, searches, *queues)
                pruned += int(count)
                if not more:
                    break
        return pruned

    def _needs_content(self, id: str) -> None:
        with mapped():
            if not self.redis.exists(self.keys.content(id)):
                self.get(id)
                raise WrongState(
                    f"the content of message {id} is gone, so it cannot be sent again; queue it anew"
                )

    def _change(
        self,
        id: str,
        allowed: Iterable[State],
        to: State,
        reason: str,
        *,
        due: float | None = None,
        fields: dict[str, Any] | None = None,
        drop_content: bool = False,
        unblock: bool = False,
    ) -> State:
        """Changes the state of one message. Returns its new state. Raises WrongState, UnknownMessage."""
        states = sorted(state.value for state in allowed)
        options = {
            "due": due,
            "fields": fields,
            "drop_content": drop_content or None,
            "unblock": unblock or None,
        }
        given = json.dumps({name: value for name, value in options.items() if value is not None})
        arguments = (id, json.dumps(states), to.value, reason, given)
        with mapped():
            was, reached = texts(CHANGE.run(self.redis, self.keys.account, *arguments))
            if not was and self._batches.materialize_sent_row(id):
                was, reached = texts(CHANGE.run(self.redis, self.keys.account, *arguments))
        if not was and self._batches.find(id) is not None:
            raise WrongState(f"message {id} waits in its batch: pause or cancel that")
        if not was:
            raise UnknownMessage(f"no message {id} in account {self.keys.account}")
        if was not in states:
            raise WrongState(f"message {id} is {was}; only what is {', '.join(states)} can become {to.value}")
        return State(reached)
