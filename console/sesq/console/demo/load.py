"""Makes the mail of a small shop. The simulated account may write to some of its recipients."""

from __future__ import annotations

import csv

from sesq.console.demo.shipped import shipped
from sesq.producer import Message
from sesq.producer.batch.template import Template
from sesq.queue.states import Lane

SENDER = "The Tea Shop <hello@shop.example>"

VERIFIED = ("shop.example", "partner.example", "readers.example", "ada@example.org", "grace@example.org")
"""The identities of the account: our own domain, two domains that may receive, two single addresses."""

VERIFIED_LATER = "lin@example.net"
NEVER_VERIFIED = "stranger@example.net"


def newsletters() -> list[Message]:
    """Renders a hundred: most to a verified domain, two to unverified addresses, one to the mailbox simulator."""
    renderer = Template.read(shipped("docs/examples/newsletter")).renderer
    with shipped("docs/examples/recipients.csv").open(encoding="utf-8", newline="") as file:
        mails = [(row["email"], renderer.content(row)) for row in csv.DictReader(file)]
    return [
        Message(sender=SENDER, to=to, subject=mail.subject, text=mail.text, html=mail.html, lane=Lane.BULK)
        for to, mail in mails
    ]


def transactional() -> list[Message]:
    """Makes what a shop sends in a morning; the last two are to addresses that are not verified."""
    return [
        _note("ada@example.org", "Welcome, Ada"),
        _note("zoe.akesson@partner.example", "Your order 117 is on its way"),
        Message.from_bytes(shipped("docs/examples/invoice.eml").read_bytes()),
        Message(
            sender=SENDER,
            to="buying@partner.example",
            cc="warehouse@partner.example",
            bcc="archive@shop.example",
            subject="Delivery on Friday",
            text="Twelve tins, at your back door.",
        ),
        _note(VERIFIED_LATER, "Welcome, Lin"),
        _note(NEVER_VERIFIED, "Welcome, stranger"),
    ]


def urgent() -> list[Message]:
    """Makes what somebody waits for at a screen."""
    return [_note(to, "Reset your password") for to in ("grace@example.org", "ada@example.org")]


def _note(to: str, subject: str) -> Message:
    return Message(sender=SENDER, to=to, subject=subject, text=f"{subject}.\n\nYour tea shop\n")
