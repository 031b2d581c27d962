"""Reads the stream of an account: each change of a message's state, for the consumers that listen.

Nothing is written to it while nobody listens. A consumer gets each event at least once and in order. One process at a
time is that consumer. `lua/stream.lua` describes the keys in Redis.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from sesq.config.connection import mapped
from sesq.config.errors import InputError, InvalidMessage, WrongState
from sesq.queue.addresses import spec_of
from sesq.queue.envelope import encode_json, read_versioned
from sesq.queue.keys import Keys
from sesq.queue.replies import read_json, text
from sesq.queue.rows import Rows
from sesq.queue.scripts import JOBS, compose

log = logging.getLogger("sesq.results")

LISTEN = compose("listen.lua", JOBS)
HOLD_CONSUMER = compose("hold_consumer.lua", JOBS)

CAP = 100_000
"""Events that stay in the stream. A consumer that is further behind gets a gap."""
LEASE_SECONDS = 30.0
OF_WEBHOOK = "webhook:"
"""The beginning of the names of webhooks' consumers. Consumers of an application may not have such a name."""
MESSAGE, GAP = "message", "gap"
STATELESS = ("delayed", "noted", "opened", "clicked", "subscription")
"""Types of events that change no state."""
VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
_ADDRESSED = ("tags", "to", "cc", "bcc")
_OF_PEOPLE = ("recipients", "ipAddress", "userAgent")
_ADDRESS = re.compile(r"[^\s<>,;:()]+@[^\s<>,;:()]+")
_TOLD = ("at", "type", "state", "was", "reason", "message_id", "batch", "lane", "kind", "detail")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEvent:
    """Describes one change of one message; or a gap: this consumer lost the events from `since` to `until`.

    `id` names the event. Ids grow, and an event keeps its id when it is delivered again. `at`, `since` and `until` are
    seconds since the epoch by Redis's clock. `message` is sesq's id, `message_id` SES's. `recipients`: bare addresses,
    if the consumer asked for them. The first event of a row of a batch is that it is sending.

    `kind` says why a message bounced: "hard" (the address is bad), "soft", "prevented" (SES did not try) or "rejected"
    (SES took it and did not send it).

    Events that change no state have another `type`: "delayed" and "noted" (explained in `reason`), "opened", "clicked"
    and "subscription". The last three have SES's own object as `detail`; its `automated` says whether a program did it.
    """

    id: str
    account: str
    at: float
    type: str = MESSAGE
    message: str = ""
    state: str = ""
    was: str = ""
    reason: str = ""
    message_id: str | None = None
    batch: str | None = None
    lane: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    recipients: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None
    kind: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Writes the event as JSON with a version. Empty fields are left out."""
        filled = {name: value for name, value in asdict(self).items() if value not in (None, "", (), {})}
        return encode_json({"v": VERSION, **filled})

    @classmethod
    def from_json(cls, given: str | bytes) -> MessageEvent:
        """Reads what `to_json` wrote. Ignores fields that a newer sesq has added.

        Raises UnknownVersion, and InvalidMessage for what is no event.
        """
        told = read_versioned(given, "event")
        try:
            known = {each.name: told[each.name] for each in fields(cls) if each.name in told}
            return cls(**{**known, "recipients": tuple(told.get("recipients", ()))})
        except TypeError as error:
            raise InvalidMessage("event", f"is not one that sesq has written: {error}") from error


def listen(redis: Redis, account: str, consumer: str, *, cap: int = CAP) -> bool:
    """Adds a consumer, which gets the events from now on. Returns whether it is new. Raises InputError."""
    if not _NAME.fullmatch(consumer):
        raise InputError(f"consumer: {consumer!r:.80} is no name: up to 64 of A-Z, a-z, 0-9, _ . : and -")
    with mapped():
        return bool(LISTEN.run(redis, account, "listen", consumer, cap))


def forget(redis: Redis, account: str, consumer: str) -> bool:
    """Removes a consumer. Without any consumer, no events are written. Returns whether it had listened."""
    with mapped():
        return bool(LISTEN.run(redis, account, "forget", consumer))


class EventReader:
    """Reads the stream of an account as one consumer. Raises WrongState if that consumer does not listen (any more)."""

    def __init__(
        self,
        redis: Redis,
        account: str,
        consumer: str,
        *,
        recipients: bool = False,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.redis = redis
        self.keys = Keys(account)
        self.consumer = consumer
        self._recipients = recipients
        self._sleep = sleep
        self._clock = clock
        self._held_at = -LEASE_SECONDS
        self._waits = False
        self._rows = Rows(redis, account)
        self._own = secrets.token_hex(8)
        self._again: str | None = "0"
        """Unacknowledged events are read again after this id; None once there are no more of them."""

    def read(self, count: int = 100, block: float = 1.0) -> list[MessageEvent]:
        """Returns the next events, at most `count`. Events that were not acknowledged before come first.

        Returns none after `block` seconds, or while another process is this consumer. Raises QueueUnavailable.
        """
        try:
            with mapped():
                return self._read(count, block)
        except BaseException:
            self._again = "0"  # Redis may have sent events that did not arrive
            raise

    def is_reader(self) -> bool:
        """Whether this process still is the consumer. Every few seconds it asks Redis, and renews its lease."""
        if self._clock() - self._held_at < LEASE_SECONDS / 3:
            return True
        with mapped():
            return self._hold()[0]

    def _read(self, count: int, block: float) -> list[MessageEvent]:
        held, gap = self._hold()
        if not held:
            if not self._waits:
                log.info("consumer %s: another process reads its events; this one waits", self.consumer)
            self._again, self._waits = "0", True
            self._sleep(block)
            return []
        self._waits = False
        if gap is not None:
            return [gap]
        return self._addressed(self._next(count, block))

    def acknowledge(self, *ids: str) -> None:
        """Acknowledges these events: they are not delivered again."""
        gaps = [id for id in ids if id.startswith(GAP)]
        with mapped():
            for gap in gaps:
                self._end_gap(gap.removeprefix(f"{GAP}-"))
            if len(ids) > len(gaps):
                self.redis.xack(self.keys.events, self.consumer, *(id for id in ids if id not in gaps))

    def _end_gap(self, last: str) -> None:
        """Forgets a gap, unless it has grown meanwhile."""
        name = f"gap:{self.consumer}"
        if text(self.redis.hget(self.keys.listening, name)).endswith(f" {last}"):
            self.redis.hdel(self.keys.listening, name)

    def close(self) -> None:
        """Lets another process be this consumer at once."""
        with mapped():
            HOLD_CONSUMER.run(self.redis, self.keys.account, self.consumer, self._own, 0)

    def _hold(self) -> tuple[bool, MessageEvent | None]:
        """Takes or renews the lease. Returns whether this process is the consumer, and a gap not acknowledged yet."""
        lease, asked_at = round(LEASE_SECONDS * 1000), self._clock()
        held, *lost = HOLD_CONSUMER.run(self.redis, self.keys.account, self.consumer, self._own, lease)
        if held < 0:
            raise WrongState(f"nobody listens as {self.consumer} in account {self.keys.account}")
        self._held_at = asked_at if held else -LEASE_SECONDS
        if not held or not lost[0]:
            return bool(held), None
        first, last = text(lost[0]).split()
        return True, self._gap(first, last)

    def _gap(self, first: str, last: str) -> MessageEvent:
        until = seconds_of(last)
        since = seconds_of(first) or until
        return MessageEvent(
            id=f"{GAP}-{last}", account=self.keys.account, at=until, type=GAP, since=since, until=until
        )

    def _next(self, count: int, block: float) -> list[MessageEvent]:
        if self._again is not None:
            entries = self._entries(self._again, count, None)
            if entries:
                return self._told_again(entries)
            self._again = None
        return [self._event(id, told) for id, told in self._entries(">", count, block)]

    def _told_again(self, entries: Sequence[tuple[str, Mapping[bytes, bytes]]]) -> list[MessageEvent]:
        """Returns events that were read before; notes those that were dropped meanwhile as a gap."""
        self._again = entries[-1][0]
        gone = [id for id, told in entries if not told]
        if gone:
            self.redis.hset(self.keys.listening, f"gap:{self.consumer}", f"{gone[0]} {gone[-1]}")
            self.redis.xack(self.keys.events, self.consumer, *gone)
            self._again = "0"
            return [self._gap(gone[0], gone[-1])]
        return [self._event(id, told) for id, told in entries]

    def _entries(
        self, after: str, count: int, block: float | None
    ) -> Sequence[tuple[str, Mapping[bytes, bytes]]]:
        milliseconds = None if block is None else max(1, round(block * 1000))
        try:
            answer: Any = self.redis.xreadgroup(
                self.consumer, "reader", {self.keys.events: after}, count=count, block=milliseconds
            )
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            raise WrongState(
                f"{self.consumer} does not listen any more in account {self.keys.account}"
            ) from error
        found = answer[0][1] if answer else []
        return [(text(id), told or {}) for id, told in found]

    def _event(self, id: str, told: Mapping[bytes, bytes]) -> MessageEvent:
        """Reads an event. One that cannot be read becomes a gap, so that it does not stop the others."""
        own: dict[str, Any] = {"id": id, "account": self.keys.account}
        try:
            given = json.loads(told[b"e"])
            named = {name: given[name] for name in _TOLD if name in given}
            return MessageEvent(**own, message=given["id"], **named)
        except (KeyError, TypeError, ValueError):
            at = seconds_of(id)
            return MessageEvent(**own, at=at, type=GAP, since=at, until=at)

    def _addressed(self, events: list[MessageEvent]) -> list[MessageEvent]:
        """Adds tags, and recipients if the consumer asked for them. A message whose record is gone has none."""
        pipeline = self.redis.pipeline(transaction=False)
        for event in events:
            pipeline.hmget(self.keys.message(event.message), _ADDRESSED)
        return [self._with(event, *found) for event, found in zip(events, pipeline.execute(), strict=True)]

    def _with(self, event: MessageEvent, tags: bytes | None, *addresses: bytes | None) -> MessageEvent:
        named, people = _tags(tags), [spec_of(wire) for each in addresses for wire in _texts(each)]
        if event.batch and not people:
            named, people = self._of_row(event.message)
        if self._recipients:
            return replace(event, tags=named, recipients=tuple(people))
        detail = {name: value for name, value in event.detail.items() if name not in _OF_PEOPLE}
        return replace(event, tags=named, detail=detail, reason=_ADDRESS.sub("(address)", event.reason))

    def _of_row(self, id: str) -> tuple[dict[str, Any], list[str]]:
        try:
            envelope = self._rows.envelope(id)
        except InvalidMessage:
            return {}, []
        return dict(envelope.tags), list(envelope.recipients)


def _tags(packed: bytes | None) -> dict[str, str]:
    """Reads tags from JSON; none if it is damaged."""
    found = read_json(packed or b"{}")
    return found if isinstance(found, dict) else {}


def _texts(packed: bytes | None) -> list[str]:
    """Reads texts from JSON; none if it is damaged."""
    found = read_json(packed or b"[]")
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def seconds_of(id: str) -> float:
    """Returns the time at which the event with that id was written (seconds since the epoch)."""
    return int(id.partition("-")[0]) / 1000
