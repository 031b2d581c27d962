"""One damaged key of a queue in Redis: the rest is sent, and every page and command answers."""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any, cast

import pytest
from redis import Redis

from batch_stage import BatchStage
from sesq.config.settings import Settings
from sesq.queue.damage import read_damage
from sesq.queue.envelope import VERSIONS
from sesq.queue.keys import CLOCK_OFFSET
from sesq.queue.replies import text
from sesq.queue.scripts import read_lua
from sesq.queue.states import State
from sesq.queue.suppression import Suppressed, SuppressionList
from sesq.worker.account import Description
from sesq.worker.opening import OpenAccount
from sesq.worker.sync import AccountSync
from sesq.worker.verdicts import Kind
from sesq.worker.worker import SesqWorker
from stage import says

Run = Callable[..., Any]
COMMANDS = (
    ("status",),
    ("status", "--json"),
    ("messages", "list"),
    ("messages", "list", "--json"),
    ("batch", "list"),
    ("quota", "show"),
    ("quota", "history"),
    ("suppression", "list"),
    ("events", "poison"),
    ("events", "notices"),
)
PAGES = (
    "overview",
    "messages",
    "batches",
    "quota",
    "identities",
    "test",
    "suppression",
    "reputation",
    "sandbox",
    "activity",
)
NOT_OF_A_QUEUE = (CLOCK_OFFSET, "sesq:console:secret")
NOT_UTF8 = b"\xff\xfe\x80"


class AnAccount:
    """In place of SES."""

    def __init__(self, sent: Callable[[], int], daily: float = 50_000.0) -> None:
        self.sent, self.daily = sent, daily

    def describe(self, asking: Callable[[], None] = lambda: None) -> Description:
        asking()
        return Description(100.0, self.daily, float(self.sent()), True, True, "HEALTHY")


class Scene:
    """A queue in which something of every kind waits, or has been."""

    def __init__(self, redis: Redis) -> None:
        redis.flushdb()
        self.redis = redis
        self.stage = stage = BatchStage(redis)
        stage.transport.answer(
            "sent-1",
            *[says(Kind.TRANSIENT)] * 3,
            says(Kind.UNVERIFIED_RECIPIENT, "recipient:bob@example.org"),
            says(Kind.UNKNOWN),
            says(Kind.CONFIGURATION, "configuration_set:news"),
        )
        for _ in range(5):
            stage.queue()
            stage.work()
            stage.pass_time(1)
        self.batch = stage.take(6).id
        stage.send(2)
        later = datetime.fromtimestamp(stage.now + 600, timezone.utc)
        stage.queue(send_at=later)
        stage.queue(expires_at=later)
        self.waiting: list[str] = [
            stage.queue(lane=lane) for lane in ("transactional", "bulk") for _ in range(3)
        ]
        SuppressionList(redis).add([Suppressed("no@example.org", "manual", stage.now, "somebody")])
        stage.policy.set({"rate": "50", "reserve": "10%"}, by="somebody", for_seconds=60)
        stage.grant(1)  # one that its worker has begun, and lives
        self.sync = AccountSync(redis, "default", cast("Any", AnAccount(self.sent)), "eu-west-1", 60.0)

    def sent(self) -> int:
        return len(self.stage.transport.tried)

    def keys(self) -> list[bytes]:
        return sorted(key for key in self.redis.keys("*") if text(key) not in NOT_OF_A_QUEUE)

    def work(self, make_settings: Callable[..., Settings]) -> None:
        """Some rounds of a worker, with an account sync in between."""
        stage = self.stage
        opened = OpenAccount("default", stage.gate, stage.sender, stage.rules, self.sync)
        worker = SesqWorker.for_accounts(
            [opened], self.redis, make_settings(concurrency=20), name=f"w{random.random()}"
        )
        (account,) = worker.accounts
        worker.register()
        for _ in range(4):
            self.redis.delete(stage.keys.sync)
            self.sync.run_if_due()
            stage.pass_time(61)
            worker._tick()
            for id in account.claim(30.0):
                worker.turn_away(id)
            started = account.gate.start(list(account.granted))
            account.granted.clear()
            account.in_flight.clear()
            account.gate.settle([stage.sender.send_message(each) for each in started])


