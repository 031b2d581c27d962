"""Every refused send is in the record: single and bulk, whatever stopped it, once."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from refused import refusal
from sesq.simulator import Simulator


def bulk(*to, **more):
    return {
        "FromEmailAddress": "shop@example.com",
        "DefaultContent": {
            "Template": {"TemplateContent": {"Subject": "s", "Text": "t"}, "TemplateData": "{}"}
        },
        "BulkEmailEntries": [{"Destination": {"ToAddresses": [each]}} for each in to or ("ada@example.org",)],
        **more,
    }


def recorded(ses):
    return [(each["accepted"], each["kind"]) for each in ses.messages()]


def post(ses, path, data):
    request = urllib.request.Request(ses.endpoint_url + path, data, method="POST")
    try:
        urllib.request.urlopen(request, timeout=10).close()
    except urllib.error.HTTPError as refused:
        refused.close()


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"TenantName": "ghost"}, "tenant"),
        ({"FromEmailAddress": ""}, "bad_request"),
        ({"BulkEmailEntries": []}, "bad_request"),
        ({"DefaultContent": {}}, "bad_request"),
        ({"EndpointId": "a.b"}, "not_imitated"),
        ({"BulkEmailEntries": [{}]}, "validation"),
        ({"ConfigurationSetName": 7}, "unreadable"),
        ({"DefaultContent": {"Template": {"TemplateArn": "x"}}}, "bad_request"),
    ],
)
def test_a_bulk_call_that_is_refused_as_a_whole_is_in_the_record(ses, more, kind):
    post(ses, "/v2/email/outbound-bulk-emails", json.dumps(bulk() | more).encode())
    assert recorded(ses) == [(False, kind)]
    assert ses.report()["refused"] == {kind: 1}


def test_the_record_tells_what_the_entries_of_a_refused_call_share(ses, sesv2):
    sesv2.create_email_template(TemplateName="hello", TemplateContent={"Subject": "s"})
    content = {"Template": {"TemplateName": "hello", "TemplateData": "{}"}}
    refusal(sesv2.send_bulk_email, **bulk(TenantName="ghost", DefaultContent=content))
    (message,) = ses.messages()
    assert (message["from"], message["tenant"], message["template"]) == ("shop@example.com", "ghost", "hello")
    assert message["error"] == "Tenant ghost for AwsAccountId 000000000000 not found."


def test_a_bulk_call_beyond_one_a_second_is_in_the_record(ses, sesv2):
    ses.set_account(control_rate=1, max_send_rate=10)
    ses.advance(1)
    sesv2.send_bulk_email(**bulk())
    assert refusal(sesv2.send_bulk_email, **bulk())[0] == "TooManyRequestsException"
    assert recorded(ses) == [(True, None), (False, "control_throttle")]
    # but not what sends nothing
    sesv2.get_account()
    assert refusal(sesv2.get_account)[0] == "TooManyRequestsException"
    assert len(ses.messages()) == 2


def test_an_entry_that_cannot_be_read_is_in_the_record(ses, sesv2):
    ses.set_account(max_send_rate=10)
    ses.advance(1)
    entries = bulk("ada@example.org", "ada@example.org")["BulkEmailEntries"]
    entries[0]["ReplacementEmailContent"] = {"ReplacementTemplate": {"ReplacementTemplateData": "{"}}
    answer = sesv2.send_bulk_email(**bulk(BulkEmailEntries=entries))
    assert [each["Status"] for each in answer["BulkEmailEntryResults"]] == ["INVALID_PARAMETER", "SUCCESS"]
    assert recorded(ses) == [(False, "bad_request"), (True, None)]


def test_a_fault_that_stops_a_bulk_call_is_in_the_record_once(ses, sesv2):
    ses.set_faults(unavailable={"count": 1})
    assert refusal(sesv2.send_bulk_email, **bulk())[0] == "ServiceUnavailable"
    assert recorded(ses) == [(False, "unavailable")]


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"Content": 7}'])
def test_a_send_that_cannot_be_read_is_in_the_record(ses, data):
    post(ses, "/v2/email/outbound-emails", data)
    assert recorded(ses) == [(False, "unreadable")]


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("SendEmail", "validation"),
        ("SendRawEmail", "validation"),
        ("SendTemplatedEmail", "unknown_operation"),
        ("SendBulkTemplatedEmail", "unknown_operation"),
    ],
)
def test_a_send_of_v1_is_in_the_record_as_such(ses, action, kind):
    post(ses, "/", f"Action={action}&Version=2010-12-01".encode())
    (message,) = ses.messages()
    assert (message["api"], message["accepted"], message["kind"]) == ("v1", False, kind)
    post(ses, "/", b"Action=GetNothing")
    assert len(ses.messages()) == 1


def test_a_refused_call_takes_rate_where_refused_calls_do(ses, sesv2):
    ses.set_account(failed_calls_use_rate=True)
    assert refusal(sesv2.send_bulk_email, **bulk(TenantName="ghost"))[0] == "NotFoundException"
    assert ses.account()["tokens"] == 0


@pytest.mark.parametrize("reply_to", ["nonsense", "", "a b@x.org", "Ada <ada@x.org"])
def test_reply_to_addresses_are_checked_in_each_kind_of_content(ses, sesv2, mail, reply_to):
    raw = {"Raw": {"Data": b"From: shop@example.com\r\nTo: ada@example.org\r\n\r\nHi"}}
    template = {"Template": {"TemplateContent": {"Subject": "s"}, "TemplateData": "{}"}}
    for content in (mail()["Content"], raw, template):
        wanted = mail() | {"Content": content, "ReplyToAddresses": ["ada@example.org", reply_to]}
        assert refusal(sesv2.send_email, **wanted)[0] == "BadRequestException"
    answer = sesv2.send_bulk_email(**bulk(ReplyToAddresses=[reply_to]))
    assert answer["BulkEmailEntryResults"][0]["Status"] == "INVALID_PARAMETER"
    assert ses.report()["refused"] == {"bad_request": 4}
    sesv2.send_email(**mail() | {"Content": raw, "ReplyToAddresses": ["Ada <ada@example.org>"]})


@pytest.mark.parametrize("member", ["ConfigurationSetName", "FeedbackForwardingEmailAddress"])
def test_an_empty_name_is_not_a_missing_one(ses, sesv2, mail, member):
    told = f"{member}: this simulator does not imitate an empty one."
    assert refusal(sesv2.send_email, **mail(), **{member: ""}) == ("BadRequestException", told)
    assert ses.report()["accepted"] == 0


def test_an_empty_configuration_set_is_refused_elsewhere_too(sesv2, client_for):
    told = "ConfigurationSetName: this simulator does not imitate an empty one."
    wanted = {"EmailIdentity": "x.org", "ConfigurationSetName": ""}
    assert refusal(sesv2.create_email_identity, **wanted) == ("BadRequestException", told)
    v1 = client_for("ses")
    raw = {"RawMessage": {"Data": b"From: shop@example.com\r\nTo: ada@example.org\r\n\r\nHi"}}
    assert refusal(v1.send_raw_email, **raw, ConfigurationSetName="") == ("InvalidParameterValue", told)
    v1.close()
    assert refusal(sesv2.send_bulk_email, **bulk(ConfigurationSetName="")) == ("BadRequestException", told)


@pytest.mark.parametrize("service", ["ses", "sesv2"])
def test_a_wrong_signature_is_told_in_the_words_of_the_api(service):
    options = Config(retries={"total_max_attempts": 1})
    with Simulator(keys={"AKIA1": "right"}) as ses:
        client = boto3.client(
            service,
            endpoint_url=ses.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id="AKIA1",
            aws_secret_access_key="wrong",
            config=options,
        )
        with pytest.raises(ClientError) as refused:
            client.get_send_quota() if service == "ses" else client.get_account()
        client.close()
    assert refused.value.response["Error"]["Code"] == "SignatureDoesNotMatch"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
