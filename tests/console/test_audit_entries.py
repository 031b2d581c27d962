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


def test_a_long_text_ends_visibly(redis: Redis) -> None:
    Audit(redis, "default").note("ada", "x" * (LONGEST + 1))
    (entry,) = Audit(redis, "default").entries()
    assert entry["what"] == "x" * (LONGEST - 1) + "…"
