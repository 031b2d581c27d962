"""One run of an act at a time: interrupted, continued, taken over, stopped; and what is counted of each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from clicks import Clicker
from crowd import BOB, HELD, counts, settle, trail, unfinished
from piles import pile_up
from sesq.config.errors import QueueUnavailable, WrongState
from sesq.console import many
from sesq.console.act import SILENT_SECONDS, Act, Step
from sesq.console.acts import Acts
from sesq.console.audit import Audit
from sesq.console.web.search import Query
from sesq.queue.messages import Messages
from sesq.queue.states import State
from stage import Stage
from system import eventually

Console = Callable[..., Any]
ALL_HELD = Query(states=(State.HELD,))


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(redis)


@pytest.fixture
def clicker(console: Console) -> Clicker:
    return Clicker(console())


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


@pytest.mark.parametrize("query", [ALL_HELD, Query(waiting=BOB)], ids=["state", "reason"])
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
    act = interrupt(stage, ALL_HELD, 50)
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
    act = interrupt(stage, ALL_HELD, 50)
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
    # And the run from before, if its process was only slow, changes nothing more, and notes nothing in the trail
    released = counts(stage)[State.QUEUED]
    many.run(stage.redis, "default", act)
    assert counts(stage)[State.QUEUED] == released
    assert trail(stage) == []
    assert unfinished(stage)[0].actor == one


def test_an_act_that_moves_is_stopped_after_its_step(stage: Stage, clicker: Clicker) -> None:
    settle(stage, 120, State.HELD, **HELD)
    query = ALL_HELD
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


def test_an_act_that_was_interrupted_is_given_up(stage: Stage, clicker: Clicker) -> None:
    settle(stage, 120, State.HELD, **HELD)
    act = interrupt(stage, ALL_HELD, 50)
    clicker.open(f"acts/{act.id}").press("Stop here")
    assert counts(stage)[State.HELD] == 70
    assert unfinished(stage) == []
    (entry,) = Audit(stage.redis, "default").entries()
    assert entry["by"] == "ada, stopped by ops@here (console)"


def test_without_redis_an_act_is_interrupted_and_not_lost(
    stage: Stage, clicker: Clicker, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = stage.queue(lane="bulk")
    pile_up(stage.redis, id, 800, prefix="more")
    stage.pass_time(1)
    real, calls = Messages.cancel, iter(range(10_000))

    def cancel(messages: Messages, id: str, by: str, only: Any = State) -> State:
        if next(calls) == 600:
            raise QueueUnavailable("Redis is gone")
        return real(messages, id, by, only)

    monkeypatch.setattr(Messages, "cancel", cancel)
    clicker.open("messages?state=queued").press("Cancel all …")
    clicker.press(next(each for each in clicker.buttons if each.startswith("Cancel: ")))
    eventually(lambda: not any(each.name.startswith("act-") for each in threading.enumerate()), "it gave up")
    stage.pass_time(60)
    clicker.open("activity")
    assert "so far" in clicker.text


def begun(stage: Stage, query: Query = ALL_HELD) -> Act:
    """An act of Ada's that releases all that match, and has done nothing yet."""
    return many.begin(stage.redis, "default", many.ask(stage.redis, "default", "release", query), "ada")


def test_a_stopped_act_whose_process_died_ends_when_somebody_looks(stage: Stage, clicker: Clicker) -> None:
    # Given an act that somebody stops while it works, and whose process dies before it has ended
    settle(stage, 120, State.HELD, **HELD)
    act = many.run(stage.redis, "default", begun(stage), steps=1)
    clicker.open(f"acts/{act.id}").press("Stop here")
    assert "It stops after this step" in clicker.text
    stage.pass_time(SILENT_SECONDS)
    # When somebody looks at it, then it has ended, with what was done, and nothing more is changed
    assert "Ended" in clicker.open(f"acts/{act.id}").text
    assert counts(stage) == {State.QUEUED: 50, State.HELD: 70}
    assert trail(stage) == ["release: 50 of 120 that are held"]
    (entry,) = Audit(stage.redis, "default").entries()
    assert entry["by"] == "ada, stopped by ops@here (console)"


def test_a_stopped_act_whose_process_died_is_not_continued(stage: Stage) -> None:
    settle(stage, 120, State.HELD, **HELD)
    act = many.run(stage.redis, "default", begun(stage), steps=1)
    acts = Acts(stage.redis, "default")
    acts.stop(act.id, "eve", stage.now)
    stage.pass_time(SILENT_SECONDS)
    with pytest.raises(WrongState, match="it has ended"):
        acts.take_over(act.id, "bob", stage.now)
    assert counts(stage) == {State.QUEUED: 50, State.HELD: 70}
    assert unfinished(stage) == []


