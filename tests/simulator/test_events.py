"""Events of accepted mail, read from the queue through the real boto3, and posted over HTTP."""

from __future__ import annotations

import http.server
import json
import queue
import threading

import pytest

GREETING = "Successfully validated SNS topic for Amazon SES event publishing."


@pytest.fixture
def sqs(client_for):
    client = client_for("sqs")
    yield client
    client.close()


@pytest.fixture
def read(sqs):
    """All events of the queue `ses-events`, taken out of it."""

    def events(name="ses-events"):
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        found = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                body = json.loads(message["Body"])
                text = body.get("Message", message["Body"])
                found += [] if text == GREETING else [json.loads(text)]
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    return events


@pytest.mark.parametrize(
    ("name", "types"),
    [
        ("success", ["Send", "Delivery"]),
        ("success+delay", ["Send", "DeliveryDelay", "Delivery"]),
        ("bounce+label", ["Send", "Bounce"]),
        ("ooto", ["Send", "Delivery"]),
        ("complaint", ["Send", "Delivery", "Complaint"]),
        ("suppressionlist", ["Send", "Bounce"]),
    ],
)
def test_mailbox_simulator_has_its_events(ses, sesv2, mail, read, name, types):
    ses.set_events(queue="ses-events")
    address = f"{name}@simulator.amazonses.com"
    message_id = sesv2.send_email(**mail(address, tags={"sesq-id": "m-1"}))["MessageId"]
    events = read()
    assert [event["eventType"] for event in events] == types
    for event in events:
        assert event["mail"]["messageId"] == message_id
        assert event["mail"]["tags"]["sesq-id"] == ["m-1"]
        assert event["mail"]["destination"] == [address]
    assert not ses.account()["suppressed"]


def test_bounces_say_why(ses, sesv2, mail, read):
    ses.set_account(production_access=True, max_send_rate=10)
    ses.advance(1)
    sesv2.put_suppressed_destination(EmailAddress="bad@x.org", Reason="BOUNCE")
    ses.set_events(queue="ses-events", wrapped=False)
    sesv2.send_email(
        **mail("bad@x.org", "bounce@simulator.amazonses.com", "suppressionlist@simulator.amazonses.com")
    )
    bounces = {
        event["bounce"]["bounceSubType"]: event["bounce"]
        for event in read()
        if event["eventType"] == "Bounce"
    }
    assert bounces.keys() == {"General", "Suppressed", "OnAccountSuppressionList"}
    assert {bounce["bounceType"] for bounce in bounces.values()} == {"Permanent"}
    assert bounces["OnAccountSuppressionList"]["bouncedRecipients"][0]["emailAddress"] == "bad@x.org"


@pytest.mark.parametrize("reasons", [["COMPLAINT"], []])
def test_a_configuration_set_has_reasons_of_its_own_to_suppress_for(ses, sesv2, mail, read, reasons):
    # Given an address that bounced, and a set that suppresses only who complained, or nobody
    ses.set_account(production_access=True, max_send_rate=10)
    ses.advance(1)
    sesv2.put_suppressed_destination(EmailAddress="bad@x.org", Reason="BOUNCE")
    options = {"SuppressedReasons": reasons}
    sesv2.create_configuration_set(ConfigurationSetName="news", SuppressionOptions=options)
    ses.set_events(queue="ses-events", wrapped=False)
    # Then mail by that set is delivered, and mail by none bounces
    for more in ({"ConfigurationSetName": "news"}, {}):
        sesv2.send_email(**mail("bad@x.org"), **more)
    assert [event["eventType"] for event in read()] == ["Send", "Delivery", "Send", "Bounce"]


def test_given_fates_put_addresses_on_the_suppression_list(ses, sesv2, mail, read):
    ses.set_events(queue="ses-events", fates={"ada@example.org": "bounce"})
    for _ in range(2):
        sesv2.send_email(**mail())
        ses.advance(1)
    bounces = [event["bounce"]["bounceSubType"] for event in read() if event["eventType"] == "Bounce"]
    assert bounces == ["General", "OnAccountSuppressionList"]


def test_configuration_set_gets_the_types_it_asked_for(ses, sesv2, mail, read):
    # Given a set whose topic wants deliveries alone
    destination = {
        "Enabled": True,
        "MatchingEventTypes": ["DELIVERY"],
        "SnsDestination": {"TopicArn": "arn:aws:sns:us-east-1:000000000000:news-events"},
    }
    sesv2.create_configuration_set(ConfigurationSetName="news")
    sesv2.create_configuration_set_event_destination(
        ConfigurationSetName="news", EventDestinationName="topic", EventDestination=destination
    )
    # When one message has the set and one has not
    sesv2.send_email(**mail(), ConfigurationSetName="news")
    ses.advance(1)
    sesv2.send_email(**mail())
    # Then the queue named after the topic has one delivery
    (event,) = read("news-events")
    assert event["eventType"] == "Delivery"
    assert event["mail"]["tags"]["ses:configuration-set"] == ["news"]


