"""Shows a worker to RQ's tools: registers it, sends heartbeats, and obeys their commands to suspend and stop."""

from __future__ import annotations

import logging
import os
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from redis import Redis
from rq import Queue
from rq.defaults import DEFAULT_FAILURE_TTL
from rq.job import Job
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer
from rq.suspension import WORKERS_SUSPENDED
from rq.utils import ensure_job_list, get_connection_from_queues
from rq.worker import BaseWorker, DequeueStrategy, WorkerStatus

from sesq.config.connection import mapped
from sesq.config.errors import QueueUnavailable, SesqError
from sesq.queue.careful_redis import careful
from sesq.queue.replies import text, texts
from sesq.queue.shares import lane_of, lane_queue, tenant_of
from sesq.queue.states import Lane
from sesq.queue.usage import SUSPENDED

log = logging.getLogger("sesq.worker")

WORKER_TTL_SECONDS = 60
LISTEN_SECONDS = 60.0
LISTEN_AGAIN_SECONDS = 2.0
FAREWELL_SECONDS = 2.0
"""How long a worker waits for Redis when it ends."""


Queues = str | Queue | Sequence[str | Queue]
"""The queues of a worker, as RQ's own workers take them."""


class NameTaken(SesqError):
    """RQ lists another worker of that name."""


class NotServed(SesqError):
    """RQ asks for something that sesq's worker does not do. The text says why, and what to do instead."""


class RegisteredWorker(BaseWorker):
    """Is an RQ worker for sesq's queues only."""

    def __init__(
        self,
        queues: Queues,
        name: str | None = None,
        *,
        connection: Redis | None = None,
        prepare_for_work: bool = True,
        **_: Any,
    ) -> None:
        """Takes all options of `rq worker`, as RQ gives them; or no queues, to read a listed worker.

        It ignores RQ's options about jobs, their results and the heartbeat: sesq decides these itself.
        """
        given: list[str | Queue] = ensure_job_list(queues)
        names = [each if isinstance(each, str) else each.name for each in given]
        self.lanes = lanes_by_account(names)
        """The accounts and lanes that it serves, in the order of its queues."""
        self._is_to_work = prepare_for_work
        with mapped():
            super().__init__(
                names,
                name=name,
                connection=connection or get_connection_from_queues(given),
                serializer=JSONSerializer,
                worker_ttl=WORKER_TTL_SECONDS,
                prepare_for_work=prepare_for_work,
                log_job_description=False,
            )
        self.suspended = False
        """Whether somebody has suspended all workers (`rq suspend`), as `tell_rq` last saw it."""
        self.wake_channels: dict[str, Callable[[dict[str, Any]], None]] = {}
        """Further channels to listen to -> the function that is called with each message."""
        self._has_asked_for_its_name = False

    def register(self) -> None:
        """Enters RQ's list of workers, and listens to RQ's commands from then on.

        It may be called again after an error of Redis.
        """
        with mapped():
            self._be_born()
            self.set_state(WorkerStatus.STARTED)
            self.subscribe()

    def _be_born(self) -> None:
        if self._may_have_its_name():
            self.connection.delete(self.key)
        self._has_asked_for_its_name = True
        try:
            self.register_birth()  # type: ignore[no-untyped-call]
        except ValueError as error:
            raise NameTaken(
                f"--name: a worker called {self.name} is at work, or was less than {WORKER_TTL_SECONDS + 60} s ago: "
                "give this one another name, or none"
            ) from error

    def _may_have_its_name(self) -> bool:
        """Whether the listed worker with this name and host is itself, or a process that was killed."""
        host, pid = texts(self.connection.hmget(self.key, "hostname", "pid"))
        if host != self.hostname or not pid.isdigit():
            return False
        if int(pid) == self.pid:
            return self._has_asked_for_its_name
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False

    def tell_rq(self, *, busy: bool) -> None:
        """Writes heartbeat, state and count for RQ's tools; and reads whether somebody has suspended all workers."""
        if self.suspended:
            self._state = WorkerStatus.SUSPENDED
        else:
            self._state = WorkerStatus.BUSY if busy else WorkerStatus.IDLE
        told: dict[Any, Any] = {"state": self._state.value, "successful_job_count": self.successful_job_count}
        with mapped(), self.connection.pipeline(transaction=False) as pipeline:
            self.heartbeat(pipeline=pipeline)
            pipeline.hset(self.key, mapping=told)
            pipeline.hexists(self.key, "birth")
            pipeline.exists(WORKERS_SUSPENDED)
            known, suspended = pipeline.execute()[-2:]
            self._note_suspension(bool(suspended))
            if not known:  # Redis has lost the worker's entry
                self.connection.delete(self.key)
                self.register_birth()  # type: ignore[no-untyped-call]

    def _note_suspension(self, suspended: bool) -> None:
        if suspended and not self.suspended:
            log.warning("worker %s: %s; it sends nothing until `rq resume`", self.name, SUSPENDED)
        elif self.suspended and not suspended:
            log.info("worker %s: `rq resume`: it goes on", self.name)
        self.suspended = suspended

    def subscribe(self) -> None:
        """Listens to RQ's commands and to wake signals."""
        pubsub = self.connection.pubsub()  # type: ignore[no-untyped-call]
        pubsub.subscribe(**{self.pubsub_channel_name: self.handle_payload}, **self.wake_channels)
        self.pubsub = pubsub
        self.pubsub_thread = pubsub.run_in_thread(
            sleep_time=LISTEN_SECONDS, daemon=True, exception_handler=self._pubsub_exception_handler
        )

    def handle_payload(self, message: dict[str, Any]) -> None:
        """Obeys a command of RQ. Logs and ignores a command that cannot be read or carried out."""
        try:
            super().handle_payload(message)  # type: ignore[no-untyped-call]
        except Exception as error:  # noqa: BLE001  (RQ checks nothing of what it is sent)
            told = type(error).__name__
            log.warning("worker %s: a command on RQ's channel cannot be obeyed (%s)", self.name, told)

    def _pubsub_exception_handler(self, exc: Exception, *_: Any) -> None:
        """Keeps the listening thread alive. RQ's own handler ends it, and the worker would hear no more signals."""
        if not isinstance(exc, Exception):
            raise exc
        log.debug("worker %s: listening again in %g s: %r", self.name, LISTEN_AGAIN_SECONDS, exc)
        time.sleep(LISTEN_AGAIN_SECONDS)

    def _set_connection(self, connection: Redis) -> Redis:
        """Makes RQ's connection send each command once, with sesq's time limits."""
        return careful(connection) if self._is_to_work else connection

    def turn_away(self, id: str) -> None:
        """Refuses a job that is not sesq's in sesq's queues. RQ's tools then show why it does not run."""
        log.warning("worker %s: job %s is not a sesq message; it is not run", self.name, id)
        with mapped():
            origin = text(self.connection.hget(Job.key_for(id), "origin"))
            if origin:
                reason = zlib.compress(b"not a message of sesq, whose workers run nothing else")
                self.connection.hset(Job.key_for(id), mapping={"status": "failed", "exc_info": reason})
                registry = FailedJobRegistry(origin, connection=self.connection, serializer=self.serializer)
                self.connection.zadd(registry.key, {id: time.time() + DEFAULT_FAILURE_TTL})

    def take_leave(self, *, redis_is_away: bool) -> None:
        """Leaves RQ's list of workers. If Redis is away, the entry expires by itself, as leases do."""
        if redis_is_away:
            log.warning("worker %s: ended while Redis is away", self.name)
            return
        farewell = threading.Thread(target=self._say_farewell, name="farewell", daemon=True)
        farewell.start()
        farewell.join(FAREWELL_SECONDS)
        if farewell.is_alive():
            log.warning("worker %s: ended, and Redis does not answer", self.name)

    def _say_farewell(self) -> None:
        try:
            with mapped():
                self.teardown()  # type: ignore[no-untyped-call]
        except QueueUnavailable as error:
            log.warning("worker %s: ended while Redis is away: %s", self.name, error)


