"""The gate's script against a plain model, and both against the strictest SES there could be."""

from __future__ import annotations

import json
import math
from collections import deque
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis import Redis

import books
from batch import template
from gate_model import SLOTS, Chunk, GateModel, Mail, RampModel, StrictSes
from sesq.config.errors import WrongState
from sesq.producer import Message, Outbox
from sesq.producer.batch.batch_intake import numbered, take
from sesq.producer.batch.request import batch_request
from sesq.queue.batches import Batches
from sesq.queue.envelope import Envelope
from sesq.queue.gate import SYNC, Gate
from sesq.queue.grants import Grant, Started
from sesq.queue.keys import CLOCK_OFFSET
from sesq.queue.policy import Policy
from sesq.queue.ramp import mind_ramp, start_ramp, stop_ramp
from sesq.queue.reputation import Standing
from sesq.queue.results import SendResult, put_back
from sesq.queue.states import Lane, State

START = 1_700_000_000.0
LEASE = 32.0
TICK = 1 / 16
"""All times are whole 16ths of a second: exact in binary, and in the four decimals that scripts write, so that both
sides compute the same."""

RATES = st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.0, 14.0, 20.0, 100.0])
DAYS = st.sampled_from([-1.0, 5.0, 50.0, 200.0])
LANES = st.sampled_from(list(Lane))
TEMPLATE = template()
NOBODY = Envelope(sender="")


@dataclass
class Flight:
    """A mail that was granted. `arrived`: SES has taken it. `stale`: it is not to be sent any more."""

    mail: Mail
    grant: Grant
    claimed: float
    arrives_by: float  # by SES's clock
    arrived: bool = False
    started: bool = False
    stale: bool = False


