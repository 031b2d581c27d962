"""`sesq status`: the contract of its JSON, and the reasons it gives."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer
from rq.suspension import resume, suspend
from rq.worker import Worker
from typer.testing import Result

from sesq.console.workers import read_workers
from sesq.queue.keys import CLOCK_OFFSET, Keys
from sesq.queue.messages import Messages
from sesq.queue.policy import Policy
from sesq.queue.states import Lane, State

Run = Callable[..., Result]
RunJson = Callable[..., Any]
Queued = Callable[..., str]
SesSays = Callable[..., None]
Becomes = Callable[..., None]


def moment(text: str) -> float:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc).timestamp()


def why(run_json: RunJson) -> str:
    return "\n".join(run_json("status")["why"])


@pytest.fixture
def worker(redis: Redis) -> Worker:
    """A worker that RQ knows of, and that does nothing."""
    queues = [
        Queue(Keys("default").queue(lane), connection=redis, serializer=JSONSerializer) for lane in Lane
    ]
    made = Worker(queues, name="ox", connection=redis, serializer=JSONSerializer)
    made.register_birth()
    return made


def test_an_account_that_nobody_has_seen_has_every_key(
    run_json: RunJson, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESQ_ACCOUNTS__NEW__REGION", "us-east-1")
    told = run_json("status", "--account", "new")
    assert told["account"] == "new"
    assert told["mode"] == "unknown"
    assert told["paused"] is False
    expected = {
        "rate": 1,
        "daily": 200,
        "burst": 1,
        "margin": 0.002,
        "reserve": 0,
        "pace": 0.998,
        "ramp": None,
    }
    assert told["policy"] == expected
    assert told["usage"] == {
        "last_24h": 0,
        "others": 0,
        "remaining": 200,
        "next_free_at": None,
        "throttles": 0,
    }
    idle = {"queued": 0, "oldest_at": None, "next_at": None}
    assert told["lanes"] == {"transactional": idle, "bulk": idle}
    states = "scheduled queued sending retrying held unknown sent refused suppressed failed expired cancelled"
    assert list(told["messages"]) == states.split()
    assert set(told["messages"].values()) == {0}
    assert (told["workers"], told["waiting"]) == ([], [])
    assert told["memory"]["used"] > 0
    assert "SES has not described this account yet" in told["why"][0]


@pytest.mark.parametrize(
    ("facts", "mode"), [({}, "sandbox"), ({"production": 1}, "production"), ({"readable": 0}, "unknown")]
)
def test_the_mode_is_what_ses_says(run_json: RunJson, ses_says: SesSays, facts: Any, mode: str) -> None:
    ses_says(**facts)
    assert run_json("status")["mode"] == mode


def test_lanes_tell_what_is_queued_and_when_it_goes(
    run_json: RunJson, ses_says: SesSays, queue: Queued
) -> None:
    ses_says()
    queue(lane="bulk")
    queue(lane="bulk")
    before = run_json("status")
    lane = before["lanes"]["bulk"]
    assert lane["queued"] == 2
    assert moment(lane["oldest_at"]) <= moment(lane["next_at"])
    assert before["messages"]["queued"] == 2


def test_rqs_suspension_is_a_reason_like_every_other(
    run: Run, run_json: RunJson, ses_says: SesSays, queue: Queued, redis: Redis
) -> None:
    # Given mail that could go
    ses_says()
    id = queue()
    because = "all workers are suspended (`rq suspend`)"
    # When somebody suspends RQ's workers, Then every place says so, and none says when the mail goes
    suspend(redis)
    told = run_json("status")
    assert (told["paused"], told["paused_because"]) == (True, because)
    assert told["lanes"]["transactional"]["next_at"] is None
    assert told["why"][0] == f"{because.capitalize()}. Nothing goes, of any account, until `rq resume`."
    assert "may go now" not in "\n".join(told["why"])
    assert told["why"][0] in run("status").stdout.replace("\n", " ")
    record = run_json("messages", "show", id)
    assert (record["waits_because"], record["goes_at"]) == (because, None)
    doctor = {check["name"]: check for check in json.loads(run("doctor", "--json").stdout)}
    assert (doctor["gate"]["status"], doctor["gate"]["cure"]) == ("warn", "rq resume")
    # and when they go on, it is gone
    resume(redis)
    assert run_json("status")["paused"] is False
    assert "suspended" not in run_json("messages", "show", id)["waits_because"]


def test_sent_counts_what_is_known_to_have_arrived_as_well(
    run_json: RunJson, ses_says: SesSays, queue: Queued, becomes: Becomes, redis: Redis
) -> None:
    ses_says()
    for state in (State.SENT, State.SENT, State.DELIVERED, State.BOUNCED):
        id = queue()
        becomes(id, State.SENT, message_id=f"ses-{id}")
        redis.zrem(Keys("default").state(State.SENT), id)
        redis.zadd(Keys("default").state(state), {id: 1})
    told = run_json("status")
    assert told["messages"]["sent"] == 4
    assert told["feedback"] == {"delivered": 1, "bounced": 1, "complained": 0}
    assert (told["usage"]["last_24h"], told["usage"]["remaining"]) == (4, 196)


def test_an_unlimited_day_has_no_number(run_json: RunJson, ses_says: SesSays) -> None:
    ses_says(daily=-1, production=1)
    told = run_json("status")
    assert (told["policy"]["daily"], told["usage"]["remaining"], told["usage"]["next_free_at"]) == (
        None,
        None,
        None,
    )


def test_a_spent_day_says_when_the_next_recipient_frees_up(
    run_json: RunJson, ses_says: SesSays, queue: Queued, becomes: Becomes
) -> None:
    # Given a day of 2 recipients, both used
    ses_says(daily=2)
    for _ in range(2):
        becomes(queue(), State.SENT, message_id="ses")
    queue()
    told = run_json("status")
    # Then the third goes a day later, and the sentence says so
    assert told["usage"]["remaining"] == 0
    free_at = moment(told["usage"]["next_free_at"])
    assert told["lanes"]["transactional"]["next_at"] == told["usage"]["next_free_at"]
    assert free_at - moment(told["lanes"]["transactional"]["oldest_at"]) == pytest.approx(86_400, abs=180)
    assert "the day is spent (2 of 2 recipients in 24 hours); enough of it frees up at" in "\n".join(
        told["why"]
    )
    assert "in 24 h" in "\n".join(told["why"])


def test_a_day_spent_by_others_has_no_time(run_json: RunJson, ses_says: SesSays, queue: Queued) -> None:
    ses_says(daily=200, sent=200)
    queue()
    told = run_json("status")
    assert (told["usage"]["others"], told["usage"]["remaining"]) == (200, 0)
    assert told["lanes"]["transactional"]["next_at"] is None
    assert (
        "the day is spent (200 of 200 recipients in 24 hours, 200 by others); others use it too"
        in "\n".join(told["why"])
    )


def test_bulk_waits_for_the_reserve(
    run_json: RunJson, ses_says: SesSays, queue: Queued, becomes: Becomes, redis: Redis
) -> None:
    # Given half of the day used, and the other half kept
    ses_says(daily=10, rate=100)
    Policy(redis).set({"reserve": "5"}, by="ops@host")
    for _ in range(5):
        becomes(queue(), State.SENT, message_id="ses")
    queue(lane="bulk")
    # Then bulk waits for it, while a transactional message could go
    told = run_json("status")
    assert "what is left of the day is kept for transactional mail (reserve: 5)" in "\n".join(told["why"])
    assert (told["usage"]["remaining"], told["usage"]["next_free_at"]) == (5, None)
    assert told["lanes"]["bulk"]["next_at"] is not None


def test_a_message_larger_than_the_rest_of_the_day_says_so(
    run_json: RunJson, ses_says: SesSays, queue: Queued
) -> None:
    ses_says(daily=10, sent=8)
    queue(to=[f"a{n}@example.com" for n in range(5)])
    assert "more recipients than the day has room for (8 of 10 recipients" in why(run_json)


def test_bulk_goes_after_transactional(run_json: RunJson, ses_says: SesSays, queue: Queued) -> None:
    ses_says()
    queue()
    queue(lane="bulk")
    assert "bulk: 1 queued; it goes after the transactional mail." in why(run_json)


def test_the_rate_says_when_the_next_one_may_go(
    run_json: RunJson, ses_says: SesSays, queue: Queued, becomes: Becomes
) -> None:
    ses_says(rate=0.01)
    queue()
    assert "the rate of 1 per 100 seconds lets the next one go at" in why(run_json)


@pytest.mark.parametrize("reason", ["bounces are high", "bounces are high."])
def test_a_pause_by_a_person_names_it(
    run: Run, run_json: RunJson, ses_says: SesSays, queue: Queued, reason: str
) -> None:
    ses_says()
    queue()
    assert run("quota", "pause", reason).exit_code == 0
    told = run_json("status")
    assert (told["paused"], told["paused_because"]) == (True, reason)
    assert told["lanes"]["transactional"]["next_at"] is None
    assert told["why"][0].startswith("The account is paused by ")
    assert told["why"][0].endswith(": bounces are high. Nothing goes until `sesq quota resume`.")
    assert run("quota", "resume").exit_code == 0
    assert run_json("status")["paused"] is False


def test_a_pause_of_bulk_mail_is_told_apart(run: Run, run_json: RunJson, ses_says: SesSays) -> None:
    ses_says()
    assert run("quota", "pause", "--bulk", "complaints").exit_code == 0
    told = run_json("status")
    assert (told["paused"], told["paused_because"]) == (False, None)
    assert (told["bulk_paused"], told["bulk_paused_because"]) == (True, "complaints")
    assert run("quota", "resume", "--bulk").exit_code == 0
    told = run_json("status")
    assert (told["bulk_paused"], told["bulk_paused_because"]) == (False, None)


def test_a_pause_by_ses_names_it(run_json: RunJson, ses_says: SesSays) -> None:
    ses_says(sending=0, paused_because="SES has paused sending for this account (SHUTDOWN)")
    told = run_json("status")
    because = "SES has paused sending for this account (SHUTDOWN)"
    assert (told["paused"], told["paused_because"]) == (True, because)
    assert "go on by themselves" in told["why"][0]


def test_what_is_held_is_counted_by_what_it_waits_for(
    run_json: RunJson, ses_says: SesSays, queue: Queued, becomes: Becomes
) -> None:
    ses_says()
    reason = "recipient bob@x.org is not verified in eu-west-1"
    for _ in range(2):
        becomes(
            queue(to="bob@x.org"),
            State.HELD,
            hold="recipient:bob@x.org",
            held_because=reason,
            refund_day=True,
        )
    told = run_json("status")
    assert told["waiting"] == [{"what": "recipient:bob@x.org", "reason": reason, "count": 2}]
    assert f"2 held: {reason}." in told["why"]


def test_lost_answers_ask_for_a_person(
    run_json: RunJson, ses_says: SesSays, queue: Queued, becomes: Becomes
) -> None:
    ses_says()
    becomes(queue(), State.UNKNOWN, reason="no answer")
    assert "1 may have been sent, or not" in why(run_json)


def test_a_worker_that_lives_is_listed(
    run_json: RunJson, worker: Worker, queue: Queued, ses_says: SesSays
) -> None:
    ses_says()
    queue()
    (told,) = run_json("status")["workers"]
    assert (told["name"], told["pid"], told["sent"]) == ("ox", worker.pid, 0)
    assert told["host"] == worker.hostname
    assert moment(told["last_heartbeat"]) == pytest.approx(datetime.now(timezone.utc).timestamp(), abs=60)
    assert "No worker is running" not in why(run_json)


def test_a_worker_that_was_silent_for_long_is_not(redis: Redis, worker: Worker) -> None:
    beat = worker.last_heartbeat
    assert [w.name for w in read_workers(redis, "default", now=beat)] == ["ox"]
    assert [w.name for w in read_workers(redis, "default", now=beat + timedelta(seconds=89))] == ["ox"]
    assert read_workers(redis, "default", now=beat + timedelta(seconds=90)) == ()


def test_queued_mail_without_a_worker_says_so(run_json: RunJson, queue: Queued) -> None:
    queue()
    assert "No worker is running: `sesq worker` starts one." in why(run_json)


def test_the_table_shows_the_same(run: Run, ses_says: SesSays, queue: Queued, becomes: Becomes) -> None:
    ses_says()
    hostile = "recipient [red]bob@x.org[/] is not \x1b[2Jverified"
    becomes(queue(), State.HELD, hold="recipient:bob@x.org", held_because=hostile)
    shown = run("status").stdout
    assert "account default, sandbox, open" in shown
    assert "1/second, 200/day" in shown
    assert "[red]bob@x.org[/]" in shown
    assert re.search(r"^redis   [\d.]+ MB in use$", shown, re.MULTILINE)
    assert "\x1b" not in shown


def test_looking_changes_nothing(run_json: RunJson, ses_says: SesSays, queue: Queued, redis: Redis) -> None:
    ses_says()
    id = queue()
    first, second = run_json("status"), run_json("status")
    for told in (first, second):
        del told["memory"], told["lanes"]["transactional"]["next_at"]
    assert first == second
    assert Messages(redis).get(id).state is State.QUEUED
    assert redis.get(CLOCK_OFFSET) is None
