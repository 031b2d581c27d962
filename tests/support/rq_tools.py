"""Makes the states that RQ's own workers and tools leave in Redis."""

from __future__ import annotations

from rq.job import Job
from rq.serializers import JSONSerializer

from stage import Stage


def kill_with_job_in_hand(stage: Stage, id: str) -> None:
    """Leaves Redis as if one of RQ's own workers had taken the job, and was killed before it gave the job back."""
    job = Job.fetch(id, stage.redis, JSONSerializer)
    stage.redis.lrem(f"rq:queue:{job.origin}", 1, id)
    stage.redis.hset(job.key, "status", "started")
    stage.redis.zadd(f"rq:wip:{job.origin}", {f"{id}:run": stage.now + 90})
    stage.redis.zadd(f"rq:executions:{id}", {"run": stage.now + 150})
