"""What RQ's own workers and tools leave behind."""

from __future__ import annotations

from rq.job import Job
from rq.serializers import JSONSerializer

from stage import Stage


def kill_with_job_in_hand(stage: Stage, id: str) -> None:
    """A stock worker of RQ's took the job out of its queue, and was killed before it gave it back."""
    job = Job.fetch(id, stage.redis, JSONSerializer)
    stage.redis.lrem(f"rq:queue:{job.origin}", 1, id)
    stage.redis.hset(job.key, "status", "started")
    stage.redis.zadd(f"rq:wip:{job.origin}", {f"{id}:run": stage.now + 90})
    stage.redis.zadd(f"rq:executions:{id}", {"run": stage.now + 150})
