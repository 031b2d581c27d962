"""SES changes the account, others send on it, and books are lost: the workers follow SES's own numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from judge import accepted, overdrawn
from own_redis import OwnRedis, own_redis
from sesq.queue.states import State
from system import System, eventually, running_system


@pytest.fixture
def server(short_path: Path) -> Iterator[OwnRedis]:
    with own_redis(short_path) as server:
        yield server


def send_elsewhere(s: System, count: int) -> None:
    """Another program sends on the same account."""
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    ses = boto3.client("sesv2", endpoint_url=s.ses.endpoint_url, **keys)
    for i in range(count):
        ses.send_email(
            FromEmailAddress="other@example.com",
            Destination={"ToAddresses": [f"elsewhere{i}@example.org"]},
            Content={"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}}}},
        )
    ses.close()


def test_a_raised_quota_and_the_end_of_the_sandbox_are_followed_and_told(system: Any) -> None:
    s: System
    with system(production=False, max_send_rate=4, max_24_hour_send=8) as s:
        s.ses.verify("example.org")
        ids = s.send(40)
        s.start_workers(2)
        s.wait_for(State.SENT, 8)
        # When SES gives production access and a larger quota, and nobody tells the queue
        s.ses.set_account(production_access=True, max_send_rate=50, max_24_hour_send=1000)
        # Then all goes, and the log says why
        s.wait_for(State.SENT, 40)
        log = s.log()
        assert "the rate is now 50 recipients a second (was 4)" in log
        assert "the quota is now 1000 recipients in 24 hours (was 8)" in log
        assert "the account is out of the sandbox" in log
        report = s.ses.report()
        assert (report["accepted"], report["refused"], report["duplicates"]) == (len(ids), {}, 0)


def test_what_others_send_on_the_account_is_counted(system: Any) -> None:
    s: System
    with system(max_send_rate=50, max_24_hour_send=30) as s:
        send_elsewhere(s, 12)
        s.start_workers(2)
        s.send(10)
        s.wait_for(State.SENT, 10)
        send_elsewhere(s, 3)
        eventually(lambda: s.gate.usage().others == 15, "what others sent is known")
        s.send(20)
        s.wait_for(State.SENT, 15)
        eventually(lambda: s.gate.usage().remaining == 0, "the day is spent")
        report = s.ses.report()
        assert (report["accepted"], report["refused"], report["max_recipients_in_24h"]) == (30, {}, 30)


def test_a_message_larger_than_the_burst_goes_and_its_debt_is_paid(system: Any) -> None:
    s: System
    with system(max_send_rate=20, max_24_hour_send=1000) as s:
        s.start_workers(2)
        s.send(10)
        s.outbox.send(s.mail([f"person{i}@example.org" for i in range(50)]))
        last = s.send(5)
        s.wait_for(State.SENT, 16)
        report = s.ses.report()
        assert (report["recipients"], report["refused"], report["throttles"]) == (65, {}, 0)
        calls = accepted(s.ses.messages())
        assert overdrawn(calls, rate=20, burst=20) == []
        # and nobody went ahead of it, or before its 50 tokens had flowed but for SES's burst
        large = next(i for i, call in enumerate(calls) if call["recipients"] == 50)
        assert large == 10
        assert calls[large + 1]["at"] - calls[large]["at"] >= (50 - 20) / 20
        assert {call["tags"]["sesq-id"] for call in calls[large + 1 :]} == set(last)


def test_a_restart_of_everything_keeps_bucket_and_ledger(server: OwnRedis, tmp_path: Path) -> None:
    limits: dict[str, Any] = {"max_send_rate": 10, "max_24_hour_send": 30}
    with server.client() as client, running_system(client, server.url, tmp_path, **limits) as s:
        workers = s.start_workers(2)
        s.send(12)
        s.wait_for(State.SENT, 12)
        for worker in workers:
            worker.kill()
            worker.wait()
        s.send(40, lane="bulk")
        before = s.gate.usage()
        # When Redis and all workers are started again
        server.stop()
        server.start()
        after = s.gate.usage()
        # Then the books are the same, but for the tokens that have flowed meanwhile
        assert (after.total, after.others, after.claims) == (before.total, before.others, before.claims)
        flowed = (after.now - before.now) * before.pace
        assert before.tokens <= after.tokens <= before.tokens + flowed + 0.01  # JSON rounds the times
        s.start_workers(2, SESQ_LEASE_SECONDS="5")
        eventually(lambda: s.gate.usage().remaining == 0, "the day is spent")
        eventually(lambda: s.ses.report()["accepted"] == 30, "the whole day has gone")
        report = s.ses.report()
        assert (report["refused"], report["duplicates"], report["max_recipients_in_24h"]) == ({}, 0, 30)
        assert overdrawn(s.ses.messages(), rate=10, burst=10) == []


def test_a_lost_redis_starts_from_ses_s_number(system: Any) -> None:
    s: System
    with system(max_send_rate=20, max_24_hour_send=30) as s:
        s.start_workers(2)
        s.send(20)
        s.wait_for(State.SENT, 20)
        # When Redis loses everything under running workers
        s.redis.flushall()
        s.send(40)
        # Then ten go, and not thirty; nor a fresh bucket's worth at once
        s.wait_for(State.SENT, 10)
        eventually(lambda: s.gate.usage().remaining == 0, "the day is spent")
        s.wait_for_sync()
        usage, report = s.gate.usage(), s.ses.report()
        assert (usage.others, usage.total) == (20, 10)
        assert (report["accepted"], report["refused"], report["throttles"]) == (30, {}, 0)