@pytest.mark.parametrize("query", [ALL_HELD, Query(waiting=BOB)], ids=["state", "reason"])
def test_a_stop_that_comes_before_the_first_step_changes_nothing(stage: Stage, query: Query) -> None:
    settle(stage, 20, State.HELD, **HELD)
    act = begun(stage, query)
    Acts(stage.redis, "default").stop(act.id, "eve", stage.now)
    many.run(stage.redis, "default", act)
    assert counts(stage) == {State.HELD: 20}
    assert unfinished(stage) == []


def test_a_process_that_was_silent_asks_before_each_message_and_what_it_has_done_is_counted(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a run that is silent for a minute in the middle of its step; meanwhile, Bob takes the act over
    settle(stage, 120, State.HELD, **HELD)
    act, acts, clock = begun(stage), Acts(stage.redis, "default"), [0.0]
    real, calls, taken = Messages.release, iter(range(1000)), []

    def release(messages: Messages, id: str, by: str) -> State:
        if next(calls) == 20:
            clock[0] += 60
            stage.pass_time(60)
            taken.append(acts.take_over(act.id, "bob", stage.now))
        return real(messages, id, by)

    monkeypatch.setattr(Messages, "release", release)
    # When it goes on, then it changes the message that it had begun with, and no other
    own = many.Run(stage.redis, "default", act, clock=lambda: clock[0])
    own.step(int)
    assert not own.goes_on
    assert counts(stage) == {State.QUEUED: 21, State.HELD: 99}
    # And when Bob's run has ended, then all are counted
    done = many.run(stage.redis, "default", taken[0])
    assert (done.done, done.refused) == (120, 0)
    assert trail(stage) == ["release: 120 of 120 that are held"]


def test_a_long_step_says_that_it_moves(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a run that needs four seconds for each message
    settle(stage, 20, State.HELD, **HELD)
    act, acts, clock = begun(stage), Acts(stage.redis, "default"), [0.0]
    real, refusals = Messages.release, []

    def release(messages: Messages, id: str, by: str) -> State:
        clock[0] += 4
        stage.pass_time(4)
        with pytest.raises(WrongState, match="ada works on it") as refusal:
            acts.take_over(act.id, "bob", stage.now)
        refusals.append(refusal)
        return real(messages, id, by)

    # When somebody wants to take it over at any time of its step, then they are refused
    monkeypatch.setattr(Messages, "release", release)
    own = many.Run(stage.redis, "default", act, clock=lambda: clock[0])
    own.step(int)
    assert len(refusals) == 20
    assert trail(stage) == ["release: 20 of 20 that are held"]


def test_a_step_of_a_run_that_has_ended_is_not_written(stage: Stage) -> None:
    settle(stage, 20, State.HELD, **HELD)
    act = many.run(stage.redis, "default", begun(stage))
    _, goes_on = Acts(stage.redis, "default").book(act, Step([""] * 3), stage.now)
    assert not goes_on
    assert unfinished(stage) == []
    assert trail(stage) == ["release: 20 of 20 that are held"]


@pytest.mark.parametrize("which", ["{}", '{"state": []}'])
def test_no_act_is_for_all_messages_without_a_filter(stage: Stage, clicker: Clicker, which: str) -> None:
    id = stage.queue()
    form = {"verb": "cancel", "which": which, "number": 1, "at": stage.now + 1}
    assert clicker.visit.post("acts", form).status_code == 422
    assert stage.state(id) is State.QUEUED


def test_what_left_its_state_after_the_question_is_not_changed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an act that cancels what is held, and somebody who releases it after the act has read its page
    ids = settle(stage, 2, State.HELD, **HELD)
    act = many.begin(stage.redis, "default", many.ask(stage.redis, "default", "cancel", ALL_HELD), "ada")
    real = many.do_to_one

    def meanwhile(messages: Messages, *others: Any) -> str:
        monkeypatch.setattr(many, "do_to_one", real)
        for each in ids:
            messages.release(each, "bob")
        return real(messages, *others)

    monkeypatch.setattr(many, "do_to_one", meanwhile)
    # When it runs, Then both stay queued, and it says that it changed none
    ended = many.run(stage.redis, "default", act)
    assert {stage.state(each) for each in ids} == {State.QUEUED}
    assert (ended.done, ended.refused) == (0, 2)


def test_an_act_asked_for_a_time_to_come_is_for_the_mail_of_now(stage: Stage) -> None:
    settle(stage, 2, State.HELD, **HELD)
    act = many.asked("release", ALL_HELD, 1e18, 2, complete=False)
    assert many.begin(stage.redis, "default", act, "ada").at <= stage.now
