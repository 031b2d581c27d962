"""How long a grant is good for where Redis is near, far, or slow for a moment."""

from __future__ import annotations

import pytest

from sesq.worker.round_trip import ENOUGH, RECENT, RoundTrip

NEAR = 0.001


def test_the_usual_way_is_not_counted() -> None:
    # Given a Redis that is 100 ms away
    round_trip = RoundTrip("shop")
    round_trip.granted_at(0.0, 0.1)
    # Then a grant's time counts from when its mail can leave, after two of these ways, and not from when it was late
    assert round_trip.granted_at(1.0, 1.1) == pytest.approx(1.2)
    assert round_trip.granted_at(2.0, 2.2) == pytest.approx(2.2)


def test_what_held_up_one_answer_is_counted() -> None:
    # Given a Redis that is near, and a worker that was stopped for two seconds while it asked
    round_trip = RoundTrip("shop")
    round_trip.granted_at(0.0, NEAR)
    # Then its grant is two seconds old, also if that was its first question
    assert round_trip.granted_at(1.0, 3.0) == pytest.approx(1.0 + 2 * NEAR)
    assert RoundTrip("shop").granted_at(1.0, 3.0) == 1.0
    # and the next one is not
    assert round_trip.granted_at(4.0, 4.0 + NEAR) == pytest.approx(4.0 + 2 * NEAR)


def test_a_redis_that_has_come_nearer_or_gone_further_is_known_after_some_answers() -> None:
    round_trip = RoundTrip("shop")
    for at in range(RECENT):
        round_trip.granted_at(at, at + NEAR)
    for at in range(RECENT):
        assert round_trip.granted_at(at, at + 0.2) == pytest.approx(at + 2 * NEAR)
    assert round_trip.granted_at(10.0, 10.2) == 10.25
    round_trip.granted_at(11.0, 11.0 + NEAR)
    assert round_trip.granted_at(12.0, 12.2) == pytest.approx(12.0 + 2 * NEAR)


def test_no_way_is_so_long_that_mail_goes_out_of_its_turn() -> None:
    round_trip = RoundTrip("shop")
    round_trip.granted_at(0.0, 2.0)
    assert round_trip.granted_at(3.0, 5.0) == 3.25


def window(round_trip: RoundTrip, way: float, *, granted: int, unused: int = 0, late: float = 0.0) -> None:
    """Half a minute of so many claims: each brings a grant, and comes late."""
    round_trip.granted_at(0.0, way)
    for number in range(granted):
        at = number * 30 / granted
        round_trip.count_late(late)
        round_trip.count(1)
        round_trip.granted_at(at, at + way)
    round_trip.count_unused(unused)
    round_trip.granted_at(31.0, 31.0 + way)


@pytest.mark.parametrize("way", [NEAR, 0.1, 0.3])
def test_while_nothing_is_lost_no_distance_is_worth_a_warning(
    caplog: pytest.LogCaptureFixture, way: float
) -> None:
    round_trip = RoundTrip("shop")
    round_trip.room_seconds = 0.5
    window(round_trip, way, granted=40, unused=2, late=0.5 - way)
    assert not caplog.records


@pytest.mark.parametrize(
    ("unused", "late", "told"),
    [(20, 0.5, "about 50 %"), (0, 0.8, "about 39 %")],
    ids=["grants that went back", "tokens that found the bucket full"],
)
@pytest.mark.parametrize(
    ("way", "cure"), [(0.1, "Redis takes 100 ms to answer"), (NEAR, "SES or this host is slow")]
)
def test_what_is_lost_is_told_once_with_its_cure(
    caplog: pytest.LogCaptureFixture, unused: int, late: float, told: str, way: float, cure: str
) -> None:
    # Given a bucket that is full half a second after its first token
    round_trip = RoundTrip("shop")
    round_trip.room_seconds = 0.5
    window(round_trip, way, granted=40, unused=unused, late=late - way)
    (record,) = caplog.records
    assert record.getMessage().startswith(f"account shop: {told}")
    assert cure in record.getMessage()


@pytest.mark.parametrize(("granted", "warnings"), [(10, 0), (ENOUGH - 1, 0), (ENOUGH, 1)])
def test_of_a_few_grants_nothing_is_concluded(
    caplog: pytest.LogCaptureFixture, granted: int, warnings: int
) -> None:
    window(RoundTrip("shop"), 0.1, granted=granted, unused=granted)
    assert len(caplog.records) == warnings
