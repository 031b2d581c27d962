"""The worker's loop on a real Redis: many at once, strangers, waking, stopping; no SES and no process of its own."""

from __future__ import annotations

import logging
import pickle
import signal
import threading
import time
import traceback
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any, cast

import pytest
from redis import Redis
from rq import Queue, Worker
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.suspension import resume, suspend

from agreement import assert_agreement
from batch import template
from sesq.config.errors import QueueUnavailable
from sesq.config.settings import Settings
from sesq.producer.batch.batch_intake import numbered, take
from sesq.producer.batch.request import batch_request
from sesq.queue.batches import Batches
from sesq.queue.gate import Gate
from sesq.queue.keys import CLOCK_OFFSET, Keys
from sesq.queue.states import Lane, State
from sesq.worker import opening
from sesq.worker.account_worker import AccountWorker
from sesq.worker.opening import OpenAccount
from sesq.worker.pace import Pace
from sesq.worker.round_trip import UNUSED_SECONDS
from sesq.worker.send_pool import SendPool
from sesq.worker.sync import AccountSync
from sesq.worker.threads import Threads
from sesq.worker.transports import Outgoing, SendFailed
from sesq.worker.verdicts import Kind
from sesq.worker.worker import SesqWorker
from stage import Stage, says, used_by
from system import eventually


class NoSync:
    """In place of AccountSync: SES is not asked."""

    def run_if_due(self) -> bool:
        return False


@pytest.fixture
def stage(redis: Redis) -> Stage:
    """With time that runs."""
    stage = Stage(redis)
    redis.delete(CLOCK_OFFSET)
    stage.sleep = time.sleep  # type: ignore[method-assign]
    stage.sender = stage.new_sender()
    return stage


