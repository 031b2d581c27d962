"""Tenants: what they may use, whether they may send, their own suppression lists, and the control's short way."""

from __future__ import annotations

import json
import smtplib
import ssl
import urllib.error
import urllib.request

import pytest

from refused import refusal
from sesq.simulator import Simulator

PREFIX = "arn:aws:ses:us-east-1:000000000000:"
IDENTITY = f"{PREFIX}identity/example.com"
SET = f"{PREFIX}configuration-set/news"
TEMPLATE = f"{PREFIX}template/hello"


@pytest.fixture
def tenant(ses, sesv2):
    """`shop`, which owns nothing yet; a set and a template are there."""
    ses.set_account(max_send_rate=100, production_access=True)
    ses.advance(1)
    sesv2.create_configuration_set(ConfigurationSetName="news")
    sesv2.create_email_template(TemplateName="hello", TemplateContent={"Subject": "s", "Text": "t"})
    return sesv2.create_tenant(TenantName="shop", Tags=[{"Key": "k", "Value": "v"}])


def own(sesv2, *arns):
    for arn in arns:
        sesv2.create_tenant_resource_association(TenantName="shop", ResourceArn=arn)


def test_a_tenant_is_made_read_listed_and_deleted(sesv2, tenant):
    found = sesv2.get_tenant(TenantName="shop")["Tenant"]
    assert found["TenantId"] == tenant["TenantId"]
    assert found["TenantArn"] == f"{PREFIX}tenant/shop/{tenant['TenantId']}"
    assert (found["SendingStatus"], found["Tags"]) == ("ENABLED", [{"Key": "k", "Value": "v"}])
    assert refusal(sesv2.create_tenant, TenantName="shop") == (
        "AlreadyExistsException",
        "Tenant with name shop already exists in account 000000000000",
    )
    sesv2.create_tenant(TenantName="other")
    listed = sesv2.list_tenants(Filter={"TENANT_NAME_CONTAINS": "sh"})["Tenants"]
    assert [each["TenantName"] for each in listed] == ["shop"]
    sesv2.delete_tenant(TenantName="shop")
    assert refusal(sesv2.get_tenant, TenantName="shop") == (
        "NotFoundException",
        "The requested tenant <shop> does not exist.",
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (" ", "TenantName cannot be empty"),
        ("x" * 65, "TenantName cannot exceed 64 characters."),
        ("a b", "Invalid tenant name <a b>: only alphanumeric ASCII characters, '_', and '-' are allowed."),
    ],
)
def test_names_of_tenants(sesv2, name, text):
    assert refusal(sesv2.create_tenant, TenantName=name) == ("BadRequestException", text)


def test_a_send_needs_a_tenant_that_is_there(ses, sesv2, mail, tenant):
    assert refusal(sesv2.send_email, **mail(), TenantName="ghost") == (
        "NotFoundException",
        "Tenant ghost for AwsAccountId 000000000000 not found.",
    )
    assert ses.report()["refused"] == {"tenant": 1}


