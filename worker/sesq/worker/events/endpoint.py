"""Takes events from SNS over HTTPS. Refuses messages without SNS's signature for our topic, and repeated ones."""

from __future__ import annotations

import json
import logging
from typing import Any

from redis import Redis
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sesq.config.connection import mapped
from sesq.config.errors import QueueUnavailable
from sesq.worker.events.feedback import Feedback, Handled
from sesq.worker.events.sns import MAX_AGE_SECONDS, MAX_AHEAD_SECONDS, Forged, SnsAway, SnsGuard

log = logging.getLogger("sesq.events")

MAX_BYTES = 1024 * 1024
"""SNS carries 256 KiB, which become longer by escaping and wrapping."""


class Endpoint:
    """Serves the ASGI application `app`.

    It answers 200 if all is done, 4xx if it refuses the message (SNS then gives up), and 503 if SNS has to try again.
    """

    def __init__(self, redis: Redis, guard: SnsGuard, feedback: Feedback) -> None:
        self._redis = redis
        self._guard = guard
        self._feedback = feedback
        self.app = Starlette(routes=[Route("/", self._receive, methods=["POST"])])

    async def _receive(self, request: Request) -> Response:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > MAX_BYTES:
                return PlainTextResponse("too large", 413)
        return await run_in_threadpool(self._answer, bytes(body))

    def _answer(self, body: bytes) -> Response:
        try:
            message = _message(body)
            self._guard.check(message)
            self._feedback.note_reading()
            return self._act(message)
        except Forged as error:
            log.warning("events: a message was refused: %s", error)
            return PlainTextResponse("refused", 403)
        except (QueueUnavailable, SnsAway) as error:
            log.warning("events: %s; SNS will try again", error)
            return PlainTextResponse("later", 503)

    def _act(self, message: dict[str, Any]) -> Response:
        if message["Type"] == "SubscriptionConfirmation":
            self._guard.confirm(message)
            log.info("events: the subscription to %s is confirmed", self._guard.topic_arn)
        elif message["Type"] == "UnsubscribeConfirmation":
            self._feedback.handle(json.dumps(message))
        else:
            return self._notify(message)
        return PlainTextResponse("ok")

    def _notify(self, message: dict[str, Any]) -> Response:
        seen = self._feedback.keys.event(f"sns:{message['MessageId']}")
        with mapped():
            if self._redis.exists(seen):
                raise Forged("it came before")
        if self._feedback.handle(message["Message"]) is Handled.EARLY:
            return PlainTextResponse("later", 503)
        with mapped():
            self._redis.set(seen, 1, ex=MAX_AGE_SECONDS + MAX_AHEAD_SECONDS)
        return PlainTextResponse("ok")


def _message(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Forged("it is not JSON") from error
    if not isinstance(message, dict):
        raise Forged("it is not a JSON object")
    return message
