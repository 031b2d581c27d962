"""The auditor: a healthy queue gives no finding; each damage done by hand is named alone, and mended if it can be."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import pytest
from redis import Redis

from agreement import assert_agreement
from batch_stage import BatchStage
from healthy import Healthy
from piles import SEARCHES, pile_up
from sesq.queue.audit import Finding, audit, repair
from sesq.queue.messages import accounts
from sesq.queue.states import State

WIP = "rq:wip:sesq.default.transactional"
BULK = "rq:queue:sesq.default.bulk"
URGENT = "rq:queue:sesq.default.transactional"


def found(redis: Redis, account: str = "default") -> list[Finding]:
    return audit(redis, account, settled=True, sleep=lambda _: None)


def test_messages_in_all_states_and_batches_in_all_stages_give_no_finding(healthy: Healthy) -> None:
    assert set(healthy.ids) == set(State)
    assert {state: healthy.stage.state(id) for state, id in healthy.ids.items()} == {s: s for s in State}
    states = {stage: healthy.stage.batches.get(id).state for stage, id in healthy.batches.items()}
    assert states == {stage: stage for stage in healthy.batches}
    assert accounts(healthy.redis) == ["default", "other"]
    for account in accounts(healthy.redis):
        assert found(healthy.redis, account) == []


def test_a_job_of_the_applications_own_is_none_of_sesqs(healthy: Healthy) -> None:
    # Given a job that an application has put into a queue of sesq's by mistake, and that no worker has met
    job = {"origin": "sesq.default.bulk", "data": '["shop.tasks.tidy_up", null, [], {}]', "status": "queued"}
    healthy.redis.hset("rq:job:theirs", mapping=job)
    # Then it is not among what the auditor finds, and would delete
    assert found(healthy.redis) == []


@dataclass(frozen=True)
class Damage:
    """`kind` and `key` of the one finding that it gives; `{…}` in a key: the message in that state, or a batch."""

    how: Callable[[Healthy], object]
    kind: str
    key: str
    mended: bool = True


def _chunk(h: Healthy, stage: str, number: int = 0) -> str:
    return f"{h.batches[stage]}-{number}"


def _break_cell(h: Healthy) -> None:
    h.redis.setrange(h.keys.ledger, 0, struct.pack("<I", 77))


def _row_on_its_way(h: Healthy) -> str:
    leases = [id.decode() for id in h.redis.zrange(h.keys.leases, 0, -1)]
    return next(id for id in leases if id.startswith(h.batches["running"]))


def _drop_record_of_a_refused_row(h: Healthy) -> None:
    h.redis.srem(h.keys.materialized(h.batches["running"]), f"{_chunk(h, 'running')}-1")


def _lose_log(h: Healthy) -> None:
    h.redis.delete(h.keys.log(_chunk(h, "running")))


DAMAGES = {
    "a minute of the ledger": Damage(_break_cell, "ledger", "ledger"),
    "the gate's total": Damage(lambda h: h.redis.hset(h.keys.gate, "total", 5), "ledger", "ledger"),
    "a total above the minutes": Damage(lambda h: h.redis.hincrby(h.keys.gate, "total", 1), "ledger", "ledger"),
    "a ledger that is none": Damage(
        lambda h: h.redis.setrange(h.keys.ledger, 6000, "x"), "ledger", "ledger", mended=False
    ),
    "another state's set too": Damage(
        lambda h: h.redis.zadd(h.keys.state(State.SENT), {h.ids[State.QUEUED]: 1}),
        "message",
        "message:{queued}",
    ),
    "no state's set": Damage(
        lambda h: h.redis.zrem(h.keys.state(State.REFUSED), h.ids[State.REFUSED]),
        "message",
        "message:{refused}",
    ),
    "a state that is none": Damage(
        lambda h: h.redis.hset(h.keys.message(h.ids[State.SENT]), "state", "gone"),
        "message",
        "message:{sent}",
        mended=False,
    ),
    "no lease": Damage(
        lambda h: h.redis.zrem(h.keys.leases, h.ids[State.SENDING]), "message", "message:{sending}"
    ),
    "a lease of what is not sent": Damage(
        lambda h: h.redis.zadd(h.keys.leases, {h.ids[State.HELD]: 1}), "message", "message:{held}"
    ),
    "no content": Damage(
        lambda h: h.redis.delete(h.keys.content(h.ids[State.QUEUED])),
        "message",
        "message:{queued}",
        mended=False,
    ),
    "no place in its lane": Damage(
        lambda h: h.redis.lrem(URGENT, 1, h.ids[State.QUEUED]), "lane", "message:{queued}"
    ),
    "no RQ job": Damage(
        lambda h: h.redis.delete(f"rq:job:{h.ids[State.QUEUED]}"), "lane", "message:{queued}"
    ),
    "another status": Damage(
        lambda h: h.redis.hset(f"rq:job:{h.ids[State.HELD]}", "status", "started"), "lane", "message:{held}"
    ),
    "no registry": Damage(
        lambda h: h.redis.zrem("rq:scheduled:sesq.default.transactional", h.ids[State.RETRYING]),
        "lane",
        "message:{retrying}",
    ),
    "another registry too": Damage(
        lambda h: h.redis.zadd("rq:failed:sesq.default.transactional", {h.ids[State.UNKNOWN]: 1}),
        "lane",
        "message:{unknown}",
    ),
    "a run of what does not run": Damage(
        lambda h: h.redis.zadd(
            "rq:wip:sesq.default.transactional", {f"{h.ids[State.HELD]}:x": float("inf")}
        ),
        "lane",
        "message:{held}",
    ),
    "a run that RQ would judge": Damage(
        lambda h: h.redis.zadd(
            WIP, {run: 1 for run in h.redis.zrange(WIP, 0, -1) if run.startswith(h.ids[State.SENDING].encode())}
        ),
        "lane",
        "message:{sending}",
    ),
    "a lane that is not its own": Damage(
        lambda h: h.redis.rpush(BULK, h.ids[State.HELD]), "lane", "message:{held}"
    ),
    "twice in its lane": Damage(
        lambda h: h.redis.rpush(URGENT, h.ids[State.QUEUED]), "lane", "message:{queued}", mended=False
    ),
    "stale where it does not stand": Damage(
        lambda h: h.redis.sadd(h.keys.stale("sesq.default.bulk"), "x"), "lane", "stale:sesq.default.bulk"
    ),
    "a hold that does not know it": Damage(
        lambda h: h.redis.zrem(h.keys.hold("recipient:bob@example.org"), h.ids[State.HELD]),
        "hold",
        "message:{held}",
    ),
    "a hold without its reason": Damage(
        lambda h: h.redis.hdel(h.keys.holds, "recipient:bob@example.org"), "hold", "message:{held}"
    ),
    "a hold of another": Damage(
        lambda h: h.redis.zadd(h.keys.hold("recipient:bob@example.org"), {h.ids[State.SENT]: 1}),
        "hold",
        "hold:recipient:bob@example.org",
    ),
    "a reason of nothing": Damage(lambda h: h.redis.hset(h.keys.holds, "sender:x", "why"), "hold", "holds"),
    "held for nothing": Damage(
        lambda h: (
            h.redis.hset(h.keys.message(h.ids[State.HELD]), "hold", ""),
            h.redis.delete(h.keys.hold("recipient:bob@example.org")),
            h.redis.hdel(h.keys.holds, "recipient:bob@example.org"),
        ),
        "hold",
        "message:{held}",
        mended=False,
    ),
    "an ended record for ever": Damage(
        lambda h: h.redis.persist(h.keys.message(h.ids[State.SENT])), "expiry", "message:{sent}"
    ),
    "an ended job for ever": Damage(
        lambda h: h.redis.persist(f"rq:job:{h.ids[State.SENT]}"), "expiry", "message:{sent}"
    ),
    "a content that will go": Damage(
        lambda h: h.redis.expire(h.keys.content(h.ids[State.QUEUED]), 100), "expiry", "message:{queued}"
    ),
    "an end that nobody looks for": Damage(
        lambda h: h.redis.zrem(h.keys.expiring, h.ids[State.QUEUED]), "expiry", "message:{queued}"
    ),
    "an idempotency key for ever": Damage(
        lambda h: h.redis.set(h.keys.idempotency("d"), "x y"), "expiry", "idempotency:d", mended=False
    ),
    "a content of nobody": Damage(lambda h: h.redis.set(h.keys.content("x"), "body"), "orphan", "message:x"),
    "a job of nobody": Damage(
        lambda h: h.redis.hset(
            "rq:job:x",
            mapping={
                "origin": "sesq.default.bulk",
                "data": '["sesq.worker.send", null, ["x"], {}]',
            },
        ),
        "orphan",
        "message:x",
    ),
    "a record that is gone": Damage(
        lambda h: h.redis.delete(h.keys.message(h.ids[State.QUEUED])), "orphan", "message:{queued}"
    ),
    "an entry of nobody": Damage(
        lambda h: h.redis.zadd("rq:deferred:sesq.default.bulk", {"x": 1}), "orphan", "message:x"
    ),
    "a key of nobody": Damage(
        lambda h: h.redis.set("sesq:default:strange", 1), "orphan", "strange", mended=False
    ),
    "a template of nobody": Damage(
        lambda h: h.redis.set(h.keys.template("x"), "t"), "orphan", "template:x"
    ),
    "rows of nobody": Damage(lambda h: h.redis.set(h.keys.rows("x-0"), "r"), "orphan", "rows:x-0"),
    "a chunk of nobody": Damage(
        lambda h: (h.redis.copy(h.keys.chunk(_chunk(h, "done")), h.keys.chunk("x-0")),
                   h.redis.hset(h.keys.chunk("x-0"), "batch", "x"), h.redis.persist(h.keys.chunk("x-0"))),
        "orphan",
        "chunk:x-0",
    ),
    "a row on its way without a lease": Damage(
        lambda h: h.redis.zrem(h.keys.leases, _row_on_its_way(h)), "message", "message:{running}-0-*"
    ),
    "a count of a batch": Damage(
        lambda h: (
            h.redis.hincrby(h.keys.batch(h.batches["running"]), "n:taken", 2),
            h.redis.hincrby(h.keys.batch(h.batches["running"]), "n:waiting", -2),
        ),
        "batch",
        "batch:{running}",
    ),
    "the rows of a batch": Damage(
        lambda h: h.redis.hincrby(h.keys.batch(h.batches["running"]), "total", 2), "batch", "batch:{running}"
    ),
    "the jobs of a batch": Damage(
        lambda h: h.redis.hincrby(h.keys.batch(h.batches["running"]), "jobs", 2), "batch", "batch:{running}"
    ),
    "a batch that is listed nowhere": Damage(
        lambda h: h.redis.zrem(h.keys.batches, h.batches["running"]), "batch", "batch:{running}"
    ),
    "a batch for ever": Damage(
        lambda h: h.redis.persist(h.keys.template(h.batches["done"])), "expiry", "batch:{done}"
    ),
    "a batch that will go": Damage(
        lambda h: h.redis.expire(h.keys.rows(_chunk(h, "running")), 100), "expiry", "batch:{running}"
    ),
    "a batch that has not ended": Damage(
        lambda h: h.redis.hdel(h.keys.batch(h.batches["done"]), "ended"), "batch", "batch:{done}"
    ),
    "no template": Damage(
        lambda h: h.redis.delete(h.keys.template(h.batches["running"])),
        "batch",
        "batch:{running}",
        mended=False,
    ),
    "a chunk that nobody parked": Damage(
        lambda h: h.redis.lrem(h.keys.parked(h.batches["paused"]), 1, _chunk(h, "paused")),
        "batch",
        "parked:{paused}",
    ),
    "a row's record that its batch does not know": Damage(
        _drop_record_of_a_refused_row, "message", "message:{running}-0-1"
    ),
    "a log that is gone": Damage(_lose_log, "batch", "batch:{running}", mended=False),
    "a chunk out of its lane": Damage(
        lambda h: h.redis.lrem(BULK, 1, _chunk(h, "running")), "chunk", "chunk:{running}-0"
    ),
    "a chunk's rows on their way": Damage(
        lambda h: h.redis.hset(h.keys.chunk(_chunk(h, "running")), "out", 5), "chunk", "chunk:{running}-0"
    ),
    "an account that is listed nowhere": Damage(
        lambda h: h.redis.srem("sesq:accounts", "default"), "message", "sesq:accounts"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_is_named_alone_and_mended_where_it_can_be(name: str, healthy: Healthy) -> None:
    # Given a healthy queue, damaged in one way
    damage = DAMAGES[name]
    damage.how(healthy)
    # When the auditor walks over it, then it names that alone
    findings = found(healthy.redis)
    names = {state.value: id for state, id in healthy.ids.items()} | healthy.batches
    key = damage.key.format(**names)
    expected = key if key.startswith("sesq:") else f"sesq:default:{key}"
    assert len(findings) == 1, "\n".join(map(str, findings))
    assert findings[0].kind == damage.kind
    assert findings[0].key == expected or findings[0].key.startswith(expected.rstrip("*")), findings
    assert findings[0].repairable is damage.mended
    # And the repair mends what can be mended, says so once, and leaves the rest
    repaired = repair(healthy.redis, sleep=lambda _: None)
    assert [finding for finding, _ in repaired.done] == (findings if damage.mended else [])
    assert found(healthy.redis) == ([] if damage.mended else findings)
    assert repair(healthy.redis, sleep=lambda _: None).done == []
    assert found(healthy.redis, "other") == []


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("a content of nobody", "sesq:default:content:x"),
        ("a job of nobody", "rq:job:x"),
        ("an entry of nobody", "rq:deferred:sesq.default.bulk"),
    ],
)
def test_of_what_has_no_record_it_is_said_where_it_stands(name: str, place: str, healthy: Healthy) -> None:
    DAMAGES[name].how(healthy)
    (finding,) = found(healthy.redis)
    assert finding.what == f"there is no record of it, but it stands in {place}"


def test_how_far_it_is_is_told_up_to_the_end(healthy: Healthy) -> None:
    # Given a healthy queue, When the auditor walks over it
    told: list[tuple[str, int, int]] = []
    audit(healthy.redis, sleep=lambda _: None, progress=lambda *step: told.append(step))
    # Then it tells of the keys, of all messages, and of each batch
    messages, batches = (number_of(told, what) for what in ("messages", "batches"))
    assert told[0] == ("keys", 0, 0)
    assert batches == [(done, len(healthy.batches)) for done in range(1, len(healthy.batches) + 1)]
    assert messages[-1][0] == messages[-1][1] >= len(healthy.ids)


def number_of(told: list[tuple[str, int, int]], what: str) -> list[tuple[int, int]]:
    """How many of a kind were done, of how many, at each step."""
    return [(done, total) for kind, done, total in told if kind == what]


WRONG = ("abc", b"\xff\xfe", "1e300", None)
"""Values of a field that nobody can read; None: it is gone."""


@pytest.mark.parametrize(
    ("key", "fields"),
    [
        ("gate", ("total", "minute", "total", "minute")),
        ("message:{queued}", ("expires_at", "queue", "keep", "queue")),
        ("batch:{running}", ("chunks", "total", "created", "filled", "n:waiting", "keep", "jobs", "state")),
        ("batch:{done}", ("keep", "n:taken", "chunks", "state")),
        ("chunk:{running}-0", ("n", "place", "cursor", "out", "redo", "queue", "counted", "batch")),
    ],
)
def test_fields_that_nobody_can_read_end_no_check(
    healthy: Healthy, key: str, fields: tuple[str, ...]
) -> None:
    # Given a healthy queue in which one field after the other is damaged
    names = {state.value: id for state, id in healthy.ids.items()} | healthy.batches
    name = f"sesq:default:{key.format(**names)}"
    saved = healthy.saved()
    for field, value in zip(fields, cycle(WRONG), strict=False):
        healthy.redis.flushall()
        healthy.restore(saved)
        if value is None:
            healthy.redis.hdel(name, field)
        else:
            healthy.redis.hset(name, field, value)
        # When it is checked, and repaired, Then both come to their end, and what can be mended is
        repaired = repair(healthy.redis, sleep=lambda _: None)
        assert [finding for finding in repaired.left if finding.repairable] == [], (field, value)


@pytest.mark.parametrize(
    ("key", "field", "value", "what"),
    [
        ("gate", "total", "abc", "the gate's total is no number"),
        ("message:{queued}", "expires_at", "abc", "its expires_at is no number"),
        ("batch:{running}", "chunks", "abc", "its fields chunks are lost"),
        ("batch:{running}", "state", "archived", "its state is 'archived'"),
        ("batch:{running}", "envelope", "abc", "its envelope is lost"),
        ("chunk:{running}-0", "cursor", "1e300", "its fields cursor cannot be read"),
        ("chunk:{running}-0", "place", "archived", "its fields place cannot be read"),
    ],
)
def test_a_damaged_field_is_named(healthy: Healthy, key: str, field: str, value: str, what: str) -> None:
    names = {state.value: id for state, id in healthy.ids.items()} | healthy.batches
    healthy.redis.hset(f"sesq:default:{key.format(**names)}", field, value)
    assert what in " ".join(finding.what for finding in found(healthy.redis))


@pytest.mark.parametrize("stage", ["running", "done"])
def test_a_batch_with_a_damaged_chunk_is_not_counted_anew(healthy: Healthy, stage: str) -> None:
    chunk = healthy.keys.chunk(_chunk(healthy, stage))
    healthy.redis.hset(chunk, "n", "abc")
    before = healthy.redis.hgetall(healthy.keys.batch(healthy.batches[stage]))
    repaired = repair(healthy.redis, sleep=lambda _: None)
    assert [(finding.key, finding.repairable) for finding in repaired.left] == [(chunk, False)]
    assert healthy.redis.hgetall(healthy.keys.batch(healthy.batches[stage])) == before


@pytest.mark.parametrize("key", ["rq:deferred:sesq.default.bulk", WIP])
def test_an_entry_that_is_no_text_is_for_a_person(healthy: Healthy, key: str) -> None:
    healthy.redis.zadd(key, {b"\xff\xfe": float("inf")})
    repaired = repair(healthy.redis, sleep=lambda _: None)
    assert [(finding.key, finding.repairable) for finding in repaired.left] == [(key, False)]


def test_a_list_of_accounts_of_another_type_ends_no_check(healthy: Healthy) -> None:
    healthy.redis.delete("sesq:accounts")
    healthy.redis.set("sesq:accounts", "x")
    assert repair(healthy.redis, sleep=lambda _: None).left == []
    assert accounts(healthy.redis) == ["default"]


def test_what_moves_between_the_two_looks_is_not_reported(healthy: Healthy) -> None:
    # Given a message that is half-way to another state at the first look, and there at the second
    id, keys = healthy.ids[State.QUEUED], healthy.keys
    healthy.redis.zrem(keys.state(State.QUEUED), id)

    def arrive(_: float) -> None:
        healthy.redis.zadd(keys.state(State.QUEUED), {id: 1})

    assert audit(healthy.redis, settled=True, sleep=arrive) == []


def test_what_rqs_tools_were_told_is_no_finding_before_a_worker_has_seen_to_it(healthy: Healthy) -> None:
    for state, status in ((State.REFUSED, "queued"), (State.QUEUED, "canceled")):
        healthy.redis.hset(f"rq:job:{healthy.ids[state]}", "status", status)
    healthy.redis.rpush(URGENT, healthy.ids[State.REFUSED])
    assert audit(healthy.redis, sleep=lambda _: None) == []
    assert {finding.kind for finding in found(healthy.redis)} == {"lane"}


def test_many_records_are_walked_over_in_bounded_steps(
    healthy: Healthy, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a lane of thirty thousand
    pile_up(redis, healthy.stage.queue(lane="bulk"), 30_000, prefix="pile-")
    commands: list[tuple[Any, ...]] = []
    execute = redis.execute_command

    def note(*command: Any, **options: Any) -> Any:
        commands.append(command)
        return execute(*command, **options)

    monkeypatch.setattr(redis, "execute_command", note)
    redis.config_resetstat()
    # When the auditor walks over it, then nothing is wrong
    assert found(redis) == []
    # And no command searched, took or gave a long list
    assert set(SEARCHES) & {name.removeprefix("cmdstat_") for name in redis.info("commandstats")} == {
        "lrange"
    }
    windows = [command[3] - command[2] for command in commands if command[0] == "LRANGE"]
    assert len(windows) > 30
    assert set(windows) == {999}
    assert {command[-1] for command in commands if command[0].endswith("SCAN")} == {1000}
    assert max(len(command) for command in commands) < 100


def test_a_chunk_that_comes_out_of_its_hold_stands_in_its_lane_once(redis: Redis) -> None:
    # Given a batch that was paused and resumed: its list of parked chunks is lost, and a count of its rows is wrong
    stage = BatchStage(redis)
    taken = stage.take(5)
    stage.batches.pause(taken.id, "me")
    stage.pass_time(5)
    stage.ask(3)
    redis.delete(f"sesq:default:parked:{taken.id}")
    stage.batches.resume(taken.id, "me")
    redis.hset(stage.keys.chunk(f"{taken.id}-0"), "out", 1)
    # When it is repaired, Then nothing is left, and the chunk stands in its lane once
    assert repair(redis, sleep=lambda _: None).left == []
    assert redis.lrange("rq:queue:sesq.default.bulk", 0, -1) == [f"{taken.id}-0".encode()]
    assert_agreement(redis, settled=False)
