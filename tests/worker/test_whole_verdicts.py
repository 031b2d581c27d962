"""Whole verdicts: what people read of each answer of SES, and whom it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from answers import API_CASES, CHECK, OF_TENANT, PLAIN, WITH_SET
from busy_account import read_transcript
from sesq.queue.envelope import Envelope
from sesq.worker.verdicts import Answer, Channel, weigh
from sesq.worker.verdicts.judge import MAX_TEXT

VERDICTS = read_transcript(Path(__file__).parent / "whole_verdicts.txt")
"""Answer -> the reason, what is held, and whom SES named."""
MANY = Envelope(sender="shop@shop.example", to=tuple(f"p{number}@x.org" for number in range(5)))
OF_WHAT = {id(WITH_SET): " of a set", id(OF_TENANT): " of a tenant"}
SMTP_ANSWERS = [
    (code, text, PLAIN)
    for code, text in (
        ("421", "Too many concurrent SMTP connections"),
        ("451", "Temporary service failure"),
        ("454", "Throttling failure: Maximum sending rate exceeded."),
        ("454", "Throttling failure: Daily message quota exceeded."),
        ("535", "Authentication Credentials Invalid"),
        ("552", "Message is too long."),
        ("553", "<shop> Invalid email address"),
        ("554", "Message rejected: Sending suspended for this account."),
        ("554", f"Message rejected: {CHECK}bob@x.org"),
        ("554", "Transaction failed: Configuration set <gone> does not exist."),
        ("554", "Access denied: User x is not authorized"),
    )
] + [
    ("554", f"Message rejected: {CHECK}{', '.join(MANY.recipients)}", MANY),
    ("554", "No.\r\n  Not this", WITH_SET),
]
ANSWERS = {
    **{
        f"{case.status} {case.code}{OF_WHAT.get(id(case.envelope), '')}: {case.text}": (
            Answer(Channel.API, (case.code, str(case.status)), case.text or ""),
            case.envelope,
        )
        for case in API_CASES
    },
    **{
        f"smtp {code}: {' '.join(text.split())}": (Answer(Channel.SMTP, (code,), text), envelope)
        for code, text, envelope in SMTP_ANSWERS
    },
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_people_read_of_an_answer(name: str) -> None:
    answer, envelope = ANSWERS[name]
    verdict = weigh(answer, envelope=envelope, region="eu-west-1")
    named = ", ".join(verdict.identities) or "nobody"
    assert [verdict.reason, f"holds {verdict.hold or 'nothing'}; names {named}"] == VERDICTS[name]


@pytest.mark.parametrize("length", [MAX_TEXT, MAX_TEXT + 1])
def test_a_long_text_is_cut(length: int) -> None:
    text = "x" * length
    shown = text if length == MAX_TEXT else text[: MAX_TEXT - 1] + "…"
    verdict = weigh(Answer(Channel.API, ("SomethingNew", "400"), text), envelope=PLAIN, region="eu-west-1")
    assert (verdict.text, shown in verdict.reason) == (shown, True)
