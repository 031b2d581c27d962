"""What `enqueue.lua` is told of one message. Pure."""

from __future__ import annotations

import hashlib
from typing import Any

from sesq.producer.message import Message
from sesq.queue.envelope import VERSIONS, encode_json
from sesq.queue.job import ID, job_template, rq_now
from sesq.queue.keys import queue_name


def enqueue_arguments(message: Message, id: str, keep_seconds: int, key_seconds: int) -> list[str | bytes]:
    """Makes the script's ARGV after the account: what is told of the message as JSON, its content, RQ's job.

    `keep_seconds`: of the record of a finished message; `key_seconds`: of its idempotency key.
    """
    queue = queue_name(message.account, message.lane)
    told: dict[str, Any] = {
        "id": id,
        "queue": queue,
        "at": rq_now(),
        "record": _record(message, keep_seconds),
    }
    if message.send_at:
        told["due"] = round(message.send_at.timestamp(), 3)
    if message.expires_at:
        told["expires"] = round(message.expires_at.timestamp(), 3)
    if message.idempotency_key:
        told["key"] = hashlib.sha256(message.idempotency_key.encode()).hexdigest()
        told["digest"] = message.fingerprint()
        told["key_ttl"] = key_seconds
    job = job_template(queue, keep_seconds, f"sesq message {ID}")
    return [encode_json(told), message.content(), job]


def _record(message: Message, keep_seconds: int) -> list[Any]:
    """Name, value, name, value, … of the message's own record; what is not said is left out."""
    envelope = message.envelope()
    record: list[Any] = ["v", VERSIONS[-1], "keep", keep_seconds]
    record += ["rate", envelope.rate_cost, "day", envelope.day_cost]
    record += envelope.to_fields()
    if message.send_at:
        record += ["send_at", round(message.send_at.timestamp(), 3)]
    if message.expires_at:
        record += ["expires_at", round(message.expires_at.timestamp(), 3)]
    return record
