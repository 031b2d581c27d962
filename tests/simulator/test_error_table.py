"""Every refusal, as the real botocore understands it: the right exception class, code, status and text."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError

from sesq.simulator import SesError, Simulator
from sesq.simulator.errors import PAUSED, TEXT, WIRE

NOT_ANSWERS = {"reset"}


@pytest.mark.parametrize("kind", sorted(WIRE.keys() - NOT_ANSWERS))
def test_each_kind_reaches_botocore_in_v2(ses, sesv2, mail, monkeypatch, kind):
    # Given an account that refuses with this kind
    def refuse(*_):
        raise SesError(kind, "the text")

    monkeypatch.setattr(ses.cloud.account(), "_check", refuse)
    # When a message is sent
    with pytest.raises(ClientError) as refused:
        sesv2.send_email(**mail())
    # Then botocore has code, status, text and, where the model knows the code, its class
    wire = WIRE[kind]
    answer = refused.value.response
    assert answer["Error"] == {"Code": wire.v2_code, "Message": "the text"}
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == wire.v2_status
    modelled = {shape.name for shape in sesv2.meta.service_model.error_shapes}
    assert (type(refused.value) is not ClientError) == (wire.v2_code in modelled)
    assert ses.report()["refused"] == {kind: 1}


@pytest.mark.parametrize("kind", sorted(WIRE.keys() - NOT_ANSWERS))
def test_each_kind_reaches_botocore_in_v1(ses, client_for, monkeypatch, kind):
    def refuse(*_):
        raise SesError(kind, "the <text>")

    monkeypatch.setattr(ses.cloud.account(), "_check", refuse)
    v1 = client_for("ses")
    with pytest.raises(ClientError) as refused:
        v1.send_email(
            Source="shop@example.com",
            Destination={"ToAddresses": ["ada@example.org"]},
            Message={"Subject": {"Data": "Hi"}, "Body": {"Text": {"Data": "Hello"}}},
        )
    v1.close()
    error = refused.value.response["Error"]
    wire = WIRE[kind]
    assert (error["Code"], error["Message"]) == (wire.v1_code, "the <text>")
    assert error["Type"] == ("Sender" if wire.v1_status < 500 else "Receiver")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == wire.v1_status


def raw(*headers: str, body: str = "Hello") -> dict[str, object]:
    return {"Content": {"Raw": {"Data": ("\r\n".join(headers) + "\r\n\r\n" + body).encode()}}}


FROM, TO = "From: shop@example.com", "To: ada@example.org"


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (raw(TO), "BadRequestException", "Missing required header 'From'."),
        (raw(FROM), "BadRequestException", "Missing required header 'To'."),
        (raw(FROM, TO, "Subject: a", "Subject: b"), "BadRequestException", "Duplicate header 'Subject'."),
        (raw(FROM, "To: nonsense"), "BadRequestException", "Missing final '@domain'"),
        (raw(FROM, TO, body="x" * 1001), "BadRequestException", "Line length exceeds 1000."),
        (raw("X" * 1001 + ": y", FROM, TO), "BadRequestException", "Line length exceeds 1000."),
        (raw(FROM, TO, *["X-A: " + "y" * 900] * 300), "BadRequestException", "Header section too long."),
        (
            raw(FROM, TO) | {"ConfigurationSetName": "none"},
            "NotFoundException",
            "Configuration set <none> does not exist.",
        ),
        (
            raw(FROM, TO) | {"FromEmailAddress": "x@other.org"},
            "MessageRejected",
            "Email address is not verified. The following identities failed the check in region US-EAST-1: x@other.org",
        ),
    ],
)
def test_what_is_wrong_with_a_raw_message(sesv2, arguments, code, text):
    with pytest.raises(ClientError) as refused:
        sesv2.send_email(**arguments)
    assert refused.value.response["Error"] == {"Code": code, "Message": text}


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("", "Invalid email address ."),
        ("nobody", "Missing final '@domain'"),
        ("nobody@", "Missing domain"),
        ("@example.org", "Missing local name"),
        ("a b@example.org", "Local address contains control or whitespace"),
        ("a\u00e9@example.org", "Local address contains illegal character"),
        ("a@exa mple.org", "Domain contains control or whitespace"),
        ("a@ex\u00e4mple.org", "Domain contains illegal character"),
        ("a@example.org.", "Domain ends with dot."),
        ("a@example..org", "Illegal address"),
        ("Ada <ada@example.org", "Illegal address"),
        ("ada@example.org\r\nBcc: x@y.org", "Illegal address"),
    ],
)
def test_what_is_wrong_with_an_address(sesv2, mail, address, text):
    with pytest.raises(sesv2.exceptions.BadRequestException) as refused:
        sesv2.send_email(**mail(address))
    assert refused.value.response["Error"]["Message"] == text


def test_comments_in_comments_in_comments(ses, sesv2):
    # What Python's own reader of addresses makes of them differs between its versions.
    with pytest.raises(sesv2.exceptions.BadRequestException):
        sesv2.send_email(**raw(FROM, "To: " + "\r\n ".join(["(" * 900] * 20)))
    assert ses.report()["refused"] == {"bad_request": 1}


def test_more_than_fifty_recipients(ses, sesv2, mail):
    ses.set_account(burst=50)
    ses.advance(50)
    sesv2.send_email(**mail(*["ada@example.org"] * 50))
    with pytest.raises(sesv2.exceptions.BadRequestException, match=r"Recipient count exceeds 50\."):
        sesv2.send_email(**mail(*["ada@example.org"] * 51))


def test_header_limits_of_simple_content(sesv2, mail):
    arguments = mail()
    largest = {"Name": "X-A", "Value": "b" * (996 - len("X-A"))}
    arguments["Content"]["Simple"]["Headers"] = [largest] * 15
    sesv2.send_email(**arguments)
    arguments["Content"]["Simple"]["Headers"] = [largest | {"Value": largest["Value"] + "b"}]
    with pytest.raises(sesv2.exceptions.BadRequestException, match="Invalid header"):
        sesv2.send_email(**arguments)
    arguments["Content"]["Simple"]["Headers"] = [{"Name": "X-A", "Value": "b"}] * 16
    with pytest.raises(
        sesv2.exceptions.BadRequestException, match=r"headers' failed .* length less than or equal to 15"
    ):
        sesv2.send_email(**arguments)
    arguments["Content"]["Simple"]["Headers"] = [{"Name": "X:A", "Value": "b"}]
    with pytest.raises(sesv2.exceptions.BadRequestException, match="regular expression pattern"):
        sesv2.send_email(**arguments)


DISALLOWED = "BCC CC Content-Disposition Content-Type Date From Message-ID MIME-Version Reply-To Return-Path Subject To"


@pytest.mark.parametrize("name", [*DISALLOWED.split(), "message-id"])
def test_headers_that_ses_writes_are_no_custom_headers(sesv2, mail, name):
    arguments = mail()
    arguments["Content"]["Simple"]["Headers"] = [{"Name": name, "Value": "x"}]
    with pytest.raises(sesv2.exceptions.BadRequestException) as refused:
        sesv2.send_email(**arguments)
    assert refused.value.response["Error"]["Message"] == f"Header '{name}' is not allowed as a custom header."


@pytest.mark.parametrize(
    "name", ["List-Unsubscribe", "In-Reply-To", "Precedence", "User-Agent", "VBR-Info", "Comments"]
)
def test_headers_that_may_stand_once(sesv2, mail, name):
    with pytest.raises(sesv2.exceptions.BadRequestException, match=f"Duplicate header '{name.lower()}'."):
        sesv2.send_email(**raw(FROM, TO, f"{name}: a", f"{name.lower()}: a"))
    arguments = mail()
    arguments["Content"]["Simple"]["Headers"] = [
        {"Name": each, "Value": "a"} for each in (name, name.lower())
    ]
    with pytest.raises(sesv2.exceptions.BadRequestException, match=f"Duplicate header '{name.lower()}'."):
        sesv2.send_email(**arguments)


@pytest.mark.parametrize("name", ["Received", "X-Own", "To", "Cc", "Resent-From"])
def test_headers_that_may_stand_more_than_once(sesv2, name):
    sesv2.send_email(**raw(FROM, TO, f"{name}: ada@example.org", f"{name}: ada@example.org"))


def test_an_encoded_word_that_is_broken_is_a_subject(ses, sesv2):
    sesv2.send_email(**raw(FROM, TO, "Subject: =?utf-8?b?a?="))
    assert ses.messages()[0]["subject"] == "=?utf-8?b?a?="


def test_a_mail_of_exactly_the_largest_size_is_taken(ses, client_for):
    v1 = client_for("ses")
    head = f"{FROM}\r\n{TO}\r\n\r\n".encode()
    data = head + (b"x" * 998 + b"\r\n") * (10 * 1024 * 1024 // 1000)
    data += b"\r\n" * ((10 * 1024 * 1024 - len(data)) // 2)
    data += b"y" * (10 * 1024 * 1024 - len(data))
    v1.send_raw_email(RawMessage={"Data": data})
    with pytest.raises(ClientError, match="Message length is more than 10485760 bytes long"):
        v1.send_raw_email(RawMessage={"Data": data + b"y"})
    v1.close()


def test_mime_parts(sesv2):
    parts = "".join("--b\r\n\r\nx\r\n" for _ in range(501)) + "--b--\r\n"
    message = raw(FROM, TO, 'Content-Type: multipart/mixed; boundary="b"', body=parts)
    with pytest.raises(sesv2.exceptions.BadRequestException, match="MIME part count"):
        sesv2.send_email(**message)


def test_sizes_differ_between_the_apis(ses, sesv2, client_for):
    ses.set_account(max_send_rate=10)
    line = "x" * 998 + "\r\n"
    big = raw(FROM, TO, body=line * (11 * 1024 * 1024 // 1000))
    sesv2.send_email(**big)
    v1 = client_for("ses")
    data = big["Content"]["Raw"]["Data"]
    with pytest.raises(ClientError, match="Message length is more than 10485760 bytes long") as refused:
        v1.send_raw_email(RawMessage={"Data": data})
    v1.close()
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValue"


def test_pauses_and_suspensions(ses, sesv2, mail):
    ses.set_account(suspended=True)
    with pytest.raises(sesv2.exceptions.AccountSuspendedException):
        sesv2.send_email(**mail())
    ses.set_account(suspended=False, sending_enabled=False)
    with pytest.raises(sesv2.exceptions.SendingPausedException) as refused:
        sesv2.send_email(**mail())
    assert refused.value.response["Error"]["Message"] == PAUSED == TEXT["paused"]
    ses.set_account(sending_enabled=True)
    sesv2.create_configuration_set(ConfigurationSetName="news", SendingOptions={"SendingEnabled": False})
    with pytest.raises(sesv2.exceptions.SendingPausedException, match="configuration set"):
        sesv2.send_email(**mail(), ConfigurationSetName="news")


def test_conflict_comes_without_a_text(ses, sesv2):
    details = {
        "MailType": "TRANSACTIONAL",
        "WebsiteURL": "https://example.com",
        "ProductionAccessEnabled": True,
    }
    sesv2.put_account_details(**details)
    assert sesv2.get_account()["Details"]["ReviewDetails"]["Status"] == "PENDING"
    with pytest.raises(sesv2.exceptions.ConflictException) as refused:
        sesv2.put_account_details(**details)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409
    assert refused.value.response["Error"]["Message"] is None
    ses.set_account(review="DENIED")
    with pytest.raises(sesv2.exceptions.ConflictException):
        sesv2.put_account_details(**details)
    ses.set_account(review="GRANTED")
    answer = sesv2.get_account()
    assert answer["ProductionAccessEnabled"]
    assert answer["Details"]["ReviewDetails"]["Status"] == "GRANTED"


def test_control_calls_are_one_a_second_each(ses, sesv2, mail):
    ses.set_account(control_rate=1)
    sesv2.get_account()
    with pytest.raises(sesv2.exceptions.TooManyRequestsException, match="Rate exceeded"):
        sesv2.get_account()
    sesv2.list_email_identities()
    sesv2.send_email(**mail())
    ses.advance(1)
    sesv2.get_account()
    assert ses.report()["refused"] == {}


def test_keys_make_signatures_checked(mail):
    import boto3
    from botocore.config import Config

    one_try = Config(retries={"total_max_attempts": 1})
    with Simulator(keys={"AKIA1": "right"}, verified=["example.com", "ada@example.org"]) as ses:

        def client(key, secret):
            return boto3.client(
                "sesv2",
                endpoint_url=ses.endpoint_url,
                region_name="eu-west-1",
                aws_access_key_id=key,
                aws_secret_access_key=secret,
                config=one_try,
            )

        right, wrong, unknown = client("AKIA1", "right"), client("AKIA1", "wrong"), client("AKIA2", "right")
        right.send_email(**mail())
        right.get_email_identity(EmailIdentity="ada@example.org")
        right.list_email_templates(PageSize=3)
        with pytest.raises(ClientError) as refused:
            wrong.send_email(**mail())
        assert refused.value.response["Error"]["Code"] == "SignatureDoesNotMatch"
        with pytest.raises(ClientError) as refused:
            unknown.send_email(**mail())
        assert refused.value.response["Error"]["Code"] == "UnrecognizedClientException"
        with pytest.raises(urllib.error.HTTPError) as unsigned:
            urllib.request.urlopen(f"{ses.endpoint_url}/v2/email/account", timeout=10)
        assert unsigned.value.headers["x-amzn-errortype"] == "MissingAuthenticationTokenException"
        unsigned.value.close()
        for each in (right, wrong, unknown):
            each.close()


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("POST", "/v2/email/outbound-emails", b"{", "SerializationException"),
        ("POST", "/v2/email/outbound-emails", b"[]", "SerializationException"),
        ("POST", "/v2/email/outbound-emails", b"[" * 100_000, "SerializationException"),
        ("POST", "/v2/email/outbound-emails", b'{"Content": 7}', "SerializationException"),
        (
            "POST",
            "/v2/email/outbound-emails",
            b'{"Content": {"Raw": {"Data": "%%%"}}}',
            "SerializationException",
        ),
        ("POST", "/v2/email/outbound-emails", b"{}", "BadRequestException"),
        ("POST", "/v2/email/outbound-bulk-emails", b'{"BulkEmailEntries": 7}', "SerializationException"),
        ("GET", "/v2/email/identities?PageSize=x", None, "SerializationException"),
        ("GET", "/v2/email/nothing", None, "UnknownOperationException"),
        ("DELETE", "/v2/email/account", None, "UnknownOperationException"),
    ],
)
def test_what_is_no_request(ses, method, path, body, code):
    request = urllib.request.Request(ses.endpoint_url + path, data=body, method=method)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.headers["x-amzn-errortype"] == code
    assert isinstance(json.load(refused.value)["message"], str)
    refused.value.close()


def test_raw_data_may_be_any_bytes(ses, sesv2):
    data = b"From: shop@example.com\nTo: ada@example.org\nSubject: =?bogus?q?x?= \xff\xfe\n\n\x00\xff"
    sesv2.send_email(Content={"Raw": {"Data": data}})
    assert base64.b64encode(data)
    assert ses.messages(content=True)[0]["accepted"]
