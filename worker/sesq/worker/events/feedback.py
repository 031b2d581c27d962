"""Acts on events. Each has its effect exactly once, however often it comes."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from dataclasses import replace
from enum import Enum
from typing import cast

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import QueueUnavailable
from sesq.queue.batches import Batches
from sesq.queue.keys import Keys
from sesq.queue.policy import Policy
from sesq.queue.ramp import mind_ramp
from sesq.queue.replies import read_entries, read_json, text
from sesq.queue.reputation import BRAKE, Reputation, Standing
from sesq.queue.scripts import MESSAGES, compose, library
from sesq.queue.snapshot import redis_now
from sesq.queue.states import State
from sesq.queue.suppression import Suppressed, listed_as
from sesq.queue.tenant_limits import TenantLimits
from sesq.queue.tenant_states import TenantStates
from sesq.worker.events.document import Event, NotAnEvent, read_event
from sesq.worker.events.meaning import Meaning, meaning_of
from sesq.worker.events.notices import Kind, Notice
from sesq.worker.events.passed_on import PassedOn

log = logging.getLogger("sesq.events")

FEEDBACK = compose("feedback.lua", library("origins.lua", base=MESSAGES))

REMEMBER_SECONDS = 14 * 86_400
"""As long as SQS can keep a message."""
MANY = ("Send", "Open", "Click")
REMEMBER_MANY_SECONDS = 3600
"""These events are many. A Send that counts twice hardly changes the rates, and opens and clicks do not count."""
POISON_KEPT = NOTICES_KEPT = 1000
POISON_LENGTH = 20_000


class Handled(str, Enum):
    """Says what was done with an event. Logs and counters have the values."""

    APPLIED = "applied"  # or it was known already
    STRANGER = "stranger"  # of no message here: sent by another system, or its record has expired
    EARLY = "early"  # its worker has not settled the message yet: the event has to come again
    PASSED_ON = "passed on"  # an open, a click, a change of a subscription: it changes no state
    NOTICE = "notice"  # a known message that is no event: kept for people
    POISON = "poison"  # no event: set apart

    def __str__(self) -> str:
        return self.value


class Feedback:
    """Acts on the events of one account. Every method raises QueueUnavailable."""

    def __init__(
        self,
        redis: Redis,
        account: str,
        *,
        keep_content: bool = False,
        pauses_bulk: bool = True,
        suppress_possible: bool = False,
        tenant: str | None = None,
    ) -> None:
        """Takes the account's settings. `tenant`: the tenant of mail that names none."""
        self.redis = redis
        self.account = account
        self.keys = Keys(account)
        self.keep_content = keep_content
        self.pauses_bulk = pauses_bulk
        self.suppress_possible = suppress_possible
        self.tenant = tenant or ""
        self.batches = Batches(redis, account)
        self.reputation = Reputation(redis, account)

    def handle(self, body: str) -> Handled:
        """Acts on one message of a queue or a topic.

        A message that fails, except for an error of Redis, is set apart: it would fail each time, and delay all others.
        """
        try:
            read = read_event(body)
            return self.apply(read) if isinstance(read, Event) else self._keep(read)
        except NotAnEvent as error:
            self._set_apart(body, str(error))
        except QueueUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  (its text may quote the message)
            self._set_apart(body, f"it cannot be acted on: {type(error).__name__}")
        return Handled.POISON

    def note_reading(self) -> None:
        """Writes down that events are being read now, whether or not one came."""
        self.reputation.note_reading()

    def apply(self, event: Event) -> Handled:
        """Acts on one event."""
        meaning = meaning_of(event, suppress_possible=self.suppress_possible)
        handled = self._apply(event, meaning)
        if meaning.passed_on is not None:
            self.pass_on(meaning.passed_on)
            handled = Handled.PASSED_ON
        if meaning.unknown:
            self._keep(Notice(Kind.UNKNOWN, f"{meaning.unknown}: neither counted nor suppressed anybody"))
        bad = {kind for kind in ("bounced", "complained") if meaning.count.get(kind)}
        if bad:
            self.mind_the_reputation(bad)
            self._mind_the_tenant(event.tenant, bad)
        return handled

    def pass_on(self, event: PassedOn) -> None:
        """Logs an open, a click or a change of a subscription. The script tells the consumers of the stream."""
        fields = {"id": event.id, "account": self.account, "event": event.type, "ses_id": event.message_id}
        log.info("message %s: %s", event.id or "of another system", event.type, extra=fields)

    def _apply(self, event: Event, meaning: Meaning) -> Handled:
        told = json.dumps(self._told(event, meaning))
        with mapped():
            was = text(FEEDBACK.run(self.redis, self.account, told))
        if was:
            fields = {
                "id": event.id,
                "account": self.account,
                "event": event.type,
                "ses_id": event.message_id,
            }
            if was == State.UNKNOWN.value:
                log.info("message %s: unknown is settled: SES has taken it", event.id, extra=fields)
            else:
                log.info("message %s: %s", event.id, event.type, extra=fields)
            return Handled.APPLIED
        if event.id and meaning.passed_on is None:
            return self._apply_to_batch(event, meaning, told)
        return Handled.STRANGER

    def _apply_to_batch(self, event: Event, meaning: Meaning, told: str) -> Handled:
        """Applies an event to a row of a batch. The row becomes a message if the event says more than delivered."""
        recipient = self.batches.find(event.id)
        if recipient is None:
            return Handled.STRANGER
        if recipient.message_id is None and not self.batches.take_lost_row(event.id, event.message_id):
            return Handled.EARLY
        if meaning.to is State.DELIVERED:
            self.batches.mark_delivered(event.id, event.message_id)
        elif meaning.to is not State.SENT or meaning.note:
            self.batches.materialize_sent_row(event.id)
            with mapped():
                FEEDBACK.run(self.redis, self.account, told)
        return Handled.APPLIED

    def _told(self, event: Event, meaning: Meaning) -> dict[str, object]:
        meaning = self._of_tenant(event, meaning)
        now = redis_now(self.redis) if meaning.suppress else 0.0
        return {
            "event": event.digest,
            "remember": REMEMBER_MANY_SECONDS if event.type in MANY else REMEMBER_SECONDS,
            "count": {name: n for name, n in meaning.count.items() if n},
            "origins": {"domain": meaning.domains, "tag": meaning.tags},
            "suppress": {
                listed_as(address): Suppressed(address, reason, now, f"event of {event.message_id}").packed()
                for address, reason in meaning.suppress.items()
            },
            "take_off": [listed_as(address) for address in meaning.take_off],
            "note": meaning.note,
            "delayed": meaning.delayed,
            "kind": meaning.kind,
            **({"passed_on": meaning.passed_on.for_consumers()} if meaning.passed_on else {}),
            "prevented": meaning.prevented,
            "id": event.id,
            "tenant": event.tenant,
            "default_tenant": self.tenant,
            "to": meaning.to.value,
            "reason": meaning.reason,
            "rank": meaning.rank,
            "message_id": event.message_id,
            "drop_content": not self.keep_content,
        }

    def _of_tenant(self, event: Event, meaning: Meaning) -> Meaning:
        """Leaves sesq's list as it is if the tenant has its own list at SES: SES puts the address on that list."""
        if not event.tenant or not (meaning.suppress or meaning.take_off):
            return meaning
        if not TenantStates(self.redis, self.account).has_own_list(event.tenant):
            return meaning
        return replace(meaning, suppress={}, take_off=())

    def mind_the_reputation(self, fresh: Collection[str] = ()) -> None:
        """Warns of bad rates, and pauses bulk mail. `fresh`: the kinds of events that have just come."""
        standing = self.reputation.read()
        paused = self.pauses_bulk and self._pause_bulk(standing, fresh)
        if self.reputation.risen_to(standing.level) or paused:
            log.warning("account %s: %s", self.account, standing.words)
        mind_ramp(self.redis, self.account, standing)

    def _mind_the_tenant(self, tenant: str, fresh: Collection[str]) -> None:
        """Pauses a tenant's bulk mail at the rates that pause an account's: SES judges each tenant by its own rates."""
        if not tenant or not self.pauses_bulk:
            return
        limits = TenantLimits(self.redis, self.account)
        reputation = Reputation(self.redis, self.account, tenant)
        standing = reputation.read()
        worse = reputation.is_worse(standing, fresh)
        if worse:
            limits.pause(tenant, standing.words, by=BRAKE)
            log.warning("account %s: tenant %s: %s", self.account, tenant, standing.words)
        if worse or limits.of(tenant).paused:
            reputation.acknowledge(standing)
        reputation.forget_good(standing)

    def _pause_bulk(self, standing: Standing, fresh: Collection[str]) -> bool:
        """Pauses bulk mail if the reputation is worse than when a person last resumed it.

        This is noted last. If something fails before, all of it is done again when the event comes again.
        """
        policy = Policy(self.redis, self.account)
        worse = self.reputation.is_worse(standing, fresh)
        if worse:
            policy.pause(standing.words, by=BRAKE, bulk_only=True)
        if worse or policy.bulk_paused:
            self.reputation.acknowledge(standing)
        self.reputation.forget_good(standing)
        return worse

    def _keep(self, notice: Notice) -> Handled:
        """Keeps a notice for people, with the time at which it first came. It is kept once, however often it comes."""
        entry = json.dumps({"kind": notice.kind.value, "text": notice.text, "id": notice.id})
        now = redis_now(self.redis)
        with mapped(), self.redis.pipeline() as pipeline:
            pipeline.zadd(self.keys.notices, {entry: now}, nx=True)
            pipeline.zremrangebyrank(self.keys.notices, 0, -NOTICES_KEPT - 1)
            is_new, _ = pipeline.execute()
        if is_new:
            level = logging.WARNING if notice.is_urgent else logging.INFO
            log.log(level, "account %s: %s: %s", self.account, notice.kind, notice.text)
        return Handled.NOTICE

    def notices(self) -> list[dict[str, object]]:
        """Returns the notices, newest first: when each first came (s), its kind, and its text."""
        with mapped():
            found = self.redis.zrevrange(self.keys.notices, 0, -1, withscores=True)
        told = [(read_json(entry), at) for entry, at in cast("list[tuple[bytes, float]]", found)]
        return [
            {"at": at, "kind": str(entry.get("kind", "")), "text": str(entry.get("text", ""))}
            for entry, at in told
            if isinstance(entry, dict)
        ]

    def _set_apart(self, body: str, why: str) -> None:
        log.warning(
            "account %s: a message among the events is no event, and is set apart: %s", self.account, why
        )
        entry = json.dumps({"at": redis_now(self.redis), "why": why, "body": body[:POISON_LENGTH]})
        with mapped(), self.redis.pipeline() as pipeline:
            pipeline.lpush(self.keys.poison, entry)
            pipeline.ltrim(self.keys.poison, 0, POISON_KEPT - 1)
            pipeline.execute()

    def poison(self) -> list[dict[str, object]]:
        """Returns the messages that were set apart, newest first: when (s), why, and the text."""
        with mapped():
            return read_entries(self.redis, self.keys.poison, 0, "why")
