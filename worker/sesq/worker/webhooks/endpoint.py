"""Delivers events of one account to one webhook, in order for each message. Tries each event for up to a day."""

from __future__ import annotations

import logging
import random
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from redis import Redis

from sesq.config.errors import QueueUnavailable, WrongState
from sesq.config.webhook_settings import WebhookSettings
from sesq.queue.events import GAP, MESSAGE, EventReader, MessageEvent, listen
from sesq.queue.snapshot import redis_now
from sesq.queue.webhook_queue import MOST_WAITING, LostLease
from sesq.queue.webhook_records import DeadLetter, Waiting
from sesq.queue.webhooks import WebhookStore
from sesq.worker.webhooks.addresses import NotReached
from sesq.worker.webhooks.retrying import GIVE_UP_SECONDS, Outcome, Verdict, judge, pause_after, rest_after
from sesq.worker.webhooks.sender import Sender

log = logging.getLogger("sesq.webhooks")

READ_AT_ONCE, TRIED_AT_ONCE = 100, 20
MESSAGES_UNTIL_REST = 3
"""If events of so many messages fail, and none is delivered, there are no requests to the endpoint for a while."""
IDLE_SECONDS = 1.0
"""How long it waits for the next event, for a lease, or for the end of a rest."""
AWAY_SECONDS = (1.0, 2.0, 5.0)
"""The pauses while Redis cannot be used, and after an error in sesq."""


class Reader(Protocol):
    """Reads the stream as one consumer."""

    def read(self, count: int = 100, block: float = 1.0) -> list[MessageEvent]: ...
    def acknowledge(self, *ids: str) -> None: ...
    def close(self) -> None: ...