@pytest.fixture(autouse=True)
def upkeep_ends(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The upkeep that a test has started in threads ends before the connections of the test do."""
    made, make = list[Threads](), Threads.__init__

    def note(threads: Threads) -> None:
        make(threads)
        made.append(threads)

    monkeypatch.setattr(Threads, "__init__", note)
    yield
    eventually(lambda: not any(threads.going_on for threads in made), "the upkeep has ended")


Hire = Callable[..., SesqWorker]


@pytest.fixture
def hire(stage: Stage, make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> Hire:
    """A worker of this process, in a thread or not; it takes no signals."""
    monkeypatch.setattr(SesqWorker, "_install_signal_handlers", lambda self: None)

    def hire(**settings: Any) -> SesqWorker:
        account = OpenAccount("default", stage.gate, stage.sender, stage.rules, cast("AccountSync", NoSync()))
        return SesqWorker.for_accounts([account], stage.redis, make_settings(concurrency=4, **settings))

    return hire


PATIENCE = 60.0


@pytest.fixture
def with_four_of_ten_on_their_way(
    stage: Stage, hire: Hire, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], SesqWorker]]:
    """A worker of four threads that takes ten of what waits, while SES does not answer until the test is over.

    However busy the machine is, what was granted may be used for PATIENCE seconds.
    """
    monkeypatch.setattr(AccountWorker, "places", 10)
    for module in ("account_worker", "send_permit"):
        monkeypatch.setattr(f"sesq.worker.{module}.UNUSED_SECONDS", PATIENCE)
    over = threading.Event()

    def slow(outgoing: Outgoing) -> str:
        over.wait(30)
        return f"id-{outgoing.id}"

    def start() -> SesqWorker:
        stage.transport.answer(*[slow] * 4)
        worker = hire()
        worker._claim()
        worker._exchange()
        eventually(lambda: len(stage.transport.tried) == 4, "four are on their way")
        return worker

    yield start
    over.set()


@contextmanager
def working(worker: SesqWorker, *, burst: bool = False) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=worker.work, args=(burst,))
    thread.start()
    try:
        yield thread
    finally:
        stop(worker)
        thread.join(30)
        assert not thread.is_alive()


def stop(worker: SesqWorker) -> None:
    """What a signal does."""
    worker.stop()


def lane_queue(stage: Stage, lane: Lane = Lane.TRANSACTIONAL, serializer: Any = JSONSerializer) -> Queue:
    return Queue(stage.keys.queue(lane), connection=stage.redis, serializer=serializer)


def test_a_burst_sends_all_that_may_go_and_ends(stage: Stage, hire: Hire) -> None:
    ids = [stage.queue(lane=lane) for lane in Lane for _ in range(15)]
    stage.transport.answer(says(Kind.REFUSED), says(Kind.UNKNOWN))
    assert hire().work(burst=True)
    counts = assert_agreement(stage.redis)
    assert (counts[State.SENT], counts[State.REFUSED], counts[State.UNKNOWN]) == (28, 1, 1)
    assert sorted(mail.id for mail in stage.transport.tried) == sorted(ids)


def test_a_burst_with_nothing_to_do_ends_and_says_so(stage: Stage, hire: Hire) -> None:
    assert not hire().work(burst=True)
    stage.queue()
    stage.policy.pause("stop", by="ada")
    assert not hire().work(burst=True)
    assert_agreement(stage.redis)


def test_a_bug_in_a_transport_makes_one_mail_unknown_and_stops_nothing(stage: Stage, hire: Hire) -> None:
    def broken(_: Outgoing) -> str:
        raise ZeroDivisionError

    stage.transport.answer(broken)
    ids = [stage.queue() for _ in range(5)]
    hire().work(burst=True)
    states = [stage.state(id) for id in ids]
    assert (states.count(State.UNKNOWN), states.count(State.SENT)) == (1, 4)
    (unknown,) = stage.messages.list([State.UNKNOWN])
    assert "ZeroDivisionError" in unknown.reason
    assert_agreement(stage.redis)


def test_a_strangers_job_is_not_run_and_rq_shows_why(stage: Stage, hire: Hire) -> None:
    ran = f"{__name__}.nobody_may_run_this"
    ours = lane_queue(stage)
    json_job = ours.enqueue(ran)
    pickled = lane_queue(stage, serializer=pickle).enqueue(ran)
    stage.redis.rpush(ours.key, "no-such-job")
    stage.redis.rpush(ours.key, "broken")
    stage.redis.hset("rq:job:broken", "data", b"\x80garbage")
    id = stage.queue()
    hire().work(burst=True)
    assert stage.state(id) is State.SENT
    assert ours.job_ids == []
    for job in (json_job, pickled):
        assert Job.exists(job.id, stage.redis)
        assert stage.redis.hget(job.key, "status") == b"failed"
        assert stage.redis.zscore(ours.failed_job_registry.key, job.id) is not None
        why = zlib.decompress(cast("bytes", stage.redis.hget(job.key, "exc_info")))
        assert b"not a message of sesq" in why


def test_a_grant_that_was_not_used_in_its_turn_is_given_back(stage: Stage, hire: Hire) -> None:
    id = stage.queue()
    worker = hire()
    _, (begun,) = stage.claim()
    late = time.monotonic() - 0.01
    outcome = worker.accounts[0].pool.send_one(used_by(begun, late))
    stage.gate.settle([outcome])
    assert (stage.state(id), stage.gate.usage().total, stage.transport.tried) == (State.QUEUED, 0, [])
    assert_agreement(stage.redis)


def test_scheduled_it_goes_at_its_time_and_not_before(stage: Stage, hire: Hire) -> None:
    send_at = datetime.now(timezone.utc) + timedelta(seconds=1.2)
    id = stage.queue(send_at=send_at)
    with working(hire()):
        eventually(lambda: stage.state(id) is State.SENT, "it is sent")
    sent_at = stage.status(id).history[-1].at
    assert send_at.timestamp() - 0.001 <= sent_at
    assert int(sent_at) <= int(send_at.timestamp()) + 1
    assert_agreement(stage.redis)


def test_a_new_limit_wakes_a_worker_that_sleeps_for_the_old_one(stage: Stage, hire: Hire) -> None:
    stage.policy.set({"rate": "0.001", "burst": "1"}, by="ada")
    ids = [stage.queue() for _ in range(3)]
    with working(hire()) as _:
        eventually(
            lambda: stage.redis.zcard(stage.keys.token_waiters) == 1, "it waits for a token of a far day"
        )
        stage.policy.reset(by="ada")
        # it would have looked again after half a minute
        eventually(lambda: stage.messages.counts()[State.SENT] == 3, "all are sent", patience=15)
    assert {stage.state(id) for id in ids} == {State.SENT}
    assert_agreement(stage.redis)


@pytest.mark.parametrize(
    ("waiting", "signal", "asks"),
    [
        (Lane.BULK, b"urgent", True),
        (Lane.BULK, b"", False),
        (Lane.TRANSACTIONAL, b"urgent", False),
        (Lane.TRANSACTIONAL, b"policy", True),
    ],
)
def test_urgent_mail_does_not_wait_for_the_tokens_of_bulk_mail(
    stage: Stage, hire: Hire, waiting: Lane, signal: bytes, asks: bool
) -> None:
    # Given a worker that waits for tokens for mail of a lane
    stage.policy.set({"rate": "0.001", "burst": "1"}, by="ada")
    for _ in range(2):
        stage.queue(lane=waiting)
    worker = hire()
    worker._claim()
    assert worker.accounts[0].answer == "rate"
    # When a wake signal comes, then it asks at once only where what came may go earlier
    worker.accounts[0].on_wake_signal({"data": signal})
    worker._receive(0)
    assert (worker.accounts[0].ask_at == 0.0) is asks


def test_rqs_suspend_and_resume_are_obeyed(
    stage: Stage, hire: Hire, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    suspend(stage.redis)
    id = stage.queue()
    due = stage.queue(send_at=datetime.now(timezone.utc) + timedelta(seconds=0.3))
    with working(hire()) as _:
        eventually(lambda: Worker.all(stage.redis, serializer=JSONSerializer), "it is registered")
        eventually(lambda: stage.state(due) is State.QUEUED, "it looks after the schedule")
        assert stage.gate.usage().claims == 0
        assert "suspended (`rq suspend`); it sends nothing until `rq resume`" in caplog.text
        assert stage.state(id) is State.QUEUED
        resume(stage.redis)
        eventually(lambda: stage.state(id) is State.SENT, "it is sent")
        assert "`rq resume`: it goes on" in caplog.text
    assert Worker.all(stage.redis, serializer=JSONSerializer) == []
    assert_agreement(stage.redis)


@pytest.mark.parametrize("backlog", [0, 1])
def test_answers_are_gathered_while_the_threads_have_begun_mail(
    stage: Stage, hire: Hire, monkeypatch: pytest.MonkeyPatch, backlog: int
) -> None:
    # Given a worker that hears one answer, and a moment later another one
    worker = hire()
    (account,) = worker.accounts
    stage.queue()
    _, (begun,) = stage.claim()
    answers = [stage.sender.send_message(begun), stage.sender.send_message(begun)]
    monkeypatch.setattr(SendPool, "backlog", backlog)
    account._in_loop(partial(account.take_in, answers[0]))
    monkeypatch.setattr(time, "sleep", lambda _: account._in_loop(partial(account.take_in, answers[1])))
    # Then it waits for the other one where its threads have something to do meanwhile
    worker._receive(1)
    assert len(account.unsettled) == 1 + backlog


def test_what_became_of_mail_is_kept_while_redis_is_away(
    stage: Stage, hire: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a worker whose mail has left, and a Redis that is away when its outcome is to be written down
    id = stage.queue()
    worker = hire()
    (account,) = worker.accounts
    worker._claim()
    worker._receive(30)
    exchange, tries = Gate.exchange, []

    def away(gate: Gate, *talks: Any) -> Any:
        tries.append(len(talks))
        if len(tries) < 3:
            raise QueueUnavailable("Redis cannot be reached")
        return exchange(gate, *talks)

    monkeypatch.setattr(Gate, "exchange", away)
    # When it tries again, and again
    for _ in range(2):
        with pytest.raises(QueueUnavailable):
            worker._exchange()
        assert (stage.state(id), account.is_idle) == (State.SENDING, False)
    worker._exchange()
    # Then it is written down, once
    assert (stage.state(id), account.is_idle) == (State.SENT, True)
    assert stage.transport.tried[1:] == []
    assert_agreement(stage.redis)


def test_after_redis_was_away_nobody_is_judged_who_had_no_chance_to_renew_a_lease(
    stage: Stage, hire: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given mail of another worker's, whose lease ran out while Redis was away
    theirs = stage.queue()
    stage.claim()
    stage.redis.zadd(stage.keys.leases, {theirs: time.time() - 1})
    worker = hire()

    def away(_: AccountWorker) -> int:
        raise QueueUnavailable("Redis cannot be reached")

    with monkeypatch.context() as redis:
        redis.setattr(AccountWorker, "exchange", away)
        worker._work_once()
    # When a worker for whom it was away as well has looked after the account twice: what becomes due shows that
    for _ in range(2):
        due = stage.queue(send_at=datetime.now(timezone.utc) + timedelta(hours=1))
        stage.redis.zadd("rq:scheduled:sesq.default.transactional", {due: 1})
        while stage.state(due) is State.SCHEDULED:
            worker._work_once()
    # Then the other one's mail is still that one's
    assert stage.state(theirs) is State.SENDING


def test_tokens_that_it_gives_back_it_asks_for_at_once(stage: Stage, hire: Hire) -> None:
    # Given a worker that took the only token, and waits for one of a far day
    stage.policy.set({"rate": "0.001", "burst": "1"}, by="ada")
    for _ in range(2):
        stage.queue()
    worker = hire()
    (account,) = worker.accounts
    account.claim(60.0)
    assert account.ask_at > time.monotonic()
    # When it gives back what was not sent, Then it asks at once, and need not wait for a signal
    account.put_back("was not sent")
    worker._exchange()
    assert account.ask_at == 0.0


def test_after_redis_was_away_it_asks_for_mail_at_once(
    stage: Stage, hire: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a worker that waits for a token of a far day
    monkeypatch.setattr("sesq.worker.worker.BACKOFF_SECONDS", (0.0,))
    stage.policy.set({"rate": "0.001", "burst": "1"}, by="ada")
    for _ in range(2):
        stage.queue()
    worker = hire()
    (account,) = worker.accounts
    worker._claim()
    assert account.ask_at > time.monotonic()
    # When Redis was away, and with it the signal that would have woken the worker, Then it asks at once
    worker._wait_for_redis(QueueUnavailable("Redis cannot be reached"))
    assert account.ask_at == 0.0


def test_a_burst_ends_while_all_workers_are_suspended_and_says_so(
    stage: Stage, hire: Hire, caplog: pytest.LogCaptureFixture
) -> None:
    id = stage.queue()
    suspend(stage.redis)
    with working(hire(), burst=True) as thread:
        thread.join(30)
        assert not thread.is_alive()
    resume(stage.redis)
    assert stage.state(id) is State.QUEUED
    because = "all workers are suspended (`rq suspend`)"
    assert f"account default: what is queued waits: {because}" in caplog.text


@pytest.mark.parametrize(
    ("pause", "because"),
    [(True, "the account is paused"), (False, "the day has no room for the next one")],
)
def test_a_burst_that_ends_before_all_is_sent_says_why(
    stage: Stage, hire: Hire, caplog: pytest.LogCaptureFixture, pause: bool, because: str
) -> None:
    stage.policy.pause("a look", by="ada") if pause else stage.policy.set({"daily": "1"}, by="ada")
    for _ in range(2):
        stage.queue()
    hire().work(burst=True)
    assert f"account default: what is queued waits: {because}" in caplog.text
    # and nothing where all is sent
    stage.policy.resume(by="ada")
    stage.policy.reset(by="ada")
    caplog.clear()
    hire().work(burst=True)
    assert stage.messages.counts()[State.SENT] == 2
    assert "waits" not in caplog.text


def of_many_accounts(stage: Stage, settings: Settings, count: int) -> SesqWorker:
    """A worker for so many accounts, whose mail takes the same way."""
    opened = []
    for number in range(count):
        name = f"account{number}"
        stage.redis.copy(stage.keys.snapshot, Keys(name).snapshot)
        stage.redis.copy(stage.keys.gate, Keys(name).gate)
        sender = stage.new_sender()
        sender.gate = Gate(stage.redis, name)
        opened.append(OpenAccount(name, sender.gate, sender, stage.rules, cast("AccountSync", NoSync())))
    return SesqWorker.for_accounts(opened, stage.redis, settings)


def test_accounts_share_their_threads(
    stage: Stage, make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a worker for ten accounts
    monkeypatch.setattr(SesqWorker, "_install_signal_handlers", lambda self: None)
    worker = of_many_accounts(stage, make_settings(concurrency=4), 10)
    with working(worker):
        eventually(lambda: Worker.all(stage.redis, serializer=JSONSerializer), "it is registered")
        before = threading.active_count()
        # When one after the other has mail
        for number in range(10):
            id = stage.queue(account=f"account{number}")
            eventually(
                lambda id=id, number=number: stage.outbox.status(id, f"account{number}").state is State.SENT,
                "it is sent",
            )
        # Then they need a few threads, not one each
        assert threading.active_count() - before < 5


def test_the_mail_of_one_account_is_begun_before_another_one_is_asked_for(
    stage: Stage, make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a worker for two accounts, and a claim for the second that takes longer than a grant is good for
    worker = of_many_accounts(stage, make_settings(concurrency=4), 2)
    id = stage.queue(account="account0")
    asked = []

    def claim(*words: Any, **options: Any) -> Any:
        asked.append(eventually(lambda: [mail.id for mail in stage.transport.tried], "it has left"))
        return Gate.claim(worker.accounts[1].gate, *words, **options)

    monkeypatch.setattr(worker.accounts[1].gate, "claim", claim)
    # When the worker takes a turn, Then the mail of the first has left by then
    worker._work_once()
    assert asked == [[id]]


@pytest.mark.parametrize(("accounts", "looks"), [(1, 20), (100, 2)])
def test_the_more_accounts_are_at_rest_the_more_rarely_each_is_looked_after(
    stage: Stage,
    make_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    accounts: int,
    looks: int,
) -> None:
    # Given a worker for many accounts without mail, and a clock that the test moves
    now, promoted, claimed = [time.monotonic()], [], []
    worker = of_many_accounts(stage, make_settings(), accounts)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(worker._threads, "run", lambda task: task())
    monkeypatch.setattr(Gate, "promote", lambda gate, _: promoted.append(gate.account) or (0, None))
    claim = Gate.claim
    monkeypatch.setattr(
        Gate, "claim", lambda gate, *a, **o: claimed.append(gate.account) or claim(gate, *a, **o)
    )
    worker._work_once()
    worker._work_once()  # the first look was before the gate had said that nothing waits
    now[0] += 1
    worker._work_once()
    promoted.clear()
    claimed.clear()
    # When 20 s pass, in the steps in which it wants to be woken
    end = now[0] + 20
    while now[0] < end:
        now[0] += max(0.001, worker._until_next())
        worker._work_once()
    # Then it has looked after each of them so often, and asked the gate as often
    assert len(promoted) / accounts == pytest.approx(looks, abs=1)
    assert len(claimed) / accounts == pytest.approx(looks, abs=1)


def test_what_the_upkeep_moves_is_claimed_at_once_though_no_signal_is_heard(stage: Stage, hire: Hire) -> None:
    # Given a worker that has nothing to send, and hears no signals
    stage.set_clock()
    worker = hire()
    worker._claim()
    assert worker.accounts[0].asks_at > time.monotonic()
    # When the upkeep finds nothing, Then it does not claim earlier
    worker.accounts[0].look_after(reaps=False)
    worker._receive(0)
    assert worker.accounts[0].asks_at > time.monotonic()
    # When the upkeep moves a message whose time has come, Then it claims
    stage.queue(send_at=datetime.fromtimestamp(stage.now + 1, timezone.utc))
    stage.pass_time(2)
    worker.accounts[0].look_after(reaps=False)
    worker._receive(0)
    assert worker.accounts[0].asks_at == 0.0


@pytest.mark.parametrize(
    ("what", "next_look"),
    [
        ("nothing", 10.0),
        ("a signal before", 10.0),
        ("a signal meanwhile", 1.0),
        ("mail on its way", 1.0),
        ("mail that waits for tokens", 1.0),
        ("mail of today", 3.0),
        ("mail of this moment", 0.02),
    ],
)
def test_the_upkeep_is_rare_only_where_nothing_happens(
    stage: Stage, hire: Hire, monkeypatch: pytest.MonkeyPatch, what: str, next_look: float
) -> None:
    # Given a worker at rest, whose upkeep is due every ten seconds, and something else
    stage.set_clock()
    now, worker, promote = time.monotonic(), hire(), Gate.promote
    account = worker.accounts[0]
    account.rest_seconds = 10.0
    if what == "mail that waits for tokens":
        stage.policy.set({"rate": "0.001", "burst": "1"}, by="ada")
        stage.queue()
        stage.queue()
        worker._claim()
        account.in_flight.clear()
    elif what == "mail on its way":
        stage.queue()
        worker._claim()
        account.answer = "empty"
    else:
        worker._claim()
    if what == "mail of today":
        stage.queue(send_at=datetime.fromtimestamp(stage.now + 3, timezone.utc))
    elif what == "mail of this moment":
        stage.queue(send_at=datetime.fromtimestamp(stage.now + 0.01, timezone.utc))
    elif what == "a signal before":
        account._heed(b"")

    def promoted(*given: Any) -> Any:
        if what == "a signal meanwhile":
            account._heed(b"")
        return promote(*given)

    monkeypatch.setattr(Gate, "promote", promoted)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    # When it does the upkeep, Then the next one is later only if nothing happens until then
    account.look_at = now + 1
    account.look_after(reaps=False)
    worker._receive(0)
    assert account.look_at - now == pytest.approx(next_look, abs=0.001)


def test_an_account_that_ses_does_not_describe_holds_up_no_other(
    stage: Stage, make_settings: Callable[..., Settings]
) -> None:
    # Given a worker for two accounts, of which SES does not answer for the first
    answer, asked = threading.Event(), threading.Event()

    class Silent:
        def run_if_due(self) -> bool:
            return not answer.wait(30)

    class Quick:
        def run_if_due(self) -> bool:
            asked.set()
            return False

    opened = [
        OpenAccount(name, Gate(stage.redis, name), stage.sender, stage.rules, cast("AccountSync", sync))
        for name, sync in (("shop", Silent()), ("default", Quick()))
    ]
    worker = SesqWorker.for_accounts(opened, stage.redis, make_settings(concurrency=4))
    # When it looks after both, Then the other one is asked for at once
    worker._tick()
    assert asked.wait(10)
    answer.set()


def test_with_each_reading_of_the_account_it_notes_how_far_the_batches_are(
    stage: Stage, make_settings: Callable[..., Settings]
) -> None:
    class Due:
        def run_if_due(self) -> bool:
            return True

    request = batch_request(template(), "shop@example.com", "k")
    id = take(stage.redis, request, numbered([{"email": "ada@example.org", "name": "Ada"}])).id
    account = OpenAccount("default", stage.gate, stage.sender, stage.rules, cast("AccountSync", Due()))
    SesqWorker.for_accounts([account], stage.redis, make_settings())._tick()
    eventually(lambda: stage.redis.exists(stage.keys.progress(id)), "it is noted")


def test_a_start_waits_for_no_account_longer_than_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "CHECK_SECONDS", 0.2)
    answer, warm = threading.Event(), threading.Event()

    def hopeless() -> None:
        raise SendFailed(says(Kind.CREDENTIALS))

    opening._check_all({"silent": lambda: answer.wait(30) and None, "quick": warm.set})
    assert warm.is_set()
    # and none keeps a process from ending
    (waits,) = (each for each in threading.enumerate() if each.name.endswith("(look)"))
    assert waits.daemon
    hopeless_ones = opening._check_all({"silent": lambda: answer.wait(30) and None, "wrong": hopeless})
    assert [(name, str(error)) for name, error in hopeless_ones.items()] == [
        ("wrong", "account wrong: Because.")
    ]
    answer.set()


def test_a_second_signal_ends_it_at_once(hire: Hire, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a worker that is told to stop
    handlers: dict[int, Any] = {}
    monkeypatch.setattr("sesq.worker.worker.signal.signal", handlers.__setitem__)
    hire().request_stop(signal.SIGTERM, None)
    # When one more signal of either kind comes, Then it ends
    assert handlers.keys() == {signal.SIGINT, signal.SIGTERM}
    for number, handler in handlers.items():
        with pytest.raises(SystemExit):
            handler(number, None)


def test_stopped_what_is_on_its_way_ends_and_the_rest_stays_in_its_place(stage: Stage, hire: Hire) -> None:
    go_on = threading.Event()

    def slow(outgoing: Outgoing) -> str:
        assert go_on.wait(30)
        return f"id-{outgoing.id}"

    stage.transport.answer(*[slow] * 4)
    ids = [stage.queue() for _ in range(10)]
    worker = hire()
    with working(worker) as thread:
        eventually(lambda: len(stage.transport.tried) == 4, "four are on their way")
        stop(worker)
        assert thread.is_alive()
        go_on.set()
    assert [stage.state(id) for id in ids] == [State.SENT] * 4 + [State.QUEUED] * 6
    assert [b.id for b in stage.claim()[1]] == ids[4:]
    assert stage.gate.usage().total == 10


def test_stopped_it_keeps_the_leases_of_what_is_on_its_way(
    stage: Stage, hire: Hire, caplog: pytest.LogCaptureFixture
) -> None:
    # Given a worker that was stopped, whose mail takes longer than its lease
    caplog.set_level(logging.INFO)
    go_on = threading.Event()

    def slow(outgoing: Outgoing) -> str:
        assert go_on.wait(30)
        return f"id-{outgoing.id}"

    stage.transport.answer(slow)
    id = stage.queue()
    worker = hire(lease_seconds=5)
    with working(worker):
        eventually(lambda: stage.transport.tried, "it is on its way")
        stop(worker)
        eventually(lambda: "stopping; 1 on their way" in caplog.text, "the worker waits for it")
        stage.redis.zadd(stage.keys.leases, {id: 1.0}, xx=True)
        # Then it says that it is alive, and nobody judges its mail
        eventually(
            lambda: stage.redis.zscore(stage.keys.leases, id) > 1.0, "the lease is renewed", patience=15
        )
        go_on.set()
    assert stage.state(id) is State.SENT
    assert_agreement(stage.redis)


def test_stopped_what_no_thread_has_begun_is_given_back(
    stage: Stage, hire: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = stage.queue()
    worker = hire()
    (account,) = worker.accounts
    _, (begun,) = stage.claim()
    account.in_flight.add(begun.grant)
    monkeypatch.setattr(threading.Thread, "start", lambda thread: None)
    account.pool.send(begun)
    worker._wind_up()
    record = stage.status(id)
    assert (record.state, record.reason, stage.gate.usage().total) == (State.QUEUED, "its worker stopped", 0)
    assert_agreement(stage.redis)


def test_what_is_cancelled_between_claim_and_begin_gives_its_place_back(
    stage: Stage, hire: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a worker with one place, which holds a message that it has not begun
    monkeypatch.setattr(AccountWorker, "places", 1)
    ids = [stage.queue() for _ in range(2)]
    worker = hire()
    (account,) = worker.accounts
    account.claim(30)
    assert stage.state(ids[0]) is State.SENDING
    # When it is taken for dead, and its message is cancelled
    stage.redis.zadd(stage.keys.leases, {ids[0]: 1}, xx=True)
    stage.reap()
    stage.messages.cancel(ids[0], "ada")
    # Then the message does not leave, and the worker has its place for the next one
    worker._exchange()
    assert account.is_idle
    worker._claim()
    eventually(lambda: [mail.id for mail in stage.transport.tried] == [ids[1]], "the next one leaves")


def test_killed_only_what_was_on_its_way_is_in_doubt(
    stage: Stage, with_four_of_ten_on_their_way: Callable[[], SesqWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a worker of four threads that holds ten messages, while SES does not answer
    ids = [stage.queue() for _ in range(12)]
    with_four_of_ten_on_their_way()
    assert stage.messages.counts()[State.SENDING] == 10
    # When it is killed, and its leases run out
    stage.redis.zadd(stage.keys.leases, {id: place for place, id in enumerate(ids[:10])}, xx=True)
    stage.reap()
    # Then nobody knows about those four; the others stand in their place again
    assert [stage.state(id) for id in ids] == [State.UNKNOWN] * 4 + [State.QUEUED] * 8
    assert lane_queue(stage).job_ids == ids[4:]
    assert_agreement(stage.redis)


@pytest.mark.parametrize("ahead", [0, 3], ids=["granted", "begun"])
def test_while_ses_keeps_all_threads_waiting_others_may_send_what_was_granted(
    stage: Stage,
    with_four_of_ten_on_their_way: Callable[[], SesqWorker],
    monkeypatch: pytest.MonkeyPatch,
    ahead: int,
) -> None:
    # Given a worker of four threads that holds ten messages, some of them begun ahead, while SES does not answer
    monkeypatch.setattr(Pace, "in_seconds", lambda self, seconds: ahead)
    ids = [stage.queue() for _ in range(12)]
    worker = with_four_of_ten_on_their_way()
    assert worker.accounts[0].pool.backlog == ahead
    # When the time has passed in which a grant is to be used
    monkeypatch.setattr(AccountWorker, "places", 4)
    monkeypatch.setattr(worker, "_tick", lambda: None)
    monkeypatch.setattr(time, "monotonic", lambda clock=time.monotonic: clock() + PATIENCE)
    worker._work_once()
    # Then the six that no thread took are in their place again, with their tokens
    assert [stage.state(id) for id in ids] == [State.SENDING] * 4 + [State.QUEUED] * 8
    assert lane_queue(stage).job_ids == ids[4:]
    assert stage.gate.usage().total == 4
    assert_agreement(stage.redis)


def test_of_what_waits_for_a_thread_each_is_either_given_back_or_sent(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two messages that no thread has taken, of which one is stale, and a clock that runs on while it looks
    monkeypatch.setattr(threading.Thread, "start", lambda thread: None)
    pool = SendPool(4, "w", stage.sender, lambda result: None, Threads())
    now = time.monotonic()
    _, (begun,) = (stage.queue(), stage.claim())[1]
    both = [used_by(begun, now + left) for left in (-1, UNUSED_SECONDS)]
    for each in both:
        pool.send(each)
    ticks = iter([now, *[now + UNUSED_SECONDS + 1] * 10])
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks))
    # Then the stale one comes back, and the other waits on
    stale, waiting = pool.take_back_stale(), pool.take_back()
    assert [each.grant.use_by for each in (*stale, *waiting)] == [each.grant.use_by for each in both]


def test_killed_only_those_of_a_batch_are_in_doubt_who_were_on_their_way(
    stage: Stage, with_four_of_ten_on_their_way: Callable[[], SesqWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a worker of four threads that holds ten recipients of a batch, while SES does not answer
    rows = ({"email": f"p{i}@example.org", "name": "P"} for i in range(12))
    batch = take(stage.redis, batch_request(template(), "shop@example.com", "k"), numbered(rows)).id
    with_four_of_ten_on_their_way()
    counts = lambda: {s.value: n for s, n in Batches(stage.redis).get(batch).counts.items() if n}  # noqa: E731
    assert counts() == {"sending": 10, "queued": 2}
    # When it is killed, and its lease runs out
    leased = stage.redis.zrange(stage.keys.leases, 0, -1)
    stage.redis.zadd(stage.keys.leases, {id: place for place, id in enumerate(leased)}, xx=True)
    stage.reap()
    # Then nobody knows about those four; the others are in their place again
    assert counts() == {"unknown": 4, "queued": 8}
    assert stage.gate.usage().total == 4


def test_from_the_loop_to_sess_call_are_ten_calls_at_most(
    stage: Stage, hire: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a look at who calls whom, in the loop and in the thread that sends
    paths: list[list[str]] = []

    def note(*_: object) -> str:
        frames = traceback.extract_stack()[:-1]
        paths.append([frame.name for frame in frames if "/sesq/" in frame.filename])
        return "an-id"

    run = Threads.run
    monkeypatch.setattr(Threads, "run", lambda self, task: (note(), run(self, task))[1])
    stage.transport.answer(note)
    stage.queue()
    worker = hire()
    monkeypatch.setattr(worker, "_tick", lambda: None)
    # When a message is sent
    worker._work_once()
    eventually(lambda: len(paths) == 2, "it is sent")
    # Then so many calls lead from the loop's turn to the transport's, which calls SES
    in_loop, in_thread = paths
    calls = [*in_loop[in_loop.index("_work_once") + 1 :], "run", *in_thread, "the transport's send"]
    assert len(calls) <= 10, " ".join(calls)


def test_no_log_line_tells_who_or_what(stage: Stage, hire: Hire, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    kinds = [kind for kind in Kind if kind not in (Kind.RATE, Kind.DAY_SPENT, Kind.PAUSED, Kind.SUSPENDED)]
    for kind in kinds:
        to = f"{kind}@example.org"
        stage.transport.answer(says(kind, f"recipient:{to}", f"{to} is the reason"))
        stage.queue(to, subject="Secret", text="Private", sender=f"{kind}@example.com")
    hire().work(burst=True)
    assert "message" in caplog.text
    told = caplog.text.replace("…@", "")  # of an address the domain alone
    for private in ("@", "Secret", "Private"):
        assert private not in told
    assert_agreement(stage.redis)
