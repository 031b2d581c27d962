from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sesq.config.errors import InvalidPolicy
from sesq.config.quotas import format_daily, format_rate, parse_daily, parse_rate


@pytest.mark.parametrize(
    ("text", "recipients_a_second"),
    [
        ("14/second", 14.0),
        ("1 per second", 1.0),
        ("1 per 2 seconds", 0.5),
        ("90/minute", 1.5),
        ("14", 14.0),
        (14, 14.0),
        (0.25, 0.25),
    ],
)
def test_a_rate_is_read_as_people_write_it(text: str | float, recipients_a_second: float) -> None:
    assert parse_rate(text) == recipients_a_second


@pytest.mark.parametrize(
    "text",
    [
        "fast",
        "",
        "0",
        "0/second",
        "-1",
        -1,
        "inf",
        "nan",
        True,
        "1/second;50000/day",
        "1/fortnight",
    ],
)
def test_what_is_not_one_rate_is_told_what_is_allowed(text: str | float) -> None:
    with pytest.raises(InvalidPolicy, match='is not a rate; allowed: "14/second"'):
        parse_rate(text)


@pytest.mark.parametrize(
    ("text", "recipients"),
    [
        ("50000/day", 50_000.0),
        ("200 per 1 day", 200.0),
        (200, 200.0),
        ("200", 200.0),
        ("unlimited", None),
        (-1, None),
    ],
)
def test_a_daily_quota_is_read_as_people_write_it(text: str | float, recipients: float | None) -> None:
    assert parse_daily(text) == recipients


@pytest.mark.parametrize(
    "text", ["100/hour", "100/second", "200 per 2 days", "much", 0, "0/day", -2, True, "nan", "inf"]
)
def test_what_is_not_a_daily_quota_is_told_what_is_allowed(text: str | float) -> None:
    with pytest.raises(InvalidPolicy, match='is not a daily quota; allowed: "50000/day"'):
        parse_daily(text)


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (14.0, "14/second"),
        (0.5, "1 per 2 seconds"),
        (14.5, "29 per 2 seconds"),
        (14.3, "143 per 10 seconds"),
        (-1.0, "unlimited"),
    ],
)
def test_a_rate_is_written_with_whole_numbers(rate: float, text: str) -> None:
    assert format_rate(rate) == text


@given(st.floats(min_value=1e-6, max_value=1e6))
def test_a_written_rate_reads_as_the_same_rate(rate: float) -> None:
    assert parse_rate(format_rate(rate)) == pytest.approx(rate, rel=1e-4, abs=1e-9)


@given(st.one_of(st.none(), st.integers(min_value=1, max_value=10**9)))
def test_a_written_daily_quota_reads_as_the_same_quota(daily: int | None) -> None:
    assert parse_daily(format_daily(daily)) == daily
