"""The question about all that match, in Chromium: it counts by itself, and its button can be pressed meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from browser import chromium
from crowd import counts, unfinished
from piles import pile_up
from sesq.console import many
from sesq.console.web import acting
from sesq.console.web.filters import write_filter
from sesq.console.web.search import Query
from sesq.queue.states import State
from stage import Stage
from system import eventually

NUMBER = 1200
ASK = f"acts/ask?verb=cancel&which={write_filter(Query(tag='kind=news'))}&back=messages"


def test_a_question_about_none_says_so_when_all_are_counted(
    console: Callable[..., Any], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given 1,200 of which none matches, and requests that cannot look at all of them
    stage = Stage(redis)
    pile_up(redis, stage.queue(lane="bulk", tags={"kind": "bill"}), NUMBER - 1, prefix="more")
    stage.pass_time(1)
    monkeypatch.setattr(acting, "COUNT_SECONDS", 0.0)
    with chromium(console().site) as browser:
        browser.open(ASK)
        browser.until_says("There are no messages")
        assert "Cancel: " not in browser.text


def test_the_question_counts_by_itself(
    console: Callable[..., Any], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given 1,200 that match, of which each request counts 100; and a count that stops at 500 for a while
    stage, goes_on = Stage(redis), [False]
    pile_up(redis, stage.queue(lane="bulk", tags={"kind": "news"}), NUMBER - 1, prefix="more")
    stage.pass_time(1)
    monkeypatch.setattr(acting, "COUNT_SECONDS", 0.0)
    monkeypatch.setattr(many, "COUNTED_AT_ONCE", 100)
    real = many.ask

    def ask(*given: Any, **options: Any) -> Any:
        if options["so_far"].number >= 500:
            eventually(lambda: goes_on[0], "the test goes on")
        return real(*given, **options)

    monkeypatch.setattr(many, "ask", ask)
    with chromium(console().site) as browser:
        # When somebody opens the question, then it counts by itself
        browser.open(ASK)
        browser.until_says("Cancel: at least 500 messages?")
        button = browser.find("#do")
        browser.look("question-counting")
        # And when all are counted, then it says so, on the same button
        goes_on[0] = True
        browser.until_says("Cancel: 1,200 messages?")
        assert button.text == "Cancel: 1,200"
        assert "counted so far" not in browser.text
        browser.press("Cancel: 1,200")
    eventually(lambda: unfinished(stage) == [], "it has ended")
    assert counts(stage) == {State.CANCELLED: NUMBER}
