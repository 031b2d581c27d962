"""A host sends for its customers: tenants, lists, bounces and borrowed identities reach SES, by the API and by SMTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from batch import write_template
from sesq.producer import Attachment
from sesq.queue.states import State
from system import System, eventually

PARTNER = "arn:aws:ses:us-east-1:111111111111:identity/partner.example"
SETTINGS = {
    "SESQ_ACCOUNTS__DEFAULT__TENANT": "house",
    "SESQ_ACCOUNTS__DEFAULT__IDENTITY_ARNS": json.dumps([PARTNER]),
}
NO_TRACKING = {"Tracking": {"OpenTrackingEnabled": "DISABLED", "ClickTrackingEnabled": "DISABLED"}}


@pytest.mark.parametrize("transport", ["ses", "smtp"])
def test_what_a_message_says_reaches_ses(transport: str, system: Any, tmp_path: Path) -> None:
    s: System
    with system(max_send_rate=50, smtp_port=0, settings=SETTINGS) as s:
        # Given tenants at SES, and a worker of an account that names one, and an identity that another account lends
        for tenant in ("house", "acme"):
            s.ses.add_tenant(tenant)
        s.start_smtp_worker() if transport == "smtp" else s.start_workers(1)
        # When mail is sent for the house, for a customer, as the partner, and to a list
        file = Attachment("a.txt", b"A")
        s.outbox.send(s.mail(subject="house"))
        s.outbox.send(s.mail(subject="acme", tenant="acme", attachments=[file]))
        s.outbox.send(s.mail(subject="partner", sender="Ada <ada@news.partner.example>"))
        s.outbox.send(s.mail(subject="bounces", feedback_to="bounces@example.com"))
        s.outbox.send(s.mail(subject="bounced there", feedback_to="b@partner.example", attachments=[file]))
        reset = {"track": False} if transport == "ses" else {}
        s.outbox.send(s.mail(subject="reset", **reset))
        rows = [{"email": f"p{number}@example.org", "name": "row"} for number in range(3)]
        options = {"tenant": "acme", "contact_list": "news", "topic": "weekly"}
        s.outbox.send_batch(write_template(tmp_path / "news"), rows, sender="shop@example.com", **options)
        s.wait_for(State.SENT, 6)
        eventually(lambda: s.ses.report()["accepted"] == 9, "the rows of the batch")
        # Then SES is asked for just that
        told = {mail["subject"]: mail for mail in s.ses.messages()}
        assert {subject: mail["tenant"] for subject, mail in told.items()} == {
            **dict.fromkeys(("house", "partner", "bounces", "bounced there", "reset"), "house"),
            **dict.fromkeys(("acme", "News for row"), "acme"),
        }
        asked = {subject: mail["options"] for subject, mail in told.items()}
        assert asked["house"] == asked["acme"] == {}
        assert asked["News for row"] == {
            "ListManagementOptions": {"ContactListName": "news", "TopicName": "weekly"}
        }
        assert asked["partner"]["FromEmailAddressIdentityArn"] == PARTNER
        assert asked["bounced there"]["FeedbackForwardingEmailAddressIdentityArn"] == PARTNER
        if transport == "ses":
            assert asked["bounces"] == {"FeedbackForwardingEmailAddress": "bounces@example.com"}
            assert asked["reset"] == {"ConfigurationOverrides": NO_TRACKING}
        assert s.ses.report()["refused"] == {}
