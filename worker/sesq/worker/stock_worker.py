"""Runs in a stock RQ worker for a job of sesq: sends nothing, puts the job back, and tells that worker to stop.

A stock worker takes a job out of its queue before the gate is asked, and can send only one mail at a time. So
`sesq worker` serves sesq's queues, or the same class under `rq worker -w`.
"""

from __future__ import annotations

import logging
import time

from redis import Redis
from rq import Retry, get_current_job
from rq.command import send_shutdown_command
from rq.worker import BaseWorker

from sesq.config.errors import SesqError

log = logging.getLogger("sesq.worker")

TRIES = 1_000_000
"""RQ needs a limit of retries. This one is never reached: sesq counts its own attempts."""
STOP_SECONDS, LOOK_SECONDS = 2.0, 0.02
SERVED_BY = "`sesq worker`, or `rq worker -w sesq.worker.SesqWorker -S json`"


class NotAWorker(SesqError):
    """The function of a job was called outside of an RQ worker."""


def send(id: str) -> Retry:
    """Puts a job back to the head of its queue, and stops the stock worker that took it. Raises NotAWorker."""
    job = get_current_job()
    if job is None or not job.worker_name:
        raise NotAWorker(f"only RQ's workers may call sesq.worker.send; message {id} is sent by {SERVED_BY}")
    log.warning(
        "queue %s is served by %s: a stock RQ worker sends nothing of it, and worker %s is told to stop",
        job.origin,
        SERVED_BY,
        job.worker_name,
    )
    _stop(job.connection, job.worker_name)
    return Retry(max=TRIES, enqueue_at_front=True)


def _stop(redis: Redis, worker: str) -> None:
    """Tells a worker to stop, and waits until it knows, because it would take the next job meanwhile."""
    send_shutdown_command(redis, worker)
    deadline = time.monotonic() + STOP_SECONDS
    key = BaseWorker.redis_worker_namespace_prefix + worker
    while not redis.hexists(key, "shutdown_requested_date") and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
