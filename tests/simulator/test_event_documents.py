"""What stands in an event: the mail's own headers, SES's tags, and the newer kinds of bounce, complaint and delay."""

from __future__ import annotations

import email.utils
import json
import urllib.error
import urllib.request
from datetime import datetime

import pytest

RAW = (
    b"Date: Mon, 30 Nov 2026 12:00:00 +0000\r\nFrom: Shop <shop@example.com>\r\nTo: Ada <ada@example.org>\r\n"
    b"Cc: cc@example.com\r\nBcc: hidden@example.com\r\nReply-To: help@example.com\r\nMessage-ID: <own@example.com>\r\n"
    b"X-SES-MESSAGE-TAGS: a=b\r\nX-Own: two\r\n lines\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nHello"
)


@pytest.fixture
def events(ses, client_for):
    """All events so far, taken out of the queue."""
    ses.set_account(max_send_rate=100)
    ses.advance(1)
    ses.set_events(queue="ses-events", wrapped=False)
    sqs = client_for("sqs")
    url = sqs.get_queue_url(QueueName="ses-events")["QueueUrl"]

    def read():
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in found]

    yield read
    sqs.close()


def names(event):
    return [header["name"] for header in event["mail"]["headers"]]


def test_headers_of_a_raw_mail_are_its_own_and_show_no_bcc(sesv2, events):
    sesv2.send_email(
        FromEmailAddress="bounces@example.com",
        Destination={"ToAddresses": ["ada@example.org", "hidden@example.com"]},
        Content={"Raw": {"Data": RAW}},
    )
    mail = events()[0]["mail"]
    assert mail["commonHeaders"] == {
        "from": ["Shop <shop@example.com>"],
        "date": "Mon, 30 Nov 2026 12:00:00 +0000",
        "to": ["Ada <ada@example.org>"],
        "cc": ["cc@example.com"],
        "replyTo": ["help@example.com"],
        "messageId": "<own@example.com>",
        "subject": "Grüße",
    }
    shown = [(header["name"], header["value"]) for header in mail["headers"]]
    assert ("X-Own", "two lines") in shown
    assert "hidden" not in json.dumps(mail["headers"])
    assert not [name for name, _ in shown if name.lower().startswith("x-ses-")]
    # the envelope is told where it belongs
    assert mail["source"] == "bounces@example.com"
    assert mail["destination"] == ["ada@example.org", "hidden@example.com"]
    assert mail["tags"]["a"] == ["b"]


def test_a_raw_mail_without_to_has_no_common_to(sesv2, events):
    raw = b"From: shop@example.com\r\nSubject: x\r\n\r\nHello"
    sesv2.send_email(Destination={"ToAddresses": ["ada@example.org"]}, Content={"Raw": {"Data": raw}})
    mail = events()[0]["mail"]
    assert "to" not in mail["commonHeaders"]
    assert mail["destination"] == ["ada@example.org"]


def test_headers_of_simple_content(ses, sesv2, mail, events):
    wanted = mail("ada@example.org")
    wanted["Destination"] |= {"CcAddresses": ["cc@example.com"], "BccAddresses": ["hidden@example.com"]}
    wanted["ReplyToAddresses"] = ["help@example.com"]
    wanted["Content"]["Simple"]["Headers"] = [{"Name": "List-Id", "Value": "news"}]
    message_id = sesv2.send_email(**wanted)["MessageId"]
    event = events()[0]
    assert event["mail"]["commonHeaders"] == {
        "from": ["shop@example.com"],
        "to": ["ada@example.org"],
        "cc": ["cc@example.com"],
        "replyTo": ["help@example.com"],
        "messageId": message_id,
        "subject": "Hi",
    }
    assert {"name": "List-Id", "value": "news"} in event["mail"]["headers"]
    assert names(event)[:5] == ["From", "To", "Cc", "Reply-To", "Subject"]
    assert "MIME-Version" in names(event)
    assert "hidden" not in json.dumps(event["mail"]["headers"])