def _damages(redis: Redis, key: bytes) -> Iterator[tuple[str, Callable[[], object]]]:
    """What may be wrong with one key, and how to make it so."""
    kind = text(redis.type(key))
    if kind != "list":
        yield "another type", lambda: (redis.delete(key), redis.rpush(key, "a", "b"))
    if kind != "string":
        yield "a string", lambda: redis.set(key, NOT_UTF8)
    if kind == "string":
        yield "other bytes", lambda: redis.set(key, NOT_UTF8)
    if kind == "hash":
        for field in redis.hkeys(key):
            for name, value in WRONG_VALUES.items():
                yield f"{text(field)}: {name}", lambda f=field, v=value: redis.hset(key, f, v)
            yield f"{text(field)}: gone", lambda f=field: redis.hdel(key, f)
    if kind == "list":
        yield "an entry of other bytes", lambda: redis.lpush(key, NOT_UTF8)
    if kind == "zset":
        yield "an entry of other bytes", lambda: redis.zadd(key, {NOT_UTF8: 1})
    if kind == "set":
        yield "an entry of other bytes", lambda: redis.sadd(key, NOT_UTF8)


WRONG_VALUES = {
    "no number": "abc",
    "other bytes": NOT_UTF8,
    "negative": "-7",
    "nan": "nan",
    "endless": "inf",
    "huge": "1e300",
}
SEEDS = range(int(os.environ.get("SESQ_TEST_DAMAGES", "8")))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_rest_is_sent_and_every_page_and_command_answers(
    redis: Redis, console: Callable[..., Any], run: Run, make_settings: Callable[..., Settings], seed: int
) -> None:
    # Given a queue in which something of every kind waits, and one of its keys that is damaged
    scene, dice = Scene(redis), random.Random(seed)
    key = dice.choice(scene.keys())
    name, make = dice.choice(list(_damages(redis, key)))
    make()
    # When a worker works
    scene.work(make_settings)
    # Then what is not damaged is sent, and people can look
    states = [scene.stage.status(id).state for id in scene.waiting]
    assert sum(state is not State.SENT for state in states) <= 1, (key, name, states)
    look(console(), run, scene)


@pytest.mark.parametrize(
    ("field", "value", "state", "reason"),
    [
        ("rate", "abc", "held", "its record in Redis is damaged: rate is no number"),
        ("day", NOT_UTF8, "held", "its record in Redis is damaged: day is no number"),
        ("expires_at", "soon", "held", "its record in Redis is damaged: expires_at is no number"),
        ("rate", "1e300", "held", "its record in Redis is damaged: rate is no number"),
        ("rate", "nan", "held", "its record in Redis is damaged: rate is no number"),
        ("day", "-5", "held", "its record in Redis is damaged: day is not between 0 and 50"),
        ("expires_at", "inf", "held", "its record in Redis is damaged: expires_at is no number"),
        ("state", "archived", "archived", ""),
        ("v", "2", "held", "it is of version 2, which this sesq cannot read"),
    ],
)
def test_a_message_that_cannot_be_understood_stands_in_nobodys_way(
    redis: Redis, run: Run, field: str, value: str | bytes, state: str, reason: str
) -> None:
    # Given a message at the head of its lane of which one field is damaged, or another version's
    stage = BatchStage(redis)
    ids = [stage.queue() for _ in range(3)]
    redis.hset(stage.keys.message(ids[0]), field, value)
    # When the lane is worked off
    stage.work()
    # Then the others are sent, and people see that one, and why
    assert [stage.state(id) for id in ids[1:]] == [State.SENT] * 2
    record = stage.status(ids[0])
    assert record.state.value == state
    assert reason in record.reason
    shown = json.loads(run("messages", "show", ids[0], "--json").stdout)
    assert (shown["state"], shown["reason"]) == (state, record.reason)


def test_a_message_without_its_envelope_fails_and_ends_no_worker(redis: Redis) -> None:
    stage = BatchStage(redis)
    ids = [stage.queue() for _ in range(2)]
    redis.hdel(stage.keys.message(ids[0]), "sender")
    stage.work()
    assert [stage.state(id) for id in ids] == [State.FAILED, State.SENT]
    assert "envelope" in stage.status(ids[0]).reason


@pytest.mark.parametrize("kind", ["list", "string"])
def test_a_list_of_accounts_of_another_type_breaks_no_page(
    redis: Redis, console: Callable[..., Any], run: Run, kind: str
) -> None:
    id = BatchStage(redis).queue()
    redis.delete("sesq:accounts")
    redis.rpush("sesq:accounts", "x") if kind == "list" else redis.set("sesq:accounts", NOT_UTF8)
    assert run("messages", "show", id).exit_code == 0
    assert console().get(f"messages/{id}").status_code == 200


