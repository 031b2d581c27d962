"""Defines the result of a claim: messages and rows of batches that this worker may send now."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sesq.queue.envelope import Envelope


@dataclass(frozen=True, slots=True)
class Grant:
    """Names one message, or one row of a batch, that a claim took out of its lane.

    `use_by`: the time from which its tokens are too old (monotonic, s).
    """

    id: str
    claim_id: str
    use_by: float = field(default=math.inf, compare=False)


@dataclass(frozen=True, slots=True)
class Claim:
    """Holds the answer to one claim.

    `reason`: why no more were granted: `full` (all that was wanted), `empty`, `rate`, `day`, `paused`, `ses_paused`,
    `unsynced` or `more` (one claim may not remove more stale entries). `wait`: seconds until the next claim.
    `unknown_jobs`: jobs in sesq's queues that are not sesq's. `suppressed`: how many addresses are on the suppression
    list. `for_bulk`: only bulk mail waits for tokens, so that transactional mail may go before the wait is over.
    """

    reason: str
    wait: float
    grants: tuple[Grant, ...]
    unknown_jobs: tuple[str, ...]
    suppressed: int = 0
    for_bulk: bool = False

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the grants, in order."""
        return tuple(grant.id for grant in self.grants)


@dataclass(frozen=True, slots=True)
class Started:
    """Describes a message that may leave now, and until `leave_by` (monotonic, s).

    `size`: bytes of its content. `content`: None if it is large, and has to be fetched.
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
