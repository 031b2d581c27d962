"""Whole pages: their text, rows, links and forms, of an account in which everything has happened."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from busy_account import BusyAccount, read_transcript
from visible import visible

SHOWN = read_transcript(Path(__file__).parent / "whole_pages.txt")


@pytest.fixture
def account(redis: Redis) -> BusyAccount:
    return BusyAccount(redis)


@pytest.fixture
def lines(account: BusyAccount, console: Callable[..., Any]) -> Callable[..., list[str]]:
    """`lines("messages")`: what stands on that page."""
    visit = console()
    visit.session.cookies.set("sesq_zone", "Etc%2FUTC")

    def read(path: str) -> list[str]:
        answer = visit.get(account.unnamed(path))
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        return [account.named(line) for line in visible(answer.text)]

    return read


def test_what_is_shown(lines: Callable[..., list[str]]) -> None:
    frame = lines("activity")[: len(SHOWN["header"])]
    assert frame == SHOWN["header"]
    for path, text in SHOWN.items():
        if path != "header":
            assert lines(path)[len(frame) :] == text, path


VERBS = {
    "queued": ["cancel"],
    "scheduled": ["cancel"],
    "retrying": ["cancel", "retry"],
    "held": ["cancel", "release"],
    "unknown": ["resolve as sent", "resolve as queued", "resolve as failed"],
    "refused": ["retry"],
    "suppressed": ["retry"],
    "failed": ["retry"],
    "expired": ["retry"],
    **{state: [] for state in ("sending", "sent", "delivered", "bounced", "complained", "cancelled")},
}


def test_what_may_be_done_to_each_message(lines: Callable[..., list[str]]) -> None:
    for state, verbs in VERBS.items():
        offered = " ".join(line for line in lines(f"messages/<{state}>") if line.startswith("(post "))
        assert re.findall("<verb ([^>]+)>", offered) == verbs, state
