"""Records of acts, and entries of the audit trail, that are damaged in Redis: shown, removed, and in nobody's way."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from clicks import Clicker
from crowd import HELD, settle, trail, unfinished
from sesq.console import many
from sesq.console.acts import Acts
from sesq.console.audit import Audit
from sesq.console.web.search import Query
from sesq.queue.states import State
from stage import Stage

Console = Callable[..., Any]
DAMAGED = {
    "no JSON": "{not json",
    "a list": "[]",
    "empty": "{}",
    "no UTF-8": b"\xff\xfe\x80",
}
CHANGED: dict[str, dict[str, Any]] = {
    "an unknown field": {"colour": "red"},
    "another type": {"number": "many"},
    "no number": {"at": float("nan")},
    "an unknown verb": {"verb": "paint"},
    "no filter": {"query": '{"colour": "red"}'},
    "the id of another": {"id": "x"},
    "more messages than can be": {"number": 10**400},
}


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(redis)


def begun(stage: Stage) -> str:
    """An act that was interrupted after 50 of 60."""
    settle(stage, 60, State.HELD, **HELD)
    act = many.ask(stage.redis, "default", "release", Query(states=(State.HELD,)))
    act = many.run(stage.redis, "default", many.begin(stage.redis, "default", act, "ada"), steps=1)
    stage.pass_time(60)
    return act.id


def damage(stage: Stage, name: str) -> None:
    """Writes a damaged record beside that of the act."""
    (whole,) = stage.redis.hvals(stage.keys.acts)
    changed = {**json.loads(whole), "id": "bad", **CHANGED.get(name, {})}
    stage.redis.hset(stage.keys.acts, "bad", DAMAGED.get(name) or json.dumps(changed))


@pytest.mark.parametrize("name", [*DAMAGED, *CHANGED])
def test_a_damaged_act_is_shown_and_removed_and_the_others_go_on(
    stage: Stage, console: Console, run: Callable[..., Any], name: str
) -> None:
    # Given an act that was interrupted, and the damaged record of another
    id = begun(stage)
    damage(stage, name)
    clicker, api = Clicker(console()), "/api/v1/accounts/default/acts"
    # Then the page shows both, and the doctor names the damaged one
    assert "The record of act bad is damaged in Redis" in clicker.open("activity").text
    assert "release: 50 of 60 so far" in clicker.text
    assert "act bad: its record is damaged" in " ".join(run("doctor", "--json").stdout.split())
    # And programs see the good one; of the other they are told what to do
    visit = clicker.visit
    assert [each["id"] for each in visit.session.get(visit.site + api, timeout=20).json()] == [id]
    answer = visit.session.get(f"{visit.site}{api}/bad", timeout=20)
    assert (answer.status_code, "remove it on the page Activity" in answer.json()["detail"]) == (409, True)
    # When somebody removes it, then it is gone, and the trail says by whom; the good one can be continued
    clicker.press("Remove it")
    assert "Removed: the damaged record of act bad" in clicker.text
    assert "damaged in Redis" not in clicker.text
    assert trail(stage) == ["remove act bad, whose record was damaged"]
    assert [act.id for act in unfinished(stage)] == [id]
    assert Acts(stage.redis, "default").take_over(id, "bob", stage.now).left == 10


def test_a_program_removes_a_damaged_act(stage: Stage, console: Console) -> None:
    stage.redis.hset(stage.keys.acts, "bad", "{}")
    stage.queue()
    visit = console()
    answer = visit.session.post(f"{visit.site}/api/v1/accounts/default/acts/bad/stop", timeout=20)
    assert answer.status_code == 404
    assert stage.redis.hlen(stage.keys.acts) == 0


def test_to_stop_an_act_that_has_ended_or_never_was_stops_nothing(stage: Stage, console: Console) -> None:
    # Given no act, When somebody stops one, Then the page says that there was nothing to stop
    stage.queue()
    visit = console()
    assert "Nothing was stopped: act gone has ended, or there was none." in visit.post("acts/gone/stop").text
    # And a program is told that there is none
    answer = visit.session.post(f"{visit.site}/api/v1/accounts/default/acts/gone/stop", timeout=20)
    assert answer.status_code == 404


ENTRIES: dict[str, Any] = {
    "empty": {},
    "no time": {"at": "soon", "by": "ada", "what": "x"},
    "no text": {"at": 1.0, "by": "ada", "what": 3},
    "no change": {"at": 1.0, "by": "ada", "what": "x", "before": "y"},
    "an act without its numbers": {"at": 1.0, "by": "ada", "what": "cancel: x", "act": "gone"},
}


@pytest.mark.parametrize("name", ENTRIES)
def test_a_damaged_entry_of_the_trail_hides_no_other(stage: Stage, console: Console, name: str) -> None:
    stage.queue()
    Audit(stage.redis, "default").note("ada", "cancel: early")
    stage.redis.lpush(stage.keys.audit, json.dumps(ENTRIES[name]))
    stage.redis.lpush(stage.keys.policy_history, json.dumps(ENTRIES[name]))
    visit = console()
    assert "cancel: early" in visit.get("activity").text
    assert visit.get("acts/gone").status_code == 404
    assert visit.get("quota").status_code == 200


@pytest.mark.parametrize(
    "bad",
    [
        '{"at": 1' + "0" * 400 + ', "by": "ada", "what": "x"}',
        '{"at": 1, "by": "ada", "what": "x", "new": {"rate": "4"}, "old": {"rate": [1]}}',
        '{"at": 1, "by": "ada", "what": "x", "new": {"rate": "4"}, "old": {}, "old_for": {"rate": 5}}',
        "[" * 100_000,
    ],
    ids=["a time without an end", "a list for a limit", "a number for a limit with a time", "very deep"],
)
@pytest.mark.parametrize("key", ["audit", "policy_history"])
def test_a_damaged_newest_entry_hides_no_page_and_no_other_entry(
    stage: Stage, console: Console, bad: str, key: str
) -> None:
    # Given an entry that can be read, and a damaged one that is newer
    stage.policy.set({"rate": "5"}, by="ada")
    stage.redis.lpush(getattr(stage.keys, key), bad)
    # Then each page shows, and the other entry is the newest
    visit = console()
    assert {visit.get(path).status_code for path in ("activity", "quota", "overview")} == {200}
    assert [entry["by"] for entry in stage.policy.history(1)] == ["ada"]


def test_an_act_of_a_time_to_come_is_silent_and_ends(stage: Stage, console: Console) -> None:
    # Given an act whose last step was by a clock that was ahead
    id = begun(stage)
    (whole,) = stage.redis.hvals(stage.keys.acts)
    stage.redis.hset(stage.keys.acts, id, json.dumps({**json.loads(whole), "moved": 1e15}))
    # When somebody stops it, Then it has ended
    console().post(f"acts/{id}/stop")
    assert stage.redis.hlen(stage.keys.acts) == 0
