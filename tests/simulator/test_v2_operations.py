"""The rest of SESv2 through the real botocore: identities, templates, bulk, configuration sets, suppression."""

from __future__ import annotations

import json
import urllib.request

import pytest

from refused import refusal


def test_identity_from_pending_to_verified_or_failed(ses, sesv2, mail):
    # Given an address asked for
    assert sesv2.create_email_identity(EmailIdentity="bob@x.org")["VerifiedForSendingStatus"] is False
    with pytest.raises(sesv2.exceptions.AlreadyExistsException):
        sesv2.create_email_identity(EmailIdentity="bob@x.org")
    assert sesv2.get_email_identity(EmailIdentity="bob@x.org")["VerificationStatus"] == "PENDING"
    with pytest.raises(sesv2.exceptions.MessageRejected):
        sesv2.send_email(**mail("bob@x.org"))
    # When the link is not followed for 24 hours, Then it has failed, and may be asked for again
    ses.advance(86400)
    assert sesv2.get_email_identity(EmailIdentity="bob@x.org")["VerificationStatus"] == "FAILED"
    sesv2.create_email_identity(EmailIdentity="bob@x.org")
    # When it is followed, Then mail may go
    ses.verify("bob@x.org")
    sesv2.send_email(**mail("bob@x.org"))
    # When the identity is deleted, Then it may not
    sesv2.delete_email_identity(EmailIdentity="bob@x.org")
    with pytest.raises(sesv2.exceptions.NotFoundException):
        sesv2.get_email_identity(EmailIdentity="bob@x.org")
    with pytest.raises(sesv2.exceptions.MessageRejected):
        sesv2.send_email(**mail("bob@x.org"))


def test_both_forms_of_the_list_page_through_all(ses, sesv2):
    names = sorted(["ada@example.org", "example.com", *(f"u{number}@x.org" for number in range(5))])
    ses.verify(*names)
    by_post, token = [], {}
    while True:
        answer = sesv2.list_email_identities(PageSize=3, **token)
        by_post += [each["IdentityName"] for each in answer["EmailIdentities"]]
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    with urllib.request.urlopen(f"{ses.endpoint_url}/v2/email/identities?PageSize=7", timeout=10) as reply:
        by_get = [each["IdentityName"] for each in json.load(reply)["EmailIdentities"]]
    assert by_post == by_get == names


def template_mail(mail, **template):
    return mail() | {"Content": {"Template": template}}


def test_templates_are_filled_in(ses, sesv2, mail):
    content = {"Subject": "Hi {{name}}", "Text": "{{order.number}}: {{{name}}}"}
    sesv2.create_email_template(TemplateName="hello", TemplateContent=content)
    with pytest.raises(sesv2.exceptions.AlreadyExistsException):
        sesv2.create_email_template(TemplateName="hello", TemplateContent=content)
    data = json.dumps({"name": "Ada", "order": {"number": 7}})
    sesv2.send_email(**template_mail(mail, TemplateName="hello", TemplateData=data))
    assert ses.messages()[0]["subject"] == "Hi Ada"
    rendered = sesv2.test_render_email_template(TemplateName="hello", TemplateData=data)["RenderedTemplate"]
    assert rendered.endswith("7: Ada")
    sesv2.update_email_template(TemplateName="hello", TemplateContent={"Subject": "Bye"})
    assert sesv2.get_email_template(TemplateName="hello")["TemplateContent"] == {"Subject": "Bye"}
    assert [each["TemplateName"] for each in sesv2.list_email_templates()["TemplatesMetadata"]] == ["hello"]
    sesv2.delete_email_template(TemplateName="hello")
    ses.advance(1)
    with pytest.raises(sesv2.exceptions.NotFoundException, match="Template hello does not exist"):
        sesv2.send_email(**template_mail(mail, TemplateName="hello", TemplateData=data))


def test_data_that_does_not_render_is_accepted_all_the_same(ses, sesv2, mail):
    inline = {"Subject": "Hi {{name}}", "Text": "x"}
    sesv2.send_email(**template_mail(mail, TemplateContent=inline, TemplateData="{}"))
    message = ses.messages()[0]
    assert message["accepted"]
    assert message["rendering_error"] == "Attribute 'name' is not present in the rendering data."


