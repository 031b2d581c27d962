"""`sesq messages`: look, and do what a person may do."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from redis import Redis
from typer.testing import Result

from sesq.queue.keys import CLOCK_OFFSET, Keys
from sesq.queue.messages import Messages
from sesq.queue.states import State
from sesq.worker.events import Feedback

Run = Callable[..., Result]
RunJson = Callable[..., Any]
Queued = Callable[..., str]
Becomes = Callable[..., None]
HOLD = {"hold": "recipient:bob@x.org", "held_because": "recipient bob@x.org is not verified"}


@pytest.fixture(autouse=True)
def _open(ses_says: Callable[..., None]) -> None:
    ses_says(rate=100)


def state(redis: Redis, id: str) -> State:
    return Messages(redis).get(id).state


def test_the_newest_come_first_and_no_more_than_asked(run_json: RunJson, queue: Queued, redis: Redis) -> None:
    ids = []
    for second in range(3):
        redis.set(CLOCK_OFFSET, second)
        ids.append(queue())
    assert [record["id"] for record in run_json("messages", "list")] == ids[::-1]
    assert [record["id"] for record in run_json("messages", "list", "--limit", "2")] == ids[:0:-1]


def test_why_a_message_waits_is_told_where_somebody_looked(run_json: RunJson, queue: Queued) -> None:
    id = queue()
    (listed,) = run_json("messages", "list")
    shown = run_json("messages", "show", id)
    assert shown.keys() - listed.keys() == {"waits_because", "goes_at"}
    assert shown["waits_because"]


def test_why_a_delivery_is_delayed_is_told(
    run: Run, run_json: RunJson, queue: Queued, becomes: Becomes, redis: Redis
) -> None:
    id = queue()
    becomes(id, State.SENT, message_id="m-1", attempts=1)
    assert "delayed because" not in run("messages", "show", id).stdout
    mail = {"messageId": "m-1", "destination": ["ada@example.com"], "tags": {"sesq-id": [id]}}
    delay = {"eventType": "DeliveryDelay", "mail": mail, "deliveryDelay": {"delayType": "MailboxFull"}}
    Feedback(redis, "default").handle(json.dumps(delay))
    because = "delayed to ada@example.com (MailboxFull): the mailbox is full"
    shown = run("messages", "show", id).stdout
    assert ("delayed because" in shown, because in shown) == (True, True)
    assert run_json("messages", "show", id)["delayed_because"] == because
    (listed,) = run_json("messages", "list")
    assert (listed["state"], listed["delayed_because"]) == ("sent", because)


def test_only_the_states_asked_for(run_json: RunJson, run: Run, queue: Queued, becomes: Becomes) -> None:
    held, unknown, _ = queue(), queue(), queue()
    becomes(held, State.HELD, **HOLD)
    becomes(unknown, State.UNKNOWN)
    assert [r["id"] for r in run_json("messages", "list", "--state", "held")] == [held]
    both = run_json("messages", "list", "--state", "held", "--state", "unknown")
    assert {r["id"] for r in both} == {held, unknown}
    assert run("messages", "list", "--state", "lost").exit_code == 2


def test_the_table_shows_whole_ids_and_plain_text(run: Run, queue: Queued) -> None:
    id = queue(subject="[bold]50 %[/bold] off", to=["a@example.com", "b@example.com"])
    shown = run("messages", "list").stdout
    assert id in shown
    assert "[bold]50 %[/bold] off" in shown
    assert "a@example.com and 1 more" in shown


@pytest.mark.parametrize("fields", [{"v": "99"}, {"to": "no list"}, {"sender": "", "to": "[]"}])
def test_a_message_that_nobody_can_read_hides_no_other(
    run: Run, run_json: RunJson, queue: Queued, redis: Redis, fields: dict[str, str]
) -> None:
    ids = {queue(), queue()}
    redis.hset(Keys("default").message(min(ids)), mapping=fields)
    shown = run("messages", "list").stdout
    assert all(id in shown for id in ids)
    assert {record["id"] for record in run_json("messages", "list")} == ids


def test_what_a_terminal_would_obey_is_not_printed(run: Run, queue: Queued, becomes: Becomes) -> None:
    id = queue()
    becomes(id, State.FAILED, reason="550 \x1b[2J[red]no\x07[/]")
    for words in (["list"], ["show", id]):
        shown = run("messages", *words).stdout
        assert "[2J[red]no" in shown
        assert "\x1b" not in shown
        assert "\x07" not in shown


def test_an_empty_list_says_so(run: Run, run_json: RunJson) -> None:
    assert run("messages", "list").stdout == "no messages\n"
    assert run_json("messages", "list") == []


def test_one_message_with_its_history(run: Run, run_json: RunJson, queue: Queued, becomes: Becomes) -> None:
    id = queue(tags={"campaign": "autumn"})
    becomes(id, State.SENT, message_id="ses-1", reason="")
    told = run_json("messages", "show", id)
    assert (told["id"], told["state"], told["message_id"]) == (id, "sent", "ses-1")
    assert (told["from"], told["to"], told["tags"]) == (
        "shop@example.com",
        ["ada@example.com"],
        {"campaign": "autumn"},
    )
    assert [event["state"] for event in told["history"]] == ["queued", "sending", "sent"]
    assert all(event["at"].endswith("Z") for event in told["history"])
    assert told["created"] == told["history"][0]["at"]
    assert told["since"] == told["history"][-1]["at"]
    shown = run("messages", "show", id).stdout
    for part in (id, "ses-1", "campaign=autumn", "sending"):
        assert part in shown


def test_what_waits_says_why_and_when_it_goes(run: Run, run_json: RunJson, queue: Queued) -> None:
    id = queue(send_at=datetime(2100, 1, 1, tzinfo=timezone.utc))
    told = run_json("messages", "show", id)
    assert (told["waits_because"], told["goes_at"]) == ("its time has not come", "2100-01-01T00:00:00.000Z")
    shown = run("messages", "show", id).stdout
    assert "its time has not come" in shown
    assert "no worker is running" in run("messages", "show", queue()).stdout


def test_one_that_is_not_there(run: Run) -> None:
    result = run("messages", "show", "nope")
    assert result.exit_code == 1
    assert "no message nope in account default" in result.stderr


@pytest.mark.parametrize("command", ["show", "cancel"])
def test_a_whole_id_that_is_gone_is_not_looked_for_among_all_messages(
    run: Run, redis: Redis, queue: Queued, command: str
) -> None:
    # Given a message that is there, and the id of one that is gone
    id = queue()
    gone = queue()
    redis.delete(Keys("default").message(gone))

    def looks_through() -> int:
        return int(redis.info("commandstats").get("cmdstat_zscan", {"calls": 0})["calls"])

    # When somebody gives its whole id, then no list of messages is looked through
    before = looks_through()
    assert run("messages", command, gone).exit_code == 1
    assert looks_through() == before
    # And with a beginning of an id they are, so the count can tell
    assert run("messages", command, id[:20]).exit_code == 0
    assert looks_through() > before


def test_what_waits_can_be_cancelled_and_what_is_sent_cannot(
    run: Run, redis: Redis, queue: Queued, becomes: Becomes
) -> None:
    sent, waits = queue(), queue()
    becomes(sent, State.SENT, message_id="ses-1")
    result = run("messages", "cancel", sent, waits)
    assert result.exit_code == 1
    assert result.stdout == f"{waits} cancelled\n"
    assert f"message {sent} is sent" in result.stderr
    assert (state(redis, sent), state(redis, waits)) == (State.SENT, State.CANCELLED)
    assert "@" in Messages(redis).get(waits).reason


def test_what_failed_can_be_tried_again(run: Run, redis: Redis, queue: Queued, becomes: Becomes) -> None:
    id = queue()
    becomes(id, State.FAILED, reason="no route")
    assert run("messages", "retry", id).exit_code == 0
    assert state(redis, id) is State.QUEUED


def test_a_held_one_can_be_released(run: Run, redis: Redis, queue: Queued, becomes: Becomes) -> None:
    id, other = queue(), queue()
    becomes(id, State.HELD, **HOLD)
    becomes(other, State.HELD, **HOLD)
    assert run("messages", "release", id).exit_code == 0
    assert (state(redis, id), state(redis, other)) == (State.QUEUED, State.HELD)


def test_all_that_wait_for_one_thing_can_be_released(
    run: Run, redis: Redis, queue: Queued, becomes: Becomes
) -> None:
    ids = [queue(), queue()]
    for id in ids:
        becomes(id, State.HELD, **HOLD)
    assert run("messages", "release", "--waiting-for", HOLD["hold"]).stdout == "2 queued\n"
    assert {state(redis, id) for id in ids} == {State.QUEUED}
    again = run("messages", "release", "--waiting-for", HOLD["hold"])
    assert again.exit_code == 1
    assert "nothing waits for 'recipient:bob@x.org'; waited for: nothing" in again.stderr


@pytest.mark.parametrize("outcome", ["sent", "queued", "failed"])
def test_an_unknown_one_can_be_settled(
    run: Run, redis: Redis, queue: Queued, becomes: Becomes, outcome: str
) -> None:
    id = queue()
    assert run("messages", "resolve", id, "--as", outcome).exit_code == 1
    becomes(id, State.UNKNOWN)
    assert run("messages", "resolve", id, "--as", outcome).stdout == f"{id} {outcome}\n"
    assert state(redis, id) is State(outcome)


def test_it_is_settled_as_nothing_else(run: Run, queue: Queued) -> None:
    assert run("messages", "resolve", queue(), "--as", "delivered").exit_code == 2


def test_a_message_that_ses_may_have_taken_is_not_called_cancelled(
    run: Run, redis: Redis, queue: Queued
) -> None:
    # Given two that wait, of which SES may have taken one at an earlier try
    ids = [queue(), queue()]
    redis.hset(Keys("default").message(ids[1]), "unsure", 1)
    # When both are cancelled, then it is said of each what became of it
    told = run("messages", "cancel", *ids)
    assert (told.exit_code, told.stdout.split()) == (0, [ids[0], "cancelled", ids[1], "unknown"])
