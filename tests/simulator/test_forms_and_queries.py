"""Requests as no SDK writes them: names, numbers and places that mean nothing are refused, and never swallowed."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request

import botocore.session
import pytest

from sesq.simulator.v2.operations import OPERATIONS

SEND = {
    "Action": "SendEmail",
    "Version": "2010-12-01",
    "Source": "shop@example.com",
    "Destination.ToAddresses.member.1": "ada@example.org",
    "Message.Subject.Data": "Hi",
    "Message.Body.Text.Data": "Hello",
}


def encoded(fields):
    pairs = fields.items() if isinstance(fields, dict) else fields
    return "&".join(f"{name}={value}" for name, value in pairs).encode()


def v1_answer(ses, fields, query=""):
    """Status, and the code and the text of a refusal."""
    request = urllib.request.Request(f"{ses.endpoint_url}/{query}", encoded(fields) or None)
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, "", reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            xml = error.read().decode()
        code, text = (re.search(f"<{name}>(.*?)</{name}>", xml) for name in ("Code", "Message"))
        return error.code, code[1], text[1]


def test_the_form_itself_is_taken(ses):
    assert v1_answer(ses, SEND)[0] == 200
    without_version = {name: value for name, value in SEND.items() if name != "Version"}
    ses.advance(1)
    assert v1_answer(ses, without_version)[0] == 200
    ses.advance(1)
    assert v1_answer(ses, {}, f"?{encoded(SEND).decode()}")[0] == 200
    ses.advance(1)
    empty = {"ReplyToAddresses": "", "Destination.CcAddresses": ""}  # as SDKs write empty lists
    assert v1_answer(ses, SEND | empty)[0] == 200


@pytest.mark.parametrize(
    "more",
    [
        {"Nonsense": "x"},
        {"Nonsense": ""},
        {"Nonsense.member.1": "x"},
        {"Message.Nonsense.Data": "x"},
        {"Message.Subject.Dat": "x"},
        {".": "x"},
        {"X-Amz-Nonsense": "x"},
        {"Destination.CcAddresses": "bob@x.org"},
        {"Destination.CcAddresses.member": "bob@x.org"},
        {"Destination.CcAddresses.1": "bob@x.org"},
        {"Destination.CcAddresses.item.1": "bob@x.org"},
        {"Destination.CcAddresses.member.0": "bob@x.org"},
        {"Destination.CcAddresses.member.01": "bob@x.org"},
        {"Destination.CcAddresses.member.2": "bob@x.org"},
        {"Destination.CcAddresses.member.x": "bob@x.org"},
        {"Destination.ToAddresses.member.3": "bob@x.org"},
        {"Destination.ToAddresses.item.1": "bob@x.org"},
        {"ReplyToAddresses.member.2": "bob@x.org"},
        {"Tags.member.2.Name": "a", "Tags.member.2.Value": "b"},
        {"Tags.member.1.Name": "a", "Tags.member.1.Value": "b", "Tags.member.1.Nonsense": "c"},
    ],
)
def test_names_that_mean_nothing_are_not_imitated(ses, more):
    status, code, text = v1_answer(ses, SEND | more)
    assert (status, code, "does not imitate" in text) == (400, "InvalidParameterValue", True)
    assert ses.report()["refused"] == {"not_imitated": 1}
    assert ses.messages()[-1]["api"] == "v1"


@pytest.mark.parametrize(
    "more",
    [
        [("Source.Nonsense", "x")],
        [("Message.Subject", "x")],
        [("Destination.ToAddresses", "")],
        [("Destination.ToAddresses.member", "x")],
        [("Destination.ToAddresses.member.1.x", "x")],
        [("Tags.member.1", "")],
        [("ReturnPath.member.1", "x")],
        [("ReturnPath", "%ff")],
    ],
)
def test_a_value_that_is_a_structure_as_well_is_unreadable(ses, more):
    for fields in ([*SEND.items(), *more], [*more, *SEND.items()]):
        assert v1_answer(ses, fields)[:2] == (400, "MalformedInput")
    assert ses.report()["refused"] == {"unreadable": 2}


def test_what_is_given_twice_is_not_imitated(ses):
    fields = [*SEND.items(), ("Source", "ada@example.org")]
    assert "Source: this simulator does not imitate it given twice." in v1_answer(ses, fields)[2]
    assert "does not imitate" in v1_answer(ses, SEND, "?Source=ada@example.org")[2]
    assert ses.report()["refused"] == {"not_imitated": 2}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_a_form_comes_by_post(ses, method):
    request = urllib.request.Request(f"{ses.endpoint_url}/", encoded(SEND), method=method)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code == 400
    refused.value.close()
    assert ses.report()["refused"] == {"not_imitated": 1}


def test_another_version_has_no_operations(ses):
    assert v1_answer(ses, SEND | {"Version": "2011-01-01"}) == (
        400,
        "InvalidAction",
        "Could not find operation SendEmail for version 2011-01-01",
    )


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"Action": "ListIdentities", "MaxItems": ""}, "MalformedInput"),
        ({"Action": "ListIdentities", "MaxItems": "1.5"}, "MalformedInput"),
        ({"Action": "ListIdentities", "IdentityType": ""}, "ValidationError"),
        ({"Action": "UpdateAccountSendingEnabled", "Enabled": ""}, "MalformedInput"),
        ({"Action": "GetIdentityVerificationAttributes", "Identities": "x.org"}, "InvalidParameterValue"),
    ],
)
def test_values_of_other_actions(ses, fields, code):
    assert v1_answer(ses, fields)[1] == code


def v2_answer(ses, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(ses.endpoint_url + path, data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, "", ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["x-amzn-errortype"], json.load(error)["message"]


NOT_IMITATED = (400, "BadRequestException")
SUPPRESSED = "/v2/email/suppression/addresses"


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (f"{SUPPRESSED}?Reason=", NOT_IMITATED),
        (f"{SUPPRESSED}?Reason=BOUNCE&Reason=", NOT_IMITATED),
        (f"{SUPPRESSED}?TenantName=", NOT_IMITATED),
        (f"{SUPPRESSED}?Nonsense=", NOT_IMITATED),
        (f"{SUPPRESSED}?Nonsense", NOT_IMITATED),
        (f"{SUPPRESSED}?Reasons=BOUNCE", NOT_IMITATED),
        (f"{SUPPRESSED}?PageSize=1&PageSize=2", NOT_IMITATED),
        (f"{SUPPRESSED}?PageSize=", (400, "SerializationException")),
        (f"{SUPPRESSED}?StartDate=", (400, "SerializationException")),
        (f"{SUPPRESSED}?StartDate=nan", (400, "SerializationException")),
        (f"{SUPPRESSED}?Reason=BOUNCE&Reason=COMPLAINT&PageSize=1&NextToken=", (200, "")),
        ("/v2/email/identities/example.com?EmailIdentity=ada@example.org", NOT_IMITATED),
        ("/v2/email/identities/example.com", (200, "")),
    ],
)
def test_queries(ses, path, answer):
    assert v2_answer(ses, "GET", path)[:2] == answer


@pytest.mark.parametrize(
    ("method", "path", "body", "answer"),
    [
        ("GET", "/v2/email/identities/example.com", {"EmailIdentity": "x.org"}, NOT_IMITATED),
        ("GET", SUPPRESSED, {"PageSize": 1}, NOT_IMITATED),
        ("GET", SUPPRESSED, {}, (200, "")),
        ("DELETE", "/v2/email/identities/example.com", {"EmailIdentity": "x.org"}, NOT_IMITATED),
        ("PUT", "/v2/email/account/sending?SendingEnabled=true", {}, NOT_IMITATED),
        ("POST", "/v2/email/list-identities?PageSize=1", {}, NOT_IMITATED),
        ("POST", "/v2/email/list-identities", {"PageSize": 1.5}, (400, "SerializationException")),
        ("POST", "/v2/email/list-identities", {"Nonsense": None}, NOT_IMITATED),
        ("POST", "/v2/email/list-identities", {"NextToken": None}, (200, "")),
    ],
)
def test_members_where_they_do_not_belong(ses, method, path, body, answer):
    assert v2_answer(ses, method, path, body)[:2] == answer


@pytest.mark.parametrize("path", ["/v2/email/identities", "/v2/email/templates", SUPPRESSED])
@pytest.mark.parametrize("token", ["zzz", "x.org", "%FF", "eA"])
def test_a_token_that_no_page_gave_is_invalid(ses, path, token):
    assert v2_answer(ses, "GET", f"{path}?NextToken={token}")[:2] == (400, "InvalidNextTokenException")
    in_v1 = v1_answer(ses, {"Action": "ListIdentities", "NextToken": token})
    assert in_v1[:2] == (400, "MalformedInput" if "%" in token else "InvalidParameterValue")


@pytest.mark.parametrize(
    "data",
    [
        json.dumps({"EmailIdentity": "x.org"}).encode("utf-16"),
        b'{"EmailIdentity": "x.org", "EmailIdentity": "y.org"}',
        b'{"EmailIdentity": "x.org", "Tags": [{"Key": "a", "Value": "b", "Value": "c"}]}',
        b'{"EmailIdentity": "x.org", "Tags": NaN}',
        b'{"EmailIdentity": "\xff.org"}',
    ],
)
def test_a_body_is_json_in_utf_8_that_gives_each_name_once(ses, data):
    request = urllib.request.Request(f"{ses.endpoint_url}/v2/email/identities", data, method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.headers["x-amzn-errortype"] == "SerializationException"
    refused.value.close()


def test_no_send_takes_members_from_its_query(ses, mail):
    path = "/v2/email/outbound-emails?ConfigurationSetName=none"
    assert v2_answer(ses, "POST", path, mail())[:2] == NOT_IMITATED
    assert ses.report()["refused"] == {"not_imitated": 1}


def test_members_stand_where_the_model_has_them():
    model = botocore.session.get_session().get_service_model("sesv2")
    for operation in OPERATIONS:
        shape = model.operation_model(operation.name).input_shape
        places = {member.serialization.get("location", "body") for member in shape.members.values()}
        assert places <= {"uri", "querystring" if operation.method in ("GET", "DELETE") else "body"} or (
            operation.path in ("/v2/email/identities", "/v2/email/configuration-sets")
        ), operation.name
