"""Acts of programs on all messages that match: counted, agreed to, followed, stopped; one entry in the audit trail."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from crowd import BOB, HELD, settle, trail, unfinished
from piles import pile_up
from sesq.console import many
from sesq.console.web import acting
from sesq.console.web.search import Query
from sesq.queue.messages import Messages
from sesq.queue.states import State
from stage import Stage
from system import eventually

Call = Callable[..., tuple[int, Any]]
RELEASE = {"act": "release", "filter": {"waiting": BOB}}
CANCEL = {"act": "cancel", "filter": {"state": ["queued"], "tag": "kind=news"}}


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(redis)


@pytest.fixture
def call(console: Callable[..., Any], stage: Stage) -> Call:
    """`call("POST", "/count", body)`: the status, and what it answers."""
    visit = console()

    def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        url = f"{visit.site}/api/v1/accounts/default/acts{path}"
        answer = visit.session.request(method, url, json=body, timeout=20)
        return answer.status_code, answer.json()

    return ask


def agree(call: Call, wanted: dict[str, Any]) -> dict[str, Any]:
    """Counts, and returns the body with which a program agrees to the number."""
    status, told = call("POST", "/count", wanted)
    assert status == 200, told
    return {**wanted, "number": told["number"], "at": told["at"]}


def test_what_was_counted_and_agreed_to_is_done(stage: Stage, call: Call) -> None:
    # Given 60 that match, and two that do not
    wanted = [stage.queue(tags={"kind": "news"}) for _ in range(60)]
    others = [stage.queue(), stage.queue(tags={"kind": "bill"})]
    stage.pass_time(1)
    # When a program counts them, then nothing is done
    status, told = call("POST", "/count", CANCEL)
    assert (status, told.pop("at")) == (200, "2023-11-14T22:13:23.000Z")
    assert told == {
        "act": "cancel",
        "words": "that are queued, tag kind=news",
        "number": 60,
        "complete": True,
    }
    assert trail(stage) == []
    # When it agrees, then these are cancelled, and no other
    status, done = call("POST", "", agree(call, CANCEL))
    assert (status, done["state"], done["number"], done["done"], done["refused"]) == (202, "ended", 60, 60, 0)
    assert {stage.state(id) for id in wanted} == {State.CANCELLED}
    assert {stage.state(id) for id in others} == {State.QUEUED}
    # And it is one entry of the audit trail, which is also its progress
    assert trail(stage) == ["cancel: 60 of 60 that are queued, tag kind=news"]
    assert call("GET", f"/{done['id']}") == (200, done)
    assert (done["what"], done["by"]) == (trail(stage)[0], "ops@here (console)")
    assert call("GET", "") == (200, [])


def test_another_number_than_was_agreed_to_is_refused(stage: Stage, call: Call) -> None:
    ids = [stage.queue(tags={"kind": "news"}) for _ in range(3)]
    stage.pass_time(1)
    agreed = agree(call, CANCEL)
    stage.messages.cancel(ids[0], "ada")
    status, told = call("POST", "", agreed)
    assert (status, told["code"]) == (409, "wrong-state")
    assert told["detail"] == "number: 2 messages match, not 3; count them again"
    assert [stage.state(id) for id in ids] == [State.CANCELLED, State.QUEUED, State.QUEUED]
    assert trail(stage) == []


def test_messages_that_came_later_are_left_alone(stage: Stage, call: Call) -> None:
    early = stage.queue(tags={"kind": "news"})
    stage.pass_time(1)
    agreed = agree(call, CANCEL)
    stage.pass_time(1)
    late = stage.queue(tags={"kind": "news"})
    stage.pass_time(1)
    assert call("POST", "", agreed)[0] == 202
    assert (stage.state(early), stage.state(late)) == (State.CANCELLED, State.QUEUED)


OTHERS: list[tuple[State, dict[str, Any], State]] = [
    (State.HELD, RELEASE, State.QUEUED),
    (State.FAILED, {"act": "retry", "filter": {"state": ["failed"]}}, State.QUEUED),
    (State.UNKNOWN, {"act": "resolve", "outcome": "sent", "filter": {"to": "BOB@"}}, State.SENT),
]


@pytest.mark.parametrize(("state", "wanted", "then"), OTHERS, ids=[row[1]["act"] for row in OTHERS])
def test_each_act_is_done_to_all(stage: Stage, call: Call, state: State, wanted: Any, then: State) -> None:
    ids = settle(stage, 20, state, **(HELD if state is State.HELD else {}))
    assert call("POST", "", agree(call, wanted))[1]["done"] == 20
    assert {stage.state(id) for id in ids} == {then}


def test_many_are_changed_after_the_answer_and_the_progress_is_told(
    stage: Stage, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given 120 that match, of which 50 are changed before the answer; and then the act waits
    monkeypatch.setattr(acting, "STEPS_AT_ONCE", 1)
    pile_up(stage.redis, stage.queue(lane="bulk", tags={"kind": "news"}), 119, prefix="more")
    stage.pass_time(1)
    real, go = Messages.cancel, threading.Event()

    def cancel(messages: Messages, id: str, by: str, only: Any = State) -> State:
        assert threading.current_thread().name[:4] != "act-" or go.wait(20)
        return real(messages, id, by, only)

    monkeypatch.setattr(Messages, "cancel", cancel)
    agreed = agree(call, CANCEL)
    # When a program agrees to the number, then it is told how far the act is
    status, told = call("POST", "", agreed)
    assert (status, told["state"], told["number"], told["done"]) == (202, "running", agreed["number"], 50)
    assert call("GET", "") == (200, [told])
    # And somebody who wants to continue it is told that it goes on
    status, refused = call("POST", f"/{told['id']}/continue")
    assert (status, refused["detail"]) == (409, "ops@here (console) works on it")
    # When it is stopped, then it ends after its step
    assert call("POST", f"/{told['id']}/stop")[1]["state"] == "stopping"
    go.set()
    eventually(lambda: call("GET", f"/{told['id']}")[1]["state"] == "ended", "it has ended")
    assert call("GET", f"/{told['id']}")[1]["done"] == 100
    assert trail(stage) == [f"cancel: 100 of {agreed['number']} that are queued, tag kind=news"]


def test_an_act_that_was_interrupted_is_continued_by_a_program(stage: Stage, call: Call) -> None:
    for _ in range(60):
        stage.queue()
    stage.pass_time(1)
    act = many.ask(stage.redis, "default", "cancel", Query(states=(State.QUEUED,)))
    act = many.run(stage.redis, "default", many.begin(stage.redis, "default", act, "ada"), steps=1)
    assert unfinished(stage) == [act]
    stage.pass_time(60)
    assert call("GET", f"/{act.id}")[1]["state"] == "interrupted"
    assert call("POST", f"/{act.id}/continue")[0] == 202
    eventually(lambda: call("GET", f"/{act.id}")[1]["state"] == "ended", "it has ended")
    told = call("GET", f"/{act.id}")[1]
    assert (told["done"], told["by"]) == (60, "ada, continued by ops@here (console)")
    assert call("POST", f"/{act.id}/continue")[0] == 409


WRONG: list[tuple[str, str, Any, int, str]] = [
    ("GET", "/none", None, 404, "unknown-act"),
    ("POST", "/count", {"act": "cancel", "filter": {}}, 422, "at least one condition"),
    ("POST", "/count", {"act": "resolve", "filter": {"to": "x"}}, 422, "resolve needs it"),
    ("POST", "/count", {"act": "cancel", "outcome": "sent", "filter": {"to": "x"}}, 422, "no other act"),
    ("POST", "/count", {"act": "cancel", "filter": {"state": ["sent"]}}, 422, "is for messages that are"),
    ("POST", "/count", {"act": "cancel", "filter": {"colour": "red"}}, 422, "colour"),
    ("POST", "", CANCEL, 422, "number"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "part"), WRONG)
def test_wrong_use_is_refused(call: Call, method: str, path: str, body: Any, status: int, part: str) -> None:
    answered, told = call(method, path, body)
    assert (answered, part in str(told)) == (status, True), told


def test_an_act_that_is_not_known_has_no_page(console: Callable[..., Any], stage: Stage) -> None:
    stage.queue()
    assert console().get("acts/none").status_code == 404
