"""The gate's rules once more, as plainly as Python can say them, to check `lua/gate.lua` and `lua/claim.lua` by.

And SES as strict as it could be: a judge that knows nothing of the gate. Times are seconds; a token is a recipient.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

DAY = 86_400
SLOTS = 1442


@dataclass
class Mail:
    """One queued message: `n` recipients, of which `day` count towards the day."""

    id: str
    n: int
    day: int


@dataclass
class Chunk:
    """Recipients of a batch, each a mail of its own to the gate, all in one place of the lane."""

    batch: str
    rows: deque[Mail]


@dataclass
class GateModel:
    """What the script keeps, in Python's own types."""

    now: float
    ses_rate: float = 1.0
    ses_daily: float = 200.0
    policy: dict[str, float] = field(default_factory=dict)
    paused: bool = False
    others: float = 0.0
    level: float = 0.0
    flows: float = 0.0
    holder: str = ""
    slow: float = 0.0
    slow_at: float = 0.0
    minutes: dict[int, int] = field(default_factory=dict)
    lanes: tuple[deque[Mail | Chunk], deque[Mail | Chunk]] = field(default_factory=lambda: (deque(), deque()))
    paused_batches: set[str] = field(default_factory=set)
    parked: list[Chunk] = field(default_factory=list)
    too_large: list[tuple[float, Mail, deque[Mail | Chunk]]] = field(default_factory=list)
    """Held since when, and of which lane: a whole day has no room for them."""

    @property
    def rate(self) -> float:
        return min(self.policy.get("rate", math.inf), self.ses_rate)

    @property
    def daily(self) -> float:
        return min(self.policy.get("daily", math.inf), self.ses_daily if self.ses_daily >= 0 else math.inf)

    @property
    def share(self) -> float:
        slow = self.slow * 0.5 ** ((self.now - self.slow_at) / 60)
        return (1 - self.policy.get("margin", 0.0)) * (1 - slow)

    @property
    def pace(self) -> float:
        return self.rate * self.share

    @property
    def ses_burst(self) -> float:
        return max(1.0, self.ses_rate)

    @property
    def serial(self) -> bool:
        return self.ses_burst < 2

    @property
    def burst(self) -> float:
        burst = 1.0 if self.serial else max(1.0, min(self.ses_burst, self.rate) / 2)
        return max(1.0, min(burst, self.policy.get("burst", math.inf)))

    @property
    def tokens(self) -> float:
        return min(self.burst, self.level + self.flown * self.pace)

    @property
    def flown(self) -> float:
        return max(0.0, self.now - self.flows)

    def enough(self, n: int) -> bool:
        """Ours as far as our bucket goes, and the time in which SES's has got what it wants to see."""
        gathered = self.level + self.flown * self.ses_rate * self.share
        return self.tokens >= min(n, self.burst) - 1e-6 and gathered >= min(n, self.ses_burst) - 1e-6

    @property
    def total(self) -> int:
        oldest = int(self.now // 60) - SLOTS + 1
        return sum(count for minute, count in self.minutes.items() if minute >= oldest)

    def claim(self, want: int, execution: str, lease: float) -> list[Mail]:
        """The messages that may go now, taken from their lanes."""
        granted: list[Mail] = []
        if self.paused:
            return granted
        for lane, spare in zip(self.lanes, (0.0, self.policy.get("reserve", 0.0)), strict=True):
            while lane and len(granted) < want:
                head = lane[0]
                if isinstance(head, Chunk) and head.batch in self.paused_batches:
                    self.parked.append(head)  # so that the others can go
                    lane.popleft()
                    continue
                mail = head.rows[0] if isinstance(head, Chunk) else head
                if mail.day > max(1, self.daily - spare):
                    lane.popleft()  # held, so that the others can go
                    self.too_large.append((self.now, mail, lane))
                    continue
                if mail.day and self.total + self.others + mail.day + spare > self.daily:
                    return granted
                if not self.enough(mail.n):
                    return granted
                self.take(mail, execution, lease)
                granted.append(mail)
                if isinstance(head, Chunk):
                    head.rows.popleft()
                if not isinstance(head, Chunk) or not head.rows:
                    lane.popleft()
            if len(granted) == want:
                break
        return granted

    def give_back(self, chunk: Chunk, mail: Mail) -> None:
        """A recipient of a chunk that was granted and not used: it goes first."""
        chunk.rows.appendleft(mail)
        if len(chunk.rows) > 1:
            return
        if chunk.batch in self.paused_batches:
            self.parked.append(chunk)
        else:
            self.lanes[1].appendleft(chunk)

    def resume_batch(self, batch: str) -> None:
        self.paused_batches.discard(batch)
        back = [chunk for chunk in self.parked if chunk.batch == batch]
        self.parked = [chunk for chunk in self.parked if chunk.batch != batch]
        self.lanes[1].extendleft(reversed(back))

    def try_the_large_again(self) -> None:
        """Another day, or another reserve, may have room for them."""
        held, self.too_large = self.too_large, []
        for _, mail, lane in sorted(held, key=lambda one: (one[0], one[1].id)):
            lane.append(mail)

    def take(self, mail: Mail, execution: str, lease: float) -> None:
        self.level, self.flows = self.tokens - mail.n, self.now
        if self.serial:
            self.flows, self.holder = self.now + lease, execution
        if mail.day:
            minute = int(self.now // 60)
            self.minutes[minute] = self.minutes.get(minute, 0) + mail.day

    def answered(self, execution: str) -> None:
        if self.holder == execution:
            self.flows, self.holder = min(self.flows, self.now), ""

    def refund(self, mail: Mail, claimed: float, *, rate: bool) -> None:
        """SES took nothing; with `rate`, nothing even went to it."""
        if rate:
            self.level = min(self.burst, self.level + mail.n)
        minute = int(claimed // 60)
        if mail.day and minute > int(self.now // 60) - SLOTS:
            self.minutes[minute] = max(0, self.minutes.get(minute, 0) - mail.day)

    def throttled(self) -> None:
        slow = self.slow * 0.5 ** ((self.now - self.slow_at) / 60)
        self.level, self.flows = min(self.level, 0.0), max(self.flows, self.now)
        self.slow, self.slow_at = min(0.5, slow + 0.1), self.now

    def day_spent(self) -> None:
        if self.daily < math.inf:
            self.others = max(self.others, self.daily - self.total)


@dataclass
class StrictSes:
    """SES with no mercy: one second's worth of burst, 24 hours to the second."""

    rate: float
    daily: float
    at: float
    level: float = field(init=False)
    taken: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.level = self.burst

    @property
    def burst(self) -> float:
        return max(1.0, self.rate)

    def offer(self, n: int, day: int, now: float) -> str:
        """What it answers to a message of n recipients: `ok`, `rate` or `day`."""
        self.level = min(self.burst, self.level + (now - self.at) * self.rate)
        self.at = now
        if self.level < min(n, self.burst) - 1e-6:
            return "rate"
        if self.daily >= 0 and day and self.sent(now) + day > self.daily:
            return "day"
        self.level -= n
        self.taken.append((now, day))
        return "ok"

    def sent(self, now: float) -> int:
        """Recipients of the last 24 hours, as GetAccount would tell them."""
        return sum(day for at, day in self.taken if at > now - DAY)