@pytest.mark.parametrize("field", ["created", "keep", "since"])
@pytest.mark.parametrize("value", ["nan", "-inf", "1e300"])
def test_a_number_that_no_clock_knows_stops_neither_its_message_nor_a_page(
    redis: Redis, console: Callable[..., Any], run: Run, field: str, value: str
) -> None:
    stage = BatchStage(redis)
    ids = [stage.queue() for _ in range(2)]
    redis.hset(stage.keys.message(ids[0]), field, value)
    visit = console()

    def look() -> None:
        assert run("messages", "list").exit_code == 0
        assert run("messages", "show", ids[0]).exit_code == 0
        assert visit.get(f"messages/{ids[0]}").status_code == 200

    look()
    stage.work()
    assert [stage.state(id) for id in ids] == [State.SENT] * 2
    look()


@pytest.mark.parametrize("value", ["nan", "inf", "1e300"])
@pytest.mark.parametrize(
    ("key", "field"),
    [
        ("gate", "level"),
        ("gate", "on_way"),
        ("gate", "ses_level"),
        ("gate", "slow"),
        ("snapshot", "others"),
        ("snapshot", "rate"),
        ("policy", "reserve"),
        ("policy", "margin"),
    ],
)
def test_a_number_that_nobody_can_reckon_with_counts_as_none(
    redis: Redis, run: Run, key: str, field: str, value: str
) -> None:
    # Given books, limits or an account of which one number cannot be used
    stage = BatchStage(redis)
    stage.take(3)
    id = stage.queue()
    redis.hset(f"sesq:default:{key}", field, value)
    # When mail is asked for, Then it goes, however slowly, and people can look
    for _ in range(5):
        stage.pass_time(2)
        stage.send(10)
    assert (stage.state(id), len(stage.transport.sent)) == (State.SENT, 4)
    assert run("status").exit_code == 0
    assert run("quota", "show").exit_code == 0


@pytest.mark.parametrize("value", ["abc", str(2**63 - 1), "1e308", "inf"])
def test_a_counter_that_cannot_be_counted_on_stops_nobody(redis: Redis, value: str) -> None:
    # Given counters of the account and of a batch that are no numbers, or as large as Redis has them
    stage = BatchStage(redis)
    taken, id = stage.take(3), stage.queue()
    redis.hset(stage.keys.counters, mapping={"sending": value, "sent": value, "wait:sum": value})
    redis.hset(stage.keys.batch(taken.id), "n:leaving", value)
    # When they are to be counted on, Then the mail goes, and people see which of them begin anew
    stage.work()
    stage.send(3)
    assert len(stage.transport.sent) == 4
    assert stage.state(id) is State.SENT
    assert stage.keys.counters in {damage.what for damage in read_damage(redis, "default")}


def test_a_reason_that_cannot_be_read_keeps_nobody_held(redis: Redis) -> None:
    stage = BatchStage(redis)
    stage.transport.answer(says(Kind.UNVERIFIED_SENDER, "sender:shop@example.com"))
    id = stage.queue()
    stage.work()
    redis.hset(stage.keys.blocks, "sender:shop@example.com", "-7")
    stage.messages.try_one("sender:shop@example.com", "a look")
    assert stage.state(id) is State.QUEUED


def test_a_message_without_a_readable_time_is_held_as_any_other(redis: Redis) -> None:
    stage = BatchStage(redis)
    stage.transport.answer(says(Kind.UNVERIFIED_RECIPIENT, "recipient:bob@example.org"))
    ids = [stage.queue() for _ in range(2)]
    redis.hset(stage.keys.message(ids[0]), "created", "nan")
    stage.work()
    assert [stage.state(id) for id in ids] == [State.HELD, State.SENT]


def test_a_state_of_a_newer_version_is_left_as_it_is_and_told(redis: Redis, run: Run) -> None:
    stage = BatchStage(redis)
    id = stage.queue()
    redis.hset(stage.keys.message(id), "state", "archived")
    before = redis.hgetall(stage.keys.message(id))
    stage.work()
    assert redis.hgetall(stage.keys.message(id)) == before
    assert run("status").exit_code == 0
    (damage,) = read_damage(redis, "default")
    assert damage.what == stage.keys.message(id)
    assert "its state is archived, which this version of sesq does not know" in damage.why


