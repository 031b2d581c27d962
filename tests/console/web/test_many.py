"""One act on all messages that match: asked for with its number, done in steps, one entry in the audit trail."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from clicks import Clicker
from piles import Work, pile_up
from sesq.config.errors import InputError, QueueUnavailable, WrongState
from sesq.console import many
from sesq.console.act import Acts, read_filter, write_filter
from sesq.console.audit import Audit
from sesq.console.web.search import Query
from sesq.queue.messages import Messages
from sesq.queue.results import SendResult
from sesq.queue.states import State
from stage import Stage
from system import eventually

Console = Callable[..., Any]
BOB = "recipient:bob@example.org"
HELD: dict[str, Any] = {"hold": BOB, "held_because": "recipient bob@example.org is not verified"}


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(redis)


@pytest.fixture
def clicker(console: Console) -> Clicker:
    return Clicker(console())


def settle(stage: Stage, count: int, state: State, **result: Any) -> list[str]:
    """So many more messages that ended so; a second later."""
    ids = [stage.queue("bob@example.org") for _ in range(count)]
    for _ in ids[::10]:
        stage.pass_time(1)
        _, started = stage.claim(10)
        stage.gate.settle([SendResult(each.grant, state, **result) for each in started])
    stage.pass_time(1)
    return ids


def counts(stage: Stage) -> dict[State, int]:
    return {state: n for state, n in stage.messages.counts().items() if n}


def trail(stage: Stage) -> list[str]:
    return [entry["what"] for entry in Audit(stage.redis, "default").entries()]


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


class Killed(BaseException):
    """The process is gone."""


def interrupt(stage: Stage, query: Query, after: int) -> Any:
    """An act on all that match, whose process was killed after so many; a minute later."""

    def watch(done: int) -> None:
        if done >= after:
            raise Killed

    act = many.begin(stage.redis, "default", many.ask(stage.redis, "default", "release", query), "ada")
    with pytest.raises(Killed):
        many.run(stage.redis, "default", act, watch)
    stage.pass_time(60)
    return act


@pytest.mark.parametrize("query", [Query(states=(State.HELD,)), Query(waiting=BOB)], ids=["state", "reason"])
def test_what_was_interrupted_is_shown_and_continued(stage: Stage, clicker: Clicker, query: Query) -> None:
    # Given an act on 120 that was killed after some
    settle(stage, 120, State.HELD, **HELD)
    act = interrupt(stage, query, 100)
    assert counts(stage) == {State.QUEUED: 100, State.HELD: 20}
    # Then it stands on the page of activities, and says that it does not move
    clicker.open("activity").follow("release: 50 of 120 so far")
    assert "It was interrupted" in clicker.text
    # When it is continued, then the others follow, and it is one entry in the trail
    clicker.press("Continue")
    eventually(lambda: "Ended" in clicker.open(f"acts/{act.id}").text, "it has ended")
    assert counts(stage) == {State.QUEUED: 120}
    assert len(trail(stage)) == 1


def test_of_two_people_who_continue_an_act_one_does_and_the_other_is_told_who(
    stage: Stage, clicker: Clicker, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an act of Ada's that was interrupted after 50, and two people who look at its page
    ids = settle(stage, 120, State.HELD, **HELD)
    act = interrupt(stage, Query(states=(State.HELD,)), 50)
    other = Clicker(console())
    for each in (clicker, other):
        each.open(f"acts/{act.id}")
    # When both continue it, and the first one's run has not finished a step yet
    real, go = Messages.release, threading.Event()

    def release(messages: Messages, id: str, by: str) -> State:
        assert go.wait(20)
        return real(messages, id, by)

    monkeypatch.setattr(Messages, "release", release)
    clicker.press("Continue")
    other.press("Continue")
    # Then one run goes on, the second person is told whose it is, and each mail is released once
    runs = [each for each in threading.enumerate() if each.name == f"act-{act.id}"]
    go.set()
    assert len(runs) == 1
    assert "ops@here (console) works on it" in other.text
    eventually(lambda: "Ended" in clicker.open(f"acts/{act.id}").text, "it has ended")
    # And the trail and the messages name who did what
    (entry,) = Audit(stage.redis, "default").entries()
    assert entry["by"] == "ada, continued by ops@here (console)"
    reasons = [stage.status(id).reason for id in ids]
    assert {each: reasons.count(each) for each in reasons} == {
        "released by ada": 50,
        "released by ops@here (console)": 70,
    }


def test_an_act_is_taken_over_once_however_many_try_at_once(stage: Stage) -> None:
    settle(stage, 120, State.HELD, **HELD)
    act = interrupt(stage, Query(states=(State.HELD,)), 50)
    acts, ready, answers = Acts(stage.redis, "default"), threading.Barrier(8), []

    def try_to(by: str) -> None:
        ready.wait(20)
        try:
            answers.append(acts.take_over(act.id, by, stage.now).actor)
        except WrongState as error:
            answers.append(str(error))

    people = [threading.Thread(target=try_to, args=(f"p{number}",)) for number in range(8)]
    for each in people:
        each.start()
    for each in people:
        each.join()
    (one,) = [each for each in answers if "works" not in each]
    assert sorted(answers) == sorted([one, *[f"{one} works on it"] * 7])
    # And the run from before, if its process was only slow, neither goes on nor writes into the audit trail
    released = counts(stage)[State.QUEUED]
    many.run(stage.redis, "default", act)
    assert counts(stage)[State.QUEUED] - released == many.STEP
    assert trail(stage) == []
    assert acts.all()[0].actor == one


def test_an_act_that_moves_is_stopped_after_its_step(stage: Stage, clicker: Clicker) -> None:
    settle(stage, 120, State.HELD, **HELD)
    query = Query(states=(State.HELD,))
    act = many.begin(stage.redis, "default", many.ask(stage.redis, "default", "release", query), "ada")

    def stop(done: int) -> None:
        if done == 50:
            clicker.open(f"acts/{act.id}").press("Stop here")

    many.run(stage.redis, "default", act, stop)
    assert counts(stage) == {State.QUEUED: 50, State.HELD: 70}
    assert trail(stage) == ["release: 50 of 120 that are held"]
    (entry,) = Audit(stage.redis, "default").entries()
    assert entry["by"] == "ada, stopped by ops@here (console)"
    assert "Ended" in clicker.open(f"acts/{act.id}").text


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
    assert Acts(stage.redis, "default").all() == []


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
    answer = visit.session.post(visit.site + path, json={"waiting": BOB}, timeout=20)
    assert answer.json() == {"released": 250}
    assert [times_released(stage, id) for id in ids] == [1] * 250
    assert trail(stage) == [f"release 250 that wait for {BOB}"]


def test_an_act_that_was_interrupted_is_given_up(stage: Stage, clicker: Clicker) -> None:
    settle(stage, 120, State.HELD, **HELD)
    act = interrupt(stage, Query(states=(State.HELD,)), 50)
    clicker.open(f"acts/{act.id}").press("Stop here")
    assert counts(stage)[State.HELD] == 70
    assert Acts(stage.redis, "default").all() == []
    (entry,) = Audit(stage.redis, "default").entries()
    assert entry["by"] == "ada, stopped by ops@here (console)"


def test_on_twenty_thousand_no_script_does_more_than_a_step(stage: Stage) -> None:
    id = stage.queue(lane="bulk")
    pile_up(stage.redis, id, 20_000, prefix="more")
    stage.pass_time(1)
    act = many.ask(stage.redis, "default", "cancel", Query(states=(State.QUEUED,)))
    assert act.number == counts(stage)[State.QUEUED]
    act = many.begin(stage.redis, "default", act, "ada")
    work = Work(stage.redis)
    act = many.run(stage.redis, "default", act, most=500)
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


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"states": 3}', '{"states": ["x"]}', '{"to": 3}', '{"x": ""}', '{"since": "x"}']
)
def test_a_filter_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no filter"):
        read_filter(text)


def test_a_filter_is_carried_whole() -> None:
    query = Query((State.HELD, State.UNKNOWN), "ada", "k=v", BOB)
    assert read_filter(write_filter(query)) == query
    assert read_filter(write_filter(replace(query, after="1.0:x"))) == query


def test_without_redis_an_act_is_interrupted_and_not_lost(
    stage: Stage, clicker: Clicker, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = stage.queue(lane="bulk")
    pile_up(stage.redis, id, 800, prefix="more")
    stage.pass_time(1)
    real, calls = Messages.cancel, iter(range(10_000))

    def cancel(messages: Messages, id: str, by: str) -> State:
        if next(calls) == 600:
            raise QueueUnavailable("Redis is gone")
        return real(messages, id, by)

    monkeypatch.setattr(Messages, "cancel", cancel)
    clicker.open("messages?state=queued").press("Cancel all …")
    clicker.press(next(each for each in clicker.buttons if each.startswith("Cancel: ")))
    eventually(lambda: not any(each.name.startswith("act-") for each in threading.enumerate()), "it gave up")
    stage.pass_time(60)
    clicker.open("activity")
    assert "so far" in clicker.text
