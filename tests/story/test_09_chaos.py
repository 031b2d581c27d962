"""Everything at once: workers killed, Redis restarted, SES losing replies. Short in CI, `make chaos` at length."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

import pytest
from redis import Redis

from agreement import assert_agreement
from chaos import rage
from own_redis import own_redis
from sesq.queue.events import EventReader, listen
from sesq.queue.states import FINAL_STATES, State
from sesq.queue.tenant_limits import TenantLimits
from system import eventually, running_system

pytestmark = pytest.mark.redis

LONG = os.environ.get("SESQ_TEST_CHAOS") == "long"
SECONDS, MAILS = (60.0, 3000) if LONG else (16.0, 600)
SEED = int(os.environ.get("SESQ_TEST_SEED", "9"))
WORKERS = 3
RATE = 50.0
SETTINGS = {"SESQ_LEASE_SECONDS": "5", "SESQ_REDIS_TIMEOUT_SECONDS": "2", "SESQ_CONCURRENCY": "8"}
SETTLED = FINAL_STATES | {State.HELD, State.UNKNOWN}


def test_every_message_ends_in_one_state_and_none_is_accepted_twice(short_path: Path, tmp_path: Path) -> None:
    # Given an SES that loses 3 % of its replies, resets 3 % and answers 5 % with 503
    with (
        own_redis(short_path) as server,
        server.client() as client,
        running_system(
            client, server.url, tmp_path, settings=SETTINGS, max_send_rate=RATE, max_24_hour_send=100_000
        ) as s,
    ):
        s.ses.set_faults(
            lose_reply=0.03, reset=0.03, unavailable=0.05, seed=SEED, slow={"seconds": 0.02, "when": "after"}
        )
        # and a consumer who is told of everything
        listen(client, "default", "crm")
        # and bulk mail of two tenants, of which one is limited, beside that of none
        TenantLimits(client).set("acme", {"rate": "20/second"}, by="ada")
        for tenant in ("acme", "zeta"):
            s.ses.add_tenant(tenant)
        ids = [*s.send(MAILS // 4, lane="bulk"), *s.send(MAILS // 2)]
        ids += [id for tenant in ("acme", "zeta") for id in s.send(MAILS // 8, lane="bulk", tenant=tenant)]

        # When one worker after the other is killed, and Redis restarted twice
        starts = [lambda: s.start_workers(1)[0]] * WORKERS
        rage(server, starts, SEED, SECONDS, first=lambda: s.wait_for(State.SENT, 10))

        # and then left alone
        s.ses.set_faults()
        settled = lambda: sum(s.count(state) for state in SETTLED) == MAILS  # noqa: E731
        eventually(settled, f"all {MAILS} messages settle; {s.messages.counts()}", patience=180)

        # Then each message is in one final state, or held or unknown with its reason
        records = [s.outbox.status(id) for id in ids]
        assert all(record.state in SETTLED for record in records)
        assert all(record.reason for record in records if record.state in (State.HELD, State.UNKNOWN))
        assert_agreement(s.redis)

        # and the consumer was told of each change, from the first to the last, in order
        assert told_of(client) == {
            record.id: [event.state.value for event in record.history] for record in records
        }

        # and SES took nothing twice, everything that we call sent, and no more than it allows
        report = s.ses.report()
        accepted = {m["tags"]["sesq-id"] for m in s.ses.messages() if m["accepted"]}
        assert report["duplicates"] == 0
        assert {record.id for record in records if record.state is State.SENT} <= accepted
        maybe = {record.id for record in records if record.state is State.UNKNOWN}
        assert accepted <= {record.id for record in records if record.state is State.SENT} | maybe
        assert report["throttles"] == 0
        assert report["max_recipients_in_1s"] <= 2 * RATE
        print(f"{report['accepted']} accepted, {len(maybe)} unknown, {len(s.processes)} worker processes")  # noqa: T201


def told_of(redis: Redis) -> dict[str, list[str]]:
    """The states of each message, as they were told; each goes on from the one before."""
    states: dict[str, list[str]] = defaultdict(list)
    reader = EventReader(redis, "default", "crm")
    while events := reader.read(block=0.001):
        for event in events:
            assert event.was == (states[event.message] or [""])[-1]
            states[event.message].append(event.state)
        reader.acknowledge(*(event.id for event in events))
    return states
