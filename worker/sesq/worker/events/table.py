"""Has the table of events: what each value that SES documents means, and what sesq does with it.

`docs/reference/events.md` shows the same rows. A value without a row has the row of `ANY`: it is noted and shown, but
neither counts nor suppresses.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from sesq.queue.states import State

ANY = "any other"
"""Stands for every value that no other row has."""


class Rank(int, Enum):
    """Orders events: an event changes a message's state only if its rank is higher than that of the last change.

    Events come in any order. A soft bounce ranks below a delivery, because automatic replies come as soft bounces.
    """

    SENT = 1
    BOUNCED_FOR_NOW = 2
    DELIVERED = 3
    BOUNCED = 4
    COMPLAINED = 5


class Effect(str, Enum):
    """Says where people see the event. The documentation has the values."""

    MOVES = "moves it"
    NOTED = "stays as it is; a line in its history"
    DELAYS = "stays as it is; `delayed_because`, and a line in its history"
    PASSED_ON = "stays as it is; the event is passed on"


class Suppresses(str, Enum):
    """Says who gets no more mail. The documentation has the values."""

    NOBODY = "nobody"
    NAMED = "each recipient named, for all mail of the account"
    COMPLAINER = "the recipient, for all mail of the account; of several possible ones nobody, but by setting"
    TAKES_OFF = "nobody; takes the recipient off the list, where a complaint put it there"


class Source(str, Enum):
    """Names the document that describes a value."""

    GUIDE = 'SES developer guide, "Contents of event data that Amazon SES publishes to Amazon SNS"'
    LIST = 'SES developer guide, "Using the Amazon SES account-level suppression list"'
    MARF = 'IANA, "MARF parameters", feedback report types, which the SES developer guide refers to'
    REPORTED = "reports of real events in public code; not in the copy of the developer guide that was read"
    OURS = "sesq's own rule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Describes one value.

    `subtype`: `bounceType/bounceSubType` of a bounce, `complaintSubType` of a complaint, `delayType` of a delay.
    `feedback`: `complaintFeedbackType`. `says`: its meaning. `to`: the new state of the message; None: it stays, or
    becomes `sent` if it was unknown. `prevents`: SES did not try to send, because of a list or a check of the address.
    """

    type: str
    subtype: str = ""
    feedback: str = ""
    says: str
    to: State | None = None
    rank: Rank = Rank.SENT
    effect: Effect = Effect.MOVES
    counts: Literal["", "sent", "bounced", "complained"] = ""
    suppresses: Suppresses = Suppresses.NOBODY
    prevents: bool = False
    source: Source = Source.GUIDE

    @property
    def key(self) -> tuple[str, str, str]:
        """The values by which the row is found."""
        return self.type, self.subtype, self.feedback

    @property
    def is_known(self) -> bool:
        """Whether SES documents its values."""
        return not any(value.endswith(ANY) for value in self.key)


def _hard(subtype: str, says: str, *, source: Source = Source.GUIDE) -> Row:
    return Row(
        type="Bounce",
        subtype=f"Permanent/{subtype}",
        says=says,
        to=State.BOUNCED,
        rank=Rank.BOUNCED,
        counts="bounced",
        suppresses=Suppresses.NAMED,
        source=source,
    )


def _prevented(
    kind: str, subtype: str, says: str, source: Source, suppresses: Suppresses = Suppresses.NOBODY
) -> Row:
    return Row(
        type=kind,
        subtype=subtype,
        says=says,
        to=State.BOUNCED,
        rank=Rank.BOUNCED,
        suppresses=suppresses,
        prevents=True,
        source=source,
    )


def _soft(subtype: str, says: str, *, source: Source = Source.GUIDE) -> Row:
    return Row(
        type="Bounce",
        subtype=subtype,
        says=says,
        to=State.BOUNCED,
        rank=Rank.BOUNCED_FOR_NOW,
        source=source,
    )


def _complaint(feedback: str, says: str, suppresses: Suppresses, source: Source = Source.MARF) -> Row:
    return Row(
        type="Complaint",
        feedback=feedback,
        says=says,
        to=State.COMPLAINED,
        rank=Rank.COMPLAINED,
        counts="complained",
        suppresses=suppresses,
        source=source,
    )


def _report(
    says: str,
    *,
    subtype: str = "",
    feedback: str = "",
    suppresses: Suppresses = Suppresses.NOBODY,
    source: Source = Source.MARF,
) -> Row:
    return Row(
        type="Complaint",
        subtype=subtype,
        feedback=feedback,
        says=says,
        effect=Effect.NOTED,
        suppresses=suppresses,
        source=source,
    )


def _delay(subtype: str, says: str, source: Source = Source.GUIDE) -> Row:
    return Row(type="DeliveryDelay", subtype=subtype, says=says, effect=Effect.DELAYS, source=source)


def _passed_on(kind: str, says: str) -> Row:
    return Row(type=kind, says=says, effect=Effect.PASSED_ON)


