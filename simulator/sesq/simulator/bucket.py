"""The sending rate: a token bucket that may fall into debt."""

from __future__ import annotations

from sesq.simulator.clock import GRACE


class TokenBucket:
    """Tokens are recipients: `rate` of them are added each second, and at most `burst` are kept.

    n recipients may go when min(n, burst) tokens are there, and take n: "if your sending rate limit is one email per
    second, then you can send an email with 10 recipients once every 10 seconds" (AWS's guide of 2018). A new bucket is
    full.
    """

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self._level = burst
        self._at = now

    def level(self, now: float) -> float:
        """Returns the tokens at `now`. A number below zero is debt."""
        return min(self.burst, self._level + (now - self._at) * self.rate)

    def allows(self, recipients: int, now: float) -> bool:
        return self.level(now) + GRACE >= min(recipients, self.burst)

    def take(self, recipients: int, now: float) -> None:
        self._level = self.level(now) - recipients
        self._at = now

    def resize(self, rate: float, burst: float, now: float) -> None:
        """Sets a new rate from now on. The tokens stay, up to the new burst."""
        self._level = self.level(now)
        self._at = now
        self.rate = rate
        self.burst = burst