class Endpoint:
    """Delivers to one webhook: `run()` until `stop` is set; `step()` is one round. `clock`: Redis's, in seconds."""

    def __init__(
        self,
        redis: Redis,
        account: str,
        name: str,
        settings: WebhookSettings,
        stop: threading.Event,
        *,
        clock: Callable[[], float] | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.label = f"account {account}: webhook {name}"
        self.store = WebhookStore(redis, account, name)
        self.sender = Sender(settings)
        self._redis = redis
        self._account = account
        self._settings = settings
        self._stop = stop
        self._clock = clock or (lambda: redis_now(redis))
        self._chance = chance
        self._token = secrets.token_hex(8)
        self._lease_seconds = 20.0 + settings.timeout_seconds
        self._renewed_at = 0.0
        self._reader: Reader | None = None
        self._batch: deque[MessageEvent] = deque()
        """Events that were read, in order, and are not handled yet."""
        self._blocked: set[str] | None = None
        """Messages in `_batch` with waiting events: their events go behind those. None: not read yet."""
        self._delivered_id = ""
        """The event that was delivered last. It is not posted again if Redis failed before that was noted."""
        self._delivered = 0
        """Deliveries that are not written to Redis yet."""
        self._failures = 0
        self._failing: set[str] = set()
        """Some messages whose events failed since the last delivery."""
        self._rest_until = 0.0
        self._was_disabled = False

    def run(self) -> None:
        """Delivers until it is stopped. If Redis is away, or after an error, it waits, and goes on by itself."""
        troubles = 0
        while not self._stop.is_set():
            troubles = self._step_or_wait(troubles)
        self.close()

    def _step_or_wait(self, troubles: int) -> int:
        """Makes one step. Returns how many in a row have failed."""
        wait = AWAY_SECONDS[min(troubles, len(AWAY_SECONDS) - 1)]
        try:
            self.step()
        except QueueUnavailable as error:
            log.warning("%s: %s; trying again in %g s", self.label, error, wait)
        except Exception:  # other webhooks are not affected
            log.exception("%s: a fault in sesq; going on in %g s", self.label, wait)
            self._forget_what_was_read()
        else:
            return 0
        self._stop.wait(wait)
        return troubles + 1

    def _forget_what_was_read(self) -> None:
        with suppress(QueueUnavailable):
            self._start_anew()

    def close(self) -> None:
        """Lets another process deliver at once."""
        self.sender.close()
        try:
            if self._reader is not None:
                self._reader.close()
            self.store.leave(self._token)
        except (LostLease, QueueUnavailable) as error:
            log.info("%s: %s", self.label, error)

    def step(self) -> None:
        """Tries due events, then new ones. Waits a second at most if there are none."""
        try:
            if not self._holds() or self._is_disabled() or self._rests():
                self._stop.wait(IDLE_SECONDS)
                return
            self._try_again()
            self._deliver_new()
            self._write_count()
        except LostLease:
            self._start_anew()
        except WrongState as error:
            log.warning("%s: %s; events of the meantime are lost", self.label, error)
            self._start_anew()

    # whether it may deliver

    def _holds(self) -> bool:
        """Whether this process has the lease, which is longer than one attempt. Takes or renews it."""
        now = time.monotonic()
        if self._reader is not None and now - self._renewed_at < self._lease_seconds / 6:
            return True
        if not self.store.hold(self._token, self._lease_seconds):
            if self._reader is not None:
                self._start_anew()
            return False
        self._renewed_at = now
        if self._reader is None:
            self._begin()
        return True

    def _begin(self) -> None:
        listen(self._redis, self._account, self.store.consumer)
        self.store.mend(self._clock())
        self._reader = EventReader(
            self._redis, self._account, self.store.consumer, recipients=self._settings.recipients
        )
        log.info("%s: this process delivers", self.label)

    def _start_anew(self) -> None:
        """Forgets events that are not acknowledged: this process or another one reads them again."""
        reader, self._reader = self._reader, None
        self._batch.clear()
        if reader is not None:
            reader.close()

    def _is_disabled(self) -> bool:
        health = self.store.health()
        is_disabled = health.disabled_at is not None
        if is_disabled and not self._was_disabled:
            log.error("%s: disabled: %s; sesq webhooks enable", self.label, health.disabled_because)
            self.sender.close()
        elif self._was_disabled and not is_disabled:
            log.info("%s: enabled", self.label)
            self._rested()
        self._was_disabled = is_disabled
        return is_disabled

    def _rests(self) -> bool:
        return self._rest_until > 0 and self._clock() < self._rest_until

    # waiting events

    def _try_again(self) -> None:
        for message in self.store.due(self._clock(), TRIED_AT_ONCE):
            if self._is_interrupted():
                return
            waiting = self.store.waiting(message)
            if waiting is None:
                self._bury(message)
                continue
            event = waiting.event
            outcome = self._deliver(event)
            now = self._clock()
            if outcome.verdict is Verdict.DELIVERED:
                self.store.done(self._token, event, now)
            elif outcome.verdict is Verdict.FAILED and _has_failed_all_day(waiting, outcome.why, now):
                self._give_up(event, waiting, outcome.why, now)
            else:
                pause = max(pause_after(waiting.attempts + 1, self._chance()), outcome.rest)
                self.store.tried(self._token, event, outcome.why, now + pause, now)

    def _bury(self, message: str) -> None:
        if self.store.bury(self._token, message, self._clock()):
            log.error(
                "%s: an event of message %s cannot be read, and is given up as it stands; sesq webhooks dead",
                self.label, message,
            )  # fmt: skip

    def _give_up(self, event: MessageEvent, waiting: Waiting, why: str, now: float) -> None:
        log.error(
            "%s: event %s of message %s was tried for a day, and is given up: %s; sesq webhooks retry",
            self.label, event.id, event.message, why,
        )  # fmt: skip
        letter = DeadLetter(event=event, at=now, attempts=waiting.attempts + 1, why=why)
        self.store.done(self._token, event, now, letter)

    # new events

    def _deliver_new(self) -> None:
        if not self._batch:
            self._read()
        if self._blocked is None:
            self._blocked = self.store.which_wait(event.message for event in self._batch)
        while self._batch and not self._is_interrupted():
            self._handle(self._batch[0], self._blocked)
            self._batch.popleft()

    def _read(self) -> None:
        if self._reader is None:
            return
        if self.store.count_waiting() >= MOST_WAITING:  # the stream keeps new events
            self._stop.wait(IDLE_SECONDS)
            return
        due = self.store.next_due()
        wait = IDLE_SECONDS if due is None else min(IDLE_SECONDS, max(0.01, due - self._clock()))
        self._blocked = None
        self._batch.extend(self._reader.read(READ_AT_ONCE, wait))

    def _handle(self, event: MessageEvent, blocked: set[str]) -> None:
        """Delivers an event, or lets it wait. Then acknowledges it."""
        if self._is_wanted(event):
            if event.message in blocked:
                self.store.put(self._token, event, Waiting(event=event), self._clock())
            elif not self._is_taken_at_once(event):
                blocked.add(event.message)
        if self._reader is not None:
            self._reader.acknowledge(event.id)

    def _is_taken_at_once(self, event: MessageEvent) -> bool:
        """Tries an event for the first time. If that fails, the event waits. Returns whether it was delivered."""
        outcome = self._deliver(event)
        if outcome.verdict is Verdict.DELIVERED:
            return True
        now = self._clock()
        pause = max(pause_after(1, self._chance()), outcome.rest)
        first = Waiting(event=event).failed(outcome.why, now)
        self.store.put(self._token, event, first, now + pause)
        return False

    def _is_wanted(self, event: MessageEvent) -> bool:
        wanted, name = self._settings.events, event.state if event.type == MESSAGE else event.type
        return wanted is None or name == GAP or name in wanted

    # one attempt

    def _is_interrupted(self) -> bool:
        """Whether the next attempt may not be made now."""
        return self._stop.is_set() or not self._holds() or self._was_disabled or self._rests()

    def _deliver(self, event: MessageEvent) -> Outcome:
        """Makes one attempt, and notes what its outcome means for the endpoint as a whole."""
        if event.id == self._delivered_id:
            return Outcome(Verdict.DELIVERED)
        try:
            outcome = judge(self.sender.post(event), time.time())
        except NotReached as error:
            outcome = Outcome(Verdict.FAILED, str(error))
        if outcome.verdict is Verdict.DELIVERED:
            self._delivered_id = event.id
            self._note_delivery()
        else:
            self._note_failure(event, outcome)
        return outcome

    def _note_delivery(self) -> None:
        if self._failures:
            log.info("%s: it takes events again", self.label)
        self._delivered += 1
        self._rested()

    def _rested(self) -> None:
        self._failures, self._rest_until = 0, 0.0
        self._failing.clear()

    def _write_count(self) -> None:
        if self._delivered:
            self.store.note_delivered(self._delivered, self._clock())
            self._delivered = 0

    def _note_failure(self, event: MessageEvent, outcome: Outcome) -> None:
        self._write_count()
        now = self._clock()
        if not self._failures:
            log.warning("%s: %s; it is tried again", self.label, outcome.why)
        self._failures += 1
        if len(self._failing) < MESSAGES_UNTIL_REST:
            self._failing.add(event.message)
        rest = outcome.rest
        if len(self._failing) == MESSAGES_UNTIL_REST:  # the fault is the endpoint's, not one event's
            rest = max(rest, rest_after(self._failures, self._chance()))
        self._rest_until = now + rest if rest else 0.0
        self._judge_endpoint(outcome, self.store.note_failure(outcome.why, now), now)

    def _judge_endpoint(self, outcome: Outcome, failing_since: float, now: float) -> None:
        if outcome.verdict is Verdict.GONE:
            self.store.disable(outcome.why, now)
        elif now - failing_since >= GIVE_UP_SECONDS:
            self.store.disable(f"it failed for a day: {outcome.why}", now)
        else:
            return
        self._is_disabled()


def _has_failed_all_day(waiting: Waiting, why: str, now: float) -> bool:
    """Whether an event has failed for a day, with one more failure now."""
    return now - waiting.failed(why, now).since >= GIVE_UP_SECONDS
