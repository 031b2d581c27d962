"""The part of Amazon SQS (JSON protocol) that a real client needs to read events."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from sesq.simulator.arns import write_arn
from sesq.simulator.clock import Clock
from sesq.simulator.errors import SesError
from sesq.simulator.events.publisher import Publisher
from sesq.simulator.events.queue import EventQueue, QueuedMessage
from sesq.simulator.http import ACCOUNT_ID, Call, Reply
from sesq.simulator.members import items, text

TARGET = "AmazonSQS."
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
_POLL = 0.1  # seconds after which a waiting reader sees what a moved clock has made visible
_MAX_BATCH = 10
_MAX_WAIT = 20
_VISIBILITY = 30


class SqsError(Exception):
    """`code` is that of the JSON protocol, `query_code` the older one that some clients look for."""

    def __init__(self, code: str, query_code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.query_code = query_code


class Asked(NamedTuple):
    publisher: Publisher
    clock: Clock
    base_url: str
    body: dict[str, Any]

    def queue(self) -> EventQueue:
        """Returns the queue of `QueueUrl`. Raises SqsError."""
        return self.named(text(self.body, "QueueUrl").rpartition("/")[2])

    def named(self, name: str) -> EventQueue:
        queue = self.publisher.queues.get(name)
        if queue is None:
            raise SqsError(
                "QueueDoesNotExist",
                "AWS.SimpleQueueService.NonExistentQueue",
                "The specified queue does not exist.",
            )
        return queue

    def url(self, name: str) -> str:
        return f"{self.base_url}/{ACCOUNT_ID}/{name}"

    def number(self, name: str, default: int, largest: int) -> int:
        value = self.body.get(name, default)
        if not isinstance(value, int) or not 0 <= value <= largest:
            raise SqsError(
                "InvalidParameterValue", "InvalidParameterValue", f"{name} is not between 0 and {largest}."
            )
        return value


async def answer(publisher: Publisher, clock: Clock, call: Call) -> Reply:
    operation = call.header(b"x-amz-target").removeprefix(TARGET)
    try:
        asked = Asked(publisher, clock, f"http://{call.header(b'host')}", _json_object(call.body))
        if operation == "ReceiveMessage":
            result = await _receive(asked)
        elif operation in _OPERATIONS:
            result = _OPERATIONS[operation](asked)
        else:
            raise SqsError(
                "UnsupportedOperation", "UnsupportedOperation", f"No operation {operation[:80]} here."
            )
    except SqsError as error:
        return _refusal(error)
    except SesError as error:
        return _refusal(SqsError("InvalidParameterValue", "InvalidParameterValue", error.message or ""))
    return Reply(200, json.dumps(result).encode(), "application/x-amz-json-1.0")


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise SqsError("InvalidParameterValue", "InvalidParameterValue", "The body is not JSON.") from error
    return value if isinstance(value, dict) else {}


def _refusal(error: SqsError) -> Reply:
    body = json.dumps({"__type": f"com.amazonaws.sqs#{error.code}", "message": str(error)}).encode()
    return Reply(400, body, "application/x-amz-json-1.0", error.code)


async def _receive(asked: Asked) -> dict[str, Any]:
    queue = asked.queue()
    most = max(1, asked.number("MaxNumberOfMessages", 1, _MAX_BATCH))
    visibility = asked.number("VisibilityTimeout", _VISIBILITY, 43_200)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + asked.number("WaitTimeSeconds", 0, _MAX_WAIT)
    found = queue.receive(most, visibility, asked.clock.now())
    while not found and loop.time() < deadline:
        await asyncio.sleep(min(_POLL, deadline - loop.time()))
        found = queue.receive(most, visibility, asked.clock.now())
    return {"Messages": [_message(each) for each in found]} if found else {}


def _message(message: QueuedMessage) -> dict[str, Any]:
    return {
        "MessageId": message.id,
        "ReceiptHandle": message.receipt,
        "MD5OfBody": hashlib.md5(message.body.encode(), usedforsecurity=False).hexdigest(),
        "Body": message.body,
        "Attributes": {
            "SentTimestamp": str(int(message.sent_at * 1000)),
            "ApproximateReceiveCount": str(message.received),
        },
    }


def _create(asked: Asked) -> dict[str, Any]:
    name = text(asked.body, "QueueName")
    if not _NAME.fullmatch(name):
        raise SqsError("InvalidParameterValue", "InvalidParameterValue", "Invalid QueueName.")
    asked.publisher.queue(name)
    return {"QueueUrl": asked.url(name)}


def _get_url(asked: Asked) -> dict[str, Any]:
    name = text(asked.body, "QueueName")
    asked.named(name)
    return {"QueueUrl": asked.url(name)}


def _list(asked: Asked) -> dict[str, Any]:
    prefix = text(asked.body, "QueueNamePrefix")
    names = [name for name in sorted(asked.publisher.queues) if name.startswith(prefix)]
    return {"QueueUrls": [asked.url(name) for name in names]}


def _delete(asked: Asked) -> dict[str, Any]:
    asked.queue().delete(text(asked.body, "ReceiptHandle"))
    return {}


def _delete_batch(asked: Asked) -> dict[str, Any]:
    queue = asked.queue()
    entries = items(asked.body, "Entries")
    for entry in entries:
        queue.delete(text(entry, "ReceiptHandle"))
    return {"Successful": [{"Id": text(entry, "Id")} for entry in entries], "Failed": []}


def _change_visibility(asked: Asked) -> dict[str, Any]:
    visibility = asked.number("VisibilityTimeout", _VISIBILITY, 43_200)
    if not asked.queue().change_visibility(text(asked.body, "ReceiptHandle"), visibility, asked.clock.now()):
        raise SqsError("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", "The receipt handle is not valid.")
    return {}


def _attributes(asked: Asked) -> dict[str, Any]:
    ready, in_flight = asked.queue().counts(asked.clock.now())
    name = text(asked.body, "QueueUrl").rpartition("/")[2]
    return {
        "Attributes": {
            "ApproximateNumberOfMessages": str(ready),
            "ApproximateNumberOfMessagesNotVisible": str(in_flight),
            "QueueArn": write_arn(asked.publisher.region, name, "sqs"),
        }
    }


def _purge(asked: Asked) -> dict[str, Any]:
    asked.queue().clear()
    return {}


_OPERATIONS: dict[str, Callable[[Asked], dict[str, Any]]] = {
    "CreateQueue": _create,
    "GetQueueUrl": _get_url,
    "ListQueues": _list,
    "DeleteMessage": _delete,
    "DeleteMessageBatch": _delete_batch,
    "ChangeMessageVisibility": _change_visibility,
    "GetQueueAttributes": _attributes,
    "PurgeQueue": _purge,
}
