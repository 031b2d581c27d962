"""SES v1 through the real botocore."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def v1(client_for):
    client = client_for("ses")
    yield client
    client.close()


@pytest.fixture
def v1_mail():
    return {
        "Source": "Shop & Co <shop@example.com>",
        "Destination": {"ToAddresses": ["ada@example.org"]},
        "Message": {"Subject": {"Data": "H\u00e9 <hi>"}, "Body": {"Html": {"Data": "<b>x</b>"}}},
        "Tags": [{"Name": "sesq-id", "Value": "m-1"}],
    }


def test_both_limits_are_throttling_told_apart_by_text(ses, v1, v1_mail):
    ses.set_account(max_24_hour_send=1)
    v1.send_email(**v1_mail)
    with pytest.raises(ClientError) as rate:
        v1.send_email(**v1_mail)
    ses.advance(1)
    with pytest.raises(ClientError) as day:
        v1.send_email(**v1_mail)
    assert rate.value.response["Error"]["Code"] == day.value.response["Error"]["Code"] == "Throttling"
    assert rate.value.response["Error"]["Message"] == "Maximum sending rate exceeded."
    assert day.value.response["Error"]["Message"] == "Daily message quota exceeded."
    assert v1.get_send_quota()["SentLast24Hours"] == 1.0


def test_message_arrives_as_sent(ses, v1, v1_mail):
    message_id = v1.send_email(**v1_mail)["MessageId"]
    message = ses.messages(content=True)[0]
    assert message["id"] == message_id
    assert message["api"] == "v1"
    assert message["from"] == "Shop & Co <shop@example.com>"
    assert message["tags"] == {"sesq-id": "m-1"}
    assert message["content"]["Simple"]["Subject"]["Data"] == "H\u00e9 <hi>"


def test_raw_goes_to_the_destinations_given(ses, v1):
    raw = b"From: shop@example.com\r\nTo: bob@x.org\r\nX-SES-MESSAGE-TAGS: sesq-id=m-1, a=b\r\n\r\nhi"
    v1.send_raw_email(RawMessage={"Data": raw}, Destinations=["ada@example.org"])
    message = ses.messages()[0]
    assert message["to"] == ["ada@example.org"]
    assert message["tags"] == {"sesq-id": "m-1", "a": "b"}
    ses.advance(1)
    with pytest.raises(ClientError, match="not verified"):
        v1.send_raw_email(RawMessage={"Data": raw})


def test_identities(ses, v1):
    v1.verify_email_identity(EmailAddress="bob@x.org")
    assert v1.verify_domain_identity(Domain="x.net")["VerificationToken"]
    attributes = v1.get_identity_verification_attributes(
        Identities=["bob@x.org", "example.com", "unknown.org"]
    )
    statuses = {
        name: each["VerificationStatus"] for name, each in attributes["VerificationAttributes"].items()
    }
    assert statuses == {"bob@x.org": "Pending", "example.com": "Success"}
    ses.advance(86400)
    v1.verify_email_identity(EmailAddress="bob@x.org")
    first = v1.list_identities(MaxItems=2)
    rest = v1.list_identities(NextToken=first["NextToken"])
    assert first["Identities"] + rest["Identities"] == [
        "ada@example.org",
        "bob@x.org",
        "example.com",
        "x.net",
    ]
    assert v1.list_identities(IdentityType="Domain")["Identities"] == ["example.com", "x.net"]
    v1.delete_identity(Identity="x.net")
    v1.delete_identity(Identity="x.net")
    assert "x.net" not in v1.list_identities()["Identities"]


def test_a_hundred_identities_are_told_in_one_call(ses, v1):
    names = [f"p{n}@example.org" for n in range(101)]
    assert v1.get_identity_verification_attributes(Identities=names[:100])["VerificationAttributes"] == {}
    with pytest.raises(ClientError, match="At most 100 identities a call"):
        v1.get_identity_verification_attributes(Identities=names)


def test_own_pause_and_statistics(ses, v1, v1_mail):
    v1.update_account_sending_enabled(Enabled=False)
    assert v1.get_account_sending_enabled()["Enabled"] is False
    with pytest.raises(v1.exceptions.MessageRejected, match="Sending paused"):
        v1.send_email(**v1_mail)
    v1.update_account_sending_enabled(Enabled=True)
    v1.send_email(**v1_mail)
    ses.advance(1)
    v1.send_email(**v1_mail | {"Destination": {"ToAddresses": ["bounce@simulator.amazonses.com"]}})
    points = v1.get_send_statistics()["SendDataPoints"]
    assert sum(point["DeliveryAttempts"] for point in points) == 2
    assert sum(point["Bounces"] for point in points) == 1


def test_unknown_action(v1, ses):
    with pytest.raises(ClientError) as refused:
        v1.list_receipt_rule_sets()
    assert refused.value.response["Error"]["Code"] == "InvalidAction"
