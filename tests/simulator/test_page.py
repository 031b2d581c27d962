"""The page for people: mail is hostile input there, and so are other web pages."""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import sesq.simulator.page.routes as page_routes

FOLDER = Path(page_routes.__file__).parent
EVIL = '<script>alert(1)</script><img src=x onerror="alert(2)"><b>hello</b>'


@pytest.fixture
def get(ses):
    def fetch(path, **headers):
        request = urllib.request.Request(
            ses.endpoint_url + path, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.headers, reply.read()

    return fetch


@pytest.fixture
def status(get):
    def of(path, **headers):
        try:
            get(path, **headers)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        return 200

    return of


def test_page_runs_its_own_script_alone(get):
    for path in ("/", "/_sim/page.js", "/_sim/page.css"):
        headers, body = get(path)
        assert body
        policy = headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
    html = (FOLDER / "index.html").read_text()
    assert re.findall(r"<script[^>]*>", html) == ['<script src="/_sim/page.js" defer>']
    assert not re.search(r"\son\w+=", html)


def test_script_never_writes_markup():
    script = (FOLDER / "page.js").read_text()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", script
    )
    assert 'setAttribute("sandbox", "")' in script


def test_script_names_only_what_the_page_has():
    script, html = (FOLDER / "page.js").read_text(), (FOLDER / "index.html").read_text()
    wanted = set(re.findall(r'(?:byId|onSubmit)\("(\w+)"', script))
    assert wanted <= set(re.findall(r'id="(\w+)"', html))


def test_html_of_a_message_is_sandboxed(ses, sesv2, get, mail):
    message = mail()
    message["Content"]["Simple"] = {"Subject": {"Data": EVIL}, "Body": {"Html": {"Data": EVIL}}}
    sesv2.send_email(**message)
    headers, body = get("/_sim/messages/1/html")
    assert body.decode() == EVIL
    assert headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    summary = json.loads(get("/_sim/messages/1")[1])
    assert summary["subject"] == EVIL
    assert summary["has_html"]


def test_parts_of_a_raw_message(ses, sesv2, get):
    raw = (
        b"From: shop@example.com\r\nTo: ada@example.org\r\nSubject: =?utf-8?q?H=C3=A9?=\r\n"
        b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/plain; charset=latin-1\r\n\r\nH\xe9\r\n"
        b"--b\r\nContent-Type: text/html\r\n\r\n<b>x</b>\r\n"
        b'--b\r\nContent-Type: text/html\r\nContent-Disposition: attachment; filename="../<i>.html"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\nPHNjcmlwdD4=\r\n--b--\r\n"
    )
    sesv2.send_email(Content={"Raw": {"Data": raw}})
    message = json.loads(get("/_sim/messages/1")[1])
    assert ["Subject", "H\u00e9"] in message["headers"]
    assert message["text"].strip() == "H\u00e9"
    assert message["attachments"] == [{"name": "../<i>.html", "content_type": "text/html", "bytes": 8}]
    headers, data = get("/_sim/messages/1/attachments/0")
    assert data == b"<script>"
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"] == 'attachment; filename="attachment-0"'
    headers, data = get("/_sim/messages/1/raw")
    assert data == raw
    assert headers["content-type"].startswith("text/plain")


def test_template_is_shown_filled_in(ses, sesv2, get, mail):
    sesv2.create_email_template(TemplateName="t", TemplateContent={"Subject": "s", "Html": "Hi {{name}}"})
    sesv2.send_email(
        **mail() | {"Content": {"Template": {"TemplateName": "t", "TemplateData": '{"name": "Ada"}'}}}
    )
    assert get("/_sim/messages/1/html")[1] == b"Hi Ada"


NESTED = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"


