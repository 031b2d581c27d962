"""Suppression lists: the reasons for which a tenant's own counts, and what cannot be put on one."""

from __future__ import annotations

import json

import pytest

from refused import refusal


@pytest.fixture
def shop(ses, sesv2):
    """A tenant that may send by all, with a list of its own that knows complaints alone."""
    ses.set_account(max_send_rate=100, production_access=True)
    ses.advance(1)
    ses.add_tenant("shop")
    sesv2.put_tenant_suppression_attributes(
        TenantName="shop", SuppressedReasons=["COMPLAINT"], SuppressionScope="TENANT"
    )


def listed(sesv2):
    found = sesv2.list_suppressed_destinations(TenantName="shop")["SuppressedDestinationSummaries"]
    return [(each["EmailAddress"], each["Reason"]) for each in found]


def test_only_what_has_a_reason_of_the_tenant_goes_on_its_list(ses, sesv2, mail, shop):
    ses.set_events(queue="ses-events", fates={"eve@x.org": "bounce", "bob@x.org": "complaint"})
    for address in ("eve@x.org", "bob@x.org"):
        sesv2.send_email(**mail(address), TenantName="shop")
    assert listed(sesv2) == [("bob@x.org", "COMPLAINT")]
    # When the tenant has no reasons any more, Then nothing goes on it
    sesv2.delete_suppressed_destination(EmailAddress="bob@x.org", TenantName="shop")
    sesv2.put_tenant_suppression_attributes(
        TenantName="shop", SuppressedReasons=[], SuppressionScope="TENANT"
    )
    sesv2.send_email(**mail("bob@x.org"), TenantName="shop")
    assert listed(sesv2) == []


def test_an_address_is_held_back_for_a_reason_of_the_tenant_alone(ses, sesv2, client_for, mail, shop):
    for address, reason in (("eve@x.org", "BOUNCE"), ("bob@x.org", "COMPLAINT")):
        sesv2.put_suppressed_destination(EmailAddress=address, Reason=reason, TenantName="shop")
    ses.set_events(queue="ses-events", wrapped=False)
    for address in ("eve@x.org", "bob@x.org"):
        sesv2.send_email(**mail(address), TenantName="shop")
    sqs = client_for("sqs")
    url = sqs.get_queue_url(QueueName="ses-events")["QueueUrl"]
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    sqs.close()
    told = [json.loads(each["Body"])["eventType"] for each in messages]
    assert told == ["Send", "Delivery", "Send", "Bounce"]


def test_a_reason_is_given_once(sesv2):
    told = ("BadRequestException", "Each suppressed reason can only be specified at most once")
    twice = ["BOUNCE", "BOUNCE"]
    assert refusal(sesv2.put_account_suppression_attributes, SuppressedReasons=twice) == told
    wanted = {"ConfigurationSetName": "news", "SuppressionOptions": {"SuppressedReasons": twice}}
    assert refusal(sesv2.create_configuration_set, **wanted) == told
    assert sesv2.list_configuration_sets()["ConfigurationSets"] == []
    sesv2.create_configuration_set(ConfigurationSetName="news")
    named = {"ConfigurationSetName": "news", "SuppressedReasons": twice}
    assert refusal(sesv2.put_configuration_set_suppression_options, **named) == told


@pytest.mark.parametrize("address", ["Ada <ada@x.org>", " ada@x.org", "<ada@x.org>", "nonsense"])
def test_an_address_on_a_list_is_bare(sesv2, shop, address):
    code, _ = refusal(sesv2.put_suppressed_destination, EmailAddress=address, Reason="BOUNCE")
    assert code == "BadRequestException"
    assert sesv2.list_suppressed_destinations()["SuppressedDestinationSummaries"] == []
