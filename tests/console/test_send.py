"""`sesq send`: what is on the command line is what is in the queue."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from typer.testing import Result

from sesq.console.commands.send import wait_for_end
from sesq.queue.envelope import SimpleContent
from sesq.queue.keys import Keys
from sesq.queue.messages import Messages
from sesq.queue.states import State

Run = Callable[..., Result]
MINIMUM = (
    "send",
    "--from",
    "shop@example.com",
    "--to",
    "ada@example.org",
    "--subject",
    "Hi",
    "--text",
    "Hello",
)
RAW = (
    b"From: shop@example.com\r\nTo: ada@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nHello\r\n"
)


def queued(redis: Redis, result: Result) -> tuple[Any, bytes]:
    """The record and the content of the message whose id was printed."""
    assert result.exit_code == 0, result.output
    id = result.stdout.strip()
    content = redis.get(Keys("default").content(id))
    assert isinstance(content, bytes)
    return Messages(redis).get(id), content


def test_it_prints_the_id_of_what_it_queued(run: Run, redis: Redis) -> None:
    record, content = queued(redis, run(*MINIMUM))
    assert (record.state, record.lane) == (State.QUEUED, "transactional")
    assert record.envelope.sender == "shop@example.com"
    assert record.envelope.to == ("ada@example.org",)
    assert SimpleContent.from_bytes(content) == SimpleContent("Hi", "Hello")


def test_every_option_arrives(run: Run, redis: Redis, here: Path) -> None:
    (here / "body.txt").write_text("Grüße", "utf-8")
    (here / "list.csv").write_bytes(b"a,b")
    options = ["--to", "Bob <bob@example.org>", "--cc", "c@example.org", "--bcc", "d@example.org"]
    options += ["--reply-to", "help@example.com", "--text", "@body.txt", "--html", "<p>Grüße</p>"]
    options += ["--attach", "list.csv", "--header", "X-Order: 17", "--lane", "bulk", "--at", "+2h"]
    options += [
        "--expires",
        "2099-01-01T00:00:00Z",
        "--tag",
        "campaign=autumn",
        "--configuration-set",
        "news",
    ]
    record, content = queued(redis, run(*MINIMUM, *options))
    envelope = record.envelope
    assert envelope.to == ("ada@example.org", "Bob <bob@example.org>")
    assert (envelope.cc, envelope.bcc) == (("c@example.org",), ("d@example.org",))
    assert envelope.reply_to == ("help@example.com",)
    assert (dict(envelope.tags), envelope.configuration_set) == ({"campaign": "autumn"}, "news")
    assert (record.state, record.lane) == (State.SCHEDULED, "bulk")
    assert record.send_at == pytest.approx(record.created + 7200, abs=60)
    assert record.expires_at == 4_070_908_800
    assert b"X-Order: 17" in content
    assert b'filename="list.csv"' in content


def test_the_body_may_come_from_stdin(run: Run, redis: Redis) -> None:
    record, content = queued(redis, run(*MINIMUM[:-1], "-", stdin="from a pipe"))
    assert record.envelope.subject == "Hi"
    assert SimpleContent.from_bytes(content).text == "from a pipe"


@pytest.mark.parametrize("where", ["stdin", "dash", "file"])
def test_a_finished_mail_is_sent_to_the_byte(run: Run, redis: Redis, here: Path, where: str) -> None:
    (here / "mail.eml").write_bytes(RAW)
    words = {"stdin": [], "dash": ["-"], "file": ["mail.eml"]}[where]
    record, content = queued(redis, run("send", "--raw", *words, stdin=None if where == "file" else RAW))
    assert content == RAW
    assert (record.envelope.sender, record.envelope.to) == ("shop@example.com", ("ada@example.org",))
    assert record.envelope.subject == "Grüße"


def test_addresses_given_replace_those_of_a_finished_mail(run: Run, redis: Redis) -> None:
    words = ("send", "--raw", "--from", "bounces@example.com", "--to", "eve@example.org")
    record, content = queued(redis, run(*words, stdin=RAW))
    assert (record.envelope.sender, record.envelope.to) == ("bounces@example.com", ("eve@example.org",))
    assert content == RAW


def test_one_idempotency_key_is_one_message(run: Run, redis: Redis) -> None:
    first, second = (run(*MINIMUM, "--key", "order-17").stdout for _ in range(2))
    assert first == second
    assert Messages(redis).counts()[State.QUEUED] == 1
    other = run(*MINIMUM, "--html", "<p>other</p>", "--key", "order-17")
    assert other.exit_code == 2
    assert first.strip() in other.stderr


def test_json_has_the_id(run_json: Callable[..., Any], redis: Redis) -> None:
    assert Messages(redis).get(run_json(*MINIMUM)["id"]).state is State.QUEUED


def test_waiting_ends_with_1_while_nothing_is_sent(run: Run) -> None:
    result = run(*MINIMUM, "--wait", "0")
    assert result.exit_code == 1
    assert f"message {result.stdout.strip()} is queued" in result.stderr


@pytest.mark.parametrize("json_too", [(), ("--json",)])
def test_waiting_ends_with_1_where_it_is_refused(
    run: Run,
    queue: Callable[..., str],
    becomes: Callable[..., None],
    ses_says: Callable[..., None],
    json_too: tuple[str, ...],
) -> None:
    # Given a mail that SES has refused
    ses_says(production=1)
    id = queue(idempotency_key="order-17")
    becomes(id, State.REFUSED, reason="Message rejected")
    # When the same is queued and waited for, Then it says so, and fails
    mail = ["--from", "shop@example.com", "--to", "ada@example.com", "--subject", "Hi", "--text", "Hello"]
    result = run("send", *mail, "--key", "order-17", "--wait", "5", *json_too)
    assert (result.exit_code, "Message rejected" in result.output) == (1, True)
    if json_too:
        told = {"id": id, "state": "refused", "reason": "Message rejected", "message_id": None}
        told["waits_because"] = ""
        assert json.loads(result.stdout) == told


def test_waiting_tells_the_message_id(
    run: Run,
    redis: Redis,
    ses_says: Callable[..., None],
    becomes: Callable[..., None],
    queue: Callable[..., str],
) -> None:
    # Given a message that is sent already, and known by its key
    ses_says()
    id = run(*MINIMUM, "--key", "order-17").stdout.strip()
    becomes(id, State.SENT, message_id="ses-1")
    # When the same is queued once more, then the first one's fate is told
    result = run(*MINIMUM, "--key", "order-17", "--wait", "5")
    assert (result.exit_code, result.stdout) == (0, f"{id}\nsent ses-1\n")
    told = json.loads(run(*MINIMUM, "--key", "order-17", "--wait", "5", "--json").stdout)
    assert told == {"id": id, "state": "sent", "reason": "", "waits_because": "", "message_id": "ses-1"}


def test_waiting_looks_until_the_end_or_the_deadline(redis: Redis, queue: Callable[..., str]) -> None:
    record = Messages(redis).get(queue())
    now = [0.0]
    looks = []

    def look() -> Any:
        looks.append(now[0])
        return record

    def sleep(seconds: float) -> None:
        now[0] += seconds

    assert wait_for_end(look, 1.0, clock=lambda: now[0], sleep=sleep) is record
    assert looks[0] == 0
    assert looks[-1] == pytest.approx(1.0)
    assert len(looks) == 6


def test_an_error_names_options_and_not_arguments(run: Callable[..., Result]) -> None:
    result = run("send", "--from", "shop@example.com", "--text", "x")
    assert "give --to, --cc or --bcc" in result.stderr


def test_what_would_be_over_before_it_goes_is_refused(run: Callable[..., Result], redis: Redis) -> None:
    words = ("send", "--from", "shop@example.com", "--to", "ada@example.org", "--text", "x")
    result = run(*words, "--expires", "2020-01-01T00:00")
    assert (result.exit_code, "is over already" in result.stderr) == (2, True)
    assert redis.keys("sesq:default:message:*") == []


def test_waiting_says_what_stops_the_mail(run: Run) -> None:
    # Given an account that somebody has paused
    run("quota", "pause", "a look at the list")
    # When somebody waits for a mail
    result = run(*MINIMUM, "--wait", "0")
    told = json.loads(run(*MINIMUM, "--wait", "0", "--json").stdout)
    # Then the command says that the account is paused, and why
    assert result.exit_code == 1
    assert "paused" in result.stderr
    assert "a look at the list" in result.stderr
    assert "a look at the list" in told["waits_because"]
