"""How long a grant is good for where Redis is near, far, or slow for a moment."""

from __future__ import annotations

import pytest

from sesq.worker.distance import RECENT, Distance

NEAR = 0.001


def test_the_usual_way_is_not_counted() -> None:
    # Given a Redis that is 150 ms away
    distance = Distance("shop")
    distance.granted_at(0.0, 0.15)
    # Then the time of a grant counts from its arrival, with what it was late by
    assert distance.granted_at(1.0, 1.15) == 1.15
    assert distance.granted_at(2.0, 2.25) == 2.15


def test_what_held_up_one_answer_is_counted() -> None:
    # Given a Redis that is near, and a worker that was stopped for two seconds while it asked
    distance = Distance("shop")
    distance.granted_at(0.0, NEAR)
    # Then its grant is two seconds old, also if that was its first question
    assert distance.granted_at(1.0, 3.0) == 1.0 + NEAR
    assert Distance("shop").granted_at(1.0, 3.0) == 1.0
    # and the next one is not
    assert distance.granted_at(4.0, 4.0 + NEAR) == 4.0 + NEAR


def test_a_redis_that_has_come_nearer_or_gone_further_is_known_after_some_answers() -> None:
    distance = Distance("shop")
    for at in range(RECENT):
        distance.granted_at(at, at + NEAR)
    for at in range(RECENT):
        assert distance.granted_at(at, at + 0.2) == pytest.approx(at + NEAR)
    assert distance.granted_at(10.0, 10.2) == 10.2
    distance.granted_at(11.0, 11.0 + NEAR)
    assert distance.granted_at(12.0, 12.2) == 12.0 + NEAR


def test_no_way_is_so_long_that_mail_goes_out_of_its_turn() -> None:
    distance = Distance("shop")
    distance.granted_at(0.0, 2.0)
    assert distance.granted_at(3.0, 5.0) == 3.25


def test_a_redis_that_is_too_far_away_is_named_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    distance = Distance("shop")
    for at in range(RECENT + 61):
        distance.granted_at(at, at + 0.23)
    assert [record.getMessage()[:34] for record in caplog.records] == [
        "account shop: Redis takes 230 ms t",
        "account shop: Redis takes 230 ms t",
    ]
    # nor is one that was slow once
    caplog.clear()
    near = Distance("shop")
    for at in range(RECENT + 1):
        near.granted_at(at, at + (NEAR if at == 1 else 3.0))
    assert not caplog.records
