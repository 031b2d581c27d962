"""RQ with a sleep in the job: the job, and a worker that loads boto3 before it forks, as RQ's page on workers says."""

from __future__ import annotations

import os
import time

from redis import Redis
from rq import Worker

from benchmarks.rules_mail import client, send

QUEUES = ("urgent", "bulk")
"""A worker empties the first queue before the second."""


def mail_job(number: int) -> None:
    """Sends one mail, after a pause that keeps the worker's rate."""
    time.sleep(1 / float(os.environ["BENCH_RATE"]))
    send(number)


if __name__ == "__main__":
    client()
    Worker(QUEUES, connection=Redis.from_url(os.environ["SESQ_REDIS_URL"])).work(logging_level="ERROR")
