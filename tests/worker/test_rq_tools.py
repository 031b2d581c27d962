"""Whatever people do with RQ's tools, and whichever stock workers are killed: no mail is lost or sent twice.

And RQ shows each message where it is.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime, timezone

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from redis import Redis
from rq import Queue
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from batch_stage import BatchStage
from rq_tools import kill_with_job_in_hand
from sesq.queue.audit import audit
from sesq.queue.states import Lane, State
from sesq.worker.reconcile import SETTLED_SECONDS, reconcile
from sesq.worker.verdicts import Kind
from stage import says

EPISODES, STEPS = int(os.environ.get("SESQ_TEST_EPISODES", "10")), 25

ANSWERS = {
    "taken": None,
    "refused": says(Kind.REFUSED),
    "held": says(Kind.UNRECOGNIZED, "person"),
    "lost": says(Kind.UNKNOWN),
}
LANES = st.sampled_from(list(Lane))
NO_JOB = ("with no RQ job", "with status none")
NUMBERS = st.integers(0, 99)
WAITING = (State.QUEUED, State.SCHEDULED, State.RETRYING, State.HELD, State.UNKNOWN)


class RqTools(RuleBasedStateMachine):
    """Jobs of messages and chunks are deleted, cancelled, queued again, and taken by workers that die."""

    redis: Redis

    @initialize()
    def begin(self) -> None:
        self.redis.flushdb()
        self.stage = BatchStage(self.redis)
        self.ids: list[str] = []
        self.chunks: list[str] = []
        self.without_job: set[str] = set()
        """Whose job somebody has deleted: it is not missed where all is over, nor while it stands in its lane."""
        self.left: set[str] = set()
        """What SES has, or may have."""

    def rq_queue(self, lane: Lane) -> Queue:
        return Queue(self.stage.keys.queue(lane), connection=self.redis, serializer=JSONSerializer)

    def job(self, number: int) -> Job | None:
        every = [*self.ids, *self.chunks]
        with suppress(NoSuchJobError):
            return Job.fetch(every[number % len(every)], self.redis, JSONSerializer) if every else None
        return None

    # what sesq does

    @rule(lane=LANES, later=st.booleans())
    def send(self, lane: Lane, later: bool) -> None:
        due = datetime.fromtimestamp(self.stage.now + 300, timezone.utc) if later else None
        self.ids.append(self.stage.queue(lane=lane, send_at=due))

    @rule(rows=st.integers(1, 4))
    def send_batch(self, rows: int) -> None:
        taken = self.stage.take(rows, key=f"batch {len(self.chunks)}")
        self.chunks.append(f"{taken.id}-0")

    @rule(want=st.integers(1, 3), answer=st.sampled_from(sorted(ANSWERS)))
    def work(self, want: int, answer: str) -> None:
        """A worker takes some of what waits."""
        self.take(want, answer)

    def take(self, want: int, answer: str) -> bool:
        """Whether there was anything."""
        claim, started = self.stage.claim(want)
        for each in started:
            id = each.grant.id
            assert id not in self.left, f"{id} goes a second time"
            if verdict := ANSWERS[answer]:
                self.stage.transport.answer(verdict)
            self.stage.gate.settle([self.stage.sender.send_message(each)])
            if answer in ("taken", "lost"):
                self.left.add(id)
        return bool(started or claim.unknown_jobs or claim.reason == "more")

    @rule()
    def sync(self) -> None:
        """What RQ was told has its effect: whatever waits stands somewhere then."""
        self.stage.pass_time(SETTLED_SECONDS + 1)
        reconcile(self.redis, "default")
        standing: set[str] = set()
        for lane in Lane:
            queue = self.rq_queue(lane)
            places = (queue, queue.scheduled_job_registry, queue.deferred_job_registry)
            standing |= {id for place in places for id in place.get_job_ids()}
        lost = {id for id in self.ids if self.stage.state(id) in WAITING} - standing
        assert not lost, {id: self.stage.state(id) for id in lost}

    # what people do with RQ's tools

    @rule(number=NUMBERS)
    def delete(self, number: int) -> None:
        if job := self.job(number):
            job.delete()
            self.without_job.add(job.id)

    @rule(lane=LANES)
    def empty(self, lane: Lane) -> None:
        queue = self.rq_queue(lane)
        ids = queue.get_job_ids()
        queue.empty()
        self.without_job |= set(ids)

    @rule(number=NUMBERS)
    def cancel(self, number: int) -> None:
        job = self.job(number)
        with suppress(InvalidJobOperation):
            if job:
                job.cancel()

    @rule(number=NUMBERS, lane=LANES, at_front=st.booleans())
    def enqueue(self, number: int, lane: Lane, at_front: bool) -> None:
        """As django-rq's button does it, into any lane."""
        if job := self.job(number):
            self.rq_queue(lane)._enqueue_job(job, at_front=at_front)

    @rule(lane=LANES)
    def requeue_all(self, lane: Lane) -> None:
        registry = self.rq_queue(lane).failed_job_registry
        for id in registry.get_job_ids():
            with suppress(NoSuchJobError, InvalidJobOperation):
                registry.requeue(id)

    @rule(name=st.sampled_from(["a", "b"]), lane=LANES)
    def put_a_job_of_others(self, name: str, lane: Lane) -> None:
        self.redis.rpush(self.rq_queue(lane).key, name)

    # what stock workers do

    @rule(lane=LANES)
    def a_stock_worker_is_killed(self, lane: Lane) -> None:
        """With the head of a lane in hand."""
        with suppress(NoSuchJobError):
            for id in self.rq_queue(lane).get_job_ids(0, 1):
                kill_with_job_in_hand(self.stage, id)

    @rule(lane=LANES)
    def rq_sweeps(self, lane: Lane) -> None:
        """`rq info` calls failed what a killed worker had, when its time is over."""
        self.rq_queue(lane).started_job_registry.cleanup(timestamp=self.stage.now)

    # the end

    def teardown(self) -> None:
        """All is where it belongs, once a sync has looked and the lanes are worked off."""
        for _ in range(3):
            self.sync()
            self.stage.pass_time(600)
            self.stage.gate.promote()
            while self.take(20, "taken"):
                self.stage.pass_time(1)
        self.sync()
        for key in self.redis.scan_iter("rq:execution*"):
            self.redis.delete(key)  # these run out by themselves
        ended = {self.stage.keys.message(id) for id in self.without_job} | {
            self.stage.keys.chunk(id) for id in self.without_job
        }
        findings = audit(self.redis, settled=True, sleep=lambda _: None)
        wrong = [each for each in findings if not (each.key in ended and each.what.endswith(NO_JOB))]
        assert wrong == [], "\n".join(map(str, wrong))
        for lane in Lane:
            queue = self.rq_queue(lane)
            assert [*queue.get_job_ids(), *queue.scheduled_job_registry.get_job_ids()] == []


def test_whatever_rqs_tools_do_no_message_is_lost_sent_twice_or_shown_elsewhere(redis: Redis) -> None:
    RqTools.redis = redis
    run_state_machine_as_test(
        RqTools, settings=settings(max_examples=EPISODES, stateful_step_count=STEPS, deadline=None)
    )
