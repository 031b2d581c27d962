"""The arguments of `enqueue.lua` for messages, and its answers. Pure."""

from __future__ import annotations

import hashlib
from typing import Any

from sesq.config.errors import InvalidMessage
from sesq.producer.message import Message
from sesq.queue.envelope import VERSIONS, encode_json
from sesq.queue.job import job_fields


def enqueue_arguments(message: Message, id: str, queue: str, keep_seconds: int) -> list[str | bytes]:
    """Makes the arguments of one message. `keep_seconds`: how long its record stays when it is finished."""
    record = _record(message, keep_seconds)
    job = job_fields(id, queue, f"sesq message {id}")
    return [id, _options(message), message.content(), str(len(record)), str(len(job)), *record, *job]


def _options(message: Message) -> str:
    """Writes the options that few messages have as JSON; empty if there are none."""
    options: dict[str, Any] = {}
    if message.send_at:
        options["due"] = round(message.send_at.timestamp(), 3)
    if message.expires_at:
        options["expires"] = round(message.expires_at.timestamp(), 3)
    if message.idempotency_key:
        options["key"] = hashlib.sha256(message.idempotency_key.encode()).hexdigest()
        options["digest"] = message.fingerprint()
    return encode_json(options) if options else ""


def _record(message: Message, keep_seconds: int) -> list[str]:
    """Lists name, value, name, value, … of the message's record, all as text, without what is not given."""
    envelope = message.envelope()
    record = ["v", str(VERSIONS[-1]), "keep", str(keep_seconds)]
    record += ["rate", str(envelope.rate_cost), "day", str(envelope.day_cost)]
    record += envelope.to_fields()
    if message.send_at:
        record += ["send_at", str(round(message.send_at.timestamp(), 3))]
    if message.expires_at:
        record += ["expires_at", str(round(message.expires_at.timestamp(), 3))]
    return record


def outcome_of(answer: bytes | list[bytes]) -> str | InvalidMessage:
    """Returns the id, or the error of an idempotency key that was used for another mail."""
    if isinstance(answer, list):
        return key_is_taken(answer[1].decode())
    return answer.decode()


def key_is_taken(id: str) -> InvalidMessage:
    """Returns the error of an idempotency key that stands for the message `id`, which has other content."""
    return InvalidMessage("idempotency_key", f"was already used for message {id}, whose content is another")


def refuse_key(message: Message) -> None:
    """Raises InvalidMessage for an idempotency key in a transaction."""
    if message.idempotency_key:
        raise InvalidMessage(
            "idempotency_key", "cannot be used inside a transaction: a conflict would be known too late"
        )
