"""Measures how far a worker is from its Redis, and how much of a grant's time the way takes."""

from __future__ import annotations

import logging
import math
from collections import deque

log = logging.getLogger("sesq.worker")

RECENT = 8
UNUSED_SECONDS = 0.25
"""A grant that no thread has used by then is put back: sent later, it could exceed SES's rate."""
WINDOW_SECONDS = 30.0
ENOUGH, TOO_MUCH = 20, 0.1
"""A warning needs at least so many grants in a window, and so large a lost share of the mail that could have left."""
NOTICEABLE_SECONDS = 0.02
"""A Redis that answers faster than this is not the cause."""


class RoundTrip:
    """Measures one account's claims: the shortest of the last answers is the usual way; any more is a delay.

    It also counts losses: grants that came too late to be used, and tokens that were lost because the bucket was full
    before the next claim.
    """

    def __init__(self, account: str) -> None:
        self._account = account
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._granted = self._unused = 0
        self._lost_seconds = 0.0
        self._window_began = -math.inf
        self.room_seconds = math.inf
        """How long the bucket gathers tokens after the first one, before it is full."""

    def granted_at(self, asked_at: float, answered_at: float) -> float:
        """Returns from when a grant's time counts (monotonic), without the usual way, which delays all mail equally.

        The way counts twice: for the claim, and for the start before the mail leaves. A longer delay than usual is not
        subtracted: the delayed mail would leave together with mail that was granted later.
        """
        usual = self._usual
        self._recent.append(answered_at - asked_at)
        if answered_at - self._window_began >= WINDOW_SECONDS:
            self._warn_of_losses(usual, answered_at - self._window_began)
            self._window_began = answered_at
        ways = min(usual, answered_at - asked_at) + usual
        return asked_at + min(ways, UNUSED_SECONDS)

    def count(self, granted: int) -> None:
        """Counts messages that were granted."""
        self._granted += granted

    def count_unused(self, unused: int) -> None:
        """Counts grants that were put back because they would have left too late."""
        self._unused += unused

    def count_late(self, seconds: float) -> None:
        """Counts how long, by this host's clock, a token was there before the claim for it.

        By Redis's clock the claim came later by one round trip: half of it for the answer, half for the next claim.
        """
        self._lost_seconds += max(0.0, seconds + self._usual - self.room_seconds)

    @property
    def _usual(self) -> float:
        return min(self._recent, default=0.0)

    def _warn_of_losses(self, usual: float, passed: float) -> None:
        granted, unused, lost_seconds = self._granted, self._unused, self._lost_seconds
        self._granted = self._unused = 0
        self._lost_seconds = 0.0
        lost = min(1.0, unused / max(1, granted) + lost_seconds / passed)
        if granted < ENOUGH or lost < TOO_MUCH:
            return
        cure = (
            f"Redis takes {usual * 1000:.0f} ms to answer: run the worker nearer to it"
            if usual >= NOTICEABLE_SECONDS
            else "SES or this host is slow: raise --concurrency, or give the host less to do"
        )
        log.warning(
            "account %s: about %.0f %% of what could have left in the last %.0f s did not: %s",
            self._account,
            100 * lost,
            passed,
            cure,
        )
