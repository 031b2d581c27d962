"""ARNs in requests: what in one contradicts the account that is asked is refused, wherever it stands."""

from __future__ import annotations

import json

import pytest

from refused import refusal

PREFIX = "arn:aws:ses:us-east-1:000000000000:"
TEMPLATE = f"{PREFIX}template/hello"
CONTENT = {"Subject": "Hi {{name}}", "Text": "t"}

NOT_OF_SES = "Provided ARN is not in SES resource ARN format"
NO_RESOURCE = "Provided resource identifier is not an SES resource"


@pytest.fixture(autouse=True)
def stored(ses, sesv2):
    ses.set_account(max_send_rate=100, production_access=True)
    ses.advance(1)
    sesv2.create_email_template(TemplateName="hello", TemplateContent=CONTENT)
    sesv2.create_tenant(TenantName="shop")


def by_send(client, mail, arn, **more):
    template = {"TemplateArn": arn, "TemplateData": '{"name": "Ada"}', **more}
    return client.send_email, mail() | {"Content": {"Template": template}}


def by_bulk(client, _mail, arn, **more):
    return client.send_bulk_email, {
        "FromEmailAddress": "shop@example.com",
        "DefaultContent": {"Template": {"TemplateArn": arn, "TemplateData": '{"name": "Ada"}', **more}},
        "BulkEmailEntries": [{"Destination": {"ToAddresses": ["ada@example.org"]}}],
    }


def by_association(client, _mail, arn):
    return client.create_tenant_resource_association, {"TenantName": "shop", "ResourceArn": arn}


def by_dissociation(client, _mail, arn):
    return client.delete_tenant_resource_association, {"TenantName": "shop", "ResourceArn": arn}


def by_list(client, _mail, arn):
    return client.list_resource_tenants, {"ResourceArn": arn}


WAYS = (by_send, by_bulk, by_association, by_dissociation, by_list)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("arn", "text"),
    [
        ("hello", NO_RESOURCE),
        ("template/hello", NO_RESOURCE),
        (f"{PREFIX}template/", NO_RESOURCE),
        (f"{PREFIX}template", NO_RESOURCE),
        (TEMPLATE.replace("arn:aws:", "arn:garbage:"), NOT_OF_SES),
        (TEMPLATE.replace("arn:aws:", "arn:aws-cn:"), NOT_OF_SES),
        (TEMPLATE.replace(":ses:", ":sns:"), NOT_OF_SES),
        (f"{PREFIX}tenant/hello", "Unsupported resource type: tenant"),
        (TEMPLATE.replace("us-east-1", "eu-west-1"), "must be in the same region"),
        (TEMPLATE.replace("aws:ses:us-east-1", "aws-cn:ses:cn-north-1"), "must be in the same region"),
        (TEMPLATE.replace("000000000000", "123456789012"), "must be in the same account"),
    ],
)
def test_an_arn_that_contradicts_the_account_is_refused(sesv2, mail, way, arn, text):
    call, arguments = way(sesv2, mail, arn)
    code, told = refusal(call, **arguments)
    assert (code, text in told) == ("BadRequestException", True)


@pytest.mark.parametrize("way", [by_send, by_bulk])
@pytest.mark.parametrize("kind", ["identity", "configuration-set"])
def test_a_template_is_no_other_resource(sesv2, mail, way, kind):
    call, arguments = way(sesv2, mail, f"{PREFIX}{kind}/hello")
    assert refusal(call, **arguments) == ("BadRequestException", f"Unsupported resource type: {kind}")


def test_an_arn_names_its_template(ses, sesv2, mail):
    for way in (by_send, by_bulk):
        call, arguments = way(sesv2, mail, TEMPLATE)
        call(**arguments)
        assert (ses.messages()[-1]["template"], ses.messages()[-1]["subject"]) == ("hello", "Hi Ada")
    call, arguments = by_send(sesv2, mail, f"{PREFIX}template/none")
    assert refusal(call, **arguments)[0] == "NotFoundException"


def test_the_partition_is_the_regions(client_for, mail):
    chinese = client_for(region="cn-north-1")
    chinese.create_email_template(TemplateName="hello", TemplateContent=CONTENT)
    arn = TEMPLATE.replace("aws:ses:us-east-1", "aws-cn:ses:cn-north-1")
    by, arguments = by_send(chinese, mail, arn)
    by(**arguments)
    call, arguments = by_send(chinese, mail, arn.replace("aws-cn", "aws"))
    assert refusal(call, **arguments) == ("BadRequestException", NOT_OF_SES)
    chinese.close()


