"""The list of those who get no mail, on the raw key `suppression`."""

from __future__ import annotations

import json

import pytest
from redis import Redis

from sesq.queue.keys import Keys
from sesq.queue.suppression import Suppressed, SuppressionList, mailed_as

KEY = Keys("default").suppression


@pytest.fixture
def listed(redis: Redis) -> SuppressionList:
    return SuppressionList(redis)


def entry(address: str, reason: str = "bounce") -> Suppressed:
    return Suppressed(address, reason, 12.5, "an event")


def test_an_address_is_listed_once_with_its_first_reason(redis: Redis, listed: SuppressionList) -> None:
    assert listed.add([entry("Bob@Example.ORG"), entry("ada@example.org")]) == 2
    assert listed.add([entry("Bob@example.org", "complaint"), entry("bob@example.org")]) == 1
    assert len(listed) == 3
    assert json.loads(redis.hget(KEY, "Bob@example.org") or b"") == {
        "reason": "bounce",
        "at": 12.5,
        "source": "an event",
    }
    asked = ["Bob@EXAMPLE.org", "eve@example.org"]
    assert listed.among(asked) == {"Bob@EXAMPLE.org": entry("Bob@EXAMPLE.org")}
    assert listed.among([]) == {}


def test_addresses_are_taken_off(listed: SuppressionList) -> None:
    listed.add([entry("Bob@example.org"), entry("ada@example.org")])
    assert listed.remove([]) == 0
    assert listed.remove(["Bob@Example.org", "eve@example.org"]) == 1
    assert [each.address for each in listed] == ["ada@example.org"]


@pytest.mark.parametrize("count", [0, 2, 3, 4, 7])
def test_long_lists_are_written_and_read_whole(
    listed: SuppressionList, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sesq.queue.suppression.PAGE", 3)
    entries = [entry(f"p{i}@example.org") for i in range(count)]
    assert listed.add(entries) == count
    assert sorted(listed, key=lambda each: each.address) == entries
    some, cursor = listed.some()
    assert (sorted(some, key=lambda each: each.address), cursor) == (entries, 0)


@pytest.mark.parametrize(
    "packed", ["", "{", "[]", "{}", '{"reason": "bounce"}', '{"reason": 1, "at": "x", "source": 2}']
)
def test_whose_entry_is_damaged_gets_no_mail_either(
    redis: Redis, listed: SuppressionList, packed: str
) -> None:
    redis.hset(KEY, "bob@example.org", packed)
    (found,) = listed
    assert found == Suppressed("bob@example.org", "manual", 0.0, "an entry that is damaged in Redis")


@pytest.mark.parametrize(
    ("text", "spec"),
    [("bob@example.org", "bob@example.org"), ("Bob <bob@example.org>", "bob@example.org"), ("nobody", "")],
)
def test_an_address_in_a_text_is_listed_as_mail_has_it(text: str, spec: str) -> None:
    assert mailed_as(text) == spec


def test_a_list_of_another_type_is_set_aside_and_begun_anew(redis: Redis, listed: SuppressionList) -> None:
    redis.set(KEY, "no hash")
    assert listed.among(["bob@example.org"]) == {}
    assert redis.get(f"sesq:default:damaged:{KEY}") == b"no hash"
    redis.set(KEY, "no hash again")
    assert listed.add([entry("bob@example.org")]) == 1
    assert len(listed) == 1
