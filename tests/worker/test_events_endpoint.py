"""The HTTPS endpoint: what SNS has signed for our topic is believed, once; nothing else is."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.x509.oid import NameOID
from redis import Redis

from http_client import serving
from sesq.queue.states import State
from sesq.worker.events import Feedback, Handled
from sesq.worker.events.endpoint import MAX_BYTES, Endpoint
from sesq.worker.events.sns import (
    FAILURE_SECONDS,
    MAX_AGE_SECONDS,
    MAX_AHEAD_SECONDS,
    MAX_FAILURES,
    SIGNED,
    Forged,
    SnsAway,
    SnsGuard,
    fetch,
)
from sesq.worker.http_server import HttpServer
from stage import Stage

TOPIC = "arn:aws:sns:eu-west-1:123456789012:sesq-events"
CERTIFICATE_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123abcd.pem"
SUBSCRIBE_URL = f"https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=abc"
NOW = 1_700_000_000.0


class Sns:
    """Signs as SNS does, with a key of its own, and notes what was fetched."""

    def __init__(self, at: float = NOW) -> None:
        self.at = at
        self.fetched: list[str] = []
        self.key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
        self.pem = self._certify()

    def _certify(self, days: int = 365) -> bytes:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        start = datetime.fromtimestamp(self.at, timezone.utc) - timedelta(days=400)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(1)
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=days + 400))
            .sign(self.key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)

    def fetch(self, url: str) -> bytes:
        self.fetched.append(url)
        return self.pem

    def message(self, version: str = "1", without: str = "", **changes: Any) -> dict[str, Any]:
        stamp = datetime.fromtimestamp(self.at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        told = {
            "Type": "Notification",
            "MessageId": "sns-1",
            "TopicArn": TOPIC,
            "Message": "{}",
            "Timestamp": stamp,
            "SignatureVersion": version,
            "SigningCertURL": CERTIFICATE_URL,
            **changes,
        }
        told.pop(without, None)
        names = SIGNED[told["Type"]]
        signed = "".join(f"{name}\n{told[name]}\n" for name in names if name in told).encode()
        algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()
        return {**told, "Signature": base64.b64encode(self.key.sign(signed, PKCS1v15(), algorithm)).decode()}


@pytest.fixture(scope="module")
def sns() -> Sns:
    return Sns()


@pytest.fixture
def guard(sns: Sns) -> SnsGuard:
    sns.fetched.clear()
    return SnsGuard(TOPIC, fetch=sns.fetch, clock=lambda: NOW)


class Caller:
    """Posts to the endpoint over HTTP."""

    def __init__(self, port: int, guard: SnsGuard) -> None:
        self.port, self.guard = port, guard

    def ask(self, method: str, body: str | bytes | None = None) -> int:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, "/", body)
            return connection.getresponse().status
        finally:
            connection.close()

    def post(self, message: Any) -> int:
        return self.ask("POST", json.dumps(message))


@pytest.fixture
def client(redis: Redis, guard: SnsGuard) -> Iterator[Caller]:
    """The endpoint as it is served."""
    server = HttpServer(Endpoint(redis, guard, Feedback(redis, "default")).app, "127.0.0.1", 0)
    with serving(server):
        yield Caller(server.listener.getsockname()[1], guard)


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [{}, {"Subject": "Amazon SES Email Event Notification"}])
def test_both_signature_versions_are_good(
    version: str, subject: dict[str, str], sns: Sns, guard: SnsGuard
) -> None:
    guard.check(sns.message(version, **subject))
    guard.check(sns.message(version, **subject))
    assert sns.fetched == [CERTIFICATE_URL]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"Message": '{"forged": 1}'}, "signature is wrong"),
        ({"Subject": "added"}, "signature is wrong"),
        ({"Signature": "bm8="}, "signature is wrong"),
        ({"Signature": "?"}, "signature is wrong"),
        ({"Signature": "é"}, "signature is wrong"),
        ({"Signature": "\ud800"}, "signature is wrong"),
        ({"Message": "\ud800"}, "no form of SNS's"),
        ({"SignatureVersion": "2"}, "signature is wrong"),
        ({"SignatureVersion": "3"}, "SignatureVersion is unknown"),
        ({"Type": "Gossip"}, "no form of SNS's"),
        ({"Message": 7}, "no form of SNS's"),
        ({"Timestamp": "yesterday"}, "time cannot be read"),
    ],
)
def test_what_was_changed_is_refused(changes: dict[str, Any], why: str, sns: Sns, guard: SnsGuard) -> None:
    with pytest.raises(Forged, match=why):
        guard.check({**sns.message(), **changes})


def test_a_signed_text_is_read_in_one_way_only(sns: Sns, guard: SnsGuard) -> None:
    # Given a message whose subject is made a part of its id: the same text was signed
    told = sns.message(Subject="Hi")
    subject = told.pop("Subject")
    told["MessageId"] += f"\nSubject\n{subject}"
    # Then it is no message of SNS's, and not the same one under another id
    with pytest.raises(Forged, match="no form of SNS's"):
        guard.check(told)


@pytest.mark.parametrize("name", ["MessageId", "Message"])
def test_what_lacks_a_part_is_refused_however_well_signed(name: str, sns: Sns, guard: SnsGuard) -> None:
    with pytest.raises(Forged, match="no form of SNS's"):
        guard.check(sns.message(without=name))


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/SimpleNotificationService-0123abcd.pem",
        "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123abcd.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-0123abcd.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.example/SimpleNotificationService-0123abcd.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-0123abcd.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123abcd.pem",
        "https://sns.eu-west-1.amazonaws.com.cn/SimpleNotificationService-0123abcd.pem",
        "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-0123abcd.pem",
        "https://sns.eu-west-1.amazonaws.com/other.pem",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123abcd.pem?x",
        "https://bucket.s3.amazonaws.com/SimpleNotificationService-0123abcd.pem",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123abcd.pem\n",
        "",
    ],
)
def test_a_certificate_of_another_host_is_never_fetched(url: str, sns: Sns, guard: SnsGuard) -> None:
    with pytest.raises(Forged, match="certificate is not SNS's"):
        guard.check(sns.message(SigningCertURL=url))
    assert sns.fetched == []


CHINESE = "arn:aws-cn:sns:cn-north-1:123456789012:sesq-events"
PATH = "/SimpleNotificationService-0123abcd.pem"


@pytest.mark.parametrize(
    ("host", "good"), [("sns.cn-north-1.amazonaws.com.cn", True), ("sns.cn-north-1.amazonaws.com", False)]
)
def test_in_a_chinese_region_sns_has_a_chinese_host_alone(host: str, good: bool, sns: Sns) -> None:
    guard = SnsGuard(CHINESE, fetch=sns.fetch, clock=lambda: NOW)
    sns.fetched.clear()
    told = sns.message(TopicArn=CHINESE, SigningCertURL=f"https://{host}{PATH}")
    if good:
        guard.check(told)
    else:
        with pytest.raises(Forged, match="certificate is not SNS's"):
            guard.check(told)
    assert sns.fetched == [f"https://{host}{PATH}"] * good


@pytest.mark.parametrize("failure", [SnsAway("SNS cannot be reached"), Forged("SNS answered 404 for it")])
def test_a_certificate_that_cannot_be_had_is_not_asked_for_at_each_message(
    failure: Exception, sns: Sns
) -> None:
    # Given a certificate that SNS does not hand out
    asked: list[str] = []

    def fails(url: str) -> bytes:
        asked.append(url)
        raise failure

    now = [NOW]
    guard = SnsGuard(TOPIC, fetch=fails, clock=lambda: now[0])
    # When messages come that name it, then it is asked for once, and each is answered as the first was
    for _ in range(3):
        with pytest.raises(type(failure), match=str(failure)):
            guard.check(sns.message())
    assert len(asked) == 1
    # And after a while it is asked for again; then it is there, and the message is believed
    now[0] += FAILURE_SECONDS - 1
    with pytest.raises(type(failure)):
        guard.check(sns.message())
    assert len(asked) == 1
    now[0] += 1
    guard._fetch = sns.fetch
    guard.check(sns.message())


def test_invented_certificates_make_us_ask_sns_a_few_times_only(sns: Sns) -> None:
    # Given a certificate that is known already
    now = [NOW]
    guard = SnsGuard(TOPIC, fetch=sns.fetch, clock=lambda: now[0])
    guard.check(sns.message())
    asked: list[str] = []

    def fails(url: str) -> bytes:
        asked.append(url)
        raise Forged("SNS answered 404 for it")

    guard._fetch = fails
    # When somebody invents one after the other
    for number in range(3 * MAX_FAILURES):
        with pytest.raises((Forged, SnsAway)):
            guard.check(sns.message(SigningCertURL=CERTIFICATE_URL.replace("0123", f"{number:04}")))
    # Then SNS is not asked for all of them, no more is remembered, and what is known is good
    assert len(asked) == len(guard._failures) == MAX_FAILURES
    guard.check(sns.message())
    # And a new one of SNS's is taken as soon as some time has passed
    now[0] += FAILURE_SECONDS
    guard._fetch = sns.fetch
    guard.check(sns.message(SigningCertURL=CERTIFICATE_URL.replace("0123", "4567")))
    assert guard._failures == {}


def test_another_topic_is_refused_however_well_signed(sns: Sns, guard: SnsGuard) -> None:
    with pytest.raises(Forged, match="another topic"):
        guard.check(sns.message(TopicArn="arn:aws:sns:eu-west-1:666666666666:mine"))


@pytest.mark.parametrize(
    ("seconds", "good"),
    [(-200, True), (-400, False), (MAX_AGE_SECONDS - 1, True), (MAX_AGE_SECONDS + 1, False), (3700, False)],
)
def test_what_is_too_old_or_from_the_future_is_refused(seconds: float, good: bool, sns: Sns) -> None:
    guard = SnsGuard(TOPIC, fetch=sns.fetch, clock=lambda: NOW + seconds)
    if good:
        guard.check(sns.message())
    else:
        with pytest.raises(Forged, match="too old"):
            guard.check(sns.message())


@pytest.mark.parametrize("pem", [b"no certificate", "outdated"])
def test_a_bad_certificate_is_refused(pem: Any, sns: Sns) -> None:
    given = sns._certify(days=-1) if pem == "outdated" else pem
    guard = SnsGuard(TOPIC, fetch=lambda _: given, clock=lambda: NOW)
    with pytest.raises(Forged, match="certificate is"):
        guard.check(sns.message())


# over HTTP ------------------------------------------------------------------------------------------------------------


def delivery(id: str) -> str:
    mail = {"messageId": "m-1", "destination": ["ada@example.org"], "tags": {"sesq-id": [id]}}
    return json.dumps({"eventType": "Delivery", "mail": mail, "delivery": {}})


def test_an_event_has_its_effect_and_a_replay_is_refused(redis: Redis, sns: Sns, client: Caller) -> None:
    stage = Stage(redis)
    id = stage.queue()
    stage.work()
    told = sns.message(Message=delivery(id))
    assert client.post(told) == 200
    assert stage.state(id) is State.DELIVERED
    assert client.post(told) == 403


def test_a_replay_is_known_for_as_long_as_it_could_be_believed(
    redis: Redis, sns: Sns, client: Caller
) -> None:
    # Given a message of SNS's whose clock is ahead of ours
    ahead = Sns(NOW + MAX_AHEAD_SECONDS)
    ahead.key = sns.key
    assert client.post(ahead.message(Message=delivery("id-1"))) == 200
    # Then it is remembered until it is too old
    (seen,) = redis.scan_iter("*event:sns:*")
    assert redis.ttl(seen) >= MAX_AGE_SECONDS + MAX_AHEAD_SECONDS - 5


def test_a_forged_event_has_no_effect_and_no_word_of_it_is_logged(
    redis: Redis, sns: Sns, client: Caller, caplog: Any
) -> None:
    stage = Stage(redis)
    id = stage.queue()
    stage.work()
    told = {**sns.message(), "Message": delivery(id)}
    for body in (json.dumps(told), "not json", "[]", "{}"):
        assert client.ask("POST", body) == 403
    assert stage.state(id) is State.SENT
    assert "ada@example.org" not in caplog.text
    assert client.ask("POST", b"x" * (MAX_BYTES + 1)) == 413
    assert client.ask("GET") == 405


def test_a_message_of_exactly_the_bound_is_read(redis: Redis, sns: Sns, client: Caller) -> None:
    # Given an event that was put back, with spaces up to as many bytes as are taken
    stage = Stage(redis)
    id = stage.queue()
    stage.work()
    assert client.ask("POST", json.dumps(sns.message(Message=delivery(id))).ljust(MAX_BYTES)) == 200
    assert stage.state(id) is State.DELIVERED


def test_a_subscription_is_confirmed_at_sns_alone(sns: Sns, client: Caller) -> None:
    told = {"Type": "SubscriptionConfirmation", "Token": "abc", "SubscribeURL": SUBSCRIBE_URL}
    assert client.post(sns.message(**told)) == 200
    assert sns.fetched == [CERTIFICATE_URL, SUBSCRIBE_URL]
    elsewhere = sns.message(
        **{**told, "SubscribeURL": "https://evil.example/?Action=ConfirmSubscription&Token=abc"}
    )
    assert client.post(elsewhere) == 403
    assert len(sns.fetched) == 2


@pytest.mark.parametrize("kind", ["Notification", "SubscriptionConfirmation"])
def test_what_cannot_be_asked_of_sns_now_comes_again(
    kind: str, sns: Sns, client: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given SNS that is away when it is asked for its certificate, or for a subscription
    def away(url: str) -> bytes:
        if kind == "Notification" or "Confirm" in url:
            raise SnsAway("SNS cannot be asked")
        return sns.pem

    changes = {"Token": "abc", "SubscribeURL": SUBSCRIBE_URL} if kind != "Notification" else {}
    told = sns.message(Type=kind, **changes)
    with monkeypatch.context() as patched:
        patched.setattr(client.guard, "_fetch", away)
        assert client.post(told) == 503
    # When it comes again after a while, then it is believed
    monkeypatch.setattr(client.guard, "_clock", lambda: NOW + FAILURE_SECONDS)
    assert client.post(told) == 200


@pytest.mark.parametrize(
    ("status", "raised"), [(404, Forged), (301, Forged), (500, SnsAway), (503, SnsAway), (429, SnsAway)]
)
def test_an_answer_that_is_none_is_told_from_no_answer(status: int, raised: type[Exception]) -> None:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        answering = threading.Thread(target=server.handle_request)
        answering.start()
        with pytest.raises(raised):
            fetch(f"http://127.0.0.1:{server.server_address[1]}/")
        answering.join(20)
    with pytest.raises(SnsAway):
        fetch(f"http://127.0.0.1:{server.server_address[1]}/")


def test_what_is_too_early_comes_again(sns: Sns, client: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Feedback, "handle", lambda self, body: Handled.EARLY)
    told = sns.message()
    assert client.post(told) == 503
    monkeypatch.undo()
    assert client.post(told) == 200
