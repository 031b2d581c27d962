"""Models of the API's answers about identities, the suppression list and the sandbox, for its description."""

from __future__ import annotations

from typing import Any, Literal

from sesq.console.web.api.answers import Answer, Time


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
    """How a review of the account at AWS stands."""

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
