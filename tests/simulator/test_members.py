"""What is given to an operation is honoured, comes back, or is refused: nothing passes in silence."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from datetime import datetime, timezone

import pytest
from botocore.exceptions import ClientError

ARN = "arn:aws:ses:us-east-1:000000000000:identity/example.com"
TRACKING = {"Tracking": {"OpenTrackingEnabled": "DISABLED"}}
TOLD = {
    "FeedbackForwardingEmailAddressIdentityArn": ARN,
    "EndpointId": "abc.def",
    "ListManagementOptions": {"ContactListName": "news", "TopicName": "weekly"},
    "ConfigurationOverrides": TRACKING,
}
WRONG = {
    "FromEmailAddressIdentityArn": ["arn:aws:ses:us-east-1:000000000000:template/x", 7],
    "EndpointId": [7],
    "ListManagementOptions": [{}, {"ContactListName": "a b"}, {"ContactListName": "news", "Topic": "x"}],
    "ConfigurationOverrides": [{"Tracking": {"OpenTrackingEnabled": "OFF"}}, {"Suppression": {}}],
}


def post(ses, path, body):
    data = json.dumps(body).encode()
    return urllib.request.Request(f"{ses.endpoint_url}{path}", data=data, method="POST")


def refusal_of(request):
    """Code and text of what SES answers to a request that is no SDK's."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    text = json.load(refused.value)["message"]
    refused.value.close()
    return refused.value.headers["x-amzn-errortype"], text


@pytest.mark.parametrize("member", TOLD)
def test_the_record_tells_what_else_a_send_asked_for(ses, mail, member):
    urllib.request.urlopen(post(ses, "/v2/email/outbound-emails", {**mail(), member: TOLD[member]})).close()
    assert ses.messages()[0]["options"] == {member: TOLD[member]}


@pytest.mark.parametrize(("member", "value"), [(name, value) for name in WRONG for value in WRONG[name]])
def test_what_else_a_send_asks_for_is_checked(ses, mail, member, value):
    refusal_of(post(ses, "/v2/email/outbound-emails", {**mail(), member: value}))
    assert ses.report()["accepted"] == 0


def test_mail_for_a_contact_list_goes_to_one_recipient(ses, mail):
    body = {**mail(), "ListManagementOptions": {"ContactListName": "news"}}
    body["Destination"] = {"ToAddresses": ["ada@example.org", "bob@example.org"]}
    code, text = refusal_of(post(ses, "/v2/email/outbound-emails", body))
    assert (code, "one recipient" in text) == ("BadRequestException", True)


@pytest.mark.parametrize(
    ("sender", "accepted"), [("a@partner.example", 1), ("a@news.partner.example", 1), ("a@other.example", 0)]
)
def test_an_identity_of_another_account_speaks_for_its_addresses(ses, mail, sender, accepted):
    arn = "arn:aws:ses:us-east-1:111111111111:identity/partner.example"
    body = {**mail(), "FromEmailAddress": sender, "FromEmailAddressIdentityArn": arn}
    request = post(ses, "/v2/email/outbound-emails", body)
    urllib.request.urlopen(request).close() if accepted else refusal_of(request)
    assert ses.report()["accepted"] == accepted


def test_a_bulk_call_with_a_member_that_is_not_imitated_is_refused(sesv2):
    with pytest.raises(sesv2.exceptions.BadRequestException, match="does not imitate overrides"):
        sesv2.send_bulk_email(
            FromEmailAddress="shop@example.com",
            ConfigurationOverrides={"Tracking": {"OpenTrackingEnabled": "DISABLED"}},
            DefaultContent={"Template": {"TemplateContent": {"Subject": "s", "Text": "t"}}},
            BulkEmailEntries=[{"Destination": {"ToAddresses": ["ada@example.org"]}}],
        )


@pytest.mark.parametrize("member", ["SourceArn", "ReturnPathArn"])
def test_v1_refuses_identities_of_other_accounts(ses, client_for, member):
    v1 = client_for("ses")
    with pytest.raises(ClientError, match=f"{member}: .* does not imitate sending authorization"):
        v1.send_raw_email(
            RawMessage={"Data": b"From: shop@example.com\r\nTo: ada@example.org\r\n\r\nHi"}, **{member: ARN}
        )
    v1.close()
    assert ses.report()["refused"] == {"not_imitated": 1}


def test_a_member_that_no_model_has_is_refused(ses, mail):
    code, text = refusal_of(post(ses, "/v2/email/outbound-emails", {**mail(), "TenantNme": "x"}))
    assert code == "BadRequestException"
    assert "TenantNme: this simulator does not imitate" in text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v2/email/outbound-emails", {"ConfigurationSetName": 17}),
        ("/v2/email/outbound-emails", {"ReplyToAddresses": "ada@example.org"}),
        ("/v2/email/outbound-emails", {"EmailTags": [{"Name": "a", "Value": True}]}),
        ("/v2/email/identities", {"EmailIdentity": "x.org", "Tags": {"a": "b"}}),
        ("/v2/email/configuration-sets", {"ConfigurationSetName": ["a"]}),
    ],
)
def test_a_wrong_type_is_refused_before_all_else(ses, path, body):
    assert refusal_of(post(ses, path, body))[0] == "SerializationException"


