"""Checks whether the events of SES are read: what becomes of mail is known by them alone."""

from __future__ import annotations

from collections.abc import Iterator

from redis import Redis

from sesq.config.errors import MissingPart, SesqError
from sesq.config.numbers import number_of
from sesq.config.parts import part
from sesq.config.settings import EventSettings, Settings
from sesq.console.checkup.check import Check, Status, fail, ok, warn
from sesq.console.times import span
from sesq.queue.reputation import Reputation
from sesq.queue.snapshot import redis_now

CHECK = "events"
LATELY_SECONDS = 300
"""A reader asks at least every 20 s, or waits a minute after a failure."""
NOT_SET_UP = "not set up, so deliveries, bounces and complaints are not known"
SETUP_HINT = "if you want to know them: sesq events setup"
READ_CURE = "keep sesq events running beside the workers (or sesq events endpoint, without a queue)"
QUEUE_CURE = "set accounts.{account}.events.queue_url right, or sesq events setup"
ASK_CURE = "nothing, if another host reads it; else allow sqs:GetQueueAttributes"
GONE = ("QueueDoesNotExist", "NonExistentQueue")


def check_events(redis: Redis, account: str, settings: Settings) -> Iterator[Check]:
    """Reads Redis, and asks SQS for the queue if one is set."""
    events = settings.account(account).events
    if not events.queue_url and not events.topic_arn:
        yield Check(CHECK, Status.OK, NOT_SET_UP, SETUP_HINT)
        return
    yield judge_reading(events, Reputation(redis, account).events_read_at(), redis_now(redis))
    if events.queue_url:
        yield from _check_queue(account, settings)


def judge_reading(events: EventSettings, read_at: float | None, now: float) -> Check:
    """Judges when they were last read. An endpoint without a queue reads only when an event comes."""
    if read_at is None:
        return warn(CHECK, "nobody has read any yet", READ_CURE)
    ago = max(0.0, now - read_at)
    if events.queue_url and ago > LATELY_SECONDS:
        return warn(CHECK, f"nobody has read them for {span(ago)}", READ_CURE)
    return ok(CHECK, f"read {span(ago)} ago")


def _check_queue(account: str, settings: Settings) -> Iterator[Check]:
    try:
        with part("worker"):
            from sesq.worker.aws_clients import open_client
            from sesq.worker.control.calls import ControlRefused
            from sesq.worker.events.queue import count_waiting
    except MissingPart:  # the check of the account says so
        return
    url = str(settings.account(account).events.queue_url)
    try:
        waiting = count_waiting(open_client(account, settings).service("sqs"), url)
        yield ok("events queue", f"{number_of(waiting, 'message')} to read")
    except ControlRefused as error:
        if any(code in error.code for code in GONE):
            yield fail("events queue", f"{url} does not exist", QUEUE_CURE.format(account=account))
        else:
            yield warn("events queue", str(error), ASK_CURE)
    except SesqError as error:
        yield warn("events queue", str(error), QUEUE_CURE.format(account=account))
