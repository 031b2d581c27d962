"""The gate's rules in plain Python, with which tests compare `lua/gate.lua` and `lua/claim.lua`.

Also a model of SES that is as strict as SES can be, and shares no code with the gate.
Times are seconds; a token is a recipient.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

DAY = 86_400
SLOTS = 1442
FARTHEST_GATHERING = 240  # s: the longest time for which a mail gathers tokens


@dataclass
class Mail:
    """One queued message: `n` recipients, of which `day` count towards the day."""

    id: str
    n: int
    day: int
    tokens_at: float | None = None
    """When it took its tokens; None if it has none."""


@dataclass
class Gathering:
    """The mail that gathers tokens. When our bucket is full, no other mail takes any until it goes, or until `till`."""

    id: str
    n: int
    lane: int | None
    till: float


@dataclass
class Chunk:
    """Recipients of a batch in one place of the lane. Each is one mail for the gate."""

    batch: str
    rows: deque[Mail]


@dataclass
class RampModel:
    """A cap on the day. It grows by the same factor each day, unless it stands still."""

    first: int
    last: int
    days: int
    at: float | None
    """The time since which it grows; None if it stands still."""
    grown: float = 0.0

    def seconds(self, now: float) -> float:
        return self.grown + (max(0.0, now - self.at) if self.at is not None else 0.0)

    def cap(self, now: float) -> int:
        day = min(self.days, int(self.seconds(now) // DAY))
        return int(self.first * (self.last / self.first) ** (day / self.days) + 1e-6)

    def stand(self, now: float) -> None:
        if self.at is not None and self.seconds(now) < self.days * DAY:
            self.grown, self.at = self.seconds(now), None

    def go(self, now: float) -> None:
        self.at = now if self.at is None else self.at


@dataclass
class GateModel:
    """The state that the script keeps in Redis, in Python's types."""

    now: float
    ses_rate: float = 1.0
    ses_daily: float = 200.0
    policy: dict[str, float] = field(default_factory=dict)
    ramp: RampModel | None = None
    paused: bool = False
    others: float = 0.0
    level: float = 0.0
    flows: float = 0.0
    ses_level: float = 0.0
    ses_at: float = 0.0
    on_way: int = 0
    folds_at: float = 0.0
    folded: float = 0.0
    folded_before: float = 0.0
    waiting: Gathering | None = None
    slow: float = 0.0
    slow_at: float = 0.0
    minutes: dict[int, int] = field(default_factory=dict)
    lanes: tuple[deque[Mail | Chunk], deque[Mail | Chunk]] = field(default_factory=lambda: (deque(), deque()))
    paused_batches: set[str] = field(default_factory=set)
    parked: list[Chunk] = field(default_factory=list)
    too_large: list[tuple[float, Mail, deque[Mail | Chunk]]] = field(default_factory=list)
    """Mail for which a whole day has no room: since when it is held, the mail, and its lane."""

    @property
    def rate(self) -> float:
        return min(self.policy.get("rate", math.inf), self.ses_rate)

    @property
    def daily(self) -> float:
        without = min(self.policy.get("daily", math.inf), self.ses_daily if self.ses_daily >= 0 else math.inf)
        return min(without, self.ramp.cap(self.now)) if self.ramp else without

    @property
    def reserve(self) -> float:
        """The recipients of the day that bulk mail leaves free; a policy below one is a share of the day."""
        reserve = self.policy.get("reserve", 0.0)
        if reserve >= 1:
            return reserve
        return math.floor(self.daily * reserve + 1e-9) if self.daily < math.inf else 0.0

    @property
    def share(self) -> float:
        slow = self.slow * 0.5 ** (abs(self.now - self.slow_at) / 60)
        return (1 - self.policy.get("margin", 0.0)) * (1 - slow)

    @property
    def pace(self) -> float:
        return self.rate * self.share

    @property
    def ses_pace(self) -> float:
        return self.ses_rate * self.share

    @property
    def ses_burst(self) -> float:
        return max(1.0, self.ses_rate)

    @property
    def burst(self) -> float:
        burst = max(1.0, min(self.ses_burst, self.rate) / 2)
        return max(1.0, min(burst, self.policy.get("burst", math.inf)))

    @property
    def tokens(self) -> float:
        return min(self.burst, self.level + max(0.0, self.now - self.flows) * self.pace)

    def patience(self, lease: float) -> float:
        return lease if self.ses_burst < 2 else 0.5

    def ses_tokens(self, at: float) -> float:
        """Returns the fewest tokens that SES's bucket has at that time, without the mail on its way."""
        return min(self.ses_burst, self.ses_level + max(0.0, at - self.ses_at) * self.ses_pace)

    def charge(self, n: float, at: float) -> None:
        self.ses_level, self.ses_at = self.ses_tokens(at) - n, at

    def look(self) -> None:
        """Brings the state up to date, as each call of the gate does first."""
        self.flows, self.ses_at = min(self.flows, self.now), min(self.ses_at, self.now)
        self.folds_at = min(self.folds_at, self.now + 120)
        self.folded = self.folded if self.folded <= self.now else self.now - 1
        if self.waiting and not self.now - 1.5 < self.waiting.till < self.now + FARTHEST_GATHERING:
            self.waiting = None  # it has ended, or the clock was set back since
        if self.on_way and self.folds_at <= self.now:
            self.charge(self.on_way, self.folds_at)
            self.on_way, self.folded, self.folded_before = 0, self.folds_at, self.folded

    @property
    def waits(self) -> Gathering | None:
        return self.waiting if self.waiting and self.now < self.waiting.till else None

    @property
    def gathers(self) -> Gathering | None:
        return self.waits if self.tokens >= self.burst - 1e-6 else None

    def gather_for(self, mail: Mail, lane: int | None) -> None:
        done = self.waiting and not self.waits
        if not self.gathers and not done and min(mail.n, self.ses_burst) > 1:
            ours = (min(mail.n, self.burst) - self.level) / self.pace + self.flows
            spare = self.ses_tokens(self.now) - self.on_way
            theirs = (min(mail.n, self.ses_burst) - spare) / self.ses_pace + self.now
            self.waiting = Gathering(mail.id, mail.n, lane, max(self.now, ours, theirs) + 1.5)

    def enough(self, n: int) -> bool:
        return self.tokens >= min(n, self.burst) - 1e-6

    def may_go(self, n: int, id: str, *, has_some: bool = False) -> bool:
        """Whether our bucket has enough tokens, and SES's bucket too, less those of mail on its way."""
        if self.gathers and self.gathers.id != id and not has_some:
            return False
        return self.enough(n) and self.ses_tokens(self.now) - self.on_way >= min(n, self.ses_burst) - 1e-6

    newest: int = 0
    """The ledger's newest minute. It stays if the clock is set back."""

    @property
    def total(self) -> int:
        self.newest = max(self.newest, int(self.now // 60))
        oldest = self.newest - SLOTS + 1
        return sum(count for minute, count in self.minutes.items() if minute >= oldest)

    def claim(self, want: int, lease: float) -> list[Mail]:
        """Takes the messages from their lanes that may go now, and returns them."""
        self.look()
        granted: list[Mail] = []
        if self.paused:
            return granted
        first = self.gathers
        if first and first.lane is not None:
            _, reason = self.serve(first.lane, want, lease, granted, only=first.id)
            if self.gathers and self.head(first.lane) == first.id and reason != "day":
                return granted
            self.waiting = None
        elif first:
            return granted
        for lane in (0, 1):
            if not self.serve(lane, want, lease, granted)[0]:
                break
        return granted

    def head(self, lane: int) -> str | None:
        head = self.lanes[lane][0] if self.lanes[lane] else None
        return head.id if isinstance(head, Mail) else None

    def serve(
        self, number: int, want: int, lease: float, granted: list[Mail], only: str | None = None
    ) -> tuple[bool, str]:
        """Works through one lane. Returns whether the next lane may be served, and if not, why."""
        lane, spare = self.lanes[number], self.reserve if number else 0.0
        while len(granted) < want:
            if not lane or (only and self.head(number) != only):
                return True, ""
            head = lane[0]
            if isinstance(head, Chunk) and head.batch in self.paused_batches:
                self.parked.append(head)  # so that the others can go
                lane.popleft()
                continue
            mail = head.rows[0] if isinstance(head, Chunk) else head
            if not isinstance(head, Chunk) and mail.day > max(1, self.daily - spare):
                lane.popleft()  # held, so that the others can go
                self.too_large.append((self.now, mail, lane))
                continue
            if mail.day and self.total + self.others + mail.day + spare > self.daily:
                return False, "day"
            if not self.may_go(mail.n, mail.id):
                self.gather_for(mail, number)
                return False, "rate"
            self.take(mail, lease)
            self.book(mail)
            granted.append(mail)
            if isinstance(head, Chunk):
                head.rows.popleft()
            if not isinstance(head, Chunk) or not head.rows:
                lane.popleft()
        return False, "full"

    def give_back(self, chunk: Chunk, mail: Mail) -> None:
        """Puts a recipient back to the front of its chunk, if its grant was not used."""
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
        """Puts held mail back into its lane if a day has room for it with the limits in force now."""
        held, self.too_large = self.too_large, []
        for since, mail, lane in sorted(held, key=lambda one: (one[0], one[1].id)):
            spare = self.reserve if lane is self.lanes[1] else 0
            if mail.day <= max(1, self.daily - spare):
                lane.append(mail)
            else:
                self.too_large.append((since, mail, lane))

    def take(self, mail: Mail, lease: float) -> None:
        self.level, self.flows = self.tokens - mail.n, self.now
        self.on_way += mail.n
        self.folds_at = max(self.folds_at, self.now + self.patience(lease))
        if self.waits and self.waits.id == mail.id:
            self.waiting = None
        mail.tokens_at = self.now

    def book(self, mail: Mail) -> None:
        if mail.day:
            minute = max(int(self.now // 60), self.newest)
            self.minutes[minute] = self.minutes.get(minute, 0) + mail.day

    def account(self, mail: Mail, *, went: bool) -> None:
        """Counts the tokens of a mail as used, or gives them back if it did not go."""
        self.look()
        at, mail.tokens_at = mail.tokens_at, None
        if at is None:
            return
        if not went:
            self.level = min(self.burst, self.level + mail.n)
            self.not_sent(mail.n, at)
        elif at >= self.folded:
            self.on_way = max(0, self.on_way - mail.n)
            self.charge(mail.n, self.now)

    def not_sent(self, n: int, at: float) -> None:
        if at >= self.folded:
            self.on_way = max(0, self.on_way - n)
        elif self.ses_at == self.folded and at >= self.folded_before:
            self.ses_level += n

    def again(self, mail: Mail, lease: float, *, unused: bool) -> bool:
        """Exchanges the tokens of a mail for new ones. Returns whether there were any."""
        self.look()
        if not unused:
            self.account(mail, went=True)
        before = self.level, self.on_way, self.ses_level
        at = mail.tokens_at
        if at is not None and at >= self.flows:
            self.level = min(self.burst, self.level + mail.n)
        if at is not None:
            self.not_sent(mail.n, at)
        if self.may_go(mail.n, mail.id, has_some=at is not None):
            self.take(mail, lease)
            return True
        self.gather_for(mail, None)
        self.level, self.on_way, self.ses_level = before
        return False

    def unbook(self, mail: Mail, claimed: float) -> None:
        """Takes the mail's recipients out of the ledger, since SES did not take it."""
        minute = int(claimed // 60)
        if mail.day and minute > self.newest - SLOTS:
            self.minutes[minute] = max(0, self.minutes.get(minute, 0) - mail.day)

    def throttled(self) -> None:
        self.look()
        slow = self.slow * 0.5 ** (abs(self.now - self.slow_at) / 60)
        self.level, self.flows = min(self.tokens, 0.0), self.now
        self.charge(max(0.0, self.ses_tokens(self.now)), self.now)
        self.slow, self.slow_at = min(0.5, slow + 0.1), self.now

    def day_spent(self) -> None:
        if self.daily < math.inf:
            self.others = max(self.others, self.daily - self.total)


@dataclass
class StrictSes:
    """The strictest SES: a burst of one second, and a day of exactly 24 hours."""

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
        """Returns SES's answer to a message of n recipients: `ok`, `rate` or `day`."""
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
        """Returns the recipients of the last 24 hours, as GetAccount would."""
        return sum(day for at, day in self.taken if at > now - DAY)
