"""Celery with a rate limit: the application that its workers load. Redis is the broker, with priorities."""

from __future__ import annotations

import os

from botocore.exceptions import ClientError
from celery import Celery

from benchmarks.rules_mail import send

FIRST, LAST = 0, 9
"""Priorities; with Redis, 0 is the highest."""

app = Celery("benchmarks", broker=os.environ["SESQ_REDIS_URL"].replace("unix://", "redis+socket://"))
app.conf.broker_transport_options = {"queue_order_strategy": "priority"}
app.conf.worker_prefetch_multiplier = 1
app.conf.task_ignore_result = True


@app.task(
    rate_limit=f"{float(os.environ.get('BENCH_RATE', '1')):g}/s",
    autoretry_for=(ClientError,),
    retry_backoff=True,
)
def mail_task(number: int) -> None:
    """Sends one mail."""
    send(number)
