"""Numbers with the noun that they count, as people read them."""

from __future__ import annotations


def number_of(n: float, one: str, many: str = "") -> str:
    """Writes `1 message` or `2,000 messages`. `many`: the plural of a noun that takes no s."""
    return f"{n:,.15g} {one if n == 1 else many or one + 's'}"