def test_virus_and_rendering_failure(ses, sesv2, mail, read):
    ses.set_events(queue="ses-events")
    eicar = r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
    raw = f"From: shop@example.com\r\nTo: ada@example.org\r\nSubject: x\r\n\r\n{eicar}\r\n"
    sesv2.send_email(Content={"Raw": {"Data": raw.encode()}})
    ses.advance(1)
    template = {"Template": {"TemplateContent": {"Subject": "{{name}}", "Text": "x"}, "TemplateData": "{}"}}
    sesv2.send_email(**mail() | {"Content": template})
    reject, failure = read()
    assert (reject["eventType"], reject["reject"]) == ("Reject", {"reason": "Bad content"})
    assert failure["eventType"] == "Rendering Failure"
    assert "name" in failure["failure"]["errorMessage"]
    assert ses.report()["recipients"] == 2


def test_queue_hands_out_again_what_was_not_deleted(ses, sesv2, mail, sqs):
    url = sqs.create_queue(QueueName="ses-events")["QueueUrl"]
    ses.set_events(queue="ses-events")
    sesv2.send_email(**mail())

    def receive():
        return sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=30).get(
            "Messages", []
        )

    first = receive()
    assert len(first) == 2
    assert receive() == []
    ses.advance(30)
    again = receive()
    assert {each["MessageId"] for each in again} == {each["MessageId"] for each in first}
    assert {each["ReceiptHandle"] for each in again} & {each["ReceiptHandle"] for each in first} == set()
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=again[0]["ReceiptHandle"], VisibilityTimeout=0)
    (back,) = receive()
    entries = [
        {"Id": str(number), "ReceiptHandle": each["ReceiptHandle"]}
        for number, each in enumerate([back, again[1]])
    ]
    assert len(sqs.delete_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == 2
    ses.advance(60)
    assert receive() == []
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert counts["ApproximateNumberOfMessages"] == "0"
    assert sqs.list_queues()["QueueUrls"] == [url]


def test_late_delete_still_counts(ses, sesv2, mail, sqs):
    ses.set_events(queue="ses-events")
    url = sqs.get_queue_url(QueueName="ses-events")["QueueUrl"]
    sesv2.send_email(**mail())
    late = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=1)["Messages"]
    ses.advance(1)
    assert sqs.get_queue_attributes(QueueUrl=url)["Attributes"]["ApproximateNumberOfMessages"] == "2"
    for message in late:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert "Messages" not in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)


def test_a_receipt_of_an_earlier_reading_deletes_nothing(ses, sesv2, mail, sqs):
    ses.set_events(queue="ses-events")
    url = sqs.get_queue_url(QueueName="ses-events")["QueueUrl"]
    sesv2.send_email(**mail())

    def receive():
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=1)
        return [each["ReceiptHandle"] for each in found.get("Messages", [])]

    # Given messages that were read twice
    first = receive()
    ses.advance(1)
    assert len(receive()) == len(first) == 2
    # When the first reader deletes them at last
    for receipt in first:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=receipt)
    # Then they come back all the same: the second reader has them now
    ses.advance(1)
    last = receive()
    assert len(last) == 2
    for receipt in last:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=receipt)
    ses.advance(1)
    assert receive() == []


def test_reader_waits_for_what_comes(ses, sesv2, mail, sqs):
    ses.set_events(queue="ses-events")
    url = sqs.get_queue_url(QueueName="ses-events")["QueueUrl"]
    found = queue.Queue()
    reader = threading.Thread(
        target=lambda: found.put(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=8)), daemon=True
    )
    reader.start()
    sesv2.send_email(**mail())
    assert found.get(timeout=8)["Messages"]
    reader.join(timeout=5)


def test_unknown_queue(sqs):
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.get_queue_url(QueueName="none")


def test_webhook_gets_every_event_in_order(ses, sesv2, mail):
    got = queue.Queue()

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ses.set_events(webhook=f"http://127.0.0.1:{server.server_port}/hook")
        sesv2.send_email(**mail())
        types = [json.loads(got.get(timeout=10)["Message"])["eventType"] for _ in range(2)]
        server.shutdown()
    assert types == ["Send", "Delivery"]
