"""Models of the API's answers about identities, the suppression list and the sandbox, for its description."""

from __future__ import annotations

from typing import Any, Literal

from sesq.console.web.api.answers import Answer, Time
from sesq.queue.reputation import Level, Passed


class VerificationStarted(Answer):
    """An identity at SES."""

    name: str
    status: str
    verified: bool


class SuppressedAddress(Answer):
    """An address that gets no mail."""

    address: str
    reason: str
    at: Time
    source: str


class SuppressedPage(Answer):
    """Some of the suppression list."""

    addresses: list[SuppressedAddress]
    next: int | None


class FoundSuppressed(Answer):
    """The entry of one address, if there is one."""

    suppressed: SuppressedAddress | None


class Listed(Answer):
    """How many addresses were new, and why SES's own list was not changed."""

    added: int
    problem: str | None


class Removed(Answer):
    """How many addresses were on the list, and why SES's own list was not changed."""

    removed: int
    problem: str | None


class ReviewNow(Answer):
    """The state of a review of the account at AWS."""

    status: str
    case_id: str


class Sandbox(Answer):
    """What the account may do, as SES says now."""

    mode: Literal["sandbox", "production"]
    production: bool
    sending: bool
    enforcement: str
    rate: float
    daily: float
    sent: float
    review: ReviewNow
    details: dict[str, Any]


class RequestToAws(Answer):
    """The request to AWS, and whether it was sent."""

    request: dict[str, Any]
    sent: bool


class Thresholds(Answer):
    """The rates at which Amazon reviews an account, and at which it may pause it."""

    review: float
    pause: float


class RatesOf(Answer):
    """Recipients, and the shares of those that bounced or complained.

    A rate is null if none was counted as sent, or fewer than bounced: the mail was sent before its counts began.
    """

    sent: int
    bounced: int
    complained: int
    bounced_rate: float | None
    complained_rate: float | None


class PartRates(RatesOf):
    """The rates of a part of the mail, and the thresholds that they have reached.

    `name`: a domain, a tag `name=value` or a tenant; null is all other domains or tags.
    """

    name: str | None
    bounced_passed: Passed
    complained_passed: Passed


class BatchRates(PartRates):
    """The rates of a batch."""

    id: str
    name: str


class Reputation(RatesOf):
    """The rates of the last week, and where they come from, the worst first.

    `problem`: no events were ever read, and how to read them. `events_read_at`: when a reader last asked for events.
    """

    level: Level
    problem: str | None
    events_read_at: Time | None
    thresholds: dict[str, Thresholds]
    domains: list[PartRates]
    tags: list[PartRates]
    tenants: list[PartRates]
    batches: list[BatchRates]
