"""Events of SES for each row of the table, and what each does to a message that was sent."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from sesq.queue.states import State

ADA, BOB = "ada@example.org", "bob@example.org"
SENT, DELIVERED, BOUNCED, COMPLAINED = State.SENT, State.DELIVERED, State.BOUNCED, State.COMPLAINED


class Told(NamedTuple):
    """What an event does to a message that was sent: its state, what is counted, and who is suppressed and why."""

    state: State
    counted: str = ""
    suppressed: str = ""


def event(kind: str, id: str, detail: dict[str, Any], *, to: tuple[str, ...] = (ADA,)) -> str:
    name = {"Rendering Failure": "failure"}.get(kind, kind[0].lower() + kind[1:])
    named = {
        "Bounce": "bouncedRecipients",
        "Complaint": "complainedRecipients",
        "DeliveryDelay": "delayedRecipients",
    }
    recipients = {named[kind]: [{"emailAddress": each} for each in to]} if kind in named else {}
    mail = {"messageId": "m-1", "destination": [ADA, BOB][: max(len(to), 1)], "tags": {"sesq-id": [id]}}
    return json.dumps({"eventType": kind, "mail": mail, name: recipients | detail})


def bounce(kind: str, subtype: str) -> dict[str, str]:
    return {"bounceType": kind, "bounceSubType": subtype, "feedbackId": "f-1"}


def complaint(feedback: str | None, subtype: str | None = None) -> dict[str, Any]:
    report = {} if feedback is None else {"complaintFeedbackType": feedback}
    return {"complaintSubType": subtype, "feedbackId": "f-1", **report}


HARD = Told(BOUNCED, "bounced", "bounce")
PREVENTED = SOFT = Told(BOUNCED)
DELAYED = PASSED_ON = NOTED = Told(SENT)
ROWS: list[tuple[str, dict[str, Any], Told]] = [
    ("Send", {}, Told(SENT, "sent")),
    ("Delivery", {"timestamp": "t", "recipients": [ADA]}, Told(DELIVERED)),
    ("Bounce", bounce("Permanent", "General"), HARD),
    ("Bounce", bounce("Permanent", "NoEmail"), HARD),
    ("Bounce", bounce("Permanent", "Suppressed"), HARD),
    ("Bounce", bounce("Permanent", "OnAccountSuppressionList"), Told(BOUNCED, "", "bounce")),
    ("Bounce", bounce("Permanent", "OnTenantSuppressionList"), PREVENTED),
    ("Bounce", bounce("Permanent", "EmailValidationSuppressed"), PREVENTED),
    ("Bounce", bounce("Permanent", "UnsubscribedRecipient"), PREVENTED),
    ("Bounce", bounce("Permanent", "OfAnotherYear"), PREVENTED),
    ("Bounce", bounce("Transient", "General"), SOFT),
    ("Bounce", bounce("Transient", "MailboxFull"), SOFT),
    ("Bounce", bounce("Transient", "MessageTooLarge"), SOFT),
    ("Bounce", bounce("Transient", "CustomTimeoutExceeded"), SOFT),
    ("Bounce", bounce("Transient", "ContentRejected"), SOFT),
    ("Bounce", bounce("Transient", "AttachmentRejected"), SOFT),
    ("Bounce", bounce("Undetermined", "Undetermined"), SOFT),
    ("Bounce", bounce("Transient", "OfAnotherYear"), SOFT),
    ("Complaint", complaint(None), Told(COMPLAINED, "complained", "complaint")),
    ("Complaint", complaint("abuse"), Told(COMPLAINED, "complained", "complaint")),
    ("Complaint", complaint("fraud"), Told(COMPLAINED, "complained", "complaint")),
    ("Complaint", complaint("virus"), Told(COMPLAINED, "complained")),
    ("Complaint", complaint("other"), Told(COMPLAINED, "complained")),
    ("Complaint", complaint("not-spam"), NOTED),
    ("Complaint", complaint("auth-failure"), NOTED),
    ("Complaint", complaint("of-another-year"), NOTED),
    ("Complaint", complaint("abuse", "OnAccountSuppressionList"), PREVENTED),
    ("Complaint", complaint(None, "OnTenantSuppressionList"), PREVENTED),
    ("Complaint", complaint("abuse", "OfAnotherYear"), NOTED),
    ("Reject", {"reason": "Bad content"}, PREVENTED),
    ("Rendering Failure", {"errorMessage": "name is missing", "templateName": "t"}, PREVENTED),
    *(
        ("DeliveryDelay", {"delayType": kind, "timestamp": "t"}, DELAYED)
        for kind in (
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
            "OfAnotherYear",
        )
    ),
    ("Open", {"timestamp": "t"}, PASSED_ON),
    ("Click", {"timestamp": "t", "link": "https://example.com/"}, PASSED_ON),
    ("Subscription", {"timestamp": "t", "contactList": "news"}, PASSED_ON),
    ("OfAnotherYear", {"timestamp": "t"}, NOTED),
]
