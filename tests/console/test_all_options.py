"""The commands that queue, with every option at once: all of them arrive."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from batch import write_template
from busy_account_told import IN_2030
from sesq.queue.batches import Batches
from sesq.queue.keys import Keys
from sesq.queue.messages import Messages

Run = Callable[..., Any]
IN_2031 = "2031-01-01T09:00:00.000Z"


@pytest.fixture(autouse=True)
def shop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESQ_ACCOUNTS__SHOP__REGION", "eu-west-1")
    monkeypatch.setenv("SESQ_KEEP_DAYS", "3")


def test_send(run_json: Run, redis: Redis, here: Path) -> None:
    (here / "a.txt").write_text("A")
    words = ["--from", "Shop <shop@example.com>", "--to", "ada@example.org", "--to", "b@example.com"]
    words += ["--cc", "c@example.com", "--bcc", "d@example.com", "--reply-to", "help@example.com"]
    words += ["--subject", "Hi", "--text", "Hello", "--html", "<p>Hello</p>", "--attach", "a.txt"]
    words += ["--header", "X-Note: n", "--lane", "bulk", "--at", "2030-01-01T09:00Z"]
    words += ["--expires", "2031-01-01T09:00Z", "--tag", "k=v", "--tag", "l=w", "--configuration-set", "news"]
    words += ["--tenant", "acme", "--feedback-to", "bounces@example.com", "--no-track"]
    words += ["--key", "k-1", "--account", "shop"]
    id = run_json("send", *words)["id"]
    # The same key queues it once
    assert run_json("send", *words)["id"] == id
    shown = run_json("messages", "show", id, "--account", "shop")
    queued_at = shown["created"]
    assert shown == {
        "id": id,
        "account": "shop",
        "state": "scheduled",
        "reason": "",
        "lane": "bulk",
        "from": "Shop <shop@example.com>",
        "to": ["ada@example.org", "b@example.com"],
        "cc": ["c@example.com"],
        "bcc": ["d@example.com"],
        "subject": "Hi",
        "tags": {"k": "v", "l": "w"},
        "tenant": "acme",
        "feedback_to": "bounces@example.com",
        "contact_list": None,
        "topic": None,
        "track": False,
        "attempts": 0,
        "created": queued_at,
        "since": queued_at,
        "send_at": IN_2030,
        "expires_at": IN_2031,
        "message_id": None,
        "hold": None,
        "delayed_because": "",
        "waits_because": "its time has not come",
        "goes_at": IN_2030,
        "history": [{"at": queued_at, "state": "scheduled", "reason": ""}],
    }
    envelope = Messages(redis, "shop").get(id).envelope
    assert (envelope.reply_to, envelope.configuration_set) == (("help@example.com",), "news")
    content = redis.get(Keys("shop").content(id))
    assert isinstance(content, bytes)
    for part in (b"X-Note: n", b"Hello", b"<p>Hello</p>", b'filename="a.txt"', b"Reply-To: help@example.com"):
        assert part in content
    assert b"d@example.com" not in content
    assert redis.hget(Keys("shop").message(id), "keep") == str(3 * 86_400).encode()


def test_a_batch(run: Run, run_json: Run, redis: Redis, here: Path) -> None:
    write_template(here / "news")
    rows = 'Contact;name\n"ada@example.org";"Zoë"\nbob@example.org;Bob\n'
    (here / "rows.txt").write_bytes(rows.encode("cp1252"))
    words = [
        "news",
        "rows.txt",
        "--from",
        "Shop <shop@example.com>",
        "--encoding",
        "cp1252",
        "--format",
        "csv",
    ]
    words += ["--email-column", "Contact", "--tag", "k=v", "--configuration-set", "news"]
    words += [
        "--tenant",
        "acme",
        "--feedback-to",
        "b@example.com",
        "--contact-list",
        "news",
        "--topic",
        "weekly",
    ]
    words += ["--track", "--at", "2030-01-01T09:00Z", "--account", "shop"]
    checked = run_json("batch", "check", *words)
    previews = [(each["to"], each["subject"], each["text"]) for each in checked["previews"]]
    assert previews == [
        ("ada@example.org", "News for Zoë", "Hello Zoë."),
        ("bob@example.org", "News for Bob", "Hello Bob."),
    ]
    limits = ["--stop-bounces", "5", "--stop-complaints", "0.1"]
    told = run_json("batch", "send", *words, *limits)
    assert told["queued"] == 2
    again = run("batch", "send", *words, *limits, "--yes")
    assert (again.exit_code, told["id"] in again.output) == (1, True)
    other = run("batch", "send", *words, "--again", "--yes").stdout.strip()
    assert other != told["id"]
    batch = Batches(redis, "shop").get(told["id"])
    envelope = {name: value for name, value in asdict(batch.envelope).items() if value}
    assert envelope == {
        "sender": "Shop <shop@example.com>",
        "subject": "News for {{ name }}",
        "tags": {"k": "v"},
        "configuration_set": "news",
        "tenant": "acme",
        "feedback_to": "b@example.com",
        "contact_list": "news",
        "topic": "weekly",
        "track": "on",
        "kind": "row",
    }
    assert (batch.state, batch.reason, batch.starts_at) == (
        "paused",
        "its time has not come",
        1_893_488_400.0,
    )
    assert (batch.total, batch.stop_bounces, batch.stop_complaints, batch.filled) == (2, 5.0, 0.1, True)
    assert redis.hget(Keys("shop").batch(told["id"]), "keep") == str(3 * 86_400).encode()
    # and its report goes to a file, in the form that is asked for
    ran = run("batch", "report", told["id"], "--format", "jsonl", "--output", "r.jsonl", "--account", "shop")
    assert (ran.exit_code, ran.output) == (0, "")
    report = [json.loads(line) for line in (here / "r.jsonl").read_text("utf-8").splitlines()]
    assert [(row["email"], row["state"]) for row in report] == [
        ("ada@example.org", "queued"),
        ("bob@example.org", "queued"),
    ]