def test_constraints_are_told_together_in_the_form_of_ses(ses):
    code, text = refusal_of(post(ses, "/v2/email/account/details", {"MailType": "SPAM"}))
    assert (code, text) == (
        "BadRequestException",
        "2 validation errors detected: "
        "Value at 'websiteURL' failed to satisfy constraint: Member must not be null; "
        "Value at 'mailType' failed to satisfy constraint: Member must satisfy enum value set: "
        "[MARKETING, TRANSACTIONAL]",
    )
    wanted = {"ConfigurationSetName": "news", "DeliveryOptions": {"MaxDeliverySeconds": 299}}
    assert refusal_of(post(ses, "/v2/email/configuration-sets", wanted))[1] == (
        "1 validation error detected: Value '299' at 'deliveryOptions.maxDeliverySeconds' failed to satisfy "
        "constraint: Member must have value greater than or equal to 300"
    )


def test_v1_tells_a_missing_member_in_its_own_words(ses):
    form = b"Action=SendEmail&Version=2010-12-01&Source=shop%40example.com"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{ses.endpoint_url}/", data=form, timeout=10)
    text = refused.value.read().decode()
    refused.value.close()
    assert "<Code>ValidationError</Code>" in text
    assert "2 validation errors detected: Value null at 'destination' failed to satisfy constraint" in text


def test_options_of_a_configuration_set_come_back(sesv2):
    options = {
        "TrackingOptions": {"CustomRedirectDomain": "click.example.com", "HttpsPolicy": "REQUIRE"},
        "DeliveryOptions": {"TlsPolicy": "REQUIRE", "MaxDeliverySeconds": 3600},
        "ReputationOptions": {"ReputationMetricsEnabled": True},
        "SuppressionOptions": {"SuppressedReasons": ["BOUNCE"]},
        "VdmOptions": {"DashboardOptions": {"EngagementMetrics": "ENABLED"}},
        "Tags": [{"Key": "team", "Value": "shop"}],
    }
    sesv2.create_configuration_set(ConfigurationSetName="news", **options)
    found = sesv2.get_configuration_set(ConfigurationSetName="news")
    assert {name: found[name] for name in options} == options
    for option in ({"DeliveryOptions": {"SendingPoolName": "p"}}, {"ArchivingOptions": {}}):
        with pytest.raises(sesv2.exceptions.BadRequestException, match="does not imitate"):
            sesv2.create_configuration_set(ConfigurationSetName="other", **option)


def test_tags_of_an_identity_come_back(sesv2):
    tags = [{"Key": "team", "Value": "shop"}]
    sesv2.create_email_identity(EmailIdentity="x.org", Tags=tags)
    assert sesv2.get_email_identity(EmailIdentity="x.org")["Tags"] == tags


def test_tags_of_a_template_come_back(sesv2):
    tags = [{"Key": "team", "Value": "shop"}]
    sesv2.create_email_template(TemplateName="t", TemplateContent={"Subject": "s"}, Tags=tags)
    sesv2.update_email_template(TemplateName="t", TemplateContent={"Subject": "u"})
    assert sesv2.get_email_template(TemplateName="t")["Tags"] == tags


def test_lists_are_filtered(ses, sesv2):
    ses.verify("x.org")
    sesv2.create_email_identity(EmailIdentity="bob@x.org")

    def names(**wanted):
        found = sesv2.list_email_identities(Filter=wanted)["EmailIdentities"]
        return [each["IdentityName"] for each in found]

    assert names(IDENTITY_NAME_CONTAINS="x.org") == ["bob@x.org", "x.org"]
    assert names(IDENTITY_NAME_CONTAINS="x.org", IDENTITY_TYPE="DOMAIN") == ["x.org"]
    assert names(VERIFICATION_STATUS="PENDING") == ["bob@x.org"]
    with pytest.raises(sesv2.exceptions.BadRequestException, match="enum value set"):
        names(COLOUR="red")
    sesv2.create_configuration_set(ConfigurationSetName="news")
    sesv2.create_configuration_set(ConfigurationSetName="alerts")
    wanted = {"CONFIGURATION_SET_NAME_CONTAINS": "ew"}
    assert sesv2.list_configuration_sets(Filter=wanted)["ConfigurationSets"] == ["news"]


def test_suppressed_addresses_are_listed_by_date(ses, sesv2):
    ses.set_account(production_access=True)

    def now():
        return datetime.fromtimestamp(ses.advance(0), timezone.utc)

    sesv2.put_suppressed_destination(EmailAddress="a@x.org", Reason="BOUNCE")
    ses.advance(3600)
    between = now()
    ses.advance(3600)
    sesv2.put_suppressed_destination(EmailAddress="b@x.org", Reason="BOUNCE")

    def listed(**dates):
        found = sesv2.list_suppressed_destinations(**dates)["SuppressedDestinationSummaries"]
        return [each["EmailAddress"] for each in found]

    assert listed(StartDate=between) == ["b@x.org"]
    assert listed(EndDate=between) == ["a@x.org"]
    assert listed() == ["a@x.org", "b@x.org"]


def test_names_with_a_slash_are_found(ses, sesv2):
    ses.verify("a/b@x.org")
    assert sesv2.get_email_identity(EmailIdentity="a/b@x.org")["VerifiedForSendingStatus"]
    sesv2.delete_email_identity(EmailIdentity="a/b@x.org")


def test_an_unknown_default_configuration_set_makes_no_identity(sesv2):
    with pytest.raises(
        sesv2.exceptions.NotFoundException, match=r"Configuration set <none> does not exist\."
    ):
        sesv2.create_email_identity(EmailIdentity="x.org", ConfigurationSetName="none")
    with pytest.raises(sesv2.exceptions.NotFoundException):
        sesv2.get_email_identity(EmailIdentity="x.org")