@pytest.mark.parametrize(
    "body",
    [
        NESTED * 400,
        NESTED * 499,
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--\r\n",
        b"Content-Type: text/plain; charset=nonsense\r\n\r\n\xff\xfe",
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n%%%",
        b"Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\nX: y\r\n\r\nx",
        b"Content-Type: image/png; name*=utf-8''%ff%00; name=\"\x00\"\r\n\r\n",
        b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 666 x\r\n!!!\r\n",
        b"Subject: =?utf-8?b?////?=\r\nX: " + b"y" * 990 + b"\r\n\r\n",
        b"\r\n\x00\x01\x02",
        b"",
    ],
)
def test_broken_mime_can_be_looked_at(ses, sesv2, get, body):
    raw = b"From: shop@example.com\r\nTo: ada@example.org\r\n" + body
    sesv2.send_email(Content={"Raw": {"Data": raw}})
    assert json.loads(get("/_sim/messages/1")[1])["accepted"]
    get("/_sim/messages/1/html")
    assert get("/_sim/messages/1/raw")[1] == raw


def test_refused_calls_can_be_looked_at_too(ses, sesv2, get, mail):
    with pytest.raises(sesv2.exceptions.MessageRejected):
        sesv2.send_email(**mail("bob@x.org"))
    message = json.loads(get("/_sim/messages/1")[1])
    assert message["kind"] == "unverified"
    assert message["text"] == "Hello"


def test_what_is_not_there(status):
    assert status("/_sim/messages/7") == 404
    assert status("/_sim/messages/7/attachments/0") == 404
    assert status("/_sim/nothing") == 404
    assert status("/_sim/messages/1?region=../x") == 400


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Host": "localhost:80"}, 200),
        ({"Host": "[::1]:80"}, 200),
        ({"Host": "simulator:9797"}, 200),
        ({"Host": "evil.example:9797"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "localhost.evil.example"}, 403),
        ({"Host": "mail.evillocalhost"}, 403),
        ({"Host": "mail.localhost"}, 200),
        ({"Host": "localhost", "Origin": "http://localhost"}, 200),
        ({"Host": "localhost", "Origin": "http://evil.example"}, 403),
        ({"Host": "localhost", "Origin": "null"}, 403),
        ({"Host": "localhost", "Sec_Fetch_Site": "cross-site"}, 403),
        ({"Host": "localhost", "Sec_Fetch_Site": "same-origin"}, 200),
    ],
)
def test_other_web_pages_are_kept_out(status, headers, code):
    assert status("/", **headers) == code
    assert status("/_sim/report", **headers) == code


FORGED = "Action=SendEmail&Source=shop@example.com&Destination.ToAddresses.member.1=ada@example.org"
FORGED += "&Message.Subject.Data=Hi&Message.Body.Text.Data=Hello"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 200),
        ({"Host": "host.docker.internal:9797"}, 200),
        ({"Host": "localhost", "Origin": "http://localhost"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 403),
    ],
)
def test_other_web_pages_send_no_mail(ses, headers, code):
    def ask(method, path, body=b""):
        connection = http.client.HTTPConnection("127.0.0.1", ses.port, timeout=20)
        connection.request(method, path, body, headers)
        status = connection.getresponse().status
        connection.close()
        return status

    raw = {"FromEmailAddress": "shop@example.com", "Destination": {"ToAddresses": ["ada@example.org"]}}
    raw["Content"] = {"Simple": {"Subject": {"Data": "Hi"}, "Body": {"Text": {"Data": "Hello"}}}}
    accepted = 0
    for method, path, body in (
        ("POST", "/v2/email/outbound-emails", json.dumps(raw).encode()),
        ("POST", "/", FORGED.encode()),
        ("GET", f"/?{FORGED}", b""),
    ):
        ses.advance(2)
        by_name = method == "GET" and "Host" in headers and "localhost" not in headers["Host"]
        expected = 403 if by_name else code
        assert ask(method, path, body) == expected, (method, path)
        accepted += expected == 200
    assert ses.report()["accepted"] == accepted


def test_other_web_pages_read_no_queue(ses):
    connection = http.client.HTTPConnection("127.0.0.1", ses.port, timeout=20)
    target = {"X-Amz-Target": "AmazonSQS.ListQueues", "Sec-Fetch-Site": "cross-site"}
    connection.request("POST", "/", b"{}", target)
    assert connection.getresponse().status == 403
    connection.close()
