"""What a claim brings: messages, and rows of batches, that this worker may send now."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sesq.queue.envelope import Envelope


@dataclass(frozen=True, slots=True)
class Grant:
    """One message, or one row of a batch, that a claim took out of its lane.

    `use_by`: when its tokens are too old for it (monotonic).
    """

    id: str
    claim_id: str
    use_by: float = field(default=math.inf, compare=False)


@dataclass(frozen=True, slots=True)
class Claim:
    """What one question to the gate brought.

    `reason` says why no more were granted: `full` (all that was wanted), `empty`, `rate`, `day`, `paused`,
    `ses_paused`, `unsynced` or `more` (there is more to move out of the way than one claim may); `wait` is after how
    many seconds to ask again. `unknown_jobs` are jobs in our queues that are not ours; `suppressed` is how many
    addresses are on the suppression list by then. `for_bulk`: what waits for tokens is bulk mail, so that urgent mail
    that comes meanwhile may go before the wait is over.
    """

    reason: str
    wait: float
    grants: tuple[Grant, ...]
    unknown_jobs: tuple[str, ...]
    suppressed: int = 0
    for_bulk: bool = False

    @property
    def ids(self) -> tuple[str, ...]:
        """Gives the ids of what was granted, in order."""
        return tuple(grant.id for grant in self.grants)


@dataclass(frozen=True, slots=True)
class Started:
    """A message that may leave now, and until `leave_by` (monotonic).

    `size`: of its content, in bytes. `content`: None if it is too large to come along, and is to be fetched.
    """

    grant: Grant
    envelope: Envelope
    attempts: int
    size: int
    content: bytes | None
    leave_by: float = math.inf

    @property
    def id(self) -> str:
        return self.grant.id