ROWS = (
    Row(type="Send", says="SES has taken it", to=State.SENT, counts="sent"),
    Row(type="Delivery", says="the recipient's server has taken it", to=State.DELIVERED, rank=Rank.DELIVERED),
    _delay("General", "a general error while SES spoke with the recipient's server"),
    _delay("MailboxFull", "the mailbox is full"),
    _delay("SpamDetected", "the recipient's server has seen much unwanted mail of this account"),
    _delay("RecipientServerError", "the recipient's server has a problem"),
    _delay("IPFailure", "the recipient's server blocks or slows the address that SES sends from"),
    _delay("TransientCommunicationFailure", "the connection to the recipient's server failed"),
    _delay("BYOIPHostNameLookupUnavailable", "SES could not look up the host name of your own IP addresses"),
    _delay("InternalFailure", "a fault inside SES"),
    _delay("SendingDeferral", "SES itself has put it off"),
    _delay("Undetermined", "SES does not know why"),
    _delay(ANY, "SES will try again", Source.OURS),
    _hard("General", "the recipient's server refused it for good"),
    _hard("NoEmail", "there is no such mailbox"),
    _hard("Suppressed", "the address is on SES's global suppression list, since it bounced elsewhere"),
    _prevented(
        "Bounce",
        "Permanent/OnAccountSuppressionList",
        "the address is on the account's suppression list at SES",
        Source.LIST,
        Suppresses.NAMED,
    ),
    _prevented(
        "Bounce",
        "Permanent/OnTenantSuppressionList",
        "the address is on the tenant's suppression list at SES",
        Source.REPORTED,
    ),
    _prevented(
        "Bounce",
        "Permanent/EmailValidationSuppressed",
        "SES's address validation advises against the address",
        Source.REPORTED,
    ),
    _prevented(
        "Bounce",
        "Permanent/UnsubscribedRecipient",
        "the recipient has unsubscribed from the contact list or the topic",
        Source.REPORTED,
    ),
    Row(
        type="Bounce",
        subtype=f"Permanent/{ANY}",
        says="it bounced for good, and this version of sesq does not know the kind",
        to=State.BOUNCED,
        rank=Rank.BOUNCED,
        source=Source.OURS,
    ),
    _soft("Transient/General", "it bounced for now; automatic replies come so too"),
    _soft("Transient/MailboxFull", "the mailbox is full"),
    _soft("Transient/MessageTooLarge", "the message is too large for the recipient's server"),
    _soft("Transient/CustomTimeoutExceeded", "SES could not deliver it within the time that was set"),
    _soft("Transient/ContentRejected", "the recipient's server refused the content"),
    _soft("Transient/AttachmentRejected", "the recipient's server refused an attachment"),
    _soft("Undetermined/Undetermined", "it bounced, and SES does not know why"),
    _soft(ANY, "it bounced, and this version of sesq does not know the kind", source=Source.OURS),
    _complaint(
        "", "the recipient complained, and no feedback report says more", Suppresses.COMPLAINER, Source.GUIDE
    ),
    _complaint("abuse", "the recipient calls it unwanted", Suppresses.COMPLAINER),
    _complaint("fraud", "the recipient calls it fraud or phishing", Suppresses.COMPLAINER),
    _complaint("virus", "a server found a virus in it", Suppresses.NOBODY),
    _complaint("other", "a complaint of another kind", Suppresses.NOBODY),
    _report("the recipient says that it is no spam", feedback="not-spam", suppresses=Suppresses.TAKES_OFF),
    _report(
        "a server reports that the mail's authentication failed (SPF, DKIM or DMARC)", feedback="auth-failure"
    ),
    _prevented(
        "Complaint",
        "OnAccountSuppressionList",
        "the address is on the account's suppression list at SES",
        Source.GUIDE,
    ),
    _prevented(
        "Complaint",
        "OnTenantSuppressionList",
        "the address is on the tenant's suppression list at SES",
        Source.REPORTED,
    ),
    _report("a complaint of a kind that this version of sesq does not know", subtype=ANY, source=Source.OURS),
    Row(
        type="Reject",
        says="SES found a virus in it, and sent it to nobody",
        to=State.BOUNCED,
        rank=Rank.BOUNCED,
    ),
    Row(
        type="Rendering Failure",
        says="SES could not render its template, and sent it to nobody",
        to=State.BOUNCED,
        rank=Rank.BOUNCED,
    ),
    _passed_on("Open", "the mail was opened, by a person or a program"),
    _passed_on("Click", "a link in it was followed, by a person or a program"),
    _passed_on("Subscription", "the recipient has changed what it is subscribed to"),
    Row(
        type=ANY,
        says="an event that this version of sesq does not know",
        effect=Effect.NOTED,
        source=Source.OURS,
    ),
)

_BY_KEY = {row.key: row for row in ROWS}


def row_of(kind: str, subtype: str, feedback: str) -> Row:
    """Finds the row of an event by its type and values; the row of ANY for a value without a row.

    A complaint with a subtype means that SES did not send, so its feedback type does not matter.
    """
    tried = (
        (kind, subtype, "" if subtype else feedback),
        (kind, f"{subtype.partition('/')[0]}/{ANY}", ""),
        (kind, ANY, ""),
    )
    return next((_BY_KEY[key] for key in tried if key in _BY_KEY), _BY_KEY[ANY, "", ""])
