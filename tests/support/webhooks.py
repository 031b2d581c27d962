"""A webhook for tests, with a clock that the test moves. It verifies the signatures of requests."""

from __future__ import annotations

import threading
import time
from typing import Any

from redis import Redis
from standardwebhooks.webhooks import Webhook

from sesq.config.webhook_settings import WebhookSettings
from sesq.queue.webhook_body import event_of
from sesq.worker.webhooks.endpoint import Endpoint
from stub_endpoint import StubEndpoint, StubRequest

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NAME = "app"
DAY = 86_400.0


class Clock:
    """A clock (seconds since the epoch) that moves only if a test moves it."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Impatient(threading.Event):
    """An event whose `wait` returns at once: a test moves the clock instead."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


class Hook:
    """A webhook whose steps a test makes one by one."""

    def __init__(self, redis: Redis, stub: StubEndpoint, clock: Clock, **settings: Any) -> None:
        self.stub = stub
        self.clock = clock
        given = {"url": f"{stub.url}/hook?token=hidden", "secret": SECRET, "timeout_seconds": 5, **settings}
        self.endpoint = Endpoint(
            redis, "default", NAME, WebhookSettings(**given), Impatient(), clock=clock, chance=lambda: 0.5
        )
        self.store = self.endpoint.store

    def step(self, count: int = 1, *, after: float = 0.0) -> None:
        """Moves the clock by `after` seconds, then makes `count` steps."""
        self.clock.now += after
        for _ in range(count):
            self.endpoint.step()

    def fail_for(self, seconds: float) -> None:
        """Lets the endpoint refuse everything for that time, with a round at least every 2,500 seconds."""
        until = self.clock.now + seconds
        self.stub.plays.extend([self.stub.reply(502)] * 1000)
        while self.clock.now < until:
            self.step(after=min(2500.0, until - self.clock.now))
        self.stub.plays.clear()

    @property
    def told(self) -> list[tuple[str, str]]:
        """(message, state) of each request, in order. It verifies the signatures."""
        return [told_by(request) for request in self.stub.requests]


def told_by(request: StubRequest, secret: str = SECRET) -> tuple[str, str]:
    """Returns (message, state) of a request. Raises an error if the signature is wrong."""
    Webhook(secret).verify(request.body, request.headers)
    event = event_of(request.body)
    assert request.headers["webhook-id"] == f"{event.account}.{event.id}"
    return event.message, event.state or event.type
