"""What SNS puts round an event: its envelope, its headers, its signature; and the greeting of a topic."""

from __future__ import annotations

import base64
import http.server
import json
import queue
import threading
import urllib.request

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

GREETING = "Successfully validated SNS topic for Amazon SES event publishing."
TOPIC = "arn:aws:sns:us-east-1:123456789012:news-events"


def check_signature(envelope, algorithm):
    """As SNS's guide says a receiver does it; InvalidSignature."""
    with urllib.request.urlopen(envelope["SigningCertURL"], timeout=10) as reply:
        certificate = x509.load_pem_x509_certificate(reply.read())
    names = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
    signed = "".join(f"{name}\n{envelope[name]}\n" for name in names if name in envelope)
    signature = base64.b64decode(envelope["Signature"], validate=True)
    certificate.public_key().verify(signature, signed.encode(), PKCS1v15(), algorithm)


@pytest.fixture
def bodies(client_for):
    """The bodies of all messages of a queue, oldest first."""
    sqs = client_for("sqs")

    def read(name):
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        return [
            message["Body"]
            for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        ]

    yield read
    sqs.close()


@pytest.fixture
def posts():
    """What is posted to `posts.url`: headers in lower case, and the body."""
    got = queue.Queue()

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            got.put(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        got.url = f"http://127.0.0.1:{server.server_port}/hook"
        yield got
        server.shutdown()


@pytest.mark.parametrize(("version", "algorithm"), [("1", hashes.SHA1()), ("2", hashes.SHA256())])
def test_an_envelope_is_signed(ses, sesv2, mail, bodies, version, algorithm):
    ses.set_events(queue="ses-events", signature_version=version)
    sesv2.send_email(**mail())
    for body in bodies("ses-events"):
        envelope = json.loads(body)
        assert envelope["SignatureVersion"] == version
        check_signature(envelope, algorithm)
        envelope["Message"] += " "
        with pytest.raises(InvalidSignature):
            check_signature(envelope, algorithm)


def test_an_envelope_names_certificate_and_subscription(ses, sesv2, mail, bodies):
    ses.set_events(queue="ses-events", sns_url="https://sns.us-east-1.amazonaws.com")
    sesv2.send_email(**mail())
    envelope = json.loads(bodies("ses-events")[0])
    topic = "arn:aws:sns:us-east-1:000000000000:ses-events"
    certificate = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-"
    assert envelope["TopicArn"] == topic
    assert envelope["SigningCertURL"].startswith(certificate)
    assert envelope["SigningCertURL"].endswith(".pem")
    unsubscribe = "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn="
    assert envelope["UnsubscribeURL"].startswith(f"{unsubscribe}{topic}:")


def test_another_certificate_is_not_there(ses):
    with pytest.raises(urllib.error.HTTPError, match="404") as refused:
        urllib.request.urlopen(f"{ses.endpoint_url}/SimpleNotificationService-0.pem", timeout=10)
    refused.value.close()


def test_a_topic_is_greeted_with_text_and_keeps_its_arn(sesv2, mail, bodies):
    # Given a set with a topic of another account
    destination = {
        "Enabled": True,
        "MatchingEventTypes": ["SEND"],
        "SnsDestination": {"TopicArn": TOPIC},
    }
    sesv2.create_configuration_set(ConfigurationSetName="news")
    sesv2.create_configuration_set_event_destination(
        ConfigurationSetName="news", EventDestinationName="topic", EventDestination=destination
    )
    # When a message goes
    sesv2.send_email(**mail(), ConfigurationSetName="news")
    # Then the greeting came before its event, both from that topic
    greeting, event = map(json.loads, bodies("news-events"))
    assert greeting["Message"] == GREETING
    assert "Subject" not in greeting
    assert {greeting["TopicArn"], event["TopicArn"]} == {TOPIC}
    check_signature(greeting, hashes.SHA1())
    assert event["Subject"] == "Amazon SES Email Event Notification"
    assert json.loads(event["Message"])["eventType"] == "Send"


@pytest.mark.parametrize(
    "definition",
    [
        {"SnsDestination": {"TopicArn": TOPIC}},
        {"MatchingEventTypes": ["SEND"]},
        {"MatchingEventTypes": ["SEND"], "SnsDestination": {"TopicArn": "news-events"}},
        {"MatchingEventTypes": ["SEND"], "SnsDestination": {"TopicArn": TOPIC.replace("us-east", "eu-west")}},
        {"MatchingEventTypes": ["SEND"], "SnsDestination": {"TopicArn": TOPIC.replace("sns", "sqs")}},
    ],
)
def test_event_destinations_are_checked(sesv2, definition):
    sesv2.create_configuration_set(ConfigurationSetName="news")
    with pytest.raises(sesv2.exceptions.BadRequestException):
        sesv2.create_configuration_set_event_destination(
            ConfigurationSetName="news", EventDestinationName="topic", EventDestination=definition
        )
    found = sesv2.get_configuration_set_event_destinations(ConfigurationSetName="news")
    assert found["EventDestinations"] == []


def test_a_post_has_the_headers_of_sns(ses, sesv2, mail, posts):
    ses.set_events(webhook=posts.url)
    sesv2.send_email(**mail())
    headers, body = posts.get(timeout=10)
    envelope = json.loads(body)
    assert headers["x-amz-sns-message-type"] == envelope["Type"] == "Notification"
    assert headers["x-amz-sns-message-id"] == envelope["MessageId"]
    assert headers["x-amz-sns-topic-arn"] == envelope["TopicArn"]
    assert headers["x-amz-sns-subscription-arn"].startswith(f"{envelope['TopicArn']}:")
    assert headers["content-type"] == "text/plain; charset=UTF-8"
    assert "x-amz-sns-rawdelivery" not in headers


def test_a_raw_post_is_the_event_alone(ses, sesv2, mail, posts):
    ses.set_events(webhook=posts.url, wrapped=False)
    sesv2.send_email(**mail())
    headers, body = posts.get(timeout=10)
    assert json.loads(body)["eventType"] == "Send"
    assert headers["x-amz-sns-rawdelivery"] == "true"


def test_a_queue_has_the_region_in_its_name(client_for):
    sqs = client_for("sqs", region="eu-west-1")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    assert found["QueueArn"] == "arn:aws:sqs:eu-west-1:000000000000:q"
    sqs.close()