def test_a_template_has_its_subject_after_it_was_rendered(sesv2, mail, events):
    template = {
        "TemplateContent": {"Subject": "Hi {{name}}", "Text": "x"},
        "TemplateData": '{"name": "Ada"}',
        "Headers": [{"Name": "List-Id", "Value": "news"}],
    }
    sesv2.send_email(**mail() | {"Content": {"Template": template}})
    send, delivery = events()
    assert "subject" not in send["mail"]["commonHeaders"]
    assert "List-Id" in names(send)
    assert delivery["mail"]["commonHeaders"]["subject"] == "Hi Ada"


def test_every_line_of_an_address_header_is_told(sesv2, events):
    raw = (
        b"From: shop@example.com\r\nTo: Ada <ada@example.org>, b@example.com\r\nCc: c@example.com\r\n"
        b"to: d@example.com\r\nCC: e@example.com,\r\n f@example.com\r\nBcc-Note: told\r\n\r\nx"
    )
    sesv2.send_email(Content={"Raw": {"Data": raw}})
    mail = events()[0]["mail"]
    assert mail["commonHeaders"]["to"] == ["Ada <ada@example.org>", "b@example.com", "d@example.com"]
    assert mail["commonHeaders"]["cc"] == ["c@example.com", "e@example.com", "f@example.com"]
    told = [(header["name"], header["value"]) for header in mail["headers"]]
    assert ("to", "d@example.com") in told
    assert ("Bcc-Note", "told") in told
    assert len(mail["destination"]) == 6


def told_body(event):
    wanted = ("Content-Type", "Content-Transfer-Encoding")
    return {each["name"]: each["value"] for each in event["mail"]["headers"] if each["name"] in wanted}


MIXED = {"Content-Type": 'multipart/mixed;  boundary="----=_Part_1"'}
BOTH = {"Content-Type": 'multipart/alternative;  boundary="----=_Part_1"'}
PLAIN = {"Content-Type": "text/plain; charset=UTF-8", "Content-Transfer-Encoding": "7bit"}
HTML = {"Content-Type": "text/html; charset=UTF-8", "Content-Transfer-Encoding": "7bit"}
ATTACHMENTS = [{"FileName": "a.txt", "RawContent": b"x"}]
BODIES = [
    ({"Text": "Hello"}, None, PLAIN),
    ({"Html": "<p>Hello"}, None, HTML),
    ({"Html": "<p>Gr\u00fc\u00dfe"}, None, HTML | {"Content-Transfer-Encoding": "quoted-printable"}),
    ({"Text": "Hello", "Html": "<p>Hello"}, None, BOTH),
    ({"Html": "<p>Hello"}, ATTACHMENTS, MIXED),
]


@pytest.mark.parametrize(("texts", "attachments", "expected"), BODIES)
def test_the_type_of_simple_content_is_what_it_has(sesv2, mail, events, texts, attachments, expected):
    body = {kind: {"Data": text} for kind, text in texts.items()}
    simple = {"Subject": {"Data": "Hi"}, "Body": body} | ({"Attachments": attachments} if attachments else {})
    sesv2.send_email(**mail() | {"Content": {"Simple": simple}})
    assert [told_body(event) for event in events()] == [expected, expected]


def test_the_charset_of_simple_content_is_the_one_given(sesv2, mail, events):
    body = {"Html": {"Data": "Hello", "Charset": "ISO-8859-1"}}
    sesv2.send_email(**mail() | {"Content": {"Simple": {"Subject": {"Data": "Hi"}, "Body": body}}})
    assert told_body(events()[0])["Content-Type"] == "text/html; charset=ISO-8859-1"


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "inline"])
@pytest.mark.parametrize(("texts", "attachments", "expected"), BODIES)
def test_the_type_of_a_template_is_known_when_it_is_rendered(
    sesv2, mail, events, texts, attachments, expected, stored
):
    template = {"TemplateContent": {"Subject": "Hi"} | texts}
    if stored:
        sesv2.create_email_template(TemplateName="t", **template)
        template = {"TemplateName": "t"}
    template |= {"TemplateData": "{}"} | ({"Attachments": attachments} if attachments else {})
    sesv2.send_email(**mail() | {"Content": {"Template": template}})
    send, delivery = events()
    assert (told_body(send), told_body(delivery)) == ({}, expected)


