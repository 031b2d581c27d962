"""`sesq events consumers` and `sesq events forget`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redis import Redis

from sesq.producer import Message, Outbox
from sesq.queue.consumers import consumers
from sesq.queue.events import EventReader, listen

Run = Callable[..., Any]


def test_who_listens_and_how_far_each_is(run: Run, run_json: Run, redis: Redis) -> None:
    assert run_json("events", "consumers") == []
    assert "nobody listens" in run("events", "consumers").stdout
    # Given three consumers: one has read all, one has read and not acknowledged, one has read nothing
    for name in ("busy", "crm", "idle"):
        listen(redis, "default", name)
    Outbox(redis).send(Message(sender="shop@example.com", to="ada@example.org", subject="Hi", text="Hello."))
    for name, acknowledges in (("crm", True), ("busy", False)):
        reader = EventReader(redis, "default", name)
        (event,) = reader.read(block=0.001)
        if acknowledges:
            reader.acknowledge(event.id)
            reader.close()
    # When a person looks, Then each is there
    told_at = int(event.id.partition("-")[0]) / 1000
    waits = {each.name: each.waiting_since for each in consumers(redis, "default")}
    assert waits == {"busy": told_at, "crm": None, "idle": told_at}
    shown = run_json("events", "consumers")
    assert [(each["name"], each["has_reader"]) for each in shown] == [
        ("busy", True),
        ("crm", False),
        ("idle", False),
    ]
    assert shown[1]["waiting_since"] is None
    assert shown[0]["since"].endswith("Z")
    lines = run("events", "consumers").stdout.splitlines()
    assert [line.split()[0] for line in lines if "yes" in line or " no" in line] == ["busy", "crm", "idle"]


def test_one_that_nobody_needs_is_forgotten(run: Run, redis: Redis) -> None:
    listen(redis, "default", "crm")
    assert run("events", "forget", "crm").stdout == "crm gets no more events\n"
    assert not redis.exists("sesq:default:listening", "sesq:default:events")
    again = run("events", "forget", "crm")
    assert (again.exit_code, "nobody listens as crm" in again.stderr) == (2, True)
