"""Acts mean all that match: a request counts for a short time, says so, and the act goes on to the end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from redis import Redis

from clicks import Clicker
from crowd import HELD, counts, settle, trail, unfinished
from piles import pile_up
from sesq.console import many
from sesq.console.web import acting
from sesq.console.web.search import Query
from sesq.queue.replies import texts
from sesq.queue.states import Lane, State
from stage import Stage
from system import eventually

Console = Callable[..., Any]
NUMBER = 1200
NEWS = "messages?state=queued&tag=kind%3Dnews"


@pytest.fixture
def stage(redis: Redis) -> Iterator[Stage]:
    made = Stage(redis)
    yield made
    redis.flushall(asynchronous=True)


@pytest.fixture
def news(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """1,200 that match; each request counts for no time, which is one step of the count."""
    monkeypatch.setattr(acting, "COUNT_SECONDS", 0.0)
    pile_up(stage.redis, stage.queue(lane="bulk", tags={"kind": "news"}), NUMBER - 1, prefix="more")
    stage.pass_time(1)


@pytest.mark.usefixtures("news")
def test_the_question_counts_on_until_all_are_counted(stage: Stage, console: Console) -> None:
    # Given the question about more than one request can count
    clicker = Clicker(console()).open(NEWS).press("Cancel all …")
    found = [re.findall(r"Cancel: ([\w ,]+) messages\?", clicker.text)]
    # When it counts further, with more that come meanwhile
    stage.pass_time(1)
    stage.queue(tags={"kind": "news"})
    while "Count further" in clicker.text:
        clicker.follow("Count further")
        found.append(re.findall(r"Cancel: ([\w ,]+) messages\?", clicker.text))
    # Then it says how many there are at least, and in the end how many there were when it was asked
    assert found == [["at least 500"], ["at least 1,000"], ["1,200"]]
    clicker.press("Cancel: 1,200")
    eventually(lambda: unfinished(stage) == [], "it has ended")
    assert counts(stage) == {State.CANCELLED: NUMBER, State.QUEUED: 1}


@pytest.mark.usefixtures("news")
def test_who_does_not_wait_for_the_count_acts_on_all_too(stage: Stage, console: Console) -> None:
    # Given the question before all are counted
    clicker = Clicker(console()).open(NEWS).press("Cancel all …")
    stage.pass_time(1)
    late = stage.queue(tags={"kind": "news"})
    # When the answer is yes, then all are cancelled that matched when it was asked, and no other
    clicker.press("Cancel: at least 500")
    eventually(lambda: unfinished(stage) == [], "it has ended")
    assert counts(stage) == {State.CANCELLED: NUMBER, State.QUEUED: 1}
    assert stage.state(late) is State.QUEUED
    # And then the number is known
    assert trail(stage) == [f"cancel: {NUMBER} of {NUMBER} that are queued, tag kind=news"]


@pytest.mark.usefixtures("news")
def test_who_agrees_before_the_first_is_found_acts_on_all_too(stage: Stage, console: Console) -> None:
    # Given one that matches behind more than one request can look at
    stage.queue(tags={"kind": "bill"})
    stage.pass_time(1)
    clicker = Clicker(console()).open("messages?state=queued&tag=kind%3Dbill").press("Cancel all …")
    clicker.press("Cancel: at least 0")
    eventually(lambda: unfinished(stage) == [], "it has ended")
    assert counts(stage) == {State.CANCELLED: 1, State.QUEUED: NUMBER}
    assert trail(stage) == ["cancel: 1 of 1 that are queued, tag kind=bill"]


@pytest.mark.usefixtures("news")
def test_a_stopped_act_tells_that_not_all_were_counted(stage: Stage, console: Console) -> None:
    act = many.ask(stage.redis, "default", "cancel", Query(tag="kind=news"), seconds=0.0)
    act = many.run(stage.redis, "default", many.begin(stage.redis, "default", act, "ada"), steps=1)
    stage.pass_time(60)
    clicker = Clicker(console()).open(f"acts/{act.id}")
    assert "Cancel: 50 of at least 500" in clicker.text
    clicker.press("Stop here")
    assert trail(stage)[0].startswith("cancel: 50 of at least 500 that are")


@pytest.mark.usefixtures("news")
def test_a_program_is_told_whether_the_count_is_complete(stage: Stage, console: Console) -> None:
    # Given a count that ended before all were counted
    visit = console()
    acts = f"{visit.site}/api/v1/accounts/default/acts"

    def ask(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        answer = visit.session.post(acts + path, json=body, timeout=20)
        return answer.status_code, answer.json()

    wanted = {"act": "cancel", "filter": {"tag": "kind=news"}}
    _, told = ask("/count", wanted)
    assert (told["number"], told["complete"]) == (500, False)
    agreed = {**wanted, "number": told["number"], "at": told["at"]}
    # When a program agrees to the number alone, then nothing is done
    status, refused = ask("", agreed)
    assert (status, refused["detail"]) == (
        409,
        "number: at least 500 messages match, not 500; count them again",
    )
    assert counts(stage) == {State.QUEUED: NUMBER}
    # When it agrees to a count that is not complete, then all are changed
    status, begun = ask("", {**agreed, "complete": False})
    assert (status, begun["complete"]) == (202, False)
    eventually(lambda: unfinished(stage) == [], "it has ended")
    ended = visit.session.get(f"{acts}/{begun['id']}", timeout=20).json()
    assert (ended["done"], ended["number"], ended["complete"]) == (NUMBER, NUMBER, True)


@pytest.mark.usefixtures("news")
def test_a_request_counts_for_its_time_and_no_longer(stage: Stage) -> None:
    # Given a clock that goes on by 150 ms each time that somebody looks at it
    times = (0.15 * i for i in count())
    act = many.ask(
        stage.redis, "default", "cancel", Query(tag="kind=news"), seconds=0.2, clock=lambda: next(times)
    )
    # Then the count ends with the first step that ends after 200 ms
    assert (act.number, act.complete) == (1000, False)


def test_times_are_counted_without_a_look_at_each_message(stage: Stage) -> None:
    # Given three that came into their state a second after each other
    first = stage.now
    for _ in range(3):
        stage.queue()
        stage.pass_time(1)
    # Then those of a time are counted, all at once
    for query, number in (
        (Query((State.QUEUED,), since=first + 1), 2),
        (Query((State.QUEUED,), until=first + 1), 2),
        (Query((State.QUEUED,), since=first + 1, until=first + 1), 1),
    ):
        act = many.ask(stage.redis, "default", "cancel", query, seconds=0.0)
        assert (act.number, act.complete, act.query.looks_inside) == (number, True, False)


def lane(stage: Stage) -> list[str]:
    """The messages in the order in which they go."""
    return texts(stage.redis.lrange(f"rq:queue:{stage.keys.queue(Lane.TRANSACTIONAL)}", 0, -1))


@pytest.mark.parametrize("query", [Query(states=(State.HELD,)), Query(to="bob")], ids=["state", "records"])
def test_the_oldest_go_first(stage: Stage, query: Query, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given 12 that were held one after the other, and steps of 5
    monkeypatch.setattr(many, "STEP", 5)
    ids = [id for _ in range(12) for id in settle(stage, 1, State.HELD, **HELD)]
    # When all are released, then they stand in their lane in the order in which they were queued
    act = many.ask(stage.redis, "default", "release", query)
    many.run(stage.redis, "default", many.begin(stage.redis, "default", act, "ada"))
    assert lane(stage) == ids


def test_the_oldest_of_those_that_are_chosen_go_first(stage: Stage, console: Console) -> None:
    ids = [id for _ in range(5) for id in settle(stage, 1, State.HELD, **HELD)]
    console().post("messages/act", {"verb": "release", "ids": ids[::-1]})
    assert lane(stage) == ids


def test_of_one_reason_and_a_time_only_those_are_released(stage: Stage) -> None:
    # Given messages that wait for Bob since three times, queued long before
    early = settle(stage, 10, State.HELD, **HELD)
    stage.pass_time(100)
    late = settle(stage, 10, State.HELD, **HELD)
    # When those are released that wait since the last minute
    query = Query(waiting=HELD["hold"], since=stage.now - 60)
    act = many.ask(stage.redis, "default", "release", query)
    assert act.number == 10
    many.run(stage.redis, "default", many.begin(stage.redis, "default", act, "ada"))
    # Then the others still wait
    assert {stage.state(id) for id in late} == {State.QUEUED}
    assert {stage.state(id) for id in early} == {State.HELD}
