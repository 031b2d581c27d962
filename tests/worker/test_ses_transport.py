"""The SES transport on a wire that breaks: what leaves, how often, and what a broken call is taken for."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import math
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sesq.queue.envelope import Envelope, SimpleContent
from sesq.queue.identities import BorrowedIdentities
from sesq.worker.transports import NotCleared, Outgoing, SendFailed, SesTransport
from sesq.worker.transports.base import OfAccount
from sesq.worker.transports.client import AwsClient, ClientSettings
from sesq.worker.transports.request import request_for
from sesq.worker.verdicts import Kind
from tunnel import tunnels_to

REGION = "eu-west-1"
MAIL = Outgoing(
    "0123abcd",
    Envelope(sender="Shop <shop@shop.example>", to=("bob@x.org",)),
    SimpleContent("Hi", text="Good day", html="<p>Good day</p>"),
)

pytestmark = pytest.mark.usefixtures("aws_environment")


@pytest.fixture
def connect():
    """`connect(url, read_seconds=0.05)`: a transport that is closed after the test."""
    opened = []

    def make(url, **settings):
        transport = SesTransport(AwsClient(ClientSettings(region=REGION, endpoint_url=url, **settings)))
        opened.append(transport)
        return transport

    yield make
    for transport in opened:
        transport.close()


@pytest.fixture
def transport(connect, stub):
    return connect(stub.url)


def failure(transport, outgoing=MAIL):
    with pytest.raises(SendFailed) as caught:
        transport.send(outgoing)
    assert caught.value.__cause__ is not None
    return caught.value.verdict


# What leaves


def test_what_is_late_once_it_is_signed_does_not_leave(connect, stub, monkeypatch):
    # Given a mail in time, and credentials that are fetched until it is too late
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", stub.url)
    late = []
    stub.plays.append(lambda handler: late.append(1) or assumed(stub)(handler))

    def clear():
        if late:
            raise NotCleared("too late")

    with pytest.raises(NotCleared):
        connect(stub.url, role_arn=ROLE).send(replace(MAIL, clear=clear))

    assert late
    assert stub.sends == []


@pytest.mark.parametrize(
    ("left", "methods"), [(5.0, ["HEAD", "POST"]), (60.0, ["POST"]), (math.inf, ["POST"])]
)
def test_what_must_leave_soon_has_an_open_connection_before_the_last_look(left, methods, transport, stub):
    transport.send(replace(MAIL, leave_by=time.monotonic() + left))

    assert [request.method for request in stub.requests] == methods


def test_a_simple_message_leaves_as_ses_wants_it(transport, stub):
    # Given a message with everything
    envelope = Envelope(
        sender="Shop <shop@shop.example>",
        to=("bob@x.org",),
        cc=("Ann <ann@y.org>",),
        bcc=("eve@z.org",),
        reply_to=("help@shop.example",),
        tags={"campaign": "spring"},
        configuration_set="news",
        tenant="acme",
        feedback_to="bounces@shop.example",
        contact_list="news",
        topic="weekly",
        track="off",
    )
    content = SimpleContent(
        "Grüße", "Text", "<p>Html</p>", headers=(("List-Unsubscribe", "<https://x.org/u>"),)
    )

    # When it is sent
    message_id = transport.send(Outgoing("0123abcd", envelope, content))

    # Then SES's id comes back, and one request has left
    assert message_id == "stub-id"
    (request,) = stub.sends
    assert request.json == {
        "FromEmailAddress": "Shop <shop@shop.example>",
        "Destination": {
            "ToAddresses": ["bob@x.org"],
            "CcAddresses": ["Ann <ann@y.org>"],
            "BccAddresses": ["eve@z.org"],
        },
        "ReplyToAddresses": ["help@shop.example"],
        "Content": {
            "Simple": {
                "Subject": {"Data": "Grüße", "Charset": "UTF-8"},
                "Body": {
                    "Text": {"Data": "Text", "Charset": "UTF-8"},
                    "Html": {"Data": "<p>Html</p>", "Charset": "UTF-8"},
                },
                "Headers": [{"Name": "List-Unsubscribe", "Value": "<https://x.org/u>"}],
            }
        },
        "EmailTags": [{"Name": "sesq-id", "Value": "0123abcd"}, {"Name": "campaign", "Value": "spring"}],
        "ConfigurationSetName": "news",
        "TenantName": "acme",
        "FeedbackForwardingEmailAddress": "bounces@shop.example",
        "ListManagementOptions": {"ContactListName": "news", "TopicName": "weekly"},
        "ConfigurationOverrides": {
            "Tracking": {"OpenTrackingEnabled": "DISABLED", "ClickTrackingEnabled": "DISABLED"}
        },
    }


BORROWED = BorrowedIdentities.of(
    f"arn:aws:ses:eu-west-1:123456789012:identity/{name}" for name in ("shop.example", "bounces.example")
)


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize(
    ("sender", "feedback_to", "arns"),
    [
        ("a@shop.example", None, ["identity/shop.example", None]),
        ("a@other.example", None, [None, None]),
        ("a@other.example", "b@bounces.example", [None, "identity/bounces.example"]),
        ("a@mail.shop.example", "b@shop.example", ["identity/shop.example"] * 2),
    ],
)
def test_an_identity_that_is_lent_is_named(stub, connect, raw, sender, feedback_to, arns):
    transport = SesTransport(connect(stub.url).client, OfAccount(BORROWED))
    content = b"From: x@shop.example\r\n\r\nHi" if raw else SimpleContent("Hi", text="Hi")
    kind = "raw" if raw else "simple"
    envelope = Envelope(sender=sender, to=("bob@x.org",), feedback_to=feedback_to, kind=kind)
    transport.send(Outgoing("1", envelope, content))
    told = stub.sends[0].json
    names = ("FromEmailAddressIdentityArn", "FeedbackForwardingEmailAddressIdentityArn")
    assert [arn and arn.partition("012:")[2] for arn in map(told.get, names)] == arns


def test_a_raw_message_leaves_byte_for_byte_with_its_recipients_beside_it(transport, stub):
    raw = b"From: shop@shop.example\r\nTo: bob@x.org\r\n\r\n\xff\x00body\r\n"
    envelope = Envelope(
        sender="shop@shop.example", to=("bob@x.org",), bcc=("eve@z.org",), reply_to=("a@b.c",), kind="raw"
    )

    transport.send(Outgoing("0123abcd", envelope, raw))

    (request,) = stub.sends
    assert base64.b64decode(request.json["Content"]["Raw"]["Data"]) == raw
    assert request.json["Destination"] == {"ToAddresses": ["bob@x.org"], "BccAddresses": ["eve@z.org"]}
    assert request.json.keys() == {"Destination", "Content", "EmailTags"}


def test_what_is_missing_is_left_out(transport, stub):
    transport.send(Outgoing("0123abcd", MAIL.envelope, SimpleContent("Hi", text="Good day")))

    assert stub.sends[0].json["Content"]["Simple"].keys() == {"Subject", "Body"}
    assert stub.sends[0].json["Content"]["Simple"]["Body"].keys() == {"Text"}


def test_an_empty_body_is_a_body():
    assert request_for(Outgoing("i", MAIL.envelope, SimpleContent("Hi", text="")))["Content"]["Simple"][
        "Body"
    ] == {"Text": {"Data": "", "Charset": "UTF-8"}}


# One call, one request


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_nothing_is_sent_a_second_time_behind_our_back(status, transport, stub, monkeypatch):
    # Given settings of this machine that ask boto3 for retries
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")
    monkeypatch.setenv("AWS_RETRY_MODE", "standard")
    stub.plays.append(stub.reply(status))

    # When a send fails, then there was one request
    failure(transport)
    assert len(stub.sends) == 1


def test_one_client_serves_all_threads(connect, stub):
    transport = connect(stub.url)

    with ThreadPoolExecutor(4) as threads:
        ids = list(threads.map(transport.send, [MAIL] * 20))

    assert ids == ["stub-id"] * 20
    assert len(stub.sends) == 20
    assert stub.connections <= 4


# A wire that breaks after the message left


def test_a_reset_in_place_of_the_reply_is_unknown(transport, stub):
    stub.plays.append(stub.reset)

    verdict = failure(transport)

    assert (verdict.kind, verdict.hold, len(stub.sends)) == (Kind.UNKNOWN, None, 1)


def test_silence_in_place_of_the_reply_is_unknown(connect, stub):
    stub.plays.append(stub.hang)

    assert failure(connect(stub.url, read_seconds=0.05)).kind is Kind.UNKNOWN
    assert len(stub.sends) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"not HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\ncut",
        b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"Mess',
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull",
        b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{"MessageId":null}',
    ],
)
def test_a_reply_that_cannot_be_read_is_unknown(answer, transport, stub):
    stub.plays.append(stub.raw(answer))

    with pytest.raises(SendFailed) as caught:
        transport.send(MAIL)

    assert caught.value.verdict.kind is Kind.UNKNOWN


def reset_in_the_body(handler):
    while handler.rfile.readline().strip():
        """The head."""
    handler.abort()


def test_a_reset_in_the_midst_of_a_large_message_is_unknown(transport, stub):
    # Given a message of which not all has left when the connection breaks
    stub.plays.append(reset_in_the_body)
    large = Outgoing(
        "0123abcd", replace(MAIL.envelope, kind="raw"), b"From: a@b.c\r\n\r\n" + b"x" * 8_000_000
    )

    assert failure(transport, large).kind is Kind.UNKNOWN


def test_a_connection_that_was_closed_at_rest_is_replaced(transport, stub):
    # Given that the server has closed the connection after the last message
    yes = b'HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n{"MessageId":"one"}'
    stub.plays.append(stub.raw(yes))
    assert transport.send(MAIL) == "one"
    stub.closed.wait(30)

    # When there is another message, then it goes, once
    assert transport.send(MAIL) == "stub-id"
    assert (len(stub.sends), stub.connections) == (2, 2)


def test_a_broken_connection_does_not_outlive_its_message(transport, stub):
    stub.plays.append(stub.reset)
    failure(transport)

    assert transport.send(MAIL) == "stub-id"


def test_a_lost_reply_stays_unknown_while_an_earlier_refused_connection_is_handled(connect, stub):
    # Given a send that fails harmlessly, since its connection is refused
    stub.plays.append(stub.reset)
    try:
        connect(f"http://127.0.0.1:{closed_port()}").send(MAIL)
    except SendFailed:
        # When the next one, made while that is handled, loses its reply
        verdict = failure(connect(stub.url))

    # Then the harmless cause, which Python chains to the second, does not make it harmless
    assert verdict.kind is Kind.UNKNOWN


# A wire that breaks before


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_a_refused_connection_may_be_tried_again(connect):
    verdict = failure(connect(f"http://127.0.0.1:{closed_port()}"))

    assert verdict.kind is Kind.TRANSIENT
    assert "refused" in verdict.reason


def test_a_name_that_does_not_resolve_may_be_tried_again(connect, monkeypatch):
    def no_such_name(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_name)

    assert failure(connect("http://email.nowhere.example")).kind is Kind.TRANSIENT


def test_a_connection_that_takes_too_long_may_be_tried_again(connect, monkeypatch):
    def too_long(*_, **__):
        raise TimeoutError("timed out")

    monkeypatch.setattr("urllib3.util.connection.socket.socket.connect", too_long, raising=True)

    assert failure(connect("http://127.0.0.1:9")).kind is Kind.TRANSIENT


def test_a_proxy_that_is_not_there_may_be_tried_again(connect, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")

    assert failure(connect("https://email.nowhere.example")).kind is Kind.TRANSIENT


def test_a_message_goes_through_a_proxy(connect, stub, monkeypatch):
    # Given a proxy that wants a name and a password
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("HTTP_PROXY", stub.url.replace("//", "//ada:pw@"))

    assert connect("http://email.nowhere.example").send(MAIL) == "stub-id"

    # Then it is asked for the whole URL, and told who asks
    (request,) = stub.requests
    assert request.path == "http://email.nowhere.example/v2/email/outbound-emails"
    assert request.headers["host"] == "email.nowhere.example"
    assert request.headers["proxy-authorization"] == "Basic YWRhOnB3"


def test_a_message_goes_through_the_tunnel_of_a_proxy(trusted, tls_stub, connect, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "")
    transport = connect(tls_stub.url)
    with tunnels_to(("127.0.0.1", tls_stub.port)) as tunnels:
        monkeypatch.setenv("HTTPS_PROXY", tunnels.url)

        assert [transport.send(MAIL) for _ in range(2)] == ["stub-id"] * 2

        assert tunnels.asked == [f"CONNECT 127.0.0.1:{tls_stub.port}"]
        transport.close()
    assert [request.path for request in tls_stub.requests] == ["/v2/email/outbound-emails"] * 2


# TLS: the same classes of errors before and after the message left


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1, signed by itself: (file with both parts)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stub")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "stub.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path


@pytest.fixture
def tls_stub(stub, certificate):
    stub.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    stub.tls.load_cert_chain(certificate)
    return stub


@pytest.fixture
def trusted(monkeypatch, certificate):
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))


def test_a_message_goes_over_tls(trusted, tls_stub, connect):
    assert connect(tls_stub.url).send(MAIL) == "stub-id"


def test_a_certificate_that_is_not_trusted_may_be_tried_again(tls_stub, connect):
    verdict = failure(connect(tls_stub.url))

    assert (verdict.kind, tls_stub.requests) == (Kind.TRANSIENT, [])


def handshake_ends(handler):
    handler.request.recv(65536)
    handler.abort()


def handshake_is_no_tls(handler):
    handler.request.recv(65536)
    handler.request.sendall(b"HTTP/1.1 400 This is no TLS\r\n\r\n")
    handler.going = False


def handshake_hangs(handler):
    handler.server.stub.released.wait(30)
    handler.going = False


@pytest.mark.parametrize("play", [handshake_ends, handshake_is_no_tls, handshake_hangs])
def test_a_broken_handshake_may_be_tried_again(play, stub, connect):
    # Given what boto3 reports as a closed connection, an SSL error, and a read timeout
    stub.plays.append(play)
    transport = connect(stub.url.replace("http:", "https:"), connect_seconds=0.2)

    # When it fails, then nothing had been sent, and that is known
    assert failure(transport).kind is Kind.TRANSIENT


def garbage_over_tls(handler):
    handler.read()
    with socket.socket(fileno=socket.dup(handler.request.fileno())) as below_tls:
        below_tls.sendall(b"\x17\x03\x03\x00\x05wrong")
    handler.going = False


def reset_over_tls(handler):
    handler.read()
    handler.abort()


@pytest.mark.parametrize("play", [garbage_over_tls, reset_over_tls])
def test_tls_that_breaks_in_place_of_the_reply_is_unknown(play, trusted, tls_stub, connect):
    # Given that the first of these is an SSLError, as an untrusted certificate is
    tls_stub.plays.append(play)

    assert failure(connect(tls_stub.url)).kind is Kind.UNKNOWN
    assert len(tls_stub.sends) == 1


# Credentials


def test_an_expired_token_is_renewed_once_and_the_message_goes(transport, stub, monkeypatch):
    # Given a session token that has expired, and a newer one in its place
    monkeypatch.setenv("AWS_SESSION_TOKEN", "old")
    transport.warm_up()
    monkeypatch.setenv("AWS_SESSION_TOKEN", "new")
    stub.plays.append(stub.error(403, "ExpiredTokenException", "The security token is expired"))

    # When the message is sent
    message_id = transport.send(MAIL)

    # Then it went with the new one
    assert message_id == "stub-id"
    assert [request.headers["x-amz-security-token"] for request in stub.sends] == ["old", "new"]


def test_what_is_late_once_it_is_signed_anew_does_not_leave_again(transport, stub, monkeypatch):
    # Given credentials that are refused and renewed, which takes its time
    transport.warm_up()
    monkeypatch.setenv("AWS_SESSION_TOKEN", "new")
    stub.plays.append(stub.error(403, "ExpiredTokenException", "The security token is expired"))

    def clear():
        if stub.sends:
            raise NotCleared("too late")

    with pytest.raises(NotCleared):
        transport.send(replace(MAIL, clear=clear))

    assert len(stub.sends) == 1


def test_a_token_that_stays_expired_is_told_after_the_first_try(transport, stub):
    stub.plays.append(stub.error(403, "ExpiredTokenException", "expired"))

    verdict = failure(transport)

    assert (verdict.kind, verdict.hold, len(stub.sends)) == (Kind.CREDENTIALS, "credentials", 1)


def test_new_credentials_are_tried_once(transport, stub, monkeypatch):
    # Given others at each look, all of which have expired
    transport.warm_up()
    monkeypatch.setenv("AWS_SESSION_TOKEN", "new")
    stub.plays.extend([stub.error(403, "ExpiredTokenException", "expired")] * 3)

    verdict = failure(transport)

    assert (verdict.kind, verdict.hold, len(stub.sends)) == (Kind.CREDENTIALS, "credentials", 2)


def test_a_refusal_for_another_reason_is_not_tried_again(transport, stub, monkeypatch):
    transport.warm_up()
    monkeypatch.setenv("AWS_SESSION_TOKEN", "new")
    stub.plays.append(stub.error(403, "AccessDeniedException", "not authorized"))

    assert (failure(transport).kind, len(stub.sends)) == (Kind.CONFIGURATION, 1)


def test_no_credentials_are_told_by_warm_up_and_by_send(transport, stub, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    with pytest.raises(SendFailed) as caught:
        transport.warm_up()

    assert caught.value.verdict.kind is Kind.CREDENTIALS
    assert failure(transport).kind is Kind.CREDENTIALS
    assert stub.requests == []


@pytest.mark.parametrize("settings", [{"region": None}, {"region": REGION, "profile": "nobody"}])
def test_a_region_or_profile_that_is_not_there_is_told(settings):
    verdict = failure(SesTransport(AwsClient(ClientSettings(**settings))))

    assert (verdict.kind, verdict.hold) == (Kind.CREDENTIALS, "credentials")


ROLE = "arn:aws:iam::123456789012:role/mailer"
ASSUMED = f"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
<AssumedRoleUser><AssumedRoleId>A:sesq</AssumedRoleId><Arn>{ROLE}/sesq</Arn></AssumedRoleUser><Credentials>
<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>%s</SessionToken>
<Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""
DENIED = b"""<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not authorized</Message></Error>
<RequestId>r</RequestId></ErrorResponse>"""


def assumed(stub, token="role-token", seconds=7200):
    """The answer to AssumeRole: credentials for so long."""
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return stub.reply(200, (ASSUMED % (token, until.isoformat())).encode(), Content_Type="text/xml")


def test_a_role_is_assumed_and_signs(connect, stub, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", stub.url)
    stub.plays.append(assumed(stub))
    transport = connect(stub.url, role_arn=ROLE)

    assert transport.send(MAIL) == "stub-id"

    assume, send = stub.requests
    assert b"Action=AssumeRole" in assume.body
    assert send.headers["x-amz-security-token"] == "role-token"


def test_temporary_credentials_are_fetched_anew_before_they_expire(connect, stub, monkeypatch):
    # Given those of a role, which end in five minutes
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", stub.url)
    transport = connect(stub.url, role_arn=ROLE)
    stub.plays.extend(
        [assumed(stub, "first", 300), stub.reply(200, {"MessageId": "one"}), assumed(stub, "second")]
    )

    # When mails are sent
    ids = [transport.send(MAIL) for _ in range(3)]

    # Then the second one has new ones, with which the third one goes too
    assert ids == ["one", "stub-id", "stub-id"]
    assert [request.headers["x-amz-security-token"] for request in stub.sends] == [
        "first",
        "second",
        "second",
    ]


def test_a_refusal_is_read_without_credentials(connect, stub, monkeypatch):
    # Given temporary credentials that end in a moment, with which a mail is refused
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", stub.url)
    refused = stub.error(429, "TooManyRequestsException", "Maximum sending rate exceeded.")
    stub.plays.extend([assumed(stub, seconds=1), refused])

    # When it is told, then no others are fetched for that: they might be refused in its place
    assert failure(connect(stub.url, role_arn=ROLE)).kind is Kind.RATE
    assert [request.path for request in stub.requests] == ["/", "/v2/email/outbound-emails"]


@pytest.mark.parametrize(
    ("play", "kind"),
    [
        (lambda stub: stub.reply(403, DENIED, Content_Type="text/xml"), Kind.CREDENTIALS),
        (lambda stub: stub.reset, Kind.TRANSIENT),
        (lambda stub: stub.reply(500, DENIED.replace(b"AccessDenied", b"InternalFailure")), Kind.TRANSIENT),
    ],
)
def test_a_role_that_cannot_be_assumed_never_counts_as_sent(play, kind, connect, stub, monkeypatch):
    # Given that the role is assumed in the midst of the send, and that fails
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", stub.url)
    stub.plays.append(play(stub))

    # When the message is sent, then it is known that it did not leave
    assert failure(connect(stub.url, role_arn=ROLE)).kind is kind
    assert stub.sends == []


def test_a_role_is_assumed_with_new_keys_once_the_old_ones_are_refused(connect, stub, monkeypatch):
    # Given a role whose temporary credentials have ended, and keys that may not assume it any more
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", stub.url)
    transport = connect(stub.url, role_arn=ROLE)
    stub.plays.append(stub.reply(403, DENIED, Content_Type="text/xml"))
    failure(transport)

    # When there are others
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKNEW")
    stub.plays.append(assumed(stub))

    # Then they assume it
    assert transport.send(MAIL) == "stub-id"
    assert "Credential=AKNEW/" in stub.requests[-2].headers["authorization"]


# Settings, warming up, closing


def test_the_endpoint_comes_from_the_environment_as_for_every_aws_tool(stub, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", stub.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    transport = SesTransport(AwsClient(ClientSettings()))

    assert transport.send(MAIL) == "stub-id"
    assert transport.region == REGION
    transport.close()


def test_a_profile_brings_its_region_and_its_keys(stub, aws_environment, tmp_path):
    (tmp_path / "config").write_text("[profile shop]\nregion = ap-south-1\n")
    (tmp_path / "credentials").write_text("[shop]\naws_access_key_id = AKSHOP\naws_secret_access_key = s\n")
    transport = SesTransport(AwsClient(ClientSettings(profile="shop", endpoint_url=stub.url)))

    transport.send(MAIL)

    assert "Credential=AKSHOP/" in stub.sends[0].headers["authorization"]
    assert "/ap-south-1/ses/" in stub.sends[0].headers["authorization"]
    transport.close()


def test_warming_up_leaves_one_open_connection_and_asks_ses_for_nothing(transport, stub):
    # When the transport is warmed up, and sends
    transport.warm_up()
    transport.send(MAIL)

    # Then both went over one connection, and the first was no action of the API and carried no signature
    first, second = stub.requests
    assert (first.method, first.path, "authorization" in first.headers) == ("HEAD", "/", False)
    assert second.path == "/v2/email/outbound-emails"
    assert stub.connections == 1


def test_warming_up_assumes_the_role_ahead_of_the_first_message(connect, stub, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", stub.url)
    stub.plays.append(assumed(stub))

    connect(stub.url, role_arn=ROLE).warm_up()

    assert [request.method for request in stub.requests] == ["POST", "HEAD"]


def test_warming_up_tells_that_there_is_no_connection(connect):
    with pytest.raises(SendFailed) as caught:
        connect(f"http://127.0.0.1:{closed_port()}").warm_up()

    assert caught.value.verdict.kind is Kind.TRANSIENT


def test_a_failure_says_nothing_of_the_content(transport, stub):
    secret = Outgoing("0123abcd", MAIL.envelope, SimpleContent("hush-subject", text="hush-body"))
    stub.plays.append(stub.reset)

    verdict = failure(transport, secret)

    assert "hush" not in repr(verdict)


def test_a_transport_that_is_closed_has_no_connection_open_and_opens_others(transport, stub):
    assert transport.send(MAIL) == "stub-id"
    assert not stub.closed.is_set()
    transport.close()
    assert stub.closed.wait(30)
    assert transport.send(MAIL) == "stub-id"
    assert stub.connections == 2
