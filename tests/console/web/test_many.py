"""One act on all messages that match: asked for with its number, done in steps, one entry in the audit trail."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from clicks import Clicker
from crowd import BOB, HELD, counts, settle, trail, unfinished
from piles import Work, pile_up
from sesq.console import many
from sesq.console.web.search import Query
from sesq.queue.messages import Messages
from sesq.queue.results import SendResult
from sesq.queue.states import State
from stage import Stage
from system import eventually

Console = Callable[..., Any]


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(redis)


@pytest.fixture
def clicker(console: Console) -> Clicker:
    return Clicker(console())


def test_three_hundred_held_for_one_reason_are_released_in_three_clicks(
    stage: Stage, clicker: Clicker
) -> None:
    # Given 300 that wait for Bob, and one that waits for Eve
    settle(stage, 300, State.HELD, **HELD)
    settle(stage, 1, State.HELD, hold="recipient:eve@example.org", held_because="Eve is not verified")
    # When somebody asks for them
    clicker.open("overview").follow("301 held").press("Release all 300")
    # Then the question names the number, and what that means; nothing is done yet
    assert "Release: 300 messages?" in clicker.text
    assert "held again" in clicker.text
    assert counts(stage) == {State.HELD: 301}
    # When the answer is yes, then they go, Eve's waits, and the page is the one before, with its filter
    clicker.press("Release: 300")
    assert clicker.clicks <= 4
    assert counts(stage) == {State.QUEUED: 300, State.HELD: 1}
    assert clicker.where == "messages?state=held"
    assert "release: 300 done" in clicker.text
    # And it is one entry of the audit trail
    assert trail(stage) == [f"release: 300 of 300 that are held, waiting for {BOB}"]


def test_the_unknown_are_settled_in_three_clicks(stage: Stage, clicker: Clicker) -> None:
    ids = settle(stage, 339, State.UNKNOWN)
    clicker.open("overview").follow("339 unknown").press("Resolve as sent …").press("Resolve as sent: 339")
    assert clicker.clicks <= 4
    assert counts(stage) == {State.SENT: 339}
    assert all("resolved as sent by ops@here" in stage.status(id).reason for id in ids[:3])
    assert trail(stage) == ["resolve as sent: 339 of 339 that are unknown"]


def test_no_more_than_the_question_named_and_none_that_came_later(stage: Stage, clicker: Clicker) -> None:
    early = [stage.queue() for _ in range(3)]
    stage.pass_time(1)
    clicker.open("messages?state=queued").press("Cancel all …")
    assert "Cancel: 3 messages?" in clicker.text
    stage.pass_time(1)
    late = stage.queue()
    clicker.press("Cancel: 3")
    assert {stage.state(id) for id in early} == {State.CANCELLED}
    assert stage.state(late) is State.QUEUED


def test_a_filter_by_recipient_and_tag_is_kept_to(stage: Stage, clicker: Clicker) -> None:
    wanted = [stage.queue("bob@example.org", tags={"kind": "news"}) for _ in range(60)]
    others = [stage.queue("bob@example.org"), stage.queue("eve@example.org", tags={"kind": "news"})]
    stage.pass_time(1)
    clicker.open("messages?state=&q=bob&tag=kind%3Dnews").press("Cancel all …")
    assert "Cancel: 60 messages?" in clicker.text
    clicker.press("Cancel: 60")
    assert {stage.state(id) for id in wanted} == {State.CANCELLED}
    assert {stage.state(id) for id in others} == {State.QUEUED}
    assert clicker.where == "messages?q=bob&tag=kind%3Dnews"


def test_what_cannot_be_done_to_some_is_told(stage: Stage, clicker: Clicker) -> None:
    good, bad = settle(stage, 2, State.FAILED)
    stage.redis.delete(stage.keys.content(bad))
    clicker.open("messages?state=failed").press("Retry all …").press("Retry: 2")
    assert (stage.state(good), stage.state(bad)) == (State.QUEUED, State.FAILED)
    assert f"retry: 1 done, 1 not; the content of message {bad} is gone" in clicker.text
    assert trail(stage) == ["retry: 1 of 2 that are failed, 1 not"]


def test_mail_that_becomes_unknown_is_not_counted_as_cancelled(stage: Stage, clicker: Clicker) -> None:
    # Given two mails that wait for their next try. SES may have taken the first try of one of them
    ids = [stage.queue(), stage.queue()]
    for id, unsure in zip(ids, (False, True), strict=True):
        _, (started,) = stage.claim(1)
        assert started.grant.id == id
        stage.gate.settle([SendResult(started.grant, State.RETRYING, attempts=1, delay=600.0, unsure=unsure)])
        stage.pass_time(1)
    # When all are cancelled, then one is cancelled, the other becomes unknown, and the page says so
    clicker.open("messages?state=retrying").press("Cancel all …").press("Cancel: 2")
    assert [stage.state(id) for id in ids] == [State.CANCELLED, State.UNKNOWN]
    assert "cancel: 1 done, 1 not; it became unknown: SES may have taken an earlier try" in clicker.text
    assert trail(stage) == ["cancel: 1 of 2 that are retrying, 1 not"]


def test_nothing_is_offered_that_cannot_be_done_or_that_nobody_filtered(
    stage: Stage, clicker: Clicker
) -> None:
    settle(stage, 1, State.HELD, **HELD)
    stage.queue()
    offered = {"": [], "?state=held": ["Release all 1", "Cancel all …", "Release all …"], "?state=sent": []}
    for query, buttons in offered.items():
        found = clicker.open(f"messages{query}").buttons
        assert [each for each in found if " all" in each] == buttons


def test_a_large_act_goes_on_by_itself_and_shows_how_far_it_is(stage: Stage, clicker: Clicker) -> None:
    id = stage.queue(lane="bulk")
    pile_up(stage.redis, id, 1200, prefix="more")
    stage.pass_time(1)
    number = counts(stage)[State.QUEUED]
    clicker.open("messages?state=queued").press("Cancel all …").press(f"Cancel: {number:,}")
    assert re.search(rf"Cancel: [\d,]+ of {number:,}|Ended", clicker.text)
    here = clicker.where
    eventually(lambda: "Ended" in clicker.open(here).text, "it has ended")
    assert counts(stage) == {State.CANCELLED: number}
    assert f"cancel: {number} of {number} that are" in clicker.text
    assert clicker.follow("Back to the messages").where == "messages?state=queued"
    assert len(trail(stage)) == 1


def hold_again(stage: Stage, most: int = 10) -> None:
    """Workers look at what was released last, and it has to wait for the same thing again."""
    stage.pass_time(1)
    _, started = stage.claim(most)
    stage.gate.settle([SendResult(each.grant, State.HELD, **HELD) for each in started])


def times_released(stage: Stage, id: str) -> int:
    return sum(event.reason.startswith("released by") for event in stage.status(id).history)


def test_each_mail_of_one_reason_is_released_once_though_it_is_held_again(stage: Stage) -> None:
    # Given 120 that wait for Bob, and workers that hold those again that are released
    ids = settle(stage, 120, State.HELD, **HELD)
    act = many.ask(stage.redis, "default", "release", Query(waiting=BOB))
    act = many.begin(stage.redis, "default", act, "ada")
    # When all of them are released, with one that came later
    later = settle(stage, 1, State.HELD, **HELD)
    done = many.run(stage.redis, "default", act, lambda _: hold_again(stage))
    # Then each is released once, the one that came later is not, and the act has ended
    assert [times_released(stage, id) for id in [*ids, *later]] == [1] * 120 + [0]
    assert done.done == 120
    assert trail(stage) == [f"release: 120 of 120 that are held, waiting for {BOB}"]
    assert unfinished(stage) == []


def test_a_program_that_releases_all_of_one_reason_is_told_of_each_once(
    stage: Stage, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = settle(stage, 250, State.HELD, **HELD)
    real, times = Messages.free_some, iter(range(20))

    def free_some(messages: Messages, *given: Any) -> Any:
        answer = real(messages, *given)
        if next(times, None) is not None:
            hold_again(stage)
        return answer

    monkeypatch.setattr(Messages, "free_some", free_some)
    visit = console()
    path = "/api/v1/accounts/default/waiting/release"
    answer = visit.session.post(visit.site + path, json={"waiting": BOB, "number": 250}, timeout=20)
    assert answer.status_code == 202
    eventually(lambda: unfinished(stage) == [], "it has ended")
    assert [times_released(stage, id) for id in ids] == [1] * 250
    assert trail(stage) == [f"release: 250 of 250 that are held, waiting for {BOB}"]


def test_on_twenty_thousand_no_script_does_more_than_a_step(stage: Stage) -> None:
    id = stage.queue(lane="bulk")
    pile_up(stage.redis, id, 20_000, prefix="more")
    stage.pass_time(1)
    act = many.ask(stage.redis, "default", "cancel", Query(states=(State.QUEUED,)))
    assert act.number == counts(stage)[State.QUEUED]
    act = many.begin(stage.redis, "default", act, "ada")
    work = Work(stage.redis)
    act = many.run(stage.redis, "default", act, steps=10)
    assert (act.done, work.searches()) == (500, {})
    assert work.commands_a_script() < 100
    stage.redis.flushall(asynchronous=True)


def test_pages_lead_to_the_newer_and_to_the_newest(stage: Stage, clicker: Clicker) -> None:
    for number in range(180):
        stage.queue(subject=f"Number {number:03}")
        stage.pass_time(0.01)
    first = clicker.open("messages?state=queued").text
    places = [clicker.follow("Older").where for _ in range(3)]
    assert "Number 000" in clicker.text
    assert "Older" not in re.findall(r">(Older|Newer|Newest)<", clicker.page)
    assert all("state=queued" in place for place in places)
    assert [clicker.follow("Newer").where for _ in range(2)] == [places[1], places[0]]
    assert clicker.follow("Newer").where == "messages?state=queued"
    assert "Number 179" in first
    assert clicker.open(places[2]).follow("Newest").where == "messages?state=queued"


def test_the_page_stays_after_an_act_on_what_is_chosen(stage: Stage, clicker: Clicker) -> None:
    ids = [stage.queue() for _ in range(60)]
    clicker.open("messages?state=queued").follow("Older")
    here = clicker.where
    (chosen, *_) = re.findall(r'name="ids" value="([^"]+)"', clicker.page)
    clicker.press("Cancel", ids=[chosen])
    assert clicker.where == here
    assert chosen in ids
    assert stage.state(chosen) is State.CANCELLED
