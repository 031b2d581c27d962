"""A job of RQ's, as fields of its hash, which the scripts write beside a message or a chunk; and where it stands."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from redis import Redis
from rq.defaults import RQ_KEY_PREFIX
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import utcformat

SEND = "sesq.worker.send"
"""The function that all of sesq's jobs name, with the id alone. The producer never imports it.

It is short, so that RQ's `data` of a message stays within the 64 bytes up to which Redis packs a hash.
"""

JOB_TIMEOUT_SECONDS = 300
KEEP_DAYS = 14
KEEP_SECONDS = KEEP_DAYS * 86_400
"""So long a job, its message's record and its batch stay after their end, where nobody has said otherwise."""
ID = "%id%"
"""What stands for the id in a template."""


def rq_key(kind: str, name: str) -> str:
    """A key of RQ's own: a `queue`, its registries (`wip`, `deferred`, …) and its `workers`; or a `job`."""
    return f"{RQ_KEY_PREFIX}:{kind}:{name}"


def rq_now() -> str:
    """The time of this host, as RQ writes it. For RQ's tools only: what is due is judged by Redis's clock."""
    return utcformat(datetime.now(timezone.utc))


def job_fields(id: str, queue: str, keep_seconds: int, description: str) -> list[Any]:
    """Name, value, name, value, …; the description holds no content: RQ logs it."""
    template = job_template(queue, keep_seconds, description.replace(id, ID))
    escaped = json.dumps(id)[1:-1]  # an id that is damaged in Redis may hold any character
    parts: list[Any] = json.loads(template)
    fields = [part.replace(ID, escaped) if isinstance(part, str) else part for part in parts]
    now = rq_now()
    return [*fields, "created_at", now, "enqueued_at", now]


@lru_cache(maxsize=64)
def job_template(queue: str, keep_seconds: int, description: str) -> str:
    """RQ's own fields of a job, made by RQ once, as JSON [name, value, …], %id% for the id, without the times."""
    job = Job.create(
        SEND,
        args=(ID,),
        id="template",
        connection=Redis(),
        origin=queue,
        description=description,
        timeout=JOB_TIMEOUT_SECONDS,
        result_ttl=keep_seconds,
        failure_ttl=keep_seconds,
        serializer=JSONSerializer,
    )
    # RQ reads its data uncompressed as well, so that the id can be put in
    fields = {**job.to_dict(), "data": job.data.decode()}
    kept = {name: value for name, value in fields.items() if value not in (None, "")}
    for name in ("status", "created_at", "enqueued_at"):
        kept.pop(name, None)
    return json.dumps([part for pair in kept.items() for part in pair])
