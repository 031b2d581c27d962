"""Reads and writes quotas in the notation of the `limits` library: `14/second`, `1 per 2 seconds`, `50000/day`.

A rate is in recipients a second, a daily quota in recipients in any 24 hours. SES writes -1 for "unlimited".
"""

from __future__ import annotations

import math
from fractions import Fraction

from limits import RateLimitItem, parse_many

from sesq.config.errors import InvalidPolicy

DAY_SECONDS = 86_400
UNLIMITED = "unlimited"
PRECISION = 10_000
MEASURABLE = 1e-12
"""A rate below this, or above its inverse, is written as a decimal number."""

RATES_ALLOWED = '"14/second", "1 per 2 seconds", or a number of recipients a second above 0'
DAILIES_ALLOWED = '"50000/day", a number of recipients above 0, or "unlimited"'


def parse_rate(text: str | float) -> float:
    """Reads a rate in recipients a second. Raises `InvalidPolicy` if it is not one positive, finite rate."""
    number = _number(text)
    if number is None:
        item = _single_quota(text)
        number = item.amount / item.get_expiry() if item else None
    if number is None or not 0 < number < math.inf:
        raise InvalidPolicy(f"{text!r} is not a rate; allowed: {RATES_ALLOWED}")
    return number


def parse_daily(text: str | float) -> float | None:
    """Reads recipients in 24 hours; None for unlimited. Raises `InvalidPolicy`, also for a quota of another time."""
    number = _number(text)
    if number == -1 or (isinstance(text, str) and text.strip().lower() == UNLIMITED):
        return None
    if number is None:
        item = _single_quota(text)
        number = item.amount if item and item.get_expiry() == DAY_SECONDS else None
    if number is None or not 0 < number < math.inf:
        raise InvalidPolicy(f"{text!r} is not a daily quota; allowed: {DAILIES_ALLOWED}")
    return number


def format_rate(rate: float) -> str:
    """Writes a rate as `parse_rate` reads it: `14/second`, or `1 per 2 seconds` for a fraction.

    SES's -1 is `unlimited`, and 0 is `0/second`.
    """
    if rate == -1 or math.isinf(rate):
        return UNLIMITED
    if not MEASURABLE <= rate < 1 / MEASURABLE:
        return f"{rate:g}/second"
    # The notation has no decimals: take the nearest whole number of recipients in a whole number of seconds.
    nearest = (
        Fraction(rate).limit_denominator(PRECISION)
        if rate >= 1
        else 1 / Fraction(1 / rate).limit_denominator(PRECISION)
    )
    if nearest.denominator == 1:
        return f"{nearest.numerator}/second"
    return f"{nearest.numerator} per {nearest.denominator} seconds"


def format_daily(daily: float | None) -> str:
    """Writes `50000/day`, or `unlimited` for None and SES's -1."""
    return UNLIMITED if daily is None or daily == -1 else f"{daily:.15g}/day"


def _number(text: str | float) -> float | None:
    if isinstance(text, bool):
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _single_quota(text: str | float) -> RateLimitItem | None:
    """Reads one quota with `limits`; None if there is no quota, or more than one."""
    try:
        items = parse_many(str(text))
    except ValueError:
        return None
    return items[0] if len(items) == 1 else None