def test_a_tenant_that_is_no_name_is_no_request(ses, mail):
    body = json.dumps({**mail(), "TenantName": 17}).encode()
    request = urllib.request.Request(f"{ses.endpoint_url}/v2/email/outbound-emails", body, method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    refused.value.close()
    assert refused.value.headers["x-amzn-errortype"] == "SerializationException"


def test_a_send_uses_only_what_is_the_tenants(ses, sesv2, mail, tenant):
    # Given a message with a set, Then all that is missing is named
    wanted = {**mail(), "TenantName": "shop", "ConfigurationSetName": "news"}
    assert refusal(sesv2.send_email, **wanted) == (
        "AccessDeniedException",
        f"Tenant not associated with resources [{IDENTITY}, {SET}].",
    )
    own(sesv2, IDENTITY)
    assert refusal(sesv2.send_email, **wanted)[1] == f"Tenant not associated with resources [{SET}]."
    own(sesv2, SET)
    sesv2.send_email(**wanted)
    assert ses.messages()[-1]["tenant"] == "shop"
    # Given a stored template, Then it has to be the tenant's too
    template = {"TemplateName": "hello", "TemplateData": "{}"}
    wanted["Content"] = {"Template": template}
    assert refusal(sesv2.send_email, **wanted)[1] == f"Tenant not associated with resources [{TEMPLATE}]."
    own(sesv2, TEMPLATE)
    sesv2.send_email(**wanted)
    # Given an identity of the very address, Then that one counts
    sesv2.create_email_identity(EmailIdentity="shop@example.com")
    assert refusal(sesv2.send_email, **wanted)[1].endswith("identity/shop@example.com].")


def test_a_default_configuration_set_counts_too(ses, sesv2, mail, tenant):
    sesv2.create_email_identity(EmailIdentity="me@x.org", ConfigurationSetName="news")
    ses.verify("me@x.org")
    own(sesv2, f"{PREFIX}identity/me@x.org")
    code, text = refusal(sesv2.send_email, **mail(sender="me@x.org"), TenantName="shop")
    assert (code, text) == ("AccessDeniedException", f"Tenant not associated with resources [{SET}].")


def test_a_bulk_call_is_refused_as_a_whole(ses, sesv2, tenant):
    wanted = {
        "FromEmailAddress": "shop@example.com",
        "DefaultContent": {"Template": {"TemplateName": "hello", "TemplateData": "{}"}},
        "BulkEmailEntries": [{"Destination": {"ToAddresses": ["ada@example.org"]}}],
    }
    assert refusal(sesv2.send_bulk_email, **wanted, TenantName="ghost")[0] == "NotFoundException"
    assert refusal(sesv2.send_bulk_email, **wanted, TenantName="shop") == (
        "AccessDeniedException",
        f"Tenant not associated with resources [{IDENTITY}, {TEMPLATE}].",
    )
    own(sesv2, IDENTITY, TEMPLATE)
    answer = sesv2.send_bulk_email(**wanted, TenantName="shop")
    assert [each["Status"] for each in answer["BulkEmailEntryResults"]] == ["SUCCESS"]


def raw(*headers):
    return ("\r\n".join(("From: shop@example.com", "To: ada@example.org", *headers)) + "\r\n\r\nHi").encode()


def test_raw_mail_names_its_tenant_in_a_header(ses, sesv2, client_for, tenant):
    data = raw("X-SES-TENANT: shop")
    v1 = client_for("ses")
    assert refusal(v1.send_raw_email, RawMessage={"Data": data})[0] == "AccessDenied"
    assert refusal(sesv2.send_email, Content={"Raw": {"Data": data}})[0] == "AccessDeniedException"
    own(sesv2, IDENTITY)
    v1.send_raw_email(RawMessage={"Data": data})
    v1.close()
    # the call's tenant wins
    assert (
        refusal(sesv2.send_email, Content={"Raw": {"Data": data}}, TenantName="x")[0] == "NotFoundException"
    )


@pytest.mark.parametrize(
    "header",
    [
        "X-SES-LIST-MANAGEMENT-OPTIONS: contactListName=news",
        "X-SES-LIST-MANAGEMENT-OPTIONS: news; weekly",
        "X-SES-SOURCE-ARN: a",
        "X-SES-FROM-ARN: a",
    ],
)
def test_other_options_in_headers_are_checked(sesv2, header):
    code, _ = refusal(sesv2.send_email, Content={"Raw": {"Data": raw(header)}})
    assert code == "BadRequestException"


def test_other_options_in_headers_are_told_as_those_of_a_call(ses, sesv2):
    arn = "arn:aws:ses:us-east-1:111111111111:identity/partner.example"
    header = f"X-SES-LIST-MANAGEMENT-OPTIONS: news; topic=weekly\r\nX-SES-SOURCE-ARN: {arn}"
    sesv2.send_email(Content={"Raw": {"Data": raw(header)}})
    assert ses.messages()[-1]["options"] == {
        "SourceArn": arn,
        "ListManagementOptions": {"ContactListName": "news", "TopicName": "weekly"},
    }


def test_smtp_names_its_tenant_in_a_header():
    with Simulator(smtp_port=0, verified=["example.com"], production=True) as ses:
        ses.add_tenant("shop")
        with smtplib.SMTP("127.0.0.1", ses.smtp_port, timeout=10) as smtp:
            smtp.starttls(context=ssl.create_default_context(cadata=ses.certificate))
            smtp.login("user", "password")
            with pytest.raises(smtplib.SMTPDataError, match="Tenant ghost for AwsAccountId"):
                smtp.sendmail("shop@example.com", ["ada@example.org"], raw("X-SES-TENANT: ghost"))
            smtp.sendmail("shop@example.com", ["ada@example.org"], raw("X-SES-TENANT: shop"))
        assert ses.messages()[-1]["tenant"] == "shop"


def control(ses, method, name, **body):
    request = urllib.request.Request(
        f"{ses.endpoint_url}/_sim/tenants/{name}", json.dumps(body).encode(), method=method
    )
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.load(reply)


def test_the_control_makes_and_stops_a_tenant(ses, sesv2, mail):
    ses.set_account(max_send_rate=100)
    ses.advance(1)
    # Given a tenant of the control's, Then it may use everything
    assert control(ses, "POST", "shop")["resources"] == "all"
    sesv2.send_email(**mail(), TenantName="shop")
    # When it is disabled, Then it may not send, and others may
    assert control(ses, "PUT", "shop", sending_status="DISABLED")["sending_status"] == "DISABLED"
    assert sesv2.get_tenant(TenantName="shop")["Tenant"]["SendingStatus"] == "DISABLED"
    assert refusal(sesv2.send_email, **mail(), TenantName="shop")[0] == "SendingPausedException"
    sesv2.send_email(**mail())
    # When it is reinstated, Then it may
    ses.set_tenant("shop", sending_status="REINSTATED")
    sesv2.send_email(**mail(), TenantName="shop")
    with pytest.raises(ValueError, match="sending_status"):
        ses.set_tenant("shop", sending_status="ASLEEP")


@pytest.mark.parametrize(
    ("arn", "code", "text"),
    [
        ("nonsense", "BadRequestException", "Provided resource identifier is not an SES resource"),
        (
            "arn:aws:sns:us-east-1:000000000000:a",
            "BadRequestException",
            "Provided ARN is not in SES resource ARN format",
        ),
        (f"{PREFIX}tenant/a", "BadRequestException", "Unsupported resource type: tenant"),
        (IDENTITY.replace("us-east", "eu-west"), "BadRequestException", "must be in the same region"),
        (
            IDENTITY.replace("000000000000", "123456789012"),
            "BadRequestException",
            "must be in the same account",
        ),
        (f"{PREFIX}identity/no.org", "NotFoundException", "Identity <no.org> does not exist"),
        (f"{PREFIX}configuration-set/no", "NotFoundException", "Configuration set <no> does not exist."),
        (f"{PREFIX}template/no", "NotFoundException", "Template no does not exist."),
    ],
)
def test_only_what_is_there_can_be_associated(sesv2, tenant, arn, code, text):
    found = refusal(sesv2.create_tenant_resource_association, TenantName="shop", ResourceArn=arn)
    assert found[0] == code
    assert text in found[1]


def test_associations_are_listed_and_hold_the_resource(sesv2, tenant):
    own(sesv2, IDENTITY, SET)
    assert refusal(sesv2.create_tenant_resource_association, TenantName="shop", ResourceArn=SET) == (
        "AlreadyExistsException",
        f"Resources {SET} has already been associated with tenant shop",
    )
    listed = sesv2.list_tenant_resources(TenantName="shop")["TenantResources"]
    assert [(each["ResourceType"], each["ResourceArn"]) for each in listed] == [
        ("configuration-set", SET),
        ("identity", IDENTITY),
    ]
    only = sesv2.list_tenant_resources(TenantName="shop", Filter={"RESOURCE_TYPE": "identity"})
    assert [each["ResourceArn"] for each in only["TenantResources"]] == [IDENTITY]
    tenants = sesv2.list_resource_tenants(ResourceArn=SET)["ResourceTenants"]
    assert [each["TenantName"] for each in tenants] == ["shop"]
    code, text = refusal(sesv2.delete_configuration_set, ConfigurationSetName="news")
    assert code == "BadRequestException"
    assert text.startswith(f"Cannot delete <{SET}> because it has tenant associations.")
    for _ in range(2):  # what is not associated is no error
        sesv2.delete_tenant_resource_association(TenantName="shop", ResourceArn=SET)
    sesv2.delete_configuration_set(ConfigurationSetName="news")


def test_a_tenant_may_have_a_suppression_list_of_its_own(ses, sesv2, client_for, mail, tenant):
    own(sesv2, IDENTITY)
    attributes = {"SuppressedReasons": ["BOUNCE"], "SuppressionScope": "TENANT"}
    sesv2.put_tenant_suppression_attributes(TenantName="shop", **attributes)
    assert sesv2.get_tenant(TenantName="shop")["Tenant"]["SuppressionAttributes"] == attributes
    # Given an address on the tenant's list alone
    put = {"EmailAddress": "bob@x.org", "Reason": "BOUNCE"}
    sesv2.put_suppressed_destination(**put, TenantName="shop")
    assert sesv2.list_suppressed_destinations()["SuppressedDestinationSummaries"] == []
    found = sesv2.get_suppressed_destination(EmailAddress="bob@x.org", TenantName="shop")
    assert found["SuppressedDestination"]["TenantName"] == "shop"
    # When the tenant and another one write to it, Then only the tenant's mail bounces
    ses.set_events(queue="ses-events", wrapped=False, fates={"eve@x.org": "bounce"})
    sesv2.send_email(**mail("bob@x.org"), TenantName="shop")
    sesv2.send_email(**mail("bob@x.org"))
    sqs = client_for("sqs")
    url = sqs.get_queue_url(QueueName="ses-events")["QueueUrl"]
    bodies = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    sqs.close()
    told = [json.loads(each["Body"]) for each in bodies]
    assert [each["eventType"] for each in told] == ["Send", "Bounce", "Send", "Delivery"]
    assert told[1]["bounce"]["bounceSubType"] == "OnTenantSuppressionList"
    # When its mail bounces, Then the address is on its list, and not on the account's
    sesv2.send_email(**mail("eve@x.org"), TenantName="shop")
    listed = sesv2.list_suppressed_destinations(TenantName="shop")["SuppressedDestinationSummaries"]
    assert [each["EmailAddress"] for each in listed] == ["bob@x.org", "eve@x.org"]
    assert ses.account()["suppressed"] == []
    sesv2.delete_suppressed_destination(EmailAddress="bob@x.org", TenantName="shop")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"SuppressedReasons": ["BOUNCE"]},
            "SuppressedReasons cannot be specified without SuppressionScope.",
        ),
        ({"SuppressionScope": "TENANT"}, "SuppressionScope cannot be specified without SuppressedReasons."),
        (
            {"SuppressedReasons": ["BOUNCE", "BOUNCE"], "SuppressionScope": "TENANT"},
            "Each suppressed reason can only be specified at most once",
        ),
    ],
)
def test_suppression_attributes_go_together(sesv2, given, text):
    made = {"TenantName": "other", "SuppressionAttributes": given}
    assert refusal(sesv2.create_tenant, **made) == ("BadRequestException", text)
    assert sesv2.list_tenants()["Tenants"] == []
