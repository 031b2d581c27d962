"""`kill -9` on workers at any moment: nothing is lost, nothing is doubled, and what nobody can know is shown."""

from __future__ import annotations

import random
import time
from typing import Any

from agreement import assert_agreement
from sesq.queue.states import State
from system import System, eventually

SEED = 20
KILLS = 8
MAILS = 600
SHORT = {"SESQ_LEASE_SECONDS": "5", "SESQ_CONCURRENCY": "8"}


def test_killed_between_the_call_and_the_answer_it_is_unknown_and_the_rest_goes(system: Any) -> None:
    s: System
    with system(max_send_rate=100, max_24_hour_send=1000, settings=SHORT) as s:
        s.ses.set_faults(slow={"seconds": 30, "when": "after"})
        ids = s.send(12)
        (worker,) = s.start_workers(1)
        eventually(lambda: s.ses.report()["accepted"] == 8, "eight are on their way")
        worker.kill()
        worker.wait()
        s.ses.set_faults()
        s.start_workers(1)
        s.wait_for(State.UNKNOWN, 8)
        s.wait_for(State.SENT, 4)
        assert (s.ses.report()["accepted"], s.ses.report()["duplicates"]) == (12, 0)
        assert all("died" in s.outbox.status(id).reason for id in ids[:8])
        assert s.gate.usage().total == 12
        assert_agreement(s.redis)


def kill_in_a_loop(s: System) -> None:
    """Kills one of two workers after another, at moments in an order that a seed gives."""
    dice = random.Random(SEED)
    workers = s.start_workers(2)
    for _ in range(KILLS):
        sent = s.ses.report()["accepted"]
        target = sent + dice.randrange(1, 30)
        eventually(lambda target=target: s.ses.report()["accepted"] >= target, "some more are sent")
        if dice.random() < 0.5:
            time.sleep(dice.random() * 0.05)  # anywhere between two mails
        victim = dice.randrange(2)
        workers[victim].kill()
        workers[victim].wait()
        (workers[victim],) = s.start_workers(1)


def test_killed_again_and_again_nothing_is_lost_and_nothing_doubled(system: Any) -> None:
    s: System
    with system(max_send_rate=60, max_24_hour_send=10_000, settings=SHORT) as s:
        ids = [*s.send(MAILS // 2, lane="bulk"), *s.send(MAILS // 2)]
        s.ses.set_faults(slow={"seconds": 0.05, "when": "after"})
        kill_in_a_loop(s)
        assert s.ses.report()["accepted"] < MAILS  # all of them were killed at work
        # When nobody is killed any more, then every message comes to its end
        eventually(
            lambda: s.count(State.SENT) + s.count(State.UNKNOWN) == MAILS,
            f"all are sent or unknown; {s.messages.counts()}",
        )
        records = {id: s.outbox.status(id) for id in ids}
        report = s.ses.report()
        accepted = {mail["tags"]["sesq-id"] for mail in s.ses.messages()}
        assert (report["duplicates"], report["refused"], report["throttles"]) == (0, {}, 0)
        sent = {id for id, record in records.items() if record.state is State.SENT}
        assert sent <= accepted <= set(ids)
        assert all(records[id].message_id for id in sent)
        # whatever SES took and nobody wrote down is unknown, with a reason
        assert accepted - sent <= {id for id, record in records.items() if record.state is State.UNKNOWN}
        assert all("died" in records[id].reason for id in ids if id not in sent)
        assert_agreement(s.redis)
