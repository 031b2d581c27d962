"""Files that come with sesq: in a checkout where they stand, in an installed package beside this module."""

from __future__ import annotations

from pathlib import Path

_INSTALLED = Path(__file__).parent / "shipped"
_CHECKOUT = Path(__file__).parents[4]


def shipped(name: str) -> Path:
    """`shipped("docs/examples/invoice.eml")`. What is shipped is listed in pyproject.toml, under force-include."""
    return (_INSTALLED if _INSTALLED.is_dir() else _CHECKOUT) / name