def test_the_date_of_a_template_is_that_of_its_rendering(sesv2, mail, events):
    template = {"TemplateContent": {"Subject": "Hi", "Text": "x"}, "TemplateData": "{}"}
    sesv2.send_email(**mail() | {"Content": {"Template": template}})
    send, delivery = events()
    assert names(send) == ["From", "To", "MIME-Version"]
    assert names(delivery) == [
        *("Date", "From", "To", "Subject", "MIME-Version", "Content-Type", "Content-Transfer-Encoding")
    ]
    date = email.utils.parsedate_to_datetime(delivery["mail"]["commonHeaders"]["date"])
    assert date == datetime.fromisoformat(delivery["mail"]["timestamp"][:19] + "+00:00")


def test_a_template_that_does_not_render_has_no_type(sesv2, mail, events):
    template = {"TemplateContent": {"Subject": "{{name}}", "Html": "x"}, "TemplateData": "{}"}
    sesv2.send_email(**mail() | {"Content": {"Template": template}})
    (failure,) = events()
    assert names(failure) == ["From", "To", "MIME-Version"]


def test_more_headers_than_ses_tells_are_cut_off(sesv2, events):
    many = b"".join(b"X-H%d: %s\r\n" % (number, b"v" * 900) for number in range(20))
    sesv2.send_email(
        Content={"Raw": {"Data": b"From: shop@example.com\r\nTo: ada@example.org\r\n" + many + b"\r\nx"}}
    )
    mail = events()[0]["mail"]
    assert mail["headersTruncated"] is True
    assert len(mail["headers"]) < 20


def test_tags_of_ses(ses, sesv2, client_for, mail, events):
    sesv2.create_configuration_set(ConfigurationSetName="news")
    sesv2.send_email(**mail(tags={"own": "1"}), ConfigurationSetName="news")
    v1 = client_for("ses")
    v1.send_raw_email(RawMessage={"Data": RAW})
    v1.close()
    send, delivery, raw_send, _ = events()
    assert send["mail"]["tags"] == {
        "ses:operation": ["SendEmail"],
        "ses:configuration-set": ["news"],
        "ses:source-ip": ["127.0.0.1"],
        "ses:from-domain": ["example.com"],
        "ses:caller-identity": ["sesq-simulator"],
        "own": ["1"],
    }
    assert delivery["mail"]["tags"] == send["mail"]["tags"] | {"ses:outgoing-ip": ["192.0.2.1"]}
    assert raw_send["mail"]["tags"]["ses:operation"] == ["SendRawEmail"]
    # the identity that lets the sender send
    assert send["mail"]["sourceArn"] == "arn:aws:ses:us-east-1:000000000000:identity/example.com"


def test_bounces_and_complaints_name_the_tenant(ses, sesv2, mail, events):
    ses.set_account(max_send_rate=100, production_access=True)
    ses.advance(1)
    ses.add_tenant("acme")
    fates = {"bob@x.org": "bounce", "eve@x.org": "complaint"}
    ses.set_events(queue="ses-events", wrapped=False, fates=fates)
    for address in ("bob@x.org", "eve@x.org", "ada@x.org"):
        sesv2.send_email(**mail(address), TenantName="acme")
    sesv2.send_email(**mail("bob@x.org"))
    named = [(event["eventType"], event["mail"]["tags"].get("ses:tenant-name")) for event in events()]
    assert [name for kind, name in named if kind == "Bounce"] == [["acme"], None]
    assert [name for kind, name in named if kind == "Complaint"] == [["acme"]]
    assert {name for kind, name in named if kind in ("Send", "Delivery")} == {None}


