"""RQ's own worker and tools on the same queues: slower, but they break no limit and send nothing twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from redis import Redis
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from agreement import assert_agreement
from batch import write_rows, write_template
from sesq.queue.batches import Batches
from sesq.queue.states import Lane, State
from system import System, eventually


def rq_queue(redis: Redis, lane: Lane) -> Queue:
    return Queue(f"sesq.default.{lane}", connection=redis, serializer=JSONSerializer)


def test_a_stock_rq_worker_sends_within_the_limits(system: Any) -> None:
    s: System
    with system(max_send_rate=5, max_24_hour_send=8) as s:
        # Given twelve mails, and a day of eight
        s.send(12)
        # When RQ's own worker takes them
        url = s.environment["SESQ_REDIS_URL"]
        queues = [s.keys.queue(lane) for lane in Lane]
        s.start("rq.cli", "worker", "-S", "json", "--url", url, *queues)
        s.wait_for(State.SENT, 8)
        # Then eight are sent, none refused; the others wait, and RQ's tools show the same
        eventually(lambda: s.count(State.QUEUED) == 4 and s.count(State.SENDING) == 0, "four wait")
        report = s.ses.report()
        assert (report["accepted"], report["refused"], report["throttles"]) == (8, {}, 0)


def test_what_a_stock_rq_worker_may_not_send_waits_where_it_would_with_sesqs_own(
    system: Any, tmp_path: Path
) -> None:
    s: System
    with system(max_send_rate=50, max_24_hour_send=1000, production=False) as s:
        # Given a mail that has to be held, and a batch that is paused, before a stock worker
        s.ses.verify("example.org")
        rows = write_rows(tmp_path / "rows.csv", (f"person{i}@example.org" for i in range(3)))
        folder = write_template(tmp_path / "news")
        batch = s.run(
            "sesq.console", "batch", "send", str(folder), str(rows), "--from", "shop@example.com"
        ).strip()
        s.run("sesq.console", "batch", "pause", batch)
        held = s.outbox.send(s.mail("bob@elsewhere.org"))
        url = s.environment["SESQ_REDIS_URL"]
        s.start("rq.cli", "worker", "-S", "json", "--url", url, *(s.keys.queue(lane) for lane in Lane))
        # When it has met both, and takes other mail
        s.wait_for(State.HELD, 1)
        urgent, bulk = rq_queue(s.redis, Lane.TRANSACTIONAL), rq_queue(s.redis, Lane.BULK)
        eventually(lambda: not bulk.get_job_ids(), "it has taken the chunk")
        sent = s.send(1)
        s.wait_for(State.SENT, 1)
        # Then RQ's tools show both as waiting, and nothing as failed
        eventually(lambda: urgent.finished_job_registry.get_job_ids() == sent, "RQ has let go of it")
        assert urgent.deferred_job_registry.get_job_ids() == [held]
        assert bulk.deferred_job_registry.get_job_ids() == [f"{batch}-0"]
        assert_agreement(s.redis)
        # and the batch goes on when it is resumed
        s.run("sesq.console", "batch", "resume", batch)
        eventually(lambda: Batches(s.redis).get(batch).sent == 3, "all have got it")


def test_rq_shows_the_queues_truly_and_requeue_all_sends_nothing_twice(system: Any) -> None:
    s: System
    with system(max_send_rate=50, max_24_hour_send=1000, production=False) as s:
        # Given mail that was sent, held for its recipient, and of which nobody knows whether SES took it
        s.ses.verify("example.org")
        sent = s.send(5)
        held = s.outbox.send(s.mail("bob@elsewhere.org"))
        s.start_workers(1)
        s.wait_for(State.SENT, 5)
        s.wait_for(State.HELD, 1)
        s.ses.set_faults({"lose_reply": {"count": 1}})
        unknown = s.outbox.send(s.mail())
        s.wait_for(State.UNKNOWN, 1)
        # and one more that waits, since the account is paused
        s.run("sesq.console", "quota", "pause", "for the test")
        waiting = s.outbox.send(s.mail("person9@example.org", lane="bulk"))

        # Then RQ's registries agree with ours
        urgent, bulk = rq_queue(s.redis, Lane.TRANSACTIONAL), rq_queue(s.redis, Lane.BULK)
        assert set(urgent.finished_job_registry.get_job_ids()) == set(sent)
        assert set(urgent.deferred_job_registry.get_job_ids()) == {held, unknown}
        assert bulk.get_job_ids() == [waiting]
        statuses = {
            id: Job.fetch(id, s.redis, JSONSerializer).get_status() for id in (sent[0], held, waiting)
        }
        assert [status.value for status in statuses.values()] == ["finished", "deferred", "queued"]
        url = s.environment["SESQ_REDIS_URL"]
        info = s.run("rq.cli", "info", "--raw", "--url", url)
        assert "queue sesq.default.bulk 1" in info
        assert "queue sesq.default.transactional 0" in info

        # When somebody requeues all that RQ calls failed, and puts others into the queue by hand
        s.run(
            "rq.cli",
            "requeue",
            "-S",
            "json",
            "--url",
            url,
            "--queue",
            s.keys.queue(Lane.TRANSACTIONAL),
            "--all",
        )
        s.redis.rpush(f"rq:queue:{s.keys.queue(Lane.TRANSACTIONAL)}", sent[0], unknown)
        s.run("sesq.console", "quota", "resume")

        # Then nothing is sent twice
        s.wait_for(State.SENT, 6)
        eventually(lambda: not urgent.get_job_ids(), "the queue is empty")
        report = s.ses.report()
        assert (report["accepted"], report["duplicates"]) == (7, 0)
        assert s.outbox.status(unknown).state is State.UNKNOWN
