"""What an account may be called."""

from __future__ import annotations

ACCOUNT_NAME, LONGEST_ACCOUNT_NAME = r"[a-z0-9]+([-_][a-z0-9]+)*", 32
"""What an account may be called: its name is part of keys, of queues and of variables of the environment."""
