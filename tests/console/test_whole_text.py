"""Whole texts for people: what a command prints of an account in which everything has happened, line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timezone
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from busy_account import BusyAccount, read_transcript
from sesq.console.times import ZONE

SHOWN = read_transcript(Path(__file__).parent / "whole_text.txt")


@pytest.fixture
def account(redis: Redis) -> Iterator[BusyAccount]:
    in_greenwich = ZONE.set(timezone.utc)
    yield BusyAccount(redis)
    ZONE.reset(in_greenwich)


def test_what_is_shown(account: BusyAccount, run: Callable[..., Any]) -> None:
    for words, text in SHOWN.items():
        ran = run(*map(account.unnamed, words.removeprefix("$ sesq ").split()))
        # what Redis uses is another number each time
        said = ["redis" if line.endswith(" MB in use") else line for line in account.lines(ran.output)]
        assert (ran.exit_code, said) == (0, text), words