def test_bulk_has_a_status_an_entry(ses, sesv2):
    ses.set_account(max_24_hour_send=3, burst=10)
    ses.advance(10)
    sesv2.create_email_template(TemplateName="t", TemplateContent={"Subject": "{{a}} {{b}}", "Text": "x"})

    def entry(address, **data):
        replaced = {"ReplacementTemplate": {"ReplacementTemplateData": json.dumps(data)}}
        return {"Destination": {"ToAddresses": [address]}, "ReplacementEmailContent": replaced}

    answer = sesv2.send_bulk_email(
        FromEmailAddress="shop@example.com",
        DefaultContent={"Template": {"TemplateName": "t", "TemplateData": '{"a": "1", "b": "2"}'}},
        DefaultEmailTags=[{"Name": "batch", "Value": "7"}],
        BulkEmailEntries=[
            entry("ada@example.org"),
            entry("bob@x.org"),
            entry("nonsense"),
            entry("ada@example.org", b="3"),
            entry("success@simulator.amazonses.com"),
            entry("ada@example.org"),
            entry("ada@example.org"),
        ],
    )
    results = answer["BulkEmailEntryResults"]
    assert [result["Status"] for result in results] == [
        "SUCCESS",
        "MESSAGE_REJECTED",
        "INVALID_PARAMETER",
        "SUCCESS",
        "SUCCESS",
        "SUCCESS",
        "ACCOUNT_DAILY_QUOTA_EXCEEDED",
    ]
    accepted = [message for message in ses.messages() if message["accepted"]]
    assert [message["subject"] for message in accepted[:2]] == ["1 2", "1 3"]
    assert accepted[0]["tags"] == {"batch": "7"}
    assert [result["MessageId"] for result in results if "MessageId" in result] == [
        each["id"] for each in accepted
    ]


def test_headers_of_an_entry_replace_those_of_their_names(ses, sesv2):
    ses.set_events(queue="ses-events")
    headers = [{"Name": "List-Id", "Value": "all"}, {"Name": "X-Kept", "Value": "1"}]
    template = {"TemplateContent": {"Subject": "s", "Text": "t"}, "TemplateData": "{}", "Headers": headers}
    replacement = [{"Name": "list-id", "Value": "ada"}, {"Name": "X-New", "Value": "2"}]
    entry = {"Destination": {"ToAddresses": ["ada@example.org"]}, "ReplacementHeaders": replacement}
    sesv2.send_bulk_email(
        FromEmailAddress="shop@example.com", DefaultContent={"Template": template}, BulkEmailEntries=[entry]
    )
    (message,) = ses.messages(content=True)
    assert message["content"]["Template"]["Headers"] == [headers[1], *replacement]


def test_bulk_is_rated_by_entry(ses, sesv2):
    entries = [{"Destination": {"ToAddresses": ["ada@example.org"]}}] * 2
    template = {"TemplateContent": {"Subject": "s", "Text": "t"}, "TemplateData": "{}"}
    answer = sesv2.send_bulk_email(
        FromEmailAddress="shop@example.com", DefaultContent={"Template": template}, BulkEmailEntries=entries
    )
    assert [each["Status"] for each in answer["BulkEmailEntryResults"]] == ["SUCCESS", "ACCOUNT_THROTTLED"]


def test_configuration_sets(ses, sesv2, mail):
    sesv2.create_configuration_set(ConfigurationSetName="news")
    with pytest.raises(sesv2.exceptions.AlreadyExistsException):
        sesv2.create_configuration_set(ConfigurationSetName="news")
    with pytest.raises(sesv2.exceptions.BadRequestException):
        sesv2.create_configuration_set(ConfigurationSetName="no spaces")
    sesv2.send_email(**mail(), ConfigurationSetName="news")
    sesv2.put_configuration_set_sending_options(ConfigurationSetName="news", SendingEnabled=False)
    assert sesv2.get_configuration_set(ConfigurationSetName="news")["SendingOptions"] == {
        "SendingEnabled": False
    }
    assert sesv2.list_configuration_sets()["ConfigurationSets"] == ["news"]
    destination = {
        "Enabled": True,
        "MatchingEventTypes": ["SEND"],
        "SnsDestination": {"TopicArn": "arn:aws:sns:us-east-1:0:t"},
    }
    named = {"ConfigurationSetName": "news", "EventDestinationName": "topic"}
    sesv2.create_configuration_set_event_destination(**named, EventDestination=destination)
    found = sesv2.get_configuration_set_event_destinations(ConfigurationSetName="news")["EventDestinations"]
    assert found == [destination | {"Name": "topic"}]
    sesv2.delete_configuration_set_event_destination(**named)
    with pytest.raises(sesv2.exceptions.NotFoundException):
        sesv2.delete_configuration_set_event_destination(**named)
    sesv2.delete_configuration_set(ConfigurationSetName="news")
    with pytest.raises(sesv2.exceptions.NotFoundException):
        sesv2.get_configuration_set(ConfigurationSetName="news")


def test_a_configuration_set_has_ten_destinations_at_most(sesv2):
    sesv2.create_configuration_set(ConfigurationSetName="news")
    topic = {"MatchingEventTypes": ["SEND"], "SnsDestination": {"TopicArn": "arn:aws:sns:us-east-1:0:t"}}

    def create(name):
        sesv2.create_configuration_set_event_destination(
            ConfigurationSetName="news", EventDestinationName=name, EventDestination=topic
        )

    for number in range(10):
        create(f"topic{number}")
    with pytest.raises(sesv2.exceptions.LimitExceededException):
        create("one-more")


