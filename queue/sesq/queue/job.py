"""Makes the fields of an RQ job, which the scripts write beside a message or a chunk, and the names of RQ's keys."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from functools import lru_cache

from redis import Redis
from rq.defaults import RQ_KEY_PREFIX
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import utcformat

SEND = "sesq.worker.send"
"""The function that all of sesq's jobs name, with an id as its only argument. The producer never imports it.

The name is short, so that RQ's `data` of a message has at most the 64 bytes up to which Redis packs a hash.
"""

KEEP_DAYS = 14
KEEP_SECONDS = KEEP_DAYS * 86_400
"""How long a job, its message's record and its batch stay after their end, if no setting says otherwise."""
ID = "%id%"
"""What stands for the id in the template."""


def rq_key(kind: str, name: str) -> str:
    """Returns a key of RQ's own: a `queue`, its registries (`wip`, `deferred`, …) and its `workers`; or a `job`."""
    return f"{RQ_KEY_PREFIX}:{kind}:{name}"


def rq_now() -> str:
    """Returns the time of this host, as RQ writes it. Only RQ's tools use it: sesq goes by Redis's clock."""
    return utcformat(datetime.now(timezone.utc))


def job_fields(id: str, queue: str, description: str) -> list[str]:
    """Returns name, value, name, value, … of a job. The description must hold no content, because RQ logs it."""
    now = rq_now()
    parts = _job_template(queue)
    data = parts[-1].replace(
        ID, json.dumps(id)[1:-1]
    )  # an id that is damaged in Redis may hold any character
    return [*parts[:-1], data, "description", description, "created_at", now, "enqueued_at", now]


@lru_cache(maxsize=64)
def _job_template(queue: str) -> tuple[str, ...]:
    """Makes the fields of a job with RQ, once for each queue: name, value, …, last its data, with %id% for the id.

    RQ's time limits are left out: the scripts say how long a job stays, and only stock RQ workers would use them.
    """
    job = Job.create(
        SEND, args=(ID,), id="template", connection=Redis(), origin=queue, serializer=JSONSerializer
    )
    fields = job.to_dict()
    for name in ("data", "description", "status", "created_at", "enqueued_at"):
        fields.pop(name, None)
    kept = [part for name, value in fields.items() if value not in (None, "") for part in (name, str(value))]
    # RQ also reads data that is not compressed, so the id can be replaced in it
    return (*kept, "data", job.data.decode())
