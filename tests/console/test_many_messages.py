"""`sesq messages cancel|retry|release|resolve` of all that match: asked for, counted, in the audit trail."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis
from typer.testing import Result

from sesq.console.acts import Acts
from sesq.console.audit import Audit
from sesq.console.commands import of_filter
from sesq.queue.keys import CLOCK_OFFSET, Keys
from sesq.queue.messages import Messages
from sesq.queue.snapshot import redis_now
from sesq.queue.states import State

Run = Callable[..., Result]
Queued = Callable[..., str]
Becomes = Callable[..., None]
DAY = 86_400
HOLD = {"hold": "recipient:bob@x.org", "held_because": "recipient bob@x.org is not verified"}


@pytest.fixture(autouse=True)
def _open(ses_says: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    ses_says(rate=100)
    monkeypatch.setattr(of_filter, "is_agreed", lambda _question: True)


@pytest.fixture
def unknown(queue: Queued, becomes: Becomes, redis: Redis) -> list[str]:
    """Two of which nobody knows since two days, and one since an hour."""
    old = [queue(tags={"kind": "news"}), queue()]
    for id in old:
        becomes(id, State.UNKNOWN)
    redis.incrbyfloat(CLOCK_OFFSET, 2 * DAY)
    late = queue()
    becomes(late, State.UNKNOWN)
    redis.incrbyfloat(CLOCK_OFFSET, 3600)
    return [*old, late]


def states(redis: Redis, ids: list[str]) -> list[str]:
    return [Messages(redis).get(id).state.value for id in ids]


def trail(redis: Redis) -> list[str]:
    return [entry["what"] for entry in Audit(redis, "default").entries()]


def test_the_unknown_of_a_day_are_settled(run: Run, redis: Redis, unknown: list[str]) -> None:
    told = run("messages", "resolve", "--state", "unknown", "--to", "sent", "--older", "1d")
    assert (told.exit_code, told.stdout) == (0, "2 sent\n")
    assert states(redis, unknown) == ["sent", "sent", "unknown"]
    (what,) = trail(redis)
    assert re.fullmatch(r"resolve as sent: 2 of 2 that are unknown, in that state not after [\dT:.-]+Z", what)
    (entry,) = Audit(redis, "default").entries()
    assert "@" in entry["by"]
    assert Acts(redis, "default").all(redis_now(redis)).acts == []


def test_by_tag_and_in_other_words(run: Run, redis: Redis, unknown: list[str]) -> None:
    assert run("messages", "resolve", "--tag", "kind=news", "--as", "failed").stdout == "1 failed\n"
    assert states(redis, unknown) == ["failed", "unknown", "unknown"]
    assert run("messages", "resolve", "--to", "queued", unknown[1]).stdout == f"{unknown[1]} queued\n"


def test_all_to_somebody_are_cancelled_and_those_held_released(
    run: Run, redis: Redis, queue: Queued, becomes: Becomes
) -> None:
    held = queue(to=["bob@x.org"])
    becomes(held, State.HELD, **HOLD)
    other = queue(to=["ada@x.org"])
    redis.incrbyfloat(CLOCK_OFFSET, 1)
    assert run("messages", "release", "--state", "held").stdout == "1 queued\n"
    redis.incrbyfloat(CLOCK_OFFSET, 1)
    assert run("messages", "cancel", "--to", "BOB@").stdout == "1 cancelled\n"
    assert states(redis, [held, other]) == ["cancelled", "queued"]


def test_the_question_names_the_number_and_without_a_yes_nothing_is_done(
    run: Run, redis: Redis, unknown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(of_filter, "is_agreed", asked.append)
    told = run("messages", "resolve", "--state", "unknown", "--to", "sent")
    assert (told.exit_code, asked) == (1, ["Resolve as sent: 3 messages that are unknown?"])
    assert states(redis, unknown) == ["unknown"] * 3
    assert trail(redis) == []
    assert run("messages", "resolve", "--state", "unknown", "--to", "sent", "--yes").exit_code == 0
    assert len(asked) == 1


def test_what_could_not_be_done_is_told(run: Run, redis: Redis, queue: Queued, becomes: Becomes) -> None:
    ids = [queue(), queue()]
    for id in ids:
        becomes(id, State.FAILED)
    redis.delete(Keys("default").content(ids[1]))
    redis.incrbyfloat(CLOCK_OFFSET, 1)
    told = run("messages", "retry", "--state", "failed")
    assert (told.exit_code, told.stdout) == (1, "1 queued\n")
    assert f"the content of message {ids[1]} is gone" in told.stderr


def test_ctrl_c_ends_it_after_a_step_with_the_right_number(run: Run, redis: Redis, queue: Queued) -> None:
    ids = [queue() for _ in range(120)]
    redis.incrbyfloat(CLOCK_OFFSET, 1)
    real, calls = Messages.cancel, iter(range(1000))

    def cancel(messages: Messages, id: str, by: str, only: Any = State) -> State:
        if next(calls) == 20:
            os.kill(os.getpid(), signal.SIGINT)
        return real(messages, id, by, only)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Messages, "cancel", cancel)
        told = run("messages", "cancel", "--state", "queued")
    assert (told.exit_code, told.stdout) == (130, "50 cancelled\n")
    assert states(redis, ids).count("cancelled") == 50
    assert trail(redis) == ["cancel: 50 of 120 that are queued"]
    assert run("messages", "cancel", "--state", "queued").stdout == "70 cancelled\n"


def test_what_was_done_before_an_error_is_in_the_trail(run: Run, redis: Redis, queue: Queued) -> None:
    first, second = queue(), queue()
    real = Messages.cancel

    def cancel(messages: Messages, id: str, by: str, only: Any = State) -> State:
        if id == second:
            raise KeyboardInterrupt
        return real(messages, id, by, only)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Messages, "cancel", cancel)
        assert run("messages", "cancel", first, second).exit_code != 0
    assert trail(redis) == [f"cancel: {first}"]


FILTERS: list[tuple[str, ...]] = [
    ("--subject", "Your CODE"),
    ("--since", "90m"),
    ("--until", "45m", "--subject", "code"),
    ("--message-id", "0107018c51b3"),
    ("--tag", "kind=news", "--older", "30m"),
]


@pytest.mark.parametrize("options", FILTERS, ids=[" ".join(options[::2]) for options in FILTERS])
def test_an_act_takes_each_option_of_the_list(
    run: Run, redis: Redis, queue: Queued, becomes: Becomes, options: tuple[str, ...]
) -> None:
    # Given three unknown messages, of which one matches
    early = queue(subject="An invoice")
    becomes(early, State.UNKNOWN)
    redis.incrbyfloat(CLOCK_OFFSET, 3600)
    wanted = queue(subject="Your code", tags={"kind": "news"})
    becomes(wanted, State.UNKNOWN)
    redis.hset(Keys("default").message(wanted), "message_id", "0107018c51b3f6a2-1")
    redis.incrbyfloat(CLOCK_OFFSET, 3600)
    # When all that match are resolved, then it is this one, as `list` says
    same = [option for option in options if option not in ("--older", "30m")]
    (listed,) = json.loads(run("messages", "list", "--state", "unknown", *same, "--json").stdout)
    assert listed["id"] == wanted
    assert run("messages", "resolve", "--as", "sent", *options).stdout == "1 sent\n"
    assert states(redis, [early, wanted]) == ["unknown", "sent"]


def test_all_of_one_reason_are_released_after_a_question(
    run: Run, redis: Redis, queue: Queued, becomes: Becomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two that wait for Bob
    ids = [queue(), queue()]
    for id in ids:
        becomes(id, State.HELD, **HOLD)
    redis.incrbyfloat(CLOCK_OFFSET, 1)
    asked: list[str] = []
    monkeypatch.setattr(of_filter, "is_agreed", asked.append)
    # When somebody wants to release them, then the question names their number; without a yes, they wait
    told = run("messages", "release", "--waiting-for", HOLD["hold"])
    assert (told.exit_code, asked) == (1, [f"Release: 2 messages that are held, waiting for {HOLD['hold']}?"])
    assert states(redis, ids) == ["held", "held"]
    # And with --yes, nobody is asked
    assert run("messages", "release", "--waiting-for", HOLD["hold"], "--yes").stdout == "2 queued\n"
    assert len(asked) == 1
    assert states(redis, ids) == ["queued", "queued"]
    (entry,) = Audit(redis, "default").entries()
    assert entry["what"] == f"release: 2 of 2 that are held, waiting for {HOLD['hold']}"
    assert (entry["before"], entry["after"]) == ({"state": "held"}, {"state": "queued"})


def test_the_reason_restore_ends_though_nothing_is_held_yet(run: Run, redis: Redis) -> None:
    # Given a restored backup, of which no message has been held yet
    redis.hset(Keys("default").restored, mapping={"before": 1, "server": "x"})
    assert run("messages", "release", "--waiting-for", "restore").stdout == "0 queued\n"
    assert not redis.exists(Keys("default").restored)


def test_of_several_ids_the_oldest_goes_first(
    run: Run, redis: Redis, queue: Queued, becomes: Becomes
) -> None:
    ids = [queue() for _ in range(3)]
    for id in ids:
        becomes(id, State.HELD, **HOLD)
    assert run("messages", "release", *ids[::-1]).stdout.split()[::2] == ids


WRONG: list[tuple[tuple[Any, ...], str]] = [
    (("cancel",), "give ids"),
    (("cancel", "x", "--state", "held"), "give ids, or"),
    (("release", "x", "--waiting-for", "y"), "give ids, or"),
    (("release", "--state", "sent"), "is for messages that are held, not sent"),
    (("cancel", "--older", "soon"), "--older"),
    (("cancel", "--since", "soon"), "--since"),
    (("retry", "x", "--message-id", "y"), "give ids, or"),
    (("resolve", "--state", "held", "--to", "sent"), "messages that are unknown"),
]


@pytest.mark.parametrize(("words", "why"), WRONG)
def test_wrong_use_is_refused(run: Run, words: tuple[str, ...], why: str) -> None:
    told = run("messages", *words)
    assert (told.exit_code, why in told.stderr) == (2, True), told.stderr


def test_none_is_none(run: Run) -> None:
    assert run("messages", "cancel", "--state", "queued").stdout == "0 cancelled\n"