@pytest.mark.parametrize("part", ["record", "content"])
def test_what_a_newer_version_has_written_waits_for_a_worker_that_can_read_it(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    # Given a message whose record, or content, is of version 2
    stage = BatchStage(redis)
    id = stage.queue()
    if part == "record":
        redis.hset(stage.keys.message(id), "v", 2)
    else:
        redis.set(stage.keys.content(id), '{"v":2,"subject":"Hi","text":"Hello."}')
    # When a worker of this version meets it, and the account is read again
    stage.work()
    sync = AccountSync(redis, "default", cast("Any", AnAccount(lambda: 0)), "eu-west-1", 60.0)
    sync.run()
    # Then it waits, with nothing of the day used, and says for what
    record = stage.status(id)
    assert (record.state, record.hold) == (State.HELD, "version:2")
    assert "this sesq cannot read" in record.reason
    assert stage.gate.usage().total == 0
    # and a worker that can read it sends it
    monkeypatch.setattr("sesq.queue.envelope.VERSIONS", (1, 2))
    monkeypatch.setattr("sesq.worker.sync.READABLE", {"version": frozenset({"1", "2"})})
    redis.hset(stage.keys.message(id), "v", 1)  # the scripts of that worker know 2 as well
    sync.run()
    stage.pass_time(1)
    stage.work()
    assert stage.state(id) is State.SENT


def test_the_scripts_and_python_read_the_same_versions() -> None:
    known = re.search(r"local VERSIONS = \{(.*?)\}", read_lua("messages.lua"))
    assert known
    assert re.findall(r"\['(\d+)'\]", known[1]) == [str(version) for version in VERSIONS]


def test_a_key_of_another_type_is_set_aside_and_told(redis: Redis, run: Run) -> None:
    # Given the record of a queued message, and a lane, of other types than they should be
    stage = BatchStage(redis)
    ids = [stage.queue() for _ in range(2)]
    redis.delete(stage.keys.message(ids[0]))
    redis.set(stage.keys.message(ids[0]), NOT_UTF8)
    # When they are met
    stage.work()
    # Then the other is sent; the one is failed, with the reason, and what was there is kept for a while
    assert [stage.state(id) for id in ids] == [State.FAILED, State.SENT]
    assert "its record in Redis was damaged: it is a string" in stage.status(ids[0]).reason
    kept = f"{stage.keys.damaged}:{stage.keys.message(ids[0])}"
    assert redis.get(kept) == NOT_UTF8
    assert redis.ttl(kept) > 0
    assert [damage.what for damage in read_damage(redis, "default")] == [stage.keys.message(ids[0])]
    assert "`sesq doctor` names it" in run("status").stdout.replace("\n", " ")


@pytest.mark.parametrize("name", ["gate", "ledger"])
def test_where_the_books_are_damaged_nothing_goes_before_ses_is_asked(redis: Redis, name: str) -> None:
    # Given a day of which 3 of 4 recipients are used, and books that are of another type
    stage = BatchStage(redis)
    stage.sync(daily=4)
    ids = [stage.queue() for _ in range(5)]
    stage.work(want=3)
    redis.delete(getattr(stage.keys, name))
    redis.rpush(getattr(stage.keys, name), "a")
    # Then no more goes than the day has room for, and then nothing before SES tells its own count
    stage.work(want=1)
    assert stage.work() == []
    assert stage.gate.usage().closed == "unsynced"
    sent = len(stage.transport.tried)
    sync = AccountSync(redis, "default", cast("Any", AnAccount(lambda: sent, daily=4.0)), "eu-west-1", 60.0)
    assert sync.run_if_due()
    for _ in range(2):
        stage.pass_time(1)
        stage.work()
    assert [stage.state(id) for id in ids].count(State.SENT) == 4


def look(visit: Any, run: Run, scene: Scene) -> None:
    id = scene.waiting[0]
    for page in (*PAGES, f"messages/{id}", f"batches/{scene.batch}", "/metrics", "/api/v1/accounts/default"):
        answer = visit.get(page)
        assert answer.status_code < 500 or "SES" in answer.text, (
            page,
            answer.status_code,
            answer.text[:3000],
        )
    for command in (*COMMANDS, ("messages", "show", id), ("batch", "show", scene.batch)):
        result = run(*command)
        assert result.exit_code in (0, 1), (command, result.exit_code, result.output)
