"""Fields of a hash, and replies of Redis, whose values nobody can be sure of."""

from __future__ import annotations

import json

import pytest
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from sesq.queue.damage import read_damage
from sesq.queue.fields import FARTHEST, Fields
from sesq.queue.job import job_fields
from sesq.queue.keys import Keys
from sesq.queue.layout import LAYOUT, fault_of_layout
from sesq.queue.record import read_record
from sesq.queue.replies import text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("0", 0),
        ("500", 500),
        ("501", None),
        ("-1", None),
        ("", None),
        ("1.5", None),
        ("٣", None),
        ("²", None),
    ],
)
def test_a_count_is_whole_and_within_its_bound(given: str, expected: int | None) -> None:
    fields = Fields({"n": given})
    assert fields.count("n", 500) == expected
    assert fields.problems == ([] if expected is not None else ["n is no number from 0 to 500"])


@pytest.mark.parametrize(
    ("given", "expected", "problems"),
    [
        ("12.5", 12.5, 0),
        ("-3", -3.0, 0),
        ("", None, 0),
        ("abc", None, 1),
        ("nan", None, 1),
        ("inf", None, 1),
        (str(FARTHEST), None, 1),
        (str(-FARTHEST), None, 1),
        (str(FARTHEST - 1), FARTHEST - 1, 0),
    ],
)
def test_a_number_is_near_enough_to_be_one(given: str, expected: float | None, problems: int) -> None:
    fields = Fields({"x": given})
    assert fields.optional("x") == expected
    assert len(fields.problems) == problems
    assert fields.number("x") == (expected or 0.0)
    assert fields.whole("x") == int(expected or 0)


def test_what_is_damaged_is_told_before_the_reason() -> None:
    fields = Fields({"reason": "no room", "x": "abc", "y": "nan"})
    assert fields.reason() == "no room"
    fields.number("x")
    fields.number("y")
    assert fields.reason() == "damaged in Redis: x is no number, y is no number; no room"
    assert Fields({"envelope": "{"}).envelope().subject == "(its envelope cannot be read)"


def test_what_a_record_does_not_have_is_none() -> None:
    record = read_record("a", "default", {"state": "queued", "envelope": "{"})
    assert (record.worker, record.message_id, record.hold, record.send_at, record.expires_at) == (None,) * 5


@pytest.mark.parametrize(("reply", "expected"), [(b"a", "a"), ("a", "a"), (None, ""), (b"\xff", "\\xff")])
def test_a_reply_is_text(reply: object, expected: str) -> None:
    assert text(reply) == expected


def test_a_look_at_the_layout_writes_none(redis: Redis) -> None:
    assert fault_of_layout(redis) == ""
    assert not redis.exists(LAYOUT)


def test_damages_are_told_the_latest_first_and_by_name(redis: Redis) -> None:
    redis.hset(
        Keys("default").damaged,
        mapping={"c": '[5, "why"]', "a": '[5, "why"]', "b": '[9, "why"]', "d": "broken", "e": "[1]"},
    )
    found = read_damage(redis, "default")
    assert [damage.what for damage in found] == ["b", "a", "c", "d", "e"]
    assert (found[0].why, found[0].at, found[3].why, found[3].at) == ("why", 9.0, "broken", 0.0)


def test_rq_reads_the_job_that_is_written() -> None:
    queue = "sesq.default.bulk"
    fields = job_fields("id-0", queue, "sesq message id-0")
    told = dict(zip(fields[::2], fields[1::2], strict=True))
    assert set(told) == {"data", "origin", "description", "created_at", "enqueued_at"}
    job = Job("id-0", connection=Redis(), serializer=JSONSerializer)
    job.restore({name.encode(): value.encode() for name, value in told.items()})
    assert (job.func_name, job.args, job.kwargs) == ("sesq.worker.send", ["id-0"], {})
    assert (job.origin, job.description) == (queue, "sesq message id-0")


def test_an_id_that_is_damaged_stays_one_argument_of_its_job() -> None:
    id = 'a"], {"b": '
    fields = job_fields(id, "sesq.default.bulk", "sesq message")
    assert json.loads(fields[fields.index("data") + 1]) == ["sesq.worker.send", None, [id], {}]
