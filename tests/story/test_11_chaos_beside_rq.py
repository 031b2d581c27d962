"""The same chaos beside RQ's own workers, with a batch among the mail: these send nothing and lose nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from redis import Redis

from agreement import assert_agreement
from batch import write_rows, write_template
from chaos import rage
from own_redis import own_redis
from sesq.queue.batches import Batches
from sesq.queue.states import FINAL_STATES, Lane, State
from system import eventually, running_system

pytestmark = pytest.mark.redis

SECONDS, MAILS, RECIPIENTS = 16.0, 200, 300
PATIENCE_SECONDS = 180.0
"""RQ's books of a killed worker are believed for some time."""
SEED = int(os.environ.get("SESQ_TEST_SEED", "2"))
SETTINGS = {"SESQ_LEASE_SECONDS": "5", "SESQ_REDIS_TIMEOUT_SECONDS": "2", "SESQ_SYNC_SECONDS": "5"}
SETTLED = FINAL_STATES | {State.UNKNOWN}


def agrees(redis: Redis) -> bool:
    try:
        assert_agreement(redis)
    except AssertionError:
        return False
    return True


def test_what_killed_workers_of_rqs_had_goes_all_the_same(short_path: Path, tmp_path: Path) -> None:
    # Given mail, and a batch, before one worker of sesq's and two of RQ's
    with (
        own_redis(short_path) as server,
        server.client() as client,
        running_system(
            client, server.url, tmp_path, settings=SETTINGS, max_send_rate=50, max_24_hour_send=100_000
        ) as s,
    ):
        folder = write_template(tmp_path / "news")
        rows = write_rows(tmp_path / "rows.csv", [f"reader{i}@example.org" for i in range(RECIPIENTS)])
        s.run("sesq.console", "batch", "send", str(folder), str(rows), "--from", "shop@example.com")
        s.send(MAILS // 2, lane="bulk")
        s.send(MAILS // 2)
        queues = [s.keys.queue(lane) for lane in Lane]
        stock = lambda: s.start("rq.cli", "worker", "-S", "json", "--url", server.url, *queues)  # noqa: E731
        ours = lambda: s.start_workers(1)[0]  # noqa: E731

        # When one after the other is killed, and Redis restarted twice, and SES loses replies
        s.ses.set_faults(
            lose_reply=0.03, reset=0.03, unavailable=0.05, seed=SEED, slow={"seconds": 0.02, "when": "after"}
        )
        rage(server, [ours, stock, stock], SEED, SECONDS, first=lambda: s.wait_for(State.SENT, 10))
        s.ses.set_faults()

        # Then all mail is sent, or unknown, as soon as a sync has seen what killed workers of RQ's had in hand
        (batch,) = Batches(s.redis).all()
        all_mail = lambda: (  # noqa: E731
            Batches(s.redis).get(batch.id).left == 0
            and sum(s.count(state) for state in SETTLED) == sum(s.messages.counts().values())
        )
        eventually(
            all_mail,
            f"all settle; {s.messages.counts()} {Batches(s.redis).get(batch.id).counts}",
            PATIENCE_SECONDS,
        )

        # none of it twice, within the limits, and RQ's tools show the same as sesq's
        report = s.ses.report()
        assert (report["duplicates"], report["throttles"]) == (0, 0)
        unknown = s.count(State.UNKNOWN)
        assert MAILS + RECIPIENTS - unknown <= report["accepted"] <= MAILS + RECIPIENTS
        eventually(lambda: agrees(s.redis), "RQ has let go of all jobs", PATIENCE_SECONDS)