@pytest.mark.parametrize(
    ("fate", "bounce_type", "sub_type"),
    [
        ("bounce", "Permanent", "General"),
        ("bounce:NoEmail", "Permanent", "NoEmail"),
        ("bounce:OnTenantSuppressionList", "Permanent", "OnTenantSuppressionList"),
        ("bounce:EmailValidationSuppressed", "Permanent", "EmailValidationSuppressed"),
        ("bounce:UnsubscribedRecipient", "Permanent", "UnsubscribedRecipient"),
        ("bounce:Transient", "Transient", "General"),
        ("bounce:MailboxFull", "Transient", "MailboxFull"),
        ("bounce:Undetermined", "Undetermined", "Undetermined"),
    ],
)
def test_bounces_of_every_kind(ses, sesv2, mail, events, fate, bounce_type, sub_type):
    ses.set_events(queue="ses-events", wrapped=False, fates={"ada@example.org": fate})
    sesv2.send_email(**mail())
    _, bounce = events()
    assert (bounce["bounce"]["bounceType"], bounce["bounce"]["bounceSubType"]) == (bounce_type, sub_type)
    # Only a hard bounce puts the address on the list
    assert bool(ses.account()["suppressed"]) == (fate in ("bounce", "bounce:NoEmail"))


@pytest.mark.parametrize(
    ("fate", "feedback", "sub_type"),
    [
        ("complaint", "abuse", None),
        ("complaint:not-spam", "not-spam", None),
        ("complaint:auth-failure", "auth-failure", None),
        ("complaint:OnTenantSuppressionList", "abuse", "OnTenantSuppressionList"),
    ],
)
def test_complaints_of_every_kind(ses, sesv2, mail, events, fate, feedback, sub_type):
    ses.set_events(queue="ses-events", wrapped=False, fates={"ada@example.org": fate})
    sesv2.send_email(**mail())
    complaint = events()[-1]["complaint"]
    assert (complaint["complaintFeedbackType"], complaint["complaintSubType"]) == (feedback, sub_type)
    assert bool(ses.account()["suppressed"]) == (fate == "complaint")


def test_a_delay_says_why(ses, sesv2, mail, events):
    ses.set_events(queue="ses-events", wrapped=False, fates={"ada@example.org": "delay:MailboxFull"})
    sesv2.send_email(**mail())
    _, delay, _ = events()
    assert delay["deliveryDelay"]["delayType"] == "MailboxFull"


@pytest.mark.parametrize(
    ("fate", "event_type", "name"),
    [
        ("open", "Open", "open"),
        ("click", "Click", "click"),
        ("subscription", "Subscription", "subscription"),
        ("delay", "DeliveryDelay", "deliveryDelay"),
        ("bounce:MailboxFull", "Bounce", "bounce"),
        ("suppressionlist", "Bounce", "bounce"),
        ("complaint:fraud", "Complaint", "complaint"),
    ],
)
def test_events_on_demand(ses, sesv2, mail, events, fate, event_type, name):
    # Given a delivered message
    message_id = sesv2.send_email(**mail())["MessageId"]
    events()
    # When one more event of it is asked for, by its MessageId or its number
    told = ses.tell(message_id, fate)
    request = urllib.request.Request(
        f"{ses.endpoint_url}/_sim/messages/1/event", json.dumps({"fate": fate}).encode(), method="POST"
    )
    with urllib.request.urlopen(request, timeout=10) as reply:
        assert json.load(reply)["eventType"] == event_type
    # Then it is published, alone
    first, second = events()
    assert first == told
    assert first["eventType"] == second["eventType"] == event_type
    assert first["mail"]["messageId"] == message_id
    assert name in first


def test_no_event_of_what_was_refused_or_is_not_known(ses, sesv2, mail):
    with pytest.raises(sesv2.exceptions.MessageRejected):
        sesv2.send_email(**mail("no@where.org"))
    for message, fate in (("1", "open"), ("77", "open")):
        with pytest.raises(ValueError, match=r"no message|was refused"):
            ses.tell(message, fate)
    with pytest.raises(ValueError, match="none of"):
        ses.set_events(fates={"a@b.org": "bounce:Nonsense"})