def lanes_by_account(queues: Sequence[str]) -> dict[str, list[Lane]]:
    """Finds the accounts and lanes of these RQ queues. Raises NotServed for any other queue."""
    found: dict[str, list[Lane]] = {}
    for queue in queues:
        place = lane_of(queue)
        if place is None and tenant_of(queue):
            raise NotServed(
                f"queue {queue}: it is a tenant's, and is served with the others of its lane: name {lane_queue(queue)}"
            )
        if place is None:
            raise NotServed(
                f"queue {queue}: sesq's worker serves only queues such as sesq.default.bulk; "
                "start another worker for this one"
            )
        account, lane = place
        found.setdefault(account, []).append(lane)
    return found


def refuse_options(
    *, max_jobs: int | None, max_idle_time: int | None, strategy: str, scheduler: bool
) -> None:
    """Raises NotServed for options of `rq worker` that sesq's worker cannot follow."""
    for option, given, why in (
        ("--max-jobs", max_jobs is not None, "it sends many messages at once, and counts no jobs"),
        (
            "--max-idle-time",
            max_idle_time is not None,
            "it waits for mail until it is stopped, or use --burst",
        ),
        (
            "--dequeue-strategy",
            strategy != DequeueStrategy.DEFAULT,
            "it serves the first lane before the second",
        ),
        ("--with-scheduler", scheduler, "it keeps the schedule of its queues itself"),
    ):
        if given:
            raise NotServed(f"{option} is not for sesq's worker: {why}; leave the option out")
