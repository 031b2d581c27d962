"""Reads what an account may do, and requests production access, which a person at AWS reviews.

Sources: SES developer guide, "Request production access", and the API's model (PutAccountDetails). While a review is
open, and after a denial, the API answers ConflictException: a person then has to answer in the support case.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sesq.config.errors import InputError, SesqError
from sesq.worker.control.calls import ControlRefused, SesControl

MAIL_TYPES = ("MARKETING", "TRANSACTIONAL")
LANGUAGES = ("EN", "JA")
MAX_URL, MAX_USE_CASE, MAX_CONTACTS = 1000, 5000, 4
SETTLED = frozenset({"GRANTED", "DENIED", "FAILED"})


class ReviewConflict(SesqError):
    """A review is open, or the last one was denied."""


@dataclass(frozen=True, slots=True)
class Review:
    """Describes the review. `status`: PENDING, GRANTED, DENIED or FAILED; empty if there was no request."""

    status: str = ""
    case_id: str = ""

    @property
    def settled(self) -> bool:
        """Whether there is an answer."""
        return self.status in SETTLED


@dataclass(frozen=True, slots=True)
class Application:
    """Holds the request for production access. Raises InputError for values that SES or a reviewer would refuse."""

    mail_type: str
    website: str
    use_case: str
    language: str = "EN"
    contacts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.mail_type not in MAIL_TYPES:
            raise InputError(f"mail type: {self.mail_type!r}; allowed: {', '.join(MAIL_TYPES)}")
        if not self.website.startswith(("http://", "https://")) or len(self.website) > MAX_URL:
            raise InputError(
                f"website: must be an address that starts with https://, of at most {MAX_URL} characters"
            )
        if not self.use_case.strip() or len(self.use_case) > MAX_USE_CASE:
            raise InputError(f"use case: a description, of at most {MAX_USE_CASE} characters")
        if self.language not in LANGUAGES:
            raise InputError(f"language: {self.language!r}; allowed: {', '.join(LANGUAGES)}")
        if len(self.contacts) > MAX_CONTACTS:
            raise InputError(f"contacts: at most {MAX_CONTACTS} addresses")

    def request(self) -> dict[str, Any]:
        """Returns the parameters of PutAccountDetails."""
        request: dict[str, Any] = {
            "MailType": self.mail_type,
            "WebsiteURL": self.website,
            "UseCaseDescription": self.use_case,
            "ContactLanguage": self.language,
            "ProductionAccessEnabled": True,
        }
        return request | ({"AdditionalContactEmailAddresses": list(self.contacts)} if self.contacts else {})


@dataclass(frozen=True, slots=True)
class Access:
    """Says what an account may do now. `rate`: recipients a second; `daily`: recipients in 24 hours (-1: unlimited)."""

    production: bool
    sending: bool
    enforcement: str
    rate: float
    daily: float
    sent: float
    review: Review
    details: dict[str, Any]

    @classmethod
    def read(cls, control: SesControl) -> Access:
        """Asks SES. Raises ControlRefused or ControlUnavailable."""
        told = control.call("get_account")
        quota, details = told.get("SendQuota") or {}, dict(told.get("Details") or {})
        review = details.pop("ReviewDetails", None) or {}
        return cls(
            production=told.get("ProductionAccessEnabled", False),
            sending=told.get("SendingEnabled", True),
            enforcement=told.get("EnforcementStatus", ""),
            rate=quota.get("MaxSendRate") or 0.0,
            daily=quota.get("Max24HourSend") or 0.0,
            sent=quota.get("SentLast24Hours") or 0.0,
            review=Review(review.get("Status", ""), review.get("CaseId", "")),
            details=details,
        )

    def as_json(self) -> dict[str, Any]:
        """Returns the object that `sesq sandbox status --json` prints."""
        return {"mode": "production" if self.production else "sandbox", **asdict(self)}


def apply(control: SesControl, application: Application) -> None:
    """Sends the request. Raises ReviewConflict if SES takes none now, ControlRefused and ControlUnavailable."""
    try:
        control.call("put_account_details", **application.request())
    except ControlRefused as error:
        if error.code != "ConflictException":
            raise
        raise ReviewConflict(
            "SES takes no request now: one is under review, or was denied. Answer in its support case"
        ) from error
