"""The stream of an account: each change of a message's state, for the consumers that listen.

Nothing is told while nobody listens. A consumer gets each event at least once and in order; one process at a time is
that consumer. `lua/stream.lua` says what lies in Redis.
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
"""Events that stay in the stream; a consumer that is further behind is given a gap."""
LEASE_SECONDS = 30.0
OF_WEBHOOK = "webhook:"
"""Names of the consumers of webhooks begin with this; names of an application's consumers may not."""
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
    """One change of one message, or a gap: events of the time from `since` to `until` are lost to this consumer.

    `id` names the event: it grows, and is the same when the event is told again. `at`, `since` and `until` are seconds
    since the epoch by Redis's clock. `message` is sesq's id, `message_id` SES's. `recipients` are bare addresses,
    where the consumer asked for them. A row of a batch is told from when it is on its way.

    `kind` says of a message that has bounced why: "hard" (the address is bad), "soft", "prevented" (SES did not try) or
    "rejected" (SES took it and did not send it on).

    Of other types is what changes no state: "delayed" and "noted" (in `reason`), "opened", "clicked" and
    "subscription", with SES's own object as `detail`, where `automated` says whether a program did it.
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
        """Gives the event as versioned JSON; what it has not is left out."""
        filled = {name: value for name, value in asdict(self).items() if value not in (None, "", (), {})}
        return encode_json({"v": VERSION, **filled})

    @classmethod
    def from_json(cls, given: str | bytes) -> MessageEvent:
        """Back from `to_json`; a field that a newer sesq has added does not matter.

        Raises InvalidMessage for an unknown version or what is no event.
        """
        told = read_versioned(given, "event")
        try:
            known = {each.name: told[each.name] for each in fields(cls) if each.name in told}
            return cls(**{**known, "recipients": tuple(told.get("recipients", ()))})
        except TypeError as error:
            raise InvalidMessage("event", f"is not one that sesq has written: {error}") from error


def listen(redis: Redis, account: str, consumer: str, *, cap: int = CAP) -> bool:
    """Begins to tell that consumer what becomes of messages from now on. Returns whether that is news."""
    if not _NAME.fullmatch(consumer):
        raise InputError(f"consumer: {consumer!r:.80} is no name: up to 64 of A-Z, a-z, 0-9, _ . : and -")
    with mapped():
        return bool(LISTEN.run(redis, account, "listen", consumer, cap))


def forget(redis: Redis, account: str, consumer: str) -> bool:
    """Ends that; the last consumer turns the stream off. Returns whether it had listened."""
    with mapped():
        return bool(LISTEN.run(redis, account, "forget", consumer))


class EventReader:
    """Reads the stream of an account as one consumer. Raises WrongState where that does not listen (any more)."""

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
        """The id after which events are read that were given before and not acknowledged; None once there are none."""

    def read(self, count: int = 100, block: float = 1.0) -> list[MessageEvent]:
        """Gives the next events, those first that were not acknowledged before; none after `block` seconds, or while
        another process is this consumer.
        """
        try:
            with mapped():
                return self._read(count, block)
        except BaseException:
            self._again = "0"  # Redis may have given events that did not come here
            raise

    def is_reader(self) -> bool:
        """Whether this process still is the consumer; asks Redis, and renews that, every few seconds."""
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
        """Says that these events need not be told again."""
        gaps = [id for id in ids if id.startswith(GAP)]
        with mapped():
            for gap in gaps:
                self._end_gap(gap.removeprefix(f"{GAP}-"))
            if len(ids) > len(gaps):
                self.redis.xack(self.keys.events, self.consumer, *(id for id in ids if id not in gaps))

    def _end_gap(self, last: str) -> None:
        """Unless it has grown meanwhile."""
        name = f"gap:{self.consumer}"
        if text(self.redis.hget(self.keys.listening, name)).endswith(f" {last}"):
            self.redis.hdel(self.keys.listening, name)

    def close(self) -> None:
        """Lets another process be this consumer at once."""
        with mapped():
            HOLD_CONSUMER.run(self.redis, self.keys.account, self.consumer, self._own, 0)

    def _hold(self) -> tuple[bool, MessageEvent | None]:
        """Whether this process is the consumer, for a while; and the gap that it was not told of yet."""
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
                f"{self.consumer} has stopped to listen in account {self.keys.account}"
            ) from error
        found = answer[0][1] if answer else []
        return [(text(id), told or {}) for id, told in found]

    def _event(self, id: str, told: Mapping[bytes, bytes]) -> MessageEvent:
        """Gives a gap for one that cannot be read: it stops no other."""
        own: dict[str, Any] = {"id": id, "account": self.keys.account}
        try:
            given = json.loads(told[b"e"])
            named = {name: given[name] for name in _TOLD if name in given}
            return MessageEvent(**own, message=given["id"], **named)
        except (KeyError, TypeError, ValueError):
            at = seconds_of(id)
            return MessageEvent(**own, at=at, type=GAP, since=at, until=at)

    def _addressed(self, events: list[MessageEvent]) -> list[MessageEvent]:
        """Adds the tags, and the recipients where they are asked for. A record that is gone has none."""
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
    """Returns the tags in JSON; none where it is damaged."""
    found = read_json(packed or b"{}")
    return found if isinstance(found, dict) else {}


def _texts(packed: bytes | None) -> list[str]:
    """Returns the texts in JSON; none where it is damaged."""
    found = read_json(packed or b"[]")
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def seconds_of(id: str) -> float:
    """Returns the time at which an event with that id was written (s)."""
    return int(id.partition("-")[0]) / 1000
