"""RQ's own worker and tools on sesq's queues: they send nothing, lose nothing, and show what is true."""

from __future__ import annotations

from typing import Any

from redis import Redis
from rq import Queue
from rq.command import send_shutdown_command
from rq.job import Job
from rq.serializers import JSONSerializer

from agreement import assert_agreement
from sesq.queue.states import Lane, State
from system import System, eventually


def rq_queue(redis: Redis, lane: Lane) -> Queue:
    return Queue(f"sesq.default.{lane}", connection=redis, serializer=JSONSerializer)


def test_a_stock_rq_worker_sends_nothing_and_loses_nothing(system: Any) -> None:
    s: System
    with system(max_send_rate=50, max_24_hour_send=1000) as s:
        # Given six mails, and RQ's own worker before their queues
        ids = s.send(6)
        url = s.environment["SESQ_REDIS_URL"]
        queues = [s.keys.queue(lane) for lane in Lane]
        stock = s.start("rq.cli", "worker", "-S", "json", "--url", url, *queues)
        # When it has taken one, Then it ends by itself
        assert stock.wait(60) == 0
        # and has said who serves the queues, sent nothing, and left all in its place
        assert s.log().count("is served by `sesq worker`") == 1
        assert s.ses.report()["accepted"] == 0
        assert rq_queue(s.redis, Lane.TRANSACTIONAL).get_job_ids() == ids
        assert_agreement(s.redis)
        # and sesq's worker sends all of it
        s.start_workers(1)
        s.wait_for(State.SENT, 6)
        assert (s.ses.report()["accepted"], s.ses.report()["duplicates"]) == (6, 0)


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


RQ_WORKER = ("-S", "json", "-w", "sesq.worker.SesqWorker")


def test_rq_starts_sesqs_worker_which_sends_within_the_limits(system: Any) -> None:
    s: System
    with system(max_send_rate=5, max_24_hour_send=8) as s:
        # Given twelve mails, and a day of eight
        s.send(12)
        url = s.environment["SESQ_REDIS_URL"]
        # When `rq worker` starts sesq's class on another Redis than the settings name
        queues = [s.keys.queue(lane) for lane in Lane]
        elsewhere = {"SESQ_REDIS_URL": "redis://127.0.0.1:1"}
        worker = s.start("rq.cli", "worker", *RQ_WORKER, "--url", url, "--name", "ox", *queues, **elsewhere)
        s.wait_for(State.SENT, 8)
        # Then eight are sent, none refused; the others wait
        eventually(lambda: s.count(State.QUEUED) == 4 and s.count(State.SENDING) == 0, "four wait")
        report = s.ses.report()
        assert (report["accepted"], report["refused"], report["throttles"]) == (8, {}, 0)
        # and RQ's tools see it as any worker, and stop it
        told = s.run(
            "rq.cli", "info", "--raw", "--only-workers", "--url", url, "-w", "sesq.worker.SesqWorker"
        )
        assert told.startswith("worker ox (")
        assert f"idle {', '.join(queues)}. jobs: 8 finished, 0 failed" in told
        send_shutdown_command(s.redis, "ox")
        assert worker.wait(60) == 0


def test_rqs_worker_pool_runs_sesqs_workers(system: Any) -> None:
    s: System
    with system(max_send_rate=100, max_24_hour_send=1000) as s:
        s.send(10)
        pool = (
            *(
                "rq.cli",
                "worker-pool",
                *RQ_WORKER,
                "--url",
                s.environment["SESQ_REDIS_URL"],
                "-n",
                "2",
                "--burst",
            ),
            *(s.keys.queue(lane) for lane in Lane),
        )
        s.run(*pool)
        assert (s.count(State.SENT), s.ses.report()["duplicates"]) == (10, 0)


def test_rq_is_told_why_sesqs_worker_does_not_start(system: Any) -> None:
    s: System
    with system() as s:
        url = s.environment["SESQ_REDIS_URL"]
        for words, why in (
            (("default",), "queue default: sesq's worker serves only queues such as sesq.default.bulk"),
            (("--with-scheduler", "sesq.default.bulk"), "--with-scheduler is not for sesq's worker"),
            (("--max-jobs", "3", "sesq.default.bulk"), "--max-jobs is not for sesq's worker"),
            (("sesq.shop.bulk",), "account 'shop' is not configured"),
        ):
            process = s.start("rq.cli", "worker", *RQ_WORKER, "--url", url, *words)
            assert process.wait(60) == 1
            assert why in s.log()
