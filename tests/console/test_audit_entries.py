"""How long an entry of the audit trail is: ids stand there whole, and the number of those that do not."""

from __future__ import annotations

import pytest
from redis import Redis

from sesq.console.audit import LONGEST, Audit
from sesq.console.many import told


@pytest.mark.parametrize("number", [1, 2, 16, 17, 18, 100])
def test_ids_are_whole_and_the_others_are_counted(redis: Redis, number: int) -> None:
    # Given an act on so many messages
    ids = [f"01M8Q5VJZMEKDECGA6FT5GB{i:03}" for i in range(number)]
    # When it is noted
    Audit(redis, "default").note("ada", told("cancel", ids))
    (entry,) = Audit(redis, "default").entries()
    # Then its ids are whole, and with the number of the others they are all
    begin, _, names = entry["what"].partition(": ")
    assert begin == ("cancel" if number == 1 else f"cancel {number}")
    names, _, more = names.partition(" and ")
    shown = names.split(", ")
    assert shown == ids[: len(shown)]
    assert more == (f"{number - len(shown)} more" if len(shown) < number else "")
    assert len(entry["what"]) <= LONGEST
    assert len(shown) >= min(number, 16)


def test_a_thousand_entries_stay_the_newest(redis: Redis) -> None:
    audit = Audit(redis, "default")
    redis.rpush(audit.key, *(f"old {n}" for n in range(1000)))
    audit.note("ada", "the newest")
    assert redis.llen(audit.key) == 1000
    assert [entry["what"] for entry in audit.entries()] == ["the newest"]
    assert redis.lindex(audit.key, -1) == b"old 998"


@pytest.mark.parametrize(("size", "kept"), [(500, "x" * 500), (501, "x" * 499 + "…")])
def test_an_entry_has_500_characters_at_most(redis: Redis, size: int, kept: str) -> None:
    Audit(redis, "default").note("ada", "x" * size)
    (entry,) = Audit(redis, "default").entries()
    assert entry["what"] == kept


def test_a_long_text_ends_visibly(redis: Redis) -> None:
    Audit(redis, "default").note("ada", "x" * (LONGEST + 1))
    (entry,) = Audit(redis, "default").entries()
    assert entry["what"] == "x" * (LONGEST - 1) + "…"