class GateMachine(RuleBasedStateMachine):
    """Random traffic under a clock that the test moves. Every mail arrives at SES between its claim and its answer, or
    before the gate's patience ends, in any order. SES's clock is its own: nobody sets it back.
    """

    redis: Redis

    @initialize(rate=RATES, daily=DAYS)
    def begin(self, rate: float, daily: float) -> None:
        self.redis.flushall()
        self.model = GateModel(START, rate, daily, flows=START, ses_at=START, folds_at=START)
        self.ses = StrictSes(rate, daily, START)
        self.gate, self.outbox, self.policy = Gate(self.redis), Outbox(self.redis), Policy(self.redis)
        self.flying: list[Flight] = []
        self.lane_of: dict[str, int] = {}
        self.set_back_by = 0.0
        self.claims = self.batches = 0
        self.chunks: dict[str, Chunk] = {}
        self.policy.configure({"margin": "0"})
        self._set_clock()
        self._sync()
        self._let_pass(2)
        for lane, n in ((Lane.TRANSACTIONAL, 1), (Lane.BULK, 1), (Lane.BULK, 14), (Lane.TRANSACTIONAL, 2)):
            self._queue(lane, n, simulated=False)

    @rule(lane=LANES, n=st.sampled_from([1, 1, 1, 2, 5, 50]), simulated=st.booleans())
    def queue(self, lane: Lane, n: int, simulated: bool) -> None:
        self._queue(lane, n, simulated)
        self._queue(lane, 1, simulated=False)

    def _queue(self, lane: Lane, n: int, simulated: bool) -> None:
        domain = "simulator.amazonses.com" if simulated else "example.org"
        to = [f"success+{i}@{domain}" for i in range(n)]
        id = self.outbox.send(Message(sender="a@example.com", to=to, subject="s", text="t", lane=lane))
        self.lane_of[id] = int(lane is Lane.BULK)
        self.model.lanes[lane is Lane.BULK].append(Mail(id, n, 0 if simulated else n))

    @rule(n=st.sampled_from([1, 2, 30]), simulated=st.sampled_from([0, 0, 1, 5]))
    def queue_batch(self, n: int, simulated: int) -> None:
        """One chunk; those of the mailbox simulator come last in it."""
        self.batches += 1
        to = [f"success+{i}@simulator.amazonses.com" for i in range(simulated)]
        to += [f"p{i}@example.org" for i in range(n)]
        request = batch_request(TEMPLATE, "a@example.com", str(self.batches))
        id = take(self.redis, request, numbered({"email": each, "name": "x"} for each in to)).id
        rows = deque(Mail(f"{id}-0-{row}", 1, int(row < n)) for row in range(n + simulated))
        self.chunks[id] = Chunk(id, rows)
        self.model.lanes[1].append(self.chunks[id])

    @precondition(lambda self: self.chunks)
    @rule(pick=st.integers(0, 5), pause=st.booleans())
    def pause_or_resume_batch(self, pick: int, pause: bool) -> None:
        id = list(self.chunks)[pick % len(self.chunks)]
        try:
            if pause:
                Batches(self.redis).pause(id, "a look")
                self.model.paused_batches.add(id)
            else:
                Batches(self.redis).resume(id)
                self.model.resume_batch(id)
        except WrongState:
            assert id not in self.model.paused_batches or pause

    @rule(want=st.integers(1, 20), quick=st.booleans(), after=st.sampled_from([0, 1, 16, 160, 1600]))
    def claim(self, want: int, quick: bool, after: int) -> None:
        """`quick`: what is granted reaches SES at once; else as late as can be."""
        self._let_pass(after * TICK)
        self.claims += 1
        granted = self.model.claim(want, LEASE)
        claim = self.gate.claim("w", f"x-{self.claims}", want=want, lease=LEASE)
        assert list(claim.ids) == [mail.id for mail in granted], claim
        by = self.ses_now + self.model.patience(LEASE)
        flights = [
            Flight(mail, grant, self.model.now, by) for mail, grant in zip(granted, claim.grants, strict=True)
        ]
        self.flying += flights
        for flight in flights if quick else ():
            self._arrive(flight)

    @precondition(lambda self: self.flying)
    @rule(pick=st.integers(0, 5), sent=st.booleans())
    def answer(self, pick: int, sent: bool) -> None:
        flight = self.flying.pop(pick % len(self.flying))
        mail, had_tokens = flight.mail, flight.mail.tokens_at is not None
        sent = flight.arrived or (sent and had_tokens and not flight.stale)
        if sent:
            self._arrive(flight)
        self.model.account(mail, went=sent)
        if not sent:
            self.model.unbook(mail, flight.claimed)
        if "-" in mail.id and not sent:
            self.model.give_back(self.chunks[mail.id.partition("-")[0]], mail)
            result = put_back(flight.grant, "late")
        elif sent:
            result = SendResult(flight.grant, State.SENT, message_id="m")
        else:
            result = SendResult(flight.grant, State.REFUSED, refund_rate=had_tokens, refund_day=True)
        self.gate.settle([result])

    @precondition(lambda self: not self.model.paused and any(not flight.arrived for flight in self.flying))
    @rule(pick=st.integers(0, 5), unused=st.booleans())
    def try_again(self, pick: int, unused: bool) -> None:
        """Its tokens are too old by now, or SES answered to them that it should come again."""
        waiting = [flight for flight in self.flying if not flight.arrived]
        flight = waiting[pick % len(waiting)]
        mail = flight.mail
        if mail.id.partition("-")[0] in self.model.paused_batches:
            return
        unused = unused or mail.tokens_at is None or flight.stale
        if not unused:
            assert self.ses.offer(mail.n, 0, self.ses_now) == "ok"
        granted = self.model.again(mail, LEASE, unused=unused)
        started = Started(flight.grant, NOBODY, 0, 0, b"")
        answer, wait = self.gate.renew_tokens(started, unused=unused, lease=LEASE)
        assert (answer == "granted") == granted, (answer, wait)
        flight.stale = not granted
        flight.arrives_by = self.ses_now + self.model.patience(LEASE)

    @precondition(lambda self: self.flying and not any("-" in each.mail.id for each in self.flying))
    @rule(started=st.integers(0, 7))
    def die(self, started: int) -> None:
        """The worker dies; what it had started has left, and the rest is judged as what it is."""
        for i, flight in enumerate(self.flying):
            if flight.arrived or (
                started >> i % 3 & 1 and flight.mail.tokens_at is not None and not flight.stale
            ):
                flight.started = True
                self.gate.start([flight.grant])
                self._arrive(flight)
        for _ in range(2):  # leases of before a clock was set back are shortened first
            self._judge()
            self.model.now += 130
            self._set_clock()
        self._judge()
        assert self.flying == []

    def _judge(self) -> None:
        self.model.look()
        self.claims += 1
        policy = {"lease": LEASE, "on_unknown": "hold", "max_attempts": 5}
        for id, state in self.gate.reap("judge", f"x-{self.claims}", **policy):
            (flight,) = (each for each in self.flying if each.mail.id == id)
            self.flying.remove(flight)
            assert state == ("unknown" if flight.started else "queued")
            self.model.account(flight.mail, went=flight.started)
            if not flight.started:
                self.model.unbook(flight.mail, flight.claimed)
                self.model.lanes[self.lane_of[id]].appendleft(flight.mail)

    @rule(ticks=st.sampled_from([1, 4, 16, 16 * 10, 16 * 60, 16 * 3600]), times=st.integers(1, 20))
    def pass_time(self, ticks: int, times: int) -> None:
        self._let_pass(ticks * times * TICK)

    @rule(seconds=st.sampled_from([0.25, 1.0, 10.0, 3600.0, 90_000.0]))
    def set_back(self, seconds: float) -> None:
        """Redis's clock only."""
        self.set_back_by += seconds
        self.model.now -= seconds
        self._set_clock()

    @rule(seconds=st.sampled_from([86_400, 86_399, 86_341, 86_280, 86_461]))
    def pass_a_day(self, seconds: int) -> None:
        """To the edge of the rolling day, from either side."""
        self._let_pass(seconds)

    @rule(
        limit=st.sampled_from(["rate", "daily", "burst", "margin", "reserve"]),
        value=st.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0, 10.0, 40.0]),
    )
    def tune(self, limit: str, value: float) -> None:
        if limit == "margin":
            value = min(value, 0.5)
        if limit in ("daily", "burst"):
            value = max(value, 1.0)
        if limit == "reserve" and value > self.model.daily:
            return
        ramp = self.model.ramp
        day = min(value, ramp.cap(self.model.now)) if ramp else value
        if limit == "daily" and self.model.policy.get("reserve", 0) > day:
            return
        if limit == "reserve" and value < 1:
            self.policy.set({limit: f"{value:.0%}"}, by="test")
        else:
            self.policy.set({limit: str(value)}, by="test", force=True)
        self.redis.hset(self.gate.keys.policy, "force", "")
        self.model.policy[limit] = value
        if limit in ("daily", "reserve"):
            self.model.try_the_large_again()

    @rule()
    def reset(self) -> None:
        self.policy.reset(by="test")
        self.model.policy.clear()
        self.model.try_the_large_again()

    @rule(first=st.sampled_from([1, 4, 30]), factor=st.integers(2, 9), days=st.integers(1, 4))
    def start_ramp(self, first: int, factor: int, days: int) -> None:
        if self.model.policy.get("reserve", 0) > first:
            return
        start_ramp(self.redis, "default", first, first * factor, days * 86_400, by="test")
        self.model.ramp = RampModel(first, first * factor, days, self.model.now)
        self.model.try_the_large_again()

    @rule()
    def stop_ramp(self) -> None:
        if stop_ramp(self.redis, "default", by="test"):
            self.model.ramp = None
            self.model.try_the_large_again()
        self.model.ramp = None

    @precondition(lambda self: self.model.ramp)
    @rule(bounced=st.booleans())
    def mind_ramp(self, bounced: bool) -> None:
        """It stands still while too much bounced, and goes on."""
        mind_ramp(self.redis, "default", Standing(sent=1000, bounced=500 * bounced, complained=0))
        (self.model.ramp.stand if bounced else self.model.ramp.go)(self.model.now)

    @rule(pause=st.booleans())
    def pause_or_resume(self, pause: bool) -> None:
        self.model.paused = pause
        if pause:
            self.policy.pause("a look at the bounces", by="test")
        else:
            self.policy.resume(by="test")

    @rule()
    def throttle(self) -> None:
        """SES said "too fast" about something (nothing of ours): the gate must believe it."""
        mail_id = self.outbox.send(
            Message(sender="a@example.com", to=["success@simulator.amazonses.com"], text="t")
        )
        self.redis.hset(
            self.gate.keys.message(mail_id), mapping={"state": "sending", "claim_id": "y", "claimed": 0}
        )
        self.redis.lrem(f"rq:queue:{self.gate.keys.queue(Lane.TRANSACTIONAL)}", 0, mail_id)
        self.gate.settle([SendResult(Grant(mail_id, "y"), State.REFUSED, throttled=True)])
        self.model.throttled()

    @rule(elsewhere=st.integers(0, 30))
    def sync_with_others(self, elsewhere: int) -> None:
        """Somebody else sends on the same account, and GetAccount tells. (Their rate is not ours to keep.)

        Only where our own mail, as SES may yet count it, leaves them the room.
        """
        coming = sum(flight.mail.day for flight in self.flying if not flight.arrived)
        others = elsewhere and self.ses.daily >= 0
        if others and self.ses.sent(self.ses_now) + coming + elsewhere <= self.ses.daily:
            self.ses.taken.append((self.ses_now, elsewhere))
        self._sync()

    @invariant()
    def books_agree(self) -> None:
        """First the raw keys, as the step left them."""
        books.assert_sum(self.redis)
        newest = int(self.redis.hget(self.gate.keys.gate, "minute") or 0)
        counted = {minute: n for minute, n in self.model.minutes.items() if n and minute > newest - SLOTS}
        assert books.minutes(self.redis) == counted
        names = ("level", "at", "ses_level", "ses_at", "on_way", "folds_at", "folded")
        raw = [float(value) for value in self.redis.hmget(self.gate.keys.gate, *names)]
        model = self.model
        kept = [model.level, model.flows, model.ses_level, model.ses_at, model.on_way, model.folds_at]
        assert raw == pytest.approx([*kept, model.folded], abs=1e-5), names
        gathers = (self.redis.hget(self.gate.keys.gate, "gathers") or b"").decode()
        if model.gathers:
            assert gathers.endswith(f" {model.gathers.id}")
        usage = self.gate.usage()
        self.model.look()
        assert usage.flying == sum(flight.mail.day for flight in self.flying)
        assert usage.total == self.model.total
        assert usage.tokens == pytest.approx(self.model.tokens, abs=1e-5)
        assert usage.burst == pytest.approx(self.model.burst)
        assert usage.reserve == self.model.reserve
        assert (usage.daily or 0) == (0 if self.model.daily == math.inf else self.model.daily)
        # more than the ramp lets go was sent before it began, or before the clock was set back
        assert usage.ramp is None or usage.ramp.cap == self.model.ramp.cap(self.model.now)

    @property
    def ses_now(self) -> float:
        return self.model.now + self.set_back_by

    def _arrive(self, flight: Flight) -> None:
        if not flight.arrived:
            answer = self.ses.offer(flight.mail.n, flight.mail.day, self.ses_now)
            assert answer == "ok", (answer, flight, self.ses)
        flight.arrived = True

    def _let_pass(self, seconds: float) -> None:
        """What is on its way arrives before the gate's patience ends."""
        for flight in self.flying:
            if (
                flight.mail.tokens_at is not None
                and not flight.stale
                and flight.arrives_by < self.ses_now + seconds
            ):
                self._arrive(flight)
        self.model.now += seconds
        self._set_clock()

    def _sync(self) -> None:
        usage = self.gate.usage()
        self.model.look()
        sent, booked = self.ses.sent(self.ses_now), usage.total - usage.flying
        told = {"rate": self.ses.rate, "daily": self.ses.daily, "sent": sent, "production": 1, "sending": 1}
        told |= {"booked": booked, "books": usage.books, "asked": usage.now}
        SYNC.run(
            self.redis,
            "default",
            json.dumps({**told, "readable": 1, "paused_because": "", "enforcement": ""}),
        )
        self.model.others = max(0, sent - booked)
        self.model.level, self.model.flows = self.model.tokens, self.model.now
        self.model.charge(0, self.model.now)

    def _set_clock(self) -> None:
        self.redis.set(CLOCK_OFFSET, f"={self.model.now:.6f}")


@pytest.fixture
def machine(redis: Redis) -> type[GateMachine]:
    return type("GateMachineOnRedis", (GateMachine,), {"redis": redis})


def test_script_and_model_grant_the_same_and_ses_never_refuses(machine: type[GateMachine]) -> None:
    """Given any traffic, tuning and time; then script and model agree, and the strictest SES takes all of it."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=70, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
