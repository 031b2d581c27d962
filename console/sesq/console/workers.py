"""The workers that are running, as RQ knows them, and the lanes that each serves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer
from rq.worker import Worker

from sesq.config.connection import mapped
from sesq.queue.keys import Keys
from sesq.queue.states import Lane

HEARTBEAT_SECONDS = 90
"""A worker without a heartbeat for this long is not counted. It sends one a second; RQ forgets it after two minutes."""


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker that is running. `sent`: messages since it started."""

    name: str
    host: str
    pid: int | None
    state: str
    last_heartbeat: float
    sent: int
    lanes: tuple[Lane, ...] = tuple(Lane)
    since: float = 0.0
    """When it started (seconds since the epoch)."""


def read_workers(redis: Redis, account: str, now: datetime | None = None) -> tuple[WorkerView, ...]:
    """Lists the running workers that serve the account, by name."""
    now = now or datetime.now(timezone.utc)
    found: dict[str, Any] = {}
    lanes: dict[str, tuple[Lane, ...]] = {}
    with mapped():
        for lane in Lane:
            queue = Queue(Keys(account).queue(lane), connection=redis, serializer=JSONSerializer)
            for worker in Worker.all(queue=queue):
                found[worker.name] = worker
                lanes[worker.name] = (*lanes.get(worker.name, ()), lane)
    return tuple(_worker(found[name], lanes[name]) for name in sorted(found) if _lives(found[name], now))


def _lives(worker: Any, now: datetime) -> bool:
    beat = worker.last_heartbeat
    return beat is not None and (now - beat).total_seconds() < HEARTBEAT_SECONDS


def _worker(worker: Any, lanes: tuple[Lane, ...]) -> WorkerView:
    beat, born = worker.last_heartbeat.timestamp(), worker.birth_date
    state = str(getattr(worker.get_state(), "value", worker.get_state()))
    return WorkerView(
        worker.name,
        worker.hostname or "",
        worker.pid,
        state,
        beat,
        worker.successful_job_count,
        lanes,
        born.timestamp() if born else 0.0,
    )
