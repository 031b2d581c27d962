"""The names by which Python tells a script of results, and the script reads them, are the same on both sides."""

from __future__ import annotations

import re

import pytest

from sesq.queue.grants import Grant
from sesq.queue.results import NAMES, SendResult, put_back
from sesq.queue.scripts import read_lua
from sesq.queue.states import State

OF_A_ROW = {"envelope", "job"}
"""What `Gate.settle` adds for a row that becomes a message."""


def names_read() -> set[str]:
    """The fields of a result that settle.lua reads."""
    lua = read_lua("settle.lua") + read_lua("rows.lua")
    by_name = re.search(r"ipairs\({('message_id'[^}]*)}\)", lua)
    assert by_name is not None
    return set(re.findall(r"\b(?:result|made)\.(\w+)", lua)) | set(re.findall(r"'(\w+)'", by_name[1]))


def test_the_script_reads_all_that_python_tells_and_no_more() -> None:
    told = {"id", "claim_id", *NAMES, "rq"}
    assert names_read() == told | OF_A_ROW


def test_what_a_result_does_not_name_is_not_there() -> None:
    told = put_back(Grant("a", "x"), "late").told()
    assert told["state"] == "queued"
    assert told.keys() >= {"front", "refund_rate", "refund_day", "reason"}
    assert not told.keys() & {"hold", "block", "unsure", "message_id", "spared", "rq"}


def test_rq_is_told_the_message_id_and_why_it_failed() -> None:
    grant = Grant("a", "x")
    assert SendResult(grant, State.SENT, message_id="m").told()["rq"]["name"] == "return_value"
    assert SendResult(grant, State.FAILED, "no").told()["rq"]["name"] == "exc_string"
    assert "rq" not in SendResult(grant, State.HELD, "wait", hold="person").told()


@pytest.mark.parametrize(
    ("state", "refund_rate", "needs"),
    [
        (State.SENT, False, False),
        (State.QUEUED, True, False),
        (State.QUEUED, False, True),
        (State.FAILED, True, True),
        (State.UNKNOWN, False, True),
    ],
)
def test_a_row_that_is_sent_or_goes_back_unused_needs_no_record(
    state: State, refund_rate: bool, needs: bool
) -> None:
    assert SendResult(Grant("a", "x"), state, refund_rate=refund_rate).needs_record is needs


def test_a_result_has_the_state_that_it_came_to() -> None:
    result = SendResult(Grant("a", "x"), State.FAILED, "no")
    assert result.came_to(None) is result
    assert result.came_to(State.FAILED) is result
    assert result.came_to(State.UNKNOWN) == SendResult(Grant("a", "x"), State.UNKNOWN, "no")
