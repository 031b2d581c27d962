"""What a worker's log says of messages: each id is there, in few lines."""

from __future__ import annotations

import logging

import pytest

from sesq.queue.grants import Grant
from sesq.queue.results import SendResult, put_back, unsendable
from sesq.queue.states import State
from sesq.worker.result_log import log_results


def result(number: int, state: State = State.SENT, reason: str = "") -> SendResult:
    grant = Grant(id=f"m{number:04}", claim_id="c")
    if state is State.SENT:
        return SendResult(grant, State.SENT, reason, message_id=f"ses-{number:04}")
    return put_back(grant, reason) if state is State.QUEUED else unsendable(grant, state, reason)


def lines_of(caplog: pytest.LogCaptureFixture, level: int, results: list[SendResult]) -> list[str]:
    caplog.set_level(level, "sesq.messages")
    log_results("shop", results)
    return [record.getMessage() for record in caplog.records]


def test_what_was_sent_shares_a_line_and_the_rest_has_lines_of_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    held = result(2, State.HELD, "bob@x.org is not verified")
    lines = lines_of(caplog, logging.INFO, [result(1), held, result(3), result(4, State.QUEUED, "later")])
    assert lines == [
        "account shop: sent m0001=ses-0001 m0003=ses-0003",
        "message m0002: held: …@x.org is not verified",
    ]
    sent, waits = caplog.records
    assert sent.ses_ids == {"m0001": "ses-0001", "m0003": "ses-0003"}  # type: ignore[attr-defined]
    assert (waits.id, waits.account, waits.state) == ("m0002", "shop", "held")  # type: ignore[attr-defined]


def test_no_id_is_lost_and_no_line_grows_without_end(caplog: pytest.LogCaptureFixture) -> None:
    lines = lines_of(caplog, logging.INFO, [result(number) for number in range(120)])
    words = [line.split() for line in lines]
    assert [len(line) - len(["account", "shop:", "sent"]) for line in words] == [50, 50, 20]
    assert {f"m{number:04}=ses-{number:04}" for number in range(120)} <= {
        word for line in words for word in line
    }


def test_what_goes_back_is_told_at_debug_and_nothing_above_info(caplog: pytest.LogCaptureFixture) -> None:
    back = [result(1, State.QUEUED, "later"), result(2)]
    assert len(lines_of(caplog, logging.DEBUG, back)) == 2
    caplog.clear()
    assert lines_of(caplog, logging.WARNING, back) == []
