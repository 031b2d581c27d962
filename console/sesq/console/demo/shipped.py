"""Finds files that come with sesq: at their places in a checkout, or beside this module in an installed package."""

from __future__ import annotations

from pathlib import Path

_INSTALLED = Path(__file__).parent / "shipped"
_CHECKOUT = Path(__file__).parents[4]


def shipped(name: str) -> Path:
    """Returns a file's path: `shipped("docs/examples/invoice.eml")`. pyproject.toml lists them in force-include."""
    return (_INSTALLED if _INSTALLED.is_dir() else _CHECKOUT) / name
