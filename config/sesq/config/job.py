"""A job of RQ's, as fields of its hash: what the scripts write beside a message or a chunk."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import utcformat

DELIVER = "sesq.worker.deliver.deliver"
DELIVER_CHUNK = "sesq.worker.deliver.deliver_chunk"
"""The functions that sesq's jobs name. The producer never imports them."""

JOB_TIMEOUT_SECONDS = 300


def job_fields(
    function: str, account: str, id: str, queue: str, keep_seconds: int, description: str
) -> list[Any]:
    """Name, value, name, value, …; the description holds no content: RQ logs it."""
    now = utcformat(datetime.now(timezone.utc))
    fields = dict(_template(queue, keep_seconds))
    fields["data"] = json.dumps([function, None, [account, id], {}])
    fields["description"] = description
    fields["created_at"] = fields["enqueued_at"] = now
    return [part for pair in fields.items() for part in pair]


@lru_cache(maxsize=64)
def _template(queue: str, keep_seconds: int) -> dict[str, Any]:
    """RQ's own fields, made by RQ once; a job changes its id and times only."""
    job = Job.create(
        DELIVER,
        args=("account", "id"),
        id="template",
        connection=Redis(),
        origin=queue,
        description="",
        timeout=JOB_TIMEOUT_SECONDS,
        result_ttl=keep_seconds,
        failure_ttl=keep_seconds,
        serializer=JSONSerializer,
    )
    fields = job.to_dict()
    return {name: value for name, value in fields.items() if value not in (None, "") and name != "status"}
