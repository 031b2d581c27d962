"""What `enqueue.lua` is told of messages. Pure."""

from __future__ import annotations

import hashlib
from typing import Any

from sesq.producer.message import Message
from sesq.queue.envelope import VERSIONS, encode_json
from sesq.queue.job import ID, job_template, rq_now
from sesq.queue.keys import queue_name
from sesq.queue.states import Lane


def lane_arguments(account: str, lane: Lane, key_seconds: int) -> str:
    """Makes the argument that all messages of one call share, as JSON. `key_seconds`: of an idempotency key."""
    queue = queue_name(account, lane)
    job = job_template(queue, f"sesq message {ID}")
    head = encode_json({"queue": queue, "at": rq_now(), "key_ttl": key_seconds})
    return f'{head[:-1]},"job":{job}}}'


def message_arguments(message: Message, id: str, keep_seconds: int) -> tuple[str, bytes]:
    """Makes the two arguments of one message: what is told of it as JSON, and its content.

    `keep_seconds`: of the record of a finished message.
    """
    told: dict[str, Any] = {"id": id, "record": _record(message, keep_seconds)}
    if message.send_at:
        told["due"] = round(message.send_at.timestamp(), 3)
    if message.expires_at:
        told["expires"] = round(message.expires_at.timestamp(), 3)
    if message.idempotency_key:
        told["key"] = hashlib.sha256(message.idempotency_key.encode()).hexdigest()
        told["digest"] = message.fingerprint()
    return encode_json(told), message.content()


def _record(message: Message, keep_seconds: int) -> list[str]:
    """Name, value, name, value, … of the message's own record, all as text; what is not said is left out."""
    envelope = message.envelope()
    record = ["v", str(VERSIONS[-1]), "keep", str(keep_seconds)]
    record += ["rate", str(envelope.rate_cost), "day", str(envelope.day_cost)]
    record += envelope.to_fields()
    if message.send_at:
        record += ["send_at", str(round(message.send_at.timestamp(), 3))]
    if message.expires_at:
        record += ["expires_at", str(round(message.expires_at.timestamp(), 3))]
    return record