def test_the_last_page_names_no_next_one(ses, sesv2):
    ses.verify("x.org", "y.org")
    known = len(sesv2.list_email_identities()["EmailIdentities"])
    exact = sesv2.list_email_identities(PageSize=known)
    assert (len(exact["EmailIdentities"]), "NextToken" in exact) == (known, False)
    short = sesv2.list_email_identities(PageSize=known - 1)
    assert (len(short["EmailIdentities"]), "NextToken" in short) == (known - 1, True)


def test_default_configuration_set_that_is_gone_is_a_bad_request(sesv2, ses, mail):
    sesv2.create_configuration_set(ConfigurationSetName="news")
    sesv2.create_email_identity(EmailIdentity="me@x.org", ConfigurationSetName="news")
    ses.verify("me@x.org")
    sesv2.send_email(**mail(sender="me@x.org"))
    assert ses.messages()[0]["configuration_set"] == "news"
    sesv2.delete_configuration_set(ConfigurationSetName="news")
    with pytest.raises(sesv2.exceptions.BadRequestException):
        sesv2.send_email(**mail(sender="me@x.org"))


def test_suppression_list_is_closed_in_the_sandbox_and_lower_cases_domains(ses, sesv2):
    put = {"EmailAddress": "Bob@X.org", "Reason": "BOUNCE"}
    with pytest.raises(sesv2.exceptions.BadRequestException, match="sandbox"):
        sesv2.put_suppressed_destination(**put)
    ses.set_account(production_access=True)
    sesv2.put_suppressed_destination(**put)
    found = sesv2.list_suppressed_destinations(Reasons=["BOUNCE"])["SuppressedDestinationSummaries"]
    assert [each["EmailAddress"] for each in found] == ["Bob@x.org"]
    assert sesv2.list_suppressed_destinations(Reasons=["COMPLAINT"])["SuppressedDestinationSummaries"] == []
    assert (
        sesv2.get_suppressed_destination(EmailAddress="Bob@x.org")["SuppressedDestination"]["Reason"]
        == "BOUNCE"
    )
    sesv2.delete_suppressed_destination(EmailAddress="Bob@x.org")
    with pytest.raises(sesv2.exceptions.NotFoundException):
        sesv2.get_suppressed_destination(EmailAddress="Bob@x.org")
    sesv2.put_account_suppression_attributes(SuppressedReasons=["COMPLAINT"])
    assert sesv2.get_account()["SuppressionAttributes"] == {"SuppressedReasons": ["COMPLAINT"]}


NOT_IMITATED = "Headers: this simulator does not imitate what {} does there."
NOT_ALLOWED = "Header '{}' is not allowed as a custom header."


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        *((name, NOT_IMITATED) for name in ("X-SES-TENANT", "x-ses-configuration-set", "Sender")),
        *((name, NOT_ALLOWED) for name in ("From", "Return-Path", "To", "Bcc", "Subject", "content-type")),
    ],
)
def test_a_header_that_a_member_stands_for_is_no_header_of_ones_own(sesv2, mail, name, refused):
    wanted = mail("ada@example.org")
    wanted["Content"]["Simple"]["Headers"] = [{"Name": name, "Value": "secret@hidden.org"}]
    code, text = refusal(sesv2.send_email, **wanted)
    assert code == "BadRequestException"
    assert text == refused.format(name)
    entry = {"Destination": {"ToAddresses": ["ada@example.org"]}}
    entry["ReplacementHeaders"] = wanted["Content"]["Simple"]["Headers"]
    template = {"TemplateContent": {"Subject": "s", "Text": "t"}, "TemplateData": "{}"}
    answer = sesv2.send_bulk_email(
        FromEmailAddress=wanted["FromEmailAddress"],
        DefaultContent={"Template": template},
        BulkEmailEntries=[entry],
    )
    (result,) = answer["BulkEmailEntryResults"]
    assert (result["Status"], result["Error"]) == ("INVALID_PARAMETER", refused.format(name))


def test_a_space_before_the_colon_hides_no_header_after_it(sesv2):
    raw = b"X-A : 1\r\nFrom: shop@example.com\r\nTo: ada@example.org\r\nX-SES-TENANT: nobody\r\n\r\nHello\r\n"
    code, text = refusal(sesv2.send_email, Content={"Raw": {"Data": raw}})
    assert (code, "nobody" in text) == ("NotFoundException", True)
    hidden = raw.replace(b"X-SES-TENANT: nobody", b"Bcc: eve@example.org")
    code, text = refusal(sesv2.send_email, Content={"Raw": {"Data": hidden}})
    assert (code, "eve@example.org" in text) == ("MessageRejected", True)
