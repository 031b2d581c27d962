"""Checks at the last moment whether a message may leave, when its request is signed or its SMTP session is open."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sesq.worker.round_trip import UNUSED_SECONDS
from sesq.worker.transports import NotCleared


class NoTokens(NotCleared):
    """There are no new tokens within this delivery, or the wait for them would be too long."""


class TooLate(NotCleared):
    """The message has expired."""


@dataclass(slots=True)
class SendPermit:
    """Lets one message leave until its tokens are too old (`use_by`) or it expires (`leave_by`; both monotonic)."""

    take_tokens: Callable[[bool], None]
    leave_by: float
    use_by: float

    def renew(self, *, unused: bool = False) -> None:
        """Takes new tokens. `unused`: nothing was sent with the old ones. Raises NoTokens."""
        self.take_tokens(unused)
        self.use_by = time.monotonic() + UNUSED_SECONDS

    def check(self) -> None:
        """Takes new tokens if the old ones are too old. Raises NotCleared."""
        if time.monotonic() > self.use_by:
            self.renew(unused=True)
        if time.monotonic() >= self.leave_by:
            raise TooLate("its time ran out while it was prepared")
