"""Defines which names an account may have."""

from __future__ import annotations

ACCOUNT_NAME, LONGEST_ACCOUNT_NAME = r"[a-z0-9]+([-_][a-z0-9]+)*", 32
"""The pattern and the length of an account's name: it is a part of Redis keys, queues and environment variables."""
