"""Models of the API's answers, for its description. A test compares real answers with them; nothing else uses them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sesq.queue.conditions import Kind
from sesq.queue.states import Lane, State

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""In UTC: 2030-01-31T09:30:00.000Z."""


class Answer(BaseModel):
    """The base of all answers. An answer has only the fields that its model names."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class FieldProblem(Answer):
    """What is wrong with one part of a request."""

    where: list[str]
    problem: str


class Problem(Answer):
    """Why a request failed (RFC 9457). `code` is for programs, `detail` for people."""

    type: Literal["about:blank"]
    title: str
    status: int
    detail: str
    code: str
    problems: list[FieldProblem] = []


class Health(Answer):
    """The console and its Redis answer."""

    status: Literal["ok"]


class AccountNow(Answer):
    """An account and its state."""

    name: str
    mode: str
    paused: bool
    bulk_paused: bool
    queued: int


class Activity(Answer):
    """Something that somebody did."""

    at: Time
    by: str
    what: str
    before: dict[str, str]
    after: dict[str, str]
    until: Time | None
    tenant: str | None


class ConditionNow(Answer):
    """What stops or limits mail now; `says` is for people."""

    kind: Kind
    tenant: str | None
    reason: str | None
    by: str | None
    since: Time | None
    says: str


class WindowNow(Answer):
    """The send window of the account's bulk mail."""

    window: str
    open: bool
    opens_at: Time | None


class OutsideWindow(Answer):
    """Recipients of a batch who wait until its send window opens."""

    batch: str
    recipients: int
    opens_at: Time | None


class RampStep(Answer):
    """What a ramp allows from one moment on."""

    at: Time
    value: int


class RampNow(Answer):
    """The ramp, in recipients in 24 hours."""

    from_: int = Field(alias="from")
    to: int
    days: int
    began_at: Time
    value: int
    day: int
    steps: list[RampStep]
    ends_at: Time | None
    stands_still_since: Time | None
    stands_still_because: str | None


class PolicyNow(Answer):
    """The limits in force: recipients a second, recipients in 24 hours; null is unlimited."""

    rate: float
    daily: float | None
    burst: float
    margin: float
    reserve: float
    pace: float
    ramp: RampNow | None


class UsageNow(Answer):
    """What is used of the quota of the last 24 hours."""

    last_24h: float
    others: float
    remaining: float | None
    next_free_at: Time | None
    throttles: int


class LaneNow(Answer):
    """A lane, and when its first message goes."""

    queued: int
    oldest_at: Time | None
    next_at: Time | None


class Awaited(Answer):
    """What messages wait for, other than time."""

    what: str
    reason: str
    count: int


class WorkerNow(Answer):
    """A worker that is running."""

    name: str
    host: str
    pid: int | None
    state: str
    last_heartbeat: Time
    sent: int


class MemoryNow(Answer):
    """Bytes of Redis."""

    used: int
    limit: int | None


class Overview(Answer):
    """An account at a glance, as `sesq status --json`."""

    account: str
    mode: str
    paused: bool
    paused_because: str | None
    bulk_paused: bool
    bulk_paused_because: str | None
    conditions: list[ConditionNow]
    bulk_window: WindowNow | None
    outside_windows: list[OutsideWindow]
    policy: PolicyNow
    usage: UsageNow
    lanes: dict[Lane, LaneNow]
    messages: dict[State, int]
    feedback: dict[State, int]
    waiting: list[Awaited]
    workers: list[WorkerNow]
    memory: MemoryNow | None
    synced_at: Time | None
    why: list[str]
    empty_at: Time | None


class LimitNow(Answer):
    """A limit in force, where it comes from, and what SES allows; null is unlimited, or not known.

    `set_to` is what somebody set: a number, a share such as "10%", or "unlimited"; null if nobody did.
    """

    value: float | None
    origin: Literal["set", "sesq.toml", "ramp", "SES", "default"]
    set_to: float | str | None
    ses: float | None
    until: Time | None
    forced: bool


class Quota(Answer):
    """All limits."""

    rate: LimitNow
    daily: LimitNow
    burst: LimitNow
    margin: LimitNow
    reserve: LimitNow
    ramp: RampNow | None
    conditions: list[ConditionNow]


class QuotaChange(Answer):
    """A change of limits. `old` and `new` have a value for each limit that it changed, written as `set_to`."""

    id: str
    at: Time
    by: str
    old: dict[str, Any]
    old_forced: list[str] = []
    new: dict[str, Any] | None
    until: Time | None
    force: bool = False
    tenant: str | None = None


class Outlook(Answer):
    """What a change of limits would do."""

    waiting: int
    empty_at: Time | None
    then_empty_at: Time | None


class Paused(Answer):
    """Whether all mail, and whether bulk mail, is paused now."""

    paused: bool
    bulk_paused: bool
