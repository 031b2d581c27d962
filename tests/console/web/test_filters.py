"""Filters that forms and programs give: carried whole, and refused with a clear text if they are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sesq.config.errors import InputError
from sesq.console.web.filters import read_filter, write_filter
from sesq.console.web.search import Query
from sesq.queue.states import State

NO_FILTERS = [
    "",
    "[]",
    "{",
    '{"state": 3}',
    '{"state": ["x"]}',
    '{"to": 3}',
    '{"to": true}',
    '{"x": ""}',
    '{"since": "x"}',
    '{"since": NaN}',
    '{"since": Infinity}',
    '{"until": true}',
    '{"to": "\\ud800"}',
]


@pytest.mark.parametrize("text", NO_FILTERS)
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no filter"):
        read_filter(text)


def test_a_filter_is_carried_whole() -> None:
    # Given a filter of all its parts
    query = Query(
        (State.HELD, State.UNKNOWN),
        "ada",
        "k=v",
        "recipient:bob@example.org",
        subject="Your code",
        message_id="0107018c",
        since=1700000000.125,
        until=1700000002.0,
    )
    # Then a form carries it as it is, without the place of the page
    assert read_filter(write_filter(query)) == query
    assert read_filter(write_filter(replace(query, after="1.0:x"))) == query


@pytest.mark.parametrize("text", NO_FILTERS[1:])
def test_the_question_of_no_filter_says_what_is_wrong(console: Callable[..., Any], text: str) -> None:
    # When an address with it is opened, and when it comes back in a form
    visit = console()
    asked = visit.get("acts/ask", params={"verb": "cancel", "which": text})
    given = {"verb": "cancel", "which": text, "number": "1", "at": "1700000000"}
    # Then both are refused as wrong input, and the text says so
    for answer in (asked, visit.post("acts", given)):
        assert (answer.status_code, "that is no filter" in answer.text) == (422, True), answer.text


@pytest.mark.parametrize("wrong", [{"state": ["x"]}, {"since": True}, {"to": "\ud800"}, {"until": "NaN"}])
def test_a_program_with_no_filter_is_told(console: Callable[..., Any], wrong: dict[str, Any]) -> None:
    visit = console()
    path = f"{visit.site}/api/v1/accounts/default/acts/count"
    answer = visit.session.post(path, json={"act": "cancel", "filter": wrong}, timeout=20)
    assert answer.status_code == 422
    (problem,) = answer.json()["problems"]
    assert next(iter(wrong)) in problem["where"] or "surrogate" in problem["problem"]
