"""Whether a message may still leave, asked at the last moment: its request is signed, or its SMTP session open."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sesq.worker.round_trip import UNUSED_SECONDS
from sesq.worker.transports import NotCleared


class NoTokens(NotCleared):
    """New tokens within this delivery cannot be had, or would have to be waited for too long."""


class TooLate(NotCleared):
    """Its time has run out."""


@dataclass(slots=True)
class SendPermit:
    """Lets one message leave while its tokens are good (`use_by`) and its time runs (`leave_by`; both monotonic)."""

    take_tokens: Callable[[bool], None]
    leave_by: float
    use_by: float

    def renew(self, *, unused: bool = False) -> None:
        """Takes new tokens; `unused`: nothing was sent with those that it has. Raises NoTokens."""
        self.take_tokens(unused)
        self.use_by = time.monotonic() + UNUSED_SECONDS

    def check(self) -> None:
        """Takes new tokens where it has none that are good. Raises NotCleared."""
        if time.monotonic() > self.use_by:
            self.renew(unused=True)
        if time.monotonic() >= self.leave_by:
            raise TooLate("its time ran out while it was prepared")
