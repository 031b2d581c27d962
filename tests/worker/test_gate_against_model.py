"""The gate's script against a plain model, and both against the strictest SES there could be."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

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
from gate_model import SLOTS, Chunk, GateModel, Mail, StrictSes
from sesq.config.batches import Batches
from sesq.config.errors import WrongState
from sesq.config.keys import CLOCK_OFFSET
from sesq.config.policy import Policy
from sesq.config.states import Lane
from sesq.producer import Message, Outbox
from sesq.producer.batch.order import batch_order
from sesq.producer.batch.taker import numbered, take
from sesq.worker.gate import SYNC, Claim, Gate
from sesq.worker.slices import SETTLE_SLICE

START = 1_700_000_000.0
LEASE = 32.0
TICK = 1 / 64
"""All times are whole 64ths of a second: exact in binary, so that both sides compute the same."""

RATES = st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.0, 14.0, 20.0, 100.0])
DAYS = st.sampled_from([-1.0, 5.0, 50.0, 200.0])
LANES = st.sampled_from(list(Lane))
TEMPLATE = template()


class GateMachine(RuleBasedStateMachine):
    """Random traffic under a clock that the test moves. Every mail arrives at SES between its claim and its answer."""

    redis: Redis

    @initialize(rate=RATES, daily=DAYS)
    def begin(self, rate: float, daily: float) -> None:
        self.redis.flushall()
        self.model = GateModel(START, rate, daily, flows=START)
        self.ses = StrictSes(rate, daily, START)
        self.gate, self.outbox, self.policy = Gate(self.redis), Outbox(self.redis), Policy(self.redis)
        self.flying: list[tuple[Mail, str, float]] = []
        self.claims = self.batches = 0
        self.chunks: dict[str, Chunk] = {}
        self.slices: dict[str, str] = {}
        self.policy.configure({"margin": "0"})
        self._set_clock()
        self._sync()

    @rule(lane=LANES, n=st.sampled_from([1, 1, 1, 2, 5, 50]), simulated=st.booleans())
    def queue(self, lane: Lane, n: int, simulated: bool) -> None:
        domain = "simulator.amazonses.com" if simulated else "example.org"
        to = [f"success+{i}@{domain}" for i in range(n)]
        id = self.outbox.send(Message(sender="a@example.com", to=to, subject="s", text="t", lane=lane))
        self.model.lanes[lane is Lane.BULK].append(Mail(id, n, 0 if simulated else n))

    @rule(n=st.sampled_from([1, 2, 30]), simulated=st.sampled_from([0, 0, 1, 5]))
    def queue_batch(self, n: int, simulated: int) -> None:
        """One chunk; those of the mailbox simulator come last in it."""
        self.batches += 1
        to = [f"success+{i}@simulator.amazonses.com" for i in range(simulated)]
        to += [f"p{i}@example.org" for i in range(n)]
        order = batch_order(TEMPLATE, "a@example.com", str(self.batches))
        id = take(self.redis, order, numbered({"email": each, "name": "x"} for each in to)).id
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

    @rule(want=st.integers(1, 20))
    def claim(self, want: int) -> None:
        self.claims += 1
        execution = f"x-{self.claims}"
        granted = self.model.claim(want, execution, LEASE)
        claim = self.gate.claim("w", execution, want=want, lease=LEASE)
        rows = self._rows(claim)
        assert list(claim.ids) == [mail.id for mail in granted if "-" not in mail.id], claim
        assert rows == [mail.id for mail in granted if "-" in mail.id], claim
        self.flying += [(mail, execution, self.model.now) for mail in granted]
        if not self.model.serial:
            # at the latest a quarter of a second later; here: at once, which is as early as can be
            self._arrive(granted)

    @precondition(lambda self: self.flying)
    @rule(outcome=st.sampled_from(["sent", "sent", "sent", "unused"]))
    def answer(self, outcome: str) -> None:
        mail, execution, claimed = self.flying.pop(0)
        if self.model.serial and outcome == "sent":
            self._arrive([mail])
        self.model.answered(execution)
        told: dict[str, Any] = {"id": mail.id, "execution": execution, "to": "sent", "message_id": "m"}
        if outcome == "unused" and self.model.serial:
            self.model.refund(mail, claimed, rate=True)
            if mail.id in self.slices:
                self.model.give_back(self.chunks[mail.id.partition("-")[0]], mail)
            told = {
                "id": mail.id,
                "execution": execution,
                "to": "refused",
                "refund_rate": True,
                "refund_day": True,
            }
        if mail.id in self.slices:
            self._settle_row(mail, execution, back=outcome == "unused" and self.model.serial)
        else:
            self.gate.settle([told])

    @rule(ticks=st.sampled_from([1, 4, 16, 64, 64 * 10, 64 * 60, 64 * 3600]), times=st.integers(1, 20))
    def pass_time(self, ticks: int, times: int) -> None:
        if self.model.serial and self.flying:
            times, ticks = 1, min(ticks, 64)  # an answer comes before its lease runs out
        self.model.now += ticks * times * TICK
        self._set_clock()

    @precondition(lambda self: not self.flying)
    @rule(seconds=st.sampled_from([86_400, 86_399, 86_341, 86_280, 86_461]))
    def pass_a_day(self, seconds: int) -> None:
        """To the edge of the rolling day, from either side."""
        self.model.now += seconds
        self._set_clock()

    @rule(
        knob=st.sampled_from(["rate", "daily", "burst", "margin", "reserve"]),
        value=st.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0, 10.0, 40.0]),
    )
    def tune(self, knob: str, value: float) -> None:
        if knob == "margin":
            value = min(value, 0.5)
        if knob in ("daily", "burst"):
            value = max(value, 1.0)
        if knob == "reserve" and value > self.model.daily:
            return
        if knob == "daily" and self.model.policy.get("reserve", 0) > value:
            return
        self.policy.set({knob: str(value)}, by="test", force=True)
        self.redis.hset(self.gate.keys.policy, "force", "")
        self.model.policy[knob] = value
        if knob in ("daily", "reserve"):
            self.model.try_the_large_again()

    @rule()
    def reset(self) -> None:
        self.policy.reset(by="test")
        self.model.policy.clear()
        self.model.try_the_large_again()

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
            self.gate.keys.message(mail_id), mapping={"state": "sending", "execution": "y", "claimed": 0}
        )
        self.redis.lrem(f"rq:queue:{self.gate.keys.queue(Lane.TRANSACTIONAL)}", 0, mail_id)
        self.gate.settle([{"id": mail_id, "execution": "y", "to": "refused", "throttled": True}])
        self.model.throttled()

    @precondition(lambda self: not self.flying)
    @rule(elsewhere=st.integers(0, 30))
    def sync_with_others(self, elsewhere: int) -> None:
        """Somebody else sends on the same account, and GetAccount tells. (Their rate is not ours to keep.)"""
        if elsewhere and self.ses.daily >= 0 and self.ses.sent(self.model.now) + elsewhere <= self.ses.daily:
            self.ses.taken.append((self.model.now, elsewhere))
        self._sync()

    @invariant()
    def books_agree(self) -> None:
        """First the raw keys, as the step left them."""
        books.assert_sum(self.redis)
        newest = int(self.redis.hget(self.gate.keys.gate, "minute") or 0)
        counted = {minute: n for minute, n in self.model.minutes.items() if n and minute > newest - SLOTS}
        assert books.minutes(self.redis) == counted
        level, flows = (float(value) for value in self.redis.hmget(self.gate.keys.gate, "level", "at"))
        assert level == pytest.approx(self.model.level, abs=1e-5)
        assert flows == pytest.approx(self.model.flows, abs=1e-5)
        usage = self.gate.usage()
        assert usage.total == self.model.total
        assert usage.tokens == pytest.approx(self.model.tokens, abs=1e-5)
        assert usage.burst == pytest.approx(self.model.burst)

    def _rows(self, claim: Claim) -> list[str]:
        """The recipients of the slices that a claim brought."""
        found = []
        for each in claim.slices:
            ids = [f"{each.chunk}-{row}" for row in range(each.start, each.end)]
            self.slices |= dict.fromkeys(ids, each.name)
            found += ids
        return found

    def _settle_row(self, mail: Mail, execution: str, *, back: bool) -> None:
        row = int(mail.id.rpartition("-")[2])
        told = {"taken": [] if back else [(row, "m")], "back": [row] if back else []}
        refused = SETTLE_SLICE.run(self.redis, "default", self.slices[mail.id], execution, json.dumps(told))
        assert refused == []

    def _arrive(self, mails: list[Mail]) -> None:
        for mail in mails:
            answer = self.ses.offer(mail.n, mail.day, self.model.now)
            assert answer == "ok", (answer, mail, self.ses)

    def _sync(self) -> None:
        sent = self.ses.sent(self.model.now)
        told = {"rate": self.ses.rate, "daily": self.ses.daily, "sent": sent, "production": 1, "sending": 1}
        SYNC.run(
            self.redis,
            "default",
            json.dumps({**told, "readable": 1, "paused_because": "", "enforcement": ""}),
        )
        self.model.others = max(0, sent - self.model.total)
        self.model.level, self.model.flows = self.model.tokens, max(self.model.flows, self.model.now)

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
            max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
