"""Reads the limits as people write them, and checks them. Raises InvalidPolicy, which names the limit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from sesq.config.errors import InvalidPolicy
from sesq.config.quotas import parse_daily, parse_rate

MAX_MARGIN = 0.5


def _rate(text: str) -> str:
    return _positive("rate", parse_rate(text))


def _daily(text: str) -> str:
    daily = parse_daily(text)
    return "-1" if daily is None else _positive("daily", daily, least=1)


def _burst(text: str) -> str:
    return _positive("burst", _finite("burst", text), least=1)


def _margin(text: str) -> str:
    margin = _finite("margin", text)
    if not 0 <= margin <= MAX_MARGIN:
        raise InvalidPolicy(f"margin: {text} is not a share of the rate from 0 to {MAX_MARGIN}")
    return repr(margin)


def _reserve(text: str) -> str:
    number, share = text.strip().removesuffix("%"), text.strip().endswith("%")
    reserve = _finite("reserve", number)
    if reserve < 0 or (share and reserve > 100):
        raise InvalidPolicy(f"reserve: {text} is neither a number of recipients nor a share from 0% to 100%")
    # written in one form: Python reads more texts as numbers (1_000, other digits) than Lua does
    return f"{reserve:g}%" if share else f"{reserve:.15g}"


def _finite(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidPolicy(f"{name}: {text!r} is not a number")
    return number


def _positive(name: str, number: float, least: float = 0.0) -> str:
    if not math.isfinite(number) or number <= 0 or number < least:
        raise InvalidPolicy(
            f"{name}: must be {f'at least {least:g}' if least else 'more than 0'}, not {number:g}"
        )
    return repr(number)


LIMITS: Mapping[str, Callable[[str], str]] = {
    "rate": _rate,
    "daily": _daily,
    "burst": _burst,
    "margin": _margin,
    "reserve": _reserve,
}
"""Name -> the function that turns its text into the form that the gate reads. Each raises InvalidPolicy."""
