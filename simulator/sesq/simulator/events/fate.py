"""Decides what becomes of accepted mail, for each recipient.

A fate is a word, and for some a reason after a colon: `bounce:MailboxFull`, `complaint:not-spam`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from sesq.simulator.addresses import simulated

_PERMANENT = (
    "NoEmail",
    "Suppressed",
    "OnAccountSuppressionList",
    "OnTenantSuppressionList",
    "EmailValidationSuppressed",
    "UnsubscribedRecipient",
)
_TRANSIENT = (
    "MailboxFull",
    "MessageTooLarge",
    "CustomTimeoutExceeded",
    "ContentRejected",
    "AttachmentRejected",
)
FEEDBACK_TYPES = ("abuse", "fraud", "virus", "other", "not-spam", "auth-failure")
_COMPLAINT_SUB_TYPES = ("OnAccountSuppressionList", "OnTenantSuppressionList")
_DELAYS = (
    "InternalFailure",
    "General",
    "MailboxFull",
    "SpamDetected",
    "RecipientServerError",
    "IPFailure",
    "TransientCommunicationFailure",
    "BYOIPHostNameLookupUnavailable",
    "Undetermined",
    "SendingDeferral",
)
REASONS = {
    "bounce": ("General", *_PERMANENT, "Transient", *_TRANSIENT, "Undetermined"),
    "complaint": (*FEEDBACK_TYPES, *_COMPLAINT_SUB_TYPES),
    "delay": _DELAYS,
}
_PLAIN = (
    "delivery",
    "delay",
    "bounce",
    "ooto",
    "complaint",
    "suppressionlist",
    "open",
    "click",
    "subscription",
)
FATES = (*_PLAIN, *(f"{fate}:{reason}" for fate, reasons in REASONS.items() for reason in reasons))

# The events of each fate in order, as the API spells them.
_EVENTS: dict[str, tuple[str, ...]] = {
    "delivery": ("DELIVERY",),
    "ooto": ("DELIVERY",),
    "delay": ("DELIVERY_DELAY", "DELIVERY"),
    "bounce": ("BOUNCE",),
    "complaint": ("DELIVERY", "COMPLAINT"),
    "open": ("DELIVERY", "OPEN"),
    "click": ("DELIVERY", "CLICK"),
    "subscription": ("DELIVERY", "SUBSCRIPTION"),
}
_ALIASES = {"suppressionlist": "bounce:Suppressed"}
_NAMED = {"delay": "DELIVERY_DELAY", "ooto": "DELIVERY"}
_ORDER = ("DELIVERY_DELAY", "DELIVERY", "BOUNCE", "COMPLAINT", "OPEN", "CLICK", "SUBSCRIPTION")
_EICAR = b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE"
_EICAR_BASE64 = (
    b"RUlDQVItU1RBTkRBUkQtQU5USVZJUlVTLVRFU1QtRklMRQ",
    b"VJQ0FSLVNUQU5EQVJELUFOVElWSVJVUy1URVNULUZJTE",
    b"FSUNBUi1TVEFOREFSRC1BTlRJVklSVVMtVEVTVC1GSUxF",
)


class Happening(NamedTuple):
    """One event to publish: its type as the API spells it, its recipients, and the reason after the fate's colon."""

    type: str
    recipients: tuple[str, ...]
    reason: str = ""

    @property
    def lists_the_address(self) -> bool:
        """Whether SES would put the recipients on the suppression list: hard bounces and real complaints."""
        if self.type == "BOUNCE":
            return self.reason in ("", "General", "NoEmail")
        return self.type == "COMPLAINT" and self.reason in ("", "abuse", "fraud", "virus", "other")


def bounce_type(sub_type: str) -> str:
    """Returns Permanent, Transient or Undetermined."""
    if sub_type == "Undetermined":
        return sub_type
    return "Transient" if sub_type in ("Transient", *_TRANSIENT) else "Permanent"


def is_virus(content: bytes) -> bool:
    """Whether it contains the EICAR test file, plain or in base64, by which a Reject can be tested (AWS's guide)."""
    return _EICAR in content or any(form in content.replace(b"\r\n", b"") for form in _EICAR_BASE64)


def happenings(
    recipients: Sequence[str], fates: Mapping[str, str], suppressed: Callable[[str], str]
) -> list[Happening]:
    """Lists what follows the Send event, in order. Recipients with the same type and reason share one event.

    `suppressed` returns the reason for which mail to an address is not sent, or "".
    """
    found: dict[tuple[str, str], list[str]] = {}
    for address in dict.fromkeys(recipients):
        for key in _events(_fate(address, fates, suppressed)):
            found.setdefault(key, []).append(address)
    made = [Happening(kind, tuple(addresses), reason) for (kind, reason), addresses in found.items()]
    return sorted(made, key=lambda happening: _ORDER.index(happening.type))


def told_on_demand(fate: str, recipients: Sequence[str]) -> Happening:
    """Makes the one event that the fate is named after."""
    named, reason = _named(fate)
    return Happening(named, tuple(recipients), reason)


def _named(fate: str) -> tuple[str, str]:
    """Returns type and reason of the event that a fate is named after."""
    word, _, reason = _ALIASES.get(fate, fate).partition(":")
    return _NAMED.get(word, word.upper()), reason


def _events(fate: str) -> list[tuple[str, str]]:
    """Lists type and reason of each event of a fate. Only the event that the fate is named after has the reason."""
    named, reason = _named(fate)
    word = _ALIASES.get(fate, fate).partition(":")[0]
    return [(each, reason if each == named else "") for each in _EVENTS[word]]


def _fate(address: str, fates: Mapping[str, str], suppressed: Callable[[str], str]) -> str:
    reason = suppressed(address)
    if reason:
        return f"bounce:{reason}"
    fate = fates.get(address) or simulated(address) or "delivery"
    if fate == "success":
        return "delay" if address.partition("+")[2].startswith("delay@") else "delivery"
    return fate
