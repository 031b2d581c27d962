"""How far a worker is from its Redis, and what of a grant's time the way there takes."""

from __future__ import annotations

import logging
from collections import deque

log = logging.getLogger("sesq.worker")

RECENT = 8
UNUSED_SECONDS = 0.25
"""A grant that no thread has used by then is returned: sent later it might meet SES's limit out of its turn.

To begin it takes the way to Redis once more, so from there on nothing goes.
"""
FAR_SECONDS, WARN_AGAIN_SECONDS = 0.2, 60.0


class Distance:
    """Of one account's claims: the shortest of the last answers is the way, what is above it a delay."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._warn_from = 0.0

    def granted_at(self, asked_at: float, answered_at: float) -> float:
        """From when a grant's time counts (monotonic): the usual way is taken off, since it holds up all mail alike.

        What an answer took longer than usual is not: mail that it held up would bunch with what is granted after it.
        """
        usual = min(self._recent, default=0.0)
        known = len(self._recent) == RECENT
        self._recent.append(answered_at - asked_at)
        if known and usual > FAR_SECONDS and answered_at >= self._warn_from:
            self._warn_from = answered_at + WARN_AGAIN_SECONDS
            log.warning(
                "account %s: Redis takes %.0f ms to answer a claim; from %.0f ms on nothing goes: "
                "the worker belongs nearer to its Redis",
                self._account,
                usual * 1000,
                UNUSED_SECONDS * 1000,
            )
        return asked_at + min(usual, answered_at - asked_at, UNUSED_SECONDS)
