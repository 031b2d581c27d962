"""The job of the peers: one mail by boto3, as the bare loop sends it. Their own commands load this module."""

from __future__ import annotations

import os
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from huey import RedisHuey

from benchmarks.bare_loop import send

URL = os.environ["SESQ_REDIS_URL"]
THREADS = 16

broker = RedisBroker(url=URL)
dramatiq.set_broker(broker)
huey = RedisHuey("peer", url=URL, results=False)


@dramatiq.actor
def dramatiq_mail(number: int, *_: Any) -> None:
    send(number, THREADS)


@huey.task()
def huey_mail(number: int, *_: Any) -> None:
    send(number, THREADS)