def test_events_tell_arns_of_the_regions_partition(ses, client_for, mail):
    ses.set_events(region="cn-north-1", queue="ses-events")
    chinese, sqs = (client_for(service, region="cn-north-1") for service in ("sesv2", "sqs"))
    chinese.send_email(**mail())
    url = sqs.get_queue_url(QueueName="ses-events")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    (first, *_) = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    for client in (chinese, sqs):
        client.close()
    envelope = json.loads(first["Body"])
    source = json.loads(envelope["Message"])["mail"]["sourceArn"]
    found = [each.rpartition(":")[0] for each in (source, envelope["TopicArn"], arn)]
    assert found == [f"arn:aws-cn:{each}:cn-north-1:000000000000" for each in ("ses", "sns", "sqs")]


@pytest.mark.parametrize("way", [by_send, by_bulk])
def test_name_and_arn_name_the_same_template(ses, sesv2, mail, way):
    sesv2.create_email_template(TemplateName="other", TemplateContent=CONTENT)
    call, arguments = way(sesv2, mail, TEMPLATE, TemplateName="other")
    assert refusal(call, **arguments) == (
        "BadRequestException",
        "TemplateName and TemplateArn name different templates.",
    )
    call, arguments = way(sesv2, mail, TEMPLATE, TemplateName="hello")
    call(**arguments)
    assert ses.report()["accepted"] == 1


@pytest.mark.parametrize("way", [by_send, by_bulk])
def test_content_beside_a_stored_template_is_not_imitated(sesv2, mail, way):
    call, arguments = way(sesv2, mail, TEMPLATE, TemplateContent=CONTENT)
    code, text = refusal(call, **arguments)
    assert code == "BadRequestException"
    assert text.startswith("TemplateContent: this simulator does not imitate")


def test_an_event_destination_is_of_the_regions_partition(sesv2):
    sesv2.create_configuration_set(ConfigurationSetName="news")
    topic = {"TopicArn": "arn:aws-cn:sns:us-east-1:123456789012:events"}
    wanted = {"Enabled": True, "MatchingEventTypes": ["SEND"], "SnsDestination": topic}
    named = {"ConfigurationSetName": "news", "EventDestinationName": "topic"}
    code, text = refusal(sesv2.create_configuration_set_event_destination, **named, EventDestination=wanted)
    assert (code, text) == ("BadRequestException", f"SNS topic <{topic['TopicArn']}> not found.")


def test_an_associated_domain_knows_no_case(ses, sesv2, mail):
    # Given a domain that was associated by another spelling of its name
    wanted = {"TenantName": "shop", "ResourceArn": f"{PREFIX}identity/Example.COM"}
    sesv2.create_tenant_resource_association(**wanted)
    # Then the tenant sends with it, and lists it as it is called
    sesv2.send_email(**mail(), TenantName="shop")
    own = f"{PREFIX}identity/example.com"
    listed = sesv2.list_tenant_resources(TenantName="shop")["TenantResources"]
    assert [each["ResourceArn"] for each in listed] == [own]
    assert sesv2.list_resource_tenants(ResourceArn=own)["ResourceTenants"]
    # And it cannot be deleted, nor associated twice, by any spelling
    assert refusal(sesv2.delete_email_identity, EmailIdentity="EXAMPLE.com")[0] == "BadRequestException"
    assert refusal(sesv2.create_tenant_resource_association, TenantName="shop", ResourceArn=own)[0] == (
        "AlreadyExistsException"
    )
    sesv2.delete_tenant_resource_association(**wanted)
    sesv2.delete_email_identity(EmailIdentity="EXAMPLE.com")


def test_v1_deletes_no_associated_identity_by_another_spelling(sesv2, client_for):
    sesv2.create_tenant_resource_association(TenantName="shop", ResourceArn=f"{PREFIX}identity/example.com")
    v1 = client_for("ses")
    assert "tenant associations" in refusal(v1.delete_identity, Identity="EXAMPLE.com")[1]
    v1.close()


@pytest.mark.parametrize(
    ("operation", "key", "value"),
    [
        ("list_tenant_resources", "RESOURCE_TYPE", "EMAIL_IDENTITY"),
        ("list_tenants", "SENDING_STATUS", "enabled"),
        ("list_email_identities", "IDENTITY_TYPE", "ADDRESS"),
        ("list_email_identities", "VERIFICATION_STATUS", "VERIFIED"),
    ],
)
def test_a_filter_by_what_is_no_value_finds_not_nothing(sesv2, operation, key, value):
    named = {"TenantName": "shop"} if operation == "list_tenant_resources" else {}
    code, text = refusal(getattr(sesv2, operation), Filter={key: value}, **named)
    assert (code, text) == (
        "BadRequestException",
        f"{key}: this simulator does not imitate the value '{value}' of it.",
    )
